"""Worlds for checks: a DNS as a table, mail servers as a table, a subject; and a driver that asks until nothing is pending."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from monitor.model.checks import CheckId, CheckResult, Status
from monitor.model.dns import Answer, DnsFailure, Outcome, Question
from monitor.model.inspection import Subject
from monitor.model.transport import Endpoint, Reached, TransportSeen
from monitor.rules.inspect.scene import Scene
from monitor.rules.lookup import Lookup

NOW = 1_795_348_800.0  # 2026-11-22T12:00:00Z
DOMAIN = "shop.test"
T = TypeVar("T")


@dataclass(frozen=True)
class Dns:
    """`records`: `name TYPE` -> texts; every name above one that exists exists too, all others are NXDOMAIN. `fails`: `name TYPE`, `name *`
    or `@server` -> how. `aliases`: name -> target. `servers`: the same for what one server says when asked directly; a server without an
    entry says what all say, with authority. `changed`: answers altered by hand."""

    records: Mapping[str, Sequence[str]] = field(default_factory=dict)
    fails: Mapping[str, DnsFailure] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    servers: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    ttl: int = 3600
    changed: Callable[[Answer], Answer] = lambda answer: answer

    def answer(self, question: Question) -> Answer:
        name, kind = question.name, question.rtype.value
        for key in (f"@{question.server}", f"{name} {kind}", f"{name} *"):
            if key in self.fails:
                failure = self.fails[key]
                return self.changed(Answer(question, Outcome.FAILED, failure=failure, detail=failure.value, resolvers_failed=1, at=NOW))
        said = self.servers.get(question.server, self.records)
        chain: list[str] = []
        while name in self.aliases and kind != "CNAME" and len(chain) < 9:
            name = self.aliases[name]
            chain.append(name)
        found = tuple(said.get(f"{name} {kind}", ()))
        if kind == "CNAME" and name in self.aliases:
            found = (self.aliases[name],)
        names = {key.rpartition(" ")[0] for key in said} | set(self.aliases)
        exists = any(other == name or other.endswith("." + name) for other in names)
        outcome = Outcome.FOUND if found else Outcome.NODATA if exists else Outcome.NXDOMAIN
        return self.changed(Answer(question, outcome, found, self.ttl, tuple(chain), authoritative=bool(question.server), size=100, at=NOW))

    def but(self, **records: Sequence[str] | None) -> Dns:
        """The same with other records: keys as `shop.test TXT`, None takes away. Call as but(**{"shop.test TXT": [...]})."""
        kept = {key: value for key, value in {**self.records, **records}.items() if value is not None}
        return replace(self, records=kept)


@dataclass(frozen=True)
class World:
    """One world of a table row."""

    dns: Dns = field(default_factory=Dns)
    subject: Subject = field(default_factory=lambda: Subject(DOMAIN, NOW))
    servers: Mapping[str, TransportSeen] = field(default_factory=dict)  # by the address, else by the host
    suffixes: frozenset[str] = frozenset({"test", "com", "co.uk"})

    def registrable(self, domain: str) -> str:
        """ports.SuffixList."""
        labels = domain.split(".")
        for at in range(len(labels)):
            if ".".join(labels[at:]) in self.suffixes:
                return ".".join(labels[at - 1 :]) if at else ""
        return ".".join(labels[-2:])

    def seen(self, endpoint: Endpoint) -> TransportSeen:
        known = self.servers.get(endpoint.address) or self.servers.get(endpoint.host)
        return replace(known, endpoint=endpoint) if known else TransportSeen(endpoint, Reached.NOTHING, "refused", at=NOW)

    def asked(self, rule: Callable[[Lookup], T]) -> T:
        """The rule's result when nothing is pending any more."""
        answers: dict[Question, Answer] = {}
        seen: dict[Endpoint, TransportSeen] = {}
        for _ in range(60):
            lookup = Lookup(answers, seen)
            result = rule(lookup)
            if lookup.complete:
                return result
            answers |= {question: self.dns.answer(question) for question in lookup.wanted}
            seen |= {endpoint: self.seen(endpoint) for endpoint in lookup.unseen}
        raise AssertionError("the rule never stops asking")

    def checked(self, family: Callable[[Scene], Iterator[CheckResult]]) -> tuple[CheckResult, ...]:
        return self.asked(lambda lookup: tuple(family(Scene(self.subject, lookup, self))))


@dataclass(frozen=True)
class Row:
    """One id: a world in which it passes, one in which it fails or warns, one in which nobody can tell."""

    passing: World
    failing: World
    unknown: World


def statuses(results: Sequence[CheckResult], check: CheckId) -> set[Status]:
    return {result.status for result in results if result.check is check}


def holds(row: Row, check: CheckId, family: Callable[[Scene], Iterator[CheckResult]]) -> None:
    """Asserts the three worlds of a row."""
    good, bad, dark = (statuses(world.checked(family), check) for world in (row.passing, row.failing, row.unknown))
    assert Status.PASS in good and not good & {Status.WARN, Status.FAIL, Status.UNKNOWN}, f"{check}: passing world says {good}"
    assert bad & {Status.WARN, Status.FAIL}, f"{check}: failing world says {bad}"
    assert Status.UNKNOWN in dark and not dark & {Status.WARN, Status.FAIL, Status.PASS}, f"{check}: unknown world says {dark}"
