"""What an incident means for real refunds, in one line for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from monitor.model.incident import Scope, ScopeKind
from monitor.model.ledger import Impact
from monitor.model.money import Money
from monitor.model.policy import Policy, Role
from monitor.model.probe import MailboxName
from monitor.model.verdict import Symptom
from monitor.rules.reconcile.figures import shown

MOST_CURRENCIES = 4


def worded(impact: Impact, symptom: Symptom, over: bool) -> str:
    """`over`: the incident is; then what was confirmed meanwhile counts as much as what is owed."""
    first, second = _owed(impact, over), _wrong(impact)
    if symptom is Symptom.LEDGER_SPURIOUS:
        first, second = second, first
    said = "; ".join(part for part in (first, second) if part)
    if not said:
        until = f"{datetime.fromtimestamp(max(0.0, impact.until), UTC):%Y-%m-%d %H:%M:%S}Z"
        if impact.until > impact.since:
            said = f"no real refund since, as far as the ledger was read ({until})"
        else:
            said = f"not known yet: the ledger was read until {until} only"
    return f"at {impact.provider}: {said}" if impact.provider else said


def provider_of(scope: Scope, policy: Policy) -> str:
    """The mailbox provider to whose customers an incident is confined; empty: it may be about all of them."""
    match scope.kind:
        case ScopeKind.PROVIDER:
            return scope.name
        case ScopeKind.MAILBOX:
            box = policy.mailboxes.get(MailboxName(scope.name))
            return box.provider if box is not None and box.role is Role.SEED else ""
        case ScopeKind.ALL | ScopeKind.PATH | ScopeKind.DEPLOY | ScopeKind.DOMAIN | ScopeKind.LEDGER:
            return ""


def amounts(money: Sequence[Money]) -> str:
    """By currency, the greatest number first; at most MOST_CURRENCIES of them."""
    ordered = sorted(money, key=lambda each: (-each.amount, each.currency))
    more = len(ordered) - MOST_CURRENCIES
    rest = f" and {counted(more, 'more currency', 'more currencies')}" if more > 0 else ""
    return ", ".join(shown(each) for each in ordered[:MOST_CURRENCIES]) + rest


def counted(number: int, one: str, many: str = "") -> str:
    """1 refund, 2 refunds."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def _owed(impact: Impact, over: bool) -> str:
    if not impact.refunds:
        return ""
    owed = f" ({amounts(impact.owed_money)})" if impact.owed_money else ""
    of = f" of {counted(impact.customers, 'customer')}" if impact.customers else ""
    if over:
        refunds = f"{counted(impact.refunds, 'real refund')}{of} meanwhile"
        return f"{refunds}: confirmed {impact.confirmed}, still owed {impact.owed}{owed}{_awaited(impact)}"
    refunds = f"{counted(impact.refunds, 'real refund')}{of} since"
    if not impact.owed:
        return f"{refunds}, {impact.confirmed} confirmed{_awaited(impact)}" if impact.awaited else f"{refunds}, all confirmed"
    money = f" ({amounts(impact.owed_money)} still owed)" if impact.owed_money else ""
    return f"{refunds}, {impact.owed} unconfirmed{money}{_awaited(impact)}"


def _awaited(impact: Impact) -> str:
    if not impact.awaited:
        return ""
    money = f" ({amounts(impact.awaited_money)})" if impact.awaited_money else ""
    return f", {impact.awaited} not due yet{money}"


def _wrong(impact: Impact) -> str:
    """In words that hold for every kind: mismatched and doubled ones are among them, whatever the incident is about."""
    if not impact.wrong:
        return ""
    money = f" ({amounts(impact.wrong_money)})" if impact.wrong_money else ""
    to = f" to {counted(impact.wrong_customers, 'person', 'people')}" if impact.wrong_customers else ""
    return f"{counted(impact.wrong, 'confirmation')}{to} that should not have been sent so{money}"
