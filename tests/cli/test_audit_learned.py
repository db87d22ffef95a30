"""audit with a configuration: what the journal or the daemon has learned, who is believed first, and the approval of a baseline."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from monitor.cli import _parser
from monitor.cli.audit.approve import approve
from monitor.cli.audit.known import server_of, targets
from monitor.cli.audit.order import Order, order_of
from monitor.cli.audit.work import Target
from monitor.edge.clock import SystemClock
from monitor.edge.journal import SqliteJournal
from monitor.model.checks import CheckId, Status
from monitor.model.facts import Baselined, Delivered, ZoneObserved
from monitor.model.inspection import Cause, DomainPolicy, DriftState, Facet, FacetKind, InspectPolicy, Selector
from monitor.model.mailauth import DeliveredMail, Hop, Signature
from monitor.model.policy import ListenPolicy
from monitor.model.probe import MailboxName, PathName, ProbeId, Route
from monitor.surface.api import application
from monitor.surface.audit.carried import results_in
from monitor.surface.audit.document import Origin
from monitor.surface.audit.learned import bare, learned_document, with_learned
from monitor.surface.audit.observed import digest
from tests.cli.conftest import Outcome
from tests.cli.daemons import SECRETS, Served, served
from tests.ports import free_port
from tests.stages.house import policy
from tests.surface.audited import DRIFT, bad, good, subject

Command = Callable[..., Outcome]
FACETS = (Facet(FacetKind.SPF, "shop.test", "192.0.2.10 -all", 3600),)
MAIL = DeliveredMail(
    author_domains=("shop.test",),
    envelope_domain="bounce.shop.test",
    envelope_said=True,
    signatures=(Signature("shop.test", "s1", "rsa-sha256"),),
    border=Hop("mx.box.test", "relay.shop.test", "relay.shop.test", "192.0.2.10", "ESMTPS", True),
)


def delivered() -> Delivered:
    route = Route(PathName("relay"), MailboxName("seed-1"))
    return Delivered(SystemClock().now(), ProbeId("p-1"), route, route.mailbox, MAIL)


def observation(domain: str = "shop.test", facets: tuple[Facet, ...] = FACETS, **changes: Any) -> ZoneObserved:
    fact = ZoneObserved(SystemClock().now(), domain, Cause.SCHEDULE, bad(), (), facets, (DRIFT,), learned=True)
    return replace(fact, **changes)


def keep(state: Path, *facts: Any) -> None:
    async def store() -> None:
        journal = SqliteJournal(state)
        await journal.append(facts)
        await journal.close()

    asyncio.run(store())


@dataclass
class Ground:
    directory: Path
    notes: list[str] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return self.directory / "state"

    def configured(self, port: int, **domains: Any) -> None:
        policy(
            self.directory,
            state_dir=str(self.state),
            listen={"host": "127.0.0.1", "port": port},
            inspect={"domains": {"shop.test": {}, **domains}},
        )

    def order(self, *argv: str) -> tuple[Order, Any]:
        arguments = _parser().parse_args(["audit", *argv])
        return order_of(arguments), arguments

    def targets(self, *argv: str) -> dict[str, Target]:
        order, arguments = self.order(*argv)
        found = targets(order, arguments, SystemClock().now().utc, self.notes.append)
        return {target.subject.domain: target for target in found}


@pytest.fixture
def ground(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ground:
    for name in ("MAILCANARY_CONFIG", "MAILCANARY_TOKEN", "MAILCANARY_SERVER", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return Ground(tmp_path)


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Whose domains are shop.test and b.test."""
    (tmp_path / "daemon").mkdir()
    with served(tmp_path / "daemon") as site:
        domains = {name: DomainPolicy(name) for name in ("shop.test", "b.test")}
        site.desk.policy = replace(site.desk.policy, inspect=InspectPolicy(domains=domains))
        yield site


# ---- what is learned -------------------------------------------------------------------------------------------------


def test_from_the_journal(ground: Ground) -> None:
    ground.configured(free_port())
    keep(ground.state, delivered())
    before = sorted(path.name for path in ground.state.iterdir())
    target = ground.targets()["shop.test"]
    assert target.subject.egress == ("192.0.2.10",) and not target.subject.declared and target.subject.helo == ("relay.shop.test",)
    assert [(one.name, one.domain) for one in target.subject.selectors] == [("s1", "shop.test")]
    assert (target.origin, target.whence) == (Origin.JOURNAL, str(ground.state / "journal.sqlite3")) and not ground.notes
    assert sorted(path.name for path in ground.state.iterdir()) == before


def test_a_journal_that_cannot_be_read_is_a_note(ground: Ground) -> None:
    ground.configured(free_port())
    ground.state.mkdir()
    (ground.state / "journal.sqlite3").write_bytes(b"x" * 5000)
    target = ground.targets()["shop.test"]
    assert target.origin is Origin.UNKNOWN and len(ground.notes) == 1 and "journal" in ground.notes[0]


def test_from_the_daemon_that_the_configuration_names(ground: Ground, daemon: Served) -> None:
    ground.configured(int(daemon.url.rpartition(":")[2]))
    daemon.happen(delivered())
    target = ground.targets()["shop.test"]
    assert target.subject.egress == ("192.0.2.10",) and target.origin is Origin.DAEMON and target.whence == f"daemon {daemon.url}"
    assert target.subject.envelope == ("bounce.shop.test",) and target.subject.observed and not ground.notes


def test_the_daemons_findings_are_carried(ground: Ground, daemon: Served) -> None:
    daemon.happen(observation(passed=(CheckId.DKIM_M2,)))
    (target,) = ground.targets("shop.test", "--server", daemon.url).values()
    found = {(one.check, one.status): one.saw for one in target.carried}
    assert (CheckId.SPF_07, Status.FAIL) in found and (CheckId.DKIM_M2, Status.PASS) in found
    assert found[CheckId.SPF_07, Status.FAIL].startswith("softfail: no term matches it (daemon, 20")
    assert ground.targets("b.test", "--server", daemon.url)["b.test"].carried == ()  # not inspected yet


def test_results_of_another_version() -> None:
    row = {"id": "SPF-07", "status": "fail", "severity": "critical", "about": "a", "saw": "s", "record": "", "mend": "", "publish": ""}
    story = {"inspected_at": "2026", "audit": {"results": [{**row, "id": "NEW-99"}, row]}}
    assert [one.check for one in results_in(story)] == [CheckId.SPF_07]
    for spoiled in (None, {}, {"inspected_at": "2026", "audit": []}, {**story, "audit": {"results": [{**row, "status": "bad"}]}}):
        with pytest.raises(ValueError, match=r"no shape|is not a valid"):
            results_in(spoiled)


def test_a_server_that_is_named_comes_first(ground: Ground, daemon: Served) -> None:
    ground.configured(free_port())
    keep(ground.state, delivered())
    assert ground.targets("--server", daemon.url)["shop.test"].origin is Origin.UNKNOWN  # it has seen nothing
    daemon.happen(delivered())
    assert ground.targets("--server", daemon.url)["shop.test"].origin is Origin.DAEMON


def test_no_daemon_and_no_journal_is_no_fault(ground: Ground) -> None:
    ground.configured(free_port())
    assert ground.targets()["shop.test"].origin is Origin.UNKNOWN and not ground.notes
    named = ground.targets("--server", f"http://127.0.0.1:{free_port()}")["shop.test"]
    assert named.origin is Origin.UNKNOWN and "no answer" in named.unheard and not ground.notes


def test_a_daemon_that_is_named_must_answer(ground: Ground, mailcanary: Command) -> None:
    outcome = mailcanary("audit", "shop.test", "--server", "bogus")
    assert outcome.code == 2 and "give a URL" in outcome.line


def test_without_a_configuration_nobody_is_asked(ground: Ground) -> None:
    assert ground.targets("shop.test")["shop.test"].origin is Origin.UNKNOWN and not ground.notes


def test_a_domain_that_the_daemon_does_not_know(ground: Ground, daemon: Served) -> None:
    daemon.happen(delivered())
    found = ground.targets("x.test", "shop.test", "--server", daemon.url)
    assert found["x.test"].origin is Origin.UNKNOWN and found["shop.test"].origin is Origin.DAEMON


def test_what_is_declared_stays(ground: Ground) -> None:
    ground.configured(free_port(), **{"b.test": {"egress": ["192.0.2.99"], "selectors": ["s9"]}})
    keep(ground.state, delivered())
    found = ground.targets()
    assert found["b.test"].subject.egress == ("192.0.2.99",) and found["b.test"].origin is Origin.CONFIGURATION
    assert found["shop.test"].origin is Origin.JOURNAL
    flagged = ground.targets("--egress", "192.0.2.7", "--selector", "s7")["shop.test"]
    assert flagged.subject.egress == ("192.0.2.7",) and flagged.origin is Origin.FLAGS and flagged.subject.declared
    assert [one.name for one in flagged.subject.selectors] == ["s7", "s1"] and flagged.subject.observed


def test_the_configuration_and_its_flags(ground: Ground) -> None:
    policy(ground.directory, inspect={"resolvers": ["192.0.2.53"], "timeout": "3s", "transport": False, "domains": {"b.test": {}}})
    order, _ = ground.order()
    assert {one.domain for one in order.domains} == {"shop.test", "b.test"} and order.inspect.resolvers == ("192.0.2.53",)
    order, _ = ground.order("x.test", "--resolver", "192.0.2.54:5353", "--timeout", "1s")
    assert [one.domain for one in order.domains] == ["x.test"] and order.inspect.resolvers == ("192.0.2.54:5353",)
    assert order.inspect.timeout == 1.0 and not order.inspect.transport


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("192.0.2.1", "192.0.2.1"), ("canary.test", "canary.test")],
)
def test_where_the_daemon_listens(ground: Ground, host: str, url: str) -> None:
    ground.configured(9999)
    order, arguments = ground.order()
    assert order.policy is not None
    assert server_of(arguments, replace(order.policy, listen=ListenPolicy(host, 9999, {}))) == f"http://{url}:9999"
    assert server_of(arguments, None) == "http://127.0.0.1:9464"


# ---- the document of what is learned ---------------------------------------------------------------------------------


def test_there_and_back() -> None:
    known = subject(
        observed=(("192.0.2.10", 5.0),), watched_since=1.0, envelope=("b.test",), helo=("h.test",),
        selectors=(Selector("shop.test", "s1", False, 4.0), Selector("shop.test", "s0", True)),
    )  # fmt: skip
    blank = bare(DomainPolicy("shop.test"), InspectPolicy(), known.now)
    assert with_learned(blank, json.loads(json.dumps(learned_document(known)))) == known


def test_what_is_declared_is_not_learned_over() -> None:
    declared = bare(DomainPolicy("shop.test", ("192.0.2.7",), ("s7",), envelope=("e.test",), helo=("d.test",)), InspectPolicy(), 1.0)
    both = with_learned(declared, learned_document(subject(envelope=("b.test",), helo=("h.test",))))
    assert (both.egress, both.envelope, both.helo, both.declared) == (("192.0.2.7",), ("e.test",), ("d.test",), True)
    assert [one.name for one in both.selectors] == ["s7", "s1"]


@pytest.mark.parametrize("spoiled", [None, [], "x", {}, {"egress": 1}, {**learned_document(subject()), "observed": [{"address": 1}]}])
def test_a_document_of_another_shape(spoiled: Any) -> None:
    with pytest.raises(ValueError, match=r"no shape that we know|could not convert"):
        with_learned(subject(), spoiled)


# ---- approval --------------------------------------------------------------------------------------------------------


DIGEST = digest(FACETS)


def test_approve(ground: Ground, daemon: Served, mailcanary: Command) -> None:
    """Without a terminal the change is shown first, with the digest that approves it."""
    daemon.happen(observation())
    before = len(daemon.facts())
    outcome = mailcanary("audit", "shop.test", "--approve", "--server", daemon.url, "--by", "ann")
    assert outcome.code == 3 and len(daemon.facts()) == before and "selector s1's key record vanished" in outcome.out
    assert outcome.line == f"nothing was approved; if this is how it is meant to be: mailcanary audit shop.test --approve {DIGEST}"
    outcome = mailcanary("audit", "shop.test", "--approve", DIGEST, "--server", daemon.url, "--by", "ann", "--note", "moved")
    fact = daemon.facts()[-1]
    assert outcome.code == 0 and isinstance(fact, Baselined) and (fact.by, fact.note, fact.facets) == ("ann", "moved", FACETS)
    assert outcome.out.splitlines()[-1].startswith("shop.test: what was observed at ") and "approved by ann" in outcome.out


def test_approve_as_json(ground: Ground, daemon: Served, mailcanary: Command) -> None:
    other = (replace(FACETS[0], name="b.test"),)
    daemon.happen(observation(), observation("b.test", other, drifts=()))
    call = ("audit", "shop.test", "b.test", "--server", daemon.url, "--format", "json", "--by", "ann", "--approve")
    first = mailcanary(*call)
    told = json.loads(first.out)
    assert first.code == 3 and not told["domains"] and [row["domain"] for row in told["waiting"]] == ["shop.test", "b.test"]
    outcome = mailcanary(*call, f"{DIGEST},{digest(other)}")
    rows = json.loads(outcome.out)["domains"]
    assert outcome.code == 0 and [row["domain"] for row in rows] == ["shop.test", "b.test"] and rows[0]["digest"] == DIGEST


def test_all_domains_or_none(ground: Ground, daemon: Served, mailcanary: Command) -> None:
    daemon.happen(observation(), observation("b.test", (replace(FACETS[0], name="b.test"),)))
    outcome = mailcanary("audit", "shop.test", "b.test", "--approve", DIGEST, "--server", daemon.url, "--by", "ann")
    assert outcome.code == 2 and "b.test: the daemon's latest observation" in outcome.line and not outcome.out
    outcome = mailcanary("audit", "shop.test", "x.test", "--approve", DIGEST, "--server", daemon.url, "--by", "ann")
    assert outcome.code == 2 and not any(isinstance(fact, Baselined) for fact in daemon.facts())


@pytest.mark.parametrize(("answer", "code"), [(True, 0), (False, 3)])
def test_a_person_is_asked(ground: Ground, daemon: Served, capsys: pytest.CaptureFixture[str], answer: bool, code: int) -> None:
    daemon.happen(observation())
    order, arguments = ground.order("shop.test", "--approve", "--server", daemon.url, "--by", "ann")
    shown: list[str] = []

    def ask(question: str) -> bool:
        shown.append(capsys.readouterr().out)
        return answer

    assert approve(order, arguments, ask) == code and "key record vanished" in shown[0]
    assert any(isinstance(fact, Baselined) for fact in daemon.facts()) is answer


def test_what_was_approved_is_no_change_any_more(ground: Ground, daemon: Served, mailcanary: Command) -> None:
    moved = replace(DRIFT, kind=FacetKind.SPF, name="shop.test", after=FACETS[0].value, what="SPF moved", state=DriftState.STANDING)
    daemon.happen(observation(facets=(replace(FACETS[0], value="old"),)), observation(drifts=(moved,), learned=False))
    call = ("audit", "shop.test", "--server", daemon.url, "--by", "ann", "--approve", DIGEST)
    assert "SPF moved" in mailcanary(*call).out
    again = mailcanary(*call)
    assert again.code == 0 and "SPF moved" not in again.out and "nothing has changed since the baseline" in again.out


ALONE: dict[str, tuple[tuple[str, ...], str]] = {
    "markdown": (("--approve", "--format", "markdown"), "--format markdown"),
    "json file": (("--approve", "--json", "x"), "--json does not go with --approve"),
    "only": (("--approve", "--only", "SPF"), "--only does not"),
    "egress": (("--approve", "--egress", "192.0.2.1"), "--egress does not"),
    "no transport": (("--approve", "--no-transport"), "--no-transport does not"),
    "strict": (("--approve", "--strict"), "--strict does not"),
    "note": (("--note", "x"), "with --approve only"),
    "by": (("--by", "x"), "with --approve only"),
    "no digest": (("--approve", "yes"), "is no digest"),
    "nobody": (("--approve",), "give --by NAME"),
}


@pytest.mark.parametrize("name", ALONE)
def test_flags_that_do_not_go_together(mailcanary: Command, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv("USER", raising=False)
    flags, says = ALONE[name]
    outcome = mailcanary("audit", "shop.test", *flags)
    assert outcome.code == 2 and says in outcome.line and not outcome.out


def test_a_domain_behind_approve_is_a_domain(ground: Ground, daemon: Served, mailcanary: Command) -> None:
    daemon.happen(observation())
    outcome = mailcanary("audit", "--server", daemon.url, "--by", "ann", "--approve", "shop.test")
    assert outcome.code == 3 and f"audit shop.test --approve {DIGEST}" in outcome.line


def test_approve_without_a_daemon(ground: Ground, mailcanary: Command) -> None:
    outcome = mailcanary("audit", "shop.test", "--approve", "--by", "ann", "--server", f"http://127.0.0.1:{free_port()}")
    assert outcome.code == 4 and outcome.line.startswith("--approve needs the running daemon") and not outcome.out


def test_nothing_to_approve(ground: Ground, daemon: Served, mailcanary: Command) -> None:
    assert "not inspected it yet" in mailcanary("audit", "shop.test", "--approve", DIGEST, "--by", "ann", "--server", daemon.url).line
    outcome = mailcanary("audit", "x.test", "--approve", DIGEST, "--by", "ann", "--server", daemon.url)
    assert outcome.code == 2 and "404" in outcome.line
    daemon.happen(observation(drifts=(), results=good()))
    assert "nothing has changed" in mailcanary("audit", "shop.test", "--approve", DIGEST, "--by", "ann", "--server", daemon.url).out


def test_the_zone_moved_meanwhile(ground: Ground, daemon: Served, mailcanary: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon.happen(observation())
    moved = (replace(FACETS[0], value="198.51.100.1 -all"),)
    asked = application.DomainDesk.approve

    async def late(self: Any, request: Any) -> Any:
        await self.desk.journal.append([observation(facets=moved)])
        return await asked(self, request)

    monkeypatch.setattr(application.DomainDesk, "approve", late)
    with served(ground.directory) as second:
        second.desk.policy = daemon.desk.policy
        second.happen(observation())
        outcome = mailcanary("audit", "shop.test", "--approve", DIGEST, "--by", "ann", "--server", second.url)
        assert outcome.code == 2 and "409" in outcome.line and digest(moved) in outcome.line
        assert not any(isinstance(fact, Baselined) for fact in second.facts())


def test_a_token_that_is_refused(ground: Ground, mailcanary: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(ground.directory, "0.0.0.0") as site:
        site.desk.policy = replace(site.desk.policy, inspect=InspectPolicy(domains={"shop.test": DomainPolicy("shop.test")}))
        site.happen(observation())
        assert "401" in mailcanary("audit", "shop.test", "--approve", DIGEST, "--by", "ann", "--server", site.url).line
        monkeypatch.setenv("MAILCANARY_TOKEN", SECRETS["READ"])
        assert "403" in mailcanary("audit", "shop.test", "--approve", DIGEST, "--by", "ann", "--server", site.url).line
        monkeypatch.setenv("MAILCANARY_TOKEN", SECRETS["ONCALL"])
        assert mailcanary("audit", "shop.test", "--approve", DIGEST, "--by", "ann", "--server", site.url).code == 0
