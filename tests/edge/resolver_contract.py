"""What every Resolver owes, whatever answers it (ports.Resolver, model.dns)."""

from __future__ import annotations

import asyncio
from typing import Protocol

import pytest

from monitor.model.dns import Answer, DnsFailure, Outcome, Question, RecordType
from monitor.ports import Resolver

LONG = 30.0
A, AAAA, CNAME, MX, NS, SOA, TXT = (RecordType[name] for name in ("A", "AAAA", "CNAME", "MX", "NS", "SOA", "TXT"))


class Bench(Protocol):
    """A resolver in front of a DNS that we command. Names are published in the zone zone.test, records as a zone file has them."""

    resolver: Resolver
    server: str

    async def publish(self, name: str, rtype: RecordType, *records: str) -> None: ...

    async def fail(self, name: str, failure: DnsFailure) -> None:
        """Of now, asking for this name fails so: SERVFAIL, REFUSED, TIMEOUT or BOGUS."""
        ...


class ResolverContract:
    async def one(self, bench: Bench, name: str, rtype: RecordType, server: str = "", *, tcp: bool = False) -> Answer:
        question = Question(name, rtype, server, tcp)
        answers = await bench.resolver.resolve([question], LONG)
        assert list(answers) == [question] and answers[question].question == question
        return answers[question]

    async def test_found_nodata_and_nxdomain_are_three_things(self, bench: Bench) -> None:
        await bench.publish("a.zone.test", A, "192.0.2.2", "192.0.2.1")
        await bench.publish("x.y.zone.test", A, "192.0.2.1")
        found, nodata, empty, none = [
            await self.one(bench, name, rtype)
            for name, rtype in (("a.zone.test", A), ("a.zone.test", AAAA), ("y.zone.test", A), ("no.zone.test", A))
        ]
        assert (found.outcome, found.records) == (Outcome.FOUND, ("192.0.2.1", "192.0.2.2")) and found.ttl > 0 and found.size > 0
        assert [answer.outcome for answer in (nodata, empty, none)] == [Outcome.NODATA, Outcome.NODATA, Outcome.NXDOMAIN]
        assert not any(answer.records or answer.failure for answer in (nodata, empty, none))

    async def test_records_in_presentation_form_and_canonical_order(self, bench: Bench) -> None:
        await bench.publish("zone.test", MX, "20 B.Zone.Test.", "9 c.zone.test.", "9 a.zone.test.")
        await bench.publish("txt.zone.test", TXT, '"v=spf1 " "ip4:192.0.2.1" " -all"', '"b\\195\\188cher"')
        await bench.publish("six.zone.test", AAAA, "2001:DB8:0::1")
        assert (await self.one(bench, "zone.test", MX)).records == ("9 a.zone.test", "9 c.zone.test", "20 b.zone.test")
        assert (await self.one(bench, "txt.zone.test", TXT)).records == ("b\u00c3\u00bccher", "v=spf1 ip4:192.0.2.1 -all")
        assert (await self.one(bench, "six.zone.test", AAAA)).records == ("2001:db8::1",)

    async def test_large_answers_come_whole(self, bench: Bench) -> None:
        await bench.publish("large.zone.test", TXT, *(f'"{number:0200d}"' for number in range(40)))
        assert len((await self.one(bench, "large.zone.test", TXT)).records) == 40

    async def test_a_chain_of_aliases_is_followed_and_told(self, bench: Bench) -> None:
        await bench.publish("end.zone.test", A, "192.0.2.1")
        await bench.publish("one.zone.test", CNAME, "two.zone.test.")
        await bench.publish("two.zone.test", CNAME, "end.zone.test.")
        await bench.publish("dangling.zone.test", CNAME, "nowhere.zone.test.")
        found = await self.one(bench, "one.zone.test", A)
        assert (found.records, found.chain) == (("192.0.2.1",), ("two.zone.test", "end.zone.test"))
        assert (await self.one(bench, "one.zone.test", CNAME)).records == ("two.zone.test",)
        dangling = await self.one(bench, "dangling.zone.test", A)
        assert (dangling.outcome, dangling.chain) == (Outcome.NXDOMAIN, ("nowhere.zone.test",))
        empty = await self.one(bench, "one.zone.test", TXT)
        assert (empty.outcome, empty.chain) == (Outcome.NODATA, ("two.zone.test", "end.zone.test"))

    async def test_a_loop_of_aliases_ends(self, bench: Bench) -> None:
        await bench.publish("one.zone.test", CNAME, "two.zone.test.")
        await bench.publish("two.zone.test", CNAME, "one.zone.test.")
        answer = await self.one(bench, "one.zone.test", A)
        assert not answer.found
        assert answer.failed or len({"one.zone.test", *answer.chain}) <= len(answer.chain)

    @pytest.mark.parametrize("failure", [DnsFailure.SERVFAIL, DnsFailure.REFUSED, DnsFailure.TIMEOUT, DnsFailure.BOGUS])
    async def test_failures_are_told_apart(self, bench: Bench, failure: DnsFailure) -> None:
        await bench.publish("bad.zone.test", A, "192.0.2.1")
        await bench.fail("bad.zone.test", failure)
        answer = await self.one(bench, "bad.zone.test", A)
        assert (answer.outcome, answer.failure, answer.records) == (Outcome.FAILED, failure, ())
        assert answer.resolvers_failed == 1 and answer.resolver and answer.detail

    async def test_a_failure_is_not_remembered(self, bench: Bench) -> None:
        await bench.fail("bad.zone.test", DnsFailure.SERVFAIL)
        assert (await self.one(bench, "bad.zone.test", A)).failed
        await bench.publish("bad.zone.test", A, "192.0.2.1")
        assert (await self.one(bench, "bad.zone.test", A)).found

    async def test_one_failure_does_not_spoil_the_others(self, bench: Bench) -> None:
        await bench.publish("a.zone.test", A, "192.0.2.1")
        await bench.fail("bad.zone.test", DnsFailure.SERVFAIL)
        questions = [
            Question("bad.zone.test", A),
            *(Question(f"n{number}.zone.test", A) for number in range(300)),
            Question("a.zone.test", A),
        ]
        answers = await bench.resolver.resolve(questions, LONG)
        assert list(answers) == questions or set(answers) == set(questions)
        assert [answers[questions[0]].outcome, answers[questions[-1]].outcome] == [Outcome.FAILED, Outcome.FOUND]
        assert {answers[question].outcome for question in questions[1:-1]} == {Outcome.NXDOMAIN}

    async def test_the_deadline_holds_for_all_together(self, bench: Bench) -> None:
        await bench.fail("slow.zone.test", DnsFailure.TIMEOUT)
        async with asyncio.timeout(5):
            answers = await bench.resolver.resolve([Question("slow.zone.test", A)], 0.05)
        assert [answer.failure for answer in answers.values()] == [DnsFailure.TIMEOUT]

    async def test_nothing_asked_nothing_answered(self, bench: Bench) -> None:
        assert dict(await bench.resolver.resolve([], LONG)) == {}

    async def test_a_named_server_is_asked_directly(self, bench: Bench) -> None:
        await bench.publish("a.zone.test", A, "192.0.2.1")
        for tcp in (False, True):
            answer = await self.one(bench, "a.zone.test", A, bench.server, tcp=tcp)
            assert answer.records == ("192.0.2.1",) and answer.authoritative

    @pytest.mark.parametrize(
        "name",
        ["a b.zone.test", "\u00fc.zone.test", "a\\.b.zone.test", "a\\032b.zone.test", '(;"@$).zone.test', "*.zone.test", "_x.zone.test"],
    )
    async def test_odd_names_are_names(self, bench: Bench, name: str) -> None:
        assert (await self.one(bench, name, A)).outcome is Outcome.NXDOMAIN

    @pytest.mark.parametrize(
        "name", ["a..zone.test", f"{'a' * 64}.zone.test", f"{'a.' * 127}zone.test", "\u4e2d.zone.test", "\\", ".a", "a\\"]
    )
    async def test_what_is_no_name_does_not_exist_or_fails(self, bench: Bench, name: str) -> None:
        assert not (await self.one(bench, name, A)).found

    async def test_the_root_is_a_name(self, bench: Bench) -> None:
        assert (await self.one(bench, ".", NS)).question.name == "."
