"""/metrics, read as Prometheus reads it: every name and label set from the first scrape, and numbers that say what happened."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from monitor.model.facts import (
    Acknowledged,
    Entry,
    Foreign,
    ForeignKind,
    Judged,
    Paused,
    ProbePlanned,
    Resumed,
    Silenced,
    Stray,
    SubmitError,
    SubmitFault,
    Tripped,
    WatchBlind,
)
from monitor.model.incident import DeployPhase, IncidentId, Phase, Severity
from monitor.model.instant import Instant
from monitor.model.mail import UNSAID, BlindCause
from monitor.model.policy import Policy, Role
from monitor.model.probe import MailboxName, PathName, ProbeId, Purpose, Route
from monitor.model.submission import Declined, MailSubmission, Misconfigured, Postponed, Reply, Step
from monitor.model.verdict import Reason, Symptom, Verdict
from monitor.surface.metrics import MANY_ROUTES, Metrics, Vitals, route_label
from monitor.views.world import World
from tests.fakes.submitter import TAKEN
from tests.stages.house import House, policy, seed
from tests.stages.virtual import virtual
from tests.surface import happenings as so

ROUTE = {"environment": "test", "route": "relay/seed-1"}
BY_ROUTE = (
    "mailcanary_probes_pending",
    "mailcanary_oldest_pending_probe_timestamp_seconds",
    "mailcanary_last_probe_submitted_timestamp_seconds",
    "mailcanary_last_probe_judged_timestamp_seconds",
    "mailcanary_last_probe_sighted_timestamp_seconds",
    "mailcanary_route_enabled",
    "mailcanary_delivery_deadline_seconds",
    "mailcanary_probe_interval_seconds",
)
PLAIN = (
    "mailcanary_paused",
    "mailcanary_journal_writable",
    "mailcanary_journal_bytes",
    "mailcanary_event_loop_lag_seconds",
    "mailcanary_config_last_reload_successful",
    "mailcanary_config_last_reload_success_timestamp_seconds",
    "mailcanary_notification_outbox_pending",
    "mailcanary_notification_untold_pages",
    "mailcanary_start_timestamp_seconds",
    "mailcanary_heartbeat_last_success_timestamp_seconds",
)


BY_GATE = (
    "mailcanary_gate_flips_total",
    "mailcanary_gate_probes_total",
    "mailcanary_gate_duration_seconds_count",
    "mailcanary_gates_running",
    "mailcanary_gate_oldest_running_timestamp_seconds",
    "mailcanary_gate_overrides_active",
    "mailcanary_gate_advisories_active",
    "mailcanary_gate_held",
)


class Scrape:
    def __init__(self, metrics: Metrics, accept: str = "text/plain", now: Instant | None = None) -> None:
        body, self.content_type = metrics.expose(accept, now)
        self.text = body.decode()
        parse = openmetrics if "openmetrics" in self.content_type else text_string_to_metric_families
        self.families: list[Metric] = list(parse(self.text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        (found,) = [sample.value for sample in self.samples if sample.name == name and sample.labels == labels]
        return float(found)

    def all(self, name: str) -> dict[tuple[str, ...], float]:
        """Label values, the common ones first."""
        order = (
            "environment", "verdict", "route", "result", "component", "mailbox", "kind", "path", "symptom", "to", "channel", "outcome",
            "le", "version", "sha", "python",
        )  # fmt: skip
        found = [sample for sample in self.samples if sample.name == name]
        return {tuple(sample.labels[key] for key in order if key in sample.labels): sample.value for sample in found}

    def result(self, reason: Reason, route: str = "relay/seed-1") -> float:
        return self.value("mailcanary_probe_results_total", environment="test", route=route, result=reason.value)


def fresh(rules: Policy) -> Scrape:
    return Scrape(Metrics(rules, World(), Vitals()))


def full(rules: Policy) -> Policy:
    """With channels and a tripwire."""
    trap = replace(next(iter(rules.mailboxes.values())), name=MailboxName("trap"), role=Role.TRIPWIRE)
    return so.with_channels(replace(rules, mailboxes={**rules.mailboxes, trap.name: trap}))


def told(house: House) -> Metrics:
    metrics = Metrics(house.policy, house.world, Vitals())
    house.journal.fold_into(metrics.count)
    return metrics


def texts(scrape: Scrape) -> Iterator[str]:
    for sample in scrape.samples:
        yield sample.name
        for key, value in sample.labels.items():
            yield key
            yield value


def test_every_label_set_is_there_at_0_from_the_start(tmp_path: Path) -> None:
    rules = full(policy(tmp_path, seeds=3, holding=True))
    scrape = fresh(rules)
    routes = {str(route) for route in rules.routes}
    results = scrape.all("mailcanary_probe_results_total")
    assert set(results) == {("test", route, reason.value) for route in routes for reason in Reason}
    assert set(scrape.all("mailcanary_probe_revisions_total")) == set(results)
    assert set(scrape.all("mailcanary_probes_submitted_total")) == {("test", route) for route in routes}
    assert set(scrape.all("mailcanary_monitor_errors_total")) == {
        (name,) for name in ("smtp", "imap", "dns", "state", "notify", "ledger", "annotations")
    }
    assert set(scrape.all("mailcanary_strays_total")) == {("test", name) for name in rules.mailboxes}
    assert set(scrape.all("mailcanary_foreign_tokens_total")) == {("test", kind.value) for kind in ForeignKind}
    assert set(scrape.all("mailcanary_probe_transit_seconds_count")) == {("test", route) for route in routes}
    for name in BY_ROUTE:
        assert set(scrape.all(name)) == {("test", route) for route in routes}, name
    for name in PLAIN:
        assert list(scrape.all(name)) == [()], name
    assert set(scrape.all("mailcanary_mailbox_watching")) == {("test", name) for name in rules.mailboxes}
    assert set(scrape.all("mailcanary_budget_used_ratio")) == {("test", "relay")}
    assert set(scrape.all("mailcanary_incidents_open")) == {("test", symptom.value) for symptom in Symptom}
    transitions = {("test", symptom.value, phase.value) for symptom in Symptom for phase in Phase}
    assert set(scrape.all("mailcanary_incident_transitions_total")) == transitions
    outcomes = {(name, outcome) for name in ("pager", "chat") for outcome in ("taken", "failed", "given_up")}
    assert set(scrape.all("mailcanary_notifications_total")) == outcomes
    assert set(scrape.all("mailcanary_notification_last_success_timestamp_seconds")) == {("pager",), ("chat",)}
    assert set(scrape.all("mailcanary_tripwire_trips_total")) == {("test", "trap")}
    assert set(scrape.all("mailcanary_last_deploy_timestamp_seconds")) == {("test",)}
    assert scrape.all("mailcanary_deploy_info") == {}, "no deploy was marked"
    assert set(scrape.all("mailcanary_gate_decisions_total")) == {("test", verdict.value) for verdict in Verdict}
    for name in BY_GATE:
        assert set(scrape.all(name)) == {("test",)}, name
    not_zero = {sample.name for sample in scrape.samples if sample.value != 0}
    assert not_zero == {
        "mailcanary_route_enabled",
        "mailcanary_delivery_deadline_seconds",
        "mailcanary_probe_interval_seconds",
        "mailcanary_journal_writable",
        "mailcanary_config_last_reload_successful",
        "mailcanary_build_info",
    }


def test_names_types_and_help_are_as_prometheus_wants_them(tmp_path: Path) -> None:
    scrape = fresh(policy(tmp_path))
    kinds = {family.name: family.type for family in scrape.families}
    assert kinds["mailcanary_probes_submitted"] == kinds["mailcanary_probe_results"] == "counter"
    assert kinds["mailcanary_probe_transit_seconds"] == "histogram" and kinds["mailcanary_probes_pending"] == "gauge"
    assert all(family.documentation for family in scrape.families)
    assert all(re.fullmatch(r"mailcanary_[a-z_]+", sample.name) for sample in scrape.samples)
    assert "_created" not in scrape.text
    bounds = [sample.labels["le"] for sample in scrape.samples if sample.name == "mailcanary_probe_transit_seconds_bucket"]
    assert [float(le) for le in bounds] == [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, float("inf")]
    assert scrape.content_type.startswith("text/plain; version=")


@virtual
async def test_counters_count_what_happened_and_gauges_show_what_is(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=2, budgets={"per_path": 300}))
    metrics = told(house)
    async with house.running():
        await house.sleep(10)
        house.post.transit = 3.0
        await house.probe()
        await house.sleep(1)
        started = house.clock.now().utc - 1
        scrape = Scrape(metrics)
        assert scrape.value("mailcanary_probes_submitted_total", **ROUTE) == 1
        assert scrape.value("mailcanary_probes_pending", **ROUTE) == 1
        assert scrape.value("mailcanary_oldest_pending_probe_timestamp_seconds", **ROUTE) == pytest.approx(started)
        assert scrape.value("mailcanary_last_probe_sighted_timestamp_seconds", **ROUTE) == 0
        assert scrape.value("mailcanary_mailbox_watching", environment="test", mailbox="seed-1") == 1
        await house.sleep(5)
    scrape = Scrape(metrics)
    assert scrape.value("mailcanary_probes_pending", **ROUTE) == 0
    assert scrape.value("mailcanary_oldest_pending_probe_timestamp_seconds", **ROUTE) == 0
    assert scrape.value("mailcanary_last_probe_submitted_timestamp_seconds", **ROUTE) == pytest.approx(started)
    assert scrape.value("mailcanary_last_probe_sighted_timestamp_seconds", **ROUTE) == pytest.approx(started + 3)
    assert scrape.value("mailcanary_last_probe_judged_timestamp_seconds", **ROUTE) == pytest.approx(started + 3)
    assert scrape.value("mailcanary_probe_transit_seconds_sum", **ROUTE) == pytest.approx(3)
    assert scrape.value("mailcanary_probe_transit_seconds_bucket", **ROUTE, le="2.0") == 0
    assert scrape.value("mailcanary_probe_transit_seconds_bucket", **ROUTE, le="5.0") == 1
    assert scrape.value("mailcanary_probe_submission_seconds_count", **ROUTE) == 1
    assert scrape.result(Reason.PASS) == scrape.result(Reason.PASS, "relay/seed-2") == 1
    assert sum(scrape.all("mailcanary_probe_results_total").values()) == 2
    assert scrape.value("mailcanary_budget_used_ratio", environment="test", path="relay") == pytest.approx(2 / 300)


@virtual
async def test_results_count_revision_0_and_revisions_have_their_own_counter(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    metrics = told(house)
    async with house.running():
        await house.sleep(10)
        await house.probe()
        await house.sleep(60)
        mail = house.post.submissions[0]
        assert isinstance(mail, MailSubmission)
        house.accounts[seed(1)].deliver(b"Received: again\r\n" + mail.message)
        await house.sleep(60)
    scrape = Scrape(metrics)
    assert scrape.result(Reason.PASS) == 1 and scrape.result(Reason.DUPLICATE) == 0
    assert scrape.value("mailcanary_probe_revisions_total", **ROUTE, result="duplicate") == 1
    assert scrape.value("mailcanary_probe_transit_seconds_count", **ROUTE) == 1, "a revision is no second measurement"


@virtual
async def test_a_retry_is_no_second_submission(tmp_path: Path) -> None:
    house = House(policy(tmp_path), outcomes=[Postponed(Step.RCPT_TO, Reply(450, "later")), TAKEN])
    metrics = told(house)
    async with house.running():
        await house.sleep(10)
        await house.probe()
        await house.sleep(100)
    assert Scrape(metrics).value("mailcanary_probes_submitted_total", **ROUTE) == 1


@virtual
async def test_failures_of_the_monitor_are_not_failures_of_mail(tmp_path: Path) -> None:
    house = House(policy(tmp_path), outcomes=[Misconfigured(Step.AUTH, "535", "mend"), Declined(Step.RCPT_TO, Reply(554, "no"))])
    metrics = told(house)
    async with house.running("submit", "judge"):
        for _ in range(2):
            await house.probe()
            await house.sleep(1)
        now = house.clock.now()
        await house.journal.append([
            WatchBlind(now, seed(1), BlindCause.TIMEOUT, "", ""),
            SubmitError(now, ProbeId("0" * 12), 1, SubmitFault.UNREACHABLE, "refused", "", None),
            Stray(now, seed(1), "INBOX", "d", "", UNSAID, "why"),
            Foreign(now, seed(1), "INBOX", ForeignKind.FORGED, "d"),
        ])  # fmt: skip
    scrape = Scrape(metrics)
    assert scrape.value("mailcanary_monitor_errors_total", component="smtp") == 1, "ours; the relay's refusal is none"
    assert scrape.value("mailcanary_monitor_errors_total", component="imap") == 1
    assert scrape.value("mailcanary_strays_total", environment="test", mailbox="seed-1") == 1
    assert scrape.value("mailcanary_foreign_tokens_total", environment="test", kind="forged") == 1
    assert scrape.value("mailcanary_mailbox_watching", environment="test", mailbox="seed-1") == 0
    assert scrape.result(Reason.REJECTED) == scrape.result(Reason.SUBMIT_MISCONFIGURED) == 1


def test_paused_disables_every_route(tmp_path: Path) -> None:
    world, rules = World(), policy(tmp_path, seeds=2)
    metrics = Metrics(rules, world, Vitals(journal_writable=False, journal_bytes=4096, loop_lag=0.25))

    async def story() -> None:
        house = House(rules)
        house.journal.fold_into(world.fold)
        await house.journal.append([Paused(house.clock.now(), "ann", "")])
        scrape = Scrape(metrics)
        assert scrape.value("mailcanary_paused") == 1 and set(scrape.all("mailcanary_route_enabled").values()) == {0}
        await house.journal.append([Resumed(house.clock.now(), "ann")])

    asyncio.run(story())
    scrape = Scrape(metrics)
    assert scrape.value("mailcanary_paused") == 0 and set(scrape.all("mailcanary_route_enabled").values()) == {1}
    assert scrape.value("mailcanary_journal_writable") == 0
    assert scrape.value("mailcanary_journal_bytes") == 4096 and scrape.value("mailcanary_event_loop_lag_seconds") == 0.25


@pytest.mark.parametrize(("seeds", "many"), [(MANY_ROUTES, False), (MANY_ROUTES + 1, True)])
def test_above_50_routes_the_label_is_path_and_provider(tmp_path: Path, seeds: int, many: bool) -> None:
    rules = policy(tmp_path, seeds=seeds)
    labels = {labels[1] for labels in fresh(rules).all("mailcanary_probes_submitted_total")}
    assert labels == ({f"relay/provider-{n}" for n in range(3)} if many else {f"relay/seed-{n}" for n in range(1, seeds + 1)})


@virtual
async def test_above_50_routes_numbers_add_up_by_provider(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=MANY_ROUTES + 1))
    metrics = told(house)
    async with house.running():
        await house.sleep(30)
        await house.probe()
        await house.sleep(30)
    scrape = Scrape(metrics)
    assert scrape.all("mailcanary_probes_submitted_total") == {("test", f"relay/provider-{n}"): 17 for n in range(3)}
    assert scrape.result(Reason.PASS, "relay/provider-1") == 17
    assert len(scrape.samples) < 1100


def test_the_series_of_20_routes_fit_the_budget(tmp_path: Path) -> None:
    """Per metric only what the configuration and closed sets allow: the results of 23 reasons are the most."""
    scrape = fresh(full(policy(tmp_path, seeds=20)))
    series = Counter(family.name for family in scrape.families for sample in family.samples if not sample.name.endswith("_bucket"))
    assert series["mailcanary_probe_results"] == series["mailcanary_probe_revisions"] == 20 * len(Reason)
    assert series["mailcanary_incident_transitions"] == len(Symptom) * len(Phase)
    rest = {name: count for name, count in series.items() if name.rpartition("_")[2] not in ("results", "revisions", "transitions")}
    assert max(rest.values()) <= 40 and sum(rest.values()) < 450, rest


def test_a_route_whose_mailbox_is_gone_still_has_a_label(tmp_path: Path) -> None:
    rules = policy(tmp_path, seeds=MANY_ROUTES + 1)
    assert route_label(rules, Route(PathName("relay"), seed(999))) == "relay/removed"


@virtual
async def test_openmetrics_is_negotiated_and_carries_exemplars(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    metrics = told(house)
    async with house.running():
        await house.sleep(10)
        (probe,) = await house.probe()
        await house.sleep(10)
    scrape = Scrape(metrics, "application/openmetrics-text; version=1.0.0,text/plain;q=0.5")
    assert scrape.content_type.startswith("application/openmetrics-text; version=1.0.0") and scrape.text.endswith("# EOF\n")
    exemplars = [sample.exemplar.labels for sample in scrape.samples if sample.exemplar]
    assert exemplars == [{"probe_id": probe}], "one bucket, one probe, and no trace_id"
    assert "_created" not in scrape.text
    plain = Scrape(metrics, "*/*")
    assert plain.content_type.startswith("text/plain") and probe not in plain.text


@virtual
async def test_no_address_token_or_refund_number_anywhere(tmp_path: Path) -> None:
    house = House(policy(tmp_path, holding=True), outcomes=[replace(TAKEN, app_refund_id="rf_00000001", queue_id="4XyZ12")])
    metrics = told(house)
    async with house.running():
        await house.sleep(10)
        await house.probe()
        await house.sleep(100)
        await house.journal.append([WatchBlind(house.clock.now(), seed(1), BlindCause.TIMEOUT, "no answer for seed1@box.test", "")])
    (plan,) = house.facts(ProbePlanned)
    for accept in ("text/plain", "application/openmetrics-text; version=1.0.0"):
        scrape = Scrape(metrics, accept)
        for secret in ("@", plan.token, plan.story.refund_number, plan.story.order_number, "rf_00000001", "4XyZ12", "no answer"):
            assert secret not in scrape.text.partition("# EOF")[0], secret
        known = {
            "test",
            "smtp",
            "imap",
            "dns",
            "state",
            "notify",
            "ledger",
            "annotations",
            "relay",
            *house.policy.mailboxes,
            "relay/seed-1",
        }
        known |= {member.value for kind in (Reason, ForeignKind, Symptom, Phase, Verdict) for member in kind}
        for sample in scrape.samples:
            for key, value in sample.labels.items():
                assert key in {"version", "python", "le"} or value in known, (sample.name, key, value)
        assert len(list(texts(scrape))) > 100


# ---- incidents, channels, deploys ------------------------------------------------------------------------------------


def symptom(scrape: Scrape, name: str, **more: str) -> float:
    return scrape.value(f"mailcanary_{name}", environment="test", symptom="delivery_stalled", **more)


@virtual
async def test_incidents_that_are_open_and_what_changed(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    metrics, at = told(house), house.clock.now()
    await house.journal.append([so.suspected(at)])
    assert symptom(Scrape(metrics), "incidents_open") == 0, "a suspicion is none"
    await house.journal.append([so.opened(at), so.opened(at, IncidentId("INC-2")), so.transition(at, Phase.GROWN)])
    scrape = Scrape(metrics)
    assert symptom(scrape, "incidents_open") == 2 and sum(scrape.all("mailcanary_incidents_open").values()) == 2
    assert symptom(scrape, "incident_transitions_total", to="opened") == 2
    assert symptom(scrape, "incident_transitions_total", to="grown") == symptom(scrape, "incident_transitions_total", to="suspected") == 1
    await house.journal.append([so.resolved(at.plus(1))])
    scrape = Scrape(metrics)
    assert symptom(scrape, "incidents_open") == symptom(scrape, "incident_transitions_total", to="resolved") == 1


@virtual
async def test_notices_by_channel_and_what_is_still_to_be_told(tmp_path: Path) -> None:
    house = House(so.with_channels(policy(tmp_path)))
    metrics, at = told(house), house.clock.now()

    def pending() -> float:
        return Scrape(metrics).value("mailcanary_notification_outbox_pending")

    await house.journal.append([so.opened(at), so.opened(at, IncidentId("INC-2"))])
    assert pending() == 2
    await house.journal.append([so.failed(at, 1), so.failed(at, 1), so.notified(at.plus(5), 1)])
    assert pending() == 1
    await house.journal.append([so.failed(at, 2, retry_in=None, incident=IncidentId("INC-2"))])
    assert pending() == 0, "given up"
    scrape = Scrape(metrics)
    assert scrape.all("mailcanary_notifications_total") == {
        ("pager", "taken"): 1, ("pager", "failed"): 2, ("pager", "given_up"): 1,
        ("chat", "taken"): 0, ("chat", "failed"): 0, ("chat", "given_up"): 0,
    }  # fmt: skip
    assert scrape.value("mailcanary_notification_last_success_timestamp_seconds", channel="pager") == pytest.approx(at.utc + 5)
    assert scrape.value("mailcanary_notification_last_success_timestamp_seconds", channel="chat") == 0
    assert scrape.value("mailcanary_monitor_errors_total", component="notify") == 3


@virtual
async def test_a_page_that_every_channel_refused_for_good_is_untold(tmp_path: Path) -> None:
    """Nothing is pending then, and on-call does not know."""
    house = House(so.with_channels(policy(tmp_path), pages=("pager", "chat")))
    metrics, at = told(house), house.clock.now()

    def untold(now: Instant = at) -> float:
        return Scrape(metrics, now=now).value("mailcanary_notification_untold_pages")

    ticket, part, handed, silent = (IncidentId(f"INC-{number}") for number in (2, 3, 4, 5))
    await house.journal.append([so.opened(at), so.opened(at, ticket, severity=Severity.TICKET), so.opened(at, part, parent=so.INC)])
    assert untold() == 1
    await house.journal.append([so.failed(at, 1, retry_in=None), so.failed(at, 1, "chat", retry_in=None)])
    assert untold() == 1
    await house.journal.append([so.opened(at, handed), Acknowledged(at, handed, "ann", "on it"), so.opened(at, silent)])
    await house.journal.append([Silenced(at, silent, "ann", "known", at.utc + 60)])
    assert untold() == 1
    assert untold(at.plus(61)) == 2
    await house.journal.append([so.notified(at.plus(5), 1, "chat")])
    assert untold() == 0
    await house.journal.append([so.resolved(at.plus(6)), so.opened(at.plus(9), episode=2)])
    assert untold(at.plus(9)) == 1, "the same trouble again"
    await house.journal.append([so.resolved(at.plus(10), episode=2)])
    assert untold(at.plus(10)) == 0


@virtual
async def test_where_no_channel_is_for_pages_none_is_untold(tmp_path: Path) -> None:
    house = House(so.with_channels(policy(tmp_path), pages=()))
    await house.journal.append([so.opened(house.clock.now())])
    assert Scrape(told(house)).value("mailcanary_notification_untold_pages") == 0


@virtual
async def test_a_ticket_that_was_told_and_becomes_a_page_is_untold(tmp_path: Path) -> None:
    house = House(so.with_channels(policy(tmp_path)))
    metrics, at = told(house), house.clock.now()
    await house.journal.append([so.opened(at, severity=Severity.TICKET), so.notified(at, 1, "chat")])
    await house.journal.append([so.transition(at.plus(5), Phase.GROWN)])
    assert Scrape(metrics, now=at.plus(5)).value("mailcanary_notification_untold_pages") == 1


@virtual
async def test_what_is_silenced_is_not_pending_until_the_silence_ends(tmp_path: Path) -> None:
    house = House(so.with_channels(policy(tmp_path)))
    metrics, at = told(house), house.clock.now()
    await house.journal.append([so.opened(at), Silenced(at, so.INC, "ann", "known", at.utc + 60)])
    line = b"mailcanary_notification_outbox_pending 0.0"
    assert line in metrics.expose("", at.plus(59))[0] and line not in metrics.expose("", at.plus(61))[0]


@virtual
async def test_the_deploy_that_was_marked_last(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    metrics, at = told(house), house.clock.now()
    start = so.deployed(at, "d-1", DeployPhase.START, version="v511", sha="a1b2c3d")
    await house.journal.append([start, so.deployed(at.plus(9), "d-1", DeployPhase.FINISH)])
    scrape = Scrape(metrics)
    assert scrape.all("mailcanary_deploy_info") == {("test", "v511", "a1b2c3d"): 1}, "what the end leaves out, the start said"
    assert scrape.value("mailcanary_last_deploy_timestamp_seconds", environment="test") == pytest.approx(at.utc + 9)
    await house.journal.append([so.deployed(at.plus(20), "d-2", version="v" * 300, sha="seed@box.test\n")])
    assert scrape.all("mailcanary_deploy_info") != Scrape(metrics).all("mailcanary_deploy_info")
    ((_, version, sha),) = Scrape(metrics).all("mailcanary_deploy_info")
    assert len(version) == 100 and "seed" not in sha and "\n" not in sha


@virtual
async def test_trips_and_the_heartbeat(tmp_path: Path) -> None:
    house = House(full(policy(tmp_path)))
    vitals = Vitals(heartbeat_at=1234.5)
    metrics = Metrics(house.policy, house.world, vitals)
    house.journal.fold_into(metrics.count)
    await house.journal.append([Tripped(house.clock.now(), MailboxName("trap"), 1, "shop.test", ("dkim=pass",))])
    assert Scrape(metrics).value("mailcanary_tripwire_trips_total", environment="test", mailbox="trap") == 1
    assert Scrape(metrics).value("mailcanary_heartbeat_last_success_timestamp_seconds") == 1234.5


# ---- reload ----------------------------------------------------------------------------------------------------------


@virtual
async def test_a_reload_shows_the_new_at_0_and_counts_the_old_on(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=2, schedule={"every": "5m"}))
    metrics = told(house)
    async with house.running():
        await house.sleep(10)
        await house.probe()
        await house.sleep(0.5)
        metrics.reload(so.with_channels(only(policy(tmp_path, seeds=3, schedule={"every": "10m"}), 2, 3), pages=("phone",)))
        scrape = Scrape(metrics)
        assert scrape.result(Reason.PASS, "relay/seed-3") == scrape.result(Reason.MISSING, "relay/seed-3") == 0
        assert ("phone", "taken") in scrape.all("mailcanary_notifications_total") and ("test", "seed-3") in scrape.all(
            "mailcanary_strays_total"
        )
        assert scrape.all("mailcanary_probe_interval_seconds") == {("test", f"relay/seed-{n}"): 600 for n in (2, 3)}, "gauges follow"
        assert set(scrape.all("mailcanary_mailbox_watching")) == {("test", "seed-2"), ("test", "seed-3")}
        await house.sleep(30)
    scrape = Scrape(metrics)
    assert scrape.result(Reason.PASS, "relay/seed-1") == 1, "the probe in flight on the removed route was judged and counted"
    assert scrape.result(Reason.PASS, "relay/seed-2") == 1


def judged(reason: Reason) -> Judged:
    at = Instant(1_790_000_000.0, 0.0, "p")
    return Judged(at, ProbeId("0" * 12), Route(PathName("relay"), seed(1)), Purpose.SCHEDULED, 0, reason.verdict, reason, "", ())


def only(rules: Policy, *seeds: int) -> Policy:
    boxes = {name: box for name, box in rules.mailboxes.items() if name in {seed(number) for number in seeds}}
    return replace(rules, mailboxes=boxes, routes={route: each for route, each in rules.routes.items() if route.mailbox in boxes})


def test_any_number_of_reloads_leaves_the_series_of_two_configurations(tmp_path: Path) -> None:
    rules = policy(tmp_path, seeds=9)
    metrics = Metrics(only(rules, 1), World(), Vitals())
    sizes = []
    for number in range(2, 10):
        metrics.reload(so.with_channels(only(rules, number), pages=(f"pager-{number}",)))
        scrape = Scrape(metrics)
        routes = {labels[1] for labels in scrape.all("mailcanary_probe_results_total")}
        assert routes == {f"relay/seed-{number}", f"relay/seed-{number - 1}"}
        assert {labels[1] for labels in scrape.all("mailcanary_probe_transit_seconds_count")} == routes
        sizes.append(len(scrape.samples))
    assert len(set(sizes[1:])) == 1
    metrics.reload(only(rules, 8))
    metrics.reload(only(rules, 9))
    assert Scrape(metrics).result(Reason.PASS, "relay/seed-9") == 0


def test_what_comes_back_keeps_its_count(tmp_path: Path) -> None:
    rules = policy(tmp_path, seeds=2)
    metrics = Metrics(rules, World(), Vitals())
    metrics.count(Entry(1, "judged", judged(Reason.PASS)))
    metrics.reload(only(rules, 2))
    metrics.reload(rules)
    assert Scrape(metrics).result(Reason.PASS) == 1
