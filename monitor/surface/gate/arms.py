"""The probes of a gate as they are shown: arm by arm and route by route, and class by class in send order."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitor.model.facts import GateDecided
from monitor.model.gate import Arm
from monitor.model.probe import ProbeId, Route
from monitor.model.verdict import Reason, Verdict
from monitor.rules.gate.arms import LAST, Class, Names, classes, is_compared, outcome, place
from monitor.views.evidence import Trial
from monitor.views.gates import GateState, GateTrial
from monitor.views.world import World

GOOD, ADVERSE, OPEN, ASIDE = "·", "x", "?", "-"
LONGEST_SEQUENCE = 400

COLUMNS: dict[Reason, str] = {
    Reason.PASS: "delivered",
    Reason.LATE: "late",
    Reason.SPAM: "spam",
    Reason.MISFILED: "misplaced",
    Reason.MISROUTED: "misplaced",
    Reason.MISSING: "missing",
    Reason.STALLED: "missing",
    Reason.BOUNCED: "missing",
    Reason.REJECTED: "rejected",
    Reason.DEFERRED: "rejected",
    Reason.SUBMIT_UNREACHABLE: "rejected",
    Reason.ALTERED: "altered",
    Reason.UNAUTHENTICATED: "other",
    Reason.DUPLICATE: "other",
}
NAMES = ("delivered", "late", "spam", "misplaced", "missing", "rejected", "altered", "other", "pending", "aside")
SINCE = "judged_since"  # of those that are pending: by now, after the decision, there is a verdict


@dataclass(frozen=True, slots=True)
class Sorted:
    """`trials` in send order, without those that were withdrawn; `arms`: the arm of each, None: neither's; `homes`: the arm of each route.
    `counted`: those that the decision counts; `refused`: those that are no evidence in either arm, but may fail the gate at once;
    `since`: those that were pending when the gate was decided, and are judged since: they are shown as the decision saw them."""

    trials: tuple[GateTrial, ...]
    arms: dict[ProbeId, Arm | None]
    homes: dict[Route, Arm]
    providers: dict[Route, str]
    counted: frozenset[ProbeId]
    refused: frozenset[ProbeId]
    since: frozenset[ProbeId]

    def mark(self, trial: GateTrial) -> str:
        """What one probe on a canary route says."""
        if trial.probe in self.since and self.arms[trial.probe] is Arm.CANARY:
            return OPEN
        if trial.money and self.arms[trial.probe] is Arm.CANARY:
            return ADVERSE
        if trial.probe not in self.counted:
            return ASIDE
        adverse = outcome(trial)
        return OPEN if adverse is None else ADVERSE if adverse else GOOD

    def sequence(self, provider: str) -> str:
        """Of the probes that were asked for as canaries of this class, the last LONGEST_SEQUENCE."""
        own = [trial for trial in self.trials if self.providers[trial.route] == provider and self.homes[trial.route] is Arm.CANARY]
        return "".join(map(self.mark, own[-LONGEST_SEQUENCE:]))


def sort(world: World, state: GateState) -> Sorted:
    found: list[Class] = classes(world, state)
    asked = {each.route: each for request in state.requests for each in request.routes}
    names = Names.of(state)
    trust = state.request.policy.trust_target
    trials = [trial for trial in state.trials.values() if not trial.gone and trial.route in asked]
    inorder = tuple(sorted(trials, key=lambda trial: trial.seq or LAST))
    arms = {trial.probe: place(trial, asked[trial.route].arm, names, trust=trust) for trial in trials}
    providers = {route: each.provider for route, each in asked.items()}
    return Sorted(
        inorder,
        arms,
        {route: each.arm for route, each in asked.items()},
        providers,
        frozenset(trial.probe for each in found for trial in each.counted),
        frozenset(trial.probe for each in found for trial in each.refused),
        _since(state.decision, inorder, arms, providers),
    )


def _since(
    decision: GateDecided | None, trials: Sequence[GateTrial], arms: Mapping[ProbeId, Arm | None], providers: Mapping[Route, str]
) -> frozenset[ProbeId]:
    """Probes that were pending when the gate was decided. A later verdict may also be a revision of one that the decision knew: as many of
    a class as it called pending were, and they are those that were sent last."""
    if decision is None:
        return frozenset()
    found = {trial.probe for trial in trials if arms[trial.probe] is Arm.CONTROL and _is_later(trial, decision)}
    for tally in decision.classes:
        of = [trial for trial in trials if providers[trial.route] == tally.provider and arms[trial.probe] is Arm.CANARY]
        later = [trial for trial in of if _is_later(trial, decision)]
        still = sum(outcome(trial) is None for trial in of)
        found |= {trial.probe for trial in later[max(0, len(later) - max(0, tally.pending - still)) :]}
    return frozenset(found)


def _is_later(trial: GateTrial, decision: GateDecided) -> bool:
    """What it says was said after the decision."""
    said = trial.seen if trial.money else trial.decided
    return said is not None and said.seconds_since(decision.at) > 0


def arm_rows(world: World, state: GateState, probes: Sorted) -> dict[str, list[dict[str, object]]]:
    """A row for each route that had a probe in the arm, in the order of the routes. The control arm holds scheduled probes since the deploy
    began too, up to the decision; a probe that is neither arm's stands aside in the canary arm."""
    columns: dict[Arm, dict[Route, list[tuple[str, float | None]]]] = {arm: {route: [] for route in probes.homes} for arm in Arm}
    for trial in probes.trials:
        arm = probes.arms[trial.probe] or Arm.CANARY
        shown = arm is Arm.CONTROL or trial.probe in probes.counted or trial.probe in probes.refused
        if trial.probe in probes.since:
            columns[arm][trial.route].append((SINCE, None))
        else:
            columns[arm][trial.route].append((_column(trial) if shown else "aside", trial.transit))
    names = Names.of(state)
    for route, of in columns[Arm.CONTROL].items():
        of += [(_column(trial), None) for trial in world.evidence.trials(str(route)) if _compared(trial, probes.homes[route], state, names)]
    return {arm.value: [_row(route, of) for route, of in routes.items() if of] for arm, routes in columns.items()}


def quantile(seconds: Sequence[float], share: float) -> float | None:
    """By nearest rank, so that it is one of them."""
    return round(sorted(seconds)[math.ceil(share * len(seconds)) - 1], 3) if seconds else None


def _compared(trial: Trial, home: Arm, state: GateState, names: Names) -> bool:
    """It was sent since the deploy began, not for this gate, and judged before the decision."""
    if trial.probe in state.trials or trial.sent.seconds_since(state.requests[0].began) < 0:
        return False
    if (ended := state.decision) is not None and (trial.decided is None or trial.decided.seconds_since(ended.at) > 0):
        return False
    return is_compared(trial, home, state.request, names)


def _row(route: Route, of: Sequence[tuple[str, float | None]]) -> dict[str, object]:
    counts = Counter(column for column, _ in of)
    transit = [seconds for _, seconds in of if seconds is not None]
    return {
        "route": str(route),
        "sent": len(of),
        **{name: counts[name] for name in NAMES},
        "pending": counts["pending"] + counts[SINCE],
        SINCE: counts[SINCE],
        "p50_s": quantile(transit, 0.5),
        "p95_s": quantile(transit, 0.95),
    }


def _column(trial: GateTrial | Trial) -> str:
    if trial.reason is None:
        return "pending"
    decided = trial.reason.verdict in (Verdict.PASS, Verdict.FAIL)
    return COLUMNS[trial.reason] if decided else "aside"
