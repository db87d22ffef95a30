"""The state of the daemon as one JSON document."""

from __future__ import annotations

from monitor import __version__
from monitor.desk import Desk
from monitor.surface.plain import plain


def status(desk: Desk) -> dict[str, object]:
    """Schema `mailcanary.status/v1`: additive changes only. No address, no refund number."""
    world, policy = desk.world, desk.policy
    routes = []
    for route in policy.routes:
        state = world.routes.get(str(route))
        last = state.last if state else None
        routes.append(
            {
                "route": str(route),
                "verdict": last.verdict.value if last else None,
                "reason": last.reason.value if last else None,
                "explanation": plain(last.explanation) if last else "no probe was judged yet",
                "judged_at": last.at.iso() if last else None,
                "transit_seconds": last.transit_seconds if last else None,
            }
        )
    mailboxes = []
    for name, box in policy.mailboxes.items():
        known = world.mailboxes.get(name)
        blind = known.blind if known else None
        mailboxes.append(
            {
                "mailbox": name,
                "provider": box.provider,
                "role": box.role.value,
                "state": "starting" if known is None or known.stated is None else "blind" if blind else "watching",
                "why": plain(f"{blind.cause.value}: {blind.detail}") if blind else "",
                "mend": plain(blind.mend) if blind else "",
            }
        )
    return {
        "schema": "mailcanary.status/v1",
        "version": __version__,
        "environment": policy.environment,
        "instance": policy.instance,
        "paused": {"by": world.paused.by, "reason": world.paused.reason, "since": world.paused.at.iso()} if world.paused else None,
        "journal_writable": desk.writable,
        "probes_in_flight": sum(1 for state in world.probes.values() if state.judged is None),
        "routes": routes,
        "mailboxes": mailboxes,
    }
