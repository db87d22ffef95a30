"""What `mailcanary probe` says: one JSON document, and a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.desk import Desk
from monitor.model.mail import AuthResult, Placement
from monitor.model.probe import ProbeId, Route
from monitor.model.verdict import Reason, Verdict, worst
from monitor.rules.plain import one_line
from monitor.rules.words import lapse
from monitor.views.probes import ProbeState

COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.INCONCLUSIVE: "yellow", Verdict.ERROR: "magenta"}

Row = dict[str, object]


def probe_report(desk: Desk, probes: Sequence[ProbeState], blind: Sequence[Route]) -> dict[str, object]:
    """Schema `mailcanary.probe/v1` (config/probe-report.schema.json): every key always there, additive changes only."""
    rows = [_row(desk, state) for state in probes] + [_blind_row(desk, route) for route in blind]
    verdicts = [Verdict(str(row["verdict"])) for row in rows]
    return {
        "schema": "mailcanary.probe/v1",
        "verdict": worst(verdicts).value,
        "environment": desk.policy.environment,
        "instance": desk.policy.instance,
        "probes": sorted(rows, key=lambda row: str(row["route"])),
    }


def _row(desk: Desk, state: ProbeState) -> Row:
    judged = state.judged
    seen_at = state.own() or state.elsewhere()
    copy = seen_at[0].fact if seen_at else None
    if judged is None:
        since = f" for {desk.clock.now().seconds_since(state.first_attempt):.0f} s" if state.first_attempt else ""
        verdict, reason, why = Verdict.INCONCLUSIVE, None, f"stopped before there was a verdict: not seen{since}, absence not proven"
    else:
        verdict, reason, why = judged.verdict, judged.reason.value, judged.explanation
    return {
        "probe_id": state.plan.probe,
        "route": str(state.plan.route),
        "provider": _provider(desk, state.plan.route),
        "verdict": verdict.value,
        "reason": reason,
        "why": why,
        "notes": list(judged.notes) if judged else [],
        "also": [reason.value for reason in judged.also] if judged else [],
        "seen_in": copy.mailbox if copy else None,
        "folder": copy.folder if copy else None,
        "placement": copy.placement.value if copy else None,
        "submission_seconds": judged.submission_seconds if judged else None,
        "transit_seconds": judged.transit_seconds if judged else None,
        "uncertainty_seconds": judged.uncertainty_seconds if judged else None,
        "attempts": state.attempt,
        "reply": str(state.accepted.reply) if state.accepted else None,
        "queue_id": state.accepted.queue_id if state.accepted else None,
        "served_version": state.accepted.served_version if state.accepted else None,
        "copies": len(state.own()),
        "carriers": [carrier.value for carrier in copy.carriers] if copy else [],
        "authentication": {
            "spf": copy.auth.spf.value if copy else AuthResult.ABSENT.value,
            "dkim": copy.auth.dkim.value if copy else AuthResult.ABSENT.value,
            "dmarc": copy.auth.dmarc.value if copy else AuthResult.ABSENT.value,
            "authserv_id": copy.auth.authserv_id if copy else "",
        },
        "submitted_at": state.first_attempt.iso() if state.first_attempt else None,
        "judged_at": judged.at.iso() if judged else None,
    }


def _blind_row(desk: Desk, route: Route) -> Row:
    """A route that was not probed, because its mailbox cannot be looked into anyway."""
    blind = desk.world.mailbox(route.mailbox).blind
    why = f"nothing was sent: {route.mailbox} cannot be looked into"
    if blind is not None:
        why += f" ({blind.cause.value}: {blind.detail})" + (f"; {blind.mend}" if blind.mend else "")
    empty = dict.fromkeys(
        ("seen_in", "folder", "placement", "submission_seconds", "transit_seconds", "uncertainty_seconds", "reply", "queue_id")
    )
    absent = dict.fromkeys(("spf", "dkim", "dmarc"), AuthResult.ABSENT.value)
    return {
        "probe_id": ProbeId(""),
        "route": str(route),
        "provider": _provider(desk, route),
        "verdict": Verdict.INCONCLUSIVE.value,
        "reason": Reason.MAILBOX_BLIND.value,
        "why": why,
        "notes": [],
        "also": [],
        **empty,
        "attempts": 0,
        "served_version": None,
        "copies": 0,
        "carriers": [],
        "authentication": {**absent, "authserv_id": ""},
        "submitted_at": None,
        "judged_at": None,
    }


def _provider(desk: Desk, route: Route) -> str:
    return desk.policy.mailboxes[route.mailbox].provider


def print_table(report: dict[str, object], console: Console) -> None:
    """Where, how fast, what was seen, and why, in plain words."""
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True, padding=(0, 2, 0, 0))
    for heading in ("route", "verdict", "where", "how fast", "seen"):
        table.add_column(heading, no_wrap=heading in ("route", "verdict"))
    table.add_column("why", ratio=1)
    rows = report["probes"]
    assert isinstance(rows, list)  # noqa: S101
    for row in rows:
        verdict = Verdict(row["verdict"])
        named = verdict.value if row["reason"] in (None, verdict.value) else f"{verdict.value}: {row['reason']}"
        why = Text(one_line(str(row["why"])))
        for note in row["notes"]:
            why.append(f"\n{one_line(note)}", style="dim")
        cells = map(Text, (where(row), speed(row), seen(row)))  # Text, because a folder may be called [red]
        table.add_row(Text(row["route"]), Text(named, style=COLOURS[verdict]), *cells, why)
    console.print(table)
    counts = {verdict: sum(1 for row in rows if row["verdict"] == verdict.value) for verdict in Verdict}
    summary = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)
    overall = Verdict(str(report["verdict"]))
    console.print(Text(f"PROBE {overall.value.upper()}", style=COLOURS[overall]), f"- {summary}", highlight=False)


def where(row: Row) -> str:
    if row["seen_in"] is None:
        return "-"
    folder = "INBOX" if row["placement"] == Placement.INBOX.value else one_line(str(row["folder"]))
    own = str(row["route"]).endswith(f"/{row['seen_in']}")
    return folder if own else f"{row['seen_in']}: {folder}"


def speed(row: Row) -> str:
    transit, submission = row["transit_seconds"], row["submission_seconds"]
    if not isinstance(transit, float) or not isinstance(submission, float):
        return "-"
    return f"{lapse(transit)} (+{lapse(submission)} to submit)"


def seen(row: Row) -> str:
    if row["seen_in"] is None:
        return "nothing"
    said = row["authentication"]
    assert isinstance(said, dict)  # noqa: S101
    auth = " ".join(f"{name}={said[name]}" for name in ("spf", "dkim", "dmarc") if said[name] != AuthResult.ABSENT.value)
    copies = f"{row['copies']} copies, " if isinstance(row["copies"], int) and row["copies"] > 1 else ""
    return copies + (auth or "no authentication results")
