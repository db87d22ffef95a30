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
from monitor.lab.providers import DEFAULT_PROVIDERS, SHOP
from monitor.model.facts import KIND_OF, Entry, Judged, SilencePlanned, SubmitError, SubmitUnknown, Transition, WatchBlind
from monitor.model.incident import IncidentId, Layer, Phase, ScopeKind, Severity, SilenceId
from monitor.model.incident import Scope as IncidentScope
from monitor.model.policy import IncidentPolicy, MailboxPolicy, Policy, Role
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
INSPECTED_EVERY = "3s"  # where a record goes that only an inspection names
DEADLINES = {"overdue_floor": "2s", "late": "4s", "missing": "7s", "give_up": "12s", "watch_until": "24s"}
INCIDENTS = IncidentPolicy(recover_after=60.0, recover_passes=3, sustained_after=16.0, blind_after=4.0)

_WIDTH = (ScopeKind.ALL, ScopeKind.PATH, ScopeKind.PROVIDER, ScopeKind.MAILBOX)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a row came to. `seconds`: from the fault to the first incident. `first`: the layer that it said. `layer`, `summary` and
    `severity` are those of the incident that stands for all of it LINGER seconds later: the widest of the most severe ones, the latest
    of these, as it was last told. `opened`: every incident as "severity symptom scope layer". `pages`: how many incidents woke somebody;
    `told`: of how many anybody was told. `lost`: which of two faults is said nowhere."""

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
    told: int = 0
    lost: str = ""
    error: str = ""
    complaints: tuple[str, ...] = ()  # of our own edges, the most frequent first: what to look at when a row is wrong
    ready: bool = True  # every route had passed, and no incident was open, when the fault was switched on

    @property
    def right(self) -> bool:
        return self.layer in self._answers and not self.lost

    @property
    def right_at_first(self) -> bool:
        return self.first in self._answers

    @property
    def amiss(self) -> bool:
        """What no row may show, on whatever machine."""
        row = ROWS[self.row]
        if not self.ready or self.error:
            return True
        if row.silenced:
            return not self.opened or self.told > 0
        if row.healthy:
            return self.paged
        return self.seconds is None or (row.is_wide and self.pages > 1)

    @property
    def _answers(self) -> Set[Layer]:
        row, theirs = ROWS[self.row], {Layer.PROVIDER, Layer.MAILBOX}
        return theirs if self.alone and row.layers <= theirs else row.layers

    @property
    def paged(self) -> bool:
        return self.pages > 0 or (self.severity is Severity.PAGE and not ROWS[self.row].silenced)


async def play(number: int, seed: int) -> Outcome:
    """Row `number`, in a world drawn from `seed`."""
    row, draw = ROWS[number], random.Random(f"{seed} {number}")
    small = row.other is not None or row.silenced  # two providers that can be seen are needed, and more only keep the machine busy
    many = 3 if small else draw.randint(2, 4)
    providers = tuple(replace(draw.choice(DEFAULT_PROVIDERS), domain=f"{name}.test") for name in draw.sample(NAMES, many))
    kept = [draw.randint(1, 2 if small else 3) for _ in providers]
    login = ("canary", PASSWORD) if Fault.AUTH_REFUSED in row.faults else None
    delay = draw.choice((0.0, 0.1, 0.3))
    strangers = (f"passer-by@{providers[0].domain}",)
    spec = LabSpec(max(kept), providers, PASSWORD, smtp_credentials=login, announcement_delay=delay, strangers=strangers)
    world = " ".join(f"{provider.domain.partition('.')[0]}:{boxes}" for provider, boxes in zip(providers, kept, strict=True))
    with tempfile.TemporaryDirectory(prefix="mailcanary-matrix-") as directory:
        async with Lab(spec) as lab:
            policy = _policy(lab, Path(directory), kept, "starttls" if login else "plain", row.gone is not None)
            seeds = [box for box in policy.mailboxes.values() if box.role is Role.SEED]
            chosen = draw.choice(seeds)
            siblings = [box for box in seeds if box.provider == chosen.provider]
            besides = draw.choice([box for box in seeds if box.provider != chosen.provider])
            where = _where(row.place, chosen)
            if row.other is not None and (elsewhere := _where(row.other.place, besides)):
                where = f"{where}; {elsewhere}" if where else elsewhere
            stranger = next((str(box.address) for box in seeds if box is not chosen), "")
            start = Outcome(number, world, len(siblings) == 1, where)
            async with assembled(policy, exclusive=False) as app:
                watched = Watched(app)
                async with app.running(schedule=True):
                    return await watched.through(row, lab, _Struck(chosen, besides, stranger), start)


@dataclass(frozen=True, slots=True)
class _Struck:
    """Where a fault at one mailbox or provider strikes, and where the other of two does. `stranger`: to whom mail is misrouted."""

    chosen: MailboxPolicy
    besides: MailboxPolicy
    stranger: str


def _where(place: Place, box: MailboxPolicy) -> str:
    return {Place.PROVIDER: box.provider, Place.MAILBOX: str(box.name)}.get(place, "")


def _scope(place: Place, box: MailboxPolicy) -> Scope:
    match place:
        case Place.EVERYWHERE:
            return Scope()
        case Place.APP:
            return Scope(path="shop")
        case Place.BARE:
            return Scope(path="smtp")
        case Place.PROVIDER:
            return Scope(provider=f"{box.provider}.test")
        case Place.MAILBOX:
            return Scope(mailbox=str(box.address))


class Watched:
    """The daemon and all that it wrote down."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._entries: list[Entry] = []
        app.journal.fold_into(self._entries.append)

    async def through(self, row: Row, lab: Lab, struck: _Struck, start: Outcome) -> Outcome:
        if not await self._until(self._warm, WARM_WITHIN):
            return replace(start, ready=False, error=f"not warm within {WARM_WITHIN:g} s: {self._verdicts()}")
        before = self._opened()
        if before:
            return replace(start, ready=False, error=f"an incident before the fault: {_told(before[0])}")
        began = self._app.desk.clock.now()
        if row.silenced:
            await self._silence(row, struck)
        if row.other is not None:
            await self._switch_on(row.other.fault, row.other.place, lab, struck.besides, dict(row.other.params))
        await self._break(row, lab, struck)
        if row.healthy and not row.silenced:
            await asyncio.sleep(QUIET)
        elif await self._until(lambda: self._is_seen(row), DETECT_WITHIN):
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
            pages=len(self._firing(Severity.PAGE)),
            told=len(self._firing(*Severity)),
            lost="" if self._other_is_seen(row) else f"nothing of {row.other.fault.value}" if row.other else "",
            complaints=self._complaints(),
        )

    async def _silence(self, row: Row, struck: _Struck) -> None:
        now = self._app.desk.clock.now()
        scopes = () if row.place is Place.EVERYWHERE else (IncidentScope(ScopeKind.PROVIDER, struck.chosen.provider),)
        silence = SilencePlanned(now, SilenceId("SIL-1"), "ana", "maintenance", now.utc, now.utc + 3600, scopes)
        await self._app.journal.append([silence])

    async def _break(self, row: Row, lab: Lab, struck: _Struck) -> None:
        if row.deploy:
            lab.deploy(row.deploy)
        if row.gone is not None:
            for domain in (SHOP.domain, *lab.spec.sending_domains):
                lab.dns.drop_record(f"{row.gone}.{domain}".lstrip("."), "TXT")
        if row.fault is not None:
            params = dict(row.params) | ({"to": struck.stranger} if row.fault is Fault.MISROUTE else {})
            await self._switch_on(row.fault, row.place, lab, struck.chosen, params)

    async def _switch_on(self, fault: Fault, place: Place, lab: Lab, box: MailboxPolicy, params: dict[str, Any]) -> None:
        scope = _scope(place, box)
        await lab.switch_on(fault, scope, **params)
        if fault in (Fault.REFUSE_CONNECT, Fault.AUTH_REFUSED) and place is Place.BARE:
            await lab.switch_on(Fault.DROP_AFTER_DATA, scope)  # as long as an old session lives nothing is broken
        if fault is Fault.IMAP_AUTH_REFUSED:  # which ends no session that is logged in
            await lab.switch_on(Fault.IMAP_DOWN, scope)
            await self._until(lambda: any(isinstance(entry.fact, WatchBlind) for entry in self._entries), DETECT_WITHIN)
            await lab.switch_off(Fault.IMAP_DOWN, scope)

    def _is_seen(self, row: Row) -> bool:
        """With both of two faults."""
        own = [fact for fact in self._opened() if row.other is None or fact.symptom not in row.other.symptoms]
        return bool(own) and self._other_is_seen(row)

    def _other_is_seen(self, row: Row) -> bool:
        return row.other is None or any(fact.symptom in row.other.symptoms for fact in self._opened())

    def _opened(self) -> list[Transition]:
        return self._transitions(Phase.OPENED)

    def _transitions(self, *phases: Phase) -> list[Transition]:
        return [entry.fact for entry in self._entries if isinstance(entry.fact, Transition) and entry.fact.phase in phases]

    def _firing(self, *levels: Severity) -> set[IncidentId]:
        """Of which somebody was told: they are part of no other one, and no silence covers them."""
        told = self._transitions(Phase.OPENED, Phase.GROWN, Phase.FLAPPING)
        return {fact.incident for fact in told if fact.severity in levels and fact.parent is None and not fact.silent_until}

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


def _policy(lab: Lab, directory: Path, kept: list[int], security: str, inspected: bool) -> Policy:
    described = lab.description.as_json()
    tree = configuration(described, directory / "secret", directory / "state", security)
    plain = configuration(described, directory / "secret", directory / "state", "plain")["mailboxes"]
    names = [provider["domain"].partition(".")[0] for provider in described["providers"]]
    wanted = {f"{name}-{number}" for name, boxes in zip(names, kept, strict=True) for number in range(1, boxes + 1)}
    tree["mailboxes"] = {name: box for name, box in plain.items() if name in wanted or box.get("role")}
    tree["mailboxes"]["bounces"] = plain["holding"] | {"address": lab.bounces}
    tree["deadlines"] = DEADLINES
    if inspected:
        tree["inspect"] |= {"every": INSPECTED_EVERY}
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
