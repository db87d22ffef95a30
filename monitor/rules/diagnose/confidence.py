"""How sure a diagnosis is, and what speaks against it or was not there to be seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from monitor.model.incident import Confidence, Layer
from monitor.model.policy import Policy
from monitor.rules.diagnose.advice import named
from monitor.rules.diagnose.layer import Finding
from monitor.rules.diagnose.pattern import Pattern
from monitor.views.world import World

ENOUGH = 2  # bad probes: a single one may be a loss that has nothing to do with a layer

LAYERS: dict[Layer, str] = {
    Layer.APPLICATION: "the application",
    Layer.RELAY: "the relay",
    Layer.AUTHENTICATION: "our mail's authentication",
    Layer.DNS: "DNS",
    Layer.PROVIDER: "the mailbox provider",
    Layer.MAILBOX: "that mailbox",
    Layer.MONITOR: "the monitor's own side",
}
_LIKELY = {Confidence.HIGH: "", Confidence.MEDIUM: "probably ", Confidence.LOW: "perhaps "}


def likely(layer: Layer, confidence: Confidence | None) -> str:
    """The layer in words: "the relay", "probably the relay", "perhaps the relay"; plain where nobody said how sure it is."""
    return f"{_LIKELY[confidence] if confidence is not None else ''}{LAYERS[layer]}"


def weighed(contradicted: Sequence[str], doubts: Sequence[str], told: bool = False) -> Confidence:
    """By what speaks against it, and by what could not be seen. `told`: it is said, and does not have to be inferred."""
    if told:
        return Confidence.MEDIUM if contradicted else Confidence.HIGH
    if contradicted:
        return Confidence.LOW
    return Confidence.MEDIUM if doubts else Confidence.HIGH


def of_pattern(world: World, policy: Policy, pattern: Pattern, finding: Finding) -> tuple[Confidence, tuple[str, ...]]:
    """Of what probes show. Against it stand first what contradicts it, then what could not be told apart or seen."""
    contradicted = [*finding.contradicted, *([] if finding.told else (*_few(pattern), *_spared(pattern, finding)))]
    doubts = [*finding.doubts, *_hidden(world, pattern), *_besides(pattern, finding)]
    unseen = list(_unseen(policy, pattern, finding))
    if unseen and len({seen.route.path for seen in pattern.observations}) < 2:  # no path at all to compare with
        doubts += unseen
    return weighed(contradicted, doubts, finding.told), tuple(dict.fromkeys((*contradicted, *doubts, *unseen)))


def _few(pattern: Pattern) -> Iterator[str]:
    if len(pattern.bad) < ENOUGH and pattern.failing:
        yield "a single probe shows it" if pattern.bad else "no probe since then shows it any more"


def _spared(pattern: Pattern, finding: Finding) -> Iterator[str]:
    """Where the same mail is well although the fault is wide."""
    if finding.narrow:
        return
    paths = sorted({route.path for route in pattern.failing})
    counts = [pattern.counts(path) for path in paths]
    places = {place for count in counts for place in count}
    fine = sorted(place for place in places if not any(count.get(place, (0, 0))[0] for count in counts))
    if fine and len(fine) < len(places):
        yield f"mail of {named(paths, '')} is well at {named(fine, '')}"


def _hidden(world: World, pattern: Pattern) -> Iterator[str]:
    """Providers of which nothing is known, because we cannot look into any mailbox there."""
    seen = {observation.provider for observation in pattern.observations}
    for place in sorted(set(pattern.providers.values()) - seen):
        boxes = sorted(name for name, at in pattern.providers.items() if at == place)
        if all((box := world.mailboxes.get(name)) is not None and box.blind is not None for name in boxes):
            yield f"nothing is known of {place}: {named(boxes, '')} cannot be looked into"


def _besides(pattern: Pattern, finding: Finding) -> Iterator[str]:
    """What other places say, where the fault is narrow."""
    places = pattern.places(pattern.failing)
    others = sorted(pattern.places(pattern.fine) - places)
    if finding.narrow and finding.told and others and finding.layer not in (Layer.PROVIDER, Layer.MAILBOX):
        yield f"{named(others, '')} {'take' if len(others) > 1 else 'takes'} the same mail"
    if finding.narrow and not finding.told and len(places) > 1:
        yield f"it fails at more than one provider: {named(sorted(places), '')}"


def _unseen(policy: Policy, pattern: Pattern, finding: Finding) -> Iterator[str]:
    seen = {observation.route.path for observation in pattern.observations}
    for path in sorted({route.path for route in policy.routes} - seen):
        if not any(path in doubt for doubt in finding.doubts):
            yield f"{path}: no evidence since then"
