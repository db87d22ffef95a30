"""Who may ask what, and how often."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import math
from collections.abc import Callable, Hashable

from aiohttp import web

from monitor.desk import Desk
from monitor.model.policy import Access
from monitor.ports import SecretError, Secrets
from monitor.surface.api.limits import Buckets, Rates
from monitor.surface.api.replies import Handler
from monitor.surface.api.sessions import LASTS, Sessions

LOADING = 2  # seconds after which it is worth asking again while the state loads
IPV6_CLIENT = 64  # bits of an address that name a client: the rest it chooses itself


class Doorkeeper:
    """Lets a request through to its route, or says why not. `ready`: the state is loaded; before that every answer would be a guess."""

    def __init__(self, desk: Desk, secrets: Secrets, ready: Callable[[], bool], rates: Rates) -> None:
        self._desk = desk
        self._secrets = secrets
        self._ready = ready
        self._reads, self._acts, self._failures = Buckets(rates.reads), Buckets(rates.acts), Buckets(rates.failures)
        self._sessions = Sessions(desk.entropy)
        self._hooks = Buckets(rates.acts)  # a pipeline behind the same address must not silence what holds or undoes a release

    def allow(self, access: Access, handler: Handler, *others: Access) -> Handler:
        """Open on loopback; elsewhere for the token of the role, or of one of the others; a browser's session may only read."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            roles = self._roles(_bearer(request))
            if self.is_open:
                self._refuse_pages(request, roles)
            else:
                roles = roles or self._session(request)
                self._authorise(request, next((other for other in others if other in roles), access), roles)
            return await self._counted(request, access, handler)

        return guarded

    def allow_page(self, handler: Handler, form: Handler) -> Handler:
        """As `allow` for whoever may read; a browser that shows nothing, or nothing that still counts, is given the form."""
        opened = self.allow(Access.READ, handler)

        async def guarded(request: web.Request) -> web.StreamResponse:
            if self.is_open or _bearer(request) or self._session(request):
                return await opened(request)
            return await form(request)

        return guarded

    @property
    def is_open(self) -> bool:
        """Nobody needs a token to read: it listens on loopback."""
        return is_loopback(self._desk.policy.listen.host)

    def log_in(self, request: web.Request, token: str) -> web.Response:
        """On to the page, with a session; raises HTTPUnauthorized and HTTPTooManyRequests, as for any token."""
        if not self._roles(token) - {Access.ROLLBACK}:
            if wait := self._failures.take(client_of(request), self._desk.clock.now().mono):
                raise _too_many(wait, "wrong tokens")
            raise web.HTTPUnauthorized(text="this is the token of no role (listen.tokens)")
        answer = web.Response(status=303, headers={"Location": "/"})
        answer.set_cookie(
            self._cookie,
            self._sessions.begin(token, self._desk.clock.now()),
            max_age=int(LASTS),
            path="/",
            httponly=True,
            samesite="Strict",
            # A proxy that ends TLS says so. Whoever forges that has a cookie that his own browser does not send: nothing is won by it.
            secure=request.secure or request.headers.get("X-Forwarded-Proto", "").lower() == "https",
        )
        return answer

    def log_out(self, request: web.Request) -> web.Response:
        """A page of another site cannot show the cookie, so it ends nothing."""
        answer = web.Response(status=303, headers={"Location": "/"})
        if self._sessions.end(request.cookies.get(self._cookie, "")):
            answer.del_cookie(self._cookie, path="/")
        return answer

    def has_session(self, request: web.Request) -> bool:
        return not self.is_open and bool(self._session(request))

    @property
    def _cookie(self) -> str:
        """Cookies do not know ports: two daemons behind one name have names of their own for theirs."""
        policy = self._desk.policy
        return f"mailcanary_{hashlib.sha256(f'{policy.environment}/{policy.instance}'.encode()).hexdigest()[:8]}"

    def _session(self, request: web.Request) -> set[Access]:
        """The roles of whom the browser stands for; none where it wants to do anything but look."""
        shown = request.cookies.get(self._cookie, "")
        if not shown or request.method not in ("GET", "HEAD"):
            return set()
        now = self._desk.clock.now()
        return {role for role in Access if (token := self._token_of(role)) and self._sessions.stands_for(shown, token, now)}

    def allow_hook(self, access: Access, handler: Handler) -> Handler:
        """As `allow`, for Flagger: it can send no header of ours, but a URL with a password in it, which becomes Basic authentication
        (RFC 7617)."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            roles = self._roles(_bearer(request) or _password(request))
            if is_loopback(self._desk.policy.listen.host):
                self._refuse_pages(request, roles)
            else:
                self._authorise(request, access, roles)
            return await self._counted(request, access, handler, hook=True)

        return guarded

    def allow_rollback(self, handler: Handler) -> Handler:
        """Never open: a success of this hook undoes a release, so it takes the one token that is made for it, on loopback too."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            if Access.ROLLBACK not in self._desk.policy.listen.tokens:
                raise web.HTTPForbidden(text="the rollback hook is closed; configure listen.tokens.rollback with a token of its own")
            roles = self._roles(_bearer(request) or _password(request))
            self._authorise(request, Access.ROLLBACK, roles)
            if roles != {Access.ROLLBACK}:
                shared = ", ".join(sorted(role.value for role in roles - {Access.ROLLBACK}))
                raise web.HTTPForbidden(text=f"the token of the role rollback is that of {shared} too; give listen.tokens.rollback its own")
            return await self._counted(request, Access.ROLLBACK, handler, hook=True)

        return guarded

    def _refuse_pages(self, request: web.Request, roles: set[Access]) -> None:
        """A browser on this machine asks for whatever page it shows, also one whose name was made to mean this machine (DNS rebinding):
        the name is what tells it. An address cannot be made to mean another one; whoever shows a token is no page."""
        if roles:
            return
        named = _host_of(request.host)
        if not (_is_address(named) or named in ("localhost", self._desk.policy.listen.host.lower())):
            raise web.HTTPMisdirectedRequest(
                text="without a token this is open to http://localhost and to addresses only; ask there, or show a token"
            )
        origin = request.headers.get("Origin")
        if origin is not None and origin.lower() != f"http://{request.host}".lower():
            raise web.HTTPForbidden(text="a page of another origin may not ask; show a token")

    def _authorise(self, request: web.Request, access: Access, roles: set[Access]) -> None:
        """Whoever may act may read; the token of the rollback hook stands in a URL, and opens nothing else."""
        if access in roles or (access is Access.READ and roles - {Access.ROLLBACK}):
            return
        # Only failures count here: behind one proxy all clients share an address, and one wrong token must not lock out on-call.
        if wait := self._failures.take(client_of(request), self._desk.clock.now().mono):
            raise _too_many(wait, "wrong tokens")
        wanted = f"the token of the role {access.value} (listen.tokens.{access.value})"
        if roles:
            held = ", ".join(sorted(role.value for role in roles))
            raise web.HTTPForbidden(text=f"needs {wanted}; this one has the role {held}")
        raise web.HTTPUnauthorized(text=f"needs `Authorization: Bearer` with {wanted}", headers={"WWW-Authenticate": "Bearer"})

    async def _counted(self, request: web.Request, access: Access, handler: Handler, *, hook: bool = False) -> web.StreamResponse:
        buckets = self._hooks if hook else self._reads if request.method in ("GET", "HEAD") else self._acts
        if wait := buckets.take((access, client_of(request)), self._desk.clock.now().mono):
            raise _too_many(wait, "requests")
        if not self._ready():
            raise web.HTTPServiceUnavailable(text="the journal is being loaded; ask again", headers={"Retry-After": str(LOADING)})
        return await handler(request)

    def _roles(self, shown: str) -> set[Access]:
        """The roles whose token this is; every one is compared, whatever is found."""
        return {role for role in Access if self._is_token_of(role, shown)} if shown else set()

    def _is_token_of(self, role: Access, shown: str) -> bool:
        wanted = self._token_of(role)
        return bool(wanted) and hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), wanted.encode())

    def _token_of(self, role: Access) -> str:
        """As it is now; empty: the role has none, or it cannot be read."""
        reference = self._desk.policy.listen.tokens.get(role)
        try:
            return self._secrets.read(reference) if reference is not None else ""
        except SecretError:
            return ""


def _host_of(named: str) -> str:
    """Host without its port, in lower case (RFC 9110 section 7.2)."""
    if named.startswith("["):
        return named[1:].partition("]")[0]
    return named.partition(":")[0].rstrip(".").lower()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bearer(request: web.Request) -> str:
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    return shown.strip() if scheme.lower() == "bearer" else ""


def _password(request: web.Request) -> str:
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        pair = base64.b64decode(shown.strip().encode("ascii"), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return pair.partition(":")[2]


def client_of(request: web.Request) -> Hashable:
    """The peer's address. What a proxy says of it is not asked: anybody can say so."""
    try:
        address = ipaddress.ip_address((request.remote or "").partition("%")[0])
    except ValueError:
        return request.remote
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or ipaddress.ip_network((address, IPV6_CLIENT), strict=False)
    return address


def _too_many(wait: float, what: str) -> web.HTTPTooManyRequests:
    seconds = str(math.ceil(wait))
    return web.HTTPTooManyRequests(text=f"too many {what} from this address; ask again in {seconds} s", headers={"Retry-After": seconds})
