"""What opens without a probe: we cannot look, there is no budget. What lies in tripwires opens likewise (tripwires)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from monitor.model.incident import EVERYWHERE, Opening, Scope, ScopeKind, Severity
from monitor.model.instant import Instant
from monitor.model.policy import Role
from monitor.model.probe import MailboxName
from monitor.model.verdict import Symptom
from monitor.rules.incident.scene import Scene
from monitor.views.incidents import IncidentState

ALL_BLIND_AFTER = 300.0  # seconds without sight of any mailbox: shorter than for one, for nothing at all is watched


@dataclass(frozen=True, slots=True)
class Trouble:
    """To be opened at once."""

    symptom: Symptom
    scope: Scope
    since: Instant
    evidence: tuple[int, ...]
    opening: Opening
    severity: Severity
    shows: tuple[str, ...] = ()  # in plain words


def troubles(scene: Scene) -> list[Trouble]:
    return [*_blind(scene), *_budgets(scene)]


def next_blind(scene: Scene) -> float | None:
    """Seconds until a blind mailbox has been so for long enough, if nothing else happens; None: none is blind."""
    limits = (scene.policy.incidents.blind_after, ALL_BLIND_AFTER)
    blind = scene.world.evidence.blind
    waits = [limit - scene.now.seconds_since(since) for since in blind.values() for limit in limits]
    if blind:  # a person may have closed it meanwhile
        ends = [resolved_at(scene, Symptom.MAILBOX_BLIND, scope) for scope in (EVERYWHERE, *map(_of, blind))]
        waits += [scene.policy.incidents.blind_after - scene.now.seconds_since(ended) for ended in ends if ended is not None]
    return min((wait for wait in waits if wait > 0), default=None)


def is_told(scene: Scene, symptom: Symptom, scope: Scope) -> bool:
    """An open incident tells of it."""
    held = [state.last.scope for state in scene.incidents.open() if state.last.symptom is symptom]
    return scope in held or EVERYWHERE in held


def resolved_at(scene: Scene, symptom: Symptom, scope: Scope) -> Instant | None:
    ends = (scene.ended(state) for state in _about(scene, symptom, scope))
    return max((at for at in ends if at is not None), key=lambda at: at.utc, default=None)


def is_new(scene: Scene, symptom: Symptom, scope: Scope, at: Instant) -> bool:
    """Not told of, and younger than the last resolution."""
    ends = (state.resolved_at for state in _about(scene, symptom, scope))
    return not is_told(scene, symptom, scope) and all(scene.is_after(at, end) for end in ends if end is not None)


def _about(scene: Scene, symptom: Symptom, scope: Scope) -> Iterator[IncidentState]:
    return (state for state in scene.incidents.known.values() if state.last.symptom is symptom and state.last.scope == scope)


def _blind(scene: Scene) -> list[Trouble]:
    """Only what this process has tried to see: while nobody looked, nobody was blind."""
    process = scene.now.process
    boxes = scene.world.mailboxes
    blind = {
        name: since
        for name, since in scene.world.evidence.blind.items()
        if name in scene.policy.mailboxes and name in boxes and boxes[name].known_to(process)
    }
    if not blind:
        return []
    seeds = [name for name in scene.layout.of_mailbox if scene.policy.mailboxes[name].role is Role.SEED]
    if seeds and all(name in blind and scene.now.seconds_since(blind[name]) >= ALL_BLIND_AFTER for name in seeds):
        since = max((blind[name] for name in seeds), key=lambda at: at.utc)
        if _closed_by_hand(scene, EVERYWHERE, since):
            return []
        if not is_told(scene, Symptom.MAILBOX_BLIND, EVERYWHERE):
            return [Trouble(Symptom.MAILBOX_BLIND, EVERYWHERE, since, (), Opening.BLIND, Severity.PAGE)]
    return [
        Trouble(Symptom.MAILBOX_BLIND, _of(name), since, (), Opening.BLIND, Severity.TICKET)
        for name, since in blind.items()
        if scene.now.seconds_since(since) >= scene.policy.incidents.blind_after
        and not is_told(scene, Symptom.MAILBOX_BLIND, _of(name))
        and not _closed_by_hand(scene, _of(name), since)
    ]


def _of(mailbox: MailboxName) -> Scope:
    return Scope(ScopeKind.MAILBOX, mailbox)


def _closed_by_hand(scene: Scene, scope: Scope, since: Instant) -> bool:
    """A person said that it is over, and it has been blind all the while: told again after the same patience."""
    ended = resolved_at(scene, Symptom.MAILBOX_BLIND, scope)
    if ended is None or since.seconds_since(ended) > 0:
        return False
    return scene.now.seconds_since(ended) < scene.policy.incidents.blind_after


def _budgets(scene: Scene) -> list[Trouble]:
    found = []
    for path, withheld in scene.world.evidence.withheld.items():
        scope = Scope(ScopeKind.PATH, path)
        if path in scene.layout.of_path and is_new(scene, Symptom.BUDGET, scope, withheld.at):
            found.append(Trouble(Symptom.BUDGET, scope, withheld.at, (withheld.seq,), Opening.BLIND, Severity.TICKET))
    return found
