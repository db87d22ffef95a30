"""The shop of the demo refunds real customers while the play goes on; the ledger must list exactly what went wrong."""

from __future__ import annotations

import asyncio
import itertools
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from monitor.edge.daemon import Daemon
from monitor.ports import Clock

if TYPE_CHECKING:  # an optional extra
    from monitor.lab import Lab

TRADE = 0.7  # seconds between two refunds of real customers
CUSTOMERS = ("ann@aurora.test", "bo@cumulus.test", "cy@aurora.test")
STRANGERS = ("never.bought@aurora.test", "nor.did.i@cumulus.test")


class Bookkeeper:
    """Refunds real customers while the play goes on, and knows whose confirmation was lost and whose was bogus."""

    def __init__(self, lab: Lab, daemon: Daemon, clock: Clock) -> None:
        self.url = daemon.server
        self._lab = lab
        self._daemon = daemon
        self._clock = clock
        self._numbers = itertools.count(1)
        self._lost: set[str] = set()

    async def trade(self) -> None:
        from monitor.lab.shop import Version  # noqa: PLC0415
        from monitor.lab.shop_mail import Refund  # noqa: PLC0415

        for number in self._numbers:
            currency, locale = (("GBP", "en-GB"), ("EUR", "de-DE"))[number % 2]
            amount = Decimal(990 + 1_501 * number % 20_000).scaleb(-2)
            customer = CUSTOMERS[number % len(CUSTOMERS)]
            refund = Refund(f"C-{number:06d}", f"A-{number:06d}", amount, currency, "Customer", customer, locale)
            shown = self._lab.shop.refund(refund)
            if self._lab.shop.version is Version.V2:
                self._lost.add(shown)
            await self._clock.sleep(TRADE)

    async def agree(self) -> bool:
        """The ledger lists exactly what went wrong."""
        page = await asyncio.to_thread(self._daemon.document, "/v1/ledger/differences?limit=1000")
        rows: Any = page["differences"]
        found = {kind: {row["refund"] for row in rows if row["kind"] == kind} for kind in ("missing", "spurious")}
        others = len(rows) - len(found["missing"]) - len(found["spurious"])
        return bool(self._lost) and found == {"missing": self._lost, "spurious": self._bogus()} and not others

    def _bogus(self) -> set[str]:
        mails = [mail.message_id for mail in self._lab.relay.accepted if mail.recipient in STRANGERS and mail.path == "shop"]
        return {number[1] for mail in mails if (number := re.match("<(rf_[0-9]+)[.]", mail))}
