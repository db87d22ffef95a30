"""The state of the daemon as one JSON document."""

from __future__ import annotations

from collections.abc import Mapping

from monitor import __version__
from monitor.desk import Desk
from monitor.model.incident import Severity
from monitor.model.instant import Instant
from monitor.rules.notify import owed
from monitor.rules.plain import plain
from monitor.surface.audit.observed import domain_summary
from monitor.surface.deploys import deploy_rows
from monitor.surface.evidence import evidence, freshness
from monitor.surface.gate import gates_summary
from monitor.surface.headline import headline
from monitor.surface.incidents import Shown, incident_row, known
from monitor.surface.ledger import ledger_summary
from monitor.surface.metrics import Vitals
from monitor.surface.silences import pending, silence_rows
from monitor.views.evidence import Trial

MOST_INCIDENTS = 50
MOST_RESOLVED = 5  # the latest numbers
MOST_STRAYS = 20
MOST_SILENCES = 50  # that are not over
MOST_DOMAINS = 100
MOST_DEPLOYS = 5


def status(desk: Desk, vitals: Vitals | None = None) -> dict[str, object]:
    """Schema `mailcanary.status/v1`: additive changes only. No address, no refund number."""
    world, policy, now = desk.world, desk.policy, desk.clock.now()
    vitals = vitals or Vitals()
    document: dict[str, object] = {
        "schema": "mailcanary.status/v1",
        "version": __version__,
        "environment": policy.environment,
        "instance": policy.instance,
        "at": now.iso(),
        "started_at": world.started.at.iso() if world.started else None,
        "paused": {"by": world.paused.by, "reason": world.paused.reason, "since": world.paused.at.iso()} if world.paused else None,
        "journal_writable": desk.writable,
        "probes_in_flight": sum(1 for state in world.probes.values() if state.judged is None),
        "evidence": evidence(desk, now),
        "routes": _routes(desk, now),
        "mailboxes": _mailboxes(desk),
        "strays": _strays(desk),
        "incidents": _incidents(desk, now),
        "silences": silence_rows(desk, pending(desk, now)[:MOST_SILENCES], now),
        "domains": _domains(desk),
        "ledger": ledger_summary(desk),
        "channels": _channels(desk),
        "notifications_pending": len(owed(world.outbox, policy.notify, now)),
        "deploys": deploy_rows(desk)[:MOST_DEPLOYS],
        "gates": gates_summary(world.gates, now),
        "configuration": {
            "hash": policy.policy_hash,
            "read_at": _iso(vitals.reloaded_at),
            "last_reload_successful": vitals.reload_ok,
        },
        "heartbeat_at": _iso(vitals.heartbeat_at),
        "stuck": sorted(desk.stuck()),
    }
    return {**document, "headline": headline(document)}


def _routes(desk: Desk, now: Instant) -> list[Mapping[str, object]]:
    rows: list[Mapping[str, object]] = []
    for route in desk.policy.routes:
        state = desk.world.routes.get(str(route))
        last, fresh = state.last if state else None, freshness(desk, route, now)
        rows.append(
            {
                "route": str(route),
                "path": plain(route.path),
                "mailbox": plain(route.mailbox),
                "provider": plain(desk.policy.mailboxes[route.mailbox].provider),
                "verdict": last.verdict.value if last else None,
                "reason": last.reason.value if last else None,
                "explanation": plain(last.explanation) if last else "no probe was judged yet",
                "judged_at": last.at.iso() if last else None,
                "transit_seconds": last.transit_seconds if last else None,
                "last_evidence_at": fresh.last.iso() if fresh.last else None,
                "stale": fresh.stale,
                "recent": [_trial(trial) for trial in desk.world.evidence.trials(str(route))],
            }
        )
    return rows


def _trial(trial: Trial) -> Mapping[str, object]:
    """One of the latest probes of a route, oldest first; `reason` None while it is in flight."""
    return {
        "sent_at": trial.sent.iso(),
        "reason": trial.reason.value if trial.reason else None,
        "verdict": trial.reason.verdict.value if trial.reason else None,
        "transit_seconds": trial.transit,
    }


def _mailboxes(desk: Desk) -> list[Mapping[str, object]]:
    rows: list[Mapping[str, object]] = []
    for name, box in desk.policy.mailboxes.items():
        known_state = desk.world.mailboxes.get(name)
        blind = known_state.blind if known_state else None
        rows.append(
            {
                "mailbox": name,
                "provider": box.provider,
                "role": box.role.value,
                "state": "starting" if known_state is None or known_state.stated is None else "blind" if blind else "watching",
                "why": plain(f"{blind.cause.value}: {blind.detail}") if blind else "",
                "mend": plain(blind.mend) if blind else "",
            }
        )
    return rows


def _strays(desk: Desk) -> list[Mapping[str, object]]:
    """The latest, newest first: refund-shaped mail that is no probe and has tripped nothing."""
    found = list(desk.world.tripwires.lying.values())[-MOST_STRAYS:]
    return [
        {"mailbox": stray.mailbox, "folder": plain(stray.folder), "at": stray.at.iso(), "why": plain(stray.why)} for stray in found[::-1]
    ]


def _incidents(desk: Desk, now: Instant) -> Mapping[str, object]:
    """Counts of all; of those that are open or suspected the newest, what pages first where there are too many; and some that are over."""
    found, suspected = known(desk.world, Shown.OPEN), known(desk.world, Shown.SUSPECTED)
    pages = {state.id for state in found if state.last.severity is Severity.PAGE}
    first = found if len(found) <= MOST_INCIDENTS else sorted(found, key=lambda state: state.last.severity is not Severity.PAGE)
    return {
        "open": len(found),
        "pages": len(pages),
        "parts": sum(state.id in pages and state.parent in pages for state in found),
        "tickets": len(found) - len(pages),
        "suspected": len(suspected),
        "list": [incident_row(desk, state, now) for state in [*first, *suspected][:MOST_INCIDENTS]],
        "resolved": [incident_row(desk, state, now) for state in known(desk.world, Shown.RESOLVED)[:MOST_RESOLVED]],
    }


def _domains(desk: Desk) -> list[Mapping[str, object]]:
    """Those that are inspected, as their latest inspections found them."""
    if not desk.policy.inspect.enabled:
        return []
    return [domain_summary(name, desk.world.zones.domains.get(name)) for name in sorted(desk.policy.inspect.domains)[:MOST_DOMAINS]]


def _channels(desk: Desk) -> list[Mapping[str, object]]:
    notify = desk.policy.notify
    uses = {
        "pages": notify.pages,
        "tickets": notify.tickets,
        "fallback": notify.fallback,
        "routes": [name for route in notify.routes for name in route.channels],
    }
    rows: list[Mapping[str, object]] = []
    for name in notify.channels:
        state = desk.world.outbox.channels.get(name)
        rows.append(
            {
                "channel": name,
                "told_of": [kind for kind, names in uses.items() if name in names],
                "last_success_at": state.last_success.iso() if state and state.last_success else None,
                "failing_since": state.failing_since.iso() if state and state.failing_since else None,
            }
        )
    return rows


def _iso(utc: float) -> str | None:
    return Instant(utc, 0.0, "").iso() if utc else None
