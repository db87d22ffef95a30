"""Whose message is this? Pure classification of one copy in a mailbox of ours.

The rule, in order:

1. A DSN is a bounce of the probe that its returned headers, or the address it was sent to, name; never a sighting.
2. Carriers are asked by rank: header, plus-tag, Message-ID, body. The first token whose signature is good decides; lower carriers that
   say something else are ignored. Its environment, instance, probe and route must be ours, the probe's watch window open, and the copy
   our message (4), or the message is alien.
3. Without a good token: the one probe whose app-assigned id (or refund number) stands in the mail. Then a forged token makes it alien,
   refund-shaped mail is a candidate stray, and all else is unrelated.
4. A copy is not our message when it shares neither Message-ID nor content with the first copy and, where the first one passed DKIM or
   SPF, passes neither: a replay.

A token in quoted text or an attached message proves only that somebody speaks of a probe: such mail is unrelated. A badly signed token in
the body alone is forged only if it names a key of ours; otherwise it is any forty letters, and refund mail with forty letters is a stray.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from monitor.model.facts import ForeignKind, ProbePlanned, Sighted
from monitor.model.mail import UNSAID, Authentication, AuthResult, Carrier
from monitor.model.policy import KeyRing
from monitor.model.probe import MailboxName, ProbeId
from monitor.rules import token
from monitor.rules.dsn import Dsn
from monitor.rules.mailauth.authres import authentication
from monitor.rules.reading import Reading
from monitor.rules.token import Claim

MIN_APP_ID = 4  # shorter ids stand in any mail


@dataclass(frozen=True, slots=True)
class Known:
    """A probe that the journal knows."""

    plan: ProbePlanned
    open: bool  # its watch window is not over
    first: Sighted | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What the match is made against. `app_ids`: ids and refund numbers that prove a probe in this mailbox where no token survives."""

    keys: KeyRing
    environment: str
    instance: str
    known: Callable[[ProbeId], Known | None]
    app_ids: Mapping[str, ProbeId] = field(default_factory=dict)
    trusted: tuple[str, ...] = ()  # authserv-ids of the mailbox


@dataclass(frozen=True, slots=True)
class Ours:
    probe: ProbeId
    carriers: tuple[Carrier, ...]  # that bear the probe's token or number in this copy
    auth: Authentication = UNSAID


@dataclass(frozen=True, slots=True)
class Alien:
    kind: ForeignKind


@dataclass(frozen=True, slots=True)
class Bounce:
    probe: ProbeId
    dsn: Dsn


@dataclass(frozen=True, slots=True)
class RefundShaped:
    """Refund mail that is nobody's probe: a stray, unless an answer that is still awaited names it."""

    why: str


@dataclass(frozen=True, slots=True)
class Unrelated:
    why: str = ""


Match = Ours | Alien | Bounce | RefundShaped | Unrelated


def match(reading: Reading, mailbox: MailboxName, context: Context) -> Match:
    """Classify one copy found in `mailbox`."""
    if reading.dsn is not None:
        return _bounce(reading.dsn, context)
    if signed := _verified(context, [text for _, text in reading.tokens]):
        return _signed(reading, *signed, context)
    if named := _named(reading, context):
        return named
    if any(_is_forged(context, carrier, text) for carrier, text in reading.tokens):
        return Alien(ForeignKind.FORGED)
    if _verified(context, reading.quoted):
        return Unrelated("quotes or attaches a probe")
    if reading.refund_shaped:
        sender = reading.author.domain.name if reading.author else "an unreadable address"
        return RefundShaped(f"{mailbox} holds refund mail of {sender} without a token of ours, amounts: {', '.join(reading.amounts[:3])}")
    return Unrelated()


def _bounce(dsn: Dsn, context: Context) -> Match:
    if signed := _verified(context, dsn.tokens):
        claim = signed[1]
        if not (claim.same_environment and claim.same_instance):
            return Alien(_foreign(claim))
        if context.known(claim.probe):
            return Bounce(claim.probe, dsn)
    for probe in dsn.probes:  # the id alone: the envelope sender that we wrote is known to the relays and the recipient only
        if context.known(ProbeId(probe)):
            return Bounce(ProbeId(probe), dsn)
    return Unrelated("a delivery status notification about no probe of ours")


def _signed(reading: Reading, text: str, claim: Claim, context: Context) -> Match:
    if not (claim.same_environment and claim.same_instance):
        return Alien(_foreign(claim))
    known = context.known(claim.probe)
    if known is None or claim.route_tag != token.route_tag(known.plan.route):
        return Alien(ForeignKind.UNKNOWN_PROBE)
    carriers = [carrier for carrier, found in reading.tokens if found == text]
    return _judge_copy(reading, known, carriers, context)


def _named(reading: Reading, context: Context) -> Match | None:
    """The probe whose app-assigned id stands in the mail; the longest id if several do."""
    if reading.derived:
        return None
    for app_id in sorted(context.app_ids, key=lambda app_id: (-len(app_id), app_id)):
        if len(app_id) >= MIN_APP_ID and reading.shows(app_id):
            known = context.known(context.app_ids[app_id])
            if known is not None and known.open:
                return _judge_copy(reading, known, [], context)
    return None


def _judge_copy(reading: Reading, known: Known, carriers: list[Carrier], context: Context) -> Match:
    plan = known.plan
    auth = authentication(reading.authentication, context.trusted)
    if not known.open or _is_replay(reading, auth, known.first):
        return Alien(ForeignKind.REPLAYED)
    numbers = [plan.story.refund_number, *(app_id for app_id, probe in context.app_ids.items() if probe == plan.probe)]
    if any(len(number) >= MIN_APP_ID and reading.shows(number) for number in numbers):
        carriers.append(Carrier.REFUND_NUMBER)
    return Ours(plan.probe, tuple(carriers), auth)


def _is_replay(reading: Reading, auth: Authentication, first: Sighted | None) -> bool:
    if first is None or reading.message_id == first.message_id or reading.digest == first.digest:
        return False
    return _passes(first.auth) and not _passes(auth)


def _passes(auth: Authentication) -> bool:
    return AuthResult.PASS in (auth.dkim, auth.spf)


def _is_forged(context: Context, carrier: Carrier, text: str) -> bool:
    return carrier is not Carrier.BODY or token.names_our_key(context.keys, text)


def _foreign(claim: Claim) -> ForeignKind:
    return ForeignKind.INSTANCE if claim.same_environment else ForeignKind.ENVIRONMENT


def _verified(context: Context, tokens: list[str] | tuple[str, ...]) -> tuple[str, Claim] | None:
    return token.first_verified(context.keys, context.environment, context.instance, tokens)
