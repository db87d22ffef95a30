"""Real servers for the session, and one `run` and four `probe`s of mailcanary that begin at once and are looked at by many tests."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from tests.ports import free_port
from tests.real import canary
from tests.real.canary import HOST, Daemon, Probe
from tests.real.cases import (
    DOMAIN,
    FRAIL,
    HEALTHY,
    ILL,
    PASSWORD,
    UNSEEN,
    USER,
    Case,
    World,
    account,
    aliases,
    furnish,
    mailbox,
    mailboxes,
    paths,
    routes,
)
from tests.real.dovecot import Dovecot
from tests.real.postfix import Postfix

QUICK = {"every": "2s", "jitter": "0%"}
GROUPS: dict[str, tuple[Case, ...]] = {
    "healthy": HEALTHY,
    "ill": tuple(case for case in ILL if case.result != "submit_unreachable"),
    "unreachable": tuple(case for case in ILL if case.result == "submit_unreachable"),
    "unseen": UNSEEN,
}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI all servers are there: what is skipped has lost one, and fails."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.longrepr = f"nothing may be skipped in CI: {why}"
    return report


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    at = tmp_path_factory.mktemp("world")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(at / "ca.pem"))
    good, expired = ca.issue_cert(HOST), ca.issue_cert(HOST, "localhost", not_after=datetime.now(UTC) - timedelta(days=1))
    for name, issued in (("good", good), ("expired", expired)):
        issued.private_key_and_cert_chain_pem.write_to_path(str(at / f"{name}.pem"))
    (at / "password").write_text(PASSWORD + "\n")
    (at / "wrong").write_text("not the password\n")
    chain, old = str(at / "good.pem"), str(at / "expired.pem")
    stale_name = f"local_name localhost {{\n  ssl_cert = <{old}\n  ssl_key = <{old}\n}}\n"
    with contextlib.ExitStack() as servers, socket.socket() as closed:
        closed.bind((HOST, 0))  # bound, and nobody listens: nobody else can, either
        dovecot = servers.enter_context(Dovecot({USER: PASSWORD}, (chain, chain), extra=stale_name))
        frail = servers.enter_context(Dovecot({}, (chain, chain)))
        domains = {DOMAIN: dovecot.lmtp, FRAIL: frail.lmtp}
        postfix = servers.enter_context(Postfix(domains, chain, old, f"{dovecot.base}/auth-client"))
        postfix.alias(aliases(ILL, "p", "r"))
        yield World(postfix, dovecot, frail, str(at / "ca.pem"), str(at / "password"), str(at / "wrong"), closed.getsockname()[1])


@pytest.fixture(scope="session")
def configs(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A configuration for each group of `probe`: two processes may not watch one mailbox."""
    made = {}
    for group, cases in GROUPS.items():
        furnish(world, cases, "p")
        boxes = mailboxes(world, cases, "p")
        if group != "ill":
            boxes = {name: box for name, box in boxes.items() if box.get("role") != "holding" and name != "neighbour"}
        made[group] = canary.write(tmp_path_factory.mktemp(group), f"one-shot-{group}", paths(world, "p"), boxes, routes(cases), 1)
    return made


@pytest.fixture(scope="session")
def probes(configs: dict[str, Path], daemon: Daemon) -> Iterator[dict[str, Probe]]:
    """`mailcanary probe` over each group, all at once."""
    running = {group: Probe(config, config.parent / "one-shot") for group, config in configs.items()}
    yield running
    for probe in running.values():
        probe.kill()


@pytest.fixture(scope="session")
def daemon(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """`mailcanary run` over all cases, and three routes more whose luck changes: turning, frail, cleaned."""
    cases = HEALTHY + ILL + UNSEEN
    furnish(world, cases, "r")
    for name in ("turning", "cleaned"):
        world.dovecot.add_user(account(name, "r"), PASSWORD)
    world.frail.add_user(account("frail", "r").replace(DOMAIN, FRAIL), PASSWORD)
    boxes = mailboxes(world, cases, "r")
    boxes["turning"] = mailbox(world, "turning", "r")
    boxes["frail"] = mailbox(world, "frail", "r", domain=FRAIL)
    boxes["cleaned"] = mailbox(world, "cleaned", "r", clean_up_after="1s")
    ways = routes(cases)
    for way in ways:
        if way["mailbox"] in {case.name for case in UNSEEN}:
            way["deadlines"] = {"late": "2s", "missing": "3s", "give_up": "5s"}
    ways += [{"path": "relay", "mailbox": "turning", **QUICK}, {"path": "relay", "mailbox": "frail", **QUICK}]
    ways += [{"path": "once", "mailbox": "cleaned", **QUICK, "deadlines": {"late": "6s", "missing": "8s", "watch_until": "8s"}}]
    port = free_port()
    at = tmp_path_factory.mktemp("daemon")
    config = canary.write(at, "daemon", paths(world, "r"), boxes, ways, port, schedule={"every": "8s", "jitter": "0%"})
    running = Daemon(config, port)
    yield running
    running.kill()
