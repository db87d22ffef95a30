"""Every command is understood as its module expects it, and its module is there."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest

from monitor.cli import _parser
from tests.cli.conftest import Outcome

Command = Callable[..., Outcome]
SERVER = {"server": "http://127.0.0.1:9464", "token_file": None, "format": "text"}
NAMED = {"deploy": "d", "service": "", "version": "", "sha": "", "by": "ann"}
MARKED = {**NAMED, "at": "", "url": "", **SERVER}
OUTPUTS = {"format": "text", "json": None, "junit": None, "github": None}
GATE = {"gate": None, "deploy": None, **SERVER}
GATE_RUN = {
    **NAMED, **SERVER, **OUTPUTS, "environment": None, "policy": None, "routes": None, "probes": None, "min_routes": None,
    "deadline": None, "control": None, "trust_target": False, "advisory_until": None, "advisory": None, "no_notify": False,
    "timeout": None, "on_inconclusive": "block", "no_wait": False, "local": False, "config": None, "state_dir": None,
}  # fmt: skip
READ: dict[str, dict[str, Any]] = {
    "incident list": {"state": "open", **SERVER},
    "incident list --state all --format json": {"state": "all", **SERVER, "format": "json"},
    "incident show INC-1": {"incident": "INC-1", **SERVER},
    "incident ack INC-1 --by ann": {"incident": "INC-1", "by": "ann", "text": "", **SERVER},
    "incident silence INC-1 --for 2h --reason r --by ann": {"incident": "INC-1", "length": "2h", "reason": "r", "by": "ann", **SERVER},
    "incident resolve INC-1 --reason r --by ann": {"incident": "INC-1", "reason": "r", "by": "ann", **SERVER},
    "incident note INC-1 text --by ann": {"incident": "INC-1", "text": "text", "by": "ann", **SERVER},
    "deploy start --deploy d --by ann": MARKED,
    "deploy finish --deploy d --by ann --version v --sha s --service x": {**MARKED, "version": "v", "sha": "s", "service": "x"},
    "deploy rollback --deploy d --by ann --server http://h --token-file f": {**MARKED, "server": "http://h", "token_file": "f"},
    "deploy start --deploy d --by ann --at 2030-01-01 --url u": {**MARKED, "at": "2030-01-01", "url": "u"},
    "gate run --deploy d --by ann": GATE_RUN,
    "gate run --deploy d --by ann --environment e --service x --version v --sha s --policy p --routes a,b --probes 4 --min-routes 2"
    " --deadline 180s --control none --trust-target --advisory 2h --no-notify --timeout 10m --on-inconclusive hold --no-wait"
    " --format json --json j --junit x --github --server http://h --token-file f": {
        **GATE_RUN, "environment": "e", "service": "x", "version": "v", "sha": "s", "policy": "p", "routes": "a,b", "probes": 4,
        "min_routes": 2, "deadline": "180s", "control": "none", "trust_target": True, "advisory": "2h", "no_notify": True,
        "timeout": "10m", "on_inconclusive": "hold", "no_wait": True, "format": "json", "json": "j", "junit": "x", "github": True,
        "server": "http://h", "token_file": "f",
    },
    "gate run --deploy d --by ann --local -c c --state-dir s --advisory-until t --no-github": {
        **GATE_RUN, "local": True, "config": "c", "state_dir": "s", "advisory_until": "t", "github": False,
    },
    "gate status": GATE,
    "gate status gate-1 --format json": {**GATE, "gate": "gate-1", "format": "json"},
    "gate explain --deploy d": {**GATE, "deploy": "d"},
    "gate wait gate-1 --timeout 5m --junit x": {**GATE, **OUTPUTS, "gate": "gate-1", "timeout": "5m", "junit": "x"},
    "gate cancel gate-1 --by ann --reason r": {**GATE, "gate": "gate-1", "by": "ann", "reason": "r"},
    "gate override gate-1 --by ann --reason r --for 2h": {**GATE, "gate": "gate-1", "by": "ann", "reason": "r", "length": "2h"},
    "notify test": {"config": None, "channel": None, "format": "text"},
    "notify test -c f --channel a --channel b --format json": {"config": "f", "channel": ["a", "b"], "format": "json"},
    "replay dir": {"journal": "dir", "config": None, "since": None, "format": "text"},
    "replay dir -c f --since 2d --format json": {"journal": "dir", "config": "f", "since": "2d", "format": "json"},
    "init": {
        "output": "mailcanary.yaml", "force": False, "yes": False, "environment": None, "relay": None, "relay_security": None,
        "relay_user": None, "author": None, "app_url": None, "mailbox": None, "imap": None, "imap_security": None, "ca_file": None,
        "secrets": "secrets", "no_probe": False,
    },
    "init --output o --force --yes --environment e --relay h:25 --relay-security starttls --relay-user u --author a@s.test"
    " --app-url http://h --mailbox a@b.test --mailbox c@d.test --imap i:993 --imap j --imap-security tls --imap-security plain"
    " --ca-file ca --secrets s --no-probe": {
        "output": "o", "force": True, "yes": True, "environment": "e", "relay": "h:25", "relay_security": "starttls",
        "relay_user": "u", "author": "a@s.test", "app_url": "http://h", "mailbox": ["a@b.test", "c@d.test"], "imap": ["i:993", "j"],
        "imap_security": ["tls", "plain"], "ca_file": "ca", "secrets": "s", "no_probe": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("words", READ)
def test_what_a_module_gets(words: str) -> None:
    read = vars(_parser().parse_args(words.split()))
    command, _, rest = words.partition(" ")
    assert (read.pop("command"), read.pop("module")) == (command, command)
    if command in ("incident", "deploy", "notify", "gate"):
        assert read.pop("action") == rest.split()[0]
    assert read == READ[words]


@pytest.mark.parametrize(("told", "server"), [("http://h:1", "http://h:1"), ("", "http://127.0.0.1:9464")])
def test_the_environment_may_name_the_server(monkeypatch: pytest.MonkeyPatch, told: str, server: str) -> None:
    monkeypatch.setenv("MAILCANARY_SERVER", told)
    for words in ("gate status", "deploy start --deploy d", "incident list", "healthz", "pause"):
        assert _parser().parse_args(words.split()).server == server
    assert _parser().parse_args(["healthz", "--server", "http://x"]).server == "http://x"


def places(parser: argparse.ArgumentParser, *words: str) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Every command, and every action below one, with the words that lead there."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                yield (*words, name), sub
                yield from places(sub, *words, name)


COMMANDS = dict(places(_parser()))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_its_module_and_its_help(mailcanary: Command, words: tuple[str, ...]) -> None:
    module = COMMANDS[words[:1]].get_default("module")
    assert callable(import_module(f"monitor.cli.{module}").call)
    shown = mailcanary(*words, "--help")
    assert shown.code == 0 and shown.out.startswith(f"usage: mailcanary {' '.join(words)}") and "exit codes: 0 pass, 1 fail" in shown.out
    assert all(action.help for action in COMMANDS[words]._actions if not isinstance(action, argparse._SubParsersAction))


UNREADABLE = [
    "incident", "deploy", "notify", "notify tell", "replay", "init --relay-security ssl", "init x",
    "gate", "gate run", "gate open", "gate run --deploy d --probes few", "gate run --deploy d --control some",
    "gate run --deploy d --local --server http://h", "gate run --deploy d --advisory 1h --advisory-until t",
    "gate run --deploy d --on-inconclusive pass", "gate cancel gate-1", "gate override gate-1 --reason r", "gate status --wait",
]  # fmt: skip


@pytest.mark.parametrize("words", UNREADABLE)
def test_a_call_that_cannot_be_read(mailcanary: Command, words: str) -> None:
    outcome = mailcanary(*words.split())
    assert outcome.code == 2 and "usage: mailcanary" in outcome.err and not outcome.out
