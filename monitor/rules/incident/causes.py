"""What is wrong with a sending domain may be the reason that its mail is not authenticated, lands in spam or stays away: a candidate, set
beside it in time, never a claim.

Of the two incidents the one that was told first speaks for both, where the diagnosis of the mail says authentication or DNS itself and
nothing that wakes people is hidden behind what does not. Otherwise the candidate is only named.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from monitor.model.facts import Transition
from monitor.model.incident import Layer, Phase, ScopeKind, Severity
from monitor.model.probe import Route
from monitor.model.verdict import Symptom
from monitor.rules import diagnose
from monitor.rules.deploys import NEAR
from monitor.rules.diagnose.zone import domains_of
from monitor.rules.heading import TITLES
from monitor.rules.incident import outage, telling
from monitor.rules.incident.scene import Scene
from monitor.rules.notice import BETTER_KNOWN, POSSIBLE_CAUSE
from monitor.rules.words import lapse
from monitor.views.incidents import IncidentState
from monitor.views.outbox import CAUSE_NAMED, FIRING

OF_MAIL = frozenset(
    {
        Symptom.AUTH,
        Symptom.SPAM_PLACEMENT,
        Symptom.SMTP_REJECT,
        Symptom.BOUNCED,
        Symptom.DELIVERY_MISSING,
        Symptom.DELIVERY_STALLED,
        Symptom.DELIVERY_LATE,
    }
)
OF_DOMAINS = frozenset({Symptom.AUTH_SPF, Symptom.AUTH_DKIM, Symptom.AUTH_DMARC, Symptom.DNS})
_SAYS_SO = frozenset({Layer.AUTHENTICATION, Layer.DNS})


def placed(scene: Scene, fact: Transition) -> Transition:
    """With the candidate that it has, and as a part of what was told first, where it opens."""
    if fact.phase not in FIRING:
        return fact
    if fact.symptom in OF_MAIL:
        return _of_mail(scene, fact)
    if fact.phase is Phase.OPENED and fact.parent is None and _is_of_domain(fact):
        return _of_domain(scene, fact)
    return fact


def news(scene: Scene, state: IncidentState) -> Transition | None:
    """A candidate that came after people were told of the mail: told with the why, once, where it does not speak for itself."""
    if state.last.symptom not in OF_MAIL or state.last.cause is not None or state.recovering:
        return None
    found = candidate(scene, state.last)
    if found is None:
        return None
    diagnosis = state.explained.diagnosis if state.explained is not None else None
    told = diagnosis is not None and bool(diagnosis.why)
    if found.parent == state.id and not told and state.parent is None:
        return _named(telling.explained(scene, telling.step(scene, state, Phase.GROWN, BETTER_KNOWN)), found)
    return _named(telling.explained(scene, telling.step(scene, state, Phase.GROWN, CAUSE_NAMED)), found)


def candidate(scene: Scene, fact: Transition) -> IncidentState | None:
    """The open incident of a domain that authenticates mail on a failing route, begun at most two hours before the mail's, or after it:
    first what is told by itself, what pages, and what began first."""
    routes = _failing(scene, fact)
    states = [state for state in scene.incidents.open() if _is_of_domain(state.last)] if routes else []
    near = [state for state in states if fact.since.seconds_since(state.last.since) <= NEAR]
    if not near:
        return None
    domains = domains_of(scene.world, scene.policy, routes)
    found = [state for state in near if any(_is_about(scene, state.last, domain) for domain in domains)]
    order = {state.id: number for number, state in enumerate(found)}
    return min(
        found,
        key=lambda state: (state.parent is not None, state.last.severity is not Severity.PAGE, state.last.since.utc, order[state.id]),
        default=None,
    )


def whole(scene: Scene, fact: Transition, found: IncidentState | None) -> IncidentState | None:
    """What speaks for this incident about mail too, when `found` is the reason; None: it speaks for itself."""
    if found is None:
        return None
    speaker = _root(scene, found)
    if speaker.id == fact.incident or not is_loud(speaker.last, fact.severity) or is_silent(scene, speaker):
        return None
    return speaker if _is_all_of(scene, found.last, fact) and _says_so(scene, fact) else None


def speaks(scene: Scene, state: IncidentState, severity: Severity) -> bool:
    """The incident of a domain is a part of one about mail, as loud while that is open; what goes on after it is told as such."""
    speaker = scene.incidents.known.get(state.parent) if state.parent is not None else None
    if speaker is None or speaker.last.symptom not in OF_MAIL:
        return False
    return not speaker.is_open or is_loud(speaker.last, severity)


def is_muffled(scene: Scene, state: IncidentState) -> bool:
    """It is about mail, and a part of a ticket for its cause: as a page it has to speak for itself."""
    speaker = scene.incidents.known.get(state.parent) if state.parent is not None else None
    return state.last.cause is not None and speaker is not None and speaker.last.severity is Severity.TICKET


def is_told(scene: Scene, state: IncidentState) -> bool:
    """Its cause is a part of it: with that, people were told why."""
    found = scene.incidents.known.get(state.last.cause) if state.last.cause is not None else None
    return found is not None and found.parent == state.id


def _of_mail(scene: Scene, fact: Transition) -> Transition:
    if fact.cause is not None or fact.note == CAUSE_NAMED:
        return fact
    found = candidate(scene, fact)
    if found is None or fact.phase is not Phase.OPENED:
        return fact  # of what is open `news` decides
    named = _named(fact, found)
    speaker = whole(scene, fact, found) if fact.parent is None else None
    return _part(named, speaker) if speaker is not None else named


def _of_domain(scene: Scene, fact: Transition) -> Transition:
    """Part of the mail's incident that was told before it."""
    for state in scene.incidents.open():
        mail = state.last
        if mail.symptom not in OF_MAIL or mail.since.seconds_since(fact.since) > NEAR or not is_loud(mail, fact.severity):
            continue
        if _root(scene, state).id == state.id and not is_silent(scene, state) and _is_all_of(scene, fact, mail) and _says_so(scene, mail):
            return _part(fact, state)
    return fact


def _part(fact: Transition, whole: IncidentState) -> Transition:
    return replace(fact, parent=whole.id, note=f"{fact.note}; part of {whole.id}" if fact.note else f"part of {whole.id}")


def _root(scene: Scene, state: IncidentState) -> IncidentState:
    """The open incident that people are told of when it speaks."""
    seen = {state.id}
    while state.parent is not None and state.parent not in seen:
        whole = scene.incidents.known.get(state.parent)
        if whole is None or not whole.is_open:
            break
        seen.add(whole.id)
        state = whole
    return state


def _named(fact: Transition, found: IncidentState) -> Transition:
    """In words too, where it has a diagnosis: a candidate, set beside it in time."""
    after = fact.since.seconds_since(found.last.since)
    when = f"began {lapse(after)} before" if after >= 0 else f"began {lapse(-after)} after"
    line = f"{POSSIBLE_CAUSE}{found.id}, {TITLES[found.last.symptom]} ({when})"
    if fact.diagnosis is not None:
        others = [shown for shown in fact.diagnosis.shows if not shown.startswith(f"{found.id} is open about ")]
        fact = replace(fact, diagnosis=replace(fact.diagnosis, shows=(line, *others)[: diagnose.MAX_SHOWS]))
    return replace(fact, cause=found.id)


def is_silent(scene: Scene, state: IncidentState) -> bool:
    """What nobody is told of now speaks for nothing else."""
    return state.is_silent(scene.now) or state.quiet_until > scene.now.utc


def is_left_alone(scene: Scene, state: IncidentState) -> bool:
    """What it is a part of speaks for it no longer: it is over, or a silence that does not cover this one began there since. A person who
    silences an incident means its parts too, but for mail and the domain that may be its cause."""
    speaker = scene.incidents.known.get(state.parent) if state.parent is not None else None
    if speaker is None or not speaker.is_open:
        return state.parent is not None
    both = {speaker.last.symptom, state.last.symptom}
    alone = bool(both & OF_MAIL) and bool(both & OF_DOMAINS) and speaker.is_silent(scene.now)
    return (alone or speaker.quiet_until > scene.now.utc) and not is_silent(scene, state)


def goes_on(scene: Scene, state: IncidentState) -> str:
    """Why it is told of again, beside or after what it was a part of."""
    speaker = scene.incidents.known.get(state.parent) if state.parent is not None else None
    if speaker is not None and speaker.is_open:
        return f"goes on beside {speaker.id}, which is silenced"
    return f"goes on after {state.parent}"


def is_loud(whole: Transition, severity: Severity) -> bool:
    """What wakes nobody hides nothing that would."""
    return whole.severity is Severity.PAGE or severity is Severity.TICKET


def _is_of_domain(fact: Transition) -> bool:
    return fact.symptom in OF_DOMAINS and (fact.scope.kind is ScopeKind.DOMAIN or outage.is_everywhere(fact.symptom, fact.scope))


def _is_about(scene: Scene, fact: Transition, domain: str) -> bool:
    if fact.scope.kind is ScopeKind.DOMAIN:
        return fact.scope.name == domain
    return bool(outage.mute(scene.world, domain))


def _is_all_of(scene: Scene, domain: Transition, mail: Transition) -> bool:
    """Mail on each of the failing routes is authenticated by it."""
    routes = _failing(scene, mail)
    return bool(routes) and all(_is_of(scene, domain, [route]) for route in routes)


def _is_of(scene: Scene, fact: Transition, routes: Iterable[Route]) -> bool:
    return any(_is_about(scene, fact, domain) for domain in domains_of(scene.world, scene.policy, tuple(routes)))


def _says_so(scene: Scene, fact: Transition) -> bool:
    """As it is thought of now: it may have been told of before the zone was looked at."""
    told = fact.diagnosis if fact.at == scene.now else None
    told = told or diagnose.diagnose(scene.world, scene.policy, fact.scope, fact.symptom, fact.routes, fact.since, scene.now)
    return told.layer in _SAYS_SO


def _failing(scene: Scene, fact: Transition) -> list[Route]:
    return [route for name in fact.routes if (route := scene.layout.routes.get(name))]
