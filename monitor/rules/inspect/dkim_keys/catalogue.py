"""The checks of DKIM key records."""

from __future__ import annotations

from monitor.model.checks import CheckId, Gravity
from monitor.rules.inspect.check import Check

CHECKS: dict[CheckId, Check] = {
    check.id: check
    for check in (
        Check(
            CheckId.DKIM_K1,
            "the key record exists",
            "Without it no receiver can verify the signature, and DMARC then rests on SPF alone: forwarded refund mail is lost.",
            "RFC 6376 section 3.6.2",
            Gravity.CRITICAL,
        ),
        Check(
            CheckId.DKIM_K2,
            "the key record keeps to the syntax",
            "Receivers ignore a record that they cannot read: the signature fails everywhere.",
            "RFC 6376 section 3.6.1",
            Gravity.CRITICAL,
        ),
        Check(
            CheckId.DKIM_K3,
            "the key in use is not revoked",
            "An empty p= tells all receivers to refuse signatures of this selector.",
            "RFC 6376 section 3.6.1",
            Gravity.CRITICAL,
        ),
        Check(
            CheckId.DKIM_K4,
            "the key is of a kind and length that receivers accept",
            "Receivers must not accept RSA keys below 1024 bits; Gmail and Yahoo recommend 2048.",
            "RFC 8301 section 3.2, RFC 8463 section 4",
            Gravity.CRITICAL,
        ),
        Check(
            CheckId.DKIM_K5,
            "an RSA signature stands beside Ed25519",
            "Some receivers do not verify Ed25519: to them the mail is unsigned.",
            "RFC 8463 section 4",
            Gravity.ERROR,
        ),
        Check(
            CheckId.DKIM_K6,
            "the key is not in test mode",
            "Receivers may treat mail signed with a t=y key as unsigned.",
            "RFC 6376 section 3.6.1",
            Gravity.WARNING,
        ),
        Check(
            CheckId.DKIM_K7,
            "A strict key is used strictly",
            "With t=s a signature whose i= lies in a subdomain of d= is invalid.",
            "RFC 6376 section 3.6.1",
            Gravity.CRITICAL,
        ),
        Check(
            CheckId.DKIM_K8,
            "the key allows what it is used for",
            "A key whose h=, s= or k= does not fit the signature makes it invalid.",
            "RFC 6376 section 3.6.1",
            Gravity.CRITICAL,
        ),
        Check(
            CheckId.DKIM_K9,
            "one record at the selector",
            "With several records it is undefined which one a receiver takes: mail passes at one and fails at the next.",
            "RFC 6376 section 3.6.2.2",
            Gravity.ERROR,
        ),
        Check(
            CheckId.DKIM_K10,
            "A delegated selector leads to a key",
            "A CNAME to a name that is gone makes every signature fail, and whoever registers that name can sign as you.",
            "practice of sending services",
            Gravity.CRITICAL,
        ),
        Check(
            CheckId.DKIM_K11,
            "the key is changed now and then",
            "An old key has had more time to leak; whoever holds it can sign refund mail as you.",
            "M3AAWG DKIM key rotation",
            Gravity.WARNING,
        ),
        Check(
            CheckId.DKIM_K12,
            "the private half is not public",
            "Keys printed in standards or shipped with software let anybody sign as you.",
            "monitor/rules/mailauth/dkim/known.py",
            Gravity.WARNING,
        ),
    )
}
