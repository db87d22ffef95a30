"""What delivered probes taught about a domain's sending: from the daemon's journal, or from the daemon."""

from __future__ import annotations

import argparse
import ipaddress
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from http.client import HTTPException
from pathlib import Path
from urllib.parse import quote

from monitor.cli import DEFAULT_SERVER, UsageError
from monitor.cli.audit.order import Order
from monitor.cli.audit.work import Target
from monitor.cli.server import token
from monitor.edge.daemon import Daemon, DaemonError
from monitor.edge.journal import JournalError
from monitor.edge.journal.replay import read_only
from monitor.model.checks import CheckResult
from monitor.model.inspection import Subject
from monitor.model.policy import Policy
from monitor.surface.audit.carried import results_in
from monitor.surface.audit.document import Origin
from monitor.surface.audit.learned import bare, with_learned
from monitor.views.zones import Zones

NOT_FOUND = 404
PATIENCE = 5.0  # seconds for each question to the daemon

Notes = Callable[[str], None]


def targets(order: Order, arguments: argparse.Namespace, now: float, note: Notes) -> list[Target]:
    """Each domain with what is declared of it and what is learned. What cannot be learned is a note; where a daemon was named for it, it is
    `unheard`. Raises UsageError for a name that is no URL."""
    learned: Learned | None = None
    blank = [bare(domain, order.inspect, now) for domain in order.domains]
    if arguments.server or os.environ.get("MAILCANARY_SERVER"):
        learned = _of_daemon(server_of(arguments, order.policy), arguments, blank)
    elif order.policy is not None:
        journal = Path(order.policy.state_dir) / "journal.sqlite3"
        learned = _of_journal(journal, order, now, note) if _readable(journal) else None
        if learned is None:
            learned = _of_daemon(server_of(arguments, order.policy), arguments, blank)
            if learned.unheard and not learned.away:
                note(f"nothing could be learned from the daemon: {learned.unheard}")
            learned = replace(learned, unheard="")
    return [_target(order, subject, learned) for subject in blank]


def server_of(arguments: argparse.Namespace, policy: Policy | None) -> str:
    """--server, $MAILCANARY_SERVER, where the configuration makes its daemon listen, or the usual place."""
    named = arguments.server or os.environ.get("MAILCANARY_SERVER")
    if named:
        return str(named)
    if policy is None:
        return DEFAULT_SERVER
    host = policy.listen.host
    try:
        address = ipaddress.ip_address(host)
        if address.is_unspecified:
            host = "[::1]" if address.version == 6 else "127.0.0.1"
        elif address.version == 6:
            host = f"[{host}]"
    except ValueError:
        pass
    return f"http://{host}:{policy.listen.port}"


@dataclass(frozen=True, slots=True)
class Learned:
    """`whence`: more on the origin; `results`: what a daemon found, by domain; `unheard`: why it told nothing; `away`: none answers."""

    origin: Origin
    whence: str
    subjects: dict[str, Subject]
    results: dict[str, tuple[CheckResult, ...]] = field(default_factory=dict)
    unheard: str = ""
    away: bool = False


def _target(order: Order, blank: Subject, learned: Learned | None) -> Target:
    known = learned or Learned(Origin.UNKNOWN, "", {})
    target = Target(known.subjects.get(blank.domain, blank), carried=known.results.get(blank.domain, ()), unheard=known.unheard)
    if order.egress:
        return replace(target, origin=Origin.FLAGS)
    if blank.egress:
        return replace(target, origin=Origin.CONFIGURATION, whence=str(order.file or ""))
    return replace(target, origin=known.origin, whence=known.whence) if target.subject.egress else target


def _readable(journal: Path) -> bool:
    try:
        return journal.is_file() and os.access(journal, os.R_OK)
    except OSError:  # a directory that we may not look into
        return False


def _of_journal(journal: Path, order: Order, now: float, note: Notes) -> Learned | None:
    from monitor.rules.inspect.subject import subject_of  # noqa: PLC0415 - only where there is a journal

    assert order.policy is not None  # noqa: S101 - its state_dir named the journal
    zones = Zones()
    try:
        for entry in read_only(journal):
            zones.fold(entry)
    except JournalError as error:
        note(f"nothing could be learned from delivered probes: {error}")
        return None
    declared = replace(order.inspect, domains={domain.domain: domain for domain in order.domains})  # the flags', too
    policy = replace(order.policy, inspect=declared)
    subjects = {name: subject_of(domain, policy, zones, now) for name, domain in declared.domains.items()}
    return Learned(Origin.JOURNAL, str(journal), subjects)


def _of_daemon(server: str, arguments: argparse.Namespace, blank: Sequence[Subject]) -> Learned:
    daemon = Daemon(server, token(arguments))
    found, nothing = Learned(Origin.DAEMON, f"daemon {server}", {}), Learned(Origin.UNKNOWN, "", {})
    for subject in blank:
        try:
            document = daemon.document(f"/v1/domains/{quote(subject.domain, safe='')}", PATIENCE)
            found.subjects[subject.domain] = with_learned(subject, document.get("learned"))
            found.results[subject.domain] = results_in(document)
        except DaemonError as error:
            if error.status == NOT_FOUND:
                continue
            if error.refused and not error.status:
                raise UsageError(str(error)) from None
            return replace(nothing, unheard=str(error), away=not error.status)
        except (HTTPException, ValueError) as error:
            return replace(nothing, unheard=f"{server}: this is no mailcanary ({error}); is --server right?")
    return found
