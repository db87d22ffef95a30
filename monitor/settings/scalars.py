"""The single values of the configuration: each says how it is read, what is wrong with a bad one, and its JSON Schema. No message
repeats a value: a secret may stand in the wrong place."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, NoReturn

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from monitor.model.duration import DURATIONS, NO_DURATION, duration
from monitor.model.secret import SecretRef, SecretSource
from monitor.settings.document import NOTHING
from monitor.settings.faults import KeyPath

NO_VALUE_MEND = "give it one, or remove the key to get the default"

_MAX_TEXT = 1024
_NAME = r"[a-z0-9][a-z0-9-]{0,31}"
_SIZE = re.compile(r"([1-9][0-9]{0,8})(KiB|MiB|GiB|TiB)")
_SIZES = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%")


def refuse(what: str, mend: str, below: KeyPath = ()) -> NoReturn:
    """Refuse the value, or what stands `below` it."""
    raise PydanticCustomError("setting", "{what}", {"what": what, "mend": mend, "below": below})


def closest(word: str, known: Iterable[str]) -> str | None:
    """What was probably meant."""
    near = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return near[0] if near else None


@dataclass(frozen=True)
class Scalar:
    """Annotates a field: pydantic calls `parse`, the published schema shows `schema`."""

    null: ClassVar[bool] = False  # may the file say nothing or null here?

    def parse(self, value: object) -> object:
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}

    def _checked(self, value: object) -> object:
        if value is NOTHING and not self.null:
            refuse("has no value", NO_VALUE_MEND)
        return self.parse(value)

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._checked)

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return self.schema()


def a_text(value: object, wanted: str, example: str) -> str:
    """The value as text; numbers and booleans are not taken for text."""
    if isinstance(value, (bool, int, float)):
        refuse(f"is a {'boolean' if isinstance(value, bool) else 'number'} where {wanted} is wanted", f"write {example}")
    if not isinstance(value, str):
        refuse(f"is a {'list' if isinstance(value, list) else 'mapping'} where {wanted} is wanted", f"write {example}")
    return str(value)


@dataclass(frozen=True)
class TextScalar(Scalar):
    """One line of text."""

    longest: int = _MAX_TEXT

    def parse(self, value: object) -> object:
        text = a_text(value, "text", 'it in quotes: "..."')
        if not text.strip():
            refuse("is empty", "write some text or remove the key")
        if len(text) > self.longest:
            refuse(f"is longer than {self.longest} characters", "shorten it")
        if not all(c.isprintable() for c in text):
            refuse("holds a line break or control character", "write one line of printable text")
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "maxLength": self.longest}


@dataclass(frozen=True)
class NameScalar(Scalar):
    """A name that becomes a metric label and a part of the token."""

    def parse(self, value: object) -> object:
        text = a_text(value, "a name", "a name of a-z, 0-9 and - (in quotes if it is a number)")
        if not re.fullmatch(_NAME, text):
            refuse("is no name", "use 1 to 32 of a-z, 0-9 and -, not beginning with -")
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{_NAME}$"}


@dataclass(frozen=True)
class RouteNameScalar(Scalar):
    """The name of a path or a mailbox, or path/mailbox."""

    def parse(self, value: object) -> object:
        text = a_text(value, "a name", "the name of a path or mailbox, or path/mailbox")
        if not re.fullmatch(f"{_NAME}(/{_NAME})?", text):
            refuse("names no route", "write the name of a path or mailbox, or path/mailbox")
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{_NAME}(/{_NAME})?$"}


@dataclass(frozen=True)
class Switch(Scalar):
    """true or false."""

    def parse(self, value: object) -> object:
        if not isinstance(value, bool):
            refuse("is neither true nor false", "write true or false (yes, no, on and off are plain text here)")
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Whole(Scalar):
    """A whole number within bounds."""

    low: int
    high: int

    def parse(self, value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int):
            refuse("is no whole number", f"write digits only, {self.low} to {self.high}, without quotes")
        if not self.low <= value <= self.high:
            refuse("is out of bounds", f"write a number from {self.low} to {self.high}")
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class Span(Scalar):
    """A length of time, within bounds."""

    low: str
    high: str

    def parse(self, value: object) -> object:
        if isinstance(value, int) and not isinstance(value, bool):
            refuse("is a length of time without a unit", f"write {value}s" if value > 0 else "write 90s")
        seconds = duration(value) if isinstance(value, str) else None
        low, high = duration(self.low), duration(self.high)
        if seconds is None or low is None or high is None:
            refuse(NO_DURATION, DURATIONS)
        if not low <= seconds <= high:
            refuse("is out of bounds", f"write {self.low} to {self.high}")
        return seconds

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"}


@dataclass(frozen=True)
class Size(Scalar):
    """A number of bytes."""

    def parse(self, value: object) -> object:
        found = _SIZE.fullmatch(value) if isinstance(value, str) else None
        if not found:
            refuse("is no size", "write 512MiB or 2GiB")
        return int(found[1]) * _SIZES[found[2]]

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^[1-9][0-9]*(KiB|MiB|GiB|TiB)$"}


@dataclass(frozen=True)
class Percent(Scalar):
    """A share, as a fraction of 1 inside."""

    most: int
    least: float = 0.0

    def parse(self, value: object) -> object:
        found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
        if not found:
            refuse("is no percentage", "write 10%")
        if not self.least <= float(found[1]) <= self.most:
            refuse("is out of bounds", f"write {self.least:g}% to {self.most}%")
        return float(found[1]) / 100

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?%$"}


@dataclass(frozen=True)
class Choice(Scalar):
    """One of a closed set."""

    of: type[StrEnum]
    only: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        return self.only or tuple(member.value for member in self.of)

    def parse(self, value: object) -> object:
        if isinstance(value, str) and value in self.words:
            return self.of(value)
        near = closest(value, self.words) if isinstance(value, str) else None
        listed = ", ".join(self.words)
        refuse("is not one of the known words", f"did you mean {near}? (known: {listed})" if near else f"write one of {listed}")

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.words)}


@dataclass(frozen=True)
class Secret(Scalar):
    """`{env: NAME}` or `{file: PATH}`, for an access token also `{command: PROGRAM ARGUMENTS}`; never the secret itself."""

    command: bool = False

    def parse(self, value: object) -> object:
        if isinstance(value, SecretRef):
            return value
        if not isinstance(value, dict):
            refuse("is written out here", "move the secret out of this file and write {env: NAME} or {file: PATH}")
        if set(value) == {"command"} and not self.command:
            refuse("is printed by a program, which only the password beside login: xoauth2 may be", "write {env: NAME} or {file: PATH}")
        if len(value) != 1 or not set(value) <= {"env", "file", "command"}:
            refuse("is no reference to a secret", "write {env: NAME} or {file: PATH}")
        ((source, name),) = value.items()
        if source == "command":
            return SecretRef(SecretSource.COMMAND, _command_line(name))
        if source == "env" and not (isinstance(name, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", name)):
            refuse("names no environment variable", "write {env: NAME}; letters, digits and _")
        if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > _MAX_TEXT:
            refuse("names no file", "write {file: /run/secrets/name}")
        return SecretRef(SecretSource(source), str(name))

    def schema(self) -> dict[str, Any]:
        def one(key: str, pattern: str) -> dict[str, Any]:
            member = {"type": "string", "pattern": pattern}
            return {"type": "object", "properties": {key: member}, "required": [key], "additionalProperties": False}

        kinds = [one("env", "^[A-Za-z_][A-Za-z0-9_]*$"), one("file", ".")]
        return {"oneOf": [*kinds, one("command", ".")] if self.command else kinds}


@dataclass(frozen=True)
class SecretFile(Scalar):
    """`{file: PATH}`, for what has more than one line."""

    def parse(self, value: object) -> object:
        ref = Secret().parse(value)
        if isinstance(ref, SecretRef) and ref.source is not SecretSource.FILE:
            refuse("is in no file", "write {file: PATH}; it has more than one line")
        return ref

    def schema(self) -> dict[str, Any]:
        kind: dict[str, Any] = Secret().schema()["oneOf"][1]
        return kind


def _command_line(value: object) -> str:
    """A program and its arguments in one line of text, read like a shell reads words, and nothing more of a shell."""
    try:
        words = shlex.split(value) if isinstance(value, str) and value.isprintable() and len(value) <= _MAX_TEXT else []
    except ValueError:  # a quote without its partner
        words = []
    if not words or not words[0]:
        refuse("names no program", 'write {command: "program argument argument"} in one line')
    return str(value)


Text = Annotated[str, TextScalar()]
Name = Annotated[str, NameScalar()]
Flag = Annotated[bool, Switch()]
Port = Annotated[int, Whole(1, 65535)]
Budget = Annotated[int, Whole(1, 1_000_000)]
Hidden = Annotated[SecretRef, Secret()]
Password = Annotated[SecretRef, Secret(command=True)]
KeyFile = Annotated[SecretRef, SecretFile()]
