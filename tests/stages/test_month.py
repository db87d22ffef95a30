"""A noisy healthy month does not page, and the same month with real loss does.

A month of the whole house would take minutes. So the stages before the incident stage are played: their facts are made here, in the
order of time, and folded; verdicts, suspicions, confirm probes and incidents come from the real rules. The last test lets the whole
house live a part of such a month.
"""

from __future__ import annotations

import asyncio
import heapq
import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from monitor.model.facts import (
    KIND_OF,
    Accepted,
    Attempted,
    Closed,
    Entry,
    Fact,
    Judged,
    Looked,
    Sighted,
    SubmitError,
    SubmitFault,
    Transition,
    WatchBlind,
    WatchRestored,
)
from monitor.model.incident import Phase, Scope, ScopeKind, Severity
from monitor.model.instant import Instant
from monitor.model.mail import BlindCause, Carrier, Placement
from monitor.model.policy import Policy
from monitor.model.probe import MailboxName, ProbeId, Purpose, Route
from monitor.model.submission import MailSubmission, Reply, Step, Taken, Unreached
from monitor.ports import MailboxError
from monitor.rules import judge, overdue, plan
from monitor.rules.incident import Layout, decide
from monitor.rules.judge import Ruling
from monitor.views.probes import ProbeState
from monitor.views.world import World
from tests.stages.house import House
from tests.stages.test_incident import STAGES, told, two_paths, week
from tests.stages.virtual import MIDNIGHT, virtual
from tests.views.life import planned

DAY = 86_400.0
GREYLISTED = 0.02  # of all mail, by five to thirty minutes, after the relay has taken it
DELAY = 600.0  # what a provider adds for this long, once a day
DROPS = 6  # of the IMAP connection, per mailbox and day
SERVFAIL = 0.001  # of the submissions find no relay at the first attempt
LOST = 1 / 2_000
STEP = 2.0  # seconds that UTC is set by, some times a day
OK = Reply(250, "ok", "2.0.0")


class Month:
    """Noise from one seed. `loss`: the share of mail that a route loses at a time."""

    def __init__(self, rules: Policy, number: int, loss: Callable[[Route, float], float] = lambda route, t: LOST) -> None:
        self.rules = rules
        self.rng = random.Random(number)
        self.loss = loss
        self.world = World()
        self.layout = Layout.of(rules)
        self.transitions: list[Transition] = []
        self.sent = self.confirms = 0
        self.t = 0.0
        self.utc = MIDNIGHT
        self.probes: dict[ProbeId, float | None] = {}  # unseen ones: when they arrive
        self.blind: set[MailboxName] = set()
        self.wake = float("inf")
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()
        self._plan = planned()
        self._delays = dict.fromkeys(self.layout.of_provider, 0.0)

    # --- time ---------------------------------------------------------------------------------------------------

    def later(self, t: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (t, next(self._number), act))

    @property
    def now(self) -> Instant:
        return Instant(self.utc + self.t, self.t, "one")

    def live(self, days: float) -> Month:
        for slot in plan.opening(self.rules.routes, lambda _: None, self.now):
            self.later(slot.due.mono, lambda s=slot: self.scheduled(s))  # type: ignore[misc]
        self.tell(*(WatchRestored(self.now, name, 3) for name in self.rules.mailboxes))
        for day in range(int(days) + 1):
            for provider in self.layout.of_provider:
                self.later(DAY * day + self.rng.uniform(0, DAY - DELAY), lambda p=provider: self.slow(p))  # type: ignore[misc]
            for name in self.rules.mailboxes:
                for _ in range(DROPS):
                    self.later(DAY * day + self.rng.uniform(0, DAY), lambda n=name: self.drop(n))  # type: ignore[misc]
            for _ in range(4):
                self.later(DAY * day + self.rng.uniform(0, DAY), self.step)
        while self._heap[0][0] < days * DAY:
            if self.wake < self._heap[0][0]:
                self.t, self.wake = max(self.t, self.wake), float("inf")
                self.decide(())
                continue
            self.t, _, act = heapq.heappop(self._heap)
            act()
        return self

    def tell(self, *facts: Fact) -> None:
        for fact in facts:
            self.world.fold(Entry(self.world.seq + 1, KIND_OF[type(fact)], fact))

    def decide(self, touched: tuple[Route, ...]) -> None:
        decision = decide(self.world, self.layout, self.rules, self.now, touched)
        self.wake = float("inf") if decision.wake is None else self.t + decision.wake
        for fact in decision.transitions:
            self.tell(fact)
            self.transitions.append(fact)
            for route in fact.confirm:
                self.confirms += 1
                self.probe(route, Purpose.CONFIRM)

    # --- noise --------------------------------------------------------------------------------------------------

    def slow(self, provider: str) -> None:
        self._delays[provider] = self.t + DELAY

    def step(self) -> None:
        self.utc += self.rng.choice((-STEP, STEP))

    def drop(self, name: MailboxName) -> None:
        if name in self.blind:
            return
        self.blind.add(name)
        self.tell(WatchBlind(self.now, name, BlindCause.CLOSED, "the server closed the connection", ""))
        self.decide(())
        self.later(self.t + self.rng.uniform(0.5, 60), lambda: self.restore(name))

    def restore(self, name: MailboxName) -> None:
        self.blind.discard(name)
        self.look(name)
        self.tell(WatchRestored(self.now, name, 3))
        self.decide(())

    def transit(self, route: Route) -> float | None:
        if self.rng.random() < self.loss(route, self.t):
            return None
        usual = self.rng.lognormvariate(0.7, 0.5)
        if self._delays[self.layout.provider(route)] > self.t:
            usual += DELAY
        return usual + self.rng.uniform(300, 1_800) if self.rng.random() < GREYLISTED else usual

    # --- what plan, submit, watch and judge would write ------------------------------------------------------------

    def scheduled(self, slot: plan.Slot) -> None:
        after = plan.following(self.rules.routes[slot.route], slot.due, self.now, self.rng.uniform(-1.0, 1.0))
        self.later(after.due.mono, lambda: self.scheduled(after))
        self.probe(slot.route, Purpose.SCHEDULED)

    def probe(self, route: Route, purpose: Purpose) -> None:
        self.sent += 1
        name = ProbeId(f"{self.sent:012x}")
        deadlines = self.rules.routes[route].deadlines
        self.tell(
            replace(self._plan, at=self.now, probe=name, route=route, purpose=purpose, deadlines=deadlines),
            Attempted(self.now, name, 1),
        )
        if self.rng.random() < SERVFAIL:
            self.tell(SubmitError(self.now, name, 1, SubmitFault.UNREACHABLE, "SERVFAIL", "", 2.0))
            self.decide((route,))
            self.later(self.t + 2, lambda: self.submitted(name, route, 2))
        else:
            self.submitted(name, route, 1)

    def submitted(self, name: ProbeId, route: Route, attempt: int) -> None:
        if attempt > 1:
            self.tell(Attempted(self.now, name, attempt))
        self.tell(Accepted(self.now, name, attempt, OK))
        transit = self.transit(route)
        self.probes[name] = None if transit is None else self.t + transit
        if transit is not None:
            self.later(self.t + transit, lambda: self.arrived(name))
        if transit is None or transit > 20:
            known = self.world.routes.get(str(route))
            deadlines = self.rules.routes[route].deadlines
            first = overdue.overdue_after(deadlines, known.habit if known else None)
            for after in (first, 2 * first, deadlines.missing_after):
                self.later(self.t + after + 0.1, lambda: self.look(route.mailbox))
            for minute in range(40):
                self.later(self.t + 60 * minute + 45, lambda: self.look(route.mailbox) if name in self.probes else None)
        self.later(self.t + self.rules.routes[route].deadlines.watch_until + 1, lambda: self.closed(name))

    def arrived(self, name: ProbeId) -> None:
        state = self.world.probes.get(name)
        if state is not None and state.plan.route.mailbox not in self.blind:
            self.sight(state)

    def sight(self, state: ProbeState) -> None:
        if self.probes.pop(state.plan.probe, None) is None:
            return
        look, carriers = state.unseen_look, (Carrier.HEADER, Carrier.BODY)
        since = look.began if look else state.first_attempt
        here = (state.plan.route.mailbox, "INBOX", Placement.INBOX)
        self.tell(Sighted(self.now, state.plan.probe, *here, 1, self.sent, since, "", "", carriers, header_digest=state.plan.probe))
        self.judge(state)
        self.decide((state.plan.route,))

    def look(self, name: MailboxName) -> None:
        """Whatever has arrived is seen, and the rest is not."""
        if name in self.blind:
            return
        hunted = [state for state in self.world.probes_to(name) if state.hunted]
        for state in hunted:
            due = self.probes.get(state.plan.probe)
            if due is not None and due <= self.t:
                self.sight(state)
        hunted = [state for state in hunted if state.hunted]
        if hunted:
            self.tell(Looked(self.now, name, self.now, 3))
            for state in hunted:
                self.judge(state)
            self.decide(tuple({state.plan.route for state in hunted}))

    def judge(self, state: ProbeState) -> None:
        ruling = judge.judge(state, self.world.mailbox(state.plan.route.mailbox), self.now)
        if ruling is not None and judge.is_news(state, ruling):
            self.tell(self.verdict(state, ruling))

    def verdict(self, state: ProbeState, ruling: Ruling) -> Judged:
        return Judged(
            self.now,
            state.plan.probe,
            state.plan.route,
            state.plan.purpose,
            0 if state.judged is None else state.judged.revision + 1,
            ruling.reason.verdict,
            ruling.reason,
            ruling.explanation,
            ruling.evidence,
            transit_seconds=ruling.transit_seconds,
            placement=ruling.copy.placement if ruling.copy else None,
        )

    def closed(self, name: ProbeId) -> None:
        self.probes.pop(name, None)
        route = self.world.probes[name].plan.route
        self.tell(Closed(self.now, name))
        if self.world.evidence.lost and self.world.evidence.lost[-1].seq == self.world.seq:
            self.decide((route,))

    # --- what came of it ------------------------------------------------------------------------------------------

    def opened(self, severity: Severity) -> list[Transition]:
        return [fact for fact in self.transitions if fact.phase is Phase.OPENED and fact.severity is severity]

    def figures(self) -> str:
        suspected = sum(fact.phase is Phase.SUSPECTED for fact in self.transitions)
        said = [f"{fact.at.mono / DAY:.2f} d: {fact.symptom} {fact.scope} {fact.opening}" for s in Severity for fact in self.opened(s)]
        return (
            f"{self.sent} probes, {self.confirms} of them confirm probes, {suspected} suspicions, "
            f"{len(self.opened(Severity.PAGE))} pages, {len(self.opened(Severity.TICKET))} tickets: {said}"
        )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_noisy_healthy_month_pages_nobody(tmp_path: Path, number: int) -> None:
    """The first days of three seeds; MONTH_DAYS=30 lives each month to its end (a minute each)."""
    month = Month(two_paths(tmp_path), number).live(float(os.environ.get("MONTH_DAYS", "4")))
    print(month.figures())
    assert not month.opened(Severity.PAGE), month.figures()
    assert len(month.opened(Severity.TICKET)) <= 3, month.figures()
    assert month.confirms <= month.sent * 0.15, month.figures()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", range(5))
def test_a_tenth_of_the_mail_lost_at_one_provider_pages_within_two_hours(tmp_path: Path, number: int) -> None:
    began = 12 * 3_600.0 + 7_000 * number

    def loss(route: Route, t: float) -> float:
        return 0.1 if t >= began and rules.mailboxes[route.mailbox].provider == "provider-1" else LOST

    rules = two_paths(tmp_path)
    month = Month(rules, 10 + number, loss).live((began + 3 * 3_600) / DAY)
    pages = month.opened(Severity.PAGE)
    assert pages, month.figures()
    print(f"{(pages[0].at.mono - began) / 60:.0f} minutes", month.figures())
    assert pages[0].at.mono - began <= 7_200, f"{(pages[0].at.mono - began) / 60:.0f} minutes; {month.figures()}"
    assert pages[0].scope == Scope(ScopeKind.PROVIDER, "provider-1"), month.figures()


@pytest.mark.timeout(300)
@virtual
async def test_the_whole_house_lives_through_six_noisy_hours(tmp_path: Path) -> None:
    """The same noise, made outside, where it comes from: no page either."""
    rules, rng = two_paths(tmp_path), random.Random(5)
    house = House(rules)
    delays = {provider: rng.uniform(2_000, DAY / 4 - 2_000) for provider in ("provider-0", "provider-1", "provider-2")}
    owners = {box.address.base: box.provider for box in rules.mailboxes.values()}

    def fate(mail: MailSubmission) -> float | None:
        if rng.random() < LOST:
            return None
        slow = 0.0 <= house.elapsed - delays[owners[mail.recipient.base]] <= DELAY
        usual = rng.lognormvariate(0.7, 0.5) + (DELAY if slow else 0.0)
        return usual + rng.uniform(300, 1_800) if rng.random() < GREYLISTED else usual

    async def drops() -> None:
        while True:
            await house.sleep(DAY / DROPS / len(house.accounts) / 2)
            name = rng.choice(sorted(house.accounts))
            house.accounts[name].fail(MailboxError(BlindCause.CLOSED, "the server closed the connection"))
            await house.sleep(rng.uniform(1, 30))
            house.accounts[name].heal()
            house.clock.step(rng.choice((-STEP, STEP)))
            address = rules.mailboxes[name].address.base
            house.post.outcomes[address] = [Unreached(Step.CONNECT, "SERVFAIL"), Taken(OK)]

    for post in house.posts.values():
        post.fate = fate
    await house.journal.append(week(rules))
    async with house.running(*STAGES):
        noise = asyncio.create_task(drops())
        await house.sleep(DAY / 4)
        noise.cancel()
    assert len(house.facts(Judged)) > 850
    phases = Counter(fact.phase.value for fact in house.facts(Transition))
    assert phases[Phase.SUSPECTED] > 10, "there was noise"
    assert not told(house), phases
