"""What the dead-man switch is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from monitor.model.channels import NotifyPolicy, WebhookChannel
from monitor.model.facts import Entry, NotifyFailed, Paused, Silenced, Transition, WatchBlind, WatchRestored
from monitor.model.incident import EVERYWHERE, IncidentId, Phase, Severity
from monitor.model.instant import Instant
from monitor.model.mail import BlindCause
from monitor.model.policy import Policy
from monitor.model.verdict import Reason, Symptom
from monitor.rules import heartbeat
from monitor.rules.heartbeat import Said, Signs
from monitor.views.probes import ProbeState
from monitor.views.world import World
from tests.stages.house import policy, seed
from tests.views.life import planned

EVERY = 60.0
WELL = Signs(True, (), Instant(990.0, 990.0, "p"))


def at(seconds: float) -> Instant:
    return Instant(seconds, seconds, "p")


NOW = at(1000)


@pytest.fixture
def rules(tmp_path: Path) -> Policy:
    made = policy(tmp_path, seeds=2, holding=True)
    channels = {"hook": WebhookChannel("https://hook.test/", None)}
    return replace(made, notify=NotifyPolicy(channels=channels, pages=("hook",), fallback_after=120.0))


def world(*facts: object) -> World:
    made = World()
    for seq, fact in enumerate(facts, 1):
        made.fold(Entry(seq, "", fact))  # type: ignore[arg-type]
    return made


def blind(number: int) -> WatchBlind:
    return WatchBlind(at(1), seed(number), BlindCause.TIMEOUT, "", "")


OPENED = Transition(at(1), IncidentId("INC-1"), Phase.OPENED, Symptom.MONITOR, EVERYWHERE, Severity.PAGE, 1, at(1))


OVER = replace(OPENED, at=at(700), phase=Phase.RESOLVED)
SILENCED = Silenced(at(3), OPENED.incident, "dolores", "known", 3_600.0)


def failed(seconds: float, channel: str = "hook") -> NotifyFailed:
    return NotifyFailed(at(seconds), IncidentId("INC-1"), channel, 1, 1, "refused", "", 10.0)


GIVEN_UP = replace(failed(2.0), retry_in=None)


@pytest.mark.parametrize(
    ("signs", "facts", "well", "says"),
    [
        pytest.param(WELL, (), True, "a probe was judged", id="a cycle"),
        pytest.param(replace(WELL, cycle=None), (), None, "", id="no cycle: silence"),
        pytest.param(replace(WELL, writable=False), (), False, "journal cannot be written", id="unwritable"),
        pytest.param(replace(WELL, stuck=("judge", "incident")), (), False, "no progress in: incident, judge", id="stuck"),
        pytest.param(WELL, (blind(1),), True, "", id="one blind"),
        pytest.param(WELL, (blind(1), blind(2)), False, "every seed mailbox is blind", id="all blind"),
        pytest.param(WELL, (blind(1), blind(2), WatchRestored(at(2), seed(2), 3)), True, "", id="one restored"),
        pytest.param(replace(WELL, cycle=None), (Paused(at(5), "dolores", "provider asked"),), True, "paused since", id="paused is chosen"),
        pytest.param(replace(WELL, writable=False), (Paused(at(5), "dolores", ""),), False, "journal", id="paused and broken"),
        pytest.param(WELL, (OPENED, failed(879.0)), False, "nobody takes our notices at: hook", id="notices fail"),
        pytest.param(WELL, (OPENED, failed(881.0)), True, "", id="not yet for long"),
        pytest.param(WELL, (OPENED, failed(1.0, "gone")), True, "", id="a channel that is not configured any more"),
        pytest.param(WELL, (OPENED, GIVEN_UP, OVER), True, "", id="given up, and over"),
        pytest.param(WELL, (OPENED, failed(2.0), SILENCED, OVER), True, "", id="not owed any more"),
    ],
)
def test_the_word(rules: Policy, signs: Signs, facts: tuple[object, ...], well: bool | None, says: str) -> None:
    word = heartbeat.word(signs, world(*facts), rules, None, EVERY, NOW)
    assert (word.well if word else None) is well
    assert word is None or (says in word.detail and "@" not in word.detail and "dolores" not in word.detail)


def test_what_a_channel_gave_up_does_not_count_while_another_is_still_to_be_told(rules: Policy) -> None:
    both = {"hook": rules.notify.channels["hook"], "chat": WebhookChannel("https://chat.test/", None)}
    two = replace(rules, notify=replace(rules.notify, channels=both, pages=("hook", "chat")))
    word = heartbeat.word(WELL, world(OPENED, GIVEN_UP, OVER), two, None, EVERY, NOW)
    assert word is not None and word.well


@pytest.mark.parametrize(
    ("last", "due"),
    [
        (None, True),
        (Said(at(941.0), True), False),
        (Said(at(940.0), True), True),
        (Said(at(991.0), False), False),
        (Said(at(990.0), False), True),
    ],
)
def test_at_most_once_an_interval_and_sooner_when_it_was_not_taken(rules: Policy, last: Said | None, due: bool) -> None:
    assert (heartbeat.word(WELL, world(), rules, last, EVERY, NOW) is not None) is due
    assert (heartbeat.word(replace(WELL, writable=False), world(), rules, last, EVERY, NOW) is not None) is due


@pytest.mark.parametrize(
    ("reason", "revision", "process", "completes"),
    [
        (Reason.PASS, 0, "p", True),
        (Reason.MISSING, 0, "p", True),
        (Reason.PASS, 1, "p", False),
        (Reason.MAILBOX_BLIND, 0, "p", False),
        (Reason.INTERNAL, 0, "p", False),
        (Reason.PASS, 0, "another", False),
    ],
)
def test_a_whole_cycle(reason: Reason, revision: int, process: str, completes: bool) -> None:
    from monitor.model.facts import Judged
    from monitor.model.probe import Purpose

    plan = replace(planned(), at=Instant(1.0, 1.0, "p"))
    fact = Judged(NOW, plan.probe, plan.route, Purpose.SCHEDULED, revision, reason.verdict, reason, "", ())
    assert heartbeat.completes(fact, ProbeState(plan, 1), process) is completes
    assert not heartbeat.completes(fact, None, process)
