"""DKIM (RFC 6376, 8301, 8463): verification of what a delivered message bears, against the key records that there are."""

from __future__ import annotations

from monitor.model.mailauth import Signature, SignatureProof
from monitor.rules.lookup import Lookup

__all__ = ["verify"]


def verify(signature: Signature, lookup: Lookup, now: float) -> SignatureProof:
    """What became of one signature. While the lookup is not complete the result is provisional (temperror)."""
    raise NotImplementedError
