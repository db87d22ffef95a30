"""DKIM (RFC 6376, 8301, 8463): verification of what a delivered message bears, against the key records that there are."""

from __future__ import annotations

from monitor.rules.mailauth.dkim import canonical
from monitor.rules.mailauth.dkim.key import Key, read_key
from monitor.rules.mailauth.dkim.signature import Content, Kind, parse_signatures, read_signature
from monitor.rules.mailauth.dkim.verify import judged, key_name, made_with, restriction, verify

__all__ = [
    "Content",
    "Key",
    "Kind",
    "canonical",
    "judged",
    "key_name",
    "made_with",
    "parse_signatures",
    "read_key",
    "read_signature",
    "restriction",
    "verify",
]
