"""The corpus of journal mailboxes: tests/corpus_journal/NAME.eml against NAME.expect.json, by patterns and by the shop's template."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from monitor.model.address import Address
from monitor.model.ledger import SCALE, Confirmation, Mails, Outcome
from monitor.model.mail import Copy, Folder
from monitor.model.policy import FolderNames, LoginMethod, MailboxName, MailboxPolicy, Role, Security
from monitor.model.secret import SecretRef, SecretSource
from monitor.model.sources import MailboxSource, Match
from monitor.rules.reconcile.known import Known
from monitor.rules.reconcile.mails import confirmations_of_mails

CORPUS = Path(__file__).parents[2] / "corpus_journal"
CASES = sorted(CORPUS.glob("*.eml"))
TEMPLATE = (CORPUS / "template.txt").read_text(encoding="utf-8")
WAYS = {
    "patterns": {"number": r"\b(RF-\d+)\b", "amount": r"(?:Amount|Betrag|Montant)[\s:]{1,20}(\S[^\n]{0,40})(?=\n|\Z)"},
    "template": {"template": TEMPLATE},
}
JOURNAL = MailboxPolicy(
    name=MailboxName("journal"),
    role=Role.SEED,
    provider="own",
    address=Address.parse("journal@shop.example"),
    host="imap.shop.example",
    port=993,
    security=Security.TLS,
    ca_file=None,
    username="journal",
    password=SecretRef(SecretSource.ENV, "JOURNAL_PASSWORD"),
    login=LoginMethod.LOGIN,
    folders=FolderNames(),
    authserv_ids=(),
    plus_tags=False,
    clean_up=False,
    clean_up_after=0.0,
    daily_budget=0,
)


def known_of(expect: dict[str, Any]) -> Known:
    return Known(
        key=b"k" * 32,
        match=Match(expect.get("match", "refund")),
        seeds=frozenset(Address.parse(seed) for seed in expect.get("seeds", ())),
        holding=frozenset(Address.parse(holding) for holding in expect.get("holding", ())),
        providers={"customer.example": "customers"},
        numbers=frozenset(expect.get("numbers", ())),
    )


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def copy_of(raw: bytes, expect: dict[str, Any], uid: int = 7) -> Copy:
    received = seconds(expect.get("internaldate", "2024-05-01T10:15:05Z"))
    return Copy(Folder("INBOX", "INBOX"), 1, uid, len(raw), received, raw[: expect.get("truncate", len(raw))])


def wanted(confirmation: dict[str, Any], known: Known) -> tuple[object, ...]:
    number, to = confirmation["number"], confirmation["to"]
    figure, currency = confirmation["amount"].split()
    amount, at = int(Decimal(figure) * SCALE), seconds(confirmation["at"])
    return (
        number,
        amount,
        currency,
        at,
        known.recipient(to),
        known.provider(to),
        confirmation["outcome"],
        confirmation.get("resend", False),
        7,
    )


def got(record: Confirmation) -> tuple[object, ...]:
    assert Outcome(record.outcome)
    return (record.key, *record[2:])


def ways(expect: dict[str, Any]) -> list[dict[str, Any]]:
    own = expect.get("source", {})
    return [own] if "number" in own else [WAYS[way] | own for way in expect.get("ways", WAYS)]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.stem) for case in CASES])
def test_case(case: Path) -> None:
    expect = json.loads(case.with_suffix(".expect.json").read_text(encoding="utf-8"))
    known, mails = known_of(expect), Mails((copy_of(case.read_bytes(), expect),))
    for way in ways(expect):
        records, faults, dropped = confirmations_of_mails(mails, MailboxSource(JOURNAL, **way), known)
        assert [fault.what[: len(what)] for fault, what in zip(faults, expect.get("faults", ()), strict=True)] == expect.get(
            "faults", []
        ), way
        assert [got(record) for record in records] == [wanted(confirmation, known) for confirmation in expect["confirmations"]], way
        assert all(fault.line == 7 and fault.mend for fault in faults)
        assert len({record.identity for record in records}) == len(records)
        assert dropped == expect.get("dropped", 0)
        again, _, _ = confirmations_of_mails(mails, MailboxSource(JOURNAL, **way), known)
        assert again == records


def test_the_corpus_is_there() -> None:
    assert len(CASES) >= 20
