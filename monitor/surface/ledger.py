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
# Where the number of a refund may stand: in quotation marks, as what a fault is about, or as a word with a digit.
_NUMBERED = re.compile(r"'[^']*'|(?<=refund ).+?(?= is )|(?<=confirmation ).+?(?= is )|\S*\d\S*")
_QUOTED = re.compile(r"'.*'")
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
    windows = windows_of(policy, sources)
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
        "faults": [_faulty_row(origin, fault) for origin, fault in known.faults] if known else [],
    }


def _blind_row(fact: SourceBlind) -> Row:
    return {
        "source": fact.source,
        "side": fact.side.value,
        "since": fact.at.iso(),
        "detail": plain(fact.detail),
        "mend": plain(fact.mend),
    }


def _faulty_row(origin: str, fault: RowFault) -> Row:
    """Whoever may read may not read numbers of refunds, and what is wrong with a row may be its number."""
    return {
        "origin": plain(origin),
        "line": fault.line,
        "column": plain(fault.column),
        "what": plain(_NUMBERED.sub("***", fault.what[:MAX_FAULT])),
        "mend": plain(_QUOTED.sub("***", fault.mend[:MAX_FAULT])),
    }


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
