"""The lab's mail store: accounts, folders and messages in memory, with level-triggered wake-ups.

A folder never tells *what* changed, only *that* it changed; a listener compares its own view with the folder.
So a change during a push is seen by the next look and none is lost (the trap that pymap falls into).
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from monitor.lab.providers import FolderSpec, Provider

MAX_MESSAGES_PER_FOLDER = 50_000
MAX_STORE_BYTES = 1 << 30  # all folders together; a message kept in two folders counts twice
MAX_HEADER_BYTES = 1 << 20  # how far we look for the end of a header

Listener = Callable[[], None]


class StoreFull(Exception):
    """A bound of the store is reached: 452 4.2.2 over SMTP, NO [OVERQUOTA] over IMAP (RFC 5530)."""


class UnknownMailbox(LookupError):
    """No account has this address: 550 5.1.1 over SMTP (RFC 3463)."""


@dataclass(slots=True, eq=False)
class StoredMessage:
    """One message in one folder. `modseq` is the folder's change number at the last change of its flags."""

    uid: int
    raw: bytes
    internaldate: datetime
    flags: set[str] = field(default_factory=set)
    modseq: int = 0
    _fields: list[tuple[bytes, bytes]] | None = None

    @property
    def header(self) -> bytes:
        """The header with its empty last line; a message without an empty line is all header, up to the bound."""
        head = self.raw[: MAX_HEADER_BYTES + 4]
        ends = [at + len(mark) for mark in (b"\r\n\r\n", b"\n\n") if (at := head.find(mark)) >= 0]
        return head[: min(ends)] if ends else head[:MAX_HEADER_BYTES]

    def header_fields(self) -> list[tuple[bytes, bytes]]:
        """Header fields in order as (name as written, whole field with its folds and line end); parsed once."""
        if self._fields is None:
            self._fields = self._parse_fields()
        return self._fields

    def _parse_fields(self) -> list[tuple[bytes, bytes]]:
        fields: list[tuple[bytes, bytes]] = []
        for line in self.header.splitlines(keepends=True):
            if line[:1] in (b" ", b"\t") and fields:
                name, text = fields[-1]
                fields[-1] = (name, text + line)
            elif b":" in line:
                fields.append((line.partition(b":")[0].strip(), line))
        return fields


@dataclass(slots=True, eq=False)
class Folder:
    """A mailbox in the sense of RFC 3501; `change` counts all changes, `expunges` those that remove."""

    name: str
    attributes: tuple[str, ...]
    uidvalidity: int
    uidnext: int = 1
    messages: list[StoredMessage] = field(default_factory=list)
    change: int = 0
    expunges: int = 0
    flag_change: int = 0
    listeners: set[Listener] = field(default_factory=set)

    @property
    def selectable(self) -> bool:
        """False for a pure container of other folders."""
        return "\\Noselect" not in self.attributes

    def touch(self) -> None:
        """Wake all who look at this folder."""
        self.change += 1
        for listener in tuple(self.listeners):
            listener()

    def set_flags(self, message: StoredMessage, flags: set[str]) -> None:
        """Replace the flags of one message."""
        if message.flags != flags:
            message.flags = flags
            self.flag_change = message.modseq = self.change + 1
            self.touch()


@dataclass(slots=True, eq=False)
class Account:
    """One mailbox at a provider; the password doubles as its OAuth bearer token."""

    address: str
    password: str
    provider: Provider
    folders: dict[str, Folder]

    def folder(self, name: str) -> Folder | None:
        """Find a folder; INBOX in any case (RFC 3501 section 5.1)."""
        return self.folders.get("INBOX" if name.upper() == "INBOX" else name)


class MailStore:
    """All accounts of the lab. Not thread-safe: it belongs to one event loop."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.accounts: dict[str, Account] = {}
        self.bytes_kept = 0
        self._clock = clock
        self._uidvalidity = itertools.count(int(clock().timestamp()))

    def add_account(self, address: str, password: str, provider: Provider) -> Account:
        """Open an account with its provider's folders."""
        folders = {spec.name: self._new_folder(spec) for spec in provider.folders}
        account = Account(address.lower(), password, provider, folders)
        self.accounts[account.address] = account
        return account

    def _new_folder(self, spec: FolderSpec) -> Folder:
        return Folder(spec.name, spec.attributes, next(self._uidvalidity))

    def resolve(self, address: str) -> Account:
        """The account of an address; `user+tag@domain` goes to `user@domain` (RFC 5233)."""
        local, _, domain = address.lower().rpartition("@")
        account = self.accounts.get(f"{local}@{domain}") or self.accounts.get(f"{local.partition('+')[0]}@{domain}")
        if account is None:
            raise UnknownMailbox(address)
        return account

    def hosts(self, domain: str) -> bool:
        """Whether some account lives in this domain, that is, whether the relay may accept mail for it."""
        suffix = "@" + domain.lower()
        return any(address.endswith(suffix) for address in self.accounts)

    def has_room(self, folder: Folder, size: int) -> bool:
        """Whether a message of this size fits."""
        return len(folder.messages) < MAX_MESSAGES_PER_FOLDER and self.bytes_kept + size <= MAX_STORE_BYTES

    def append(self, folder: Folder, raw: bytes, *, flags: Iterable[str] = (), internaldate: datetime | None = None) -> StoredMessage:
        """Add a message and wake the listeners; raises StoreFull at a bound."""
        if not self.has_room(folder, len(raw)):
            raise StoreFull(folder.name)
        when = internaldate or self._clock()
        message = StoredMessage(folder.uidnext, raw, when.replace(microsecond=0), set(flags))
        folder.uidnext += 1
        folder.messages.append(message)
        self.bytes_kept += len(raw)
        folder.touch()
        return message

    def expunge(self, folder: Folder, doomed: Iterable[StoredMessage]) -> None:
        """Remove messages and wake the listeners."""
        ids = {id(message) for message in doomed}
        gone = [message for message in folder.messages if id(message) in ids]
        if gone:
            folder.messages = [message for message in folder.messages if id(message) not in ids]
            self.bytes_kept -= sum(len(message.raw) for message in gone)
            folder.expunges += 1
            folder.touch()

    def renew_uidvalidity(self, folder: Folder) -> None:
        """What a restored backup or a rebuilt index does: a new UIDVALIDITY, and UIDs start again from 1."""
        folder.uidvalidity = next(self._uidvalidity)
        folder.messages = [
            StoredMessage(uid, old.raw, old.internaldate, set(old.flags)) for uid, old in enumerate(folder.messages, start=1)
        ]
        folder.uidnext = len(folder.messages) + 1
        folder.expunges += 1
        folder.touch()
