"""Which column is which field: found out once for each table, and refused as a whole where what is needed is not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from operator import itemgetter
from typing import Any

from monitor.model.ledger import RowFault, Table
from monitor.rules.reconcile.figures import quoted

MOST_NAMED = 30  # columns that a fault names

REFUNDS = ("refund", "order", "amount", "currency", "at", "recipient", "status", "reversed_at")
CONFIRMATIONS = ("id", "refund", "order", "amount", "currency", "at", "recipient", "outcome", "resend")


@dataclass(frozen=True, slots=True)
class Header:
    """`cut`: a row with one None behind it -> the cells of the fields, in their order; None where the table has no such column.
    `theirs`: field -> the name of its column, for faults."""

    cut: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    width: int
    theirs: Mapping[str, str]
    there: frozenset[str]


def header_of(table: Table, fields: Sequence[str], needed: Sequence[str], named: Mapping[str, str]) -> Header | RowFault:
    """`needed`: the fields without which no row says anything; `named`: field -> column, as the configuration has it."""
    names = [name.strip().lstrip("\ufeff").strip('"') for name in table.columns]
    theirs = {field: named.get(field, field) for field in fields}
    places = {field: _places(names, column) for field, column in theirs.items()}
    taken = {place for found in places.values() for place in found}
    free = [name for place, name in enumerate(names) if place not in taken]
    for field, found in places.items():
        if len(found) > 1:
            return _fault(
                f"the column {quoted(theirs[field])} is there {len(found)} times", "leave one of them out, or give them two names"
            )
    missing = [field for field in needed if not places[field]]
    strayed = [field for field in fields if field in named and not places[field] and _near(theirs[field], free)]
    if missing or strayed:
        return _wrong(missing or strayed, theirs, names, free)
    return Header(
        cut=itemgetter(*(found[0] if (found := places[field]) else -1 for field in fields)),
        width=len(names),
        theirs=theirs,
        there=frozenset(field for field in fields if places[field]),
    )


def _places(names: Sequence[str], column: str) -> list[int]:
    """Where the column stands: by its exact name, else by its name whatever the case."""
    exact = [place for place, name in enumerate(names) if name == column]
    return exact or [place for place, name in enumerate(names) if name.lower() == column.strip().lower()]


def _wrong(missing: Sequence[str], theirs: Mapping[str, str], names: Sequence[str], free: Sequence[str]) -> RowFault:
    lacks = ", ".join(quoted(theirs[field]) for field in missing)
    there = ", ".join(quoted(name) for name in names[:MOST_NAMED]) or "nothing"
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    near = {field: _near(theirs[field], free) for field in missing}
    meant = ", ".join(f"{field}: {near[field] or f'THEIR NAME OF {field.upper()}'}" for field in missing)
    mend = f"set `columns: {{{meant}}}`" + (", or `currency: EUR` for all" if "currency" in missing else "")
    return _fault(f"no column {lacks}; there are {there}{more}; no row was taken", mend)


def _near(column: str, free: Sequence[str]) -> str:
    folded = {name.lower(): name for name in free[:1_000]}
    near = get_close_matches(column.lower()[:100], folded, n=1, cutoff=0.75)
    return folded[near[0]] if near else _synonym(column, folded)


def _synonym(field: str, folded: Mapping[str, str]) -> str:
    for word in _SYNONYMS.get(field, ()):
        for name in folded:
            if word in name:
                return folded[name]
    return ""


_SYNONYMS: Mapping[str, Sequence[str]] = {
    "refund": ("refund", "number", "reference", "id"),
    "order": ("order",),
    "amount": ("amount", "total", "value", "sum", "betrag", "montant"),
    "currency": ("currency", "ccy", "curr"),
    "at": ("processed", "created", "sent", "time", "date", "_at"),
}


def _fault(what: str, mend: str) -> RowFault:
    return RowFault(line=1, what=what, mend=mend)
