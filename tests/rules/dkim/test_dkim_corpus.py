"""The corpus: tests/corpus_dkim/NAME.eml, read and verified as the daemon does it, against NAME.expect.json.

NAME.keys.json holds the key records; `given` in NAME.expect.json what is known beside them, `expect` what comes of it. After a wanted
change, or for a new NAME.eml, `MAILCANARY_CORPUS=rewrite pytest tests/rules/dkim/test_dkim_corpus.py` writes `expect` anew; read the diff
before you keep it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from monitor.model.dns import DnsFailure
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth import arc, dkim
from monitor.rules.mailauth.delivered import read_proof
from tests.rules.inspect.worlds import NOW, Dns, World

FOLDER = Path(__file__).parents[2] / "corpus_dkim"
CASES = sorted(FOLDER.glob("*.eml"))
REWRITE = os.environ.get("MAILCANARY_CORPUS") == "rewrite"
GIVEN = {"now": NOW, "truncated": False, "fails": {}}


def seen(raw: bytes, keys: dict[str, list[str]], given: dict[str, Any]) -> dict[str, Any]:
    mail = read_proof(raw, given["truncated"], ())
    dns = Dns(
        {f"{name} TXT": texts for name, texts in keys.items()}, {f"{name} TXT": DnsFailure(how) for name, how in given["fails"].items()}
    )

    def rule(lookup: Lookup) -> dict[str, Any]:
        proofs = [dkim.verify(one, lookup, given["now"]) for one in mail.signatures]
        chain = arc.verify_chain(mail, lookup, given["now"])
        return {
            "signatures": [f"{proof.selector}._domainkey.{proof.domain} {proof.algorithm} {proof.state}: {proof.why}" for proof in proofs],
            "arc": f"{chain.state} {', '.join(chain.sealers)}: {chain.why}",
            "author_domains": list(mail.author_domains),
            "envelope_domain": mail.envelope_domain,
            "faults": list(mail.faults),
            "header_cut": mail.header_cut,
        }

    return World(dns).asked(rule)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    raw = path.read_bytes()
    if b"\r\n" not in raw and "bare-lf" not in path.stem:  # kept with LF, so that an editor can show it
        raw = raw.replace(b"\n", b"\r\n")
    keys, expected = path.with_suffix(".keys.json"), path.with_suffix(".expect.json")
    case = json.loads(expected.read_text()) if expected.exists() else {"given": {}, "expect": {}}
    found = seen(raw, json.loads(keys.read_text()) if keys.exists() else {}, GIVEN | case["given"])
    if REWRITE:
        expected.write_text(json.dumps({"given": case["given"], "expect": found}, indent=2, ensure_ascii=False) + "\n")
    assert found == case["expect"] or REWRITE


def test_corpus_is_not_empty() -> None:
    assert len(CASES) >= 20
