"""What a configuration without faults becomes."""
# ruff: noqa: E501

from __future__ import annotations

import dataclasses

import pytest

from monitor.model.address import Address
from monitor.model.mail import AuthResult, Carrier
from monitor.model.policy import Access, HttpPath, Role, SecretRef, SecretSource, Security, SmtpPath
from monitor.model.probe import Deadlines, MailboxName, PathName, Route
from monitor.settings import print_duration
from tests.settings.conftest import ENVIRON, GOOD, changed

RELAY, GMAIL, FAST = PathName("relay"), MailboxName("gmail-1"), MailboxName("fast-1")
AUTHOR = "    author: refunds@example.com\n"
HTTP = """\
  app:
    kind: http
    url: http://localhost:8080/refunds
    headers:
      Idempotency-Key: "{{ probe_id }}"
      Authorization: {env: SHOP}
    body: {synthetic: true, amount: "{{ amount_value }}", none: null, count: 1, note: "yes"}
    refund_id: /refund_id
    version: header:X-App-Version
    locales: [de-DE, {tag: fr-CH, currency: CHF, amount: "CHF {amount}", grouping: "'"}]
"""


def test_defaults(read, tmp_path):
    policy = read(GOOD).policy
    relay, box = policy.paths[RELAY], policy.mailboxes[GMAIL]
    via = relay.via
    assert isinstance(via, SmtpPath)
    assert (via.host, via.port, via.security, via.username, via.password) == ("smtp.example.com", 587, Security.STARTTLS, None, None)
    assert via.identity.envelope_sender == via.identity.author == Address.parse("refunds@example.com")
    assert (via.identity.templates.subject, via.identity.templates.origin) == ("built-in subject.txt\n", "built-in")
    assert relay.carriers == (Carrier.HEADER, Carrier.MESSAGE_ID, Carrier.BODY, Carrier.REFUND_NUMBER)
    assert [locale.tag for locale in relay.locales] == ["en-GB"]
    assert (relay.attempt_timeout, relay.retry_backoff, relay.retry_for, relay.unreachable_for) == (30, 60, 2100, 15)
    assert (relay.daily_budget, box.daily_budget) == (720, 800)
    assert (box.host, box.port, box.security, box.username, box.role) == ("imap.gmail.com", 993, Security.TLS, "a@gmail.com", Role.SEED)
    assert box.password == SecretRef(SecretSource.ENV, "GMAIL")
    assert (box.plus_tags, box.clean_up, box.clean_up_after, box.authserv_ids) == (True, True, 86400, ())
    assert set(policy.routes) == {Route(RELAY, GMAIL), Route(RELAY, FAST)}
    assert {route.deadlines for route in policy.routes.values()} == {Deadlines(120, 480, 1800, 2280)}
    assert {route.jitter for route in policy.routes.values()} == {0.1}
    assert (policy.listen.host, policy.listen.port, policy.listen.tokens) == ("0.0.0.0", 9464, {})
    assert (policy.state_dir, policy.drain) == ("/var/lib/mailcanary", 20)
    assert (policy.watch.sweep_after, policy.watch.poll_every, policy.watch.idle_renew) == (5, 120, 300)
    assert (policy.retention.passes, policy.retention.failures, policy.retention.max_bytes) == (14 * 86400, 90 * 86400, 512 << 20)
    assert policy.keys.keys[0].secret == ENVIRON["KEY"].encode()
    assert ENVIRON["KEY"] not in repr(policy)
    assert policy.seeds.admit(Address.parse("a+tag@gmail.com"))


def test_http_path(read):
    loaded = read(changed(("mailboxes:\n", HTTP + "mailboxes:\n")), {**ENVIRON, "SHOP": "Bearer x"})
    path = loaded.policy.paths[PathName("app")]
    via = path.via
    assert isinstance(via, HttpPath)
    assert via.headers == {"Idempotency-Key": "{{ probe_id }}", "Authorization": SecretRef(SecretSource.ENV, "SHOP")}
    assert via.body == {"synthetic": True, "amount": "{{ amount_value }}", "none": None, "count": 1, "note": "yes"}
    assert (via.method, via.expected_status, via.refund_id, via.version) == ("POST", (200, 201, 202), "/refund_id", "header:X-App-Version")
    assert path.carriers == (Carrier.PLUS_TAG, Carrier.REFUND_NUMBER)
    assert [(locale.tag, locale.amount, locale.grouping, locale.decimal) for locale in path.locales] == [
        ("de-DE", "{amount} €", ".", ","),
        ("fr-CH", "CHF {amount}", "'", "."),
    ]


@pytest.mark.parametrize(("security", "port"), [("tls", 465), ("starttls", 587), ("plain", 25)])
def test_ports_follow_security(read, security, port):
    via = read(changed((AUTHOR, AUTHOR + f"    security: {security}\n"))).policy.paths[RELAY].via
    assert isinstance(via, SmtpPath)
    assert via.port == port


def test_plain_on_loopback(read):
    text = changed(
        ("smtp.example.com", "127.0.0.2"),
        (AUTHOR, AUTHOR + "    security: plain\n    username: u\n    password: {env: GMAIL}\n"),
        ("      host: imap.gmail.com\n", "      host: localhost\n      security: plain\n"),
    )
    assert read(text).policy.mailboxes[GMAIL].port == 143


def test_overrides(read):
    text = changed(
        (
            AUTHOR,
            AUTHOR
            + "    attempt_timeout: 7s\n    daily_budget: 5000\n    require: {dkim: [pass, none]}\n    envelope_sender: b@example.org\n",
        ),
        ("    provider: gmail\n", "    provider: gmail\n    authserv_ids: [mx.google.com]\n    daily_budget: 9\n"),
        ("    provider: fastmail\n", "    provider: fastmail\n    role: holding\n"),
        ("", "deadlines: {late: 3m}\nroutes:\n- {path: relay, mailbox: gmail-1, every: 15m, jitter: 0%, deadlines: {missing: 20m}}\n"),
    )
    policy = read(text).policy
    route = policy.routes[Route(RELAY, GMAIL)]
    assert len(policy.routes) == 1
    assert (route.every, route.jitter, route.deadlines) == (900, 0, Deadlines(180, 1200, 1800, 3000))
    assert (policy.paths[RELAY].attempt_timeout, policy.paths[RELAY].daily_budget, policy.mailboxes[GMAIL].daily_budget) == (7, 5000, 9)
    assert policy.paths[RELAY].demand.dkim == (AuthResult.PASS, AuthResult.NONE)
    assert policy.mailboxes[FAST].clean_up is False
    assert len(policy.seeds.addresses) == 1


def test_files_are_relative_to_the_configuration(tmp_path, monkeypatch):
    from monitor.settings import load
    from tests.settings.conftest import FakeSecrets

    home = tmp_path / "etc"
    (home / "mails").mkdir(parents=True)
    for name in ("subject.txt", "message.txt", "message.html"):
        (home / "mails" / name).write_text(f"own {name}")
    (home / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (home / "config.yaml").write_text(
        changed(
            (AUTHOR, AUTHOR + "    templates: mails\n    ca_file: ca.pem\n"),
            ("{env: GMAIL}", "{file: secrets/gmail}"),
            ("", "state_dir: s\n"),
        )
    )
    monkeypatch.chdir(tmp_path)
    secret = str(home / "secrets" / "gmail")
    policy = load((home / "config.yaml").relative_to(tmp_path), FakeSecrets(ENVIRON, {secret: "pw"})).policy
    via = policy.paths[RELAY].via
    assert isinstance(via, SmtpPath)
    assert via.ca_file == str(home / "ca.pem")
    assert (via.identity.templates.html, via.identity.templates.origin) == ("own message.html", str(home / "mails"))
    assert policy.mailboxes[GMAIL].password == SecretRef(SecretSource.FILE, secret)
    assert policy.state_dir == str(home / "s")


def test_tokens(read):
    policy = read(changed(("", "listen: {host: '::1', tokens: {read: {env: T}}}\n")), {**ENVIRON, "T": "t"}).policy
    assert policy.listen.tokens == {Access.READ: SecretRef(SecretSource.ENV, "T")}


def test_two_keys(read):
    text = changed(("{number: 1, secret: {env: KEY}}", "{number: 7, secret: {env: NEW}}\n    - {number: 1, secret: {env: KEY}}"))
    keys = read(text, {**ENVIRON, "NEW": "n" * 16}).policy.keys.keys
    assert [(key.number, key.secret) for key in keys] == [(7, b"n" * 16), (1, ENVIRON["KEY"].encode())]


def test_retry_ends_with_the_watch(read):
    policy = read(changed(("", "deadlines: {late: 30s, missing: 1m, give_up: 2m, watch_until: 5m}\n"))).policy
    assert policy.paths[RELAY].retry_for == 300


def test_the_default_interval_fits_the_budgets(read):
    """What nobody wrote must not use up a budget by noon; what somebody wrote stands, with a note."""
    narrow = ("", "budgets: {per_path: 300}\n")
    two = read(changed(narrow))
    assert {route.every for route in two.policy.routes.values()} == {720}
    assert [note.key for note in two.notes] == ["listen"]
    one = read(changed(narrow, ("    provider: fastmail\n", "    provider: fastmail\n    role: holding\n")))
    assert {route.every for route in one.policy.routes.values()} == {360}
    assert {route.every for route in read(GOOD).policy.routes.values()} == {300}, "a relay has room for every mailbox"
    written = read(changed(narrow, ("", "schedule: {every: 5m}\nlisten: {host: localhost}\n")))
    assert {route.every for route in written.policy.routes.values()} == {300}
    assert [str(note) for note in written.notes] == [
        "config.yaml:7: paths.relay: is due 576 probes a day but may have 300; write a longer every:, or a daily_budget: that fits"
    ]


def test_notes(read):
    text = changed(
        ("mailboxes:\n", HTTP.replace("localhost:8080", "shop:8080") + "mailboxes:\n"),
        ("    provider: fastmail\n", "    provider: fastmail\n    plus_tags: false\n"),
        ("", "routes:\n- {path: app, mailbox: fast-1}\n"),
    )
    assert [str(note) for note in read(text, {**ENVIRON, "SHOP": "Bearer x"}).notes] == [
        "config.yaml:1: listen: has no tokens and is no loopback address: /v1 stays closed; write tokens:, or host: 127.0.0.1",
        "config.yaml:7: paths.relay: no route uses it; add it to routes: or remove it",
        "config.yaml:11: paths.app.carriers: mailbox fast-1 has plus_tags: false; there the carrier plus_tag is not used; the other carriers stand in",
        "config.yaml:13: paths.app.url: sends the secret header Authorization unencrypted; use https:// unless the network is yours alone",
    ]


def test_locate(read):
    loaded = read(changed((AUTHOR, AUTHOR + "    locales: [en-GB]\n")))
    assert loaded.locate(("paths", "relay", "author")) == "config.yaml:10"
    assert loaded.locate(("paths", "relay", "locales", 0)) == "config.yaml:11"
    assert loaded.locate(("paths", "relay", "templates", "subject")) == "config.yaml:7"
    assert loaded.locate(()) == "config.yaml:1"
    assert str(loaded.fault(("paths", "relay", "carriers"), "a", "b")) == "config.yaml:7: paths.relay.carriers: a; b"


def test_alias(read):
    text = changed(("    imap:\n      host: imap.gmail.com\n      password: {env: GMAIL}\n", "    imap: &imap\n      host: imap.one.com\n      password: {env: GMAIL}\n"),
                   ("    imap:\n      host: imap.fastmail.com\n      password: {env: FAST}\n", "    imap: *imap\n"))  # fmt: skip
    loaded = read(text)
    assert loaded.policy.mailboxes[FAST].host == "imap.one.com"
    assert loaded.locate(("mailboxes", "fast-1", "imap", "host")) == "config.yaml:16"


def test_only_true_and_false_are_booleans(read):
    """Norway, clock times and dates stay what was written."""
    text = changed(
        ("provider: gmail", "provider: no"), (AUTHOR, AUTHOR + "    author_name: 12:30:00\n    username: on\n    password: {env: GMAIL}\n")
    )
    policy = read(text).policy
    via = policy.paths[RELAY].via
    assert isinstance(via, SmtpPath)
    assert (policy.mailboxes[GMAIL].provider, via.identity.author_name, via.username) == ("no", "12:30:00", "on")


def test_hash(read, tmp_path):
    """The same meaning has the same hash, whatever the order and the comments; any other meaning has another."""
    base = read(GOOD).policy
    assert len(base.policy_hash) == 16
    assert read("# comment\n" + GOOD.replace("a@gmail.com", '"a@gmail.com"')).policy.policy_hash == base.policy_hash
    assert read(changed(("", "drain: 20s\n"))).policy == base
    assert read(GOOD, {**ENVIRON, "KEY": "another key, rotated", "GMAIL": "another"}).policy.policy_hash == base.policy_hash
    changes = [
        ("canary-1", "canary-2"), ("number: 1", "number: 2"), ("imap.gmail.com", "imap.gmail.org"), ("env: FAST", "env: GMAIL"),
        ("", "drain: 21s\n"), ("", "watch: {sweep_after: 6s}\n"), ("", "schedule: {every: 15m}\n"), (AUTHOR, AUTHOR + "    daily_budget: 301\n"),
    ]  # fmt: skip
    hashes = {read(changed(one)).policy.policy_hash for one in changes} | {base.policy_hash}
    assert len(hashes) == len(changes) + 1


def test_hash_of_a_route(read):
    """Changes with its path, mailbox or deadlines and with nothing else."""

    def hashes(*pairs):
        return {route.mailbox: policy.policy_hash for route, policy in read(changed(*pairs)).policy.routes.items()}

    base = hashes()
    assert base[GMAIL] != base[FAST]
    gmail = hashes(("imap.gmail.com", "imap.gmail.org"))
    assert gmail[GMAIL] != base[GMAIL]
    assert gmail[FAST] == base[FAST]
    assert hashes(("", "schedule: {every: 20m}\n")) == base
    assert not set(hashes(("", "deadlines: {late: 3m}\n")).values()) & set(base.values())
    assert not set(hashes(("smtp.example.com", "smtp2.example.com")).values()) & set(base.values())


def test_policy_is_frozen(read):
    policy = read(GOOD).policy
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.drain = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        policy.paths[RELAY] = None  # type: ignore[index]


def test_print_duration():
    assert [print_duration(seconds) for seconds in (0, 0.25, 1, 90, 3600, 5400, 86400 * 2 + 1.5)] == [
        "0s", "250ms", "1s", "1m30s", "1h", "1h30m", "2d1s500ms"
    ]  # fmt: skip
