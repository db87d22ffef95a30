"""What the routes of `notify:` cannot mean: scopes that there are not, and routes that none ever comes to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

from monitor.model.incident import ScopeKind, Severity, as_it_is
from monitor.model.verdict import Symptom
from monitor.settings.notify_shape import NotifyRouteShape
from monitor.settings.report import Report
from monitor.settings.scalars import closest

NAMELESS = frozenset({ScopeKind.ALL, ScopeKind.LEDGER})
MOST = 50  # routes
_LISTED = 16
_ANY = "*"  # stands for all names of a kind that no route names

Case = tuple[Symptom, Severity, str]


def check_routes(routes: tuple[NotifyRouteShape, ...], report: Report) -> None:
    if len(routes) > MOST:
        report.fault(("notify", "routes"), f"has more than {MOST} routes", "put those together that tell the same channels")
        return
    known = _scopes(routes)
    taken: dict[Case, int] = {}  # by the first route that takes it
    for index, route in enumerate(routes):
        cases = set(_cases(route, known))
        before = {taken[case] for case in cases if case in taken}
        if not cases:  # of late mail only: what pages under that name stays away altogether
            what = "is never come to: late mail pages nobody"
            report.fault(("notify", "routes", index), what, "name delivery_missing, or severity: ticket")
        elif cases <= taken.keys():
            which = ", ".join(str(each) for each in sorted(before))
            what = "is never come to: all that it takes goes to " + (f"route {which}" if len(before) == 1 else f"routes {which}")
            report.fault(("notify", "routes", index), what, "put it before, or remove it")
        for case in cases - taken.keys():
            taken[case] = index
        if not route.channels and route.severity is not Severity.TICKET:
            what = "names no channel: nobody is paged of what it takes"
            report.note(("notify", "routes", index, "channels"), what, "write severity: ticket too, or a channel")


def check_scopes(routes: tuple[NotifyRouteShape, ...], names: Mapping[ScopeKind, Iterable[str]], report: Report) -> None:
    """`names`: those of the kinds whose names the file settles."""
    for index, route in enumerate(routes):
        for place, scope in enumerate(route.scopes):
            wrong = _wrong(scope, names)
            if wrong is not None:
                report.fault(("notify", "routes", index, "scopes", place), *wrong)


def _wrong(scope: str, names: Mapping[ScopeKind, Iterable[str]]) -> tuple[str, str] | None:
    """(what is wrong, the mend), None when there is such a scope."""
    kind, colon, name = scope.partition(":")
    kinds = [each.value for each in ScopeKind]
    if kind not in kinds:
        near = closest(kind, kinds)
        return "is no scope", f"did you mean {near}{colon}{name}?" if near else f"write {', '.join(kinds)}, or kind:name"
    if not colon:
        return None
    if not name or ScopeKind(kind) in NAMELESS:
        return f"{kind} {'has no names' if name else 'has an empty name'}", f"write {kind}"
    known = list(names.get(ScopeKind(kind), (name,)))
    if name not in known:
        near = closest(name, known)
        listed = ", ".join(known[:_LISTED]) or "none"
        return f"there is no {kind} {name}", f"did you mean {kind}:{near}?" if near else f"known: {listed}"
    return None


def _scopes(routes: tuple[NotifyRouteShape, ...]) -> list[str]:
    """All that can be told apart: the scopes that some route names, and for each kind another one."""
    named = [scope for route in routes for scope in route.scopes if ":" in scope]
    return list(dict.fromkeys([*(kind.value if kind in NAMELESS else f"{kind.value}:{_ANY}" for kind in ScopeKind), *named]))


def _cases(route: NotifyRouteShape, known: list[str]) -> Iterable[Case]:
    symptoms = route.symptoms or tuple(Symptom)
    severities = tuple(Severity) if route.severity is None else (route.severity,)
    scopes = [scope for scope in known if not route.scopes or scope in route.scopes or scope.partition(":")[0] in route.scopes]
    return (case for case in product(symptoms, severities, scopes) if as_it_is(case[0], case[1]) is case[0])
