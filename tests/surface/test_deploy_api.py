"""/v1/deploys over a socket: times that others name, phases in their order, and webhooks that a configuration explains."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from yarl import URL

from monitor.model.deploy import DeployHook
from monitor.model.facts import DeployMarked
from monitor.model.incident import DeployPhase
from monitor.model.pointer import text_at
from monitor.model.policy import Access
from monitor.surface.api.bodies import WRITE_TIME, epoch
from monitor.surface.api.deploys import AHEAD, BEHIND
from tests.surface.premises import SECRETS, Site, hesitate, rules, served

START = {"deploy": "d-1", "phase": "start"}
GITHUB = DeployHook(
    "github",
    deploy="/deployment/id",
    phase="/deployment_status/state",
    starts=("in_progress", "queued"),
    finishes=("success",),
    rolls_back=("failure", "error"),
    service="/repository/name",
    version="/deployment/ref",
    sha="/deployment/sha",
    by="/sender/login",
    at="/deployment_status/created_at",
    url="/deployment_status/target_url",
)
PAYLOAD: dict[str, Any] = {
    "deployment": {"id": 42, "ref": "v512", "sha": "abc123"},
    "deployment_status": {"state": "In_Progress", "created_at": None, "target_url": "https://ci.test/1"},
    "repository": {"name": "checkout"},
    "sender": {"login": "ann"},
}


@pytest.fixture
def host() -> str:
    return "127.0.0.1"


@pytest.fixture
async def site(tmp_path: Path, host: str) -> AsyncIterator[Site]:
    async with served(replace(rules(tmp_path, host), deploy_hooks={"github": GITHUB})) as site:
        yield site


def markers(site: Site) -> list[DeployMarked]:
    return [fact for fact in site.facts() if isinstance(fact, DeployMarked)]


def iso(site: Site, ago: float) -> str:
    return datetime.fromtimestamp(site.clock.now().utc - ago, UTC).isoformat()


# ---- when ------------------------------------------------------------------------------------------------------------

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "written",
    [
        "2030-01-31T12:00:00Z", "2030-01-31T12:00:00+00:00", "2030-01-31T13:30:00+01:30", " 2030-01-31 12:00:00Z ", "20300131T120000Z",
        NOON, int(NOON), NOON * 1000, str(int(NOON)), str(int(NOON * 1000)), f"{NOON:.3f}",
    ],
)  # fmt: skip
def test_times_as_pipelines_write_them(written: object) -> None:
    assert epoch(written) == NOON


NO_TIMES: list[object] = ["", "now", "-5", "9" * 50, "1e9", "\u0661\u0662", -5, True, None, [], {}, float("nan"), float("inf"), 1e99]
NO_DATES = ["2030-01-31T12:00:00", "2030-01-31", "2030-13-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:00"]


@pytest.mark.parametrize("written", [*NO_TIMES, *NO_DATES])
def test_what_is_no_time(written: object) -> None:
    with pytest.raises(ValueError, match="with its offset"):
        epoch(written)


async def test_a_marker_of_the_past_stands_where_its_time_says(site: Site) -> None:
    status, row = await site.post("/v1/deploys", {**START, "at": iso(site, 90.0), "url": "https://ci.test/1", "source": "cli"})
    assert status == 201
    (marker,) = markers(site)
    now = site.clock.now()
    assert now.seconds_since(marker.at) == pytest.approx(90.0, abs=0.01) and now.utc - marker.at.utc == pytest.approx(90.0, abs=0.01)
    assert (marker.url, marker.source, row["at"]) == ("https://ci.test/1", "cli", marker.at.iso())


async def test_without_a_time_it_is_now_and_a_little_ahead_is_now_too(site: Site) -> None:
    await site.post("/v1/deploys", START)
    await site.post("/v1/deploys", {**START, "deploy": "d-2", "at": site.clock.now().utc + AHEAD - 1})
    for marker in markers(site):
        assert marker.at.utc == site.clock.now().utc and marker.source == "api"


async def test_a_time_in_the_future_names_both_clocks(site: Site) -> None:
    zone = timezone(timedelta(hours=2))
    told = datetime.fromtimestamp(site.clock.now().utc + 3600, zone)
    for path, body in (("/v1/deploys", START), ("/v1/deploys", {**START, "deploy": "d-2"})):
        status, answer = await site.post(path, {**body, "at": told.isoformat()})
        assert status == 400 and "3600 s ahead of the monitor's clock" in answer["reason"]
        assert site.clock.now().iso()[:19] in answer["reason"] and told.astimezone(UTC).isoformat()[:19] in answer["reason"]
    status, answer = await site.post("/v1/deploys", {**START, "at": site.clock.now().utc - BEHIND - 1})
    assert status == 400 and "30 days before" in answer["reason"]
    assert site.facts() == []


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"at": "yesterday"}, WRITE_TIME),
        ({"at": ""}, WRITE_TIME),
        ({"at": True}, WRITE_TIME),
        ({"url": "javascript:alert(1)"}, "https://"),
        ({"url": "https://" + "x" * 500}, "url: "),
        ({"source": "flagger"}, "source: "),
        ({"phase": "pause"}, "phase: "),
        ({"deploy": ""}, "deploy: "),
    ],
)
async def test_bad_markers_say_which_field(site: Site, more: dict[str, Any], word: str) -> None:
    status, answer = await site.post("/v1/deploys", {**START, **more})
    assert status == 400 and word in answer["reason"] and site.facts() == []


# ---- order -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["finish", "rollback"])
async def test_no_end_before_its_start(site: Site, phase: str) -> None:
    await site.post("/v1/deploys", {**START, "at": iso(site, 60.0)})
    for method, path, body in (("POST", "/v1/deploys", {"deploy": "d-1"}), ("PATCH", "/v1/deploys/d-1", {})):
        status, answer = await site.ask(method, path, json={**body, "phase": phase, "at": iso(site, 61.0)})
        assert status == 409 and "before it started at" in answer["reason"] and "check the clocks" in answer["reason"]
    assert len(markers(site)) == 1
    assert (await site.ask("PATCH", "/v1/deploys/d-1", json={"phase": phase, "at": iso(site, 60.0)}))[0] == 201, "at the same moment"


async def test_no_start_after_its_end(site: Site) -> None:
    await site.post("/v1/deploys", {"deploy": "d-1", "phase": "finish", "at": iso(site, 60.0)})
    status, answer = await site.post("/v1/deploys", START)
    assert status == 409 and "cannot finish at" in answer["reason"]
    assert (await site.post("/v1/deploys", {**START, "at": iso(site, 90.0)}))[0] == 201, "told late, and in order"
    assert (await site.post("/v1/deploys", {"deploy": "d-1", "phase": "rollback"}))[0] == 201


async def test_the_next_phase_inherits_what_was_said(site: Site) -> None:
    await site.post("/v1/deploys", {**START, "service": "checkout", "version": "v2", "sha": "abc", "by": "ci"})
    status, row = await site.ask("PATCH", "/v1/deploys/d-1", json={"phase": "finish", "by": "ann"})
    assert status == 201 and (row["service"], row["version"], row["sha"], row["by"]) == ("checkout", "v2", "abc", "ann")
    assert (await site.ask("PATCH", "/v1/deploys/d-1", json={"phase": "finish"}))[0] == 200, "repeated"
    assert len(markers(site)) == 2


@pytest.mark.parametrize("deploy", ["team/shop/12", "100%", "ü?#"])
async def test_deploys_of_every_name_can_be_patched(site: Site, deploy: str) -> None:
    await site.post("/v1/deploys", {**START, "deploy": deploy})
    url = URL(str(site.client.make_url("/v1/deploys/")) + quote(deploy, safe=""), encoded=True)
    async with site.client.session.patch(url, json={"phase": "finish"}) as answer:
        assert answer.status == 201


async def test_an_unknown_deploy_names_the_known(site: Site) -> None:
    status, answer = await site.ask("PATCH", "/v1/deploys/d-9", json={"phase": "finish"})
    assert status == 404 and "there is none" in answer["reason"]
    await site.post("/v1/deploys", START)
    status, answer = await site.ask("PATCH", "/v1/deploys/d-9", json={"phase": "finish"})
    assert status == 404 and "no deploy d-9 was marked; the latest are d-1" in answer["reason"]
    assert (await site.ask("PATCH", "/v1/deploys/d-1", json={}))[0] == 400


async def test_the_same_marker_at_the_same_moment_is_kept_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    hesitate(site, monkeypatch)
    answers = await asyncio.gather(*(site.post("/v1/deploys", START) for _ in range(6)))
    assert sorted(status for status, _ in answers) == [200] * 5 + [201] and len(markers(site)) == 1


@pytest.mark.parametrize("host", ["0.0.0.0"])
@pytest.mark.parametrize(("method", "path"), [("PATCH", "/v1/deploys/d-1"), ("POST", "/v1/deploys/hooks/github")])
async def test_each_needs_the_role_deploy(site: Site, method: str, path: str) -> None:
    body = {"phase": "finish"} if method == "PATCH" else PAYLOAD
    await site.ask("POST", "/v1/deploys", SECRETS["DEPLOY"], json=START)
    assert (await site.ask(method, path, json=body))[0] == 401
    for role in set(Access) - {Access.DEPLOY}:
        assert (await site.ask(method, path, SECRETS[role.name], json=body))[0] == 403
    assert len(markers(site)) == 1
    assert (await site.ask(method, path, SECRETS["DEPLOY"], json=body))[0] in (201, 202)


# ---- hooks -----------------------------------------------------------------------------------------------------------


def payload(**status: Any) -> dict[str, Any]:
    return {**PAYLOAD, "deployment_status": {**PAYLOAD["deployment_status"], **status}}


async def test_a_hook_says_what_it_understood(site: Site) -> None:
    status, answer = await site.post("/v1/deploys/hooks/github", payload(created_at=iso(site, 30.0)))
    assert status == 202 and answer["schema"] == "mailcanary.deploy-hook/v1" and answer["understood"] is True
    (marker,) = markers(site)
    assert (marker.deploy, marker.phase, marker.service, marker.version) == ("42", DeployPhase.START, "checkout", "v512")
    assert (marker.sha, marker.by, marker.source, marker.url) == ("abc123", "ann", "webhook:github", "https://ci.test/1")
    assert site.clock.now().seconds_since(marker.at) == pytest.approx(30.0, abs=0.01)
    assert answer["marker"]["deploy"] == "42" and answer["reason"] == "marked"
    status, answer = await site.post("/v1/deploys/hooks/github", payload())
    assert status == 202 and "was marked before" in answer["reason"] and len(markers(site)) == 1


@pytest.mark.parametrize(("state", "phase"), [("queued", "start"), ("SUCCESS", "finish"), ("failure", "rollback"), ("error", "rollback")])
async def test_the_words_of_a_tool(site: Site, state: str, phase: str) -> None:
    assert (await site.post("/v1/deploys/hooks/github", payload(state=state)))[1]["marker"]["phase"] == phase


async def test_a_phase_that_means_nothing_here_is_said(site: Site) -> None:
    status, answer = await site.post("/v1/deploys/hooks/github", payload(state="waiting\x1b[2J"))
    assert status == 200 and answer["understood"] is False and answer["marker"] is None and site.facts() == []
    assert "waiting" in answer["reason"] and "/deployment_status/state" in answer["reason"] and "in_progress, queued" in answer["reason"]
    assert "\x1b" not in answer["reason"]


STATE, ID = "/deployment_status/state", "/deployment/id"
DONE = {"deployment_status": {"state": "success"}}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, STATE),
        ([], STATE),
        ({"deployment_status": {"state": {"a": 1}}}, STATE),
        ({"deployment_status": {"state": True}}, STATE),
        (DONE, ID),
        ({**DONE, "deployment": []}, ID),
        ({**DONE, "deployment": {"id": " \u0000 "}}, ID),
    ],
)
async def test_a_pointer_that_finds_nothing_is_named(site: Site, body: object, pointer: str) -> None:
    status, answer = await site.post("/v1/deploys/hooks/github", body)
    assert status == 400 and pointer in answer["reason"] and site.facts() == []


async def test_other_refusals_of_hooks(site: Site) -> None:
    status, answer = await site.post("/v1/deploys/hooks/nope", PAYLOAD)
    assert status == 404 and "no hook nope is configured in deploys.webhooks; there are github" in answer["reason"]
    status, answer = await site.post("/v1/deploys/hooks/github", payload(created_at="soon"))
    assert status == 400 and "/deployment_status/created_at" in answer["reason"] and "is no time" in answer["reason"]
    status, answer = await site.post("/v1/deploys/hooks/github", payload(created_at=iso(site, -3600)))
    assert status == 400 and "ahead of the monitor's clock" in answer["reason"]
    await site.post("/v1/deploys/hooks/github", payload())
    status, answer = await site.post("/v1/deploys/hooks/github", payload(state="success", created_at=iso(site, 60)))
    assert status == 409 and "before it started" in answer["reason"] and len(markers(site)) == 1


async def test_what_is_too_long_or_strange_in_a_hook_is_left_out(site: Site) -> None:
    body = payload(target_url="javascript:alert(1)", created_at="")
    body["repository"] = {"name": "x" * 10_000}
    body["sender"] = {"login": "a\nb\x00\u202ec"}
    assert (await site.post("/v1/deploys/hooks/github", body))[0] == 202
    (marker,) = markers(site)
    assert len(marker.service) == 200 and marker.by == "a bc" and marker.url == ""


async def test_the_name_of_a_deploy_is_never_cut(site: Site) -> None:
    long = payload()
    long["deployment"] = {**long["deployment"], "id": "d" * 400}
    assert (await site.post("/v1/deploys/hooks/github", long))[0] == 202 and markers(site)[0].deploy == "d" * 400
    long["deployment"] = {**long["deployment"], "id": "d" * 401}
    status, answer = await site.post("/v1/deploys/hooks/github", long)
    assert status == 400 and "more than 400 characters" in answer["reason"] and len(markers(site)) == 1


@pytest.mark.parametrize(
    ("pointer", "found"),
    [("/a~1b/0/~0", "1.5"), ("/", "empty"), ("/n", ""), ("/deep", ""), ("/deep/x", "\nraw"), ("a", ""), ("/a~1b/00", ""), ("/a~1b/7", "")],
)
def test_pointers(pointer: str, found: str) -> None:
    assert text_at({"a/b": [{"~": 1.5}], "": "empty", "n": None, "deep": {"x": "\nraw"}}, pointer) == found
