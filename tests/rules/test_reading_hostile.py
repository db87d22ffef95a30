"""Hostile mail: never an exception, bounded parts, bounded memory, and the standard library's parser as oracle on honest mail."""

from __future__ import annotations

import email
import email.policy
import tracemalloc
from collections.abc import Callable
from email.message import EmailMessage

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.model.mail import Carrier
from monitor.rules import dsn, mime, visible
from monitor.rules.compose import compose
from monitor.rules.reading import altered, read
from monitor.rules.visible import normalise
from tests.corpus.world import IDENTITY, PLAN

TOKEN = PLAN.token
GOOD = compose(PLAN, IDENTITY)


def peak_of(work: Callable[[], object]) -> int:
    """Bytes that `work` held at its peak."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def count_calls(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> list[int]:
    calls, real = [0], getattr(owner, name)

    def counted(*args: object, **kwargs: object) -> object:
        calls[0] += 1
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, counted)
    return calls


@pytest.mark.hostile
@given(st.binary(max_size=2000))
@settings(max_examples=80, deadline=None)
def test_any_bytes(raw: bytes) -> None:
    altered(read(raw), PLAN.expectation)


FRAGMENTS = [
    *(b"\n", b"\r", b"\r\n", b"\n\n", b" ", b"\t", b"\0", b":", b";", b"--", b"--b", b"--b--", b"=", b"<", b">", b"&#", b"<!--", b"\xff"),
    *(b"Content-Type: ", b"multipart/mixed; boundary=b", b"multipart/report; boundary=b; report-type=delivery-status", b"text/html"),
    *(
        b"text/plain; charset=utf-16",
        b"message/rfc822",
        b"message/delivery-status",
        b"Content-Transfer-Encoding: base64",
        b"quoted-printable",
    ),
    *(
        b"Action: failed",
        b"Subject: =?utf-8?b?",
        b"?=",
        b"From: ",
        b"To: a+",
        TOKEN.encode(),
        b"@x",
        b"X-Mailcanary-Token: ",
        "£12.30".encode(),
    ),
    *(b"<div style=display:none>", b"</div>", b"<style>", b"Authentication-Results: x; spf=pass (", b"refund", b"\xc2", b"Received: "),
]


@pytest.mark.hostile
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=60).map(b"".join))
@settings(max_examples=80, deadline=None)
def test_any_heap_of_mail_fragments(raw: bytes) -> None:
    reading = read(raw)
    altered(reading, PLAN.expectation)
    assert len(reading.tokens) <= 80
    assert reading.dsn is None or reading.tokens == ()


@pytest.mark.hostile
@given(st.integers(0, len(GOOD)), st.integers(0, len(GOOD)), st.binary(max_size=20))
@settings(max_examples=80, deadline=None)
def test_our_own_message_broken_anywhere(start: int, length: int, splice: bytes) -> None:
    raw = GOOD[:start] + splice + GOOD[start + length :]
    altered(read(raw), PLAN.expectation)


@pytest.mark.hostile
@given(st.integers(0, len(GOOD)))
@example(GOOD.index(b"=C2=A3", GOOD.index(b"Amount:")) + 9)  # in the middle of the amount
@example(GOOD.index(b"=C2=A3", GOOD.index(b"Amount:")) + 60)  # a little after it
@settings(max_examples=100, deadline=None)
def test_our_own_message_cut_anywhere_is_never_called_altered(end: int) -> None:
    reading = read(GOOD[:end], truncated=True)
    assert altered(reading, PLAN.expectation)[0] == ()


REPEATED = [
    *("<!--", "<a ", "<![", "</", "<?", "<a b='", "<!", '<a ="', "< ", "&#", "&#9", "<p hidden ", "<style>", "<script", "</div>", "<div>"),
    *("<div style=display:none>", "a\u0301\u0327", "\u0327\u0301", "\ufdfa", "&amp", "<a href=http://", "1.", "£1", "1 ", "$", "1€", " \n"),
    *("A", "a" * 39 + " ", TOKEN + " ", "\u00a0", "\u202f1", "=?", "=?utf-8?q?x", "(", '"', "\\", ";", "a@", "+" + TOKEN + "@", ">\n"),
]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", REPEATED, ids=repr)
def test_no_pattern_explodes(piece: str) -> None:
    data = piece.encode() * (mime.MAX_DECODED // len(piece.encode()))
    altered(read(b"Content-Type: text/html; charset=utf-8\n\n" + data), PLAN.expectation)
    altered(read(b"Content-Type: text/plain; charset=utf-8\n\n" + data), PLAN.expectation)
    for header in (b"Subject", b"From", b"To", b"Content-Type", b"X-Mailcanary-Token", b"Received", b"Authentication-Results"):
        read(header + b": " + data.replace(b"\n", b"\n "))


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\r" * mime.MAX_RAW, id="bare CR"),
        pytest.param(b"\n" * mime.MAX_RAW, id="bare LF"),
        pytest.param(b"\0" * mime.MAX_RAW, id="NUL"),
        pytest.param(b"a:\n" * (mime.MAX_RAW // 3), id="headers"),
        pytest.param(b"a: b\n" + b" c\n" * (mime.MAX_RAW // 3), id="folds"),
        pytest.param(b"a" * mime.MAX_RAW, id="one line"),
        pytest.param(b"Content-Type: multipart/mixed; boundary=-\n\n" + b"-" * mime.MAX_RAW, id="dashes"),
        pytest.param(b"Content-Type: multipart/mixed; boundary=-\n\n" + b"---\n" * (mime.MAX_RAW // 4), id="delimiters"),
        pytest.param(
            b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
            + b"Action: x\n\n" * 40_000,
            id="status blocks",
        ),
    ],
)
def test_no_structure_explodes(data: bytes) -> None:
    altered(read(data), PLAN.expectation)


def test_ten_thousand_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    head = b'X-Mailcanary-Token: %s\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n' % TOKEN.encode()
    raw = head + b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n" * 10_000 + b"--b--\r\n"
    blocks = count_calls(monkeypatch, mime, "parse_headers")
    reading = read(raw)
    assert blocks[0] <= mime.MAX_PARTS + 1
    assert reading.partial
    assert reading.tokens == ((Carrier.HEADER, TOKEN),)
    assert peak_of(lambda: read(raw)) < 4 * len(raw) + 1_000_000


def test_deep_nesting(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b0\n\n"
    raw += b"".join(b"--b%d\nContent-Type: multipart/mixed; boundary=b%d\n\n" % (n, n + 1) for n in range(5000))
    splits = count_calls(monkeypatch, mime, "_split")
    assert read(raw).partial
    assert splits[0] <= mime.MAX_DEPTH


def test_forty_megabytes() -> None:
    raw = GOOD.replace(b"</body>", b"</body>" + b"x" * 40_000_000)
    assert peak_of(lambda: read(raw)) < 12_000_000
    reading = read(raw)
    assert reading.partial
    assert (Carrier.HEADER, PLAN.token) in reading.tokens
    assert altered(reading, PLAN.expectation)[0] == ()


def test_forty_megabytes_before_the_text() -> None:
    """What we cannot read we do not judge; a token in a header still proves that it arrived."""
    head, _, body = GOOD.partition(b"\r\n\r\n")
    boundary = head.split(b'boundary="')[1].split(b'"')[0]
    raw = head + b"\r\n\r\n--" + boundary + b"\r\nContent-Type: image/png\r\n\r\n" + b"y" * 40_000_000 + b"\r\n" + body
    fields, notes = altered(read(raw), PLAN.expectation)
    assert fields == ()
    assert any("not judged" in note for note in notes)


def test_decoded_text_is_bounded() -> None:
    raw = b"Content-Type: text/plain; charset=utf-8\n\n" + "\ufdfa".encode() * 200_000
    reading = read(raw)
    assert reading.text is not None and len(reading.text) <= visible.MAX_TEXT
    many = b"Content-Type: multipart/mixed; boundary=b\n\n" + (b"--b\n\n" + b"word " * 600) * 190
    reading = read(many)
    assert reading.partial
    assert reading.text is not None and len(reading.text) <= mime.MAX_DECODED


def test_charset_names_choose_no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look-up of an arbitrary name imports modules and fills a cache for ever."""
    import encodings

    before = set(encodings._cache)  # type: ignore[attr-defined]
    for name in ("rot13", "zip", "hex", "idna", "punycode", "unicode_escape", "x" * 50, "../x", "mbcs", "\0", "this"):
        assert "12" in (read(f"Content-Type: text/plain; charset={name}\n\n12".encode()).text or "")
    assert not {name for name in set(encodings._cache) - before if "rot" in name or "puny" in name or "x" * 9 in name}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("declared", "data", "shown"),
    [
        ("utf-8", "£1".encode(), "£1"),
        ("iso-8859-1", b"\xa31", "£1"),
        ("windows-1252", b"\x801", "€1"),
        ("us-ascii", "£1".encode(), "£1"),
        ("us-ascii", b"\xa31", "£1"),
        ("", b"\x801", "€1"),
        ("utf-8", b"\xa31", "\ufffd1"),
        ("iso-8859-1", "£1".encode(), "Â£1"),
        ("utf-16", "£1".encode("utf-16"), "£1"),
        ("iso-8859-15", b"\xa41", "€1"),
        ("gb2312", "1元".encode("gbk"), "1元"),
        ("nonsense", "£1".encode()[:-1], "£"),
        ("", "1£".encode()[:-1], "1"),
    ],
)
def test_charsets(declared: str, data: bytes, shown: str) -> None:
    assert mime.decode(data, declared) == shown


# --- the oracle ------------------------------------------------------------------------------------------------------

words = st.text(alphabet="abcdefgh £€äöüß=._-\n>0123456789", min_size=1, max_size=200)
subjects = st.text(alphabet="abc äöü€?=_<>\"'", max_size=80)


@pytest.mark.hostile
@given(words, words, subjects, st.sampled_from(["quoted-printable", "base64", "8bit"]), st.booleans())
@settings(max_examples=80, deadline=None)
def test_honest_mail_reads_as_the_standard_library_reads_it(text: str, html: str, subject: str, encoding: str, mixed: bool) -> None:
    message = EmailMessage(policy=email.policy.SMTP)
    message["Subject"] = subject
    message["From"] = "Zoë <a@b.example>"
    message.set_content(text, cte=encoding)
    message.add_alternative(f"<p>{html.replace('<', '')}</p>", subtype="html", cte=encoding)
    if mixed:
        message.add_attachment(b"\0\1", maintype="application", subtype="pdf", filename="ü.pdf")
    raw = bytes(message)
    other = email.message_from_bytes(raw, policy=email.policy.default)
    plain, rich = other.get_body(("plain",)), other.get_body(("html",))
    assert plain and rich
    reading = read(raw)
    assert (reading.text or "") == normalise(plain.get_content())
    assert (reading.html or "") == visible.see(rich.get_content()).text
    assert reading.subject == normalise(other["Subject"]).replace("\n", " ")
    assert str(reading.author) == "a@b.example"
    assert not reading.partial


@pytest.mark.hostile
@given(st.binary(max_size=400))
@settings(deadline=None)
def test_base64_of_anything(data: bytes) -> None:
    import base64

    body = base64.encodebytes(data)
    assert mime._base64(body) == data
    assert mime._base64(body.replace(b"\n", b"\r\n ")) == data
    mime._base64(data)


@pytest.mark.hostile
@given(st.binary(max_size=500))
@settings(deadline=None)
def test_delivery_status_blocks_end(content: bytes) -> None:
    assert len(list(dsn._blocks(content))) <= 50
