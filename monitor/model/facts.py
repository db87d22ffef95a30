"""Everything that can happen, as immutable facts. Each kind has exactly one writer, named beside it.

This module is longer than others because the whole vocabulary of the journal is better read in one place.

A fact is never changed; a fact of an unknown kind is kept and skipped. A new field gets a default, so that facts written by an older
image still load; anything else is a new major schema (edge/journal).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from monitor.model.address import Address
from monitor.model.checks import CheckId, CheckResult
from monitor.model.gate import Baseline, Because, ClassTally, Example, GateId, GatePolicy, GateRoute
from monitor.model.incident import (
    DeployCandidate,
    DeployPhase,
    Diagnosis,
    IncidentId,
    Opening,
    Phase,
    Scope,
    Severity,
    SilenceId,
    Tally,
)
from monitor.model.inspection import Cause, Drift, Facet, FacetKind, KeyAge
from monitor.model.instant import Instant
from monitor.model.ledger import Impact, Purge, Purged, Side, Standing, Volume
from monitor.model.mail import UNSAID, Authentication, BlindCause, Carrier, Field, Mark, Placement
from monitor.model.mailauth import DeliveredMail, MailProof
from monitor.model.probe import Deadlines, Expectation, MailboxName, ProbeId, Purpose, RefundStory, Route
from monitor.model.submission import Reply, Step
from monitor.model.verdict import Reason, Symptom, Verdict

# --- writer: app -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """This process took the journal."""

    at: Instant
    version: str
    policy_hash: str


@dataclass(frozen=True, slots=True)
class Reloaded:
    """Another configuration is in force."""

    at: Instant
    policy_hash: str
    changes: tuple[str, ...]  # in plain words


@dataclass(frozen=True, slots=True)
class ReloadRefused:
    """The file was read again and is faulty; nothing changed."""

    at: Instant
    why: str


# --- writer: stages/plan ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProbePlanned:
    """Committed before anything is sent; carries all that is needed to judge the probe, whatever the configuration becomes."""

    at: Instant
    probe: ProbeId
    route: Route
    purpose: Purpose
    token: str
    message_id: str  # the Message-ID that we shall set; empty on a path whose application sets its own
    envelope_sender: Address
    recipient: Address
    story: RefundStory
    expectation: Expectation
    deadlines: Deadlines
    policy_hash: str
    gate: str = ""  # the GateId that asked for it


@dataclass(frozen=True, slots=True)
class ClockJumped:
    """UTC and the monotonic clock disagree by `seconds` more than at the last tick: a step, or a suspended host."""

    at: Instant
    seconds: float


class WithdrawCause(StrEnum):
    STALE = "stale"  # planned so long ago that submitting it now would be a catch-up burst
    ROUTE_REMOVED = "route_removed"


# --- writer: stages/submit -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Planned, never attempted, never will be; no verdict."""

    at: Instant
    probe: ProbeId
    cause: WithdrawCause


@dataclass(frozen=True, slots=True)
class Withheld:
    """The daily budget of the path or mailbox is used up; not attempted."""

    at: Instant
    probe: ProbeId
    detail: str


@dataclass(frozen=True, slots=True)
class Attempted:
    """Committed and fsynced before the first byte goes out."""

    at: Instant
    probe: ProbeId
    attempt: int


@dataclass(frozen=True, slots=True)
class Accepted:
    at: Instant
    probe: ProbeId
    attempt: int
    reply: Reply
    queue_id: str = ""
    app_refund_id: str = ""
    served_version: str = ""


@dataclass(frozen=True, slots=True)
class Deferred:
    """4xx. retry_in None: the time for retries is over."""

    at: Instant
    probe: ProbeId
    attempt: int
    step: Step
    reply: Reply
    retry_in: float | None
    served_version: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """5xx: final."""

    at: Instant
    probe: ProbeId
    attempt: int
    step: Step
    reply: Reply
    served_version: str = ""  # the version that said no, where the answer tells it


@dataclass(frozen=True, slots=True)
class SubmitUnknown:
    """The reply was lost with the connection, or with our own process. Never sent again."""

    at: Instant
    probe: ProbeId
    attempt: int
    step: Step | None
    detail: str


class SubmitFault(StrEnum):
    UNREACHABLE = "unreachable"
    MISCONFIGURED = "misconfigured"
    OVERLOADED = "overloaded"  # we were starved or suspended meanwhile: what the peer did is not known
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class SubmitError:
    """Nothing was handed over. retry_in None: no further attempt."""

    at: Instant
    probe: ProbeId
    attempt: int
    fault: SubmitFault
    detail: str
    mend: str
    retry_in: float | None


# --- writer: stages/watch --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sighted:
    """One copy of a probe, seen for the first time in this place."""

    at: Instant
    probe: ProbeId
    mailbox: MailboxName
    folder: str
    placement: Placement
    uidvalidity: int
    uid: int
    unseen_since: Instant | None  # the last look at this folder that did not show it; None: never looked before
    message_id: str
    digest: str  # of the normalised text
    carriers: tuple[Carrier, ...]
    altered: tuple[Field, ...] = ()
    auth: Authentication = UNSAID
    internaldate: float | None = None
    size: int = 0
    header_digest: str = ""  # of the whole header block: two folders that show the same bytes show one message (labels)
    supersedes: tuple[int, ...] = ()  # seqs of earlier sightings whose copy is no longer there: the message was moved
    notes: tuple[str, ...] = ()  # findings in plain words: wrapped links, clock skew


@dataclass(frozen=True, slots=True)
class Scanned:
    """A folder was read up to here; committed together with the facts that the reading gave, so that nothing is read twice or lost."""

    at: Instant
    mailbox: MailboxName
    folder: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Looked:
    """A successful look at every selectable folder of a mailbox; written only while probes are in flight."""

    at: Instant
    mailbox: MailboxName
    began: Instant
    folders: int


@dataclass(frozen=True, slots=True)
class WatchBlind:
    at: Instant
    mailbox: MailboxName
    cause: BlindCause
    detail: str
    mend: str


@dataclass(frozen=True, slots=True)
class WatchRestored:
    """We can look into the mailbox: all its folders answered."""

    at: Instant
    mailbox: MailboxName
    folders: int


@dataclass(frozen=True, slots=True)
class Stray:
    """Refund-shaped mail in a mailbox of ours that is no probe."""

    at: Instant
    mailbox: MailboxName
    folder: str
    digest: str
    message_id: str
    auth: Authentication
    why: str
    author_domain: str = ""
    amounts: tuple[str, ...] = ()  # of money, as printed; at most three
    internaldate: float | None = None
    claim: DeliveredMail | None = None  # what its proof needs, where it names us as its author in a tripwire mailbox
    addressed: bool | None = None  # its To names this mailbox's own address; None: not looked at
    likeness: str = ""  # how it looks like ours although its author is somebody else, in plain words
    to_signed: bool | None = None  # one To, and every signature in our name covers it; None: not looked at
    claimed: str = ""  # the digest of its claim, which stands here only for a bounded number a mailbox and day
    more: int | None = None  # where nothing can make it ours: how many such mails since the fact before were only counted


@dataclass(frozen=True, slots=True)
class Unasked:
    """Mail in a tripwire mailbox that is neither ours nor its provider's: somebody outside knows the address. A bounded number a mailbox
    and day; `more`: how many came since the fact before and were only counted."""

    at: Instant
    mailbox: MailboxName
    folder: str
    digest: str
    author_domain: str = ""  # empty: nobody can tell
    more: int = 0


@dataclass(frozen=True, slots=True)
class Foreign:
    """A valid token that is not ours to judge: another instance's, another environment's, or of a probe that we no longer know."""

    at: Instant
    mailbox: MailboxName
    folder: str
    kind: ForeignKind
    digest: str


class ForeignKind(StrEnum):
    INSTANCE = "instance"  # same environment, other instance: expected where mailboxes are shared
    ENVIRONMENT = "environment"  # e.g. staging mails production seeds: the finding `foreign_environment`
    UNKNOWN_PROBE = "unknown_probe"  # our own signature, but the journal does not know the probe
    REPLAYED = "replayed"  # our own probe, long closed, or a copy that is not our message
    FORGED = "forged"  # token-shaped, signature wrong


@dataclass(frozen=True, slots=True)
class DsnReceived:
    """A delivery status notification (RFC 3464) about a probe."""

    at: Instant
    probe: ProbeId
    mailbox: MailboxName
    action: str  # failed, delayed, delivered, relayed, expanded
    status: str
    diagnostic: str


@dataclass(frozen=True, slots=True)
class CleanedUp:
    """One copy of a judged, aged probe was deleted from its mailbox."""

    at: Instant
    probe: ProbeId
    mailbox: MailboxName
    folder: str
    uidvalidity: int
    uid: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """What the first copy of a probe bears of its own proof; committed together with its sighting."""

    at: Instant
    probe: ProbeId
    route: Route
    mailbox: MailboxName
    mail: DeliveredMail


# --- writer: stages/inspect ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MailProved:
    """We did on a delivered probe what its receiver did. `delivered`: seq of the fact that it rests on."""

    at: Instant
    probe: ProbeId
    route: Route
    delivered: int
    proof: MailProof
    sent: float = 0.0  # first attempt, seconds since the epoch


@dataclass(frozen=True, slots=True)
class ZoneObserved:
    """One inspection of one domain. `results`: the findings; what passed stands in `passed` only by its id."""

    at: Instant
    domain: str
    cause: Cause
    results: tuple[CheckResult, ...]
    passed: tuple[CheckId, ...]
    facets: tuple[Facet, ...]
    drifts: tuple[Drift, ...] = ()
    asked: int = 0  # questions
    failed: int = 0  # of them got no answer
    blind: str = ""  # why nothing can be said at all: our resolvers do not answer
    keys: tuple[KeyAge, ...] = ()
    hardened: tuple[str, ...] = ()  # results (id and what it is about) that could not be tested for so long that they count as failed
    learned: bool = False  # the baseline takes facets over: in old journals, which have no ZoneLearned
    same: bool = False  # results, passed, facets, keys, hardened, unanswered are those of the fact before, and stand only there
    unmoved: bool = False  # likewise drifts
    unanswered: tuple[tuple[FacetKind, str], ...] | None = None  # facets that could not be asked; None: not known


@dataclass(frozen=True, slots=True)
class ZoneLearned:
    """How a domain's zone is meant to be from now on, as long as no person says otherwise: all of it, not only what is new."""

    at: Instant
    domain: str
    facets: tuple[Facet, ...]


# --- writer: stages/judge --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict. Revision 0 at the first decisive evidence; later evidence appends the next revision."""

    at: Instant
    probe: ProbeId
    route: Route
    purpose: Purpose
    revision: int
    verdict: Verdict
    reason: Reason
    explanation: str
    evidence: tuple[int, ...]  # seqs of the facts it rests on
    submission_seconds: float | None = None
    transit_seconds: float | None = None
    uncertainty_seconds: float | None = None
    placement: Placement | None = None
    folder: str = ""
    mailbox: MailboxName | None = None
    served_version: str = ""
    notes: tuple[str, ...] = ()
    also: tuple[Reason, ...] = ()  # further reasons that held at the same time


@dataclass(frozen=True, slots=True)
class Closed:
    """The watch window of a probe is over; what still lies in mailboxes may be cleaned up when it has aged."""

    at: Instant
    probe: ProbeId


# --- writer: stages/tripwire -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tripped:
    """Refund mail that is authenticated as ours, and no probe of ours, lies where none must ever come. `stray`: the fact it rests on."""

    at: Instant
    mailbox: MailboxName
    stray: int
    author_domain: str
    evidence: tuple[str, ...]  # in plain words: who vouches for it, what it says, when it came
    arrived: float | None = None  # seconds since the epoch, by the receiver's clock


@dataclass(frozen=True, slots=True)
class Doubted:
    """Refund mail that names us as its author lies in a tripwire mailbox, and can be neither proven nor disproven to be ours. `stray`: the
    fact it rests on."""

    at: Instant
    mailbox: MailboxName
    stray: int
    author_domain: str
    evidence: tuple[str, ...]  # in plain words: what is not known, and what is
    arrived: float | None = None


@dataclass(frozen=True, slots=True)
class Imitated:
    """Refund mail that pretends to be ours lies in a tripwire mailbox. `stray`: the fact it rests on. A bounded number a mailbox and day;
    `more`: how many came since the fact before and were only counted."""

    at: Instant
    mailbox: MailboxName
    stray: int
    author_domain: str
    evidence: tuple[str, ...]  # in plain words: how it pretends, and who says that it is not ours
    arrived: float | None = None
    more: int = 0


# --- writer: stages/reconcile ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Ledger and confirmations, compared. Written when something has changed, and now and then to say that they still are. No number of a
    refund and no recipient stands here: those are in the ledger store, which forgets them when it is told to."""

    at: Instant
    standing: Standing
    volumes: tuple[Volume, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceBlind:
    """A source of refunds or confirmations cannot be read."""

    at: Instant
    source: str
    side: Side
    detail: str
    mend: str


@dataclass(frozen=True, slots=True)
class SourceRestored:
    at: Instant
    source: str
    side: Side


# --- writer: stages/incident -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of one incident, or of a suspicion. Carries all that is needed to tell of it."""

    at: Instant
    incident: IncidentId
    phase: Phase
    symptom: Symptom
    scope: Scope
    severity: Severity
    episode: int  # counts the openings of this incident
    since: Instant  # the first bad evidence: when its probe was first attempted
    routes: tuple[str, ...] = ()  # affected until now
    opening: Opening | None = None
    last_good: Instant | None = None  # before it began
    tallies: tuple[Tally, ...] = ()
    evidence: tuple[int, ...] = ()  # seqs
    diagnosis: Diagnosis | None = None
    deploys: tuple[DeployCandidate, ...] = ()
    confirm: tuple[Route, ...] = ()  # to be probed at once
    note: str = ""
    by: str = ""  # the person, where one did it
    parent: IncidentId | None = None  # the wider incident of which it is a part: nobody is told of it any more
    impact: Impact | None = None  # on real refunds, when it was written; None: no ledger is configured, or it did not answer
    cause: IncidentId | None = None  # the open incident of a sending domain that may be the reason of this one: a candidate, no claim
    silent_until: float = 0.0  # a planned silence covers it: nobody is told before (seconds since the epoch); 0: none does


# --- writer: stages/notify -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Notified:
    """A channel took the notice about the transition `about` (its seq)."""

    at: Instant
    incident: IncidentId
    channel: str
    about: int
    attempt: int
    receipt: str


@dataclass(frozen=True, slots=True)
class NotifyFailed:
    """retry_in None: given up, with what to do."""

    at: Instant
    incident: IncidentId
    channel: str
    about: int
    attempt: int
    detail: str
    mend: str
    retry_in: float | None


# --- writer: stages/gate ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GateProbing:
    """Probes that a gate wants now, one for each item."""

    at: Instant
    gate: GateId
    attempt: int
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class GateDecided:
    """The decision of one attempt, with the arithmetic behind it."""

    at: Instant
    gate: GateId
    deploy: str
    attempt: int
    verdict: Verdict
    because: Because
    reason: str  # one line: numbers, threshold, worst example
    classes: tuple[ClassTally, ...]
    evidence: tuple[int, ...]  # seqs
    observed_from: Instant | None = None  # the first and the last evidence
    observed_to: Instant | None = None
    example: Example | None = None
    unseen: tuple[str, ...] = ()  # what could not be seen, in plain words


# --- writer: surface -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Paused:
    at: Instant
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resumed:
    at: Instant
    by: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    at: Instant
    incident: IncidentId
    by: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Silenced:
    """Nobody is told of this incident until `until` (seconds since the epoch, at most 24 h ahead)."""

    at: Instant
    incident: IncidentId
    by: str
    reason: str
    until: float


@dataclass(frozen=True, slots=True)
class SilencePlanned:
    """From `begins` to `until` (seconds since the epoch; at most 24 h long) nobody is told of what it covers: incidents whose scope lies
    within one of `scopes` and whose symptom is one of `symptoms`; none named: all. One that is planned ahead is a maintenance window."""

    at: Instant
    silence: SilenceId
    by: str
    reason: str
    begins: float
    until: float
    scopes: tuple[Scope, ...] = ()
    symptoms: tuple[Symptom, ...] = ()


@dataclass(frozen=True, slots=True)
class SilenceEnded:
    """A person ends a silence before its time, or takes back one that has not begun."""

    at: Instant
    silence: SilenceId
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ResolveAsked:
    """A person says that it is over."""

    at: Instant
    incident: IncidentId
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Noted:
    at: Instant
    incident: IncidentId
    by: str
    text: str


@dataclass(frozen=True, slots=True)
class DeployMarked:
    """Somebody says that a deploy of the shop starts, has finished, or is rolled back."""

    at: Instant
    deploy: str
    phase: DeployPhase
    service: str = ""
    version: str = ""
    sha: str = ""
    by: str = ""
    source: str = ""  # who told us: cli, api, gate, flagger, webhook:<name>
    url: str = ""  # of the pipeline


@dataclass(frozen=True, slots=True)
class Baselined:
    """A person says that this is how a domain's zone is meant to be."""

    at: Instant
    domain: str
    by: str
    facets: tuple[Facet, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class InspectionAsked:
    """A person wants a domain to be inspected now."""

    at: Instant
    domain: str
    by: str


@dataclass(frozen=True, slots=True)
class LedgerPurged:
    """A person had the ledger store forget something. Of a recipient only that there was one stands here (`*`)."""

    at: Instant
    by: str
    purge: Purge
    purged: Purged


@dataclass(frozen=True, slots=True)
class GateRequested:
    """One attempt of a gate. All that is needed to decide it, whatever the configuration becomes."""

    at: Instant
    gate: GateId
    deploy: str
    attempt: int  # from 1
    policy: GatePolicy
    by: str
    versions: tuple[str, ...]  # what the version under test calls itself: version, sha, deploy id; never empty
    routes: tuple[GateRoute, ...]
    began: Instant  # of the deploy: its marker, or this request
    until: Instant  # of this attempt
    baseline: tuple[Baseline, ...] = ()
    service: str = ""
    version: str = ""
    sha: str = ""
    marked: bool = False  # the deploy has a marker
    notify: bool = True
    advisory_until: float = 0.0  # seconds since the epoch: until then the verdict blocks nothing


@dataclass(frozen=True, slots=True)
class GateCancelled:
    at: Instant
    gate: GateId
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class GateOverridden:
    """A person answers for it: until `until` (seconds since the epoch, at most 24 h ahead) the gate counts as passed."""

    at: Instant
    gate: GateId
    by: str
    reason: str
    until: float


ProbeFact = (
    ProbePlanned
    | Withdrawn
    | Withheld
    | Attempted
    | Accepted
    | Deferred
    | Refused
    | SubmitUnknown
    | SubmitError
    | Sighted
    | Delivered
    | MailProved
    | DsnReceived
    | CleanedUp
    | Judged
    | Closed
)
MailboxFact = Scanned | Looked | WatchBlind | WatchRestored | Stray | Unasked | Foreign
TripwireFact = Tripped | Doubted | Imitated
IncidentFact = Transition | Notified | NotifyFailed | Acknowledged | Silenced | SilencePlanned | SilenceEnded | ResolveAsked | Noted
GateFact = GateRequested | GateProbing | GateDecided | GateCancelled | GateOverridden
LedgerFact = Reconciled | SourceBlind | SourceRestored | LedgerPurged
ZoneFact = ZoneObserved | ZoneLearned | Baselined | InspectionAsked
AppFact = Started | Reloaded | ReloadRefused
Fact = (
    AppFact
    | ClockJumped
    | ProbeFact
    | MailboxFact
    | ZoneFact
    | LedgerFact
    | TripwireFact
    | IncidentFact
    | GateFact
    | DeployMarked
    | Paused
    | Resumed
)

KINDS: dict[str, type[Fact]] = {
    "started": Started,
    "reloaded": Reloaded,
    "reload_refused": ReloadRefused,
    "probe_planned": ProbePlanned,
    "clock_jumped": ClockJumped,
    "withdrawn": Withdrawn,
    "withheld": Withheld,
    "attempted": Attempted,
    "accepted": Accepted,
    "deferred": Deferred,
    "refused": Refused,
    "submit_unknown": SubmitUnknown,
    "submit_error": SubmitError,
    "sighted": Sighted,
    "delivered": Delivered,
    "mail_proved": MailProved,
    "zone_observed": ZoneObserved,
    "zone_learned": ZoneLearned,
    "baselined": Baselined,
    "inspection_asked": InspectionAsked,
    "scanned": Scanned,
    "looked": Looked,
    "watch_blind": WatchBlind,
    "watch_restored": WatchRestored,
    "stray": Stray,
    "unasked": Unasked,
    "foreign": Foreign,
    "dsn_received": DsnReceived,
    "cleaned_up": CleanedUp,
    "judged": Judged,
    "closed": Closed,
    "tripped": Tripped,
    "doubted": Doubted,
    "imitated": Imitated,
    "reconciled": Reconciled,
    "source_blind": SourceBlind,
    "source_restored": SourceRestored,
    "ledger_purged": LedgerPurged,
    "transition": Transition,
    "notified": Notified,
    "notify_failed": NotifyFailed,
    "acknowledged": Acknowledged,
    "silenced": Silenced,
    "silence_planned": SilencePlanned,
    "silence_ended": SilenceEnded,
    "resolve_asked": ResolveAsked,
    "noted": Noted,
    "deploy_marked": DeployMarked,
    "gate_requested": GateRequested,
    "gate_probing": GateProbing,
    "gate_decided": GateDecided,
    "gate_cancelled": GateCancelled,
    "gate_overridden": GateOverridden,
    "paused": Paused,
    "resumed": Resumed,
}
KIND_OF: dict[type[Fact], str] = {kind: name for name, kind in KINDS.items()}


@dataclass(frozen=True, slots=True)
class Entry:
    """A fact at its place in the journal. `fact` is None where a newer image wrote a kind that this one does not know."""

    seq: int
    kind: str
    fact: Fact | None
