"""`mailcanary ledger show`: the differences one by one, for whoever repairs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from functools import partial

from monitor.cli import UsageError, if_told, tell_piece
from monitor.cli.ledger.asking import DIFFERENCES, Document, differences, gave_up
from monitor.cli.ledger.pages import print_differences
from monitor.cli.paper import drawn
from monitor.edge.daemon import DaemonError
from monitor.surface.ledger import differences_csv


def call(arguments: argparse.Namespace) -> int:
    """Exits 0 whatever there is: it is no judgement, but a list. It is told page by page, for there may be a million."""
    try:
        for piece in FORMS[arguments.format](differences(arguments, _query(arguments))):
            if not tell_piece(piece):
                break
    except UsageError as error:  # the daemon speaks of its paths
        raise UsageError(str(error).replace("`GET /v1/incidents`", "`mailcanary incident list`")) from None
    except DaemonError as error:
        return gave_up(error)
    return if_told(0)


def _csv(pages: Iterator[list[Document]]) -> Iterator[str]:
    for number, page in enumerate(pages):
        yield differences_csv(page, header=not number)


def _json(pages: Iterator[list[Document]]) -> Iterator[str]:
    yield f'{{"schema": "{DIFFERENCES}", "differences": ['
    between = "\n"
    for page in filter(None, pages):
        yield between + ",\n".join(map(json.dumps, page))
        between = ",\n"
    yield "\n]}\n"


def _text(pages: Iterator[list[Document]]) -> Iterator[str]:
    for number, page in enumerate(pages):
        if page or not number:
            yield drawn(partial(print_differences, page))


FORMS: dict[str, Callable[[Iterator[list[Document]]], Iterator[str]]] = {"text": _text, "csv": _csv, "json": _json}


def _query(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """As the daemon reads it; INC-12 may be called 12."""
    query = [("kind", kind) for kind in arguments.kind or ()]
    if arguments.since:
        query.append(("since", arguments.since))
    if arguments.incident:
        name = arguments.incident.strip().upper()
        query.append(("incident", f"INC-{name}" if name.isdecimal() else name))
    return [*query, ("open", "false" if arguments.all else "true")]
