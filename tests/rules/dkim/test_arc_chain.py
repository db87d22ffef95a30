"""ARC: chains of our own signer and of dkimpy hold, whatever is changed behind a seal breaks them, malformed ones fail."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest

from monitor.model.dns import DnsFailure
from monitor.model.mailauth import ArcProof, ArcState, DeliveredMail
from monitor.rules.mailauth.arc import MOST_SETS, verify_chain
from monitor.rules.mailauth.delivered import read_proof
from tests.rules.dkim.signing import MESSAGE, Pair, ed25519, rsa, seal, sign
from tests.rules.inspect.worlds import NOW, Dns, World

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import dkim as dkimpy

DNS = Dns({f"arc._domainkey.{domain} TXT": [rsa().record()] for domain in ("list.test", "relay.test")})


def chain(count: int, raw: bytes | None = None, pair: Pair | None = None) -> bytes:
    raw = raw or sign()
    for instance in range(1, count + 1):
        raw = seal(raw, pair, instance=instance, validation="none" if instance == 1 else "pass")
    return raw


def read(raw: bytes) -> DeliveredMail:
    return read_proof(raw, False, ())


def proved(raw: bytes, dns: Dns = DNS) -> ArcProof:
    mail = read(raw)
    return World(dns).asked(lambda lookup: verify_chain(mail, lookup, NOW))


@pytest.mark.parametrize("count", [0, 1, 2, 5, MOST_SETS])
def test_chain_holds(count: int) -> None:
    found = proved(chain(count))
    assert found.state is (ArcState.PASS if count else ArcState.NONE)
    assert len(found.sealers) == count


def test_ed25519_chain() -> None:
    dns = Dns({"arc._domainkey.list.test TXT": [ed25519().record()]})
    assert proved(chain(2, pair=ed25519()), dns).state is ArcState.PASS


def test_chain_of_dkimpy_holds() -> None:
    raw = b"Authentication-Results: mx.relay.test; spf=pass smtp.mailfrom=shop.test; arc=none\r\n" + MESSAGE
    for cv in (b"none", b"pass"):
        lines = dkimpy.arc_sign(raw, b"arc", b"relay.test", rsa().pem, b"mx.relay.test")
        assert lines, cv
        raw = b"".join(lines) + raw.replace(b"shop.test; arc=none", b"shop.test; arc=pass")
    found = proved(raw)
    assert (found.state, found.sealers) == (ArcState.PASS, ("relay.test", "relay.test"))


def test_dkimpy_takes_our_signers_chain() -> None:
    verdict, _, why = dkimpy.arc_verify(chain(3), dnsfunc=lambda name, timeout=5: rsa().record().encode())
    assert verdict == dkimpy.CV_Pass, why


@pytest.mark.parametrize(
    "old, new, why",
    [
        (b"12.00", b"99.00", "the message signature of list.test: the body"),
        (b"Subject: Your", b"Subject: My", "the message signature of list.test: a signed header"),
        (b"i=1; mx.list.test; spf=pass", b"i=1; mx.list.test; spf=fail", "seal 1"),
        (b"cv=pass", b"cv=none", "ARC set 2 says cv=none"),
        (b"cv=none", b"cv=pass", "ARC set 1 says cv=pass"),
        (b"cv=none", b"cv=fail", "ARC set 1 says cv=fail"),
        (b"cv=pass", b"cv=fail", "already found the chain broken"),
        (b"ARC-Seal: i=2", b"X-Seal: i=2", "ARC set 2 has no ARC-Seal"),
        (b"ARC-Seal: i=1", b"ARC-Seal: i=2", "two ARC-Seal fields of instance 2"),
        (b"ARC-Message-Signature: i=2;\r\n\ta=", b"ARC-Message-Signature: i=2;\r\n\txa=", "a= is missing"),
        (b"ARC-Seal: i=2;", b"ARC-Seal: i=0;", "no instance from 1 to 50"),
        (b"ARC-Seal: i=2;", b"ARC-Seal: i=2; h=from;", "a seal has no h="),
    ],
)
def test_changed(old: bytes, new: bytes, why: str) -> None:
    raw = chain(2)
    assert old in raw
    found = proved(raw.replace(old, new, 1))
    assert found.state is ArcState.FAIL and why in found.why


def test_missing_set() -> None:
    raw = chain(1, seal(sign(), instance=3, validation="pass"))
    assert "ARC set 2 has no" in proved(raw).why


def test_too_many_sets() -> None:
    found = proved(chain(MOST_SETS) + b"")
    assert found.state is ArcState.PASS
    over = b"".join(b"ARC-Seal: i=%d; x\r\n" % n for n in range(1, 200)) + sign()
    assert proved(over).state is ArcState.FAIL


def test_key_that_nobody_can_ask_for_is_temperror() -> None:
    dark = replace(DNS, fails={"arc._domainkey.list.test TXT": DnsFailure.TIMEOUT})
    assert proved(chain(2), dark).state is ArcState.TEMPERROR


def test_definite_failure_beats_an_unknown_one() -> None:
    dark = Dns({"arc._domainkey.list.test TXT": [rsa().record()]}, fails={"arc._domainkey.relay.test TXT": DnsFailure.TIMEOUT})
    mixed = seal(seal(sign()), instance=2, validation="pass", domain="relay.test")
    assert proved(mixed, dark).state is ArcState.TEMPERROR
    assert proved(mixed.replace(b"i=1; mx.list.test; spf=pass", b"i=1; mx.list.test; spf=none"), dark).state is ArcState.FAIL


def test_missing_key_fails() -> None:
    assert proved(chain(1), Dns({"list.test A": ["192.0.2.1"]})).state is ArcState.FAIL


def test_cut_header_is_unknown() -> None:
    mail = read_proof(chain(2)[:300], True, ())
    assert World(DNS).asked(lambda lookup: verify_chain(mail, lookup, NOW)).state is ArcState.TEMPERROR


def test_only_the_newest_message_signature_counts() -> None:
    """A list that changed the body sealed it anew: the older set's message signature no longer holds, its seal does."""
    first = seal(sign())
    changed = first + b"-- \r\nfooter of the list\r\n"
    assert proved(changed).state is ArcState.FAIL
    anew = seal(changed, instance=2, validation="pass")
    assert proved(anew).state is ArcState.PASS
    assert [bool(one.message.digest) for one in read(anew).arc] == [False, True]
