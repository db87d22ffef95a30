"""`mailcanary ledger import`: a file that no source of the daemon sees. The same again changes nothing: a broken import is repeated."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from monitor.cli import UsageError, remark, tell
from monitor.cli.ledger.asking import Document, gave_up
from monitor.cli.ledger.bar import Bar
from monitor.cli.ledger.mends import as_flags
from monitor.cli.ledger.order import columns_of, delimiter_of
from monitor.cli.server import ask, token
from monitor.edge import clock
from monitor.edge.daemon import Daemon, DaemonError
from monitor.edge.sources.whole import whole
from monitor.model.ledger import RowFault, Table
from monitor.model.sources import FileFormat, FilesSource, Layout
from monitor.model.verdict import Verdict
from monitor.ports import SourceError
from monitor.rules.plain import one_line
from monitor.rules.reconcile.figures import quoted
from monitor.rules.reconcile.header import CONFIRMATIONS, REFUNDS, header_of
from monitor.rules.reconcile.impact import counted

BATCH = 1_000  # rows in one request
MOST_NAME = 200  # characters of the file's name
BYTES = 2 * 1024 * 1024  # about, of one
WITHIN = 60.0  # seconds for one
TRIES = 5  # of one batch, while the daemon says that it is busy
LONGEST_WAIT = 30.0
SHOWN = 20
BUSY = frozenset({429, 503})
NONE_TAKEN = 422


@dataclass(slots=True)
class Told:
    """What the daemon made of it."""

    taken: int = 0
    known: int = 0
    changed: int = 0
    probes: int = 0
    refused: int = 0
    faults: list[RowFault] = field(default_factory=list)  # the first of them, with lines of the file

    def add(self, answer: Document, lines: Sequence[int], theirs: Mapping[str, str]) -> None:
        """`lines`: of the rows that it is about; `theirs`: our field -> the file's column."""
        self.taken += answer["taken"]
        self.known += answer["known"]
        self.changed += answer["changed"]
        self.probes += answer["dropped_probes"]
        self.refuse([_fault(row, lines, theirs) for row in answer["faults"]], answer["refused"] + answer["conflicts"])

    def refuse(self, faults: Sequence[RowFault], count: int) -> None:
        self.refused += count
        self.faults += faults[: max(0, SHOWN - len(self.faults))]


def call(arguments: argparse.Namespace) -> int:
    """0: every row is in the ledger. 1 is kept for broken mail; rows that were refused, and a file without any, are 3."""
    side = "refunds" if arguments.refunds else "confirmations"
    path, told, theirs, rows_there = Path(arguments.file), Told(), columns_of(arguments.columns or ()), False
    try:
        with Bar([path]) as bar:
            for rows, lines, faults, done in _batches(path, arguments):
                told.refuse(faults, len(faults))
                if rows:
                    rows_there = True
                    told.add(_pushed(arguments, side, rows, lines), lines, theirs)
                bar.heard(f"importing {side}", done)
    except SourceError as error:
        raise UsageError(one_line(str(error))) from None
    except DaemonError as error:
        if told.taken or told.known:
            there = counted(told.taken + told.known, "row is in the ledger", "rows are in the ledger")
            remark(f"{there}; import the file again to go on, what is known changes nothing")
        return gave_up(error)
    if not rows_there and not told.refused:
        remark(one_line(f"{path}: there is no row in it; was the export cut off?"))
    for fault in sorted(told.faults, key=lambda fault: fault.line):
        remark(_said(path, fault))
    if told.refused > len(told.faults):
        remark(f"and {told.refused - len(told.faults)} more")
    tell(
        f"{told.taken} {side} taken, {told.known} were known, {told.changed} changed, {told.refused} refused"
        + (f", {counted(told.probes, 'probe')} left out" if told.probes else "")
    )
    return Verdict.INCONCLUSIVE.exit_code if told.refused or not rows_there else Verdict.PASS.exit_code


def _said(path: Path, fault: RowFault) -> str:
    where = f":{fault.line}" if fault.line else ""
    column = f"{fault.column}: " if fault.column else ""
    return one_line(f"{path}{where}: {column}{fault.what}" + (f"; {fault.mend}" if fault.mend else ""))


def _batches(path: Path, arguments: argparse.Namespace) -> Iterator[tuple[list[Document], Sequence[int], Sequence[RowFault], int]]:
    """(rows under the names that the daemon knows, their lines, what could not be cut into rows, bytes so far)."""
    columns = columns_of(arguments.columns or ())
    for portion, done in whole(path, FilesSource("", FileFormat.CSV, Layout(delimiter=delimiter_of(arguments.delimiter)))):
        table = portion.content
        assert isinstance(table, Table)  # noqa: S101 - of a file of rows
        names = _names(table, columns, arguments)
        yield [], (), portion.faults, done
        start = 0
        while start < len(table.rows):
            end = _end(table.rows, start, sum(map(_size, table.columns)))
            yield [_named(names, row) for row in table.rows[start:end]], table.lines[start:end], (), done
            start = end


def _names(table: Table, columns: Mapping[str, str], arguments: argparse.Namespace) -> dict[int, str]:
    """Place of a column -> the name under which the daemon gets it. Where a field is named, a column that only bears its name is left out.
    Raises UsageError where it is not clear which column is meant."""
    fields = REFUNDS if arguments.refunds else CONFIRMATIONS
    header = header_of(table, fields, (), columns)
    if isinstance(header, RowFault):
        raise UsageError(_said(Path(arguments.file), replace(header, mend=as_flags(header.mend, "--columns"))))
    named = {header.places[field]: field for field in columns if field in header.places}
    left = {place: name for place, name in enumerate(table.columns) if place not in named and name.strip().lower() not in columns}
    twice = next((name for name, count in Counter(left.values()).items() if name.strip() and count > 1), None)
    if twice is not None:
        what = f"{arguments.file}:1: the column {quoted(twice)} is there several times"
        raise UsageError(one_line(f"{what}; leave all but one of them out, or give them other names"))
    return named | left


def _end(rows: Sequence[Sequence[object]], start: int, names: int) -> int:
    """Behind the last row that fits into the request which begins with this one; that one always does. `names`: their bytes."""
    size = 0
    for place in range(start, min(len(rows), start + BATCH)):
        size += names + sum(map(_size, rows[place]))
        if size > BYTES and place > start:
            return place
    return min(len(rows), start + BATCH)


def _size(value: object) -> int:
    """Bytes of it as JSON, at most."""
    text = str(value)
    return 4 + (len(text) if text.isascii() and text.isprintable() else 12 * len(text))


def _named(names: Mapping[int, str], row: Sequence[object]) -> Document:
    """Bytes that are no text become a sign that says so: the row is refused with its line, not the whole batch."""
    return {
        names[place]: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for place, value in enumerate(row)
        if place in names
    }


def _pushed(arguments: argparse.Namespace, side: str, rows: list[Document], lines: Sequence[int]) -> Document:
    """What the daemon says of them, also where it could take none. It hears where they stand, for whoever repairs."""
    there: Document = {"origin": one_line(Path(arguments.file).name)[:MOST_NAME], "lines": list(lines)}
    body: Mapping[str, object] = {side: rows, **there, **({"source": arguments.source} if arguments.source else {})}

    def push(daemon: Daemon) -> Document:
        try:
            return daemon.post(f"/v1/{side}", body, WITHIN)
        except DaemonError as error:
            if error.status != NONE_TAKEN:
                raise
            answer: Document = json.loads(error.said)
            return answer

    for left in reversed(range(TRIES)):
        try:
            return ask(arguments, token(arguments), push)
        except DaemonError as error:
            if error.status not in BUSY or not left:
                raise
            clock.pause(min(LONGEST_WAIT, error.retry_after or 1.0))
    raise AssertionError


def _fault(row: Document, lines: Sequence[int], theirs: Mapping[str, str]) -> RowFault:
    number, column = int(row["row"]), row["column"]
    return RowFault(lines[number - 1] if 0 < number <= len(lines) else 0, row["what"], row["mend"], theirs.get(column, column))
