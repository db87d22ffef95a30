"""Makes docs/pictures/*.svg from real runs: `python docs/pictures/make.py`.

The demo runs in a pseudo-terminal; a terminal emulator reads along; what stands on its screen is drawn.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pyte
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
COLUMNS = 132
DEADLINE = 60.0
GATE_LINES = 34
COLOURS = {"default": "", "brown": "yellow"}


def main() -> int:
    """The demo when on-call has been paged and all app routes are misrouted, just before the rollback; then what on-call looks at next."""
    screen = _run([sys.executable, "-m", "monitor", "demo"], "act 3", 54)
    if screen is None:
        print("the demo did not reach act 3", file=sys.stderr)
        return 1
    _draw(screen, HERE / "demo.svg", "mailcanary demo")
    return _kept()


def _kept() -> int:
    """What a demo that was kept running says of its incident and of its gates."""
    with subprocess.Popen([sys.executable, "-m", "monitor", "demo", "--keep"], stdout=subprocess.PIPE, text=True) as demo:
        try:
            line = next((text for text in demo.stdout or () if text.startswith("still running:")), None)
            if line is None:
                print("the demo did not end well", file=sys.stderr)
                return 1
            server = line.split()[2].partition("/metrics")[0]
            show = [sys.executable, "-m", "monitor", "incident", "show", "INC-1", "--server", server]
            incident = _run(show, "last evidence", 40)
            asked = [f"{sys.executable} -m monitor gate run --server {server} --deploy checkout-{it} --version {it}" for it in ("v2", "v3")]
            gates = _run(["sh", "-c", "; echo; ".join(asked)], "GATE PASS", GATE_LINES)
        finally:
            demo.send_signal(signal.SIGINT)
    if incident is None or gates is None:
        print("there is no incident to show, or no gate", file=sys.stderr)
        return 1
    _draw(incident, HERE / "incident.svg", "mailcanary incident show INC-1")
    _draw(gates, HERE / "gate.svg", "mailcanary gate run: deploy v2, then v3")
    return 0


def _run(command: list[str], until: str, lines: int) -> pyte.Screen | None:
    """The screen of `command` when `until` first stands on it, None if it never does."""
    screen = pyte.Screen(COLUMNS, lines)
    stream = pyte.ByteStream(screen)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(lines)}
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment, close_fds=True) as process:
        os.close(slave)
        deadline = time.monotonic() + DEADLINE
        try:
            while time.monotonic() < deadline:
                if not select.select([master], [], [], 1.0)[0]:
                    continue
                try:
                    stream.feed(os.read(master, 65536))
                except OSError:
                    return None
                if any(until in line for line in screen.display):
                    return screen
        finally:
            process.terminate()
            os.close(master)
    return None


def _draw(screen: pyte.Screen, path: Path, title: str) -> None:
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor")
        for row in range(screen.lines):
            line = Text()
            for column in range(COLUMNS):
                cell = screen.buffer[row][column]
                colour = COLOURS.get(cell.fg, f"#{cell.fg}" if len(cell.fg) == 6 else cell.fg)
                line.append(cell.data, style=f"{'bold ' if cell.bold else ''}{colour}".strip() or None)
            line.rstrip()
            console.print(line, no_wrap=True, crop=True)
        drawn = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title=title), flags=re.DOTALL)  # no font from elsewhere
        path.write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
