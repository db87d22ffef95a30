"""Confirmations out of mail: whatever our own templates compose is read back, and nothing that a mail holds raises."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.address import Address
from monitor.model.ledger import SCALE, Mails
from monitor.model.mail import Copy, Folder
from monitor.model.policy import Locale, Templates
from monitor.model.sources import MailboxSource, Match
from monitor.rules import compose, mime
from monitor.rules.reconcile import patterns
from monitor.rules.reconcile.addressees import Addressees, addressees, addresses
from monitor.rules.reconcile.known import Known
from monitor.rules.reconcile.mails import MOST_RECIPIENTS, confirmations_of_mails
from monitor.rules.reconcile.template import anchors
from monitor.rules.story import tell_story
from tests.corpus.world import IDENTITY, LOCALES, planned, smtp_path
from tests.rules.reconcile.test_mails_corpus import CASES, JOURNAL, TEMPLATE, WAYS

KNOWN = Known(key=b"k" * 32, match=Match.REFUND)
OWN = compose.built_in()
SOURCES = {"text": f"{OWN.subject}\n{OWN.text}", "html": OWN.html, "both": f"{OWN.subject}\n{OWN.text}\n---\n{OWN.html}"}
DATE = 1_790_000_000.0


def copy_of(raw: bytes, uid: int = 1, received: float | None = DATE, size: int | None = None) -> Copy:
    return Copy(Folder("INBOX", "INBOX"), 1, uid, len(raw) if size is None else size, received, raw)


def mail(text: str, *, subject: str = "Your refund", extra: str = "", to: str = "anna@customer.example") -> bytes:
    head = f"From: refunds@shop.example\nTo: {to}\nSubject: {subject}\nMessage-ID: <1@shop.example>\n{extra}"
    return f"{head}Content-Type: text/plain; charset=utf-8\n\n{text}\n".encode()


def source(**changes: object) -> MailboxSource:
    return MailboxSource(JOURNAL, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SOURCES)
@given(draw=st.binary(min_size=16, max_size=16), locale=st.sampled_from(LOCALES), probe=st.integers(0, 3), match=st.sampled_from(Match))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_what_the_template_composes_is_read_back(name: str, draw: bytes, locale: Locale, probe: int, match: Match) -> None:
    path = smtp_path((locale,))
    story = tell_story((locale,), draw)
    raw = compose.compose(planned(path, story, probe=f"{probe:012x}"), IDENTITY)  # type: ignore[arg-type]
    via = source(template=SOURCES[name], currency=locale.currency, decimal=".")
    records, faults, dropped = confirmations_of_mails(Mails((copy_of(raw),)), via, replace(KNOWN, match=match))
    assert (faults, dropped) == ([], 0)
    number = story.refund_number if match is Match.REFUND else story.order_number
    assert [(one.key, one.amount, one.currency) for one in records] == [(number, int(story.amount.amount * SCALE), locale.currency)]


@pytest.mark.parametrize(
    "template, text, number, amount",
    [
        ("Refund number: {{ number }}\nAmount: {{ amount }}", "Amount: 1 234,50 EUR\nRefund number: R/1-4.", "R/1-4", "1 234,50 EUR"),
        ("We paid {{ amount }} for your refund {{ refund.id }} today.", "We paid £5.00 for your\nrefund X9 today.", "X9", "£5.00"),
        ("{{ refund_number }} is your reference", "Dear you, 4711-A is your reference.", "4711-A", None),
        ("{{ amount }} has been paid back\nNo. {{ refundNumber }}", "Fine: 12,30 € has been paid back\nNo. 12", "12", "12,30 €"),
        ("Refund RF-{{ refund.number }}", "Refund RF-1001", "1001", None),
        ("Refund RF-{{ refund.number }}", "Refund 1001", None, None),
        ("Refund: {{ number }} {{ customer_name }} {{ amount }}", "Refund: 33 Zoë £4.00", "33", None),
        ("Refund: {{ number }} - {{ amount }}", "Refund: 33 - £4.00", "33", "£4.00"),
        ("Refund: {{ number }}\nAmount: EUR {{ amount }}", "Refund: 33\nAmount: EUR 4.00", "33", "EUR 4.00"),
        ("Refund: {{ number }}\nSum: {{ amount }}", "Refund: 33\nSum: 4.00\nkeep it", "33", "4.00"),
        ("Fee: {{ refund_fee_amount }}\nItem: {{ item.amount }}\nOrder: {{ order.total }}", "Fee: £1\nItem: £2\nOrder: £3", None, None),
        ("Refund R-{{ refund.number }}", "Refund R: 5\nRefund R-6", "6", None),
        ("<table><tr><td>{{ _('Refund no') }}</td><td>{{ refund_no }}</td></tr></table>", "Refund no\nA-1", "A-1", None),
        ("{% if de %}Nummer {{ number }}{% else %}Number {{ number }}{% endif %}", "Number 44", "44", None),
        ("{# Number {{ number }} #}Code {{ customer_number }}", "Number 44 Code 45", None, None),
        ("Refund number: {{ refund_number }}", "Refund number: None\nRefund number: 7", "7", None),
    ],
)  # fmt: skip
def test_templates(template: str, text: str, number: str | None, amount: str | None) -> None:
    words = anchors(template, Match.REFUND)
    assert (words.number(text), words.amount(text)) == (number, amount)


def test_order_numbers_are_not_refund_numbers() -> None:
    template = "Refund {{ refund.number }} of order {{ order.number }}"
    text = "Refund R1 of order O2"
    assert anchors(template, Match.REFUND).number(text) == "R1"
    assert anchors(template, Match.ORDER).number(text) == "O2"


def test_a_template_without_a_number_says_so() -> None:
    mails = Mails((copy_of(mail("Refund number: 1")),))
    records, (fault,), _ = confirmations_of_mails(mails, source(template="Hello {{ name }}"), KNOWN)
    assert not records
    assert fault.line == 0
    assert "no refund number" in fault.what
    assert "Refund number: {{ refund_number }}" in fault.mend
    assert confirmations_of_mails(Mails(()), source(template="Hello"), KNOWN) == ([], [], 0)


def test_the_good_mails_around_a_bad_one_are_kept() -> None:
    raws = [
        mail("Refund number: RF-1\nAmount: £1.00"),
        mail("Refund number: RF-2\nAmount: £1.00x50"),
        mail("Refund number: RF-3\nAmount: £3.00"),
    ]
    copies = tuple(copy_of(raw, uid) for uid, raw in enumerate(raws, 10))
    records, faults, _ = confirmations_of_mails(Mails(copies), source(number=r"(RF-\d)", amount=r"Amount: (\S+)"), KNOWN)
    assert [(one.key, one.line) for one in records] == [("RF-1", 10), ("RF-3", 12)]
    assert [fault.line for fault in faults] == [11]
    assert not any("@" in fault.what + fault.mend for fault in faults)


def test_identity_is_of_mail_recipient_and_outcome() -> None:
    via = source(number=r"(RF-\d)")

    def identity(raw: bytes, known: Known = KNOWN) -> str:
        (record,), _, _ = confirmations_of_mails(Mails((copy_of(raw),)), via, known)
        return record.identity

    first = identity(mail("RF-1"))
    assert identity(mail("RF-1", extra="Received: by somebody else\n")) == first
    assert identity(mail("RF-1", to="ANNA@Customer.example")) == first
    assert identity(mail("RF-1", to="bob@customer.example")) != first
    assert identity(mail("RF-1").replace(b"<1@", b"<2@")) != first
    assert identity(mail("RF-1"), replace(KNOWN, key=b"q" * 32)) != first
    nameless = mail("RF-1").replace(b"Message-ID: <1@shop.example>\n", b"")
    assert identity(nameless) == identity(nameless) != identity(nameless.replace(b"RF-1", b"RF-2"))


def test_where_no_amount_is_looked_for_none_is_known() -> None:
    (record,), _, _ = confirmations_of_mails(Mails((copy_of(mail("RF-1 £4.00")),)), source(number=r"(RF-\d)"), KNOWN)
    assert (record.amount, record.currency) == (None, "")


@pytest.mark.parametrize(
    "text, decimal, said",
    [
        ("1.234,50 EUR", ".", 12_345_000),
        ("1,234.50 EUR", ",", 12_345_000),
        ("12,30 EUR", ".", 123_000),
        ("EUR 12.-", ".", 120_000),
        ("1,234 EUR", ".", None),  # may mean either
        ("1,234 KWD", ".", None),
        ("12.345 EUR", ".", None),
    ],
)
def test_the_other_decimal_mark_where_it_is_plain(text: str, decimal: str, said: int | None) -> None:
    via = source(number=r"(RF-\d)", amount=r"Amount: (.+)", decimal=decimal)
    records, faults, _ = confirmations_of_mails(Mails((copy_of(mail(f"RF-1\nAmount: {text}\n")),)), via, KNOWN)
    assert [one.amount for one in records] == ([] if said is None else [said])
    assert len(faults) == (said is None)


def test_a_time_is_needed() -> None:
    raw = mail("RF-1")
    _, (fault,), _ = confirmations_of_mails(Mails((copy_of(raw, received=None),)), source(number=r"(RF-\d)"), KNOWN)
    assert "no time" in fault.what
    dated = mail("RF-1", extra="Date: Wed, 01 May 2024 12:15:00 -0000\n")
    (record,), _, _ = confirmations_of_mails(Mails((copy_of(dated, received=None),)), source(number=r"(RF-\d)"), KNOWN)
    assert record.at == 1_714_565_700.0


def test_as_many_recipients_as_are_believed() -> None:
    to = ", ".join(f"p{n}@customer.example" for n in range(MOST_RECIPIENTS))
    records, faults, _ = confirmations_of_mails(Mails((copy_of(mail("RF-1", to=to)),)), source(number=r"(RF-\d)"), KNOWN)
    assert len(records) == MOST_RECIPIENTS
    assert not faults


def test_a_copy_for_the_shop_itself_tells_nobody() -> None:
    known = replace(KNOWN, journals=frozenset({Address.parse("accounting@shop.example")}))

    def told(to: str, extra: str = "") -> list[bytes]:
        raw = mail("Refund RF-1", to=to, extra=extra)
        records, faults, _ = confirmations_of_mails(Mails((copy_of(raw),)), source(number=r"(RF-\d+)"), known)
        assert not faults
        return [record.recipient for record in records]

    anna = [known.recipient("anna@customer.example")]
    assert told("anna@customer.example, accounting@shop.example") == anna
    assert told("anna@customer.example", "X-Original-To: accounting@shop.example\n") == anna
    assert told("accounting@shop.example") == []


@pytest.mark.hostile
def test_the_address_fields_of_a_mail_are_bounded_together() -> None:
    """The suite's bound on time tells what is not linear; a stranger's To takes nothing from the envelope."""
    much, last = ("to", "a " * 8_000), ("to", "last@x.example")
    fields = (("x-original-to", "a@x.example"), *((much, ("delivered-to", much[1])) * 30), last, ("delivered-to", last[1]))
    assert addressees(mime.Headers(fields), "own@x.example") == Addressees((), ("a@x.example",))
    assert addressees(mime.Headers((much, last)), "own@x.example").to == ("last@x.example",)
    for _ in range(500):
        addresses("a" * 16_000)


@pytest.mark.parametrize("long", [10, 199, 201, 5_000])
def test_a_group_names_no_address(long: int) -> None:
    assert addresses(f"{'g' * long}: a@x.example, Bob <b@x.example>;, c@x.example") == ["a@x.example", "b@x.example", "c@x.example"]


def test_the_journal_itself_is_no_recipient() -> None:
    raw = mail("RF-1", to="Journal@shop.example, anna@customer.example")
    records, _, _ = confirmations_of_mails(Mails((copy_of(raw),)), source(number=r"(RF-\d)"), KNOWN)
    assert [one.recipient for one in records] == [KNOWN.recipient("anna@customer.example")]


def test_a_dsn_is_no_resend() -> None:
    raw = mail("RF-1 sent again by support, 550 5.1.1 no such user").replace(b"refunds@shop.example", b"mailer-daemon@shop.example")
    via = source(number=r"(RF-\d)", resend="sent again")
    assert confirmations_of_mails(Mails((copy_of(raw),)), via, KNOWN) == ([], [], 0)


@pytest.mark.parametrize(
    "value, said",
    [
        ("Anna <anna@x.example>", ["anna@x.example"]),
        ('"eve@evil.example" <anna@x.example>', ["anna@x.example"]),
        ("eve@evil.example <anna@x.example>", ["anna@x.example"]),
        ('"a\\" b, c" <anna@x.example>, bob@y.example', ["anna@x.example", "bob@y.example"]),
        ("Friends: anna@x.example, Bob <bob@y.example>;", ["anna@x.example", "bob@y.example"]),
        ("undisclosed-recipients:;", []),
        ("anna@x.example (eve@evil.example)", ["anna@x.example"]),
        ("", []),
        ("<>", []),
    ],
)
def test_addresses(value: str, said: list[str]) -> None:
    assert addresses(value) == said


def test_a_pattern_sees_bounded_pieces_and_wrapped_words() -> None:
    seen = list(patterns.pieces("a" * 3_000 + "\n" + "b " * 600 + "\n" + "c" * 100_000))
    assert max(len(line) for line in seen[0].split("\n")) <= patterns.LINE
    assert len(seen[0]) <= patterns.LONGEST + 200
    assert len(seen) <= patterns.MOST_LINES + 1
    assert len(list(patterns.pieces("x\n" * 50_000))) == patterns.MOST_LINES + 1
    assert patterns.found(r"refund number: (\d+)", "the refund\nnumber:\n17") == "17"
    assert patterns.found(r"number: (\d+)", "number: x") is None
    assert patterns.found(r"number: (\d+)?", "number: x") == ""
    assert patterns.found(r"R\d+", "see R17") == "R17"


FRAGMENTS = [
    *("Refund number: ", "Amount: ", "RF-1", "£12.30", "1 234,50", "€", "EUR", "\n", "\n\n", " ", ">", "{{", "}}", "{%", "%}", "{#", "---"),
    *("To: ", "a@b.example", "<", ">", '"', "(", ":;", ",", "=?utf-7?q?+2AA-?="),
    *("Date: Wed, 01 May 99999 12:15:00 +9999\n", "\ue000", "\uf8ff"),
    *("Content-Type: multipart/mixed; boundary=b\n\n", "--b\n", "Content-Type: message/rfc822\n\n"),
    *("Sender: x\nMessage-Id: y\n", "Recipient: "),
    *("Content-Type: text/html\n\n", "<td>", "</td>", "\0", "\ud800", "٣", "refund_number", "amount", "Subject: Your refund RF-1\n"),
]  # fmt: skip


@pytest.mark.hostile
@given(parts=st.lists(st.sampled_from(FRAGMENTS), max_size=40), way=st.sampled_from(sorted(WAYS)), size=st.integers(0, 3000))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_any_mail(parts: list[str], way: str, size: int) -> None:
    raw = "".join(parts).encode("utf-8", "surrogatepass")
    for known in (KNOWN, replace(KNOWN, match=Match.ORDER)):
        records, faults, _ = confirmations_of_mails(Mails((copy_of(raw, size=size),)), source(**WAYS[way]), known)
        for record in records:
            assert record.key.encode()
            assert record.amount is None or record.amount >= 0
        assert not any(fault.what.count("@") for fault in faults)


@pytest.mark.hostile
@given(parts=st.lists(st.sampled_from(FRAGMENTS), max_size=40), match=st.sampled_from(Match))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_any_template(parts: list[str], match: Match) -> None:
    words = anchors("".join(parts), match)
    for text in ("Refund number: RF-1\nAmount: £12.30", "".join(parts)):
        words.number(text)
        words.amount(text)
        words.spoken(text)


@pytest.mark.hostile
@pytest.mark.parametrize(
    "piece", ["Refund number: ", "Amount: ", "> ", "Refund ", '"', "<", "(", "a@b.example,", "To: ", "=?utf-8?q?", "{{ amount }}"]
)
def test_much_of_the_same(piece: str) -> None:
    """The suite's bound on time tells what is not linear."""
    text = piece * (200_000 // len(piece))
    for way in WAYS.values():
        confirmations_of_mails(Mails((copy_of(mail(text, to=text)),)), source(**way), KNOWN)
    anchors(text + TEMPLATE, Match.REFUND)


@pytest.mark.hostile
@given(case=st.sampled_from(CASES), cut=st.floats(0, 1), way=st.sampled_from(sorted(WAYS)))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_cut_anywhere(case: object, cut: float, way: str) -> None:
    raw = case.read_bytes()  # type: ignore[attr-defined]
    confirmations_of_mails(Mails((copy_of(raw[: int(len(raw) * cut)], size=len(raw)),)), source(**WAYS[way]), KNOWN)


def test_templates_are_read_without_rendering() -> None:
    bomb = "{% for a in range(10**9) %}{% endfor %}Refund number: {{ refund_number }}"
    assert anchors(bomb, Match.REFUND).number("Refund number: 9") == "9"
    broken = Templates(subject="", text="Refund number: {{ refund_number }} {% if %}", html="")
    assert anchors(broken.text, Match.REFUND).number("Refund number: 9") == "9"
