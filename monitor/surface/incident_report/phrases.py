"""The words of an incident report. They blame nobody, and claim no cause."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from monitor.model.incident import Opening
from monitor.rules.words import lapse

Document = Mapping[str, Any]

NOT_MEASURED = "not measured"
NOT_RECORDED = "not recorded"
SHORTEST_NAME = 2  # characters of a person's name that is taken out of texts: a single letter is a word of its own too often

DETECTED = {
    Opening.AT_ONCE: "what one mail showed, which cannot be a blip",
    Opening.CONFIRMED: "a probe that did not pass, and confirm probes that did not pass either",
    Opening.STALLED: "probes that were overdue everywhere on a path, while the control path arrived",
    Opening.SUSTAINED: "nothing good from one place for a long time",
    Opening.LOSSY: "single losses, too many of them",
    Opening.BLIND: "the monitor could not look, or could not submit",
    Opening.ITSELF: "the monitor's own checks of itself",
    Opening.HELD: "a release gate that did not pass",
    Opening.DIFFERENCE: "the comparison of real refunds with their confirmations",
    Opening.FINDING: "two inspections of a sending domain that agreed",
}


def length(seconds: float) -> str:
    """42.0 s, 4m10s, 3h05m, 2d04h."""
    minutes = int(seconds) // 60
    if minutes < 60:
        return lapse(seconds)
    hours = minutes // 60
    return f"{hours}h{minutes % 60:02d}m" if hours < 48 else f"{hours // 24}d{hours % 24:02d}h"


@dataclass(frozen=True, slots=True)
class People:
    """Names that a report leaves out: of those who acted, wherever they stand; of those who `marked` a deploy or cancelled a gate only
    after "by ", for a pipeline does that too, and may be called like what it deploys."""

    acted: frozenset[str] = frozenset()
    marked: frozenset[str] = frozenset()


def nameless(text: str, people: People) -> str:
    """Without the names of the people who acted: a review is about what happened."""
    found = [(name, r"(?<!\w)") for name in people.acted] + [(name, r"(?<=\bby )") for name in people.marked - people.acted]
    known = sorted((each for each in found if len(each[0]) >= SHORTEST_NAME), key=lambda each: (-len(each[0]), each))
    if not known:
        return text
    return re.sub(rf"(?:{'|'.join(f'{before}{re.escape(name)}' for name, before in known)})(?!\w)", "on-call", text)


def summary(story: Document, detection: Document) -> str:
    """One paragraph: what, where, from when to when, how it was found, what is thought of it, what it meant."""
    ended = story["resolved_at"]
    span = f"from {when(story['since'])} to {when(ended)}" if ended else f"since {when(story['since'])}; it is still open"
    parts = [f"{story['title']}, {where(story['scope'])}, {span} ({length(story['seconds'])})."]
    opened = next((step for step in detection["steps"] if step["name"] == "opened"), None)
    if opened and opened["seconds_after_began"] is not None:
        how = f", by {detection['by']}" if detection["rule"] else ""
        parts.append(f"It was found {length(opened['seconds_after_began'])} after it began{how}.")
    diagnosis = story["diagnosis"]
    if diagnosis:
        sure = f", confidence {diagnosis['confidence']}" if diagnosis.get("confidence") else ""
        parts.append(f"The evidence points to the layer {diagnosis['layer']}{sure}: {diagnosis['summary']}.")
    parts.append(f"Probes: {probes_text(story['tallies'])}.")
    impact = story["impact_now"] or story["impact"]
    parts.append(f"The ledger: {impact['text'] if impact else NOT_MEASURED}.")
    if story["episode"] > 1:
        parts.append(f"It came back: this is its episode {story['episode']}.")
    return " ".join(parts)


def probes_text(tallies: Iterable[Document]) -> str:
    rows = [f"{row['provider']} via {row['path']} {row['bad']} of {row['sent']} bad" for row in tallies]
    return ", ".join(rows) or NOT_MEASURED


def where(scope: str) -> str:
    kind, _, name = scope.partition(":")
    return {"all": "every path", "ledger": "the ledger"}.get(kind, f"{kind} {name}")


def when(text: str) -> str:
    """An ISO 8601 instant to the second."""
    return f"{text[:10]} {text[11:19]}Z"
