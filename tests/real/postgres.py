"""A real PostgreSQL on a loopback port, with its files below one temporary directory.

with Postgres() as server:
    server.url("reader", "secret", "shop")     # postgresql://...
    server.do("CREATE TABLE ...", ...)         # as its owner, each in a transaction of its own
    server.stop(); server.start()              # same port, same data
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import psycopg

from tests.ports import free_port

HOST = "127.0.0.1"
WITHIN = 40.0
OWNER, PASSWORD = "owner", "owner's pass"
ACCOUNT = "postgres"  # it refuses to run as root


def _newest() -> Path | None:
    """Debian keeps each version in a directory of its own."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda at: int(re.sub(r"\D", "", at.parts[-3]) or 0))
    if found:
        return found[-1].parent
    elsewhere = shutil.which("initdb")
    return Path(elsewhere).resolve().parent if elsewhere else None


_BIN = _newest()


def absent() -> str | None:
    """Why PostgreSQL cannot be used here; None when it can."""
    if _BIN is None:
        return "postgresql is not installed (apt-get install postgresql)"
    if os.getuid() == 0 and ACCOUNT not in {account.pw_name for account in pwd.getpwall()}:
        return f"postgresql does not run as root, and there is no account {ACCOUNT}"
    return None


class Postgres:
    """One process and its children. All methods block briefly."""

    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="mailcanary-postgres-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._account = {"user": ACCOUNT, "group": ACCOUNT, "extra_groups": ()} if os.getuid() == 0 else {}
        if self._account:
            shutil.chown(self.base, ACCOUNT, ACCOUNT)

    def __enter__(self) -> Self:
        try:
            self._run("initdb", "-D", str(self.base / "data"), "-U", OWNER, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8",
                      "--no-sync", "--no-instructions", "--pwfile", str(self._secret()))  # fmt: skip
            self.start()
        except BaseException:
            self.destroy()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.destroy()

    def start(self) -> None:
        assert _BIN is not None
        options = {"fsync": "off", "unix_socket_directories": "", "listen_addresses": HOST, "shared_buffers": "32MB"}
        settings = [f"-c{name}={value}" for name, value in options.items()]
        with (self.base / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [_BIN / "postgres", "-D", self.base / "data", "-p", str(self.port), *settings],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.base, **self._account,
            )  # fmt: skip
        ready = ["-h", HOST, "-p", str(self.port), "-t", "1", "-q"]
        for _ in range(400):
            if self._run("pg_isready", *ready, check=False) == 0:
                return
            if self._process.poll() is not None:
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.1)
        raise RuntimeError(f"postgres does not answer:\n{self.log()[-3000:]}")

    def stop(self) -> None:
        """At once, ending all sessions."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(WITHIN)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
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

    def url(self, user: str = OWNER, password: str = PASSWORD, database: str = "postgres") -> str:
        return f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@{HOST}:{self.port}/{database}"

    @contextlib.contextmanager
    def session(self) -> Iterator[psycopg.Connection[Any]]:
        """Of the owner; its transaction is committed at the end."""
        with psycopg.connect(self.url(), connect_timeout=10) as session:
            yield session

    def do(self, *statements: str) -> None:
        for statement in statements:
            with self.session() as session:
                session.execute(statement)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with self.session() as session:
            return session.execute(query).fetchall()

    def _secret(self) -> Path:
        at = self.base / "pwfile"
        at.write_text(PASSWORD + "\n")
        if self._account:
            shutil.chown(at, ACCOUNT, ACCOUNT)
        return at

    def _run(self, program: str, *arguments: str, check: bool = True) -> int:
        assert _BIN is not None
        done = subprocess.run(
            [_BIN / program, *arguments], capture_output=True, timeout=WITHIN, check=False, cwd=self.base, **self._account
        )
        if check and done.returncode:
            raise RuntimeError(f"{program}: {done.returncode} {done.stderr.decode(errors='replace')}")
        return done.returncode
