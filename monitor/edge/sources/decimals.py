"""Numbers that are no text at their source, as text. Pure."""

from __future__ import annotations


def written(number: str) -> str:
    """12.500 -> 12.50. Of a number the point is the decimal mark; in text three digits behind it may be a group of thousands."""
    return number[:-1] if number[-4:-3] == "." and number.endswith("0") else number
