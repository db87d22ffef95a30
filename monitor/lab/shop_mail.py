"""The toy shop's own refund confirmation: rendered per locale, multipart text + HTML (RFC 2046)."""

import html
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY

_SYMBOLS = {"EUR": "€", "GBP": "£", "USD": "$"}

_TEXTS = {
    "en": (
        "Your refund {number} is on its way",
        "Dear {name},",
        "We have refunded {amount} for your order {order}.",
        "Refund number: {number}",
        "The money should reach your account within five working days.",
        "Kind regards",
    ),
    "de": (
        "Ihre Rückerstattung {number} ist unterwegs",
        "Guten Tag {name},",
        "wir haben Ihnen {amount} für Ihre Bestellung {order} erstattet.",
        "Erstattungsnummer: {number}",
        "Das Geld sollte innerhalb von fünf Werktagen auf Ihrem Konto sein.",
        "Freundliche Grüße",
    ),
}


@dataclass(frozen=True, slots=True)
class Refund:
    """What the shop knows about one refund; the amount as a plain decimal, the locale such as en-GB."""

    number: str
    order: str
    amount: Decimal
    currency: str
    name: str
    email: str
    locale: str
    header_carrier: str | None = None
    marker_carrier: str | None = None


def render_amount(amount: Decimal, currency: str, locale: str) -> str:
    """The amount as a customer of that locale reads it; German has a no-break space before the sign, as CLDR has it."""
    grouped = f"{amount:,.2f}"
    symbol = _SYMBOLS.get(currency)
    if locale.startswith("de"):
        german = grouped.translate(str.maketrans(",.", ".,"))
        return f"{german}\u00a0{symbol or currency}"
    return f"{symbol}{grouped}" if symbol else f"{currency}\u00a0{grouped}"


def compose(refund: Refund, message_id: str, domain: str, recipient: str) -> bytes:
    """The confirmation as the shop hands it to its relay; carriers are copied when the request gave them."""
    language = "de" if refund.locale.startswith("de") else "en"
    values = {
        "number": refund.number,
        "order": refund.order,
        "name": refund.name,
        "amount": render_amount(refund.amount, refund.currency, refund.locale),
    }
    subject, *lines = (text.format(**values) for text in _TEXTS[language])
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"] = f"Toy Shop <refunds@{domain}>"
    message["To"] = recipient
    message["Subject"] = subject
    message["Date"] = datetime.now(UTC)
    message["Message-ID"] = message_id
    if refund.header_carrier:
        message["X-Mailcanary-Token"] = refund.header_carrier
    text = "\r\n\r\n".join([*lines, "Toy Shop"]) + "\r\n"
    body = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
    if refund.marker_carrier:
        text += f"\r\nRef: {refund.marker_carrier}\r\n"
        body += f'<div style="display:none">{html.escape(refund.marker_carrier)}</div>'
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(f"<html><body>{body}</body></html>\r\n", subtype="html", cte="quoted-printable")
    return message.as_bytes()
