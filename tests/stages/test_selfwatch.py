"""Trouble of the monitor's own on virtual time: clocks that step, a loop that stands still, descriptors that are used up."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from monitor.app import TICK
from monitor.edge.journal import JournalError
from monitor.model.facts import ClockJumped, Judged, ProbePlanned, SubmitError, SubmitFault, Transition
from monitor.model.incident import Phase
from monitor.model.submission import Step, Unreached
from monitor.model.verdict import Reason, Verdict
from monitor.stages.submit import Submit
from monitor.surface.api.application import STALL
from tests.fakes.submitter import TAKEN
from tests.stages.house import House, policy
from tests.stages.virtual import virtual
from tests.stages.yard import Yard

STEADY = {"schedule": {"every": "5m", "jitter": "0%"}, "budgets": {"per_path": 5000, "per_mailbox": 5000}}


@pytest.mark.parametrize("seconds", [-3600.0, -300.0, -2.0, 2.0, 300.0, 3600.0, 86_400.0 * 3])
def test_a_clock_that_steps_breaks_no_mail(tmp_path: Path, seconds: float) -> None:
    @virtual
    async def run() -> None:
        yard = Yard(policy(tmp_path, seeds=3, **STEADY))
        yard.posts[0].transit = 40.0
        async with yard.running():
            for _ in range(20):
                await asyncio.sleep(95)
                yard.clock.step(seconds)
            await asyncio.sleep(400)
        assert {fact.reason.verdict for fact in yard.facts(Judged)} <= {Verdict.PASS, Verdict.INCONCLUSIVE}
        assert bool(yard.facts(ClockJumped)) == (abs(seconds) > 3)
        assert not [fact for fact in yard.facts(Transition) if fact.phase is Phase.OPENED]
        assert len(yard.facts(ProbePlanned)) <= 3 * (2300 / 300 + 2), "no catch-up burst"

    run()


@virtual
async def test_a_loop_that_stands_still_is_seen_and_calls_nothing_missing(tmp_path: Path) -> None:
    yard = Yard(policy(tmp_path, seeds=2, **STEADY))
    yard.posts[0].transit = 10.0
    async with yard.running():
        await asyncio.sleep(151)
        yard.clock.starve(3000.0)  # a blocking call, or SIGSTOP: nothing ran, longer than every deadline
        assert yard.app.alive() > STALL
        await asyncio.sleep(TICK * 2)
        assert yard.app.alive() < STALL and yard.app.vitals.loop_lag < 3000.0
        await asyncio.sleep(700)
    assert {fact.reason for fact in yard.facts(Judged)} == {Reason.PASS}


@pytest.mark.parametrize(("exhausted", "reason"), [(True, Reason.INTERNAL), (False, Reason.SUBMIT_UNREACHABLE)])
def test_no_file_descriptor_is_our_own_fault(tmp_path: Path, exhausted: bool, reason: Reason) -> None:
    @virtual
    async def run() -> None:
        house = House(policy(tmp_path), outcomes=[Unreached(Step.CONNECT, "relay.test:587: Too many open files")])
        house.build()
        stage = Submit(house.desk, dict.fromkeys(house.policy.paths, house.post), lambda: exhausted)
        await house.watched()
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(stage.run()), tasks.create_task(house.judge.run())]
            await asyncio.sleep(0)
            (probe,) = await house.probe()
            await house.until(lambda: house.facts(Judged, probe))
            for task in running:
                task.cancel()
        faults = {fact.fault for fact in house.facts(SubmitError)}
        assert faults == {SubmitFault.INTERNAL if exhausted else SubmitFault.UNREACHABLE}
        assert len(house.facts(SubmitError)) > 1, "descriptors may come free: tried again"
        assert [fact.reason for fact in house.facts(Judged)] == [reason]
        assert ("raise its limit" in house.facts(Judged)[0].explanation) is exhausted

    run()


@virtual
async def test_descriptors_that_come_free_again(tmp_path: Path) -> None:
    house = House(policy(tmp_path), outcomes=[Unreached(Step.CONNECT, "no descriptor"), TAKEN])
    house.build()
    stage = Submit(house.desk, dict.fromkeys(house.policy.paths, house.post), lambda: True)
    await house.watched()
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(one.run()) for one in (stage, house.watch, house.judge)]
        await asyncio.sleep(0)
        (probe,) = await house.probe()
        await house.until(lambda: house.facts(Judged, probe))
        for task in running:
            task.cancel()
    assert [fact.reason for fact in house.facts(Judged)] == [Reason.PASS]


@virtual
async def test_a_journal_that_a_restart_could_not_read_ends_the_daemon(tmp_path: Path) -> None:
    yard = Yard(policy(tmp_path, **STEADY))
    sound = True

    async def verify() -> None:
        if not sound:
            raise JournalError("damaged; restore it")

    yard.journal.verify = verify  # type: ignore[method-assign]
    with pytest.raises(ExceptionGroup) as ended:
        async with yard.running():
            await asyncio.sleep(300)
            sound = False
            await asyncio.sleep(300)
    assert "restore it" in str(ended.value.exceptions[0])


@pytest.mark.parametrize(("starved", "reason"), [(True, Reason.OVERLOADED), (False, Reason.SUBMIT_UNREACHABLE)])
def test_a_deadline_that_passed_while_we_stood_still_blames_nobody(tmp_path: Path, starved: bool, reason: Reason) -> None:
    """The process is suspended while every relay is being connected to; whoever is not answered in time then was not asked in time."""

    @virtual
    async def run() -> None:
        yard = Yard(policy(tmp_path, seeds=6, submission={"unreachable_for": "0s"}, **STEADY))
        yard.posts[0].took = 20.0
        silence = [Unreached(Step.CONNECT, "no answer in time")]
        yard.posts[0].outcomes = {box.address.base: silence for box in yard.policy.mailboxes.values()}
        async with yard.running():
            await asyncio.sleep(3)
            if starved:
                yard.clock.starve(10.0)
            await asyncio.sleep(30)
            assert {fact.reason for fact in yard.facts(Judged)} == {reason}
            assert {fact.reason.verdict for fact in yard.facts(Judged)} == {Verdict.ERROR if starved else Verdict.FAIL}

    run()
