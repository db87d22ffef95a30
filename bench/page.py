"""From fault to page: ours beside the two schemes of the open peers, on the same lab, the same fault, at the same time.

Everything runs at a thirtieth of its default times: a probe per route and ten seconds, twelve routes at three providers.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from bench.lab import OtherLab, other_lab
from bench.peers import SHRINK, Exporter, SendThenPoll, at_work, seats
from bench.rows import Row
from monitor.app import assembled
from monitor.lab.control import LabClient
from monitor.lab.faults import Scope
from monitor.model.facts import Entry, Transition
from monitor.model.incident import Phase
from monitor.model.probe import Purpose

HISTORY = 32  # probes a route before the fault: enough for a habit
PATIENCE = 45.0  # seconds: 22 minutes of default time
AT_ONCE = 3  # labs side by side


@dataclass(frozen=True, slots=True)
class Case:
    """A fault of the lab, or a deploy of the shop. `page`: whether a person must hear of it at all."""

    name: str
    fault: str = ""
    deploy: str = ""
    path: str | None = None
    provider: bool = False  # only at the first provider
    params: dict[str, Any] = field(default_factory=dict)
    page: bool = True


CASES = (
    Case("the app routes to a holding store", deploy="v2"),
    Case("the app prints a wrong amount", deploy="v5"),
    Case("the app's mail is accepted and lost", "accept_and_drop", path="shop"),
    Case("all mail is accepted and lost", "accept_and_drop"),
    Case("one provider loses all mail", "accept_and_drop", provider=True),
    Case("the relay refuses at RCPT", "refuse"),
    Case("the relay refuses at MAIL FROM", "refuse_mail_from"),
    Case("the relay cannot be reached", "refuse_connect"),
    Case("the relay holds its queue", "hold_queue"),
    Case("all mail goes to junk", "junk"),
    Case("one provider sends it to junk", "junk", provider=True),
    Case("all mail is delivered twice", "duplicate"),
    Case("an amount is altered on the way", "alter_amount"),
    Case("authentication fails", "authentication_fail"),
    Case("every mail bounces", "clone_bounce"),
    Case("one provider's IMAP is down (mail is fine)", "imap_down", provider=True, page=False),
    Case("all mail takes 1.5 s more (mail is fine)", "delay", params={"seconds": 1.5}, page=False),
)


async def page() -> list[Row]:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(case: Case) -> Row:
        async with room:
            print(f"  {case.name} ...", file=sys.stderr, flush=True)
            return await _measure(case)

    return list(await asyncio.gather(*(one(case) for case in CASES)))


async def _measure(case: Case) -> Row:
    async with other_lab() as lab, LabClient(lab.description["control_url"]) as control:
        policy = lab.policy(_shrunk(lab))
        told: list[tuple[float, Transition]] = []
        async with assembled(policy, exclusive=False) as app:
            await control.switch_on("delay", seconds=0.1)

            def note(entry: Entry) -> None:
                if isinstance(entry.fact, Transition) and entry.fact.phase is Phase.OPENED:
                    told.append((time.monotonic(), entry.fact))

            app.journal.fold_into(note)
            async with app.running(schedule=True):
                await app.plan.when_ready(policy.mailboxes)
                for _ in range(HISTORY):
                    await app.plan.plan_now(list(policy.routes), Purpose.CLI)
                    await asyncio.sleep(0.15)
                await asyncio.sleep(3.0)
                poll, exporter = SendThenPoll(), Exporter()
                where = seats(lab.description)
                async with at_work(poll, where), at_work(exporter, where):
                    poll.alarms.arm()
                    exporter.alarms.arm()
                    told.clear()
                    await asyncio.sleep(1.5 * poll.interval)
                    if told or poll.alarms.first or exporter.alarms.first:
                        raise RuntimeError(f"{case.name}: somebody cried wolf before the fault; the machine is too busy to measure")
                    began = time.monotonic()
                    poll.alarms.arm()
                    exporter.alarms.arm()
                    await _break(case, lab, control)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(PATIENCE):
                            while not (told and poll.alarms.first and exporter.alarms.first):  # noqa: ASYNC110 - three clocks
                                await asyncio.sleep(0.05)
    opened = told[0] if told else None
    ours = opened[0] - began if opened else None
    return _row(case, ours, opened[1] if opened else None, poll.alarms.first, exporter.alarms.first)


def _row(case: Case, ours: float | None, opened: Transition | None, poll: float | None, exporter: float | None) -> Row:
    layer = opened.diagnosis.layer.value if opened and opened.diagnosis else "no diagnosis"
    said = f"{_seconds(ours)}, {opened.severity.value}: {layer}" if opened else "silent"
    fastest = min((value for value in (poll, exporter) if value is not None), default=None)
    peers = f"send-then-poll {_seconds(poll)}, exporter {_seconds(exporter)}"
    paged = opened is not None and opened.severity.value == "page"
    if not case.page:
        return Row(case.name, said, peers, None, "no page", not paged)
    ratio = ours / fastest if ours is not None and fastest else None
    return Row(case.name, said, peers, ratio, "told", opened is not None)


def _seconds(value: float | None) -> str:
    return "silent" if value is None else f"{value:.1f} s (x{SHRINK:.0f}: {value * SHRINK / 60:.1f} min)"


async def _break(case: Case, lab: OtherLab, control: LabClient) -> None:
    if case.deploy:
        await control.deploy(case.deploy)
        return
    provider = lab.description["providers"][0]["domain"] if case.provider else None
    await control.switch_on(case.fault, Scope(provider=provider, path=case.path), **case.params)


def _shrunk(lab: OtherLab) -> dict[str, Any]:
    """The defaults of the configuration, divided."""

    def span(seconds: float) -> str:
        return f"{seconds / SHRINK * 1000:.0f}ms"

    tree = lab.tree()
    tree["schedule"] = {"every": span(300), "jitter": "10%"}
    tree["deadlines"] = {"overdue_floor": span(20), "late": span(120), "missing": span(480), "give_up": span(1800)}
    tree["deadlines"]["watch_until"] = span(2280)
    tree["submission"] = {"attempt_timeout": "5s", "retry_backoff": span(60), "retry_for": span(2100), "unreachable_for": span(15)}
    tree["watch"] |= {"sweep_after": span(5), "poll_every": span(120)}
    tree["incidents"] = {"recover_after": span(600), "sustained_after": span(900), "blind_after": span(900), "reopen_within": span(3600)}
    for path in tree["paths"].values():
        path["require"] = {"spf": ["pass"], "dkim": ["pass"], "dmarc": ["pass"]}
    return tree
