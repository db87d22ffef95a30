"""aioimaplib's 19 traps (reference/libraries.md section 2), each met by a scripted server, and each without effect."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from base64 import b64encode

import pytest

from monitor.model.instant import Instant
from monitor.model.mail import BlindCause, Folder, Mark
from monitor.model.policy import LoginMethod
from monitor.ports import MailboxError
from tests.edge.imap.accounts import mailbox, policy
from tests.edge.imap.scripted import Peer, serving
from tests.edge.mailbox_contract import now

INBOX = Folder("INBOX", "INBOX")
LONG = 30.0


def message(uid: int, text: bytes = b"Subject: x\r\n\r\nhi\r\n", number: int = 1) -> bytes:
    return b'* %d FETCH (UID %d INTERNALDATE " 7-Nov-2026 10:00:00 +0000" RFC822.SIZE %d BODY[]<0> {%d}\r\n%b)' % (
        number,
        uid,
        len(text),
        len(text),
        text,
    )


async def test_1_the_server_closes_during_idle() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine()
        await peer.begin_idle()
        peer.close()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        with pytest.raises(MailboxError) as caught:
            await box.idle(LONG)
        assert caught.value.cause is BlindCause.CLOSED
        await box.close()


async def test_1_bye_during_idle_is_reported_with_its_text() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine()
        await peer.begin_idle()
        peer.send(b"* BYE [UNAVAILABLE] maintenance at noon")
        await peer.gone()  # the server itself keeps the connection open: BYE is enough

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        with pytest.raises(MailboxError, match="maintenance at noon") as caught:
            await box.idle(LONG)
        assert caught.value.cause is BlindCause.CLOSED


@pytest.mark.parametrize("command", ["EXAMINE", "UID SEARCH", "UID FETCH", "IDLE"])
async def test_2_the_server_closes_during_a_command(command: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        if command != "EXAMINE":
            await peer.examine()
        if command == "UID FETCH":
            await peer.answer(b"UID SEARCH", b"* SEARCH 7")
        await peer.hear(command.encode())
        peer.close()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        with pytest.raises(MailboxError) as caught:
            await (box.idle(LONG) if command == "IDLE" else box.look(INBOX, None, now()))
        assert caught.value.cause is BlindCause.CLOSED


@pytest.mark.parametrize("in_one_packet", [True, False])
async def test_3_thousands_of_lines_and_hundreds_of_literals_in_one_packet(in_one_packet: bool) -> None:
    noise = [b"* %d FETCH (FLAGS (\\Seen))" % number for number in range(1, 5001)]
    literals = [message(uid, b"old", uid) for uid in range(1, 501)]
    new = [message(uid, b"new %d" % uid, uid) for uid in range(600, 610)]

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine(uidnext=610)
        tag = await peer.hear(b"UID FETCH 600:*")
        data = b"\r\n".join([*noise, *literals, *new, tag + b" OK done"]) + b"\r\n"
        for start in range(0, len(data), len(data) if in_one_packet else 777):
            peer.raw(data[start : start + (len(data) if in_one_packet else 777)])
            await asyncio.sleep(0)
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        look = await box.look(INBOX, Mark(5, 600), now())
        assert [copy.raw for copy in look.copies] == [b"new %d" % uid for uid in range(600, 610)]
        assert look.mark == Mark(5, 610)
        await box.close()


async def test_4_and_5_after_a_timeout_the_connection_is_gone_for_good() -> None:
    connections: list[Peer] = []

    async def script(peer: Peer) -> None:
        connections.append(peer)
        await peer.welcome()
        await peer.examine()
        tag = await peer.hear(b"UID SEARCH")
        if len(connections) == 1:
            await asyncio.sleep(1.2)
            peer.send(b"* SEARCH 1 2 3", tag + b" OK late")
            with contextlib.suppress(ConnectionError):
                await peer.gone()
            assert len(peer.heard) == 4, "nothing was asked on it again"
            return
        peer.send(b"* SEARCH", tag + b" OK none")
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port), timeout=1.0)
        await box.open()
        with pytest.raises(MailboxError) as caught:
            await box.look(INBOX, None, now())
        assert caught.value.cause is BlindCause.TIMEOUT and "UID SEARCH" in caught.value.detail
        with pytest.raises(MailboxError):
            await box.look(INBOX, None, now())
        await asyncio.sleep(0.4)
        await box.open()
        assert (await box.look(INBOX, None, now())).copies == ()
        await box.close()
    assert len(connections) == 2


async def test_6_a_second_task_on_the_connection_is_an_error_and_no_mix_up() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine()
        await peer.hear(b"UID SEARCH")
        await peer.gone()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        results = await asyncio.gather(
            box.look(INBOX, None, now()), *(box.look(INBOX, None, now()) for _ in range(2)), return_exceptions=True
        )
        assert all(isinstance(result, MailboxError) for result in results)


async def test_7_bytes_that_are_no_ascii() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(folders=(b'* LIST () "/" INBOX', b"* \xff\xfe\xfd", b"\xff\xfe OK", b'* LIST () "/" "\xe9t\xe9"'))
        await peer.examine()
        peer.send(b"* \xe4\xf6 EXISTS", b"\xff\xff\xff\xff", b"* OK \xff")
        await peer.answer(b"UID SEARCH", b"* SEARCH \xff 7")
        await peer.answer(b"UID FETCH 7 ", message(7))
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        folders = await box.open()
        assert folders[1].wire.encode("latin-1") == b"\xe9t\xe9"
        assert [copy.uid for copy in (await box.look(INBOX, None, now())).copies] == [7]
        await box.close()


async def test_8_a_star_inside_a_line_stays() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(folders=(b'* LIST () "/" "5* hotel * now"',))
        await peer.examine(name=b'"5* hotel * now"')
        await peer.answer(b"UID SEARCH", b"* SEARCH")
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        folders = await box.open()
        assert folders[1].name == "5* hotel * now"
        await box.look(folders[1], None, now())
        await box.close()


async def test_9_parentheses_inside_strings() -> None:
    odd = [b'* 1 FETCH (ENVELOPE (":)" "((((" "\\")" NIL) UID 6 FLAGS ())', b'* 1 FETCH (X-SMILE ":(" UID 7 RFC822.SIZE 2 BODY[]<0> ":)")']

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine()
        await peer.answer(b"UID FETCH 6:*", *odd, b"* 4 EXISTS")
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        look = await box.look(INBOX, Mark(5, 6), now())
        assert [(copy.uid, copy.raw) for copy in look.copies] == [(7, b":)")]
        assert await box.idle(LONG) is True, "the EXISTS behind the parentheses was heard"
        await box.close()


async def test_10_text_that_ends_like_a_literal() -> None:
    async def script(peer: Peer) -> None:
        peer.send(b"* OK [CAPABILITY IMAP4rev1] hello {12}")
        await peer.answer(b"LOGIN", b"* OK nothing follows {999}", b"* NO {5}", status=b"OK in {3}")
        await peer.answer(b"CAPABILITY", b"* CAPABILITY IMAP4rev1")
        await peer.answer(b"LIST", b'* LIST () "/" "a{3}"', b'* LIST () "/" {3}\r\nb{1', b"* XYZ {77}")
        await peer.examine()
        await peer.answer(b"UID SEARCH", b"* SEARCH {4}", status=b"OK {4}")
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        assert [folder.name for folder in await box.open()] == ["INBOX", "a{3}", "b{1"]
        await box.look(INBOX, None, now())
        await box.close()


@pytest.mark.parametrize("how", ["code", "untagged", "asked"])
async def test_11_capabilities_after_login_count_whatever_way_they_come(how: str) -> None:
    async def script(peer: Peer) -> None:
        peer.send(b"* OK [CAPABILITY IMAP4rev1 SASL-IR] hello")
        after = b"IMAP4rev1 UIDPLUS IDLE"
        if how == "code":
            await peer.answer(b"LOGIN", status=b"OK [CAPABILITY " + after + b"] user logged in")
        elif how == "untagged":
            await peer.answer(b"LOGIN", b"* CAPABILITY " + after)
        else:
            await peer.answer(b"LOGIN")
            await peer.answer(b"CAPABILITY", b"* CAPABILITY " + after)
        await peer.answer(b"LIST")
        await peer.examine()
        await peer.end_idle(await peer.begin_idle())
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        assert await box.idle(0.05) is False
        await box.close()


async def test_12_a_refusal_in_a_challenge_is_answered_and_told() -> None:
    async def script(peer: Peer) -> None:
        peer.send(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello")
        tag = await peer.hear(b"AUTHENTICATE PLAIN " + b64encode(b"\0seed@box.test\0secret"))
        peer.send(b"+ " + b64encode(b'{"status":"400","why":"token expired"}'))
        assert await peer.line() == b"*"
        peer.send(tag + b" NO refused")
        await peer.gone()

    async with serving(script) as port:
        with pytest.raises(MailboxError, match="token expired") as caught:
            await mailbox(policy(port, login=LoginMethod.PLAIN)).open()
        assert caught.value.cause is BlindCause.AUTH_REFUSED


async def test_13_bye_in_the_greeting_is_told() -> None:
    async def script(peer: Peer) -> None:
        peer.send(b"* BYE [LIMIT] too many connections from \x1b[31myou")
        await peer.gone()

    async with serving(script) as port:
        with pytest.raises(MailboxError, match="too many connections") as caught:
            await mailbox(policy(port)).open()
        assert caught.value.cause is BlindCause.CLOSED and "\x1b" not in caught.value.detail


async def test_13_a_server_that_speaks_only_the_new_imap() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"IMAP4rev2 AUTH=PLAIN IDLE", folders=('* LIST (\\Junk) "/" "Käufe &-"'.encode(),))
        tag = await peer.hear(b"EXAMINE {%d}" % len("Käufe &-".encode()))
        peer.send(b"+ go ahead")
        assert await peer.line() == "Käufe &-".encode()
        peer.send(b"* 1 EXISTS", b"* OK [UIDVALIDITY 5] v", b"* OK [UIDNEXT 9] n", tag + b" OK [READ-ONLY] in")
        await peer.answer(b"UID SEARCH SINCE", b'* ESEARCH (TAG "x") UID ALL 3,7:8')
        await peer.answer(b"UID FETCH 3,7,8", message(3), message(7), message(8))
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        folders = await box.open()
        assert folders[1].name == "Käufe &-", "UTF-8 as it is: IMAP4rev2 knows no modified UTF-7"
        assert len((await box.look(folders[1], None, now())).copies) == 3
        await box.close()


async def test_14_users_and_passwords_are_quoted_or_literals() -> None:
    async def script(peer: Peer) -> None:
        peer.send(b"* OK [CAPABILITY IMAP4rev1] hello")
        tag = await peer.hear(b'LOGIN "a \\"b\\\\ c" {9}')
        peer.send(b"+ go ahead")
        assert await peer.line() == "pässwör".encode()
        peer.send(tag + b" OK [CAPABILITY IMAP4rev1] in")
        await peer.answer(b"LIST")
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port, username='a "b\\ c'), "pässwör")
        await box.open()
        await box.close()


@pytest.mark.parametrize("bad", ["se\rcret", "se\ncret", "se\0cret"])
@pytest.mark.parametrize("login", list(LoginMethod))
async def test_14_a_line_end_in_a_secret_is_never_sent(bad: str, login: LoginMethod) -> None:
    connections: list[Peer] = []

    async def script(peer: Peer) -> None:
        connections.append(peer)

    async with serving(script) as port:
        with pytest.raises(MailboxError) as caught:
            await mailbox(policy(port, login=login), bad).open()
        assert caught.value.cause is BlindCause.MISCONFIGURED and "cret" not in caught.value.detail.replace("secret {env", "")
    assert not connections


async def test_15_examine_that_fails_leaves_nothing_selected() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(b"EXAMINE", status=b"NO [NONEXISTENT] Mailbox doesn't exist")
        await peer.gone()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        with pytest.raises(MailboxError, match="doesn't exist") as caught:
            await box.look(INBOX, None, now())
        assert caught.value.cause is BlindCause.FOLDER_MISSING
        with pytest.raises(MailboxError):
            await box.idle(1)


async def test_16_pushes_of_one_idle_do_not_wake_the_next() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine(uidnext=8, exists=3)
        await peer.answer(b"UID SEARCH", b"* SEARCH")
        tag = await peer.begin_idle()
        peer.send(b"* 4 EXISTS", b"* 4 EXISTS", b"* 1 RECENT", b"* OK still here")
        await peer.end_idle(tag)
        await peer.answer(b"UID FETCH 8:*", message(8))
        tag = await peer.begin_idle()
        peer.send(b"* OK Still here", b"* 4 EXISTS", b"* 1 RECENT")  # nothing new in this
        await peer.end_idle(tag)
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        mark = (await box.look(INBOX, None, now())).mark
        assert await box.idle(LONG) is True
        assert [copy.uid for copy in (await box.look(INBOX, mark, now())).copies] == [8]
        assert await box.idle(0.1) is False
        await box.close()


async def test_17_no_log_shows_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.bye()

    caplog.set_level(logging.DEBUG)
    secret = 'top"secret\\'
    async with serving(script) as port:
        box = mailbox(policy(port), secret)
        await box.open()
        assert secret not in repr(box) + repr(vars(box._connection))
        await box.close()
    assert logging.getLogger("aioimaplib.aioimaplib").getEffectiveLevel() == logging.WARNING
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    "said",
    [
        b'NO unknown: LOGIN "seed@box.test" "pass \\"word\\\\" {x}',
        b'BAD LOGIN pass "word\\ is no command',
        b"NO " + b"x" * 190 + b' pass "word\\ tail',
    ],
)
async def test_17_a_server_that_repeats_the_password(said: bytes) -> None:
    async def script(peer: Peer) -> None:
        peer.send(b"* OK [CAPABILITY IMAP4rev1] hello")
        await peer.answer(b"LOGIN", status=said)
        await peer.gone()

    async with serving(script) as port:
        with pytest.raises(MailboxError) as caught:
            await mailbox(policy(port), 'pass "word\\').open()
        assert caught.value.cause is BlindCause.AUTH_REFUSED
        assert "pass" not in caught.value.detail and "SEED_PASSWORD" in caught.value.mend


async def test_18_search_names_no_charset_and_an_english_day() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine()
        tag, _, rest = (await peer.line()).partition(b" ")
        assert rest == b"UID SEARCH SINCE 28-Feb-2026"
        peer.send(b"* SEARCH", tag + b" OK")
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        await box.look(INBOX, None, Instant(1772323260.0, 0.0, "test"))  # 2026-03-01 00:01 UTC
        await box.close()


async def test_19_no_search_line_means_no_hit_and_a_refusal_is_no_result() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine(uidnext=8)
        await peer.answer(b"UID SEARCH", status=b"OK 12 34 done in 7 ms")
        await peer.examine(uidnext=8)
        await peer.answer(b"UID SEARCH", b"* SEARCH 5", status=b"NO [UNAVAILABLE] 12 busy")
        await peer.gone()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        look = await box.look(INBOX, None, now())
        assert look.copies == () and look.mark == Mark(5, 8)
        with pytest.raises(MailboxError) as caught:
            await box.look(INBOX, None, now())
        assert caught.value.cause is BlindCause.PROTOCOL
