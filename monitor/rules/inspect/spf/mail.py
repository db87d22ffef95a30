"""SPF-08 and 15: what delivered mail shows of the addresses it left from, and of alignment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from monitor.model.checks import CheckId, CheckResult
from monitor.model.inspection import SeenMail
from monitor.model.mail import AuthResult
from monitor.model.mailauth import MailProof, SignatureState
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.spf.catalogue import CHECKS
from monitor.rules.inspect.spf.proposal import canonical
from monitor.rules.inspect.zonefile import shown
from monitor.rules.mailauth.dmarc import aligned

LATELY: Final = 2 * 86_400.0  # seconds: where nothing was seen for longer, it is no news any more
IDLE_AFTER: Final = 30 * 86_400.0  # seconds without mail from a declared address


def judge(scene: Scene) -> Iterator[CheckResult]:
    yield from _observed(scene)
    yield from _aligned(scene)


def _observed(scene: Scene) -> Iterator[CheckResult]:
    check, subject = CHECKS[CheckId.SPF_08], scene.subject
    unread = [seen for seen in subject.mails if seen.mail.border is None and not seen.mail.said_address]
    if not subject.declared:
        yield check.skipped(subject.domain, "sending addresses are not declared: --egress, or inspect.domains.NAME.egress")
        return
    if not subject.observed and not subject.mails:
        yield check.skipped(subject.domain, "no delivered mail seen yet")
        return
    declared = {canonical(address) for address in subject.egress}
    for address, at in subject.observed:
        if canonical(address) in declared:
            yield check.passed(address, "mail comes from it, and it is declared")
        elif subject.now - at <= LATELY:
            mend = "Find out who sends from there; if it is yours, declare it, and see that SPF, reverse DNS and HELO cover it."
            yield check.failed(address, "mail comes from it, and it is not declared", "", mend)
    for seen in unread if not subject.observed else ():
        why = "only the beginning of its header was read" if seen.mail.header_cut else "its trace names no address outside the receiver"
        yield check.unknown(seen.route, f"the sending address cannot be read from the latest mail: {why}")
    latest = {canonical(address): at for address, at in subject.observed}
    watched = subject.watched_since is not None and subject.now - subject.watched_since >= IDLE_AFTER
    for address in subject.egress if watched and subject.observed else ():
        if subject.now - latest.get(canonical(address), 0.0) >= IDLE_AFTER:
            mend = "If nothing sends from it any more, take it out of the configuration and of SPF."
            yield check.warned(address, f"declared, and no mail came from it for {IDLE_AFTER / 86_400:.0f} days", "", mend)


def _aligned(scene: Scene) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.SPF_15]
    if not scene.subject.mails:
        yield check.skipped(scene.subject.domain, "no delivered mail seen yet")
    for seen in scene.subject.mails:
        yield _alignment(scene, seen)


def _alignment(scene: Scene, seen: SeenMail) -> CheckResult:
    check, proof = CHECKS[CheckId.SPF_15], seen.proof
    author = next(iter(seen.mail.author_domains), "")
    if seen.mail.header_cut or not author:
        return check.unknown(seen.route, "the author domain of the latest mail could not be read")
    if proof.spf in (AuthResult.TEMPERROR, AuthResult.ABSENT):
        return check.unknown(seen.route, f"SPF of the latest mail is not known: {proof.spf_why or 'the sending address is not known'}")
    if proof.dmarc.result in (AuthResult.TEMPERROR, AuthResult.ABSENT):
        return check.unknown(seen.route, f"alignment is not known: {proof.dmarc.why or 'no DMARC evaluation'}")
    if proof.dmarc.result is AuthResult.PERMERROR:
        return check.skipped(seen.route, f"no one author domain to be aligned with: {shown(proof.dmarc.why)}")
    spf, dkim = _flags(scene, proof, author)
    saw = f"SPF says {proof.spf.value} for {shown(proof.spf_domain)}, From is {shown(author)}"
    if proof.spf is AuthResult.PASS and spf:
        return check.passed(seen.route, f"{saw}: aligned")
    if spf is None or (not spf and dkim is None):
        return check.unknown(seen.route, f"{saw}: whether they belong together could not be found out")
    mend = f"Send with an envelope sender below {shown(author)} that SPF passes for: a bounce domain of its own, for example."
    if dkim:
        return check.warned(seen.route, f"{saw}: not aligned; DKIM is", mend=mend)
    return check.failed(seen.route, f"{saw}: not aligned, nor is DKIM", mend=mend)


def _flags(scene: Scene, proof: MailProof, author: str) -> tuple[bool | None, bool | None]:
    """(SPF is aligned, a signature that passes is); None: not known. Where there is no DMARC record the proof does not say."""
    if proof.dmarc.result is not AuthResult.NONE:
        return proof.dmarc.spf_aligned, proof.dmarc.dkim_aligned
    signed = [_related(scene, one.domain, author) for one in proof.dkim if one.state is SignatureState.PASS]
    perhaps = [_related(scene, one.domain, author) for one in proof.dkim if one.state.unknown]
    dkim = True if True in signed else None if None in signed or any(one is not False for one in perhaps) else False
    return proof.spf is AuthResult.PASS and _related(scene, proof.spf_domain, author), dkim


def _related(scene: Scene, one: str, author: str) -> bool | None:
    """Relaxed, by the public suffix list too: without records the tree walk finds nothing above a name."""
    own = scene.suffixes.registrable(author)
    return (bool(own) and scene.suffixes.registrable(one) == own) or aligned(scene.lookup, one, author)
