"""Facts and views as JSON. The only importer of msgspec."""

from __future__ import annotations

import zlib
from typing import TypeVar

import msgspec

from monitor.model.facts import KIND_OF, KINDS, Fact

V = TypeVar("V")

_KEYS = ("probe", "mailbox", "incident", "gate")  # the first that a fact has groups it with its like
SCHEMA = 1  # the major version: raised only when an older image could misread a fact

_encoder = msgspec.json.Encoder()
_decoders = {kind: msgspec.json.Decoder(cls) for kind, cls in KINDS.items()}


def kind_of(fact: Fact) -> str:
    return KIND_OF[type(fact)]


def key_of(fact: Fact) -> str:
    """What groups a fact with its like: the probe, the mailbox, the incident, the gate, or nothing."""
    return next((str(getattr(fact, name)) for name in _KEYS if hasattr(fact, name)), "")


def encode(value: object) -> bytes:
    return _encoder.encode(value)


def decode_fact(kind: str, body: bytes) -> Fact | None:
    """The fact; None for a kind that this version does not know. Raises ValueError when the body is damaged."""
    decoder = _decoders.get(kind)
    if decoder is None:
        return None
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, ValueError, TypeError) as error:  # TypeError: the column holds no bytes
        raise ValueError(f"fact of kind {kind!r} is damaged: {error}") from None


def shape_of(view: type) -> int:
    """A number that changes with any field of the view or of a fact in it: an added field with a default would load an old snapshot
    with the field empty, although the facts would have filled it."""
    return zlib.crc32(encode(msgspec.json.schema(view)))


def decode_view(body: bytes, view: type[V]) -> V:
    """A snapshot of a view; raises ValueError when it is of another shape."""
    try:
        return msgspec.json.decode(body, type=view)
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        raise ValueError(f"snapshot unreadable: {error}") from None
