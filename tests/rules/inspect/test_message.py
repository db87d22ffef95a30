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
