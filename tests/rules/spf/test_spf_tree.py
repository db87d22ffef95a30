"""The tree of records: what it costs, how few rounds it takes, that looking ahead changes nothing; and the flat set of networks."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from monitor.model.dns import Answer, DnsFailure, Outcome, Question
from monitor.model.mail import AuthResult
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.spf import Evaluation, Flat, Node, check_host, flatten
from monitor.rules.mailauth.spf.tree import MOST_NAMES, MOST_RECORDS
from tests.rules.inspect.worlds import Dns, World


@dataclass
class Trail:
    """An evaluation that was driven to its end: the questions of each round."""

    evaluation: Evaluation
    rounds: list[set[Question]] = field(default_factory=list)

    @property
    def asked(self) -> set[Question]:
        return set().union(*self.rounds)


def drive(dns: Dns, address: str = "192.0.2.1", domain: str = "shop.test") -> Trail:
    answers: dict[Question, Answer] = {}
    rounds: list[set[Question]] = []
    for _ in range(40):
        lookup = Lookup(answers)
        evaluation = check_host(lookup, address, domain, f"refund@{domain}", "mail.shop.test", 1_700_000_000.0)
        if lookup.complete:
            return Trail(evaluation, rounds)
        rounds.append(set(lookup.wanted))
        answers |= {question: dns.answer(question) for question in lookup.wanted}
    raise AssertionError("the evaluation never stops asking")


def texts(**records: str) -> Dns:
    return Dns({f"{name.replace('_', '.')} TXT": [text] for name, text in records.items()})


def branch(tree: Node, term: str) -> Node:
    (node,) = [node for node in tree.walk() if node.term == term]
    return node


def test_cost_of_every_branch_whether_reached_or_not() -> None:
    dns = texts(
        shop_test="v=spf1 ip4:192.0.2.1 include:a.test mx -all",
        a_test="v=spf1 a:x.test include:b.test ?all",
        b_test="v=spf1 exists:%{i}.b.test ptr -all a",
    ).but(**{"x.test A": ["198.51.100.1"]})
    evaluation = drive(dns).evaluation
    assert (evaluation.result, evaluation.spent, evaluation.lookups) == (AuthResult.PASS, 0, 6)
    assert branch(evaluation.tree, "include:a.test").lookups == 5
    assert branch(evaluation.tree, "include:b.test").lookups == 3
    assert branch(evaluation.tree, "a").lookups == 0, "dead after all"
    assert branch(evaluation.tree, "ip4:192.0.2.1").result == "match"
    assert branch(evaluation.tree, "include:a.test").result == ""
    stranger = drive(dns, "203.0.113.1").evaluation
    assert (stranger.spent, stranger.lookups) == (6, 6)
    assert branch(stranger.tree, "include:b.test").result == "fail"
    assert branch(stranger.tree, "include:a.test").result == "neutral"


def test_a_redirect_beside_all_costs_nothing() -> None:
    dns = texts(shop_test="v=spf1 include:a.test -all", a_test="v=spf1 ip4:192.0.2.1 redirect=b.test ~all", b_test="v=spf1 -all")
    for address in ("192.0.2.1", "203.0.113.1"):
        trail = drive(dns, address)
        assert trail.evaluation.lookups == 1
        assert not [question for question in trail.asked if question.name == "b.test"]


def test_voids_of_the_tree_are_not_those_of_the_evaluation() -> None:
    dns = texts(shop_test="v=spf1 ip4:192.0.2.1 a:no1.test a:no2.test a:no3.test -all")
    evaluation = drive(dns).evaluation
    assert (evaluation.result, evaluation.voids, evaluation.tree.voids) == (AuthResult.PASS, 0, 3)
    stranger = drive(dns, "203.0.113.1").evaluation
    assert (stranger.result, stranger.voids) == (AuthResult.PERMERROR, 3)


def test_the_limit_counts_what_is_reached() -> None:
    dns = texts(shop_test="v=spf1 ip4:192.0.2.1 " + "a:x.test " * 11 + "-all").but(**{"x.test A": ["198.51.100.1"]})
    assert drive(dns).evaluation.result is AuthResult.PASS
    assert drive(dns, "203.0.113.1").evaluation.result is AuthResult.PERMERROR


def test_siblings_are_asked_at_once() -> None:
    """A tree of depth 2 with nine names takes three rounds, and no matter where the address stands."""
    dns = texts(
        shop_test="v=spf1 include:a.test include:b.test a:x.test mx exists:e.test redirect=c.test",
        a_test="v=spf1 include:d.test ?all",
        b_test="v=spf1 a:y.test ?all",
        c_test="v=spf1 -all",
        d_test="v=spf1 a:z.test ?all",
    ).but(**{"shop.test MX": ["10 mx.test"], "x.test A": ["192.0.2.9"], "e.test A": ["192.0.2.9"]})
    for address in ("192.0.2.9", "203.0.113.1"):
        trail = drive(dns, address)
        assert len(trail.rounds) <= 4
        assert {question.name for question in trail.rounds[1]} == {"a.test", "b.test", "x.test", "shop.test", "e.test", "c.test"}


def test_a_record_with_a_fault_costs_nothing_and_its_tree_is_still_shown() -> None:
    evaluation = drive(texts(shop_test="v=spf1 include:a.test moo -all", a_test="v=spf1 -all")).evaluation
    assert (evaluation.result, evaluation.spent, evaluation.lookups) == (AuthResult.PERMERROR, 0, 1)
    assert [node.fault for node in evaluation.tree.walk() if node.kind == "faulty"] == ["moo: there is no mechanism moo"]
    assert branch(evaluation.tree, "include:a.test").record == "v=spf1 -all"


def test_what_lies_beyond_does_not_change_the_result() -> None:
    """The name servers of a branch that is not reached are dead."""
    dns = texts(shop_test="v=spf1 ip4:192.0.2.1 include:dark.test -all")
    dns = Dns(dns.records, {"dark.test *": DnsFailure.TIMEOUT})
    evaluation = drive(dns).evaluation
    assert evaluation.result is AuthResult.PASS
    assert branch(evaluation.tree, "include:dark.test").unknown
    assert drive(dns, "203.0.113.1").evaluation.result is AuthResult.TEMPERROR


@pytest.mark.parametrize("address", ["192.0.2.1", "203.0.113.1"])
def test_the_final_answers_give_the_same_again(address: str) -> None:
    dns = texts(shop_test="v=spf1 include:a.test mx ~all", a_test="v=spf1 a:%{i}.x.test include:shop.test -all")
    answers: dict[Question, Answer] = {}
    while True:
        lookup = Lookup(answers)
        evaluation = check_host(lookup, address, "shop.test", "", "mail.shop.test", 0.0)
        if lookup.complete:
            break
        answers |= {question: dns.answer(question) for question in lookup.wanted}
    for closed in (False, True):
        assert check_host(Lookup(answers, closed=closed), address, "shop.test", "", "mail.shop.test", 0.0) == evaluation


def test_seconds_are_of_what_the_evaluation_asked() -> None:
    def late(answer: Answer) -> Answer:
        return Answer(answer.question, answer.outcome, answer.records, seconds=0.5)

    dns = texts(shop_test="v=spf1 include:a.test ip4:192.0.2.1 include:b.test -all", a_test="v=spf1 ?all", b_test="v=spf1 ?all")
    assert drive(Dns(dns.records, changed=late)).evaluation.seconds == pytest.approx(1.0)


def test_fan_out_is_bounded() -> None:
    """Eleven includes, each with eleven, each with eleven: only as much is asked as the bounds say."""
    records = {}
    level = ["shop.test"]
    for depth in range(3):
        below = []
        for name in level:
            names = [f"{letter}{depth}.{name}" for letter in "abcdefghijk"]
            records[f"{name} TXT"] = ["v=spf1 " + " ".join(f"include:{each}" for each in names) + " a:x.test -all"]
            below += names
        level = below
    trail = drive(Dns(records))
    assert trail.evaluation.result is AuthResult.PERMERROR
    assert trail.evaluation.lookups > 10
    assert len(trail.asked) <= MOST_RECORDS + MOST_NAMES + 12
    assert len(trail.rounds) <= 12


def test_a_deep_chain_ends() -> None:
    records = {f"d{number}.test TXT": [f"v=spf1 include:d{number + 1}.test -all"] for number in range(100)}
    trail = drive(Dns(records), domain="d0.test")
    assert trail.evaluation.result is AuthResult.PERMERROR
    assert len(trail.asked) <= 13


def test_a_loop_is_named() -> None:
    evaluation = drive(texts(shop_test="v=spf1 include:a.test -all", a_test="v=spf1 include:shop.test -all")).evaluation
    assert evaluation.result is AuthResult.PERMERROR and "leads back to shop.test" in evaluation.why


def test_exchanges_beyond_what_is_asked_ahead() -> None:
    """Ten mx of ten hosts each: not all are asked ahead of an evaluation that ends early; one that goes on gets them in a few rounds."""
    records = {"shop.test TXT": ["v=spf1 ip4:192.0.2.1 " + " ".join(f"mx:m{number}.test" for number in range(10)) + " -all"]}
    for number in range(10):
        records[f"m{number}.test MX"] = [f"10 h{host}.m{number}.test" for host in range(10)]
        records |= {f"h{host}.m{number}.test A": ["198.51.100.1"] for host in range(10)}
    early = drive(Dns(records))
    assert early.evaluation.result is AuthResult.PASS
    assert len(early.asked) <= 1 + MOST_NAMES
    late = drive(Dns(records), "203.0.113.1")
    assert late.evaluation.result is AuthResult.FAIL
    assert len(late.asked) == 111 and len(late.rounds) <= 12


def test_everybody_includes_everybody() -> None:
    names = [f"n{number}.test" for number in range(20)]
    text = "v=spf1 " + " ".join(f"include:{name}" for name in names) + " -all"
    trail = drive(Dns({f"{name} TXT": [text] for name in names}), domain="n0.test")
    assert trail.evaluation.result is AuthResult.PERMERROR
    assert sum(1 for _ in trail.evaluation.tree.walk()) <= 1_501


def flat(dns: Dns, domain: str = "shop.test") -> Flat:
    return World(dns).asked(lambda lookup: flatten(lookup, domain))


def test_flat() -> None:
    dns = texts(
        shop_test="v=spf1 ip4:192.0.2.128/25 ip4:192.0.2.5/25 mx/31 include:a.test exists:%{i}.x.test -ip4:192.0.2.7 ~all ip4:10.0.0.0/8",
        a_test="v=spf1 ip6:2001:DB8::1 a:h.test ptr -all",
    ).but(**{"shop.test MX": ["10 h.test"], "h.test A": ["203.0.113.5"], "h.test AAAA": ["2001:db8::2"]})
    found = flat(dns)
    assert found.networks == ("192.0.2.0/24", "203.0.113.4/31", "2001:db8::1/128", "2001:db8::2/128")
    assert (found.policy, found.opaque, found.unknown, found.fault) == ("~all", ("-ip4:192.0.2.7", "exists:%{i}.x.test", "ptr"), "", "")


def test_flat_is_the_same_whatever_the_order() -> None:
    one = flat(texts(shop_test="v=spf1 ip4:192.0.2.1 ip4:198.51.100.0/24 include:a.test -all", a_test="v=spf1 ip4:203.0.113.1 ~all"))
    other = flat(texts(shop_test="v=spf1 include:b.test ip4:198.51.100.7/24 ip4:192.0.2.1 -all", b_test="v=spf1 ip4:203.0.113.1 -all"))
    assert (one.networks, one.policy) == (other.networks, other.policy)


def test_flat_follows_redirect_for_its_policy() -> None:
    assert flat(texts(shop_test="v=spf1 ip4:192.0.2.1 redirect=a.test", a_test="v=spf1 ip4:192.0.2.2 -all")).policy == "-all"


def test_flat_says_what_it_does_not_know() -> None:
    dns = Dns(texts(shop_test="v=spf1 include:a.test -all").records, {"a.test TXT": DnsFailure.SERVFAIL})
    assert flat(dns).unknown.startswith("a.test TXT")
    assert flat(Dns()) == Flat()
    assert "leads back" in flat(texts(shop_test="v=spf1 include:shop.test -all")).fault
    assert flat(texts(shop_test="v=spf1 +all")).networks == ("0.0.0.0/0", "::/0")


def test_not_found_is_told_from_not_known() -> None:
    lookup = Lookup({})
    evaluation = check_host(lookup, "192.0.2.1", "shop.test", "", "shop.test", 0.0)
    assert evaluation.result is AuthResult.TEMPERROR and not lookup.complete
    assert drive(Dns()).evaluation.result is AuthResult.NONE
    assert check_host(Lookup({}), "no address", "shop.test", "", "", 0.0).result is AuthResult.NONE
    assert drive(Dns({"shop.test A": ["192.0.2.1"]})).evaluation.result is AuthResult.NONE
    assert Dns({"shop.test A": ["192.0.2.1"]}).answer(next(iter(lookup.wanted))).outcome is Outcome.NODATA
