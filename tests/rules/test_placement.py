"""Which folders are watched, and as what."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.mail import Folder, Placement
from monitor.model.policy import FolderNames
from monitor.rules.placement import layout, place

NAMES = FolderNames()


def folder(name: str, *attributes: str) -> Folder:
    return Folder(name, name, frozenset(f"\\{attribute}" for attribute in attributes))


@pytest.mark.parametrize(
    ("name", "attributes", "placed"),
    [
        ("INBOX", (), Placement.INBOX),
        ("inbox", (), Placement.INBOX),
        ("INBOX", ("all",), Placement.INBOX),
        ("Werbung", ("junk",), Placement.SPAM),
        ("Junk", (), Placement.SPAM),
        ("SPAM", (), Placement.SPAM),
        ("INBOX.Spam", (), Placement.SPAM),
        ("INBOX/Junk", (), Placement.SPAM),
        ("inbox.junk e-mail", (), Placement.SPAM),
        ("[Gmail]/Spam", (), Placement.SPAM),
        ("[Google Mail]/Spam", (), Placement.SPAM),
        ("Courrier inde\u0301sirable", (), Placement.SPAM),
        ("Projects/Spam", (), Placement.OTHER),
        ("Spam.2025", (), Placement.OTHER),
        ("Junkyard", (), Placement.OTHER),
        ("[Gmail]/All Mail", ("all",), None),
        ("Alle Nachrichten", ("all",), None),
        ("[Gmail]/Wichtig", ("important",), None),
        ("[Gmail]/Starred", ("flagged",), None),
        ("Trash", (), None),
        ("INBOX.Trash", (), None),
        ("Papierkorb", ("trash",), None),
        ("Sent", (), None),
        ("drafts", (), None),
        ("x", ("noselect",), None),
        ("Archive", ("archive",), Placement.OTHER),
        ("Rechnungen", (), Placement.OTHER),
    ],
)
def test_place(name: str, attributes: tuple[str, ...], placed: Placement | None) -> None:
    assert place(folder(name, *attributes), NAMES) is placed


def test_configured_names() -> None:
    names = FolderNames(spam=("Quarantine",), tabs=("Promotions",), ignore=("Spam",))
    assert place(folder("quarantine"), names) is Placement.SPAM
    assert place(folder("INBOX.promotions"), names) is Placement.TAB
    assert place(folder("Spam"), names) is None
    assert place(folder("Trash"), names) is Placement.OTHER


def test_names_are_a_fallback_for_the_attribute() -> None:
    with_attribute = layout([folder("Spam"), folder("Werbung", "junk"), folder("INBOX")], NAMES)
    assert [(f.name, placed) for f, placed in with_attribute.places] == [
        ("INBOX", Placement.INBOX),
        ("Werbung", Placement.SPAM),
        ("Spam", Placement.OTHER),
    ]
    without = layout([folder("Spam"), folder("INBOX")], NAMES)
    assert [placed for _, placed in without.places] == [Placement.INBOX, Placement.SPAM]
    assert with_attribute.has_spam and without.has_spam


def test_no_spam_folder() -> None:
    found = layout([folder("INBOX"), folder("Notes"), folder("Trash")], NAMES)
    assert not found.has_spam
    assert [f.name for f, _ in found.places] == ["INBOX", "Notes"]
    assert layout([], NAMES).places == ()


def test_gmail() -> None:
    folders = [
        folder("INBOX", "hasnochildren"),
        folder("[Gmail]", "haschildren", "noselect"),
        folder("[Gmail]/All Mail", "all", "hasnochildren"),
        folder("[Gmail]/Drafts", "drafts"),
        folder("[Gmail]/Important", "important"),
        folder("[Gmail]/Sent Mail", "sent"),
        folder("[Gmail]/Spam", "junk"),
        folder("[Gmail]/Starred", "flagged"),
        folder("[Gmail]/Trash", "trash"),
    ]
    assert [f.name for f, _ in layout(folders, NAMES).places] == ["INBOX", "[Gmail]/Spam"]


attributes = st.frozensets(st.sampled_from(["\\junk", "\\all", "\\trash", "\\sent", "\\archive", "\\noselect", "\\x"]), max_size=3)


@given(st.lists(st.builds(Folder, st.text(max_size=30), st.text(max_size=5), attributes), max_size=12))
@settings(deadline=None)
def test_any_folders(folders: list[Folder]) -> None:
    found = layout(folders, NAMES)
    assert {f for f, _ in found.places} <= set(folders)
    assert found.has_spam == any(placed is Placement.SPAM for _, placed in found.places)
    if any(f.name.upper() == "INBOX" for f in folders):
        assert found.places[0][1] is Placement.INBOX
