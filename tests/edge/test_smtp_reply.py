"""What is read out of a peer's words."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.edge.reply import MAX_TEXT, at_pointer, clean, json_document, queue_id, shapes, smtp_reply
from monitor.model.submission import Reply


@pytest.mark.parametrize(
    ("code", "message", "reply"),
    [
        (250, "2.0.0 Ok: queued as 1", Reply(250, "Ok: queued as 1", "2.0.0")),
        (550, "5.1.1", Reply(550, "", "5.1.1")),
        (550, "5.7.509 Access denied", Reply(550, "Access denied", "5.7.509")),
        (421, "4.7.28 one\n4.7.28 two", Reply(421, "one two", "4.7.28")),
        (550, "4.1.1 classes differ", Reply(550, "4.1.1 classes differ")),
        (250, "2.0 no code", Reply(250, "2.0 no code")),
        (250, "2.0.0.1 an address", Reply(250, "2.0.0.1 an address")),
        (250, "3.0.0 no class", Reply(250, "3.0.0 no class")),
        (354, "go", Reply(354, "go")),
    ],
)
def test_smtp_reply(code: int, message: str, reply: Reply) -> None:
    assert smtp_reply(code, message) == reply


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Ok: queued as 4XyZ12", "4XyZ12"),
        ("Ok: 17 bytes queued as B5C7", "B5C7"),
        ("Message queued as <20261101.ABC@mx>", "20261101.ABC@mx"),
        ("Ok: queued as 9F1.", "9F1"),
        ("from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 77AA", "77AA"),
        ("OK id=1qRs2T-000abc-3D", "1qRs2T-000abc-3D"),
        ("<1@x.test> [InternalId=123, Hostname=H] 9 bytes in 0.1 Queued mail for delivery", "1@x.test"),
        ("x1A2b3C4 Message accepted for delivery", "x1A2b3C4"),
        ("Ok 0100018c5d2e3f4a-1b2c3d4e-0000", "0100018c5d2e3f4a-1b2c3d4e-0000"),
        ("OK  1700000000 d9443c01a7336-1d0c - gsmtp", "d9443c01a7336-1d0c"),
        ("Ok", ""),
        ("thank you", ""),
        ("", ""),
    ],
)
def test_queue_id(text: str, found: str) -> None:
    assert queue_id(text) == found


DOCUMENT = json.loads('{"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "m~n": 8, "~1": "t", "t": true, "n": null, "f": 1.5}')


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("/foo/0", "bar"),
        ("/foo/1", "baz"),
        ("/", "0"),
        ("/a~1b", "1"),
        ("/c%d", "2"),
        ("/m~0n", "8"),
        ("/~01", "t"),
        ("/f", "1.5"),
        ("", ""),  # the whole is no text
        ("/foo", ""),
        ("/foo/2", ""),
        ("/foo/-", ""),
        ("/foo/01", ""),
        ("/foo/0/x", ""),
        ("/foo/99999999999999999999", ""),
        ("/t", ""),
        ("/n", ""),
        ("/absent", ""),
        ("foo", ""),
    ],
)
def test_json_pointer(pointer: str, found: str) -> None:
    """RFC 6901 section 5 and what lies beside it."""
    assert at_pointer(DOCUMENT, pointer) == found


def test_a_text_alone() -> None:
    assert at_pointer("R-1", "") == "R-1"


@given(st.text() | st.binary().map(lambda data: data.decode("utf-8", "surrogateescape")))
def test_clean_can_be_stored(text: str) -> None:
    kept = clean(text)
    kept.encode()
    assert len(kept) <= MAX_TEXT
    assert not any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in kept)
    assert clean(kept) == kept


@given(st.integers(-99, 999), st.text())
def test_any_reply_can_be_read(code: int, text: str) -> None:
    reply = smtp_reply(code, text)
    queue_id(reply.text)
    assert len(reply.text) <= MAX_TEXT


@given(st.binary(), st.text())
def test_any_document_can_be_asked(body: bytes, pointer: str) -> None:
    at_pointer(json_document(body), pointer).encode()


def test_hidden() -> None:
    hidden = shapes("pässword", "\0user\0pässword")
    for form in hidden:
        assert clean(f"a {form} b", hidden) == "a *** b"
    assert shapes("") == ()


def test_a_secret_of_several_lines_is_hidden_line_by_line() -> None:
    hidden = shapes("-----BEGIN KEY-----\nline-one-secret\n  hunter2-last-line\nabc")
    for form in ("line-one-secret", "hunter2-last-line", "-----BEGIN KEY----- line-one-secret hunter2-last-line abc"):
        assert clean(f"a {form} b", hidden) == "a *** b"
    assert clean("abc", hidden) == "abc", "so short a line stands in any text"
