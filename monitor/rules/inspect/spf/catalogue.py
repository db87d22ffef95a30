"""What the SPF checks are."""

from __future__ import annotations

from typing import Final

from monitor.model.checks import CheckId, Gravity
from monitor.rules.inspect.check import Check

_C, _E, _W, _I = Gravity.CRITICAL, Gravity.ERROR, Gravity.WARNING, Gravity.INFO
_REFUSED = "Receivers treat a permanent error like a missing or failing SPF: refund mail is refused or goes to junk."

CHECKS: Final[dict[CheckId, Check]] = {
    check.id: check
    for check in (
        Check(
            CheckId.SPF_01,
            "an SPF record exists",
            "Without SPF, Outlook refuses bulk mail and Gmail and Yahoo rely on DKIM alone.",
            "RFC 7208 sections 2.3, 4.5",
            _C,
        ),
        Check(CheckId.SPF_02, "exactly one SPF record", _REFUSED, "RFC 7208 sections 3.2, 4.5", _C),
        Check(CheckId.SPF_03, "SPF syntax, included records too", _REFUSED, "RFC 7208 sections 4.6, 5, 12", _C),
        Check(
            CheckId.SPF_04,
            "at most 10 DNS terms",
            "A record that needs more than 10 lookups is a permanent error for every sender that does not match early.",
            "RFC 7208 section 4.6.4",
            _C,
        ),
        Check(CheckId.SPF_05, "at most 2 void lookups", _REFUSED, "RFC 7208 section 4.6.4", _C),
        Check(CheckId.SPF_06, "mx and ptr within their limits", _REFUSED, "RFC 7208 section 4.6.4", _E),
        Check(
            CheckId.SPF_07,
            "every sending address is authorised, and a stranger's is not",
            "Mail from an address that SPF does not authorise fails at Outlook and Gmail; one that authorises everybody protects nobody.",
            "RFC 7208 section 4",
            _C,
        ),
        Check(
            CheckId.SPF_08,
            "mail comes from the declared addresses",
            "A new pool or a changed NAT is not covered by SPF, reverse DNS and reputation.",
            "delivered mail",
            _E,
        ),
        Check(
            CheckId.SPF_09,
            "the record ends with a policy",
            "Without -all or ~all everybody else may send in this domain's name; +all says that they shall.",
            "RFC 7208 sections 4.7, 5.1",
            _E,
        ),
        Check(
            CheckId.SPF_10,
            "no broad networks",
            "Every customer of a hoster inside such a network passes SPF as this domain.",
            "dmarc.org sender practices",
            _W,
        ),
        Check(CheckId.SPF_11, "no ptr", "ptr is slow, unreliable, and SHOULD NOT be published.", "RFC 7208 section 5.5", _W),
        Check(CheckId.SPF_12, "include and redirect lead to SPF records", _REFUSED, "RFC 7208 sections 5.2, 6.1", _C),
        Check(
            CheckId.SPF_13,
            "the record fits into a DNS answer",
            "Receivers whose DNS over TCP is blocked cannot read a long record.",
            "RFC 7208 sections 3.3, 3.4",
            _W,
        ),
        Check(
            CheckId.SPF_14,
            "no dead terms",
            "What stands after all, or in type 99, is never evaluated: somebody believes that it works.",
            "RFC 7208 sections 3.1, 5.1, 6.1",
            _W,
        ),
        Check(
            CheckId.SPF_15,
            "SPF is aligned with the author domain",
            "Outlook and DMARC count an SPF pass only for the domain in From.",
            "RFC 9989 section 4.4.2",
            _E,
        ),
        Check(
            CheckId.SPF_16,
            "the HELO name does not fail SPF",
            "Delivery status notifications have no envelope sender: receivers check the HELO name.",
            "RFC 7208 section 2.4",
            _W,
        ),
        Check(
            CheckId.SPF_17,
            "names that do not send say so",
            "A host name without SPF can be used by anybody as envelope sender.",
            "M3AAWG parked domains",
            _I,
        ),
        Check(CheckId.SPF_18, "evaluation is quick", "Receivers give up after about 20 seconds.", "RFC 7208 section 4.6.4", _W),
        Check(
            CheckId.SPF_19,
            "macros and explanations",
            "%{p} depends on the client's reverse DNS, which is slow and often wrong.",
            "RFC 7208 sections 6.2, 7",
            _W,
        ),
        Check(
            CheckId.SPF_20,
            "every name of the tree answers",
            "One name server that does not answer makes SPF a temporary error: receivers defer refund mail.",
            "RFC 7208 section 5.2",
            _E,
        ),
    )
}
