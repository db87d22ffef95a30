"""The verdict on one probe, from facts folded through the World."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from monitor.model.facts import SubmitFault
from monitor.model.mail import Authentication, AuthResult, Carrier, Field, Placement
from monitor.model.submission import Reply, Step
from monitor.model.verdict import Reason, Verdict
from monitor.rules import judge
from tests.views.life import DEADLINES, HOLDING, OTHER, OWN, RECIPIENT, REFUND_NUMBER, Life, at, planned, sighted, submitted

SPAM = ("Junk", Placement.SPAM)
TAB = ("Promotions", Placement.TAB)
FILED = ("Archive", Placement.OTHER)
DKIM_DEMANDED = planned(dkim=(AuthResult.PASS,))
DMARC_DEMANDED = planned(dkim=(AuthResult.PASS,), dmarc=(AuthResult.PASS, AuthResult.NONE))
FAILING = Authentication(dkim=AuthResult.FAIL, dmarc=AuthResult.NONE, authserv_id="mx.example")


@dataclass(frozen=True)
class Case:
    """`reason` None: the probe stays open."""

    id: str
    life: Callable[[], Life]
    now: float
    reason: Reason | None
    says: tuple[str, ...] = ()  # must stand in the explanation
    also: tuple[Reason, ...] = ()
    notes: tuple[str, ...] = ()  # the beginning of each note, in order


def signed(plan: object, auth: Authentication) -> Life:
    return Life(plan).attempt(0).accept(1).see(3, auth=auth)  # type: ignore[arg-type]


SUBMISSION = (
    Case("planned, not attempted", Life, 5000, None),
    Case("attempt under way", lambda: Life().attempt(0), 5000, None),
    Case("seen before the reply", lambda: Life().attempt(0).see(1), 5000, None),
    Case("accepted, nothing else", submitted, 299, None),
    Case("5xx", lambda: Life().attempt(0).refuse(1), 1, Reason.REJECTED, ("the peer answered 550 5.1.1 mailbox unavailable at RCPT TO",)),
    Case(
        "5xx, yet a copy arrived",
        lambda: Life().attempt(0).refuse(1).see(3),
        3,
        Reason.REJECTED,
        ("550",),
        notes=("yet a copy arrived in INBOX",),
    ),
    Case(
        "http 422",
        lambda: Life().attempt(0).refuse(1, Reply(422, "unknown order"), Step.REQUEST),
        1,
        Reason.REJECTED,
        ("422 unknown order to the request",),
    ),
    Case("4xx, another try to come", lambda: Life().attempt(0).defer(1, 60), 50, None),
    Case(
        "4xx, gave up",
        lambda: Life().attempt(0).defer(1, 60).attempt(61).defer(62, None),
        62,
        Reason.DEFERRED,
        ("gave up after 2 attempts", "451 4.7.1 try again later", "at RCPT TO"),
    ),
    Case(
        "4xx, gave up, yet it arrived",
        lambda: Life().attempt(0).defer(1, None).see(3),
        3,
        Reason.PASS,
        ("although no attempt was accepted",),
    ),
    Case("no connection, another try to come", lambda: Life().attempt(0).err(1, SubmitFault.UNREACHABLE, retry_in=5), 3, None),
    Case(
        "no connection",
        lambda: Life().attempt(0).err(1, SubmitFault.UNREACHABLE, "no connection to the relay", ""),
        1,
        Reason.SUBMIT_UNREACHABLE,
        ("no connection to the relay",),
    ),
    Case(
        "our AUTH refused",
        lambda: Life().attempt(0).err(1, SubmitFault.MISCONFIGURED, "AUTH refused", "renew the password"),
        1,
        Reason.SUBMIT_MISCONFIGURED,
        ("AUTH refused; renew the password",),
    ),
    Case("a bug of ours", lambda: Life().attempt(0).err(1, SubmitFault.INTERNAL), 1, Reason.INTERNAL),
    Case("over budget", lambda: Life().withhold(1), 1, Reason.BUDGET_EXHAUSTED, ("budget of 300 probes a day is used up",)),
    Case(
        "bounced", lambda: submitted().dsn(5), 5, Reason.BOUNCED, ("a delivery status notification says failed (5.2.2)", "552 mailbox full")
    ),
    Case("bounced, then 'delayed' read after it", lambda: submitted().dsn(5).dsn(6, "delayed"), 6, Reason.BOUNCED),
    Case("'delayed', then bounced", lambda: submitted().dsn(5, "delayed").dsn(6), 6, Reason.BOUNCED),
    Case("'delayed' alone", lambda: submitted().dsn(5, "delayed"), 6, None),
    Case("a bounce, but the mail is there", lambda: submitted().dsn(5).see(6), 6, Reason.PASS),
)

PLACES = (
    Case("in INBOX", lambda: submitted().see(3, unseen=2), 3, Reason.PASS, ("arrived in INBOX 2.0 s after it was accepted",)),
    Case("in spam", lambda: submitted().see(3, *SPAM), 3, Reason.SPAM, ("arrived in the spam folder ('Junk')",)),
    Case("in another folder", lambda: submitted().see(3, *FILED), 3, Reason.MISFILED, ("arrived in another folder ('Archive')",)),
    Case("under a tab", lambda: submitted().see(3, *TAB), 3, Reason.MISFILED, ("arrived under a tab ('Promotions')",)),
    Case(
        "in another seed",
        lambda: submitted().see(3, mailbox=OTHER),
        3,
        Reason.MISROUTED,
        ("arrived in INBOX of mailbox outlook-1, and not in gmail-1",),
    ),
    Case(
        "in the holding mailbox", lambda: submitted().see(3, mailbox=HOLDING), 3, Reason.MISROUTED, ("mailbox holding, and not in gmail-1",)
    ),
    Case(
        "in another seed and its own",
        lambda: submitted().see(3, mailbox=OTHER).see(4),
        4,
        Reason.MISROUTED,
        ("arrived in INBOX of mailbox outlook-1, too",),
    ),
    Case(
        "held, then released",
        lambda: submitted().see(3, mailbox=HOLDING).see(40),
        40,
        Reason.PASS,
        ("arrived in INBOX 39.0 s",),
        notes=("first seen in INBOX of holding",),
    ),
    Case(
        "held, released too late",
        lambda: submitted().see(3, mailbox=HOLDING).look(70).see(80),
        80,
        Reason.LATE,
        ("80 s after the first attempt (late after 60 s)",),
        notes=("first seen in INBOX of holding",),
    ),
    Case(
        "moved to spam later",
        lambda: (life := submitted().see(3)).see(200, *SPAM, unseen=195, supersedes=(life.seqs["sighted"],)),
        200,
        Reason.SPAM,
        ("in the spam folder",),
        notes=("first seen in INBOX",),
    ),
    Case(
        "moved out of spam later",
        lambda: (life := submitted().see(3, *SPAM)).see(200, unseen=195, supersedes=(life.seqs["sighted"],)),
        200,
        Reason.PASS,
        ("arrived in INBOX 2.0 s",),
        notes=("first seen in folder 'Junk'",),
    ),
)

COPIES = (
    Case(
        "two in INBOX",
        lambda: submitted().see(3).see(4, uid=8, header_digest="header-2"),
        4,
        Reason.DUPLICATE,
        ("arrived 2 times: INBOX, INBOX",),
    ),
    Case("two alike to the byte in INBOX", lambda: submitted().see(3).see(4, uid=8), 4, Reason.DUPLICATE),
    Case(
        "INBOX and spam",
        lambda: submitted().see(3).see(4, *SPAM, header_digest="header-2"),
        4,
        Reason.DUPLICATE,
        ("INBOX, folder 'Junk'",),
        also=(Reason.SPAM,),
    ),
    Case("labels: INBOX and a folder", lambda: submitted().see(3).see(4, *FILED), 4, Reason.PASS),
    Case("labels: a folder, then INBOX", lambda: submitted().see(3, *FILED).see(4), 4, Reason.PASS),
    Case("labels without INBOX", lambda: submitted().see(3, *FILED).see(4, *SPAM), 4, Reason.SPAM, also=(Reason.MISFILED,)),
    Case("labels on two messages", lambda: submitted().see(3).see(4, *FILED).see(5, *FILED, uid=9), 5, Reason.DUPLICATE),
    Case("the folder got a new UIDVALIDITY", lambda: submitted().see(3).see(100, uidvalidity=2, uid=1, unseen=95), 100, Reason.PASS),
    Case(
        "two copies, then a new UIDVALIDITY",
        lambda: submitted().see(3).see(4, uid=8).see(100, uidvalidity=2, uid=1).see(100, uidvalidity=2, uid=2),
        100,
        Reason.DUPLICATE,
    ),
    Case(
        "moved: supersedes",
        lambda: (life := submitted().see(3)).see(9, *FILED, header_digest="header-2", supersedes=(life.seqs["sighted"],)),
        9,
        Reason.MISFILED,
        notes=("first seen in INBOX",),
    ),
    Case(
        "a flood in another mailbox hides no arrival",
        lambda: submitted().tell(*(sighted(3, mailbox=OTHER, uid=uid) for uid in range(1, 40))).see(4),
        4,
        Reason.MISROUTED,
        ("too",),
    ),
)

CONTENT = (
    Case(
        "amount altered",
        lambda: submitted().see(3, altered=(Field.AMOUNT,)),
        3,
        Reason.ALTERED,
        ("the amount not as submitted",),
    ),
    Case(
        "fields and foreign money",
        lambda: submitted().see(3, altered=(Field.AMOUNT, Field.REFUND_NUMBER, Field.FOREIGN_AMOUNT)),
        3,
        Reason.ALTERED,
        ("the amount, the refund number not as submitted; another amount of money stands in the mail",),
    ),
    Case(
        "the second copy is altered",
        lambda: submitted().see(3).see(4, *FILED, header_digest="header-2", altered=(Field.CUSTOMER_NAME,)),
        4,
        Reason.ALTERED,
        ("the customer's name not as submitted",),
        also=(Reason.DUPLICATE, Reason.MISFILED),
    ),
    Case("lost carrier", lambda: submitted().see(3, carriers=(Carrier.HEADER,)), 3, Reason.PASS, notes=("lost on the way: body",)),
    Case("a note of the reading", lambda: submitted().see(3, notes=("links are wrapped",)), 3, Reason.PASS, notes=("links are wrapped",)),
    Case("dkim demanded: pass", lambda: signed(DKIM_DEMANDED, Authentication(dkim=AuthResult.PASS, authserv_id="mx")), 3, Reason.PASS),
    Case(
        "dkim demanded: fail",
        lambda: signed(DKIM_DEMANDED, FAILING),
        3,
        Reason.UNAUTHENTICATED,
        ("the receiver (mx.example) says dkim=fail",),
    ),
    Case("one of several acceptable results", lambda: signed(planned(dmarc=(AuthResult.PASS, AuthResult.NONE)), FAILING), 3, Reason.PASS),
    Case("nothing demanded", lambda: signed(planned(), FAILING), 3, Reason.PASS),
    Case(
        "demanded, but the receiver says nothing",
        lambda: signed(DMARC_DEMANDED, Authentication()),
        3,
        Reason.UNAUTHENTICATED,
        ("no Authentication-Results of a trusted authserv-id",),
    ),
    Case(
        "everything at once",
        lambda: (
            Life(DKIM_DEMANDED)
            .attempt(0)
            .accept(1)
            .look(65)
            .see(70, *SPAM, auth=FAILING, altered=(Field.AMOUNT,))
            .see(71, *FILED, header_digest="header-2", auth=FAILING)
            .see(72, mailbox=OTHER)
        ),
        72,
        Reason.ALTERED,
        also=(Reason.DUPLICATE, Reason.MISROUTED, Reason.SPAM, Reason.MISFILED, Reason.UNAUTHENTICATED, Reason.LATE),
    ),
    Case("spam before late", lambda: submitted().look(65).see(70, *SPAM), 70, Reason.SPAM, also=(Reason.LATE,)),
)

LATENESS = (
    Case("at the deadline", lambda: submitted().see(60, unseen=59), 60, Reason.PASS),
    Case(
        "late for certain",
        lambda: submitted().see(90, unseen=80),
        90,
        Reason.LATE,
        ("arrived in INBOX 90 s after the first attempt (late after 60 s)",),
    ),
    Case("the look that missed it began at the deadline", lambda: submitted().see(90, unseen=60), 90, Reason.LATE),
    Case("straddling", lambda: submitted().see(90, unseen=59), 90, Reason.PASS, notes=("may have come after the late deadline",)),
    Case("the first look ever", lambda: submitted().see(90), 90, Reason.PASS, notes=("may have come after the late deadline",)),
    Case("the first look after a reconnection, a complete look before", lambda: submitted().look(70).see(90), 90, Reason.LATE),
    Case(
        "the complete look before was too early",
        lambda: submitted().look(50).see(90),
        90,
        Reason.PASS,
        notes=("may have come after the late deadline",),
    ),
    Case(
        "greylisted, accepted: late from the first attempt",
        lambda: Life().attempt(0).defer(1, 99).attempt(100).accept(101).see(103, unseen=102),
        103,
        Reason.LATE,
        ("103 s after the first attempt", "101 s of that until the peer took it, on attempt 2"),
        notes=("accepted on attempt 2",),
    ),
)

PROOF = (
    Case("a look that began before missing_at", lambda: submitted().look(299.9), 899, None),
    Case("a look across missing_at", lambda: submitted().look(299, lasted=30), 899, None),
    Case(
        "a look from missing_at on",
        lambda: submitted().look(300),
        301,
        Reason.MISSING,
        ("accepted (250 2.0.0 queued as 4XyZ); in none of 6 folders 300 s later",),
    ),
    Case("a look into another mailbox", lambda: submitted().look(300, mailbox=OTHER), 899, None),
    Case("no look: open until give_up_after", submitted, 899.9, None),
    Case("no look at all", submitted, 900, Reason.MAILBOX_BLIND, ("no complete look at gmail-1 was possible in time",)),
    Case(
        "blind",
        lambda: submitted().look(100).blind(101),
        900,
        Reason.MAILBOX_BLIND,
        ("gmail-1 cannot be looked into (auth_refused: LOGIN refused); renew the app password",),
    ),
    Case("blind for long, then a look", lambda: submitted().blind(50).look(2000), 2001, Reason.MISSING),
    Case("late arrival after missing", lambda: submitted().look(300).see(400, unseen=390), 400, Reason.LATE),
    Case(
        "greylisted: absence counts from the accepted attempt",
        lambda: Life().attempt(0).defer(1, 199).attempt(200).accept(201).look(499),
        499,
        None,
    ),
    Case(
        "greylisted: absent",
        lambda: Life().attempt(0).defer(1, 199).attempt(200).accept(201).look(500),
        501,
        Reason.MISSING,
        ("300 s later",),
    ),
    Case("reply lost: open until proven absent", lambda: Life().attempt(0).lose_reply(1).look(200), 899, None),
    Case(
        "reply lost, absent",
        lambda: Life().attempt(0).lose_reply(1).look(300),
        301,
        Reason.SUBMIT_UNKNOWN,
        ("the connection broke after DATA; in none of 6 folders 300 s later",),
    ),
    Case("reply lost, blind", lambda: Life().attempt(0).lose_reply(1), 900, Reason.MAILBOX_BLIND),
    Case(
        "reply lost, arrived",
        lambda: Life().attempt(0).lose_reply(1).see(3),
        3,
        Reason.PASS,
        ("arrived in INBOX although the reply to the submission was lost",),
    ),
    Case(
        "reply lost, judged unknown, then it arrives",
        lambda: Life().attempt(0).lose_reply(1).look(300).see(400, unseen=40),
        400,
        Reason.PASS,
        notes=("may have come after the late deadline",),
    ),
    Case(
        "reply lost on the second attempt",
        lambda: Life().attempt(0).defer(1, 9).attempt(10).lose_reply(11).see(13),
        13,
        Reason.PASS,
        notes=(),
    ),
    Case("waiting for a retry: no absence", lambda: Life().attempt(0).defer(1, 5000).look(400), 2000, None),
)

RESTARTED = (
    Case("absent, measured by UTC", lambda: submitted().look(300, "second"), 301, Reason.MISSING),
    Case(
        "absent, but UTC stepped in between",
        lambda: submitted().jump(100, 250, "second").look(300, "second"),
        301,
        Reason.CLOCK_JUMP,
        ("in none of 6 folders", "the clock stepped by +250 s meanwhile"),
    ),
    Case(
        "UTC stepped before the attempt",
        lambda: Life().jump(-5, 250, "second").attempt(0).accept(1).look(300, "second"),
        301,
        Reason.MISSING,
    ),
    Case("UTC stepped after the look", lambda: submitted().look(300, "second").jump(301, 250, "second"), 302, Reason.MISSING),
    Case(
        "UTC stepped, but one process measured all of it",
        lambda: submitted().jump(100, 250).look(300),
        301,
        Reason.MISSING,
    ),
    Case(
        "late, but UTC stepped",
        lambda: submitted().jump(30, 50, "second").jump(500, -9, "second").see(90, unseen=80, process="second"),
        501,
        Reason.CLOCK_JUMP,
        ("90 s after the first attempt", "the clock stepped by +50 s meanwhile"),
        notes=("transit measured by UTC",),
    ),
    Case(
        "in spam and perhaps late, but UTC stepped",
        lambda: submitted().jump(30, 50, "second").see(90, *SPAM, unseen=80, process="second"),
        91,
        Reason.SPAM,
        notes=("arrived in folder 'Junk' 90 s after", "transit measured by UTC"),
    ),
    Case(
        "late, measured by UTC",
        lambda: submitted().see(90, unseen=80, process="second"),
        91,
        Reason.LATE,
        notes=("transit measured by UTC",),
    ),
)

ALL = (*SUBMISSION, *PLACES, *COPIES, *CONTENT, *LATENESS, *PROOF, *RESTARTED)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.id)
def test_ruling(case: Case) -> None:
    life = case.life()
    ruling = life.ruling(case.now, holding=(HOLDING,))
    if case.reason is None:
        assert ruling is None
        return
    assert ruling is not None
    assert ruling.reason is case.reason, ruling.explanation
    for part in case.says:
        assert part in ruling.explanation
    assert ruling.also == case.also
    assert len(ruling.notes) == len(case.notes), ruling.notes
    for note, begins in zip(ruling.notes, case.notes, strict=True):
        assert note.startswith(begins), ruling.notes


@pytest.mark.parametrize("case", [case for case in ALL if case.reason], ids=lambda case: case.id)
def test_words_are_fit_to_be_shown(case: Case) -> None:
    """No address, no refund number, one line; every verdict names facts that exist."""
    life = case.life()
    ruling = life.ruling(case.now, holding=(HOLDING,))
    assert ruling
    shown = " ".join((ruling.explanation, *ruling.notes))
    for private in (str(RECIPIENT), RECIPIENT.local, REFUND_NUMBER, "tok", "@"):
        assert private not in shown
    assert ruling.explanation
    assert "\n" not in shown
    assert all(0 < seq <= life.world.seq for seq in ruling.evidence)
    assert ruling.reason not in ruling.also
    assert Reason.PASS not in ruling.also


def test_the_tables_show_every_reason_of_this_issue() -> None:
    later_issues = {Reason.STALLED, Reason.BASELINE_BROKEN, Reason.JOURNAL_UNWRITABLE, Reason.OVERLOADED}
    assert {case.reason for case in ALL} == set(Reason) - later_issues | {None}


class TestFigures:
    def test_submission_and_transit_are_kept_apart(self) -> None:
        ruling = Life().attempt(0).accept(4).see(10, unseen=9.5).ruling(10)
        assert ruling
        assert (ruling.submission_seconds, ruling.transit_seconds, ruling.uncertainty_seconds) == (4.0, 6.0, 0.5)

    def test_seen_before_the_reply_was_read(self) -> None:
        ruling = Life().attempt(0).see(1).accept(2).ruling(2)
        assert ruling
        assert (ruling.submission_seconds, ruling.transit_seconds, ruling.uncertainty_seconds) == (2.0, 0.0, None)

    def test_no_acceptance_no_figures(self) -> None:
        ruling = Life().attempt(0).lose_reply(1).see(3, unseen=2).ruling(3)
        assert ruling
        assert (ruling.submission_seconds, ruling.transit_seconds, ruling.uncertainty_seconds) == (None, None, 1.0)

    def test_submission_runs_from_the_first_attempt(self) -> None:
        ruling = Life().attempt(0).defer(1, 20).attempt(21).accept(23).see(24).ruling(24)
        assert ruling
        assert (ruling.submission_seconds, ruling.transit_seconds) == (23.0, 1.0)

    def test_across_a_restart_utc_measures_and_says_so(self) -> None:
        ruling = submitted().see(11, process="second").ruling(11)
        assert ruling
        assert ruling.transit_seconds == pytest.approx(10.0)
        assert "transit measured by UTC across a restart" in ruling.notes

    def test_a_clock_that_stepped_within_one_process_changes_nothing(self) -> None:
        life = submitted().see(11)
        stepped = Life().attempt(0).accept(1)
        fact = sighted(11)
        stepped.tell(type(fact)(**{name: getattr(fact, name) for name in fact.__slots__} | {"at": at(11, utc_step=-4000.0)}))
        assert [life.ruling(12).transit_seconds, stepped.ruling(12).transit_seconds] == [10.0, 10.0]  # type: ignore[union-attr]

    def test_first_copy_counts_and_moving_it_does_not_make_it_slower(self) -> None:
        life = submitted().see(3, unseen=2.75)
        life.see(200, *SPAM, unseen=190, supersedes=(life.seqs["sighted"],))
        ruling = life.ruling(200)
        assert ruling
        assert (ruling.transit_seconds, ruling.uncertainty_seconds) == (2.0, 0.25)
        assert ruling.copy is not None
        assert ruling.copy.placement is Placement.SPAM

    def test_evidence_names_submission_sightings_and_look(self) -> None:
        arrived = submitted().see(3)
        assert arrived.ruling(3).evidence == (arrived.seqs["accepted"], arrived.seqs["sighted"])  # type: ignore[union-attr]
        missing = submitted().look(200).look(300)
        assert missing.ruling(301).evidence == (missing.seqs["accepted"], missing.seqs["looked"])  # type: ignore[union-attr]
        bounced = submitted().dsn(5)
        assert bounced.ruling(5).evidence == (bounced.seqs["accepted"], bounced.seqs["dsn_received"])  # type: ignore[union-attr]
        withheld = Life().withhold(1)
        assert withheld.ruling(1).evidence == (1, withheld.seqs["withheld"])  # type: ignore[union-attr]


class TestInstants:
    """missing_at, wake_at and watch_end: when the ruling may change, and when the probe is closed."""

    def test_before_any_attempt(self) -> None:
        life = Life()
        assert judge.missing_at(life.state) is None
        assert judge.wake_at(life.state) == ()
        assert judge.watch_end(life.state) == life.state.plan.at

    def test_from_the_first_attempt(self) -> None:
        life = submitted()
        assert judge.missing_at(life.state) == at(DEADLINES.missing_after)
        assert judge.watch_end(life.state) == at(DEADLINES.watch_until)
        assert judge.wake_at(life.state) == (at(300), at(900), at(2100))

    def test_from_the_attempt_that_was_taken(self) -> None:
        life = Life().attempt(0).defer(1, 99).attempt(100).accept(101)
        assert judge.missing_at(life.state) == at(400)
        assert judge.watch_end(life.state) == at(2200)

    @pytest.mark.parametrize("case", [case for case in ALL if case.reason], ids=lambda case: case.id)
    def test_a_ruling_changes_without_facts_only_at_wake_at(self, case: Case) -> None:
        life = case.life()
        wakes = [instant.utc for instant in judge.wake_at(life.state)]
        instants = sorted({at(float(second)).utc for second in (*range(0, 2600, 7), *(wake - at(0).utc for wake in wakes))})
        before = life.ruling(at(0))
        for utc in instants:
            now = at(utc - at(0).utc)
            ruling = life.ruling(now)
            changed = (ruling and ruling.reason) != (before and before.reason)
            assert not changed or utc in wakes
            before = ruling


def test_verdicts_in_the_life_of_a_held_probe() -> None:
    """The demo: routed to the holding store, found there at once, released after the rollback."""
    life = submitted().see(3, mailbox=HOLDING)
    found = life.ruling(3, holding=(HOLDING,))
    assert found
    assert found.reason.verdict is Verdict.FAIL
    assert found.copy is not None
    assert found.copy.mailbox == HOLDING
    assert OWN in found.explanation
    life.see(50, unseen=49)
    released = life.ruling(50, holding=(HOLDING,))
    assert released
    assert (released.reason, released.also) == (Reason.PASS, ())


def test_a_look_from_before_the_acceptance_proves_nothing() -> None:
    """The submission outlasted missing_after: when that look was made there was nothing to be found yet."""
    life = Life().attempt(0).look(305).accept(310)
    assert life.ruling(311) is None
    later = life.look(312).ruling(313)
    assert later is not None and later.reason is Reason.MISSING
