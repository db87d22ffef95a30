"""Which folders are watched, and what a message in one of them means (RFC 6154 special-use, names where the server has none)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from monitor.model.mail import Folder, Placement
from monitor.model.policy import FolderNames

JUNK = "\\junk"
# views of messages that lie elsewhere too (Gmail), and places that the owner fills; nothing there is an arrival
_IGNORED = frozenset({"\\all", "\\important", "\\flagged", "\\trash", "\\sent", "\\drafts", "\\noselect", "\\nonexistent"})
_PREFIX = re.compile(r"(?:inbox[./\\]|\[(?:gmail|google mail)\]/)", re.IGNORECASE)
_ORDER = (Placement.INBOX, Placement.SPAM, Placement.TAB, Placement.OTHER)


@dataclass(frozen=True, slots=True)
class Layout:
    """The watched folders: INBOX, then spam folders, tabs, the rest. Without has_spam: "no spam folder found; set folders.spam"."""

    places: tuple[tuple[Folder, Placement], ...]
    has_spam: bool


def place(folder: Folder, names: FolderNames, has_junk: bool = False) -> Placement | None:
    """What a message in `folder` counts as; None: the folder is not watched.

    INBOX is INBOX whatever its attributes (RFC 3501 section 5.1). Attributes come next, then the configured names: ignored folders and
    tabs always, spam folders only while no folder of the mailbox bears \\Junk (`has_junk`).
    """
    if folder.name.upper() == "INBOX":
        return Placement.INBOX
    if JUNK in folder.attributes:
        return Placement.SPAM
    if folder.attributes & _IGNORED:
        return None
    called = _spellings(folder.name)
    if called & _folded(names.tabs):
        return Placement.TAB
    if not has_junk and called & _folded(names.spam):
        return Placement.SPAM
    return None if called & _folded(names.ignore) else Placement.OTHER


def layout(folders: Iterable[Folder], names: FolderNames) -> Layout:
    folders = tuple(folders)
    has_junk = any(JUNK in folder.attributes for folder in folders)
    places = [(folder, placed) for folder in folders if (placed := place(folder, names, has_junk)) is not None]
    places.sort(key=lambda item: _ORDER.index(item[1]))  # stable: the server's order within
    return Layout(tuple(places), any(placed is Placement.SPAM for _, placed in places))


def _spellings(name: str) -> frozenset[str]:
    """The name as it stands and without the prefix of a server that keeps all folders below INBOX or [Gmail]."""
    return _folded((name, _PREFIX.sub("", name, count=1) if _PREFIX.match(name) else name))


def _folded(names: Iterable[str]) -> frozenset[str]:
    return frozenset(unicodedata.normalize("NFC", name).casefold() for name in names)
