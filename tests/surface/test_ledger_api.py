"""/v1/ledger, over a socket: who sees what, pages of differences, and that forgetting leaves a fact and no address."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from monitor.edge.ledger import SqliteLedger
from monitor.model.facts import LedgerPurged, Reconciled, SourceBlind
from monitor.model.incident import THE_LEDGER, IncidentId, Scope, ScopeKind
from monitor.model.ledger import (
    Difference,
    DifferenceKind,
    Flow,
    Impact,
    Page,
    Purge,
    Purged,
    RowFault,
    Side,
    SourceStanding,
    Standing,
    Taking,
    Volume,
    Wanted,
)
from monitor.model.policy import Access
from monitor.model.sources import LedgerPolicy
from monitor.model.verdict import Symptom
from monitor.ports import LedgerUnreadable
from monitor.surface.api import application, incidents
from monitor.surface.api.bodies import epoch, epoch_or_date
from tests.fakes.ledger import FakeLedger
from tests.surface import happenings as so
from tests.surface.books import mail, pushed, refund, shop
from tests.surface.premises import SECRETS, Site, rules, served

DOCUMENT: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "config" / "openapi.yaml").read_text())
SCHEMA = json.loads((Path(__file__).parents[2] / "config" / "ledger.schema.json").read_text())
LEDGER, DIFFERENCES = "/v1/ledger", "/v1/ledger/differences"
DAY = 86_400.0


@pytest.fixture
def ledger() -> FakeLedger:
    return FakeLedger()


@pytest.fixture
async def site(tmp_path: Path, ledger: FakeLedger) -> AsyncIterator[Site]:
    async with served(shop(tmp_path, confirm_within=60.0, refund_within=60.0), ledger=ledger) as site:
        yield site


def fits(answer: Any, part: str = "") -> Any:
    jsonschema.validate(answer, {"$ref": f"#/$defs/{part}", "$defs": SCHEMA["$defs"]} if part else SCHEMA)
    json.dumps(answer, allow_nan=False)
    return answer


async def trouble(site: Site) -> None:
    """One of each class: four refunds, one without its mail, one with another amount, one told twice, and a mail out of the blue. They
    have the numbers 1 to 5."""
    now = site.clock.now()

    def at(seconds: float) -> str:
        return now.plus(seconds).iso()

    refunds = [
        refund(number, at=at(-1_000.0 + 10 * place)) for place, number in enumerate(("0001-miss", "0002-wrong", "0003-twice", "0004-good"))
    ]
    mails = [
        mail("0002-wrong", at=at(-900.0), amount="99.00"),
        mail("0003-twice", at=at(-900.0)),
        mail("0003-twice", at=at(-890.0), id="again"),
        mail("0004-good", at=at(-900.0)),
        mail("0005-blue", at=at(-900.0), currency="GBP"),
    ]
    for rows in ({"refunds": [refund("0000", at=at(-1 * DAY))]}, {"refunds": refunds}):
        assert (await site.post("/v1/refunds", {**rows, "complete_until": at(0.0)}))[0] == 200
    for mailed in ([mail("0000", at=at(-1 * DAY))], mails):
        assert (await site.post("/v1/confirmations", {"confirmations": mailed}))[0] == 200


async def reconciled(site: Site) -> Any:
    status, answer = await site.post(f"{LEDGER}/reconcile", {})
    assert status == 200, answer
    return fits(answer)


# ---- how it stands -----------------------------------------------------------------------------------------------------


async def test_before_anything_was_read(site: Site) -> None:
    status, answer = await site.get(LEDGER)
    assert status == 200
    standing = fits(answer)["standing"]
    assert [row["class"] for row in standing["classes"]] == ["missing", "spurious", "mismatched", "duplicate"]
    assert {row["open"] for row in standing["classes"]} == {0} and standing["refunds_until"] is None and answer["reconciled_at"] is None
    assert [(row["source"], row["side"], row["via"], row["first_read"]) for row in answer["sources"]] == [
        ("shop", "refunds", "push", None),
        ("mailer", "confirmations", "push", None),
    ]
    assert answer["windows"] == {
        "match": "refund",
        "confirm_within": 60.0,
        "refund_within": 60.0,
        **dict.fromkeys(("refunds_from", "refunds_until", "confirmations_from", "confirmations_until")),
    }


async def test_reconcile_compares_at_once(site: Site) -> None:
    await trouble(site)
    site.nudges.clear()
    answer = await reconciled(site)
    found = {row["class"]: (row["open"], row["found"], row["customers"], row["money"]) for row in answer["standing"]["classes"]}
    assert found == {
        "missing": (1, 1, 1, [{"amount": "12.50", "currency": "EUR"}]),
        "spurious": (1, 1, 1, [{"amount": "12.50", "currency": "GBP"}]),
        "mismatched": (1, 1, 1, [{"amount": "99.00", "currency": "EUR"}]),
        "duplicate": (1, 1, 1, [{"amount": "12.50", "currency": "EUR"}]),
    }
    assert len(site.nudges) == 1 and answer["standing"]["refunds"] == 5 and answer["standing"]["confirmations"] == 6
    assert epoch(answer["standing"]["refunds_until"]) == pytest.approx(site.clock.now().utc, abs=0.01)
    status, again = await site.get(LEDGER)
    assert status == 200 and again["standing"] == answer["standing"] and len(site.nudges) == 1
    (shop_row, mails) = again["sources"]
    assert epoch(shop_row["read_until"]) == pytest.approx(site.clock.now().utc, abs=0.01)  # as what is judged, the lag taken off
    assert (shop_row["records"], mails["records"], shop_row["lag"], shop_row["blind"]) == (5, 6, 30.0, None)


async def test_what_is_blind_and_out_of_bounds(site: Site) -> None:
    at = site.clock.now()
    volume = Volume(Flow.COLLAPSE, Side.CONFIRMATIONS, at.utc - 600, at.utc, 0, 20.5, "refunds")
    await site.happen(
        Reconciled(at, Standing(), (volume,)), SourceBlind(at, "mailer", Side.CONFIRMATIONS, "530 <seed.one@box.test>: no", "mend it")
    )
    _, answer = await site.get(LEDGER)
    fits(answer)
    assert answer["reconciled_at"] == at.iso() and [row["source"] for row in answer["blind"]] == ["mailer"]
    assert answer["sources"][1]["blind"] == answer["blind"][0] and answer["sources"][0]["blind"] is None
    assert "seed.one" not in json.dumps(answer)
    (row,) = answer["volumes"]
    assert (row["flow"], row["side"], row["seen"], row["expected"]) == ("collapse", "confirmations", 0, 20.5) and row["text"]
    _, status = await site.get("/v1/status")
    jsonschema.validate(status, {"$ref": "#/components/schemas/Status", "components": DOCUMENT["components"]})
    assert status["ledger"]["blind"] == ["mailer"] and status["ledger"]["volumes"] == [row["text"]]


async def test_whoever_may_only_read_sees_no_number(site: Site, ledger: FakeLedger) -> None:
    """Nor in what is said of faulty rows."""
    await trouble(site)
    await site.post("/v1/refunds", {"refunds": [refund("0001-miss", amount="13.00"), refund("0006-bad", amount="0006-bad")]})
    faults = (
        RowFault(3, "refund SECRET is on line 2 with 12.50 EUR and on line 9 with 13.00 EUR; the first one is kept", "look at 'SECRET'"),
        RowFault(4, "the amount 'SECRET' is none", "write 12.50", "amount"),
        RowFault(5, "SECRET-17 is what?"),
        RowFault(6, "the amount 'SECRET-17' is none", "write 12.50", "amount"),
        RowFault(7, "'SECRET' is no number, nor 'SEC'RET'", "look at 'SECRET'", "refund"),
        RowFault(8, "SECRET has 'SECRET' in it", "look for 'SECRET'", "whatever"),
        RowFault(9, "a confirmation of SECRET is on line 1 with 1.00 EUR and on line 2 with 2.00 EUR"),
    )
    await ledger.take(Taking("shop", Side.REFUNDS, "/var/refunds.csv", [], site.clock.now().utc, faults))
    await reconciled(site)
    for path in (LEDGER, "/v1/status"):
        _, answer = await site.get(path)
        text = json.dumps(answer)
        for number in ("0001", "0002", "0003", "0004", "0005", "0006", "SECRET'", "SECRET-", "SECRET is", "SEC'RET", "ann@", "example.com"):
            assert number not in text, (path, number)
    _, answer = await site.get(LEDGER)
    said = {
        row["line"]: (row["what"], row["mend"], row["column"]) for row in answer["sources"][0]["faults"] if row["origin"].endswith("csv")
    }
    assert said[3][0].startswith("refund *** is") and said[4] == ("the amount *** is none", "write 12.50", "amount")


@pytest.mark.parametrize(
    ("fault", "what", "mend"),
    [
        (RowFault(3, "the status 'processed_ok' is not known", "set `statuses: {'processed_ok': processed}`", "state"), "=", "="),
        (RowFault(3, "currency 'EURO' is no currency of ISO 4217", "did you mean 'EUR'?", "currency"), "=", "="),
        (RowFault(3, "'12,50' is no amount with the decimal mark '.'", 'set `decimal: ","`', "amount"), "=", "="),
        (RowFault(3, "'01.02.2030 12:00' is no time like '%Y-%m-%d'", "set `time_format:` to what the rows have", "at"), "=", "="),
        (RowFault(0, "no column 'refund', 'at'; there are 'Betrag', 'Datum 2'", "set `columns: {refund: 'Nummer'}`"), "=", "="),
        (RowFault(0, "no column 'refund'; there are '1001', '12.50'", ""), "no column 'refund'; there are ***, '12.50'", ""),
        (RowFault(4, "has 3 fields, the header has 4", "look for a delimiter"), "=", "="),
        (RowFault(0, "the header has bytes that are not UTF-8", "save the file as UTF-8"), "=", "="),
        (RowFault(4, "'X-17' is longer than 200 characters", "", "refund"), "*** is longer than 200 characters", ""),
        (RowFault(4, "the address 'X-17' is none", "write 'X-17'", "recipient"), "the address *** is none", "write ***"),
        (
            RowFault(9, "refund X-17 is on line 2 with 12.50 EUR and on line 9 with 13.00 EUR; the first one is kept", "find out"),
            "refund *** is on line 2 with 12.50 EUR and on line 9 with 13.00 EUR; the first one is kept",
            "find out",
        ),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_rows_can_be_read(tmp_path: Path, ledger: FakeLedger, fault: RowFault, what: str, mend: str) -> None:
    """All but the numbers, ids and recipients. `=`: as it is."""
    policy = shop(tmp_path, pushed("shop", Side.REFUNDS, columns={"status": "state"}), pushed("mailer", Side.CONFIRMATIONS))
    async with served(policy, ledger=ledger) as site:
        await ledger.take(Taking("shop", Side.REFUNDS, "refunds.csv", [], site.clock.now().utc, (fault,)))
        _, answer = await site.get(LEDGER)
        (row,) = answer["sources"][0]["faults"]
        assert (row["what"], row["mend"]) == (fault.what if what == "=" else what, fault.mend if mend == "=" else mend)


async def test_a_date_is_its_beginning(site: Site, ledger: FakeLedger) -> None:
    assert epoch_or_date("2026-01-05") == epoch("2026-01-05T00:00:00Z")
    await trouble(site)
    await reconciled(site)
    assert (await site.get(f"{DIFFERENCES}?since=2026-01-05"))[1]["differences"]
    assert (await site.post(f"{LEDGER}/purge", {"by": "dpo", "before": "2026-01-05"}))[0] == 200
    status, answer = await site.post(f"{LEDGER}/purge", {"by": "dpo", "before": "2026-02-30"})
    assert status == 400 and "a date like 2030-01-31" in answer["reason"]


async def test_a_source_that_is_configured_no_more_is_not_listed(site: Site, ledger: FakeLedger) -> None:
    await ledger.take(Taking("old", Side.REFUNDS, "x", [], 1.0, read_until=1.0))
    answer = await reconciled(site)
    assert [row["source"] for row in answer["sources"]] == ["shop", "mailer"]


# ---- differences -------------------------------------------------------------------------------------------------------


async def test_differences_one_by_one(site: Site) -> None:
    await trouble(site)
    await reconciled(site)
    status, answer = await site.get(DIFFERENCES)
    assert status == 200 and answer["after"] is None
    rows = {row["kind"]: row for row in fits(answer, "differences")["differences"]}
    assert {kind: row["refund"] for kind, row in rows.items()} == {
        "missing": "0001-miss",
        "amount": "0002-wrong",
        "duplicate": "0003-twice",
        "spurious": "0005-blue",
    }
    assert (rows["amount"]["refund_amount"], rows["amount"]["confirmation_amount"], rows["amount"]["class"]) == (
        "12.50",
        "99.00",
        "mismatched",
    )
    assert (
        rows["missing"]["confirmation_at"] is None and rows["spurious"]["refund_at"] is None and rows["spurious"]["refund_amount"] is None
    )
    assert rows["missing"]["refund_place"].startswith("shop, pushed ") and rows["missing"]["refund_place"].endswith("line 1")
    assert "ann@" not in json.dumps(answer)


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("kind=missing", {"missing"}),
        ("kind=missing&kind=spurious", {"missing", "spurious"}),
        ("kind=mismatched", {"amount"}),
        ("kind=currency", set()),
        ("since=2099-01-01T00:00:00Z", set()),
        ("since=1000000000", {"missing", "spurious", "amount", "duplicate"}),
    ],
)
async def test_which_differences(site: Site, query: str, kinds: set[str]) -> None:
    await trouble(site)
    await reconciled(site)
    _, answer = await site.get(f"{DIFFERENCES}?{query}")
    assert {row["kind"] for row in fits(answer, "differences")["differences"]} == kinds


async def test_settled_ones_only_where_they_are_asked_for(site: Site) -> None:
    await trouble(site)
    await reconciled(site)
    await site.post("/v1/confirmations", {"confirmations": [mail("0001-miss", at=site.clock.now().plus(-5.0).iso())]})
    await reconciled(site)
    for query, seen in (("", False), ("?open=true", False), ("?open=false", True)):
        _, answer = await site.get(f"{DIFFERENCES}{query}")
        assert any(row["kind"] == "missing" and row["settled"] for row in answer["differences"]) is seen, query


async def test_pages(site: Site) -> None:
    await trouble(site)
    await reconciled(site)
    seen: list[str] = []
    after: int | None = 0
    while after is not None:
        _, answer = await site.get(f"{DIFFERENCES}?limit=1&after={after}")
        seen += [row["refund"] for row in answer["differences"]]
        assert len(answer["differences"]) <= 1
        after = answer["after"]
    assert len(seen) == len(set(seen)) == 4


async def test_as_csv(site: Site) -> None:
    await trouble(site)
    await reconciled(site)
    status, text = await site.get(f"{DIFFERENCES}?format=csv&limit=3&kind=missing&kind=spurious&kind=mismatched&kind=duplicate")
    assert status == 200 and site.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    link = site.headers["Link"]
    assert len(rows) == 3 and link.startswith(f"<{DIFFERENCES}?") and link.endswith('; rel="next"')
    _, rest = await site.get(link[1:].partition(">")[0])
    rows += csv.DictReader(io.StringIO(rest))
    assert sorted(row["kind"] for row in rows) == ["amount", "duplicate", "missing", "spurious"] and "Link" not in site.headers


class Asked(FakeLedger):
    """Keeps what is asked of it."""

    wanted: Wanted

    async def differences(self, wanted: Wanted) -> Page:
        self.wanted = wanted
        return Page((Difference(DifferenceKind.MISSING, "k", 1.0),), 7)


async def test_of_an_incident(tmp_path: Path) -> None:
    """Of its class, or of all where it is about deliveries; of its provider; found since it began."""
    ledger = Asked()
    async with served(shop(tmp_path), ledger=ledger) as site:
        at = site.clock.now()
        began = at.utc - 100.0
        box, seed = next(iter(site.desk.policy.mailboxes.items()))
        await site.happen(
            so.opened(at, symptom=Symptom.LEDGER_MISMATCHED, scope=THE_LEDGER),
            so.opened(at, IncidentId("INC-2"), scope=Scope(ScopeKind.PROVIDER, "gmail")),
            so.opened(at, IncidentId("INC-3"), scope=Scope(ScopeKind.MAILBOX, box)),
            so.opened(at, IncidentId("INC-4"), scope=Scope(ScopeKind.MAILBOX, "removed")),
        )
        mismatched = (DifferenceKind.AMOUNT, DifferenceKind.CURRENCY, DifferenceKind.RECIPIENT)
        for query, kinds, provider, since in (
            ("incident=INC-1", mismatched, "", began),
            ("incident=INC-1&kind=amount&kind=missing", (DifferenceKind.AMOUNT,), "", began),
            ("incident=INC-2", tuple(DifferenceKind), "gmail", began),
            ("incident=INC-3", tuple(DifferenceKind), seed.provider, began),
            ("incident=INC-4", tuple(DifferenceKind), "", began),
            ("incident=INC-2&since=1000000000", tuple(DifferenceKind), "gmail", began),
            ("incident=INC-2&since=2099-01-01T00:00:00Z", tuple(DifferenceKind), "gmail", 4_070_908_800.0),
        ):
            status, answer = await site.get(f"{DIFFERENCES}?{query}&after=3&limit=9")
            assert status == 200 and answer["after"] == 7
            assert ledger.wanted == Wanted(kinds, pytest.approx(since, abs=0.01), True, provider, 3, 9), query
        status, answer = await site.get(f"{DIFFERENCES}?incident=INC-9%0A")
        assert status == 404 and "\n" not in answer["reason"]


@pytest.mark.parametrize(
    "query",
    ["kind=none", "kind=missing,spurious", "since=yesterday", "since=2026-02-30", "open=yes", "after=-1", "after=x", "after=9" + "9" * 30,
     "limit=0", "limit=1001", "limit=1e2", "format=xml", "limit=%D9%A1"],
)  # fmt: skip
async def test_what_cannot_be_asked(site: Site, query: str) -> None:
    status, answer = await site.get(f"{DIFFERENCES}?{query}")
    assert status == 400 and answer["reason"].startswith(query.partition("=")[0])


# ---- forgetting --------------------------------------------------------------------------------------------------------


async def test_purge_of_a_recipient_leaves_a_fact_and_no_address(site: Site, ledger: FakeLedger, caplog: pytest.LogCaptureFixture) -> None:
    await trouble(site)
    status, answer = await site.post(f"{LEDGER}/purge", {"by": "dpo", "recipient": " Ann@Example.com "})
    assert status == 200 and answer["refunds"] == 5 and answer["confirmations"] == 6
    first, second = (fact for fact in site.facts() if isinstance(fact, LedgerPurged))
    assert first.purge == second.purge == Purge(recipient=b"*") and first.by == "dpo", "not even the hash that was forgotten"
    assert first.purged == Purged(0, 0, 0) and second.purged.refunds == 5  # asked, then done
    assert "example.com" not in repr(site.facts()).lower() and "example.com" not in caplog.text.lower() and "ann" not in json.dumps(answer)


async def test_purge_of_what_is_old(site: Site) -> None:
    await trouble(site)
    await reconciled(site)
    before = site.clock.now().plus(-DAY / 2)
    status, answer = await site.post(f"{LEDGER}/purge", {"by": "ann", "before": before.iso()})
    assert status == 200 and (answer["refunds"], answer["confirmations"]) == (1, 1)
    (fact, _) = (fact for fact in site.facts() if isinstance(fact, LedgerPurged))
    assert fact.purge.before == pytest.approx(before.utc, abs=0.01) and fact.purge.recipient == b""


@pytest.mark.parametrize(
    "body",
    [{"by": "ann"}, {"by": "ann", "before": 5, "recipient": "a@b.test"}, {"before": 5}, {"by": "ann", "recipient": "ann"},
     {"by": "ann", "recipient": "@b.test"}, {"by": "ann", "recipient": "a@"}, {"by": "ann", "before": "2099-01-01T00:00:00Z"},
     {"by": "ann", "before": "soon"}, {"by": "", "before": 5}, {"by": "ann", "recipient": "secret" * 60 + "@b.test"},
     {"by": "ann", "all": True}],
)  # fmt: skip
async def test_what_is_no_purge(site: Site, body: dict[str, Any]) -> None:
    status, answer = await site.post(f"{LEDGER}/purge", body)
    assert status == 400 and "secret" not in answer["reason"] and "LedgerPurged" not in site.kinds()


async def test_that_it_was_asked_is_known_though_the_store_is_not_readable(site: Site, ledger: FakeLedger) -> None:
    ledger.broken = LedgerUnreadable("ledger.sqlite3: the disk is full; free some space")
    status, _ = await site.post(f"{LEDGER}/purge", {"by": "ann", "before": 5})
    assert status == 503 and site.kinds() == ["LedgerPurged"] and not site.nudges


# ---- refusals ----------------------------------------------------------------------------------------------------------


ASKED: tuple[tuple[str, str, Any], ...] = (
    ("GET", LEDGER, None),
    ("GET", DIFFERENCES, None),
    ("POST", f"{LEDGER}/reconcile", {}),
    ("POST", f"{LEDGER}/purge", {"by": "ann", "before": 5}),
)


@pytest.mark.parametrize(("method", "path", "body"), ASKED)
async def test_no_ledger_and_no_store(tmp_path: Path, method: str, path: str, body: Any) -> None:
    how = {"json": body} if body is not None else {}
    async with served(rules(tmp_path), ledger=FakeLedger()) as site:
        status, answer = await site.ask(method, path, **how)
        assert status == 409 and "ledger.refunds" in answer["reason"] and not site.facts()
    ledger = FakeLedger(broken=LedgerUnreadable("ledger.sqlite3: damaged; move it away"))
    async with served(shop(tmp_path), ledger=ledger) as site:
        status, answer = await site.ask(method, path, **how)
        assert status == 503 and site.headers["Retry-After"] and answer["reason"].endswith("move it away")


@pytest.mark.parametrize(("method", "path", "body"), ASKED)
async def test_who_may_ask(tmp_path: Path, method: str, path: str, body: Any) -> None:
    roles = {LEDGER: set(Access) - {Access.ROLLBACK}, f"{LEDGER}/purge": {Access.ONCALL}}.get(path, {Access.ONCALL, Access.LEDGER})
    how = {"json": body} if body is not None else {}
    async with served(shop(tmp_path, host="0.0.0.0"), ledger=FakeLedger()) as site:
        assert (await site.ask(method, path, **how))[0] == 401
        for role in Access:
            status, _ = await site.ask(method, path, SECRETS[role.name], **how)
            assert status == (200 if role in roles else 403), role


async def test_impact_of_an_incident(site: Site, ledger: FakeLedger) -> None:
    """As told, and as it stands now; an answer that does not come holds up nothing."""
    await trouble(site)
    await reconciled(site)
    at = site.clock.now()
    told = await ledger.impact(at.utc - 1_100.0, at.utc)
    await site.happen(
        so.opened(at, since=at.plus(-1_100.0), symptom=Symptom.LEDGER_MISSING, scope=THE_LEDGER, impact=replace(told, owed=3))
    )

    async def story() -> Any:
        _, answer = await site.get("/v1/incidents/INC-1")
        jsonschema.validate(answer, {"$ref": "#/components/schemas/Incident", "components": DOCUMENT["components"]})
        return answer["impact"], answer["impact_now"]

    before, now = await story()
    assert (before["refunds"], before["owed"], now["owed"], now["owed_money"]) == (4, 3, 1, [{"amount": "12.50", "currency": "EUR"}])
    assert "3 unconfirmed" in before["text"] and "1 unconfirmed" in now["text"]
    ledger.broken = LedgerUnreadable("gone")
    before, now = await story()
    assert before["owed"] == 3 and now is None
    ledger.broken = None
    await site.happen(so.resolved(at.plus(1.0), since=at.plus(-1_100.0), symptom=Symptom.LEDGER_MISSING, scope=THE_LEDGER))
    before, now = await story()
    assert before["owed"] == 3 and "still owed 1" in now["text"]
    site.desk.policy = replace(site.desk.policy, ledger=LedgerPolicy())
    assert (await story())[1] is None


class Deaf(FakeLedger):
    """Never answers."""

    async def impact(self, since: float, until: float, provider: str = "") -> Impact:
        await asyncio.Event().wait()
        raise AssertionError

    async def sources(self) -> tuple[SourceStanding, ...]:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_store_that_never_answers_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incidents, "IMPACT_WITHIN", 0.01)
    monkeypatch.setattr(application, "SOURCES_WITHIN", 0.01)
    async with served(shop(tmp_path), ledger=Deaf()) as site:
        await site.happen(so.opened(site.clock.now()))
        status, answer = await site.get("/v1/incidents/INC-1")
        assert status == 200 and answer["impact_now"] is None
        status, page = await site.get("/metrics")
        assert status == 200 and "mailcanary_ledger_source_blind{" in page


async def test_the_same_on_the_store_itself(tmp_path: Path) -> None:
    """From the push to what is forgotten, on the disk."""
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3")
    try:
        async with served(shop(tmp_path, confirm_within=60.0, refund_within=60.0), ledger=ledger) as site:
            await trouble(site)
            answer = await reconciled(site)
            assert [row["open"] for row in answer["standing"]["classes"]] == [1, 1, 1, 1]
            _, text = await site.get(f"{DIFFERENCES}?format=csv&kind=missing")
            (row,) = csv.DictReader(io.StringIO(text))
            assert (row["refund"], row["refund_amount"], row["refund_currency"]) == ("0001-miss", "12.50", "EUR")
            _, again = await site.post("/v1/refunds", {"refunds": [refund("0001-miss", amount="13.00", at=row["refund_at"])]})
            assert (again["taken"], again["conflicts"]) == (0, 1) and "13.00" in again["faults"][0]["what"]
            _, answer = await site.get(LEDGER)
            assert "0001" not in json.dumps(fits(answer)) and answer["sources"][0]["refused"] == 1
            since = site.clock.now().utc - 1_100.0
            assert (await ledger.impact(since, site.clock.now().utc)).owed == 1
            status, gone = await site.post(f"{LEDGER}/purge", {"by": "dpo", "recipient": "ann@example.com"})
            assert status == 200 and gone["refunds"] == 5
            status, _ = await site.get("/metrics")
            assert status == 200
    finally:
        await ledger.close()
