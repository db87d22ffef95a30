"""The one sentence at the top: what wins over what, and that only what was seen lately is called good."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monitor.model.facts import Acknowledged
from monitor.model.incident import IncidentId, Phase, Severity
from monitor.model.mail import BlindCause
from monitor.ports import MailboxError
from monitor.surface.headline import WORDS, Mood, headline
from monitor.surface.status import MOST_INCIDENTS, status
from tests.stages.house import House, policy, seed
from tests.stages.virtual import virtual
from tests.surface import happenings as so

Change = Callable[[dict[str, Any]], None]
AT = "2026-09-21T12:00:00.000Z"


def good() -> dict[str, Any]:
    def route(name: str) -> dict[str, Any]:
        return {"route": name, "verdict": "pass"}

    return {
        "at": AT,
        "paused": None,
        "journal_writable": True,
        "evidence": {"last_at": AT, "age_seconds": 12.0, "routes": 2, "fresh": 2, "stale": [], "unknown": [], "paused": False},
        "routes": [route("app/a"), route("app/b")],
        "mailboxes": [{"mailbox": "a", "state": "watching"}, {"mailbox": "b", "state": "watching"}],
        "incidents": {"open": 0, "pages": 0, "parts": 0, "tickets": 0, "suspected": 0, "list": []},
    }


def broken(severity: str, number: int = 1, **more: Any) -> Change:
    row = {
        "id": "INC-1",
        "state": "open",
        "severity": severity,
        "title": "Refund confirmations misrouted",
        "scope": "path:app",
        "since": "2026-09-21T11:02:00.000Z",
        "parent": None,
        "acknowledged_by": None,
        "silenced_until": None,
        "recovering": False,
    }

    def change(document: dict[str, Any]) -> None:
        document["incidents"][f"{severity}s"] += number
        document["incidents"]["list"].append(row | more)

    return change


def parts(number: int) -> Change:
    def change(document: dict[str, Any]) -> None:
        document["incidents"]["parts"] = number

    return change


def aged(document: dict[str, Any]) -> None:
    document["evidence"] |= {"fresh": 0, "stale": ["app/a", "app/b"], "age_seconds": 4000.0}


def half(document: dict[str, Any]) -> None:
    document["evidence"] |= {"fresh": 1, "unknown": ["app/b"]}


def young(document: dict[str, Any]) -> None:
    document["evidence"] |= {"fresh": 0, "unknown": ["app/a", "app/b"], "age_seconds": None, "last_at": None}


def paused(document: dict[str, Any]) -> None:
    document["paused"] = {"by": "ann", "reason": "maintenance", "since": "2026-09-20T11:00:00.000Z"}
    document["evidence"]["paused"] = True


def blind(document: dict[str, Any]) -> None:
    document["mailboxes"][1]["state"] = "blind"


def full(document: dict[str, Any]) -> None:
    document["journal_writable"] = False


def nothing(document: dict[str, Any]) -> None:
    document["evidence"] |= {"routes": 0, "fresh": 0}


def suspected(document: dict[str, Any]) -> None:
    document["incidents"]["suspected"] = 1


def failing(document: dict[str, Any]) -> None:
    document["routes"][0]["verdict"] = "fail"


def untested(document: dict[str, Any]) -> None:
    """Never judged, and too late for it."""
    young(document)
    document["evidence"] |= {"stale": ["app/a", "app/b"], "unknown": []}


PAGE = "1 incident pages: refund confirmations misrouted on path app since 11:02Z (INC-1)"


@pytest.mark.parametrize(
    ("changes", "mood", "text"),
    [
        ((), Mood.GOOD, "all 2 routes pass, last evidence 12.0 s ago"),
        ((broken("page"),), Mood.PAGE, PAGE),
        ((broken("page", 2),), Mood.PAGE, PAGE.replace("1 incident pages", "2 incidents page")),
        ((broken("page", 2), parts(1)), Mood.PAGE, PAGE.replace("pages", "pages, 1 more is a part of it")),
        ((broken("page", 5), parts(3)), Mood.PAGE, PAGE.replace("1 incident pages", "2 incidents page, 3 more are parts of them")),
        ((broken("page"), aged), Mood.PAGE, f"{PAGE}; no route has fresh evidence: nothing is known; last evidence 66m40s ago"),
        ((broken("page"), half), Mood.PAGE, f"{PAGE}; nothing is known of app/b"),
        ((broken("page", acknowledged_by="ann"),), Mood.PAGE, PAGE.replace("INC-1", "INC-1, acknowledged by ann")),
        (
            (broken("page", recovering=True, silenced_until=AT),),
            Mood.PAGE,
            PAGE.replace("INC-1", "INC-1, recovering, silenced until 12:00Z"),
        ),
        ((broken("ticket"), aged), Mood.BLIND, "no route has fresh evidence: nothing is known; last evidence 66m40s ago"),
        (
            (broken("ticket"),),
            Mood.TICKET,
            "1 incident for the working day: refund confirmations misrouted on path app since 11:02Z (INC-1)",
        ),
        ((full,), Mood.BLIND, "the journal cannot be written, so nothing is tried; last evidence 12.0 s ago"),
        ((nothing,), Mood.BLIND, "no route is configured: nothing is watched"),
        ((untested,), Mood.BLIND, "no route has fresh evidence: nothing is known; no probe was judged yet"),
        ((young,), Mood.STARTING, "no probe was judged yet: nothing is known"),
        ((paused, aged), Mood.PAUSED, "submission is paused by ann since 2026-09-20 11:00Z (maintenance); last evidence 66m40s ago"),
        ((half,), Mood.STALE, "nothing is known of app/b; last evidence 12.0 s ago"),
        ((blind,), Mood.STALE, "mailbox b cannot be looked into; last evidence 12.0 s ago"),
        ((suspected,), Mood.CHECKING, "1 suspicion is being confirmed; last evidence 12.0 s ago"),
        ((failing,), Mood.CHECKING, "the last probe did not pass on app/a; last evidence 12.0 s ago"),
    ],
)
def test_the_sentence(changes: tuple[Change, ...], mood: Mood, text: str) -> None:
    document = copy.deepcopy(good())
    for change in changes:
        change(document)
    assert headline(document) == {"word": WORDS[mood], "text": text, "severity": mood.value}


@pytest.mark.parametrize(
    ("title", "scope", "words"),
    [
        (
            "SPF of a sending domain is broken",
            "domain:shop.test",
            "SPF of a sending domain is broken at domain shop.test".replace("at domain", "at"),
        ),
        ("Refund confirmations overdue, none arriving", "all", "refund confirmations overdue, none arriving, on every path"),
        ("Refunds without a confirmation", "ledger", "refunds without a confirmation in the ledger"),
        ("Seed mailbox cannot be looked into", "mailbox:a", "seed mailbox cannot be looked into in mailbox a"),
    ],
)
def test_what_and_where(title: str, scope: str, words: str) -> None:
    document = good()
    broken("page", title=title, scope=scope)(document)
    assert f": {words} since " in str(headline(document)["text"])


def test_the_whole_speaks_for_its_parts() -> None:
    document = good()
    broken("page", id="INC-2", parent="INC-1")(document)
    broken("page")(document)
    assert "(INC-1)" in str(headline(document)["text"]) and WORDS.keys() == set(Mood)


@pytest.mark.parametrize("more", [{"acknowledged_by": "ann"}, {"silenced_until": "2026-09-21T13:00:00.000Z"}, {"parent": "INC-9"}])
def test_what_nobody_has_yet_is_named_first(more: dict[str, Any]) -> None:
    document = good()
    broken("page", id="INC-3", **more)(document)
    broken("page", id="INC-2")(document)
    broken("page", id="INC-1")(document)
    assert "(INC-2)" in str(headline(document)["text"]), "the newest that waits for somebody"


def test_of_what_is_in_somebodys_hands_the_whole_is_named() -> None:
    document = good()
    broken("page", id="INC-2", parent="INC-1")(document)
    broken("page", acknowledged_by="ann")(document)
    assert "(INC-1, acknowledged by ann)" in str(headline(document)["text"])


@virtual
async def test_of_a_house(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=2))
    assert status(house.desk)["headline"] == {
        "word": "STARTING",
        "text": "no probe was judged yet: nothing is known",
        "severity": "starting",
    }
    async with house.running():
        await house.sleep(10)
        await house.probe()
        await house.sleep(30)
        assert told(house) == {"word": "OK", "text": "all 2 routes pass, last evidence 29.0 s ago", "severity": "good"}
        house.accounts[seed(2)].fail(MailboxError(BlindCause.AUTH_REFUSED, "NO", "set the password"))
        await house.sleep(30)
        assert told(house)["severity"] == "stale" and "seed-2 cannot be looked into" in told(house)["text"]
        await house.sleep(7200)
        assert told(house)["severity"] == "blind", "silence is never health"
    at = house.clock.now()
    await house.journal.append([so.opened(at), Acknowledged(at, so.INC, "ann", "")])
    assert told(house)["severity"] == "page" and "acknowledged by ann" in told(house)["text"]


@virtual
async def test_a_page_is_not_lost_among_many_tickets(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    at = house.clock.now()
    tickets = [
        so.transition(at, Phase.OPENED, IncidentId(f"INC-{number}"), severity=Severity.TICKET) for number in range(2, MOST_INCIDENTS + 9)
    ]
    await house.journal.append([so.opened(at), *tickets])
    document = json.loads(json.dumps(status(house.desk)))
    assert (document["incidents"]["pages"], document["incidents"]["tickets"]) == (1, MOST_INCIDENTS + 7)
    assert document["incidents"]["list"][0]["id"] == "INC-1" and "(INC-1)" in document["headline"]["text"]


@virtual
@pytest.mark.parametrize(("whole", "parts"), [(Severity.PAGE, 2), (Severity.TICKET, 0)], ids=["of a page", "of a ticket: they rang"])
async def test_parts_of_a_page_are_counted_apart(tmp_path: Path, whole: Severity, parts: int) -> None:
    house = House(policy(tmp_path))
    at = house.clock.now()
    within = [so.opened(at, IncidentId(f"INC-{number}"), parent=so.INC) for number in (2, 3)]
    await house.journal.append([so.opened(at, severity=whole), *within])
    assert status(house.desk)["incidents"]["parts"] == parts  # type: ignore[index]
    assert ("2 more are parts of it" in told(house)["text"]) == bool(parts)


def told(house: House) -> dict[str, Any]:
    return json.loads(json.dumps(status(house.desk)["headline"]))
