"""What a message shows: visible text, amounts, carriers, DSNs, and what counts as altered."""

from __future__ import annotations

import email.policy
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.mail import Carrier, Field
from monitor.model.probe import Expectation
from monitor.rules import amounts, mime, visible
from monitor.rules.reading import Reading, altered, read
from monitor.rules.visible import normalise, shows
from tests.corpus.world import PLAN

TOKEN = PLAN.token

# --- normal form -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("a\u00a0b", "a b"),
        ("12\u202f345", "12 345"),
        ("a  b", "a\nb"),
        ("a\tb\r\nc", "a\nb\nc"),
        ("so\u00adft\u200bhy\ufeffphen", "softhyphen"),
        ("\uff11\uff12.\uff13\uff10", "12.30"),
        ("£12.30²", "£12.30"),
        ("£12.30\u00b9 net", "£12.30\nnet"),
        ("RF\u20111", "RF-1"),
        ("O’Brien", "O'Brien"),
        ("e\u0301", "é"),
        ("ﬁn", "fin"),
        ("\u202e£21\u202c", "£21"),
        ("£1\x002.30", "£12.30"),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_normalise(text: str, normal: str) -> None:
    assert normalise(text) == normal


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_the_normal_form_is_stable(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert "\x00" not in once
    assert len(once) <= visible.MAX_TEXT


@pytest.mark.parametrize(
    ("html", "text", "hidden"),
    [
        ("<p>Hi <b>Max</b> &amp; co</p>", "Hi Max & co", ""),
        ("<td>Qty 1</td><td>£2</td>", "Qty 1\n£2", ""),
        ("a<br>b<br/>c", "a\nb\nc", ""),
        ("a\n  b", "a b", ""),
        ("<script>var x = '<p>no';</script>yes", "yes", ""),
        ("<style>p{}", "", ""),
        ("<STYLE>x</StYle >y", "y", ""),
        ("<!-- tok -->x", "x", " tok "),
        ("x<!-- never closed <b>y", "x", " never closed <b>y"),
        ('<div style="display: none">a<p>b</p></div>c', "c", "a\nb"),
        ("<span hidden>a</span>b", "b", "a"),
        ('<a title="hidden">b</a>', "b", ""),
        ('<i style="font-size:0.9em">b</i><i style="font-size:0px">c</i>', "b", "c"),
        ('<a title="x>y">z</a>', "z", ""),
        ("<p don't>seen</p>", "seen", ""),
        ("<head><title>t</title><body>b", "b", ""),
        ("<p style='display:none'>a<p>b", "b", "a"),
        ("1 < 2 &lt; 3", "1 < 2 < 3", ""),
        ("<", "<", ""),
        ("&#163;12&period;30 &nbsp;&pound;1", "£12.30\n£1", ""),
        ("&#99999999999999999999;x", "\ufffd;x", ""),
        ("<![if !mso]>a<![endif]>", "a", ""),
        ("</div></div>x", "x", ""),
        ("£<b>1</b>2.30", "£12.30", ""),
        ("a<img alt=no>b", "ab", ""),
    ],
)
def test_see(html: str, text: str, hidden: str) -> None:
    seen = visible.see(html)
    assert seen.text == text
    assert normalise(seen.hidden) == normalise(hidden)


def test_link_hosts() -> None:
    html = (
        '<a href="https://Shop.example/x?y">a</a><a href=http://eur01.safelinks.protection.outlook.com/?url=z>b</a><a href="mailto:x">c</a>'
    )
    assert visible.see(html).hosts == ("shop.example", "eur01.safelinks.protection.outlook.com")


@pytest.mark.parametrize(
    ("text", "value", "there"),
    [
        ("Refund RF-12 issued", "RF-12", True),
        ("RF-12.", "RF-12", True),
        ("(RF-12)", "RF-12", True),
        ("#RF-12", "RF-12", True),
        ("RF-123", "RF-12", False),
        ("RF-12-3", "RF-12", False),
        ("ARF-12", "RF-12", False),
        ("A-RF-12", "RF-12", False),
        ("RF-12_", "RF-12", False),
        ("RF-123 RF-12", "RF-12", True),
        ("Anna\nSchmidt", "Anna Schmidt", True),
        ("Hello Zoë,", "Zoë", True),
        ("王小明様", "王小明", True),
        ("anna schmidt", "Anna Schmidt", False),
        ("x", "", False),
        ("", "x", False),
    ],
)
def test_shows(text: str, value: str, there: bool) -> None:
    assert shows(text, value) is there


# --- money -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "amount", "there"),
    [
        ("Amount: £12.30", "£12.30", True),
        ("£12.30.", "£12.30", True),
        ("£12.30, thanks", "£12.30", True),
        ("(£12.30)", "£12.30", True),
        ("-£12.30", "£12.30", True),
        ("Total:£12.30", "£12.30", True),
        ("£12.30\n5 items", "£12.30", True),
        ("order 4711 £12.30", "£12.30", True),
        ("£112.30", "£12.30", False),
        ("£12.300", "£12.30", False),
        ("£12.305", "£12.30", False),
        ("£12.30.5", "£12.30", False),
        ("£12.30,50", "£12.30", False),
        ("£ 12.30", "£12.30", False),
        ("$12.30", "£12.30", False),
        ("US$12.30", "$12.30", False),
        ("A$12.30", "$12.30", False),
        ("$12.30 CAD", "$12.30", False),
        ("$12.30CAD", "$12.30", False),
        ("£12.30k", "£12.30", False),
        ("£12.30 €5.00", "£12.30", True),
        ("£12.30٥", "£12.30", False),
        ("12,30 €", "12,30 €", True),
        ("12,30\n€", "12,30 €", True),
        ("112,30 €", "12,30 €", False),
        ("1.112,30 €", "112,30 €", False),
        ("1 112,30 €", "112,30 €", False),
        ("Qty 1\n112,30 €", "112,30 €", True),
        ("Menge 1 12,30 €", "12,30 €", True),
        ("$ 12,30 €", "12,30 €", False),
        ("5,00 € 12,30 €", "12,30 €", True),
        ("12,30 €uro", "12,30 €", False),
        ("1 234,50 kr", "1 234,50 kr", True),
        ("1 234,50 kr.", "1 234,50 kr", True),
        ("1 234,50 krona", "1 234,50 kr", False),
        ("¥1,234", "¥1,234", True),
        ("¥1,234,567", "¥1,234", False),
        ("¥1,234 567", "¥1,234", False),
        ("¥1,234\n567 points", "¥1,234", True),
        ("CHF 1'234.50", "CHF 1’234.50", True),
        ("12.30", "12.30", True),
        ("", "£1", False),
        ("£1", "", False),
    ],
)
def test_stands(text: str, amount: str, there: bool) -> None:
    assert amounts.stands(text, amount) is there


@pytest.mark.parametrize(
    ("text", "known", "others"),
    [
        ("£12.30", ["£12.30"], ()),
        ("£12.30 and £5", ["£12.30"], ("£5",)),
        ("£12.30 £12.30", ["£12.30"], ()),
        ("£112.30", ["£12.30"], ("£112.30",)),
        ("$12.30 CAD", ["$12.30"], ("$12.30 CAD",)),
        ("order 4711 £12.30", ["£12.30"], ()),
        ("Bestellung 4711\n12,30 €\n5 Stück", ["12,30 €"], ()),
        ("12,30 € (13.40 USD)", ["12,30 €"], ("13.40 USD",)),
        ("EUR 5 CHF 6.-", [], ("EUR 5", "CHF 6")),
        ("5,- € zurück", [], ("5,- €",)),
        ("fee £4.99, £12.30", ["£12.30", "£4.99"], ()),
        ("£4.991", ["£4.99"], ("£4.991",)),
        ("100 kr", [], ("100 kr",)),
        ("5 Euro", [], ("5 Euro",)),
        ("5 European", [], ()),
        ("room 101, 20 %, 3 items, 24h, 2026-11-02", [], ()),
        ("£12.30 EUR", ["£12.30"], ("£12.30 EUR",)),
        ("order 4711 £5.00", [], ("£5.00",)),
        ("12,30 € 5,00 €", [], ("12,30 €", "5,00 €")),
        ("EUR 12 EUR 5", [], ("EUR 12", "EUR 5")),
        ("token7 £5.00", [], ("£5.00",)),
        ("1 112,30 €", ["112,30 €"], ("112,30 €",)),
        ("-£12.30", ["£12.30"], ()),
        ("£-12.30", ["£12.30"], ("£-12.30",)),
        ("1,230円", [], ("1,230円",)),
        ("", ["£1"], ()),
    ],
)
def test_others(text: str, known: list[str], others: tuple[str, ...]) -> None:
    assert amounts.others(normalise(text), known) == others


def test_amounts_seen_are_bounded() -> None:
    assert len(amounts.seen(" ".join(f"£{n}" for n in range(500)))) == amounts.MAX_SEEN


@given(st.text(alphabet="£$€kr 0123456789.,'\nEURab-"))
@settings(max_examples=250, deadline=None)
def test_amounts_never_raise(text: str) -> None:
    text = normalise(text)
    amounts.seen(text)
    assert "£12.30" not in amounts.others(text, ["£12.30"]) or amounts.stands(text, "£12.30") is False


# --- altered ---------------------------------------------------------------------------------------------------------

EXPECTED = Expectation(
    fields=((Field.AMOUNT, "£12.30"), (Field.REFUND_NUMBER, "RF-1"), (Field.ORDER_NUMBER, "100-7"), (Field.CUSTOMER_NAME, "Zoë Ångström")),
    allowed_amounts=("£4.99",),
)
WHOLE = "Hello Zoë Ångström, refund RF-1 for order 100-7: £12.30"


def mail(text: str | None, html: str | None = None, subject: str = "Your refund", **headers: str) -> bytes:
    message = EmailMessage(policy=email.policy.SMTP)
    message["Subject"] = subject
    message["From"] = "Shop <refunds@shop.example>"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    if text is not None:
        message.set_content(text)
        if html is not None:
            message.add_alternative(html, subtype="html")
    elif html is not None:
        message.set_content(html, subtype="html")
    return bytes(message)


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        pytest.param(mail(WHOLE), (), id="text only"),
        pytest.param(mail(None, f"<p>{WHOLE}</p>"), (), id="html only"),
        pytest.param(mail(WHOLE, f"<p>{WHOLE}</p>"), (), id="both"),
        pytest.param(mail(WHOLE + "\nshipping £4.99"), (), id="allowed amount"),
        pytest.param(mail(WHOLE.replace("12.30", "12.31")), (Field.AMOUNT, Field.FOREIGN_AMOUNT), id="other amount"),
        pytest.param(mail(WHOLE.replace("£12.30", "$12.30")), (Field.AMOUNT, Field.FOREIGN_AMOUNT), id="other currency"),
        pytest.param(mail(WHOLE, f"<p>{WHOLE.replace('12.30', '1.23')}</p>"), (Field.AMOUNT, Field.FOREIGN_AMOUNT), id="html differs"),
        pytest.param(mail(WHOLE.replace("12.30", "1.23"), f"<p>{WHOLE}</p>"), (Field.AMOUNT, Field.FOREIGN_AMOUNT), id="text differs"),
        pytest.param(mail(WHOLE + " or £99"), (Field.FOREIGN_AMOUNT,), id="another amount"),
        pytest.param(mail(WHOLE, subject="Your refund of £1,230"), (Field.FOREIGN_AMOUNT,), id="another amount in the subject"),
        pytest.param(mail(WHOLE.replace("RF-1", "RF-2")), (Field.REFUND_NUMBER,), id="refund number"),
        pytest.param(mail(WHOLE.replace("100-7", "100-77")), (Field.ORDER_NUMBER,), id="order number"),
        pytest.param(mail(WHOLE.replace("Zoë Ångström", "Customer")), (Field.CUSTOMER_NAME,), id="name"),
        pytest.param(mail("see attachment"), (Field.AMOUNT, Field.REFUND_NUMBER, Field.ORDER_NUMBER, Field.CUSTOMER_NAME), id="everything"),
        pytest.param(mail(None), (Field.AMOUNT, Field.REFUND_NUMBER, Field.ORDER_NUMBER, Field.CUSTOMER_NAME), id="nothing to read"),
        pytest.param(mail(WHOLE.replace(" ", "\u00a0").replace("-", "\u2011")), (), id="typography"),
        pytest.param(mail(WHOLE.replace("12.30", "12.\u200b30")), (), id="zero-width space in the amount"),
        pytest.param(mail(None, f"<p>{WHOLE.replace('12.30', '12.<sup>30</sup>')}</p>"), (), id="superscript cents by tag"),
        pytest.param(mail(None, "".join(f"<td>{word}</td>" for word in WHOLE.split())), (), id="a word a cell"),
        pytest.param(mail(WHOLE + "\n-- \nThis email and any attachments are confidential"), (), id="footer"),
        pytest.param(mail(WHOLE, f"<p>{WHOLE}</p><p style='display:none'>£99</p>"), (), id="hidden amount"),
        pytest.param(mail(None, f"<p style='display:none'>{WHOLE}</p>"), tuple(Field)[:4], id="all hidden"),
    ],
)
def test_altered(raw: bytes, fields: tuple[Field, ...]) -> None:
    assert altered(read(raw), EXPECTED)[0] == fields


def test_what_was_not_read_is_not_judged() -> None:
    cut = mail(WHOLE)[:-30]
    assert altered(read(cut), EXPECTED)[0]
    fields, notes = altered(read(cut, truncated=True), EXPECTED)
    assert fields == ()
    assert "not judged" in notes[-1]
    wrong = mail(WHOLE.replace("12.30", "99.99") + "\nKind regards from all of us at the shop")
    assert altered(read(wrong, truncated=True), EXPECTED)[0] == (Field.FOREIGN_AMOUNT,), "wrong money that was read is wrong"


@pytest.mark.parametrize(
    ("raw", "note"),
    [
        (mail(None, f'{WHOLE}<a href="https://eur01.safelinks.protection.outlook.com/?url=x">y</a>'), "links were wrapped"),
        (mail("CAUTION: This email originated from outside\n" + WHOLE), "banner or footer"),
        (mail(WHOLE + " £77"), "shows other amounts of money: £77"),
        (mail(None), "no readable text"),
    ],
)
def test_notes(raw: bytes, note: str) -> None:
    assert any(note in found for found in altered(read(raw), EXPECTED)[1])


# --- carriers --------------------------------------------------------------------------------------------------------

OTHER = "a" * 40


def carriers(reading: Reading) -> set[Carrier]:
    return {carrier for carrier, found in reading.tokens if found == TOKEN}


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        pytest.param(mail("x", X_Mailcanary_Token=TOKEN), {Carrier.HEADER}, id="header"),
        pytest.param(mail("x", X_Mailcanary_Token=TOKEN.upper()), {Carrier.HEADER}, id="upper case"),
        pytest.param(f"X-Mailcanary-Token: {TOKEN[:9]}\r\n\t{TOKEN[9:]}\r\n\r\nx".encode(), {Carrier.HEADER}, id="folded inside"),
        pytest.param(f"X-Mailcanary-Token: {TOKEN[:9]} {TOKEN[9:]}\r\n\r\nx".encode(), {Carrier.HEADER}, id="a space inside"),
        pytest.param(f"x-MAILCANARY-token : {TOKEN}\n\nx".encode(), {Carrier.HEADER}, id="spelling, bare LF"),
        pytest.param(mail("x", To=f"seed+{TOKEN}@m.example"), {Carrier.PLUS_TAG}, id="To"),
        pytest.param(mail("x", To=f"Zoë Ü <seed+{TOKEN}@m.example>"), {Carrier.PLUS_TAG}, id="To with a name"),
        pytest.param(mail("x", Delivered_To=f"seed+{TOKEN}@m.example"), {Carrier.PLUS_TAG}, id="Delivered-To"),
        pytest.param(f"Received: by x for <seed+{TOKEN}@m>; now\n\nx".encode(), {Carrier.PLUS_TAG}, id="Received for"),
        pytest.param(mail("x", Cc=f"seed+{TOKEN}@m.example"), set(), id="Cc is no carrier"),
        pytest.param(mail("x", Message_ID=f"<{TOKEN}@shop.example>"), {Carrier.MESSAGE_ID}, id="Message-ID"),
        pytest.param(mail(f"Reference {TOKEN}"), {Carrier.BODY}, id="text"),
        pytest.param(mail(None, f"<!-- {TOKEN} -->x"), {Carrier.BODY}, id="comment"),
        pytest.param(mail(None, f"<i hidden>{TOKEN}</i>x"), {Carrier.BODY}, id="hidden element"),
        pytest.param(mail(None, f"<i>{TOKEN[:20]}&shy;{TOKEN[20:]}</i>"), {Carrier.BODY}, id="soft hyphen inside"),
        pytest.param(mail(f"> Reference {TOKEN}"), set(), id="quoted line"),
        pytest.param(mail(f"see\n\n---------- Forwarded message ---------\nReference {TOKEN}"), set(), id="forwarded"),
        pytest.param(mail(f"see\n\n-----Ursprüngliche Nachricht-----\nReference {TOKEN}"), set(), id="forwarded, German"),
        pytest.param(mail(f"I am away. {TOKEN}", Auto_Submitted="auto-replied (vacation)"), set(), id="auto-reply"),
        pytest.param(mail(f"thanks {TOKEN}", In_Reply_To=f"<{TOKEN}@shop.example>"), set(), id="reply"),
        pytest.param(mail(f"yours {TOKEN}", References="<order-5@shop.example>"), {Carrier.BODY}, id="threaded by the shop"),
        pytest.param(mail(f"yours {TOKEN}", Auto_Submitted="auto-generated"), {Carrier.BODY}, id="auto-generated"),
        pytest.param(mail("x", Subject2=TOKEN), set(), id="another header"),
    ],
)
def test_carriers(raw: bytes, found: set[Carrier]) -> None:
    assert carriers(read(raw)) == found


def test_tokens_of_an_attached_message_are_not_its_own() -> None:
    inner = EmailMessage(policy=email.policy.SMTP)
    inner["X-Mailcanary-Token"] = TOKEN
    inner["Subject"] = "inner"
    inner.set_content(f"£12.30 refund {TOKEN}")
    outer = EmailMessage(policy=email.policy.SMTP)
    outer["Subject"] = "fwd"
    outer.set_content("see attached")
    outer.add_attachment(inner)
    reading = read(bytes(outer))
    assert reading.tokens == ()
    assert reading.quoted == (TOKEN,)
    assert not reading.refund_shaped


def test_duplicate_headers_and_rank() -> None:
    raw = f"X-Mailcanary-Token: {OTHER}\nX-Mailcanary-Token: {TOKEN}\nMessage-ID: <{TOKEN}@x>\nMessage-ID: <{OTHER}@x>\n\n{TOKEN}"
    assert read(raw.encode()).tokens == (
        (Carrier.HEADER, OTHER),
        (Carrier.HEADER, TOKEN),
        (Carrier.MESSAGE_ID, TOKEN),
        (Carrier.BODY, TOKEN),
    )


# --- headers and shape -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "author"),
    [
        ("a@b.example", "a@b.example"),
        ("Name <a@b.example>", "a@b.example"),
        ('"x <evil@evil.example>" <a@b.example>', "a@b.example"),
        ('"unclosed <a@b.example>', None),
        ("=?utf-8?q?M=C3=BCller?= <a@B.example>", "a@b.example"),
        ("a@b.example, c@d.example", "a@b.example"),
        ("<>", None),
        ("", None),
        ("(((((((((" * 1000, None),
        ('"\\' * 8000, None),
        ("a@b@c.example", None),
    ],
)
def test_author(value: str, author: str | None) -> None:
    found = read(f"From: {value}\n\nx".encode()).author
    assert (str(found) if found else None) == author or (author is None and found is not None and "@" in value)


@pytest.mark.parametrize(
    ("value", "decoded"),
    [
        ("plain", "plain"),
        ("=?utf-8?q?Erstattung_=C3=BCber?=", "Erstattung über"),
        ("=?UTF-8?B?w7w=?=\n =?UTF-8?B?w7w=?=", "üü"),
        ("=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü"),
        ("a =?latin1?q?=A3?= b", "a £ b"),
        ("=?utf-8*en?q?x?=", "x"),
        ("=?nonsense?q?=C3=BC?=", "ü"),
        ("=?utf-8?b?!!!?=", ""),
        ("=?utf-8?x?y?=", "=?utf-8?x?y?="),
        ("=?utf-8?q?unclosed", "=?utf-8?q?unclosed"),
        ("=?zip?b?AAAA?=", "\x00\x00\x00"),
        ("folded\n  twice", "folded twice"),
    ],
)
def test_encoded_words(value: str, decoded: str) -> None:
    assert mime.decode_words(value) == decoded


@pytest.mark.parametrize(
    ("text", "shaped"),
    [
        ("Your refund of £5", True),
        ("Ihre Rückerstattung: 5,00 €", True),
        ("Kostenerstattung 5 EUR", True),
        ("Votre remboursement de 5 €", True),
        ("Su reembolso de 5 €", True),
        ("Devolución: 5 €", True),
        ("Rimborso 5 €", True),
        ("Terugbetaling € 5", True),
        ("Your refund is on its way", False),
        ("Save £5 now", False),
        ("", False),
    ],
)
def test_refund_shaped(text: str, shaped: bool) -> None:
    assert read(mail(text, subject="News")).refund_shaped is shaped
    assert read(mail(None, f"<p>{text}</p>", subject="News")).refund_shaped is shaped


def test_digests() -> None:
    first, wrapped = read(mail("one two three")), read(mail("one two\nthree", X_Extra="y"))
    assert first.digest == wrapped.digest
    assert first.header_digest != wrapped.header_digest
    assert read(mail("one two four")).digest != first.digest
    assert len(first.digest) == len(first.header_digest) == 16


def test_authentication_results_in_order_and_bounded() -> None:
    raw = b"Authentication-Results: a;\r\n spf=pass\r\nauthentication-results: b\r\n" + b"Authentication-Results: c\r\n" * 100 + b"\r\nx"
    found = read(raw).authentication
    assert found[:2] == ("a; spf=pass", "b")
    assert len(found) == 20


def test_a_bare_cr_makes_no_header() -> None:
    raw = b"Subject: x\rAuthentication-Results: mx; dkim=pass\r\nTo: a\r\n\r\nx"
    assert read(raw).authentication == ()


# --- DSN -------------------------------------------------------------------------------------------------------------


def dsn(status: str, returned: str = "", to: str = "bounce+0a1b2c3d4e5f@mail.shop.example", kind: str = "message/rfc822") -> bytes:
    return (
        f"From: MAILER-DAEMON@mx.example\nTo: {to}\nSubject: Undelivered\nAuto-Submitted: auto-replied\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        "--b\n\nI could not deliver your refund of £12.30. " + TOKEN + "\n"
        f"--b\nContent-Type: message/delivery-status\n\n{status}\n"
        f"--b\nContent-Type: {kind}\n\n{returned}\n--b--\n"
    ).encode()


FAILED = (
    "Reporting-MTA: dns; mx.example\n\n"
    "Final-Recipient: rfc822; seed@m.example\nAction: failed (permanent)\nStatus: 5.1.1 (bad mailbox)\n"
    "Diagnostic-Code: smtp; 550 5.1.1\n   <seed@m.example> unknown\n"
)
DELAYED = "\n\nFinal-Recipient: rfc822;a@b\nAction: Delayed\nStatus: 4.4.1\n"


@pytest.mark.parametrize(
    ("raw", "action", "status", "diagnostic", "tokens", "probes"),
    [
        pytest.param(
            dsn(FAILED, f"X-Mailcanary-Token: {TOKEN}\nSubject: x\n\nbody"),
            *("failed", "5.1.1", "550 5.1.1 <seed@m.example> unknown", (TOKEN,), ("0a1b2c3d4e5f",)),
            id="full",
        ),
        pytest.param(
            dsn(FAILED, f"Message-ID: <{TOKEN}@shop.example>", kind="text/rfc822-headers"),
            *("failed", "5.1.1", "550 5.1.1 <seed@m.example> unknown", (TOKEN,), ("0a1b2c3d4e5f",)),
            id="headers only",
        ),
        pytest.param(dsn(DELAYED, to="x@y"), "delayed", "4.4.1", "", (), (), id="delayed, nothing returned"),
        pytest.param(dsn(DELAYED + FAILED, to="x@y"), "failed", "5.1.1", "550 5.1.1 <seed@m.example> unknown", (), (), id="failed first"),
        pytest.param(
            dsn(f"\nOriginal-Recipient: rfc822;seed+{TOKEN}@m\nAction: failed\n", to="x@y"),
            *("failed", "", "", (TOKEN,), ()),
            id="original recipient",
        ),
        pytest.param(dsn("Action: exploded\n", to="x@y"), "unknown", "", "", (), (), id="unknown action"),
        pytest.param(dsn("", to="x@y"), "unknown", "", "", (), (), id="empty status"),
        pytest.param(dsn(FAILED)[:330], "unknown", "", "", (), ("0a1b2c3d4e5f",), id="cut before the status"),
    ],
)
def test_dsn(raw: bytes, action: str, status: str, diagnostic: str, tokens: tuple[str, ...], probes: tuple[str, ...]) -> None:
    reading = read(raw)
    assert reading.dsn
    assert (reading.dsn.action, reading.dsn.status, reading.dsn.diagnostic) == (action, status, diagnostic)
    assert (reading.dsn.tokens, reading.dsn.probes) == (tokens, probes)
    assert reading.tokens == (), "a DSN is never a sighting"
    assert reading.derived


@pytest.mark.parametrize(
    ("raw", "action"),
    [
        pytest.param(
            mail(f"This is the qmail-send program. 550 5.1.1 {TOKEN}").replace(b"refunds@", b"MAILER-DAEMON@"), "failed", id="qmail"
        ),
        pytest.param(mail(f"could not be delivered {TOKEN}", X_Failed_Recipients="a@b"), "failed", id="Exim"),
        pytest.param(mail(TOKEN, subject="Warning: message delayed", X_Failed_Recipients="a@b"), "delayed", id="Exim warning"),
        pytest.param(mail(f"hm {TOKEN}").replace(b"refunds@", b"postmaster@"), "unknown", id="something else"),
    ],
)
def test_free_form_bounces(raw: bytes, action: str) -> None:
    reading = read(raw)
    assert reading.dsn and reading.dsn.action == action
    assert reading.dsn.tokens == (TOKEN,)
    assert reading.tokens == ()


def test_a_null_return_path_alone_is_no_bounce() -> None:
    assert read(mail(f"refund {TOKEN}", Return_Path="<>")).dsn is None


@pytest.mark.parametrize("kind", ["disposition-notification", "feedback-report"])
def test_other_reports_are_no_dsn_and_no_sighting(kind: str) -> None:
    raw = f"X-Mailcanary-Token: {TOKEN}\nContent-Type: multipart/report; report-type={kind}; boundary=b\n\n--b\n\n{TOKEN}\n--b--\n"
    reading = read(raw.encode())
    assert reading.dsn is None
    assert reading.tokens == ()
    assert reading.derived
