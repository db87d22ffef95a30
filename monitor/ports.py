"""What the stages need of the outside, as small Protocols. Every method that waits has a deadline of its own inside its edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from monitor.model.deploy import Annotation, Drawn
from monitor.model.dns import Answer, Question
from monitor.model.facts import Entry, Fact
from monitor.model.instant import Instant
from monitor.model.ledger import (
    Impact,
    Page,
    Portion,
    Purge,
    Purged,
    Slice,
    SourceStanding,
    Standing,
    Taken,
    Taking,
    Wanted,
    Windows,
)
from monitor.model.mail import BlindCause, Folder, Look, Mark
from monitor.model.notice import Notice, NotTold, Telling
from monitor.model.secret import SecretRef
from monitor.model.submission import Outcome, Submission
from monitor.model.transport import Endpoint, TransportSeen


class Clock(Protocol):
    def now(self) -> Instant: ...

    async def sleep(self, seconds: float) -> None: ...


class Entropy(Protocol):
    def token(self, size: int) -> bytes:
        """`size` unpredictable bytes."""
        ...

    def uniform(self, low: float, high: float) -> float: ...


class SecretError(Exception):
    """A secret cannot be read. The text names the reference and the mend, never a value."""


class Secrets(Protocol):
    def read(self, ref: SecretRef) -> str:
        """The secret's present value; raises SecretError. Called at each connection, so rotation needs no restart."""
        ...


class Submitter(Protocol):
    """One submission path."""

    async def submit(self, submission: Submission, deadline: float) -> Outcome:
        """Make one attempt within `deadline` seconds in all. Never raises for anything that the peer does; raises NotASeed
        before the first byte when the recipient is no seed."""
        ...

    async def reach(self, deadline: float) -> Outcome:
        """Try the way without submitting: connect, TLS, AUTH. Taken: it would work; its reply says what answered."""
        ...

    async def close(self) -> None: ...


class MailboxError(Exception):
    """We cannot look into the mailbox. The connection is gone; open() again."""

    def __init__(self, cause: BlindCause, detail: str, mend: str = "") -> None:
        super().__init__(f"{cause.value}: {detail}")
        self.cause = cause
        self.detail = detail
        self.mend = mend


class Mailbox(Protocol):
    """One IMAP account over one connection, owned by one task. Every method raises MailboxError and nothing else; after one the
    connection is closed. Watching leaves no trace: EXAMINE and BODY.PEEK only (RFC 3501 sections 6.3.2, 6.4.5)."""

    async def open(self) -> tuple[Folder, ...]:
        """Connect, log in, list the selectable folders, INBOX first."""
        ...

    async def folders(self) -> tuple[Folder, ...]:
        """The selectable folders that there are now, INBOX first (RFC 3501 section 6.3.8)."""
        ...

    async def look(self, folder: Folder, mark: Mark | None, since: Instant) -> Look:
        """The messages of `folder` from `mark` on. Without a mark, or when UIDVALIDITY is another: those whose INTERNALDATE is on
        the day before `since` or later. Bounded in count and bytes; `Look.more` asks for another call."""
        ...

    async def idle(self, seconds: float) -> bool:
        """Wait on INBOX until the server announces a change (True) or the time is over (False). An announcement that came between
        the last look at INBOX and this call counts. A server without IDLE is asked by NOOP."""
        ...

    def nudge(self) -> None:
        """Make a running idle(), or the next one, return False at once. The only method that another task may call."""
        ...

    async def present(self, folder: Folder, uidvalidity: int, uids: Sequence[int]) -> tuple[int, ...]:
        """Those of `uids` that are still in the folder; none when UIDVALIDITY is another (EXAMINE, UID SEARCH UID)."""
        ...

    async def remove(self, folder: Folder, uidvalidity: int, uids: Sequence[int]) -> tuple[int, ...]:
        """Delete exactly these messages (UID STORE \\Deleted, UID EXPUNGE; RFC 4315) and nothing else; returns the UIDs that are gone.
        Does nothing if UIDVALIDITY changed or the server has no UIDPLUS and another message bears \\Deleted."""
        ...

    async def close(self) -> None: ...


class Signer(Protocol):
    """Signs a finished message."""

    def sign(self, message: bytes) -> bytes:
        """The message, lines ended by CRLF, with a DKIM-Signature field in front (RFC 6376). Raises SecretError when the key cannot be
        read."""
        ...


class Channel(Protocol):
    """One way to tell people, that is not e-mail."""

    async def tell(self, notice: Notice, deadline: float) -> Telling:
        """Hand over within `deadline` seconds. Never raises for anything that the peer does."""
        ...

    async def close(self) -> None: ...


class Heartbeat(Protocol):
    """The dead-man switch that somebody else watches."""

    async def beat(self, well: bool, detail: str, deadline: float) -> str:
        """Say that a cycle was completed, or that it failed. Empty when it was taken, else why not."""
        ...

    async def close(self) -> None: ...


class Annotator(Protocol):
    """Draws deploys where people look at graphs. Best effort: never raises for anything that the peer does."""

    async def draw(self, annotation: Annotation, deadline: float) -> Drawn | NotTold:
        """Another picture, within `deadline` seconds."""
        ...

    async def stretch(self, number: int, ended: Instant, text: str, deadline: float) -> Drawn | NotTold:
        """The picture `number` becomes a span that ends so, with this text."""
        ...

    async def close(self) -> None: ...


class Resolver(Protocol):
    """Asks the DNS."""

    async def resolve(self, questions: Sequence[Question], deadline: float) -> Mapping[Question, Answer]:
        """An answer to each of them, asked in parallel, within `deadline` seconds in all. Never raises for anything that a server does: an
        answer that did not come says why. Answers may come from a cache that keeps to their TTLs, but never to a question that names its
        server."""
        ...

    async def close(self) -> None: ...


class TransportProbe(Protocol):
    """Looks at mail servers from outside. Submits nothing."""

    async def look(self, endpoints: Sequence[Endpoint], deadline: float) -> Mapping[Endpoint, TransportSeen]:
        """What each of them shows, looked at in parallel, within `deadline` seconds in all. Never raises for anything that a peer does."""
        ...


class SuffixList(Protocol):
    """The public suffix list (publicsuffix.org), by which receivers of RFC 7489 find organizational domains."""

    def registrable(self, domain: str) -> str:
        """The public suffix and one label more; empty when the domain is a public suffix itself."""
        ...


class SourceError(Exception):
    """A source of refunds or confirmations cannot be read. `transient`: it may come back by itself."""

    def __init__(self, detail: str, mend: str, transient: bool = True) -> None:
        super().__init__(f"{detail}; {mend}" if mend else detail)
        self.detail = detail
        self.mend = mend
        self.transient = transient


class LedgerSource(Protocol):
    """Where refunds or confirmations come from. Leaves no trace there."""

    async def read(self, position: str, deadline: float) -> Portion:
        """What came after `position`, as far as one portion reaches; "" is the beginning. Bounded in rows and bytes; at its end too, with
        nothing in it. Within `deadline` seconds; raises SourceError and nothing else."""
        ...

    async def close(self) -> None: ...


class LedgerUnreadable(Exception):
    """The ledger store cannot be used: full, damaged, of a newer version. The text says where and the mend."""


class Ledger(Protocol):
    """Refunds and confirmations, and how they differ. One process owns it. Every method raises LedgerUnreadable."""

    async def begin(self, mark: str) -> bool:
        """Whatever is kept was made under this mark; what was made under another one is forgotten: it cannot be compared. True: it was."""
        ...

    async def reached(self, source: str) -> tuple[str, str]:
        """Where to read on in the source, and what its reader remembers; both empty at first."""
        ...

    async def take(self, taking: Taking) -> Taken:
        """Keep it, all or nothing; taking the same again changes nothing."""
        ...

    async def reconcile(self, windows: Windows, now: float) -> Standing:
        """Compare what has come, or come of age, since the last time. The same whatever the order in which records came."""
        ...

    async def standing(self) -> Standing:
        """As of the last reconciliation."""
        ...

    async def differences(self, wanted: Wanted) -> Page: ...

    async def impact(self, since: float, until: float, provider: str = "") -> Impact:
        """Of what was processed and sent from `since` to `until`, as it stands now."""
        ...

    async def volume(self, since: float, slice_seconds: float) -> tuple[Slice, ...]:
        """What came per slice, the empty ones included, up to the newest record."""
        ...

    async def sources(self) -> tuple[SourceStanding, ...]:
        """Those that were ever read, in the order of their names."""
        ...

    async def purge(self, purge: Purge) -> Purged: ...

    async def close(self) -> None: ...


class JournalUnwritable(Exception):
    """The journal takes no more facts (full or read-only disk). Watching and serving go on; submitting stops."""


class Journal(Protocol):
    """Append-only facts. One process owns it."""

    async def append(self, facts: Sequence[Fact], durable: bool = False) -> tuple[Entry, ...]:
        """Commit the facts together, fsynced first when `durable`; returns after the commit and after the views have folded them.
        Raises JournalUnwritable."""
        ...

    async def read(self, after: int, limit: int = 500) -> tuple[Entry, ...]:
        """Up to `limit` facts with seq > after, in order."""
        ...

    async def wait(self, after: int) -> None:
        """Return when there is a fact with seq > after."""
        ...

    @property
    def last(self) -> int:
        """The highest committed seq; 0 when empty."""
        ...
