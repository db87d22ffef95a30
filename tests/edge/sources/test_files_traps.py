"""Files as they are found in shops: half written, rotated, replaced, packed, away, locked."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitor.edge.clock import SystemClock
from monitor.edge.sources import files, finding
from monitor.edge.sources import places as positions
from monitor.edge.sources.cutting import CHUNK
from monitor.edge.sources.files import FileSource
from monitor.edge.sources.following import LEFT, QUIET
from monitor.model.ledger import Portion, Table
from monitor.model.sources import FileFormat, FilesSource, Layout
from monitor.ports import SourceError
from tests.edge.sources.premises import HEAD, Premises, faults, places, rows

ONE, TWO, THREE = ("R-1", "1.00", "EUR"), ("R-2", "2.00", "EUR"), ("R-3", "3.00", "EUR")


def lines(*wanted: tuple[str, ...]) -> str:
    return "".join(",".join(row) + "\n" for row in wanted)


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Premises]:
    made = Premises(tmp_path, "refunds.csv*")
    yield made
    made.close()


# --- half-written lines -----------------------------------------------------------------------------------------------------------


def test_half_a_line_waits_for_its_rest(at: Premises) -> None:
    at.write("refunds.csv", HEAD + lines(ONE) + "R-2,2.0")
    assert at.rows() == [ONE]
    at.append("refunds.csv", "0,EU")
    assert at.rows() == []
    at.append("refunds.csv", "R\nR-3")
    assert at.rows() == [TWO]


def test_half_a_character_and_half_a_line_end_wait_too(at: Premises) -> None:
    text = "refund,amount,currency\r\n€-1,1.00,EUR\r\n€-2,2.00,EUR\r\n".encode()
    got: list[tuple[object, ...]] = []
    for end in range(1, len(text) + 1):
        at.append("refunds.csv", text[end - 1 : end])
        got += at.rows()
    assert got == [("€-1", "1.00", "EUR"), ("€-2", "2.00", "EUR")]


def test_while_a_line_waits_it_was_read_until_the_round_before(at: Premises) -> None:
    at.write("refunds.csv", HEAD + lines(ONE))
    first = at.read()[-1].read_until
    assert first is not None
    at.clock.ahead = 10.0
    at.append("refunds.csv", "R-2,2.0")
    assert at.read()[-1].read_until == first
    at.clock.ahead = 20.0
    assert at.read()[-1].read_until == first, "its row may have been processed since"
    at.append("refunds.csv", "0,EUR\nR-3")
    third = at.read()[-1].read_until
    assert third is not None and third >= first + 19.9, "the line that waits now was not there then"


def test_a_line_that_waits_since_before_we_came_says_nothing_of_how_far_it_was_read(at: Premises) -> None:
    at.write("refunds.csv", HEAD + lines(ONE) + "R-2,2.0")
    assert [portion.read_until for portion in at.read()] == [None]


@pytest.mark.parametrize("half", ["R-2,2.00,EUR", "R-2,2.0"])
def test_half_a_line_waits_however_long_its_writer_has_nothing_to_say(at: Premises, half: str) -> None:
    """Written through a buffer, it may have all its fields and be cut within the last."""
    at.write("refunds.csv", HEAD + lines(ONE))
    first = at.read()[-1].read_until
    at.append("refunds.csv", half)
    for ahead in (QUIET + 5, LEFT - 60):
        at.clock.ahead = ahead
        assert at.rows() == [] and at.last is not None and at.last.read_until == first


def test_a_last_line_without_end_counts_when_nobody_wrote_for_a_day(at: Premises) -> None:
    at.write("refunds.csv", HEAD + lines(ONE) + "R-2,2.00,EUR")
    assert at.rows() == [ONE]
    at.clock.ahead = LEFT + 5
    assert at.rows() == [TWO]
    assert at.last is not None and at.last.read_until is not None
    assert at.rows() == []
    at.restart()
    assert at.rows() == []
    at.append("refunds.csv", "\n" + lines(THREE))
    assert at.rows() == [TWO, THREE], "given again, as the same record"


def test_a_last_line_that_goes_on_after_all_comes_again_whole(at: Premises) -> None:
    at.write("refunds.csv", HEAD + lines(ONE) + "R-2,2.00,E", age=LEFT + 5)
    assert at.rows() == [ONE, ("R-2", "2.00", "E")]
    at.append("refunds.csv", "UR\n")
    assert at.rows() == [TWO]


def test_half_a_row_that_nobody_finishes_is_a_fault(at: Premises) -> None:
    at.write("refunds.csv", HEAD + lines(ONE) + "R-2,2.0", age=LEFT + 5)
    found = at.read()
    assert rows(found) == [ONE]
    assert [(name, fault.line, fault.what) for name, fault in faults(found)] == [("refunds.csv", 3, "has 2 fields, the header has 3")]
    assert at.rows() == [], "said once"


def test_a_quote_that_is_not_closed_costs_one_line_and_not_the_rest(at: Premises) -> None:
    at.write("refunds.csv", HEAD + 'R-1,"1.00,EUR\n' + lines(TWO, THREE))
    found = at.read()
    assert rows(found) == [] and found[-1].read_until is None, "it may still be closed"
    at.clock.ahead = QUIET + 5
    found = at.read()
    assert rows(found) == [TWO, THREE] and [fault.line for _, fault in faults(found)] == [2]
    assert found[-1].read_until is not None
    at.append("refunds.csv", lines(ONE))
    assert at.rows() == [ONE]


# --- rotation and replacement -----------------------------------------------------------------------------------------------------


def test_renamed_and_begun_anew(at: Premises) -> None:
    first = at.write("refunds.csv", HEAD + lines(ONE))
    assert at.rows() == [ONE]
    at.append("refunds.csv", lines(TWO))
    first.rename(at.directory / "refunds.csv.1")
    at.write("refunds.csv", HEAD + lines(THREE))
    found = at.read()
    assert faults(found) == [] and rows(found) == [TWO, THREE]
    assert places(found) == [("refunds.csv.1", 3), ("refunds.csv", 2)]
    assert at.rows() == []


def test_copied_and_cut(at: Premises) -> None:
    first = at.write("refunds.csv", HEAD + lines(ONE, TWO))
    at.rows()
    (at.directory / "refunds.csv.1").write_bytes(first.read_bytes())
    at.write("refunds.csv", HEAD + lines(THREE))
    assert set(at.rows()) == {ONE, TWO, THREE}, "the copy is read too: it may hold what came last; nothing is said to be lost"
    assert at.rows() == []


def test_cut_to_nothing_and_written_beyond_where_it_was_read(at: Premises) -> None:
    at.write("refunds.csv", HEAD + lines(ONE))
    at.rows()
    at.write("refunds.csv", HEAD + lines(THREE, TWO, ONE))
    found = at.read()
    assert rows(found) == [THREE, TWO, ONE]
    ((name, fault),) = faults(found)
    assert (name, fault.line) == ("refunds.csv", 0) and "read again from its start" in fault.what and "rotated" in fault.mend
    assert at.rows() == []


def test_cut_to_a_part_of_what_it_was(at: Premises) -> None:
    many = [(f"R-{number}", "1.00", "EUR") for number in range(200)]
    at.write("refunds.csv", HEAD + lines(*many))
    assert at.rows() == many
    at.write("refunds.csv", HEAD + lines(*many[:150]))
    found = at.read()
    assert rows(found) == many[:150] and [fault.line for _, fault in faults(found)] == [0]
    at.append("refunds.csv", lines(TWO))
    assert at.rows() == [TWO]


def test_a_shorter_file_in_its_place(at: Premises) -> None:
    at.write("refunds.csv", HEAD + lines(ONE, TWO))
    at.rows()
    at.write("new", HEAD + lines(THREE)).replace(at.directory / "refunds.csv")
    found = at.read()
    assert rows(found) == [THREE] and [(fault.line, "shorter or an older" in fault.what) for _, fault in faults(found)] == [(0, True)]
    assert at.rows() == []


def test_an_older_file_in_its_place(at: Premises) -> None:
    at.write("refunds.csv", HEAD + lines(ONE))
    at.rows()
    at.write("new", HEAD + lines(THREE, TWO, ONE), age=86_400).replace(at.directory / "refunds.csv")
    found = at.read()
    assert rows(found) == [THREE, TWO, ONE] and len(faults(found)) == 1


def test_a_newer_and_longer_export_in_its_place_is_read_and_nothing_is_said(at: Premises) -> None:
    at.write("refunds.csv", HEAD + lines(ONE), age=60)
    at.rows()
    at.write("new", HEAD + lines(ONE, TWO)).replace(at.directory / "refunds.csv")
    assert at.rows() == [ONE, TWO]


def test_a_file_that_is_gone_was_read_or_that_is_said(at: Premises) -> None:
    at.write("refunds.csv", HEAD + lines(ONE))
    first, second = at.write("refunds.csv.1", HEAD + lines(TWO)), at.write("refunds.csv.2", HEAD + lines(THREE) + "R-4,4.0")
    at.read()
    first.unlink()
    assert at.rows() == []
    second.unlink()
    found = at.read()
    assert [(name, fault.line, fault.what) for name, fault in faults(found)] == [
        ("refunds.csv.2", 0, "is gone, and had not been read to its end")
    ]
    assert at.rows() == []


def test_files_come_in_the_order_of_their_changes_then_names(at: Premises) -> None:
    for name, age in (("refunds.csv.b", 50), ("refunds.csv.a", 10), ("refunds.csv.d", 100), ("refunds.csv.c", 100)):
        at.write(name, HEAD + lines((name[-1], "1.00", "EUR")), age=age)
    when = at.directory.joinpath("refunds.csv.c").stat().st_mtime_ns
    os.utime(at.directory / "refunds.csv.d", ns=(when, when))
    assert [row[0] for row in at.rows()] == ["c", "d", "b", "a"]
    at.write("refunds.csv.e", HEAD + lines(("e", "1.00", "EUR")), age=1_000)
    assert [row[0] for row in at.rows()] == ["e"], "a new one with an old time"


def test_renamed_and_linked_files_are_not_read_again(at: Premises) -> None:
    first = at.write("refunds.csv", HEAD + lines(ONE))
    assert at.rows() == [ONE]
    first.rename(at.directory / "refunds.csv.1")
    assert at.rows() == []
    (at.directory / "refunds.csv.2").hardlink_to(at.directory / "refunds.csv.1")
    (at.directory / "refunds.csv.3").symlink_to(at.directory / "refunds.csv.1")
    (at.directory / "refunds.csv.4").symlink_to(at.directory / "nowhere")
    assert at.rows() == []


def test_a_file_with_two_names_is_read_once(at: Premises) -> None:
    at.write("refunds.csv", HEAD + lines(ONE))
    (at.directory / "refunds.csv.1").hardlink_to(at.directory / "refunds.csv")
    (at.directory / "refunds.csv.2").symlink_to(at.directory / "refunds.csv")
    assert at.rows() == [ONE]
    at.append("refunds.csv", lines(TWO))
    assert at.rows() == [TWO]


def test_a_symlink_that_is_put_elsewhere(at: Premises) -> None:
    for name, row in (("monday", ONE), ("tuesday", TWO)):
        at.write(name, HEAD + lines(row))
    link = at.directory / "refunds.csv"
    link.symlink_to("monday")
    assert at.rows() == [ONE]
    link.unlink()
    link.symlink_to("tuesday")
    assert at.rows() == [TWO]


def test_other_device_numbers_after_a_boot(at: Premises) -> None:
    at.write("refunds.csv", HEAD + lines(ONE))
    at.rows()
    device = at.directory.joinpath("refunds.csv").stat().st_dev
    assert f",{device}," in at.position
    at.position = at.position.replace(f",{device},", f",{device + 7},")
    at.append("refunds.csv", lines(TWO))
    assert at.rows() == [TWO]


def test_a_position_of_an_older_version_is_read_on_from(at: Premises) -> None:
    """It names files by their paths, and knows of no tail. Devices may have been renumbered meanwhile."""
    at.write("refunds.csv.jane@example.com", HEAD + lines(ONE))
    at.write("refunds.csv", HEAD + lines(TWO))
    at.rows()
    old = json.loads(at.position)
    old["files"] = [row[:11] for row in old["files"]]
    for row in old["files"]:
        row[0] = row[0].replace(f"***#{row[2]}", "refunds.csv.jane@example.com")
        row[1] += 7
    old["floor"] = [0, "/exports/jane@example.com", 0]
    at.position = json.dumps(old)
    at.restart()
    at.append("refunds.csv.jane@example.com", lines(THREE))
    assert at.rows() == [THREE]
    assert "jane" not in at.position


# --- what may match ---------------------------------------------------------------------------------------------------------------


def raised(at: Premises) -> SourceError:
    with pytest.raises(SourceError) as caught:
        at.read()
    return caught.value


def test_no_file_is_an_error_and_never_the_end(at: Premises) -> None:
    error = raised(at)
    assert "no file matches" in error.detail and error.mend and error.transient


@pytest.mark.parametrize("pattern", ["none/refunds.csv", "none/*.csv", "none/**/*.csv", "none/[ab]/x"])
def test_a_missing_directory_is_named(tmp_path: Path, pattern: str) -> None:
    error = raised(Premises(tmp_path, pattern))
    assert str(tmp_path / "none") in error.detail and "does not exist" in error.detail and error.transient and "create" in error.mend


def test_a_directory_means_its_files_that_are_not_hidden(tmp_path: Path) -> None:
    exports = tmp_path / "exports [new]"
    (exports / "deeper").mkdir(parents=True)
    at = Premises(tmp_path, "exports [new]")
    at.write("exports [new]/a.csv", HEAD + lines(ONE))
    at.write("exports [new]/.b.csv", HEAD + lines(TWO))
    at.write("exports [new]/deeper/c.csv", HEAD + lines(THREE))
    assert at.rows() == [ONE]


def test_a_name_that_looks_like_a_pattern_is_a_name(tmp_path: Path) -> None:
    at = Premises(tmp_path, "refunds [1].csv")
    at.write("refunds [1].csv", HEAD + lines(ONE))
    at.write("refunds 1.csv", HEAD + lines(TWO))
    assert at.rows() == [ONE]


def test_two_stars_go_down(tmp_path: Path) -> None:
    at = Premises(tmp_path, "**/*.csv")
    (tmp_path / "a" / "b").mkdir(parents=True)
    at.write("a/b/c.csv", HEAD + lines(ONE))
    at.write("d.csv", HEAD + lines(TWO))
    assert sorted(at.rows()) == [ONE, TWO]


def test_a_file_that_may_not_be_read_makes_the_source_blind(at: Premises) -> None:
    at.write("refunds.csv", HEAD + lines(ONE), age=50)
    closed = at.write("refunds.csv.1", HEAD + lines(TWO))
    closed.chmod(0)
    for above in (at.directory, *at.directory.parents[:2]):
        above.chmod(0o755)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65_534)
    try:
        for _ in range(2):
            error = raised(at)
            assert "refunds.csv.1" in error.detail and f"uid {os.geteuid()}" in error.mend and error.transient
    finally:
        if root:
            os.seteuid(0)
    closed.chmod(0o644)
    assert at.rows() == [ONE, TWO]


def test_a_pipe_is_not_opened(at: Premises) -> None:
    os.mkfifo(at.directory / "refunds.csv")
    assert "no regular file" in raised(at).detail


def test_an_address_in_a_name_is_neither_told_nor_kept(at: Premises) -> None:
    for name, row in (("jane.doe", ONE), ("john.roe", TWO)):
        at.write(f"refunds.csv.{name}@example.com", HEAD + lines(row))
    assert sorted(at.rows()) == [ONE, TWO]
    assert "@" not in at.position and "doe" not in at.position and at.position.count("/***#") == 2
    at.restart()
    at.append("refunds.csv.jane.doe@example.com", lines(THREE))
    assert at.rows() == [THREE], "each is known again"
    os.mkfifo(at.directory / "refunds.csv.max@example.com")
    error = raised(at)
    assert "no regular file" in error.detail and "max" not in error.detail and "/***" in error.detail
    assert "jane" not in finding.cannot_read("/exports/jane@example.com.csv", OSError(5, "broken")).detail


def test_too_many_files_are_refused(at: Premises, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "MOST_FILES", 2)
    for number in range(3):
        at.write(f"refunds.csv.{number}", HEAD)
    assert "more than 2 files" in raised(at).detail


def test_names_are_shown_without_what_would_spoil_a_terminal(at: Premises) -> None:
    name = os.fsencode(at.directory) + b"/refunds.csv.\x1b[31m\n\xff"
    Path(os.fsdecode(name)).write_bytes((HEAD + lines(ONE)).encode())
    found = at.read()
    assert rows(found) == [ONE] and all(portion.origin.isprintable() for portion in found)
    found[-1].position.encode("ascii")
    assert at.rows() == []


# --- packed files -----------------------------------------------------------------------------------------------------------------


def test_packed_files_are_read_once(at: Premises) -> None:
    packed = gzip.compress((HEAD + lines(*(ONE for _ in range(25_000)), TWO)).encode())
    at.write("refunds.csv.2.gz", packed)
    found = at.read()
    assert rows(found) == [ONE] * 25_000 + [TWO] and faults(found) == [] and found[-1].read_until is not None
    assert len(found) > 2 and places(found)[-1] == ("refunds.csv.2.gz", 25_002)
    assert at.rows() == []


def test_a_restart_within_a_packed_file(at: Premises) -> None:
    wanted = [(f"R-{number}", "1.00", "EUR") for number in range(25_000)]
    at.write("refunds.csv.gz", gzip.compress((HEAD + lines(*wanted)).encode()))
    got: list[tuple[object, ...]] = []
    for _ in range(10):
        portion = asyncio.run(at.reader.read(at.position, 30.0))
        got += rows([portion])
        at.position = portion.position
        at.restart()
        if not portion.more:
            break
    assert got == wanted


def test_a_packed_file_needs_no_line_end_at_its_end_and_may_have_members(at: Premises) -> None:
    at.write("refunds.csv.gz", gzip.compress((HEAD + lines(ONE)).encode()) + gzip.compress(lines(TWO, THREE)[:-1].encode()))
    assert at.rows() == [ONE, TWO, THREE]


def test_a_packed_file_that_is_still_being_written(at: Premises) -> None:
    wanted = [(f"R-{os.urandom(8).hex()}", "1.00", "EUR") for _ in range(5_000)]
    packed = gzip.compress((HEAD + lines(*wanted)).encode())
    at.write("refunds.csv.gz", packed[: len(packed) // 2])
    found = at.read()
    got = rows(found)
    assert faults(found) == [] and found[-1].read_until is None and len(got) < 5_000
    at.append("refunds.csv.gz", packed[len(packed) // 2 :])
    assert got + at.rows() == wanted


def test_a_packed_file_that_is_cut_off_and_one_that_is_damaged(at: Premises) -> None:
    wanted = [(f"R-{os.urandom(8).hex()}", "1.00", "EUR") for _ in range(20_000)]
    packed = gzip.compress((HEAD + lines(*wanted)).encode())
    at.write("refunds.csv.1.gz", packed[: len(packed) // 2], age=QUIET + 10)
    at.write("refunds.csv.2.gz", packed[: len(packed) // 2] + bytes(1_000) + packed[len(packed) // 2 + 1_000 :])
    at.write("refunds.csv.3.gz", b"\x1f\x8bno")
    at.write("refunds.csv.4", HEAD + lines(ONE))
    at.clock.ahead = QUIET + 10
    found = at.read()
    said = {name: fault for name, fault in faults(found) if fault.line == 0}
    assert set(said) == {"refunds.csv.1.gz", "refunds.csv.2.gz", "refunds.csv.3.gz"} and all(fault.mend for fault in said.values())
    assert "its end is missing" in said["refunds.csv.1.gz"].what and "unpacked" in said["refunds.csv.2.gz"].what
    assert wanted[0] in rows(found) and ONE in rows(found)
    assert at.rows() == [] and at.last is not None and at.last.read_until is not None


# --- bounds -----------------------------------------------------------------------------------------------------------------------


def test_a_line_without_end_is_passed_over_in_bounded_memory(at: Premises) -> None:
    with at.write("refunds.csv", HEAD + lines(ONE)).open("ab") as file:
        for _ in range(20):
            file.write(b"x" * CHUNK)
        file.write(("\n" + lines(TWO)).encode())
    found = at.read()
    assert rows(found) == [ONE, TWO] and places(found)[-1] == ("refunds.csv", 4)
    assert [(fault.line, fault.what) for _, fault in faults(found)] == [(3, "is longer than 1 MiB; it is passed over")]
    assert len(found) < 30 and at.rows() == []


def test_an_endless_quote_is_passed_over(at: Premises) -> None:
    many = [(f"R-{number}", "1.00", "EUR") for number in range(60_000)]
    at.write("refunds.csv", HEAD + lines(ONE) + 'R-2,"2.00,EUR\n' + lines(*many))
    found = at.read()
    assert rows(found) == [ONE, *many] and [fault.line for _, fault in faults(found)] == [3]
    assert places(found)[-1] == ("refunds.csv", 60_003)


def test_a_portion_has_bounded_faults(at: Premises) -> None:
    at.write("refunds.csv", HEAD + "wrong\n" * 5_000 + lines(ONE))
    found = at.read()
    assert rows(found) == [ONE] and len(faults(found)) == 5_000 and max(len(portion.faults) for portion in found) <= 1_001


def test_what_is_remembered_is_bounded_and_nothing_is_read_twice(at: Premises, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "MOST", 5)
    for number in range(30):
        at.write(f"refunds.csv.{number:02}", HEAD + lines((f"R-{number}", "1.00", "EUR")), age=1_000 - number)
        if number == 20:
            assert len(at.rows()) == 21
    assert len(at.rows()) == 9 and at.position.count("refunds.csv.") <= 7
    at.restart()
    assert at.rows() == []
    at.append("refunds.csv.03", lines(THREE))
    assert THREE in at.rows(), "one that was forgotten and grows after all"
    at.write("refunds.csv.late", HEAD + lines(TWO), age=100_000)
    assert at.rows() == [TWO], "one that comes late and is older than all"


def test_more_unfinished_files_than_can_be_remembered_wait(at: Premises, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "MOST", 3)
    at.write("refunds.csv", HEAD + lines(ONE), age=20)
    assert at.rows() == [ONE] and at.last is not None and at.last.read_until is not None
    for number in range(6):
        at.write(f"refunds.csv.{number}", HEAD + f"R-{number},1.00,EUR")
    assert at.rows() == [] and at.last.read_until is None
    got = []
    at.clock.ahead = LEFT + 10
    for _ in range(6):
        got += at.rows()
    assert sorted(row[0] for row in got) == [f"R-{number}" for number in range(6)] and at.last.read_until is not None


def test_a_growing_file_does_not_keep_a_round_from_its_end(at: Premises) -> None:
    """A writer that is faster than we are."""
    at.write("refunds.csv", HEAD)
    at.write("refunds.csv.1", HEAD + lines(*(ONE for _ in range(30_000))))

    async def read() -> list[Portion]:
        found: list[Portion] = []
        for _ in range(50):
            portion = await at.reader.read(found[-1].position if found else "", 30.0)
            found.append(portion)
            at.append("refunds.csv", lines(TWO))
            if not portion.more:
                return found
        raise AssertionError("no end")

    assert len(asyncio.run(read())) < 10


def test_the_deadline_holds_while_the_disk_hangs(at: Premises, monkeypatch: pytest.MonkeyPatch) -> None:
    at.write("refunds.csv", HEAD + lines(ONE))
    released = threading.Event()
    looked = []

    def hang(pattern: str, goes_on: Callable[[], bool]) -> tuple[finding.Found, ...]:
        looked.append(goes_on)
        released.wait(30)
        return finding.find(pattern, goes_on)

    monkeypatch.setattr(files, "find", hang)

    async def scenario() -> None:
        source = FileSource(FilesSource(str(at.directory / "refunds.csv"), FileFormat.CSV, Layout()), SystemClock())
        for _ in range(3):
            with pytest.raises(SourceError, match=r"within 0\.05 s"):
                await source.read("", 0.05)
        assert len(looked) == 1, "one thread at most hangs there"
        assert not looked[0](), "and is told to end"
        released.set()
        assert isinstance(content := (await source.read("", 30.0)).content, Table) and len(content.rows) == 1
        await source.close()

    asyncio.run(scenario())


# --- forms ------------------------------------------------------------------------------------------------------------------------


def test_each_file_has_its_own_header(at: Premises) -> None:
    at.write("refunds.csv.1", HEAD + lines(ONE), age=20)
    at.write("refunds.csv.2", "currency;refund\nEUR;R-2\n", age=10)
    found = [portion for portion in at.read() if portion.content != Table((), (), ())]
    contents = [portion.content for portion in found]
    assert [content.columns for content in contents if isinstance(content, Table)] == [
        ("refund", "amount", "currency"),
        ("currency", "refund"),
    ]
    assert [portion.origin for portion in found] == ["refunds.csv.1", "refunds.csv.2"]


def test_a_file_of_a_header_only_shows_its_columns_once(at: Premises) -> None:
    at.write("refunds.csv", "amount;refund\n")
    found = at.read()
    assert [portion.content for portion in found if isinstance(portion.content, Table) and portion.content.columns] == [
        Table(("amount", "refund"), [], [])
    ]
    assert at.read()[0].content == Table((), (), ())


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff"])
def test_an_empty_file_is_no_fault_until_it_is_filled(at: Premises, text: str) -> None:
    at.write("refunds.csv", text)
    assert at.rows() == []
    at.append("refunds.csv", HEAD + lines(ONE))
    assert at.rows() == [ONE]


def test_a_file_that_cannot_be_cut_keeps_no_other_from_being_read(at: Premises) -> None:
    at.write("refunds.csv.1", "x" * (CHUNK + 10) + "\n" + lines(ONE), age=20)
    at.write("refunds.csv.2", HEAD + lines(TWO), age=10)
    found = at.read()
    assert rows(found) == [TWO] and [(name, fault.line) for name, fault in faults(found)] == [("refunds.csv.1", 1)]
    assert at.rows() == [] and found[-1].read_until is not None


def test_lines_of_a_log(tmp_path: Path) -> None:
    at = Premises(tmp_path, "mail.log*", log=True)
    at.write("mail.log.2.gz", gzip.compress(b"packed 1\npacked 2\n"), age=50)
    at.write("mail.log", b"one\r\n\ntwo \xff\nthr")
    found = at.read()
    assert rows(found) == [("packed 1",), ("packed 2",), ("one",), ("",), ("two \\xff",)]
    at.append("mail.log", "ee\n")
    (portion,) = at.read()
    assert portion.content.first == 4 and list(portion.content.lines) == ["three"]  # type: ignore[union-attr]
    at.close()


def test_an_array_that_grows(tmp_path: Path) -> None:
    at = Premises(tmp_path, "refunds.json", FileFormat.JSONL)
    text = '[\n {"refund": "R-1", "amount": 1.50},\n {"refund": "R-2",\n  "amount": 2}\n]'
    got: list[tuple[object, ...]] = []
    numbers = []
    for end in range(1, len(text) + 1):
        at.append("refunds.json", text[end - 1 : end])
        found = at.read()
        assert faults(found) == []
        got += rows(found)
        numbers += places(found)
    assert got == [("R-1", "1.50"), ("R-2", "2")] and [line for _, line in numbers] == [2, 3]
    at.clock.ahead = QUIET + 10
    assert at.rows() == [] and at.last is not None and at.last.read_until is not None
    at.close()


def test_an_array_with_what_is_no_json_in_its_middle_is_given_up_there(tmp_path: Path) -> None:
    at = Premises(tmp_path, "refunds.json", FileFormat.JSONL)
    at.write("refunds.json", '[{"refund": "R-1"},\noops,\n' + '{"refund": "R-2"},\n' * 150_000)
    found = at.read()
    assert rows(found) == [("R-1",)] and found[-1].read_until is not None
    ((_, fault),) = faults(found)
    assert fault.line == 2 and "from here on the array cannot be read" in fault.what and "one object a line" in fault.mend
    assert at.rows() == []
    at.close()
