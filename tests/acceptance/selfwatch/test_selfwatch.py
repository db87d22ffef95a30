"""The monitor in trouble of its own: it says so, it never calls mail broken for it, and it goes on when the trouble is over."""

from __future__ import annotations

import contextlib
import http.client
import os
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.lab.faults import Fault, Scope
from tests.acceptance.conftest import Daemon, until
from tests.acceptance.ground import Ground, lines, metric, progress, stays
from tests.acceptance.selfwatch.conftest import Heard

MAIL_IS_BROKEN = {"submit_unreachable", "missing", "stalled", "late", "rejected", "deferred", "bounced", "duplicate", "misrouted"}


def blames_mail(site: Ground) -> set[str]:
    return {row["reason"] for row in site.judged()} & MAIL_IS_BROKEN


def with_switch(site: Ground, switch: Heard) -> None:
    site.tree["heartbeat"] = {"url": switch.url, "every": "1s"}


@pytest.fixture
def small_disk(site: Ground) -> Iterator[Path]:
    """The state directory on a filesystem of its own; skipped where we may not mount."""
    point = site.directory / "state"
    point.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs", str(point)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no tmpfs may be mounted: {done.stderr.strip()}")
    try:
        yield point
    finally:
        subprocess.run(["umount", "-l", str(point)], check=True)


def test_a_full_disk_stops_submitting_and_nothing_else(site: Ground, switch: Heard, small_disk: Path) -> None:
    with_switch(site, switch)
    ballast = small_disk / "ballast"
    with site.running() as daemon:
        until(lambda: switch.well > 0 and len(site.judged()) > 2, "whole cycles")
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        until(lambda: metric(daemon, "mailcanary_journal_writable") == 0, "it knows")
        until(lambda: any("journal" in detail for detail in switch.failures), "and says so outside")
        attempted = len(site.facts("attempted"))
        assert daemon.get("/livez") == "ok\n", "a restart would not help"
        stays(lambda: len(site.facts("attempted")) > attempted, 1.0, "nothing goes out without its fact")
        assert "cannot be written" in site.hang_up(daemon)["msg"]
        ballast.unlink()
        until(lambda: metric(daemon, "mailcanary_journal_writable") == 1, "it heals by itself")
        progress(lambda: len(site.judged()), "verdicts come again", 4)
        progress(lambda: switch.well, "and beats")
        assert daemon.stop() == 0
    assert not blames_mail(site)
    accepted = {row.key for row in site.facts("accepted")}
    assert len(site.facts("attempted")) == len({row.key for row in site.facts("attempted")}) and accepted


def test_a_corrupt_journal_does_not_start(site: Ground) -> None:
    with site.running() as daemon:
        until(lambda: len(site.judged()) > 4, "something is in it")
        assert daemon.stop() == 0
    file = site.directory / "state" / "journal.sqlite3"
    with file.open("r+b") as stream:
        stream.seek(4096)
        stream.write(os.urandom(max(0, file.stat().st_size - 8192)))
    said = subprocess.run(
        [sys.executable, "-m", "monitor", "run", "-c", str(site.write())], check=False, capture_output=True, text=True, timeout=30
    )
    (line,) = [line for line in said.stderr.splitlines() if not line.startswith("note: ")]
    assert said.returncode == 4 and "the journal cannot be read" in line and "restore it from a backup, or move it away" in line


def silent(daemon: Daemon) -> bool:
    try:
        with urllib.request.urlopen(f"{daemon.url}/livez", timeout=0.5):
            return False
    except (OSError, http.client.HTTPException):  # no answer, or turned away at once
        return True


def test_a_process_that_was_suspended_calls_nothing_missing(site: Ground, switch: Heard) -> None:
    """For longer than every deadline, with probes on their way."""
    with_switch(site, switch)
    site.tree["deadlines"] |= {"overdue_floor": "1s", "late": "2s", "missing": "3s", "give_up": "5s"}
    with site.running() as daemon:
        until(lambda: switch.well > 0 and len(site.judged()) > 2, "whole cycles")
        addresses = [box["address"] for box in site.tree["mailboxes"].values()]
        for address in addresses:
            site.lab.steer(lambda client, address=address: client.switch_on(Fault.DELAY, Scope(mailbox=address), seconds=1.0))  # type: ignore[misc]
        progress(lambda: len(site.facts("accepted")), "on their way", 3)
        daemon.process.send_signal(signal.SIGSTOP)
        assert silent(daemon), "a stopped process answers no probe of its liveness"
        time.sleep(6.0)
        daemon.process.send_signal(signal.SIGCONT)
        before = {row.key for row in site.facts("accepted")}
        until(lambda: before <= {row.key for row in site.facts("judged")}, "all is judged")
        progress(lambda: len(site.judged()), "and goes on", 3)
        assert daemon.get("/livez") == "ok\n"
        assert daemon.stop() == 0
    assert {row["reason"] for row in site.judged()} <= {"pass", "clock_jump", "mailbox_blind"}
    assert not [row for row in site.facts("transition") if row.body["phase"] == "opened"]


def use_up_descriptors(daemon: Daemon) -> tuple[tuple[int, int], list[socket.socket]]:
    """No more than are open now, and callers of the API hold those between. Returns the limit that was, and the callers."""
    pid = daemon.process.pid
    limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    open_now = [int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (max(open_now) + 1, limit[1]))
    address = daemon.url.removeprefix("http://").split(":")
    return limit, [socket.create_connection((address[0], int(address[1]))) for _ in range(max(open_now) + 2 - len(open_now))]


def test_without_file_descriptors_mail_is_not_called_broken(site: Ground) -> None:
    site.tree["schedule"] = {"every": "3s", "jitter": "0%"}
    with site.running() as daemon:
        until(lambda: len(site.judged()) > 1, "it works")
        site.tree["paths"]["bare-smtp"]["author_name"] = "Harbour"  # a new submitter, which has no connection yet
        assert site.hang_up(daemon)["event"] == "reloaded"
        limit = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (4, limit[1]))
        until(lambda: bool(site.facts("submit_error")), "a submission fails")
        assert {row.body["fault"] for row in site.facts("submit_error")} <= {"internal", "misconfigured"}
        for address in [box["address"] for box in site.tree["mailboxes"].values()]:
            scope = Scope(mailbox=address)
            site.lab.steer(lambda client, scope=scope: client.switch_on(Fault.IMAP_DOWN, scope))  # type: ignore[misc]
            site.lab.steer(lambda client, scope=scope: client.switch_off(Fault.IMAP_DOWN, scope))  # type: ignore[misc]
        until(lambda: bool(site.facts("watch_blind")), "it cannot look either, and says blind")
        assert silent(daemon)
        assert site.hang_up(daemon)["event"] == "reload_refused", "the file cannot be opened"
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, limit)
        until(lambda: not silent(daemon), "it answers again")
        until(lambda: bool(site.facts("watch_restored")), "it looks again")
        count = len([row for row in site.judged() if row["verdict"] == "pass"])
        until(lambda: len([row for row in site.judged() if row["verdict"] == "pass"]) > count + 1, "probes pass again")
        assert len(lines(daemon, "library")) < 100, "a line now and then"
        assert daemon.stop() == 0
    assert not blames_mail(site)


def test_callers_who_cannot_be_accepted_cost_nothing(site: Ground) -> None:
    site.tree["schedule"] = {"every": "7d", "jitter": "0%"}
    with site.running() as daemon:
        until(lambda: len(site.judged()) > 0, "it is at rest")
        limit, callers = use_up_descriptors(daemon)
        until(lambda: silent(daemon), "nobody is accepted any more")
        used = cpu(daemon.process.pid)
        for _ in range(8):
            assert silent(daemon)
            time.sleep(0.5)
        spent = cpu(daemon.process.pid) - used
        assert spent < 2.0, f"{spent:.1f} s of CPU in 4 s or more: it spins"
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, limit)
        for caller in callers:
            caller.close()
        until(lambda: not silent(daemon), "it answers again")
        assert daemon.stop() == 0


def test_callers_who_say_nothing_keep_nobody_out_and_take_nothing_from_the_probes(site: Ground) -> None:
    site.tree["schedule"] = {"every": "3s", "jitter": "0%"}
    with site.running() as daemon, contextlib.ExitStack() as callers:
        until(lambda: len(site.judged()) > 1, "it works")
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (256, 256))
        host, port = daemon.url.removeprefix("http://").split(":")
        for _ in range(300):
            callers.enter_context(socket.create_connection((host, int(port))))
        count = len(site.judged())
        assert daemon.get("/livez") == "ok\n"
        until(lambda: len(site.judged()) > count + 2, "it goes on")
        assert daemon.stop() == 0
    assert {row["reason"] for row in site.judged()} == {"pass"}


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_name_that_does_not_resolve_is_blind_with_the_name(site: Ground) -> None:
    first, second = site.names
    site.tree["mailboxes"][second]["imap"]["host"] = "imap.no-such-host.invalid"
    site.tree["mailboxes"][second]["imap"]["security"] = "tls"
    site.tree["mailboxes"][second]["imap"]["port"] = 993
    with site.running() as daemon:
        until(lambda: any(row.body["mailbox"] == second for row in site.facts("watch_blind")), "blind")
        progress(lambda: sum(row["route"]["mailbox"] == first for row in site.judged()), "the other goes on", 3)
        assert "imap.no-such-host.invalid" in lines(daemon, "watch_blind")[0]["msg"]
        assert daemon.stop() == 0
    assert not blames_mail(site)


def test_the_switch_hears_of_whole_cycles_only(site: Ground, switch: Heard) -> None:
    with_switch(site, switch)
    with site.running() as daemon:
        until(lambda: switch.well > 1, "beats")
        assert metric(daemon, "mailcanary_heartbeat_last_success_timestamp_seconds") > time.time() - 60
        for address in [box["address"] for box in site.tree["mailboxes"].values()]:
            site.lab.steer(lambda client, a=address: client.switch_on(Fault.HOLD_QUEUE, Scope(mailbox=a)))  # type: ignore[misc]
        progress(lambda: len(site.facts("accepted")), "nothing arrives from now on", 4)
        time.sleep(1.5)
        beats = switch.well
        stays(lambda: switch.well > beats + 1, 2.0, "no verdict, no beat")
        for address in [box["address"] for box in site.tree["mailboxes"].values()]:
            site.lab.steer(lambda client, a=address: client.switch_off(Fault.HOLD_QUEUE, Scope(mailbox=a)))  # type: ignore[misc]
        progress(lambda: switch.well, "beats again")
        assert daemon.stop() == 0
    assert not switch.failures
