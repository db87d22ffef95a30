"""replay: reads a journal without touching it, says what would have differed, and gives one clear line for what it cannot read."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from monitor.cli.replay import _print, document
from monitor.edge.journal import JournalError, SqliteJournal
from monitor.edge.journal.replay import PAGE, read_only
from monitor.model.facts import Paused
from monitor.model.incident import Scope, ScopeKind, Severity
from monitor.model.instant import Instant
from monitor.model.verdict import Symptom
from monitor.rules.replay import Opened, Replayed
from tests.cli.conftest import Outcome
from tests.stages.house import House, policy
from tests.stages.virtual import virtual

Command = Callable[..., Outcome]


def kept(house: House, directory: Path) -> Path:
    """The facts of the house in a journal on disk, closed as a daemon closes it."""

    async def store() -> None:
        journal = SqliteJournal(directory)
        await journal.append([entry.fact for entry in house.entries if entry.fact is not None])
        await journal.close()

    asyncio.run(store())
    return directory


def lived(under: Path, transit: float | None = 70.0, **changes: Any) -> House:
    """A house of two seeds, one probe to each, watched until both are closed; its configuration is under/mailcanary.yaml."""
    made: list[House] = []

    @virtual
    async def live() -> None:
        house = House(policy(under, seeds=2, **changes))
        house.post.transit = transit
        async with house.running():
            await house.watched()
            await house.probe()
            await house.sleep(4000.0)
        made.append(house)

    live()
    return made[0]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return kept(lived(tmp_path), tmp_path / "state")


def reconfigure(tmp_path: Path, **changes: Any) -> Path:
    at = tmp_path / "other"
    at.mkdir(exist_ok=True)
    policy(at, seeds=2, **changes)
    return at / "mailcanary.yaml"


def contents(directory: Path) -> dict[str, tuple[int, bytes]]:
    return {at.name: (at.stat().st_mtime_ns, at.read_bytes()) for at in directory.iterdir()}


def change_fact(journal: Path, statement: str) -> None:
    with closing(sqlite3.connect(journal)) as db, db:
        db.execute(statement)


# --- what it says -----------------------------------------------------------------------------------------------------


def test_the_same_configuration_no_difference_and_no_secret_needed(mailcanary: Command, state: Path, tmp_path: Path) -> None:
    said = mailcanary("replay", state, "-c", tmp_path / "mailcanary.yaml")
    lines = said.out.splitlines()
    assert (said.code, said.err) == (0, "")
    assert lines[0].split() == ["route", "result", "recorded", "now"]
    assert lines[1].split() == ["relay/seed-1", "pass", "1", "1"]
    assert lines[-1].startswith("REPLAY no difference - 2 probes, 2026-09-21T00:00:") and "\x1b" not in said.out


def test_the_usual_place_of_the_configuration(mailcanary: Command, state: Path, tmp_path: Path) -> None:
    assert mailcanary("replay", state).out.splitlines()[-1].startswith("REPLAY no difference")


def test_a_changed_configuration_in_words(mailcanary: Command, state: Path, tmp_path: Path) -> None:
    said = mailcanary("replay", state / "journal.sqlite3", "-c", reconfigure(tmp_path, deadlines={"late": "30s"}))
    assert (said.code, said.err) == (0, "")
    assert "late after 30 s" in said.out and said.out.splitlines()[-1].startswith("REPLAY 2 of them differ - 2 probes")
    rows = [line.split() for line in said.out.splitlines()]
    assert ["relay/seed-1", "pass", "1", "0"] in rows and ["late", "0", "1"] in rows
    assert "note: what was done stays done" in said.out


def test_json_is_one_document(mailcanary: Command, state: Path, tmp_path: Path) -> None:
    file = reconfigure(tmp_path, deadlines={"late": "30s"}, routes=[{"path": "relay", "mailbox": "seed-1"}])
    said = mailcanary("replay", state, "-c", file, "--format", "json")
    told = json.loads(said.out)
    assert said.code == 0 and told["schema"] == "mailcanary.replay/v1"
    assert told["journal"] == str(state / "journal.sqlite3") and told["configuration"] == str(file) and told["since"] is None
    assert (told["probes"], told["differs"], told["kept"]) == (2, 1, {"not_reproduced": 0, "no_such_route": 1, "only_first": 0})
    assert told["routes"] == [
        {"route": "relay/seed-1", "results": [{"result": "pass", "old": 1, "new": 0}, {"result": "late", "old": 0, "new": 1}]},
        {"route": "relay/seed-2", "results": [{"result": "pass", "old": 1, "new": 1}]},
    ]
    (change,) = told["changes"]
    assert change["route"] == "relay/seed-1" and len(change["probe_id"]) == 12
    assert (change["old"], change["new"]) == ({"first": "pass", "last": "pass"}, {"first": "late", "last": "late"})
    assert "late after 30 s" in change["why"] and change["planned_at"].startswith("2026-09-21T00:00:")
    assert any("no such route now" in note for note in told["notes"])


def test_a_record_that_ends_too_soon_says_so(mailcanary: Command, tmp_path: Path) -> None:
    state = kept(lived(tmp_path, transit=None), tmp_path / "state")
    longer = {"missing": "3h", "give_up": "4h", "watch_until": "5h"}
    said = mailcanary("replay", state, "-c", reconfigure(tmp_path, deadlines=longer, submission={"retry_for": "1h"}))
    assert said.code == 0 and "still open" in said.out and "the record ends before this could be decided" in said.out


def test_only_the_later_probes(mailcanary: Command, state: Path, tmp_path: Path) -> None:
    file = tmp_path / "mailcanary.yaml"
    for since, probes in (("2026-09-20T23:59:59", 2), ("2026-09-21T02:00:00+02:00", 2), ("2026-09-21T00:00:01Z", 0), ("2100-01-01", 0)):
        told = json.loads(mailcanary("replay", state, "-c", file, "--since", since, "--format", "json").out)
        assert told["probes"] == probes, since
    assert json.loads(mailcanary("replay", state, "-c", file, "--since", "99999d", "--format", "json").out)["probes"] == 2
    assert mailcanary("replay", state, "-c", file, "--since", "2100-01-01").out.startswith("REPLAY nothing to judge - ")


def test_peers_words_are_masked(mailcanary: Command, tmp_path: Path) -> None:
    state = kept(lived(tmp_path, transit=1200.0), tmp_path / "state")
    with closing(sqlite3.connect(state / "journal.sqlite3")) as db, db:
        for seq, body in db.execute("SELECT seq, body FROM facts WHERE kind = 'accepted'").fetchall():
            spoiled = json.loads(body)
            spoiled["reply"]["text"] = "queued for <bob@shop.test> \x1b[31m"
            db.execute("UPDATE facts SET body = ? WHERE seq = ?", (json.dumps(spoiled).encode(), seq))
    file = reconfigure(tmp_path, deadlines={"watch_until": "10m"}, submission={"retry_for": "9m"})
    for form in ("text", "json"):
        said = mailcanary("replay", state, "-c", file, "--format", form)
        assert said.code == 0 and "***@shop.test" in said.out and "\x1b" not in said.out and "bob@" not in said.out
        assert json.dumps("\x1b")[1:-1] not in said.out


def test_many_changes_are_cut_short(mailcanary: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.cli.replay.SHOWN", 1)
    state = kept(lived(tmp_path), tmp_path / "state")
    said = mailcanary("replay", state, "-c", reconfigure(tmp_path, deadlines={"late": "30s"}))
    assert "and 1 more; --format json lists them" in said.out and said.out.count("late after 30 s") == 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (0.0, 10.0, "incident smtp_reject (path:relay): opened 1970-01-01T00:00:00.000Z, now too"),
        (0.0, 130.0, "opened 1970-01-01T00:00:00.000Z, now 2m10s later"),
        (100.0, 0.0, "opened 1970-01-01T00:01:40.000Z, now 1m40s earlier"),
        (0.0, None, "opened 1970-01-01T00:00:00.000Z, now not"),
        (None, 0.0, "was not opened, now 1970-01-01T00:00:00.000Z (page)"),
    ],
)
def test_incidents_in_words_and_numbers(tmp_path: Path, old: float | None, new: float | None, said: str) -> None:
    first, second = (None if at is None else Instant(at, at, "p") for at in (old, new))
    opened = Opened(Symptom.SMTP_REJECT, Scope(ScopeKind.PATH, "relay"), Severity.PAGE, first, second)
    replayed = Replayed(facts=1, began=Instant(0.0, 0.0, "p"), ended=Instant(0.0, 0.0, "p"), probes=1, incidents=[opened])
    paper = io.StringIO()
    _print(Console(file=paper, width=200), replayed, None)
    assert said in paper.getvalue()
    assert ("confirm probes are those that were sent" in paper.getvalue()) == (old is None or new is None)
    (told,) = document(replayed, tmp_path, tmp_path, None)["incidents"]  # type: ignore[misc]
    assert told["seconds_later"] == (new - old if old is not None and new is not None else None)
    assert (told["symptom"], told["scope"], told["severity"]) == ("smtp_reject", "path:relay", "page")


# --- it leaves no trace -------------------------------------------------------------------------------------------------


def test_nothing_is_written(mailcanary: Command, state: Path, tmp_path: Path) -> None:
    before = contents(state)
    assert mailcanary("replay", state, "-c", tmp_path / "mailcanary.yaml").code == 0
    assert contents(state) == before


def test_a_journal_that_may_only_be_read(mailcanary: Command, state: Path, tmp_path: Path) -> None:
    for at in state.iterdir():
        at.chmod(0o400)
    state.chmod(0o500)
    try:
        assert mailcanary("replay", state, "-c", tmp_path / "mailcanary.yaml").code == 0
    finally:
        state.chmod(0o700)


async def test_a_live_journal_is_read_and_its_owner_goes_on(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    at = Instant(0.0, 0.0, "p")
    await journal.append([Paused(at, "ann", f"{number}") for number in range(PAGE + 5)])
    reader = read_only(tmp_path / "journal.sqlite3")
    first = next(reader)
    await journal.append([Paused(at, "bob", "later")])
    rest = list(reader)
    assert [entry.seq for entry in (first, *rest)] == list(range(1, PAGE + 6)), "what there was when it was opened"
    await journal.append([Paused(at, "bob", "after")])
    await journal.close()


async def test_a_killed_daemons_journal(tmp_path: Path) -> None:
    """What stands in the log only is read too."""
    journal = SqliteJournal(tmp_path / "live")
    await journal.append([Paused(Instant(0.0, 0.0, "p"), "ann", "")])
    shutil.copytree(tmp_path / "live", tmp_path / "killed")
    await journal.close()
    assert (tmp_path / "killed" / "journal.sqlite3-wal").exists()
    assert len(list(read_only(tmp_path / "killed" / "journal.sqlite3"))) == 1


async def test_a_daemon_that_begins_meanwhile(tmp_path: Path) -> None:
    at = Instant(0.0, 0.0, "p")
    journal = SqliteJournal(tmp_path)
    await journal.append([Paused(at, "ann", "") for _ in range(3)])
    await journal.close()
    reader = read_only(tmp_path / "journal.sqlite3")
    next(reader)
    again = SqliteJournal(tmp_path)
    await again.append([Paused(at, "ann", "x" * 100_000)])
    await again.close()
    with pytest.raises(JournalError, match="began to write it meanwhile; call again"):
        list(reader)


# --- what it cannot read ------------------------------------------------------------------------------------------------


def test_no_journal_there(mailcanary: Command, tmp_path: Path) -> None:
    said = mailcanary("replay", tmp_path / "nowhere")
    assert said.code == 2 and "nowhere: no such journal; name a state directory" in said.line
    assert mailcanary("replay", tmp_path).code == 2, "a directory without one"


@pytest.mark.parametrize("given", ["yesterday", "12", "2026-13-01", ""])
def test_no_time(mailcanary: Command, state: Path, tmp_path: Path, given: str) -> None:
    said = mailcanary("replay", state, "-c", tmp_path / "mailcanary.yaml", f"--since={given}")
    if given:
        assert said.code == 2 and f"--since {given}: is no time; write 2026-" in said.line


def test_a_faulty_configuration(mailcanary: Command, state: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("environment: x\n")
    said = mailcanary("replay", state, "-c", tmp_path / "bad.yaml")
    assert said.code == 2 and "bad.yaml:1: instance: " in said.err and "Traceback" not in said.err


def cut(journal: Path) -> None:
    os.truncate(journal, 6000)


def scrawl(journal: Path) -> None:
    journal.write_bytes(b"this is no database, and it is longer than one header of a hundred bytes, which SQLite reads first" * 3)


def a_fact(journal: Path) -> None:
    change_fact(journal, "UPDATE facts SET body = '{\"at\": 1}' WHERE seq = 3")


def another_database(journal: Path) -> None:
    journal.unlink()
    change_fact(journal, "CREATE TABLE other (x)")


@pytest.mark.parametrize("damage", [cut, scrawl, a_fact, another_database])
def test_a_damaged_journal_is_one_line_and_exit_4(mailcanary: Command, state: Path, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    damage(state / "journal.sqlite3")
    said = mailcanary("replay", state, "-c", tmp_path / "mailcanary.yaml")
    assert said.code == 4 and said.out == ""
    assert (
        said.line.startswith(f"{state / 'journal.sqlite3'}: is no journal that can be read (") and "name the state directory" in said.line
    )


def test_a_newer_journal(mailcanary: Command, state: Path, tmp_path: Path) -> None:
    change_fact(state / "journal.sqlite3", "UPDATE facts SET schema = 2 WHERE seq = 5")
    said = mailcanary("replay", state, "-c", tmp_path / "mailcanary.yaml")
    assert said.code == 4 and "written by a newer mailcanary (journal schema 2, this one knows 1)" in said.line


def test_facts_of_a_newer_kind_are_left_out_and_said(mailcanary: Command, state: Path, tmp_path: Path) -> None:
    change_fact(state / "journal.sqlite3", "UPDATE facts SET kind = 'unheard_of' WHERE kind = 'started' OR kind = 'cleaned_up' OR seq = 1")
    said = mailcanary("replay", state, "-c", tmp_path / "mailcanary.yaml")
    assert said.code == 0 and "of kinds that this version does not know" in said.out
