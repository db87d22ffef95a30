"""Whose DMARC policy applies to a domain: the tree walk (RFC 9989 section 4.10), and the public suffix list (RFC 7489 section 6.6.3)."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.model.dns import Answer, Outcome, RecordType
from monitor.ports import SuffixList
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.dmarc.record import Record, looks_like, lowered, parse

MOST_QUERIES = 8
_MOST_LABELS = 127  # that fit into a name (RFC 1035 section 2.3.4)


@dataclass(frozen=True, slots=True)
class Discovery:
    """The policy that applies to `domain`. `record` None: there is none. `unknown`: a step of the walk gave no answer; what is said then
    rests on the steps that did, and a record at the domain itself is certain all the same."""

    domain: str
    record: Record | None
    at: str  # the name below which it stands: example.com for _dmarc.example.com
    organizational: str
    walked: tuple[str, ...]  # the names that were asked, in order
    unknown: str = ""  # why it could not be found out; empty when it could
    fault: str = ""  # why what stands there is no record
    policy: str = ""  # for mail of this domain, t=y not counted; empty: no policy
    applied: str = ""  # the same after t=y


@dataclass(frozen=True, slots=True)
class Step:
    """One name of a walk. `record`: the only one there; None when there is none, or several, which then count as none."""

    domain: str
    answer: Answer
    texts: tuple[str, ...] = ()  # all that stands there
    records: tuple[str, ...] = ()  # those that are DMARC records
    record: Record | None = None

    @property
    def name(self) -> str:
        return f"_dmarc.{self.domain}"

    @property
    def several(self) -> bool:
        return len(self.records) > 1


@dataclass(frozen=True, slots=True)
class Walk:
    """The steps of a tree walk up to where it stops."""

    domain: str
    steps: tuple[Step, ...]

    @property
    def unknown(self) -> str:
        """Why a step gave no answer; empty when all did."""
        failed = next((step for step in self.steps if step.answer.failed), None)
        return f"{failed.name}: {failed.answer.detail or failed.answer.failure}" if failed else ""

    @property
    def found(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.record is not None)

    @property
    def organizational(self) -> str:
        """Section 4.10.2. A psd=y at the domain itself does not count: one label below it, on the way to it, is the domain."""
        for step in self.found:
            if step.record is not None and step.record.suffix == "n":
                return step.domain
            if step.record is not None and step.record.suffix == "y":
                return _one_below(step.domain, self.domain)
        return self.found[-1].domain if self.found else self.domain

    def at(self, domain: str) -> Step | None:
        return next((step for step in self.found if step.domain == domain), None)

    @property
    def policy(self) -> Step | None:
        """Where the record stands that applies: at the domain, at its organizational domain, at its public suffix."""
        above = next((step for step in self.found if step.record is not None and step.record.suffix == "y"), None)
        return self.at(self.domain) or self.at(self.organizational) or above


def walk(lookup: Lookup, domain: str) -> Walk:
    """All names are asked for at once, though a walk may stop early: they are at most eight, and one round trip then does."""
    domain = domain.lower().rstrip(".")
    steps = [read(lookup, target) for target in targets(domain)]
    stop = next((at for at, step in enumerate(steps) if step.record is not None and step.record.suffix in "yn"), len(steps))
    return Walk(domain, tuple(steps[: stop + 1]))


def targets(domain: str) -> tuple[str, ...]:
    """The domains of a walk, in order: itself, then upwards from seven labels at most (steps 3, 4 and 7)."""
    labels = domain.split(".", _MOST_LABELS)
    start = max(1, len(labels) - (MOST_QUERIES - 1))
    return (domain, *(".".join(labels[at:]) for at in range(start, len(labels))))


def read(lookup: Lookup, domain: str) -> Step:
    """What stands at `_dmarc.domain`."""
    answer = lookup.ask(f"_dmarc.{domain}", RecordType.TXT)
    records = tuple(text for text in answer.records if looks_like(text))
    return Step(domain, answer, answer.records, records, parse(records[0]) if len(records) == 1 else None)


def discover(lookup: Lookup, domain: str) -> Discovery:
    """The policy that applies to mail of this author domain, by the tree walk."""
    path = walk(lookup, domain)
    existence = lookup.ask(path.domain, RecordType.SOA)  # with the others, so that np= takes no round of its own
    step = path.policy
    walked = tuple(one.name for one in path.steps)
    if step is None or step.record is None:
        several = next((one for one in path.steps if one.several), None)
        fault = f"{len(several.records)} records at {several.name}: all of them are discarded" if several else ""
        return Discovery(path.domain, None, "", path.organizational, walked, path.unknown, fault)
    record = step.record
    if record.fatal:
        return Discovery(path.domain, None, step.domain, path.organizational, walked, path.unknown, record.fatal)
    unknown = path.unknown
    if step.domain != path.domain and record.missing_policy and existence.failed:
        unknown = unknown or f"{path.domain}: whether it exists: {existence.detail or existence.failure}"
    policy = _applies(record, step.domain == path.domain, existence)
    return Discovery(
        path.domain,
        record,
        step.domain,
        path.organizational,
        walked,
        unknown,
        policy=policy,
        applied=lowered(policy) if record.testing else policy,
    )


def shadow_discover(lookup: Lookup, domain: str, suffixes: SuffixList) -> Discovery:
    """The author domain, else the organizational domain by the public suffix list; np, t and psd are not known to those who read so."""
    domain = domain.lower().rstrip(".")
    organizational = suffixes.registrable(domain) or domain
    steps = [read(lookup, name) for name in dict.fromkeys((domain, organizational))]
    walked = tuple(step.name for step in steps)
    failed = next((step for step in steps if step.answer.failed), None)
    unknown = f"{failed.name}: {failed.answer.detail or failed.answer.failure}" if failed else ""
    step = next((one for one in steps if one.record is not None), None)
    if step is None or step.record is None:
        return Discovery(domain, None, "", organizational, walked, unknown)
    if step.domain == domain:
        unknown = ""  # nothing above it matters
    record = step.record
    if record.fatal:
        return Discovery(domain, None, step.domain, organizational, walked, unknown, record.fatal)
    policy = record.policy if step.domain == domain else record.subdomain_policy or record.policy
    return Discovery(domain, record, step.domain, organizational, walked, unknown, policy=policy, applied=policy)


def organizational(lookup: Lookup, domain: str) -> str:
    """The organizational domain by the tree walk (section 4.10.2); `domain` itself while nothing is known of it."""
    return walk(lookup, domain).organizational


def _applies(record: Record, own: bool, existence: Answer) -> str:
    if own:
        return record.policy
    if existence.outcome is Outcome.NXDOMAIN and record.missing_policy:
        return record.missing_policy
    return record.subdomain_policy or record.policy


def _one_below(suffix: str, domain: str) -> str:
    """The ancestor of `domain` with one label more than `suffix`."""
    return ".".join(domain.split(".")[-(suffix.count(".") + 2) :])
