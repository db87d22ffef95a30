"""Flagger's double: it concludes as Flagger does, finds fault with every wrong server, and drives the Canary as it is shipped."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from aiohttp import web

from tests.pipelines.expectations import EXAMPLES, Standing, flagger_complaints
from tests.pipelines.flagger import Canary, Hook, HookFailed, Phase, call
from tests.pipelines.wrong import WRONG_FOR_FLAGGER, Answer, as_text, right_hook, serving, site

SHIPPED: dict[str, Any] = yaml.safe_load((EXAMPLES / "flagger.yaml").read_text())
P, F, R, H = Standing.PASSED, Standing.FAILED, Standing.RUNNING, Standing.HELD
TOKENS = {name: f"{name}Token" for name in ("GATE", "ROLLBACK", "DEPLOY")}


def filled(text: str) -> str:
    """As envsubst does."""
    for name, token in TOKENS.items():
        text = text.replace(f"${{MAILCANARY_{name}_TOKEN}}", token)
    return text


def canary_of(server: str) -> Any:
    return lambda standing: Canary(SHIPPED, server, checksum=standing.value, url=filled)


# --- servers ---------------------------------------------------------------------------------------------------------


async def test_the_double_trusts_a_right_server() -> None:
    async with serving(site()) as server:
        assert await flagger_complaints(server, canary_of(server)) == []


@pytest.mark.parametrize("wrong", WRONG_FOR_FLAGGER)
async def test_the_double_finds_fault_with(wrong: str) -> None:
    async with serving(WRONG_FOR_FLAGGER[wrong]) as server:
        assert await flagger_complaints(server, canary_of(server))


@pytest.mark.parametrize(
    ("status", "said", "tries"),
    [(200, None, 1), (201, None, 1), (202, None, 1), (203, "no", 1), (204, "", 1), (409, "no", 1), (404, "no", 1), (501, "no", 1)]
    + [(status, "giving up after 3 attempt(s)", 3) for status in (429, 500, 502, 503)],
)
async def test_what_a_status_means(status: int, said: str | None, tries: int) -> None:
    """None: success; otherwise what Flagger knows of it."""
    seen = 0

    def answer(_: Standing) -> web.Response:
        nonlocal seen
        seen += 1
        return as_text("no" if status != 204 else "", status)

    async with serving(site(confirm=answer)) as server:
        hook = Hook("confirm-promotion", "n", f"{server}/v1/flagger/confirm", retries=2)
        if said is None:
            await call(hook, {"checksum": "passed"})
        else:
            with pytest.raises(HookFailed) as failed:
                await call(hook, {"checksum": "passed"})
            assert said in str(failed.value) and (said or not str(failed.value))
    assert seen == tries


async def test_nobody_there_is_no_success() -> None:
    with pytest.raises(HookFailed, match=r"giving up after 1 attempt\(s\)"):
        await call(Hook("rollback", "n", "http://127.0.0.1:9/v1/flagger/rollback", timeout=1.0), {})


async def test_a_token_in_the_url_is_basic_authentication() -> None:
    heard: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        heard.append(request.headers["Authorization"])
        return web.Response()

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await call(Hook("event", "n", f"http://flagger:s3cret@127.0.0.1:{runner.addresses[0][1]}/"), {})
    finally:
        await runner.cleanup()
    assert heard == ["Basic ZmxhZ2dlcjpzM2NyZXQ="]


# --- the shipped Canary ----------------------------------------------------------------------------------------------


class Story:
    """The gate stands in one way after another: one tick of Flagger each, the last one for ever."""

    def __init__(self, *standings: Standing) -> None:
        self.standings = list(standings)
        self.at = 0

    async def tick(self) -> None:
        self.at += 1

    def now(self) -> Standing:
        return self.standings[min(self.at, len(self.standings) - 1)]

    def answers(self) -> Any:
        return {kind: self._answer(kind) for kind in ("rollout", "confirm", "rollback")}

    def _answer(self, kind: str) -> Answer:
        return lambda _: right_hook(kind)(self.now())


async def play(*standings: Standing, ticks: int = 12, **spoiled: Any) -> Canary:
    story = Story(*standings)
    async with serving(site(**{**story.answers(), **spoiled})) as server:
        canary = Canary(SHIPPED, server, checksum="running", url=filled)
        await canary.finish(ticks, story.tick)
    return canary


async def test_a_pass_is_promoted() -> None:
    canary = await play(R, R, P)
    assert canary.phase is Phase.SUCCEEDED and canary.failed_checks == 0


async def test_a_fail_rolls_back_at_the_next_tick() -> None:
    canary = await play(R, R, F)
    assert canary.phase is Phase.FAILED and canary.weight == 0
    assert canary.failed_checks == 0, "the rollback hook, not three failed checks"
    assert any("manual webhook invoked" in text for text in canary.events)


async def test_pending_holds_the_promotion_and_fails_no_check() -> None:
    canary = await play(R, ticks=40)
    assert canary.phase is Phase.WAITING_PROMOTION and canary.failed_checks == 0
    assert any("waiting for promotion approval mailcanary-promote" in text for text in canary.events)


async def test_inconclusive_uses_up_the_threshold_and_says_why() -> None:
    """No promotion without evidence; Flagger takes the canary back after `threshold` failed checks, and shows the reason of each."""
    canary = await play(R, R, H)
    assert canary.phase is Phase.FAILED and canary.failed_checks == SHIPPED["spec"]["analysis"]["threshold"]
    assert any("external check mailcanary-start failed gmail: 2 of 20 probes lost" in text for text in canary.events)


async def test_without_the_rollback_hook_a_fail_takes_the_threshold() -> None:
    canary = await play(R, R, F, rollback=lambda _: as_text("closed", 403))
    assert canary.phase is Phase.FAILED and canary.failed_checks == 3


async def test_the_daemon_away_promotes_nothing_and_rolls_back_after_the_threshold() -> None:
    canary = Canary(SHIPPED, "http://127.0.0.1:9", url=filled)
    await canary.finish(20)
    assert canary.phase is Phase.FAILED and not any("Copying" in text for text in canary.events)


async def test_a_200_that_nobody_meant_rolls_back() -> None:
    """flagger 1447: why the rollback hook has a token of its own."""
    canary = await play(P, rollback=lambda _: as_text("OK", 200))
    assert canary.phase is Phase.FAILED


def test_its_own_metadata_wins() -> None:
    canary = Canary(SHIPPED, url=filled)
    hook = Hook("rollout", "n", "http://h/", metadata={"version": "v2", "phase": "mine", "timestamp": "mine"})
    metadata = canary.payload(hook)["metadata"]
    assert metadata["version"] == "v2" and metadata["phase"] == "Initialized" and metadata["timestamp"] != "mine"
