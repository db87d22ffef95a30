"""The lab in a process of its own, steered over its control API."""

import asyncio
import contextlib
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import aiosmtplib
import pytest

from monitor.lab.control import LabClient, LabRefused
from monitor.lab.faults import Fault, Scope
from monitor.lab.world import Lab

SEED = "seed1@aurora.test"
DEADLINE = 20.0


@contextlib.asynccontextmanager
async def lab_process(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "monitor.lab", "--stdin", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            line = await process.stdout.readline()
        yield process, json.loads(line)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        process._transport.close()


@pytest.mark.asyncio
async def test_deliver_over_smtp_see_over_imap_and_sigterm(raw_imap, letter) -> None:
    async with lab_process("--mailboxes", "3") as (process, where):
        assert [len(provider["accounts"]) for provider in where["providers"]] == [3, 3, 3]
        imap = await raw_imap(where["providers"][0]["plain"])
        await imap.login(SEED)
        await imap.ask(b"SELECT INBOX")
        imap.send(b"i IDLE\r\n")
        assert await imap.line() == b"+ idling\r\n"
        await aiosmtplib.send(
            letter(), sender="bounces@shop.test", recipients=[SEED], hostname="127.0.0.1",
            port=where["relay"]["plain"], start_tls=False,
        )  # fmt: skip
        assert await imap.line() == b"* 1 EXISTS\r\n"
        async with LabClient(where["control_url"]) as lab:
            assert (await lab.describe()) == where
            assert (await lab.accepted())["accepted"][0]["recipient"] == SEED
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), DEADLINE) == 0


@pytest.mark.asyncio
async def test_ends_with_its_parent(letter) -> None:
    async with lab_process() as (process, _):
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), DEADLINE) == 0


@pytest.mark.asyncio
async def test_wrong_arguments_are_explained() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "monitor.lab", "--account", "x@elsewhere.test", stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(DEADLINE):
        _, complaint = await process.communicate()
    assert process.returncode == 2 and b"no provider of the lab hosts x@elsewhere.test" in complaint


@pytest.mark.asyncio
async def test_control_api(lab: Lab, letter) -> None:
    async with LabClient(lab.description.control_url) as steer:
        await steer.switch_on(Fault.JUNK, Scope(provider="aurora.test"))
        await steer.switch_on("delay", seconds=5)
        assert {state["fault"] for state in await steer.faults()} == {"junk", "delay"}
        await steer.switch_off("junk", Scope(provider="borealis.test"))
        assert len(await steer.faults()) == 2
        await steer.switch_off("junk")
        await steer.clear_faults()
        assert await steer.faults() == []
        await steer.deploy("v2")
        assert lab.shop.version.value == "v2"
        assert await steer.deliver(SEED, letter(), "Junk", ("\\Seen",)) == 1
        shown = (await steer.mailbox(SEED))["folders"]["Junk"]
        assert shown["count"] == 1 and shown["messages"][0]["flags"] == ["\\Seen"]
        assert "Subject: Your refund" in shown["messages"][0]["header"]
        await steer.switch_on(Fault.HOLD_QUEUE)
        lab.relay.accept("a@shop.test", [SEED], letter(), ("smtp", "plain"), "test")
        assert (await steer.accepted())["held"] == 1
        assert await steer.release() == 1
        assert len((await steer.accepted(after=1))["accepted"]) == 0
        await steer.stop_imap("aurora.test")
        assert not lab.imap["aurora.test"].listeners["tls"].up and lab.imap["cumulus.test"].listeners["tls"].up
        await steer.start_imap("aurora.test")
        assert lab.imap["aurora.test"].listeners["tls"].up
        await steer.set_zone("x.test", '@ TXT "hello"\n')
        await steer.trouble("x.test", "servfail")
        assert list(lab.dns.troubles) == ["x.test"]
        await steer.trouble("x.test", None)
        assert lab.dns.troubles == {}
        await steer.set_records("x.test", "TXT", '"other"')
        assert lab.dns.look("x.test", "TXT") == ("other",)
        await steer.set_records("x.test", "TXT")
        assert lab.dns.look("x.test", "TXT") == ()
        await steer.restore_records("x.test")
        assert lab.dns.look("x.test", "TXT") == ("hello",)
        for wrong in (
            steer.switch_on("nonsense"),
            steer.switch_on("delay", seconds=-1),
            steer.switch_on("delay", speed=1),
            steer.deploy("v9"),
            steer.mailbox("nobody@aurora.test"),
            steer.deliver(SEED, b"x", "Nowhere"),
            steer.set_zone("y.test", "@ NONSENSE x\n"),
            steer.set_records("x.test", "A", "nonsense"),
        ):
            with pytest.raises((LabRefused, ValueError)):
                await wrong


@pytest.mark.asyncio
async def test_a_scope_names_what_there_is(lab: Lab) -> None:
    """Both spellings of a provider, and a mailbox by any address of its account; what is nowhere would be a fault that never happens."""
    async with LabClient(lab.description.control_url) as steer:
        for typed in ("borealis", "borealis.test", "Borealis.TEST"):
            await steer.switch_on(Fault.JUNK, Scope(provider=typed))
            await steer.switch_on(Fault.DELAY, seconds=1)
            assert [state["scope"]["provider"] for state in await steer.faults()] == ["borealis.test", None]
            await steer.switch_off(Fault.JUNK, Scope(provider=typed))
            assert [state["fault"] for state in await steer.faults()] == ["delay"]
            await steer.clear_faults()
        await steer.switch_on(Fault.JUNK, Scope(mailbox="Seed1+tag@Aurora.test"))
        assert (await steer.faults())[-1]["scope"]["mailbox"] == SEED
        await steer.clear_faults()
        for wrong, told in (
            (Scope(provider="boreal"), "provider 'boreal'; there are: aurora.test, borealis.test, cumulus.test, "),
            (Scope(mailbox="seed9@aurora.test"), "mailbox 'seed9@aurora.test'; there are: seed1@aurora.test, "),
            (Scope(path="app"), "path 'app'; there are: shop, smtp, plain, starttls, tls"),
        ):
            for asked in (steer.switch_on, steer.switch_off):
                with pytest.raises(LabRefused, match=re.escape(f"the lab has no {told}")):
                    await asked(Fault.JUNK, wrong)
        with pytest.raises(LabRefused, match="the lab has no provider 'boreal'"):
            await steer.stop_imap("boreal")
        assert await steer.faults() == []
        await steer.stop_imap("aurora")
        assert not lab.imap["aurora.test"].listeners["tls"].up
        async with aiohttp.ClientSession() as session:
            body = {"fault": "junk", "scope": {"provider": 7}}
            async with session.post(f"{lab.description.control_url}/faults", json=body) as answer:
                assert answer.status == 400 and "the lab has no provider 7" in (await answer.json())["error"]
