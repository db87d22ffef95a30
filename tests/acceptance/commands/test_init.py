"""init as a person calls it: on a terminal of its own, against a lab."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from monitor.edge.secret import SystemSecrets
from monitor.lab import Lab, LabSpec
from monitor.lab.configuration import free_secret
from monitor.lab.providers import AURORA, BOREALIS
from monitor.settings import load
from tests.acceptance.commands.conftest import Call

WITHIN = 60.0
ODD = replace(BOREALIS, folders=tuple(replace(f, name="Werbung") if f.name == "Spam" else f for f in BOREALIS.folders), junk="Werbung")


class Screen:
    """A terminal: what is shown, and someone who types."""

    def __init__(self, words: Sequence[str], environment: dict[str, str]) -> None:
        self.shown = ""
        self._seen = 0
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.execve(sys.executable, [sys.executable, "-m", "monitor", "init", *words], environment)
        os.set_blocking(self._terminal, False)

    async def answer(self, question: str, typed: str) -> None:
        """Wait for the question, then type and press return."""
        await self._until(question)
        os.write(self._terminal, f"{typed}\n".encode())

    async def end(self) -> int:
        """Its exit code, or minus the signal."""
        async with asyncio.timeout(WITHIN):
            while True:
                self._read()
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self._read()
                    os.close(self._terminal)
                    return os.waitstatus_to_exitcode(status)
                await asyncio.sleep(0.02)

    async def _until(self, text: str) -> None:
        try:
            async with asyncio.timeout(WITHIN):
                while text not in self.shown[self._seen :]:
                    self._read()
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{text!r} was not asked; the screen: {self.shown}") from None
        self._seen = self.shown.index(text, self._seen) + len(text)

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # nothing yet, or it has ended
            self.shown += os.read(self._terminal, 65_536).decode(errors="replace")


def environment(home: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "TERM": "xterm", "COLUMNS": "300", **more}


async def test_a_conversation(tmp_path: Path) -> None:
    """Two mailboxes, a password mistyped, a spam folder of an odd name: all is asked, and what is written works."""
    async with Lab(LabSpec(password=free_secret(), providers=(AURORA, ODD))) as lab:
        described = lab.description.as_json()
        aurora, odd = described["providers"]
        output = tmp_path / "made.yaml"
        screen = Screen(["--output", str(output), "--ca-file", described["ca_file"], "--imap", "127.0.0.1:1"], environment(tmp_path))
        relay = described["relay"]
        await screen.answer("relay that takes refund mail", f"{relay['host']}:{relay['starttls']}")
        await screen.answer("[starttls]: ", "")
        await screen.answer("user name", "")
        await screen.answer("author address", "nobody")
        await screen.answer("has no @; again, please", "refunds@shop.test")
        await screen.answer("first seed mailbox", aurora["accounts"][0]["address"])
        await screen.answer("the second", odd["accounts"][0]["address"])
        await screen.answer("password for", lab.spec.password + "typo")
        await screen.answer("password for", lab.spec.password)
        await screen.answer("environment", "")
        await screen.answer("[t]ry again", "a")  # nobody listens there
        await screen.answer("address of mailbox 1", "")
        await screen.answer("IMAP server", f"{aurora['host']}:{aurora['tls']}")
        await screen.answer("password for", "")
        await screen.answer("address of mailbox 2", "")
        await screen.answer("IMAP server", f"{odd['host']}:{odd['tls']}")
        await screen.answer("password for", "")
        await screen.answer("[t]ry again", "a")
        await screen.answer("address of mailbox 1", "")
        await screen.answer("IMAP server", "")
        await screen.answer("password for", lab.spec.password)
        await screen.answer("spam folder of borealis-1", "Werbung")
        assert await screen.end() == 0, screen.shown
        assert lab.spec.password not in screen.shown and "typo" not in screen.shown, "a password is never echoed"
        assert "auth_refused" in screen.shown and "next: mailcanary run -c" in screen.shown
        boxes = load(output, SystemSecrets()).policy.mailboxes
        assert [(box.provider, box.folders.spam[0]) for box in boxes.values()] == [("aurora", "Junk"), ("borealis", "Werbung")]
        assert len(lab.relay.accepted) == 2


async def test_ctrl_c_at_a_question_and_the_end_of_input(tmp_path: Path) -> None:
    for typed, code in (("\x03", 130), ("\x04", 2)):
        screen = Screen(["--output", str(tmp_path / "made.yaml")], environment(tmp_path))
        await screen.answer("relay that takes refund mail", typed)
        assert await screen.end() == code, screen.shown
        assert "Traceback" not in screen.shown
    assert not (tmp_path / "made.yaml").exists() and not list(tmp_path.glob(".mailcanary*"))


async def test_a_spam_folder_of_an_odd_name_without_a_terminal(tmp_path: Path, call: Call) -> None:
    async with Lab(LabSpec(password=free_secret(), providers=(ODD,))) as lab:
        described = lab.description.as_json()
        (odd,) = described["providers"]
        words = ["--yes", "--output", "made.yaml", "--ca-file", described["ca_file"], "--author", "refunds@shop.test"]
        words += ["--relay", f"{described['relay']['host']}:{described['relay']['starttls']}"]
        words += ["--mailbox", odd["accounts"][0]["address"], "--imap", f"{odd['host']}:{odd['tls']}"]
        secret = {"MAILCANARY_INIT_MAILBOX_1_PASSWORD": lab.spec.password}
        said = await call("init", *words, **secret)
        assert said.code == 3 and "no spam folder among 'INBOX', " in said.err and "'Werbung'" in said.err
        assert "MAILCANARY_INIT_MAILBOX_1_SPAM" in said.err
        said = await call("init", *words, **secret, MAILCANARY_INIT_MAILBOX_1_SPAM="Werbung")
        assert said.code == 0, said.err
        assert "one provider only" in said.out
