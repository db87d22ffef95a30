"""What inspections of the sending domains find becomes an incident too: one for each domain and family of checks.

It opens when a second inspection, a minute or more after the first, agrees that something critical (page) or erroneous (ticket) stands. It
grows when more is found or when it is graver. It is over when two inspections, a minute apart as well, find nothing of the family any more:
one good answer may come from a resolver that has not noticed yet, and a page that is closed too early is opened again a minute later.
Unknown opens nothing and ends nothing. No probe opens or ends it, and it has no routes. What fails only because name servers are silent is
told of together (outage).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from monitor.model.checks import Gravity, Status
from monitor.model.facts import Transition
from monitor.model.incident import EVERYWHERE, Opening, Phase, Scope, ScopeKind, Severity
from monitor.model.instant import Instant
from monitor.model.verdict import Symptom
from monitor.rules.diagnose.findings import FINDING_SYMPTOMS, MOST_KEYS, certain, is_of_mail, standing
from monitor.rules.incident import causes, outage, telling
from monitor.rules.incident.outage import CLOSED_FOR
from monitor.rules.incident.scene import Scene
from monitor.rules.incident.telling import FLAP_SLOWER, GROWN_EVERY, MOST_EVIDENCE
from monitor.views.incidents import IncidentState
from monitor.views.zones import CONFIRM_AFTER, DomainState, FindingState, finding_key

AGREED_AFTER = CONFIRM_AFTER - 5.0  # seconds between two good inspections; a step is written a moment after the inspection that it follows
TURNS = 2.0  # schedules within which each domain is looked at again, whatever was seen before: back-off and jitter end before
# What others are a part of comes before them: silent name servers first, a drift last.
_ORDER = sorted(FINDING_SYMPTOMS, key=lambda symptom: (symptom is not Symptom.DNS, symptom is Symptom.DRIFT, list(Symptom).index(symptom)))


def inspected(scene: Scene) -> tuple[str, ...]:
    """The sending domains that are looked at."""
    policy = scene.policy.inspect
    return tuple(policy.domains) if policy.enabled else ()


def is_about_zone(state: IncidentState) -> bool:
    """It is opened and ended here."""
    return state.last.opening is Opening.FINDING or state.last.symptom is Symptom.DNS_BLIND


def found(scene: Scene, full: bool) -> Transition | None:
    """The next one that nobody was told of. `full`: only what pages."""
    if (many := outage.struck(scene, inspected(scene))) and not (full and _level(many) is not Severity.PAGE):
        return _struck(scene, many)
    for domain in inspected(scene):
        if domain not in scene.world.zones.domains:
            continue
        for symptom in _ORDER:
            level = _level(certain(scene.world, domain, symptom))
            if level is None or (full and level is not Severity.PAGE) or not _is_news(scene, domain, symptom, level):
                continue
            if outage.is_told(scene, domain, symptom, level):
                continue
            return _opened(scene, domain, symptom, level)
    return None if full else _blind(scene)


def next_blind(scene: Scene) -> float | None:
    """Seconds until a resolver has been silent for long enough, if nothing else happens; None: none is."""
    waits = [limit - age for _, age in _blind_domains(scene) for limit in (scene.policy.incidents.blind_after, _alone_after(scene))]
    return min((wait for wait in waits if wait > 0), default=None)


def follow(scene: Scene, state: IncidentState) -> Transition | None:
    """The next change of an open one; None: it stays as it is."""
    if state.last.scope.kind is ScopeKind.DOMAIN and state.last.scope.name not in inspected(scene):
        return telling.resolved(scene, state, f"{state.last.scope.name} is no longer inspected")
    if not inspected(scene):
        return telling.resolved(scene, state, "no domain is inspected any more")
    if state.last.symptom is Symptom.DNS_BLIND:
        return _after_blindness(scene, state)
    if outage.is_everywhere(state.last.symptom, state.last.scope):
        return _changed_everywhere(scene, state) or _better(scene, state)
    return _worse(scene, state) or _better(scene, state)


def outlives(scene: Scene, state: IncidentState) -> Transition | None:
    """What it was a part of is over, or silent, and it is still bad: it is told of again."""
    if state.parent is None or not causes.is_left_alone(scene, state) or not _stands(scene, state):
        return None
    whole = scene.incidents.known.get(state.parent)
    if whole is not None and whole.last.symptom is Symptom.DNS and outage.is_mute(scene.world, state.last.scope.name, state.last.symptom):
        if whole.is_open:
            return None  # the same name servers
        if whole.last.by:
            return telling.resolved(scene, state, whole.last.note, whole.last.by)
    alone = replace(state, last=replace(state.last, parent=None))
    return _explained(scene, state, telling.step(scene, alone, Phase.GROWN, causes.goes_on(scene, state)))


# --- opening --------------------------------------------------------------------------------------------------------------


def _level(findings: list[FindingState]) -> Severity | None:
    if not findings:
        return None
    return Severity.PAGE if any(finding.result.gravity is Gravity.CRITICAL for finding in findings) else Severity.TICKET


def _is_news(scene: Scene, domain: str, symptom: Symptom, level: Severity) -> bool:
    """No incident tells of it, and since the last one that did it was looked at again; after a person's word, only what has changed."""
    before = [state for state in scene.incidents.known.values() if state.last.symptom is symptom and state.last.scope == _scope(domain)]
    if any(state.is_open for state in before):
        return False
    if not before:
        return True
    last = max(before, key=lambda state: state.last_seq)
    looked = scene.world.zones.domains[domain].last
    if looked is None or not scene.is_after(looked.at, last.last.at):
        return False
    return not last.last.by or last.resolved_at is None or _changed_since(scene, domain, last, last.resolved_at, level)


def _changed_since(scene: Scene, domain: str, closed: IncidentState, at: Instant, level: Severity) -> bool:
    """Something is found that was not there when it was closed by hand, or it is graver, or a day has gone by."""
    if scene.now.seconds_since(at) >= CLOSED_FOR or (level is Severity.PAGE and closed.last.severity is Severity.TICKET):
        return True
    known = _told(closed)
    return any(
        _is_more(finding, known) or (finding_key(finding.result) in known and scene.is_after(finding.since, at))
        for finding in certain(scene.world, domain, closed.last.symptom)
    )


def _opened(scene: Scene, domain: str, symptom: Symptom, level: Severity) -> Transition:
    findings = certain(scene.world, domain, symptom)
    began = min((finding.since for finding in findings), key=lambda at: at.utc)
    fact = _opening(scene, symptom, _scope(domain), level, began, tuple(sorted({finding.seq for finding in findings})))
    whole = _whole(scene, domain, symptom, level)
    return fact if whole is None else replace(fact, parent=whole.id, note=f"part of {whole.id}")


def _struck(scene: Scene, findings: list[FindingState]) -> Transition:
    began = min((finding.since for finding in findings), key=lambda at: at.utc)
    evidence = tuple(sorted({finding.seq for finding in findings}))
    level = _level(findings) or Severity.TICKET
    return outage.worded(scene, _opening(scene, Symptom.DNS, EVERYWHERE, level, began, evidence), inspected(scene))


def _whole(scene: Scene, domain: str, symptom: Symptom, level: Severity) -> IncidentState | None:
    """The open incident that this is a part of, as loud: of silent name servers, or of what a drift has done to this domain."""
    if outage.is_mute(scene.world, domain, symptom):
        return outage.whole(scene, domain, symptom, level)
    if symptom is not Symptom.DRIFT:
        return None
    for state in scene.incidents.open():
        loud_enough = state.last.severity is Severity.PAGE or level is Severity.TICKET
        if state.last.scope == _scope(domain) and state.last.symptom in FINDING_SYMPTOMS and state.parent is None and loud_enough:
            return state
    return None


def _opening(scene: Scene, symptom: Symptom, scope: Scope, level: Severity, began: Instant, evidence: tuple[int, ...]) -> Transition:
    opening = Opening.BLIND if symptom is Symptom.DNS_BLIND else Opening.FINDING
    return telling.explained(scene, telling.begun(scene, symptom, scope, level, began, opening, evidence))


# --- worse and better -----------------------------------------------------------------------------------------------------


def _told(state: IncidentState) -> frozenset[str]:
    """The findings that people know of."""
    diagnosis = state.explained.diagnosis if state.explained is not None else None
    return frozenset(diagnosis.findings if diagnosis is not None else ())


def _worse(scene: Scene, state: IncidentState) -> Transition | None:
    domain, symptom = state.last.scope.name, state.last.symptom
    if state.recovering and _stands(scene, state):
        return telling.step(scene, state, Phase.RELAPSED)
    findings = certain(scene.world, domain, symptom)
    graver = _level(findings) is Severity.PAGE and state.last.severity is Severity.TICKET
    told = _told(state)
    new = [finding_key(finding.result) for finding in findings[:MOST_KEYS] if _is_more(finding, told)]
    if findings and state.parent is not None and symptom is not Symptom.DRIFT and not _is_explained(scene, state):
        alone = replace(state, last=replace(state.last, parent=None))
        return _explained(scene, state, telling.step(scene, alone, Phase.GROWN, "it fails by itself now"))
    patient = state.told is None or scene.now.seconds_since(state.told) >= GROWN_EVERY
    if not graver and not (new and patient):
        return None
    note = "it is graver than it was" if graver else f"also {', '.join(new[:3])}{' and more' if len(new) > 3 else ''}"
    fact = telling.step(scene, state, Phase.GROWN, note)
    loud = _whole(scene, domain, symptom, Severity.PAGE) is not None or causes.speaks(scene, state, Severity.PAGE)
    if graver and state.parent is not None and not loud:
        fact = replace(fact, parent=None)  # a ticket hides no page
    return _explained(scene, state, replace(fact, severity=Severity.PAGE if graver else fact.severity))


def _is_explained(scene: Scene, state: IncidentState) -> bool:
    """By silent name servers, or it is a part of the mail that it may be the reason of."""
    return outage.is_mute(scene.world, state.last.scope.name, state.last.symptom) or causes.speaks(scene, state, state.last.severity)


def _is_more(finding: FindingState, told: frozenset[str]) -> bool:
    """Nobody was told of it; the same of another route's mail is no news."""
    check = finding.result.check
    if is_of_mail(check) and any(key.startswith(f"{check.value} ") for key in told):
        return False
    return finding_key(finding.result) not in told


def _explained(scene: Scene, state: IncidentState, fact: Transition) -> Transition:
    """In the words of now; what was told before is remembered, for it may have become unknown."""
    seqs = {finding.seq for finding in certain(scene.world, fact.scope.name, fact.symptom)}
    told = telling.explained(scene, replace(fact, evidence=tuple(sorted(seqs))[-MOST_EVIDENCE:]))
    if told.diagnosis is None:
        return told
    keys = tuple(dict.fromkeys((*told.diagnosis.findings, *sorted(_told(state)))))[:MOST_KEYS]
    return replace(told, diagnosis=replace(told.diagnosis, findings=keys))


def _stands(scene: Scene, state: IncidentState) -> bool:
    if state.last.symptom is Symptom.DNS_BLIND:
        return all(zone.blind is not None for zone in _zones(scene, state))
    if state.last.scope == EVERYWHERE:
        return any(outage.mute(scene.world, domain) for domain in inspected(scene))
    return bool(standing(scene.world, state.last.scope.name, state.last.symptom))


def _better(scene: Scene, state: IncidentState) -> Transition | None:
    zones = _zones(scene, state)
    if not zones or _stands(scene, state) or _is_unknown(scene, state) or any(zone.blind is not None for zone in zones):
        return None
    return _recovered(scene, state, "two inspections have found nothing of it any more")


def _is_unknown(scene: Scene, state: IncidentState) -> bool:
    """Something that was told of can no longer be tested."""
    known = [finding for zone in _zones(scene, state) for key in _told(state) if (finding := zone.findings.get(key)) is not None]
    return any(finding.result.status is Status.UNKNOWN for finding in known)


def _changed_everywhere(scene: Scene, state: IncidentState) -> Transition | None:
    found = [one for domain in inspected(scene) for one in outage.mute(scene.world, domain)]
    if found and state.recovering:
        return telling.step(scene, state, Phase.RELAPSED)
    graver = _level([one for one in found if one.confirmed is not None]) is Severity.PAGE and state.last.severity is Severity.TICKET
    if not graver:
        return None
    fact = telling.explained(scene, telling.step(scene, state, Phase.GROWN, "it is graver than it was"))
    return outage.worded(scene, replace(fact, severity=Severity.PAGE), inspected(scene))


def _recovered(scene: Scene, state: IncidentState, note: str) -> Transition | None:
    """Good now: recovering first, and over when a later inspection says the same."""
    if not state.recovering:
        return telling.step(scene, state, Phase.RECOVERING)
    began = _recovering_since(state)
    patience = AGREED_AFTER * (FLAP_SLOWER if state.flapping else 1.0)
    looks = [zone.last.at for zone in _zones(scene, state) if zone.last is not None and zone.blind is None]
    if any(at.seconds_since(began) >= patience for at in looks):
        return telling.resolved(scene, state, note)
    return None


def _recovering_since(state: IncidentState) -> Instant:
    return next((step.at for step in reversed(state.steps) if step.what == Phase.RECOVERING.value), state.last.at)


def _zones(scene: Scene, state: IncidentState) -> list[DomainState]:
    """Of the inspected domains that it is about."""
    known = scene.world.zones.domains
    names = inspected(scene) if state.last.scope == EVERYWHERE else (state.last.scope.name,)
    return [known[name] for name in names if name in known]


# --- blindness ------------------------------------------------------------------------------------------------------------


def _blind_domains(scene: Scene) -> Iterator[tuple[str, float]]:
    """Domains of which nothing can be said, and for how long as this process knows: while nobody asked, nobody was blind."""
    started = scene.world.started
    for domain in inspected(scene):
        zone = scene.world.zones.domains.get(domain)
        if zone is None or zone.blind is None:
            continue
        since = zone.blind
        if since.process != scene.now.process and started is not None and started.at.process == scene.now.process:
            since = started.at
        yield domain, scene.now.seconds_since(since)


def _blind(scene: Scene) -> Transition | None:
    blind = dict(_blind_domains(scene))
    enough = scene.policy.incidents.blind_after
    if len(blind) == len(inspected(scene)) and max(blind.values(), default=0.0) >= enough:
        return _blinded(scene, EVERYWHERE, max(blind.values()))
    long = {domain: age for domain, age in blind.items() if age >= _alone_after(scene)}
    return next((fact for domain, age in long.items() if (fact := _blinded(scene, _scope(domain), age))), None)


def _alone_after(scene: Scene) -> float:
    """Seconds after which a domain that is blind is so by itself: all others have had their turn and are well. Sooner it may be the first
    of all to see that our resolvers are silent, or the last to see that they are back."""
    return scene.policy.incidents.blind_after + TURNS * scene.policy.inspect.every


def _blinded(scene: Scene, scope: Scope, age: float) -> Transition | None:
    """None: it is told of, or a person has closed it and the same patience is not over yet."""
    about = [state for state in scene.incidents.known.values() if state.last.symptom is Symptom.DNS_BLIND]
    if any(state.is_open and state.last.scope in (scope, EVERYWHERE) for state in about):
        return None
    ends = [scene.ended(state) for state in about if state.last.scope == scope]
    if any(at is not None and scene.now.seconds_since(at) < min(age, scene.policy.incidents.blind_after) for at in ends):
        return None
    return _opening(scene, Symptom.DNS_BLIND, scope, Severity.TICKET, scene.now.plus(-age), ())


def _after_blindness(scene: Scene, state: IncidentState) -> Transition | None:
    zones = _zones(scene, state)
    if not zones or _stands(scene, state):
        return telling.step(scene, state, Phase.RELAPSED) if state.recovering else None
    began = _recovering_since(state)
    waited = state.recovering and scene.now.seconds_since(began) >= TURNS * scene.policy.inspect.every
    if state.recovering and not waited and any(zone.blind is not None for zone in zones):
        return None  # it has not been asked again yet
    return _recovered(scene, state, "our questions are answered again")


def _scope(domain: str) -> Scope:
    return Scope(ScopeKind.DOMAIN, domain)
