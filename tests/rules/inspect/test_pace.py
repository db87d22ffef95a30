"""When a domain is inspected, when nothing can be said, and what is written down."""
# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monitor.model.checks import CheckId, CheckResult, Gravity, Status
from monitor.model.dns import Answer, DnsFailure, Outcome, Question, RecordType
from monitor.model.facts import Delivered, DeployMarked, Entry, Fact, InspectionAsked, Judged, Looked, MailProved, ZoneLearned, ZoneObserved
from monitor.model.incident import DeployPhase
from monitor.model.inspection import Cause, Drift, DriftState, Facet, FacetKind
from monitor.model.instant import Instant
from monitor.model.mail import AuthResult
from monitor.model.mailauth import DeliveredMail, DmarcProof, MailProof
from monitor.model.probe import PathName, ProbeId, Purpose, Route
from monitor.model.verdict import Reason
from monitor.rules.inspect import Inspection
from monitor.rules.inspect.observed import MOST_RESULTS, SPELL_EVERY, observed, written
from monitor.rules.inspect.pace import BLIND_AGAIN, LEAST_BETWEEN, START_AFTER, Turn, first, following, sooner, unsettled, woken
from monitor.rules.inspect.unknowns import CONTROL, blindness, hardened, hardens
from monitor.views.zones import MOST_MEANT, DomainState, Zones
from tests.stages.house import RELAY, policy, seed

SHOP, EVERY = "shop.test", 900.0
ROUTE = Route(RELAY, seed(1))


def at(seconds: float) -> Instant:
    return Instant(1_000_000.0 + seconds, seconds, "one")


def result(
    status: Status = Status.FAIL, gravity: Gravity = Gravity.CRITICAL, check: CheckId = CheckId.MX_01, about: str = SHOP
) -> CheckResult:
    return CheckResult(check, status, about, gravity, "seen")


def seen(seconds: float, *results: CheckResult, blind: str = "", drifts: tuple[Drift, ...] = ()) -> ZoneObserved:
    return ZoneObserved(at(seconds), SHOP, Cause.SCHEDULE, results, (), (), drifts, blind=blind)


def state(*facts: ZoneObserved) -> DomainState:
    zones = Zones()
    for seq, fact in enumerate(facts, 1):
        zones.fold(Entry(seq, "", fact))
    return zones.domain(SHOP)


# --- when ------------------------------------------------------------------------------------------------------------


def test_after_a_start_one_after_another() -> None:
    assert [first(index, 3, EVERY, at(0)).at.mono for index in range(3)] == [START_AFTER, START_AFTER + 1, START_AFTER + 2]
    assert first(499, 500, 60.0, at(0)).at.mono <= START_AFTER + 60.0, "all within one interval"


@pytest.mark.parametrize(
    ("turn", "latest", "expected"),
    [
        (None, None, (100, Cause.DEPLOY)),
        (Turn(at(900), Cause.SCHEDULE), at(0), (100, Cause.DEPLOY)),
        (Turn(at(900), Cause.SCHEDULE), at(90), (90 + LEAST_BETWEEN, Cause.DEPLOY)),
        (Turn(at(110), Cause.ASKED), at(95), (110, Cause.ASKED)),
        (Turn(at(160), Cause.CONFIRM), at(0), (100, Cause.DEPLOY)),
        (Turn(at(90), Cause.SCHEDULE), at(0), (100, Cause.DEPLOY)),
    ],
)
def test_something_happened(turn: Turn | None, latest: Instant | None, expected: tuple[float, Cause]) -> None:
    made = sooner(turn, Cause.DEPLOY, latest, at(100))
    assert (made.at.mono, made.cause) == expected


def turn(observed: ZoneObserved, before: DomainState | None = None, blinded: int = 1, draw: float = 0.0) -> tuple[float, Cause]:
    made = following(observed, before, blinded, EVERY, draw)
    return made.at.seconds_since(observed.at), made.cause


def test_on_schedule_with_jitter() -> None:
    assert turn(seen(0)) == (EVERY, Cause.SCHEDULE)
    assert turn(seen(0), draw=1.0)[0] == pytest.approx(990) and turn(seen(0), draw=-1.0)[0] == pytest.approx(810)


@pytest.mark.parametrize(("blinded", "seconds"), [(1, BLIND_AGAIN), (2, 120), (4, 480), (5, EVERY), (10_000, EVERY)])
def test_blind_is_tried_again_with_growing_waits(blinded: int, seconds: float) -> None:
    assert turn(seen(0, blind="why"), blinded=blinded) == (seconds, Cause.SCHEDULE)


def drifted(first_seen: float, state: DriftState = DriftState.PROPAGATING, gravity: Gravity = Gravity.CRITICAL) -> Drift:
    return Drift(FacetKind.MX, SHOP, "a", "b", gravity, "what", state, 1_000_000.0 + first_seen, 0.0)


GRAVE = [
    ("a new finding", seen(0, result()), None, True),
    ("one that was unknown", seen(0, result()), state(seen(-900, result(Status.UNKNOWN))), True),
    ("one that is not confirmed yet", seen(30, result()), state(seen(0, result())), True),
    ("one that this look confirms", seen(61, result()), state(seen(0, result())), False),
    ("a confirmed one", seen(900, result()), state(seen(0, result()), seen(70, result())), False),
    ("the end of a confirmed one", seen(900), state(seen(0, result()), seen(70, result())), True),
    ("the end of an unconfirmed one", seen(30), state(seen(0, result())), False),
    ("a warning", seen(0, result(Status.WARN, Gravity.WARNING)), None, False),
    ("an unknown", seen(0, result(Status.UNKNOWN)), None, False),
    ("a fresh change", seen(10, drifts=(drifted(10),)), state(seen(0)), True),
    ("a fresh change that is no harm", seen(10, drifts=(drifted(10, gravity=Gravity.WARNING),)), state(seen(0)), False),
    ("a change of old", seen(100, drifts=(drifted(0),)), state(seen(0)), False),
    ("a change that is over", seen(10, drifts=(drifted(10, DriftState.REVERTED),)), state(seen(0)), False),
]


@pytest.mark.parametrize(("fact", "before", "again"), [row[1:] for row in GRAVE], ids=[row[0] for row in GRAVE])
def test_what_needs_a_second_look(fact: ZoneObserved, before: DomainState | None, again: bool) -> None:
    assert unsettled(fact, before) is again
    assert turn(fact, before)[1] is (Cause.CONFIRM if again else Cause.SCHEDULE)


def judged(reason: Reason, route: Route = ROUTE) -> Judged:
    return Judged(at(0), ProbeId("p"), route, Purpose.SCHEDULED, 0, reason.verdict, reason, "", ())


def proved(result: AuthResult) -> MailProved:
    return MailProved(at(0), ProbeId("p"), ROUTE, 1, MailProof(dmarc=DmarcProof(result)))


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (DeployMarked(at(0), "d", DeployPhase.START), (Cause.DEPLOY, {"shop.test", "other.test"})),
        (DeployMarked(at(0), "d", DeployPhase.FINISH), (Cause.DEPLOY, {"shop.test", "other.test"})),
        (InspectionAsked(at(0), "other.test", "ann"), (Cause.ASKED, {"other.test"})),
        (InspectionAsked(at(0), "stranger.test", "ann"), None),
        (judged(Reason.UNAUTHENTICATED), (Cause.AUTHENTICATION, {"shop.test"})),
        (judged(Reason.UNAUTHENTICATED, Route(PathName("gone"), seed(1))), None),
        (judged(Reason.MISSING), None),
        (proved(AuthResult.FAIL), (Cause.AUTHENTICATION, {"shop.test"})),
        (proved(AuthResult.TEMPERROR), None),
        (proved(AuthResult.PASS), None),
        (Looked(at(0), seed(1), at(0), 1), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_wakes_the_stage(tmp_path: Path, fact: Fact, expected: tuple[Cause, set[str]] | None) -> None:
    known, zones = policy(tmp_path, inspect={"enabled": True, "domains": {"other.test": {}}}), Zones()
    zones.fold(Entry(1, "", Delivered(at(0), ProbeId("p"), ROUTE, seed(1), DeliveredMail(author_domains=("a.shop.test",)))))
    found = woken(fact, known, zones)
    assert (found and (found[0], set(found[1]))) == expected


# --- when nothing can be said ----------------------------------------------------------------------------------------


def answer(name: str, failure: DnsFailure | None = None, rtype: RecordType = RecordType.TXT, failed: int = 1, server: str = "") -> Answer:
    question = Question(name, rtype, server)
    return Answer(question, Outcome.FAILED if failure else Outcome.FOUND, failure=failure, resolvers_failed=failed if failure else 0)


ROOT, DARK = answer(".", rtype=RecordType.NS), answer(".", DnsFailure.TIMEOUT, RecordType.NS)
GOOD = [answer(f"g{number}.test") for number in range(4)]
BAD = [answer(f"b{number}.test", DnsFailure.SERVFAIL) for number in range(4)]


@pytest.mark.parametrize(
    ("answers", "blind"),
    [
        ([], False),
        ([ROOT, *GOOD], False),
        ([ROOT, *BAD], False),
        ([DARK, *BAD], True),
        ([DARK, *BAD, *GOOD[:1]], True),
        ([DARK, *BAD[:1], *GOOD], False),
        (BAD, True),
        ([DARK, answer("b.test", DnsFailure.BOGUS)], False),
        ([ROOT, *[answer("a.test", DnsFailure.TIMEOUT, server=f"192.0.2.{n}") for n in range(9)]], False),
    ],
    ids=["nothing asked", "all well", "the zone fails", "all fails", "most fails", "a little fails", "no control", "bogus", "its servers"],
)
def test_blind(answers: Sequence[Answer], blind: bool) -> None:
    assert bool(blindness({one.question: one for one in answers})) is blind


UNKNOWN = result(Status.UNKNOWN)
OLD = state(seen(0, UNKNOWN), seen(450, UNKNOWN))


def hard(
    results: Sequence[CheckResult] = (UNKNOWN,),
    before: DomainState = OLD,
    answers: Sequence[Answer] = (ROOT, *BAD),
    otherwise: Sequence[CheckResult] = (),
    resolvers: int = 1,
    seconds: float = 900.0,
) -> list[Status]:
    table = {one.question: one for one in answers}
    return [one.status for one in hardened(results, before, table, lambda _: otherwise, resolvers, at(seconds))]


def test_an_unknown_that_lasts_counts_as_a_failure() -> None:
    assert hard() == [Status.FAIL]
    assert hard(answers=[ROOT, *[answer("x.test", DnsFailure.SERVFAIL, failed=2)]], resolvers=3) == [Status.FAIL]


@pytest.mark.parametrize(
    "change",
    [
        {"seconds": 899.0},
        {"before": state(seen(0, UNKNOWN))},
        {"before": state(seen(0, UNKNOWN), seen(450), seen(460, UNKNOWN))},
        {"before": state()},
        {"answers": [DARK, *BAD]},
        {"answers": BAD},
        {"answers": [ROOT, *GOOD]},
        {"otherwise": [UNKNOWN]},
        {"resolvers": 2},
        {"results": [result(Status.UNKNOWN, check=CheckId.DKIM_M2)], "before": state(*[seen(n, result(Status.UNKNOWN, check=CheckId.DKIM_M2)) for n in (0, 450)])},
    ],
    ids=["not long", "not often", "not in a row", "never before", "root dark", "root not asked", "all answered", "another reason", "one resolver of two", "of mail"],
)  # fmt: skip
def test_an_unknown_that_stays_one(change: dict[str, object]) -> None:
    assert hard(**change) == [Status.UNKNOWN]  # type: ignore[arg-type]


def test_a_hardened_one_stays_so_while_it_lasts() -> None:
    failed = replace(seen(900, result()), hardened=("MX-01 shop.test",))
    before = state(seen(0, UNKNOWN), seen(450, UNKNOWN), failed)
    assert hard(before=before, seconds=1800) == [Status.FAIL]
    assert hard(before=before, results=[result(Status.PASS)], seconds=1800) == [Status.PASS]


def test_other_answers_are_no_answers_replaced() -> None:
    asked: list[Answer] = []

    def judge(answers: object) -> list[CheckResult]:
        asked.extend(answers.values())  # type: ignore[attr-defined]
        return []

    hardened([UNKNOWN], OLD, {one.question: one for one in (ROOT, *BAD, *GOOD)}, judge, 1, at(900))
    assert {one.outcome for one in asked if one.question.name.startswith("b")} == {Outcome.NXDOMAIN}
    assert {one.outcome for one in asked if not one.question.name.startswith("b")} == {Outcome.FOUND}


def test_the_silence_of_a_named_server_is_its_own() -> None:
    """The path to it may be closed to us alone."""
    asked: list[Answer] = []
    closed = answer("shop.test", DnsFailure.TIMEOUT, RecordType.SOA, server="192.0.2.53")

    def judge(answers: object) -> list[CheckResult]:
        asked.extend(answers.values())  # type: ignore[attr-defined]
        return []

    hardened([UNKNOWN], OLD, {one.question: one for one in (ROOT, *BAD, closed)}, judge, 1, at(900))
    assert closed in asked


def test_what_hardens() -> None:
    assert hardens(CheckId.DKIM_K1) and hardens(CheckId.MX_05) and hardens(CheckId.SPF_07)
    assert not any(map(hardens, (CheckId.DKIM_M1, CheckId.AR_01, CheckId.MSG_01, CheckId.DNS_14, CheckId.DMARC_16, CheckId.SPF_15)))


# --- what is written down --------------------------------------------------------------------------------------------


MX = Facet(FacetKind.MX, SHOP, "records=10 mx.shop.test", 3600)


def looked(*results: CheckResult, before: DomainState | None = None, seconds: float = 0.0, **more: Any) -> ZoneObserved:
    answers = {one.question: one for one in (ROOT, *GOOD)}
    return observed(Inspection(SHOP, results, **more), answers, before, lambda _: (), 1, Cause.SCHEDULE, at(seconds))


def kept(*results: CheckResult, before: DomainState | None = None, seconds: float = 0.0, **more: Any) -> ZoneObserved:
    fact = written(looked(*results, before=before, seconds=seconds, **more), before)[0]
    assert isinstance(fact, ZoneObserved)
    return fact


def test_findings_in_full_and_what_passed_by_its_id() -> None:
    some = (result(), result(Status.PASS, Gravity.INFO, about="x"), result(Status.PASS, check=CheckId.MX_02), result(Status.SKIP, check=CheckId.MX_03),
            result(Status.PASS, check=CheckId.MX_04), result(Status.INFO, check=CheckId.MX_04, about="y"))  # fmt: skip
    fact = kept(*some)
    assert fact.results == (some[0], some[5]) and fact.passed == (CheckId.MX_02, CheckId.MX_04)
    assert (fact.asked, fact.failed, fact.same) == (5, 0, False)


def test_bounded() -> None:
    many = [replace(result(about=f"d{number}"), saw="x" * 5000) for number in range(MOST_RESULTS + 9)]
    fact = kept(*many)
    assert len(fact.results) == MOST_RESULTS and len(fact.results[0].saw) == 2000


def test_a_record_to_publish_is_not_cut() -> None:
    fact = kept(replace(result(), publish="x" * 2001), replace(result(about="y"), publish="x" * 2000))
    assert [one.publish for one in fact.results] == ["", "x" * 2000]


def test_only_changes_are_spelled_out() -> None:
    before = state(kept(result()))
    again = kept(result(), before=before, seconds=900)
    assert again.same and not again.results and not again.passed
    assert not kept(result(), before=before, seconds=SPELL_EVERY).same
    assert not kept(result(about="z"), before=before, seconds=900).same
    assert not kept(result(), before=before, seconds=900, unanswered=((FacetKind.MX, SHOP),)).same
    assert not kept(result(), before=state(), seconds=900).same


def test_drifts_that_stay_the_same_are_spelled_out_once() -> None:
    before = state(kept(result(), drifts=(drifted(0),)))
    again = kept(result(), before=before, seconds=900, drifts=(drifted(0),))
    assert again.same and again.unmoved and not again.drifts
    moved = kept(result(), before=before, seconds=900, drifts=(drifted(0, DriftState.STANDING),))
    assert moved.same and not moved.unmoved and moved.drifts
    over = kept(result(), before=before, seconds=900)
    assert over.same and not over.unmoved and not over.drifts


def test_a_finding_that_is_confirmed_and_stays_waits_for_the_schedule() -> None:
    """What is written down says only that it is the same: that is no end of it."""
    before = state(kept(result()), replace(kept(result()), at=at(70)))
    fact = looked(result(), before=before, seconds=900)
    assert written(fact, before)[0].same and turn(fact, before) == (EVERY, Cause.SCHEDULE)  # type: ignore[union-attr]


def test_a_look_too_soon_after_the_first_is_looked_at_again() -> None:
    before = state(kept(result()))
    fact = looked(result(), before=before, seconds=30)
    assert written(fact, before)[0].same and turn(fact, before)[1] is Cause.CONFIRM  # type: ignore[union-attr]


PTR = Facet(FacetKind.PTR, "192.0.2.10", "records=mail.shop.test")
HOST = Facet(FacetKind.ADDRESS, "mx.shop.test", "records=192.0.2.20")
DARK_KEY = (FacetKind.DKIM, "s1._domainkey.shop.test")
DARK_MX = (FacetKind.MX, "bounce.shop.test")
LOOKS = (seen(0), seen(450))
LESSONS: list[tuple[str, DomainState, tuple[Facet, ...], tuple[tuple[FacetKind, str], ...], tuple[Facet, ...] | None]] = [
    ("the first look that is complete", state(), (MX, PTR), (), (MX, PTR)),
    ("one that is not", state(), (MX,), (DARK_KEY,), None),
    ("the third in a quarter of an hour", state(*LOOKS), (MX,), (DARK_KEY,), (MX,)),
    ("the second", state(seen(0)), (MX,), (DARK_KEY,), None),
    ("the third, too soon", state(seen(10), seen(450)), (MX,), (DARK_KEY,), None),
    ("nothing new", replace(state(), baseline=(MX, PTR)), (replace(MX, value="x"), PTR), (), None),
    ("what was not known", replace(state(), baseline=(MX,)), (replace(MX, value="x"), PTR), (), (MX, PTR)),
    ("an address that is not in use any more", replace(state(), baseline=(MX, PTR)), (MX,), (), (MX,)),
    ("one that did not answer", replace(state(), baseline=(MX, PTR)), (MX,), (PTR.key,), None),
    ("a selector that is not in use any more", replace(state(), baseline=(MX, Facet(*DARK_KEY, "p=a"))), (MX,), (), None),
    ("a host of an MX that changed", replace(state(), baseline=(MX, HOST)), (replace(MX, value="x"),), (), None),
    ("a host of an MX that is unknown", replace(state(), baseline=(MX, HOST)), (MX,), (DARK_MX,), None),
    ("a host that is no MX", replace(state(), baseline=(MX, HOST)), (MX,), (), (MX,)),
]  # fmt: skip


@pytest.mark.parametrize(("before", "facets", "unanswered", "learned"), [row[1:] for row in LESSONS], ids=[row[0] for row in LESSONS])
def test_what_is_learned(
    before: DomainState, facets: tuple[Facet, ...], unanswered: tuple[tuple[FacetKind, str], ...], learned: tuple[Facet, ...] | None
) -> None:
    facts = written(looked(before=before, seconds=900, facets=facets, unanswered=unanswered), before)
    assert facts[1:] == (() if learned is None else (ZoneLearned(at(900), SHOP, learned),))


def test_a_baseline_is_bounded() -> None:
    facets = tuple(Facet(FacetKind.PTR, f"192.0.2.{number}", "x") for number in range(MOST_MEANT + 9))
    (_, learned) = written(looked(facets=facets), None)
    assert isinstance(learned, ZoneLearned) and len(learned.facets) == MOST_MEANT


def test_blind_is_written_without_findings() -> None:
    answers = {one.question: one for one in (DARK, *BAD)}
    fact = observed(Inspection(SHOP, (result(),), facets=(MX,)), answers, None, lambda _: (), 1, Cause.DEPLOY, at(0))
    assert "5 of 5 questions failed, the first with timeout" in fact.blind and not fact.results and (fact.asked, fact.failed) == (5, 5)
    assert CONTROL in answers and written(fact, None) == (fact,)
