"""`mailcanary replay`: a recorded journal judged again under the configuration of today, and what would have differed."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from monitor.cli import UsageError, config_path, tell
from monitor.cli.configured import policy_without_secrets
from monitor.cli.paper import drawn
from monitor.edge.clock import SystemClock
from monitor.edge.journal import JournalError
from monitor.edge.journal.replay import count, read_only
from monitor.model.policy import Policy
from monitor.model.verdict import Reason, Verdict
from monitor.rules.plain import plain
from monitor.rules.replay import Change, Course, Opened, Replay, Replayed, reasons
from monitor.rules.words import lapse
from monitor.settings import parse_duration
from monitor.surface.report import COLOURS

SHOWN = 40  # changed probes in the table; JSON has them all
TURN = 15.0  # seconds that the incident stage may lie between two looks: no difference
TICK = 500  # facts between two steps of the progress bar


def call(arguments: argparse.Namespace) -> int:
    """Exit 0 whether or not anything differs: what would have been is no broken mail."""
    journal = _journal(arguments.journal)
    since = _since(arguments.since) if arguments.since else None
    file = config_path(arguments.config)
    policy = policy_without_secrets(file)
    try:
        replayed = _replay(journal, policy, since)
    except JournalError as error:
        print(error, file=sys.stderr)
        return 4
    if arguments.format == "json":
        tell(json.dumps(document(replayed, journal, file, since), indent=2))
    else:
        tell(drawn(lambda console: _print(console, replayed, since)))
    return 0


def _journal(given: str) -> Path:
    path = Path(given)
    if path.is_dir():
        path /= "journal.sqlite3"
    if not path.is_file():
        raise UsageError(f"{path}: no such journal; name a state directory (state_dir of the configuration) or a journal.sqlite3 file")
    return path


def _since(given: str) -> float:
    """Seconds since the epoch, of an ISO 8601 time (UTC where it names no zone) or a length of time before now."""
    try:
        return SystemClock().now().utc - parse_duration(given)
    except ValueError:
        pass
    try:
        named = datetime.fromisoformat(given)
    except ValueError:
        raise UsageError(f"--since {given}: is no time; write 2026-11-22T08:00, or 2d for the last two days") from None
    return (named if named.tzinfo else named.replace(tzinfo=UTC)).timestamp()


def _replay(journal: Path, policy: Policy, since: float | None) -> Replayed:
    replay = Replay(policy, since)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task("judging again", total=count(journal) or None)
        for number, entry in enumerate(read_only(journal)):
            replay.take(entry)
            if number % TICK == 0:
                progress.update(task, completed=number)
    return replay.end()


# --- what is said -----------------------------------------------------------------------------------------------------


def document(replayed: Replayed, journal: Path, configuration: Path, since: float | None) -> dict[str, object]:
    """Schema mailcanary.replay/v1: every key always there, additive changes only. A verdict of null: still open when the record ends."""
    return {
        "schema": "mailcanary.replay/v1",
        "journal": str(journal),
        "configuration": str(configuration),
        "since": datetime.fromtimestamp(since, UTC).isoformat() if since is not None else None,
        "began": replayed.began.iso() if replayed.began else None,
        "ended": replayed.ended.iso() if replayed.ended else None,
        "facts": replayed.facts,
        "probes": replayed.probes,
        "differs": replayed.changed,
        "kept": {"not_reproduced": replayed.kept, "no_such_route": replayed.unknown, "only_first": replayed.retimed},
        "routes": [
            {"route": str(route), "results": [{"result": _word(reason), "old": old, "new": new} for reason, old, new in reasons(tally)]}
            for route, tally in sorted(replayed.routes.items())
        ],
        "changes": [_change(change) for change in replayed.changes],
        "incidents": [_incident(opened) for opened in replayed.incidents],
        "notes": _notes(replayed),
    }


def _change(change: Change) -> dict[str, object]:
    return {
        "probe_id": change.probe,
        "route": str(change.route),
        "planned_at": change.planned.iso(),
        "old": _course(change.old),
        "new": _course(change.new),
        "why": _why(change),
    }


def _incident(opened: Opened) -> dict[str, object]:
    return {
        "symptom": opened.symptom.value,
        "scope": str(opened.scope),
        "severity": opened.severity.value,
        "old_at": opened.old.iso() if opened.old else None,
        "new_at": opened.new.iso() if opened.new else None,
        "seconds_later": opened.seconds_later,
    }


def _course(course: Course) -> Mapping[str, str | None]:
    return {"first": _word(course.first), "last": _word(course.last)}


def _word(reason: Reason | None) -> str | None:
    return reason.value if reason else None


def _why(change: Change) -> str:
    if change.new.last is None:
        return "the record ends before this could be decided"
    if change.new.last is change.old.last:
        return f"first {change.new.first}, where it was {change.old.first}; in the end: {plain(change.new.explanation)}"
    return plain(change.new.explanation)


def _notes(replayed: Replayed) -> list[str]:
    notes = []
    if replayed.kept:
        notes.append(
            f"{replayed.kept} verdicts are kept as recorded: they do not come out again from what the journal still holds "
            "(evidence retired, another version of the rules, or a mailbox that had another role)"
        )
    if replayed.unknown:
        notes.append(f"{replayed.unknown} verdicts are kept as recorded: the configuration has no such route now")
    if replayed.retimed:
        notes.append(
            f"{replayed.retimed} first verdicts are kept as recorded: they were given a moment earlier or later than they are here"
        )
    if replayed.amounts_differ:
        notes.append("allowed_amounts are others now; whether a mail was altered is kept as it was read then")
    if replayed.unread:
        notes.append(f"{replayed.unread} facts are of kinds that this version does not know; they were left out")
    if replayed.changed > len(replayed.changes):
        notes.append(f"{replayed.changed - len(replayed.changes)} more probes differ than are listed")
    if any(opened.old is None or opened.new is None for opened in replayed.incidents):
        notes.append("confirm probes are those that were sent: an incident that is suspected only now lacks its own")
    if replayed.changed:
        notes.append("what was done stays done: which probes were sent and when, where they were looked for, how each copy was read")
    return notes


def _print(console: Console, replayed: Replayed, since: float | None) -> None:
    if replayed.began is None or replayed.ended is None or not replayed.probes:
        console.print(
            Text("REPLAY nothing to judge", style="yellow"), f"- {replayed.facts} facts, no probe" + (" since then" if since else "")
        )
        return
    console.print(_table(replayed))
    if replayed.changes:
        console.print(_changes(replayed.changes[:SHOWN]))
    if replayed.changed > SHOWN:
        console.print(Text(f"and {replayed.changed - SHOWN} more; --format json lists them", style="dim"))
    for opened in replayed.incidents:
        console.print(Text(f"incident {opened.symptom.value} ({opened.scope}): {_opening(opened)}"), soft_wrap=True)
    for note in _notes(replayed):
        console.print(Text(f"note: {note}", style="dim"), soft_wrap=True)
    span = f"{replayed.probes} probes, {replayed.began.iso()} to {replayed.ended.iso()}"
    if replayed.changed:
        console.print(Text(f"REPLAY {replayed.changed} of them differ", style="bold yellow"), f"- {span}", soft_wrap=True)
    else:
        console.print(Text("REPLAY no difference", style="green"), f"- {span}", soft_wrap=True)


def _table(replayed: Replayed) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("route", "result", "recorded", "now"):
        table.add_column(heading, justify="right" if heading in ("recorded", "now") else "left", no_wrap=True)
    for route, tally in sorted(replayed.routes.items()):
        for row, (reason, old, new) in enumerate(reasons(tally)):
            style = "" if old == new else "bold"
            verdict = reason.verdict if reason else Verdict.INCONCLUSIVE
            named = Text(_word(reason) or "still open", style=COLOURS[verdict])
            table.add_row(Text(str(route) if row == 0 else ""), named, Text(str(old), style=style), Text(str(new), style=style))
    return table


def _changes(changes: list[Change]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("probe", "planned", "route", "recorded", "now"):
        table.add_column(heading, no_wrap=True)
    table.add_column("why", ratio=1)
    for change in changes:
        planned = datetime.fromtimestamp(math.floor(change.planned.utc), UTC).strftime("%Y-%m-%d %H:%M:%S")
        courses = (Text(_told(course)) for course in (change.old, change.new))
        table.add_row(Text(change.probe), Text(planned), Text(str(change.route)), *courses, Text(_why(change)))
    return table


def _opening(opened: Opened) -> str:
    if opened.old is None or opened.new is None:
        at = opened.old or opened.new
        assert at is not None  # noqa: S101 - one of them opened it
        return f"opened {at.iso()}, now not" if opened.old else f"was not opened, now {at.iso()} ({opened.severity.value})"
    seconds = opened.seconds_later or 0.0
    if abs(seconds) <= TURN:
        return f"opened {opened.old.iso()}, now too"
    return f"opened {opened.old.iso()}, now {lapse(abs(seconds))} {'later' if seconds > 0 else 'earlier'}"


def _told(course: Course) -> str:
    """The verdict; two when it was revised."""
    words = [_word(course.first) or "still open", _word(course.last) or "still open"]
    return words[0] if words[0] == words[1] else " -> ".join(words)
