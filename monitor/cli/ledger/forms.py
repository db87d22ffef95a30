"""A comparison of two files as text, as CSV and as one JSON document. Differences are written as they come, for there may be a million."""

from __future__ import annotations

import json
import shlex
from collections.abc import AsyncIterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.cli.ledger.comparing import Comparison, FileRead
from monitor.model.ledger import CLASS_OF, ClassStanding, Difference, DifferenceClass, DifferenceKind, RowFault
from monitor.model.verdict import Verdict
from monitor.rules.plain import one_line
from monitor.rules.reconcile.figures import quoted, shown
from monitor.rules.reconcile.impact import amounts, counted
from monitor.surface.ledger import difference_row, differences_csv, iso, standing_row

SCHEMA = "mailcanary.comparison/v1"
SHOWN = 20  # differences, and refused rows, in the text
WORDS: dict[DifferenceClass, tuple[str, str]] = {
    DifferenceClass.MISSING: ("refund without a confirmation", "refunds without a confirmation"),
    DifferenceClass.SPURIOUS: ("confirmation without a refund", "confirmations without a refund"),
    DifferenceClass.MISMATCHED: ("confirmation that says or goes wrong", "confirmations that say or go wrong"),
    DifferenceClass.DUPLICATE: ("confirmation sent again", "confirmations sent again"),
}
_STYLES = {Verdict.FAIL: "bold red", Verdict.INCONCLUSIVE: "bold yellow", Verdict.PASS: "bold green"}
COLOURS = {DifferenceClass.MISSING: "bold red", DifferenceClass.SPURIOUS: "bold red", DifferenceClass.MISMATCHED: "red"}


async def as_csv(comparison: Comparison) -> AsyncIterator[str]:
    yield differences_csv(())
    async for page in comparison.differences():
        yield differences_csv(map(difference_row, page), header=False)


async def as_json(comparison: Comparison) -> AsyncIterator[str]:
    head = {
        "schema": SCHEMA,
        "as_of": iso(comparison.as_of),
        "files": {"refunds": _file_row(comparison.refunds), "confirmations": _file_row(comparison.confirmations)},
        "standing": standing_row(comparison.standing),
        "notes": notes(comparison),
    }
    yield json.dumps(head)[:-1] + ', "differences": ['
    between = "\n"
    async for page in comparison.differences():
        if page:
            yield between + ",\n".join(json.dumps(difference_row(difference)) for difference in page)
            between = ",\n"
    yield "\n]}\n"


def _file_row(file: FileRead) -> dict[str, object]:
    return {
        "name": file.name,
        "records": file.records,
        "known": file.known,
        "probes": file.probes,
        "refused": file.refused,
        "earliest": iso(file.earliest),
        "latest": iso(file.latest),
        "faults": [{"line": fault.line, "column": fault.column, "what": fault.what, "mend": fault.mend} for fault in file.faults],
    }


def headline(comparison: Comparison) -> str:
    """What differs, for how many, how much; a line for each class."""
    found = comparison.classes
    if not comparison.refunds.records or (not comparison.confirmations.records and not found):
        return "nothing to compare: " + "; ".join(
            f"{file.name} holds no {what}"
            for file, what in ((comparison.refunds, "refund"), (comparison.confirmations, "confirmation"))
            if not file.records
        )
    if not found:
        if comparison.verdict is not Verdict.PASS:
            return "; ".join((_seen(comparison), *_refused(comparison))) + " (exit 3)"
        standing = comparison.standing
        open_yet = f"; {counted(comparison.waiting, 'record')} could not be decided" if comparison.waiting else ""
        how = "confirmed as they should be" if not comparison.uncompared else "have a confirmation"
        return f"no difference: {standing.confirmed} of {counted(standing.refunds, 'refund')} {how}{open_yet}"
    return "\n".join(_said(each) for each in found)


def _seen(comparison: Comparison) -> str:
    if comparison.confirmations.outcomes:
        return f"no difference, but what became of the mails was not read: column {quoted(comparison.confirmations.outcomes)}"
    if comparison.enough:
        return "no difference among what could be read"
    return f"nothing wrong among {counted(comparison.decided, 'record')} that could be decided; {comparison.waiting:,} could not"


def _said(standing: ClassStanding) -> str:
    customers = f", {counted(standing.customers, 'customer')}" if standing.customers else ""
    money = f": {amounts(standing.money)}" if standing.money else ""
    return f"{counted(standing.open, *WORDS[standing.kind])}{customers}{money}"


def notes(comparison: Comparison) -> list[str]:
    """What the reader has to know to trust the result."""
    refunds, confirmations, never = comparison.refunds, comparison.confirmations, comparison.undecided.never
    said = []
    if (
        refunds.latest is not None
        and confirmations.latest is not None
        and refunds.earliest is not None
        and confirmations.earliest is not None
    ):
        behind = refunds.latest - confirmations.latest
        if behind > GAP:
            either = "either mail stopped then, or that export is older"
            said.append(f"confirmations end {_lapse(behind)} before refunds, at {iso(confirmations.latest)}: {either}")
        elif -behind > GAP:
            said.append(f"refunds end {_lapse(-behind)} before confirmations, at {iso(refunds.latest)}: is that export older?")
        ahead = confirmations.earliest - refunds.earliest
        if ahead > GAP:
            said.append(f"confirmations begin {_lapse(ahead)} after refunds, at {iso(confirmations.earliest)}: was that export cut off?")
    said += _uncompared(comparison)
    if never:
        lost = ", or of a number whose row could not be taken" if refunds.refused or confirmations.refused else ""
        said.append(f"{counted(never, 'record')} too near the beginning to say, or of a number that too many have{lost}: {_LONGER}")
    if late := comparison.waiting - never:
        said.append(f"{counted(late, 'record')} too near the end to say: {_LATER}")
    said += _refused(comparison)
    for file in (refunds, confirmations):
        if file.probes:
            said.append(f"{counted(file.probes, 'probe')} in {one_line(file.name)} left out")
    return said


def _uncompared(comparison: Comparison) -> list[str]:
    said, file = [], comparison.confirmations
    if comparison.uncompared:
        named = " and ".join(f"{field}s" for field in comparison.uncompared)
        said.append(f"{named} were not compared: {one_line(file.name)} has no column for them")
    if file.outcomes:
        flag = shlex.quote(f"outcome={file.outcomes}")
        said.append(f"every row of {one_line(file.name)} was taken as sent: give --confirmation-columns {one_line(flag)}")
    return said


def _refused(comparison: Comparison) -> list[str]:
    files = (comparison.refunds, comparison.confirmations)
    return [f"{counted(file.refused, 'row')} of {one_line(file.name)} could not be taken" for file in files if file.refused]


_LONGER = "exports that begin earlier decide more"
_LATER = "later exports decide more, or --as-of, where these are complete until then"
GAP = 3_600.0  # seconds between the ends of two exports that are worth a note


def _lapse(seconds: float) -> str:
    hours = seconds / 3_600
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"


def print_text(comparison: Comparison, first: Sequence[Difference], console: Console) -> None:
    found = comparison.classes
    console.print(headline(comparison), style=_STYLES[comparison.verdict], markup=False)
    console.print()
    console.print(_files(comparison))
    if found:
        console.print()
        console.print(_classes(found))
        console.print()
        console.print(_differences(first))
        total = sum(each.open for each in found)
        if total > len(first):
            console.print(f"and {total - len(first)} more: --output FILE.csv or FILE.json writes all of them", style="dim")
    for file in (comparison.refunds, comparison.confirmations):
        if file.faults:
            console.print()
            console.print(f"rows of {one_line(file.name)} that were not taken as they are:", markup=False)
            for fault in file.faults[:SHOWN]:
                console.print(f"  {_fault(fault)}", markup=False)
            if file.refused > SHOWN:
                console.print(f"  and {file.refused - SHOWN} more", style="dim")
    if said := notes(comparison):
        console.print()
        for note in said:
            console.print(f"note: {note}", markup=False, style="yellow")


def _fault(fault: RowFault) -> str:
    where = f"line {fault.line}: " if fault.line else ""
    column = f"{fault.column}: " if fault.column else ""
    return one_line(f"{where}{column}{fault.what}" + (f"; {fault.mend}" if fault.mend else ""))


def _files(comparison: Comparison) -> Table:
    table = _table("file", "records", "from", "to", "again", "not taken")
    for file in (comparison.refunds, comparison.confirmations):
        again, refused = str(file.known or "-"), str(file.refused or "-")
        table.add_row(Text(one_line(file.name)), f"{file.records:,}", iso(file.earliest) or "-", iso(file.latest) or "-", again, refused)
    return table


def _classes(found: Sequence[ClassStanding]) -> Table:
    table = _table("class", "count", "customers", "money")
    for each in found:
        table.add_row(each.kind.value, f"{each.open:,}", f"{each.customers:,}", amounts(each.money), style=COLOURS.get(each.kind, "yellow"))
    return table


def _differences(first: Sequence[Difference]) -> Table:
    table = _table("what", "refund", "of", "refund says", "confirmation says", "where", "note")
    for each in first:
        says = [shown(money) if money is not None else "-" for money in (each.refund, each.confirmation)]
        where = ", ".join(place.partition(", ")[2] for place in (each.refund_place, each.confirmation_place) if place)
        at = iso(each.refund_at if each.refund_at is not None else each.confirmation_at) or "-"
        row = [each.kind.value, each.number or each.key, at, *says, where, each.note]
        table.add_row(*[Text(one_line(cell)) for cell in row], style=_colour(each.kind))
    return table


def _colour(kind: DifferenceKind) -> str:
    return COLOURS.get(CLASS_OF[kind], "yellow")


def _table(*headings: str) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
