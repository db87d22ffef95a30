"""Connections beyond the bound, over sockets: who makes room, and who is turned away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from monitor.surface.api import Connections

MOST = 4
PATIENCE = 20.0
ASKS = b"GET /at-once HTTP/1.1\r\nHost: here.test\r\n\r\n"
WAITS = b"GET /at-last HTTP/1.1\r\nHost: here.test\r\n\r\n"


class Caller:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, request: bytes = ASKS) -> bytes:
        """The first line of the answer; empty where the connection was closed instead."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError, EOFError):
                self._writer.write(request)
                answer = await self._reader.readuntil(b"\r\n\r\n")
                await self._reader.readexactly(2)
                return answer.partition(b"\r\n")[0]
        return b""

    def begin(self) -> None:
        self._writer.write(ASKS[:20])

    def hang_up(self) -> None:
        self._writer.close()


class Hall:
    def __init__(self, address: tuple[str, int], waiting: list[web.Request], go: asyncio.Event) -> None:
        self._address = address
        self._callers: list[Caller] = []
        self.waiting = waiting
        self.go = go

    async def call(self) -> Caller:
        async with asyncio.timeout(PATIENCE):
            caller = Caller(*await asyncio.open_connection(*self._address))
        self._callers.append(caller)
        return caller

    async def call_and_wait(self) -> tuple[Caller, asyncio.Task[bytes]]:
        before, caller = len(self.waiting), await self.call()
        task = asyncio.create_task(caller.ask(WAITS))
        async with asyncio.timeout(PATIENCE):
            while len(self.waiting) == before:
                await asyncio.sleep(0.01)
        return caller, task

    def leave(self) -> None:
        for caller in self._callers:
            caller.hang_up()


@pytest.fixture
async def hall() -> AsyncIterator[Hall]:
    waiting: list[web.Request] = []
    go, connections = asyncio.Event(), Connections(MOST)

    async def at_once(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def at_last(request: web.Request) -> web.Response:
        waiting.append(request)
        await go.wait()
        return web.Response(text="ok")

    application = web.Application(middlewares=[connections.watch])
    application.router.add_get("/at-once", at_once)
    application.router.add_get("/at-last", at_last)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    assert runner.server is not None
    listener = await asyncio.get_running_loop().create_server(connections.door(runner.server), "127.0.0.1", 0)
    hall = Hall(listener.sockets[0].getsockname(), waiting, go)
    yield hall
    go.set()
    hall.leave()
    listener.close()
    await runner.cleanup()


async def test_whoever_never_asked_makes_room_and_the_first_of_them_first(hall: Hall) -> None:
    silent = [await hall.call() for _ in range(MOST - 1)]
    asked = await hall.call()
    assert await asked.ask() == b"HTTP/1.1 200 OK"
    late = await hall.call()
    assert await late.ask() == b"HTTP/1.1 200 OK"
    assert await asked.ask() == b"HTTP/1.1 200 OK"
    assert [await caller.ask() for caller in silent] == [b"", b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK"]


async def test_half_a_request_is_none(hall: Hall) -> None:
    half = [await hall.call() for _ in range(MOST)]
    for caller in half:
        caller.begin()
    assert await (await hall.call()).ask() == b"HTTP/1.1 200 OK"


async def test_then_whoever_asked_nothing_for_longest(hall: Hall) -> None:
    callers = [await hall.call() for _ in range(MOST)]
    for caller in (*callers, callers[0]):
        assert await caller.ask()
    assert await (await hall.call()).ask()
    assert [bool(await caller.ask()) for caller in callers] == [True, False, True, True]


async def test_nobody_is_cut_off_who_waits_for_an_answer(hall: Hall) -> None:
    waiting = [await hall.call_and_wait() for _ in range(MOST)]
    refused = await hall.call()
    assert await refused.ask() == b""
    hall.go.set()
    assert [await answer for _, answer in waiting] == [b"HTTP/1.1 200 OK"] * MOST
    assert await (await hall.call()).ask() == b"HTTP/1.1 200 OK"


async def test_whoever_hung_up_takes_no_place(hall: Hall) -> None:
    gone = [await hall.call() for _ in range(MOST * 3)]
    for caller in gone:
        caller.hang_up()
    kept = [await hall.call() for _ in range(MOST)]
    await asyncio.sleep(0.05)
    assert [await caller.ask() for caller in kept] == [b"HTTP/1.1 200 OK"] * MOST
