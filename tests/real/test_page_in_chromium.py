"""The status page in a real browser: what others say runs nothing, what is new comes by itself, and everybody can read it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from monitor.model.facts import Acknowledged, Paused
from monitor.model.incident import IncidentId
from tests.real.chromium import Browser, Tab, absent, browsing
from tests.surface import books, premises
from tests.surface import happenings as so
from tests.surface.page_scenes import PAYLOADS, probes, trouble
from tests.surface.premises import SECRETS, Site

pytestmark = [
    pytest.mark.skipif(absent() is not None, reason=str(absent())),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
]
THEMES = ("light", "dark")
PAGES = ("/", "/incidents/INC-1", "/incidents/INC-2")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    async with browsing(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def tab(browser: Browser) -> AsyncIterator[Tab]:
    tab = await browser.tab()
    await tab.sized(1280)
    yield tab
    await tab.close()


@pytest_asyncio.fixture(loop_scope="module")
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with premises.served(so.with_channels(books.shop(tmp_path))) as site:
        yield site


def url(site: Site, path: str = "/") -> str:
    return str(site.client.make_url(path))


async def scene(site: Site, name: str, word: str = "checkout") -> None:
    """Probes behind every route; and trouble, where it is wanted."""
    now, policy = site.clock.now(), site.desk.policy
    if name != "empty":
        await site.happen(*probes(policy, now, lost=("relay/seed-3",) if name == "trouble" else ()))
    if name == "trouble":
        await site.happen(*trouble(now, word, site.desk.world.seq))
    if name == "paused":
        await site.happen(Paused(now, "ann", "the relay moves"))
    if name == "blind":
        site.clock.ahead += 100_000


async def nothing_came_of_it(tab: Tab, site: Site) -> None:
    assert await tab.run("typeof window.pwned") == "undefined"
    assert tab.console == [] and tab.opened == []
    assert {re.sub(r"(?<=:\d{5})/.*|(?<=:\d{4})/.*", "", asked) for asked in tab.asked} == {url(site, "/").rstrip("/")}


# ---- what others say -------------------------------------------------------------------------------------------------


async def test_words_of_peers_and_people_run_nothing(tab: Tab, site: Site) -> None:
    """Each payload alone, and all of them in one line; in the first HTML, and in what comes later."""
    await scene(site, "trouble", " ".join(PAYLOADS))
    for path in PAGES:
        await tab.go(url(site, path))
        assert "window.pwned=1" in await tab.run("document.body.innerText")
        await nothing_came_of_it(tab, site)
    await tab.go(url(site))
    for number, payload in enumerate(PAYLOADS):
        incident = IncidentId(f"INC-{number + 10}")
        await site.happen(so.opened(site.clock.now(), incident), Acknowledged(site.clock.now(), incident, payload, payload))
    await tab.until("document.querySelectorAll('li.incident').length >= 30", "the new incidents")
    assert await tab.run("document.querySelectorAll('script, iframe, object, embed, base, style').length") == 1
    await nothing_came_of_it(tab, site)


async def test_the_policy_would_stop_what_got_through_and_this_suite_would_see_it(tab: Tab, site: Site) -> None:
    await tab.go(url(site))
    await tab.run("document.body.insertAdjacentHTML('beforeend', '<img src=x:y onerror=window.pwned=1>')")
    async with asyncio.timeout(20):
        while not [line for line in tab.console if "Content Security Policy" in line or "ContentSecurityPolicyIssue" in line]:
            await asyncio.sleep(0.05)
    assert await tab.run("typeof window.pwned") == "undefined"


# ---- live ------------------------------------------------------------------------------------------------------------


async def test_news_comes_without_a_reload_and_disturbs_nobody(tab: Tab, site: Site) -> None:
    await scene(site, "trouble")
    await tab.sized(1280, 500)
    await tab.go(url(site))
    await tab.run(
        "window.mark = 1; document.querySelector('#suspicions').open = true; document.querySelector('a[href=\"/metrics\"]').focus()"
    )
    place = await tab.run("scrollY")
    assert place > 0
    assert await tab.run("document.querySelector('#spoken').textContent") == ""
    fifth = IncidentId("INC-5")
    await site.happen(so.opened(site.clock.now(), fifth))
    await tab.until("document.querySelector('#INC-5')", "the new incident")
    assert await tab.run("window.mark") == 1
    assert await tab.run("document.activeElement.getAttribute('href')") == "/metrics"
    assert await tab.run("document.querySelector('#suspicions').open") is True
    assert "2 incidents page, 1 more is a part of them" in await tab.run("document.querySelector('#spoken').textContent"), (
        "a screen reader hears of it"
    )
    moved = await tab.run("document.querySelector('a[href=\"/metrics\"]').getBoundingClientRect().top")
    assert 0 <= moved <= 500, "what had the focus is still in sight"
    await site.happen(so.resolved(site.clock.now(), fifth))
    await tab.until("!document.querySelector('li.incident#INC-5')", "its end")
    assert await tab.run("window.mark") == 1 and tab.console == []


async def test_an_incident_is_live_too(tab: Tab, site: Site) -> None:
    await scene(site, "trouble")
    await tab.go(url(site, "/incidents/INC-1"))
    await tab.run("window.mark = 1")
    await site.happen(Acknowledged(site.clock.now(), so.INC, "ann", "on it"))
    await tab.until("document.querySelector('#head').innerText.includes('ann has it')")
    assert await tab.run("window.mark") == 1


class Line:
    """Between browser and daemon; it can be cut and mended."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for pipe in self._pipes:
            pipe.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
            self._pipes |= {writer, back}
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while some := await reader.read(65_536):
                writer.write(some)
                await writer.drain()
        writer.close()


async def test_a_lost_connection_is_said_and_found_again(tab: Tab, site: Site) -> None:
    await scene(site, "healthy")
    line = Line(site.client.port or 0)
    await line.mend()
    await tab.go(f"http://127.0.0.1:{line.port}/")
    assert await tab.run("document.querySelector('#contact').hidden") is True
    line.cut()
    await tab.until("document.documentElement.classList.contains('lost')", "that the connection is lost")
    said = await tab.run("document.querySelector('#contact').innerText")
    assert re.fullmatch(r"No contact with the monitor for \d+ s\. What you see is as of \d\d:\d\d:\d\d UTC and gets older\.", said), said
    assert "grayscale" in await tab.run("getComputedStyle(document.querySelector('main')).filter"), "nothing looks green any more"
    await site.happen(so.opened(site.clock.now()))
    await line.mend()
    await tab.until("document.querySelector('#INC-1') && !document.documentElement.classList.contains('lost')", "that it is found again")
    assert await tab.run("document.querySelector('#contact').hidden") is True
    line.cut()


async def test_a_page_that_cannot_be_fetched_is_not_live_though_news_comes(tab: Tab, site: Site) -> None:
    """The clock of the page is put on, so that nobody waits."""
    await scene(site, "healthy")
    await tab.go(url(site))
    await tab.run(
        "window.ahead = 0; window.clock = Date.now; Date.now = () => window.clock() + window.ahead; window.taken = window.fetch;"
        "window.fetch = async () => new Response('', { status: 500 }); window.ahead = 30000; 0"
    )
    await site.happen(so.opened(site.clock.now()))
    await tab.until("document.querySelector('#contact').innerText.startsWith('The monitor answers, but')", "that the page is frozen")
    said = await tab.run("document.querySelector('#contact').innerText")
    assert re.fullmatch(
        r"The monitor answers, but not with this page for \d+ s\. What you see is as of \d\d:\d\d:\d\d UTC and gets older\.", said
    )
    assert await tab.run("document.documentElement.classList.contains('lost') && !document.querySelector('#contact').hidden")
    await tab.run("window.fetch = window.taken; window.ahead += 30000; 0")
    await tab.until("document.querySelector('#INC-1') && !document.documentElement.classList.contains('lost')", "that it is live again")
    assert await tab.run("document.querySelector('#contact').hidden") is True
    await tab.run("window.failed = 0; window.fetch = async () => { window.failed += 1; return new Response('', { status: 500 }); }; 0")
    await site.happen(so.resolved(site.clock.now()))
    await tab.until("window.failed === 1")
    await tab.run("window.ahead += 5000; 0")
    await tab.until("window.failed === 2")
    assert await tab.run("document.querySelector('#contact').hidden") is True, "what was fetched a moment ago is not old"


async def test_ages_go_on_where_nothing_comes(tab: Tab, site: Site) -> None:
    await scene(site, "healthy")
    await tab.go(url(site))
    await tab.until("document.querySelector('.asof time[data-ago]').textContent !== '5 s ago'")


async def test_without_javascript_it_says_the_same(tab: Tab, site: Site) -> None:
    await scene(site, "trouble")
    await tab.scripted(False)
    await tab.go(url(site))
    text = await tab.run("document.body.innerText")
    for words in ("1 incident pages, 1 more is a part of it", "INC-1", "seed-2", "missing", "SIL-1"):
        assert words in text, words
    assert await tab.run("document.querySelector('noscript meta').content") == "30"
    assert await tab.run("document.querySelector('#theme').offsetParent") is None, "no button that does nothing"


async def test_the_theme_is_chosen_and_remembered(tab: Tab, site: Site) -> None:
    await scene(site, "healthy")
    await tab.themed("light")
    await tab.go(url(site))
    paper = await tab.run("getComputedStyle(document.documentElement).backgroundColor")
    await tab.run("document.querySelector('#theme').click()")
    assert await tab.run("document.querySelector('#theme').textContent") == "Theme: dark"
    dark = await tab.run("getComputedStyle(document.documentElement).backgroundColor")
    assert dark != paper
    await tab.go(url(site))
    assert await tab.run("getComputedStyle(document.documentElement).backgroundColor") == dark


# ---- everybody can read it -------------------------------------------------------------------------------------------

# Each element that has text of its own: its colour upon what lies behind it, as WCAG 2.2 counts (1.4.3).
CONTRASTS = """
(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const over = (upper, lower) => {
    const a = upper.length > 3 ? upper[3] : 1;
    return [0, 1, 2].map((i) => upper[i] * a + lower[i] * (1 - a));
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(numbers(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((lower, upper) => over(upper, lower), [255, 255, 255]);
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data).join("").trim();
    if (!text || !element.getClientRects().length || element.closest(".unseen, .skip, title, desc, script, noscript")) continue;
    const style = getComputedStyle(element);
    const drawn = element.namespaceURI.endsWith("svg") ? style.fill : style.color;
    let back = behind(element);
    const bar = element.classList.contains("inside") && element.parentElement.querySelector("rect");
    if (bar) back = numbers(getComputedStyle(bar).fill).slice(0, 3);
    const ink = over(numbers(drawn), back);
    const [a, b] = [light(ink), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    found.push([Math.round(ratio * 100) / 100, element.className.baseVal ?? element.className, text.slice(0, 40), drawn]);
  }
  return found.sort((x, y) => x[0] - y[0]);
})()
"""


@pytest.mark.parametrize("name", ["empty", "healthy", "trouble", "paused", "blind"])
async def test_text_stands_out_and_nothing_scrolls_sideways(name: str, tab: Tab, site: Site) -> None:
    """In both themes, on the smallest phone; the matrix may scroll in its own box."""
    await scene(site, name, "averyveryverylongwordthatnobodywouldbreakanywhere" * 4 if name == "trouble" else "")
    for theme in THEMES:
        await tab.themed(theme)
        for path in PAGES[:2] if name == "trouble" else PAGES[:1]:
            for width in (360, 1280, 2560):
                await tab.sized(width, 800)
                await tab.go(url(site, path))
                assert await tab.run("document.documentElement.scrollWidth") <= width, (path, width, theme)
            contrasts = await tab.run(CONTRASTS)
            assert len(contrasts) > 20 and contrasts[0][0] >= 4.5, (path, theme, contrasts[:6])


async def test_contrast_that_is_too_low_is_found(tab: Tab, site: Site) -> None:
    await tab.go(url(site))
    await tab.run("document.querySelector('h1').style.color = '#aaaaaa'")  # from the debugger: a page's own would be stopped
    assert (await tab.run(CONTRASTS))[0][0] < 4.5


async def test_the_keyboard_reaches_everything_and_shows_where_it_is(tab: Tab, site: Site) -> None:
    await scene(site, "trouble")
    for path in PAGES[:2]:
        await tab.go(url(site, path))
        wanted = await tab.run(
            "window.reached = new Set(); window.all = [...document.querySelectorAll('a[href], button, summary, input, [tabindex=\"0\"]')]"
            ".filter((each) => each.getClientRects().length && !each.closest('details:not([open]) ul')); all.length"
        )
        assert wanted > 8
        for _ in range(wanted + 4):
            await tab.press("Tab")
            shown = await tab.run(
                "(() => { const at = document.activeElement; reached.add(at); const style = getComputedStyle(at);"
                " return at === document.body || at.className === 'skip'"
                " || (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2) })()"
            )
            assert shown, await tab.run("document.activeElement.outerHTML")
        assert await tab.run("all.filter((each) => !reached.has(each)).map((each) => each.outerHTML)") == [], path


async def test_the_first_key_leads_past_the_head(tab: Tab, site: Site) -> None:
    await tab.go(url(site))
    await tab.press("Tab")
    assert await tab.run("document.activeElement.className") == "skip"
    assert await tab.run("document.activeElement.getBoundingClientRect().left") >= 0
    await tab.press("Enter")
    await tab.until("document.activeElement.id === 'main'")


async def test_a_screen_reader_finds_its_way(tab: Tab, site: Site) -> None:
    """By the tree that the browser makes for it: landmarks, headings, names for whatever can be used, words for pictures."""
    await scene(site, "trouble")
    await tab.go(url(site))
    tree = (await tab.send("Accessibility.getFullAXTree"))["nodes"]
    known = [(_value(node, "role"), _value(node, "name")) for node in tree if not node.get("ignored")]
    roles = [role for role, _ in known]
    assert roles.count("main") == 1 and roles.count("banner") == 1 and "region" in roles and roles.count("alert") <= 1
    headings = [name.lower() for role, name in known if role == "heading"]
    assert headings[0].startswith("page 1 incident pages") and {"incidents", "blind", "routes", "deploys and gates", "silences"} <= set(
        headings
    )
    assert all(name for role, name in known if role in ("link", "button", "region", "table", "image", "img")), known
    assert any(role in ("image", "img") and name.startswith("latest 20: 17 pass, 3 missing") for role, name in known)
    assert roles.count("rowheader") >= 5 and roles.count("columnheader") >= 5


def _value(node: dict[str, Any], key: str) -> str:
    return str(node.get(key, {}).get("value", ""))


# ---- the way in ------------------------------------------------------------------------------------------------------


async def test_a_token_opens_the_page_for_looking(tab: Tab, tmp_path: Path) -> None:
    async with premises.served(books.shop(tmp_path, host="0.0.0.0")) as site:
        await scene(site, "healthy")
        await tab.go(url(site))
        assert "seed-1" not in await tab.run("document.body.innerText")
        assert await tab.run("document.activeElement.id") == "token"
        for shown, wanted in (("a wrong one", "[role=alert]:not([hidden])"), (SECRETS["READ"], "#routes")):
            await tab.run(f"document.querySelector('#token').value = {shown!r}; document.querySelector('#token').focus()")
            await tab.press("Enter")
            await tab.until(f"document.querySelector({wanted!r})")
        assert await tab.run("document.cookie") == "", "no script sees it"
        acts = "fetch('/v1/pause', {method: 'POST', body: '{}'}).then((answer) => answer.status)"
        assert await tab.run(acts) == 401
        await tab.run("window.mark = 1")
        await site.happen(so.opened(site.clock.now()))
        await tab.until("document.querySelector('#INC-1')", "news, behind the token too")
        assert await tab.run("window.mark") == 1
        site.secrets.values["READ"] = "another one"
        await site.happen(so.resolved(site.clock.now()))
        await tab.until("document.querySelector('form[action=\"/login\"]')", "the form, when the token has changed")
