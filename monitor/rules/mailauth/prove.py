"""On a delivered message, what its receiver did: SPF, DKIM, ARC, DMARC."""

from __future__ import annotations

from monitor.model.mail import AuthResult
from monitor.model.mailauth import DeliveredMail, MailProof, SignatureProof, SignatureState
from monitor.ports import SuffixList
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth import arc, dkim, dmarc, spf
from monitor.rules.mailauth.trace import canonical


def prove(mail: DeliveredMail, lookup: Lookup, suffixes: SuffixList, now: float) -> MailProof:
    """Our own verdicts. While the lookup is not complete they are provisional."""
    address = _address(mail)
    helo = mail.border.helo if mail.border else ""
    envelope = mail.envelope_domain if mail.envelope_said else mail.said_envelope
    # RFC 7208 section 2.4: a null reverse-path is judged as postmaster at the HELO name; one that nobody named is not known.
    identity = envelope or (helo if mail.envelope_said else "")
    result, why = _spf(lookup, address, identity, helo, now, local_known=not envelope)
    signatures = tuple(dkim.verify(signature, lookup, now) for signature in mail.signatures)
    said = _identifiers(mail, result, identity, signatures)
    return MailProof(
        result,
        identity,
        address,
        why,
        signatures,
        arc.verify_chain(mail, lookup, now),
        dmarc.evaluate(lookup, mail.author_domains, said),
        dmarc.shadow_evaluate(lookup, mail.author_domains, said, suffixes),
    )


def _spf(lookup: Lookup, address: str, identity: str, helo: str, now: float, *, local_known: bool) -> tuple[AuthResult, str]:
    if not address:
        return AuthResult.ABSENT, "the sending address is not known"
    if not identity:
        return AuthResult.ABSENT, "neither the envelope sender nor the HELO name is known"
    evaluation = spf.check_host(lookup, address, identity, f"postmaster@{identity}", helo or identity, now)
    if evaluation.by_local and not local_known:
        return AuthResult.ABSENT, "SPF asks for the local part of the envelope sender, which is not kept"
    return evaluation.result, evaluation.why


def _address(mail: DeliveredMail) -> str:
    """Where it came from, by the receiver's own hop, else by its results; canonical; empty when neither says."""
    return (canonical(mail.border.address) if mail.border else "") or canonical(mail.said_address)


def _identifiers(mail: DeliveredMail, result: AuthResult, identity: str, signatures: tuple[SignatureProof, ...]) -> dmarc.Identifiers:
    incomplete = ""
    if mail.header_cut:
        incomplete = "the header of the message was not read whole"
    elif mail.signatures_ignored:
        incomplete = f"{mail.signatures_ignored} more signatures were not verified"
    return dmarc.Identifiers(
        result,
        identity,
        tuple(proof.domain for proof in signatures if proof.state is SignatureState.PASS),
        tuple(proof.domain for proof in signatures if proof.state.unknown),
        incomplete,
    )
