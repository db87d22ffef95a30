"""The incident stage in a past that is told again."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from monitor.model.facts import (
    KIND_OF,
    Acknowledged,
    Closed,
    Entry,
    Fact,
    Judged,
    Looked,
    ResolveAsked,
    Silenced,
    SubmitError,
    Transition,
)
from monitor.model.incident import Phase
from monitor.model.instant import Instant
from monitor.model.policy import Policy
from monitor.model.probe import Route
from monitor.rules.incident import Layout, decide
from monitor.rules.incident.matters import MATTERS
from monitor.views.incidents import Incidents
from monitor.views.world import World

IDLE = 3600.0  # seconds until it is asked again although nothing happens
MAX_OPENED = 10_000
_MATTERS = (*MATTERS, Closed)
Said = Acknowledged | Silenced | ResolveAsked


class Deciding:
    """Asks the rule when the stage would ask it; `due` is on the monotonic clock of the process that speaks."""

    def __init__(self, policy: Policy, world: World) -> None:
        self._policy = policy
        self._world = world
        self._layout = Layout.of(policy)
        self._touched: set[Route] = set()
        self._matters = False
        self.due = inf
        self.opened: list[Transition] = []

    def saw(self, fact: Fact) -> None:
        """A fact was folded."""
        world = self._world
        match fact:
            case Judged():
                self._touched.add(fact.route)
            case SubmitError():
                if state := world.probes.get(fact.probe):
                    self._touched.add(state.plan.route)
            case Looked():
                self._touched |= {state.plan.route for state in world.probes_to(fact.mailbox) if state.hunted}
            case _:
                self._matters |= isinstance(fact, _MATTERS)

    def heard(self, fact: Said, recorded: Incidents) -> None:
        """What a person said of an incident of the record goes for the same trouble here, under whatever number."""
        about = recorded.known.get(fact.incident)
        if about is None:
            return
        for state in self._world.incidents.open():
            if (state.last.symptom, state.last.scope) == (about.last.symptom, about.last.scope):
                self._world.fold(Entry(self._world.seq, KIND_OF[type(fact)], replace(fact, incident=state.id)))
                self.saw(fact)

    def decide(self, now: Instant, afresh: bool) -> None:
        """Ask, if anything that matters happened or the time has come; `afresh`: a process begins."""
        if not (afresh or self._matters or self._touched or now.mono >= self.due):
            return
        decision = decide(self._world, self._layout, self._policy, now, None if afresh else tuple(self._touched))
        self._touched, self._matters = set(), False
        self.due = now.mono + (IDLE if decision.wake is None else max(decision.wake, 0.001))
        for fact in decision.transitions:
            self._world.fold(Entry(self._world.seq, "transition", fact))
            if fact.phase is Phase.OPENED and len(self.opened) < MAX_OPENED:
                self.opened.append(fact)
