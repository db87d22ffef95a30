"""What people and pipelines may say, and how much of it."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from monitor.model.incident import DeployPhase

MAX_NAME = 100
MAX_TEXT = 500
MAX_SILENCE = 86_400.0  # seconds
_LENGTH = re.compile(r"(?:([0-9]{1,2})h)?(?:([0-9]{1,4})m)?(?:([0-9]{1,5})s)?")


def _words(text: object) -> object:
    """Line breaks and tabs of a pasted text become spaces."""
    return " ".join(text.split()) if isinstance(text, str) else text


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise PydanticCustomError("line", "has control characters; send plain text")
    return text


def _silence(text: object) -> float:
    found = _LENGTH.fullmatch(text) if isinstance(text, str) else None
    seconds = sum(int(count) * unit for count, unit in zip(found.groups(default="0"), (3600, 60, 1), strict=True)) if found else 0
    if not 0 < seconds <= MAX_SILENCE:
        raise PydanticCustomError("length", "write how long, like 45m or 2h; at most 24h")
    return float(seconds)


Line = Annotated[str, BeforeValidator(_words), AfterValidator(_one_line)]
Name = Annotated[Line, Field(min_length=1, max_length=MAX_NAME)]
Text = Annotated[Line, Field(min_length=1, max_length=MAX_TEXT)]
Remark = Annotated[Line, Field(max_length=MAX_TEXT)]  # may be left out
Label = Annotated[Line, Field(max_length=MAX_NAME)]  # may be left out


class Body(BaseModel):
    """A key that is not known is refused: it was meant to do something."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


class PauseRequest(Body):
    by: Name
    reason: Remark = ""


class ResumeRequest(Body):
    by: Name


class AckRequest(Body):
    by: Name
    text: Remark = ""


class SilenceRequest(Body):
    by: Name
    reason: Text
    seconds: Annotated[float, BeforeValidator(_silence)] = Field(alias="for")


class ResolveRequest(Body):
    by: Name
    reason: Text


class NoteRequest(Body):
    by: Name
    text: Text


class DeployRequest(Body):
    deploy: Name
    phase: DeployPhase
    service: Label = ""
    version: Label = ""
    sha: Label = ""
    by: Label = ""
