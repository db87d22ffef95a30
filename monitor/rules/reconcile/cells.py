"""One cell of a row -> what it says, or why it cannot be taken."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import NoReturn

from monitor.model.ledger import Outcome
from monitor.rules.reconcile.figures import quoted

LONGEST_NUMBER = 200  # characters of a refund's or order's number
LONGEST_ID = 998  # a line of RFC 5322: ids are Message-IDs at times
LONGEST_ADDRESS = 320

_OUTCOMES: Mapping[str, Outcome | None] = {  # None: not decided yet, so no record yet
    **dict.fromkeys(("sent", "delivered", "delivery", "accepted"), Outcome.SENT),
    **dict.fromkeys(
        ("failed", "bounced", "rejected", "bounce", "hardbounce", "hard_bounce", "dropped", "blocked", "undelivered", "reject"),
        Outcome.FAILED,
    ),
    **dict.fromkeys(("held",), Outcome.HELD),
    **dict.fromkeys(("deferred", "queued", "processed", "softbounce", "soft_bounce", "deferral"), None),
    **dict.fromkeys(("open", "opened", "click", "clicked"), None),  # of a mail whose delivery has a row of its own
}
OUTCOMES = frozenset(_OUTCOMES)
_TRUTHS = {**dict.fromkeys(("true", "yes", "y", "t", "1"), True), **dict.fromkeys(("", "false", "no", "n", "f", "0"), False)}
_OPENINGS = frozenset("{[")  # of an object or a list of JSON
_DIGEST = 16  # bytes: of what stands for an id
_EXACT = 10**15  # up to here a binary fraction holds every whole number
_LONG = 10**18
_NEGATIVE = re.compile(r"[-\u2212](.{1,60})|\((.{1,60})\)|(.{1,60})[-\u2212]")


class Unfit(Exception):
    """The row cannot be taken."""

    def __init__(self, field: str, what: str, mend: str = "") -> None:
        self.field = field
        self.what = what
        self.mend = mend


def turned(amount: str) -> str:
    """-12.50 or (12.50) -> 12.50; nothing and nought stay what they are."""
    found = _NEGATIVE.fullmatch(amount)
    if found is None and any(digit in amount for digit in "123456789"):
        raise Unfit("amount", f"{quoted(amount)} is positive", "leave `negative: true` away, or such rows out")
    return (found[1] or found[2] or found[3]).strip() if found else amount


def text_of(field: str, value: object) -> str:
    """A cell as text. Numbers are written as they are, without an exponent where they are whole."""
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Unfit(field, f"is a {type(value).__name__}", "write text or a number")
    if isinstance(value, int) and abs(value) >= _LONG:
        raise Unfit(field, "is a number of more than 18 digits", "write it as text")
    return str(int(value)) if abs(value) < _EXACT and value == int(value) else repr(value)


def number_of(field: str, value: object) -> str:
    number = value.strip() if type(value) is str else text_of(field, value)
    if not number:
        raise Unfit(field, f"there is no {field} number", "fill it in, or leave the row out")
    if len(number) > LONGEST_NUMBER or not number.isprintable() or number[:1] in _OPENINGS:
        _unfit(field, number, LONGEST_NUMBER)
    return number


def address_of(value: object) -> str:
    if value is None or value == "":
        return ""
    address = value.strip() if type(value) is str else text_of("recipient", value)
    if len(address) > LONGEST_ADDRESS or not address.isprintable() or address[:1] in _OPENINGS:
        _unfit("recipient", address, LONGEST_ADDRESS)
    return address


def _unfit(field: str, text: str, longest: int) -> NoReturn:
    """Says why: it is an object of JSON, too long, or not printable."""
    if text[:1] in _OPENINGS:
        raise Unfit(field, "is an object or a list, not one value", "write flat rows, with one value in each field")
    if len(text) > longest:
        raise Unfit(field, f"has {len(text)} characters, at most {longest} are taken", "look for a quote that is not closed")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise Unfit(field, "has bytes that are not UTF-8", "save the file as UTF-8")
    raise Unfit(field, "has control or invisible characters", "take them out")


def identity_of(value: object) -> str:
    """Of an id of its own; empty: it has none. A Message-ID may hold an address: of what has an @ a digest is kept."""
    own = value.strip() if type(value) is str else text_of("id", value)
    if not own:
        return ""
    if len(own) > LONGEST_ID or not own.isprintable():
        _unfit("id", own, LONGEST_ID)
    return f"mid:{digest(own.encode())}" if "@" in own else f"id:{own}"


def digest(what: bytes) -> str:
    return hashlib.blake2b(what, digest_size=_DIGEST).hexdigest()


def outcome_of(value: object) -> Outcome | None:
    word = text_of("outcome", value).lower()
    if word not in _OUTCOMES:
        known = "sent, delivered, failed, bounced, rejected, held, deferred, queued"
        raise Unfit("outcome", f"the outcome {quoted(word)} is not known" if word else "there is no outcome", f"write one of {known}")
    return _OUTCOMES[word]


def truth_of(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = text_of("resend", value).lower()
    if word not in _TRUTHS:
        raise Unfit("resend", f"{quoted(word)} is neither true nor false", "write true or false")
    return _TRUTHS[word]
