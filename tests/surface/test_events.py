"""/v1/events over a socket: that there is news and not what, beats, bounds, and the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from monitor.surface.api import events
from tests.surface import happenings as so
from tests.surface import premises
from tests.surface.premises import SECRETS, Site

PATIENCE = 20.0


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with premises.served(premises.rules(tmp_path)) as site:
        yield site


@contextlib.asynccontextmanager
async def stream(site: Site, **headers: str) -> AsyncIterator[Any]:
    async with site.client.get("/v1/events", headers=headers) as answer:
        yield answer


async def next_event(answer: Any) -> dict[str, str]:
    lines: dict[str, str] = {}
    async with asyncio.timeout(PATIENCE):
        while line := (await answer.content.readline()).decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            lines[name] = value
    return lines


async def test_news_says_that_there_is_some_and_never_what(site: Site) -> None:
    async with stream(site) as answer:
        assert answer.status == 200 and answer.content_type == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store" and answer.headers["X-Accel-Buffering"] == "no"
        assert await next_event(answer) == {"retry": "2000", "event": "news", "id": "0", "data": "0"}
        await site.happen(so.opened(site.clock.now()), so.suspected(site.clock.now()))
        assert await next_event(answer) == {"event": "news", "id": "2", "data": "2"}


async def test_only_the_head_is_no_stream(site: Site) -> None:
    async with asyncio.timeout(PATIENCE), site.client.head("/v1/events") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET")


async def test_what_happens_within_one_pace_is_one_piece_of_news(site: Site) -> None:
    async with stream(site) as answer:
        await next_event(answer)
        await site.happen(so.opened(site.clock.now()))
        assert (await next_event(answer))["data"] == "1"
        for _ in range(5):
            await site.happen(so.deployed(site.clock.now()))
        assert (await next_event(answer))["data"] == "6"


async def test_all_who_look_on_are_told_at_the_same_moment(site: Site) -> None:
    """Whenever they came: else a page would be drawn for each of them anew while facts keep coming."""

    async def keep_happening() -> None:
        while True:
            await site.happen(so.deployed(site.clock.now()))
            await asyncio.sleep(0.01)

    async def told(answer: Any, times: int) -> list[int]:
        return [int((await next_event(answer))["data"]) for _ in range(times)]

    async with asyncio.TaskGroup() as group, stream(site) as early:
        facts = group.create_task(keep_happening())
        await next_event(early)
        await asyncio.sleep(events.PACE / 2)
        async with stream(site) as late:
            await next_event(late)
            first, second = await asyncio.gather(told(early, 5), told(late, 3))
        facts.cancel()
    apart = [min(abs(seq - other) for other in first) for seq in second[1:]]
    assert max(apart) < 20, (first, second)  # half a pace apart they would be 40 facts or more


async def test_a_stream_beats_where_nothing_happens(site: Site) -> None:
    async with stream(site) as answer:
        await next_event(answer)
        site.clock.ahead += events.BEAT
        assert await next_event(answer) == {"event": "beat", "id": "0", "data": "0"}


async def test_a_stream_ends_after_its_hour(site: Site) -> None:
    async with stream(site) as answer:
        await next_event(answer)
        site.clock.ahead += events.LONGEST
        async with asyncio.timeout(PATIENCE):
            assert await answer.content.read() == b""


async def test_streams_are_bounded_and_a_place_becomes_free_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_STREAMS", 2)
    async with stream(site) as first:
        await next_event(first)
        async with stream(site) as second:
            await next_event(second)
            status, refusal = await site.get("/v1/events")
            assert status == 503 and refusal["reason"].startswith("2 others") and site.headers["Retry-After"] == "15"
            second.close()
        async with asyncio.timeout(PATIENCE):
            while True:
                async with stream(site) as third:
                    if third.status == 200:
                        break
                await asyncio.sleep(0.05)


async def test_the_end_of_the_daemon_ends_them(site: Site) -> None:
    async with stream(site) as answer:
        await next_event(answer)
        application = site.client.app
        assert application is not None
        await application.shutdown()
        async with asyncio.timeout(PATIENCE):
            assert await answer.content.read() == b""
        assert (await site.get("/v1/events"))[0] == 503


async def test_behind_tokens_it_is_for_whoever_may_read(tmp_path: Path) -> None:
    async with premises.served(premises.rules(tmp_path, host="0.0.0.0")) as site:
        assert (await site.get("/v1/events"))[0] == 401
        async with stream(site, Authorization=f"Bearer {SECRETS['GATE']}") as answer:
            assert answer.status == 200 and (await next_event(answer))["data"] == "0"
