"""When suspicion becomes an incident. Each rule returns what it found, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from monitor.model.incident import Opening, Scope, ScopeKind
from monitor.model.instant import Instant
from monitor.model.probe import PathName, Route
from monitor.model.verdict import Reason, Symptom
from monitor.rules.incident.scene import Bad, Kind, Scene, family_of
from monitor.rules.incident.suspects import Finding, adverse, is_news, of_no_path
from monitor.rules.incident.sustained import late, long_since, sustained
from monitor.views.incidents import IncidentState

WINDOW = 4  # a suspect and its confirm probes
ENOUGH = 2  # adverse probes in the window
STALLED_ENOUGH = 4  # the suspect and three confirm probes
STALLED_WITHOUT_BUDGET = 2
STALLED_PROVIDERS = 3  # or all there are: two that are slow at the same time are chance, once a month
WITHOUT_CONTROL = 2.0  # times overdue, where no control path arrives to tell the path's fault from everybody's
OTHERS_PATIENCE = 20.0  # seconds to wait whether other paths fail as well: longer than a relay is tried to be reached
TAKEN_PATIENCE = 8.0  # where relays refuse, the control path has answered when its relay takes mail; its arrival is waited for so long
ROUND_PATIENCE = 180.0  # seconds to wait for a confirm round before what one place shows is believed alone
SEEN = frozenset(
    {Reason.PASS, Reason.LATE, Reason.SPAM, Reason.MISFILED, Reason.MISROUTED, Reason.ALTERED, Reason.UNAUTHENTICATED, Reason.DUPLICATE}
)


def at_once(scene: Scene, path: PathName, family: Symptom) -> Finding | None:
    """What needs no second look."""
    match family:
        case Symptom.SUBMIT_BLIND:
            return _unable(scene, path)
        case Symptom.MONITOR:
            return _itself(scene, path)
        case _:
            return money(scene, path, family)


def find(scene: Scene, path: PathName, family: Symptom, suspicion: IncidentState | None, told: bool = False) -> Finding | None:
    """What the evidence on this path amounts to. None: not enough, worth waiting for more, or (unless `told`) told of already."""
    suspects = adverse(scene, scene.layout.of_path.get(path, ()), family)
    hard = [bad for bad in suspects if bad.showing.kind is Kind.HARD]
    slow = [bad for bad in suspects if bad.showing.kind is Kind.SLOW]
    found = money(scene, path, family)
    if found is None and hard:
        found = _wide(scene, path, family, suspicion, hard, told)
    if found is None and hard and not _may_widen(scene, path, family, suspicion, hard):
        found = _narrow(scene, path, family, suspicion, hard, told)
    if found is None and len({bad.route.mailbox for bad in slow}) > 1:
        found = stalled(scene, path, family)
    if found is None and slow and long_since(scene, slow, family):
        found = sustained(scene, slow, family, told)
    if found is None and slow:
        found = late(scene, path, family, slow, told)
    return found if found is not None and (told or is_news(scene, found.bad, family)) else None


def money(scene: Scene, path: PathName, family: Symptom) -> Finding | None:
    """A wrong amount or currency, even once. Its scope is the path: whoever prints the amount is there, no provider changes it."""
    if family is not Symptom.CONTENT_WRONG:
        return None
    found = [bad for bad in adverse(scene, scene.layout.of_path.get(path, ()), family) if bad.trial.money]
    return Finding(Opening.AT_ONCE, family, tuple(found), Scope(ScopeKind.PATH, path)) if found else None


def stalled(scene: Scene, path: PathName, family: Symptom) -> Finding | None:
    """Total loss: whatever was sent on the path since its mail was last seen anywhere is overdue or missing.

    While a control path arrives to one of the same mailboxes, being overdue is enough; otherwise as many must be unseen for twice as long.
    """
    if family not in (Symptom.DELIVERY_MISSING, Symptom.SMTP_REJECT):
        return None
    lost = _run_since_seen(scene, path)
    if not _are_total(scene, path, lost):
        return None
    began = lost[0].trial.sent
    if _arrives(scene, path, lost):
        affected: Sequence[Bad] = lost
    elif _are_total(scene, path, [bad for bad in lost if scene.long_overdue(bad.trial, bad.route, WITHOUT_CONTROL)]):
        others = [other for other in scene.layout.of_path if other != path]
        affected = [*lost, *(bad for other in others for bad in _run_since_seen(scene, other) if bad.trial.sent.seconds_since(began) >= 0)]
    else:
        return None
    refused = [bad for bad in lost if bad.showing.symptom is Symptom.SMTP_REJECT]
    symptom = Symptom.SMTP_REJECT if len(refused) * 2 > len(lost) else Symptom.DELIVERY_STALLED
    if family_of(symptom) is not family:
        return None
    return Finding(Opening.STALLED, symptom, tuple(affected))


def _run_since_seen(scene: Scene, path: PathName) -> list[Bad]:
    """The overdue and missing probes of the path since its mail was last seen, oldest first."""
    run: list[Bad] = []
    for route, trial in scene.merged(scene.layout.of_path.get(path, ())):
        state = scene.world.probes.get(trial.probe)
        if trial.reason in SEEN or (state is not None and state.seen):
            break
        showing = scene.shows(trial, route)
        bad = Bad(route, trial, showing)
        if showing.unseen and scene.counts(bad, family_of(showing.symptom or Symptom.DELIVERY_MISSING)):
            run.append(bad)
    return run[::-1]


def _are_total(scene: Scene, path: PathName, lost: Sequence[Bad]) -> bool:
    """They are enough, at enough providers, for everything on the path."""
    if not lost:
        return False
    withheld = scene.world.evidence.withheld.get(path)
    short = withheld is not None and withheld.at.seconds_since(lost[0].trial.sent) >= 0
    if len(lost) < (STALLED_WITHOUT_BUDGET if short else STALLED_ENOUGH):
        return False
    blind = scene.world.evidence.blind
    reach = scene.layout.providers_of(route for route in scene.layout.of_path[path] if route.mailbox not in blind)
    covered = scene.layout.providers_of(bad.route for bad in lost)
    return len({bad.route.mailbox for bad in lost}) >= 2 and len(covered) >= min(STALLED_PROVIDERS, len(reach))


def _arrives(scene: Scene, path: PathName, lost: Sequence[Bad]) -> bool:
    """Another path has arrived in one of these mailboxes meanwhile."""
    began = lost[0].trial.sent
    return any(
        trial.reason in SEEN and trial.sent.seconds_since(began) >= 0
        for mailbox in {bad.route.mailbox for bad in lost}
        for route in scene.layout.of_mailbox[mailbox]
        if route.path != path
        for trial in scene.trials(route)
    )


def _wide(
    scene: Scene, path: PathName, family: Symptom, suspicion: IncidentState | None, found: Sequence[Bad], told: bool
) -> Finding | None:
    """Certain failures at two providers within one round confirm each other."""
    if len(scene.layout.providers_of(bad.route for bad in found)) < 2:
        return None
    newest = max(found, key=lambda bad: bad.trial.seq)
    near = _near(scene, found)
    if len(scene.layout.providers_of(bad.route for bad in near)) < 2 or _others_undecided(scene, path, family, suspicion):
        return None
    if not _is_confirmed(scene, near, family, told):
        return None
    elsewhere = [bad for bad in adverse(scene, scene.layout.routes.values(), family) if bad.route.path != path]
    certain = [bad for bad in elsewhere if bad.showing.kind is Kind.HARD or bad.trial.unreached]
    return Finding(Opening.CONFIRMED, family, (*near, *(bad for bad in certain if _is_of_now(scene, bad, newest, family))))


def _may_widen(scene: Scene, path: PathName, family: Symptom, suspicion: IncidentState | None, found: Sequence[Bad]) -> bool:
    """Two providers fail within one round, and how wide it is will be known in a moment: a page for one of them would be one too many."""
    return len(scene.layout.providers_of(bad.route for bad in _near(scene, found))) > 1 and _others_undecided(
        scene, path, family, suspicion
    )


def _near(scene: Scene, found: Sequence[Bad]) -> list[Bad]:
    """What was sent within a round before the newest."""
    newest = max(found, key=lambda bad: bad.trial.seq)
    return [bad for bad in found if newest.trial.sent.seconds_since(bad.trial.sent) <= _round(scene, newest)]


def _narrow(
    scene: Scene, path: PathName, family: Symptom, suspicion: IncidentState | None, suspects: Sequence[Bad], told: bool
) -> Finding | None:
    """Two of the four latest probes of one place failed for certain. Waits for the confirm round, which may show that it is wider. A
    provider of which two mailboxes are suspect comes before each of them: it pages, and one mailbox alone does not."""
    if not _round_over(scene, suspicion):
        return None
    mailboxes = {bad.route.mailbox for bad in suspects}
    providers = [scene.layout.of_provider[provider] for provider in sorted(scene.layout.providers_of(bad.route for bad in suspects))]
    wide = [place for place in providers if len({bad.route.mailbox for bad in suspects if bad.route in place}) > 1]
    narrow = [scene.layout.of_mailbox[mailbox] for mailbox in sorted(mailboxes)]
    for place in (*wide, *narrow, *providers, scene.layout.of_path[path]):
        window = _window(scene, place, family)
        certain = [bad for bad in window if bad.showing.speaks_of(family) and bad.showing.kind is Kind.HARD and scene.counts(bad, family)]
        found = of_no_path(scene, certain, family)
        if len(found) >= ENOUGH and _is_confirmed(scene, found, family, told):
            together = {bad.trial.probe: bad for bad in (*found, *(s for s in suspects if s.route in place))}
            return Finding(Opening.CONFIRMED, family, tuple(together.values()))
    return None


def _is_confirmed(scene: Scene, found: Sequence[Bad], family: Symptom, told: bool) -> bool:
    """Enough of it is news. What an open incident has told of for longer than a round is sick anyway: it confirms no single failure
    elsewhere, and hides no other place. With `told` all of it counts."""
    if told or not found:
        return len(found) >= ENOUGH
    news = [bad for bad in found if scene.covering(bad.route, family) is None]
    if not news:
        return False
    newest = max(found, key=lambda bad: bad.trial.seq)
    now = [bad for bad in found if _is_of_now(scene, bad, newest, family)]
    earlier = [bad for new in news for bad in scene.run(new.route, family)]  # of the same routes, beyond the window
    return len({bad.trial.probe for bad in (*now, *earlier)}) >= ENOUGH


def _is_of_now(scene: Scene, bad: Bad, newest: Bad, family: Symptom) -> bool:
    """Nobody was told of it, or it has failed for no longer than a round before the newest."""
    run = scene.run(bad.route, family)
    near = bool(run) and newest.trial.sent.seconds_since(run[0].trial.sent) <= _round(scene, newest)
    return near or scene.covering(bad.route, family) is None


def _round(scene: Scene, newest: Bad) -> float:
    """Seconds in which every route has its turn, and what it shows is known."""
    plan = scene.policy.routes[newest.route]
    return plan.every + plan.deadlines.missing_after


def _window(scene: Scene, routes: Iterable[Route], family: Symptom) -> list[Bad]:
    """The latest probes of these routes that say anything about the mail."""
    window = []
    for route, trial in scene.merged(routes):
        showing = scene.shows(trial, route)
        if showing.kind is Kind.GOOD or showing.adverse or showing.speaks_of(family):
            window.append(Bad(route, trial, showing))
            if len(window) == WINDOW:
                break
    return window


def _others_undecided(scene: Scene, path: PathName, family: Symptom, suspicion: IncidentState | None) -> bool:
    """The control probe is still out, or another path is suspect of the same and its confirm round is not over: wait a little, so that
    one fault is one page, and the page says whose fault it is. Where no round was asked for there is no control to wait for."""
    waited = scene.now.seconds_since(suspicion.last.at) if suspicion is not None else OTHERS_PATIENCE
    if suspicion is None or waited >= OTHERS_PATIENCE:
        return False
    if suspicion.asked is not None:
        controls = [route for route in suspicion.confirm if route.path != path and route in scene.policy.routes]
        silent = [route for route in controls if not _answered(scene, route, suspicion.asked)]
        taken = family is Symptom.SMTP_REJECT and all(_taken(scene, route, suspicion.asked) for route in silent)
        if silent and not (taken and waited >= TAKEN_PATIENCE):
            return True
    others = (scene.suspicion(other, family) for other in scene.layout.of_path if other != path)
    return any(other is not None and not _round_over(scene, other) for other in others)


def _round_over(scene: Scene, suspicion: IncidentState | None) -> bool:
    """Each route of the confirm round has shown something since, or nobody waits for it any longer."""
    if suspicion is None:
        return True
    asked = suspicion.asked
    if scene.now.seconds_since(asked or suspicion.last.at) > ROUND_PATIENCE:
        return True
    return asked is not None and all(route not in scene.policy.routes or _answered(scene, route, asked) for route in suspicion.confirm)


def _answered(scene: Scene, route: Route, asked: Instant) -> bool:
    return any(
        trial.sent.seconds_since(asked) >= 0 and (trial.reason is not None or scene.shows(trial, route).kind is not Kind.NOTHING)
        for trial in scene.trials(route)
    )


def _taken(scene: Scene, route: Route, asked: Instant) -> bool:
    """The relay of its path has accepted a probe since."""
    since = (scene.world.probes.get(trial.probe) for trial in scene.trials(route) if trial.sent.seconds_since(asked) >= 0)
    return any(state is not None and state.taken for state in since)


def _unable(scene: Scene, path: PathName) -> Finding | None:
    """Two of the four latest submissions on a path came to nothing for a reason of ours."""
    family = Symptom.SUBMIT_BLIND
    bad = [b for b in _window(scene, scene.layout.of_path.get(path, ()), family) if b.showing.kind is Kind.OURS and scene.counts(b, family)]
    if len(bad) < ENOUGH:
        return None
    paths = [other for other in scene.layout.of_path if _all_unable(scene, other)]
    if len(paths) == len(scene.layout.of_path):
        bad += [b for b in adverse(scene, scene.layout.routes.values(), family) if b.route.path != path]
        return Finding(Opening.BLIND, family, tuple(bad), Scope(ScopeKind.ALL))
    return Finding(Opening.BLIND, family, tuple(bad), Scope(ScopeKind.PATH, path))


def _all_unable(scene: Scene, path: PathName) -> bool:
    window = _window(scene, scene.layout.of_path[path], Symptom.SUBMIT_BLIND)
    return sum(bad.showing.kind is Kind.OURS for bad in window) >= ENOUGH


def _itself(scene: Scene, path: PathName) -> Finding | None:
    """Our own fault, even once."""
    found = adverse(scene, scene.layout.of_path.get(path, ()), Symptom.MONITOR)
    return Finding(Opening.ITSELF, Symptom.MONITOR, tuple(found), Scope(ScopeKind.ALL)) if found else None
