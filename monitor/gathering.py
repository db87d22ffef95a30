"""Drives a rule that needs the DNS and mail servers: fetches what it wants, all at once, until it wants nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

from monitor.model.dns import Answer, Question
from monitor.model.transport import Endpoint, Reached, TransportSeen
from monitor.ports import Resolver, TransportProbe
from monitor.rules.lookup import Lookup

MOST_ROUNDS = 40  # SPF includes ten deep, behind a delegation
MOST_QUESTIONS = 2_000  # of one inspection
MOST_LOOKS = 100

T = TypeVar("T")


async def gather(rule: Callable[[Lookup], T], resolver: Resolver, transport: TransportProbe | None, deadline: float) -> tuple[T, Lookup]:
    """The rule's result and the answers that it rests on. Never raises for anything that a peer does: what did not come within `deadline`
    seconds, or goes beyond the bounds, has failed."""
    answers: dict[Question, Answer] = {}
    seen: dict[Endpoint, TransportSeen] = {}
    until = asyncio.get_running_loop().time() + deadline
    for _ in range(MOST_ROUNDS):
        lookup = Lookup(answers, seen)
        result = rule(lookup)
        left = until - asyncio.get_running_loop().time()
        if lookup.complete:
            return result, lookup
        if left <= 0 or len(answers) + len(lookup.wanted) > MOST_QUESTIONS or len(seen) + len(lookup.unseen) > MOST_LOOKS:
            break
        fetched, looked = await asyncio.gather(
            resolver.resolve(tuple(lookup.wanted), left),
            transport.look(tuple(lookup.unseen), left) if transport is not None else _not_looked(lookup.unseen),
        )
        answers |= fetched
        seen |= looked
    lookup = Lookup(answers, seen, closed=True)
    return rule(lookup), lookup


async def _not_looked(endpoints: Iterable[Endpoint]) -> dict[Endpoint, TransportSeen]:
    why = "mail servers are not looked at: inspect.transport is false"
    return {endpoint: TransportSeen(endpoint, Reached.NOTHING, why, transient=True) for endpoint in endpoints}
