"""Argo Rollouts' double: it concludes as Argo does, finds fault with every wrong server, and runs the templates as they are shipped."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.pipelines import argo
from tests.pipelines.argo import Phase, Rollout, Run, condition, evaluate
from tests.pipelines.expectations import EXAMPLES, Standing, argo_complaints, polling_only
from tests.pipelines.wrong import WRONG_FOR_ARGO, Answer, as_json, as_text, body, right_argo, serving, site

WEB = argo.load((EXAMPLES / "argo-web.yaml").read_text())
JOB = argo.load((EXAMPLES / "argo-job.yaml").read_text())
ARGS = {"deploy": "passed", "version": "v2", "token": "t"}


def deploy_of(standing: Standing) -> str:
    return standing.value


# --- servers ---------------------------------------------------------------------------------------------------------


async def test_the_double_trusts_a_right_server() -> None:
    async with serving(site()) as server:
        assert await argo_complaints(server, deploy_of) == []


@pytest.mark.parametrize("wrong", WRONG_FOR_ARGO)
async def test_the_double_finds_fault_with(wrong: str) -> None:
    async with serving(site(argo=WRONG_FOR_ARGO[wrong])) as server:
        assert await argo_complaints(server, deploy_of)


@pytest.mark.parametrize(
    ("answer", "becomes"),
    [
        (lambda _: as_text("OK", 200), Phase.SUCCESSFUL),  # not JSON: before any condition
        (lambda _: as_text("", 204), Phase.SUCCESSFUL),
        (lambda _: as_json({"overall_status": "down"}), Phase.INCONCLUSIVE),
        (lambda _: as_json({"verdict": None}), Phase.INCONCLUSIVE),
        (lambda _: as_json([]), Phase.ERROR),  # a member of what has none
        (lambda _: as_json(None), Phase.ERROR),
        (lambda _: as_json(body(Standing.FAILED), 500), Phase.ERROR),
        (lambda _: as_json(body(Standing.PASSED), 301), Phase.ERROR),
        (lambda _: as_json(body(Standing.PASSED), 299), Phase.SUCCESSFUL),
    ],
)
async def test_one_answer_that_stays(answer: Answer, becomes: Phase) -> None:
    async with serving(site(argo=answer)) as server:
        run = Run(polling_only(WEB), ARGS, server)
        assert await run.finish() is becomes


async def test_the_daemon_is_away() -> None:
    """Four errors are forgiven, the fifth ends it, and ten seconds lie between two, whatever the interval."""
    run = Run(WEB, ARGS, "http://127.0.0.1:9")
    assert await run.finish() is Phase.ERROR and run.rollout is Rollout.ABORTED
    assert run.now == pytest.approx(40.0) and len(run.results["begin"].measurements) == 5


# --- the shipped template --------------------------------------------------------------------------------------------


class Story:
    """A gate that stands in one way after another: one poll each, the last one for ever. The gate itself begins always."""

    def __init__(self, *standings: Standing | int) -> None:
        self.standings = list(standings)
        self.polls = 0

    def answer(self, _: Standing) -> Any:
        at = self.standings[min(self.polls, len(self.standings) - 1)]
        self.polls += 1
        return as_json({}, at) if isinstance(at, int) else right_argo(at)


P, F, R, H = Standing.PASSED, Standing.FAILED, Standing.RUNNING, Standing.HELD


@pytest.mark.parametrize(
    ("standings", "phase", "polls"),
    [
        ((R, R, P), Phase.SUCCESSFUL, 3),
        ((R, R, F), Phase.FAILED, 3),
        ((F,), Phase.FAILED, 1),
        ((P,), Phase.SUCCESSFUL, 1),
        ((R,), Phase.INCONCLUSIVE, 60),
        ((H,), Phase.INCONCLUSIVE, 60),
        ((R, 503, 503, 503, 503, P), Phase.SUCCESSFUL, 6),  # four errors in a row
        ((R, 503, 503, 503, 503, 503), Phase.ERROR, 6),
        ((R, 503, 503, 503, R, 503, 503, P), Phase.SUCCESSFUL, 8),  # errors in a row, not all together
        ((404,), Phase.ERROR, 5),
    ],
)
async def test_the_template_polls_until_it_is_decided(standings: tuple[Standing | int, ...], phase: Phase, polls: int) -> None:
    story = Story(*standings)
    async with serving(site(argo=story.answer)) as server:
        run = Run(polling_only(WEB), ARGS, server)
        assert await run.finish() is phase and story.polls == polls
    if phase is not Phase.ERROR:
        assert all("probes lost" in value for value in run.values if value and value != "{}")  # the reason stands in each measurement


async def test_fifteen_minutes_of_pending_pause_the_rollout() -> None:
    async with serving(site(argo=Story(R).answer)) as server:
        run = Run(polling_only(WEB), ARGS, server)
        assert await run.finish() is Phase.INCONCLUSIVE and run.rollout is Rollout.PAUSED
    assert run.now == 900.0


async def test_an_error_is_measured_again_after_ten_seconds() -> None:
    """Whatever the interval; and four in a row are forgiven where the template says nothing."""
    silent = copy.deepcopy(polling_only(WEB))
    del silent["spec"]["metrics"][0]["consecutiveErrorLimit"]
    story = Story(R, 503)
    async with serving(site(argo=story.answer)) as server:
        run = Run(silent, ARGS, server)
        assert await run.finish() is Phase.ERROR and story.polls == 6
    assert run.now == 15 + 15 + 4 * 10


async def test_terminated_without_a_verdict_is_successful() -> None:
    """Why the template is shipped as an inline step: nothing terminates that before it is decided (argo-rollouts 1329, 943)."""
    async with serving(site(argo=Story(R).answer)) as server:
        run = Run(polling_only(WEB), ARGS, server)
        run.now = 15.0
        assert await run.reconcile() is Phase.RUNNING
        assert await run.terminate() is Phase.SUCCESSFUL
    assert await Run(WEB, ARGS, "http://127.0.0.1:9").terminate() is Phase.SUCCESSFUL


@pytest.mark.parametrize("spoiled", [{"failureLimit": 1}, {"inconclusiveLimit": 0}, {"consecutiveSuccessLimit": 0}])
async def test_every_limit_of_the_template_is_needed(spoiled: dict[str, int]) -> None:
    """With another one, one of the stories above ends otherwise."""
    expected = {(R, R, P): (Phase.SUCCESSFUL, 3), (R, R, F): (Phase.FAILED, 3), (R,): (Phase.INCONCLUSIVE, 60)}
    ended = {}
    for standings in expected:
        story = Story(*standings)
        async with serving(site(argo=story.answer)) as server:
            ended[standings] = (await Run(polling_only(WEB), ARGS, server, **spoiled).finish(), story.polls)
    assert ended != expected


async def test_begin_is_first_and_what_is_no_gate_pauses() -> None:
    """`begin` meets a server that knows no POST /v1/gates (404: Error) or takes it for something else (Inconclusive)."""
    order: list[str] = []

    def poll(_: Standing) -> Any:
        order.append("poll")
        return right_argo(P)

    async with serving(site(argo=poll)) as server:
        assert await Run(WEB, ARGS, server).finish() is Phase.ERROR, "the poll alone is no pass"
    assert order == ["poll"]
    begin = next(each for each in WEB["spec"]["metrics"] if each["name"] == "begin")
    good, bad = begin["successCondition"], begin["failureCondition"]
    assert evaluate({"schema": "mailcanary.gate/v1", "verdict": "pending"}, good, bad) is Phase.SUCCESSFUL
    assert evaluate({"schema": None}, good, bad) is Phase.INCONCLUSIVE
    assert evaluate({}, good, bad) is Phase.INCONCLUSIVE


def test_an_argument_that_is_not_given() -> None:
    with pytest.raises(argo.Unresolved, match=r"args\.token"):
        Run(WEB, {"deploy": "d", "version": "v"})
    strange = Run(WEB, {**ARGS, "version": 'v"2\n'})
    assert strange.metrics[0].provider["web"]["jsonBody"]["version"] == 'v"2\n'


# --- jobs ------------------------------------------------------------------------------------------------------------


def changed(template: dict[str, Any], metric: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    other = copy.deepcopy(template)
    other["spec"]["metrics"][0] |= metric or {}
    job = other["spec"]["metrics"][0]["provider"]["job"]["spec"]
    for key, value in spec.items():
        job.pop(key) if value is None else job.update({key: value})
    return other


def containers(*codes: int | None) -> tuple[argo.Containers, list[list[str]]]:
    left, started = list(codes), []

    async def start(pod: argo.Tree) -> int | None:
        started.append(pod["containers"][0]["args"])
        return left.pop(0)

    return start, started


@pytest.mark.parametrize(
    ("code", "phase"),
    [(0, Phase.SUCCESSFUL), (1, Phase.FAILED), (2, Phase.FAILED), (3, Phase.FAILED), (4, Phase.FAILED), (137, Phase.FAILED)],
)
async def test_a_job_is_what_its_exit_code_says(code: int, phase: Phase) -> None:
    start, started = containers(code)
    assert await Run(JOB, ARGS, containers=start).finish() is phase
    assert len(started) == 1 and "--deploy=passed" in started[0], "one try"


async def test_an_image_that_cannot_be_pulled_is_no_success() -> None:
    """argo-rollouts 3562."""
    start, _ = containers(None)
    assert await Run(JOB, ARGS, containers=start).finish() is Phase.FAILED
    with pytest.raises(AssertionError, match="never starts"):
        await Run(changed(JOB, activeDeadlineSeconds=None), ARGS, containers=containers(None)[0]).finish()


async def test_why_there_is_no_other_limit_in_the_job_template() -> None:
    start, started = containers(1, 1, 0)
    assert await Run(changed(JOB, backoffLimit=None), ARGS, containers=start).finish() is Phase.SUCCESSFUL, "a re-roll of the dice"
    assert len(started) == 3
    once_forgiven = changed(JOB, {"failureLimit": 1})
    assert await Run(once_forgiven, ARGS, containers=containers(1)[0]).finish() is Phase.SUCCESSFUL  # argo-rollouts 4393


# --- the rules one by one --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "result", "value"),
    [
        ('result.verdict == "pass"', {"verdict": "pass"}, True),
        ('result.verdict == "pass"', {"verdict": "passed"}, False),
        ('result.verdict == "pass"', {}, False),
        ('result.verdict != "fail" && result.lost == 0', {"verdict": "pass", "lost": 0}, True),
        ('!(result.lost > 1) || result.verdict == "a && b"', {"lost": 2, "verdict": "a && b"}, True),
        ("result[0] >= 0.95", [0.95], True),
        ("false", {}, False),
        ("result.a == nil", {}, True),
    ],
)
def test_conditions(text: str, result: object, value: bool) -> None:
    assert condition(text, result) is value


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("result[0] > 1", []),
        ("result.verdict", {"verdict": "pass"}),
        ("result.a.b", {"a": None}),
        ("result.a > 1", {"a": "2"}),
        ("result ==", 1),
    ],
)
def test_conditions_that_come_to_nothing(text: str, result: object) -> None:
    with pytest.raises(argo.ConditionError):
        condition(text, result)


@pytest.mark.parametrize(
    ("success", "failure", "result", "phase"),
    [
        ("", "", 1, Phase.SUCCESSFUL),
        ("result > 1", "", 1, Phase.FAILED),
        ("", "result > 1", 1, Phase.SUCCESSFUL),
        ("result > 1", "result < 0", 1, Phase.INCONCLUSIVE),
        ("result > 0", "result > 0", 1, Phase.FAILED),
    ],
)
def test_three_values(success: str, failure: str, result: object, phase: Phase) -> None:
    assert evaluate(result, success, failure) is phase
