"""watch, second half: what a copy that lies in a mailbox means, as facts."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

from monitor.desk import Desk
from monitor.model.facts import Delivered, DsnReceived, Fact, Foreign, ForeignKind, Sighted, Stray, Unasked
from monitor.model.instant import Instant
from monitor.model.mail import Carrier, Copy, Placement
from monitor.model.mailauth import DeliveredMail
from monitor.model.policy import MailboxPolicy, Role
from monitor.model.probe import MailboxName, ProbeId
from monitor.rules import judge, match, reading, token, tripwire
from monitor.rules.likeness import likeness, read_sender
from monitor.rules.mailauth import authres
from monitor.rules.mailauth.delivered import read_proof
from monitor.rules.reading import Reading
from monitor.views.probes import ProbeState
from monitor.views.tripwires import Daily

MAX_HELD = 100  # refund mail that waits for an answer to name it; beyond it mail becomes a stray at once
MAX_AMOUNTS = 3  # of a stray that are kept
MAX_LATEST = 100  # probes whose proof was read last
SKEW = 300.0  # seconds between the server's clock and ours that are worth a note


@dataclass(frozen=True, slots=True)
class _Held:
    copy: Copy
    where: Placement
    unseen_since: Instant | None
    found: Reading
    seen: Instant


class Sorter:
    """Sorts the copies of one mailbox. Knows nothing of IMAP."""

    def __init__(self, desk: Desk, policy: MailboxPolicy) -> None:
        self._desk = desk
        self._policy = policy
        self._held: dict[tuple[str, int, int], _Held] = {}
        self._proved: deque[ProbeId] = deque(maxlen=MAX_LATEST)  # two copies may come in one look
        self._told = Daily()  # unasked mail; the world is behind while a look is sorted
        self._untold = 0
        self._claims = Daily()
        self._hopeless = Daily()  # strays, as above
        self._uncounted = 0

    def sort(self, copy: Copy, where: Placement, unseen_since: Instant | None, seen: Instant) -> list[Fact]:
        """The facts that a copy gives; none for unrelated mail, for a copy already sighted, and for one that is held."""
        found = reading.read(copy.raw, copy.truncated)
        return self._facts(_Held(copy, where, unseen_since, found, seen))

    def resort(self) -> list[Fact]:
        """Held refund mail again: a reply may have named it meanwhile, or nothing is left that could."""
        waiting, self._held = self._held, {}
        return [fact for held in waiting.values() for fact in self._facts(held)]

    @property
    def holds(self) -> bool:
        return bool(self._held)

    def first_held(self, folder: str, uidvalidity: int) -> int | None:
        """The lowest UID of the folder that is still held: a restart must read on from there."""
        return min((uid for name, validity, uid in self._held if (name, validity) == (folder, uidvalidity)), default=None)

    def _facts(self, held: _Held) -> list[Fact]:
        name, copy, found = self._policy.name, held.copy, held.found
        match match.match(found, name, self._context()):
            case match.Ours() as ours:
                return self._sighted(held, ours)
            case match.Bounce(probe, dsn):
                return [DsnReceived(held.seen, probe, name, dsn.action, dsn.status, dsn.diagnostic)]
            case match.Alien(kind):
                return self._alien(held, kind)
            case match.RefundShaped(why):
                if self._awaits_an_answer() and len(self._held) < MAX_HELD:
                    self._held[copy.folder.name, copy.uidvalidity, copy.uid] = held
                    return []
                return self._in_tripwire(held, why) if self._policy.role is Role.TRIPWIRE else [self._stray(held, why)]
            case match.Unrelated():
                return self._unasked(held)

    def _stray(self, held: _Held, why: str) -> Stray:
        copy, found = held.copy, held.found
        author = _author(found)
        return Stray(
            at=held.seen,
            mailbox=self._policy.name,
            folder=copy.folder.name,
            digest=found.digest,
            message_id=found.message_id,
            auth=authres.vouching(found.authentication, self._policy.authserv_ids, author),
            why=why,
            author_domain=author,
            amounts=found.amounts[:MAX_AMOUNTS],
            internaldate=copy.internaldate,
        )

    def _in_tripwire(self, held: _Held, why: str) -> list[Fact]:
        """Refund mail that names us or looks like us is a stray. What it can never turn out to be is written so many times a day."""
        policy, name, author = self._desk.policy, self._policy.name, _author(held.found)
        sender = read_sender(held.copy.raw)
        like = likeness(sender, policy.sending_domains)
        if not like and not tripwire.is_ours(author, policy):
            return self._unasked(held)
        if tripwire.unverifiable(author, self._policy, policy):
            why = f"{why}; whether it is ours nobody can tell: name the receiver in mailboxes.{name}.authserv_ids"
        mail = read_proof(held.copy.raw, held.copy.truncated, self._policy.authserv_ids)
        stray = replace(
            self._stray(held, why),
            addressed=self._policy.address.base in sender.to,
            likeness=like,
            to_signed=tripwire.has_signed_to(mail, author, policy),
        )
        if tripwire.is_hopeless(stray, policy, mail):
            if _spent(self._desk.world.tripwires.hopeless, self._hopeless, name, held.seen, tripwire.STRAYS_A_DAY):
                self._uncounted += 1
                return []
            stray, self._uncounted = replace(stray, more=self._uncounted), 0
        return [self._with_claim(stray, mail)]

    def _with_claim(self, stray: Stray, mail: DeliveredMail) -> Stray:
        """And what its proof needs, where it names us. A flood of them neither fills the journal nor leaves a later one without proof."""
        policy = self._desk.policy
        if not policy.inspect.enabled or not tripwire.is_ours(stray.author_domain, policy):
            return stray
        claimed = tripwire.mark(mail)
        if _spent(self._desk.world.tripwires.claims, self._claims, stray.mailbox, stray.at, tripwire.CLAIMS_A_DAY):
            self._desk.keep(claimed, mail)
            return replace(stray, claimed=claimed)
        return replace(stray, claim=mail, claimed=claimed)

    def _unasked(self, held: _Held) -> list[Fact]:
        """Other mail in a tripwire mailbox: whoever wrote it knows the address. Each once, and so many a day."""
        name, copy, found = self._policy.name, held.copy, held.found
        author = _author(found)
        known = self._desk.world.tripwires
        if not tripwire.is_unasked(author, self._policy, self._desk.policy) or known.knows(name, author, found.digest):
            return []
        if _spent(known.unasked, self._told, name, held.seen, tripwire.UNASKED_A_DAY):
            self._untold += 1
            return []
        more, self._untold = self._untold, 0
        return [Unasked(held.seen, name, copy.folder.name, found.digest, author, more)]

    def _context(self) -> match.Context:
        policy = self._desk.policy
        return match.Context(
            keys=policy.keys,
            environment=policy.environment,
            instance=policy.instance,
            known=self._known,
            app_ids=self._app_ids(),
            trusted=self._policy.authserv_ids,
        )

    def _known(self, probe: ProbeId) -> match.Known | None:
        state = self._desk.world.probes.get(probe)
        if state is None:
            return None
        seen = state.own() or state.elsewhere()
        return match.Known(state.plan, open=True, first=seen[0].fact if seen else None)

    def _app_ids(self) -> dict[str, ProbeId]:
        """Numbers that prove a probe here without its token: those the application assigned, and our own where it is a carrier."""
        numbers: dict[str, ProbeId] = {}
        for state in self._open_probes():
            if state.accepted is not None and state.accepted.app_refund_id:
                numbers[state.accepted.app_refund_id] = state.plan.probe
            if Carrier.REFUND_NUMBER in state.plan.expectation.carriers:
                numbers[state.plan.story.refund_number] = state.plan.probe
        return numbers

    def _open_probes(self) -> list[ProbeState]:
        """Those that may lie here: of this mailbox; where nothing is submitted to, of any."""
        world = self._desk.world
        candidates = world.probes_to(self._policy.name) if self._policy.role is Role.SEED else world.probes.values()
        return [state for state in candidates if state.first_attempt is not None]

    def _awaits_an_answer(self) -> bool:
        """An attempt to this mailbox is younger than missing_after and unseen: the mail may yet turn out to be its. In a tripwire mailbox
        there is nothing to wait for: whosever it is, it must not be there."""
        if self._policy.role is Role.TRIPWIRE:
            return False
        now = self._desk.clock.now()
        return any(state.hunted and (due := judge.missing_at(state)) is not None and not now.reached(due) for state in self._open_probes())

    def _sighted(self, held: _Held, ours: match.Ours) -> list[Fact]:
        copy, found = held.copy, held.found
        state = self._desk.world.probes[ours.probe]
        here = (self._policy.name, copy.folder.name, copy.uidvalidity, copy.uid)
        if any((s.fact.mailbox, s.fact.folder, s.fact.uidvalidity, s.fact.uid) == here for s in state.seen):
            return []
        altered, notes = reading.altered(found, state.plan.expectation)
        return [
            replace(
                self._copy_of(held, ours.probe),
                unseen_since=held.unseen_since,
                carriers=ours.carriers,
                altered=altered,
                auth=ours.auth,
                internaldate=copy.internaldate,
                notes=(*notes, *self._skew(held)),
            ),
            *self._delivered(held, state),
        ]

    def _delivered(self, held: _Held, state: ProbeState) -> list[Fact]:
        """What the first copy in its own mailbox bears of its own proof, if anybody will look at it."""
        plan, copy, inspect = state.plan, held.copy, self._desk.policy.inspect
        first = plan.route.mailbox == self._policy.name and not state.own() and plan.probe not in self._proved
        if not first or not inspect.enabled or not inspect.domains:
            return []
        self._proved.append(plan.probe)
        mail = read_proof(copy.raw, copy.truncated, self._policy.authserv_ids)
        return [Delivered(held.seen, plan.probe, plan.route, self._policy.name, mail)]

    def _skew(self, held: _Held) -> tuple[str, ...]:
        stamped = held.copy.internaldate
        if stamped is None:
            return ()
        earliest = held.unseen_since.utc if held.unseen_since else stamped
        off = max(stamped - held.seen.utc, earliest - stamped)
        return (f"the server's clock (INTERNALDATE) and ours differ by {off:.0f} s",) if off > SKEW else ()

    def _alien(self, held: _Held, kind: ForeignKind) -> list[Fact]:
        """Count it; a copy of a closed probe of ours that only changed its UID (new UIDVALIDITY) is followed, so that it is cleaned up."""
        name, copy, found = self._policy.name, held.copy, held.found
        if kind is ForeignKind.UNKNOWN_PROBE:
            policy = self._desk.policy
            signed = token.first_verified(policy.keys, policy.environment, policy.instance, [text for _, text in found.tokens])
            mine = [x for x in self._desk.world.leftovers if signed and x.probe == signed[1].probe]
            here = [x for x in mine if (x.mailbox, x.folder, x.header_digest) == (name, copy.folder.name, found.header_digest)]
            if any((x.uidvalidity, x.uid) == (copy.uidvalidity, copy.uid) for x in here):
                return []
            if moved := [x for x in here if x.uidvalidity != copy.uidvalidity]:
                return [self._copy_of(held, moved[0].probe)]
            if mine:
                kind = ForeignKind.REPLAYED
        return [Foreign(held.seen, name, copy.folder.name, kind, found.digest)]

    def _copy_of(self, held: _Held, probe: ProbeId) -> Sighted:
        """Where a copy of this probe lies and what it is; nothing yet of what that proves."""
        copy, found = held.copy, held.found
        return Sighted(
            at=held.seen,
            probe=probe,
            mailbox=self._policy.name,
            folder=copy.folder.name,
            placement=held.where,
            uidvalidity=copy.uidvalidity,
            uid=copy.uid,
            unseen_since=None,
            message_id=found.message_id,
            digest=found.digest,
            carriers=(),
            header_digest=found.header_digest,
            size=copy.size,
        )


def _author(found: Reading) -> str:
    return found.author.domain.name if found.author else ""


def _spent(told: Mapping[MailboxName, Daily], now: Daily, mailbox: MailboxName, at: Instant, most: int) -> bool:
    """So many are written on this day already; else this one is counted. The world is behind while a look is sorted."""
    if max(told.get(mailbox, Daily()).on(at), now.on(at)) >= most:
        return True
    now.add(at)
    return False
