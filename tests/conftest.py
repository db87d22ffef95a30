"""What holds for every suite."""

from __future__ import annotations

import gc

import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is imported by now stays. Otherwise each full collection looks at it anew, and stops a test with real servers for up to half a
    second on a busy machine."""
    gc.collect()
    gc.freeze()
