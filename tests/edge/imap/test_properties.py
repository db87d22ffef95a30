"""Properties of the parsers: whatever comes, they answer in bounded work, and what was written is read back."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.edge.imap import answers, utf7
from monitor.edge.imap.stream import Literal, Malformed, Response, Stream, escaped, string, turns
from monitor.model.mail import Folder

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
BYTES = st.binary(max_size=200)
LINE = BYTES.map(lambda data: data.replace(b"\r\n", b""))
UID = st.integers(1, 0xFFFFFFFF)


def quoted(data: bytes) -> bytes:
    return b'"' + data.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def fed(data: bytes, cuts: list[int]) -> list[Response]:
    stream, whole, start = Stream(), [], 0
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        whole += stream.feed(data[start:cut])
        start = cut
    return whole


# --- modified UTF-7 -------------------------------------------------------------------------------------------------


@given(TEXT)
@example("&")
@example("~peter/mail/台北/日本語")
@example("\U0001f4b8 Rückerstattung & mehr")
def test_utf7_reads_what_it_writes(name: str) -> None:
    wire = utf7.encode(name)
    assert wire.isascii() and wire.isprintable()
    assert utf7.decode(wire) == name


@pytest.mark.parametrize(
    ("wire", "name"),
    [("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"), ("&-", "&"), ("Entw&APw-rfe", "Entwürfe"), ("&AGEAYg-", "ab")],
)
def test_utf7_as_the_standard_writes_it(wire: str, name: str) -> None:
    assert utf7.decode(wire) == name


@given(st.text())
@example("&AA-")
@example("&2D0-")
def test_utf7_decodes_or_says_why(wire: str) -> None:
    try:
        name = utf7.decode(wire)
    except utf7.Utf7Error:
        return
    assert utf7.decode(utf7.encode(name)) == name


def test_utf7_has_no_word_for_half_a_character() -> None:
    with pytest.raises(utf7.Utf7Error):
        utf7.encode("\ud83d")


# --- the stream -----------------------------------------------------------------------------------------------------


@given(st.binary(max_size=2000), st.lists(st.integers(0, 5000), max_size=20))
@example(b"* 1 FETCH (BODY[] {3}\r\na\r\n)\r\n", list(range(40)))
def test_it_does_not_matter_how_the_bytes_are_cut(data: bytes, cuts: list[int]) -> None:
    assert fed(data, cuts) == fed(data, [])


@given(st.lists(st.lists(BYTES, max_size=4), max_size=8), st.lists(st.integers(0, 10_000), max_size=30))
def test_literals_are_exact(bodies: list[list[bytes]], cuts: list[int]) -> None:
    data = b"".join(
        b"* 1 FETCH (UID 1" + b"".join(b" X-%d {%d}\r\n%b" % (index, len(body), body) for index, body in enumerate(parts)) + b")\r\n"
        for parts in bodies
    )
    responses = fed(data, cuts)
    assert [response[1::2] for response in responses] == bodies


@given(LINE)
def test_human_text_never_starts_a_literal(text: bytes) -> None:
    for head in (b"* OK ", b"* NO ", b"* BYE ", b"A1 OK ", b"+ ", b"* CAPABILITY ", b"* X "):
        line = head + text + b" {7}"
        assert fed(line + b"\r\nnext\r\n", []) == [[part] for part in (line + b"\r\nnext").split(b"\r\n")]


@given(st.lists(st.one_of(BYTES.map(string), st.just(b"UID"), BYTES.map(Literal)), min_size=1, max_size=6))
def test_what_we_send_is_one_command(arguments: list[bytes]) -> None:
    pieces = turns([b"A1", *arguments])
    assert all(piece.endswith(b"\r\n") for piece in pieces)
    assert len(pieces) == 1 + sum(isinstance(argument, Literal) for argument in arguments)
    rest = b"".join(pieces)
    for argument in arguments:
        head = b" {%d}\r\n%b" % (len(argument), argument) if isinstance(argument, Literal) else b" " + argument
        before, found, rest = rest.partition(head)
        assert found and before in (b"A1", b"")
    assert rest == b"\r\n"


@pytest.mark.parametrize("argument", [b"a\rb", b"a\nb", b"a\0b"])
def test_what_would_split_a_line_is_refused(argument: bytes) -> None:
    with pytest.raises(ValueError, match="split"):
        turns([b"A1", argument])
    assert isinstance(string(argument), Literal)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_quoting_is_undone_by_reading(text: str) -> None:
    response = answers.fetched([b'* 1 FETCH (BODY[] "%b")' % escaped(text).encode()])
    assert response.body == text.encode()


# --- FETCH ----------------------------------------------------------------------------------------------------------

ATTRIBUTES = st.fixed_dictionaries(
    {b"UID": UID},
    optional={
        b"RFC822.SIZE": st.integers(0, 1 << 40),
        b"BODY": BYTES,
        b"FLAGS": st.just(b"(\\Seen $x)"),
        b"X-ODD": BYTES,
        b"X-NEST": st.just(b'((a ")(" NIL) ())'),
    },
)


@given(ATTRIBUTES, st.randoms(), st.booleans())
@example({b"UID": 1, b"BODY": b"("}, None, False)
@example({b"UID": 1, b"BODY": b")"}, None, False)
@example({b"UID": 1, b"BODY": b"NIL"}, None, True)
def test_fetch_is_read_in_any_order(attributes: dict[bytes, int | bytes], random: object, quotes: bool) -> None:
    names = list(attributes)
    if random is not None:
        random.shuffle(names)  # type: ignore[attr-defined]
    shown: list[bytes] = []
    for name in names:
        value = attributes[name]
        if isinstance(value, int):
            shown.append(name + b" %d" % value)
        elif name in (b"BODY", b"X-ODD"):
            plain = quotes and b"\r" not in value and b"\n" not in value
            text = quoted(value) if plain else b"{%d}\r\n%b" % (len(value), value)
            shown.append((b"BODY[]<0> " if name == b"BODY" else b"X-ODD ") + text)
        else:
            shown.append(name + b" " + value)
    (response,) = fed(b"* 12 FETCH (" + b" ".join(shown) + b")\r\n", [])
    message = answers.fetched(response)
    assert message.uid == attributes[b"UID"] and message.size == attributes.get(b"RFC822.SIZE") and message.body == attributes.get(b"BODY")


@given(
    st.lists(
        st.one_of(st.binary(max_size=60), st.sampled_from([b"(", b")", b'"', b"\\", b"NIL", b" BODY[] ", b"UID 1", b"{3}", b"<0>", b"[]"])),
        max_size=12,
    )
)
@settings(max_examples=300)
def test_fetch_noise_is_read_or_refused(parts: list[bytes]) -> None:
    for data in (b"* 1 FETCH " + b"".join(parts), b"* 1 FETCH (UID 5 " + b"".join(parts) + b")"):
        for response in fed(data + b"\r\n", []):
            if b"FETCH" in response[0].upper():
                try:
                    answers.fetched(response)
                except Malformed:
                    continue


def test_nesting_is_bounded_and_not_recursive() -> None:
    with pytest.raises(Malformed):
        answers.fetched([b"* 1 FETCH (X " + b"(" * 100_000 + b")" * 100_000 + b")"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"17-Jul-1996 02:44:25 -0700", 837596665.0),
        (b" 7-Jul-1996 02:44:25 +0000", 836707465.0),
        (b"01-jan-2026 00:00:60 +0000", 1767225659.0),
        (b"32-Jan-2026 00:00:00 +0000", None),
        (b"01-Foo-2026 00:00:00 +0000", None),
        (b"01-Jan-0000 00:00:00 +0000", None),
        (b"01-Jan-0001 00:00:00 +9999", None),
        (b"\xff", None),
    ],
)
def test_internaldate(text: bytes, expected: float | None) -> None:
    assert answers.timestamp(text) == expected


# --- LIST and SEARCH ------------------------------------------------------------------------------------------------


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), st.booleans())
@example("a b {3}", False)
@example("NIL", False)
def test_a_folder_name_is_read_and_named_again(name: str, literal: bool) -> None:
    wire = utf7.encode(name).encode()
    shown = b"{%d}\r\n%b" % (len(wire), wire) if literal else quoted(wire)
    (response,) = fed(b'* LIST (\\HasNoChildren \\Junk) "/" ' + shown + b"\r\n", [])
    folder = answers.folder(response)
    assert folder is not None
    if name.upper() == "INBOX":
        assert folder.name == "INBOX"
        return
    assert folder.name == name and answers.wire(folder) == wire and folder.attributes == {"\\hasnochildren", "\\junk"}


@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([b"(", b")", b'"', b"\\", b"NIL", b"{1}", b" "])), max_size=10))
def test_list_noise_is_read_or_refused(parts: list[bytes]) -> None:
    for response in fed(b"* LIST " + b"".join(parts) + b"\r\n", []):
        if response[0].startswith(b"* LIST"):
            try:
                folder = answers.folder(response)
            except Malformed:
                continue
            assert folder is None or answers.wire(folder)


def test_a_folder_that_was_never_listed_is_named_in_utf7() -> None:
    assert answers.wire(Folder("日", "日")) == b"&ZeU-"


@given(st.lists(UID, max_size=30))
def test_search_results(uids: list[int]) -> None:
    line = b"* SEARCH" + b"".join(b" %d" % uid for uid in uids)
    assert answers.uids([[line]]) == sorted(set(uids))
    if uids:
        assert answers.uids([[b'* ESEARCH (TAG "A1") UID ALL ' + b",".join(b"%d" % uid for uid in uids)]]) == sorted(set(uids))


@given(BYTES)
def test_search_noise_gives_uids_only(data: bytes) -> None:
    for head in (b"* SEARCH ", b"* ESEARCH UID ALL 1:3,", b"* SEARCH"):
        try:
            assert all(1 <= uid <= 0xFFFFFFFF for uid in answers.uids([[head + data]]))
        except Malformed:
            continue


def test_a_range_without_end_does_not_fill_memory() -> None:
    with pytest.raises(Malformed):
        answers.uids([[b"* ESEARCH UID ALL 1:4294967295"]])


@given(st.binary(max_size=400), st.text(min_size=4))
def test_words_are_one_bounded_printable_line_without_secrets(text: bytes, secret: str) -> None:
    said = answers.words(text + secret.encode("utf-8", "ignore"), secret)
    assert "\n" not in said and "\x1b" not in said and len(said) <= 203
