"""Which routes are probed at once when one probe looks bad."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle, islice

from monitor.model.probe import Route
from monitor.rules.incident.scene import Scene

ROUND = 4  # probes


def confirm_round(scene: Scene, suspect: Route) -> tuple[Route, ...]:
    """On the suspect's path: mailboxes of two other providers, and another one of its own, which tells the mailbox from its provider; again
    from the beginning where they are too few. And on another path to the suspect's mailbox, where there is one: does it arrive?"""
    others = [route for route in scene.layout.of_path.get(suspect.path, ()) if route.mailbox != suspect.mailbox and _can_see(scene, route)]
    own = scene.layout.provider(suspect)
    elsewhere = _spread(scene, [route for route in others if scene.layout.provider(route) != own])
    siblings = [route for route in others if scene.layout.provider(route) == own]
    ranked = [*elsewhere[:2], *siblings[:1], *elsewhere[2:], *siblings[1:], suspect]
    controls = [route for route in scene.layout.of_mailbox.get(suspect.mailbox, ()) if route.path != suspect.path]
    control = controls[:1]
    return (*islice(cycle(ranked), ROUND - len(control)), *control)


def _can_see(scene: Scene, route: Route) -> bool:
    return route.mailbox not in scene.world.evidence.blind


def _spread(scene: Scene, routes: Iterable[Route]) -> list[Route]:
    """One mailbox of each provider, then the second of each, and so on."""
    by_provider: dict[str, list[Route]] = {}
    for route in routes:
        by_provider.setdefault(scene.layout.provider(route), []).append(route)
    ranks = [(rank, provider, route) for provider, of in by_provider.items() for rank, route in enumerate(of)]
    return [route for _, _, route in sorted(ranks, key=lambda ranked: (ranked[0], ranked[1]))]
