"""Everything that the stages know, folded from the journal."""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.model.facts import (
    Accepted,
    Attempted,
    CleanedUp,
    ClockJumped,
    Closed,
    Deferred,
    DsnReceived,
    Entry,
    Judged,
    Looked,
    Paused,
    ProbePlanned,
    Refused,
    Reloaded,
    Resumed,
    Scanned,
    Sighted,
    Started,
    SubmitError,
    SubmitUnknown,
    WatchBlind,
    WatchRestored,
    Withdrawn,
    Withheld,
)
from monitor.model.instant import Instant
from monitor.model.mail import Mark
from monitor.model.probe import MailboxName, ProbeId, Route
from monitor.model.verdict import Verdict
from monitor.views.budget import Budget
from monitor.views.evidence import Evidence
from monitor.views.gates import Gates
from monitor.views.habit import Habit
from monitor.views.incidents import Incidents
from monitor.views.ledger import LedgerView
from monitor.views.outbox import Outbox
from monitor.views.probes import ProbeState
from monitor.views.tripwires import Tripwires
from monitor.views.zones import Zones

MAX_JUMPS = 50
MAX_RECONFIGURED = 5
MAX_LEFTOVERS = 20_000


@dataclass(slots=True)
class MailboxState:
    """What we know of one mailbox; `stated` is the last word of its watcher."""

    stated: Instant | None = None
    blind: WatchBlind | None = None
    last_look: Looked | None = None
    marks: dict[str, Mark] = field(default_factory=dict)

    def known_to(self, process: str) -> bool:
        """This process's watcher has said watching or blind."""
        return self.stated is not None and self.stated.process == process


@dataclass(slots=True)
class RouteState:
    planned: Instant | None = None
    submitted: Instant | None = None
    judged: Instant | None = None
    sighted: Instant | None = None
    last: Judged | None = None
    habit: Habit = field(default_factory=Habit)


@dataclass(slots=True)
class Leftover:
    """A copy of a closed probe that still lies in a mailbox."""

    probe: ProbeId
    mailbox: MailboxName
    folder: str
    uidvalidity: int
    uid: int
    header_digest: str
    sighted: Instant


@dataclass(slots=True)
class Reconfigured:
    """Another configuration of ours came into force. `changes`: in plain words; none where it changed while no process ran."""

    at: Instant
    changes: tuple[str, ...]


@dataclass(slots=True)
class World:
    """`seq` is the last fact folded: the place from which a restart reads on."""

    seq: int = 0
    probes: dict[ProbeId, ProbeState] = field(default_factory=dict)
    addressed: dict[MailboxName, list[ProbeId]] = field(default_factory=dict)  # the same probes by their mailbox
    mailboxes: dict[MailboxName, MailboxState] = field(default_factory=dict)
    routes: dict[str, RouteState] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)  # of first attempts, whatever they are for
    leftovers: list[Leftover] = field(default_factory=list)
    paused: Paused | None = None
    started: Started | None = None
    jumps: list[ClockJumped] = field(default_factory=list)
    policy_hash: str = ""  # of the configuration in force
    reconfigured: list[Reconfigured] = field(default_factory=list)  # the latest ones
    incidents: Incidents = field(default_factory=Incidents)
    outbox: Outbox = field(default_factory=Outbox)
    evidence: Evidence = field(default_factory=Evidence)
    tripwires: Tripwires = field(default_factory=Tripwires)
    gates: Gates = field(default_factory=Gates)
    zones: Zones = field(default_factory=Zones)
    ledger: LedgerView = field(default_factory=LedgerView)

    def probes_to(self, mailbox: MailboxName) -> list[ProbeState]:
        """The probes of this mailbox that are not closed, in the order of their planning."""
        return [self.probes[probe] for probe in self.addressed.get(mailbox, ())]

    def mailbox(self, name: MailboxName) -> MailboxState:
        return self.mailboxes.setdefault(name, MailboxState())

    def route(self, route: Route) -> RouteState:
        return self.routes.setdefault(str(route), RouteState())

    def fold(self, entry: Entry) -> None:
        """Take in the next fact. Facts about a probe that is no longer known are ignored (it was closed, or retired)."""
        self.seq = entry.seq
        self.incidents.fold(entry)
        self.outbox.fold(entry)
        self.evidence.fold(entry, self.probes.get(getattr(entry.fact, "probe", ProbeId(""))))
        self.tripwires.fold(entry)
        self.gates.fold(entry)
        self.zones.fold(entry)
        self.ledger.fold(entry)
        match entry.fact:
            case ProbePlanned() as fact:
                self._forget(fact.probe)
                self.probes[fact.probe] = ProbeState(fact, entry.seq)
                self.addressed.setdefault(fact.route.mailbox, []).append(fact.probe)
                self.route(fact.route).planned = fact.at
            case Attempted() | Accepted() | Deferred() | Refused() | SubmitUnknown() | SubmitError() | Withheld() | Withdrawn() as fact:
                self._submission(entry.seq, fact)
            case Sighted() as fact:
                self._sighted(entry.seq, fact)
            case DsnReceived() as fact:
                state = self.probes.get(fact.probe)
                if state and (state.dsn is None or state.dsn.action != "failed"):  # "delayed" may be read after "failed"
                    state.dsn, state.dsn_seq = fact, entry.seq
            case Judged() as fact:
                self._judged(fact)
            case Closed() as fact:
                self._closed(fact)
            case CleanedUp() as fact:
                gone = (fact.mailbox, fact.folder, fact.uidvalidity, fact.uid)
                self.leftovers = [x for x in self.leftovers if (x.mailbox, x.folder, x.uidvalidity, x.uid) != gone]
            case Scanned() as fact:
                self.mailbox(fact.mailbox).marks[fact.folder] = fact.mark
            case Looked() as fact:
                self._looked(entry.seq, fact)
            case WatchBlind() as fact:
                box = self.mailbox(fact.mailbox)
                box.stated, box.blind = fact.at, fact
            case WatchRestored() as fact:
                box = self.mailbox(fact.mailbox)
                box.stated, box.blind = fact.at, None
            case Paused() as fact:
                self.paused = fact
            case Resumed():
                self.paused = None
            case Started() | Reloaded() as fact:
                self._in_force(fact)
            case ClockJumped() as fact:
                self.jumps = [*self.jumps[1 - MAX_JUMPS :], fact]
            case _:
                pass  # foreign tokens and unknown kinds change no state; they are counted where they are shown

    def _submission(
        self,
        seq: int,
        fact: Attempted | Accepted | Deferred | Refused | SubmitUnknown | SubmitError | Withheld | Withdrawn,
    ) -> None:
        state = self.probes.get(fact.probe)
        if state is None:
            return
        match fact:
            case Attempted():
                if state.first_attempt is None:
                    self.budget.spend(fact.at, state.plan.route)
                state.attempted(fact)
                self.route(state.plan.route).submitted = fact.at
                return
            case Accepted():
                state.accepted = fact
            case Deferred():
                state.deferred = fact
            case Refused():
                state.refused = fact
            case SubmitUnknown():
                state.unknown = fact
            case SubmitError():
                state.error = fact
            case Withheld():
                state.withheld = fact
            case Withdrawn():
                self._forget(fact.probe)
        state.outcome_seq = seq

    def _in_force(self, fact: Started | Reloaded) -> None:
        changes: tuple[str, ...] = ()
        match fact:
            case Started():
                self.started = fact
            case Reloaded():
                changes = fact.changes
        if changes or self.policy_hash not in ("", fact.policy_hash):
            self.reconfigured = [*self.reconfigured[1 - MAX_RECONFIGURED :], Reconfigured(fact.at, changes)]
        self.policy_hash = fact.policy_hash

    def _sighted(self, seq: int, fact: Sighted) -> None:
        if state := self.probes.get(fact.probe):
            state.sighted(seq, fact)
            self.route(state.plan.route).sighted = fact.at
            return
        for leftover in self.leftovers:  # a closed probe's copy, seen again under a new UIDVALIDITY
            same = (leftover.probe, leftover.mailbox, leftover.folder) == (fact.probe, fact.mailbox, fact.folder)
            if same and leftover.uidvalidity != fact.uidvalidity:
                leftover.uidvalidity, leftover.uid = fact.uidvalidity, fact.uid
                return

    def _judged(self, fact: Judged) -> None:
        if state := self.probes.get(fact.probe):
            state.judged = fact
        route = self.route(fact.route)
        if fact.revision == 0 and fact.verdict is Verdict.PASS and fact.transit_seconds is not None:
            route.habit.add(fact.at, fact.transit_seconds)
        if fact.revision == 0 or (route.last is not None and route.last.probe == fact.probe):
            route.judged, route.last = fact.at, fact

    def _forget(self, probe: ProbeId) -> ProbeState | None:
        state = self.probes.pop(probe, None)
        if state is not None:
            self.addressed[state.plan.route.mailbox].remove(probe)
        return state

    def _looked(self, seq: int, fact: Looked) -> None:
        self.mailbox(fact.mailbox).last_look = fact
        for state in self.probes_to(fact.mailbox):
            if state.hunted:
                state.unseen_look, state.unseen_look_seq = fact, seq

    def _closed(self, fact: Closed) -> None:
        state = self._forget(fact.probe)
        if state is None:
            return
        for seen in state.seen:
            s = seen.fact
            self.leftovers.append(Leftover(s.probe, s.mailbox, s.folder, s.uidvalidity, s.uid, s.header_digest, s.at))
        del self.leftovers[: max(0, len(self.leftovers) - MAX_LEFTOVERS)]
