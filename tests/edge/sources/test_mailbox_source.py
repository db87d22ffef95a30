"""A journal mailbox as a source: the contract against the lab's IMAP server, and what it does with folders, marks and faults."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from monitor.edge.clock import SystemClock
from monitor.edge.sources.mailbox import JournalMailbox, _is_read
from monitor.edge.tls import TlsContexts
from monitor.lab import Fault, Lab, LabSpec, Scope
from monitor.lab.store import Account
from monitor.lab.store import Folder as StoredFolder
from monitor.model.ledger import Lines, Mails, Portion, Table
from monitor.model.mail import Folder
from monitor.model.policy import FolderNames, Security
from monitor.model.sources import MailboxSource
from monitor.ports import SourceError
from tests.edge.imap.accounts import OneSecret, policy, watch
from tests.edge.mailbox_contract import letter, subjects
from tests.edge.sources.contract import SourceContract, portions


class Journal:
    """One account of the lab, which gets copies."""

    redelivers = False

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.account: Account = lab.store.resolve("seed1@aurora.test")
        self.password = OneSecret(lab.spec.password)
        self.clock = SystemClock()
        self.sources: list[JournalMailbox] = []

    def source(self, timeout: float = 10.0, **changes: object) -> JournalMailbox:
        port = self.lab.imap["aurora.test"].listeners["tls"].port
        box = policy(port, Security.TLS, username=self.account.address, ca_file=self.lab.description.ca_file)
        box = replace(box, **changes)  # type: ignore[arg-type]
        self.sources.append(JournalMailbox(MailboxSource(box), watch(timeout), self.password, TlsContexts().get, self.clock))
        return self.sources[-1]

    def folder(self, name: str) -> StoredFolder:
        found = self.account.folder(name)
        assert found is not None
        return found

    def make(self, name: str, *attributes: str) -> None:
        self.account.folders[name] = StoredFolder(name, attributes, uidvalidity=900 + len(self.account.folders))

    def deliver(self, folder: str, subject: str, age: timedelta = timedelta(0), flags: Sequence[str] = ()) -> None:
        self.lab.store.append(self.folder(folder), letter(subject), flags=flags, internaldate=datetime.now(UTC) - age)

    async def add(self, words: Sequence[str]) -> None:
        for word in words:
            self.deliver("INBOX", word)

    async def fail(self) -> None:
        await self.lab.switch_on(Fault.IMAP_DOWN, Scope(mailbox=self.account.address))

    async def mend(self) -> None:
        await self.lab.clear_faults()

    def words(self, content: Table | Lines | Mails) -> list[str]:
        assert isinstance(content, Mails)
        return subjects(content.copies)

    def now(self) -> float:
        return self.clock.now().utc

    async def trace(self) -> object:
        return {
            name: [(message.uid, sorted(message.flags)) for message in folder.messages] for name, folder in self.account.folders.items()
        }

    async def close(self) -> None:
        for source in self.sources:
            await source.close()


@pytest.fixture
async def world() -> AsyncIterator[Journal]:
    async with Lab(LabSpec(mailboxes_per_provider=1)) as lab:
        journal = Journal(lab)
        yield journal
        await journal.close()


class TestJournalMailbox(SourceContract):
    many = 250

    @pytest.fixture
    async def world(self) -> AsyncIterator[Journal]:
        async with Lab(LabSpec(mailboxes_per_provider=1)) as lab:
            journal = Journal(lab)
            yield journal
            await journal.close()


def read(world: Journal, found: Sequence[Portion]) -> list[str]:
    return [word for portion in found for word in world.words(portion.content)]


# --- which folders, and from when -----------------------------------------------------------------------------------------


async def test_every_folder_is_read_but_those_that_the_owner_fills(world: Journal) -> None:
    for name, attributes in {"Archive": (), "Work": (), "Odd & Käufe": (), "Spam2": ("\\Junk",), "Everything": ("\\All",)}.items():
        world.make(name, *attributes)
    for name in list(world.account.folders):
        world.deliver(name, f"in-{len(name)}-{name.encode().hex()}")
    found = await portions(world.source(folders=FolderNames(ignore=("Work",))))
    names = {bytes.fromhex(word.rpartition("-")[2]).decode() for word in read(world, found)}
    unread = {"\\trash", "\\sent", "\\drafts", "\\all", "\\noselect"}
    skipped = {name for name, folder in world.account.folders.items() if {flag.lower() for flag in folder.attributes} & unread}
    assert skipped, "the lab has such folders"
    assert names == set(world.account.folders) - skipped - {"Work"}
    assert {portion.origin for portion in found if portion.content.copies} == names  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("folder", "is_read"),
    [
        (Folder("INBOX", "INBOX", frozenset({"\\trash"})), True),
        (Folder("Inbox", "Inbox"), True),
        (Folder("Junk", "Junk", frozenset({"\\junk"})), True),
        (Folder("Archiv", "Archiv", frozenset({"\\archive"})), True),
        (Folder("Papierkorb", "Papierkorb", frozenset({"\\trash"})), False),
        (Folder("Gesendet", "Gesendet", frozenset({"\\sent"})), False),
        (Folder("sent", "sent"), False),
        (Folder("INBOX.Trash", "INBOX.Trash"), False),
        (Folder("INBOX/Drafts", "INBOX/Drafts"), False),
        (Folder("[Gmail]/All Mail", "[Gmail]/All Mail"), False),
        (Folder("Sent refunds", "Sent refunds"), True),
    ],
)
def test_which_folders_are_read(folder: Folder, is_read: bool) -> None:
    assert _is_read(folder, FolderNames()) is is_read


async def test_the_first_read_begins_with_the_day_before(world: Journal) -> None:
    world.deliver("INBOX", "old", timedelta(days=4))
    world.deliver("INBOX", "of-yesterday", timedelta(hours=20))
    world.deliver("INBOX", "new")
    assert read(world, await portions(world.source())) == ["of-yesterday", "new"]


async def test_a_new_folder_and_a_new_uidvalidity_are_read_from_the_last_news_on(world: Journal) -> None:
    source = world.source()
    await world.add(["a"])
    found = await portions(source)
    world.deliver("INBOX", "late", timedelta(days=9))
    found = await portions(source, found[-1].position)
    assert read(world, found) == ["late"], "new to the folder, whatever its date"
    world.make("2027")
    world.deliver("2027", "moved-long-ago", timedelta(days=9))
    world.deliver("2027", "b")
    found = await portions(source, found[-1].position)
    assert read(world, found) == ["b"]
    world.lab.store.renew_uidvalidity(world.folder("INBOX"))
    await world.add(["c"])
    found = await portions(source, found[-1].position)
    assert read(world, found) == ["a", "c"], "by their Message-ID known or new; what is older was read"


async def test_a_folder_that_is_gone_leaves_the_position(world: Journal) -> None:
    source = world.source()
    world.make("2026")
    world.deliver("2026", "a")
    found = await portions(source)
    assert "2026" in found[-1].position
    del world.account.folders["2026"]
    after = await portions(source, found[-1].position)
    assert "2026" not in after[-1].position and after[-1].read_until is not None


async def test_read_until_is_when_the_round_began(world: Journal) -> None:
    """What comes into a folder that was passed already is of the next round."""
    await world.add(["a"])
    source = world.source()
    before = world.now()
    first = await source.read("", 20.0)
    assert world.words(first.content) == ["a"] and first.more
    after = world.now()
    rest = await portions(source, first.position)
    assert rest[-1].read_until is not None and before <= rest[-1].read_until <= after


async def test_after_news_a_new_folder_is_read_from_them_on(world: Journal) -> None:
    source = world.source()
    position = json.loads((await portions(source))[-1].position)
    position["since"] -= 30 * 86_400
    quiet = await portions(source, json.dumps(position))
    assert json.loads(quiet[-1].position)["since"] == position["since"], "nothing came"
    await world.add(["a"])
    news = await portions(source, quiet[-1].position)
    world.make("2026")
    world.deliver("2026", "of-last-week", timedelta(days=9))
    assert read(world, await portions(source, quiet[-1].position)) == ["a", "of-last-week"]
    assert read(world, await portions(source, news[-1].position)) == []


async def test_a_round_begins_anew_at_another_position(world: Journal) -> None:
    """The second portion could not be kept."""
    world.make("Z-last")
    await world.add([f"n{number}" for number in range(150)])
    world.deliver("Z-last", "z")
    source = world.source()
    first = await source.read("", 20.0)
    assert first.more
    second = await source.read(first.position, 20.0)
    again = await portions(source, first.position)
    assert set(world.words(second.content)) <= set(read(world, again))
    assert set(read(world, [first, *again])) == {f"n{number}" for number in range(150)} | {"z"}


async def test_when_half_of_the_time_is_over_an_empty_portion_says_that_there_is_more(world: Journal) -> None:
    for number in range(5):
        world.make(f"F{number}")
    world.deliver("F4", "at-last")
    source = world.source()

    class Hurried(SystemClock):
        """Each look takes ten seconds."""

        def now(self):  # type: ignore[no-untyped-def]
            self.at = getattr(self, "at", super().now()).plus(10.0)
            return self.at

    source._clock = Hurried()
    found = await portions(source)
    assert read(world, found) == ["at-last"]
    assert len(found) > 3 and all(portion.more for portion in found[:-1])


# --- faults ---------------------------------------------------------------------------------------------------------------


async def test_one_connection_serves_many_reads_and_a_cut_one_is_replaced(world: Journal) -> None:
    source = world.source()
    position = (await portions(source))[-1].position
    kept = source._mailbox._connection  # type: ignore[attr-defined]
    await world.add(["a"])
    found = await portions(source, position)
    assert read(world, found) == ["a"] and source._mailbox._connection is kept  # type: ignore[attr-defined]
    kept.transport.close()
    await world.add(["b"])
    with pytest.raises(SourceError) as caught:
        await portions(source, found[-1].position)
    assert caught.value.transient and caught.value.mend
    assert read(world, await portions(source, found[-1].position)) == ["b"]


async def test_a_refused_login_is_not_transient_and_a_mended_one_is_used(world: Journal) -> None:
    source = world.source()
    await world.add(["a"])
    world.password.value = "not the password"
    with pytest.raises(SourceError, match="auth_refused") as caught:
        await source.read("", 10.0)
    assert not caught.value.transient and caught.value.mend and "not the password" not in str(caught.value)
    world.password.value = world.lab.spec.password
    assert read(world, await portions(source)) == ["a"]


async def test_a_server_that_hangs_costs_the_deadline_and_no_more(world: Journal) -> None:
    source = world.source(timeout=30.0)
    position = (await portions(source))[-1].position
    await world.lab.switch_on(Fault.IMAP_HANG)
    with pytest.raises(SourceError, match=r"no answer within 0\.3 s") as caught:
        await source.read(position, 0.3)
    assert caught.value.transient
    await world.lab.switch_off(Fault.IMAP_HANG)
    await world.add(["a"])
    assert read(world, await portions(source, position)) == ["a"]


async def test_nothing_is_marked_or_deleted(world: Journal) -> None:
    world.deliver("INBOX", "unread")
    world.deliver("INBOX", "read", flags=("\\Seen", "\\Flagged"))
    before = await world.trace()
    await portions(world.source(clean_up=True))
    assert await world.trace() == before
