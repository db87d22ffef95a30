"""Refund mail where none must ever come: is it really ours?

Spam, newsletters and phish that imitates us reach such an address too. A trip needs all of: a tripwire mailbox; refund mail that is no
probe (a stray); an author domain of ours; and the receiver's word, for that domain, that DMARC, DKIM or SPF passed. What cannot be
authenticated is no trip: anybody could page us with it.
"""

from __future__ import annotations

from datetime import UTC, datetime

from monitor.model.facts import Stray
from monitor.model.mail import AuthResult
from monitor.model.policy import MailboxPolicy, Policy, Role


def trips(stray: Stray, mailbox: MailboxPolicy, policy: Policy) -> tuple[str, ...] | None:
    """The evidence in plain words: who vouches for it, what it says, when it came. None: no trip."""
    if mailbox.role is not Role.TRIPWIRE or not is_ours(stray.author_domain, policy):
        return None
    results = {"spf": stray.auth.spf, "dkim": stray.auth.dkim, "dmarc": stray.auth.dmarc}
    if AuthResult.PASS not in results.values():
        return None
    said = ", ".join(f"{method}={result.value}" for method, result in results.items() if result is not AuthResult.ABSENT)
    return (
        f"{stray.auth.authserv_id or 'the receiver'} says {said} for {stray.author_domain}",
        f"it speaks of a refund and of {', '.join(stray.amounts) or 'money'}",
        f"it lies in {stray.folder}, {_arrival(stray)}",
    )


def unverifiable(author_domain: str, mailbox: MailboxPolicy, policy: Policy) -> bool:
    """It claims to be ours, in a mailbox whose receiver's word we were not told to trust."""
    return mailbox.role is Role.TRIPWIRE and not mailbox.authserv_ids and is_ours(author_domain, policy)


def is_ours(author_domain: str, policy: Policy) -> bool:
    """One of the shop's sending domains, or a domain below one."""
    author = author_domain.lower().rstrip(".")
    ours = [domain.lower().rstrip(".") for domain in policy.sending_domains]
    return any(author == domain or author.endswith("." + domain) for domain in ours if domain)


def _arrival(stray: Stray) -> str:
    if stray.internaldate is None:
        return f"seen at {stray.at.iso()}"
    try:
        came = datetime.fromtimestamp(stray.internaldate, UTC)
    except (OverflowError, OSError, ValueError):  # INTERNALDATE is the server's word
        return f"seen at {stray.at.iso()}"
    return f"arrived at {came:%Y-%m-%dT%H:%M:%SZ}"
