"""Whatever a notice says, no receiver gets more than it takes, nor anything that is no JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.edge.channels import pagerduty, slack
from monitor.edge.channels.layout import cut, key_of
from monitor.model.incident import Severity
from monitor.model.notice import Call, Notice
from monitor.model.verdict import Symptom
from tests.edge.channels.contract.receiver import notice

WORDS = st.one_of(
    st.text(max_size=40),
    st.text(st.characters(), max_size=40),  # lone surrogates too
    st.sampled_from(['"', "\\", "\0", "<", "&", "@here ", "\U0001f4e7", "ж", "\ud800", "\u202e"]).map(lambda char: char * 10_000),
    st.text(min_size=1, max_size=20).map(lambda text: text * 1_000),
)
NOTICES = st.builds(
    notice,
    call=st.sampled_from(Call),
    symptom=st.sampled_from(Symptom),
    severity=st.sampled_from(Severity),
    title=WORDS,
    text=WORDS,
    scope=WORDS,
    environment=WORDS,
    dedup_key=WORDS,
    incident_url=WORDS | st.just("https://canary.test/" + "x" * 10_000),
    lines=st.lists(st.tuples(WORDS, WORDS), max_size=60).map(tuple),
)


def sized(text: str) -> int:
    """Characters as UTF-16 counts them."""
    return len(text.encode("utf-16-le")) // 2


def written(document: object) -> str:
    """As it goes out: UTF-8, or this raises."""
    text = json.dumps(document, ensure_ascii=False)
    text.encode()
    return text


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("abcd", 1, "…"),
        ("abcd", 0, ""),
        ("", 0, ""),
        ("ab\U0001f4e7", 4, "ab\U0001f4e7"),
        ("ab\U0001f4e7", 3, "ab…"),
        ("\U0001f4e7\U0001f4e7", 3, "\U0001f4e7…"),
        ("a\0b\ud800", 4, "a b?"),
    ],
)
def test_a_cut(text: str, most: int, shown: str) -> None:
    assert cut(text, most) == shown


@settings(max_examples=50, deadline=None, derandomize=True)
@given(told=NOTICES)
def test_slack(told: Notice) -> None:
    said: dict[str, Any] = slack.message(told)
    assert sized(written(said)) < 12_000 and len(said["blocks"]) <= 50 and said["text"]
    header, *others = said["blocks"]
    assert 0 < sized(header["text"]["text"]) <= 150
    for block in others:
        for text in [block["text"]] if "text" in block else block["elements"]:
            assert 0 < sized(text["text"]) <= 3_000
            assert "@here" not in text["text"] and "<!" not in text["text"]
    assert "@here" not in said["text"] and "<" not in said["text"]


@settings(max_examples=50, deadline=None, derandomize=True)
@given(told=NOTICES)
def test_pagerduty(told: Notice) -> None:
    said: dict[str, Any] = pagerduty.event(told, pagerduty.alert_of(told))
    assert len(written(said).encode()) < 512 * 1024
    assert 0 <= sized(said["dedup_key"]) <= 255
    if told.call is not Call.RESOLVE:
        payload = said["payload"]
        assert sized(payload["summary"]) <= 1_024 and payload["severity"] in ("critical", "warning", "info")
        assert max(sized(payload[key]) for key in ("source", "component", "group", "class")) <= 255


@settings(max_examples=50, deadline=None, derandomize=True)
@given(text=WORDS)
def test_a_change(text: str) -> None:
    said: dict[str, Any] = pagerduty.change(notice().began, text, text)
    assert 0 < sized(said["payload"]["summary"]) <= 1_024 and len(written(said).encode()) < 512 * 1024


@settings(max_examples=50, deadline=None, derandomize=True)
@given(text=WORDS, most=st.integers(0, 300))
def test_what_fits_is_whole_and_what_does_not_says_so(text: str, most: int) -> None:
    shown = cut(text, most)
    assert sized(shown) <= most
    if sized(text.encode("utf-8", "replace").decode()) <= most:
        assert shown == text.encode("utf-8", "replace").decode().replace("\0", " ")
    elif most:
        assert shown.endswith("…")


def test_an_escape_is_never_cut_in_two() -> None:
    for most in range(30):
        shown = slack._text("&<>" * 10, most).removesuffix("…")
        assert shown.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "") == ""


def test_keys_that_differ_differ_when_they_are_short() -> None:
    keys = {key_of(notice(dedup_key=f"{'ж' * 400}{number}")) for number in range(50)}
    assert len(keys) == 50 and max(map(sized, keys)) <= 255
