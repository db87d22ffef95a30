"""A database as a source: the contract on SQLite, and what is asked of any of them."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from monitor.edge.clock import SystemClock
from monitor.edge.sources import sql
from monitor.edge.sources.pages import PAGE
from monitor.edge.sources.sql import SqlReader
from monitor.model.ledger import Lines, Mails, Portion, Table
from monitor.model.secret import SecretRef, SecretSource
from monitor.model.sources import Layout, SqlSource
from monitor.ports import SecretError, SourceError
from tests.edge.sources.contract import SourceContract, portions

REF = SecretRef(SecretSource.ENV, "SHOP_DATABASE_URL")
BY_NUMBER = "SELECT id, refund FROM refunds WHERE id > :watermark ORDER BY id"
AGAIN = "SELECT id, refund FROM refunds WHERE id >= :watermark ORDER BY id"
LIMITED = "SELECT id, refund FROM refunds WHERE id >= :watermark ORDER BY id LIMIT :limit"


class OneUrl:
    def __init__(self, url: str) -> None:
        self.url = url
        self.reads = 0

    def read(self, ref: SecretRef) -> str:
        assert ref == REF
        self.reads += 1
        if not self.url:
            raise SecretError(f"secret {ref} is empty; put the value there")
        return self.url


class Shop:
    """A SQLite database of refunds, and readers of it."""

    def __init__(self, at: Path, query: str = BY_NUMBER, overlap: float = 0.0, redelivers: bool = False) -> None:
        self.at = at
        self.query = query
        self.overlap = overlap
        self.redelivers = redelivers
        self.clock = SystemClock()
        self.secrets = OneUrl(f"sqlite:///{at}")
        self.readers: list[SqlReader] = []
        self.do("CREATE TABLE refunds (id INTEGER PRIMARY KEY, refund TEXT, amount NUMERIC, changed TEXT)")

    def do(self, *statements: str) -> None:
        with sqlite3.connect(self.at) as shop:
            for statement in statements:
                shop.execute(statement)
        shop.close()

    def source(self, query: str = "", watermark: str = "id", start: str = "0", overlap: float | None = None) -> SqlReader:
        policy = SqlSource(REF, query or self.query, watermark, start, self.overlap if overlap is None else overlap, Layout())
        self.readers.append(SqlReader(policy, self.secrets, self.clock))
        return self.readers[-1]

    async def add(self, words: Sequence[str]) -> None:
        with sqlite3.connect(self.at) as shop:
            shop.executemany("INSERT INTO refunds (refund) VALUES (?)", [(word,) for word in words])
        shop.close()

    async def fail(self) -> None:
        self.do("ALTER TABLE refunds RENAME TO elsewhere")

    async def mend(self) -> None:
        self.do("ALTER TABLE elsewhere RENAME TO refunds")

    def words(self, content: Table | Lines | Mails) -> list[str]:
        assert isinstance(content, Table) and content.columns[1] == "refund" and len(content.lines) == len(content.rows)
        return [str(row[1]) for row in content.rows]

    def now(self) -> float:
        return self.clock.now().utc

    async def trace(self) -> object:
        return sorted((one.name, one.read_bytes()) for one in self.at.parent.iterdir())

    async def close(self) -> None:
        for reader in self.readers:
            await reader.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Shop]:
    shop = Shop(tmp_path / "shop.db")
    yield shop
    await shop.close()


class TestSqlite(SourceContract):
    @pytest.fixture
    async def world(self, tmp_path: Path) -> AsyncIterator[Shop]:
        shop = Shop(tmp_path / "shop.db")
        yield shop
        await shop.close()


class TestSqliteWithOverlap(SourceContract):
    @pytest.fixture
    async def world(self, tmp_path: Path) -> AsyncIterator[Shop]:
        shop = Shop(tmp_path / "shop.db", AGAIN, 100.0, redelivers=True)
        yield shop
        await shop.close()


class TestSqliteWithLimit(SourceContract):
    @pytest.fixture
    async def world(self, tmp_path: Path) -> AsyncIterator[Shop]:
        shop = Shop(tmp_path / "shop.db", LIMITED, 0.0, redelivers=True)
        yield shop
        await shop.close()


def rows(found: Sequence[Portion]) -> list[tuple[object, ...]]:
    return [tuple(row) for portion in found for row in portion.content.rows]  # type: ignore[union-attr]


async def refused(reader: SqlReader, position: str = "") -> SourceError:
    with pytest.raises(SourceError) as caught:
        await reader.read(position, 10.0)
    assert "\n" not in str(caught.value)
    return caught.value


# --- what is asked --------------------------------------------------------------------------------------------------------


async def test_the_overlap_brings_what_was_committed_late(world: Shop) -> None:
    world.do("INSERT INTO refunds VALUES (1, 'a', 1, '2026-05-01 10:00:00'), (2, 'b', 1, '2026-05-01 10:05:00.250')")
    reader = world.source("SELECT * FROM refunds WHERE changed > :watermark ORDER BY changed", "changed", "2026-01-01", 60.0)
    first = await portions(reader)
    world.do("INSERT INTO refunds VALUES (3, 'late', 1, '2026-05-01 10:04:30'), (4, 'too late', 1, '2026-05-01 10:03:00')")
    after = await portions(reader, first[-1].position)
    assert [row[1] for row in rows(after)] == ["late", "b"]


@pytest.mark.parametrize("query", [BY_NUMBER, AGAIN, LIMITED, LIMITED.replace(">=", ">")])
@pytest.mark.parametrize("size", [1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE + 1])
async def test_rows_of_one_watermark_are_all_read_and_it_ends(world: Shop, query: str, size: int) -> None:
    """Before, in and behind a group that is as large as a portion or larger."""
    await world.add([f"R-{number}" for number in range(size + 7)])
    grouped = f"SELECT CASE WHEN id <= 3 THEN id WHEN id <= {size + 3} THEN 4 ELSE id END AS wm, refund FROM refunds"
    grouped = f"SELECT wm, refund FROM ({grouped}) WHERE wm {query.partition('WHERE id ')[2].replace('BY id', 'BY wm')}"
    found = await portions(world.source(grouped, "wm"))
    assert len({row[1] for row in rows(found)}) == size + 7 and len(found) < 20
    assert max(len(portion.content.rows) for portion in found) <= PAGE  # type: ignore[union-attr]
    after = await portions(world.source(grouped, "wm"), found[-1].position)
    assert {row[0] for row in rows(after)} <= {size + 7}


@pytest.mark.parametrize("query", [AGAIN, LIMITED])
async def test_rows_come_once_in_a_round_although_each_page_asks_for_its_border_again(world: Shop, query: str) -> None:
    wanted = [f"R-{number}" for number in range(25_000)]
    await world.add(wanted)
    found = await portions(world.source(query))
    assert [row[1] for row in rows(found)] == wanted and len(found) == 3


async def test_a_limit_that_one_watermark_fills_for_ever_is_said(world: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.edge.sources.pages.MOST_LIMIT", 20_000)
    await world.add([f"R-{number}" for number in range(20_000)])
    reader = world.source("SELECT 1 AS wm, refund FROM refunds WHERE wm >= :watermark ORDER BY wm LIMIT :limit", "wm")
    with pytest.raises(SourceError, match="is the same in more than 20000 rows; name a finer column") as caught:
        await portions(reader)
    assert not caught.value.transient


async def test_a_lost_portion_of_one_watermark_is_read_again(world: Shop) -> None:
    """The cursor is open then, and has moved on."""
    await world.add([f"R-{number}" for number in range(3 * PAGE)])
    reader = world.source("SELECT 1 AS wm, refund FROM refunds WHERE wm >= :watermark ORDER BY wm", "wm")
    first = await reader.read("", 10.0)
    second = await reader.read(first.position, 10.0)
    assert second.position != first.position
    again = await portions(reader, first.position)  # the second one could not be kept
    assert len({row[1] for row in rows([first, *again])}) == 3 * PAGE


async def test_a_cursor_that_nobody_reads_from_is_let_go(world: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.add([f"R-{number}" for number in range(2 * PAGE)])
    monkeypatch.setattr(sql, "HOLD", 0.0)
    reader = world.source("SELECT 1 AS wm, refund FROM refunds WHERE wm >= :watermark ORDER BY wm", "wm")
    first = await reader.read("", 10.0)
    async with asyncio.timeout(10.0):
        while reader._database._open is not None:
            await asyncio.sleep(0.01)
    world.do("DROP TABLE refunds")  # an open cursor would lock it
    assert first.more


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("SELECT id, refund FROM refunds WHERE id > :watermark ORDER BY id DESC", "goes back in the answer; write ORDER BY id"),
        ("SELECT refund, amount FROM refunds WHERE id > :watermark", "is not among the columns refund, amount; select it"),
        ("SELECT id, refund, id FROM refunds WHERE id > :watermark", "two columns id; give each column a name of its own"),
        ("SELECT x'00ff' AS id, refund FROM refunds WHERE id > :watermark", "is no time, number or text (bytes); CAST it"),
        ("SELECT id, refund FROM refunds WHERE missing > :watermark", "no such column: missing; mend the query"),
        ("SELECT id, refund FROM nowhere WHERE id > :watermark", "no such table: nowhere; mend the query"),
        ("SELECT id refund FROM FROM refunds WHERE id > :watermark", "syntax error; mend the query"),
        ("SELECT id, refund FROM refunds WHERE id > :watermark AND refund = :shop", "the parameter :shop; only :watermark and :limit"),
        ("SELECT id, refund FROM refunds", "lacks :watermark; add WHERE"),
        ("DELETE FROM refunds WHERE id > :watermark", "is no SELECT; write one"),
        ("WITH gone AS (SELECT 1) DELETE FROM refunds WHERE id > :watermark RETURNING id", "attempt to write a readonly database"),
    ],
)
async def test_a_query_that_cannot_be_read_is_a_fault_of_the_query(world: Shop, query: str, what: str) -> None:
    await world.add(["R-1", "R-2"])
    error = await refused(world.source(query))
    assert what in str(error) and not error.transient and error.mend
    assert [row[0] for row in rows(await portions(world.source()))] == [1, 2]


async def test_rows_without_a_watermark_are_named_and_the_others_are_kept(world: Shop) -> None:
    world.do("INSERT INTO refunds VALUES (1, 'a', 1, NULL), (2, 'b', 1, '2026-05-01'), (3, 'c', 1, NULL), (4, 'd', 1, '2026-05-02')")
    query = "SELECT * FROM refunds WHERE coalesce(changed, '9') > :watermark ORDER BY changed"
    found = await portions(world.source(query, "changed", "2026"))
    assert [row[1] for row in rows(found)] == ["b", "d"] and found[0].content.lines == [3, 4]  # type: ignore[union-attr]
    assert [(fault.line, fault.what, fault.column) for fault in found[0].faults] == [
        (1, "the watermark is NULL", "changed"),
        (2, "the watermark is NULL", "changed"),
    ]


async def test_a_watermark_of_another_type_than_before(world: Shop) -> None:
    await world.add(["R-1"])
    position = (await portions(world.source()))[-1].position
    other = "SELECT 'x' || id AS id, refund FROM refunds WHERE :watermark IS NOT NULL ORDER BY id"
    error = await refused(world.source(other), position)
    assert "the watermark id is text and was a number before; CAST it in the query, or give the source another name" in str(error)
    assert not error.transient


async def test_a_database_that_went_back_in_time_is_read_on_from_there(world: Shop) -> None:
    """A backup was restored."""
    reader = world.source("SELECT * FROM refunds WHERE changed >= :watermark ORDER BY changed", "changed", "2026-01-01", 60.0)
    world.do(*(f"INSERT INTO refunds VALUES ({hour}, 'h{hour}', 1, '2026-05-01 {hour}:00:00')" for hour in range(10, 20)))
    position = (await portions(reader))[-1].position
    world.do("DELETE FROM refunds WHERE id > 12")
    faults = []
    for _ in range(3):
        found = await portions(reader, position)
        position = found[-1].position
        faults += [fault for portion in found for fault in portion.faults]
    assert [fault.line for fault in faults] == [0] and "went back in time" in faults[0].what and "restore" in faults[0].mend
    assert rows(found) == []
    world.do("INSERT INTO refunds VALUES (90, 'new', 1, '2026-05-01 18:57:30')")
    found = await portions(reader, position)
    assert [row[1] for row in rows(found)] == ["new"] and not found[-1].faults


async def test_rows_that_move_on_do_not_look_like_a_restore(world: Shop) -> None:
    reader = world.source("SELECT * FROM refunds WHERE changed >= :watermark ORDER BY changed", "changed", "2026-01-01", 60.0)
    world.do("INSERT INTO refunds VALUES (1, 'a', 1, '2026-05-01 10:00:00')")
    position = (await portions(reader))[-1].position
    world.do("UPDATE refunds SET changed = '2026-05-01 11:00:00'")
    found = await portions(reader, position)
    assert [row[1] for row in rows(found)] == ["a"] and not found[-1].faults
    position = found[-1].position
    found = await portions(reader, position)
    assert found[-1].position == position and not found[-1].faults


async def test_a_row_of_a_million_characters_is_named_and_skipped(world: Shop) -> None:
    await world.add(["R-1", "x" * 1_100_000, "R-3"])
    found = await portions(world.source())
    assert [row[1] for row in rows(found)] == ["R-1", "R-3"]
    assert [(fault.line, fault.mend) for fault in found[0].faults] == [(2, "select only the columns that are needed")]


async def test_long_rows_make_short_portions(world: Shop) -> None:
    await world.add([f"{number:06d}" + "x" * 500_000 for number in range(40)])
    found = await portions(world.source())
    assert len(rows(found)) == 40 and len(found) > 2
    assert max(sum(len(str(row[1])) for row in portion.content.rows) for portion in found) < 9 * 1024 * 1024  # type: ignore[union-attr]


# --- the database ---------------------------------------------------------------------------------------------------------


async def test_a_file_that_is_not_there_is_not_made(world: Shop, tmp_path: Path) -> None:
    world.secrets.url = f"sqlite:///{tmp_path}/none.db"
    error = await refused(world.source())
    assert "unable to open database file" in str(error) and "mend the path" in error.mend and error.transient
    assert not (tmp_path / "none.db").exists()


async def test_a_file_that_is_no_database(world: Shop, tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("Dear customer, " * 100)
    world.secrets.url = f"sqlite:///{tmp_path}/letter"
    error = await refused(world.source())
    assert "file is not a database" in str(error) and not error.transient


async def test_a_locked_database_comes_back_by_itself(world: Shop) -> None:
    await world.add(["R-1"])
    writer = sqlite3.connect(world.at, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(SourceError, match="database is locked; somebody holds a lock") as caught:
        await world.source().read("", 0.5)
    assert caught.value.transient
    writer.close()
    assert len(rows(await portions(world.source()))) == 1


async def test_a_query_without_end_is_ended(world: Shop) -> None:
    endless = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT max(id) AS id FROM n WHERE id > :watermark"
    reader = world.source(endless)
    with pytest.raises(SourceError, match=r"no answer within 0\.3 s; look at the server") as caught:
        await reader.read("", 0.3)
    assert caught.value.transient
    world.query = BY_NUMBER
    reader._database._source = world.source()._database._source
    assert rows(await portions(reader)) == [], "the thread is free again"


async def test_while_a_question_hangs_no_others_pile_up(world: Shop) -> None:
    await world.add(["R-1"])
    gate, url = threading.Event(), world.secrets.url
    turns: list[float] = []

    def hang(ref: SecretRef) -> str:
        gate.wait(10.0)
        return url

    world.secrets.read = hang  # type: ignore[method-assign]
    reader = world.source()
    read = reader._database.read

    def counted(position: str, deadline: float) -> Portion:
        turns.append(deadline)
        return read(position, deadline)

    reader._database.read = counted  # type: ignore[method-assign]
    for _ in range(5):
        with pytest.raises(SourceError, match="no answer within"):
            await reader.read("", 0.05)
    gate.set()
    assert [row[1] for row in rows(await portions(reader))] == ["R-1"]
    assert len(turns) == 2, "those that were given up before their turn never asked"


@pytest.mark.parametrize(
    "url", ["", "x", "oracle://reader:hunter22@db.test/shop", "sqlite://", "sqlite:///:memory:", "mongodb://db.test/x"]
)
async def test_a_url_that_names_no_database_is_refused_without_showing_it(world: Shop, url: str) -> None:
    world.secrets.url = url
    error = await refused(world.source())
    assert "SHOP_DATABASE_URL" in str(error) and "hunter22" not in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://reader:p@Zq-W0rd@127.0.0.1/shop",
        "postgresql://reader:p@Zq/W0rd@127.0.0.1/shop",
        "postgresql://reader:p@Zq/x?W0rd@127.0.0.1/shop",
        "postgresql://reader:p@Zq:W0rd@127.0.0.1/shop",
        "postgresql://rea/der:Zq-W0rd@127.0.0.1/shop",
        "mysql://reader:W0rd@Zq@127.0.0.1:1/shop",
        "postgresql://reader:pw@127.0.0.1/shop?application_name=W0rd@Zq",
    ],
)
async def test_a_password_with_an_at_shows_nothing_of_itself(world: Shop, url: str) -> None:
    world.secrets.url = url
    reader = world.source()
    error = await refused(reader)
    assert not error.transient and "%40" in error.mend
    shown = f"{error} {error.detail} {error.mend} {reader._database.where}"
    assert "W0rd" not in shown and "Zq" not in shown


async def test_the_name_of_a_sqlite_file_may_hold_an_at(world: Shop, tmp_path: Path) -> None:
    other = Shop(tmp_path / "shop@home.db")
    await other.add(["S-1"])
    world.secrets.url = other.secrets.url
    assert [row[1] for row in rows(await portions(world.source()))] == ["S-1"]


async def test_the_secret_is_read_at_each_connection(world: Shop, tmp_path: Path) -> None:
    await world.add(["R-1"])
    reader = world.source()
    position = (await portions(reader))[-1].position
    before = world.secrets.reads
    await portions(reader, position)
    assert world.secrets.reads == before, "connected still"
    await reader._work(reader._database.close, 5.0)
    other = Shop(tmp_path / "other.db")
    await other.add(["S-1", "S-2"])
    world.secrets.url = other.secrets.url
    assert [row[1] for row in rows(await portions(reader, position))] == ["S-2"]


@pytest.mark.parametrize("missing", ["sqlalchemy", "psycopg", "pymysql"])
async def test_without_the_extra_it_says_how_to_install_it(world: Shop, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world.secrets.url = "mysql://reader@127.0.0.1:1/shop" if missing == "pymysql" else "postgresql://reader@127.0.0.1:1/shop"
    monkeypatch.setitem(sys.modules, missing, None)
    error = await refused(world.source())
    assert error.mend == "install it: pip install 'mailcanary[sql]'" and missing in error.detail and not error.transient


async def test_a_wal_database_is_read_beside_its_writer(world: Shop) -> None:
    writer = sqlite3.connect(world.at, isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("INSERT INTO refunds (refund) VALUES ('R-1')")
    reader = world.source()
    found = await portions(reader)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO refunds (refund) VALUES ('R-2')")
    assert rows(await portions(reader, found[-1].position)) == []
    writer.execute("COMMIT")
    assert [row[1] for row in rows(await portions(reader, found[-1].position))] == ["R-2"]
    writer.close()
