"""What the log says of tripwires: one line each, as loud as it deserves, and nobody's address."""

from __future__ import annotations

import io

import pytest

from monitor.model.facts import Doubted, Entry, Fact, Imitated, Unasked
from monitor.model.instant import Instant
from monitor.model.probe import MailboxName
from monitor.surface.log import Level, Log, LogFormat, describe

AT = Instant(1_790_000_000.0, 5.0, "p")
BOX = MailboxName("trap")
HOSTILE = "no\nall is well\x1b[2J <box+tag@box.test> RF-87654321"


@pytest.mark.parametrize(
    ("fact", "level", "event", "said"),
    [
        (Doubted(AT, BOX, 1, "shop.test", ("a", "b")), Level.WARNING, "doubted", "trap: refund mail that claims to be of shop.test: a; b"),
        (Imitated(AT, BOX, 1, "shop.test", ("a", "b")), Level.WARNING, "imitated", "trap: refund mail that imitates ours: a; b"),
        (Imitated(AT, BOX, 1, "shop.test", ("a",), more=7), Level.WARNING, "imitated", "imitates ours (and 7 before it): a"),
        (Unasked(AT, BOX, "INBOX", "d", "evil.test"), Level.INFO, "unasked", "trap: mail of evil.test in a tripwire: its address is known"),
        (Unasked(AT, BOX, "INBOX", "d", "", 7), Level.INFO, "unasked", "mail of nobody in a tripwire (and 7 before it)"),
    ],
)
def test_lines(fact: Fact, level: Level, event: str, said: str) -> None:
    line = describe(fact)
    assert line is not None
    assert (line[0], line[1], line[3]) == (level, event, {"mailbox": "trap"}) and said in line[2]


@pytest.mark.parametrize("form", list(LogFormat))
@pytest.mark.parametrize(
    "fact",
    [Doubted(AT, BOX, 1, HOSTILE, (HOSTILE,)), Imitated(AT, BOX, 1, HOSTILE, (HOSTILE,)), Unasked(AT, BOX, HOSTILE, HOSTILE, HOSTILE)],
)
def test_what_strangers_write_is_masked(fact: Fact, form: LogFormat) -> None:
    out = io.StringIO()
    Log(form, "test", AT.iso, out).tell(Entry(1, "", fact))
    told = out.getvalue()
    assert told.count("\n") == 1 and "\x1b" not in told and "box+tag" not in told and "87654321" not in told
