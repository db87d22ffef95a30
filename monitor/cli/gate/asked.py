"""What `gate run` asks, read and checked once, for a daemon and for --local alike."""

from __future__ import annotations

import argparse
import dataclasses
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from monitor.cli import UsageError
from monitor.model.gate import Control, GatePolicy
from monitor.settings import SettingsError, load_gate_policy, parse_duration
from monitor.surface.gate.safe import LONGEST_DEPLOY, LONGEST_NAME

FILES = (".yaml", ".yml", ".json")
LONGEST_ADVISORY = 86_400.0  # seconds

Body = dict[str, object]


@dataclass(frozen=True, slots=True)
class Question:
    """None: the policy says it. Lengths in seconds. `policy`: a name of whoever runs the gate, or one written out in a file."""

    deploy: str
    by: str
    service: str
    version: str
    sha: str
    policy: str | GatePolicy | None
    routes: tuple[str, ...] | None
    probes: int | None
    min_routes: int | None
    deadline: float | None
    control: Control | None
    trust_target: bool | None
    notify: bool
    advisory_for: float  # 0: the verdict blocks

    def body(self) -> Body:
        """Of POST /v1/gates: only what was said."""
        said: Body = {"deploy": self.deploy, "by": self.by, "policy": self.policy}
        if isinstance(self.policy, GatePolicy):
            said["policy"] = dataclasses.asdict(self.policy)
        said |= {name: getattr(self, name) for name in ("routes", "probes", "min_routes", "deadline", "control", "trust_target")}
        said |= {name: getattr(self, name) or None for name in ("service", "version", "sha")}
        said["notify"] = None if self.notify else False
        said["advisory_for"] = f"{math.ceil(self.advisory_for)}s" if self.advisory_for else None
        return {name: value for name, value in said.items() if value is not None}


def question(arguments: argparse.Namespace, now: float) -> Question:
    """`now`: seconds since the epoch. Raises UsageError."""
    routes = None
    if arguments.routes is not None:
        routes = tuple(name.strip() for name in arguments.routes.split(",") if name.strip())
        if not routes:
            _wrong("--routes", arguments.routes, "names no route; leave it out for all")
    for flag, count in (("--probes", arguments.probes), ("--min-routes", arguments.min_routes)):
        if count is not None and count < 1:
            _wrong(flag, count, "no evidence never passes; write at least 1")
    for name in ("deploy", "by", "service", "version", "sha"):
        _name(f"--{name}", getattr(arguments, name), LONGEST_DEPLOY if name == "deploy" else LONGEST_NAME)
    return Question(
        deploy=named(arguments.deploy) or _wrong("--deploy", "''", "give your pipeline's name for the deploy"),
        by=arguments.by,
        service=arguments.service,
        version=arguments.version,
        sha=arguments.sha,
        policy=_policy(arguments.policy) if arguments.policy is not None else None,
        routes=routes,
        probes=arguments.probes,
        min_routes=arguments.min_routes,
        deadline=seconds("--deadline", arguments.deadline) if arguments.deadline is not None else None,
        control=Control(arguments.control) if arguments.control is not None else None,
        trust_target=True if arguments.trust_target else None,
        notify=not arguments.no_notify,
        advisory_for=_advisory(arguments, now),
    )


def named(deploy: str) -> str:
    """As the daemon keeps it: spaces are one, and none stands at an end."""
    return " ".join(deploy.split())


def seconds(flag: str, text: str) -> float:
    """A length of time that was given, more than none. Raises UsageError."""
    try:
        length = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{flag} {text}: {error}") from None
    return length if length > 0 else _wrong(flag, text, "that is no time at all; write 90s")


def _advisory(arguments: argparse.Namespace, now: float) -> float:
    """Seconds from now for which the verdict blocks nothing; 0: it blocks."""
    if arguments.advisory is not None:
        flag, text, length = "--advisory", arguments.advisory, seconds("--advisory", arguments.advisory)
    elif arguments.advisory_until is not None:
        flag, text = "--advisory-until", arguments.advisory_until
        try:
            until = datetime.fromisoformat(text)
        except ValueError:
            _wrong(flag, text, "write a time like 2030-01-31T18:00:00Z")
        length = (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - now
        if length <= 0:
            _wrong(flag, text, "that is over already; leave it out, or write a later time")
    else:
        return 0.0
    return length if length <= LONGEST_ADVISORY else _wrong(flag, text, "at most 24h")


def _policy(said: str) -> str | GatePolicy:
    """A name goes as it is, for whoever runs the gate knows the names; a file goes whole."""
    if "/" not in said and not said.endswith(FILES):
        return said
    try:
        return load_gate_policy(Path(said))
    except SettingsError as error:
        raise UsageError(str(error)) from None


def _name(flag: str, text: str, most: int) -> None:
    if len(text) > most or not text.isprintable():
        _wrong(flag, f"{text[:20]!r}...", f"write one line of plain text, at most {most} characters")


def _wrong(flag: str, said: object, why: str) -> NoReturn:
    raise UsageError(f"{flag} {said}: {why}")
