"""What every Submitter owes, whatever peer it talks to (ports.Submitter)."""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import Protocol

import pytest

from monitor.model.address import Address, NotASeed
from monitor.model.submission import (
    Declined,
    Misconfigured,
    Outcome,
    Postponed,
    Step,
    Submission,
    Taken,
    Unanswered,
    Unreached,
)
from monitor.ports import Submitter
from tests.fakes.paths import PASSWORD, SEED, STRANGER

LONG = 30.0
SHORT = 0.5


class Mood(Enum):
    """How the peer meets the next attempts."""

    TAKES = auto()
    POSTPONES = auto()
    DECLINES = auto()
    FORBIDS = auto()  # refuses our credentials
    LOSES = auto()  # takes the message and drops the connection without a word
    SILENT = auto()  # takes the message and says nothing
    AWAY = auto()  # nobody listens


class Bench(Protocol):
    """A submitter in front of a peer that we command."""

    submitter: Submitter

    def submission(self, recipient: Address) -> Submission: ...

    async def mood(self, mood: Mood) -> None: ...

    @property
    def received(self) -> int:
        """Messages or requests that reached the peer whole."""
        ...

    @property
    def touched(self) -> int:
        """Connections that the peer saw."""
        ...

    async def arrival(self) -> None:
        """Return when the peer holds the next message."""
        ...


class SubmitterContract:
    """Subclasses give the `bench` fixture."""

    async def submit(self, bench: Bench, mood: Mood, deadline: float = LONG) -> Outcome:
        await bench.mood(mood)
        outcome = await bench.submitter.submit(bench.submission(SEED), deadline)
        assert PASSWORD not in repr(outcome)
        return outcome

    async def test_taken(self, bench: Bench) -> None:
        outcome = await self.submit(bench, Mood.TAKES)
        assert isinstance(outcome, Taken)
        assert outcome.reply.code // 100 == 2
        assert bench.received == 1

    async def test_postponed_then_taken(self, bench: Bench) -> None:
        outcome = await self.submit(bench, Mood.POSTPONES)
        assert isinstance(outcome, Postponed)
        assert outcome.reply.text
        assert isinstance(await self.submit(bench, Mood.TAKES), Taken)

    async def test_declined_then_taken(self, bench: Bench) -> None:
        outcome = await self.submit(bench, Mood.DECLINES)
        assert isinstance(outcome, Declined)
        assert outcome.reply.text
        assert isinstance(await self.submit(bench, Mood.TAKES), Taken)

    async def test_credentials_refused(self, bench: Bench) -> None:
        outcome = await self.submit(bench, Mood.FORBIDS)
        assert isinstance(outcome, Misconfigured)
        assert "RELAY_PASSWORD" in outcome.mend

    async def test_nobody_listens(self, bench: Bench) -> None:
        outcome = await self.submit(bench, Mood.AWAY)
        assert isinstance(outcome, Unreached)
        assert outcome.step is Step.CONNECT

    async def test_reply_lost_is_unanswered_and_sent_once(self, bench: Bench) -> None:
        assert isinstance(await self.submit(bench, Mood.LOSES), Unanswered)
        assert bench.received == 1

    async def test_no_reply_before_the_deadline_is_unanswered_and_sent_once(self, bench: Bench) -> None:
        await self.submit(bench, Mood.TAKES)  # all handshakes are behind us when the short deadline runs
        assert isinstance(await self.submit(bench, Mood.SILENT, SHORT), Unanswered)
        assert bench.received == 2
        assert isinstance(await self.submit(bench, Mood.TAKES), Taken)

    async def test_a_stranger_is_refused_before_the_first_byte(self, bench: Bench) -> None:
        await bench.mood(Mood.TAKES)
        with pytest.raises(NotASeed) as caught:
            await bench.submitter.submit(bench.submission(STRANGER), LONG)
        assert "customer" not in str(caught.value)
        assert bench.touched == 0

    async def test_a_tagged_seed_is_admitted(self, bench: Bench) -> None:
        await bench.mood(Mood.TAKES)
        assert isinstance(await bench.submitter.submit(bench.submission(SEED.tagged("token")), LONG), Taken)

    async def test_several_at_once(self, bench: Bench) -> None:
        await bench.mood(Mood.TAKES)
        outcomes = await asyncio.gather(*(bench.submitter.submit(bench.submission(SEED), LONG) for _ in range(6)))
        assert all(isinstance(outcome, Taken) for outcome in outcomes)
        assert bench.received == 6

    async def test_a_cancelled_attempt_leaves_no_trace_on_the_next(self, bench: Bench) -> None:
        await bench.mood(Mood.SILENT)
        attempt = asyncio.create_task(bench.submitter.submit(bench.submission(SEED), LONG))
        await bench.arrival()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        assert isinstance(await self.submit(bench, Mood.TAKES), Taken)

    async def test_close_twice(self, bench: Bench) -> None:
        await self.submit(bench, Mood.TAKES)
        await bench.submitter.close()
        await bench.submitter.close()
