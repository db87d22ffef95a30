"""What inspections find about the domains that the mail under test is sent from: what began after the deploy fails the gate, what stood
before it is only told.

That a finding is new has to be shown, not assumed: its domain was inspected before the deploy began, no incident told of it then, and it
was not unknown before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from monitor.model.checks import Gravity
from monitor.model.gate import Arm
from monitor.model.incident import ScopeKind
from monitor.model.instant import Instant
from monitor.model.policy import Policy
from monitor.model.verdict import Symptom
from monitor.rules.diagnose.findings import FINDING_SYMPTOMS, is_of_mail, standing
from monitor.rules.diagnose.zone import domains_of
from monitor.rules.plain import plain
from monitor.views.gates import GateState
from monitor.views.world import World
from monitor.views.zones import FindingState

MOST_TOLD = 5  # that stood before


@dataclass(frozen=True, slots=True)
class Zone:
    """`new`: (domain, finding) of what is critical, certain, and began after the deploy did. `stood`: what is not held against the deploy,
    in words."""

    new: tuple[tuple[str, FindingState], ...] = ()
    stood: tuple[str, ...] = ()


def inspected(world: World, state: GateState, policy: Policy) -> Zone:
    """What stands against the domains of the paths under test."""
    began = state.requests[0].began
    found = [each for each in _critical(world, state, policy) if _is_certain(each[2])]
    new = [(domain, finding) for domain, symptom, finding in found if _is_new(world, domain, symptom, finding, began)]
    stood = [(domain, finding) for domain, _, finding in found if (domain, finding) not in new]
    return Zone(tuple(new), tuple(f"not of this deploy, as far as is known: {worded(*each)}" for each in stood[:MOST_TOLD]))


def worded(domain: str, finding: FindingState) -> str:
    result = finding.result
    about = "" if result.about == domain else f" {result.about}"
    return plain(f"{domain}: {result.check.value}{about}: {result.saw}, since {finding.since.when:%H:%M:%S}Z")


def _critical(world: World, state: GateState, policy: Policy) -> Iterable[tuple[str, Symptom, FindingState]]:
    if not policy.inspect.enabled:
        return
    routes = {each.route for each in state.request.routes if each.arm is Arm.CANARY}
    for domain in domains_of(world, policy, routes):
        for symptom in sorted(FINDING_SYMPTOMS):
            for finding in standing(world, domain, symptom):
                if finding.result.gravity is Gravity.CRITICAL and domain in policy.inspect.domains:
                    yield domain, symptom, finding


def _is_certain(finding: FindingState) -> bool:
    """A delivered mail does not change; what the DNS says is certain at the second look."""
    return finding.confirmed is not None or is_of_mail(finding.result.check)


def _is_new(world: World, domain: str, symptom: Symptom, finding: FindingState, began: Instant) -> bool:
    if finding.hardened or finding.was_unknown or finding.since.seconds_since(began) <= 0:
        return False
    first = world.zones.domains[domain].first
    return first is not None and began.seconds_since(first) >= 0 and not _was_told(world, domain, symptom, began)


def _was_told(world: World, domain: str, symptom: Symptom, began: Instant) -> bool:
    """An incident of the same kind was open when the deploy began: what was unknown meanwhile is not new."""
    for state in world.incidents.known.values():
        about = state.last.scope.kind is ScopeKind.DOMAIN and state.last.scope.name == domain and state.last.symptom is symptom
        ended = state.resolved_at is not None and began.seconds_since(state.resolved_at) > 0
        if about and began.seconds_since(state.last.since) >= 0 and not ended:
            return True
    return False
