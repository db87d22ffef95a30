"""/v1/incidents: what is broken, and what people say that they do about it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web

from monitor.desk import Desk
from monitor.model.facts import Acknowledged, Fact, Noted, ResolveAsked, Silenced
from monitor.model.incident import IncidentId
from monitor.model.ledger import Impact
from monitor.ports import Ledger, LedgerUnreadable
from monitor.rules.plain import plain
from monitor.rules.reconcile.impact import provider_of
from monitor.surface.api.bodies import AckRequest, NoteRequest, ResolveRequest, SilenceRequest, UnsilenceRequest
from monitor.surface.api.replies import body_of
from monitor.surface.incident_report import incident_report
from monitor.surface.incidents import Row, Shown, incident_list, incident_story, known
from monitor.views.incidents import IncidentState

NAMED = 10  # incidents that a 404 names
MAX_ID = 40
IMPACT_WITHIN = 1.0  # seconds


@dataclass(slots=True)
class IncidentDesk:
    """`ledger`: asked for the impact on real refunds; None: there is none."""

    desk: Desk
    ledger: Ledger | None = None

    async def list(self, request: web.Request) -> web.Response:
        asked = request.query.get("state", Shown.OPEN.value)
        if asked not in list(Shown):
            raise web.HTTPBadRequest(text=f"state: write one of {', '.join(Shown)}")
        return web.json_response(incident_list(self.desk, Shown(asked)))

    async def show(self, request: web.Request) -> web.Response:
        return web.json_response(await self.story(request))

    async def story(self, request: web.Request) -> Row:
        """The document of the incident that the request names."""
        return await self._story(self._state(request))

    async def report(self, request: web.Request) -> web.Response:
        """Of one that was opened, whether it is over or not: of a suspicion nobody was told, and nothing is to be learned from it yet."""
        state = self._state(request)
        if state.opened is None:
            why = "is only suspected, nobody was told of it; there is a report when its confirm probes have opened it"
            raise web.HTTPConflict(text=f"{state.id} {why}")
        return web.json_response(incident_report(self.desk, state, await self._impact(state)))

    async def acknowledge(self, request: web.Request) -> web.Response:
        body = AckRequest.model_validate(await body_of(request))
        state = self._open(request)
        return await self._say(state, Acknowledged(self.desk.clock.now(), state.id, body.by, body.text))

    async def silence(self, request: web.Request) -> web.Response:
        body = SilenceRequest.model_validate(await body_of(request))
        state, now = self._open(request), self.desk.clock.now()
        return await self._say(state, Silenced(now, state.id, body.by, body.reason, now.utc + body.seconds))

    async def unsilence(self, request: web.Request) -> web.Response:
        """Only what a person silenced by itself; a planned silence is ended as a whole."""
        body = UnsilenceRequest.model_validate(await body_of(request))
        state, now = self._open(request), self.desk.clock.now()
        if not state.is_silent(now):
            planned = f"; {state.quiet_why or 'a planned silence'} covers it" if state.quiet_until > now.utc else ""
            raise web.HTTPConflict(text=f"nobody has silenced {state.id} by itself{plain(planned)}")
        return await self._say(state, Silenced(now, state.id, body.by, body.reason, now.utc))

    async def resolve(self, request: web.Request) -> web.Response:
        """Answers with what was asked; the incident stage resolves it at once."""
        body = ResolveRequest.model_validate(await body_of(request))
        state = self._open(request)
        return await self._say(state, ResolveAsked(self.desk.clock.now(), state.id, body.by, body.reason))

    async def note(self, request: web.Request) -> web.Response:
        """On a resolved one too: what was found out afterwards belongs to it."""
        body = NoteRequest.model_validate(await body_of(request))
        state = self._state(request)
        return await self._say(state, Noted(self.desk.clock.now(), state.id, body.by, body.text))

    async def _say(self, state: IncidentState, fact: Fact) -> web.Response:
        await self.desk.journal.append([fact], durable=True)
        return web.json_response(await self._story(state))

    async def _story(self, state: IncidentState) -> Row:
        return incident_story(self.desk, state, await self._impact(state))

    async def _impact(self, state: IncidentState) -> Impact | None:
        """As it stands now; None where no ledger is configured, or it does not answer in time: the story is not held up."""
        if self.ledger is None or not self.desk.policy.ledger.enabled:
            return None
        until = (state.resolved_at or self.desk.clock.now()).utc
        try:
            async with asyncio.timeout(IMPACT_WITHIN):
                return await self.ledger.impact(state.last.since.utc, until, provider_of(state.last.scope, self.desk.policy))
        except (LedgerUnreadable, TimeoutError):
            return None

    def _state(self, request: web.Request) -> IncidentState:
        asked = request.match_info["id"]
        state = self.desk.world.incidents.known.get(IncidentId(asked))
        if state is None:
            raise unknown(asked, self.desk)
        return state

    def _open(self, request: web.Request) -> IncidentState:
        state = self._state(request)
        if state.resolved_at is not None:
            why = f"{state.id} was resolved at {state.resolved_at.iso()}; fresh bad evidence opens it again, a note can still be added"
            raise web.HTTPConflict(text=why)
        if not state.is_open:
            raise web.HTTPConflict(
                text=f"{state.id} is only suspected, nobody was told of it; it opens or is cleared by its confirm probes"
            )
        return state


def unknown(asked: str, desk: Desk) -> web.HTTPNotFound:
    """The refusal, with those that are nearest."""
    near = _nearest(asked, [each.id for each in known(desk.world, Shown.ALL)])
    named = ", ".join(near[:NAMED]) + (f" and {len(near) - NAMED} more" if len(near) > NAMED else "")
    there = f"there are {named}" if near else "there is none"
    return web.HTTPNotFound(text=f"no incident {plain(asked[:MAX_ID])} is known; {there}")


def _nearest(asked: str, there: list[IncidentId]) -> list[IncidentId]:
    """Those whose numbers are nearest to the one that was asked for; the newest first where it has none."""
    number = _number(asked)
    return there if number is None else sorted(there, key=lambda each: abs((_number(each) or 0) - number))


def _number(incident: str) -> int | None:
    digits = incident[:MAX_ID].rpartition("-")[2]
    return int(digits) if digits.isascii() and digits.isdecimal() else None
