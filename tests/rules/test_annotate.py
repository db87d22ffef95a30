"""How deploys and failed gates are drawn."""

from __future__ import annotations

import html
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.facts import DeployMarked, GateDecided
from monitor.model.gate import GATE_VERDICT, Because, GateId
from monitor.model.incident import DeployPhase
from monitor.rules.annotate import ends, picture, wanted
from tests.views.life import at

START, FINISH, ROLLBACK = DeployPhase.START, DeployPhase.FINISH, DeployPhase.ROLLBACK
MARKER = DeployMarked(at(5), "d-1", FINISH, "checkout", "v512", "a1b2c3d", "ana", "cli", "https://ci.example.com/run/7?a=1&b=2")


def decided(because: Because, reason: str = "2 of 10 lost") -> GateDecided:
    return GateDecided(at(9), GateId("gate-0123456789ab"), "d-1", 1, GATE_VERDICT[because], because, reason, (), ())


@pytest.mark.parametrize(
    ("marker", "text"),
    [
        (MARKER, 'deploy checkout v512 by ana finished, a1b2c3d <a href="https://ci.example.com/run/7?a=1&amp;b=2">pipeline</a>'),
        (replace(MARKER, phase=START, sha="", url=""), "deploy checkout v512 by ana started"),
        (DeployMarked(at(5), "d-1", ROLLBACK), "deploy d-1 was rolled back"),
        (replace(MARKER, version="", by="", url="", sha=""), "deploy checkout d-1 finished"),
        (replace(MARKER, url="javascript:alert(1)", by="<b>ana</b>"), "deploy checkout v512 by &lt;b&gt;ana&lt;/b&gt; finished, a1b2c3d"),
        (replace(MARKER, url='https://x.test/"onclick="x', by=""), "deploy checkout v512 finished, a1b2c3d"),
        (replace(MARKER, url="https://" + "x" * 400, by=""), "deploy checkout v512 finished, a1b2c3d"),
        (replace(MARKER, url="", by="ana@shop.example", sha=""), "deploy checkout v512 by ***@shop.example finished"),
    ],
)  # fmt: skip
def test_a_marker(marker: DeployMarked, text: str) -> None:
    drawn = picture(marker, "production")
    assert (drawn.at, drawn.tags, drawn.text, drawn.ended) == (at(5), ("deploy", "mailcanary", "production"), text, None)


def test_a_failed_gate() -> None:
    drawn = picture(decided(Because.LOSSES, "lost 2 of 10 <at> customer@shop.example RF-12345678"), "production")
    assert (drawn.at, drawn.tags) == (at(9), ("deploy", "mailcanary", "production", "gate"))
    assert drawn.text == (
        "refund mail broke: gate gate-0123456789ab of deploy d-1 failed: lost 2 of 10 &lt;at&gt; ***@shop.example RF-***"
    )  # fmt: skip


@pytest.mark.parametrize("because", Because)
def test_of_gates_only_a_failure_is_drawn(because: Because) -> None:
    assert wanted(decided(because)) is (GATE_VERDICT[because].value == "fail")


def test_every_marker_is_drawn_and_nothing_else() -> None:
    assert all(wanted(replace(MARKER, phase=phase)) for phase in DeployPhase)
    assert not wanted(None) and not wanted(at(5))
    assert [ends(replace(MARKER, phase=phase)) for phase in (START, FINISH, ROLLBACK)] == [False, True, True]


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, [name for name, _ in attrs]))


WORDS = st.text(max_size=40) | st.sampled_from(["<script>", "a@b.example", "https://x.test/<b>", 'https://x.test/" a="', "&lt;", "\r\n"])


@given(WORDS, WORDS, WORDS, WORDS, WORDS, WORDS, st.sampled_from(DeployPhase))
def test_whatever_a_pipeline_writes_is_text(
    deploy: str, service: str, version: str, sha: str, by: str, url: str, phase: DeployPhase
) -> None:
    drawn = picture(DeployMarked(at(0), deploy, phase, service, version, sha, by, "api", url), "test")
    assert Elements(drawn.text).found in ([], [("a", ["href"])])
    assert drawn.text.isprintable() and len(drawn.text) < 10_000
    assert "@b.example" not in html.unescape(drawn.text).replace("***@b.example", "")
