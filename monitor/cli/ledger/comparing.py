"""Two files, read once, compared, and forgotten: the records lie in a file without a name that is gone with the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from monitor.cli.ledger.mends import as_flags
from monitor.cli.ledger.order import Order
from monitor.edge.ledger import SqliteLedger
from monitor.edge.sources.whole import whole
from monitor.model.ledger import Difference, RowFault, Side, SourceStanding, Standing, Taken, Taking, Wanted, Windows
from monitor.model.sources import FilesSource
from monitor.ports import Clock
from monitor.rules.reconcile import read

KEPT_FAULTS = 1_000  # of one file; beyond them they are counted
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


@dataclass(slots=True)
class Comparison:
    """`as_of`: until when both files are taken as complete; None: there is no row to say so."""

    store: SqliteLedger
    refunds: FileRead
    confirmations: FileRead
    standing: Standing
    as_of: float | None

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
        for source in await store.sources():
            _dated(refunds if source.side is Side.REFUNDS else confirmations, source)
        newest = [time for time in (refunds.latest, confirmations.latest) if time is not None]
        as_of = order.as_of if order.as_of is not None else max(newest, default=None)
        windows = Windows(order.confirm_within, order.refund_within, as_of, as_of, refunds.earliest, 0.0)
        standing = await store.reconcile(windows, clock.now().utc)
        heard("writing", done)
        yield Comparison(store, refunds, confirmations, standing, as_of)
    finally:
        await store.close()


def _dated(file: FileRead, source: SourceStanding) -> None:
    file.earliest, file.latest = source.earliest, source.latest
    file.faults.sort(key=lambda fault: fault.line)  # conflicts are known a portion later than what cannot be read


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


def _count(file: FileRead, side: Side, taken: Taken) -> None:
    file.records += taken.new
    file.known += taken.known
    _note(file, side, taken.conflicts)


def _note(file: FileRead, side: Side, faults: Sequence[RowFault]) -> None:
    file.refused += len(faults)
    kept = faults[: max(0, KEPT_FAULTS - len(file.faults))]
    file.faults.extend(replace(fault, mend=as_flags(fault.mend, side)) for fault in kept)
