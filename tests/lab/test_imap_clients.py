"""The IMAP server against two clients that know nothing of it: aioimaplib and the standard library's imaplib."""

import asyncio
import imaplib
import ssl
from collections.abc import Callable

import aioimaplib
import pytest

from monitor.lab.world import Lab

SEED = "seed1@aurora.test"
PASSWORD = "lab password"


def inbox(lab: Lab, address: str = SEED):
    return lab.store.resolve(address).folders["INBOX"]


async def aio_login(lab: Lab, address: str = SEED) -> aioimaplib.IMAP4:
    client = aioimaplib.IMAP4("127.0.0.1", lab.imap[address.partition("@")[2]].listeners["plain"].port, timeout=10)
    await client.wait_hello_from_server()
    assert (await client.login(address, f"{PASSWORD}")).result == "OK"
    await client.protocol.capability()
    return client


@pytest.mark.asyncio
async def test_aioimaplib_capabilities_select_search_and_fetch(lab: Lab, letter: Callable[..., bytes]) -> None:
    raw = letter("Refund R-1", X_Token="abc123")
    lab.store.append(inbox(lab), letter("other"))
    message = lab.store.append(inbox(lab), raw)
    client = await aio_login(lab)
    assert client.has_capability("IDLE") and client.has_capability("UIDPLUS") and client.has_capability("SPECIAL-USE")
    assert (await client.select("INBOX")).result == "OK"
    found = await client.uid_search("HEADER X-Token abc123", charset=None)
    assert found.lines[0] == b"2"
    for key in ("SUBJECT R-1", "SINCE 1-Jan-2020 UID 2", "TEXT abc123", "NOT SUBJECT other", "OR SUBJECT zz UID 2:*"):
        assert (await client.uid_search(key, charset=None)).lines[0] == b"2", key
    assert (await client.uid_search("BEFORE 1-Jan-2020", charset=None)).lines[0] == b""
    got = await client.uid("fetch", "2", "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")
    assert bytes(got.lines[1]) == raw
    assert b"RFC822.SIZE %d" % len(raw) in got.lines[0]
    assert message.flags == set()
    await client.uid("fetch", "2", "(BODY[])")
    assert message.flags == {"\\Seen"}
    await client.logout()


@pytest.mark.asyncio
async def test_aioimaplib_idle_push_for_arrival_and_removal(lab: Lab, letter: Callable[..., bytes]) -> None:
    client = await aio_login(lab)
    await client.select("INBOX")
    idle = await client.idle_start(timeout=30)
    first = lab.store.append(inbox(lab), letter())
    assert await client.wait_server_push(10) == [b"1 EXISTS"]
    lab.store.append(inbox(lab), letter())
    assert await client.wait_server_push(10) == [b"2 EXISTS"]
    lab.store.expunge(inbox(lab), [first])
    assert await client.wait_server_push(10) == [b"1 EXPUNGE"]
    client.idle_done()
    await asyncio.wait_for(idle, 10)
    await client.logout()


@pytest.mark.asyncio
async def test_aioimaplib_delete_and_uid_expunge(lab: Lab, letter: Callable[..., bytes]) -> None:
    for number in range(3):
        lab.store.append(inbox(lab), letter(f"n{number}"))
    client = await aio_login(lab)
    await client.select("INBOX")
    await client.uid("store", "1,3", "+FLAGS", r"(\Deleted)")
    assert (await client.uid_search("DELETED", charset=None)).lines[0] == b"1 3"
    await client.uid("expunge", "3")
    assert [message.uid for message in inbox(lab).messages] == [1, 2]
    await client.expunge()
    assert [message.uid for message in inbox(lab).messages] == [2]
    await client.logout()


@pytest.mark.asyncio
async def test_aioimaplib_append_and_move(lab: Lab, letter: Callable[..., bytes]) -> None:
    client = await aio_login(lab)
    await client.append(letter("appended"), "INBOX", r"\Seen")
    await client.select("INBOX")
    assert inbox(lab).messages[0].flags == {"\\Seen"}
    assert (await client.uid("move", "1", "Archive")).result == "OK"
    assert inbox(lab).messages == []
    assert len(lab.store.resolve(SEED).folders["Archive"].messages) == 1
    await client.logout()


def stdlib(lab: Lab, domain: str = "aurora.test") -> imaplib.IMAP4:
    client = imaplib.IMAP4("127.0.0.1", lab.imap[domain].listeners["plain"].port, timeout=10)
    client.login(f"seed1@{domain}", PASSWORD)
    return client


@pytest.mark.asyncio
async def test_imaplib_examine_leaves_no_trace(lab: Lab, letter: Callable[..., bytes]) -> None:
    raw = letter()
    message = lab.store.append(inbox(lab), raw)

    def drive() -> None:
        client = stdlib(lab)
        assert client.select("INBOX", readonly=True)[0] == "OK"
        typ, data = client.uid("FETCH", "1", "(BODY[])")
        assert typ == "OK" and data[0][1] == raw
        typ, data = client.fetch("1", "(UID BODY.PEEK[HEADER.FIELDS (Subject X-None)])")
        assert data[0][1] == b"Subject: Your refund\r\n\r\n"
        typ, data = client.fetch("1", "(BODY.PEEK[]<5.10>)")
        assert b"<5>" in data[0][0] and data[0][1] == raw[5:15]
        assert client.store("1", "+FLAGS", r"(\Deleted)")[0] == "NO"
        client.unselect()
        client.logout()

    await asyncio.to_thread(drive)
    assert message.flags == set()


@pytest.mark.asyncio
async def test_imaplib_lists_special_use_and_non_ascii_names(lab: Lab) -> None:
    def drive() -> tuple[list[bytes], list[bytes], list[bytes]]:
        with stdlib(lab, "cumulus.test") as cumulus, stdlib(lab, "borealis.test") as borealis:
            assert cumulus.select("Gel&APY-schte Elemente".join('""'))[0] == "OK"
            assert cumulus.namespace()[1] == [b'(("" "/")) NIL NIL']
            typ, data = cumulus.status('"Rechnungen &- K&AOQ-ufe"', "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)")
            assert typ == "OK" and b"MESSAGES 0 UIDNEXT 1 " in data[0]
            assert cumulus.select("Public")[0] == "NO" and cumulus.select("nowhere")[0] == "NO"
            return cumulus.list()[1], borealis.list()[1], borealis.list('""', "Shopping.%")[1]

    cumulus, borealis, receipts = await asyncio.to_thread(drive)
    assert b'(\\HasNoChildren \\Junk) "/" "Junk E-mail"' in cumulus
    assert b'(\\HasNoChildren \\Trash) "/" "Gel&APY-schte Elemente"' in cumulus
    assert b'(\\HasNoChildren) "." "Spam"' in borealis  # announces no special use: names must do
    assert b'(\\HasChildren \\Noselect) "." "Shopping"' in borealis
    assert receipts == [b'(\\HasNoChildren) "." "Shopping.Receipts"']


@pytest.mark.asyncio
async def test_imaplib_starttls_implicit_tls_and_authenticate(lab: Lab, client_tls: ssl.SSLContext) -> None:
    ports = {name: listener.port for name, listener in lab.imap["aurora.test"].listeners.items()}

    def drive() -> None:
        with imaplib.IMAP4("127.0.0.1", ports["starttls"], timeout=10) as client:
            assert "LOGINDISABLED" in client.capabilities
            with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
                client.login(SEED, PASSWORD)
            client.starttls(client_tls)
            assert "LOGINDISABLED" not in client.capabilities
            client.authenticate("PLAIN", lambda _: f"\0{SEED}\0{PASSWORD}".encode())
            assert client.select("INBOX")[0] == "OK"
        with imaplib.IMAP4_SSL("127.0.0.1", ports["tls"], ssl_context=client_tls, timeout=10) as client:
            client.authenticate("XOAUTH2", lambda _: f"user={SEED}\x01auth=Bearer {PASSWORD}\x01\x01".encode())
            assert client.append("INBOX", r"(\Flagged)", None, b"Subject: x\r\n\r\nbody {5}\r\n")[0] == "OK"
        with imaplib.IMAP4("127.0.0.1", ports["plain"], timeout=10) as client, pytest.raises(imaplib.IMAP4.error):
            client.login(SEED, "wrong")

    await asyncio.to_thread(drive)
    assert inbox(lab).messages[0].raw == b"Subject: x\r\n\r\nbody {5}\r\n"
