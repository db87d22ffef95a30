"""Random small worlds, evaluated by ours and by pyspf.

Left out, because pyspf 2.0.14 differs from RFC 7208 there, or asks in another order, which shows at the limits only: %{p}; exp; an
include of the domain itself (a permanent error before any mechanism is tried; longer loops are in); the modifiers `default` and `op`, and
unknown ones that stand there twice; temporary errors behind ptr, which section 5.5 says to skip; a redirect where the limit of DNS terms is
near (it is counted before the mechanisms). What is malformed is drawn from a list of faults on which grammar and pyspf agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address
from typing import Any

import pytest
import spf as pyspf
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.dns import Answer, DnsFailure, Outcome, Question
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.spf import Evaluation, check_host

NAMES = [f"d{number}.test" for number in range(5)]
HOSTS = [f"h{number}.test" for number in range(4)]
FOUR = ["192.0.2.1", "192.0.2.2", "198.51.100.1", "203.0.113.9"]
SIX = ["2001:db8::1", "2001:db8:1::1"]
Records = dict[tuple[str, str], list[str] | None]  # None: it times out

domains = st.sampled_from([*NAMES, *HOSTS, "none.test"])
macros = st.sampled_from(
    ["%{d}", "%{ir}.%{v}._spf.test", "%{l}.x.test", "%{o2}", "%{h}", "%{d1r}.test", "%{s}.test", "a%{l2r-}.test", "%{D}"]
)
targets = st.one_of(domains, domains, domains, macros)
four = st.sampled_from(["", "/0", "/8", "/24", "/32"])
six = st.sampled_from(["", "//0", "//32", "//64", "//128"])
faults = st.sampled_from(
    ["ip4:192.0.2", "ip4:192.0.2.1/33", "ip6:xyz", "include:", "a:", "all:x", "moo", "a//129", "exists", "ip4", "mx:x", "a/024"]
)


@st.composite
def terms(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["a", "mx", "include", "include", "ip4", "ip6", "ptr", "exists", "all", "fault", "other"]))
    qualifier = draw(st.sampled_from(["", "", "", "+", "-", "~", "?"]))
    target = draw(st.one_of(st.just(""), targets.map(lambda name: f":{name}")))
    match kind:
        case "a" | "mx":
            return f"{qualifier}{kind}{target}{draw(four)}{draw(six)}"
        case "ptr":
            return f"{qualifier}ptr{target}"
        case "include" | "exists":
            return f"{qualifier}{kind}:{draw(targets)}"
        case "ip4":
            return f"{qualifier}ip4:{draw(st.sampled_from(FOUR))}{draw(four)}"
        case "ip6":
            return f"{qualifier}ip6:{draw(st.sampled_from(SIX))}{draw(six).replace('//', '/')}"
        case "all":
            return f"{qualifier}all"
        case "other":
            return draw(st.sampled_from(["x-note=%{d}", "moo=", "ra=postmaster"]))
        case _:
            return draw(faults) if draw(st.integers(0, 4)) == 0 else "ip4:203.0.113.77"


@st.composite
def records(draw: st.DrawFn) -> str:
    words = draw(st.lists(terms(), max_size=5))
    words = [word for at, word in enumerate(words) if "=" not in word or word not in words[:at]]
    if draw(st.integers(0, 3)) == 0 and not any(word.lstrip("+-~?") == "all" for word in words):
        words.append(f"redirect={draw(targets)}")
    elif draw(st.booleans()):
        words.append(draw(st.sampled_from(["-all", "~all", "?all", "+all"])))
    return " ".join(["v=spf1", *words])


@st.composite
def worlds(draw: st.DrawFn) -> Records:
    found: Records = {}
    for name in NAMES:
        count = draw(st.sampled_from([0, 1, 1, 1, 1, 1, 1, 2]))
        if draw(st.integers(0, 14)) == 0:
            found[name, "TXT"] = None
        elif count:
            found[name, "TXT"] = [without_itself(draw(records()), name) for _ in range(count)]
    for name in [*HOSTS, *NAMES[:3]]:
        for kind, pool in (("A", FOUR), ("AAAA", SIX)):
            texts = draw(st.lists(st.sampled_from(pool), max_size=2, unique=True))
            if draw(st.integers(0, 19)) == 0:
                found[name, kind] = None
            elif texts:
                found[name, kind] = texts
    for name in NAMES:
        hosts = draw(st.lists(st.sampled_from([*HOSTS, "none.test"]), max_size=3, unique=True))
        if draw(st.integers(0, 11)) == 0:
            hosts = [*hosts, *(f"far{number}.test" for number in range(11))]
        if hosts:
            found[name, "MX"] = [f"{10 * at} {host}" for at, host in enumerate(hosts)]
    for address in (*FOUR, *SIX):
        pointers = draw(st.lists(st.sampled_from([*HOSTS, *NAMES]), max_size=2, unique=True))
        if pointers:
            reverse = IPv6Address(address).reverse_pointer if ":" in address else ".".join(reversed(address.split("."))) + ".in-addr.arpa"
            found[reverse, "PTR"] = pointers
    return found


def left_out(world: Records, evaluation: Evaluation) -> bool:
    texts = " ".join(text for (_, kind), found in world.items() if kind == "TXT" for text in found or ())
    silent = any(found is None for (_, kind), found in world.items() if kind != "TXT")
    return (evaluation.lookups >= 10 and "redirect=" in texts) or ("ptr" in texts and silent)


def without_itself(text: str, name: str) -> str:
    itself = {f"include:{name}", "include:%{d}", "include:%{D}", "include:%{o2}", "include:%{d1r}.test"}
    return " ".join(word for word in text.split(" ") if word.lstrip("+-~?") not in itself)


def ours(world: Records, address: str, sender: str, helo: str) -> Evaluation:
    answers: dict[Question, Answer] = {}
    for _ in range(40):
        lookup = Lookup(answers)
        evaluation = check_host(lookup, address, sender.rpartition("@")[2], sender, helo, 1_700_000_000.0)
        if lookup.complete:
            return evaluation
        answers |= {question: answer(world, question) for question in lookup.wanted}
    raise AssertionError("the evaluation never stops asking")


def answer(world: Records, question: Question) -> Answer:
    found = world.get((question.name, question.rtype.value), [])
    if found is None:
        return Answer(question, Outcome.FAILED, failure=DnsFailure.TIMEOUT, detail="no answer in time")
    exists = any(name == question.name for name, _ in world)
    return Answer(question, Outcome.FOUND if found else Outcome.NODATA if exists else Outcome.NXDOMAIN, tuple(found))


def theirs(monkeypatch: pytest.MonkeyPatch, world: Records, address: str, sender: str, helo: str) -> str:
    def look(name: str, qtype: str, *_: object) -> Iterator[tuple[tuple[str, str], Any]]:
        found = world.get((name.lower().rstrip("."), qtype), [])
        if found is None:
            raise pyspf.TempError("no answer in time")
        for text in found:
            match qtype:
                case "MX":
                    preference, _, host = text.partition(" ")
                    yield (name, qtype), (int(preference), host)
                case "TXT":
                    yield (name, qtype), (text.encode("latin-1"),)
                case "AAAA":
                    yield (name, qtype), IPv6Address(text).packed
                case _:
                    yield (name, qtype), text

    monkeypatch.setattr(pyspf, "DNSLookup", look)
    query = pyspf.query(i=address, s=sender, h=helo, strict=True, querytime=0)
    return str(query.check()[0])


@pytest.mark.hostile
@settings(max_examples=80, deadline=None, derandomize=True)
@given(worlds(), st.sampled_from([*FOUR, *SIX]), st.sampled_from(["refund-desk", "a.b"]), st.sampled_from(["h0.test", "d1.test"]))
def test_as_pyspf_says(world: Records, address: str, local: str, helo: str) -> None:
    sender = f"{local}@d0.test"
    evaluation = ours(world, address, sender, helo)
    if left_out(world, evaluation):
        return
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert evaluation.result.value == theirs(monkeypatch, world, address, sender, helo), evaluation.why
