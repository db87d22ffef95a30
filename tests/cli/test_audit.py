"""audit: exit codes, flags and their faults, forms, interruption, darkness, many domains. The DNS is a table, or the lab's server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import junitparser
import pytest

from monitor.__main__ import main as started
from monitor.cli import _parser
from monitor.cli.audit import World, audit, outputs
from monitor.cli.audit.order import order_of
from monitor.cli.audit.work import AT_ONCE, Target
from monitor.edge.clock import SystemClock
from monitor.lab.dns import DnsServer, Trouble
from monitor.model.checks import CheckId, CheckResult, Gravity, ProviderAnswer, Status
from monitor.model.dns import Answer, DnsFailure, Question, RecordType
from monitor.model.inspection import Drift, Subject
from monitor.ports import SuffixList
from monitor.rules.inspect import inspect
from monitor.rules.inspect.profiles import answers
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.spf import Node
from monitor.surface.audit.document import Origin
from monitor.surface.audit.learned import bare
from tests.cli.conftest import Outcome
from tests.rules.inspect.worlds import Dns
from tests.rules.inspect.worlds import World as Suffixes
from tests.surface.audited import CATALOGUE, ESC, KEY, SPF, TTL, bad, good

Command = Callable[..., Outcome]
SCHEMA = json.loads((Path(__file__).parents[2] / "config" / "audit.schema.json").read_text())
ZONE = Dns({"shop.test SOA": ["ns.shop.test h.shop.test 1 60 60 60 60"], "shop.test TXT": ["v=spf1 -all"], ". NS": ["ns.test"]})


FINE = ("v=spf1 ip4:192.0.2.10 -all",)


@dataclass
class Table:
    """ports.Resolver: a table; `asked` by name, `most` at once."""

    dns: Dns = ZONE
    hook: Callable[[Question], None] = lambda _: None
    waits: bool = False
    most: int = 0
    running: int = 0
    closed: bool = False

    async def resolve(self, questions: Sequence[Question], deadline: float) -> Mapping[Question, Answer]:
        self.running += 1
        self.most = max(self.most, self.running)
        for _ in range(3):
            await asyncio.sleep(0)
        try:
            for question in questions:
                self.hook(question)
                if self.waits and question.name.startswith("slow"):
                    await asyncio.Event().wait()
            return {question: self.dns.answer(question) for question in questions}
        finally:
            self.running -= 1

    async def close(self) -> None:
        self.closed = True


@dataclass(frozen=True)
class Found:
    results: tuple[CheckResult, ...]
    answers: tuple[ProviderAnswer, ...] = ()
    drifts: tuple[Drift, ...] = ()
    tree: Node | None = None


@dataclass
class Stage:
    """Audits by a rule that says what the test wants; `results` by domain, else those of a good one."""

    capsys: pytest.CaptureFixture[str]
    results: dict[str, tuple[CheckResult, ...]] = field(default_factory=dict)
    table: Table = field(default_factory=Table)
    subjects: list[Subject] = field(default_factory=list)
    carried: tuple[CheckResult, ...] = ()
    unheard: str = ""

    def rule(self, subject: Subject, lookup: Lookup, _: SuffixList) -> Found:
        lookup.ask(subject.domain, RecordType.TXT)
        if subject.domain == "bug.test":
            raise KeyError("a bug")
        return Found(self.results.get(subject.domain, good(subject.domain)))

    def run(self, *argv: object) -> Outcome:
        arguments = _parser().parse_args(["audit", *map(str, argv)])
        order = order_of(arguments)
        chosen = [
            Target(bare(domain, order.inspect, 0.0), Origin.FLAGS, carried=self.carried, unheard=self.unheard) for domain in order.domains
        ]
        self.subjects = [target.subject for target in chosen]
        world = World(self.table, None, None, SystemClock(), self.rule, answers, CATALOGUE)  # type: ignore[arg-type]
        self.capsys.readouterr()
        code = audit(arguments, order, chosen, [], world)
        return Outcome(code, *self.capsys.readouterr())


@pytest.fixture
def stage(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stage:
    for name in ("MAILCANARY_CONFIG", "MAILCANARY_TOKEN", "MAILCANARY_SERVER", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return Stage(capsys)


def fits(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text)
    jsonschema.validate(document, SCHEMA)
    return document


# ---- exit codes ------------------------------------------------------------------------------------------------------

GOOD = good()
CODES: dict[str, tuple[tuple[CheckResult, ...], tuple[str, ...], int]] = {
    "all passed": (GOOD, (), 0),
    "critical": ((*GOOD, SPF.failed("x", "softfail")), (), 1),
    "unknown": ((*GOOD, KEY.unknown("x", "timeout")), (), 3),
    "both": ((*GOOD, KEY.unknown("x", "timeout"), SPF.failed("x", "softfail")), (), 1),
    "warning": ((*GOOD, TTL.warned("x", "60 s")), (), 0),
    "warning, strict": ((*GOOD, TTL.warned("x", "60 s")), ("--strict",), 1),
    "light unknown": ((*GOOD, TTL.unknown("x", "timeout")), ("--strict",), 0),
    "nothing to test": ((SPF.skipped("x", "no address"),), (), 3),
    "only what passed": (bad(), ("--only", "DMARC,SPF-01"), 3),
    "only the key": (bad(), ("--only", "dkim"), 3),
    "only the warning": (bad(), ("--only", "DNS-07"), 0),
    "only what fails": (bad(), ("--only", "SPF-07"), 1),
}


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("form", ["text", "json", "junit", "markdown"])
def test_exit_code(stage: Stage, name: str, form: str) -> None:
    results, flags, code = CODES[name]
    stage.results["shop.test"] = results
    outcome = stage.run("shop.test", "--format", form, *flags)
    assert outcome.code == code and not outcome.err and stage.table.closed


def test_a_bug_costs_one_domain_and_is_exit_4(stage: Stage) -> None:
    outcome = stage.run("bug.test", "shop.test", "--format", "json")
    assert outcome.code == 4 and "KeyError" in outcome.err
    rows = fits(outcome.out)["domains"]
    assert [(row["domain"], row["verdict"]) for row in rows] == [("bug.test", "error"), ("shop.test", "pass")]
    stage.results["shop.test"] = bad()
    assert stage.run("bug.test", "shop.test").code == 1


def test_what_only_a_daemon_can_see_counts(stage: Stage) -> None:
    """And what was tested here is not taken from there."""
    stage.results["shop.test"] = (SPF.passed("x", "pass"), KEY.skipped("shop.test", "no selector is known"))
    stage.carried = (SPF.failed("x", "softfail"), KEY.failed("s1", "no key (daemon)"), TTL.skipped("x", "y"))
    outcome = stage.run("shop.test", "--format", "json")
    (row,) = fits(outcome.out)["domains"]
    assert outcome.code == 1 and [(each["id"], each["status"]) for each in row["results"]] == [("DKIM-K1", "fail"), ("SPF-07", "pass")]
    assert row["answers"][0]["blocked_by"] == ["DKIM-K1"]


def test_a_daemon_that_was_named_and_told_nothing_is_inconclusive(stage: Stage) -> None:
    stage.unheard = "http://127.0.0.1:9: no answer"
    outcome = stage.run("shop.test")
    assert outcome.code == 3 and "nothing could be learned: http://127.0.0.1:9: no answer" in outcome.out.splitlines()[0]
    stage.results["shop.test"] = bad()
    assert stage.run("shop.test").code == 1


def test_what_was_not_tested_is_said(stage: Stage) -> None:
    stage.results["shop.test"] = (SPF.skipped("x", "no address"), KEY.skipped("x", "no selector"), TTL.passed("x", "3600 s"))
    outcome = stage.run("shop.test")
    says = "not tested: SPF-07, IP-*, DKIM-K*, delivered mail (give --egress, --selector)"
    assert outcome.code == 0 and outcome.out.splitlines()[-1] == f"AUDIT PASS shop.test: nothing wrong was found; {says}"
    assert says in stage.run("shop.test", "--format", "markdown").out.replace("&#42;", "*")
    assert "not tested" not in stage.run("shop.test", "--only", "DNS").out
    stage.carried = (SPF.failed("x", "softfail"),)
    (row,) = fits(stage.run("shop.test", "--format", "json").out)["domains"]
    assert row["answers"][0]["line"].startswith("Gmail: 0/1, blocked by SPF-07; not tested: DKIM-K*, delivered mail (give --selector)")


@pytest.mark.parametrize("spf", [FINE, ("v=spf1 ip4:192.0.2.10 -all", "v=spf1 mx -all"), ("v=spf1 ipv4:192.0.2.10 -all",)])
def test_a_broken_record_is_no_met_demand_while_nobody_told_the_addresses(stage: Stage, spf: tuple[str, ...]) -> None:
    """By the real rule: what a stranger's address gets says nothing of ours."""
    stage.table.dns = ZONE.but(**{"shop.test TXT": spf})
    stage.rule = lambda subject, lookup, _: inspect(subject, lookup, Suffixes())  # type: ignore[method-assign, assignment, return-value]

    def gmail(*flags: str) -> str:
        (row,) = fits(stage.run("shop.test", "--selector", "s1", "--format", "json", *flags).out)["domains"]
        line: str = row["answers"][0]["line"]
        return line

    assert gmail().endswith("; not tested: SPF-07, IP-*, delivered mail (give --egress)")
    told = gmail("--egress", "192.0.2.10")
    assert told.endswith("; not tested: delivered mail") and ("SPF-07" in told) == (spf != FINE)


def test_only_some_checks_answer_for_no_provider(stage: Stage) -> None:
    stage.results["shop.test"] = bad()
    stage.carried = (CheckResult(CheckId.SPF_01, Status.FAIL, "shop.test", Gravity.CRITICAL, "none"),)
    (row,) = fits(stage.run("shop.test", "--only", "DNS-07", "--format", "json").out)["domains"]
    assert not row["answers"] and row["verdict"] == "pass"


# ---- forms -----------------------------------------------------------------------------------------------------------


def test_every_form_and_every_file(stage: Stage, tmp_path: Path) -> None:
    stage.results["shop.test"] = bad()
    outcome = stage.run("shop.test", "--json", "a.json", "--junit", "a.xml", "--markdown", "a.md")
    assert outcome.code == 1 and outcome.out.splitlines()[-1].startswith("AUDIT FAIL shop.test: 1 critical")
    assert "\x1b" not in outcome.out
    assert fits((tmp_path / "a.json").read_text())["verdict"] == "fail"
    assert next(iter(junitparser.JUnitXml.fromfile(str(tmp_path / "a.xml")))).name == "shop.test"
    assert (tmp_path / "a.md").read_text().startswith("## ")
    assert fits(stage.run("shop.test", "--format", "json").out)["verdict"] == "fail"
    assert stage.run("shop.test", "--format", "junit").out.startswith("<?xml")
    assert stage.run("shop.test", "--format", "markdown").out.startswith("## ")


def test_a_file_that_takes_nothing_changes_no_verdict(stage: Stage) -> None:
    outcome = stage.run("shop.test", "--json", "nowhere/a.json")
    assert outcome.code == 0 and outcome.line.startswith("--json nowhere/a.json: No such file")


def test_everything_is_shown_when_asked(stage: Stage) -> None:
    assert "✓ SPF-07" not in stage.run("shop.test").out and "✓ SPF-07" in stage.run("shop.test", "--all").out


def test_a_name_that_does_not_exist_is_said_first(stage: Stage) -> None:
    stage.results["gone.test"] = (SPF.failed("gone.test", "no SPF record"),)
    outcome = stage.run("gone.test")
    assert (
        outcome.code == 1
        and outcome.out.splitlines()[0]
        == "gone.test FAIL  the domain does not exist; 1 critical; not tested: DKIM-K*, delivered mail (give --selector)"
    )


def test_a_hostile_zone_never_reaches_the_terminal(stage: Stage) -> None:
    said = f"{ESC} v=spf1 " + "x" * 60_000
    stage.results["shop.test"] = (SPF.failed(ESC, said, said, said, said),)
    for form in ("text", "json", "junit", "markdown"):
        outcome = stage.run("shop.test", "--format", form)
        assert outcome.code == 1 and "\x1b" not in outcome.out + outcome.err and "\x07" not in outcome.out and len(outcome.out) < 30_000


# ---- darkness, interruption ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [DnsFailure.TIMEOUT, DnsFailure.UNREACHABLE, DnsFailure.REFUSED])
def test_a_resolver_that_does_not_answer(stage: Stage, failure: DnsFailure) -> None:
    stage.table.dns = Dns(fails={"@": failure})
    outcome = stage.run("shop.test", "b.test", "c.test", "d.test")
    assert outcome.code == 3 and not outcome.out
    assert outcome.line.startswith("cannot see: ") and failure.value in outcome.line and "shop.test, b.test, c.test, ..." in outcome.line
    whole = fits(stage.run("shop.test", "--format", "json").out)
    assert whole["verdict"] == "inconclusive" and not whole["domains"] and whole["notes"][0].startswith("cannot see: ")


def test_a_domain_that_cannot_be_seen_is_one_line(stage: Stage) -> None:
    stage.table.dns = Dns(ZONE.records, {"dark.test SOA": DnsFailure.SERVFAIL, "dark.test TXT": DnsFailure.SERVFAIL})
    outcome = stage.run("dark.test")
    assert outcome.code == 3 and outcome.out.splitlines()[0] == "dark.test INCONCLUSIVE  cannot see: servfail"
    outcome = stage.run("dark.test", "shop.test", "--format", "json")
    assert outcome.code == 3 and [row["verdict"] for row in fits(outcome.out)["domains"]] == ["inconclusive", "pass"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_says_what_was_done(stage: Stage, number: int) -> None:
    def stop(question: Question) -> None:
        if question.name == "slow.test" and question.rtype is RecordType.TXT:
            os.kill(os.getpid(), number)

    stage.table.hook, stage.table.waits = stop, False
    before = stage.rule

    def slow(subject: Subject, lookup: Lookup, suffixes: SuffixList) -> Found:
        if subject.domain == "slow.test" and lookup.answers:
            stage.table.waits = True
            lookup.ask("slow.more.test", RecordType.A)
        return before(subject, lookup, suffixes)

    stage.rule = slow  # type: ignore[method-assign]
    outcome = stage.run("shop.test", "slow.test", "--format", "json")
    whole = fits(outcome.out)
    assert outcome.code == 128 + number and stage.table.closed
    assert [row["domain"] for row in whole["domains"]] == ["shop.test"] and whole["wanted"] == 2 and whole["verdict"] == "inconclusive"


def test_two_hundred_domains_at_most_fifty_at_once(stage: Stage, tmp_path: Path) -> None:
    names = [f"d{n}.test" for n in range(200)]
    Path("list").write_text("# ours\n\n" + "\n".join(f"{name}.  # remark" for name in names))
    stage.results["d7.test"] = bad("d7.test")
    outcome = stage.run("--domains", "list")
    assert outcome.code == 1 and AT_ONCE // 2 < stage.table.most <= AT_ONCE
    assert (
        outcome.out.splitlines()[-1]
        == "AUDIT FAIL 200 domains: 1 fail, 199 pass; 1 critical, 1 error, 1 warning, 199 infos; not tested: delivered mail"
    )
    assert outcome.out.count("✗ SPF-07") == 1


def test_of_several_domains_what_passed_is_counted_only(stage: Stage) -> None:
    rows = fits(stage.run("shop.test", "b.test", "--format", "json").out)["domains"]
    assert [[each["status"] for each in row["results"]] for row in rows] == [["info"], ["info"]] and rows[0]["counts"]["pass"] == 3
    rows = fits(stage.run("shop.test", "b.test", "--format", "json", "--all").out)["domains"]
    assert len(rows[0]["results"]) == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_it_writes_nothing_is_lost(stage: Stage, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    said = outputs.final_line

    def late(document: dict[str, Any]) -> str:
        os.kill(os.getpid(), number)
        return said(document)

    monkeypatch.setattr(outputs, "final_line", late)
    before = signal.getsignal(number)
    outcome = stage.run("shop.test")
    assert outcome.code == 128 + number and outcome.out.splitlines()[-1].startswith("AUDIT PASS shop.test")
    assert signal.getsignal(number) is before


def test_a_second_interruption_ends_it(stage: Stage) -> None:
    def twice(question: Question) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    stage.table.hook = twice
    with pytest.raises(KeyboardInterrupt):
        stage.run("shop.test")


def test_interrupted_while_something_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: Sequence[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("monitor.cli.main", interrupted)
    with pytest.raises(SystemExit) as ended:
        started()
    assert ended.value.code == 130


def test_an_interruption_that_an_import_wrapped(mailcanary: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrapped(_: str) -> None:
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    monkeypatch.setattr("monitor.cli.import_module", wrapped)
    outcome = mailcanary("audit", "shop.test")
    assert outcome.code == 130 and not outcome.err


# ---- flags -----------------------------------------------------------------------------------------------------------


def test_flags_become_the_subject(stage: Stage) -> None:
    stage.run(
        "Shop.Test.", "shop.test", "--egress", "192.0.2.1", "--egress", "2001:DB8:0::1", "--selector", "S1", "--retired", "old",
        "--mail-from", "bounce.test", "--helo", "mail.test", "--profile", "gmail", "--profile", "protected", "--no-transport",
        "--smtp-port", "2525", "--private-addresses",
    )  # fmt: skip
    (subject,) = stage.subjects
    assert subject.domain == "shop.test" and subject.egress == ("192.0.2.1", "2001:db8::1") and subject.declared
    assert [(one.name, one.domain, one.retired) for one in subject.selectors] == [("s1", "shop.test", False), ("old", "shop.test", True)]
    assert (subject.envelope, subject.helo, subject.profiles) == (("bounce.test",), ("mail.test",), ("gmail", "protected"))
    assert (subject.transport, subject.smtp_port, subject.private_addresses) == (False, 2525, True)


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "no domain": ((), "or name a domain"),
    "address as domain": (("192.0.2.1",), "is an address"),
    "no dot": (("shop",), "has no dot"),
    "bad label": (("shop..test",), "bad label"),
    "no A-label": (("bücher.test",), "xn--"),
    "escape": (("\x1b[31m.test",), "bad label"),
    "egress": (("a.test", "--egress", "192.0.2.0/24"), "is no IP address"),
    "selector": (("a.test", "--selector", "s1._domainkey.a.test"), "before ._domainkey"),
    "bad selector": (("a.test", "--selector", "s 1"), "is no selector"),
    "mail-from": (("a.test", "--mail-from", "x@a.test"), "bad label"),
    "profile": (("a.test", "--profile", "aol"), "gmail, yahoo, outlook, apple, protected"),
    "timeout": (("a.test", "--timeout", "5"), "no length of time"),
    "long timeout": (("a.test", "--timeout", "2h"), "at most 60s"),
    "no timeout": (("a.test", "--timeout", "0s"), "more than 0"),
    "port": (("a.test", "--dns-port", "70000"), "no such port"),
    "smtp port": (("a.test", "--smtp-port", "0"), "no such port"),
    "only": (("a.test", "--only", "SPF-99"), "no check has this id"),
    "only nothing": (("a.test", "--only", ","), "names no check"),
    "no file": (("--domains", "nowhere"), "No such file"),
    "a directory": (("--domains", "."), "Is a directory"),
    "no configuration": (("a.test", "--config", "nowhere.yaml"), "nowhere.yaml"),
    "resolver": (("a.test", "--resolver", "dns.example"), "--resolver"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_bad_flag_is_one_line_and_exit_2(mailcanary: Command, name: str) -> None:
    argv, says = WRONG[name]
    outcome = mailcanary("audit", *argv)
    assert outcome.code == 2 and not outcome.out and says in outcome.line and "\x1b" not in outcome.err


def test_a_file_of_domains_with_faults_names_the_lines(mailcanary: Command) -> None:
    Path("list").write_bytes(b"shop.test\n# remark\nno dot here\n\nb.test\n\xff\xfe.test\n-x.test\n")
    outcome = mailcanary("audit", "--domains", "list")
    lines = outcome.err.splitlines()
    assert outcome.code == 2 and [line.partition(": ")[0] for line in lines] == ["list:3", "list:6", "list:7"]
    Path("list").write_text("\n".join(["x y"] * 50))
    lines = mailcanary("audit", "--domains", "list").err.splitlines()
    assert len(lines) == 11 and lines[-1] == "and 40 more lines that are no domains"
    Path("list").write_text("# nothing\n")
    assert "holds no domain" in mailcanary("audit", "--domains", "list").line
    Path("list").write_bytes(b"\xef\xbb\xbfno dot\n")
    assert "ufeff" not in mailcanary("audit", "--domains", "list").line
    Path("list").write_text("\n".join(f"d{n}.test" for n in range(5_001)))
    assert "more than 5000 in one audit" in mailcanary("audit", "--domains", "list").line
    Path("list").write_text("a.test\n" * 700_000)
    assert "more than 4 MiB" in mailcanary("audit", "--domains", "list").line


def test_a_terminal_may_be_narrow(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    stage.results["shop.test"] = bad()
    assert all(len(line) <= 30 or "IN TXT" in line for line in stage.run("shop.test").out.splitlines()[:-1])


# ---- over the wire ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[DnsServer]:
    """The lab's DNS, in a thread."""
    loop, dns = asyncio.new_event_loop(), DnsServer()
    dns.set_zone("shop.test", '@ TXT "v=spf1 ip4:192.0.2.10 -all"\n_dmarc TXT "v=DMARC1; p=reject; rua=mailto:d@shop.test"\n')
    dns.set_zone("test", "@ A 127.0.0.1\n")
    huge = " ".join([f'"{"x" * 250}"'] * 235)
    dns.set_zone(
        "evil.test",
        f'@ TXT "v=spf1 \\027[31m\\027]0;owned\\007 include:\\027[2J.test -all"\n@ TXT {huge}\n@ MX 10 \\027[2J.evil.test.\n'
        '_dmarc TXT "v=DMARC1; p=\\027[31m; rua=mailto:\\027@evil.test"\n_dmarc TXT "##vso[task.complete]"\n'
        's1._domainkey TXT "v=DKIM1; p=\\027[31m"\n',
    )
    dns.troubles["dark.test"] = Trouble.SERVFAIL
    loop.run_until_complete(dns.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield dns
    asyncio.run_coroutine_threadsafe(dns.close(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def on(server: DnsServer) -> tuple[object, ...]:
    return ("--resolver", f"127.0.0.1:{server.port}", "--dns-port", server.port, "--no-transport", "--timeout", "2s", "--format", "json")


def test_over_the_wire(mailcanary: Command, server: DnsServer) -> None:
    outcome = mailcanary("audit", "shop.test", "--egress", "192.0.2.10", *on(server))
    assert outcome.code in (0, 1, 3), outcome.err
    (row,) = fits(outcome.out)["domains"]
    assert row["spf"]["record"] == "v=spf1 ip4:192.0.2.10 -all" and row["questions"]["asked"] > 3 and not row["fault"]
    assert row["egress"] == {"addresses": ["192.0.2.10"], "from": "flags", "detail": ""}


@pytest.mark.parametrize("form", ["text", "json", "junit", "markdown"])
def test_a_hostile_zone_over_the_wire(mailcanary: Command, server: DnsServer, form: str) -> None:
    """Escape sequences in every record, and a TXT of 60 KB."""
    outcome = mailcanary("audit", "evil.test", "--selector", "s1", "--egress", "192.0.2.1", *on(server), "--format", form, "--all")
    assert outcome.code == 1 and not outcome.err and len(outcome.out) < 400_000
    assert all(char.isprintable() or char == "\n" for char in outcome.out) and "##vso[" not in outcome.out
    if form == "json":
        assert not fits(outcome.out)["domains"][0]["fault"]


def test_servfail_is_unknown_over_the_wire(mailcanary: Command, server: DnsServer) -> None:
    (row,) = fits(mailcanary("audit", "dark.test", "--only", "SPF-01", *on(server)).out)["domains"]
    assert row["verdict"] == "inconclusive" and row["exists"] and {each["status"] for each in row["results"]} <= {"unknown", "skip"}


def test_a_name_that_does_not_exist_over_the_wire(mailcanary: Command, server: DnsServer) -> None:
    outcome = mailcanary("audit", "gone.test", *on(server))
    (row,) = fits(outcome.out)["domains"]
    assert outcome.code == 1 and not row["exists"] and row["counts"]["critical"]


def test_a_dead_resolver_over_the_wire(mailcanary: Command) -> None:
    outcome = mailcanary("audit", "shop.test", "--resolver", "127.0.0.1:9", "--timeout", "300ms", "--no-transport")
    assert outcome.code == 3 and not outcome.out and outcome.line.startswith("cannot see: 127.0.0.1")
