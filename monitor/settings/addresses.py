"""Values that name a place on the network: mail addresses, hosts, URLs, and pointers into a reply."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic_core import PydanticCustomError

from monitor.model.address import Address, AddressError, Domain
from monitor.model.secret import SecretRef
from monitor.settings.scalars import Scalar, Secret, a_text, refuse

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_AT_HOME = (".local", ".localhost", ".internal", ".svc", ".lan", ".home.arpa")
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)+")


@dataclass(frozen=True)
class MailAddress(Scalar):
    """A mail address."""

    def parse(self, value: object) -> object:
        text = a_text(value, "a mail address", "local@domain")
        _, at, domain = text.strip().rpartition("@")
        if not at:
            refuse("is no mail address: it has no @", "write local@domain")
        try:
            Domain.parse(domain)
        except AddressError:
            refuse("is no mail address: the domain is bad", "write local@domain; the domain in ASCII (xn--...), without spaces")
        try:
            return Address.parse(text)
        except AddressError:
            refuse("is no mail address: the local part is bad", "write at most 64 letters, digits, dots and signs before the @")

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "email"}


@dataclass(frozen=True)
class HostScalar(Scalar):
    """A host name or IP address."""

    def parse(self, value: object) -> object:
        text = a_text(value, "a host name", "a name like mail.example.com (an address in quotes)")
        bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
        try:
            return str(ipaddress.ip_address(bare))
        except ValueError:
            pass
        if "://" in text:
            refuse("is a URL where a host name is wanted", "write the host name alone")
        if re.fullmatch(r"[^:]+:[0-9]+", text):
            refuse("holds a port", "write host and port as two keys")
        try:
            return Domain.parse(text).name
        except AddressError:
            refuse("is no host name", "write a name like mail.example.com, in ASCII (xn--...), or an IP address")

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "maxLength": 253}


@dataclass(frozen=True)
class DomainScalar(Scalar):
    """A domain name."""

    def parse(self, value: object) -> object:
        text = a_text(value, "a domain", "a name like example.com")
        try:
            domain = Domain.parse(text.strip())
        except AddressError:
            refuse("is no domain", "write a name like example.com, in ASCII (xn--...), without @")
        if "." not in domain.name:
            refuse("is a top-level domain", "write a name like example.com")
        return domain

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+\.?$", "maxLength": 254}


@dataclass(frozen=True)
class WebUrl(Scalar):
    """An http or https URL."""

    mend: str = "write `headers: {Authorization: {env: NAME}}`"  # where a name and password belong instead

    def parse(self, value: object) -> object:
        text = a_text(value, "a URL", "https://host/path")
        if not text.isascii() or any(not c.isprintable() or c == " " for c in text):
            refuse("is no URL", "write https://host/path in ASCII, without spaces")
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError:
            refuse("is no URL", "write https://host:port/path")
        if parts.scheme not in {"http", "https"} or not host or port == 0:
            refuse("is no URL", "write https://host/path or http://host/path")
        if parts.username is not None or parts.password is not None:
            refuse("holds a user name or password", self.mend)
        if parts.fragment:
            refuse("holds a # fragment", "remove it")
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^https?://[^#\\s]+$"}


@dataclass(frozen=True)
class HiddenUrl(Scalar):
    """A URL, or a reference to a secret that holds one, for services that know their callers by the path."""

    def parse(self, value: object) -> object:
        return Secret().parse(value) if isinstance(value, (dict, SecretRef)) else _KEPT_URL.parse(value)

    def schema(self) -> dict[str, Any]:
        return {"oneOf": [_KEPT_URL.schema(), *Secret().schema()["oneOf"]]}


@dataclass(frozen=True)
class Pointer(Scalar):
    """A JSON pointer (RFC 6901), or `header:NAME` where allowed."""

    header: bool = False

    def parse(self, value: object) -> object:
        text = a_text(value, "a JSON pointer", "/refund/id")
        if self.header and text.startswith("header:"):
            if not _HEADER.fullmatch(text.removeprefix("header:")):
                refuse("names no header", "write header:X-Release")
            return text
        if not _POINTER.fullmatch(text) or not text.isprintable():
            refuse("is no JSON pointer", "write /refund/id" + (" or header:X-Release" if self.header else ""))
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^(/|header:)" if self.header else "^/"}


_KEPT_URL = WebUrl("write url: {env: NAME} or {file: PATH}, a secret that holds the whole URL without name and password")

Mail = Annotated[Address, MailAddress()]
Host = Annotated[str, HostScalar()]
Url = Annotated[str, WebUrl()]
PublicUrl = Annotated[str, WebUrl("remove it")]
UrlOrSecret = Annotated[str | SecretRef, HiddenUrl()]
DomainName = Annotated[Domain, DomainScalar()]


def hidden_url(value: str) -> tuple[str, str] | None:
    """(what is wrong, the mend) of a URL that was kept as a secret; None when it is one. Repeats nothing of it."""
    try:
        _KEPT_URL.parse(value)
    except PydanticCustomError as error:
        context = error.context or {}
        return str(context["what"]), str(context["mend"])
    return None


def loopback(host: str | None) -> bool:
    """Does the name or address stay on this machine?"""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def unencrypted(url: str) -> bool:
    """Would a request be read by a network that is not the shop's own? http to a loopback or private address, to a name without a dot, or
    to one that no public DNS knows, stays at home."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme != "http" or loopback(host):
        return False
    try:
        return not ipaddress.ip_address(host).is_private
    except ValueError:
        return "." in host and not host.endswith(_AT_HOME)
