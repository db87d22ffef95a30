"""What `probe` prints for people: a table that reads the same without colour, without terminal, and whatever a folder is called."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from monitor.model.mail import AuthResult
from monitor.surface.report import print_table, seen, speed, where

ABSENT = {"spf": "absent", "dkim": "absent", "dmarc": "absent", "authserv_id": ""}


def row(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "route": "relay/gmail-1", "verdict": "pass", "reason": "pass", "why": "arrived in INBOX 2.1 s after it was accepted",
        "notes": [], "seen_in": "gmail-1", "folder": "INBOX", "placement": "inbox", "submission_seconds": 0.4, "transit_seconds": 2.1,
        "copies": 1, "authentication": ABSENT,
    }  # fmt: skip
    return plain | changes


FAIL = {"verdict": "fail"}
ROWS = [
    row(authentication={**ABSENT, "spf": "pass", "dkim": "pass", "dmarc": "fail"}, notes=["lost on the way: header"]),
    row(route="app/gmail-1", **FAIL, reason="misrouted", seen_in="holding", why="arrived in INBOX of mailbox holding, and not in gmail-1"),
    row(
        route="app/yahoo-1", **FAIL, reason="missing", seen_in=None, folder=None, placement=None, transit_seconds=None,
        submission_seconds=None, why="accepted (250 2.0.0 Ok); in none of 6 folders 480 s later",
    ),
    row(route="app/x", verdict="inconclusive", reason=None, seen_in=None, why="stopped before there was a verdict"),
]  # fmt: skip


def printed(rows: list[dict[str, Any]], verdict: str = "fail", **console: Any) -> str:
    out = io.StringIO()
    print_table({"verdict": verdict, "probes": rows}, Console(file=out, highlight=False, **console))
    return out.getvalue()


def test_where_how_fast_what_was_seen_and_why() -> None:
    text = printed(ROWS, width=400)
    head, *lines = text.splitlines()
    assert head.split() == ["route", "verdict", "where", "how", "fast", "seen", "why"]
    assert lines[0].startswith("relay/gmail-1") and " pass " in lines[0] and "2.1 s (+400 ms to submit)" in lines[0]
    assert "spf=pass dkim=pass dmarc=fail" in lines[0] and lines[1].strip() == "lost on the way: header"
    assert "fail: misrouted" in lines[2] and "holding: INBOX" in lines[2]
    assert "fail: missing" in lines[3] and "nothing" in lines[3] and "in none of 6 folders" in lines[3]
    assert " inconclusive " in lines[4]
    assert lines[-1] == "PROBE FAIL - 1 pass, 2 fail, 1 inconclusive"


def test_pass_is_not_said_twice() -> None:
    assert "pass: pass" not in printed([row()], "pass", width=300)


def test_without_a_terminal_there_is_no_escape_sequence_and_nothing_is_cut() -> None:
    text = printed(ROWS, width=80, soft_wrap=True)
    assert "\x1b" not in text
    for told in ROWS:
        assert str(told["route"]) in text


def test_no_color_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured = printed(ROWS, width=200, force_terminal=True, color_system="standard")
    assert "\x1b[" in coloured and "31m" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    text = printed(ROWS, width=200, force_terminal=True, color_system="standard")
    assert "31m" not in text and "32m" not in text and "33m" not in text


@pytest.mark.parametrize("width", [60, 80, 120, 500])
def test_every_width(width: int) -> None:
    text = printed(ROWS, width=width)
    assert "relay/gmail-1" in text and "misrouted" in text.replace("\n", "") and text.count("\n") >= 6


def test_folder_names_are_shown_and_never_obeyed() -> None:
    bad = "Jun\x1b[2Jk\n[bold]x[/bold]\x9b"
    text = printed([row(**FAIL, reason="spam", folder=bad, placement="spam", why="[red]not markup[/red] [/]")], width=300)
    assert "\x1b" not in text and "\x9b" not in text
    assert "[bold]x[/bold]" in text and "[red]not markup[/red] [/]" in text
    assert "Jun\\x1b[2Jk\\n" in text


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, "INBOX"),
        ({"folder": "inbox"}, "INBOX"),
        ({"placement": "spam", "folder": "Junk"}, "Junk"),
        ({"seen_in": None}, "-"),
        ({"seen_in": "gmail-2"}, "gmail-2: INBOX"),
        ({"seen_in": "1"}, "1: INBOX"),
    ],
)
def test_where(changes: dict[str, Any], shown: str) -> None:
    assert where(row(**changes)) == shown


@pytest.mark.parametrize(
    ("submission", "transit", "shown"),
    [(0.4, 2.1, "2.1 s (+400 ms to submit)"), (None, None, "-"), (0.4, None, "-"), (0.002, 250.0, "4m10s (+2 ms to submit)")],
)
def test_speed(submission: float | None, transit: float | None, shown: str) -> None:
    assert speed(row(submission_seconds=submission, transit_seconds=transit)) == shown


def test_seen() -> None:
    assert seen(row()) == "no authentication results"
    assert seen(row(copies=3)) == "3 copies, no authentication results"
    assert seen(row(seen_in=None, copies=0)) == "nothing"
    assert seen(row(authentication={**ABSENT, "dkim": AuthResult.NONE.value})) == "dkim=none"
