"""The one place where a transition is put into words for people. What peers and persons wrote is masked and escaped here; nothing is
obeyed. Plain text, UTC, and short enough for every channel."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from monitor.model.facts import Transition
from monitor.model.incident import EVERYWHERE, IncidentId, Opening, Phase, ScopeKind, Severity, as_it_is
from monitor.model.instant import Instant
from monitor.model.notice import Call, Notice
from monitor.model.policy import Policy
from monitor.model.verdict import Symptom
from monitor.rules import heading
from monitor.rules.deploys import worded
from monitor.rules.diagnose.changes import OF_DEPLOYS
from monitor.rules.plain import plain
from monitor.rules.reconcile import impact
from monitor.rules.words import lapse
from monitor.views.outbox import CAUSE_NAMED

LONGEST = 1_024  # characters of title and text together
LONGEST_TITLE = 200
LONGEST_LINE = 240
LONGEST_WORDS = 500  # of one line in Notice.lines, for channels that have the room
LONGEST_NAME = 64  # of the environment, in a title
LONGEST_ADVICE, LONGEST_NEXT = 200, 320  # alone, and with a command
LONGEST_KEY = 255
LONGEST_LINK = 300  # a longer one stands beside the text only
KEPT_FREE = 260  # for what broke, before a link to the incident or the dedup key gets room
SHORTEST_CUT = 48  # a line that had to be cut keeps so much
SHOWN_CHANGES = 3  # of a text
POSSIBLE_CAUSE = "possible cause: "  # how the line of a diagnosis begins that names another incident
BETTER_KNOWN = "nothing more fails than told before, but now it is known why"  # the note of a transition that tells only that


def render(transition: Transition, policy: Policy, key: str, call: Call, after_silence: bool = False) -> Notice:
    """The notice of one transition; `key` is its idempotency key. Total: whatever stands in the transition, the notice is in bounds.

    `after_silence`: it is told again because a silence ended while the incident was still open.
    """
    over = call is Call.RESOLVE
    brand = "RESOLVED" if over else transition.severity.value.upper()
    about = heading.about(transition, over, after_silence)
    span = lapse(max(0.0, transition.at.seconds_since(transition.since)))
    since = _clock(transition.since, transition.at)
    counted = f", counts of {_clock(transition.at)}" if after_silence and transition.tallies else ""  # what is told late was counted early
    when = f"{since} to {_clock(transition.at)}, {span}" if over else f"since {since}{counted}"
    head = f"[{brand}][{_cut(plain(policy.environment), LONGEST_NAME)}] "
    room = LONGEST_TITLE - len(head) - len(when) - 3
    for more in () if over else heading.why(transition):
        about += more if len(about) + len(more) <= room else ""
    title = f"{head}{_cut(about, room)} ({when})"
    public = policy.notify.public_url.rstrip("/")
    incident_url, runbook_url = f"{public}/incidents/{transition.incident}" if public else "", runbook(policy, transition.symptom)
    lines = _over(transition, span) if over else _broke(transition, span, after_silence)
    show = f"mailcanary incident show {transition.incident}"
    advice = transition.diagnosis.next_step if transition.diagnosis and not over else ""
    following = f"1) {_cut(plain(advice), LONGEST_ADVICE)}  2) {show}" if advice else show
    dedup = dedup_key(policy.environment, transition.symptom, str(transition.scope))
    return Notice(
        key=key,
        dedup_key=dedup,
        call=call,
        incident=transition.incident,
        episode=transition.episode,
        severity=transition.severity,
        symptom=transition.symptom,
        scope=str(transition.scope),
        environment=policy.environment,
        title=title,
        text=_fitted(title, lines, following, incident_url, runbook_url, dedup),
        began=transition.since,
        ended=transition.at if over else None,
        incident_url=incident_url,
        runbook_url=runbook_url,
        again=after_silence,
        lines=_laid_out(lines, following, incident_url, runbook_url, dedup),
    )


def render_test(policy: Policy, key: str, now: Instant) -> Notice:
    """A notice that says of itself that it is a test: nothing is broken and nobody has to get up."""
    dedup = dedup_key(policy.environment, Symptom.MONITOR, "test")
    title = f"[TEST][{_cut(plain(policy.environment), LONGEST_NAME)}] mailcanary can tell you about incidents ({_clock(now)})"
    lines = [("Broke", "nothing: this is a test of the channel"), ("By", f"mailcanary notify test, instance {plain(policy.instance)}")]
    incident, runbook_url = IncidentId("INC-0"), runbook(policy, Symptom.MONITOR)
    return Notice(
        key=key,
        dedup_key=dedup,
        call=Call.TEST,
        incident=incident,
        episode=0,
        severity=Severity.TICKET,
        symptom=Symptom.MONITOR,
        scope=str(EVERYWHERE),
        environment=policy.environment,
        title=title,
        text=_fitted(title, lines, "nothing to do", "", runbook_url, dedup),
        began=now,
        runbook_url=runbook_url,
        lines=_laid_out(lines, "nothing to do", "", runbook_url, dedup),
    )


def runbook(policy: Policy, symptom: Symptom) -> str:
    """Where the page of this symptom stands: below runbooks_url, or as a file of the source where that is no URL; empty: nowhere."""
    runbooks = policy.notify.runbooks_url.rstrip("/")
    return f"{runbooks}/{symptom.value.replace('_', '-')}{'' if '://' in runbooks else '.md'}" if runbooks else ""


def dedup_key(environment: str, symptom: Symptom, scope: str) -> str:
    """The same for every notice of one incident, and of its reopenings. A name that is too long, or must not be shown, ends in a digest."""
    whole = f"mailcanary/{environment}/{symptom.value}/{scope}"
    shown = plain(whole)
    if shown == whole and len(whole) <= LONGEST_KEY:
        return whole
    return f"{shown[: LONGEST_KEY - 17]}~{hashlib.sha256(whole.encode(errors='backslashreplace')).hexdigest()[:16]}"


def _broke(transition: Transition, span: str, after_silence: bool) -> list[tuple[str, str]]:
    diagnosis = transition.diagnosis
    title = heading.TITLES[as_it_is(transition.symptom, transition.severity)]
    lines = [("Broke", diagnosis.summary if diagnosis else f"{title}: {transition.scope}")]
    if now := _now(transition, after_silence):
        lines.append(("Now", now))
    good = f", last good {_clock(transition.last_good, transition.at)}" if transition.last_good else ""
    lines.append(("Since", f"{_clock(transition.since, transition.at)} ({span}){good}"))
    if transition.deploys or diagnosis:  # without a diagnosis nobody looked
        lines.append(("Deploy", worded(transition.deploys[0]) if transition.deploys else "none in the two hours before"))
    shows = list(diagnosis.shows) if diagnosis else []
    if shows and shows[0].startswith(POSSIBLE_CAUSE):
        lines.append(("Cause", f"possible: {shows.pop(0).removeprefix(POSSIBLE_CAUSE)}"))
    if shows:
        lines.append(("Shows", "; ".join(shows)))
    if diagnosis and diagnosis.said:
        lines.append(("Said", " | ".join(f'"{said}"' for said in diagnosis.said)))
    lines.append(("Impact", _impact(transition)))
    if diagnosis and (others := [line for line in diagnosis.changed if not any(word in line for word in OF_DEPLOYS)]):
        lines.append(("Changed", "; ".join(others[:SHOWN_CHANGES])))
    if diagnosis and diagnosis.against:
        lines.append(("Against", "; ".join(diagnosis.against)))
    return lines


def _now(transition: Transition, after_silence: bool) -> str:
    worded_below = transition.phase is Phase.FLAPPING or (after_silence and transition.note == BETTER_KNOWN)
    said = [transition.note] if transition.note and not worded_below else []
    if after_silence:
        counted = f"counts and evidence are of {transition.at.when:%Y-%m-%d %H:%M:%S}Z"
        said.insert(0, f"the silence is over, and it is still open; {counted}")
    match transition.phase:
        case Phase.OPENED if transition.episode > 1:
            said.insert(0, f"reopened within the hour, episode {transition.episode}")
        case Phase.GROWN if transition.routes and not transition.note.startswith((BETTER_KNOWN, CAUSE_NAMED, "goes on ")):
            grown = "it has grown to" if after_silence else "more than told before:"  # in a silence it may never have been told
            said.insert(0, f"{grown} {len(transition.routes)} routes")
        case Phase.FLAPPING:
            what = "it is" if transition.opening in (Opening.FINDING, Opening.DIFFERENCE) else "mail is"
            said.insert(0, f"opened {transition.episode} times: it stays open until {what} good for four times as long")
        case _:
            pass
    return "; ".join(said)


def _over(transition: Transition, span: str) -> list[tuple[str, str]]:
    reason = transition.note or ("no reason given" if transition.by else "resolved on fresh good probes")
    bad = ", ".join(f"{provider} {failed}/{sent}" for provider, failed, sent in heading.counts(transition) if failed)
    lines = [
        ("Over", f"closed by {transition.by}: {reason}" if transition.by else reason),
        ("Lasted", f"{span}, {_clock(transition.since, transition.at)} to {_clock(transition.at)}"),
    ]
    if transition.scope.kind not in (ScopeKind.DEPLOY, ScopeKind.DOMAIN, ScopeKind.LEDGER):  # no probe is theirs: a gate counts its own
        lines.append(("Adverse", f"{bad} of the probes" if bad else "no probe was counted"))
    return [*lines, ("Impact", _real(transition, over=True))]


def _impact(transition: Transition) -> str:
    shares = ", ".join(
        f"{provider} {100 * bad / max(1, sent):.0f} %" for provider, bad, sent in heading.counts(transition)[: heading.SHOWN] if bad
    )
    return f"{f'{shares} of probes; ' if shares else ''}{_real(transition, over=False)}"


def _real(transition: Transition, over: bool) -> str:
    if transition.impact is None:
        return "on real refunds: not measured"
    return impact.worded(transition.impact, transition.symptom, over)


def _laid_out(
    lines: Sequence[tuple[str, str]], following: str, incident_url: str, runbook_url: str, dedup: str
) -> tuple[tuple[str, str], ...]:
    """The lines of the text, before they are cut to fit together."""
    tail = [("Evidence", incident_url), ("Next", following), ("Runbook", runbook_url), ("Dedup", dedup)]
    return tuple((name, _cut(plain(words), LONGEST_WORDS)) for name, words in (*lines, *tail) if words)


def _fitted(title: str, lines: Sequence[tuple[str, str]], following: str, incident_url: str, runbook_url: str, dedup: str) -> str:
    """The text, with the lines above Next made shorter, and the last of them dropped, until it fits together with its title."""
    tail = [_line("Next", following, LONGEST_NEXT)]
    if runbook_url and len(runbook_url) <= LONGEST_LINK:
        tail.append(_line("Runbook", runbook_url, LONGEST_LINK + 20))
    room = LONGEST - len(title) - 1 - sum(len(line) + 1 for line in tail)
    if incident_url and len(incident_url) <= room - KEPT_FREE:
        tail.insert(0, _line("Evidence", incident_url, room))
        room -= len(tail[0]) + 1
    if len(dedup) <= room - KEPT_FREE:
        tail.append(_line("Dedup", dedup, room))
        room -= len(tail[-1]) + 1
    head = [_line(name, text) for name, text in lines]
    while (excess := sum(len(line) + 1 for line in head) - room) > 0:
        longest = max(range(len(head)), key=lambda index: len(head[index]))
        if len(head[longest]) <= SHORTEST_CUT:
            head.pop()
        else:
            head[longest] = _cut(head[longest], max(SHORTEST_CUT, len(head[longest]) - excess))
    return "\n".join([*head, *tail])


def _line(name: str, text: str, most: int = LONGEST_LINE) -> str:
    return _cut(f"{name + ':':<10}{plain(text)}", most)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(0, most - 1)] + "…"


def _clock(at: Instant, beside: Instant | None = None) -> str:
    """The time in UTC, with its date where that is another than the one of `beside`."""
    date = f"{at.when:%Y-%m-%d} " if beside is not None and at.when.date() != beside.when.date() else ""
    return f"{date}{at.when:%H:%M:%S}Z"
