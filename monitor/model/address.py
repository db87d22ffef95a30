"""Mail addresses, parsed once at the edge (RFC 5321 section 4.1.2, without quoted local parts and address literals)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\Z")

MAX_LOCAL = 64
MAX_DOMAIN = 253


class AddressError(ValueError):
    """The text is no mail address; the message says which part and why."""


@dataclass(frozen=True, slots=True, order=True)
class Domain:
    """A domain name in lower case, A-labels only, without the trailing dot."""

    name: str

    @classmethod
    def parse(cls, text: str) -> Domain:
        name = text.rstrip(".").lower()
        if not name or len(name) > MAX_DOMAIN:
            raise AddressError(f"domain {text!r} is empty or longer than {MAX_DOMAIN} characters")
        for label in name.split("."):
            if not _LABEL.match(label):
                raise AddressError(f"domain {text!r} has the bad label {label!r} (letters, digits, inner hyphens)")
        return cls(name)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """A mail address. The local part keeps its case (RFC 5321 section 2.4); comparison with a seed ignores it."""

    local: str
    domain: Domain

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse `local@domain`; raises AddressError. Anything that could break an SMTP or IMAP line is refused."""
        local, at, domain = text.strip().rpartition("@")
        if not at:
            raise AddressError(f"{text!r} has no @")
        if len(local) > MAX_LOCAL or not _LOCAL.match(local):
            raise AddressError(f"{text!r} has a bad local part (a dot-atom of at most {MAX_LOCAL} characters)")
        return cls(local, Domain.parse(domain))

    def tagged(self, tag: str) -> Address:
        """The same mailbox with a plus-tag (RFC 5233): `seed+tag@domain`. Raises AddressError when it grows too long."""
        return Address.parse(f"{self.local}+{tag}@{self.domain}")

    @property
    def base(self) -> Address:
        """The address without its plus-tag, in lower case: the key by which seeds are compared."""
        return Address(self.local.partition("+")[0].lower(), self.domain)

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


class NotASeed(Exception):
    """The recipient guard stopped a submission. Never transient: mend the configuration, not the guard."""


@dataclass(frozen=True, slots=True)
class SeedList:
    """The only recipients that the daemon may ever submit to (design 2: never mail a customer)."""

    addresses: frozenset[Address]

    @classmethod
    def of(cls, addresses: list[Address]) -> SeedList:
        return cls(frozenset(address.base for address in addresses))

    def admit(self, recipient: Address) -> Address:
        """Return the recipient if its base address is a seed; raise NotASeed otherwise."""
        if recipient.base not in self.addresses:
            raise NotASeed(f"{recipient.domain}: the envelope recipient is no configured seed mailbox; nothing was sent")
        return recipient
