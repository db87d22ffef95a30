"""The checks of a domain beside checkdmarc, and SPF on a recorded snapshot beside pyspf.

Both ask the same BIND through the same proxy, which lets each answer wait 30 ms. Theirs: check_spf, check_dmarc and check_mx without TLS,
which is what both sides have; its look at DNSSEC for the MX hosts cannot be switched off, so it asks the same server. Ours: the
families of the same names (SPF, DMARC, MX), and, in a second figure, everything that the audit does without connecting to mail servers,
DNSSEC included. Their resolver caches within one call chain as it does for its users; ours is new for each domain, except in the figure
for a thousand domains, whose point are the shared includes.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from bench.rows import Row
from monitor.edge.clock import SystemClock
from monitor.edge.dns import DnsResolver
from monitor.edge.suffixes import PublicSuffixes
from monitor.gathering import gather
from monitor.model.checks import CheckResult
from monitor.model.dns import Snapshot
from monitor.model.inspection import Subject
from monitor.rules.inspect import inspect
from monitor.rules.inspect.dmarc import judge as dmarc_checks
from monitor.rules.inspect.mx import judge as mx_checks
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.spf import judge as spf_checks
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.spf import check_host
from tests.real.bind import Bind

DELAY = 30.0  # milliseconds
MANY = 1_000
FEW = 20
AT_ONCE = 50
SUFFIXES = PublicSuffixes()


def zone(count: int) -> str:
    """Domains as shops have them: two MX hosts, an own network and two providers in SPF, DMARC with reports to somebody else."""
    lines = [
        'reports A 127.0.0.1\nreports MX 10 mx.reports\nmx.reports A 192.0.2.25\n*._report._dmarc.reports TXT "v=DMARC1"',
        '_spf.one TXT "v=spf1 include:_a.one.test include:_b.one.test ~all"',
        '_a.one TXT "v=spf1 ip4:192.0.2.0/25 ip4:198.51.100.0/25 ~all"',
        '_b.one TXT "v=spf1 ip4:203.0.113.0/25 ip6:2001:db8:1::/48 ~all"',
        'two TXT "v=spf1 include:_c.two.test ip4:198.51.100.128/26 -all"',
        '_c.two TXT "v=spf1 ip4:203.0.113.128/26 -all"',
    ]
    for number in range(count):
        name = f"d{number}"
        lines.append(
            f"{name} A 192.0.2.80\n{name} MX 10 mx1.{name}\n{name} MX 20 mx2.{name}\nmx1.{name} A 192.0.2.25\nmx2.{name} A 198.51.100.25\n"
            f'{name} TXT "v=spf1 mx a:out.{name}.test include:_spf.one.test include:two.test -all"\nout.{name} A 192.0.2.26\n'
            f'_dmarc.{name} TXT "v=DMARC1; p=reject; rua=mailto:d@reports.test"'
        )
    return "\n".join(lines) + "\n"


@contextlib.asynccontextmanager
async def delayed(port: int) -> AsyncIterator[int]:
    proxy = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.delay", str(port), str(DELAY), stdout=asyncio.subprocess.PIPE)
    assert proxy.stdout is not None
    try:
        yield int(await proxy.stdout.readline())
    finally:
        proxy.terminate()
        await proxy.wait()


def resolver(port: int) -> DnsResolver:
    return DnsResolver((f"127.0.0.1:{port}",), 5.0, port, SystemClock())


def subject(domain: str) -> Subject:
    return Subject(domain, time.time(), transport=False)


def same_checks(domain: str) -> Callable[[Lookup], tuple[CheckResult, ...]]:
    families: tuple[Callable[[Scene], Iterator[CheckResult]], ...] = (spf_checks, dmarc_checks, mx_checks)

    def rule(lookup: Lookup) -> tuple[CheckResult, ...]:
        scene = Scene(subject(domain), lookup, SUFFIXES)
        return tuple(result for family in families for result in family(scene))

    return rule


async def audit() -> list[Row]:
    """Per domain, one after another; a thousand domains; SPF on a snapshot."""
    with Bind({"test": zone(MANY)}) as bind:
        async with delayed(bind.resolver) as port:
            SUFFIXES.registrable("shop.example")  # loaded before anything is timed
            same, full = await _one_by_one(port)
            theirs = await asyncio.to_thread(_checkdmarc, port)
            took, asked = await _many(port)
    medians = [statistics.median(values) for values in (same, full, theirs)]
    rows = [
        Row(
            f"SPF, DMARC and MX checks of a domain, {FEW} domains, answers delayed by {DELAY:.0f} ms",
            f"{medians[0] * 1000:.0f} ms (all checks of the audit: {medians[1] * 1000:.0f} ms)",
            f"checkdmarc {medians[2] * 1000:.0f} ms",
            medians[0] / medians[2],
            "<= 0.1 x checkdmarc",
            medians[0] <= 0.1 * medians[2],
        ),
        Row(
            f"DNS checks of {MANY} domains in one process, shared includes cached",
            f"{MANY / took * 60:.0f} domains a minute ({asked / took:.0f} questions/s)",
            f"checkdmarc, one after another: {60 / medians[2]:.0f} a minute",
            None,
            ">= 1,000 a minute",
            MANY / took * 60 >= 1000,
        ),
    ]
    return [*rows, *_replayed()]


async def _one_by_one(port: int) -> tuple[list[float], list[float]]:
    same: list[float] = []
    full: list[float] = []
    for number in range(FEW):
        for rule, times in ((same_checks(f"d{number}.test"), same), (_whole(f"d{number}.test"), full)):
            asker = resolver(port)
            began = time.perf_counter()
            await gather(rule, asker, None, 60.0)
            times.append(time.perf_counter() - began)
            await asker.close()
    return same, full


def _whole(domain: str) -> Callable[[Lookup], Any]:
    return lambda lookup: inspect(subject(domain), lookup, SUFFIXES)


async def _many(port: int) -> tuple[float, int]:
    asker = resolver(port)
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> int:
        async with room:
            _, lookup = await gather(_whole(f"d{number}.test"), asker, None, 60.0)
            return len(lookup.answers)

    began = time.perf_counter()
    asked = sum(await asyncio.gather(*(one(number) for number in range(MANY))))
    took = time.perf_counter() - began
    await asker.close()
    return took, asked


def _checkdmarc(port: int) -> list[float]:
    import checkdmarc.dmarc
    import checkdmarc.smtp
    import checkdmarc.spf
    import dns.nameserver
    import dns.resolver

    times = []
    for number in range(FEW):
        domain = f"d{number}.test"
        asker = dns.resolver.Resolver(configure=False)
        here = [dns.nameserver.Do53Nameserver("127.0.0.1", port)]
        asker.nameservers = here
        asker.cache = dns.resolver.LRUCache()
        began = time.perf_counter()
        found = [
            checkdmarc.spf.check_spf(domain, resolver=asker, timeout=5.0),
            checkdmarc.dmarc.check_dmarc(domain, resolver=asker, timeout=5.0),
            checkdmarc.smtp.check_mx(domain, nameservers=here, resolver=asker, timeout=5.0, skip_tls=True),  # DNSSEC asks `nameservers`
        ]
        times.append(time.perf_counter() - began)
        if any("error" in each for each in found):
            raise RuntimeError(f"checkdmarc finds fault with {domain}: {found}")
    return times


# --- SPF on a recorded snapshot ------------------------------------------------------------------------------------------

RECORDS = {
    "an address": {"a.test": "v=spf1 ip4:192.0.2.0/24 -all"},
    "an include tree": {
        "a.test": "v=spf1 include:b.test include:c.test -all",
        "b.test": "v=spf1 ip4:198.51.100.0/24 include:d.test ~all",
        "c.test": "v=spf1 ip4:203.0.113.0/24 ip6:2001:db8::/32 ~all",
        "d.test": "v=spf1 ip4:192.0.2.128/26 ip4:192.0.2.10 ~all",
    },
    "forty networks": {"a.test": "v=spf1 " + " ".join(f"ip4:198.51.{n}.0/24" for n in range(40)) + " ip4:192.0.2.10 -all"},
}
ADDRESS = "192.0.2.10"
TIMES = 2_000


def _replayed() -> list[Row]:
    import spf as pyspf

    from monitor.model.dns import Answer, Outcome, Question, RecordType

    rows = []
    for what, records in RECORDS.items():
        snapshot: Snapshot = {}
        snapshot = {(q := Question(name, RecordType.TXT)): Answer(q, Outcome.FOUND, (text,), 300) for name, text in records.items()}

        def ours(known: Snapshot = snapshot) -> str:
            return str(check_host(Lookup(known), ADDRESS, "a.test", "refunds@a.test", "mail.a.test", 0.0).result)

        def looked_up(name: str, kind: str, *_: Any, known: dict[str, str] = records, **__: Any) -> list[Any]:
            return [((name, "TXT"), (known[name].encode(),))] if kind == "TXT" and name in known else []

        def theirs() -> str:
            return str(pyspf.query(i=ADDRESS, s="refunds@a.test", h="mail.a.test").check()[0])

        pyspf.DNSLookup = looked_up
        if ours() != "pass" or theirs() != "pass":
            raise RuntimeError(f"{what}: ours {ours()}, pyspf {theirs()}")
        own, other = _timed(ours), _timed(theirs)
        rows.append(
            Row(
                f"SPF of {what} on a recorded snapshot, {TIMES} times",
                f"{own * 1e6:.0f} us",
                f"pyspf {other * 1e6:.0f} us",
                own / other,
                "<= 5 x pyspf",
                own <= 5 * other,
            )
        )
    return rows


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    for _ in range(TIMES):
        call()
    return (time.perf_counter() - began) / TIMES
