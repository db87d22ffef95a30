"""Whose incidents are told to whom: routes, the fallback of what they name, and who hears that it is over."""

from __future__ import annotations

import pytest

from monitor.model.channels import NotifyPolicy, NotifyRoute, WebhookChannel
from monitor.model.facts import Entry, Fact, Notified, NotifyFailed, Transition
from monitor.model.incident import EVERYWHERE, THE_LEDGER, IncidentId, Phase, Scope, ScopeKind, Severity
from monitor.model.instant import Instant
from monitor.model.verdict import Symptom
from monitor.rules import notify
from monitor.views.outbox import Outbox

START = Instant(1_790_000_000.0, 0.0, "first")
APP, GMAIL = Scope(ScopeKind.PATH, "app"), Scope(ScopeKind.PROVIDER, "gmail")
SHOP = Scope(ScopeKind.DOMAIN, "shop.test")
NAMES = ("pager", "chat", "dns", "ledger", "spare")
POLICY = NotifyPolicy(
    dict.fromkeys(NAMES, WebhookChannel("https://hook.test", None)),
    ("pager",),
    ("chat",),
    ("spare",),
    routes=(
        NotifyRoute(("dns", "chat"), (Symptom.AUTH_SPF, Symptom.DNS), None, ()),
        NotifyRoute(("ledger",), (), None, ("ledger",)),
        NotifyRoute((), (Symptom.STRAY,), Severity.TICKET, ()),
        NotifyRoute(("pager", "chat"), (), Severity.PAGE, ("provider:gmail", "domain")),
        NotifyRoute(("dns",), (Symptom.DNS, Symptom.BUDGET), None, ()),
    ),
)
TOLD: list[tuple[Symptom, Severity, Scope, tuple[str, ...]]] = [
    (Symptom.DELIVERY_MISSING, Severity.PAGE, APP, ("pager",)),
    (Symptom.DELIVERY_MISSING, Severity.TICKET, APP, ("chat",)),
    (Symptom.AUTH_SPF, Severity.PAGE, SHOP, ("dns", "chat")),
    (Symptom.DNS, Severity.TICKET, SHOP, ("dns", "chat")),
    (Symptom.LEDGER_MISSING, Severity.PAGE, THE_LEDGER, ("ledger",)),
    (Symptom.STRAY, Severity.TICKET, APP, ()),
    (Symptom.STRAY, Severity.PAGE, APP, ("pager",)),
    (Symptom.DELIVERY_MISSING, Severity.PAGE, GMAIL, ("pager", "chat")),
    (Symptom.DELIVERY_MISSING, Severity.TICKET, GMAIL, ("chat",)),
    (Symptom.TLS, Severity.PAGE, SHOP, ("pager", "chat")),
    (Symptom.DELIVERY_MISSING, Severity.PAGE, Scope(ScopeKind.PROVIDER, "gmail2"), ("pager",)),
    (Symptom.BUDGET, Severity.TICKET, EVERYWHERE, ("dns",)),
]


@pytest.mark.parametrize(("symptom", "severity", "scope", "channels"), TOLD)
def test_the_first_that_takes_it(symptom: Symptom, severity: Severity, scope: Scope, channels: tuple[str, ...]) -> None:
    assert POLICY.told(symptom, severity, scope) == channels
    fact = Transition(START, IncidentId("INC-1"), Phase.OPENED, symptom, scope, severity, 1, START)
    assert due(fact) == set(channels)


def folded(*facts: Fact) -> Outbox:
    outbox = Outbox()
    for seq, fact in enumerate(facts, 1):
        outbox.fold(Entry(seq, "", fact))
    return outbox


def due(*facts: Fact, at: float = 0.0) -> set[str]:
    return {duty.channel for duty in notify.duties(folded(*facts), POLICY, START.plus(at))}


def go(phase: Phase, symptom: Symptom, severity: Severity = Severity.PAGE, at: float = 0.0) -> Transition:
    return Transition(START.plus(at), IncidentId("INC-1"), phase, symptom, SHOP, severity, 1, START)


def took(about: int, channel: str) -> Notified:
    return Notified(START.plus(1.0), IncidentId("INC-1"), channel, about, 1, "ok")


def refused(about: int, channel: str) -> NotifyFailed:
    return NotifyFailed(START.plus(1.0), IncidentId("INC-1"), channel, about, 1, "404", "mend it", None)


OPEN, OVER = go(Phase.OPENED, Symptom.DNS), go(Phase.RESOLVED, Symptom.DNS, at=20.0)


def test_the_fallback_hears_of_a_page_that_a_channel_of_its_route_refuses() -> None:
    assert due(OPEN, took(1, "chat"), refused(1, "dns"), at=2.0) == {"spare"}
    assert due(OPEN, took(1, "chat"), refused(1, "pager"), at=2.0) == {"dns"}, "the pager is none of its business"


def test_a_ticket_never_goes_to_the_fallback() -> None:
    assert due(go(Phase.OPENED, Symptom.DNS, Severity.TICKET), took(1, "chat"), refused(1, "dns"), at=500.0) == set()


def test_a_route_to_nobody_tells_nobody_and_no_fallback() -> None:
    assert due(go(Phase.OPENED, Symptom.STRAY, Severity.TICKET), at=5_000.0) == set()


def test_that_it_is_over_is_told_to_those_who_heard() -> None:
    assert due(OPEN, took(1, "chat"), refused(1, "dns"), took(1, "spare"), OVER, at=20.0) == {"chat", "spare"}


def test_a_ticket_that_becomes_a_page_goes_where_pages_go_too() -> None:
    ticket, grown = go(Phase.OPENED, Symptom.TLS, Severity.TICKET), go(Phase.GROWN, Symptom.TLS, at=10.0)
    assert due(ticket) == {"chat"}
    assert due(ticket, took(1, "chat"), grown, at=10.0) == {"pager", "chat"}


def test_a_journal_that_cannot_be_written_goes_its_route() -> None:
    assert notify.unwritable_audience(POLICY) == ("pager",)
    routed = NotifyPolicy(POLICY.channels, ("pager",), routes=(NotifyRoute(("chat",), (Symptom.MONITOR,)),))
    assert notify.unwritable_audience(routed) == ("chat",)


def test_what_is_owed_now_and_later() -> None:
    outbox = folded(OPEN, took(1, "chat"))
    assert notify.owing(outbox, POLICY, START) == {(1, "dns")}
    assert notify.owing(folded(OPEN, took(1, "chat"), took(1, "dns")), POLICY, START) == set()
