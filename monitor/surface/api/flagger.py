"""/v1/flagger: the hooks of Flagger's canary analysis (docs.flagger.app, webhooks).

Flagger takes a status up to 202 for yes and everything else for no, and shows the body of a no: one line of text. A `rollback` hook that
says yes rolls the release back, so it says yes in one place only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from monitor.desk import Desk
from monitor.model.facts import DeployMarked
from monitor.model.incident import DeployPhase
from monitor.model.verdict import Verdict
from monitor.rules.gate.request import GateAsk
from monitor.rules.plain import plain
from monitor.surface.api.bodies import Line, epoch
from monitor.surface.api.deploys import DeployDesk
from monitor.surface.api.gates import GateDesk, policy_called
from monitor.surface.api.replies import body_of
from monitor.surface.gate import gate_document
from monitor.views.gates import GateState

AGAIN_AFTER = 60.0  # seconds after an inconclusive end before the rollout hook, which is called at every interval, begins another attempt

# Phases of the canary (Flagger, pkg/apis/flagger/v1beta1/status.go) as phases of a deploy. Promotion brings the new version to everybody.
PHASES: dict[str, DeployPhase] = {
    "initializing": DeployPhase.START,
    "initialized": DeployPhase.START,
    "waiting": DeployPhase.START,
    "progressing": DeployPhase.START,
    "waitingpromotion": DeployPhase.START,
    "promoting": DeployPhase.FINISH,
    "finalising": DeployPhase.FINISH,
    "succeeded": DeployPhase.FINISH,
    "failed": DeployPhase.ROLLBACK,
}


class HookBody(BaseModel):
    """Other versions of Flagger send other keys beside these."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore")
    name: Annotated[Line, Field(min_length=1, max_length=253)]
    namespace: Annotated[Line, Field(min_length=1, max_length=63)]
    checksum: Annotated[Line, Field(min_length=1, max_length=64)]
    phase: Annotated[Line, Field(max_length=40)] = ""
    metadata: Annotated[dict[str, str], Field(max_length=100)] | None = None

    @property
    def deploy(self) -> str:
        return f"{self.namespace}/{self.name}/{self.checksum}"

    def told(self, key: str) -> str:
        """A value of the metadata, on one line."""
        text = " ".join((self.metadata or {}).get(key, "").split())
        return text[:100] if text.isprintable() else ""


@dataclass(slots=True)
class FlaggerDesk:
    desk: Desk
    gates: GateDesk
    deploys: DeployDesk

    async def confirm(self, request: web.Request) -> web.Response:
        """Yes on a pass only."""
        body = await _hook(request)
        state = self._gate(body)
        if state is None:
            return _no(f"no gate was asked for {plain(body.deploy)}; give the canary a webhook of type rollout, which asks")
        document = gate_document(self.desk, state)
        return _yes(document) if document["verdict"] == Verdict.PASS.value else _no(_why(document))

    async def rollout(self, request: web.Request) -> web.Response:
        """Begins the gate. Yes on a pass, and while it runs without evidence against the deploy."""
        body = await _hook(request)
        state = self._gate(body)
        if state is None or self._again(state):
            state = await self._begin(body, state)
        document = gate_document(self.desk, state)
        runs = document["verdict"] == "pending" and document["adverse"] is False
        return _yes(document) if runs or document["verdict"] == Verdict.PASS.value else _no(_why(document))

    async def rollback(self, request: web.Request) -> web.Response:
        """Yes, which rolls back, on a fail that is in force; on nothing else."""
        body = await _hook(request)
        state = self._gate(body)
        if state is None:
            return web.Response(status=404, text=f"no gate was asked for {plain(body.deploy)}: nothing to roll back\n")
        document = gate_document(self.desk, state)
        return _yes(document) if document["verdict"] == Verdict.FAIL.value else _no(_why(document))

    async def event(self, request: web.Request) -> web.Response:
        """A deploy marker, once for each phase of the deploy; other phases are heard and not kept."""
        body = await _hook(request)
        phase = PHASES.get(body.phase.casefold())
        if phase is None:
            return web.Response(text=f"phase {plain(body.phase) or 'none'} is no phase of a deploy; nothing was marked\n")
        marker = DeployMarked(
            self.deploys.when(_stamp(body)),
            body.deploy,
            phase,
            service=body.name,
            version=body.told("version"),
            by="flagger",
            source="flagger",
        )
        try:
            kept, new = await self.deploys.keep(marker)
        except web.HTTPConflict as error:  # the events of a canary that begins anew still bear the checksum of the one before
            return web.Response(text=f"nothing was marked: {error.text}\n")
        return web.Response(text=f"{kept.phase.value} of {plain(kept.deploy)} {'marked' if new else 'was marked before'}\n")

    def _gate(self, body: HookBody) -> GateState | None:
        return self.desk.world.gates.of_deploy(body.deploy)

    def _again(self, state: GateState) -> bool:
        decision = state.decision
        if decision is None or decision.verdict not in (Verdict.INCONCLUSIVE, Verdict.ERROR):
            return False
        return self.desk.clock.now().seconds_since(decision.at) >= AGAIN_AFTER

    async def _begin(self, body: HookBody, state: GateState | None) -> GateState:
        policy = state.request.policy if state else policy_called(self.desk, body.told("policy") or None)
        ask = GateAsk(body.deploy, policy, by="flagger", service=body.name, version=body.told("version"))
        return (await self.gates.start(ask))[0]


async def _hook(request: web.Request) -> HookBody:
    return HookBody.model_validate(await body_of(request))


def _stamp(body: HookBody) -> float | None:
    try:
        return epoch(body.told("timestamp"))
    except ValueError:
        return None


def _why(document: dict[str, object]) -> str:
    return f"{document['verdict']}: {document['reason']} ({document['id']})"


def _yes(document: dict[str, object]) -> web.Response:
    return web.Response(text=f"{plain(_why(document))}\n")


def _no(why: str) -> web.Response:
    return web.Response(status=409, text=f"{plain(why)}\n")
