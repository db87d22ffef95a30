"""The IMAP server line by line: grammar, literals, sequence numbers, wake-ups, bounds, and hostile clients."""

import asyncio
import base64
import json
import random
import ssl
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.lab import mutf7
from monitor.lab.imap_syntax import SyntaxFault, fetch_items, number_set, parse_date_time, tokenize
from monitor.lab.world import Lab, LabSpec

SEED = "seed1@aurora.test"


def port(lab: Lab, domain: str = "aurora.test") -> int:
    return lab.imap[domain].listeners["plain"].port


def inbox(lab: Lab, address: str = SEED):
    return lab.store.resolve(address).folders["INBOX"]


@pytest.mark.asyncio
async def test_literals_synchronising_and_not(lab: Lab, raw_imap) -> None:
    client = await raw_imap(port(lab))
    await client.line()
    client.send(b"a LOGIN {17}\r\n")
    assert await client.line() == b"+ OK\r\n"
    client.send(b"seed1@aurora.test {12+}\r\nlab password\r\n")
    assert (await client.line()).startswith(b"a OK")
    answer, _ = await client.ask(b'APPEND "INBOX" (\\Seen) "02-Nov-2026 10:00:00 +0100" {12+}\r\nab\r\n{3}\r\ncd\x00')
    assert answer.startswith(b"OK [APPENDUID")
    message = inbox(lab).messages[0]
    assert message.raw == b"ab\r\n{3}\r\ncd\x00" and message.internaldate.hour == 9
    _, lines = await client.ask(b"EXAMINE {5+}\r\ninbox")
    assert b"* 1 EXISTS\r\n" in lines


@pytest.mark.asyncio
async def test_authenticate_with_and_without_initial_response(lab: Lab, raw_imap) -> None:
    secret = base64.b64encode(b"\0seed1@aurora.test\0lab password")
    client = await raw_imap(port(lab))
    await client.line()
    assert (await client.ask(b"AUTHENTICATE PLAIN " + secret))[0].startswith(b"OK [CAPABILITY")
    other = await raw_imap(port(lab))
    await other.line()
    other.send(b"a AUTHENTICATE PLAIN\r\n")
    assert await other.line() == b"+ \r\n"
    other.send(b"*\r\n")
    assert (await other.line()).startswith(b"a BAD")
    other.send(b"b AUTHENTICATE XOAUTH2 " + base64.b64encode(b"user=x\x01auth=Bearer old\x01\x01") + b"\r\n")
    challenge = await other.line()
    assert json.loads(base64.b64decode(challenge[2:]))["status"] == "400"
    other.send(b"\r\n")
    assert (await other.line()).startswith(b"b NO [AUTHENTICATIONFAILED]")


@pytest.mark.asyncio
async def test_what_was_sent_before_the_tls_handshake_is_dropped(lab: Lab, raw_imap, client_tls: ssl.SSLContext) -> None:
    client = await raw_imap(lab.imap["aurora.test"].listeners["starttls"].port)
    await client.line()
    client.send(b"a STARTTLS\r\nb NOOP\r\n")
    assert (await client.line()).startswith(b"a OK")
    await client.writer.start_tls(client_tls, server_hostname="localhost")
    client.send(b"c NOOP\r\n")
    assert (await client.line()).startswith(b"c OK")


@pytest.mark.asyncio
async def test_list_extended(lab: Lab, raw_imap) -> None:
    client = await raw_imap(port(lab))
    await client.login(SEED)
    answer, lines = await client.ask(b'LIST "" "*" RETURN (SPECIAL-USE)')
    assert answer.startswith(b"OK") and b'* LIST (\\HasNoChildren \\Junk) "/" "Junk"\r\n' in lines
    _, lines = await client.ask(b'LIST (SPECIAL-USE) "" "*"')
    assert len(lines) == 5
    _, lines = await client.ask(b'LIST "" ""')
    assert lines == [b'* LIST (\\Noselect) "/" ""\r\n']
    _, lines = await client.ask(b'LIST "" "%"')
    assert not any(b"Offers" in line for line in lines)
    _, lines = await client.ask(b'LIST "" "[Aurora]/*"')
    assert lines == [b'* LIST (\\HasNoChildren) "/" "[Aurora]/Offers \\"of the day\\""\r\n']
    assert (await client.ask(b'EXAMINE "[Aurora]/Offers \\"of the day\\""'))[0].startswith(b"OK")
    other = await raw_imap(port(lab, "borealis.test"))
    await other.login("seed1@borealis.test")
    assert (await other.ask(b'LIST "" "*" RETURN (SPECIAL-USE)'))[0].startswith(b"BAD")


@pytest.mark.asyncio
async def test_sequence_numbers_stay_until_expunge_may_be_told(lab: Lab, raw_imap, letter: Callable[..., bytes]) -> None:
    for number in range(3):
        lab.store.append(inbox(lab), letter(f"n{number}"))
    client = await raw_imap(port(lab))
    await client.login(SEED)
    await client.ask(b"SELECT INBOX")
    lab.store.expunge(inbox(lab), [inbox(lab).messages[0]])
    _, lines = await client.ask(b"FETCH 2 (UID)")
    assert lines == [b"* 2 FETCH (UID 2)\r\n"]
    _, lines = await client.ask(b"NOOP")
    assert lines == [b"* 1 EXPUNGE\r\n"]
    _, lines = await client.ask(b"FETCH 2 (UID)")
    assert lines == [b"* 2 FETCH (UID 3)\r\n"]
    inbox(lab).set_flags(inbox(lab).messages[0], {"\\Flagged"})
    _, lines = await client.ask(b"NOOP")
    assert lines == [b"* 1 FETCH (UID 2 FLAGS (\\Flagged))\r\n"]
    _, lines = await client.ask(b"UID FETCH 9:* (FLAGS)")
    assert lines == [b"* 2 FETCH (UID 3 FLAGS ())\r\n"]  # `*` is the largest UID, wherever it stands


@pytest.mark.asyncio
async def test_no_wake_up_is_lost_in_bursts(lab: Lab, raw_imap, letter: Callable[..., bytes]) -> None:
    """The bug of pymap: a message that arrives while the push for another is written is never announced."""
    client = await raw_imap(port(lab))
    await client.login(SEED)
    await client.ask(b"SELECT INBOX")
    client.send(b"i IDLE\r\n")
    assert await client.line() == b"+ idling\r\n"
    chance = random.Random(7)
    total = 0
    for _ in range(200):
        for _ in range(chance.randint(1, 4)):
            lab.store.append(inbox(lab), b"x")
            total += 1
            if chance.random() < 0.5:
                await asyncio.sleep(0)
        last = b""
        while last != b"* %d EXISTS\r\n" % total:
            last = await client.line()
    client.send(b"DONE\r\n")
    assert (await client.line()).startswith(b"i OK")


@pytest.mark.asyncio
async def test_announcement_delay_holds_the_push_but_not_the_search(raw_imap) -> None:
    async with Lab(LabSpec(announcement_delay=0.3)) as lab:
        client = await raw_imap(port(lab))
        await client.login(SEED)
        await client.ask(b"SELECT INBOX")
        client.send(b"i IDLE\r\n")
        await client.line()
        began = time.monotonic()
        lab.store.append(inbox(lab), b"x")
        assert await client.line() == b"* 1 EXISTS\r\n"
        assert time.monotonic() - began >= 0.29
        client.send(b"DONE\r\n")
        await client.line()
        lab.store.append(inbox(lab), b"y")
        _, lines = await client.ask(b"NOOP")
        assert lines == [b"* 2 EXISTS\r\n"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "command",
    [
        b"",
        b"UID",
        b"NONSENSE",
        b"FETCH 1",
        b"FETCH 0 (UID)",
        b"FETCH 1:99999999999 (UID)",
        b"FETCH 7 (UID)",
        b"FETCH 1 (BODY[)",
        b"FETCH 1 ()",
        b'FETCH 1 "UID"',
        b"SEARCH",
        b"SEARCH NOT",
        b"SEARCH SINCE yesterday",
        b"SEARCH (((",
        b"SEARCH )",
        b"SEARCH " + b"NOT " * 5000 + b"ALL",
        b"SEARCH " + b"(" * 5000,
        b'SEARCH SUBJECT "unclosed',
        b"SEARCH \xff\xfe",
        b"STORE 1 FLAGS",
        b"STORE 1 WHAT (x)",
        b"LIST",
        b'LIST "" "' + b"*a" * 90 + b'"',
        b"APPEND INBOX",
        b'APPEND INBOX (x) "no date" {1+}\r\nx',
        b"SELECT ()",
        b"STATUS INBOX (WRONG)",
        b"LOGIN a b",
        b"STARTTLS",
        b"IDLE\r\nnot done",
    ],
)
async def test_wrong_commands_get_bad_and_the_session_lives(lab: Lab, raw_imap, command: bytes) -> None:
    client = await raw_imap(port(lab))
    await client.login(SEED)
    lab.store.append(inbox(lab), b"Subject: x\r\n\r\n")
    await client.ask(b"SELECT INBOX")
    answer, _ = await client.ask(command)
    assert answer.startswith(b"BAD") and b"internal" not in answer
    assert (await client.ask(b"NOOP"))[0].startswith(b"OK")


@pytest.mark.asyncio
async def test_refusals(lab: Lab, raw_imap) -> None:
    client = await raw_imap(port(lab))
    await client.login(SEED)
    assert (await client.ask(b"SELECT &bad"))[0].startswith(b"NO [CANNOT]")
    assert (await client.ask(b"APPEND nowhere {1+}\r\nx"))[0].startswith(b"NO [TRYCREATE]")
    assert (await client.ask(b"FETCH 1 (UID)"))[0].startswith(b"BAD no mailbox selected")
    await client.ask(b"EXAMINE INBOX")
    assert (await client.ask(b"EXPUNGE"))[0].startswith(b"NO [READ-ONLY]")
    assert (await client.ask(b"SEARCH CHARSET KOI8-R ALL"))[0].startswith(b"NO [BADCHARSET")
    assert (await client.ask(b"LIST {999999}"))[0].startswith(b"NO [TOOBIG]")
    assert (await client.ask(b"NOOP"))[0].startswith(b"OK")


@pytest.mark.asyncio
async def test_logout_and_overlong_input_end_the_session(lab: Lab, raw_imap) -> None:
    client = await raw_imap(port(lab))
    await client.login(SEED)
    assert await client.ask(b"LOGOUT") == (b"OK LOGOUT completed", [b"* BYE logging out\r\n"])
    assert await client.line() == b""
    for flood in (b"x" * 70_000, b"a LOGIN " + b"{1+}\r\nx " * 250 + b"\r\n", b"a LOGIN {99999999+}\r\n"):
        client = await raw_imap(port(lab))
        await client.line()
        client.send(flood)
        assert (await client.line()).startswith(b"* BYE [TOOBIG]")


@pytest.mark.asyncio
async def test_large_bodies_go_through_to_a_slow_reader(lab: Lab, raw_imap) -> None:
    raw = b"Subject: big\r\n\r\n" + (b"y" * 1022 + b"\r\n") * 6000
    for _ in range(3):
        lab.store.append(inbox(lab), raw)
    client = await raw_imap(port(lab))
    await client.login(SEED)
    await client.ask(b"EXAMINE INBOX")
    client.send(b"f UID FETCH 1:* (BODY.PEEK[])\r\n")
    for _ in range(3):
        await asyncio.sleep(0.01)
        assert (await client.line()).endswith(b"{%d}\r\n" % len(raw))
        assert await client.reader.readexactly(len(raw)) == raw
        assert await client.line() == b")\r\n"
    assert (await client.line()).startswith(b"f OK")


@pytest.mark.asyncio
async def test_random_octets_end_only_their_own_session(lab: Lab, raw_imap) -> None:
    chance = random.Random(11)
    words = [b"a", b" ", b"UID", b"FETCH", b"SEARCH", b"(", b")", b"{3}", b"{9+}", b'"', b"\\", b"\r\n", b"\0", b"\xff"]
    witness = await raw_imap(port(lab))
    await witness.login(SEED)
    for _ in range(60):
        client = await raw_imap(port(lab))
        await client.line()
        client.send(b"x LOGIN seed1@aurora.test {12+}\r\nlab password\r\ny SELECT INBOX\r\n")
        client.send(b"".join(chance.choice(words) for _ in range(300)) + b"\r\n" + b"z" * chance.choice((0, 70_000)))
        client.writer.write_eof()
        async with asyncio.timeout(10):
            while await client.reader.read(65536):
                pass
    assert (await witness.ask(b"NOOP"))[0].startswith(b"OK")


@given(st.binary(max_size=200))
def test_tokenizer_raises_nothing_but_syntax_faults(line: bytes) -> None:
    try:
        tokens = tokenize([line])
    except SyntaxFault:
        return
    for token in tokens:
        for parse in (number_set, fetch_items, parse_date_time):
            try:
                parse(token)
            except SyntaxFault:
                continue


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_modified_utf7_round_trip(name: str) -> None:
    wire = mutf7.encode(name)
    assert wire.isascii() and mutf7.decode(wire) == name


@given(st.text(max_size=60))
def test_modified_utf7_decode_raises_only_value_error(wire: str) -> None:
    try:
        mutf7.decode(wire)
    except ValueError:
        return
