"""Whole stories: the shop deploys on a lab, a daemon watches, and each tool runs its example. v2 flips the mail away, v3 is the fix."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import junitparser
import pytest

from monitor.lab.faults import Fault, Scope
from tests.pipelines import argo, commands, flagger
from tests.pipelines.expectations import polling_only
from tests.pipelines.test_argo import JOB, WEB
from tests.pipelines.test_examples import JENKINS, PIPELINE, WORKFLOW
from tests.pipelines.test_flagger import SHIPPED
from tests.pipelines.world import FIXED, ROLLBACK_TOKEN, Runner, World, outputs, world

pytestmark = [pytest.mark.timeout(90)]

BAD = "v2"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world")) as here:
        yield here


# --- GitHub ----------------------------------------------------------------------------------------------------------


async def play_workflow(runner: Runner) -> dict[str, tuple[str, str]]:
    """The workflow's own steps, as far as they run commands: name or id -> (outcome, what it printed)."""
    outcomes: dict[str, tuple[str, str]] = {}
    failed = False
    for step in WORKFLOW["jobs"]["release"]["steps"]:
        name, condition = step.get("id", step.get("name", "")), step.get("if", "success()")
        wanted = {
            "success()": not failed,
            "always()": True,
            "failure() && steps.gate.outcome == 'failure'": failed and outcomes.get("gate", ("",))[0] == "failure",
        }[condition]
        if not wanted:
            outcomes[name] = ("skipped", "")
        elif "run" in step and not step["run"].startswith("pipx"):
            ran = await runner.run(step["run"].replace("--environment production", "--environment lab"), **step.get("env", {}))
            outcomes[name] = ("success" if ran.code == 0 else "failure", ran.out + ran.err)
            failed = failed or ran.code != 0
    return outcomes


def github(one: World, home: Path, version: str) -> Runner:
    files = {name: str(home / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    return Runner(one, home, {"GITHUB_ACTIONS": "true", "GITHUB_SHA": version, "GITHUB_ACTOR": "ana", "CI": "true", **files})


async def test_github_stops_a_bad_deploy_and_takes_it_back(one: World, tmp_path: Path) -> None:
    runner = github(one, tmp_path, BAD)
    steps = await play_workflow(runner)
    said = {name: outcome for name, (outcome, _) in steps.items()}
    assert said["gate"] == "failure" and said["Promote"] == "skipped" and said["Take it back"] == "success", steps
    assert runner.deployed == ["canary v2", "rollback v2"]
    heard = outputs((tmp_path / "GITHUB_OUTPUT").read_text())
    assert heard["verdict"] == "fail" and heard["gate_id"].startswith("gate-") and heard["reason"]
    assert "FAIL" in (tmp_path / "GITHUB_STEP_SUMMARY").read_text().upper()
    log = steps["gate"][1]
    assert "::error" in log and f"GATE FAIL {heard['gate_id']}" in log
    assert json.loads((tmp_path / "gate.json").read_text())["verdict"] == "fail"
    assert junitparser.JUnitXml.fromfile(str(tmp_path / "gate.xml")).failures
    assert "@" not in log.replace("::add-mask::", ""), "no address of a mailbox"
    assert "rollback" in {marker["phase"] for row in one.get("/v1/deploys")["deploys"] if row["deploy"] == BAD for marker in row["markers"]}


async def test_github_promotes_the_fix(one: World, tmp_path: Path) -> None:
    runner = github(one, tmp_path, FIXED)
    steps = await play_workflow(runner)
    assert all(outcome == "success" for name, (outcome, _) in steps.items() if name != "Take it back"), steps
    assert runner.deployed == ["canary v3", "promote v3"]
    assert outputs((tmp_path / "GITHUB_OUTPUT").read_text())["verdict"] == "pass"
    rows = one.get("/v1/deploys")["deploys"]
    deploys = {(row["deploy"], marker["phase"]) for row in rows for marker in row["markers"]}
    assert {(FIXED, "start"), (FIXED, "finish")} <= deploys


# --- GitLab, Jenkins -------------------------------------------------------------------------------------------------


async def test_gitlab_s_job_is_red_again_and_cannot_be_retried_green(one: World, tmp_path: Path) -> None:
    """The retry meets the fail of before, although the good version is live then. The report is there to be collected."""
    variables = {"CI_COMMIT_SHA": BAD, "CI_PIPELINE_URL": "https://gitlab.test/1", "GITLAB_USER_LOGIN": "ana"}
    runner = Runner(one, tmp_path, variables)
    (line,) = PIPELINE["refund-mail"]["script"]
    for live in (BAD, "v1"):
        await one.live(live)
        ran = await runner.run(line.replace("--environment production", "--environment lab"))
        assert ran.code == 1 and "GATE FAIL" in ran.out.splitlines()[-1], ran
    assert ran.code not in PIPELINE["refund-mail-review"]["allow_failure"]["exit_codes"]
    report = junitparser.JUnitXml.fromfile(str(tmp_path / "gate.xml"))
    assert report.failures and not report.skipped
    names = [(case.classname, case.name) for suite in report for case in suite]
    assert len(names) == len(set(names)), "GitLab ignores the second of two with one name"


async def test_jenkins_reads_the_exit_code(one: World, tmp_path: Path) -> None:
    await one.live(FIXED)
    runner = Runner(one, tmp_path, {"GIT_COMMIT": FIXED, "BUILD_URL": "https://ci.test/7"})
    (line,) = (words for words in commands.in_text(JENKINS) if words[:2] == ["gate", "run"])
    words = " ".join(f'"{word}"' for word in line).replace("production", "lab")
    assert (await runner.run(f"mailcanary {words}")).code == 0
    assert (tmp_path / "gate.xml").exists() and (tmp_path / "gate.json").exists()
    missing = await runner.run(f"mailcanary {words}".replace("lab", "production"))
    assert missing.code == 2 and "production" in missing.err, "the wrong daemon is asked"
    assert junitparser.JUnitXml.fromfile(str(tmp_path / "gate.xml")).errors, "a report says so too, and it is not green"


# --- Argo ------------------------------------------------------------------------------------------------------------


def arguments(deploy: str, version: str) -> dict[str, str]:
    return {"environment": "lab", "deploy": deploy, "version": version, "token": "none on loopback"}


async def brief(_: float) -> None:
    await asyncio.sleep(0.3)


@pytest.mark.parametrize(
    ("version", "phase", "rollout"),
    [(BAD, argo.Phase.FAILED, argo.Rollout.ABORTED), (FIXED, argo.Phase.SUCCESSFUL, argo.Rollout.GOES_ON)],
)
async def test_argo_s_web_metric(one: World, version: str, phase: argo.Phase, rollout: argo.Rollout) -> None:
    await one.live(version)
    run = argo.Run(WEB, arguments(f"rs-web-{version}", version), one.url)
    assert await run.finish(brief) is phase and run.rollout is rollout, (run.values, run.messages)
    assert json.loads(run.values[-1])["reason"], "`kubectl argo rollouts get` shows why"


@pytest.mark.parametrize(("version", "phase"), [(BAD, argo.Phase.FAILED), (FIXED, argo.Phase.SUCCESSFUL)])
async def test_argo_s_job_metric(one: World, tmp_path: Path, version: str, phase: argo.Phase) -> None:
    """The Job's pod is our command with the template's arguments; of the same deploy as above it hears the same."""
    await one.live(version)
    runner = Runner(one, tmp_path, {"MAILCANARY_TOKEN": "none on loopback"})

    async def container(pod: argo.Tree) -> int:
        (only,) = pod["containers"]
        process = await runner.start("mailcanary", *only["args"])
        out, _ = await asyncio.wait_for(process.communicate(), 50)
        assert out.decode().splitlines()[-1].startswith("GATE "), out
        assert process.returncode is not None
        return process.returncode

    args = arguments(f"rs-web-{version}", version)
    assert await argo.Run(JOB, args, one.url, containers=container).finish() is phase


async def ask(one: World, **body: Any) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.post(f"{one.url}/v1/gates", json=body) as answer:
        assert answer.status in (200, 201), await answer.text()
        return dict(await answer.json())


async def test_a_version_that_was_never_observed_pauses(one: World) -> None:
    """The rollout reached no pod that a probe met: nobody knows, so nothing is promoted and nothing aborted."""
    await one.live("v1")
    gate = await ask(one, deploy="rs-away", version="v9", timeout="5s")
    run = argo.Run(polling_only(WEB), arguments("rs-away", "v9"), one.url, count=20, inconclusiveLimit=20)
    assert await run.finish(brief) is argo.Phase.INCONCLUSIVE and run.rollout is argo.Rollout.PAUSED
    decided = one.get(f"/v1/gates/{gate['id']}?wait=10s")
    assert (decided["verdict"], decided["because"]) == ("inconclusive", "unobserved"), decided["reason"]
    assert "v1" in decided["reason"] + " ".join(decided["unseen"]), "which version answered instead"


async def test_a_daemon_that_is_killed_in_the_middle_of_it(one: World) -> None:
    """Mail is taken and lost, so nothing is known before the deadline. The gate goes on behind the restart, with what was sent before."""
    await one.live(FIXED)
    lost = Scope(path="shop")
    await asyncio.to_thread(one.lab.steer, lambda client: client.switch_on(Fault.ACCEPT_AND_DROP, lost))
    killed_at: list[str] = []

    async def wait(_: float) -> None:
        if not killed_at:
            killed_at.append(one.get("/v1/gates/by-deploy/lab/rs-killed")["state"])
            await asyncio.to_thread(one.restart)
        await brief(0)

    try:
        run = argo.Run(WEB, arguments("rs-killed", FIXED), one.url)
        assert await run.finish(wait) is argo.Phase.FAILED, (run.values, run.messages)
    finally:
        await asyncio.to_thread(one.lab.steer, lambda client: client.clear_faults())
    gate = one.get("/v1/gates/by-deploy/lab/rs-killed")
    assert killed_at == ["running"] and gate["attempt"] == 1 and gate["verdict"] == "fail"


# --- Flagger ---------------------------------------------------------------------------------------------------------


def canary(one: World, version: str) -> flagger.Canary:
    def fill(url: str) -> str:
        tokens = {"GATE": "any", "DEPLOY": "any", "ROLLBACK": ROLLBACK_TOKEN}
        for name, token in tokens.items():
            url = url.replace(f"${{MAILCANARY_{name}_TOKEN}}", token)
        return url

    text = json.dumps(SHIPPED).replace("${VERSION}", version)
    return flagger.Canary(json.loads(text), one.url, checksum=f"sum{version}", url=fill)


async def tick() -> None:
    await asyncio.sleep(0.5)


async def test_flagger_rolls_a_bad_deploy_back(one: World) -> None:
    subject = canary(one, BAD)
    await subject.advance()
    await one.live(BAD)
    assert await subject.finish(60, tick) is flagger.Phase.FAILED, subject.events
    assert not any("Copying" in text for text in subject.events), "never promoted"
    gate = one.get("/v1/gates/by-deploy/lab/shop%2Fcheckout-api%2Fsumv2")
    assert gate["verdict"] == "fail" and gate["deploy"]["version"] == BAD and gate["deploy"]["marked"]


async def test_flagger_holds_and_promotes_the_fix(one: World) -> None:
    subject = canary(one, FIXED)
    await subject.advance()
    await one.live(FIXED)
    assert await subject.finish(60, tick) is flagger.Phase.SUCCEEDED, subject.events
    assert subject.failed_checks == 0
    (row,) = (row for row in one.get("/v1/deploys")["deploys"] if row["deploy"] == "shop/checkout-api/sumv3")
    assert [marker["phase"] for marker in row["markers"]] == ["start", "finish"]


# --- by hand ---------------------------------------------------------------------------------------------------------


async def test_a_pipeline_that_is_stopped_cancels_what_it_began(one: World, tmp_path: Path) -> None:
    runner = Runner(one, tmp_path, {})
    process = await runner.start("mailcanary", "gate", "run", "--deploy", "stopped", "--version", "v9", "--junit", "gate.xml")
    for _ in range(200):
        await asyncio.sleep(0.05)
        if any(row["deploy"] == "stopped" for row in one.get("/v1/gates")["gates"]):
            break
    process.send_signal(signal.SIGTERM)
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 143 and b"Traceback" not in err, err
    assert one.get("/v1/gates/by-deploy/lab/stopped")["because"] == "cancelled"
    assert junitparser.JUnitXml.fromfile(str(tmp_path / "gate.xml")).errors, out
