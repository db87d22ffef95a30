"""What libraries log, as lines of ours: whatever a peer sent stays out of them."""

from __future__ import annotations

import io
import json
import logging

import pytest
from aiohttp.http_exceptions import BadHttpMessage

from monitor.cli.run import Libraries
from monitor.surface.log import Log, LogFormat


def logged(name: str, error: Exception) -> dict[str, str]:
    out = io.StringIO()
    record = logging.LogRecord(name, logging.ERROR, __file__, 1, "Error handling request", None, (type(error), error, None))
    Libraries(Log(LogFormat.JSON, "test", lambda: "now", out)).emit(record)
    read: dict[str, str] = json.loads(out.getvalue())
    return read


def test_what_a_client_sent_is_not_repeated() -> None:
    """A token with a carriage return behind it is a bad header, and stands in the parser's complaint."""
    line = logged("aiohttp.server", BadHttpMessage("Invalid header: b'Authorization: Bearer tok-oncall\\r'"))
    assert line["level"] == "warning" and line["msg"] == "aiohttp.server: Error handling request: BadHttpMessage"


@pytest.mark.parametrize("name", ["asyncio", "monitor.edge.imap.session"])
def test_what_is_ours_is_told_whole(name: str) -> None:
    line = logged(name, OSError("no space"))
    assert (line["level"], line["msg"]) == ("error", f"{name}: Error handling request: OSError('no space')")
