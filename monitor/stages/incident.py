"""incident: turns verdicts, trips and silence into incidents."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from monitor.desk import Desk
from monitor.model.facts import (
    Closed,
    Entry,
    Judged,
    Looked,
    SubmitError,
    Transition,
)
from monitor.model.incident import Phase
from monitor.model.ledger import Impact
from monitor.model.policy import Policy
from monitor.model.probe import Route
from monitor.ports import Ledger, LedgerUnreadable
from monitor.rules.incident import Layout, decide
from monitor.rules.incident.matters import MATTERS
from monitor.rules.reconcile.impact import provider_of

IDLE = 3600.0
IMPACT_WITHIN = 1.0  # seconds for all that is told at once: no page waits longer for a number
TOLD = frozenset({Phase.OPENED, Phase.GROWN, Phase.FLAPPING, Phase.RESOLVED})  # people hear of it: it must survive the machine

_log = logging.getLogger(__name__)


class Incident:
    def __init__(self, desk: Desk, ledger: Ledger | None = None) -> None:
        self._desk = desk
        self._ledger = ledger  # asked for the impact on real refunds
        self._policy: Policy | None = None
        self._layout: Layout | None = None
        self._due = 0.0  # on the monotonic clock: when to decide although nothing happens

    async def run(self) -> None:
        """Decide by what a restart left, then whenever something happens that matters, and at the times that the rule asks for."""
        desk = self._desk
        cursor = desk.world.seq
        await self._decide(None)
        while True:
            try:
                async with asyncio.timeout(max(0.0, self._due - desk.clock.now().mono)):
                    await desk.journal.wait(cursor)
            except TimeoutError:
                await self._decide(())
                continue
            entries = await desk.journal.read(cursor)
            cursor = entries[-1].seq if entries else cursor
            touched = self._touched(entries)
            if desk.policy is not self._policy:
                await self._decide(None)
                continue
            if touched:
                await self._decide(touched)
            if any(isinstance(entry.fact, MATTERS) for entry in entries):
                await self._decide(())

    def _touched(self, entries: Iterable[Entry]) -> set[Route]:
        """The routes of which these facts may say something new."""
        world = self._desk.world
        touched: set[Route] = set()
        named = self._layout.routes if self._layout else {}
        for entry in entries:
            match entry.fact:
                case Judged() as fact:
                    touched.add(fact.route)
                case SubmitError() as fact:
                    if state := world.probes.get(fact.probe):
                        touched.add(state.plan.route)
                case Closed() if world.evidence.lost and world.evidence.lost[-1].seq >= entry.seq:
                    touched |= {route for loss in world.evidence.lost if loss.seq == entry.seq and (route := named.get(loss.route))}
                case Looked() as fact:
                    touched |= {state.plan.route for state in world.probes_to(fact.mailbox) if state.hunted}
                case _:
                    pass
        return touched

    async def _decide(self, touched: Collection[Route] | None) -> None:
        desk = self._desk
        if self._layout is None or desk.policy is not self._policy:
            self._policy, self._layout = desk.policy, Layout.of(desk.policy)
        now = desk.clock.now()
        decision = decide(desk.world, self._layout, desk.policy, now, touched)
        due = now.mono + (IDLE if decision.wake is None else decision.wake)
        self._due = min(self._due, due) if touched else due  # a look at some routes only does not put off the look at everything
        if decision.transitions:
            told = any(_is_told(fact) for fact in decision.transitions)
            await desk.commit(await self._weighed(decision.transitions) if told else decision.transitions, durable=told)

    async def _weighed(self, transitions: Sequence[Transition]) -> list[Transition]:
        """Those that people are told of with their impact on real refunds, as far as the ledger answers in time."""
        weighed = list(transitions)
        ledger, policy = self._ledger, self._desk.policy
        if ledger is None or not policy.ledger.enabled:
            return weighed
        known: dict[tuple[float, str], Impact] = {}
        try:
            async with asyncio.timeout(IMPACT_WITHIN):
                for index, fact in enumerate(weighed):
                    if not _is_told(fact) or (fact.parent is not None and fact.phase is not Phase.OPENED):
                        continue
                    asked = (fact.since.utc, provider_of(fact.scope, policy))
                    if asked not in known:
                        known[asked] = await ledger.impact(asked[0], fact.at.utc, asked[1])
                    weighed[index] = replace(fact, impact=known[asked])
        except TimeoutError:
            _log.warning("the ledger store did not say within %.0f s what an incident means for real refunds", IMPACT_WITHIN)
        except LedgerUnreadable as error:
            _log.warning("what an incident means for real refunds is not known: %s", error)
        return weighed


def _is_told(fact: Transition) -> bool:
    return fact.phase in TOLD
