"""Which layer is named, from the pattern of good and bad probes; folded from real facts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.facts import (
    Accepted,
    Attempted,
    ClockJumped,
    Closed,
    Deferred,
    DeployMarked,
    DsnReceived,
    Entry,
    Fact,
    Judged,
    Looked,
    Refused,
    Reloaded,
    Started,
    SubmitError,
    SubmitFault,
    WatchBlind,
    WatchRestored,
)
from monitor.model.incident import EVERYWHERE, DeployPhase, Diagnosis, Layer, Scope, ScopeKind
from monitor.model.instant import Instant
from monitor.model.mail import BlindCause
from monitor.model.policy import Policy
from monitor.model.probe import MailboxName, PathName, ProbeId, Purpose, Route
from monitor.model.submission import Reply, Step
from monitor.model.verdict import Reason, Symptom
from monitor.rules.deploys import candidates
from monitor.rules.diagnose import LONGEST, MAX_AGAINST, MAX_CHANGED, MAX_SAID, MAX_SHOWS, diagnose
from monitor.rules.diagnose.replies import agreed, points_at
from monitor.views.world import World
from tests.stages import house
from tests.views.facts import histories
from tests.views.life import HOLDING, TAKEN, at, planned, sighted

APP, BARE = PathName("app"), PathName("bare-smtp")
BOXES = tuple(MailboxName(name) for name in ("gmail-1", "gmail-2", "outlook-1", "outlook-2", "web-1", "web-2"))
HTTP = {
    "kind": "http",
    "url": "https://shop.test/internal/refunds",
    "body": {"to": "{{ recipient }}", "amount": "{{ amount_value }}", "token": "{{ token }}"},
    "refund_id": "/refund_id",
}
SMTP = {"kind": "smtp", "host": "relay.test", "author": "refunds@shop.test"}
SINCE = at(0)
NOW = at(600)


def configured(directory: Path, paths: dict[str, Any], mailboxes: Sequence[str]) -> Policy:
    """A policy of these paths; the provider of a mailbox is its name up to the dash."""
    secret = {"env": "PASSWORD"}
    boxes = {
        name: {"provider": name.partition("-")[0], "address": f"{name}@box.test", "imap": {"host": "imap.test", "password": secret}}
        for name in mailboxes
    }
    held = {"provider": "shop", "role": "holding", "address": "holding@store.test", "imap": {"host": "imap.test", "password": secret}}
    policy = house.policy(directory, seeds=0, paths=paths, mailboxes=boxes | {"holding": held})
    kept = {name: path for name, path in policy.paths.items() if name in paths}
    routes = {route: rule for route, rule in policy.routes.items() if route.path in kept}
    return replace(policy, paths=kept, routes=routes)


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Policy]:
    known: dict[tuple[tuple[str, ...], tuple[str, ...]], Policy] = {}

    def build(paths: Sequence[str] = (APP, BARE), mailboxes: Sequence[str] = BOXES) -> Policy:
        key = (tuple(paths), tuple(mailboxes))
        if key not in known:
            tree = {name: HTTP if name.startswith("app") else SMTP for name in paths}
            known[key] = configured(tmp_path_factory.mktemp("policy"), tree, mailboxes)
        return known[key]

    return build


class Scene:
    """A world, told probe by probe."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.world = World()
        self._number = count(1)

    def tell(self, *facts: Fact) -> Scene:
        for fact in facts:
            self.world.fold(Entry(self.world.seq + 1, "kind", fact))
        return self

    def probe(self, path: str, mailbox: str, *outcome: Reason | Fact | Callable[[ProbeId], Fact], began: float = 10.0) -> ProbeId:
        """A probe attempted `began` seconds after the incident began; reasons are its revisions."""
        probe = ProbeId(f"{next(self._number):012x}")
        route = Route(PathName(path), MailboxName(mailbox))
        self.tell(planned(began - 1, probe, route), Attempted(at(began), probe, 1))
        revision = count()
        for step in outcome:
            if isinstance(step, Reason):
                fact: Any = judged(probe, route, step, next(revision), began)
            else:
                fact = step(probe) if callable(step) else step
            self.tell(fact)
        return probe

    def each(self, path: str, mailboxes: Sequence[str], *outcome: Any, times: int = 2) -> Scene:
        for mailbox in mailboxes:
            for number in range(times):
                self.probe(path, mailbox, *outcome, began=10.0 + number)
        return self

    def diagnosis(self, symptom: Symptom, scope: Scope = EVERYWHERE, routes: tuple[str, ...] = ()) -> Diagnosis:
        return diagnose(self.world, self.policy, scope, symptom, routes, SINCE, NOW)


def judged(probe: ProbeId, route: Route, reason: Reason, revision: int = 0, began: float = 10.0, **fields: Any) -> Judged:
    return Judged(at(began + 60), probe, route, Purpose.SCHEDULED, revision, reason.verdict, reason, f"it was {reason.value}", (), **fields)


def refused(text: str, enhanced: str = "", code: int = 554, step: Step = Step.RCPT_TO) -> Callable[[ProbeId], Fact]:
    return lambda probe: Refused(at(11), probe, 1, step, Reply(code, text, enhanced))


def unreached(detail: str = "cannot connect: refused") -> Callable[[ProbeId], Fact]:
    return lambda probe: SubmitError(at(11), probe, 1, SubmitFault.UNREACHABLE, detail, "", None)


def misconfigured(probe: ProbeId) -> Fact:
    return SubmitError(at(11), probe, 1, SubmitFault.MISCONFIGURED, "535 5.7.8 authentication failed", "renew the password", None)


def returned(status: str, diagnostic: str) -> Callable[[ProbeId], Fact]:
    return lambda probe: DsnReceived(at(12), probe, BOXES[0], "failed", status, diagnostic)


def accepted(probe: ProbeId) -> Fact:
    return Accepted(at(11), probe, 1, TAKEN)


def parked(probe: ProbeId) -> Fact:
    return sighted(12, mailbox=HOLDING, probe=probe)


R, S, L = Reason, Symptom, Layer
OK = (accepted, R.PASS)
GMAIL, OUTLOOK, WEB = BOXES[:2], BOXES[2:4], BOXES[4:]


@dataclass(frozen=True)
class Case:
    id: str
    symptom: Symptom
    layer: Layer
    scene: Callable[[Scene], object]
    summary: str = ""
    shows: tuple[str, ...] = ()
    scope: Scope = EVERYWHERE
    step: str = ""


def app_fails(*outcome: Any) -> Callable[[Scene], object]:
    return lambda scene: scene.each(APP, BOXES, *outcome).each(BARE, BOXES, *OK)


def all_fail(*outcome: Any) -> Callable[[Scene], object]:
    return lambda scene: scene.each(APP, BOXES, *outcome).each(BARE, BOXES, *outcome)


def one_provider(*outcome: Any) -> Callable[[Scene], object]:
    def tell(scene: Scene) -> None:
        for path in (APP, BARE):
            scene.each(path, GMAIL, *outcome).each(path, (*OUTLOOK, *WEB), *OK)

    return tell


def one_mailbox(*outcome: Any) -> Callable[[Scene], object]:
    def tell(scene: Scene) -> None:
        for path in (APP, BARE):
            scene.each(path, BOXES[:1], *outcome).each(path, BOXES[1:], *OK)

    return tell


def both(first: Callable[[Scene], object], second: Callable[[Scene], object]) -> Callable[[Scene], object]:
    def tell(scene: Scene) -> None:
        first(scene)
        second(scene)

    return tell


MISSING = (accepted, R.MISSING)
CASES = (
    Case(
        "only the application's mail is lost",
        S.DELIVERY_MISSING,
        L.APPLICATION,
        app_fails(*MISSING),
        "mail of app does not arrive at gmail, outlook, web, while that of bare-smtp is fine: the application",
        ("app fails: gmail 4/4, outlook 4/4, web 4/4", "bare-smtp arrives: gmail 4/4, outlook 4/4, web 4/4"),
        step="read the application's log",
    ),
    Case(
        "half of the application's mail is lost",
        S.DELIVERY_MISSING,
        L.APPLICATION,
        lambda scene: scene.each(APP, BOXES, *MISSING, times=1).each(APP, BOXES, *OK, times=1).each(BARE, BOXES, *OK),
        shows=("app fails: gmail 2/4, outlook 2/4, web 2/4",),
    ),
    Case("only the bare path's mail is lost", S.DELIVERY_MISSING, L.RELAY, lambda s: s.each(BARE, BOXES, *MISSING).each(APP, BOXES, *OK)),
    Case(
        "all mail is lost",
        S.DELIVERY_MISSING,
        L.RELAY,
        all_fail(*MISSING),
        "mail of app, bare-smtp does not arrive at gmail, outlook, web: the relay, or what all of this mail shares",
        ("app fails: gmail 4/4, outlook 4/4, web 4/4", "bare-smtp fails: gmail 4/4, outlook 4/4, web 4/4"),
        step="read the queue and the log of relay.test",
    ),
    Case(
        "all mail to one provider is lost",
        S.DELIVERY_MISSING,
        L.PROVIDER,
        one_provider(*MISSING),
        "mail of app, bare-smtp does not arrive at gmail, while outlook, web are fine: the mailbox provider",
        ("app fails: gmail 4/4", "app arrives: outlook 4/4, web 4/4"),
        step="look at the status page of gmail",
    ),
    Case(
        "all mail to one mailbox is lost",
        S.DELIVERY_MISSING,
        L.MAILBOX,
        one_mailbox(*MISSING),
        "mail of app, bare-smtp does not arrive in gmail-1, while outlook, web are fine: that mailbox",
        step="log in to gmail-1 by hand",
    ),
    Case(
        "one provider refuses the application's mail alone",
        S.SMTP_REJECT,
        L.PROVIDER,
        lambda s: s.each(APP, GMAIL, refused("no"), R.REJECTED).each(APP, (*OUTLOOK, *WEB), *OK).each(BARE, BOXES, *OK),
        shows=("mail of bare-smtp arrives there: it takes offence at one path only",),
    ),
    Case(
        "one loss elsewhere does not make it everybody's",
        S.DELIVERY_MISSING,
        L.PROVIDER,
        both(one_provider(*MISSING), lambda s: s.each(APP, WEB[:1], *MISSING, times=3)),
    ),
    Case(
        "a few losses of the bare path do not make it the relay",
        S.DELIVERY_MISSING,
        L.APPLICATION,
        both(app_fails(*MISSING), lambda s: s.each(BARE, GMAIL[:1], *MISSING, times=3)),
    ),
    Case("late everywhere", S.DELIVERY_LATE, L.RELAY, all_fail(accepted, R.LATE)),
    Case("late arrivals are no arrivals in time", S.DELIVERY_LATE, L.PROVIDER, one_provider(accepted, R.LATE)),
    Case("mail in spam has arrived", S.DELIVERY_MISSING, L.APPLICATION, lambda s: s.each(APP, BOXES, *MISSING).each(BARE, BOXES, R.SPAM)),
    Case("parked by the application", S.MISROUTED, L.APPLICATION, app_fails(parked, R.MISROUTED)),
    Case("parked, and only one path probed", S.MISROUTED, L.APPLICATION, lambda s: s.each(APP, GMAIL, parked, R.MISROUTED)),
    Case("parked by what all share", S.MISROUTED, L.RELAY, all_fail(parked, R.MISROUTED)),
    Case("forwarded by one mailbox", S.MISROUTED, L.MAILBOX, one_mailbox(R.MISROUTED)),
    Case(
        "wrong content of the application",
        S.CONTENT_WRONG,
        L.APPLICATION,
        app_fails(R.ALTERED),
        step="compare the template and amount that app renders",
    ),
    Case(
        "rewritten for everybody",
        S.CONTENT_WRONG,
        L.RELAY,
        all_fail(R.ALTERED),
        step="compare the template and amount that app, bare-smtp renders",
    ),
    Case("rewritten at one provider", S.CONTENT_WRONG, L.PROVIDER, one_provider(R.ALTERED), shows=("app wrong: gmail 4/4",)),
    Case(
        "missing mail says nothing about content",
        S.CONTENT_WRONG,
        L.APPLICATION,
        lambda s: s.each(APP, BOXES, R.ALTERED).each(BARE, BOXES, *MISSING),
        shows=("bare-smtp was not seen to arrive since: it may share the fault",),
    ),
    Case("twice from the application", S.DUPLICATE, L.APPLICATION, app_fails(R.PASS, R.DUPLICATE)),
    Case("twice at one provider", S.DUPLICATE, L.PROVIDER, one_provider(R.DUPLICATE)),
    Case(
        "mail that came late says what it says",
        S.CONTENT_WRONG,
        L.APPLICATION,
        lambda s: s.each(APP, BOXES, R.ALTERED).each(BARE, BOXES, accepted, R.LATE),
        shows=("bare-smtp right: gmail 4/4, outlook 4/4, web 4/4",),
    ),
    Case(
        "spam everywhere",
        S.SPAM_PLACEMENT,
        L.RELAY,
        all_fail(R.SPAM),
        step="mailcanary audit shop.test; then the template and links of app",
    ),
    Case("spam for the application's mail", S.SPAM_PLACEMENT, L.APPLICATION, app_fails(R.SPAM), step="mailcanary audit shop.test; then"),
    Case("spam at one provider", S.SPAM_PLACEMENT, L.PROVIDER, one_provider(R.SPAM), step="look at the status page of gmail"),
    Case(
        "misfiled for the application's mail",
        S.MISFILED,
        L.APPLICATION,
        app_fails(R.MISFILED),
        step="compare the template and headers of app",
    ),
    Case("misfiled in one mailbox", S.MISFILED, L.MAILBOX, one_mailbox(R.MISFILED)),
    Case("unauthenticated everywhere", S.AUTH, L.AUTHENTICATION, all_fail(R.UNAUTHENTICATED), step="check SPF, the DKIM key record"),
    Case("unauthenticated application", S.AUTH, L.AUTHENTICATION, app_fails(R.UNAUTHENTICATED)),
    Case("unauthenticated at one provider", S.AUTH, L.PROVIDER, one_provider(R.UNAUTHENTICATED)),
    Case("refused for everybody", S.SMTP_REJECT, L.RELAY, all_fail(refused("access denied", "5.7.1"), R.REJECTED)),
    Case("refused for want of DMARC", S.SMTP_REJECT, L.AUTHENTICATION, all_fail(refused("not accepted", "5.7.26"), R.REJECTED)),
    Case(
        "refused by one provider for want of DKIM",
        S.BOUNCED,
        L.AUTHENTICATION,
        one_provider(accepted, returned("5.0.0", "smtp; 550 DKIM signature missing"), R.BOUNCED),
    ),
    Case("returned: no route", S.BOUNCED, L.DNS, one_provider(accepted, returned("5.4.4", "host not found"), R.BOUNCED)),
    Case("returned: mailbox full", S.BOUNCED, L.MAILBOX, one_mailbox(accepted, returned("5.2.2", "552 mailbox full"), R.BOUNCED)),
    Case("returned by one provider: users unknown", S.BOUNCED, L.PROVIDER, one_provider(accepted, returned("5.1.1", "no"), R.BOUNCED)),
    Case("throttled by one provider", S.BOUNCED, L.PROVIDER, one_provider(accepted, returned("4.7.28", "rate limited"), R.BOUNCED)),
    Case("relay unreachable", S.SMTP_REJECT, L.RELAY, lambda s: s.each(BARE, GMAIL[:1], unreached()).each(APP, BOXES, *OK)),
    Case(
        "relay unreachable, for all that one mailbox shows",
        S.SMTP_REJECT,
        L.RELAY,
        lambda s: s.each(BARE, GMAIL[:1], unreached()).each(APP, BOXES, *OK).each(BARE, GMAIL[1:], *OK),
        scope=Scope(ScopeKind.MAILBOX, "gmail-1"),
    ),
    Case("application unreachable", S.SMTP_REJECT, L.APPLICATION, lambda s: s.each(APP, GMAIL[:1], unreached()).each(BARE, BOXES, *OK)),
    Case(
        "nothing can be reached",
        S.SMTP_REJECT,
        L.MONITOR,
        all_fail(unreached()),
        shows=("neither the application nor the relay can be reached: it may be the network between us and them",),
    ),
    Case(
        "the relay's name does not resolve",
        S.SMTP_REJECT,
        L.DNS,
        lambda s: s.each(BARE, BOXES, unreached("relay.test: Name or service not known"), R.SUBMIT_UNREACHABLE).each(APP, BOXES, *OK),
    ),
    Case(
        "our password is refused",
        S.SUBMIT_BLIND,
        L.MONITOR,
        lambda s: s.each(BARE, BOXES, misconfigured, R.SUBMIT_MISCONFIGURED).each(APP, BOXES, *OK),
        step="renew the credentials",
    ),
    Case(
        "our password is refused, and one probe is not judged yet",
        S.SUBMIT_BLIND,
        L.MONITOR,
        lambda s: s.each(BARE, BOXES, misconfigured, R.SUBMIT_MISCONFIGURED).each(BARE, GMAIL, misconfigured).each(APP, BOXES, *OK),
    ),
    Case(
        "our password is refused, and the application's mail too",
        S.SUBMIT_BLIND,
        L.RELAY,
        lambda s: s.each(BARE, BOXES, misconfigured, R.SUBMIT_MISCONFIGURED).each(
            APP, BOXES, refused("535", step=Step.REQUEST), R.REJECTED
        ),
    ),
    Case("replies lost", S.SUBMIT_BLIND, L.RELAY, lambda s: s.each(BARE, BOXES, R.SUBMIT_UNKNOWN).each(APP, BOXES, *OK)),
    Case("budget", S.BUDGET, L.MONITOR, lambda s: s, step="find what used the budget up"),
    Case("our own fault", S.MONITOR, L.MONITOR, lambda s: s.each(APP, GMAIL, R.INTERNAL)),
    Case(
        "a stray",
        S.STRAY,
        L.APPLICATION,
        lambda s: s,
        scope=Scope(ScopeKind.MAILBOX, "trip"),
        summary="came to mailbox trip",
        step="Message-ID",
    ),
    Case("no evidence, a path", S.DELIVERY_STALLED, L.RELAY, lambda s: s, scope=Scope(ScopeKind.PATH, BARE)),
    Case("no evidence, a provider", S.DELIVERY_STALLED, L.PROVIDER, lambda s: s, scope=Scope(ScopeKind.PROVIDER, "gmail")),
    Case(
        "no evidence, a mailbox",
        S.DELIVERY_STALLED,
        L.MAILBOX,
        lambda s: s,
        scope=Scope(ScopeKind.MAILBOX, "gmail-1"),
        shows=("app: no evidence since then", "bare-smtp: no evidence since then", "no probe since then shows where it fails"),
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_pattern_names_the_layer(make: Callable[..., Policy], case: Case) -> None:
    scene = Scene(make())
    case.scene(scene)
    found = scene.diagnosis(case.symptom, case.scope)
    assert found.layer is case.layer, found
    assert case.summary in found.summary
    assert set(case.shows) <= {*found.shows, *found.against}, found
    assert found.next_step.startswith(case.step) or case.step in found.next_step
    assert found.next_step


@pytest.mark.parametrize(
    ("paths", "mailboxes", "failing", "layer", "doubt"),
    [
        ((BARE,), BOXES, BOXES, L.RELAY, "only one path is configured: the relay and the application cannot be told apart"),
        ((APP,), BOXES, BOXES, L.APPLICATION, "only one path is configured: the relay and the application cannot be told apart"),
        ((BARE,), GMAIL, GMAIL[:1], L.MAILBOX, ""),
        ((BARE,), GMAIL, GMAIL, L.RELAY, "only one path is configured: the relay and the application cannot be told apart"),
        ((BARE,), BOXES[1:3], BOXES[1:2], L.PROVIDER, "only one mailbox is kept there: the provider and the mailbox cannot be told apart"),
    ],
)
def test_what_cannot_be_told_apart_is_said(
    make: Callable[..., Policy], paths: Sequence[str], mailboxes: Sequence[str], failing: Sequence[str], layer: Layer, doubt: str
) -> None:
    scene = Scene(make(paths, mailboxes))
    scene.each(paths[0], failing, *MISSING).each(paths[0], [name for name in mailboxes if name not in failing], *OK)
    found = scene.diagnosis(S.DELIVERY_MISSING)
    assert found.layer is layer
    assert doubt in found.against or not doubt, found.against


def test_others_that_were_not_probed_since_are_no_witnesses(make: Callable[..., Policy]) -> None:
    scene = Scene(make())
    scene.probe(APP, "gmail-1", *MISSING)
    scene.probe(BARE, "outlook-1", *OK, began=-5.0)
    found = scene.diagnosis(S.DELIVERY_MISSING, Scope(ScopeKind.MAILBOX, "gmail-1"))
    assert found.layer is L.MAILBOX
    assert "no other mailbox at gmail was probed since: it may be the whole provider" in found.against
    assert "bare-smtp: no evidence since then" in found.against
    assert found.summary.endswith("perhaps that mailbox, or else the mailbox provider")
    wide = scene.diagnosis(S.DELIVERY_MISSING, Scope(ScopeKind.PATH, APP))
    assert wide.layer is L.APPLICATION
    assert "only gmail was probed since" in wide.against
    assert "bare-smtp was not seen to arrive since: it may share the fault" in wide.against
    assert "perhaps the application, or else the relay" in wide.summary
    assert wide.next_step.startswith("see whether bare-smtp arrives (its verdicts stand in /v1/status)")


@pytest.mark.parametrize(("symptom", "reason", "layer"), [(S.AUTH, R.UNAUTHENTICATED, L.PROVIDER), (S.MISFILED, R.MISFILED, L.MAILBOX)])
def test_while_its_siblings_are_unprobed_who_decides_such_things_is_named(
    make: Callable[..., Policy], symptom: Symptom, reason: Reason, layer: Layer
) -> None:
    """Receivers check and filter for all their mailboxes; folders are each mailbox's own."""
    scene = Scene(make()).each(APP, GMAIL[:1], reason).each(BARE, GMAIL[:1], reason).each(APP, OUTLOOK, *OK)
    found = scene.diagnosis(symptom, Scope(ScopeKind.MAILBOX, "gmail-1"))
    assert found.layer is layer
    assert "no other mailbox at gmail was probed since" in " ".join(found.against)
    scene.each(APP, GMAIL[1:], *OK)
    assert scene.diagnosis(symptom, Scope(ScopeKind.MAILBOX, "gmail-1")).layer is L.MAILBOX


def test_overdue_and_retried_probes_count_before_any_verdict(make: Callable[..., Policy]) -> None:
    scene = Scene(make()).each(BARE, BOXES, *OK)
    for mailbox in OUTLOOK:
        scene.probe(APP, mailbox, accepted, Looked(at(400), mailbox, at(399), 5))
    for mailbox in GMAIL:
        scene.probe(APP, mailbox, lambda probe: Deferred(at(11), probe, 1, Step.REQUEST, Reply(503, "busy"), 30.0))
    found = scene.diagnosis(S.DELIVERY_STALLED)
    assert found.layer is L.APPLICATION
    assert "app fails: gmail 2/2, outlook 2/2" in found.shows


def test_affected_routes_count_even_if_their_probes_are_forgotten(make: Callable[..., Policy]) -> None:
    scene = Scene(make()).each(BARE, BOXES, *OK)
    found = scene.diagnosis(S.DELIVERY_MISSING, Scope(ScopeKind.PATH, APP), tuple(f"app/{box}" for box in BOXES))
    assert found.layer is L.APPLICATION
    assert found.summary.startswith("mail of app does not arrive at gmail, outlook, web, while that of bare-smtp is fine")


def test_a_route_of_the_scope_that_is_fine_is_not_said_to_fail(make: Callable[..., Policy]) -> None:
    scene = Scene(make())
    scene.each(APP, GMAIL, *MISSING).each(APP, (*OUTLOOK, *WEB), *OK).each(BARE, BOXES, *OK)
    routes = tuple(f"{path}/{box}" for path in (APP, BARE) for box in GMAIL)
    found = scene.diagnosis(S.DELIVERY_MISSING, Scope(ScopeKind.PROVIDER, "gmail"), routes)
    assert found.summary.startswith("mail of app does not arrive at gmail")


def test_single_losses_show_their_place(make: Callable[..., Policy]) -> None:
    scene = Scene(make()).each(APP, BOXES, *OK, times=6).each(BARE, BOXES, *OK, times=6)
    for path, mailbox in ((APP, "gmail-1"), (BARE, "gmail-2"), (APP, "gmail-2")):
        scene.probe(path, mailbox, *MISSING)
    found = scene.diagnosis(S.DELIVERY_MISSING, Scope(ScopeKind.PROVIDER, "gmail"))
    assert found.layer is L.PROVIDER
    assert found.shows[:2] == ("app fails: gmail 2/14", "app arrives: outlook 12/12, web 12/12")


def test_closed_probes_are_counted_from_the_evidence(make: Callable[..., Policy]) -> None:
    scene = Scene(make())
    for path, outcome in ((APP, MISSING), (BARE, OK)):
        for box in BOXES:
            probe = scene.probe(path, box, *outcome)
            scene.tell(Closed(at(300), probe))
    assert not scene.world.probes
    found = scene.diagnosis(S.DELIVERY_MISSING)
    assert found.layer is L.APPLICATION
    assert "app fails: gmail 2/2, outlook 2/2, web 2/2" in found.shows


def test_the_peers_words_are_quoted_once_each(make: Callable[..., Policy]) -> None:
    scene = Scene(make())
    for number, mailbox in enumerate(BOXES):
        scene.probe(BARE, mailbox, refused(f"denied {number % 4}", "5.7.1"), R.REJECTED)
        scene.probe(BARE, mailbox, refused("x" * 500), R.REJECTED)
    found = scene.diagnosis(S.SMTP_REJECT)
    assert len(found.said) == MAX_SAID
    assert found.said[0] == "the peer answered 554 5.7.1 denied 0 at RCPT TO"
    assert found.said[1].endswith("x…")
    assert len(found.said[1]) == LONGEST


def test_a_verdict_speaks_where_the_peer_was_silent(make: Callable[..., Policy]) -> None:
    scene = Scene(make()).each(APP, BOXES, R.ALTERED)
    assert scene.diagnosis(S.CONTENT_WRONG).said == ("it was altered",)


class TestBlindness:
    @pytest.mark.parametrize(
        ("blind", "cause", "layer", "summary"),
        [
            (BOXES[:1], BlindCause.AUTH_REFUSED, L.MAILBOX, "gmail-1 cannot be looked into: that mailbox"),
            (BOXES[:1], BlindCause.TIMEOUT, L.MAILBOX, "gmail-1 cannot"),
            (GMAIL, BlindCause.AUTH_REFUSED, L.PROVIDER, "gmail-1, gmail-2 cannot be looked into: the mailbox provider"),
            (GMAIL, BlindCause.UNREACHABLE, L.PROVIDER, "gmail-1, gmail-2 cannot"),
            (
                BOXES,
                BlindCause.UNREACHABLE,
                L.MONITOR,
                "gmail-1, gmail-2, outlook-1, outlook-2 and 2 more cannot be looked into: the monitor",
            ),
            (BOXES[:1], BlindCause.MISCONFIGURED, L.MONITOR, "gmail-1 cannot"),
            ((), BlindCause.TIMEOUT, L.MAILBOX, "mailbox gmail-1 cannot"),
        ],
    )
    def test_by_how_many_are_blind(
        self, make: Callable[..., Policy], blind: Sequence[MailboxName], cause: BlindCause, layer: Layer, summary: str
    ) -> None:
        scene = Scene(make()).tell(*[WatchBlind(at(1), name, cause, "LOGIN refused", "mend") for name in blind])
        scene.tell(WatchBlind(at(1), HOLDING, cause, "no seed", ""))
        scope = Scope(ScopeKind.MAILBOX, "gmail-1") if len(blind) < 2 else EVERYWHERE
        found = scene.diagnosis(S.MAILBOX_BLIND, scope)
        assert (found.layer, found.summary[: len(summary)]) == (layer, summary)
        assert found.said == (("LOGIN refused",) if blind else ())

    def test_one_mailbox_of_a_provider_of_one(self, make: Callable[..., Policy]) -> None:
        policy = make((BARE,), BOXES[1:3])
        for cause, layer in ((BlindCause.AUTH_REFUSED, L.MAILBOX), (BlindCause.UNREACHABLE, L.PROVIDER)):
            scene = Scene(policy).tell(WatchBlind(at(1), BOXES[1], cause, "detail", ""))
            assert scene.diagnosis(S.MAILBOX_BLIND, Scope(ScopeKind.MAILBOX, BOXES[1])).layer is layer

    def test_another_blind_mailbox_does_not_blur_this_one(self, make: Callable[..., Policy]) -> None:
        blind = [WatchBlind(at(1), name, BlindCause.AUTH_REFUSED, "detail", "") for name in (*GMAIL, *OUTLOOK[:1])]
        scene = Scene(make()).tell(*blind)
        assert scene.diagnosis(S.MAILBOX_BLIND, Scope(ScopeKind.MAILBOX, "outlook-1")).layer is L.MAILBOX
        assert scene.diagnosis(S.MAILBOX_BLIND, Scope(ScopeKind.PROVIDER, "gmail")).layer is L.PROVIDER

    def test_a_mailbox_that_is_no_seed(self, make: Callable[..., Policy]) -> None:
        scene = Scene(make()).tell(WatchBlind(at(1), HOLDING, BlindCause.AUTH_REFUSED, "LOGIN refused", ""))
        found = scene.diagnosis(S.MAILBOX_BLIND, Scope(ScopeKind.MAILBOX, HOLDING))
        assert (found.layer, found.said) == (L.MAILBOX, ("LOGIN refused",))
        assert found.summary == "holding cannot be looked into: that mailbox"

    def test_restored_is_no_longer_blind(self, make: Callable[..., Policy]) -> None:
        scene = Scene(make()).tell(WatchBlind(at(1), BOXES[0], BlindCause.TIMEOUT, "detail", ""), WatchRestored(at(2), BOXES[0], 5))
        assert "no complete look" in " ".join(scene.diagnosis(S.MAILBOX_BLIND, Scope(ScopeKind.MAILBOX, BOXES[0])).against)


class TestWhatChanged:
    def test_the_two_hours_before_and_what_came_since_the_latest_first(self, make: Callable[..., Policy]) -> None:
        scene = Scene(make()).tell(
            Started(at(-9000), "1.0", "hash"),
            DeployMarked(at(-8000), "d-0", DeployPhase.FINISH, "checkout", "v511"),
            ClockJumped(at(-100), -2.0),
            DeployMarked(at(-221), "d-1", DeployPhase.FINISH, "checkout", "v512", by="ana"),
            WatchBlind(at(30), BOXES[0], BlindCause.TIMEOUT, "detail", ""),
        )
        app_fails(*MISSING)(scene)
        found = scene.diagnosis(S.DELIVERY_MISSING)
        assert found.changed == (
            "12:00:30Z gmail-1 blind: timeout (30.0 s after it began)",
            "11:58:20Z the clock stepped by -2 s (it began 1m40s after)",
            "11:56:19Z deploy finished: checkout v512 by ana (it began 3m41s after)",
        )
        assert found.next_step == "roll back checkout v512, then watch the next probes of app"

    def test_a_deploy_after_it_began_is_not_to_be_rolled_back(self, make: Callable[..., Policy]) -> None:
        scene = Scene(make()).tell(DeployMarked(at(50), "d-1", DeployPhase.FINISH, "checkout", "v512"))
        app_fails(*MISSING)(scene)
        assert "roll back" not in scene.diagnosis(S.DELIVERY_MISSING).next_step

    @pytest.mark.parametrize(("late", "taken", "named"), [(0.005, 0.0, True), (20, 0.0, False), (20, 25.0, True), (20, 15.0, False)])
    def test_a_start_that_is_marked_a_moment_late(self, make: Callable[..., Policy], late: float, taken: float, named: bool) -> None:
        scene = Scene(make()).tell(DeployMarked(at(late), "d-1", DeployPhase.START, "checkout", "v512"))
        app_fails(*MISSING)(scene)
        if taken:
            scene.probe(APP, BOXES[0], lambda probe: Accepted(at(taken), probe, 1, TAKEN), Reason.MISSING, began=0.0)
        found = scene.diagnosis(S.DELIVERY_MISSING, routes=(f"{APP}/{BOXES[0]}",))
        assert ("roll back checkout v512" in found.next_step) is named

    def test_what_is_rolled_back_is_not_to_be_rolled_back(self, make: Callable[..., Policy]) -> None:
        scene = Scene(make()).tell(
            DeployMarked(at(-500), "d-0", DeployPhase.FINISH, "checkout", "v511"),
            DeployMarked(at(-221), "d-1", DeployPhase.START, "checkout", "v512"),
            DeployMarked(at(9), "d-1", DeployPhase.ROLLBACK, "checkout", "v511"),
        )
        app_fails(*MISSING)(scene)
        assert "roll back" not in scene.diagnosis(S.DELIVERY_MISSING).next_step

    @pytest.mark.parametrize(
        ("started", "named"),
        [
            pytest.param(3, "checkout v512", id="a start after it began is not the best one"),
            pytest.param(-100, "checkout v512", id="taken back after it began"),
        ],
    )
    def test_next_names_the_deploy_that_stands_first(self, make: Callable[..., Policy], started: float, named: str) -> None:
        scene = Scene(make()).tell(
            DeployMarked(at(-200), "d-1", DeployPhase.FINISH, "checkout", "v512"),
            DeployMarked(at(started), "d-2", DeployPhase.START, "search", "v9"),
        )
        if started < 0:
            scene.tell(DeployMarked(at(100), "d-2", DeployPhase.ROLLBACK, "search", "v8"))
        app_fails(*MISSING)(scene)
        beside = candidates(scene.world.incidents.deploys, SINCE, at(-300), control_good=True)
        found = diagnose(scene.world, scene.policy, EVERYWHERE, S.DELIVERY_MISSING, (), SINCE, NOW, beside)
        assert found.next_step.startswith(f"roll back {named},")

    @pytest.mark.parametrize(
        ("service", "other", "named"),
        [
            ("checkout", "search", True),
            pytest.param("search", "search", False, id="an older one of the same service"),
            pytest.param("", "search", False, id="of no service: perhaps the same"),
            pytest.param("checkout", "", False, id="what was rolled back named no service"),
        ],
    )
    def test_taken_back_before_it_began(self, make: Callable[..., Policy], service: str, other: str, named: bool) -> None:
        scene = Scene(make()).tell(
            DeployMarked(at(-200), "d-1", DeployPhase.FINISH, service, "v512"),
            DeployMarked(at(-100), "d-2", DeployPhase.FINISH, other, "v9"),
            DeployMarked(at(-50), "d-2", DeployPhase.ROLLBACK, other, "v8"),
        )
        app_fails(*MISSING)(scene)
        assert ("roll back checkout v512" in scene.diagnosis(S.DELIVERY_MISSING).next_step) is named
        assert ("roll back" in scene.diagnosis(S.DELIVERY_MISSING).next_step) is named

    def test_our_own_configuration_long_after(self, make: Callable[..., Policy]) -> None:
        """The probes of then are forgotten; what the reload said is not."""
        scene = Scene(make()).tell(
            Started(at(-9000), "1.0", "a"),
            Reloaded(at(-8000), "b", ("drain changed",)),
            Reloaded(at(-300), "c", ("path app: url changed", "mailbox gmail-2 added", "heartbeat changed", "drain changed")),
            Reloaded(at(-200), "c", ()),
            Started(at(60), "1.0", "d"),
        )
        assert diagnose(scene.world, scene.policy, EVERYWHERE, S.DELIVERY_MISSING, (), SINCE, at(6000)).changed == (
            "12:01:00Z this monitor started, version 1.0 (60.0 s after it began)",
            "12:01:00Z our configuration changed with a restart (60.0 s after it began)",
            "11:55:00Z our configuration changed: path app: url changed; mailbox gmail-2 added; heartbeat changed; and 1 more"
            " (it began 5m00s after)",
        )


@pytest.mark.parametrize(
    ("said", "layer"),
    [
        ("550 5.1.1 no such user", L.MAILBOX),
        ("552 5.2.2 full", L.MAILBOX),
        ("554 5.7.1 access denied", None),
        ("550-5.7.26 unauthenticated mail is not accepted", L.AUTHENTICATION),
        ("550 5.7.509 access denied, sending domain does not pass DMARC verification", L.AUTHENTICATION),
        ("550 5.7.1 SPF=pass DKIM=pass; message rejected due to local policy", None),
        ("550 5.7.1 DMARC passed, but the content filter failed it", None),
        ("550 5.7.1 by local policy, not for SPF: message rejected", None),
        ("550 5.7.1 SPF=pass DKIM=fail", L.AUTHENTICATION),
        ("550 5.7.1 DKIM did not pass", L.AUTHENTICATION),
        ("550 5.7.1 rejected by DMARC policy of shop.test", L.AUTHENTICATION),
        ("550 not accepted, see 5.7.26.", L.AUTHENTICATION),
        ("550 5.7.25 no PTR", L.DNS),
        ("450 4.1.8 sender's domain does not exist", L.DNS),
        ("Host or domain name not found. Name service error for name=box.test type=MX", L.DNS),
        ("421 4.7.28 rate limited", None),
        ("450 4.2.0 greylisted", None),
        ("connect to 127.4.4.4: 10.5.4.4", None),
        ("version 15.4.4.2 of the relay", None),
        ("", None),
    ],
)
def test_what_a_reply_points_at(said: str, layer: Layer | None) -> None:
    assert points_at(said) is layer


def test_a_minority_of_replies_names_nothing() -> None:
    assert agreed(["5.1.1", "no", "no"]) is None
    assert agreed(["5.1.1", "no", ""]) is None
    assert agreed(["5.1.1", "5.2.2", "no", ""]) is L.MAILBOX


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    history=histories(),
    symptom=st.sampled_from(Symptom),
    scope=st.builds(Scope, st.sampled_from(ScopeKind), st.sampled_from(("", "app", "gmail-1", "gmail", "gone"))),
    routes=st.lists(st.sampled_from(("app/gmail-1", "app/outlook-1", "gone/gmail-1", "nonsense", "")), max_size=4).map(tuple),
    since=st.from_type(Instant),
    now=st.from_type(Instant),
)
def test_total_and_bounded(
    make: Callable[..., Policy],
    history: Sequence[Fact | None],
    symptom: Symptom,
    scope: Scope,
    routes: tuple[str, ...],
    since: Instant,
    now: Instant,
) -> None:
    world = World()
    for seq, fact in enumerate(history, 1):
        world.fold(Entry(seq, "kind", fact))
    found = diagnose(world, make(), scope, symptom, routes, since, now)
    assert found.summary
    assert found.next_step
    assert len(found.shows) <= MAX_SHOWS
    assert len(found.said) <= MAX_SAID
    assert len(found.changed) <= MAX_CHANGED
    assert len(found.against) <= MAX_AGAINST
    assert found.confidence is not None
    assert all(len(line) <= LONGEST for line in (found.summary, found.next_step, *found.shows, *found.said, *found.changed, *found.against))
