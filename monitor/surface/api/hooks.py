"""/v1/deploys/hooks/{name}: the webhook of a deploy tool, read by the JSON pointers that the configuration gives it."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from monitor.model.deploy import DeployHook
from monitor.model.facts import DeployMarked
from monitor.model.incident import DeployPhase
from monitor.model.instant import Instant
from monitor.model.pointer import text_at
from monitor.rules.plain import plain
from monitor.surface.api.bodies import MAX_DEPLOY, epoch
from monitor.surface.api.deploys import DeployDesk
from monitor.surface.api.replies import body_of
from monitor.surface.deploys import marker_row

MAX_NAME = 100  # characters of a name that is asked for
MAX_TEXT = 200  # characters of what is understood; the rest is cut, but never of the name of a deploy
MAX_URL = 500


@dataclass(slots=True)
class DeployHooks:
    deploys: DeployDesk

    async def take(self, request: web.Request) -> web.Response:
        """202 with what was understood; 200 where it says nothing to us. A repeated call is answered by the first one's marker."""
        hook = self._hook(request.match_info["name"])
        body = await body_of(request)
        said = _wanted(body, hook.phase, "phase")
        phase = phase_of(hook, said)
        if phase is None:
            known = ", ".join((*hook.starts, *hook.finishes, *hook.rolls_back))
            why = f"{plain(said)!r} at {hook.phase} means no phase of a deploy here; these do: {known}"
            return web.json_response({"schema": "mailcanary.deploy-hook/v1", "understood": False, "reason": why, "marker": None})
        marker = DeployMarked(
            self._when(hook, body),
            _deploy(body, hook.deploy),
            phase,
            service=_found(body, hook.service),
            version=_found(body, hook.version),
            sha=_found(body, hook.sha),
            by=_found(body, hook.by),
            source=f"webhook:{hook.name}",
            url=_url(body, hook.url),
        )
        kept, new = await self.deploys.keep(marker)
        why = "marked" if new else "was marked before; this is the first marker"
        row = {"schema": "mailcanary.deploy-hook/v1", "understood": True, "reason": why, "marker": marker_row(kept)}
        return web.json_response(row, status=202)

    def _hook(self, name: str) -> DeployHook:
        hooks = self.deploys.desk.policy.deploy_hooks
        hook = hooks.get(name)
        if hook is None:
            there = f"there are {', '.join(sorted(hooks))}" if hooks else "none is"
            raise web.HTTPNotFound(text=f"no hook {plain(name[:MAX_NAME])} is configured in deploys.webhooks; {there}")
        return hook

    def _when(self, hook: DeployHook, body: object) -> Instant:
        text = _found(body, hook.at)
        try:
            return self.deploys.when(epoch(text) if text else None)
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"{plain(text)!r} at {hook.at} is no time; {error}") from None


def phase_of(hook: DeployHook, said: str) -> DeployPhase | None:
    """What a value of the tool's means, in any case."""
    for phase, words in (
        (DeployPhase.START, hook.starts), (DeployPhase.FINISH, hook.finishes), (DeployPhase.ROLLBACK, hook.rolls_back)
    ):  # fmt: skip
        if said.casefold() in {word.casefold() for word in words}:
            return phase
    return None


def _wanted(body: object, pointer: str, what: str, most: int = MAX_TEXT) -> str:
    found = _found(body, pointer, most)
    if not found:
        raise web.HTTPBadRequest(text=f"found no {what} at {pointer or 'the top'} in the body; does deploys.webhooks fit this tool?")
    return found


def _deploy(body: object, pointer: str) -> str:
    """Whole: half of it would be the name of another deploy."""
    name = _wanted(body, pointer, "deploy", MAX_DEPLOY + 1)
    if len(name) > MAX_DEPLOY:
        raise web.HTTPBadRequest(
            text=f"the deploy at {pointer} has more than {MAX_DEPLOY} characters; point deploys.webhooks at a shorter name"
        )
    return name


def _found(body: object, pointer: str, most: int = MAX_TEXT) -> str:
    """On one line; what is not printable is left out."""
    text = " ".join(text_at(body, pointer).split()) if pointer else ""
    return "".join(char for char in text if char.isprintable())[:most]


def _url(body: object, pointer: str) -> str:
    text = text_at(body, pointer) if pointer else ""
    return text if text.startswith(("https://", "http://")) and text.isprintable() and len(text) <= MAX_URL else ""
