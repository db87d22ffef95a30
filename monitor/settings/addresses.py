"""Values that name a place on the network: mail addresses, hosts, URLs, and pointers into a reply."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from monitor.model.address import Address, AddressError, Domain
from monitor.settings.scalars import Scalar, a_text, refuse

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
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
class WebUrl(Scalar):
    """An http or https URL."""

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
            refuse("holds a user name or password", "write `headers: {Authorization: {env: NAME}}`")
        if parts.fragment:
            refuse("holds a # fragment", "remove it")
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^https?://[^#\\s]+$"}


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


Mail = Annotated[Address, MailAddress()]
Host = Annotated[str, HostScalar()]
Url = Annotated[str, WebUrl()]
