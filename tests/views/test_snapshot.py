"""A snapshot at any point, and the tail folded after it, is the fold from the start."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.edge.journal.codec import decode_fact, decode_view, encode, kind_of
from monitor.model.facts import Entry, Fact
from monitor.views.world import World
from tests.views.facts import histories


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example])
@given(histories(), st.data())
def test_snapshot_and_tail_equal_a_fold_from_the_start(facts: list[Fact | None], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(facts)))
    whole, first = World(), World()
    entries = [Entry(seq, "unknown" if fact is None else kind_of(fact), fact) for seq, fact in enumerate(facts, 1)]
    for entry in entries:
        whole.fold(entry)
    for entry in entries[:cut]:
        first.fold(entry)
    restored = decode_view(encode(first), World)
    assert restored == first
    assert restored.seq == cut
    for entry in entries[cut:]:
        stored = None if entry.fact is None else decode_fact(entry.kind, encode(entry.fact))
        restored.fold(Entry(entry.seq, entry.kind, stored))
    assert restored == whole
    assert encode(restored) == encode(whole)
