"""An audit as Markdown: a comment on a pull request. Whatever a zone says is shown letter by letter."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.surface.audit.document import Document
from monitor.surface.audit.findings import BAD, Group, final_line, groups, providers, standing, tally, whence, worst_first
from monitor.surface.gate.safe import LONGEST_REASON
from monitor.surface.gate.summary import SIGN, escaped

LONGEST = 60_000  # bytes; a comment may have 65,536 characters
MOST_DOMAINS = 200  # in the table
MOST_ROWS = 12  # results of one check


def markdown(document: Document) -> str:
    """At most LONGEST bytes, whole parts only."""
    domains = worst_first(document["domains"])
    parts = [f"## {SIGN.get(document['verdict'], '')} {escaped(final_line(document), 2 * LONGEST_REASON)}"]
    if document["wanted"] > 1:
        parts.append(_table(domains))
    for domain in domains:
        if document["wanted"] == 1 or domain["verdict"] != "pass" or domain["counts"]["warning"]:
            parts += _domain(domain, document["wanted"] > 1)
    parts += [f"note: {escaped(note)}" for note in document["notes"]]
    return _fitted(parts)


def _table(domains: Sequence[Document]) -> str:
    names = providers(domains)
    lines = [f"| domain | verdict | {''.join(f'{escaped(name)} | ' for name in names)}findings |", f"|{' --- |' * (3 + len(names))}"]
    for domain in domains[:MOST_DOMAINS]:
        scores = {answer["name"]: f"{answer['passed']}/{answer['asked']}" for answer in domain["answers"]}
        cells = [domain["domain"], domain["verdict"], *(scores.get(name, "-") for name in names), tally(domain)]
        lines.append(f"| {' | '.join(escaped(cell) for cell in cells)} |")
    if len(domains) > MOST_DOMAINS:
        lines.append(f"| and {len(domains) - MOST_DOMAINS} more |{' |' * (2 + len(names))}")
    return "\n".join(lines)


def _domain(domain: Document, headed: bool) -> list[str]:
    parts = [f"### {escaped(domain['domain'])} {SIGN.get(domain['verdict'], '')} {escaped(tally(domain))}"] if headed else []
    if domain["answers"]:
        parts.append("\n".join(f"- {escaped(answer['line'])}" for answer in domain["answers"]))
    parts += [_group(group) for group in groups(domain, BAD)]
    if unseen := groups(domain, ("unknown",)):
        lines = [f"- {group.id} {escaped(row['about'])}: {escaped(row['saw'])}" for group in unseen for row in group.rows[:MOST_ROWS]]
        parts.append("\n".join(["**Could not be seen**", "", *lines]))
    if drifts := standing(domain["drifts"]):
        lines = [f"- {drift['severity']}: {escaped(drift['what'])} ({drift['state']})" for drift in drifts[:MOST_ROWS]]
        parts.append("\n".join(["**Changed since the baseline**", "", *lines]))
    parts.append(f"Sends from: {escaped(whence(domain))}")
    return parts


def _group(group: Group) -> str:
    sign = {"critical": "🔴", "error": "🟠", "warning": "🟡", "info": "🔵"}.get(group.severity, "")
    lines = [f"#### {sign} {group.id} {group.severity}: {escaped(group.title)}", ""]
    lines += [f"- {escaped(row['about'])}: {escaped(row['saw'], 2 * LONGEST_REASON)}" for row in group.rows[:MOST_ROWS]]
    if len(group.rows) > MOST_ROWS:
        lines.append(f"- and {len(group.rows) - MOST_ROWS} more")
    for label, texts in (("Why", (group.why,)), ("Mend", group.mends)):
        for text in texts[:MOST_ROWS]:
            if text:
                lines += ["", f"**{label}:** {escaped(text, 2 * LONGEST_REASON)}"]
    for publish in group.publishes[:MOST_ROWS]:
        lines += ["", _fenced(publish)]
    return "\n".join(lines)


def _fenced(text: str) -> str:
    """A block of code, to be copied; its fence is longer than any run of backticks in it."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}dns\n{text}\n{fence}"


def _fitted(parts: Sequence[str]) -> str:
    kept: list[str] = []
    size = 0
    for at, part in enumerate(parts):
        size += len(part.encode()) + 2
        if size > LONGEST:
            kept.append(f"... and {len(parts) - at} parts more, which found no room; the JSON document has them all")
            break
        kept.append(part)
    return "\n\n".join(kept) + "\n"
