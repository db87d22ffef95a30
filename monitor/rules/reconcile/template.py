"""What the shop's own template says of a mail: where the refund's number and amount stand in it.

The template (Jinja source; subject and text, of as many languages as there are, one after the other or between lines of ---) is not
rendered. Each place that prints a number or an amount is known by the words beside it, in the normal form of rules/visible: by those before
it on its line, else by those further before, else by those behind it. So wrapping, a changed footer, other rows between, and the same words
in an HTML mail make no difference. A name is understood by its words: `refund_number`, `refund.number`, `refundId`, `order.id`, `amount`,
`refund.total`; what prints items, fees or taxes is not meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from itertools import islice

from monitor.model.sources import Match
from monitor.rules import amounts, visible

MOST_PRINTED = 2_000  # expressions of a template
MOST_PLACES = 20  # where the words of an anchor stand in one mail
_REACH = 40  # characters of words that make an anchor
_VALUE = 80  # characters beside it in which an amount is looked for
_NEAR = 12  # of them that may stand between

_JINJA = re.compile(r"\{#.*?#\}|\{%(?P<tag>.*?)%\}|\{\{(?P<printed>.*?)\}\}", re.DOTALL)
_RULE = re.compile(r"^-{3,}[ \t]*$", re.MULTILINE)
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_FIRST, _BREAK = 0xE000, "\uf8ff"
_QUOTED = re.compile(r"'([^'\n]*)'|\"([^\"\n]*)\"")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_NUMBER_WORDS = frozenset({"number", "no", "nr", "num", "id", "reference", "ref", "code"})
_AMOUNT_WORDS = frozenset({"amount", "total", "sum", "money", "price"})
_OTHER_WORDS = frozenset(
    {"item", "items", "line", "lines", "row", "product", "fee", "fees", "tax", "taxes", "vat", "shipping", "discount", "count"}
)
_LAST_CODE = re.compile(r"(?:^|(?<=\W))(?:[A-Z]{3}|kr|Fr)\.?\s*\Z")
_NUMBER_AFTER = re.compile(r"[\s:.#,(\"'*=-]{0,8}([^\s<>()\[\]\"',;:]{1,200})")
_NUMBER_BEFORE = re.compile(r"([^\s<>()\[\]\"',;:]{1,200})\Z")
_GROUPS_BEFORE = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?: [0-9]{3}){0,4} \Z")
_MORE_GROUPS = re.compile(r"(?: [0-9]{3}(?![0-9])){1,4}(?:[.,][0-9]{2}(?![0-9]))?")
_BARE = re.compile(r"[0-9](?:[0-9.,' ]{0,30}[0-9])?")


class _Kind(Enum):
    NUMBER = auto()  # that both sides are matched by
    AMOUNT = auto()
    WORDS = auto()  # an expression that prints one of several texts
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Anchor:
    """Words beside a value. `before`: they stand before it."""

    words: re.Pattern[str]
    before: bool


@dataclass(frozen=True, slots=True)
class Anchors:
    numbers: tuple[Anchor, ...]
    amounts: tuple[Anchor, ...]

    def number(self, text: str) -> str | None:
        """The first number beside its words; it has at least one digit."""
        for anchor in self.numbers:
            for place in _places(anchor, text):
                start, end = place.span()
                near = (
                    _NUMBER_AFTER.match(text, end) if anchor.before else _NUMBER_BEFORE.search(text[max(0, start - 200) : start].rstrip())
                )
                number = near[1].strip(".!?*_-") if near else ""
                if any(char.isdigit() for char in number):
                    return number
        return None

    def amount(self, text: str) -> str | None:
        """The first amount beside its words, with its currency where that stands beside it."""
        for anchor in self.amounts:
            for place in _places(anchor, text):
                amount = _after(text[place.end() :][:_VALUE]) if anchor.before else _before(text[: place.start()][-_VALUE:])
                if amount is not None:
                    return amount
        return None

    def spoken(self, text: str) -> int:
        """Of how many anchors the words stand in the text."""
        return sum(anchor.words.search(text) is not None for anchor in {*self.numbers, *self.amounts})


_Printed = tuple[_Kind, tuple[str, ...]]
_Row = Sequence[str | _Printed | None]  # words, what is printed, None: the template may go on elsewhere


@lru_cache(maxsize=16)
def anchors(template: str, match: Match) -> Anchors:
    """What the template prints, and beside what. Without numbers where it prints none, or none with words beside it."""
    found: dict[_Kind, dict[Anchor, None]] = {_Kind.NUMBER: {}, _Kind.AMOUNT: {}}
    for section in _RULE.split(_PRIVATE.sub("", template[: visible.MAX_TEXT])):
        row = _row(section, match)
        for at, item in enumerate(row):
            if isinstance(item, tuple) and item[0] in found and (anchor := _anchor(row, at, item[0])):
                found[item[0]].setdefault(anchor)
    return Anchors(tuple(found[_Kind.NUMBER]), tuple(found[_Kind.AMOUNT]))


def _row(section: str, match: Match) -> _Row:
    """Words in normal form and what is printed between them, in turn."""
    printed: list[_Printed] = []

    def stand_in(found: re.Match[str]) -> str:
        if found["printed"] is None:
            return "" if found[0].startswith("{#") else _BREAK
        if len(printed) == MOST_PRINTED:
            return _BREAK
        printed.append(_kind(found["printed"], match))
        return chr(_FIRST + len(printed) - 1)

    marked = _JINJA.sub(stand_in, section)
    text = visible.see(marked).text if "</" in marked else visible.normalise(marked)
    words = _PRIVATE.split(text)
    row: list[str | _Printed | None] = [words[0]]
    for mark, behind in zip(_PRIVATE.findall(text), words[1:], strict=True):
        row += [None if mark == _BREAK else printed[ord(mark) - _FIRST], behind]
    return row


def _kind(printed: str, match: Match) -> _Printed:
    said = tuple(one or other for one, other in _QUOTED.findall(printed))
    words = {word.lower() for word in _WORD.findall(_QUOTED.sub(" ", printed))}
    if not words & _OTHER_WORDS:
        if words & _AMOUNT_WORDS and ("refund" in words or "order" not in words):
            return _Kind.AMOUNT, ()
        of_refund = "refund" in words or words <= _NUMBER_WORDS
        if words & _NUMBER_WORDS and (of_refund if match is Match.REFUND else "order" in words and "refund" not in words):
            return _Kind.NUMBER, ()
    texts = tuple(text for text in map(visible.normalise, said) if _letters(text) >= 2)
    return (_Kind.WORDS, texts) if texts else (_Kind.OTHER, ())


def _anchor(row: _Row, at: int, kind: _Kind) -> Anchor | None:
    lead = _lead(row, at, kind)
    if lead:
        return Anchor(re.compile(lead, re.IGNORECASE), before=True)
    behind = row[at + 1]
    line = behind.lstrip(" ").partition("\n")[0][:_REACH] if isinstance(behind, str) else ""
    if _letters(line) < 2:
        return None
    return Anchor(re.compile(r"\s*" + _loose(line) + r"(?!\w)", re.IGNORECASE), before=False)


def _lead(row: _Row, at: int, kind: _Kind) -> str:
    """The words before a place, as a pattern: over one other value at most, and never over a branch of the template."""
    parts: list[str] = []
    letters, jumped = 0, False
    for item in reversed(row[:at]):
        if item is None or letters >= 2:
            break
        if isinstance(item, str):
            text = _tail(item, kind if not parts else _Kind.OTHER)
            parts.append(_loose(text))
            letters += _letters(text)
        elif item[0] is _Kind.WORDS:
            parts.append("(?:" + "|".join(map(_loose, item[1])) + ")")
            letters += 2
        elif jumped:
            break
        else:
            jumped = True
            parts.append(".{1,80}?")
    return r"(?<!\w)" + "".join(reversed(parts)) if letters >= 2 else ""


def _tail(words: str, kind: _Kind) -> str:
    """The end of the words: from the beginning of a line, at most _REACH characters. Of an amount, without the currency before it."""
    if kind is _Kind.AMOUNT:
        words = _LAST_CODE.sub("", words)
    start = len(words)
    while start > 0 and _letters(words[start:]) < 2:
        start = words.rfind("\n", 0, max(0, start - 1)) + 1
    if len(words) - start > _REACH:
        cut = words.find(" ", len(words) - _REACH)
        start = cut + 1 if 0 <= cut < len(words) - 1 else len(words) - _REACH
    return words[start:].lstrip()


def _loose(words: str) -> str:
    """Words as a pattern: spaces are any white space, and what stands between the last word and a value may be another mark."""
    glued = words.rstrip(" \n:.#,(\"'*=-")
    rest = words[len(glued) :]
    pattern = r"\s+".join(re.escape(word) for word in glued.split())
    if glued[:1].isspace():
        pattern = r"\s*" + pattern
    if rest and (rest.isspace() or not _joins(rest)):
        return pattern + r"[\s:.#,(\"'*=-]{0,8}"
    return pattern + "".join(r"\s*" if char.isspace() else re.escape(char) for char in rest)


def _joins(rest: str) -> bool:
    """`RF-` before a value belongs to it: nothing but the value may follow."""
    return rest in ("-", ".", "*", "=")


def _letters(text: str) -> int:
    return sum(char.isalpha() for char in text)


def _places(anchor: Anchor, text: str) -> Iterator[re.Match[str]]:
    return islice(anchor.words.finditer(text), MOST_PLACES)


def _after(text: str) -> str | None:
    """The amount that the text begins with; on its first line, else on the first two."""
    text = text.lstrip(" \n:.#,(\"'*=-")
    line, _, rest = text.partition("\n")
    for piece in (line, f"{line} {rest.partition(chr(10))[0]}"):
        seen = amounts.seen(piece)
        if seen and piece.find(seen[0]) <= _NEAR:
            return _grouped(piece, piece.find(seen[0]), seen[0])
    bare = _BARE.match(text)
    return bare[0] if bare else None


def _before(text: str) -> str | None:
    """The amount that the text ends with."""
    text = text.rstrip()
    seen = amounts.seen(text)
    if seen and len(text) - text.rfind(seen[-1]) - len(seen[-1]) <= _NEAR:
        return _grouped(text, text.rfind(seen[-1]), seen[-1])
    bare = [found for found in _BARE.finditer(text) if found.end() == len(text)]
    return bare[0][0] if bare else None


def _grouped(text: str, at: int, amount: str) -> str:
    """The amount with what stands around it, where spaces group its digits: 1 234,50 €."""
    if amount[-1].isdigit() and (more := _MORE_GROUPS.match(text, at + len(amount))):
        return amount + more[0]
    if amount[:3].isdigit() and not amount[3:4].isdigit() and (more := _GROUPS_BEFORE.search(text[:at])):
        return more[0] + amount
    return amount
