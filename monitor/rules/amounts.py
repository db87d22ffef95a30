"""Amounts of money in normalised text (rules/visible): is the expected one there, and is there any other?

A number is an amount when a currency stands beside it. £12.30 is not in £112.30, £12.300, A£12.30 or "£12.30 EUR"; 112,30 € is not in
"1 112,30 €", yet it is in "Qty 1\\n112,30 €".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from monitor.rules.visible import normalise

MAX_SEEN = 50
MAX_NUMBERS = 10_000  # looked at in one text; no confirmation has more

_SYMBOL = "[$\u00a2-\u00a5\u058f\u060b\u09f2\u09f3\u0e3f\u17db\u20a0-\u20c0円元원]"
_NAME = (
    "AED|ARS|AUD|BGN|BRL|CAD|CHF|CLP|CNY|CZK|DKK|EGP|EUR|GBP|HKD|HUF|IDR|ILS|INR|ISK|JPY|KES|KRW|KWD|MXN|MYR|NOK|NZD|PHP|PKR|PLN|QAR|RON"
    "|RSD|RUB|SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|VND|ZAR|kr\\.?|zł|Kč|Ft|S?Fr\\.?|[Ee]uros?|EURO|[Dd]ollars?|Rs\\.?|lei|\u0440\u0443\u0431\\.?"
)
_NUMBER = re.compile(r"[0-9]++(?:[.,'][0-9]++)*")  # a possessive group would, in Python before 3.11.5, keep what it could not match
_CURRENCY_BEFORE = re.compile(f"(?P<owner>[0-9] ?)?(?:(?<![A-Za-z])[A-Z]{{0,3}}{_SYMBOL}|(?<!\\w)(?:{_NAME}))[ -]{{0,2}}\\Z")
_CURRENCY_AFTER = re.compile(f"(?:[.,]-)? ?(?:{_SYMBOL}|(?:{_NAME})(?!\\w))")
_NUMBER_NEXT = re.compile(" ?[0-9]")
_GOES_ON = re.compile("[0-9A-Za-z\u00c0-\u024f]|\\d")
_TAIL = re.compile(r"[0-9][.,']\Z")
_MORE_DIGITS = re.compile(r"[.,'][0-9]")
_MORE_GROUPS = re.compile(r" [0-9]{3}(?![0-9])")
_DIGITS = re.compile(r"[0-9]+")
_REACH = 12  # characters that a currency before a number can take
_MASK = "\x00"  # normalised text has none


def seen(text: str, frayed: int = 0) -> tuple[str, ...]:
    """The amounts of money in normalised text, each once, in order; at most MAX_SEEN. What begins in the last `frayed` characters is
    left out: where a text was cut, an amount may have lost its cents."""
    found: dict[str, None] = {}
    for number in islice(_NUMBER.finditer(text), MAX_NUMBERS):
        start, end = number.span()
        if start >= len(text) - frayed:
            break
        before, after = _before(text, start), _CURRENCY_AFTER.match(text, end)
        if after and (text[start - 1 : start].isalpha() or _claimed(text, after.end(), loosely=before is not None)):
            after = None
        if before and before["owner"] and after:
            before = None  # "12,30 € 5,00 €": this one to the number before
        if before or after:
            first = start - len(before[0].removeprefix(before["owner"] or "")) if before else start
            found.setdefault(text[first : after.end() if after else end])
            if len(found) == MAX_SEEN:
                break
    return tuple(found)


def _claimed(text: str, at: int, loosely: bool) -> bool:
    """The currency that ends here belongs to the number that follows: "order 4711 £5.00", and loosely "EUR 12 EUR 5"."""
    return _NUMBER_NEXT.match(text, at) is not None if loosely else text[at : at + 1].isdigit()


def stands(text: str, amount: str) -> bool:
    """The amount, as rendered, stands in the normalised text."""
    return any(True for _ in _places(text, normalise(amount)))


def others(text: str, known: Iterable[str], frayed: int = 0) -> tuple[str, ...]:
    """The amounts in the normalised text that are none of the `known` ones; `frayed` as in `seen`."""
    for amount in sorted((normalise(amount) for amount in known), key=len, reverse=True):
        pieces, at = [], 0
        for start, end in _places(text, amount):
            pieces += [text[at:start], _MASK]
            at = end
        text = "".join([*pieces, text[at:]])
    return seen(text, frayed)


def _places(text: str, amount: str) -> Iterator[tuple[int, int]]:
    """Where the amount stands alone; its spaces may be line breaks in the text."""
    flat, wanted = text.replace("\n", " "), amount.replace("\n", " ")
    at = flat.find(wanted) if wanted else -1
    while at >= 0:
        end = at + len(wanted)
        if _begins(text, at, wanted) and _ends(text, end, wanted):
            yield at, end
        else:
            end = at + 1
        at = flat.find(wanted, end)


def _begins(text: str, start: int, amount: str) -> bool:
    if start == 0:
        return True
    if _GOES_ON.match(text[start - 1]):
        return False
    if amount[0].isdigit():
        lead = text[max(0, start - 2) : start]
        if _TAIL.search(lead):
            return False
        groups = _DIGITS.findall(amount)
        if len(groups[0]) == 3 and lead[:1].isdigit() and lead.endswith(" "):
            return False  # the tail of a number with spaces for grouping
        claim = _before(text, start)
        return claim is None or claim["owner"] is not None  # "$ 12,30 €", but not the € in "5 € 12,30 €"
    return True


def _ends(text: str, end: int, amount: str) -> bool:
    if _GOES_ON.match(text, end):
        return False
    if amount[-1].isdigit():
        groups = _DIGITS.findall(amount)
        if _MORE_DIGITS.match(text, end) or ((len(groups) == 1 or len(groups[-1]) == 3) and _MORE_GROUPS.match(text, end)):
            return False
        claim = None if amount[0].isdigit() else _CURRENCY_AFTER.match(text, end)
        return claim is None or _NUMBER_NEXT.match(text, claim.end()) is not None  # "£12.30 EUR", but not "£12.30 EUR 5"
    return True


def _before(text: str, start: int) -> re.Match[str] | None:
    """The currency that stands before the number at `start`."""
    lead = text[max(0, start - _REACH) : start]
    last = lead.rstrip(" -")[-1:]
    return None if not last or last.isdigit() or last in ",:;\n" else _CURRENCY_BEFORE.search(lead)
