"""reconcile: reads the sources of refunds and confirmations, and compares the two."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass

from monitor.desk import Desk
from monitor.model.facts import Reconciled, SourceBlind, SourceRestored
from monitor.model.instant import Instant
from monitor.model.ledger import Portion, Purge, Side, Standing, Table, Taking, Volume
from monitor.model.sources import PushSource, SourcePolicy
from monitor.ports import Ledger, LedgerSource, LedgerUnreadable, SourceError
from monitor.rules.reconcile import Knowledge, Reading, read
from monitor.rules.reconcile.changes import is_news
from monitor.rules.reconcile.known import mark_of
from monitor.rules.reconcile.volume import judge
from monitor.rules.reconcile.windows import lag_of, windows_of
from monitor.views.ledger import STORE

READ_WITHIN = 30.0  # seconds for one portion
FIRST_RETRY = 5.0  # seconds; doubled with each failure
LONGEST_RETRY = 300.0
PERIOD = 60.0  # seconds between two comparisons although nothing is known to have come: what is pushed goes past this stage
PURGE_EVERY = 3_600.0
VOLUME_EVERY = 60.0
SLICE = 300.0  # seconds
WEEKS = 9  # of slices that the baseline by hour of week is made of

_HEAD = re.compile(r"([0-9a-f]{16})( refused)?\n")  # before what the rule remembers: as what the source was read, see _Left
_REFUSED = ("not one row of what was read last could be taken", "see `mailcanary ledger status`, and mend the columns or the file")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Followed:
    """One source as it is being read."""

    policy: SourcePolicy
    source: LedgerSource
    task: asyncio.Task[None]


@dataclass(frozen=True, slots=True)
class _Left:
    """Where a source was left. `refused`: of what was read last nothing could be taken, so that it is not known what it says."""

    position: str
    memory: str
    refused: bool = False

    @classmethod
    def of(cls, policy: SourcePolicy, position: str, kept: str) -> _Left:
        """A source that is to be read in another way now is read from its beginning: what it said may have been misunderstood."""
        head = _HEAD.match(kept)
        if head is None:
            return cls(position, kept)
        if head[1] != _way(policy):
            return cls("", "", refused=bool(head[2]))
        return cls(position, kept[head.end() :], refused=bool(head[2]))

    def kept(self, policy: SourcePolicy) -> str:
        """What the store remembers of it."""
        if isinstance(policy.via, PushSource):
            return self.memory
        return f"{_way(policy)}{' refused' if self.refused else ''}\n{self.memory}"


class Reconcile:
    """Holds at most one portion of each source at a time: where the disk is slow, reading waits."""

    def __init__(self, desk: Desk, ledger: Ledger, sources: Mapping[str, LedgerSource]) -> None:
        self._desk = desk
        self._ledger = ledger
        self._sources = sources
        self._renewed = asyncio.Event()
        self._came = asyncio.Event()
        self._hurry = asyncio.Event()
        self._blind: set[str] = set()
        self._unkept: set[str] = set()  # who finds the store unreadable now
        self._known = Knowledge()
        self._purged = self._counted = -1e9  # on the monotonic clock
        self._volumes: tuple[Volume, ...] = ()
        self._mark = ""  # under which the store is used

    async def run(self) -> None:
        """Read each source on its schedule, and reconcile when something has come or come of age, for ever."""
        self._blind = set(self._desk.world.ledger.blind)
        followed: dict[str, _Followed] = {}
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._compare_for_ever(), name="compare")
            while True:
                self._renewed.clear()
                if self._mark != (mark := mark_of(self._desk.policy.ledger.key, self._desk.policy.ledger.match)):
                    await _stopped(followed)
                    await self._begin(mark)
                wanted = {name: (policy, self._sources[name]) for name, policy in self._policies().items() if name in self._sources}
                for name in [name for name, one in followed.items() if wanted.get(name) != (one.policy, one.source)]:
                    await _stopped({name: followed.pop(name)})
                    self._unkept.discard(name)
                for name, (policy, source) in wanted.items():
                    if name not in followed:
                        task = tasks.create_task(self._follow(policy, source), name=f"ledger {name}")
                        followed[name] = _Followed(policy, source, task)
                await self._renewed.wait()

    def reload(self, sources: Mapping[str, LedgerSource]) -> None:
        """Another configuration is in force: sources that are the same go on, new ones are read from where they were left."""
        self._sources = sources
        self._renewed.set()
        self._came.set()

    def nudge(self) -> None:
        """Records were pushed into the store."""
        self._came.set()

    async def _begin(self, mark: str) -> None:
        """Before anything is read or compared under it."""
        failures = 0
        while self._desk.policy.ledger.enabled:
            try:
                if await self._ledger.begin(mark):
                    _log.warning("ledger.key or ledger.match is another one: what was kept is forgotten, and sources are read anew")
            except LedgerUnreadable as error:
                failures += 1
                await self._unreadable("", error)
                await self._desk.clock.sleep(_backoff(failures))
            else:
                self._mark = mark
                self._came.set()
                return

    def read_now(self) -> None:
        """Every source is read at once, whatever its schedule; those that fail keep their wait."""
        self._hurry.set()
        self._hurry = asyncio.Event()

    def _policies(self) -> Mapping[str, SourcePolicy]:
        return self._desk.policy.ledger.sources

    # --- reading --------------------------------------------------------------------------------------------------------

    async def _follow(self, policy: SourcePolicy, source: LedgerSource) -> None:
        failures = 0
        while True:
            try:
                position, kept = await self._ledger.reached(policy.name)
                left = _Left.of(policy, position, kept)
                portion = await source.read(left.position, READ_WITHIN)
                refused = await self._take(policy, portion, left, (position, kept))
            except SourceError as error:
                failures += 1
                if failures > 1:
                    await self._blinded(policy.name, policy.side, error.detail, error.mend)
            except LedgerUnreadable as error:
                failures += 1
                await self._unreadable(policy.name, error)
            else:
                failures = 0
                if refused:
                    await self._blinded(policy.name, policy.side, *_REFUSED)
                else:
                    await self._restored(policy.name, policy.side)
                await self._readable(policy.name)
                self._came.set()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.0 if portion.more else policy.every):
                        await self._hurry.wait()
                continue
            await self._desk.clock.sleep(_backoff(failures))

    async def _take(self, policy: SourcePolicy, portion: Portion, left: _Left, stored: tuple[str, str]) -> bool:
        """Whether the source is refused. An empty portion is kept too: it tells how far the source was read."""
        now = self._desk.clock.now().utc
        known = self._known.now(self._desk.policy, self._desk.world.ledger)
        reading = await asyncio.to_thread(read, policy, known, portion.content, left.memory, now)
        after = _Left(portion.position, reading.memory, _refused(portion, reading, left.refused))
        moved = (after.position, after.kept(policy)) != stored  # else somebody else's word stands: a batch that was pushed
        await self._ledger.take(_taking(policy, portion, reading, now, after if moved else None, refused=after.refused))
        return after.refused

    # --- blindness ------------------------------------------------------------------------------------------------------

    async def _blinded(self, source: str, side: Side, detail: str, mend: str) -> None:
        if source not in self._blind:
            self._blind.add(source)
            await self._desk.commit([SourceBlind(self._desk.clock.now(), source, side, detail, mend)])

    async def _restored(self, source: str, side: Side) -> None:
        if source in self._blind:
            self._blind.discard(source)
            await self._desk.commit([SourceRestored(self._desk.clock.now(), source, side)])

    async def _unreadable(self, who: str, error: LedgerUnreadable) -> None:
        """Nothing can be kept or compared: every source is blind as one, until all who found it so find it well again."""
        self._unkept.add(who)
        await self._blinded(STORE, Side.REFUNDS, str(error), "")

    async def _readable(self, who: str) -> None:
        self._unkept.discard(who)
        if not self._unkept:
            await self._restored(STORE, Side.REFUNDS)

    # --- comparing ------------------------------------------------------------------------------------------------------

    async def _compare_for_ever(self) -> None:
        failures = 0
        while True:
            policy = self._desk.policy.ledger
            self._came.clear()
            if not policy.enabled or self._mark != mark_of(policy.key, policy.match):
                await self._came.wait()
                continue
            try:
                await self._compare()
                await self._purge()
            except LedgerUnreadable as error:
                failures += 1
                await self._unreadable("", error)
                await self._desk.clock.sleep(_backoff(failures))
                continue
            failures = 0
            await self._readable("")
            await self._desk.clock.sleep(policy.every)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, PERIOD - policy.every)):
                    await self._came.wait()

    async def _compare(self) -> None:
        desk = self._desk
        now = desk.clock.now()
        windows = windows_of(desk.policy.ledger, await self._ledger.sources(), now.utc)
        standing = await self._ledger.reconcile(windows, now.utc)
        volumes = await self._volume(standing, now)
        if is_news(desk.world.ledger.last, standing, volumes, now):
            await desk.commit([Reconciled(now, standing, volumes)])

    async def _volume(self, standing: Standing, now: Instant) -> tuple[Volume, ...]:
        """Of the last minute: slices are minutes long, and a baseline of weeks is not made of them every second."""
        policy = self._desk.policy.ledger
        if not policy.volume:
            return ()
        if now.mono - self._counted >= VOLUME_EVERY:
            slices = await self._ledger.volume(now.utc - WEEKS * 7 * 86_400.0, SLICE)
            self._volumes = judge(slices, SLICE, standing.refunds_until, standing.confirmations_until, lag_of(policy), now.utc)
            self._counted = now.mono
        return self._volumes

    async def _purge(self) -> None:
        """What is older than it may be is forgotten."""
        now = self._desk.clock.now()
        if now.mono - self._purged < PURGE_EVERY:
            return
        gone = await self._ledger.purge(Purge(before=now.utc - self._desk.policy.ledger.retention))
        self._purged = now.mono
        if gone.refunds or gone.confirmations or gone.differences:
            _log.info("past their time: %d refunds, %d confirmations, %d differences", gone.refunds, gone.confirmations, gone.differences)


async def _stopped(followed: dict[str, _Followed]) -> None:
    """None of them is read any more."""
    tasks = [one.task for one in followed.values()]
    followed.clear()
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def _way(policy: SourcePolicy) -> str:
    """As what a source is read, short."""
    return hashlib.blake2b(repr((policy.side, policy.via)).encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


def _refused(portion: Portion, reading: Reading, before: bool) -> bool:
    """Rows of which not even the refunds are known whom they are about: what they are about must not seem to be without its other half."""
    if reading.records or reading.dropped:
        return False
    faults = (*portion.faults, *reading.faults)
    if not faults or not isinstance(portion.content, Table):
        return before
    return before or not any(fault.key for fault in faults)


def _taking(policy: SourcePolicy, portion: Portion, reading: Reading, now: float, after: _Left | None, *, refused: bool) -> Taking:
    return Taking(
        source=policy.name,
        side=policy.side,
        origin=portion.origin,
        records=reading.records,
        at=now,
        faults=(*portion.faults, *reading.faults),
        dropped=reading.dropped,
        position=after.position if after is not None else None,
        memory=after.kept(policy) if after is not None else "",
        read_until=None if refused else portion.read_until,
    )


def _backoff(failures: int) -> float:
    return min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** min(failures - 1, 10))
