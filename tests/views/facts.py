"""Facts at random: every kind, few names, so that they meet."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from monitor.model.address import Address, Domain
from monitor.model.facts import KINDS, Baselined, CleanedUp, Fact, InspectionAsked, Sighted, ZoneObserved
from monitor.model.incident import IncidentId
from monitor.model.instant import Instant
from monitor.model.money import Money
from monitor.model.probe import MailboxName, PathName, ProbeId

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)

st.register_type_strategy(Domain, st.sampled_from([Domain("shop.example"), Domain("seed.example")]))
st.register_type_strategy(Address, st.builds(Address, st.sampled_from(["refunds", "Seed+tag", "o'neill"]), st.from_type(Domain)))
st.register_type_strategy(
    Money,
    st.builds(Money, st.decimals(allow_nan=False, allow_infinity=False) | st.just(Decimal("49.90")), st.sampled_from(["EUR", "JPY"])),
)
st.register_type_strategy(
    Instant,
    st.builds(Instant, st.floats(1e9, 2e9), st.floats(0, 1e7), st.sampled_from(["first", "second"])),
)
st.register_type_strategy(float, NUMBERS)
st.register_type_strategy(str, TEXTS)
st.register_type_strategy(int, st.integers(-(2**53), 2**53))
st.register_type_strategy(ProbeId, st.sampled_from([ProbeId("00000000000a"), ProbeId("00000000000b")]))
st.register_type_strategy(MailboxName, st.sampled_from([MailboxName("gmail-1"), MailboxName("outlook-1")]))
st.register_type_strategy(IncidentId, st.sampled_from([IncidentId("INC-1"), IncidentId("INC-2")]))
st.register_type_strategy(PathName, st.sampled_from([PathName("app"), PathName("smtp")]))


def facts_of(kind: str) -> st.SearchStrategy[Any]:
    cls = KINDS[kind]
    if cls is Sighted:
        few = {"folder": st.sampled_from(["INBOX", "Junk"]), "uidvalidity": st.integers(1, 2), "uid": st.integers(1, 2)}
        return st.builds(Sighted, supersedes=st.lists(st.integers(1, 12), max_size=2).map(tuple), **few)
    if cls is CleanedUp:
        return st.builds(CleanedUp, folder=st.sampled_from(["INBOX", "Junk"]), uidvalidity=st.integers(1, 2), uid=st.integers(1, 2))
    if cls in (ZoneObserved, Baselined, InspectionAsked):
        domains = st.sampled_from(["shop.example", "other.example"])
        return st.builds(lambda fact, domain: replace(fact, domain=domain), st.from_type(cls), domains)
    return st.from_type(cls)


def histories() -> st.SearchStrategy[list[Fact | None]]:
    """Facts in any order; None: a kind of a newer image. What moves the view most comes most often."""
    kinds = [
        *KINDS,
        "probe_planned",
        "probe_planned",
        "attempted",
        "attempted",
        "sighted",
        "sighted",
        "sighted",
        "closed",
        "looked",
        "transition",
        "zone_observed",
    ]
    return st.lists(st.sampled_from(kinds).flatmap(facts_of) | st.none(), max_size=14)
