"""DNS-06: CNAMEs at the names that mail looks at."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.model.checks import CheckId, CheckResult
from monitor.model.dns import Answer, Outcome, RecordType, mx_of
from monitor.rules.inspect.authority import zone_of
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.zone.catalogue import CHECKS
from monitor.rules.inspect.zonefile import shown

_MOST_NAMES = 20
_ADDRESSES = (RecordType.A, RecordType.AAAA)


def judge(scene: Scene, domains: tuple[str, ...], zones: tuple[str, ...]) -> Iterator[CheckResult]:
    """One result for each name with a fault; one for the domain when there is none."""
    check = CHECKS[CheckId.DNS_06]
    looked = 0
    quiet = True
    for name, kinds in list(_names(scene, domains).items())[:_MOST_NAMES]:
        looked += 1
        apex = name in zones or name == scene.suffixes.registrable(name)
        if (result := _name(scene, name, kinds, apex)) is not None:
            quiet = False
            yield result
    if quiet:
        yield check.passed(scene.subject.domain, f"{looked} names: each CNAME stands alone and leads somewhere")


def _names(scene: Scene, domains: tuple[str, ...]) -> dict[str, tuple[RecordType, ...]]:
    """What is asked for at each name; the hosts of the MX are told by their addresses."""
    subject = scene.subject
    names: dict[str, tuple[RecordType, ...]] = {}
    for domain in domains:
        names[domain] = (RecordType.TXT, RecordType.MX)
        names |= {host: _ADDRESSES for _, host in map(mx_of, scene.lookup.ask(domain, RecordType.MX).records) if host != "."}
    names[f"_dmarc.{subject.domain}"] = (RecordType.TXT,)
    names |= {f"{selector.name}._domainkey.{selector.domain}": (RecordType.TXT,) for selector in subject.selectors if not selector.retired}
    return names | {helo: _ADDRESSES for helo in subject.helo if "." in helo and not helo.startswith("[")}


def _name(scene: Scene, name: str, kinds: tuple[RecordType, ...], apex: bool) -> CheckResult | None:
    check = CHECKS[CheckId.DNS_06]
    alias = scene.lookup.ask(name, RecordType.CNAME)
    answers = [scene.lookup.ask(name, kind) for kind in kinds]
    if any(_loops(name, answer) for answer in answers):
        return check.failed(name, f"its CNAMEs go in a circle: {shown(' -> '.join(_longest(answers)))}", mend="break the circle")
    if alias.failed:
        return check.unknown(name, f"whether it is a CNAME: {alias.detail}")
    if not alias.found:
        return None
    record = f"{name}. IN CNAME {shown(' '.join(alias.records))}."
    if apex:
        return check.failed(
            name, "a CNAME at the top of a zone: MX, SPF and SOA there are not seen", record, "publish the records themselves"
        )
    if len(alias.records) > 1:
        return check.failed(name, f"{len(alias.records)} CNAMEs at one name", record, "keep one")
    if _beside(scene, name, kinds):
        return check.failed(
            name, "other records stand beside the CNAME, and are seen by some only", record, "keep the CNAME or the records"
        )
    if failed := next((answer for answer in answers if answer.failed), None):
        return check.unknown(name, f"where its CNAME leads: {failed.detail}")
    if all(answer.void for answer in answers):
        gone = "does not exist" if answers[0].outcome is Outcome.NXDOMAIN else "has no such record"
        return check.failed(
            name, f"its CNAME leads to {shown(' '.join(alias.records))}, which {gone}", record, "restore the target or remove the CNAME"
        )
    if kinds is _ADDRESSES and len(_longest(answers)) > 1:
        return check.warned(name, f"a chain of {len(_longest(answers))} CNAMEs before an address", record, "point it to the host itself")
    return None


def _beside(scene: Scene, name: str, kinds: tuple[RecordType, ...]) -> bool:
    """Asked of a server of the zone itself: a resolver follows the CNAME and shows nothing else."""
    zone = zone_of(scene.lookup, name, scene.subject.private_addresses)
    answers = [scene.lookup.ask(name, kind, address) for address in zone.addresses[:1] for kind in kinds]
    return any(answer.found and answer.authoritative and not answer.chain for answer in answers)


def _loops(name: str, answer: Answer) -> bool:
    return name in answer.chain or len(set(answer.chain)) < len(answer.chain)


def _longest(answers: list[Answer]) -> tuple[str, ...]:
    return max((answer.chain for answer in answers), key=len)
