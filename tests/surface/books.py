"""A shop whose refunds and confirmations are pushed, and the ledger that keeps them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from monitor.model.ledger import Side
from monitor.model.policy import Policy
from monitor.model.sources import FileFormat, FilesSource, Layout, LedgerPolicy, PushSource, SourcePolicy
from tests.surface.premises import rules

KEY = b"sixteen bytes of key"
NOON = "2026-01-05T12:00:00Z"


def pushed(name: str, side: Side, lag: float = 0.0, **layout: Any) -> SourcePolicy:
    return SourcePolicy(name, side, PushSource(Layout(**layout)), 60.0, lag)


def file_of(name: str, side: Side) -> SourcePolicy:
    return SourcePolicy(name, side, FilesSource("/var/refunds/*.csv", FileFormat.CSV, Layout()), 60.0, 0.0)


def with_ledger(policy: Policy, *sources: SourcePolicy, **more: Any) -> Policy:
    sources = sources or (pushed("shop", Side.REFUNDS, 30.0), pushed("mailer", Side.CONFIRMATIONS))
    return replace(policy, ledger=LedgerPolicy(key=KEY, sources={source.name: source for source in sources}, **more))


def shop(directory: Path, *sources: SourcePolicy, host: str = "127.0.0.1", **more: Any) -> Policy:
    return with_ledger(rules(directory, host), *sources, **more)


def refund(number: str = "4711", **more: Any) -> dict[str, Any]:
    row = {"refund": number, "amount": "12.50", "currency": "EUR", "at": NOON, "recipient": "ann@example.com"}
    return row | more


def mail(number: str = "4711", **more: Any) -> dict[str, Any]:
    row = {"id": f"m-{number}", "refund": number, "amount": "12.50", "currency": "EUR", "at": NOON, "recipient": "ann@example.com"}
    return row | more
