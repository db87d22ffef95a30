"""Commands: parse, call, print, exit code; nothing else. Each command's module is imported when it is called."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TextIO

from monitor import __version__
from monitor.cli import flags

EXIT_CODES = "exit codes: 0 pass, 1 fail (mail is broken), 2 usage or configuration (nothing was sent), 3 inconclusive, 4 our own fault"
CONFIG_PLACES = (Path("mailcanary.yaml"), Path("config/mailcanary.yaml"), Path("/etc/mailcanary/mailcanary.yaml"))
_lost: list[OSError] = []  # why a result could not be written
DEFAULT_SERVER = "http://127.0.0.1:9464"


class UsageError(Exception):
    """The call, or the configuration, cannot work; the text says why and how to mend it. Exit 2."""


def main(argv: Sequence[str]) -> int:
    """Run one command; returns its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # where it has few letters it loses some, and no verdict
    arguments = _parser().parse_args(argv)
    try:
        return int(import_module(f"monitor.cli.{arguments.module}").call(arguments))
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:  # its reader left before there was a result: no exit code that means something else
        _silence()
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:  # whoever reads exit codes must not take a bug for broken mail
        if isinstance(error.__cause__, KeyboardInterrupt):  # __set_name__ wraps it in 3.11, while a module is imported
            return 128 + signal.SIGINT
        traceback.print_exc()
        print(f"mailcanary {arguments.command}: a fault of our own: {error!r}", file=sys.stderr)
        return 4
    finally:
        try:
            sys.stderr.flush()
        except OSError:  # nobody reads it any more, which changes no exit code
            _silence(sys.stderr)


def tell(text: str) -> None:
    """Print a result on stdout. Its reader may be gone, which is its right and changes no verdict."""
    tell_piece(text if text.endswith("\n") else f"{text}\n")


def tell_piece(text: str) -> bool:
    """The same of a part of a result. Whether anybody reads the rest."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        return False
    except OSError as error:
        print(f"stdout: {error.strerror}; the result could not be written", file=sys.stderr)
        _lost.append(error)
        _silence()
        return False
    return True


def if_told(code: int) -> int:
    """The exit code of a command whose output is its result: a list that was lost must not be taken for an empty one."""
    return 4 if _lost and code in (0, 3) else code


def remark(text: str) -> None:
    """Print a line on stderr, for whoever reads it."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _silence(sys.stderr)


def _silence(stream: TextIO | None = None) -> None:
    """What is still buffered goes nowhere, so that the interpreter's last flush finds nothing to complain of."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, (stream or sys.stdout).fileno())
    os.close(null)


def config_path(given: str | None) -> Path:
    """The configuration file: --config, $MAILCANARY_CONFIG, or the first of the usual places."""
    named = given or os.environ.get("MAILCANARY_CONFIG")
    found = Path(named) if named else next((place for place in CONFIG_PLACES if place.exists()), None)
    if found is not None:
        return found
    raise UsageError(f"no configuration: give --config FILE, or set MAILCANARY_CONFIG (looked for {', '.join(map(str, CONFIG_PLACES))})")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mailcanary", description="Watches a shop's refund mail and tells the truth about what it can see.", epilog=EXIT_CODES
    )
    parser.add_argument("--version", action="version", version=f"mailcanary {__version__}")
    commands = Commands(parser.add_subparsers(required=True, metavar="COMMAND"))
    for declared in (_of_the_daemon, _of_one_shots, _of_the_audit, _of_a_running_daemon, _of_incidents, _of_silences):
        declared(commands)
    for declared in (_of_deploys, _of_gates, _of_the_ledger):
        declared(commands)
    return parser


@dataclass(frozen=True, slots=True)
class Commands:
    """Below `places`; each names the module that is imported when it is called."""

    places: argparse._SubParsersAction[argparse.ArgumentParser]

    def add(self, name: str, module: str, text: str) -> argparse.ArgumentParser:
        sub = self.places.add_parser(name, help=text, description=text, epilog=EXIT_CODES)
        sub.set_defaults(module=module, command=name)
        return sub

    def group(self, name: str, module: str, text: str) -> Actions:
        return Actions(self.add(name, module, text).add_subparsers(required=True, metavar="ACTION", dest="action"))


@dataclass(frozen=True, slots=True)
class Actions:
    """What one command can do: `mailcanary COMMAND ACTION`."""

    places: argparse._SubParsersAction[argparse.ArgumentParser]

    def add(self, name: str, text: str) -> argparse.ArgumentParser:
        return self.places.add_parser(name, help=text, description=text, epilog=EXIT_CODES)


def _with_config(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("-c", "--config", metavar="FILE", help="configuration file (default: $MAILCANARY_CONFIG, ./mailcanary.yaml, ...)")


def _with_format(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--format", choices=("text", "json"), default="text", help="stdout as text or as one JSON document")


def _with_server(sub: argparse.ArgumentParser) -> None:
    _server(sub)
    _with_token(sub)


def _server(sub: argparse._ActionsContainer) -> None:
    there = os.environ.get("MAILCANARY_SERVER") or DEFAULT_SERVER
    sub.add_argument("--server", default=there, metavar="URL", help="the running daemon (default: $MAILCANARY_SERVER, or %(default)s)")


def _with_token(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--token-file", metavar="FILE", help="file with the bearer token (default: $MAILCANARY_TOKEN)")


def _with_by(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--by", default=os.environ.get("USER") or "unknown", metavar="NAME", help="who (default: $USER)")


def _of_the_daemon(commands: Commands) -> None:
    run = commands.add("run", "run", "run the daemon until SIGTERM")
    _with_config(run)
    run.add_argument(
        "--log-format", choices=("auto", "text", "json"), default="auto", help="log lines on stderr (auto: text on a terminal)"
    )


def _of_one_shots(commands: Commands) -> None:
    init = commands.add("init", "init", "ask for a relay and mailboxes, try each, and write a configuration that works")
    flags.of_init(init)

    demo = commands.add("demo", "demo", "the main job on an embedded mail world: healthy, deploy v2 misroutes, rollback, healed")
    demo.add_argument("--keep", action="store_true", help="leave it running afterwards and print the URLs")

    probe = commands.add("probe", "probe", "submit one probe per route, wait, and say what became of it")
    _with_config(probe)
    _with_format(probe)
    flags.of_probe(probe)

    check = commands.add("check-config", "check_config", "check the configuration; with --live also every login, folder and relay")
    _with_config(check)
    _with_format(check)
    check.add_argument("--live", action="store_true", help="log in to every mailbox and connect to every path; submits nothing")

    channels = commands.group("notify", "notify", "try the channels, and see who was told of what")
    test = channels.add("test", "send a test notice to each channel, and say which took it")
    _with_config(test)
    test.add_argument("--channel", action="append", metavar="NAME", help="only this channel (may be repeated)")
    told = channels.add("log", "who was told of what, what waits, and what was given up; the latest first")
    flags.of_notify_log(told)
    _with_server(told)
    for sub in (test, told):
        _with_format(sub)

    replay = commands.add("replay", "replay", "judge a recorded journal again under the present configuration, and say what differs")
    replay.add_argument("journal", metavar="JOURNAL", help="a state directory, or a journal.sqlite3 file; opened read-only")
    _with_config(replay)
    _with_format(replay)
    replay.add_argument("--since", metavar="TIME", help="only probes planned since then: an ISO 8601 time, or a length before now like 2d")


def _of_the_audit(commands: Commands) -> None:
    text = "judge the zones of sending domains: SPF, DKIM, DMARC, MX, reverse DNS, certificates; needs no daemon"
    audit = commands.add("audit", "audit", text)
    _with_config(audit)
    flags.of_audit(audit)
    _with_token(audit)


def _of_a_running_daemon(commands: Commands) -> None:
    for name, text in (("pause", "stop all submission until resumed"), ("resume", "start submission again")):
        sub = commands.add(name, "pause", text)
        _with_server(sub)
        _with_format(sub)
        _with_by(sub)
        if name == "pause":
            sub.add_argument("--reason", default="", help="why, for whoever looks at the status")
    status = commands.add("status", "status", "what the page at / shows: routes, incidents, gates, deploys; exits 0 whatever the state is")
    flags.of_status(status)
    _with_server(status)
    _with_format(status)
    _with_server(commands.add("healthz", "healthz", "ask the daemon whether it is alive; for container health checks"))


def _of_incidents(commands: Commands) -> None:
    actions = commands.group("incident", "incident", "what is broken: look at incidents, and say what you do about them")
    listed = actions.add("list", "the open incidents, newest first")
    listed.add_argument("--state", choices=("open", "suspected", "resolved", "all"), default="open", help="which (default: %(default)s)")
    shown = actions.add("show", "one incident whole: diagnosis, evidence, deploys, timeline, who was told, next step")
    ack = actions.add("ack", "say that you look after it; nobody is told again unless it becomes graver or wider")
    silence = actions.add("silence", "tell nobody of it for a while; it is recorded as before")
    unsilence = actions.add("unsilence", "end that before its time; it is told again if it is still open")
    resolve = actions.add("resolve", "say that it is over; fresh bad evidence opens it again")
    note = actions.add("note", "add a line to its timeline")
    report = actions.add("report", "what happened, blameless, for the review: impact, timeline, evidence, and blanks that people fill in")
    flags.of_incident_report(report)
    for sub in (shown, ack, silence, unsilence, resolve, note, report):
        sub.add_argument("incident", metavar="ID", help="its id, e.g. INC-12")
    flags.of_words(ack, silence, unsilence, resolve, note)
    for sub in (ack, silence, unsilence, resolve, note):
        _with_by(sub)
    _with_server(report)
    for sub in (listed, shown, ack, silence, unsilence, resolve, note):
        _with_server(sub)
        _with_format(sub)


def _of_silences(commands: Commands) -> None:
    actions = commands.group("silence", "silence", "plan quiet, while you work on mail: nobody is told, all is recorded, gates still block")
    planned = actions.add("add", "tell nobody of what it covers, from now or later; what is still open at its end is told then")
    flags.of_silence(planned)
    listed = actions.add("list", "those that are not over")
    ended = actions.add("end", "end one before its time, or take it back before it begins")
    flags.of_silences(listed, ended)
    for sub in (planned, ended):
        _with_by(sub)
    for sub in (planned, listed, ended):
        _with_server(sub)
        _with_format(sub)


def _of_deploys(commands: Commands) -> None:
    actions = commands.group("deploy", "deploy", "mark a deploy of the shop, so that incidents can be set beside it")
    for name, text in (("start", "it begins"), ("finish", "it is done"), ("rollback", "it is taken back")):
        sub = actions.add(name, text)
        sub.add_argument("--deploy", required=True, metavar="ID", help="your pipeline's name for it; the same in start, finish, rollback")
        flags.of_deployed(sub)
        sub.add_argument("--at", default="", metavar="TIME", help="when, as ISO 8601 (default: now); never in the future")
        sub.add_argument("--url", default="", metavar="URL", help="of the pipeline, for whoever looks at the incident")
        _with_by(sub)
        _with_server(sub)
        _with_format(sub)


def _of_gates(commands: Commands) -> None:
    actions = commands.group("gate", "gate", "did this deploy break refund mail? pass, fail or inconclusive, on evidence")
    run = actions.add("run", "begin the gate of a deploy, wait for its decision, and exit by it; asked again it is the same gate")
    run.add_argument("--deploy", required=True, metavar="ID", help="your pipeline's name for the deploy; as in `mailcanary deploy`")
    run.add_argument("--environment", metavar="NAME", help="refuse, with exit 2, to ask a daemon of another environment")
    flags.of_deployed(run)
    flags.of_gate_policy(run)
    flags.of_waiting(run)
    _with_gate_outputs(run)
    where = run.add_mutually_exclusive_group()
    _server(where)
    where.add_argument("--local", action="store_true", help="ask no daemon: probe from here, with watchers and state of its own")
    _with_token(run)
    _with_config(run)
    run.add_argument("--state-dir", metavar="DIR", help="where --local keeps its journal (default: below $XDG_STATE_HOME)")
    _with_by(run)

    status = actions.add("status", "how a gate stands, or the latest ones; exits 0 whatever the verdict: `gate wait` exits by it")
    explain = actions.add("explain", "a gate in full: every probe in its order, the arithmetic, all attempts; exits 0 whatever the verdict")
    wait = actions.add("wait", "wait for a gate's decision, and exit by it; begins nothing")
    wait.add_argument("--timeout", metavar="TIME", help="wait so long, then say pending and exit 3 (default: until its attempt is over)")
    _with_gate_outputs(wait)
    cancel = actions.add("cancel", "end a running gate inconclusive; what its probes showed is kept")
    override = actions.add("override", "answer for a gate that did not pass: it counts as passed for a while, and every output says so")
    override.add_argument("--for", required=True, dest="length", metavar="TIME", help="for how long, e.g. 2h; at most 24h")
    _with_by(cancel)
    override.add_argument("--by", default=os.environ.get("USER", ""), metavar="NAME", help="who answers for it (default: $USER)")
    for sub in (cancel, override):
        sub.add_argument("--reason", required=True, help="why, for whoever looks at the gate")
    for sub in (status, explain, wait, cancel, override):
        sub.add_argument("gate", nargs="?", metavar="ID", help="the gate's id, e.g. gate-0123456789ab")
        sub.add_argument("--deploy", metavar="ID", help="the gate of this deploy, instead of its id")
        _with_server(sub)
    for sub in (status, explain, cancel, override):
        _with_format(sub)


def _of_the_ledger(commands: Commands) -> None:
    actions = commands.group("ledger", "ledger", "real refunds and their confirmations: which are missing, bogus, wrong or doubled")
    both = actions.add("reconcile", "compare two exports, without a daemon; or, without files, have a daemon read and compare now")
    flags.of_comparison(both)
    _with_config(both)
    status = actions.add("status", "how both sides stand, how far each source was read, which rows were refused")
    _with_format(status)
    shown = actions.add("show", "the differences one by one; exits 0 whatever there is")
    flags.of_differences(shown)
    taken = actions.add("import", "give a daemon a file that no source of its own sees; the same file again changes nothing")
    flags.of_import(taken)
    forgotten = actions.add("purge", "forget for good what is old, or one person")
    flags.of_purge(forgotten)
    _with_by(forgotten)
    for sub in (both, status, shown, taken, forgotten):
        _with_server(sub)


def _with_gate_outputs(sub: argparse.ArgumentParser) -> None:
    _with_format(sub)
    sub.add_argument("--json", metavar="FILE", help="write the JSON document there too, whatever happens")
    sub.add_argument("--junit", metavar="FILE", help="write a JUnit report there, whatever happens")
    sub.add_argument(
        "--github",
        action=argparse.BooleanOptionalAction,
        help="job summary, outputs and annotations of GitHub Actions (default: when $GITHUB_ACTIONS is true)",
    )
