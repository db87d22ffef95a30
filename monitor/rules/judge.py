"""The verdict on one probe: (what was seen, now) -> reason, or nothing yet. Design 5: proof rules, lateness, revisions.

The clock of lateness runs from the first attempt: that is what a customer waits for. The clock of absence runs from the attempt that the
peer took: a message greylisted for twenty minutes has been under way for two seconds, not for twenty minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from monitor.model.facts import ClockJumped, Judged, Sighted, SubmitFault
from monitor.model.instant import Instant
from monitor.model.mail import AuthResult, Placement
from monitor.model.probe import Expectation, MailboxName
from monitor.model.verdict import Reason
from monitor.rules import words
from monitor.views.probes import ProbeState, Seen
from monitor.views.world import MailboxState

_PLACED = {
    Placement.INBOX: None,
    Placement.TAB: Reason.MISFILED,
    Placement.OTHER: Reason.MISFILED,
    Placement.SPAM: Reason.SPAM,
}
# which of several reasons names the verdict: money first, then the customer's eyes, then the clock
_RANK = (Reason.ALTERED, Reason.DUPLICATE, Reason.MISROUTED, Reason.SPAM, Reason.MISFILED, Reason.UNAUTHENTICATED, Reason.LATE, Reason.PASS)


@dataclass(frozen=True, slots=True)
class Ruling:
    """One verdict with its grounds. Seconds as in Judged."""

    reason: Reason
    explanation: str
    evidence: tuple[int, ...]
    also: tuple[Reason, ...] = ()
    submission_seconds: float | None = None
    transit_seconds: float | None = None
    uncertainty_seconds: float | None = None
    copy: Sighted | None = None
    notes: tuple[str, ...] = field(default=())

    def rests_on_absence(self, state: ProbeState) -> bool:
        """It says that a message which may be on its way was not seen."""
        return self.copy is None and state.taken


def judge(
    state: ProbeState,
    mailbox: MailboxState,
    now: Instant,
    jumps: Sequence[ClockJumped] = (),
    holding: frozenset[MailboxName] = frozenset(),
) -> Ruling | None:
    """The ruling that the evidence supports now; None while the probe stays open."""
    if state.withheld:
        return Ruling(Reason.BUDGET_EXHAUSTED, state.withheld.detail, (state.plan_seq, state.outcome_seq))
    if state.first_attempt is None or state.awaiting_outcome:
        return None
    return _refused(state) or _arrived(state, jumps, holding) or _elsewhere(state) or _failed(state) or _absent(state, mailbox, now, jumps)


def unattended(state: ProbeState, finders: Sequence[MailboxState], now: Instant) -> bool:
    """An earlier process left this probe, and since our start not all have spoken who may find its mail (`finders`): while nobody watched,
    silence meant nothing. Their first word comes after a look at every folder, or says blind."""
    inherited = state.last_attempt is not None and state.last_attempt.process != now.process
    return inherited and not all(finder.known_to(now.process) for finder in finders)


def is_news(state: ProbeState, ruling: Ruling) -> bool:
    """The ruling says something that the last verdict did not."""
    known = state.judged
    return known is None or (known.reason, known.also) != (ruling.reason, ruling.also)


def judged(state: ProbeState, ruling: Ruling, at: Instant) -> Judged:
    """The verdict as it is written down: the next revision of this probe."""
    copy = ruling.copy
    return Judged(
        at=at,
        probe=state.plan.probe,
        route=state.plan.route,
        purpose=state.plan.purpose,
        revision=0 if state.judged is None else state.judged.revision + 1,
        verdict=ruling.reason.verdict,
        reason=ruling.reason,
        explanation=ruling.explanation,
        evidence=ruling.evidence,
        submission_seconds=ruling.submission_seconds,
        transit_seconds=ruling.transit_seconds,
        uncertainty_seconds=ruling.uncertainty_seconds,
        placement=copy.placement if copy else None,
        folder=copy.folder if copy else "",
        mailbox=copy.mailbox if copy else None,
        served_version=state.accepted.served_version if state.accepted else "",
        notes=ruling.notes,
        also=ruling.also,
    )


def wake_at(state: ProbeState) -> tuple[Instant, ...]:
    """The instants at which the ruling may change although no fact arrives."""
    if state.first_attempt is None:
        return ()
    base = _under_way_since(state)
    deadlines = state.plan.deadlines
    return (base.plus(deadlines.missing_after), base.plus(deadlines.give_up_after), watch_end(state))


def missing_at(state: ProbeState) -> Instant | None:
    """A look that begins from here on proves absence: past the deadline, and after the peer had taken the message, or may have."""
    if state.first_attempt is None:
        return None
    due = _under_way_since(state).plus(state.plan.deadlines.missing_after)
    answer = state.accepted or state.unknown
    return answer.at if answer is not None and answer.at.reached(due) else due


def watch_end(state: ProbeState) -> Instant:
    """When the probe is closed: late arrivals, second copies and moves to junk until then are revisions."""
    if state.first_attempt is None:
        return state.plan.at
    return _under_way_since(state).plus(state.plan.deadlines.watch_until)


def _under_way_since(state: ProbeState) -> Instant:
    assert state.first_attempt and state.last_attempt  # noqa: S101 - the callers asked
    return state.first_attempt if state.attempt == 1 else state.last_attempt


def _refused(state: ProbeState) -> Ruling | None:
    if state.refused is None:
        return None
    own = state.own()
    notes = (f"yet a copy arrived in {words.place(own[0].fact)}",) if own else ()
    said = words.peer_said(state.refused.step, state.refused.reply)
    return Ruling(Reason.REJECTED, said, (state.outcome_seq, *(s.seq for s in own)), notes=notes)


def _failed(state: ProbeState) -> Ruling | None:
    """No copy anywhere, and the submission or the transport said that there will be none."""
    evidence = (state.outcome_seq,)
    if state.dsn is not None and state.dsn.action == "failed":
        return Ruling(Reason.BOUNCED, words.bounced(state.dsn), (state.outcome_seq, state.dsn_seq))
    if state.deferred is not None and state.deferred.retry_in is None:
        said = words.peer_said(state.deferred.step, state.deferred.reply)
        return Ruling(Reason.DEFERRED, f"gave up after {state.attempt} attempts; last: {said}", evidence)
    if state.error is not None and state.error.retry_in is None:
        reason = {
            SubmitFault.UNREACHABLE: Reason.SUBMIT_UNREACHABLE,
            SubmitFault.MISCONFIGURED: Reason.SUBMIT_MISCONFIGURED,
            SubmitFault.OVERLOADED: Reason.OVERLOADED,
            SubmitFault.INTERNAL: Reason.INTERNAL,
        }[state.error.fault]
        return Ruling(reason, words.with_mend(state.error.detail, state.error.mend), evidence)
    return None


def _elsewhere(state: ProbeState) -> Ruling | None:
    """Seen, but not in the mailbox that it was addressed to."""
    others = state.elsewhere()
    if not others:
        return None
    first = others[0]
    return _with_times(state, first, Reason.MISROUTED, words.misrouted(state.plan.route.mailbox, first.fact), others)


def _arrived(state: ProbeState, jumps: Sequence[ClockJumped], holding: frozenset[MailboxName]) -> Ruling | None:
    copies = state.own()
    if not copies:
        return None
    first = copies[0]
    strangers = [seen for seen in state.elsewhere() if seen.fact.mailbox not in holding]
    held = [seen for seen in state.elsewhere() if seen.fact.mailbox in holding]
    found: dict[Reason, str] = {}
    notes: list[str] = []
    distinct = _distinct(copies)
    shown = {seen.fact.header_digest for seen in copies if seen.fact.placement is Placement.INBOX}
    for seen in copies:
        if seen.fact.altered:
            found.setdefault(Reason.ALTERED, words.altered(seen.fact))
        label = seen.fact.header_digest in shown  # the same message stands in INBOX too: rightly placed
        if (placed := _PLACED[seen.fact.placement]) and not label:
            found.setdefault(placed, words.placed(seen.fact))
        if lacking := _unauthenticated(seen.fact, state.plan.expectation):
            found.setdefault(Reason.UNAUTHENTICATED, lacking)
    if len(distinct) > 1:
        found[Reason.DUPLICATE] = words.duplicate([seen.fact for seen in distinct])
    if strangers:
        found[Reason.MISROUTED] = words.misrouted(state.plan.route.mailbox, strangers[0].fact, also_own=True)
    if held:
        notes.append(f"first seen in {words.place(held[0].fact)} of {held[0].fact.mailbox}")
    late, uncertain = _lateness(state, first.first)
    if late and uncertain:
        notes.append("may have come after the late deadline: no look at this folder separates before from after")
    elif late:
        text = words.late(state, first)
        if (jumped := _clock_in_doubt(state, first.first.at, jumps)) is None:
            found[Reason.LATE] = text
        elif found:
            notes.append(words.clock_jump(text, jumped))
        else:
            return _with_times(state, first, Reason.CLOCK_JUMP, words.clock_jump(text, jumped), [first])
    reason = min(found, key=_RANK.index, default=Reason.PASS)
    explanation = found.get(reason) or words.arrived(state, first)
    if words.place(first.first) != words.place(first.fact):
        notes.append(f"first seen in {words.place(first.first)}")
    lost = [carrier for carrier in state.plan.expectation.carriers if carrier not in first.fact.carriers]
    if lost:
        notes.append(f"lost on the way: {', '.join(carrier.value for carrier in lost)}")
    notes.extend(first.fact.notes)
    also = tuple(sorted(found.keys() - {reason}, key=_RANK.index))
    return _with_times(state, first, reason, explanation, [*copies, *strangers, *held], also, tuple(notes))


def _distinct(copies: Sequence[Seen]) -> list[Seen]:
    """Copies that are really several messages: two folders that show one header block to the byte are labels on one message."""
    places: dict[str, dict[str, list[Seen]]] = {}
    for seen in copies:
        places.setdefault(seen.fact.header_digest, {}).setdefault(seen.fact.folder, []).append(seen)
    return [seen for folders in places.values() for seen in max(folders.values(), key=len)]


def _unauthenticated(copy: Sighted, expectation: Expectation) -> str:
    wanted = (
        ("spf", expectation.spf, copy.auth.spf),
        ("dkim", expectation.dkim, copy.auth.dkim),
        ("dmarc", expectation.dmarc, copy.auth.dmarc),
    )
    lacking = [f"{name}={said.value}" for name, accepted, said in wanted if accepted and said not in accepted]
    if not lacking:
        return ""
    if all(said is AuthResult.ABSENT for _, accepted, said in wanted if accepted):
        return "the receiver left no Authentication-Results of a trusted authserv-id"
    return f"the receiver ({copy.auth.authserv_id}) says {' '.join(lacking)}"


def _lateness(state: ProbeState, copy: Sighted) -> tuple[bool, bool]:
    """(the sighting came after the late deadline, but it may have lain there before).

    It arrived after the last look at its folder that did not show it. Only when that look began past the deadline is it late for certain.
    """
    assert state.first_attempt  # noqa: S101 - a sighting without an attempt has no state
    late_after = state.plan.deadlines.late_after
    if copy.at.seconds_since(state.first_attempt) <= late_after:
        return False, False
    unseen = copy.unseen_since
    if unseen is None and state.unseen_look is not None:
        unseen = state.unseen_look.began
    return True, unseen is None or unseen.seconds_since(state.first_attempt) < late_after


def _absent(state: ProbeState, mailbox: MailboxState, now: Instant, jumps: Sequence[ClockJumped]) -> Ruling | None:
    if not state.taken:
        return None
    base = _under_way_since(state)
    deadlines = state.plan.deadlines
    due = missing_at(state)
    look = state.unseen_look
    if look is not None and due is not None and look.began.reached(due):
        evidence = (state.outcome_seq, state.unseen_look_seq)
        absence = f"in none of {look.folders} folders {look.began.seconds_since(base):.0f} s later"
        if state.unknown is not None:
            return Ruling(Reason.SUBMIT_UNKNOWN, f"{state.unknown.detail}; {absence}", evidence)
        if look.began.since(base).by_utc and (jumped := _clock_in_doubt(state, look.began, jumps)) is not None:
            return Ruling(Reason.CLOCK_JUMP, words.clock_jump(absence, jumped), evidence)
        return Ruling(Reason.MISSING, f"{words.taken(state)}; {absence}", evidence)
    if now.reached(base.plus(deadlines.give_up_after)):
        return Ruling(Reason.MAILBOX_BLIND, words.blind(state.plan.route.mailbox, mailbox.blind), (state.outcome_seq,))
    return None


def _clock_in_doubt(state: ProbeState, end: Instant, jumps: Sequence[ClockJumped]) -> float | None:
    """A duration that only UTC could measure (a restart was between) is worthless if UTC stepped meanwhile: by how much it did."""
    start = state.first_attempt
    if start is None or not end.since(start).by_utc:
        return None
    return next((jump.seconds for jump in jumps if jump.at.seconds_since(start) >= 0 and end.seconds_since(jump.at) >= 0), None)


def _with_times(
    state: ProbeState,
    first: Seen,
    reason: Reason,
    explanation: str,
    copies: Sequence[Seen],
    also: tuple[Reason, ...] = (),
    notes: tuple[str, ...] = (),
) -> Ruling:
    submission = transit = None
    if state.accepted is not None and state.first_attempt is not None:
        submission = max(0.0, state.accepted.at.seconds_since(state.first_attempt))
        span = first.first.at.since(state.accepted.at)
        transit = max(0.0, span.seconds)  # the mail may be seen before the peer's reply is read
        if span.by_utc:
            notes = (*notes, "transit measured by UTC across a restart")
        if state.accepted.attempt > 1:
            notes = (*notes, f"accepted on attempt {state.accepted.attempt}")
    unseen = first.first.unseen_since
    uncertainty = first.first.at.seconds_since(unseen) if unseen else None
    return Ruling(
        reason,
        explanation,
        (state.outcome_seq, *(seen.seq for seen in copies)),
        also,
        submission,
        transit,
        uncertainty,
        first.fact,
        notes,
    )
