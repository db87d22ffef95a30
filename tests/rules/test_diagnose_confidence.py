"""How sure a diagnosis is, of each layer: high where the pattern fits no other one or somebody says so, medium where something that would
tell was not seen, low where evidence contradicts or is too little; and what stands against it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from monitor.model.checks import CheckId, CheckResult, Gravity, Status
from monitor.model.facts import (
    Doubted,
    Reconciled,
    SilenceEnded,
    SilencePlanned,
    SourceBlind,
    Stray,
    WatchBlind,
    ZoneObserved,
)
from monitor.model.incident import EVERYWHERE, THE_LEDGER, Confidence, Layer, Scope, ScopeKind, SilenceId
from monitor.model.inspection import Cause
from monitor.model.ledger import ClassStanding, DifferenceClass, Side, Standing
from monitor.model.mail import UNSAID, BlindCause
from monitor.model.policy import Policy
from monitor.model.verdict import Reason, Symptom
from monitor.rules.diagnose.confidence import LAYERS, likely, weighed
from tests.rules.test_diagnose import (
    APP,
    BARE,
    BOXES,
    GMAIL,
    HOLDING,
    MISSING,
    OK,
    OUTLOOK,
    WEB,
    Scene,
    accepted,
    all_fail,
    app_fails,
    both,
    make,
    misconfigured,
    one_mailbox,
    one_provider,
    parked,
    refused,
    returned,
    unreached,
)
from tests.rules.test_incident_ledger import Books
from tests.views.life import NOON, at

__all__ = ["make"]

H, M, LOW = Confidence.HIGH, Confidence.MEDIUM, Confidence.LOW
S, R, L = Symptom, Reason, Layer
SHOP, OUTLET = "shop.test", "outlet.test"
TRIP = Scope(ScopeKind.MAILBOX, "trip")
DOMAIN = Scope(ScopeKind.DOMAIN, SHOP)
ALL_BOXES = (APP, BARE), BOXES


@dataclass(frozen=True)
class Case:
    """`against`: the beginning of a line that stands against it; empty: nothing does."""

    id: str
    symptom: Symptom
    layer: Layer
    sure: Confidence
    scene: Callable[[Scene], object]
    against: str = ""
    scope: Scope = EVERYWHERE
    world: tuple[tuple[str, ...], tuple[str, ...]] = ALL_BOXES


def inspected(*saw: str, times: int = 2, status: Status = Status.FAIL, domain: str = SHOP) -> Callable[[Scene], object]:
    results = tuple(CheckResult(CheckId.SPF_01, status, domain, Gravity.CRITICAL, what) for what in saw)
    return lambda scene: scene.tell(*(ZoneObserved(at(20 + 80 * n), domain, Cause.SCHEDULE, results, (), ()) for n in range(times)))


def unanswered(domain: str, t: float = 200.0) -> Callable[[Scene], object]:
    return lambda scene: scene.tell(ZoneObserved(at(t), domain, Cause.SCHEDULE, (), (), (), blind="no answer from 192.0.2.53"))


def differing(kind: DifferenceClass, confirmations: int = 8) -> Callable[[Scene], object]:
    standing = ClassStanding(kind, 3, 3, NOON + 500, NOON + 30, 3)
    return lambda scene: scene.tell(Reconciled(at(590), Standing(31, confirmations, 8, 3, 0, (standing,), NOON + 590, NOON + 580)))


def source_blind(source: str, side: Side) -> Callable[[Scene], object]:
    return lambda scene: scene.tell(SourceBlind(at(30), source, side, "no answer", ""))


def blind(*mailboxes: str, cause: BlindCause = BlindCause.TIMEOUT) -> Callable[[Scene], object]:
    return lambda scene: scene.tell(*(WatchBlind(at(5), name, cause, "no answer", "") for name in mailboxes))  # type: ignore[arg-type]


def doubted(scene: Scene) -> None:
    scene.tell(Stray(at(20), "trip", "INBOX", "digest", "<m@x.test>", UNSAID, "it looks like ours"))  # type: ignore[arg-type]
    scene.tell(Doubted(at(21), "trip", scene.world.seq, SHOP, ("a key is broken",)))  # type: ignore[arg-type]


MANY = differing(DifferenceClass.MISSING)
CASES = (
    # the application
    Case("application: the control path arrives", S.DELIVERY_MISSING, L.APPLICATION, H, app_fails(*MISSING)),
    Case("application: no control path", S.DELIVERY_MISSING, L.APPLICATION, M, lambda s: s.each(APP, BOXES, *MISSING), "bare-smtp was not"),
    Case(
        "application: only path",
        S.DELIVERY_MISSING,
        L.APPLICATION,
        M,
        lambda s: s.each(APP, BOXES, *MISSING),
        "only one path",
        world=((APP,), BOXES),
    ),
    Case(
        "application: a provider is well on its path",
        S.DELIVERY_MISSING,
        L.APPLICATION,
        LOW,
        lambda s: s.each(APP, (*GMAIL, *OUTLOOK), *MISSING).each(APP, WEB, *OK).each(BARE, BOXES, *OK),
        "mail of app is well at web",
    ),
    Case(
        "application: a single probe",
        S.CONTENT_WRONG,
        L.APPLICATION,
        LOW,
        lambda s: s.probe(APP, "gmail-1", R.ALTERED),
        "a single probe shows it",
    ),
    Case(
        "application: its mail lies in its holding mailbox",
        S.MISROUTED,
        L.APPLICATION,
        H,
        lambda s: s.probe(APP, "gmail-1", parked, R.MISROUTED),
        "only gmail was probed since",
    ),
    Case("application: proven to be ours", S.STRAY, L.APPLICATION, H, lambda s: s, scope=TRIP),
    Case("application: perhaps forged", S.STRAY, L.APPLICATION, LOW, doubted, "whether it is ours nobody could tell", scope=TRIP),
    # the relay
    Case("relay: everything at all providers", S.DELIVERY_MISSING, L.RELAY, H, all_fail(*MISSING)),
    Case(
        "relay: only one provider",
        S.DELIVERY_MISSING,
        L.RELAY,
        M,
        lambda s: s.each(APP, GMAIL, *MISSING).each(BARE, GMAIL, *MISSING),
        "only one provider is configured",
        world=((APP, BARE), GMAIL),
    ),
    Case(
        "relay: a provider is well",
        S.DELIVERY_MISSING,
        L.RELAY,
        LOW,
        lambda s: [s.each(p, (*GMAIL, *OUTLOOK), *MISSING).each(p, WEB, *OK) for p in (APP, BARE)],
        "mail of app, bare-smtp is well at web",
    ),
    Case(
        "relay: no probe any more", S.DELIVERY_STALLED, L.RELAY, LOW, lambda s: s, "no probe since then shows", Scope(ScopeKind.PATH, BARE)
    ),
    Case(
        "relay: a provider is blind",
        S.DELIVERY_MISSING,
        L.RELAY,
        M,
        both(lambda s: [s.each(p, (*GMAIL, *OUTLOOK), *MISSING) for p in (APP, BARE)], blind(*WEB)),
        "nothing is known of web",
    ),
    # authentication
    Case("authentication: the peers say so", S.SMTP_REJECT, L.AUTHENTICATION, H, all_fail(refused("not accepted", "5.7.26"), R.REJECTED)),
    Case(
        "authentication: one peer says so, others take it",
        S.SMTP_REJECT,
        L.AUTHENTICATION,
        H,
        one_provider(refused("not accepted", "5.7.26"), R.REJECTED),
        "outlook, web take the same mail",
    ),
    Case(
        "authentication: not all replies say so",
        S.SMTP_REJECT,
        L.AUTHENTICATION,
        M,
        lambda s: all_fail(refused("not accepted", "5.7.26"), R.REJECTED)(s.each(APP, GMAIL, refused("no"), R.REJECTED)),
        "4 of 28 failed probes: the peer names no such reason",
    ),
    Case(
        "authentication: nobody looked why", S.AUTH, L.AUTHENTICATION, M, all_fail(R.UNAUTHENTICATED), "neither the zone nor our own proof"
    ),
    Case(
        "authentication: a single probe",
        S.AUTH,
        L.AUTHENTICATION,
        LOW,
        lambda s: s.probe(APP, "gmail-1", R.UNAUTHENTICATED),
        "a single probe shows it",
        Scope(ScopeKind.PATH, APP),
    ),
    Case("authentication: an imitation", S.IMITATION, L.AUTHENTICATION, H, lambda s: s, scope=TRIP),
    # DNS
    Case("DNS: two inspections", S.AUTH_SPF, L.DNS, H, inspected("no SPF record"), scope=DOMAIN),
    Case("DNS: one inspection", S.AUTH_SPF, L.DNS, M, inspected("no SPF record", times=1), "one inspection only", scope=DOMAIN),
    Case(
        "DNS: blind since",
        S.AUTH_SPF,
        L.DNS,
        M,
        both(inspected("no SPF record"), unanswered(SHOP)),
        "the zone of shop.test could not",
        scope=DOMAIN,
    ),
    Case("DNS: mended", S.AUTH_SPF, L.DNS, LOW, inspected(times=1), "the latest inspection finds nothing", scope=DOMAIN),
    Case("DNS: the bounce says so", S.BOUNCED, L.DNS, H, all_fail(accepted, returned("5.4.4", "host not found"), R.BOUNCED)),
    # the provider
    Case("provider: others are well", S.DELIVERY_MISSING, L.PROVIDER, H, one_provider(*MISSING)),
    Case(
        "provider: the other path was not probed",
        S.DELIVERY_MISSING,
        L.PROVIDER,
        M,
        lambda s: s.each(APP, GMAIL, *MISSING).each(APP, (*OUTLOOK, *WEB), *OK),
        "bare-smtp: no evidence since then",
    ),
    Case(
        "provider: one mailbox there",
        S.DELIVERY_MISSING,
        L.PROVIDER,
        M,
        lambda s: [s.each(p, BOXES[1:2], *MISSING).each(p, BOXES[2:3], *OK) for p in (APP, BARE)],
        "only one mailbox is kept there",
        world=((APP, BARE), BOXES[1:3]),
    ),
    Case(
        "provider: takes the other path's mail",
        S.DELIVERY_MISSING,
        L.PROVIDER,
        LOW,
        lambda s: s.each(APP, GMAIL, *MISSING).each(APP, (*OUTLOOK, *WEB), *OK).each(BARE, BOXES, *OK),
        "mail of bare-smtp arrives there",
    ),
    Case(
        "provider: a stray loss elsewhere",
        S.DELIVERY_MISSING,
        L.PROVIDER,
        M,
        both(one_provider(*MISSING), lambda s: s.each(APP, WEB[:1], *MISSING, times=3)),
        "it fails at more than one provider: gmail, web",
    ),
    Case("provider: no mailbox of it can be seen", S.MAILBOX_BLIND, L.PROVIDER, H, blind(*GMAIL), scope=Scope(ScopeKind.PROVIDER, "gmail")),
    Case(
        "provider: nothing to compare with",
        S.MAILBOX_BLIND,
        L.PROVIDER,
        M,
        blind(*GMAIL),
        "only one provider is configured",
        Scope(ScopeKind.PROVIDER, "gmail"),
        ((APP, BARE), GMAIL),
    ),
    # the mailbox
    Case("mailbox: its siblings are well", S.DELIVERY_MISSING, L.MAILBOX, H, one_mailbox(*MISSING)),
    Case(
        "mailbox: its siblings were not probed",
        S.DELIVERY_MISSING,
        L.MAILBOX,
        M,
        lambda s: [s.each(p, GMAIL[:1], *MISSING).each(p, OUTLOOK, *OK) for p in (APP, BARE)],
        "no other mailbox at gmail was probed",
        Scope(ScopeKind.MAILBOX, "gmail-1"),
    ),
    Case(
        "mailbox: takes the other path's mail",
        S.DELIVERY_MISSING,
        L.MAILBOX,
        LOW,
        lambda s: s.each(APP, BOXES[:1], *MISSING).each(APP, BOXES[1:], *OK).each(BARE, BOXES, *OK),
        "mail of bare-smtp arrives there",
    ),
    Case(
        "mailbox: it refuses our password",
        S.MAILBOX_BLIND,
        L.MAILBOX,
        H,
        blind("gmail-1", cause=BlindCause.AUTH_REFUSED),
        scope=Scope(ScopeKind.MAILBOX, "gmail-1"),
    ),
    Case(
        "mailbox: it answers again",
        S.MAILBOX_BLIND,
        L.MAILBOX,
        LOW,
        lambda s: s,
        "the mailbox answers",
        Scope(ScopeKind.MAILBOX, "gmail-1"),
    ),
    Case("mailbox: known outside", S.TRIPWIRE_LEAKED, L.MAILBOX, M, lambda s: s, "a person may have typed", TRIP),
    # the monitor
    Case(
        "monitor: our password is refused",
        S.SUBMIT_BLIND,
        L.MONITOR,
        H,
        lambda s: s.each(BARE, BOXES, misconfigured, R.SUBMIT_MISCONFIGURED).each(APP, BOXES, *OK),
    ),
    Case("monitor: nothing can be reached", S.SMTP_REJECT, L.MONITOR, M, all_fail(unreached()), "neither the application nor the relay"),
    Case("monitor: no mailbox of any provider", S.MAILBOX_BLIND, L.MONITOR, H, blind(*BOXES)),
    Case("monitor: its budget", S.BUDGET, L.MONITOR, H, lambda s: s),
    Case("monitor: no baseline", S.BASELINE, L.MONITOR, M, lambda s: s, "what the mail is compared with"),
    Case("monitor: no domain can be asked", S.DNS_BLIND, L.MONITOR, H, both(unanswered(SHOP), unanswered(OUTLET))),
    Case("monitor: the only domain cannot be asked", S.DNS_BLIND, L.MONITOR, M, unanswered(SHOP), "no other domain is inspected", DOMAIN),
    Case(
        "monitor: another domain answers",
        S.DNS_BLIND,
        L.MONITOR,
        LOW,
        both(unanswered(SHOP), inspected(domain=OUTLET)),
        "outlet.test can be asked",
        DOMAIN,
    ),
    # the ledger
    Case("ledger: probes arrive", S.LEDGER_MISSING, L.APPLICATION, H, both(MANY, lambda s: s.each(APP, BOXES, *OK)), scope=THE_LEDGER),
    Case("ledger: no probe", S.LEDGER_MISSING, L.APPLICATION, M, MANY, "no probe since then says", THE_LEDGER),
    Case("ledger: probes fail too", S.LEDGER_MISSING, L.RELAY, H, both(MANY, all_fail(*MISSING)), scope=THE_LEDGER),
    Case(
        "ledger: confirmations cannot be read",
        S.LEDGER_MISSING,
        L.APPLICATION,
        LOW,
        both(MANY, source_blind("relay-log", Side.CONFIRMATIONS)),
        "source relay-log cannot be read",
        THE_LEDGER,
    ),
    Case(
        "ledger: refunds cannot be read",
        S.LEDGER_MISSING,
        L.APPLICATION,
        M,
        both(both(MANY, lambda s: s.each(APP, BOXES, *OK)), source_blind("shop-db", Side.REFUNDS)),
        "source shop-db cannot be read",
        THE_LEDGER,
    ),
    Case(
        "ledger: never a confirmation",
        S.LEDGER_MISSING,
        L.APPLICATION,
        LOW,
        differing(DifferenceClass.MISSING, 0),
        "no confirmation was ever",
        THE_LEDGER,
    ),
    Case(
        "ledger: spurious, refunds cannot be read",
        S.LEDGER_SPURIOUS,
        L.APPLICATION,
        LOW,
        both(differing(DifferenceClass.SPURIOUS), source_blind("shop-db", Side.REFUNDS)),
        "source shop-db cannot be read",
        THE_LEDGER,
    ),
    Case("ledger: spurious", S.LEDGER_SPURIOUS, L.APPLICATION, H, differing(DifferenceClass.SPURIOUS), scope=THE_LEDGER),
    Case("ledger: blind", S.LEDGER_BLIND, L.MONITOR, H, source_blind("shop-db", Side.REFUNDS), scope=THE_LEDGER),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_how_sure_it_is_and_what_stands_against_it(make: Callable[..., Policy], case: Case) -> None:
    scene = Scene(replace(make(*case.world), ledger=Books().policy.ledger))
    case.scene(scene)
    found = scene.diagnosis(case.symptom, case.scope)
    assert (found.layer, found.confidence) == (case.layer, case.sure), found
    if case.against:
        assert any(line.startswith(case.against) for line in found.against), found.against
    else:
        assert found.against == ()


def test_every_layer_is_seen_sure_and_not_so_sure() -> None:
    for layer in (L.APPLICATION, L.RELAY, L.AUTHENTICATION, L.DNS, L.PROVIDER, L.MAILBOX, L.MONITOR):
        assert {case.sure for case in CASES if case.layer is layer} == {H, M, LOW}, layer


def test_in_words() -> None:
    assert [likely(L.RELAY, sure) for sure in (H, M, LOW, None)] == ["the relay", "probably the relay", "perhaps the relay", "the relay"]
    assert set(LAYERS) == set(Layer)


def test_what_is_said_outweighs_what_was_not_seen() -> None:
    assert [weighed((), ()), weighed((), ("x",)), weighed(("x",), ()), weighed(("x",), ("y",))] == [H, M, LOW, LOW]
    assert [weighed((), ("x",), told=True), weighed(("x",), (), told=True)] == [H, M]


def test_the_summary_says_it(make: Callable[..., Policy]) -> None:
    scene = Scene(make()).each(APP, BOXES, *MISSING)
    assert scene.diagnosis(S.DELIVERY_MISSING).summary.endswith(": probably the application, or else the relay")
    scene.each(BARE, BOXES, *OK)
    assert scene.diagnosis(S.DELIVERY_MISSING).summary.endswith(": the application")


def test_silences_and_certificates_stand_among_what_changed(make: Callable[..., Policy]) -> None:
    scene = Scene(replace(make(), sending_domains=(SHOP,)))
    scene.tell(
        SilencePlanned(at(-900), SilenceId("SIL-1"), "ana", "relay moves", NOON - 900, NOON - 300),
        SilencePlanned(at(-900), SilenceId("SIL-2"), "bob", "new racks", NOON - 600, NOON + 6_000),
        SilencePlanned(at(-900), SilenceId("SIL-3"), "cyd", "tomorrow", NOON + 80_000, NOON + 81_000),
        SilencePlanned(at(-900), SilenceId("SIL-4"), "dan", "short", NOON - 800, NOON + 6_000),
        SilenceEnded(at(-700), SilenceId("SIL-4"), "dan"),
    )
    assert scene.diagnosis(S.DELIVERY_MISSING).changed == (
        "11:55:00Z planned silence SIL-1 of ana (relay moves) ended (it began 5m00s after)",
        "11:50:00Z planned silence SIL-2 of bob (new racks) began (it began 10m00s after)",
        "11:48:20Z planned silence SIL-4 of dan (short) ended (it began 11m40s after)",
    )


def test_a_certificate_that_expired_stands_beside_other_findings_of_its_domain(make: Callable[..., Policy]) -> None:
    results = (
        CheckResult(CheckId.SPF_01, Status.FAIL, SHOP, Gravity.CRITICAL, "no SPF record"),
        CheckResult(CheckId.TLS_05, Status.FAIL, "mx.shop.test", Gravity.ERROR, "the certificate expired"),
    )
    scene = Scene(make()).tell(ZoneObserved(at(-60), SHOP, Cause.SCHEDULE, results, (), ()))
    assert "11:59:00Z mx.shop.test: the certificate expired (TLS-05) (it began 60.0 s after)" in scene.diagnosis(S.AUTH_SPF, DOMAIN).changed
    assert scene.diagnosis(S.TLS, DOMAIN).changed == ()


def test_a_mailbox_that_is_blind_is_no_change_beside_its_own_blindness(make: Callable[..., Policy]) -> None:
    scene = Scene(make())
    blind("gmail-1")(scene)
    assert scene.diagnosis(S.MAILBOX_BLIND, Scope(ScopeKind.MAILBOX, "gmail-1")).changed == ()
    assert scene.diagnosis(S.DELIVERY_MISSING).changed == ("12:00:05Z gmail-1 blind: timeout (5.0 s after it began)",)


def test_the_holding_mailbox_is_no_seed_that_could_tell(make: Callable[..., Policy]) -> None:
    scene = Scene(make())
    app_fails(*MISSING)(scene)
    blind(HOLDING)(scene)
    assert scene.diagnosis(S.DELIVERY_MISSING).against == ()
