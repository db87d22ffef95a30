"""Amounts of money as shops write them, exactly: text <-> whole numbers of ten-thousandths, by the currencies of ISO 4217.

A figure that may mean two things is a fault with its mend, never a guess: `1.234,50` where the decimal mark is a point, `1,234` and `1.000`
of a currency with cents. What a currency has no coins for (12.345 EUR, 12.50 JPY) is one too; superfluous noughts (12.3400) are not.
A comma is the decimal mark only where somebody said so; a point is it where nobody did, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache, lru_cache

from monitor.model.money import Money
from monitor.rules.plain import plain

MOST = 10**15  # ten-thousandths: a hundred thousand millions
LONGEST = 64  # characters of an amount

# Taken off the list not long ago, still in the books. Code -> digits of the minor unit.
_WITHDRAWN = {"ANG": 2, "BGN": 2, "CUC": 2, "HRK": 2, "SLL": 2, "ZWL": 2}
# How people sign amounts. A sign of several currencies says which only beside one of them.
_DOLLARS = frozenset(("USD", "AUD", "CAD", "NZD", "HKD", "SGD", "TWD", "MXN", "ARS", "CLP", "COP", "BRL", "JMD", "BSD", "BBD", "NAD"))
_CROWNS = frozenset(("SEK", "NOK", "DKK", "ISK"))
_SIGNS: Mapping[str, frozenset[str]] = {
    "$": _DOLLARS,
    "kr": _CROWNS,
    "kr.": _CROWNS,
    "£": frozenset(("GBP", "EGP", "GIP", "FKP", "SHP")),
    "¥": frozenset(("JPY", "CNY")),
    "￥": frozenset(("JPY", "CNY")),
    "₨": frozenset(("PKR", "LKR", "NPR", "MUR")),
    "rs": frozenset(("INR", "PKR", "LKR", "NPR", "MUR")),
    "rs.": frozenset(("INR", "PKR", "LKR", "NPR", "MUR")),
    **{
        sign: frozenset((code,))
        for code, signs in {
            "EUR": ("€", "euro", "euros"),
            "USD": ("us$",),
            "AUD": ("a$", "au$"),
            "CAD": ("c$", "ca$"),
            "NZD": ("nz$",),
            "HKD": ("hk$",),
            "SGD": ("s$",),
            "MXN": ("mx$",),
            "TWD": ("nt$",),
            "BRL": ("r$",),
            "CHF": ("fr.", "sfr", "sfr."),
            "PLN": ("zł",),
            "CZK": ("kč",),
            "HUF": ("ft",),
            "RON": ("lei",),
            "BGN": ("лв", "лв."),
            "INR": ("₹",),
            "TRY": ("₺",),
            "KRW": ("₩",),
            "RUB": ("₽", "\u0440\u0443\u0431", "\u0440\u0443\u0431."),
            "UAH": ("₴",),
            "ILS": ("₪",),
            "VND": ("₫",),
            "NGN": ("₦",),
            "PHP": ("₱",),
            "KZT": ("₸",),
            "THB": ("฿",),
            "GEL": ("₾",),
        }.items()
        for sign in signs
    },
}
_FIRST = {"£": "GBP", "¥": "JPY", "￥": "JPY"}  # whom the sign means where nothing else is said
_BLANKS = {ord(char): " " for char in "\u00a0\u2009\u202f"}  # that keep a figure together in print
_QUOTES = "'\u2019"
_PLAIN = {mark: re.compile(rf"([0-9]{{1,10}})(?:[{mark}]([0-9]{{1,4}}))?").fullmatch for mark in ".,"}
_DIGITS = re.compile(r"[0-9]{1,15}").fullmatch
_SIGNED = re.compile(r"([^0-9+\-\u2212(]{0,8})([0-9](?:.{0,48}[0-9])?)([^0-9]{0,8})", re.S)
_PARTS = {
    mark: re.compile(
        rf"(?P<whole>[0-9]{{1,15}}|[0-9]{{1,3}}(?P<sep>[{other}{_QUOTES} ])[0-9]{{3}}(?:(?P=sep)[0-9]{{3}}){{0,4}})"
        rf"(?:[{mark}](?P<part>[0-9]{{1,30}}))?"
    ).fullmatch
    for mark, other in ((".", ","), (",", "."))
}
_TENS = tuple(10**power for power in range(5))
_DECIMALS = 4  # ten-thousandths have so many
_GROUP = 3  # digits of thousands


class FigureFault(ValueError):
    """What is wrong with an amount, and the mend. Bears no address."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(f"{what}; {mend}" if mend else what)
        self.what = what
        self.mend = mend


@cache
def currencies() -> Mapping[str, int]:
    """Code -> digits of the minor unit, of all that people are paid in: no metals, no drawing rights, no codes for tests."""
    return _WITHDRAWN | {code: int(digits) for code, (digits, _) in _table().items() if digits.isdigit()}


def currency_of(text: str, *, near: bool = True) -> str:
    """The code that is meant by `EUR`, `eur` or `€`. Raises FigureFault, which names the nearest one if `near`: that takes a while."""
    found = _looked_up(text, near)
    if isinstance(found, str):
        return found
    raise FigureFault(*found)


@lru_cache(maxsize=1_024)
def _looked_up(text: str, near: bool) -> str | tuple[str, str]:
    """The code, or what is wrong and the mend."""
    code = text.strip().upper()
    if code in currencies():
        return code
    meant = _SIGNS.get(code.lower(), frozenset()) if not code.isalpha() else frozenset()
    if len(meant) == 1 or code in _FIRST:
        return _FIRST.get(code) or next(iter(meant))
    if meant:
        return f"{quoted(text)} is the sign of several currencies", "name it by its code of ISO 4217"
    if code in _table():
        return f"{quoted(text)} is a code of ISO 4217 in which nobody is paid", "leave such rows out"
    other = _nearest(code) if near else None
    return f"{quoted(text)} is no currency of ISO 4217", f"is {other} meant?" if other else "write its code of three letters"


def figure(text: str, decimal: str, currency: str, *, sure: bool = False) -> tuple[int, str]:
    """(ten-thousandths, currency) of an amount as people write it: 12.50, £1,234.50, 1 234,50 EUR. `decimal`: the mark, "." or ",";
    `currency`: where the text names none, and which one a sign of several means. `sure`: the mark is known, as of what was a number.
    Raises FigureFault."""
    if (found := _PLAIN[decimal](text)) and (digits := currencies().get(currency)) is not None:
        whole, part = found.groups("")
        if len(part) <= digits:
            return int(whole + part) * _TENS[_DECIMALS - len(part)], currency
    return _carefully(text, decimal, currency, sure)


def minor(text: str, currency: str) -> tuple[int, str]:
    """The same of whole numbers of the currency's smallest unit: 1250 EUR are 12.50 EUR. Raises FigureFault."""
    code = _needed(currency)
    number = text.strip()
    if not _DIGITS(number):
        _refuse_odd(number)
        raise FigureFault(f"{quoted(text)} is no whole number of the smallest unit", "write 1250, or leave `minor_units: true` away")
    return _bounded(int(number) * _TENS[_DECIMALS - currencies()[code]]), code


def shown(money: Money) -> str:
    """Money as people read it: 12.50 EUR, 1200 JPY. As many decimals as the currency has, or as the amount needs."""
    digits = currencies().get(money.currency, 2)
    needed = -int(money.amount.normalize().as_tuple().exponent) if money.amount else 0
    return f"{money.amount:.{max(digits, needed)}f} {money.currency}"


def quoted(value: str) -> str:
    """What stands in a row, fit for a fault: short, escaped, without an address."""
    masked = plain(value[:400])
    return f"'{masked[:40]}...'" if len(masked) > 40 or len(value) > 400 else f"'{masked}'"


def _carefully(text: str, decimal: str, currency: str, sure: bool) -> tuple[int, str]:
    stripped = text.strip().translate(_BLANKS)
    if len(stripped) > LONGEST:
        raise FigureFault(f"an amount of {len(stripped)} characters", "write only the figure")
    _refuse_odd(stripped)
    found = _SIGNED.fullmatch(stripped)
    if found is None:
        raise FigureFault(f"{quoted(text)} is no amount", "write it like 1234.50")
    before, number, after = (part.strip() for part in found.groups())
    code = _needed(_agreed([sign for sign in (before, after) if sign], currency))
    return _number(number, decimal, code, sure), code


def _agreed(signs: Sequence[str], currency: str) -> str:
    """The currency that the signs beside the figure mean, together with what is known of it."""
    if not signs:
        return currency
    named = frozenset.intersection(*(_meant(sign) for sign in signs))
    if not named:
        raise FigureFault(f"{' and '.join(quoted(sign) for sign in signs)} are two currencies", "name one")
    if currency in named:
        return currency
    if len(named) == 1:
        return next(iter(named))
    if not currency and signs[0] in _FIRST:
        return _FIRST[signs[0]]
    raise FigureFault(f"{quoted(signs[0])} is the sign of several currencies", "name it by its code of ISO 4217, or set `currency:`")


def _meant(sign: str) -> frozenset[str]:
    if sign.upper() in currencies():
        return frozenset((sign.upper(),))
    if meant := _SIGNS.get(sign.lower()):
        return meant
    raise FigureFault(f"{quoted(sign)} beside the figure is no currency", "write only the figure and its currency")


def _number(number: str, decimal: str, code: str, sure: bool) -> int:
    digits = currencies()[code]
    found = _PARTS[decimal](number)
    if found is None:
        other = "," if decimal == "." else "."
        if (swapped := _PARTS[other](number)) and swapped["part"] and len(swapped["part"]) <= _DECIMALS:
            raise FigureFault(f"{quoted(number)} is no amount with the decimal mark {decimal!r}", f'set `decimal: "{other}"`')
        raise FigureFault(f"{quoted(number)} is no amount", f"write it without grouping, like 1234{decimal}50")
    whole, separator, part = found["whole"], found["sep"], (found["part"] or "").rstrip("0")
    if not sure and decimal == "." and separator is None and digits < _GROUP and _is_group(whole, found["part"], part):
        raise FigureFault(
            f"{quoted(number)} may mean {whole}{found['part']} or {whole}{f'.{part}' if part else ''}",
            "write it without grouping, and with as many decimals as the currency has",
        )
    if digits and separator is not None and separator in ",." and found["part"] is None and whole.count(separator) == 1:
        raise FigureFault(
            f"{quoted(number)} may mean {whole.replace(separator, '')} or {whole.replace(separator, decimal)}",
            "write it without grouping" + (f', or set `decimal: "{separator}"`' if separator == "," or digits >= _GROUP else ""),
        )
    if len(part) > digits:
        raise FigureFault(
            f"{quoted(number)} has {len(part)} decimals, {code} has {digits or 'none'}",
            "round it as it was paid" if digits else "if it counts the smallest unit, set `minor_units: true`",
        )
    if separator is not None:
        whole = whole.replace(separator, "")
    return _bounded(int(whole + part) * _TENS[_DECIMALS - len(part)])


def _is_group(whole: str, behind: str | None, part: str) -> bool:
    """Of 1.230: what is behind the mark may be the last three digits of a whole number. `part`: that without noughts at its end."""
    return behind is not None and len(behind) == _GROUP > len(part) and len(whole) <= _GROUP and not whole.startswith("0")


def _bounded(amount: int) -> int:
    if amount > MOST:
        raise FigureFault("an amount above 100,000,000,000", "no refund is so large: look for a column that is not an amount")
    return amount


def _needed(currency: str) -> str:
    if not currency:
        raise FigureFault("the amount names no currency", "name its column, or set `currency:`")
    return currency if currency in currencies() else currency_of(currency)


def _refuse_odd(text: str) -> None:
    """Says what is wrong with text that is no plain figure, where there is more to say than that."""
    for matches, what, mend in _ODD:
        if matches(text):
            raise FigureFault(f"{quoted(text)} {what}" if text else what, mend)


_ODD: tuple[tuple[Callable[[str], object], str, str], ...] = (
    (re.compile(r"\Z").match, "there is no amount", "fill it in"),
    (re.compile(r"[-\u2212(].{0,40}[0-9]|.{0,40}[0-9][-\u2212]\Z").match, "is negative", "set `negative: true` where all refunds are"),
    (re.compile(r"[+-]?(?:nan|inf|infinity)\Z", re.I).match, "is no number", "leave such rows out"),
    (
        re.compile(r"[0-9.,]{1,40}[eE][+-]?[0-9]").match,
        "is in scientific notation",
        "write all its digits: cast it to text or to a decimal",
    ),
    (lambda text: any(char.isdigit() and not char.isascii() for char in text), "has digits that are not 0 to 9", "write ASCII digits"),
    (lambda text: not text.isprintable(), "has control characters or bytes that are not UTF-8", "save the file as UTF-8"),
)


@cache
def _table() -> Mapping[str, tuple[str, frozenset[str]]]:
    """Code -> digits of the minor unit as text, and what else it goes by: its number and its name, in upper case."""
    import iso4217  # noqa: PLC0415 - it reads a table of XML: 30 ms that only a ledger has to pay

    return {
        code: (str(entry["CcyMnrUnts"]), frozenset((f"{entry['CcyNbr']:03}", str(entry["CcyNm"]).upper())))
        for code, entry in iso4217.raw_table.items()
        if code
    }


def _nearest(code: str) -> str | None:
    known = currencies()
    if len(meant := _SIGNS.get(code.lower(), frozenset())) == 1:
        return next(iter(meant))
    if code[:3] in known and code.isalpha():
        return code[:3]
    for other, (_, names) in _table().items():
        if other in known and (code in names or sorted(code) == sorted(other)):
            return other
    near = get_close_matches(code[:10], known, n=1, cutoff=0.6)
    return near[0] if near else None
