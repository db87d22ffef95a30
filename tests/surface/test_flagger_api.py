"""Flagger's hooks: which answer is a yes, and that a rollback is never said by accident."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from monitor.model.facts import DeployMarked, Fact, GateOverridden, GateRequested
from monitor.model.gate import BUILT_IN, Because, GateId, GatesPolicy
from monitor.model.incident import DeployPhase
from monitor.model.policy import Access, ListenPolicy
from monitor.ports import JournalUnwritable
from monitor.surface.api.flagger import PHASES
from tests.surface.premises import SECRETS, TOKENS, Site, rules, served

SHOP = replace(BUILT_IN["quick"], name="shop", trust_target=True)
OTHER = replace(SHOP, name="other", settle=3.0)
CANARY: dict[str, Any] = {"name": "checkout", "namespace": "prod", "phase": "Progressing", "checksum": "7dc5f"}
DEPLOY = "prod/checkout/7dc5f"
HOOKS = ("confirm", "rollout", "rollback", "event")
ROLE = {"confirm": Access.GATE, "rollout": Access.GATE, "rollback": Access.ROLLBACK, "event": Access.DEPLOY}


@pytest.fixture
def host() -> str:
    return "127.0.0.1"


@pytest.fixture
async def site(tmp_path: Path, host: str) -> AsyncIterator[Site]:
    gates = GatesPolicy(default="shop", policies={"shop": SHOP, "other": OTHER})
    async with served(replace(rules(tmp_path, host), gates=gates)) as site:
        yield site


async def hook(site: Site, name: str, body: dict[str, Any] | None = None, token: str | None = None) -> tuple[int, str]:
    """As Flagger calls it, with the right token unless another is given: the status, and the text that it would show."""
    token = SECRETS[ROLE[name].name] if token is None else token
    status, text = await site.ask("POST", f"/v1/flagger/{name}", token, json=CANARY if body is None else body)
    assert site.headers["Content-Type"] == "text/plain; charset=utf-8" and text.endswith("\n") and text.count("\n") == 1
    assert status < 500, "Flagger would try again, and throw the reason away"
    return status, str(text)


def gate(site: Site) -> str:
    (known,) = site.desk.world.gates.known
    return known


VERDICTS: list[tuple[Because | None, str, dict[str, int]]] = [
    (None, "pending", {"confirm": 409, "rollout": 200, "rollback": 409}),
    (Because.CLEAN, "pass", {"confirm": 200, "rollout": 200, "rollback": 409}),
    (Because.LOSSES, "fail", {"confirm": 409, "rollout": 409, "rollback": 200}),
    (Because.TRIPPED, "fail", {"confirm": 409, "rollout": 409, "rollback": 200}),
    (Because.TOO_FEW, "inconclusive", {"confirm": 409, "rollout": 409, "rollback": 409}),
    (Because.BASELINE_BROKEN, "inconclusive", {"confirm": 409, "rollout": 409, "rollback": 409}),
    (Because.CANCELLED, "inconclusive", {"confirm": 409, "rollout": 409, "rollback": 409}),
    (Because.OWN_FAULT, "error", {"confirm": 409, "rollout": 409, "rollback": 409}),
]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize(("because", "verdict", "answers"), VERDICTS)
async def test_what_each_hook_says_to_each_verdict(site: Site, because: Because | None, verdict: str, answers: dict[str, int]) -> None:
    assert (await hook(site, "rollout"))[0] == 200
    if because:
        await site.decide(gate(site), because, "6 of 8 lost")
    for name, wanted in answers.items():
        status, text = await hook(site, name)
        assert status == wanted, name
        assert text.startswith(f"{verdict}: ") and gate(site) in text and ("6 of 8 lost" in text) is bool(because)


async def test_before_anybody_asked(site: Site) -> None:
    status, text = await hook(site, "confirm")
    assert status == 409 and DEPLOY in text and "webhook of type rollout" in text
    status, text = await hook(site, "rollback")
    assert status == 404 and "nothing to roll back" in text
    assert site.facts() == [], "only the rollout hook begins a gate"


# ---- rollout ---------------------------------------------------------------------------------------------------------


async def test_rollout_begins_the_gate_of_this_revision_once(site: Site) -> None:
    body = {**CANARY, "metadata": {"version": "v512", "policy": "other"}}
    for _ in range(3):
        assert (await hook(site, "rollout", body))[0] == 200
    (fact,) = site.facts()
    assert isinstance(fact, GateRequested) and fact.deploy == DEPLOY and fact.policy == OTHER and fact.by == "flagger"
    assert fact.service == "checkout" and fact.versions == ("v512", DEPLOY)
    await hook(site, "rollout", {**CANARY, "checksum": "8aa10"})
    assert len(site.desk.world.gates.known) == 2, "another revision of the canary is another deploy"


async def test_another_policy_later_does_not_matter(site: Site) -> None:
    await hook(site, "rollout")
    assert (await hook(site, "rollout", {**CANARY, "metadata": {"policy": "other"}}))[0] == 200
    assert len(site.facts()) == 1


async def test_an_unknown_policy_is_said(site: Site) -> None:
    status, text = await hook(site, "rollout", {**CANARY, "metadata": {"policy": "nope"}})
    assert status == 404 and "no policy nope is known; there are deep, other, quick, shop, standard" in text and site.facts() == []


async def test_no_route_to_probe_is_said(site: Site) -> None:
    status, text = await hook(site, "rollout", {**CANARY, "metadata": {"policy": "quick"}})
    assert status == 422 and "none of the selected paths tells which version" in text


@pytest.mark.parametrize("because", [Because.TOO_FEW, Because.OWN_FAULT])
async def test_after_an_inconclusive_end_it_asks_again_but_not_at_once(site: Site, because: Because) -> None:
    await hook(site, "rollout")
    await site.decide(gate(site), because)
    site.clock.ahead = 59.0
    assert (await hook(site, "rollout"))[0] == 409
    site.clock.ahead = 61.0
    status, text = await hook(site, "rollout")
    assert status == 200 and text.startswith("pending: ")
    assert [fact.attempt for fact in site.facts() if isinstance(fact, GateRequested)] == [1, 2]


async def test_what_a_person_answers_for_is_not_asked_again(site: Site) -> None:
    await hook(site, "rollout")
    await site.decide(gate(site), Because.TOO_FEW)
    now = site.clock.now()
    await site.happen(GateOverridden(now, GateId(gate(site)), "ann", "known", now.utc + 3600))
    site.clock.ahead = 120.0
    assert (await hook(site, "rollout"))[0] == 200 and (await hook(site, "confirm"))[0] == 200
    assert sum(isinstance(fact, GateRequested) for fact in site.facts()) == 1


@pytest.mark.parametrize("because", [Because.LOSSES, Because.CLEAN])
async def test_what_is_decided_on_evidence_stays(site: Site, because: Because) -> None:
    await hook(site, "rollout")
    await site.decide(gate(site), because)
    site.clock.ahead = SHOP.fresh_for - 1
    assert (await hook(site, "rollout"))[0] == (200 if because is Because.CLEAN else 409)
    assert sum(isinstance(fact, GateRequested) for fact in site.facts()) == 1


@pytest.mark.parametrize("fresh_for", [3600.0, 0.0])
async def test_an_old_pass_lets_nothing_through_and_is_probed_anew(site: Site, fresh_for: float) -> None:
    """v1, v2, and v1 again a week later: the same checksum, so the same gate."""
    policies = {"shop": replace(SHOP, fresh_for=fresh_for), "other": OTHER}
    site.desk.policy = replace(site.desk.policy, gates=GatesPolicy(default="shop", policies=policies))
    await hook(site, "rollout")
    await site.decide(gate(site), Because.CLEAN)
    site.clock.ahead = 9.0
    assert (await hook(site, "confirm"))[0] == 200 and (await hook(site, "rollout"))[0] == 200
    site.clock.ahead = 7 * 86_400.0
    status, text = await hook(site, "confirm")
    assert status == 409 and text.startswith("inconclusive: stale: it passed at ") and (await hook(site, "rollback"))[0] == 409
    status, text = await hook(site, "rollout")
    assert status == 200 and text.startswith("pending: ")
    assert [fact.attempt for fact in site.facts() if isinstance(fact, GateRequested)] == [1, 2]
    assert (await hook(site, "confirm"))[0] == 409
    await site.decide(gate(site), Because.CLEAN)
    assert (await hook(site, "confirm"))[0] == 200


async def test_a_pass_that_is_taken_back_rolls_back(site: Site) -> None:
    await hook(site, "rollout")
    await site.decide(gate(site), Because.CLEAN)
    site.clock.ahead = 5.0
    await site.decide(gate(site), Because.LOSSES, "10 of 10 in spam")
    assert (await hook(site, "confirm"))[0] == 409 and (await hook(site, "rollback"))[0] == 200


async def test_evidence_against_the_deploy_stops_it_while_the_gate_runs(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await hook(site, "rollout")
    from monitor.surface.api import flagger

    real = flagger.gate_document
    monkeypatch.setattr(flagger, "gate_document", lambda desk, state: {**real(desk, state), "adverse": True})
    status, text = await hook(site, "rollout")
    assert status == 409 and text.startswith("pending: ")
    assert (await hook(site, "rollback"))[0] == 409, "nothing is decided"


# ---- rollback: never by accident -------------------------------------------------------------------------------------


async def failed(site: Site) -> GateId:
    await hook(site, "rollout")
    await site.decide(gate(site), Because.LOSSES)
    return GateId(gate(site))


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_no_other_token_opens_rollback(site: Site) -> None:
    await failed(site)
    for token in ("", "wrong", SECRETS["ROLLBACK"] + "x"):
        assert (await hook(site, "rollback", token=token))[0] == 401
    for role in set(Access) - {Access.ROLLBACK}:
        status, text = await hook(site, "rollback", token=SECRETS[role.name])
        assert status == 403 and "role rollback" in text and f"has the role {role.value}" in text
    assert (await hook(site, "rollback"))[0] == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_without_a_token_of_its_own_it_stays_closed(site: Site) -> None:
    await failed(site)
    others = {role: token for role, token in TOKENS.items() if role is not Access.ROLLBACK}
    listen = site.desk.policy.listen
    site.desk.policy = replace(site.desk.policy, listen=ListenPolicy(listen.host, listen.port, others))
    for token in ("", *SECRETS.values()):
        status, text = await hook(site, "rollback", token=token)
        assert status == 403 and "configure listen.tokens.rollback" in text
    site.desk.policy = replace(site.desk.policy, listen=ListenPolicy(listen.host, listen.port, TOKENS))
    site.secrets.values["GATE"] = SECRETS["ROLLBACK"]
    status, text = await hook(site, "rollback")
    assert status == 403 and "that of gate too" in text, "a token of two roles would let the pipeline roll back"
    del site.secrets.values["ROLLBACK"]
    assert (await hook(site, "rollback"))[0] in (401, 403), "a token that cannot be read"
    site.secrets.values["ROLLBACK"] = ""
    assert (await hook(site, "rollback", token=""))[0] == 401, "an empty one is none"


async def test_an_advisory_opens_no_hook(site: Site) -> None:
    """Whoever may ask for a gate may ask for an advisory one."""
    known = await failed(site)
    now, state = site.clock.now(), site.desk.world.gates.known[known]
    state.requests[-1] = replace(state.request, advisory_until=now.utc + 60)
    assert (await site.get(f"/v1/gates/{known}"))[1]["verdict"] == "pass", "elsewhere it holds nothing"
    for name, wanted in (("confirm", 409), ("rollout", 409), ("rollback", 200)):
        status, text = await hook(site, name)
        assert status == wanted and text.startswith("fail: "), name


async def test_what_a_person_excused_is_not_rolled_back(site: Site) -> None:
    known = await failed(site)
    now = site.clock.now()
    await site.happen(GateOverridden(now, known, "ann", "known", now.utc + 60))
    status, text = await hook(site, "rollback")
    assert status == 409 and text.startswith("pass: ")
    assert (await hook(site, "confirm"))[0] == 200
    site.clock.ahead = 61.0
    assert (await hook(site, "rollback"))[0] == 200 and (await hook(site, "confirm"))[0] == 409


async def test_our_own_faults_are_a_no_everywhere(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await failed(site)

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr("monitor.surface.api.flagger.gate_document", broken)
        for name in ("confirm", "rollout", "rollback"):
            status, text = await hook(site, name)
            assert status == 409 and "a fault of the monitor itself" in text, name
    site.ready = False
    for name in HOOKS:
        status, text = await hook(site, name)
        assert status == 409 and "being loaded" in text, name


async def test_a_full_disk_is_a_no(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object, **__: object) -> None:
        raise JournalUnwritable("the journal takes no more facts: no space left on device")

    monkeypatch.setattr(site.desk.journal, "append", full)
    for name in ("rollout", "event"):
        status, text = await hook(site, name)
        assert status == 409 and "no space left" in text


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_only_post_is_answered(site: Site, method: str) -> None:
    await failed(site)
    for name in HOOKS:
        status, _ = await site.ask(method, f"/v1/flagger/{name}", SECRETS["ROLLBACK"])
        assert status == 405 and site.headers["Allow"] == "POST"
    assert (await site.ask("POST", "/v1/flagger/rollback/", SECRETS["ROLLBACK"], json=CANARY))[0] == 404


BAD: list[tuple[bytes, str]] = [
    (b"", "not JSON"),
    (b"[]", "body: "),
    (b"null", "body: "),
    (b"{}", "name: "),
    (b'{"name": "checkout", "namespace": "prod"}', "checksum: "),
    (b'{"name": "checkout", "namespace": "prod", "checksum": ""}', "checksum: "),
    (b'{"name": "checkout", "namespace": "prod", "checksum": 7}', "checksum: "),
    (b'{"name": "check\\u0000out", "namespace": "prod", "checksum": "7dc5f"}', "name: "),
    (b'{"name": "checkout", "namespace": "prod", "checksum": "7dc5f", "metadata": []}', "metadata: "),
]


@pytest.mark.parametrize(("body", "word"), BAD)
async def test_bodies_that_are_none_of_flaggers(site: Site, body: bytes, word: str) -> None:
    await failed(site)
    for name in HOOKS:
        headers = {"Content-Type": "application/json"}
        status, text = await site.ask("POST", f"/v1/flagger/{name}", SECRETS[ROLE[name].name], data=body, headers=headers)
        assert status == 400 and word in text and text.count("\n") == 1, name
    assert (await site.ask("POST", "/v1/flagger/rollback", SECRETS["ROLLBACK"], data=b"a=b"))[0] == 415


async def test_unknown_fields_are_tolerated_and_hostile_ones_escaped(site: Site) -> None:
    more = {**CANARY, "type": "rollout", "failedChecks": 2, "buildId": "x", "metadata": {"version": "a\nb", "cmd": "seed@box.test"}}
    assert (await hook(site, "rollout", more))[0] == 200
    status, text = await hook(site, "confirm", {**CANARY, "name": "seed@box.test"})
    assert status == 409 and "seed@" not in text


@pytest.mark.parametrize("host", ["0.0.0.0"])
async def test_the_token_comes_as_the_password_of_the_url_too(site: Site) -> None:
    """Flagger can send no header of ours (fluxcd/flagger#1192), and Go makes Basic authentication of a URL's password."""
    for name in HOOKS:
        url = URL(str(site.client.make_url(f"/v1/flagger/{name}"))).with_user("flagger").with_password(SECRETS[ROLE[name].name])
        async with site.client.session.post(url, json=CANARY) as answer:
            assert answer.status in (200, 404, 409), name
    for value in ("Basic", "Basic !", "Basic " + base64.b64encode(b"\xff\xfe").decode(), "Basic " + base64.b64encode(b"nocolon").decode()):
        status, _ = await site.ask("POST", "/v1/flagger/confirm", json=CANARY, headers={"Authorization": value})
        assert status == 401, value
    basic = "Basic " + base64.b64encode(f"x:{SECRETS['READ']}".encode()).decode()
    assert (await site.ask("GET", "/v1/gates", headers={"Authorization": basic}))[0] == 401, "elsewhere it is no token"


# ---- event -----------------------------------------------------------------------------------------------------------


def event(phase: str, site: Site, ago: float = 0.0, **metadata: str) -> dict[str, Any]:
    stamp = str(int((site.clock.now().utc - ago) * 1000))
    told = {"eventMessage": "Advance checkout.prod canary weight 10", "eventType": "Normal", "timestamp": stamp, **metadata}
    return {**CANARY, "phase": phase, "metadata": told}


def markers(site: Site) -> list[DeployMarked]:
    return [fact for fact in site.facts() if isinstance(fact, DeployMarked)]


async def test_events_mark_the_deploy_once_for_each_phase(site: Site) -> None:
    for phase, ago in (("Progressing", 30.0), ("Progressing", 20.0), ("WaitingPromotion", 9.0), ("Promoting", 5.0), ("Succeeded", 1.0)):
        assert (await hook(site, "event", event(phase, site, ago, version="v512")))[0] == 200
    start, finish = markers(site)
    assert (start.deploy, start.phase, start.source, start.service, start.version) == (
        DEPLOY, DeployPhase.START, "flagger", "checkout", "v512"
    )  # fmt: skip
    assert finish.phase is DeployPhase.FINISH
    assert start.at.utc == pytest.approx(site.clock.now().utc - 30, abs=0.01)
    assert finish.at.seconds_since(start.at) == pytest.approx(25.0, abs=0.01), "by the clock of the event"


async def test_a_failed_canary_is_a_rollback(site: Site) -> None:
    for phase in ("Progressing", "Failed"):
        await hook(site, "event", event(phase, site))
    assert [marker.phase for marker in markers(site)] == [DeployPhase.START, DeployPhase.ROLLBACK]


@pytest.mark.parametrize("phase", ["", "Terminating", "Terminated", "Sleeping"])
async def test_other_phases_are_heard_and_not_kept(site: Site, phase: str) -> None:
    status, text = await hook(site, "event", event(phase, site))
    assert status == 200 and "nothing was marked" in text and site.facts() == []


async def test_every_phase_of_flagger_is_known(site: Site) -> None:
    for phase in (*PHASES, *(name.upper() for name in PHASES)):
        assert (await hook(site, "event", {**event(phase, site), "checksum": phase}))[0] == 200
    assert len(markers(site)) == 2 * len(PHASES)


async def test_events_out_of_order_are_heard_and_events_of_the_future_are_of_now(site: Site) -> None:
    await hook(site, "event", event("Succeeded", site, ago=60.0))
    status, text = await hook(site, "event", event("Progressing", site))
    assert status == 200 and "nothing was marked" in text and len(markers(site)) == 1
    status, text = await hook(site, "event", {**event("Progressing", site, ago=-3600.0), "checksum": "8"})
    assert status == 200 and markers(site)[-1].at.utc == pytest.approx(site.clock.now().utc), "Flagger does nothing about a refusal"
    for stamp in ("", "soon", "-5", "1e999"):
        assert (await hook(site, "event", {**event("Progressing", site, timestamp=stamp), "checksum": f"9{stamp}"}))[0] == 200
        assert markers(site)[-1].at.utc == pytest.approx(site.clock.now().utc), "no time that can be read: now"


async def test_the_marker_tells_the_gate_what_it_is_about(site: Site) -> None:
    await hook(site, "event", event("Progressing", site, ago=30.0, version="v512"))
    await hook(site, "rollout")
    fact: Fact = site.facts()[-1]
    assert isinstance(fact, GateRequested) and fact.marked and fact.version == "v512"
    assert fact.began.utc == pytest.approx(site.clock.now().utc - 30, abs=0.01)
