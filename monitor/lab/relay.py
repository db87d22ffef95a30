"""The lab's relay: decides on recipients, books what it accepted, and delivers into the store, faults applied.

Both the SMTP listeners and the toy shop (in the same process) submit here, so both paths meet the same faults.
"""

import asyncio
import hashlib
import itertools
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from monitor.lab.books import Books
from monitor.lab.faults import Fault, FaultBoard, FaultState
from monitor.lab.receiver import Receiver, author_domain
from monitor.lab.signing import SELECTOR, sign
from monitor.lab.store import Account, MailStore, StoreFull, UnknownMailbox
from monitor.lab.tamper import add_footer, alter_amounts, bounce, delivery_trace, header_value, received, strip_carriers

MAX_ACCEPTED = 100_000  # booked recipients; the oldest are forgotten, the counts go on
MAX_PENDING = 10_000  # messages held or delayed
MAX_TRIPLETS = 10_000  # greylisting memory

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Accepted:
    """One recipient of one accepted message. `fate`: delivered, dropped, held, delayed or bounced, when accepted."""

    number: int
    at: str
    path: str
    mail_from: str
    recipient: str
    queue_id: str
    message_id: str
    sha256: str
    fate: str

    def as_json(self) -> dict[str, Any]:
        """For the control API."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Delivery:
    raw: bytes
    mail_from: str
    recipient: str
    queue_id: str
    paths: tuple[str, ...]
    selector: str


class Relay:
    """`paths` names the way in: ("shop",) for the app, ("smtp", listener) for SMTP. `receiver`: how providers judge what we bring. `books`:
    where what goes out is logged."""

    def __init__(
        self, store: MailStore, faults: FaultBoard, sending_domains: Sequence[str], receiver: Receiver, books: Books | None = None
    ) -> None:
        self.accepted: deque[Accepted] = deque(maxlen=MAX_ACCEPTED)
        self.recipients_accepted = 0
        self.messages_accepted = 0
        self._store = store
        self._faults = faults
        self._sending_domains = tuple(sending_domains)
        self._receiver = receiver
        self._books = books
        self._queue_ids = itertools.count(1)
        self._held: deque[_Delivery] = deque()
        self._timers: set[asyncio.TimerHandle] = set()
        self._triplets: OrderedDict[tuple[str, str], float] = OrderedDict()
        faults.subscribe(self._on_fault_switched)

    @property
    def held(self) -> int:
        """How many deliveries wait for a release."""
        return len(self._held)

    def close(self) -> None:
        """Forget what is delayed."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    # -- in the session ----------------------------------------------------------------------------------------------

    def sender_refusal(self, mail_from: str, paths: tuple[str, ...]) -> str | None:
        """The reply that refuses an envelope sender, or None."""
        if self._faults.hit(Fault.REFUSE_MAIL_FROM, paths=paths):
            return f"553 5.7.1 <{mail_from}>: sender address rejected: not owned by user"
        return None

    def recipient_refusal(self, mail_from: str, recipient: str, paths: tuple[str, ...]) -> str | None:
        """The reply that refuses or defers an envelope recipient, or None."""
        try:
            account = self._store.resolve(recipient)
        except UnknownMailbox:
            if self._store.hosts(recipient.rpartition("@")[2]):
                return f"550 5.1.1 <{recipient}>: recipient address rejected: user unknown"
            return f"554 5.7.1 <{recipient}>: relay access denied"
        if not self._store.has_room(account.folders["INBOX"], 0):
            return f"452 4.2.2 <{recipient}>: mailbox is full"
        if self._hit(Fault.REFUSE, account, paths):
            return f"554 5.7.1 <{recipient}>: recipient address rejected: access denied"
        greylist = self._find(Fault.GREYLIST, account, paths)
        if greylist is not None and self._too_young((mail_from, recipient), greylist.seconds):
            return f"450 4.2.0 <{recipient}>: recipient address rejected: greylisted"
        return None

    def _too_young(self, triplet: tuple[str, str], seconds: float) -> bool:
        now = time.monotonic()
        first = self._triplets.setdefault(triplet, now)
        if len(self._triplets) > MAX_TRIPLETS:
            self._triplets.popitem(last=False)
        return now - first < seconds or first == now

    def drops_after_data(self, fault: Fault, recipients: Sequence[str], paths: tuple[str, ...]) -> bool:
        """Whether one of the two faults that cut the connection after the final dot hits one of the recipients."""
        return any(self._hit(fault, self._store.resolve(recipient), paths) for recipient in recipients)

    def accept(
        self, mail_from: str, recipients: Sequence[str], raw: bytes, paths: tuple[str, ...], source: str, selector: str = SELECTOR
    ) -> str:
        """Take responsibility for a message; it is signed under `selector` when it goes out. Returns the reply to the final dot."""
        if len(self._held) + len(self._timers) + len(recipients) > MAX_PENDING:
            return "452 4.3.1 queue is full"
        if any(not self._has_room(recipient, len(raw)) for recipient in recipients):
            return "452 4.3.1 insufficient system storage"
        queue_id = f"1AB{next(self._queue_ids):07X}"  # hexadecimal, as those of Postfix
        now = datetime.now(UTC)
        message_id, digest = header_value(raw, b"Message-ID"), hashlib.sha256(raw).hexdigest()
        self.messages_accepted += 1
        for recipient in recipients:
            traced = received(source, queue_id, recipient, now) + raw
            delivery = _Delivery(traced, mail_from, recipient, queue_id, paths, selector)
            fate = self._dispatch(delivery)
            if fate != "held":
                self._log(delivery)
            self.recipients_accepted += 1
            self.accepted.append(
                Accepted(
                    self.recipients_accepted,
                    now.isoformat(),
                    paths[-1],
                    mail_from,
                    recipient,
                    queue_id,
                    message_id,
                    digest,
                    fate,
                )
            )
        return f"250 2.0.0 queued as {queue_id}"

    def _signature(self, raw: bytes, selector: str, now: datetime) -> bytes:
        """The DKIM-Signature field, for authors in our sending domains only."""
        author = author_domain(header_value(raw, b"From"))
        domain = next((known for known in self._sending_domains if author == known or author.endswith("." + known)), "")
        return sign(raw, domain, selector, int(now.timestamp())) if domain else b""

    # -- after the session -------------------------------------------------------------------------------------------

    def _dispatch(self, delivery: _Delivery) -> str:
        account = self._store.resolve(delivery.recipient)
        if self._hit(Fault.ACCEPT_AND_DROP, account, delivery.paths):
            return "dropped"
        if self._hit(Fault.CLONE_BOUNCE, account, delivery.paths):
            self._bounce(delivery)
            return "bounced"
        if self._find(Fault.HOLD_QUEUE, account, delivery.paths):
            self._held.append(delivery)
            return "held"
        if (delay := self._hit(Fault.DELAY, account, delivery.paths)) is not None:
            self._later(delay.seconds, delivery)
            return "delayed"
        self._deliver(delivery)
        return "delivered"

    def _later(self, seconds: float, delivery: _Delivery) -> None:
        def fire() -> None:
            self._timers.discard(timer)
            self._deliver(delivery)

        timer = asyncio.get_running_loop().call_later(seconds, fire)
        self._timers.add(timer)

    def release(self) -> int:
        """Deliver all that is held; returns how many."""
        count = len(self._held)
        for _ in range(count):
            self._release(self._held.popleft())
        return count

    def _release(self, delivery: _Delivery) -> None:
        self._log(delivery)
        self._deliver(delivery)

    def _log(self, delivery: _Delivery) -> None:
        if self._books is not None:
            message_id = header_value(delivery.raw, b"Message-ID")
            self._books.mailed(delivery.queue_id, message_id, delivery.mail_from, delivery.recipient, len(delivery.raw))

    def _on_fault_switched(self, fault: Fault) -> None:
        if fault is not Fault.HOLD_QUEUE:
            return
        waiting, self._held = self._held, deque()
        for delivery in waiting:
            if self._find(Fault.HOLD_QUEUE, self._store.resolve(delivery.recipient), delivery.paths):
                self._held.append(delivery)
            else:
                self._release(delivery)

    def _deliver(self, delivery: _Delivery) -> None:
        account = self._store.resolve(delivery.recipient)
        paths = delivery.paths
        raw = delivery.raw
        if self._hit(Fault.ALTER_AMOUNT, account, paths):
            raw = alter_amounts(raw)
        if self._hit(Fault.STRIP_HEADER_CARRIERS, account, paths):
            raw = strip_carriers(raw, delivery.queue_id)
        now = datetime.now(UTC)
        if not self._hit(Fault.UNSIGNED, account, paths):
            raw = self._signature(raw, delivery.selector, now) + raw
        if self._hit(Fault.ALTER_BODY, account, paths):
            raw = add_footer(raw)
        fails = self._hit(Fault.AUTHENTICATION_FAIL, account, paths) is not None
        folder_name = "INBOX"
        if self._hit(Fault.JUNK, account, paths):
            folder_name = account.provider.junk
        elif (other := self._hit(Fault.OTHER_FOLDER, account, paths)) is not None:
            folder_name = other.folder or account.provider.other
        duplicate = self._hit(Fault.DUPLICATE, account, paths)
        misroute = self._hit(Fault.MISROUTE, account, paths)
        if misroute is not None and misroute.to:
            account = self._store.resolve(misroute.to)
        trace = delivery_trace(
            account.provider, self._receiver, raw, delivery.mail_from, delivery.recipient, delivery.queue_id, now, fail=fails
        )
        for _ in range(duplicate.copies if duplicate else 1):
            self._put(account, folder_name, trace + raw)

    def _put(self, account: Account, folder_name: str, raw: bytes) -> None:
        folder = account.folder(folder_name) or account.folders["INBOX"]
        try:
            self._store.append(folder, raw)
        except StoreFull:  # filled up since acceptance, by what was held, delayed or bounced
            _log.warning("lost: %s of %s is full", folder.name, account.address)

    def _has_room(self, recipient: str, size: int) -> bool:
        return self._store.has_room(self._store.resolve(recipient).folders["INBOX"], size)

    def _bounce(self, delivery: _Delivery) -> None:
        if not delivery.mail_from:  # never a DSN for a DSN (RFC 5321 section 6.1)
            return
        try:
            account = self._store.resolve(delivery.mail_from)
        except UnknownMailbox:
            return
        now = datetime.now(UTC)
        report = bounce(delivery.raw, delivery.mail_from, delivery.recipient, delivery.queue_id, now)
        trace = delivery_trace(account.provider, self._receiver, report, "", delivery.mail_from, delivery.queue_id, now, fail=False)
        self._put(account, "INBOX", trace + report)

    def _find(self, fault: Fault, account: Account, paths: tuple[str, ...]) -> FaultState | None:
        return self._faults.find(fault, account.provider.domain, account.address, paths)

    def _hit(self, fault: Fault, account: Account, paths: tuple[str, ...]) -> FaultState | None:
        return self._faults.hit(fault, account.provider.domain, account.address, paths)
