"""The checks of the zone and of delivered mail by id, and what one of them found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckId(StrEnum):
    SPF_01 = "SPF-01"
    SPF_02 = "SPF-02"
    SPF_03 = "SPF-03"
    SPF_04 = "SPF-04"
    SPF_05 = "SPF-05"
    SPF_06 = "SPF-06"
    SPF_07 = "SPF-07"
    SPF_08 = "SPF-08"
    SPF_09 = "SPF-09"
    SPF_10 = "SPF-10"
    SPF_11 = "SPF-11"
    SPF_12 = "SPF-12"
    SPF_13 = "SPF-13"
    SPF_14 = "SPF-14"
    SPF_15 = "SPF-15"
    SPF_16 = "SPF-16"
    SPF_17 = "SPF-17"
    SPF_18 = "SPF-18"
    SPF_19 = "SPF-19"
    SPF_20 = "SPF-20"
    DKIM_K1 = "DKIM-K1"
    DKIM_K2 = "DKIM-K2"
    DKIM_K3 = "DKIM-K3"
    DKIM_K4 = "DKIM-K4"
    DKIM_K5 = "DKIM-K5"
    DKIM_K6 = "DKIM-K6"
    DKIM_K7 = "DKIM-K7"
    DKIM_K8 = "DKIM-K8"
    DKIM_K9 = "DKIM-K9"
    DKIM_K10 = "DKIM-K10"
    DKIM_K11 = "DKIM-K11"
    DKIM_K12 = "DKIM-K12"
    DKIM_M1 = "DKIM-M1"
    DKIM_M2 = "DKIM-M2"
    DKIM_M3 = "DKIM-M3"
    DKIM_M4 = "DKIM-M4"
    DKIM_M5 = "DKIM-M5"
    DKIM_M6 = "DKIM-M6"
    DKIM_M7 = "DKIM-M7"
    DKIM_M8 = "DKIM-M8"
    DKIM_M9 = "DKIM-M9"
    DKIM_M10 = "DKIM-M10"
    DKIM_M11 = "DKIM-M11"
    DKIM_M12 = "DKIM-M12"
    DKIM_M13 = "DKIM-M13"
    DMARC_01 = "DMARC-01"
    DMARC_02 = "DMARC-02"
    DMARC_03 = "DMARC-03"
    DMARC_04 = "DMARC-04"
    DMARC_05 = "DMARC-05"
    DMARC_06 = "DMARC-06"
    DMARC_07 = "DMARC-07"
    DMARC_08 = "DMARC-08"
    DMARC_09 = "DMARC-09"
    DMARC_10 = "DMARC-10"
    DMARC_11 = "DMARC-11"
    DMARC_12 = "DMARC-12"
    DMARC_13 = "DMARC-13"
    DMARC_16 = "DMARC-16"  # 14 and 15 need the aggregate reports
    MX_01 = "MX-01"
    MX_02 = "MX-02"
    MX_03 = "MX-03"
    MX_04 = "MX-04"
    MX_05 = "MX-05"
    MX_06 = "MX-06"
    MX_07 = "MX-07"
    DNS_02 = "DNS-02"
    DNS_06 = "DNS-06"
    DNS_07 = "DNS-07"
    DNS_08 = "DNS-08"
    DNS_10 = "DNS-10"
    DNS_11 = "DNS-11"
    DNS_14 = "DNS-14"
    IP_01 = "IP-01"
    IP_02 = "IP-02"
    IP_03 = "IP-03"
    IP_04 = "IP-04"
    IP_05 = "IP-05"
    TLS_01 = "TLS-01"
    TLS_02 = "TLS-02"
    TLS_04 = "TLS-04"
    TLS_05 = "TLS-05"
    TLS_06 = "TLS-06"
    TLS_09 = "TLS-09"
    AR_01 = "AR-01"
    AR_02 = "AR-02"
    PLC_02 = "PLC-02"
    MSG_01 = "MSG-01"


class Status(StrEnum):
    """`unknown` could not be tested and is neither fail nor pass; `skip` has nothing to test."""

    PASS = "pass"
    INFO = "info"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"
    SKIP = "skip"


class Gravity(StrEnum):
    """How bad it is. An unknown has the gravity that its failure would have."""

    CRITICAL = "critical"  # delivery is broken, or will be: pages
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found about one thing: a domain, a name, an address, a mailbox. A finding is one that is no pass and no skip."""

    check: CheckId
    status: Status
    about: str
    gravity: Gravity  # of this result; INFO with pass and skip
    saw: str  # one line: what was seen, or why it could not be
    record: str = ""  # the record as it was found
    mend: str = ""  # what to do, in plain words
    publish: str = ""  # the exact record to publish, as a line of a zone file

    @property
    def is_finding(self) -> bool:
        return self.status not in (Status.PASS, Status.SKIP)

    @property
    def is_bad(self) -> bool:
        """It counts against the domain."""
        return self.status is Status.FAIL or self.status is Status.WARN


class Profile(StrEnum):
    """Whose demands a sender has to meet."""

    GMAIL = "gmail"
    YAHOO = "yahoo"
    OUTLOOK = "outlook"
    APPLE = "apple"
    PROTECTED = "protected"  # ours: nobody else can send in this domain's name


@dataclass(frozen=True, slots=True)
class ProviderAnswer:
    """`Gmail: 9/10, blocked by IP-02`."""

    profile: Profile
    passed: int
    asked: int
    blocked_by: tuple[CheckId, ...] = ()
    unknown: tuple[CheckId, ...] = ()
    untested: tuple[CheckId, ...] = ()  # demands of which nobody said what they need
