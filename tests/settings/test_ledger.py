"""The section `ledger:`."""
# ruff: noqa: E501

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.model.address import Address
from monitor.model.ledger import Side
from monitor.model.policy import Role, Security
from monitor.model.secret import SecretRef, SecretSource
from monitor.model.sources import (
    Complete,
    FileFormat,
    FilesSource,
    LedgerPages,
    LedgerPolicy,
    MailboxSource,
    Match,
    PostfixSource,
    PushSource,
    RefundStatus,
    SqlSource,
)
from monitor.rules.reconcile.known import Known
from tests.settings.conftest import ENVIRON, GOOD, changed

SECRETS = {**ENVIRON, "LEDGER": "0123456789abcdef0123", "DB": "postgresql://reader:x@db/shop", "JOURNAL": "journal-pw"}
PAIR = "refunds: {pushed: {kind: push}}, confirmations: {sent: {kind: push}}"
WHOLE = """\
ledger:
  match: order
  key: {env: LEDGER}
  refunds:
    shop-db:
      kind: sql
      url: {env: DB}
      query: "SELECT number AS refund, updated_at FROM refunds WHERE updated_at >= :watermark ORDER BY updated_at;"
      watermark: updated_at
      start: "2026-11-01"
      overlap: 2m
      every: 30s
      minor_units: true
    exports:
      kind: files
      path: exports/refunds-*.jsonl
      lag: 1h
      complete: written
      columns: {amount: total, at: Booked}
      decimal: ","
      currency: EUR
      time_zone: Europe/Berlin
      time_format: "%d.%m.%Y"
      statuses: {Settled: processed, Withdrawn: reversed}
    pushed: {kind: push}
  confirmations:
    journal:
      kind: mailbox
      address: journal@example.com
      imap: {host: imap.example.com, password: {env: JOURNAL}}
      number: 'No (RF-[0-9]+)'
      amount: 'Amount: (\\S+)'
      currency: GBP
      resend: 'sent (?:once )?again'
    relay:
      kind: postfix
      path: /var/log/mail.log
      number: 'refund-(RF-[0-9]+)'
      within: subject
      sender: '^refunds@shop[.]example$'
      time_zone: Europe/Berlin
  confirm_within: 2h
  refund_within: 5m
  every: 5s
  retention: 30d
  page: {missing: 10, duplicate: 3}
  volume: false
  copies: [accounting@shop.example, Journal+1@Example.com]
"""


def test_left_out_there_is_none(read):
    policy = read(GOOD).policy.ledger
    assert policy == LedgerPolicy()
    assert not policy.enabled


def test_all_of_it(read, tmp_path: Path):
    policy = read(changed(("", WHOLE)), SECRETS).policy.ledger
    assert policy.enabled and policy.match is Match.ORDER
    assert policy.key == hashlib.sha256(SECRETS["LEDGER"].encode()).digest()
    assert [source.name for source in policy.of(Side.REFUNDS)] == ["shop-db", "exports", "pushed"]
    assert [source.name for source in policy.of(Side.CONFIRMATIONS)] == ["journal", "relay"]
    sql, files, push = (policy.sources[name].via for name in ("shop-db", "exports", "pushed"))
    journal, relay = policy.sources["journal"].via, policy.sources["relay"].via
    assert isinstance(sql, SqlSource) and isinstance(files, FilesSource) and isinstance(push, PushSource)
    assert isinstance(journal, MailboxSource) and isinstance(relay, PostfixSource)
    assert sql.url == SecretRef(SecretSource.ENV, "DB") and sql.query.endswith("ORDER BY updated_at;") and sql.layout.minor_units
    assert (sql.watermark, sql.start, sql.overlap) == ("updated_at", "2026-11-01", 120.0)
    assert files.complete is Complete.WRITTEN
    assert (files.pattern, files.format) == (str(tmp_path / "exports" / "refunds-*.jsonl"), FileFormat.JSONL)
    assert dict(files.layout.columns) == {"amount": "total", "at": "Booked"}
    assert (files.layout.decimal, files.layout.currency, files.layout.time_zone) == (",", "EUR", "Europe/Berlin")
    assert dict(files.layout.statuses) == {"settled": RefundStatus.PROCESSED, "withdrawn": RefundStatus.REVERSED}
    assert (journal.mailbox.host, journal.mailbox.port, journal.mailbox.security) == ("imap.example.com", 993, Security.TLS)
    assert not journal.mailbox.clean_up and journal.mailbox.role is not Role.SEED
    assert (journal.number, journal.currency, journal.resend) == ("No (RF-[0-9]+)", "GBP", "sent (?:once )?again")
    assert (relay.pattern, relay.within, relay.sender) == ("/var/log/mail.log", "subject", "^refunds@shop[.]example$")
    assert [policy.sources[name].lag for name in ("shop-db", "exports", "pushed")] == [0.0, 3600.0, 900.0]
    assert [policy.sources[name].every for name in ("shop-db", "exports", "relay")] == [30.0, 5.0, 2.0]
    assert (policy.confirm_within, policy.refund_within, policy.every, policy.retention) == (7200.0, 300.0, 5.0, 30 * 86_400.0)
    assert policy.pages == LedgerPages(missing=10, duplicate=3) and not policy.volume


def test_the_journal_mailbox_is_no_seed_and_nothing_is_submitted_to_it(read):
    policy = read(changed(("", WHOLE)), SECRETS).policy
    assert not any(box.address == policy.ledger.sources["journal"].via.mailbox.address for box in policy.mailboxes.values())
    assert all(str(address) != "journal@example.com" for address in policy.seeds.addresses)


def test_who_gets_a_copy_is_told_nothing(read):
    policy = read(changed(("", WHOLE)), SECRETS).policy
    known = Known.of(policy)
    for address in ("accounting@shop.example", "Accounting+7@shop.example", "journal@example.com"):
        assert known.is_journal(address)
    assert not known.is_journal("refunds@shop.example")
    (box, *_) = policy.mailboxes.values()
    boxes = {box.name: replace(box, role=Role.HOLDING, address=Address.parse("accounting@shop.example"))}
    parked = Known.of(replace(policy, mailboxes=boxes))
    assert parked.is_holding("accounting@shop.example") and not parked.is_journal("accounting@shop.example")


def test_templates_are_read(read, tmp_path: Path):
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / "subject.txt").write_text("Refund {{ refund_number }}")
    (tmp_path / "mail" / "message.txt").write_text("We owe you {{ amount }}.")
    source = "journal: {kind: mailbox, address: j@example.com, imap: {host: imap.example.com, password: {env: JOURNAL}}, templates: mail}"
    text = f"ledger: {{key: {{env: LEDGER}}, refunds: {{pushed: {{kind: push}}}}, confirmations: {{{source}}}}}\n"
    journal = read(changed(("", text)), SECRETS).policy.ledger.sources["journal"].via
    assert isinstance(journal, MailboxSource)
    assert journal.template == "Refund {{ refund_number }}\nWe owe you {{ amount }}."


def test_it_is_part_of_the_hash_but_its_key_is_not(read):
    def hashed(text: str, key: str = SECRETS["LEDGER"]) -> str:
        return read(changed(("", text)), {**SECRETS, "LEDGER": key}).policy.policy_hash

    base = hashed(f"ledger: {{key: {{env: LEDGER}}, {PAIR}}}\n")
    assert len({base, hashed(""), hashed(f"ledger: {{key: {{env: LEDGER}}, match: order, {PAIR}}}\n")}) == 3
    assert hashed(f"ledger: {{key: {{env: LEDGER}}, {PAIR}}}\n", "another key, long enough") == base


def test_no_secret_is_shown(read):
    policy = read(changed(("", WHOLE)), SECRETS).policy
    shown = repr(policy.ledger)
    assert "reader:x" not in shown and "journal-pw" not in shown
    assert repr(policy.ledger.key) not in shown


def _sql(**keys: str) -> str:
    written = {"url": "{env: DB}", "query": "'SELECT a FROM b WHERE c >= :watermark'", "watermark": "c", "start": "'0'"} | keys
    return "{kind: sql, " + ", ".join(f"{key}: {value}" for key, value in written.items()) + "}"


def _refunds(source: str) -> str:
    return f"{{key: {{env: LEDGER}}, refunds: {{shop: {source}}}, confirmations: {{sent: {{kind: push}}}}}}"


def _confirmations(source: str) -> str:
    return f"{{key: {{env: LEDGER}}, refunds: {{shop: {{kind: push}}}}, confirmations: {{sent: {source}}}}}"


JOURNAL = "kind: mailbox, address: j@example.com, imap: {host: imap.example.com, password: {env: JOURNAL}}"
FAULTS = [
    ("{refunds: {shop: {kind: push}}, key: {env: LEDGER}}", "ledger.refunds: has nothing to be compared with: ledger.confirmations names no source"),
    ("{confirmations: {shop: {kind: push}}}", "ledger.confirmations: has nothing to be compared with: ledger.refunds names no source"),
    (f"{{{PAIR}}}", "ledger: has no key; write key: {file: secrets/ledger-key}; make one with: openssl rand -hex 32"),
    (f"{{key: {{env: SHORT}}, {PAIR}}}", "ledger.key: is shorter than 16 bytes; make one with: openssl rand -hex 32"),
    (f"{{key: 0123456789abcdef, {PAIR}}}", "ledger.key: is written out here"),
    (f"{{key: {{env: LEDGER}}, retention: 1h, {PAIR}}}", "ledger.retention: forgets refunds before they are judged"),
    (f"{{key: {{env: LEDGER}}, mach: order, {PAIR}}}", "ledger.mach: unknown key; did you mean match?"),
    ("{key: {env: LEDGER}, refunds: {one: {kind: push}}, confirmations: {one: {kind: push}}}", "ledger.confirmations.one: is the name of a source of refunds too"),
    (_refunds("{kind: postfix}"), "ledger.refunds.shop: kind is not one of the known words; write kind: files, kind: sql or kind: push"),
    (_refunds(_sql(url="postgresql://reader:x@db/shop")), "ledger.refunds.shop.url: is written out here"),
    (_refunds(_sql(query="'DELETE FROM refunds WHERE a >= :watermark'")), "query: is no SELECT; write one query that begins with SELECT or WITH; it must only read"),
    (_refunds(_sql(query="'SELECT 1 WHERE 1 >= :watermark; DROP TABLE refunds'")), "query: has several statements; write one SELECT"),
    (_refunds(_sql(query="'SELECT a FROM refunds'")), "query: lacks :watermark; add WHERE updated_at >= :watermark ORDER BY updated_at"),
    (_refunds(_sql(query="'SELECT a::watermark FROM refunds'")), "query: lacks :watermark"),
    (_refunds(_sql(query="'SELECT a FROM b WHERE c >= :watermark AND d = :shop'")), "query: has the parameter :shop; only :watermark and :limit are known"),
    (_refunds(_sql(query="'SELECT a FROM b WHERE c >= :watermark ORDER BY c LIMIT 100'")), "query: takes a fixed number of rows, so nobody knows whether it shows all; write LIMIT :limit, or leave it out"),
    (_refunds("{kind: files, path: a.csv, columns: {total: amount}}"), "is no field of a record"),
    (_refunds("{kind: files, path: a.csv, columns: {amount: total, refund: Total}}"), "is read from total, as another field is"),
    (_refunds("{kind: files, path: a.csv, complete: daily}"), "complete: is not one of the known words; write one of read, written"),
    (_refunds("{kind: files, path: a.csv, decimal: ';'}"), "decimal: is no such mark"),
    (_refunds("{kind: files, path: a.csv, time_zone: Europe/Berln}"), "time_zone: is no time zone; write a name of the IANA database"),
    (_refunds("{kind: files, path: a.csv, time_format: dd.mm.yyyy}"), "time_format: has no directive of strptime; name day, month and year"),
    (_refunds("{kind: files, path: a.csv, time_format: '%d.%m.'}"), "time_format: does not tell the day, the month and the year; name day"),
    (_refunds("{kind: files, path: a.csv, currency: euro}"), "currency: is no currency code"),
    (_refunds("{kind: files, path: a.csv, statuses: {done: finished}}"), "is not one of the known words"),
    (_confirmations(f"{{{JOURNAL}}}"), "ledger.confirmations.sent: says nothing about where the number stands"),
    (_confirmations(f"{{{JOURNAL}, number: 'RF-[0-9]+'}}"), "number: has 0 groups; write one group around what is wanted"),
    (_confirmations(f"{{{JOURNAL}, number: '(RF-[0-9+)'}}"), "number: is no regular expression"),
    (_confirmations(f"{{{JOURNAL}, number: '((?:a+)+)'}}"), "number: repeats what itself repeats, which can take for ever"),
    (_confirmations(f"{{{JOURNAL}, number: '(a)', resend: '(b)'}}"), "resend: has 1 groups; write no group"),
    (_confirmations(f"{{{JOURNAL}, number: '(a)', templates: mail}}"), "templates: "),
    (_confirmations(f"{{{JOURNAL}, templates: nowhere}}"), "is no directory; it must hold subject.txt and message.txt"),
    (_confirmations("{kind: mailbox, address: j@example.com, imap: {host: imap.example.com, security: plain, password: {env: JOURNAL}}, number: '(a)'}"), "plain would show the password to the network"),
    (_confirmations("{kind: postfix, path: mail.log, number: '(a)', within: body}"), "within: is not known; write message_id or subject"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "says"), FAULTS, ids=[str(number) for number in range(len(FAULTS))])
def test_a_fault_has_its_line_and_mend(faults, text, says):
    lines = faults(changed(("", f"ledger: {text}\n")), {**SECRETS, "SHORT": "short"})
    assert any(says in line for line in lines), lines
    assert all(line.startswith("config.yaml:24: ledger") and "; " in line for line in lines), lines


def test_too_many_sources(faults):
    many = ", ".join(f"s{number}: {{kind: push}}" for number in range(21))
    (line,) = faults(
        changed(("", f"ledger: {{key: {{env: LEDGER}}, refunds: {{{many}}}, confirmations: {{sent: {{kind: push}}}}}}\n")), SECRETS
    )
    assert "names more than 20 sources" in line
