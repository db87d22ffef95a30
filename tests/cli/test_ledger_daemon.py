"""`mailcanary ledger status|show|import|purge|reconcile` against the real HTTP surface, with a store on disk behind it."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from monitor.cli.ledger import importing
from monitor.desk import Desk
from monitor.edge.clock import SystemClock
from monitor.edge.entropy import SystemEntropy
from monitor.edge.journal import MemoryJournal
from monitor.edge.ledger import SqliteLedger
from monitor.model.facts import LedgerPurged
from monitor.model.incident import Scope, ScopeKind, Severity
from monitor.model.ledger import Side
from monitor.model.policy import ListenPolicy
from monitor.model.verdict import Symptom
from monitor.surface.api import Api
from monitor.surface.metrics import Metrics, Vitals
from monitor.views.world import World
from tests.cli.conftest import Outcome
from tests.cli.daemons import SECRETS, TOKENS
from tests.fakes.paths import StubSecrets
from tests.ports import free_port
from tests.stages.house import policy
from tests.surface import happenings as so
from tests.surface.books import pushed, with_ledger

Command = Callable[..., Outcome]
REFUNDS = "refund,amount,currency,at,recipient"
MAILS = "refund,amount,currency,at,recipient,id"
LATE = 120.0  # seconds: everything older is complete at once


@dataclass
class Bookshop:
    """A daemon's surface, its store, and what its stage was nudged about."""

    url: str
    desk: Desk
    loop: asyncio.AbstractEventLoop
    nudged: list[None] = field(default_factory=list)

    def happen(self, *facts: Any) -> None:
        asyncio.run_coroutine_threadsafe(self.desk.journal.append(facts), self.loop).result(10)

    def facts(self) -> list[Any]:
        return [entry.fact for entry in self.desk.journal._entries]  # type: ignore[attr-defined]


@contextmanager
def bookshop(directory: Path, configured: bool = True, open_to: str = "127.0.0.1") -> Iterator[Bookshop]:
    world, loop = World(), asyncio.new_event_loop()
    rules = replace(policy(directory, seeds=1), listen=ListenPolicy(open_to, 9464, TOKENS))
    if configured:
        rules = with_ledger(
            rules, pushed("shop", Side.REFUNDS, LATE), pushed("mailer", Side.CONFIRMATIONS, LATE), confirm_within=60.0, refund_within=60.0
        )
    desk = Desk(MemoryJournal(world.fold), world, SystemClock(), SystemEntropy(), rules)
    ledger = SqliteLedger(directory / "ledger.sqlite3")
    site = Bookshop("", desk, loop)
    api = Api(
        desk, Metrics(rules, world, Vitals()), StubSecrets(dict(SECRETS)), lambda: 0.0, lambda: True,
        ledger=ledger, nudge=lambda: site.nudged.append(None),
    )  # fmt: skip
    up, end = threading.Event(), asyncio.Event()

    async def serve() -> None:
        runner = web.AppRunner(api.application(), access_log=None, handle_signals=False)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        up.set()
        await end.wait()
        await runner.cleanup()
        await ledger.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert up.wait(10)
        yield site
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(10)
        loop.close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Bookshop]:
    with bookshop(tmp_path) as site:
        yield site


@pytest.fixture
def ledger(mailcanary: Command, daemon: Bookshop) -> Command:
    return lambda *argv: mailcanary("ledger", *argv, "--server", daemon.url)


@pytest.fixture
def book(tmp_path: Path) -> Callable[[str, Sequence[str]], Path]:
    def write(header: str, rows: Sequence[str]) -> Path:
        path = tmp_path / "book.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    return write


Book = Callable[[str, Sequence[str]], Path]


def refund(number: int, amount: str = "12.50") -> str:
    return f"RF-{number:06d},{amount},EUR,2026-03-01T10:00:00Z,customer{number}@example.com"


def mail(number: int, amount: str = "12.50") -> str:
    return f"{refund(number, amount)},m{number}"


# --- import ---------------------------------------------------------------------------------------------------------------------


def test_import_and_the_same_again(ledger: Command, daemon: Bookshop, book: Book) -> None:
    file = book(REFUNDS, [refund(1), refund(2), "RF-3,5.00,EUR,2026-03-01T10:00:00Z,seed1@box.test"])
    outcome = ledger("import", file, "--refunds")
    assert (outcome.code, outcome.out, outcome.err) == (0, "2 refunds taken, 0 were known, 0 changed, 0 refused, 1 probe left out\n", "")
    assert daemon.nudged
    assert ledger("import", file, "--refunds").out == "0 refunds taken, 2 were known, 0 changed, 0 refused, 1 probe left out\n"
    assert ledger("import", book(MAILS, [mail(1)]), "--confirmations").out.startswith("1 confirmations taken, ")


def test_import_in_batches_with_the_lines_of_the_file(ledger: Command, book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH", 100)
    rows = [refund(number) for number in range(450)]
    rows[333] = refund(333, '"12,50"')
    rows[444] = "RF-9,1.00,EUR"
    rows.append(refund(7, "99.00"))
    outcome = ledger("import", book(REFUNDS.replace("amount", "total"), rows), "--refunds", "--columns", "amount=total")
    assert outcome.code == 3 and outcome.out == "448 refunds taken, 0 were known, 0 changed, 3 refused\n"
    lines = outcome.err.splitlines()
    assert [line.split("book.csv:")[1].split(": ")[0] for line in lines] == ["335", "446", "452"]
    assert ": total: '12,50' is no amount" in lines[0] and "has 3 fields" in lines[1] and "with 99.00 EUR" in lines[2]
    assert "@" not in outcome.err


def test_import_where_a_whole_batch_is_refused(ledger: Command, book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is taken, and lines are the file's."""
    monkeypatch.setattr(importing, "BATCH", 2)
    rows = [refund(1), refund(2), refund(3, "x"), refund(4, "y"), refund(5)]
    outcome = ledger("import", book(REFUNDS, rows), "--refunds")
    assert outcome.code == 3 and outcome.out == "3 refunds taken, 0 were known, 0 changed, 2 refused\n"
    assert "book.csv:4: amount: 'x'" in outcome.err and "book.csv:5: amount: 'y'" in outcome.err


def test_import_names_only_the_first_faults(ledger: Command, book: Book) -> None:
    outcome = ledger("import", book(REFUNDS, [refund(number, "x") for number in range(50)]), "--refunds")
    assert outcome.code == 3 and len(outcome.err.splitlines()) == 21 and outcome.err.endswith("and 30 more\n")


TWO_AMOUNTS = "refund,{},{},currency,at,recipient"


@pytest.mark.parametrize("header", [TWO_AMOUNTS.format("total", "amount"), TWO_AMOUNTS.format("Total", "Amount")])
def test_import_takes_the_column_that_was_named(ledger: Command, book: Book, header: str) -> None:
    """Whatever another one is called, and wherever it stands."""
    file = book(header, ["RF-1,12.50,99.00,EUR,2026-03-01T10:00:00Z,ann@example.com"])
    assert ledger("import", file, "--refunds", "--columns", "amount=total").code == 0
    same = ledger("import", book(REFUNDS, ["RF-1,12.50,EUR,2026-03-01T10:00:00Z,ann@example.com"]), "--refunds")
    assert same.out.startswith("0 refunds taken, 1 were known, 0 changed, 0 refused"), same


@pytest.mark.parametrize(
    ("header", "columns", "words"),
    [
        (TWO_AMOUNTS.format("amount", "amount"), (), "book.csv:1: the column 'amount' is there 2 times; leave one of them out"),
        (TWO_AMOUNTS.format("total", "total"), ("--columns", "amount=total"), "the column 'total' is there 2 times"),
        (TWO_AMOUNTS.format("sum", "sum"), (), "book.csv:1: the column 'sum' is there several times"),
        (TWO_AMOUNTS.format("totals", "x"), ("--columns", "amount=total"), "give --columns amount=totals"),
    ],
)
def test_import_of_columns_that_may_be_one_or_another(
    ledger: Command, daemon: Bookshop, book: Book, header: str, columns: tuple[str, ...], words: str
) -> None:
    outcome = ledger("import", book(header, ["RF-1,12.50,99.00,EUR,2026-03-01T10:00:00Z,"]), "--refunds", *columns)
    assert outcome.code == 2 and words in outcome.line and not daemon.nudged, outcome


def test_import_of_columns_without_names(ledger: Command, book: Book) -> None:
    """As a spreadsheet leaves them."""
    assert ledger("import", book(f"{REFUNDS},,", [f"{refund(1)},,"]), "--refunds").code == 0


def test_import_of_a_wrong_header(ledger: Command, book: Book) -> None:
    outcome = ledger("import", book("a,b,c", ["1,2,3"]), "--refunds")
    assert outcome.code == 3 and outcome.out.startswith("0 refunds taken") and "book.csv: no column 'refund'" in outcome.err


@pytest.mark.parametrize(("text", "words"), [("", "is empty"), (f"{REFUNDS}\n", "there is no row in it")])
def test_import_of_a_file_without_rows(ledger: Command, tmp_path: Path, text: str, words: str) -> None:
    """An export that failed is not taken for one of a quiet night."""
    path = tmp_path / "empty.csv"
    path.write_text(text)
    outcome = ledger("import", path, "--refunds")
    assert outcome.code == 3 and outcome.out.startswith("0 refunds taken") and f"empty.csv: {words}" in outcome.err


def test_import_of_long_rows_fits_into_requests(ledger: Command, book: Book) -> None:
    """Three times what one request may hold, in fewer rows than one may have: the names of columns are in each of them."""
    names = ",".join(f"{'column' * 10}{number}" for number in range(190))
    rows = [f"{refund(number)}{',' * 190}" for number in range(999)]
    assert ledger("import", book(f"{REFUNDS},{names}", rows), "--refunds").out.startswith("999 refunds taken")


def test_import_of_what_is_not_there(ledger: Command, tmp_path: Path, book: Book) -> None:
    outcome = ledger("import", tmp_path / "none.csv", "--refunds")
    assert outcome.code == 2 and "there is no file" in outcome.line
    outcome = ledger("import", book(REFUNDS, [refund(1)]), "--refunds", "--source", "till")
    assert outcome.code == 2 and "till takes no refunds; name one of shop" in outcome.line
    assert ledger("import", book(REFUNDS, [])).code == 2


@dataclass
class Busy:
    """Says no a few times, then yes."""

    says: list[tuple[int, dict[str, str]]]
    asked: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def busy() -> Iterator[tuple[Busy, str]]:
    state = Busy([])

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            state.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            code, headers = state.says.pop(0) if state.says else (200, {})
            taken = {"taken": 1, "known": 0, "changed": 0, "dropped_probes": 0, "refused": 0, "conflicts": 0, "faults": []}
            body = json.dumps(taken if code == 200 else {"reason": "busy"}).encode()
            self.send_response(code)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield state, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join(10)
    server.server_close()


def test_import_waits_as_long_as_it_is_told(
    mailcanary: Command, busy: tuple[Busy, str], book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, url = busy
    waited: list[float] = []
    monkeypatch.setattr(importing.clock, "pause", waited.append)
    state.says = [(503, {"Retry-After": "5"}), (429, {}), (503, {"Retry-After": "900"})]
    outcome = mailcanary("ledger", "import", book(REFUNDS, [refund(1)]), "--refunds", "--server", url)
    assert outcome.code == 0 and waited == [5.0, 1.0, 30.0] and len(state.asked) == 4
    assert all(asked == state.asked[0] for asked in state.asked)


def test_import_gives_up_and_says_how_to_go_on(
    mailcanary: Command, busy: tuple[Busy, str], book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, url = busy
    monkeypatch.setattr(importing.clock, "pause", lambda _: None)
    monkeypatch.setattr(importing, "BATCH", 1)
    state.says = [(200, {})] + 5 * [(503, {})]
    outcome = mailcanary("ledger", "import", book(REFUNDS, [refund(1), refund(2)]), "--refunds", "--server", url)
    assert outcome.code == 4 and not outcome.out and len(state.asked) == 6
    assert "1 row is in the ledger; import the file again to go on" in outcome.err and "503 busy" in outcome.err


# --- what stands ----------------------------------------------------------------------------------------------------------------


def filled(ledger: Command, book: Book, missing: int = 3) -> None:
    """So many missing refunds, one that is right, one mail that is bogus, one of a wrong amount."""
    ledger("import", book(REFUNDS, [*(refund(number) for number in range(missing + 2)), "RF-X,1,EUR,2026-03-02T10:00:00Z,"]), "--refunds")
    mails = [mail(missing), mail(missing + 1, "13.00"), "XX-1,7.00,GBP,2026-03-01T12:00:00Z,gus@example.com,x"]
    ledger("import", book(MAILS, [*mails, "RF-X,1,EUR,2026-03-02T10:00:00Z,,y"]), "--confirmations")


def test_reconcile_now_and_status(ledger: Command, book: Book) -> None:
    nothing = ledger("reconcile")
    assert nothing.code == 3 and "nothing differs" in nothing.out and "until never" in nothing.out
    filled(ledger, book)
    outcome = ledger("reconcile")
    assert outcome.code == 1 and outcome.out.startswith("3 missing, 1 spurious, 1 mismatched\n") and "@" not in outcome.out
    status = ledger("status")
    assert status.code == 0 and status.out.startswith("3 missing, 1 spurious, 1 mismatched\n")
    assert "RF-" not in status.out and "shop" in status.out and "mailer" in status.out
    document = json.loads(ledger("status", "--format", "json").out)
    assert document["schema"] == "mailcanary.ledger/v1" and document["standing"]["confirmed"] == 3
    assert json.loads(ledger("reconcile", "--format", "json").out)["standing"] == document["standing"]


def test_reconcile_when_all_is_well(ledger: Command, book: Book) -> None:
    ledger("import", book(REFUNDS, [refund(1)]), "--refunds")
    ledger("import", book(MAILS, [mail(1)]), "--confirmations")
    assert ledger("reconcile").code == 0


@pytest.mark.parametrize(
    "flags",
    [
        ("--output", "d.csv"),
        ("--match", "order"),
        ("--delimiter", ";"),
        ("-c", "x.yaml"),
        ("--time-format", "%d"),
        ("--statuses", "a=ignored"),
        ("--minor-units",),
        ("--negative",),
        ("--decimal", ","),
        ("--time-zone", "Europe/Berlin"),
    ],
)
def test_reconcile_now_takes_no_flags_of_files(ledger: Command, flags: tuple[str, ...]) -> None:
    outcome = ledger("reconcile", *flags)
    assert outcome.code == 2 and "is for two files" in outcome.line


def test_status_shows_refused_rows_without_their_numbers(ledger: Command, book: Book) -> None:
    ledger("import", book(REFUNDS, [refund(1), refund(2, '"1.234,50"')]), "--refunds")
    outcome = ledger("status")
    assert outcome.code == 0 and "line 3: amount '1.234,50' is no amount" in outcome.out and "RF-" not in outcome.out


def test_show(ledger: Command, book: Book) -> None:
    assert ledger("show").out == "nothing differs\n"
    filled(ledger, book)
    ledger("reconcile")
    text = ledger("show")
    assert text.code == 0 and text.out.count("missing") == 3 and "RF-000000" in text.out and "XX-1" in text.out and "\x1b" not in text.out
    rows = list(csv.DictReader(io.StringIO(ledger("show", "--kind", "missing", "--kind", "spurious", "--format", "csv").out)))
    assert [(row["kind"], row["refund"]) for row in rows] == [
        ("missing", "RF-000000"), ("missing", "RF-000001"), ("missing", "RF-000002"), ("spurious", "XX-1"),
    ]  # fmt: skip
    document = json.loads(ledger("show", "--kind", "mismatched", "--format", "json").out)
    assert document["schema"] == "mailcanary.differences/v1"
    (row,) = document["differences"]
    assert (row["kind"], row["refund_amount"], row["confirmation_amount"]) == ("amount", "12.50", "13.00")
    assert json.loads(ledger("show", "--kind", "duplicate", "--format", "json").out)["differences"] == []
    assert ledger("show", "--since", "2099-01-01T00:00:00Z").out == "nothing differs\n"
    assert ledger("show", "--since", "once").code == 2


def test_show_of_an_unknown_incident_names_a_command(ledger: Command) -> None:
    outcome = ledger("show", "--incident", "99")
    assert outcome.code == 2 and "no incident INC-99 is known; `mailcanary incident list` lists them" in outcome.err


def test_show_what_is_settled(ledger: Command, book: Book) -> None:
    filled(ledger, book)
    ledger("reconcile")
    ledger("import", book(MAILS, [mail(0)]), "--confirmations")
    ledger("reconcile")
    assert "RF-000000" not in ledger("show").out
    line = next(line for line in ledger("show", "--all").out.splitlines() if "RF-000000" in line)
    assert "settled 20" in line


def test_show_pages_through_thousands(ledger: Command, book: Book) -> None:
    filled(ledger, book, 2_300)
    ledger("reconcile")
    rows = list(csv.DictReader(io.StringIO(ledger("show", "--format", "csv").out)))
    assert len(rows) == 2_302 and len({row["refund"] for row in rows}) == 2_302
    assert len(json.loads(ledger("show", "--format", "json").out)["differences"]) == 2_302
    assert ledger("show", "--kind", "missing").out.count("missing") == 2_300


def test_show_of_an_incident(ledger: Command, daemon: Bookshop, book: Book) -> None:
    filled(ledger, book)
    ledger("reconcile")
    opened = so.opened(daemon.desk.clock.now())
    past = replace(daemon.desk.clock.now(), utc=daemon.desk.clock.now().utc - 60)
    daemon.happen(replace(opened, symptom=Symptom.LEDGER_SPURIOUS, scope=Scope(ScopeKind.LEDGER, ""), since=past, severity=Severity.PAGE))
    for name in ("INC-1", "1", "inc-1"):
        assert [row["kind"] for row in json.loads(ledger("show", "--incident", name, "--format", "json").out)["differences"]] == [
            "spurious"
        ]
    outcome = ledger("show", "--incident", "INC-99")
    assert outcome.code == 2 and "no incident INC-99 is known" in outcome.line and not outcome.out


# --- purge ----------------------------------------------------------------------------------------------------------------------


def test_purge_of_one_person(ledger: Command, daemon: Bookshop, book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(ledger, book)
    outcome = ledger("purge", "--recipient", "customer0@example.com", "--yes")
    assert outcome.code == 2 and "write -, and the address on the standard input" in outcome.line and "customer0" not in outcome.err
    monkeypatch.setattr(sys, "stdin", io.StringIO("customer0@example.com\n"))
    outcome = ledger("purge", "--recipient", "-")
    assert outcome.code == 2 and "--yes says that you mean it" in outcome.line and not daemon.facts()
    monkeypatch.setattr(sys, "stdin", io.StringIO(" Customer0@example.com \n"))
    outcome = ledger("purge", "--recipient", "-", "--yes", "--by", "ann")
    assert (outcome.code, outcome.out) == (0, "forgotten: 1 refund, 0 confirmations, 0 differences\n") and not outcome.err
    asked, done = (fact for fact in daemon.facts() if isinstance(fact, LedgerPurged))
    assert asked.by == "ann" and done.purged.refunds == 1 and "example.com" not in repr((asked, done))
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    assert "no address on the standard input" in ledger("purge", "--recipient", "-", "--yes").line


def test_purge_of_what_is_old(ledger: Command, book: Book) -> None:
    filled(ledger, book)
    ledger("reconcile")
    outcome = ledger("purge", "--before", "2026-03-02T00:00:00Z", "--yes", "--by", "ann")
    assert outcome.code == 0 and outcome.out == "forgotten: 5 refunds, 3 confirmations, 5 differences\n"
    assert ledger("purge", "--before", "2099-01-01T00:00:00Z", "--yes", "--by", "ann").code == 2
    assert ledger("purge", "--before", "", "--yes", "--by", "ann").code == 2
    assert ledger("purge", "--yes").code == 2


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answers", "code"), [("customer0@example.com\nyes\n", 0), ("customer0@example.com\nno\n", 2), ("customer0@example.com\n", 2)]
)
def test_purge_asks_on_a_terminal(ledger: Command, book: Book, monkeypatch: pytest.MonkeyPatch, answers: str, code: int) -> None:
    filled(ledger, book)
    monkeypatch.setattr(sys, "stdin", Terminal(answers))
    outcome = ledger("purge", "--recipient", "-", "--by", "ann")
    assert outcome.code == code and "type yes" in outcome.err and "customer0" not in outcome.err
    assert outcome.out.startswith("forgotten: 1 refund,") is (code == 0)


# --- who may, and where there is nothing to ask -----------------------------------------------------------------------------------

ACTS: tuple[tuple[str, ...], ...] = (
    ("status",),
    ("show",),
    ("reconcile",),
    ("purge", "--before", "2026-01-01T00:00:00Z", "--yes", "--by", "ann"),
)


@pytest.mark.parametrize("argv", [*ACTS, ("import", "book.csv", "--refunds")])
def test_no_daemon(mailcanary: Command, book: Book, argv: tuple[str, ...]) -> None:
    book(REFUNDS, [refund(1)])
    outcome = mailcanary("ledger", *argv, "--server", f"http://127.0.0.1:{free_port()}")
    assert outcome.code == 4 and not outcome.out and "no answer" in outcome.line and "is `mailcanary run` up" in outcome.line


@pytest.mark.parametrize("argv", [*ACTS, ("import", "book.csv", "--refunds")])
def test_no_ledger_configured(mailcanary: Command, book: Book, tmp_path: Path, argv: tuple[str, ...]) -> None:
    book(REFUNDS, [refund(1)])
    with bookshop(tmp_path, configured=False) as site:
        outcome = mailcanary("ledger", *argv, "--server", site.url)
    assert outcome.code == 2 and not outcome.out and "409 no ledger is configured; name its sources" in outcome.line


@pytest.mark.parametrize(
    ("role", "allowed"),
    [("read", {"status"}), ("ledger", {"status", "show", "reconcile", "import"}), ("oncall", {"status", "show", "reconcile", "purge"})],
)
def test_roles(mailcanary: Command, book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str, allowed: set[str]) -> None:
    book(REFUNDS, [refund(1)])
    with bookshop(tmp_path, open_to="0.0.0.0") as site:
        monkeypatch.setenv("MAILCANARY_TOKEN", f"the token of {role}")
        for argv in (*ACTS, ("import", "book.csv", "--refunds")):
            outcome = mailcanary("ledger", *argv, "--server", site.url)
            if argv[0] in allowed:
                assert outcome.code in (0, 3), (argv, outcome)
            else:
                assert outcome.code == 2 and "403" in outcome.line and f"the token of {role}" not in outcome.err, (argv, outcome)
        monkeypatch.delenv("MAILCANARY_TOKEN")
        outcome = mailcanary("ledger", "status", "--server", site.url)
        assert outcome.code == 2 and "401" in outcome.line and "--token-file" in outcome.line


@pytest.mark.parametrize("argv", ACTS[:3])
def test_something_else_answers_there(mailcanary: Command, busy: tuple[Busy, str], argv: tuple[str, ...]) -> None:
    _, url = busy
    outcome = mailcanary("ledger", *argv, "--server", url)
    assert outcome.code == 4 and not outcome.out.strip("[{") and "Traceback" not in outcome.err
