"""Audits as they come out of an inspection: sound, broken, dark, hostile; and what draws them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console

from monitor.model.checks import CheckId, CheckResult, Gravity, Profile, ProviderAnswer
from monitor.model.inspection import Drift, DriftState, FacetKind, Selector, Subject
from monitor.rules.inspect.check import Check
from monitor.rules.mailauth.spf import Node
from monitor.surface.audit.document import Audited, Document, Origin, audit_document, domain_document
from monitor.surface.audit.text import print_audit

NOW = 1_795_348_800.0  # 2026-11-22T12:00:00Z
AT = CheckId.SPF_07
SPF = Check(AT, "the sending address is authorised", "Receivers reject or junk mail from it.", "RFC 7208 section 4", Gravity.CRITICAL)
PTR = Check(CheckId.IP_02, "reverse DNS leads back", "Gmail refuses mail without it.", "Gmail 5.7.25", Gravity.ERROR)
KEY = Check(CheckId.DKIM_K1, "the key is published", "No signature can be verified.", "RFC 6376 section 3.6.2", Gravity.CRITICAL)
TTL = Check(CheckId.DNS_07, "TTLs are sensible", "Changes take too long, or too many questions are asked.", "own", Gravity.WARNING)
CATALOGUE: Mapping[CheckId, Check] = {check.id: check for check in (SPF, PTR, KEY, TTL)}
ESC = "\x1b[31m\x1b]0;owned\x07"


def subject(domain: str = "shop.test", **changes: Any) -> Subject:
    return replace(Subject(domain, NOW, egress=("192.0.2.10",), selectors=(Selector(domain, "s1"),)), **changes)


def good(domain: str = "shop.test") -> tuple[CheckResult, ...]:
    return (
        SPF.passed("192.0.2.10", "pass by ip4:192.0.2.10"),
        PTR.passed("192.0.2.10", "mail.shop.test, and back"),
        KEY.passed(f"s1._domainkey.{domain}", "RSA, 2048 bits"),
        TTL.noted(domain, "3600 s"),
    )


def bad(domain: str = "shop.test") -> tuple[CheckResult, ...]:
    return (
        TTL.warned(domain, "the TTL of TXT is 60 s", mend="raise it to 3600"),
        PTR.failed("192.0.2.10", "has no PTR record", mend="ask whoever owns the address for one"),
        SPF.failed(
            "192.0.2.10",
            "softfail: no term matches it",
            "v=spf1 ip4:198.51.100.0/24 ~all",
            "add the address to the record",
            f'{domain}. 3600 IN TXT "v=spf1 ip4:198.51.100.0/24 ip4:192.0.2.10 ~all"',
        ),
        KEY.unknown(f"s1._domainkey.{domain}", "no answer within 5 s"),
    )


ANSWERS = (
    ProviderAnswer(Profile.GMAIL, 9, 10, (CheckId.IP_02,)),
    ProviderAnswer(Profile.YAHOO, 7, 8, (), (CheckId.DKIM_K1,)),
    ProviderAnswer(Profile.APPLE, 6, 6),
)
TREE = Node(
    "shop.test",
    "shop.test",
    lookups=7,
    record="v=spf1 include:_spf.esp.test ip4:192.0.2.10 ~all",
    children=(
        Node(
            "include:_spf.esp.test",
            "shop.test",
            lookups=7,
            result="no match",
            record="v=spf1 ip4:198.51.100.0/24 mx -all",
            children=(Node("ip4:198.51.100.0/24", "_spf.esp.test"), Node("mx", "_spf.esp.test", lookups=1, voids=1)),
        ),
        Node("ip4:192.0.2.10", "shop.test", result="match"),
        Node("~all", "shop.test"),
    ),
)
DRIFT = Drift(
    FacetKind.DKIM,
    "s1._domainkey.shop.test",
    "k=rsa 2048",
    "",
    Gravity.CRITICAL,
    "selector s1's key record vanished",
    DriftState.PROPAGATING,
    NOW,
    NOW + 300,
    300,
)


def broken(domain: str = "shop.test", **changes: Any) -> Audited:
    whole = Audited(subject(domain), bad(domain), ANSWERS, (DRIFT,), TREE, NOW, 0.4, 31, 2, origin=Origin.FLAGS)
    return replace(whole, **changes)


def sound(domain: str = "shop.test", **changes: Any) -> Audited:
    return (
        broken(domain, results=good(domain), answers=ANSWERS[2:], drifts=(), failed=0) if not changes else replace(sound(domain), **changes)
    )


def document(*audited: Audited, strict: bool = False, wanted: int | None = None, notes: Sequence[str] = (), blind: str = "") -> Document:
    rows = [domain_document(one, CATALOGUE, strict) for one in audited]
    wanted = len(rows) if wanted is None else wanted
    return audit_document(rows, at=NOW, seconds=0.5, resolvers=("192.0.2.53",), strict=strict, wanted=wanted, notes=notes, blind=blind)


def text(drawn: Document, width: int = 100, everything: bool = False, **more: Any) -> str:
    paper = io.StringIO()
    print_audit(drawn, Console(file=paper, width=width, **more), everything)
    return "\n".join(line.rstrip() for line in paper.getvalue().splitlines()) + "\n"
