"""The dead-man switch: a GET when a cycle was completed, a POST below /fail when not; never an exception, never its URL."""

from __future__ import annotations

import pytest

from monitor.edge.heartbeat import LONGEST_DETAIL, HttpHeartbeat
from monitor.edge.tls import TlsContexts
from monitor.model.policy import HeartbeatPolicy
from monitor.model.secret import SecretRef, SecretSource
from tests.edge.channels.contract.receiver import TOKEN, Answer, Receiver, echo, endless, hang, raw, reset, status
from tests.edge.conftest import Authority
from tests.fakes.paths import StubSecrets

URL = SecretRef(SecretSource.ENV, "PING_URL")


def heartbeat(url: str, ca_file: str | None = None, secret: bool = True) -> HttpHeartbeat:
    policy = HeartbeatPolicy(URL if secret else url, 60.0, ca_file)
    return HttpHeartbeat(policy, StubSecrets({URL.name: url}), TlsContexts().get)


@pytest.mark.parametrize(
    ("path", "failed"),
    [
        ("/ping/uuid", "/ping/uuid/fail"),
        ("/ping/uuid/", "/ping/uuid/fail"),
        ("", "/fail"),
        ("/p%20q/%2F?key=a%26b", "/p%20q/%2F/fail?key=a%26b"),
    ],
)
async def test_well_and_not_well(path: str, failed: str) -> None:
    async with Receiver(status(200, "OK")) as receiver:
        beat = heartbeat(f"{receiver.base}{path}", secret=False)
        assert await beat.beat(True, "all good", 10.0) == ""
        assert await beat.beat(False, "no progress in: watch \ud800" + "x" * 100_000, 10.0) == ""
        await beat.close()
    well, ill = receiver.requests
    assert (well.method, well.path, well.body) == ("GET", path or "/", b"")
    assert (ill.method, ill.path) == ("POST", failed)
    assert ill.body.startswith(b"no progress in: watch ?xxx") and len(ill.body) == LONGEST_DETAIL
    assert ill.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "answer",
    [status(201), status(404), status(409), status(429), status(500), status(301, "", Location="/x"), hang, reset, raw(b"?"), echo(500)],
)
@pytest.mark.parametrize("well", [True, False])
async def test_whatever_it_answers_nothing_is_raised_and_no_secret_said(answer: Answer, well: bool) -> None:
    async with Receiver(answer) as receiver:
        beat = heartbeat(f"{receiver.base}/{TOKEN}")
        said = await beat.beat(well, "why", 0.5)
        await beat.close()
    assert len(receiver.requests) <= 2, "the library asks again, once, when a GET is reset: a second beat does no harm"
    assert TOKEN not in said and str(receiver.port) not in said and len(said) < 600
    assert not said or "{env: PING_URL}" in said


async def test_it_must_be_taken() -> None:
    async with Receiver(status(404, "not found")) as receiver:
        beat = heartbeat(f"{receiver.base}/", secret=False)
        assert await beat.beat(True, "", 10.0) == f"127.0.0.1:{receiver.port} answered 404 not found"
        receiver.answer = endless(200)
        assert await beat.beat(True, "", 10.0) == ""
        await receiver.away()
        await beat.close()


@pytest.mark.parametrize("url", ["", "ftp://x.test/", "not a url", "http://"])
async def test_a_useless_secret(url: str) -> None:
    beat = heartbeat(url)
    assert "{env: PING_URL}" in await beat.beat(True, "", 1.0)
    await beat.close()


async def test_tls(authority: Authority) -> None:
    async with Receiver(status(200), authority.server()) as receiver:
        for ca_file, taken in ((authority.ca_file, True), (None, False), ("/nowhere.pem", False)):
            beat = heartbeat(receiver.base, ca_file)
            assert (await beat.beat(True, "", 10.0) == "") is taken
            await beat.close()
