"""What inspections find, and what of it a deploy has to answer for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.checks import CheckId, CheckResult, Gravity, Status
from monitor.model.facts import Transition, ZoneObserved
from monitor.model.gate import Because
from monitor.model.incident import IncidentId, Opening, Phase, Scope, ScopeKind, Severity
from monitor.model.inspection import Cause, DomainPolicy, InspectPolicy
from monitor.model.verdict import Symptom, Verdict
from monitor.rules.gate.zone import MOST_TOLD, worded
from monitor.views.zones import FindingState
from tests.rules.gates import BEGAN, Play, at

SHOP = "shop.test"
KEY = "s1._domainkey.shop.test"
GONE = CheckResult(CheckId.DKIM_K1, Status.FAIL, KEY, Gravity.CRITICAL, "no key record")
NOTE = CheckResult(CheckId.DNS_08, Status.INFO, SHOP, Gravity.INFO, "unsigned")
BEFORE, AFTER = BEGAN - 100.0, 5.0  # the deploy began at BEGAN, the gate was asked at 0


class Gate(Play):
    def __init__(self) -> None:
        super().__init__()
        self.policy = replace(self.policy, sending_domains=(SHOP,), inspect=InspectPolicy(domains={SHOP: DomainPolicy(SHOP)}))

    def zone(self, t: float, *results: CheckResult, domain: str = SHOP, **more: object) -> None:
        fact = ZoneObserved(self.at(t), domain, Cause.DEPLOY, results, (), ())
        self.tell(replace(fact, **more))  # type: ignore[arg-type]

    def because(self, t: float) -> Because | None:
        decided = self.look(t).decided
        return decided.because if decided is not None else None

    def incident(self, since: float, phase: Phase = Phase.OPENED, t: float = 0.0) -> None:
        scope = Scope(ScopeKind.DOMAIN, SHOP)
        first = Transition(
            self.at(since),
            IncidentId("INC-1"),
            Phase.OPENED,
            Symptom.AUTH_DKIM,
            scope,
            Severity.PAGE,
            1,
            self.at(since),
            (),
            Opening.FINDING,
        )
        self.tell(first)
        if phase is not Phase.OPENED:
            self.tell(replace(first, at=self.at(t), phase=phase))


@pytest.fixture
def gate() -> Gate:
    return Gate()


def test_what_broke_after_the_deploy_fails_the_gate(gate: Gate) -> None:
    gate.zone(BEFORE, NOTE)
    gate.zone(AFTER, NOTE, GONE)
    assert gate.because(AFTER + 1) is None  # one look is not certain
    gate.zone(AFTER + 60, NOTE, GONE)
    decided = gate.ends(AFTER + 61)
    assert (decided.verdict, decided.because) == (Verdict.FAIL, Because.FINDING)
    assert decided.reason == f"shop.test: DKIM-K1 {KEY}: no key record, since 12:00:05Z: it began after this deploy did (fails at 1)"
    assert decided.evidence == (gate.world.seq - 1,)
    assert decided.observed_to == gate.at(AFTER + 60)
    assert decided.example is None


def test_what_a_peer_wrote_is_masked_and_escaped() -> None:
    finding = FindingState(replace(GONE, about="jane@box.test", saw="said jane@box.test\x1b[31m"), at(0), at(0))
    told = worded(SHOP, finding)
    assert told.count("***@box.test") == 2 and told.isprintable()


def test_what_a_delivered_mail_shows_is_certain_at_once(gate: Gate) -> None:
    gate.zone(BEFORE, NOTE)
    gate.zone(AFTER, NOTE, replace(GONE, check=CheckId.DKIM_M1, saw="the body was altered"))
    assert gate.because(AFTER + 1) is Because.FINDING


def test_what_stood_before_blocks_nothing_and_is_named(gate: Gate) -> None:
    gate.zone(BEFORE, GONE)
    gate.zone(AFTER, GONE)
    gate.zone(AFTER + 60, GONE)
    gate.good(20, 1)
    decided = gate.ends(AFTER + 100)
    assert decided.verdict is Verdict.PASS
    assert f"not of this deploy, as far as is known: shop.test: DKIM-K1 {KEY}: no key record, since 11:" in " ".join(decided.unseen)


def certain(gate: Gate, *results: CheckResult) -> Because | None:
    gate.zone(AFTER, *results)
    gate.zone(AFTER + 60, *results)
    return gate.because(AFTER + 61)


def test_a_first_inspection_says_nothing_of_before(gate: Gate) -> None:
    assert certain(gate, GONE) is None


def test_a_zone_in_which_nothing_was_found_before_was_inspected_all_the_same(gate: Gate) -> None:
    gate.zone(BEFORE)
    assert certain(gate, GONE) is Because.FINDING


def test_what_was_unknown_before_is_not_the_deploys(gate: Gate) -> None:
    gate.zone(BEFORE, replace(GONE, status=Status.UNKNOWN))
    assert certain(gate, GONE) is None


@pytest.mark.parametrize(
    "result",
    [
        replace(GONE, gravity=Gravity.ERROR),
        replace(GONE, status=Status.UNKNOWN),
        replace(GONE, status=Status.INFO),
        replace(GONE, check=CheckId.AR_01),
    ],
)
def test_what_is_not_critical_or_not_known_decides_nothing(gate: Gate, result: CheckResult) -> None:
    gate.zone(BEFORE, NOTE)
    assert certain(gate, NOTE, result) is None


def test_what_could_not_be_tested_for_long_is_not_the_deploys(gate: Gate) -> None:
    gate.zone(BEFORE, NOTE)
    for t in (AFTER, AFTER + 60):
        gate.zone(t, NOTE, GONE, hardened=(f"DKIM-K1 {KEY}",))
    assert gate.because(AFTER + 61) is None


def test_what_an_incident_told_of_before_is_not_new(gate: Gate) -> None:
    """It was bad, then unknown, and is bad again."""
    gate.zone(BEFORE, NOTE)
    gate.incident(BEFORE)
    assert certain(gate, NOTE, GONE) is None


def test_what_was_over_before_the_deploy_is_new(gate: Gate) -> None:
    gate.zone(BEFORE, NOTE)
    gate.incident(BEFORE - 100, Phase.RESOLVED, BEFORE)
    assert certain(gate, NOTE, GONE) is Because.FINDING


def test_an_incident_of_after_the_deploy_is_the_same_news(gate: Gate) -> None:
    gate.zone(BEFORE, NOTE)
    gate.incident(AFTER)
    assert certain(gate, NOTE, GONE) is Because.FINDING


def test_another_domain_is_nobodys_here(gate: Gate) -> None:
    gate.policy = replace(gate.policy, inspect=InspectPolicy(domains={SHOP: DomainPolicy(SHOP), "other.test": DomainPolicy("other.test")}))
    gate.zone(BEFORE, NOTE)
    gate.zone(BEFORE, NOTE, domain="other.test")
    for t in (AFTER, AFTER + 60):
        gate.zone(t, GONE, NOTE, domain="other.test")
    assert gate.because(AFTER + 61) is None


def test_inspection_switched_off(gate: Gate) -> None:
    gate.zone(BEFORE, NOTE)
    gate.policy = replace(gate.policy, inspect=replace(gate.policy.inspect, enabled=False))
    assert certain(gate, NOTE, GONE) is None


def test_what_stood_is_bounded(gate: Gate) -> None:
    many = [replace(GONE, about=f"s{number}._domainkey.shop.test") for number in range(30)]
    gate.zone(BEFORE, *many)
    gate.zone(AFTER, *many)
    gate.good(20, 1)
    decided = gate.ends(AFTER + 100)
    assert sum(line.startswith("not of this deploy") for line in decided.unseen) == MOST_TOLD
