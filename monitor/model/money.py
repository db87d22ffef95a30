"""Exact money."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount in one currency (ISO 4217 code)."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Z]{3}", self.currency):
            raise ValueError(f"{self.currency!r} is no ISO 4217 currency code")
        if not self.amount.is_finite():
            raise ValueError("an amount of money is finite")

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"
