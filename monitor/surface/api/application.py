"""The routes: what each answers, and which role may ask it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from monitor.desk import Desk
from monitor.model.facts import Paused, Resumed
from monitor.model.policy import Access
from monitor.ports import Ledger, LedgerUnreadable, Secrets
from monitor.surface.api.access import Doorkeeper
from monitor.surface.api.bodies import PauseRequest, ResumeRequest
from monitor.surface.api.deploys import DeployDesk
from monitor.surface.api.domains import DomainDesk
from monitor.surface.api.events import Streams
from monitor.surface.api.flagger import FlaggerDesk
from monitor.surface.api.gates import GateDesk
from monitor.surface.api.hooks import DeployHooks
from monitor.surface.api.incidents import IncidentDesk
from monitor.surface.api.ledger import LedgerDesk
from monitor.surface.api.limits import RATES, Rates
from monitor.surface.api.notifications import NotificationDesk
from monitor.surface.api.page import PageDesk, in_html, keep_for_ever
from monitor.surface.api.pushes import Pushes
from monitor.surface.api.replies import body_of, errors
from monitor.surface.api.silences import SilenceDesk
from monitor.surface.api.waiting import Waiting
from monitor.surface.metrics import Metrics
from monitor.surface.status import status

MAX_BODY = 64 * 1024
SOURCES_WITHIN = 1.0  # seconds for the store, when metrics are asked for
STALL = 15.0  # seconds without a tick of the event loop's heartbeat before /livez says no


@dataclass(slots=True)
class Api:
    """Builds the aiohttp application. `alive` tells how long ago the loop last ticked; `ready` whether the state is loaded; `nudge` tells
    the stage that something was pushed into the ledger; `read_now` has it read every source, None: nobody reads any."""

    desk: Desk
    metrics: Metrics
    secrets: Secrets
    alive: Callable[[], float]
    ready: Callable[[], bool]
    rates: Rates = RATES
    ledger: Ledger | None = None
    nudge: Callable[[], None] = lambda: None
    read_now: Callable[[], None] | None = None

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY, middlewares=[errors])
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        door, waiting = Doorkeeper(self.desk, self.secrets, self.ready, self.rates), Waiting(self.desk)
        app.on_shutdown.append(waiting.end)
        app.router.add_get("/v1/status", door.allow(Access.READ, self._status))
        app.router.add_post("/v1/pause", door.allow(Access.ONCALL, self._pause))
        app.router.add_post("/v1/resume", door.allow(Access.ONCALL, self._resume))
        gates, deploys = GateDesk(self.desk, waiting), DeployDesk(self.desk)
        incidents = IncidentDesk(self.desk, self.ledger)
        _add_incidents(app.router, door, incidents)
        _add_page(app, door, PageDesk(self.desk, self.metrics.vitals, door, incidents), Streams(self.desk))
        _add_silences(app.router, door, SilenceDesk(self.desk))
        app.router.add_get("/v1/notifications", door.allow(Access.READ, NotificationDesk(self.desk).list))
        _add_domains(app.router, door, DomainDesk(self.desk))
        _add_deploys(app.router, door, deploys)
        _add_gates(app.router, door, gates)
        books = LedgerDesk(self.desk, self.ledger, self.nudge, self.read_now)
        _add_ledger(app.router, door, books, Pushes(self.desk, self.ledger, self.nudge))
        _add_flagger(app.router, door, FlaggerDesk(self.desk, gates, deploys))
        return app

    async def _metrics(self, request: web.Request) -> web.Response:
        if self.ledger is not None and self.desk.policy.ledger.enabled:
            with contextlib.suppress(LedgerUnreadable, TimeoutError):  # what it said last is still true: timestamps are told, not ages
                async with asyncio.timeout(SOURCES_WITHIN):
                    self.metrics.sources_read(await self.ledger.sources())
        body, content_type = self.metrics.expose(request.headers.get("Accept", ""), self.desk.clock.now())
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _livez(self, _: web.Request) -> web.Response:
        stalled = self.alive()
        if stalled > STALL:
            stuck = ", ".join(self.desk.stuck())
            what = f"no progress in {stuck}" if stuck else "the event loop has not ticked"
            return web.Response(status=503, text=f"{what} for {stalled:.0f} s\n")
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n") if self.ready() else web.Response(status=503, text="loading the journal\n")

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response(status(self.desk, self.metrics.vitals))

    async def _pause(self, request: web.Request) -> web.Response:
        body = PauseRequest.model_validate(await body_of(request))
        await self.desk.journal.append([Paused(self.desk.clock.now(), body.by, body.reason)], durable=True)
        return web.json_response({"paused": True, "by": body.by, "reason": body.reason})

    async def _resume(self, request: web.Request) -> web.Response:
        body = ResumeRequest.model_validate(await body_of(request))
        await self.desk.journal.append([Resumed(self.desk.clock.now(), body.by)], durable=True)
        return web.json_response({"paused": False, "by": body.by})


def _add_page(app: web.Application, door: Doorkeeper, page: PageDesk, streams: Streams) -> None:
    app.on_shutdown.append(streams.end)
    app.on_response_prepare.append(keep_for_ever)
    app.router.add_get("/", in_html(door.allow_page(page.overview, page.form)))
    app.router.add_get("/incidents/{id}", in_html(door.allow_page(page.incident, page.form)))
    app.router.add_get("/static/{name}", page.asset)
    app.router.add_get("/login", in_html(page.form))
    app.router.add_post("/login", in_html(page.log_in))
    app.router.add_post("/logout", in_html(page.log_out))
    app.router.add_get("/v1/events", door.allow(Access.READ, streams.follow), allow_head=False)


def _add_incidents(router: web.UrlDispatcher, door: Doorkeeper, incidents: IncidentDesk) -> None:
    router.add_get("/v1/incidents", door.allow(Access.READ, incidents.list))
    router.add_get("/v1/incidents/{id}", door.allow(Access.READ, incidents.show))
    router.add_get("/v1/incidents/{id}/report", door.allow(Access.READ, incidents.report))
    router.add_post("/v1/incidents/{id}/ack", door.allow(Access.ONCALL, incidents.acknowledge))
    router.add_post("/v1/incidents/{id}/silence", door.allow(Access.ONCALL, incidents.silence))
    router.add_post("/v1/incidents/{id}/unsilence", door.allow(Access.ONCALL, incidents.unsilence))
    router.add_post("/v1/incidents/{id}/resolve", door.allow(Access.ONCALL, incidents.resolve))
    router.add_post("/v1/incidents/{id}/note", door.allow(Access.ONCALL, incidents.note))


def _add_silences(router: web.UrlDispatcher, door: Doorkeeper, silences: SilenceDesk) -> None:
    router.add_get("/v1/silences", door.allow(Access.READ, silences.list))
    router.add_post("/v1/silences", door.allow(Access.ONCALL, silences.plan))
    router.add_post("/v1/silences/{id}/end", door.allow(Access.ONCALL, silences.end))


def _add_domains(router: web.UrlDispatcher, door: Doorkeeper, domains: DomainDesk) -> None:
    router.add_get("/v1/domains", door.allow(Access.READ, domains.list))
    router.add_get("/v1/domains/{domain}", door.allow(Access.READ, domains.show))
    router.add_post("/v1/domains/{domain}/inspect", door.allow(Access.DEPLOY, domains.inspect, Access.ONCALL))
    router.add_post("/v1/domains/{domain}/baseline", door.allow(Access.ONCALL, domains.approve))


def _add_deploys(router: web.UrlDispatcher, door: Doorkeeper, deploys: DeployDesk) -> None:
    router.add_get("/v1/deploys", door.allow(Access.READ, deploys.list))
    router.add_post("/v1/deploys", door.allow(Access.DEPLOY, deploys.mark))
    router.add_patch("/v1/deploys/{id}", door.allow(Access.DEPLOY, deploys.change))
    router.add_post("/v1/deploys/hooks/{name}", door.allow(Access.DEPLOY, DeployHooks(deploys).take))


def _add_gates(router: web.UrlDispatcher, door: Doorkeeper, gates: GateDesk) -> None:
    router.add_get("/v1/gates", door.allow(Access.READ, gates.list))
    router.add_post("/v1/gates", door.allow(Access.GATE, gates.begin))
    router.add_get("/v1/gates/{id}", door.allow(Access.READ, gates.show))
    router.add_get("/v1/gates/{id}/junit.xml", door.allow(Access.READ, gates.junit))
    router.add_get("/v1/gates/{id}/summary.md", door.allow(Access.READ, gates.summary))
    router.add_post("/v1/gates/{id}/cancel", door.allow(Access.GATE, gates.cancel))
    router.add_post("/v1/gates/{id}/override", door.allow(Access.ONCALL, gates.override))
    router.add_get("/v1/gates/by-deploy/{environment}/{deploy}", door.allow(Access.READ, gates.of_deploy))
    router.add_get("/v1/gates/by-deploy/{environment}/{deploy}/argo", door.allow(Access.READ, gates.argo))


def _add_ledger(router: web.UrlDispatcher, door: Doorkeeper, ledger: LedgerDesk, pushes: Pushes) -> None:
    router.add_post("/v1/refunds", door.allow(Access.LEDGER, pushes.refunds))
    router.add_post("/v1/confirmations", door.allow(Access.LEDGER, pushes.confirmations))
    router.add_get("/v1/ledger", door.allow(Access.READ, ledger.show))
    router.add_get("/v1/ledger/differences", door.allow(Access.ONCALL, ledger.differences, Access.LEDGER))
    router.add_post("/v1/ledger/reconcile", door.allow(Access.ONCALL, ledger.reconcile, Access.LEDGER))
    router.add_post("/v1/ledger/purge", door.allow(Access.ONCALL, ledger.purge))


def _add_flagger(router: web.UrlDispatcher, door: Doorkeeper, flagger: FlaggerDesk) -> None:
    router.add_post("/v1/flagger/confirm", door.allow_hook(Access.GATE, flagger.confirm))
    router.add_post("/v1/flagger/rollout", door.allow_hook(Access.GATE, flagger.rollout))
    router.add_post("/v1/flagger/rollback", door.allow_rollback(flagger.rollback))
    router.add_post("/v1/flagger/event", door.allow_hook(Access.DEPLOY, flagger.event))
