"""What no interleaving of facts may make the judge say."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from monitor.model.facts import SubmitFault
from monitor.model.mail import Field, Placement
from monitor.model.verdict import VERDICT_OF, Reason, Verdict
from monitor.rules import judge
from tests.views.life import DEADLINES, HOLDING, OTHER, OWN, Life, at, sighted

PLACES = (("INBOX", Placement.INBOX), ("Junk", Placement.SPAM), ("Archive", Placement.OTHER), ("Promotions", Placement.TAB))
LATER = st.sampled_from([0.0, 0.5, 5.0, 59.0, 61.0, 299.0, 301.0, 901.0])
STEPS = st.tuples(
    LATER,
    st.sampled_from(
        [
            "attempt",
            "accept",
            "defer",
            "giveup",
            "refuse",
            "lose",
            "unreachable",
            "misconfigured",
            "internal",
            "withhold",
            "see",
            "see",
            "see",
            "look",
            "look",
            "look",
            "blind",
            "dsn",
            "jump",
            "restart",
            "move",
            "renumber",
        ]
    ),
    st.sampled_from(PLACES),
    st.sampled_from([OWN, OWN, OTHER, HOLDING]),
    st.sampled_from([None, 0.0, 30.0, 300.0]),  # how long before now the folder was looked at
    st.integers(1, 3),
)
HISTORIES = st.lists(STEPS, max_size=12)


@dataclass
class Telling:
    """Turns steps into facts; facts may contradict each other as they please, only time goes forward."""

    life: Life
    now: float = 0.0
    process: str = "first"

    def tell(self, step: tuple[float, str, tuple[str, Placement], str, float | None, int]) -> None:
        pause, what, place, mailbox, unseen, uid = step
        self.now += pause
        life, now, process = self.life, self.now, self.process
        life.attempts = max(life.attempts, 1)
        since = None if unseen is None else at(now - unseen, process)
        fields = {"uid": uid, "header_digest": f"header-{uid}", "altered": (Field.AMOUNT,) if uid == 3 else ()}
        match what:
            case "attempt":
                life.attempts -= life.state.attempt == 0
                life.attempt(now, process)
            case "accept":
                life.accept(now, process)
            case "defer":
                life.defer(now, 60.0)
            case "giveup":
                life.defer(now, None)
            case "refuse":
                life.refuse(now)
            case "lose":
                life.lose_reply(now)
            case "unreachable" | "misconfigured" | "internal":
                life.err(now, SubmitFault(what), retry_in=unseen)
            case "withhold":
                life.withhold(now)
            case "see":
                life.tell(sighted(now, *place, mailbox=mailbox, unseen=since, process=process, **fields))
            case "move" if life.state.seen:
                gone = (life.state.seen[0].seq,)
                life.tell(sighted(now, *place, mailbox=mailbox, unseen=since, process=process, supersedes=gone, **fields))
            case "renumber" if life.state.seen:
                old = life.state.seen[0].fact
                fields["uidvalidity"] = old.uidvalidity + 1
                life.tell(sighted(now, old.folder, old.placement, old.mailbox, since, process, **fields))
            case "look":
                life.look(now, process)
            case "blind":
                life.blind(now)
            case "dsn":
                life.dsn(now)
            case "jump":
                life.jump(now, 40.0, process)
            case "restart":
                self.process = "second"


FIRST = PLACES[0]


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(HISTORIES, st.booleans())
@example([(0.0, "attempt", FIRST, OWN, None, 1), (0.0, "accept", FIRST, OWN, None, 1), (301.0, "look", FIRST, OWN, None, 1)], True)
def test_no_interleaving_makes_it_lie(steps: list[tuple[float, str, tuple[str, Placement], str, float | None, int]], holding: bool) -> None:
    telling = Telling(Life())
    for step in steps:
        telling.tell(step)
        state = telling.life.state
        failed = None
        for wait in (0.0, 100.0, 300.0, 1000.0, 10_000.0):
            now = at(telling.now + wait, telling.process)
            ruling = telling.life.ruling(now, holding=(HOLDING,) if holding else ())
            reason = ruling.reason if ruling else None
            assert failed is None or reason is failed, "time alone changed a final fail"
            if ruling is None:
                continue
            if ruling.reason.verdict is Verdict.FAIL:
                failed = ruling.reason
            own, elsewhere = state.own(), state.elsewhere()
            start = state.first_attempt
            assert ruling.explanation
            if reason is Reason.PASS:
                assert own, "no evidence passed"
                assert state.refused is None
            if reason is Reason.MISSING:
                assert not own
                assert not elsewhere
                look, proof_from = state.unseen_look, judge.missing_at(state)
                assert look is not None
                assert proof_from is not None
                assert look.began.reached(proof_from)
                assert look.mailbox == OWN
                assert state.accepted is not None
            if Reason.LATE in (reason, *ruling.also):
                assert start is not None
                seen = own[0].first
                bounds = [seen.unseen_since, state.unseen_look.began if state.unseen_look else None]
                assert any(bound is not None and bound.seconds_since(start) >= DEADLINES.late_after for bound in bounds)
                assert seen.at.seconds_since(start) > DEADLINES.late_after
            if reason is Reason.MISROUTED:
                assert elsewhere
            if reason is not None and VERDICT_OF[reason] is Verdict.INCONCLUSIVE:
                assert not ruling.also
        if state.withheld is None and state.first_attempt is None:
            assert telling.life.ruling(at(telling.now + 1e6, telling.process)) is None


@dataclass(frozen=True)
class Truth:
    """What really happens: when which copies land where, when an honest watcher looks, when the daemon restarts."""

    refused_for: float  # greylisted from 0 until here; 0: accepted at once
    landing: float | None  # seconds after acceptance
    place: tuple[str, Placement]
    looks: tuple[float, ...]  # pauses between looks
    restart: float


TRUTHS = st.builds(
    Truth,
    refused_for=st.sampled_from([0.0, 0.0, 30.0, 120.0, 600.0]),
    landing=st.none() | st.floats(0, 2000, allow_nan=False),
    place=st.sampled_from(PLACES),
    looks=st.lists(st.sampled_from([1.0, 5.0, 20.0, 45.0, 200.0, 400.0]), max_size=25).map(tuple),
    restart=st.sampled_from([1e9, 1e9, 50.0, 250.0]),
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TRUTHS)
def test_an_honest_watcher_makes_true_verdicts(truth: Truth) -> None:
    """Whatever the gaps between the looks: late means late, missing means not there when it was due, pass means there and perhaps late."""
    life = Life().attempt(0)
    taken = 0.0
    if truth.refused_for:
        life.defer(0.5, truth.refused_for)
        taken = truth.refused_for
        life.attempt(taken)
    life.accept(taken + 0.5)
    landed = None if truth.landing is None else taken + truth.landing
    now, process, previous, found = taken + 1.0, "first", None, False
    for pause in truth.looks:
        now += pause
        if now > truth.restart and process == "first":
            process, previous = "second", None
        if landed is not None and landed <= now and not found:
            found = True
            life.see(now, *truth.place, unseen=None if previous is None else at(previous, process), process=process)
        life.look(now, process, lasted=0.0)
        previous = now
        for wait in (0.0, 1.0, 5000.0):
            ruling = life.ruling(at(now + wait, process))
            if ruling is None:
                assert wait < DEADLINES.give_up_after, "a probe stays open for ever"
                continue
            match ruling.reason:
                case Reason.PASS:
                    assert landed is not None
                    assert landed <= now
                    assert truth.place[1] is Placement.INBOX
                    assert ruling.notes or now <= DEADLINES.late_after or landed <= DEADLINES.late_after
                case Reason.MISSING:
                    assert landed is None or landed > taken + DEADLINES.missing_after
                case Reason.LATE:
                    assert landed is not None
                    assert landed > DEADLINES.late_after
                case Reason.MAILBOX_BLIND:
                    assert now < taken + DEADLINES.missing_after, "a look that proves absence was made"
                case Reason.SPAM | Reason.MISFILED:
                    assert truth.place[1] is not Placement.INBOX
                    assert Reason.LATE not in ruling.also or (landed is not None and landed > DEADLINES.late_after)
                case other:
                    raise AssertionError(other)
