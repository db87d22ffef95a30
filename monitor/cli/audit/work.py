"""Audits domains side by side with one resolver, so that what they share is asked for once."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from monitor.gathering import gather
from monitor.model.checks import CheckId, CheckResult, ProviderAnswer
from monitor.model.dns import DnsFailure, Outcome, Question, RecordType
from monitor.model.inspection import Drift, Subject
from monitor.ports import Clock, Resolver, SuffixList, TransportProbe
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.spf import Node
from monitor.surface.audit.carried import with_carried
from monitor.surface.audit.document import Audited, Origin
from monitor.surface.audit.observed import Answers

AT_ONCE = 50  # domains
DEADLINE = 60.0  # seconds for one domain
SILENT = frozenset({DnsFailure.TIMEOUT, DnsFailure.UNREACHABLE, DnsFailure.REFUSED, DnsFailure.MALFORMED})
CONTROLS = 3  # domains that are asked for, beside the root, to learn whether our resolvers answer at all


class Inspected(Protocol):
    """What of monitor.rules.inspect.Inspection is reported."""

    @property
    def results(self) -> tuple[CheckResult, ...]: ...

    @property
    def answers(self) -> tuple[ProviderAnswer, ...]: ...

    @property
    def drifts(self) -> tuple[Drift, ...]: ...

    @property
    def tree(self) -> Node | None: ...


Rule = Callable[[Subject, Lookup, SuffixList], Inspected]


class Blind(Exception):
    """Our resolvers answer nothing; the text says what they did."""


@dataclass(frozen=True, slots=True)
class Target:
    """A domain to audit, and where what is known of its sending came from."""

    subject: Subject
    origin: Origin = Origin.UNKNOWN
    whence: str = ""
    carried: tuple[CheckResult, ...] = ()  # what a daemon found
    unheard: str = ""  # why a daemon that was named told nothing


@dataclass(slots=True)
class Work:
    """`rule`: monitor.rules.inspect.inspect; `answers`: of the providers, to results. `done` is given each domain when it is finished, and
    keeps what is to be kept: nothing else does."""

    rule: Rule
    resolver: Resolver
    transport: TransportProbe | None
    suffixes: SuffixList
    clock: Clock
    answers: Answers
    done: Callable[[Audited], None]
    only: frozenset[CheckId] = frozenset()
    deadline: float = DEADLINE

    async def run(self, targets: Sequence[Target]) -> None:
        """Raises Blind before any domain when no resolver answers."""
        await self._see([target.subject.domain for target in targets[:CONTROLS]])
        waiting = iter(targets)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(targets))):
                group.create_task(self._through(waiting))

    async def _see(self, domains: Sequence[str]) -> None:
        controls = [Question(".", RecordType.NS), *(Question(domain, RecordType.SOA) for domain in domains)]
        answers = (await self.resolver.resolve(controls, self.deadline)).values()
        if all(answer.failure in SILENT for answer in answers):
            said = {f"{answer.resolver or 'the resolver'}: {answer.detail or answer.failure}" for answer in answers}
            raise Blind("; ".join(sorted(said)[:CONTROLS]))

    async def _through(self, waiting: Iterator[Target]) -> None:
        for target in waiting:
            self.done(await self._audited(target))

    async def _audited(self, target: Target) -> Audited:
        """A bug in a check costs one domain, not the others."""
        began = self.clock.now()
        blank = Audited(target.subject, at=began.utc, origin=target.origin, whence=target.whence, unheard=target.unheard, only=self.only)
        try:
            seen = await self._inspected(target.subject)
        except Exception as error:
            return replace(blank, fault=f"{error!r}", trace=traceback.format_exc())
        inspection, lookup = seen
        failed = [answer for answer in lookup.answers.values() if answer.failed and answer.failure is not DnsFailure.BOGUS]
        results, answers = inspection.results, inspection.answers
        if target.carried:
            results = with_carried(results, target.carried)
            answers = tuple(self.answers(results, target.subject.profiles))
        audited = replace(
            blank,
            answers=answers,
            drifts=tuple(inspection.drifts),
            tree=inspection.tree,
            results=tuple(results),
            seconds=self.clock.now().seconds_since(began),
            asked=len(lookup.answers),
            failed=len(failed),
        )
        soa = lookup.answers.get(Question(target.subject.domain, RecordType.SOA))
        if lookup.answers and len(failed) == len(lookup.answers):
            return replace(audited, results=(), answers=(), blind=failed[0].detail or str(failed[0].failure))
        return replace(audited, gone=soa is not None and soa.outcome is Outcome.NXDOMAIN)

    async def _inspected(self, subject: Subject) -> tuple[Inspected, Lookup]:
        def rule(lookup: Lookup) -> Inspected:
            lookup.ask(subject.domain, RecordType.SOA)  # whether the domain exists at all
            return self.rule(subject, lookup, self.suffixes)

        return await gather(rule, self.resolver, self.transport if subject.transport else None, self.deadline)
