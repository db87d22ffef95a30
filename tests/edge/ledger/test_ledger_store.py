"""The file: who may read it, what is done when it cannot be used, and what is left of what was forgotten."""

from __future__ import annotations

import resource
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.edge.ledger import SqliteLedger, comparing, purging
from monitor.edge.ledger.schema import VERSION
from monitor.model.ledger import Purge, Purged, Refund, RowFault, Taken, Wanted
from monitor.ports import LedgerUnreadable
from tests.edge.ledger.cases import BERT, HOUR, LATE, NOON, mail, refund, windows
from tests.fakes.ledger import confirmations, refunds

SECRET = b"\xfeSECRETHASH\xff"


async def broken(ledger: SqliteLedger) -> str:
    with pytest.raises(LedgerUnreadable) as told:
        await ledger.take(refunds(refund("R9")))
    return str(told.value)


async def test_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    ledger = SqliteLedger(path)
    assert not path.exists()  # opened at its first use
    await ledger.take(refunds(refund()))
    assert {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()} == {0o600}
    await ledger.close()
    assert [one.name for one in tmp_path.iterdir()] == ["ledger.sqlite3"]


async def test_reopened_it_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    ledger = SqliteLedger(path)
    await ledger.take(refunds(refund(), refund("R2"), position="p"))
    await ledger.take(confirmations(mail("R2"), mail("X1")))
    before = await ledger.reconcile(windows(), 1.0)
    await ledger.close()
    again = SqliteLedger(path)
    assert await again.standing() == before
    assert await again.reached("ledger") == ("p", "")
    assert await again.reconcile(windows(), 2.0) == before
    assert await again.take(refunds(refund())) == Taken(0, 1)
    await again.close()


async def test_what_changed_is_looked_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    ledger = SqliteLedger(path)
    await ledger.take(refunds(refund(), refund(to=BERT)))
    looked = []
    for now in (1.0, 2.0):
        with sqlite3.connect(path) as db:
            looked.append(db.execute("SELECT count(*) FROM changed").fetchone()[0])
        db.close()
        await ledger.reconcile(windows(), now)
    assert looked == [1, 0]
    await ledger.close()


async def test_of_a_newer_version(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    ledger = SqliteLedger(path)
    told = await broken(ledger)
    assert str(path) in told and "run the version that wrote it, or move it away" in told
    await ledger.close()


async def test_no_database(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(b"not a database, but long enough to be looked at " * 100)
    ledger = SqliteLedger(path)
    told = await broken(ledger)
    assert str(path) in told and "restore it from a backup, or move it away" in told
    path.unlink()
    assert await ledger.take(refunds(refund())) == Taken(1, 0)  # the mend
    await ledger.close()


async def test_damaged_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    ledger = SqliteLedger(path)
    await ledger.take(refunds(*(refund(f"R{number}") for number in range(2_000))))
    await ledger.close()
    body = bytearray(path.read_bytes())
    body[4096 * 3 :] = b"\x5a" * (len(body) - 4096 * 3)
    path.write_bytes(body)
    assert "restore it from a backup, or move it away" in await broken(SqliteLedger(path))


async def test_no_place_for_it(tmp_path: Path) -> None:
    told = await broken(SqliteLedger(tmp_path / "nowhere" / "ledger.sqlite3"))
    assert "make it readable and writable" in told


async def test_gone_while_in_use(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    ledger = SqliteLedger(path)
    await ledger.take(refunds(refund(), position="p"))
    for one in tmp_path.iterdir():
        one.unlink()
    assert "is gone, or another file has taken its place" in await broken(ledger)
    assert await ledger.reached("ledger") == ("", "")  # begun anew: its sources are read again
    await ledger.close()


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process grows beyond 600,000 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_takes_nothing_by_half(tmp_path: Path, small_files: None) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3")
    await ledger.take(refunds(refund(), position="p"))
    with pytest.raises(LedgerUnreadable, match="free disk space"):
        await ledger.take(refunds(*(refund(f"R{number}") for number in range(20_000)), position="q"))
    assert await ledger.reached("ledger") == ("p", "")
    assert (await ledger.reconcile(windows(), 1.0)).refunds == 1
    await ledger.close()


async def test_a_temporary_one_that_failed_stays_so(small_files: None) -> None:
    """What was in it is lost: it must not go on as an empty one."""
    ledger = SqliteLedger(None)
    await ledger.take(refunds(refund()))
    with pytest.raises(LedgerUnreadable, match="TMPDIR"):
        for number in range(200):
            await ledger.take(refunds(*(refund(f"R{number}-{one}" * 20) for one in range(20_000))))
    with pytest.raises(LedgerUnreadable, match="TMPDIR"):
        await ledger.standing()
    await ledger.close()


async def test_a_record_that_cannot_be_kept_takes_its_portion_with_it(tmp_path: Path) -> None:
    lasting, temporary = SqliteLedger(tmp_path / "ledger.sqlite3"), SqliteLedger(None)
    for ledger in (lasting, temporary):
        with pytest.raises(OverflowError):
            await ledger.take(refunds(refund(), refund("R2", 2**63), position="p"))
    assert await lasting.reached("ledger") == ("", "")
    assert (await lasting.reconcile(windows(), 1.0)).refunds == 0
    assert "begin again" in await broken(temporary)  # where nothing can be taken back
    await lasting.close()
    await temporary.close()


async def test_closed(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3")
    await ledger.close()
    await ledger.close()
    assert "is closed" in await broken(ledger)


async def test_many_keys_go_through_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "CHUNK", 7)
    ledger = SqliteLedger(None)
    await ledger.take(refunds(*(refund(f"R{number}", number + 1) for number in range(50))))
    await ledger.take(confirmations(*(mail(f"R{number}", amount=7) for number in range(1, 50, 2)), mail("X1")))
    standing = await ledger.reconcile(windows(), 1.0)
    assert [one.open for one in standing.classes] == [25, 1, 25, 0]
    await ledger.close()


async def test_slices_that_cut_through_what_is_kept() -> None:
    ledger = SqliteLedger(None)
    with pytest.raises(ValueError, match="300 seconds"):
        await ledger.volume(0.0, 100.0)
    await ledger.take(refunds(refund(at=1e9)))
    assert len(await ledger.volume(0.0, 300.0)) == 100_000
    await ledger.close()


async def test_a_purge_goes_in_steps_and_gives_the_space_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "STEP", 300)
    monkeypatch.setattr(purging, "PAGES", 20)
    path = tmp_path / "ledger.sqlite3"
    ledger = SqliteLedger(path)
    await ledger.take(refunds(*(refund(f"R{number}") for number in range(4_000)), refund("Y1", at=LATE)))
    await ledger.take(confirmations(*(mail(f"R{number}") for number in range(4_000))))
    await ledger.reconcile(windows(), 1.0)
    await ledger.standing()
    full = sum(one.stat().st_size for one in tmp_path.iterdir())
    assert await ledger.purge(Purge(before=NOON + HOUR)) == Purged(4_000, 4_000, 0)
    assert sum(one.stat().st_size for one in tmp_path.iterdir()) < full / 5
    assert (await ledger.standing()).refunds == 1
    await ledger.close()


def files_with(directory: Path, needle: bytes) -> list[str]:
    return [one.name for one in directory.iterdir() if needle in one.read_bytes()]


@pytest.mark.parametrize("others", [0, 6_000])
async def test_not_a_byte_is_left_of_a_purged_person(tmp_path: Path, others: int) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3")
    crowd = [refund(f"R{number * 7919 % 10_007}", to=number.to_bytes(12, "big")) for number in range(others)]
    await ledger.take(refunds(*crowd[: others // 2], refund("A1", to=SECRET), refund("A2", to=BERT), refund("A2", to=SECRET)))
    await ledger.take(confirmations(mail("X1", to=SECRET), mail("A1", to=SECRET, outcome="failed")))
    await ledger.reconcile(windows(), 1.0)
    await ledger.take(refunds(*crowd[others // 2 :]))  # pages are split
    assert files_with(tmp_path, SECRET)
    assert await ledger.purge(Purge(recipient=SECRET)) == Purged(2, 2, 2)
    assert files_with(tmp_path, SECRET) == []
    assert len((await ledger.differences(Wanted(limit=9_999))).differences) == 3 + others // 2
    await ledger.close()


async def test_a_stale_copy_is_found_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    ledger = SqliteLedger(path)
    await ledger.take(refunds(refund("A1", to=SECRET), Refund("A2", "A2", 1, "EUR", NOON)))
    await ledger.close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA secure_delete=OFF")
        db.execute("DELETE FROM refunds WHERE key = 'A1'")
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    assert files_with(tmp_path, SECRET)
    again = SqliteLedger(path)
    await again.purge(Purge(recipient=SECRET))
    assert files_with(tmp_path, SECRET) == []
    await again.close()


async def test_what_a_reader_remembered_leaves_no_copy_either(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    ledger = SqliteLedger(path)
    spelt = SECRET.hex()
    await ledger.take(confirmations(position="p", memory=spelt * 300))
    await ledger.close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA secure_delete=OFF")
        db.execute("UPDATE sources SET memory = ''")
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    assert files_with(tmp_path, spelt.encode())
    again = SqliteLedger(path)
    await again.purge(Purge(recipient=SECRET))
    assert files_with(tmp_path, spelt.encode()) == []
    await again.close()


async def test_while_another_process_reads_the_file_nobody_is_said_to_be_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    ledger = SqliteLedger(path)
    await ledger.take(refunds(refund("A1", to=SECRET)))
    await ledger._run(lambda db: db.execute("PRAGMA busy_timeout=20"))
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM refunds").fetchone()
    with pytest.raises(LedgerUnreadable, match=r"another process reads the file.* purge again"):
        await ledger.purge(Purge(recipient=SECRET))
    assert files_with(tmp_path, SECRET)
    reader.close()
    await ledger.purge(Purge(recipient=SECRET))
    assert files_with(tmp_path, SECRET) == []
    await ledger.close()


async def test_no_text_of_a_row_breaks_its_portion(tmp_path: Path) -> None:
    """Bytes that are no UTF-8, and files that are named after a customer."""
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3")
    fault = RowFault(1, "no column w\udce4hrung", "write \udcff", "\udce4")
    origin = "/in/\udce4/of-anna@shop.example.csv"
    await ledger.take(refunds(refund(), faults=(fault,)))
    await ledger.take(replace(refunds(refund("R2"), faults=(fault,)), origin=origin))
    (source,) = await ledger.sources()
    assert source.faults[1] == ("/in/\\udce4/***", RowFault(1, "no column w\\udce4hrung", "write \\udcff", "\\udce4"))
    again = await ledger.take(replace(refunds(refund("R2", 7, line=8)), origin=origin))
    assert "of /in" not in again.conflicts[0].what  # the same file
    await ledger.reconcile(windows(), 1.0)
    assert [one.refund_place for one in (await ledger.differences(Wanted())).differences] == ["ledger", "ledger, /in/\\udce4/***"]
    await ledger.close()


@pytest.mark.parametrize("side", ["refunds", "confirmations"])
async def test_what_comes_in_the_middle_of_a_purge_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str) -> None:
    """Newest first is how it came: with the old ones the highest places go, and are given again."""
    monkeypatch.setattr(purging, "STEP", 1)
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3")
    await ledger.take(refunds(refund("Y1", at=LATE), refund("R1"), refund("R2")))
    await ledger.take(confirmations(mail("Y1", at=LATE), mail("R1"), mail("R2")))
    await ledger.reconcile(windows(), 1.0)
    steps = await ledger._run(lambda db: purging.older(db, NOON + HOUR))
    gone = 0
    while gone < 2:
        step = await ledger._run(lambda db: next(steps))
        gone += getattr(step, side)
    await ledger.take(refunds(refund("N1", at=LATE + 1.0)) if side == "refunds" else confirmations(mail("N1", at=LATE + 1.0)))
    await ledger.reconcile(windows(LATE + 9 * HOUR), 2.0)
    assert [one.key for one in (await ledger.differences(Wanted())).differences] == ["N1"]
    await ledger._run(lambda db: [*steps])
    standing = await ledger.reconcile(windows(LATE + 9 * HOUR), 3.0)
    assert (standing.refunds, standing.confirmations, standing.confirmed) == ((2, 1, 1) if side == "refunds" else (1, 2, 1))
    await ledger.close()
