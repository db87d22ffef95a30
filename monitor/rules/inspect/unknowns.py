"""When nothing can be said: of a zone because our resolvers are silent, or of one thing for so long that it counts as broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from monitor.model.checks import CheckId, CheckResult, Status
from monitor.model.dns import Answer, DnsFailure, Outcome, Question, RecordType, Snapshot
from monitor.model.instant import Instant
from monitor.rules.lookup import Lookup
from monitor.views.zones import DomainState, FindingState, finding_key

TIMES = 3  # inspections in a row
SPAN = 900.0  # seconds that they span at least
VANTAGES = 2  # resolvers that must have failed, where there are so many

CONTROL = Question(".", RecordType.NS)

# what a message did not show stays unknown, however often it is looked at
_OF_MAIL = ("DKIM-M", "AR-", "PLC-", "MSG-")
_NEVER = frozenset(
    {
        CheckId.SPF_08, CheckId.SPF_15, CheckId.SPF_20, CheckId.DMARC_10, CheckId.DMARC_11, CheckId.DMARC_16, CheckId.DNS_14, CheckId.TLS_01
    }
)  # fmt: skip


def control(lookup: Lookup) -> Answer:
    """Asks what every resolver knows, so that its silence is told from the zone's."""
    return lookup.ask(CONTROL.name, CONTROL.rtype)


def _silent(answer: Answer) -> bool:
    """Nobody answered. A bogus answer is one."""
    return answer.failed and answer.failure not in (DnsFailure.BOGUS, DnsFailure.TOO_MUCH)


def _unheard(answer: Answer) -> bool:
    """Our resolvers got no answer. The silence of one named server shows nothing: the path to it may be closed to us alone."""
    return _silent(answer) and not answer.question.server


def asked(answers: Snapshot) -> tuple[int, int]:
    """(questions, those of them that got no answer)."""
    return len(answers), sum(_silent(answer) for answer in answers.values())


def blindness(answers: Snapshot) -> str:
    """Why nothing can be said at all; empty when our resolvers answer."""
    ours = [answer for answer in answers.values() if not answer.question.server]
    silent = [answer for answer in ours if _silent(answer)]
    if not ours or not silent:
        return ""
    lost = len(silent) == len(ours) or (_silent(answers[CONTROL]) if CONTROL in answers else False)
    if not lost or len(silent) * 2 <= len(ours):
        return ""
    worst = silent[0]
    who = f" of {worst.resolver}" if worst.resolver else ""
    return f"our resolvers do not answer: {len(silent)} of {len(ours)} questions failed, the first with {_word(worst)}{who}"


def _word(answer: Answer) -> str:
    return answer.failure.value if answer.failure is not None else "no answer"


Judged = Callable[[Snapshot], Iterable[CheckResult]]


def hardened(
    results: Sequence[CheckResult], before: DomainState | None, answers: Snapshot, judged: Judged, resolvers: int, now: Instant
) -> tuple[CheckResult, ...]:
    """The same, where an unknown becomes a failure once it was one TIMES in a row over SPAN seconds because of questions that got no
    answer, although others were answered. `judged`: the results that other answers would give; `resolvers`: how many are configured."""
    known = before.findings if before is not None else {}
    old = {key for result in results if (key := finding_key(result)) in known and _is_old(result, known[key], now)}
    if not old or not _sure(answers, resolvers):
        return tuple(results)
    missing = {
        question: Answer(question, Outcome.NXDOMAIN, at=answer.at) if _unheard(answer) else answer for question, answer in answers.items()
    }
    elsewhy = {finding_key(result) for result in judged(missing) if result.status is Status.UNKNOWN}  # not for want of an answer
    return tuple(_failed(result) if finding_key(result) in old - elsewhy else result for result in results)


def _is_old(result: CheckResult, state: FindingState, now: Instant) -> bool:
    if result.status is not Status.UNKNOWN or not hardens(result.check):
        return False
    long = state.seen + 1 >= TIMES and now.seconds_since(state.since) >= SPAN
    return state.hardened or (state.result.status is Status.UNKNOWN and long)


def _failed(result: CheckResult) -> CheckResult:
    saw = f"it could not be tested for {SPAN / 60:.0f} minutes and more, while other questions were answered: {result.saw}"
    return replace(result, status=Status.FAIL, saw=saw)


def hardens(check: CheckId) -> bool:
    return check not in _NEVER and not check.value.startswith(_OF_MAIL)


def _sure(answers: Snapshot, resolvers: int) -> bool:
    """The root answered, and each question that got no answer got none from several resolvers, where there are several."""
    failed = [answer for answer in answers.values() if _unheard(answer)]
    alive = CONTROL in answers and not _silent(answers[CONTROL])
    return alive and bool(failed) and all(answer.resolvers_failed >= min(VANTAGES, resolvers) for answer in failed)
