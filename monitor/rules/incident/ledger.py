"""How refunds and confirmations differ becomes an incident too: one for each class of differences, one for volumes, one for blind sources.

Differences open at once, as a ticket or a page by how many are new since people last heard that it is over. Missing ones are over when all
that were missing are confirmed, reversed or forgotten; the others, which nothing can undo, when for an hour of fresh evidence on both sides
there was no new one. What stands still resolves nothing, and no probe opens or ends any of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from monitor.model.facts import SourceBlind, Transition
from monitor.model.incident import THE_LEDGER, Opening, Phase, Severity
from monitor.model.instant import Instant
from monitor.model.ledger import DifferenceClass, Side
from monitor.model.sources import LedgerPages
from monitor.model.verdict import Symptom
from monitor.rules.diagnose.ledger import LEDGER_SYMPTOMS
from monitor.rules.incident import telling
from monitor.rules.incident.scene import Scene
from monitor.rules.incident.telling import FLAP_SLOWER, GROWN_EVERY
from monitor.views.incidents import IncidentState
from monitor.views.ledger import CLASS_OF_SYMPTOM, STORE, SYMPTOM_OF_CLASS, LedgerView, read_until

QUIET = 3_600.0  # seconds that both sides must have been read on without another difference
VOLUME_AGREED = 60.0  # seconds between two reconciliations that show it
VOLUME_QUIET = 1_800.0  # seconds that both sides must have been read on without it


def is_about_ledger(state: IncidentState) -> bool:
    """It is opened and ended here."""
    return state.last.symptom in LEDGER_SYMPTOMS


def found(scene: Scene, full: bool) -> Transition | None:
    """The next one that nobody was told of. `full`: only what pages."""
    if not scene.policy.ledger.enabled:
        return None
    for kind, symptom in SYMPTOM_OF_CLASS.items():
        fresh = _ledger(scene).fresh(kind)
        if fresh and _is_news(scene, symptom):
            level = _level(scene.policy.ledger.pages, kind, fresh)
            if level is Severity.PAGE or not full:
                return _opened(scene, symptom, level, _began(scene, kind))
    volume = _volume_level(scene)
    if volume is not None and _is_news(scene, Symptom.VOLUME) and (volume is Severity.PAGE or not full):
        return _opened(scene, Symptom.VOLUME, volume, _volumes_began(scene))
    return None if full else _blinded(scene)


def next_blind(scene: Scene) -> float | None:
    """Seconds until a blind source has been so for long enough, if nothing else happens; None: none is blind."""
    patience = scene.policy.incidents.blind_after
    ages = [age for _, age in _blind(scene)]
    waits = [patience - age for age in ages]
    if ages and (ended := _resolved_at(scene, Symptom.LEDGER_BLIND)) is not None:
        waits.append(patience - scene.now.seconds_since(ended))
    return min((wait for wait in waits if wait > 0), default=None)


def follow(scene: Scene, state: IncidentState) -> Transition | None:
    """The next change of an open one; None: it stays as it is."""
    if not scene.policy.ledger.enabled:
        return telling.resolved(scene, state, "no ledger is configured any more")
    if state.last.symptom is Symptom.LEDGER_BLIND:
        return _after_blindness(scene, state)
    if state.last.symptom is Symptom.VOLUME:
        return _after_volume(scene, state)
    kind = CLASS_OF_SYMPTOM[state.last.symptom]
    return _more(scene, state, kind) or _better(scene, state, kind)


def _ledger(scene: Scene) -> LedgerView:
    return scene.world.ledger


def _about(scene: Scene, symptom: Symptom) -> list[IncidentState]:
    return [state for state in scene.incidents.known.values() if state.last.symptom is symptom]


def _is_news(scene: Scene, symptom: Symptom) -> bool:
    """Nothing open tells of it, and none was ended just now, of which the view has not heard yet."""
    return not any(state.is_open or state.last_seq > scene.world.seq for state in _about(scene, symptom))


def _resolved_at(scene: Scene, symptom: Symptom) -> Instant | None:
    ends = (scene.ended(state) for state in _about(scene, symptom))
    return max((at for at in ends if at is not None), key=lambda at: at.utc, default=None)


def _patience(state: IncidentState, seconds: float) -> float:
    return seconds * (FLAP_SLOWER if state.flapping else 1.0)


def _past(scene: Scene, utc: float) -> Instant:
    """When something happened of which only UTC is known; never later than now."""
    return scene.now.plus(min(0.0, utc - scene.now.utc))


def _opened(scene: Scene, symptom: Symptom, level: Severity, began: Instant) -> Transition:
    opening = Opening.BLIND if symptom is Symptom.LEDGER_BLIND else Opening.DIFFERENCE
    return telling.explained(scene, telling.begun(scene, symptom, THE_LEDGER, level, began, opening, _evidence(scene)))


def _grown(scene: Scene, state: IncidentState, level: Severity, note: str) -> Transition:
    fact = replace(telling.step(scene, state, Phase.GROWN, note), severity=level, evidence=_evidence(scene))
    return telling.explained(scene, fact)


def _evidence(scene: Scene) -> tuple[int, ...]:
    return (_ledger(scene).last_seq,) if _ledger(scene).last is not None else ()


# --- differences ----------------------------------------------------------------------------------------------------------


def _level(pages: LedgerPages, kind: DifferenceClass, fresh: int) -> Severity:
    most = {
        DifferenceClass.MISSING: pages.missing,
        DifferenceClass.SPURIOUS: pages.spurious,
        DifferenceClass.MISMATCHED: pages.mismatched,
        DifferenceClass.DUPLICATE: pages.duplicate,
    }[kind]
    return Severity.PAGE if fresh >= most else Severity.TICKET


def _began(scene: Scene, kind: DifferenceClass) -> Instant:
    """When the first refund of them was processed, or the first confirmation sent. Where older ones are left open that people know of, not
    before what had been decided on by then."""
    standing, heard = _ledger(scene).of(kind), _ledger(scene).of_people(kind)
    began = next((at for at in (standing.earliest, standing.latest) if at is not None), scene.now.utc)
    if heard.left and heard.until is not None:
        policy = scene.policy.ledger
        began = max(began, heard.until - (policy.refund_within if kind is DifferenceClass.SPURIOUS else policy.confirm_within))
    return _past(scene, began)


def _more(scene: Scene, state: IncidentState, kind: DifferenceClass) -> Transition | None:
    fresh, heard = _ledger(scene).fresh(kind), _ledger(scene).of_people(kind)
    if state.recovering and _ledger(scene).of(kind).open:
        return telling.step(scene, state, Phase.RELAPSED)
    told = max(0, heard.told - heard.settled)
    note = f"{fresh} now, {told} when last told"
    if state.last.severity is Severity.TICKET and _level(scene.policy.ledger.pages, kind, fresh) is Severity.PAGE:
        return _grown(scene, state, Severity.PAGE, note)
    patient = state.told is None or scene.now.seconds_since(state.told) >= GROWN_EVERY
    if patient and fresh > told and fresh >= 2 * told:
        return _grown(scene, state, state.last.severity, note)
    return None


def _better(scene: Scene, state: IncidentState, kind: DifferenceClass) -> Transition | None:
    standing, heard = _ledger(scene).of(kind), _ledger(scene).of_people(kind)
    if standing.found < heard.told:
        return None  # the store was lost: what it had found is neither open nor over
    if kind is DifferenceClass.MISSING:
        if standing.open or _ledger(scene).last is None:
            return None
        return _ended(scene, state, "every refund that was missing is confirmed, reversed or forgotten")
    last, until = _ledger(scene).last, standing.latest
    reached = read_until(last.standing) if last is not None else None
    quiet_from = until if until is not None else (state.told or state.last.since).utc
    patience = _patience(state, QUIET)
    if last is None or reached is None or min(reached, last.at.utc) - quiet_from < patience:
        return None
    return telling.resolved(scene, state, f"no other one in {patience / 3_600:.0f} h of fresh refunds and confirmations")


def _ended(scene: Scene, state: IncidentState, note: str) -> Transition | None:
    """At once; where it flaps, only when a reconciliation much later says the same."""
    if not state.flapping:
        return telling.resolved(scene, state, note)
    if not state.recovering:
        return telling.step(scene, state, Phase.RECOVERING)
    last = _ledger(scene).last
    if last is not None and last.at.seconds_since(_recovering_since(state)) >= _patience(state, scene.policy.incidents.recover_after):
        return telling.resolved(scene, state, note)
    return None


def _recovering_since(state: IncidentState) -> Instant:
    return next((step.at for step in reversed(state.steps) if step.what == Phase.RECOVERING.value), state.last.at)


# --- volumes --------------------------------------------------------------------------------------------------------------


def _volume_level(scene: Scene) -> Severity | None:
    """Of what two reconciliations in a row show, each with fresh evidence; None: nothing is certain."""
    ledger = _ledger(scene)
    if ledger.last is None or not scene.policy.ledger.volume:
        return None
    reached = read_until(ledger.last.standing)
    ends = [state.resolved_at for state in _about(scene, Symptom.VOLUME) if state.resolved_at is not None]
    certain = [
        name
        for name, stretch in ledger.shown.items()
        if ledger.last.at.seconds_since(stretch.since) >= VOLUME_AGREED
        and reached is not None
        and stretch.until is not None
        and reached > stretch.until
        and all(scene.is_after(stretch.since, end) for end in ends)
    ]
    if not certain:
        return None
    return Severity.PAGE if any(name.endswith(f"/{Side.CONFIRMATIONS.value}") for name in certain) else Severity.TICKET


def _volumes_began(scene: Scene) -> Instant:
    last = _ledger(scene).last
    return _past(scene, min((volume.began for volume in last.volumes), default=scene.now.utc) if last is not None else scene.now.utc)


def _after_volume(scene: Scene, state: IncidentState) -> Transition | None:
    ledger = _ledger(scene)
    if not scene.policy.ledger.volume:
        return telling.resolved(scene, state, "volumes are no longer watched")
    if state.last.severity is Severity.TICKET and _volume_level(scene) is Severity.PAGE:
        return _grown(scene, state, Severity.PAGE, "confirmations now too")
    reached = read_until(ledger.last.standing) if ledger.last is not None else None
    if ledger.calm is None or ledger.calm.until is None or reached is None:
        return None
    if reached - ledger.calm.until < _patience(state, VOLUME_QUIET):
        return None
    return telling.resolved(scene, state, "refunds and confirmations are as many as they should be again")


# --- blindness ------------------------------------------------------------------------------------------------------------


def _blind(scene: Scene) -> Iterator[tuple[SourceBlind, float]]:
    """Sources that cannot be read, and for how long as this process knows: while nobody read, nobody was blind."""
    started = scene.world.started
    for source, blind in _ledger(scene).blind.items():
        if source != STORE and source not in scene.policy.ledger.sources:
            continue
        since = blind.at
        if since.process != scene.now.process and started is not None and started.at.process == scene.now.process:
            since = started.at
        yield blind, scene.now.seconds_since(since)


def _blinded(scene: Scene) -> Transition | None:
    """None: none is blind for long, it is told of, or a person has closed it and the same patience is not over yet."""
    patience = scene.policy.incidents.blind_after
    age = max((age for _, age in _blind(scene)), default=0.0)
    if age < patience or not _is_news(scene, Symptom.LEDGER_BLIND):
        return None
    ended = _resolved_at(scene, Symptom.LEDGER_BLIND)
    if ended is not None and scene.now.seconds_since(ended) < min(age, patience):
        return None
    return _opened(scene, Symptom.LEDGER_BLIND, Severity.TICKET, scene.now.plus(-age))


def _after_blindness(scene: Scene, state: IncidentState) -> Transition | None:
    blind = list(_blind(scene))
    if not blind:
        return _ended(scene, state, "refunds and confirmations are read again")
    if state.recovering:
        return telling.step(scene, state, Phase.RELAPSED)
    patience, told = scene.policy.incidents.blind_after, state.told or state.last.at
    also = [one.source for one, age in blind if age >= patience and one.at.seconds_since(told) > -patience]
    if also and scene.now.seconds_since(told) >= GROWN_EVERY:
        return _grown(scene, state, state.last.severity, f"also {', '.join(also[:3])}{' and more' if len(also) > 3 else ''}")
    return None
