"""Records and answers that somebody wrote to break us: nothing raises, and the work stays bounded."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.dns import Answer, DnsFailure, Outcome, Question, RecordType
from monitor.model.mail import AuthResult
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.spf import Evaluation, check_host, flatten
from monitor.rules.mailauth.spf.flat import MOST_TERMS
from monitor.rules.mailauth.spf.macro import Client, expand_name, expand_text
from monitor.rules.mailauth.spf.record import Kind, Malformed, is_spf, macro_string, parse

MOST_ASKED = 400  # names in all, of any world: 10 DNS terms with 11 names each, what the tree asks ahead, and ever new macros
CLIENT = Client(ip_address("192.0.2.1"), "refund", "shop.test", "mail.shop.test", "unknown", 0.0)

WORDS = (
    "a mx ptr include:d1.test include:%{d2} exists:%{i}.%{p}.test redirect=d2.test exp=d3.test ip4:192.0.2.1/24 -all ip6:::1/0 "
    "a:%{s}%{l}%{o}.test//0 mx:%{h} % %{ a: = redirect= \x00 é ip4:1.2.3.4.5 all:x x=%{z}"
)
words = st.sampled_from(WORDS.split(" "))
loose = st.text(st.characters(max_codepoint=255), max_size=60)
records = st.one_of(
    st.lists(words, max_size=14).map(lambda parts: " ".join(["v=spf1", *parts])), loose.map(lambda text: f"v=spf1 {text}"), loose
)

pytestmark = pytest.mark.hostile


def drive(
    world: dict[tuple[str, str], list[str]], address: str, failing: bool = False, helo: str = "mail.shop.test"
) -> tuple[Evaluation, int]:
    answers: dict[Question, Answer] = {}
    for _ in range(60):
        lookup = Lookup(answers)
        evaluation = check_host(lookup, address, "d0.test", "re\x00fund@d0.test", helo, 0.0)
        flatten(lookup, "d0.test")
        if lookup.complete:
            return evaluation, len(answers)
        for question in lookup.wanted:
            found = tuple(world.get((question.name, question.rtype.value), ()))
            if failing and not found:
                answers[question] = Answer(question, Outcome.FAILED, failure=DnsFailure.SERVFAIL, detail="SERVFAIL")
            else:
                answers[question] = Answer(question, Outcome.FOUND if found else Outcome.NXDOMAIN, found)
    raise AssertionError("the evaluation never stops asking")


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    st.dictionaries(
        st.tuples(
            st.sampled_from(["d0.test", "d1.test", "d2.test", "d3.test", "1.2.0.192.in-addr.arpa"]),
            st.sampled_from(["TXT", "A", "MX", "PTR"]),
        ),
        st.lists(st.one_of(records, loose), max_size=13),
    ),
    st.lists(records, min_size=1, max_size=1),
    st.sampled_from(["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "fe80::1%eth0", "", "x"]),
    st.booleans(),
    loose,
)
def test_any_answers(world: dict[tuple[str, str], list[str]], own: list[str], address: str, failing: bool, helo: str) -> None:
    _, asked = drive({**world, ("d0.test", "TXT"): own}, address, failing, helo)
    assert asked <= MOST_ASKED


@settings(max_examples=80, deadline=None, derandomize=True)
@given(records)
def test_any_record(text: str) -> None:
    if not is_spf(text):
        return
    record = parse(text)
    assert bool(record.fault) == any(term.kind is Kind.FAULTY for term in record.terms)
    assert all(term.text in text for term in record.terms)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40), st.booleans())
def test_any_macro_string(text: str, explaining: bool) -> None:
    try:
        spec = macro_string(text, explaining)
    except Malformed:
        assert "%" in text
        return
    assert len(expand_name(spec, "shop.test", CLIENT, lambda: "unknown")) <= 253 or "." not in text
    assert expand_text(spec, "shop.test", CLIENT, lambda: "unknown") is not None


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text",
    [
        "v=spf1 " + "a " * 32_000,
        "v=spf1 " + "a" * 65_000,
        "v=spf1 a:" + "%{s}" * 16_000 + ".test",
        "v=spf1 a:" + "%{i" * 20_000,
        "v=spf1 exists:%{" + "d" + "9" * 60_000 + "}",
        "v=spf1 exists:%{d" + "." * 60_000 + "}",
        "v=spf1 exists:%{d" + "-.+,/_=" * 8_000 + "}",
        "v=spf1 a:" + "." * 65_000,
        "v=spf1 a:" + "a." * 32_000 + "test",
        "v=spf1 a" + "/" * 65_000,
        "v=spf1 a:x.test" + "/1" * 32_000,
        "v=spf1 " + "x=" * 32_000,
        "v=spf1 " + "=" * 65_000,
        "v=spf1 ip6:" + ":" * 65_000,
        "v=spf1 ip4:" + "1." * 32_000,
        "v=spf1 ip4:1.2.3.4/" + "1" * 65_000,
        "v=spf1" + " " * 65_000,
        "v=spf1 " + "redirect=%{p} exp=%{p} " * 2_000,
    ],
)
def test_the_longest_records_are_quick(text: str) -> None:
    """A quadratic reading of 64 KiB takes minutes."""
    evaluation, asked = drive({("d0.test", "TXT"): [text]}, "192.0.2.1")
    assert evaluation.result is not AuthResult.PASS
    assert asked <= MOST_ASKED


def test_an_expansion_is_cut_from_the_left_at_a_label() -> None:
    spec = macro_string("%{l}." * 100 + "%{o}.test")
    name = expand_name(spec, "shop.test", CLIENT, lambda: "unknown")
    assert len(name) <= 253 and name.startswith("refund.") and name.endswith(".shop.test.test")
    assert len(name) + len("refund.") > 253
    longest = ("a" * 62 + ".") * 4 + "b"
    assert len(longest) == 253
    assert expand_name(macro_string(f"x.{longest}"), "shop.test", CLIENT, lambda: "unknown") == longest
    assert expand_name(macro_string(f"x.c{longest}"), "shop.test", CLIENT, lambda: "unknown") == longest.partition(".")[2]
    long_label = expand_name(macro_string("a" * 300), "shop.test", CLIENT, lambda: "unknown")
    assert set(long_label) == {"a"}


def test_a_text_of_an_explanation_is_bounded() -> None:
    assert len(expand_text(macro_string("%{s}" * 10_000), "shop.test", CLIENT, lambda: "unknown")) == 4_096


def test_many_addresses() -> None:
    world = {("d0.test", "TXT"): ["v=spf1 a/0 -all"], ("d0.test", "A"): [f"10.0.{high}.{low}" for high in range(16) for low in range(256)]}
    assert drive(world, "192.0.2.1")[0].result is AuthResult.PASS


class Counting(Lookup):
    """How often something was asked for."""

    count = 0

    def ask(self, name: str, rtype: RecordType, server: str = "", *, tcp: bool = False) -> Answer:
        self.count += 1
        return super().ask(name, rtype, server, tcp=tcp)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("fan", ["include:n{}.test", "redirect=n{}.test", "mx:h.test/{} a:h.test/{}"])
def test_a_record_is_flattened_once(fan: str) -> None:
    """Records that name each other many times: 30 ** 5 visits otherwise."""
    texts = {f"n{level}.test": "v=spf1 " + f"{fan.replace('{}', str(level + 1))} " * 30 + "-all" for level in range(12)}
    answers = {
        Question(name, RecordType.TXT): Answer(Question(name, RecordType.TXT), Outcome.FOUND, (text,)) for name, text in texts.items()
    }
    hosts = tuple(f"10.{high}.{low}.1" for high in range(2) for low in range(5))
    for question, found in ((Question("h.test", RecordType.A), hosts), (Question("h.test", RecordType.MX), ("10 h.test",) * 10)):
        answers[question] = Answer(question, Outcome.FOUND, found)
    lookup = Counting(answers, closed=True)
    flatten(lookup, "n0.test")
    assert lookup.count <= 100


@pytest.mark.timeout(20)
def test_the_terms_of_a_flat_record_are_bounded() -> None:
    text = "v=spf1 " + " ".join(f"include:n{number}.test" for number in range(100))
    far = "v=spf1 " + " ".join(f"ip4:10.{number}.0.1" for number in range(20)) + " -ip4:192.0.2.1" * 200
    names = {"top.test": text, **{f"n{number}.test": far for number in range(100)}}
    answers = {
        Question(name, RecordType.TXT): Answer(Question(name, RecordType.TXT), Outcome.FOUND, (said,)) for name, said in names.items()
    }
    found = flatten(Lookup(answers, closed=True), "top.test")
    assert len(found.sources) <= 500 and f"more than {MOST_TERMS} terms" in found.opaque
