"""A gate as JUnit XML: what GitLab, Jenkins and GitHub's reporters read."""

from __future__ import annotations

from datetime import datetime
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from monitor.surface.gate.lines import Document, excuses, final_line, verdict_of
from monitor.surface.gate.safe import LONGEST_NAME, LONGEST_REASON, safe

MOST_CASES = 5_000


def junit(document: Document) -> str:
    """One suite `gate`: the verdict, then one case a check and route, with unique names. A fail is a failure with the evidence in its body;
    inconclusive, error and pending are errors, and nothing is ever skipped, which would be shown as green. Where the gate passes the cases
    pass, and say what was not seen, or was found: nobody believes a green job with failed tests."""
    root = Element("testsuites", name="mailcanary")
    suite = SubElement(root, "testsuite", name="gate", timestamp=safe(document["requested_at"], LONGEST_NAME).removesuffix("Z"))
    properties = SubElement(suite, "properties")
    for name in ("id", "verdict", "found", "because", "reason", "environment", "requested_at", "decided_at", "report_url"):
        SubElement(properties, "property", name=name, value=safe(document[name] or "", LONGEST_REASON))
    excused = document["found"] != document["verdict"] and verdict_of(document) == "pass"
    whole = SubElement(suite, "testcase", classname="gate", name="verdict", time=f"{_seconds(document):.3f}")
    _outcome(whole, document["verdict"], safe(document["reason"], LONGEST_REASON) or "no reason was given", _whole(document))
    if excused:
        SubElement(whole, "system-out").text = final_line(document)
    for row in document["checks"][:MOST_CASES]:
        case = SubElement(suite, "testcase", classname="gate", name=safe(f"{row['name']} {row['route']}", 3 * LONGEST_NAME), time="0")
        body = _evidence(row)
        if row["verdict"] != "pass" and verdict_of(document) == "pass":
            why = f"excused {' '.join(excuses(document))}" if excused else "and the gate passes without it"
            SubElement(case, "system-out").text = f"{safe(row['verdict'])}, {why}\n{body}"
        else:
            _outcome(case, row["verdict"], safe(f"{row['observed']}; {row['threshold']}"), body)
    for element in (root, suite):
        element.set("tests", str(len(suite.findall("testcase"))))
        element.set("failures", str(len(suite.findall("testcase/failure"))))
        element.set("errors", str(len(suite.findall("testcase/error"))))
        element.set("skipped", "0")
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _outcome(case: Element, verdict: str, message: str, body: str) -> None:
    """A word that we do not know is an error, not a success."""
    match verdict:
        case "pass":
            return
        case "fail":
            SubElement(case, "failure", message=message, type="fail").text = f"{message}\n{body}"
        case _:
            SubElement(case, "error", message=message, type=safe(verdict, LONGEST_NAME)).text = f"{message}\n{body}"


def _whole(document: Document) -> str:
    lines = [safe(row["arithmetic"], 2 * LONGEST_REASON) for row in document["classes"]]
    if example := document["example"]:
        lines.append(safe(f"worst: probe {example['probe_id']} on {example['route']} at {example['sent_at']}: {example['said']}"))
    lines += [safe(f"unseen: {text}") for text in document["unseen"]]
    return "\n".join([*lines, safe(f"next: {document['next_step']}", 2 * LONGEST_REASON)])


def _evidence(row: Document) -> str:
    lines = [safe(row["reason"])] if row["reason"] else []
    for each in row["evidence"]:
        seen = f", seen in {each['seen_in']}" if each["seen_in"] else ""
        name = f" (Message-ID {each['message_id_hash']})" if each["message_id_hash"] else ""
        lines.append(safe(f"{each['probe_id']} sent {each['sent_at']}{name}{seen}: {each['reply']}"))
    return "\n".join(lines)


def _seconds(document: Document) -> float:
    """From the request to the decision; 0 while it runs or where the clock was set back."""
    try:
        began, ended = (datetime.fromisoformat(str(document[key])) for key in ("requested_at", "decided_at"))
    except ValueError:
        return 0.0
    return max(0.0, (ended - began).total_seconds())
