"""Log lines: one a notable fact, one line each whatever a peer said, and nobody's address in them."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest

from monitor.model.facts import (
    Attempted,
    Baselined,
    ClockJumped,
    Deferred,
    Entry,
    Fact,
    Foreign,
    ForeignKind,
    Judged,
    Noted,
    Paused,
    Reloaded,
    ReloadRefused,
    ResolveAsked,
    Resumed,
    Silenced,
    Started,
    Stray,
    SubmitError,
    SubmitFault,
    SubmitUnknown,
    Tripped,
    WatchBlind,
    WatchRestored,
    ZoneObserved,
)
from monitor.model.incident import DeployPhase, Phase, Severity
from monitor.model.inspection import Cause
from monitor.model.instant import Instant
from monitor.model.mail import UNSAID, BlindCause
from monitor.model.probe import MailboxName, PathName, ProbeId, Purpose, Route
from monitor.model.submission import Reply, Step
from monitor.model.verdict import Reason
from monitor.rules.plain import plain
from monitor.surface.log import Level, Log, LogFormat, describe
from tests.surface import happenings as so
from tests.surface.happenings import INC

AT = Instant(1_790_000_000.25, 5.0, "p")
PROBE, BOX = ProbeId("0123456789ab"), MailboxName("gmail-1")
ROUTE = Route(PathName("app"), BOX)


def judged(reason: Reason, revision: int = 0, explanation: str = "arrived in INBOX") -> Judged:
    return Judged(AT, PROBE, ROUTE, Purpose.SCHEDULED, revision, reason.verdict, reason, explanation, (1,))


TOLD: list[tuple[Fact, Level, str, str]] = [
    (judged(Reason.PASS), Level.INFO, "judged", "app/gmail-1: PASS pass: arrived in INBOX"),
    (judged(Reason.MISSING, 1), Level.ERROR, "judged", "FAIL missing (revision 1): "),
    (judged(Reason.MAILBOX_BLIND), Level.WARNING, "judged", "INCONCLUSIVE mailbox_blind"),
    (judged(Reason.INTERNAL), Level.ERROR, "judged", "ERROR internal"),
    (
        WatchBlind(AT, BOX, BlindCause.AUTH_REFUSED, "NO", "set it"),
        Level.WARNING,
        "watch_blind",
        "gmail-1: blind, auth_refused: NO; set it",
    ),
    (WatchBlind(AT, BOX, BlindCause.TIMEOUT, "silence", ""), Level.WARNING, "watch_blind", "gmail-1: blind, timeout: silence"),
    (
        ZoneObserved(AT, "shop.test", Cause.SCHEDULE, (), (), (), blind="no resolver answers"),
        Level.WARNING,
        "zone_blind",
        "shop.test: nothing can be said about its DNS: no resolver answers",
    ),
    (Baselined(AT, "shop.test", "ana", ()), Level.INFO, "baselined", "shop.test: its zone was approved by ana"),
    (Baselined(AT, "shop.test", "ana", (), "moved"), Level.INFO, "baselined", "shop.test: its zone was approved by ana: moved"),
    (WatchRestored(AT, BOX, 5), Level.INFO, "watch_restored", "gmail-1: watching 5 folders"),
    (Deferred(AT, PROBE, 1, Step.RCPT_TO, Reply(450, "later"), 60.0), Level.INFO, "deferred", "deferred (450 later), again in 60 s"),
    (Deferred(AT, PROBE, 1, Step.RCPT_TO, Reply(450, "later"), None), Level.INFO, "deferred", "giving up"),
    (SubmitError(AT, PROBE, 1, SubmitFault.MISCONFIGURED, "535", "mend", None), Level.WARNING, "submit_error", "misconfigured: 535; mend"),
    (SubmitUnknown(AT, PROBE, 1, Step.DATA, "lost"), Level.WARNING, "submit_unknown", "lost"),
    (Stray(AT, BOX, "INBOX", "d", "", UNSAID, "no token"), Level.WARNING, "stray", "gmail-1: stray refund mail in 'INBOX': no token"),
    (Foreign(AT, BOX, "INBOX", ForeignKind.ENVIRONMENT, "d"), Level.WARNING, "foreign", "environment"),
    (ClockJumped(AT, -3600.0), Level.WARNING, "clock_jumped", "-3600.0 s"),
    (Paused(AT, "ann", "asked"), Level.WARNING, "paused", "submission paused by ann: asked"),
    (Resumed(AT, "ann"), Level.INFO, "resumed", "submission resumed by ann"),
    (Started(AT, "0.1", "h"), Level.INFO, "started", "mailcanary 0.1 started"),
    (
        Reloaded(AT, "h", ("mailbox gmail-2 added", "path app: url changed")),
        Level.INFO,
        "reloaded",
        "mailbox gmail-2 added; path app: url changed",
    ),
    (Reloaded(AT, "h", ()), Level.INFO, "reloaded", "nothing changed"),
    (ReloadRefused(AT, "line 3: no such key"), Level.ERROR, "reload_refused", "the one before is in force: line 3: no such key"),
    (
        so.deployed(AT, "d-1", DeployPhase.START, service="checkout-api", version="v512", by="ana"),
        Level.INFO,
        "deploy_marked",
        "deploy d-1 (checkout-api v512) starts, says ana",
    ),
    (so.deployed(AT, "d-1", DeployPhase.ROLLBACK), Level.INFO, "deploy_marked", "deploy d-1 is rolled back"),
    (
        Tripped(AT, BOX, 3, "shop.test", ("dkim=pass", "$5")),
        Level.ERROR,
        "tripped",
        "gmail-1: refund mail of shop.test in a mailbox that must",
    ),
    (so.opened(AT), Level.ERROR, "incident", "INC-1 opened (page, delivery_stalled, path:relay): the app path fails at every provider"),
    (so.opened(AT, severity=Severity.TICKET), Level.WARNING, "incident", "INC-1 opened (ticket, "),
    (so.transition(AT, Phase.GROWN), Level.ERROR, "incident", "INC-1 grown (page, delivery_stalled, path:relay)"),
    (so.transition(AT, Phase.FLAPPING), Level.ERROR, "incident", "INC-1 flapping"),
    (so.transition(AT, Phase.RELAPSED), Level.ERROR, "incident", "INC-1 relapsed"),
    (so.suspected(AT), Level.INFO, "incident", "INC-1 suspected"),
    (so.transition(AT, Phase.CLEARED), Level.INFO, "incident", "INC-1 cleared"),
    (so.transition(AT, Phase.RECOVERING), Level.INFO, "incident", "INC-1 recovering"),
    (so.transition(AT, Phase.ACKNOWLEDGED, by="ann"), Level.INFO, "incident", "INC-1 acknowledged by ann (page"),
    (so.resolved(AT, note="on 9 fresh good probes"), Level.INFO, "incident", "path:relay): on 9 fresh good probes"),
    (so.notified(AT, 1), Level.INFO, "notified", "INC-1: pager took the notice on attempt 1"),
    (
        so.failed(AT, 1),
        Level.WARNING,
        "notify_failed",
        "INC-1: pager did not take the notice, again in 10 s: 503 from pager.test; is it up?",
    ),
    (so.failed(AT, 1, retry_in=None), Level.ERROR, "notify_failed", "INC-1: pager is given up: 503 from pager.test; is it up?"),
    (
        Silenced(AT, INC, "ann", "known", AT.utc + 60),
        Level.WARNING,
        "silenced",
        "INC-1: silenced by ann until 2026-09-21T14:14:20.250Z: known",
    ),
    (ResolveAsked(AT, INC, "ann", "rolled back"), Level.INFO, "resolve_asked", "INC-1: over, says ann: rolled back"),
    (Noted(AT, INC, "bob", "the shop rolls back"), Level.INFO, "noted", "INC-1: bob: the shop rolls back"),
]


def written(form: LogFormat, *facts: Fact) -> list[str]:
    out = io.StringIO()
    log = Log(form, "production", lambda: "now", out)
    for seq, fact in enumerate(facts, 1):
        log.tell(Entry(seq, "kind", fact))
    return out.getvalue().splitlines()


@pytest.mark.parametrize(("fact", "level", "event", "text"), TOLD, ids=lambda value: type(value).__name__)
def test_json_lines(fact: Fact, level: Level, event: str, text: str) -> None:
    (line,) = written(LogFormat.JSON, fact)
    record: dict[str, Any] = json.loads(line)
    assert record["ts"] == "2026-09-21T14:13:20.250Z" and record["level"] == level.value and record["event"] == event
    assert record["service"] == "mailcanary" and record["environment"] == "production" and text in record["msg"]
    assert not hasattr(fact, "probe") or record["probe_id"] == PROBE
    assert not hasattr(fact, "incident") or record["incident_id"] == INC


@pytest.mark.parametrize(("fact", "level", "event", "text"), TOLD, ids=lambda value: type(value).__name__)
def test_text_lines(fact: Fact, level: Level, event: str, text: str) -> None:
    (line,) = written(LogFormat.TEXT, fact)
    assert line.startswith(f"2026-09-21T14:13:20.250Z {level.value} ") and text in line


def test_routine_facts_and_unknown_kinds_are_not_told() -> None:
    assert written(LogFormat.TEXT, Attempted(AT, PROBE, 1), Foreign(AT, BOX, "INBOX", ForeignKind.INSTANCE, "d")) == []
    out = io.StringIO()
    Log(LogFormat.JSON, "e", lambda: "now", out).tell(Entry(1, "from the future", None))
    assert out.getvalue() == "" and describe(Attempted(AT, PROBE, 1)) is None


HOSTILE = "no\n2026-01-01T00:00:00Z info    all is well\r\x1b[2J\x9b31m\u2028\u202e <seed+tag@box.test> RF-87654321 \ud800"


@pytest.mark.parametrize("form", LogFormat)
@pytest.mark.parametrize(
    "fact",
    [
        judged(Reason.REJECTED, explanation=HOSTILE),
        WatchBlind(AT, BOX, BlindCause.PROTOCOL, HOSTILE, HOSTILE),
        ZoneObserved(AT, HOSTILE, Cause.SCHEDULE, (), (), (), blind=HOSTILE),
        Baselined(AT, HOSTILE, HOSTILE, (), HOSTILE),
        Deferred(AT, PROBE, 1, Step.RCPT_TO, Reply(450, HOSTILE), None),
        SubmitError(AT, PROBE, 1, SubmitFault.UNREACHABLE, HOSTILE, "", None),
        SubmitUnknown(AT, PROBE, 1, None, HOSTILE),
        Stray(AT, BOX, HOSTILE, "d", "", UNSAID, HOSTILE),
        Paused(AT, HOSTILE, HOSTILE),
        Resumed(AT, HOSTILE),
        ReloadRefused(AT, HOSTILE),
        so.deployed(AT, HOSTILE, by=HOSTILE, version=HOSTILE),
        so.opened(AT, note=HOSTILE),
        replace(so.failed(AT, 1), detail=HOSTILE),
        Tripped(AT, BOX, 1, HOSTILE, (HOSTILE,)),
        Silenced(AT, INC, HOSTILE, HOSTILE, AT.utc),
        Noted(AT, INC, HOSTILE, HOSTILE),
    ],
    ids=lambda fact: type(fact).__name__,
)
def test_what_a_peer_says_stays_one_line_without_control_characters_address_or_refund_number(form: LogFormat, fact: Fact) -> None:
    out = io.StringIO()
    Log(form, "production", lambda: "now", out).tell(Entry(1, "kind", fact))
    text = out.getvalue()
    assert text.count("\n") == 1 and text.endswith("\n") and text[:-1].isprintable()
    assert text.encode(), "and can be encoded"
    shown = json.loads(text)["msg"] if form is LogFormat.JSON else text[:-1]
    assert shown.isprintable()
    assert "seed" not in shown and "tag@" not in shown and "87654321" not in shown
    assert "***@box.test" in shown and "RF-***" in shown, "what is left says that something was there"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("arrived in INBOX 1.2 s after it was accepted", "arrived in INBOX 1.2 s after it was accepted"),
        ("550 5.1.1 <seed1@aurora.test>: user unknown", "550 5.1.1 <***@aurora.test>: user unknown"),
        ('"seed one"@a.test and x=y.z@b.test', "***@a.test and ***@b.test"),
        ("<john@éxample.test>", "<***@éxample.test>"),
        ('to="john doe"@x.test', "***@x.test"),
        ('"a \\"b c"@x.test', "***@x.test"),
        ("john@[10.1.2.3] john@[IPv6:::1]", "***@[10.1.2.3] ***@[IPv6:::1]"),
        ("https://shop.test/r?to=john%40x.test&n=1", "https://shop.test/r?to=***%40x.test&n=1"),
        ("u%2540x.test john＠x.test", "***%2540x.test ***＠x.test"),
        ("bounce+john=gmail.com@x.test", "***@x.test"),
        ("j'o@x.test o\"brien@x.test 'seed@x.test'", "***@x.test ***@x.test '***@x.test'"),
        ('{"to":"seed@x.test"}', '{"to":"***@x.test"}'),
        ("a%40b@c and a@b@c", "***@c and ***@***@c"),
        ("x" * 1_000 + "@y", "***@y"),
        ('@x "@x', '@x "@x'),
        ("Käufe & “Rechnungen”", "Käufe & “Rechnungen”"),
        ("a@b", "***@b"),
        ("at @ noon", "at @ noon"),
        ("tab\tnul\0", "tab\\tnul\\x00"),
    ],
)
def test_plain(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(28, "No space left on device"), ValueError("I/O operation on closed file")])
def test_a_log_that_nobody_takes_stops_nothing(error: Exception) -> None:
    class Broken(io.StringIO):
        def write(self, _: str) -> int:
            raise error

    Log(LogFormat.TEXT, "e", lambda: "now", Broken()).say(Level.INFO, "listening", "listening")


def test_say_is_for_what_is_no_fact() -> None:
    out = io.StringIO()
    Log(LogFormat.JSON, "e", lambda: "2026-01-01T00:00:00.000Z", out).say(Level.INFO, "listening", "listening on [::]:9464")
    assert json.loads(out.getvalue()) == {
        "ts": "2026-01-01T00:00:00.000Z", "level": "info", "event": "listening", "msg": "listening on [::]:9464",
        "service": "mailcanary", "environment": "e",
    }  # fmt: skip
