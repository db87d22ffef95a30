"""`mailcanary status [--watch]`: what the page at / shows, in a terminal. A look, no check: it exits 0 whatever the state is."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import select
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from monitor.cli import UsageError, tell, tell_piece
from monitor.cli.paper import drawn
from monitor.cli.server import told
from monitor.edge import clock
from monitor.edge.daemon import DaemonError
from monitor.rules.plain import one_line
from monitor.rules.words import lapse
from monitor.surface.board import board, news_key, news_line

STATUS = "mailcanary.status/v1"
EVERY = 2.0  # seconds between two questions
DRAWN_EVERY = 0.5  # seconds: ages grow, the window may be another size, a key may be pressed

Document = dict[str, Any]
Heard = Document | str  # what the daemon says, or why it says nothing


def call(arguments: argparse.Namespace) -> int:
    try:
        document = _asked(arguments)
    except DaemonError as error:
        print(error, file=sys.stderr)
        return 4
    if not arguments.watch:
        tell(json.dumps(document) if arguments.format == "json" else drawn(lambda console: console.print(board(document, console.width))))
    elif arguments.format == "json" or not sys.stdout.isatty():
        _follow(arguments, document)
    else:
        _watch(arguments, document)
    return 0


def _asked(arguments: argparse.Namespace) -> Document:
    return told(arguments, STATUS, lambda daemon: daemon.document("/v1/status"))


def _news(arguments: argparse.Namespace) -> Iterator[Heard]:
    """What the daemon says every two seconds, for ever. That it does not answer, or no longer lets us in, is news too."""
    while True:
        clock.pause(EVERY)
        try:
            yield _asked(arguments)
        except (DaemonError, UsageError) as error:
            yield one_line(str(error))


def _follow(arguments: argparse.Namespace, document: Document) -> None:
    """A line for each change; until it is interrupted, or nobody reads any more."""
    wanted, known, lost = arguments.format == "json", news_key(document), False
    goes_on = tell_piece(f"{json.dumps(document) if wanted else one_line(news_line(document))}\n")
    for heard in _news(arguments) if goes_on else ():
        if isinstance(heard, str):
            if not lost:
                print(f"NO ANSWER: {heard}", file=sys.stderr)
            lost = True
            continue
        key = news_key(heard)
        changed, lost, known = lost or key != known, False, key
        if changed and not tell_piece(f"{json.dumps(heard) if wanted else one_line(news_line(heard))}\n"):
            return


def _watch(arguments: argparse.Namespace, document: Document) -> None:
    """On a terminal, the whole of it; drawn again and again until q or Ctrl-C."""
    heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(arguments, heard), daemon=True).start()
    seen = Seen(document)
    console = Console(highlight=False)
    with _keys() as pressed, Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            with contextlib.suppress(queue.Empty):
                while True:
                    seen.hear(heard.get_nowait())
            live.update(seen.drawn(console.width), refresh=True)
            if pressed(DRAWN_EVERY) in ("q", "Q"):
                return


def _listen(arguments: argparse.Namespace, heard: queue.SimpleQueue[Heard]) -> None:
    for news in _news(arguments):
        heard.put(news)


class Seen:
    """What was seen last, and since when there is nothing newer. Times of this computer: the daemon's clock may be another one."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._at = clock.monotonic()
        self._lost = ""

    def hear(self, heard: Heard) -> None:
        if isinstance(heard, str):
            self._lost = heard
        else:
            self._document, self._at, self._lost = heard, clock.monotonic(), ""

    def drawn(self, width: int) -> Group:
        age = clock.monotonic() - self._at
        late = self._lost or ("it takes long" if age > 2 * EVERY + 1 else "")
        lost = f"what follows is {lapse(age)} old; {late}" if late else ""
        return Group(board(self._document, width, lost), Text("\nq ends", style="dim"))


@contextlib.contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """Gives a function that waits so many seconds at most, and says which key was pressed meanwhile. Ctrl-C stays an interrupt."""
    if not sys.stdin.isatty():
        yield _no_keys
        return
    import termios  # noqa: PLC0415 - not everywhere
    import tty  # noqa: PLC0415

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)

    def pressed(seconds: float) -> str:
        ready, _, _ = select.select([number], [], [], seconds)
        return os.read(number, 1).decode("latin-1") if ready else ""

    try:
        tty.setcbreak(number)
        yield pressed
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _no_keys(seconds: float) -> str:
    clock.pause(seconds)
    return ""
