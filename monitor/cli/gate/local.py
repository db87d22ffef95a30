"""A gate that asks no daemon: the same stages in a thread of this process, with watchers, an instance and a journal of their own.

The thread has the event loop; the command stays in the main thread, where signals arrive.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import dataclasses
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from monitor.app import App, assembled
from monitor.cli import UsageError
from monitor.cli.configured import own_state, policy_of
from monitor.cli.gate.asked import Question
from monitor.edge.daemon import DaemonError
from monitor.edge.journal import JournalError
from monitor.edge.ownership import MailboxOwned, OwnershipError
from monitor.model.gate import GateId, GatePolicy, GatesPolicy
from monitor.model.policy import Policy
from monitor.model.verdict import Verdict
from monitor.ports import JournalUnwritable
from monitor.rules.gate.policies import changed, named, there_are
from monitor.rules.gate.request import AGAIN_AFTER, GateAsk, GateRefused, gate_id
from monitor.surface.gate import gate_document
from monitor.surface.gate.asking import begin, cancel

STEP = 1.0  # seconds between two looks while nothing is decided
SLACK = 30.0  # seconds beyond what a call may take by itself: then the thread is stuck
CLOSING = 5.0  # seconds for connections and the journal at the end
DRAIN = 2.0  # seconds that submissions under way may take at the end: a pipeline that stops us kills us soon

Document = dict[str, object]
T = TypeVar("T")
Up = concurrent.futures.Future[tuple[App, asyncio.AbstractEventLoop, asyncio.Event]]


@contextmanager
def opened(arguments: argparse.Namespace) -> Iterator[Local]:
    """The stages run while the body does. Raises UsageError, DaemonError where it is a fault of our own."""
    policy = _own(policy_of(arguments, paging=False), arguments)
    local = Local(policy)
    thread = threading.Thread(target=local.work, name="gate", daemon=True)
    thread.start()
    try:
        local.started()
        yield local
    finally:
        local.end()
        thread.join(policy.drain + CLOSING)


def _own(policy: Policy, arguments: argparse.Namespace) -> Policy:
    if arguments.environment and arguments.environment != policy.environment:
        raise UsageError(f"--environment {arguments.environment}: the configuration is of {policy.environment}; nothing was sent")
    state = arguments.state_dir or own_state(policy, "gate")
    drain = min(policy.drain, DRAIN)
    return dataclasses.replace(policy, instance=f"{policy.instance}-gate", state_dir=str(state), drain=drain)


class Local:
    """Every method but `work` is for the main thread."""

    goes_on = False

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._up: Up = concurrent.futures.Future()
        self._fault: BaseException | None = None

    def work(self) -> None:
        """The thread. What goes wrong before it is up comes out of `started`, what goes wrong later out of the next question."""
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # it is told in the other thread
            self._fault = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error
            if not self._up.done():
                self._up.set_exception(self._fault)

    async def _serve(self) -> None:
        end = asyncio.Event()
        async with assembled(self._policy, exclusive=True) as app, app.running(schedule=False):
            self._up.set_result((app, asyncio.get_running_loop(), end))
            await end.wait()

    def started(self) -> None:
        try:
            self._up.result()
        except MailboxOwned as error:
            raise UsageError(f"{error}; or ask that daemon: --server URL instead of --local. Nothing was sent") from None
        except (JournalError, JournalUnwritable, OwnershipError) as error:
            raise DaemonError(str(error)) from None

    def end(self) -> None:
        """Now, or as soon as it is up."""

        def end(up: Up) -> None:
            if up.exception() is None:
                _, loop, event = up.result()
                with suppress(RuntimeError):  # it has ended by itself
                    loop.call_soon_threadsafe(event.set)

        self._up.add_done_callback(end)

    def begin(self, question: Question) -> tuple[Document, bool]:
        return self._ask(lambda app: _begin(app, question))

    def look(self, gate: str, wait: float = 0.0, within: float = SLACK) -> Document:
        return self._ask(lambda app: _look(app, GateId(gate), wait), within + wait)

    def cancel(self, gate: str, by: str, reason: str, within: float = SLACK) -> Document:
        return self._ask(lambda app: _cancel(app, GateId(gate), by, reason), within)

    def _ask(self, question: Callable[[App], Coroutine[Any, Any, T]], within: float = SLACK) -> T:
        app, loop, _ = self._up.result()
        asked = question(app)
        try:
            answer = asyncio.run_coroutine_threadsafe(asked, loop)
        except RuntimeError as error:
            asked.close()
            raise self._broken(error) from None
        try:
            return answer.result(within)
        except JournalUnwritable as error:
            raise DaemonError(str(error)) from None
        except (TimeoutError, concurrent.futures.CancelledError) as error:
            answer.cancel()
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> DaemonError:
        return DaemonError(f"the gate's own stages have ended ({self._fault or error!r}): a fault of our own")


async def _begin(app: App, question: Question) -> tuple[Document, bool]:
    """Other gates of this journal lost their process: nobody will ever wait for them, and their probes would share the room."""
    policy = _policy(question, app.desk.policy.gates)
    desk, mine = app.desk, gate_id(app.desk.policy.environment, question.deploy, policy)
    for state in desk.world.gates.running():
        if state.id != mine:
            await cancel(desk, state.id, "mailcanary gate run --local", "its process ended")
    await _outlived(app, mine)
    until = desk.clock.now().utc + question.advisory_for if question.advisory_for else 0.0
    asked = GateAsk(
        question.deploy, policy, question.by, question.service, question.version, question.sha, notify=False, advisory_until=until
    )
    try:
        state, began = await begin(desk, asked)
    except GateRefused as error:
        raise UsageError(str(error)) from None
    return gate_document(desk, state), began


async def _outlived(app: App, gate: GateId) -> None:
    """An attempt whose time was over while no process had it is decided at our start, and answers for nobody: let it, and its time of
    answering, pass."""
    desk, state = app.desk, app.desk.world.gates.known.get(gate)
    if state is None:
        return
    if state.running and desk.clock.now().reached(state.request.until):
        async with asyncio.timeout(STEP * 5):
            while state.running:
                await desk.journal.wait(desk.world.seq)
    decision, now = state.decision, desk.clock.now()
    if decision is not None and decision.at.process == now.process and decision.verdict not in (Verdict.PASS, Verdict.FAIL):
        await desk.clock.sleep(AGAIN_AFTER - now.seconds_since(decision.at) + STEP / 10)


def _policy(question: Question, gates: GatesPolicy) -> GatePolicy:
    policy = question.policy
    if not isinstance(policy, GatePolicy):
        known = named(policy or gates.default, gates)
        if known is None:
            raise UsageError(f"--policy {policy}: no such policy is known; there are {there_are(gates)}")
        policy = known
    return changed(
        policy,
        routes=question.routes,
        probes=question.probes,
        deadline=question.deadline,
        control=question.control,
        min_routes=question.min_routes,
        trust_target=question.trust_target,
    )


async def _look(app: App, gate: GateId, wait: float) -> Document:
    """After its decision, or STEP."""
    desk = app.desk
    try:
        async with asyncio.timeout(min(wait, STEP)):
            while desk.world.gates.known[gate].running:
                await desk.journal.wait(desk.world.seq)
    except TimeoutError:
        pass
    return gate_document(desk, desk.world.gates.known[gate])


async def _cancel(app: App, gate: GateId, by: str, reason: str) -> Document:
    return gate_document(app.desk, await cancel(app.desk, gate, by, reason))
