"""/v1/ledger: how refunds and confirmations stand, how they differ, and what is to be forgotten."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from aiohttp import web

from monitor.desk import Desk
from monitor.model.facts import LedgerPurged
from monitor.model.incident import IncidentId
from monitor.model.ledger import CLASS_OF, DifferenceClass, DifferenceKind, Purge, Purged, SourceStanding, Wanted
from monitor.ports import Ledger, LedgerUnreadable
from monitor.rules.plain import plain
from monitor.rules.reconcile.impact import provider_of
from monitor.rules.reconcile.known import hashed
from monitor.rules.reconcile.windows import windows_of
from monitor.surface.api.bodies import PurgeRequest, ReconcileRequest, epoch_or_date
from monitor.surface.api.pushes import configured, unreadable
from monitor.surface.api.replies import body_of
from monitor.surface.ledger import difference_row, differences_csv, ledger_document
from monitor.views.ledger import CLASS_OF_SYMPTOM

MOST_LISTED = 1_000  # differences in one answer
MAX_ID = 40
NOTHING = Purged(0, 0, 0)
SOMEBODY = b"*"  # what the journal keeps of a recipient that was forgotten
READ_WITHIN = 10.0  # seconds that somebody waits for sources to be read; what is slower comes by itself
LOOK_EVERY = 0.1


@dataclass(slots=True)
class LedgerDesk:
    """`nudge`: tells the stage that there is something to compare; `read_now`: that every source is to be read; None: nobody reads any."""

    desk: Desk
    ledger: Ledger | None
    nudge: Callable[[], None]
    read_now: Callable[[], None] | None = None

    async def show(self, _: web.Request) -> web.Response:
        ledger = configured(self.desk, self.ledger)
        try:
            return web.json_response(ledger_document(self.desk, await ledger.standing(), await ledger.sources()))
        except LedgerUnreadable as error:
            raise unreadable(error) from None

    async def differences(self, request: web.Request) -> web.Response:
        """One page of them, as JSON or CSV; the next one is `after`, or in the Link header (RFC 8288)."""
        ledger = configured(self.desk, self.ledger)
        as_csv = _one_of(request, "format", ("json", "csv")) == "csv"
        wanted = self._wanted(request)
        try:
            page = await ledger.differences(wanted)
        except LedgerUnreadable as error:
            raise unreadable(error) from None
        rows = [difference_row(difference) for difference in page.differences]
        if as_csv:
            following = request.rel_url.update_query(after=str(page.after))
            links = {} if page.after is None else {"Link": f'<{following}>; rel="next"'}
            return web.Response(text=differences_csv(rows), content_type="text/csv", headers=links)
        return web.json_response(
            {
                "schema": "mailcanary.differences/v1",
                "environment": self.desk.policy.environment,
                "at": self.desk.clock.now().iso(),
                "differences": rows,
                "after": page.after,
            }
        )

    async def reconcile(self, request: web.Request) -> web.Response:
        """Has every source read, waits for that a while, and compares."""
        ReconcileRequest.model_validate(await body_of(request))
        ledger = configured(self.desk, self.ledger)
        try:
            sources = await self._read(ledger)
            now = self.desk.clock.now().utc
            standing = await ledger.reconcile(windows_of(self.desk.policy.ledger, sources, now), now)
        except LedgerUnreadable as error:
            raise unreadable(error) from None
        self.nudge()
        return web.json_response(ledger_document(self.desk, standing, sources))

    async def _read(self, ledger: Ledger) -> Sequence[SourceStanding]:
        """The sources when each of them was read since now, but the blind ones; or after READ_WITHIN, whatever they are then."""
        if self.read_now is None:
            return await ledger.sources()
        clock = self.desk.clock
        asked = clock.now()
        self.read_now()
        while True:
            sources = await ledger.sources()
            read = {source.source for source in sources if source.last_read >= asked.utc}
            if read.issuperset(set(self.desk.policy.ledger.sources) - set(self.desk.world.ledger.blind)):
                return sources
            if clock.now().seconds_since(asked) >= READ_WITHIN:
                return sources
            await clock.sleep(LOOK_EVERY)

    async def purge(self, request: web.Request) -> web.Response:
        """That somebody asked is a fact before anything is gone; what went is one afterwards. Neither says who was forgotten."""
        body = PurgeRequest.model_validate(await body_of(request))
        ledger = configured(self.desk, self.ledger)
        purge, asked = self._purge(body), self.desk.clock.now()
        told = replace(purge, recipient=SOMEBODY if purge.recipient else b"")
        await self.desk.journal.append([LedgerPurged(asked, body.by, told, NOTHING)], durable=True)
        try:
            purged = await ledger.purge(purge)
        except LedgerUnreadable as error:
            raise unreadable(error) from None
        await self.desk.journal.append([LedgerPurged(self.desk.clock.now(), body.by, told, purged)], durable=True)
        self.nudge()
        return web.json_response({"refunds": purged.refunds, "confirmations": purged.confirmations, "differences": purged.differences})

    def _purge(self, body: PurgeRequest) -> Purge:
        if (body.before is None) == (body.recipient is None):
            raise web.HTTPBadRequest(text="name one of before and recipient")
        if body.recipient is not None:
            local, at, domain = body.recipient.strip().rpartition("@")
            if not (local and at and domain):
                raise web.HTTPBadRequest(text="recipient: write a whole address, as the customer has it")
            return Purge(recipient=hashed(self.desk.policy.ledger.key, body.recipient))
        now = self.desk.clock.now()
        if body.before is not None and body.before > now.utc:
            raise web.HTTPBadRequest(text=f"before: has not come yet, the monitor's clock says {now.iso()}")
        return Purge(before=body.before)

    def _wanted(self, request: web.Request) -> Wanted:
        wanted = Wanted(
            kinds=_kinds(request),
            since=_since(request),
            open_only=_one_of(request, "open", ("true", "false")) == "true",
            after=_count(request, "after", 0, 0, 2**63 - 1),
            limit=_count(request, "limit", MOST_LISTED, 1, MOST_LISTED),
        )
        return self._of_incident(wanted, request.query["incident"]) if "incident" in request.query else wanted

    def _of_incident(self, wanted: Wanted, asked: str) -> Wanted:
        """What was found since it began: of its class, where it is about one; of its mailbox provider, where it is about one."""
        state = self.desk.world.incidents.known.get(IncidentId(asked))
        if state is None:
            raise web.HTTPNotFound(text=f"no incident {plain(asked[:MAX_ID])} is known; `GET /v1/incidents` lists them")
        last = state.last
        about = CLASS_OF_SYMPTOM.get(last.symptom)
        return replace(
            wanted,
            kinds=tuple(kind for kind in wanted.kinds if about is None or CLASS_OF[kind] is about),
            since=last.since.utc if wanted.since is None else max(wanted.since, last.since.utc),
            provider=provider_of(last.scope, self.desk.policy),
        )


def _kinds(request: web.Request) -> tuple[DifferenceKind, ...]:
    """Kinds, or whole classes; all where none is named."""
    asked = request.query.getall("kind", [])
    known = [*DifferenceKind, *(each for each in DifferenceClass if each.value not in list(DifferenceKind))]
    if any(name not in [each.value for each in known] for name in asked):
        raise web.HTTPBadRequest(text=f"kind: write one of {', '.join(known)}")
    return tuple(kind for kind in DifferenceKind if not asked or kind.value in asked or CLASS_OF[kind].value in asked)


def _since(request: web.Request) -> float | None:
    try:
        return epoch_or_date(request.query["since"]) if "since" in request.query else None
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"since: {error}") from None


def _one_of(request: web.Request, name: str, words: tuple[str, ...]) -> str:
    """The first one is the default."""
    asked = request.query.get(name, words[0])
    if asked not in words:
        raise web.HTTPBadRequest(text=f"{name}: write one of {', '.join(words)}")
    return asked


def _count(request: web.Request, name: str, default: int, least: int, most: int) -> int:
    asked = request.query.get(name, str(default))
    if not (asked.isascii() and asked.isdigit() and len(asked) < 20 and least <= int(asked) <= most):
        raise web.HTTPBadRequest(text=f"{name}: write a whole number from {least} to {most}")
    return int(asked)
