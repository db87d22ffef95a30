"""mailcanary against BIND, OpenDKIM in Postfix, and rspamd: `audit` and `run` name the fault of each world, and none in a healthy one.

Worlds that only differ in their zone are domains of their own in one BIND, so that all of them are looked at at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.ports import free_port
from tests.real import bind, canary, dovecot, milters, postfix
from tests.real.bind import Bind
from tests.real.canary import HOST, Daemon, Tree, command, until
from tests.real.dovecot import Dovecot
from tests.real.milters import AUTHSERV_ID, OpenDkim, Rspamd
from tests.real.postfix import Postfix
from tests.real.zones import BROKEN, HEALTHY, PROVIDER, SELECTOR, SENDING, SIGNED, STALE, VANISH, Broken, good, key, zone, zones

LACKING = "; ".join(dict.fromkeys(r for r in (postfix.absent(), dovecot.absent(), bind.absent(), milters.absent()) if r))
pytestmark = [
    pytest.mark.skipif(bool(LACKING), reason=f"real servers (Postfix, Dovecot, BIND, OpenDKIM, rspamd): {LACKING}"),
    pytest.mark.timeout(300),  # a finding is certain when it was seen twice, a minute apart
]

PASSWORD = "seed password"
SPOIL = "/synthetic|refund/ REPLACE This line was changed behind the signer.\n"


@dataclass(frozen=True)
class World:
    bind: Bind
    rspamd: Rspamd
    relay: Postfix
    spoiling: Postfix  # changes a line of the body as mail goes out, after it was signed
    receiver: Postfix
    dovecot: Dovecot
    public: str
    ca: Path
    expired: int  # port of an SMTP server whose certificate has expired
    password: Path


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    at = tmp_path_factory.mktemp("authentication")
    ours, other = key(), key()
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(at / "ca.pem"))
    names = (HOST, *(f"mx.{domain}" for domain in (*HEALTHY, *SENDING, STALE, *(broken.domain for broken in BROKEN))))
    stale = datetime.now(UTC) - timedelta(days=1)
    for name, issued in (("good", ca.issue_cert(*names)), ("expired", ca.issue_cert(*names, not_after=stale))):
        issued.private_key_and_cert_chain_pem.write_to_path(str(at / f"{name}.pem"))
    (at / "password").write_text(PASSWORD + "\n")
    chain, old = str(at / "good.pem"), str(at / "expired.pem")
    users = {f"{domain.partition('.')[0]}@{PROVIDER}": PASSWORD for domain in (*SENDING, STALE)}
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        dns = enter(Bind(zones(ours.public, other.public), signed=SIGNED))
        dns.spoil("bogus.test")
        store = enter(Dovecot(users, (chain, chain)))
        signer = enter(OpenDkim(dict.fromkeys(SENDING, (SELECTOR, ours.pem))))
        verifier = enter(Rspamd(dns.resolver))
        sasl = f"{store.base}/auth-client"
        receiver = enter(Postfix({PROVIDER: store.lmtp}, chain, old, sasl, milters=(verifier.port,), hostname=AUTHSERV_ID))
        hops = {PROVIDER: receiver.border}
        relay, spoiling = (
            enter(Postfix({}, chain, old, sasl, hops=hops, milters=(signer.port,), hostname="relay.shop.test", body_checks=checks))
            for checks in ("", SPOIL)
        )
        yield World(dns, verifier, relay, spoiling, receiver, store, ours.public, at / "ca.pem", receiver.expired, at / "password")


# --- audit --------------------------------------------------------------------------------------------------------------


def audit(world: World, domain: str, *more: str, egress: str = HOST) -> tuple[int, Tree]:
    """(exit code, JSON document)."""
    words = command(
        "audit", domain, "--resolver", f"{HOST}:{world.bind.resolver}", "--dns-port", str(world.bind.port), "--egress", egress,
        "--selector", SELECTOR, "--helo", "relay.shop.test", "--private-addresses", "--format", "json", *more,
    )  # fmt: skip
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=90, check=False, env={**os.environ, "SSL_CERT_FILE": str(world.ca)}
    )
    assert done.stdout, done.stderr
    document: Tree = json.loads(done.stdout)
    return done.returncode, document


def bad(document: Tree) -> dict[str, str]:
    """Check id -> severity of what counts against the domain."""
    return {
        result["id"]: result["severity"]
        for domain in document["domains"]
        for result in domain["results"]
        if result["status"] in ("fail", "warn")
    }


@pytest.mark.parametrize("domain", HEALTHY)
def test_audit_finds_nothing_in_a_healthy_world(servers: World, domain: str) -> None:
    code, document = audit(servers, domain, "--no-transport")
    assert code == 0, bad(document)
    assert [check for check, severity in bad(document).items() if severity in ("critical", "error")] == []


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.domain)
def test_audit_names_the_fault(servers: World, broken: Broken) -> None:
    code, document = audit(servers, broken.domain, "--no-transport", egress=broken.egress)
    assert (code, bad(document).get(broken.finds)) in ((1, "critical"), (1, "error")), bad(document)


def test_audit_tells_signed_from_unsigned(servers: World) -> None:
    said = {domain: audit(servers, domain, "--no-transport", "--all")[1]["domains"][0]["results"] for domain in HEALTHY}
    found = {domain: {r["status"] for r in results if r["id"] == "DNS-08"} for domain, results in said.items()}
    assert "pass" in found["safe.test"] and found["shop.test"] == {"info"}


def test_audit_looks_at_the_mail_servers(servers: World) -> None:
    code, document = audit(servers, "shop.test", "--smtp-port", str(servers.receiver.border))
    assert code == 0, bad(document)
    code, document = audit(servers, "shop.test", "--smtp-port", str(servers.expired))
    assert (code, bad(document).get("TLS-05")) == (1, "critical"), bad(document)


def test_audit_that_cannot_see_says_so(servers: World) -> None:
    servers.bind.stop("resolver")
    try:
        code, document = audit(servers, "shop.test", "--no-transport", "--timeout", "1s")
    finally:
        servers.bind.start("resolver")
    assert (code, bad(document)) == (3, {}), document
    assert document["verdict"] == "inconclusive"


# --- the daemon ---------------------------------------------------------------------------------------------------------


def configuration(world: World, at: Path, port: int) -> Path:
    """Each sending domain has its relay and its mailbox; every other domain is only inspected."""
    secret = {"file": str(world.password)}
    paths: Tree = {}
    boxes: Tree = {}
    routes = []
    for domain in (*SENDING, STALE):
        name = domain.partition(".")[0]
        relay = world.spoiling if domain == "altered.test" else world.relay
        tls = {"security": "starttls", "ca_file": str(world.ca), "port": relay.expired} if domain == STALE else {"security": "plain"}
        paths[name] = {
            "kind": "smtp", "host": HOST, "port": relay.smtp, "author": f"refunds@{domain}", "helo": "canary.shop.test",
            "require": {"spf": ["pass"], "dkim": ["pass"], "dmarc": ["pass"]}, **tls,
        }  # fmt: skip
        boxes[name] = {
            "provider": f"box-{name}",
            "address": f"{name}@{PROVIDER}",
            "authserv_ids": [AUTHSERV_ID],
            "imap": {"host": HOST, "port": world.dovecot.imaps, "security": "tls", "ca_file": str(world.ca), "password": secret},
        }
        routes.append({"path": name, "mailbox": name, "every": "5s", "jitter": "0%"})
    domains: Tree = {
        domain: {"egress": [HOST], "selectors": [SELECTOR], "helo": ["relay.shop.test"]} for domain in (*HEALTHY, *SENDING, STALE)
    } | {b.domain: {"egress": [b.egress], "selectors": [SELECTOR], "helo": ["relay.shop.test"]} for b in BROKEN}
    inspect = {
        "every": "10s", "resolvers": [f"{HOST}:{world.bind.resolver}"], "port": world.bind.port, "timeout": "2s",
        "smtp_port": world.receiver.border, "private_addresses": True, "domains": domains,
    }  # fmt: skip
    return canary.write(at, "zones", paths, boxes, routes, port, inspect=inspect, incidents={"blind_after": "15s", "recover_after": "10s"})


@pytest.fixture(scope="module")
def daemon(servers: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    port = free_port()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SSL_CERT_FILE", str(servers.ca))  # the MX hosts are trusted like any on the internet
        running = Daemon(configuration(servers, tmp_path_factory.mktemp("zones"), port), port)
    until(lambda: answers(running), "the daemon answers")
    until(lambda: running.get(f"/v1/domains/{VANISH}")["mails"] and running.get(f"/v1/domains/{VANISH}")["digest"], "a healthy start")
    change(servers, without_key=True)  # while findings of the others become certain
    yield running
    running.kill()


def change(servers: World, without_key: bool) -> None:
    """The zone of vanish.test, with rspamd's memory of it, which keeps keys for their TTL."""
    servers.bind.publish(VANISH, zone(good(VANISH, servers.public) | ({"dkim": ""} if without_key else {})))
    servers.rspamd.stop()
    servers.rspamd.start()


def answers(daemon: Daemon) -> bool:
    assert daemon.alive, daemon.odd
    with contextlib.suppress(OSError):
        return bool(daemon.status())
    return False


def incidents(daemon: Daemon) -> list[Tree]:
    found: list[Tree] = daemon.get("/v1/incidents")["incidents"]
    return found


def about(daemon: Daemon, symptom: str, scope: str) -> list[Tree]:
    """The incidents of this symptom about this scope that are open."""
    return [i for i in incidents(daemon) if i["symptom"] == symptom and i["scope"] == scope and i["state"] == "open"]


def proof(daemon: Daemon, domain: str) -> Any:
    (seen,) = daemon.get(f"/v1/domains/{domain}")["mails"]
    return seen


def test_the_daemon_opens_an_incident_for_each_broken_world(servers: World, daemon: Daemon) -> None:
    for broken in BROKEN:
        until(lambda broken=broken: about(daemon, broken.symptom, f"domain:{broken.domain}"), f"{broken.symptom} of {broken.domain}")


def test_the_daemon_says_nothing_of_healthy_worlds(servers: World, daemon: Daemon) -> None:
    test_the_daemon_opens_an_incident_for_each_broken_world(servers, daemon)  # by then every domain was looked at twice
    assert [i for i in incidents(daemon) if i["scope"] in [f"domain:{domain}" for domain in HEALTHY]] == []


def test_mail_that_was_altered_or_signed_with_another_key_is_told_apart(servers: World, daemon: Daemon) -> None:
    for domain, state in (("otherkey.test", "header_altered"), ("altered.test", "body_altered"), ("shop.test", "pass")):
        until(lambda domain=domain: daemon.get(f"/v1/domains/{domain}")["mails"], f"a proof of mail of {domain}")
        assert [signature["state"] for signature in proof(daemon, domain)["dkim"]] == [state]
    daemon.judged("otherkey", "unauthenticated")
    daemon.judged("altered", "altered")  # what a reader sees comes first
    until(lambda: about(daemon, "auth_dkim", "domain:altered.test"), "an incident about the altered mail")
    until(lambda: about(daemon, "auth_dkim", "domain:otherkey.test"), "an incident about the other key")


def test_a_relay_whose_certificate_has_expired(servers: World, daemon: Daemon) -> None:
    daemon.judged("stale", "submit_unreachable")
    until(lambda: about(daemon, "tls", f"domain:{STALE}"), "an incident about the certificate")


def test_a_key_record_that_vanishes_is_named(servers: World, daemon: Daemon) -> None:
    until(lambda: about(daemon, "auth_dkim", f"domain:{VANISH}"), "an incident about the vanished key")
    (opened,) = about(daemon, "auth_dkim", f"domain:{VANISH}")
    words = json.dumps(daemon.get(f"/v1/incidents/{opened['id']}"))
    assert "s1" in words and "vanished" in words
    change(servers, without_key=False)
    until(lambda: not about(daemon, "auth_dkim", f"domain:{VANISH}"), "the end of the incident")


def test_a_resolver_that_is_down_is_blind_and_not_broken(servers: World, daemon: Daemon) -> None:
    before = {i["id"] for i in incidents(daemon) if i["symptom"] != "dns_blind"}
    servers.bind.stop("resolver")
    try:
        until(lambda: [i for i in incidents(daemon) if i["symptom"] == "dns_blind" and i["state"] == "open"], "blindness")
    finally:
        servers.bind.start("resolver")
    until(lambda: not [i for i in incidents(daemon) if i["symptom"] == "dns_blind" and i["state"] == "open"], "sight again")
    assert {i["id"] for i in incidents(daemon) if i["symptom"].startswith(("auth_", "dns")) and i["symptom"] != "dns_blind"} <= before
