"""Verdicts, reasons and symptoms: closed sets, the same words in code, metrics, pages and docs."""

from __future__ import annotations

from enum import StrEnum

from monitor.model.checks import CheckId


class Verdict(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"  # not enough evidence, for a reason outside our process
    ERROR = "error"  # our own fault

    @property
    def exit_code(self) -> int:
        return _EXIT[self]


_EXIT = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 3, Verdict.ERROR: 4}
_WORST = (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.PASS)


def worst(verdicts: list[Verdict]) -> Verdict:
    """The verdict of the whole, by 1 > 4 > 3 > 0; no verdict at all is inconclusive, never a pass."""
    return min(verdicts, key=_WORST.index, default=Verdict.INCONCLUSIVE)


class Reason(StrEnum):
    """Why a verdict is what it is; also the metric label `result`."""

    PASS = "pass"
    REJECTED = "rejected"  # 5xx, or the application said no
    DEFERRED = "deferred"  # 4xx until we gave up
    SUBMIT_UNREACHABLE = "submit_unreachable"  # no connection to the relay or the application
    BOUNCED = "bounced"  # accepted, then a DSN said failed
    MISSING = "missing"  # proven absent from every folder after missing_after
    STALLED = "stalled"  # overdue on several mailboxes while the control path arrives
    LATE = "late"
    SPAM = "spam"
    MISFILED = "misfiled"  # in its own mailbox, but in another folder or tab
    MISROUTED = "misrouted"  # in a mailbox that is not its own, holding mailboxes included
    ALTERED = "altered"  # a named field missing, or a foreign amount of money
    UNAUTHENTICATED = "unauthenticated"
    DUPLICATE = "duplicate"
    MAILBOX_BLIND = "mailbox_blind"
    SUBMIT_UNKNOWN = "submit_unknown"
    SUBMIT_MISCONFIGURED = "submit_misconfigured"
    BUDGET_EXHAUSTED = "budget_exhausted"
    BASELINE_BROKEN = "baseline_broken"
    CLOCK_JUMP = "clock_jump"
    JOURNAL_UNWRITABLE = "journal_unwritable"
    OVERLOADED = "overloaded"
    INTERNAL = "internal"

    @property
    def verdict(self) -> Verdict:
        return VERDICT_OF[self]


class Symptom(StrEnum):
    """What an incident is about; one per family of reasons."""

    DELIVERY_MISSING = "delivery_missing"
    DELIVERY_LATE = "delivery_late"
    DELIVERY_STALLED = "delivery_stalled"
    MISROUTED = "misrouted"
    BOUNCED = "bounced"
    SPAM_PLACEMENT = "spam_placement"
    MISFILED = "misfiled"
    SMTP_REJECT = "smtp_reject"
    CONTENT_WRONG = "content_wrong"
    DUPLICATE = "duplicate"
    AUTH = "auth"
    MAILBOX_BLIND = "mailbox_blind"
    SUBMIT_BLIND = "submit_blind"
    BUDGET = "budget"
    BASELINE = "baseline"
    MONITOR = "monitor"
    STRAY = "stray"  # refund mail that should not be: from no verdict on a probe, but from a tripwire
    IMITATION = "imitation"  # from a tripwire too: refund mail that pretends to be ours
    TRIPWIRE_LEAKED = "tripwire_leaked"  # from a tripwire too: its address is known outside
    GATE_HOLD = "gate_hold"  # from no verdict on a probe either, but from a gate's decision
    AUTH_SPF = "auth_spf"  # this one and those below: from inspections of a sending domain, never from a probe
    AUTH_DKIM = "auth_dkim"
    AUTH_DMARC = "auth_dmarc"
    DNS = "dns"
    TLS = "tls"
    DRIFT = "drift"
    DNS_BLIND = "dns_blind"  # we cannot ask
    LEDGER_MISSING = "ledger_missing"  # this one and those below: from the reconciliation of real refunds
    LEDGER_SPURIOUS = "ledger_spurious"
    LEDGER_MISMATCHED = "ledger_mismatched"
    LEDGER_DUPLICATE = "ledger_duplicate"
    VOLUME = "volume"  # far too few or too many
    LEDGER_BLIND = "ledger_blind"  # a source cannot be read


_TABLE: dict[Reason, tuple[Verdict, Symptom | None]] = {
    Reason.PASS: (Verdict.PASS, None),
    Reason.REJECTED: (Verdict.FAIL, Symptom.SMTP_REJECT),
    Reason.DEFERRED: (Verdict.FAIL, Symptom.SMTP_REJECT),
    Reason.SUBMIT_UNREACHABLE: (Verdict.FAIL, Symptom.SMTP_REJECT),
    Reason.BOUNCED: (Verdict.FAIL, Symptom.BOUNCED),
    Reason.MISSING: (Verdict.FAIL, Symptom.DELIVERY_MISSING),
    Reason.STALLED: (Verdict.FAIL, Symptom.DELIVERY_STALLED),
    Reason.LATE: (Verdict.FAIL, Symptom.DELIVERY_LATE),
    Reason.SPAM: (Verdict.FAIL, Symptom.SPAM_PLACEMENT),
    Reason.MISFILED: (Verdict.FAIL, Symptom.MISFILED),
    Reason.MISROUTED: (Verdict.FAIL, Symptom.MISROUTED),
    Reason.ALTERED: (Verdict.FAIL, Symptom.CONTENT_WRONG),
    Reason.UNAUTHENTICATED: (Verdict.FAIL, Symptom.AUTH),
    Reason.DUPLICATE: (Verdict.FAIL, Symptom.DUPLICATE),
    Reason.MAILBOX_BLIND: (Verdict.INCONCLUSIVE, Symptom.MAILBOX_BLIND),
    Reason.SUBMIT_UNKNOWN: (Verdict.INCONCLUSIVE, Symptom.SUBMIT_BLIND),
    Reason.SUBMIT_MISCONFIGURED: (Verdict.INCONCLUSIVE, Symptom.SUBMIT_BLIND),
    Reason.BUDGET_EXHAUSTED: (Verdict.INCONCLUSIVE, Symptom.BUDGET),
    Reason.BASELINE_BROKEN: (Verdict.INCONCLUSIVE, Symptom.BASELINE),
    Reason.CLOCK_JUMP: (Verdict.INCONCLUSIVE, Symptom.MONITOR),
    Reason.JOURNAL_UNWRITABLE: (Verdict.ERROR, Symptom.MONITOR),
    Reason.OVERLOADED: (Verdict.ERROR, Symptom.MONITOR),
    Reason.INTERNAL: (Verdict.ERROR, Symptom.MONITOR),
}
VERDICT_OF: dict[Reason, Verdict] = {reason: row[0] for reason, row in _TABLE.items()}
SYMPTOM_OF: dict[Reason, Symptom | None] = {reason: row[1] for reason, row in _TABLE.items()}

_FAMILIES: dict[str, Symptom | None] = {
    "SPF": Symptom.AUTH_SPF,
    "DKIM": Symptom.AUTH_DKIM,
    "DMARC": Symptom.AUTH_DMARC,
    "MX": Symptom.DNS,
    "DNS": Symptom.DNS,
    "IP": Symptom.DNS,  # reverse DNS, and the names that are given in EHLO
    "TLS": Symptom.TLS,
    "MSG": Symptom.CONTENT_WRONG,  # malformed mail is refused whatever the zone says: the template or the mailer has to be mended
    # What a receiver wrote into the header. Where mail lands and whether it is authenticated has witnesses of its own - the folder, and our
    # own proof - and no domain has to be mended for a field that we do not trust: shown by the audit, an incident never.
    "AR": None,
    "PLC": None,
}
_OF_THEIR_OWN = {CheckId.DNS_14: Symptom.DRIFT}
SYMPTOM_OF_CHECK: dict[CheckId, Symptom | None] = {
    check: _OF_THEIR_OWN.get(check, _FAMILIES[check.value.partition("-")[0]]) for check in CheckId
}
