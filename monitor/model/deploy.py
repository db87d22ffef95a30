"""Where deploys are heard of and shown, beside the command and the API."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.model.instant import Instant
from monitor.model.secret import SecretRef


@dataclass(frozen=True, slots=True)
class DeployHook:
    """How a webhook of a deploy tool is read: JSON pointers (RFC 6901) into its body; an empty one is not asked for."""

    name: str
    deploy: str
    phase: str
    starts: tuple[str, ...]  # values of `phase`, in any case, that mean so
    finishes: tuple[str, ...]
    rolls_back: tuple[str, ...]
    service: str = ""
    version: str = ""
    sha: str = ""
    by: str = ""
    at: str = ""  # seconds or milliseconds since the epoch, or ISO 8601
    url: str = ""


@dataclass(frozen=True, slots=True)
class GrafanaPolicy:
    """Where deploys are drawn as annotations, as best effort."""

    url: str
    token: SecretRef
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class Annotation:
    """What is drawn: a moment, or with `ended` a span. `text` may hold what people wrote; it is made fit for HTML."""

    at: Instant
    tags: tuple[str, ...]
    text: str
    ended: Instant | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """`number` is what the picture goes by there."""

    number: int
