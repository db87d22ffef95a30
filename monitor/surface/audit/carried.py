"""Results that only a daemon can have: those on delivered mail, which it keeps to itself, and drift. Read from its document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monitor.model.checks import CheckId, CheckResult, Gravity, Status

MOST = 500


def results_in(document: Any) -> tuple[CheckResult, ...]:
    """Of a document of /v1/domains/{domain}; those of checks that this version does not know are left out. Raises ValueError for a document
    of another shape."""
    try:
        at, rows = document["inspected_at"], document["audit"]["results"]
        return tuple(_result(row, str(at)) for row in rows[:MOST] if row["id"] in list(CheckId)) if at else ()
    except (KeyError, TypeError) as error:
        raise ValueError(f"its results are in no shape that we know ({error!r})") from None


def _result(row: dict[str, Any], at: str) -> CheckResult:
    texts = {key: str(row[key]) for key in ("about", "record", "mend", "publish")}
    saw = f"{row['saw']} (daemon, {at})"
    return CheckResult(CheckId(row["id"]), Status(row["status"]), gravity=Gravity(row["severity"]), saw=saw, **texts)


def with_carried(results: Sequence[CheckResult], carried: Sequence[CheckResult]) -> tuple[CheckResult, ...]:
    """A check that had nothing to test here takes what the daemon found."""
    tested = {result.check for result in results if result.status is not Status.SKIP}
    wanted = [result for result in carried if result.check not in tested and result.status is not Status.SKIP]
    taken = {result.check for result in wanted}
    return (*(result for result in results if result.check not in taken), *wanted)
