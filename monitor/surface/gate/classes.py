"""The mailbox classes of a gate as JSON, with the arithmetic behind each in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from monitor.model.gate import GATE_VERDICT, Because, ClassTally, GatePlan
from monitor.model.verdict import Verdict
from monitor.rules.gate.sequence import boundaries
from monitor.surface.gate.safe import LONGEST_NAME, safe
from monitor.surface.gate.standing import PENDING

INDEPENDENT = "were losses independent; a burst's are not quite"


def class_row(tally: ClassTally, plan: GatePlan, sequence: str, running: bool) -> dict[str, object]:
    undecided = PENDING if running else Verdict.INCONCLUSIVE.value
    return {
        "class": safe(tally.provider, LONGEST_NAME),
        "verdict": GATE_VERDICT[tally.because].value if tally.because is not None else undecided,
        "because": tally.because.value if tally.because is not None else "",
        "sent": tally.sent,
        "good": tally.good,
        "adverse": tally.adverse,
        "pending": tally.pending,
        "aside": tally.aside,
        "needed": tally.needed,
        "limit": tally.limit,
        "control": {"good": tally.control_good, "bad": tally.control_bad},
        "loss_upper95": number(tally.loss_upper) if tally.good + tally.adverse else 1.0,
        "llr": None if tally.llr is None else number(tally.llr),
        "reasons": [{"reason": safe(reason, LONGEST_NAME), "probes": probes} for reason, probes in tally.reasons],
        "sequence": sequence,
        "arithmetic": arithmetic(tally, plan, running=running),
    }


def number(value: float) -> float:
    """JSON knows no infinity."""
    return round(value, 6) if math.isfinite(value) else 1e9 if value > 0 else -1e9 if value < 0 else 0.0


def percent(share: float) -> str:
    return f"{100 * share:.1f} %" if 0.0005 <= share < 0.9995 else f"{100 * share:.3g} %"


def arithmetic(tally: ClassTally, plan: GatePlan, *, running: bool) -> str:
    """One sentence: the numbers, the threshold, what they allow."""
    name, resolved = safe(tally.provider, LONGEST_NAME), tally.good + tally.adverse
    counts = f"{count_of(resolved)} of {name} resolved, {tally.adverse} adverse"
    open_ = f"; {tally.pending} {PENDING if running else 'not waited for'}" if tally.pending else ""
    match tally.because:
        case Because.CLEAN:
            accept = max(0, boundaries(plan, max(1, tally.needed))[0])
            rule = f"passes with at most {accept} of {max(1, tally.needed)}{_llr(tally, plan)}"
            hidden = f"a loss up to {percent(tally.loss_upper)} could still hide (95 %, {INDEPENDENT})"
            return f"{count_of(resolved)} of {name}, {tally.adverse} adverse: {rule}; {hidden}"
        case None | Because.TOO_FEW:
            accept = max(0, boundaries(plan, max(1, tally.needed))[0])
            return f"{counts}: undecided, passes at {tally.needed} with at most {accept}, fails at {tally.limit}{_llr(tally, plan)}{open_}"
        case Because.LOSSES:
            return f"{counts}: fails at {tally.limit}{_llr(tally, plan)}{_control(tally)}{open_}"
        case Because.BASELINE_BROKEN:
            return f"{counts}, which would fail at {tally.limit}{_control(tally)}: the deploy cannot be told from what was broken beside it"
        case because:
            return f"{name}: {WHY[because]}; {count_of(resolved)} resolved, {tally.adverse} adverse{_control(tally)}{open_}"


WHY: dict[Because, str] = {
    Because.CLEAN: "every mailbox class passed",
    Because.LOSSES: "too many adverse probes in one mailbox class",
    Because.WRONG_AMOUNT: "a confirmation says a wrong amount or currency; one is enough",
    Because.TRIPPED: "refund mail reached a mailbox that must never get any; one is enough",
    Because.REFUSED: "the mail is refused, and was taken before this deploy",
    Because.STALLED: "probes are overdue at several providers while the control arm arrives",
    Because.FINDING: "DNS or authentication of the sending domain broke after the deploy began; one critical finding is enough",
    Because.BASELINE_BROKEN: "the control arm is broken too",
    Because.UNOBSERVED: "the version under test was never seen to serve a probe",
    Because.TOO_FEW: "too few probes were resolved in time",
    Because.BLIND: "nobody can look into its mailboxes",
    Because.UNSUBMITTED: "probes could not be submitted",
    Because.BUDGET: "the day's share of probes for gates is used up",
    Because.CANCELLED: "it was cancelled",
    Because.OWN_FAULT: "the monitor itself was in trouble",
}


def worst_bound(classes: Sequence[ClassTally]) -> float:
    """The greatest loss that some class still allows; 1.0 without evidence."""
    return max((number(each.loss_upper) if each.good + each.adverse else 1.0 for each in classes), default=1.0)


def count_of(count: int) -> str:
    return f"{count} probe{'' if count == 1 else 's'}"


def _control(tally: ClassTally) -> str:
    count = tally.control_good + tally.control_bad
    return f"; control arm {tally.control_bad} of {count} bad" if count else "; no probe in the control arm"


def _llr(tally: ClassTally, plan: GatePlan) -> str:
    test = plan.sequential
    if test is None or tally.llr is None:
        return ""
    low, high = math.log(test.false_pass / (1 - test.false_fail)), math.log((1 - test.false_pass) / test.false_fail)
    return f", log likelihood ratio {tally.llr:+.2f} (passes at {low:+.2f}, fails at {high:+.2f}, cut off at {test.most} probes)"
