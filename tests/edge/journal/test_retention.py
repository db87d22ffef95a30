"""What leaves the journal, and what never does."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.edge.journal import SqliteJournal, retention
from monitor.model.facts import (
    Accepted,
    Attempted,
    Closed,
    Fact,
    Foreign,
    ForeignKind,
    Judged,
    Looked,
    Paused,
    Stray,
    WithdrawCause,
    Withdrawn,
)
from monitor.model.instant import Instant
from monitor.model.mail import UNSAID
from monitor.model.policy import RetentionPolicy
from monitor.model.probe import ProbeId, Purpose
from monitor.model.verdict import Reason
from monitor.views.world import World
from tests.views.life import NOON, OWN, ROUTE, TAKEN, planned, sighted

DAY = 86_400.0
NOW = NOON + 365 * DAY
KEEP = RetentionPolicy(passes=14 * DAY, failures=90 * DAY, max_bytes=512 * 1024 * 1024)


def ago(days: float) -> Instant:
    return Instant(NOW - days * DAY, 5.0, "first")


def probe(name: int) -> ProbeId:
    return ProbeId(f"{name:012x}")


def life(name: int, days: float, *reasons: Reason, closed: bool = True, padding: int = 0) -> list[Fact]:
    """All facts of a probe that was judged so, revision by revision."""
    when, key = ago(days), probe(name)
    facts: list[Fact] = [
        replace(planned(), at=when, probe=key, token="x" * padding),
        Attempted(when, key, 1),
        Accepted(when, key, 1, TAKEN),
        replace(sighted(3), at=when, probe=key),
    ]
    facts += [
        Judged(when, key, ROUTE, Purpose.SCHEDULED, number, reason.verdict, reason, "because", (1,))
        for number, reason in enumerate(reasons)
    ]
    return [*facts, Closed(when, key)] if closed else facts


class Kept:
    """A journal, and what stands in its file."""

    def __init__(self, home: Path) -> None:
        self.file = home / "journal.sqlite3"
        self.journal = SqliteJournal(home)

    async def retire(self, policy: RetentionPolicy = KEEP) -> list[int]:
        """The steps until nothing is left to do."""
        steps = []
        while gone := await self.journal.retire(policy, NOW):
            steps.append(gone)
            assert len(steps) < 1000
        return steps

    def rows(self, column: str = "key") -> list[str]:
        with sqlite3.connect(self.file) as db:
            found = [row[0] for row in db.execute(f"SELECT {column} FROM facts ORDER BY seq")]
        db.close()
        return found

    def probes(self) -> list[int]:
        return sorted({int(key, 16) for key in self.rows() if len(key) == 12})


@pytest.fixture
async def kept(tmp_path: Path):  # type: ignore[no-untyped-def]
    kept = Kept(tmp_path)
    yield kept
    await kept.journal.close()


PASS = Reason.PASS
MISSING = Reason.MISSING


@pytest.mark.parametrize(
    ("facts", "stays"),
    [
        pytest.param(life(1, 13.9, PASS), True, id="a young pass"),
        pytest.param(life(1, 14.1, PASS), False, id="an old pass"),
        pytest.param(life(1, 14.1, MISSING), True, id="a failure as old"),
        pytest.param(life(1, 89.9, MISSING), True, id="a failure"),
        pytest.param(life(1, 90.1, MISSING), False, id="an old failure"),
        pytest.param(life(1, 30, Reason.MAILBOX_BLIND), True, id="inconclusive is kept like a failure"),
        pytest.param(life(1, 30, PASS, Reason.SPAM), True, id="passed, then moved to spam"),
        pytest.param(life(1, 30, MISSING, PASS), True, id="missing, then it arrived"),
        pytest.param(life(1, 300, PASS, closed=False), True, id="a pass that is still watched"),
        pytest.param(life(1, 300, MISSING, closed=False), True, id="a failure that is still watched"),
        pytest.param(life(1, 300, closed=False), True, id="not judged yet"),
        pytest.param(life(1, 300), False, id="closed without a verdict"),
        pytest.param([*life(1, 89, closed=False), Withdrawn(ago(89), probe(1), WithdrawCause.STALE)], True, id="withdrawn"),
        pytest.param([*life(1, 91, closed=False), Withdrawn(ago(91), probe(1), WithdrawCause.STALE)], False, id="withdrawn long ago"),
        pytest.param([Paused(ago(999), "ada", "")], True, id="a pause"),
        pytest.param([Looked(ago(15), OWN, ago(15), 6)], False, id="an old look"),
        pytest.param([Looked(ago(13), OWN, ago(13), 6)], True, id="a look"),
        pytest.param([Foreign(ago(15), OWN, "INBOX", ForeignKind.FORGED, "")], False, id="an old forgery"),
        pytest.param([Stray(ago(89), OWN, "INBOX", "", "", UNSAID, "")], True, id="a stray"),
        pytest.param([Stray(ago(91), OWN, "INBOX", "", "", UNSAID, "")], False, id="an old stray"),
    ],
)
async def test_by_age(kept: Kept, facts: list[Fact], stays: bool) -> None:
    await kept.journal.append(facts)
    await kept.journal.append(life(2, 0, PASS))
    await kept.retire()
    assert len(kept.rows()) == (len(facts) if stays else 0) + 6


async def test_over_the_cap_the_oldest_passes_go_first_and_no_more_than_needed(kept: Kept) -> None:
    for name in range(900):
        reasons = (MISSING,) if name % 100 == 0 else (PASS,)
        await kept.journal.append(life(name, 10 - name / 100, *reasons, closed=name != 50, padding=800))
    full = await kept.journal.size()
    cap = replace(KEEP, max_bytes=full // 2)
    await kept.retire(cap)
    assert await kept.journal.size() <= cap.max_bytes
    left = kept.probes()
    assert {name for name in range(900) if name % 100 == 0} | {50} <= set(left), "failures and what is still watched stay"
    passes = [name for name in left if name % 100 and name != 50]
    assert passes == [name for name in range(passes[0], 900) if name % 100], "oldest first"
    assert await kept.journal.size() > cap.max_bytes // 4, "it stopped"


async def test_under_the_cap_nothing_young_goes(kept: Kept) -> None:
    for name in range(20):
        await kept.journal.append(life(name, 1, PASS))
    assert await kept.retire() == []
    assert len(kept.probes()) == 20


async def test_a_flood_of_forgeries_does_not_grow_past_the_cap(kept: Kept) -> None:
    await kept.journal.append(life(1, 1, MISSING))
    for _ in range(6):
        await kept.journal.append([Foreign(ago(0.5), OWN, "INBOX", ForeignKind.FORGED, "x" * 100)] * 1000)
    cap = replace(KEEP, max_bytes=await kept.journal.size() // 2)
    await kept.retire(cap)
    assert await kept.journal.size() <= cap.max_bytes
    assert kept.probes() == [1]
    assert "foreign" in kept.rows("kind")


async def test_in_bounded_steps_and_the_file_shrinks(kept: Kept) -> None:
    for name in range(0, 1000, 50):
        await kept.journal.append([fact for number in range(name, name + 50) for fact in life(number, 20, PASS, padding=800)])
    await kept.journal.append(life(5000, 1, PASS))
    await kept.journal._in_thread(kept.journal._db.execute, "PRAGMA wal_checkpoint(TRUNCATE)")
    before = kept.file.stat().st_size
    steps = await kept.retire()
    assert steps == [retention.STEP * 6] * 5
    await kept.journal._in_thread(kept.journal._db.execute, "PRAGMA wal_checkpoint(TRUNCATE)")
    assert kept.file.stat().st_size < before / 4
    assert kept.probes() == [5000]
    assert await kept.journal.size() <= kept.file.stat().st_size


async def test_reading_and_appending_go_on_between_the_steps(kept: Kept) -> None:
    world = kept.journal.restore("world", World)
    for name in range(10):
        await kept.journal.append(life(name, 20, PASS))
    place = kept.journal.last
    await kept.retire()
    (entry,) = await kept.journal.append([Paused(ago(0), "ada", "")])
    assert entry.seq == place + 1
    assert world.seq == place + 1
    assert await kept.journal.read(place) == (entry,)
