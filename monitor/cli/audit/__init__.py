"""`mailcanary audit`: the zones of sending domains, judged now. Never needs a daemon, and learns from one."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.cli import UsageError, remark
from monitor.cli.audit.approve import approve, together
from monitor.cli.audit.interruption import Interruption
from monitor.cli.audit.known import targets
from monitor.cli.audit.order import Order, order_of
from monitor.cli.audit.outputs import Bar, published, say
from monitor.cli.audit.work import Blind, Rule, Target, Work
from monitor.edge.clock import SystemClock
from monitor.model.inspection import InspectPolicy
from monitor.model.verdict import Verdict
from monitor.ports import Clock, Resolver, SuffixList, TransportProbe
from monitor.rules.plain import one_line
from monitor.surface.audit.document import Audited, Catalogue, Document, audit_document, domain_document
from monitor.surface.audit.observed import Answers

NAMED = 3  # domains that a line names
LOOK = 20.0  # seconds for one mail server


@dataclass(frozen=True, slots=True)
class World:
    """What an audit needs of the outside, and the rules that it audits by."""

    resolver: Resolver
    transport: TransportProbe | None
    suffixes: SuffixList
    clock: Clock
    rule: Rule
    answers: Answers
    catalogue: Catalogue


def call(arguments: argparse.Namespace) -> int:
    together(arguments)
    order = order_of(arguments)
    clock, notes = SystemClock(), list[str]()
    if arguments.approve is not None:
        return approve(order, arguments)
    world = outside(order.inspect, clock)
    return audit(arguments, order, targets(order, arguments, clock.now().utc, notes.append), notes, world)


def outside(inspect: InspectPolicy, clock: Clock) -> World:
    """The real one. Raises UsageError for a resolver that is no address."""
    from monitor.edge.dns import DnsResolver  # noqa: PLC0415 - slow to import, and nothing else needs them
    from monitor.edge.suffixes import PublicSuffixes  # noqa: PLC0415
    from monitor.edge.transport import MailServerProbe  # noqa: PLC0415
    from monitor.rules.inspect import catalogue  # noqa: PLC0415
    from monitor.rules.inspect import inspect as rule  # noqa: PLC0415
    from monitor.rules.inspect.profiles import answers  # noqa: PLC0415

    try:
        resolver = DnsResolver(inspect.resolvers, inspect.timeout, inspect.port, clock)
    except ValueError as error:
        raise UsageError(f"--resolver: {one_line(str(error))}; write 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:5353") from None
    transport = MailServerProbe(LOOK, clock) if inspect.transport else None
    return World(resolver, transport, PublicSuffixes(), clock, rule, answers, catalogue())


def audit(arguments: argparse.Namespace, order: Order, chosen: Sequence[Target], notes: list[str], world: World) -> int:
    """Audits, says what came out, and returns the exit code. Whatever is finished when it is interrupted is published."""
    began, rows, blind = world.clock.now(), list[Document](), ""
    whole = arguments.all or len(chosen) == 1  # beyond, what passed would take gigabytes
    with Interruption() as interruption:
        with Bar(len(chosen)) as bar:

            def done(audited: Audited) -> None:
                if audited.trace:
                    remark(f"{audited.subject.domain}: a fault of our own\n{audited.trace.rstrip()}")
                rows.append(domain_document(audited, world.catalogue, arguments.strict, whole))
                bar.advanced(audited.subject.domain)

            work = Work(world.rule, world.resolver, world.transport, world.suffixes, world.clock, world.answers, done, order.only)
            try:
                asyncio.run(_worked(work, chosen, interruption))
            except Blind as error:
                named = ", ".join(target.subject.domain for target in chosen[:NAMED]) + (", ..." if len(chosen) > NAMED else "")
                seen = f"nothing can be said of {named}; is --resolver right, and is there a network?"
                blind = f"cannot see: {one_line(str(error))}; {seen}"
            bar.writing()
            document = audit_document(
                rows,
                at=began.utc,
                seconds=world.clock.now().seconds_since(began),
                resolvers=order.inspect.resolvers or ("system",),
                strict=arguments.strict,
                wanted=len(chosen),
                notes=[*notes, blind] if blind else notes,
                blind=blind,
            )
            said = published(document, arguments)
        say(said)
        return 128 + interruption.number if interruption.number else Verdict(document["verdict"]).exit_code


async def _worked(work: Work, chosen: Sequence[Target], interruption: Interruption) -> None:
    running = asyncio.create_task(work.run(chosen))
    stopping = asyncio.create_task(interruption.wait())
    try:
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        running.cancel()
        stopping.cancel()
        await asyncio.gather(running, stopping, return_exceptions=True)
        await work.resolver.close()
