"""Teams and the hundred other places that apprise knows (optional extra `apprise`): ports.Channel."""

from __future__ import annotations


def is_installed() -> bool:
    """The optional extra is there."""
    try:
        import apprise  # noqa: PLC0415 - an optional extra, and slow to load
    except ModuleNotFoundError:
        return False
    return bool(apprise.__version__)
