"""gathering.gather: rounds, bounds, deadlines, and that its result can be replayed."""

from __future__ import annotations

import asyncio

import pytest

from monitor import gathering
from monitor.gathering import gather
from monitor.model.dns import Answer, DnsFailure, RecordType
from monitor.model.transport import Endpoint, Reached, ServerKind, TransportSeen
from monitor.rules.lookup import Lookup
from tests.fakes.resolver import FakeResolver
from tests.fakes.transport import FakeTransport

TXT, A = RecordType.TXT, RecordType.A
MX = Endpoint(ServerKind.MX, "mx.shop.test", 25, "192.0.2.1")


def chain(lookup: Lookup) -> list[str]:
    """Asks for all siblings at once, and then for what the first one says."""
    first = [lookup.ask(f"n{number}.test", TXT) for number in range(3)]
    found = []
    for answer in first:
        found += [text for record in answer.records for text in lookup.ask(record, TXT).records]
    return found


async def test_siblings_go_in_one_round_and_the_result_replays() -> None:
    resolver = FakeResolver({(f"n{number}.test", TXT): (f"x{number}.test",) for number in range(3)})
    resolver.records |= {(f"x{number}.test", TXT): (f"v{number}",) for number in range(3)}
    result, lookup = await gather(chain, resolver, None, 10.0)
    assert result == ["v0", "v1", "v2"] and lookup.complete and resolver.calls == 2 and len(resolver.asked) == 6
    again = Lookup(lookup.answers, lookup.seen, closed=True)
    assert chain(again) == result and again.complete


async def test_looks_and_questions_go_together() -> None:
    probe = FakeTransport({"192.0.2.1": TransportSeen(MX, Reached.AGAIN)})

    def rule(lookup: Lookup) -> tuple[Reached, bool]:
        return lookup.look(MX).reached, lookup.ask("a.test", A).failed

    resolver = FakeResolver()
    result, lookup = await gather(rule, resolver, probe, 10.0)
    assert result == (Reached.AGAIN, False) and resolver.calls == 1 and probe.looked == [MX] and lookup.seen[MX].reached is Reached.AGAIN


async def test_without_a_transport_a_look_fails_and_the_questions_are_answered() -> None:
    def rule(lookup: Lookup) -> tuple[TransportSeen, Answer]:
        seen = lookup.look(MX)
        return seen, lookup.ask("b.test" if lookup.ask("a.test", TXT).found else "c.test", TXT)

    resolver = FakeResolver({("a.test", TXT): ("x",), ("b.test", TXT): ("y",)})
    (seen, answer), _ = await gather(rule, resolver, None, 10.0)
    assert answer.records == ("y",)
    assert seen.reached is Reached.NOTHING and seen.transient and "inspect.transport" in seen.failed and not seen.pending


def _endless(lookup: Lookup) -> tuple[int, Answer]:
    number = 0
    while not (answer := lookup.ask(f"n{number}.test", TXT)).failed:
        number += 1
    return number, answer


async def test_a_rule_that_never_ends_is_ended() -> None:
    (rounds, last), lookup = await gather(_endless, FakeResolver(), None, 10.0)
    assert rounds == gathering.MOST_ROUNDS and last.failure is DnsFailure.TOO_MUCH and not last.pending and lookup.complete


async def test_too_many_questions_and_too_many_looks() -> None:
    resolver, probe = FakeResolver(), FakeTransport()

    def asks(lookup: Lookup) -> list[Answer]:
        return [lookup.ask(f"n{number}.test", TXT) for number in range(gathering.MOST_QUESTIONS + 1)]

    def looks(lookup: Lookup) -> list[TransportSeen]:
        return [lookup.look(Endpoint(ServerKind.MX, f"n{number}.test", 25)) for number in range(gathering.MOST_LOOKS + 1)]

    answers, _ = await gather(asks, resolver, probe, 10.0)
    seen, _ = await gather(looks, resolver, probe, 10.0)
    assert {answer.failure for answer in answers} == {DnsFailure.TOO_MUCH} and not resolver.asked
    assert all(look.transient and not look.pending for look in seen) and not probe.looked


async def test_the_deadline_ends_it() -> None:
    resolver = FakeResolver({("n0.test", TXT): ("x0.test",)}, takes=60.0)
    async with asyncio.timeout(5):
        result, lookup = await gather(chain, resolver, None, 0.05)
    assert result == [] and lookup.answers and all(answer.failure is DnsFailure.TIMEOUT for answer in lookup.answers.values())
    endless = FakeResolver(takes=0.04)
    (_, last), _ = await gather(_endless, endless, None, 0.1)
    assert endless.calls <= 4 and last.failed
    slow = FakeResolver({("n0.test", TXT): ("x0.test",), ("x0.test", TXT): ("v",)}, takes=0.04)
    result, lookup = await gather(chain, slow, None, 0.06)
    assert result == [] and slow.calls == 2


@pytest.mark.parametrize("name", ["", ".", "A.Test.", "a..test", "x" * 64 + ".test", "y." * 130 + "test"])
def test_names_of_questions(name: str) -> None:
    lookup = Lookup({})
    answer = lookup.ask(name, A)
    if name in ("", ".", "A.Test."):
        (question,) = lookup.wanted
        assert question.name == (name.rstrip(".").lower() or ".") and answer.pending
    else:
        assert answer.void and lookup.complete
