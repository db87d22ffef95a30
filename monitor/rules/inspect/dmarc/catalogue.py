"""What the DMARC checks are (RFC 9989, 9990; RFC 7489 for receivers that have not moved yet)."""

from __future__ import annotations

from monitor.model.checks import CheckId, Gravity
from monitor.rules.inspect.check import Check

_ALL = (
    Check(
        CheckId.DMARC_01,
        "a DMARC policy applies to the author domain",
        "Gmail, Yahoo, Outlook and Apple want a DMARC record of those who send much; without one they defer or reject the mail.",
        "RFC 9989 section 4.10",
        Gravity.CRITICAL,
    ),
    Check(
        CheckId.DMARC_02,
        "one DMARC record, in the right place",
        "Of two records at one name receivers use none, and one that stands elsewhere is never read.",
        "RFC 9989 section 4.10 steps 2 and 6",
        Gravity.CRITICAL,
    ),
    Check(
        CheckId.DMARC_03,
        "version and syntax of the record",
        "A record whose version is not exactly DMARC1 in first place does not exist for receivers, and a broken tag loses its meaning.",
        "RFC 9989 sections 4.7 and 4.8",
        Gravity.CRITICAL,
    ),
    Check(
        CheckId.DMARC_04,
        "p, sp and np say a policy",
        "With a policy that is missing or misspelt receivers act as if there were p=none, or no record at all.",
        "RFC 9989 section 4.10.1",
        Gravity.CRITICAL,
    ),
    Check(
        CheckId.DMARC_05,
        "how strong the policy is",
        "With p=none anybody can send refund mail in our name, and receivers are asked to do nothing about it.",
        "RFC 9989 section 4.7",
        Gravity.WARNING,
    ),
    Check(
        CheckId.DMARC_06,
        "subdomains are protected as well",
        "A weaker policy for subdomains, or for those that do not exist, lets others send from refunds.our-domain.",
        "RFC 9989 section 4.7",
        Gravity.WARNING,
    ),
    Check(
        CheckId.DMARC_07,
        "no tags that were removed",
        "pct, rf and ri are gone; receivers that have not moved yet still apply pct, and let the rest through.",
        "RFC 9989 appendix A.6",
        Gravity.WARNING,
    ),
    Check(
        CheckId.DMARC_08,
        "aggregate reports have somewhere to go",
        "Without reports nobody learns that receivers cannot authenticate the refund mail.",
        "RFC 9989 section 4.7, RFC 9990",
        Gravity.WARNING,
    ),
    Check(
        CheckId.DMARC_09,
        "destinations outside the organization agree to take reports",
        "Receivers send no report to a foreign domain that does not publish its consent; the reports are lost without a word.",
        "RFC 9990 (RFC 7489 section 7.1)",
        Gravity.ERROR,
    ),
    Check(
        CheckId.DMARC_10,
        "the delivered mail passes DMARC",
        "Mail that fails goes to junk or is refused, as our own policy demands; with only one aligned identifier one fault breaks it.",
        "RFC 9989 section 5.3",
        Gravity.CRITICAL,
    ),
    Check(
        CheckId.DMARC_11,
        "the receiver came to the same DMARC verdict as we",
        "A receiver that judges otherwise sees other records or another copy of the mail than we do.",
        "RFC 8601 section 2.7",
        Gravity.WARNING,
    ),
    Check(
        CheckId.DMARC_12,
        "the tree walk and the public suffix list agree",
        "Receivers are moving from one to the other; where they differ the same mail passes at one and fails at the next.",
        "RFC 9989 section 4.10.2",
        Gravity.WARNING,
    ),
    Check(
        CheckId.DMARC_13,
        "psd says what the domain is",
        "psd=y makes each name below a domain an organization of its own: nothing is aligned with it any more.",
        "RFC 9989 section 4.7",
        Gravity.ERROR,
    ),
    Check(
        CheckId.DMARC_16,
        "each name of the tree walk gives an answer",
        "Receivers that get no answer defer the mail, or judge it without the policy.",
        "RFC 9989 section 5.3.6",
        Gravity.WARNING,
    ),
)
CHECKS = {check.id: check for check in _ALL}
