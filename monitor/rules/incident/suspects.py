"""What the rules of openings found, and the suspects that they look at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from monitor.model.incident import Opening, Scope, ScopeKind
from monitor.model.probe import Route
from monitor.model.verdict import Symptom
from monitor.rules.incident.scene import Bad, Scene


@dataclass(frozen=True, slots=True)
class Finding:
    """Enough evidence. `scope`: where it is not the smallest one that holds the evidence."""

    opening: Opening
    symptom: Symptom
    bad: tuple[Bad, ...]
    scope: Scope | None = None

    @property
    def routes(self) -> set[Route]:
        return {bad.route for bad in self.bad}


def adverse(scene: Scene, routes: Iterable[Route], family: Symptom) -> list[Bad]:
    """The newest evidence of these routes where it is adverse."""
    found = (scene.adverse(route, family) for route in routes)
    return [bad for bad in found if bad is not None]


def of_no_path(scene: Scene, found: Iterable[Bad], family: Symptom) -> list[Bad]:
    """Without what a path that is known to be broken does: it says nothing about one place."""
    held = ((bad, scene.covering(bad.route, family)) for bad in found)
    return [bad for bad, state in held if state is None or state.last.scope.kind is not ScopeKind.PATH]


def is_news(scene: Scene, found: Iterable[Bad], family: Symptom) -> bool:
    """Of some of it no open incident has told yet."""
    return any(scene.covering(bad.route, family) is None for bad in found)
