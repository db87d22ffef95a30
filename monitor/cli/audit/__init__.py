"""`mailcanary audit`: the zones of sending domains, judged now. Never needs a daemon, and learns from one."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.cli import UsageError, remark
from monitor.cli.audit.approve import approve
from monitor.cli.audit.known import targets
from monitor.cli.audit.order import Order, order_of
from monitor.cli.audit.outputs import Bar, publish
from monitor.cli.audit.work import Blind, Rule, Target, Work
from monitor.edge.clock import SystemClock
from monitor.model.inspection import InspectPolicy
from monitor.model.verdict import Verdict
from monitor.ports import Clock, Resolver, SuffixList, TransportProbe
from monitor.rules.plain import one_line
from monitor.surface.audit.document import Catalogue, audit_document, domain_document
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


@dataclass(slots=True)
class Ending:
    """How the work ended: `blind`: no resolver answers; `signal`: it was interrupted by this one."""

    blind: str = ""
    signal: int = 0


def call(arguments: argparse.Namespace) -> int:
    order = order_of(arguments)
    clock, notes = SystemClock(), list[str]()
    if arguments.approve:
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
    """Audits, says what came out, and returns the exit code."""
    began = world.clock.now()
    with Bar(len(chosen)) as bar:
        work = Work(world.rule, world.resolver, world.transport, world.suffixes, world.clock, world.answers, bar.advanced, order.only)
        ending = asyncio.run(_worked(work, chosen, bar))
    for audited in work.finished:
        if audited.trace:
            remark(f"{audited.subject.domain}: a fault of our own\n{audited.trace.rstrip()}")
    if ending.blind:
        named = ", ".join(target.subject.domain for target in chosen[:NAMED]) + (", ..." if len(chosen) > NAMED else "")
        notes.append(f"cannot see: {one_line(ending.blind)}; nothing can be said of {named}; is --resolver right, and is there a network?")
    document = audit_document(
        [domain_document(audited, world.catalogue, arguments.strict) for audited in work.finished],
        at=began.utc,
        seconds=world.clock.now().seconds_since(began),
        resolvers=order.inspect.resolvers or ("system",),
        strict=arguments.strict,
        wanted=len(chosen),
        notes=notes,
    )
    publish(document, arguments, bool(ending.blind))
    return 128 + ending.signal if ending.signal else Verdict(document["verdict"]).exit_code


async def _worked(work: Work, chosen: Sequence[Target], bar: Bar) -> Ending:
    loop = asyncio.get_running_loop()
    ending, interrupted = Ending(), asyncio.Event()

    def interrupt(number: int) -> None:
        ending.signal = ending.signal or number
        interrupted.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, interrupt, number)
    bar.soon(loop)
    running, stopping = asyncio.create_task(work.run(chosen)), asyncio.create_task(interrupted.wait())
    try:
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    except Blind as error:
        ending.blind = str(error)
    finally:
        running.cancel()
        stopping.cancel()
        await asyncio.gather(running, stopping, return_exceptions=True)
        await work.resolver.close()
    return ending
