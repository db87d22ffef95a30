"""What a server may call its folders, and what a relay may answer: the table of `mailcanary probe` repeats it, and nothing in it acts."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from monitor.lab.faults import Fault, Scope
from monitor.lab.providers import FolderSpec, Provider
from monitor.lab.world import Lab, LabSpec
from tests.acceptance.conftest import PASSWORD, tree_for, write_tree

pytestmark = [pytest.mark.timeout(120)]

NAMES = (
    "a\x1b]0;owned\x07b",
    "\x1b[2J\x1b[31mred",
    "\x9b31mC1",
    "two\r\nlines",
    "[red]markup[/red]",
    "[/nothing] to close",
    "[link=http://evil.test]x[/link]",
    "right\u202eto left",
    '"quoted\\" {12}',
    "<script>alert(1)</script>",
    "&-&AGE- *%",
    "ü" * 60,
)
EVIL = Provider(
    domain="evil.test",
    junk="Junk",
    other="Archive",
    folders=(FolderSpec("INBOX"), FolderSpec("Junk", ("\\Junk",)), *(FolderSpec(name) for name in NAMES)),
)
ACTING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@pytest_asyncio.fixture
async def lab() -> AsyncIterator[Lab]:
    async with Lab(LabSpec(mailboxes_per_provider=len(NAMES), providers=(EVIL,), password=PASSWORD)) as running:
        yield running


def configured(lab: Lab, directory: Path, count: int, **relay: Any) -> Path:
    addresses = [f"seed{number}@evil.test" for number in range(1, count + 1)]
    tree = tree_for(lab.description.as_json(), directory, addresses, ["bare-smtp"])
    tree["deadlines"] = {"overdue_floor": "1s", "late": "20s", "missing": "21s", "give_up": "120s", "watch_until": "30s"}
    tree["submission"] |= {"attempt_timeout": "20s", "retry_for": "20s"}
    tree["schedule"] = {"every": "5m", "jitter": "0%"}  # within the daily budgets, or a note would be on stderr
    tree["paths"]["bare-smtp"] |= relay
    return write_tree(tree, directory)


async def probe(config: Path, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "monitor", "probe", "--config", str(config), "--state-dir", str(config.parent / "probe"), *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"COLUMNS": "200", "FORCE_COLOR": "", "NO_COLOR": "1"},
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    notes = [line for line in err.decode().splitlines(keepends=True) if not line.startswith("note: ")]  # on the configuration, ours
    return process.returncode, out.decode(), "".join(notes)


async def test_folder_names(lab: Lab, tmp_path: Path) -> None:
    """Twelve mailboxes with twelve such folders each; every probe lies in another one. The document has the names, the table shows them."""
    for number, name in enumerate(NAMES, 1):
        await lab.switch_on(Fault.OTHER_FOLDER, Scope(mailbox=f"seed{number}@evil.test"), folder=name)
    config = configured(lab, tmp_path, len(NAMES))
    code, out, err = await probe(config, "--format", "json")
    assert (code, err) == (1, "")
    rows = {row["route"]: row for row in json.loads(out)["probes"]}
    assert [rows[f"bare-smtp/evil-{number}"]["folder"] for number in range(1, len(NAMES) + 1)] == list(NAMES)
    assert {row["reason"] for row in rows.values()} == {"misfiled"}
    code, out, err = await probe(config)
    assert (code, err) == (1, "")
    assert not ACTING.search(out), ascii(ACTING.findall(out))
    for shown in ("[red]markup[/red]", "[/nothing]", "[link=http://evil.test]"):
        assert shown in out


async def test_relay_that_answers_with_escapes(lab: Lab, tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 evil\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            evil = b"550 5.7.1 \x1b[2J\x1b]0;owned\x07 [red]no[/red] [/x] \xc2\x9b31m \xe2\x80\xae <b>\r\n"
            writer.write(evil if verb == b"RCPT" else b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        config = configured(lab, tmp_path, 1, port=server.sockets[0].getsockname()[1])
        code, out, err = await probe(config)
    assert (code, err) == (1, "")
    assert "rejected" in out and "[red]no[/red] [/x]" in " ".join(out.split())
    assert not ACTING.search(out), ascii(ACTING.findall(out))


async def test_no_spam_folder_among_such_names(lab: Lab, tmp_path: Path) -> None:
    """The watch names the folders that there are: escaped."""
    lab.store.accounts["seed1@evil.test"].folders.pop("Junk")
    config = configured(lab, tmp_path, 1)
    tree = json.loads(config.read_text())
    tree["mailboxes"]["evil-1"]["folders"] = {"spam": ["Nowhere"]}
    code, out, err = await probe(write_tree(tree, tmp_path))
    assert (code, err) == (3, "")
    assert "no spam folder" in " ".join(out.split())
    assert not ACTING.search(out), ascii(ACTING.findall(out))
