"""When a mailbox is looked at again, and which copies are old enough to be deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from monitor.model.facts import Sighted
from monitor.model.instant import Instant
from monitor.model.policy import MailboxPolicy, WatchPolicy
from monitor.rules import judge, overdue
from monitor.views.habit import Habit
from monitor.views.probes import ProbeState
from monitor.views.world import Leftover

CLEAN_UP_STEP = 50  # copies in one go


@dataclass(frozen=True, slots=True)
class Hunt:
    """A reason to look at all folders: from `sweep_after` past `since` on, and once more from each of `proofs` on.

    A probe that was attempted and is not seen (since the attempt; a look from overdue_at on makes it overdue, one from missing_at on
    proves its absence), or one that was just seen (since the sighting; one more look shows a second copy in another folder).
    `settled`: one look is enough.
    """

    since: Instant
    proofs: tuple[Instant, ...]
    settled: bool = False


def hunt(state: ProbeState, habit: Habit | None = None) -> Hunt | None:
    """Why the mailbox of this probe must be looked at beyond the safety net; None: no reason."""
    if state.first_attempt is None or state.last_attempt is None or state.refused is not None:
        return None
    if own := state.own():
        newest = max(own, key=lambda seen: seen.seq).fact.at
        return Hunt(newest, (), settled=True)
    proofs = (overdue.overdue_at(state, habit), judge.missing_at(state))
    return Hunt(state.last_attempt, tuple(at for at in proofs if at is not None))


def until_next_round(hunts: Sequence[Hunt], last_round: Instant | None, hunger: int, policy: WatchPolicy, now: Instant) -> float:
    """Seconds until all folders must be looked at; 0 or less: now.

    No hunt: the safety net. Otherwise sweep_after its beginning, then after growing pauses up to a quarter of the safety net's, and at
    once when a look would prove absence.
    """
    if last_round is None:
        return 0.0
    age = now.seconds_since(last_round)
    waits = [policy.poll_every - age]
    pause = min(policy.sweep_after * 1.5 ** min(hunger, 20), max(policy.sweep_after, policy.poll_every / 4))
    for hunt in hunts:
        if last_round.seconds_since(hunt.since) < policy.sweep_after:
            floor = policy.sweep_after if hunt.settled else policy.sweep_after / 5  # many probes share a round
            waits.append(max(policy.sweep_after - now.seconds_since(hunt.since), floor - age))
        elif not hunt.settled:
            waits.append(pause - age)
        waits.extend(max(-now.seconds_since(proof), 0.0) for proof in hunt.proofs if not last_round.reached(proof))
    return min(waits)


def reconnect_wait(policy: WatchPolicy, failures: int, draw: float) -> float:
    """Full-jitter exponential backoff: `draw` in 0.5..1 of the doubled wait, between the policy's bounds."""
    return float(min(policy.reconnect_max, policy.reconnect_min * 2.0 ** min(failures, 16)) * draw)


def lasted(began: Instant, ended: Instant, policy: WatchPolicy) -> bool:
    """The connection was good for a while: what ended it is no reason to come back later than after any first failure."""
    return ended.seconds_since(began) >= policy.poll_every


def superseding(fact: Sighted, gone: tuple[int, ...]) -> Sighted:
    return replace(fact, supersedes=gone)


def aged(leftovers: Sequence[Leftover], policy: MailboxPolicy, now: Instant) -> list[Leftover]:
    """The copies in this mailbox that may be deleted: of closed probes, sighted at least `clean_up_after` ago; a bounded step."""
    mine = (x for x in leftovers if x.mailbox == policy.name and now.seconds_since(x.sighted) >= policy.clean_up_after)
    return [x for _, x in zip(range(CLEAN_UP_STEP), mine, strict=False)]
