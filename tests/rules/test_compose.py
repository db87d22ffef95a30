"""The message and the request of a probe: right headers, nothing injected, and it reads back as what was planned."""

from __future__ import annotations

import email
import email.policy
import email.utils
import json
import re
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.address import Address, Domain
from monitor.model.mail import Carrier, Field
from monitor.model.money import Money
from monitor.model.policy import HttpPath, Locale, SmtpPath, Templates
from monitor.model.probe import RefundStory
from monitor.model.secret import SecretRef, SecretSource
from monitor.rules import compose, token, visible
from monitor.rules.reading import altered, read
from monitor.rules.rehearse import rehearse
from monitor.rules.story import amount_value, expectation, render_amount, tell_story
from tests.corpus.world import (
    AMERICAN,
    BRITISH,
    EVERY_CARRIER,
    FRENCH,
    GERMAN,
    IDENTITY,
    JAPANESE,
    LOCALES,
    OPEN,
    PLAN,
    SWEDISH,
    SWISS,
    http_path,
    planned,
    smtp_path,
)

draws = st.binary(min_size=16, max_size=32)
locales = st.sampled_from(LOCALES)


# --- the story -------------------------------------------------------------------------------------------------------


@given(draws)
@settings(deadline=None)
def test_a_story_is_believable_and_the_same_for_the_same_draw(draw: bytes) -> None:
    story = tell_story(LOCALES, draw)
    assert story == tell_story(LOCALES, draw)
    assert Decimal(3) <= story.amount.amount < Decimal(2603)
    assert story.amount.currency == next(locale.currency for locale in LOCALES if locale.tag == story.locale)
    assert re.fullmatch(r"RF-[0-9]{8}", story.refund_number)
    assert re.fullmatch(r"[0-9]{3}-[0-9]{7}", story.order_number)
    assert story.customer_name.strip()


def test_stories_vary() -> None:
    stories = [tell_story(LOCALES, n.to_bytes(16, "big")) for n in range(500)]
    assert len({story.refund_number for story in stories}) == 500
    assert len({story.customer_name for story in stories}) > 20
    assert any(not story.customer_name.isascii() for story in stories)
    assert {story.locale for story in stories} == {locale.tag for locale in LOCALES}
    assert any(story.amount.amount >= 1000 for story in stories)


def test_a_short_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="16 random bytes"):
        tell_story(LOCALES, b"short")


@pytest.mark.parametrize(
    ("amount", "locale", "shown"),
    [
        ("12.3", BRITISH, "£12.30"),
        ("1234567.8", BRITISH, "£1,234,567.80"),
        ("1234.5", GERMAN, "1.234,50\u00a0€"),
        ("1234.5", FRENCH, "1\u202f234,50\u00a0€"),
        ("1234.5", SWISS, "CHF 1’234.50"),
        ("999.99", AMERICAN, "US$999.99"),
        ("1234.5", SWEDISH, "1 234,50 kr"),
        ("1234", JAPANESE, "¥1,234"),
        ("0.05", BRITISH, "£0.05"),
        ("-12.30", BRITISH, "-£12.30"),
        ("12.30", Locale("xx", "GBP", "{amount}", "", "."), "12.30"),
    ],
)
def test_render_amount(amount: str, locale: Locale, shown: str) -> None:
    assert render_amount(Money(Decimal(amount), locale.currency), locale) == shown


def test_the_bare_amount() -> None:
    assert amount_value(Money(Decimal("12.3"), "GBP")) == "12.30"
    assert amount_value(Money(Decimal("1234"), "JPY")) == "1234"


def test_expectation_follows_the_path() -> None:
    story = PLAN.story
    assert [field for field, _ in expectation(smtp_path(), story).fields] == [
        Field.AMOUNT,
        Field.REFUND_NUMBER,
        Field.ORDER_NUMBER,
        Field.CUSTOMER_NAME,
    ]
    own_numbers = http_path({}, sends_number=True)
    assert Field.REFUND_NUMBER not in dict(expectation(own_numbers, story).fields)
    assert Carrier.PLUS_TAG in expectation(smtp_path(), story).carriers
    assert Carrier.PLUS_TAG not in expectation(smtp_path(), story, plus_tags=False).carriers
    with pytest.raises(ValueError, match="no locale"):
        expectation(smtp_path((GERMAN,)), story)


# --- the message -----------------------------------------------------------------------------------------------------


def test_the_headers_as_another_parser_reads_them() -> None:
    message = email.message_from_bytes(compose.compose(PLAN, IDENTITY), policy=email.policy.default)
    assert message["From"].addresses[0].display_name == "Müller & Söhne, Online"
    assert message["From"].addresses[0].addr_spec == "refunds@shop.example"
    assert message["To"].addresses[0].display_name == PLAN.story.customer_name
    assert message["To"].addresses[0].addr_spec == str(PLAN.recipient)
    assert message["Message-ID"] == PLAN.message_id
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Mailcanary-Token"] == PLAN.token
    assert message["MIME-Version"] == "1.0"
    assert PLAN.story.refund_number in message["Subject"]
    assert email.utils.parsedate_to_datetime(message["Date"]).timestamp() == PLAN.at.utc
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert not message.defects
    for part in message.iter_parts():
        assert not part.defects
        assert PLAN.token in part.get_content()


def test_the_last_line_bears_the_token_and_the_html_hides_it() -> None:
    message = email.message_from_bytes(compose.compose(PLAN, IDENTITY), policy=email.policy.default)
    text, html = (part.get_content() for part in message.iter_parts())
    assert text.rstrip().splitlines()[-1].endswith(PLAN.token)
    seen = visible.see(html)
    assert PLAN.token in seen.hidden
    assert PLAN.token not in seen.text


@given(draws, locales)
@settings(max_examples=60, deadline=None)
def test_lines_are_short_ascii_and_end_in_crlf(draw: bytes, locale: Locale) -> None:
    path = smtp_path((locale,))
    raw = compose.compose(planned(path, tell_story((locale,), draw)), IDENTITY)
    assert raw.isascii()
    assert raw.endswith(b"\r\n")
    assert b"\n" not in raw.replace(b"\r\n", b"") and b"\r" not in raw.replace(b"\r\n", b"")
    assert max(len(line) for line in raw.split(b"\r\n")) <= 78


def test_the_same_plan_gives_the_same_bytes() -> None:
    assert compose.compose(PLAN, IDENTITY) == compose.compose(PLAN, IDENTITY)
    submission = compose.mail_submission(PLAN, IDENTITY)
    assert (submission.probe, submission.recipient, submission.message_id) == (PLAN.probe, PLAN.recipient, PLAN.message_id)
    assert submission.envelope_sender == Address.parse(f"bounce+{OPEN}@mail.shop.example")


@pytest.mark.parametrize("carrier", EVERY_CARRIER)
def test_only_declared_carriers_are_written(carrier: Carrier) -> None:
    plan = planned(smtp_path(carriers=(carrier,)))
    plan = replace(plan, message_id="<a@shop.example>" if carrier is not Carrier.MESSAGE_ID else plan.message_id)
    found = {found for found, _ in read(compose.compose(plan, IDENTITY)).tokens}
    assert found == ({carrier} if carrier is not Carrier.REFUND_NUMBER else set())


HOSTILE = "x\r\nBcc: victim@example.net\r\n\r\nbody\x00\u2028\x85\x0b\x0cz"


@pytest.mark.parametrize("text", [HOSTILE, '"', "a\\", "=?utf-8?q?=0D=0ABcc=3A_x?=", "ü" * 300, "w" * 2000, "\ud800", "", "a,b", "<a@b>"])
def test_nothing_can_inject_a_header(text: str) -> None:
    identity = replace(IDENTITY, author_name=text, templates=replace(IDENTITY.templates, subject="{{ customer_name }}{{ shop }}!"))
    plan = replace(PLAN, story=replace(PLAN.story, customer_name=text), message_id=f"<x{text[:3]}@y>" if text.isascii() else "<x@y>")
    raw = compose.compose(plan, identity)
    message = email.message_from_bytes(raw)
    assert "Bcc" not in message
    assert message.keys() == [
        *("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Auto-Submitted", "X-Auto-Response-Suppress"),
        *("X-Mailcanary-Token", "Content-Type"),
    ]
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert read(raw).author == IDENTITY.author


@given(draws, locales)
@settings(max_examples=80, deadline=None)
def test_what_is_composed_reads_back_whole(draw: bytes, locale: Locale) -> None:
    path = smtp_path((locale,))
    plan = planned(path, tell_story((locale,), draw))
    reading = read(compose.compose(plan, IDENTITY))
    assert reading.tokens == tuple((carrier, plan.token) for carrier in EVERY_CARRIER[:4])
    assert altered(reading, plan.expectation) == ((), ())
    assert reading.refund_shaped
    assert reading.dsn is None and not reading.derived and not reading.partial
    assert reading.message_id == plan.message_id


digit_changes = st.tuples(st.integers(0, 30), st.integers(1, 9))


@given(draws, locales, digit_changes, st.sampled_from(["both", "text", "html"]))
@settings(max_examples=120, deadline=None)
def test_any_changed_digit_of_the_amount_is_altered(draw: bytes, locale: Locale, change: tuple[int, int], where: str) -> None:
    plan = planned(smtp_path((locale,)), tell_story((locale,), draw))
    amount = dict(plan.expectation.fields)[Field.AMOUNT]
    places = [at for at, char in enumerate(amount) if char.isdigit()]
    at = places[change[0] % len(places)]
    wrong = amount[:at] + str((int(amount[at]) + change[1]) % 10) + amount[at + 1 :]
    templates = IDENTITY.templates
    lies = Templates(
        templates.subject,
        templates.text.replace("{{ amount }}", wrong) if where != "html" else templates.text,
        templates.html.replace("{{ amount }}", wrong) if where != "text" else templates.html,
    )
    fields, _ = altered(read(compose.compose(plan, replace(IDENTITY, templates=lies))), plan.expectation)
    assert fields == (Field.AMOUNT, Field.FOREIGN_AMOUNT)


@given(draws, locales, st.sampled_from("0123456789"), st.booleans())
@settings(max_examples=60, deadline=None)
def test_an_added_digit_is_altered(draw: bytes, locale: Locale, digit: str, front: bool) -> None:
    plan = planned(smtp_path((locale,)), tell_story((locale,), draw))
    amount = dict(plan.expectation.fields)[Field.AMOUNT]
    first, last = re.search(r"[0-9]", amount), re.search(r"[0-9](?=[^0-9]*\Z)", amount)
    assert first and last
    at = first.start() if front else last.end()
    lies = replace(IDENTITY.templates, text=IDENTITY.templates.text.replace("{{ amount }}", amount[:at] + digit + amount[at:]))
    assert Field.AMOUNT in altered(read(compose.compose(plan, replace(IDENTITY, templates=lies))), plan.expectation)[0]


# --- addresses -------------------------------------------------------------------------------------------------------


def test_recipient() -> None:
    seed = Address.parse("seed@mailbox.example")
    assert str(compose.recipient(seed, PLAN.token, EVERY_CARRIER, True)) == f"seed+{PLAN.token}@mailbox.example"
    assert compose.recipient(seed, PLAN.token, EVERY_CARRIER, False) == seed
    assert compose.recipient(seed, PLAN.token, (Carrier.HEADER,), True) == seed
    long = Address.parse("a" * 24 + "@mailbox.example")
    assert compose.recipient(long, PLAN.token, EVERY_CARRIER, True) == long
    assert compose.message_id(PLAN.token, Domain("shop.example")) == f"<{PLAN.token}@shop.example>"
    assert token.find(str(compose.message_id(PLAN.token, Domain("shop.example")))) == (PLAN.token,)


# --- the application -------------------------------------------------------------------------------------------------

BODY = {
    "customer": {"email": "{{ recipient }}", "name": "{{ customer_name }}"},
    "amount": "{{ amount_value }}",
    "currency": "{{ currency }}",
    "references": ["{{ token }}", "{{ refund_number }}", "{{ order_number }}"],
    "synthetic": True,
    "n": 3,
    "none": None,
    "{{ key }}": "{{ amount }} {{ locale }} {{ probe_id }}",
}


def test_the_request_carries_the_probes_fields() -> None:
    path = http_path(BODY, {"X-Probe": "{{ probe_id }}", "Authorization": SecretRef(SecretSource.ENV, "TOKEN"), "X": "a\r\nb"})
    assert isinstance(path.via, HttpPath)
    plan = planned(path, replace(PLAN.story, customer_name='Zoë "quote" \\ </script> {{ token }}'))
    submission = compose.app_submission(plan, path.via)
    assert json.loads(submission.body) == {
        "customer": {"email": str(plan.recipient), "name": 'Zoë "quote" \\ </script> {{ token }}'},
        "amount": amount_value(plan.story.amount),
        "currency": "GBP",
        "references": [plan.token, plan.story.refund_number, plan.story.order_number],
        "synthetic": True,
        "n": 3,
        "none": None,
        "{{ key }}": f"{dict(plan.expectation.fields)[Field.AMOUNT]} en-GB {plan.probe}",
    }
    assert submission.headers == (("X-Probe", OPEN), ("X", "a b"))
    assert (submission.probe, submission.recipient) == (plan.probe, plan.recipient)
    bare = http_path(None).via
    assert isinstance(bare, HttpPath)
    assert compose.app_submission(plan, bare).body == b""


# --- templates -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "what", "line"),
    [
        ("a\nb {{ nmae }}", "'nmae' is undefined", 2),
        ("{% if %}", "Expected an expression", 1),
        ("x\n\n{{ 1 / 0 }}", "ZeroDivisionError", 3),
        ("{{ ''.__class__.__mro__ }}", "unsafe", 1),
        ("{{ amount.nope }}", "nope", 1),
    ],
)
def test_a_broken_template_says_where(source: str, what: str, line: int) -> None:
    with pytest.raises(compose.TemplateBroken, match=what) as caught:
        compose.render(source, compose.variables(PLAN))
    assert caught.value.line == line


def test_html_is_escaped_and_text_is_not() -> None:
    assert compose.render("{{ x }}", {"x": "<b>"}, html=True) == "&lt;b&gt;"
    assert compose.render("{{ x }}", {"x": "<b>"}) == "<b>"


@pytest.mark.parametrize("locale", LOCALES, ids=lambda locale: locale.tag)
def test_the_built_in_templates_rehearse_clean(locale: Locale) -> None:
    assert rehearse(smtp_path((locale,))) == ()


TEXT = "{{ amount }} {{ refund_number }} {{ order_number }} {{ customer_name }} {{ token }}"


@pytest.mark.parametrize(
    ("templates", "whats"),
    [
        pytest.param(Templates("s", TEXT, TEXT), [], id="the least that is enough"),
        pytest.param(Templates(" ", TEXT, TEXT), ["subject.txt prints nothing"], id="empty subject"),
        pytest.param(
            Templates("s", TEXT.replace("{{ token }}", ""), TEXT),
            ["message.txt does not print its token carrier `body`"],
            id="no token in text",
        ),
        pytest.param(
            Templates("s", TEXT, TEXT.replace("{{ token }}", "")),
            ["message.html does not print its token carrier `body`"],
            id="none in html",
        ),
        pytest.param(Templates("s", TEXT, TEXT.replace("{{ token }}", "<!-- {{ token }} -->")), [], id="token in a comment"),
        pytest.param(
            Templates("s", TEXT, TEXT.replace("{{ amount }}", "<i style='display:none'>{{ amount }}</i>")),
            ["message.html does not show the amount as a word of its own"],
            id="hidden amount",
        ),
        pytest.param(
            Templates("s", TEXT.replace("{{ amount }}", "{{ amount_value }}"), TEXT),
            ["message.txt does not show the amount as a word of its own"],
            id="amount without currency",
        ),
        pytest.param(
            Templates("s", TEXT.replace("{{ refund_number }}", "R{{ refund_number }}"), TEXT),
            [
                "message.txt does not show the refund_number as a word of its own",
                "message.txt does not print its token carrier `refund_number`",
            ],
            id="glued number",
        ),
        pytest.param(Templates("s", TEXT + "\nfee £4.99", TEXT), ["message.txt prints the amount '£4.99' beside"], id="other amount"),
        pytest.param(Templates("s £4.99", TEXT, TEXT), ["subject.txt prints the amount '£4.99' beside"], id="other amount in subject"),
        pytest.param(Templates("s", "{{ amount", TEXT), ["message.txt line 1: "], id="syntax"),
        pytest.param(Templates("s", TEXT, "a\nb\n{{ amuont }}"), ["message.html line 3: 'amuont' is undefined"], id="undefined"),
    ],
)
def test_rehearsal_of_a_mail(templates: Templates, whats: list[str]) -> None:
    path = smtp_path(identity=replace(IDENTITY, templates=templates))
    faults = rehearse(path)
    described = list(dict.fromkeys(re.sub(r" beside .*", " beside", fault.what) for fault in faults))
    assert len(described) == len(whats), described
    assert all(found.startswith(what) for found, what in zip(described, whats, strict=True)), described
    assert all(fault.key == ("templates",) and fault.mend for fault in faults)


def test_rehearsal_admits_allowed_amounts() -> None:
    path = smtp_path(identity=replace(IDENTITY, templates=Templates("s", TEXT + "\nfee £4.99", TEXT)), allowed_amounts=("£4.99",))
    assert rehearse(path) == ()


def test_rehearsal_does_not_demand_a_carrier_that_is_not_declared() -> None:
    bare = TEXT.replace("{{ token }}", "")
    path = smtp_path(identity=replace(IDENTITY, templates=Templates("s", bare, bare)), carriers=(Carrier.HEADER,))
    assert isinstance(path.via, SmtpPath)
    assert rehearse(path) == ()


@pytest.mark.parametrize(
    ("body", "changes", "faults"),
    [
        pytest.param({"to": "{{ recipient }}", "n": "{{ refund_number }}"}, {}, [], id="good"),
        pytest.param({"to": "{{ recipient }}"}, {}, [(("body",), "refund_number }}, so the carrier `refund_number`")], id="no number"),
        pytest.param({"to": "{{ recipient }}"}, {"refund_id": "/id", "sends_number": True}, [], id="the application assigns it"),
        pytest.param({"n": "{{ refund_number }}"}, {}, [(("body",), "recipient }}, so the carrier `plus_tag`")], id="no recipient"),
        pytest.param({}, {"carriers": ()}, [(("carriers",), "no probe of this path")], id="no carrier at all"),
        pytest.param(
            {"to": "{{ recipient }}", "a": ["{{ refund_number }}", {"b": "x\n{{ typo }}"}]},
            {},
            [(("body", "a", 1, "b"), "template line 2: 'typo' is undefined")],
            id="undefined, with its key path",
        ),
    ],
)
def test_rehearsal_of_a_request(body: object, changes: dict[str, object], faults: list[tuple[tuple[object, ...], str]]) -> None:
    found = rehearse(http_path(body, **({"carriers": (Carrier.PLUS_TAG, Carrier.REFUND_NUMBER)} | changes)))
    assert len(found) == len(faults), found
    for fault, (key, what) in zip(found, faults, strict=True):
        assert fault.key == key
        assert what in fault.what


def test_rehearsal_looks_at_headers_and_leaves_secrets_alone() -> None:
    path = http_path(
        {"to": "{{ recipient }}"},
        {"X-Token": "{{ token }}", "X-Bad": "{{ nope }}", "Authorization": SecretRef(SecretSource.FILE, "/x")},
        carriers=(Carrier.HEADER,),
    )
    assert [fault.key for fault in rehearse(path)] == [("headers", "X-Bad")]


def test_stories_of_unknown_currencies_have_two_decimals() -> None:
    story = tell_story((Locale("ar-KW", "KWD", "{amount} KWD"),), b"0123456789abcdef")
    assert isinstance(story, RefundStory)
    assert re.fullmatch(r"[0-9]+\.[0-9]{3}", amount_value(story.amount))
