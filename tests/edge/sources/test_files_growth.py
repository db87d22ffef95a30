"""Whatever a writer and logrotate do between two reads, and however the bytes fall into chunks: nothing is lost, invented or doubled."""

from __future__ import annotations

import asyncio
import gzip
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.edge.sources import cutting, following, objects, tables, whole
from monitor.edge.sources.whole import whole as read_whole
from monitor.model.sources import FileFormat, FilesSource, Layout
from tests.edge.sources.premises import Premises, faults, places, rows

NOTES = ("plain", 'with "quotes", and; more', "two\nlines", "three\r\nlong\nlines", "\u20ac \U0001f600", "", "x" * 40)


@contextmanager
def small(chunk: int, most: int) -> Iterator[None]:
    """Bounds so small that every row meets them."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (cutting, following, tables, whole):
            patch.setattr(module, "CHUNK", chunk)
        patch.setattr(tables, "WASTE", 4 * chunk)
        for module in (cutting, tables, objects):
            patch.setattr(module, "ROWS", most)
        yield


def record(kind: str, word: str, note: str) -> str:
    match kind:
        case "csv":
            return ",".join('"' + text.replace('"', '""') + '"' for text in (word, note)) + "\r\n"
        case "jsonl":
            return json.dumps({"refund": word, "note": note}, ensure_ascii=False) + "\n"
        case _:
            return f"{word} {' '.join(note.split())}\n"


class Writer:
    """Writes records into files as a shop and logrotate do; never half a record into two files."""

    def __init__(self, at: Premises, kind: str) -> None:
        self.at = at
        self.kind = kind
        self.written: list[str] = []
        self.ahead = b""  # of the present file: records that are not wholly written yet
        self.rotated = 0
        self.redelivers = False

    @property
    def file(self) -> Path:
        return self.at.directory / "refunds"

    def head(self) -> bytes:
        return b"refund,note\r\n" if self.kind == "csv" else b""

    def compose(self, note: str) -> None:
        word = f"R-{len(self.written)}"
        self.written.append(word)
        self.ahead += record(self.kind, word, note).encode()

    def flush(self, size: int) -> None:
        """So many bytes of it, as a buffer empties."""
        if not self.file.exists():
            self.ahead = self.head() + self.ahead
        self.at.append("refunds", self.ahead[:size])
        self.ahead = self.ahead[size:]

    def finish(self) -> None:
        self.flush(len(self.ahead))

    def rename(self) -> None:
        self.finish()
        self.rotated += 1
        self.file.rename(self.at.directory / f"refunds.{self.rotated}")

    def copy_and_cut(self) -> None:
        self.finish()
        self.rotated += 1
        (self.at.directory / f"refunds.{self.rotated}").write_bytes(self.file.read_bytes())
        self.file.write_bytes(self.head())
        self.redelivers = True

    def pack(self) -> None:
        if self.rotated:
            last = self.at.directory / f"refunds.{self.rotated}"
            if last.exists():
                (self.at.directory / f"refunds.{self.rotated}.gz").write_bytes(gzip.compress(last.read_bytes()))
                last.unlink()
                self.redelivers = True


ACTIONS = st.one_of(
    st.tuples(st.just("compose"), st.sampled_from(NOTES)),
    st.tuples(st.just("flush"), st.integers(1, 90)),
    st.tuples(st.just("read"), st.integers(1, 3)),
    st.sampled_from([("rename",), ("copy",), ("pack",), ("restart",), ("finish",), ("again",)]),
)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "log"])
def test_nothing_is_lost_invented_or_doubled(kind: str) -> None:
    @settings(max_examples=120, deadline=None, derandomize=True)
    @given(st.lists(ACTIONS, min_size=5, max_size=40), st.integers(160, 400), st.integers(1, 4))
    def check(actions: list[tuple[object, ...]], chunk: int, most: int) -> None:
        with small(chunk, most), tempfile.TemporaryDirectory() as directory:
            at = Premises(Path(directory), "refunds*", FileFormat.JSONL if kind == "jsonl" else FileFormat.CSV, log=kind == "log")
            writer = Writer(at, kind)
            writer.flush(10_000)
            asyncio.run(play(at, writer, actions))

    check()


async def play(at: Premises, writer: Writer, actions: list[tuple[object, ...]]) -> None:
    got: list[str] = []
    positions = [""]

    async def read(most: int) -> bool:
        for _ in range(most):
            portion = await at.reader.read(at.position, 30.0)
            got.extend(str(row[0]).split(" ")[0] for row in rows([portion]))
            assert writer.redelivers or not [fault for _, fault in faults([portion])], portion.faults
            at.position = portion.position
            positions.append(at.position)
            if not portion.more:
                return False
        return True

    for action in actions:
        match action:
            case ("compose", str(note)):
                writer.compose(note)
            case ("flush", int(size)):
                writer.flush(size)
            case ("finish",):
                writer.finish()
            case ("rename",):
                writer.rename()
                writer.flush(10_000)
            case ("copy",):
                writer.copy_and_cut()
            case ("pack",):
                await read(10_000)
                writer.pack()
            case ("restart",):
                await at.reader.close()
                at.reader = type(at.reader)(at.via, at.clock)
            case ("again",):
                at.position = positions[len(positions) // 2]
                writer.redelivers = True
            case ("read", int(most)):
                if most == 3:
                    await read(10_000)
                else:
                    await read(most)
    writer.finish()
    assert not await read(10_000)
    await at.reader.close()
    assert set(got) == set(writer.written)
    if not writer.redelivers:
        assert got == writer.written, "each once, and in order"


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.sampled_from(["csv", "jsonl"]),
    st.lists(st.sampled_from(NOTES), max_size=12),
    st.integers(160, 400),
    st.integers(1, 20),
    st.booleans(),
)
def test_a_whole_file_is_cut_the_same_in_chunks_of_any_size(kind: str, notes: list[str], chunk: int, most: int, ended: bool) -> None:
    texts = [record(kind, f"R-{number}", note) for number, note in enumerate(notes)]
    text = ("refund,note\r\n" if kind == "csv" else "") + "".join(texts)
    source = FilesSource("", FileFormat.CSV, Layout())
    with tempfile.TemporaryDirectory() as directory:
        at = Path(directory) / f"refunds.{kind}"
        at.write_bytes((text if ended else text.rstrip()).encode())
        plain = [portion for portion, _ in read_whole(at, source)]
        with small(chunk, most):
            pieces = [portion for portion, _ in read_whole(at, source)]
    assert rows(pieces) == rows(plain) == [(f"R-{number}", note) for number, note in enumerate(notes)]
    assert places(pieces) == places(plain) and faults(pieces) == faults(plain)
    assert all(len(portion.content.rows) <= most for portion in pieces)  # type: ignore[union-attr]
    lines = text.split("\n")
    assert all(f"R-{number}" in lines[line - 1] for number, (_, line) in enumerate(places(plain)))
