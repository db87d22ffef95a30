"""One portion of a source -> records and faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.model.ledger import Confirmation, Lines, Mails, Refund, RowFault, Side, Table
from monitor.model.sources import FilesSource, MailboxSource, PostfixSource, PushSource, SourcePolicy, SqlSource
from monitor.rules.reconcile.known import Known
from monitor.rules.reconcile.mails import confirmations_of_mails
from monitor.rules.reconcile.postfix import confirmations_of_log
from monitor.rules.reconcile.rows import confirmations_of_rows, refunds_of_rows


@dataclass(frozen=True, slots=True)
class Reading:
    """`dropped`: probes. `memory`: what the rule has to be given again with the next portion of this source; bounded."""

    records: Sequence[Refund] | Sequence[Confirmation]
    faults: tuple[RowFault, ...] = ()
    dropped: int = 0
    memory: str = ""


def read(source: SourcePolicy, known: Known, content: Table | Lines | Mails, memory: str, now: float) -> Reading:
    """The records in `content`, as this source is to be read. `now`: seconds since the epoch; a time far in the future is a fault."""
    faults: Sequence[RowFault]
    records: Sequence[Refund] | Sequence[Confirmation]
    if isinstance(content, Table) and not content.columns:  # nothing new: not even a header
        return Reading((), memory=memory)
    match source.via, content:
        case ((FilesSource(layout=layout) | SqlSource(layout=layout) | PushSource(layout=layout)), Table()):
            rows = refunds_of_rows if source.side is Side.REFUNDS else confirmations_of_rows
            records, faults, dropped = rows(content, layout, known, now)
            return Reading(records, tuple(faults), dropped)
        case PostfixSource() as via, Lines():
            records, faults, dropped, memory = confirmations_of_log(content, via, known, memory, now)
            return Reading(records, tuple(faults), dropped, memory)
        case MailboxSource() as via, Mails():
            records, faults, dropped = confirmations_of_mails(content, via, known)
            return Reading(records, tuple(faults), dropped)
        case _:
            raise TypeError(f"{type(source.via).__name__} does not give {type(content).__name__}")
