"""probe and check-config: exit codes, one clear line a fault, nothing sent where nothing may be."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import jsonschema
import pytest

from monitor.lab import Fault, Scope
from tests.acceptance.commands.conftest import Call, World, document

SCHEMA = Path(__file__).parents[3] / "config" / "probe-report.schema.json"


async def test_probe_passes(world: World, call: Call) -> None:
    world.only("aurora-1", "borealis-1")
    said = await call("probe", "-c", world.write(), "--format", "json", "--state-dir", "one-shot")
    report = document(said)
    jsonschema.validate(report, json.loads(SCHEMA.read_text()))
    assert (said.code, report["verdict"], len(report["probes"])) == (0, "pass", 2)
    assert all(row["reason"] == "pass" and row["copies"] == 1 and row["placement"] == "inbox" for row in report["probes"])
    assert len(world.lab.relay.accepted) == 2


async def test_probe_tells_where_how_fast_what_and_why(world: World, call: Call) -> None:
    world.only("aurora-1", "borealis-1", "cumulus-1")
    await world.lab.switch_on(Fault.JUNK, Scope(provider="aurora.test"))
    await world.lab.switch_on(Fault.IMAP_AUTH_REFUSED, Scope(provider="cumulus.test"))
    said = await call("probe", "-c", world.write(), "--state-dir", "one-shot", NO_COLOR="1")
    assert said.code == 1, "fail is worse than inconclusive"
    assert "\x1b" not in said.out
    for words in (
        "fail: spam",
        "arrived in the spam folder ('Junk')",
        "inconclusive: mailbox_blind",
        "auth_refused",
        "ms after it was accepted",
        "dkim=pass",
    ):
        assert words in said.out, words
    assert said.out.splitlines()[-1] == "PROBE FAIL - 1 pass, 1 fail, 1 inconclusive"
    assert len(world.lab.relay.accepted) == 2, "nothing is sent to a mailbox that cannot be looked into"


async def test_probe_proves_absence_by_its_deadline(world: World, call: Call) -> None:
    world.only("aurora-1")
    await world.lab.switch_on(Fault.ACCEPT_AND_DROP)
    said = await call("probe", "-c", world.write(), "--format", "json", "--state-dir", "s", "--deadline", "2s")
    (row,) = document(said)["probes"]
    assert (said.code, row["reason"]) == (1, "missing")
    assert "in none of 4 folders" in row["why"]


async def test_an_interrupted_probe_says_what_it_knows(world: World, begin: Callable[..., Awaitable[asyncio.subprocess.Process]]) -> None:
    world.only("aurora-1")
    await world.lab.switch_on(Fault.ACCEPT_AND_DROP)
    process = await begin("probe", "-c", world.write(), "--state-dir", "s", "--format", "json", "--deadline", "60s")
    async with asyncio.timeout(20):
        while not world.lab.relay.accepted:
            await asyncio.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert process.returncode == 130, err.decode()
    (row,) = json.loads(out)["probes"]
    assert row["verdict"] == "inconclusive" and "absence not proven" in row["why"]


async def test_check_config(world: World, call: Call) -> None:
    said = await call("check-config", "-c", world.write())
    assert said.code == 0 and "configuration ok: 2 paths, 7 mailboxes, 12 routes; try --live" in said.out
    said = await call("check-config", "-c", world.write(), "--live", "--format", "json")
    assert said.code == 0 and document(said)["ok"] is True and len(document(said)["trials"]) == 9
    assert not world.lab.relay.accepted, "submits nothing"


async def test_check_config_live_names_each_trouble_and_its_mend(world: World, call: Call) -> None:
    await world.lab.switch_on(Fault.IMAP_AUTH_REFUSED, Scope(provider="cumulus.test"))
    await world.lab.switch_on(Fault.REFUSE_CONNECT, Scope(path="smtp"))
    world.tree["mailboxes"]["borealis-1"]["folders"]["spam"] = ["Nowhere"]
    said = await call("check-config", "-c", world.write(), "--live")
    assert said.code == 2 and said.lines == []
    failed = [line for line in said.out.splitlines() if line.startswith("FAIL")]
    assert len(failed) == 4
    assert "mailbox borealis-1: no spam folder among: INBOX" in failed[0] and "mailboxes.borealis-1.folders.spam" in failed[0]
    assert all("auth_refused" in line and "check the username" in line for line in failed[1:3])
    assert "path bare-smtp: connect" in failed[3]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("probe", "-c", "nowhere.yaml"), "nowhere.yaml: no such file; name it with --config"),
        (("run", "-c", "."), ".: is a directory"),
        (("check-config",), "no configuration: give --config FILE"),
        (("pause", "--server", "localhost"), "--server 'localhost': give a URL"),
        (("healthz", "--server", "ftp://x"), "--server 'ftp://x': give a URL"),
        (("resume", "--token-file", "nowhere"), "--token-file nowhere: No such file or directory"),
    ],
)
async def test_a_wrong_call_is_one_line_and_exit_2(call: Call, arguments: tuple[str, ...], line: str) -> None:
    said = await call(*arguments)
    assert said.code == 2 and len(said.lines) == 1 and said.lines[0].startswith(line), said


@pytest.mark.parametrize("command", ["pause", "resume", "healthz"])
async def test_no_daemon_is_exit_4(call: Call, command: str) -> None:
    said = await call(command, "--server", "http://127.0.0.1:1")
    assert said.code == 4 and len(said.lines) == 1 and "is `mailcanary run` up" in said.lines[0]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--path", "nope"), "--path nope: no such name in the configuration (there are: bare-smtp)"),
        (("--mailbox", "nope"), "--mailbox nope: no such name"),
        (("--deadline", "90"), "--deadline 90: is no length of time"),
    ],
)
async def test_a_wrong_choice_is_one_line_and_exit_2(world: World, call: Call, arguments: tuple[str, ...], line: str) -> None:
    world.only("aurora-1")
    said = await call("probe", "-c", world.write(), *arguments)
    assert said.code == 2 and len(said.lines) == 1 and said.lines[0].startswith(line), said
    assert not world.lab.relay.accepted


async def test_bad_configuration_is_a_line_a_fault_with_its_place(world: World, call: Call) -> None:
    world.tree["deadlines"]["late"] = "10ms"
    world.tree["mailboxes"]["aurora-1"]["adress"] = "x"
    world.tree["routes"] = [{"path": "app", "mailbox": "holding"}]
    file = world.write()
    said = await call("run", "-c", file)
    assert said.code == 2 and len(said.lines) >= 3
    assert all(line.startswith(f"{file}:") and line.split(":")[1].isdigit() for line in said.lines)
    text = said.err
    assert "adress: unknown key; did you mean address?" in text
    assert "holding" in text and "late" in text


async def test_a_template_without_its_carrier_sends_nothing(world: World, call: Call) -> None:
    world.only("aurora-1")
    templates = world.directory / "templates"
    templates.mkdir()
    (templates / "subject.txt").write_text("Your refund {{ refund_number }}")
    (templates / "message.txt").write_text("{{ customer_name }} {{ amount }} {{ refund_number }} {{ order_number }}")
    (templates / "message.html").write_text("<p>{{ customer_name }} {{ amount }} {{ refund_number }} {{ order_number }}</p>")
    world.tree["paths"]["bare-smtp"] |= {"templates": str(templates), "carriers": ["body"]}
    said = await call("probe", "-c", world.write())
    assert said.code == 2 and said.lines and all("mailcanary.yaml:" in line for line in said.lines)
    assert "token" in said.err
    assert not world.lab.relay.accepted


async def test_secrets_and_addresses_stay_out_of_errors(world: World, call: Call) -> None:
    world.tree["mailboxes"]["aurora-1"]["imap"]["password"] = "hunter2hunter2"
    said = await call("check-config", "-c", world.write())
    assert said.code == 2 and "hunter2" not in said.err + said.out


async def test_help_and_version(call: Call) -> None:
    said = await call("--help")
    assert said.code == 0 and "exit codes: 0 pass, 1 fail" in said.out.replace("\n", " ")
    assert (await call("--version")).out.startswith("mailcanary ")
    assert (await call("no-such-command")).code == 2
