"""What we found on delivered probes when we did what their receivers did, beside what those said."""

from __future__ import annotations

from typing import Any

from monitor.model.inspection import SeenMail
from monitor.model.mail import Authentication
from monitor.model.mailauth import DmarcProof, SignatureProof
from monitor.rules.mailauth.receiver import word
from monitor.rules.plain import plain
from monitor.surface.audit.document import iso

Document = dict[str, Any]

MOST = 200  # routes


def proof_documents(mails: tuple[SeenMail, ...]) -> list[Document]:
    """The latest of each route."""
    return [_proof(seen) for seen in mails[:MOST]]


def _proof(seen: SeenMail) -> Document:
    proof = seen.proof
    return {
        "route": plain(seen.route),
        "provider": plain(seen.provider),
        "seen_at": iso(seen.seen),
        "spf": {
            "result": proof.spf.value,
            "domain": plain(proof.spf_domain),
            "address": proof.spf_address,
            "why": plain(proof.spf_why),
        },
        "dkim": [_signature(one) for one in proof.dkim],
        "arc": proof.arc.state.value,
        "dmarc": _dmarc(proof.dmarc),
        "dmarc_rfc7489": _dmarc(proof.shadow),
        "receiver": _said(word(seen.mail, proof.arc)),
    }


def _signature(proof: SignatureProof) -> Document:
    return {
        "domain": plain(proof.domain),
        "selector": plain(proof.selector),
        "algorithm": plain(proof.algorithm),
        "state": proof.state.value,
        "why": plain(proof.why),
    }


def _dmarc(proof: DmarcProof) -> Document:
    return {
        "result": proof.result.value,
        "policy": plain(proof.policy),
        "policy_domain": plain(proof.policy_domain),
        "organizational_domain": plain(proof.organizational),
        "spf_aligned": proof.spf_aligned,
        "dkim_aligned": proof.dkim_aligned,
        "why": plain(proof.why),
    }


def _said(said: Authentication) -> Document:
    return {"spf": said.spf.value, "dkim": said.dkim.value, "dmarc": said.dmarc.value, "authserv_id": plain(said.authserv_id)}
