"""What the log says of planned silences: who wants quiet about what, until when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.facts import Fact, Silenced, SilenceEnded, SilencePlanned
from monitor.model.incident import IncidentId, Phase, Scope, ScopeKind, SilenceId
from monitor.model.instant import Instant
from monitor.model.verdict import Symptom
from monitor.surface.log import Level, describe
from tests.surface import happenings as so

AT = Instant(1_790_000_000.0, 0.0, "one")
ONE = SilenceId("SIL-1")
PLANNED = SilencePlanned(AT, ONE, "ana", "the relay moves", AT.utc, AT.utc + 3_600)
NARROW = replace(PLANNED, scopes=(Scope(ScopeKind.PATH, "app"),), symptoms=(Symptom.AUTH, Symptom.DUPLICATE))
WHEN = "2026-09-21T14:13:20.000Z to 2026-09-21T15:13:20.000Z"


@pytest.mark.parametrize(
    ("fact", "level", "event", "text"),
    [
        (PLANNED, Level.WARNING, "silence_planned", f"SIL-1: everything silenced by ana, {WHEN}: the relay moves"),
        (NARROW, Level.WARNING, "silence_planned", f"SIL-1: path:app and auth, duplicate silenced by ana, {WHEN}: the relay moves"),
        (SilenceEnded(AT, ONE, "bob", "done"), Level.INFO, "silence_ended", "SIL-1: ended by bob: done"),
        (Silenced(AT, IncidentId("INC-1"), "bob", "done", AT.utc), Level.INFO, "unsilenced", "INC-1: no longer silenced, says bob: done"),
        (
            so.transition(AT, Phase.SILENCED, note="SIL-1 of ana until later", by="ana", silent_until=AT.utc + 60),
            Level.INFO,
            "incident",
            "INC-1 silenced by ana (page, delivery_stalled, path:relay): SIL-1 of ana until later",
        ),
        (
            so.transition(AT, Phase.SILENCED, note="no longer silenced by SIL-1 of ana", by="bob"),
            Level.INFO,
            "incident",
            "INC-1 unsilenced by bob (page, delivery_stalled, path:relay): no longer silenced by SIL-1 of ana",
        ),
    ],
)
def test_lines(fact: Fact, level: Level, event: str, text: str) -> None:
    line = describe(fact)
    assert line is not None and line[:3] == (level, event, text)
