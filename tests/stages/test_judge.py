"""judge on virtual time: verdicts at exactly the moment when the evidence or the deadline comes, revisions, and the end of the watch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from monitor.model.facts import (
    Accepted,
    Attempted,
    Closed,
    Deferred,
    Fact,
    Judged,
    Looked,
    ProbePlanned,
    Refused,
    Sighted,
    SubmitUnknown,
    WatchBlind,
    Withheld,
)
from monitor.model.mail import BlindCause, Carrier, Placement
from monitor.model.probe import MailboxName, ProbeId
from monitor.model.submission import Reply, Step
from monitor.model.verdict import Reason, Verdict
from tests.stages.house import House, policy, seed
from tests.stages.virtual import virtual

TAKEN = Reply(250, "queued as 4Xy", "2.0.0")
LATE, MISSING, GIVE_UP, WATCH = 120.0, 480.0, 1_800.0, 2_280.0


class Case:
    """One probe whose facts are told by hand; only judge runs."""

    def __init__(self, directory: Path, **changes: object) -> None:
        self.house = House(policy(directory, **changes))  # type: ignore[arg-type]
        self.probe = ProbeId("")

    async def begin(self) -> None:
        await self.house.sleep(10)
        (self.probe,) = await self.house.probe(seed(1))
        self.start = self.house.clock.now()

    async def tell(self, *facts: Fact) -> None:
        await self.house.journal.append(facts)

    async def taken(self, attempt: int = 1) -> None:
        now = self.house.clock.now()
        await self.tell(Attempted(now, self.probe, attempt), Accepted(now, self.probe, attempt, TAKEN))

    async def seen(self, uid: int = 1, folder: str = "INBOX", placement: Placement = Placement.INBOX, **fields: object) -> None:
        now = self.house.clock.now()
        fact = Sighted(
            now, self.probe, seed(1), folder, placement, 1, uid, now.plus(-1.0), f"<{uid}@x>", "d",
            tuple(Carrier), header_digest=str(uid),
        )  # fmt: skip
        await self.tell(replace(fact, **fields))  # type: ignore[arg-type]

    async def looked(self, began_ago: float = 0.0) -> None:
        now = self.house.clock.now()
        await self.tell(Looked(now, seed(1), now.plus(-began_ago), 3))

    def told(self) -> list[tuple[float, int, Reason]]:
        return [(round(fact.at.seconds_since(self.start), 3), fact.revision, fact.reason) for fact in self.house.facts(Judged)]

    def closed(self) -> list[float]:
        return self.house.times(Closed, self.start)


@virtual
async def test_pass_at_once_and_closed_exactly_at_the_end_of_the_watch(tmp_path: Path) -> None:
    case = Case(tmp_path)
    async with case.house.running("judge"):
        await case.begin()
        await case.taken()
        await case.house.sleep(2.5)
        await case.seen()
        await case.house.sleep(WATCH + 100)
    assert case.told() == [(2.5, 0, Reason.PASS)] and case.closed() == [WATCH]
    (fact,) = case.house.facts(Judged)
    assert (fact.verdict, fact.submission_seconds, fact.uncertainty_seconds) == (Verdict.PASS, 0.0, 1.0)
    assert fact.transit_seconds == pytest.approx(2.5)
    assert (fact.mailbox, fact.folder, fact.placement) == (seed(1), "INBOX", Placement.INBOX)
    assert case.probe not in case.house.world.probes


@virtual
async def test_without_any_look_it_is_blind_exactly_at_give_up(tmp_path: Path) -> None:
    case = Case(tmp_path)
    async with case.house.running("judge"):
        await case.begin()
        await case.taken()
        await case.house.sleep(DAY)
    assert case.told() == [(GIVE_UP, 0, Reason.MAILBOX_BLIND)] and case.closed() == [WATCH]
    assert "no complete look" in case.house.facts(Judged)[0].explanation


@virtual
async def test_the_first_look_that_began_at_missing_after_decides(tmp_path: Path) -> None:
    case = Case(tmp_path)
    async with case.house.running("judge"):
        await case.begin()
        await case.taken()
        await case.house.sleep(MISSING + 5)
        await case.looked(began_ago=5.1)
        await case.house.sleep(1)
        assert not case.told(), "it began a tenth of a second too soon"
        await case.looked(began_ago=6.0)
        await case.house.sleep(1)
    assert case.told() == [(MISSING + 6, 0, Reason.MISSING)]


@virtual
async def test_revisions_follow_the_evidence_and_the_same_evidence_is_not_judged_twice(tmp_path: Path) -> None:
    case = Case(tmp_path)
    async with case.house.running("judge"):
        await case.begin()
        await case.taken()
        await case.house.sleep(MISSING)
        await case.looked()
        await case.house.sleep(60)
        await case.looked()
        await case.seen(1)
        await case.house.sleep(1)
        await case.looked()
        await case.seen(2)
        await case.house.sleep(1)
        await case.seen(3)
        await case.house.sleep(WATCH)
    assert [(revision, reason) for _, revision, reason in case.told()] == [(0, Reason.MISSING), (1, Reason.LATE), (2, Reason.DUPLICATE)]
    last = case.house.facts(Judged)[2]
    assert last.also == (Reason.LATE,) and "2 times" in last.explanation
    assert len(set(last.evidence)) == len(last.evidence) == 3


@virtual
async def test_what_comes_after_the_watch_has_ended_changes_nothing(tmp_path: Path) -> None:
    case = Case(tmp_path)
    async with case.house.running("judge"):
        await case.begin()
        await case.taken()
        await case.house.sleep(MISSING)
        await case.looked()
        await case.house.sleep(WATCH)
        await case.seen()
        await case.house.sleep(WATCH)
    assert [reason for _, _, reason in case.told()] == [Reason.MISSING] and len(case.closed()) == 1


@virtual
async def test_absence_counts_from_the_attempt_that_was_taken_and_lateness_from_the_first(tmp_path: Path) -> None:
    case = Case(tmp_path)
    async with case.house.running("judge"):
        await case.begin()
        now = case.house.clock.now()
        await case.tell(Attempted(now, case.probe, 1), Deferred(now, case.probe, 1, Step.RCPT_TO, Reply(450, "later"), 1_200.0))
        await case.house.sleep(1_200)
        assert not case.told()
        await case.taken(2)
        await case.house.sleep(MISSING - 1)
        await case.looked()
        assert not case.told()
        await case.seen()
        await case.house.sleep(WATCH * 2)
    assert case.told() == [(1_200 + MISSING - 1, 0, Reason.LATE)]
    assert case.closed() == [1_200 + WATCH]
    assert "on attempt 2" in case.house.facts(Judged)[0].explanation


@virtual
async def test_refused_withheld_and_unknown(tmp_path: Path) -> None:
    case = Case(tmp_path)
    async with case.house.running("judge"):
        await case.begin()
        refused = case.probe
        now = case.house.clock.now()
        await case.tell(Attempted(now, refused, 1), Refused(now, refused, 1, Step.RCPT_TO, Reply(554, "access denied", "5.7.1")))
        await case.begin()
        withheld = case.probe
        await case.tell(Withheld(case.house.clock.now(), withheld, "the path's budget of 3 probes a day is used up"))
        await case.begin()
        unknown, asked = case.probe, case.house.clock.now()
        await case.tell(Attempted(asked, unknown, 1), SubmitUnknown(asked, unknown, 1, Step.DATA, "reply lost"))
        await case.house.sleep(MISSING)
        await case.looked()
        await case.house.sleep(WATCH)
    found = {fact.probe: fact for fact in case.house.facts(Judged)}
    assert found[refused].reason is Reason.REJECTED and "554 5.7.1 access denied at RCPT TO" in found[refused].explanation
    assert found[withheld].reason is Reason.BUDGET_EXHAUSTED and "budget of 3" in found[withheld].explanation
    assert found[unknown].reason is Reason.SUBMIT_UNKNOWN and round(found[unknown].at.seconds_since(asked), 3) == MISSING
    assert len(found) == len(case.house.facts(Judged)) == len(case.house.facts(Closed)) == 3


@virtual
async def test_every_probe_ends_whatever_becomes_of_it(tmp_path: Path) -> None:
    """A day's probes, none ever answered or seen: the timers alone bring each to its end."""
    case = Case(tmp_path)
    async with case.house.running("judge"):
        for _ in range(50):
            await case.begin()
            await case.taken()
            await case.house.sleep(77)
        await case.house.sleep(DAY)
    assert len(case.house.facts(Judged)) == len(case.house.facts(Closed)) == 50
    assert not case.house.world.probes
    plans = {fact.probe: fact.at for fact in case.house.facts(ProbePlanned)}
    assert {round(fact.at.seconds_since(plans[fact.probe]), 3) for fact in case.house.facts(Closed)} == {WATCH}


@virtual
async def test_after_a_restart_absence_is_judged_only_when_someone_watches_again(tmp_path: Path) -> None:
    first = Case(tmp_path, holding=True)
    async with first.house.running("judge"):
        await first.begin()
        await first.taken()
        await first.house.sleep(MISSING)
    await first.looked()  # committed, and then the process died before it was judged
    second = await House(first.house.policy, before=first.house).restored()
    async with second.running("judge"):
        await second.sleep(100)
        assert not second.facts(Judged)
        await second.watched()
        await second.sleep(1)
        assert not second.facts(Judged), "the holding store may have it"
        await second.watched(MailboxName("holding"))
        await second.sleep(1)
    assert [fact.reason for fact in second.facts(Judged)] == [Reason.MISSING]


@virtual
async def test_blind_mailboxes_are_named_with_their_cause(tmp_path: Path) -> None:
    case = Case(tmp_path)
    async with case.house.running("judge"):
        await case.begin()
        await case.taken()
        await case.tell(WatchBlind(case.house.clock.now(), seed(1), BlindCause.AUTH_REFUSED, "NO wrong password", "set the password"))
        await case.house.sleep(GIVE_UP + 1)
    (fact,) = case.house.facts(Judged)
    assert fact.explanation == "seed-1 cannot be looked into (auth_refused: NO wrong password); set the password"


DAY = 86_400.0
