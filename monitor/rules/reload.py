"""What another configuration changes, in plain words; what of it needs a restart; and what of the old one stays in force for a while.

A probe in flight is judged by what it was planned with, so its mailbox stays watched and its signing key stays valid until it is closed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from typing import TypeVar

from monitor.model.policy import KeyRing, MailboxPolicy, Policy, Role, SigningKey
from monitor.model.probe import MailboxName, ProbeId
from monitor.rules import token
from monitor.views.probes import ProbeState

Name = TypeVar("Name", bound=str)

MAX_CHANGES = 50  # lines of one reload; the rest is a number

_RESTART = "restart to apply it (probes in flight stay in flight)"


def refusals(old: Policy, new: Policy) -> tuple[str, ...]:
    """Why the new configuration cannot be taken while we run; empty when it can. Each says what to do instead."""
    why = []
    if new.state_dir != old.state_dir:
        why.append(f"state_dir changed: the journal is open in {old.state_dir}; {_RESTART}")
    if (new.listen.host, new.listen.port) != (old.listen.host, old.listen.port):
        why.append(f"listen.host or listen.port changed: we listen on {old.listen.host}:{old.listen.port}; {_RESTART}")
    if new.environment != old.environment:
        why.append(f"environment changed from {old.environment}: tokens in flight bear its name; {_RESTART}")
    if new.instance != old.instance:
        why.append(f"instance changed from {old.instance}: tokens in flight bear its name; {_RESTART}")
    for name in sorted(old.mailboxes.keys() & new.mailboxes.keys()):
        if new.mailboxes[name].address.base != old.mailboxes[name].address.base:
            what = f"mailbox {name}: address changed, but what was read there is known by that name"
            why.append(f"{what}; give the other account a name of its own")
    return tuple(why)


def changes(old: Policy, new: Policy) -> tuple[str, ...]:
    """What the new configuration changes, a line each. Names of keys and sections, never a value."""
    lines = [*_sections(old, new), *_members("path", old.paths, new.paths), *_members("mailbox", old.mailboxes, new.mailboxes)]
    lines += _routes(old, new)
    lines += _members("channel", old.notify.channels, new.notify.channels)
    lines += _members("gate policy", old.gates.policies, new.gates.policies)
    lines += _members("deploy hook", old.deploy_hooks, new.deploy_hooks)
    lines += _members("inspected domain", old.inspect.domains, new.inspect.domains)
    lines += _members("ledger source", old.ledger.sources, new.ledger.sources)
    if len(lines) > MAX_CHANGES:
        return (*lines[: MAX_CHANGES - 1], f"and {len(lines) - MAX_CHANGES + 1} more")
    return tuple(lines)


def probes_for(box: MailboxPolicy, probes: Mapping[ProbeId, ProbeState]) -> frozenset[ProbeId]:
    """The probes in flight whose mail may still come to a mailbox that was removed: its own; to a holding mailbox, any."""
    return frozenset(
        probe
        for probe, state in probes.items()
        if state.plan.route.mailbox == box.name or (box.role is Role.HOLDING and state.first_attempt is not None)
    )


def keys_in_use(old: Policy, new: Policy, probes: Mapping[ProbeId, ProbeState]) -> dict[SigningKey, frozenset[ProbeId]]:
    """The keys that the new ring lacks although probes in flight are signed with them; those probes."""

    def signed(key: SigningKey, text: str) -> bool:
        return token.verify(KeyRing((key,)), old.environment, old.instance, text) is not None

    missing = [key for key in old.keys.keys if key not in new.keys.keys]
    users = {key: frozenset(probe for probe, state in probes.items() if signed(key, state.plan.token)) for key in missing}
    return {key: awaited for key, awaited in users.items() if awaited}


def in_force(new: Policy, mailboxes: Mapping[MailboxName, MailboxPolicy], keys: Collection[SigningKey]) -> Policy:
    """The new configuration with what stays of the old one: mailboxes that are still watched (without routes), keys that still verify."""
    kept = {name: box for name, box in mailboxes.items() if name not in new.mailboxes}
    if not kept and not keys:
        return new
    return replace(new, mailboxes={**new.mailboxes, **kept}, keys=KeyRing((*new.keys.keys, *keys)))


def same_account(one: MailboxPolicy, other: MailboxPolicy) -> bool:
    """Two names for one account: two watchers would each take the other's probes for its own."""
    return one.address.base == other.address.base


def _sections(old: Policy, new: Policy) -> list[str]:
    lines = []
    before, after = old.keys.keys, new.keys.keys
    if before != after:
        added, removed = sum(key not in before for key in after), sum(key not in after for key in before)
        counts = ", ".join(f"{number} {what}" for number, what in ((added, "added"), (removed, "removed")) if number)
        lines.append(f"signing keys: {counts or 'order changed'}")
    if old.listen.tokens != new.listen.tokens:
        lines.append("listen.tokens changed")
    for name in ("watch", "retention", "incidents", "gates", "inspect", "ledger"):
        inner = _differing(getattr(old, name), getattr(new, name))
        lines += [f"{name}.{key} changed" for key in inner if key not in ("policies", "domains", "sources")]
    lines += [f"{name} changed" for name in ("drain", "sending_domains") if getattr(old, name) != getattr(new, name)]
    if old.heartbeat != new.heartbeat:
        lines.append(f"heartbeat {_verb(old.heartbeat, new.heartbeat)}")
    if old.grafana != new.grafana:
        lines.append(f"grafana {_verb(old.grafana, new.grafana)}")
    return lines + [f"notify.{key} changed" for key in _differing(old.notify, new.notify) if key != "channels"]


def _members(kind: str, old: Mapping[Name, object], new: Mapping[Name, object]) -> list[str]:
    lines = []
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before is None or after is None:
            lines.append(f"{kind} {name} {_verb(before, after)}")
        elif before != after:
            lines.append(f"{kind} {name}: {', '.join(_inner(before, after))} changed")
    return lines


def _inner(before: object, after: object) -> list[str]:
    """The keys that differ; of a path, those of its way too."""
    if type(before) is not type(after):
        return ["kind"]
    found = []
    for key in _differing(before, after):
        found += _inner(getattr(before, key), getattr(after, key)) if key in ("via", "identity") else [key]
    return found


def _routes(old: Policy, new: Policy) -> list[str]:
    """Routes that come or go although path and mailbox stay, and those with another rhythm or other deadlines."""
    both = {route for route in {*old.routes, *new.routes} if route.path in old.paths and route.path in new.paths}
    both = {route for route in both if route.mailbox in old.mailboxes and route.mailbox in new.mailboxes}
    added = sum(route not in old.routes for route in both)
    removed = sum(route not in new.routes for route in both)
    terms = ("every", "jitter", "deadlines")
    stay = [(old.routes[route], new.routes[route]) for route in both if route in old.routes and route in new.routes]
    timed = sum(any(getattr(before, term) != getattr(after, term) for term in terms) for before, after in stay)
    counts = ((added, "added"), (removed, "removed"), (timed, "with another rhythm or other deadlines"))
    return [f"routes: {number} {what}" for number, what in counts if number]


def _differing(before: object, after: object) -> list[str]:
    return [field.name for field in fields(before) if getattr(before, field.name) != getattr(after, field.name)]  # type: ignore[arg-type]


def _verb(before: object, after: object) -> str:
    return "added" if before is None else "removed" if after is None else "changed"
