"""Verification: what our own signer and dkimpy sign verifies, what is altered afterwards does not, and every way to fail has its name."""

from __future__ import annotations

import base64
import re
import warnings
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.dns import DnsFailure
from monitor.model.mail import AuthResult
from monitor.model.mailauth import BodyHash, Signature, SignatureProof, SignatureState
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth import dkim
from monitor.rules.mailauth.delivered import read_proof
from tests.rules.dkim.signing import MESSAGE, SIGNED, Pair, ed25519, rsa, sign
from tests.rules.inspect.worlds import NOW, Dns, World

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import dkim as dkimpy

KEY = "s1._domainkey.shop.test"
FORMS = ["relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple", "relaxed", "simple"]
PAIRS = [rsa(), ed25519()]


def zone(*records: str, fails: DnsFailure | None = None) -> Dns:
    return Dns({f"{KEY} TXT": records or (rsa().record(),)} if records != ("",) else {}, fails={f"{KEY} TXT": fails} if fails else {})


def proofs(raw: bytes, dns: Dns | None = None, now: float = NOW) -> list[SignatureProof]:
    mail = read_proof(raw, False, ())
    return World(dns or zone()).asked(lambda lookup: [dkim.verify(one, lookup, now) for one in mail.signatures])


def state(raw: bytes, dns: Dns | None = None, now: float = NOW) -> SignatureState:
    return proofs(raw, dns, now)[0].state


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("pair", PAIRS, ids=["rsa", "ed25519"])
def test_what_is_signed_verifies(form: str, pair: Pair) -> None:
    assert state(sign(form=form, pair=pair), zone(pair.record())) is SignatureState.PASS


@pytest.mark.parametrize("head", [b"relaxed", b"simple"])
@pytest.mark.parametrize("tail", [b"relaxed", b"simple"])
@pytest.mark.parametrize("pair", PAIRS, ids=["rsa", "ed25519"])
def test_what_dkimpy_signs_verifies(head: bytes, tail: bytes, pair: Pair) -> None:
    algorithm = b"rsa-sha256" if pair.kind == "rsa" else b"ed25519-sha256"
    key = pair.pem if pair.kind == "rsa" else pair.seed
    field = dkimpy.sign(MESSAGE, b"s1", b"shop.test", key, canonicalize=(head, tail), signature_algorithm=algorithm)
    assert state(field + MESSAGE, zone(pair.record())) is SignatureState.PASS


BODY = st.lists(st.sampled_from([b"a", b"Z ", b" ", b"\t", b"  \t", b"\r\n", b"\r\n\r\n", b".", b"=\xc3\xa4"]), max_size=30).map(
    lambda parts: b"".join((*parts, b"\r\n")) if parts else b""  # dkimpy keeps a space at the end of a last line that has no CRLF
)
VALUE = st.lists(st.sampled_from([b"x", b" ", b"\t", b"\r\n ", b"\r\n\t", b"=?q?", b":", b";"]), max_size=12).map(b"".join)


def dkimpys_verdict(raw: bytes, record: str) -> bool:
    try:
        return bool(dkimpy.DKIM(raw).verify(dnsfunc=lambda name, timeout=5: record.encode()))
    except dkimpy.DKIMException:
        return False


@pytest.mark.hostile
@given(BODY, VALUE, st.sampled_from(FORMS), st.sampled_from([(b"a", b"a"), (b"a", b"b"), (b"\r\n", b" \r\n"), (b" ", b"  "), (b"x", b"")]))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_dkimpy_says_the_same_of_random_messages(body: bytes, value: bytes, form: str, change: tuple[bytes, bytes]) -> None:
    """`change` is made once to the signed message, behind its signature."""
    message = MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\nX-Odd:" + value + b"x\r\n\r\n" + body
    raw = sign(message, ed25519(), form=form, names=(*SIGNED, "x-odd"))
    field, rest = raw[: raw.index(b"Received:")], raw[raw.index(b"Received:") :]
    at = rest.rfind(change[0])
    altered = field + (rest[:at] + change[1] + rest[at + len(change[0]) :] if at >= 0 else rest)
    ours = state(altered, zone(ed25519().record())) is SignatureState.PASS
    assert ours == dkimpys_verdict(altered, ed25519().record())


@pytest.mark.parametrize(
    "old, new, expected",
    [
        (b"12.00", b"99.00", SignatureState.BODY_ALTERED),
        (b"Subject: Your", b"Subject: My", SignatureState.HEADER_ALTERED),
        (b"d=shop.test", b"d=evil.test", SignatureState.NO_KEY),
        (b"s=s1", b"s=s2", SignatureState.NO_KEY),
        (b"h=from:to:", b"h=from:cc:", SignatureState.HEADER_ALTERED),
        (b"v=1", b"v=2", SignatureState.MALFORMED),
        (b"a=rsa-sha256", b"a=rsa-sha1", SignatureState.WEAK),
        (b"a=rsa-sha256", b"a=rsa-md5", SignatureState.MALFORMED),
        (b"a=rsa-sha256", b"a=ed25519-sha256", SignatureState.KEY_UNUSABLE),
        (b"c=relaxed/relaxed", b"c=simple/relaxed", SignatureState.HEADER_ALTERED),
        (b"c=relaxed/relaxed", b"c=relaxed/simple", SignatureState.HEADER_ALTERED),
        (b"From: Shop", b"From: Chop", SignatureState.HEADER_ALTERED),
    ],
)
def test_one_change_after_signing(old: bytes, new: bytes, expected: SignatureState) -> None:
    raw = sign()
    assert raw.count(old) >= 1
    assert state(raw.replace(old, new, 1)) is expected


@pytest.mark.parametrize("tag", ["b", "bh"])
def test_one_octet_of_a_value(tag: str) -> None:
    raw = sign()
    at = re.search(rb"[\s;]" + tag.encode() + rb"=", raw)
    assert at is not None
    place = at.end() + 10
    other = b"A" if raw[place : place + 1] != b"A" else b"B"
    # A wrong bh= is a changed header field too: the signature over it does not hold, whatever the body.
    assert state(raw[:place] + other + raw[place + 1 :]) is SignatureState.HEADER_ALTERED


def test_second_from_above_a_signature_that_does_not_over_sign() -> None:
    assert state(b"From: evil@shop.test\r\n" + sign()) is SignatureState.HEADER_ALTERED
    assert state(b"From: evil@shop.test\r\n" + sign(names=SIGNED)) is SignatureState.PASS


@pytest.mark.parametrize(
    "forced, expected",
    [
        ({"v": None}, SignatureState.MALFORMED),
        ({"a": None}, SignatureState.MALFORMED),
        ({"bh": None}, SignatureState.MALFORMED),
        ({"d": None}, SignatureState.MALFORMED),
        ({"s": None}, SignatureState.MALFORMED),
        ({"h": None}, SignatureState.MALFORMED),
        ({"h": "to:subject"}, SignatureState.MALFORMED),
        ({"h": "from::to"}, SignatureState.MALFORMED),
        ({"c": "nofws"}, SignatureState.MALFORMED),
        ({"bh": "no base64!"}, SignatureState.MALFORMED),
        ({"d": "shop..test"}, SignatureState.MALFORMED),
        ({"l": "-1"}, SignatureState.MALFORMED),
        ({"t": "soon"}, SignatureState.MALFORMED),
        ({"t": "200", "x": "100"}, SignatureState.MALFORMED),
        ({"i": "@example.com"}, SignatureState.MALFORMED),
        ({"i": "@notshop.test"}, SignatureState.MALFORMED),
        ({"i": "nobody"}, SignatureState.MALFORMED),
        ({"q": "dns/carrier-pigeon"}, SignatureState.MALFORMED),
        ({"x": str(int(NOW) - 1)}, SignatureState.EXPIRED),
        ({"x": str(int(NOW) + 1)}, SignatureState.PASS),
        ({"t": "9" * 76}, SignatureState.PASS),
        ({"i": "=40mail.shop.test"}, SignatureState.PASS),
        ({"i": "a=3Db@shop.test"}, SignatureState.PASS),
        ({"i": "x@mail.shop.test"}, SignatureState.PASS),
        ({"q": "dns/txt"}, SignatureState.PASS),
        ({"q": "dns/other:dns/txt"}, SignatureState.PASS),
        ({"zz": "unknown tags are ignored"}, SignatureState.PASS),
        ({"a": "RSA-SHA256"}, SignatureState.PASS),
        ({"d": "Shop.TEST"}, SignatureState.PASS),
    ],
)
def test_tags(forced: dict[str, str | None], expected: SignatureState) -> None:
    assert state(sign(forced=forced)) is expected


def test_signature_that_signs_other_signatures() -> None:
    """And that there are no more than that one: it never covers itself."""
    raw = sign(sign(), ed25519(), selector="e1", names=(*SIGNED, "dkim-signature", "dkim-signature"))
    dns = zone().but(**{"e1._domainkey.shop.test TXT": [ed25519().record()]})
    assert state(raw, dns) is SignatureState.PASS
    assert state(raw.replace(b"s=s1;", b"s=s2;"), dns) is SignatureState.HEADER_ALTERED


def test_signed_length() -> None:
    raw = sign(length=12)
    assert state(raw + b"appended\r\n") is SignatureState.PASS
    assert state(sign(length=10_000)) is SignatureState.BODY_ALTERED  # more than there is (section 3.5)
    cut = raw[: raw.index(b"We refunded") + 5] + b"\r\n"
    assert state(cut) is SignatureState.BODY_ALTERED


@pytest.mark.parametrize(
    "records, fails, expected",
    [
        (("",), None, SignatureState.NO_KEY),
        (("v=DKIM1; p=",), None, SignatureState.REVOKED),
        (("v=DKIM1; p=AAAA",), None, SignatureState.KEY_UNUSABLE),
        (("p=AAAA; v=DKIM1",), None, SignatureState.KEY_UNUSABLE),
        ((rsa().record("h=sha1; "),), None, SignatureState.KEY_UNUSABLE),
        ((rsa().record("h=sha1:sha256; "),), None, SignatureState.PASS),
        ((rsa().record("s=tlsrpt; "),), None, SignatureState.KEY_UNUSABLE),
        ((rsa().record("s=tlsrpt:email; "),), None, SignatureState.PASS),
        ((rsa().record("t=s; "),), None, SignatureState.PASS),
        ((rsa().record("g=nobody; n=note; "),), None, SignatureState.PASS),
        ((ed25519().record(),), None, SignatureState.KEY_UNUSABLE),
        ((rsa(1024).record(),), None, SignatureState.HEADER_ALTERED),
        ((rsa().record(), rsa().record("t=y; ")), None, SignatureState.PASS),
        ((rsa().record(), "google-site-verification=x"), None, SignatureState.PASS),
        (("google-site-verification=x", "another=y"), None, SignatureState.KEY_UNUSABLE),
        ((rsa(1024).record(), ed25519().record()), None, SignatureState.KEY_UNUSABLE),
        ((), DnsFailure.TIMEOUT, SignatureState.TEMPERROR),
        ((), DnsFailure.SERVFAIL, SignatureState.TEMPERROR),
        ((), DnsFailure.BOGUS, SignatureState.TEMPERROR),
    ],
)
def test_keys(records: tuple[str, ...], fails: DnsFailure | None, expected: SignatureState) -> None:
    assert state(sign(), zone(*records, fails=fails)) is expected


def test_strict_key_forbids_a_subdomain() -> None:
    raw = sign(forced={"i": "@mail.shop.test"})
    assert state(raw, zone(rsa().record("t=s; "))) is SignatureState.KEY_UNUSABLE
    assert state(raw, zone(rsa().record("t=y; "))) is SignatureState.PASS


def test_short_key_is_weak_though_it_verifies() -> None:
    weak = replace(dkim.read_key(rsa(1024).record()), bits=1023)
    signature = read_proof(sign(pair=rsa(1024)), False, ()).signatures[0]
    assert dkim.judged(signature, weak)[0] is SignatureState.WEAK


def test_several_records_say_which_one_verifies() -> None:
    (proof,) = proofs(sign(), zone(rsa(1024).record(), rsa().record()))
    assert "number 2 of them verifies" in proof.why or "number 1 of them verifies" in proof.why


def test_key_facts_are_reported() -> None:
    (proof,) = proofs(sign(), zone(rsa().record("t=y; ")))
    assert (proof.bits, proof.testing, proof.state) == (2048, True, SignatureState.PASS)


def test_bare_public_key_of_pkcs1() -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    der = rsa().private.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    assert state(sign(), zone(f"v=DKIM1; p={base64.b64encode(der).decode()}")) is SignatureState.PASS


def test_pending_is_temperror_and_asks() -> None:
    lookup = Lookup({})
    signature = read_proof(sign(), False, ()).signatures[0]
    assert dkim.verify(signature, lookup, NOW).state is SignatureState.TEMPERROR
    assert [str(question) for question in lookup.wanted] == [f"{KEY} TXT"]


def test_unread_body_is_unknown_but_an_altered_header_is_not() -> None:
    raw = sign()
    whole = read_proof(raw[:-10], True, ()).signatures[0]
    assert whole.body is BodyHash.UNREAD
    answers = World(zone())
    assert answers.asked(lambda lookup: dkim.verify(whole, lookup, NOW)).state is SignatureState.UNREAD
    altered = read_proof(raw.replace(b"Subject: Your", b"Subject: My")[:-10], True, ()).signatures[0]
    assert answers.asked(lambda lookup: dkim.verify(altered, lookup, NOW)).state is SignatureState.HEADER_ALTERED


def test_every_state_has_a_result() -> None:
    assert {one.result for one in SignatureState} <= set(AuthResult)
    assert [one for one in SignatureState if one.unknown] == [SignatureState.TEMPERROR, SignatureState.UNREAD]


@pytest.mark.hostile
@given(st.binary(max_size=300), st.binary(max_size=64), st.sampled_from(["rsa-sha256", "ed25519-sha256"]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_value_and_digest_never_raises(value: bytes, digest: bytes, algorithm: str) -> None:
    pair = rsa() if algorithm == "rsa-sha256" else ed25519()
    made = Signature("shop.test", "s1", algorithm, value, digest)
    found = World(zone(pair.record())).asked(lambda lookup: dkim.verify(made, lookup, NOW))
    assert found.state is (SignatureState.HEADER_ALTERED if digest else SignatureState.UNREAD)
