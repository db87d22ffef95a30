"""How bodies are read and errors answered."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from aiohttp import web
from pydantic import ValidationError

from monitor import __version__
from monitor.ports import JournalUnwritable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def body_of(request: web.Request) -> object:
    if request.content_type != "application/json":  # a page of another site can post anything else to a loopback port
        raise web.HTTPUnsupportedMediaType(text="send application/json")
    try:
        return json.loads(await request.text())
    except (ValueError, LookupError, RecursionError):  # no JSON or no text, in no charset that there is, nested beyond reason
        raise web.HTTPBadRequest(text="the body is not JSON") from None


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error is JSON {error, reason}; nothing is cached; the server's version stays private."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        headers = {k: v for k, v in error.headers.items() if k in ("WWW-Authenticate", "Allow")}
        response = web.json_response({"error": error.reason, "reason": error.text}, status=error.status, headers=headers)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in error.errors(include_input=False))
        response = web.json_response({"error": "Bad Request", "reason": faults}, status=400)
    except JournalUnwritable as error:
        response = web.json_response({"error": "Service Unavailable", "reason": str(error)}, status=503, headers={"Retry-After": "5"})
    response.headers["Cache-Control"] = "no-store"
    response.headers["Server"] = f"mailcanary/{__version__.split('.')[0]}"
    return response
