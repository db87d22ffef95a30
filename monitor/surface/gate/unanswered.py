"""The document of a question that no gate answered: bad input, a server that cannot be reached. Pipelines get their files all the same."""

from __future__ import annotations

from monitor.model.instant import Instant
from monitor.model.verdict import Verdict
from monitor.surface.gate.document import ASSUMPTION, SCHEMA
from monitor.surface.gate.safe import LONGEST_DEPLOY, LONGEST_NAME, LONGEST_REASON, safe


def unanswered(
    reason: str, at: Instant, environment: str = "", deploy: str = "", policy: str = "", verdict: Verdict = Verdict.ERROR
) -> dict[str, object]:
    """Schema `mailcanary.gate/v1` with an empty id; the verdict is never a pass."""
    when, verdict_ = at.iso(), Verdict.ERROR if verdict is Verdict.PASS else verdict
    return {
        "schema": SCHEMA,
        "id": "",
        "state": "decided",
        "verdict": verdict_.value,
        "found": verdict_.value,
        "because": "",
        "reason": safe(reason, LONGEST_REASON),
        "environment": safe(environment, LONGEST_NAME),
        "adverse": False,
        "deploy": {
            "id": safe(deploy, LONGEST_DEPLOY),
            "service": "",
            "version": "",
            "sha": "",
            "versions": [],
            "began_at": when,
            "marked": False,
        },
        "policy": {
            "name": safe(policy, LONGEST_NAME),
            "hash": "",
            "steps": [],
            "reject": 0,
            "sequential": None,
            "timeout_s": 0.0,
            "deadline_s": None,
            "settle_s": 0.0,
            "fresh_for_s": 0.0,
            "min_routes": 0,
            "routes": [],
            "trust_target": False,
            "control": "none",
            "overdue_fails": False,
        },
        "attempt": 0,
        "attempts": [],
        "requested_by": "",
        "requested_at": when,
        "until": when,
        "decided_at": when,
        "observed": {"from": None, "to": None},
        "classes": [],
        "arms": {"canary": [], "control": []},
        "checks": [],
        "baseline": [],
        "stats": {"loss_upper95": 1.0, "llr": None, "p_value": None, "assumption": ASSUMPTION},
        "example": None,
        "unseen": ["everything: no gate answered"],
        "override": None,
        "advisory": None,
        "next_step": "mend what the reason says, then ask again; nothing is known about this deploy",
        "runbook_url": "",
        "report_url": "",
    }
