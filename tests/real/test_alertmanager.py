"""Our alerts and our example routing against a real Alertmanager: who is told of what, and what it forgets, mutes and merges.

repeat_interval is two hours here: an incident that is told twice was told because something about it was new to Alertmanager.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from monitor.desk import Desk
from monitor.edge.channels import Alertmanager, alertmanager
from monitor.edge.clock import SystemClock
from monitor.edge.entropy import SystemEntropy
from monitor.edge.journal import MemoryJournal
from monitor.edge.tls import TlsContexts
from monitor.model.channels import AlertmanagerChannel, NotifyPolicy
from monitor.model.facts import Notified, Transition
from monitor.model.incident import IncidentId, Phase, Scope, ScopeKind, Severity
from monitor.model.instant import Instant
from monitor.model.notice import Call, Notice, NotTold, Telling, Told
from monitor.model.verdict import Symptom
from monitor.stages.notify import Notify
from monitor.views.world import World
from tests.fakes.paths import StubSecrets
from tests.real import alertmanager as real
from tests.real.alertmanager import PATIENCE, SHIPPED, Catcher, RealAlertmanager
from tests.stages.house import policy as whole_policy

pytestmark = [pytest.mark.skipif(real.absent() is not None, reason=f"real Alertmanager: {real.absent()}"), pytest.mark.timeout(180)]

NUMBERS = itertools.count(100)
AN_HOUR_AGO = 3_600.0


@pytest.fixture(scope="module")
def catcher() -> Iterator[Catcher]:
    running = Catcher()
    yield running
    running.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, catcher: Catcher) -> Iterator[RealAlertmanager]:
    running = RealAlertmanager(tmp_path_factory.mktemp("alertmanager"), catcher)
    yield running
    running.stop()


class Incident:
    """One incident of ours, told by a channel of ours."""

    def __init__(self, server: RealAlertmanager, resend_every: float = 60.0) -> None:
        self.id = IncidentId(f"INC-{next(NUMBERS)}")
        self.began = Instant(time.time() - AN_HOUR_AGO, 0.0, "test")
        self.policy = AlertmanagerChannel((server.url,), None, resend_every=resend_every)

    def notice(self, call: Call = Call.FIRE, number: int = 1, episode: int = 1, **fields: object) -> Notice:
        told = Notice(
            key=f"{self.id}-{episode}-{number}-0a1b2c3d",
            dedup_key=f"mailcanary/test/delivery_missing/{self.id}",
            call=call,
            incident=self.id,
            episode=episode,
            severity=Severity.PAGE,
            symptom=Symptom.DELIVERY_MISSING,
            scope=f"mailbox:{self.id.lower()}",
            environment="test",
            title=f"notice {number} of episode {episode}",
            text="Broke:    no arrival",
            began=self.began,
        )
        return replace(told, **fields)  # type: ignore[arg-type]

    def is_since(self, alert: Mapping[str, Any]) -> bool:
        """It began when the incident did; Alertmanager writes no zeros at the end of a fraction."""
        return datetime.fromisoformat(alert["startsAt"]) == datetime.fromisoformat(self.began.iso())

    def tell(self, *notices: Notice) -> list[Telling]:
        """By one process, in order."""

        async def all_of_them() -> list[Telling]:
            channel = Alertmanager(self.policy, StubSecrets({}), TlsContexts().get, SystemClock())
            try:
                return [await channel.tell(notice, PATIENCE) for notice in notices]
            finally:
                await channel.close()

        outcomes = asyncio.run(all_of_them())
        assert all(isinstance(outcome, Told) for outcome in outcomes), outcomes
        return outcomes


@pytest.fixture
def incident(server: RealAlertmanager) -> Incident:
    return Incident(server)


def firing(told: list[real.Told], receiver: str = "pager") -> list[str]:
    """The summaries of the firing alerts of each notification, joined."""
    return [
        " + ".join(a["annotations"]["summary"] for a in one.of("firing")) for one in told if one.receiver == receiver and one.of("firing")
    ]


def is_resolved(told: list[real.Told], receiver: str = "pager") -> bool:
    return any(one.status == "resolved" and one.receiver == receiver for one in told)


def test_the_shipped_configuration_is_valid_and_routes_as_it_says(tmp_path: Path) -> None:
    assert real.AMTOOL is not None
    checked = subprocess.run([real.AMTOOL, "check-config", str(SHIPPED)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for receiver, labels in {
        "pager": ["alertname=MailcanaryIncident", "severity=page"],
        "ticket": ["alertname=MailcanaryIncident", "severity=ticket"],
        "test": ["alertname=MailcanaryTest", "severity=ticket"],
        "deadman": ["alertname=MailcanaryWatchdog", "severity=none"],
    }.items():
        command = [real.AMTOOL, "config", "routes", "test", f"--config.file={SHIPPED}", f"--verify.receivers={receiver}", *labels]
        routed = subprocess.run(command, capture_output=True, text=True, check=False)
        assert routed.returncode == 0, f"{labels}: {routed.stdout}{routed.stderr}"


def test_since_when_is_kept_and_a_reminder_tells_nobody(incident: Incident, server: RealAlertmanager, catcher: Catcher) -> None:
    incident.tell(*[incident.notice()] * 3)
    (told,) = catcher.wait(incident.id, bool)
    (alert,) = told.of("firing")
    assert incident.is_since(alert) and incident.is_since(server.active(incident.id)[0])
    assert alert["labels"]["incident"] == incident.id and alert["annotations"]["summary"] == "notice 1 of episode 1"
    incident.tell(incident.notice(), incident.notice(Call.RESOLVE, 2))
    told_all = catcher.wait(incident.id, is_resolved)
    assert firing(told_all) == ["notice 1 of episode 1"]


def test_that_it_is_over_is_told_with_our_words(incident: Incident, server: RealAlertmanager, catcher: Catcher) -> None:
    over = replace(incident.notice(Call.RESOLVE, 2), title="over: 4 good probes", ended=Instant(time.time(), 0.0, "test"))
    incident.tell(incident.notice(), over, over, over)
    told = catcher.wait(incident.id, is_resolved)
    assert [a["annotations"]["summary"] for a in told[-1].alerts] == ["over: 4 good probes"]
    assert incident.is_since(told[-1].alerts[0])
    assert server.active(incident.id) == []


def test_what_has_grown_pages_again_and_other_words_alone_do_not(incident: Incident, server: RealAlertmanager, catcher: Catcher) -> None:
    incident.tell(incident.notice())
    catcher.wait(incident.id, lambda told: len(firing(told)) == 1)
    other = replace(incident.notice(), title="notice 1 in other words")
    incident.tell(other, incident.notice(number=2))
    catcher.wait(incident.id, lambda told: "notice 2 of episode 1" in " ".join(firing(told)))
    incident.tell(other, incident.notice(number=2), incident.notice(number=3))
    told = catcher.wait(incident.id, lambda told: any("notice 3" in line for line in firing(told)))
    assert not any("other words" in line for line in firing(told)[:1]) and not is_resolved(told)
    (alert,) = server.active(incident.id)
    assert alert["labels"]["notice"] == "3", "the earlier notices were taken back in the same POST"


def test_other_words_alone_are_told_to_nobody(incident: Incident, catcher: Catcher) -> None:
    """Why each notice has a label of its own."""
    incident.tell(incident.notice())
    catcher.wait(incident.id, lambda told: len(firing(told)) == 1)
    incident.tell(*[replace(incident.notice(), title="in other words")] * 2)
    time.sleep(3.0)  # three group_intervals: nothing is to happen
    assert firing(catcher.of(incident.id)) == ["notice 1 of episode 1"]


def test_a_ticket_that_becomes_a_page_moves_from_the_one_to_the_other(
    incident: Incident, server: RealAlertmanager, catcher: Catcher
) -> None:
    ticket = incident.notice(severity=Severity.TICKET)
    incident.tell(ticket)
    told = catcher.wait(incident.id, lambda told: bool(firing(told, "ticket")))
    assert firing(told) == []
    incident.tell(ticket, incident.notice(number=2))
    told = catcher.wait(incident.id, lambda told: bool(firing(told)) and is_resolved(told, "ticket"))
    assert firing(told) == ["notice 2 of episode 1"], "and whoever has the ticket hears that it is one no more"
    (alert,) = server.active(incident.id)
    assert alert["labels"]["severity"] == "page"


def test_a_page_hushes_the_tickets_of_its_own_symptom_and_no_others(server: RealAlertmanager) -> None:
    """Two alerts that both lack a label are equal in it: that staging is down must not hush the full disk of production."""
    rule = {"service": "mailcanary", "incident": "hush"}
    down = rule | {"alertname": "MailcanaryMonitorDown", "severity": "page", "instance": "staging"}
    lost = rule | {"alertname": "MailcanaryDeliveryBurnFast", "severity": "page", "environment": "prod", "symptom": "delivery_missing"}
    slow = lost | {"alertname": "MailcanaryDeliveryBurnTicket", "severity": "ticket"}
    others = [
        rule | {"alertname": "MailcanaryJournalUnwritable", "severity": "ticket", "instance": "prod"},
        rule | {"alertname": "MailcanaryGateHolding", "severity": "ticket", "environment": "prod"},
        lost | {"alertname": "MailcanaryLate", "severity": "ticket", "symptom": "delivery_late"},
        slow | {"environment": "staging"},
    ]
    status, answer = server.ask("POST", "/api/v2/alerts", [{"labels": labels} for labels in (down, lost, slow, *others)])
    assert status == 200, answer

    def muted() -> dict[str, bool]:
        return {json.dumps(alert["labels"], sort_keys=True): bool(alert["status"]["inhibitedBy"]) for alert in server.active("hush")}

    wanted = {json.dumps(labels, sort_keys=True): labels == slow for labels in (down, lost, slow, *others)}
    deadline = time.monotonic() + PATIENCE
    while muted() != wanted:
        assert time.monotonic() < deadline, muted()
        time.sleep(0.1)


def test_what_is_told_again_in_time_does_not_expire_and_what_is_not_does(server: RealAlertmanager, catcher: Catcher) -> None:
    incident = Incident(server, resend_every=1.0)
    for _ in range(7):
        incident.tell(incident.notice())
        time.sleep(1.0)  # in all much longer than an alert lives
    assert not is_resolved(catcher.of(incident.id))
    assert firing(catcher.wait(incident.id, is_resolved)) == ["notice 1 of episode 1"]


def test_an_alertmanager_that_was_restarted_has_forgotten_and_is_told_again(tmp_path: Path, catcher: Catcher) -> None:
    server = RealAlertmanager(tmp_path, catcher)
    try:
        incident = Incident(server)
        incident.tell(incident.notice())
        catcher.wait(incident.id, bool)
        server.stop()
        server.start()
        assert server.active(incident.id) == [], "alerts are kept in memory only"
        incident.tell(incident.notice())
        (alert,) = server.active(incident.id)
        assert incident.is_since(alert)
        incident.tell(incident.notice(), incident.notice(number=2))
        told = catcher.wait(incident.id, lambda told: any("notice 2" in line for line in firing(told)))
        assert firing(told)[0] == "notice 1 of episode 1" and not is_resolved(told)
    finally:
        server.stop()


def test_of_two_members_the_one_that_was_away_hears_it_from_a_reminder(tmp_path: Path, server: RealAlertmanager, catcher: Catcher) -> None:
    second = RealAlertmanager(tmp_path, catcher)
    try:
        incident = Incident(server)
        incident.policy = replace(incident.policy, urls=(server.url, second.url))
        second.stop()
        (outcome,) = incident.tell(incident.notice())
        assert isinstance(outcome, Told) and "1 of 2 members" in outcome.receipt
        second.start()
        assert second.active(incident.id) == []
        incident.tell(incident.notice())
        assert [incident.is_since(alert) for alert in second.active(incident.id)] == [True]
    finally:
        second.stop()


@pytest.mark.parametrize(("episode", "pages"), [(1, False), (2, True)])
def test_muted_resolved_and_back_again(incident: Incident, server: RealAlertmanager, catcher: Catcher, episode: int, pages: bool) -> None:
    """A silence over there swallows the end; the same labels are then taken for told. Our next episode has others."""
    incident.tell(incident.notice())
    catcher.wait(incident.id, bool)
    silence = server.silence(incident.id)
    incident.tell(incident.notice(), incident.notice(Call.RESOLVE, 2))
    time.sleep(2.5)  # its group is looked at, and nothing is sent
    assert not is_resolved(catcher.of(incident.id))
    server.unsilence(silence)
    incident.tell(incident.notice(episode=episode))
    name = incident.id if episode == 1 else f"{incident.id}.{episode}"
    if pages:
        assert firing(catcher.wait(name, lambda told: bool(firing(told)))) == ["notice 1 of episode 2"]
    else:
        time.sleep(3.0)
        assert len(firing(catcher.of(name))) == 1, "this is the trap: nobody hears that it is back"


def test_after_a_silence_of_ours_it_pages_again(incident: Incident, catcher: Catcher) -> None:
    """The alert is taken back while it is silenced; the end of the silence is a notice with a number of its own."""
    hushed = replace(incident.notice(Call.RESOLVE), title="[not over: silenced until noon] notice 1")
    incident.tell(incident.notice())
    catcher.wait(incident.id, bool)
    incident.tell(incident.notice(), hushed)
    told = catcher.wait(incident.id, is_resolved)
    assert "not over" in told[-1].alerts[0]["annotations"]["summary"]
    incident.tell(hushed, incident.notice(number=2))
    told = catcher.wait(incident.id, lambda told: len(firing(told)) == 2)
    assert firing(told) == ["notice 1 of episode 1", "notice 2 of episode 1"]


def test_what_is_over_within_group_wait_is_told_unless_it_is_a_ticket_younger_than_that(server: RealAlertmanager, catcher: Catcher) -> None:
    """An alert that began longer ago than group_wait is sent at once, and ours begin with their first bad evidence."""
    page, ticket, fresh = Incident(server), Incident(server), Incident(server)
    fresh.began = Instant(time.time(), 0.0, "test")
    for told in (ticket, fresh):
        told.tell(told.notice(severity=Severity.TICKET))
    catcher.wait(ticket.id, bool)
    page.tell(page.notice())
    catcher.wait(page.id, bool)
    for told in (page, ticket, fresh):
        severity = Severity.PAGE if told is page else Severity.TICKET
        told.tell(told.notice(severity=severity), told.notice(Call.RESOLVE, 2, severity=severity))
    assert firing(catcher.wait(page.id, is_resolved)) == ["notice 1 of episode 1"]
    assert firing(catcher.wait(ticket.id, lambda told: is_resolved(told, "ticket")), "ticket") == ["notice 1 of episode 1"]
    assert catcher.of(fresh.id) == []


def test_half_a_batch_is_taken_and_answered_with_400(incident: Incident, server: RealAlertmanager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Why each incident has a POST of its own, and why a 400 is not tried again."""
    labels = {"alertname": "X", "incident": incident.id}
    status, _ = server.ask("POST", "/api/v2/alerts", [{"labels": labels}, {"labels": {"alertname": "X", "bad.name": "x"}}])
    assert status == 400 and len(server.active(incident.id)) == 1
    ours = alertmanager._labels
    monkeypatch.setattr(alertmanager, "_labels", lambda notice: ours(notice) | {"bad.name": "x"})
    with pytest.raises(AssertionError, match="NotTold"):
        incident.tell(incident.notice())
    outcome = _refusal(incident)
    assert not outcome.transient and "400" in outcome.detail and "API v2" in outcome.mend


def test_a_link_that_is_none_would_cost_the_alert_and_is_left_out(incident: Incident, server: RealAlertmanager) -> None:
    labels = {"alertname": "X", "incident": incident.id}
    status, _ = server.ask("POST", "/api/v2/alerts", [{"labels": labels, "generatorURL": "https://a b/"}])
    assert status == 422 and server.active(incident.id) == []
    incident.tell(incident.notice(incident_url="https://a b/"))
    assert len(server.active(incident.id)) == 1


def test_a_test_notice_goes_to_the_receiver_for_tests(server: RealAlertmanager, catcher: Catcher) -> None:
    incident = Incident(server)
    incident.tell(incident.notice(Call.TEST))
    (told,) = catcher.wait(incident.id, bool)
    assert told.receiver == "test" and told.alerts[0]["labels"]["alertname"] == "MailcanaryTest"


def _refusal(incident: Incident) -> NotTold:
    async def tell() -> Telling:
        channel = Alertmanager(incident.policy, StubSecrets({}), TlsContexts().get, SystemClock())
        try:
            return await channel.tell(incident.notice(), PATIENCE)
        finally:
            await channel.close()

    outcome = asyncio.run(tell())
    assert isinstance(outcome, NotTold)
    return outcome


def test_the_whole_stage_through_restarts_of_either_side(tmp_path: Path, catcher: Catcher) -> None:
    """Opened, our restart, its restart, grown, resolved: pages, no false end, and the true one at last."""
    server = RealAlertmanager(tmp_path, catcher)
    incident = Incident(server, resend_every=0.5)
    notify = NotifyPolicy({"am": incident.policy}, ("am",), ("am",))
    policy = replace(whole_policy(tmp_path), notify=notify, environment=f"test-{incident.id.lower()}")
    facts: list[object] = []

    async def live(*phases: Phase, until: object = None) -> None:
        world, clock = World(), SystemClock()
        journal = MemoryJournal(world.fold)
        await journal.append(facts)  # type: ignore[arg-type]
        journal.fold_into(lambda entry: facts.append(entry.fact))
        channel = Alertmanager(incident.policy, StubSecrets({}), TlsContexts().get, clock)
        stage = asyncio.create_task(Notify(Desk(journal, world, clock, SystemEntropy(), policy), {"am": channel}).run())
        scope = Scope(ScopeKind.PATH, "relay")
        for phase in phases:
            now = clock.now()
            await journal.append([Transition(now, incident.id, phase, Symptom.STRAY, scope, Severity.PAGE, 1, incident.began)])
        async with asyncio.timeout(PATIENCE):
            while not await asyncio.to_thread(until):  # type: ignore[arg-type]
                await asyncio.sleep(0.1)
        stage.cancel()
        await asyncio.gather(stage, return_exceptions=True)
        await channel.close()

    def paged(times: int) -> bool:
        return len(firing(catcher.of(incident.id))) >= times

    try:
        asyncio.run(live(Phase.OPENED, until=lambda: paged(1)))
        time.sleep(1.0)
        asyncio.run(live(until=lambda: server.active(incident.id)))
        server.stop()
        server.start()
        asyncio.run(live(until=lambda: server.active(incident.id)))
        asyncio.run(live(Phase.GROWN, until=lambda: paged(2)))
        assert not is_resolved(catcher.of(incident.id))
        asyncio.run(live(Phase.RESOLVED, until=lambda: is_resolved(catcher.of(incident.id))))
    finally:
        server.stop()
    *before, last = catcher.of(incident.id)
    assert {one.status for one in before} == {"firing"} and last.status == "resolved"
    assert len([fact for fact in facts if isinstance(fact, Notified)]) == 3
