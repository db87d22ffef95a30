"""The documents as HTML. Nothing in them is markup: every value is escaped, and every text is masked once more on its way out."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from monitor.rules.plain import plain
from monitor.rules.words import lapse
from monitor.surface.headline import urgency
from monitor.surface.page import assets, times
from monitor.surface.page.axis import axis, beside
from monitor.surface.page.grid import grid, look_of

Document = Mapping[str, Any]

TEMPLATES = Path(__file__).with_name("templates")
_SEEN = re.compile(r"last evidence [^;]{1,20} ago\Z")
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?&=%#-]+")


def overview(status: Document, *, wall: bool = False, leave: bool = False) -> bytes:
    """Of `mailcanary.status/v1`. `wall`: larger, to be read from afar; `leave`: there is a session to end."""
    incidents = status["incidents"]
    found = sorted(incidents["list"], key=urgency)
    seen = status["evidence"]["last_at"]
    ends = _SEEN.search(status["headline"]["text"]) if seen else None
    return _html(
        "overview.html",
        status=status,
        found=found,
        sentence=status["headline"]["text"][: ends.start()] if ends else status["headline"]["text"],
        seen=seen if ends else None,  # the age at its end goes on
        grid=grid(status),
        axis=axis(status["at"], status["deploys"], [*found, *incidents["resolved"]]),
        at=status["at"],
        wall=wall,
        leave=leave,
    )


def story(incident: Document, *, wall: bool = False, leave: bool = False) -> bytes:
    """Of `mailcanary.incident/v1`."""
    return _html("incident.html", story=incident, axis=beside(incident), at=incident["at"], wall=wall, leave=leave)


def login(environment: str, said: str = "", *, closed: bool = False) -> bytes:
    """The form for a token; `said`: why the last one did not do; `closed`: no token is configured that would."""
    return _html("login.html", environment=environment, said=said, closed=closed, at="", wall=False, leave=False)


def trouble(status: int, title: str, said: str) -> bytes:
    """In place of a page that cannot be shown now."""
    return _html("trouble.html", status=status, title=title, said=said, at="", wall=False, leave=False)


def _html(template: str, **values: Any) -> bytes:
    return _environment().get_template(template).render(**values).encode("utf-8", "backslashreplace")


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_masked,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "ago": times.ago,
        "span": times.span,
        "clock": times.clock,
        "until": times.until,
        "lapse": lapse,
        "transit": times.transit,
        "look": look_of,
        "words": lambda text: str(text).replace("_", " "),
        "segment": lambda text: quote(plain(str(text)), safe=""),  # what is encoded hides where a number or an address begins
        "web": lambda text: bool(_URL.fullmatch(str(text))),
    }
    environment.globals |= {"asset": assets.url}
    return environment


def _masked(value: Any) -> Any:
    return plain(value) if type(value) is str else value
