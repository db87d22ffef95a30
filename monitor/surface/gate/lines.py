"""The short forms of a gate: the line at the end, the exit code, and what Argo Rollouts reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from monitor.model.verdict import Verdict
from monitor.surface.gate.safe import LONGEST_NAME, LONGEST_REASON, LONGEST_TEXT, safe
from monitor.surface.gate.standing import PENDING

Document = Mapping[str, Any]

LONGEST_LINE = 2 * LONGEST_TEXT + LONGEST_REASON
LONGEST_BODY = 1_024  # bytes of the answer to Argo


def final_line(document: Document) -> str:
    """`GATE PASS|FAIL|INCONCLUSIVE|ERROR|PENDING <id> <reason>`. Who lets a deploy pass stands in it, and what was found all the same."""
    parts = [f"GATE {verdict_of(document).upper()}", safe(document["id"], LONGEST_NAME) or "-"]
    reason = safe(document["reason"], LONGEST_REASON)
    parts.append(f"found {safe(document['found'], LONGEST_NAME)}: {reason}" if document["found"] != document["verdict"] else reason)
    return " ".join([*(part for part in parts if part), *excuses(document)])


def excuses(document: Document) -> list[str]:
    """The override and the advisory that are in force, in brackets."""
    found = []
    if override := document["override"]:
        by, until, why = (safe(override[key], LONGEST_NAME if key == "by" else LONGEST_TEXT) for key in ("by", "until", "reason"))
        found.append(f"(override by {by} until {until}: {why})")
    if advisory := document["advisory"]:
        found.append(f"(advisory until {safe(advisory['until'], LONGEST_NAME)})")
    return found


def verdict_of(document: Document) -> str:
    """The effective verdict. A word that we do not know is inconclusive (it may come from a newer server), never a pass."""
    verdict = str(document["verdict"])
    return verdict if verdict in (*Verdict, PENDING) else Verdict.INCONCLUSIVE.value


def exit_code(document: Document) -> int:
    """0 pass, 1 fail, 3 inconclusive and whatever is undecided, 4 our own fault."""
    verdict = verdict_of(document)
    return Verdict.INCONCLUSIVE.exit_code if verdict == PENDING else Verdict(verdict).exit_code


def argo_body(document: Document) -> dict[str, object]:
    """For the web metric: every key typed, never null, at most LONGEST_BODY bytes as JSON; our own fault is inconclusive there.
    `pending` are those that are waited for."""
    verdict, classes = verdict_of(document), document["classes"]
    reason = " ".join([safe(document["reason"], LONGEST_REASON), *excuses(document)])
    body: dict[str, object] = {
        "verdict": Verdict.INCONCLUSIVE.value if verdict == Verdict.ERROR else verdict,
        "reason": safe(reason, LONGEST_REASON),
        "gate": safe(document["id"], LONGEST_NAME),
        "sent": sum(int(row["sent"]) for row in classes),
        "ok": sum(int(row["good"]) for row in classes),
        "lost": sum(int(row["adverse"]) for row in classes),
        "pending": sum(int(row["pending"]) for row in classes) if document["state"] == "running" else 0,
    }
    most = LONGEST_REASON
    while len(json.dumps(body)) > LONGEST_BODY and most > 10:  # json.dumps writes six or twelve bytes for what is not ASCII
        most -= 10
        body["reason"] = safe(reason, most)
    return body
