"""Which layer a pattern points at.

One mailbox or one provider that fails alone is theirs. The application's path failing everywhere while the bare one arrives is the
application. Every path failing everywhere is the relay, or whatever else they share. What the peers say may name the layer more exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from monitor.model.incident import Layer, Scope, ScopeKind
from monitor.model.mail import BlindCause
from monitor.model.policy import Policy, Role, SmtpPath
from monitor.model.probe import MailboxName, PathName, Route
from monitor.model.verdict import Reason, Symptom
from monitor.rules.diagnose.pattern import Pattern
from monitor.rules.diagnose.replies import agreed, points_at
from monitor.views.world import World

ONE_MAILBOX = "only one mailbox is kept there: the provider and the mailbox cannot be told apart"
ONE_PROVIDER = "only one provider is configured: its fault looks like ours"
_PROVIDERS_OWN = frozenset({Symptom.AUTH, Symptom.SPAM_PLACEMENT})  # checked and filtered for all mailboxes of a provider alike


@dataclass(frozen=True, slots=True)
class Finding:
    """`doubts`: what could not be told apart, and why. `narrow`: it fails for these mailboxes alone, others are well or unprobed.
    `other`: the layer that it may be as well, for want of evidence. `why`: what else than the pattern of probes says so, in a clause, and
    of which `domain`. `contradicted`: what speaks against it. `told`: the peer, the zone or we ourselves say so, and no pattern has to."""

    layer: Layer
    doubts: tuple[str, ...] = ()
    narrow: bool = False
    other: Layer | None = None
    why: str = ""
    domain: str = ""
    contradicted: tuple[str, ...] = ()
    told: bool = False


def of_mail(pattern: Pattern, policy: Policy, scope: Scope, symptom: Symptom) -> Finding:
    """The layer of a fault that probes show."""
    bad = pattern.bad
    if not pattern.failing:
        return Finding(_by_scope(scope), contradicted=("no probe since then shows where it fails",))
    if bad and all(seen.reason is Reason.SUBMIT_MISCONFIGURED for seen in bad):
        return Finding(Layer.MONITOR, told=True)
    found = _by_spread(pattern, policy, scope, symptom)
    if any(seen.holding for seen in bad) and not _smtp(policy, {seen.route.path for seen in bad}):
        return Finding(Layer.APPLICATION, found.doubts, told=True)
    if symptom is Symptom.AUTH and not found.narrow:
        return Finding(Layer.AUTHENTICATION, _alone(pattern))
    proven = sum(Reason.UNAUTHENTICATED not in seen.also for seen in bad)
    if symptom is Symptom.SPAM_PLACEMENT and 2 * proven < len(bad):
        doubts = (f"{proven} of {len(bad)} mails in spam are authenticated",) if proven else ()
        return Finding(Layer.AUTHENTICATION, (*doubts, *_alone(pattern)), narrow=found.narrow)
    if bad and all(seen.unreached for seen in bad) and _both_kinds(policy, {seen.route.path for seen in bad}):
        return Finding(Layer.MONITOR, ("neither the application nor the relay can be reached: it may be the network between us and them",))
    match agreed(seen.said for seen in bad):
        case Layer.MAILBOX if len({route.mailbox for route in pattern.failing}) > 1:
            return found
        case None:
            return found
        case named:
            silent = sum(points_at(seen.said) is not named for seen in bad)
            doubts = (f"{silent} of {len(bad)} failed probes: the peer names no such reason",) if silent else ()
            return Finding(named, doubts, narrow=found.narrow, told=not silent)


def of_blindness(world: World, policy: Policy, scope: Scope) -> tuple[Finding, dict[MailboxName, BlindCause]]:
    """The layer when we cannot look, and the mailboxes that are blind now: of the seeds, and the one that it is about."""
    seeds = {name: box.provider for name, box in policy.mailboxes.items() if box.role is Role.SEED or name == scope.name}
    blind = {name: state.blind.cause for name, state in world.mailboxes.items() if state.blind is not None and name in seeds}
    if not blind:
        unsure = ("the mailbox answers, but no complete look at its folders was possible in time",)
        return Finding(_by_scope(scope), contradicted=unsure), blind
    if all(cause is BlindCause.MISCONFIGURED for cause in blind.values()):
        return Finding(Layer.MONITOR, told=True), blind
    if len(blind) == len(seeds) and len(set(seeds.values())) > 1:
        return Finding(Layer.MONITOR), blind
    wanted = {name for name in blind if scope.kind is ScopeKind.ALL or scope.name in (name, seeds[name])} or set(blind)
    providers = {seeds[name] for name in wanted}
    siblings = [name for name in seeds if seeds[name] in providers]
    theirs = all(blind.get(name) in (BlindCause.AUTH_REFUSED, BlindCause.FOLDER_MISSING) for name in wanted)
    whole = all(name in blind for name in siblings)
    if whole and (len(siblings) > 1 or not theirs):
        alone = (ONE_MAILBOX,) if len(siblings) == 1 else ()
        unlike = (ONE_PROVIDER,) if len(set(seeds.values())) == 1 else ()
        return Finding(Layer.PROVIDER, (*alone, *unlike), narrow=True), blind
    return Finding(Layer.MAILBOX, narrow=True), blind


def _by_spread(pattern: Pattern, policy: Policy, scope: Scope, symptom: Symptom) -> Finding:
    """The layer by where it fails, whatever is said."""
    failing = pattern.failing
    paths = {route.path for route in failing}
    mailboxes = {route.mailbox for route in failing}
    bad = pattern.bad
    outright = bool(bad) and all(seen.outright for seen in bad)
    spared = [route for route in policy.routes if route.path in paths and route.mailbox in pattern.providers and route not in failing]
    places = _mostly(pattern, paths)
    if outright or len(places) > 1 or all(route.mailbox in mailboxes for route in spared):
        return _broad(pattern, policy, paths)
    if scope.kind in (ScopeKind.ALL, ScopeKind.PATH) and not any(route.path in paths for route in pattern.fine):
        found = _broad(pattern, policy, paths)  # a wide scope, and nothing that speaks for a narrower one
        return replace(found, doubts=tuple(dict.fromkeys((f"only {places[0]} was probed since", *found.doubts))))
    return _narrow(pattern, places[0], {name for name in mailboxes if pattern.providers[name] == places[0]}, symptom)


def _mostly(pattern: Pattern, paths: set[PathName]) -> list[str]:
    """The providers at which most routes of these paths fail: one stray loss elsewhere makes no second place."""
    places = []
    for place in sorted(pattern.places(pattern.failing)):
        known = [route for route in pattern.failing | pattern.fine if route.path in paths and pattern.providers[route.mailbox] == place]
        if 2 * sum(route in pattern.failing for route in known) > len(known):
            places.append(place)
    return places or sorted(pattern.places(pattern.failing))


def _narrow(pattern: Pattern, provider: str, mailboxes: set[MailboxName], symptom: Symptom) -> Finding:
    """All of it at one provider, and not at others."""
    siblings = {name for name, at in pattern.providers.items() if at == provider} - mailboxes
    elsewhere = any(at != provider for at in pattern.providers.values())
    doubts: list[str] = []
    paths = {route.path for route in pattern.failing}
    others = [route for route in pattern.fine if route.mailbox in mailboxes and route.path not in paths]
    spared = _listed({str(route.path) for route in others})
    offence = (f"mail of {spared} arrives there: it takes offence at one path only",) if others else ()
    if siblings:
        if len(mailboxes) > 1 or any(route.mailbox in siblings for route in pattern.fine):
            return Finding(Layer.MAILBOX if len(mailboxes) == 1 else Layer.PROVIDER, narrow=True, contradicted=offence)
        if symptom in _PROVIDERS_OWN:
            doubts.append(f"no other mailbox at {provider} was probed since: it may be this mailbox alone")
            return Finding(Layer.PROVIDER, tuple(doubts), narrow=True, other=Layer.MAILBOX, contradicted=offence)
        doubts.append(f"no other mailbox at {provider} was probed since: it may be the whole provider")
        return Finding(Layer.MAILBOX, tuple(doubts), narrow=True, other=Layer.PROVIDER, contradicted=offence)
    if not any(pattern.providers[route.mailbox] != provider for route in pattern.fine):
        doubts.append("no other provider was probed since" if elsewhere else ONE_PROVIDER)
    if len(mailboxes) == 1:
        doubts.append(ONE_MAILBOX)
        return Finding(Layer.PROVIDER, tuple(doubts), narrow=True, other=Layer.MAILBOX, contradicted=offence)
    return Finding(Layer.PROVIDER, tuple(doubts), narrow=True, contradicted=offence)


def _alone(pattern: Pattern) -> tuple[str, ...]:
    """Only one receiver says so, and others might not."""
    heard = {seen.provider for seen in pattern.observations}
    return (f"only {next(iter(heard))} was probed since",) if len(heard) == 1 else ()


def _broad(pattern: Pattern, policy: Policy, paths: set[PathName]) -> Finding:
    """At several providers, or everywhere that these paths go."""
    paths = {path for path in paths if _fails_mostly(pattern, path)} or paths
    guess, other = (Layer.RELAY, Layer.APPLICATION) if _smtp(policy, paths) else (Layer.APPLICATION, Layer.RELAY)
    others = [path for path in policy.paths if path not in paths]
    if not others:
        if len(policy.paths) == 1:
            return Finding(guess, ("only one path is configured: the relay and the application cannot be told apart",), other=other)
        return Finding(guess, (ONE_PROVIDER,) if len(set(pattern.providers.values())) == 1 else _alone(pattern))
    if not any(route.path in others for route in pattern.fine):
        doubt = f"{_listed(set(map(str, others)))} was not seen to arrive since: it may share the fault"
        return Finding(guess, (doubt,), other=other)
    return Finding(guess)


def _fails_mostly(pattern: Pattern, path: PathName) -> bool:
    failing = sum(route.path == path for route in pattern.failing)
    return failing >= sum(route.path == path for route in pattern.fine)


def _smtp(policy: Policy, paths: set[PathName]) -> bool:
    return any(isinstance(policy.paths[path].via, SmtpPath) for path in paths)


def _both_kinds(policy: Policy, paths: set[PathName]) -> bool:
    return len({isinstance(policy.paths[path].via, SmtpPath) for path in paths}) > 1


def _by_scope(scope: Scope) -> Layer:
    match scope.kind:
        case ScopeKind.ALL | ScopeKind.PATH:
            return Layer.RELAY
        case ScopeKind.PROVIDER:
            return Layer.PROVIDER
        case ScopeKind.MAILBOX:
            return Layer.MAILBOX
        case ScopeKind.DEPLOY | ScopeKind.LEDGER:
            return Layer.APPLICATION
        case ScopeKind.DOMAIN:
            return Layer.DNS


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))


def parsed(names: tuple[str, ...], policy: Policy) -> frozenset[Route]:
    """The routes of these names that the policy has."""
    wanted = set(names)
    return frozenset(route for route in policy.routes if str(route) in wanted)
