"""What Postfix itself writes into its log, read as confirmations: sent, bounced, held by an alias, expired, sent again."""

from __future__ import annotations

import contextlib
import os
import smtplib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from monitor.model.address import Address
from monitor.model.ledger import Confirmation, Lines
from monitor.model.sources import Match, PostfixSource
from monitor.rules.reconcile.known import Known
from monitor.rules.reconcile.postfix import confirmations_of_log
from tests.real import dovecot, postfix
from tests.real.canary import HOST, until
from tests.real.dovecot import Dovecot
from tests.real.postfix import Postfix

LACKING = "; ".join(reason for reason in (postfix.absent(), dovecot.absent()) if reason)
pytestmark = [
    pytest.mark.skipif(bool(LACKING), reason=f"real servers (Postfix, Dovecot): {LACKING}"),
    pytest.mark.timeout(120),
]

BOX, DEAD = "customers.test", "dead.test"
ZONE = "Asia/Kolkata"  # half an hour off every other zone that a machine may be in
HOLDING = f"parked@{BOX}"
KNOWN = Known(key=b"k" * 32, match=Match.REFUND, holding=frozenset({Address.parse(HOLDING)}))
BY_ID = PostfixSource("/var/log/mail.log", r"^refund\.(RF-\d+)@", "message_id", ZONE)
BY_SUBJECT = PostfixSource("/var/log/mail.log", r"\b(RF-\d+)\b", "subject", ZONE)


@dataclass(frozen=True)
class Log:
    lines: list[str]
    began: float
    ended: float

    def read(self, source: PostfixSource, pieces: int = 1) -> list[Confirmation]:
        records: list[Confirmation] = []
        memory, size = "", -(-len(self.lines) // pieces)
        for start in range(0, len(self.lines), size):
            piece = Lines(self.lines[start : start + size], start + 1)
            more, faults, dropped, memory = confirmations_of_log(piece, source, KNOWN, memory, self.ended)
            assert (faults, dropped) == ([], 0)
            records += more
        return records


def mail(number: str, subject: str, to: str, extra: str = "") -> str:
    return (
        f"{extra}From: refunds@{BOX}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <refund.{number}@shop.test>\r\n\r\nYour refund.\r\n"
    )


MAILS = [
    ("RF-1", "Refund RF-1", [f"anna@{BOX}"], ""),
    ("RF-2", "Refund RF-2", [f"gone@{BOX}"], ""),
    ("RF-3", "Refund RF-3", [f"bob@{BOX}"], ""),  # an alias sends him to the holding mailbox
    ("RF-4", "Refund RF-4", [f"erin@{DEAD}"], ""),
    ("RF-5", "=?utf-8?q?R=C3=BCckzahlung_RF-?=\r\n =?utf-8?q?5_ist_da?=", [f"anna+x@{BOX}", f"Carol@{BOX}"], ""),
    ("RF-6", "Refund RF-6", [f"anna@{BOX}"], "Resent-Message-ID: <again@shop.test>\r\nResent-To: anna@customers.test\r\n"),
]
WANTED = {
    ("RF-1", f"anna@{BOX}", "sent", False),
    ("RF-2", f"gone@{BOX}", "failed", False),
    ("RF-3", f"bob@{BOX}", "held", False),
    ("RF-4", f"erin@{DEAD}", "failed", False),
    ("RF-5", f"anna+x@{BOX}", "sent", False),
    ("RF-5", f"carol@{BOX}", "sent", False),
    ("RF-6", f"anna@{BOX}", "sent", True),
}


@pytest.fixture(scope="module", params=["no", "yes"], ids=["short queue ids", "long queue ids"])
def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    at = tmp_path_factory.mktemp("ledger-postfix")
    ca = trustme.CA()
    chain, old = str(at / "good.pem"), str(at / "old.pem")
    ca.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(chain)
    ca.issue_cert(HOST, not_after=datetime.now(UTC) - timedelta(days=1)).private_key_and_cert_chain_pem.write_to_path(old)
    people = {f"{name}@{BOX}": "secret" for name in ("anna", "parked", "carol", "refunds")}
    with contextlib.ExitStack() as servers, pytest.MonkeyPatch.context() as environment:
        environment.setenv("TZ", ZONE)  # Postfix hands it on to what writes the log
        box = servers.enter_context(Dovecot(people, (chain, chain)))
        made = Postfix({BOX: box.lmtp, DEAD: 9}, chain, old, f"{box.base}/auth-client")
        checks = made.base / "header_checks"
        checks.write_text("/^subject:/ INFO\n")
        with (made.base / "main.cf").open("a") as main:
            main.write(f"header_checks = regexp:{checks}\nenable_long_queue_ids = {request.param}\n")
        began = time.time()
        relay = servers.enter_context(made)
        relay.alias({f"bob@{BOX}": HOLDING})
        for number, subject, to, extra in MAILS:
            with smtplib.SMTP(HOST, relay.smtp, timeout=30) as smtp:
                smtp.sendmail(f"refunds@{BOX}", to, mail(number, subject, to[0], extra))
        until(lambda: f"to=<erin@{DEAD}>" in relay.log(), "a deferral")
        (waiting,) = {line.split(": ")[1] for line in relay.log().splitlines() if f"to=<erin@{DEAD}>" in line}
        relay._call("postsuper", "-e", waiting)
        relay._call("postqueue", "-i", waiting)
        until(lambda: f"{waiting}: removed" in relay.log() and relay.log().count("status=sent") >= 7, "the end of all mail")
        yield Log(relay.log().splitlines(), began, time.time())


def told(records: list[Confirmation]) -> set[tuple[str, str, str, bool]]:
    people = {KNOWN.recipient(to): to for _, to, _, _ in WANTED}
    return {(one.key, people.get(one.recipient, "?"), one.outcome, one.resend) for one in records}


@pytest.mark.parametrize("source", [BY_ID, BY_SUBJECT], ids=["message id", "subject"])
def test_what_postfix_writes(log: Log, source: PostfixSource) -> None:
    assert os.environ.get("TZ") == ZONE
    records = log.read(source)
    assert told(records) == WANTED, "\n".join(log.lines)
    assert len({one.identity for one in records}) == len(WANTED)
    assert all(int(log.began) <= one.at <= log.ended + 1 for one in records)
    assert all(one.key in log.lines[one.line - 1] or "status=" in log.lines[one.line - 1] for one in records)


@pytest.mark.parametrize("source", [BY_ID, BY_SUBJECT], ids=["message id", "subject"])
def test_read_in_pieces_it_says_the_same(log: Log, source: PostfixSource) -> None:
    whole = log.read(source)
    for pieces in (2, 7, len(log.lines)):
        assert log.read(source, pieces) == whole
