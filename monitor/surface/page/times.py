"""Instants of the documents as people read them: how long ago, and what the clock (UTC) showed."""

from __future__ import annotations

from datetime import datetime

from monitor.rules.words import lapse

DAY = 86_400.0  # seconds


def epoch(iso: str) -> float:
    """Seconds since the epoch of an instant as the documents write it (RFC 3339)."""
    return datetime.fromisoformat(iso).timestamp()


def ago(iso: str, at: str) -> str:
    """As of `at`, the time of the document; what is to come, and clocks that disagree, are now."""
    return f"{span(epoch(at) - epoch(iso))} ago"


def span(seconds: float) -> str:
    """A length in its largest unit or two. The script of the page words ages alike."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 172_800:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} days"


def clock(iso: str, at: str) -> str:
    """14:02:10, with its day where that is another one than the document's."""
    return iso[11:19] if iso[:10] == at[:10] else f"{iso[:10]} {iso[11:16]}"


def until(iso: str, at: str) -> str:
    left = epoch(iso) - epoch(at)
    return f"in {span(left)}" if left > 0 else "now"


def transit(seconds: float | None) -> str:
    return "" if seconds is None else lapse(seconds)
