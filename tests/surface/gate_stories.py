"""Gates as the stages would have written them, fact by fact, on a world of their own: two paths to four mailboxes of two providers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from monitor.desk import Desk
from monitor.edge.entropy import SystemEntropy
from monitor.edge.journal import MemoryJournal
from monitor.model.address import Address
from monitor.model.facts import (
    KIND_OF,
    Accepted,
    Attempted,
    DeployMarked,
    Entry,
    Fact,
    GateCancelled,
    GateDecided,
    GateOverridden,
    GateProbing,
    GateRequested,
    Judged,
    ProbePlanned,
    Refused,
    Sighted,
)
from monitor.model.gate import (
    GATE_VERDICT,
    Arm,
    Baseline,
    Because,
    ClassTally,
    Example,
    GateId,
    GatePlan,
    GatePolicy,
    GateRoute,
    GateStep,
    Sequential,
)
from monitor.model.incident import DeployPhase
from monitor.model.instant import Instant
from monitor.model.mail import Carrier, Field, Placement
from monitor.model.money import Money
from monitor.model.policy import Policy
from monitor.model.probe import Deadlines, Expectation, MailboxName, PathName, ProbeId, Purpose, RefundStory, Route
from monitor.model.submission import Reply, Step
from monitor.model.verdict import Reason
from monitor.rules.gate import assess
from monitor.surface.gate import gate_document
from monitor.views.gates import GateState
from monitor.views.world import World
from tests.stages.house import policy as house_policy

GATE = GateId("gate-0123456789ab")
START = Instant(1_790_085_730.5, 1_000.0, "first")  # 2026-09-22T14:02:10.5Z
CANARY = PathName("app")
BESIDE = PathName("relay")
PROVIDERS = {"gmail-1": "gmail", "gmail-2": "gmail", "outlook-1": "outlook", "outlook-2": "outlook"}
BOXES = tuple(map(MailboxName, PROVIDERS))
SEED = Address.parse("seed@box.test")
REFUND = RefundStory("RF-20260922-1234", "O-77", Money(Decimal("19.95"), "EUR"), "Ada Lovelace", "en-GB")
DEADLINES = Deadlines(120, 480, 1_800, 2_280)
TAKEN = Reply(202, "queued")
PLAIN = GatePolicy("quick", GatePlan((GateStep(10, 0), GateStep(30, 1))))  # whatever the built-in ones become
SEQUENTIAL = GatePolicy("deep", GatePlan(sequential=Sequential(0.005, 0.05, 0.01, 0.05, 300)), timeout=7_200.0)


def shop(directory: Path) -> Policy:
    """The configuration of the stories, and where people read on."""
    secret = {"env": "PASSWORD"}
    boxes = {
        name: {"provider": provider, "address": f"{name}@box.test", "imap": {"host": "imap.test", "password": secret}}
        for name, provider in PROVIDERS.items()
    }
    app = {
        "kind": "http",
        "url": "https://shop.test/refunds",
        "body": {"to": "{{ recipient }}", "number": "{{ refund_number }}"},
        "version": "header:X-App-Version",
    }
    whole = house_policy(directory, paths={CANARY: app}, mailboxes=boxes)
    return replace(whole, notify=replace(whole.notify, public_url="https://canary.test", runbooks_url="https://docs.test/runbooks"))


def canary(box: str) -> Route:
    return Route(CANARY, MailboxName(box))


def beside(box: str) -> Route:
    return Route(BESIDE, MailboxName(box))


class Stopped:
    """A clock that shows the time that a story has reached."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> Instant:
        return self.at

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


class Story:
    """One gate. Each call writes what a stage would have written, a tenth of a second later."""

    def __init__(self, policy: Policy) -> None:
        self.world, self.clock = World(), Stopped()
        self.desk = Desk(MemoryJournal(self.world.fold), self.world, self.clock, SystemEntropy(), policy)
        self.seq = 0
        self.probes = 0

    @property
    def state(self) -> GateState:
        return self.world.gates.known[GATE]

    @property
    def now(self) -> Instant:
        return self.clock.at

    def document(self) -> dict[str, Any]:
        return gate_document(self.desk, self.state)

    def tell(self, *facts: Fact) -> None:
        for fact in facts:
            self.seq += 1
            self.world.fold(Entry(self.seq, KIND_OF[type(fact)], fact))

    def wait(self, seconds: float = 0.1) -> Instant:
        self.clock.at = self.clock.at.plus(seconds)
        return self.clock.at

    # --- the gate ---------------------------------------------------------------------------------------------

    def asked(
        self, policy: GatePolicy = PLAIN, boxes: Sequence[str] = BOXES, attempt: int = 1, deploy: str = "d-512", **more: Any
    ) -> GateState:
        at = self.wait()
        self.tell(DeployMarked(at, deploy, DeployPhase.FINISH, by="ci"))
        routes = tuple(GateRoute(canary(box), PROVIDERS[box], Arm.CANARY) for box in boxes)
        routes += tuple(GateRoute(beside(box), PROVIDERS[box], Arm.CONTROL) for box in boxes)
        whole: dict[str, Any] = {
            "by": "ci",
            "versions": ("v512", "a1b2c3d", "d-512"),
            "routes": routes,
            "began": START,
            "until": at.plus(policy.timeout),
            "baseline": tuple(Baseline(each.route, 3, 0, START.plus(-60)) for each in routes),
            "service": "checkout",
            "version": "v512",
            "sha": "a1b2c3d",
            "marked": True,
        }
        self.tell(GateRequested(at, GATE, deploy, attempt, policy, **(whole | more)))
        return self.state

    def decided(self, because: Because | None = None, **more: Any) -> GateDecided:
        """What the rule says now; or, with `because`, that, over the classes as they stand."""
        if because is None or "classes" not in more:
            standing = assess(self.world, self.state, self.desk.policy, self.now)
            fact = standing.decided
        if because is not None:
            fact = GateDecided(
                self.now,
                GATE,
                self.state.request.deploy,
                self.state.request.attempt,
                GATE_VERDICT[because],
                because,
                more.pop("reason", f"because of {because.value}"),
                more.pop("classes") if "classes" in more else standing.classes,
                (),
                **more,
            )
        assert fact is not None, standing.reason
        self.tell(replace(fact, **more) if because is None else fact)
        return fact

    def cancelled(self, by: str = "ana", reason: str = "not needed") -> None:
        self.tell(GateCancelled(self.wait(), GATE, by, reason))

    def overridden(self, seconds: float = 7_200.0, by: str = "ana", reason: str = "known false alarm") -> None:
        self.tell(GateOverridden(self.wait(), GATE, by, reason, self.now.utc + seconds))

    # --- its probes ---------------------------------------------------------------------------------------------

    def planned(self, route: Route) -> ProbeId:
        self.probes += 1
        probe = ProbeId(f"{self.probes:012x}")
        at = self.wait()
        self.tell(
            GateProbing(at, GATE, self.state.request.attempt, (route,)),
            ProbePlanned(
                at, probe, route, Purpose.GATE, "token", f"<{probe}@shop.test>", SEED, SEED, REFUND, Expectation(()), DEADLINES, "p", GATE
            ),
        )
        return probe

    def taken(self, route: Route, version: str = "v512") -> ProbeId:
        """Planned and accepted: pending."""
        probe = self.planned(route)
        self.tell(Attempted(self.now, probe, 1), Accepted(self.wait(), probe, 1, TAKEN, served_version=version))
        return probe

    def sighted(self, probe: ProbeId, route: Route, altered: tuple[Field, ...] = (), placement: Placement = Placement.INBOX) -> None:
        at = self.wait()
        self.tell(
            Sighted(
                at, probe, route.mailbox, "INBOX", placement, 1, self.probes, at, f"<{probe}@shop.test>", "d", (Carrier.HEADER,), altered
            )
        )

    def judged(self, probe: ProbeId, route: Route, reason: Reason, said: str = "", version: str = "v512", **more: Any) -> None:
        seen = reason in (Reason.PASS, Reason.LATE, Reason.SPAM, Reason.ALTERED)
        where: dict[str, Any] = {"transit_seconds": 1.25, "folder": "INBOX", "mailbox": route.mailbox} if seen else {}
        self.tell(
            Judged(
                self.wait(),
                probe,
                route,
                Purpose.GATE,
                0,
                reason.verdict,
                reason,
                said or f"it is {reason.value}",
                (),
                served_version=version,
                **(where | more),
            )
        )

    def probe(self, route: Route, reason: Reason = Reason.PASS, said: str = "", version: str = "v512", **more: Any) -> ProbeId:
        probe = self.taken(route, version)
        if reason.verdict.value == "pass":
            self.sighted(probe, route)
        self.judged(probe, route, reason, said, version, **more)
        return probe

    def scheduled(self, route: Route, reason: Reason, version: str = "", before: bool = False) -> None:
        """A probe that no gate asked for; `before`: an hour before the deploy began."""
        self.probes += 1
        probe, now = ProbeId(f"{self.probes:012x}"), self.wait()
        at = START.plus(-3_600) if before else now
        self.tell(
            ProbePlanned(at, probe, route, Purpose.SCHEDULED, "token", "", SEED, SEED, REFUND, Expectation(()), DEADLINES, "p"),
            Attempted(at, probe, 1),
            Accepted(at, probe, 1, TAKEN, served_version=version),
            Judged(at, probe, route, Purpose.SCHEDULED, 0, reason.verdict, reason, "seen", (), served_version=version),
        )

    def refused(self, route: Route, said: str = "mailbox unavailable", step: Step = Step.REQUEST) -> ProbeId:
        probe = self.planned(route)
        self.tell(Attempted(self.now, probe, 1), Refused(self.wait(), probe, 1, step, Reply(503, said)))
        self.judged(probe, route, Reason.REJECTED, f"the peer answered 503 {said}", "")
        return probe

    def round(self, each: int = 1, reason: Reason = Reason.PASS, boxes: Sequence[str] = BOXES, said: str = "") -> None:
        """So many probes on every canary route."""
        for _ in range(each):
            for box in boxes:
                self.probe(canary(box), reason, said)


def tally(provider: str = "gmail", because: Because | None = None, **more: Any) -> ClassTally:
    whole: dict[str, Any] = {
        "good": 10,
        "adverse": 0,
        "pending": 0,
        "aside": 0,
        "needed": 10,
        "limit": 2,
        "control_good": 3,
        "control_bad": 0,
        "loss_upper": 0.2589,
    }
    whole |= more
    return ClassTally(provider, because, sum(whole[name] for name in ("good", "adverse", "pending", "aside")), **whole)


def example(said: str = "in none of 7 folders 480 s later") -> Example:
    return Example("00000000000c", canary("gmail-1"), START, "missing", said)


# --- whole stories: every state that a document can be in -------------------------------------------------------------


def fresh(story: Story) -> None:
    story.asked()


def running(story: Story) -> None:
    story.asked()
    story.round(2)
    story.taken(canary("gmail-1"))
    story.probe(canary("gmail-2"), Reason.PASS, version="v511")


def passed(story: Story) -> None:
    story.asked()
    for box in BOXES:
        story.probe(beside(box), version="")
    story.round(5)
    story.wait(10)
    story.decided()


def lost(story: Story) -> None:
    story.asked()
    story.round(1)
    story.round(3, Reason.MISSING, BOXES[:2], "in none of 7 folders 480 s later")
    story.decided(Because.LOSSES, reason="gmail: 6 of 8 probes lost (fails at 2); control 0 of 4", example=example())


def wrong_amount(story: Story) -> None:
    story.asked()
    probe = story.taken(canary("gmail-1"))
    story.sighted(probe, canary("gmail-1"), (Field.AMOUNT,))
    story.decided(Because.WRONG_AMOUNT)


def refused(story: Story) -> None:
    story.asked()
    for box in BOXES:
        story.refused(canary(box))
    story.decided(Because.REFUSED)


def tripped(story: Story) -> None:
    story.asked()
    story.round(1)
    story.decided(Because.TRIPPED)


def unobserved(story: Story) -> None:
    story.asked()
    for box in BOXES:
        story.probe(canary(box), version="v511")
    story.decided(Because.UNOBSERVED, unseen=("what v512 would do: it served no probe",))


def broken_baseline(story: Story) -> None:
    story.asked()
    story.round(1, Reason.MISSING)
    for box in BOXES:
        story.probe(beside(box), Reason.MISSING, version="")
    story.decided(Because.BASELINE_BROKEN, classes=(tally("gmail", Because.BASELINE_BROKEN, good=0, adverse=2, control_bad=2),))


def called_off(story: Story) -> None:
    story.asked()
    story.round(1)
    story.taken(canary("gmail-1"))
    story.cancelled()
    story.decided(Because.CANCELLED)


def own_fault(story: Story) -> None:
    story.asked()
    story.round(1, Reason.OVERLOADED)
    story.decided(Because.OWN_FAULT)


def overridden(story: Story) -> None:
    lost(story)
    story.overridden()


def override_over(story: Story) -> None:
    lost(story)
    story.overridden(60.0)
    story.wait(61.0)


def advisory(story: Story) -> None:
    story.asked(advisory_until=START.utc + 7_200)
    story.round(1, Reason.MISSING, said="in none of 7 folders 480 s later")
    story.decided(Because.LOSSES)


def second_attempt(story: Story) -> None:
    story.asked(by="ci-1")
    story.round(1)
    story.wait(700)
    story.decided(Because.TOO_FEW)
    story.wait(30)
    story.asked(attempt=2, by="ci-2")
    story.round(1)


def deep(story: Story) -> None:
    story.asked(SEQUENTIAL, notify=False, baseline=(Baseline(canary("gmail-1"), 0, 0),))
    story.round(3)
    story.probe(canary("outlook-1"), Reason.LATE)


STORIES = {
    story.__name__: story
    for story in (
        fresh, running, passed, lost, wrong_amount, refused, tripped, unobserved, broken_baseline, called_off, own_fault, overridden,
        override_over, advisory, second_attempt, deep,
    )
}  # fmt: skip
