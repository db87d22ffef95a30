"""How bodies are read and errors answered."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from pydantic import ValidationError

from monitor import __version__
from monitor.ports import JournalUnwritable
from monitor.rules.plain import one_line

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HOOKS = "/v1/flagger/"
BODY_WITHIN = 10.0  # seconds
DISK_FULL = 5  # seconds after which it is worth asking again while the journal takes no facts
MAX_REASON = 1_000  # characters
_KEPT = ("WWW-Authenticate", "Allow", "Retry-After")
_log = logging.getLogger(__name__)


async def body_of(request: web.Request) -> object:
    if request.content_type != "application/json":  # a page of another site can post anything else to a loopback port
        raise web.HTTPUnsupportedMediaType(text="send application/json")
    try:
        async with asyncio.timeout(BODY_WITHIN):
            text = await request.text()
        return json.loads(text)
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=f"the body did not come within {BODY_WITHIN:.0f} s") from None
    except (ValueError, LookupError, RecursionError):  # no JSON or no text, in no charset that there is, nested beyond reason
        raise web.HTTPBadRequest(text="the body is not JSON") from None


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error is JSON {error, reason}, and one line of text for Flagger; nothing is cached; the server's version stays private."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        kept = {name: value for name, value in error.headers.items() if name in _KEPT}
        response = _refusal(request, error.status, error.reason, error.text or "", kept)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in error.errors(include_input=False))
        response = _refusal(request, 400, "Bad Request", faults)
    except web.RequestPayloadError:
        response = _refusal(request, 400, "Bad Request", "the body is not what its Content-Encoding says; send it as it is")
    except JournalUnwritable as error:
        response = _refusal(request, 503, "Service Unavailable", str(error), {"Retry-After": str(DISK_FULL)})
    except Exception:
        _log.exception("%s %s", request.method, request.match_info.route.resource and request.match_info.route.resource.canonical)
        response = _refusal(request, 500, "Internal Server Error", "a fault of the monitor itself; its log says more")
    response.headers["Cache-Control"] = "no-store"
    response.headers["Server"] = f"mailcanary/{__version__.split('.')[0]}"
    return response


def _refusal(request: web.Request, status: int, error: str, reason: str, headers: Mapping[str, str] | None = None) -> web.Response:
    reason = one_line(reason)[:MAX_REASON]
    if not request.path.startswith(HOOKS):
        return web.json_response({"error": error, "reason": reason}, status=status, headers=headers)
    # On 429, and from 500 on, Flagger's client tries again, gives up, and throws the reason away.
    return web.Response(status=409 if status >= 500 or status == 429 else status, text=f"{reason}\n", headers=headers)
