"""One bounded HTTP exchange with a receiver of notices, and what its answer means for the notice."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import aiohttp
import yarl

from monitor.edge.reply import clean, shapes
from monitor.edge.tls import TlsFileError
from monitor.model.notice import NotTold, Telling, Told
from monitor.model.secret import SecretRef
from monitor.ports import Clock, SecretError, Secrets

TlsSource = Callable[[str | None], ssl.SSLContext]

MAX_ANSWER = 4 * 1024  # bytes of an answer that are read
MAX_SHOWN = 200  # characters of it that are shown
LONGEST_ASKED = 900.0  # seconds: a peer that asks for a longer pause gets this one
ANSWER_WAIT = 2.0  # seconds for the text of an answer whose status is already there
LEAST_HIDDEN = 4  # characters: shorter pieces of a secret URL are no secret, and hiding them would garble every answer

_WORTH_ANOTHER_TRY = frozenset({408, 425, 429})
_FORBIDDING = frozenset({401, 403, 407})


@dataclass(frozen=True, slots=True)
class Place:
    """Where to: the URL, how to name it to people, and what of it must never be shown."""

    url: yarl.URL
    name: str
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, fit to be shown."""

    status: int
    text: str
    retry_after: float | None
    whole: bool = True  # `text` is all that came, and it ended as announced

    def __str__(self) -> str:
        return f"{self.status} {self.text}".strip()


class NotSent(Exception):
    """There is no answer, or no request could be made."""

    def __init__(self, detail: str, mend: str = "", transient: bool = True) -> None:
        super().__init__(detail)
        self.outcome = NotTold(detail, transient, mend)


class Exchange:
    """Requests to one receiver. Connections are not kept: between two notices lie hours, and a stale one would cost an attempt."""

    def __init__(self, secrets: Secrets, tls: TlsSource, clock: Clock, ca_file: str | None) -> None:
        self._secrets = secrets
        self._tls = tls
        self._clock = clock
        self._ca_file = ca_file
        self._session: aiohttp.ClientSession | None = None

    def secret(self, ref: SecretRef) -> str:
        """Its present value; raises NotSent."""
        try:
            return self._secrets.read(ref)
        except SecretError as error:  # transient: the secret is read anew at each attempt, so it can be mended while we run
            raise NotSent(clean(str(error)), f"make the secret {ref} readable") from None

    def place(self, url: str | SecretRef) -> Place:
        """Raises NotSent when it is no http(s) URL."""
        text = self.secret(url) if isinstance(url, SecretRef) else url
        name = str(url) if isinstance(url, SecretRef) else ""
        try:
            parsed = yarl.URL(text.strip())
            usable = parsed.scheme in ("http", "https") and bool(parsed.host) and parsed.port is not None
        except (ValueError, UnicodeError):
            usable = False
        if not usable:
            detail, mend = f"{name or 'the url of the channel'} is no http or https address", "write https://host/path there"
            raise NotSent(detail, mend, transient=isinstance(url, SecretRef))
        hidden = _pieces(parsed, text) if isinstance(url, SecretRef) else _credentials(parsed)
        return Place(parsed, name or f"{parsed.host}:{parsed.port}", shapes(*hidden))

    async def send(
        self, method: str, place: Place, headers: Mapping[str, str], body: bytes | None, deadline: float, hidden: tuple[str, ...] = ()
    ) -> Answer:
        """The answer within `deadline` seconds, redirects not followed; raises NotSent and nothing else for what the peer does."""
        hide = (*place.hidden, *shapes(*hidden))
        try:
            async with asyncio.timeout(deadline):
                return await self._request(method, place, headers, body, hide)
        except TimeoutError:
            raise NotSent(f"{place.name} did not answer within {deadline:g} s") from None
        except TlsFileError as error:
            raise NotSent(clean(error.detail), error.mend) from None
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as failure:
            raise NotSent(f"{place.name}: {_told(failure)}", "check the certificate and the name in the url, and ca_file") from None
        except NotSent:
            raise
        except Exception as failure:  # nothing that a peer provokes in the library may escape (ports.Channel)
            raise NotSent(clean(f"{place.name}: {_told(failure)}", hide)) from None

    async def close(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def _request(self, method: str, place: Place, headers: Mapping[str, str], body: bytes | None, hide: tuple[str, ...]) -> Answer:
        context = self._tls(self._ca_file) if place.url.scheme == "https" else True
        for name, value in headers.items():
            # Checked here because the library's own complaint would quote the value.
            if any(ord(char) < 32 or ord(char) == 127 for char in value) or not value.isascii():
                raise NotSent(f"the value of the header {name} has characters that HTTP forbids", "mend that secret")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True, use_dns_cache=False),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),  # the deadline of the attempt governs
            )
        async with self._session.request(
            method,
            place.url,
            headers={"accept-encoding": "identity", "user-agent": "mailcanary", **headers},
            data=body,
            allow_redirects=False,  # a redirect would carry the signature and the secrets to another place
            ssl=context,
        ) as response:
            text, whole = await _bounded(response.content, hide)
            shown = clean(text or response.reason or "", hide, MAX_SHOWN)
            return Answer(response.status, shown, self._retry_after(response.headers.get("Retry-After", "")), whole)

    def _retry_after(self, text: str) -> float | None:
        """Seconds, of either form (RFC 9110 section 10.2.3); None when there is none that can be read."""
        text = text.strip()
        if text.isascii() and text.isdecimal():
            return min(float(text[:9]), LONGEST_ASKED)
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - self._clock.now().utc
        except (ValueError, TypeError, OverflowError):
            return None
        return min(max(0.0, seconds), LONGEST_ASKED)


def outcome(answer: Answer, place: Place, secrets: str) -> Telling:
    """What an answer means; `secrets` names those that authorize us, for the mend."""
    if 200 <= answer.status < 300:
        return Told(str(answer))
    detail = f"{place.name} answered {answer}"
    if answer.status in _WORTH_ANOTHER_TRY or answer.status >= 500:
        return NotTold(detail, transient=True, retry_after=answer.retry_after)
    if 300 <= answer.status < 400:
        return NotTold(detail, transient=False, mend="redirects are not followed: put the final address into url")
    if answer.status in _FORBIDDING:
        return NotTold(detail, transient=False, mend=f"check {secrets or 'what the receiver wants for authorization'}")
    if answer.status == 404:
        return NotTold(detail, transient=False, mend="check url: nothing listens for notices there")
    return NotTold(detail, transient=False, mend="the receiver refuses what we send: see what it says, and try `mailcanary notify test`")


def _pieces(url: yarl.URL, text: str) -> list[str]:
    """All that could give a secret URL away: the whole, and each part of it, decoded and as it goes over the wire."""
    parts = [text, str(url), url.human_repr(), url.raw_path_qs, url.path_qs, url.query_string, url.raw_query_string, url.authority]
    parts += [*url.parts, *url.raw_parts, *url.query.values(), url.host or "", url.user or "", url.password or "", url.fragment]
    return [part for part in parts if len(part) >= LEAST_HIDDEN]


def _credentials(url: yarl.URL) -> list[str]:
    return [part for part in (url.password, url.raw_password) if part]


async def _bounded(content: aiohttp.StreamReader, hide: tuple[str, ...]) -> tuple[str, bool]:
    """The beginning of the body, as far as it comes soon, and whether that is all of it. What was cut may end in the middle of a
    secret: that beginning goes too."""
    body, whole = bytearray(), False
    with contextlib.suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(ANSWER_WAIT):
            while len(body) < MAX_ANSWER and (piece := await content.read(MAX_ANSWER - len(body))):
                body += piece
            whole = len(body) < MAX_ANSWER
    text = body.decode("utf-8", "replace")
    if whole:
        return text, whole
    torn = (size for size in range(max(map(len, hide), default=0), LEAST_HIDDEN - 1, -1) if any(h.startswith(text[-size:]) for h in hide))
    return text[: -next(torn, 0) or None], whole


def _told(failure: BaseException) -> str:
    """The failure in plain words, without what we sent and without the address."""
    if isinstance(failure, aiohttp.ClientConnectorCertificateError):
        cause = failure.certificate_error
        return f"certificate refused: {cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else type(cause).__name__}"
    if isinstance(failure, aiohttp.ClientConnectorDNSError):
        return "the host name does not resolve"
    if isinstance(failure, aiohttp.ClientConnectorError):
        number = failure.os_error.errno  # not its text: that has the address
        return f"cannot connect: {os.strerror(number) if number else 'no answer'}"
    if isinstance(failure, aiohttp.ServerDisconnectedError | ConnectionResetError | aiohttp.ClientOSError):
        return "closed the connection without an answer"
    if isinstance(failure, aiohttp.ClientPayloadError | aiohttp.ClientResponseError):
        return "the answer is not complete HTTP"
    return f"{type(failure).__name__} in the HTTP exchange"  # without its text: it may quote what we sent
