"""What is broken, and for whom: the layer that the pattern of good and bad probes points at, and what shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from monitor.model.facts import DeployMarked
from monitor.model.incident import DeployPhase, Diagnosis, Layer, Scope, ScopeKind
from monitor.model.instant import Instant
from monitor.model.mail import BlindCause
from monitor.model.policy import Policy
from monitor.model.probe import MailboxName, PathName, Route
from monitor.model.verdict import Symptom
from monitor.rules.deploys import NEAR
from monitor.rules.diagnose import findings, ledger, tripwires, zone
from monitor.rules.diagnose.advice import deploy_name, named, next_step
from monitor.rules.diagnose.layer import Finding, of_blindness, of_mail, parsed
from monitor.rules.diagnose.pattern import Pattern, observe
from monitor.rules.words import lapse
from monitor.views.world import World

MAX_SHOWS = 8
MAX_SAID = 3
MAX_CHANGED = 6
LONGEST = 200  # characters of one line

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
_IN_DOUBT = ("whether it is ours nobody could tell: a lookup failed, a key is broken, or it is forged",)
_LAYERS: dict[Layer, str] = {
    Layer.APPLICATION: "the application",
    Layer.RELAY: "the relay",
    Layer.AUTHENTICATION: "our mail's authentication",
    Layer.DNS: "DNS",
    Layer.PROVIDER: "the mailbox provider",
    Layer.MAILBOX: "that mailbox",
    Layer.MONITOR: "the monitor's own side",
}


def diagnose(
    world: World, policy: Policy, scope: Scope, symptom: Symptom, routes: tuple[str, ...], since: Instant, now: Instant
) -> Diagnosis:
    """The diagnosis of what began at `since`; total and bounded: too little evidence is said, never raised.

    `routes` are those that the incident affects so far, by name; the probes since then are counted on all routes of the policy.
    """
    if symptom in tripwires.SYMPTOMS:
        return _of_tripwire(world, scope, symptom, since, now)
    if symptom in ledger.LEDGER_SYMPTOMS:
        return _of_no_route(world, ledger.worded(world, policy, symptom, since, now), scope, since, now)
    if scope.kind is ScopeKind.DOMAIN or symptom not in _FAILS:
        return _of_no_route(world, findings.worded(world, scope, symptom), scope, since, now)
    pattern = observe(world, policy, symptom, parsed(routes, policy), since)
    blind: dict[MailboxName, BlindCause] = {}
    match symptom:
        case Symptom.MAILBOX_BLIND:
            finding, blind = of_blindness(world, policy, scope)
        case Symptom.BUDGET | Symptom.BASELINE | Symptom.MONITOR | Symptom.GATE_HOLD:
            finding = Finding(Layer.MONITOR)
        case Symptom.STRAY:
            finding = Finding(Layer.APPLICATION, doubts=_IN_DOUBT if tripwires.is_doubt(world, scope, since) else ())
        case _:
            finding = of_mail(pattern, policy, scope, symptom)
    finding, seen = _witnessed(world, policy, pattern, symptom, finding, since, now)
    deploys = [marker for marker in world.incidents.deploys if _recent(marker.at, since, now)]
    return Diagnosis(
        layer=finding.layer,
        summary=_cut(_summary(pattern, scope, symptom, finding, blind)),
        shows=tuple(_cut(line) for line in (*seen, *_shows(pattern, policy, symptom, blind, finding), *finding.doubts))[:MAX_SHOWS],
        said=_said(world, pattern, symptom, blind),
        changed=_changed(world, deploys, zone.changes(world, zone.domains_of(world, policy, pattern.failing)), since, now),
        next_step=_cut(next_step(finding, symptom, pattern, policy, _last_before(deploys, since), tuple(sorted(blind)))),
        why=_cut(finding.why),
    )


def _of_no_route(world: World, told: findings.Wording, scope: Scope, since: Instant, now: Instant) -> Diagnosis:
    """Of what inspections or the reconciliation found, and no probe."""
    deploys = [marker for marker in world.incidents.deploys if _recent(marker.at, since, now)]
    domains = [scope.name] if scope.name in world.zones.domains else []
    return Diagnosis(
        layer=told.layer,
        summary=_cut(f"{told.summary}: {_LAYERS[told.layer]}"),
        shows=tuple(_cut(line) for line in told.shows[:MAX_SHOWS]),
        changed=_changed(world, deploys, zone.changes(world, domains), since, now),
        next_step=_cut(told.next_step),
        findings=told.findings,
    )


def _of_tripwire(world: World, scope: Scope, symptom: Symptom, since: Instant, now: Instant) -> Diagnosis:
    """Of mail that is not ours."""
    deploys = [marker for marker in world.incidents.deploys if _recent(marker.at, since, now)]
    return Diagnosis(
        layer=tripwires.layer(symptom),
        summary=_cut(tripwires.summary(scope, symptom)),
        changed=_changed(world, deploys, [], since, now),
        next_step=_cut(tripwires.next_step(scope, symptom)),
    )


def _witnessed(
    world: World, policy: Policy, pattern: Pattern, symptom: Symptom, finding: Finding, since: Instant, now: Instant
) -> tuple[Finding, tuple[str, ...]]:
    """With what the zone and our own proof of the mail say, where authentication is in question; and what shows it."""
    if symptom is not Symptom.AUTH and not (symptom is Symptom.SPAM_PLACEMENT and finding.layer is Layer.AUTHENTICATION):
        return finding, ()
    seen = zone.witness(world, policy, pattern.failing, finding.narrow, since, now)
    if seen.layer is None:
        return finding, seen.shows
    return replace(finding, layer=seen.layer, other=None, why=seen.why, domain=seen.domain), seen.shows


def _summary(pattern: Pattern, scope: Scope, symptom: Symptom, finding: Finding, blind: dict[MailboxName, BlindCause]) -> str:
    does = _FAILS[symptom][0]
    layer = _LAYERS[finding.layer]
    if finding.other is not None:
        layer += f" or {_LAYERS[finding.other]}, not told apart yet"
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


def _shows(pattern: Pattern, policy: Policy, symptom: Symptom, blind: dict[MailboxName, BlindCause], finding: Finding) -> Iterable[str]:
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
        doubted = any(path in doubt for doubt in finding.doubts)
        if not counts and not doubted and any(route.path == path for route in policy.routes):
            yield f"{path}: no evidence since then"


def _said(world: World, pattern: Pattern, symptom: Symptom, blind: dict[MailboxName, BlindCause]) -> tuple[str, ...]:
    if symptom is Symptom.MAILBOX_BLIND:
        words = [state.blind.detail for name in sorted(blind) if (state := world.mailboxes[name]).blind is not None]
    else:
        words = [seen.said or seen.explanation for seen in pattern.bad]
    return tuple(dict.fromkeys(_cut(word) for word in words if word))[:MAX_SAID]


def _changed(world: World, deploys: list[DeployMarked], drifts: list[tuple[Instant, str]], since: Instant, now: Instant) -> tuple[str, ...]:
    """What changed in the two hours before it began, and until now; the latest first."""
    found = [(marker.at, f"{_DID[marker.phase]}: {deploy_name(marker)}{f' by {marker.by}' if marker.by else ''}") for marker in deploys]
    if world.started is not None:
        found.append((world.started.at, f"this monitor started, version {world.started.version}"))
    for name, box in sorted(world.mailboxes.items()):
        if box.blind is not None:
            found.append((world.evidence.blind.get(name, box.blind.at), f"{name} blind: {box.blind.cause.value}"))
    found += [(jump.at, f"the clock stepped by {jump.seconds:+.0f} s") for jump in world.jumps]
    found += [*_configured(world), *drifts]
    recent = sorted(((at, what) for at, what in found if _recent(at, since, now)), key=lambda pair: pair[0].utc, reverse=True)
    return tuple(_cut(f"{at.when:%H:%M:%S}Z {what} ({_relative(at, since)})") for at, what in recent[:MAX_CHANGED])


def _configured(world: World) -> list[tuple[Instant, str]]:
    """When the probes of a path began to be planned by another configuration than before, on the same route."""
    latest: dict[Route, str] = {}
    changed: dict[PathName, Instant] = {}
    for state in sorted(world.probes.values(), key=lambda state: state.plan_seq):
        plan = state.plan
        if latest.get(plan.route, plan.policy_hash) != plan.policy_hash:
            changed.setdefault(plan.route.path, plan.at)
        latest[plan.route] = plan.policy_hash
    return [(at, f"our configuration of {path} changed") for path, at in changed.items()]


def _relative(at: Instant, since: Instant) -> str:
    after = since.seconds_since(at)
    return f"it began {lapse(after)} after" if after >= 0 else f"{lapse(-after)} after it began"


_DID = {DeployPhase.START: "deploy started", DeployPhase.FINISH: "deploy finished", DeployPhase.ROLLBACK: "rolled back"}


def _recent(at: Instant, since: Instant, now: Instant) -> bool:
    return since.seconds_since(at) <= NEAR and now.seconds_since(at) >= 0


def _last_before(deploys: list[DeployMarked], since: Instant) -> DeployMarked | None:
    before = [marker for marker in deploys if since.seconds_since(marker.at) >= 0]
    return max(before, key=lambda marker: marker.at.utc, default=None)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
