"""The routes of a policy by what they have in common, and what a scope holds of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from monitor.model.incident import EVERYWHERE, Scope, ScopeKind, Severity
from monitor.model.policy import Policy
from monitor.model.probe import MailboxName, PathName, Route
from monitor.model.verdict import Symptom

# what never wakes anybody, however wide it is
_TICKETS = frozenset(
    {
        Symptom.DELIVERY_LATE,
        Symptom.MISFILED,
        Symptom.BUDGET,
        Symptom.MONITOR,
        Symptom.BASELINE,
        Symptom.GATE_HOLD,
        Symptom.IMITATION,
        Symptom.TRIPWIRE_LEAKED,
        Symptom.DNS_BLIND,
        Symptom.LEDGER_BLIND,
    }
)


@dataclass(frozen=True, slots=True)
class Layout:
    """Made once for a policy: with a thousand routes it costs a millisecond."""

    routes: dict[str, Route]
    of_path: dict[PathName, tuple[Route, ...]]
    of_mailbox: dict[MailboxName, tuple[Route, ...]]
    of_provider: dict[str, tuple[Route, ...]]
    providers: dict[MailboxName, str]

    @classmethod
    def of(cls, policy: Policy) -> Layout:
        providers = {name: box.provider for name, box in policy.mailboxes.items()}
        of_path: dict[PathName, list[Route]] = {}
        of_mailbox: dict[MailboxName, list[Route]] = {}
        of_provider: dict[str, list[Route]] = {}
        for route in policy.routes:
            of_path.setdefault(route.path, []).append(route)
            of_mailbox.setdefault(route.mailbox, []).append(route)
            of_provider.setdefault(providers[route.mailbox], []).append(route)
        return cls(
            {str(route): route for route in policy.routes},
            {name: tuple(routes) for name, routes in of_path.items()},
            {name: tuple(routes) for name, routes in of_mailbox.items()},
            {name: tuple(routes) for name, routes in of_provider.items()},
            providers,
        )

    def within(self, scope: Scope) -> tuple[Route, ...]:
        """The routes that the scope holds; none when what it names is gone."""
        match scope.kind:
            case ScopeKind.ALL:
                return tuple(self.routes.values())
            case ScopeKind.PATH:
                return self.of_path.get(PathName(scope.name), ())
            case ScopeKind.PROVIDER:
                return self.of_provider.get(scope.name, ())
            case ScopeKind.MAILBOX:
                return self.of_mailbox.get(MailboxName(scope.name), ())
            case ScopeKind.DEPLOY | ScopeKind.DOMAIN | ScopeKind.LEDGER:
                return ()

    def holds(self, scope: Scope, route: Route) -> bool:
        match scope.kind:
            case ScopeKind.ALL:
                return True
            case ScopeKind.PATH:
                return route.path == scope.name
            case ScopeKind.PROVIDER:
                return self.providers.get(route.mailbox) == scope.name
            case ScopeKind.MAILBOX:
                return route.mailbox == scope.name
            case ScopeKind.DEPLOY | ScopeKind.DOMAIN | ScopeKind.LEDGER:
                return False

    def provider(self, route: Route) -> str:
        return self.providers.get(route.mailbox, "")

    def providers_of(self, routes: Iterable[Route]) -> set[str]:
        return {self.provider(route) for route in routes}

    def smallest(self, routes: Iterable[Route]) -> Scope:
        """The smallest of mailbox, provider, path and everything that holds all of these routes."""
        affected = list(routes)
        mailboxes = {route.mailbox for route in affected}
        providers = self.providers_of(affected)
        paths = {route.path for route in affected}
        if len(mailboxes) == 1:
            return Scope(ScopeKind.MAILBOX, next(iter(mailboxes)))
        if len(providers) == 1:
            return Scope(ScopeKind.PROVIDER, next(iter(providers)))
        if len(paths) == 1:
            return Scope(ScopeKind.PATH, next(iter(paths)))
        return EVERYWHERE


def severity(symptom: Symptom, scope: Scope) -> Severity:
    """A provider is only named where two of its mailboxes fail; one mailbox alone is never worth a night's sleep."""
    if symptom in _TICKETS or scope.kind is ScopeKind.MAILBOX:
        return Severity.TICKET
    if symptom is Symptom.SUBMIT_BLIND and scope != EVERYWHERE:
        return Severity.TICKET  # the other paths still tell whether mail arrives
    return Severity.PAGE
