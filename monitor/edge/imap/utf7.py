"""Modified UTF-7, the spelling of mailbox names on the wire (RFC 3501 section 5.1.3)."""

from __future__ import annotations

import binascii


class Utf7Error(ValueError):
    """The wire name is no modified UTF-7."""


def encode(name: str) -> str:
    """The wire spelling of a name. Raises Utf7Error for a name that has none (a lone surrogate)."""
    out: list[str] = []
    run: list[str] = []
    for char in name:
        if " " <= char <= "~":
            if run:
                out.append(_shifted("".join(run)))
                run.clear()
            out.append("&-" if char == "&" else char)
        else:
            run.append(char)
    if run:
        out.append(_shifted("".join(run)))
    return "".join(out)


def decode(wire: str) -> str:
    """The name that a wire spelling means; raises Utf7Error. Superfluous shifts, which some servers send, are read all the same."""
    out: list[str] = []
    rest = wire
    while rest:
        plain, shift, rest = rest.partition("&")
        if not plain.isascii():
            raise Utf7Error("a character outside ASCII")
        out.append(plain)
        if not shift:
            break
        packed, end, rest = rest.partition("-")
        if not end:
            raise Utf7Error("a shift that does not end")
        out.append(_unshifted(packed) if packed else "&")
    return "".join(out)


def _shifted(run: str) -> str:
    try:
        raw = run.encode("utf-16-be")
    except UnicodeEncodeError as error:
        raise Utf7Error("a lone surrogate") from error
    return "&" + binascii.b2a_base64(raw, newline=False).decode("ascii").rstrip("=").replace("/", ",") + "-"


def _unshifted(packed: str) -> str:
    try:
        raw = binascii.a2b_base64((packed.replace(",", "/") + "=" * (-len(packed) % 4)).encode("ascii"), strict_mode=True)
        return raw.decode("utf-16-be")
    except ValueError as error:  # binascii.Error and both Unicode errors are ValueErrors
        raise Utf7Error("a broken shift") from error
