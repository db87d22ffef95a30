"""/v1/silences: quiet that people plan, and end before its time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

from aiohttp import web

from monitor.desk import Desk
from monitor.model.facts import SilenceEnded, SilencePlanned
from monitor.model.incident import EVERYWHERE, THE_LEDGER, Scope, ScopeKind, SilenceId
from monitor.model.instant import Instant
from monitor.model.verdict import SYMPTOM_OF, Reason, Symptom
from monitor.rules.plain import plain
from monitor.surface.api.bodies import EndSilenceRequest, PlanSilenceRequest
from monitor.surface.api.replies import body_of
from monitor.surface.silences import in_hand, pending, silence_list, still_silent
from monitor.views.incidents import MOST_SILENCES, SilenceState

LONGEST_AHEAD = 30 * 86_400.0  # seconds until it begins
TOLERATED = 60.0  # seconds that a beginning may lie behind: two clocks, and the time that a call takes
MAX_ID = 40
NAMED = 10  # names that a refusal shows
KINDS = "path:NAME, provider:NAME, mailbox:NAME, domain:NAME, deploy:ID, ledger or all"


@dataclass(slots=True)
class SilenceDesk:
    desk: Desk
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # two that are planned at once get two numbers

    async def list(self, request: web.Request) -> web.Response:
        asked = request.query.get("state", "pending")
        if asked not in ("pending", "all"):
            raise web.HTTPBadRequest(text="state: write pending or all")
        now = self.desk.clock.now()
        silences = [*reversed(self.desk.world.incidents.silences.values())] if asked == "all" else pending(self.desk, now)
        return web.json_response(silence_list(self.desk, silences))

    async def plan(self, request: web.Request) -> web.Response:
        body = PlanSilenceRequest.model_validate(await body_of(request))
        scopes = tuple(dict.fromkeys(self._scope(text) for text in body.scopes))
        symptoms = tuple(dict.fromkeys(_symptom(text) for text in body.symptoms))
        if not scopes and not symptoms:  # what was forgotten must not make everything silent
            raise web.HTTPBadRequest(text=f"scopes: name what is to be silent ({KINDS}), or a symptom; all is everything")
        async with self._turn:
            now, incidents = self.desk.clock.now(), self.desk.world.incidents
            begins = _beginning(body.begins, body.seconds, now)
            if len(incidents.pending(now.utc)) >= MOST_SILENCES:
                raise web.HTTPConflict(
                    text=f"{MOST_SILENCES} silences are not over yet, that is the most; end one that is not needed any more"
                )
            silence = incidents.following_silence()
            fact = SilencePlanned(now, silence, body.by, body.reason, begins, begins + body.seconds, scopes, symptoms)
            await self.desk.journal.append([fact], durable=True)
        return web.json_response(silence_list(self.desk, [self.desk.world.incidents.silences[silence]]))

    async def end(self, request: web.Request) -> web.Response:
        """Also of one that has not begun: it never will."""
        body = EndSilenceRequest.model_validate(await body_of(request))
        async with self._turn:
            silence, now = self._state(request), self.desk.clock.now()
            name = silence.fact.silence
            if silence.ended is not None:
                raise web.HTTPConflict(text=f"{name} was ended by {plain(silence.ended.by)} at {silence.ended.at.iso()}")
            if silence.is_over(now.utc):
                raise web.HTTPConflict(text=f"{name} was over at {Instant(silence.until, 0.0, '').iso()}")
            await self.desk.journal.append([SilenceEnded(now, name, body.by, body.reason)], durable=True)
        now, document = self.desk.clock.now(), silence_list(self.desk, [self.desk.world.incidents.silences[name]])
        untold = {"still_silent": still_silent(self.desk, silence, now), "in_hand": in_hand(self.desk, silence, now)}
        return web.json_response({**document, **untold})

    def _state(self, request: web.Request) -> SilenceState:
        asked = request.match_info["id"]
        found = self.desk.world.incidents.silences.get(SilenceId(asked))
        if found is None:
            there = ", ".join(each.fact.silence for each in pending(self.desk, self.desk.clock.now())[:NAMED])
            raise web.HTTPNotFound(
                text=f"no silence {plain(asked[:MAX_ID])} is known; " + (f"not over are {there}" if there else "none is planned")
            )
        return found

    def _scope(self, text: str) -> Scope:
        """Refuses what is not there: a silence of a name that nobody bears covers nothing, and its owner would sleep badly."""
        kind, _, name = text.partition(":")
        policy = self.desk.policy
        match kind:
            case "all" | "ledger" if not name:
                return EVERYWHERE if kind == "all" else THE_LEDGER
            case "path":
                return _known(ScopeKind.PATH, name, policy.paths)
            case "provider":
                return _known(ScopeKind.PROVIDER, name, {box.provider for box in policy.mailboxes.values()})
            case "mailbox":
                return _known(ScopeKind.MAILBOX, name, policy.mailboxes)
            case "domain":
                return _known(ScopeKind.DOMAIN, name, policy.inspect.domains if policy.inspect.enabled else ())
            case "deploy" if name:
                return Scope(ScopeKind.DEPLOY, name)
            case _:
                raise web.HTTPBadRequest(text=f"scopes: {plain(text)!r} is no scope; write {KINDS}")


def _known(kind: ScopeKind, name: str, names: Collection[str]) -> Scope:
    if name in names:
        return Scope(kind, name)
    raise web.HTTPBadRequest(text=f"scopes: no {kind.value} is named {plain(name)!r}; {_near(name, names)}")


def _symptom(text: str) -> Symptom:
    names = [symptom.value for symptom in Symptom]
    if text in names:
        return Symptom(text)
    meant = SYMPTOM_OF.get(Reason(text)) if text in frozenset(Reason) else None  # the word of a verdict
    holding = [name for name in names if text and text in name]
    near = f"did you mean {meant.value}?" if meant else f"there are {', '.join(holding)}" if holding else _near(text, names)
    raise web.HTTPBadRequest(text=f"symptoms: {plain(text)!r} is no symptom; {near}")


def _near(name: str, names: Iterable[str]) -> str:
    known = sorted(names)
    if close := get_close_matches(name, known, 1):
        return f"did you mean {plain(close[0])}?"
    if not known:
        return "none is configured"
    return f"there are {', '.join(map(plain, known[:NAMED]))}" + (f" and {len(known) - NAMED} more" if len(known) > NAMED else "")


def _beginning(asked: float | None, seconds: float, now: Instant) -> float:
    if asked is None or abs(asked - now.utc) <= TOLERATED:
        return now.utc
    if asked + seconds <= now.utc:
        raise web.HTTPBadRequest(text="begins: it would be over already; leave `begins` out to begin now")
    if asked < now.utc:
        raise web.HTTPBadRequest(text="begins: lies in the past, and what was told is told; leave `begins` out to begin now")
    if asked - now.utc > LONGEST_AHEAD:
        raise web.HTTPBadRequest(text="begins: is more than 30 days ahead; plan it later, when it is nearer")
    return asked
