"""Evidence that fails a gate at once: a wrong amount, a trip, a refusal where mail was taken before this deploy, a stall."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from monitor.model.gate import Baseline, Because
from monitor.model.submission import Step
from monitor.model.verdict import Verdict
from monitor.rules.gate.arms import Class
from monitor.rules.overdue import is_overdue
from monitor.views.gates import GateState, GateTrial, Trip
from monitor.views.world import World
from monitor.views.zones import FindingState

SKEW = 300.0  # seconds that a receiver's clock may differ from ours
ENOUGH = 2  # mailboxes, and providers, that must agree; or all that there are
_FOR_ALL = frozenset({Step.CONNECT, Step.TLS, Step.AUTH, Step.MAIL_FROM})  # who is refused here is refused whatever the mailbox


@dataclass(frozen=True, slots=True)
class Decisive:
    """`providers`: the classes that it is about; none for a trip or a finding, which are about all."""

    because: Because
    providers: tuple[str, ...]
    trials: tuple[GateTrial, ...] = ()
    trips: tuple[Trip, ...] = ()
    findings: tuple[tuple[str, FindingState], ...] = ()  # (domain, what stands)

    @property
    def seqs(self) -> tuple[int, ...]:
        return (
            tuple(trial.shown_by for trial in self.trials) + tuple(trip.seq for trip in self.trips) + tuple(f.seq for _, f in self.findings)
        )


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
    oldest = min(start.utc for start in since) - SKEW  # what lay there before was only read late
    trips = tuple(
        trip
        for trip in world.gates.trips
        if any(trip.at.seconds_since(start) >= 0 for start in since) and (trip.arrived is None or trip.arrived >= oldest)
    )
    return Decisive(Because.TRIPPED, (), trips=trips) if trips else None


def _refusals(state: GateState, classes: Sequence[Class]) -> Decisive | None:
    good = {known.route for each in classes for known in each.before if _was_good(known)}
    refused = [(each, trial) for each in classes for trial in each.refused if trial.route in good]
    if not refused:
        return None
    canary = {route for each in classes for route in each.routes}
    if all(trial.route not in canary for _, trial in refused) and not _all_in_vain(state, classes):
        return None  # the way beside it is refused, and what the version under test sends arrives, or may
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


def _all_in_vain(state: GateState, classes: Sequence[Class]) -> bool:
    """What the version under test was given in this attempt has ended, and nothing of it arrived."""
    own = [trial for each in classes for trial in each.counted if trial.attempt == state.request.attempt]
    return bool(own) and all(trial.reason is not None and trial.reason.verdict is Verdict.FAIL for trial in own)


def _agree(classes: Sequence[Class], shown: Sequence[tuple[Class, GateTrial]]) -> bool:
    """At least two mailboxes of two providers show it. Where there are fewer: all of them, twice, and nothing good came since."""
    if len(shown) < ENOUGH:
        return False
    boxes = {route.mailbox for each in classes for route in (*each.routes, *each.beside)}
    providers = {each.provider for each in classes}
    if len({trial.route.mailbox for _, trial in shown}) < min(ENOUGH, len(boxes)):
        return False
    if len(providers) >= ENOUGH:
        return len(_names(each for each, _ in shown)) >= ENOUGH
    first = min(trial.seq for _, trial in shown)
    return not any(trial.seq > first for each in classes for trial in each.good)


def _was_good(known: Baseline) -> bool:
    """The route was good before this deploy, up to its last probe."""
    if not known.good or known.last_good is None:
        return False
    return known.last_bad is None or known.last_good.seconds_since(known.last_bad) > 0


def _names(classes: Iterable[Class]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.provider for each in classes))
