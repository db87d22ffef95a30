"""Facts of the reconciliation leave the journal with what only the views needed. How it stands now stays, and how it stood when people were
told."""

from __future__ import annotations

from dataclasses import replace

from monitor.model.facts import LedgerPurged, Reconciled, SourceBlind, SourceRestored, Transition
from monitor.model.incident import THE_LEDGER, IncidentId, Phase, Severity
from monitor.model.ledger import Purge, Purged, Side, Standing
from monitor.model.verdict import Symptom
from tests.edge.journal.test_retention import KEEP, Kept, ago, kept

__all__ = ["kept"]  # the fixture


def compared(days: float) -> Reconciled:
    return Reconciled(ago(days), Standing())


def told(phase: Phase, days: float, *evidence: int) -> Transition:
    when = ago(days)
    return Transition(when, IncidentId("INC-1"), phase, Symptom.LEDGER_SPURIOUS, THE_LEDGER, Severity.PAGE, 1, when, evidence=evidence)


async def test_the_latest_one_stays_though_nothing_has_moved_for_months(kept: Kept) -> None:
    await kept.journal.append([compared(200), compared(199), compared(100)])
    await kept.retire()
    assert kept.rows("seq") == [3]  # type: ignore[comparison-overlap]
    await kept.retire(replace(KEEP, max_bytes=1))
    assert kept.rows("seq") == [3]  # type: ignore[comparison-overlap]


async def test_those_of_the_last_days_stay(kept: Kept) -> None:
    await kept.journal.append([compared(15), compared(13), compared(1)])
    await kept.retire()
    assert kept.rows("seq") == [2, 3]  # type: ignore[comparison-overlap]


async def test_what_people_were_told_on_stays_as_long_as_its_story(kept: Kept) -> None:
    """Or who folds the journal anew would not know what is settled, and page for it again."""
    await kept.journal.append(
        [compared(62), compared(61), told(Phase.OPENED, 61, 2), compared(60), told(Phase.RESOLVED, 60, 2, 4), compared(59), compared(1)]
    )
    await kept.retire()
    assert kept.rows("seq") == [2, 3, 4, 5, 7]  # type: ignore[comparison-overlap]


async def test_blindness_leaves_with_the_fleeting_and_a_purge_with_what_people_did(kept: Kept) -> None:
    def facts(days: float) -> list[SourceBlind | SourceRestored | LedgerPurged]:
        return [
            SourceBlind(ago(days), "shop-db", Side.REFUNDS, "", ""),
            SourceRestored(ago(days), "shop-db", Side.REFUNDS),
            LedgerPurged(ago(days), "ana", Purge(before=1.0), Purged(1, 1, 1)),
        ]

    await kept.journal.append([*facts(91), *facts(15), *facts(1)])
    await kept.retire()
    assert kept.rows("seq") == [6, 7, 8, 9]  # type: ignore[comparison-overlap]
