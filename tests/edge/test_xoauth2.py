"""XOAUTH2, to IMAP and to SMTP: what we say, what a refusal becomes, that the token is read anew. Against scripts and the lab."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.edge.imap import ImapMailbox
from monitor.edge.secret import SystemSecrets
from monitor.edge.smtp import SmtpSubmitter
from monitor.edge.tls import TlsContexts
from monitor.lab import Fault, Lab, LabSpec
from monitor.model.address import Address, SeedList
from monitor.model.mail import BlindCause
from monitor.model.policy import LoginMethod, Security, SmtpPath
from monitor.model.secret import SecretRef, SecretSource
from monitor.model.submission import Misconfigured, Outcome, Postponed, Step, Taken
from monitor.ports import MailboxError
from tests.edge.imap.accounts import QuickClock, mailbox, policy, watch
from tests.edge.imap.scripted import Peer, serving
from tests.fakes.paths import PASSWORD_REF, SEEDS, StubSecrets, mail, smtp_policy
from tests.fakes.relay import Peer as RelayPeer
from tests.fakes.relay import Play, ScriptedRelay

TOKEN = "ya29.a0AfB-token_of.the/hour=="
USER = "seed@box.test"
SASL = b64encode(f"user={USER}\1auth=Bearer {TOKEN}\1\1".encode())
REASON = b'{"status":"400","schemes":"Bearer","scope":"https://mail.test/ ' + TOKEN.encode() + b'"}'
CHALLENGE = b64encode(REASON)
LIST = (b'* LIST () "/" INBOX',)


def box(port: int, token: str = TOKEN, username: str = USER) -> ImapMailbox:
    return mailbox(policy(port, login=LoginMethod.XOAUTH2, username=username), token)


# ---- IMAP -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("initial", [True, False], ids=["SASL-IR", "after the go-ahead"])
async def test_imap_login(initial: bool) -> None:
    capabilities = b"IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2" + (b" SASL-IR" if initial else b"")

    async def script(peer: Peer) -> None:
        peer.send(b"* OK [CAPABILITY " + capabilities + b"] hello")
        if initial:
            tag = await peer.hear(b"AUTHENTICATE XOAUTH2 " + SASL)
        else:
            tag = await peer.hear(b"AUTHENTICATE XOAUTH2")
            assert peer.heard[-1].endswith(b"XOAUTH2")
            peer.send(b"+ ")
            assert await peer.line() == SASL
        peer.send(tag + b" OK [CAPABILITY IMAP4rev1 IDLE] in")
        await peer.answer(b"LIST", *LIST)
        await peer.bye()

    async with serving(script) as port:
        opened = box(port)
        assert [folder.name for folder in await opened.open()] == ["INBOX"]
        await opened.close()


@pytest.mark.parametrize("initial", [True, False], ids=["SASL-IR", "after the go-ahead"])
async def test_imap_refusal_is_answered_with_an_empty_line_and_tells_its_reason(initial: bool) -> None:
    async def script(peer: Peer) -> None:
        peer.send(b"* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2" + (b" SASL-IR" if initial else b"") + b"] hello")
        tag = await peer.hear(b"AUTHENTICATE XOAUTH2")
        if not initial:
            peer.send(b"+ ")
            await peer.line()
        peer.send(b"+ " + CHALLENGE)
        assert await peer.line() == b"", "not *, which would hide the server's last word"
        peer.send(tag + b" NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)")
        await peer.gone()

    async with serving(script) as port:
        with pytest.raises(MailboxError) as caught:
            await box(port).open()
    error = caught.value
    assert error.cause is BlindCause.AUTH_REFUSED
    assert "Invalid credentials" in error.detail and '"status":"400"' in error.detail
    assert error.mend.startswith("the access token was refused: renew it ({env: SEED_PASSWORD})")
    assert TOKEN not in str(error) and SASL.decode() not in str(error)


async def test_imap_a_server_that_is_not_ready_is_not_a_refusal() -> None:
    async def script(peer: Peer) -> None:
        peer.send(b"* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR] hello")
        await peer.answer(b"AUTHENTICATE XOAUTH2", status=b"NO [UNAVAILABLE] try later")
        await peer.gone()

    async with serving(script) as port:
        with pytest.raises(MailboxError) as caught:
            await box(port).open()
    assert caught.value.cause is BlindCause.UNREACHABLE


async def test_imap_without_the_mechanism_no_token_is_sent() -> None:
    async def script(peer: Peer) -> None:
        peer.send(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello")
        await peer.gone()
        assert peer.heard == []

    async with serving(script) as port:
        with pytest.raises(MailboxError, match="does not offer AUTH=XOAUTH2") as caught:
            await box(port).open()
    assert caught.value.cause is BlindCause.AUTH_REFUSED


@pytest.mark.parametrize(("token", "username"), [("a\1b", USER), ("a\nb", USER), (TOKEN, "a\1auth=Bearer x")])
async def test_imap_what_would_break_the_format_is_refused(token: str, username: str) -> None:
    with pytest.raises(MailboxError, match="nothing was sent") as caught:
        await box(1, token, username).open()
    assert caught.value.cause is BlindCause.MISCONFIGURED


# ---- SMTP -------------------------------------------------------------------------------------------------------------

OFFERS: Play = {"EHLO": b"250-relay.test\r\n250 AUTH PLAIN LOGIN XOAUTH2\r\n", "AUTH": b"235 2.7.0 Accepted\r\n"}


async def submitted(play: Play, token: str = TOKEN, username: str = USER) -> tuple[Outcome, ScriptedRelay]:
    async with ScriptedRelay(play) as relay:
        path = smtp_policy(relay.port, username=username)
        assert isinstance(path.via, SmtpPath)
        path = replace(path, via=replace(path.via, login=LoginMethod.XOAUTH2))
        submitter = SmtpSubmitter(path, SEEDS, StubSecrets({PASSWORD_REF.name: token}), TlsContexts().get)
        outcome = await submitter.submit(mail(), 30.0)
        await submitter.close()
    assert TOKEN not in repr(outcome)
    return outcome, relay


async def test_smtp_login() -> None:
    outcome, relay = await submitted(OFFERS)
    assert isinstance(outcome, Taken)
    said = next(line for line in relay.peers[0].heard if line.startswith("AUTH"))
    assert said == f"AUTH XOAUTH2 {SASL.decode()}"


async def test_smtp_refusal_is_answered_with_an_empty_line() -> None:
    answers: list[bytes] = []

    async def refuse(peer: RelayPeer) -> None:
        await peer.say(b"334 " + CHALLENGE + b"\r\n")
        answers.append(await peer.reader.readline())
        await peer.say(b"535 5.7.8 Username and Token not accepted: " + TOKEN.encode() + b" " + SASL + b"\r\n")

    outcome, relay = await submitted({**OFFERS, "AUTH": refuse})
    assert isinstance(outcome, Misconfigured) and outcome.step is Step.AUTH
    assert "not accepted: *** ***" in outcome.detail
    assert outcome.mend == f"the access token was refused: renew it ({{env: RELAY_PASSWORD}}), and check the username {USER}"
    assert answers == [b"\r\n"] and "MAIL" not in relay.heard[0]


async def test_smtp_a_relay_that_cannot_check_now_defers() -> None:
    outcome, _ = await submitted({**OFFERS, "AUTH": b"454 4.7.0 Temporary authentication failure\r\n"})
    assert isinstance(outcome, Postponed) and outcome.step is Step.AUTH


async def test_smtp_without_the_mechanism_no_token_is_sent() -> None:
    outcome, relay = await submitted({**OFFERS, "EHLO": b"250-relay.test\r\n250 AUTH PLAIN LOGIN\r\n"})
    assert isinstance(outcome, Misconfigured) and "only AUTH plain login" in outcome.detail
    assert "AUTH" not in relay.heard[0]


@pytest.mark.parametrize(("token", "username"), [("a\1b", USER), ("a\r\nb", USER), (TOKEN, "a\1b")])
async def test_smtp_what_would_break_the_format_is_refused(token: str, username: str) -> None:
    outcome, relay = await submitted(OFFERS, token, username)
    assert isinstance(outcome, Misconfigured) and "control character" in outcome.detail
    assert relay.peers == []


# ---- the lab, with a token that a program prints ----------------------------------------------------------------------


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with Lab(LabSpec(mailboxes_per_provider=1, password=TOKEN, smtp_credentials=("shop", TOKEN))) as running:
        yield running


class Printed:
    """A program that prints what stands in a file; the file is renewed, the configuration is not."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "token"
        self.ref = SecretRef(SecretSource.COMMAND, f"cat '{self._file}'")
        self.secrets = SystemSecrets({"PATH": os.environ["PATH"]})

    def now(self, token: str) -> None:
        self._file.write_text(token + "\n")


async def test_lab_imap_with_a_token_that_expires_and_is_renewed(lab: Lab, tmp_path: Path) -> None:
    printed = Printed(tmp_path)
    at = lab.imap["aurora.test"].listeners["tls"].port
    account = policy(at, Security.TLS, LoginMethod.XOAUTH2, "seed1@aurora.test", lab.description.ca_file)
    opened = ImapMailbox(replace(account, password=printed.ref), watch(10.0), printed.secrets, TlsContexts().get, QuickClock())
    with pytest.raises(MailboxError) as unreadable:
        await opened.open()
    assert unreadable.value.cause is BlindCause.MISCONFIGURED and "exit code 1" in unreadable.value.detail
    printed.now("an expired one")
    with pytest.raises(MailboxError) as caught:
        await opened.open()
    assert caught.value.cause is BlindCause.AUTH_REFUSED and "renew it ({command: cat " in caught.value.mend
    assert "an expired one" not in str(caught.value)
    printed.now(TOKEN)
    assert "INBOX" in [folder.name for folder in await opened.open()]
    await opened.close()


async def test_lab_smtp_with_a_token_that_expires_and_is_renewed(lab: Lab, tmp_path: Path) -> None:
    printed = Printed(tmp_path)
    path = smtp_policy(lab.smtp.listeners["starttls"].port, Security.STARTTLS, lab.description.ca_file, "shop")
    assert isinstance(path.via, SmtpPath)
    path = replace(path, via=replace(path.via, login=LoginMethod.XOAUTH2, password=printed.ref))
    seed = Address.parse("seed1@aurora.test")
    submitter = SmtpSubmitter(path, SeedList.of([seed]), printed.secrets, TlsContexts().get)
    printed.now("an expired one")
    outcome = await submitter.submit(mail(seed), 30.0)
    assert isinstance(outcome, Misconfigured) and "535" in outcome.detail and "renew it" in outcome.mend
    printed.now(TOKEN)
    assert isinstance(await submitter.submit(mail(seed), 30.0), Taken)
    await lab.switch_on(Fault.AUTH_REFUSED)
    assert isinstance(await submitter.submit(mail(seed), 30.0), Taken), "the connection is kept; its login holds"
    await submitter.close()
