"""Deploys as pictures, on virtual time: drawn once, stretched by their end, and never in anybody's way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monitor.app import FAREWELL
from monitor.edge.grafana import Grafana
from monitor.model.channels import NotifyPolicy, PagerdutyChannel
from monitor.model.deploy import GrafanaPolicy
from monitor.model.facts import DeployMarked, Fact, GateDecided, Judged
from monitor.model.gate import GATE_VERDICT, Because, GateId
from monitor.model.incident import DeployPhase
from monitor.model.policy import Policy
from monitor.model.secret import SecretRef, SecretSource
from monitor.ports import Annotator
from monitor.stages.annotate import DEADLINE, KEPT, WAITING, Annotate, Annotators
from monitor.wiring import Edges, build_edges, kept_edges
from tests.fakes.annotator import DOWN, GONE, REFUSED, FakeAnnotator
from tests.stages.house import House, policy
from tests.stages.virtual import virtual
from tests.stages.yard import Yard

START, FINISH, ROLLBACK = DeployPhase.START, DeployPhase.FINISH, DeployPhase.ROLLBACK


def by_name(**annotators: Annotator | None) -> Annotators | None:
    there = {name: one for name, one in annotators.items() if one is not None}
    return Annotators(there) if there else None


class Studio(House):
    """A house with this stage alone."""

    def __init__(self, directory: Path, annotator: Annotator | None, **others: Annotator) -> None:
        super().__init__(policy(directory))
        self.lost = 0
        self.annotate = Annotate(self.desk, by_name(grafana=annotator, **others), self._failed)

    def _failed(self, count: int) -> None:
        self.lost += count

    @contextlib.asynccontextmanager
    async def drawing(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.annotate.run(), name="annotate")
        await self.sleep(0.1)
        yield
        assert not task.done()
        task.cancel()

    async def mark(self, phase: DeployPhase, deploy: str = "d-1", ago: float = 0.0) -> DeployMarked:
        marker = DeployMarked(self.clock.now().plus(-ago), deploy, phase, "shop", "v2")
        await self.tell(marker)
        return marker

    async def tell(self, *facts: Fact) -> None:
        await self.journal.append(facts)
        await self.sleep(0.1)


def decided(house: House, because: Because = Because.LOSSES) -> GateDecided:
    return GateDecided(house.clock.now(), GateId("gate-0123456789ab"), "d-1", 1, GATE_VERDICT[because], because, "2 of 10 lost", (), ())


@virtual
async def test_a_start_is_a_point_that_the_finish_makes_a_span(tmp_path: Path) -> None:
    grafana = FakeAnnotator()
    house = Studio(tmp_path, grafana)
    async with house.drawing():
        start = await house.mark(START, ago=30.0)
        await house.sleep(100)
        finish = await house.mark(FINISH)
        rollback = await house.mark(ROLLBACK)
    point, span, last = grafana.asked
    assert point.picture is not None and (point.picture.at, point.picture.ended) == (start.at, None)
    assert point.picture.tags == ("deploy", "mailcanary", "test") and "shop v2 started" in point.picture.text
    assert (span.number, span.ended) == (1, finish.at) and "shop v2 finished" in span.text
    assert last.picture is not None and last.picture.at == rollback.at, "what is finished is not stretched any further"
    assert grafana.deadlines == {DEADLINE} and house.lost == 0


@virtual
async def test_an_end_without_a_start_is_a_picture_of_its_own(tmp_path: Path) -> None:
    grafana = FakeAnnotator()
    house = Studio(tmp_path, grafana)
    async with house.drawing():
        await house.mark(START, "other")
        finish = await house.mark(FINISH)
    assert [picture.at for picture in grafana.pictures][1:] == [finish.at] and len(grafana.asked) == 2


@virtual
async def test_a_picture_that_was_deleted_there_is_drawn_anew(tmp_path: Path) -> None:
    grafana = FakeAnnotator(None, GONE)
    house = Studio(tmp_path, grafana)
    async with house.drawing():
        await house.mark(START)
        finish = await house.mark(FINISH)
    assert [asked.number for asked in grafana.asked] == [0, 1, 0] and grafana.pictures[-1].at == finish.at
    assert house.lost == 0


@virtual
async def test_only_a_gate_that_failed_is_drawn(tmp_path: Path) -> None:
    grafana = FakeAnnotator()
    house = Studio(tmp_path, grafana)
    async with house.drawing():
        for because in Because:
            await house.tell(decided(house, because))
    failing = [because for because in Because if GATE_VERDICT[because] == "fail"]
    assert len(grafana.pictures) == len(failing) > 0
    assert {picture.tags for picture in grafana.pictures} == {("deploy", "mailcanary", "test", "gate")}
    assert "2 of 10 lost" in grafana.pictures[0].text


@virtual
async def test_three_tries_with_pauses_and_then_it_is_given_up_and_counted(tmp_path: Path) -> None:
    grafana = FakeAnnotator(DOWN, DOWN, DOWN, DOWN, DOWN)
    house = Studio(tmp_path, grafana)
    async with house.drawing():
        await house.mark(START)
        await house.sleep(60)
        assert [asked.at for asked in grafana.asked] == [0.1, 1.1, 5.1] and house.lost == 1
        await house.mark(FINISH)
        await house.sleep(60)
    assert [asked.number for asked in grafana.asked] == [0] * 6, "a start that was not drawn cannot be stretched"
    assert house.lost == 1


@virtual
async def test_what_no_other_try_can_mend_is_tried_once(tmp_path: Path) -> None:
    grafana = FakeAnnotator(REFUSED)
    house = Studio(tmp_path, grafana)
    async with house.drawing():
        await house.mark(START)
        await house.sleep(60)
    assert len(grafana.asked) == 1 and house.lost == 1


@virtual
async def test_failing_is_said_once_and_drawing_again_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "monitor.stages.annotate")
    grafana = FakeAnnotator(REFUSED, REFUSED)
    house = Studio(tmp_path, grafana)
    async with house.drawing():
        for number in range(4):
            await house.mark(START, f"d-{number}")
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "deploys are not drawn by grafana: grafana.test:443 answered 401; check the secret",
        "annotations are drawn again by grafana",
    ]
    assert house.lost == 2


@virtual
async def test_one_that_hangs_delays_nobody_and_what_waits_is_bounded(tmp_path: Path) -> None:
    grafana = FakeAnnotator(takes=1e9)
    house = Studio(tmp_path, grafana)
    async with house.drawing():
        await house.tell(DeployMarked(house.clock.now(), "first", START))
        many = [DeployMarked(house.clock.now(), f"d-{number}", START) for number in range(WAITING + 50)]
        await house.journal.append(many)
        await house.sleep(1)
        assert house.lost == 50, "the oldest of those that wait went"
        grafana.takes = 0.0
        await house.sleep(3600)
        assert house.lost == 50
    drawn = [picture.text for picture in grafana.pictures]
    assert "first" in drawn[0] and "d-50 " in next(text for text in drawn if "first" not in text)
    assert "d-149 " in drawn[-1] and len(drawn) == WAITING + 1


@virtual
async def test_a_daemon_whose_annotator_hangs_probes_on_and_is_well(tmp_path: Path) -> None:
    one = Yard(policy(tmp_path, schedule={"every": "5m", "jitter": "0%"}))
    one.app.annotate.reload(by_name(grafana=FakeAnnotator(takes=1e9)))
    async with one.running():
        await asyncio.sleep(10)
        now = one.clock.now()
        await one.journal.append([DeployMarked(now, f"d-{number}", START) for number in range(WAITING)])
        await asyncio.sleep(990)
        assert one.app.alive() < 15 and one.app.desk.stuck() == {}
        assert len(one.facts(Judged)) == 4
        assert b'mailcanary_monitor_errors_total{component="annotations"} 49.0' in one.app.metrics.expose("")[0]


@virtual
async def test_the_starts_that_are_remembered_are_bounded(tmp_path: Path) -> None:
    grafana = FakeAnnotator()
    house = Studio(tmp_path, grafana)
    async with house.drawing():
        for number in range(KEPT + 1):
            await house.mark(START, f"d-{number}")
        grafana.asked.clear()
        await house.mark(FINISH, "d-0")
        await house.mark(FINISH, "d-1")
    assert [asked.number for asked in grafana.asked] == [0, 2]


@virtual
async def test_nothing_is_drawn_nowhere_and_the_past_is_not_drawn(tmp_path: Path) -> None:
    house = Studio(tmp_path, None)
    await house.mark(START, "before")
    grafana = FakeAnnotator()
    async with house.drawing():
        await house.mark(START, "nowhere")
        house.annotate.reload(by_name(grafana=grafana))
        await house.mark(START, "here")
        await house.mark(FINISH, "before")
    assert [(asked.number, asked.at) for asked in grafana.asked] == [(0, 0.3), (0, 0.4)] and house.lost == 0


@virtual
async def test_another_place_knows_no_pictures_of_the_one_before(tmp_path: Path) -> None:
    one, other = FakeAnnotator(), FakeAnnotator()
    house = Studio(tmp_path, one)
    async with house.drawing():
        await house.mark(START, "d-1")
        await house.mark(START, "d-2")
        house.annotate.reload(by_name(grafana=one))
        await house.mark(FINISH, "d-1")
        house.annotate.reload(by_name(grafana=other))
        await house.mark(FINISH, "d-2")
    assert [asked.number for asked in one.asked] == [0, 0, 1]
    assert [asked.number for asked in other.asked] == [0]


@virtual
async def test_one_that_hangs_or_refuses_keeps_no_other_from_drawing(tmp_path: Path) -> None:
    hanging, refusing, well = FakeAnnotator(takes=1e9), FakeAnnotator(*[REFUSED] * 3), FakeAnnotator()
    house = Studio(tmp_path, hanging, refusing=refusing, well=well)
    async with house.drawing():
        for number in range(3):
            await house.mark(START, f"d-{number}")
        assert [asked.at for asked in well.asked] == [0.1, 0.2, 0.3]
        await house.sleep(100)
    assert len(refusing.asked) == 3 and house.lost == 6, "each that was not drawn is counted, wherever"


@virtual
async def test_each_remembers_its_own_numbers(tmp_path: Path) -> None:
    one, other = FakeAnnotator(DOWN, DOWN, DOWN), FakeAnnotator()
    house = Studio(tmp_path, one, other=other)
    async with house.drawing():
        await house.mark(START)
        await house.sleep(60)
        await house.mark(FINISH)
    assert ([asked.number for asked in one.asked], [asked.number for asked in other.asked]) == ([0, 0, 0, 0], [0, 1])


@virtual
async def test_a_place_that_is_added_or_taken_away_leaves_the_others_alone(tmp_path: Path) -> None:
    one, other = FakeAnnotator(), FakeAnnotator()
    house = Studio(tmp_path, one)
    async with house.drawing():
        await house.mark(START, "d-1")
        house.annotate.reload(by_name(grafana=one, other=other))
        await house.mark(FINISH, "d-1")
        await house.mark(START, "d-2")
        house.annotate.reload(by_name(other=other))
        await house.mark(FINISH, "d-2")
    assert [asked.number for asked in one.asked] == [0, 1, 0]
    assert [asked.number for asked in other.asked] == [0, 0, 2]


# ---- within the daemon -----------------------------------------------------------------------------------------------


def drawn_at(url: str) -> dict[str, Any]:
    return {"deploys": {"grafana": {"url": url, "token": {"env": "KEY"}}}}


GRAFANA = drawn_at("https://grafana.test")


class Gallery(Yard):
    """A yard whose Grafanas are kept in order."""

    def __init__(self, policy: Policy) -> None:
        self.grafanas: list[FakeAnnotator] = []
        super().__init__(policy)

    def _build(self, policy: Policy, before: Edges | None) -> Edges:
        edges = super()._build(policy, before)
        if policy.grafana is None:
            return edges
        self.grafanas.append(FakeAnnotator())
        return replace(edges, annotator=by_name(grafana=self.grafanas[-1]))


@virtual
async def test_a_reload_changes_where_deploys_are_drawn(tmp_path: Path) -> None:
    one = Gallery(policy(tmp_path))
    async with one.running():
        configurations = ({}, GRAFANA, {**GRAFANA, "drain": "5s"}, drawn_at("https://other.test"), {})
        for number, changes in enumerate(configurations):
            assert await one.app.reload(policy(tmp_path, **changes)) == ""
            await one.journal.append([DeployMarked(one.clock.now(), f"d-{number}", START)])
            await asyncio.sleep(1)
        await asyncio.sleep(FAREWELL + 1)
        first, third = one.grafanas[0], one.grafanas[2]
        assert [[picture.text for picture in grafana.pictures] for grafana in one.grafanas] == [
            ["deploy d-1 started", "deploy d-2 started"], [], ["deploy d-3 started"]
        ], "the third configuration changes nothing about it"  # fmt: skip
        assert (first.closed, third.closed) == (True, True)


@virtual
async def test_it_is_closed_with_the_daemon(tmp_path: Path) -> None:
    one = Gallery(policy(tmp_path, **GRAFANA))
    async with one.running():
        await asyncio.sleep(1)
        assert not one.grafanas[0].closed
    assert one.grafanas[0].closed


def test_the_real_one_is_built_and_kept(tmp_path: Path) -> None:
    old, other = policy(tmp_path, **GRAFANA), policy(tmp_path)
    edges = build_edges(old)
    assert edges.annotator is not None and build_edges(other).annotator is None
    assert [(name, type(one)) for name, one in edges.annotator.by_name.items()] == [("grafana", Grafana)]
    again = kept_edges(old, old.mailboxes, edges, old, build_edges(old, edges))
    assert again.annotator is edges.annotator
    moved = replace(old, grafana=GrafanaPolicy("https://other.test", SecretRef(SecretSource.ENV, "KEY")))
    assert kept_edges(old, old.mailboxes, edges, moved, build_edges(moved, edges)).annotator is not edges.annotator


def test_pagerduty_draws_beside_grafana(tmp_path: Path) -> None:
    key = SecretRef(SecretSource.ENV, "KEY")
    old = policy(tmp_path, **GRAFANA)
    both = replace(old, notify=NotifyPolicy({"quiet": PagerdutyChannel(key), "pager": PagerdutyChannel(key, changes=True)}))
    edges = build_edges(both)
    assert edges.annotator is not None and list(edges.annotator.by_name) == ["pager", "grafana"]
    assert kept_edges(both, both.mailboxes, edges, both, build_edges(both, edges)).annotator is edges.annotator
    assert kept_edges(both, both.mailboxes, edges, old, build_edges(old, edges)).annotator is not edges.annotator
