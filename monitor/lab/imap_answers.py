"""Rendering IMAP answers (RFC 3501 section 7): FETCH data, LIST lines, strings; and the broken lines of a fault."""

import re
from collections.abc import Iterable
from datetime import datetime

from monitor.lab import mutf7
from monitor.lab.imap_syntax import FetchItem
from monitor.lab.store import Folder, StoredMessage

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

MALFORMED = (
    b"* \xff\xfe\x00 not ascii\r\n",
    b'* 1 FETCH (FLAGS (\\Seen) BODY[HEADER.FIELDS (SUBJECT)] "never closed\r\n',
    b"* 99999999999999999999999 EXISTS\r\n",
    b"* -1 EXPUNGE\r\n",
    b'* LIST (((((\\HasNoChildren "/\r\n',
    b"*\r\n",
    b"garbage without a tag or a star\r\n",
    b"* OK " + b"x" * 100_000 + b"\r\n",
)


def quoted(text: str) -> bytes:
    """A quoted string; only for ASCII text of our own, such as a wire name of a mailbox."""
    return b'"' + text.encode("ascii").replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def internaldate(when: datetime) -> bytes:
    """`"01-Feb-1994 12:00:00 +0000"`, in English whatever the locale."""
    zone = when.strftime("%z")
    return f'"{when.day:02d}-{_MONTHS[when.month - 1]}-{when:%Y %H:%M:%S} {zone}"'.encode("ascii")


def flag_list(flags: Iterable[str]) -> bytes:
    """`(\\Seen $Label)`."""
    return b"(" + " ".join(sorted(flags)).encode("ascii") + b")"


def section_of(message: StoredMessage, item: FetchItem) -> bytes:
    """The octets that BODY[section] names."""
    if item.section == "":
        data = message.raw
    elif item.section == "TEXT":
        data = message.raw[len(message.header) :]
    elif item.section == "HEADER":
        data = message.header
    else:
        wanted = {name.lower() for name in item.fields}
        keep = item.section == "HEADER.FIELDS"
        lines = [text for name, text in message.header_fields() if (name.lower() in wanted) is keep]
        data = b"".join(lines) + b"\r\n"
    if item.partial is not None:
        first, count = item.partial
        data = data[first : first + count]
    return data


def fetch_line(number: int, message: StoredMessage, items: list[FetchItem]) -> bytes:
    """One untagged FETCH response; bodies always as literals."""
    parts: list[bytes] = []
    for item in items:
        name = item.name.encode("ascii")
        if item.section is not None:
            data = section_of(message, item)
            parts.append(name + b" {%d}\r\n" % len(data) + data)
        elif item.name == "UID":
            parts.append(b"UID %d" % message.uid)
        elif item.name == "FLAGS":
            parts.append(b"FLAGS " + flag_list(message.flags))
        elif item.name == "INTERNALDATE":
            parts.append(b"INTERNALDATE " + internaldate(message.internaldate))
        else:
            parts.append(b"RFC822.SIZE %d" % len(message.raw))
    return b"* %d FETCH (" % number + b" ".join(parts) + b")\r\n"


def list_line(verb: str, folder: Folder, attributes: Iterable[str], delimiter: str) -> bytes:
    """One untagged LIST or LSUB response."""
    shown = " ".join(attributes)
    return f'* {verb} ({shown}) "{delimiter}" '.encode("ascii") + quoted(mutf7.encode(folder.name)) + b"\r\n"


def status_line(folder: Folder, wanted: list[str]) -> bytes:
    """One untagged STATUS response; raises KeyError for an unknown item."""
    values = {
        "MESSAGES": len(folder.messages),
        "RECENT": 0,
        "UIDNEXT": folder.uidnext,
        "UIDVALIDITY": folder.uidvalidity,
        "UNSEEN": sum("\\Seen" not in message.flags for message in folder.messages),
    }
    shown = " ".join(f"{item.upper()} {values[item.upper()]}" for item in wanted)
    return b"* STATUS " + quoted(mutf7.encode(folder.name)) + f" ({shown})\r\n".encode("ascii")


def list_pattern(pattern: str, delimiter: str) -> re.Pattern[str]:
    """A LIST pattern as a regex: `*` matches all, `%` all but the delimiter; INBOX in any case."""
    collapsed = re.sub(r"[*%]*\*[*%]*", "*", pattern)  # runs of wildcards would backtrack without end
    collapsed = re.sub(r"%+", "%", collapsed)
    not_delimiter = f"[^{re.escape(delimiter)}]*"
    source = "".join(".*" if char == "*" else not_delimiter if char == "%" else re.escape(char) for char in collapsed)
    return re.compile(source + r"\Z", re.I if collapsed.upper() == "INBOX" else 0)
