"""IMAP commands on one account's mailboxes (RFC 3501 section 6.3 and 6.4), without any I/O.

Each command is a generator: it yields what to write and returns the text of the tagged OK. So a slow reader holds up
its own session only, and the commands can be tested without a socket.
"""

from collections.abc import Callable, Generator, Iterator

from monitor.lab import mutf7
from monitor.lab.imap_answers import (
    fetch_line,
    flag_list,
    list_line,
    list_pattern,
    status_line,
)
from monitor.lab.imap_search import Candidate, UnknownCharset, compile_search
from monitor.lab.imap_syntax import (
    Atom,
    FetchItem,
    SyntaxFault,
    Token,
    fetch_items,
    number_set,
    parse_date_time,
    text_of,
    word_of,
    words_of,
)
from monitor.lab.imap_view import Refused, Selected
from monitor.lab.store import Account, Folder, Listener, MailStore, StoredMessage, StoreFull

MAX_PATTERN = 200
MAX_WILDCARDS = 8
MAX_FLAGS = 64

Answer = Generator[bytes, None, str]

_SYSTEM_FLAGS = {flag.lower(): flag for flag in ("\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen")}


class MailboxCommands:
    """The commands of one authenticated session."""

    def __init__(self, store: MailStore, account: Account, on_change: Listener) -> None:
        self.store = store
        self.account = account
        self.selected: Selected | None = None
        self._on_change = on_change

    def find(self, name: str) -> Callable[[list[Token]], Answer]:
        """The command of a name such as `UID FETCH`; SyntaxFault when there is none or it needs a selected mailbox."""
        command = _ANY_TIME.get(name)
        if command is None:
            command = _SELECTED_ONLY.get(name)
            if command is None:
                raise SyntaxFault("unknown command")
            if self.selected is None:
                raise SyntaxFault("no mailbox selected")
        bound = command
        return lambda args: bound(self, args)

    def leave(self) -> None:
        """Deselect."""
        if self.selected is not None:
            self.selected.folder.listeners.discard(self._on_change)
            self.selected = None

    # -- mailboxes ---------------------------------------------------------------------------------------------------

    def _folder(self, token: Token, *, code: str = "NONEXISTENT") -> Folder:
        try:
            name = mutf7.decode(text_of(token).decode("ascii"))
        except (ValueError, UnicodeDecodeError) as error:
            raise Refused("[CANNOT] Not a mailbox name") from error
        folder = self.account.folder(name)
        if folder is None:
            raise Refused(f"[{code}] No such mailbox")
        if not folder.selectable:
            raise Refused("[CANNOT] Mailbox is not selectable")
        return folder

    def _list(self, args: list[Token], verb: str = "LIST") -> Answer:
        """RFC 3501 section 6.3.8 with the parts of RFC 5258 and RFC 6154 that clients use."""
        left = list(args)
        special = self.account.provider.special_use
        only_special = False
        if left and isinstance(left[0], list):
            only_special = "SPECIAL-USE" in [word.upper() for word in words_of(left.pop(0))]
        if len(left) not in (2, 4) or (len(left) == 4 and word_of(left[2]) != "RETURN"):
            raise SyntaxFault("LIST needs a reference and a pattern")
        if not special and (only_special or len(left) == 4):
            raise SyntaxFault("LIST-EXTENDED is not offered here")
        patterns = left[1] if isinstance(left[1], list) else [left[1]]
        reference = text_of(left[0])
        delimiter = self.account.provider.delimiter
        for pattern_token in patterns:
            pattern = reference + text_of(pattern_token)
            if not pattern:
                yield f'* {verb} (\\Noselect) "{delimiter}" ""\r\n'.encode("ascii")
                continue
            if len(pattern) > MAX_PATTERN or pattern.count(b"*") + pattern.count(b"%") > MAX_WILDCARDS:
                raise SyntaxFault("pattern too long")
            matcher = list_pattern(pattern.decode("latin-1"), delimiter)
            for folder in self.account.folders.values():
                if matcher.match(mutf7.encode(folder.name)):
                    yield from self._list_one(verb, folder, delimiter, only_special)
        return f"{verb} completed"

    def _list_one(self, verb: str, folder: Folder, delimiter: str, only_special: bool) -> Iterator[bytes]:
        uses = [name for name in folder.attributes if name != "\\Noselect"]
        if only_special and not uses:
            return
        inside = folder.name + delimiter
        children = any(name.startswith(inside) for name in self.account.folders)
        shown = ["\\HasChildren" if children else "\\HasNoChildren"]
        shown += [] if folder.selectable else ["\\Noselect"]
        shown += uses if self.account.provider.special_use else []
        yield list_line(verb, folder, shown, delimiter)

    def _lsub(self, args: list[Token]) -> Answer:
        return (yield from self._list(args, "LSUB"))

    def _namespace(self, args: list[Token]) -> Answer:
        yield f'* NAMESPACE (("" "{self.account.provider.delimiter}")) NIL NIL\r\n'.encode("ascii")
        return "NAMESPACE completed"

    def _status(self, args: list[Token]) -> Answer:
        if len(args) != 2:
            raise SyntaxFault("STATUS needs a mailbox and a list")
        folder = self._folder(args[0])
        try:
            yield status_line(folder, words_of(args[1]))
        except KeyError as error:
            raise SyntaxFault("unknown STATUS item") from error
        return "STATUS completed"

    def _open(self, args: list[Token], *, read_only: bool) -> Answer:
        self.leave()  # RFC 3501 section 6.3.1: deselected even when this one fails
        if len(args) != 1:
            raise SyntaxFault("a mailbox name is expected")
        folder = self._folder(args[0])
        view = Selected(folder, read_only, folder.uidvalidity, expunges=folder.expunges, flag_change=folder.flag_change)
        exists = view.news(may_expunge=True) or b"* 0 EXISTS\r\n"
        self.selected = view
        folder.listeners.add(self._on_change)
        flags = flag_list(_SYSTEM_FLAGS.values())
        yield b"* FLAGS " + flags + b"\r\n" + exists + b"* 0 RECENT\r\n"
        yield b"* OK [PERMANENTFLAGS " + (b"()" if read_only else flags[:-1] + b" \\*)") + b"] Flags\r\n"
        yield b"* OK [UIDVALIDITY %d] UIDs valid\r\n" % folder.uidvalidity
        yield b"* OK [UIDNEXT %d] Next UID\r\n" % folder.uidnext
        return "[READ-ONLY] EXAMINE completed" if read_only else "[READ-WRITE] SELECT completed"

    def _select(self, args: list[Token]) -> Answer:
        return (yield from self._open(args, read_only=False))

    def _examine(self, args: list[Token]) -> Answer:
        return (yield from self._open(args, read_only=True))

    def _append(self, args: list[Token]) -> Answer:
        """RFC 3501 section 6.3.11; APPENDUID from RFC 4315."""
        if not 2 <= len(args) <= 4 or isinstance(args[-1], (Atom, list)):
            raise SyntaxFault("APPEND needs a mailbox and a literal")
        folder = self._folder(args[0], code="TRYCREATE")
        options = args[1:-1]
        flags = self._flags(options.pop(0)) if options and isinstance(options[0], list) else set()
        when = parse_date_time(options.pop(0)) if options else None
        if options:
            raise SyntaxFault("APPEND has too many arguments")
        try:
            message = self.store.append(folder, text_of(args[-1]), flags=flags, internaldate=when)
        except StoreFull as error:
            raise Refused("[OVERQUOTA] Mailbox is full") from error
        yield b""
        return f"[APPENDUID {folder.uidvalidity} {message.uid}] APPEND completed"

    # -- the selected mailbox ----------------------------------------------------------------------------------------

    def _view(self, *, writable: bool = False) -> Selected:
        assert self.selected is not None  # find() has made sure
        if writable and self.selected.read_only:
            raise Refused("[READ-ONLY] Mailbox was opened with EXAMINE")
        return self.selected

    def _chosen(self, token: Token, uid: bool) -> list[tuple[int, StoredMessage]]:
        """Messages of a set, with their sequence numbers."""
        known = self._view().known
        wanted = number_set(token)
        largest = (known[-1].uid if known else 0) if uid else len(known)
        if not uid:
            ranges = wanted.ranges(largest)
            if any(high > largest for _, high in ranges):
                raise SyntaxFault("no such sequence number")
            if len(ranges) == 1:
                low, high = ranges[0]
                return list(enumerate(known[max(low, 1) - 1 : high], start=max(low, 1)))
        return [(number, message) for number, message in enumerate(known, start=1) if wanted.holds(message.uid if uid else number, largest)]

    @staticmethod
    def _flags(token: Token) -> set[str]:
        """Flags as we keep them; \\Recent is the server's own (RFC 3501 section 2.3.2)."""
        words = words_of(token)
        if len(words) > MAX_FLAGS or any(len(word) > 100 for word in words):
            raise Refused("[LIMIT] Too many flags")
        return {_SYSTEM_FLAGS.get(word.lower(), word) for word in words if word.lower() != "\\recent"}

    def _close(self, args: list[Token]) -> Answer:
        view = self._view()
        if not view.read_only:
            self.store.expunge(view.folder, [m for m in view.folder.messages if "\\Deleted" in m.flags])
        self.leave()
        yield b""
        return "CLOSE completed"

    def _unselect(self, args: list[Token]) -> Answer:
        self.leave()
        yield b""
        return "UNSELECT completed"

    def _check(self, args: list[Token]) -> Answer:
        yield b""
        return "CHECK completed"

    def _search(self, args: list[Token], uid: bool = False) -> Answer:
        known = self._view().known
        try:
            matches = compile_search(args)
        except UnknownCharset as error:
            raise Refused("[BADCHARSET (US-ASCII UTF-8)] Unknown charset") from error
        last_uid = known[-1].uid if known else 0
        found = [
            message.uid if uid else number
            for number, message in enumerate(known, start=1)
            if matches(Candidate(number, message, len(known), last_uid))
        ]
        yield ("* SEARCH" + "".join(f" {number}" for number in found) + "\r\n").encode("ascii")
        return "SEARCH completed"

    def _fetch(self, args: list[Token], uid: bool = False) -> Answer:
        if len(args) != 2:
            raise SyntaxFault("FETCH needs a set and attributes")
        view = self._view()
        items = fetch_items(args[1])
        if uid and all(item.name != "UID" for item in items):
            items.insert(0, FetchItem("UID"))
        marks_seen = not view.read_only and any(not item.peek for item in items)
        for number, message in self._chosen(args[0], uid):
            if marks_seen:
                view.folder.set_flags(message, message.flags | {"\\Seen"})
            yield fetch_line(number, message, items)
        return "FETCH completed"

    def _store(self, args: list[Token], uid: bool = False) -> Answer:
        if len(args) < 3:
            raise SyntaxFault("STORE needs a set, an action and flags")
        view = self._view(writable=True)
        action = word_of(args[1])
        silent = action.endswith(".SILENT")
        action = action.removesuffix(".SILENT")
        if action not in ("FLAGS", "+FLAGS", "-FLAGS"):
            raise SyntaxFault("unknown STORE action")
        flags = self._flags(args[2] if len(args) == 3 else list(args[2:]))
        shown = [FetchItem("UID"), FetchItem("FLAGS")] if uid else [FetchItem("FLAGS")]
        for number, message in self._chosen(args[0], uid):
            new = {"+FLAGS": message.flags | flags, "-FLAGS": message.flags - flags, "FLAGS": flags}[action]
            view.folder.set_flags(message, set(new))
            if not silent:
                yield fetch_line(number, message, shown)
        return "STORE completed"

    def _expunge(self, args: list[Token], uid: bool = False) -> Answer:
        """EXPUNGE, and UID EXPUNGE (RFC 4315 section 2.1); the EXPUNGE lines come with the session's next look."""
        view = self._view(writable=True)
        if len(args) != (1 if uid else 0):
            raise SyntaxFault("wrong number of arguments")
        among = [message for _, message in self._chosen(args[0], uid)] if uid else view.folder.messages
        self.store.expunge(view.folder, [message for message in among if "\\Deleted" in message.flags])
        yield b""
        return "EXPUNGE completed"

    def _copy(self, args: list[Token], uid: bool = False, move: bool = False) -> Answer:
        """COPY, and MOVE (RFC 6851); COPYUID from RFC 4315."""
        if len(args) != 2:
            raise SyntaxFault("a set and a mailbox are expected")
        view = self._view(writable=move)
        target = self._folder(args[1], code="TRYCREATE")
        chosen = [message for _, message in self._chosen(args[0], uid)]
        verb = "MOVE" if move else "COPY"
        if not chosen:
            return f"{verb} completed"
        try:
            copies = [self.store.append(target, old.raw, flags=old.flags, internaldate=old.internaldate) for old in chosen]
        except StoreFull as error:
            raise Refused("[OVERQUOTA] Mailbox is full") from error
        old_uids, new_uids = (",".join(str(message.uid) for message in group) for group in (chosen, copies))
        code = f"[COPYUID {target.uidvalidity} {old_uids} {new_uids}]"
        if not move:
            return f"{code} COPY completed"
        yield f"* OK {code} Moved\r\n".encode("ascii")
        self.store.expunge(view.folder, chosen)
        return "MOVE completed"


_Command = Callable[[MailboxCommands, list[Token]], Answer]

_ANY_TIME: dict[str, _Command] = {
    "LIST": MailboxCommands._list,
    "LSUB": MailboxCommands._lsub,
    "NAMESPACE": MailboxCommands._namespace,
    "STATUS": MailboxCommands._status,
    "SELECT": MailboxCommands._select,
    "EXAMINE": MailboxCommands._examine,
    "APPEND": MailboxCommands._append,
}
_SELECTED_ONLY: dict[str, _Command] = {
    "CLOSE": MailboxCommands._close,
    "UNSELECT": MailboxCommands._unselect,
    "CHECK": MailboxCommands._check,
    "SEARCH": MailboxCommands._search,
    "FETCH": MailboxCommands._fetch,
    "STORE": MailboxCommands._store,
    "EXPUNGE": MailboxCommands._expunge,
    "COPY": MailboxCommands._copy,
    "MOVE": lambda commands, args: commands._copy(args, move=True),
    "UID SEARCH": lambda commands, args: commands._search(args, uid=True),
    "UID FETCH": lambda commands, args: commands._fetch(args, uid=True),
    "UID STORE": lambda commands, args: commands._store(args, uid=True),
    "UID EXPUNGE": lambda commands, args: commands._expunge(args, uid=True),
    "UID COPY": lambda commands, args: commands._copy(args, uid=True),
    "UID MOVE": lambda commands, args: commands._copy(args, uid=True, move=True),
}

# Commands after which no EXPUNGE may be announced, because their sequence numbers are still in use (RFC 3501, 7.4.1).
HOLDS_NUMBERS = frozenset({"FETCH", "STORE", "SEARCH"})
