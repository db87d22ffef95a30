"""The parser of DMARC records, met with anything."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.rules.mailauth.dmarc import parse, report_uri
from monitor.rules.mailauth.dmarc.record import POLICIES, looks_like, lowered, weaker

WORDS = st.sampled_from(
    [
        "v=DMARC1",
        "p=reject",
        "p=",
        "sp=none",
        "np=quarantine",
        ";",
        ";;",
        " ",
        "\t",
        "=",
        "rua=mailto:a@b.c",
        ",",
        "!",
        "pct=5",
        "psd=y",
        "t=y",
        "fo=1",
    ]
)


@pytest.mark.hostile
@given(st.text(max_size=300) | st.lists(WORDS, max_size=40).map(lambda words: "v=DMARC1;" + "".join(words)))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_any_text_is_read_or_refused(text: str) -> None:
    record = parse(text)
    assert (record is not None) == looks_like(text)
    if record is None:
        return
    assert record.policy in POLICIES
    assert record.subdomain_policy in (*POLICIES, "")
    assert record.missing_policy in (*POLICIES, "")
    assert record.suffix in "ynu"
    assert 0 <= record.percentage <= 100
    assert record == parse(text)


@pytest.mark.hostile
@given(st.text(alphabet=string.printable, max_size=200))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_any_destination_is_read(text: str) -> None:
    uri = report_uri(text)
    assert uri.fault or (uri.mailto and "." in uri.host and "@" in uri.address)


@pytest.mark.hostile
@given(st.sampled_from(POLICIES), st.sampled_from(("", *POLICIES)), st.sampled_from("ynu"), st.booleans(), st.permutations(range(4)))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_the_order_of_tags_after_the_version_is_free(policy: str, below: str, suffix: str, testing: bool, order: list[int]) -> None:
    tags = [f"p={policy}", f"sp={below}" if below else "x=1", f"psd={suffix}", f"t={'y' if testing else 'n'}"]
    record = parse("v=DMARC1; " + "; ".join(tags[at] for at in order))
    assert record is not None
    assert (record.policy, record.subdomain_policy, record.suffix, record.testing) == (policy, below, suffix, testing)


@pytest.mark.parametrize(
    "text",
    [
        "v=DMARC1;" + "p=reject;" * 7_000,
        "v=DMARC1; p=" + " " * 60_000 + "x",
        "v=DMARC1; rua=" + "mailto:a@b.c," * 5_000,
        "v=DMARC1; rua=mailto:" + "a." * 30_000,
        "v" + " " * 60_000 + "=DMARC1",
        "v=DMARC1; " + "=" * 60_000,
        "v=DMARC1; rua=mailto:a@" + "-" * 60_000 + ".b",
    ],
)
def test_long_records_are_bounded(text: str) -> None:
    """Each is one pass; a parser that goes back would not come to an end here."""
    record = parse(text)
    assert record is None or (len(record.tags) <= 100 and len(record.aggregate) <= 50)


@pytest.mark.parametrize(
    ("text", "host", "fault"),
    [
        ("mailto:d@shop.test", "shop.test", ""),
        ("MAILTO:d@Shop.Test.", "shop.test", ""),
        ("mailto:d@shop.test!10m", "shop.test", ""),
        ("mailto:d@shop.test!much", "shop.test", "size"),
        ("mailto:d@shop.test?subject=x", "shop.test", ""),
        ("d@shop.test", "", "lacks"),
        ("mailto:d", "d", "address"),
        ("mailto:@shop.test", "shop.test", "address"),
        ("mailto:d@localhost", "localhost", "address"),
        ("mailto:d e@shop.test", "shop.test", "address"),
        ("https://shop.test/r", "shop.test", "scheme"),
        ("", "", "no URI"),
    ],
)
def test_destinations(text: str, host: str, fault: str) -> None:
    uri = report_uri(text)
    assert uri.host == host
    assert (fault in uri.fault) if fault else not uri.fault


def test_policies_in_order() -> None:
    assert [lowered(policy) for policy in POLICIES] == ["none", "none", "quarantine"]
    assert weaker("none", "quarantine")
    assert weaker("quarantine", "reject")
    assert not weaker("reject", "reject")
