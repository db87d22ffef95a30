"""A process that takes portions until it is killed, and says which were committed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from monitor.edge.ledger import SqliteLedger
from monitor.model.ledger import Refund
from tests.fakes.ledger import refunds

SIZE = 50


def portion(number: int) -> list[Refund]:
    keys = (f"R{number * SIZE + place}" for place in range(SIZE))
    return [Refund(key, key, 10_000, "EUR", 1_000.0 + number) for key in keys]


async def main(path: Path) -> None:
    ledger = SqliteLedger(path)
    position, _ = await ledger.reached("ledger")
    print("ready", flush=True)
    number = int(position or 0)
    while True:
        await ledger.take(refunds(*portion(number), position=str(number + 1)))
        number += 1
        print(number, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
