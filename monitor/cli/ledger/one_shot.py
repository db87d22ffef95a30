"""`mailcanary ledger reconcile REFUNDS CONFIRMATIONS`: two exports, without a daemon. Nothing is kept."""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from monitor.cli import UsageError, if_told, remark, tell, tell_piece
from monitor.cli.files import replacing
from monitor.cli.ledger.bar import Bar
from monitor.cli.ledger.comparing import Comparison, FileRead, compared
from monitor.cli.ledger.forms import SHOWN, as_csv, as_json, print_text
from monitor.cli.ledger.order import Order, order_of
from monitor.cli.paper import drawn
from monitor.edge.clock import SystemClock
from monitor.model.verdict import Verdict
from monitor.ports import LedgerUnreadable, SourceError
from monitor.rules.plain import one_line

YOUNG = 10_000  # objects that are made until cycles are looked for

FORMS: dict[str, Callable[[Comparison], AsyncIterator[str]]] = {"csv": as_csv, "json": as_json}


def call(arguments: argparse.Namespace) -> int:
    clock = SystemClock()
    order = order_of(arguments, clock.now().utc)
    output = Path(arguments.output).resolve() if arguments.output else None
    if output is not None and output.suffix.lower().lstrip(".") not in FORMS:
        raise UsageError(f"--output {output}: its name has to end in .csv or .json")
    if output is not None and not output.parent.is_dir():
        raise UsageError(f"--output {output}: there is no such directory")
    try:
        with _interrupted_at_once(), _seldom_collected():
            return asyncio.run(_compared(order, arguments.format, output, clock))
    except SourceError as error:
        raise UsageError(one_line(str(error))) from None
    except LedgerUnreadable as error:
        remark(f"{one_line(str(error))}; TMPDIR names another place for what is read")
        return Verdict.ERROR.exit_code


@contextmanager
def _interrupted_at_once() -> Iterator[None]:
    """Ctrl-C ends a read that waits for a pipe, too; asyncio's own handling would wait for the bytes."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # who began us does not want to be interrupted
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Millions of rows are made and none is part of a cycle: looking for cycles among them is a tenth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(YOUNG, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


async def _compared(order: Order, form: str, output: Path | None, clock: SystemClock) -> int:
    with Bar([order.refunds, order.confirmations]) as bar:
        async with compared(order, clock, bar.heard) as comparison:
            _refuse(comparison)
            if output is not None:
                await _write(comparison, output)
            if form in FORMS:
                bar.end()
                await _told(FORMS[form](comparison))
            else:
                first = await comparison.first(SHOWN)
                bar.end()
                tell(drawn(lambda console: print_text(comparison, first, console)).rstrip())
            return if_told(comparison.verdict.exit_code)


async def _told(pieces: AsyncIterator[str]) -> None:
    """A result that may be too large for one piece."""
    async for piece in pieces:
        if not tell_piece(piece):
            break


def _refuse(comparison: Comparison) -> None:
    """A file of which nothing at all could be taken was not meant: a wrong header, other columns, another file."""
    for file in (comparison.refunds, comparison.confirmations):
        if file.faults and not file.records and not file.probes:
            raise UsageError(_nothing_of(file))


def _nothing_of(file: FileRead) -> str:
    lines = [f"{file.name}: no row could be taken"]
    for fault in file.faults[:SHOWN]:
        where = f":{fault.line}" if fault.line else ""
        column = f"{fault.column}: " if fault.column else ""
        lines.append(f"{file.name}{where}: {column}{fault.what}" + (f"; {fault.mend}" if fault.mend else ""))
    return "\n".join(one_line(line) for line in lines)


async def _write(comparison: Comparison, output: Path) -> None:
    try:
        with replacing(output) as file:
            async for piece in FORMS[output.suffix.lower().lstrip(".")](comparison):
                file.write(piece)
    except OSError as error:
        raise UsageError(f"--output {output}: {error.strerror or error}; nothing was written") from None
