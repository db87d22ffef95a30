"""Modified UTF-7, the encoding of mailbox names on the IMAP wire (RFC 3501 section 5.1.3)."""

import base64
import binascii


def encode(name: str) -> str:
    """Turn a Unicode mailbox name into its ASCII wire form."""
    out: list[str] = []
    run: list[str] = []

    def flush() -> None:
        if run:
            packed = base64.b64encode("".join(run).encode("utf-16-be")).decode("ascii").rstrip("=")
            out.append("&" + packed.replace("/", ",") + "-")
            run.clear()

    for char in name:
        if " " <= char <= "~":
            flush()
            out.append("&-" if char == "&" else char)
        else:
            run.append(char)
    flush()
    return "".join(out)


def decode(wire: str) -> str:
    """Turn the wire form into Unicode; raises ValueError for a name that no conforming client sends."""
    out: list[str] = []
    rest = wire
    while rest:
        plain, shift, rest = rest.partition("&")
        out.append(plain)
        if not shift:
            break
        packed, end, rest = rest.partition("-")
        if not end:
            raise ValueError("unterminated shift in a modified UTF-7 name")
        if not packed:
            out.append("&")
            continue
        try:
            raw = base64.b64decode(packed.replace(",", "/") + "=" * (-len(packed) % 4), validate=True)
            out.append(raw.decode("utf-16-be"))
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError("broken modified UTF-7 name") from error
    return "".join(out)
