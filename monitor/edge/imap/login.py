"""From a policy to a connection that is logged in: TCP, TLS, greeting, authentication. What went wrong is said, a secret never."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable

from monitor.edge.imap import answers
from monitor.edge.imap.connection import Connection
from monitor.edge.imap.exchange import Reply
from monitor.edge.imap.stream import escaped, string
from monitor.edge.secret import fetch
from monitor.edge.tls import TlsFileError
from monitor.model.mail import BlindCause
from monitor.model.policy import LoginMethod, MailboxPolicy, Security
from monitor.ports import MailboxError, SecretError, Secrets

TlsSource = Callable[[str | None], ssl.SSLContext]

_TEMPORARY = frozenset({b"UNAVAILABLE", b"INUSE", b"LIMIT", b"SERVERBUG", b"OVERQUOTA", b"THROTTLED"})  # RFC 5530 section 3, Gmail
_FORBIDDEN = frozenset("\r\n\0")
# A dead peer is noticed by the kernel, not by a timer of ours: 3 minutes of silence, then 4 questions 30 s apart.
_KEEPALIVE = (("TCP_KEEPIDLE", 180), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 4))


async def connect(policy: MailboxPolicy, timeout: float, secrets: Secrets, tls: TlsSource) -> Connection:
    """A connection that is logged in. Raises MailboxError, after which nothing is left open."""
    where = f"{policy.host}:{policy.port}"
    password = await _password(policy, secrets, where)
    if policy.security is Security.PLAIN and not _is_loopback_name(policy.host):
        raise _insecure(where)
    context = None if policy.security is Security.PLAIN else _context(policy, tls, where)
    connection = Connection(where, timeout)
    try:
        await _reach(connection, policy, context if policy.security is Security.TLS else None)
        hello = await connection.greeting()
        if policy.security is Security.STARTTLS and context is not None:
            await _starttls(connection, policy, context, hello)
        if not connection.capabilities:
            await connection.run("CAPABILITY")
        if hello.status != "PREAUTH":
            await _authenticate(connection, policy, password)
    except BaseException as error:
        connection.drop(error if isinstance(error, MailboxError) else None)
        raise
    return connection


def temporary(reply: Reply) -> bool:
    """Whether the server says that the refusal will pass."""
    return reply.code in _TEMPORARY


# --- reaching -----------------------------------------------------------------------------------------------------


def _context(policy: MailboxPolicy, tls: TlsSource, where: str) -> ssl.SSLContext:
    try:
        return tls(policy.ca_file)
    except TlsFileError as error:
        raise MailboxError(BlindCause.MISCONFIGURED, f"{where}: {error.detail}", error.mend) from error
    except (OSError, ValueError) as error:  # another factory than ours
        raise MailboxError(BlindCause.MISCONFIGURED, f"{where}: ca_file {policy.ca_file}: {error}", "correct ca_file") from error


def _is_loopback_name(host: str) -> bool:
    if host.lower().rstrip(".") == "localhost":
        return True
    return _is_loopback(host)


def _is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


def _insecure(where: str) -> MailboxError:
    return MailboxError(
        BlindCause.MISCONFIGURED,
        f"{where}: security: plain would send the password in clear to another host; nothing was sent",
        "use security: tls (port 993) or starttls (port 143); plain is for loopback only",
    )


async def _reach(connection: Connection, policy: MailboxPolicy, context: ssl.SSLContext | None) -> None:
    try:
        async with asyncio.timeout(connection.timeout):
            transport, _ = await asyncio.get_running_loop().create_connection(
                lambda: connection, policy.host, policy.port, ssl=context, server_hostname=policy.host if context else None
            )
    except (OSError, ValueError, OverflowError) as error:
        raise _unreached(connection, error, policy) from error
    if policy.security is Security.PLAIN and not _is_loopback(str(transport.get_extra_info("peername", ("",))[0])):
        raise _insecure(connection.where)  # the name said localhost, the address did not
    sock = transport.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):  # a kernel without one of them still works
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _starttls(connection: Connection, policy: MailboxPolicy, context: ssl.SSLContext, hello: Reply) -> None:
    mend = "use security: tls (port 993), or a port of this server that offers STARTTLS; a password never goes out in clear"
    if hello.status == "PREAUTH":  # nothing can be secured after it (RFC 3501 section 6.2.1): the trick of a man in the middle
        raise connection.error(BlindCause.TLS, "the server says PREAUTH where STARTTLS is required", mend)
    if not connection.capabilities:
        await connection.run("CAPABILITY")
    if "STARTTLS" not in connection.capabilities:
        raise connection.error(BlindCause.TLS, "the server does not offer STARTTLS", mend)
    reply = await connection.run("STARTTLS", secures=True)
    if not reply.ok:
        raise connection.refused(reply, "STARTTLS", BlindCause.TLS, mend)
    try:
        await connection.upgrade(context, policy.host)
    except (OSError, ValueError) as error:
        raise _unreached(connection, error, policy) from error


def _unreached(connection: Connection, error: Exception, policy: MailboxPolicy) -> MailboxError:
    match error:
        case ssl.SSLCertVerificationError():
            return connection.error(
                BlindCause.TLS,
                f"the server's certificate does not verify: {error.verify_message or error.reason}",
                f"check host {policy.host}, the certificate's names and dates, and its issuer (ca_file: {policy.ca_file or 'the system'})",
            )
        case ssl.SSLError():
            other = "starttls" if policy.security is Security.TLS else "tls"
            return connection.error(
                BlindCause.TLS,
                f"the TLS handshake failed: {error.reason or answers.words(str(error))}",
                f"check that port {policy.port} speaks TLS 1.2 or later with security: {policy.security.value} (or is it {other}?)",
            )
        case socket.gaierror():
            return connection.error(BlindCause.UNREACHABLE, f"the name cannot be resolved: {error.strerror}", "check host and DNS")
        case TimeoutError():
            return connection.error(
                BlindCause.TIMEOUT, f"no connection within {connection.timeout:g} s", "check host, port, security and firewall"
            )
        case OSError():
            why = answers.words(error.strerror or str(error)) or type(error).__name__
            return connection.error(BlindCause.UNREACHABLE, f"cannot connect: {why}", "check host and port; is the server up?")
        case _:
            return connection.error(BlindCause.MISCONFIGURED, f"host or port cannot be used: {answers.words(str(error))}", "correct them")


# --- who we are ---------------------------------------------------------------------------------------------------


async def _password(policy: MailboxPolicy, secrets: Secrets, where: str) -> str:
    """Password or access token, read anew: a token that has expired is another one at the next login."""
    try:
        password = await fetch(secrets, policy.password)
    except SecretError as error:
        raise MailboxError(BlindCause.MISCONFIGURED, f"{where}: {error}", f"provide the secret {policy.password}") from error
    for value, name in ((policy.username, "the username"), (password, f"the secret {policy.password}")):
        if _FORBIDDEN & set(value) or (policy.login is LoginMethod.XOAUTH2 and "\1" in value):
            raise MailboxError(
                BlindCause.MISCONFIGURED, f"{where}: {name} contains CR, LF or NUL; nothing was sent", f"correct {name} (a stray line end?)"
            )
    return password


async def _authenticate(connection: Connection, policy: MailboxPolicy, password: str) -> None:
    known = connection.capabilities
    if not known & {"IMAP4REV1", "IMAP4REV2"}:  # trap 13: the library knows only the first
        raise connection.error(BlindCause.PROTOCOL, "the server names neither IMAP4rev1 nor IMAP4rev2 among its capabilities")
    connection.capabilities = frozenset()  # those after the login count (RFC 3501 section 7.1, CAPABILITY)
    sasl = _sasl(policy, password)
    connection.hidden = (password, escaped(password), sasl.decode())
    mechanism = policy.login.value.upper()
    if policy.login is LoginMethod.LOGIN:
        if "LOGINDISABLED" in known:
            raise connection.error(
                BlindCause.AUTH_REFUSED, "the server disables LOGIN on this connection", "use security: tls or starttls, or login: plain"
            )
        reply = await connection.run("LOGIN", string(policy.username.encode()), string(password.encode()), patient=True)
    elif f"AUTH={mechanism}" not in known:
        mend = "use login: login, or security: tls" if policy.login is LoginMethod.PLAIN else "use login: login or plain, or security: tls"
        raise connection.error(BlindCause.AUTH_REFUSED, f"the server does not offer AUTH={mechanism}", mend)
    else:
        # XOAUTH2 tells the reason of a refusal in one more challenge, and wants an empty line for an answer.
        resigned = b"" if policy.login is LoginMethod.XOAUTH2 else b"*"
        first, then = ((sasl,), ()) if "SASL-IR" in known else ((), (sasl,))  # RFC 4959: one round trip less
        reply = await connection.run("AUTHENTICATE", mechanism.encode(), *first, answers_to_go_ahead=then, patient=True, resigned=resigned)
    if not reply.ok:
        raise _refusal(connection, policy, reply)
    connection.hidden = ()
    if not connection.capabilities:
        # Trap 11: aioimaplib takes them from the LOGIN reply, brackets and all; here they were parsed, or they are asked for.
        await connection.run("CAPABILITY")


def _sasl(policy: MailboxPolicy, password: str) -> bytes:
    """The initial response: PLAIN (RFC 4616), or XOAUTH2 as Google and Microsoft define it."""
    if policy.login is LoginMethod.XOAUTH2:
        return b64encode(f"user={policy.username}\1auth=Bearer {password}\1\1".encode())
    return b64encode(f"\0{policy.username}\0{password}".encode())


def _refusal(connection: Connection, policy: MailboxPolicy, reply: Reply) -> MailboxError:
    said = connection.words(reply.said)
    if reply.challenges:  # trap 12: there the reason stands
        said = f"{said} ({'; '.join(connection.words(_decoded(challenge)) for challenge in reply.challenges)})"
    if temporary(reply):
        return connection.error(BlindCause.UNREACHABLE, f"login not possible now: {said}", "the watch tries again")
    mend = f"check the username, the secret {policy.password}, and whether the provider wants an app password or IMAP switched on"
    if policy.login is LoginMethod.XOAUTH2:
        mend = f"the access token was refused: renew it ({policy.password}), and check the username and that IMAP is switched on"
    return connection.error(BlindCause.AUTH_REFUSED, f"login of {policy.username} refused: {said}", mend)


def _decoded(challenge: bytes) -> bytes:
    try:
        return b64decode(challenge, validate=True)
    except ValueError:
        return challenge
