"""Evidence that fails a gate at once: a wrong amount, a trip, a refusal where mail was taken before this deploy, a stall."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from monitor.model.gate import Baseline, Because
from monitor.model.submission import Step
from monitor.rules.gate.arms import Class
from monitor.rules.overdue import is_overdue
from monitor.views.gates import GateState, GateTrial, Trip
from monitor.views.world import World

ENOUGH = 2  # mailboxes, and providers, that must agree; or all that there are
_FOR_ALL = frozenset({Step.CONNECT, Step.TLS, Step.AUTH, Step.MAIL_FROM})  # who is refused here is refused whatever the mailbox


@dataclass(frozen=True, slots=True)
class Decisive:
    """`providers`: the classes that it is about; none for a trip, which is about all."""

    because: Because
    providers: tuple[str, ...]
    trials: tuple[GateTrial, ...] = ()
    trips: tuple[Trip, ...] = ()

    @property
    def seqs(self) -> tuple[int, ...]:
        return tuple(trial.shown_by for trial in self.trials) + tuple(trip.seq for trip in self.trips)


def decisive(world: World, state: GateState, classes: Sequence[Class]) -> list[Decisive]:
    """All that there is, the worst first."""
    found = (_money(classes), _trips(world, state), _refusals(state, classes), _stalls(world, state, classes))
    return [each for each in found if each is not None]


def overdue(world: World, trials: Sequence[GateTrial]) -> list[GateTrial]:
    """Those that the peer took, and that are unseen for longer than their route's habit."""
    return [
        trial
        for trial in trials
        if trial.taken
        and (probe := world.probes.get(trial.probe)) is not None
        and is_overdue(probe, habit.habit if (habit := world.routes.get(str(trial.route))) else None)
    ]


def _money(classes: Sequence[Class]) -> Decisive | None:
    wrong = [each for each in classes if each.money]
    return Decisive(Because.WRONG_AMOUNT, _names(wrong), tuple(t for each in wrong for t in each.money)) if wrong else None


def _trips(world: World, state: GateState) -> Decisive | None:
    """Since the deploy began or the gate was first asked, whichever was earlier."""
    first = state.requests[0]
    since = (first.began, first.at)
    trips = tuple(trip for trip in world.gates.trips if any(trip.at.seconds_since(start) >= 0 for start in since))
    return Decisive(Because.TRIPPED, (), trips=trips) if trips else None


def _refusals(state: GateState, classes: Sequence[Class]) -> Decisive | None:
    refused = [(each, trial) for each in classes for trial in each.refused if _was_good(each.before, trial)]
    if not refused:
        return None
    canary = {route for each in classes for route in each.routes}
    first = min(trial.seq for _, trial in refused)
    if all(trial.route not in canary for _, trial in refused) and any(t.seq > first for each in classes for t in each.good):
        return None  # the way beside it is refused, and what the version under test sends arrives
    if not any(trial.step in _FOR_ALL for _, trial in refused) and not _agree(classes, refused):
        return None
    return Decisive(Because.REFUSED, _names(each for each, _ in refused), tuple(trial for _, trial in refused))


def _stalls(world: World, state: GateState, classes: Sequence[Class]) -> Decisive | None:
    if not state.request.policy.overdue_fails:
        return None
    late = [(each, trial) for each in classes for trial in overdue(world, each.under_way)]
    if not late or not _agree(classes, late):
        return None
    first = min(trial.seq for _, trial in late)
    if not any(trial.seq > first for each in classes for trial in each.control.arrived):
        return None
    return Decisive(Because.STALLED, _names(each for each, _ in late), tuple(trial for _, trial in late))


def _agree(classes: Sequence[Class], shown: Sequence[tuple[Class, GateTrial]]) -> bool:
    """At least two mailboxes of two providers show it, or all that the gate probes, where there are fewer."""
    boxes = {route.mailbox for each in classes for route in (*each.routes, *each.beside)}
    providers = {each.provider for each in classes}
    return len({trial.route.mailbox for _, trial in shown}) >= min(ENOUGH, len(boxes)) and len(_names(each for each, _ in shown)) >= min(
        ENOUGH, len(providers)
    )


def _was_good(before: Sequence[Baseline], trial: GateTrial) -> bool:
    """The route was good before this deploy, up to its last probe."""
    known = next((each for each in before if each.route == trial.route), None)
    if known is None or not known.good or known.last_good is None:
        return False
    return known.last_bad is None or known.last_good.seconds_since(known.last_bad) > 0


def _names(classes: Iterable[Class]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.provider for each in classes))
