"""Lines of a Postfix log -> confirmations.

A queue id is followed from `cleanup`, which names the Message-ID (and the Subject, where header_checks(5) have it logged), to the agents
that deliver it. What is told apart:

* The recipient is `orig_to` where the log has it: whom the mail was meant for before an alias rewrote it. HELD: the final `to` is a
  holding mailbox of ours. FAILED: bounced, expired, discarded, or refused by a filter for good; deferred is nothing yet.
* A mail that is handed on to ourselves (a content filter that sends it back in, local forwarding: "queued as", "forwarded as" one of our
  own queue ids) counts where it goes from there. Its identity is Message-ID, recipient and outcome, so that it counts once: the same
  Message-ID to the same recipient twice is one confirmation.
* A DSN that Postfix writes is no confirmation, nor is an answer or a forwarded mail (by its subject), nor what another sender than the
  source's own sent. A mail with Resent-Message-ID was sent again on purpose.

The memory between two portions is what is known of the queue ids that are still in the queue: at most MOST_OPEN, the oldest are given up
and said to be. It holds no address: digests and keyed hashes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from zoneinfo import ZoneInfo

from monitor.model.ledger import Confirmation, Lines, Outcome, RowFault
from monitor.model.sources import PostfixSource
from monitor.rules import mime
from monitor.rules.reconcile.known import Known
from monitor.rules.reconcile.maillog import AHEAD, QUEUE_ID, Entry, entry, instant
from monitor.rules.reconcile.mails import ANSWERED
from monitor.rules.visible import normalise

MOST_OPEN = 2_000  # queue ids
MOST_IDS = 2_000  # queue ids of ours that mail may have been handed on to
MOST_PENDING = 50  # recipients of one queue id that are remembered as deferred
MOST_FAULTS = 1_000
ENOUGH = 1_000  # lines, or messages, after which it is odd to have found none of what was looked for
MAX_NUMBER = 200

_MESSAGE_ID = re.compile(r"(resent-)?message-id=(.{0,1000})", re.DOTALL)
_SUBJECT = re.compile(r"([\w-]{1,40}): header Subject: ?(.*)", re.DOTALL | re.IGNORECASE)
_SUBJECT_END = re.compile(r" from (?:local|[^\s\[\]]{0,255}\[[^\]]{0,100}\]);(?= from=<)")
_FOLDED = re.compile(r"\?=\?[? ]{1,8}=\?")  # two encoded-words: their line break is logged as a question mark
_REFUSED = re.compile(r"(?:milter-)?(reject|discard): ")
_NOT_YET = re.compile(r": 4\.\d{1,3}\.\d{1,3}(?: |$)")
_ENVELOPE = re.compile(r"; from=<([^<>]{0,320})> to=<([^<>]{0,320})>")
_DELIVERY = re.compile(
    r"to=<(.{0,400}?)>, (?:orig_to=<(.{0,400}?)>, )?(?:[a-z_]+=[^=]{0,300}, ){0,8}status=([A-Za-z-]{1,20})(.*)", re.DOTALL
)
_HANDED_ON = re.compile(f"(?:queued|forwarded) as ({QUEUE_ID})(?![0-9A-Za-z])")
_REPORT = re.compile(f"(?:sender|postmaster) (?:non-delivery|delivery status|delay) notification: ({QUEUE_ID})\\b")
_EXPIRED = re.compile(r"from=<.{0,400}?>, status=(?:force-)?expired")
_ACTIVE = re.compile(r"from=<(.{0,400}?)>, size=\d{1,12}, nrcpt=")
_AGENTS = frozenset({"smtp", "lmtp", "local", "virtual", "pipe", "error", "retry", "discard"})


def confirmations_of_log(
    lines: Lines, source: PostfixSource, known: Known, memory: str, now: float
) -> tuple[list[Confirmation], list[RowFault], int, str]:
    """(records, faults, probes dropped, memory for the next lines). Never raises for what stands in them."""
    reader = _Reader(source, known, now, _remember(memory))
    for line, text in enumerate(lines.lines, lines.first):
        reader.read(text, line)
    return reader.records, reader.faults, reader.dropped, _kept(reader.memory)


@dataclass(slots=True)
class _Queued:
    """A mail in the queue. `pending`: those who did not get it yet, by the digest of the recipient: (hash, provider, it is a probe)."""

    message: str = ""  # digest of its Message-ID; empty: not seen
    number: str = ""
    resent: bool = False
    pending: dict[str, tuple[str, str, bool]] = field(default_factory=dict)


@dataclass(slots=True)
class _Memory:
    """`ids`: ours, also those that have left the queue. `lines` and `messages` are counted until Postfix, and a number, was found; -1 from
    then on, or once it was said that there is none."""

    open: dict[str, _Queued] = field(default_factory=dict)  # by host and queue id
    ids: dict[str, None] = field(default_factory=dict)
    lines: int = 0
    messages: int = 0


class _Reader:
    def __init__(self, source: PostfixSource, known: Known, now: float, memory: _Memory) -> None:
        self.memory = memory
        self.records: list[Confirmation] = []
        self.faults: list[RowFault] = []
        self.dropped = 0
        self._source = source
        self._known = known
        self._now = now
        self._zone = _zone(source.time_zone)
        self._pattern = re.compile(source.number)
        self._sender = re.compile(source.sender)
        self._by_subject = source.within == "subject"
        self._stamp, self._instant = "", 0.0

    def read(self, line: str, number: int) -> None:
        found = entry(line)
        if found is None:
            self._strange(number)
            return
        self.memory.lines = -1
        if not found.queue_id:
            return
        match found.daemon:
            case "cleanup":
                self._cleanup(found, number)
            case "qmgr" | "nqmgr" | "oqmgr" | "postsuper":
                self._queue(found, number)
            case "bounce" | "defer" | "trace":
                if report := _REPORT.match(found.text):
                    self._forget(f"{found.host}/{report[1]}")
            case daemon if daemon in _AGENTS:
                self._delivery(found, number)
            case _:
                pass

    # --- what comes into the queue --------------------------------------------------------------------------------------------

    def _cleanup(self, found: Entry, line: int) -> None:
        place = f"{found.host}/{found.queue_id}"
        if said := _MESSAGE_ID.match(found.text):
            self._identified(place, found.queue_id, said[2].strip().strip("<>").strip(), said[1] is not None, line)
        elif said := _SUBJECT.match(found.text):
            if self._by_subject and not ANSWERED.match(subject := _subject(said[2])):
                self._bears(place, found.queue_id, subject)
            if said[1].lower() in ("reject", "discard"):
                self._refused(place, found, line)
        elif _REFUSED.match(found.text):
            self._refused(place, found, line)

    def _identified(self, place: str, queue_id: str, message_id: str, resent: bool, line: int) -> None:
        if self.memory.messages >= 0:
            self._count_message(line)
        if not self._by_subject:
            for text in (message_id, f"<{message_id}>"):  # a pattern may be written for either
                self._bears(place, queue_id, text)
        mail = self.memory.open.get(place)
        if mail is None and (resent or self._by_subject):
            mail = self._opened(place)
        if mail is not None and message_id and (resent or not mail.message):
            mail.message = self._digest("message", message_id)
            mail.resent = mail.resent or resent

    def _bears(self, place: str, queue_id: str, text: str) -> None:
        number = self._number(text)
        mail = self.memory.open.get(place)
        if not number or (mail is not None and mail.number):
            return
        mail = mail or self._opened(place)
        mail.number = number
        self.memory.messages = -1
        self.memory.ids.pop(queue_id, None)
        self.memory.ids[queue_id] = None
        if len(self.memory.ids) > MOST_IDS:
            del self.memory.ids[next(iter(self.memory.ids))]

    def _number(self, text: str) -> str:
        found = self._pattern.search(text)
        number = (found[1] if self._pattern.groups else found[0]) if found else ""
        number = (number or "").strip()
        return number if len(number) <= MAX_NUMBER and number.isprintable() else ""

    def _opened(self, place: str) -> _Queued:
        mail = self.memory.open[place] = _Queued()
        if len(self.memory.open) > MOST_OPEN:
            given_up = self.memory.open.pop(next(iter(self.memory.open)))
            if given_up.number:
                self._fault(
                    0,
                    f"more than {MOST_OPEN} mails are in the queue; what became of the oldest is not followed any more",
                    "look at the queue (postqueue -p); their confirmations are not seen here",
                )
        return mail

    def _refused(self, place: str, found: Entry, line: int) -> None:
        mail = self.memory.open.get(place)
        envelope = _ENVELOPE.search(found.text)
        if mail is not None and envelope and self._is_ours(mail, envelope[1]) and not _NOT_YET.search(found.text):
            self._tell(mail, place, found.stamp, envelope[2], envelope[2], Outcome.FAILED, line)
        self._forget(place)

    # --- what leaves it -------------------------------------------------------------------------------------------------------

    def _queue(self, found: Entry, line: int) -> None:
        place = f"{found.host}/{found.queue_id}"
        mail = self.memory.open.get(place)
        if mail is None:
            return
        if found.text.startswith("removed"):
            self._forget(place)
        elif _EXPIRED.match(found.text):
            for recipient, provider, probe in mail.pending.values():
                self._record(mail, place, found.stamp, (bytes.fromhex(recipient), provider, probe), Outcome.FAILED, line)
            mail.pending.clear()
        elif (active := _ACTIVE.match(found.text)) and not self._is_ours(mail, active[1]):  # its header was read to the end
            self._forget(place)

    def _is_ours(self, mail: _Queued, sender: str) -> bool:
        return bool(mail.number) and self._sender.search(sender) is not None

    def _delivery(self, found: Entry, line: int) -> None:
        place = f"{found.host}/{found.queue_id}"
        mail = self.memory.open.get(place)
        said = _DELIVERY.match(found.text) if mail is not None and mail.number else None
        if mail is None or said is None:
            return
        final, meant = said[1], said[2] or said[1]
        if self._known.is_journal(final) or self._known.is_journal(meant):
            return
        match said[3].lower():
            case "sent" if (on := _HANDED_ON.search(said[4])) and on[1] in self.memory.ids:
                mail.pending.pop(self._digest("to", meant), None)
            case "sent" if found.daemon == "discard":
                self._tell(mail, place, found.stamp, final, meant, Outcome.FAILED, line)
            case "sent":
                held = self._known.is_holding(final)
                self._tell(mail, place, found.stamp, final, meant, Outcome.HELD if held else Outcome.SENT, line)
            case "bounced" | "expired":
                self._tell(mail, place, found.stamp, final, meant, Outcome.FAILED, line)
            case "deferred" | "softbounce":
                if len(mail.pending) < MOST_PENDING:
                    recipient, provider, probe = self._whose(mail, final, meant)
                    mail.pending[self._digest("to", meant)] = (recipient.hex(), provider, probe)
            case _:  # an address that was only looked at (address verification)
                pass

    def _tell(self, mail: _Queued, place: str, stamp: str, final: str, meant: str, outcome: Outcome, line: int) -> None:
        mail.pending.pop(self._digest("to", meant), None)
        self._record(mail, place, stamp, self._whose(mail, final, meant), outcome, line)

    def _whose(self, mail: _Queued, final: str, meant: str) -> tuple[bytes, str, bool]:
        """(hash, provider, it is a probe)."""
        probe = self._known.is_probe(mail.number, meant) or self._known.is_probe(mail.number, final)
        try:
            return self._known.recipient(meant), self._known.provider(meant), probe
        except UnicodeEncodeError:
            return b"", "", probe

    def _record(self, mail: _Queued, place: str, stamp: str, whose: tuple[bytes, str, bool], outcome: Outcome, line: int) -> None:
        recipient, provider, probe = whose
        if probe:
            self.dropped += 1
            return
        at = self._at(stamp)
        if at is None:
            self._fault(line, "the time of this line is none, or far in the future", "look at the clock of the host that wrote it")
            return
        identity = self._digest("confirmation", mail.message or place, recipient.hex(), outcome.value)
        self.records.append(
            Confirmation(mail.number, identity, None, "", at, recipient, provider, outcome.value, mail.resent, line)
        )  # fmt: skip

    def _at(self, stamp: str) -> float | None:
        if stamp != self._stamp:
            at = instant(stamp, self._zone, self._now)
            if at is None or at > self._now + AHEAD:
                return None
            self._stamp, self._instant = stamp, at
        return self._instant

    def _forget(self, place: str) -> None:
        self.memory.open.pop(place, None)

    # --- what is odd ----------------------------------------------------------------------------------------------------------

    def _strange(self, line: int) -> None:
        if self.memory.lines < 0:
            return
        self.memory.lines += 1
        if self.memory.lines == ENOUGH:
            self.memory.lines = -1
            self._fault(line, f"none of the first {ENOUGH} lines is Postfix's", "name the log that Postfix writes, often /var/log/mail.log")

    def _count_message(self, line: int) -> None:
        self.memory.messages += 1
        if self.memory.messages == ENOUGH:
            self.memory.messages = -1
            mend = "look at the pattern `number`"
            if self._by_subject:
                mend += ", and have subjects logged: header_checks with /^subject:/ INFO"
            self._fault(line, f"none of the first {ENOUGH} mails bears a number in its {self._source.within}", mend)

    def _fault(self, line: int, what: str, mend: str) -> None:
        if len(self.faults) < MOST_FAULTS and all(fault.line or fault.what != what for fault in self.faults):
            self.faults.append(RowFault(line, what, mend))

    def _digest(self, *words: str) -> str:
        text = "\0".join(words).encode("utf-8", "backslashreplace")
        return hashlib.blake2b(text, digest_size=12, key=self._known.key).hexdigest()


@lru_cache(maxsize=16)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _subject(said: str) -> str:
    """The Subject as a reader sees it, out of what header_checks log: `SUBJECT from host[address]; from=<a> to=<b> proto=ESMTP`."""
    ends = [end.start() for end in _SUBJECT_END.finditer(said)]
    text = said[: ends[-1]] if ends else said
    return normalise(mime.decode_words(_FOLDED.sub("?= =?", text))).replace("\n", " ")


def _kept(memory: _Memory) -> str:
    opened = [[place, mail.message, mail.number, mail.resent, mail.pending] for place, mail in memory.open.items()]
    return json.dumps({"open": opened, "ids": list(memory.ids), "lines": memory.lines, "messages": memory.messages}, separators=(",", ":"))


def _remember(text: str) -> _Memory:
    """What `_kept` gave; nothing, if it is of another shape."""
    try:
        kept = json.loads(text)
        return _Memory(dict(_opened(kept["open"])), dict.fromkeys(map(str, kept["ids"])), int(kept["lines"]), int(kept["messages"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        return _Memory()


def _opened(kept: list[tuple[str, str, str, bool, dict[str, tuple[str, str, bool]]]]) -> Iterator[tuple[str, _Queued]]:
    for place, message, number, resent, pending in kept:
        yield (
            place,
            _Queued(message, number, resent, {key: (hashed, provider, probe) for key, (hashed, provider, probe) in pending.items()}),
        )
