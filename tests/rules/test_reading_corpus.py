"""The corpus: tests/corpus/NAME.eml, read as the watcher reads it, against NAME.expect.json.

`given` says what the watcher knows beside the bytes; `expect` is what comes of them. After a wanted change, or for a new NAME.eml,
`MAILCANARY_CORPUS=rewrite pytest tests/rules/test_reading_corpus.py` writes `expect` anew; read the diff before you keep it.
Own, uncommitted mail can be run too: MAILCANARY_CORPUS_DIR=DIRECTORY.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monitor.rules.mailauth.authres import authentication
from monitor.rules.match import Alien, Bounce, Match, Ours, RefundShaped, Unrelated, match
from monitor.rules.reading import Reading, altered, read
from tests.corpus.world import CONTEXT, PLAN, ROUTE

FOLDERS = [Path(__file__).parent.parent / "corpus", *(Path(name) for name in [os.environ.get("MAILCANARY_CORPUS_DIR")] if name)]
CASES = sorted(path for folder in FOLDERS for path in folder.glob("*.eml"))
REWRITE = os.environ.get("MAILCANARY_CORPUS") == "rewrite"
GIVEN = {"shows": "", "trusted": ["mx.mailbox.example"], "truncated": False}


def seen(raw: bytes, given: dict[str, Any]) -> dict[str, Any]:
    reading = read(raw, given["truncated"])
    context = replace(CONTEXT, trusted=tuple(given["trusted"]))
    fields, notes = altered(reading, PLAN.expectation)
    auth = authentication(reading.authentication, given["trusted"])
    return {
        "match": describe(match(reading, ROUTE.mailbox, context)),
        "altered": [field.value for field in fields],
        "notes": list(notes),
        "auth": {"spf": auth.spf.value, "dkim": auth.dkim.value, "dmarc": auth.dmarc.value, "by": auth.authserv_id},
        "reading": describe_reading(reading),
    }


def describe(found: Match) -> str:
    match found:
        case Ours(probe, carriers):
            return f"ours {probe} by {', '.join(carrier.value for carrier in carriers)}"
        case Alien(kind):
            return f"alien: {kind.value}"
        case Bounce(probe, dsn):
            return f"bounce of {probe}: {dsn.action} {dsn.status} {dsn.diagnostic}"
        case RefundShaped(why):
            return f"refund-shaped: {why}"
        case Unrelated(why):
            return f"unrelated: {why}"


def describe_reading(reading: Reading) -> dict[str, Any]:
    return {
        "subject": reading.subject,
        "author": str(reading.author or ""),
        "text": (reading.text or "")[:200],
        "html": (reading.html or "")[:200],
        "tokens": [f"{carrier.value}: {text}" for carrier, text in reading.tokens],
        "quoted": list(reading.quoted),
        "amounts": list(reading.amounts),
        "refund_shaped": reading.refund_shaped,
        "derived": reading.derived,
        "dsn": reading.dsn is not None,
        "partial": reading.partial,
    }


@pytest.mark.parametrize("eml", CASES, ids=lambda path: path.stem)
def test_corpus(eml: Path) -> None:
    paper = eml.with_suffix(".expect.json")
    known = json.loads(paper.read_text("utf-8")) if paper.exists() else {}
    given = GIVEN | known.get("given", {})
    found = seen(eml.read_bytes(), given)
    if REWRITE:
        paper.write_text(json.dumps({"given": given, "expect": found}, indent=2, ensure_ascii=False) + "\n", "utf-8")
        return
    assert found == known.get("expect"), f"{eml.stem}: {given['shows']}"


def test_the_corpus_is_complete() -> None:
    assert len(CASES) >= 40
    papers = {path.name.removesuffix(".expect.json") for path in FOLDERS[0].glob("*.expect.json")}
    assert papers == {path.stem for path in CASES if path.parent == FOLDERS[0]}
