"""Refund mail where none must ever come: is it really ours?

Spam, newsletters and phish that imitates us reach such an address too. What pages must be beyond what anybody could forge:

* It is **ours** when it names us as its author, and the receiver, for that domain, says that DMARC, DKIM or SPF passed, or a signature of
  ours verifies when we check it ourselves. Either way it must have been sent by us, or to this mailbox: with DKIM alone, and a To that
  names somebody else, or that anybody can have added, it may be an old mail of ours that any customer sent on (RFC 6376 section 8.6). Our
  own SPF check never suffices: the address that it rests on stands in a Received field, which a sender can imitate where the receiver's
  own fields are not known.
* It is an **imitation** when it names us and whoever could be asked says that it is not ours, or when another author dresses up as us.
* Else, where it names us, it is in **doubt**: a key that a deploy has just broken must not turn a bogus mail of ours into phish.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from monitor.model.facts import Stray
from monitor.model.instant import Instant
from monitor.model.mail import UNSAID, AuthResult
from monitor.model.mailauth import DeliveredMail, MailProof, Signature, SignatureProof, SignatureState
from monitor.model.policy import MailboxPolicy, Policy, Role
from monitor.rules.likeness import registrable
from monitor.rules.mailauth.authres import aligned
from monitor.views.tripwires import Tripwires

RETRIES = (30.0, 120.0, 600.0, 1800.0)  # seconds until a lookup that failed is tried again; then it is in doubt
UNASKED_A_DAY = 20  # facts of one mailbox; more is only counted
IMITATED_A_DAY = 20
DOUBTED_A_DAY = 100  # beyond it the ticket stands, and the stray lies there
CLAIMS_A_DAY = 100  # strays of one mailbox that are written with all that their proof needs: it is a few kilobytes
STRAYS_A_DAY = 100  # facts of one mailbox about mail that nothing can make ours; more is only counted
LEAK_MAILS = 3
LEAK_DOMAINS = 2
LEAK_WITHIN = 7 * 86_400.0  # seconds
SHOWN = 4  # domains in one line
LONGEST_NAME = 80  # of a peer's domain or selector in one line

_ERRORS = frozenset({AuthResult.TEMPERROR, AuthResult.PERMERROR})
_UNKNOWN = _ERRORS | {AuthResult.ABSENT}
_OF_PROVIDERS = {  # author domains of the large ones that bear another name
    "gmail": ("google.com", "googlemail.com", "gmail.com", "youtube.com"),
    "google": ("google.com", "googlemail.com", "gmail.com"),
    "outlook": ("microsoft.com", "outlook.com", "hotmail.com", "live.com"),
    "yahoo": ("yahoo.com", "yahoo-inc.com", "aol.com"),
    "icloud": ("apple.com", "icloud.com", "me.com"),
    "fastmail": ("fastmail.com", "messagingengine.com"),
}


class Ruling(StrEnum):
    OURS = "ours"
    IMITATION = "imitation"
    DOUBT = "doubt"
    UNPROVEN = "unproven"  # our own proof is wanted
    NOTHING = "nothing"  # somebody else's mail, or no tripwire


@dataclass(frozen=True, slots=True)
class Ruled:
    """`evidence`: in plain words who says what, what the mail says, when it came."""

    ruling: Ruling
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Own:
    """Our own proof. `final`: what could not be asked will not be asked again; `keys`: (domain, selector) that we are known to use."""

    proof: MailProof
    final: bool = False
    keys: frozenset[tuple[str, str]] = frozenset()
    addresses: frozenset[str] = frozenset()  # that our mail is known to come from

    def knows(self, one: SignatureProof) -> bool:
        return (one.domain, one.selector) in self.keys


@dataclass(frozen=True, slots=True)
class Leak:
    """An address is known outside. `since`: the first of the mails that show it; `seqs`: the facts."""

    since: Instant
    latest: Instant
    seqs: tuple[int, ...]
    shows: str


def judged(stray: Stray, mailbox: MailboxPolicy, policy: Policy, own: Own | None, provable: bool) -> Ruled:
    """What a stray is. `own`: our own proof of it; `provable`: there is somebody to ask for one."""
    if mailbox.role is not Role.TRIPWIRE:
        return Ruled(Ruling.NOTHING)
    if not is_ours(stray.author_domain, policy):
        return Ruled(Ruling.IMITATION, _told(stray, stray.likeness)) if stray.likeness else Ruled(Ruling.NOTHING)
    by_them = AuthResult.PASS in (stray.auth.spf, stray.auth.dkim, stray.auth.dmarc)
    if by_them and ((stray.addressed and stray.to_signed) or stray.auth.spf is AuthResult.PASS):
        return Ruled(Ruling.OURS, _told(stray, _said(stray)))
    if own is None:
        if provable and stray.claim is not None:
            return Ruled(Ruling.UNPROVEN)
        return _unproven(stray, by_them)
    return _proven(stray, policy, own, by_them)


def is_hopeless(stray: Stray, policy: Policy, mail: DeliveredMail) -> bool:
    """Nothing can make it ours: it names another author, or the receiver does not vouch for it, and it bears no signature. What bears one,
    forged or not, is never left out: a flood of forgeries must not hide a trip."""
    if not is_ours(stray.author_domain, policy):
        return True
    return AuthResult.PASS not in (stray.auth.spf, stray.auth.dkim, stray.auth.dmarc) and not mail.signatures and not mail.header_cut


def has_signed_to(mail: DeliveredMail, author_domain: str, policy: Policy) -> bool:
    """There is one To, and every signature in our name saw it: of which of them the receiver speaks, it does not say."""
    counts = dict(mail.fields)
    # Of line ends that are mixed, signatures are read another way than fields are counted: one that was not read may be ours.
    unread = counts.get("dkim-signature", 0) != len(mail.signatures) or mail.signatures_ignored > 0 or mail.header_cut
    if unread or counts.get("to", 0) != 1:
        return False
    organization = registrable(author_domain)
    ours = [one for one in mail.signatures if is_ours(one.domain, policy) or registrable(one.domain) == organization]
    return all("to" in one.headers for one in ours)


def mark(mail: DeliveredMail) -> str:
    """The same for what the same proof decides on."""
    parts = [mail.envelope_domain, mail.border.address if mail.border else ""]
    parts += [signature.digest.hex() + signature.value.hex() for signature in mail.signatures]
    return hashlib.sha256("\0".join(parts).encode(errors="backslashreplace")).hexdigest()[:16]


def unverifiable(author_domain: str, mailbox: MailboxPolicy, policy: Policy) -> bool:
    """It names us, in a mailbox whose receiver's word we were not told to trust, and nothing is inspected by ourselves."""
    alone = not (policy.inspect.enabled and policy.inspect.domains)
    return alone and mailbox.role is Role.TRIPWIRE and not mailbox.authserv_ids and is_ours(author_domain, policy)


def is_ours(author_domain: str, policy: Policy) -> bool:
    """One of the shop's sending domains, or a domain below one."""
    author = author_domain.lower().rstrip(".")
    ours = [domain.lower().rstrip(".") for domain in policy.sending_domains]
    return any(author == domain or author.endswith("." + domain) for domain in ours if domain)


def is_unasked(author_domain: str, mailbox: MailboxPolicy, policy: Policy) -> bool:
    """Mail of this author says that somebody outside knows the address of a tripwire: it is not ours, and not its provider's own."""
    return mailbox.role is Role.TRIPWIRE and not is_ours(author_domain, policy) and not _is_providers(author_domain, mailbox)


def leaked(view: Tripwires, mailbox: MailboxPolicy, policy: Policy, now: Instant, after: Instant | None = None) -> Leak | None:
    """Whether the address is known outside, by the mail of the last week and since `after`. A person who said that a leak is over was
    told of all that came before."""
    seen = view.outside.get(mailbox.name)
    if seen is None:
        return None
    recent = {
        domain: [
            came for came in known if now.seconds_since(came.at) <= LEAK_WITHIN and (after is None or came.at.seconds_since(after) > 0)
        ]
        for domain, known in seen.domains.items()
        if is_unasked(domain, mailbox, policy)
    }
    domains = [domain for domain, known in recent.items() if known]
    mails = sorted((came for known in recent.values() for came in known), key=lambda came: came.seq)
    if len(mails) < LEAK_MAILS or len(domains) < LEAK_DOMAINS:
        return None
    shows = f"{len(mails)} mails of {len(domains)} author domains within a week: {_named(domains)}"
    if seen.more:
        shows += f"; {seen.more} more were only counted"
    return Leak(mails[0].at, mails[-1].at, tuple(came.seq for came in mails), shows)


def known_outside(view: Tripwires, mailbox: MailboxPolicy, policy: Policy, now: Instant) -> str:
    """For the evidence of a trip: since when strangers know this address; empty: as far as we know, none does."""
    campaign = view.campaigns.get(mailbox.name)
    leak = leaked(view, mailbox, policy, now)
    since = [found for found in (leak.since if leak else None, campaign.since if campaign else None) if found is not None]
    if not since:
        return ""
    return f"the address is known outside since {min(since, key=lambda at: at.utc).iso()}: a person may have typed it in"


# --- whose it is ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Checked:
    """A signature in our name, and what became of it."""

    signature: Signature
    proof: SignatureProof


def _unproven(stray: Stray, by_them: bool) -> Ruled:
    """By the receiver's word alone."""
    if by_them:
        return Ruled(Ruling.DOUBT, _told(stray, f"{_said(stray)}, but {_REPLAYED}"))
    if _denied(stray):
        return Ruled(Ruling.IMITATION, _told(stray, f"it names {stray.author_domain} as its author, and {_said(stray)}"))
    return Ruled(Ruling.DOUBT, _told(stray, f"{_CLAIMS}: {_said(stray)}, and we could not check it ourselves"))


def _proven(stray: Stray, policy: Policy, own: Own, by_them: bool) -> Ruled:
    proof, said, ours = own.proof, _said(stray), _signed_for_us(stray, policy, own.proof)
    from_us = proof.spf is AuthResult.PASS and (_is_of_us(proof.spf_domain, stray, policy) or proof.dmarc.spf_aligned)
    passed = [one for one in ours if one.proof.state is SignatureState.PASS]
    if passed or by_them:
        line = f"{_verified(passed[0].proof)}; {said}" if passed else said
        if from_us or (stray.addressed and any(_saw_to(stray, one.signature) for one in passed)):
            return Ruled(Ruling.OURS, _told(stray, line))
        doubt = Ruled(Ruling.DOUBT, _told(stray, f"{line}; but {_REPLAYED}"))
        return doubt if own.final or not _is_open(proof, stray, policy, ours) else Ruled(Ruling.UNPROVEN)
    if _is_open(proof, stray, policy, ours) and not own.final:
        return Ruled(Ruling.UNPROVEN)
    tried = _tried(proof, ours)
    if from_us:
        line = f"{_CLAIMS}: SPF of {_short(proof.spf_domain)} allows its sender, but {tried}; {said}"
    elif proof.spf_address in own.addresses:
        line = f"{_CLAIMS}: it came from {proof.spf_address}, as our mail does, but {tried}; {said}"
    elif altered := next((one.proof for one in ours if one.proof.state is SignatureState.BODY_ALTERED), None):
        line = f"{_CLAIMS}: we signed its header (d={_short(altered.domain)}), and its body was changed since; {said}"
    elif lost := next((one.proof for one in ours if one.proof.state in _KEYLESS and own.knows(one.proof)), None):
        line = f"{_CLAIMS}: the key that we sign with cannot be used ({_short(lost.selector)}: {lost.state.value}); {said}"
    elif _denied(stray) or _disproven(stray, policy, proof, ours):
        return Ruled(Ruling.IMITATION, _told(stray, f"it names {stray.author_domain} as its author, but {tried}; {said}"))
    else:
        line = f"{_CLAIMS}: {tried}; {said}"
    return Ruled(Ruling.DOUBT, _told(stray, line))


_CLAIMS = "it claims to be ours and cannot be verified"
_REPLAYED = "its To names somebody else or is not signed, and nothing shows that we sent it: it may be an old mail of ours that was sent on"
_KEYLESS = frozenset({SignatureState.NO_KEY, SignatureState.REVOKED, SignatureState.KEY_UNUSABLE})


def _saw_to(stray: Stray, signature: Signature) -> bool:
    """A To that the signature does not cover, anybody can write, or add another one."""
    count = dict(stray.claim.fields).get("to", 0) if stray.claim is not None else 0
    return signature.headers.count("to") >= max(1, count)


def _is_of_us(domain: str, stray: Stray, policy: Policy) -> bool:
    return is_ours(domain, policy) or aligned(domain, stray.author_domain)


def _signed_for_us(stray: Stray, policy: Policy, proof: MailProof) -> list[_Checked]:
    checked = [_Checked(*pair) for pair in zip(stray.claim.signatures if stray.claim is not None else (), proof.dkim, strict=False)]
    ours = [one for one in checked if _is_of_us(one.signature.domain, stray, policy)]
    return ours or ([one for one in checked if one.proof.state is SignatureState.PASS] if proof.dmarc.dkim_aligned else [])


def _is_open(proof: MailProof, stray: Stray, policy: Policy, ours: Sequence[_Checked]) -> bool:
    """A lookup failed whose answer may change what it is."""
    if any(one.proof.state is SignatureState.TEMPERROR for one in ours):
        return True
    return proof.spf is AuthResult.TEMPERROR and _is_of_us(proof.spf_domain, stray, policy)


def _denied(stray: Stray) -> bool:
    """The receiver whom we trust has looked, and found nothing of ours. One that reports only errors has not looked."""
    auth = stray.auth
    if auth == UNSAID or auth.dmarc is AuthResult.FAIL:
        return auth != UNSAID
    if not _ERRORS.isdisjoint((auth.dmarc, auth.dkim, auth.spf)):
        return False
    said = stray.claim.said if stray.claim is not None and stray.claim.said != UNSAID else auth
    return any(result not in _UNKNOWN for result in (said.dkim, said.dmarc))


def _disproven(stray: Stray, policy: Policy, proof: MailProof, ours: Sequence[_Checked]) -> bool:
    """Our own check has seen all that there is, and nothing of it is ours."""
    claim = stray.claim
    if claim is None or claim.header_cut or claim.signatures_ignored or any(one.proof.state.unknown for one in ours):
        return False
    by_others = bool(proof.spf_domain) and not _is_of_us(proof.spf_domain, stray, policy)
    return by_others or proof.spf not in _UNKNOWN


# --- in words -------------------------------------------------------------------------------------------------------------


def _told(stray: Stray, *who: str) -> tuple[str, ...]:
    speaks = f"it speaks of a refund and of {', '.join(stray.amounts) or 'money'}"
    return (*who, speaks, f"it lies in {stray.folder}, {_arrival(stray)}")


def _said(stray: Stray) -> str:
    auth = stray.auth
    results = {"spf": auth.spf, "dkim": auth.dkim, "dmarc": auth.dmarc}
    said = ", ".join(f"{method}={result.value}" for method, result in results.items() if result is not AuthResult.ABSENT)
    if said:
        return f"{auth.authserv_id or 'the receiver'} says {said} for {stray.author_domain}"
    if auth != UNSAID:
        return f"{auth.authserv_id or 'the receiver'} says nothing for {stray.author_domain}"
    return "the receiver said nothing that we trust"


def _verified(signed: SignatureProof) -> str:
    return f"our own check of the DKIM signature: pass, d={_short(signed.domain)}, s={_short(signed.selector)}"


def _tried(proof: MailProof, ours: Sequence[_Checked]) -> str:
    """What our own check found instead of a signature of ours that verifies."""
    signed = "it bears no signature of ours"
    if ours:
        first = ours[0].proof
        signed = f"its signature (d={_short(first.domain)}, s={_short(first.selector)}) does not verify: {first.state.value}"
    spf = proof.spf.value if proof.spf is not AuthResult.ABSENT else "not known"
    return f"{signed}, SPF{f' of {_short(proof.spf_domain)}' if proof.spf_domain else ''} is {spf}"


def _arrival(stray: Stray) -> str:
    if stray.internaldate is None:
        return f"seen at {stray.at.iso()}"
    try:
        came = datetime.fromtimestamp(stray.internaldate, UTC)
    except (OverflowError, OSError, ValueError):  # INTERNALDATE is the server's word
        return f"seen at {stray.at.iso()}"
    return f"arrived at {came:%Y-%m-%dT%H:%M:%SZ}"


def _named(domains: Iterable[str]) -> str:
    names = sorted(_short(domain) or "unreadable" for domain in domains)
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _short(name: str) -> str:
    return name[:LONGEST_NAME]


def _is_providers(author_domain: str, mailbox: MailboxPolicy) -> bool:
    """Its own mail: a welcome, a notice that we have logged in."""
    author = author_domain.lower().rstrip(".")
    names = (mailbox.address.domain.name, registrable(mailbox.host), *_OF_PROVIDERS.get(mailbox.provider.lower(), ()))
    return any(aligned(author, name) for name in names) or registrable(author).partition(".")[0] == mailbox.provider.lower()
