"""`mailcanary gate run|status|explain|wait|cancel|override`: did this deploy break refund mail?"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from monitor.cli import UsageError, remark, tell
from monitor.cli.gate.asked import question, seconds
from monitor.cli.gate.attempt import Attempt, Ending, Source, Stopped, StoppedEarly, Stopping
from monitor.cli.gate.outputs import Outputs
from monitor.cli.gate.progress import Watching
from monitor.cli.gate.remote import Document, Remote
from monitor.cli.paper import drawn
from monitor.cli.server import fits
from monitor.edge import clock
from monitor.edge.clock import SystemClock
from monitor.edge.daemon import DaemonError
from monitor.model.verdict import Verdict
from monitor.rules.plain import one_line
from monitor.surface.gate import final_line, print_explained, print_gate, unanswered

LIST = "mailcanary.gates/v1"
CANCELLED_WITHIN = 2.0  # seconds to see its end


def call(arguments: argparse.Namespace) -> int:
    match arguments.action:
        case "run":
            return _published(arguments, _run)
        case "wait":
            return _published(arguments, _wait)
        case _:
            return _said(arguments)


def _published(arguments: argparse.Namespace, work: Callable[[argparse.Namespace, Stopping], Ending]) -> int:
    """The answer in every form that was asked for; and when there is none, why there is none."""
    outputs = Outputs.of(arguments)
    try:
        with Stopping() as stopping:
            return _answered(arguments, work, stopping, outputs)
    except Stopped as stopped:
        return 128 + stopped.number


def _answered(
    arguments: argparse.Namespace, work: Callable[[argparse.Namespace, Stopping], Ending], stopping: Stopping, outputs: Outputs
) -> int:
    """A signal waits while the answer is written."""
    try:
        ending = work(arguments, stopping)
    except UsageError as error:
        code, why = 2, str(error)
    except StoppedEarly as stopped:
        code, why = stopped.code, str(stopped)
    except Stopped as stopped:
        code, why = 128 + stopped.number, "stopped by a signal before the gate had answered"
    except DaemonError as error:
        code, why = Verdict.ERROR.exit_code, str(error)
    except Exception as error:
        with stopping.held():
            outputs.publish(_unanswered(arguments, f"a fault of our own: {error!r}"), whole=False)
        raise
    else:
        with stopping.held():
            if ending.note:
                remark(ending.note)
            outputs.publish(ending.document)
        return ending.code
    with stopping.held():
        remark(why)
        outputs.publish(_unanswered(arguments, why), whole=False)
    return code


def _unanswered(arguments: argparse.Namespace, why: str) -> Document:
    environment, deploy, policy = (getattr(arguments, name, None) or "" for name in ("environment", "deploy", "policy"))
    return unanswered(why, SystemClock().now(), environment, deploy, policy)


def _run(arguments: argparse.Namespace, stopping: Stopping) -> Ending:
    asked = question(arguments, clock.utc())
    timeout = seconds("--timeout", arguments.timeout) if arguments.timeout is not None else None
    if arguments.local:
        if arguments.no_wait:
            raise UsageError("--no-wait: with --local nothing goes on when this call ends; leave one of them out")
        from monitor.cli.gate.local import opened  # noqa: PLC0415 - the whole application

        place: AbstractContextManager[Source] = opened(arguments)
    else:
        for flag, given in (("--config", arguments.config), ("--state-dir", arguments.state_dir)):
            if given is not None:
                raise UsageError(f"{flag}: only for --local; a daemon has its own")
        place = nullcontext(_of_environment(Remote(arguments), arguments))
    with place as source, Watching() as watching:
        attempt = Attempt(source, watching, stopping, arguments.by, timeout, arguments.on_inconclusive == "hold")
        return attempt.run(asked, wait=not arguments.no_wait)


def _of_environment(remote: Remote, arguments: argparse.Namespace) -> Source:
    """The daemon, if it is the one that is meant."""
    if arguments.environment and (there := remote.environment()) != arguments.environment:
        why = f"--environment {arguments.environment}: the daemon at {arguments.server} is of {there or 'no environment'}"
        raise UsageError(f"{why}; nothing was sent")
    return remote


def _wait(arguments: argparse.Namespace, stopping: Stopping) -> Ending:
    timeout = seconds("--timeout", arguments.timeout) if arguments.timeout is not None else None
    remote = Remote(arguments)
    document = remote.find()
    with Watching() as watching:
        return Attempt(remote, watching, stopping, "", timeout).wait(document)


def _said(arguments: argparse.Namespace) -> int:
    try:
        _answerable(arguments)
        remote = Remote(arguments)
        if arguments.action == "status" and not arguments.gate and not arguments.deploy:
            return _latest(arguments, remote)
        document = remote.find()
        match arguments.action:
            case "cancel":
                document = _cancelled(arguments, remote, document)
            case "override":
                document = remote.override(str(document["id"]), arguments.by, arguments.reason, arguments.length)
            case _:
                pass
    except DaemonError as error:
        print(error, file=sys.stderr)
        return Verdict.ERROR.exit_code
    if arguments.format == "json":
        tell(json.dumps(document, indent=2))
        return 0
    draw = print_explained if arguments.action == "explain" else print_gate
    report = drawn(lambda console: draw(document, console)) if arguments.action in ("status", "explain") else ""
    tell(report + final_line(document))
    return 0


def _answerable(arguments: argparse.Namespace) -> None:
    """Who decides something says why, and who lets a deploy pass says who."""
    if arguments.action == "override" and not arguments.by.strip():
        raise UsageError("--by: say who answers for the deploy (there is no $USER here); nothing was overridden")
    if arguments.action in ("cancel", "override") and not arguments.reason.strip():
        raise UsageError("--reason: say why, in a few words, for whoever looks at the gate; nothing was done")


def _cancelled(arguments: argparse.Namespace, remote: Remote, document: Document) -> Document:
    gate = str(document["id"])
    if document["state"] != "running":
        remark(f"gate {gate} is decided already; nothing was cancelled")
        return document
    document = remote.cancel(gate, arguments.by, arguments.reason)
    return remote.look(gate, CANCELLED_WITHIN) if document["state"] == "running" else document


def _latest(arguments: argparse.Namespace, remote: Remote) -> int:
    """A line for each gate, newest first."""
    listed = fits(arguments, LIST, remote.latest())
    if arguments.format == "json":
        tell(json.dumps(listed, indent=2))
        return 0
    rows = listed["gates"]
    lines = [
        one_line(f"{row['id']}  {row['deploy']}  {str(row['verdict']).upper()}{_excused(row)}  {row['reason']}")
        for row in (rows if isinstance(rows, list) else [])
    ]
    tell("\n".join(lines) or "no gate yet; `mailcanary gate run --deploy ID` begins one")
    return 0


def _excused(row: dict[str, object]) -> str:
    """What was found all the same, and who lets it pass until when."""
    parts = [f"found {row['found']}"] if row.get("found", row["verdict"]) != row["verdict"] else []
    for name in ("override", "advisory"):
        if isinstance(said := row.get(name), dict):
            author = f" by {said['by']}" if "by" in said else ""
            parts.append(f"{name}{author} until {said['until']}")
    return f" ({'; '.join(parts)})" if parts else ""
