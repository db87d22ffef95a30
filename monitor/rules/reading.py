"""What one message shows: a tolerant reading of hostile mail that never raises and is bounded in time and memory.

Only what the message itself bears counts as a carrier. A token inside an attached message, in quoted text, in an automatic reply or in a
delivery status notification (RFC 3464) belongs to the message that it speaks of: it is kept apart, in `quoted` or in `dsn`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from monitor.model.address import Address, AddressError
from monitor.model.mail import Carrier, Field
from monitor.model.probe import Expectation
from monitor.rules import amounts, mime, token, visible
from monitor.rules.dsn import Dsn, plus_tags, read_dsn
from monitor.rules.visible import normalise, shows

MAX_AUTHENTICATION = 20
_MAX_QUOTED = 64 * 1024
_FRAYED = 32  # characters at the end of a text that was cut in which no amount is judged

_NEAR = 400  # characters between the word and the money that it speaks of
_MAX_SAID = 100  # places where the word stands that are looked at

_RECIPIENT_FIELDS = ("delivered-to", "x-original-to", "x-delivered-to", "envelope-to", "x-envelope-to", "to", "received")
_REFUND = re.compile(
    "refund|erstatt|rückzahl|rembours|reembols|devoluci|devolvemos|rimbors|terugbetal|teruggestort|restituti"
    "|återbetal|tilbagebetal|tilbagefør|tilbakebetal|refusjon|hyvity|hyvitet|palautuks|zwrot|zwróci|vrácen|vrátili|rambursa|visszatérít"
    "|возврат|вернули|повернення|επιστροφ|\\biade|返金|退款|환불",
    re.IGNORECASE,
)
_QUOTING = re.compile(
    r"^(?:-{2,} ?(?:original message|forwarded message|ursprüngliche nachricht|weitergeleitete nachricht"
    r"|message d'origine|message transféré|mensaje original|mensaje reenviado|messaggio originale|messaggio inoltrato"
    r"|oorspronkelijk bericht|doorgestuurd bericht)|begin forwarded message|anfang der weitergeleiteten)",
    re.IGNORECASE | re.MULTILINE,
)
_QUOTED_LINE = re.compile(r"^>.*$", re.MULTILINE)
_ANGLED = re.compile(r"<([^<>]*)>")
_QUOTED_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BARE_ADDRESS = re.compile(r"[^\s<>(),;:\"@]{1,64}@[^\s<>(),;:\"@]{1,253}")
_WRAPPERS = re.compile(
    r"(?:[a-z0-9-]+\.)*(?:safelinks\.protection\.outlook\.com|urldefense(?:\.proofpoint)?\.com|linkprotect\.cudasvc\.com"
    r"|protect-[a-z]{2}\.mimecast\.com|mimecastprotect\.com|secure-web\.cisco\.com|clicktime\.symantec\.com"
    r"|ct\.sendgrid\.net|awstrack\.me)\Z"
)
_FOOTER = re.compile(
    r"originated from outside|external (?:sender|e-?mail)|caution: this e-?mail|scanned (?:by|for)|virus[- ]?free"
    r"|unsubscribe from this (?:list|group)"
    r"|this (?:e-?mail|message) (?:and any attachments )?(?:is|are|may be|contains) (?:confidential|privileged)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """`text` and `html` are the visible text of the two parts in normal form (rules/visible); None where there is nothing to see."""

    message_id: str
    subject: str
    author: Address | None
    text: str | None
    html: str | None
    tokens: tuple[tuple[Carrier, str], ...]  # by the rank of their carriers; unverified
    quoted: tuple[str, ...]  # tokens of other messages that this one attaches or quotes
    digest: str  # of subject and visible text
    header_digest: str  # of the header block as it stands
    authentication: tuple[str, ...]  # values of Authentication-Results, topmost first
    amounts: tuple[str, ...]
    refund_shaped: bool
    derived: bool  # a reply, a forward or a report: tokens in its body are not its own
    dsn: Dsn | None
    hosts: tuple[str, ...]  # that its links point to
    partial: bool  # there is more of the message than was read

    def shows(self, value: str) -> bool:
        """`value` stands as a word in the subject or in what a reader sees."""
        return any(shows(text, value) for text in (self.subject, self.text, self.html) if text)


def read(raw: bytes, truncated: bool = False) -> Reading:
    """Read the beginning of a message; `truncated` says that there is more than `raw`."""
    message = mime.parse(raw)
    headers = message.headers
    body = _body(message)
    subject = normalise(mime.decode_words(next(headers.all("subject"), ""))).replace("\n", " ")
    author = _author(next(headers.all("from"), ""))
    shown = [text for text in (subject, body.text, body.html) if text]
    seen = tuple(dict.fromkeys(amount for text in shown for amount in amounts.seen(text)))
    dsn = read_dsn(message, author, body.text or body.html or "")
    derived = dsn is not None or _is_derived(message, body)
    quoted = [*body.quoted, *(body.tokens if derived else ())]
    tokens: list[tuple[Carrier, str]] = []
    if dsn is None and message.kind != "multipart/report":
        tokens = [(carrier, found) for carrier, all_found in _carriers(headers, () if derived else body.tokens) for found in all_found]
    return Reading(
        message_id=headers.first("message-id")[:500],
        subject=subject[:1000],
        author=author,
        text=body.text,
        html=body.html,
        tokens=tuple(tokens),
        quoted=tuple(dict.fromkeys(quoted))[: token.MAX_FOUND],
        digest=_digest("\0".join((subject, body.text or "", body.html or "")).replace("\n", " ").encode("utf-8", "replace")),
        header_digest=_digest(message.data[: message.body]),
        authentication=tuple(map(mime.unfold, islice(headers.all("authentication-results"), MAX_AUTHENTICATION))),
        amounts=seen[: amounts.MAX_SEEN],
        refund_shaped=bool(seen)
        and (_REFUND.search(subject) is not None or any(_says_refund(text) for text in (body.text, body.html) if text)),
        derived=derived,
        dsn=dsn,
        hosts=body.hosts,
        partial=truncated or message.cut or body.cut,
    )


def altered(reading: Reading, expectation: Expectation) -> tuple[tuple[Field, ...], tuple[str, ...]]:
    """(the fields that are not as submitted, findings in plain words).

    A field is as submitted when it stands in its rendered form in the text part and in the HTML part, as far as the message has them.
    FOREIGN_AMOUNT: the message, subject included, shows money that is neither expected nor allowed. What lies beyond the part of a big
    message that was read is not judged.
    """
    parts = [text for text in (reading.text, reading.html) if text is not None]
    missing: list[Field] = []
    for field, value in expectation.fields:
        stands = amounts.stands if field is Field.AMOUNT else shows
        if not parts or not all(stands(text, value) for text in parts):
            missing.append(field)
    notes = list(_notes(reading))
    if missing and reading.partial:
        notes.append("the message is bigger than we read; not judged: " + ", ".join(field.value for field in missing))
        missing = []
    known = [value for field, value in expectation.fields if field is Field.AMOUNT] + list(expectation.allowed_amounts)
    frayed = _FRAYED if reading.partial else 0
    shown = ((reading.subject, 0 if parts else frayed), *((text, frayed) for text in parts))
    foreign = tuple(dict.fromkeys(amount for text, end in shown for amount in amounts.others(text, known, end)))
    if foreign:
        missing.append(Field.FOREIGN_AMOUNT)
        notes.append(f"shows other amounts of money: {', '.join(foreign[:5])}"[:200])
    return tuple(missing), tuple(notes)


def _notes(reading: Reading) -> Iterable[str]:
    if wrapped := [host for host in reading.hosts if _WRAPPERS.match(host)]:
        yield f"links were wrapped or point to a click counter: {', '.join(wrapped[:3])}"
    if any(_FOOTER.search(text) for text in (reading.text, reading.html) if text):
        yield "a banner or footer was added on the way"
    if reading.text is None and reading.html is None:
        yield "there is no readable text in the message"


@dataclass(frozen=True, slots=True)
class _Body:
    text: str | None
    html: str | None
    tokens: tuple[str, ...]
    quoted: tuple[str, ...]
    hosts: tuple[str, ...]
    cut: bool


def _body(message: mime.Message) -> _Body:
    """The text of the message's own parts. A text part after the HTML part is an appendix (a list's footer), no alternative to it."""
    plain: list[str] = []
    html: list[str] = []
    hidden: list[str] = []
    quoted: list[str] = []
    hosts: list[str] = []
    room = mime.MAX_DECODED
    for part in message.parts:
        other = part.kind.startswith("message/") or part.kind == "text/rfc822-headers"
        if other or (part.attached and part.kind.startswith("text/")):
            quoted.extend(token.find(message.content(part)[:_MAX_QUOTED].decode("latin-1")))
            continue
        if part.kind not in ("text/plain", "text/html"):
            continue
        data = message.content(part)
        text = mime.decode(data[: max(0, room)], part.parameters.get("charset", ""))
        room -= len(data)
        if part.kind == "text/html":
            seen = visible.see(text)
            html.append(seen.text)
            hidden.append(seen.hidden)
            hosts.extend(seen.hosts)
        elif html:
            html.append(normalise(text))
        else:
            plain.append(normalise(text))
    shown = "\n".join((*plain, *html))
    own = _QUOTED_LINE.sub("", shown)
    tokens = token.find("\n".join((own, *hidden)))
    quoted.extend(found for found in token.find(shown) if found not in tokens)
    return _Body(
        "\n".join(plain)[: visible.MAX_TEXT] or None,
        "\n".join(html)[: visible.MAX_TEXT] or None,
        tokens,
        tuple(quoted),
        tuple(dict.fromkeys(hosts))[: visible.MAX_HOSTS],
        room < 0,
    )


def _says_refund(text: str) -> bool:
    """Money near the word: a newsletter with prices may mention its refund policy far below."""
    places = (found.start() for found in islice(_REFUND.finditer(text), _MAX_SAID))
    return any(amounts.seen(text[max(0, at - _NEAR) : at + _NEAR]) for at in places)


def _carriers(headers: mime.Headers, body: tuple[str, ...]) -> Iterable[tuple[Carrier, tuple[str, ...]]]:
    """Tokens by carrier, in the order of their rank: what only we write comes before what a template or a person may have copied."""
    lines = "\n".join(headers.all("x-mailcanary-token"))
    yield Carrier.HEADER, token.find(lines) or token.find("".join(lines.split()))
    yield Carrier.PLUS_TAG, plus_tags(headers.all(*_RECIPIENT_FIELDS), token.LENGTH)
    yield Carrier.MESSAGE_ID, token.find(next(headers.all("message-id"), ""))
    yield Carrier.BODY, body


def _is_derived(message: mime.Message, body: _Body) -> bool:
    headers = message.headers
    if message.kind == "multipart/report" or headers.first("auto-submitted").lower().startswith("auto-replied"):
        return True
    if any(True for _ in headers.all("x-autoreply", "x-autorespond")) or headers.first("precedence").lower() == "auto_reply":
        return True
    if any(token.find(value) for value in headers.all("in-reply-to", "references")):
        return True
    return any(_QUOTING.search(text) for text in (body.text, body.html) if text)


def _author(value: str) -> Address | None:
    """The author address (RFC 5322 section 3.6.2); the first one, whatever the display name pretends."""
    bare = _QUOTED_STRING.sub(" ", mime.unfold(value))
    angled = _ANGLED.search(bare)
    candidate = angled[1] if angled else (match[0] if (match := _BARE_ADDRESS.search(bare)) else "")
    try:
        return Address.parse(candidate)
    except AddressError:
        return None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
