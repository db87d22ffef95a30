"""`mailcanary gate run` on a lab, by itself and against a daemon in a process of its own: real probes, real deaths, one journal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.cli.gate import local
from monitor.lab import Fault
from monitor.rules.gate import request as asking
from tests.acceptance.conftest import daemon, read_journal, until
from tests.cli.conftest import LabProcess, Outcome, Site
from tests.stages.house import policy

Command = Callable[..., Outcome]
Start = Callable[..., subprocess.Popen[str]]
HASTY = "steps: [{probes: 4, accept: 0}]\nreject: 1\nsettle: 100ms\ntimeout: 30s\n"

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def shop(lab: LabProcess, rooms: Iterator[tuple[str, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Two mailboxes of two providers, behind the shop itself, which tells its version."""
    for name in ("GITHUB_ACTIONS", "MAILCANARY_SERVER"):
        monkeypatch.delenv(name, raising=False)
    site = Site(lab, tmp_path / "site", next(rooms)[:2], ["app"])
    site.tree["gates"] = {"burst": 200}
    (site.directory / "hasty.yaml").write_text(HASTY)
    yield site
    lab.steer(lambda client: client.clear_faults())
    lab.steer(lambda client: client.deploy("v1"))


def run(site: Site, deploy: str = "d-1", version: str = "v1", *more: object) -> tuple[object, ...]:
    asked = ("gate", "run", "--deploy", deploy, "--version", version, "--policy", site.directory / "hasty.yaml", *more)
    return (*asked, "--local", "-c", site.directory / "mailcanary.yaml", "--state-dir", site.directory / "gate")


def facts(site: Site, kind: str) -> list[dict[str, Any]]:
    return [row.body for row in read_journal(site.directory / "gate") if row.kind == kind]


def under_way(running: subprocess.Popen[str], state: Path, before: int = 0, kind: str = "accepted") -> None:
    """Until one more than so many of these facts is in the journal."""

    def happened() -> bool:
        assert running.poll() is None, running.communicate()
        return sum(row.kind == kind for row in read_journal(state)) > before

    until(happened, f"{kind}, in {state}")


def test_by_itself_it_passes_a_good_deploy_and_knows_it_again(mailcanary: Command, shop: Site) -> None:
    shop.write()
    outcome = mailcanary(*run(shop, "d-1", "v1", "--format", "json"))
    document = json.loads(outcome.out)
    assert outcome.code == 0 and document["verdict"] == "pass", outcome
    assert [(row["class"], row["good"] >= 4, row["adverse"]) for row in document["classes"]] == [
        ("aurora", True, 0), ("borealis", True, 0)
    ]  # fmt: skip
    sent = len(facts(shop, "attempted"))
    again = mailcanary(*run(shop, " d-1 "))
    assert again.code == 0 and len(facts(shop, "attempted")) == sent and facts(shop, "started"), "its evidence is fresh: nothing is sent"
    assert not facts(shop, "transition") and not facts(shop, "notified"), "it pages nobody"


def test_by_itself_it_fails_a_wrong_amount_and_a_retry_changes_nothing(mailcanary: Command, shop: Site) -> None:
    shop.write()
    shop.lab.steer(lambda client: client.deploy("v5"))
    outcome = mailcanary(*run(shop, "d-5", "v5"))
    assert outcome.code == 1 and outcome.out.splitlines()[-1].startswith("GATE FAIL gate-"), outcome
    shop.lab.steer(lambda client: client.deploy("v1"))
    assert mailcanary(*run(shop, "d-5", "v5")).code == 1


def test_by_itself_it_may_ask_a_program_of_the_shop(mailcanary: Command, shop: Site) -> None:
    """Which is started from the thread of the stages."""
    app = shop.tree["paths"]["app"]
    shop.tree["paths"] = {
        "program": {
            "kind": "command",
            "command": [sys.executable, "-m", "monitor.lab.refund", app["url"]],
            "input": {"key": "{{ probe_id }}", **app["body"]},
            "refund_id": "/refund_id",
            "version": "/version",
            "locales": app["locales"],
            "carriers": app["carriers"],
            "attempt_timeout": "19s",  # eight interpreters start at once
        }
    }
    shop.write()
    outcome = mailcanary(*run(shop))
    assert outcome.code == 0 and outcome.out.splitlines()[-1].startswith("GATE PASS gate-"), outcome
    assert {fact["served_version"] for fact in facts(shop, "accepted")} == {"v1"} and len(facts(shop, "accepted")) >= 8


def test_by_itself_it_is_an_instance_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its probes are foreign to a daemon that shares the mailboxes, and its journal is no daemon's."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    before = policy(tmp_path)
    own = local._own(before, Namespace(environment="test", state_dir=None))
    assert own.instance == f"{before.instance}-gate" and own.state_dir == str(tmp_path / "mailcanary" / "gate-test")
    assert own.mailboxes == before.mailboxes and own.drain <= 2.0, "every mailbox is watched"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--policy", "lax"), "no such policy is known; there are deep, quick, standard"),
        (("--routes", "nowhere"), "no route or path nowhere is configured"),
        (("--environment", "prod"), "the configuration is of lab; nothing was sent"),
    ],
)
def test_by_itself_bad_input_is_exit_2(mailcanary: Command, shop: Site, words: tuple[str, ...], why: str) -> None:
    shop.write()
    outcome = mailcanary(*run(shop, "d-1", "v1", *words))
    assert outcome.code == 2 and why in outcome.line and not facts(shop, "attempted")
    assert outcome.out.startswith("GATE ERROR - ")


def test_by_itself_a_mailbox_of_a_live_daemon_is_left_alone(mailcanary: Command, shop: Site) -> None:
    with daemon(shop.write(), shop.tree["listen"]["port"], shop.directory / "log"):
        outcome = mailcanary(*run(shop))
    assert outcome.code == 2 and "--server URL instead of --local" in outcome.line and not facts(shop, "attempted")


def test_by_itself_a_journal_that_is_in_use_is_exit_4(mailcanary: Command, shop: Site) -> None:
    shop.write()
    (shop.directory / "gate").write_text("no directory")
    outcome = mailcanary(*run(shop))
    assert outcome.code == 4 and outcome.out.startswith("GATE ERROR - ") and outcome.err.count("\n") == 1, outcome


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_by_itself_a_signal_cancels_and_leaves_its_files(process: Start, shop: Site, number: signal.Signals, code: int) -> None:
    shop.write()
    shop.lab.steer(lambda client: client.switch_on(Fault.DELAY, seconds=60))
    running = process(*run(shop, "d-1", "v1", "--json", shop.directory / "g.json"))
    under_way(running, shop.directory / "gate")
    running.send_signal(number)
    out, err = running.communicate(timeout=30)
    assert running.returncode == code and "Traceback" not in err, err
    assert out.splitlines()[-1].startswith("GATE INCONCLUSIVE gate-") and facts(shop, "gate_cancelled")
    assert json.loads((shop.directory / "g.json").read_text())["because"] == "cancelled"


def test_by_itself_what_a_dead_process_left_is_ended_and_its_own_goes_on(process: Start, mailcanary: Command, shop: Site) -> None:
    shop.write()
    shop.lab.steer(lambda client: client.switch_on(Fault.DELAY, seconds=60))
    for deploy in ("d-0", "d-1"):
        before = len(facts(shop, "accepted"))
        running = process(*run(shop, deploy))
        under_way(running, shop.directory / "gate", before)
        running.kill()
        running.wait()
    shop.lab.steer(lambda client: client.clear_faults())
    outcome = mailcanary(*run(shop, "d-1", "v1", "--timeout", "1s", "--format", "json"))
    document = json.loads(outcome.out)
    (ended,) = (fact for fact in facts(shop, "gate_cancelled") if fact["reason"] == "its process ended")
    assert ended["gate"] != document["id"] and document["attempt"] == 1 and outcome.code == 3
    assert [fact["deploy"] for fact in facts(shop, "gate_requested")] == ["d-0", "d-1"]


def test_by_itself_an_attempt_that_outlived_its_process_answers_for_nobody(
    process: Start, mailcanary: Command, shop: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "AGAIN_AFTER", 0.2)
    monkeypatch.setattr(local, "AGAIN_AFTER", 0.2)
    (shop.directory / "hasty.yaml").write_text(HASTY.replace("30s", "3s"))
    shop.write()
    shop.lab.steer(lambda client: client.switch_on(Fault.DELAY, seconds=60))
    running = process(*run(shop))
    under_way(running, shop.directory / "gate")
    running.kill()
    running.wait()
    shop.lab.steer(lambda client: client.clear_faults())
    (first,) = facts(shop, "gate_requested")
    until(lambda: time.time() > first["until"]["utc"] + 0.1, "its time is over")
    mailcanary(*run(shop, "d-1", "v1", "--timeout", "500ms"))
    assert [fact["attempt"] for fact in facts(shop, "gate_requested")] == [1, 2]


def test_a_daemon_that_dies_meanwhile_is_waited_for(process: Start, shop: Site) -> None:
    config, port = shop.write(), shop.tree["listen"]["port"]
    shop.lab.steer(lambda client: client.switch_on(Fault.DELAY, seconds=3))
    words = ("gate", "run", "--deploy", "d-1", "--version", "v1", "--policy", shop.directory / "hasty.yaml", "--server", shop.server)
    with daemon(config, port, shop.directory / "log") as first:
        running = process(*words)
        under_way(running, shop.directory / "state", kind="gate_probing")
        first.kill()
    with daemon(config, port, shop.directory / "log2"):
        out, err = running.communicate(timeout=60)
    assert running.returncode == 0 and out.splitlines()[-1].startswith("GATE PASS gate-"), (out, err)
    assert "asking again" in err and "Traceback" not in err
