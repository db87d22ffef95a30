"""Files that are written anew from their beginning, as exports are: what changed in them is read, wherever it stands."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitor.edge.sources import following
from monitor.model.sources import Complete
from tests.edge.sources.premises import Premises, faults, rows

HEAD = "refund,amount,currency,note,status\n"
Row = tuple[str, str, str, str, str]


def export(**changes: tuple[int, str]) -> list[Row]:
    """Sorted by number, longer than what files are known by; `changes`: column -> number of the row, and what stands in it."""
    made = [
        {"refund": f"R-{100_000 + number}", "amount": "12.50", "currency": "EUR", "note": "x" * 40, "status": "processed"}
        for number in range(40)
    ]
    made[20]["status"] = "pending"
    for column, (number, value) in changes.items():
        made[number][column] = value
    return [(row["refund"], row["amount"], row["currency"], row["note"], row["status"]) for row in made]


def text(found: list[Row]) -> bytes:
    return (HEAD + "".join(",".join(row) + "\n" for row in found)).encode()


def in_place(at: Premises, name: str, content: bytes) -> None:
    at.write(name, content)


def created_again(at: Premises, name: str, content: bytes) -> None:
    """The old inode may be given again."""
    (at.directory / name).unlink()
    at.write(name, content)


def renamed_twice(at: Premises, name: str, content: bytes) -> None:
    for body in (b"", content):
        at.write("new", body).replace(at.directory / name)


@pytest.fixture(params=[Complete.READ, Complete.WRITTEN])
def at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Premises]:
    made = Premises(tmp_path, "refunds*", complete=request.param)
    yield made
    made.close()


WAYS = [in_place, created_again, renamed_twice]
CHANGES = {
    "longer": export(status=(20, "processed")),
    "shorter": export(status=(21, "failed")),
    "of the same length": export(amount=(20, "99.50")),
    "one more at the front": [("R-099999", "1.00", "EUR", "", "processed"), *export()],
    "four more": [*export(status=(20, "processed")), *[(f"R-10004{n}", "1.00", "EUR", "", "processed") for n in range(4)]],
}


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("after", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("name", ["refunds.csv", "refunds.csv.gz"])
def test_what_changed_is_read_wherever_it_stands(
    at: Premises, name: str, after: list[Row], write: Callable[[Premises, str, bytes], None]
) -> None:
    pack = gzip.compress if name.endswith(".gz") else bytes
    at.write(name, pack(text(export())), age=600)
    assert at.rows() == export()
    write(at, name, pack(text(after)))
    found = at.read()
    assert rows(found) == after
    assert all("read again from its start" in fault.what and "complete: written" in fault.mend for _, fault in faults(found))
    at.restart()
    assert at.rows() == [], "and once"


def test_a_packed_file_is_known_by_its_end_on_the_disk_too(tmp_path: Path) -> None:
    at = Premises(tmp_path, "refunds*")

    def packed(behind: list[Row]) -> bytes:
        notes = [(f"R-{number}", "1.00", "EUR", hashlib.sha256(bytes([number])).hexdigest(), "processed") for number in range(60)]
        return gzip.compress(text(notes)) + gzip.compress(text(behind))

    at.write("refunds.csv.gz", packed(export()), age=600)
    assert at.rows()[60:] == export()
    after = CHANGES["four more"]
    at.write("refunds.csv.gz", packed(after))
    assert rows(at.read())[60:] == after
    at.close()


def test_an_export_is_read_whole_even_if_it_grew_as_well(tmp_path: Path) -> None:
    """Nothing but its time tells that another row was changed."""
    at = Premises(tmp_path, "refunds*", complete=Complete.WRITTEN)
    at.write("refunds.csv", text(export()), age=600)
    at.rows()
    after = [*export(amount=(20, "99.50")), ("R-100040", "1.00", "EUR", "", "processed")]
    at.write("refunds.csv", text(after), age=300)
    assert at.rows() == after, "and nothing is said to be lost"
    at.close()


def test_an_export_that_is_written_while_it_is_read_is_read_on_and_then_whole(tmp_path: Path) -> None:
    at = Premises(tmp_path, "refunds*", complete=Complete.WRITTEN)
    many = [(f"R-{number}", "1.00", "EUR", "", "processed") for number in range(25_000)]
    later = [("R-X", "1.00", "EUR", "", "processed")]
    at.write("refunds.csv", text(many), age=600)
    got: list[tuple[object, ...]] = []

    async def read() -> None:
        for _ in range(10):
            portion = await at.reader.read(at.position, 30.0)
            at.position = portion.position
            got.extend(rows([portion]))
            at.append("refunds.csv", ",".join(later[0]) + "\n")
            if not portion.more:
                return
        raise AssertionError("it begins anew with each line that comes")

    asyncio.run(read())
    assert got[:25_000] == many and set(got[25_000:]) == set(later)
    assert at.rows()[:25_001] == many + later
    assert at.rows() == []
    at.close()


def test_a_file_that_is_only_touched_is_read_again_and_nothing_is_said(at: Premises) -> None:
    """It may have been changed anywhere; who takes the same again merges it."""
    path = at.write("refunds.csv", text(export()), age=600)
    at.rows()
    os.utime(path)
    assert at.rows() == export()
    assert at.rows() == []


def test_a_line_that_comes_while_the_file_is_read_is_growth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time must not be taken for that of the lines before it: then the file would seem changed, and not grown."""
    at = Premises(tmp_path, "refunds*")
    at.write("refunds.csv", text(export()), age=600)
    plain = following.Following._onward
    more = [("R-X", "1.00", "EUR", "", "processed")]

    def onward(self: following.Following, *arguments: object) -> following.Step:
        if more:
            at.append("refunds.csv", ",".join(more.pop()) + "\n", age=300)
        return plain(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(following.Following, "_onward", onward)
    assert len(at.rows()) == 41
    assert at.rows() == []
    at.close()
