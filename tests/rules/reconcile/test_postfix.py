"""Confirmations out of Postfix logs: cut anywhere, a log says the same; bounds; and nothing that a log holds raises."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.address import Address
from monitor.model.ledger import Confirmation, Lines, RowFault
from monitor.model.sources import Match, PostfixSource
from monitor.rules.reconcile.known import Known
from monitor.rules.reconcile.maillog import entry, instant
from monitor.rules.reconcile.postfix import ENOUGH, MOST_IDS, MOST_OPEN, MOST_PENDING, confirmations_of_log

KNOWN = Known(key=b"k" * 32, match=Match.REFUND, holding=frozenset({Address.parse("parked@shop.example")}))
BY_ID = PostfixSource("/var/log/mail.log", r"refund\.(RF-\d+)@", "message_id", "UTC")
BY_SUBJECT = PostfixSource("/var/log/mail.log", r"\b(RF-\d+)\b", "subject", "UTC")
BY_SENDER = PostfixSource("/var/log/mail.log", r"refund\.(RF-\d+)@", "message_id", "UTC", r"^refunds@shop\.example$")
NOW = datetime(2024, 5, 1, 12, tzinfo=UTC).timestamp()


def said(text: str, daemon: str = "smtp", stamp: str = "May  1 10:00:00") -> str:
    return f"{stamp} mx postfix/{daemon}[77]: {text}"


def came(queue_id: str, number: str) -> str:
    return said(f"{queue_id}: message-id=<refund.{number}@shop.example>", "cleanup")


def went(queue_id: str, to: str, status: str = "sent", reply: str = "250 Ok", orig: str = "") -> str:
    meant = f"orig_to=<{orig}>, " if orig else ""
    relay = "relay=mx.customer.example[198.51.100.7]:25, delay=1, delays=0/0/0/1, dsn=2.0.0"
    return said(f"{queue_id}: to=<{to}>, {meant}{relay}, status={status} ({reply})")


def read(
    lines: list[str], memory: str = "", source: PostfixSource = BY_ID, first: int = 1
) -> tuple[list[Confirmation], list[RowFault], int, str]:  # fmt: skip
    return confirmations_of_log(Lines(lines, first), source, KNOWN, memory, NOW)


QUEUE_IDS = st.sampled_from(["4B1C2A0F3D", "4VTtbN1WnQz3hPk", "4B1C2A0F3E"])
PEOPLE = st.sampled_from(["anna@customer.example", "bob@customer.example", "parked@shop.example", "root"])
EVENTS = st.one_of(
    st.builds(came, QUEUE_IDS, st.sampled_from(["RF-1", "RF-2", "none"])),
    st.builds(
        went, QUEUE_IDS, PEOPLE, st.sampled_from(["sent", "deferred", "bounced", "SOFTBOUNCE", "deliverable"]),
        st.sampled_from(["250 Ok", "250 Ok: queued as 4B1C2A0F3E", "forwarded as 4VTtbN1WnQz3hPk"]), st.one_of(st.just(""), PEOPLE),
    ),
    st.builds(lambda queue_id: said(f"{queue_id}: removed", "qmgr"), QUEUE_IDS),
    st.builds(lambda queue_id: said(f"{queue_id}: from=<a@shop.example>, status=expired, returned to sender", "qmgr"), QUEUE_IDS),
    st.builds(lambda queue_id: said(f"{queue_id}: from=<a@shop.example>, size=1, nrcpt=1 (queue active)", "qmgr"), QUEUE_IDS),
    st.builds(lambda one, other: said(f"{one}: sender non-delivery notification: {other}", "bounce"), QUEUE_IDS, QUEUE_IDS),
    st.builds(lambda queue_id: said(f"{queue_id}: resent-message-id=<again@shop.example>", "cleanup"), QUEUE_IDS),
    st.builds(
        lambda queue_id, number: said(f"{queue_id}: info: header Subject: refund {number} from local; from=<a> to=<b>", "cleanup"),
        QUEUE_IDS, st.sampled_from(["RF-1", "RF-2", "none"]),
    ),
    st.just("something else"),
)  # fmt: skip


@given(lines=st.lists(EVENTS, max_size=30), cuts=st.sets(st.integers(0, 30)), source=st.sampled_from([BY_ID, BY_SUBJECT]))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_cut_anywhere_a_log_says_the_same(lines: list[str], cuts: set[int], source: PostfixSource) -> None:
    whole, faults, dropped, memory = read(lines, source=source)
    pieces: list[Confirmation] = []
    kept, start = "", 0
    for end in [*sorted(cut for cut in cuts if cut < len(lines)), len(lines)]:
        more, _, _, kept = read(lines[start:end], kept, source, start + 1)
        pieces += more
        start = end
    assert pieces == whole
    assert kept == memory
    assert (faults, dropped) == ([], 0)
    assert "@" not in memory


def outcomes(lines: list[str]) -> list[tuple[str, str]]:
    return [(record.key, record.outcome) for record in read(lines)[0]]


def test_deferred_is_nothing_yet_and_a_soft_bounce_too() -> None:
    for status in ("deferred", "SOFTBOUNCE", "deliverable", "undeliverable", "whatever"):
        assert outcomes([came("4B1C2A0F3D", "RF-1"), went("4B1C2A0F3D", "a@x.example", status)]) == []


def test_what_expires_was_pending() -> None:
    lines = [came("4B1C2A0F3D", "RF-1"), went("4B1C2A0F3D", "a@x.example", "deferred"), went("4B1C2A0F3D", "b@x.example", "deferred")]
    lines += [went("4B1C2A0F3D", "a@x.example")]
    lines += [said("4B1C2A0F3D: from=<s@x.example>, status=force-expired, returned to sender", "qmgr")] * 2
    records = read(lines)[0]
    assert [(record.recipient, record.outcome) for record in records] == [
        (KNOWN.recipient("a@x.example"), "sent"),
        (KNOWN.recipient("b@x.example"), "failed"),
    ]


def test_failed_and_sent_are_two_confirmations_and_twice_the_same_one() -> None:
    lines = [came("4B1C2A0F3D", "RF-1"), went("4B1C2A0F3D", "a@x.example", "bounced"), said("4B1C2A0F3D: removed", "qmgr")]
    lines += [came("4B1C2A0F3E", "RF-1"), went("4B1C2A0F3E", "A@X.example"), went("4B1C2A0F3E", "a@x.example")]
    failed, sent, again = read(lines)[0]
    assert failed.identity != sent.identity == again.identity


def test_without_a_message_id_the_queue_id_is_the_identity() -> None:
    lines = [said(f"{one}: info: header Subject: RF-1 from local; from=<a> to=<b>", "cleanup") for one in ("4B1C2A0F3D", "4B1C2A0F3E")]
    lines += [said(f"{one}: message-id=<>", "cleanup") for one in ("4B1C2A0F3D", "4B1C2A0F3E")]
    lines += [went("4B1C2A0F3D", "a@x.example"), went("4B1C2A0F3E", "a@x.example")]
    first, second = read(lines, source=BY_SUBJECT)[0]
    assert first.identity != second.identity


def test_handed_on_to_ourselves_says_nothing_yet_elsewhere_it_does() -> None:
    assert outcomes([came("4B1C2A0F3D", "RF-1"), went("4B1C2A0F3D", "a@x.example", reply="250 queued as 4B1C2A0F3E")]) == [("RF-1", "sent")]
    lines = [came("4B1C2A0F3D", "RF-1"), came("4B1C2A0F3E", "RF-1"), said("4B1C2A0F3E: removed", "qmgr")]
    assert outcomes([*lines, went("4B1C2A0F3D", "a@x.example", reply="250 queued as 4B1C2A0F3E")]) == []


def test_an_alias_to_a_customer_is_no_holding_mailbox() -> None:
    lines = [came("4B1C2A0F3D", "RF-1"), went("4B1C2A0F3D", "parked+x@shop.example", orig="a@x.example")]
    (record,) = read(lines)[0]
    assert (record.outcome, record.recipient) == ("held", KNOWN.recipient("a@x.example"))
    assert outcomes([came("4B1C2A0F3D", "RF-1"), went("4B1C2A0F3D", "a@x.example", orig="parked@shop.example")]) == [("RF-1", "sent")]


def test_the_queue_that_is_followed_is_bounded_and_says_so() -> None:
    ids = [f"4B{number:08X}" for number in range(MOST_OPEN + 3)]
    lines = [came(one, f"RF-{number}") for number, one in enumerate(ids)]
    _, faults, _, memory = read(lines)
    assert [fault.what for fault in faults] == [
        f"more than {MOST_OPEN} mails are in the queue; what became of the oldest is not followed any more"
    ]
    kept = json.loads(memory)
    assert [place for place, *_ in kept["open"]] == [f"mx/{one}" for one in ids[3:]]
    assert len(kept["ids"]) == MOST_IDS
    records = read([went(one, "a@x.example") for one in ids], memory)[0]
    assert [record.key for record in records] == [f"RF-{number}" for number in range(3, MOST_OPEN + 3)]
    freed = read([said(f"{one}: removed", "qmgr") for one in ids], memory)[3]
    assert json.loads(freed)["open"] == []


@pytest.mark.parametrize("subject", ["Re: Your refund RF-1", "AW: Refund RF-1", "Fwd: Refund RF-1", "=?utf-8?q?Re=3A_Refund_RF-1?="])
def test_an_answer_is_no_confirmation(subject: str) -> None:
    lines = [said(f"4B1C2A0F3D: info: header Subject: {subject} from mx.customer.example[198.51.100.7]; from=<a> to=<b>", "cleanup")]
    lines += [said("4B1C2A0F3D: message-id=<x@customer.example>", "cleanup"), went("4B1C2A0F3D", "support@shop.example")]
    assert read(lines, source=BY_SUBJECT)[0] == []


def active(queue_id: str, sender: str) -> str:
    return said(f"{queue_id}: from=<{sender}>, size=1, nrcpt=1 (queue active)", "qmgr")


@pytest.mark.parametrize(
    ("sender", "told"),
    [
        ("refunds@shop.example", ["RF-1"]),
        ("mallory@evil.example", []),
        ("refunds@shop.example.evil.example", []),
        ("", []),
    ],
)
def test_only_mail_of_the_sender_counts_where_one_is_named(sender: str, told: list[str]) -> None:
    lines = [came("4B1C2A0F3D", "RF-1"), active("4B1C2A0F3D", sender), went("4B1C2A0F3D", "a@x.example")]
    for cut in range(len(lines)):
        before, _, _, memory = read(lines[:cut], source=BY_SENDER)
        records, faults, _, memory = read(lines[cut:], memory, BY_SENDER)
        assert ([record.key for record in before + records], faults) == (told, [])
        assert bool(json.loads(memory)["open"]) is bool(told)
    assert [record.key for record in read(lines)[0]] == ["RF-1"]


def test_what_a_filter_refuses_of_another_sender_is_no_failure_of_ours() -> None:
    def refused(sender: str) -> list[str]:
        reject = f"4B1C2A0F3D: milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 no; from=<{sender}> to=<a@x.example> proto=ESMTP"
        return [record.outcome for record in read([came("4B1C2A0F3D", "RF-1"), said(reject, "cleanup")], source=BY_SENDER)[0]]

    assert refused("refunds@shop.example") == ["failed"]
    assert refused("mallory@evil.example") == []


def test_a_copy_for_the_shop_itself_tells_nobody() -> None:
    known = replace(KNOWN, journals=frozenset({Address.parse("accounting@shop.example")}))
    lines = [came("4B1C2A0F3D", "RF-1"), went("4B1C2A0F3D", "a@x.example"), went("4B1C2A0F3D", "Accounting@shop.example")]
    lines.append(went("4B1C2A0F3D", "bob@shop.example", orig="accounting@shop.example"))  # an alias
    lines.append(went("4B1C2A0F3D", "accounting@shop.example", "deferred"))
    lines.append(said("4B1C2A0F3D: from=<s@x.example>, status=expired, returned to sender", "qmgr"))
    records = confirmations_of_log(Lines(lines), BY_ID, known, "", NOW)[0]
    assert [(record.recipient, record.outcome) for record in records] == [(known.recipient("a@x.example"), "sent")]


def test_recipients_that_wait_are_bounded() -> None:
    lines = [came("4B1C2A0F3D", "RF-1"), *(went("4B1C2A0F3D", f"p{n}@x.example", "deferred") for n in range(MOST_PENDING + 5))]
    lines.append(said("4B1C2A0F3D: from=<s@x.example>, status=expired, returned to sender", "qmgr"))
    assert len(outcomes(lines)) == MOST_PENDING


def test_what_follows_the_subject_is_not_the_subject() -> None:
    info = "info: header Subject: News from afar from app.shop.example[192.0.2.10]; from=<b+RF-7@shop.example> to=<a@x.example>"
    assert read([said(f"4B1C2A0F3D: {info}", "cleanup"), went("4B1C2A0F3D", "a@x.example")], source=BY_SUBJECT)[0] == []


def test_mail_without_a_number_is_not_remembered() -> None:
    lines = [said("4B1C2A0F3D: message-id=<x@shop.example>", "cleanup")]
    assert json.loads(read(lines)[3])["open"] == []
    assert len(json.loads(read(lines, source=BY_SUBJECT)[3])["open"]) == 1
    lines.append(said("4B1C2A0F3D: from=<a@shop.example>, size=1, nrcpt=1 (queue active)", "qmgr"))
    assert json.loads(read(lines, source=BY_SUBJECT)[3])["open"] == []


def test_a_log_that_is_not_postfixs_says_so_once() -> None:
    strange = ["2024-05-01 exim[1]: 1s2ABC-0001 => a@x.example"] * (ENOUGH - 1)
    _, faults, _, memory = read(strange)
    assert faults == []
    _, (fault,), _, memory = read(strange[:2], memory, first=ENOUGH)
    assert fault.line == ENOUGH
    assert "is Postfix's" in fault.what
    assert fault.mend
    assert read(strange * 3, memory)[1] == []
    _, _, _, memory = read([*strange, said("statistics: max connection rate", "anvil")])
    assert read(strange, memory)[1] == []


def test_a_log_in_which_no_number_is_found_says_so_once() -> None:
    other = [said(f"4B{number:08X}: message-id=<{number}@shop.example>", "cleanup") for number in range(ENOUGH)]
    _, (fault,), _, memory = read(other)
    assert "message_id" in fault.what
    assert read(other, memory)[1] == []
    _, (fault,), _, _ = read(other, source=BY_SUBJECT)
    assert "header_checks" in fault.mend
    assert read([came("4B1C2A0F3D", "RF-1"), *other])[1] == []


@pytest.mark.parametrize("memory", ["", "x", "[]", "{}", '{"open":3}', '{"open":[[1]],"ids":[],"lines":0,"messages":0}', "null"])
def test_memory_of_another_shape_is_none(memory: str) -> None:
    assert read([came("4B1C2A0F3D", "RF-1"), went("4B1C2A0F3D", "a@x.example")], memory)[0][0].key == "RF-1"


@pytest.mark.parametrize(
    "stamp, zone, now, said_",
    [
        ("May  1 10:00:00", "UTC", "2024-05-01T12:00:00Z", "2024-05-01T10:00:00Z"),
        ("May 01 10:00:00.25", "Europe/Berlin", "2024-05-01T12:00:00Z", "2024-05-01T08:00:00.25Z"),
        ("May  2 11:59:00", "UTC", "2024-05-01T12:00:00Z", "2024-05-02T11:59:00Z"),  # its clock is ahead of ours
        ("May  2 12:01:00", "UTC", "2024-05-01T12:00:00Z", "2023-05-02T12:01:00Z"),
        ("Dec 31 23:59:60", "UTC", "2024-01-01T00:00:10Z", "2023-12-31T23:59:59Z"),
        ("Jan  1 00:00:30", "UTC", "2023-12-31T23:59:50Z", "2024-01-01T00:00:30Z"),
        ("Jan  1 00:30:00", "Pacific/Auckland", "2023-12-31T12:00:00Z", "2023-12-31T11:30:00Z"),
        ("Feb 29 10:00:00", "UTC", "2026-05-01T12:00:00Z", "2024-02-29T10:00:00Z"),
        ("Oct 27 02:30:00", "Europe/Berlin", "2024-10-27T12:00:00Z", "2024-10-27T01:30:00Z"),  # exists twice
        ("2024-10-27 02:30:00", "Europe/Berlin", "2024-10-27T12:00:00Z", "2024-10-27T01:30:00Z"),
        ("Oct 27 02:30:00", "Europe/Berlin", "2024-10-27T00:30:01Z", "2024-10-27T00:30:00Z"),  # the later is still to come
        ("2024-10-27 02:30:00", "Europe/Berlin", "2024-10-27T01:28:59Z", "2024-10-27T00:30:00Z"),
        ("Oct 27 02:30:00", "Europe/Berlin", "2024-10-27T01:29:58Z", "2024-10-27T01:30:00Z"),  # its clock is a little ahead
        ("2024-10-27T02:30:00+02:00", "Europe/Berlin", "2024-10-27T12:00:00Z", "2024-10-27T00:30:00Z"),
        ("Mar 31 02:30:00", "Europe/Berlin", "2024-03-31T12:00:00Z", "2024-03-31T01:30:00Z"),  # exists never
        ("2024-05-01T10:00:00+0530", "UTC", "2024-05-01T12:00:00Z", "2024-05-01T04:30:00Z"),
        ("2024-05-01T10:00:00-05:00", "UTC", "2024-05-01T12:00:00Z", "2024-05-01T15:00:00Z"),
        ("2024-05-01 10:00:00,125", "America/New_York", "2024-05-01T12:00:00Z", "2024-05-01T14:00:00.125Z"),
        ("2024-05-01T10:00:00.123456789Z", "America/New_York", "2024-05-01T12:00:00Z", "2024-05-01T10:00:00.123457Z"),
        ("Foo  1 10:00:00", "UTC", "2024-05-01T12:00:00Z", None),
        ("May 32 10:00:00", "UTC", "2024-05-01T12:00:00Z", None),
        ("2024-13-01T10:00:00Z", "UTC", "2024-05-01T12:00:00Z", None),
        ("2024-05-01T10:00:00+9900", "UTC", "2024-05-01T12:00:00Z", None),
    ],
)  # fmt: skip
def test_times(stamp: str, zone: str, now: str, said_: str | None) -> None:
    at = instant(stamp, ZoneInfo(zone), datetime.fromisoformat(now).timestamp())
    assert at == (None if said_ is None else pytest.approx(datetime.fromisoformat(said_).timestamp(), abs=1e-5))


def test_a_time_far_in_the_future_is_a_fault() -> None:
    lines = [came("4B1C2A0F3D", "RF-1"), went("4B1C2A0F3D", "a@x.example").replace("May  1 10:00:00", "2025-05-01T10:00:00Z")]
    records, (fault,), _, _ = read(lines)
    assert not records
    assert fault.line == 2
    assert fault.mend


def test_what_is_an_entry() -> None:
    assert entry("May  1 10:00:00 mx postfix/smtp[1]: connect to x") == ("May  1 10:00:00", "mx", "smtp", "", "connect to x")
    assert entry("May  1 10:00:00 mx postfix/smtp[1]: warning: 1234") == ("May  1 10:00:00", "mx", "smtp", "", "warning: 1234")
    assert entry("May  1 10:00:00 mx postfix[1]: terminating") is None
    assert entry("May  1 10:00:00 mx dovecot/auth[1]: x") is None
    assert entry("") is None


FRAGMENTS = [
    *("4B1C2A0F3D: ", "4VTtbN1WnQz3hPk: ", "message-id=<refund.RF-1@x>", "resent-message-id=", "info: header Subject: "),
    *(" from local; from=<>",),
    *("to=<", ">, ", "orig_to=<", "relay=a, ", "dsn=2.0.0, ", "status=sent (", "status=deferred ", "status=expired"),
    *("queued as 4B1C2A0F3D",),
    *("from=<", "removed", "reject: ", "milter-discard: ", "; from=<> to=<a@b>", "=?utf-8?q?", "?=? =?", "?=", "\ud800", "\udcff"),
    *("\0", ", a=b"),
    *("sender non-delivery notification: 4B1C2A0F3D", "x" * 300, ", " * 50, "<", ">", "=", " "),
]  # fmt: skip


@pytest.mark.hostile
@given(
    texts=st.lists(st.lists(st.sampled_from(FRAGMENTS), max_size=8), max_size=12),
    daemon=st.sampled_from(["cleanup", "smtp", "qmgr", "bounce", "discard", "smtpd"]),
    source=st.sampled_from([BY_ID, BY_SUBJECT]),
)
@settings(max_examples=80, deadline=None, derandomize=True)
def test_any_lines(texts: list[list[str]], daemon: str, source: PostfixSource) -> None:
    lines = [said("".join(parts), daemon) for parts in texts]
    lines = [one for line in lines for one in (came("4B1C2A0F3D", "RF-1"), line)]
    records, faults, _, memory = read(lines, source=source)
    json.loads(memory)
    for record in records:
        assert record.key.encode()
    assert len(faults) <= len(lines)


@pytest.mark.hostile
@given(lines=st.lists(st.text(max_size=200), max_size=10), memory=st.text(max_size=50))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_any_text(lines: list[str], memory: str) -> None:
    read(lines, memory)


@pytest.mark.hostile
@pytest.mark.parametrize(
    "piece", ["to=<", "to=<a>, ", "a=b, ", "from=<", " from local;", "?=? =?", "queued as ", "4B1C2A0F3D", "RF-1", "=?q?q?="]
)
def test_much_of_the_same(piece: str) -> None:
    """The suite's bound on time tells what is not linear."""
    text = piece * (100_000 // len(piece))
    for source in (BY_ID, BY_SUBJECT):
        for before, daemon in (("to=<a@b>, relay=", "smtp"), ("info: header Subject: ", "cleanup"), ("from=<", "qmgr"), ("", "cleanup")):
            lines = [said(f"4B1C2A0F3D: {before}{text}", daemon)] * 20
            read([came("4B1C2A0F3D", "RF-1"), *lines], source=source)
