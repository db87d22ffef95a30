"""Making a connection ready for mail: connect, TLS, EHLO, AUTH."""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
from collections.abc import Awaitable, Callable

import aiosmtplib

from monitor.edge.reply import clean, shapes, smtp_reply
from monitor.edge.secret import fetch
from monitor.edge.smtp.line import Course, Ended, Line, refused
from monitor.edge.tls import TlsFileError
from monitor.model.policy import LoginMethod, Security, SmtpPath
from monitor.model.submission import Misconfigured, Step, Unreached
from monitor.ports import SecretError, Secrets

TlsSource = Callable[[str | None], ssl.SSLContext]

# RFC 4954 section 6: the fault lies with our credentials or with how we present them.
_CREDENTIALS_REFUSED = frozenset({530, 534, 535, 538})


class Opener:
    """Opens connections for one path. Secrets and the CA file are read first: without them no connection is made."""

    def __init__(self, via: SmtpPath, secrets: Secrets, tls: TlsSource) -> None:
        self._via = via
        self._secrets = secrets
        self._tls = tls
        self.where = f"{via.host}:{via.port}"
        self._local_hostname = via.helo or _host_name() or str(via.identity.envelope_sender.domain)

    async def open(self, course: Course) -> Line:
        via = self._via
        course.step = Step.CONNECT
        if not re.fullmatch(r"[!-~]+", self._local_hostname):
            raise Ended(Misconfigured(Step.CONNECT, "helo is no host name", "set helo of this path to the host name of this machine"))
        context = self._context()
        credentials = await self._credentials()
        client = aiosmtplib.SMTP(
            hostname=via.host,
            port=via.port,
            use_tls=via.security is Security.TLS,
            start_tls=False,  # None would be opportunistic; we ask for it ourselves
            tls_context=context,
            local_hostname=self._local_hostname,
            timeout=None,  # per read, so it bounds nothing; the deadline of the attempt does
        )
        line = Line(client)
        try:
            await self._connect(line, course)
            await line.greet(course.step)
            if via.security is Security.STARTTLS:
                course.step = Step.TLS
                await self._secure(line, context)
                await line.greet(course.step)
            if credentials is not None:
                course.step = Step.AUTH
                await self._log_in(line, *credentials)
        except BaseException:
            line.discard()
            raise
        return line

    def _context(self) -> ssl.SSLContext | None:
        if self._via.security is Security.PLAIN:
            return None
        try:
            return self._tls(self._via.ca_file)
        except TlsFileError as error:
            raise Ended(Misconfigured(Step.TLS, clean(error.detail), error.mend)) from None
        except OSError as error:  # ssl.SSLError is one
            detail = clean(f"cannot use {self._via.ca_file or 'the CA certificates of this system'}: {error}")
            raise Ended(Misconfigured(Step.TLS, detail, "let ca_file of this path name a readable PEM file")) from None

    async def _credentials(self) -> tuple[str, str] | None:
        via = self._via
        if via.username is None:
            return None
        if via.password is None:
            raise Ended(Misconfigured(Step.AUTH, "the path has a username but no password", "give it a password, or no username"))
        try:
            password = await fetch(self._secrets, via.password)
        except SecretError as error:
            raise Ended(Misconfigured(Step.AUTH, clean(str(error)), f"make the secret {via.password} readable")) from None
        if via.login is LoginMethod.XOAUTH2 and re.search(r"[\x00-\x1f\x7f]", via.username + password):
            detail = f"the username or the access token {via.password} contains a control character; nothing was sent"
            raise Ended(Misconfigured(Step.AUTH, detail, "correct it (a stray line end?)"))
        return via.username, password

    async def _connect(self, line: Line, course: Course) -> None:
        try:
            await line.ask(line.client.connect)
        except aiosmtplib.SMTPConnectResponseError as refusal:
            raise refused(Step.CONNECT, smtp_reply(refusal.code, refusal.message)) from None
        except aiosmtplib.SMTPConnectError as failure:
            # With implicit TLS the library does connect and handshake in one step.
            handshake = isinstance(failure.__cause__, ssl.SSLError | ConnectionResetError | ConnectionAbortedError)
            if self._via.security is Security.TLS and handshake:
                course.step = Step.TLS
            raise

    async def _secure(self, line: Line, context: ssl.SSLContext | None) -> None:
        """STARTTLS, required (RFC 3207). The library forgets all that was said in plain text."""
        if not line.client.supports_extension("starttls"):
            raise Ended(Unreached(Step.TLS, f"{self.where}: the relay offers no STARTTLS"))
        try:
            await line.ask(line.client.starttls, tls_context=context)
        except aiosmtplib.SMTPResponseException as refusal:
            raise refused(Step.TLS, smtp_reply(refusal.code, refusal.message)) from None

    async def _log_in(self, line: Line, user: str, password: str) -> None:
        """One mechanism, one try: the library's login() tries them all, which locks accounts and blurs the reply."""
        client = line.client
        if self._via.security is Security.PLAIN and not is_loopback(client.get_transport_info("peername")):
            detail = f"{self.where}: no password is sent to another host over an unencrypted connection"
            raise Ended(Misconfigured(Step.AUTH, detail, "set security of this path to starttls or tls, or remove the username"))
        login = self._mechanism(client)
        line.hidden = shapes(password, f"\0{user}\0{password}")
        try:
            await line.ask(login, user, password)
        except aiosmtplib.SMTPAuthenticationError as refusal:
            # Not even a part of an echoed command may pass.
            text = re.sub(r"[A-Za-z0-9+/]{20,}={0,2}", "***", clean(refusal.message, line.hidden))
            reply = smtp_reply(refusal.code, text)
            if refusal.code in _CREDENTIALS_REFUSED:
                mend = f"check the username {user} and the secret {self._via.password}"
                if self._via.login is LoginMethod.XOAUTH2:
                    mend = f"the access token was refused: renew it ({self._via.password}), and check the username {user}"
                raise Ended(Misconfigured(Step.AUTH, f"{self.where}: {reply}", mend)) from None
            raise refused(Step.AUTH, reply) from None

    def _mechanism(self, client: aiosmtplib.SMTP) -> Callable[[str, str], Awaitable[object]]:
        """The way to log in that this path wants and the relay offers."""
        passwords = {"plain": client.auth_plain, "login": client.auth_login, "cram-md5": client.auth_crammd5}
        logins = {"xoauth2": client.auth_xoauth2} if self._via.login is LoginMethod.XOAUTH2 else passwords
        offered = client.server_auth_methods
        for name, login in logins.items():
            if name in offered:
                return login
        said = f"only AUTH {' '.join(offered)}" if offered else "no AUTH"
        detail = f"{self.where}: the relay offers {said}"
        mend = "use the relay's submission port with TLS, or remove the username"
        if self._via.login is LoginMethod.XOAUTH2:
            mend = "use the relay's submission port with TLS, or login: password"
        raise Ended(Misconfigured(Step.AUTH, clean(detail), mend))


def _host_name() -> str:
    """This host's name if it is fully qualified (RFC 5321 section 4.1.1.1). The library asks getfqdn(), which may wait for DNS."""
    name = socket.gethostname()
    return name if "." in name else ""


def is_loopback(peername: object) -> bool:
    """Judged by the address that we are connected to: a name may point anywhere."""
    if not isinstance(peername, tuple) or not peername:
        return False
    try:
        return ipaddress.ip_address(str(peername[0]).partition("%")[0]).is_loopback
    except ValueError:
        return False
