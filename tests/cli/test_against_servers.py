"""The commands against a lab: what they print, what they exit with, and that nothing is sent when nothing may be."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from monitor.lab import Fault, Scope
from tests.acceptance.conftest import Daemon, daemon, read_journal, until
from tests.cli.conftest import LabProcess, Outcome, Site

Command = Callable[..., Outcome]
Start = Callable[..., subprocess.Popen[str]]
SCHEMA = json.loads((Path(__file__).parents[2] / "config" / "probe-report.schema.json").read_text())

pytestmark = pytest.mark.timeout(120)


def spoil(site: Site, fault: Fault, mailbox: int = 0, **params: Any) -> None:
    scope = Scope(mailbox=site.addresses[mailbox], path="smtp")
    site.lab.steer(lambda client: client.switch_on(fault, scope, **params))


@pytest.fixture
def running(site: Site) -> Iterator[Daemon]:
    with daemon(site.write(), site.tree["listen"]["port"], site.directory / "log") as process:
        yield process


# --- probe ----------------------------------------------------------------------------------------------------------


def test_probe_prints_a_table_and_exits_0(mailcanary: Command, site: Site) -> None:
    outcome = mailcanary("probe", "-c", site.write())
    assert outcome.code == 0 and outcome.err == "", outcome
    lines = outcome.out.splitlines()
    assert lines[0].split()[:3] == ["route", "verdict", "where"]
    for name in site.names:
        (line,) = [line for line in lines if line.startswith(f"bare-smtp/{name} ")]
        assert " pass " in line and " INBOX " in line and "to submit)" in line
    assert lines[-1] == "PROBE PASS - 2 pass"
    assert "\x1b" not in outcome.out
    assert all(site.arrived(address) == 1 for address in site.addresses)


def test_probe_json_is_one_document_that_fits_its_schema(mailcanary: Command, site: Site) -> None:
    spoil(site, Fault.REFUSE)
    outcome = mailcanary("probe", "-c", site.write(), "--format", "json")
    report = json.loads(outcome.out)
    jsonschema.validate(report, SCHEMA)
    assert outcome.code == 1 and report["verdict"] == "fail" and report["instance"] == "canary-1-cli"
    by_route = {row["route"]: row for row in report["probes"]}
    refused, arrived = by_route[f"bare-smtp/{site.names[0]}"], by_route[f"bare-smtp/{site.names[1]}"]
    assert refused["reason"] == "rejected" and "554 5.7.1" in refused["why"] and refused["seen_in"] is None
    assert arrived["verdict"] == "pass" and arrived["placement"] == "inbox" and arrived["copies"] == 1
    assert arrived["queue_id"].startswith("1AB") and set(arrived["carriers"]) >= {"header", "plus_tag", "message_id", "body"}
    assert arrived["authentication"]["spf"] == "pass"


def test_probe_of_one_mailbox_touches_no_other(mailcanary: Command, site: Site) -> None:
    outcome = mailcanary("probe", "-c", site.write(), "--mailbox", site.names[1], "--path", "bare-smtp", "--format", "json")
    assert outcome.code == 0 and [row["route"] for row in json.loads(outcome.out)["probes"]] == [f"bare-smtp/{site.names[1]}"]
    assert [site.arrived(address) for address in site.addresses] == [0, 1]


def test_a_blind_mailbox_is_inconclusive_and_nothing_is_sent_to_it(mailcanary: Command, site: Site) -> None:
    site.wrong_password(site.names[0])
    outcome = mailcanary("probe", "-c", site.write(), "--format", "json")
    report = json.loads(outcome.out)
    jsonschema.validate(report, SCHEMA)
    assert outcome.code == 3 and report["verdict"] == "inconclusive"
    blind = next(row for row in report["probes"] if row["route"].endswith(site.names[0]))
    assert blind["reason"] == "mailbox_blind" and "nothing was sent" in blind["why"] and "auth_refused" in blind["why"]
    assert [site.arrived(address) for address in site.addresses] == [0, 1]


def test_a_deadline_proves_absence_sooner(mailcanary: Command, site: Site) -> None:
    site.tree["deadlines"] = {}
    spoil(site, Fault.ACCEPT_AND_DROP)
    outcome = mailcanary("probe", "-c", site.write(), "--deadline", "3s", "--mailbox", site.names[0])
    assert outcome.code == 1 and "fail: missing" in outcome.out and "in none of" in outcome.out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_probe_reports_what_it_has(process: Start, site: Site, number: signal.Signals, code: int) -> None:
    site.tree["deadlines"] = {}  # eight minutes
    spoil(site, Fault.ACCEPT_AND_DROP)
    running = process("probe", "-c", site.write(), "--format", "json", "--state-dir", site.directory / "cli")
    judged = lambda: [row for row in read_journal(site.directory / "cli") if row.kind == "judged"]  # noqa: E731
    accepted = lambda: [row for row in read_journal(site.directory / "cli") if row.kind == "accepted"]  # noqa: E731
    until(lambda: judged() and len(accepted()) == 2, "one has arrived, and the other is on its way")
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    report = json.loads(out)
    jsonschema.validate(report, SCHEMA)
    assert running.returncode == code and "Traceback" not in err
    lost, arrived = (next(row for row in report["probes"] if row["route"].endswith(name)) for name in site.names)
    assert arrived["reason"] == "pass" and lost["reason"] is None and lost["verdict"] == "inconclusive"
    assert "stopped before there was a verdict: not seen for" in lost["why"]


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(("fault", "code"), [(None, 0), (Fault.REFUSE, 1)])
def test_a_reader_that_has_left_changes_no_verdict(process: Start, site: Site, form: str, fault: Fault | None, code: int) -> None:
    if fault is not None:
        spoil(site, fault)
    reading, writing = os.pipe()
    running = process("probe", "-c", site.write(), "--format", form, stdout=writing)
    os.close(writing)
    os.close(reading)
    _, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (code, "")


def test_a_full_disk_under_stdout_is_one_line(process: Start, site: Site) -> None:
    with Path("/dev/full").open("w") as full:
        running = process("probe", "-c", site.write(), "--mailbox", site.names[0], stdout=full)
        _, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert err.startswith("stdout: No space left") and err.count("\n") == 1


# --- check-config --live --------------------------------------------------------------------------------------------


def test_live_ok(mailcanary: Command, site: Site) -> None:
    outcome = mailcanary("check-config", "--live", "-c", site.write())
    lines = outcome.out.splitlines()
    assert outcome.code == 0 and outcome.err == ""
    assert [line.split(":")[0] for line in lines[:3]] == [*(f"ok   mailbox {name}" for name in site.names), "ok   path bare-smtp"]
    assert "INBOX = inbox" in lines[0] and "= spam" in lines[0]
    assert lines[-1] == "configuration ok: 1 paths, 2 mailboxes, 2 routes"
    assert [site.arrived(address) for address in site.addresses] == [0, 0], "nothing was submitted"


def test_live_faults_are_named_each_with_its_mend_and_what_is_well_is_said_too(mailcanary: Command, lab: LabProcess, site: Site) -> None:
    site.wrong_password(site.names[0])
    site.tree["mailboxes"][site.names[1]]["folders"] = {"spam": ["Nothing like it"]}  # borealis tells no special use
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        site.tree["paths"]["dead"] = {**site.tree["paths"]["bare-smtp"], "port": dead.getsockname()[1]}
        outcome = mailcanary("check-config", "--live", "-c", site.write())
        told = mailcanary("check-config", "--live", "-c", site.write(), "--format", "json")
    assert outcome.code == told.code == 2 and outcome.err == ""
    by_name = {line[5:].split(":")[0]: line for line in outcome.out.splitlines()}
    wrong = by_name[f"mailbox {site.names[0]}"]
    assert wrong.startswith("FAIL ") and "auth_refused" in wrong and ";" in wrong and "lab password" not in outcome.out
    spam = by_name[f"mailbox {site.names[1]}"]
    assert "no spam folder among: " in spam and f"name it in mailboxes.{site.names[1]}.folders.spam" in spam
    assert by_name["path dead"].startswith("FAIL ") and "127.0.0.1" in by_name["path dead"]
    assert by_name["path bare-smtp"].startswith("ok ")
    assert outcome.out.splitlines()[-1].endswith("but 3 of 4 trials failed")
    document = json.loads(told.out)
    assert document["ok"] is False and document["live"] is True
    assert [trial["ok"] for trial in document["trials"]] == [False, False, True, False]


# --- run, and the commands that act on it -----------------------------------------------------------------------------


def test_run_serves_obeys_and_ends_well(mailcanary: Command, running: Daemon, site: Site) -> None:
    assert mailcanary("healthz", "--server", site.server) == Outcome(0, "ok\n", "")
    until(lambda: 'mailcanary_probe_results_total{environment="lab",result="pass"' in running.get("/metrics"), "metrics")
    paused = mailcanary("pause", "--server", site.server, "--by", "ann", "--reason", "asked")
    assert (paused.code, paused.out) == (0, "submission is paused; `mailcanary resume` starts it again\n")
    assert json.loads(running.get("/v1/status"))["paused"]["by"] == "ann"
    again = mailcanary("pause", "--server", site.server, "--by", "bob", "--format", "json")
    assert json.loads(again.out) == {"paused": True, "by": "bob", "reason": ""}
    refused = mailcanary("pause", "--server", site.server, "--by", "")
    assert refused.code == 2 and "400 by: " in refused.line
    assert mailcanary("resume", "--server", site.server).out == "submission is running\n"
    assert running.stop() == 0
    lines = [json.loads(line) for line in running.log.read_text().splitlines()]
    course = ["started", "listening", "stopping"]
    assert [line["event"] for line in lines if line["event"] in course] == course
    assert all(set(line) >= {"ts", "level", "event", "msg", "service", "environment"} for line in lines)
    for address in site.addresses:
        assert address.partition("@")[0] + "@" not in running.log.read_text()
    assert mailcanary("healthz", "--server", site.server).code == 4


def test_sigterm_lets_the_submission_under_way_end(site: Site) -> None:
    """A greylisting relay would be asked again in a second: the daemon goes all the same, and the probe stays in flight."""
    spoil(site, Fault.GREYLIST, 0, seconds=3600.0)
    spoil(site, Fault.GREYLIST, 1, seconds=3600.0)
    with daemon(site.write(), site.tree["listen"]["port"], site.directory / "log") as running:
        until(lambda: any(row.kind == "deferred" for row in read_journal(site.directory / "state")), "greylisted")
        assert running.stop() == 0
    rows = read_journal(site.directory / "state")
    outcomes = {"accepted", "deferred", "refused", "submit_unknown", "submit_error"}
    attempts = [row.body["probe"] for row in rows if row.kind == "attempted"]
    assert len(attempts) == sum(row.kind in outcomes for row in rows), "no attempt without its outcome"
    assert not [row for row in rows if row.kind in ("judged", "closed") and row.body["probe"] in attempts]


def test_a_port_that_is_taken(mailcanary: Command, site: Site) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", site.tree["listen"]["port"]))
        taken.listen()
        outcome = mailcanary("run", "-c", site.write())
    assert outcome.code == 2 and f"listen: 127.0.0.1:{site.tree['listen']['port']}: " in outcome.line and "listen.port" in outcome.line
    assert [site.arrived(address) for address in site.addresses] == [0, 0]


def test_a_second_daemon_on_one_journal(mailcanary: Command, running: Daemon, site: Site) -> None:
    outcome = mailcanary("run", "-c", site.write())
    assert outcome.code == 4 and str(site.directory / "state") in outcome.line
    assert running.process.poll() is None


def test_probe_beside_a_live_daemon_sends_nothing(mailcanary: Command, running: Daemon, site: Site) -> None:
    outcome = mailcanary("probe", "-c", site.write())
    assert outcome.code == 2 and "owned by another mailcanary process" in outcome.line and "nothing was sent" in outcome.line
    assert f"pid {running.process.pid}" in outcome.line
    until(lambda: len([row for row in read_journal(site.directory / "state") if row.kind == "judged"]) == 2, "the daemon's own probes")
    assert running.stop() == 0
    attempts = [row for row in read_journal(site.directory / "state") if row.kind == "attempted"]
    assert sum(site.arrived(address) for address in site.addresses) == len(attempts), "the daemon's and no other"


def test_a_server_that_is_no_mailcanary(mailcanary: Command, lab: LabProcess) -> None:
    relay = f"http://127.0.0.1:{lab.description['relay']['plain']}"
    outcome = mailcanary("healthz", "--server", relay)
    assert outcome.code == 4 and "is no mailcanary" in outcome.line
    control = lab.description["control_url"]
    assert mailcanary("healthz", "--server", control).code == 2, "404 is an answer: the call is wrong"
    assert mailcanary("pause", "--server", control).code == 2
