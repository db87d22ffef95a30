"""The zones of the authentication worlds: one domain in good order, and one domain for each way in which it can be broken.

Only the way in which a domain differs from a good one stands in its entry. All mail leaves from 127.0.0.1 as relay.shop.test.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

SELECTOR = "s1"
PROVIDER = "box.test"  # where the seed mailboxes are
NAMELESS = "192.0.2.9"  # has no reverse name


@dataclass(frozen=True, slots=True)
class Key:
    """A private key in PEM, and `p=` of its key record."""

    pem: str
    public: str


def key(bits: int = 2048) -> Key:
    made = rsa.generate_private_key(65537, bits)
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
    der = made.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Key(pem, base64.b64encode(der).decode())


# p= of a 512-bit RSA key, which libraries refuse to make: `openssl genrsa 512`
SHORT = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAOdG+YEogimX3AZEkxAnvHuXm2megc4KlVUmBJEK9TeuVqFvLN6sCX9Agb6rHZyzbxBQNWURzeTqE9mmqCfkAIECAwEAAQ=="


def txt(name: str, text: str) -> str:
    parts = " ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200))
    return f"{name} TXT {parts}\n"


def good(domain: str, public: str) -> dict[str, str]:
    """The zone in pieces, so that a world can replace one."""
    return {
        "mail": "@ A 127.0.0.1\n@ MX 10 mx\nmx A 127.0.0.1\nrelay A 127.0.0.1\n",
        "spf": txt("@", "v=spf1 ip4:127.0.0.1 -all") + txt("relay", "v=spf1 ip4:127.0.0.1 -all") + txt("mx", "v=spf1 -all"),
        "dkim": txt(f"{SELECTOR}._domainkey", f"v=DKIM1; k=rsa; p={public}"),
        "dmarc": txt("_dmarc", f"v=DMARC1; p=reject; rua=mailto:dmarc@{domain}"),
        "more": "",
    }


def zone(pieces: Mapping[str, str]) -> str:
    return "".join(pieces.values())


@dataclass(frozen=True, slots=True)
class Broken:
    """`without` or `instead`: pieces of the zone; `finds`: the check that must fail, and the symptom of its incident."""

    domain: str
    finds: str
    symptom: str
    instead: tuple[tuple[str, str], ...] = ()
    egress: str = "127.0.0.1"

    def zone(self, public: str) -> str:
        return zone(good(self.domain, public) | dict(self.instead))


_INCLUDES = "".join(txt(f"_i{number}", f"v=spf1 ip4:192.0.2.{number} -all") for number in range(11))

BROKEN = (
    Broken("nokey.test", "DKIM-K1", "auth_dkim", (("dkim", ""),)),
    Broken("revoked.test", "DKIM-K3", "auth_dkim", (("dkim", txt(f"{SELECTOR}._domainkey", "v=DKIM1; p=")),)),
    Broken("shortkey.test", "DKIM-K4", "auth_dkim", (("dkim", txt(f"{SELECTOR}._domainkey", f"v=DKIM1; p={SHORT}")),)),
    Broken("norelay.test", "SPF-07", "auth_spf", (("spf", txt("@", "v=spf1 ip4:192.0.2.0/24 -all")),)),
    Broken(
        "twospf.test",
        "SPF-02",
        "auth_spf",
        (("spf", txt("@", "v=spf1 ip4:127.0.0.1 -all") + txt("@", "v=spf1 include:mx.twospf.test -all")),),
    ),
    Broken(
        "eleven.test",
        "SPF-04",
        "auth_spf",
        (("spf", txt("@", "v=spf1 " + " ".join(f"include:_i{n}.eleven.test" for n in range(11)) + " ip4:127.0.0.1 -all") + _INCLUDES),),
    ),
    Broken("nodmarc.test", "DMARC-01", "auth_dmarc", (("dmarc", ""),)),
    Broken("noname.test", "IP-01", "dns", (("spf", txt("@", "v=spf1 ip4:192.0.2.9 -all") + txt("relay", "v=spf1 -all")),), NAMELESS),
    Broken("lame.test", "DNS-02", "dns", (("more", "; lame\n"),)),
    Broken("bogus.test", "DNS-08", "dns"),
)
SIGNED = ("test", "safe.test", "bogus.test")
HEALTHY = ("shop.test", "safe.test")
SENDING = ("shop.test", "otherkey.test", "altered.test", "vanish.test")  # those that mail is really sent from
VANISH = "vanish.test"  # healthy at first; then its key record vanishes
STALE = "stale.test"  # its relay shows a certificate that has expired


def zones(public: str, other: str) -> dict[str, str]:
    """All of them. `other`: the key that otherkey.test publishes although its mail is signed with the one of `public`."""
    made = {name: zone(good(name, public)) for name in (*HEALTHY, "altered.test", VANISH, STALE)}
    made |= {"otherkey.test": zone(good("otherkey.test", other))}
    made |= {broken.domain: broken.zone(public) for broken in BROKEN}
    return {"test": "", "127.in-addr.arpa": "1.0.0 PTR relay.shop.test.\n", "2.0.192.in-addr.arpa": "", PROVIDER: "@ A 127.0.0.1\n", **made}
