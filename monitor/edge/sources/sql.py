"""The shop's own query, polled: PostgreSQL, MySQL, MariaDB, SQLite. The only importer of SQLAlchemy, which is an optional extra.

Leaves no trace: transactions are read-only where the server can see to that, and none is open between two rounds. Within a round a cursor
stays open from one portion to the next, at most HOLD seconds, and never on SQLite, whose writers it would hold up (but for more than PAGE
rows of one watermark).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from monitor.edge.sources.pages import Answer, Position
from monitor.edge.sources.server_words import meaning
from monitor.edge.sources.watermark import WatermarkError
from monitor.model.ledger import Portion
from monitor.model.query import QueryError, prepare
from monitor.model.sources import SqlSource
from monitor.ports import Clock, SecretError, Secrets, SourceError

if TYPE_CHECKING:  # loaded when the first query is asked
    from sqlalchemy import URL, Connection, CursorResult, Engine

HOLD = 15.0  # seconds that a cursor waits for the next read
FETCH = 500  # rows at a time from the server
CLOSE_WITHIN = 2.0
_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "sqlite": "sqlite",
}
_URL_MEND = "write postgresql://, mysql:// or sqlite:// in the secret of the url: postgresql://reader:PASSWORD@db.example.com/shop"
_AT_MEND = "write an @ in the password as %40, and a / as %2F: postgresql://reader:PASS%40WORD@db.example.com/shop"
_INSTALL = "install it: pip install 'mailcanary[sql]'"
_T = TypeVar("_T")


class SqlReader:
    """Implements ports.LedgerSource for a database. A thread of its own waits for it."""

    def __init__(self, source: SqlSource, secrets: Secrets, clock: Clock) -> None:
        self._database = _Database(source, secrets, clock)
        self._thread: ThreadPoolExecutor | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def read(self, position: str, deadline: float) -> Portion:
        """At most PAGE rows and MAX_BYTES characters."""
        self._stop_timer()
        portion = await self._work(partial(self._database.read, position, deadline), deadline)
        if portion.more:
            self._timer = asyncio.get_running_loop().call_later(HOLD, self._let_go, portion.position)
        return portion

    async def close(self) -> None:
        self._stop_timer()
        if self._thread is not None:
            with contextlib.suppress(SourceError):
                await self._work(self._database.close, CLOSE_WITHIN)
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown(wait=False)

    async def _work(self, work: Callable[[], _T], deadline: float) -> _T:
        """Run it in the thread, where what was given up before may still be ending; at most one waits."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-sql")
        running = self._thread.submit(work)
        try:
            async with asyncio.timeout(deadline):
                return await asyncio.shield(asyncio.wrap_future(running))
        except (TimeoutError, asyncio.CancelledError) as error:
            running.cancel()
            self._database.abort()
            if isinstance(error, asyncio.CancelledError):
                raise
            mend = "look at the server; make the query quicker: an index on the watermark column"
            raise SourceError(f"{self._database.where}: no answer within {deadline:g} s", mend) from None

    def _let_go(self, position: str) -> None:
        if self._thread is not None:
            self._thread.submit(self._database.let_go, position)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


@dataclass(frozen=True, slots=True)
class _Open:
    """A cursor that waits for the read at `at`."""

    at: str
    began: float
    answer: Answer
    connection: Connection
    result: CursorResult[Any]


class _Database:
    """What the thread does; all of it but abort() and where."""

    def __init__(self, source: SqlSource, secrets: Secrets, clock: Clock) -> None:
        self._source = source
        self._secrets = secrets
        self._clock = clock
        self.where = "the database"  # without user and password
        self._name = ""
        self._backend = ""
        self._hidden: tuple[str, ...] = ()
        self._deadline = 0.0
        self._engine: Engine | None = None
        self._raw: Any = None  # the driver's connection
        self._open: _Open | None = None

    def read(self, text: str, deadline: float) -> Portion:
        self._deadline = deadline
        began = self._clock.now()
        try:
            if (portion := self._read_on(text, began.mono)) is not None:
                return portion
            return self._portion(self._ask(Position.parse(text), began.utc), began.mono)
        except SourceError:
            raise
        except QueryError as error:
            raise SourceError(error.what, error.mend, transient=False) from None
        except WatermarkError as error:
            raise SourceError(f"{self.where}: the watermark {self._source.watermark} {error.what}", error.mend, transient=False) from None
        except SecretError as error:
            raise SourceError(f"{self.where}: {error}", "") from None
        except ImportError as error:
            raise SourceError(f"{error.name or 'a driver'} is not installed", _INSTALL, transient=False) from None
        except Exception as error:  # drivers raise what they like; "from None": it holds the query's parameters
            said = meaning(getattr(error, "orig", None) or error, self._hidden)
            raise SourceError(f"{self.where}: {said.detail}", said.mend, said.transient) from None

    def _read_on(self, text: str, began: float) -> Portion | None:
        """From the cursor that waits at this position; None when there is none. The server may have ended it: then the query is asked
        anew, from the same place."""
        waiting, self._open = self._open, None
        if waiting is None:
            return None
        if waiting.at != text:
            self._drop(waiting.connection, waiting.result)
            return None
        try:
            return self._portion(waiting, began)
        except WatermarkError:
            raise
        except Exception:  # drivers raise what they like
            return None

    def let_go(self, position: str) -> None:
        """Close the cursor that waits for a read at `position`."""
        waiting = self._open
        if waiting is not None and waiting.at == position:
            self._open = None
            self._drop(waiting.connection, waiting.result)

    def close(self) -> None:
        waiting, self._open = self._open, None
        if waiting is not None:
            self._drop(waiting.connection, waiting.result)
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def abort(self) -> None:
        """Called from another thread: whatever waits for the server ends with an error. MySQL's driver has a timeout of its own."""
        raw = self._raw
        with contextlib.suppress(Exception):
            if self._backend == "sqlite":
                raw.interrupt()
            elif self._backend == "postgresql":
                with socket.socket(fileno=os.dup(raw.pgconn.socket)) as line:
                    line.shutdown(socket.SHUT_RDWR)

    # --- asking -----------------------------------------------------------------------------------------------------------------

    def _ask(self, position: Position, now: float) -> _Open:
        import sqlalchemy  # noqa: PLC0415 - an optional extra

        query = prepare(self._source.query)
        position = replace(position, began=position.began or now)
        connection = self._connected()
        try:
            self._restrain(connection)
            asked = position.asked(self._source.overlap)
            values: dict[str, object] = {"watermark": self._start() if asked is None else asked.value}
            if query.limited:
                values["limit"] = position.limit
            text = sqlalchemy.text(query.text).execution_options(stream_results=True, max_row_buffer=FETCH)
            result = connection.execute(text, values)
        except BaseException:
            self._end(connection, broken=True)
            raise
        try:
            answer = Answer(
                tuple(result.keys()),
                iter(lambda: result.fetchmany(FETCH), []),
                self._source.watermark,
                position,
                limit=position.limit if query.limited else None,
                pieces=self._backend == "sqlite",
            )
        except BaseException:
            self._drop(connection, result)
            raise
        return _Open("", position.began or now, answer, connection, result)

    def _portion(self, asked: _Open, began: float) -> Portion:
        """The next page of what was asked; `began`: when this read did, on the monotonic clock."""
        enough = began + self._deadline / 2
        try:
            page = asked.answer.page(self._source.overlap, lambda: self._clock.now().mono < enough)
            if page.ended:
                asked.result.close()
                self._end(asked.connection)
        except BaseException:
            self._drop(asked.connection, asked.result)
            raise
        text = str(page.position)
        if not page.ended:
            self._open = replace(asked, at=text)
        return Portion(self._name, page.table, text, not page.read, asked.began if page.read else None, page.faults)

    def _start(self) -> object:
        """The first watermark. SQLite compares a text with what has no declared type as greater than any number."""
        start = self._source.start
        return int(start) if self._backend == "sqlite" and start.lstrip("-").isdecimal() else start

    def _drop(self, connection: Connection, result: CursorResult[Any]) -> None:
        """What was not read to its end."""
        with contextlib.suppress(Exception):
            if self._backend == "mysql":  # its driver would read all the rest, at the latest in the garbage collection
                result.cursor._result.unbuffered_active = False
        self._end(connection, broken=self._backend != "sqlite")
        with contextlib.suppress(Exception):
            result.close()

    def _end(self, connection: Connection, broken: bool = False) -> None:
        """Back to the pool, which ends the transaction; a broken one is closed."""
        with contextlib.suppress(Exception):
            if broken:
                connection.invalidate()
        with contextlib.suppress(Exception):
            connection.close()

    # --- connecting -------------------------------------------------------------------------------------------------------------

    def _connected(self) -> Connection:
        import sqlalchemy  # noqa: PLC0415 - an optional extra

        if self._engine is None:
            logging.getLogger("sqlalchemy").setLevel(logging.CRITICAL)  # what it has to say comes as errors; its log shows parameters
            engine = sqlalchemy.create_engine(self._url(), pool_size=1, max_overflow=0, pool_pre_ping=True, hide_parameters=True)
            sqlalchemy.event.listen(engine, "do_connect", self._connect)
            sqlalchemy.event.listen(engine, "connect", self._greet)
            self._engine = engine
        return self._engine.connect().execution_options(**({"postgresql_readonly": True} if self._backend == "postgresql" else {}))

    def _connect(self, dialect: Any, _record: object, _arguments: object, _options: object) -> Any:
        """With the secret as it is now."""
        arguments, options = dialect.create_connect_args(self._url())
        half = self._deadline / 2
        match self._backend:
            case "postgresql":  # poolers in front of it know no prepared statements
                options = {"application_name": "mailcanary"} | options | {"connect_timeout": max(2, int(half)), "prepare_threshold": None}
            case "mysql":  # its driver would encode a password in Latin 1
                options["password"] = str(options.get("password", "")).encode()
                options |= {"connect_timeout": max(1.0, half), "read_timeout": self._deadline, "write_timeout": self._deadline}
            case "sqlite":
                options |= {"timeout": half, "check_same_thread": False}
        return dialect.connect(*arguments, **options)

    def _greet(self, raw: Any, _record: object) -> None:
        """A fresh connection. Times without zone that a TIMESTAMP of MySQL gives are in UTC."""
        self._raw = raw
        if self._backend == "postgresql":
            return  # each transaction says it for itself: behind a pooler the session is not ours
        cursor = raw.cursor()
        for said in (
            ("PRAGMA query_only=ON",) if self._backend == "sqlite" else ("SET SESSION TRANSACTION READ ONLY", "SET time_zone='+00:00'")
        ):
            cursor.execute(said)
        cursor.close()
        raw.rollback()

    def _restrain(self, connection: Connection) -> None:
        """The server itself ends what takes too long, also while we hang."""
        whole, half = max(int(self._deadline * 800), 100), max(int(self._deadline * 500), 100)  # milliseconds
        if self._backend == "postgresql":
            connection.exec_driver_sql(
                "SELECT set_config('statement_timeout', %(whole)s, true), set_config('lock_timeout', %(half)s, true),"
                " set_config('TimeZone', 'UTC', true)",
                {"whole": str(whole), "half": str(half)},
            )
        elif self._backend == "mysql":
            is_mariadb = getattr(connection.dialect, "is_mariadb", False)
            bound = f"max_statement_time={whole / 1000:g}" if is_mariadb else f"max_execution_time={whole}"
            connection.exec_driver_sql(f"SET SESSION {bound}, lock_wait_timeout={max(half // 1000, 1)}")

    def _url(self) -> URL:
        """The secret, read now."""
        from sqlalchemy import make_url  # noqa: PLC0415 - an optional extra
        from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

        written = self._secrets.read(self._source.url).strip()
        try:
            url = make_url(written)
        except (ArgumentError, ValueError):  # "from None": the exception may hold the url
            mend = _AT_MEND if written.count("@") > 1 else _URL_MEND
            raise SourceError(f"{self._source.url} is no url of a database", mend, transient=False) from None
        driver = _DRIVERS.get(url.get_backend_name())
        if driver != "sqlite" and written.count("@") > (url.username is not None):
            # a part of the password may be taken for the host, and the host is shown
            raise SourceError(f"{self._source.url} has an @ that does not end its password", _AT_MEND, transient=False)
        if driver is None or not url.database or url.database == ":memory:":
            raise SourceError(f"{self._source.url} names no database that is known here", _URL_MEND, transient=False)
        self._hidden = tuple({text for text in (written, url.password or "") if text})
        self._backend = driver.partition("+")[0]
        self._name = url.database.rpartition("/")[2]
        place = url.database if self._backend == "sqlite" else f"{url.host or 'local'}{f':{url.port}' if url.port else ''}/{url.database}"
        self.where = f"{self._backend} {place}"
        if self._backend == "sqlite":
            return url.set(drivername=driver, database=f"file:{quote(url.database)}", query={"mode": "ro", "uri": "true"})
        return url.set(drivername=driver)
