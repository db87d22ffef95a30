"""Submission through the production application (docs/app-contract.md) over aiohttp."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import aiohttp
import yarl

from monitor.edge.reply import MAX_ID, at_pointer, clean, json_document, shapes
from monitor.edge.tls import TlsFileError
from monitor.model.address import SeedList
from monitor.model.policy import HttpPath, PathPolicy
from monitor.model.secret import SecretRef
from monitor.model.submission import (
    AppSubmission,
    Declined,
    Misconfigured,
    Outcome,
    Postponed,
    Reply,
    Step,
    Submission,
    Taken,
    Unanswered,
    Unreached,
)
from monitor.ports import SecretError, Secrets

TlsSource = Callable[[str | None], ssl.SSLContext]
SessionFactory = Callable[[aiohttp.TraceConfig], aiohttp.ClientSession]

MAX_BODY = 64 * 1024

_TRY_LATER = frozenset({429, 503})
_NOT_ALLOWED = frozenset({401, 403})


@dataclass(slots=True)
class _Course:
    """How far one attempt has come."""

    sent: bool = False  # bytes of the request may have left
    hidden: tuple[str, ...] = ()

    def lost(self, detail: str, step: Step = Step.CONNECT) -> Outcome:
        return Unanswered(Step.REQUEST, clean(detail, self.hidden)) if self.sent else Unreached(step, clean(detail, self.hidden))


class _Ended(Exception):
    """The attempt has its outcome."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(type(outcome).__name__)
        self.outcome = outcome


class _SentBefore(aiohttp.ClientError):
    """The library was about to send the request a second time."""


def new_session(trace: aiohttp.TraceConfig) -> aiohttp.ClientSession:
    """A session that remembers nothing: no connections kept (a stale one would cost a refund its answer), no cookies, no proxy from
    the environment, no DNS cache (after a deploy the name may point elsewhere)."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, use_dns_cache=False),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),  # the deadline of the attempt governs
        trace_configs=[trace],
    )


class HttpSubmitter:
    """ports.Submitter for one endpoint of the application."""

    def __init__(
        self, policy: PathPolicy, seeds: SeedList, secrets: Secrets, tls: TlsSource, session: SessionFactory = new_session
    ) -> None:
        if not isinstance(policy.via, HttpPath):
            raise TypeError(f"path {policy.name} is no http path")
        self._via = policy.via
        self._seeds = seeds
        self._secrets = secrets
        self._tls = tls
        self._new_session = session
        self._session: aiohttp.ClientSession | None = None

    async def submit(self, submission: Submission, deadline: float) -> Outcome:
        if not isinstance(submission, AppSubmission):
            raise TypeError("an http path takes requests to the application")
        self._seeds.admit(submission.recipient)
        course = _Course()
        try:
            async with asyncio.timeout(deadline):
                return await self._request(submission, course)
        except _Ended as end:
            return end.outcome
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as failure:
            return course.lost(_told(failure), Step.TLS)
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            return Misconfigured(Step.REQUEST, "the url of this path is no http or https address", "mend url of this path")
        except TimeoutError:
            return course.lost(f"the application did not answer within {deadline:g} s")
        except Exception as failure:  # nothing that the peer provokes in the library may escape (ports.Submitter)
            if isinstance(failure, ValueError) and not course.sent:
                return Misconfigured(Step.REQUEST, "the HTTP library refuses this request", "check url, method and headers of this path")
            return course.lost(_told(failure))

    async def reach(self, deadline: float) -> Outcome:
        """Connect, and shake hands where it is https. No request: the application knows no harmless one (docs/app-contract.md)."""
        try:
            url = yarl.URL(self._via.url)
            context = self._context() if url.scheme == "https" else None
            async with asyncio.timeout(deadline):
                _, writer = await asyncio.open_connection(url.host, url.port, ssl=context)
            writer.close()
        except _Ended as end:
            return end.outcome
        except TimeoutError:
            return Unreached(Step.CONNECT, f"no connection within {deadline:g} s")
        except ssl.SSLError as failure:
            return Unreached(Step.TLS, clean(str(failure)))
        except (OSError, ValueError) as failure:
            return Unreached(Step.CONNECT, clean(f"cannot connect: {failure}"))
        return Taken(Reply(200, f"{url.host}:{url.port} accepts connections; no refund was asked for"))

    async def close(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def _request(self, submission: AppSubmission, course: _Course) -> Outcome:
        via = self._via
        headers = self._headers(submission, course)
        context = self._context() if via.url.lower().startswith("https:") else True
        if self._session is None:
            self._session = self._new_session(_trace())
        async with self._session.request(
            via.method,
            via.url,
            headers=headers,
            data=submission.body,
            allow_redirects=False,  # a redirect would carry the secrets to another place
            ssl=context,
            trace_request_ctx=course,
        ) as response:
            taken = response.status in via.expected_status
            try:
                body = await _bounded(response.content)
            except (aiohttp.ClientError, TimeoutError) as failure:
                if taken:
                    return course.lost(f"status {response.status} came, the rest of the answer did not: {_told(failure)}")
                body = b""
            return self._taken(response, body, course) if taken else self._refused(response, body, course)

    def _taken(self, response: aiohttp.ClientResponse, body: bytes, course: _Course) -> Taken:
        via = self._via
        document = json_document(body) if len(body) <= MAX_BODY else None
        refund = at_pointer(document, via.refund_id) if via.refund_id is not None else ""
        version = self._version(response, document)
        notes = [
            f"[no {what} at {place} of the answer]"
            for what, place, found in (("refund id", via.refund_id, refund), ("served version", via.version, version))
            if place is not None and not found
        ]
        reply = Reply(response.status, clean(" ".join([*notes, _text(response, body)]), course.hidden))
        return Taken(reply=reply, app_refund_id=clean(refund, course.hidden), served_version=clean(version, course.hidden))

    def _version(self, response: aiohttp.ClientResponse, document: object) -> str:
        place = self._via.version
        if place is None:
            return ""
        if place.startswith("header:"):
            return clean(response.headers.get(place.removeprefix("header:").strip(), ""), limit=MAX_ID)
        return at_pointer(document, place)

    def _refused(self, response: aiohttp.ClientResponse, body: bytes, course: _Course) -> Outcome:
        reply = Reply(response.status, clean(_text(response, body), course.hidden))
        version = clean(self._version(response, json_document(body) if len(body) <= MAX_BODY else None), course.hidden)
        if response.status in _TRY_LATER:
            return Postponed(Step.REQUEST, reply, version)
        if response.status in _NOT_ALLOWED:
            secrets = ", ".join(str(value) for value in self._via.headers.values() if isinstance(value, SecretRef))
            mend = f"check the secret {secrets}" if secrets else "give the path the header that the application wants"
            return Misconfigured(Step.REQUEST, str(reply), f"{mend}, and that it may post synthetic refunds")
        return Declined(Step.REQUEST, reply, version)

    def _headers(self, submission: AppSubmission, course: _Course) -> dict[str, str]:
        """Those of the submission and the secret ones, read now."""
        headers = {"accept-encoding": "identity"} | ({"content-type": "application/json"} if submission.body else {})
        headers |= {name.lower(): text for name, text in submission.headers}  # names differ in more than case
        secrets = []
        for name, value in self._via.headers.items():
            if not isinstance(value, SecretRef):
                continue
            name = name.lower()
            try:
                headers[name] = self._secrets.read(value)
            except SecretError as error:
                raise _Ended(Misconfigured(Step.REQUEST, clean(str(error)), f"make the secret {value} readable")) from None
            secrets += [headers[name], headers[name].rpartition(" ")[2]]  # "Bearer x" may be echoed as x
        course.hidden = shapes(*secrets)
        for name, text in headers.items():
            # Checked here because the library's own complaint would quote the value.
            if re.search(r"[^\t -~\u00a0-\U0010ffff]|[\ud800-\udfff]", text) or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
                raise _Ended(
                    Misconfigured(Step.REQUEST, f"the header {clean(name)} has characters that HTTP forbids", "mend that header's value")
                )
        return headers

    def _context(self) -> ssl.SSLContext:
        try:
            return self._tls(self._via.ca_file)
        except TlsFileError as error:
            raise _Ended(Misconfigured(Step.TLS, clean(error.detail), error.mend)) from None
        except OSError as error:  # ssl.SSLError is one
            detail = clean(f"cannot use {self._via.ca_file or 'the CA certificates of this system'}: {error}")
            raise _Ended(Misconfigured(Step.TLS, detail, "let ca_file of this path name a readable PEM file")) from None


def _trace() -> aiohttp.TraceConfig:
    """Two looks into the library: the moment before the first byte, and a second connection for the same request.

    aiohttp sends an idempotent method (PUT, DELETE) again when the connection is lost, on a fresh connection too. A refund may then
    be processed twice, so the second connection is refused before it is made.
    """

    async def connecting(_: aiohttp.ClientSession, context: SimpleNamespace, __: aiohttp.TraceConnectionCreateStartParams) -> None:
        if _course_of(context).sent:
            raise _SentBefore("the application closed the connection without an answer")

    async def sending(_: aiohttp.ClientSession, context: SimpleNamespace, __: aiohttp.TraceRequestHeadersSentParams) -> None:
        _course_of(context).sent = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_start.append(connecting)
    trace.on_request_headers_sent.append(sending)  # despite its name it fires before the headers are written
    return trace


def _course_of(context: SimpleNamespace) -> _Course:
    return cast(_Course, context.trace_request_ctx)


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    """The body, at most one byte more than we take."""
    body = bytearray()
    while len(body) <= MAX_BODY and (piece := await content.read(MAX_BODY + 1 - len(body))):
        body += piece
    return bytes(body)


def _text(response: aiohttp.ClientResponse, body: bytes) -> str:
    if len(body) > MAX_BODY:
        return f"{response.reason or ''} [the answer is longer than {MAX_BODY} bytes and was not read]"
    return body.decode("utf-8", "replace") or response.reason or ""


def _told(failure: BaseException) -> str:
    """The failure in plain words."""
    if isinstance(failure, aiohttp.ClientConnectorCertificateError):
        cause = failure.certificate_error
        return f"certificate refused: {cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else cause}"
    if isinstance(failure, aiohttp.ClientConnectorDNSError):
        return f"the host name {failure.host} does not resolve"
    if isinstance(failure, aiohttp.ServerDisconnectedError | _SentBefore | ConnectionResetError):
        return "the application closed the connection without an answer"
    if isinstance(failure, aiohttp.ClientConnectorError):
        return f"cannot connect to {failure.host}:{failure.port}: {failure.os_error.strerror or failure.os_error}"
    if isinstance(failure, aiohttp.ClientPayloadError | aiohttp.ClientResponseError):
        return "the answer is not complete HTTP"
    return f"{type(failure).__name__} in the HTTP exchange"  # without its text: it may quote what we sent
