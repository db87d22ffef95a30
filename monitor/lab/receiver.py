"""What the lab's providers find when a message comes in: SPF, DKIM and DMARC by the lab's zones, as simple as those zones are.

They read the zones and not the server: a dead resolver of ours is not theirs.
"""

import ipaddress
from dataclasses import dataclass
from email.utils import parseaddr

from monitor.lab.dns import DnsServer
from monitor.lab.signing import verify

RELAY_HOST = "relay.shop.test"
RELAY_ADDRESS = "127.0.0.1"
_QUALIFIERS = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_MAX_TERMS = 30


@dataclass(frozen=True, slots=True)
class Verdicts:
    """As RFC 8601 words them."""

    spf: str
    dkim: str
    dmarc: str
    signer: str = ""  # d= of the signature that counts
    selector: str = ""
    policy: str = "none"


@dataclass(frozen=True, slots=True)
class Receiver:
    """Any provider of the lab."""

    dns: DnsServer

    def verdicts(self, raw: bytes, mail_from: str, author: str) -> Verdicts:
        """Of a message that our relay hands over; `author`: the domain in From."""
        envelope = mail_from.rpartition("@")[2].lower() or RELAY_HOST
        spf = self._spf(envelope)
        checked = verify(raw, self._key)
        best = next((found for found in checked if found.result == "pass"), checked[0] if checked else None)
        dkim = best.result if best else "none"
        record, at = self._policy(author)
        if record is None:
            return Verdicts(spf, dkim, "temperror", *((best.domain, best.selector) if best else ("", "")))
        strict = {name: f"{name}=s" in record.replace(" ", "") for name in ("adkim", "aspf")}
        aligned = (spf == "pass" and _aligned(envelope, author, at, strict["aspf"])) or any(
            found.result == "pass" and _aligned(found.domain, author, at, strict["adkim"]) for found in checked
        )
        dmarc = "none" if not record else "pass" if aligned else "fail"
        policy = next((part.strip()[2:] for part in record.split(";") if part.strip().startswith("p=")), "none")
        return Verdicts(spf, dkim, dmarc, best.domain if best else "", best.selector if best else "", policy)

    def relay_name(self) -> str:
        """The name of the relay by reverse DNS, if it leads back to its address (RFC 8601 section 2.7.3)."""
        names = self.dns.look(ipaddress.ip_address(RELAY_ADDRESS).reverse_pointer, "PTR") or ()
        return next((name for name in names if RELAY_ADDRESS in (self.dns.look(name, "A") or ())), "unknown")

    def _key(self, name: str) -> str | None:
        found = self.dns.look(name, "TXT")
        return None if found is None else next(iter(found), "")

    def _policy(self, author: str) -> tuple[str | None, str]:
        """(the record, empty without one, None where nobody can tell; at which domain)."""
        labels = author.split(".")
        for at in range(max(1, len(labels) - 1)):
            domain = ".".join(labels[at:])
            found = self.dns.look(f"_dmarc.{domain}", "TXT")
            if found is None:
                return None, domain
            if records := [text for text in found if text.startswith("v=DMARC1")]:
                return records[0], domain
        return "", author

    def _spf(self, domain: str, depth: int = 0) -> str:
        """ip4, a, mx, include and all; the rest never matches."""
        found = self.dns.look(domain, "TXT")
        if found is None:
            return "temperror"
        records = [text for text in found if text.lower().split(" ", 1)[0] == "v=spf1"]
        if len(records) != 1 or depth > 10:
            return "permerror" if records else "none"
        for term in records[0].split()[1:_MAX_TERMS]:
            qualifier, name = (term[0], term[1:]) if term[0] in _QUALIFIERS else ("+", term)
            matches = self._matches(name.lower(), domain, depth)
            if matches is None:
                return "temperror"
            if matches:
                return _QUALIFIERS[qualifier]
        return "neutral"

    def _matches(self, name: str, domain: str, depth: int) -> bool | None:
        mechanism, _, value = name.partition(":")
        match mechanism:
            case "all":
                return True
            case "ip4":
                try:
                    return ipaddress.ip_address(RELAY_ADDRESS) in ipaddress.ip_network(value, strict=False)
                except ValueError:
                    return False
            case "a":
                hosts: tuple[str, ...] | None = (value or domain,)
            case "mx":
                hosts = self.dns.look(value or domain, "MX")
            case "include":
                result = self._spf(value, depth + 1)
                return None if result == "temperror" else result == "pass"
            case _:
                return False
        if hosts is None:
            return None
        addresses = [self.dns.look(host.rpartition(" ")[2], "A") for host in hosts]
        return None if None in addresses else any(RELAY_ADDRESS in (found or ()) for found in addresses)


def author_domain(header_from: str) -> str:
    return parseaddr(header_from)[1].rpartition("@")[2].lower() or "unknown.test"


def _aligned(domain: str, author: str, organization: str, strict: bool) -> bool:
    return domain == author if strict else domain == organization or domain.endswith("." + organization)
