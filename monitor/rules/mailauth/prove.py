"""On a delivered message, what its receiver did: SPF, DKIM, ARC, DMARC."""

from __future__ import annotations

from monitor.model.mailauth import DeliveredMail, MailProof
from monitor.ports import SuffixList
from monitor.rules.lookup import Lookup


def prove(mail: DeliveredMail, lookup: Lookup, suffixes: SuffixList, now: float) -> MailProof:
    """Our own verdicts. While the lookup is not complete they are provisional."""
    raise NotImplementedError
