"""What becomes of an open incident: it grows, recovers, relapses, flaps, and ends by fresh good evidence or by a person's word."""

from __future__ import annotations

from dataclasses import dataclass, replace

from monitor.model.facts import Transition
from monitor.model.incident import Opening, Phase, ScopeKind, Severity
from monitor.model.instant import Instant
from monitor.model.policy import IncidentPolicy
from monitor.model.probe import MailboxName, PathName, Route
from monitor.model.verdict import Symptom
from monitor.rules.incident import causes, findings, gates, ledger, telling, tripwires
from monitor.rules.incident.layout import severity
from monitor.rules.incident.opening import find
from monitor.rules.incident.scene import Bad, Kind, Scene, family_of
from monitor.rules.incident.telling import FLAP_SLOWER, GROWN_EVERY
from monitor.rules.notice import BETTER_KNOWN
from monitor.views.incidents import IncidentState

FLAPS = 3  # openings
FLAP_WINDOW = 3_600.0  # seconds that hold them
LOSSY_GOOD = 30  # closed probes without a loss: five in a hundred would have shown, four times in five


def follow(scene: Scene, state: IncidentState) -> Transition | None:
    """The next change of this open incident; None: it stays as it is."""
    if state.resolve_asked is not None:
        asked = state.resolve_asked
        return telling.resolved(scene, state, asked.reason, asked.by)
    if state.acknowledged is not None and not state.answered:
        heard = state.acknowledged
        return telling.step(scene, state, Phase.ACKNOWLEDGED, heard.text, heard.by)
    if _is_gone(scene, state):
        return telling.resolved(scene, state, "what it was about is no longer configured")
    if not state.flapping and _flaps(scene, state):
        note = f"opened {FLAPS} times within the hour: it stays open, and recovery takes {FLAP_SLOWER:.0f} times as long"
        return telling.explained(scene, telling.step(scene, state, Phase.FLAPPING, note))
    if ledger.is_about_ledger(state):
        return ledger.follow(scene, state) or tripwires.outlives(scene, state)
    if findings.is_about_zone(state):
        return findings.follow(scene, state) or findings.outlives(scene, state)
    if state.last.symptom is Symptom.STRAY:
        return tripwires.follow(scene, state) or tripwires.outlives(scene, state)
    return _changed(scene, state) or _outlives(scene, state)


def _changed(scene: Scene, state: IncidentState) -> Transition | None:
    match state.last.symptom:
        case Symptom.IMITATION | Symptom.TRIPWIRE_LEAKED:
            return tripwires.follow(scene, state)
        case Symptom.MAILBOX_BLIND:
            return _after_blindness(scene, state)
        case Symptom.BUDGET:
            return _after_budget(scene, state)
        case Symptom.GATE_HOLD:
            return gates.follow(scene, state)
        case _:
            return _worse(scene, state) or _better(scene, state)


def _outlives(scene: Scene, state: IncidentState) -> Transition | None:
    """What it was a part of is over, or silent, and it is still bad: it becomes part of another one that holds it, or is told of again."""
    if not causes.is_left_alone(scene, state):
        return None
    family, affected = family_of(state.last.symptom), _affected(scene, state)
    bad = [found for route in affected if (found := scene.adverse(route, family))]
    blind = state.last.symptom is Symptom.MAILBOX_BLIND and state.last.scope.name in scene.world.evidence.blind
    if not bad and not blind:
        return None
    for other in scene.incidents.open():
        if other.id == state.id or other.parent is not None or family_of(other.last.symptom) is not family:
            continue
        if causes.is_silent(scene, other) or not causes.is_loud(other.last, state.last.severity):
            continue
        if other.last.scope.kind is ScopeKind.ALL or (affected and all(scene.layout.holds(other.last.scope, route) for route in affected)):
            return replace(telling.step(scene, state, Phase.GROWN, f"part of {other.id}"), parent=other.id)
    alone = replace(state.last, parent=None)
    if (speaker := causes.whole(scene, alone, causes.candidate(scene, alone))) is not None:
        return replace(telling.step(scene, state, Phase.GROWN, f"part of {speaker.id}"), parent=speaker.id)
    return telling.grown(scene, replace(state, last=alone), bad, state.last.severity, causes.goes_on(scene, state))


def patience(scene: Scene, state: IncidentState) -> float:
    """How long good evidence must last, in seconds."""
    return scene.policy.incidents.recover_after * (FLAP_SLOWER if state.flapping else 1.0)


def _flaps(scene: Scene, state: IncidentState) -> bool:
    if state.last.symptom is Symptom.GATE_HOLD:
        return False  # a pipeline that asks again and again
    return sum(scene.now.seconds_since(at) <= FLAP_WINDOW for at in state.openings) >= FLAPS


def _is_gone(scene: Scene, state: IncidentState) -> bool:
    scope = state.last.scope
    if scope.kind is ScopeKind.MAILBOX and MailboxName(scope.name) not in scene.policy.mailboxes:
        return True
    return bool(state.last.routes) and all(name not in scene.layout.routes for name in state.last.routes)


def _affected(scene: Scene, state: IncidentState) -> list[Route]:
    return [route for name in state.last.routes if (route := scene.layout.routes.get(name))]


# --- worse ----------------------------------------------------------------------------------------------------------------


def _worse(scene: Scene, state: IncidentState) -> Transition | None:
    family = family_of(state.last.symptom)
    within = scene.layout.within(state.last.scope)
    bad = [found for route in within if (found := scene.adverse(route, family))]
    if state.recovering and any(str(b.route) in state.last.routes for b in bad):
        return telling.step(scene, state, Phase.RELAPSED)
    new = [b for b in bad if str(b.route) not in state.last.routes and _first_cover(scene, state, b, family)]
    level = _level(scene, state, family, bad)
    if level is not state.last.severity:
        alone = replace(state, last=replace(state.last, parent=None))  # no part any more of what wakes nobody
        return telling.grown(scene, alone, bad, level, "it is worse than it was")
    if new and (state.told is None or scene.now.seconds_since(state.told) >= GROWN_EVERY):
        return telling.grown(scene, state, new, level)
    return causes.news(scene, state) or (_better_known(scene, state) if state.last.symptom is Symptom.AUTH else None)


def _better_known(scene: Scene, state: IncidentState) -> Transition | None:
    """The zone was inspected or the mail proven only after it was told of, and that says why: told once."""
    told = state.explained.diagnosis if state.explained is not None else None
    if told is None or told.why or state.recovering or state.parent is not None or causes.is_told(scene, state):
        return None
    fact = telling.explained(scene, telling.step(scene, state, Phase.GROWN, BETTER_KNOWN))
    return fact if fact.diagnosis is not None and fact.diagnosis.why else None


def _first_cover(scene: Scene, state: IncidentState, bad: Bad, family: Symptom) -> bool:
    """Where an older incident holds the route as well, it is its evidence."""
    covering = scene.covering(bad.route, family)
    return covering is None or covering.id == state.id


def _level(scene: Scene, state: IncidentState, family: Symptom, bad: list[Bad]) -> Severity:
    """Mail that was late and now stays away altogether is another thing, under the same name."""
    if state.last.severity is Severity.PAGE or family is not Symptom.DELIVERY_MISSING:
        return state.last.severity
    if state.parent is not None and not causes.is_muffled(scene, state):
        return state.last.severity
    for path in sorted({b.route.path for b in bad}):
        found = find(scene, path, family, None, told=True)
        if found is None or found.symptom is Symptom.DELIVERY_LATE or state.last.scope.kind is ScopeKind.MAILBOX:
            continue
        if severity(found.symptom, found.scope or scene.layout.smallest(found.routes)) is Severity.PAGE:
            return Severity.PAGE
    return state.last.severity


# --- better ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Streak:
    """Passes in a row up to the newest evidence, as far as it is kept: how many, and from when to when they were sent."""

    count: int = 0
    began: Instant | None = None
    ended: Instant | None = None

    def is_enough(self, policy: IncidentPolicy, seconds: float) -> bool:
        if self.began is None or self.ended is None or self.count < policy.recover_passes:
            return False
        return self.ended.seconds_since(self.began) >= seconds


def streak(scene: Scene, route: Route, family: Symptom) -> Streak:
    count, began, ended = 0, None, None
    for trial in reversed(scene.trials(route)):
        showing = scene.shows(trial, route)
        if showing.adverse or showing.speaks_of(family):
            return Streak(count, began, ended)
        if showing.kind is Kind.GOOD:
            count, began, ended = count + 1, trial.sent, ended or trial.sent
    known = scene.world.evidence.routes.get(str(route))
    if known is not None and known.steady is not None and count:
        began = known.steady
    return Streak(count, began, ended)


def _better(scene: Scene, state: IncidentState) -> Transition | None:
    family = family_of(state.last.symptom)
    runs = [streak(scene, route, family) for route in _affected(scene, state)]
    if not all(run.count for run in runs) or _bad_elsewhere(scene, state, family):
        return None
    if state.last.opening is Opening.LOSSY and not _lossless(scene, state):
        return None  # between two losses all is well
    if not state.recovering:
        return telling.step(scene, state, Phase.RECOVERING)
    if not all(run.is_enough(scene.policy.incidents, patience(scene, state)) for run in runs):
        return None
    passes = sum(run.count for run in runs)
    return telling.resolved(scene, state, f"{passes} fresh probes in a row were good")


def _bad_elsewhere(scene: Scene, state: IncidentState, family: Symptom) -> bool:
    """In its scope, on a route that it has not told of yet."""
    return any(scene.adverse(route, family) for route in scene.layout.within(state.last.scope))


def _lossless(scene: Scene, state: IncidentState) -> bool:
    within = {str(route) for route in scene.layout.within(state.last.scope)}
    evidence = scene.world.evidence
    last = max((loss.sent.utc for loss in evidence.lost if loss.route in within), default=state.last.since.utc)
    good = sum(1 for name in within if name in evidence.routes for sent in evidence.routes[name].ended if sent > last)
    return good >= LOSSY_GOOD


def _after_blindness(scene: Scene, state: IncidentState) -> Transition | None:
    """Seen again, by this process, for long enough. Of all mailboxes one is enough: the others have incidents of their own."""
    one = state.last.scope.kind is ScopeKind.MAILBOX
    names = [MailboxName(state.last.scope.name)] if one else sorted(scene.layout.of_mailbox)
    restored = [since for name in names if (since := _seen_since(scene, name))]
    if not restored:
        return telling.step(scene, state, Phase.RELAPSED) if state.recovering else None
    if not state.recovering:
        return telling.step(scene, state, Phase.RECOVERING)
    if any(scene.now.seconds_since(since) >= patience(scene, state) for since in restored):
        return telling.resolved(scene, state, "we can look again")
    return None


def _seen_since(scene: Scene, mailbox: MailboxName) -> Instant | None:
    """Since when this process looks into it without a break."""
    box = scene.world.mailboxes.get(mailbox)
    if mailbox in scene.world.evidence.blind or box is None or not box.known_to(scene.now.process):
        return None
    return scene.world.evidence.restored.get(mailbox)


def _after_budget(scene: Scene, state: IncidentState) -> Transition | None:
    """Probes were sent again, and none was withheld since."""
    path = PathName(state.last.scope.name)
    withheld = scene.world.evidence.withheld.get(path)
    last = withheld.at if withheld is not None else state.last.since
    sent = [t.sent for route in scene.layout.of_path.get(path, ()) for t in scene.trials(route) if t.sent.seconds_since(last) > 0]
    if any(later.seconds_since(last) >= patience(scene, state) for later in sent):
        return telling.resolved(scene, state, "there is a budget again, and probes are sent")
    return None
