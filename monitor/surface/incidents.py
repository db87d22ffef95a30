"""Incidents as JSON: a list, and the whole story of one. No address, no refund number; what peers and people said is masked and escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from monitor.desk import Desk
from monitor.model.facts import DeployMarked, NotifyFailed, Transition
from monitor.model.incident import DeployCandidate, Diagnosis, Phase, as_it_is
from monitor.model.instant import Instant
from monitor.model.ledger import Impact
from monitor.model.notice import Call
from monitor.rules.deploys import rolled_back, worded
from monitor.rules.diagnose.advice import deploy_name
from monitor.rules.freshness import of_incident
from monitor.rules.heading import TITLES
from monitor.rules.notice import render
from monitor.rules.notify import hushed, owed
from monitor.rules.plain import plain
from monitor.rules.reconcile.impact import worded as worded_impact
from monitor.surface.evidence import evidence
from monitor.surface.ledger import impact_row
from monitor.views.incidents import IncidentState
from monitor.views.outbox import Item
from monitor.views.world import World

Row = dict[str, object]
MOST_PARTS = 20  # of one incident that are shown, the first
MOST_TOLD = 100  # notifications of one incident that are shown, the latest


class Shown(StrEnum):
    """Which incidents are asked for."""

    OPEN = "open"
    SUSPECTED = "suspected"
    RESOLVED = "resolved"
    ALL = "all"


def known(world: World, shown: Shown) -> list[IncidentState]:
    """Those in this state that the view keeps, newest first."""
    states = reversed(world.incidents.known.values())
    return [state for state in states if shown is Shown.ALL or state_of(state) is shown]


def state_of(state: IncidentState) -> Shown:
    if state.resolved_at is not None:
        return Shown.RESOLVED
    return Shown.OPEN if state.is_open else Shown.SUSPECTED


def incident_list(desk: Desk, shown: Shown) -> Row:
    """Schema `mailcanary.incidents/v1`."""
    now = desk.clock.now()
    return {
        "schema": "mailcanary.incidents/v1",
        "environment": desk.policy.environment,
        "at": now.iso(),
        "state": shown.value,
        "counts": {each.value: len(known(desk.world, each)) for each in Shown if each is not Shown.ALL},
        "incidents": [incident_row(desk, state, now) for state in known(desk.world, shown)],
        "evidence": evidence(desk, now),
    }


def incident_row(desk: Desk, state: IncidentState, now: Instant) -> Row:
    """`silenced_until`: by a person, or by what was planned; `cause`: the open incident of a domain that may be the reason, a candidate;
    `stale`: it is open, and nothing fresh is known of what it affects."""
    last, diagnosis = state.last, _diagnosis(state)
    seen, silent = of_incident(desk.world, desk.policy, last, now), _silent_until(state)
    return {
        "id": state.id,
        "state": state_of(state).value,
        "severity": last.severity.value,
        "symptom": last.symptom.value,
        "scope": plain(str(last.scope)),
        "title": TITLES[as_it_is(last.symptom, last.severity)],
        "summary": plain(diagnosis.summary) if diagnosis else "",
        "since": last.since.iso(),
        "opened_at": state.opened.at.iso() if state.opened else None,
        "resolved_at": state.resolved_at.iso() if state.resolved_at else None,
        "episode": last.episode,
        "recovering": state.recovering,
        "flapping": state.flapping,
        "parent": last.parent,
        "cause": last.cause,
        "stale": state.is_open and seen.stale,
        "last_evidence_at": _iso_of(seen.last),
        "acknowledged_by": plain(state.acknowledged.by) if state.acknowledged else None,
        "silenced_until": _iso(silent) if silent > now.utc else None,
    }


def _silent_until(state: IncidentState) -> float:
    return max(state.silenced.until if state.silenced else 0.0, state.quiet_until)


def incident_story(desk: Desk, state: IncidentState, impact_now: Impact | None = None) -> Row:
    """Schema `mailcanary.incident/v1`: every key always there, additive changes only. `impact`: as people were told; `impact_now`: as the
    ledger has it now, None where it was not asked."""
    now, policy = desk.clock.now(), desk.policy
    ended = state.resolved_at or now
    told, told_impact = _latest(state, "tallies"), _latest(state, "impact")
    pending = {item.seq for item in owed(desk.world.outbox, policy.notify, now)}
    notice = render(state.last, policy, "", Call.FIRE)
    return {
        "schema": "mailcanary.incident/v1",
        "environment": policy.environment,
        "at": now.iso(),
        **incident_row(desk, state, now),
        "seconds": round(max(0.0, ended.seconds_since(state.last.since)), 3),
        "opening": state.opened.opening.value if state.opened and state.opened.opening else None,
        "last_good": _iso_of(_latest(state, "last_good").last_good),
        "routes": [plain(route) for route in state.last.routes],
        "parts": [_part(part) for part in desk.world.incidents.parts(state.id)[:MOST_PARTS]],
        "diagnosis": _diagnosed(_diagnosis(state)),
        "tallies": [
            {"path": plain(tally.path), "provider": plain(tally.provider), "bad": tally.bad, "sent": tally.sent} for tally in told.tallies
        ],
        "to_do": plain(_to_do(desk, state)),
        "deploys": [_candidate(candidate, desk.world.incidents.deploys) for candidate in _latest(state, "deploys").deploys],
        "evidence": list(_latest(state, "evidence").evidence),
        "acknowledged": _said(state.acknowledged.at, state.acknowledged.by, state.acknowledged.text) if state.acknowledged else None,
        "silenced": {**_said(state.silenced.at, state.silenced.by, state.silenced.reason), "until": _iso(state.silenced.until)}
        if state.silenced
        else None,
        "resolve_asked": _said(state.resolve_asked.at, state.resolve_asked.by, state.resolve_asked.reason) if state.resolve_asked else None,
        "openings": [at.iso() for at in state.openings],
        "impact": _impact(told_impact.impact, told_impact, told_impact.phase is Phase.RESOLVED),
        "impact_now": _impact(impact_now, state.last, state.resolved_at is not None),
        "steps": _steps(state),
        "hushed": hushed(desk.world.outbox, state.id, now) or None,
        "notifications": [_notification(item, item.seq in pending) for item in desk.world.outbox.of(state.id)[-MOST_TOLD:]],
        "dedup_key": notice.dedup_key,
        "runbook": notice.runbook_url,
        "freshness": evidence(desk, now),
    }


def _part(state: IncidentState) -> Row:
    last = state.last
    title = TITLES[as_it_is(last.symptom, last.severity)]
    return {"id": state.id, "state": state_of(state).value, "title": title, "scope": plain(str(last.scope)), "since": last.since.iso()}


def _to_do(desk: Desk, state: IncidentState) -> str:
    """The next step of the diagnosis, unless it is over, or what was to be rolled back has been since."""
    diagnosis = _diagnosis(state)
    if state.resolved_at is not None:
        return f"nothing: it is over; `mailcanary incident report {state.id}` tells of it"
    if diagnosis is None:
        return ""
    markers = desk.world.incidents.deploys
    undone = [(rolled_back(each, markers), each) for each in _latest(state, "deploys").deploys]
    for at, candidate in undone:
        if at is not None and diagnosis.next_step.startswith(f"roll back {deploy_name(candidate)}"):
            return f"{deploy_name(candidate)} was rolled back at {at.iso()[11:19]}Z: watch the next probes"
    return diagnosis.next_step


def _impact(impact: Impact | None, transition: Transition, over: bool) -> Row | None:
    return None if impact is None else {**impact_row(impact), "text": plain(worded_impact(impact, transition.symptom, over))}


def _steps(state: IncidentState) -> list[Row]:
    """The timeline. That a person acknowledged it is a fact, and its transition another: told once."""
    rows: list[Row] = []
    said: set[tuple[str, str]] = set()
    for step in state.steps:
        if step.what == Phase.ACKNOWLEDGED.value:
            if (step.by, step.text) in said:
                continue
            said |= {(step.by, step.text), (step.by, "")}
        rows.append({"at": step.at.iso(), "what": step.what, "by": plain(step.by), "text": plain(step.text)})
    return rows


def _latest(state: IncidentState, name: str) -> Transition:
    """The latest transition that says it: what people do and a recovery repeat nothing."""
    return state.opened if state.opened is not None and not getattr(state.last, name) else state.last


def _diagnosis(state: IncidentState) -> Diagnosis | None:
    return (state.explained or _latest(state, "diagnosis")).diagnosis


def _diagnosed(diagnosis: Diagnosis | None) -> Mapping[str, object] | None:
    if diagnosis is None:
        return None
    return {
        "layer": diagnosis.layer.value,
        "confidence": diagnosis.confidence.value if diagnosis.confidence is not None else None,
        "summary": plain(diagnosis.summary),
        "shows": [plain(line) for line in diagnosis.shows],
        "against": [plain(line) for line in diagnosis.against],
        "said": [plain(line) for line in diagnosis.said],
        "changed": [plain(line) for line in diagnosis.changed],
        "next_step": plain(diagnosis.next_step),
    }


def _candidate(candidate: DeployCandidate, markers: Sequence[DeployMarked]) -> Row:
    return {
        "deploy": plain(candidate.deploy),
        "phase": candidate.phase.value,
        "service": plain(candidate.service),
        "version": plain(candidate.version),
        "by": plain(candidate.by),
        "at": candidate.at.iso(),
        "seconds_after": round(candidate.seconds_after, 3),
        "link": candidate.link.value,
        "text": plain(worded(candidate, markers)),
    }


def _said(at: Instant, by: str, text: str) -> Row:
    return {"at": at.iso(), "by": plain(by), "text": plain(text)}


def _notification(item: Item, pending: bool) -> Row:
    """One transition, and what became of telling it; a channel that is in neither list was not asked."""
    return {
        "of": item.transition.phase.value,
        "at": item.transition.at.iso(),
        "due_at": item.due.iso(),
        "superseded": item.superseded and not item.taken,
        "pending": pending,
        "taken": [{"channel": plain(name), "at": at.iso()} for name, at in item.taken.items()],
        "failed": [_failure(name, failure) for name, failure in item.failed.items()],
    }


def _failure(name: str, failure: NotifyFailed) -> Row:
    return {
        "channel": plain(name),
        "at": failure.at.iso(),
        "attempt": failure.attempt,
        "detail": plain(failure.detail),
        "mend": plain(failure.mend),
        "given_up": failure.retry_in is None,
    }


def _iso(utc: float) -> str:
    return Instant(utc, 0.0, "").iso()


def _iso_of(at: Instant | None) -> str | None:
    return at.iso() if at else None
