"""What lies in tripwire mailboxes: mail of ours (a page), mail that may be ours, what imitates us, and an address that strangers know
(tickets). A trip behind a ticket of doubt makes a page of it. One job that mails strangers is one page: what trips in another mailbox soon
after, and the bogus confirmations that the ledger finds at that time, are parts of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from monitor.model.facts import Transition
from monitor.model.incident import Opening, Phase, Scope, ScopeKind, Severity
from monitor.model.instant import Instant
from monitor.model.policy import MailboxPolicy
from monitor.model.probe import MailboxName
from monitor.model.verdict import Symptom
from monitor.rules import diagnose, tripwire
from monitor.rules.incident import causes, telling
from monitor.rules.incident.blindness import Trouble, is_new, is_told, resolved_at
from monitor.rules.incident.scene import Scene
from monitor.rules.tripwire import LEAK_WITHIN
from monitor.views.incidents import IncidentState
from monitor.views.tripwires import QUIET, Campaign

COUNTED_EVERY = 6 * 3_600.0  # seconds between two notices of how far a campaign has got
SAME_JOB = 300.0  # seconds around the first trip: what begins then comes from the same job
SHOWN = 4  # author domains of a campaign in one line


def troubles(scene: Scene) -> list[Trouble]:
    return [*_trips(scene), *_doubts(scene), *_imitations(scene), *_leaks(scene)]


def follow(scene: Scene, state: IncidentState) -> Transition | None:
    """The next change of an open one; None: it stays as it is."""
    match state.last.symptom:
        case Symptom.IMITATION:
            return _after_imitations(scene, state)
        case Symptom.TRIPWIRE_LEAKED:
            return _after_leak(scene, state)
        case _:
            return _certain_now(scene, state) or _after_strays(scene, state)


def placed(scene: Scene, fact: Transition) -> Transition:
    """As a part of the trip that people were paged for, where it opens with it."""
    if fact.phase is not Phase.OPENED or fact.parent is not None:
        return fact
    first = _first(scene, fact)
    return _part(fact, first) if first is not None else fact


def outlives(scene: Scene, state: IncidentState) -> Transition | None:
    """The trip that it was a part of is over, or silent, and this is not: it is told of again, or becomes a part of another one that is."""
    if not causes.is_left_alone(scene, state):
        return None
    fact = replace(telling.step(scene, state, Phase.GROWN, causes.goes_on(scene, state)), parent=None)
    if (first := _first(scene, fact)) is not None:
        return _part(fact, first)
    grounds = state.explained or state.last
    told = replace(telling.explained(scene, fact), evidence=grounds.evidence)
    return _shown(told, scene.incidents.trips.get(MailboxName(state.last.scope.name), ())) if _is_trip(fact) else told


def _part(fact: Transition, first: IncidentState) -> Transition:
    return replace(fact, parent=first.id, note=f"part of {first.id}")


def _first(scene: Scene, fact: Transition) -> IncidentState | None:
    if not _is_trip(fact) and fact.symptom is not Symptom.LEDGER_SPURIOUS:
        return None
    return next((state for state in scene.incidents.open() if state.id != fact.incident and _speaks_for(scene, state, fact.since)), None)


def _is_trip(fact: Transition) -> bool:
    return fact.symptom is Symptom.STRAY and fact.severity is Severity.PAGE


def _speaks_for(scene: Scene, state: IncidentState, since: Instant) -> bool:
    """A trip that people are told of now, and that began at that time."""
    first = state.opened or state.last
    if not _is_trip(state.last) or state.parent is not None or causes.is_silent(scene, state):
        return False
    return any(abs(since.seconds_since(at)) <= SAME_JOB for at in (first.since, state.told or first.since))


# --- opening --------------------------------------------------------------------------------------------------------------


def _trips(scene: Scene) -> list[Trouble]:
    found = []
    for name, trip in scene.world.evidence.tripped.items():
        if _is_due(scene, name, trip.at):
            shows = scene.incidents.trips.get(name, ())
            found.append(Trouble(Symptom.STRAY, _scope(name), trip.at, (trip.seq,), Opening.AT_ONCE, Severity.PAGE, shows))
    return found


def _doubts(scene: Scene) -> list[Trouble]:
    return [
        Trouble(Symptom.STRAY, _scope(name), doubt.at, (doubt.seq,), Opening.AT_ONCE, Severity.TICKET, doubt.lines)
        for name, doubt in scene.world.tripwires.doubts.items()
        if _is_due(scene, name, doubt.at)
    ]


def _is_due(scene: Scene, name: MailboxName, at: Instant) -> bool:
    """Not told of yet. What is older than QUIET was, even where nobody remembers when that ended."""
    known = name in scene.policy.mailboxes and is_new(scene, Symptom.STRAY, _scope(name), at)
    return known and scene.now.seconds_since(at) < QUIET


def _imitations(scene: Scene) -> list[Trouble]:
    found = []
    for name, campaign in scene.world.tripwires.campaigns.items():
        scope, latest = _scope(name), campaign.latest
        if name not in scene.policy.mailboxes or not is_new(scene, Symptom.IMITATION, scope, latest.at):
            continue
        if scene.now.seconds_since(latest.at) >= QUIET:
            continue  # it was over before anybody could tell of it
        ended = resolved_at(scene, Symptom.IMITATION, scope)
        since = latest.at if ended is not None and campaign.since.seconds_since(ended) <= 0 else campaign.since
        shows = _of_campaign(campaign)
        found.append(Trouble(Symptom.IMITATION, scope, since, (latest.seq,), Opening.AT_ONCE, Severity.TICKET, shows))
    return found


def _leaks(scene: Scene) -> list[Trouble]:
    """While an imitation is told of, that tells of the leak as well."""
    found = []
    for name, mailbox in scene.policy.mailboxes.items():
        scope = _scope(name)
        if is_told(scene, Symptom.TRIPWIRE_LEAKED, scope) or is_told(scene, Symptom.IMITATION, scope):
            continue
        ended = resolved_at(scene, Symptom.TRIPWIRE_LEAKED, scope)
        if leak := tripwire.leaked(scene.world.tripwires, mailbox, scene.policy, scene.now, ended):
            shows = (leak.shows,)
            found.append(Trouble(Symptom.TRIPWIRE_LEAKED, scope, leak.since, leak.seqs, Opening.AT_ONCE, Severity.TICKET, shows))
    return found


def _of_campaign(campaign: Campaign) -> tuple[str, ...]:
    names = [name or "unreadable" for name in reversed(campaign.domains)]
    of = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    counted = f"{campaign.count} since {campaign.since.iso()}, in the name of {of}"
    return (*campaign.latest.lines[:1], counted, "the address is known outside: replace it", *campaign.latest.lines[1:])


# --- what becomes of it ---------------------------------------------------------------------------------------------------


def _certain_now(scene: Scene, state: IncidentState) -> Transition | None:
    """What was in doubt has tripped since: a ticket hides no page."""
    trip = scene.world.evidence.tripped.get(MailboxName(state.last.scope.name))
    if trip is None or state.last.severity is Severity.PAGE or trip.at.seconds_since(state.last.since) < 0:
        return None
    fact = telling.grown(scene, state, (), Severity.PAGE, "refund mail that is certainly ours came too")
    shown = _shown(fact, scene.incidents.trips.get(MailboxName(state.last.scope.name), ()))
    return replace(shown, evidence=(*state.last.evidence, trip.seq)[-telling.MOST_EVIDENCE :])


def _after_strays(scene: Scene, state: IncidentState) -> Transition | None:
    name = MailboxName(state.last.scope.name)
    parts = [part for part in scene.incidents.open() if part.parent == state.id and part.last.symptom is Symptom.STRAY]
    names = [name, *(MailboxName(part.last.scope.name) for part in parts)]  # it speaks for them: it is not over before they are
    found = [known.get(each) for each in names for known in (scene.world.evidence.tripped, scene.world.tripwires.doubts)]
    latest = _latest([moment.at for moment in found if moment is not None], state.last.since)
    if scene.now.seconds_since(latest) < QUIET:
        return None
    return telling.resolved(scene, state, "no further refund mail came for a day")


def _after_imitations(scene: Scene, state: IncidentState) -> Transition | None:
    campaign = scene.world.tripwires.campaigns.get(MailboxName(state.last.scope.name))
    latest = campaign.latest.at if campaign is not None else state.last.since
    if scene.now.seconds_since(latest) >= QUIET:
        counted = f", after {campaign.count}" if campaign is not None else ""
        return telling.resolved(scene, state, f"no further imitation came for a day{counted}")
    told = state.told or state.last.since
    if campaign is None or latest.seconds_since(told) <= 0 or scene.now.seconds_since(told) < COUNTED_EVERY:
        return None
    return _shown(telling.grown(scene, state, (), state.last.severity, f"{campaign.count} by now"), _of_campaign(campaign))


def _after_leak(scene: Scene, state: IncidentState) -> Transition | None:
    mailbox = scene.policy.mailboxes.get(MailboxName(state.last.scope.name))
    latest = _latest(_unasked(scene, mailbox) if mailbox is not None else [], state.last.since)
    if scene.now.seconds_since(latest) < LEAK_WITHIN:
        return None
    return telling.resolved(scene, state, "no mail that nobody asked for came for a week")


def _unasked(scene: Scene, mailbox: MailboxPolicy) -> list[Instant]:
    seen = scene.world.tripwires.outside.get(mailbox.name)
    domains = seen.domains if seen is not None else {}
    return [known[-1].at for domain, known in domains.items() if known and tripwire.is_unasked(domain, mailbox, scene.policy)]


def _latest(times: Sequence[Instant], otherwise: Instant) -> Instant:
    return max(times, key=lambda at: at.utc, default=otherwise)


def _shown(fact: Transition, shows: Sequence[str]) -> Transition:
    if fact.diagnosis is None:
        return fact
    return replace(fact, diagnosis=replace(fact.diagnosis, shows=(*shows, *fact.diagnosis.shows)[: diagnose.MAX_SHOWS]))


def _scope(name: MailboxName) -> Scope:
    return Scope(ScopeKind.MAILBOX, name)
