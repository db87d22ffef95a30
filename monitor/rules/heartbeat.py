"""What the dead-man switch is told: that a whole cycle was completed, that the monitor cannot do its work and why, or nothing.

Nothing is said without evidence. A monitor that runs and measures nothing stays silent until the switch, which somebody else watches,
goes off: it would lie if it said "well", and it does not know enough to say "failed".
"""

from __future__ import annotations

from dataclasses import dataclass

from monitor.model.facts import Judged
from monitor.model.instant import Instant
from monitor.model.policy import Policy, Role
from monitor.model.verdict import Verdict
from monitor.rules import notify
from monitor.views.probes import ProbeState
from monitor.views.world import World

RETRY = 10.0  # seconds until a word that was not taken is said again


@dataclass(frozen=True, slots=True)
class Signs:
    """How the daemon fares, beside what the journal says. `cycle`: when the latest whole cycle ended that the switch has not heard of."""

    writable: bool
    stuck: tuple[str, ...]
    cycle: Instant | None


@dataclass(frozen=True, slots=True)
class Said:
    """The last word: when, and whether it was taken."""

    at: Instant
    taken: bool


@dataclass(frozen=True, slots=True)
class Word:
    well: bool
    detail: str


def completes(fact: Judged, state: ProbeState | None, process: str) -> bool:
    """A probe that this process planned was judged on evidence: plan, submission, watching, verdict and journal all work. An inconclusive
    verdict completes nothing: it says that we could not measure."""
    planned_here = state is not None and state.plan.at.process == process
    return planned_here and fact.revision == 0 and fact.verdict in (Verdict.PASS, Verdict.FAIL)


def word(signs: Signs, world: World, policy: Policy, last: Said | None, every: float, now: Instant) -> Word | None:
    """What is to be said now; None: not yet, or nothing is known.

    Paused is well: somebody chose it, /metrics and the status say it, and a switch that went off at every planned pause would soon be
    ignored. Submission that was paused and forgotten is a matter for the rules on `mailcanary_paused`.
    """
    if last is not None and now.seconds_since(last.at) < (every if last.taken else min(RETRY, every)):
        return None
    if why := trouble(signs, world, policy, now):
        return Word(False, why)
    if world.paused is not None:
        return Word(True, f"submission is paused since {world.paused.at.iso()}")
    if signs.cycle is None:
        return None
    return Word(True, f"a probe was judged at {signs.cycle.iso()}")


def trouble(signs: Signs, world: World, policy: Policy, now: Instant) -> str:
    """Why the monitor cannot do its work, in plain words; empty when it can."""
    if not signs.writable:
        return "the journal cannot be written: submitting has stopped"
    if signs.stuck:
        return f"no progress in: {', '.join(sorted(signs.stuck))}"
    seeds = [name for name, box in policy.mailboxes.items() if box.role is Role.SEED]
    if seeds and all(world.mailbox(name).blind is not None for name in seeds):
        return "every seed mailbox is blind"
    if failing := _failing(world, policy, now):
        return f"nobody takes our notices at: {', '.join(failing)}"
    return ""


def _failing(world: World, policy: Policy, now: Instant) -> list[str]:
    """Channels that have not taken a notice for longer than fallback_after, while one waits."""
    owed = notify.owed(world.outbox, policy.notify, now)
    waiting = dict.fromkeys(name for item in owed for name, last in item.failed.items() if last.retry_in is not None)
    found = []
    for name in waiting:
        state = world.outbox.channels.get(name) if name in policy.notify.channels else None
        since = state.failing_since if state else None
        if since is not None and now.seconds_since(since) > policy.notify.fallback_after:
            found.append(name)
    return sorted(found)
