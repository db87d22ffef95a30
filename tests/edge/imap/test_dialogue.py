"""What the mailbox says to the server, and what it makes of answers that are right but unusual."""

from __future__ import annotations

import asyncio

import pytest

from monitor.edge.clock import SystemClock
from monitor.edge.imap.reading import MAX_RAW, WINDOW
from monitor.model.mail import BlindCause, Folder, Mark
from monitor.ports import MailboxError
from tests.edge.imap.accounts import QuickClock, mailbox, policy
from tests.edge.imap.scripted import Peer, serving
from tests.edge.imap.test_traps import INBOX, LONG, message
from tests.edge.mailbox_contract import now

JUNK = Folder("Junk", "Junk")
ITEMS = b"(UID INTERNALDATE RFC822.SIZE BODY.PEEK[]<0.65536>)"


# --- round trips ----------------------------------------------------------------------------------------------------


async def test_an_announcement_costs_done_and_one_fetch() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine()
        await peer.answer(b"UID SEARCH", b"* SEARCH")
        for uid in (8, 9):
            tag = await peer.begin_idle()
            peer.send(b"* %d EXISTS" % (uid - 4))
            await peer.end_idle(tag)
            await peer.answer(b"UID FETCH %d:* %b" % (uid, ITEMS), message(uid))
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        mark = (await box.look(INBOX, None, now())).mark
        for uid in (8, 9):
            assert await box.idle(LONG)
            look = await box.look(INBOX, mark, now())
            assert [copy.uid for copy in look.copies] == [uid]
            mark = look.mark
        await box.close()


async def test_a_look_at_inbox_again_costs_one_noop_and_tells_what_noop_brings() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine()
        await peer.answer(b"UID SEARCH", b"* SEARCH")
        await peer.answer(b"NOOP")
        await peer.answer(b"NOOP", b"* 2 EXPUNGE", b"* 3 EXISTS")
        await peer.answer(b"UID FETCH 8:*", message(8))
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        mark = (await box.look(INBOX, None, now())).mark
        assert (await box.look(INBOX, mark, now())).copies == ()
        assert [copy.uid for copy in (await box.look(INBOX, mark, now())).copies] == [8]
        await box.close()


async def test_inbox_is_opened_anew_now_and_then_and_for_another_mark() -> None:
    clock = QuickClock()

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine()
        await peer.answer(b"UID SEARCH", b"* SEARCH")
        await peer.examine()
        await peer.answer(b"UID FETCH 5:*", message(5))
        await peer.examine()
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port), clock=clock)
        await box.open()
        await box.look(INBOX, None, now())
        mark = (await box.look(INBOX, Mark(5, 5), now())).mark
        assert mark == Mark(5, 8)
        late = clock.now().plus(61)
        clock.now = lambda: late  # type: ignore[method-assign]
        assert (await box.look(INBOX, mark, now())).copies == ()
        await box.close()


async def test_nothing_new_in_another_folder_costs_one_examine() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        for _ in range(2):
            await peer.examine(name=b'"Junk"')
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        for _ in range(2):
            assert (await box.look(JUNK, Mark(5, 8), now())).mark == Mark(5, 8)
        await box.close()


async def test_many_new_messages_are_searched_before_they_are_fetched() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine(uidnext=1000)
        await peer.answer(b"UID SEARCH UID 8:*", b"* SEARCH " + b" ".join(b"%d" % uid for uid in [*range(900, 930), 3]))
        tag = await peer.hear(b"UID FETCH " + b",".join(b"%d" % uid for uid in range(900, 920)) + b" ")
        peer.send(*(message(uid) for uid in range(900, 920) if uid != 905), tag + b" OK")
        assert await peer.hear(b"EXAMINE"), "more is pending: NOOP would not do"

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        look = await box.look(INBOX, Mark(5, 8), now())
        assert len(look.copies) == 19 and look.more and look.mark == Mark(5, 920), "905 vanished meanwhile"
        with pytest.raises(MailboxError):
            await box.look(INBOX, look.mark, now())  # the script ends here


async def test_a_batch_that_vanished_moves_the_mark() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine(uidnext=8)
        await peer.answer(b"UID SEARCH SINCE", b"* SEARCH 5 6 7")
        await peer.answer(b"UID FETCH 5,6,7 ", status=b"NO [EXPUNGEISSUED] some are gone")
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        look = await box.look(INBOX, None, now())
        assert look.copies == () and not look.more and look.mark == Mark(5, 8)
        await box.close()


async def test_a_refused_fetch_moves_no_mark() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine(uidnext=8)
        await peer.answer(b"UID FETCH 7:*", status=b"NO [OVERQUOTA] bandwidth limit of the day")
        await peer.gone()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        with pytest.raises(MailboxError, match="bandwidth limit"):
            await box.look(INBOX, Mark(5, 7), now())


# --- FETCH ----------------------------------------------------------------------------------------------------------


async def test_the_last_message_below_the_mark_is_no_news() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine(uidnext=12)
        await peer.answer(b"UID FETCH 10:*", message(7))
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        look = await box.look(INBOX, Mark(5, 10), now())
        assert look.copies == () and look.mark == Mark(5, 12)
        await box.close()


async def test_fetch_answers_in_any_order_with_strangers_between() -> None:
    answers = [
        b"* 9 EXISTS",
        b"* 1 FETCH (FLAGS (\\Seen) UID 4)",
        b"* 2 EXPUNGE",
        b'* 2 FETCH (BODY[]<0> {3}\r\nabc UID 10 RFC822.SIZE 3 INTERNALDATE "01-Feb-2026 00:00:00 +0100")',
        b"* 3 FETCH (UID 11 RFC822.SIZE 99 BODY[] NIL)",
        b"* 4 FETCH (UID 12 FLAGS ())",
        b"* 4 FETCH (UID 12 MODSEQ (77) BODY[]<0> {0}\r\n RFC822.SIZE 0)",
        b'* 5 FETCH (UID 13 X-GM-LABELS ("\\\\Inbox" {2}\r\n)( nested (a (b "c)"))) RFC822.SIZE 5)',
        b'* 6 FETCH (UID 14 INTERNALDATE "yesterday" BODY[] "q\\"q")',
        b"* 7 FETCH (UID 15 FLAGS (\\Recent))",
        b"* 8 FETCH (FLAGS (\\Seen))",
    ]

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine(uidnext=16)
        await peer.answer(b"UID FETCH 10:*", *answers)
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        look = await box.look(INBOX, Mark(5, 10), now())
        assert [(copy.uid, copy.size, copy.raw) for copy in look.copies] == [
            (10, 3, b"abc"),
            (11, 99, b""),
            (12, 0, b""),
            (13, 5, b""),
            (14, 3, b'q"q'),
        ]
        assert look.copies[0].internaldate == 1769900400.0 and look.copies[4].internaldate is None
        assert look.mark == Mark(5, 16), "15 said nothing of itself: it vanished"
        assert await box.idle(LONG) is True, "EXISTS and EXPUNGE among the answers are not lost"
        await box.close()


@pytest.mark.parametrize("still_there", [True, False])
async def test_a_fetch_response_that_cannot_be_read_hides_no_message(still_there: bool) -> None:
    broken = b'* 1 FETCH (UID 7 BODY[] "never closed'

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine(uidnext=9)
        await peer.answer(b"UID FETCH 7:*", broken, message(8))
        await peer.answer(b"UID SEARCH UID 7:*", b"* SEARCH 7 8")
        await peer.answer(b"UID FETCH 7,8 ", broken, message(8))
        await peer.answer(b"UID SEARCH UID 7", b"* SEARCH 7" if still_there else b"* SEARCH")
        await (peer.gone() if still_there else peer.bye())

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        if still_there:
            with pytest.raises(MailboxError) as caught:
                await box.look(INBOX, Mark(5, 7), now())
            assert caught.value.cause is BlindCause.PROTOCOL
        else:
            assert [copy.uid for copy in (await box.look(INBOX, Mark(5, 7), now())).copies] == [8]
            await box.close()


@pytest.mark.parametrize("obeys", [True, False])
async def test_a_message_of_40_megabytes_costs_half_a_mebibyte(obeys: bool) -> None:
    text = bytes(range(256)) * (MAX_RAW // 256)

    def part(origin: int, count: int) -> bytes:
        data = text[origin : origin + count]
        return b"* 1 FETCH (UID 7 RFC822.SIZE 40000000 BODY[]%b {%d}\r\n%b)" % (b"<%d>" % origin if obeys else b"", len(data), data)

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine()
        await peer.answer(b"UID FETCH 7:* " + ITEMS, part(0, WINDOW))
        await peer.answer(b"UID FETCH 7 (UID BODY.PEEK[]<65536.458752>)", part(WINDOW, MAX_RAW - WINDOW) if obeys else part(0, MAX_RAW))
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        (copy,) = (await box.look(INBOX, Mark(5, 7), now())).copies
        assert copy.raw == text and copy.size == 40_000_000 and copy.truncated
        await box.close()


async def test_many_large_messages_are_shared_among_looks() -> None:
    text = b"x" * WINDOW

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine(uidnext=17)
        big = [b"* 1 FETCH (UID %d RFC822.SIZE 900000 BODY[]<0> {%d}\r\n%b)" % (uid, WINDOW, text) for uid in range(8, 17)]
        big.insert(0, message(7, b"small"))
        await peer.answer(b"UID FETCH 7:*", *big)
        for uid in range(8, 11):
            rest = MAX_RAW - WINDOW
            await peer.answer(b"UID FETCH %d " % uid, b"* 1 FETCH (UID %d BODY[]<65536> {%d}\r\n%b)" % (uid, rest, b"y" * rest))
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        look = await box.look(INBOX, Mark(5, 7), now())
        assert [copy.uid for copy in look.copies] == [7, 8, 9, 10] and look.more and look.mark == Mark(5, 11)
        assert sum(len(copy.raw) for copy in look.copies) == 3 * MAX_RAW + len(b"small")
        assert await box.idle(LONG) is True, "there is more to look at, whatever the server announces"
        await box.close()


async def test_a_message_without_its_uid_is_a_breach() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine()
        await peer.answer(b"UID FETCH", b"* 1 FETCH (BODY[]<0> {1}\r\nx)")
        await peer.gone()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        with pytest.raises(MailboxError) as caught:
            await box.look(INBOX, Mark(5, 7), now())
        assert caught.value.cause is BlindCause.PROTOCOL


# --- EXAMINE --------------------------------------------------------------------------------------------------------


async def test_a_server_that_keeps_uidnext_to_itself() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine(uidnext=None, exists=2)
        await peer.answer(b"UID SEARCH SINCE", b"* SEARCH")
        await peer.answer(b"UID FETCH * (UID)", b"* 2 FETCH (UID 41)")
        await peer.examine(uidnext=None, exists=2, name=b'"Junk"')
        await peer.answer(b"UID FETCH 42:*", message(41))
        await peer.examine(uidnext=None, exists=3)
        await peer.answer(b"UID FETCH 42:*", message(42, number=3))
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        mark = (await box.look(INBOX, None, now())).mark
        assert mark == Mark(5, 42)
        assert (await box.look(JUNK, Mark(5, 42), now())).mark == Mark(5, 42)
        assert await box.idle(LONG) is True
        assert [copy.uid for copy in (await box.look(INBOX, mark, now())).copies] == [42]
        await box.close()


async def test_an_empty_folder_without_uidnext() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine(uidnext=None, exists=0)
        await peer.answer(b"UID SEARCH SINCE", b"* SEARCH")
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        assert (await box.look(INBOX, None, now())).mark == Mark(5, 1)
        await box.close()


async def test_uidnext_that_went_back_pulls_the_mark_along() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine(uidnext=4)
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        look = await box.look(INBOX, Mark(5, 90), now())
        assert look.copies == () and look.mark == Mark(5, 4), "a restored folder fills up below our mark"
        await box.close()


@pytest.mark.parametrize("uidvalidity", [b"", b"* OK [UIDVALIDITY 0] v", b"* OK [UIDVALIDITY x] v", b"* OK [UIDVALIDITY 99999999999] v"])
async def test_without_uidvalidity_there_is_no_look(uidvalidity: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.answer(b"EXAMINE", b"* 1 EXISTS", uidvalidity)
        await peer.gone()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        with pytest.raises(MailboxError) as caught:
            await box.look(INBOX, None, now())
        assert caught.value.cause is BlindCause.PROTOCOL


# --- LIST -----------------------------------------------------------------------------------------------------------


async def test_special_use_is_asked_for_where_it_is_offered_and_done_without_where_it_fails() -> None:
    offered = b"IMAP4rev1 SPECIAL-USE LIST-EXTENDED"

    async def script(peer: Peer) -> None:
        peer.send(b"* OK [CAPABILITY " + offered + b"] hello")
        await peer.answer(b"LOGIN", status=b"OK [CAPABILITY " + offered + b"] in")
        await peer.answer(b'LIST "" "*" RETURN (SPECIAL-USE)', status=b"BAD what?")
        await peer.answer(
            b'LIST "" "*"',
            b'* LIST (\\HasNoChildren \\Junk) "/" "Spam \\"x\\""',
            b'* LIST (\\Noselect) "/" "[Gmail]"',
            b'* LIST (\\NonExistent \\HasChildren) "." gone',
            b'* LIST () NIL plain (("CHILDINFO" ("SUBSCRIBED")))',
            b'* LIST () "/" Sent Items',
            b'* LIST () "\\\\" {9}\r\nline\r\nend',
            b'* LIST () "/" "K&AOQ-ufe"',
            b'* LIST () "/" "broken &shift"',
            b'* LIST (\\Marked) "/" inbox',
            b'* LIST () "/" plain',
            b"* LIST (((",
            b'* LIST () "/" ""',
        )
        tag = await peer.hear(b"EXAMINE {9}")
        peer.send(b"+ go")
        assert await peer.line() == b"line" and await peer.line() == b"end"
        peer.send(tag + b" NO [UNAVAILABLE] later")
        await peer.gone()

    async with serving(script) as port:
        box = mailbox(policy(port))
        folders = await box.open()
        assert [(folder.name, folder.wire) for folder in folders] == [
            ("INBOX", "INBOX"),
            ('Spam "x"', 'Spam "x"'),
            ("plain", "plain"),
            ("Sent Items", "Sent Items"),
            ("line\r\nend", "line\r\nend"),
            ("Käufe", "K&AOQ-ufe"),
            ("broken &shift", "broken &shift"),
        ]
        assert folders[0].attributes == {"\\marked"} and folders[1].attributes == {"\\hasnochildren", "\\junk"}
        with pytest.raises(MailboxError) as caught:
            await box.look(folders[4], None, now())
        assert caught.value.cause is BlindCause.PROTOCOL, "a refusal that will pass is no missing folder"


# --- idle -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["not offered", "refused", "ended by the server"])
async def test_without_idle_the_server_is_asked(why: str) -> None:
    clock = QuickClock()

    async def script(peer: Peer) -> None:
        await peer.welcome(b"IMAP4rev1" if why == "not offered" else b"IMAP4rev1 IDLE")
        await peer.examine()
        if why == "refused":
            await peer.answer(b"IDLE", status=b"NO not here")
        elif why == "ended by the server":
            peer.send(await peer.begin_idle() + b" OK enough")
        for _ in range(3):
            await peer.answer(b"NOOP", b"* 3 EXISTS")
        await peer.answer(b"NOOP", b"* 4 EXISTS")
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port), clock=clock)
        await box.open()
        assert await box.idle(LONG) is True
        assert clock.slept == [pytest.approx(5.0)] * 3
        await box.close()


async def test_an_expunge_by_others_wakes() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine()
        tag = await peer.begin_idle()
        peer.send(b"* 2 EXPUNGE")
        await peer.end_idle(tag)
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        assert await box.idle(LONG) is True
        await box.close()


async def test_an_announcement_before_the_go_ahead_and_one_after_done() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine()
        await peer.answer(b"UID SEARCH", b"* SEARCH")
        tag = await peer.hear(b"IDLE")
        peer.send(b"* 4 EXISTS", b"+ idling")
        await peer.end_idle(tag)
        await peer.answer(b"UID FETCH 8:*", message(8))
        tag = await peer.begin_idle()
        assert await peer.line() == b"DONE"
        peer.send(b"* 5 EXISTS", tag + b" OK done")
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        mark = (await box.look(INBOX, None, now())).mark
        assert await box.idle(LONG) is True
        await box.look(INBOX, mark, now())
        assert await box.idle(0.05) is True
        await box.close()


@pytest.mark.parametrize("looks", [True, False])
async def test_an_announcement_in_the_packet_that_completes_examine(looks: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        tag = await peer.hear(b"EXAMINE")
        peer.send(b"* 3 EXISTS", b"* OK [UIDVALIDITY 5] v", b"* OK [UIDNEXT 8] n", tag + b" OK in", b"* 4 EXISTS")
        if looks:
            await peer.answer(b"UID SEARCH", b"* SEARCH")
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        if looks:
            await box.look(INBOX, None, now())
        assert await box.idle(LONG) is True
        await box.close()


async def test_done_that_is_never_confirmed() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine()
        await peer.begin_idle()
        await peer.gone()

    async with serving(script) as port:
        box = mailbox(policy(port), timeout=0.2)
        await box.open()
        with pytest.raises(MailboxError) as caught:
            await box.idle(0.05)
        assert caught.value.cause is BlindCause.TIMEOUT


# --- remove ---------------------------------------------------------------------------------------------------------


async def select(peer: Peer, uidvalidity: int = 5, status: bytes = b"OK [READ-WRITE] in") -> None:
    await peer.answer(b'SELECT "Junk"', b"* 3 EXISTS", b"* OK [UIDVALIDITY %d] v" % uidvalidity, b"* OK [UIDNEXT 8] n", status=status)


async def test_remove_with_uidplus() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await select(peer)
        await peer.answer(b"UID STORE 4,6 +FLAGS.SILENT (\\Deleted)")
        await peer.answer(b"UID EXPUNGE 4,6", b"* 1 EXPUNGE")
        await peer.answer(b"UID SEARCH UID 4,6", b"* SEARCH 6")
        await peer.examine(name=b'"Junk"')
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        assert await box.remove(JUNK, 5, [6, 4, 6]) == (4,), "only what a search no longer finds is gone"
        await box.close()


async def test_remove_without_uidplus_undoes_its_flag_when_somebody_else_marks_a_message_meanwhile() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"IMAP4rev1 IDLE")
        await select(peer)
        await peer.answer(b"UID SEARCH UID 4,6", b"* SEARCH 4 6")
        await peer.answer(b"UID SEARCH DELETED", b"* SEARCH 6")
        await peer.answer(b"UID STORE 4,6 +FLAGS.SILENT (\\Deleted)")
        await peer.answer(b"UID SEARCH DELETED", b"* SEARCH 4 5 6")
        await peer.answer(b"UID STORE 4 -FLAGS.SILENT (\\Deleted)")  # 6 bore it before us
        await peer.examine(name=b'"Junk"')
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        assert await box.remove(JUNK, 5, [4, 6]) == ()
        await box.close()


async def test_remove_without_uidplus_touches_nothing_when_the_owner_marked_a_message() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"IMAP4rev1 IDLE")
        await select(peer)
        await peer.answer(b"UID SEARCH UID 4", b"* SEARCH 4")
        await peer.answer(b"UID SEARCH DELETED", b"* SEARCH 5")
        await peer.examine(name=b'"Junk"')
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        assert await box.remove(JUNK, 5, [4]) == ()
        await box.close()


async def test_our_removal_hides_no_arrival_from_a_server_without_uidnext() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.examine(uidnext=None, exists=3)
        await peer.answer(b"UID FETCH 5:*", message(5), message(6), message(7))
        await peer.answer(b"SELECT", b"* 3 EXISTS", b"* OK [UIDVALIDITY 5] v", status=b"OK [READ-WRITE] in")
        await peer.answer(b"UID STORE 5 ")
        await peer.answer(b"UID EXPUNGE 5", b"* 1 EXPUNGE")
        await peer.answer(b"UID SEARCH UID 5", b"* SEARCH")
        await peer.examine(uidnext=None, exists=3)  # 6, 7 and a new one
        await peer.answer(b"UID FETCH 8:*", message(8))
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        mark = (await box.look(INBOX, Mark(5, 5), now())).mark
        assert await box.remove(INBOX, 5, [5]) == (5,)
        assert await box.idle(LONG) is True
        assert [copy.uid for copy in (await box.look(INBOX, mark, now())).copies] == [8]
        await box.close()


@pytest.mark.parametrize("end", ["nudge", "close"])
async def test_waiting_between_two_questions_can_be_cut_short(end: str) -> None:
    asleep = asyncio.Event()

    class Patient(SystemClock):
        async def sleep(self, seconds: float) -> None:
            asleep.set()
            await asyncio.sleep(LONG)

    async def script(peer: Peer) -> None:
        await peer.welcome(b"IMAP4rev1")
        await peer.examine()
        await peer.answer(b"NOOP")
        if end == "nudge":
            await peer.answer(b"NOOP")
            await peer.bye()
        else:
            await asleep.wait()

    async with serving(script) as port:
        box = mailbox(policy(port), clock=Patient())
        await box.open()
        waiting = asyncio.ensure_future(box.idle(LONG))
        await asleep.wait()
        if end == "nudge":
            box.nudge()
            assert await waiting is False
        else:
            with pytest.raises(MailboxError) as caught:
                await waiting
            assert caught.value.cause is BlindCause.CLOSED
        await box.close()


@pytest.mark.parametrize(("uidvalidity", "status"), [(6, b"OK [READ-WRITE] in"), (5, b"OK [READ-ONLY] in")])
async def test_remove_touches_nothing_under_another_uidvalidity_or_without_the_right(uidvalidity: int, status: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await select(peer, uidvalidity, status)
        await peer.examine(name=b'"Junk"')
        await peer.bye()

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        assert await box.remove(JUNK, 5, [4]) == ()
        await box.close()


async def test_remove_of_many_goes_in_lines_of_bounded_length() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await select(peer)
        for _ in range(3):
            await peer.answer(b"UID STORE")
            await peer.answer(b"UID EXPUNGE")
            await peer.answer(b"UID SEARCH UID", b"* SEARCH")
        await peer.examine(name=b'"Junk"')
        await peer.bye()
        assert max(len(line) for line in peer.heard) < 1500

    async with serving(script) as port:
        box = mailbox(policy(port))
        await box.open()
        uids = range(4_000_000_000, 4_000_000_250)
        assert await box.remove(JUNK, 5, uids) == tuple(uids)
        await box.close()
