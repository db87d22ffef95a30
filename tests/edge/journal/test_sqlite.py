"""The journal on disk: restart, ownership, damage, durability, bounds."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest

from monitor.edge.journal import JournalError, SqliteJournal, place, sqlite, tail
from monitor.edge.journal.codec import encode
from monitor.model.facts import Fact, Paused, Resumed
from monitor.ports import JournalUnwritable
from monitor.views.world import World
from tests.edge.journal.test_contract import fact, names
from tests.views.life import HOLDING, OWN, PROBE, Life, at, planned, sighted, submitted


def telling() -> list[Fact]:
    """What a probe's life looks like, some of it still open."""
    told: list[Fact] = []

    class Recorded(Life):
        def tell(self, *facts: Fact) -> Life:
            told.extend(facts)
            return super().tell(*facts)

    Recorded().attempt(0).accept(1).see(3).see(4, mailbox=HOLDING).look(5).blind(6).jump(7, 50).close(2100)
    Recorded(planned(2200)).attempt(2200).defer(2201, 60).attempt(2260).accept(2261).look(2270)
    return told


async def restored(directory: Path) -> World:
    journal = SqliteJournal(directory)
    try:
        world = journal.restore("world", World)
        assert world.seq == journal.last
        return world
    finally:
        await journal.close()


class TestRestart:
    @pytest.mark.parametrize("cut", range(len(telling()) + 1))
    async def test_snapshot_and_tail_restore_the_view(self, tmp_path: Path, cut: int) -> None:
        journal = SqliteJournal(tmp_path)
        world = journal.restore("world", World)
        facts = telling()
        await journal.append(facts[:cut])
        await journal.save_snapshot("world", world)
        await journal.append(facts[cut:])
        await journal.close()
        assert world.seq == len(facts)
        assert world.probes
        assert world.leftovers
        assert await restored(tmp_path) == world
        with sqlite3.connect(tmp_path / "journal.sqlite3") as db:
            db.execute("DELETE FROM snapshots")
        db.close()
        assert await restored(tmp_path) == world

    async def test_the_snapshot_is_what_is_restored(self, tmp_path: Path) -> None:
        """Not a fold from the start each time: facts before it may be retired."""
        journal = SqliteJournal(tmp_path)
        world = journal.restore("world", World)
        await journal.append(telling())
        await journal.save_snapshot("world", world)
        await journal.close()
        with sqlite3.connect(tmp_path / "journal.sqlite3") as db:
            db.execute("DELETE FROM facts")
        db.close()
        assert await restored(tmp_path) == world

    async def test_places_go_on_even_if_the_newest_facts_were_retired(self, tmp_path: Path) -> None:
        journal = SqliteJournal(tmp_path)
        await journal.append([fact(1), fact(2)])
        await journal.close()
        with sqlite3.connect(tmp_path / "journal.sqlite3") as db:
            db.execute("DELETE FROM facts")
        db.close()
        journal = SqliteJournal(tmp_path)
        assert journal.last == 2
        assert [entry.seq for entry in await journal.append([fact(3)])] == [3]
        await journal.close()

    async def test_later_facts_are_folded_into_the_restored_view(self, tmp_path: Path) -> None:
        await restored(tmp_path)
        journal = SqliteJournal(tmp_path)
        world = journal.restore("world", World)
        await journal.append([Paused(at(0), "ada", "")])
        assert world.paused is not None
        await journal.close()

    async def test_a_reader_far_behind_reads_from_the_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tail, "RECENT", 5)
        journal = SqliteJournal(tmp_path)
        await journal.append([fact(number) for number in range(1, 21)])
        assert names(await journal.read(0, 4)) == ["n1", "n2", "n3", "n4"]
        assert names(await journal.read(14, 4)) == ["n15", "n16", "n17", "n18"]
        assert names(await journal.read(15)) == ["n16", "n17", "n18", "n19", "n20"]
        await journal.close()
        journal = SqliteJournal(tmp_path)
        assert len(await journal.read(0)) == 20
        await journal.append([fact(21)])
        assert names(await journal.read(19)) == ["n20", "n21"]
        await journal.close()

    @pytest.mark.parametrize("body", [b'{"seq": "not a number"}', b"\x00\xff", b'{"probes": []}'])
    async def test_a_snapshot_of_another_shape_is_ignored(self, tmp_path: Path, body: bytes) -> None:
        journal = SqliteJournal(tmp_path)
        world = journal.restore("world", World)
        await journal.append(telling())
        await journal.save_snapshot("world", world)
        await journal.close()
        with sqlite3.connect(tmp_path / "journal.sqlite3") as db:
            db.execute("UPDATE snapshots SET body = ?", (body,))
        db.close()
        assert await restored(tmp_path) == world

    async def test_a_snapshot_of_a_view_with_fewer_fields_is_ignored(self, tmp_path: Path) -> None:
        """It would load, with the new field empty."""
        journal = SqliteJournal(tmp_path)
        world = journal.restore("world", World)
        await journal.append(telling())
        await journal.save_snapshot("world", world)
        await journal.close()
        with sqlite3.connect(tmp_path / "journal.sqlite3") as db:
            db.execute("UPDATE snapshots SET schema = schema + 1, body = ?", (encode({"seq": world.seq}),))
        db.close()
        assert await restored(tmp_path) == world


class TestSchema:
    async def test_facts_of_an_unknown_kind_are_kept_and_skipped(self, tmp_path: Path) -> None:
        journal = SqliteJournal(tmp_path)
        await journal.append(telling())
        await journal.close()
        with sqlite3.connect(tmp_path / "journal.sqlite3") as db:
            db.execute("INSERT INTO facts (kind, key, at, schema, body) VALUES ('refund_seen', 'x', 1.0, 1, ?)", (b'{"amount": 5}',))
        db.close()
        journal = SqliteJournal(tmp_path)
        world = journal.restore("world", World)
        place = len(telling()) + 1
        assert world.seq == journal.last == place
        (entry,) = await journal.read(place - 1)
        assert (entry.seq, entry.kind, entry.fact) == (place, "refund_seen", None)
        await journal.append([fact(1)])
        await journal.close()
        with sqlite3.connect(tmp_path / "journal.sqlite3") as db:
            assert db.execute("SELECT body FROM facts WHERE kind = 'refund_seen'").fetchall() == [(b'{"amount": 5}',)]
        db.close()

    async def test_a_newer_major_schema_is_refused_with_the_mend(self, tmp_path: Path) -> None:
        journal = SqliteJournal(tmp_path)
        await journal.append([fact(1)])
        await journal.close()
        with sqlite3.connect(tmp_path / "journal.sqlite3") as db:
            db.execute("INSERT INTO facts (kind, key, at, schema, body) VALUES ('resumed', '', 1.0, 2, x'00')")
        db.close()
        for _ in range(2):  # the lock was let go
            with pytest.raises(JournalError, match=r"written by a newer mailcanary \(journal schema 2, .* run the newer image, or move"):
                SqliteJournal(tmp_path)


class TestOwnership:
    async def test_private(self, tmp_path: Path) -> None:
        home = tmp_path / "var" / "state"
        journal = SqliteJournal(home)
        journal.restore("world", World)
        await journal.append([fact(1)], durable=True)
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        files = {file.name: oct(stat.S_IMODE(file.stat().st_mode)) for file in home.iterdir()}
        assert files == dict.fromkeys(["lock", "journal.sqlite3", "journal.sqlite3-wal", "journal.sqlite3-shm"], "0o600")
        await journal.close()

    async def test_one_owner_at_a_time(self, tmp_path: Path) -> None:
        journal = SqliteJournal(tmp_path)
        with pytest.raises(JournalError, match="another mailcanary runs on this journal; stop it, or give this one its own state_dir"):
            SqliteJournal(tmp_path)
        await journal.close()
        await SqliteJournal(tmp_path).close()

    @pytest.mark.parametrize(
        ("mounts", "refused"),
        [
            pytest.param("{dir} nfs4", "nfs4", id="nfs"),
            pytest.param("{dir} cifs", "cifs", id="smb"),
            pytest.param("{parent} 9p", "9p", id="above it"),
            pytest.param("{parent} nfs4|{dir} ext4", None, id="a local volume below it"),
            pytest.param("{dir} ext4|{dir} nfs", "nfs", id="mounted over"),
            pytest.param("{dir} nfs4|{parent} ext4", "nfs4", id="in any order"),
            pytest.param("{parent}/sta nfs4", None, id="a name that only begins alike"),
            pytest.param("/ overlay", None, id="a container's root"),
        ],
    )
    async def test_network_filesystems_are_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounts: str, refused: str | None
    ) -> None:
        home = tmp_path / "state é with space"
        escaped = str(home).replace(" ", "\\040")
        lines = [f"source {line.format(dir=escaped, parent=tmp_path)} rw,relatime 0 0" for line in ["/ ext4", *mounts.split("|")]]
        table = tmp_path / "mounts"
        table.write_text("\n".join(lines) + "\n")
        monkeypatch.setattr(place, "MOUNTS", table)
        if refused is None:
            await SqliteJournal(home).close()
            return
        with pytest.raises(JournalError, match=f"is on {refused}, a network filesystem, .* use a local volume"):
            SqliteJournal(home)

    async def test_without_a_mount_table(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(place, "MOUNTS", tmp_path / "none")
        await SqliteJournal(tmp_path / "state").close()

    def test_the_directory_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "state").write_text("")
        with pytest.raises(JournalError, match="state_dir must be a writable local directory"):
            SqliteJournal(tmp_path / "state")

    def test_the_journal_is_a_directory(self, tmp_path: Path) -> None:
        (tmp_path / "journal.sqlite3").mkdir()
        for _ in range(2):
            with pytest.raises(JournalError, match="the journal cannot be read"):
                SqliteJournal(tmp_path)

    def test_the_journal_is_not_ours(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(path: Path, mode: int) -> None:
            raise PermissionError(1, "Operation not permitted", str(path))

        monkeypatch.setattr(Path, "chmod", refuse)
        with pytest.raises(JournalError, match=r"the journal cannot be read .*Operation not permitted"):
            SqliteJournal(tmp_path)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with some hundred facts and a snapshot in the middle."""
    home = tmp_path_factory.mktemp("grown")
    asyncio.run(grow(home))
    return home


async def grow(home: Path) -> None:
    journal = SqliteJournal(home)
    world = journal.restore("world", World)
    for number in range(30):
        await journal.append(telling())
        if number == 15:
            await journal.save_snapshot("world", world)
    await journal.close()


class TestDamage:
    @pytest.mark.parametrize(
        "damage",
        [
            pytest.param(lambda raw: b"SQLite format 4\x00" + raw[16:], id="header"),
            pytest.param(lambda raw: raw[: len(raw) // 2], id="truncated"),
            pytest.param(lambda raw: raw[:5000], id="truncated within a page"),
            pytest.param(lambda raw: raw[:4096] + bytes(len(raw) - 4096), id="zeroed"),
            pytest.param(lambda raw: raw.replace(b'{"at":', b'{"at"}'), id="bodies"),
            pytest.param(lambda raw: b"<html>404 not found</html>" * 500, id="something else"),
        ],
    )
    async def test_refused_with_the_mend(self, grown: Path, tmp_path: Path, damage: object) -> None:
        home = tmp_path / "state"
        shutil.copytree(grown, home)
        file = home / "journal.sqlite3"
        file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
        for _ in range(2):
            with pytest.raises(
                JournalError, match=r"cannot be read \(.*restore it from a backup, or move it away to start without history"
            ):
                await restored(home)

    async def test_any_flipped_bytes_are_a_journal_error_or_no_matter(self, grown: Path, tmp_path: Path) -> None:
        raw = (grown / "journal.sqlite3").read_bytes()
        refused = 0
        for seed in range(80):
            draw = random.Random(seed)
            home = tmp_path / str(seed)
            home.mkdir()
            flipped = bytearray(raw)
            for _ in range(draw.choice([1, 3, 30])):
                flipped[draw.randrange(len(raw))] ^= draw.randrange(1, 256)
            (home / "journal.sqlite3").write_bytes(flipped)
            try:
                journal = SqliteJournal(home)
            except JournalError:
                refused += 1
                continue
            try:
                journal.restore("world", World)
            except JournalError:
                refused += 1
            await journal.close()
        assert refused > 10

    async def test_a_lost_log_loses_its_tail_only(self, grown: Path, tmp_path: Path) -> None:
        """What a torn copy of a running journal looks like."""
        shutil.copy(grown / "journal.sqlite3", tmp_path)
        (tmp_path / "journal.sqlite3-wal").write_bytes(b"\x37\x7f\x06\x82" + bytes(4000))
        world = await restored(tmp_path)
        assert world.seq == 30 * len(telling())


class TestDurability:
    async def levels(self, journal: SqliteJournal, *batches: tuple[int, bool]) -> list[tuple[str, int]]:
        """The `synchronous` level in force at each COMMIT, and how many facts it committed."""
        seen: list[tuple[str, int]] = []
        level, inserts = "", 0

        def trace(statement: str) -> None:
            nonlocal level, inserts
            if statement.startswith("PRAGMA synchronous="):
                level = statement.partition("=")[2]
            elif statement.startswith("INSERT INTO facts"):
                inserts += 1
            elif statement == "COMMIT":
                seen.append((level, inserts))
                inserts = 0

        journal._db.set_trace_callback(trace)
        await asyncio.gather(*(journal.append([fact(number)] * number, durable) for number, durable in batches))
        journal._db.set_trace_callback(None)
        return seen

    async def test_durable_facts_are_committed_with_full(self, tmp_path: Path) -> None:
        journal = SqliteJournal(tmp_path)
        assert await self.levels(journal, (1, False)) == [("NORMAL", 1)]
        assert journal._db.execute("PRAGMA synchronous").fetchone() == (1,)
        assert await self.levels(journal, (2, True)) == [("FULL", 2)]
        assert journal._db.execute("PRAGMA synchronous").fetchone() == (2,)
        assert await self.levels(journal, (3, False)) == [("NORMAL", 3)]
        await journal.close()

    async def test_one_durable_fact_makes_its_whole_batch_durable_and_what_waits_is_committed_together(self, tmp_path: Path) -> None:
        journal = SqliteJournal(tmp_path)
        assert await self.levels(journal, (1, False), (2, False), (1, True), (4, False)) == [("FULL", 8)]
        await journal.close()

    async def test_write_ahead_log(self, tmp_path: Path) -> None:
        journal = SqliteJournal(tmp_path)
        assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        await journal.close()


class TestBounds:
    async def test_more_than_the_disk_can_take_is_refused_not_queued(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqlite, "MAX_WAITING", 3)
        journal = SqliteJournal(tmp_path)
        results = await asyncio.gather(*(journal.append([fact(number)]) for number in range(5)), return_exceptions=True)
        assert [type(result) for result in results] == [tuple, tuple, tuple, JournalUnwritable, JournalUnwritable]
        assert "3 appends are waiting; the disk is too slow" in str(results[4])
        assert names(await journal.append([fact(9)])) == ["n9"]
        assert names(await journal.read(0)) == ["n0", "n1", "n2", "n9"]
        await journal.close()

    async def test_close_lets_the_queue_run_empty(self, tmp_path: Path) -> None:
        journal = SqliteJournal(tmp_path)
        tasks = [asyncio.create_task(journal.append([fact(number)])) for number in range(5)]
        await asyncio.sleep(0)
        await journal.close()
        await asyncio.gather(*tasks)
        assert (await restored(tmp_path)).seq == 5

    async def test_a_snapshot_is_of_one_moment(self, tmp_path: Path) -> None:
        journal = SqliteJournal(tmp_path)
        world = journal.restore("world", World)
        await journal.append([Paused(at(0), "ada", "")])
        saving = asyncio.create_task(journal.save_snapshot("world", world))
        await asyncio.sleep(0)
        world.fold(type((await journal.read(0))[0])(2, "resumed", Resumed(at(1), "ada")))
        await saving
        await journal.close()
        restored_world = await restored(tmp_path)
        assert restored_world.seq == 1
        assert restored_world.paused is not None


async def test_facts_about_the_same_probe_share_a_key(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    await journal.append([planned(), sighted(3), *telling()[-1:], fact(1)])
    await journal.close()
    with sqlite3.connect(tmp_path / "journal.sqlite3") as db:
        rows = db.execute("SELECT kind, key, at FROM facts ORDER BY seq").fetchall()
    db.close()
    assert rows == [
        ("probe_planned", PROBE, at(0).utc),
        ("sighted", PROBE, at(3).utc),
        ("looked", OWN, at(2271).utc),
        ("resumed", "", at(1).utc),
    ]
    assert submitted().world.seq == 3
