"""When whom is told of what: which promises of the outbox are due to which channel, and how long to wait after a refusal.

A channel hears of one incident in the order of its changes, one notice at a time, and so of incidents that share a dedup key: the end of
the earlier must not close what the later has opened. Other incidents, and channels, do not wait for each other. That it is over is told to
those who heard that it began, and to nobody else.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

from monitor.model.channels import AlertmanagerChannel, NotifyPolicy
from monitor.model.facts import NotifyFailed
from monitor.model.incident import EVERYWHERE, IncidentId, Severity
from monitor.model.instant import Instant
from monitor.model.notice import Call, Notice, NotTold
from monitor.model.policy import Policy
from monitor.model.verdict import Symptom
from monitor.rules.notice import dedup_key, runbook
from monitor.rules.plain import plain
from monitor.views.outbox import Item, Outbox

FIRST_WAIT = 1.0  # seconds after the first refusal; doubles
LONGEST_WAIT = 60.0
LONGEST_ASKED = 900.0  # of a wait that the peer asks for
RECORD_EVERY = 60.0  # between two recorded failures of one telling, at first; as long as it has failed already, later
RECORD_AT_LEAST = 3600.0
REPEAT_RESOLVED = 300.0  # a channel that forgets is told for so long that it is over
UNWRITABLE_AFTER = 10.0  # a journal that cannot be written for so long is told of without it


Thread = tuple[str, str]  # channel, and what is one alert over there


@dataclass(frozen=True, slots=True)
class Duty:
    """Tell this item to this channel now."""

    item: Item
    channel: str

    @property
    def call(self) -> Call:
        return Call.FIRE if self.item.fires else Call.RESOLVE


def duties(outbox: Outbox, policy: NotifyPolicy, now: Instant) -> list[Duty]:
    """For each channel, of what is one alert there, the one telling that comes next."""
    return _next(outbox.items.values(), outbox, policy, now)


def duty(outbox: Outbox, policy: NotifyPolicy, now: Instant, channel: str, incident: IncidentId) -> Duty | None:
    """The same for one channel and one incident; None also while another incident has to be told of first."""
    keys = {_key(item) for item in outbox.of(incident)}
    kin = [item for item in outbox.items.values() if _key(item) in keys]
    mine = (duty for duty in _next(kin, outbox, policy, now) if (duty.channel, duty.item.transition.incident) == (channel, incident))
    return next(mine, None)


def _next(items: Iterable[Item], outbox: Outbox, policy: NotifyPolicy, now: Instant) -> list[Duty]:
    """What waits for the end of a silence holds nobody up."""
    found: dict[Thread, Duty] = {}
    for item, channel in _owed(items, outbox, policy, now):
        if item.is_due(now):
            found.setdefault(_thread(policy, channel, item), Duty(item, channel))
    return list(found.values())


def owed(outbox: Outbox, policy: NotifyPolicy, now: Instant) -> list[Item]:
    """What some channel has still to take, silences apart."""
    items = {item.seq: item for item, _ in _owed(outbox.items.values(), outbox, policy, now) if item.is_due(now)}
    return list(items.values())


def untold(outbox: Outbox, policy: NotifyPolicy, now: Instant) -> int:
    """Open pages that are to be told to somebody, and that no channel has taken. Silenced ones, parts, and those that a person has in hand
    apart."""
    return sum(_is_untold(outbox, incident, policy, now) for incident, standing in outbox.standings.items() if standing.is_open)


def _is_untold(outbox: Outbox, incident: IncidentId, policy: NotifyPolicy, now: Instant) -> bool:
    standing = outbox.standings[incident]
    current = standing.current
    if (
        current is None
        or current.severity is not Severity.PAGE
        or standing.parent
        or standing.acknowledged
        or standing.quiet_until > now.utc
    ):
        return False
    if not policy.told(current.symptom, current.severity, current.scope):
        return False
    return not any(item.taken for item in outbox.of(incident) if item.episode == standing.episode and _is_page(item))


def _is_page(item: Item) -> bool:
    return item.fires and item.transition.severity is Severity.PAGE


def owing(outbox: Outbox, policy: NotifyPolicy, now: Instant) -> set[tuple[int, str]]:
    """(seq of the item, channel) of all that is still to be told, now or at the end of a silence."""
    return {(item.seq, channel) for item, channel in _owed(outbox.items.values(), outbox, policy, now)}


def until_next(outbox: Outbox, policy: NotifyPolicy, now: Instant) -> float | None:
    """Seconds until something more may be due although no fact comes: the end of a silence, or a fallback. None: never."""
    waits = []
    for item, _ in _owed(outbox.items.values(), outbox, policy, now):
        if not item.is_due(now):
            waits.append(item.due.utc - now.utc)
        else:
            waits.append(policy.fallback_after - now.seconds_since(item.due))
    return min((wait for wait in waits if wait > 0), default=None)


def _owed(items: Iterable[Item], outbox: Outbox, policy: NotifyPolicy, now: Instant) -> Iterator[tuple[Item, str]]:
    """What is not settled, in the order of the promises; `items` hold all with the dedup key of any of them. That it is over is for those
    who heard that it began, or are still to hear it. What came before the last that a channel took is told to it no more: a fallback may be
    asked late, when it has heard of the end, or of the next incident under the same key."""
    items = list(items)
    latest = {(channel, item.transition.incident): item.seq for item in items for channel in item.taken}
    newest = {_thread(policy, channel, item): item.seq for item in items for channel in item.taken}
    hearing: defaultdict[tuple[IncidentId, int], dict[str, None]] = defaultdict(dict)
    stuck: set[Thread] = set()
    for item in items:
        knowing = hearing[(item.transition.incident, item.episode)]
        if item.fires:
            knowing.update(dict.fromkeys(item.taken))
            channels = () if item.superseded else _audience(outbox, item, policy, now, stuck)
        else:
            channels = tuple(dict.fromkeys((*item.heard, *knowing)))
        for channel in channels:
            if channel not in policy.channels or item.is_settled(channel):
                continue
            thread = _thread(policy, channel, item)
            if latest.get((channel, item.transition.incident), 0) > item.seq:
                continue
            if _is_over(outbox, item) and (newest.get(thread, 0) > item.seq or _is_history(item, policy, now)):
                continue
            knowing[channel] = None
            if channel in item.failed:
                stuck.add(thread)
            yield item, channel


def _key(item: Item) -> str:
    """What makes its dedup key; the rest of that is the same for all."""
    return f"{item.transition.symptom}/{item.transition.scope}"


def _thread(policy: NotifyPolicy, channel: str, item: Item) -> Thread:
    """Alertmanager knows an alert by its incident, everybody else by its dedup key."""
    by_incident = isinstance(policy.channels.get(channel), AlertmanagerChannel)
    return channel, item.transition.incident if by_incident else _key(item)


def _is_over(outbox: Outbox, item: Item) -> bool:
    standing = outbox.standings.get(item.transition.incident)
    return standing is None or not standing.is_open or standing.episode != item.episode


def _is_history(item: Item, policy: NotifyPolicy, now: Instant) -> bool:
    """A channel that is new hears of what is open."""
    return item.fires and now.seconds_since(item.due) >= policy.give_up_after


def _audience(outbox: Outbox, item: Item, policy: NotifyPolicy, now: Instant, stuck: Set[Thread]) -> tuple[str, ...]:
    """The channels of its route; for a page also the fallback, when one of them has refused it or does not take it for long, or not what
    has to be told before it (`stuck`)."""
    told = policy.told(item.transition.symptom, item.transition.severity, item.transition.scope)
    if item.transition.severity is Severity.TICKET:
        return told
    if any(_in_trouble(outbox, item, channel, policy, now, _thread(policy, channel, item) in stuck) for channel in told):
        return tuple(dict.fromkeys((*told, *policy.fallback)))
    return told


def unwritable_audience(policy: NotifyPolicy) -> tuple[str, ...]:
    """Who hears of a journal that cannot be written."""
    return policy.told(Symptom.MONITOR, Severity.PAGE, EVERYWHERE)


def _in_trouble(outbox: Outbox, item: Item, channel: str, policy: NotifyPolicy, now: Instant, stuck: bool) -> bool:
    """It gave this item up; or the item is old, and the channel takes neither it, or what comes before it, nor, for as long, any other."""
    failure, state = item.failed.get(channel), outbox.channels.get(channel)
    if failure is not None and failure.retry_in is None:
        return True
    if channel in item.taken or now.seconds_since(item.due) < policy.fallback_after:
        return False
    failing = state.failing_since if state is not None else None
    return stuck or failure is not None or (failing is not None and now.seconds_since(failing) >= policy.fallback_after)


@dataclass(frozen=True, slots=True)
class Reminder:
    """What a channel that forgets is to be told again. `hushed`: why it is to take the notice back instead."""

    item: Item
    hushed: str = ""


def reminders(outbox: Outbox, channel: str, said: Mapping[IncidentId, Item], now: Instant) -> list[Reminder]:
    """The last word on each open incident, and for a while that one is over. `said`: what this process told, written down or not."""
    again = []
    for incident, standing in outbox.standings.items():
        item, latest = outbox.shown(incident, channel), said.get(incident)
        if latest is not None and latest.episode == standing.episode and (item is None or latest.seq > item.seq):
            item = latest
        if item is None:
            continue
        if item.fires and standing.is_open:
            why = hushed(outbox, incident, now)
            if why or not item.superseded or not outbox.is_followed(item, channel):
                again.append(Reminder(item, why))
        elif not item.fires and not standing.is_open and now.seconds_since(item.taken.get(channel, now)) <= REPEAT_RESOLVED:
            again.append(Reminder(item))
    return again


def hushed(outbox: Outbox, incident: IncidentId, now: Instant) -> str:
    """Why nobody is told of this incident now, in words for those who see it vanish; empty: it is told."""
    standing = outbox.standings.get(incident)
    if standing is None:
        return ""
    if standing.parent:
        return f"part of {standing.parent}"
    if now.utc >= standing.quiet_until:
        return ""
    by = f" by {standing.planned}" if standing.planned and standing.planned_until == standing.quiet_until else ""
    return f"silenced{by}" if by else f"silenced until {now.plus(standing.quiet_until - now.utc).iso()}"


def key(policy: Policy, item: Item) -> str:
    """The idempotency key: incident, episode, number of the notice in it, and a digest that keeps instances and lost journals apart.
    The same for every retry, before and after a restart."""
    told = f"{policy.environment}/{policy.instance}/{item.seq}/{item.due.utc!r}"
    return f"{item.transition.incident}-{item.episode}-{item.number}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


def wait(attempt: int, refusal: NotTold, age: float, policy: NotifyPolicy, draw: float) -> float | None:
    """Seconds until the next attempt; None: telling it is given up. `age`: seconds since it was due; `draw` in 0..1 spreads the wait."""
    if not refusal.transient or age >= policy.give_up_after:
        return None
    base = min(LONGEST_WAIT / 2, FIRST_WAIT * 2.0 ** min(attempt - 1, 20))
    return max(base * (1 + draw), min(refusal.retry_after or 0.0, LONGEST_ASKED))


def is_news(previous: NotifyFailed | None, due: Instant, retry_in: float | None, now: Instant) -> bool:
    """Whether this failure is recorded: the first, the last, and in between at growing intervals."""
    if previous is None or retry_in is None:
        return True
    return now.seconds_since(previous.at) >= max(RECORD_EVERY, min(RECORD_AT_LEAST, previous.at.seconds_since(due)))


def unwritable_notice(policy: Policy, since: Instant, ended: Instant | None) -> Notice:
    """The page from memory: no fact can be written, so no transition stands behind it."""
    lasted = "" if ended is None else f" after {ended.seconds_since(since):.0f} s"
    what = "cannot write its journal" if ended is None else f"can write its journal again{lasted}"
    title = f"[{'PAGE' if ended is None else 'RESOLVED'}][{policy.environment}] mailcanary {what}"
    body = (
        f"Broke:    full or read-only disk below {plain(policy.state_dir)[:200]}; submitting has stopped, watching goes on\n"
        f"Since:    {since.iso()}\n"
        "Next:     free space or make the volume writable; the daemon goes on by itself\n"
    )
    page = runbook(policy, Symptom.MONITOR)
    digest = hashlib.sha256(f"{policy.environment}/{policy.instance}/{since.process}/{since.utc!r}".encode()).hexdigest()[:8]
    return Notice(
        key=f"journal-1-{1 if ended is None else 2}-{digest}",
        dedup_key=dedup_key(policy.environment, Symptom.MONITOR, "journal"),
        call=Call.FIRE if ended is None else Call.RESOLVE,
        incident=IncidentId(f"journal-{digest}"),
        episode=1,
        severity=Severity.PAGE,
        symptom=Symptom.MONITOR,
        scope=str(EVERYWHERE),
        environment=policy.environment,
        title=title,
        text=f"{body}Runbook:  {page}",
        began=since,
        ended=ended,
        runbook_url=page,
    )
