"""The one place where a ruling is put into plain words. Folder names and replies are the peer's; they are quoted, never obeyed."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.model.facts import DsnReceived, Sighted, WatchBlind
from monitor.model.mail import Field, Placement
from monitor.model.probe import MailboxName
from monitor.model.submission import Reply, Step
from monitor.views.probes import ProbeState, Seen

_STEPS = {
    Step.CONNECT: "at the connection",
    Step.TLS: "at the TLS handshake",
    Step.AUTH: "at AUTH",
    Step.MAIL_FROM: "at MAIL FROM",
    Step.RCPT_TO: "at RCPT TO",
    Step.DATA: "after DATA",
    Step.REQUEST: "to the request",
}
_FIELDS = {
    Field.AMOUNT: "the amount",
    Field.REFUND_NUMBER: "the refund number",
    Field.ORDER_NUMBER: "the order number",
    Field.CUSTOMER_NAME: "the customer's name",
    Field.FOREIGN_AMOUNT: "another amount of money stands in the mail",
}


def place(copy: Sighted) -> str:
    return "INBOX" if copy.placement is Placement.INBOX else f"folder {copy.folder!r}"


def lapse(seconds: float) -> str:
    """A length of time as a person reads it: 3 ms, 2.1 s, 4m10s."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60}m{int(seconds) % 60:02d}s"


def peer_said(step: Step, reply: Reply) -> str:
    return f"the peer answered {reply} {_STEPS[step]}"


def with_mend(detail: str, mend: str) -> str:
    return f"{detail}; {mend}" if mend else detail


def bounced(dsn: DsnReceived) -> str:
    return with_mend(f"a delivery status notification says {dsn.action} ({dsn.status})", dsn.diagnostic)


def taken(state: ProbeState) -> str:
    return f"accepted ({state.accepted.reply})" if state.accepted else "handed over"


def arrived(state: ProbeState, copy: Seen) -> str:
    where = f"arrived in {place(copy.fact)}"
    if state.accepted is not None:
        return f"{where} {lapse(max(0.0, copy.first.at.seconds_since(state.accepted.at)))} after it was accepted"
    if state.unknown is not None:
        return f"{where} although the reply to the submission was lost"
    return f"{where} although no attempt was accepted"


def late(state: ProbeState, copy: Seen) -> str:
    start = state.first_attempt or copy.first.at
    seconds = copy.first.at.seconds_since(start)
    text = f"arrived in {place(copy.fact)} {seconds:.0f} s after the first attempt (late after {state.plan.deadlines.late_after:.0f} s)"
    if state.accepted and state.attempt > 1:
        text += f"; {state.accepted.at.seconds_since(start):.0f} s of that until the peer took it, on attempt {state.attempt}"
    return text


def placed(copy: Sighted) -> str:
    what = {
        Placement.SPAM: "in the spam folder",
        Placement.TAB: "under a tab",
        Placement.OTHER: "in another folder",
        Placement.INBOX: "in INBOX",
    }
    return f"arrived {what[copy.placement]} ({copy.folder!r})"


def misrouted(own: MailboxName, copy: Sighted, also_own: bool = False) -> str:
    tail = "too" if also_own else f"and not in {own}"
    return f"arrived in {place(copy)} of mailbox {copy.mailbox}, {tail}"


def altered(copy: Sighted) -> str:
    named = [_FIELDS[f] for f in copy.altered if f is not Field.FOREIGN_AMOUNT]
    parts = [f"{', '.join(named)} not as submitted"] if named else []
    if Field.FOREIGN_AMOUNT in copy.altered:
        parts.append(_FIELDS[Field.FOREIGN_AMOUNT])
    return "; ".join(parts)


def duplicate(copies: Sequence[Sighted]) -> str:
    return f"arrived {len(copies)} times: {', '.join(place(copy) for copy in copies)}"


def clock_jump(what: str, seconds: float) -> str:
    return f"{what}, but the clock stepped by {seconds:+.0f} s meanwhile, so the time is not known"


def blind(mailbox: MailboxName, why: WatchBlind | None) -> str:
    if why is None:
        return f"no complete look at {mailbox} was possible in time"
    return with_mend(f"{mailbox} cannot be looked into ({why.cause.value}: {why.detail})", why.mend)
