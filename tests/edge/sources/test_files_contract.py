"""The contract on files of every kind."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from monitor.edge.clock import SystemClock
from monitor.edge.sources.files import FileSource
from monitor.model.ledger import Lines, Mails, Table
from monitor.model.sources import FileFormat, FilesSource, Layout, PostfixSource
from tests.edge.sources.contract import SourceContract


class FileWorld:
    """One file, which grows; reading goes on in it."""

    redelivers = False

    def __init__(self, directory: Path, kind: str) -> None:
        self.kind = kind
        self.directory = directory / "exports"
        self.directory.mkdir()
        self.away = directory / "away"
        self.files = 0
        self.clock = SystemClock()
        self.made: list[FileSource] = []
        self._write(self.directory / "refunds.0", [])

    def source(self) -> FileSource:
        pattern = str(self.directory / ("refunds.*" if self.kind == "files" else "refunds.0"))
        format_ = FileFormat.JSONL if self.kind == "jsonl" else FileFormat.CSV
        made = FileSource(
            PostfixSource(pattern, "", "subject", "UTC") if self.kind == "log" else FilesSource(pattern, format_, Layout()), self.clock
        )
        self.made.append(made)
        return made

    async def add(self, words: Sequence[str]) -> None:
        if self.kind == "files":
            for start in range(0, len(words), 9_000):
                self.files += 1
                self._write(self.directory / f"refunds.{self.files}", words[start : start + 9_000])
        else:
            self._write(self.directory / "refunds.0", words)

    def _write(self, at: Path, words: Sequence[str]) -> None:
        fresh = not at.exists()
        codec = "utf-16-le" if self.kind == "utf-16" else "utf-8"
        mark = codecs.BOM_UTF16_LE.decode(codec) if self.kind == "utf-16" else ""
        head = "" if self.kind in ("jsonl", "log") else f"{mark}refund,note\n"
        with at.open("a", encoding=codec, newline="") as file:
            file.write(head if fresh else "")
            file.writelines(self._record(word) for word in words)

    def _record(self, word: str) -> str:
        match self.kind:
            case "jsonl":
                return json.dumps({"refund": word, "note": "\u20ac \U0001f600"}, ensure_ascii=False) + "\n"
            case "log":
                return f"Jan  1 00:00:00 mx postfix/smtp[1]: {word}: to=<a@b.test>\n"
            case _:
                return f'{word},"\u20ac ""\U0001f600"", one\nand two"\r\n'

    async def fail(self) -> None:
        self.directory.rename(self.away)

    async def mend(self) -> None:
        self.away.rename(self.directory)

    def words(self, content: Table | Lines | Mails) -> list[str]:
        if isinstance(content, Lines):
            return [found[1] for line in content.lines if (found := re.search(r"\]: (\S+):", line))]
        assert isinstance(content, Table) and (not content.rows or content.columns == ("refund", "note"))
        assert all("\u20ac" in str(row[1]) and "\U0001f600" in str(row[1]) for row in content.rows)
        return [str(row[0]) for row in content.rows]

    def now(self) -> float:
        return self.clock.now().utc

    async def trace(self) -> object:
        return [(str(at), (seen := at.stat()).st_mtime_ns, seen.st_size, seen.st_ino) for at in sorted(self.directory.rglob("*"))]


class TestFileSource(SourceContract):
    @pytest_asyncio.fixture(params=["csv", "jsonl", "log", "utf-16", "files"])
    async def world(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FileWorld]:
        world = FileWorld(tmp_path, request.param)
        yield world
        for source in world.made:
            await source.close()
