"""A gate told fact by fact: a shop with an application that tells its version, a bare relay beside it, six mailboxes at three providers."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from monitor.model.facts import (
    KIND_OF,
    Accepted,
    Attempted,
    Deferred,
    Entry,
    Fact,
    GateDecided,
    GateProbing,
    GateRequested,
    Judged,
    Looked,
    ProbePlanned,
    Refused,
    Sighted,
    SubmitError,
    SubmitFault,
    SubmitUnknown,
    WatchBlind,
)
from monitor.model.gate import BUILT_IN, QUICK, Arm, Baseline, GateId, GatePlan, GatePolicy, GateRoute, GateStep
from monitor.model.instant import Instant
from monitor.model.mail import BlindCause, Carrier, Field, Placement
from monitor.model.policy import Policy
from monitor.model.probe import MailboxName, PathName, ProbeId, Purpose, Route
from monitor.model.submission import Reply, Step
from monitor.model.verdict import Reason, Verdict
from monitor.rules.gate import Standing, assess
from monitor.views.gates import GateState
from monitor.views.world import World
from tests.stages import house
from tests.views.life import NOON, planned

APP, BARE = PathName("app"), PathName("bare-smtp")
BOXES = tuple(MailboxName(name) for name in ("gmail-1", "gmail-2", "outlook-1", "outlook-2", "web-1", "web-2"))
GMAIL, OUTLOOK = BOXES[:2], BOXES[2:4]
GATE = GateId("gate-0123456789ab")
BEGAN = -60.0  # the deploy, seconds from the first request
SMALL = GatePolicy("small", GatePlan((GateStep(3, 0), GateStep(6, 1))))
HTTP = {
    "kind": "http",
    "url": "https://shop.test/internal/refunds",
    "body": {"to": "{{ recipient }}", "amount": "{{ amount_value }}", "token": "{{ token }}"},
    "refund_id": "/refund_id",
    "version": "header:X-App-Version",
}
SMTP = {"kind": "smtp", "host": "relay.test", "author": "refunds@shop.test"}


@cache
def shop() -> Policy:
    """The provider of a mailbox is its name up to the dash."""
    secret = {"env": "PASSWORD"}
    boxes = {
        name: {"provider": name.partition("-")[0], "address": f"{name}@box.test", "imap": {"host": "imap.test", "password": secret}}
        for name in BOXES
    }
    with tempfile.TemporaryDirectory() as directory:
        policy = house.policy(Path(directory), seeds=0, paths={APP: HTTP, BARE: SMTP}, mailboxes=boxes)
    routes = {route: rule for route, rule in policy.routes.items() if route.path in (APP, BARE)}
    return replace(policy, paths={name: policy.paths[name] for name in (APP, BARE)}, routes=routes)


def app(box: str) -> Route:
    return Route(APP, MailboxName(box))


def bare(box: str) -> Route:
    return Route(BARE, MailboxName(box))


def at(t: float, process: str = "one") -> Instant:
    return Instant(NOON + t, t, process)


class Play:
    """Times are seconds after the first request. `boxes`: the mailboxes that the gate probes, over both paths."""

    def __init__(
        self,
        asked: GatePolicy = BUILT_IN[QUICK],
        boxes: Sequence[str] = GMAIL,
        *,
        paths: Sequence[PathName] = (APP, BARE),
        baseline: tuple[int, int] | None = None,
        before: dict[Route, tuple[int, int]] | None = None,
    ) -> None:
        """`baseline`: good and bad probes of each route before the deploy; `before`: of some routes."""
        self.world = World()
        self.policy = shop()
        self.asked = asked
        self.boxes = boxes
        self.paths = paths
        self.process = "one"
        known = {route: baseline for route in self.routes if baseline is not None} | (before or {})
        self.baseline = tuple(
            Baseline(route, good, bad, at(BEGAN - 30) if good else None, at(BEGAN - (30 if bad > good else 90)) if bad else None)
            for route, (good, bad) in known.items()
        )
        self._number = count(1)
        self._plan = planned()
        self.request(0.0)

    @property
    def routes(self) -> list[Route]:
        return [Route(path, MailboxName(box)) for path in self.paths for box in self.boxes]

    def at(self, t: float) -> Instant:
        return at(t, self.process)

    def tell(self, *facts: Fact) -> int:
        """The seq of the last one."""
        for fact in facts:
            self.world.fold(Entry(self.world.seq + 1, KIND_OF[type(fact)], fact))
        return self.world.seq

    @property
    def state(self) -> GateState:
        return self.world.gates.known[GATE]

    def request(self, t: float, **changes: Any) -> GateRequested:
        attempt = self.state.request.attempt + 1 if self.world.gates.known else 1
        trust = self.asked.trust_target
        fact = GateRequested(
            at=self.at(t),
            gate=GATE,
            deploy="d-2",
            attempt=attempt,
            policy=self.asked,
            by="ci",
            versions=("v2", "d-2"),
            routes=tuple(
                GateRoute(route, route.mailbox.partition("-")[0], Arm.CANARY if route.path == APP or trust else Arm.CONTROL)
                for route in self.routes
            ),
            began=at(BEGAN),
            until=self.at(t).plus(self.asked.timeout),
            baseline=self.baseline,
        )
        fact = replace(fact, **changes)
        self.tell(fact)
        return fact

    def look(self, t: float) -> Standing:
        return assess(self.world, self.state, self.policy, self.at(t))

    def ends(self, t: float) -> GateDecided:
        """The decision, which there must be; told."""
        standing = self.look(t)
        assert standing.decided is not None, standing.reason
        self.tell(standing.decided)
        return standing.decided

    def probing(self, t: float, *routes: Route) -> None:
        self.tell(GateProbing(self.at(t), GATE, self.state.request.attempt, routes))

    # --- the life of a probe ----------------------------------------------------------------------------------------

    def plan(self, route: Route, t: float, gate: bool = True) -> ProbeId:
        probe = ProbeId(f"{next(self._number):012x}")
        fact: ProbePlanned = replace(
            self._plan,
            at=self.at(t),
            probe=probe,
            route=route,
            purpose=Purpose.GATE if gate else Purpose.SCHEDULED,
            deadlines=self.policy.routes[route].deadlines if route in self.policy.routes else self._plan.deadlines,
            gate=GATE if gate else "",
        )
        self.tell(fact)
        return probe

    def send(self, route: Route, t: float, gate: bool = True) -> ProbeId:
        probe = self.plan(route, t, gate)
        self.tell(Attempted(self.at(t), probe, 1))
        return probe

    def accept(self, probe: ProbeId, t: float, version: str = "v2") -> None:
        self.tell(Accepted(self.at(t), probe, 1, Reply(202, "ok"), served_version=version))

    def take(self, route: Route, t: float, version: str | None = None, gate: bool = True) -> ProbeId:
        """Sent and taken; nothing is seen yet."""
        probe = self.send(route, t, gate)
        self.accept(probe, t + 0.1, version if version is not None else "v2" if route.path == APP else "")
        return probe

    def refuse(self, probe: ProbeId, t: float, step: Step = Step.REQUEST, version: str = "", said: str = "no") -> None:
        self.tell(Refused(self.at(t), probe, 1, step, Reply(550, said), version))
        self.verdict(probe, Reason.REJECTED, t, version=version)

    def defer(self, probe: ProbeId, t: float, retry_in: float | None = 30.0) -> None:
        self.tell(Deferred(self.at(t), probe, 1, Step.REQUEST, Reply(503, "busy"), retry_in))

    def err(self, probe: ProbeId, t: float, fault: SubmitFault) -> None:
        self.tell(SubmitError(self.at(t), probe, 1, fault, "detail", "mend", None))
        reason = {
            SubmitFault.UNREACHABLE: Reason.SUBMIT_UNREACHABLE,
            SubmitFault.MISCONFIGURED: Reason.SUBMIT_MISCONFIGURED,
            SubmitFault.OVERLOADED: Reason.OVERLOADED,
            SubmitFault.INTERNAL: Reason.INTERNAL,
        }[fault]
        self.verdict(probe, reason, t)

    def lose_reply(self, probe: ProbeId, t: float) -> None:
        self.tell(SubmitUnknown(self.at(t), probe, 1, Step.DATA, "the connection broke"))

    def see(self, probe: ProbeId, t: float, money: bool = False) -> None:
        box = self.world.probes[probe].plan.route.mailbox
        altered = (Field.AMOUNT,) if money else ()
        self.tell(Sighted(self.at(t), probe, box, "INBOX", Placement.INBOX, 1, 1, None, "", "", (Carrier.HEADER,), altered=altered))

    def verdict(self, probe: ProbeId, reason: Reason, t: float, said: str = "", version: str | None = None) -> None:
        state = self.world.probes[probe]
        revision = 0 if state.judged is None else state.judged.revision + 1
        served = version if version is not None else state.accepted.served_version if state.accepted else ""
        route, purpose = state.plan.route, state.plan.purpose
        passed = reason.verdict is Verdict.PASS
        self.tell(
            Judged(
                self.at(t), probe, route, purpose, revision, reason.verdict, reason, said or reason.value, (),
                transit_seconds=1.0 if passed else None, served_version=served,
            )
        )  # fmt: skip

    def probe(
        self, route: Route, t: float, reason: Reason = Reason.PASS, version: str | None = None, after: float = 1.0, gate: bool = True
    ) -> ProbeId:
        """Sent and taken at `t`, judged `after` seconds later."""
        probe = self.take(route, t, version, gate)
        if reason is Reason.PASS:
            self.see(probe, t + after)
        self.verdict(probe, reason, t + after)
        return probe

    def good(self, number: int, t: float = 0.0, boxes: Sequence[str] | None = None, **more: Any) -> None:
        """So many good probes to each provider of the gate, its mailboxes in turn."""
        self.all(number, t, Reason.PASS, boxes, **more)

    def all(self, number: int, t: float, reason: Reason, boxes: Sequence[str] | None = None, path: PathName = APP, **more: Any) -> None:
        providers: dict[str, list[str]] = {}
        for box in boxes or self.boxes:
            providers.setdefault(box.partition("-")[0], []).append(box)
        for there in providers.values():
            for place in range(number):
                self.probe(Route(path, MailboxName(there[place % len(there)])), t, reason, **more)

    # --- what happens beside it -----------------------------------------------------------------------------------

    def looked(self, box: str, t: float) -> None:
        self.tell(Looked(self.at(t), MailboxName(box), self.at(t), 7))

    def blind(self, t: float, *boxes: str) -> None:
        for box in boxes:
            self.tell(WatchBlind(self.at(t), MailboxName(box), BlindCause.AUTH_REFUSED, "LOGIN refused for ann@box.test", "renew it"))
