"""DNS-10: names that nobody published, and that answer all the same."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from monitor.model.checks import CheckId, CheckResult
from monitor.model.dns import RecordType
from monitor.rules.inspect.parked import parked
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.zone.catalogue import CHECKS
from monitor.rules.inspect.zonefile import shown
from monitor.rules.mailauth.dkim.key import read_key


def judge(scene: Scene, domains: tuple[str, ...]) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.DNS_10]
    for domain in domains:
        for below in (f"_domainkey.{domain}", domain):
            answer = scene.lookup.ask(f"{_unused(domain)}.{below}", RecordType.TXT)
            text = shown(" | ".join(answer.records))
            if answer.failed:
                yield check.unknown(f"*.{below} TXT", f"no answer: {answer.detail}")
            elif answer.found and below != domain and all(read_key(record).revoked for record in answer.records) and parked(scene):
                yield check.passed(f"*.{below} TXT", "every DKIM key is revoked, as it befits a domain that sends nothing", text)
            elif answer.found:
                mend = "remove the wildcard, or publish at the names that need the text"
                yield check.warned(f"*.{below} TXT", "a name that nobody published has a TXT record", text, mend)
            else:
                yield check.passed(f"*.{below} TXT", "names that nobody published have none")
        mx = scene.lookup.ask(f"{_unused(domain)}.{domain}", RecordType.MX)
        if mx.found:
            yield check.noted(f"*.{domain} MX", "mail to any name below it is taken", shown(" | ".join(mx.records)))


def _unused(domain: str) -> str:
    """A label that nobody has: the same at each inspection, so that snapshots can be compared."""
    return "mc-" + sha256(f"wildcard {domain}".encode()).hexdigest()[:20]
