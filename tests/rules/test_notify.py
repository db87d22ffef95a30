"""Who is to be told what, now: tables. The order over a whole history stands in test_notify_properties.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from monitor.model.channels import AlertmanagerChannel, NotifyPolicy, WebhookChannel
from monitor.model.facts import Acknowledged, Entry, Fact, Notified, NotifyFailed, Silenced, Transition
from monitor.model.incident import IncidentId, Phase, Scope, ScopeKind, Severity
from monitor.model.instant import Instant
from monitor.model.notice import Call, NotTold
from monitor.model.verdict import Symptom
from monitor.rules import notify
from monitor.rules.notify import Duty
from monitor.views.outbox import Outbox
from tests.stages.house import policy as whole_policy

ONE, TWO = IncidentId("INC-1"), IncidentId("INC-2")
START = Instant(1_790_000_000.0, 0.0, "first")
POLICY = NotifyPolicy(
    dict.fromkeys(("pager", "chat", "desk", "spare"), WebhookChannel("https://hook.test", None)), ("pager", "chat"), ("desk",), ("spare",)
)
DOWN = NotTold("503", transient=True)


def go(phase: Phase, at: float = 0.0, incident: IncidentId = ONE, severity: Severity = Severity.PAGE, episode: int = 1) -> Transition:
    return Transition(START.plus(at), incident, phase, Symptom.STRAY, Scope(ScopeKind.PATH, "app"), severity, episode, START)


def took(about: int, channel: str, at: float = 1.0, incident: IncidentId = ONE) -> Notified:
    return Notified(START.plus(at), incident, channel, about, 1, "ok")


def failed(about: int, channel: str, retry_in: float | None, at: float = 1.0, incident: IncidentId = ONE) -> NotifyFailed:
    return NotifyFailed(START.plus(at), incident, channel, about, 1, "down", "", retry_in)


def silenced(seconds: float) -> Silenced:
    return Silenced(START, ONE, "ana", "known", START.utc + seconds)


def folded(*facts: Fact) -> Outbox:
    outbox = Outbox()
    for seq, fact in enumerate(facts, 1):
        outbox.fold(Entry(seq, "", fact))
    return outbox


PAGE, TICKET = go(Phase.OPENED), go(Phase.OPENED, severity=Severity.TICKET)
GROWN, OVER = go(Phase.GROWN, 10.0), go(Phase.RESOLVED, 20.0)
HEARD = (took(1, "pager"), took(1, "chat"))
ELSEWHERE = replace(go(Phase.OPENED, 0.0, TWO), scope=Scope(ScopeKind.PATH, "relay"))
NEXT = go(Phase.OPENED, 4_000.0, TWO)  # under the key of the first, after which it cannot be opened again
ROWS: dict[str, tuple[tuple[Fact, ...], float, set[str]]] = {
    "nothing": ((), 0, set()),
    "a page goes to the page channels": ((PAGE,), 0, {"pager 1", "chat 1"}),
    "a ticket to the ticket channels": ((TICKET,), 0, {"desk 1"}),
    "a ticket that became a page": ((TICKET, took(1, "desk"), GROWN), 10, {"pager 3", "chat 3"}),
    "who took it is done": ((PAGE, took(1, "chat")), 5, {"pager 1"}),
    "the next waits for the first": ((PAGE, GROWN), 10, {"pager 1", "chat 1"}),
    "and comes when that is taken": ((PAGE, GROWN, took(1, "chat")), 10, {"pager 1", "chat 2"}),
    "or given up": ((PAGE, GROWN, failed(1, "chat", None)), 10, {"pager 1", "chat 2", "spare 1"}),
    "incidents do not wait for each other": ((PAGE, ELSEWHERE), 0, {"pager 1", "pager 2", "chat 1", "chat 2"}),
    "over: to those who heard": ((PAGE, *HEARD, OVER), 20, {"pager 4", "chat 4"}),
    "over: who never heard is told both": ((PAGE, took(1, "chat"), OVER), 20, {"pager 1", "chat 3"}),
    "over: who gave up hears nothing": (
        (PAGE, took(1, "chat"), failed(1, "pager", None), took(1, "spare"), OVER), 20, {"chat 5", "spare 5"}
    ),
    "over: a ticket channel too": (
        (TICKET, took(1, "desk"), GROWN, took(3, "pager"), took(3, "chat"), OVER), 20, {"desk 6", "pager 6", "chat 6"}
    ),
    "over, when nobody heard and nobody will": (
        (PAGE, *(failed(1, channel, None) for channel in ("pager", "chat", "spare")), OVER), 20, set()
    ),
    "a permanent refusal: the fallback at once": ((PAGE, failed(1, "pager", None)), 1, {"chat 1", "spare 1"}),
    "a transient one: not yet": ((PAGE, failed(1, "pager", 60.0)), 119, {"pager 1", "chat 1"}),
    "a transient one: after fallback_after": ((PAGE, failed(1, "pager", 60.0)), 120, {"pager 1", "chat 1", "spare 1"}),
    "not tried yet: the fallback is left alone": ((PAGE,), 5_000, {"pager 1", "chat 1"}),
    "not tried, but its channel takes nothing": (
        (ELSEWHERE, failed(1, "pager", 9.0, incident=TWO), PAGE), 200, {"pager 1", "chat 1", "spare 1", "pager 3", "chat 3", "spare 3"}
    ),
    "a fallback that is asked late hears nothing of what came before its last word": (
        (PAGE, failed(1, "pager", None), took(1, "chat"), took(1, "spare"), GROWN, took(5, "chat", 11.0), OVER, took(7, "spare", 21.0),
         failed(5, "pager", None, 30.0)), 200, {"chat 7"}
    ),
    "a ticket has no fallback": ((TICKET, failed(1, "desk", None)), 5_000, set()),
    "silence": ((PAGE, *HEARD, silenced(600)), 599, set()),
    "silence over": ((PAGE, *HEARD, silenced(600)), 600, {"pager 4", "chat 4"}),
    "silence, and over": ((PAGE, *HEARD, silenced(600), OVER), 30, {"pager 5", "chat 5"}),
    "one key: the end of the first comes before the next": ((PAGE, *HEARD, OVER, NEXT), 4_000, {"pager 4", "chat 4"}),
    "one key: and when that is taken, the next": ((PAGE, *HEARD, OVER, NEXT, took(4, "pager", 4_001.0)), 4_001, {"pager 5", "chat 4"}),
    "one key: or given up": ((PAGE, *HEARD, OVER, NEXT, failed(4, "pager", None, 4_001.0)), 4_001, {"pager 5", "chat 4"}),
    "one key: who took the next is not told that the first is over": (
        (PAGE, *HEARD, OVER, failed(4, "pager", 9.0, 21.0), NEXT, took(6, "pager", 4_001.0, TWO)), 4_002, {"chat 4"}
    ),
    "one key: what is still open is told in any case": ((PAGE, NEXT, took(2, "pager", 4_001.0, TWO)), 4_002, {"pager 1", "chat 1"}),
    "one key: what a silence holds holds nobody up": ((PAGE, *HEARD, silenced(9_000), NEXT), 4_000, {"pager 5", "chat 5"}),
    "one key: a page behind a notice that is not taken, while others are: not yet the fallback": (
        (PAGE, *HEARD, OVER, failed(4, "pager", 60.0, 21.0), ELSEWHERE, took(6, "pager", 22.0, TWO), took(6, "chat", 22.0, TWO),
         took(4, "chat", 22.0), replace(NEXT, incident="INC-3")), 4_119, {"pager 4", "chat 10"}
    ),
    "one key: a page behind a notice that is not taken, while others are: the fallback": (
        (PAGE, *HEARD, OVER, failed(4, "pager", 60.0, 21.0), ELSEWHERE, took(6, "pager", 22.0, TWO), took(6, "chat", 22.0, TWO),
         took(4, "chat", 22.0), replace(NEXT, incident="INC-3")), 4_120, {"pager 4", "chat 10", "spare 10"}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_duties(name: str) -> None:
    facts, after, expected = ROWS[name]
    outbox, now = folded(*facts), START.plus(after)
    found = notify.duties(outbox, POLICY, now)
    assert {f"{duty.channel} {duty.item.seq}" for duty in found} == expected
    for duty in found:
        assert notify.duty(outbox, POLICY, now, duty.channel, duty.item.transition.incident) == duty
        assert duty.call is (Call.RESOLVE if duty.item.transition.phase is Phase.RESOLVED else Call.FIRE)
    assert {item.seq for item in notify.owed(outbox, POLICY, now)} >= {duty.item.seq for duty in found}
    assert notify.duty(outbox, POLICY, now, "nobody", ONE) is None


def test_alertmanager_knows_an_alert_by_its_incident() -> None:
    """There the end of one closes no other: neither waits, and both are told."""
    am = replace(POLICY, channels={"am": AlertmanagerChannel(("http://am.test",), None)}, pages=("am",), fallback=())
    waiting = folded(PAGE, took(1, "am"), OVER, NEXT)
    assert [duty.item.seq for duty in notify.duties(waiting, am, START.plus(4_000))] == [3, 4]
    assert notify.duty(waiting, am, START.plus(4_000), "am", TWO) == Duty(waiting.items["4"], "am")
    late = folded(PAGE, took(1, "am"), OVER, NEXT, took(4, "am", 4_001.0, TWO))
    assert notify.owing(late, am, START.plus(4_002)) == {(3, "am")}


def test_a_channel_that_is_not_configured_is_owed_nothing() -> None:
    gone = replace(POLICY, channels={"chat": POLICY.channels["chat"]})
    assert [duty.channel for duty in notify.duties(folded(PAGE), gone, START)] == ["chat"]
    assert notify.duties(folded(PAGE, *HEARD, OVER), replace(gone, channels={}), START) == []


@pytest.mark.parametrize(
    ("facts", "after", "told"),
    [
        ((PAGE, *HEARD, OVER, took(4, "pager", 21.0), took(4, "chat", 21.0)), 86_399.0, [1]),
        ((PAGE, *HEARD, OVER, took(4, "pager", 21.0), took(4, "chat", 21.0)), 30 * 86_400.0, []),
        ((PAGE, *HEARD), 30 * 86_400.0, [1]),
    ],
    ids=["over not long ago", "history", "still open"],
)
def test_a_channel_that_is_new_is_not_told_the_history(facts: tuple[Fact, ...], after: float, told: list[int]) -> None:
    channels = {**POLICY.channels, "new": WebhookChannel("https://new.test", None)}
    more = replace(POLICY, channels=channels, pages=("new", "chat"))
    found = notify.duties(folded(*facts), more, START.plus(after))
    assert [duty.item.seq for duty in found if duty.channel == "new"] == told


def test_what_became_part_of_another_is_not_told_at_the_end_of_its_silence() -> None:
    wider = (go(Phase.OPENED, 90.0, TWO), took(5, "pager", 91.0, TWO), took(5, "chat", 91.0, TWO))
    outbox = folded(PAGE, *HEARD, silenced(600), *wider, replace(go(Phase.GROWN, 100.0), parent=TWO))
    assert notify.duties(outbox, POLICY, START.plus(601)) == []
    assert notify.until_next(outbox, POLICY, START.plus(200)) is None


@pytest.mark.parametrize(
    ("facts", "after", "expected"),
    [
        ((), 0, None),
        ((PAGE,), 20, 100.0),
        ((PAGE,), 130, None),
        ((PAGE, *HEARD), 20, None),
        ((PAGE, *HEARD, silenced(600)), 100, 500.0),
        ((PAGE, *HEARD, silenced(600)), 601, 119.0),
    ],
)
def test_until_next(facts: tuple[Fact, ...], after: float, expected: float | None) -> None:
    assert notify.until_next(folded(*facts), POLICY, START.plus(after)) == expected


@pytest.mark.parametrize(
    ("attempt", "refusal", "age", "draw", "expected"),
    [
        (1, DOWN, 0, 0.0, 1.0),
        (1, DOWN, 0, 1.0, 2.0),
        (4, DOWN, 0, 0.5, 12.0),
        (9, DOWN, 0, 0.0, 30.0),
        (1_000_000, DOWN, 0, 1.0, 60.0),
        (1, DOWN, 86_400, 0.0, None),
        (1, DOWN, 86_399, 0.0, 1.0),
        (1, replace(DOWN, transient=False), 0, 0.0, None),
        (1, replace(DOWN, retry_after=45.0), 0, 1.0, 45.0),
        (9, replace(DOWN, retry_after=5.0), 0, 1.0, 60.0),
        (1, replace(DOWN, retry_after=1e9), 0, 0.0, 900.0),
    ],
)
def test_wait(attempt: int, refusal: NotTold, age: float, draw: float, expected: float | None) -> None:
    assert notify.wait(attempt, refusal, age, POLICY, draw) == expected


@pytest.mark.parametrize(
    ("previous", "retry_in", "at", "news"),
    [
        (None, 1.0, 0, True),
        (0, 1.0, 59, False),
        (0, 1.0, 60, True),
        (0, None, 1, True),
        (600, 1.0, 1_100, False),
        (600, 1.0, 1_200, True),
        (40_000, 1.0, 43_599, False),
        (40_000, 1.0, 43_600, True),
    ],
)
def test_which_failures_are_recorded(previous: float | None, retry_in: float | None, at: float, news: bool) -> None:
    before = None if previous is None else failed(1, "pager", 1.0, previous)
    assert notify.is_news(before, START, retry_in, START.plus(at)) is news


def test_reminders() -> None:
    facts: list[Fact] = [PAGE, took(1, "pager"), go(Phase.OPENED, 0.0, TWO), took(3, "pager", incident=TWO), GROWN]

    def reminded(*more: Fact, at: float = 30.0, channel: str = "pager") -> list[tuple[int, str]]:
        return [(r.item.seq, r.hushed) for r in notify.reminders(folded(*facts, *more), channel, {}, START.plus(at))]

    assert reminded() == [(1, ""), (3, "")], "what was taken, not what is still to be told"
    assert reminded(took(5, "pager")) == [(5, ""), (3, "")]
    assert reminded(channel="chat") == []
    assert reminded(silenced(600)) == [(1, "silenced until 2026-09-21T14:23:20.000Z"), (3, "")]
    assert reminded(replace(GROWN, parent=TWO)) == [(1, "part of INC-2"), (3, "")]
    assert reminded(OVER) == [(3, "")], "over, and not yet said"
    assert reminded(OVER, took(6, "pager", 30.0), at=330.0) == [(6, ""), (3, "")]
    assert reminded(OVER, took(6, "pager", 30.0), at=331.0) == [(3, "")]


SILENT = replace(go(Phase.SILENCED, 100.0), silent_until=START.utc + 700.0, note="SIL-1 of bob")
IN_HAND = Acknowledged(START.plus(50.0), ONE, "ana")


@pytest.mark.parametrize(
    ("facts", "before", "after"),
    [
        ((PAGE, took(1, "am"), SILENT), [(1, "silenced by SIL-1 of bob")], []),
        ((PAGE, took(1, "am"), SILENT, took(3, "am", 701.0)), [(3, "silenced by SIL-1 of bob")], [(3, "")]),
        ((PAGE, took(1, "am"), SILENT, failed(3, "am", None, 701.0)), [(1, "silenced by SIL-1 of bob")], [(1, "")]),
        ((PAGE, took(1, "am"), IN_HAND, SILENT), [(1, "silenced by SIL-1 of bob")], [(1, "")]),
        ((PAGE, took(1, "am"), SILENT, replace(IN_HAND, at=START.plus(200.0))), [(1, "silenced by SIL-1 of bob")], [(1, "")]),
        (
            (PAGE, took(1, "am"), IN_HAND, SILENT, replace(GROWN, at=START.plus(800.0), parent=TWO)),
            [(1, "part of INC-2")], [(1, "part of INC-2")],
        ),
        ((PAGE, took(1, "am"), IN_HAND, SILENT, replace(OVER, at=START.plus(800.0))), [], []),
    ],
    ids=["its end is to be told", "and is told", "or given up", "in hand before", "in hand in the silence", "in hand, a part", "over"],
)  # fmt: skip
def test_reminders_after_a_silence(facts: tuple[Fact, ...], before: list[tuple[int, str]], after: list[tuple[int, str]]) -> None:
    """Either a newer notice speaks for it, or the one before goes on to be shown."""
    found = [[(r.item.seq, r.hushed) for r in notify.reminders(folded(*facts), "am", {}, START.plus(at))] for at in (300.0, 900.0)]
    assert found == [before, after]


def test_reminders_of_what_is_not_written_down() -> None:
    """A full disk keeps Notified waiting; what was told must not expire meanwhile."""
    outbox = folded(PAGE, took(1, "pager"), GROWN, go(Phase.OPENED, 0.0, TWO))
    said = {ONE: outbox.items["3"], TWO: outbox.items["4"]}
    assert [r.item.seq for r in notify.reminders(outbox, "pager", said, START.plus(30))] == [3, 4]
    over = folded(PAGE, took(1, "pager"), OVER)
    assert [r.item.seq for r in notify.reminders(over, "pager", {ONE: over.items["3"]}, START.plus(900))] == [3]
    again = folded(PAGE, took(1, "pager"), OVER, go(Phase.OPENED, 30.0, episode=2))
    assert notify.reminders(again, "pager", {ONE: again.items["3"]}, START.plus(30)) == [], "words of an earlier episode"


def test_keys(tmp_path: Path) -> None:
    policy = whole_policy(tmp_path)
    first, second = folded(PAGE, GROWN).items.values()
    assert notify.key(policy, first).startswith("INC-1-1-1-") and notify.key(policy, second).startswith("INC-1-1-2-")
    assert notify.key(policy, first) == notify.key(policy, folded(PAGE, failed(1, "pager", 1.0)).items["1"])
    others = [
        notify.key(replace(policy, instance="two"), first),
        notify.key(replace(policy, environment="two"), first),
        notify.key(policy, folded(go(Phase.OPENED, 1.0)).items["1"]),
        notify.key(policy, folded(took(9, "pager"), PAGE).items["2"]),
    ]
    assert len({notify.key(policy, first), *others}) == 5


def test_the_page_from_memory(tmp_path: Path) -> None:
    policy = whole_policy(tmp_path)
    since = START.plus(5)
    fire, over = notify.unwritable_notice(policy, since, None), notify.unwritable_notice(policy, since, since.plus(90))
    assert (fire.call, over.call) == (Call.FIRE, Call.RESOLVE)
    assert (fire.symptom, fire.severity, fire.scope) == (Symptom.MONITOR, Severity.PAGE, "all")
    assert fire.dedup_key == over.dedup_key and fire.incident == over.incident and fire.key != over.key
    assert "submitting has stopped" in fire.text and policy.state_dir in fire.text and "90 s" in over.title
    assert fire.began == since and (fire.ended, over.ended) == (None, since.plus(90))
    assert len(fire.title) + len(fire.text) <= 1_024
    assert fire.runbook_url == "docs/runbooks/monitor.md" and fire.text.endswith(fire.runbook_url), "where there is no URL, a file"
    later = notify.unwritable_notice(policy, since.plus(1), None)
    assert later.key != fire.key and later.incident != fire.incident


def test_a_duty_is_a_value() -> None:
    (item,) = folded(PAGE).items.values()
    assert Duty(item, "pager") == Duty(item, "pager")
