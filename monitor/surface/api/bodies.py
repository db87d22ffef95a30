"""What people and pipelines may say, and how much of it."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from monitor.model.incident import DeployPhase
from monitor.surface.api.limits import MOST_PUSHED

MAX_NAME = 100
MAX_TEXT = 500
MAX_DEPLOY = 400  # Flagger's namespace/name/checksum has up to 382
MAX_ADDRESS = 320  # RFC 3696 (erratum 1690): 64 and 255 and the @ between them
MAX_SILENCE = 86_400.0  # seconds
MOST_NAMED = 20  # scopes, or symptoms, of one silence
MILLISECONDS = 1e11  # a number from here on is no seconds: it would be beyond the year 5000
LATEST = 1e14
MOST_LINES = 2**53  # what every reader of JSON takes for a whole number
YEARS = range(1971, 5000)
WRITE_TIME = "write a time with its offset, like 2030-01-31T12:00:00Z, or seconds or milliseconds since 1970"
WRITE_DATE = "write a date like 2030-01-31 (it begins at 00:00Z), or a time with its offset, like 2030-01-31T12:00:00Z"
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LENGTH = re.compile(r"(?:([0-9]{1,2})h)?(?:([0-9]{1,4})m)?(?:([0-9]{1,5})s)?")
_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,9})?")


def _words(text: object) -> object:
    """Line breaks and tabs of a pasted text become spaces."""
    return " ".join(text.split()) if isinstance(text, str) else text


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise PydanticCustomError("line", "has control characters; send plain text")
    return text


def seconds_in(text: str) -> float:
    """Of 45m, 2h or 1h30m; 0.0 where it is no length of time."""
    found = _LENGTH.fullmatch(text)
    return float(sum(int(count) * unit for count, unit in zip(found.groups(default="0"), (3600, 60, 1), strict=True))) if found else 0.0


def _silence(text: object) -> float:
    seconds = seconds_in(text) if isinstance(text, str) else 0.0
    if not 0 < seconds <= MAX_SILENCE:
        raise PydanticCustomError("length", "write how long, like 45m or 2h; at most 24h")
    return seconds


def _moment(value: object) -> float:
    try:
        return epoch(value)
    except ValueError as error:
        raise PydanticCustomError("moment", "{why}", {"why": str(error)}) from None


def epoch(value: object) -> float:
    """Seconds since the epoch, of a time as pipelines write it. Raises ValueError."""
    if isinstance(value, str):
        text = value.strip()
        if not _NUMBER.fullmatch(text):
            return _iso(text)
        value = float(text)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LATEST:
        raise ValueError(WRITE_TIME)
    return value / 1000 if value >= MILLISECONDS else float(value)


def _iso(text: str) -> float:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(WRITE_TIME) from None
    if when.tzinfo is None or when.year not in YEARS:
        raise ValueError(WRITE_TIME)
    return when.timestamp()


def _moment_or_date(value: object) -> float:
    try:
        return epoch_or_date(value)
    except ValueError as error:
        raise PydanticCustomError("moment", "{why}", {"why": str(error)}) from None


def epoch_or_date(value: object) -> float:
    """The same; a bare date is its beginning in UTC. Raises ValueError."""
    if isinstance(value, str) and _DATE.fullmatch(text := value.strip()):
        try:
            return _iso(f"{date.fromisoformat(text)}T00:00:00Z")
        except ValueError:
            raise ValueError(WRITE_DATE) from None
    try:
        return epoch(value)
    except ValueError:
        raise ValueError(WRITE_DATE) from None


def _web_address(text: str) -> str:
    if text and not text.startswith(("https://", "http://")):
        raise PydanticCustomError("link", "write an address that begins with https:// or http://")
    return text


# What bounds a text stands next to `str`: behind a validator its error would speak of items.
_Words, _OneLine = BeforeValidator(_words), AfterValidator(_one_line)
Line = Annotated[str, _OneLine, _Words]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME), _OneLine, _Words]
Deploy = Annotated[str, Field(min_length=1, max_length=MAX_DEPLOY), _OneLine, _Words]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT), _OneLine, _Words]
Remark = Annotated[str, Field(max_length=MAX_TEXT), _OneLine, _Words]  # may be left out
Label = Annotated[str, Field(max_length=MAX_NAME), _OneLine, _Words]  # may be left out
Moment = Annotated[float, BeforeValidator(_moment)]
Since = Annotated[float, BeforeValidator(_moment_or_date)]
Link = Annotated[str, Field(max_length=MAX_TEXT), _OneLine, AfterValidator(_web_address), _Words]  # may be left out
Length = Annotated[float, BeforeValidator(_silence)]
LineNumber = Annotated[int, Field(strict=True, ge=1, le=MOST_LINES)]


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
    seconds: Length = Field(alias="for")


class UnsilenceRequest(Body):
    by: Name
    reason: Remark = ""


class PlanSilenceRequest(Body):
    """`scopes` like path:app; everything is `all`. One of `scopes` and `symptoms` is named. Without `begins` it begins at once."""

    by: Name
    reason: Text
    seconds: Length = Field(alias="for")
    begins: Moment | None = None
    scopes: Annotated[list[Name], Field(max_length=MOST_NAMED)] = []
    symptoms: Annotated[list[Name], Field(max_length=MOST_NAMED)] = []


class EndSilenceRequest(Body):
    by: Name
    reason: Remark = ""


class ResolveRequest(Body):
    by: Name
    reason: Text


class NoteRequest(Body):
    by: Name
    text: Text


class InspectRequest(Body):
    by: Name


class BaselineRequest(Body):
    by: Name
    digest: Annotated[Line, Field(pattern="^[0-9a-f]{32}$")]
    note: Remark = ""


class Marked(Body):
    """What a marker may say beside the deploy and its phase."""

    service: Label = ""
    version: Label = ""
    sha: Label = ""
    by: Label = ""
    at: Moment | None = None
    url: Link = ""


class Pushed(Body):
    """What stands beside the rows of a push. `complete_until`: all that there was at that time has been pushed. `origin`: where the rows
    stand, a file for example, and `lines`: on which line each of them stands there."""

    complete_until: Moment | None = None
    source: Label = ""
    origin: Remark = ""
    lines: Annotated[list[LineNumber], Field(max_length=MOST_PUSHED)] | None = None


class ReconcileRequest(Body):
    """Says nothing."""


class PurgeRequest(Body):
    """All that is older, or all of one recipient, whose address is hashed and forgotten."""

    by: Name
    before: Since | None = None
    recipient: Annotated[str, Field(min_length=3, max_length=MAX_ADDRESS)] | None = None


class DeployRequest(Marked):
    deploy: Deploy
    phase: DeployPhase
    source: Literal["api", "cli"] = "api"


class PhaseRequest(Marked):
    phase: DeployPhase
