"""The sections `paths:` and `mailboxes:` of the file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from monitor.model.mail import AuthResult, Carrier
from monitor.model.policy import FolderNames, LoginMethod, Role, Security
from monitor.settings import http_values as http
from monitor.settings.addresses import Host, Mail, Pointer, Url
from monitor.settings.document import NOTHING
from monitor.settings.scalars import (
    NO_VALUE_MEND,
    Budget,
    Choice,
    Flag,
    Hidden,
    Name,
    Port,
    Span,
    Text,
    TextScalar,
    Whole,
    closest,
    refuse,
)
from monitor.settings.section import Section, optional, required

NAMED_LOCALES: dict[str, dict[str, str]] = {
    "en-GB": {"tag": "en-GB", "currency": "GBP", "amount": "£{amount}", "grouping": ",", "decimal": "."},
    "en-US": {"tag": "en-US", "currency": "USD", "amount": "${amount}", "grouping": ",", "decimal": "."},
    "de-DE": {"tag": "de-DE", "currency": "EUR", "amount": "{amount} €", "grouping": ".", "decimal": ","},
}

Result = Annotated[AuthResult, Choice(AuthResult)]
Secure = Annotated[Security, Choice(Security)]
CarrierWord = Annotated[Carrier, Choice(Carrier)]


class LocaleShape(Section):
    """How the shop prints money."""

    tag: Annotated[str, TextScalar(35)] = required("Language and country (BCP 47).", "fr-CH")
    currency: Annotated[str, http.Matching("[A-Z]{3}", "no currency code", "write the ISO 4217 code, GBP")] = required(
        "ISO 4217 code.", "CHF"
    )
    amount: Annotated[str, http.AmountText()] = required("How an amount is printed around its digits.", '"CHF {amount}"')
    grouping: Annotated[str, http.Mark(",. '\u2019\u00a0\u202f", empty=True)] = optional('Between thousands; "" for nothing.', ",")
    decimal: Annotated[str, http.Mark(".,·")] = optional("Before the cents.", ".")

    @model_validator(mode="after")
    def _two_marks(self) -> LocaleShape:
        if self.grouping == self.decimal:
            refuse("grouping and decimal are the same mark", "write two different ones")
        return self


class _Named:
    """A locale by its name, or written out."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "enum": list(NAMED_LOCALES)}, handler(core)]}


def _locale(value: object) -> object:
    if isinstance(value, (LocaleShape, dict)):
        return value
    if isinstance(value, str) and value in NAMED_LOCALES:
        return LocaleShape.model_validate(NAMED_LOCALES[value])
    if value is NOTHING:
        refuse("has no value", NO_VALUE_MEND)
    near = closest(value, [name.lower() for name in NAMED_LOCALES]) if isinstance(value, str) else None
    known = ", ".join(NAMED_LOCALES)
    guess = next((f"did you mean {name}? " for name in NAMED_LOCALES if near == name.lower()), "")
    return refuse("is no locale known by name", f"{guess}write one of {known}, or {{tag, currency, amount, grouping, decimal}}")


LocaleItem = Annotated[LocaleShape, BeforeValidator(_locale), _Named()]


class DemandShape(Section):
    """What the receiver must say of our mail (RFC 8601 words); what is not written here is reported, not judged."""

    spf: tuple[Result, ...] = optional("Acceptable SPF results.", ())
    dkim: tuple[Result, ...] = optional("Acceptable DKIM results.", ())
    dmarc: tuple[Result, ...] = optional("Acceptable DMARC results.", ())


class _PathShape(Section):
    """What smtp and http paths share."""

    ca_file: Text | None = optional("PEM file of the CA to trust instead of the system's; relative to this file.")
    locales: tuple[LocaleItem, ...] = optional(
        "What probes look like, taken in turn: names (en-GB, en-US, de-DE) or {tag, currency, amount, grouping, decimal}.", ("en-GB",), 1
    )
    allowed_amounts: tuple[Text, ...] = optional("Other amounts of money that the template always prints, exactly as printed.", ())
    require: DemandShape = Field(
        default_factory=DemandShape, description="What the receiver must say of our mail; what is not listed is reported, not judged."
    )
    attempt_timeout: Annotated[float, Span("100ms", "10m")] | None = optional("Instead of submission.attempt_timeout.")
    retry_backoff: Annotated[float, Span("10ms", "6h")] | None = optional("Instead of submission.retry_backoff.")
    retry_for: Annotated[float, Span("0s", "2d")] | None = optional("Instead of submission.retry_for.")
    unreachable_for: Annotated[float, Span("0s", "2d")] | None = optional("Instead of submission.unreachable_for.")
    daily_budget: Budget | None = optional("Instead of budgets.per_path.")


class SmtpShape(_PathShape):
    """A relay, spoken to over SMTP."""

    kind: Literal["smtp"] = required("smtp: mail handed to a relay.", "smtp")
    host: Host = required("The relay.", "smtp.example.com")
    port: Port | None = optional("Default: 465 for tls, 587 for starttls, 25 for plain.")
    security: Secure = optional("tls, starttls (required, never opportunistic) or plain.", "starttls")
    username: Text | None = optional("For AUTH; without it none is tried.")
    password: Hidden | None = optional("For AUTH: {env: NAME} or {file: PATH}.")
    helo: Host | None = optional("Name given in EHLO; default: this host's own.")
    author: Mail = required("The From address of the confirmations.", "refunds@example.com")
    author_name: Annotated[str, TextScalar(100)] = optional("The From name.", "Customer Service")
    envelope_sender: Mail | None = optional("MAIL FROM; +<probe id> is added to its local part. Default: author.")
    templates: Text | None = optional("Directory with subject.txt, message.txt and message.html, relative to this file. Default: built in.")
    carriers: tuple[CarrierWord, ...] = optional(
        "Where the mail bears the token: header, plus_tag, message_id, body, refund_number.",
        ("header", "message_id", "body", "refund_number"),
        1,
    )


class HttpShape(_PathShape):
    """The production application, asked to process a synthetic refund."""

    kind: Literal["http"] = required("http: the application is asked (docs/app-contract.md).", "http")
    url: Url = required("The endpoint for synthetic refunds.", "http://localhost:8080/internal/synthetic-refunds")
    method: Annotated[str, http.Matching("POST|PUT|PATCH", "no method for this", "write POST, PUT or PATCH")] = optional(
        "HTTP method.", "POST"
    )
    headers: dict[http.HeaderName, http.Header] = optional(
        "Request headers: text (a Jinja template) or a secret, {env: NAME}, that holds the whole value.", {}
    )
    body: Annotated[Any, http.Body()] = optional("JSON of the request; each text in it is a Jinja template. Default: no body.")
    expect_status: tuple[Annotated[int, Whole(200, 299)], ...] = optional("HTTP statuses that mean accepted.", (200, 201, 202), 1)
    refund_id: Annotated[str, Pointer()] | None = optional("JSON pointer to the application's id of the refund in the reply.")
    version: Annotated[str, Pointer(header=True)] | None = optional("Served version: JSON pointer into the reply, or header:NAME.")
    sends_number: Flag = optional("true: the application assigns the refund number itself and prints its id (see refund_id).", False)
    carriers: tuple[CarrierWord, ...] = optional(
        "Where the application lets the token through: plus_tag, refund_number, header, message_id, body.", ("plus_tag", "refund_number"), 1
    )


PathShape = Annotated[SmtpShape | HttpShape, Field(discriminator="kind")]


class FoldersShape(Section):
    """Folder names, tried where the server has no special-use attributes (RFC 6154)."""

    spam: tuple[Text, ...] = optional("Names of the spam folder.", FolderNames().spam)
    tabs: tuple[Text, ...] = optional("Folders that stand for a tab of the inbox.", FolderNames().tabs)
    ignore: tuple[Text, ...] = optional("Folders that are never looked into.", FolderNames().ignore)


class ImapShape(Section):
    """How the mailbox is watched."""

    host: Host = required("The IMAP server.", "imap.example.com")
    port: Port | None = optional("Default: 993 for tls, else 143.")
    security: Secure = optional("tls, starttls (required) or plain (loopback only).", "tls")
    ca_file: Text | None = optional("PEM file of the CA to trust instead of the system's; relative to this file.")
    username: Text | None = optional("Default: the mailbox's address.")
    password: Hidden = required("{env: NAME} or {file: PATH}.", "{env: SEED_PASSWORD}")
    login: Annotated[LoginMethod, Choice(LoginMethod)] = optional("login (LOGIN) or plain (AUTHENTICATE PLAIN).", "login")


class MailboxShape(Section):
    """One account of ours at a mailbox provider."""

    provider: Name = required("Who hosts it; failures are compared between providers.", "gmail")
    address: Mail = required("Its mail address.", "seed@example.com")
    role: Annotated[Role, Choice(Role)] = optional(
        "seed: receives probes. holding: where a faulty deploy parks mail; only watched.", "seed"
    )
    imap: ImapShape = required("How it is watched.", "{host: imap.example.com, password: {env: SEED_PASSWORD}}")
    folders: FoldersShape = Field(default_factory=FoldersShape, description="Folder names, where the server does not tell.")
    authserv_ids: tuple[Text, ...] = optional("Whose Authentication-Results are trusted (mx.google.com); without one, none are.", ())
    plus_tags: Flag = optional("false: the provider refuses or strips seed+tag@.", True)
    clean_up: Flag | None = optional("Delete our own judged probes. Default: true for a seed, false for a holding mailbox.")
    clean_up_after: Annotated[float, Span("0s", "365d")] = optional("Age at which they are deleted.", "24h")
    daily_budget: Budget | None = optional("Instead of budgets.per_mailbox.")
