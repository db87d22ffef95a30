"""What we make of a delivered message: SPF, DKIM, ARC and DMARC together, from its bytes to the verdicts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.dns import DnsFailure
from monitor.model.mail import AuthResult
from monitor.model.mailauth import ArcState, DeliveredMail, Hop, MailProof, SignatureState
from monitor.rules.mailauth.delivered import read_proof
from monitor.rules.mailauth.prove import prove
from tests.rules.dkim.signing import MESSAGE, rsa, seal, sign
from tests.rules.inspect.worlds import NOW, Dns, World

PATH = b"Return-Path: <bounce+x@shop.test>\r\n"
ZONE = Dns(
    {
        "shop.test TXT": ["v=spf1 ip4:192.0.2.10 -all"],
        "mta.shop.test TXT": ["v=spf1 ip4:192.0.2.10 -all"],
        "_dmarc.shop.test TXT": ["v=DMARC1; p=reject"],
        "s1._domainkey.shop.test TXT": [rsa().record()],
        "arc._domainkey.list.test TXT": [rsa().record()],
    }
)
SIGNED = PATH + sign()


def proved(raw: bytes = SIGNED, dns: Dns = ZONE, truncated: bool = False, **changed: object) -> MailProof:
    mail = replace(read_proof(raw, truncated, ("mx.box.test",)), **changed)  # type: ignore[arg-type]
    return made(mail, dns)


def made(mail: DeliveredMail, dns: Dns = ZONE) -> MailProof:
    world = World(dns)
    return world.asked(lambda lookup: prove(mail, lookup, world, NOW))


def without(name: str) -> Dns:
    return ZONE.but(**{name: None})


def dark(name: str) -> Dns:
    return replace(ZONE, fails={name: DnsFailure.SERVFAIL})


def test_all_is_well() -> None:
    proof = proved()
    assert (proof.spf, proof.spf_domain, proof.spf_address) == (AuthResult.PASS, "shop.test", "192.0.2.10")
    assert [(one.domain, one.selector, one.state) for one in proof.dkim] == [("shop.test", "s1", SignatureState.PASS)]
    assert proof.arc.state is ArcState.NONE
    for way in (proof.dmarc, proof.shadow):
        assert (way.result, way.policy, way.spf_aligned, way.dkim_aligned) == (AuthResult.PASS, "reject", True, True)


BY_LOCAL = ZONE.but(**{"shop.test TXT": ["v=spf1 exists:%{l}.%{i}._spf.shop.test -all"]})


def test_an_spf_that_asks_for_the_local_part_is_not_known() -> None:
    """Only the domain of the envelope is kept: fail would be a guess, and pass too."""
    for dns in (BY_LOCAL, BY_LOCAL.but(**{"postmaster.192.0.2.10._spf.shop.test A": ["127.0.0.2"]})):
        proof = proved(PATH + MESSAGE, dns)
        assert (proof.spf, proof.spf_why) == (AuthResult.ABSENT, "SPF asks for the local part of the envelope sender, which is not kept")
        assert proof.dmarc.result is not AuthResult.FAIL


def test_a_bounce_has_a_local_part() -> None:
    """RFC 7208 section 2.4: postmaster."""
    known = BY_LOCAL.but(**{"mta.shop.test TXT": ["v=spf1 exists:%{l}._spf.shop.test -all"], "postmaster._spf.shop.test A": ["127.0.0.2"]})
    assert proved(b"Return-Path: <>\r\n" + sign(), known).spf is AuthResult.PASS


def test_a_term_that_is_not_reached_asks_for_nothing() -> None:
    before = ZONE.but(**{"shop.test TXT": ["v=spf1 ip4:192.0.2.10 exists:%{l}._spf.shop.test -all"]})
    assert proved(dns=before).spf is AuthResult.PASS


def test_it_takes_few_rounds() -> None:
    mail = read_proof(SIGNED, False, ("mx.box.test",))
    rounds = []
    World(ZONE).asked(lambda lookup: rounds.append(prove(mail, lookup, World(ZONE), NOW)))
    assert len(rounds) <= 4


@pytest.mark.parametrize(
    ("dns", "spf", "dkim", "dmarc"),
    [
        (without("shop.test TXT"), AuthResult.NONE, SignatureState.PASS, AuthResult.PASS),
        (without("s1._domainkey.shop.test TXT"), AuthResult.PASS, SignatureState.NO_KEY, AuthResult.PASS),
        (without("_dmarc.shop.test TXT"), AuthResult.PASS, SignatureState.PASS, AuthResult.NONE),
        (dark("shop.test TXT"), AuthResult.TEMPERROR, SignatureState.PASS, AuthResult.PASS),
        (dark("s1._domainkey.shop.test TXT"), AuthResult.PASS, SignatureState.TEMPERROR, AuthResult.PASS),
        (dark("_dmarc.shop.test TXT"), AuthResult.PASS, SignatureState.PASS, AuthResult.TEMPERROR),
    ],
)
def test_a_zone_with_a_fault(dns: Dns, spf: AuthResult, dkim: SignatureState, dmarc: AuthResult) -> None:
    proof = proved(dns=dns)
    assert (proof.spf, proof.dkim[0].state, proof.dmarc.result) == (spf, dkim, dmarc)


def test_an_altered_body_leaves_spf_alone_to_pass() -> None:
    altered = SIGNED.replace(b"12.00", b"99.00")
    proof = proved(altered)
    assert (proof.dkim[0].state, proof.dmarc.result, proof.dmarc.dkim_aligned) == (SignatureState.BODY_ALTERED, AuthResult.PASS, False)
    assert proved(altered, without("shop.test TXT")).dmarc.result is AuthResult.FAIL


def test_a_null_envelope_sender_is_judged_by_the_helo_name() -> None:
    proof = proved(b"Return-Path: <>\r\n" + sign())
    assert (proof.spf, proof.spf_domain) == (AuthResult.PASS, "mta.shop.test")
    assert proof.dmarc.spf_aligned
    assert proved(b"Return-Path: <>\r\n" + sign(), said_envelope="other.test").spf_domain == "mta.shop.test"


def test_an_envelope_sender_that_nobody_names_is_not_known() -> None:
    proof = proved(sign())
    assert (proof.spf, proof.spf_domain) == (AuthResult.ABSENT, "")
    assert proof.dmarc.result is AuthResult.PASS
    altered = proved(sign().replace(b"12.00", b"99.00"))
    assert altered.dmarc.result is AuthResult.TEMPERROR


def test_the_receivers_results_name_what_the_trace_does_not() -> None:
    proof = proved(sign(), border=None, said_address="192.0.2.10", said_envelope="shop.test")
    assert (proof.spf, proof.spf_domain, proof.spf_address) == (AuthResult.PASS, "shop.test", "192.0.2.10")


def test_what_the_return_path_says_counts_more_than_the_results() -> None:
    assert proved(said_envelope="other.test").spf_domain == "shop.test"


@pytest.mark.parametrize(
    ("border", "said", "address"),
    [
        (Hop(address="192.0.2.10"), "198.51.100.1", "192.0.2.10"),
        (Hop(address="::ffff:192.0.2.10"), "", "192.0.2.10"),
        (Hop(address="2001:DB8:0::1"), "", "2001:db8::1"),
        (Hop(address="unknown"), "192.0.2.10", "192.0.2.10"),
        (Hop(), "", ""),
        (None, "no address", ""),
    ],
)
def test_the_sending_address(border: Hop | None, said: str, address: str) -> None:
    assert proved(border=border, said_address=said).spf_address == address


def test_without_an_address_spf_is_absent_and_no_failure() -> None:
    proof = proved(PATH + MESSAGE, border=None, said_address="")
    assert proof.spf is AuthResult.ABSENT
    assert proof.dmarc.result is AuthResult.TEMPERROR


def test_two_author_domains() -> None:
    raw = SIGNED.replace(b"From: Shop <refunds@shop.test>", b"From: a@shop.test, b@other.test")
    assert proved(raw).dmarc.result is AuthResult.PERMERROR
    assert proved(raw).shadow.result is AuthResult.PERMERROR


def test_what_was_cut_off_is_not_known() -> None:
    assert proved(PATH + MESSAGE, signatures_ignored=3, border=Hop(address="198.51.100.9")).dmarc.result is AuthResult.TEMPERROR
    assert proved(PATH + MESSAGE, header_cut=True, border=Hop(address="198.51.100.9")).dmarc.result is AuthResult.TEMPERROR
    assert proved(PATH + MESSAGE, border=Hop(address="198.51.100.9")).dmarc.result is AuthResult.FAIL


def test_a_body_that_was_not_read_whole() -> None:
    whole = sign(MESSAGE + b"more\r\n" * 50)
    proof = proved(PATH + whole[:-100], truncated=True, border=Hop(address="198.51.100.9"))
    assert proof.dkim[0].state is SignatureState.UNREAD
    assert proof.dmarc.result is AuthResult.TEMPERROR


def test_a_sealed_copy() -> None:
    assert proved(PATH + seal(sign())).arc.state is ArcState.PASS
    assert proved(PATH + seal(sign()), dark("arc._domainkey.list.test TXT")).arc.state is ArcState.TEMPERROR


def test_a_stranger_signs_for_himself_only() -> None:
    dns = ZONE.but(**{"s1._domainkey.esp.example.com TXT": [rsa().record()], "esp.example.com TXT": ["v=spf1 +all"]})
    proof = proved(b"Return-Path: <b@esp.example.com>\r\n" + sign(domain="esp.example.com"), dns)
    assert (proof.spf, proof.dkim[0].state, proof.dmarc.result) == (AuthResult.PASS, SignatureState.PASS, AuthResult.FAIL)


def test_an_empty_message_is_proved_too() -> None:
    proof = made(DeliveredMail())
    assert (proof.spf, proof.dkim, proof.dmarc.result) == (AuthResult.ABSENT, (), AuthResult.PERMERROR)
    assert made(DeliveredMail(header_cut=True)).dmarc.result is AuthResult.TEMPERROR
