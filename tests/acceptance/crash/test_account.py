"""The account finds what it is there to find: a healthy life has no fault, and each of these has."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.acceptance.conftest import Row
from tests.acceptance.crash import account

START = 1_800_000_000.0
TOKEN = "a" * 40
PLACE = {"mailbox": "aurora-1", "folder": "INBOX", "uidvalidity": 1, "uid": 3}
Told = list[tuple[str, dict[str, Any]]]

PLANNED = ("probe_planned", {"token": TOKEN, "route": {"path": "p"}, "deadlines": {"late_after": 2.8, "missing_after": 3.0}})
ATTEMPTED = ("attempted", {"attempt": 1})
ACCEPTED = ("accepted", {"attempt": 1})
DEFERRED = ("deferred", {"attempt": 1, "retry_in": 1.0})
UNKNOWN = ("submit_unknown", {"attempt": 1})
AGAIN = (("attempted", {"attempt": 2}), ("accepted", {"attempt": 2}))
SIGHTED = ("sighted", PLACE)
CLOSED: tuple[str, dict[str, Any]] = ("closed", {})
CLEANED = ("cleaned_up", PLACE)
HEALTHY: Told = [PLANNED, ATTEMPTED, ACCEPTED, SIGHTED, ("judged", {}), CLOSED, CLEANED]


def judged(reason: str, revision: int = 0) -> tuple[str, dict[str, Any]]:
    return ("judged", {"reason": reason, "revision": revision, "also": [], "explanation": "because"})


def faults(told: Sequence[tuple[str, dict[str, Any]]], mails: int = 1, took: float = 0.1, posts: int = 0) -> list[str]:
    filled = [judged("pass") if fact == ("judged", {}) else fact for fact in told]
    rows = [Row(seq, kind, "probe", START, body) for seq, (kind, body) in enumerate(filled, 1)]
    mail = {"at": datetime.fromtimestamp(START + took, UTC).isoformat()}
    return account.faults(rows, {TOKEN: [mail] * mails}, {"probe": posts})


def without(*gone: tuple[str, dict[str, Any]]) -> Told:
    return [fact for fact in HEALTHY if fact not in gone]


def instead(old: tuple[str, dict[str, Any]], *new: tuple[str, dict[str, Any]]) -> Told:
    return [fact for known in HEALTHY for fact in (new if known == old else (known,))]


STARVED: Told = [
    PLANNED,
    ATTEMPTED,
    ("submit_error", {"attempt": 1, "retry_in": None, "fault": "overloaded"}),
    judged("overloaded"),
    CLOSED,
]
NOTHING_SEEN = [PLANNED, ATTEMPTED, UNKNOWN, judged("submit_unknown"), CLOSED]


@pytest.mark.parametrize(
    ("told", "more"),
    [
        (HEALTHY, {}),
        (HEALTHY, {"posts": 1}),
        (instead(ACCEPTED, UNKNOWN), {}),
        (instead(ACCEPTED, DEFERRED, *AGAIN), {}),
        (NOTHING_SEEN, {"mails": 0}),
        (STARVED, {"mails": 0}),
        ([PLANNED, ("withdrawn", {})], {"mails": 0}),
    ],
)
def test_good(told: Told, more: dict[str, Any]) -> None:
    assert faults(told, **more) == []


@pytest.mark.parametrize(
    ("told", "more", "what"),
    [
        (HEALTHY, {"mails": 2}, "submitted more than once"),
        (HEALTHY, {"posts": 2}, "submitted more than once"),
        (without(("judged", {})), {}, "0 first verdicts"),
        (instead(("judged", {}), judged("pass"), judged("pass")), {}, "2 first verdicts"),
        (instead(("judged", {}), judged("pass"), judged("pass", 2)), {}, "revisions"),
        (instead(("judged", {}), judged("pass"), judged("pass", 1)), {}, "to the same end"),
        (instead(CLOSED, CLOSED, CLOSED), {}, "closed 2 times"),
        (without(ACCEPTED), {}, "without an outcome"),
        (instead(ACCEPTED, UNKNOWN, ACCEPTED), {}, "do not alternate"),
        (
            instead(ACCEPTED, UNKNOWN, ("attempted", {"attempt": 2}), ("accepted", {"attempt": 2})),
            {},
            "attempted again after submit_unknown",
        ),
        (instead(ACCEPTED, DEFERRED, ATTEMPTED, ACCEPTED), {}, "attempt numbers"),
        (instead(SIGHTED, SIGHTED, SIGHTED), {}, "sighted twice"),
        (without(CLEANED), {}, "0 cleaned up"),
        ([PLANNED, judged("pass"), CLOSED], {}, "without an attempt on record"),
        (instead(("judged", {}), judged("missing")), {}, "judged missing"),
        (instead(("judged", {}), judged("submit_unknown")), {}, "judged submit_unknown"),
        (instead(("judged", {}), judged("missing")), {"took": 9.0}, "judged missing"),
        (HEALTHY, {"mails": 0}, "never reached the relay, judged pass"),
        ([PLANNED, ATTEMPTED, UNKNOWN, judged("overloaded"), CLOSED], {"mails": 0}, "judged overloaded"),
        (STARVED, {}, "judged overloaded"),
        ([PLANNED, ("withdrawn", {})], {}, "withdrawn, and yet"),
        ([PLANNED, *HEALTHY], {}, "planned 2 times"),
    ],
)
def test_bad(told: Told, more: dict[str, Any], what: str) -> None:
    assert any(what in fault for fault in faults(told, **more)), faults(told, **more)
