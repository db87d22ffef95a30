"""A whole inspection of the worst zones that we can think of: every name exists, everything is as big as a message can carry. Its work is
bounded, in processor time; a rule that goes through what a stranger publishes more than once would not end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from monitor.gathering import gather
from monitor.model.dns import Answer, Outcome, Question, RecordType
from monitor.model.inspection import Selector, Subject
from monitor.model.transport import Certificate, Endpoint, Reached, ServerKind, TransportSeen
from monitor.rules.inspect import Inspection, inspect
from monitor.rules.inspect.facets import observe
from monitor.rules.lookup import Lookup
from tests.fakes.resolver import FakeResolver
from tests.fakes.transport import FakeTransport
from tests.rules.inspect.dkim_worlds import delivered
from tests.rules.inspect.worlds import DOMAIN, NOW, World

BUDGET = 15.0  # seconds of processor time; the worst takes about 4
HUGE = 60_000  # characters: a message carries 65 535 bytes

DMARC = ("v=DMARC1; p=reject; rua=" + ",".join(f"mailto:a@r{number}.evil.test!{number}m" for number in range(3_000)))[:HUGE]
KEY = ("v=DKIM1; " + "".join(f"n{number}=a; " for number in range(3_000)) + "h=" + "sha256:" * 3_000 + "; p=" + "A" * HUGE)[:HUGE]
JUNK = tuple(f"{number} " + "(;=\"'\\" * 80 for number in range(60))
SUBJECT = Subject(
    DOMAIN,
    NOW,
    egress=tuple(f"198.51.100.{number}" for number in range(1, 3)),
    envelope=("em.shop.test",),
    helo=("mail.shop.test",),
    selectors=tuple(Selector(DOMAIN, f"s{number}") for number in range(3)),
    mails=tuple(delivered(route=f"app/m{number}") for number in range(3)),
)
SEEN = TransportSeen(
    Endpoint(ServerKind.MX, "", 25),
    Reached.AGAIN,
    reply="x" * 5_000,
    offers_tls=True,
    version="TLSv1.3",
    certificate=Certificate(tuple(f"*.n{number}.test" for number in range(100)), NOW - 1, NOW + 1, "x" * 200, False, False, "y" * 500),
)

Says = Callable[[str], str]


def filled(start: str, term: Callable[[int], str]) -> str:
    """An SPF record of as many terms as there is room for."""
    terms: list[str] = []
    size = len(start)
    while size < HUGE:
        terms.append(term(len(terms)))
        size += len(terms[-1]) + 1
    return f"{start} {' '.join(terms)} -all"


def numbered(name: str) -> int:
    """n17.evil.test is the seventeenth; a name of ours none."""
    first = name.partition(".")[0]
    return int(first[1:]) if name.endswith(".evil.test") and first[1:].isdigit() else 0


def below(name: str, number: int) -> str:
    return f"n{(numbered(name) * 31 + number + 1) % 1_000_000}.evil.test"


KINDS: tuple[Callable[[int], str], ...] = (
    lambda n: f"ip4:{n % 223 + 1}.{n // 223}.7.0/24",
    lambda n: f"ip6:2001:{n:x}::/{n % 128 + 1}",
    lambda n: f"exists:{'%{l1r-.+,/_=}' * 9}%{{i}}.n{n}.evil.test",
    lambda n: f"mx:n{n}.evil.test/{n % 33}",
    lambda n: f"ptr:n{n}.evil.test",
    lambda n: f"a:n{n}.evil.test",
    lambda n: f"i{n}p4:%{{%-{n}",
)
SPF: dict[str, Says] = {
    "every include leads to thirty others": lambda name: "v=spf1 " + " ".join(f"include:{below(name, n)}" for n in range(30)),
    "the same few, thirty times each": lambda name: "v=spf1" + f" include:n{numbered(name) % 9 + 1}.evil.test" * 30,
    "the same few, as often as there is room": lambda name: filled(
        "v=spf1", lambda n: f"include:n{(numbered(name) + n) % 9 + 1}.evil.test"
    ),
    "terms of all other kinds": lambda name: filled("v=spf1", lambda n: KINDS[n % len(KINDS)](n)),
}


def texts(name: str, spf: str) -> tuple[str, ...]:
    if name.startswith("_dmarc."):
        return (DMARC,)
    if "._report._dmarc." in name:
        return ("v=DMARC1; " * 5_000)[:HUGE], *JUNK
    if "._domainkey." in name:
        return (KEY, KEY + "=")
    return (spf, *JUNK)


def zone(says: Says) -> Callable[[Question], Answer]:
    spf: dict[str, str] = {}

    def answer(question: Question) -> Answer:
        name, records = question.name, tuple[str, ...]()
        match question.rtype:
            case RecordType.TXT | RecordType.SPF:
                if name not in spf:
                    spf[name] = says(name)
                records = texts(name, spf[name])
            case RecordType.MX:
                records = tuple(f"{number} {below(name, number)}" for number in range(50))
            case RecordType.NS | RecordType.PTR:
                records = tuple(below(name, number) for number in range(50))
            case RecordType.A:
                records = tuple(f"192.0.2.{number}" for number in range(1, 60))
            case RecordType.AAAA:
                records = tuple(f"2001:db8::{number:x}" for number in range(1, 60))
            case RecordType.SOA:
                records = ("ns.evil.test h.evil.test 4294967295 1 1 1 1",)
            case RecordType.DS:
                records = tuple(f"{number} 13 2 aabb" for number in range(50))
            case RecordType.DNSKEY:
                records = tuple(f"257 3 13 {number}" for number in range(50))
            case RecordType.CNAME:
                records = tuple(below(name, number) for number in range(9)) if numbered(name) % 2 else ()
        chained = question.rtype in (RecordType.A, RecordType.AAAA) and numbered(name) % 2
        chain = tuple(f"c{number}.{name}" for number in range(16)) if chained else ()
        outcome = Outcome.FOUND if records else Outcome.NODATA
        return Answer(question, outcome, records, 2_147_483_647, chain, authoritative=bool(question.server), size=65_535, at=NOW)

    return answer


async def inspected(says: Says) -> Inspection:
    suffixes = World()
    resolver = FakeResolver(answer=zone(says))
    transport = FakeTransport({f"192.0.2.{number}": SEEN for number in range(60)})
    meant, _ = await gather(lambda lookup: observe(SUBJECT, lookup), FakeResolver(), None, 60.0)
    subject = replace(SUBJECT, baseline=meant.facets)

    def rule(lookup: Lookup) -> Inspection:
        return inspect(subject, lookup, suffixes)

    result, _ = await gather(rule, resolver, transport, 60.0)
    return result


@pytest.mark.hostile
@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", SPF)
async def test_the_worst_zone_is_inspected_in_bounded_time(name: str) -> None:
    began = time.process_time()
    found = await inspected(SPF[name])
    assert time.process_time() - began < BUDGET
    assert found.results and len(found.results) < 2_000
