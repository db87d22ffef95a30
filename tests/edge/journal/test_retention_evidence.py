"""What something kept rests on stays: evidence of verdicts, facts behind open incidents, what has not been told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.edge.journal import retention
from monitor.model.facts import (
    Acknowledged,
    DeployMarked,
    Fact,
    Judged,
    Looked,
    Noted,
    Notified,
    NotifyFailed,
    Reloaded,
    ReloadRefused,
    ResolveAsked,
    Silenced,
    SilenceEnded,
    SilencePlanned,
    Transition,
    Tripped,
    WatchBlind,
    ZoneLearned,
    ZoneObserved,
)
from monitor.model.incident import EVERYWHERE, DeployPhase, IncidentId, Phase, Severity, SilenceId
from monitor.model.inspection import Cause, Facet, FacetKind
from monitor.model.mail import BlindCause
from monitor.model.probe import Purpose
from monitor.model.verdict import Reason, Symptom
from tests.edge.journal.test_retention import KEEP, MISSING, PASS, Kept, ago, kept, life, probe
from tests.views.life import OWN, ROUTE

__all__ = ["kept"]  # the fixture

ONE = IncidentId("INC-1")


def look(days: float) -> Looked:
    return Looked(ago(days), OWN, ago(days), 6)


def changed(phase: Phase, days: float, evidence: tuple[int, ...] = (), incident: IncidentId = ONE) -> Transition:
    when = ago(days)
    return Transition(when, incident, phase, Symptom.DELIVERY_MISSING, EVERYWHERE, Severity.PAGE, 1, when, evidence=evidence)


def story(days: float, *last: Fact) -> list[Fact]:
    """Opened two days before; told; spoken of."""
    before = days + 2
    return [
        changed(Phase.OPENED, before),
        Notified(ago(before), ONE, "hook", 1, 1, "ok"),
        Acknowledged(ago(before), ONE, "ann"),
        Silenced(ago(before), ONE, "ann", "known", ago(before).utc + 60),
        Noted(ago(before), ONE, "ann", "hm"),
        ResolveAsked(ago(before), ONE, "ann", "over"),
        *last,
    ]


RESOLVED = changed(Phase.RESOLVED, 91)


@pytest.mark.parametrize(
    ("facts", "stays"),
    [
        pytest.param(story(91, RESOLVED), False, id="resolved long ago"),
        pytest.param(story(89, changed(Phase.RESOLVED, 89)), True, id="resolved within the time of failures"),
        pytest.param(story(300), True, id="open for ever"),
        pytest.param(story(300, changed(Phase.RECOVERING, 299)), True, id="recovering is open"),
        pytest.param(story(300, changed(Phase.RESOLVED, 299), changed(Phase.OPENED, 298)), True, id="reopened"),
        pytest.param([changed(Phase.SUSPECTED, 92), changed(Phase.CLEARED, 91)], False, id="a suspicion that was cleared"),
        pytest.param([changed(Phase.SUSPECTED, 92)], True, id="a suspicion"),
        pytest.param([changed(Phase.OPENED, 93), RESOLVED, NotifyFailed(ago(91), ONE, "hook", 2, 1, "no", "", 60.0)], True, id="untold"),
        pytest.param(
            [
                changed(Phase.OPENED, 93),
                RESOLVED,
                NotifyFailed(ago(91), ONE, "hook", 2, 1, "no", "", 60.0),
                Notified(ago(91), ONE, "hook", 2, 2, "ok"),
            ],
            False,
            id="told in the end",
        ),
        pytest.param(
            [
                changed(Phase.OPENED, 93),
                RESOLVED,
                NotifyFailed(ago(91), ONE, "hook", 2, 1, "no", "", 60.0),
                NotifyFailed(ago(91), ONE, "hook", 2, 9, "no", "look at it", None),
            ],
            False,
            id="given up",
        ),
        pytest.param([Tripped(ago(91), OWN, 1, "shop.test", ())], False, id="an old trip"),
        pytest.param([Tripped(ago(89), OWN, 1, "shop.test", ())], True, id="a trip"),
        pytest.param([DeployMarked(ago(91), "d1", DeployPhase.START)], False, id="an old deploy"),
        pytest.param([DeployMarked(ago(89), "d1", DeployPhase.START)], True, id="a deploy"),
        pytest.param([Reloaded(ago(91), "h", ()), ReloadRefused(ago(91), "no")], False, id="old reloads"),
        pytest.param([Reloaded(ago(89), "h", ()), ReloadRefused(ago(89), "no")], True, id="reloads"),
    ],
)
async def test_by_age(kept: Kept, facts: list[Fact], stays: bool) -> None:
    await kept.journal.append(facts)
    await kept.journal.append(life(2, 0, PASS))
    await kept.retire()
    assert len(kept.rows()) == (len(facts) if stays else 0) + 6


@pytest.mark.parametrize(("reason", "stays"), [(MISSING, True), (Reason.MAILBOX_BLIND, True), (PASS, False)])
async def test_the_look_behind_a_verdict_stays_as_long_as_the_verdict(kept: Kept, reason: Reason, stays: bool) -> None:
    """A verdict that nobody can check is worth nothing."""
    plan, *rest = life(1, 30, closed=True)
    await kept.journal.append([look(31), plan, look(30), look(29.9)])
    verdict = Judged(ago(29.9), probe(1), ROUTE, Purpose.SCHEDULED, 0, reason.verdict, reason, "because", (2, 3))
    await kept.journal.append([*rest[:-1], verdict, rest[-1]])
    await kept.retire()
    assert ("looked" in kept.rows("kind")) is stays
    assert (kept.rows("seq")[:2] == [2, 3]) is stays, "that look and no other"  # type: ignore[comparison-overlap]


async def test_the_look_goes_when_the_verdict_has_gone(kept: Kept) -> None:
    plan, *rest = life(1, 91, closed=True)
    verdict = Judged(ago(91), probe(1), ROUTE, Purpose.SCHEDULED, 0, MISSING.verdict, MISSING, "because", (1,))
    await kept.journal.append([look(91), plan, *rest[:-1], verdict, rest[-1]])
    await kept.retire()
    assert kept.rows() == []


@pytest.mark.parametrize("phase", [Phase.OPENED, Phase.RESOLVED])
async def test_what_an_open_incident_rests_on_stays_over_age_and_cap(kept: Kept, phase: Phase) -> None:
    """Its probes whole, a pass among them; the watcher's word; strays. Everything else of that age goes."""
    await kept.journal.append([WatchBlind(ago(100), OWN, BlindCause.TIMEOUT, "", ""), *life(1, 100, MISSING), *life(2, 100, PASS)])
    judged = [number for number, kind in zip(kept.rows("seq"), kept.rows("kind"), strict=True) if kind == "judged"]
    await kept.journal.append([changed(phase, 95, (1, *map(int, judged)))])
    await kept.journal.append([*life(3, 100, MISSING), *life(4, 100, PASS), WatchBlind(ago(100), OWN, BlindCause.TIMEOUT, "", "")])
    await kept.retire(replace(KEEP, max_bytes=1))
    if phase is Phase.OPENED:
        assert kept.probes() == [1, 2] and kept.rows("kind").count("watch_blind") == 1 and "transition" in kept.rows("kind")
    else:
        assert kept.rows() == []


async def test_many_that_are_kept_do_not_hide_those_that_go(kept: Kept) -> None:
    """The sweep goes on behind what it kept, step by step, and begins anew after a day."""
    many = retention.STEP * 10
    evidence = tuple(range(1, many + 1))
    await kept.journal.append([look(30)] * many)
    await kept.journal.append([*life(1, 30, closed=False)])
    await kept.journal.append([Judged(ago(30), probe(1), ROUTE, Purpose.SCHEDULED, 0, MISSING.verdict, MISSING, "because", evidence)])
    await kept.journal.append([look(30)] * 50)
    await kept.retire()
    await kept.retire()
    assert kept.rows("kind").count("looked") == many


async def test_what_a_baseline_was_learned_from_stays(kept: Kept) -> None:
    """Or the first observation that is left would be how the zone is meant to be, whatever was wrong with it."""

    def seen(days: float, value: str, learned: bool = False) -> ZoneObserved:
        return ZoneObserved(ago(days), "shop.test", Cause.SCHEDULE, (), (), (Facet(FacetKind.MX, "shop.test", value),), learned=learned)

    await kept.journal.append([seen(100, "good", learned=True), seen(99, "good"), seen(98, "bad"), seen(1, "bad")])
    await kept.retire()
    assert kept.rows("seq") == [1, 4]  # type: ignore[comparison-overlap]
    await kept.retire(replace(KEEP, max_bytes=1))
    assert kept.rows("seq") == [1]  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(("ahead", "stays"), [(60.0, True), (0.0, False)])
@pytest.mark.parametrize("ended", [False, True])
async def test_a_silence_that_is_not_over_stays_and_so_does_its_early_end(kept: Kept, ahead: float, stays: bool, ended: bool) -> None:
    """It may be planned for longer ahead than facts are kept; without its end it would come back."""
    now = ago(0).utc
    planned = SilencePlanned(ago(91), SilenceId("SIL-2"), "ana", "work", now + ahead - 600, now + ahead)
    facts = [planned, SilenceEnded(ago(90.5), planned.silence, "bob")] if ended else [planned]
    others = [replace(planned, silence=SilenceId("SIL-1"), until=now - 1), SilenceEnded(ago(91), SilenceId("SIL-1"), "bob")]
    await kept.journal.append([*others, *facts])
    await kept.retire()
    assert kept.rows("kind") == ([f"silence_{word}" for word in ("planned", "ended")[: len(facts)]] if stays else [])


async def test_only_the_baseline_that_counts_stays(kept: Kept) -> None:
    """Each fact that tells of learning holds all of it."""
    mx = Facet(FacetKind.MX, "shop.test", "good")

    def learned(days: float, domain: str = "shop.test") -> ZoneLearned:
        return ZoneLearned(ago(days), domain, (mx,))

    old = ZoneObserved(ago(101), "shop.test", Cause.SCHEDULE, (), (), (mx,), learned=True)
    await kept.journal.append([old, learned(100), learned(99, "other.test"), learned(98), learned(1), replace(old, domain="third.test")])
    await kept.retire()
    assert kept.rows("seq") == [3, 5, 6]  # type: ignore[comparison-overlap]
    await kept.retire(replace(KEEP, max_bytes=1))
    assert kept.rows("seq") == [3, 5, 6]  # type: ignore[comparison-overlap]


def test_every_kind_of_fact_has_a_time() -> None:
    """A new kind must be given one, or the journal grows for ever."""
    from monitor.model.facts import KINDS, ProbeFact

    by_probe = {kind for kind, cls in KINDS.items() if cls in ProbeFact.__args__}
    known = {*retention._FLEETING, *retention._TOLD, *retention._INCIDENT, *retention._GATE, *by_probe}
    assert set(KINDS) - known == {"paused", "resumed", "baselined", "zone_learned"}, (
        "what people did by hand, and what their zones are meant to be"
    )
