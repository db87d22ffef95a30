"""Tag lists (RFC 6376 section 3.2), and the kinds of values that stand in them."""

from __future__ import annotations

import binascii
import re

MAX_LIST = 64 * 1024  # characters of one list
MAX_ITEMS = 1000  # of one colon-separated value
MOST = 2**53 - 1  # that a number is read as

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_VALUE = re.compile(r"[\t\r\n !-:<-~]*\Z")
_WHITE = str.maketrans("", "", " \t\r\n")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?\Z")
_NUMBER = re.compile(r"[0-9]{1,76}\Z")


class TagFault(ValueError):
    """The text breaks the grammar; the message says where, in plain words."""


def tags(text: str) -> tuple[dict[str, str], str]:
    """(the tags in order, values without surrounding whitespace; the first thing that is no tag list, in plain words, a tag twice
    included). What can be read is read in any case: the first of two."""
    if len(text) > MAX_LIST:
        return {}, f"longer than {MAX_LIST} characters"
    found: dict[str, str] = {}
    fault = ""
    specs = text.split(";")
    if not specs[-1].strip(" \t\r\n"):
        specs.pop()
    for spec in specs:
        name, equals, value = spec.partition("=")
        name, value = name.strip(" \t\r\n"), value.strip(" \t\r\n")
        if not equals or not _NAME.match(name):
            fault = fault or ("there is something that is no tag=value" if spec.strip() else "there is nothing between two semicolons")
        elif not _VALUE.match(value):
            fault = fault or f"{name[:40]}= has characters that no tag value may have"
        elif name in found:
            fault = fault or f"{name[:40]}= stands twice"
        else:
            found[name] = value
    return found, fault


def items(value: str) -> tuple[str, ...]:
    """The parts of a colon-separated value, without whitespace."""
    return tuple(part.strip(" \t\r\n") for part in value.split(":", MAX_ITEMS)[:MAX_ITEMS])


def unwhite(value: str) -> str:
    """Without any folding whitespace."""
    return value.translate(_WHITE)


def decoded(name: str, value: str) -> bytes:
    """Base64 with folding whitespace anywhere (section 2.10). Raises TagFault."""
    try:
        return binascii.a2b_base64(unwhite(value).encode("ascii"), strict_mode=True)
    except ValueError:
        raise TagFault(f"{name}= is no base64") from None


def number(name: str, value: str) -> int:
    """At most MOST, whatever stands there (section 3.5 allows 76 digits). Raises TagFault."""
    if not _NUMBER.match(value):
        raise TagFault(f"{name}= is no number")
    return min(int(value), MOST)


def host(name: str, value: str) -> str:
    """A domain name or selector in lower case, without whitespace. Raises TagFault."""
    value = unwhite(value).lower().removesuffix(".")
    if not value or len(value) > 253 or not all(len(label) <= 63 and _LABEL.match(label) for label in value.split(".")):
        raise TagFault(f"{name}= is no domain name" if name != "s" else "s= is no selector")
    return value


def unquoted(value: str) -> str:
    """DKIM quoted-printable (section 2.11), whitespace dropped, one character per octet. What is no =XX stays as it is."""
    return re.sub(r"=([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), unwhite(value))
