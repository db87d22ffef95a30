"""`mailcanary demo`: the lost and the bogus confirmation, live, on an embedded mail world, and what on-call gets to read of them. Every act
is checked; exit 1 if one does not happen."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import os
import signal
import sys
import tempfile
import webbrowser
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.rule import Rule
from rich.text import Text

from monitor.app import App, assembled
from monitor.cli import UsageError
from monitor.cli.bookkeeping import CUSTOMERS, STRANGERS, Bookkeeper
from monitor.cli.run import run_loop, serving
from monitor.edge.daemon import Daemon
from monitor.edge.secret import SystemSecrets
from monitor.model.facts import Entry, Judged, WatchBlind
from monitor.model.incident import Severity
from monitor.model.instant import Instant
from monitor.model.probe import PathName, Route
from monitor.model.verdict import Reason, Verdict
from monitor.settings import load
from monitor.surface.matrix import Matrix

if TYPE_CHECKING:  # an optional extra
    from monitor.lab import Lab

ROUND = 2.0  # seconds between two probes of a route
TRANSIT = 0.6  # seconds that the demo's providers take: slow enough to watch
HEALTHY = 3  # rounds before the deploy
ACT_DEADLINE = 25.0
ASKED_EVERY = 0.5
WIDTH = 160  # columns where stdout is no terminal
STORY = 44  # lines of the story that stay on the screen
BURST = 30  # gate probes to a mailbox in a minute: here nobody minds
PIPELINE = 110  # columns of the pipeline's log
SETTLED = "3s"  # of good probes, before an incident is over


def call(arguments: argparse.Namespace) -> int:
    try:
        from monitor.lab import Lab, LabSpec  # noqa: PLC0415 - an optional extra
    except ModuleNotFoundError as error:
        raise UsageError(f"the demo needs the extra `lab` ({error.name} is missing): pip install 'mailcanary[lab]'") from None
    del Lab, LabSpec  # it is there
    return run_loop(_unwound(_demo(arguments.keep)))


async def _unwound(play: Coroutine[Any, Any, int]) -> int:
    """SIGTERM, and a terminal that is closed, end it as Ctrl-C does: no mail, secret or book stays behind. A second one ends it at once."""
    came: list[int] = []
    loop, playing = asyncio.get_running_loop(), asyncio.ensure_future(play)

    def end(number: int) -> None:
        came.append(number)
        for each in numbers:
            loop.remove_signal_handler(each)
        playing.cancel()

    numbers = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is not signal.SIG_IGN]  # nohup
    for each in numbers:
        loop.add_signal_handler(each, end, each)
    try:
        return await playing
    except asyncio.CancelledError:
        if not came:
            raise
        return 128 + came[0]


async def _demo(keep: bool) -> int:
    from monitor.lab import Fault, Lab, LabSpec, Pager  # noqa: PLC0415
    from monitor.lab.configuration import configuration, free_secret, write_configuration  # noqa: PLC0415

    password = free_secret()
    with tempfile.TemporaryDirectory(prefix="mailcanary-demo-") as name:
        directory = Path(name)
        spec = LabSpec(password=password, strangers=STRANGERS, customers=CUSTOMERS, books=directory)
        async with Lab(spec) as lab, Pager(password).listening() as phone:
            tree = configuration(lab.description.as_json(), directory / "secret", directory / "state")
            tree["schedule"] = {"every": f"{ROUND * 1000:.0f}ms", "jitter": "0%"}
            tree["incidents"] = {"recover_after": SETTLED, "recover_passes": 2}
            channel = {"kind": "webhook", "url": phone.url, "secret": {"file": str(directory / "secret")}}
            tree["notify"] = {"channels": {"phone": channel}}
            tree["gates"] = {"burst": BURST}
            policy = load(write_configuration(tree, directory, password), SystemSecrets()).policy
            policy = dataclasses.replace(policy, drain=2.0, listen=dataclasses.replace(policy.listen, port=0))
            async with assembled(policy, exclusive=False) as app, serving(app) as url:
                stage = Stage(app)
                phone.on_message = stage.ring
                await lab.switch_on(Fault.DELAY, seconds=TRANSIT)

                async def deploy(version: str, phase: str, live: str = "") -> None:
                    """`live`: the version that is live from then on, where it is another one."""
                    marker = {"deploy": f"checkout-{version}", "phase": phase, "service": "checkout", "version": version, "by": "ana"}
                    await asyncio.to_thread(Daemon(url).post, "/v1/deploys", marker)
                    lab.deploy(live or version)

                async def gate(version: str) -> int:
                    return await stage.run("gate", "run", "--server", url, "--deploy", f"checkout-{version}", "--version", version)

                books = Bookkeeper(lab, Daemon(url), app.edges.clock)
                async with app.running(books.trade, schedule=True):
                    with stage.lit():
                        happened = await _acts(stage, deploy, gate) and await _last_act(stage, deploy, gate, books)
                    if keep:
                        await _kept(url, lab)
    return 0 if happened else 1


async def _kept(url: str, lab: Lab) -> None:
    """Where to look; on a desktop the status page opens by itself."""
    print(f"still running: {url}/ is the status page, {url}/incidents/INC-1 the lost confirmations of act 2; {url}/metrics")
    print(f"in another terminal: mailcanary status --watch --server {url}")
    print(f"the shop: {lab.description.shop_url}; faults to switch: {lab.description.control_url}/faults; Ctrl-C ends it")
    sys.stdout.flush()
    if sys.stdout.isatty() and (sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        await asyncio.to_thread(webbrowser.open, f"{url}/")  # elsewhere it would find a browser that takes this very terminal
    await asyncio.Event().wait()


async def _acts(stage: Stage, deploy: Callable[..., Awaitable[None]], gate: Callable[[str], Awaitable[int]]) -> bool:
    """The lost confirmation; False at the first act that does not happen."""
    app, bare = PathName("app"), PathName("bare-smtp")
    stage.title("act 1: the shop runs v1; every route is probed")
    if not await stage.until(f"every route passes, {HEALTHY} rounds", lambda: stage.passes(HEALTHY)):
        return False
    stage.title("act 2: deploy v2 flips one line: the shop's refund mail goes to a holding store")
    await deploy("v2", "start")
    start = stage.now()
    if not await stage.exits(Verdict.FAIL, "the pipeline asks its gate, which says no", gate("v2")):
        return False
    if not await stage.until("on-call is paged, over a channel that is not e-mail", lambda: stage.paged("fire")):
        return False
    if not await stage.until(
        "every app route is misrouted, found in `holding`, while bare SMTP stays green",
        lambda: stage.all_judged((app,), Reason.MISROUTED, start, "holding") and stage.all_judged((bare,), Reason.PASS, start),
    ):
        return False
    stage.title("act 3: rollback to v1")
    await deploy("v2", "rollback", live="v1")
    start = stage.now()
    if not await stage.until("every route passes again", lambda: stage.all_judged((app, bare), Reason.PASS, start)):
        return False
    stage.title(f"act 4: only fresh good probes end an incident, {SETTLED} of them")
    if not await stage.until("on-call is told that it is over", lambda: stage.paged("resolve")):
        return False
    stage.title("act 5: v3 mends the line, and the pipeline asks again")
    await deploy("v3", "start")
    if not await stage.exits(Verdict.PASS, "the gate lets v3 pass, and says what it could not see", gate("v3")):
        return False
    await deploy("v3", "finish")
    stage.title("the app path broke, the relay did not: the fault was in the deploy, and it is healed", "bold green")
    return True


async def _last_act(stage: Stage, deploy: Callable[..., Awaitable[None]], gate: Callable[[str], Awaitable[int]], books: Bookkeeper) -> bool:
    """The bogus confirmation, and what both have done to real refunds."""
    stage.title("act 6: deploy v4 has a job that mails refunds to people who never bought anything")
    await deploy("v4", "start")
    if not await stage.until("the tripwire pages on-call", lambda: stage.paged("fire", "stray")):
        return False
    if not await stage.exits(Verdict.FAIL, "the pipeline asks its gate, which says no at once", gate("v4")):
        return False
    await deploy("v4", "rollback", live="v3")
    stage.title("act 7: what has that done to real customers? the ledger of refunds, beside the relay's log")
    if not await stage.until_true("reconciliation lists the lost ones of act 2 and the bogus ones of act 6, and no other", books.agree):
        return False
    await stage.run("ledger", "status", "--server", books.url)
    await stage.run("ledger", "show", "--kind", "missing", "--server", books.url)
    stage.title("lost and bogus confirmations, found, counted and named: support can repair every one of them", "bold green")
    return True


class Stage:
    """What the audience sees: the matrix of routes and the story so far. Plain lines where stdout is no terminal."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._calls: list[tuple[str, str]] = []  # of the pages that the phone was told: what they ask, and the symptom
        self._matrix = Matrix(app.desk)
        self._lines: list[Text] = []
        self._told: dict[Route, Reason] = {}
        self._passed: Counter[Route] = Counter()
        self._console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
        self._live: Live | None = None
        self._began = self.now()
        app.journal.fold_into(self._note)

    def now(self) -> Instant:
        return self._app.edges.clock.now()

    @contextmanager
    def lit(self) -> Iterator[None]:
        if not self._console.is_terminal:
            yield
            self._console.print(self._matrix.table())
            return
        with Live(get_renderable=self._render, console=self._console, refresh_per_second=8) as self._live:
            yield

    def title(self, text: str, style: str = "bold") -> None:
        self._say(Text(text, style=style))

    async def until(self, what: str, happened: Callable[[], bool]) -> bool:
        """Wait for what an act promises, within its deadline, and say whether it came."""
        began = self.now()
        try:
            async with asyncio.timeout(ACT_DEADLINE):
                while not happened():
                    await self._app.journal.wait(self._app.journal.last)
        except TimeoutError:
            self._say(Text(f"  NOT SEEN within {ACT_DEADLINE:.0f} s: {what}", style="bold red"))
            return False
        self._say(Text(f"  seen after {self.now().seconds_since(began):.1f} s: {what}", style="green"))
        return True

    async def until_true(self, what: str, asked: Callable[[], Awaitable[bool]]) -> bool:
        """The same for what has to be asked for."""
        answers: list[bool] = []

        async def ask() -> None:
            while not answers:
                if await asked():
                    answers.append(True)
                await self._app.edges.clock.sleep(ASKED_EVERY)

        asking = asyncio.create_task(ask(), name="asking")
        seen = await self.until(what, lambda: bool(answers))
        asking.cancel()
        return seen

    async def run(self, *arguments: str) -> int:
        """A command of a pipeline, with what it prints; returns its exit code."""
        self._say(Text(f"  $ mailcanary {' '.join(arguments)}", style="cyan"))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "monitor",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=os.environ | {"COLUMNS": str(PIPELINE), "NO_COLOR": "1", "GITHUB_ACTIONS": ""},
        )
        try:
            out, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        for line in out.decode().splitlines():
            self._say(Text(f"    {line}"))
        self._say(Text(f"    exit code {process.returncode}", style="cyan"))
        return process.returncode or 0

    async def exits(self, verdict: Verdict, what: str, command: Awaitable[int]) -> bool:
        """Wait for a command that is to end with the exit code of this verdict, and say whether it did."""
        codes: list[int] = []

        async def listen() -> None:
            codes.append(await command)

        waiting = asyncio.create_task(listen(), name="command")
        seen = await self.until(what, lambda: codes == [verdict.exit_code])
        waiting.cancel()
        return seen

    def ring(self, message: dict[str, Any]) -> None:
        """On-call's phone shows a notice."""
        if message["severity"] == Severity.PAGE.value:
            self._calls.append((message["call"], message["symptom"]))
        self._say(Text(f"  \u260e {message['title']}", style="bold green" if message["call"] == "resolve" else "bold red"))
        for line in message["text"].splitlines():
            self._say(Text(f"    {line}"))

    def paged(self, call: str, symptom: str = "") -> bool:
        """A page was told, not only a ticket."""
        return any(asked == call and (not symptom or about == symptom) for asked, about in self._calls)

    def passes(self, rounds: int) -> bool:
        """Every route has passed at least so often."""
        return all(self._passed[route] >= rounds for route in self._app.desk.policy.routes)

    def all_judged(self, paths: tuple[PathName, ...], reason: Reason, since: Instant, mailbox: str = "") -> bool:
        """The latest probe of every route of these paths, planned after `since`, was judged so."""
        world = self._app.desk.world
        for route in self._app.desk.policy.routes:
            if route.path not in paths:
                continue
            last = world.route(route).last
            state = world.probes.get(last.probe) if last else None
            if last is None or state is None or state.plan.at.seconds_since(since) < 0 or last.reason is not reason:
                return False
            if mailbox and last.mailbox != mailbox:
                return False
        return True

    def _note(self, entry: Entry) -> None:
        self._matrix.note(entry)
        if isinstance(entry.fact, Judged) and entry.fact.revision == 0 and entry.fact.reason is Reason.PASS:
            self._passed[entry.fact.route] += 1
        match entry.fact:
            case Judged(revision=0) as fact if self._told.get(fact.route) != fact.reason:
                self._told[fact.route] = fact.reason
                style = {Verdict.PASS: "green", Verdict.FAIL: "red"}.get(fact.verdict, "yellow")
                self._say(Text(f"  {fact.route}: ").append(fact.reason.value, style=style).append(f", {fact.explanation}"))
            case WatchBlind() as fact:
                self._say(Text(f"  {fact.mailbox}: blind, {fact.detail}", style="yellow"))
            case _:
                pass

    def _say(self, line: Text) -> None:
        stamped = Text(f"{self.now().seconds_since(self._began):5.1f} s  ", style="dim", no_wrap=True, overflow="ellipsis") + line
        self._lines.append(stamped)
        if not self._console.is_terminal:
            self._console.print(stamped)

    def _render(self) -> Group:
        room = max(3, self._console.height - len(self._app.desk.policy.mailboxes) - 5)
        return Group(self._matrix.table(), Rule(style="dim"), *self._lines[-min(room, STORY) :])
