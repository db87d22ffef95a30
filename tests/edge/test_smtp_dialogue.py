"""Every way in which the dialogue with a relay can end, one row each, against a relay that plays a script."""

from __future__ import annotations

import asyncio
import socket

import pytest

from monitor.edge.smtp import SmtpSubmitter
from monitor.edge.tls import TlsContexts
from monitor.model.address import Address, Domain, SeedList
from monitor.model.secret import SecretRef, SecretSource
from monitor.model.submission import (
    Declined,
    MailSubmission,
    Misconfigured,
    Outcome,
    Postponed,
    Reply,
    Step,
    Taken,
    Unanswered,
    Unreached,
)
from tests.fakes.paths import PASSWORD, PASSWORD_REF, SEED, SEEDS, StubSecrets, mail, request, smtp_policy
from tests.fakes.relay import Act, Peer, Play, ScriptedRelay, drop, hold, reset, then_drop

TIMES_OUT = 1.0
LONG = 30.0


async def attempt(
    *plays: Play, deadline: float = LONG, message: MailSubmission | None = None, **policy: object
) -> tuple[Outcome, ScriptedRelay]:
    async with ScriptedRelay(*plays) as relay:
        submitter = SmtpSubmitter(smtp_policy(relay.port, **policy), SEEDS, StubSecrets(), TlsContexts().get)  # type: ignore[arg-type]
        outcome = await submitter.submit(message or mail(), deadline)
        await submitter.close()
    assert PASSWORD not in repr(outcome)
    return outcome, relay


async def in_pieces(peer: Peer) -> None:
    for piece in (b"25", b"0-2.1.", b"0 first\r", b"\n250 2.1.0", b" second\r", b"\n"):
        await peer.say(piece)
        await asyncio.sleep(0.001)


async def trickle(peer: Peer) -> None:
    while not peer.reader.at_eof():
        await peer.say(b"250-still thinking\r\n")
        await asyncio.sleep(0.02)


async def after_a_line(peer: Peer) -> None:
    await peer.say(b"354 go ahead\r\n")
    await peer.reader.readline()
    peer.reset()


async def flood(peer: Peer) -> None:
    with pytest.raises(ConnectionError):
        while True:
            await peer.say(b"250-" + b"x" * 1000 + b"\r\n")


UNTOUCHED = (Unreached, Step.CONNECT)

ROWS: dict[str, tuple[Play, type[Outcome], Step | None, str]] = {
    # banner and greeting
    "drop before the banner": ({"connect": drop}, *UNTOUCHED, "closed the connection"),
    "reset before the banner": ({"connect": reset}, *UNTOUCHED, "closed the connection"),
    "banner 421": ({"connect": b"421 4.3.2 too busy\r\n"}, Postponed, Step.CONNECT, "421 4.3.2 too busy"),
    "banner 554": ({"connect": b"554 5.7.1 listed\r\n"}, Declined, Step.CONNECT, "554 5.7.1 listed"),
    "banner with an odd code": ({"connect": b"250 hello\r\n"}, *UNTOUCHED, "250 hello"),
    "banner of another protocol": ({"connect": b"* OK IMAP4rev1 ready\r\n"}, *UNTOUCHED, "not SMTP"),
    "EHLO and HELO refused": ({"EHLO": b"502 no\r\n", "HELO": b"550 5.7.1 go away\r\n"}, Declined, Step.CONNECT, "550 5.7.1 go away"),
    "HELO postponed": ({"EHLO": b"502 no\r\n", "HELO": b"450 4.7.1 later\r\n"}, Postponed, Step.CONNECT, "450 4.7.1 later"),
    "EHLO postponed": ({"EHLO": b"450 4.3.2 later\r\n"}, Postponed, Step.CONNECT, "450 4.3.2 later"),
    "EHLO 421": ({"EHLO": b"421 4.3.2 closing\r\n"}, Postponed, Step.CONNECT, "421 4.3.2 closing"),
    "drop after EHLO": ({"EHLO": drop}, *UNTOUCHED, "closed the connection"),
    # envelope
    "MAIL postponed": ({"MAIL": b"451 4.7.0 slow down\r\n"}, Postponed, Step.MAIL_FROM, "451 4.7.0 slow down"),
    "MAIL 421": ({"MAIL": b"421 4.7.0 bye\r\n"}, Postponed, Step.MAIL_FROM, "421 4.7.0 bye"),
    "MAIL declined": ({"MAIL": b"550 5.1.8 bad sender\r\n"}, Declined, Step.MAIL_FROM, "550 5.1.8 bad sender"),
    "MAIL wants AUTH": ({"MAIL": b"530 5.7.0 Authentication required\r\n"}, Declined, Step.MAIL_FROM, "530 5.7.0 Authentication required"),
    "drop after MAIL": ({"MAIL": drop}, Unreached, Step.MAIL_FROM, "closed the connection"),
    "garbage after MAIL": ({"MAIL": b"\x00\xff\x1b[2J nonsense\r\n"}, Unreached, Step.MAIL_FROM, "not SMTP: "),
    "354 after MAIL": ({"MAIL": b"354 what?\r\n"}, Unreached, Step.MAIL_FROM, "354 what?"),
    "code out of range": ({"MAIL": b"099 hm\r\n"}, Unreached, Step.MAIL_FROM, "unexpected reply"),
    "endless reply": ({"MAIL": flood}, Unreached, Step.MAIL_FROM, "not SMTP"),
    "RCPT postponed": ({"RCPT": b"450 4.2.0 Greylisted\r\n"}, Postponed, Step.RCPT_TO, "450 4.2.0 Greylisted"),
    "RCPT declined": ({"RCPT": b"550-5.1.1 no such\r\n550 5.1.1 user\r\n"}, Declined, Step.RCPT_TO, "550 5.1.1 no such user"),
    "drop after RCPT": ({"RCPT": drop}, Unreached, Step.RCPT_TO, "closed the connection"),
    "two replies to RCPT": ({"RCPT": b"250 ok\r\n354 go ahead\r\n"}, Unreached, Step.DATA, "nobody asked"),
    # content
    "DATA postponed": ({"DATA": b"451 4.3.0 no space\r\n"}, Postponed, Step.DATA, "451 4.3.0 no space"),
    "DATA declined": ({"DATA": b"554 5.5.1 no valid recipients\r\n"}, Declined, Step.DATA, "554 5.5.1 no valid recipients"),
    "DATA answered 250": ({"DATA": b"250 fine\r\n"}, Unreached, Step.DATA, "250 fine"),
    "drop before 354": ({"DATA": drop}, Unreached, Step.DATA, "closed the connection"),
    "reply to the content before the content": ({"DATA": b"354 go\r\n250 2.0.0 queued\r\n"}, Unreached, Step.DATA, "nobody asked"),
    "drop with 354": ({"DATA": then_drop(b"354 go ahead\r\n")}, Unanswered, Step.DATA, "closed the connection"),
    "drop in a message that was all written": ({"DATA": after_a_line}, Unanswered, Step.DATA, "closed the connection"),
    "drop after the final dot": ({"end": drop}, Unanswered, Step.DATA, "closed the connection"),
    "reset after the final dot": ({"end": reset}, Unanswered, Step.DATA, "closed the connection"),
    "garbage after the final dot": ({"end": b"queued, I think\r\n"}, Unanswered, Step.DATA, "not SMTP: queued, I think"),
    "354 after the final dot": ({"end": b"354 more?\r\n"}, Unanswered, Step.DATA, "354 more?"),
    "half a reply, then drop": ({"end": then_drop(b"250 2.0.0 Ok: que")}, Unanswered, Step.DATA, "closed the connection"),
    "end postponed": ({"end": b"451 4.3.0 try later\r\n"}, Postponed, Step.DATA, "451 4.3.0 try later"),
    "end 421": ({"end": b"421 4.3.0 shutting down\r\n"}, Postponed, Step.DATA, "421 4.3.0 shutting down"),
    "end declined": ({"end": b"554 5.7.1 looks like spam\r\n"}, Declined, Step.DATA, "554 5.7.1 looks like spam"),
    # what is well
    "EHLO refused, HELO taken": ({"EHLO": b"502 5.5.1 unknown\r\n"}, Taken, None, "queued as 4XyZ12"),
    "replies in pieces": ({"MAIL": in_pieces}, Taken, None, "queued as 4XyZ12"),
    "RCPT 251": ({"RCPT": b"251 will forward\r\n"}, Taken, None, "queued as 4XyZ12"),
    "reply without text": ({"end": b"250\r\n"}, Taken, None, "250"),
    "reply that is no UTF-8": ({"end": b"250 caf\xe9\x07\x1b[1m\r\n"}, Taken, None, "250 caf\ufffd [1m"),
}


@pytest.mark.parametrize("row", ROWS)
async def test_dialogue(row: str) -> None:
    play, kind, step, words = ROWS[row]
    outcome, relay = await attempt(play)
    assert type(outcome) is kind
    assert getattr(outcome, "step", None) is step
    reply = getattr(outcome, "reply", None)
    assert words in (str(reply) if reply else outcome.detail)  # type: ignore[union-attr]
    assert len(relay.peers) == 1


WAITS: dict[str, tuple[Play, type[Outcome], Step]] = {
    "no banner": ({"connect": hold}, Unreached, Step.CONNECT),
    "EHLO": ({"EHLO": hold}, Unreached, Step.CONNECT),
    "MAIL": ({"MAIL": hold}, Unreached, Step.MAIL_FROM),
    "RCPT": ({"RCPT": hold}, Unreached, Step.RCPT_TO),
    "DATA": ({"DATA": hold}, Unreached, Step.DATA),
    "end": ({"end": hold}, Unanswered, Step.DATA),
    "trickling EHLO": ({"EHLO": trickle}, Unreached, Step.CONNECT),
    "trickling end": ({"end": trickle}, Unanswered, Step.DATA),
}


async def test_the_deadline_ends_every_wait() -> None:
    async def row(play: Play) -> tuple[type[Outcome], Step]:
        outcome, _ = await attempt(play, deadline=TIMES_OUT)
        assert isinstance(outcome, Unreached | Unanswered)
        assert "within 1 s" in outcome.detail
        return type(outcome), outcome.step

    found = await asyncio.gather(*(row(play) for play, *_ in WAITS.values()))
    assert dict(zip(WAITS, found, strict=True)) == {name: (kind, step) for name, (_, kind, step) in WAITS.items()}


BIG = mail(message=b"Subject: big\r\n\r\n" + b"0123456789abcdef\r\n" * 1_000_000)


async def refuse_midway(peer: Peer) -> None:
    await peer.say(b"354 go ahead\r\n")
    await peer.reader.readline()
    await peer.say(b"552 5.3.4 too big\r\n")
    await hold(peer)


async def praise_midway(peer: Peer) -> None:
    await peer.say(b"354 go ahead\r\n")
    await peer.reader.readline()
    await peer.say(b"250 2.0.0 queued as 1234\r\n")
    await hold(peer)


@pytest.mark.parametrize(
    ("act", "kind", "words"),
    [
        (after_a_line, Unreached, "closed the connection"),
        (refuse_midway, Declined, "552 5.3.4 too big"),
        (praise_midway, Unreached, "unexpected reply"),
    ],
)
async def test_a_message_whose_end_was_never_written_was_not_taken(act: Act, kind: type[Outcome], words: str) -> None:
    outcome, _ = await attempt({"DATA": act}, message=BIG)
    assert type(outcome) is kind
    assert getattr(outcome, "step", None) is Step.DATA
    assert words in (str(outcome.reply) if isinstance(outcome, Declined) else outcome.detail)  # type: ignore[union-attr]


async def test_a_stuck_message_was_not_taken() -> None:
    async def stop_reading(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await peer.say(b"354 go ahead\r\n")
        await never.wait()

    never = asyncio.Event()
    async with ScriptedRelay({"DATA": stop_reading}) as relay:
        submitter = SmtpSubmitter(smtp_policy(relay.port), SEEDS, StubSecrets(), TlsContexts().get)
        assert isinstance(await submitter.submit(BIG, TIMES_OUT), Unreached)
        never.set()


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        submitter = SmtpSubmitter(smtp_policy(taken.getsockname()[1]), SEEDS, StubSecrets(), TlsContexts().get)
        outcome = await submitter.submit(mail(), LONG)
    assert isinstance(outcome, Unreached)
    assert outcome.step is Step.CONNECT
    assert "refused" in outcome.detail.lower() or "Connect call failed" in outcome.detail


async def test_the_name_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    submitter = SmtpSubmitter(smtp_policy(25, host="relay.invalid"), SEEDS, StubSecrets(), TlsContexts().get)
    outcome = await submitter.submit(mail(), LONG)
    assert outcome == Unreached(Step.CONNECT, "relay.invalid:25: the host name does not resolve: Name or service not known")


AUTH: Play = {"EHLO": b"250-relay.test\r\n250 AUTH PLAIN LOGIN\r\n", "AUTH": b"235 2.7.0 Welcome\r\n"}

AUTH_ROWS: dict[str, tuple[Play, type[Outcome], str]] = {
    "535": ({"AUTH": b"535 5.7.8 wrong\r\n"}, Misconfigured, "535 5.7.8 wrong"),
    "534": ({"AUTH": b"534 5.7.9 too weak\r\n"}, Misconfigured, "534 5.7.9 too weak"),
    "530": ({"AUTH": b"530 5.7.0 STARTTLS first\r\n"}, Misconfigured, "530 5.7.0 STARTTLS first"),
    "538": ({"AUTH": b"538 5.7.11 encrypt\r\n"}, Misconfigured, "538 5.7.11 encrypt"),
    "454": ({"AUTH": b"454 4.7.0 backend down\r\n"}, Postponed, "454 4.7.0 backend down"),
    "421": ({"AUTH": b"421 4.7.0 too many failures\r\n"}, Postponed, "421 4.7.0 too many failures"),
    "504": ({"AUTH": b"504 5.5.4 mechanism\r\n"}, Declined, "504 5.5.4 mechanism"),
    "drop": ({"AUTH": drop}, Unreached, "closed the connection"),
    "garbage": ({"AUTH": b"hello AGFkbWluAHB3\r\n"}, Unreached, "not SMTP"),
    "334 for ever": ({"AUTH": b"334 \r\n"}, Unreached, "unexpected reply"),
    "not offered": ({"EHLO": b"250 relay.test\r\n"}, Misconfigured, "offers no AUTH"),
    "only unknown mechanisms": ({"EHLO": b"250-relay.test\r\n250 AUTH GSSAPI\r\n"}, Misconfigured, "only AUTH gssapi"),
    "echo": ({"AUTH": b"500 what is AUTH PLAIN AHNob3AAY29ycmVjdCBob3JzZSBiYXR0ZXJ5 or correct horse battery\r\n"}, Declined, "*** or ***"),
    "echo, cut": ({"AUTH": b"535 what is AUTH PLAIN AHNob3AAY29ycmVjdCBob3JzZSBi\r\n"}, Misconfigured, "PLAIN ***"),
}


@pytest.mark.parametrize("row", AUTH_ROWS)
async def test_auth(row: str) -> None:
    play, kind, words = AUTH_ROWS[row]
    outcome, relay = await attempt(AUTH | play, username="shop")
    assert type(outcome) is kind
    assert getattr(outcome, "step", None) is Step.AUTH
    assert words in (str(outcome.reply) if isinstance(outcome, Declined | Postponed) else outcome.detail)  # type: ignore[union-attr]
    assert "Y29ycmVjdCBob3Jz" not in repr(outcome)
    assert relay.heard[0].count("AUTH") <= 1, "one try: more would lock the account"
    if isinstance(outcome, Misconfigured) and "offers" not in outcome.detail:
        assert "{env: RELAY_PASSWORD}" in outcome.mend


async def test_auth_login_alone() -> None:
    async def user(peer: Peer) -> None:
        await peer.say(b"334 UGFzc3dvcmQ6\r\n")
        await peer.reader.readline()
        await peer.say(b"235 2.7.0 ok\r\n")

    outcome, _ = await attempt({"EHLO": b"250-relay.test\r\n250 AUTH LOGIN\r\n", "AUTH": user}, username="shop")
    assert isinstance(outcome, Taken)


async def test_no_username_no_auth() -> None:
    outcome, relay = await attempt(AUTH)
    assert isinstance(outcome, Taken)
    assert "AUTH" not in relay.heard[0]


async def test_no_password_over_plain_text_to_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.edge.smtp.opening.is_loopback", lambda _: False)
    outcome, relay = await attempt(AUTH, username="shop")
    assert isinstance(outcome, Misconfigured)
    assert outcome.step is Step.AUTH
    assert "starttls" in outcome.mend
    assert "AUTH" not in relay.heard[0]


@pytest.mark.parametrize(
    ("policy", "step", "words"),
    [
        ({"username": "shop", "password": None}, Step.AUTH, "no password"),
        ({"username": "shop", "password": SecretRef(SecretSource.ENV, "ABSENT")}, Step.AUTH, "{env: ABSENT}"),
        ({"helo": "probe host"}, Step.CONNECT, "helo"),
    ],
)
async def test_our_own_faults_never_connect(policy: dict[str, object], step: Step, words: str) -> None:
    outcome, relay = await attempt(**policy)  # type: ignore[arg-type]
    assert isinstance(outcome, Misconfigured)
    assert outcome.step is step
    assert words in outcome.detail
    assert outcome.mend
    assert not relay.peers


@pytest.mark.parametrize(
    "message",
    [
        mail(message=b"Subject: x\r\n\r\nbare\nline"),
        mail(message=b"Subject: x\r\n\r\nbare\rreturn"),
        MailSubmission(mail().probe, Address("a\r\nRCPT TO:<x", Domain("y")), SEED, "<1@x>", b"x\r\n"),
        MailSubmission(mail().probe, SEED, Address("seed+ü", Domain("inbox.test")), "<1@x>", b"x\r\n"),
    ],
)
async def test_what_would_break_the_dialogue_never_leaves(message: MailSubmission) -> None:
    outcome, relay = await attempt(message=message)
    assert isinstance(outcome, Misconfigured)
    assert not relay.peers


async def test_the_guard_stands_before_rcpt_too() -> None:
    """Should the list of seeds differ between the first look and RCPT, the second look holds."""

    class Turncoat(SeedList):
        def admit(self, recipient: Address) -> Address:
            asked.append(recipient)
            if len(asked) > 1:
                return SeedList.of([]).admit(recipient)
            return recipient

    asked: list[Address] = []
    async with ScriptedRelay() as relay:
        submitter = SmtpSubmitter(smtp_policy(relay.port), Turncoat(frozenset()), StubSecrets(), TlsContexts().get)
        with pytest.raises(Exception, match="no configured seed"):
            await submitter.submit(mail(), LONG)
    assert "RCPT" not in relay.heard[0]


async def test_a_request_is_no_message() -> None:
    submitter = SmtpSubmitter(smtp_policy(25), SEEDS, StubSecrets(), TlsContexts().get)
    with pytest.raises(TypeError):
        await submitter.submit(request(), LONG)


async def test_what_is_said() -> None:
    _, relay = await attempt({}, message=mail(SEED.tagged("t0k3n")))
    assert relay.peers[0].heard[:-1] == [
        "EHLO probe.shop.test",
        "MAIL FROM:<refunds+0123456789ab@shop.test> SIZE=68",
        "RCPT TO:<Seed+t0k3n@inbox.test>",
        "DATA",
    ]
    assert relay.messages[0].endswith(b"\r\n..dotted\r\n.\r\n")


@pytest.mark.parametrize(("host", "greeting"), [("pod-7", "EHLO shop.test"), ("pod-7.shop.test", "EHLO pod-7.shop.test")])
async def test_greets_with_a_full_name_by_default(host: str, greeting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    _, relay = await attempt({}, helo=None)
    assert relay.peers[0].heard[0] == greeting


async def test_the_reply_is_taken_apart() -> None:
    outcome, _ = await attempt({"end": b"250-2.6.0 line one\r\n250 2.6.0 id=1abc-XYZ " + b"y" * 900 + b"\r\n"})
    assert isinstance(outcome, Taken)
    assert outcome.reply.enhanced == "2.6.0"
    assert outcome.reply.text.startswith("line one id=1abc-XYZ yyy")
    assert len(outcome.reply.text) == 500
    assert outcome.queue_id == "1abc-XYZ"
    assert outcome.reply == Reply(250, outcome.reply.text, "2.6.0")


async def test_password_is_read_at_each_connection() -> None:
    secrets = StubSecrets()
    async with ScriptedRelay(AUTH | {"end": then_drop(b"250 ok\r\n")}) as relay:
        submitter = SmtpSubmitter(smtp_policy(relay.port, username="shop"), SEEDS, secrets, TlsContexts().get)
        await submitter.submit(mail(), LONG)
        await relay.peers[0].gone.wait()
        secrets.values[PASSWORD_REF.name] = "rotated"
        await submitter.submit(mail(), LONG)
        await submitter.close()
    assert relay.peers[0].heard[1] != relay.peers[1].heard[1]
