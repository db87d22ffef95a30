"""The ledger as documents: how the two sides stand, the differences one by one, and what an incident did to real refunds.

A difference names the refund and where it stands, for whoever repairs; a standing, a source and an impact name neither. No address
stands anywhere.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence

from monitor.desk import Desk
from monitor.model.facts import SourceBlind
from monitor.model.instant import Instant
from monitor.model.ledger import (
    CLASS_OF,
    ClassStanding,
    Difference,
    DifferenceClass,
    Impact,
    RowFault,
    SourceStanding,
    Standing,
    Volume,
)
from monitor.model.money import Money
from monitor.model.sources import FilesSource, MailboxSource, PostfixSource, PushSource, SourcePolicy, SqlSource
from monitor.rules.plain import one_line, plain
from monitor.rules.reconcile.figures import shown
from monitor.rules.reconcile.volume import worded
from monitor.rules.reconcile.windows import windows_of

Row = dict[str, object]

COLUMNS = (
    "kind",
    "refund",
    "refund_at",
    "refund_amount",
    "refund_currency",
    "confirmation_at",
    "confirmation_amount",
    "confirmation_currency",
    "refund_place",
    "confirmation_place",
    "found",
    "note",
    "settled",
    "class",
)
MAX_FAULT = 300  # characters of a fault that are shown
VIA: dict[type, str] = {
    FilesSource: "files",
    SqlSource: "sql",
    PostfixSource: "postfix",
    MailboxSource: "mailbox",
    PushSource: "push",
}
_WORDS = ("status", "currency", "outcome", "resend")  # fields whose values are words of the shop's code, and say nothing of anybody
_FIGURES = ("amount", "at", "reversed_at")
_QUOTED = re.compile(r"'[^']*'")
_ALL_QUOTED = re.compile(r"'.*'")  # what stands between them may have one in it
_LONG_NUMBER = re.compile(r"\d{3}")
_FIGURE = re.compile(r"[-+(]?[A-Z]{0,3} ?\d[\d.,:/ +T-]*[A-Z]{0,3}\)?|[A-Z]{3}")
# What a conflict is about; else a word that has both digits and something else than a figure has.
_ABOUT = re.compile(r"(?<=refund ).+?(?= is on | is with )|(?<=confirmation of ).+?(?= is on | is with )")
_MIXED = re.compile(r"(?<!\S)(?!UTF-\d)(?=[^\s\d]*\d)[^\s']*[^\s\d.,:;%()'][^\s']*")
_STARTS_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # in a spreadsheet that opens the file


def difference_row(difference: Difference) -> Row:
    """One of them under COLUMNS, ready for JSON. `refund`: its number; of a confirmation without a refund, the number that it names."""
    refund, confirmation = _figures(difference.refund), _figures(difference.confirmation)
    return {
        "kind": difference.kind.value,
        "refund": one_line(difference.number or difference.key),
        "refund_at": iso(difference.refund_at),
        "refund_amount": refund[0],
        "refund_currency": refund[1],
        "confirmation_at": iso(difference.confirmation_at),
        "confirmation_amount": confirmation[0],
        "confirmation_currency": confirmation[1],
        "refund_place": one_line(difference.refund_place),
        "confirmation_place": one_line(difference.confirmation_place),
        "found": iso(difference.found),
        "note": one_line(difference.note),
        "settled": iso(difference.settled),
        "class": CLASS_OF[difference.kind].value,
    }


def differences_csv(rows: Iterable[Mapping[str, object]], header: bool = True) -> str:
    """Rows of difference_row as CSV (RFC 4180, but lines are ended by LF). What a spreadsheet would take for a formula begins with an
    apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(COLUMNS)
    writer.writerows([_cell(row[column]) for column in COLUMNS] for row in rows)
    return text.getvalue()


def ledger_document(desk: Desk, standing: Standing, sources: Sequence[SourceStanding]) -> Row:
    """Schema `mailcanary.ledger/v1`: every key always there, additive changes only. No number of a refund, no recipient."""
    policy, view, now = desk.policy.ledger, desk.world.ledger, desk.clock.now()
    windows = windows_of(policy, sources, now.utc)
    known = {source.source: source for source in sources}
    return {
        "schema": "mailcanary.ledger/v1",
        "environment": desk.policy.environment,
        "at": now.iso(),
        "reconciled_at": view.last.at.iso() if view.last else None,
        "standing": standing_row(standing),
        "windows": {
            "match": policy.match.value,
            "confirm_within": windows.confirm_within,
            "refund_within": windows.refund_within,
            "refunds_from": iso(windows.refunds_from),
            "refunds_until": iso(windows.refunds_until),
            "confirmations_from": iso(windows.confirmations_from),
            "confirmations_until": iso(windows.confirmations_until),
        },
        "sources": [_source_row(name, source, known.get(name), view.blind.get(name)) for name, source in policy.sources.items()],
        "blind": [_blind_row(fact) for fact in view.blind.values()],
        "volumes": [_volume_row(volume) for volume in view.last.volumes] if view.last else [],
    }


def standing_row(standing: Standing) -> Row:
    by_class = {each.kind: each for each in standing.classes}
    return {
        "refunds": standing.refunds,
        "confirmations": standing.confirmations,
        "confirmed": standing.confirmed,
        "awaited": standing.awaited,
        "undecided": standing.undecided,
        "refunds_until": iso(standing.refunds_until),
        "confirmations_until": iso(standing.confirmations_until),
        "oldest_unconfirmed": iso(standing.oldest_unconfirmed),
        "classes": [_class_row(by_class.get(kind, ClassStanding(kind))) for kind in DifferenceClass],
    }


def ledger_summary(desk: Desk) -> Row | None:
    """The line or two that the status has for it; None: no ledger is configured. From the journal alone: the store is not asked."""
    if not desk.policy.ledger.enabled:
        return None
    last = desk.world.ledger.last
    standing = standing_row(last.standing if last else Standing())
    return {
        "reconciled_at": last.at.iso() if last else None,
        **{key: standing[key] for key in ("refunds_until", "confirmations_until", "oldest_unconfirmed")},
        "open": {kind.value: desk.world.ledger.of(kind).open for kind in DifferenceClass},
        "blind": sorted(desk.world.ledger.blind),
        "volumes": [plain(worded(volume)) for volume in last.volumes] if last else [],
    }


def impact_row(impact: Impact) -> Row:
    return {
        "since": iso(impact.since),
        "until": iso(impact.until),
        "refunds": impact.refunds,
        "customers": impact.customers,
        "confirmed": impact.confirmed,
        "owed": impact.owed,
        "owed_money": money_rows(impact.owed_money),
        "awaited": impact.awaited,
        "awaited_money": money_rows(impact.awaited_money),
        "wrong": impact.wrong,
        "wrong_customers": impact.wrong_customers,
        "wrong_money": money_rows(impact.wrong_money),
        "provider": impact.provider,
    }


def money_rows(amounts: Iterable[Money]) -> list[Row]:
    return [{"amount": amount, "currency": currency} for amount, currency in map(_figures, amounts)]


def iso(utc: float | None) -> str | None:
    return None if utc is None else Instant(utc, 0.0, "").iso()


def _class_row(standing: ClassStanding) -> Row:
    return {
        "class": standing.kind.value,
        "open": standing.open,
        "found": standing.found,
        "latest": iso(standing.latest),
        "earliest": iso(standing.earliest),
        "customers": standing.customers,
        "money": money_rows(standing.money),
    }


def _source_row(name: str, policy: SourcePolicy, known: SourceStanding | None, blind: SourceBlind | None) -> Row:
    """One that was never read has nothing but its name."""
    return {
        "source": name,
        "side": policy.side.value,
        "via": VIA[type(policy.via)],
        "lag": policy.lag,
        "first_read": iso(known.first_read) if known else None,
        "last_read": iso(known.last_read) if known else None,
        "read_until": iso(known.read_until - policy.lag) if known and known.read_until is not None else None,
        "earliest": iso(known.earliest) if known else None,
        "latest": iso(known.latest) if known else None,
        "records": known.records if known else 0,
        "refused": known.refused if known else 0,
        "probes": known.dropped if known else 0,
        "blind": _blind_row(blind) if blind else None,
        "faults": [_faulty_row(origin, fault, _field(policy, fault.column)) for origin, fault in known.faults] if known else [],
    }


def _blind_row(fact: SourceBlind) -> Row:
    return {
        "source": fact.source,
        "side": fact.side.value,
        "since": fact.at.iso(),
        "detail": plain(fact.detail),
        "mend": plain(fact.mend),
    }


def _field(policy: SourcePolicy, column: str) -> str:
    """Our name of a column of the source; empty: it has none."""
    if isinstance(policy.via, FilesSource | SqlSource | PushSource):
        return next((field for field, theirs in policy.via.layout.columns.items() if theirs == column), column)
    return column


def _faulty_row(origin: str, fault: RowFault, field: str) -> Row:
    """Whoever may read may not read numbers of refunds, and what is wrong with a row may be its number."""

    def shown(text: str) -> str:
        return plain(_masked(text[:MAX_FAULT], field, is_of_all=fault.line <= 1 and not field))

    return {
        "origin": plain(origin),
        "line": fault.line,
        "column": plain(fault.column),
        "what": shown(fault.what),
        "mend": shown(fault.mend),
    }


def _masked(text: str, field: str, *, is_of_all: bool) -> str:
    """Without what may be the number, the id or the recipient of somebody's refund. What stands in quotation marks is a value of the field,
    or where the fault `is_of_all` rows the name of a column."""
    if text.count("'") % 2 or not (is_of_all or field in (*_WORDS, *_FIGURES)):
        text = _ALL_QUOTED.sub("***", text)
    else:
        text = _QUOTED.sub(lambda found: found[0] if _is_harmless(found[0][1:-1], field) else "***", text)
    parts = _QUOTED.split(text)
    kept = [*_QUOTED.findall(text), ""]
    return "".join(f"{_MIXED.sub('***', _ABOUT.sub('***', part))}{shown}" for part, shown in zip(parts, kept, strict=True))


def _is_harmless(value: str, field: str) -> bool:
    if field in _FIGURES:
        return not any(char.isalnum() for char in value) or "%" in value or bool(_FIGURE.fullmatch(value))
    return not _LONG_NUMBER.search(value)


def _volume_row(volume: Volume) -> Row:
    return {
        "flow": volume.flow.value,
        "side": volume.side.value,
        "began": iso(volume.began),
        "until": iso(volume.until),
        "seen": volume.seen,
        "expected": volume.expected,
        "against": plain(volume.against),
        "text": plain(worded(volume)),
    }


def _figures(money: Money | None) -> tuple[str | None, str | None]:
    """(amount with the decimals of its currency, currency)"""
    return (None, None) if money is None else (shown(money).rpartition(" ")[0], money.currency)


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip().startswith(_STARTS_FORMULA) else text
