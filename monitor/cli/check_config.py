"""`mailcanary check-config`: the configuration alone, or with --live against the real servers. Submits nothing."""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from monitor.app import build_edges
from monitor.cli import tell
from monitor.cli.configured import policy_of
from monitor.cli.notify import who_is_told
from monitor.cli.paper import drawn
from monitor.cli.run import run_loop
from monitor.model.policy import MailboxPolicy, PathPolicy, Policy
from monitor.model.submission import Declined, Misconfigured, Outcome, Postponed, Taken, Unanswered, Unreached
from monitor.ports import Mailbox, MailboxError, Submitter
from monitor.rules import placement
from monitor.rules.plain import one_line

PARALLEL = 8  # logins at a time


@dataclass(frozen=True, slots=True)
class Trial:
    """What was tried, whether it worked, and what it showed or how to mend it."""

    what: str
    ok: bool
    detail: str


def call(arguments: argparse.Namespace) -> int:
    policy = policy_of(arguments)
    trials = run_loop(_live(policy)) if arguments.live else []
    if arguments.format == "json":
        rows = [{"what": trial.what, "ok": trial.ok, "detail": trial.detail} for trial in trials]
        tell(json.dumps({"schema": "mailcanary.check-config/v1", "ok": all(t.ok for t in trials), "live": arguments.live, "trials": rows}))
    else:
        tell(drawn(lambda console: _print(console, policy, trials)))
    return 0 if all(trial.ok for trial in trials) else 2


async def _live(policy: Policy) -> list[Trial]:
    edges = build_edges(policy)
    gate = asyncio.Semaphore(PARALLEL)
    async with asyncio.TaskGroup() as tasks:
        trials = [tasks.create_task(_mailbox(policy.mailboxes[name], box, gate)) for name, box in edges.mailboxes.items()]
        trials += [tasks.create_task(_path(policy.paths[name], submitter, gate)) for name, submitter in edges.submitters.items()]
    return [trial.result() for trial in trials]


async def _path(policy: PathPolicy, submitter: Submitter, gate: asyncio.Semaphore) -> Trial:
    """Connect, TLS, AUTH; no message."""
    what = f"path {policy.name}"
    async with gate:
        try:
            outcome = await submitter.reach(policy.attempt_timeout)
        finally:
            await submitter.close()
    return Trial(what, isinstance(outcome, Taken), told(outcome))


def told(outcome: Outcome) -> str:
    """What came of reaching for a path: the peer's words, or where it failed and the mend."""
    match outcome:
        case Taken(reply):
            return reply.text
        case Postponed(step, reply) | Declined(step, reply):
            return f"{step.value}: {reply}"
        case Misconfigured(step, detail, mend):
            return f"{step.value}: {detail}; {mend}"
        case Unreached(step, detail) | Unanswered(step, detail):
            return f"{step.value}: {detail}"


async def _mailbox(policy: MailboxPolicy, mailbox: Mailbox, gate: asyncio.Semaphore) -> Trial:
    what = f"mailbox {policy.name}"
    async with gate:
        try:
            folders = await mailbox.open()
        except MailboxError as error:
            return Trial(what, False, f"{error.cause.value}: {error.detail}" + (f"; {error.mend}" if error.mend else ""))
        finally:
            await mailbox.close()
    layout = placement.layout(folders, policy.folders)
    if not layout.has_spam:
        names = ", ".join(folder.name for folder in folders[:20])
        return Trial(what, False, f"no spam folder among: {names}; name it in mailboxes.{policy.name}.folders.spam")
    shown = ", ".join(f"{folder.name} = {where.value}" for folder, where in layout.places[:12])
    return Trial(what, True, f"{len(layout.places)} folders: {shown}")


def _print(console: Console, policy: Policy, trials: list[Trial]) -> None:
    console.soft_wrap = True
    for trial in trials:
        head = Text("ok   ", style="green") if trial.ok else Text("FAIL ", style="bold red")
        console.print(head + Text(one_line(f"{trial.what}: {trial.detail}")))
    if policy.notify.channels:
        for line in who_is_told(policy.notify):
            console.print(Text(one_line(f"told of {line}")))
    bad = sum(1 for trial in trials if not trial.ok)
    size = f"{len(policy.paths)} paths, {len(policy.mailboxes)} mailboxes, {len(policy.routes)} routes"
    if bad:
        console.print(f"configuration reads well ({size}), but {bad} of {len(trials)} trials failed")
    else:
        console.print(f"configuration ok: {size}" + ("" if trials else "; try --live to log in and connect"))
