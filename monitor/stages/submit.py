"""submit: hands planned probes over, one fact before and one after every attempt."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

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
from monitor.views.probes import ProbeState
from monitor.views.world import utc_day

CONCURRENT = 64  # submissions under way in all
STALE = 600.0  # seconds after which a plan that was never attempted is withdrawn
UNREACHED_BACKOFF = 2.0  # first wait after a connection that failed; doubles


class Submit:
    def __init__(self, desk: Desk, submitters: Mapping[PathName, Submitter]) -> None:
        self._desk = desk
        self._submitters = submitters
        self._slots = asyncio.Semaphore(CONCURRENT)
        self._running: dict[ProbeId, asyncio.Task[None]] = {}
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
        busy = [task for probe, task in self._running.items() if (s := self._desk.world.probes.get(probe)) and s.awaiting_outcome]
        if busy:
            await asyncio.wait(busy, timeout=seconds)

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
        desk = self._desk
        path = desk.policy.paths.get(state.plan.route.path)
        if path is None or state.plan.route.mailbox not in desk.policy.mailboxes:
            await self._give_up_unconfigured(state)
            return
        while True:
            await self._retry_time(state)
            await self._watched(state)
            await self._resumed()
            if self._stopping:
                return
            async with self._slots:
                if not await self._attempt(state, path):
                    return

    async def _attempt(self, state: ProbeState, path: PathPolicy) -> bool:
        """One attempt, from the budget to its outcome. True when another one is to follow."""
        desk, plan_ = self._desk, state.plan
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
            outcome = await self._submitters[path.name].submit(self._compose(path, plan_), path.attempt_timeout)
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
            case CommandPath():
                raise NotImplementedError

    def _outcome(self, state: ProbeState, path: PathPolicy, attempt: int, outcome: Outcome) -> Fact:
        now = self._desk.clock.now()
        probe = state.plan.probe
        match outcome:
            case Taken(reply, queue_id, app_refund_id, served_version):
                return Accepted(now, probe, attempt, reply, queue_id, app_refund_id, served_version)
            case Postponed(step, reply):
                return Deferred(now, probe, attempt, step, reply, self._wait(state, path.retry_backoff, path.retry_for, now))
            case Declined(step, reply):
                return Refused(now, probe, attempt, step, reply)
            case Unanswered(step, detail):
                return SubmitUnknown(now, probe, attempt, step, detail)
            case Unreached(_, detail):
                wait = self._wait(state, min(UNREACHED_BACKOFF, path.unreachable_for / 4), path.unreachable_for, now)
                return SubmitError(now, probe, attempt, SubmitFault.UNREACHABLE, detail, "", wait)
            case Misconfigured(_, detail, mend):
                return SubmitError(now, probe, attempt, SubmitFault.MISCONFIGURED, detail, mend, None)

    def _wait(self, state: ProbeState, first: float, window: float, now: Instant) -> float | None:
        """The wait before the next attempt; None when that attempt would begin after the window."""
        wait = plan.backoff(first, max(1, state.attempt))
        started = state.first_attempt or now
        return wait if now.seconds_since(started) + wait <= window else None

    def _over_budget(self, state: ProbeState, path: PathPolicy, now: Instant) -> str:
        route = state.plan.route
        mailbox = self._desk.policy.mailboxes[route.mailbox]
        by_path, by_mailbox = self._desk.world.spent(utc_day(now), route.path, route.mailbox)
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
            while not desk.world.mailbox(state.plan.route.mailbox).known_to(process):
                await desk.journal.wait(desk.journal.last)

    async def _resumed(self) -> None:
        while self._desk.world.paused is not None:
            await self._desk.journal.wait(self._desk.journal.last)

    async def _give_up_unconfigured(self, state: ProbeState) -> None:
        now = self._desk.clock.now()
        if state.attempt == 0:
            await self._desk.commit([Withdrawn(now, state.plan.probe, WithdrawCause.ROUTE_REMOVED)])
        else:
            detail, mend = "its path was removed from the configuration before the next attempt", ""
            await self._desk.commit([SubmitError(now, state.plan.probe, state.attempt, SubmitFault.MISCONFIGURED, detail, mend, None)])
