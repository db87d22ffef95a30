"""What happened, in its order, each line with what shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from monitor.desk import Desk
from monitor.model.incident import Phase
from monitor.model.instant import Instant
from monitor.rules.plain import plain
from monitor.surface.incident_report.phrases import People, nameless
from monitor.views.incidents import IncidentState, Step, word_of

Document = Mapping[str, Any]
Row = dict[str, object]

BEFORE = 7200.0  # seconds before it began in which a change is shown
MOST_ROWS = 200
ON_CALL, MONITOR, PIPELINE = "on-call", "mailcanary", "pipeline"

WORDS = {
    Phase.SUSPECTED.value: "suspected; confirm probes went out",
    Phase.OPENED.value: "opened",
    Phase.GROWN.value: "grew",
    Phase.ACKNOWLEDGED.value: "acknowledged",
    Phase.RECOVERING.value: "recovering: the latest evidence of every affected route is good",
    Phase.RELAPSED.value: "relapsed: bad evidence while it was recovering",
    Phase.SILENCED.value: "a silence",
    Phase.FLAPPING.value: "flapping: it opens and is resolved again and again",
    Phase.RESOLVED.value: "resolved",
    "noted": "noted",
    "resolve asked": "somebody said that it is over",
}


def timeline(desk: Desk, state: IncidentState, story: Document) -> list[Row]:
    """UTC, the oldest first; bounded: the middle goes. Persons are "on-call"."""
    rows = [*_edges(story, state), *_steps(desk, state), *_told(desk, state), *_deploys(desk, state), *_drifts(desk, state)]
    rows.sort(key=lambda row: str(row["at"]))
    half = MOST_ROWS // 2
    return rows if len(rows) <= MOST_ROWS else [*rows[:half], *rows[-half:]]


def ended(desk: Desk, state: IncidentState) -> Instant:
    return state.resolved_at or desk.clock.now()


def people(desk: Desk, state: IncidentState) -> People:
    """Who acted: names that a report leaves out."""
    world = desk.world
    silences, gates = world.incidents.silences.values(), world.gates.known.values()
    acted = {step.by for step in state.steps} | {silence.fact.by for silence in silences}
    acted |= {silence.ended.by for silence in silences if silence.ended is not None}
    acted |= {gate.override.by for gate in gates if gate.override is not None} | ({world.paused.by} if world.paused is not None else set())
    marked = {marker.by for marker in world.incidents.deploys} | {gate.cancelled.by for gate in gates if gate.cancelled is not None}
    return People(_as_shown(acted), _as_shown(marked))


def _as_shown(names: Iterable[str]) -> frozenset[str]:
    return frozenset(shown for name in names if name for shown in (name, plain(name)))


def _edges(story: Document, state: IncidentState) -> Iterator[Row]:
    evidence = state.opened.evidence if state.opened else state.last.evidence
    if story["last_good"]:
        yield _row(story["last_good"], "last good", "the last good evidence before it began", MONITOR, "")
    yield _row(story["since"], "began", "the first bad evidence", MONITOR, f"fact {min(evidence)}" if evidence else "")


def _steps(desk: Desk, state: IncidentState) -> Iterator[Row]:
    names = people(desk, state)
    promised = [item for item in desk.world.outbox.of(state.id) if not item.held]  # what is held may be the end of a silence
    seqs = {(item.transition.phase.value, item.transition.at.iso()): item.seq for item in promised}
    answered: set[tuple[str, str]] = set()  # that a person acknowledged it is a fact, and its transition another: told once
    for step in state.steps:
        if step.what == Phase.ACKNOWLEDGED.value:
            if (step.by, step.text) in answered:
                continue
            answered |= {(step.by, step.text), (step.by, "")}
        seq = seqs.get((step.what, step.at.iso())) or _seq(state, step)
        said = nameless(plain(step.text), names)
        words = WORDS.get(step.what, step.what)
        yield _row(
            step.at.iso(),
            step.what,
            f"{words}: {said}" if said else words,
            ON_CALL if step.by else MONITOR,
            f"fact {seq}" if seq else "",
        )


def _seq(state: IncidentState, step: Step) -> int:
    if state.opened is not None and step.what == Phase.OPENED.value and step.at == state.opened.at:
        return state.opened_seq
    return state.last_seq if step.what == word_of(state.last) and step.at == state.last.at else 0


def _told(desk: Desk, state: IncidentState) -> Iterator[Row]:
    """When people first heard of each change; what failed stands with the notifications."""
    for item in desk.world.outbox.of(state.id):
        if item.taken:
            channel, at = min(item.taken.items(), key=lambda taken: taken[1].utc)
            what = f"told of {item.transition.phase.value} ({item.transition.severity.value}) by channel {plain(channel)}"
            yield _row(at.iso(), "told", what, MONITOR, f"fact {item.seq}")


def _deploys(desk: Desk, state: IncidentState) -> Iterator[Row]:
    since, until = state.last.since.utc - BEFORE, ended(desk, state).utc
    for marker in desk.world.incidents.deploys:
        if since <= marker.at.utc <= until:
            name = " ".join(part for part in (marker.service, marker.version or marker.deploy) if part)
            yield _row(marker.at.iso(), "deploy", f"{plain(name)}: {marker.phase.value}", PIPELINE, f"deploy {plain(marker.deploy)}")


def _drifts(desk: Desk, state: IncidentState) -> Iterator[Row]:
    since, until = state.last.since.utc - BEFORE, ended(desk, state).utc
    for domain, known in desk.world.zones.domains.items():
        for drift in known.drifts:
            if since <= drift.first_seen <= until:
                at = Instant(drift.first_seen, 0.0, "").iso()
                yield _row(at, "zone changed", f"{plain(domain)}: {plain(drift.what)}", "zone", f"domain {plain(domain)}")


def _row(at: str, what: str, text: str, by: str, shown_by: str) -> Row:
    return {"at": at, "what": what, "text": text, "by": by, "shown_by": shown_by}
