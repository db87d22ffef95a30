"""What the zone and our own proof of the delivered mail say about mail that is not authenticated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from monitor.model.checks import CheckId, CheckResult, Gravity, Status
from monitor.model.facts import Delivered, DeployMarked, MailProved, ZoneObserved
from monitor.model.incident import EVERYWHERE, DeployPhase, Diagnosis, Layer, Phase, Scope, ScopeKind
from monitor.model.inspection import Cause, DomainPolicy, Drift, DriftState, Facet, FacetKind, InspectPolicy
from monitor.model.mail import AuthResult
from monitor.model.mailauth import DeliveredMail, DmarcProof, MailProof, SignatureProof, SignatureState
from monitor.model.notice import Call
from monitor.model.probe import Purpose, Route
from monitor.model.verdict import SYMPTOM_OF_CHECK, Reason, Symptom
from monitor.rules.diagnose import LONGEST, diagnose
from monitor.rules.diagnose.findings import layer_of, step, worded
from monitor.rules.notice import render
from tests.rules.incidents import Play, app, relay, rules

SHOP = "shop.test"
KEY = "s1._domainkey.shop.test"
PASS, FAIL = AuthResult.PASS, AuthResult.FAIL
L, State = Layer, SignatureState


def drift(
    kind: FacetKind = FacetKind.DKIM,
    at: float = -48.0,
    gravity: Gravity = Gravity.CRITICAL,
    state: DriftState = DriftState.STANDING,
    what: str = "selector s1's key record vanished",
    ttl: int = 300,
) -> Drift:
    seen = Play(rules()).at(at).utc
    return Drift(kind, KEY, "a", "", gravity, what, state, seen, seen + ttl, ttl)


def proof(
    state: SignatureState | None, dmarc: AuthResult = FAIL, spf: AuthResult = FAIL, address: str = "192.0.2.99", selector: str = "s1"
) -> MailProof:
    signed = (SignatureProof(SHOP, selector, "rsa-sha256", state),) if state is not None else ()
    return MailProof(spf=spf, spf_domain=SHOP, spf_address=address, dkim=signed, dmarc=DmarcProof(dmarc))


def beside(theirs: SignatureState, ours: SignatureState, signer: str = SHOP) -> MailProof:
    """The signature of a sending service stands first, as it was made last."""
    first, second = SignatureProof("esp.example", "e", "rsa-sha256", theirs), SignatureProof(signer, "s1", "rsa-sha256", ours)
    return MailProof(spf=PASS, spf_domain="esp.example", dkim=(first, second), dmarc=DmarcProof(FAIL, organizational=SHOP))


def result(check: CheckId, about: str = SHOP, gravity: Gravity = Gravity.CRITICAL, saw: str = "it is broken") -> CheckResult:
    return CheckResult(check, Status.FAIL, about, gravity, saw)


class Mail(Play):
    """Probes of both paths, with what the zone and the proofs say; the incident began at noon."""

    def __init__(self) -> None:
        inspect = InspectPolicy(domains={SHOP: DomainPolicy(SHOP)})
        super().__init__(replace(rules(), inspect=inspect, sending_domains=(SHOP,)))

    def zone(self, t: float, *results: CheckResult, drifts: tuple[Drift, ...] = (), blind: str = "") -> Mail:
        facets = (Facet(FacetKind.DKIM, KEY, "k"),)
        self.tell(ZoneObserved(self.at(t), SHOP, Cause.SCHEDULE, results, (), facets, drifts, blind=blind, learned=True))
        return self

    def unauthenticated(
        self, routes: Sequence[Route], proved: MailProof | None = None, t: float = 1.0, reason: Reason = Reason.UNAUTHENTICATED
    ) -> Mail:
        for route in routes:
            probe = self.probe(route, t, reason)
            if proved is not None:
                self.tell(Delivered(self.at(t + 2), probe, route, route.mailbox, DeliveredMail(author_domains=(SHOP,))))
                self.tell(MailProved(self.at(t + 3), probe, route, self.world.seq, proved))
        return self

    def diagnosis(self, symptom: Symptom = Symptom.AUTH, scope: Scope = EVERYWHERE) -> Diagnosis:
        return diagnose(self.world, self.policy, scope, symptom, (), self.at(0), self.at(300))


APP = [app(number) for number in range(1, 7)]
ONE_PROVIDER = [app(1), app(4)]


@dataclass(frozen=True)
class Row:
    name: str
    layer: Layer
    why: str
    drifts: tuple[Drift, ...] = ()
    results: tuple[CheckResult, ...] = ()
    proof: MailProof | None = None
    narrow: bool = False
    told: str = ""  # stands among what shows it
    since: float = -600.0  # of the results


ROWS = [
    Row(
        "the key vanished",
        L.DNS,
        "selector s1's key record vanished at 11:59, TTL 300",
        (drift(),),
        told="the zone: selector s1's key record vanished",
    ),
    Row("seen after it began", L.DNS, "selector s1's key record vanished seen at 12:01, TTL 300", (drift(at=70.0),)),
    Row(
        "the first of two changes",
        L.DNS,
        "SPF lost 192.0.2.10 at 11:50",
        (drift(), drift(FacetKind.SPF, -600.0, what="SPF lost 192.0.2.10", ttl=0)),
    ),
    Row("the zone changed, only one notices", L.DNS, "selector s1's key record vanished", (drift(),), narrow=True),
    Row("a change long before", L.AUTHENTICATION, "", (drift(at=-8000.0),)),
    Row("a harmless change", L.AUTHENTICATION, "", (drift(gravity=Gravity.WARNING),)),
    Row("a change that was taken back", L.AUTHENTICATION, "", (drift(state=DriftState.REVERTED),)),
    Row("a change that was approved", L.AUTHENTICATION, "", (drift(state=DriftState.APPROVED),)),
    Row("another MX authenticates nothing", L.AUTHENTICATION, "", (drift(FacetKind.MX),)),
    Row(
        "no key for the signature",
        L.DNS,
        f"the key record {KEY} is not there",
        proof=proof(State.NO_KEY),
        told="our own verification of 6 delivered mails",
    ),
    Row("the key is revoked", L.DNS, f"the key record {KEY} is revoked", proof=proof(State.REVOKED)),
    Row("the key is unusable", L.DNS, f"the key record {KEY} cannot be used", proof=proof(State.KEY_UNUSABLE)),
    Row(
        "a selector that was never published",
        L.AUTHENTICATION,
        "it is signed with selector s9 of shop.test, which was never published",
        proof=proof(State.NO_KEY, selector="s9"),
    ),
    Row("the body was altered", L.AUTHENTICATION, "the body was altered after it was signed", proof=proof(State.BODY_ALTERED)),
    Row("the header was altered", L.AUTHENTICATION, "header fields were altered", proof=proof(State.HEADER_ALTERED)),
    Row("expired", L.AUTHENTICATION, "the signature had expired", proof=proof(State.EXPIRED)),
    Row("unsigned", L.AUTHENTICATION, "it bears no DKIM signature", proof=proof(None)),
    Row("unsigned, and only one demands it", L.AUTHENTICATION, "it bears no DKIM signature", proof=proof(None, PASS, PASS), narrow=True),
    Row("signed by another domain", L.AUTHENTICATION, "it is signed by shop.test, which does not align", proof=proof(State.PASS)),
    Row(
        "ours is broken beside the sound one of a sending service",
        L.AUTHENTICATION,
        "the body was altered after it was signed (selector s1 of shop.test)",
        proof=beside(State.PASS, State.BODY_ALTERED),
    ),
    Row("ours has no key beside a sound one", L.DNS, f"the key record {KEY} is not there", proof=beside(State.PASS, State.NO_KEY)),
    Row("ours is revoked beside a weak one", L.DNS, f"the key record {KEY} is revoked", proof=beside(State.WEAK, State.REVOKED)),
    Row(
        "only a sending service signs, and badly",
        L.AUTHENTICATION,
        "the key or the algorithm is too weak to count (selector e of esp.example)",
        proof=MailProof(dkim=(SignatureProof("esp.example", "e", "rsa-sha256", State.WEAK),), dmarc=DmarcProof(FAIL)),
    ),
    Row(
        "signed by a sending service alone",
        L.AUTHENTICATION,
        "it is signed by esp.example, which does not align",
        proof=MailProof(dkim=(SignatureProof("esp.example", "e", "rsa-sha256", State.PASS),), dmarc=DmarcProof(FAIL)),
    ),
    Row("from another address", L.RELAY, "it leaves from 192.0.2.99, which SPF of shop.test does not name", proof=proof(State.PASS, PASS)),
    Row(
        "ours passes, one provider says fail",
        L.PROVIDER,
        "our own verification of the same mail passes",
        proof=proof(State.PASS, PASS, PASS),
        narrow=True,
    ),
    Row(
        "ours passes, all say fail",
        L.AUTHENTICATION,
        "",
        proof=proof(State.PASS, PASS, PASS),
        told="our own verification of the same mail passes",
    ),
    Row("the key could not be asked", L.AUTHENTICATION, "", proof=proof(State.TEMPERROR, AuthResult.TEMPERROR)),
    Row("the message was not read whole", L.AUTHENTICATION, "", proof=proof(State.UNREAD, AuthResult.TEMPERROR)),
    Row("nothing was seen of its signatures", L.AUTHENTICATION, "", proof=proof(None, AuthResult.TEMPERROR)),
    Row("a finding of the zone", L.DNS, "DMARC-01 shop.test: it is broken", results=(result(CheckId.DMARC_01),)),
    Row("a finding of the mail", L.AUTHENTICATION, "DKIM-M2 shop.test: it is broken", results=(result(CheckId.DKIM_M2),)),
    Row(
        "a finding about something else",
        L.AUTHENTICATION,
        "",
        results=(result(CheckId.IP_02), result(CheckId.MX_01), result(CheckId.TLS_05)),
    ),
    Row("a finding that has stood for long", L.AUTHENTICATION, "", results=(result(CheckId.DMARC_01),), since=-9000.0),
    Row("a warning", L.AUTHENTICATION, "", results=(result(CheckId.DMARC_01, gravity=Gravity.WARNING),)),
    Row("the change before the proof", L.DNS, "selector s1's key record vanished at 11:59", (drift(),), proof=proof(State.BODY_ALTERED)),
    Row(
        "the proof before the finding",
        L.AUTHENTICATION,
        "the body was altered",
        results=(result(CheckId.DMARC_01),),
        proof=proof(State.BODY_ALTERED),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_who_is_at_fault(row: Row) -> None:
    mail = Mail().zone(row.since, *row.results).zone(-60 if row.since > -8000 else row.since + 60, *row.results, drifts=row.drifts)
    mail.unauthenticated(ONE_PROVIDER if row.narrow else APP, row.proof)
    if row.narrow:
        for number in (2, 3, 5, 6):
            mail.probe(app(number), 5)
    found = mail.diagnosis()
    assert found.layer is row.layer
    assert found.next_step.startswith("mailcanary audit shop.test") or row.layer is not L.RELAY
    head, _, why = found.summary.partition("; ")
    assert head.startswith("mail of app is not authenticated at")
    assert why.startswith(row.why) and bool(why) == bool(row.why)
    assert row.told in " | ".join((*found.shows, *found.against))


def test_the_sentence_of_a_page() -> None:
    mail = Mail().zone(-10, drifts=(drift(),)).unauthenticated(ONE_PROVIDER)
    for number in (2, 3, 5, 6):
        mail.probe(app(number), 5)
    found = mail.diagnosis()
    assert found.summary == (
        "mail of app is not authenticated at provider-1, while provider-0, provider-2 are fine: DNS; "
        "selector s1's key record vanished at 11:59, TTL 300"
    )
    assert found.changed == ("11:59:12Z selector s1's key record vanished, TTL 300 (it began 48.0 s after)",)
    assert found.next_step == "mailcanary audit shop.test: it names the record to publish; then watch app"


def test_what_is_known_only_after_the_page_is_told_once() -> None:
    mail = Mail().zone(-10).unauthenticated(APP)
    mail.ask(5, set(APP))
    for route in mail.said[-1].confirm:
        mail.verdict(mail.send(route, 6, Purpose.CONFIRM), Reason.UNAUTHENTICATED, 8)
    mail.ask(9)
    (opened,) = mail.opened()
    assert opened.diagnosis is not None and opened.diagnosis.why == ""
    assert mail.ask(20, ()) == []
    mail.zone(25, drifts=(drift(at=25.0),))
    assert mail.ask(26, ()) == [Phase.GROWN]
    told = mail.said[-1]
    assert told.diagnosis is not None and told.diagnosis.layer is L.DNS
    assert told.diagnosis.why == "selector s1's key record vanished seen at 12:00, TTL 300"
    assert (told.routes, told.severity) == (opened.routes, opened.severity)
    text = render(told, mail.policy, "k", Call.FIRE).text
    assert "now it is known why" in text and "more than told before" not in text.replace("nothing more fails than told before", "")
    mail.zone(400, drifts=(drift(at=25.0), drift(FacetKind.SPF, 390.0, what="SPF lost 192.0.2.10")))
    assert mail.ask(401, ()) == []


def test_a_deploy_beside_altered_mail_is_what_to_look_at() -> None:
    mail = Mail().zone(-10).unauthenticated(APP, proof(State.BODY_ALTERED))
    mail.tell(DeployMarked(mail.at(-221), "d-7", DeployPhase.FINISH, "shop", "2.4"))
    found = mail.diagnosis()
    assert found.next_step == "see what shop 2.4 changed between composing and signing the mail of app, or roll it back"
    assert "deploy finished: shop 2.4 (it began 3m41s after)" in found.changed[0]


def test_spam_with_authentication_trouble_names_the_zone_too() -> None:
    mail = Mail().zone(-10, drifts=(drift(),))
    for route in APP:
        probe = mail.send(route, 1)
        mail.verdict(probe, Reason.SPAM, 3)
        judged = mail.world.probes[probe].judged
        assert judged is not None
        mail.tell(replace(judged, revision=1, also=(Reason.UNAUTHENTICATED,)))
    found = mail.diagnosis(Symptom.SPAM_PLACEMENT)
    assert found.layer is L.DNS and "selector s1's key record vanished" in found.summary


def test_spam_of_mail_that_is_authenticated_is_not_the_zones() -> None:
    mail = Mail().zone(-10, drifts=(drift(),)).unauthenticated(APP, None, reason=Reason.SPAM)
    found = mail.diagnosis(Symptom.SPAM_PLACEMENT)
    assert found.layer is not L.DNS and "vanished" not in found.summary
    assert "vanished" in found.changed[0]


def test_a_change_of_the_zone_stands_beside_lost_mail() -> None:
    mail = Mail().zone(-10, drifts=(drift(FacetKind.MX, what="mx1.shop.test is gone"),))
    mail.unauthenticated(APP, None, reason=Reason.MISSING)
    assert mail.diagnosis(Symptom.DELIVERY_MISSING).changed[0] == "11:59:12Z mx1.shop.test is gone, TTL 300 (it began 48.0 s after)"


def test_the_incident_of_the_domain_is_named() -> None:
    mail = Mail().zone(-120, result(CheckId.DKIM_K1, KEY)).zone(-60, result(CheckId.DKIM_K1, KEY))
    mail.ask(-59, ())
    mail.unauthenticated(APP)
    assert "INC-1 is open about auth_dkim of shop.test" in mail.diagnosis().shows


def test_a_zone_that_cannot_be_asked_is_said_to_be_unknown() -> None:
    mail = Mail().zone(-120, blind="timeout").unauthenticated(APP)
    found = mail.diagnosis()
    assert found.layer is L.AUTHENTICATION
    assert "the zone of shop.test could not be asked since 11:58Z" in found.against


def test_the_proof_of_an_earlier_mail_says_nothing() -> None:
    mail = Mail().zone(-10)
    mail.unauthenticated(APP, proof(State.BODY_ALTERED), t=-100)
    mail.unauthenticated(APP)
    assert "altered" not in mail.diagnosis().summary


@pytest.mark.parametrize("inspect", [InspectPolicy(enabled=False, domains={SHOP: DomainPolicy(SHOP)}), InspectPolicy(domains={})])
def test_a_zone_that_is_no_longer_inspected_says_nothing(inspect: InspectPolicy) -> None:
    mail = Mail().zone(-10, drifts=(drift(),)).unauthenticated(APP)
    assert mail.diagnosis().layer is L.DNS
    mail.policy = replace(mail.policy, inspect=inspect)
    assert mail.diagnosis().layer is L.AUTHENTICATION
    assert mail.diagnosis().changed == ()


def test_another_domains_zone_is_not_asked() -> None:
    mail = Mail()
    mail.tell(ZoneObserved(mail.at(-10), "other.test", Cause.SCHEDULE, (), (), (), (drift(),)))
    mail.zone(-10).unauthenticated([relay(1), *APP])
    assert mail.diagnosis().layer is L.AUTHENTICATION
    assert mail.diagnosis().changed == ()


@pytest.mark.parametrize(
    ("check", "layer"),
    [
        (CheckId.SPF_01, L.DNS),
        (CheckId.SPF_15, L.AUTHENTICATION),
        (CheckId.DKIM_K1, L.DNS),
        (CheckId.DKIM_M3, L.AUTHENTICATION),
        (CheckId.DMARC_01, L.DNS),
        (CheckId.DMARC_10, L.AUTHENTICATION),
        (CheckId.DMARC_11, L.PROVIDER),
        (CheckId.IP_02, L.DNS),
        (CheckId.IP_03, L.RELAY),
        (CheckId.TLS_01, L.RELAY),
        (CheckId.MSG_01, L.APPLICATION),
        (CheckId.DNS_14, L.DNS),
    ],
)
def test_the_layer_of_a_check(check: CheckId, layer: Layer) -> None:
    assert layer_of(check) is layer


@pytest.mark.parametrize("check", CheckId)
@pytest.mark.parametrize("size", [1, 400])
def test_every_finding_is_told_in_bounds(check: CheckId, size: int) -> None:
    symptom = SYMPTOM_OF_CHECK[check]
    if symptom is None:
        return
    mail = Mail()
    bad = CheckResult(check, Status.FAIL, "n" * size, Gravity.CRITICAL, "s" * size, "r" * size, "m" * size, "p" * size)
    mail.zone(0, *(replace(bad, about=f"{number}") for number in range(20)), bad).zone(60, bad)
    found = mail.diagnosis(symptom, Scope(ScopeKind.DOMAIN, SHOP))
    assert all(len(line) <= LONGEST for line in (found.summary, found.next_step, *found.shows))
    assert found.layer is layer_of(check)


@pytest.mark.parametrize("symptom", Symptom)
@pytest.mark.parametrize("scope", [Scope(ScopeKind.DOMAIN, SHOP), Scope(ScopeKind.DOMAIN, "gone.test"), EVERYWHERE])
def test_total(symptom: Symptom, scope: Scope) -> None:
    for mail in (Mail(), Mail().zone(0), Mail().zone(0, blind="timeout")):
        found = mail.diagnosis(symptom, scope)
        assert found.summary and found.next_step


def test_a_mend_without_a_record_leads_to_the_audit() -> None:
    bad = result(CheckId.SPF_01)
    assert step(SHOP, bad) == "mailcanary audit shop.test tells more"
    assert step(SHOP, replace(bad, mend="drop an include")) == "drop an include; mailcanary audit shop.test tells more"
    long = replace(bad, mend="publish it", publish="k" * 300)
    assert step(SHOP, long) == "publish it; mailcanary audit shop.test names what to publish"


def test_what_a_peer_wrote_is_masked_and_escaped() -> None:
    hostile = replace(result(CheckId.DKIM_K1, KEY), saw="said <jane@box.test>\x1b[31m", record="jane@box.test", mend="ask jane@box.test")
    wording = worded(Mail().zone(-60.0, hostile).zone(0.0, hostile).world, Scope(ScopeKind.DOMAIN, SHOP), Symptom.AUTH_DKIM)
    told = " ".join((wording.summary, *wording.shows, wording.next_step))
    assert told.count("***@box.test") == 4 and "jane" not in told and told.isprintable()


def test_the_reason_of_blindness_is_masked_and_escaped() -> None:
    mail = Mail().zone(0.0, blind="refused: jane@box.test\x1b[31m")
    (shown,) = worded(mail.world, Scope(ScopeKind.DOMAIN, SHOP), Symptom.DNS_BLIND).shows
    assert "***@box.test" in shown and shown.isprintable()


def test_what_a_zone_says_is_masked_in_a_diagnosis() -> None:
    mail = Mail().zone(-100.0, drifts=(drift(what="SPF lost jane@box.test\x1b"),)).unauthenticated(APP, proof(None))
    diagnosis = mail.diagnosis()
    told = " ".join((diagnosis.summary, *diagnosis.shows))
    assert "***@box.test" in told and "jane" not in told and told.isprintable()
