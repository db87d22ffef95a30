"""Makes docs/pictures/*.svg and *.png from real runs: `python docs/pictures/make.py`.

The demo runs in a pseudo-terminal; a terminal emulator reads along; what stands on its screen is drawn. Of a demo that was kept running
Chromium takes the pictures of the status page (page.py).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import page
import pyte
from rich.console import Console
from rich.text import Text

from bench import books
from monitor.lab.dns import DnsServer

HERE = Path(__file__).parent
COLUMNS = 132
DEADLINE = 60.0
GATE_LINES = 34
AUDIT_LINES = 41
LEDGER_LINES = 30
REFUNDS, FAULTS = 900, 0.002  # of a small shop, and the share of each kind
COLOURS = {"default": "", "brown": "yellow"}


def main() -> int:
    """The demo when on-call has been paged and all app routes are misrouted, just before the rollback; then what on-call looks at next."""
    screen = _run([sys.executable, "-m", "monitor", "demo"], "act 3", 54)
    if screen is None:
        print("the demo did not reach act 3", file=sys.stderr)
        return 1
    _draw(screen, HERE / "demo.svg", "mailcanary demo")
    return _kept() or asyncio.run(_audited()) or _reconciled()


def _kept() -> int:
    """What a demo that was kept running says of its incident and of its gates."""
    with subprocess.Popen([sys.executable, "-m", "monitor", "demo", "--keep"], stdout=subprocess.PIPE, text=True) as demo:
        try:
            line = next((text for text in demo.stdout or () if text.startswith("still running:")), None)
            if line is None:
                print("the demo did not end well", file=sys.stderr)
                return 1
            server = line.split()[2].rstrip("/")
            show = [sys.executable, "-m", "monitor", "incident", "show", "INC-1", "--server", server]
            incident = _run(show, "last evidence", 44)
            asked = [f"{sys.executable} -m monitor gate run --server {server} --deploy checkout-{it} --version {it}" for it in ("v2", "v3")]
            gates = _run(["sh", "-c", "; echo; ".join(asked)], "GATE PASS", GATE_LINES)
            asyncio.run(page.main(server, page.known(server)))
        finally:
            demo.send_signal(signal.SIGINT)
    if incident is None or gates is None:
        print("there is no incident to show, or no gate", file=sys.stderr)
        return 1
    _draw(incident, HERE / "incident.svg", "mailcanary incident show INC-1")
    _draw(gates, HERE / "gate.svg", "mailcanary gate run: deploy v2, then v3")
    return 0


ZONES = {  # a shop that moved to another relay and forgot its zone
    "shop.example": """@ TXT "v=spf1 include:_spf.mailer.example include:crm.example mx ~all"
@ MX 10 mx
mx A 192.0.2.25
mx TXT "v=spf1 -all"
_dmarc TXT "v=DMARC1; p=quarantine; np=reject; rua=mailto:dmarc@shop.example"
s1._domainkey TXT "v=DKIM1; k=rsa; p="
mail A 192.0.2.10
mail TXT "v=spf1 a -all"
""",
    "mailer.example": '_spf TXT "v=spf1 include:_a.mailer.example ip4:198.51.100.0/25 ~all"\n_a TXT "v=spf1 ip4:198.51.100.128/25 ~all"\n',
    "crm.example": '@ TXT "v=spf1 ip4:203.0.113.0/25 ~all"\n',
    "example": "shop NS ns.shop\nns.shop A 127.0.0.1\n",
    ".": "example. NS ns.example.\nns.example. A 127.0.0.1\n",
    "2.0.192.in-addr.arpa": "10 PTR mail.shop.example.\n25 PTR mx.shop.example.\n",
}


async def _audited() -> int:
    """What `mailcanary audit` says of those zones."""
    server = DnsServer()
    for origin, text in ZONES.items():
        server.set_zone(origin, text)
    await server.start()
    here = f"127.0.0.1:{server.port}"
    known = ["--egress", "192.0.2.10", "--selector", "s1", "--helo", "mail.shop.example", "--no-transport", "--private-addresses"]
    command = [sys.executable, "-m", "monitor", "audit", "shop.example", "--resolver", here, "--dns-port", str(server.port), *known]
    try:
        screen = await asyncio.to_thread(_run, command, "AUDIT FAIL", AUDIT_LINES)
    finally:
        await server.close()
    if screen is None:
        print("the audit found nothing", file=sys.stderr)
        return 1
    _draw(screen, HERE / "audit.svg", "mailcanary audit shop.example")
    return 0


def _reconciled() -> int:
    """What two exports say of a shop's month."""
    with tempfile.TemporaryDirectory() as name:
        books.write(Path(name), REFUNDS, FAULTS)
        command = [sys.executable, "-m", "monitor", "ledger", "reconcile", "refunds.csv", "confirmations.csv"]
        screen = _run(command, "duplicate  RF", LEDGER_LINES, Path(name))
    if screen is None:
        print("the comparison found no duplicate", file=sys.stderr)
        return 1
    _draw(screen, HERE / "ledger.svg", "mailcanary ledger reconcile refunds.csv confirmations.csv")
    return 0


def _run(command: list[str], until: str, lines: int, where: Path | None = None) -> pyte.Screen | None:
    """The screen of `command` when `until` first stands on it, None if it never does."""
    screen = pyte.Screen(COLUMNS, lines)
    stream = pyte.ByteStream(screen)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(lines)}
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=where, close_fds=True) as process:
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
