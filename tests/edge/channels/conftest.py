"""The library apprise, loaded once."""

from __future__ import annotations

import warnings

import apprise
import pytest


@pytest.fixture(scope="session")
def loaded() -> None:
    """Loading it takes longer than the short deadlines here, and warns of what is not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert apprise.Apprise.instantiate("json://localhost") is not None
