"""`mailcanary audit --approve`: the daemon's latest observation of a domain becomes its baseline, after a person has seen what changes."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from monitor.cli import UsageError, remark, tell
from monitor.cli.audit.known import server_of
from monitor.cli.audit.order import Order
from monitor.cli.paper import drawn
from monitor.cli.server import told
from monitor.edge.daemon import DaemonError
from monitor.model.verdict import Verdict
from monitor.rules.plain import one_line
from monitor.surface.audit.findings import standing
from monitor.surface.audit.observed import ONE
from monitor.surface.audit.text import print_drifts

MOST = 50  # domains that a person can have looked at
_DIGEST = re.compile("[0-9a-f]{32}")
_ALLOWED = frozenset(  # with --approve: the others say how to audit, and nothing is audited
    {"domain", "domains", "config", "server", "token_file", "approve", "note", "by", "format", "command", "module"}
)


@dataclass(frozen=True, slots=True)
class Change:
    """What an approval would do. `digest`: of the observation; `at`: when it was made."""

    domain: str
    digest: str
    at: str
    drifts: list[dict[str, Any]]

    @property
    def place(self) -> str:
        return _place(self.domain)


def together(arguments: argparse.Namespace) -> None:
    """Raises UsageError for flags that do not go together. A domain behind --approve is a domain."""
    if arguments.approve is None:
        if arguments.note is not None or arguments.by is not None:
            raise UsageError("--note and --by are said with --approve only")
        return
    if "." in arguments.approve:
        arguments.domain, arguments.approve = [*arguments.domain, arguments.approve], ""
    if not all(_DIGEST.fullmatch(word) for word in _words(arguments.approve)):
        raise UsageError(f"--approve {one_line(arguments.approve)[:100]}: is no digest; call it without one, and it says which to give")
    extra = [name for name, value in vars(arguments).items() if name not in _ALLOWED and value is not None and value is not False]
    if extra:
        raise UsageError(f"--{extra[0].replace('_', '-')} does not go with --approve, which audits nothing")
    if arguments.format not in ("text", "json"):
        raise UsageError(f"--format {arguments.format} does not go with --approve; it is told as text or json")


def approve(order: Order, arguments: argparse.Namespace, ask: Callable[[str], bool] | None = None) -> int:
    """Shows first what changes, and approves exactly that: the daemon refuses when it has seen something else meanwhile. `ask`: a person;
    without one the digests must be given."""
    if len(order.domains) > MOST:
        raise UsageError(f"--approve: {len(order.domains)} domains are more than anybody looks at; name at most {MOST}")
    arguments.server = server_of(arguments, order.policy)
    by = arguments.by or os.environ.get("USER") or ""
    if not by:
        raise UsageError("--approve: who approves? give --by NAME ($USER is not set)")
    try:
        changes = [_change(domain.domain, arguments) for domain in order.domains]
        if not _agreed(changes, arguments, ask or _terminal()):
            return Verdict.INCONCLUSIVE.exit_code
        return _approved(changes, by, arguments)
    except DaemonError as error:
        print(f"--approve needs the running daemon, whose observation it approves: {error}", file=sys.stderr)
        return Verdict.ERROR.exit_code


def _place(domain: str) -> str:
    return f"/v1/domains/{quote(domain, safe='')}"


def _words(digests: str) -> list[str]:
    return [word for word in digests.split(",") if word]


def _change(domain: str, arguments: argparse.Namespace) -> Change:
    before: dict[str, Any] = told(arguments, ONE, lambda daemon: daemon.document(_place(domain)))
    if not before["digest"]:
        raise UsageError(f"--approve {domain}: the daemon has not inspected it yet; there is nothing to approve")
    return Change(domain, before["digest"], before["inspected_at"], standing(before["audit"]["drifts"]))


def _agreed(changes: Sequence[Change], arguments: argparse.Namespace, ask: Callable[[str], bool] | None) -> bool:
    given = _words(arguments.approve)
    if given:
        for change in changes:
            if change.digest not in given:
                why = f"the daemon's latest observation ({change.at}) has the digest {change.digest}, which was not given"
                raise UsageError(f"--approve: {change.domain}: {why}; nothing was approved; look again")
        if arguments.format != "json":
            tell(_shown(changes))
        return True
    digests = ",".join(change.digest for change in changes)
    names = " ".join(change.domain for change in changes)
    if ask is None:
        tell(_document(changes, []) if arguments.format == "json" else _shown(changes))
        remark(f"nothing was approved; if this is how it is meant to be: mailcanary audit {names} --approve {digests}")
        return False
    if arguments.format == "json":
        remark(_shown(changes))
    else:
        tell(_shown(changes))
    if ask(f"make this the baseline of {names}? [y/N] "):
        return True
    if arguments.format == "json":
        tell(_document(changes, []))
    remark("nothing was approved")
    return False


def _terminal() -> Callable[[str], bool] | None:
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty()):
        return None

    def ask(question: str) -> bool:
        print(question, end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    return ask


def _shown(changes: Sequence[Change]) -> str:
    parts = []
    for change in changes:
        drifts = change.drifts
        lines = drawn(lambda console, drifts=drifts: print_drifts(drifts, console, len(drifts))).strip("\n")  # type: ignore[misc]
        said = lines or "nothing has changed since the baseline"
        parts.append(f"{change.domain}, observed at {change.at}, digest {change.digest}\n{said}")
    return "\n\n".join(parts)


def _approved(changes: Sequence[Change], by: str, arguments: argparse.Namespace) -> int:
    """When the daemon says no to one, those before it are approved and told."""
    done: list[dict[str, Any]] = []
    try:
        for change in changes:
            body = {"by": by, "digest": change.digest, "note": arguments.note or ""}
            after = told(arguments, ONE, lambda daemon, change=change, body=body: daemon.post(f"{change.place}/baseline", body))  # type: ignore[misc]
            done.append({"domain": change.domain, "digest": change.digest, "drifts": change.drifts, "baseline": after["baseline"]})
            if arguments.format != "json":
                tell(one_line(f"{change.domain}: what was observed at {change.at} is the baseline now, approved by {by} ({change.digest})"))
    finally:
        if arguments.format == "json":
            tell(_document(changes, done))
    return 0


def _document(changes: Sequence[Change], done: list[dict[str, Any]]) -> str:
    """`domains`: those that were approved; `waiting`: the others."""
    approved = {row["domain"] for row in done}
    waiting = [
        {"domain": change.domain, "digest": change.digest, "drifts": change.drifts} for change in changes if change.domain not in approved
    ]
    return json.dumps({"schema": "mailcanary.approved/v1", "domains": done, "waiting": waiting}, indent=2)
