"""The status in a terminal: all of it, in any width, and nothing that steers the terminal."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from monitor.model.facts import Reconciled, SilencePlanned
from monitor.model.incident import IncidentId, Scope, ScopeKind, SilenceId
from monitor.model.ledger import ClassStanding, DifferenceClass, Standing
from monitor.model.mail import BlindCause
from monitor.model.probe import Purpose
from monitor.ports import MailboxError
from monitor.surface.board import MOST_INCIDENTS, board, news_key, news_line
from monitor.surface.headline import headline
from monitor.surface.status import status
from tests.stages.house import House, policy, seed
from tests.stages.test_incident import two_paths
from tests.stages.virtual import virtual
from tests.surface import happenings as so
from tests.surface.books import with_ledger


def drawn(document: dict[str, Any], width: int = 160, lost: str = "", colours: bool = False) -> str:
    paper = io.StringIO()
    Console(file=paper, width=width, highlight=False, force_terminal=colours or None).print(board(document, width, lost))
    return paper.getvalue()


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """After some probes on two paths: an incident and a suspicion, a silence, a deploy, a ledger, a blind mailbox."""
    found: list[dict[str, Any]] = []

    @virtual
    async def live() -> None:
        house = House(so.with_channels(with_ledger(two_paths(tmp_path_factory.mktemp("policy"), 2))))
        async with house.running():
            await house.sleep(10)
            for _ in range(3):
                await house.plan.plan_now(list(house.policy.routes), Purpose.SCHEDULED)
                await house.sleep(60)
            house.accounts[seed(1)].fail(MailboxError(BlindCause.AUTH_REFUSED, "NO login of seed1@box.test refused", "set the password"))
            await house.sleep(60)
        at, seq = house.clock.now(), house.journal.last
        await house.journal.append(
            [
                so.opened(at),
                so.suspected(at, IncidentId("INC-2")),
                so.notified(at, seq + 1),
                so.failed(at, seq + 1, "chat"),
                so.deployed(at, "d-1", service="checkout-api", version="v512"),
                SilencePlanned(at, SilenceId("SIL-1"), "ann", "a move", at.utc - 5, at.utc + 600, (Scope(ScopeKind.PATH, "app"),)),
                Reconciled(at, Standing(2, 1, classes=(ClassStanding(DifferenceClass.MISSING, 1, 1),))),
            ]
        )
        found.append(json.loads(json.dumps(status(house.desk))))

    live()
    return found[0]


def test_shows_all_that_the_page_shows(document: dict[str, Any]) -> None:
    lines = drawn(document).splitlines()
    assert lines[0].startswith(f" PAGE  {document['headline']['text']}")
    assert lines[1].startswith("test, instance one, mailcanary ") and "routes fresh" in lines[2]
    text = "\n".join(lines)
    assert "via relay" in text and "via app" in text and "pass 1000 ms" in text and "ago" in text and "█" in text
    for part in (
        "seed-1 provider-1 auth_refused: NO login of ***@box.test refused; set the password",
        "Refund confirmations overdue, none arriving: the app path fails at every provider",
        "INC-2",
        "deploy d-1 finish",
        "path:app: a move",
        "1 missing, compared 00:0",
        "channel pager",
        "failing since 00:0",
    ):
        assert part in " ".join(text.split()), part


@pytest.mark.parametrize("width", [40, 60, 80, 120, 160, 300])
def test_fits_its_width(document: dict[str, Any], width: int) -> None:
    lines = drawn(document, width).splitlines()
    assert max(map(len, lines)) <= width
    assert ("via relay" in "\n".join(lines)) is (width >= 120), "narrower, each route has a line of its own"
    assert "INC-1" in "\n".join(lines)


def test_no_colour_unless_the_terminal_has_some(document: dict[str, Any]) -> None:
    assert "\x1b" not in drawn(document) and "\x1b[" in drawn(document, colours=True)


def test_what_is_lost_says_so_first(document: dict[str, Any]) -> None:
    first, second, *_ = drawn(document, lost="what follows is 14.0 s old; no answer").splitlines()
    assert first.startswith(" NO ANSWER  what follows is 14.0 s old") and second.startswith(" PAGE ")


def spoilt(value: Any, words: str) -> Any:
    """Every text that somebody else may have had a hand in."""
    if isinstance(value, dict):
        kept = ("severity", "state", "verdict", "at", "since", "begins", "until", "last_evidence_at", "reconciled_at", "sent_at")
        return {key: each if key in kept or key.endswith("_at") else spoilt(each, words) for key, each in value.items()}
    if isinstance(value, list):
        return [spoilt(each, words) for each in value]
    return words if isinstance(value, str) else value


@pytest.mark.parametrize("words", [so.HOSTILE, "\x1b[2J\x1b]0;pwned\x07", "[red]x[/red] [/] [link=file:///]", "\u202e\u2066", "x" * 3_000])
def test_nothing_steers_the_terminal(document: dict[str, Any], words: str) -> None:
    hostile = spoilt(document, words)
    for width in (60, 400):
        text = drawn(hostile, width)
        assert all(char.isprintable() or char == "\n" for char in text)
    assert "[bold]all is well[/]" in drawn(hostile, 400) if words == so.HOSTILE else True
    assert "[link=file:///]" in drawn(hostile, 400) if "link" in words else True


@virtual
async def test_an_empty_house(tmp_path: Path) -> None:
    text = drawn(json.loads(json.dumps(status(House(policy(tmp_path)).desk))))
    assert text.startswith(" STARTING  no probe was judged yet") and "waiting" in text
    assert "incidents" not in text and "silences" not in text and "ledger" not in text


def test_a_mood_of_a_newer_daemon_is_shown(document: dict[str, Any]) -> None:
    newer = document | {"headline": {"word": "STRANGE", "text": "what", "severity": "odd"}}
    assert drawn(newer).startswith(" STRANGE  what")
    older = {key: value for key, value in document.items() if key != "silences"}
    assert "silences" not in drawn(older)


def test_too_many_are_counted(document: dict[str, Any]) -> None:
    row = document["incidents"]["list"][0]
    many = document | {"incidents": document["incidents"] | {"open": 60, "suspected": 0, "list": [row] * 50}}
    assert f"and {60 - MOST_INCIDENTS} more" in drawn(many)


def test_what_waits_for_somebody_is_not_cut_off_by_what_is_newer(document: dict[str, Any]) -> None:
    page = document["incidents"]["list"][0]
    tickets = [page | {"id": f"INC-{number}", "severity": "ticket"} for number in range(40, 17, -1)]
    held = page | {"id": "INC-9", "acknowledged_by": "ann"}
    many = document | {"incidents": document["incidents"] | {"open": 25, "suspected": 0, "list": [*tickets, held, page]}}
    text = drawn(many)
    assert text.index("\nINC-1 ") < text.index("\nINC-9 ") < text.index("\nINC-40 ")
    assert f"and {25 - MOST_INCIDENTS} more" in text


def test_news_is_what_happened_and_not_that_time_went_by(document: dict[str, Any]) -> None:
    later = json.loads(json.dumps(document))
    later["at"] = "2026-09-21T09:00:00.000Z"
    later["evidence"]["age_seconds"] += 100
    later["headline"] = headline(later)
    assert news_key(later) == news_key(document)
    for change in (
        lambda doc: doc["incidents"]["list"].pop(),
        lambda doc: doc["incidents"]["list"][0].update(acknowledged_by="ann"),
        lambda doc: doc["routes"][0].update(reason="missing"),
        lambda doc: doc["mailboxes"][1].update(state="blind"),
        lambda doc: doc["headline"].update(severity="blind"),
        lambda doc: doc.update(silences=[]),
    ):
        other = json.loads(json.dumps(document))
        change(other)
        assert news_key(other) != news_key(document)
    assert news_line(document).startswith("2026-09-21T00:0") and "Z PAGE: 1 incident pages" in news_line(document)


def test_a_probe_that_failed_is_an_x_in_its_sparkline(document: dict[str, Any]) -> None:
    other = json.loads(json.dumps(document))
    recent = other["routes"][0]["recent"]
    recent.append({**recent[0], "verdict": "fail", "reason": "late", "transit_seconds": 1.0})
    recent.append({**recent[0], "verdict": None, "reason": None, "transit_seconds": None})
    assert re.search("[▁-█]x ", drawn(other)) and not re.search("[▁-█]x ", drawn(document))
