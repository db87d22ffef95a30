"""A gate for GitHub Actions: workflow commands and step outputs. Nothing that stands in a mail may become a command of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from monitor.surface.gate.lines import Document, excuses, verdict_of
from monitor.surface.gate.safe import LONGEST_NAME, LONGEST_REASON, safe

MOST_OTHERS = 9  # annotations beside the first: a step shows ten of a kind
MOST_MASKS = 50
ANNOTATION = {"pass": "notice", "fail": "error", "inconclusive": "error", "error": "error", "pending": "warning"}
_ADDRESS = re.compile(
    r"(?:\"[^\"]{1,320}\"|[^\s<>()\[\],;:@*\"'=][^\s<>()\[\],;:@*]{0,319})(?:@|%40)(?:\[[^\s\]]{1,250}\]|[^\s<>()\[\],;:@\"'=]{1,250})"
)


def github_commands(document: Document, token: str) -> str:
    """Lines for stdout. `token`: fresh and random for each call; between the lines that bear it the runner obeys nothing."""
    verdict = verdict_of(document)
    found = f" (found {safe(document['found'], LONGEST_NAME)})" if document["found"] != document["verdict"] else ""
    title = f"mailcanary gate {verdict.upper()}{found}"
    message = " ".join([safe(document["reason"], LONGEST_REASON), *excuses(document)]) + f"; next: {safe(document['next_step'])}"
    kind = "warning" if found else ANNOTATION[verdict]
    lines = [f"::add-mask::{_data(address)}" for address in _addresses(document)]
    lines.append(command(kind, title, message))
    lines += _others(document)
    if dump := _dump(document):
        lines += [f"::stop-commands::{token}", *dump, f"::{token}::"]
    return "\n".join(lines) + "\n"


def github_outputs(document: Document) -> str:
    """Lines for $GITHUB_OUTPUT; every value is one line."""
    values = {
        "verdict": verdict_of(document),
        "gate_id": safe(document["id"], LONGEST_NAME),
        "report_url": safe(document["report_url"]),
        "reason": " ".join([safe(document["reason"], LONGEST_REASON), *excuses(document)]),
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def command(kind: str, title: str, message: str) -> str:
    return f"::{kind} title={_property(title)}::{_data(message)}"


def _others(document: Document) -> list[str]:
    """Warnings about the checks that failed, then what the gate could not see."""
    failed = [row for row in document["checks"] if row["verdict"] == "fail"]
    lines = [
        command("warning", safe(f"{row['name']} on {row['route']}", 2 * LONGEST_NAME), safe(f"{row['observed']}; {row['threshold']}"))
        for row in failed
    ]
    lines += [command("notice", "mailcanary gate could not see", safe(text)) for text in document["unseen"]]
    return lines[:MOST_OTHERS]


def _dump(document: Document) -> list[str]:
    """What peers said, which may stand in a log, but not be obeyed."""
    lines = []
    if example := document["example"]:
        lines.append(safe(f"worst: probe {example['probe_id']} on {example['route']}, {example['reason']}: {example['said']}"))
    for row in document["checks"]:
        if row["verdict"] == "fail":
            lines += [safe(f"{row['name']} {row['route']} {each['probe_id']}: {each['reply']}") for each in row["evidence"]]
    return lines


def _addresses(document: Document) -> list[str]:
    """Whatever looks like an address: none in a document of ours, so this is for one that comes from elsewhere."""
    found = dict.fromkeys(match for text in _texts(document) for match in _ADDRESS.findall(text[: 64 * 1024]))
    return list(found)[:MOST_MASKS]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
