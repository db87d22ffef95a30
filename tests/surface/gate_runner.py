"""What the runner of GitHub Actions makes of the output of a step: a small imitation of three files of actions/runner.

* src/Runner.Common/ActionCommand.cs at 079cdb1, TryParseV2 (`::name key=value,..::data` where a line begins with it, leading space
  aside) and TryParse (`##[name key=value;..]data`, anywhere in a line);
* src/Runner.Worker/ActionCommandManager.cs at 02523b9, TryProcessCommand (stop-commands, and the token that ends it);
* src/Runner.Worker/FileCommandManager.cs at 03182cf, SetEnvFileCommand (`name=value`, `name<<delimiter`), which outputs share.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

REGISTERED = {
    "stop-commands", "add-mask", "error", "warning", "notice", "debug", "group", "endgroup", "echo", "set-output", "save-state", "set-env",
    "add-path", "add-matcher", "remove-matcher",
}  # fmt: skip


@dataclass
class Command:
    name: str
    properties: dict[str, str]
    data: str


@dataclass
class Runner:
    """`commands` are those that it obeyed; `log` the lines that people see, with masked values hidden from then on."""

    commands: list[Command] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)
    _stopped_by: str = ""

    def read(self, output: str) -> Runner:
        for line in re.split(r"\r\n|\n|\r", output):
            self._line(line)
        return self

    def of(self, name: str) -> list[Command]:
        return [command for command in self.commands if command.name == name]

    def _line(self, line: str) -> None:
        known = REGISTERED | ({self._stopped_by.lower()} if self._stopped_by else set())
        command = _second(line, known) or _first(line, known)
        if command is None:
            self._say(line)
        elif self._stopped_by:
            if command.name.lower() == self._stopped_by.lower():
                self._stopped_by = ""
            self._say(line)
        elif command.name.lower() == "stop-commands":
            self._stopped_by = command.data
            self._say(line)
        else:
            self.commands.append(command)
            if command.name == "add-mask":
                self.masks.append(command.data)

    def _say(self, line: str) -> None:
        for mask in self.masks:
            line = line.replace(mask, "***")
        self.log.append(line)


def outputs(text: str) -> dict[str, str]:
    """Raises ValueError where the runner fails the step."""
    found: dict[str, str] = {}
    lines = iter(text.split("\n"))
    for line in lines:
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if equals >= 0 and (heredoc < 0 or equals < heredoc):
            name, value = line.split("=", 1)
        elif heredoc >= 0:
            name, delimiter = line.split("<<", 1)
            if not name or not delimiter:
                raise ValueError(f"Invalid format {line!r}")
            gathered = []
            for more in lines:
                if more == delimiter:
                    break
                gathered.append(more)
            else:
                raise ValueError(f"Matching delimiter not found {delimiter!r}")
            value = "\n".join(gathered)
        else:
            raise ValueError(f"Invalid format {line!r}")
        if not name:
            raise ValueError("empty name")
        found[name] = value
    return found


def _second(line: str, known: set[str]) -> Command | None:
    text = line.lstrip()
    end = text.find("::", 2)
    if not text.startswith("::") or end < 0:
        return None
    return _command(text[2:end], text[end + 2 :], known, ",", ("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%"))


def _first(line: str, known: set[str]) -> Command | None:
    start = line.find("##[")
    end = line.find("]", start)
    if start < 0 or end < 0:
        return None
    return _command(
        line[start + 3 : end], line[end + 1 :], known, ";", ("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%25", "%")
    )


def _command(info: str, data: str, known: set[str], between: str, *escapes: tuple[str, str]) -> Command | None:
    name, _, said = info.partition(" ")
    if name.lower() not in known:
        return None
    pairs = (each.split("=", 1) for each in said.strip().split(between) if "=" in each)
    plain_escapes = [escape for escape in escapes if escape[1] in "\r\n%"] if between == "," else escapes
    return Command(name, {key: _unescaped(value, escapes) for key, value in pairs}, _unescaped(data, plain_escapes))


def _unescaped(text: str, escapes: tuple[tuple[str, str], ...] | list[tuple[str, str]]) -> str:
    for escaped, char in escapes:
        text = text.replace(escaped, char)
    return text
