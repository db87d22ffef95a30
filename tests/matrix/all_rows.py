"""Every row, in a few processes, and the table that they make."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from monitor.model.incident import Severity
from monitor.rules import incident
from tests.matrix.play import Outcome, play
from tests.matrix.rows import ROWS

PROCESSES = min(2, os.cpu_count() or 1)
AT_ONCE = int(os.environ.get("MATRIX_AT_ONCE", "6"))  # rows in one process; fewer where others use the machine too
TARGET = 0.95  # of the layers
CONFIRM_EVERY = 6.0  # seconds between two confirm rounds of one path: a minute, where probes go out each minute and not each 4 s
MOST_AGAIN = 8  # rows that are played a second time: a tenth of them
ROW_WITHIN = 110.0  # the end of any row, whatever hangs


@dataclass(frozen=True, slots=True)
class Matrix:
    """`outcomes` in the order of the rows; `took` is the wall time of the whole, in seconds."""

    seed: int
    outcomes: tuple[Outcome, ...]
    took: float
    again: tuple[int, ...] = ()  # rows that count as they went when they were played a second time, alone

    @property
    def faulty(self) -> list[Outcome]:
        return [found for found in self.outcomes if not ROWS[found.row].healthy]

    @property
    def undetected(self) -> list[str]:
        return [f"{ROWS[found.row].name}: {found.error}" for found in self.faulty if found.seconds is None]

    @property
    def wrong(self) -> list[str]:
        return [
            f"{ROWS[found.row].name}: {found.summary or found.error} {found.opened} {found.lost} {found.complaints}"
            for found in self.faulty
            if not found.right
        ]

    @property
    def share_right(self) -> float:
        return 1 - len(self.wrong) / max(1, len(self.faulty))

    @property
    def share_right_at_first(self) -> float:
        """The same for the very first incident, before others of the same trouble were seen."""
        return sum(found.right_at_first for found in self.faulty) / max(1, len(self.faulty))

    @property
    def false_pages(self) -> list[str]:
        """Healthy rows in which somebody was woken, or that could not be played at all."""
        healthy = [found for found in self.outcomes if ROWS[found.row].healthy]
        return [
            f"{ROWS[found.row].name}: {found.error or found.opened} {found.complaints}" for found in healthy if found.error or found.paged
        ]

    @property
    def told_in_silence(self) -> list[str]:
        """Planned silences in which somebody was told, or under which nothing broke, so that nothing is shown."""
        silenced = [found for found in self.outcomes if ROWS[found.row].silenced]
        return [f"{ROWS[found.row].name}: {found.error} {found.opened}" for found in silenced if found.told or not found.opened]

    @property
    def paged_again(self) -> list[str]:
        """One fault of everything that woke somebody more than once."""
        wide = [found for found in self.faulty if ROWS[found.row].is_wide]
        return [f"{ROWS[found.row].name}: {found.pages} pages {found.opened}" for found in wide if found.pages > 1]

    def lines(self) -> Iterator[tuple[str, ...]]:
        """The table: fault, place, world, detected, seconds, layer said, right, page or ticket, number of incidents that paged."""
        yield ("fault", "where", "world (provider:mailboxes)", "detected", "seconds", "layer said", "right", "severity", "pages")
        for found in self.outcomes:
            row = ROWS[found.row]
            where = f"{row.place.value} ({found.where})" if found.where else row.place.value
            seen = "not played" if found.error and not row.layers else "no" if found.seconds is None else "yes"
            seconds = "-" if found.seconds is None else f"{found.seconds:.1f}"
            right = "-" if row.healthy else "yes" if found.right else f"no: {', '.join(sorted(row.layers))}{found.lost and ', not both'}"
            said = found.layer.value if found.layer else "-"
            told = found.severity.value if found.severity else "nobody told"
            yield (row.what, where, found.world, seen, seconds, said, right, told, str(found.pages))

    def text(self) -> str:
        rows = list(self.lines())
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        table = "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
        return f"{table}\n\n{self.verdict()}"

    def verdict(self) -> str:
        seconds = sorted(found.seconds for found in self.faulty if found.seconds is not None)
        middle = f"{seconds[len(seconds) // 2]:.1f} s in the middle, {seconds[-1]:.1f} s at most" if seconds else "none"
        pages = sum(found.severity is Severity.PAGE for found in self.faulty)
        healthy = len(self.outcomes) - len(self.faulty)
        again = f"; played a second time, alone: {', '.join(ROWS[number].name for number in self.again)}" if self.again else ""
        return (
            f"seed {self.seed}: {len(self.faulty) - len(self.undetected)} of {len(self.faulty)} faults detected ({middle}; {pages} paged), "
            f"layer right in {self.share_right:.0%} (in the first incident: {self.share_right_at_first:.0%}), "
            f"{len(self.false_pages)} false pages in {healthy} healthy rows, "
            f"{len(self.paged_again)} faults of everything paged twice; {self.took:.0f} s on {PROCESSES} cores{again}"
        )


def play_all(seed: int, rows: Sequence[int] = range(len(ROWS))) -> Matrix:
    """Play these rows in worlds drawn from `seed`. Deadlines are seconds here, and ten daemons at once can put one path's probes that far
    behind the other's, so a few rows that are amiss are played again, one at a time: what they then show counts, and the verdict names
    them. Many that are amiss are no matter of a busy machine."""
    began = time.monotonic()
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        found = _spread(pool, list(rows), seed, AT_ONCE)
        doubtful = [outcome.row for outcome in found if outcome.amiss]
        again = {outcome.row: outcome for outcome in _spread(pool, doubtful, seed, 1)} if len(doubtful) <= MOST_AGAIN else {}
    outcomes = sorted((again.get(outcome.row, outcome) for outcome in found), key=lambda outcome: outcome.row)
    return Matrix(seed, tuple(outcomes), time.monotonic() - began, tuple(sorted(again)))


def _spread(pool: ProcessPoolExecutor, rows: list[int], seed: int, at_once: int) -> list[Outcome]:
    shares = [rows[first::PROCESSES] for first in range(PROCESSES)]
    return [outcome for part in pool.map(_share, shares, [seed] * PROCESSES, [at_once] * PROCESSES) for outcome in part]


def _share(rows: list[int], seed: int, at_once: int) -> list[Outcome]:
    logging.disable()  # the lab's servers complain of every connection that a fault cuts
    incident.CONFIRM_EVERY = CONFIRM_EVERY  # of this process alone, which plays rows and nothing else
    return asyncio.run(_play(rows, seed, at_once))


async def _play(rows: list[int], seed: int, at_once: int) -> list[Outcome]:
    room = asyncio.Semaphore(at_once)

    async def one(number: int) -> Outcome:
        async with room:
            try:
                return await asyncio.wait_for(play(number, seed), ROW_WITHIN)
            except Exception as error:
                return Outcome(number, "-", False, "", error=f"{type(error).__name__}: {error}")

    return list(await asyncio.gather(*(one(number) for number in rows)))
