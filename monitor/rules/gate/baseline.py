"""Is it the deploy, or was it broken anyway? What the control arm, the other classes and the time before the deploy say."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.model.gate import Because, Control, GatePolicy
from monitor.model.instant import Instant
from monitor.rules.gate.arms import Class, bad
from monitor.rules.gate.decisive import overdue
from monitor.views.world import World

OVERDUE = 5.0  # seconds until to look again at control probes that are overdue
CONTROL = 1.0  # seconds that a fail waits for control probes that are due
OTHERS = 10.0  # and for other providers, where both arms fail at one
EXCUSABLE = frozenset({Because.LOSSES, Because.REFUSED, Because.STALLED})


def excuse(policy: GatePolicy, of: Class, failing: Sequence[Class], all_: Sequence[Class], *, at_worst: bool = False) -> str:
    """Why its failure is not the deploy's, in plain words; empty: it is. `failing`: the classes that fail. `at_worst`: if all that is
    under way turned out for the deploy: control probes bad, those of other providers good."""
    if policy.control is Control.NONE:
        return ""
    arm = of.control
    if arm.is_bad_at_worst if at_worst else arm.is_bad:
        good, adverse = sum(each.good for each in of.before), sum(each.bad for each in of.before)
        if bad(good, adverse):
            return "the control arm fails too, as it did before the deploy"
        if good + adverse == 0:
            return "the control arm fails too, and nothing is known from before the deploy"
        if len(failing) == 1 and any(_is_well(each, at_worst=at_worst) for each in all_ if each is not of):
            return "the control arm fails too, and other providers are well"
        return ""
    if arm.good + arm.bad == 0:
        canary = [each for each in of.before if each.route in of.routes]
        if bad(sum(each.good for each in canary), sum(each.bad for each in canary)):
            return "it was as bad before the deploy, and no control arm says otherwise"
    return ""


def patience(world: World, policy: GatePolicy, of: Class, failing: Sequence[Class], all_: Sequence[Class], now: Instant) -> float:
    """Seconds for which a fail still waits, where what is under way may excuse it: other providers, if both arms fail at this one alone;
    control probes that were sent no later than the last bad one, which are due at any moment; and those that are overdue themselves."""
    shown = [trial for trial in of.adverse or of.refused if trial.decided is not None]
    if not shown or not excuse(policy, of, failing, all_, at_worst=True):
        return 0.0
    if of.control.is_bad:
        limit = OTHERS
    elif overdue(world, of.control.pending):
        return OVERDUE
    elif any(trial.seq <= max(each.seq for each in shown) for trial in of.control.pending):
        limit = CONTROL
    else:
        return 0.0
    ages = sorted((now.seconds_since(trial.decided) for trial in shown if trial.decided is not None), reverse=True)
    certain = ages[min(max(of.ruling.limit, 1), len(ages)) - 1]  # since the bad probe with which it fails
    return limit - certain if 0 <= certain < limit else 0.0


def _is_well(of: Class, *, at_worst: bool) -> bool:
    """Both arms have good probes and nothing else; or may have, if what is under way is good."""
    good, control = bool(of.good), of.control.good > 0
    if at_worst:
        good, control = good or bool(of.under_way), control or bool(of.control.pending)
    return good and control and not of.adverse and of.control.bad == 0
