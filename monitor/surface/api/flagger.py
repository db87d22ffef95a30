"""/v1/flagger: the hooks of Flagger's canary analysis (docs.flagger.app, webhooks).

Flagger takes a status up to 202 for yes and everything else for no, and shows the body of a no: one line of text. A `rollback` hook that
says yes rolls the release back, so it says yes in one place only. An advisory changes nothing here: whoever may ask for a gate may have
it advisory, and what answers a hook must not be talked out of it so cheaply.
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
from monitor.surface.gate.standing import PENDING, stale
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
        verdict, why = self._says(state)
        return _yes(why) if verdict == Verdict.PASS else _no(why)

    async def rollout(self, request: web.Request) -> web.Response:
        """Begins the gate. Yes on a pass, and while it runs without evidence against the deploy."""
        body = await _hook(request)
        state = self._gate(body)
        if state is None or self._again(state):
            state = await self._begin(body, state)
        verdict, why = self._says(state)
        runs = verdict == PENDING and gate_document(self.desk, state)["adverse"] is False
        return _yes(why) if runs or verdict == Verdict.PASS else _no(why)

    async def rollback(self, request: web.Request) -> web.Response:
        """Yes, which rolls back, on a fail that is in force; on nothing else."""
        body = await _hook(request)
        state = self._gate(body)
        if state is None:
            return web.Response(status=404, text=f"no gate was asked for {plain(body.deploy)}: nothing to roll back\n")
        verdict, why = self._says(state)
        return _yes(why) if verdict == Verdict.FAIL else _no(why)

    async def event(self, request: web.Request) -> web.Response:
        """A deploy marker, once for each phase of the deploy; other phases are heard and not kept."""
        body = await _hook(request)
        phase = PHASES.get(body.phase.casefold())
        if phase is None:
            return web.Response(text=f"phase {plain(body.phase) or 'none'} is no phase of a deploy; nothing was marked\n")
        marker = DeployMarked(
            self.deploys.when(self._stamp(body)),
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

    def _says(self, state: GateState) -> tuple[str, str]:
        """What was found, unless a person answers for it; and why, in one line."""
        document, now = gate_document(self.desk, state), self.desk.clock.now()
        verdict, reason = str(document["verdict" if document["override"] else "found"]), document["reason"]
        if old := stale(state, now):
            verdict, reason = Verdict.INCONCLUSIVE.value, old
        return verdict, f"{verdict}: {reason} ({document['id']})"

    def _again(self, state: GateState) -> bool:
        decision, now = state.decision, self.desk.clock.now()
        if decision is None or decision.verdict not in (Verdict.INCONCLUSIVE, Verdict.ERROR):
            return bool(stale(state, now))
        return now.seconds_since(decision.at) >= AGAIN_AFTER

    def _stamp(self, body: HookBody) -> float | None:
        """Of an event. Flagger's clock may be ahead of ours, and it does nothing about a refusal."""
        try:
            return min(epoch(body.told("timestamp")), self.desk.clock.now().utc)
        except ValueError:
            return None

    async def _begin(self, body: HookBody, state: GateState | None) -> GateState:
        policy = state.request.policy if state else policy_called(self.desk, body.told("policy") or None)
        ask = GateAsk(body.deploy, policy, by="flagger", service=body.name, version=body.told("version"))
        return (await self.gates.start(ask))[0]


async def _hook(request: web.Request) -> HookBody:
    return HookBody.model_validate(await body_of(request))


def _yes(why: str) -> web.Response:
    return web.Response(text=f"{plain(why)}\n")


def _no(why: str) -> web.Response:
    return web.Response(status=409, text=f"{plain(why)}\n")
