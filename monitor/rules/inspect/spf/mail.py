"""SPF-08 and 15: what delivered mail shows of the addresses it left from, and of alignment."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from monitor.model.checks import CheckId, CheckResult
from monitor.model.inspection import SeenMail
from monitor.model.mail import AuthResult
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.spf.catalogue import CHECKS
from monitor.rules.inspect.spf.sight import Sight, with_addresses
from monitor.rules.inspect.zonefile import shown

IDLE_AFTER: Final = 30 * 86_400.0  # seconds without mail from a declared address


def judge(scene: Scene, names: tuple[Sight, ...]) -> Iterator[CheckResult]:
    yield from _observed(scene, names)
    yield from _aligned(scene)


def _observed(scene: Scene, names: tuple[Sight, ...]) -> Iterator[CheckResult]:
    check, subject = CHECKS[CheckId.SPF_08], scene.subject
    unread = [seen for seen in subject.mails if seen.mail.border is None and not seen.mail.said_address]
    if not subject.declared:
        yield check.skipped(subject.domain, "sending addresses are not declared: --egress, or inspect.domains.NAME.egress")
        return
    if not subject.observed and not subject.mails:
        yield check.skipped(subject.domain, "no delivered mail seen yet")
        return
    declared = {_number(address) for address in subject.egress}
    for address, _ in subject.observed:
        if _number(address) in declared:
            yield check.passed(address, "mail comes from it, and it is declared")
        else:
            publish = with_addresses(names[0], (address,)) if names and _lacks(names[0], address) else ""
            mend = "Declare it, and see that SPF, reverse DNS and HELO cover it; or find out who sends from there."
            yield check.failed(address, "mail comes from it, and it is not declared", "", mend, publish)
    for seen in unread if not subject.observed else ():
        why = "only the beginning of its header was read" if seen.mail.header_cut else "its trace names no address outside the receiver"
        yield check.unknown(seen.route, f"the sending address cannot be read from the latest mail: {why}")
    latest = {_number(address): at for address, at in subject.observed}
    watched = subject.watched_since is not None and subject.now - subject.watched_since >= IDLE_AFTER
    for address in subject.egress if watched and subject.observed else ():
        if subject.now - latest.get(_number(address), 0.0) >= IDLE_AFTER:
            mend = "If nothing sends from it any more, take it out of the configuration and of SPF."
            yield check.warned(address, f"declared, and no mail came from it for {IDLE_AFTER / 86_400:.0f} days", "", mend)


def _lacks(sight: Sight, address: str) -> bool:
    return sight.evaluation(address).result not in (AuthResult.PASS, AuthResult.TEMPERROR)


def _number(address: str) -> object:
    try:
        return ip_address(address)
    except ValueError:
        return address


def _aligned(scene: Scene) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.SPF_15]
    if not scene.subject.mails:
        yield check.skipped(scene.subject.domain, "no delivered mail seen yet")
    for seen in scene.subject.mails:
        yield _alignment(seen)


def _alignment(seen: SeenMail) -> CheckResult:
    check, proof = CHECKS[CheckId.SPF_15], seen.proof
    author = next(iter(seen.mail.author_domains), "")
    if seen.mail.header_cut or not author:
        return check.unknown(seen.route, "the author domain of the latest mail could not be read")
    if proof.spf in (AuthResult.TEMPERROR, AuthResult.ABSENT):
        return check.unknown(seen.route, f"SPF of the latest mail is not known: {proof.spf_why or 'the sending address is not known'}")
    if proof.dmarc.result in (AuthResult.TEMPERROR, AuthResult.ABSENT):
        return check.unknown(seen.route, f"alignment is not known: {proof.dmarc.why or 'no DMARC evaluation'}")
    saw = f"SPF says {proof.spf.value} for {shown(proof.spf_domain)}, From is {shown(author)}"
    if proof.spf is AuthResult.PASS and proof.dmarc.spf_aligned:
        return check.passed(seen.route, f"{saw}: aligned")
    mend = f"Send with an envelope sender below {shown(author)} that SPF passes for: a bounce domain of its own, for example."
    if proof.dmarc.dkim_aligned:
        return check.warned(seen.route, f"{saw}: not aligned; DKIM is", mend=mend)
    return check.failed(seen.route, f"{saw}: not aligned, nor is DKIM", mend=mend)
