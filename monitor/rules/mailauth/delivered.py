"""A delivered message, raw -> what its proof needs of it."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.model.mailauth import DeliveredMail


def read_proof(raw: bytes, truncated: bool, trusted: Sequence[str]) -> DeliveredMail:
    """Reads the message exactly as its bytes stand. Never raises; bounded in time and memory. `trusted`: authserv-ids."""
    raise NotImplementedError
