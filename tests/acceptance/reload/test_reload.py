"""SIGHUP to a daemon that is at work: `mailcanary run` as a process, probes in flight, a real file."""

from __future__ import annotations

import signal
import time

from monitor.lab.faults import Fault, Scope
from tests.acceptance.conftest import until
from tests.acceptance.ground import RARE, Ground, lines, metric, progress, stays


def passes(site: Ground, mailbox: str) -> int:
    return sum(row["verdict"] == "pass" and row["route"]["mailbox"] == mailbox for row in site.judged())


def test_a_mailbox_joins_and_leaves_while_probes_are_in_flight(site: Ground) -> None:
    first, second, third = site.names
    everything = dict(site.tree["mailboxes"])
    site.only(first, second)
    with site.running() as daemon:
        until(lambda: passes(site, first) > 1 and passes(site, second) > 1, "probes pass")
        site.tree["mailboxes"] = everything
        said = site.hang_up(daemon)
        assert said["event"] == "reloaded" and f"mailbox {third} added" in said["msg"]
        until(lambda: passes(site, third) > 1, "the new route is probed")
        assert any(f'route="bare-smtp/{third}"' in sample for sample in daemon.metrics())
        held = Scope(mailbox=everything[second]["address"])
        site.lab.steer(lambda client: client.switch_on(Fault.HOLD_QUEUE, held))
        progress(lambda: len(site.facts("accepted")), "some are held", 4)
        until(lambda: metric(daemon, "mailcanary_probes_pending") > 0, "in flight")
        site.only(first, third)
        assert f"mailbox {second} removed" in site.hang_up(daemon)["msg"]
        planned = [row.key for row in site.facts("probe_planned") if row.body["route"]["mailbox"] == second]
        until(lambda: not _unattempted(site, planned), "what was planned is attempted or withdrawn")
        time.sleep(1.0)
        site.lab.steer(lambda client: client.switch_off(Fault.HOLD_QUEUE, held))
        until(lambda: not _unjudged(site, second), "what was in flight is judged")
        assert [row.key for row in site.facts("probe_planned") if row.body["route"]["mailbox"] == second] == planned, "no new ones"
        progress(lambda: passes(site, first), "the others go on", 2)
        progress(lambda: passes(site, third), "the others go on", 2)
        assert daemon.stop() == 0
    assert {row["reason"] for row in site.judged()} == {"pass"}
    assert not site.facts("stray")


def _unattempted(site: Ground, planned: list[str]) -> set[str]:
    return set(planned) - {row.key for kind in ("attempted", "withdrawn") for row in site.facts(kind)}


def _unjudged(site: Ground, mailbox: str) -> set[str]:
    planned = {row.key for row in site.facts("probe_planned") if row.body["route"]["mailbox"] == mailbox}
    return planned - {row.key for kind in ("judged", "withdrawn") for row in site.facts(kind)}


def test_a_faulty_file_changes_nothing_and_says_so_a_line_a_fault(site: Ground) -> None:
    with site.running() as daemon:
        until(lambda: bool(site.judged()), "it probes")
        good = dict(site.tree)
        site.tree = good | {"drain": "soon", "environmnt": "x"}
        said = site.hang_up(daemon)
        assert said["event"] == "reload_refused" and said["level"] == "error"
        faults = [line["msg"] for line in lines(daemon, "configuration") if line["level"] == "error"]
        assert len(faults) == 2 and any("drain" in fault for fault in faults) and any("environmnt" in fault for fault in faults)
        assert metric(daemon, "mailcanary_config_last_reload_successful") == 0
        loaded = metric(daemon, "mailcanary_config_last_reload_success_timestamp_seconds")
        progress(lambda: len(site.judged()), "it goes on as before", 3)
        (site.directory / "mailcanary.yaml").unlink()
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: len(lines(daemon, "reload_refused")) == 2, "no file at all")
        site.tree = good | {"listen": {**good["listen"], "port": good["listen"]["port"] + 1}}
        assert "restart to apply" in site.hang_up(daemon)["msg"]
        site.tree = good
        assert site.hang_up(daemon)["event"] == "reloaded"
        assert metric(daemon, "mailcanary_config_last_reload_successful") == 1
        assert metric(daemon, "mailcanary_config_last_reload_success_timestamp_seconds") > loaded
        assert daemon.stop() == 0
    assert len(site.facts("reload_refused")) == 3
    assert {row["reason"] for row in site.judged()} == {"pass"}


def test_a_relay_that_moves_and_a_key_that_is_replaced(site: Ground) -> None:
    with site.running() as daemon:
        until(lambda: len(site.judged()) > 3, "it probes")
        address = next(iter(site.tree["mailboxes"].values()))["address"]
        held = Scope(mailbox=address)
        site.lab.steer(lambda client: client.switch_on(Fault.HOLD_QUEUE, held))
        progress(lambda: len(site.facts("accepted")), "some are held", 6)
        relay = site.lab.description["relay"]
        site.tree["paths"]["bare-smtp"] |= {"port": relay["starttls"], "security": "starttls", "ca_file": site.lab.description["ca_file"]}
        other = site.directory / "other-key"
        other.write_text("a key that nobody has seen before now")
        site.tree["signing"] = {"keys": [{"number": 2, "secret": {"file": str(other)}}]}
        said = site.hang_up(daemon)["msg"]
        assert "path bare-smtp: port, security, ca_file changed" in said and "signing keys: 1 added, 1 removed" in said
        site.lab.steer(lambda client: client.switch_off(Fault.HOLD_QUEUE, held))
        progress(lambda: len(site.judged()), "probes pass over the other port", 6)
        before = {row.key for row in site.facts("probe_planned") if row.seq < site.facts("reloaded")[0].seq}
        until(lambda: before <= {row.key for row in site.facts("judged")}, "what the old key signed is recognised")
        assert daemon.stop() == 0
    assert {row["reason"] for row in site.judged()} == {"pass"}
    assert not site.facts("stray") and not site.facts("foreign")


def test_a_storm_of_hang_ups(site: Ground) -> None:
    first, *_ = site.names
    with site.running() as daemon:
        until(lambda: len(site.judged()) > 3, "it probes")
        everything = dict(site.tree["mailboxes"])
        for number in range(30):
            site.tree["mailboxes"] = everything if number % 2 else {first: everything[first]}
            site.write()
            daemon.process.send_signal(signal.SIGHUP)
            time.sleep(0.03 * (number % 3))
        site.tree["mailboxes"] = everything
        site.hang_up(daemon)
        for name in everything:
            progress(lambda name=name: passes(site, name), f"{name} is probed", 2)  # type: ignore[misc]
        assert daemon.stop() == 0
    assert {row["reason"] for row in site.judged()} == {"pass"}
    copies = [(row.key, row.body["folder"], row.body["uid"]) for row in site.facts("sighted")]
    assert len(copies) == len(set(copies)) and not site.facts("stray")


def patient(site: Ground, timeout: str) -> None:
    site.tree["submission"] |= {"attempt_timeout": timeout, "retry_for": "2m"}
    site.tree["deadlines"] |= {"late": "2m", "missing": "3m", "give_up": "4m", "watch_until": "5m"}


def test_sigterm_lets_the_submission_under_way_end_and_the_next_start_judges_it(site: Ground) -> None:
    first, *_ = site.names
    site.only(first)
    site.tree |= {"schedule": dict(RARE), "drain": "20s"}
    slow = Scope(path="plain")
    held = Scope(mailbox=site.tree["mailboxes"][first]["address"])
    patient(site, "30s")
    site.lab.steer(lambda client: client.switch_on(Fault.SLOW_SMTP, slow, seconds=0.01))
    site.lab.steer(lambda client: client.switch_on(Fault.HOLD_QUEUE, held))
    try:
        with site.running() as daemon:
            until(lambda: len(site.facts("attempted")) == 1, "an attempt is under way")
            assert not site.facts("accepted")
            assert daemon.stop() == 0, "an orderly end"
        assert len(site.facts("accepted")) == 1, "it was let to end"
        assert not site.facts("submit_unknown") and not site.judged()
    finally:
        site.lab.steer(lambda client: client.switch_off(Fault.SLOW_SMTP, slow))
        site.lab.steer(lambda client: client.switch_off(Fault.HOLD_QUEUE, held))
    with site.running("second") as daemon:
        until(lambda: bool(site.judged()), "the next start finds it")
        assert daemon.stop() == 0
    assert [row["reason"] for row in site.judged()] == ["pass"] and len(site.facts("attempted")) == 1


def test_a_second_signal_ends_at_once_and_nothing_is_lost(site: Ground) -> None:
    first, *_ = site.names
    site.only(first)
    site.tree |= {"schedule": dict(RARE), "drain": "60s"}
    patient(site, "60s")
    slow = Scope(path="plain")
    site.lab.steer(lambda client: client.switch_on(Fault.SLOW_SMTP, slow, seconds=0.2))
    try:
        with site.running() as daemon:
            until(lambda: len(site.facts("attempted")) == 1, "an attempt is under way")
            daemon.process.send_signal(signal.SIGTERM)
            until(lambda: bool(lines(daemon, "stopping")), "it drains")
            stays(lambda: daemon.process.poll() is not None, 0.5, "it waits for the submission")
            daemon.process.send_signal(signal.SIGHUP)
            until(lambda: any("stopping" in line["msg"] for line in lines(daemon, "reload_refused")), "no reload while it drains")
            daemon.process.send_signal(signal.SIGTERM)
            assert daemon.process.wait(5) == 128 + signal.SIGTERM
    finally:
        site.lab.steer(lambda client: client.switch_off(Fault.SLOW_SMTP, slow))
    with site.running("second") as daemon:
        until(lambda: bool(site.facts("submit_unknown")), "the next start says that it does not know")
        assert daemon.stop() == 0
