"""How an attempt ends without a decision: what was in the way, and whether it still can get out of it before its time is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from monitor.model.gate import Because
from monitor.model.instant import Instant
from monitor.model.policy import Policy
from monitor.model.probe import Route
from monitor.model.verdict import Reason, Verdict
from monitor.rules.gate.arms import Class
from monitor.rules.gate.pace import Room
from monitor.views.gates import MOST_TRIALS, GateState
from monitor.views.world import World

PAUSED_AFTER = 5.0  # seconds of a pause that nothing outlives
BLIND_AFTER = 15.0  # seconds without sight of any mailbox of a class
ROLLED_OUT_AFTER = 60.0  # seconds from the start of the attempt: a rollout may reach the endpoint later than the gate
UNSERVED = 20  # probes, or a first step, that others served: then the version under test is not there
FUTILE = 10  # probes of a class that all came to nothing
MOST_ASKED = 4  # times the probes of the plan that a class asks for in one attempt: what others serve is made up for
OWN_SHARE = 6  # probes that ended by our own fault, and are more than half
WORST = (
    Because.OWN_FAULT, Because.BASELINE_BROKEN, Because.UNOBSERVED, Because.BLIND, Because.UNSUBMITTED, Because.BUDGET, Because.TOO_FEW
)  # fmt: skip
_NEVER_SUBMITTED = frozenset({Reason.SUBMIT_MISCONFIGURED, Reason.SUBMIT_UNKNOWN})


class Obstacles:
    """What keeps the classes of one gate from their decisions."""

    def __init__(self, world: World, state: GateState, policy: Policy, now: Instant, classes: Sequence[Class]) -> None:
        self._world = world
        self._state = state
        self._policy = policy
        self._now = now
        self._classes = classes
        self._room = Room(world.gates, policy, now)
        self._age = now.seconds_since(state.request.at)

    def own_fault(self) -> bool:
        """Most of what this attempt sent ended by a fault of the monitor itself."""
        ended = [trial.reason.verdict for each in self._classes for trial in each.own if trial.reason is not None]
        own = ended.count(Verdict.ERROR)
        return own >= OWN_SHARE and own * 2 > len(ended)

    def stuck(self, of: Class) -> Because | None:
        """Nothing can change any more before the attempt's time is over: why."""
        if self._unserved():
            return Because.UNOBSERVED
        if self.paused_for() >= PAUSED_AFTER and not any(each.under_way for each in self._classes):
            return Because.UNSUBMITTED
        if self.blind_for(of) >= BLIND_AFTER and not of.under_way:
            return Because.BLIND
        if of.pending:
            return None
        if not (there := self.there(of)):
            return Because.UNSUBMITTED
        if all(self._room.exhausted(route) for route in there):
            return Because.BUDGET
        if self.left(of) <= 0 or of.ruling.needed <= of.ruling.resolved or self._futile(of):
            return self.cause(of)
        return None

    def cause(self, of: Class) -> Because:
        """What was in its way, if its time is over now."""
        if of.served and not of.observed:
            return Because.UNOBSERVED
        if self.blind_for(of) > 0:
            return Because.BLIND
        if self._world.paused is not None or not self.there(of):
            return Because.UNSUBMITTED
        ended = Counter(trial.reason for trial in of.own if trial.reason is not None and trial.reason.verdict is not Verdict.PASS)
        reason = ended.most_common(1)[0][0] if ended else None
        if reason is Reason.MAILBOX_BLIND:
            return Because.BLIND
        if reason in _NEVER_SUBMITTED:
            return Because.UNSUBMITTED
        if reason is Reason.BUDGET_EXHAUSTED or all(self._room.exhausted(route) for route in self.there(of)):
            return Because.BUDGET
        return Because.TOO_FEW

    def there(self, of: Class) -> list[Route]:
        """Its canary routes that are still configured."""
        return [route for route in of.routes if self.is_there(route)]

    def is_there(self, route: Route) -> bool:
        policy = self._policy
        return route in policy.routes and route.path in policy.paths and route.mailbox in policy.mailboxes

    def exhausted(self, route: Route) -> bool:
        return self._room.exhausted(route)

    def left(self, of: Class) -> int:
        """Probes that it may still ask for in this attempt."""
        room = MOST_TRIALS - len(self._state.trials)
        return max(0, min(room, MOST_ASKED * self._state.request.policy.plan.most - len(of.own)))

    def paused_for(self) -> float:
        """Seconds of this attempt; 0.0 while probes are submitted."""
        paused = self._world.paused
        return 0.0 if paused is None else min(self._now.seconds_since(paused.at), self._age)

    def blind_for(self, of: Class) -> float:
        """Seconds for which nobody could look into any mailbox of this class; 0.0 while one is watched."""
        since = [self._world.evidence.blind.get(name) for name in of.mailboxes]
        return min((self._now.seconds_since(at) if at is not None else 0.0 for at in since), default=0.0)

    def no_room(self, wanted: Sequence[Route], of: Sequence[Class]) -> str:
        """Why nothing of what is wanted can be asked for now, in plain words; empty: something can, or nothing is wanted. `of`: the classes
        that are undecided."""
        gates = self._policy.gates
        if wanted:
            room = Room(self._world.gates, self._policy, self._now)
            held = not any(room.take(route) for route in dict.fromkeys(wanted) if self.is_there(route))
            return f"waiting for room: {gates.burst} probes to a mailbox in {gates.window:g} s (gates.burst)" if held else ""
        short = [each for each in of if each.ruling.needed > len(each.counted) and self.left(each) > 0 and self.there(each)]
        if short and all(self._room.exhausted(route) for each in short for route in self.there(each)):
            return f"no room today: {gates.daily_share * 100:.3g} % of the day's probes are for gates (gates.daily_share)"
        return ""

    def timers(self) -> list[float]:
        """Seconds until what is said here may change by time alone."""
        waits = [ROLLED_OUT_AFTER - self._age]
        if self._world.paused is not None:
            waits.append(PAUSED_AFTER - self.paused_for())
        waits += [BLIND_AFTER - seconds for each in self._classes if (seconds := self.blind_for(each)) > 0]
        return waits

    def _unserved(self) -> bool:
        """Enough was served, in this attempt and long enough after its start, and nothing by the version under test."""
        if self._age < ROLLED_OUT_AFTER or any(each.observed for each in self._classes):
            return False
        plan = self._state.request.policy.plan
        resolved = sum(trial.reason is not None and trial.taken for each in self._classes for trial in each.own)
        return resolved >= max(UNSERVED, plan.steps[0].probes if plan.steps else 0)

    def _futile(self, of: Class) -> bool:
        """All that it has sent in this attempt came to nothing, for either arm."""
        ended = [trial for trial in of.own if trial.reason is not None]
        return self._age >= ROLLED_OUT_AFTER and len(ended) >= FUTILE and not (of.good or of.adverse or of.served)
