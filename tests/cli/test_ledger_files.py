"""`mailcanary ledger reconcile REFUNDS CONFIRMATIONS`: two exports, what differs in them, and what is said of rows that are not right."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.cli.conftest import Outcome
from tests.stages.house import policy

Command = Callable[..., Outcome]
SCHEMAS = Path(__file__).parents[2] / "config"
COMPARISON = json.loads((SCHEMAS / "comparison.schema.json").read_text())
HEADER = "refund,amount,currency,at,recipient"
REFUNDS = [
    "RF-1,12.50,EUR,2026-03-01T10:00:00Z,ann@example.com",
    "RF-2,20.00,GBP,2026-03-01T10:10:00Z,bo@example.com",
    "RF-3,30.00,EUR,2026-03-01T10:20:00Z,cy@example.com",
    "RF-4,40.00,EUR,2026-03-01T10:30:00Z,di@example.com",
    "RF-5,50.00,EUR,2026-03-01T10:40:00Z,ed@example.com",
    "RF-6,60.00,EUR,2026-03-01T10:50:00Z,flo@example.com",
    "RF-9,1.00,EUR,2026-03-01T18:00:00Z,zoe@example.com",
]
CONFIRMATIONS = [
    "RF-1,12.50,EUR,2026-03-01T10:00:05Z,ann@example.com,m1",
    "RF-3,33.00,EUR,2026-03-01T10:20:05Z,cy@example.com,m3",
    "RF-4,40.00,USD,2026-03-01T10:30:05Z,di@example.com,m4",
    "RF-5,50.00,EUR,2026-03-01T10:40:05Z,stranger@example.net,m5",
    "RF-6,60.00,EUR,2026-03-01T10:50:05Z,flo@example.com,m6",
    "RF-6,60.00,EUR,2026-03-01T11:50:05Z,flo@example.com,m7",
    "XX-7,70.00,EUR,2026-03-01T12:00:05Z,gus@example.com,m8",
    "RF-9,1.00,EUR,2026-03-01T18:00:05Z,zoe@example.com,m9",
]
EXPECTED = {  # kind: (number, line of the refund, line of the confirmation)
    "missing": ("RF-2", 3, 0),
    "amount": ("RF-3", 4, 3),
    "currency": ("RF-4", 5, 4),
    "recipient": ("RF-5", 6, 5),
    "duplicate": ("RF-6", 7, 7),
    "spurious": ("XX-7", 0, 8),
}


@pytest.fixture
def books(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    def write(
        refunds: Sequence[str] = REFUNDS, confirmations: Sequence[str] = CONFIRMATIONS, header: str = HEADER, sent: str = f"{HEADER},id"
    ) -> tuple[Path, Path]:
        one, other = tmp_path / "refunds.csv", tmp_path / "confirmations.csv"
        one.write_text("\n".join([header, *refunds]) + "\n")
        other.write_text("\n".join([sent, *confirmations]) + "\n")
        return one, other

    return write


@pytest.fixture
def compare(mailcanary: Command) -> Callable[..., tuple[Outcome, dict[str, Any]]]:
    """The outcome and its document, which the schema is true of."""

    def run(*argv: object) -> tuple[Outcome, dict[str, Any]]:
        outcome = mailcanary("ledger", "reconcile", *argv, "--format", "json")
        document = json.loads(outcome.out) if outcome.out else {}
        if document:
            jsonschema.validate(document, COMPARISON, format_checker=jsonschema.FormatChecker())
        assert "@" not in outcome.out + outcome.err
        return outcome, document

    return run


Books = Callable[..., tuple[Path, Path]]
Compare = Callable[..., tuple[Outcome, dict[str, Any]]]


def place(side: str, line: int) -> str:
    return f"{side}, {side}.csv, line {line}" if line else ""


def of(document: dict[str, Any], kind: str) -> dict[str, Any]:
    (found,) = (row for row in document["differences"] if row["kind"] == kind)
    assert isinstance(found, dict)
    return found


# --- what differs ---------------------------------------------------------------------------------------------------------------


def test_every_kind_with_its_lines(compare: Compare, books: Books) -> None:
    outcome, document = compare(*books())
    assert outcome.code == 1 and not outcome.err and len(document["differences"]) == len(EXPECTED)
    for kind, (number, refund, confirmation) in EXPECTED.items():
        row = of(document, kind)
        assert row["refund"] == number
        assert (row["refund_place"], row["confirmation_place"]) == (place("refunds", refund), place("confirmations", confirmation))
    amount = of(document, "amount")
    assert (amount["refund_amount"], amount["confirmation_amount"]) == ("30.00", "33.00")
    assert (of(document, "missing")["refund_amount"], of(document, "missing")["refund_currency"]) == ("20.00", "GBP")
    assert document["standing"]["confirmed"] == 5 and document["as_of"] == "2026-03-01T18:00:05.000Z"
    assert {row["class"]: row["open"] for row in document["standing"]["classes"]} == {
        "missing": 1, "spurious": 1, "mismatched": 3, "duplicate": 1,
    }  # fmt: skip


def test_the_text_says_it_in_a_line_for_each_class(mailcanary: Command, books: Books) -> None:
    outcome = mailcanary("ledger", "reconcile", *books())
    assert outcome.code == 1 and not outcome.err and "\x1b" not in outcome.out and "@" not in outcome.out
    assert outcome.out.splitlines()[:4] == [
        "1 refund without a confirmation, 1 customer: 20.00 GBP",
        "1 confirmation without a refund, 1 customer: 70.00 EUR",
        "3 confirmations that say or go wrong, 3 customers: 83.00 EUR, 40.00 USD",
        "1 confirmation sent again, 1 customer: 60.00 EUR",
    ]
    for number, refund, confirmation in EXPECTED.values():
        (line,) = (text for text in outcome.out.splitlines() if f" {number} " in text)
        assert all(f"{side}.csv, line {at}" in line for side, at in (("refunds", refund), ("confirmations", confirmation)) if at)


def test_nothing_differs(mailcanary: Command, books: Books) -> None:
    outcome = mailcanary("ledger", "reconcile", *books(REFUNDS[:1] + REFUNDS[-1:], CONFIRMATIONS[:1] + CONFIRMATIONS[-1:]))
    assert outcome.code == 0 and outcome.out.startswith("no difference: 2 of 2 refunds confirmed as they should be\n")


def test_nothing_differs_among_what_could_be_read(mailcanary: Command, books: Books) -> None:
    refunds = [REFUNDS[0], "RF-20,12.50,EURO9,2026-03-01T10:00:00Z,ann@example.com", REFUNDS[-1]]
    outcome = mailcanary("ledger", "reconcile", *books(refunds, CONFIRMATIONS[:1] + CONFIRMATIONS[-1:]))
    assert outcome.code == 3 and "no difference: " not in outcome.out
    assert re.match(r"no difference among what could be read; 1 row of \S*refunds\.csv could not be taken \(exit 3\)\n", outcome.out)


def test_faults_stand_in_the_order_of_lines(compare: Compare, books: Books) -> None:
    again, refused = REFUNDS[0].replace("12.50", "13.00"), "RF-20,12.50,EURO9,2026-03-01T10:00:00Z,ann@example.com"
    _, document = compare(*books([REFUNDS[0], again, refused]))
    assert [fault["line"] for fault in document["files"]["refunds"]["faults"]] == [3, 4]


def test_more_than_the_text_shows(mailcanary: Command, books: Books, tmp_path: Path) -> None:
    lost = [f"L-{number:03d},1.00,EUR,2026-03-01T09:00:00Z,ann@example.com" for number in range(60)]
    files = books([*lost, *REFUNDS], CONFIRMATIONS)
    outcome = mailcanary("ledger", "reconcile", *files, "--output", tmp_path / "all.csv")
    assert "61 refunds without a confirmation" in outcome.out and "and 46 more: --output FILE.csv or FILE.json writes all" in outcome.out
    assert "L-019" in outcome.out and "L-020" not in outcome.out
    rows = list(csv.DictReader(io.StringIO((tmp_path / "all.csv").read_text())))
    assert len(rows) == 66 and {row["refund"] for row in rows} >= {f"L-{number:03d}" for number in range(60)}


def test_by_the_number_of_the_order(compare: Compare, books: Books) -> None:
    """Two refunds of one order, and one mail of their sum."""
    files = books(
        ["RF-1,A-1,10.00,EUR,2026-03-01T10:00:00Z", "RF-2,A-1,5.00,EUR,2026-03-01T10:01:00Z", "RF-3,A-2,7.00,EUR,2026-03-01T10:02:00Z"],
        ["A-1,15.00,EUR,2026-03-01T10:01:30Z", "A-2,7.00,EUR,2026-03-01T15:00:00Z"],
        "refund,order,amount,currency,at",
        "order,amount,currency,at",
    )
    outcome, document = compare(*files, "--match", "order")
    assert outcome.code == 0 and document["standing"]["confirmed"] == 3
    assert compare(*files)[0].code == 2  # refunds have no number in the mails


def test_windows(compare: Compare, books: Books) -> None:
    late = [REFUNDS[0], REFUNDS[-1]], [CONFIRMATIONS[-1]]
    files = books(*late)
    assert compare(*files)[0].code == 1
    outcome, document = compare(*files, "--confirm-within", "12h")
    assert outcome.code == 3 and document["standing"]["awaited"] == 1
    assert any(note.startswith("1 record too near the end to say") for note in document["notes"])
    assert compare(*files, "--as-of", "2026-03-01T10:59:00Z")[0].code == 3
    assert compare(*files, "--as-of", "2026-03-01T11:01:00Z")[0].code == 1
    assert compare(*files, "--as-of", "2026-03-01T11:59:00", "--time-zone", "Europe/Berlin")[0].code == 3


TIMED = "refund,amount,currency,at"
FINE = [f"RF-{n},1.00,EUR,2026-03-01T{n + 6:02d}:00:00Z" for n in range(4)]


def bogus(times: Sequence[str]) -> list[str]:
    return [f"XX-{place},1.00,EUR,{at}" for place, at in enumerate(times)]


@pytest.mark.parametrize(
    ("refunds", "sent", "code", "words"),
    [
        (FINE, FINE, 0, "no difference: 4 of 4 refunds confirmed as they should be\n"),
        (
            [*FINE, "RF-9,1.00,EUR,2026-03-01T09:00:00Z"],
            FINE,
            0,
            "no difference: 4 of 5 refunds confirmed as they should be; 1 record could",
        ),
        (FINE, [*FINE, *bogus(["2026-03-01T09:00:00Z"])], 0, "no difference: 4 of 4 refunds confirmed as they should be; 1 record could"),
        (FINE, [*FINE, *bogus(["2026-03-01T06:59:59Z"])], 0, "no difference: 4 of 4 refunds confirmed as they should be; 1 record could"),
        (FINE, [*FINE, *bogus(["2026-03-01T07:00:00Z"])], 1, "1 confirmation without a refund"),
        ([*FINE, *bogus(["2026-03-01T08:30:00Z"] * 9)], FINE, 3, "nothing wrong among 8 records that could be decided; 9 could not"),
        (FINE[:1], [*FINE[:1], *bogus(["2026-03-01T06:50:00Z"])], 3, "nothing wrong among 2 records that could be decided; 1 could not"),
        ([*FINE[:1], "RF-9,1.00,EUR,2026-03-01T06:50:00Z"], FINE[:1], 3, "nothing wrong among 2 records that could be decided; 1 could"),
    ],
    ids=["all", "a late refund", "a late mail", "an early mail", "not too early", "most refunds late", "short, a mail", "short, a refund"],
)
def test_what_could_not_be_decided(
    mailcanary: Command, books: Books, refunds: Sequence[str], sent: Sequence[str], code: int, words: str
) -> None:
    outcome = mailcanary("ledger", "reconcile", *books(refunds, sent, TIMED, TIMED))
    assert outcome.code == code and outcome.out.startswith(words), outcome.out


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_dates_without_times_begin_with_their_first_day(compare: Compare, books: Books, zone: str) -> None:
    days = [f"RF-{day},1.00,EUR,2026-03-0{day}" for day in (1, 2, 3)]
    files = books(days, [*days, "XX-1,1.00,EUR,2026-03-01T12:00:00"], TIMED, TIMED)
    outcome, document = compare(*files, "--as-of", "2026-03-05T00:00:00Z", "--time-zone", zone)
    assert outcome.code == 1 and of(document, "spurious")["refund"] == "XX-1", document


def test_dates_of_one_day_say_nothing_before_the_next_one(compare: Compare, books: Books) -> None:
    files = books(FINE[:1], [*FINE[:1], "XX-1,1.00,EUR,2026-03-01"], TIMED, TIMED)
    assert compare(*files)[0].code == 3
    assert compare(*files, "--as-of", "2026-03-02T09:00:00Z")[0].code == 1


# --- how the files are written --------------------------------------------------------------------------------------------------


def test_jsonl_and_gzip_and_stdin(compare: Compare, books: Books, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = books()
    wanted = [(row["kind"], row["refund"]) for row in compare(one, other)[1]["differences"]]
    rows = list(csv.DictReader(io.StringIO(one.read_text())))
    lines = tmp_path / "refunds.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    packed = tmp_path / "confirmations.csv.gz"
    packed.write_bytes(gzip.compress(other.read_bytes()))
    _, document = compare(lines, packed)
    assert [(row["kind"], row["refund"]) for row in document["differences"]] == wanted
    assert of(document, "missing")["refund_place"] == "refunds, refunds.jsonl, line 2"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.read_bytes())))
    _, document = compare("-", packed)
    assert [(row["kind"], row["refund"]) for row in document["differences"]] == wanted
    assert document["files"]["refunds"]["name"] == "-"
    assert "not both" in compare("-", "-")[0].line


def test_columns_of_other_names(compare: Compare, books: Books) -> None:
    files = books(header="number;Total;currency;booked;recipient", refunds=[row.replace(",", ";") for row in REFUNDS])
    outcome, _ = compare(*files)
    assert outcome.code == 2 and "refunds.csv:1: no column 'refund', 'amount', 'at'; there are 'number', 'Total'" in outcome.err
    assert "give --refund-columns" in outcome.err and "refund=number" in outcome.err and "amount=Total" in outcome.err
    outcome, document = compare(*files, "--refund-columns", "refund=number,amount=total", "--refund-columns", "at=booked")
    assert outcome.code == 1 and len(document["differences"]) == len(EXPECTED)


WHAT_BECAME = ["m1,delivered,ann@example.com,RF-1,2026-03-01T10:00:10Z", "m2,Bounce,bo@example.com,RF-2,2026-03-01T10:10:10Z"]


def test_what_became_of_the_mails_is_not_passed_over(compare: Compare, mailcanary: Command, books: Books) -> None:
    """An export of a mail provider: its bounces are no confirmations, whatever the column is called."""
    files = books([*REFUNDS[:2]], WHAT_BECAME, sent="message_id,event,email,refund,at")
    late = ("--as-of", "2026-03-02T09:00:00Z")
    outcome, document = compare(*files, *late)
    assert outcome.code == 3 and not document["differences"]
    text = " ".join(mailcanary("ledger", "reconcile", *files, *late).out.split())
    assert "what became of the mails was not read: column 'event'" in text
    assert "give --confirmation-columns outcome=event" in text and "recipients were not compared" in text
    outcome, document = compare(*files, *late, "--confirmation-columns", "outcome=event")
    assert outcome.code == 1 and of(document, "missing")["refund"] == "RF-2"


def test_another_column_may_say_what_it_likes(compare: Compare, books: Books) -> None:
    rows = [row.replace("delivered", "refund_done").replace("Bounce", "refund_done") for row in WHAT_BECAME]
    files = books([*REFUNDS[:2]], rows, sent="message_id,event,email,refund,at")
    assert compare(*files, "--as-of", "2026-03-02T09:00:00Z")[0].code == 0


def test_what_only_one_side_says_is_not_compared_and_said_so(mailcanary: Command, books: Books) -> None:
    late = ("--as-of", "2026-03-02T09:00:00Z")
    bare = [",".join(row.split(",")[3:]) for row in WHAT_BECAME[:1]]
    text = " ".join(mailcanary("ledger", "reconcile", *books(REFUNDS[:1], bare, sent="refund,at"), *late).out.split())
    assert text.startswith("no difference: 1 of 1 refund have a confirmation")
    assert "amounts and recipients were not compared" in text
    neither = books(["RF-1,1.00,EUR,2026-03-01T10:00:00Z"], ["RF-1,1.00,EUR,2026-03-01T10:00:10Z"], TIMED, TIMED)
    text = mailcanary("ledger", "reconcile", *neither, *late).out
    assert text.startswith("no difference: 1 of 1 refund confirmed as they should be") and "not compared" not in text


def test_an_object_is_no_number(compare: Compare, books: Books) -> None:
    files = books(REFUNDS[:2], ['"{""refund"":""RF-1"",""to"":""ann@example.com""}",2026-03-01T10:00:10Z'], sent="refund,at")
    outcome, _ = compare(*files)
    assert outcome.code == 2 and "is an object or a list, not one value" in outcome.err and "ann@" not in outcome.err
    files = books(REFUNDS[:2], ['RF-1,2026-03-01T10:00:10Z,"{""email"":""ann@example.com""}"'], sent="refund,at,recipient")
    outcome, _ = compare(*files)
    assert outcome.code == 2 and "recipient: is an object" in outcome.err and "ann@" not in outcome.err


def test_a_result_that_could_not_be_written_is_none(books: Books) -> None:
    one, _ = books(REFUNDS[:1])
    command = [sys.executable, "-m", "monitor", "ledger", "reconcile", str(one), str(one.with_name("same.csv")), "--format", "json"]
    one.with_name("same.csv").write_bytes(one.read_bytes())
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 4 and "could not be written" in done.stderr


@pytest.mark.parametrize(
    "header",
    [
        "Refund (id);Total;currency;Created (UTC);recipient",
        "Refund no.;Amount, net;currency;When, created: UTC;Customer's e-mail",
        "id;Sum {EUR};currency;'Date';No",
        "Refund #;Total=;currency;Date",
    ],
)
def test_a_mend_of_the_header_can_be_taken_as_it_stands(compare: Compare, books: Books, header: str) -> None:
    count = header.count(";") + 1
    files = books(header=header, refunds=[";".join(row.split(",")[:count]) for row in REFUNDS])
    outcome, _ = compare(*files)
    told = next(line for line in outcome.err.splitlines() if "give --refund-columns" in line)
    outcome, document = compare(*files, *shlex.split(told.partition("; give ")[2]))
    assert outcome.code == 1, outcome.err
    assert {"missing": of(document, "missing")["refund"], "amount": of(document, "amount")["refund"]} == {
        "missing": "RF-2",
        "amount": "RF-3",
    }


def test_a_wrong_header(compare: Compare, books: Books) -> None:
    outcome, _ = compare(*books(sent="a,b,c,d,e,f"))
    assert outcome.code == 2 and not outcome.out and "Traceback" not in outcome.err
    assert "confirmations.csv: no row could be taken" in outcome.err and "confirmations.csv:1: no column 'refund', 'at'" in outcome.err
    assert "--confirmation-columns" in outcome.err and "`" not in outcome.err


@pytest.mark.parametrize(
    ("amount", "flags", "code", "words"),
    [
        ("1.234,50", (), 3, "--refund-option decimal=,"),
        ("1.234,50", ("--decimal", ","), 1, "1234.50"),
        ("1234.50", ("--decimal", ","), 3, "--refund-option decimal=."),
        ("12,50", (), 3, "--refund-option decimal=,"),
        ("1250", ("--minor-units",), 1, "12.50"),
        ("12.505", (), 3, "has 3 decimals, EUR has 2"),
        ("", (), 3, "there is no amount"),
        ("-12.50", (), 3, "is negative"),
        ("£12.50", (), 3, "£"),
        ("1e3", (), 3, "scientific notation"),
    ],
)
def test_amounts(mailcanary: Command, books: Books, amount: str, flags: tuple[str, ...], code: int, words: str) -> None:
    """The row is a missing refund, if it can be read; others are whole numbers, which any mark can read."""
    zoe = '"1",EUR,2026-03-01T18:00:00Z,zoe@example.com'
    outcome = mailcanary(
        "ledger", "reconcile", *books([f'RF-1,"{amount}",EUR,2026-03-01T10:00:00Z,', f"RF-9,{zoe}"], [f"RF-9,{zoe},1"]), *flags
    )
    assert outcome.code == code and not outcome.err
    if code == 3:
        assert "1 row of" in outcome.out and "line 2: amount" in outcome.out
    assert words in outcome.out


def test_rows_that_are_refused_and_the_good_ones_beside_them(compare: Compare, books: Books) -> None:
    bad = [
        "RF-20,12.50,EURO9,2026-03-01T10:00:00Z,ann@example.com",
        "RF-21,12.50,EUR,01/03/2026,ann@example.com",
        "RF-22,12.50,EUR",
        ",12.50,EUR,2026-03-01T10:00:00Z,ann@example.com",
        "RF-23,12.50,EUR,1999-03-01T10:00:00Z,ann@example.com",
    ]
    outcome, document = compare(*books([*REFUNDS[:2], *bad, *REFUNDS[2:]]))
    assert outcome.code == 1 and len(document["differences"]) == len(EXPECTED)
    file = document["files"]["refunds"]
    assert (file["records"], file["refused"]) == (len(REFUNDS), len(bad))
    assert [(fault["line"], fault["column"]) for fault in file["faults"]] == [
        (4, "currency"), (5, "at"), (6, ""), (7, "refund"), (8, "at"),
    ]  # fmt: skip
    assert all(fault["mend"] and "`" not in fault["mend"] for fault in file["faults"])
    assert of(document, "amount")["refund_place"].endswith(f"line {4 + len(bad)}")
    assert any("5 rows of" in note and "could not be taken" in note for note in document["notes"])


def test_a_row_twice_with_different_amounts(compare: Compare, books: Books) -> None:
    again = REFUNDS[0].replace("12.50", "13.00")
    outcome, document = compare(*books([*REFUNDS, again, REFUNDS[1]], [*CONFIRMATIONS, CONFIRMATIONS[0]]))
    refunds, confirmations = document["files"]["refunds"], document["files"]["confirmations"]
    assert (refunds["records"], refunds["known"], refunds["refused"], confirmations["known"]) == (len(REFUNDS), 1, 1, 1)
    (fault,) = refunds["faults"]
    assert fault["line"] == 9 and "line 2 with 12.50 EUR" in fault["what"] and "line 9 with 13.00 EUR" in fault["what"]
    assert outcome.code == 1 and len(document["differences"]) == len(EXPECTED)


def test_what_is_right_for_one_file_is_not_told_of_both(compare: Compare, books: Books) -> None:
    files = books([row.replace(",12.50,", ',"12,50",') for row in REFUNDS[:1]], CONFIRMATIONS[:1])
    outcome, _ = compare(*files)
    (told,) = re.findall(r"give (--refund-option \S+)", outcome.err)
    assert outcome.code != 0 and compare(*files, *told.split())[0].code == 0


def test_mixed_encodings(compare: Compare, books: Books) -> None:
    one, other = books()
    one.write_bytes(b"\xef\xbb\xbf" + one.read_bytes() + "RF-30,5.00,EUR,2026-03-01T10:00:00Z,jos\xe9@example.com\n".encode("latin-1"))
    other.write_bytes(other.read_text().encode("utf-16"))
    outcome, document = compare(one, other)
    assert outcome.code == 1 and len(document["differences"]) == len(EXPECTED)
    (fault,) = document["files"]["refunds"]["faults"]
    assert (fault["line"], fault["column"]) == (9, "recipient") and "not UTF-8" in fault["what"] and "UTF-8" in fault["mend"]


def test_words_of_theirs_for_a_status(compare: Compare, books: Books) -> None:
    files = books(
        [
            "RF-1,12.50,EUR,2026-03-01T10:00:00Z,erledigt",
            "RF-8,5.00,EUR,2026-03-01T10:00:00Z,offen",
            REFUNDS[-1].replace("zoe@example.com", "done"),
        ],
        [CONFIRMATIONS[0].replace("ann@example.com", ""), CONFIRMATIONS[-1].replace("zoe@example.com", "")],
        "refund,amount,currency,at,status",
    )
    outcome, document = compare(*files)
    mend = document["files"]["refunds"]["faults"][0]["mend"]
    assert document["files"]["refunds"]["refused"] == 2 and "--statuses erledigt=processed" in mend
    outcome, document = compare(*files, "--statuses", "Erledigt=processed,offen=ignored")
    assert outcome.code == 0 and document["standing"]["confirmed"] == 2 and not document["files"]["refunds"]["refused"]


def test_a_currency_for_all(compare: Compare, books: Books) -> None:
    files = books(["RF-9,1.00,2026-03-01T18:00:00Z"], ["RF-9,1.00,2026-03-01T18:00:00Z"], "refund,amount,at", "refund,amount,at")
    outcome, _ = compare(*files)
    assert outcome.code == 2 and "--refund-option currency=EUR" in outcome.err
    assert compare(*files, "--currency", "eur")[0].code == 0


def test_times_of_theirs(compare: Compare, books: Books) -> None:
    files = books(
        ["RF-9,1.00,EUR,31.03.2026 18:00"], ["RF-9,1.00,EUR,31.03.2026 18:01"], "refund,amount,currency,at", "refund,amount,currency,at"
    )
    outcome, _ = compare(*files)
    assert outcome.code == 2 and "--refund-option time-format=" in outcome.err
    outcome, _ = compare(*files, "--time-format", "%d.%m. %H:%M")
    assert outcome.code == 2 and "--time-format '%d.%m. %H:%M' does not tell the day, the month and the year; name" in outcome.err
    outcome, document = compare(
        *files, "--time-format", "%d.%m.%Y %H:%M", "--time-zone", "Europe/Berlin", "--as-of", "2026-03-31T20:00:00Z"
    )
    assert outcome.code == 0 and document["files"]["refunds"]["earliest"] == "2026-03-31T16:00:00.000Z"


# --- files that are none ----------------------------------------------------------------------------------------------------------


def test_what_cannot_be_compared(mailcanary: Command, books: Books, tmp_path: Path) -> None:
    one, other = books()
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    for files, words in {
        (one, tmp_path / "none.csv"): "there is no file",
        (tmp_path, other): "cannot read",
        (one, empty): "empty.csv: is empty",
        (one, one): "is the same file",
        (one,): "two files",
    }.items():
        outcome = mailcanary("ledger", "reconcile", *files)
        assert outcome.code == 2 and words in outcome.err and "Traceback" not in outcome.err and not outcome.out, outcome
    binary = tmp_path / "picture.csv"
    binary.write_bytes(bytes(range(256)) * 100)
    outcome = mailcanary("ledger", "reconcile", one, binary)
    assert outcome.code == 2 and "Traceback" not in outcome.err and "\0" not in outcome.err


def test_a_header_and_nothing_else(compare: Compare, books: Books) -> None:
    outcome, document = compare(*books([], []))
    assert outcome.code == 3 and document["as_of"] is None and document["differences"] == []
    outcome, document = compare(*books(REFUNDS, []))
    assert outcome.code == 1 and document["standing"]["classes"][0]["open"] == 6  # the last one is still awaited
    outcome, document = compare(*books([], CONFIRMATIONS))
    assert outcome.code == 3 and document["standing"]["undecided"] == 8


def test_nothing_to_compare_is_said(mailcanary: Command, books: Books) -> None:
    outcome = mailcanary("ledger", "reconcile", *books([], CONFIRMATIONS))
    assert outcome.code == 3 and outcome.out.startswith("nothing to compare: ") and "refunds.csv holds no refund\n" in outcome.out


def test_one_file_that_ends_or_begins_early(compare: Compare, books: Books) -> None:
    _, document = compare(*books(REFUNDS, CONFIRMATIONS[:-1]))
    assert any(note.startswith("confirmations end 6.0 hours before refunds") and "export is older" in note for note in document["notes"])
    _, document = compare(*books(REFUNDS[:-1], CONFIRMATIONS))
    assert any(note.startswith("refunds end 7.2 hours before confirmations") for note in document["notes"])
    _, document = compare(*books(REFUNDS, CONFIRMATIONS[-1:]))
    assert any(note.startswith("confirmations begin 8.0 hours after refunds") for note in document["notes"])
    _, document = compare(*books())
    assert document["notes"] == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--delimiter", ";;"), "--delimiter ';;': write one sign"),
        (("--delimiter", '"'), "--delimiter"),
        (("--columns", "amount"), "write FIELD=COLUMN"),
        (("--columns", "total=amount"), "write FIELD=COLUMN"),
        (("--statuses", "ok=good"), "write WORD=MEANING"),
        (("--currency", "EURO"), "--currency EURO: 'EURO' is no currency"),
        (("--time-zone", "Mars"), "--time-zone Mars: is no time zone"),
        (("--time-zone", "../../etc/passwd"), "is no time zone"),
        (("--confirm-within", "soon"), "--confirm-within soon"),
        (("--refund-within", "0s"), "--refund-within 0s"),
        (("--as-of", "yesterday"), "--as-of yesterday"),
        (("--output", "differences.txt"), "has to end in .csv or .json"),
        (("--output", "no/such/differences.csv"), "there is no such directory"),
        (("--config", "none.yaml"), "none.yaml: no such file"),
    ],
)
def test_flags_that_cannot_be(mailcanary: Command, books: Books, flags: tuple[str, ...], words: str) -> None:
    outcome = mailcanary("ledger", "reconcile", *books(), *flags)
    assert outcome.code == 2 and words in outcome.line and not outcome.out


# --- what is written ---------------------------------------------------------------------------------------------------------------


def test_written_as_csv_and_json(mailcanary: Command, compare: Compare, books: Books, tmp_path: Path) -> None:
    files = books()
    outcome = mailcanary("ledger", "reconcile", *files, "--format", "csv")
    for name in ("differences.csv", "differences.JSON"):
        (tmp_path / name).write_text("an older one")
        assert mailcanary("ledger", "reconcile", *files, "--output", tmp_path / name).code == 1
    rows, said = ([*csv.DictReader(io.StringIO(text))] for text in (outcome.out, (tmp_path / "differences.csv").read_text()))
    assert outcome.code == 1 and [row["kind"] for row in rows] == [row["kind"] for row in said] and len(rows) == len(EXPECTED)
    document = json.loads((tmp_path / "differences.JSON").read_text())
    jsonschema.validate(document, COMPARISON)
    assert [row["kind"] for row in document["differences"]] == [row["kind"] for row in rows]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["confirmations.csv", "differences.JSON", "differences.csv", "refunds.csv"]


def test_what_a_spreadsheet_would_take_for_a_formula(mailcanary: Command, books: Books) -> None:
    hostile = ['"=HYPERLINK(""http://evil.test"")",1.00,EUR,2026-03-01T09:00:00Z,', "@SUM(A1),1.00,EUR,2026-03-01T09:01:00Z,"]
    outcome = mailcanary("ledger", "reconcile", *books([*hostile, REFUNDS[-1]], CONFIRMATIONS[-1:]), "--format", "csv")
    numbers = [row["refund"] for row in csv.DictReader(io.StringIO(outcome.out))]
    assert numbers == ['\'=HYPERLINK("http://evil.test")', "'@SUM(A1)"]


def test_hostile_numbers_steer_no_terminal(mailcanary: Command, books: Books) -> None:
    marked = ["RF-[red]:heart:\\,1.00,EUR,2026-03-01T09:00:00Z,", "RF-\x1b]0;owned\x07,1.00,EUR,2026-03-01T09:01:00Z,"]
    outcome = mailcanary("ledger", "reconcile", *books([*marked, REFUNDS[-1]], CONFIRMATIONS[-1:]))
    assert outcome.code == 1 and "RF-[red]:heart:\\ " in outcome.out and "\x1b" not in outcome.out and "\x07" not in outcome.out
    assert "line 3: refund: has control or invisible characters" in outcome.out


def test_files_of_hostile_names(mailcanary: Command, books: Books, tmp_path: Path) -> None:
    one, other = books()
    named = tmp_path / "a\x1b[31m[bold]b\n.csv"
    one.rename(named)
    outcome = mailcanary("ledger", "reconcile", named, other)
    assert outcome.code == 1 and "\x1b" not in outcome.out and "[bold]b" in outcome.out
    outcome = mailcanary("ledger", "reconcile", tmp_path / "\x1b[31mnone", other)
    assert outcome.code == 2 and "\x1b" not in outcome.line


# --- with a configuration ----------------------------------------------------------------------------------------------------------


def test_probes_and_holding_mailboxes_of_a_configuration(
    compare: Compare, books: Books, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", "secret")
    policy(tmp_path, seeds=1, holding=True)
    files = books(
        ["RF-1,12.50,EUR,2026-03-01T10:00:00Z,seed1@box.test", "RF-2,20.00,GBP,2026-03-01T10:10:00Z,bo@example.com", REFUNDS[-1]],
        [
            "XX-1,12.50,EUR,2026-03-01T10:00:05Z,SEED1+x@box.test,a",
            "RF-2,20.00,GBP,2026-03-01T10:10:05Z,holding@store.test,b",
            CONFIRMATIONS[-1],
        ],
    )
    outcome, document = compare(*files)
    assert (outcome.code, len(document["differences"]), document["files"]["refunds"]["probes"]) == (1, 2, 0)
    outcome, document = compare(*files, "-c", tmp_path / "mailcanary.yaml")
    (row,) = document["differences"]
    assert outcome.code == 1 and (row["kind"], row["refund"]) == ("missing", "RF-2") and "holding mailbox" in row["note"]
    assert (document["files"]["refunds"]["probes"], document["files"]["confirmations"]["probes"]) == (1, 1)
    assert sum("1 probe in" in note and "left out" in note for note in document["notes"]) == 2


def test_the_schema_is_that_of_the_daemon_in_its_parts() -> None:
    jsonschema.Draft202012Validator.check_schema(COMPARISON)
    daemons = json.loads((SCHEMAS / "ledger.schema.json").read_text())["$defs"]
    for part in ("standing", "class", "money", "difference", "kind"):
        assert COMPARISON["$defs"][part] == daemons[part], f"{part}: copy it from config/ledger.schema.json"


def test_each_file_may_be_written_in_its_own_way(mailcanary: Command, tmp_path: Path) -> None:
    """Refunds in cents, or negative, beside confirmations that never are."""
    refunds, sent = tmp_path / "refunds.csv", tmp_path / "sent.csv"
    sent.write_text("refund,amount,currency,at,id\nRF-1,10.00,EUR,2026-03-01T12:05:00Z,m1\nRF-9,1.00,EUR,2026-03-01T16:00:00Z,m9\n")
    last = "RF-9,{},EUR,2026-03-01T15:59:00Z\n"
    refunds.write_text("refund,amount,currency,at\nRF-1,1000,EUR,2026-03-01T12:00:00Z\n" + last.format(100))
    assert mailcanary("ledger", "reconcile", str(refunds), str(sent), "--refund-option", "minor-units=true").code == 0
    assert mailcanary("ledger", "reconcile", str(refunds), str(sent)).code == 1, "else it is a thousand"
    refunds.write_text("refund,amount,currency,at\nRF-1,-10.00,EUR,2026-03-01T12:00:00Z\n" + last.format("-1.00"))
    assert mailcanary("ledger", "reconcile", str(refunds), str(sent), "--negative").code == 0
    for option, said in (
        ("minor=true", "write OPTION=VALUE, with an option of currency, decimal"),
        ("decimal=;", "write decimal=. or decimal=,"),
    ):
        outcome = mailcanary("ledger", "reconcile", str(refunds), str(sent), "--refund-option", option)
        assert outcome.code == 2 and said in outcome.err, outcome
