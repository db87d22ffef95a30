"""Channels of `notify:` and their routes: what they mean, and what cannot be meant."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.channels import AppriseChannel, NotifyPolicy, NotifyRoute, PagerdutyChannel, SlackChannel
from monitor.model.incident import Scope, ScopeKind, Severity
from monitor.model.secret import SecretRef, SecretSource
from monitor.model.verdict import Symptom
from monitor.settings import SettingsError
from monitor.settings.notify_routes import check_routes
from monitor.settings.notify_shape import NotifyRouteShape
from tests.settings.conftest import ENVIRON, changed

KEY = "0123456789abcdefABCDEFghijklmnop"
VALUES = {**ENVIRON, "PD": KEY, "RULES": "R" + KEY[1:], "SHORT": "0123", "SLACK": "https://hooks.example.com/services/T0/B0/x"}
CHANNELS = """
  channels:
    pager: {kind: pagerduty, routing_key: {env: PD}}
    chat: {kind: slack, url: {env: SLACK}}
    web: {kind: webhook, url: 'https://x.example.com'}
"""


def env(name: str) -> SecretRef:
    return SecretRef(SecretSource.ENV, name)


def notify(text: str) -> str:
    return changed(("", f"listen: {{host: localhost}}\nnotify:{text}"))


def test_channels_are_read(read):
    policy = read(
        notify("""
  channels:
    pager: {kind: pagerduty, routing_key: {env: PD}}
    eu: {kind: pagerduty, routing_key: {env: PD}, url: 'https://events.eu.pagerduty.com/', changes: true}
    chat: {kind: slack, url: {env: SLACK}}
    teams: {kind: apprise, url: {env: TEAMS}}
"""),
        {**VALUES, "TEAMS": "ntfys://ntfy.example.com/x"},
    ).policy
    assert policy.notify.channels == {
        "pager": PagerdutyChannel(env("PD"), "https://events.pagerduty.com"),
        "eu": PagerdutyChannel(env("PD"), "https://events.eu.pagerduty.com", None, True),
        "chat": SlackChannel(env("SLACK")),
        "teams": AppriseChannel(env("TEAMS")),
    }
    assert KEY not in repr(policy) and "hooks.example.com" not in repr(policy)


WRONG = {
    "short key": (
        "{kind: pagerduty, routing_key: {env: SHORT}}",
        "routing_key: secret {env: SHORT} is no routing key: it has not 32 letters and digits",
    ),
    "key of a ruleset": (
        "{kind: pagerduty, routing_key: {env: RULES}, changes: true}",
        "routing_key: secret {env: RULES} is the key of a ruleset, which takes no change events",
    ),
    "key written out": (f"{{kind: pagerduty, routing_key: {KEY}}}", "routing_key: is written out here"),
    "no key": ("{kind: pagerduty}", "routing_key: is missing"),
    "a password": ("{kind: pagerduty, routing_key: {env: PD}, url: 'https://u:p@x.test'}", "url: holds a user name or password"),
    "slack, written out": ("{kind: slack, url: 'https://hooks.example.com/services/x'}", "url: is written out here"),
    "slack, no URL": ("{kind: slack, url: {env: PD}}", "url: secret {env: PD} is no URL"),
    "apprise, no URL": ("{kind: apprise, url: {env: PD}}", "url: secret {env: PD} is no URL"),
    "apprise by e-mail": ("{kind: apprise, url: {env: MAIL}}", "url: secret {env: MAIL} would send e-mail"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_channel_cannot_be(name, read_faults):
    channel, fault = WRONG[name]
    values = {**VALUES, "MAIL": "MailtoS://user:pass@example.com"}
    (line,) = read_faults(notify(f"\n  channels:\n    it: {channel}\n"), values)
    assert f"notify.channels.it.{fault}" in line and line.count(";") >= 1
    assert KEY not in line and "example.com" not in line and "0123" not in line


def test_apprise_that_is_not_installed_says_how(read_faults, monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    (line,) = read_faults(notify("\n  channels: {it: {kind: apprise, url: {env: URL}}}\n"), {**VALUES, "URL": "ntfys://x.example.com/y"})
    assert line.endswith("notify.channels.it.kind: apprise is not installed; pip install 'mailcanary[apprise]'")


def test_a_ruleset_key_pages_as_long_as_it_is_sent_no_changes(read):
    read(notify("\n  channels: {it: {kind: pagerduty, routing_key: {env: RULES}}}\n"), VALUES)


def test_a_pagerduty_over_plain_http_is_noted(read):
    loaded = read(notify("\n  channels: {it: {kind: pagerduty, routing_key: {env: PD}, url: 'http://events.example.com'}}\n"), VALUES)
    assert [note.key for note in loaded.notes] == ["notify.channels.it.url"]


def test_routes_are_read(read):
    routes = """
  routes:
    - {symptoms: [auth_spf, dns], severity: ticket, scopes: [domain, 'path:relay'], channels: [chat]}
    - {channels: []}
"""
    loaded = read(notify(CHANNELS + routes), VALUES)
    assert loaded.policy.notify.routes == (
        NotifyRoute(("chat",), (Symptom.AUTH_SPF, Symptom.DNS), Severity.TICKET, ("domain", "path:relay")),
        NotifyRoute(()),
    )
    assert [f"{note.key}: {note.what}" for note in loaded.notes] == [
        "notify.routes.1.channels: names no channel: nobody is paged of what it takes"
    ]


BAD_ROUTES = {
    "unknown channel": ("{channels: [pagr]}", "notify.routes.0.channels.0: no channel is called pagr; did you mean pager?"),
    "channel twice": ("{channels: [chat, chat]}", "notify.routes.0.channels.1: chat stands there twice; keep one of them"),
    "unknown symptom": (
        "{symptoms: [auth_spff], channels: [chat]}",
        "notify.routes.0.symptoms.0: is not one of the known words; did you mean auth_spf?",
    ),
    "unknown severity": (
        "{severity: pages, channels: [chat]}",
        "notify.routes.0.severity: is not one of the known words; did you mean page?",
    ),
    "no channels": ("{symptoms: [dns]}", "notify.routes.0.channels: is missing; write channels: [oncall]"),
    "unknown kind": ("{scopes: ['paths:relay'], channels: [chat]}", "notify.routes.0.scopes.0: is no scope; did you mean path:relay?"),
    "unknown path": (
        "{scopes: ['path:relai'], channels: [chat]}",
        "notify.routes.0.scopes.0: there is no path relai; did you mean path:relay?",
    ),
    "unknown provider": ("{scopes: ['provider:zzz'], channels: [chat]}", "notify.routes.0.scopes.0: there is no provider zzz; known: "),
    "a name for all": ("{scopes: ['all:x'], channels: [chat]}", "notify.routes.0.scopes.0: all has no names; write all"),
    "an empty name": ("{scopes: ['path:'], channels: [chat]}", "notify.routes.0.scopes.0: path has an empty name; write path"),
}


@pytest.mark.parametrize("name", BAD_ROUTES)
def test_what_a_route_cannot_be(name, read_faults):
    route, fault = BAD_ROUTES[name]
    (line,) = read_faults(notify(f"{CHANNELS}  routes: [{route}]\n"), VALUES)
    assert fault in line


def test_a_route_that_is_never_come_to(read_faults):
    routes = """  routes:
    - {severity: page, channels: [pager]}
    - {symptoms: [dns], severity: page, channels: [chat]}
    - {severity: ticket, scopes: [path], channels: [chat]}
    - {scopes: ['path:relay'], channels: [web]}
    - {scopes: [domain], channels: [web]}
"""
    assert [line.partition(": ")[2] for line in read_faults(notify(CHANNELS + routes), VALUES)] == [
        "notify.routes.1: is never come to: all that it takes goes to route 0; put it before, or remove it",
        "notify.routes.3: is never come to: all that it takes goes to routes 0, 2; put it before, or remove it",
    ]


def test_a_channel_that_only_a_route_names_is_told_of_something(read):
    loaded = read(
        notify(f"{CHANNELS}  pages: [pager]\n  tickets: [pager]\n  routes: [{{symptoms: [dns], channels: [web, chat]}}]\n"), VALUES
    )
    assert not loaded.notes


class Noted:
    """What a report is told."""

    def __init__(self) -> None:
        self.faults: list[object] = []

    def fault(self, path: tuple[object, ...], what: str, mend: str) -> None:
        self.faults.append(path[-1])

    def note(self, *_: object) -> None: ...


NAMES = ("path:a", "path:b", "provider:x", "path", "provider", "all", "domain")
ROUTES = st.lists(
    st.builds(
        NotifyRouteShape,
        symptoms=st.lists(st.sampled_from([s.value for s in list(Symptom)[:3]]), max_size=3, unique=True),
        severity=st.sampled_from(["page", "ticket"]),
        scopes=st.lists(st.sampled_from(NAMES), max_size=3, unique=True),
        channels=st.just(["a"]),
    ),
    max_size=6,
)
SCOPES = [Scope(ScopeKind.ALL), *(Scope(kind, name) for kind in (ScopeKind.PATH, ScopeKind.PROVIDER, ScopeKind.DOMAIN) for name in "abxyz")]


@settings(max_examples=50, deadline=None, derandomize=True)
@given(routes=ROUTES)
def test_a_fault_means_that_no_incident_comes_to_that_route_and_none_that_one_may(routes: list[NotifyRouteShape]) -> None:
    """Against the routing itself, over all incidents that these routes can tell apart."""
    noted = Noted()
    check_routes(tuple(routes), noted)  # type: ignore[arg-type]
    made = tuple(NotifyRoute((str(n),), r.symptoms, r.severity, r.scopes) for n, r in enumerate(routes))
    policy = NotifyPolicy(routes=made)
    rest = [Scope(kind, "" if kind is ScopeKind.LEDGER else "z") for kind in (ScopeKind.LEDGER, ScopeKind.MAILBOX, ScopeKind.DEPLOY)]
    cases = product(Symptom, Severity, [*SCOPES, *rest])
    reached = {name for case in cases for name in policy.told(*case)}
    assert set(map(str, noted.faults)) == {str(n) for n in range(len(routes))} - reached


@pytest.fixture
def read_faults(read: Callable[..., object]) -> Callable[..., list[str]]:
    def faults(text: str, values: dict[str, str]) -> list[str]:
        with pytest.raises(SettingsError) as caught:
            read(text, values)
        return [str(fault) for fault in caught.value.faults]

    return faults
