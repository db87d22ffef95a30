"""One row, played: a lab of its own, the real daemon in the same process, real sockets, deadlines of seconds; then what it came to."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from monitor.app import App, assembled
from monitor.edge.secret import SystemSecrets
from monitor.lab import Fault, Lab, LabSpec, Scope
from monitor.lab.configuration import configuration, write_configuration
from monitor.lab.providers import DEFAULT_PROVIDERS
from monitor.model.facts import KIND_OF, Entry, Judged, SubmitError, SubmitUnknown, Transition, WatchBlind
from monitor.model.incident import IncidentId, Layer, Phase, ScopeKind, Severity
from monitor.model.policy import IncidentPolicy, Policy, Role
from monitor.model.verdict import Reason
from monitor.settings import load
from tests.matrix.rows import ROWS, Place, Row

PASSWORD = "a lab password, long enough to sign"
NAMES = ("gmail", "outlook", "yahoo", "icloud", "gmx", "proton", "zoho", "fastmail", "aol", "web", "posteo", "orange")
WARM = 1  # passes of every route before anything is switched on
WARM_WITHIN = 45.0
DETECT_WITHIN = 50.0
LINGER = 5.0  # after the first incident: a round and a half, in which more of the same trouble may be seen
QUIET = 12.0  # how long a healthy row is looked at
DEADLINES = {"overdue_floor": "2s", "late": "4s", "missing": "7s", "give_up": "12s", "watch_until": "24s"}
INCIDENTS = IncidentPolicy(recover_after=60.0, recover_passes=3, sustained_after=16.0, blind_after=4.0)

_WIDTH = (ScopeKind.ALL, ScopeKind.PATH, ScopeKind.PROVIDER, ScopeKind.MAILBOX)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a row came to. `seconds`: from the fault to the first incident. `first`: the layer that it said. `layer`, `summary` and
    `severity` are those of the incident that stands for all of it LINGER seconds later: the widest of the most severe ones, the latest
    of these, as it was last told. `opened`: every incident as "severity symptom scope layer". `pages`: how many incidents woke somebody."""

    row: int
    world: str
    alone: bool  # only one mailbox is kept where the fault is
    where: str
    seconds: float | None = None
    first: Layer | None = None
    layer: Layer | None = None
    severity: Severity | None = None
    summary: str = ""
    opened: tuple[str, ...] = ()
    pages: int = 0
    error: str = ""
    complaints: tuple[str, ...] = ()  # of our own edges, the most frequent first: what to look at when a row is wrong
    ready: bool = True  # every route had passed, and no incident was open, when the fault was switched on

    @property
    def right(self) -> bool:
        return self.layer in self._answers

    @property
    def right_at_first(self) -> bool:
        return self.first in self._answers

    @property
    def _answers(self) -> Set[Layer]:
        row, theirs = ROWS[self.row], {Layer.PROVIDER, Layer.MAILBOX}
        return theirs if self.alone and row.layers <= theirs else row.layers

    @property
    def paged(self) -> bool:
        return self.severity is Severity.PAGE


async def play(number: int, seed: int) -> Outcome:
    """Row `number`, in a world drawn from `seed`."""
    row, draw = ROWS[number], random.Random(f"{seed} {number}")
    many = draw.randint(2, 4)
    providers = tuple(replace(draw.choice(DEFAULT_PROVIDERS), domain=f"{name}.test") for name in draw.sample(NAMES, many))
    kept = [draw.randint(1, 3) for _ in providers]
    login = ("canary", PASSWORD) if row.fault is Fault.AUTH_REFUSED else None
    delay = draw.choice((0.0, 0.1, 0.3))
    strangers = (f"passer-by@{providers[0].domain}",)
    spec = LabSpec(max(kept), providers, PASSWORD, smtp_credentials=login, announcement_delay=delay, strangers=strangers)
    world = " ".join(f"{provider.domain.partition('.')[0]}:{boxes}" for provider, boxes in zip(providers, kept, strict=True))
    with tempfile.TemporaryDirectory(prefix="mailcanary-matrix-") as directory:
        async with Lab(spec) as lab:
            policy = _policy(lab, Path(directory), kept, "starttls" if login else "plain")
            seeds = [box for box in policy.mailboxes.values() if box.role is Role.SEED]
            chosen = draw.choice(seeds)
            siblings = [box for box in seeds if box.provider == chosen.provider]
            where = {Place.PROVIDER: chosen.provider, Place.MAILBOX: str(chosen.name)}.get(row.place, "")
            scope = {
                Place.EVERYWHERE: Scope(),
                Place.APP: Scope(path="shop"),
                Place.BARE: Scope(path="smtp"),
                Place.PROVIDER: Scope(provider=f"{chosen.provider}.test"),
                Place.MAILBOX: Scope(mailbox=str(chosen.address)),
            }[row.place]
            stranger = next((str(box.address) for box in seeds if box is not chosen), "")
            start = Outcome(number, world, len(siblings) == 1, where)
            async with assembled(policy, exclusive=False) as app:
                watched = Watched(app)
                async with app.running(schedule=True):
                    return await watched.through(row, lab, scope, stranger, start)


class Watched:
    """The daemon and all that it wrote down."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._entries: list[Entry] = []
        app.journal.fold_into(self._entries.append)

    async def through(self, row: Row, lab: Lab, scope: Scope, stranger: str, start: Outcome) -> Outcome:
        if not await self._until(self._warm, WARM_WITHIN):
            return replace(start, ready=False, error=f"not warm within {WARM_WITHIN:g} s: {self._verdicts()}")
        before = self._opened()
        if before:
            return replace(start, ready=False, error=f"an incident before the fault: {_told(before[0])}")
        began = self._app.desk.clock.now()
        await self._switch_on(row, lab, scope, stranger)
        if row.healthy:
            await asyncio.sleep(QUIET)
        elif await self._until(lambda: bool(self._opened()), DETECT_WITHIN):
            await asyncio.sleep(LINGER)
        found = {fact.incident: fact for fact in self._transitions(Phase.OPENED, Phase.GROWN) if fact.diagnosis is not None}
        if not found:
            return start if row.healthy else replace(start, error=f"nothing opened: {self._verdicts()}")
        stands = min(found.values(), key=lambda fact: (fact.severity is not Severity.PAGE, _WIDTH.index(fact.scope.kind), -fact.at.mono))
        first = self._opened()[0]
        assert stands.diagnosis is not None
        assert first.diagnosis is not None
        return replace(
            start,
            seconds=round(first.at.seconds_since(began), 1),
            first=first.diagnosis.layer,
            layer=stands.diagnosis.layer,
            severity=stands.severity,
            summary=stands.diagnosis.summary,
            opened=tuple(_told(fact) for fact in found.values()),
            pages=len(self._paging()),
            complaints=self._complaints(),
        )

    async def _switch_on(self, row: Row, lab: Lab, scope: Scope, stranger: str) -> None:
        if row.fault is None:
            if row.deploy:
                lab.deploy(row.deploy)
            return
        params = dict(row.params) | ({"to": stranger} if row.fault is Fault.MISROUTE else {})
        await lab.switch_on(row.fault, scope, **params)
        if row.fault in (Fault.REFUSE_CONNECT, Fault.AUTH_REFUSED) and row.place is Place.BARE:
            await lab.switch_on(Fault.DROP_AFTER_DATA, scope)  # as long as an old session lives nothing is broken
        if row.fault is Fault.IMAP_AUTH_REFUSED:  # which ends no session that is logged in
            await lab.switch_on(Fault.IMAP_DOWN, scope)
            await self._until(lambda: any(isinstance(entry.fact, WatchBlind) for entry in self._entries), DETECT_WITHIN)
            await lab.switch_off(Fault.IMAP_DOWN, scope)

    def _opened(self) -> list[Transition]:
        return self._transitions(Phase.OPENED)

    def _transitions(self, *phases: Phase) -> list[Transition]:
        return [entry.fact for entry in self._entries if isinstance(entry.fact, Transition) and entry.fact.phase in phases]

    def _paging(self) -> set[IncidentId]:
        told = self._transitions(Phase.OPENED, Phase.GROWN, Phase.FLAPPING)
        return {fact.incident for fact in told if fact.severity is Severity.PAGE and fact.parent is None}

    def _warm(self) -> bool:
        passed = [e.fact.route for e in self._entries if isinstance(e.fact, Judged) and e.fact.reason is Reason.PASS]
        return all(passed.count(route) >= WARM for route in self._app.desk.policy.routes)

    def _verdicts(self) -> str:
        reasons = Counter(entry.fact.reason.value for entry in self._entries if isinstance(entry.fact, Judged))
        return f"{dict(reasons)}, {self._complaints()}"

    def _complaints(self) -> tuple[str, ...]:
        facts = [entry.fact for entry in self._entries]
        heard = Counter(f"{KIND_OF[type(f)]}: {f.detail}" for f in facts if isinstance(f, SubmitError | SubmitUnknown | WatchBlind))
        return tuple(f"{count} x {what}" for what, count in heard.most_common(3))

    async def _until(self, happened: Any, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while not happened():
                    await self._app.journal.wait(self._app.journal.last)
        except TimeoutError:
            return bool(happened())
        return True


def _policy(lab: Lab, directory: Path, kept: list[int], security: str) -> Policy:
    described = lab.description.as_json()
    tree = configuration(described, directory / "secret", directory / "state", security)
    plain = configuration(described, directory / "secret", directory / "state", "plain")["mailboxes"]
    names = [provider["domain"].partition(".")[0] for provider in described["providers"]]
    wanted = {f"{name}-{number}" for name, boxes in zip(names, kept, strict=True) for number in range(1, boxes + 1)}
    tree["mailboxes"] = {name: box for name, box in plain.items() if name in wanted or box.get("role")}
    tree["mailboxes"]["bounces"] = plain["holding"] | {"address": lab.bounces}
    tree["deadlines"] = DEADLINES
    tree["schedule"] = {"every": "4s", "jitter": "10%"}
    tree["watch"] |= {"sweep_after": "400ms", "poll_every": "1500ms", "command_timeout": "3s"}
    tree["submission"] = {"attempt_timeout": "4s", "retry_backoff": "500ms", "retry_for": "4s", "unreachable_for": "2s"}
    for path in tree["paths"].values():
        path["require"] = {"spf": ["pass"], "dkim": ["pass"], "dmarc": ["pass"]}
    policy = load(write_configuration(tree, directory, PASSWORD), SystemSecrets()).policy
    return replace(policy, incidents=INCIDENTS, drain=0.5)


def _told(fact: Transition) -> str:
    layer = fact.diagnosis.layer.value if fact.diagnosis else "-"
    return f"{fact.severity.value} {fact.symptom.value} {fact.scope} {layer}"
