"""ARC (RFC 8617): does the chain hold."""

from __future__ import annotations

from monitor.model.mailauth import ArcProof, DeliveredMail
from monitor.rules.lookup import Lookup


def verify_chain(mail: DeliveredMail, lookup: Lookup, now: float) -> ArcProof:
    """The validation of section 5.2. While the lookup is not complete the result is provisional (temperror)."""
    raise NotImplementedError
