"""Delivered mail for the DKIM tables: signed by the tests' signer, read and verified as the daemon does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from monitor.model.dns import DnsFailure
from monitor.model.inspection import SeenMail, Selector, Subject
from monitor.model.mail import Authentication, AuthResult
from monitor.model.mailauth import DeliveredMail, MailProof
from monitor.rules.mailauth import dkim
from monitor.rules.mailauth.delivered import read_proof
from tests.rules.dkim.signing import MESSAGE, ed25519, rsa, sign
from tests.rules.inspect.worlds import DOMAIN, NOW, Dns, World

KEY = "s1._domainkey.shop.test"
DNS = Dns(
    {
        f"{KEY} TXT": [rsa().record()],
        "e1._domainkey.shop.test TXT": [ed25519().record()],
        "shop.test SOA": ["ns.shop.test x 1 1 1 1 1"],
    }
)
DARK = replace(DNS, fails={f"{KEY} TXT": DnsFailure.TIMEOUT})


def at_selector(record: str, *more: str) -> Dns:
    """The zone with other records at s1."""
    return DNS.but(**{f"{KEY} TXT": [record, *more]})


def delivered(
    raw: bytes | None = None,
    dns: Dns = DNS,
    *,
    said: AuthResult = AuthResult.ABSENT,
    truncated: bool = False,
    route: str = "app/aurora",
    changed: Callable[[DeliveredMail], DeliveredMail] = lambda mail: mail,
) -> SeenMail:
    """A mail as it was read, and its signatures as they were verified with this DNS."""
    mail = changed(read_proof(sign() if raw is None else raw, truncated, ()))
    mail = replace(mail, said=Authentication(dkim=said))
    proofs = World(dns).asked(lambda lookup: tuple(dkim.verify(one, lookup, NOW) for one in mail.signatures))
    return SeenMail(route, "aurora", "seed", mail, MailProof(dkim=proofs), NOW - 5, NOW)


def world(*mails: SeenMail, dns: Dns = DNS, selectors: tuple[Selector, ...] = (), **more: object) -> World:
    """A subject with these mails and selectors in this zone."""
    subject = replace(Subject(DOMAIN, NOW), mails=mails, selectors=selectors, **more)  # type: ignore[arg-type]
    return World(dns, subject)


def keyed(record: str, *more: str, **changes: object) -> World:
    """One declared selector with these records."""
    return world(dns=at_selector(record, *more), selectors=(Selector(DOMAIN, "s1"),), **changes)


CUT = delivered(MESSAGE[:100], truncated=True)  # in the middle of the header
S1 = (Selector(DOMAIN, "s1"),)
