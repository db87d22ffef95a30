"""Where well-known mailbox providers keep their IMAP server, and what one must know before logging in there."""

from __future__ import annotations

import re
from dataclasses import dataclass

from monitor.model.address import Address, Domain
from monitor.model.policy import LoginMethod

_APP_PASSWORD = "the account's own password is refused: make an app password in its security settings"
_SWITCH_ON = "IMAP must be switched on in the account's settings"


@dataclass(frozen=True, slots=True)
class Provider:
    """`authserv_id`: whose Authentication-Results can be trusted there (a pattern for a farm of hosts); empty: to be learned."""

    name: str
    domains: tuple[str, ...]
    host: str
    authserv_id: str = ""
    note: str = ""
    login: LoginMethod = LoginMethod.LOGIN


PROVIDERS = (
    Provider("gmail", ("gmail.com", "googlemail.com"), "imap.gmail.com", "mx.google.com", _APP_PASSWORD),
    Provider(
        "outlook",
        ("outlook.com", "hotmail.com", "live.com", "msn.com", "outlook.de", "hotmail.de", "hotmail.fr", "hotmail.co.uk", "live.co.uk"),
        "outlook.office365.com",
        "*",  # it names nobody, and writes one into every message
        "passwords are refused: a program must print an OAuth 2.0 access token (XOAUTH2)",
        LoginMethod.XOAUTH2,
    ),
    Provider(
        "yahoo",
        ("yahoo.com", "ymail.com", "rocketmail.com", "yahoo.co.uk", "yahoo.de", "yahoo.fr", "yahoo.it", "yahoo.es"),
        "imap.mail.yahoo.com",
        "*.omega.yahoo.com",
        _APP_PASSWORD,
    ),
    Provider("aol", ("aol.com",), "imap.aol.com", "*.omega.yahoo.com", _APP_PASSWORD),
    Provider("icloud", ("icloud.com", "me.com", "mac.com"), "imap.mail.me.com", note=_APP_PASSWORD),
    Provider("fastmail", ("fastmail.com", "fastmail.fm"), "imap.fastmail.com", note=_APP_PASSWORD),
    Provider("gmx", ("gmx.net", "gmx.de", "gmx.at", "gmx.ch"), "imap.gmx.net", note=_SWITCH_ON),
    Provider("gmx", ("gmx.com", "gmx.us", "gmx.co.uk"), "imap.gmx.com", note=_SWITCH_ON),
    Provider("web-de", ("web.de",), "imap.web.de", note=_SWITCH_ON),
    Provider("mail-com", ("mail.com",), "imap.mail.com", note=_SWITCH_ON),
    Provider("zoho", ("zoho.com", "zohomail.com"), "imap.zoho.com", note=_SWITCH_ON),
    Provider("mailbox-org", ("mailbox.org",), "imap.mailbox.org"),
    Provider("posteo", ("posteo.de", "posteo.net"), "posteo.de"),
    Provider("t-online", ("t-online.de", "magenta.de"), "secureimap.t-online.de", note="it wants a password made for e-mail programs"),
    Provider("orange", ("orange.fr", "wanadoo.fr"), "imap.orange.fr", note=_SWITCH_ON),
)


def provider_of(address: Address, host: str = "") -> Provider | None:
    """Who hosts this mailbox: by its server, which a domain of one's own may lie behind, else by its domain."""
    for provider in PROVIDERS:
        if host.lower() == provider.host or (not host and address.domain.name in provider.domains):
            return provider
    return None


def guesses(domain: Domain) -> tuple[str, ...]:
    """Where the IMAP server of an unknown domain may be, the likeliest first."""
    return (f"imap.{domain}", f"mail.{domain}", str(domain))


def name_for(domain: Domain) -> str:
    """A provider's name out of its domain, of a-z, 0-9 and hyphens: aurora.test -> aurora, mail.shop.co.uk -> shop."""
    labels = domain.name.split(".")[:-1] or [domain.name]
    if len(labels) > 1 and labels[-1] in _SECOND_LEVEL:
        labels.pop()
    return re.sub(r"[^a-z0-9-]", "-", labels[-1]).strip("-")[:24] or "mailbox"


_SECOND_LEVEL = {"co", "com", "ac", "gov", "org", "net", "edu"}
