"""MSG-01: a table of worlds, and what the results say."""

from __future__ import annotations

import pytest

from monitor.model.checks import CheckId, Status
from monitor.rules.inspect.message import judge
from tests.rules.dkim.signing import MESSAGE
from tests.rules.inspect.dkim_worlds import CUT, delivered, world
from tests.rules.inspect.worlds import Row, holds

ROWS = {CheckId.MSG_01: Row(world(delivered()), world(delivered(MESSAGE.replace(b"Date:", b"X-Date:"))), world(CUT))}


def test_row() -> None:
    holds(ROWS[CheckId.MSG_01], CheckId.MSG_01, judge)


def swap(old: bytes, new: bytes) -> bytes:
    assert old in MESSAGE
    return MESSAGE.replace(old, new)


@pytest.mark.parametrize(
    "raw, saw",
    [
        (swap(b"Date:", b"X-Date:"), "there is no Date"),
        (swap(b"Date: Sun, 22 Nov 2026 12:00:00 +0000", b"Date: soon"), "Date is no date"),
        (swap(b"Date: Sun, 22 Nov 2026 12:00:00", b"Date: Sun, 22 Nov 2026 11:00:00"), "Date is 3595 s before"),
        (swap(b"Date: Sun, 22 Nov 2026 12:00:00", b"Date: Sun, 22 Nov 2026 13:00:00"), "Date is 3605 s after"),
        (swap(b"From: Shop <refunds@shop.test>", b"From: a@shop.test, b@shop.test"), "From has 2 addresses"),
        (swap(b"From: Shop <refunds@shop.test>", b"From: Shop"), "From has no address"),
        (swap(b"From: Shop <refunds@shop.test>\r\n", b""), "there is no From"),
        (swap(b"To:", b"From: b@shop.test\r\nTo:"), "there are 2 From fields"),
        (swap(b"Message-ID: <1@shop.test>", b"Message-ID: 1"), "Message-ID is not"),
        (swap(b"Message-ID: <1@shop.test>\r\n", b""), "there is no Message-ID"),
        (swap(b"12.00 EUR", b"12.00 \xe2\x82\xac").replace(b"MIME-Version: 1.0\r\n", b""), "8-bit"),
        (swap(b"The shop", b"x" * 999), "longer than 998"),
        (swap(b"The shop\r\n", b"The shop\n"), "bare LF"),
        (swap(b"The shop", b"The\rshop"), "bare CR"),
        (swap(b"The shop", b"The\0shop"), "NUL"),
        (swap(b"To:", b"".join(b"X-%d: %s\r\n" % (n, b"x" * 500) for n in range(70)) + b"To:"), "32 KiB"),
        (swap(b"text/plain; charset=utf-8", b"multipart/mixed"), "no boundary"),
    ],
)
def test_faults(raw: bytes, saw: str) -> None:
    (result,) = world(delivered(raw)).checked(judge)
    assert result.status is Status.FAIL and saw in result.saw


@pytest.mark.parametrize(
    "raw",
    [
        swap(b"12.00 EUR", b"12.00 \xe2\x82\xac"),
        swap(b"The shop", b"x" * 998),
        swap(b"From: Shop <refunds@shop.test>", b'From: "Shop, Inc. <x@y.test>" <refunds@shop.test>'),
        swap(b"From: Shop <refunds@shop.test>", b"From: refunds@shop.test (Shop, Inc.)"),
        swap(b"From: Shop <refunds@shop.test>", b"From: =?utf-8?q?Shop=2C_Inc?=\r\n <refunds@shop.test>"),
    ],
)
def test_good_form(raw: bytes) -> None:
    (result,) = world(delivered(raw)).checked(judge)
    assert result.status is Status.PASS, result.saw


RECEIVED = b"Received: from mail.shop.test ([192.0.2.10]) by mx.box.test with ESMTPS id 1; Sun, 22 Nov 2026 12:00:01 +0000\r\n"
INSIDE = b"Received: from mx.box.test ([10.0.0.1]) by store.box.test with LMTP id 2; Sun, 22 Nov 2026 12:00:02 +0000\r\n"
BOX = b"X-Box: " + b"x" * 1_200 + b"\r\n"
FILTERS = b"".join(b"X-Filter-%d: %s\r\n" % (number, b"x" * 500) for number in range(70))


@pytest.mark.parametrize(
    "above",
    [
        BOX + RECEIVED,
        BOX + INSIDE + BOX + RECEIVED,
        FILTERS + RECEIVED,
        b"From mbox\r\n" + BOX + RECEIVED,
        b"X-Box: a\rb\r\n" + RECEIVED,
        BOX + b"Received: by store.box.test id 3; Sun, 22 Nov 2026 12:00:02 +0000\r\n",
    ],
)
def test_what_the_receiver_wrote_on_top_is_no_fault_of_the_sender(above: bytes) -> None:
    (result,) = world(delivered(above + MESSAGE)).checked(judge)
    assert result.status is Status.PASS, result.saw


@pytest.mark.parametrize(
    ("below", "saw"),
    [(BOX, "longer than 998"), (FILTERS, "32 KiB"), (b"X-Box: a\rb\r\n", "bare CR"), (RECEIVED + BOX, "longer than 998")],
)
def test_what_the_sender_wrote_below_the_border_counts(below: bytes, saw: str) -> None:
    (result,) = world(delivered(BOX + INSIDE + RECEIVED + below + MESSAGE)).checked(judge)
    assert result.status is Status.FAIL and saw in result.saw


def test_line_ends_of_the_mailbox_are_no_fault_of_the_sender() -> None:
    (result,) = world(delivered(MESSAGE.replace(b"\r\n", b"\n"))).checked(judge)
    assert result.status is Status.INFO


def test_beginning_of_a_mail() -> None:
    (good,) = world(delivered(MESSAGE[:-10], truncated=True)).checked(judge)
    (bad,) = world(delivered(MESSAGE.replace(b"Date:", b"X:")[:-10], truncated=True)).checked(judge)
    assert (good.status, bad.status) == (Status.UNKNOWN, Status.FAIL)


def test_no_mail_is_skipped() -> None:
    (result,) = world().checked(judge)
    assert result.status is Status.SKIP
