"""A shop's month on paper: refunds and confirmations as CSV, with so many faults of each kind, and what those are.

Harmless things are among them too: reversals, mail that support sent again, orders with several refunds, rows that an export has twice, and
neither file in the order of its times. Nothing lies near the edges of what the files cover, so every fault can be decided.
"""

from __future__ import annotations

import csv
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2026, 10, 1, tzinfo=UTC)
DAYS = 30
CURRENCIES = ("EUR", "GBP", "USD", "CHF", "SEK")
KINDS = ("missing", "spurious", "amount", "currency", "recipient", "duplicate")
REFUNDS = ("refund", "order", "amount", "currency", "at", "recipient", "status", "reversed_at")
CONFIRMATIONS = ("refund", "order", "amount", "currency", "at", "recipient", "id", "resend")

Truth = dict[str, set[str]]


def write(directory: Path, count: int, share: float, seed: int = 1) -> Truth:
    """`count` refunds and about as many confirmations as `refunds.csv` and `confirmations.csv`; the refund numbers by kind of fault."""
    chance = random.Random(seed)
    faults = int(count * share)
    chosen = chance.sample(range(count), 5 * faults + count // 250)
    fate = {
        number: kind
        for kind, start in zip(("missing", "amount", "currency", "recipient", "duplicate"), range(0, 5 * faults, faults), strict=True)
        for number in chosen[start : start + faults]
    }
    harmless = {number: ("reversed", "resent", "doubled row")[position % 3] for position, number in enumerate(chosen[5 * faults :])}
    truth: Truth = {kind: set() for kind in KINDS}
    with (directory / "refunds.csv").open("w", newline="") as one, (directory / "confirmations.csv").open("w", newline="") as other:
        refunds, confirmations = csv.writer(one), csv.writer(other)
        refunds.writerow(REFUNDS)
        confirmations.writerow(CONFIRMATIONS)
        step = (DAYS * 86_400.0 - 14_400.0) / count
        later: list[list[str]] = []  # what comes out of its order
        for number in range(count):
            name, order = f"RF-{number:08d}", f"A-{number - number % 3 if number % 10 < 3 else number:08d}"
            at = START + timedelta(seconds=7_200.0 + number * step)
            amount, currency = f"{chance.randrange(1, 500_00) / 100:.2f}", CURRENCIES[number % len(CURRENCIES)]
            person = f"customer{number % (count * 3 // 4 or 1)}@mail{number % 97}.test"
            what, aside = fate.get(number), harmless.get(number)
            status = ["reversed", (at + timedelta(minutes=5)).isoformat()] if aside == "reversed" else ["processed", ""]
            row = [name, order, amount, currency, at.isoformat(), person, *status]
            refunds.writerow(row)
            if aside == "doubled row":
                refunds.writerow(row)
            if what is not None:
                truth[what].add(name)
            if what == "missing" or aside == "reversed":
                continue
            told: list[str] = [
                name,
                order,
                amount,
                currency,
                (at + timedelta(seconds=chance.randrange(2, 900))).isoformat(),
                person,
                f"m{number}",
                "",
            ]
            if what == "amount":
                told[2] = f"{float(amount) + 10:.2f}"
            if what == "currency":
                told[3] = CURRENCIES[(number + 1) % len(CURRENCIES)]
            if what == "recipient":
                told[5] = f"somebody{number}@else.test"
            confirmations.writerow(told)
            if what == "duplicate" or aside == "resent":
                again = [
                    *told[:4],
                    (at + timedelta(seconds=1_800)).isoformat(),
                    person,
                    f"again{number}",
                    "true" if aside == "resent" else "",
                ]
                later.append(again)
            if aside == "doubled row":
                later.append(told)
            if len(later) > 1_000:
                confirmations.writerows(later)
                later.clear()
        for number in range(faults):
            name = f"XX-{number:08d}"
            truth["spurious"].add(name)
            at = START + timedelta(seconds=chance.uniform(10_800.0, DAYS * 86_400.0 - 14_400.0))
            later.append([name, f"B-{number:08d}", "49.90", "GBP", at.isoformat(), f"stranger{number}@mail.test", f"x{number}", ""])
        confirmations.writerows(later)
        # the last line of each: what both files cover
        end = (START + timedelta(days=DAYS)).isoformat()
        refunds.writerow(["RF-LAST", "A-LAST", "1.00", "EUR", end, "last@mail.test", "processed", ""])
        confirmations.writerow(["RF-LAST", "A-LAST", "1.00", "EUR", end, "last@mail.test", "last", ""])
    return truth
