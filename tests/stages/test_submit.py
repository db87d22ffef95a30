"""submit on virtual time: one fact before and one after every attempt, at exactly the right moments."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.model.address import Address
from monitor.model.facts import (
    Accepted,
    Attempted,
    Deferred,
    Entry,
    Fact,
    Paused,
    ProbePlanned,
    Refused,
    Resumed,
    SubmitError,
    SubmitFault,
    SubmitUnknown,
    WithdrawCause,
    Withdrawn,
    Withheld,
)
from monitor.model.probe import Purpose, Route
from monitor.model.submission import Declined, MailSubmission, Misconfigured, Postponed, Reply, Step, Unanswered, Unreached
from monitor.ports import JournalUnwritable
from monitor.stages.submit import CONCURRENT
from tests.fakes.submitter import TAKEN
from tests.stages.house import RELAY, House, policy, seed
from tests.stages.virtual import virtual

LATER = Postponed(Step.RCPT_TO, Reply(450, "greylisted", "4.2.0"))
NO = Declined(Step.RCPT_TO, Reply(554, "go away", "5.7.1"))
SILENCE = Unreached(Step.CONNECT, "connection refused")
LOST = Unanswered(Step.DATA, "the connection was lost after DATA")
OURS = Misconfigured(Step.AUTH, "535 credentials refused", "mend the password")


@virtual
async def test_an_attempt_is_durable_before_the_first_byte_and_its_outcome_follows(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    log: list[tuple[str, bool]] = []
    append, submit = house.journal.append, house.post.submit

    async def noted(facts: Sequence[Fact], durable: bool = False) -> tuple[Entry, ...]:
        log.extend((type(fact).__name__, durable) for fact in facts)
        return await append(facts, durable)

    async def sent(*args: object) -> object:
        log.append(("sent", False))
        return await submit(*args)  # type: ignore[arg-type]

    house.journal.append = noted  # type: ignore[method-assign]
    house.post.submit = sent  # type: ignore[method-assign, assignment]
    async with house.running("submit"):
        await house.probe()
        await house.until(lambda: house.facts(Accepted))
    assert log == [("ProbePlanned", False), ("Attempted", True), ("sent", False), ("Accepted", False)]
    (fact,) = house.facts(Accepted)
    assert (fact.attempt, fact.queue_id, str(fact.reply)) == (1, "FAKE", "250 2.0.0 Ok: queued as FAKE")


@virtual
async def test_a_4xx_is_tried_again_at_doubling_waits_until_the_time_is_over_with_the_same_envelope(tmp_path: Path) -> None:
    house = House(policy(tmp_path), outcomes=[LATER])
    async with house.running("submit"):
        await house.probe()
        await house.until(lambda: house.facts(Deferred) and house.facts(Deferred)[-1].retry_in is None)
        await house.sleep(10_000)
    assert house.post.at == [0, 60, 180, 420, 900, 1_500], "backoff 60 s doubling up to ten times, for 35 minutes"
    assert [fact.retry_in for fact in house.facts(Deferred)] == [60, 120, 240, 480, 600, None]
    assert [fact.attempt for fact in house.facts(Attempted)] == [1, 2, 3, 4, 5, 6]
    assert len({(s.envelope_sender, s.recipient, s.message) for s in house.post.submissions if isinstance(s, MailSubmission)}) == 1


@virtual
async def test_greylisted_then_taken(tmp_path: Path) -> None:
    house = House(policy(tmp_path), outcomes=[LATER, TAKEN])
    async with house.running("submit"):
        await house.probe()
        await house.until(lambda: house.facts(Accepted))
        await house.sleep(10_000)
    assert house.post.at == [0, 60]
    assert house.facts(Accepted)[0].attempt == 2


@virtual
async def test_without_a_connection_it_is_tried_for_a_short_while(tmp_path: Path) -> None:
    house = House(policy(tmp_path), outcomes=[SILENCE])
    async with house.running("submit"):
        await house.probe()
        await house.sleep(10_000)
    assert house.post.at == [0, 2, 6, 14], "2 s doubling, for 15 s"
    errors = house.facts(SubmitError)
    assert [error.retry_in for error in errors] == [2, 4, 8, None]
    assert {error.fault for error in errors} == {SubmitFault.UNREACHABLE}


@pytest.mark.parametrize(("outcome", "kind"), [(NO, Refused), (LOST, SubmitUnknown), (OURS, SubmitError)])
def test_final_outcomes_are_never_tried_again(tmp_path: Path, outcome: object, kind: type[Fact]) -> None:
    @virtual
    async def story() -> None:
        house = House(policy(tmp_path), outcomes=[outcome])  # type: ignore[list-item]
        async with house.running("submit"):
            await house.probe()
            await house.sleep(10_000)
        assert house.post.at == [0]
        assert len(house.facts(kind)) == 1 and len(house.facts(Attempted)) == 1

    story()


@virtual
async def test_a_recipient_that_is_no_seed_is_stopped_before_the_first_byte(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    async with house.running("submit"):
        await house.probe()
        await house.until(lambda: house.facts(Accepted))
        stranger = replace(house.facts(ProbePlanned)[0], probe="ffffffffffff", recipient=Address.parse("customer@box.test"))
        await house.journal.append([stranger])
        await house.until(lambda: house.facts(SubmitError))
        await house.sleep(10_000)
    assert [s.recipient for s in house.post.submissions] == [house.facts(ProbePlanned)[0].recipient]
    (error,) = house.facts(SubmitError)
    assert error.fault is SubmitFault.MISCONFIGURED and "no configured seed" in error.detail and error.retry_in is None
    assert "customer" not in error.detail


@virtual
async def test_a_template_that_breaks_at_run_time_is_ours(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    path = house.policy.paths[RELAY]
    broken = replace(path.via.identity.templates, text="{{ nothing_like_it }}")  # type: ignore[union-attr]
    via = replace(path.via, identity=replace(path.via.identity, templates=broken))  # type: ignore[union-attr, type-var]
    house.desk.policy = replace(house.policy, paths={RELAY: replace(path, via=via)})
    async with house.running("submit"):
        await house.probe()
        await house.until(lambda: house.facts(SubmitError))
    (error,) = house.facts(SubmitError)
    assert error.fault is SubmitFault.MISCONFIGURED and "nothing_like_it" in error.detail and "check-config" in error.mend
    assert not house.post.submissions


# --- budget ---------------------------------------------------------------------------------------------------------


@virtual
async def test_the_budget_of_a_path_ends_at_midnight_utc(tmp_path: Path) -> None:
    house = House(policy(tmp_path, paths={RELAY: {"daily_budget": 3}}))
    house.clock.step(-600.0)  # ten minutes to midnight
    async with house.running("submit"):
        for _ in range(5):
            await house.probe()
            await house.sleep(60)
        assert len(house.post.at) == 3
        assert ["path's budget of 3" in fact.detail for fact in house.facts(Withheld)] == [True, True]
        await house.sleep(299)
        await house.probe()
        await house.sleep(0.5)
        assert len(house.post.at) == 3, "half a second before"
        await house.sleep(1)
        for _ in range(4):
            await house.probe()
            await house.sleep(1)
    assert len(house.post.at) == 6 and len(house.facts(Withheld)) == 4


@virtual
async def test_the_budget_of_a_mailbox_is_its_own(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=2, mailboxes={"seed-1": {"daily_budget": 1}}))
    async with house.running("submit"):
        for _ in range(2):
            await house.probe()
            await house.sleep(1)
    assert [fact.route.mailbox for fact in house.facts(ProbePlanned)] == [seed(1), seed(2)] * 2
    (withheld,) = house.facts(Withheld)
    assert withheld.probe == house.facts(ProbePlanned)[2].probe and "mailbox's budget of 1" in withheld.detail


@virtual
async def test_probes_planned_at_one_instant_do_not_overdraw_the_budget(tmp_path: Path) -> None:
    house = House(policy(tmp_path, paths={RELAY: {"daily_budget": 3}}))
    append = house.journal.append

    async def slow(facts: Sequence[Fact], durable: bool = False) -> tuple[Entry, ...]:
        if durable:
            await asyncio.sleep(1)  # an fsync, during which others look at the budget
        return await append(facts, durable)

    house.journal.append = slow  # type: ignore[method-assign]
    async with house.running("submit"):
        await house.plan.plan_now([Route(RELAY, seed(1))] * 10, Purpose.SCHEDULED)
        await house.sleep(30)
    assert len(house.post.at) == 3 and len(house.facts(Withheld)) == 7


@virtual
async def test_a_retry_costs_no_budget(tmp_path: Path) -> None:
    house = House(policy(tmp_path, paths={RELAY: {"daily_budget": 1}}), outcomes=[LATER, TAKEN])
    async with house.running("submit"):
        await house.probe()
        await house.until(lambda: house.facts(Accepted))
    assert not house.facts(Withheld)


# --- concurrency, pause, drain, stale -------------------------------------------------------------------------------


@virtual
async def test_a_bounded_number_is_under_way(tmp_path: Path) -> None:
    house = House(policy(tmp_path, budgets={"per_path": 1000, "per_mailbox": 1000}))
    house.post.took = 10.0
    async with house.running("submit"):
        await house.plan.plan_now([Route(RELAY, seed(1))] * (CONCURRENT * 2 + 5), Purpose.SCHEDULED)
        await house.until(lambda: len(house.facts(Accepted)) == CONCURRENT * 2 + 5)
    assert house.post.most_under_way == CONCURRENT
    assert [house.post.at.count(at) for at in (0, 10, 20)] == [CONCURRENT, CONCURRENT, 5]


@virtual
async def test_one_slow_attempt_holds_up_no_other(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=2))
    slow = house.policy.mailboxes[seed(1)].address
    submit = house.post.submit

    async def uneven(submission: object, deadline: float) -> object:
        if submission.recipient == slow:  # type: ignore[attr-defined]
            await asyncio.sleep(25)
        return await submit(submission, deadline)  # type: ignore[arg-type]

    house.post.submit = uneven  # type: ignore[method-assign, assignment]
    async with house.running("submit"):
        await house.probe()
        await house.until(lambda: len(house.facts(Accepted)) == 2)
    assert house.times(Accepted) == [0, 25]
    assert house.post.deadlines == [30, 30], "the total deadline of one attempt"


@virtual
async def test_paused_attempts_nothing_and_resuming_goes_on(tmp_path: Path) -> None:
    house = House(policy(tmp_path), outcomes=[LATER, TAKEN])
    async with house.running("submit"):
        await house.probe()
        await house.until(lambda: house.facts(Deferred))
        await house.journal.append([Paused(house.clock.now(), "ann", "")])
        second = (await house.probe())[0]
        await house.sleep(300)
        assert house.post.at == [0], "neither the retry nor the new one"
        await house.journal.append([Resumed(house.clock.now(), "ann")])
        await house.until(lambda: len(house.facts(Accepted)) == 2)
    assert house.post.at == [0, 300, 300]
    assert house.facts(Attempted, second)


@virtual
async def test_what_waited_too_long_is_withdrawn_and_not_sent_in_a_burst(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=3))
    async with house.running("submit"):
        await house.journal.append([Paused(house.clock.now(), "ann", "")])
        await house.probe()
        await house.sleep(601)
        fresh = (await house.probe(seed(1)))[0]
        await house.journal.append([Resumed(house.clock.now(), "ann")])
        await house.sleep(10)
    assert [fact.cause for fact in house.facts(Withdrawn)] == [WithdrawCause.STALE] * 3
    assert [fact.probe for fact in house.facts(Attempted)] == [fresh]


@virtual
async def test_draining_lets_the_attempts_under_way_end_and_begins_nothing(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=2))
    house.post.took = 5.0
    async with house.running("submit"):
        running = await house.probe(seed(1))
        await house.sleep(1)
        draining = asyncio.ensure_future(house.submit.drain(20.0))
        await house.sleep(1)
        late = await house.probe(seed(2))
        await draining
        assert house.elapsed == 5.0, "as soon as it has ended"
        await house.sleep(60)
    assert house.facts(Accepted, running[0]) and not house.facts(Attempted, late[0])


@virtual
async def test_draining_waits_no_longer_than_it_may(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    house.post.took = 500.0
    async with house.running("submit"):
        await house.probe()
        await house.sleep(1)
        await house.submit.drain(20.0)
        assert house.elapsed == 21.0


@virtual
async def test_draining_does_not_wait_for_a_retry(tmp_path: Path) -> None:
    house = House(policy(tmp_path), outcomes=[LATER])
    async with house.running("submit"):
        await house.probe()
        await house.until(lambda: house.facts(Deferred))
        await house.submit.drain(20.0)
        assert house.elapsed == 0.0
        await house.sleep(1_000)
    assert house.post.at == [0]


# --- restart --------------------------------------------------------------------------------------------------------


@virtual
async def test_an_attempt_whose_outcome_died_with_the_process_is_unknown_and_never_sent_again(tmp_path: Path) -> None:
    rules = policy(tmp_path)
    first = House(rules)
    first.post.took = 100.0
    async with first.running("submit"):
        await first.probe()
        await first.sleep(1)
    second = await House(rules, before=first).restored()
    await second.watched()
    async with second.running("submit"):
        await second.sleep(10_000)
    assert not second.post.at and len(second.facts(Attempted)) == 1
    (unknown,) = second.facts(SubmitUnknown)
    assert "stopped" in unknown.detail


@virtual
async def test_a_retry_goes_on_after_a_restart_when_the_mailbox_is_watched(tmp_path: Path) -> None:
    rules = policy(tmp_path)
    first = House(rules, outcomes=[LATER])
    async with first.running("submit"):
        await first.probe()
        await first.sleep(20)
    second = await House(rules, before=first).restored()
    second.clock.step(20)  # its own monotonic clock goes on in this loop, but UTC would, too
    async with second.running("submit"):
        await second.sleep(200)
        assert not second.post.at, "not before the watcher has spoken"
        await second.watched()
        await second.sleep(1)
    assert len(second.post.at) == 1 and [fact.attempt for fact in second.facts(Attempted)] == [1, 2]


@virtual
async def test_a_mailbox_that_was_removed_between_two_runs(tmp_path: Path) -> None:
    two, one = policy(tmp_path, seeds=2), policy(tmp_path, seeds=1)
    first = House(two, outcomes=[LATER])
    async with first.running("submit"):
        retried = (await first.probe(seed(2)))[0]
        await first.sleep(1)
        await first.journal.append([Paused(first.clock.now(), "ann", "")])
        fresh = (await first.probe(seed(2)))[0]
    second = await House(one, before=first).restored()
    async with second.running("submit"):
        await second.sleep(100)
    assert [(fact.probe, fact.cause) for fact in second.facts(Withdrawn)] == [(fresh, WithdrawCause.ROUTE_REMOVED)]
    (error,) = second.facts(SubmitError)
    assert error.probe == retried and error.retry_in is None and not second.post.at


@virtual
async def test_a_full_disk_stops_submitting_and_loses_no_outcome(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    append, full = house.journal.append, False

    async def refusing(facts: Sequence[Fact], durable: bool = False) -> tuple[Entry, ...]:
        if full:
            raise JournalUnwritable("disk full")
        return await append(facts, durable)

    house.journal.append = refusing  # type: ignore[method-assign]
    house.post.took = 3.0
    async with house.running("submit"):
        running = (await house.probe())[0]
        await house.sleep(1)
        waiting = (await house.probe())[0]
        full = True
        await house.sleep(100)
        assert not house.desk.writable and not house.facts(Accepted)
        assert len(house.post.at) <= 2
        full = False
        await house.until(lambda: len(house.facts(Accepted)) == 2)
    assert house.desk.writable
    assert house.facts(Accepted, running) and house.facts(Accepted, waiting)
