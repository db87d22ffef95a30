"""What of an inspection goes into the journal: findings in full, what passed by its id, only once what stays the same, and what the
baseline learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from monitor.model.checks import CheckId, CheckResult, Status
from monitor.model.dns import Snapshot
from monitor.model.facts import ZoneLearned, ZoneObserved
from monitor.model.inspection import Cause
from monitor.model.instant import Instant
from monitor.rules.inspect import Inspection
from monitor.rules.inspect.lessons import lesson
from monitor.rules.inspect.unknowns import Judged, asked, blindness, hardened
from monitor.views.zones import DomainState, finding_key

SPELL_EVERY = 43_200.0  # seconds after which all is spelled out again, although nothing changed
MOST_RESULTS = 300
_LONGEST = 2_000


def observed(
    inspection: Inspection, answers: Snapshot, before: DomainState | None, judged: Judged, resolvers: int, cause: Cause, now: Instant
) -> ZoneObserved:
    """An inspection, spelled out. `before`: the domain as the world has it; `judged`: the results that other answers would give;
    `resolvers`: how many are configured."""
    questions, failed = asked(answers)
    if why := blindness(answers):
        return blind(inspection.domain, why, cause, now, questions, failed)
    results = hardened(inspection.results, before, answers, judged, resolvers, now)
    harder = [finding_key(new) for old, new in zip(inspection.results, results, strict=True) if old.status is not new.status]
    return ZoneObserved(
        at=now,
        domain=inspection.domain,
        cause=cause,
        results=tuple(_short(result) for result in results if result.is_finding)[:MOST_RESULTS],
        passed=_passed(results),
        facets=inspection.facets,
        drifts=inspection.drifts,
        asked=questions,
        failed=failed,
        keys=inspection.keys,
        hardened=tuple(harder),
        unanswered=inspection.unanswered,
    )


def written(fact: ZoneObserved, before: DomainState | None) -> tuple[ZoneObserved | ZoneLearned, ...]:
    """What of an inspection is written down: what stays the same stands in the journal once."""
    if fact.blind:
        return (fact,)
    taught = lesson(before, fact)
    learned = () if taught is None else (ZoneLearned(fact.at, fact.domain, taught),)
    return _shortened(fact, before), *learned


def _shortened(fact: ZoneObserved, before: DomainState | None) -> ZoneObserved:
    if before is None or before.last is None or before.spelled is None:
        return fact
    if fact.at.seconds_since(before.spelled) >= SPELL_EVERY or _told(fact) != _told(before.last):
        return fact
    unmoved = bool(fact.drifts) and fact.drifts == tuple(before.drifts)
    drifts = () if unmoved else fact.drifts
    return replace(fact, results=(), passed=(), facets=(), keys=(), hardened=(), unanswered=None, drifts=drifts, same=True, unmoved=unmoved)


def blind(domain: str, why: str, cause: Cause, now: Instant, questions: int = 0, failed: int = 0) -> ZoneObserved:
    """An inspection that saw nothing: what was found before stays as it is."""
    return ZoneObserved(now, domain, cause, (), (), (), asked=questions, failed=failed, blind=why)


def _told(fact: ZoneObserved) -> tuple[object, ...]:
    return fact.results, fact.passed, fact.facets, fact.keys, fact.hardened, fact.unanswered


def _passed(results: Sequence[CheckResult]) -> tuple[CheckId, ...]:
    """The ids that passed for everything that they were tested on."""
    found = {result.check for result in results if result.is_finding and result.status is not Status.INFO}
    passed = {result.check for result in results if result.status is Status.PASS}
    return tuple(check for check in CheckId if check in passed and check not in found)


def _short(result: CheckResult) -> CheckResult:
    """A record to publish is left out and not cut: a cut one is another one."""
    texts = {name: getattr(result, name) for name in ("saw", "record", "mend")}
    long = {name: text[: _LONGEST - 3] + "..." for name, text in texts.items() if len(text) > _LONGEST}
    long |= {"publish": ""} if len(result.publish) > _LONGEST else {}
    return replace(result, **long) if long else result
