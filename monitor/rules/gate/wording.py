"""A gate in plain words: the numbers with their threshold, the worst example, and what could not be seen. Providers' and peers' words
are quoted masked and cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from monitor.model.facts import WatchBlind
from monitor.model.gate import Because, ClassTally, Control, Example, GatePolicy
from monitor.model.instant import Instant
from monitor.model.probe import Route
from monitor.model.verdict import Reason
from monitor.rules.gate.arms import Class
from monitor.rules.gate.decisive import Decisive
from monitor.rules.gate.statistics import loss_upper
from monitor.rules.gate.zone import worded
from monitor.rules.plain import plain
from monitor.views.gates import GateTrial
from monitor.views.world import World

LONGEST = 300  # characters of a line
SAID = 120  # of it, that somebody else said
MOST_LINES = 40
MOST_KINDS = 6  # of probes of a class that say nothing
WORTH_SEEING = 0.05  # the share of loss that people ask about
_DONE = {
    Reason.MISSING: "lost",
    Reason.BOUNCED: "bounced",
    Reason.REJECTED: "refused",
    Reason.DEFERRED: "refused",
    Reason.SUBMIT_UNREACHABLE: "not submitted",
    Reason.LATE: "late",
    Reason.SPAM: "in spam",
    Reason.MISFILED: "misfiled",
    Reason.MISROUTED: "misrouted",
    Reason.ALTERED: "altered",
    Reason.UNAUTHENTICATED: "unauthenticated",
    Reason.DUPLICATE: "duplicated",
}
_RANK = (Reason.REJECTED, Reason.SUBMIT_UNREACHABLE, Reason.DEFERRED, Reason.MISSING)


def cut(text: str, most: int = LONGEST) -> str:
    if len(text) > 8 * most:  # masking a text without end takes as long; what stands before the cut may be half of an address
        text = text[: 8 * most].rpartition(" ")[0]
    text = plain(text)
    return text if len(text) <= most else text[: most - 2].rstrip() + ".."


def clock(at: Instant) -> str:
    try:
        return f"{at.when:%H:%M:%S}Z"
    except (OverflowError, OSError, ValueError):  # a clock that was far off
        return "at an unknown time"


def worst(trials: Sequence[GateTrial]) -> GateTrial | None:
    """The probe that shows best what is wrong: money first, then what was not taken, then what is lost; then the first one sent."""
    return min(trials, key=lambda t: (not t.money, _RANK.index(t.reason) if t.reason in _RANK else len(_RANK), t.seq), default=None)


def example(trial: GateTrial) -> Example:
    reason = "wrong amount" if trial.money else trial.reason.value if trial.reason else "overdue"
    return Example(trial.probe, trial.route, trial.sent or trial.planned, reason, cut(trial.said, LONGEST))


def counted(tally: ClassTally, of: Class) -> str:
    """6 of 30 probes lost (fails at 2); control 0 of 6"""
    resolved = tally.good + tally.adverse
    if not tally.adverse:
        text = f"{tally.provider}: {tally.good} of {resolved} probes good"
    elif len(done := {_DONE.get(Reason(name), name) for name, _ in tally.reasons}) == 1:
        text = f"{tally.provider}: {tally.adverse} of {resolved} probes {done.pop()} (fails at {tally.limit})"
    else:
        kinds = ", ".join(f"{count} {_DONE.get(Reason(name), name)}" for name, count in tally.reasons[:4])
        text = f"{tally.provider}: {tally.adverse} of {resolved} probes adverse ({kinds}; fails at {tally.limit})"
    compared = tally.control_good + tally.control_bad
    return f"{text}; control {f'{tally.control_bad} of {compared}' if compared else 'none'}" if of.beside or compared else text


def failed(found: Decisive | None, tally: ClassTally | None, of: Class | None, shown: GateTrial | None) -> str:
    """Why it fails: what was found first, the numbers, the example."""
    parts: list[str] = []
    if found is not None:
        parts.append(_found(found))
    if tally is not None and of is not None and (found is None or tally.adverse):
        parts.append(counted(tally, of))
    if shown is not None:
        parts.append(_shown(shown))
    return cut("; ".join(parts))


def _found(found: Decisive) -> str:
    at = f" at {', '.join(found.providers[:5])}" if found.providers else ""
    match found.because:
        case Because.WRONG_AMOUNT:
            return f"a wrong amount of money stands in {_probes(found)}{at} (fails at 1)"
        case Because.TRIPPED:
            trip = found.trips[0]
            return f"refund mail of ours lies in tripwire mailbox {trip.mailbox} since {clock(trip.at)} (fails at 1)"
        case Because.FINDING:
            more = f" and {len(found.findings) - 1} more" if len(found.findings) > 1 else ""
            return f"{worded(*found.findings[0])}{more}: it began after this deploy did (fails at 1)"
        case Because.STALLED:
            return f"{_probes(found)}{at} overdue, while the control arm arrives"
        case _:
            return f"{_probes(found)} refused{at}, where mail was taken before this deploy"


def _probes(found: Decisive) -> str:
    count = len(found.trials)
    return f"{count} probe{'s' if count != 1 else ''}"


def _shown(trial: GateTrial) -> str:
    what = "wrong amount" if trial.money else trial.reason.value if trial.reason else "overdue"
    sent = f" sent {clock(trial.sent)}" if trial.sent is not None else ""
    word = _DONE.get(trial.reason, "bad") if trial.reason and not trial.money else "bad"
    said = cut(trial.said, SAID)
    return f"first {word} probe {trial.probe}{sent}: {what}{f', {said}' if said and (trial.reason or trial.money) else ''}"


def excused(tally: ClassTally, of: Class, why: str, shown: GateTrial | None) -> str:
    parts = [counted(tally, of), why]
    return cut("; ".join(parts + ([_shown(shown)] if shown is not None else [])))


def passed(tallies: Sequence[ClassTally]) -> str:
    most = max((tally.loss_upper for tally in tallies), default=1.0)
    each = ", ".join(
        f"{tally.provider} {tally.good} of {tally.good + tally.adverse} good{f' (fails at {tally.limit})' if tally.adverse else ''}"
        for tally in tallies
    )
    return cut(f"{each}; a loss of up to {_percent(most)} is not excluded (95 %)")


def waiting(tallies: Sequence[ClassTally], what: str = "") -> str:
    """gmail 7/10, outlook 4/10 probes resolved, none adverse; 9 pending"""
    if not tallies:
        return cut(what or "no mailbox class is probed")
    each = ", ".join(f"{t.provider} {t.good + t.adverse}/{max(t.needed, t.good + t.adverse)}" for t in tallies)
    adverse, pending = sum(t.adverse for t in tallies), sum(t.pending for t in tallies)
    return cut(f"{each} probes resolved, {adverse or 'none'} adverse; {pending} pending{f'; {what}' if what else ''}")


def ended(because: Because, concerned: Sequence[Class], tallies: Sequence[ClassTally], world: World) -> str:
    """Why nothing could be decided, then the numbers."""
    names = ", ".join(each.provider for each in concerned[:5])
    match because:
        case Because.UNOBSERVED:
            why = f"no probe was served by the version under test; {_served(concerned)}"
        case Because.BLIND:
            why = f"nobody can look into the mailboxes of {names}: " + "; ".join(blind(world, concerned)[:2])
        case Because.UNSUBMITTED:
            why = _unsubmitted(world, concerned, names)
        case Because.BUDGET:
            why = f"the day's share of probes for gates is used up for {names}"
        case Because.OWN_FAULT:
            why = f"most probes ended by a fault of the monitor itself: {_asides(concerned)}"
        case _:
            ours = [tally for tally in tallies if tally.provider in {each.provider for each in concerned}]
            numbers = ", ".join(f"{t.provider} {t.good + t.adverse} of {t.needed} ({t.adverse} adverse, {t.pending} pending)" for t in ours)
            why = f"too few probes are resolved: {numbers}" if numbers else "no mailbox class is probed"
            asides = _asides(concerned)
            return cut(f"{why}; {asides}" if asides else why)
    return cut(f"{why}; {waiting(tallies)}")


def _unsubmitted(world: World, concerned: Sequence[Class], names: str) -> str:
    if world.paused is not None:
        return f"submission is paused since {clock(world.paused.at)} by {cut(world.paused.by, 40)}: {cut(world.paused.reason, SAID)}"
    if asides := _asides(concerned):
        return f"probes to {names} could not be submitted, or their answers were lost: {asides}"
    return f"no route to {names} is configured any more, or none was submitted"


def _served(concerned: Sequence[Class]) -> str:
    served = sum((each.served for each in concerned), Counter[str]())
    told = [f"{cut(name, 40)} served {count}" for name, count in served.most_common(4) if name]
    untold = [f"{served['']} told no version"] if served[""] else []
    return ", ".join(told + untold) or "none was served at all"


def _asides(concerned: Sequence[Class]) -> str:
    aside = sum((each.aside for each in concerned), Counter[str]())
    return ", ".join(f"{count} {cut(why, 60)}" for why, count in aside.most_common(4))


def blind(world: World, classes: Sequence[Class]) -> list[str]:
    """One line for each mailbox that nobody can look into."""
    names = [name for each in classes for name in each.mailboxes if name in world.evidence.blind]
    return [f"mailbox {name} since {clock(world.evidence.blind[name])}{_cause(world, name)}" for name in dict.fromkeys(names)]


def _cause(world: World, name: object) -> str:
    box = next((state for key, state in world.mailboxes.items() if key == name), None)
    said: WatchBlind | None = box.blind if box else None
    return f": {said.cause.value}, {cut(said.detail, 80)}" if said is not None else ""


def unseen(world: World, policy: GatePolicy, classes: Sequence[Class], gone: Sequence[Route], stood: Sequence[str] = ()) -> tuple[str, ...]:
    """What could not be seen: what so few probes cannot show, then what is wrong beside the deploy, then what was left out and why, then
    what was not looked at."""
    lines = [*_bounds(classes), *stood]
    for each in classes:
        kinds = [(count, why) for why, count in each.aside.most_common(MOST_KINDS)]
        kinds += [(each.stale, f"good, but older than {policy.fresh_for:.0f} s")]
        kinds += [(each.excused, "of an attempt in which the control arm failed too")]
        kinds += [(each.renewed, "good, in an attempt in which too many were unanswered")]
        kinds += [(each.withdrawn, "planned and never submitted")]
        lines += [f"{each.provider}: {count} not counted: {why}" for count, why in kinds if count]
        if policy.control is Control.STABLE and each.control.good + each.control.bad == 0:
            lines.append(f"{each.provider}: nothing to compare with, no control probe is resolved")
    lines += [f"not looked into: {line}" for line in blind(world, classes)]
    tried = {trial.route for each in classes for trial in each.counted if trial.sent is not None}
    idle = [str(route) for each in classes for route in each.routes if route not in tried and route not in gone]
    if idle:
        lines.append(f"routes without evidence: {_some(idle)}")
    if gone:
        lines.append(f"routes that are not configured any more: {_some([str(route) for route in gone])}")
    return tuple(cut(line) for line in lines[:MOST_LINES])


def _some(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _bounds(classes: Sequence[Class]) -> list[str]:
    """What so few probes cannot exclude; of one with losses that does not pass there is no such question."""
    alike: dict[tuple[int, int], list[str]] = {}
    for each in classes:
        if each.ruling.passed or (each.ruling.passed is None and not each.adverse and not each.money):
            alike.setdefault((len(each.adverse), len(each.good) + len(each.adverse)), []).append(each.provider)
    return [_bound(", ".join(names), *counts) for counts, names in alike.items()]


def _bound(names: str, adverse: int, resolved: int) -> str:
    if not resolved:
        return f"{names}: no probe of the version under test is resolved, any loss would be unseen"
    upper = loss_upper(resolved, adverse)
    needed = next(n for n in range(1, 100) if loss_upper(n, 0) <= WORTH_SEEING)
    more = f"; excluding {_percent(WORTH_SEEING)} takes {needed} good ones" if upper > WORTH_SEEING else ""
    sure = "95 %, were losses independent, which those of a burst are not quite"
    return f"{names}: {adverse} adverse of {resolved} cannot exclude a loss of up to {_percent(upper)} ({sure}){more}"


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"
