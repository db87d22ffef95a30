"""What changed beside the beginning of an incident: in the two hours before, and until now. Candidates, never causes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from monitor.model.facts import DeployMarked
from monitor.model.incident import DeployPhase
from monitor.model.instant import Instant
from monitor.model.verdict import Symptom
from monitor.rules.deploys import NEAR
from monitor.rules.diagnose import zone
from monitor.rules.diagnose.advice import deploy_name
from monitor.rules.plain import plain
from monitor.rules.words import lapse
from monitor.views.world import World

MAX_CHANGED = 6
MAX_RECONFIGURED_LINES = 3  # of one change of our configuration
LONGEST = 200  # characters of one line

_DID = {DeployPhase.START: "deploy started", DeployPhase.FINISH: "deploy finished", DeployPhase.ROLLBACK: "rolled back"}
OF_DEPLOYS = tuple(_DID.values())  # in lines that a notice has its own place for

Change = tuple[Instant, str]


def worded(
    world: World, symptom: Symptom, deploys: Iterable[DeployMarked], domains: Collection[str], since: Instant, now: Instant
) -> tuple[str, ...]:
    """One line for each, the latest first. `domains`: those that the mail is authenticated by. What the symptom itself says is no change
    beside it."""
    found = [(marker.at, f"{_DID[marker.phase]}: {deploy_name(marker)}{f' by {marker.by}' if marker.by else ''}") for marker in deploys]
    found += [*_ours(world), *_configured(world), *_silences(world, now), *zone.changes(world, domains)]
    found += _blind(world) if symptom is not Symptom.MAILBOX_BLIND else []
    found += zone.certificates(world, domains) if symptom is not Symptom.TLS else []
    recent = sorted(((at, what) for at, what in found if is_recent(at, since, now)), key=lambda change: change[0].utc, reverse=True)
    return tuple(cut(f"{at.when:%H:%M:%S}Z {what} ({_relative(at, since)})") for at, what in recent[:MAX_CHANGED])


def is_recent(at: Instant, since: Instant, now: Instant) -> bool:
    return since.seconds_since(at) <= NEAR and now.seconds_since(at) >= 0


def cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _ours(world: World) -> Iterator[Change]:
    """What happened to the monitor itself."""
    if world.started is not None:
        yield world.started.at, f"this monitor started, version {world.started.version}"
    for jump in world.jumps:
        yield jump.at, f"the clock stepped by {jump.seconds:+.0f} s"


def _blind(world: World) -> list[Change]:
    blind = [(name, box.blind) for name, box in sorted(world.mailboxes.items()) if box.blind is not None]
    return [(world.evidence.blind.get(name, fact.at), f"{name} blind: {fact.cause.value}") for name, fact in blind]


def _configured(world: World) -> Iterator[Change]:
    for found in world.reconfigured:
        rest = len(found.changes) - MAX_RECONFIGURED_LINES
        lines = (*found.changes[:MAX_RECONFIGURED_LINES], *((f"and {rest} more",) if rest > 0 else ()))
        yield found.at, plain(f"our configuration changed{': ' + '; '.join(lines) if lines else ' with a restart'}")


def _silences(world: World, now: Instant) -> Iterator[Change]:
    """Planned silences that began or ended: what somebody worked on is a candidate."""
    for silence in world.incidents.silences.values():
        fact = silence.fact
        what = f"planned silence {fact.silence} of {fact.by} ({fact.reason})"
        began, ended = _instant(fact.begins), _instant(silence.until)
        if ended.utc <= now.utc:
            yield ended, plain(f"{what} ended")
        elif began.utc <= now.utc:
            yield began, plain(f"{what} began")


def _instant(utc: float) -> Instant:
    return Instant(utc, 0.0, "")  # on no monotonic clock: compared by UTC


def _relative(at: Instant, since: Instant) -> str:
    after = since.seconds_since(at)
    return f"it began {lapse(after)} after" if after >= 0 else f"{lapse(-after)} after it began"
