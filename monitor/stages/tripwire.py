"""tripwire: refund mail where none must ever come, if it is really ours; what imitates us; what nobody can tell."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace

from monitor.desk import Desk
from monitor.gathering import gather
from monitor.model.facts import Doubted, Imitated, Stray, Tripped
from monitor.model.mailauth import MailProof
from monitor.model.policy import MailboxPolicy
from monitor.model.probe import MailboxName
from monitor.ports import Resolver, SuffixList
from monitor.rules import tripwire
from monitor.rules.lookup import Lookup
from monitor.rules.tripwire import DOUBTED_A_DAY, IMITATED_A_DAY, RETRIES, Own, Ruled, Ruling
from monitor.views.tripwires import Daily

PROVE_WITHIN = 20.0  # seconds for all that one proof asks
AT_ONCE = 8  # proofs
MOST_WAITING = 200  # strays that wait for their proof; beyond it the oldest are decided on as they are

LOAD_AGAIN = 10.0  # seconds until that is tried again

_PROOF = "monitor.rules.mailauth.prove"
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Waiting:
    """A stray that our own proof has to decide on. `due` on the monotonic clock."""

    seq: int
    stray: Stray
    due: float
    tries: int = 0


class Tripwire:
    """Without a resolver the receiver's word decides alone."""

    def __init__(self, desk: Desk, resolver: Resolver | None = None, suffixes: SuffixList | None = None) -> None:
        self._desk = desk
        self._resolver = resolver
        self._suffixes = suffixes
        self._waiting: dict[int, _Waiting] = {}
        self._more = asyncio.Event()
        self._untold: dict[MailboxName, int] = {}  # imitations that were only counted

    def reload(self, resolver: Resolver | None, suffixes: SuffixList | None) -> None:
        """What waits is proven by the new one, or decided without."""
        self._resolver, self._suffixes = resolver, suffixes
        for one in self._waiting.values():
            one.due = 0.0
        self._more.set()

    async def run(self) -> None:
        """Decide on what a restart left lying, then on each stray that is found, for ever."""
        desk = self._desk
        cursor = desk.world.seq
        await self._decide(list(desk.world.tripwires.undecided.items()))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._prove_all(), name="tripwire-proofs")
            async for entries in desk.follow(cursor):
                await self._decide([(entry.seq, entry.fact) for entry in entries if isinstance(entry.fact, Stray)])

    async def _decide(self, strays: Iterable[tuple[int, Stray]]) -> None:
        """At once by the receiver's word, where it says enough; never waits for a lookup."""
        for seq, found in strays:
            stray = self._whole(found)
            if self._rule(stray, None).ruling is not Ruling.UNPROVEN:
                await self._tell(seq, stray, self._rule(stray, None))
                continue
            self._waiting[seq] = _Waiting(seq, stray, self._desk.clock.now().mono)
            self._more.set()
            if len(self._waiting) > MOST_WAITING:
                oldest = self._waiting.pop(next(iter(self._waiting)))
                await self._tell(oldest.seq, oldest.stray, self._rule(oldest.stray, None, provable=False))

    def _whole(self, stray: Stray) -> Stray:
        """With what its proof needs, where that was kept out of the journal."""
        return replace(stray, claim=self._desk.claims.get(stray.claimed)) if stray.claim is None and stray.claimed else stray

    def _rule(self, stray: Stray, own: Own | None, *, provable: bool = True) -> Ruled:
        desk = self._desk
        mailbox = desk.policy.mailboxes.get(stray.mailbox)
        if mailbox is None or desk.world.tripwires.is_settled(stray):
            return Ruled(Ruling.NOTHING)
        asks = self._resolver is not None and self._suffixes is not None
        return tripwire.judged(stray, mailbox, desk.policy, own, provable and asks)

    # --- what is told ----------------------------------------------------------------------------------------------

    async def _tell(self, seq: int, stray: Stray, ruled: Ruled) -> None:
        """Committed one by one, so that the world knows of it before its twin is looked at."""
        desk = self._desk
        at, box, evidence = desk.clock.now(), desk.policy.mailboxes.get(stray.mailbox), ruled.evidence
        if box is None:
            return
        match ruled.ruling:
            case Ruling.OURS:
                await desk.commit([Tripped(at, box.name, seq, stray.author_domain, self._with_leak(box, evidence), stray.internaldate)])
            case Ruling.DOUBT:
                if desk.world.tripwires.doubted.get(box.name, Daily()).on(at) >= DOUBTED_A_DAY:
                    return
                await desk.commit([Doubted(at, box.name, seq, stray.author_domain, evidence, stray.internaldate)])
            case Ruling.IMITATION:
                if desk.world.tripwires.imitated.get(box.name, Daily()).on(at) >= IMITATED_A_DAY:
                    self._untold[box.name] = self._untold.get(box.name, 0) + 1 + (stray.more or 0)
                    return
                more = self._untold.pop(box.name, 0) + (stray.more or 0)
                await desk.commit([Imitated(at, box.name, seq, stray.author_domain, evidence, stray.internaldate, more)])
            case Ruling.UNPROVEN | Ruling.NOTHING:
                pass

    def _with_leak(self, box: MailboxPolicy, evidence: tuple[str, ...]) -> tuple[str, ...]:
        """In its last line."""
        known = tripwire.known_outside(self._desk.world.tripwires, box, self._desk.policy, self._desk.clock.now())
        return (*evidence[:-1], f"{evidence[-1]}; {known}") if known else evidence

    # --- our own proof -----------------------------------------------------------------------------------------------

    async def _prove_all(self) -> None:
        while True:
            self._more.clear()
            now = self._desk.clock.now().mono
            due = [one for one in self._waiting.values() if one.due <= now][-AT_ONCE:]  # the newest first: a flood of phish delays no trip
            if due and not await self._loaded():
                await self._desk.clock.sleep(LOAD_AGAIN)
                continue
            if due:
                await asyncio.gather(*map(self._prove, due))
                continue
            soonest = min((one.due for one in self._waiting.values()), default=None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if soonest is None else soonest - now):
                    await self._more.wait()

    async def _prove(self, one: _Waiting) -> None:
        """Prove it and tell what it is, or put it off."""
        own = await self._proof(one)
        ruled = self._rule(one.stray, own, provable=own is not None)
        if ruled.ruling is Ruling.UNPROVEN:
            one.due = self._desk.clock.now().mono + RETRIES[one.tries]
            one.tries += 1
            return
        if self._waiting.pop(one.seq, None) is not None:
            await self._tell(one.seq, one.stray, ruled)

    async def _proof(self, one: _Waiting) -> Own | None:
        """None: there is nobody to ask, or we failed at it ourselves."""
        resolver, suffixes, claim = self._resolver, self._suffixes, one.stray.claim
        if resolver is None or suffixes is None or claim is None:
            return None
        try:
            from monitor.rules.mailauth.prove import prove  # noqa: PLC0415 - its cryptography is read when it is first needed

            seen = one.stray.at.utc
            came = seen if one.stray.internaldate is None else min(seen, one.stray.internaldate)

            def rule(lookup: Lookup) -> MailProof:
                return prove(claim, lookup, suffixes, came)  # as its receiver did: a signature may have expired since

            proof, _ = await gather(rule, resolver, None, PROVE_WITHIN)
        except Exception:  # what a stranger's mail provokes in a check must not end the trips
            _log.exception("a stray in %s could not be proven", one.stray.mailbox)
            return None
        return Own(proof, one.tries >= len(RETRIES), self._keys(), self._addresses())

    async def _loaded(self) -> bool:
        """Aside of the event loop. It takes descriptors, and probes may have used up those that there are."""
        if _PROOF in sys.modules:
            return True
        try:
            await asyncio.to_thread(importlib.import_module, _PROOF)
        except (OSError, ImportError) as error:
            _log.warning("what proves mail cannot be loaded yet: %s", error)
            return False
        return True

    def _keys(self) -> frozenset[tuple[str, str]]:
        """What our own mail was seen to be signed with, and what the configuration says."""
        desk = self._desk
        declared = {(name, selector) for name, domain in desk.policy.inspect.domains.items() for selector in domain.selectors}
        pairs = (text.partition(" ") for learned in desk.world.zones.learned.values() for text in learned.selectors)
        return frozenset({(domain, selector) for selector, _, domain in pairs} | declared)

    def _addresses(self) -> frozenset[str]:
        """Where our own mail was seen to come from."""
        return frozenset(address for learned in self._desk.world.zones.learned.values() for address in learned.addresses)
