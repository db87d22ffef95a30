"""A DMARC record (RFC 9989 section 4.7)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """`tags` as they stand, in order; the others as they are understood. Faults are in plain words."""

    text: str
    tags: tuple[tuple[str, str], ...]
    policy: str = "none"  # p=
    subdomain_policy: str = ""  # sp=; empty: not given
    missing_policy: str = ""  # np=
    strict_dkim: bool = False  # adkim=s
    strict_spf: bool = False  # aspf=s
    suffix: str = "u"  # psd=: y, n, u
    testing: bool = False  # t=y
    percentage: int = 100  # pct=, of RFC 7489
    aggregate: tuple[str, ...] = ()  # rua=
    forensic: tuple[str, ...] = ()  # ruf=
    faults: tuple[str, ...] = ()
