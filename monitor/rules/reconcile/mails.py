"""Messages of a journal mailbox -> confirmations.

A mail is a confirmation where its refund number (or order number) can be read, and its amount too where one is looked for, by the patterns
of the source or by its template. All else is left alone silently: other mail, DSNs, receipts, automatic answers, answers and forwarded mail
(unless the pattern for resends is found in it). A mail that says to be a confirmation, by its subject or by the template's words, and shows
no number or no amount, is a fault.

* Subject, text and HTML are read in this order, and the first number and amount count, also where more follow. Where the text and the HTML
  part disagree, it is a fault: the customer saw one of the two.
* Recipients are the addresses in To, one confirmation each, at most MOST_RECIPIENTS; those in Cc are not told. Where the copy shows its
  envelope, that wins: To who is in it was told; if nobody is, it was held where a holding mailbox of ours is in it, else it went to those
  who are. Mailboxes that get a copy are told nothing: neither side of it counts them.
* The time is that of Date where it is within a day of INTERNALDATE (RFC 3501 section 2.3.3), else INTERNALDATE.
* The same Message-ID to the same recipient is the same confirmation; without one, the same content of the same second.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz

from monitor.model.ledger import Confirmation, Mails, Outcome, RowFault
from monitor.model.mail import Copy
from monitor.model.sources import MailboxSource, Match
from monitor.rules import mime
from monitor.rules.reading import Reading, read
from monitor.rules.reconcile import patterns
from monitor.rules.reconcile.addressees import Addressees, addressees, journaled
from monitor.rules.reconcile.figures import FigureFault, figure
from monitor.rules.reconcile.known import Known
from monitor.rules.reconcile.template import Anchors, anchors

MOST_RECIPIENTS = 5
MAX_NUMBER = 200
SKEW = 86_400.0  # seconds by which Date may differ from INTERNALDATE

ANSWERED = re.compile(r"(?:re|aw|antw|sv|vs|r|odp|fwd?|wg|tr|rv|i|doorst|vb|pd)(?:\[\d{1,3}\])?\s?:", re.IGNORECASE)
_QUOTED_LINE = re.compile(r"^>", re.MULTILINE)
_CENTS = re.compile(r"[.,][0-9]{2}[^0-9]{0,12}\Z")
_OTHER_MARK = {".": ",", ",": "."}


def confirmations_of_mails(mails: Mails, source: MailboxSource, known: Known) -> tuple[list[Confirmation], list[RowFault], int]:
    """(records, faults, probes dropped). A fault's line is the UID of its mail. Never raises for what stands in them."""
    words = anchors(source.template, known.match)
    if mails.copies and not source.number and not words.numbers:
        what = "order number" if known.match is Match.ORDER else "refund number"
        mend = f"print it beside a word, like `{what.capitalize()}: {{{{ {what.replace(' ', '_')} }}}}`, or set the pattern `number`"
        return [], [RowFault(0, f"the template of this mailbox shows no {what} that could be found in a mail", mend)], 0
    records: list[Confirmation] = []
    faults: list[RowFault] = []
    dropped = 0
    for copy in mails.copies:
        try:
            said = _said(copy, source, known.match, words)
            told = [] if said is None else _told(said, known)
        except _Unread as fault:
            faults.append(RowFault(copy.uid, fault.what, fault.mend))
            continue
        if said is None:
            continue
        for address, outcome in told:
            if known.is_probe(said.number, address):
                dropped += 1
            else:
                records.append(_record(said, address, outcome, known, copy.uid))
    return records, faults, dropped


class _Unread(Exception):
    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend


@dataclass(frozen=True, slots=True)
class _Said:
    number: str
    amount: int | None
    currency: str
    at: float
    resend: bool
    identity: str  # of the mail; not yet of one recipient
    whom: Addressees


def _said(copy: Copy, source: MailboxSource, match: Match, words: Anchors) -> _Said | None:
    """What the mail confirms; None: it is no confirmation. Raises _Unread."""
    message = mime.parse(copy.raw)
    raw, reported = copy.raw, tuple[str, ...]()
    if report := journaled(message):
        raw, reported = report.raw, report.recipients
        message = mime.parse(raw)
    reading = read(raw, copy.truncated)
    if reading.dsn is not None or message.kind == "multipart/report":
        return None
    texts = [text for text in (reading.text, reading.html) if text]
    resent = bool(message.headers.first("resent-to"))
    on_purpose = bool(source.resend) and any(patterns.found(source.resend, text) is not None for text in (reading.subject, *texts))
    if not on_purpose and (reading.derived or _is_answer(message.headers, reading.subject, texts)):
        return None
    if source.subject and patterns.found(source.subject, reading.subject) is None:
        return None
    values = _values(reading, texts, source, match, words)
    if values is None:
        return None
    number, amount, currency = values
    headers = message.headers
    at = _at(headers.first("resent-date" if resent else "date"), copy.internaldate)
    message_id = headers.first("resent-message-id") if resent else reading.message_id
    identity = message_id or f"{reading.digest} {at:.0f}"
    whom = addressees(headers, str(source.mailbox.address), reported)
    return _Said(number, amount, currency, at, on_purpose or resent, identity, whom)


def _is_answer(headers: mime.Headers, subject: str, texts: list[str]) -> bool:
    """By its subject, or because it quotes and names what it answers. Shops put their mails into threads, too: that alone is no answer."""
    if ANSWERED.match(subject):
        return True
    named = any(True for _ in headers.all("in-reply-to", "references"))
    return named and any(_QUOTED_LINE.search(text) for text in texts)


def _values(
    reading: Reading, texts: list[str], source: MailboxSource, match: Match, words: Anchors
) -> tuple[str, int | None, str] | None:  # fmt: skip
    """(number, amount, currency); None: the mail is no confirmation."""
    shown = [reading.subject, *texts]
    if not source.number and match is Match.ORDER and not (source.subject or reading.refund_shaped):
        return None  # the confirmation of an order shows number and amount, too
    numbers = [_number(text, source, words) for text in shown]
    amounts = [_amount(text, source, words) for text in shown]
    looked_for = bool(source.amount or words.amounts)
    number, amount = next(filter(None, numbers), None), next(filter(None, amounts), None)
    if number is None or (looked_for and amount is None):
        if not _claims(reading, texts, number, source, words):
            return None
        raise _lacking("amount" if number is not None else "order number" if match is Match.ORDER else "refund number", reading.partial)
    money = [_money(text, source) if text else None for text in amounts]
    for what, seen in (("numbers", numbers[1:]), ("amounts", money[1:])):
        if len(dict.fromkeys(filter(None, seen))) > 1:
            raise _Unread(f"its text and its HTML part show different {what}", "look at the mail: its template says two things")
    return (number, *next(filter(None, money), (None, "")))


def _lacking(what: str, partial: bool) -> _Unread:
    if partial:
        return _Unread(f"no {what} stands in the part of this mail that was read", "it is far too big for a confirmation: look at it")
    mend = "look at it; if it is there, mend the pattern or the template; if it is another kind of mail, set the pattern `subject`"
    return _Unread(f"this mail says to be a confirmation and shows no {what}", mend)


def _number(text: str, source: MailboxSource, words: Anchors) -> str | None:
    number = patterns.found(source.number, text) if source.number else words.number(text)
    return number if number and len(number) <= MAX_NUMBER and number.isprintable() else None


def _amount(text: str, source: MailboxSource, words: Anchors) -> str | None:
    return patterns.found(source.amount, text) if source.amount else words.amount(text)


def _claims(reading: Reading, texts: list[str], number: str | None, source: MailboxSource, words: Anchors) -> bool:
    """The mail says to be a confirmation, whatever it lacks."""
    if source.subject or number is not None:
        return True
    return words.spoken(reading.subject) > 0 or any(words.spoken(text) > 1 for text in texts)


def _money(text: str, source: MailboxSource) -> tuple[int, str]:
    """A mail may be in another language than the configuration: an amount that the configured decimal mark makes no sense of, and that
    shows cents behind the other one, is read with that. Shops print refunds as negative amounts, too."""
    text = text.strip().lstrip("-+ ").rstrip(".-").strip()
    try:
        return figure(text, source.decimal, source.currency)
    except FigureFault as fault:
        try:
            if _CENTS.search(text):
                return figure(text, _OTHER_MARK[source.decimal], source.currency)
        except FigureFault:
            pass
        raise _Unread(f"its amount cannot be read: {fault.what}", fault.mend) from None


def _told(said: _Said, known: Known) -> list[tuple[str, Outcome]]:
    """Each recipient, and what became of the confirmation; "" where nobody knows whose it is."""
    if said.whom.to and all(known.is_journal(one) for one in said.whom.to):
        return []
    to, envelope = ([one for one in some if not known.is_journal(one)] for some in (said.whom.to, said.whom.envelope))
    if len(to) > MOST_RECIPIENTS:
        raise _Unread(f"it is addressed to {len(to)} people", "a confirmation is for one; look at the mail")
    if not envelope:
        return [(one, Outcome.HELD if known.is_holding(one) else Outcome.SENT) for one in to or ("",)]
    if reached := [one for one in to if one in envelope]:
        return [(one, Outcome.HELD if known.is_holding(one) else Outcome.SENT) for one in reached]
    if any(known.is_holding(one) for one in envelope):
        return [(one, Outcome.HELD) for one in to or ("",)]
    if len(envelope) > MOST_RECIPIENTS:
        raise _Unread(f"its envelope has {len(envelope)} recipients, none of them in To", "a confirmation is for one; look at the mail")
    return [(one, Outcome.SENT) for one in envelope]


def _record(said: _Said, address: str, outcome: Outcome, known: Known, uid: int) -> Confirmation:
    recipient = known.recipient(address)
    text = "\0".join((said.identity, recipient.hex(), outcome.value)).encode("utf-8", "backslashreplace")
    identity = hashlib.blake2b(text, digest_size=12, key=known.key).hexdigest()
    return Confirmation(
        said.number, identity, said.amount, said.currency, said.at, recipient, known.provider(address), outcome.value, said.resend, uid
    )  # fmt: skip


def _at(date: str, internaldate: float | None) -> float:
    sent = _dated(date)
    if internaldate is None:
        if sent is None:
            raise _Unread("it bears no time, and the server names none", "look at the mail")
        return sent
    return sent if sent is not None and abs(sent - internaldate) <= SKEW else internaldate


def _dated(value: str) -> float | None:
    """Date (RFC 5322 section 3.3) in seconds since the epoch; one without a zone is UTC."""
    try:
        parsed = parsedate_tz(value[:200])
        return None if parsed is None else float(mktime_tz((*parsed[:9], parsed[9] or 0)))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
