"""ARC (RFC 8617): reading the sets of a message, and whether the chain holds."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace

from monitor.model.mailauth import ArcProof, ArcSet, ArcState, DeliveredMail, Signature, SignatureProof, SignatureState
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.dkim import Content, Kind, canonical, read_signature, verify
from monitor.rules.mailauth.dkim.canonical import Field

MOST_SETS = 50  # section 4.2.1
MAX_RESULTS = 2048  # characters of ARC-Authentication-Results that are kept

_RESULTS = "arc-authentication-results"
_KINDS = (_RESULTS, Kind.ARC_MESSAGE.value, Kind.ARC_SEAL.value)
_INSTANCE = re.compile(r"(?:\A|;)[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([0-9]{1,4})[ \t\r\n]*(?:;|\Z)")
_VALIDATION = re.compile(r"(?:\A|;)[ \t\r\n]*cv[ \t\r\n]*=[ \t\r\n]*([A-Za-z]{1,10})[ \t\r\n]*(?:;|\Z)")


def read_sets(content: Content) -> tuple[tuple[ArcSet, ...], str]:
    """(the sets by instance, what is wrong with their structure). Never raises; with a fault there may be fewer sets than fields."""
    fields = [one for one in content.fields if one.name in _KINDS]
    if len(fields) > MOST_SETS * len(_KINDS):
        return (), f"more than {MOST_SETS} ARC sets"
    found: dict[int, dict[str, Field]] = {}
    for one in fields:
        instance = _instance(one)
        if not 1 <= instance <= MOST_SETS:
            return (), f"an {_spelled(one.name)} field has no instance from 1 to {MOST_SETS}"
        if one.name in found.setdefault(instance, {}):
            return (), f"there are two {_spelled(one.name)} fields of instance {instance}"
        found[instance][one.name] = one
    for instance in range(1, max(found, default=0) + 1):
        if missing := [name for name in _KINDS if name not in found.get(instance, {})]:
            return (), f"ARC set {instance} has no {_spelled(missing[0])}"
    sets = _sets(found, content)
    return sets, _fault(sets)


def verify_chain(mail: DeliveredMail, lookup: Lookup, now: float) -> ArcProof:
    """The validation of section 5.2: the message signature of the newest set and all seals. While the lookup is not complete the result is
    provisional (temperror)."""
    sealers = tuple(one.seal.domain for one in mail.arc)
    if mail.arc_fault:
        return ArcProof(ArcState.FAIL, sealers, mail.arc_fault)
    if mail.header_cut:
        return ArcProof(ArcState.TEMPERROR, sealers, "the header block was not read whole")
    if not mail.arc:
        return ArcProof(ArcState.NONE)
    if mail.arc[-1].validation == "fail":
        return ArcProof(ArcState.FAIL, sealers, f"{sealers[-1]} already found the chain broken (cv=fail)")
    newest = mail.arc[-1]
    proofs = [(f"the message signature of {newest.message.domain}", verify(newest.message, lookup, now))]
    proofs += [(f"seal {one.instance} of {one.seal.domain}", verify(one.seal, lookup, now)) for one in mail.arc]
    return _concluded(proofs, sealers)


def _concluded(proofs: Sequence[tuple[str, SignatureProof]], sealers: tuple[str, ...]) -> ArcProof:
    state, why = ArcState.PASS, ""
    for what, proof in proofs:
        if proof.state is SignatureState.PASS:
            continue
        if not proof.state.unknown:
            return ArcProof(ArcState.FAIL, sealers, f"{what}: {proof.why}")
        state, why = ArcState.TEMPERROR, why or f"{what}: {proof.why}"
    return ArcProof(state, sealers, why)


def _instance(one: Field) -> int:
    found = _INSTANCE.search(one.value[: canonical.MAX_VALUE].decode("latin-1"))
    return int(found[1]) if found else 0


def _sets(found: dict[int, dict[str, Field]], content: Content) -> tuple[ArcSet, ...]:
    """Each seal is of all sets up to its own, its b= emptied (section 5.1.1): one running digest serves them all."""
    running = hashlib.sha256()
    sets: list[ArcSet] = []
    for instance in range(1, len(found) + 1):
        results, message, seal = (found[instance][name] for name in _KINDS)
        for one in (results, message):
            running.update(canonical.relaxed_field(one.raw, one.colon) + b"\r\n")
        sealed = running.copy()
        sealed.update(canonical.relaxed_field(canonical.unsigned(seal.raw, seal.colon), seal.colon))
        running.update(canonical.relaxed_field(seal.raw, seal.colon) + b"\r\n")
        newest = instance == len(found)
        sets.append(
            ArcSet(
                instance=instance,
                validation=_validation(seal),
                results=" ".join(results.value[:MAX_RESULTS].decode("utf-8", "replace").split()),
                message=read_signature(message, Kind.ARC_MESSAGE, content if newest else None),
                seal=replace(read_signature(seal, Kind.ARC_SEAL, None), digest=sealed.digest()),
            )
        )
    return tuple(sets)


def _validation(seal: Field) -> str:
    found = _VALIDATION.search(seal.value[: canonical.MAX_VALUE].decode("latin-1"))
    return found[1].lower() if found else ""


def _fault(sets: Sequence[ArcSet]) -> str:
    """Section 5.2, steps 2 and 3, as far as no key is needed."""
    for one in sets:
        newest = one.instance == len(sets)
        if one.validation == "fail" and newest:
            continue
        if one.validation != ("none" if one.instance == 1 else "pass"):
            return f"ARC set {one.instance} says cv={one.validation or 'nothing'}"
        signature: Signature = one.seal
        if signature.fault:
            return f"the seal of ARC set {one.instance}: {signature.fault}"
    return f"the message signature of ARC set {len(sets)}: {sets[-1].message.fault}" if sets and sets[-1].message.fault else ""


def _spelled(name: str) -> str:
    return "-".join(part.upper() if part == "arc" else part.capitalize() for part in name.split("-"))
