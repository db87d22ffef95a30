"""The toy shop's book of refunds and its relay's log: what they say of customers, and that probes stand in neither of the two as money."""

import json
import re
from decimal import Decimal
from pathlib import Path

from monitor.lab.books import NUMBER
from monitor.lab.faults import Fault
from monitor.lab.shop_mail import Refund
from monitor.lab.world import Lab, LabSpec
from tests.lab.test_shop import BODY, post

CUSTOMER, STRANGER = "ann@aurora.test", "nobody@aurora.test"


def refund(amount: str = "12.50") -> Refund:
    return Refund("RF-1", "A-1", Decimal(amount), "GBP", "Ann", CUSTOMER, "en-GB")


def logged(directory: Path) -> list[tuple[str, str]]:
    """(number, recipient) of each mail that went out."""
    text = (directory / "mail.log").read_text()
    numbers = dict(re.findall(rf"(1AB\w+): message-id={NUMBER}", text))
    return [(numbers[queue], to) for queue, to in re.findall(r"(1AB\w+): to=<([^>]+)>.*status=sent", text)]


def booked(directory: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (directory / "refunds.jsonl").read_text().splitlines()]


async def test_a_customers_refund_stands_in_both(tmp_path: Path):
    async with Lab(LabSpec(customers=(CUSTOMER,), books=tmp_path)) as lab:
        number = lab.shop.refund(refund())
        assert logged(tmp_path) == [(number, CUSTOMER)]
        (row,) = booked(tmp_path)
        assert (row["refund"], row["amount"], row["currency"], row["recipient"]) == (number, "12.50", "GBP", CUSTOMER)
        assert len(lab.store.resolve(CUSTOMER).folders["INBOX"].messages) == 1


async def test_v2_sends_it_to_the_holding_store_and_v4_mails_strangers_without_a_refund(tmp_path: Path):
    spec = LabSpec(customers=(CUSTOMER,), strangers=(STRANGER,), books=tmp_path)
    async with Lab(spec) as lab:
        lab.deploy("v2")
        lost = lab.shop.refund(refund())
        assert logged(tmp_path) == [(lost, lab.holding)]
        lab.deploy("v4")
        (bogus,) = logged(tmp_path)[1:]
        assert bogus[1] == STRANGER
        assert [row["refund"] for row in booked(tmp_path)] == [lost]


async def test_a_probe_is_mailed_and_is_no_refund(tmp_path: Path):
    async with Lab(LabSpec(books=tmp_path)) as lab:
        assert (await post(lab, BODY))[0] == 202
        assert len(logged(tmp_path)) == 1
        assert booked(tmp_path) == []


async def test_what_the_queue_holds_is_logged_when_it_goes_out(tmp_path: Path):
    async with Lab(LabSpec(customers=(CUSTOMER,), books=tmp_path)) as lab:
        await lab.switch_on(Fault.HOLD_QUEUE)
        number = lab.shop.refund(refund())
        assert logged(tmp_path) == []
        await lab.switch_off(Fault.HOLD_QUEUE)
        assert logged(tmp_path) == [(number, CUSTOMER)]


async def test_without_books_nothing_is_written(tmp_path: Path):
    async with Lab(LabSpec(customers=(CUSTOMER,))) as lab:
        lab.shop.refund(refund())
    assert list(tmp_path.iterdir()) == []
