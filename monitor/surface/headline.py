"""The one sentence at the top of every view. Made from the status document alone, so that page, terminal and API cannot disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from monitor.rules.words import lapse

Document = Mapping[str, Any]
NAMED = 3  # routes or mailboxes that the sentence names


class Mood(StrEnum):
    """What the sentence is about, the worst first. Only GOOD is good: of what was not seen lately nothing good is said."""

    PAGE = "page"  # an incident that wakes people
    BLIND = "blind"  # nothing at all is known
    TICKET = "ticket"
    PAUSED = "paused"
    STALE = "stale"  # of some routes or mailboxes nothing is known
    CHECKING = "checking"  # a suspicion is being confirmed, or a last probe did not pass
    STARTING = "starting"  # nothing was judged yet, and nothing is late
    GOOD = "good"


WORDS = {
    Mood.PAGE: "PAGE",
    Mood.BLIND: "BLIND",
    Mood.TICKET: "TICKET",
    Mood.PAUSED: "PAUSED",
    Mood.STALE: "STALE",
    Mood.CHECKING: "CHECKING",
    Mood.STARTING: "STARTING",
    Mood.GOOD: "OK",
}
_WHERE = {
    "all": "on every path",
    "ledger": "in the ledger",
    "provider": "at",
    "mailbox": "in mailbox",
    "deploy": "by deploy",
    "domain": "at",
}


def headline(document: Document) -> dict[str, object]:
    """{word, text, severity} of a document of schema `mailcanary.status/v1`; `severity` is a Mood."""
    mood, text = _said(document)
    return {"word": WORDS[mood], "text": text, "severity": mood.value}


def urgency(row: Document) -> tuple[bool, ...]:
    """The order of incidents in every view: what pages, what is no part of another one, what waits for somebody; else as they come, the
    newest first."""
    held = bool(row["acknowledged_by"] or row["silenced_until"])
    return row["state"] != "open", row["severity"] != "page", bool(row["parent"]), held


def _said(document: Document) -> tuple[Mood, str]:
    found, dark = document["incidents"], _dark(document)
    if found["pages"]:
        return Mood.PAGE, _with(_broken(document, "page", found["pages"], found["parts"]), _blindness(document) or dark)
    if blindness := _blindness(document):
        return Mood.BLIND, blindness
    if found["tickets"]:
        return Mood.TICKET, _with(_broken(document, "ticket", found["tickets"]), dark)
    if paused := document["paused"]:
        why = f" ({paused['reason']})" if paused["reason"] else ""
        return Mood.PAUSED, f"submission is paused by {paused['by']} since {clock(paused['since'], document['at'])}{why}; {_seen(document)}"
    if dark:
        return Mood.STALE, f"{dark}; {_seen(document)}"
    if document["evidence"]["last_at"] is None:
        return Mood.STARTING, "no probe was judged yet: nothing is known"
    if doubts := _doubts(document):
        return Mood.CHECKING, f"{doubts}; {_seen(document)}"
    routes = document["evidence"]["routes"]
    return Mood.GOOD, f"{f'all {routes} routes pass' if routes > 1 else 'the one route passes'}, {_seen(document)}"


def _broken(document: Document, severity: str, number: int, parts: int = 0) -> str:
    """How many, and the most urgent. The parts of what pages rang nobody: they are counted apart."""
    rows = [row for row in document["incidents"]["list"] if row["state"] == "open" and row["severity"] == severity]
    first = min(rows, key=urgency)
    heads = number - parts
    incidents = f"{heads} {'incident' if heads == 1 else 'incidents'}"
    counted = f"{incidents} for the working day" if severity == "ticket" else f"{incidents} {'pages' if heads == 1 else 'page'}"
    if parts:
        counted += f", {parts} more {'is a part' if parts == 1 else 'are parts'} of {'it' if heads == 1 else 'them'}"
    title = first["title"]
    what = title if title[:2].isupper() else title[:1].lower() + title[1:]
    kind, _, name = first["scope"].partition(":")
    where = f"{',' if ',' in what else ''} {_WHERE.get(kind, f'on {kind}')} {name}".rstrip()
    hands = f", acknowledged by {first['acknowledged_by']}" if first["acknowledged_by"] else ""
    quiet = f", silenced until {clock(first['silenced_until'], document['at'])}" if first["silenced_until"] else ""
    better = ", recovering" if first["recovering"] else ""
    return f"{counted}: {what}{where} since {clock(first['since'], document['at'])} ({first['id']}{better}{hands}{quiet})"


def _blindness(document: Document) -> str:
    """Why nothing at all is known; empty: something is, or it is too early to say."""
    evidence = document["evidence"]
    if not document["journal_writable"]:
        return f"the journal cannot be written, so nothing is tried; {_seen(document)}"
    if not evidence["routes"]:
        return "no route is configured: nothing is watched"
    late = evidence["last_at"] is not None or bool(evidence["stale"])
    if evidence["fresh"] == 0 and late and not evidence["paused"]:
        return f"no route has fresh evidence: nothing is known; {_seen(document)}"
    return ""


def _dark(document: Document) -> str:
    evidence = document["evidence"]
    if evidence["last_at"] is None and not evidence["stale"]:
        routes: list[str] = []
    else:
        routes = [*evidence["stale"], *evidence["unknown"]]
    boxes = [row["mailbox"] for row in document["mailboxes"] if row["state"] == "blind"]
    parts = [f"nothing is known of {named(routes)}"] if routes else []
    if boxes:
        parts.append(f"{'mailbox' if len(boxes) == 1 else 'mailboxes'} {named(boxes)} cannot be looked into")
    return "; ".join(parts)


def _doubts(document: Document) -> str:
    bad = [row["route"] for row in document["routes"] if row["verdict"] == "fail"]
    suspected = document["incidents"]["suspected"]
    parts = [f"{suspected} {'suspicion is' if suspected == 1 else 'suspicions are'} being confirmed"] if suspected else []
    if bad:
        parts.append(f"the last probe did not pass on {named(bad)}")
    return "; ".join(parts)


def _seen(document: Document) -> str:
    age = document["evidence"]["age_seconds"]
    return "no probe was judged yet" if age is None else f"last evidence {lapse(age)} ago"


def _with(text: str, more: str) -> str:
    return f"{text}; {more}" if more else text


def named(names: Sequence[str], most: int = NAMED) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def clock(text: str, now: str) -> str:
    """The minute of an ISO 8601 instant, UTC; with its date unless that is the one of `now`."""
    return f"{text[11:16]}Z" if text[:10] == now[:10] else f"{text[:10]} {text[11:16]}Z"
