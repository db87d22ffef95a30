"""Key records: what is read from them, and why one is no good."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.rules.mailauth.dkim import read_key
from monitor.rules.mailauth.dkim.known import PUBLISHED
from tests.rules.dkim.signing import ed25519, rsa

GOOD = rsa().record()
P = GOOD.partition("p=")[2]


def shaped(modulus: int, exponent: int = 65537) -> str:
    """An RSA key with any numbers, in DER by hand: the library refuses to write bad ones."""

    def integer(value: int) -> bytes:
        data = value.to_bytes(value.bit_length() // 8 + 1, "big")
        return b"\x02" + length(len(data)) + data

    def length(size: int) -> bytes:
        octets = size.to_bytes((size.bit_length() + 7) // 8 or 1, "big")
        return octets if size < 128 else bytes([0x80 | len(octets)]) + octets

    content = integer(modulus) + integer(exponent)
    return "v=DKIM1; p=" + base64.b64encode(b"\x30" + length(len(content)) + content).decode()


def elliptic() -> str:
    der = generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; p={base64.b64encode(der).decode()}"


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"p={P}",
        f"v=DKIM1;p={P};",
        f" v = DKIM1 ; k = RSA ; p = {P[:50]} \t {P[50:]} ; ",
        f"v=DKIM1; g=; n=a note; zz=1; p={P}",
        f"k=rsa; p={P}",
    ],
)
def test_good(text: str) -> None:
    key = read_key(text)
    assert (key.fault, key.kind, key.bits, key.revoked) == ("", "rsa", 2048, False)
    assert key.modulus == read_key(GOOD).modulus and key.digest == read_key(GOOD).digest


@pytest.mark.parametrize(
    "text, fault",
    [
        ("", "p= is missing"),
        ("v=DKIM1", "p= is missing"),
        (f"k=rsa; v=DKIM1; p={P}", "v= is not the first tag"),
        (f"v=DKIM2; p={P}", "v= is not DKIM1"),
        (f"v=dkim1; p={P}", "v= is not DKIM1"),
        (f"v=DKIM1; p={P}; p={P}", "p= stands twice"),
        (f"v=DKIM1;; p={P}", "nothing between two semicolons"),
        (f"v=DKIM1; p={P[:-1]}!", "p= is no base64"),
        (f"v=DKIM1; p={P[:-3]}", "p= is no base64"),
        (f"v=DKIM1; 1x=1; p={P}", "is no tag=value"),
        (f"v=DKIM1 p={P}", "v= is not DKIM1"),
        ("v=DKIM1; p=AAAA", "p= is no RSA public key"),
        (f"v=DKIM1; k=dsa; p={P}", "k=dsa"),
        (f"v=DKIM1; k=ed25519; p={P}", "an ed25519 key has 32 bytes"),
        (elliptic(), "but no RSA one"),
        (shaped(1 << 2047), "even"),
        (shaped((1 << 2047) | 1, 2), "exponent|no RSA"),
        (shaped((1 << 2047) | 1, 1), "exponent|no RSA"),
        (shaped((1 << 20000) | 1), "more than 16384 bits"),
        ("v=spf1 -all", "is no tag=value|is not DKIM1"),
        ("v=DKIM1; n=\xe4; p=", "characters"),
        ("x" * 70_000, "longer than"),
    ],
)
def test_bad(text: str, fault: str) -> None:
    key = read_key(text)
    assert any(part in key.fault for part in fault.split("|")), key.fault
    assert key.public is None


def test_revoked_is_no_fault() -> None:
    key = read_key("v=DKIM1; k=rsa; p=")
    assert (key.revoked, key.fault, key.public) == (True, "", None)


def test_flags_and_lists() -> None:
    key = read_key(f"v=DKIM1; t= y : S ; h=SHA256:sha1; s=Email : other; p={P}")
    assert (key.testing, key.strict, key.hashes, key.services, key.for_mail) == (True, True, ("sha256", "sha1"), ("email", "other"), True)
    assert key.allows("rsa-sha256") and not read_key(f"h=sha1; p={P}").allows("rsa-sha256")


def test_modulus_is_the_same_in_both_forms() -> None:
    numbers: RSAPublicNumbers = rsa().private.public_key().public_numbers()  # type: ignore[assignment, union-attr]
    bare = read_key(shaped(numbers.n, numbers.e))
    assert bare.modulus == read_key(GOOD).modulus
    assert bare.digest != read_key(GOOD).digest


def test_ed25519() -> None:
    key = read_key(ed25519().record())
    assert (key.kind, key.bits, key.fault) == ("ed25519", 256, "")


def test_published_keys_are_known() -> None:
    example = read_key("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    assert example.modulus in PUBLISHED
    assert read_key(GOOD).modulus not in PUBLISHED


@pytest.mark.hostile
@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from(["v=DKIM1", "p=", P, ";", "k=", "rsa", "ed25519", " ", "=", "t=y", "h=", ":"])).map("".join)
)
@settings(max_examples=80, deadline=None, derandomize=True)
def test_any_text_is_read(text: str) -> None:
    key = read_key(text)
    assert bool(key.public) == (not key.fault and not key.revoked)
    assert len(key.fault) < 200


@pytest.mark.hostile
@given(st.binary(max_size=400))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_any_octets_as_a_key(data: bytes) -> None:
    read_key(f"v=DKIM1; p={base64.b64encode(data).decode()}")
