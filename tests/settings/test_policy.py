"""What a configuration without faults becomes."""
# ruff: noqa: E501

from __future__ import annotations

import dataclasses

import pytest

from monitor.model.address import Address
from monitor.model.channels import AlertmanagerChannel, NotifyPolicy, WebhookChannel
from monitor.model.mail import AuthResult, Carrier
from monitor.model.policy import (
    Access,
    CommandPath,
    DkimKey,
    HeartbeatPolicy,
    HttpPath,
    IncidentPolicy,
    LoginMethod,
    Role,
    Security,
    SmtpPath,
)
from monitor.model.probe import Deadlines, MailboxName, PathName, Route
from monitor.model.secret import SecretRef, SecretSource
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
    assert (via.login, via.dkim, policy.sending_domains) == (LoginMethod.PLAIN, None, ("example.com",))
    assert (policy.incidents, policy.notify, policy.heartbeat) == (IncidentPolicy(600, 3, 900, 900, 3600), NotifyPolicy(), None)
    assert (policy.notify.fallback_after, policy.notify.give_up_after, policy.notify.runbooks_url) == (120, 86400, "docs/runbooks")
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


def test_command_path(read, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "refund").touch(mode=0o755)
    job = """\
  job:
    kind: command
    command: [bin/refund, --synthetic, "{{ not a template }}"]
    environment: {SHOP_TOKEN: {env: SHOP}, SHOP_MODE: "on"}
    input: {synthetic: true, amounts: ["{{ amount_value }}", 1.5, null]}
    refund_id: /id
    version: /release/name
    sends_number: true
    attempt_timeout: 7s
"""
    loaded = read(changed(("mailboxes:\n", job + "mailboxes:\n")), {**ENVIRON, "SHOP": "t"})
    path = loaded.policy.paths[PathName("job")]
    assert path.via == CommandPath(
        argv=(str(tmp_path / "bin" / "refund"), "--synthetic", "{{ not a template }}"),
        environment={"SHOP_TOKEN": SecretRef(SecretSource.ENV, "SHOP"), "SHOP_MODE": "on"},
        input={"synthetic": True, "amounts": ["{{ amount_value }}", 1.5, None]},
        refund_id="/id",
        version="/release/name",
        sends_number=True,
    )
    assert (path.carriers, path.attempt_timeout, path.daily_budget) == ((Carrier.PLUS_TAG, Carrier.REFUND_NUMBER), 7, 720)
    assert {route.path for route in loaded.policy.routes} == {"relay", "job"}
    found = read(changed(("mailboxes:\n", "  job: {kind: command, command: [sh]}\nmailboxes:\n"))).policy.paths[PathName("job")].via
    assert found == CommandPath(("sh",), {}, None, None, None, False), "a bare name is looked for in PATH when it runs"


def test_access_tokens(read, tmp_path):
    """From a program, or from wherever a password may come; the program is looked for and never run (see FakeSecrets)."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "a token").touch(mode=0o755)
    text = changed(
        (AUTHOR, AUTHOR + "    login: xoauth2\n    username: u\n    password: {command: \"'bin/a token' relay $HOME\"}\n"),
        ("      password: {env: GMAIL}\n", "      login: xoauth2\n      password: {command: sh -c token}\n"),
        ("      password: {env: FAST}\n", "      login: xoauth2\n      password: {env: FAST}\n"),
    )
    policy = read(text).policy
    via = policy.paths[RELAY].via
    assert isinstance(via, SmtpPath)
    assert (via.login, via.password) == (LoginMethod.XOAUTH2, SecretRef(SecretSource.COMMAND, f"'{tmp_path}/bin/a token' relay '$HOME'"))
    gmail, fast = policy.mailboxes[GMAIL], policy.mailboxes[FAST]
    assert (gmail.login, gmail.password) == (LoginMethod.XOAUTH2, SecretRef(SecretSource.COMMAND, "sh -c token"))
    assert (fast.login, fast.password) == (LoginMethod.XOAUTH2, SecretRef(SecretSource.ENV, "FAST"))


@pytest.mark.parametrize(
    ("domain", "signing"),
    [("", "mail.example.com"), ("domain: Mail.Example.COM., ", "mail.example.com"), ("domain: example.com, ", "example.com")],
)
def test_dkim(read, tmp_path, domain, signing):
    (tmp_path / "dkim.pem").write_text("-----BEGIN RSA PRIVATE KEY-----\n")
    text = changed(
        ("refunds@example.com\n", f"refunds@mail.example.com\n    dkim: {{{domain}selector: s1.canary, key: {{file: dkim.pem}}}}\n")
    )
    via = read(text).policy.paths[RELAY].via
    assert isinstance(via, SmtpPath)
    assert via.dkim == DkimKey(signing, "s1.canary", SecretRef(SecretSource.FILE, str(tmp_path / "dkim.pem")))


def test_envelope_sender_at_its_longest(read):
    """RFC 5321 section 4.5.3.1.1: 64 octets, of which + and the probe id take 13."""
    via = read(changed((AUTHOR, AUTHOR + f"    envelope_sender: {'b' * 51}@example.com\n"))).policy.paths[RELAY].via
    assert isinstance(via, SmtpPath)
    assert len(via.identity.envelope_sender.tagged("0" * 12).local) == 64


TRIPWIRE = ("    provider: fastmail\n", "    provider: fastmail\n    role: tripwire\n    clean_up: false\n")


def test_tripwire(read):
    loaded = read(changed(TRIPWIRE, ("", "sending_domains: [Shop.example, example.com, shop.example]\nlisten: {host: localhost}\n")))
    policy, box = loaded.policy, loaded.policy.mailboxes[FAST]
    assert (box.role, box.clean_up, box.daily_budget) == (Role.TRIPWIRE, False, 0)
    assert set(policy.routes) == {Route(RELAY, GMAIL)}
    assert not any(address.domain.name == "fastmail.com" for address in policy.seeds.addresses)
    assert policy.sending_domains == ("shop.example", "example.com")
    assert [note.key for note in loaded.notes] == ["notify", "mailboxes.fast-1"]
    only_http = (
        "  relay:\n    kind: smtp\n    host: smtp.example.com\n" + AUTHOR,
        "  app: {kind: http, url: 'https://shop.example.com/x'}\n",
    )
    assert read(changed(TRIPWIRE, only_http, ("", "sending_domains: [shop.example]\n"))).policy.sending_domains == ("shop.example",)
    assert read(changed(only_http)).policy.sending_domains == (), "nobody asks for them without a tripwire"
    trusted = read(changed((TRIPWIRE[0], TRIPWIRE[1] + "    authserv_ids: ['*']\n")))
    assert [note.key for note in trusted.notes] == ["notify", "listen"]


NOTIFY = """\
incidents: {recover_after: 0s, recover_passes: 5, sustained_after: 20m, blind_after: 25m, reopen_within: 2h}
notify:
  channels:
    oncall: {kind: webhook, url: {env: HOOK}, secret: {env: SIGN}}
    chat: {kind: webhook, url: "http://chat:8080/x"}
    am: {kind: alertmanager, urls: ["http://10.0.0.7:9093/", "http://am.example.com:9093", "http://10.0.0.7:9093"], authorization: {env: AM}, resend_every: 30s}
  tickets: [am]
  fallback: [chat]
  fallback_after: 3m
  give_up_after: 2d
  public_url: https://canary.example.com/
  runbooks_url: https://wiki.example.com/runbooks/
heartbeat: {url: "http://heartbeat.example.com/x", every: 30s}
listen: {host: localhost}
"""
HOOKS = {**ENVIRON, "HOOK": "https://hooks.example.com/T0/secret", "SIGN": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "AM": "Basic x"}


def test_who_is_told(read):
    loaded = read(changed(("", NOTIFY)), HOOKS)
    policy = loaded.policy
    assert policy.incidents == IncidentPolicy(0, 5, 1200, 1500, 7200)
    assert policy.notify == NotifyPolicy(
        channels={
            "oncall": WebhookChannel(SecretRef(SecretSource.ENV, "HOOK"), SecretRef(SecretSource.ENV, "SIGN")),
            "chat": WebhookChannel("http://chat:8080/x", None),
            "am": AlertmanagerChannel(("http://10.0.0.7:9093", "http://am.example.com:9093"), SecretRef(SecretSource.ENV, "AM"), None, 30),
        },
        pages=("oncall", "am"),
        tickets=("am",),
        fallback=("chat",),
        fallback_after=180,
        give_up_after=172_800,
        public_url="https://canary.example.com",
        runbooks_url="https://wiki.example.com/runbooks",
    )
    assert policy.heartbeat == HeartbeatPolicy("http://heartbeat.example.com/x", 30)
    assert [str(note) for note in loaded.notes] == [
        "config.yaml:29: notify.channels.am.urls.1: sends notifications unencrypted over a public network; use https://",
        "config.yaml:36: heartbeat.url: is asked unencrypted over a public network; use https://",
    ]
    assert "hooks.example.com" not in repr(policy)


@pytest.mark.parametrize(
    ("extra", "notes"),
    [
        ("", []),
        ("  pages: []\n", ["notify.pages: names no channel for pages: nobody is paged"]),
        ("  pages: [oncall]\n  tickets: [oncall]\n", ["notify.channels.chat: is told of nothing"]),
        ("  pages: [oncall]\n", []),
        ("  fallback: [chat]\n", []),
    ],
)
def test_notes_on_who_is_told(read, extra, notes):
    hooks = "".join(f"    {name}: {{kind: webhook, url: 'https://hooks.example.com/x'}}\n" for name in ("oncall", "chat"))
    loaded = read(changed(("", f"listen: {{host: localhost}}\nnotify:\n  channels:\n{hooks}{extra}")))
    assert [f"{note.key}: {note.what}" for note in loaded.notes] == notes


@pytest.mark.parametrize(
    ("url", "noted"),
    [
        ("http://hooks.example.com/x", True), ("http://8.8.8.8/x", True), ("http://[2001:4860:4860::8888]/x", True),
        ("https://hooks.example.com/x", False), ("http://localhost:1/x", False), ("http://127.0.0.9/x", False), ("http://[::1]:5/x", False),
        ("http://192.168.1.5/x", False), ("http://[fd00::1]/x", False), ("http://hooks/x", False), ("http://hooks.ops.svc.cluster.local./x", False),
    ],
)  # fmt: skip
def test_a_webhook_over_a_public_network_is_encrypted(read, url, noted):
    loaded = read(changed(("", f"listen: {{host: localhost}}\nnotify: {{channels: {{chat: {{kind: webhook, url: '{url}'}}}}}}\n")))
    assert [note.key for note in loaded.notes] == (["notify.channels.chat.url"] if noted else [])


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
    assert [note.key for note in two.notes] == ["notify", "listen"]
    one = read(changed(narrow, ("    provider: fastmail\n", "    provider: fastmail\n    role: holding\n")))
    assert {route.every for route in one.policy.routes.values()} == {360}
    assert {route.every for route in read(GOOD).policy.routes.values()} == {300}, "a relay has room for every mailbox"
    written = read(changed(narrow, ("", "schedule: {every: 5m}\nlisten: {host: localhost}\n")))
    assert {route.every for route in written.policy.routes.values()} == {300}
    assert [str(note) for note in written.notes] == [
        "config.yaml:1: notify: names no channel: nobody is paged; write channels: {NAME: {kind: webhook, url: ...}}",
        "config.yaml:7: paths.relay: is due 576 probes a day but may have 300; write a longer every:, or a daily_budget: that fits",
    ]


def test_notes(read):
    text = changed(
        ("mailboxes:\n", HTTP.replace("localhost:8080", "shop:8080") + "mailboxes:\n"),
        ("    provider: fastmail\n", "    provider: fastmail\n    plus_tags: false\n"),
        ("", "routes:\n- {path: app, mailbox: fast-1}\n"),
    )
    assert [str(note) for note in read(text, {**ENVIRON, "SHOP": "Bearer x"}).notes] == [
        "config.yaml:1: notify: names no channel: nobody is paged; write channels: {NAME: {kind: webhook, url: ...}}",
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
        ("environment: production", "environment: staging"), ("", "state_dir: x\n"), ("", "listen: {port: 1}\n"), ("", "retention: {passes: 1d}\n"),
        ("", "sending_domains: [example.org]\n"), ("", "incidents: {blind_after: 20m}\n"), ("", "incidents: {recover_passes: 4}\n"),
        ("", "heartbeat: {url: 'https://x.example.com'}\n"), ("", "heartbeat: {url: 'https://x.example.com', every: 2m}\n"), ("", "notify: {fallback_after: 3m}\n"),
        ("", "notify: {channels: {a: {kind: webhook, url: 'https://x.example.com'}}}\n"), ("", "notify: {channels: {b: {kind: webhook, url: 'https://x.example.com'}}}\n"),
        ("", "notify: {channels: {a: {kind: alertmanager, urls: ['https://x.example.com']}}}\n"), ("", "notify: {public_url: 'https://x.example.com'}\n"),
        ("", "notify: {runbooks_url: 'https://x.example.com'}\n"), ("mailboxes:\n", "  job: {kind: command, command: [sh]}\nmailboxes:\n"),
        ("mailboxes:\n", "  job: {kind: command, command: [sh, x]}\nmailboxes:\n"), ("mailboxes:\n", "  job: {kind: command, command: [sh], environment: {A: b}}\nmailboxes:\n"),
        ("      password: {env: GMAIL}\n", "      password: {env: GMAIL}\n      login: xoauth2\n"), TRIPWIRE,
        ("", "gates: {policy: deep}\n"), ("", "gates: {burst: 7}\n"), ("", "gates: {policies: {a: {like: quick}}}\n"), ("", "gates: {policies: {a: {settle: 3s}}}\n"),
        ("", "deploys: {webhooks: {a: {deploy: /id, phase: /p, start: [x]}}}\n"), ("", "deploys: {webhooks: {a: {deploy: /id, phase: /p, finish: [x]}}}\n"),
        ("", "deploys: {grafana: {url: 'https://g.example.com', token: {env: KEY}}}\n"),
        ("", "inspect: {every: 1h}\n"), ("", "inspect: {domains: {example.com: {egress: ['192.0.2.1']}}}\n"),
        (AUTHOR, AUTHOR + "    username: u\n    password: {env: GMAIL}\n"), (AUTHOR, AUTHOR + "    username: u\n    password: {env: GMAIL}\n    login: xoauth2\n"),
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
