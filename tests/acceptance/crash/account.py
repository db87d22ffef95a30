"""Is every probe accounted for exactly once? Asked of what the daemon left behind: its journal, the relay's book, and the mailbox."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from tests.acceptance.conftest import Row

SLACK = 0.1  # seconds between the clocks of two processes on one host, and between a reply and its fact
OUTCOMES = {"accepted", "deferred", "refused", "submit_unknown", "submit_error"}


def accepted_by_token(book: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The relay's entries by the token that the recipient bears."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for entry in book:
        found[entry["recipient"].partition("@")[0].partition("+")[2].lower()].append(entry)
    return found


def faults(rows: Sequence[Row], book: Mapping[str, Sequence[Mapping[str, Any]]], posts: Mapping[str, int]) -> list[str]:
    """What is wrong, one line each; `posts`: how often a probe went out to the application, by probe id."""
    wrong = []
    seqs = [row.seq for row in rows]
    if seqs != sorted(set(seqs)):
        wrong.append("sequence numbers go back or are used twice")
    for probe in [row for row in rows if row.kind == "probe_planned"]:
        own = [row for row in rows if row.key == probe.key]
        mails = book.get(probe.body["token"], [])
        wrong += [f"probe {probe.key} ({probe.body['route']['path']}): {what}" for what in _probe(own, mails, posts.get(probe.key, 0))]
    planned = Counter(row.key for row in rows if row.kind == "probe_planned")
    wrong += [f"probe {key} was planned {count} times" for key, count in planned.items() if count > 1]
    return wrong


def outcome(rows: Sequence[Row], probe: str) -> str:
    """In one word, for the statistics: how the probe ended, and whether its submission was interrupted."""
    own = [row for row in rows if row.key == probe]
    if any(row.kind == "withdrawn" for row in own):
        return "withdrawn"
    reason = next((str(row.body["reason"]) for row in own if row.kind == "judged"), "no verdict")
    interrupted = any(row.kind == "submit_unknown" for row in own)
    return "pass, reply lost" if reason == "pass" and interrupted else reason


def _probe(own: Sequence[Row], mails: Sequence[Mapping[str, Any]], posts: int) -> Iterable[str]:
    kinds = Counter(row.kind for row in own)
    judged = [row.body for row in own if row.kind == "judged"]
    revisions = [fact["revision"] for fact in judged]
    if kinds["withdrawn"]:
        if kinds["withdrawn"] > 1 or judged or kinds["attempted"] or mails:
            yield f"withdrawn, and yet: {dict(kinds)}, {len(mails)} mails"
        return
    if revisions.count(0) != 1:
        yield f"{revisions.count(0)} first verdicts"
    if revisions != list(range(len(revisions))):
        yield f"revisions {revisions}"
    if any((old["reason"], old["also"]) == (new["reason"], new["also"]) for old, new in pairwise(judged)):
        yield "judged again, to the same end"
    if kinds["closed"] != 1:
        yield f"closed {kinds['closed']} times"
    yield from _attempts(own)
    if len(mails) > 1 or posts > 1:
        yield f"submitted more than once: the relay took {len(mails)} mails, the application was asked {posts} times"
    if (mails or posts) and not kinds["attempted"]:
        yield "submitted without an attempt on record"
    places = Counter(
        (row.body["mailbox"], row.body["folder"], row.body["uidvalidity"], row.body["uid"]) for row in own if row.kind == "sighted"
    )
    if any(count > 1 for count in places.values()):
        yield f"sighted twice in one place: {places}"
    if judged and kinds["attempted"]:
        yield from _verdict(own, judged, mails)
    if kinds["sighted"] != kinds["cleaned_up"]:
        yield f"{kinds['sighted']} copies sighted, {kinds['cleaned_up']} cleaned up"


def _attempts(own: Sequence[Row]) -> Iterable[str]:
    """Attempt and outcome in turns, numbered; another attempt only where nothing can have been handed over."""
    story = [row for row in own if row.kind == "attempted" or row.kind in OUTCOMES]
    for number, row in enumerate(story):
        if (row.kind == "attempted") != (number % 2 == 0):
            yield f"attempts and outcomes do not alternate: {[r.kind for r in story]}"
            return
        if row.body["attempt"] != number // 2 + 1:
            yield f"attempt numbers: {[(r.kind, r.body['attempt']) for r in story]}"
        if row.kind == "attempted" and number and story[number - 1].body.get("retry_in") is None:
            yield f"attempted again after {story[number - 1].kind}"
    if len(story) % 2:
        yield "an attempt without an outcome"


def _verdict(own: Sequence[Row], judged: Sequence[Mapping[str, Any]], mails: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """The lab is healthy, so the truth is known: what it took arrived at once, and what it did not take arrived nowhere. On a machine
    that is so busy that a submission takes seconds, the truth may be another; then the relay's own clock must say so."""
    attempted = next(row.at for row in own if row.kind == "attempted")
    limits = next(row for row in own if row.kind == "probe_planned").body["deadlines"]
    gave_up = {row.body.get("retry_in", 0) for row in own if row.kind in ("deferred", "submit_error")}
    allowed = {"pass"}
    if not mails:
        allowed = {"submit_unknown"}
        if None in gave_up:
            allowed |= {"deferred", "submit_unreachable"}
        if any(row.kind == "submit_error" and row.body["fault"] == "overloaded" for row in own):
            allowed |= {"overloaded"}
    else:
        took = delivered(mails) - attempted
        if took > limits["late_after"] - SLACK:
            allowed |= {"late"}
        if took > limits["missing_after"] - SLACK:
            allowed |= {"submit_unknown"}
    for reason in (judged[0]["reason"], judged[-1]["reason"]):
        if reason not in allowed:
            how = f"delivered {delivered(mails) - attempted:.2f} s after the first attempt" if mails else "never reached the relay"
            yield f"{how}, judged {reason}: {judged[0]['explanation']}"


def delivered(mails: Sequence[Mapping[str, Any]]) -> float:
    return datetime.fromisoformat(mails[0]["at"]).timestamp()


def came_too_late(rows: Sequence[Row], book: Mapping[str, Sequence[Mapping[str, Any]]]) -> set[str]:
    """Tokens of probes whose mail arrived when nobody looked for it any more: it is not cleaned up."""
    found = set()
    for row in rows:
        if row.kind == "probe_planned" and (mails := book.get(row.body["token"])):
            attempted = [other.at for other in rows if other.kind == "attempted" and other.key == row.key]
            if not attempted or delivered(mails) - attempted[0] > row.body["deadlines"]["missing_after"] - SLACK:
                found.add(row.body["token"])
    return found
