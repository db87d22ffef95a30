"""One file from its beginning to its end."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.edge.sources.cutting import CHUNK
from monitor.edge.sources.whole import whole
from monitor.model.ledger import Portion, Table
from monitor.model.sources import FileFormat, FilesSource, Layout, PostfixSource
from monitor.ports import SourceError
from tests.edge.sources.premises import HEAD, faults, places, rows

SOURCE = FilesSource("/nowhere", FileFormat.CSV, Layout())
WANTED = [(f"R-{number}", "1.00", "EUR") for number in range(25_000)]
TEXT = HEAD + "".join(",".join(row) + "\n" for row in WANTED)


def read(at: Path, source: FilesSource | PostfixSource = SOURCE) -> list[Portion]:
    found = list(whole(at, source))
    assert [portion.more for portion, _ in found] == [True] * (len(found) - 1) + [False]
    counts = [count for _, count in found]
    assert counts == sorted(counts)
    if at != Path("-"):
        assert counts[-1] <= at.stat().st_size
    return [portion for portion, _ in found]


def test_a_file_without_line_end_at_its_end_comes_in_portions_with_progress(tmp_path: Path) -> None:
    at = tmp_path / "refunds.csv"
    at.write_text(TEXT[:-1])
    found = read(at)
    assert rows(found) == WANTED and faults(found) == [] and places(found)[-1] == ("refunds.csv", 25_001)
    assert len(found) >= 3 and max(len(portion.content.rows) for portion in found) <= 10_000  # type: ignore[union-attr]
    assert list(whole(at, SOURCE))[-1][1] == at.stat().st_size


def test_packed_by_its_content_whatever_its_name(tmp_path: Path) -> None:
    at = tmp_path / "refunds.csv"
    at.write_bytes(gzip.compress(TEXT.encode()))
    assert rows(read(at)) == WANTED
    at.write_bytes(gzip.compress(TEXT.encode())[:-2_000])
    found = read(at)
    assert rows(found) and [(fault.line, "its end is missing" in fault.what) for _, fault in faults(found)][-1] == (0, True)
    at.write_bytes(gzip.compress(TEXT.encode())[:10] + b"\xff" * 100)
    assert "unpacked" in faults(read(at))[0][1].what


def test_the_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    for data in (TEXT.encode(), gzip.compress(TEXT.encode())):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        found = read(Path("-"))
        assert rows(found) == WANTED and found[0].origin == "standard input"
        sys.stdin.close()


def test_the_format_is_not_the_sources(tmp_path: Path) -> None:
    for name, text in (
        ("a.json", '[{"refund": "R-1"}]'),
        ("a.jsonl", '{"refund": "R-1"}'),
        ("a.txt", '\n {"refund": "R-1"}\n'),
        ("a", "refund\nR-1"),
    ):
        at = tmp_path / name
        at.write_text(text)
        found = read(at)
        assert rows(found) == [("R-1",)] and faults(found) == [], name
    log = tmp_path / "mail.log"
    log.write_text("one\ntwo")
    assert rows(read(log, PostfixSource("", "", "subject", "UTC"))) == [("one",), ("two",)]


@pytest.mark.parametrize("text", ["", "\n", "\ufeff", " \n\n"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a"])
def test_an_empty_file_is_a_fault(tmp_path: Path, name: str, text: str) -> None:
    at = tmp_path / name
    at.write_text(text)
    ((origin, fault),) = faults(read(at))
    assert (origin, fault.line, fault.what) == (name, 0, "is empty") and fault.mend


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("a.xlsx", b"PK\x03\x04\x14\0\x06\0\x08\0\n\n", "is an Excel workbook or another packed file"),
        ("a.csv", b"PK\x03\x04\x14\0\x06\0\x08\0\n\n", "is an Excel workbook or another packed file"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0\n", "is an Excel workbook or another packed file"),
        ("a.csv", "refund,amount\nR-1,1\n".encode("utf-16-le"), "is UTF-16 without a byte order mark, or no text"),
        ("a.csv", "refund,amount\nR-1,1\n".encode("utf-16-be"), "is UTF-16 without a byte order mark, or no text"),
        ("a.jsonl", '{"refund": "R-1"}\n'.encode("utf-16-le"), "is UTF-16 without a byte order mark, or no text"),
        ("a", b"\0\0\0\0", "is UTF-16 without a byte order mark, or no text"),
    ],
)
def test_what_is_no_text_is_called_so(tmp_path: Path, name: str, data: bytes, what: str) -> None:
    at = tmp_path / name
    at.write_bytes(data)
    ((origin, fault),) = faults(read(at))
    assert (origin, fault.line, fault.what) == (name, 0, what) and "CSV UTF-8" in fault.mend


def test_a_nul_behind_the_header_costs_no_other_row(tmp_path: Path) -> None:
    at = tmp_path / "a.csv"
    at.write_bytes(b"refund,amount\nR-1,\0\nR-2,2\n")
    assert ("R-2", "2") in rows(read(at))


def test_a_header_only_shows_its_columns(tmp_path: Path) -> None:
    at = tmp_path / "a.csv"
    at.write_text("refund;amount")
    assert [portion.content for portion in read(at)] == [Table(("refund", "amount"), [], [])]


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no file"):
        read(tmp_path / "none.csv")
    with pytest.raises(SourceError, match="cannot read"):
        read(tmp_path)
    at = tmp_path / "a.csv"
    at.write_text('"refund"x\nR-1\n')
    assert [(fault.line, fault.what[:24]) for _, fault in faults(read(at))] == [(1, "the header cannot be rea")]
    at.write_text("[1, 2")
    assert faults(read(at.rename(tmp_path / "a.json")))[-1][1].what


def test_an_unclosed_array_and_a_last_quote(tmp_path: Path) -> None:
    at = tmp_path / "a.json"
    at.write_text('[{"refund": "R-1"},')
    found = read(at)
    assert rows(found) == [("R-1",)] and "not closed" in faults(found)[0][1].what
    at = tmp_path / "a.csv"
    at.write_text(HEAD + '"R-1,1.00,EUR\nR-2,2.00,EUR')
    found = read(at)
    assert rows(found) == [("R-2", "2.00", "EUR")] and [fault.line for _, fault in faults(found)] == [2]


_MEASURE = """
import sys
from pathlib import Path
def peak():  # of this process only: what getrusage says begins with the memory of whoever started it
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
from monitor.edge.sources.whole import whole
from monitor.model.sources import *
before = peak()
count = faults = 0
for portion, _ in whole(Path(sys.argv[1]), FilesSource("", FileFormat.CSV, Layout())):
    count += len(portion.content.rows)
    faults += len(portion.faults)
print(count, faults, peak() - before)
"""


def test_a_large_file_and_an_endless_line_need_little_memory(tmp_path: Path) -> None:
    """60 MiB, half of it one line: as much as any amount would need."""
    at = tmp_path / "refunds.csv"
    line = b"R-1,1.00,EUR,2026-01-01T00:00:00Z,customer@example.com\n"
    with at.open("wb") as file:
        file.write(b"refund,amount,currency,at,recipient\n")
        for _ in range(15):
            file.write(line * (CHUNK // len(line)))
        for _ in range(30):
            file.write(b"x" * CHUNK)
        file.write(b"\n")
        for _ in range(15):
            file.write(line * (CHUNK // len(line)))
    ran = subprocess.run([sys.executable, "-c", _MEASURE, at], capture_output=True, text=True, check=True)
    count, wrong, grown = map(int, ran.stdout.split())
    assert (count, wrong) == (30 * (CHUNK // len(line)), 1)
    assert grown < 40 * 1024, "KiB"
