"""Inspections on /metrics: broken, holding, unknown and never asked are four different things."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitor.model.checks import CheckId, CheckResult, Gravity, Status
from monitor.model.facts import Entry, ZoneObserved
from monitor.model.inspection import Cause, DomainPolicy, Drift, DriftState, FacetKind, InspectPolicy
from monitor.model.instant import Instant
from monitor.model.policy import Policy
from monitor.surface.metrics import Metrics, Vitals
from monitor.surface.metrics.zones import CHECKS, check_label
from monitor.views.world import World
from tests.stages.house import policy

SHOP = "shop.test"
GAUGES = {
    "auth_check_unknown": ("check", CHECKS),
    "auth_last_check_timestamp_seconds": ("", ("",)),
    "inspection_interval_seconds": ("", ("",)),
    "inspections_total": ("", ("",)),
    "findings": ("severity", ("critical", "error", "warning", "info")),
    "resolver_blind": ("", ("",)),
    "zone_drifts": ("state", ("propagating", "standing", "approved", "reverted")),
}


class Page:
    """A world of inspections and the page that it makes."""

    def __init__(self, rules: Policy) -> None:
        self.world = World()
        self.metrics = Metrics(rules, self.world, Vitals())

    def look(
        self,
        at: float,
        *results: CheckResult,
        passed: tuple[CheckId, ...] = (),
        blind: str = "",
        domain: str = SHOP,
        drifts: tuple[Drift, ...] = (),
    ) -> Page:
        fact = ZoneObserved(Instant(at, at, "p"), domain, Cause.SCHEDULE, results, passed, (), drifts, blind=blind)
        entry = Entry(self.world.seq + 1, "zone_observed", fact)
        self.world.fold(entry)
        self.metrics.count(entry)
        return self

    def all(self, name: str) -> dict[tuple[str, ...], float]:
        """By the labels after the environment: domain, then check, severity or state."""
        families = text_string_to_metric_families(self.metrics.expose("")[0].decode())
        return {
            tuple(sample.labels[key] for key in ("domain", "check", "severity", "state") if key in sample.labels): sample.value
            for family in families
            for sample in family.samples
            if sample.name == f"mailcanary_{name}"
        }

    def checks(self, name: str, domain: str = SHOP) -> dict[str, float]:
        return {key[1]: value for key, value in self.all(name).items() if key[0] == domain}


@pytest.fixture
def rules(tmp_path: Path) -> Policy:
    return replace(
        policy(tmp_path), inspect=InspectPolicy(every=600.0, domains={name: DomainPolicy(name) for name in (SHOP, "other.test")})
    )


@pytest.fixture
def page(rules: Policy) -> Page:
    return Page(rules)


def result(check: CheckId, status: Status = Status.FAIL, gravity: Gravity = Gravity.CRITICAL, about: str = SHOP) -> CheckResult:
    return CheckResult(check, status, about, gravity, "saw")


def test_every_label_set_is_there_from_the_start(page: Page) -> None:
    for name, (label, values) in GAUGES.items():
        found = page.all(name)
        assert set(found) == {(domain, *([value] if label else [])) for domain in (SHOP, "other.test") for value in values}, name
    assert page.all("auth_check_ok") == {}
    assert set(page.all("auth_check_unknown").values()) == {1}
    assert set(page.all("inspection_interval_seconds").values()) == {600}
    for name in ("auth_last_check_timestamp_seconds", "inspections_total", "findings", "resolver_blind", "zone_drifts"):
        assert set(page.all(name).values()) == {0}, name


def test_every_check_has_a_label() -> None:
    assert {check_label(check) for check in CheckId} == {*CHECKS, None}
    assert [check for check in CheckId if check_label(check) is None] == [CheckId.DNS_14]


def test_broken_is_0_when_two_inspections_agree(page: Page) -> None:
    page.look(100, result(CheckId.DKIM_K1), passed=(CheckId.SPF_01,))
    assert page.checks("auth_check_ok") == {"dkim": 1, "spf": 1}
    page.look(160, result(CheckId.DKIM_K1), passed=(CheckId.SPF_01,))
    assert page.checks("auth_check_ok") == {"dkim": 0, "spf": 1}
    assert page.checks("auth_check_unknown") == {**dict.fromkeys(CHECKS, 0.0)}
    page.look(200, passed=(CheckId.SPF_01, CheckId.DKIM_K1))
    assert page.checks("auth_check_ok") == {"dkim": 1, "spf": 1}


@pytest.mark.parametrize("gravity", [Gravity.WARNING, Gravity.INFO])
def test_a_warning_breaks_nothing(page: Page, gravity: Gravity) -> None:
    for at in (100.0, 200.0):
        page.look(at, result(CheckId.MX_03, Status.WARN, gravity), passed=(CheckId.MX_01,))
    assert page.checks("auth_check_ok") == {"mx": 1}
    assert page.all("findings")[SHOP, gravity.value] == 1


def test_unknown_is_neither_0_nor_1(page: Page) -> None:
    for at in (100.0, 200.0):
        page.look(at, result(CheckId.IP_02, Status.UNKNOWN), result(CheckId.TLS_05, Status.UNKNOWN, Gravity.INFO))
    assert page.checks("auth_check_ok") == {}
    assert {name for name, value in page.checks("auth_check_unknown").items() if value} == {"ptr"}
    assert page.all("findings")[SHOP, "critical"] == 0


def test_blind_keeps_what_was_known_and_says_so(page: Page) -> None:
    page.look(100, passed=(CheckId.MX_01,)).look(400, blind="no answer")
    assert page.checks("auth_check_ok") == {"mx": 1}
    assert set(page.checks("auth_check_unknown").values()) == {1}
    assert page.all("resolver_blind") == {(SHOP,): 1, ("other.test",): 0}
    assert page.all("auth_last_check_timestamp_seconds")[(SHOP,)] == 100
    assert page.all("inspections_total")[(SHOP,)] == 2
    page.look(500, passed=(CheckId.MX_01,))
    assert page.all("resolver_blind")[(SHOP,)] == 0


def test_findings_and_drifts_are_counted(page: Page) -> None:
    drift = Drift(FacetKind.DKIM, "s1", "a", "", Gravity.CRITICAL, "gone", DriftState.STANDING, 100.0, 400.0)
    page.look(
        100, result(CheckId.SPF_01), result(CheckId.SPF_04, gravity=Gravity.ERROR), result(CheckId.SPF_04, about="x"), drifts=(drift,)
    )
    assert {key[1]: value for key, value in page.all("findings").items() if key[0] == SHOP} == {
        "critical": 2,
        "error": 1,
        "warning": 0,
        "info": 0,
    }
    assert page.all("zone_drifts")[SHOP, "standing"] == 1
    assert sum(page.all("zone_drifts").values()) == 1


def test_a_drift_is_no_broken_dns(page: Page) -> None:
    for at in (100.0, 200.0):
        page.look(at, result(CheckId.DNS_14), passed=(CheckId.DNS_02,))
    assert page.checks("auth_check_ok") == {"dns": 1}


def test_a_domain_that_nobody_configured_is_no_label(page: Page, rules: Policy) -> None:
    page.look(100, result(CheckId.SPF_01), domain="attacker.test")
    for name in (*GAUGES, "auth_check_ok"):
        assert all(key[0] != "attacker.test" for key in page.all(name)), name
    page.metrics.reload(replace(rules, inspect=replace(rules.inspect, enabled=False)))
    assert page.all("auth_check_unknown") == {}
    page.look(200, domain=SHOP)
    page.metrics.reload(replace(rules, inspect=InspectPolicy()))
    assert page.all("inspections_total") == {}
