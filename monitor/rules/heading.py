"""The first line of a notice: what broke, for whom, how much of it, where the fault is thought to be, and after which deploy."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.model.facts import Transition
from monitor.model.incident import DeployPhase, Layer, Phase, ScopeKind, as_it_is
from monitor.model.verdict import Symptom
from monitor.rules.deploys import began_after
from monitor.rules.diagnose.confidence import likely
from monitor.rules.diagnose.findings import FINDING_SYMPTOMS
from monitor.rules.plain import plain
from monitor.rules.reconcile import impact

SHOWN = 4  # providers

TITLES: dict[Symptom, str] = {
    Symptom.DELIVERY_MISSING: "Refund confirmations not arriving",
    Symptom.DELIVERY_LATE: "Refund confirmations arriving late",
    Symptom.DELIVERY_STALLED: "Refund confirmations overdue, none arriving",
    Symptom.MISROUTED: "Refund confirmations going to the wrong mailbox",
    Symptom.BOUNCED: "Refund confirmations coming back undelivered",
    Symptom.SPAM_PLACEMENT: "Refund confirmations landing in spam",
    Symptom.MISFILED: "Refund confirmations filed outside INBOX",
    Symptom.SMTP_REJECT: "Refund confirmations not taken for delivery",
    Symptom.CONTENT_WRONG: "Refund confirmations saying something wrong",
    Symptom.DUPLICATE: "Refund confirmations arriving more than once",
    Symptom.AUTH: "Refund confirmations not authenticated",
    Symptom.MAILBOX_BLIND: "Seed mailbox cannot be looked into",
    Symptom.SUBMIT_BLIND: "Probes cannot be submitted",
    Symptom.BUDGET: "Daily probe budget used up",
    Symptom.BASELINE: "No sound baseline to compare with",
    Symptom.MONITOR: "The monitor itself is in trouble",
    Symptom.STRAY: "Refund mail where none must ever come",
    Symptom.IMITATION: "Refund mail that imitates ours",
    Symptom.TRIPWIRE_LEAKED: "Tripwire address known outside",
    Symptom.GATE_HOLD: "Release gate holds a deploy",
    Symptom.AUTH_SPF: "SPF of a sending domain is broken",
    Symptom.AUTH_DKIM: "DKIM of a sending domain is broken",
    Symptom.AUTH_DMARC: "DMARC of a sending domain is broken",
    Symptom.DNS: "DNS of a sending domain is broken",
    Symptom.TLS: "TLS of our mail is broken",
    Symptom.DRIFT: "DNS of a sending domain changed for the worse",
    Symptom.DNS_BLIND: "DNS cannot be asked",
    Symptom.LEDGER_MISSING: "Refunds without a confirmation",
    Symptom.LEDGER_SPURIOUS: "Confirmations without a refund",
    Symptom.LEDGER_MISMATCHED: "Confirmations that do not fit their refund",
    Symptom.LEDGER_DUPLICATE: "Refunds confirmed more than once",
    Symptom.VOLUME: "Far too few or too many refunds or confirmations",
    Symptom.LEDGER_BLIND: "Refunds or confirmations cannot be read",
}

_NAMES_NO_LAYER = frozenset(  # the title says by itself where the fault is, or it lies outside
    {
        *FINDING_SYMPTOMS,
        Symptom.BUDGET,
        Symptom.BASELINE,
        Symptom.MONITOR,
        Symptom.IMITATION,
        Symptom.TRIPWIRE_LEAKED,
        Symptom.GATE_HOLD,
        Symptom.DNS_BLIND,
        Symptom.LEDGER_BLIND,
        Symptom.VOLUME,  # whose first line is what was found, layer and all
    }
) - {Symptom.CONTENT_WRONG}
_SAID_ALREADY = {(Symptom.AUTH, Layer.AUTHENTICATION), (Symptom.MAILBOX_BLIND, Layer.MAILBOX)}


def about(transition: Transition, over: bool, after_silence: bool) -> str:
    """What it is about, on one line and as long as it comes."""
    return f"{_mark(transition, over, after_silence)}{_what(transition, over)}{_whom(transition)}"


def _mark(transition: Transition, over: bool, after_silence: bool) -> str:
    if over:
        return ""
    if after_silence:
        return "Still open: "
    match transition.phase:
        case Phase.GROWN:
            return "Grown: "
        case Phase.FLAPPING:
            return "Flapping: "
        case Phase.OPENED if transition.episode > 1:
            return "Again: "
        case _:
            return ""


def _whom(transition: Transition) -> str:
    """Where, and bad of all probes, per provider, the worst first; the scope alone where nothing was counted."""
    found, scope = counts(transition), transition.scope
    if not found:
        whom = scope.name or _weight(transition)
        return f": {plain(whom)}" if whom else ""
    rest = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    shares = ", ".join(f"{plain(provider)} {bad}/{sent}" for provider, bad, sent in found[:SHOWN]) + rest
    match scope.kind:
        case ScopeKind.PATH:
            return f" on path {plain(scope.name)}: {shares}"
        case ScopeKind.MAILBOX:
            return f" in {plain(scope.name)}: {shares}"
        case _:
            return f": {shares}"


def _what(transition: Transition, over: bool) -> str:
    """The symptom in words; of a volume, how much there is and how much was expected, which says more."""
    if transition.symptom is Symptom.VOLUME and transition.diagnosis is not None and not over:
        summary = plain(transition.diagnosis.summary)
        return f"{summary[:1].upper()}{summary[1:]}"
    return TITLES[as_it_is(transition.symptom, transition.severity)]


def _weight(transition: Transition) -> str:
    """How many refunds nobody was told of, or how many confirmations are wrong, and how much money."""
    found = transition.impact
    if found is None:
        return ""
    match transition.symptom:
        case Symptom.LEDGER_MISSING:
            number, one, money = found.owed, "refund", found.owed_money
        case Symptom.LEDGER_SPURIOUS | Symptom.LEDGER_MISMATCHED | Symptom.LEDGER_DUPLICATE:
            number, one, money = found.wrong, "wrong confirmation", found.wrong_money
        case _:
            return ""
    worth = f", {impact.amounts(money)}" if money else ""
    return f"{impact.counted(number, one)}{worth}" if number else ""


def why(transition: Transition) -> Iterator[str]:
    """Where the fault is thought to be, and after which deploy it began; each is left out where it does not fit."""
    if transition.symptom in _NAMES_NO_LAYER:
        return
    diagnosis = transition.diagnosis
    if diagnosis is not None and (transition.symptom, diagnosis.layer) not in _SAID_ALREADY:
        yield f"; {likely(diagnosis.layer, diagnosis.confidence)}"
    best = transition.deploys[0] if transition.deploys else None
    if best is not None and best.taken_back is None:
        name = " ".join(part for part in (best.service, best.version or best.deploy) if part)
        what = "rollback of " if best.phase is DeployPhase.ROLLBACK else ""
        yield f"; {began_after(best.seconds_after, f'{what}{plain(name)}')}"


def counts(transition: Transition) -> list[tuple[str, int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for tally in transition.tallies:
        bad, sent = found.get(tally.provider, (0, 0))
        found[tally.provider] = (bad + tally.bad, sent + tally.sent)
    rows = [(provider, bad, sent) for provider, (bad, sent) in found.items()]
    return sorted(rows, key=lambda row: (-row[1] / max(1, row[2]), row[0]))
