"""Our own surface before the same judges as the wrong servers: Argo's and Flagger's doubles with the files that are shipped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from monitor.model.policy import Access
from tests.pipelines import argo
from tests.pipelines.expectations import Standing, argo_complaints, flagger_complaints
from tests.pipelines.flagger import Canary, Phase, call
from tests.pipelines.stand import ENVIRONMENT, TOKENS, Stand, populate, standing
from tests.pipelines.test_argo import WEB
from tests.pipelines.test_flagger import SHIPPED


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    async with standing(tmp_path) as stand:
        await populate(stand)
        yield stand


def filled(text: str, **roles: Access) -> str:
    """With our tokens; `roles`: another role's token where one is asked for."""
    for name in ("gate", "rollback", "deploy"):
        text = text.replace(f"${{MAILCANARY_{name.upper()}_TOKEN}}", TOKENS[roles.get(name, Access(name))])
    return text


def canary(stand: Stand, checksum: str, **roles: Access) -> Canary:
    return Canary(SHIPPED, stand.url, checksum, lambda text: filled(text, **roles))


def arguments(deploy: str, token: str = TOKENS[Access.GATE]) -> dict[str, str]:
    return {"environment": ENVIRONMENT, "deploy": deploy, "version": "v2", "token": token}


async def test_argo_has_no_complaint(stand: Stand) -> None:
    assert await argo_complaints(stand.url, lambda at: at.value, TOKENS[Access.GATE]) == []


async def test_flagger_has_no_complaint(stand: Stand) -> None:
    assert await flagger_complaints(stand.url, lambda at: canary(stand, at.value)) == []


@pytest.mark.parametrize(
    ("at", "phase", "rollout"),
    [
        (Standing.PASSED, argo.Phase.SUCCESSFUL, argo.Rollout.GOES_ON),
        (Standing.FAILED, argo.Phase.FAILED, argo.Rollout.ABORTED),
        (Standing.RUNNING, argo.Phase.INCONCLUSIVE, argo.Rollout.PAUSED),
        (Standing.HELD, argo.Phase.INCONCLUSIVE, argo.Rollout.PAUSED),
        (Standing.UNKNOWN, argo.Phase.INCONCLUSIVE, argo.Rollout.PAUSED),  # `begin` has begun it
    ],
)
async def test_the_shipped_web_template(stand: Stand, at: Standing, phase: argo.Phase, rollout: argo.Rollout) -> None:
    """Whole, with `begin`, and with a deploy that nobody knew before."""
    run = argo.Run(WEB, arguments(at.value), stand.url)
    assert await run.finish() is phase and run.rollout is rollout, run.messages


@pytest.mark.parametrize("token", ["", "wrong", TOKENS[Access.DEPLOY]])
async def test_a_wrong_token_never_promotes(stand: Stand, token: str) -> None:
    run = argo.Run(WEB, arguments("passed", token), stand.url)
    assert await run.finish() is argo.Phase.ERROR and run.rollout is argo.Rollout.ABORTED
    assert not token or all(token not in message for message in run.messages)


async def test_another_environment_is_another_daemon_s(stand: Stand) -> None:
    run = argo.Run(WEB, arguments("passed") | {"environment": "production"}, stand.url)
    assert await run.finish() is argo.Phase.ERROR


async def test_flagger_begins_holds_and_promotes(stand: Stand) -> None:
    subject = canary(stand, "fresh")
    assert await subject.finish(6) is Phase.WAITING_PROMOTION and subject.failed_checks == 0
    gate = stand.desk.world.gates.of_deploy("shop/checkout-api/fresh")
    assert gate is not None and gate.running and "${VERSION}" in gate.request.versions[0], "the version that the metadata tells"
    await stand.decide(gate, _because("passed"))
    assert await subject.finish(4) is Phase.SUCCEEDED


async def test_flagger_rolls_back_on_a_fail(stand: Stand) -> None:
    subject = canary(stand, "fresh")
    await subject.finish(3)
    gate = stand.desk.world.gates.of_deploy("shop/checkout-api/fresh")
    assert gate is not None
    await stand.decide(gate, _because("failed"))
    assert await subject.advance() is Phase.FAILED
    markers = [(marker.deploy, marker.phase.value) for marker in stand.desk.world.incidents.deploys]
    assert ("shop/checkout-api/fresh", "start") in markers and ("shop/checkout-api/fresh", "rollback") in markers


def _because(at: str) -> object:
    from tests.pipelines.stand import BECAUSE

    return BECAUSE[Standing(at)]


@pytest.mark.parametrize("role", [role for role in Access if role is not Access.ROLLBACK])
async def test_no_other_token_opens_the_rollback_hook(stand: Stand, role: Access) -> None:
    """A fail, and the token of somebody else: Flagger does not roll back by this hook."""
    subject = canary(stand, "failed", rollback=role)
    subject.phase, subject.weight = Phase.PROGRESSING, 10
    assert await subject.advance() is Phase.PROGRESSING and subject.failed_checks == 1, "the rollout hook says no all the same"
    assert await canary(stand, "failed")._any("rollback"), "with its own token it is a yes"


@pytest.mark.parametrize("hook", ["rollout", "confirm-promotion"])
async def test_the_rollback_token_opens_nothing_else(stand: Stand, hook: str) -> None:
    subject = canary(stand, "passed", gate=Access.ROLLBACK)
    (one,) = (each for each in subject.hooks if each.type == hook)
    with pytest.raises(Exception, match="role"):
        await call(one, subject.payload(one))


async def test_without_a_rollback_token_the_hook_is_closed_on_loopback_too(tmp_path: Path) -> None:
    async with standing(tmp_path, host="127.0.0.1", tokens=False) as stand:
        await populate(stand)
        assert not await canary(stand, "failed")._any("rollback")
        assert await canary(stand, "passed")._any("confirm-promotion"), "the others are open on loopback"


@pytest.mark.parametrize("path", ["/v1", "/v1/gate", "/v1/gates/by-deploy/test/passed/argo/x", "/v1/flagger/confirmed", "/argo"])
async def test_there_is_no_catch_all(stand: Stand, path: str) -> None:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKENS[Access.GATE]}"}) as session:
        async with session.get(stand.url + path) as answer:
            assert answer.status == 404
        async with session.post(stand.url + path, json={}) as answer:
            assert answer.status == 404
