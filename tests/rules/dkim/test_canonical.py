"""Canonicalization: the examples of RFC 6376 section 3.4.5, odd bodies, and the naive form of the tests' signer as an oracle."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.rules.mailauth.dkim import canonical
from tests.rules.dkim import signing

EXAMPLE = b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n"


def test_example_of_the_rfc() -> None:
    parts = canonical.split(EXAMPLE)
    assert [canonical.relaxed_field(one.raw, one.colon) for one in parts.fields] == [b"a:X", b"b:Y Z"]
    assert [canonical.field(one.raw, one.colon, False) for one in parts.fields] == [b"A: X", b"B : Y\t\r\n\tZ  "]
    assert canonical.body(parts.body, True) == b" C\r\nD E\r\n"
    assert canonical.body(parts.body, False) == b" C \r\nD \t E\r\n"


@pytest.mark.parametrize(
    "data, simple, relaxed",
    [
        (b"", b"\r\n", b""),
        (b"\r\n", b"\r\n", b""),
        (b"\r\n\r\n\r\n", b"\r\n", b""),
        (b" ", b" \r\n", b""),
        (b" \r\n\t\r\n", b" \r\n\t\r\n", b""),
        (b"a", b"a\r\n", b"a\r\n"),
        (b"a \t", b"a \t\r\n", b"a\r\n"),
        (b"a\n\r\n", b"a\n\r\n", b"a\n\r\n"),
        (b"a\r\r\n\r\n", b"a\r\r\n", b"a\r\r\n"),
        (b"\r\n\r\na  b\r\n \r\n", b"\r\n\r\na  b\r\n \r\n", b"\r\n\r\na b\r\n"),
    ],
)
def test_bodies(data: bytes, simple: bytes, relaxed: bytes) -> None:
    assert canonical.body(data, False) == simple
    assert canonical.body(data, True) == relaxed


PIECES = st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"\r", b"\n", b"\xff", b"\0"]), max_size=40).map(b"".join)


@pytest.mark.hostile
@given(PIECES, st.booleans())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_bodies_as_the_naive_form(data: bytes, relaxed: bool) -> None:
    made = canonical.body(data, relaxed)
    assert made == signing.body(data, relaxed)
    assert canonical.body(made, relaxed) == made


@pytest.mark.hostile
@given(PIECES)
@settings(max_examples=80, deadline=None, derandomize=True)
def test_split_keeps_every_octet(data: bytes) -> None:
    raw = b"A: 1\r\nB: 2\r\n" + data
    parts = canonical.split(raw)
    assert b"".join(one.raw + b"\r\n" for one in parts.fields) in raw + b"\r\n"
    assert raw.endswith(parts.body)


def test_split() -> None:
    assert canonical.split(b"A: 1\r\n\r\nx").whole
    assert not canonical.split(b"A: 1\r\nB: 2").whole
    assert canonical.split(b"A: 1\r\nno field\r\nB: 2\r\n").body == b"no field\r\nB: 2\r\n"
    assert [one.name for one in canonical.split(b"From x y\r\nA: 1\r\n\r\n").fields] == ["a"]
    assert [one.name for one in canonical.split(b"A\t : 1\r\n\r\n").fields] == ["a"]
    many = canonical.split(b"A: 1\r\n" * (canonical.MAX_FIELDS + 5) + b"\r\nbody")
    assert (len(many.fields), many.body) == (canonical.MAX_FIELDS, b"body")


def test_selection_is_from_the_bottom_up() -> None:
    fields = canonical.split(b"A: 1\r\nB: 2\r\nA: 3\r\n\r\n").fields
    chosen = canonical.selected(fields, ["a", "a", "a", "b", "c"])
    assert [one.value for one in chosen] == [b" 3", b" 1", b" 2"]


@pytest.mark.parametrize(
    "value, left",
    [
        (b" a=1; b=xyz", b" a=1; b="),
        (b" b=xy\r\n z ; a=1", b" b=; a=1"),
        (b" bh=xy; b = z;", b" bh=xy; b =;"),
        (b" a=b=c;b=z", b" a=b=c;b="),
        (b"b=", b"b="),
        (b" a=1", b" a=1"),
    ],
)
def test_value_is_taken_out(value: bytes, left: bytes) -> None:
    assert canonical.unsigned(b"X:" + value, 1) == b"X:" + left
