"""What the checks of the zone itself are."""

from __future__ import annotations

from monitor.model.checks import CheckId, Gravity
from monitor.rules.inspect.check import Check

_ALL = (
    Check(
        CheckId.DNS_02,
        "no lame delegation",
        "A listed name server that does not answer for the zone makes lookups slow or fail; when all do, SPF, DKIM and DMARC are gone.",
        "RFC 9499 section 7, RFC 1034 section 4.2.2",
        Gravity.CRITICAL,
    ),
    Check(
        CheckId.DNS_06,
        "CNAMEs stand alone and lead somewhere",
        "Beside a CNAME other records are not seen, and one that leads nowhere takes the record away from receivers.",
        "RFC 1034 section 3.6.2, RFC 2181 section 10.1",
        Gravity.CRITICAL,
    ),
    Check(
        CheckId.DNS_07,
        "sensible TTLs",
        "A very short TTL makes each hiccup of the name servers felt at once; a very long one keeps a mistake alive for days.",
        "RFC 1035 section 3.2.1, RFC 1912 section 2.2",
        Gravity.WARNING,
    ),
    Check(
        CheckId.DNS_08,
        "DNSSEC validates",
        "A broken chain makes the whole zone vanish for each receiver that validates.",
        "RFC 4033 to 4035, RFC 8624",
        Gravity.CRITICAL,
    ),
    Check(
        CheckId.DNS_10,
        "no wildcards where mail records are",
        "With a wildcard each DKIM selector and each DMARC name seems to exist, with a text that is none.",
        "RFC 4592",
        Gravity.WARNING,
    ),
    Check(
        CheckId.DNS_11,
        "the SOA of From and MAIL FROM can be seen",
        "Yahoo refuses mail from a domain whose existence it cannot see by an SOA query.",
        "RFC 1035 section 3.3.13",
        Gravity.ERROR,
    ),
)
CHECKS = {check.id: check for check in _ALL}
