"""What every Mailbox owes, whatever server it talks to (ports.Mailbox)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from monitor.edge.clock import SystemClock
from monitor.model.instant import Instant
from monitor.model.mail import BlindCause, Copy, Folder, Look, Mark
from monitor.ports import Mailbox, MailboxError

LONG = 20.0  # an announcement must come within; never waited for in full
SHORT = 0.3  # nothing may come within
MAX_RAW = 512 * 1024


class World(Protocol):
    """One account, its folders and a hand on the server. `junk` and `odd` are further folders that exist, named as people read them;
    `odd` needs modified UTF-7. `special_use`: the server tells which folder is junk."""

    junk: str
    odd: str
    special_use: bool

    def mailbox(self, password: str | None = None) -> Mailbox:
        """A new one, not yet open; with another password than the right one if given."""
        ...

    async def deliver(self, folder: str, raw: bytes, flags: Iterable[str] = (), internaldate: datetime | None = None) -> None: ...

    async def flags(self, folder: str) -> dict[int, set[str]]:
        """UID -> flags in lower case without \\recent, seen by another client."""
        ...

    async def renew_uidvalidity(self, folder: str) -> None: ...

    async def remove_folder(self, folder: str) -> None: ...

    async def cut(self) -> None:
        """End all sessions of the account from the server's side."""
        ...


def letter(subject: str, size: int = 0) -> bytes:
    filler = b"0123456789abcdef" * 4 + b"\r\n"
    body = b"We refunded \xc2\xa349.90.\r\n" + filler * (size // len(filler))
    return f"From: Shop <refunds@shop.test>\r\nTo: seed@box.test\r\nSubject: {subject}\r\n\r\n".encode() + body


def now() -> Instant:
    return SystemClock().now()


def subjects(copies: Iterable[Copy]) -> list[str]:
    return [copy.raw.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode() for copy in copies]


async def everything(box: Mailbox, folder: Folder, mark: Mark | None, since: Instant) -> tuple[Mark, list[Copy]]:
    found: list[Copy] = []
    for _ in range(1_000):
        look = await box.look(folder, mark, since)
        found += look.copies
        mark = look.mark
        if not look.more:
            return mark, found
    raise AssertionError("more without end")


class MailboxContract:
    """Subclass as Test..., and give a `world` fixture."""

    @pytest.fixture
    async def box(self, world: World):
        box = world.mailbox()
        self.folders = {folder.name: folder for folder in await box.open()}
        yield box
        await box.close()

    @property
    def inbox(self) -> Folder:
        return self.folders["INBOX"]

    async def settle(self, box: Mailbox) -> Look:
        look = await box.look(self.inbox, None, now())
        assert not look.more
        return look

    # --- open -------------------------------------------------------------------------------------------------

    async def test_open_lists_inbox_first_and_each_selectable_folder_once(self, world: World) -> None:
        box = world.mailbox()
        folders = await box.open()
        await box.close()
        names = [folder.name for folder in folders]
        assert names[0] == "INBOX" and {world.junk, world.odd} <= set(names) and len(names) == len(set(names))
        assert not any(folder.attributes & {"\\noselect", "\\nonexistent"} for folder in folders)
        assert all(attribute == attribute.lower() for folder in folders for attribute in folder.attributes)
        if world.special_use:
            assert "\\junk" in next(folder for folder in folders if folder.name == world.junk).attributes

    async def test_open_again_after_close(self, world: World) -> None:
        box = world.mailbox()
        first = await box.open()
        await box.close()
        await box.close()
        assert await box.open() == first
        assert await box.open() == first, "open on an open one starts anew"
        await box.close()

    async def test_a_wrong_password_is_refused_with_the_reason_and_the_mend_and_without_the_password(self, world: World) -> None:
        box = world.mailbox("not the p4ssword")
        with pytest.raises(MailboxError) as caught:
            await box.open()
        assert caught.value.cause is BlindCause.AUTH_REFUSED
        assert caught.value.mend and len(caught.value.detail) > 20
        assert "p4ssword" not in f"{caught.value!r} {caught.value.detail} {caught.value.mend} {box!r}"

    async def test_nothing_works_on_a_closed_one(self, world: World) -> None:
        box = world.mailbox()
        for call in (box.look(Folder("INBOX", "INBOX"), None, now()), box.idle(1.0), box.remove(Folder("INBOX", "INBOX"), 1, [1])):
            with pytest.raises(MailboxError):
                await call

    async def test_folders_are_listed_anew(self, world: World, box: Mailbox) -> None:
        await self.settle(box)
        assert {folder.name: folder for folder in await box.folders()} == self.folders
        await world.remove_folder(world.odd)
        names = [folder.name for folder in await box.folders()]
        assert names[0] == "INBOX" and world.odd not in names and world.junk in names
        assert await box.idle(SHORT) is False, "and INBOX is watched on"

    # --- look -------------------------------------------------------------------------------------------------

    async def test_look_from_the_mark(self, world: World, box: Mailbox) -> None:
        first = await self.settle(box)
        assert first.copies == () and first.mark.uidvalidity > 0
        await world.deliver("INBOX", letter("one"))
        await world.deliver("INBOX", letter("two"))
        second = await box.look(self.inbox, first.mark, now())
        assert subjects(second.copies) == ["one", "two"] and not second.more
        assert second.mark.next_uid > first.mark.next_uid
        third = await box.look(self.inbox, second.mark, now())
        assert third.copies == () and third.mark == second.mark
        again = await box.look(self.inbox, first.mark, now())
        assert subjects(again.copies) == ["one", "two"], "an older mark shows them again"

    async def test_a_copy_shows_what_the_server_has(self, world: World, box: Mailbox) -> None:
        raw = letter("exact")
        before = datetime.now(UTC) - timedelta(hours=3)
        await world.deliver("INBOX", raw, internaldate=before)
        look = await box.look(self.inbox, None, now())
        (copy,) = look.copies
        assert copy.raw == raw and copy.size == len(raw) and not copy.truncated
        assert copy.folder == self.inbox and copy.uidvalidity == look.mark.uidvalidity and copy.uid < look.mark.next_uid
        assert copy.internaldate is not None and abs(copy.internaldate - before.timestamp()) < 2

    async def test_without_a_mark_old_mail_is_left_alone(self, world: World, box: Mailbox) -> None:
        await world.deliver("INBOX", letter("old"), internaldate=datetime.now(UTC) - timedelta(days=10))
        await world.deliver("INBOX", letter("yesterday"), internaldate=datetime.now(UTC) - timedelta(hours=20))
        await world.deliver("INBOX", letter("today"))
        look = await box.look(self.inbox, None, now())
        assert subjects(look.copies) == ["yesterday", "today"]
        assert (await box.look(self.inbox, look.mark, now())).copies == ()

    async def test_only_old_mail(self, world: World, box: Mailbox) -> None:
        await world.deliver("INBOX", letter("old"), internaldate=datetime.now(UTC) - timedelta(days=10))
        look = await box.look(self.inbox, None, now())
        assert look.copies == ()
        await world.deliver("INBOX", letter("new"))
        assert subjects((await box.look(self.inbox, look.mark, now())).copies) == ["new"], "n:* must not show the last message again"

    async def test_another_uidvalidity_starts_anew(self, world: World, box: Mailbox) -> None:
        odd = self.folders[world.odd]
        await world.deliver(world.odd, letter("before"))
        first = await box.look(odd, None, now())
        await box.look(self.inbox, None, now())
        await world.renew_uidvalidity(world.odd)
        await world.deliver(world.odd, letter("after"))
        second = await box.look(odd, first.mark, now())
        assert second.mark.uidvalidity != first.mark.uidvalidity
        assert "after" in subjects(second.copies) and all(copy.uidvalidity == second.mark.uidvalidity for copy in second.copies)
        assert (await box.look(odd, second.mark, now())).copies == ()

    async def test_a_burst_comes_in_bounded_looks_each_message_once(self, world: World, box: Mailbox) -> None:
        first = await self.settle(box)
        sent = [f"number {number}" for number in range(47)]
        for subject in sent:
            await world.deliver("INBOX", letter(subject))
        look = await box.look(self.inbox, first.mark, now())
        assert look.more and len(look.copies) < 47
        _, rest = await everything(box, self.inbox, look.mark, now())
        assert subjects([*look.copies, *rest]) == sent
        assert subjects((await everything(box, self.inbox, None, now()))[1]) == sent

    async def test_a_huge_message_costs_a_bounded_piece(self, world: World, box: Mailbox) -> None:
        huge, large = letter("huge", 3_000_000), letter("large", 200_000)
        await world.deliver(world.junk, huge)
        await world.deliver(world.junk, large)
        await world.deliver(world.junk, letter("small"))
        _, copies = await everything(box, self.folders[world.junk], None, now())
        assert subjects(copies) == ["huge", "large", "small"]
        assert copies[0].truncated and copies[0].size == len(huge) and huge.startswith(copies[0].raw)
        assert 100_000 < len(copies[0].raw) <= MAX_RAW
        assert copies[1].raw == large and not copies[1].truncated

    async def test_looking_leaves_no_trace(self, world: World, box: Mailbox) -> None:
        await world.deliver("INBOX", letter("untouched", 100_000))
        await world.deliver(world.odd, letter("untouched"), flags=("\\Flagged",))
        await box.look(self.inbox, None, now())
        await box.look(self.folders[world.odd], None, now())
        await box.idle(0.05)
        assert list((await world.flags("INBOX")).values()) == [set()]
        assert list((await world.flags(world.odd)).values()) == [{"\\flagged"}]

    async def test_a_folder_that_is_no_more(self, world: World, box: Mailbox) -> None:
        await world.remove_folder(world.odd)
        with pytest.raises(MailboxError) as caught:
            await box.look(self.folders[world.odd], None, now())
        assert caught.value.cause is BlindCause.FOLDER_MISSING and world.odd in caught.value.detail
        with pytest.raises(MailboxError):
            await box.look(self.inbox, None, now())
        assert world.odd not in [folder.name for folder in await box.open()]

    # --- idle -------------------------------------------------------------------------------------------------

    async def test_idle_ends_without_news(self, world: World, box: Mailbox) -> None:
        await world.deliver("INBOX", letter("known"))
        await self.settle(box)
        assert await box.idle(SHORT) is False
        assert await box.idle(0.01) is False, "and nothing is left over for the next"

    async def test_idle_right_after_open(self, world: World, box: Mailbox) -> None:
        assert await box.idle(SHORT) is False

    async def test_idle_is_woken_and_the_message_is_there(self, world: World, box: Mailbox) -> None:
        mark = (await self.settle(box)).mark
        for subject in ("one", "two", "three"):
            waiting = asyncio.ensure_future(box.idle(LONG))
            await asyncio.sleep(0.05)
            await world.deliver("INBOX", letter(subject))
            assert await waiting is True
            mark, copies = await everything(box, self.inbox, mark, now())
            assert subjects(copies) == [subject]

    async def test_news_before_idle_count(self, world: World, box: Mailbox) -> None:
        first = await self.settle(box)
        await world.deliver("INBOX", letter("between"))
        assert await box.idle(LONG) is True
        assert subjects((await box.look(self.inbox, first.mark, now())).copies) == ["between"]

    async def test_news_while_another_folder_was_open_count(self, world: World, box: Mailbox) -> None:
        first = await self.settle(box)
        junk = self.folders[world.junk]
        await box.look(junk, None, now())
        await world.deliver("INBOX", letter("meanwhile"))
        await box.look(junk, None, now())
        assert await box.idle(LONG) is True
        assert await box.idle(LONG) is True, "until somebody looks"
        second = await box.look(self.inbox, first.mark, now())
        assert subjects(second.copies) == ["meanwhile"]
        assert await box.idle(SHORT) is False

    async def test_news_in_another_folder_do_not_wake(self, world: World, box: Mailbox) -> None:
        await self.settle(box)
        await box.look(self.folders[world.junk], None, now())
        await world.deliver(world.junk, letter("junk"))
        assert await box.idle(SHORT) is False

    async def test_a_server_that_goes_away_ends_idle_at_once(self, world: World, box: Mailbox) -> None:
        first = await self.settle(box)
        waiting = asyncio.ensure_future(box.idle(LONG))
        await asyncio.sleep(0.2)
        await world.cut()
        with pytest.raises(MailboxError) as caught:
            await waiting
        assert caught.value.cause is BlindCause.CLOSED
        with pytest.raises(MailboxError):
            await box.look(self.inbox, first.mark, now())
        await box.open()
        await world.deliver("INBOX", letter("after"))
        assert subjects((await box.look(self.inbox, first.mark, now())).copies) == ["after"]

    async def test_cancelled_idle_ends_the_connection_but_not_the_mailbox(self, world: World, box: Mailbox) -> None:
        await self.settle(box)
        waiting = asyncio.ensure_future(box.idle(LONG))
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(MailboxError):
            await box.idle(SHORT)
        await box.open()
        assert await box.idle(SHORT) is False

    # --- nudge ------------------------------------------------------------------------------------------------

    async def test_a_nudge_ends_idle_at_once_without_harm(self, world: World, box: Mailbox) -> None:
        mark = (await self.settle(box)).mark
        waiting = asyncio.ensure_future(box.idle(LONG))
        await asyncio.sleep(0.1)
        box.nudge()
        assert await waiting is False
        assert await box.idle(0.01) is False
        await world.deliver("INBOX", letter("later"))
        assert await box.idle(LONG) is True, "the nudge was used up"
        assert subjects((await box.look(self.inbox, mark, now())).copies) == ["later"]

    async def test_a_nudge_before_idle_counts_for_the_next(self, world: World, box: Mailbox) -> None:
        await self.settle(box)
        box.nudge()
        assert await box.idle(LONG) is False

    async def test_a_nudge_of_a_closed_one_does_nothing(self, world: World) -> None:
        world.mailbox().nudge()

    # --- present ----------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("inbox", [True, False])
    async def test_present_names_those_that_are_still_there(self, world: World, box: Mailbox, inbox: bool) -> None:
        folder = self.inbox if inbox else self.folders[world.odd]
        look = await self.filled(world, box, folder, 3)
        uids = [copy.uid for copy in look.copies]
        await box.remove(folder, look.mark.uidvalidity, [uids[1]])
        assert await box.present(folder, look.mark.uidvalidity, [*uids, uids[2] + 9]) == (uids[0], uids[2])
        assert await box.present(folder, look.mark.uidvalidity + 1, uids) == ()
        assert await box.present(folder, look.mark.uidvalidity, []) == ()

    async def test_present_swallows_no_news(self, world: World, box: Mailbox) -> None:
        look = await self.filled(world, box, self.inbox, 1)
        await world.deliver("INBOX", letter("meanwhile"))
        await box.present(self.inbox, look.mark.uidvalidity, [look.copies[0].uid])
        assert await box.idle(LONG) is True
        assert subjects((await box.look(self.inbox, look.mark, now())).copies) == ["meanwhile"]

    # --- remove -----------------------------------------------------------------------------------------------

    async def filled(self, world: World, box: Mailbox, folder: Folder, count: int) -> Look:
        for number in range(count):
            await world.deliver(folder.name, letter(f"number {number}"))
        return await box.look(folder, None, now())

    @pytest.mark.parametrize("inbox", [True, False])
    async def test_remove_takes_exactly_ours(self, world: World, box: Mailbox, inbox: bool) -> None:
        folder = self.inbox if inbox else self.folders[world.odd]
        look = await self.filled(world, box, folder, 4)
        uids = [copy.uid for copy in look.copies]
        assert await box.remove(folder, look.mark.uidvalidity, [uids[2], uids[0]]) == (uids[0], uids[2])
        assert await world.flags(folder.name) == {uids[1]: set(), uids[3]: set()}
        assert (await box.look(folder, look.mark, now())).copies == ()

    async def test_remove_leaves_what_the_owner_marked_deleted(self, world: World, box: Mailbox) -> None:
        await world.deliver("INBOX", letter("owner's"), flags=("\\Deleted",))
        look = await self.filled(world, box, self.inbox, 2)
        owners, ours, other = (copy.uid for copy in look.copies)
        gone = await box.remove(self.inbox, look.mark.uidvalidity, [ours])
        left = await world.flags("INBOX")
        assert left[owners] == {"\\deleted"} and left[other] == set()
        assert gone in ((ours,), ()) and (ours in left) is (not gone)
        assert left.get(ours, set()) == set(), "what could not be removed must not stay marked"

    async def test_remove_under_another_uidvalidity_does_nothing(self, world: World, box: Mailbox) -> None:
        look = await self.filled(world, box, self.inbox, 2)
        assert await box.remove(self.inbox, look.mark.uidvalidity + 1, [copy.uid for copy in look.copies]) == ()
        assert list((await world.flags("INBOX")).values()) == [set(), set()]

    async def test_remove_of_what_is_gone_already_says_so(self, world: World, box: Mailbox) -> None:
        look = await self.filled(world, box, self.inbox, 1)
        uid = look.copies[0].uid
        assert await box.remove(self.inbox, look.mark.uidvalidity, [uid + 7]) == (uid + 7,)
        assert list(await world.flags("INBOX")) == [uid]
        assert await box.remove(self.inbox, look.mark.uidvalidity, []) == ()

    async def test_watching_goes_on_after_remove(self, world: World, box: Mailbox) -> None:
        look = await self.filled(world, box, self.inbox, 2)
        await box.remove(self.inbox, look.mark.uidvalidity, [look.copies[0].uid])
        assert await box.idle(SHORT) is False, "our own removal is no news"
        await world.deliver("INBOX", letter("later"))
        assert await box.idle(LONG) is True
        assert subjects((await box.look(self.inbox, look.mark, now())).copies) == ["later"]
        assert {flag for flags in (await world.flags("INBOX")).values() for flag in flags} == set()
