"""The way in for a browser: a token for a cookie, which opens for looking and for nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from monitor.edge.entropy import SystemEntropy
from monitor.model.instant import Instant
from monitor.surface.api.limits import Rate, Rates
from monitor.surface.api.page import FOR_EVER
from monitor.surface.api.sessions import LASTS, MOST_SESSIONS, Sessions
from monitor.surface.page import ASSETS
from tests.surface import books, premises
from tests.surface import happenings as so
from tests.surface.premises import SECRETS, Site

TOKEN = SECRETS["READ"]
AWAY = "0.0.0.0"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with premises.served(books.shop(tmp_path, host=AWAY)) as site:
        yield site


async def ask(site: Site, method: str, path: str, cookie: str = "", headers: dict[str, str] | None = None, **more: Any) -> tuple[int, str]:
    """Like a browser that goes nowhere by itself; the client's own jar is kept empty."""
    site.client.session.cookie_jar.clear()
    headers = {**(headers or {}), **({"Cookie": cookie} if cookie else {})}
    async with site.client.request(method, path, headers=headers, allow_redirects=False, **more) as answer:
        site.headers = answer.headers
        return answer.status, await answer.text()


async def logged_in(site: Site, token: str = TOKEN, **headers: str) -> str:
    status, _ = await ask(site, "POST", "/login", headers=headers, data={"token": token})
    assert status == 303 and site.headers["Location"] == "/"
    return str(site.headers["Set-Cookie"]).partition(";")[0]


async def test_a_browser_without_a_token_is_given_the_form(site: Site) -> None:
    for path in ("/", "/incidents/INC-1", "/?wall", "/login"):
        status, html = await ask(site, "GET", path)
        assert status == 401 and 'action="/login"' in html and "seed-1" not in html, path
        assert site.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert site.headers["Cache-Control"] == "no-store"
    assert (await ask(site, "GET", "/", "mailcanary_00000000=guess"))[0] == 401


async def test_a_session_looks_and_never_acts(site: Site) -> None:
    await site.happen(so.opened(site.clock.now()))
    cookie = await logged_in(site, SECRETS["ONCALL"])
    for path in ("/", "/incidents/INC-1", "/v1/status", "/v1/incidents/INC-1"):
        assert (await ask(site, "GET", path, cookie))[0] == 200, path
    assert "Log out" in (await ask(site, "GET", "/", cookie))[1]
    for method, path, body in (
        ("POST", "/v1/pause", {"by": "ann"}),
        ("POST", "/v1/incidents/INC-1/ack", {"by": "ann"}),
        ("POST", "/v1/deploys", {"deploy": "d-1", "phase": "start"}),
        ("PATCH", "/v1/deploys/d-1", {"phase": "finish"}),
    ):
        assert (await ask(site, method, path, cookie, json=body))[0] == 401, path
    assert site.kinds() == ["Transition"]


async def test_a_session_may_see_what_its_token_may(site: Site) -> None:
    assert (await ask(site, "GET", "/v1/ledger/differences", await logged_in(site)))[0] == 403
    assert (await ask(site, "GET", "/v1/ledger/differences", await logged_in(site, SECRETS["ONCALL"])))[0] != 403


async def test_the_cookie_is_kept_from_scripts_and_other_sites(site: Site) -> None:
    await logged_in(site)
    for proto, secure in (("https", True), ("http", False), ("", False)):
        await logged_in(site, **({"X-Forwarded-Proto": proto} if proto else {}))
        (cookie,) = SimpleCookie(site.headers["Set-Cookie"]).values()
        assert cookie["httponly"] and cookie["samesite"] == "Strict" and cookie["path"] == "/" and cookie["max-age"] == "43200"
        assert bool(cookie["secure"]) is secure and len(cookie.value) == 64 and TOKEN not in cookie.value and not cookie["domain"]


async def test_a_session_ends_by_itself_by_hand_and_with_its_token(site: Site) -> None:
    cookie = await logged_in(site)
    site.clock.ahead += LASTS - 1
    assert (await ask(site, "GET", "/", cookie))[0] == 200
    site.clock.ahead += 1
    assert (await ask(site, "GET", "/", cookie))[0] == 401

    cookie = await logged_in(site)
    assert (await ask(site, "POST", "/logout", cookie))[0] == 303 and "Max-Age=0" in site.headers["Set-Cookie"]
    assert (await ask(site, "GET", "/", cookie))[0] == 401
    assert (await ask(site, "POST", "/logout"))[0] == 303 and "Set-Cookie" not in site.headers, "a page of another site shows no cookie"

    cookie = await logged_in(site)
    site.secrets.values["READ"] = "another one"
    assert (await ask(site, "GET", "/", cookie))[0] == 401
    site.secrets.values["READ"] = TOKEN
    assert (await ask(site, "GET", "/v1/status", cookie))[0] == 200


async def test_wrong_tokens_are_refused_slowed_down_and_not_repeated(tmp_path: Path) -> None:
    rates = Rates(failures=Rate(0.5, 3))
    async with premises.served(premises.rules(tmp_path, host=AWAY), rates) as site:
        for _ in range(3):
            status, html = await ask(site, "POST", "/login", data={"token": "a wrong one <b>"})
            assert status == 401 and "the token of no role" in html and "a wrong one" not in html
        status, html = await ask(site, "POST", "/login", data={"token": "a wrong one"})
        assert status == 429 and site.headers["Retry-After"] == "2" and site.headers["Content-Type"].startswith("text/html")
        await logged_in(site)  # one wrong token must not lock out on-call
        for data in ({}, {"token": ""}, {"token": " "}, {"token": "x" * 1_001}):
            assert (await ask(site, "POST", "/login", data=data))[0] == 400
        assert (await ask(site, "POST", "/login", data={"token": "x" * 100_000}))[0] == 413
        for kind, status in (("multipart/form-data", 415), ("text/plain", 415), ("application/x-www-form-urlencoded; charset=none", 400)):
            assert (await ask(site, "POST", "/login", headers={"Content-Type": kind}, data=b"token=\xff"))[0] == status, kind
        packed = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
        status, html = await ask(site, "POST", "/login", headers=packed, data=b"garbage")
        assert status == 400 and "the body is no form" in html


async def test_the_form_says_when_there_is_no_token_at_all(site: Site, tmp_path: Path) -> None:
    said = "No token is configured"
    assert said not in (await ask(site, "GET", "/"))[1]
    none = premises.rules(tmp_path, host=AWAY)
    none = replace(none, listen=replace(none.listen, tokens={}))
    async with premises.served(none) as closed:
        for method, path, more in (("GET", "/", {}), ("GET", "/login", {}), ("POST", "/login", {"data": {"token": "a guess"}})):
            status, html = await ask(closed, method, path, **more)
            assert status == 401 and said in html and "listen.tokens" in html, path


async def test_on_loopback_there_is_nothing_to_log_in_to(tmp_path: Path) -> None:
    async with premises.served(premises.rules(tmp_path)) as site:
        assert (await ask(site, "GET", "/"))[0] == 200
        for method, path in (("GET", "/login"), ("POST", "/login"), ("POST", "/logout")):
            assert (await ask(site, method, path))[0] == 303 and "Set-Cookie" not in site.headers
        assert (await ask(site, "GET", "/", headers={"Host": "rebound.test"}))[0] == 421, "a name that was made to mean this machine"
        assert (await ask(site, "GET", "/v1/events", headers={"Origin": "http://evil.test"}))[0] == 403


async def test_refusals_are_pages_for_people(site: Site) -> None:
    cookie = await logged_in(site)
    status, html = await ask(site, "GET", "/incidents/%3Cscript%3E", cookie)
    assert status == 404 and "<script>" not in html and "no incident &lt;script&gt; is known" in html
    site.ready = False
    status, html = await ask(site, "GET", "/", cookie)
    assert status == 503 and "the journal is being loaded" in html and site.headers["Retry-After"] == "2" and 'content="5"' in html


async def test_what_the_page_is_made_with_is_open_and_kept_for_ever(site: Site) -> None:
    assert {name.rpartition(".")[2] for name in ASSETS} == {"css", "js", "svg"}
    for name, asset in ASSETS.items():
        status, text = await ask(site, "GET", f"/static/{name}")
        assert status == 200 and text.encode() == asset.body and site.headers["Cache-Control"] == FOR_EVER
        assert site.headers["X-Content-Type-Options"] == "nosniff" and site.headers["Content-Type"].startswith(asset.content_type)
        tag = site.headers["ETag"]
        assert (await ask(site, "GET", f"/static/{name}", headers={"If-None-Match": tag}))[0] == 304
    for name in ("page.css", "..%2f..%2fapplication.py", "none"):
        assert (await ask(site, "GET", f"/static/{name}"))[0] == 404 and site.headers["Cache-Control"] == "no-store"


async def test_many_viewers_cost_one_drawing_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from monitor.surface.api import page

    drawn: list[str] = []
    monkeypatch.setattr(page, "overview", lambda document, **_: drawn.append(document["at"]) or b"page")
    async with premises.served(premises.rules(tmp_path)) as site:
        for _ in range(5):
            assert await ask(site, "GET", "/") == (200, "page")
        assert len(drawn) == 1
        await site.happen(so.opened(site.clock.now()))
        await ask(site, "GET", "/")
        site.clock.ahead += 1
        await ask(site, "GET", "/")
        assert len(drawn) == 3, "a fact, and a second"
        for number in range(40):
            await ask(site, "GET", f"/?wall={number}")
        assert len(drawn) == 4


def test_sessions_are_bounded_and_keep_no_secret() -> None:
    sessions, now = Sessions(SystemEntropy()), Instant(0.0, 0.0, "p")
    first = sessions.begin("token", now)
    others = [sessions.begin("token", now) for _ in range(MOST_SESSIONS)]
    assert len(sessions) == MOST_SESSIONS and not sessions.stands_for(first, "token", now)
    assert sessions.stands_for(others[0], "token", now) and not sessions.stands_for(others[0], "tokem", now)
    assert "token" not in repr(sessions).replace("_token", "") and others[0] not in repr(sessions)
    assert sessions.end(others[0]) and not sessions.end(others[0]) and not sessions.stands_for(others[0], "token", now)


async def test_no_name_of_an_incident_is_the_name_of_the_overview(tmp_path: Path) -> None:
    async with premises.served(premises.rules(tmp_path)) as site:
        for _ in range(20):  # both within one second, for only so long a drawing is kept
            second = int(site.clock.now().utc)
            async with site.client.get("/") as overview:
                assert overview.status == 200
            async with site.client.get(URL("/incidents/%2F", encoded=True)) as nothing:
                assert nothing.status == 404
            if int(site.clock.now().utc) == second:
                return
        pytest.fail("no second was long enough")


async def test_a_token_of_two_roles_opens_for_both(tmp_path: Path) -> None:
    async with premises.served(books.shop(tmp_path, host=AWAY)) as site:
        site.secrets.values["ONCALL"] = TOKEN
        assert (await ask(site, "GET", "/v1/ledger/differences", await logged_in(site)))[0] != 403


async def test_the_token_in_flagger_s_url_opens_nothing_else(site: Site) -> None:
    bearer = {"Authorization": f"Bearer {SECRETS['ROLLBACK']}"}
    for path in ("/", "/v1/status", "/v1/incidents"):
        assert (await ask(site, "GET", path, headers=bearer))[0] == 403, path
    assert (await ask(site, "POST", "/login", data={"token": SECRETS["ROLLBACK"]}))[0] == 401
