"""A toy shop that processes refunds, synthetic ones and those of its customers: the application under test in the demo and the tests.

v1 mails the customer; v2 carries the one flipped line that sends to the holding store; v3 is the fix of it, and behaves like v1;
v4 has a job that tells people who never bought anything that their refund is on its way: once when it is deployed, and again beside each
refund; v5 renders a wrong amount; v6 signs with a key that nobody has published: it was rotated, and the zone forgotten.
"""

import asyncio
import contextlib
import hashlib
import itertools
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from enum import Enum
from json import JSONDecodeError
from typing import Any

from aiohttp import web

from monitor.lab.books import Books
from monitor.lab.faults import Fault, FaultBoard
from monitor.lab.relay import Relay
from monitor.lab.shop_mail import Refund, compose
from monitor.lab.signing import SELECTOR

MAX_KEYS = 10_000  # remembered idempotency keys
MAX_RETRIES = 1_000  # mails that wait because the relay deferred them
NO_ROOM = "too many mails wait"
RETRY_SECONDS = 1.0
GIVE_UP_ATTEMPTS = 3_600
PATHS = ("shop",)
ROTATED = "lab2"  # the selector of v6

_CURRENCY = re.compile(r"[A-Z]{3}\Z")
_LOCALE = re.compile(r"[a-z]{2}(-[A-Z]{2})?\Z")


class Version(Enum):
    """The releases of the shop."""

    V1 = "v1"
    V2 = "v2"
    V3 = "v3"
    V4 = "v4"
    V5 = "v5"
    V6 = "v6"


class BadRequest(Exception):
    """The request is not one that the shop may process; the text says why."""


class Shop:
    """The shop's state: which version is live, and which requests it has answered. `strangers` never bought anything. `books`: where the
    refunds of customers are written down."""

    def __init__(
        self, relay: Relay, faults: FaultBoard, domain: str, holding: str, strangers: Sequence[str] = (), books: Books | None = None
    ) -> None:
        self.version = Version.V1
        self._relay = relay
        self._faults = faults
        self._domain = domain
        self._holding = holding
        self._strangers = tuple(strangers)
        self._books = books
        self._answered: OrderedDict[str, tuple[str, int, dict[str, Any]]] = OrderedDict()
        self._numbers = itertools.count(1)
        self._retries: set[asyncio.Task[None]] = set()

    def application(self) -> web.Application:
        """The HTTP application."""
        app = web.Application(client_max_size=64 * 1024)
        app.router.add_post("/internal/refunds", self._post_refund)
        app.router.add_get("/version", self._get_version)
        return app

    def deploy(self, version: Version) -> None:
        """Put another version live; requests in flight end on the old one."""
        self.version = version
        self._run_jobs()

    def refund(self, refund: Refund) -> str:
        """A customer's money goes back, and the mail about it goes the way of the version that is live. Returns the shop's own number."""
        self._run_jobs()
        number, message_id = self._ids(refund)
        if self._books is not None:
            self._books.refunded(number, refund)
        self._mail(refund, number, message_id)
        return number

    async def close(self) -> None:
        """Give up on mails that wait."""
        for task in self._retries:
            task.cancel()
        await asyncio.gather(*self._retries, return_exceptions=True)

    async def _get_version(self, request: web.Request) -> web.Response:
        return self._answer(200, {"version": self.version.value})

    async def _post_refund(self, request: web.Request) -> web.Response:
        key = request.headers.get("Idempotency-Key", "")
        if not 1 <= len(key) <= 255:
            return self._answer(400, {"error": "the header Idempotency-Key is missing or too long"})
        digest = hashlib.sha256(await request.read()).hexdigest()
        if key in self._answered:
            known_digest, status, body = self._answered[key]
            if known_digest != digest:
                return self._answer(422, {"error": "this Idempotency-Key was used with another request"})
            answer = self._answer(status, body)
            answer.headers["Idempotent-Replayed"] = "true"
            return answer
        try:
            refund = parse_refund(await request.json())
        except (BadRequest, JSONDecodeError, UnicodeDecodeError) as error:
            return self._answer(400, {"error": str(error)})
        status, body = self._process(refund)
        if status < 500:
            self._answered[key] = (digest, status, body)
            if len(self._answered) > MAX_KEYS:
                self._answered.popitem(last=False)
        return self._answer(status, body)

    def _answer(self, status: int, body: dict[str, Any]) -> web.Response:
        version = str(body.get("version", self.version.value))
        return web.json_response(body, status=status, headers={"X-App-Version": version})

    def _process(self, refund: Refund) -> tuple[int, dict[str, Any]]:
        version = self.version
        self._run_jobs()
        refund_id, message_id = self._ids(refund)
        reply = self._mail(refund, refund_id, message_id)
        if reply == NO_ROOM:
            return 503, {"error": reply, "version": version.value}
        if not reply.startswith(("2", "4")):
            return 502, {"error": f"the mail relay said: {reply}", "version": version.value}
        return 202, {"refund_id": refund_id, "version": version.value, "message_id": message_id}

    def _mail(self, refund: Refund, refund_id: str, message_id: str) -> str:
        """What the relay said; what it deferred is tried again. NO_ROOM: too many wait for that already."""
        version = self.version
        shown = replace(refund, amount=refund.amount + Decimal("10.00")) if version is Version.V5 else refund
        recipient = refund.email
        if version is Version.V2 or self._faults.hit(Fault.ROUTE_TO_HOLDING, paths=PATHS):
            recipient = self._holding  # the flipped line
        raw = compose(shown, message_id, self._domain, refund.email)
        sender = self._bounces(refund_id)
        reply = self._submit(sender, recipient, raw)
        if reply.startswith("4"):
            if len(self._retries) >= MAX_RETRIES:
                return NO_ROOM
            task = asyncio.get_running_loop().create_task(self._retry(sender, recipient, raw), name="lab shop retry")
            self._retries.add(task)
            task.add_done_callback(self._retries.discard)
        return reply

    def _run_jobs(self) -> None:
        """The faulty job of v4; what the relay says to it, nobody reads."""
        if self.version is not Version.V4:
            return
        for stranger in self._strangers:
            made_up = Refund(f"RF-{next(self._numbers):06d}", "A-0000000", Decimal("49.90"), "GBP", "Customer", stranger, "en-GB")
            refund_id, message_id = self._ids(made_up)
            self._submit(self._bounces(refund_id), stranger, compose(made_up, message_id, self._domain, stranger))

    def _ids(self, refund: Refund) -> tuple[str, str]:
        """(our id of the refund, the Message-ID of its mail)."""
        refund_id = f"rf_{next(self._numbers):08d}"
        return refund_id, f"<{refund_id}.{hashlib.sha256(refund.number.encode()).hexdigest()[:12]}@{self._domain}>"

    def _bounces(self, refund_id: str) -> str:
        return f"bounces+{refund_id.replace('_', '')}@{self._domain}"

    def _submit(self, sender: str, recipient: str, raw: bytes) -> str:
        if self._faults.find(Fault.REFUSE_CONNECT, paths=PATHS):
            return "421 4.4.1 connection refused"
        return (
            self._relay.sender_refusal(sender, PATHS)
            or self._relay.recipient_refusal(sender, recipient, PATHS)
            or self._relay.accept(
                sender, [recipient], raw, PATHS, f"app.{self._domain}", ROTATED if self.version is Version.V6 else SELECTOR
            )
        )

    async def _retry(self, sender: str, recipient: str, raw: bytes) -> None:
        for _ in range(GIVE_UP_ATTEMPTS):
            await asyncio.sleep(RETRY_SECONDS)
            if not self._submit(sender, recipient, raw).startswith("4"):
                return


def parse_refund(body: Any) -> Refund:
    """Read a request; raises BadRequest, also for a refund that is not marked synthetic: no real money here."""
    if not isinstance(body, dict) or body.get("synthetic") is not True:
        raise BadRequest("only synthetic refunds are processed here: synthetic must be true")
    refund, customer, carriers = (body.get(part, {}) for part in ("refund", "customer", "carriers"))
    if not all(isinstance(part, dict) for part in (refund, customer, carriers)):
        raise BadRequest("refund, customer and carriers must be objects")
    try:
        amount = Decimal(str(refund["amount"]))
        values = {field: str(refund[field]) for field in ("number", "order", "currency")}
        values |= {field: str(customer[field]) for field in ("name", "email")}
    except KeyError as error:
        raise BadRequest(f"{error.args[0]} is missing") from error
    except InvalidOperation as error:
        raise BadRequest("refund.amount must be a decimal") from error
    locale = str(customer.get("locale", "en-GB"))
    carried = [carriers.get(field) for field in ("header", "marker")]
    _check_texts([*values.values(), *(text for text in carried if text is not None)])
    if not amount.is_finite() or not 0 < amount < 10**9:
        raise BadRequest("refund.amount is out of range")
    if not _CURRENCY.match(values["currency"]) or not _LOCALE.match(locale) or "@" not in values["email"]:
        raise BadRequest("currency, locale or email is malformed")
    return Refund(amount=amount, locale=locale, header_carrier=carried[0], marker_carrier=carried[1], **values)


def _check_texts(texts: list[Any]) -> None:
    for text in texts:
        if not isinstance(text, str) or not 1 <= len(text) <= 500 or not text.isprintable():
            raise BadRequest("texts must have 1 to 500 printable characters")


@contextlib.asynccontextmanager
async def serve_http(app: web.Application) -> AsyncIterator[int]:
    """Serve an application on a loopback port that the system chooses; yields the port."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
