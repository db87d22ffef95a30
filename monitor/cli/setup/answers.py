"""What init was told, and how each answer is read: a bad one raises ValueError with the mend."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from monitor.model.address import Address
from monitor.model.policy import LoginMethod, Security

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/]+)(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Server:
    host: str
    port: int | None  # None: the usual one
    security: Security


@dataclass(frozen=True, slots=True)
class Relay:
    server: Server
    user: str  # empty: no AUTH
    password: str = field(repr=False)
    author: Address


@dataclass(frozen=True, slots=True)
class Shop:
    url: str
    authorization: str = field(repr=False)  # the whole header; empty: none


@dataclass(frozen=True, slots=True)
class Seed:
    """`servers` are tried in turn. With login XOAUTH2 `password` is the command line of a program that prints an access token."""

    name: str
    provider: str
    address: Address
    servers: tuple[Server, ...]
    login: LoginMethod
    password: str = field(repr=False)
    spam: str = ""  # the folder, where the server does not tell


@dataclass(frozen=True, slots=True)
class Answers:
    environment: str
    relay: Relay | None
    shop: Shop | None
    seeds: tuple[Seed, ...]
    ca_file: str = ""


def parse_command(text: str) -> str:
    """A command line whose program is found from anywhere."""
    try:
        program, *words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{error}; write it as in a shell: program 'argument with spaces'") from None
    return shlex.join([str(Path(program).absolute()) if "/" in program else program, *words])


def parse_server(text: str) -> tuple[str, int | None]:
    found = _SERVER.fullmatch(text.strip())
    port = int(found[2]) if found and found[2] else None
    if found is None or (port is not None and not 0 < port < 65_536):
        raise ValueError("is no server; write host or host:port")
    return found[1].strip("[]").lower(), port


def parse_server_or_none(text: str) -> tuple[str, int | None] | None:
    return parse_server(text) if text.strip() else None


def shown(server: Server) -> str:
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"{host}:{server.port}" if server.port else host


def usual_security(port: int | None) -> Security:
    return Security.STARTTLS if port == 143 else Security.TLS


def parse_security(text: str) -> Security:
    try:
        return Security(text.strip().lower())
    except ValueError:
        raise ValueError("is not one of tls, starttls, plain") from None


def parse_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("is no name; use 1 to 32 of a-z, 0-9 and -, not beginning with -")
    return text


def parse_url(text: str) -> str:
    try:
        parts = urlsplit(text.strip())
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError("is no URL; write https://host/path")
    return text.strip()
