"""What all sections of the file share."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A mapping of the file: unknown keys are faults, defaults are read like written values, errors do not repeat the input."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True, arbitrary_types_allowed=True)


def required(description: str, example: str, least: int | None = None) -> Any:
    """A key that must be there; the example becomes the mend of its absence."""
    return Field(description=description, json_schema_extra={"x-example": example}, min_length=least)


def optional(description: str, default: Any = None, least: int | None = None) -> Any:
    """A key with a default, written as in the file; `least` members of a list."""
    return Field(default=default, description=description, min_length=least)
