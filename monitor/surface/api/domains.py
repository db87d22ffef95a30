"""/v1/domains: what inspections of sending domains show, and what people say about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from monitor.desk import Desk
from monitor.model.facts import Baselined, InspectionAsked
from monitor.model.inspection import DomainPolicy, Subject
from monitor.rules.plain import plain
from monitor.surface.api.bodies import BaselineRequest, InspectRequest
from monitor.surface.api.replies import body_of
from monitor.surface.audit.observed import Known, digest, domain_row, domain_story, domains_document, known_checks, subject_now
from monitor.views.zones import DomainState

NAMED = 10  # domains that a 404 names
MAX_NAME = 300


@dataclass(slots=True)
class DomainDesk:
    """`load`: the rules by which observations are told; not loaded before somebody asks."""

    desk: Desk
    load: Callable[[], Known] = known_checks
    subject: Callable[[Desk, str], Subject] = subject_now
    _known: Known | None = field(default=None, init=False)

    async def list(self, _: web.Request) -> web.Response:
        rows = {
            name: domain_row(name, self.desk.world.zones.domains.get(name), self._policy(name).profiles, self._rules())
            for name in self._names()
        }
        return web.json_response(domains_document(self.desk.policy.environment, self.desk.clock.now().utc, rows))

    async def show(self, request: web.Request) -> web.Response:
        return self._story(self._name(request))

    async def inspect(self, request: web.Request) -> web.Response:
        """The inspection begins at once and is answered by /v1/domains/{domain} when it is done."""
        body = InspectRequest.model_validate(await body_of(request))
        name = self._name(request)
        if not self.desk.policy.inspect.enabled:
            raise web.HTTPConflict(text="inspection is switched off; set inspect.enabled to true")
        if name not in self.desk.policy.inspect.domains:
            raise web.HTTPConflict(text=f"{plain(name)} is no longer inspected; add it to inspect.domains")
        await self.desk.journal.append([InspectionAsked(self.desk.clock.now(), name, body.by)], durable=True)
        return self._story(name, 202)

    async def approve(self, request: web.Request) -> web.Response:
        """Only what the caller has seen: the digest is that of the latest observation."""
        body = BaselineRequest.model_validate(await body_of(request))
        name = self._name(request)
        state = self._state(name)
        if state is None or state.last is None:
            raise web.HTTPConflict(text=f"{plain(name)} was not inspected yet; there is nothing to approve")
        latest = digest(state.last.facets)
        if body.digest != latest:
            why = f"{plain(name)} was seen otherwise at {state.last.at.iso()} (digest {latest}); look again, then approve that"
            raise web.HTTPConflict(text=why)
        await self.desk.journal.append([Baselined(self.desk.clock.now(), name, body.by, state.last.facets, body.note)], durable=True)
        return self._story(name)

    def _story(self, name: str, status: int = 200) -> web.Response:
        story = domain_story(self.desk.policy.environment, self.subject(self.desk, name), self._state(name), self._rules())
        return web.json_response(story, status=status)

    def _rules(self) -> Known:
        if self._known is None:
            self._known = self.load()
        return self._known

    def _state(self, name: str) -> DomainState | None:
        return self.desk.world.zones.domains.get(name)

    def _policy(self, name: str) -> DomainPolicy:
        return self.desk.policy.inspect.domains.get(name) or DomainPolicy(name)

    def _names(self) -> tuple[str, ...]:
        return tuple(sorted({*self.desk.policy.inspect.domains, *self.desk.world.zones.domains}))

    def _name(self, request: web.Request) -> str:
        asked = request.match_info["domain"]
        name, names = asked.lower().rstrip("."), self._names()
        if name not in names:
            named = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
            there = f"there are {named}" if names else "there is none"
            raise web.HTTPNotFound(text=f"no domain {plain(asked[:MAX_NAME])} is inspected; {there}")
        return name
