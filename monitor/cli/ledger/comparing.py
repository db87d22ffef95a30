"""Two files, read once, compared, and forgotten: the records lie in a file without a name that is gone with the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from monitor.cli.ledger.mends import as_flags
from monitor.cli.ledger.order import Order
from monitor.edge.ledger import SqliteLedger, Undecided
from monitor.edge.sources.whole import whole
from monitor.model.ledger import ClassStanding, Difference, RowFault, Side, SourceStanding, Standing, Table, Taken, Taking, Wanted, Windows
from monitor.model.sources import FilesSource
from monitor.model.verdict import Verdict
from monitor.ports import Clock
from monitor.rules.reconcile import read
from monitor.rules.reconcile.header import CONFIRMATIONS, REFUNDS, lacking, unread_outcomes

KEPT_FAULTS = 1_000  # of one file; beyond them they are counted
COLUMNS = {Side.REFUNDS: "--refund-columns", Side.CONFIRMATIONS: "--confirmation-columns"}  # the flags that name them
OPTION = {Side.REFUNDS: "--refund-option", Side.CONFIRMATIONS: "--confirmation-option"}
PAGE = 5_000  # differences at a time

Heard = Callable[[str, int], None]  # what is being done, and the bytes of both files that were read so far


@dataclass(slots=True)
class FileRead:
    """One file as it was read."""

    name: str
    records: int = 0
    known: int = 0  # the same again
    probes: int = 0
    refused: int = 0
    faults: list[RowFault] = field(default_factory=list)
    earliest: float | None = None
    latest: float | None = None
    lacking: tuple[str, ...] = ()  # what could be compared and no column says
    outcomes: str = ""  # of confirmations: the column that says what became of the mails, and that is not read


@dataclass(slots=True)
class Comparison:
    """`as_of`: until when both files are taken as complete; None: there is no row to say so."""

    store: SqliteLedger
    refunds: FileRead
    confirmations: FileRead
    standing: Standing
    as_of: float | None
    undecided: Undecided

    @property
    def classes(self) -> list[ClassStanding]:
        """Those in which something differs."""
        return [each for each in self.standing.classes if each.open]

    @property
    def uncompared(self) -> list[str]:
        """What the refunds say and the confirmations do not."""
        return [field for field in self.confirmations.lacking if field not in self.refunds.lacking]

    @property
    def waiting(self) -> int:
        """Records that could not be decided."""
        return self.standing.awaited + self.standing.undecided

    @property
    def decided(self) -> int:
        return self.refunds.records + self.confirmations.records - self.waiting

    @property
    def enough(self) -> bool:
        """More was decided than waits, and on no side is all too young: two exports that are cut at midnight have some at both ends."""
        return not self.undecided.young and self.waiting <= self.decided

    @property
    def verdict(self) -> Verdict:
        """Inconclusive: nothing differs as far as could be seen, but rows were refused, or too little could be decided."""
        if self.classes:
            return Verdict.FAIL
        whole = not self.refunds.refused and not self.confirmations.refused and self.refunds.records and self.confirmations.records
        return Verdict.PASS if whole and self.enough and not self.confirmations.outcomes else Verdict.INCONCLUSIVE

    async def first(self, count: int) -> Sequence[Difference]:
        return (await self.store.differences(Wanted(limit=count))).differences

    async def differences(self) -> AsyncIterator[Sequence[Difference]]:
        """In pages, so that any number of them fits."""
        after: int | None = 0
        while after is not None:
            page = await self.store.differences(Wanted(after=after, limit=PAGE))
            yield page.differences
            after = page.after


@asynccontextmanager
async def compared(order: Order, clock: Clock, heard: Heard) -> AsyncIterator[Comparison]:
    """Raises SourceError when a file cannot be read, LedgerUnreadable when there is no room for its records."""
    store = SqliteLedger(None)
    try:
        refunds, done = await _taken(store, order, Side.REFUNDS, order.refunds, clock, heard, 0)
        confirmations, done = await _taken(store, order, Side.CONFIRMATIONS, order.confirmations, clock, heard, done)
        heard("comparing", done)
        begun: float | None = None
        for source in await store.sources():
            _dated(refunds if source.side is Side.REFUNDS else confirmations, source)
            if source.side is Side.REFUNDS:
                begun = _begun(source, order)
        newest = [time for time in (refunds.latest, confirmations.latest) if time is not None]
        as_of = order.as_of if order.as_of is not None else max(newest, default=None)
        windows = Windows(order.confirm_within, order.refund_within, as_of, as_of, begun, 0.0)
        standing = await store.reconcile(windows, clock.now().utc)
        heard("writing", done)
        yield Comparison(store, refunds, confirmations, standing, as_of, await store.undecided(windows))
    finally:
        await store.close()


def _dated(file: FileRead, source: SourceStanding) -> None:
    file.earliest, file.latest = source.earliest, source.latest
    file.faults.sort(key=lambda fault: fault.line)  # conflicts are known a portion later than what cannot be read


def _begun(refunds: SourceStanding, order: Order) -> float | None:
    """When the refunds begin. Dates without a time are taken as the ends of their days: those begin with the first day."""
    via = order.sources[Side.REFUNDS].via
    assert isinstance(via, FilesSource)  # noqa: S101 - made so
    if refunds.earliest is None:
        return None
    zone = ZoneInfo(via.layout.time_zone)
    moments = [datetime.fromtimestamp(at, zone) for at in (refunds.earliest, *refunds.days)]
    if any((at.hour, at.minute, at.second) != (23, 59, 59) for at in moments):
        return refunds.earliest
    return moments[0].replace(hour=0, minute=0, second=0, microsecond=0).timestamp()


async def _taken(
    store: SqliteLedger, order: Order, side: Side, path: Path, clock: Clock, heard: Heard, before: int
) -> tuple[FileRead, int]:
    """The file as it was read, and the bytes so far. While one portion is being kept, the next one is being understood."""
    source, file, keeping = order.sources[side], FileRead(str(path)), None
    assert isinstance(source.via, FilesSource)  # noqa: S101 - made so
    done = before
    now = clock.now().utc
    try:
        for portion, count in whole(path, source.via):
            if isinstance(portion.content, Table) and keeping is None:
                _look(file, side, portion.content, source.via.layout.columns)
            reading = read(source, order.known, portion.content, "", now)
            if keeping is not None:
                _count(file, side, await keeping)
            _note(file, side, (*portion.faults, *reading.faults))
            file.probes += reading.dropped
            done = before + count
            heard(f"reading {side.value}", done)
            taking = Taking(side.value, side, portion.origin, reading.records, now, (*portion.faults, *reading.faults), reading.dropped)
            keeping = asyncio.create_task(store.take(taking), name="keeping")
            await clock.sleep(0)  # it begins now, in its thread
        if keeping is not None:
            _count(file, side, await keeping)
    finally:
        if keeping is not None:
            keeping.cancel()
    return file, done


def _look(file: FileRead, side: Side, first: Table, named: Mapping[str, str]) -> None:
    """At what is there to be compared."""
    file.lacking = lacking(first, REFUNDS if side is Side.REFUNDS else CONFIRMATIONS, named)
    if side is Side.CONFIRMATIONS:
        file.outcomes = unread_outcomes(first, named)


def _count(file: FileRead, side: Side, taken: Taken) -> None:
    file.records += taken.new
    file.known += taken.known
    _note(file, side, taken.conflicts)


def _note(file: FileRead, side: Side, faults: Sequence[RowFault]) -> None:
    file.refused += len(faults)
    kept = faults[: max(0, KEPT_FAULTS - len(file.faults))]
    file.faults.extend(replace(fault, mend=as_flags(fault.mend, COLUMNS[side], OPTION[side])) for fault in kept)
