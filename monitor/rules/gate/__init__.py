"""One gate: its evidence so far -> what to probe next, or the decision. Prefix-complete, per mailbox class, combined by the worst."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.model.facts import GateDecided
from monitor.model.gate import GATE_VERDICT, Arm, Because, ClassTally
from monitor.model.instant import Instant
from monitor.model.policy import Policy
from monitor.model.probe import Route
from monitor.model.verdict import Verdict
from monitor.views.gates import GateState
from monitor.views.world import World

__all__ = ["Standing", "assess"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a running attempt stands. `decided`: its end; otherwise `needs` are the probes to ask for, in order, and `wake` the seconds
    until to look again although nothing happens. `reason` is the line that people read meanwhile."""

    decided: GateDecided | None
    reason: str
    classes: tuple[ClassTally, ...] = ()
    needs: tuple[Route, ...] = ()
    wake: float = 1.0
    adverse: bool = False  # there is evidence against the deploy


def assess(world: World, state: GateState, policy: Policy, now: Instant) -> Standing:
    """Total; the same evidence gives the same standing."""
    request = state.request
    classes = []
    needs: list[Route] = []
    for provider in dict.fromkeys(each.provider for each in request.routes):
        routes = [each.route for each in request.routes if each.provider == provider and each.arm is Arm.CANARY]
        trials = sorted((t for t in state.trials.values() if t.route in routes), key=lambda t: t.seq or 1 << 60)
        good = sum(t.reason is not None and t.reason.verdict is Verdict.PASS for t in trials)
        bad = sum(t.reason is not None and t.reason.verdict is Verdict.FAIL for t in trials)
        step = request.policy.plan.steps[0].probes
        pending = len(trials) - good - bad
        because = Because.LOSSES if bad >= request.policy.plan.reject else Because.CLEAN if good >= step else None
        classes.append(ClassTally(provider, because, len(trials), good, bad, pending, 0, step, 2, 0, 0, 1.0))
        missing = step - len(trials) - state.asked
        needs += [routes[i % len(routes)] for i in range(max(0, missing))]
    found = [c.because for c in classes]
    because = (
        Because.LOSSES if Because.LOSSES in found
        else Because.CLEAN if all(b is Because.CLEAN for b in found)
        else Because.TOO_FEW if now.reached(request.until)
        else None
    )  # fmt: skip
    if because is None:
        return Standing(None, "probes are under way", tuple(classes), tuple(needs))
    decided = GateDecided(
        now, state.id, request.deploy, request.attempt, GATE_VERDICT[because], because, because.value, tuple(classes), ()
    )  # fmt: skip
    return Standing(decided, decided.reason, tuple(classes))
