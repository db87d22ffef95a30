"""PagerDuty: the events as its documents have them, one alert for the life of an incident, and deploys as changes."""

from __future__ import annotations

import json

import pytest

from monitor.edge.channels import Pagerduty, PagerdutyChanges, build_changes
from monitor.edge.tls import TlsContexts
from monitor.model.channels import NotifyPolicy, PagerdutyChannel
from monitor.model.deploy import Annotation, Drawn
from monitor.model.incident import Severity
from monitor.model.notice import Call, Notice, NotTold, Told
from monitor.model.secret import SecretRef, SecretSource
from tests.edge.channels.contract.receiver import BEGAN, TOKEN, Receiver, notice, status
from tests.fakes.channel import StillClock
from tests.fakes.paths import StubSecrets

KEY = SecretRef(SecretSource.ENV, "KEY")
LINES = (("Broke", "no arrival within 180 s"), ("Impact", "31 refunds"))


def client(made: type, base: str, key: str = TOKEN) -> object:
    return made(PagerdutyChannel(KEY, base), StubSecrets({KEY.name: key}), TlsContexts().get, StillClock(BEGAN.utc))


async def sent(call: Call, **fields: object) -> dict[str, object]:
    async with Receiver(status(202, "{}")) as receiver:
        channel = client(Pagerduty, receiver.base)
        assert isinstance(channel, Pagerduty)
        assert isinstance(await channel.tell(notice(call, **fields), 10.0), Told)
        await channel.close()
    (got,) = receiver.requests
    assert (got.method, got.path, got.headers["content-type"]) == ("POST", "/v2/enqueue", "application/json")
    body = json.loads(got.body)
    assert body.pop("routing_key") == TOKEN
    return body


async def test_an_incident_that_opens_or_grows_triggers() -> None:
    assert await sent(Call.FIRE, lines=LINES) == {
        "event_action": "trigger",
        "dedup_key": f"{notice().dedup_key}/page",
        "client": "mailcanary",
        "client_url": notice().incident_url,
        "payload": {
            "summary": notice().title,
            "source": "mailcanary test",
            "severity": "critical",
            "timestamp": "2026-09-21T14:13:20.250Z",
            "component": "path:app",
            "group": "test",
            "class": "delivery_missing",
            "custom_details": {"Broke": "no arrival within 180 s", "Impact": "31 refunds", "incident": "INC-12", "episode": 1},
        },
        "links": [{"href": notice().runbook_url, "text": "Runbook"}, {"href": notice().incident_url, "text": "Incident"}],
    }


async def test_that_it_is_over_closes_the_same_alert() -> None:
    base = notice().dedup_key
    assert await rung(notice(), notice(Call.RESOLVE)) == [
        ("trigger", f"{base}/page"),
        *(("resolve", f"{base}{end}") for end in ("", "/after-1", "/page", "/page/after-1")),
    ]


async def rung(*notices: Notice) -> list[tuple[str, str]]:
    """What one channel sends for these, the ends of one incident by their keys."""
    async with Receiver(status(202, "{}")) as receiver:
        channel = client(Pagerduty, receiver.base)
        assert isinstance(channel, Pagerduty)
        for each in notices:
            assert isinstance(await channel.tell(each, 10.0), Told)
        await channel.close()
    bodies = [json.loads(got.body) for got in receiver.requests]
    events = [(body["event_action"], body["dedup_key"]) for body in bodies]
    return [event for event in events if event[0] == "trigger"] + sorted(event for event in events if event[0] == "resolve")


async def test_what_must_be_heard_has_a_key_of_its_own() -> None:
    """Ticket, grown ticket, page, still open after a silence, grown; then all of them are closed."""
    base = notice().dedup_key
    ticket, page = notice(severity=Severity.TICKET), notice(key="INC-12-1-3-aa")
    still, grown = notice(key="INC-12-1-4-aa", again=True), notice(key="INC-12-1-5-aa")
    events = await rung(ticket, ticket, page, still, still, grown, notice(Call.RESOLVE, key="INC-12-1-6-aa"))
    assert [key.removeprefix(base) for what, key in events if what == "trigger"] == ["", "", "/page", *["/page/after-4"] * 3]
    assert {key for what, key in events if what == "trigger"} <= {key for what, key in events if what == "resolve"}


@pytest.mark.parametrize(
    ("call", "severity", "told"),
    [(Call.FIRE, Severity.PAGE, "critical"), (Call.FIRE, Severity.TICKET, "warning"), (Call.TEST, Severity.TICKET, "info")],
)
async def test_severities(call: Call, severity: Severity, told: str) -> None:
    payload = (await sent(call, severity=severity))["payload"]
    assert isinstance(payload, dict) and payload["severity"] == told


async def test_a_runbook_that_is_no_link_is_none() -> None:
    body = await sent(Call.FIRE, runbook_url="docs/runbooks/x.md", incident_url="")
    assert body["links"] == [] and "client_url" not in body


async def test_a_dedup_key_that_is_too_long_is_short_and_its_own() -> None:
    keys = [
        {key for _, key in await rung(*(notice(call, dedup_key="k" * 300 + end) for call in (Call.FIRE, Call.RESOLVE)))} for end in "ab"
    ]
    assert not keys[0] & keys[1] and max(map(len, keys[0] | keys[1])) <= 255


# ---- changes ----------------------------------------------------------------------------------------------------------

DEPLOY = Annotation(
    BEGAN, ("deploy", "mailcanary", "prod"), 'deploy shop v2 by ana &lt;b&gt; started <a href="https://ci.test/1?a=1&amp;b=2">pipeline</a>'
)
CHANGE = {
    "payload": {
        "summary": "deploy shop v2 by ana <b> started pipeline",
        "source": "mailcanary",
        "timestamp": "2026-09-21T14:13:20.250Z",
        "custom_details": {"environment": "prod"},
    },
    "links": [{"href": "https://ci.test/1?a=1&b=2", "text": "Pipeline"}],
    "routing_key": TOKEN,
}


async def test_a_deploy_is_a_change_and_its_end_another() -> None:
    async with Receiver(status(202, "{}")) as receiver:
        changes = client(PagerdutyChanges, receiver.base)
        assert isinstance(changes, PagerdutyChanges)
        assert await changes.draw(DEPLOY, 10.0) == Drawn(0)
        assert await changes.stretch(0, BEGAN.plus(60.0), "deploy shop v2 finished", 10.0) == Drawn(0)
        await changes.close()
    assert [got.path for got in receiver.requests] == ["/v2/change/enqueue"] * 2
    start, finish = (json.loads(got.body) for got in receiver.requests)
    assert start == CHANGE
    assert finish["payload"] == {"summary": "deploy shop v2 finished", "source": "mailcanary", "timestamp": "2026-09-21T14:14:20.250Z"}


async def test_a_gate_that_failed_is_no_change() -> None:
    async with Receiver(status(202, "{}")) as receiver:
        changes = client(PagerdutyChanges, receiver.base)
        assert isinstance(changes, PagerdutyChanges)
        assert await changes.draw(Annotation(BEGAN, ("deploy", "mailcanary", "prod", "gate"), "gate failed"), 10.0) == Drawn(0)
    assert not receiver.requests


async def test_the_key_of_a_ruleset_is_sent_no_change() -> None:
    async with Receiver(status(202, "{}")) as receiver:
        changes = client(PagerdutyChanges, receiver.base, "R" + TOKEN)
        assert isinstance(changes, PagerdutyChanges)
        told = await changes.draw(DEPLOY, 10.0)
    assert isinstance(told, NotTold) and not told.transient and told.mend and TOKEN not in repr(told)
    assert not receiver.requests


@pytest.mark.parametrize(("code", "transient"), [(400, False), (403, False), (429, True), (500, True), (200, False)])
async def test_a_change_that_is_not_taken(code: int, transient: bool) -> None:
    async with Receiver(status(code)) as receiver:
        changes = client(PagerdutyChanges, receiver.base)
        assert isinstance(changes, PagerdutyChanges)
        told = await changes.draw(DEPLOY, 10.0)
        await changes.close()
    assert isinstance(told, NotTold) and told.transient is transient and (transient or told.mend)


def test_only_who_asks_for_changes_gets_them() -> None:
    channels = {"a": PagerdutyChannel(KEY), "b": PagerdutyChannel(KEY, changes=True)}
    assert list(build_changes(NotifyPolicy(channels), StubSecrets({}), TlsContexts().get, StillClock(0.0))) == ["b"]
