"""The made-up refund that a probe is about, how the shop prints its money, and what the delivered mail must show of it."""

from __future__ import annotations

import hashlib
from decimal import Decimal

from monitor.model.mail import Carrier, Field
from monitor.model.money import Money
from monitor.model.policy import HttpPath, Locale, PathPolicy
from monitor.model.probe import Expectation, RefundStory

MIN_DRAW = 16
_DECIMALS = {
    **dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF"), 0),
    **dict.fromkeys(("BHD", "JOD", "KWD", "TND"), 3),
}
_NAMES = (
    "Anna Schmidt",
    "Jürgen Müller",
    "Zoë Ångström",
    "Siobhán O'Brien",
    "José Núñez García",
    "Łukasz Żak",
    "Mary-Anne Whitfield",
    "Ólafur Þórsson",
    "François d'Aubigné",
    "Nguyễn Thị Hà",
    "Çağla Öztürk",
    "Dvořáková Jana",
    "Иван Петров",
    "Ελένη Παππά",
    "山田 花子",
    "王小明",
    "김민준",
    "Tom Baker",
    "Grace van der Berg",
    "Matteo Rossi",
    "Nils Sjöström",
    "Chloé Lefèvre",
    "Priya Raman",
    "Ben Carter",
)


def tell_story(locales: tuple[Locale, ...], draw: bytes) -> RefundStory:
    """A believable refund, different for every draw of at least 16 random bytes."""
    if len(draw) < MIN_DRAW:
        raise ValueError(f"a story needs {MIN_DRAW} random bytes")
    stream = hashlib.shake_256(b"mailcanary story\0" + draw).digest(32)
    pick = [int.from_bytes(stream[at : at + 4], "big") for at in range(0, 32, 4)]
    locale = locales[pick[0] % len(locales)]
    decimals = decimals_of(locale.currency)
    major = 3 + pick[1] % (240 if pick[2] % 8 else 2600)  # mostly small, at times with a separator for thousands
    minor = 1 + pick[3] % (10**decimals - 1) if decimals else 0
    return RefundStory(
        refund_number=f"RF-{10_000_000 + pick[4] % 90_000_000}",
        order_number=f"{100 + pick[5] % 900}-{1_000_000 + pick[6] % 9_000_000}",
        amount=Money(Decimal(major) + Decimal(minor).scaleb(-decimals), locale.currency),
        customer_name=_NAMES[pick[7] % len(_NAMES)],
        locale=locale.tag,
    )


def render_amount(money: Money, locale: Locale) -> str:
    """The amount as the shop prints it in this locale: £1,234.50, 1.234,50 €."""
    whole, _, cents = f"{abs(money.amount):.{decimals_of(money.currency)}f}".partition(".")
    number = f"{int(whole):,}".replace(",", locale.grouping) + (locale.decimal + cents if cents else "")
    return ("-" if money.amount < 0 else "") + locale.amount.replace("{amount}", number)


def amount_value(money: Money) -> str:
    """The bare number for machines: 12.30."""
    return f"{money.amount:.{decimals_of(money.currency)}f}"


def decimals_of(currency: str) -> int:
    """Digits of the minor unit (ISO 4217)."""
    return _DECIMALS.get(currency, 2)


def locale_of(path: PathPolicy, tag: str) -> Locale:
    """The path's locale with this tag; raises ValueError if it has none."""
    for locale in path.locales:
        if locale.tag == tag:
            return locale
    raise ValueError(f"path {path.name} has no locale {tag}")


def expectation(path: PathPolicy, story: RefundStory, plus_tags: bool = True) -> Expectation:
    """What the delivered mail must show. The refund number is not ours to demand where the application assigns its own, and the
    plus-tag is no carrier at a mailbox without plus-tags."""
    fields = [
        (Field.AMOUNT, render_amount(story.amount, locale_of(path, story.locale))),
        (Field.REFUND_NUMBER, story.refund_number),
        (Field.ORDER_NUMBER, story.order_number),
        (Field.CUSTOMER_NAME, story.customer_name),
    ]
    if isinstance(path.via, HttpPath) and path.via.sends_number:
        fields.remove((Field.REFUND_NUMBER, story.refund_number))
    return Expectation(
        fields=tuple(fields),
        allowed_amounts=path.allowed_amounts,
        carriers=tuple(carrier for carrier in path.carriers if plus_tags or carrier is not Carrier.PLUS_TAG),
        spf=path.demand.spf,
        dkim=path.demand.dkim,
        dmarc=path.demand.dmarc,
    )
