"""What is broken, and for whom: the layer that the pattern of good and bad probes points at, and what shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from monitor.model.incident import Confidence, DeployCandidate, DeployPhase, Diagnosis, Layer, Scope, ScopeKind
from monitor.model.instant import Instant
from monitor.model.mail import BlindCause
from monitor.model.policy import Policy
from monitor.model.probe import MailboxName
from monitor.model.verdict import Symptom
from monitor.rules.deploys import candidates, rolled_back
from monitor.rules.diagnose import changes, confidence, findings, ledger, tripwires, zone
from monitor.rules.diagnose.advice import named, next_step
from monitor.rules.diagnose.changes import LONGEST, MAX_CHANGED, cut
from monitor.rules.diagnose.confidence import LAYERS, likely, weighed
from monitor.rules.diagnose.layer import Finding, of_blindness, of_mail, parsed
from monitor.rules.diagnose.pattern import Pattern, observe
from monitor.views.world import World

__all__ = ["LONGEST", "MAX_AGAINST", "MAX_CHANGED", "MAX_SAID", "MAX_SHOWS", "diagnose"]

MAX_SHOWS = 8
MAX_SAID = 3
MAX_AGAINST = 6

_FAILS: dict[
    Symptom, tuple[str, str, str]
] = {  # of what probes show, and of what is our own: what the mail does; what a path does in the pattern; what a good one does
    Symptom.DELIVERY_MISSING: ("does not arrive", "fails", "arrives"),
    Symptom.DELIVERY_LATE: ("arrives late", "is late", "arrives"),
    Symptom.DELIVERY_STALLED: ("does not arrive", "fails", "arrives"),
    Symptom.MISROUTED: ("goes to another mailbox", "fails", "arrives"),
    Symptom.BOUNCED: ("comes back undelivered", "fails", "arrives"),
    Symptom.SPAM_PLACEMENT: ("lands in spam", "in spam", "in INBOX"),
    Symptom.MISFILED: ("is filed outside INBOX", "misfiled", "in INBOX"),
    Symptom.SMTP_REJECT: ("is not taken", "fails", "arrives"),
    Symptom.CONTENT_WRONG: ("says something wrong", "wrong", "right"),
    Symptom.DUPLICATE: ("arrives more than once", "doubled", "single"),
    Symptom.AUTH: ("is not authenticated", "unauthenticated", "authenticated"),
    Symptom.MAILBOX_BLIND: ("cannot be looked for", "blind", "seen"),
    Symptom.SUBMIT_BLIND: ("cannot be submitted by us", "fails", "arrives"),
    Symptom.BUDGET: ("is held back by the budget", "withheld", "submitted"),
    Symptom.BASELINE: ("has no sound baseline", "fails", "arrives"),
    Symptom.MONITOR: ("could not be judged", "unjudged", "judged"),
    Symptom.STRAY: ("came where none must ever come", "fails", "arrives"),
    Symptom.GATE_HOLD: ("did not pass a release gate", "fails", "arrives"),
}
_NO_PATTERN = frozenset(
    {Symptom.MAILBOX_BLIND, Symptom.BUDGET, Symptom.BASELINE, Symptom.MONITOR, Symptom.GATE_HOLD, Symptom.STRAY}
)  # what no good or bad probe elsewhere makes more or less likely
_UNSAID = "neither the zone nor our own proof of the mail says what is wrong with it"
_IN_DOUBT = ("whether it is ours nobody could tell: a lookup failed, a key is broken, or it is forged",)


def diagnose(
    world: World,
    policy: Policy,
    scope: Scope,
    symptom: Symptom,
    routes: tuple[str, ...],
    since: Instant,
    now: Instant,
    beside: tuple[DeployCandidate, ...] | None = None,
) -> Diagnosis:
    """The diagnosis of what began at `since`; total and bounded: too little evidence is said, never raised.

    `routes` are those that the incident affects so far, by name; the probes since then are counted on all routes of the policy.
    `beside`: the deploys that the notice names, the best first; None: those that are near.
    """
    if symptom in tripwires.SYMPTOMS:
        return _of_tripwire(world, scope, symptom, since, now)
    if symptom in ledger.LEDGER_SYMPTOMS:
        return _of_no_route(world, ledger.worded(world, policy, symptom, since, now), scope, symptom, since, now)
    if scope.kind is ScopeKind.DOMAIN or symptom not in _FAILS:
        return _of_no_route(world, findings.worded(world, scope, symptom), scope, symptom, since, now)
    pattern = observe(world, policy, symptom, parsed(routes, policy), since)
    blind: dict[MailboxName, BlindCause] = {}
    match symptom:
        case Symptom.MAILBOX_BLIND:
            finding, blind = of_blindness(world, policy, scope)
        case Symptom.BASELINE:
            finding = Finding(Layer.MONITOR, ("what the mail is compared with may fail for the same reason",))
        case Symptom.BUDGET | Symptom.MONITOR | Symptom.GATE_HOLD:
            finding = Finding(Layer.MONITOR, told=True)
        case Symptom.STRAY:
            doubts = _IN_DOUBT if tripwires.is_doubt(world, scope, since) else ()
            finding = Finding(Layer.APPLICATION, doubts, contradicted=doubts)
        case _:
            finding = of_mail(pattern, policy, scope, symptom)
    finding, seen = _witnessed(world, policy, pattern, symptom, finding, since, now)
    if symptom in _NO_PATTERN:
        sure, against = weighed(finding.contradicted, finding.doubts, finding.told), (*finding.contradicted, *finding.doubts)
    else:
        sure, against = confidence.of_pattern(world, policy, pattern, finding)
    deploys = [marker for marker in world.incidents.deploys if changes.is_recent(marker.at, since, now)]
    if beside is None:
        beside = candidates(world.incidents.deploys, since, None, control_good=False, accepted=world.evidence.accepted(routes, since))
    return Diagnosis(
        layer=finding.layer,
        summary=cut(_summary(pattern, scope, symptom, finding, blind, sure)),
        shows=tuple(cut(line) for line in (*seen, *_shows(pattern, policy, symptom, blind)))[:MAX_SHOWS],
        said=_said(world, pattern, symptom, blind),
        changed=changes.worded(world, symptom, deploys, zone.domains_of(world, policy, pattern.failing), since, now),
        next_step=cut(next_step(finding, symptom, pattern, policy, _live(world, beside), tuple(sorted(blind)))),
        why=cut(finding.why),
        confidence=sure,
        against=_bounded(against),
    )


def _of_no_route(world: World, told: findings.Wording, scope: Scope, symptom: Symptom, since: Instant, now: Instant) -> Diagnosis:
    """Of what inspections or the reconciliation found, and no probe."""
    deploys = [marker for marker in world.incidents.deploys if changes.is_recent(marker.at, since, now)]
    domains = [scope.name] if scope.name in world.zones.domains else []
    return Diagnosis(
        layer=told.layer,
        summary=cut(f"{told.summary}: {likely(told.layer, told.confidence)}"),
        shows=tuple(cut(line) for line in told.shows[:MAX_SHOWS]),
        changed=changes.worded(world, symptom, deploys, domains, since, now),
        next_step=cut(told.next_step),
        findings=told.findings,
        confidence=told.confidence,
        against=_bounded(told.against),
    )


def _of_tripwire(world: World, scope: Scope, symptom: Symptom, since: Instant, now: Instant) -> Diagnosis:
    """Of mail that is not ours."""
    deploys = [marker for marker in world.incidents.deploys if changes.is_recent(marker.at, since, now)]
    return Diagnosis(
        layer=tripwires.layer(symptom),
        summary=cut(tripwires.summary(scope, symptom)),
        changed=changes.worded(world, symptom, deploys, (), since, now),
        next_step=cut(tripwires.next_step(scope, symptom)),
        confidence=weighed((), against := tripwires.against(symptom)),
        against=_bounded(against),
    )


def _witnessed(
    world: World, policy: Policy, pattern: Pattern, symptom: Symptom, finding: Finding, since: Instant, now: Instant
) -> tuple[Finding, tuple[str, ...]]:
    """With what the zone and our own proof of the mail say, where authentication is in question; and what shows it."""
    if symptom is not Symptom.AUTH and not (symptom is Symptom.SPAM_PLACEMENT and finding.layer is Layer.AUTHENTICATION):
        return finding, ()
    seen = zone.witness(world, policy, pattern.failing, finding.narrow, since, now)
    if seen.layer is None:
        doubts = () if seen.against or finding.layer is not Layer.AUTHENTICATION else (_UNSAID,)
        return replace(
            finding, doubts=(*finding.doubts, *doubts, *seen.doubts), contradicted=(*finding.contradicted, *seen.against)
        ), seen.shows
    found = replace(finding, layer=seen.layer, other=None, why=seen.why, domain=seen.domain, told=True, contradicted=())
    return replace(found, doubts=seen.doubts), seen.shows


def _summary(
    pattern: Pattern, scope: Scope, symptom: Symptom, finding: Finding, blind: dict[MailboxName, BlindCause], sure: Confidence
) -> str:
    does = _FAILS[symptom][0]
    layer = likely(finding.layer, sure)
    if finding.other is not None:
        layer += f", or else {LAYERS[finding.other]}"
    elif finding.layer is Layer.RELAY:
        layer += ", or what all of this mail shares"
    match symptom:
        case Symptom.MAILBOX_BLIND:
            where = named(sorted(blind), _scoped(scope))
            return f"{where} cannot be looked into: {layer}"
        case Symptom.STRAY:
            what = "claims to be ours and cannot be verified" if finding.doubts else "is no probe, and is authenticated as ours,"
            return f"refund mail that {what} came to {_scoped(scope)}: {layer}"
        case Symptom.BUDGET | Symptom.BASELINE | Symptom.MONITOR | Symptom.GATE_HOLD:
            return f"mail of {_scoped(scope)} {does}: {layer}"
        case _:
            paths = sorted({route.path for route in pattern.failing})
            mailboxes = sorted({route.mailbox for route in pattern.failing})
            places = sorted(pattern.places(pattern.failing))
            where = f"in {mailboxes[0]}" if len(mailboxes) == 1 else f"at {named(places, 'all providers')}"
            if finding.narrow:
                others = sorted(pattern.places(pattern.fine).difference(places))
                contrast = f", while {named(others, '')} {'are' if len(others) > 1 else 'is'} fine" if others else ""
            else:
                spared = sorted({route.path for route in pattern.fine}.difference(paths))
                contrast = f", while that of {named(spared, '')} is fine" if spared else ""
            why = f"; {finding.why}" if finding.why else ""
            return f"mail of {named(paths, _scoped(scope))} {does} {where}{contrast}: {layer}{why}"


def _scoped(scope: Scope) -> str:
    return "every path" if scope.kind is ScopeKind.ALL else f"{scope.kind.value} {scope.name}"


def _shows(pattern: Pattern, policy: Policy, symptom: Symptom, blind: dict[MailboxName, BlindCause]) -> Iterable[str]:
    """The pattern both ways: what fails, and what does not."""
    if symptom is Symptom.MAILBOX_BLIND:
        for cause in sorted(set(blind.values())):
            yield f"{cause.value}: {named(sorted(name for name in blind if blind[name] is cause), '')}"
        seen = sorted(name for name in pattern.providers if name not in blind)
        yield f"still seen: {named(seen, 'none')}"
        return
    _, fails, is_fine = _FAILS[symptom]
    for path in sorted(policy.paths):
        counts = pattern.counts(path)
        bad = [f"{place} {failed}/{sent}" for place, (failed, sent) in counts.items() if failed]
        good = [f"{place} {sent}/{sent}" for place, (failed, sent) in counts.items() if not failed]
        if bad:
            yield f"{path} {fails}: {named(bad, '', 6)}"
        if good:
            yield f"{path} {is_fine}: {named(good, '', 6)}"


def _said(world: World, pattern: Pattern, symptom: Symptom, blind: dict[MailboxName, BlindCause]) -> tuple[str, ...]:
    if symptom is Symptom.MAILBOX_BLIND:
        words = [state.blind.detail for name in sorted(blind) if (state := world.mailboxes[name]).blind is not None]
    else:
        words = [seen.said or seen.explanation for seen in pattern.bad]
    return tuple(dict.fromkeys(cut(word) for word in words if word))[:MAX_SAID]


def _live(world: World, beside: Iterable[DeployCandidate]) -> DeployCandidate | None:
    """The best one that can be rolled back. Once one was undone, only one of another service: what ran before it is what runs again."""
    undone: set[str] = set()
    for candidate in beside:
        if candidate.phase is DeployPhase.ROLLBACK or candidate.taken_back or rolled_back(candidate, world.incidents.deploys):
            undone.add(candidate.service)
        elif not undone or (candidate.service and not undone & {"", candidate.service}):
            return candidate
    return None


def _bounded(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cut(line) for line in lines))[:MAX_AGAINST]
