"""config/probe-report.schema.json against the code: the same words, and every document that `probe_report` builds is valid."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from monitor.desk import Desk
from monitor.edge.clock import SystemClock
from monitor.edge.entropy import SystemEntropy
from monitor.edge.journal import MemoryJournal
from monitor.edge.secret import SystemSecrets
from monitor.model.address import Address
from monitor.model.facts import Accepted, Attempted, Fact, Judged, Looked, ProbePlanned, Refused, Sighted, WatchBlind
from monitor.model.instant import Instant
from monitor.model.mail import Authentication, AuthResult, BlindCause, Carrier, Field, Placement
from monitor.model.money import Money
from monitor.model.policy import Policy
from monitor.model.probe import Deadlines, Expectation, MailboxName, PathName, ProbeId, Purpose, RefundStory, Route
from monitor.model.submission import Reply, Step
from monitor.model.verdict import Reason, Verdict
from monitor.rules import judge
from monitor.settings import load
from monitor.surface.report import probe_report
from monitor.views.probes import ProbeState
from monitor.views.world import World

SCHEMA: dict[str, Any] = json.loads((Path(__file__).parents[2] / "config" / "probe-report.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
PROBE = ProbeId("0123456789ab")
ROUTE = Route(PathName("relay"), MailboxName("fastmail-1"))
START = Instant(1_790_000_000.0, 100.0, "p1")

CONFIGURATION = """
environment: test
instance: one
signing: {keys: [{number: 1, secret: {env: SIGNING_KEY}}]}
paths:
  relay: {kind: smtp, host: relay.test, author: refunds@shop.test}
mailboxes:
  fastmail-1: {provider: fastmail, address: seed@mail.test, imap: {host: imap.mail.test, password: {env: PASSWORD}}}
"""


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    at = tmp_path_factory.mktemp("configuration") / "mailcanary.yaml"
    at.write_text(CONFIGURATION)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGNING_KEY", "0123456789abcdef0123456789abcdef")
        patch.setenv("PASSWORD", "secret")
        return load(at, SystemSecrets()).policy


@pytest.fixture
def desk(policy: Policy) -> Desk:
    world = World()
    return Desk(MemoryJournal(world.fold), world, SystemClock(), SystemEntropy(), policy)


def planned() -> ProbePlanned:
    seed = Address.parse("seed@mail.test")
    story = RefundStory("R-1001", "O-77", Money(Decimal("19.95"), "EUR"), "Ada Lovelace", "en-GB")
    return ProbePlanned(
        START, PROBE, ROUTE, Purpose.CLI, "token", "<t@shop.test>", seed, seed, story, Expectation(()), Deadlines(120, 480, 1800, 2280), "p"
    )


def sighted(seconds: float, placement: Placement = Placement.INBOX, **changes: Any) -> Sighted:
    folder = "INBOX" if placement is Placement.INBOX else placement.value.title()
    carriers = (Carrier.HEADER, Carrier.REFUND_NUMBER)
    auth = Authentication(AuthResult.PASS, AuthResult.NONE, AuthResult.SOFTFAIL, "mx.mail.test")
    fact = Sighted(
        START.plus(seconds),
        PROBE,
        ROUTE.mailbox,
        folder,
        placement,
        1,
        7,
        START,
        "<t@shop.test>",
        "d",
        carriers,
        auth=auth,
        header_digest="h",
    )
    return replace(fact, **changes)


TAKEN = (Attempted(START, PROBE, 1), Accepted(START.plus(0.4), PROBE, 1, Reply(250, "queued as 4Xy", "2.0.0"), "4Xy", "", "v2"))
HISTORIES: dict[str, tuple[Fact, ...]] = {
    "planned": (),
    "attempted": TAKEN[:1],
    "accepted": TAKEN,
    "pass": (*TAKEN, sighted(2.5)),
    "spam": (*TAKEN, sighted(2.5, Placement.SPAM)),
    "altered and late": (*TAKEN, sighted(300.0, altered=(Field.AMOUNT,), unseen_since=START.plus(290), notes=("wrapped links",))),
    "duplicate": (*TAKEN, sighted(2.5), sighted(3.0, uid=8, header_digest="other")),
    "misrouted": (*TAKEN, sighted(2.5, mailbox=MailboxName("holding"))),
    "rejected": (TAKEN[0], Refused(START.plus(0.2), PROBE, 1, Step.RCPT_TO, Reply(550, "no such user", "5.1.1"))),
    "missing": (*TAKEN, Looked(START.plus(482), ROUTE.mailbox, START.plus(481), 3)),
}


async def story_of(desk: Desk, facts: tuple[Fact, ...]) -> ProbeState:
    await desk.journal.append([planned(), *facts])
    state = desk.world.probes[PROBE]
    ruling = judge.judge(state, desk.world.mailbox(ROUTE.mailbox), START.plus(500))
    if ruling is not None:
        copy = ruling.copy
        judged = Judged(
            START.plus(500),
            PROBE,
            ROUTE,
            Purpose.CLI,
            0,
            ruling.reason.verdict,
            ruling.reason,
            ruling.explanation,
            ruling.evidence,
            ruling.submission_seconds,
            ruling.transit_seconds,
            ruling.uncertainty_seconds,
            copy.placement if copy else None,
            copy.folder if copy else "",
            copy.mailbox if copy else None,
            notes=ruling.notes,
            also=ruling.also,
        )
        await desk.journal.append([judged])
    return state


def faults(report: object) -> list[str]:
    document = json.loads(json.dumps(report))  # as a reader gets it
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in VALIDATOR.iter_errors(document)]


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("verdict", Verdict),
        ("reason", Reason),
        ("authentication_result", AuthResult),
    ],
)
def test_the_same_words_as_in_the_code(place: str, words: type[Verdict | Reason | AuthResult]) -> None:
    assert SCHEMA["$defs"][place]["enum"] == [word.value for word in words]


def test_the_same_placements_and_carriers_as_in_the_code() -> None:
    properties = SCHEMA["$defs"]["probe"]["properties"]
    assert properties["placement"]["enum"] == [*(word.value for word in Placement), None]
    assert properties["carriers"]["items"]["enum"] == [word.value for word in Carrier]


def test_nothing_is_optional_and_nothing_else_is_allowed() -> None:
    objects = [SCHEMA, SCHEMA["$defs"]["probe"], SCHEMA["$defs"]["probe"]["properties"]["authentication"]]
    for described in objects:
        assert described["additionalProperties"] is False
        assert described["required"] == list(described["properties"])


@pytest.mark.parametrize("name", HISTORIES)
async def test_what_the_code_says_is_valid(desk: Desk, name: str) -> None:
    state = await story_of(desk, HISTORIES[name])
    report = probe_report(desk, [state], [])
    assert faults(report) == []
    assert report["probes"][0]["reason"] in {None, *name.split(" ")}  # type: ignore[index]


async def test_a_blind_route_is_valid(desk: Desk) -> None:
    await desk.journal.append([WatchBlind(START, ROUTE.mailbox, BlindCause.AUTH_REFUSED, "NO wrong password", "set the password")])
    report = probe_report(desk, [], [ROUTE])
    assert faults(report) == [] and report["verdict"] == "inconclusive"


def test_nothing_probed_is_valid_and_no_pass(desk: Desk) -> None:
    report = probe_report(desk, [], [])
    assert faults(report) == [] and report["verdict"] == "inconclusive"


@pytest.mark.parametrize("spoil", [{"extra": 1}, {"verdict": "ok"}, {"reason": "unknown"}, {"judged_at": "yesterday"}, {"attempts": -1}])
async def test_the_schema_refuses_other_documents(desk: Desk, spoil: dict[str, object]) -> None:
    report = probe_report(desk, [await story_of(desk, HISTORIES["pass"])], [])
    rows = report["probes"]
    assert isinstance(rows, list)
    rows[0].update(spoil)
    assert faults(report)
