"""What an Alertmanager gets; what a real one makes of it stands in tests/real/test_alertmanager.py."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from monitor.edge.channels import Alertmanager, Webhook, build
from monitor.edge.channels.alertmanager import KEPT
from monitor.edge.tls import TlsContexts
from monitor.model.channels import AlertmanagerChannel, NotifyPolicy, WebhookChannel
from monitor.model.incident import IncidentId, Severity
from monitor.model.notice import Call, NotTold, Told
from monitor.model.secret import SecretRef, SecretSource
from tests.edge.channels.contract.receiver import BEGAN, TOKEN, Receiver, hang, notice, status
from tests.fakes.channel import StillClock
from tests.fakes.paths import StubSecrets

AUTHORIZATION = SecretRef(SecretSource.ENV, "AUTHORIZATION")
NOW = BEGAN.utc + 1_000


class Bench:
    """A channel in front of one Alertmanager."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.clock = StillClock(NOW)
        self.channel = self.restarted()

    def restarted(self) -> Alertmanager:
        policy = AlertmanagerChannel((f"{self.receiver.base}/am/",), AUTHORIZATION, resend_every=30.0)
        self.channel = Alertmanager(policy, StubSecrets({AUTHORIZATION.name: f"Bearer {TOKEN}"}), TlsContexts().get, self.clock)
        return self.channel

    async def tell(self, call: Call = Call.FIRE, number: int = 1, **fields: object) -> list[dict[str, Any]]:
        """The alerts that the notice became."""
        episode = fields.get("episode", 1)
        outcome = await self.channel.tell(notice(call, key=f"INC-12-{episode}-{number}-0a1b2c3d", **fields), 10.0)
        assert isinstance(outcome, Told), outcome
        found: list[dict[str, Any]] = json.loads(self.receiver.requests[-1].body)
        return found


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with Receiver(status(200, "")) as receiver:
        bench = Bench(receiver)
        yield bench
        await bench.channel.close()


def names(alerts: list[dict[str, Any]]) -> list[tuple[str, str, str, bool]]:
    """(incident, notice, severity, firing) of each."""
    now = "2026-09-21T14:30:00.250Z"
    return [(a["labels"]["incident"], a["labels"]["notice"], a["labels"]["severity"], a["endsAt"] > now) for a in alerts]


async def test_what_is_posted(bench: Bench) -> None:
    (alert,) = await bench.tell()
    (got,) = bench.receiver.requests
    assert (got.method, got.path) == ("POST", "/am/api/v2/alerts")
    assert got.headers["content-type"] == "application/json" and got.headers["authorization"] == f"Bearer {TOKEN}"
    assert alert == {
        "labels": {
            "alertname": "MailcanaryIncident",
            "service": "mailcanary",
            "environment": "test",
            "symptom": "delivery_missing",
            "scope": "path:app",
            "severity": "page",
            "incident": "INC-12",
            "notice": "1",
        },
        "annotations": {
            "summary": notice().title,
            "description": notice().text,
            "runbook_url": "https://runbooks.test/delivery-missing",
            "incident_url": "https://canary.test/v1/incidents/INC-12",
            "dedup_key": "mailcanary/test/delivery_missing/path:app",
        },
        "startsAt": "2026-09-21T14:13:20.250Z",
        "endsAt": "2026-09-21T14:32:00.250Z",
        "generatorURL": "https://canary.test/v1/incidents/INC-12",
    }


async def test_each_notice_is_an_alert_of_its_own_and_takes_the_one_before_back(bench: Bench) -> None:
    await bench.tell(number=1, severity=Severity.TICKET)
    assert names(await bench.tell(number=1, severity=Severity.TICKET)) == [("INC-12", "1", "ticket", True)], "a reminder takes nothing back"
    assert names(await bench.tell(number=2)) == [("INC-12", "2", "page", True), ("INC-12", "1", "ticket", False)]
    assert names(await bench.tell(number=2)) == [("INC-12", "2", "page", True)]
    assert names(await bench.tell(Call.RESOLVE, 3, ended=BEGAN.plus(900.0))) == [("INC-12", "2", "page", False)]
    assert names(await bench.tell(Call.RESOLVE, 3, ended=BEGAN.plus(900.0))) == [("INC-12", "2", "page", False)]
    assert names(await bench.tell(number=1, episode=2)) == [("INC-12.2", "1", "page", True)]


async def test_what_may_have_been_taken_is_taken_back(bench: Bench) -> None:
    await bench.tell(number=1)
    bench.receiver.answer = status(503)
    assert isinstance(await bench.channel.tell(notice(key="INC-12-1-2-x"), 10.0), NotTold)
    bench.receiver.answer = status(200, "")
    assert names(await bench.tell(number=1)) == [("INC-12", "1", "page", True)], "a reminder of the old one lets the newer alone"
    assert names(await bench.tell(number=3)) == [
        ("INC-12", "3", "page", True),
        ("INC-12", "1", "page", False),
        ("INC-12", "2", "page", False),
    ]


async def test_a_resolve_after_a_restart_guesses_what_was_firing(bench: Bench) -> None:
    await bench.tell(number=4)
    await bench.channel.close()
    bench.restarted()
    told = names(await bench.tell(Call.RESOLVE, 5))
    assert ("INC-12", "4", "page", False) in told and not any(firing for *_, firing in told) and len(told) == 4


@pytest.mark.parametrize(
    ("link", "kept"),
    [
        ("https://canary.test/v1/incidents/INC-1", True),
        ("http://canary:9464/x", True),
        ("", False),
        ("docs/runbooks", False),
        ("javascript:alert(1)", False),
        ("https://", False),
        ("https://a b/", False),
        ("http://[::1", False),
        ("https://canary.test/käse", False),
    ],
)
async def test_only_a_link_is_a_generator_url(bench: Bench, link: str, kept: bool) -> None:
    (alert,) = await bench.tell(incident_url=link)
    assert ("generatorURL" in alert) is kept
    assert alert["annotations"].get("incident_url", "") == link


async def test_the_times_are_always_in_order(bench: Bench) -> None:
    """startsAt is never later than endsAt or than now, whatever the clocks did."""
    bench.clock.utc = BEGAN.utc - 5_000
    (alert,) = await bench.tell()
    assert alert["startsAt"] < alert["endsAt"] and alert["startsAt"] == "2026-09-21T12:50:00.250Z"
    (alert,) = await bench.tell(Call.RESOLVE, 2, ended=BEGAN.plus(-9_000.0))
    assert alert["startsAt"] <= alert["endsAt"]


async def test_a_test_alert_wakes_nobody_and_ends_soon(bench: Bench) -> None:
    (alert,) = await bench.tell(Call.TEST, incident=IncidentId("INC-0"), episode=0)
    assert (alert["labels"]["alertname"], alert["labels"]["severity"]) == ("MailcanaryTest", "ticket")
    assert alert["endsAt"] == "2026-09-21T14:31:00.250Z"


async def test_every_member_is_told_and_one_is_enough() -> None:
    async with Receiver(status(200, "")) as well, Receiver(status(503)) as ill, Receiver(hang) as stuck:
        policy = AlertmanagerChannel((ill.base, stuck.base, well.base), None)
        channel = Alertmanager(policy, StubSecrets({}), TlsContexts().get, StillClock(NOW))
        outcome = await channel.tell(notice(), 1.0)
        assert isinstance(outcome, Told) and "1 of 3" in outcome.receipt
        assert [len(one.requests) for one in (well, ill, stuck)] == [1, 1, 1]
        await channel.close()


@pytest.mark.parametrize(("codes", "transient"), [((400, 503), True), ((400, 422), False), ((503, 503), True)])
async def test_a_cluster_that_refuses(codes: tuple[int, int], transient: bool) -> None:
    async with Receiver(status(codes[0])) as one, Receiver(status(codes[1])) as two:
        channel = Alertmanager(AlertmanagerChannel((one.base, two.base), None), StubSecrets({}), TlsContexts().get, StillClock(NOW))
        outcome = await channel.tell(notice(), 10.0)
        assert isinstance(outcome, NotTold) and outcome.transient is transient
        await channel.close()


async def test_the_memory_is_bounded(bench: Bench) -> None:
    for number in range(KEPT + 10):
        bench.channel._remembered(f"INC-{number}")
    assert len(bench.channel._fired) == KEPT


def test_the_factory_makes_what_the_policy_names() -> None:
    policy = NotifyPolicy({"hook": WebhookChannel("https://hook.test", None), "am": AlertmanagerChannel(("http://am.test",), None)})
    built = build(policy, StubSecrets({}), TlsContexts().get, StillClock(NOW))
    assert {name: type(channel) for name, channel in built.items()} == {"hook": Webhook, "am": Alertmanager}
