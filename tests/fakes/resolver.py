"""A Resolver that is a dictionary."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from monitor.model.dns import Answer, DnsFailure, Outcome, Question, RecordType, mx_of

LONGEST_CHAIN = 8


@dataclass
class FakeResolver:
    """`records`: (name, type) -> texts; each name above one that exists exists too, all others are NXDOMAIN. `aliases`: name -> target.
    `failures`: name -> why it fails, the name `*` for all. `answer`: another way to answer, as tests.rules.inspect.worlds.Dns has it.
    `takes`: seconds that each call takes, at most the deadline."""

    records: dict[tuple[str, RecordType], tuple[str, ...]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    failures: dict[str, DnsFailure] = field(default_factory=dict)
    answer: Callable[[Question], Answer] | None = None
    ttl: int = 3600
    authentic: bool = False
    at: float = 0.0
    takes: float = 0.0
    asked: list[Question] = field(default_factory=list)
    calls: int = 0
    closed: bool = False

    async def resolve(self, questions: Sequence[Question], deadline: float) -> Mapping[Question, Answer]:
        self.calls += 1
        self.asked += questions
        if self.takes:
            await asyncio.sleep(min(self.takes, deadline))
        if self.takes > deadline:
            return {question: _failed(question, DnsFailure.TIMEOUT) for question in questions}
        return {question: (self.answer or self._answered)(question) for question in questions}

    async def close(self) -> None:
        self.closed = True

    def _answered(self, question: Question) -> Answer:
        failure = self.failures.get(question.name, self.failures.get("*"))
        if failure is not None:
            return replace(_failed(question, failure), at=self.at)
        name, chain = question.name, []
        while name in self.aliases and question.rtype is not RecordType.CNAME and len(chain) < LONGEST_CHAIN:
            name = self.aliases[name]
            chain.append(name)
            if name in (question.name, *chain[:-1]):
                break
        found = self.records.get((name, question.rtype), ())
        if question.rtype is RecordType.CNAME and name in self.aliases:
            found = (self.aliases[name],)
        ordered = sorted(found, key=mx_of) if question.rtype is RecordType.MX else sorted(found)
        names = {known for known, _ in self.records} | set(self.aliases)
        exists = any(known == name or known.endswith("." + name) for known in names)
        outcome = Outcome.FOUND if found else Outcome.NODATA if exists else Outcome.NXDOMAIN
        ad, aa = self.authentic and not question.server, bool(question.server)
        return Answer(question, outcome, tuple(ordered), self.ttl, tuple(chain), authentic=ad, authoritative=aa, size=100, at=self.at)


def _failed(question: Question, failure: DnsFailure) -> Answer:
    return Answer(question, Outcome.FAILED, failure=failure, detail=failure.value, resolver="fake", resolvers_failed=1)
