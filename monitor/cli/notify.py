"""`mailcanary notify test`: a test notice to each channel, now, without a daemon. `mailcanary notify log`: who was told of what."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.cli import UsageError, tell
from monitor.cli.configured import policy_of
from monitor.cli.paper import drawn
from monitor.cli.run import run_loop
from monitor.cli.server import told
from monitor.edge.daemon import DaemonError
from monitor.model.channels import NotifyPolicy
from monitor.model.notice import Notice, Telling, Told
from monitor.model.policy import Policy
from monitor.ports import Channel, Clock
from monitor.rules.notice import render_test
from monitor.rules.plain import one_line
from monitor.surface.deliveries import SCHEMA
from monitor.surface.delivery_table import print_deliveries
from monitor.wiring import Edges, build_edges

DEADLINE = 10.0  # seconds that each channel has, as in the daemon


@dataclass(frozen=True, slots=True)
class Trial:
    channel: str
    outcome: Telling
    seconds: float

    @property
    def answer(self) -> str:
        match self.outcome:
            case Told(receipt):
                return receipt
            case refused:
                return f"{refused.detail}; {refused.mend}" if refused.mend else refused.detail


def call(arguments: argparse.Namespace) -> int:
    return _log(arguments) if arguments.action == "log" else _test(arguments)


def who_is_told(notify: NotifyPolicy) -> Iterator[str]:
    """In one line each: of what, and which channels."""
    for route in notify.routes:
        kinds = [f"{route.severity.value}s" if route.severity else "pages and tickets"]
        if route.symptoms:
            kinds.append(f"of {', '.join(symptom.value for symptom in route.symptoms)}")
        if route.scopes:
            kinds.append(f"at {', '.join(route.scopes)}")
        yield f"{' '.join(kinds)}: {_named(route.channels)}"
    other = "other " if notify.routes else ""
    yield f"{other}pages: {_named(notify.pages)}"
    yield f"{other}tickets: {_named(notify.tickets)}"
    if notify.fallback:
        yield f"pages that another channel has not taken for {notify.fallback_after:g} s: {_named(notify.fallback)}"


def _named(channels: tuple[str, ...]) -> str:
    return ", ".join(channels) or "nobody"


def _log(arguments: argparse.Namespace) -> int:
    name = arguments.incident.strip().upper()
    asked = {"incident": f"INC-{name}" if name.isdecimal() else name, "channel": arguments.channel, "limit": arguments.limit}
    query = urlencode({key: text for key, text in asked.items() if text})
    try:
        answer = told(arguments, SCHEMA, lambda daemon: daemon.document(f"/v1/notifications?{query}"))
    except DaemonError as error:
        print(error, file=sys.stderr)
        return 4
    tell(json.dumps(answer) if arguments.format == "json" else drawn(lambda console: print_deliveries(answer, console)))
    return 0


def _test(arguments: argparse.Namespace) -> int:
    policy = policy_of(arguments)
    known = policy.notify.channels
    if not known:
        raise UsageError("no channel is configured: name one in notify.channels; nothing was sent")
    if unknown := [name for name in arguments.channel or () if name not in known]:
        raise UsageError(f"--channel {unknown[0]}: no such name in notify.channels (there are: {', '.join(known)}); nothing was sent")
    names = list(dict.fromkeys(arguments.channel or known))
    with Console(stderr=True).status(f"telling {', '.join(names)} ...") as status:
        if not status.console.is_terminal:
            status.stop()
        trials = run_loop(_tell(policy, names, build_edges(policy)))
    if arguments.format == "json":
        rows = [
            {"channel": t.channel, "told": isinstance(t.outcome, Told), "seconds": round(t.seconds, 3), "answer": t.answer} for t in trials
        ]
        tell(json.dumps({"schema": "mailcanary.notify-test/v1", "ok": all(row["told"] for row in rows), "channels": rows}))
    else:
        tell(drawn(lambda console: _print(console, trials)))
    return 0 if all(isinstance(trial.outcome, Told) for trial in trials) else 1


async def _tell(policy: Policy, names: list[str], edges: Edges) -> list[Trial]:
    """All at once: a channel that hangs keeps no other waiting."""
    notice = render_test(policy, f"test-0-1-{edges.entropy.token(4).hex()}", edges.clock.now())
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(_try(name, edges.channels[name], notice, edges.clock)) for name in names]
    finally:
        for channel in edges.channels.values():
            await channel.close()
    return [task.result() for task in running]


async def _try(name: str, channel: Channel, notice: Notice, clock: Clock) -> Trial:
    began = clock.now()
    outcome = await channel.tell(notice, DEADLINE)
    return Trial(name, outcome, clock.now().seconds_since(began))


def _print(console: Console, trials: list[Trial]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True, padding=(0, 2, 0, 0))
    for heading in ("channel", "result", "seconds"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "seconds" else "left")
    table.add_column("answer", ratio=1)
    for trial in trials:
        told = isinstance(trial.outcome, Told)
        result = Text("told", style="green") if told else Text("NOT TOLD", style="bold red")
        table.add_row(Text(trial.channel), result, f"{trial.seconds:.2f}", Text(one_line(trial.answer)))
    console.print(table)
