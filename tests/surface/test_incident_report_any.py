"""Whatever happened, in whatever order: there is a report of every incident that was opened, in every form, and a board."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.desk import Desk
from monitor.edge.entropy import SystemEntropy
from monitor.edge.journal import MemoryJournal
from monitor.model.facts import KIND_OF, Entry, Fact
from monitor.model.policy import Policy
from monitor.surface.incident_report import html, incident_report, markdown
from monitor.surface.status import status
from monitor.views.world import World
from tests.stages.house import policy
from tests.surface import happenings as so
from tests.surface.books import with_ledger
from tests.surface.test_any_history import FACTS, Stopped
from tests.surface.test_board import drawn
from tests.surface.test_incident_report import FITS, texts


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return so.with_channels(with_ledger(policy(tmp_path_factory.mktemp("policy"), seeds=2)))


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None, derandomize=True)
@given(history=st.lists(FACTS, max_size=8))
def test_any_history(rules: Policy, history: Sequence[Fact]) -> None:
    world = World()
    desk = Desk(MemoryJournal(world.fold), world, Stopped(), SystemEntropy(), rules)
    for seq, fact in enumerate(history, 1):
        world.fold(Entry(seq, KIND_OF[type(fact)], fact))
    for state in world.incidents.known.values():
        if state.opened is None:
            continue
        report = json.loads(json.dumps(incident_report(desk, state), allow_nan=False))
        FITS.validate(report)
        assert all(text.isprintable() and "seed+tag" not in text and "87654321" not in text for text in texts(report))
        for text in (markdown(report), html(report)):
            assert text.isprintable() or "\n" in text
            assert "seed+tag" not in text and "87654321" not in text
    shown = drawn(json.loads(json.dumps(status(desk), allow_nan=False)), 90)
    assert all(char.isprintable() or char == "\n" for char in shown)
