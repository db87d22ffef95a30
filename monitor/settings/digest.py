"""A short hash of a policy, so that a fact can say by which one it was made. No secret goes in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from monitor.model.policy import SigningKey, Templates


def digest(*values: object) -> str:
    """16 hex characters of the SHA-256 of the canonical JSON."""
    text = json.dumps([_plain(value) for value in values], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(value: object) -> Any:
    if isinstance(value, SigningKey):
        return value.number
    if isinstance(value, Templates):
        return [value.subject, value.text, value.html]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value) if field.repr}  # what is not shown is secret
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(member) for member in value]
    return value
