"""The status page without a browser: what it says in every state, that it is well made, and that nothing in it is anybody else's markup."""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from monitor.desk import Desk
from monitor.edge.entropy import SystemEntropy
from monitor.edge.journal import MemoryJournal
from monitor.model.facts import Fact
from monitor.model.incident import IncidentId
from monitor.model.policy import Policy
from monitor.rules.plain import plain
from monitor.surface.headline import Mood, headline
from monitor.surface.incidents import incident_story
from monitor.surface.metrics import Vitals
from monitor.surface.page import ASSETS, login, overview, story, trouble
from monitor.surface.page.axis import axis, beside
from monitor.surface.page.grid import SLOTS, grid, look_of, sparkline
from monitor.surface.page.times import ago, clock, span, until
from monitor.surface.status import status
from monitor.views.world import World
from tests.surface import books, premises
from tests.surface import happenings as so
from tests.surface.page_scenes import PAYLOADS, probes
from tests.surface.page_scenes import trouble as troubled

VOID = {"meta", "link", "input", "br", "rect", "path", "circle", "line", "use"}
AT = "2026-01-01T12:00:00.000Z"
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z\Z")
CHOSEN = {"state", "severity", "verdict", "found", "schema"}  # closed sets, on which the page decides


@dataclass
class Read(HTMLParser):
    """A page as a browser would have it: every element with its attributes, and the text."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    text: str = ""
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text += data

    def skeleton(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(sorted(attributes))) for tag, attributes in self.tags]

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(html: bytes) -> Read:
    page = Read()
    page.feed(html.decode())
    page.close()
    assert page.open == []
    return page


def desk_of(policy: Policy) -> Desk:
    world = World()
    return Desk(MemoryJournal(world.fold), world, premises.LateClock(), SystemEntropy(), policy)


async def happened(policy: Policy, *facts: Callable[[Desk], list[Fact]]) -> Desk:
    desk = desk_of(policy)
    for of in facts:
        await desk.journal.append(of(desk))
    return desk


def told(desk: Desk) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(status(desk, Vitals(reload_ok=True, reloaded_at=desk.clock.now().utc))))
    return found


@pytest.fixture
async def troubled_desk(tmp_path: Path) -> Desk:
    policy = so.with_channels(books.shop(tmp_path))
    return await happened(
        policy,
        lambda desk: probes(policy, desk.clock.now(), lost=("relay/seed-3",)),
        lambda desk: troubled(desk.clock.now(), after=desk.world.seq),
    )


@pytest.fixture
async def quiet_desk(tmp_path: Path) -> Desk:
    policy = so.with_channels(premises.rules(tmp_path))
    return await happened(policy, lambda desk: probes(policy, desk.clock.now()))


# ---- every state -----------------------------------------------------------------------------------------------------


def blind(document: dict[str, Any]) -> None:
    for row in document["routes"]:
        row["stale"] = True
    document["evidence"] |= {"fresh": 0, "stale": [row["route"] for row in document["routes"]]}


def stale(document: dict[str, Any]) -> None:
    document["routes"][0]["stale"] = True
    document["evidence"] |= {"fresh": 2, "stale": [document["routes"][0]["route"]]}


def paused(document: dict[str, Any]) -> None:
    document["paused"] = {"by": "ann", "reason": "the relay moves", "since": document["at"]}
    document["evidence"]["paused"] = True


def unwritable(document: dict[str, Any]) -> None:
    document["journal_writable"] = False


def as_it_is(_: dict[str, Any]) -> None:
    pass


@pytest.mark.parametrize(
    ("change", "mood", "words"),
    [
        (as_it_is, Mood.GOOD, "all 3 routes pass"),
        (blind, Mood.BLIND, "nothing is known"),
        (stale, Mood.STALE, "nothing is known of relay/seed-1"),
        (paused, Mood.PAUSED, "paused by ann"),
        (unwritable, Mood.BLIND, "the journal cannot be written"),
    ],
)
async def test_the_first_line_says_it_in_a_word_a_colour_and_a_sentence(
    quiet_desk: Desk, change: Callable[[dict[str, Any]], None], mood: Mood, words: str
) -> None:
    document = told(quiet_desk)
    change(document)
    document["headline"] = headline(document)
    page = read(overview(document))
    (head,) = [attributes for tag, attributes in page.tags if attributes.get("id") == "head"]
    assert head["class"] == f"head {mood}" and document["headline"]["word"] in page.text and words in page.text
    assert page.text.count("ago") >= 4 and "last evidence" in page.text


async def test_what_is_stale_looks_unlike_what_passes(quiet_desk: Desk) -> None:
    """The word and the shape too, not only the colour."""
    document = told(quiet_desk)
    fresh = overview(document).decode()
    stale(document)
    old = overview(document).decode()
    assert ">stale</i>" in old and ">stale</i>" not in fresh
    assert fresh.count('class="cell pass"') == 3 and old.count('class="cell pass"') == 2 and old.count('class="cell pass stale"') == 1
    assert fresh.count('<circle cx="6" cy="6" r="5"/>') == old.count('<circle cx="6" cy="6" r="5"/>') + 1


@pytest.mark.parametrize(
    ("verdict", "look"),
    [("pass", "pass"), ("fail", "fail"), ("error", "error"), ("inconclusive", "unknown"), ("new one", "unknown"), (None, "none")],
)
def test_only_a_pass_looks_like_one(verdict: str | None, look: str) -> None:
    assert look_of(verdict) == look


async def test_no_difference_is_good_only_where_it_was_looked_for(troubled_desk: Desk) -> None:
    document = told(troubled_desk)
    document["ledger"] |= {"open": {"missing": 0}, "reconciled_at": None, "blind": []}
    assert "not known" in read(overview(document)).text
    document["ledger"]["reconciled_at"] = document["at"]
    assert "not known" not in read(overview(document)).text
    document["ledger"]["blind"] = ["shop"]
    assert "not known" in read(overview(document)).text


async def test_what_waits_for_somebody_stands_first(troubled_desk: Desk) -> None:
    html = overview(told(troubled_desk)).decode()
    assert html.index('<li id="INC-1"') < html.index('<li id="INC-2"'), "which is older, but no part of another and in nobody's hands"


@pytest.mark.parametrize("quiet", ["acknowledged_by", "silenced_until", "parent"])
async def test_nobody_has_it_only_where_somebody_ought_to(troubled_desk: Desk, quiet: str) -> None:
    document, incident = told(troubled_desk), _story(troubled_desk, "INC-1")
    assert "nobody has it yet" in read(overview(document)).text and "nobody has it yet" in read(story(incident)).text
    value = {"acknowledged_by": "ann", "silenced_until": document["at"], "parent": "INC-7"}[quiet]
    for row in (*document["incidents"]["list"], incident):
        if row["id"] == "INC-1":
            row[quiet] = value
    assert "nobody has it yet" not in read(overview(document)).text
    assert "nobody has it yet" not in read(story(incident)).text


async def test_nothing_yet(tmp_path: Path) -> None:
    page = read(overview(told(desk_of(premises.rules(tmp_path)))))
    for words in ("STARTING", "no probe yet", "never", "No deploy was marked", "No domain", "No ledger", "nobody is told of anything"):
        assert words in page.text, words
    assert not page.of("details") and "Incidents" not in page.text


async def test_trouble_is_told_whole(troubled_desk: Desk) -> None:
    page = read(overview(told(troubled_desk)))
    for words in (
        "PAGE", "INC-1 Refund confirmations overdue", "nobody has it yet", "checkout has it", "part of INC-1", "silenced until",
        "1 suspected", "INC-4", "1 resolved lately", "INC-3", "seed-2", "Mend: checkout", "auth_refused", "missing",
        "gate-0123456789ab", "1 holding a deploy", "SIL-1", "failing", "1 stray", "paused by checkout", "unknown",
    ):  # fmt: skip
        assert words in re.sub(r"\s+", " ", page.text), words
    assert "possible cause" not in page.text, "that is the parent, and said already"


async def test_one_incident_is_told_whole(troubled_desk: Desk) -> None:
    page = read(story(_story(troubled_desk, "INC-1")))
    for words in (
        "INC-1 Refund confirmations overdue", "the app path fails: checkout", "application", "For it", "Against it", "In the peer's words",
        "550 5.7.1 checkout", "Changed in the two hours before", "6 of 8", "2 of 2", "checkout-api v512", "began 3m41s after",
        "mailcanary incident ack INC-1",
        "mailcanary incident report INC-1", "delivery-stalled", "suspected", "opened", "pager", "chat", "503 from pager.test",
        "mailcanary/test/",
        "not measured", "Its parts", "INC-2 open since",
    ):  # fmt: skip
        assert words in page.text, words
    over = read(story(_story(troubled_desk, "INC-3"))).text
    assert "resolved" in over and "incident ack" not in over and "incident silence" not in over
    part = read(story(_story(troubled_desk, "INC-2"))).text
    assert "has it" in part and "Its parts" not in part
    guess = read(story(_story(troubled_desk, "INC-4"))).text
    assert "suspected" in guess and "No diagnosis yet" in guess and "incident report" not in guess


def _story(desk: Desk, incident: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(incident_story(desk, desk.world.incidents.known[IncidentId(incident)])))
    return found


async def test_a_runbook_is_a_link_only_where_it_can_be_nothing_else(troubled_desk: Desk) -> None:
    document = _story(troubled_desk, "INC-1")
    for runbook, link in (
        ("https://runbooks.test/delivery-stalled", True),
        ("docs/runbooks/delivery-stalled.md", False),
        ("javascript:alert(1)", False),
        ("https://runbooks.test/\nx", False),
        ("//evil.test", False),
    ):
        page = read(story({**document, "runbook": runbook}))
        assert (runbook in [each.get("href") for each in page.of("a")]) is link, runbook


# ---- how it is made --------------------------------------------------------------------------------------------------


@pytest.fixture
async def pages(troubled_desk: Desk, quiet_desk: Desk, tmp_path: Path) -> dict[str, Read]:
    made = {
        "trouble": overview(told(troubled_desk), leave=True),
        "quiet": overview(told(quiet_desk), wall=True),
        "empty": overview(told(desk_of(premises.rules(tmp_path)))),
        "login": login("test", "no"),
        "refused": trouble(404, "Not Found", "no such incident"),
        **{f"INC-{number}": story(_story(troubled_desk, f"INC-{number}")) for number in (1, 2, 3, 4)},
    }
    return {name: read(html) for name, html in made.items()}


async def test_every_page_is_sound(pages: dict[str, Read]) -> None:
    for name, page in pages.items():
        assert page.tags[0] == ("html", page.tags[0][1]) and page.tags[0][1]["lang"] == "en", name
        levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
        assert levels.count(1) == 1 and levels[0] == 1 and all(b <= a + 1 for a, b in itertools.pairwise(levels)), name
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids)), name
        for _, attributes in page.tags:
            for wanted in (attributes.get("aria-labelledby") or "").split():
                assert wanted in ids, (name, wanted)
        assert all(heading.get("scope") in ("col", "row", "rowgroup") for heading in page.of("th")), name
        assert len(page.of("table")) == len(page.of("caption")), name
        assert len(page.of("main")) == len(page.of("header")) == len(page.of("title")) - len(page.of("svg")) + _silent(page) == 1, name
        assert {each["href"] for each in page.of("a") if each.get("class") == "skip"} == {"#main"}, name
        assert all(each.get("for") in ids for each in page.of("label")), name


def _silent(page: Read) -> int:
    """Pictures that stand beside their words; each other one has a title of its own."""
    return sum(each.get("aria-hidden") == "true" for each in page.of("svg"))


async def test_nothing_is_inline_and_nothing_comes_from_elsewhere(pages: dict[str, Read]) -> None:
    for name, page in pages.items():
        for tag, attributes in page.tags:
            assert tag not in ("style", "iframe", "object", "embed", "base", "img"), (name, tag)
            assert not [each for each in attributes if each == "style" or each.startswith("on")], (name, attributes)
        (script,) = page.of("script")
        assert script["src"] in {f"/static/{asset}" for asset in ASSETS}, name
        for link in (*page.of("link"), *page.of("use")):
            assert (link["href"] or "").partition("#")[0] in {f"/static/{asset}" for asset in ASSETS}, name


async def test_every_link_leads_somewhere(pages: dict[str, Read], tmp_path: Path) -> None:
    async with premises.served(books.shop(tmp_path)) as site:
        await site.happen(*troubled(site.clock.now(), after=site.desk.world.seq))
        seen = set()
        for page in pages.values():
            ids = {attributes.get("id") for _, attributes in page.tags}
            for link in page.of("a"):
                href = link["href"] or ""
                if href.startswith("#"):
                    assert href[1:] in ids
                else:
                    seen.add(href)
        assert {"/", "/metrics", "/v1/status", "/incidents/INC-1", "/v1/gates/gate-0123456789ab", "/v1/incidents/INC-1"} <= seen
        for href in sorted(seen):
            assert (await site.get(href))[0] == 200, href


async def test_without_a_script_it_comes_again_by_itself(pages: dict[str, Read]) -> None:
    for name in ("trouble", "INC-1"):
        tags = [tag for tag, _ in pages[name].tags]
        place = tags.index("noscript")
        assert pages[name].tags[place + 1] == ("meta", {"http-equiv": "refresh", "content": "30"}), name


async def test_twenty_routes_are_no_burden(tmp_path: Path) -> None:
    policy = so.with_channels(premises.rules(tmp_path, seeds=20))
    desk = await happened(
        policy,
        lambda desk: probes(policy, desk.clock.now(), lost=("relay/seed-3",)),
        lambda desk: troubled(desk.clock.now(), after=desk.world.seq),
    )
    html = overview(told(desk))
    assert html.count(b'class="spark"') == 20 and len(html) <= 60_000


# ---- words of others -------------------------------------------------------------------------------------------------


def with_words(value: Any, word: str, key: str = "") -> Any:
    """The document with every text in it exchanged, but those that are instants or words of closed sets."""
    if isinstance(value, dict):
        return {name: with_words(each, word, name) for name, each in value.items()}
    if isinstance(value, list):
        return [with_words(each, word, key) for each in value]
    if isinstance(value, str) and value and key not in CHOSEN and not TIME.match(value):
        return word
    return value


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_whatever_stands_in_a_document_is_text(payload: str, troubled_desk: Desk) -> None:
    """The same elements with the same attributes as with an innocent word, and the payload letter by letter."""
    for draw, document in ((overview, told(troubled_desk)), *((story, _story(troubled_desk, f"INC-{number}")) for number in (1, 2, 3, 4))):
        innocent, hostile = (draw(with_words(copy.deepcopy(document), word)) for word in ("word", payload))
        assert read(hostile).skeleton() == read(innocent).skeleton()
        assert plain(payload) in read(hostile).text
        assert not any("javascript:" in (each["href"] or "").lower() for each in read(hostile).of("a"))


async def test_whatever_peers_and_people_say_is_text(tmp_path: Path) -> None:
    """From the facts on."""
    policy = so.with_channels(books.shop(tmp_path))
    for payload in PAYLOADS[:4]:
        desk = await happened(policy, lambda desk, word=payload: troubled(desk.clock.now(), word, desk.world.seq))  # type: ignore[misc]
        for html in (overview(told(desk)), story(_story(desk, "INC-1")), story(_story(desk, "INC-2"))):
            page = read(html)
            assert payload in page.text and [tag for tag, _ in page.tags if tag in ("script", "iframe", "img")] == ["script"]


async def test_no_address_and_no_refund_number_stands_there(troubled_desk: Desk) -> None:
    word = "550 <seed+tag@box.test>: RF-20260101-7731 no such user"
    for html in (
        overview(with_words(told(troubled_desk), word)),
        story(with_words(_story(troubled_desk, "INC-1"), word)),
        login(word, word),
        trouble(404, word, word),
    ):
        assert b"seed+tag" not in html and b"7731" not in html and "***@box.test" in read(html).text


# ---- drawings --------------------------------------------------------------------------------------------------------


def trial(verdict: str | None, transit: float | None = None, reason: str | None = None) -> dict[str, Any]:
    return {"sent_at": AT, "verdict": verdict, "reason": reason or verdict, "transit_seconds": transit}


def test_a_sparkline_has_a_bar_a_probe_on_a_scale_from_nothing_to_the_slowest() -> None:
    spark = sparkline([trial("pass", 1.0), trial("pass", 4.0), trial("fail", reason="missing"), trial("inconclusive"), trial(None)])
    assert spark.passed == "M77 23v-6M82 23v-22" and spark.failed == "M87 23v-9m0-4v-9"
    assert spark.unknown == "M90 21h4" and spark.waiting == "M96 21h2v2h-2z"
    assert spark.words == "latest 5: 2 pass, 1 missing, 1 inconclusive, 1 under way, transit 1.0 s to 4.0 s"
    assert sparkline([]).words == "no probe yet" and not sparkline([]).drawn
    many = sparkline([trial("pass", 0.0)] * 30)
    assert many.passed.count("M") == SLOTS and many.passed.startswith("M2 23v-3"), "the latest ones, and even the fastest is seen"


async def test_mailboxes_stand_by_provider_and_those_without_a_route_beside_them(troubled_desk: Desk) -> None:
    document = told(troubled_desk)
    document["mailboxes"].append({"mailbox": "trap", "provider": "x", "role": "tripwire", "state": "blind", "why": "w", "mend": "m"})
    drawn = grid(document)
    assert [(group.provider, [line.mailbox for line in group.lines]) for group in drawn.groups] == [
        ("provider-1", ["seed-1"]), ("provider-2", ["seed-2"]), ("provider-0", ["seed-3"])
    ]  # fmt: skip
    assert [line.mailbox for line in drawn.watched] == ["trap"] and {line.mailbox for line in drawn.blind} == {"seed-2", "trap"}
    (cell,) = drawn.groups[2].lines[0].cells
    assert cell is not None and (cell.look, cell.word, cell.transit) == ("fail", "missing", None)


def bar(name: str, since: str, until: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": name, "title": name, "since": since, "resolved_at": until, "state": "open", "severity": "page", **more}


def test_the_axis_reaches_from_the_oldest_to_now_and_no_further_than_a_day() -> None:
    assert axis(AT, [], []) is None and axis(AT, [], [bar("INC-1", "2025-12-01T00:00:00.000Z", "2025-12-01T01:00:00.000Z")]) is None
    drawn = axis(AT, [], [bar("INC-1", "2026-01-01T11:00:00.000Z"), bar("INC-2", "2026-01-01T11:30:00.000Z", "2026-01-01T11:45:00.000Z")])
    assert drawn is not None and drawn.until == AT
    first, second = drawn.bars
    assert first.x > 0 and round(first.x + first.width) == 100 and first.side == "inside" and second.side == "left"
    assert 40 < second.x < 60 and round(second.x + second.width) < 80 and second.y > first.y
    assert [tick.text for tick in drawn.ticks] == ["11:00", "11:15", "11:30", "11:45"]
    long = axis(AT, [], [bar("INC-1", "2025-11-01T00:00:00.000Z")])
    assert long is not None and long.bars[0].x == 0 and len(long.ticks) <= 6


async def test_every_mark_lies_within_the_picture(troubled_desk: Desk) -> None:
    for drawn in (axis(AT, told(troubled_desk)["deploys"], []), beside(_story(troubled_desk, "INC-1"))):
        assert drawn is None or all(0 <= each.x <= each.x + each.width <= 100.01 for each in drawn.bars)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0 s"), (0.9, "0 s"), (59.9, "59 s"), (60, "1 min"), (3_599, "59 min"), (3_600, "1 h 00 min"), (90_060, "25 h 01 min"),
     (172_800, "2 days")],
)  # fmt: skip
def test_ages(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_clocks() -> None:
    assert ago("2026-01-01T11:59:30.000Z", AT) == "30 s ago" and ago("2026-01-01T12:00:30.000Z", AT) == "0 s ago"
    assert clock("2026-01-01T11:59:30.000Z", AT) == "11:59:30" and clock("2025-12-31T11:59:30.000Z", AT) == "2025-12-31 11:59"
    assert until("2026-01-01T12:10:00.000Z", AT) == "in 10 min" and until("2026-01-01T11:10:00.000Z", AT) == "now"
