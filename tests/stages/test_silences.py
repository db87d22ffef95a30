"""Planned silences in the whole house, on virtual time: who hears of what, when, over restarts; and that blindness ends nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.model.channels import AlertmanagerChannel, NotifyPolicy, WebhookChannel
from monitor.model.facts import Fact, Paused, SilenceEnded, SilencePlanned, Transition
from monitor.model.incident import Phase, Scope, ScopeKind, SilenceId
from monitor.model.notice import Call
from monitor.model.policy import Policy
from monitor.stages.notify import Notify
from monitor.surface.incidents import incident_story
from tests.fakes.channel import FakeChannel
from tests.stages.house import RELAY, House, seed
from tests.stages.test_incident import STAGES, healed, opened, told, two_paths
from tests.stages.virtual import virtual

QUARTER = 900.0  # of an hour
PATH = Scope(ScopeKind.PATH, RELAY)
HOOK = WebhookChannel("https://hook.test/", None)


class Told(House):
    """With one channel for everything."""

    def __init__(self, policy: Policy, before: Told | None = None, forgetful: bool = False) -> None:
        via = AlertmanagerChannel(("https://alerts.test/",), None) if forgetful else HOOK
        super().__init__(replace(policy, notify=NotifyPolicy(channels={"hook": via}, pages=("hook",), tickets=("hook",))), before)
        self.channel = before.channel if before is not None else FakeChannel()

    @contextlib.asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        stage = Notify(self.desk, {"hook": self.channel})
        async with self.running(*STAGES):
            task = asyncio.create_task(stage.run())
            await asyncio.sleep(0)
            try:
                yield
                assert not task.done(), task.result()
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def say(self, *facts: Fact) -> None:
        await self.journal.append(facts)

    async def window(self, seconds: float, begins: float = 0.0, scope: Scope = PATH) -> SilencePlanned:
        now = self.clock.now()
        number = self.world.incidents.following_silence()
        fact = SilencePlanned(now, number, "ana", "the relay moves", now.utc + begins, now.utc + begins + seconds, (scope,))
        await self.say(fact)
        return fact

    def loses(self) -> None:
        self.posts[RELAY].transit = None

    def fired(self) -> list[tuple[float, str]]:
        """When, and the title."""
        return [(heard.at, heard.notice.title) for heard in self.channel.heard if heard.notice.call is Call.FIRE]

    def silenced(self) -> list[Transition]:
        return told(self, Phase.SILENCED)


def test_a_maintenance_window_keeps_quiet_and_its_end_tells_what_is_still_bad(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        house = Told(two_paths(tmp_path, 3))
        async with house.living():
            await house.sleep(320)
            window = await house.window(2 * QUARTER, begins=QUARTER)
            begins, until = house.elapsed + QUARTER, house.elapsed + 3 * QUARTER
            await house.sleep(QUARTER + 60)
            house.loses()
            fact = await opened(house)
            assert fact.silent_until == window.until and house.silenced()[-1].note.startswith("SIL-1 of ana until")
            await house.sleep(begins + 2 * QUARTER - 5 - house.elapsed)
            assert house.channel.heard == [], "the window goes on"
            await house.sleep(30)
            assert [at for at, _ in house.fired()] == [pytest.approx(until, abs=1.0)]
            assert "Still open: " in house.fired()[0][1] and "the silence is over" in house.channel.heard[0].notice.text
            await house.sleep(QUARTER)
        assert all("Still open" not in title for _, title in house.fired()[1:])

    run()


def test_what_was_told_falls_silent_at_the_second_of_its_beginning_and_ends_early_at_a_word(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        house = Told(two_paths(tmp_path, 3))
        async with house.living():
            await house.sleep(320)
            house.loses()
            await opened(house)
            await house.sleep(30)
            before = len(house.fired())
            assert before == 1
            began = house.elapsed + 100
            await house.window(2 * QUARTER, begins=100)
            await house.until(house.silenced)
            assert house.elapsed == pytest.approx(began, abs=0.1)
            await house.sleep(QUARTER)
            assert len(house.fired()) == before
            await house.say(SilenceEnded(house.clock.now(), SilenceId("SIL-1"), "bob", "done"))
            ended = house.elapsed
            await house.sleep(10)
            assert [at for at, _ in house.fired()[before:]] == [pytest.approx(ended, abs=1.0)]

    run()


def test_over_in_the_window_is_told_to_whoever_heard_and_to_nobody_else(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        house = Told(two_paths(tmp_path, 3))
        async with house.living():
            await house.sleep(320)
            await house.window(4 * QUARTER)
            house.loses()
            await opened(house)
            healed(house)
            await house.until(lambda: told(house, Phase.RESOLVED))
            await house.sleep(house.world.incidents.pending(0.0)[0].until - house.clock.now().utc + 60)
        assert house.channel.heard == []

    run()


def test_a_restart_within_the_window_and_one_after_it(tmp_path: Path) -> None:
    """The end of a silence falls into the time when nobody runs: told by the next process, once."""

    @virtual
    async def run() -> None:
        rules = two_paths(tmp_path, 3)
        first = Told(rules)
        async with first.living():
            await first.sleep(320)
            await first.window(QUARTER)
            first.loses()
            await opened(first)
            await first.sleep(60)
        second = Told(rules, first)
        second.loses()
        await second.restored()
        async with second.living():
            await second.sleep(100)
            assert (second.channel.heard == [] and second.world.incidents.known == first.world.incidents.known) or second.silenced()
        await asyncio.sleep(QUARTER)
        third = Told(rules, second)
        third.loses()
        await third.restored()
        async with third.living():
            await third.sleep(60)
        assert [heard.notice.call for heard in third.channel.heard] == [Call.FIRE] and "Still open: " in third.fired()[0][1]

    run()


def test_alertmanager_takes_back_what_falls_silent_and_hears_of_it_again(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        house = Told(two_paths(tmp_path, 3), forgetful=True)
        async with house.living():
            await house.sleep(320)
            house.loses()
            await opened(house)
            await house.sleep(130)
            await house.window(QUARTER)
            await house.sleep(QUARTER - 10)
            back = [heard.notice for heard in house.channel.heard if heard.notice.call is Call.RESOLVE]
            assert len(back) == 1 and back[0].title.startswith("[not over: silenced by SIL-1 of ana until ")
            fired = len(house.fired())
            await house.sleep(200)
            assert len(house.fired()) >= fired + 2, "told, and reminded of"

    run()


def test_a_monitor_that_is_blind_for_hours_ends_nothing_and_says_when_it_saw_last(tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        house = Told(two_paths(tmp_path, 3), forgetful=True)
        async with house.living():
            await house.sleep(320)
            house.loses()
            fact = await opened(house)
            await house.sleep(900)
            state = house.world.incidents.known[fact.incident]
            row = incident_story(house.desk, state)
            assert row["stale"] is False and row["last_evidence_at"] is not None
            last = row["last_evidence_at"]
            await house.say(Paused(house.clock.now(), "ana", "nothing goes out"))
            for number in range(1, 4):
                await house.blinded(seed(number))
            await house.sleep(10_000)
            row = incident_story(house.desk, state)
            assert (row["state"], row["stale"], row["recovering"]) == ("open", True, False)
            assert str(row["last_evidence_at"]) >= str(last)
            reminder = [heard.notice for heard in house.channel.heard if heard.notice.incident == fact.incident][-1]
            assert reminder.call is Call.FIRE and f"no fresh evidence, last evidence at {row['last_evidence_at']}" in reminder.text
        assert told(house, Phase.RESOLVED) == []

    run()
