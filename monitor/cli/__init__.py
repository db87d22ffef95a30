"""Commands: parse, call, print, exit code; nothing else. Each command's module is imported when it is called."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from monitor import __version__

EXIT_CODES = "exit codes: 0 pass, 1 fail (mail is broken), 2 usage or configuration (nothing was sent), 3 inconclusive, 4 our own fault"
CONFIG_PLACES = (Path("mailcanary.yaml"), Path("config/mailcanary.yaml"), Path("/etc/mailcanary/mailcanary.yaml"))
DEFAULT_SERVER = "http://127.0.0.1:9464"


class UsageError(Exception):
    """The call, or the configuration, cannot work; the text says why and how to mend it. Exit 2."""


def main(argv: Sequence[str]) -> int:
    """Run one command; returns its exit code."""
    arguments = _parser().parse_args(argv)
    command = import_module(f"monitor.cli.{arguments.module}")
    try:
        return int(command.call(arguments))
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:  # its reader left before there was a result: no exit code that means something else
        _silence()
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:  # whoever reads exit codes must not take a bug for broken mail
        traceback.print_exc()
        print(f"mailcanary {arguments.command}: a fault of our own: {error!r}", file=sys.stderr)
        return 4


def tell(text: str) -> None:
    """Print a result on stdout. Its reader may be gone, which is its right and changes no verdict."""
    try:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
    except OSError as error:
        print(f"stdout: {error.strerror}; the result could not be written", file=sys.stderr)
        _silence()


def _silence() -> None:
    """What is still buffered goes nowhere, so that the interpreter's last flush finds nothing to complain of."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def config_path(given: str | None) -> Path:
    """The configuration file: --config, $MAILCANARY_CONFIG, or the first of the usual places."""
    named = given or os.environ.get("MAILCANARY_CONFIG")
    if named:
        return Path(named)
    for place in CONFIG_PLACES:
        if place.exists():
            return place
    raise UsageError(f"no configuration: give --config FILE, or set MAILCANARY_CONFIG (looked for {', '.join(map(str, CONFIG_PLACES))})")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mailcanary", description="Watches a shop's refund mail and tells the truth about what it can see.", epilog=EXIT_CODES
    )
    parser.add_argument("--version", action="version", version=f"mailcanary {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, module: str, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, epilog=EXIT_CODES)
        sub.set_defaults(module=module, command=name)
        return sub

    def with_config(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("-c", "--config", metavar="FILE", help="configuration file (default: $MAILCANARY_CONFIG, ./mailcanary.yaml, ...)")

    def with_format(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--format", choices=("text", "json"), default="text", help="stdout as text or as one JSON document")

    def with_server(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--server", default=DEFAULT_SERVER, metavar="URL", help="the running daemon (default: %(default)s)")
        sub.add_argument("--token-file", metavar="FILE", help="file with the bearer token (default: $MAILCANARY_TOKEN)")

    run = command("run", "run", "run the daemon until SIGTERM")
    with_config(run)
    run.add_argument(
        "--log-format", choices=("auto", "text", "json"), default="auto", help="log lines on stderr (auto: text on a terminal)"
    )

    probe = command("probe", "probe", "submit one probe per route, wait, and say what became of it")
    with_config(probe)
    with_format(probe)
    probe.add_argument("--path", action="append", metavar="NAME", help="only this path (may be repeated)")
    probe.add_argument("--mailbox", action="append", metavar="NAME", help="only this mailbox (may be repeated)")
    probe.add_argument("--deadline", metavar="TIME", help="prove absence after this time instead of deadlines.missing, e.g. 90s")
    probe.add_argument("--state-dir", metavar="DIR", help="where one-shot probes keep their journal (default: below $XDG_STATE_HOME)")

    check = command("check-config", "check_config", "check the configuration; with --live also every login, folder and relay")
    with_config(check)
    with_format(check)
    check.add_argument("--live", action="store_true", help="log in to every mailbox and connect to every path; submits nothing")

    for name, text in (("pause", "stop all submission until resumed"), ("resume", "start submission again")):
        sub = command(name, "pause", text)
        with_server(sub)
        with_format(sub)
        sub.add_argument("--by", default=os.environ.get("USER", "unknown"), help="who (default: $USER)")
        if name == "pause":
            sub.add_argument("--reason", default="", help="why, for whoever looks at the status")

    health = command("healthz", "healthz", "ask the daemon whether it is alive; for container health checks")
    with_server(health)

    demo = command("demo", "demo", "the main job on an embedded mail world: healthy, deploy v2 misroutes, rollback, healed")
    demo.add_argument("--keep", action="store_true", help="leave it running afterwards and print the URLs")
    return parser
