"""What the reconciliation of real refunds shows, in words: how many, how much money, what probes say meanwhile, and which command lists
them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from monitor.model.facts import SourceBlind
from monitor.model.incident import EVERYWHERE, Confidence, DeployPhase, Layer
from monitor.model.instant import Instant
from monitor.model.ledger import ClassStanding, DifferenceClass, Flow, Side, Standing, Volume
from monitor.model.policy import Policy
from monitor.model.verdict import Symptom
from monitor.rules import deploys
from monitor.rules.diagnose.advice import named
from monitor.rules.diagnose.confidence import of_pattern
from monitor.rules.diagnose.findings import Wording
from monitor.rules.diagnose.layer import of_mail
from monitor.rules.diagnose.pattern import Pattern, observe
from monitor.rules.plain import plain
from monitor.rules.reconcile.impact import amounts, counted
from monitor.rules.reconcile.volume import worded as volume_worded
from monitor.rules.words import lapse
from monitor.views.ledger import CLASS_OF_SYMPTOM, STORE
from monitor.views.world import World

LEDGER_SYMPTOMS = frozenset({*CLASS_OF_SYMPTOM, Symptom.VOLUME, Symptom.LEDGER_BLIND})
MOST_BESIDE = 2  # other incidents that are named
MOST_VOLUMES = 2
_MAIL = frozenset(
    {
        Symptom.DELIVERY_MISSING,
        Symptom.DELIVERY_STALLED,
        Symptom.DELIVERY_LATE,
        Symptom.MISROUTED,
        Symptom.BOUNCED,
        Symptom.SMTP_REJECT,
        Symptom.CONTENT_WRONG,
        Symptom.DUPLICATE,
    }
)
_TRIPS = frozenset({Symptom.STRAY})


@dataclass(frozen=True, slots=True)
class _View:
    """What is looked at, and when."""

    world: World
    policy: Policy
    since: Instant
    now: Instant

    @property
    def standing(self) -> Standing:
        last = self.world.ledger.last
        return last.standing if last is not None else Standing()


@dataclass(frozen=True, slots=True)
class _Probed:
    """What probes say of the layer."""

    layer: Layer
    shows: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    sure: Confidence = Confidence.HIGH


_OURS = _Probed(Layer.APPLICATION)  # no probe is asked: what is mailed without a refund, or says another amount, the shop mailed


def worded(world: World, policy: Policy, symptom: Symptom, since: Instant, now: Instant) -> Wording:
    """Total: also when nothing of it stands any more."""
    view = _View(world, policy, since, now)
    if symptom is Symptom.LEDGER_BLIND:
        return _blindness(view)
    if symptom is Symptom.VOLUME:
        return _volume(view)
    kind = CLASS_OF_SYMPTOM[symptom]
    missing = kind is DifferenceClass.MISSING
    probed = _by_probes(view) if missing else _OURS
    beside = _beside(view, _MAIL if missing else _TRIPS)
    # what was not read yet may explain it away: confirmations those that are missing, refunds the rest
    sure, against = _weighed(view, probed, Side.CONFIRMATIONS if missing else Side.REFUNDS)
    return Wording(
        layer=probed.layer,
        summary=plain(f"{_counted(view, kind)}{_after_deploy(view)}"),
        shows=tuple(map(plain, (_sides(view), _read(view), *probed.shows, *beside))),
        next_step=plain(f"{_rollback(view) if probed.layer is Layer.APPLICATION else ''}{listing(kind, since)}"),
        confidence=sure,
        against=against,
    )


def listing(kind: DifferenceClass, since: Instant) -> str:
    """The command that lists them."""
    return f"mailcanary ledger show --kind {kind.value} --since {since.when:%Y-%m-%dT%H:%M:%SZ} --format csv"


def _counted(view: _View, kind: DifferenceClass) -> str:
    standing = view.world.ledger.of(kind)
    fresh = view.world.ledger.fresh(kind) or standing.open
    when = f"since {_clock(view, view.since.utc)}"
    with_money = _weight(standing)
    if fresh < standing.open:
        with_money = f" (all {standing.open} that are open:{with_money})" if with_money else f" ({standing.open} are open in all)"
    elif with_money:
        with_money = f" ({with_money.strip()})"
    one = fresh == 1
    match kind:
        case DifferenceClass.MISSING:
            return f"{counted(fresh, 'refund')} {when} {'has' if one else 'have'} no confirmation{with_money}"
        case DifferenceClass.SPURIOUS:
            return f"{counted(fresh, 'confirmation')} without a refund {when}{with_money}"
        case DifferenceClass.MISMATCHED:
            does = "says another amount or currency, or went" if one else "say another amount or currency, or went"
            return f"{counted(fresh, 'confirmation')} {when} {does} to somebody else{with_money}"
        case DifferenceClass.DUPLICATE:
            return f"{counted(fresh, 'confirmation')} {when} {'is' if one else 'are'} not the first to the same person{with_money}"


def _weight(standing: ClassStanding) -> str:
    """How much they weigh, behind a blank."""
    parts = [amounts(standing.money)] if standing.money else []
    if standing.customers:
        parts.append(counted(standing.customers, "customer"))
    return f" {'; '.join(parts)}" if parts else ""


def _after_deploy(view: _View) -> str:
    best = _candidate(view)
    if not best:
        return ""
    return f", after deploy {best[0]} (began {lapse(best[1])} after)" if best[1] >= 0 else f", at about the same time as deploy {best[0]}"


def _rollback(view: _View) -> str:
    best = _candidate(view)
    return f"roll back {best[0]}, if it can be; " if best and best[2] is not DeployPhase.ROLLBACK and not best[3] else ""


def _candidate(view: _View) -> tuple[str, float, DeployPhase, bool] | None:
    """The deploy that stands nearest to its beginning: its name, the seconds since, what it did, and whether it is undone meanwhile."""
    found = deploys.candidates(view.world.incidents.deploys, view.since, None, control_good=False)
    if not found:
        return None
    best = found[0]
    name = " ".join(part for part in (best.service, best.version or best.deploy) if part)
    return name, best.seconds_after, best.phase, best.taken_back is not None


# --- what else is known ---------------------------------------------------------------------------------------------------


def _sides(view: _View) -> str:
    standing = view.standing
    held = f"{counted(standing.refunds, 'refund')} in the ledger, {standing.confirmed} confirmed, {standing.awaited} not due yet"
    if not standing.confirmations:
        return f"{held}; no confirmation"
    return f"{held}; {counted(standing.confirmations, 'confirmation')}"


def _read(view: _View) -> str:
    said = []
    for side, until in ((Side.REFUNDS, view.standing.refunds_until), (Side.CONFIRMATIONS, view.standing.confirmations_until)):
        names = named(sorted(source.name for source in view.policy.ledger.of(side)), "no source")
        said.append(f"{side.value} until {_clock(view, until) if until is not None else 'no time yet'} ({names})")
    return f"read: {', '.join(said)}"


def _unread(view: _View) -> Iterator[str]:
    for blind in _blind(view):
        yield f"{_name(blind.source)} cannot be read since {_clock(view, blind.at.utc)}: {blind.detail}"


def _blind(view: _View) -> list[SourceBlind]:
    blind = sorted(view.world.ledger.blind.items())
    return [fact for source, fact in blind if source == STORE or source in view.policy.ledger.sources]


def _by_probes(view: _View) -> _Probed:
    """The application loses what it owes, or mail in general is lost: probes tell the two apart."""
    pattern = observe(view.world, view.policy, Symptom.DELIVERY_MISSING, (), view.since)
    if not pattern.observations:
        return _Probed(Layer.APPLICATION, doubts=("no probe since then says whether mail arrives",))
    if not pattern.bad:
        count = len(pattern.observations)
        return _Probed(Layer.APPLICATION, (f"all {count} probes since then arrive" if count > 1 else "the one probe since then arrives",))
    finding = of_mail(pattern, view.policy, EVERYWHERE, Symptom.DELIVERY_MISSING)
    sure, against = of_pattern(view.world, view.policy, pattern, finding)
    shows = (f"probes fail too: {named(list(_shares(pattern, view.policy)), '')}",)
    return _Probed(finding.layer, shows, against, sure)


def _weighed(view: _View, probed: _Probed, other: Side) -> tuple[Confidence, tuple[str, ...]]:
    """`other`: the side that may explain the difference by what of it could not be read."""
    unread = tuple(map(plain, _unread(view)))
    blind = any(fact.side is other for fact in _blind(view))
    never = ("no confirmation was ever read: is their source the right one?",) if not view.standing.confirmations else ()
    contradicted = (*never, *(unread if blind else ()))
    if probed.sure is Confidence.LOW or contradicted:
        sure = Confidence.LOW
    elif unread or probed.doubts:
        sure = Confidence.MEDIUM
    else:
        sure = probed.sure
    return sure, tuple(dict.fromkeys((*contradicted, *unread, *map(plain, probed.doubts))))


def _shares(pattern: Pattern, policy: Policy) -> Iterator[str]:
    for path in sorted(policy.paths):
        counts = pattern.counts(path).values()
        if counts:
            yield f"{path} {sum(bad for bad, _ in counts)}/{sum(sent for _, sent in counts)}"


def _beside(view: _View, symptoms: frozenset[Symptom]) -> tuple[str, ...]:
    """Other incidents that may be the same trouble."""
    found = [state for state in view.world.incidents.open() if state.last.symptom in symptoms and state.parent is None]
    return tuple(f"{state.id} is open about {state.last.symptom.value} of {state.last.scope}" for state in found[:MOST_BESIDE])


# --- volumes and blindness ------------------------------------------------------------------------------------------------


def _volume(view: _View) -> Wording:
    last = view.world.ledger.last
    volumes = sorted(last.volumes if last is not None else (), key=lambda volume: volume.side is Side.REFUNDS)
    if not volumes:
        fine = "refunds and confirmations are as many as they should be"
        return Wording(Layer.APPLICATION, fine, (), "mailcanary ledger status", Confidence.LOW, ("the latest comparison finds nothing",))
    worst = volumes[0]
    lost = worst.side is Side.CONFIRMATIONS and worst.flow is Flow.COLLAPSE
    probed = _by_probes(view) if lost else _OURS
    sure, against = _weighed(view, probed, worst.side)
    return Wording(
        layer=probed.layer,
        summary=plain(f"{'; '.join(volume_worded(volume) for volume in volumes[:MOST_VOLUMES])}{_after_deploy(view)}"),
        shows=tuple(map(plain, (_sides(view), _read(view), *probed.shows, *_beside(view, _MAIL if lost else _TRIPS)))),
        next_step=plain(f"{_rollback(view) if probed.layer is Layer.APPLICATION else ''}{_volume_step(worst, view.since)}"),
        confidence=sure,
        against=against,
    )


def _volume_step(volume: Volume, since: Instant) -> str:
    match volume.side, volume.flow:
        case Side.CONFIRMATIONS, Flow.COLLAPSE:
            return "see whether the shop's mail job runs, and the relay's queue; then mailcanary ledger status"
        case Side.CONFIRMATIONS, Flow.FLOOD:
            return f"stop the job that mails confirmations; then {listing(DifferenceClass.SPURIOUS, since)}"
        case _:
            return "ask whoever processes refunds whether this is meant; then mailcanary ledger status"


def _blindness(view: _View) -> Wording:
    blind = _blind(view)
    names = named([_name(fact.source) for fact in blind], "a source")
    mends = [fact.mend for fact in blind if fact.mend]
    return Wording(
        layer=Layer.MONITOR,
        summary=plain(f"refunds and confirmations cannot be compared: {names} cannot be read"),
        shows=tuple(map(plain, (*_unread(view), _read(view)))),
        next_step=plain(_joined([*mends[:1], "mailcanary ledger status"])),
        confidence=Confidence.HIGH,
    )


def _joined(parts: Iterable[str]) -> str:
    return "; then ".join(parts)


def _name(source: str) -> str:
    return "the ledger store" if source == STORE else f"source {source}"


def _clock(view: _View, at: float) -> str:
    """In UTC, with its date where that is another one than now's."""
    when = view.now.plus(at - view.now.utc).when
    date = f"{when:%Y-%m-%d} " if when.date() != view.now.when.date() else ""
    return f"{date}{when:%H:%M:%S}Z"
