"""Prometheus itself reads our metrics, our rules and every query of our dashboard, of a daemon that really probes the lab."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.lab.faults import Scope
from tests.acceptance.conftest import Daemon, LabProcess, daemon, lab_process, tree_for, write_tree
from tests.real import prometheus as real
from tests.real.conftest import free_port
from tests.real.prometheus import RULES, Prometheus, promtool

pytestmark = [pytest.mark.skipif(real.absent() is not None, reason=f"real Prometheus: {real.absent()}"), pytest.mark.timeout(180)]

DASHBOARD = json.loads((Path(__file__).resolve().parents[2] / "grafana" / "dashboards" / "mailcanary-overview.json").read_text())
SERIES_PER_ROUTE = 75  # of one route, all metrics: 20 routes stay below 1,500
SERIES_PER_DOMAIN = 28  # that is inspected
SERIES_PER_SOURCE = 2  # of the ledger
SERIES_OF_ALL = 500  # what grows with none of them


@dataclass(frozen=True)
class Scene:
    """The daemon, and the Prometheus that has scraped it."""

    prometheus: Prometheus
    daemon: Daemon
    lab: LabProcess
    routes: int


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    at = tmp_path_factory.mktemp("scraped")
    with lab_process("--mailboxes", "2") as lab:
        description = lab.description
        addresses = [account["address"] for provider in description["providers"][:2] for account in provider["accounts"]]
        tree = tree_for(description, at, addresses, ["app", "bare-smtp"])
        tree["schedule"] = {"every": "1s", "jitter": "0%"}
        trap = {**tree["mailboxes"][next(iter(tree["mailboxes"]))], "role": "tripwire"}
        tree["mailboxes"]["trap"] = {**trap, "address": description["bounces"], "provider": "shop", "imap": {**trap["imap"]}}
        tree["mailboxes"]["trap"]["imap"]["port"] = description["shop_mail"]["plain"]
        tree["mailboxes"]["trap"]["folders"] = {"spam": [description["shop_mail"]["junk"]]}
        tree["notify"] = {"channels": {"phone": {"kind": "webhook", "url": "http://127.0.0.1:9/"}}}
        key = at / "ledger-key"
        key.write_text("sixteen bytes of key")
        tree["ledger"] = {
            "key": {"file": str(key)},
            "confirm_within": "1m",
            "refund_within": "1m",
            "every": "1s",
            "refunds": {"shop": {"kind": "push", "lag": "0s"}},
            "confirmations": {"mailer": {"kind": "push", "lag": "0s"}},
        }
        tree["listen"] = {"host": "127.0.0.1", "port": free_port()}
        with daemon(write_tree(tree, at), tree["listen"]["port"], at / "log") as running:
            lab.steer(lambda client: client.switch_on("junk", Scope(path="shop")))
            prometheus = Prometheus(at, free_port(), tree["listen"]["port"])
            try:
                yield Scene(prometheus, running, lab, 2 * len(addresses))
            finally:
                prometheus.close()


def rules() -> list[dict[str, Any]]:
    files = [yaml.safe_load((RULES / name).read_text()) for name in ("recording.rules.yaml", "alerts.rules.yaml")]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def queries() -> list[tuple[str, str]]:
    """(panel, expression) of the dashboard, as Grafana would send it."""
    found = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    found += [("annotation", item["expr"]) for item in DASHBOARD["annotations"]["list"] if "expr" in item]
    return [
        (title, re.sub(r"\$(job|instance|environment)\b", ".+", text).replace("$__rate_interval", "10s").replace("[1h]", "[10s]"))
        for title, text in found
    ]


def test_the_shipped_files_are_valid() -> None:
    for files in (("rules", *map(str, RULES.glob("*.rules.yaml"))), ("config", str(RULES / "prometheus.yaml"))):
        checked = promtool("check", *files)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_fires_and_keeps_still_where_it_should() -> None:
    tested = promtool("test", "rules", *map(str, sorted((RULES / "tests").glob("*.yaml"))))
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("always", [True, False])
def test_those_tests_can_fail(tmp_path: Path, always: bool) -> None:
    """Each alert, made to fire always or never, is caught by its unit tests; the watchdog fires always by its nature."""
    rules_text, tests_text = (RULES / "alerts.rules.yaml").read_text(), (RULES / "tests" / "alerts_test.yaml").read_text()
    tree, tests = yaml.safe_load(rules_text), yaml.safe_load(tests_text)
    names = [rule["alert"] for group in tree["groups"] for rule in group["rules"]]
    for name in names:
        if always and name == "MailcanaryWatchdog":
            continue
        changed = yaml.safe_load(rules_text)
        for group in changed["groups"]:
            for rule in group["rules"]:
                if rule["alert"] == name:
                    rule["expr"] = "vector(1)" if always else "vector(0) > 1"
        (tmp_path / "alerts.rules.yaml").write_text(json.dumps(changed))
        (tmp_path / "recording.rules.yaml").write_text((RULES / "recording.rules.yaml").read_text())
        only = [case for case in tests["tests"] if case["name"].startswith(f"{name},")]
        (tmp_path / "test.yaml").write_text(
            json.dumps({**tests, "rule_files": ["alerts.rules.yaml", "recording.rules.yaml"], "tests": only})
        )
        assert only, f"{name} has no unit test"
        assert promtool("test", "rules", str(tmp_path / "test.yaml")).returncode != 0, (
            f"{name} is not tested {'not firing' if always else 'firing'}"
        )


def test_promtool_finds_nothing_to_say_of_our_metrics(scene: Scene) -> None:
    said = promtool("check", "metrics", given=scene.daemon.get("/metrics"))
    assert said.returncode == 0, said.stdout + said.stderr


def test_every_query_of_the_dashboard_runs_and_finds_something(scene: Scene) -> None:
    """What a panel asks for exists, under that name and with those labels."""
    scene.lab.steer(lambda client: client.switch_on("junk", Scope(path="shop")))
    scene.daemon.get("/livez")
    _post(scene.daemon, "/v1/deploys", {"deploy": "d1", "phase": "finish", "version": "v512", "sha": "a1b2c3d"})
    told, untold = ({"refund": number, "amount": "1.00", "currency": "EUR", "at": _ago(hours)} for number, hours in (("1", 3), ("2", 2)))
    _post(scene.daemon, "/v1/refunds", {"refunds": [told, untold]})
    _post(scene.daemon, "/v1/confirmations", {"confirmations": [told]})

    def empty() -> list[str]:
        return [f"{title}: {text}" for title, text in queries() if not scene.prometheus.query(text)]

    found: list[str] = []

    def none_left() -> bool:
        found[:] = empty()
        return not found

    try:
        scene.prometheus.until(none_left, "every query finds something")
    except AssertionError:
        raise AssertionError("empty: " + "\n".join(found)) from None


def test_every_rule_is_evaluated_without_an_error(scene: Scene) -> None:
    scene.prometheus.until(lambda: all(_healthy(rule) for rule in _loaded(scene)), "all rules are healthy")
    assert {rule["name"] for rule in _loaded(scene)} == {rule.get("alert") or rule["record"] for rule in rules()}


def test_every_name_in_a_rule_is_one_of_our_metrics(scene: Scene) -> None:
    """An alert on a name that does not exist would keep still for ever."""
    known = {sample["metric"]["__name__"] for sample in scene.prometheus.query('{__name__=~".+"}')}
    known |= {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        for name in re.findall(r"\b(?:mailcanary|route:mailcanary|environment:mailcanary)_[a-z_:0-9]+", rule["expr"]):
            assert name in known, f"{rule.get('alert') or rule.get('record')}: {name}"


def test_broken_mail_makes_tickets_and_no_page(scene: Scene) -> None:
    """Pages are pushed by mailcanary itself."""
    scene.prometheus.until(lambda: "MailcanarySpamPlacement" in scene.prometheus.firing(), "a ticket for spam")
    severities = {rule["alert"]: rule["labels"]["severity"] for rule in rules() if "alert" in rule}
    pages = {name for name in scene.prometheus.firing() if severities[name] == "page"}
    assert pages <= {"MailcanaryNotifyBroken", "MailcanaryMonitorDown"}, "the phone is none; a busy machine misses scrapes of one second"


def test_series_stay_within_their_budget(scene: Scene) -> None:
    samples = scene.prometheus.query('{__name__=~"mailcanary_.+"}')
    count = Counter(sample["metric"]["__name__"] for sample in samples)
    print(f"{len(samples)} series for {scene.routes} routes; most: {count.most_common(6)}")
    assert len(samples) <= SERIES_OF_ALL + SERIES_PER_DOMAIN + 2 * SERIES_PER_SOURCE + SERIES_PER_ROUTE * scene.routes, count.most_common(
        12
    )


def test_silence_of_the_daemon_is_a_page_and_resolves_nothing(scene: Scene) -> None:
    """The last test of this scene: the daemon is killed. What fired before keeps firing until the page for silence is out."""
    before = scene.prometheus.firing()
    assert "MailcanarySpamPlacement" in before
    scene.daemon.kill()
    scene.prometheus.until(lambda: "MailcanaryMonitorDown" in scene.prometheus.firing(), "the page that it is down")
    assert before <= scene.prometheus.firing() | {"MailcanaryNotifyBroken"}, "something looked resolved before the page was out"


def _loaded(scene: Scene) -> list[dict[str, Any]]:
    groups = scene.prometheus._get("/api/v1/rules")["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _healthy(rule: dict[str, Any]) -> bool:
    assert rule["health"] != "err", rule
    return bool(rule["health"] == "ok")


def _ago(hours: int) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat()


def _post(running: Daemon, path: str, body: dict[str, Any]) -> None:
    import urllib.request

    request = urllib.request.Request(running.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()
