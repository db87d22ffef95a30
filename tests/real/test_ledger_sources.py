"""The sources of the ledger against real servers: PostgreSQL, MariaDB, Dovecot."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from monitor.edge.clock import SystemClock
from monitor.edge.sources.mailbox import JournalMailbox
from monitor.edge.sources.pages import PAGE
from monitor.edge.sources.sql import SqlReader
from monitor.edge.tls import TlsContexts
from monitor.model.ledger import Lines, Mails, Portion, Table
from monitor.model.policy import Security
from monitor.model.secret import SecretRef, SecretSource
from monitor.model.sources import Layout, MailboxSource, SqlSource
from monitor.ports import SourceError
from tests.edge.imap.accounts import OneSecret, policy, watch
from tests.edge.mailbox_contract import letter, subjects
from tests.edge.sources.contract import SourceContract, portions
from tests.real import dovecot, mariadb, postgres
from tests.real.dovecot import Dovecot
from tests.real.mariadb import Mariadb
from tests.real.postgres import Postgres

REF = SecretRef(SecretSource.ENV, "SHOP_DATABASE_URL")
READER, WORD = "reader", "p@ss/w:rd é"
BY_NUMBER = "SELECT id, refund FROM {table} WHERE id > :watermark ORDER BY id"
BY_TIME = "SELECT refund, amount, changed FROM {table} WHERE changed >= :watermark ORDER BY changed"
_numbers = count(1)

Server = Postgres | Mariadb

no_postgres = pytest.mark.skipif(postgres.absent() is not None, reason=str(postgres.absent()))
no_mariadb = pytest.mark.skipif(mariadb.absent() is not None, reason=str(mariadb.absent()))
no_dovecot = pytest.mark.skipif(dovecot.absent() is not None, reason=str(dovecot.absent()))
each_server = pytest.mark.parametrize("kind", [pytest.param("postgres", marks=no_postgres), pytest.param("mariadb", marks=no_mariadb)])


class OneUrl:
    def __init__(self, url: str) -> None:
        self.url = url

    def read(self, ref: SecretRef) -> str:
        assert ref == REF
        return self.url


class Shop:
    """A table of its own on a server, and readers of it with an account that could write."""

    redelivers = False

    def __init__(self, server: Server) -> None:
        self.server = server
        self.table = f"refunds{next(_numbers)}"
        self.secrets = OneUrl(server.url(READER, WORD))
        self.clock = SystemClock()
        self.readers: list[SqlReader] = []
        if isinstance(server, Postgres):
            columns = "id serial PRIMARY KEY, refund text, amount numeric(20,4), changed timestamptz"
        else:
            columns = "id int AUTO_INCREMENT PRIMARY KEY, refund text, amount decimal(20,4), changed datetime(6)"
        server.do(f"CREATE TABLE {self.table} ({columns})", f"GRANT ALL ON {self.table} TO {READER}")

    def do(self, *statements: str) -> None:
        self.server.do(*(statement.replace("{table}", self.table) for statement in statements))

    def source(self, query: str = BY_NUMBER, watermark: str = "id", start: str = "0", overlap: float = 0.0) -> SqlReader:
        policy = SqlSource(REF, query.replace("{table}", self.table), watermark, start, overlap, Layout())
        self.readers.append(SqlReader(policy, self.secrets, self.clock))
        return self.readers[-1]

    async def add(self, words: Sequence[str]) -> None:
        for start in range(0, len(words), 5_000):
            self.do("INSERT INTO {table} (refund) VALUES " + ",".join(f"('{word}')" for word in words[start : start + 5_000]))

    async def fail(self) -> None:
        self.do("ALTER TABLE {table} RENAME TO {table}_elsewhere")

    async def mend(self) -> None:
        self.do("ALTER TABLE {table}_elsewhere RENAME TO {table}")

    def words(self, content: Table | Lines | Mails) -> list[str]:
        assert isinstance(content, Table)
        return [str(row[1]) for row in content.rows]

    def now(self) -> float:
        return self.clock.now().utc

    async def trace(self) -> object:
        return self.server.ask(f"SELECT * FROM {self.table} ORDER BY id")

    async def close(self) -> None:
        for reader in self.readers:
            await reader.close()


@pytest.fixture(scope="module")
def servers() -> Iterator[Callable[[str], Server]]:
    """One of each kind, begun when it is first wanted."""
    running: dict[str, Server] = {}

    def server(kind: str) -> Server:
        if kind not in running:
            made = Postgres() if kind == "postgres" else Mariadb()
            running[kind] = made.__enter__()
            if isinstance(made, Postgres):
                made.do(f"CREATE ROLE {READER} LOGIN PASSWORD '{WORD}'")
            else:
                made.do(f"CREATE USER {READER}@'%' IDENTIFIED BY '{WORD}'")
        return running[kind]

    yield server
    for one in running.values():
        one.destroy()


@pytest.fixture
async def world(kind: str, servers: Callable[[str], Server]) -> AsyncIterator[Shop]:
    shop = Shop(servers(kind))
    yield shop
    await shop.close()


@each_server
class TestServers(SourceContract):
    @pytest.fixture
    async def world(self, kind: str, servers: Callable[[str], Server]) -> AsyncIterator[Shop]:
        shop = Shop(servers(kind))
        yield shop
        await shop.close()


def rows(found: Sequence[Portion]) -> list[tuple[object, ...]]:
    return [tuple(row) for portion in found for row in portion.content.rows]  # type: ignore[union-attr]


async def refused(reader: SqlReader, position: str = "", deadline: float = 20.0) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await reader.read(position, deadline)
    assert "\n" not in str(caught.value) and WORD not in str(caught.value) and "p%40ss" not in str(caught.value)
    return caught.value


# --- databases ------------------------------------------------------------------------------------------------------------


@each_server
async def test_fifty_thousand_rows_in_pages_with_equal_watermarks(world: Shop) -> None:
    series = "generate_series(1, 50000) AS n" if isinstance(world.server, Postgres) else "seq_1_to_50000"
    number = "n" if isinstance(world.server, Postgres) else "seq"
    moment = (
        f"timestamptz '2026-01-01 00:00:00+00' + ({number} / 12000) * interval '1 second'"
        if isinstance(world.server, Postgres)
        else f"'2026-01-01 00:00:00' + INTERVAL FLOOR({number} / 12000) SECOND"
    )
    world.do(f"INSERT INTO {{table}} (refund, amount, changed) SELECT concat('R-', {number}), {number} / 100.0, {moment} FROM {series}")
    found = await portions(world.source(BY_TIME, "changed", "2025-12-31 00:00:00", 1.0))
    assert sorted(str(row[0]) for row in rows(found)) == sorted(f"R-{one}" for one in range(1, 50_001)), "each once"
    assert max(len(portion.content.rows) for portion in found) == PAGE and len(found) < 10  # type: ignore[union-attr]
    position, got = "", set()
    for _ in range(100):  # the same with a restart after each portion
        reader = world.source(BY_TIME, "changed", "2025-12-31 00:00:00", 1.0)
        for _ in range(2):
            portion = await reader.read(position, 20.0)
            got |= {row[0] for row in rows([portion])}
            position = portion.position
            if not portion.more:
                break
        await reader.close()
        if not portion.more:
            break
    assert len(got) == 50_000


@each_server
async def test_numbers_are_exact_and_times_have_their_zone(world: Shop) -> None:
    world.do(
        "INSERT INTO {table} (refund, amount, changed) VALUES ('a', 1234567890123456.7891, '2026-03-29 00:30:00.123456'),"
        " ('b', 0.1, '2026-07-01 12:00:00'), ('c', 100, '2026-10-25 01:30:00'), ('d', NULL, '2026-10-25 02:30:00')"
    )
    found = rows(await portions(world.source(BY_TIME, "changed", "2026-01-01", 60.0)))
    assert [row[:2] for row in found] == [("a", "1234567890123456.7891"), ("b", "0.1000"), ("c", "100.0000"), ("d", None)]
    zone = "+00:00" if isinstance(world.server, Postgres) else ""
    assert found[0][2] == f"2026-03-29T00:30:00.123456{zone}" and found[3][2] == f"2026-10-25T02:30:00{zone}"


@no_postgres
@pytest.mark.parametrize("kind", ["postgres"])
async def test_postgres_tells_the_same_instants_whatever_its_time_zone(world: Shop) -> None:
    world.server.do(f"ALTER ROLE {READER} SET timezone = 'Europe/Berlin'")
    try:
        world.do("INSERT INTO {table} (refund, changed) VALUES ('a', '2026-07-01 12:00:00+02'), ('b', '2026-10-25 02:30:00+01')")
        found = await portions(world.source(BY_TIME, "changed", "2026-07-01T00:00:00Z", 60.0))
        times = [datetime.fromisoformat(str(row[2])) for row in rows(found)]
        assert times == [datetime(2026, 7, 1, 10, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)]
    finally:
        world.server.do(f"ALTER ROLE {READER} RESET timezone")


@no_postgres
@pytest.mark.parametrize("kind", ["postgres"])
async def test_all_sorts_of_columns_of_postgres(world: Shop) -> None:
    query = (
        "SELECT id, 'e@shop.test'::bytea AS raw, '0b0e7d4e-9f0a-4f43-9d4e-0f3d8f3f7a11'::uuid AS ident, true AS sent,"
        " '{\"a\": [1, \"é\"]}'::jsonb AS doc, date '2026-02-03' AS day, 12.5::float8 AS real, interval '1 day' AS span,"
        " '10:30' AS \"10:30\", /* :no :parameter */ '%' AS per"
        " FROM {table} WHERE id > :watermark::int AND refund LIKE '%' ORDER BY id -- :x"
    )
    await world.add(["R-1"])
    (row,) = rows(await portions(world.source(query)))
    assert row[1:] == ("e@shop.test", "0b0e7d4e-9f0a-4f43-9d4e-0f3d8f3f7a11", True, '{"a": [1, "é"]}', "2026-02-03", 12.5,
                       "1 day, 0:00:00", "10:30", "%")  # fmt: skip


@no_postgres
@pytest.mark.parametrize("kind", ["postgres"])
async def test_what_was_committed_late_is_found_in_the_overlap(world: Shop) -> None:
    """The slow transaction took its time stamp first."""
    assert isinstance(world.server, Postgres)
    reader = world.source(BY_TIME, "changed", "2026-01-01", 300.0)
    with world.server.session() as slow:
        slow.execute(f"INSERT INTO {world.table} (refund, changed) VALUES ('slow', now())")
        world.do("INSERT INTO {table} (refund, changed) VALUES ('quick', clock_timestamp())")
        first = await portions(reader)
        assert [row[0] for row in rows(first)] == ["quick"]
    after = await portions(reader, first[-1].position)
    assert [row[0] for row in rows(after)] == ["slow", "quick"]


@each_server
async def test_a_restart_of_the_server_is_got_over(world: Shop) -> None:
    """Between two reads, and while a cursor is open."""
    await world.add([f"R-{number}" for number in range(25_000)])
    reader = world.source()
    got = [await reader.read("", 20.0)]
    assert got[0].more
    world.server.stop()
    try:
        with pytest.raises(SourceError) as caught:
            for _ in range(5):  # what was sent already may still be read
                got.append(await reader.read(got[-1].position, 20.0))
        assert caught.value.transient and caught.value.mend
        assert (await refused(reader, got[-1].position)).transient
    finally:
        world.server.start()
    rest = await portions(reader, got[-1].position)
    assert {row[1] for row in rows([*got, *rest])} == {f"R-{number}" for number in range(25_000)}
    world.server.stop()
    world.server.start()
    assert rows(await portions(reader, rest[-1].position)) == [], "the dead connection is noticed and replaced"


@each_server
async def test_an_open_cursor_that_the_server_ended_is_opened_anew(world: Shop) -> None:
    await world.add([f"R-{number}" for number in range(25_000)])
    reader = world.source()
    first = await reader.read("", 20.0)
    world.server.stop()
    world.server.start()
    rest = await portions(reader, first.position)
    assert {row[1] for row in rows([first, *rest])} == {f"R-{number}" for number in range(25_000)}


DELETES = "WITH gone AS (DELETE FROM {table} RETURNING id) SELECT id, 'x' AS refund FROM gone WHERE id > :watermark"
LOCKS = "SELECT id, refund FROM {table} WHERE id > :watermark ORDER BY id FOR UPDATE"  # MariaDB allows it
COUNTS = "SELECT nextval('{table}_id_seq') AS id, refund FROM {table} WHERE id > :watermark"


@pytest.mark.parametrize(
    ("kind", "query"),
    [
        *(pytest.param("postgres", query, marks=no_postgres) for query in (DELETES, LOCKS, COUNTS)),
        *(pytest.param("mariadb", query, marks=no_mariadb) for query in (DELETES, COUNTS)),
    ],
)
async def test_the_server_refuses_a_query_that_writes(world: Shop, query: str) -> None:
    await world.add(["R-1", "R-2"])
    before = await world.trace()
    error = await refused(world.source(query))
    assert not error.transient and error.mend
    assert await world.trace() == before


@each_server
async def test_the_session_is_read_only(world: Shop) -> None:
    """Shown by the server itself: a function or a procedure that writes would be refused."""
    await world.add(["R-1"])
    asked = "current_setting('transaction_read_only')" if isinstance(world.server, Postgres) else "@@session.tx_read_only"
    (row,) = rows(await portions(world.source(f"SELECT id, {asked} AS refund FROM {{table}} WHERE id > :watermark")))
    assert row[1] in ("on", 1)
    if isinstance(world.server, Postgres):
        world.do(
            "CREATE FUNCTION {table}_write() RETURNS text LANGUAGE sql VOLATILE AS"
            " $$ INSERT INTO {table} (refund) VALUES ('x') RETURNING refund $$"
        )
        error = await refused(world.source("SELECT id, {table}_write() AS refund FROM {table} WHERE id > :watermark"))
        assert "read-only transaction; the query must only read" in str(error)


@each_server
async def test_no_transaction_is_left_open(world: Shop) -> None:
    await world.add(["R-1", "R-2"])
    reader = world.source()
    position = (await portions(reader))[-1].position
    for query in ("SELECT id, refund FROM {table} WHERE id > :watermark AND nothing", "SELECT refund FROM {table} WHERE id > :watermark"):
        await refused(world.source(query))
    await portions(reader, position)
    if isinstance(world.server, Postgres):
        states = world.server.ask(f"SELECT state FROM pg_stat_activity WHERE usename = '{READER}'")
        assert states and {state for (state,) in states} == {"idle"}
        assert world.server.ask("SELECT count(*) FROM pg_prepared_statements") == [(0,)]
    else:
        assert world.server.ask("SELECT trx_id FROM information_schema.innodb_trx") == []
    world.do("ALTER TABLE {table} ADD COLUMN more int")  # an open transaction would stand in its way


@each_server
async def test_a_locked_table_and_a_slow_query_end_on_the_server(world: Shop) -> None:
    await world.add(["R-1"])
    is_postgres = isinstance(world.server, Postgres)
    slow = f"SELECT id, {'pg_sleep(20)::text' if is_postgres else 'sleep(20)'} AS refund FROM {{table}} WHERE id > :watermark"
    began = time.monotonic()
    error = await refused(world.source(slow), deadline=1.5)
    assert error.transient and "an index on the watermark column" in error.mend
    with world.server.session() as other:
        cursor = other.cursor()
        if is_postgres:
            cursor.execute(f"LOCK TABLE {world.table}")
        else:
            cursor.execute(f"LOCK TABLES {world.table} WRITE")
        error = await refused(world.source(), deadline=3.0)
        assert error.transient and ("lock" in str(error) or "Lock" in str(error))
    assert time.monotonic() - began < 20.0, "nobody waited for the query"
    busy = (
        f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{READER}' AND state = 'active'"
        if is_postgres
        else f"SELECT count(*) FROM information_schema.processlist WHERE user = '{READER}' AND command = 'Query'"
    )
    assert world.server.ask(busy)[0][0] == 0, "nothing runs on"
    assert len(rows(await portions(world.source()))) == 1


@each_server
async def test_a_server_that_hangs_costs_the_deadline(world: Shop) -> None:
    """Stopped, not ended: the kernel still takes what is sent."""
    await world.add(["R-1"])
    reader = world.source()
    position = (await portions(reader))[-1].position
    assert world.server._process is not None
    if isinstance(world.server, Postgres):
        stopped = [pid for (pid,) in world.server.ask(f"SELECT pid FROM pg_stat_activity WHERE usename = '{READER}'")]
    else:
        stopped = [world.server._process.pid]
    stopped.append(world.server._process.pid)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        for _ in range(2):
            error = await refused(reader, position, deadline=0.5)
            assert error.transient
        assert time.monotonic() - began < 10.0
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    await world.add(["R-2"])
    assert [row[1] for row in rows(await portions(reader, position))] == ["R-2"]


@each_server
@pytest.mark.parametrize(
    ("query", "mends"),
    [
        ("SELECT id, missing FROM {table} WHERE id > :watermark", ("mend the query",)),
        ("SELECT id, refund FROM nowhere WHERE id > :watermark", ("mend the query", "GRANT SELECT")),  # MariaDB does not tell strangers
        ("SELECT id, refund FRO {table} WHERE id > :watermark", ("mend the query",)),
    ],
)
async def test_a_wrong_query_is_told_with_the_words_of_the_server(world: Shop, query: str, mends: tuple[str, ...]) -> None:
    error = await refused(world.source(query))
    assert error.mend.startswith(mends) and not error.transient and "127.0.0.1" in error.detail and "LINE 1" not in error.detail


@each_server
async def test_a_wrong_password_a_wrong_database_and_a_server_that_is_not_there(world: Shop) -> None:
    right = world.secrets.url
    await world.add(["R-1"])
    reader = world.source()
    world.secrets.url = world.server.url(READER, "hunter22-wrong")
    error = await refused(reader)
    assert not error.transient and "password" in error.mend and "hunter22" not in str(error)
    world.secrets.url = right.rpartition("/")[0] + "/nowhere"
    error = await refused(world.source())
    assert not error.transient and ("database's name" in error.mend or "GRANT" in error.mend)
    world.secrets.url = right.replace(f":{world.server.port}", ":1")
    error = await refused(world.source())
    assert error.transient
    world.secrets.url = right
    assert len(rows(await portions(reader))) == 1, "the secret is read at each connection"


@no_postgres
@pytest.mark.parametrize("kind", ["postgres"])
async def test_a_start_that_does_not_fit_the_column(world: Shop) -> None:
    error = await refused(world.source(BY_TIME, "changed", "the beginning"))
    assert not error.transient and "start: of the source" in error.mend


@each_server
async def test_a_cursor_that_is_not_read_on_holds_no_transaction_for_long(world: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.edge.sources.sql.HOLD", 0.0)
    await world.add([f"R-{number}" for number in range(25_000)])
    reader = world.source()
    first = await reader.read("", 20.0)
    async with asyncio.timeout(20.0):
        while reader._database._open is not None:
            await asyncio.sleep(0.01)
    assert first.more
    world.do("ALTER TABLE {table} ADD COLUMN more int")
    rest = await portions(reader, first.position)
    assert len({row[1] for row in rows([first, *rest])}) == 25_000


# --- the journal mailbox --------------------------------------------------------------------------------------------------


class Journal:
    """An account of a Dovecot that gets copies."""

    redelivers = False

    def __init__(self, server: Dovecot) -> None:
        self.server = server
        self.user = f"journal{next(_numbers)}@box.test"
        server.add_user(self.user, "secret")
        self.clock = SystemClock()
        self.sources: list[JournalMailbox] = []
        self.port = server.imap

    def source(self) -> JournalMailbox:
        box = replace(policy(self.port, Security.PLAIN, username=self.user), clean_up=True)
        self.sources.append(JournalMailbox(MailboxSource(box), watch(), OneSecret("secret"), TlsContexts().get, self.clock))
        return self.sources[-1]

    def save(self, folder: str, subject: str) -> None:
        self.server.doveadm("save", "-u", self.user, "-m", folder, stdin=letter(subject))

    async def add(self, words: Sequence[str]) -> None:
        for word in words:
            self.save("INBOX", word)

    async def fail(self) -> None:
        self.server.stop()

    async def mend(self) -> None:
        self.server.start()

    def words(self, content: Table | Lines | Mails) -> list[str]:
        assert isinstance(content, Mails)
        return subjects(content.copies)

    def now(self) -> float:
        return self.clock.now().utc

    async def trace(self) -> object:
        return self.server.doveadm("fetch", "-u", self.user, "uid flags mailbox", "all")

    async def close(self) -> None:
        for source in self.sources:
            await source.close()


@pytest.fixture(scope="module")
def post_office() -> Iterator[Dovecot]:
    with Dovecot({}) as server:
        yield server


@no_dovecot
class TestJournalMailbox(SourceContract):
    many = 120

    @pytest.fixture
    async def world(self, post_office: Dovecot) -> AsyncIterator[Journal]:
        journal = Journal(post_office)
        yield journal
        await journal.close()


@no_dovecot
async def test_flags_stay_and_folders_of_the_owner_are_passed_over(post_office: Dovecot) -> None:
    journal = Journal(post_office)
    for folder in ("Archive", "Sent", "Trash"):
        journal.server.doveadm("mailbox", "create", "-u", journal.user, folder)
        journal.save(folder, f"in-{folder}")
    await journal.add(["a", "b"])
    journal.server.doveadm("flags", "add", "-u", journal.user, "\\Flagged", "mailbox", "INBOX", "uid", "1")
    before: Any = await journal.trace()
    found = await portions(journal.source())
    assert {word for portion in found for word in journal.words(portion.content)} == {"a", "b", "in-Archive"}
    assert await journal.trace() == before and "\\Seen" not in before
    await journal.close()
