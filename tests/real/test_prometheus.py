"""Prometheus itself reads our metrics, our rules and every query of our dashboard, of a daemon that really probes the lab."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.lab.faults import Scope
from monitor.model.verdict import Symptom
from tests.acceptance.conftest import Daemon, LabProcess, daemon, lab_process, tree_for, write_tree
from tests.ports import free_port
from tests.real import prometheus as real
from tests.real.prometheus import PULL_ONLY, PUSHED, RULES, Prometheus, promtool

pytestmark = [pytest.mark.skipif(real.absent() is not None, reason=f"real Prometheus: {real.absent()}"), pytest.mark.timeout(180)]

BOARDS = [json.loads(path.read_text()) for path in sorted((Path(__file__).resolve().parents[2] / "grafana" / "dashboards").glob("*.json"))]
SERIES_PER_ROUTE = 75  # of one route, all metrics: 20 routes stay below 1,500
SERIES_PER_DOMAIN = 28  # that is inspected
SERIES_PER_SOURCE = 2  # of the ledger
SERIES_OF_ALL = 580  # what grows with none of them; 330 are the changes of incidents by symptom


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
    return [rule for name in PUSHED for group in groups(name) for rule in group["rules"]]


def groups(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load((RULES / name).read_text())["groups"])


def alerts_of(name: str) -> list[str]:
    return [rule["alert"] for group in groups(name) for rule in group["rules"]]


def queries() -> list[tuple[str, str]]:
    """(panel, expression) of every dashboard, as Grafana would send it."""
    found = [
        (f"{board['uid']}: {p['title']}", target["expr"]) for board in BOARDS for p in board["panels"] for target in p.get("targets", ())
    ]
    drawn = [item["expr"] for item in BOARDS[0]["annotations"]["list"] if "expr" in item]
    found += [("annotation", text.removesuffix(" > 0")) for text in drawn]  # a moment may be over, or before the first scrape
    return [
        (
            title,
            re.sub(r"\$(job|instance|environment|route|domain)\b", ".+", text).replace("$__rate_interval", "10s").replace("[1h]", "[10s]"),
        )
        for title, text in found
    ]


def test_the_shipped_files_are_valid() -> None:
    for files in (("rules", *map(str, RULES.glob("*.rules.yaml"))), ("config", str(RULES / "prometheus.yaml"))):
        checked = promtool("check", *files)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_recorded_series_are_what_they_should_be() -> None:
    tested = promtool("test", "rules", str(RULES / "tests" / "recording_test.yaml"))
    assert tested.returncode == 0, tested.stdout + tested.stderr


TESTED = [(file, alert) for file in ("alerts.rules.yaml", "symptoms.rules.yaml", "pull-only.rules.yaml") for alert in alerts_of(file)]
TESTS = [(path, yaml.safe_load(path.read_text())) for path in sorted((RULES / "tests").glob("*.yaml"))]
HOLD = "or\n(\n  sum without (alertname"  # how the last clause of a page begins that goes on while nothing can be scraped

DOWN = '(up{job="mailcanary"} == 0)'  # in the same clause: one of several instances is down


def rule_of(file: str, alert: str) -> dict[str, Any]:
    (rule,) = [dict(rule) for group in groups(file) for rule in group["rules"] if rule.get("alert") == alert]
    return rule


def seen_by_unit_tests(at: Path, change: Callable[[str, str], str | None]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """(the alerts that were given another expression, those of them whose unit tests fail then). Each is tested alone, with what it rests
    on: all together take a minute."""
    files: dict[Path, tuple[str, str]] = {}
    for place, (file, name) in enumerate(TESTED):
        rule = rule_of(file, name)
        needed = [one for group in groups("recording.rules.yaml") for one in group["rules"] if one["record"] in rule["expr"]]
        changed = change(name, rule["expr"])
        if changed is None:
            continue
        both = [{"name": "recorded", "rules": needed}, {"name": "alert", "rules": [rule | {"expr": changed}]}]
        used_groups = [group for group in both if group["rules"]]
        order = [group["name"] for group in used_groups]  # else promtool draws the order, and an alert may see what was recorded before
        (at / f"{place}.rules.yaml").write_text(json.dumps({"groups": used_groups}))
        for path, tests in TESTS:
            only = [case for case in tests["tests"] if case["name"].startswith(f"{name}, ")]
            if only and any(Path(used).name == file for used in tests["rule_files"]):
                test = at / f"{place}.{path.name}"
                test.write_text(json.dumps({**tests, "rule_files": [f"{place}.rules.yaml"], "group_eval_order": order, "tests": only}))
                files[test] = (file, name)
    said = promtool("test", "rules", *map(str, files)).stdout
    parts = re.split(r"Unit Testing:\s+(\S+)\n", said)[1:]
    assert len(parts) == 2 * len(files), said
    failed = {files[Path(test)] for test, outcome in zip(parts[::2], parts[1::2], strict=True) if "SUCCESS" not in outcome}
    return set(files.values()), failed


def test_every_alert_fires_and_keeps_still_where_it_should(tmp_path: Path) -> None:
    tested, failed = seen_by_unit_tests(tmp_path, lambda name, expr: expr)
    assert tested == set(TESTED), "an alert has no unit test"
    assert not failed
    names = {name for _, name in TESTED}
    cases = [case["name"].partition(",")[0] for path, tests in TESTS if path.name != "recording_test.yaml" for case in tests["tests"]]
    assert set(cases) == names


@pytest.mark.parametrize("fault", ["always", "never", "lets_go", "lets_one_go"])
def test_those_tests_can_fail(tmp_path: Path, fault: str) -> None:
    """Each alert, made to fire always or never, is caught by its unit tests; so is a page that ends because nothing can be scraped, or
    because another instance can be. The watchdog fires always by its nature."""

    def change(name: str, expr: str) -> str | None:
        match fault:
            case "always":
                return None if name == "MailcanaryWatchdog" else "vector(1)"
            case "never":
                return "vector(0) > 1"
            case "lets_one_go":
                return expr.replace(DOWN, f"{DOWN} < 0") if DOWN in expr else None
            case _:
                return expr.rpartition(HOLD)[0] or None

    changed, failed = seen_by_unit_tests(tmp_path, change)
    assert changed and failed == changed, f"{fault}: no unit test sees it"
    if fault in ("lets_go", "lets_one_go"):
        pages = {(file, name) for file, name in TESTED if rule_of(file, name)["labels"]["severity"] == "page"}
        assert changed | {("alerts.rules.yaml", "MailcanaryMonitorDown")} == pages


@pytest.mark.parametrize("loaded", [PUSHED, PULL_ONLY], ids=["pushed", "pull-only"])
def test_loaded_as_documented_no_rule_stands_twice(tmp_path: Path, loaded: tuple[str, ...]) -> None:
    together = tmp_path / "together.yaml"
    together.write_text(json.dumps({"groups": [group for name in loaded for group in groups(name)]}))
    checked = promtool("check", "rules", "--lint-fatal", str(together))
    assert checked.returncode == 0 and "duplicate" not in checked.stdout, checked.stdout + checked.stderr
    names = [alert for name in loaded[1:] for alert in alerts_of(name)]
    assert len(set(names)) == len(names), "an alert of that name stands twice"


def test_tickets_and_pages_of_one_symptom_are_never_loaded_together() -> None:
    assert {"MailcanaryWrongContent", "MailcanaryLedgerSpurious"} <= set(alerts_of("symptoms.rules.yaml")) & set(
        alerts_of("pull-only.rules.yaml")
    )
    assert tuple(yaml.safe_load((RULES / "prometheus.yaml").read_text())["rule_files"]) == PUSHED
    pages = {rule["alert"]: rule["labels"]["severity"] for rule in rules() if "alert" in rule}
    assert sorted(name for name, severity in pages.items() if severity == "page") == [
        "MailcanaryMonitorDown", "MailcanaryNoFreshResults", "MailcanaryNotifyBroken",
    ]  # fmt: skip


def test_every_alert_has_its_runbook_and_outlives_a_lost_scrape() -> None:
    """A page fires before what it says looks over because nothing is scraped: `for` is shorter than `keep_firing_for`."""
    down = rule_of("alerts.rules.yaml", "MailcanaryMonitorDown")
    for file, name in TESTED:
        rule = rule_of(file, name)
        book = Path(rule["annotations"]["runbook_url"]).name
        assert (RULES.parents[1] / "docs" / "runbooks" / f"{book}.md").exists(), f"{name}: {book}"
        assert {"summary", "description", "dashboard"} <= set(rule["annotations"])
        if file == "pull-only.rules.yaml":
            assert Symptom(rule["labels"]["symptom"])
        if name != "MailcanaryWatchdog":
            assert minutes(rule["keep_firing_for"]) > minutes(down["for"]), name


def minutes(text: str) -> int:
    return int(text[:-1]) * (60 if text.endswith("h") else 1)


def test_promtool_finds_nothing_to_say_of_our_metrics(scene: Scene) -> None:
    said = promtool("check", "metrics", given=scene.daemon.get("/metrics"))
    assert said.returncode == 0, said.stdout + said.stderr


def test_every_query_of_every_dashboard_runs_and_finds_something(scene: Scene) -> None:
    """What a panel asks for exists, under that name and with those labels."""
    scene.lab.steer(lambda client: client.switch_on("junk", Scope(path="shop")))
    _post(scene.daemon, "/v1/deploys", {"deploy": "d1", "phase": "finish", "version": "v512", "sha": "a1b2c3d"})
    told, untold = ({"refund": number, "amount": "1.00", "currency": "EUR", "at": _ago(hours)} for number, hours in (("1", 3), ("2", 2)))
    _post(scene.daemon, "/v1/refunds", {"refunds": [told, untold]})
    _post(scene.daemon, "/v1/confirmations", {"confirmations": [told]})

    left = queries()

    def none_left() -> bool:
        left[:] = [(title, text) for title, text in left if not scene.prometheus.query(text)]
        return not left

    try:
        scene.prometheus.until(none_left, "every query finds something")
    except AssertionError:
        raise AssertionError("empty: " + "\n".join(f"{title}: {text}" for title, text in left)) from None


def test_every_rule_is_evaluated_without_an_error(scene: Scene) -> None:
    scene.prometheus.until(lambda: all(_healthy(rule) for rule in _loaded(scene)), "all rules are healthy")
    assert {rule["name"] for rule in _loaded(scene)} == {rule.get("alert") or rule["record"] for rule in rules()}


def test_every_name_in_a_rule_is_one_of_our_metrics(scene: Scene) -> None:
    """An alert on a name that does not exist would keep still for ever."""
    known = {sample["metric"]["__name__"] for sample in scene.prometheus.query('{__name__=~".+"}')}
    known |= {rule["record"] for rule in rules() if "record" in rule}
    for rule in [*rules(), *(rule for group in groups("pull-only.rules.yaml") for rule in group["rules"])]:
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
