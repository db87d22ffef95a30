"""Macros of SPF expanded (RFC 7208 section 7)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote

from monitor.rules.mailauth.spf.record import Macro, Spec

LONGEST_NAME = 253
LONGEST_TEXT = 4_096  # characters of an explanation; our bound

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Client:
    """Who sends: what macros and mechanisms ask about, the same all through an evaluation. `now`: seconds since the epoch."""

    address: Address
    local: str
    sender_domain: str
    helo: str
    receiver: str
    now: float

    @property
    def bits(self) -> int:
        return self.address.max_prefixlen

    @property
    def reverse_name(self) -> str:
        return self.address.reverse_pointer


def expand_name(spec: Spec, domain: str, client: Client, validated: Callable[[], str]) -> str:
    """The name to ask for: at most 253 characters, cut from the left by whole labels; without the final dot. `validated` gives %{p}."""
    kept: list[str] = []
    length = 0
    for part in reversed(spec):  # only the end of it can remain: a hostile record may ask for megabytes
        text = part if isinstance(part, str) else _expanded(part, domain, client, validated)
        kept.append(text)
        length += len(text)
        if length > LONGEST_NAME + 2:
            break
    name = "".join(reversed(kept))
    name = name[-(LONGEST_NAME + 2) :].removesuffix(".")
    if len(name) > LONGEST_NAME:
        dot = name.find(".", len(name) - LONGEST_NAME - 1)
        name = name[dot + 1 :] if dot >= 0 else name
    return name


def expand_text(spec: Spec, domain: str, client: Client, validated: Callable[[], str]) -> str:
    """An explanation, bounded."""
    kept: list[str] = []
    length = 0
    for part in spec:
        text = part if isinstance(part, str) else _expanded(part, domain, client, validated)
        kept.append(text)
        length += len(text)
        if length > LONGEST_TEXT:
            break
    return "".join(kept)[:LONGEST_TEXT]


def _expanded(macro: Macro, domain: str, client: Client, validated: Callable[[], str]) -> str:
    value = _value(macro.letter, domain, client, validated)
    parts = _splitter(macro.delimiters).split(value)
    if macro.reverse:
        parts.reverse()
    if macro.keep:
        parts = parts[-macro.keep :]
    text = ".".join(parts)
    return quote(text, safe="", errors="replace") if macro.escape else text


@lru_cache(maxsize=128)
def _splitter(delimiters: str) -> re.Pattern[str]:
    return re.compile("[" + re.escape(delimiters) + "]")


def _value(letter: str, domain: str, client: Client, validated: Callable[[], str]) -> str:
    match letter:
        case "s":
            return f"{client.local}@{client.sender_domain}"
        case "l":
            return client.local
        case "o":
            return client.sender_domain
        case "d":
            return domain
        case "i":
            return dotted(client.address)
        case "p":
            return validated()
        case "v":
            return "in-addr" if client.bits == 32 else "ip6"
        case "h":
            return client.helo
        case "c":
            return str(client.address)
        case "r":
            return client.receiver
        case _:
            return str(int(client.now))  # t


def dotted(address: Address) -> str:
    """As %{i}: IPv4 as usual, IPv6 as nibbles."""
    return str(address) if address.max_prefixlen == 32 else ".".join(f"{int(address):032X}")
