"""The sections `paths:` and `mailboxes:` of the file."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from monitor.model.mail import AuthResult, Carrier
from monitor.model.policy import FolderNames, LoginMethod, Role, Security
from monitor.settings import http_values as http
from monitor.settings.addresses import DomainName, Host, Mail, Pointer, Url
from monitor.settings.document import NOTHING
from monitor.settings.scalars import (
    NO_VALUE_MEND,
    Budget,
    Choice,
    Flag,
    KeyFile,
    Name,
    Password,
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


class SmtpLogin(StrEnum):
    """The words of paths.NAME.login; which mechanism a password goes by is for the relay to offer."""

    PASSWORD = "password"
    XOAUTH2 = "xoauth2"


SmtpLoginWord = Annotated[SmtpLogin, Choice(SmtpLogin)]
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
    """What all paths share."""

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


class DkimShape(Section):
    """Our own signature, for a shop whose relay does not sign (RFC 6376)."""

    domain: DomainName | None = optional(
        "d=: the author's domain or one above it, else DMARC does not count it. Default: the author's domain."
    )
    selector: Annotated[
        str, http.Matching("[A-Za-z0-9_-]{1,63}(\\.[A-Za-z0-9_-]{1,63}){0,7}", "no selector", "write the name before ._domainkey")
    ] = required("s=: the name under _domainkey that holds the key record.", "canary")
    key: KeyFile = required("{file: PATH}: the private RSA key in PEM, read again for each message.", "{file: dkim.pem}")


class SmtpShape(_PathShape):
    """A relay, spoken to over SMTP."""

    kind: Literal["smtp"] = required("smtp: mail handed to a relay.", "smtp")
    host: Host = required("The relay.", "smtp.example.com")
    port: Port | None = optional("Default: 465 for tls, 587 for starttls, 25 for plain.")
    security: Secure = optional("tls, starttls (required, never opportunistic) or plain.", "starttls")
    username: Text | None = optional("For AUTH; without it none is tried.")
    password: Password | None = optional("For AUTH: {env: NAME} or {file: PATH}; with login: xoauth2 also {command: PROGRAM ARGUMENTS}.")
    login: SmtpLoginWord = optional("password, or xoauth2: the password is an OAuth 2.0 access token.", "password")
    ca_file: Text | None = optional("PEM file of the CA to trust instead of the system's; relative to this file.")
    dkim: DkimShape | None = optional("Sign by ourselves. Default: no; most relays sign.")
    helo: Host | None = optional("Name given in EHLO; default: this host's own.")
    author: Mail = required("The From address of the confirmations.", "refunds@example.com")
    author_name: Annotated[str, TextScalar(100)] = optional("The From name.", "Customer Service")
    envelope_sender: Mail | None = optional(
        "MAIL FROM; +<probe id> is added to its local part, at most 51 characters (RFC 5321 4.5.3.1.1: 64). Default: author."
    )
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
    ca_file: Text | None = optional("PEM file of the CA to trust instead of the system's; relative to this file.")
    expect_status: tuple[Annotated[int, Whole(200, 299)], ...] = optional("HTTP statuses that mean accepted.", (200, 201, 202), 1)
    refund_id: Annotated[str, Pointer()] | None = optional("JSON pointer to the application's id of the refund in the reply.")
    version: Annotated[str, Pointer(header=True)] | None = optional("Served version: JSON pointer into the reply, or header:NAME.")
    sends_number: Flag = optional("true: the application assigns the refund number itself and prints its id (see refund_id).", False)
    carriers: tuple[CarrierWord, ...] = optional(
        "Where the application lets the token through: plus_tag, refund_number, header, message_id, body.", ("plus_tag", "refund_number"), 1
    )


class CommandShape(_PathShape):
    """A program of the shop's that makes it process a synthetic refund, run once per probe without a shell."""

    kind: Literal["command"] = required("command: a program is run (docs/app-contract.md).", "command")
    command: tuple[Text, ...] = required(
        "The program and its arguments; a program with a / is relative to this file.", "[bin/refund, --synthetic]", 1
    )
    environment: dict[http.VariableName, http.Header] = optional("All that it gets beside PATH: text or a secret, {env: NAME}.", {})
    input: Annotated[Any, http.Body()] = optional("JSON on its stdin; each text in it is a Jinja template. Default: nothing.")
    refund_id: Annotated[str, Pointer()] | None = optional("JSON pointer to the application's id of the refund in the JSON on its stdout.")
    version: Annotated[str, Pointer()] | None = optional("Served version: JSON pointer into the same.")
    sends_number: Flag = optional("true: the application assigns the refund number itself and prints its id (see refund_id).", False)
    carriers: tuple[CarrierWord, ...] = optional(
        "Where the application lets the token through: plus_tag, refund_number, header, message_id, body.", ("plus_tag", "refund_number"), 1
    )


PathShape = Annotated[SmtpShape | HttpShape | CommandShape, Field(discriminator="kind")]


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
    password: Password = required(
        "{env: NAME} or {file: PATH}; with login: xoauth2 also {command: PROGRAM ARGUMENTS}.", "{env: SEED_PASSWORD}"
    )
    login: Annotated[LoginMethod, Choice(LoginMethod)] = optional(
        "login (LOGIN), plain (AUTHENTICATE PLAIN), or xoauth2: the password is an OAuth 2.0 access token.", "login"
    )


class MailboxShape(Section):
    """One account of ours at a mailbox provider."""

    provider: Name = required("Who hosts it; failures are compared between providers.", "gmail")
    address: Mail = required("Its mail address.", "seed@example.com")
    role: Annotated[Role, Choice(Role)] = optional(
        "seed: receives probes. holding: where a faulty deploy parks mail; only watched. "
        "tripwire: must never get refund mail; nothing in it is touched.",
        "seed",
    )
    imap: ImapShape = required("How it is watched.", "{host: imap.example.com, password: {env: SEED_PASSWORD}}")
    folders: FoldersShape = Field(default_factory=FoldersShape, description="Folder names, where the server does not tell.")
    authserv_ids: tuple[Text, ...] = optional(
        "Whose Authentication-Results are trusted: mx.google.com, *.mail.yahoo.com for a farm of hosts, * for whatever the topmost header "
        "calls itself (only where the provider always puts its own on top). Without one, none are.",
        (),
    )
    plus_tags: Flag = optional("false: the provider refuses or strips seed+tag@.", True)
    clean_up: Flag | None = optional("Delete our own judged probes. Default: true for a seed, else false; never in a tripwire.")
    clean_up_after: Annotated[float, Span("0s", "365d")] = optional("Age at which they are deleted.", "24h")
    daily_budget: Budget | None = optional("Instead of budgets.per_mailbox.")
