"""A process that owns a journal and appends in a loop, reporting each acknowledged fact as `seq name` on stdout."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from monitor.edge.journal import JournalError, SqliteJournal
from monitor.model.facts import Resumed
from monitor.model.instant import Instant
from monitor.views.world import World


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


async def main(directory: str, life: str) -> None:
    try:
        journal = SqliteJournal(Path(directory))
    except JournalError as error:
        say(f"refused {error}")
        return
    world = journal.restore("world", World)
    say("ready")

    async def write(writer: int) -> None:
        number = 0
        while True:
            number += 1
            name = f"{life}.{writer}.{number}"
            facts = [Resumed(Instant(1e9, 0.0, life), f"{name}.{part}") for part in range(1 + number % 3)]
            entries = await journal.append(facts, durable=number % 5 == 0)
            say("\n".join(f"{entry.seq} {fact.by}" for entry, fact in zip(entries, facts, strict=True)))
            if number % 10 == 0:
                await journal.save_snapshot("world", world)

    await asyncio.gather(*(write(writer) for writer in range(4)))


asyncio.run(main(*sys.argv[1:]))
