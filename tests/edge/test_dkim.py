"""Our DKIM signature: what dkimpy's verifier says of the bytes that we make, and of those that arrive in a mailbox of the lab."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.edge.dkim import DkimSigner
from monitor.edge.smtp import SmtpSubmitter
from monitor.edge.tls import TlsContexts
from monitor.lab import Lab, LabSpec
from monitor.model.address import Address, SeedList
from monitor.model.policy import DkimKey, PathPolicy, SmtpPath
from monitor.model.secret import SecretRef, SecretSource
from monitor.model.submission import Misconfigured, Taken
from monitor.ports import SecretError
from monitor.rules import compose
from tests.corpus import world
from tests.fakes.paths import SEEDS, StubSecrets, mail, smtp_policy
from tests.fakes.relay import ScriptedRelay

REF = SecretRef(SecretSource.FILE, "dkim.pem")
KEY = DkimKey("shop.example", "canary.2026", REF)
MESSAGE = compose.compose(world.planned(), world.IDENTITY)
FORMATS = {"PKCS#1": serialization.PrivateFormat.TraditionalOpenSSL, "PKCS#8": serialization.PrivateFormat.PKCS8}


@lru_cache
def private(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def pem(form: str = "PKCS#8", bits: int = 2048) -> str:
    return private(bits).private_bytes(serialization.Encoding.PEM, FORMATS[form], serialization.NoEncryption()).decode()


def record(name: bytes, timeout: int = 5) -> bytes:
    """The DNS, in which there is one name."""
    assert name == b"canary.2026._domainkey.shop.example."
    public = private(2048).public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return b"v=DKIM1; k=rsa; p=" + b"".join(public.splitlines()[1:-1])


def signed(message: bytes = MESSAGE, key: str | None = None) -> bytes:
    return DkimSigner(KEY, StubSecrets({REF.name: key if key is not None else pem()})).sign(message)


def verifies(message: bytes) -> bool:
    try:
        return bool(dkim.DKIM(message).verify(dnsfunc=record))
    except dkim.ValidationError:
        return False


def tags(message: bytes) -> dict[str, str]:
    field = re.sub(r"\s+", "", re.sub(r"\r\n[ \t]+", " ", message.decode())[len("DKIM-Signature:") :].partition("\r\n")[0])
    return dict(tag.split("=", 1) for tag in field.split(";"))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_composed_message_verifies(form: str, end: str) -> None:
    message = signed(key=pem(form).replace("\n", end))
    assert message.endswith(MESSAGE) and message.startswith(b"DKIM-Signature: ")
    assert verifies(message)
    found = tags(message)
    assert (found["a"], found["c"], found["d"], found["s"]) == ("rsa-sha256", "relaxed/relaxed", "shop.example", "canary.2026")
    assert "l" not in found, "the whole body is signed"
    names = found["h"].split(":")
    assert names.count("from") == 2
    assert {"subject", "to", "date", "message-id", "mime-version", "content-type", "auto-submitted", "x-mailcanary-token"} <= set(names)
    assert "reply-to" not in names, "it is not there"


def test_every_line_is_short_and_ends_in_crlf() -> None:
    field = signed()[: -len(MESSAGE)]
    assert field.endswith(b"\r\n") and not re.search(rb"(?<!\r)\n|\r(?!\n)", field)
    assert all(len(line) <= 78 for line in field.split(b"\r\n"))


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        pytest.param(lambda m: b"Received: from a by b\r\nX-Spam: no\r\n" + m, True, id="trace fields"),
        pytest.param(lambda m: m.replace(b"Subject:", b"subject: ", 1), True, id="relaxed header"),
        pytest.param(lambda m: m + b"\r\n\r\n", True, id="empty lines at the end"),
        pytest.param(lambda m: m.replace(b"Subject: ", b"Subject: Re: ", 1), False, id="subject"),
        pytest.param(lambda m: m.replace(b"X-Mailcanary-Token: ", b"X-Mailcanary-Token: a", 1), False, id="token"),
        pytest.param(lambda m: m.replace(b"refund", b"Refund"), False, id="body"),
        pytest.param(lambda m: m + b"more\r\n", False, id="footer"),
        pytest.param(lambda m: b"From: evil@evil.example\r\n" + m, False, id="second From"),
        pytest.param(lambda m: m.replace(b"\r\n\r\n", b"\r\nFrom: evil@evil.example\r\n\r\n", 1), False, id="second From below"),
    ],
)
def test_what_it_withstands(change: Callable[[bytes], bytes], holds: bool) -> None:
    assert verifies(change(signed())) is holds


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=200), max_size=6), st.booleans())
def test_any_body_verifies(lines: list[str], ended: bool) -> None:
    body = "\r\n".join(lines) + ("\r\n" if ended else "")
    assert verifies(signed(b"From: a@shop.example\r\nSubject: \xc3\xa4\r\n\r\n" + body.encode()))


def junk() -> dict[str, str]:
    encrypted = private(2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    curve = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = private(2048).public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {
        "words": "s3cr3t",
        "no base64": "-----BEGIN PRIVATE KEY-----\ns3cr3t!\n-----END PRIVATE KEY-----\n",
        "cut": pem()[:400] + "\n-----END PRIVATE KEY-----\n",
        "encrypted": encrypted.decode(),
        "another kind": curve.decode(),
        "public": public.decode(),
        "empty PEM": "-----BEGIN PRIVATE KEY-----\n\n-----END PRIVATE KEY-----\n",
    }


@pytest.mark.parametrize("kind", junk())
def test_what_is_no_key(kind: str) -> None:
    key = junk()[kind]
    with pytest.raises(SecretError, match="no private RSA key in PEM") as caught:
        signed(key=key)
    assert caught.value.__cause__ is None
    assert not any(line in str(caught.value) for line in key.splitlines() if line and not line.startswith("-----"))


def test_a_key_that_receivers_ignore() -> None:
    weak = """-----BEGIN RSA PRIVATE KEY-----
MIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8Qu
KUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQJAIJLixBy2qpFoS4DSmoEm
o3qGy0t6z09AIJtH+5OeRV1be+N4cDYJKffGzDa88vQENZiRm0GRq6a+HPGQMd2k
TQIhAKMSvzIBnni7ot/OSie2TmJLY4SwTQAevXysE2RbFDYdAiEBCUEaRQnMnbp7
9mxDXDf6AU0cN/RPBjb9qSHDcWZHGzUCIG2Es59z8ugGrDY+pxLQnwfotadxd+Uy
v/Ow5T0q5gIJAiEAyS4RaI9YG8EWx/2w0T67ZUVAw8eOMB6BIUg0Xcu+3okCIBOs
/5OiPgoTdSy7bcF9IGpSE8ZgGKzgYQVZeN97YE00
-----END RSA PRIVATE KEY-----
"""
    with pytest.raises(SecretError, match="512 bits"):
        signed(key=weak)
    assert signed(key=pem(bits=1024)).endswith(MESSAGE)


# ---- on the way out ---------------------------------------------------------------------------------------------------


def path(port: int) -> PathPolicy:
    made = smtp_policy(port)
    assert isinstance(made.via, SmtpPath)
    return replace(made, via=replace(made.via, dkim=KEY))


async def test_what_arrives_in_a_mailbox_verifies() -> None:
    seed = Address.parse("seed1@aurora.test")
    async with Lab(LabSpec(mailboxes_per_provider=1)) as lab:
        port = lab.smtp.listeners["plain"].port
        submitter = SmtpSubmitter(path(port), SeedList.of([seed]), StubSecrets({REF.name: pem()}), TlsContexts().get)
        for message in (MESSAGE, b"From: a@shop.example\r\n\r\n.\r\n..dots\r\n.\r\n", b"From: a@shop.example\r\n\r\nno end"):
            assert isinstance(await submitter.submit(mail(seed, message), 30.0), Taken)
        await submitter.close()
        arrived = [stored.raw for stored in lab.store.resolve(str(seed)).folders["INBOX"].messages]
    assert len(arrived) == 3 and all(raw.startswith(b"Return-Path:") and verifies(raw) for raw in arrived)


@pytest.mark.parametrize("values", [{}, {REF.name: "junk"}])
async def test_without_its_key_nothing_is_sent(values: dict[str, str]) -> None:
    async with ScriptedRelay() as relay:
        submitter = SmtpSubmitter(path(relay.port), SEEDS, StubSecrets(values), TlsContexts().get)
        for outcome in (await submitter.submit(mail(), 30.0), await submitter.reach(30.0)):
            assert isinstance(outcome, Misconfigured)
            assert "{file: dkim.pem}" in outcome.detail and "private RSA key in PEM" in outcome.mend
        await submitter.close()
        assert relay.peers == []


async def test_the_key_is_read_for_each_message() -> None:
    secrets = StubSecrets({REF.name: pem()})
    async with ScriptedRelay() as relay:
        submitter = SmtpSubmitter(path(relay.port), SEEDS, secrets, TlsContexts().get)
        assert isinstance(await submitter.reach(30.0), Taken)
        for _ in range(2):
            assert isinstance(await submitter.submit(mail(), 30.0), Taken)
        await submitter.close()
        assert all(message.startswith(b"DKIM-Signature:") for message in relay.messages) and len(relay.messages) == 2
    assert secrets.reads == 3


def test_the_library_is_imported_when_it_is_needed() -> None:
    code = "import sys, monitor.edge.smtp; sys.exit('dkim' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
