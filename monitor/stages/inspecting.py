"""The second half of the stage inspect: one resolver, one configuration, until either is replaced."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from monitor.desk import Desk
from monitor.gathering import gather
from monitor.model.checks import CheckResult
from monitor.model.dns import Snapshot
from monitor.model.facts import Delivered, MailProved, ZoneObserved
from monitor.model.inspection import Cause
from monitor.model.instant import Instant
from monitor.model.mailauth import MailProof
from monitor.ports import Resolver, SuffixList, TransportProbe
from monitor.rules.inspect import Inspection, inspect, pace
from monitor.rules.inspect.observed import blind, observed, written
from monitor.rules.inspect.pace import Turn
from monitor.rules.inspect.subject import subject_of
from monitor.rules.inspect.unknowns import control
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.prove import prove

INSPECT_WITHIN = 60.0  # seconds for all that one inspection asks
PROVE_WITHIN = 20.0
AT_ONCE = 8  # inspections
IDLE = 60.0  # seconds between looks at the plan when nothing is due
STALE = 3600.0  # seconds after which a delivered mail that a process before left unproved is let be

_log = logging.getLogger(__name__)


class Inspecting:
    """`read_to`: the last fact that was taken notice of."""

    def __init__(self, desk: Desk, resolver: Resolver, transport: TransportProbe | None, suffixes: SuffixList, after: int) -> None:
        self._desk = desk
        self._resolver = resolver
        self._transport = transport
        self._suffixes = suffixes
        self.read_to = after
        self._turns: dict[str, Turn] = {}
        self._latest: dict[str, Instant] = {}  # when the last inspection of a domain ended
        self._under_way: set[str] = set()
        self._more = asyncio.Event()  # there may be something due
        self._unproved: dict[str, tuple[int, Delivered]] = {}  # route -> the latest; older ones are let be when we lag
        self._mail = asyncio.Event()

    async def run(self) -> None:
        self._plan_first()
        self._left_unproved()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(), name="zones-facts")
            tasks.create_task(self._prove_all(), name="zones-proofs")
            while True:
                self._more.clear()
                for domain in self._due():
                    self._under_way.add(domain)
                    tasks.create_task(self._inspect(domain, self._turns.pop(domain)), name="zones-inspection")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._rest()):
                        await self._more.wait()

    # --- when ------------------------------------------------------------------------------------------------------

    def _plan_first(self) -> None:
        policy, now = self._desk.policy.inspect, self._desk.clock.now()
        for index, domain in enumerate(policy.domains):
            self._turns[domain] = pace.first(index, len(policy.domains), policy.every, now)

    def _due(self) -> list[str]:
        now = self._desk.clock.now()
        ready = [domain for domain, turn in self._turns.items() if now.reached(turn.at) and domain not in self._under_way]
        ready.sort(key=lambda domain: self._turns[domain].at.mono)
        return ready[: max(0, AT_ONCE - len(self._under_way))]

    def _rest(self) -> float:
        """Seconds until something may be due. A full house is woken by the first that ends."""
        now = self._desk.clock.now()
        waiting = [turn.at.seconds_since(now) for domain, turn in self._turns.items() if domain not in self._under_way]
        full = len(self._under_way) >= AT_ONCE
        return IDLE if full else min(IDLE, max(0.0, min(waiting, default=IDLE)))

    async def _listen(self) -> None:
        """Never waits for an inspection: what happens meanwhile is a cause for the next."""
        desk = self._desk
        async for entries in desk.follow(self.read_to):
            for entry in entries:
                if isinstance(entry.fact, Delivered):
                    self._unproved[str(entry.fact.route)] = (entry.seq, entry.fact)
                    self._mail.set()
                elif (woken := pace.woken(entry.fact, desk.policy, desk.world.zones)) is not None:
                    self._wake(*woken)
            self.read_to = entries[-1].seq

    def _wake(self, cause: Cause, domains: tuple[str, ...]) -> None:
        now = self._desk.clock.now()
        for domain in domains:
            latest = now if domain in self._under_way else self._latest.get(domain)
            self._turns[domain] = pace.sooner(self._turns.get(domain), cause, latest, now)
        self._more.set()

    # --- zones -----------------------------------------------------------------------------------------------------

    async def _inspect(self, domain: str, turn: Turn) -> None:
        desk = self._desk
        if domain not in desk.policy.inspect.domains:  # another configuration is about to replace us
            return
        fact = await self._observed(domain, turn.cause)
        before = desk.world.zones.domains.get(domain)
        following = pace.following(
            fact, before, (before.blinded if before else 0) + 1, desk.policy.inspect.every, desk.entropy.uniform(-1.0, 1.0)
        )
        regained = before is not None and before.blind is not None and not fact.blind
        await desk.commit(written(fact, before))
        self._latest[domain] = fact.at
        if regained:  # our resolvers answer again: the others need not wait until their patience is over
            blind = {name for name, zone in desk.world.zones.domains.items() if zone.blind is not None}
            self._wake(Cause.CONFIRM, tuple(name for name in desk.policy.inspect.domains if name in blind))
        meanwhile = self._turns.get(domain)
        if meanwhile is None or meanwhile.at.seconds_since(following.at) > 0:
            self._turns[domain] = following
        self._under_way.discard(domain)
        self._more.set()

    async def _observed(self, domain: str, cause: Cause) -> ZoneObserved:
        desk = self._desk
        policy = desk.policy.inspect
        subject = subject_of(policy.domains[domain], desk.policy, desk.world.zones, desk.clock.now().utc)

        def rule(lookup: Lookup) -> Inspection:
            control(lookup)
            return inspect(subject, lookup, self._suffixes)

        try:
            transport = self._transport if policy.transport else None
            inspection, lookup = await gather(rule, self._resolver, transport, INSPECT_WITHIN)
            before = desk.world.zones.domains.get(domain)

            def judged(answers: Snapshot) -> tuple[CheckResult, ...]:
                return inspect(subject, Lookup(answers, lookup.seen, closed=True), self._suffixes).results

            return observed(inspection, lookup.answers, before, judged, len(policy.resolvers), cause, desk.clock.now())
        except Exception as bug:  # what a zone provokes in a check must not end the probes
            _log.exception("the inspection of %s failed", domain)
            return blind(domain, f"fault of our own in the checks ({type(bug).__name__}); please report it", cause, desk.clock.now())

    # --- delivered mail --------------------------------------------------------------------------------------------

    def _left_unproved(self) -> None:
        zones, now = self._desk.world.zones, self._desk.clock.now()
        for route, (seq, fact) in zones.delivered.items():
            proved = zones.proofs.get(route)
            if (proved is None or proved.delivered != seq) and now.utc - fact.at.utc < STALE:
                self._unproved[route] = (seq, fact)
                self._mail.set()

    async def _prove_all(self) -> None:
        while True:
            await self._mail.wait()
            self._mail.clear()
            while self._unproved:
                route = next(iter(self._unproved))
                await self._prove(*self._unproved.pop(route))

    async def _prove(self, seq: int, fact: Delivered) -> None:
        desk = self._desk
        state = desk.world.probes.get(fact.probe)
        sent = state.first_attempt.utc if state is not None and state.first_attempt is not None else 0.0

        border, seen = fact.mail.border, fact.at.utc
        came = min(seen, border.at) if border is not None and border.at is not None else seen

        def rule(lookup: Lookup) -> MailProof:
            return prove(fact.mail, lookup, self._suffixes, came)  # as its receiver did: a signature may have expired since

        try:
            proof, _ = await gather(rule, self._resolver, None, PROVE_WITHIN)
        except Exception:  # as above; the mail stays unproved
            _log.exception("a delivered mail of %s could not be proved", fact.route)
            return
        await desk.commit([MailProved(desk.clock.now(), fact.probe, fact.route, seq, proof, sent)])
