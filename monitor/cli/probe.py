"""`mailcanary probe`: one probe per route, now."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import signal
import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from monitor.app import App, assembled
from monitor.cli import UsageError, tell
from monitor.cli.configured import own_state, policy_of
from monitor.cli.paper import drawn
from monitor.cli.run import run_loop
from monitor.edge.journal import JournalError
from monitor.edge.ownership import MailboxOwned, OwnershipError
from monitor.model.policy import Policy
from monitor.model.probe import Purpose, Route
from monitor.model.verdict import Verdict
from monitor.ports import JournalUnwritable
from monitor.rules import plan
from monitor.settings import SettingsError, parse_duration
from monitor.surface.report import print_table, probe_report
from monitor.views.probes import ProbeState


def call(arguments: argparse.Namespace) -> int:
    policy = _narrowed(policy_of(arguments, paging=False), arguments)
    try:
        return run_loop(_probe(policy, arguments.format))
    except MailboxOwned as error:
        raise UsageError(f"{error}; nothing was sent") from None
    except (JournalError, JournalUnwritable, OwnershipError) as error:
        print(error, file=sys.stderr)
        return 4


def _narrowed(policy: Policy, arguments: argparse.Namespace) -> Policy:
    """The policy of a one-shot run: its own state and instance, the chosen routes, the mailboxes that they need."""
    for flag, given, known in (("--path", arguments.path, policy.paths), ("--mailbox", arguments.mailbox, policy.mailboxes)):
        for name in given or ():
            if name not in known:
                raise UsageError(f"{flag} {name}: no such name in the configuration (there are: {', '.join(known)})")
    chosen = {
        route: route_policy
        for route, route_policy in policy.routes.items()
        if (not arguments.path or route.path in arguments.path) and (not arguments.mailbox or route.mailbox in arguments.mailbox)
    }
    if not chosen:
        raise UsageError("no route is left by --path and --mailbox; nothing was sent")
    if arguments.deadline:
        try:
            seconds = parse_duration(arguments.deadline)
        except (SettingsError, ValueError) as error:
            raise UsageError(f"--deadline {arguments.deadline}: {error}") from None
        if seconds <= 0:
            raise UsageError(f"--deadline {arguments.deadline}: absence cannot be proven in no time; write 90s")
        chosen = {
            route: dataclasses.replace(route_policy, deadlines=plan.proven_by(seconds, route_policy.deadlines))
            for route, route_policy in chosen.items()
        }
    state = arguments.state_dir or own_state(policy, "probe")
    # every mailbox of the configuration stays watched: a misrouted probe may lie in any of them
    return dataclasses.replace(policy, instance=f"{policy.instance}-cli", state_dir=str(state), routes=chosen)


async def _probe(policy: Policy, form: str) -> int:
    loop = asyncio.get_running_loop()
    interrupted: asyncio.Future[int] = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _once, interrupted, number)
    async with assembled(policy, exclusive=True) as app:
        shot = OneShot(app)
        async with app.running(schedule=False):
            work = asyncio.create_task(shot.run(), name="one shot")
            await asyncio.wait((work, interrupted), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
            work.cancel()
    report = probe_report(app.desk, shot.states, shot.blind)
    if form == "json":
        tell(json.dumps(report, indent=2))
    else:
        tell(drawn(lambda console: print_table(report, console)))
    return 128 + interrupted.result() if interrupted.done() else Verdict(str(report["verdict"])).exit_code


def _once(interrupted: asyncio.Future[int], number: int) -> None:
    if not interrupted.done():
        interrupted.set_result(number)


class OneShot:
    """Waits for the watchers, plans a probe on each route that can be seen, and follows them to the end."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.states: list[ProbeState] = []
        self.blind: list[Route] = []

    async def run(self) -> None:
        app, world = self._app, self._app.desk.world
        routes = list(app.desk.policy.routes)
        with _progress() as progress:
            task = progress.add_task("logging in", total=len(routes))
            await app.plan.when_ready(app.desk.policy.mailboxes)
            self.blind = [route for route in routes if world.mailbox(route.mailbox).blind is not None]
            probes = await app.plan.plan_now([route for route in routes if route not in self.blind], Purpose.CLI)
            self.states = [world.probes[probe] for probe in probes]  # kept here: a closed probe leaves the world
            while waiting := [state for state in self.states if not self._done(state)]:
                progress.update(task, completed=len(routes) - len(waiting), description=_doing(waiting))
                await app.journal.wait(app.journal.last)
            progress.update(task, completed=len(routes), description="done")

    def _done(self, state: ProbeState) -> bool:
        """Judged; and, if all is well so far, looked at once more in every folder for a second copy."""
        if state.judged is None:
            return False
        if state.judged.verdict is not Verdict.PASS:
            return True
        sighted = state.own()[0].fact.at
        mailbox = self._app.desk.world.mailbox(state.plan.route.mailbox)
        confirmed = mailbox.last_look is not None and mailbox.last_look.began.seconds_since(sighted) > 0
        return confirmed or mailbox.blind is not None


def _doing(waiting: list[ProbeState]) -> str:
    submitting = sum(1 for state in waiting if not state.taken)
    looking = sum(1 for state in waiting if state.taken and state.judged is None)
    parts = [f"submitting {submitting}" if submitting else "", f"looking for {looking}" if looking else ""]
    return ", ".join(part for part in parts if part) or "looking for second copies"


def _progress() -> Progress:
    """On stderr, and only on a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=not sys.stderr.isatty(), transient=True)
