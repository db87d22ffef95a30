"""The message of a probe, and the request to an application, from Jinja templates and a plan. The same plan gives the same bytes.

All that a template or a story contributes is encoded here: header text by RFC 2047, bodies as quoted-printable UTF-8 (RFC 2045 section
6.7), so that no line is longer than 78 characters and nothing can begin a header of its own.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from email.header import Header
from email.utils import format_datetime
from functools import lru_cache
from importlib.resources import files

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.sandbox import SandboxedEnvironment

from monitor.model.address import Address, AddressError, Domain
from monitor.model.facts import ProbePlanned
from monitor.model.mail import Carrier, Field
from monitor.model.policy import CommandPath, HttpPath, MailIdentity, Templates
from monitor.model.probe import ProbeId
from monitor.model.secret import SecretRef
from monitor.model.submission import AppSubmission, CommandSubmission, MailSubmission
from monitor.rules.story import amount_value, expectation, render_amount, tell_story

__all__ = [
    "TemplateBroken",
    "app_submission",
    "built_in",
    "command_submission",
    "compose",
    "envelope_sender",
    "expectation",
    "mail_submission",
    "message_id",
    "recipient",
    "render",
    "render_amount",
    "tell_story",
    "variables",
]

MAX_HEADER = 500
VARIANTS = 4  # wordings a template may choose between, so that probes are not all alike
_SPACES = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")
_PLAIN_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+\Z")

_TEXT = SandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
_HTML = SandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=True)


class TemplateBroken(Exception):
    """A template cannot be rendered: why, and the line of its source if that is known. Rehearsal (rules/rehearse) meets it first."""

    def __init__(self, what: str, line: int | None) -> None:
        super().__init__(f"line {line}: {what}" if line else what)
        self.what = what
        self.line = line


def message_id(token: str, author: Domain) -> str:
    """RFC 5322 section 3.6.4."""
    return f"<{token}@{author}>"


def envelope_sender(identity: MailIdentity, probe: ProbeId) -> Address:
    """Fixed per probe across retries: a DSN finds its probe, greylisting sees a stable triplet (design 5)."""
    return identity.envelope_sender.tagged(probe)


def recipient(mailbox: Address, token: str, carriers: Sequence[Carrier], plus_tags: bool) -> Address:
    """The seed's address, with the token as plus-tag where that is a carrier; without it when the local part has no room."""
    if not plus_tags or Carrier.PLUS_TAG not in carriers:
        return mailbox
    try:
        return mailbox.tagged(token)
    except AddressError:
        return mailbox


def mail_submission(plan: ProbePlanned, identity: MailIdentity) -> MailSubmission:
    return MailSubmission(plan.probe, plan.envelope_sender, plan.recipient, plan.message_id, compose(plan, identity))


def compose(plan: ProbePlanned, identity: MailIdentity) -> bytes:
    """The whole message with CRLF line ends. Carriers and amount are those of the plan; the date is when it was planned, so that a
    retry is the same message. Raises TemplateBroken."""
    carriers = plan.expectation.carriers
    shown = variables(plan, identity) | {"token": plan.token if Carrier.BODY in carriers else ""}
    text = render(identity.templates.text, shown)
    html = render(identity.templates.html, shown, html=True)
    boundary = "=_" + hashlib.sha256(b"mailcanary boundary\0" + plan.token.encode()).hexdigest()[:32]
    lines = [
        _mailbox("From", identity.author_name, identity.author),
        _mailbox("To", plan.story.customer_name, plan.recipient),
        _unstructured("Subject", render(identity.templates.subject, shown)),
        f"Date: {format_datetime(plan.at.when.replace(microsecond=0))}",
        f"Message-ID: {_one_line(plan.message_id)}",
        "MIME-Version: 1.0",
        "Auto-Submitted: auto-generated",  # RFC 3834: no holiday notices, please
        "X-Auto-Response-Suppress: All",
        *([f"X-Mailcanary-Token: {plan.token}"] if Carrier.HEADER in carriers else []),
        f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"',
        "",
        *_body_part(boundary, "plain", text),
        *_body_part(boundary, "html", html),
        f"--{boundary}--",
        "",
    ]
    return "\r\n".join(lines).encode("ascii")


def app_submission(plan: ProbePlanned, http: HttpPath) -> AppSubmission:
    """The request body and those of its headers that are no secrets. Raises TemplateBroken."""
    shown = variables(plan)
    headers = tuple((name, _one_line(render(value, shown))) for name, value in http.headers.items() if not isinstance(value, SecretRef))
    return AppSubmission(plan.probe, plan.recipient, headers, _json(http.body, shown))


def command_submission(plan: ProbePlanned, command: CommandPath) -> CommandSubmission:
    """What the program reads on its stdin. Raises TemplateBroken."""
    return CommandSubmission(plan.probe, plan.recipient, _json(command.input, variables(plan)))


def built_in() -> Templates:
    """The templates that are used until a user brings the shop's own."""
    folder = files("monitor.rules") / "templates"
    subject, text, html = ((folder / name).read_text("utf-8") for name in ("subject.txt", "message.txt", "message.html"))
    return Templates(subject, text, html)


def variables(plan: ProbePlanned, identity: MailIdentity | None = None) -> dict[str, object]:
    """What a template may print."""
    story = plan.story
    shown: dict[str, object] = {
        "token": plan.token,
        "recipient": str(plan.recipient),
        "amount": dict(plan.expectation.fields)[Field.AMOUNT],
        "amount_value": amount_value(story.amount),
        "currency": story.amount.currency,
        "refund_number": story.refund_number,
        "order_number": story.order_number,
        "customer_name": story.customer_name,
        "locale": story.locale,
        "probe_id": plan.probe,
        "date": plan.at.when.strftime("%Y-%m-%d"),
        "variant": int(plan.probe, 16) % VARIANTS,
    }
    if identity is not None:
        shown |= {"shop": identity.author_name, "domain": str(identity.author.domain)}
    return shown


def render(source: str, shown: Mapping[str, object], html: bool = False) -> str:
    """Render a template, sandboxed, undefined variables refused. Raises TemplateBroken."""
    try:
        return _compiled(source, html).render(shown)
    except TemplateSyntaxError as error:
        raise TemplateBroken(error.message or "syntax error", error.lineno) from error
    except TemplateError as error:
        raise TemplateBroken(error.message or type(error).__name__, _line_of(error)) from error
    except Exception as error:  # an operator's template may divide by zero, or add a number to a text
        raise TemplateBroken(f"{type(error).__name__}: {error}", _line_of(error)) from error


@lru_cache(maxsize=256)
def _compiled(source: str, html: bool) -> Template:
    return (_HTML if html else _TEXT).from_string(source)


def _line_of(error: BaseException) -> int | None:
    """Jinja makes tracebacks speak of template lines."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _json(value: object, shown: Mapping[str, object]) -> bytes:
    return b"" if value is None else json.dumps(_filled(value, shown), ensure_ascii=False).encode("utf-8", "replace")


def _filled(value: object, shown: Mapping[str, object]) -> object:
    """The JSON value with its strings rendered; keys and everything else stay."""
    match value:
        case str():
            return render(value, shown)
        case Mapping():
            return {key: _filled(inner, shown) for key, inner in value.items()}
        case list() | tuple():
            return [_filled(inner, shown) for inner in value]
        case _:
            return value


def _one_line(text: str) -> str:
    """Header text: nothing in it ends a line (RFC 5322 section 2.2)."""
    return _SPACES.sub(" ", text[:MAX_HEADER]).strip().encode("utf-8", "replace").decode("utf-8")


def _unstructured(name: str, text: str) -> str:
    """A header of free text (RFC 5322 section 2.2.1), folded, encoded where it must be."""
    text = _one_line(text)
    charset = "us-ascii" if text.isascii() else "utf-8"
    return f"{name}: " + Header(text, charset, maxlinelen=76, header_name=name).encode(linesep="\r\n")


def _mailbox(name: str, phrase: str, address: Address) -> str:
    """`Name <address>`: an atom phrase, a quoted string or encoded-words (RFC 5322 section 3.4, RFC 2047 section 5)."""
    phrase = _one_line(phrase)
    if not phrase:
        return f"{name}: {address}"
    if phrase.isascii() and len(phrase) <= 60:
        shown = phrase if _PLAIN_PHRASE.match(phrase) else '"' + re.sub(r'(["\\])', r"\\\1", phrase) + '"'
    else:
        shown = Header(phrase, "utf-8", maxlinelen=70, header_name=name).encode(linesep="\r\n")
    line = f"{name}: {shown} <{address}>"
    return line if len(line) <= 78 and "\r\n" not in shown else f"{name}: {shown}\r\n <{address}>"


def _body_part(boundary: str, subtype: str, text: str) -> Iterator[str]:
    yield f"--{boundary}"
    yield f"Content-Type: text/{subtype}; charset=utf-8"
    yield "Content-Transfer-Encoding: quoted-printable"
    yield ""
    lines = "\r\n".join(text.strip("\r\n").splitlines()) + "\r\n"
    yield binascii.b2a_qp(lines.encode("utf-8", "replace"), istext=True).decode("ascii").removesuffix("\r\n")
