"""One gate: its evidence so far -> what to probe next, or the decision. Prefix-complete, per mailbox class, combined by the worst.

A fail is said at once; it needs what the classes show (rules/gate/sequence) or one thing that is decisive (decisive), and that nothing
excuses it (baseline). A pass needs every class, and a moment in which nothing spoils it. The rest ends inconclusive, as soon as nothing
can change any more (ends).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.model.facts import GateDecided
from monitor.model.gate import GATE_VERDICT, Because, ClassTally, faults
from monitor.model.instant import Instant
from monitor.model.policy import Policy
from monitor.model.probe import Route
from monitor.model.verdict import Reason, Verdict
from monitor.rules.gate import wording, zone
from monitor.rules.gate.arms import Class, classes, outcome
from monitor.rules.gate.baseline import EXCUSABLE, excuse, patience
from monitor.rules.gate.decisive import Decisive, decisive
from monitor.rules.gate.ends import WORST, Obstacles
from monitor.rules.gate.needs import needs, next_round, widened
from monitor.rules.gate.statistics import loss_upper
from monitor.views.gates import AHEAD, GateState, GateTrial
from monitor.views.world import World

__all__ = ["Standing", "assess"]

MOST_EVIDENCE = 100
SOONEST, LATEST = 0.05, 5.0  # seconds of `wake`


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
    return _Assessment(world, state, policy, now).standing()


class _Assessment:
    """One look at one gate."""

    def __init__(self, world: World, state: GateState, policy: Policy, now: Instant) -> None:
        self._world = world
        self._state = state
        self._asked = state.request.policy
        self._now = now
        self._never = faults(self._asked)
        self._classes = [] if self._never else classes(world, state)
        self._decisive = decisive(world, state, self._classes)
        self._zone = zone.inspected(world, state, policy)
        if self._zone.new:
            self._decisive.append(Decisive(Because.FINDING, (), findings=self._zone.new))
        self._obstacles = Obstacles(world, state, policy, now, self._classes)
        self._found: dict[str, Because | None] = {each.provider: None for each in self._classes}
        self._excuses: dict[str, str] = {}
        self._waits: list[float] = []
        self._held: set[str] = set()  # classes whose fail waits for what may excuse it

    def standing(self) -> Standing:
        request = self._state.request
        # asked by a clock that was ahead: its time would be over when that time comes
        over = self._now.reached(request.until) or self._now.seconds_since(request.at) < -AHEAD
        if self._never:
            return self._end(Because.TOO_FEW, f"policy {self._asked.name} can never decide: {self._never}")
        self._rule(over=over)
        if self._state.cancelled is not None:
            return self._end(Because.CANCELLED, f"cancelled by {self._state.cancelled.by}: {self._state.cancelled.reason}")
        if (fail := self._fails()) is not None:
            return self._fail(fail)
        if self._obstacles.own_fault():
            return self._give_up({Because.OWN_FAULT: [e for e in self._classes if self._found[e.provider] is None] or self._classes})
        ends = self._ends(over=over)
        live = [each for each in self._classes if self._found[each.provider] is None and each.provider not in ends]
        if live and not over:
            return self._pending(live)
        ended = {because: [e for e in self._classes if ends.get(e.provider) is because] for because in set(ends.values())}
        if ended or not self._classes:
            return self._give_up(ended or {Because.TOO_FEW: []})
        return self._pass(over=over)

    # --- what each class shows --------------------------------------------------------------------------------------

    def _rule(self, *, over: bool) -> None:
        failing = {each.provider: self._shows(each) for each in self._classes}
        against = [each for each in self._classes if failing[each.provider] not in (None, Because.CLEAN)]
        for each in self._classes:
            because = failing[each.provider]
            if because in EXCUSABLE:
                if why := excuse(self._asked, each, against, self._classes):
                    because, self._excuses[each.provider] = Because.BASELINE_BROKEN, why
                elif not over and (wait := self._patience(each, against)) > 0:
                    because = None
                    self._waits.append(wait)
                    self._held.add(each.provider)
            self._found[each.provider] = because

    def _patience(self, of: Class, against: Sequence[Class]) -> float:
        return patience(self._world, self._asked, of, against, self._classes, self._now)

    def _shows(self, of: Class) -> Because | None:
        """Before anything excuses it."""
        for each in self._decisive:
            if of.provider in each.providers and not (each.because is Because.STALLED and of.ruling.passed is False):
                return each.because
        match of.ruling.passed:
            case None:
                return None
            case True:
                return Because.CLEAN
            case False:
                return Because.LOSSES

    def _fails(self) -> Because | None:
        found = set(self._found.values()) | {each.because for each in self._decisive if not each.providers}
        order = (Because.WRONG_AMOUNT, Because.TRIPPED, Because.REFUSED, Because.LOSSES, Because.STALLED, Because.FINDING)
        return next((because for because in order if because in found), None)

    def _ends(self, *, over: bool) -> dict[str, Because]:
        """Why classes end undecided."""
        ends: dict[str, Because] = {}
        for each in self._classes:
            found = self._found[each.provider]
            if found is Because.BASELINE_BROKEN:
                ends[each.provider] = found
            elif found is Because.CLEAN and len(each.unanswered) >= each.ruling.limit:
                ends[each.provider] = Because.UNSUBMITTED  # a release that answers a part of its requests must not pass by that part
            elif found is None and each.provider not in self._held:
                because = self._obstacles.cause(each) if over else self._obstacles.stuck(each)
                if because is not None:
                    ends[each.provider] = because
        return ends

    # --- what follows -----------------------------------------------------------------------------------------------

    def _fail(self, because: Because) -> Standing:
        found = next((each for each in self._decisive if each.because is because), None)
        guilty = [each for each in self._classes if self._found[each.provider] is because]
        most = max(guilty, key=lambda each: len(each.adverse), default=None)
        adverse = [trial for each in guilty for trial in each.adverse]
        shown = wording.worst(found.trials if found is not None else adverse)
        rests = [*(found.trials if found is not None else ()), *adverse]
        tally = self._tally(most) if most is not None else None
        return self._end(because, wording.failed(found, tally, most, shown), rests, found, shown)

    def _give_up(self, ended: dict[Because, list[Class]]) -> Standing:
        because = next(each for each in WORST if each in ended)
        concerned = ended[because]
        self._found |= {each.provider: why for why, those in ended.items() for each in those}
        if because is Because.BASELINE_BROKEN:
            first = concerned[0]
            shown = wording.worst(first.adverse or first.refused)
            rests = [trial for each in concerned for trial in (each.adverse or each.refused)]
            return self._end(because, wording.excused(self._tally(first), first, self._excuses[first.provider], shown), rests, None, shown)
        text = wording.ended(because, concerned, self._tallies(), self._world)
        rests = [trial for each in self._classes for trial in each.adverse]
        return self._end(because, text, rests, None, wording.worst(rests))

    def _pass(self, *, over: bool) -> Standing:
        """Every class is clean."""
        rests = [trial for each in self._classes for trial in each.counted if trial.reason is not None]
        lacking = self._asked.min_routes - len({trial.route for trial in rests})
        settled = self._settled(rests)
        if lacking <= 0 and settled <= 0:
            return self._end(Because.CLEAN, wording.passed(self._tallies()), rests, None, wording.worst([t for t in rests if outcome(t)]))
        if over:
            why = (
                f"only {self._asked.min_routes - lacking} of {self._asked.min_routes} routes have evidence"
                if lacking > 0
                else "it was still settling"
            )
            return self._end(Because.TOO_FEW, wording.waiting(self._tallies(), f"the time is over and {why}"), rests)
        wanted: tuple[Route, ...] = ()
        if lacking > 0 and self._world.paused is None and not self._state.asked:
            open_ = sum(t.reason is None for each in self._classes for t in each.counted)
            wanted = widened(self._world, self._classes, lacking - open_, self._obstacles)
        self._waits.append(settled)
        what = f"{lacking} more routes must be seen" if lacking > 0 else "all good, settling"
        return self._wait(wanted, "; ".join(filter(None, (what, self._obstacles.no_room(wanted, ())))))

    def _pending(self, live: Sequence[Class]) -> Standing:
        open_ = [each for each in live if self._found[each.provider] is None]
        self._waits += [next_round(each, self._now) for each in live if each.adverse and each.beside]
        wanted = needs(self._world, self._state, open_, self._obstacles, self._now)
        return self._wait(wanted, "" if self._state.asked else self._obstacles.no_room(wanted, open_))

    def _settled(self, rests: Sequence[GateTrial]) -> float:
        """Seconds that are still to pass without anything new: since the last sighting or verdict, and since this process began to look."""
        last = [at for trial in rests for at in (trial.seen, trial.decided) if at is not None]
        if (started := self._world.started) is not None:
            last.append(started.at)
        quiet = min((age for at in last if (age := self._now.seconds_since(at)) >= 0), default=self._asked.settle)
        return self._asked.settle - quiet

    # --- what is told -----------------------------------------------------------------------------------------------

    def _wait(self, wanted: tuple[Route, ...], what: str = "") -> Standing:
        request = self._state.request
        waits = [*self._waits, *self._obstacles.timers(), -self._now.seconds_since(request.until)]
        wake = min([wait for wait in waits if wait > 0] + [LATEST])
        tallies = self._tallies()
        return Standing(None, wording.waiting(tallies, what), tallies, wanted, max(SOONEST, wake), self._against())

    def _end(
        self,
        because: Because,
        reason: str,
        rests: Sequence[GateTrial] = (),
        found: Decisive | None = None,
        shown: GateTrial | None = None,
    ) -> Standing:
        request = self._state.request
        tallies = self._tallies()
        seqs = dict.fromkeys((*(found.seqs if found is not None else ()), *(trial.shown_by for trial in rests)))
        seen = [trial for each in self._classes for trial in each.counted if trial.reason is not None] + list(rests)
        began = [trial.sent for trial in seen if trial.sent is not None]
        beside = [t.at for t in (found.trips if found else ())] + [f.latest for _, f in (found.findings if found else ())]
        to = [at for trial in seen for at in (trial.decided, trial.seen) if at is not None] + beside
        gone = [r for each in self._classes for r in each.routes if not self._obstacles.is_there(r)]
        decided = GateDecided(
            at=self._now,
            gate=self._state.id,
            deploy=request.deploy,
            attempt=request.attempt,
            verdict=GATE_VERDICT[because],
            because=because,
            reason=wording.cut(reason),
            classes=tallies,
            evidence=tuple(seq for seq in seqs if seq)[:MOST_EVIDENCE],
            observed_from=min(began + beside, key=lambda at: at.utc, default=None),
            observed_to=max(to, key=lambda at: at.utc, default=None),
            example=wording.example(shown) if shown is not None else None,
            unseen=wording.unseen(self._world, self._asked, self._classes, gone, self._zone.stood),
        )
        return Standing(decided, decided.reason, tallies, adverse=self._against())

    def _against(self) -> bool:
        return bool(self._decisive) or any(each.adverse for each in self._classes)

    def _tallies(self) -> tuple[ClassTally, ...]:
        return tuple(self._tally(each) for each in self._classes)

    def _tally(self, of: Class) -> ClassTally:
        good, adverse, pending = len(of.good), len(of.adverse), len(of.pending)
        aside = of.aside.total() + of.stale + of.excused + of.renewed
        reasons = Counter(_reason(trial).value for trial in of.adverse)
        return ClassTally(
            provider=of.provider,
            because=self._found[of.provider],
            sent=good + adverse + pending + aside,
            good=good,
            adverse=adverse,
            pending=pending,
            aside=aside,
            needed=of.ruling.needed,
            limit=of.ruling.limit,
            control_good=of.control.good,
            control_bad=of.control.bad,
            loss_upper=loss_upper(good + adverse, adverse),
            llr=of.ruling.llr,
            reasons=tuple(reasons.most_common()),
            mailboxes=of.mailboxes,
        )


def _reason(adverse: GateTrial) -> Reason:
    """A wrong amount that no verdict tells of yet, or another one than bad, is an altered mail."""
    return adverse.reason if adverse.reason is not None and adverse.reason.verdict is Verdict.FAIL else Reason.ALTERED
