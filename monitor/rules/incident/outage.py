"""Name servers that do not answer break every check of every domain that they serve. That is one fault, and one incident.

A finding that fails only for want of an answer says nothing by itself: it is a part of the `dns` incident of its domain; and where several
domains are struck at about the same time there is one incident of all domains, which tells of those that have none yet as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from monitor.model.checks import CheckId, Gravity
from monitor.model.facts import Transition
from monitor.model.incident import EVERYWHERE, Confidence, Layer, Phase, Scope, ScopeKind, Severity
from monitor.model.verdict import Symptom
from monitor.rules import diagnose
from monitor.rules.diagnose.findings import FINDING_SYMPTOMS, MOST_KEYS, certain, standing
from monitor.rules.incident import telling
from monitor.rules.incident.scene import Scene
from monitor.views.incidents import IncidentState
from monitor.views.world import World
from monitor.views.zones import FindingState, finding_key

MANY = 3  # domains that are struck together
TOGETHER = 600.0  # seconds between the first and the last of them
CLOSED_FOR = 86_400.0  # seconds for which a person's word that it is over holds, while nothing changes
_SHOWN = 3  # domains that are named


def is_everywhere(symptom: Symptom, scope: Scope) -> bool:
    return symptom is Symptom.DNS and scope == EVERYWHERE


def is_mute(world: World, domain: str, symptom: Symptom) -> bool:
    """All that is certain of this symptom is want of answers."""
    found = certain(world, domain, symptom)
    return bool(found) and len(_mute(world, domain, found)) == len(found)


def mute(world: World, domain: str) -> list[FindingState]:
    """What stands only for want of answers, confirmed or not."""
    return _mute(world, domain, (finding for symptom in _symptoms() for finding in standing(world, domain, symptom)))


def _symptoms() -> list[Symptom]:
    return sorted(FINDING_SYMPTOMS, key=list(Symptom).index)


def _mute(world: World, domain: str, findings: Iterable[FindingState]) -> list[FindingState]:
    """Where no server of the zone answers for it, what began with that or later is of it."""
    silent = [one for one in certain(world, domain, Symptom.DNS) if one.result.check is CheckId.DNS_02]
    began = [one.since for one in silent if one.result.gravity is Gravity.CRITICAL]
    return [one for one in findings if one.hardened or any(one.since.seconds_since(at) >= 0 for at in began)]


def whole(scene: Scene, domain: str, symptom: Symptom, level: Severity) -> IncidentState | None:
    """The open incident of which what is mute is a part: that of all domains, else the domain's own; as loud as it."""
    dns = [state for state in scene.incidents.open() if state.last.symptom is Symptom.DNS]
    loud = [state for state in dns if state.last.severity is Severity.PAGE or level is Severity.TICKET]
    for state in loud:
        if state.last.scope == EVERYWHERE:
            return state
    own = [state for state in loud if state.last.scope == Scope(ScopeKind.DOMAIN, domain) and symptom is not Symptom.DNS]
    return own[0] if own and _mute(scene.world, domain, certain(scene.world, domain, Symptom.DNS)) else None


def is_told(scene: Scene, domain: str, symptom: Symptom, level: Severity) -> bool:
    """The incident of all domains tells of it, or a person has said that this is over."""
    if not is_mute(scene.world, domain, symptom):
        return False
    covering = whole(scene, domain, symptom, level)
    if covering is not None and covering.last.scope == EVERYWHERE:
        return True
    ends = [state.resolved_at for state in _closed(scene) if state.resolved_at is not None]
    return any(not any(scene.is_after(one.since, at) for one in certain(scene.world, domain, symptom)) for at in ends)


def _closed(scene: Scene) -> Iterator[IncidentState]:
    """The outages that a person declared over within a day."""
    for state in scene.incidents.known.values():
        ended = state.resolved_at
        by_hand = is_everywhere(state.last.symptom, state.last.scope) and bool(state.last.by)
        if by_hand and ended is not None and scene.now.seconds_since(ended) < CLOSED_FOR:
            yield state


def struck(scene: Scene, domains: Iterable[str]) -> list[FindingState]:
    """What is certain and mute of domains that are struck together and not told of as one; empty: of too few."""
    if any(is_everywhere(state.last.symptom, state.last.scope) for state in scene.incidents.open()):
        return []
    found = {domain: [one for symptom in _symptoms() for one in _news(scene, domain, symptom)] for domain in domains}
    return [one for each in found.values() for one in each] if sum(map(bool, found.values())) >= MANY else []


def _news(scene: Scene, domain: str, symptom: Symptom) -> list[FindingState]:
    if not is_mute(scene.world, domain, symptom) or is_told(scene, domain, symptom, Severity.TICKET):
        return []
    scope = Scope(ScopeKind.DOMAIN, domain)
    opened = [state.opened for state in scene.incidents.open() if state.last.symptom is symptom and state.last.scope == scope]
    late = any(fact is not None and scene.now.seconds_since(fact.at) > TOGETHER for fact in opened)
    return [] if late else certain(scene.world, domain, symptom)


def parts(scene: Scene, fact: Transition) -> list[Transition]:
    """The open incidents of single domains that the outage is the reason of: they go on in silence."""
    within = [
        state
        for state in scene.incidents.open()
        if state.last.scope.kind is ScopeKind.DOMAIN and state.last.symptom in FINDING_SYMPTOMS and state.parent is None
        if state.last.severity is Severity.TICKET or fact.severity is Severity.PAGE
    ]
    note = f"part of {fact.incident}"
    return [
        replace(telling.step(scene, state, Phase.GROWN, note), parent=fact.incident)
        for state in within
        if is_mute(scene.world, state.last.scope.name, state.last.symptom)
    ]


def worded(scene: Scene, fact: Transition, domains: Iterable[str]) -> Transition:
    """In words: which domains, and what shows it. No probe has a part in it."""
    if fact.diagnosis is None:
        return fact
    found = {domain: one for domain in domains if (one := mute(scene.world, domain))}
    names = list(found)
    named = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    shows = [f"{name}: {one[0].result.check.value} {one[0].result.about}: {one[0].result.saw}" for name, one in found.items()]
    keys = [finding_key(one.result) for each in found.values() for one in each]
    told = replace(
        fact.diagnosis,
        layer=Layer.DNS,
        summary=f"the name servers of {len(names)} domains do not answer for them: {named}"[: diagnose.LONGEST],
        shows=tuple(line[: diagnose.LONGEST] for line in shows[: diagnose.MAX_SHOWS]),
        next_step=f"see what these zones have in common: their servers, their DNS provider, the way there; mailcanary audit {names[0]}",
        findings=tuple(keys[:MOST_KEYS]),
        confidence=Confidence.HIGH,
        against=(),
    )
    return replace(fact, diagnosis=told, tallies=(), last_good=None)
