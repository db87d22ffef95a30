"""Which column is which field: found out once for each table, and refused as a whole where what is needed is not there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from operator import itemgetter
from typing import Any

from monitor.model.ledger import RowFault, Table
from monitor.rules.plain import plain
from monitor.rules.reconcile.cells import OUTCOMES
from monitor.rules.reconcile.figures import quoted

MOST_NAMED = 30  # columns that a fault names
LOOKED_INTO = 1_000  # rows, for a column of outcomes
LONGEST_NAME = 100  # characters of a column that a mend names as it is

REFUNDS = ("refund", "order", "amount", "currency", "at", "recipient", "status", "reversed_at")
CONFIRMATIONS = ("id", "refund", "order", "amount", "currency", "at", "recipient", "outcome", "resend")


@dataclass(frozen=True, slots=True)
class Header:
    """`cut`: a row with one None behind it -> the cells of the fields, in their order; None where the table has no such column.
    `theirs`: field -> the name of its column, for faults; `places`: field -> where it stands in a row, of those that are there."""

    cut: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    width: int
    theirs: Mapping[str, str]
    places: Mapping[str, int]


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
    if any("\ud800" <= char <= "\udfff" for name in names for char in name) and any(not places.get(field) for field in (*needed, *named)):
        return _fault("the header has bytes that are not UTF-8; no row was taken", "save the file as UTF-8")
    folded = {name.lower(): name for name in free[:1_000] if not _DATUM.fullmatch(name)}
    strayed = [field for field in fields if field in named and not places[field] and _near(theirs[field], folded)]
    if missing or strayed:
        hoped = ["recipient"] if not places["recipient"] and "recipient" not in strayed else []
        meant = _meant(missing or strayed, hoped, theirs, folded)
        if not taken and not meant and any(_DATUM.fullmatch(name) for name in names):
            return _fault("has no header line: its first line is a row", f"put the names of the columns above it, as {','.join(needed)}")
        return _wrong(missing or strayed, meant, theirs, names)
    return Header(
        cut=itemgetter(*(found[0] if (found := places[field]) else -1 for field in fields)),
        width=len(names),
        theirs=theirs,
        places={field: found[0] for field, found in places.items() if found},
    )


def lacking(table: Table, fields: Sequence[str], named: Mapping[str, str]) -> tuple[str, ...]:
    """What cannot be compared because no column says it."""
    header = header_of(table, fields, (), named)
    return () if isinstance(header, RowFault) else tuple(field for field in ("amount", "recipient") if field not in header.places)


def unread_outcomes(table: Table, named: Mapping[str, str]) -> str:
    """The column that says what became of the mails, and that is not read; empty: there is none."""
    header = header_of(table, CONFIRMATIONS, (), named)
    if isinstance(header, RowFault) or "outcome" in header.places:
        return ""
    read, rows = set(header.places.values()), table.rows[:LOOKED_INTO]
    free = [(place, name) for place, name in enumerate(table.columns) if place not in read]
    return next((name for place, name in free if any(_is_outcome(row, place) for row in rows)), "")


def _is_outcome(row: Sequence[object], place: int) -> bool:
    value = row[place] if place < len(row) else None
    return isinstance(value, str) and value.strip().lower() in OUTCOMES


def _places(names: Sequence[str], column: str) -> list[int]:
    """Where the column stands: by its exact name, else by its name whatever the case."""
    exact = [place for place, name in enumerate(names) if name == column]
    return exact or [place for place, name in enumerate(names) if name.lower() == column.strip().lower()]


def _wrong(missing: Sequence[str], meant: Mapping[str, str], theirs: Mapping[str, str], names: Sequence[str]) -> RowFault:
    lacks = ", ".join(quoted(theirs[field]) for field in missing)
    there = ", ".join(quoted(name) for name in names[:MOST_NAMED]) or "nothing"
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    said = ", ".join(
        f"{field}: {meant.get(field) or f'THEIR NAME OF {field.upper()}'}" for field in theirs if field in meant or field in missing
    )
    mend = f"set `columns: {{{said}}}`" + (", or `currency: EUR` for all" if "currency" in missing else "")
    return _fault(f"no column {lacks}; there are {there}{more}; no row was taken", mend)


def _meant(missing: Sequence[str], hoped: Sequence[str], theirs: Mapping[str, str], folded: Mapping[str, str]) -> dict[str, str]:
    """Field -> the column that looks like it. `hoped`: fields without which it goes too; `folded`: name in lower case -> name, of columns
    that are free. Each is proposed once: the refund's number comes last, for much bears its name."""
    left, found = dict(folded), dict[str, str]()
    for field in sorted((*missing, *hoped), key=_LAST.index):
        name = _near(theirs[field], left) or _synonym(field, left)
        if name:
            del left[name.lower()]
            found[field] = _written(name)
    return found


def _written(name: str) -> str:
    """As YAML has it, so that it can be copied; shortened and masked where it is no name that a column ought to have."""
    if _PLAIN.fullmatch(name) and name.lower() not in _NO_TEXT and not name.isdigit():
        return name
    return "'{}'".format(name.replace("'", "''")) if len(name) <= LONGEST_NAME and plain(name) == name else quoted(name)


def _near(column: str, folded: Mapping[str, str]) -> str:
    near = get_close_matches(column.lower()[:100], folded, n=1, cutoff=0.75)
    return folded[near[0]] if near else ""


def _synonym(field: str, folded: Mapping[str, str]) -> str:
    strange = _OF_OTHERS.get(field, ())
    for word in _SYNONYMS.get(field, ()):
        for name in folded:
            if word in name and (word not in _WHOLE or word == name) and not any(other in name for other in strange):
                return folded[name]
    return ""


_LAST = ("at", "reversed_at", "amount", "currency", "recipient", "status", "outcome", "resend", "order", "refund", "id")
_NO_TEXT = frozenset({"yes", "no", "on", "off", "true", "false", "null", "y", "n"})  # what YAML takes for something else
_PLAIN = re.compile(r"\w[\w .-]{0,99}")
# A cell of a row, no name: an amount, a time or an address.
_DATUM = re.compile(r"[-+(]?[0-9][0-9., ]{0,30}\)?|[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}(?:[T ].{0,30})?|[^@\s]{1,64}@[^@\s]{1,255}")
_SYNONYMS: Mapping[str, Sequence[str]] = {
    "refund": ("refund", "gutschrift", "erstattung", "modification", "transaction", "number", "nummer", "reference", "id"),
    "order": ("order", "bestell", "auftrag"),
    "amount": ("amount", "total", "value", "sum", "betrag", "montant", "gross", "brutto"),
    "currency": ("currency", "ccy", "curr", "waehrung", "währung"),
    "at": ("processed", "created", "sent", "received", "gebucht", "datum", "timestamp", "date", "time", "_at"),
    "recipient": ("e-mail", "email", "recipient", "empf", "kunde", "customer", "to"),
}
_WHOLE = frozenset({"kunde", "customer", "to"})  # their numbers and names are no addresses
_OF_OTHERS: Mapping[str, Sequence[str]] = {  # a column with such a word in its name is something else
    "refund": ("message", "mail", "customer", "charge", "psp", "invoice", "payment", "original", "credential", "api", "currency", "amount"),
    "amount": ("currency", "ccy"),
    "recipient": ("from", "sender", "shop", "merchant"),
}


def _fault(what: str, mend: str) -> RowFault:
    return RowFault(line=1, what=what, mend=mend)
