"""What a comparison of two files is asked to do: how their rows are to be read, and how long to wait for what."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from monitor.cli import UsageError
from monitor.model.duration import parse_duration
from monitor.model.ledger import Side
from monitor.model.sources import FileFormat, FilesSource, Layout, LedgerPolicy, Match, RefundStatus, SourcePolicy
from monitor.model.time_format import TimeFormatError, check_time_format
from monitor.rules.plain import one_line
from monitor.rules.reconcile import Known
from monitor.rules.reconcile.figures import FigureFault, currency_of
from monitor.rules.reconcile.times import clock_of

FIELDS = ("refund", "order", "amount", "currency", "at", "recipient", "status", "reversed_at", "id", "outcome", "resend")
KEY_BYTES = 32
_BETWEEN = re.compile(r",(?=\s*[a-z_]+\s*=)")  # a name may have commas in it
_TRUTH = ("true", "false")
OPTIONS: dict[str, tuple[str, ...]] = {  # of one file; what values they have, where those are few
    "decimal": (".", ","),
    "minor_units": _TRUTH,
    "negative": _TRUTH,
    "currency": (),
    "delimiter": (),
    "time_zone": (),
    "time_format": (),
}


@dataclass(frozen=True, slots=True)
class Order:
    """`as_of`: what happened until then is all in the files; None: until the newest row of either."""

    refunds: Path
    confirmations: Path
    sources: Mapping[Side, SourcePolicy]
    known: Known
    confirm_within: float
    refund_within: float
    as_of: float | None


def order_of(arguments: argparse.Namespace, now: float) -> Order:
    """Raises UsageError with the flag and the mend. The hashes of recipients are made with a key of this run's own, which nobody keeps."""
    ledger, known = LedgerPolicy(), Known(b"", Match.REFUND)
    if arguments.config:
        from monitor.cli.configured import policy_without_secrets  # noqa: PLC0415 - reads all settings, a third of the time of a small run

        policy = policy_without_secrets(Path(arguments.config))
        ledger, known = policy.ledger, Known.of(policy)
    match = Match(arguments.match) if arguments.match else ledger.match
    refunds, confirmations = _two_files(arguments)
    return Order(
        refunds=refunds,
        confirmations=confirmations,
        sources={side: _source(side, arguments) for side in Side},
        known=dataclasses.replace(known, key=os.urandom(KEY_BYTES), match=match),
        confirm_within=_seconds("--confirm-within", arguments.confirm_within) or ledger.confirm_within,
        refund_within=_seconds("--refund-within", arguments.refund_within) or ledger.refund_within,
        as_of=_as_of(arguments, now),
    )


def _two_files(arguments: argparse.Namespace) -> tuple[Path, Path]:
    if not arguments.confirmations:
        raise UsageError(f"{arguments.refunds}: it takes two files: mailcanary ledger reconcile REFUNDS CONFIRMATIONS")
    refunds, confirmations = Path(arguments.refunds), Path(arguments.confirmations)
    if str(refunds) == str(confirmations) == "-":
        raise UsageError("one of the two files may be the standard input, not both")
    try:
        same = refunds.samefile(confirmations)
    except OSError:  # whoever reads them says what is wrong
        same = False
    if same:
        raise UsageError(
            f"{one_line(str(confirmations))} is the same file as {one_line(str(refunds))}: name the refunds, then what was sent"
        )
    return refunds, confirmations


def layout_of(arguments: argparse.Namespace, own_columns: list[str] | None = None) -> Layout:
    """Raises UsageError."""
    return Layout(
        columns=columns_of((*(arguments.columns or ()), *(own_columns or ()))),
        delimiter=delimiter_of(arguments.delimiter),
        decimal=arguments.decimal,
        minor_units=arguments.minor_units,
        negative=arguments.negative,
        currency=_currency(arguments.currency),
        time_zone=_zone(arguments.time_zone),
        time_format=_time_format(arguments.time_format),
        statuses=_statuses(arguments.statuses or ()),
    )


def _source(side: Side, arguments: argparse.Namespace) -> SourcePolicy:
    """What is paid back is negative in the refunds only; the confirmation never is."""
    own = argparse.Namespace(**vars(arguments))
    if side is Side.REFUNDS:
        columns, options, flag = arguments.refund_columns, arguments.refund_option, "--refund-option"
    else:
        columns, options, flag = arguments.confirmation_columns, arguments.confirmation_option, "--confirmation-option"
        own.negative = False
    for option in options or ():
        _set(own, flag, option)
    return SourcePolicy(side.value, side, FilesSource("", FileFormat.CSV, layout_of(own, columns)), every=0.0, lag=0.0)


def _set(arguments: argparse.Namespace, flag: str, option: str) -> None:
    """One option for one of the two files. Raises UsageError."""
    name, _, value = option.partition("=")
    key = name.strip().replace("-", "_")
    if key not in OPTIONS:
        raise UsageError(f"{flag} {option}: write OPTION=VALUE, with an option of {', '.join(sorted(OPTIONS))}")
    allowed = OPTIONS[key]
    if allowed and value not in allowed:
        raise UsageError(f"{flag} {option}: write {key}={f' or {key}='.join(allowed)}")
    setattr(arguments, key, value == "true" if allowed == _TRUTH else value)


def columns_of(written: Sequence[str]) -> dict[str, str]:
    """Our field -> their column. Raises UsageError."""
    found: dict[str, str] = {}
    for part in (part for text in written for part in _BETWEEN.split(text)):
        field, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or not column or field not in FIELDS:
            raise UsageError(f"columns: {part!r}: write FIELD=COLUMN, with a field of {', '.join(FIELDS)}")
        found[field] = column
    return found


def delimiter_of(text: str | None) -> str:
    """Empty: to be found out. Raises UsageError."""
    delimiter = {"tab": "\t"}.get(text or "", text or "")
    if len(delimiter) > 1 or (delimiter and (delimiter in "\"' \r\n" or not delimiter.isascii() or delimiter.isalnum())):
        raise UsageError(f"--delimiter {text!r}: write one sign, as ; or |, or the word tab")
    return delimiter


def _time_format(text: str | None) -> str:
    """Raises UsageError."""
    if not text:
        return ""
    try:
        check_time_format(text)
    except TimeFormatError as error:
        raise UsageError(f"--time-format {text!r} {error.what}; {error.mend}") from None
    return text


def _statuses(written: Sequence[str]) -> dict[str, RefundStatus]:
    """Their word -> what it means. Raises UsageError."""
    found: dict[str, RefundStatus] = {}
    for part in (part for text in written for part in text.split(",")):
        word, _, meaning = (piece.strip() for piece in part.rpartition("="))
        if not word or meaning not in list(RefundStatus):
            raise UsageError(f"--statuses: {part!r}: write WORD=MEANING, with a meaning of {', '.join(RefundStatus)}")
        found[word.lower()] = RefundStatus(meaning)
    return found


def _currency(text: str | None) -> str:
    if not text:
        return ""
    try:
        return currency_of(text)
    except FigureFault as error:
        raise UsageError(f"--currency {text}: {error}") from None


def _seconds(flag: str, text: str | None) -> float:
    if text is None:
        return 0.0
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{flag} {text}: {error}") from None
    if seconds <= 0:
        raise UsageError(f"{flag} {text}: is no time to wait; write 1h")
    return seconds


def _zone(name: str) -> str:
    import zoneinfo  # noqa: PLC0415 - reads files, and most exports bear their zones

    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"--time-zone {name}: is no time zone; write Europe/Berlin") from None
    return name


def _as_of(arguments: argparse.Namespace, now: float) -> float | None:
    if not arguments.as_of:
        return None
    try:
        return clock_of(Layout(time_zone=_zone(arguments.time_zone)), now)(arguments.as_of)
    except ValueError as error:
        raise UsageError(f"--as-of {arguments.as_of}: {error}") from None
