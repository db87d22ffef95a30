"""Facts as JSON: what is written loads again, here and in the images before and after this one."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.edge.journal.codec import decode_fact, decode_view, encode, key_of, kind_of, shape_of
from monitor.model.facts import KIND_OF, KINDS, Fact, Paused, ProbeFact
from monitor.views.world import World
from tests.views.facts import facts_of
from tests.views.life import OWN, PROBE, at, planned, sighted, submitted


def test_every_fact_has_one_kind() -> None:
    assert len(KINDS) == len(KIND_OF) == len(Fact.__args__)
    assert set(KINDS.values()) == set(Fact.__args__)


def test_every_fact_says_when() -> None:
    for cls in KINDS.values():
        assert next(iter(dataclasses.fields(cls))).name == "at"


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_round_trip(kind: str, data: st.DataObject) -> None:
    fact = data.draw(facts_of(kind))
    assert kind_of(fact) == kind
    loaded = decode_fact(kind, encode(fact))
    assert loaded == fact
    assert type(loaded) is type(fact)
    assert encode(loaded) == encode(fact)
    hash(loaded)  # tuples came back as tuples


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_fact_of_an_older_image_loads_with_the_defaults(kind: str, data: st.DataObject) -> None:
    """The fields that were added later are those with a default."""
    fact = data.draw(facts_of(kind))
    added = {field.name: field.default for field in dataclasses.fields(fact) if field.default is not dataclasses.MISSING}
    old = {name: value for name, value in json.loads(encode(fact)).items() if name not in added}
    assert decode_fact(kind, json.dumps(old).encode()) == dataclasses.replace(fact, **added)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_field_of_a_newer_image_is_ignored(kind: str, data: st.DataObject) -> None:
    fact = data.draw(facts_of(kind))
    newer = json.loads(encode(fact)) | {"mood": {"of": ["the", "day"]}}
    assert decode_fact(kind, json.dumps(newer).encode()) == fact


def test_a_kind_of_a_newer_image_is_nothing() -> None:
    assert decode_fact("refund_seen", b'{"whatever": 1}') is None


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b"{}", b'{"at": 5}', b"\xff\xfe", None, "text", 5], ids=repr)
def test_a_damaged_fact_is_a_value_error(body: Any) -> None:
    with pytest.raises(ValueError, match="kind 'resumed' is damaged"):
        decode_fact("resumed", body)


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b'{"seq": "x"}', None], ids=repr)
def test_a_damaged_snapshot_is_a_value_error(body: Any) -> None:
    with pytest.raises(ValueError, match="snapshot unreadable"):
        decode_view(body, World)


def test_keys_group_by_probe_else_by_mailbox() -> None:
    life = submitted().look(5)
    assert key_of(planned()) == PROBE
    assert key_of(sighted(3)) == PROBE
    assert key_of(Paused(at(0), "ada", "")) == ""
    look = life.state.unseen_look
    assert look is not None
    assert key_of(look) == OWN
    for cls in ProbeFact.__args__:
        assert "probe" in {field.name for field in dataclasses.fields(cls)}


def test_the_shape_of_a_view_changes_with_any_field_even_one_with_a_default() -> None:
    grown = dataclasses.make_dataclass("World", [("fresh", int, 0)], bases=(World,), slots=True)
    assert shape_of(grown) != shape_of(World)
    assert shape_of(World) == shape_of(World)
