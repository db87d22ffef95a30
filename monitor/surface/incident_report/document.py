"""The report as one JSON document, made from the incident's own document and from what the daemon knows beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from monitor.desk import Desk
from monitor.model.facts import DeployMarked
from monitor.model.incident import DeployCandidate, as_it_is
from monitor.model.instant import Instant
from monitor.model.ledger import DifferenceClass, Impact
from monitor.rules.deploys import worded
from monitor.rules.heading import TITLES
from monitor.rules.plain import plain
from monitor.surface.incident_report.detection import detection
from monitor.surface.incident_report.phrases import People, length, nameless, probes_text, summary
from monitor.surface.incident_report.status_page import status_page
from monitor.surface.incident_report.timeline import BEFORE, ended, people, timeline
from monitor.surface.incidents import incident_story, state_of
from monitor.views.incidents import IncidentState

Document = Mapping[str, Any]
Row = dict[str, object]

SCHEMA = "mailcanary.incident-report/v1"
MOST_CANDIDATES, MOST_RELATED, MOST_GATES = 40, 50, 20
# who cancelled a gate, or paused submission while it ran: as its reason says it (rules.gate), also when nothing else remembers
SIGNED = re.compile(r"(?:cancelled|submission is paused since .{1,30}?) by (.+?)(?:: |:?$)")

BLANKS = (
    ("contributing_factors", "Contributing factors", "What made this possible, and what made it worse? Conditions, not persons."),
    ("went_well", "What went well", "Which alarms, tools and habits helped?"),
    ("went_wrong", "What went wrong", "What was slow, missing or misleading?"),
    ("lucky", "Where we were lucky", "What could have been worse, and was not, by chance?"),
    ("actions", "Actions", "One line each: what, owner, ticket, due date."),
    ("published", "Status page, as published", "Which updates were published, where and when?"),
)


def incident_report(desk: Desk, state: IncidentState, impact_now: Impact | None = None) -> Row:
    """Schema `mailcanary.incident-report/v1` (config/incident-report.schema.json): every key always there, additive changes only. Of an
    incident that was opened. No address, no refund number, no person's name where we know that it is one."""
    story: Document = incident_story(desk, state, impact_now)
    names = people(desk, state)
    story = {**story, "diagnosis": _diagnosis(story["diagnosis"], names)}
    found = detection(story, state, desk.world.outbox.of(state.id))
    return {
        "schema": SCHEMA,
        **{key: story[key] for key in ("environment", "at", "id", "state", "severity", "symptom", "scope", "title", "episode")},
        "still_open": state.resolved_at is None,
        "summary": summary(story, found),
        "began": story["since"],
        "last_good": story["last_good"],
        "resolved_at": story["resolved_at"],
        "seconds": story["seconds"],
        "episodes": story["openings"],
        "impact": _impact(desk, story),
        "detection": found,
        "timeline": timeline(desk, state, story),
        "diagnosis": story["diagnosis"],
        "routes": story["routes"],
        "candidates": [*_candidates(desk, state, story, names)][:MOST_CANDIDATES],
        "related": [*_related(desk, state)][:MOST_RELATED],
        "notifications": _notifications(story),
        "gates": [*_gates(desk, state, names)][-MOST_GATES:],
        "ledger": _ledger(desk, state),
        "next_step": story["diagnosis"]["next_step"] if story["diagnosis"] else "",
        "runbook": story["runbook"],
        "blanks": [{"name": name, "title": title, "hint": hint} for name, title, hint in BLANKS],
        "status_page": status_page(story, state.last.symptom, state.last.severity, state.last.scope.kind),
    }


def _diagnosis(diagnosis: Document | None, names: People) -> Document | None:
    """Older documents have neither confidence nor what speaks against it."""
    if diagnosis is None:
        return None
    lines = {key: [nameless(line, names) for line in diagnosis.get(key) or ()] for key in ("shows", "against", "changed")}
    return {
        "layer": diagnosis["layer"],
        "confidence": diagnosis.get("confidence"),
        "summary": diagnosis["summary"],
        **lines,
        "said": diagnosis["said"],
        "next_step": nameless(diagnosis["next_step"], names),
    }


def _impact(desk: Desk, story: Document) -> Row:
    """`told`: as people were told; `now`: as the ledger has it now. Null is not nothing: `measured` says whether there is a ledger."""
    enabled = desk.policy.ledger.enabled
    measured = story["impact"] is not None or story["impact_now"] is not None
    why = "" if measured else "the ledger said nothing in time" if enabled else "no ledger is configured"
    return {
        "measured": measured,
        "why": why,
        "told": story["impact"],
        "now": story["impact_now"],
        "probes": story["tallies"],
        "probes_text": probes_text(story["tallies"]),
    }


def _candidates(desk: Desk, state: IncidentState, story: Document, names: People) -> Iterator[Row]:
    """What changed shortly before: candidates, never causes."""
    opened = state.opened.deploys if state.opened is not None and not state.last.deploys else state.last.deploys
    for deploy in opened:
        yield _deploy(deploy, desk.world.incidents.deploys)
    since = state.last.since.utc
    for domain, known in desk.world.zones.domains.items():
        for drift in known.drifts:
            if since - BEFORE <= drift.first_seen <= since:
                text = f"{plain(domain)}: {plain(drift.what)}; it began {length(since - drift.first_seen)} after that was first seen"
                yield {"kind": "drift", "text": text, "at": Instant(drift.first_seen, 0.0, "").iso(), "link": None}
    for line in story["diagnosis"]["changed"] if story["diagnosis"] else ():
        yield {"kind": "change", "text": nameless(line, names), "at": None, "link": None}


def _deploy(deploy: DeployCandidate, markers: Sequence[DeployMarked]) -> Row:
    """In words of today: what was still running when people were told may be over, or undone."""
    return {"kind": "deploy", "text": plain(worded(replace(deploy, by=""), markers)), "at": deploy.at.iso(), "link": deploy.link.value}


def _related(desk: Desk, state: IncidentState) -> Iterator[Row]:
    """Its parts, what it is a part of, and which incident may be the reason of which."""
    all_known = desk.world.incidents.known
    of = state.last.cause or (state.opened.cause if state.opened else None)
    for name, how in ((state.last.parent, "part of"), (of, "possible cause")):
        other = all_known.get(name) if name is not None else None
        if other is not None:
            yield _other(other, how)
    for other in all_known.values():
        if other.last.parent == state.id:
            yield _other(other, "part")
        elif other.last.cause == state.id or (other.opened is not None and other.opened.cause == state.id):
            yield _other(other, "possible consequence")


def _other(state: IncidentState, how: str) -> Row:
    return {
        "id": state.id,
        "relation": how,
        "state": state_of(state).value,
        "severity": state.last.severity.value,
        "title": TITLES[as_it_is(state.last.symptom, state.last.severity)],
        "scope": plain(str(state.last.scope)),
        "since": state.last.since.iso(),
        "resolved_at": state.resolved_at.iso() if state.resolved_at else None,
    }


def _notifications(story: Document) -> Row:
    """How many changes were told, per channel; `given_up` are those that a channel never took."""
    channels: dict[str, dict[str, int]] = {}
    for item in story["notifications"]:
        for taken in item["taken"]:
            _counted(channels, taken["channel"])["taken"] += 1
        for failure in item["failed"]:
            _counted(channels, failure["channel"])["given_up" if failure["given_up"] else "failed"] += 1
    return {
        "changes": len(story["notifications"]),
        "pending": sum(item["pending"] for item in story["notifications"]),
        "superseded": sum(item["superseded"] for item in story["notifications"]),
        "channels": [{"channel": name, **counts} for name, counts in channels.items()],
    }


def _counted(channels: dict[str, dict[str, int]], name: str) -> dict[str, int]:
    return channels.setdefault(name, {"taken": 0, "failed": 0, "given_up": 0})


def _gates(desk: Desk, state: IncidentState, names: People) -> Iterator[Row]:
    since, until = state.last.since.utc - BEFORE, ended(desk, state).utc
    decided = [decision for gate in desk.world.gates.known.values() for decision in gate.decisions if since <= decision.at.utc <= until]
    for decision in sorted(decided, key=lambda decision: decision.at.utc):
        yield {
            "gate": decision.gate,
            "deploy": plain(decision.deploy),
            "verdict": decision.verdict.value,
            "at": decision.at.iso(),
            "reason": _reason(plain(decision.reason), names),
        }


def _reason(text: str, names: People) -> str:
    signed = SIGNED.match(text)
    return nameless(text, replace(names, acted=names.acted | {signed[1]}) if signed else names)


def _ledger(desk: Desk, state: IncidentState) -> Row | None:
    """Open differences by class: by the last comparison before the incident, and by the latest. `before` null: not known any more."""
    if not desk.policy.ledger.enabled:
        return None
    view = desk.world.ledger
    first = min((*(state.opened.evidence if state.opened else ()), state.opened_seq or state.last_seq))
    before = next((counted for counted in reversed(view.counted) if counted.seq < first), None)
    return {
        "before": {kind.value: before.open.get(kind.value, 0) for kind in DifferenceClass} if before else None,
        "now": {kind.value: view.of(kind).open for kind in DifferenceClass} if view.last else None,
        "compared_at": view.last.at.iso() if view.last else None,
    }
