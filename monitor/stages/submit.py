"""submit: hands planned probes over, one fact before and one after every attempt."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from monitor.desk import Desk
from monitor.model.address import NotASeed
from monitor.model.facts import (
    Accepted,
    Attempted,
    Deferred,
    Fact,
    ProbePlanned,
    Refused,
    SubmitError,
    SubmitFault,
    SubmitUnknown,
    WithdrawCause,
    Withdrawn,
    Withheld,
)
from monitor.model.instant import Instant
from monitor.model.policy import CommandPath, HttpPath, PathPolicy, SmtpPath
from monitor.model.probe import PathName, ProbeId
from monitor.model.submission import (
    Declined,
    Misconfigured,
    Outcome,
    Postponed,
    Step,
    Submission,
    Taken,
    Unanswered,
    Unreached,
)
from monitor.ports import Submitter
from monitor.rules import compose, plan
from monitor.views.budget import utc_day
from monitor.views.probes import ProbeState

CONCURRENT = 64  # submissions under way in all
STALE = 600.0  # seconds after which a plan that was never attempted is withdrawn
UNREACHED_BACKOFF = 2.0  # first wait after a connection that failed; doubles
EXHAUSTED_MEND = "this process has no file descriptor left: raise its limit (ulimit -n, LimitNOFILE)"
STARVED_MEND = "the monitor was suspended, or has too little CPU: give it more"
OVERRUN = 1.0  # seconds that an attempt may take beyond its deadline


@dataclass(slots=True, eq=False)
class _Way:
    """A path as it was when a probe came to it. All its attempts go that way: the same relay for every retry, and the message that the
    probe's expectation is about."""

    path: PathPolicy
    submitter: Submitter
    probes: int = 0  # that are under way on it
    replaced: bool = False


class Submit:
    def __init__(self, desk: Desk, submitters: Mapping[PathName, Submitter], exhausted: Callable[[], bool] = lambda: False) -> None:
        """`exhausted`: this process cannot open a connection to anybody."""
        self._desk = desk
        self._exhausted = exhausted
        self._ways = {name: _Way(desk.policy.paths[name], submitter) for name, submitter in submitters.items()}
        self._former: dict[PathName, _Way] = {}  # what a reload replaced last
        self._slots = asyncio.Semaphore(CONCURRENT)
        self._running: dict[ProbeId, asyncio.Task[None]] = {}
        self._attempting: set[ProbeId] = set()
        self._reserved: Counter[str] = Counter()  # attempts whose fact is not committed yet, per path and mailbox
        self._stopping = False

    async def run(self) -> None:
        """Submit whatever is planned, for ever; first what a restart left open."""
        desk = self._desk
        cursor = desk.world.seq
        async with asyncio.TaskGroup() as tasks:
            for state in list(desk.world.probes.values()):
                if await self._settle_interrupted(state):
                    self._begin(tasks, state)
            async for entries in desk.follow(cursor):
                for entry in entries:
                    if isinstance(entry.fact, ProbePlanned) and (planned := desk.world.probes.get(entry.fact.probe)):
                        self._begin(tasks, planned)

    async def drain(self, seconds: float) -> None:
        """Begin nothing more; give the attempts under way `seconds` to end."""
        self._stopping = True
        busy = [task for probe, task in self._running.items() if probe in self._attempting]
        if busy:
            await asyncio.wait(busy, timeout=seconds)

    async def reload(self, submitters: Mapping[PathName, Submitter]) -> None:
        """These are the submitters of the paths in force. Those that are none any more are closed when the last probe on them has ended."""
        before, paths = self._ways, self._desk.policy.paths
        kept = {name: way for name, way in before.items() if submitters.get(name) is way.submitter}
        self._ways = {name: kept.get(name) or _Way(paths[name], submitter) for name, submitter in submitters.items()}
        replaced = {name: way for name, way in before.items() if name not in kept}
        self._former |= replaced
        for way in replaced.values():
            way.replaced = True
            if not way.probes:
                await way.submitter.close()

    def _begin(self, tasks: asyncio.TaskGroup, state: ProbeState) -> None:
        probe = state.plan.probe
        if probe not in self._running:
            task = tasks.create_task(self._deliver(state), name=f"submit {probe}")
            self._running[probe] = task
            task.add_done_callback(lambda _: self._running.pop(probe, None))

    async def _settle_interrupted(self, state: ProbeState) -> bool:
        """After a restart: an attempt without an outcome is unknown for ever. True if the probe still wants an attempt."""
        if state.awaiting_outcome:
            detail = "the monitor was stopped between the attempt and its outcome"
            await self._desk.commit([SubmitUnknown(self._desk.clock.now(), state.plan.probe, state.attempt, None, detail)])
            return False
        if state.attempt == 0:
            return state.withheld is None
        retry = state.deferred or state.error
        return retry is not None and retry.retry_in is not None

    async def _deliver(self, state: ProbeState) -> None:
        """One probe, to its last attempt."""
        way = self._way_of(state.plan)
        if way is None:
            await self._give_up_unconfigured(state)
            return
        way.probes += 1
        try:
            while await self._next_attempt(state, way):
                pass
        finally:
            way.probes -= 1
            if way.replaced and not way.probes:
                await way.submitter.close()

    def _way_of(self, plan_: ProbePlanned) -> _Way | None:
        """What was planned just before a reload goes the way that it was planned for."""
        former, route = self._former.get(plan_.route.path), self._desk.policy.routes.get(plan_.route)
        if former is not None and route is not None and route.policy_hash != plan_.policy_hash:
            return former
        return self._ways.get(plan_.route.path)

    async def _next_attempt(self, state: ProbeState, way: _Way) -> bool:
        """Wait for the attempt that is due, and make it. True when another one is to follow."""
        probe = state.plan.probe
        await self._retry_time(state)
        await self._watched(state)
        await self._resumed(state)
        async with self._slots:
            if self._stopping:
                return False
            if self._gone(state):
                await self._give_up_unconfigured(state)
                return False
            self._attempting.add(probe)
            try:
                return await self._attempt(state, way)
            finally:
                self._attempting.discard(probe)

    async def _attempt(self, state: ProbeState, way: _Way) -> bool:
        """One attempt, from the budget to its outcome. True when another one is to follow."""
        desk, plan_, path = self._desk, state.plan, way.path
        now = desk.clock.now()
        if state.attempt == 0:
            if now.seconds_since(plan_.at) > STALE:
                await self._desk.commit([Withdrawn(now, plan_.probe, WithdrawCause.STALE)])
                return False
            if refusal := self._over_budget(state, path, now):
                await self._desk.commit([Withheld(now, plan_.probe, refusal)])
                return False
        attempt = state.attempt + 1
        names = (f"path {plan_.route.path}", f"mailbox {plan_.route.mailbox}") if attempt == 1 else ()
        self._reserved.update(names)
        try:
            await self._desk.commit([Attempted(now, plan_.probe, attempt)], durable=True)
        finally:
            self._reserved.subtract(names)
        try:
            outcome = await way.submitter.submit(self._compose(path, plan_), path.attempt_timeout)
        except NotASeed as refused:
            outcome = Misconfigured(Step.RCPT_TO, str(refused), "add the mailbox to the configuration, or remove the route")
        except compose.TemplateBroken as broken:
            outcome = Misconfigured(Step.CONNECT, f"a template of path {path.name} is broken: {broken}", "run `mailcanary check-config`")
        fact = self._outcome(state, path, attempt, outcome)
        await self._desk.commit([fact])
        return isinstance(fact, Deferred | SubmitError) and fact.retry_in is not None

    def _compose(self, path: PathPolicy, plan_: ProbePlanned) -> Submission:
        match path.via:
            case SmtpPath() as via:
                return compose.mail_submission(plan_, via.identity)
            case HttpPath() as via:
                return compose.app_submission(plan_, via)
            case CommandPath() as via:
                return compose.command_submission(plan_, via)

    def _outcome(self, state: ProbeState, path: PathPolicy, attempt: int, outcome: Outcome) -> Fact:
        now = self._desk.clock.now()
        probe = state.plan.probe
        match outcome:
            case Taken(reply, queue_id, app_refund_id, served_version):
                return Accepted(now, probe, attempt, reply, queue_id, app_refund_id, served_version)
            case Postponed(step, reply, version):
                return Deferred(now, probe, attempt, step, reply, self._wait(state, path.retry_backoff, path.retry_for, now), version)
            case Declined(step, reply, version):
                return Refused(now, probe, attempt, step, reply, version)
            case Unanswered(step, detail):
                return SubmitUnknown(now, probe, attempt, step, detail)
            case Unreached(_, detail):
                wait = self._wait(state, min(UNREACHED_BACKOFF, path.unreachable_for / 4), path.unreachable_for, now)
                if self._exhausted():  # then the peer has nothing to do with it
                    return SubmitError(now, probe, attempt, SubmitFault.INTERNAL, detail, EXHAUSTED_MEND, wait)
                if self._starved(state, path, now):
                    return SubmitError(now, probe, attempt, SubmitFault.OVERLOADED, detail, STARVED_MEND, wait)
                return SubmitError(now, probe, attempt, SubmitFault.UNREACHABLE, detail, "", wait)
            case Misconfigured(_, detail, mend):
                return SubmitError(now, probe, attempt, SubmitFault.MISCONFIGURED, detail, mend, None)

    def _starved(self, state: ProbeState, path: PathPolicy, now: Instant) -> bool:
        """Our own process stood still during the attempt: a deadline that passed says nothing of the peer."""
        began, starved = state.last_attempt, self._desk.starved
        if began is None:
            return False
        return now.seconds_since(began) > path.attempt_timeout + OVERRUN or (starved is not None and starved.seconds_since(began) >= 0)

    def _wait(self, state: ProbeState, first: float, window: float, now: Instant) -> float | None:
        """The wait before the next attempt; None when that attempt would begin after the window."""
        wait = plan.backoff(first, max(1, state.attempt))
        started = state.first_attempt or now
        return wait if now.seconds_since(started) + wait <= window else None

    def _over_budget(self, state: ProbeState, path: PathPolicy, now: Instant) -> str:
        route = state.plan.route
        mailbox = self._desk.policy.mailboxes[route.mailbox]
        by_path, by_mailbox = self._desk.world.budget.spent(utc_day(now), route.path, route.mailbox)
        spent = (by_path + self._reserved[f"path {route.path}"], by_mailbox + self._reserved[f"mailbox {route.mailbox}"])
        return plan.over_budget(spent, path.daily_budget, mailbox.daily_budget)

    async def _retry_time(self, state: ProbeState) -> None:
        retry = state.deferred or state.error
        if retry is not None and retry.retry_in is not None:
            waited = self._desk.clock.now().seconds_since(retry.at)
            await self._desk.clock.sleep(min(retry.retry_in, max(0.0, retry.retry_in - waited)))

    async def _watched(self, state: ProbeState) -> None:
        """What an earlier process planned waits, like a new plan, until the mailbox's watcher has said watching or blind."""
        desk = self._desk
        process = desk.clock.now().process
        if state.plan.at.process != process:
            while not desk.world.mailbox(state.plan.route.mailbox).known_to(process) and not self._gone(state):
                await desk.journal.wait(desk.journal.last)

    async def _resumed(self, state: ProbeState) -> None:
        while self._desk.world.paused is not None and not self._gone(state):
            await self._desk.journal.wait(self._desk.journal.last)

    def _gone(self, state: ProbeState) -> bool:
        """Its route is no longer configured: whatever it still waits for."""
        return state.plan.route not in self._desk.policy.routes

    async def _give_up_unconfigured(self, state: ProbeState) -> None:
        now = self._desk.clock.now()
        if state.attempt == 0:
            await self._desk.commit([Withdrawn(now, state.plan.probe, WithdrawCause.ROUTE_REMOVED)])
        else:
            detail, mend = "its path was removed from the configuration before the next attempt", ""
            await self._desk.commit([SubmitError(now, state.plan.probe, state.attempt, SubmitFault.MISCONFIGURED, detail, mend, None)])
