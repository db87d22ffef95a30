"""POST /v1/refunds and /v1/confirmations, over a socket: what is taken, what is refused, and that no address comes back."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from monitor.model.ledger import Confirmation, Refund, RowFault, Side, Taken, Taking
from monitor.model.policy import Access
from monitor.ports import LedgerUnreadable
from monitor.rules.reconcile import Reading
from monitor.rules.reconcile.known import hashed
from monitor.rules.reconcile.windows import windows_of
from monitor.surface.api import pushes
from monitor.surface.api.bodies import epoch
from monitor.surface.api.limits import MOST_PUSHED, MOST_PUSHES, PUSHED_BYTES
from monitor.surface.api.pushes import MOST_SHOWN
from tests.fakes.ledger import FakeLedger
from tests.surface.books import KEY, file_of, mail, pushed, refund, shop
from tests.surface.premises import SECRETS, Site, rules, served

DOCUMENT: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "config" / "openapi.yaml").read_text())
REFUNDS, MAILS = "/v1/refunds", "/v1/confirmations"


@pytest.fixture
def ledger() -> FakeLedger:
    return FakeLedger()


@pytest.fixture
async def site(tmp_path: Path, ledger: FakeLedger) -> AsyncIterator[Site]:
    async with served(shop(tmp_path), ledger=ledger) as site:
        yield site


def fits(answer: Any) -> Any:
    jsonschema.validate(answer, {"$ref": "#/components/schemas/Pushed", "components": DOCUMENT["components"]})
    return answer


async def send(site: Site, *rows: object, path: str = REFUNDS, **beside: Any) -> tuple[int, Any]:
    return await site.post(path, {path.rpartition("/")[2]: list(rows), **beside})


def counts(answer: Any) -> tuple[int, ...]:
    names = ("taken", "known", "changed", "dropped_probes", "refused", "conflicts")
    return tuple(fits(answer)[name] for name in names)


async def test_a_batch_is_kept_and_again_it_is_known(site: Site, ledger: FakeLedger) -> None:
    rows = [refund("4711"), refund("4712", amount=3, currency="GBP"), refund("4713", status="pending")]
    status, answer = await send(site, *rows)
    assert status == 200 and counts(answer) == (2, 0, 0, 0, 0, 0) and answer["faults"] == []
    assert answer["source"] == "shop" and len(site.nudges) == 1
    (taking,) = ledger.takings
    assert (taking.source, taking.side, taking.position) == ("shop", Side.REFUNDS, None)
    first, second = taking.records
    assert isinstance(first, Refund) and (first.number, first.amount, first.currency, first.line) == ("4711", 125_000, "EUR", 1)
    assert first.recipient == hashed(KEY, "ann@example.com") and first.at == datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp()
    assert (second.amount, second.currency, second.line) == (30_000, "GBP", 2)
    status, answer = await send(site, *rows)
    assert status == 200 and counts(answer) == (0, 2, 0, 0, 0, 0)
    status, answer = await send(site, refund("4711", status="reversed", reversed_at="2026-01-06T00:00:00Z"))
    assert status == 200 and counts(answer) == (0, 0, 1, 0, 0, 0)


async def test_confirmations_go_to_their_own_source(site: Site, ledger: FakeLedger) -> None:
    status, answer = await send(site, mail(), mail("4712", outcome="bounced"), mail("4713", resend=True), path=MAILS)
    assert status == 200 and counts(answer) == (3, 0, 0, 0, 0, 0) and answer["source"] == "mailer"
    records = ledger.takings[0].records
    assert ledger.takings[0].side is Side.CONFIRMATIONS and all(isinstance(record, Confirmation) for record in records)
    assert [(record.key, record.outcome, record.resend) for record in records if isinstance(record, Confirmation)] == [
        ("4711", "sent", False),
        ("4712", "failed", False),
        ("4713", "sent", True),
    ]


@pytest.mark.parametrize(
    ("written", "kept"),
    [("0.1", 1_000), ("12.50", 125_000), ("1234567890123.45", 12_345_678_901_234_500), ("7", 70_000), ('"8.10"', 81_000)],
)
async def test_numbers_are_money_to_the_cent(site: Site, ledger: FakeLedger, written: str, kept: int) -> None:
    """Whatever a binary fraction would make of them."""
    text = json.dumps({"refunds": [refund(amount="@")]}).replace('"@"', written)
    status, answer = await site.ask("POST", REFUNDS, data=text, headers={"Content-Type": "application/json"})
    if Decimal(written.strip('"')) * 10_000 > 10**15:
        assert status == 422 and counts(answer)[4] == 1  # exact, and beyond any refund
    else:
        assert status == 200, answer
        assert [record.amount for record in ledger.takings[0].records] == [kept]


async def test_a_number_is_what_is_written_and_not_the_nearest_fraction(site: Site, ledger: FakeLedger) -> None:
    text = json.dumps({"refunds": [refund(amount="@")]}).replace('"@"', "0.30000000000000000001")
    status, answer = await site.ask("POST", REFUNDS, data=text, headers={"Content-Type": "application/json"})
    assert status == 422 and answer["faults"][0]["column"] == "amount"  # more decimals than euros have


async def test_a_number_of_json_has_a_point_where_texts_have_a_comma(tmp_path: Path) -> None:
    ledger = FakeLedger()
    policy = shop(tmp_path, pushed("shop", Side.REFUNDS, decimal=",", columns={"amount": "betrag"}), pushed("m", Side.CONFIRMATIONS))
    async with served(policy, ledger=ledger) as site:
        rows = [{**refund(number), "betrag": amount} for number, amount in (("1", "1.234,50"), ("2", 12.5), ("3", "12.50"))]
        _, answer = await send(site, *rows)
        assert counts(answer) == (2, 0, 0, 0, 1, 0) and answer["faults"][0]["row"] == 3 and answer["faults"][0]["column"] == "betrag"
        assert [record.amount for record in ledger.takings[0].records] == [12_345_000, 125_000]


async def test_good_rows_are_kept_around_bad_ones(site: Site, ledger: FakeLedger) -> None:
    rows = [refund("1"), refund("2", amount="1.234,50"), 17, refund("4", currency="EURO"), refund("5", at="yesterday"), refund("6"), None]
    status, answer = await send(site, *rows)
    assert status == 200 and counts(answer) == (2, 0, 0, 0, 5, 0)
    assert sorted((fault["row"], fault["column"]) for fault in answer["faults"]) == [
        (2, "amount"), (3, ""), (4, "currency"), (5, "at"), (7, "")
    ]  # fmt: skip
    assert all(fault["what"] and fault["mend"] for fault in answer["faults"])
    assert [record.line for record in ledger.takings[0].records] == [1, 6] and len(ledger.takings[0].faults) == 5


async def test_no_address_comes_back(site: Site, ledger: FakeLedger) -> None:
    """Wherever a shop puts it by mistake."""
    ann = "ann.smith@example.com"
    rows = [
        refund(ann, amount=ann),
        refund("2", currency=ann),
        refund("3", at=ann),
        refund("4", status=ann),
        refund("5", recipient=[ann]),
        {**refund("6"), ann: 1},
    ]
    for path, sent in ((REFUNDS, rows), (MAILS, [mail("1", outcome=ann), mail("2", resend=ann), mail("3", amount=ann), {ann: 1}])):
        for several in (sent, *([row] for row in sent)):
            _, answer = await send(site, *several, path=path)
            assert "ann.smith" not in json.dumps(answer), answer
    assert all("ann.smith" not in repr((taking.faults, taking.origin)) for taking in ledger.takings)
    _, answer = await send(site, refund("7"), source=ann)
    assert "ann.smith" not in json.dumps(answer)


async def test_no_address_comes_back_whatever_a_fault_says(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = RowFault(1, "is <ann.smith@example.com>\x1b[2J", "ask ann.smith@example.com", "ann.smith@example.com")
    monkeypatch.setattr(pushes, "read", lambda *_: Reading((), (fault,)))
    status, answer = await send(site, refund())
    assert status == 422 and answer["faults"] == [
        {"row": 1, "line": 1, "column": "***@example.com", "what": "is <***@example.com>\\x1b[2J", "mend": "ask ***@example.com"}
    ]
    assert "ann.smith" not in answer["reason"] and "\x1b" not in answer["reason"]


async def test_all_rows_refused(site: Site, ledger: FakeLedger) -> None:
    """The source has not been read by that, but its faults are known."""
    status, answer = await send(site, refund("1", amount=""), refund("2", amount="x"))
    assert status == 422 and answer["error"] == "Unprocessable Entity" and "row 1" in answer["reason"] and counts(answer)[4] == 2
    assert answer["read_until"] is None and ledger.takings[0].read_until is None and len(ledger.takings[0].faults) == 2
    assert (await ledger.sources())[0].read_until is None


async def test_a_field_that_every_row_lacks_is_one_fault(site: Site, ledger: FakeLedger) -> None:
    rows = [{"refund": str(number), "total": "1.00", "currency": "EUR", "at": "2026-01-05"} for number in range(2_500)]
    status, answer = await send(site, *rows)
    assert status == 422 and counts(answer) == (0, 0, 0, 0, 2_500, 0)
    assert [(fault["row"], fault["column"]) for fault in answer["faults"]] == [(0, "")]
    assert "amount" in answer["reason"] and "total" in answer["faults"][0]["mend"] and "row 0" not in answer["reason"]


async def test_faults_are_bounded_and_all_counted(site: Site, ledger: FakeLedger) -> None:
    status, answer = await send(site, refund("good"), *(refund(str(number), amount="-") for number in range(2_600)))
    assert status == 200 and counts(answer) == (1, 0, 0, 0, 2_600, 0)
    assert len(answer["faults"]) == MOST_SHOWN and answer["more_faults"] == 2_600 - MOST_SHOWN


async def test_contradictions_are_told(site: Site) -> None:
    await send(site, refund("4711"))
    status, answer = await send(site, refund("4711", amount="13.00"))
    assert status == 200 and counts(answer)[4:] == (0, 1) and "13.00 EUR" in answer["faults"][0]["what"]


async def test_probes_are_left_out_on_both_sides(site: Site, ledger: FakeLedger) -> None:
    seed = str(next(iter(site.desk.policy.mailboxes.values())).address)
    for path, row in ((REFUNDS, refund("1", recipient=seed)), (MAILS, mail("1", recipient=seed))):
        status, answer = await send(site, row, path=path)
        assert status == 200 and counts(answer) == (0, 0, 0, 1, 0, 0), path
    assert [(taking.dropped, len(taking.records)) for taking in ledger.takings] == [(1, 0), (1, 0)]


# ---- how far it was read -----------------------------------------------------------------------------------------------


async def test_read_until_now_less_the_lag(site: Site, ledger: FakeLedger) -> None:
    """An empty batch says so too."""
    for rows in ([refund()], []):
        status, answer = await send(site, *rows)
        assert status == 200 and epoch(answer["read_until"]) == pytest.approx(site.clock.now().utc - 30.0, abs=0.01)
        assert ledger.takings[-1].read_until == pytest.approx(site.clock.now().utc, abs=0.01)  # whoever compares takes the lag off
    _, answer = await send(site, mail(), path=MAILS)
    assert epoch(answer["read_until"]) == pytest.approx(site.clock.now().utc, abs=0.01)


async def test_complete_until(site: Site, ledger: FakeLedger) -> None:
    """It counts instead of the lag."""
    now, policy = site.clock.now(), site.desk.policy.ledger
    status, answer = await send(site, refund(), complete_until=now.plus(-600.0).iso())
    assert status == 200 and epoch(answer["read_until"]) == pytest.approx(now.utc - 600.0, abs=0.01)
    assert windows_of(policy, await ledger.sources(), now.utc).refunds_until == pytest.approx(now.utc - 600.0, abs=0.01)
    for ahead in (5.0, 59.0):  # the shop's clock
        status, answer = await send(site, refund(), complete_until=now.plus(ahead).iso())
        assert status == 200 and windows_of(policy, await ledger.sources(), now.utc).refunds_until == pytest.approx(now.utc, abs=0.01)
    status, answer = await send(site, refund("new"), complete_until=now.plus(120.0).iso())
    assert status == 400 and answer["reason"].startswith("complete_until: ") and len(ledger.takings) == 3
    status, answer = await send(site, refund("new"), complete_until="yesterday")
    assert status == 400 and "offset" in answer["reason"] and len(ledger.takings) == 3


# ---- what cannot be sent ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "17", "null", "{}", '{"refunds": {}}', '{"refunds": null}', '{"confirmations": []}', '{"refunds": [], "x": 1}',
     '{"refunds": [{"amount": NaN}]}', '{"refunds": [{"amount": -Infinity}]}', '{"refunds": [' + "[" * 100_000,
     '{"refunds": [' + "1" * 5_000 + "]}",
     '{"refunds": [], "source": 5}', '{"refunds": [], "complete_until": []}'],
)  # fmt: skip
async def test_what_is_no_batch(site: Site, ledger: FakeLedger, body: str) -> None:
    status, answer = await site.ask("POST", REFUNDS, data=body, headers={"Content-Type": "application/json"})
    assert status == 400 and answer["reason"] and not ledger.takings


async def test_bytes_that_are_no_text(site: Site, ledger: FakeLedger) -> None:
    status, _ = await site.ask("POST", REFUNDS, data=b'{"refunds": [{"refund": "\xff"}]}', headers={"Content-Type": "application/json"})
    assert status == 400 and not ledger.takings


async def test_another_content_type(site: Site, ledger: FakeLedger) -> None:
    status, _ = await site.ask("POST", REFUNDS, data=json.dumps({"refunds": [refund()]}), headers={"Content-Type": "text/plain"})
    assert status == 415 and not ledger.takings


async def test_too_many_rows(site: Site, ledger: FakeLedger) -> None:
    status, answer = await send(site, *(refund(str(number)) for number in range(MOST_PUSHED)))
    assert status == 200 and answer["taken"] == MOST_PUSHED
    status, answer = await send(site, *(refund(str(number)) for number in range(MOST_PUSHED + 1)))
    assert status == 413 and f"at most {MOST_PUSHED} rows" in answer["reason"] and len(ledger.takings) == 1


async def test_too_many_bytes(site: Site, ledger: FakeLedger) -> None:
    """Far more than any other request may have, and not one more."""

    def large(size: int) -> Any:
        body = io.BytesIO(json.dumps({"refunds": [refund(note="x" * size)]}).encode())
        return site.ask("POST", REFUNDS, data=body, headers={"Content-Type": "application/json"})

    status, answer = await large(PUSHED_BYTES - 1_000)
    assert status == 200 and answer["taken"] == 1
    status, answer = await large(PUSHED_BYTES)
    assert status == 413 and "4 MiB" in answer["reason"] and len(ledger.takings) == 1
    status, _ = await site.post("/v1/pause", {"by": "ann", "reason": "x" * 70_000})
    assert status == 413


async def test_too_many_fields(site: Site, ledger: FakeLedger) -> None:
    status, answer = await send(site, *({**refund(str(number)), f"field {number}": 1} for number in range(300)))
    assert status == 400 and "different fields" in answer["reason"] and not ledger.takings


async def test_which_source(tmp_path: Path) -> None:
    ledger = FakeLedger()
    sources = (pushed("a", Side.REFUNDS), pushed("b", Side.REFUNDS), file_of("c", Side.REFUNDS), file_of("d", Side.CONFIRMATIONS))
    async with served(shop(tmp_path, *sources), ledger=ledger) as site:
        status, answer = await send(site, refund(), source="b")
        assert status == 200 and answer["source"] == ledger.takings[0].source == "b"
        for source in ("", "c", "d", "e"):
            status, answer = await send(site, refund(), source=source)
            assert status == 409 and answer["reason"].endswith("name one of a, b")
        status, answer = await send(site, mail(), path=MAILS)
        assert status == 409 and "kind: push" in answer["reason"] and "confirmations" in answer["reason"]
        assert len(ledger.takings) == 1


async def test_no_ledger(tmp_path: Path) -> None:
    async with served(rules(tmp_path), ledger=FakeLedger()) as site:
        for path, row in ((REFUNDS, refund()), (MAILS, mail())):
            status, answer = await send(site, row, path=path)
            assert status == 409 and "ledger.refunds" in answer["reason"]
    async with served(shop(tmp_path)) as site:
        assert (await send(site, refund()))[0] == 409


async def test_a_store_that_takes_nothing(site: Site, ledger: FakeLedger) -> None:
    ledger.broken = LedgerUnreadable("ledger.sqlite3: the disk is full; free some space")
    status, answer = await send(site, refund())
    assert status == 503 and site.headers["Retry-After"] and "the disk is full" in answer["reason"]
    assert not ledger.takings and not site.nudges
    ledger.broken = None
    assert counts((await send(site, refund()))[1]) == (1, 0, 0, 0, 0, 0)


# ---- who, and several at once ---------------------------------------------------------------------------------------------


async def test_only_the_ledgers_token_pushes(tmp_path: Path) -> None:
    ledger = FakeLedger()
    async with served(shop(tmp_path, host="0.0.0.0"), ledger=ledger) as site:
        for path, row in ((REFUNDS, refund()), (MAILS, mail())):
            body = {path.rpartition("/")[2]: [row]}
            assert (await site.ask("POST", path, json=body))[0] == 401
            for role in Access:
                status, _ = await site.ask("POST", path, SECRETS[role.name], json=body)
                assert status == (200 if role is Access.LEDGER else 403), role
    assert len(ledger.takings) == 2


class Slow(FakeLedger):
    """Waits in every take until it may go on; says when two were in it at once."""

    def begin(self) -> None:
        self.go, self.inside, self.most = asyncio.Event(), 0, 0

    async def take(self, taking: Taking) -> Taken:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.go.wait()
        self.inside -= 1
        return await super().take(taking)


async def test_pushes_at_once_take_turns_and_are_bounded(tmp_path: Path) -> None:
    ledger = Slow()
    ledger.begin()
    async with served(shop(tmp_path), ledger=ledger) as site:
        pushes = [asyncio.create_task(send(site, refund("4711"), refund(str(number)))) for number in range(MOST_PUSHES + 3)]
        done, _ = await asyncio.wait(pushes, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result()[0] for task in done} == {503}
        while sum(task.done() for task in pushes) < 3:
            await asyncio.wait([task for task in pushes if not task.done()], return_when=asyncio.FIRST_COMPLETED)
        ledger.go.set()
        answers = [answer for status, answer in await asyncio.gather(*pushes) if status == 200]
        assert len(answers) == MOST_PUSHES and ledger.most == 1
        assert (
            sum(answer["taken"] for answer in answers) == MOST_PUSHES + 1 and sum(answer["known"] for answer in answers) == MOST_PUSHES - 1
        )
        assert (await send(site, refund("last")))[0] == 200


async def test_a_policy_that_changes_is_the_one_that_counts(site: Site, ledger: FakeLedger, tmp_path: Path) -> None:
    await send(site, refund("1"))
    site.desk.policy = shop(tmp_path, pushed("other", Side.REFUNDS, columns={"refund": "nr"}), pushed("m", Side.CONFIRMATIONS))
    status, answer = await send(site, {"nr": "2", **{key: value for key, value in refund().items() if key != "refund"}})
    assert status == 200 and answer["source"] == "other" and ledger.takings[-1].records[0].key == "2"


# ---- where rows stand ------------------------------------------------------------------------------------------------------


async def test_rows_stand_where_they_are_said_to_stand(site: Site, ledger: FakeLedger) -> None:
    rows = [refund("1"), refund("2", amount="x"), refund("1", amount="13.00"), 5]
    status, answer = await send(site, *rows, origin="refunds.csv", lines=[7, 9, 70, 71])
    assert status == 200 and counts(answer) == (1, 0, 0, 0, 2, 1)
    assert sorted((fault["row"], fault["line"]) for fault in answer["faults"]) == [(2, 9), (3, 70), (4, 71)]
    assert "line 7 " in next(fault["what"] for fault in answer["faults"] if fault["row"] == 3)
    (taking,) = ledger.takings
    assert taking.origin == "refunds.csv" and [record.line for record in taking.records] == [7, 70]
    assert sorted(fault.line for fault in taking.faults) == [9, 71]
    status, answer = await send(site, refund("2", amount="x"), origin="ann.smith@example.com.csv", lines=[9])
    assert status == 422 and "line 9: " in answer["reason"] and "ann.smith" not in json.dumps(answer) + repr(ledger.takings)


@pytest.mark.parametrize("lines", [[], [1, 2], [0], [-1], [2**60], ["1"], [1.0], [True], [None], 1, "1"])
async def test_lines_are_as_many_as_rows(site: Site, ledger: FakeLedger, lines: object) -> None:
    status, answer = await send(site, refund(), lines=lines)
    assert status == 400 and "lines" in answer["reason"] and not ledger.takings


@pytest.mark.parametrize("origin", ["x" * 501, "a\x1b[2Jb", 5, None])
async def test_an_origin_is_short_and_plain(site: Site, ledger: FakeLedger, origin: object) -> None:
    status, answer = await send(site, refund(), origin=origin)
    assert status == 400 and "origin" in answer["reason"] and not ledger.takings


async def test_a_batch_that_does_not_say_until_when_leaves_what_was_said(site: Site, ledger: FakeLedger) -> None:
    """An old file that is imported late, for example."""
    said = site.clock.now().plus(-600.0)
    await send(site, refund("1"), complete_until=said.iso())
    for rows in ([refund("2")], []):
        status, answer = await send(site, *rows)
        assert status == 200 and answer["read_until"] is None and fits(answer)
        (standing,) = [source for source in await ledger.sources() if source.source == "shop"]
        assert standing.read_until == pytest.approx(said.utc + 30.0, abs=0.01)
    _, answer = await send(site, refund("3"), complete_until=said.plus(60.0).iso())
    assert epoch(answer["read_until"]) == pytest.approx(said.utc + 60.0, abs=0.01)


async def test_mends_of_the_configuration_say_where(site: Site) -> None:
    where = "under ledger.refunds.shop in the daemon's configuration, then reload"
    _, answer = await send(site, refund("1"), refund("2", status="odd"), refund("3", amount="1.234,5x"))
    mends = {fault["row"]: fault["mend"] for fault in answer["faults"]}
    assert mends[2].startswith("set `statuses: ") and mends[2].endswith(where) and "ledger.refunds" not in mends[3]
    status, answer = await send(site, {"refund": "1", "total": "1.00", "currency": "EUR", "at": "2026-01-05"})
    assert status == 422 and answer["faults"][0]["mend"].endswith(where)


async def test_an_unknown_key_names_the_known_ones(site: Site, ledger: FakeLedger) -> None:
    status, answer = await send(site, refund(), sauce="shop")
    assert status == 400 and answer["reason"] == (
        "sauce: no such key in the body; the keys are refunds, complete_until, source, origin, lines"
    )
    status, answer = await site.post(REFUNDS, {"refunds": [], "ann.smith@example.com": 1})
    assert status == 400 and "ann.smith" not in answer["reason"] and not ledger.takings
