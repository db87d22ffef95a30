"""An audit as JUnit XML: a suite for each domain, a case for each check and what it is about."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from monitor.surface.audit.document import LONGEST_RECORD, Document
from monitor.surface.audit.findings import SUSPECT, tally
from monitor.surface.gate.safe import LONGEST_NAME, LONGEST_TEXT, safe

MOST_CASES = 5_000  # of one domain


def junit(document: Document) -> str:
    """Findings are failures when they are critical or errors, warnings only when strict; what could not be seen is an error when its
    failure would be a failure; what has nothing to test is skipped."""
    root = Element("testsuites", name="mailcanary audit")
    for domain in document["domains"]:
        _suite(root, domain, document["strict"])
    missing = document["wanted"] - len(document["domains"])
    if missing > 0:
        suite = SubElement(root, "testsuite", name="not audited")
        case = SubElement(suite, "testcase", classname="audit", name="seen" if document["blind"] else "interrupted", time="0")
        why = safe(document["blind"], LONGEST_TEXT) or f"{missing} domain{'s were' if missing != 1 else ' was'} not audited"
        SubElement(case, "error", message=why, type="inconclusive")
    if document["notes"]:
        SubElement(root[0], "system-out").text = "\n".join(safe(note, LONGEST_TEXT) for note in document["notes"])
    for element in (*root.findall("testsuite"), root):
        element.set("tests", str(len(element.findall(".//testcase"))))
        element.set("failures", str(len(element.findall(".//failure"))))
        element.set("errors", str(len(element.findall(".//error"))))
        element.set("skipped", str(len(element.findall(".//skipped"))))
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _suite(root: Element, domain: Document, strict: bool) -> None:
    suite = SubElement(
        root, "testsuite", name=safe(domain["domain"]), timestamp=domain["at"].removesuffix("Z"), time=f"{domain['seconds']}"
    )
    properties = SubElement(suite, "properties")
    for answer in domain["answers"]:
        SubElement(properties, "property", name=safe(answer["name"], LONGEST_NAME), value=safe(answer["line"]))
    SubElement(properties, "property", name="verdict", value=domain["verdict"])
    if domain["blind"] or domain["fault"] or domain["unheard"]:
        case = SubElement(suite, "testcase", classname=safe(domain["domain"]), name="seen", time="0")
        SubElement(case, "error", message=safe(tally(domain)), type=domain["verdict"]).text = safe(tally(domain))
    known: set[str] = set()
    for row in domain["results"][:MOST_CASES]:
        name = safe(f"{row['id']} {row['about']}".strip(), 3 * LONGEST_NAME)
        while name in known:  # cut, two names may be the same
            name += "'"
        known.add(name)
        case = SubElement(suite, "testcase", classname=safe(domain["domain"]), name=name, time="0")
        _outcome(case, row, strict)


def _outcome(case: Element, row: Document, strict: bool) -> None:
    message, body = safe(row["saw"]) or row["status"], _body(row)
    grave = row["severity"] in SUSPECT
    match row["status"]:
        case "fail" | "warn" if grave or (strict and row["severity"] == "warning"):
            SubElement(case, "failure", message=message, type=row["severity"]).text = body
        case "unknown" if grave:
            SubElement(case, "error", message=message, type="unknown").text = body
        case "skip":
            SubElement(case, "skipped", message=message)
        case "pass":
            pass
        case _:
            SubElement(case, "system-out").text = f"{row['status']} {row['severity']}\n{body}"


def _body(row: Document) -> str:
    pairs = [
        ("saw", safe(row["saw"], 2 * LONGEST_TEXT)),
        ("found", safe(row["record"], LONGEST_RECORD)),
        ("why", safe(row["why"], 2 * LONGEST_TEXT)),
        ("mend", safe(row["mend"], 2 * LONGEST_TEXT)),
        ("publish", row["publish"]),
        ("source", safe(row["source"])),
    ]
    return "\n".join(f"{label}: {text}" for label, text in pairs if text)
