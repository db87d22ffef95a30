"""A domain that sends nothing, and says so, has no findings at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.checks import CheckId, CheckResult, Profile
from monitor.model.dns import Answer, DnsFailure, RecordType
from monitor.model.inspection import SeenMail, Selector, Subject
from monitor.model.mailauth import DeliveredMail, MailProof
from monitor.rules.inspect import FAMILIES
from monitor.rules.inspect.parked import parked
from monitor.rules.inspect.scene import Scene
from tests.rules.inspect.worlds import DOMAIN, NOW, Dns, World

SOA = "ns1.example.com h.example.com 1 7200 3600 1209600 3600"


def revoked(answer: Answer) -> Answer:
    wild = answer.question.name.endswith("._domainkey.shop.test") and answer.question.rtype is RecordType.TXT
    return replace(answer, outcome=answer.outcome.FOUND, records=("v=DKIM1; p=",)) if wild else answer


ZONE = Dns(
    {
        "test SOA": [SOA],
        "test NS": ["ns.test"],
        "ns.test A": ["192.0.2.1"],
        "shop.test SOA": [SOA],
        "shop.test NS": ["ns1.example.com", "ns2.example.com"],
        "ns1.example.com A": ["192.0.2.2"],
        "ns2.example.com A": ["198.51.100.3"],
        "shop.test MX": ["0 ."],
        "shop.test TXT": ["v=spf1 -all"],
        "_dmarc.shop.test TXT": ["v=DMARC1; p=reject"],
    },
    changed=revoked,
)
PARKED = World(ZONE, Subject(DOMAIN, NOW, profiles=(Profile.PROTECTED,)))


def bad(world: World) -> list[CheckResult]:
    return [result for family in FAMILIES for result in world.checked(family) if result.is_bad]


def test_nothing_is_found() -> None:
    assert bad(PARKED) == []


def test_once_it_sends_the_same_zone_is_broken() -> None:
    sending = replace(PARKED, subject=replace(PARKED.subject, egress=("192.0.2.9",)))
    assert {CheckId.MX_02, CheckId.DNS_10, CheckId.DMARC_08} <= {result.check for result in bad(sending)}


@pytest.mark.parametrize(
    ("zone", "subject", "expected"),
    [
        (ZONE, {}, True),
        (ZONE.but(**{"shop.test TXT": ["v=SPF1  -ALL", "other"]}), {}, True),
        (ZONE.but(**{"shop.test TXT": ["v=spf1 ~all"]}), {}, False),
        (ZONE.but(**{"shop.test TXT": ["v=spf1 -all", "v=spf1 -all"]}), {}, False),
        (ZONE.but(**{"shop.test TXT": None}), {}, False),
        (replace(ZONE, fails={"shop.test TXT": DnsFailure.TIMEOUT}), {}, None),
        (ZONE, {"selectors": (Selector(DOMAIN, "s1"),)}, False),
        (ZONE, {"envelope": ("bounce.shop.test",)}, False),
        (ZONE, {"observed": (("192.0.2.9", NOW),)}, False),
        (ZONE, {"mails": (SeenMail("r", "p", "m", DeliveredMail(), MailProof(), NOW, NOW),)}, False),
    ],
)
def test_parked(zone: Dns, subject: dict[str, object], expected: bool | None) -> None:
    world = World(zone, replace(PARKED.subject, **subject))  # type: ignore[arg-type]
    assert world.asked(lambda lookup: parked(Scene(world.subject, lookup, world))) is expected
