"""A real MariaDB on a loopback port, with its files below one temporary directory.

with Mariadb() as server:
    server.url("reader", "secret")     # mysql://... of the database `shop`
    server.do("CREATE TABLE ...", ...)
    server.stop(); server.start()      # same port, same data
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import pymysql

from tests.ports import free_port

HOST = "127.0.0.1"
WITHIN = 40.0
OWNER, PASSWORD, DATABASE = "owner", "owner's pass", "shop"
ACCOUNT = "mysql"  # it refuses to run as root

_SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_SERVER = shutil.which("mariadbd", path=_SBIN)
_INSTALL = shutil.which("mariadb-install-db", path=_SBIN)


def absent() -> str | None:
    """Why MariaDB cannot be used here; None when it can."""
    if _SERVER is None or _INSTALL is None:
        return "mariadb is not installed (apt-get install mariadb-server)"
    if os.getuid() == 0 and ACCOUNT not in {account.pw_name for account in pwd.getpwall()}:
        return f"mariadb does not run as root, and there is no account {ACCOUNT}"
    return None


class Mariadb:
    """One process. All methods block briefly."""

    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="mailcanary-mariadb-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._account = {"user": ACCOUNT, "group": ACCOUNT, "extra_groups": ()} if os.getuid() == 0 else {}
        if self._account:
            shutil.chown(self.base, ACCOUNT, ACCOUNT)

    def __enter__(self) -> Self:
        try:
            self._install()
            self.start()
        except BaseException:
            self.destroy()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.destroy()

    def start(self) -> None:
        assert _SERVER is not None
        with (self.base / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [_SERVER, "--no-defaults", f"--datadir={self.base}/data", f"--socket={self.base}/sock", f"--pid-file={self.base}/pid",
                 f"--port={self.port}", f"--bind-address={HOST}", f"--init-file={self.base}/init.sql", f"--tmpdir={self.base}",
                 "--skip-name-resolve", "--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.base, **self._account,
            )  # fmt: skip
        for _ in range(400):
            with contextlib.suppress(pymysql.MySQLError), self.session():
                return
            if self._process.poll() is not None:
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.1)
        raise RuntimeError(f"mariadbd does not answer:\n{self.log()[-3000:]}")

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(WITHIN)

    def destroy(self) -> None:
        self.stop()
        shutil.rmtree(self.base, ignore_errors=True)

    def log(self) -> str:
        try:
            return (self.base / "log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    # --- its content ------------------------------------------------------------------------------------------

    def url(self, user: str = OWNER, password: str = PASSWORD) -> str:
        return f"mysql://{quote(user, safe='')}:{quote(password, safe='')}@{HOST}:{self.port}/{DATABASE}"

    @contextlib.contextmanager
    def session(self) -> Iterator[pymysql.Connection[Any]]:
        """Of the owner; each statement is committed."""
        session = pymysql.connect(
            host=HOST, port=self.port, user=OWNER, password=PASSWORD, database=DATABASE, connect_timeout=10, autocommit=True
        )
        try:
            yield session
        finally:
            session.close()

    def do(self, *statements: str) -> None:
        with self.session() as session, session.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with self.session() as session, session.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    def _install(self) -> None:
        assert _INSTALL is not None
        said = PASSWORD.replace("'", "''")
        (self.base / "init.sql").write_text(
            f"CREATE DATABASE IF NOT EXISTS {DATABASE} CHARACTER SET utf8mb4;\n"
            f"CREATE USER IF NOT EXISTS '{OWNER}'@'%' IDENTIFIED BY '{said}';\nGRANT ALL ON *.* TO '{OWNER}'@'%' WITH GRANT OPTION;\n"
        )
        (self.base / "init.sql").chmod(0o644)
        done = subprocess.run(
            [_INSTALL, "--no-defaults", f"--datadir={self.base}/data", "--skip-test-db", "--auth-root-authentication-method=normal"],
            capture_output=True, timeout=WITHIN, check=False, cwd=self.base, **self._account,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"mariadb-install-db: {done.returncode} {(done.stderr + done.stdout).decode(errors='replace')[-2000:]}")
