"""/v1/gates: ask whether a deploy broke refund mail, wait for the answer, and say what people decide about it."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field

from aiohttp import web

from monitor.desk import Desk
from monitor.model.gate import GateId, GatePolicy
from monitor.model.verdict import Verdict
from monitor.rules.gate.policies import changed, named, there_are
from monitor.rules.gate.request import GateAsk, GateRefused, Refusal
from monitor.rules.plain import plain
from monitor.surface.api.bodies import seconds_in
from monitor.surface.api.gate_bodies import CancelRequest, GateRequest, OverrideRequest
from monitor.surface.api.replies import body_of
from monitor.surface.api.waiting import LONGEST, Waiting
from monitor.surface.gate import argo_body, gate_document, gate_row, junit, summary_markdown
from monitor.surface.gate.asking import NothingToOverride, begin, cancel, override
from monitor.surface.gate.standing import stale
from monitor.views.gates import GateState

LISTED = 50
NAMED = 10  # gates that a 404 names
MAX_ID = 100  # characters of an id that a 404 repeats
KEPT_KEYS = 1_000  # idempotency keys; the oldest are forgotten first, and then the gate itself is idempotent
MAX_KEY = 200
CROWDED = 15  # seconds after which it is worth asking again while too many gates run


@dataclass(slots=True)
class GateDesk:
    desk: Desk
    waiting: Waiting
    beginning: asyncio.Lock = field(default_factory=asyncio.Lock)  # a repeated call finds the first one's key
    keys: dict[str, tuple[str, GateId]] = field(default_factory=dict)  # idempotency key -> its body's digest, its gate

    async def begin(self, request: web.Request) -> web.Response:
        """201 when an attempt began, 200 with the gate that there is when it answers already."""
        body = GateRequest.model_validate(await body_of(request))
        key = request.headers.get("Idempotency-Key", "")
        digest = hashlib.sha256(repr(body).encode(errors="surrogatepass")).hexdigest()
        async with self.beginning:
            self._check(key, digest)
            state, began = await self.start(self._ask(body))
            self._remember(key, digest, state.id)
        return self._document(state, 201 if began else 200)

    async def list(self, _: web.Request) -> web.Response:
        now, latest = self.desk.clock.now(), [*reversed(self.desk.world.gates.known.values())][:LISTED]
        rows = [gate_row(state, now) for state in latest]
        return web.json_response({"schema": "mailcanary.gates/v1", "environment": self.desk.policy.environment, "gates": rows})

    async def show(self, request: web.Request) -> web.Response:
        state = self._state(request)
        if asked := request.query.get("wait"):
            await self.waiting.news(state.id, _wait(asked), lambda: request.transport is None or request.transport.is_closing())
        return self._document(state)

    async def of_deploy(self, request: web.Request) -> web.Response:
        return self._document(self._of_deploy(request))

    async def argo(self, request: web.Request) -> web.Response:
        """200 whatever the verdict: Argo Rollouts takes any other status for an error of the measurement."""
        state = self._of_deploy(request)
        document = gate_document(self.desk, state)
        if old := stale(state, self.desk.clock.now()):
            document |= {"verdict": Verdict.INCONCLUSIVE.value, "reason": old}
        return web.json_response(argo_body(document))

    async def junit(self, request: web.Request) -> web.Response:
        return web.Response(text=junit(gate_document(self.desk, self._state(request))), content_type="application/xml", charset="utf-8")

    async def summary(self, request: web.Request) -> web.Response:
        text = summary_markdown(gate_document(self.desk, self._state(request)))
        return web.Response(text=text, content_type="text/markdown", charset="utf-8")

    async def cancel(self, request: web.Request) -> web.Response:
        """Answers with what was asked; the gate stage ends the attempt at once. A decided gate stays as it is."""
        body = CancelRequest.model_validate(await body_of(request))
        return self._document(await cancel(self.desk, self._state(request).id, body.by, body.reason))

    async def override(self, request: web.Request) -> web.Response:
        body = OverrideRequest.model_validate(await body_of(request))
        try:
            return self._document(await override(self.desk, self._state(request).id, body.by, body.reason, body.seconds))
        except NothingToOverride as error:
            raise web.HTTPConflict(text=str(error)) from None

    def _ask(self, body: GateRequest) -> GateAsk:
        policy = changed(
            policy_called(self.desk, body.policy) if body.policy is None or isinstance(body.policy, str) else body.policy.policy(),
            routes=body.routes,
            probes=body.probes,
            deadline=body.deadline,
            timeout=body.timeout,
            control=body.control,
            min_routes=body.min_routes,
            trust_target=body.trust_target,
        )
        until = self.desk.clock.now().utc + body.advisory_for if body.advisory_for else 0.0
        return GateAsk(body.deploy, policy, body.by or "api", body.service, body.version, body.sha, body.notify, until)

    async def start(self, ask: GateAsk) -> tuple[GateState, bool]:
        try:
            return await begin(self.desk, ask)
        except GateRefused as error:
            raise refused(error) from None

    def _check(self, key: str, digest: str) -> None:
        """A key belongs to one question. The same one is answered by what the gate says now: a key makes no old pass fresh."""
        if len(key) > MAX_KEY:
            raise web.HTTPBadRequest(text=f"Idempotency-Key: at most {MAX_KEY} characters")
        before, gate = self.keys.get(key, ("", GateId("")))
        if before and before != digest:
            raise web.HTTPConflict(text=f"Idempotency-Key: was used with another body, for {gate}; give each question its own key")

    def _remember(self, key: str, digest: str, gate: GateId) -> None:
        if key:
            self.keys[key] = (digest, gate)
        while len(self.keys) > KEPT_KEYS:
            del self.keys[next(iter(self.keys))]

    def _state(self, request: web.Request) -> GateState:
        asked = request.match_info["id"]
        state = self.desk.world.gates.known.get(GateId(asked))
        if state is None:
            raise web.HTTPNotFound(text=f"no gate {plain(asked[:MAX_ID])} is known; {self._known()}")
        return state

    def _of_deploy(self, request: web.Request) -> GateState:
        environment, deploy = request.match_info["environment"], request.match_info["deploy"]
        mine = self.desk.policy.environment
        if environment != mine:
            raise web.HTTPNotFound(text=f"this is the monitor of {mine}, not of {plain(environment[:MAX_ID])}")
        state = self.desk.world.gates.of_deploy(deploy)
        if state is None:
            raise web.HTTPNotFound(text=f"no gate was asked for deploy {plain(deploy[:MAX_ID])}; {self._known()}")
        return state

    def _known(self) -> str:
        known = [f"{state.id} (deploy {plain(state.request.deploy)})" for state in reversed(self.desk.world.gates.known.values())]
        named = ", ".join(known[:NAMED]) + (f" and {len(known) - NAMED} more" if len(known) > NAMED else "")
        return f"there are {named}" if known else "there is none"

    def _document(self, state: GateState, status: int = 200) -> web.Response:
        headers = {"Location": f"/v1/gates/{state.id}"} if status == 201 else None
        return web.json_response(gate_document(self.desk, state), status=status, headers=headers)


def policy_called(desk: Desk, name: str | None) -> GatePolicy:
    """The policy of this name, or the default."""
    gates = desk.policy.gates
    policy = named(name or gates.default, gates)
    if policy is None:
        raise web.HTTPNotFound(text=f"no policy {plain((name or gates.default)[:MAX_ID])} is known; there are {there_are(gates)}")
    return policy


def refused(error: GateRefused) -> web.HTTPException:
    match error.refusal:
        case Refusal.NO_ROUTE | Refusal.UNKNOWN_ROUTE | Refusal.NEVER_DECIDES:
            return web.HTTPUnprocessableEntity(text=str(error))
        case Refusal.OTHER_POLICY | Refusal.OTHER_VERSION | Refusal.ADVISORY | Refusal.TOO_MANY:
            return web.HTTPConflict(text=str(error))
        case Refusal.CROWDED:
            return web.HTTPServiceUnavailable(text=str(error), headers={"Retry-After": str(CROWDED)})


def _wait(text: str) -> float:
    seconds = float(text) if text.isascii() and text.isdigit() and len(text) < 6 else seconds_in(text)
    if not 0 < seconds <= LONGEST:
        raise web.HTTPBadRequest(text=f"wait: write how long, like 25s; at most {LONGEST:.0f}s")
    return seconds
