"""The incidents of shops whose true state is known: a sick mailbox never pages, never speaks for another one, and never hides one."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

import pytest

from monitor.model.facts import ResolveAsked, Transition, Tripped, WatchBlind, WatchRestored
from monitor.model.incident import Phase, Scope, ScopeKind, Severity
from monitor.model.mail import BlindCause
from monitor.model.probe import Route
from monitor.model.verdict import Reason, Symptom
from monitor.views import incidents as view
from tests.rules.incidents import M, Play, rules
from tests.rules.truth import Fault, SetBack, Truth
from tests.stages.house import RELAY, seed

H = 60 * M
DAY = 24 * H
B = 10 * M  # the routes have passed before
PAGE, TICKET = Severity.PAGE, Severity.TICKET
HARD = (Reason.SPAM, Reason.BOUNCED, Reason.REJECTED, Reason.UNAUTHENTICATED)


def sick(reason: Reason, since: Mapping[int, float], paths: Iterable[str] = ()) -> Fault:
    """These seeds, on these paths (empty: on all), from then on."""
    return lambda route, t: reason if t >= since.get(number(route), t + 1) and (not paths or route.path in paths) else Reason.PASS


def number(route: Route) -> int:
    return int(route.mailbox.rpartition("-")[2])


def both(one: Fault, other: Fault) -> Fault:
    def fault(route: Route, t: float) -> Reason:
        found = (one(route, t), other(route, t))
        return found[1] if found[0] is Reason.PASS else found[0]

    return fault


def blip(reason: Reason, seed_number: int, since: float) -> Fault:
    """One single mail on the relay, the first to this seed after that."""
    struck: list[float] = []

    def fault(route: Route, t: float) -> Reason:
        if t < since or (route.path, number(route)) != (RELAY, seed_number):
            return Reason.PASS
        struck.append(t)
        return reason if t == struck[0] else Reason.PASS

    return fault


TOLD: dict[str, tuple[Fault, tuple[int, int], list[tuple[Severity, str]]]] = {
    "a provider that bounces": (sick(Reason.BOUNCED, {3: B, 6: B}), (6, 2), [(PAGE, "provider:provider-0")]),
    "a provider that sends to junk": (sick(Reason.SPAM, {3: B, 6: B}), (6, 2), [(PAGE, "provider:provider-0")]),
    "a provider, where there is one path": (sick(Reason.SPAM, {3: B, 6: B}), (6, 1), [(PAGE, "provider:provider-0")]),
    "a mailbox, later its provider": (
        sick(Reason.SPAM, {3: B, 6: 0.8 * H}),
        (6, 1),
        [(TICKET, "mailbox:seed-3"), (PAGE, "provider:provider-0")],
    ),
    "a mailbox that defers, later another provider": (
        sick(Reason.DEFERRED, {3: B, 1: 0.9 * H, 4: 0.9 * H}),
        (6, 2),
        [(TICKET, "mailbox:seed-3"), (PAGE, "provider:provider-1")],
    ),
    "a mailbox that loses mail, later another provider": (
        sick(Reason.MISSING, {3: B, 1: 0.9 * H, 4: 0.9 * H}),
        (6, 2),
        [(TICKET, "mailbox:seed-3"), (PAGE, "provider:provider-1")],
    ),
    "a mailbox that is late, later another provider": (
        sick(Reason.LATE, {3: B, 1: 0.8 * H, 4: 0.8 * H}),
        (6, 2),
        [(TICKET, "mailbox:seed-3"), (TICKET, "provider:provider-1")],
    ),
    **{
        f"two mailboxes of two providers, {reason.value}": (
            sick(reason, {1: B, 3: 1.2 * H}),
            (6, 2),
            [(TICKET, "mailbox:seed-1"), (TICKET, "mailbox:seed-3")],
        )
        for reason in (Reason.SPAM, Reason.LATE)
    },
    "a mailbox in junk, and one mail elsewhere": (
        both(sick(Reason.SPAM, {3: B}), blip(Reason.SPAM, 1, 0.9 * H)),
        (6, 2),
        [(TICKET, "mailbox:seed-3")],
    ),
    "a mailbox in junk, and one mail elsewhere, where there are few": (
        both(sick(Reason.SPAM, {3: B}), blip(Reason.SPAM, 1, 0.9 * H)),
        (3, 1),
        [(TICKET, "mailbox:seed-3")],
    ),
    "a provider that defers, later another one": (
        sick(Reason.DEFERRED, {3: B, 6: B, 1: 0.8 * H, 4: 0.8 * H}),
        (6, 2),
        [(PAGE, "provider:provider-0"), (PAGE, "provider:provider-1")],
    ),
    "a mailbox in junk, and all of a path": (
        both(sick(Reason.SPAM, {3: B}), sick(Reason.SPAM, dict.fromkeys(range(1, 7), 0.9 * H), [RELAY])),
        (6, 2),
        [(TICKET, "mailbox:seed-3"), (PAGE, "path:relay")],
    ),
    "a provider that is late, and a dead mailbox": (
        both(sick(Reason.MISSING, {3: 0.9 * H}), sick(Reason.LATE, {1: B, 4: B})),
        (6, 2),
        [(TICKET, "provider:provider-1"), (TICKET, "mailbox:seed-3")],
    ),
}


@pytest.mark.parametrize(("fault", "world", "told"), TOLD.values(), ids=TOLD)
def test_what_is_told(fault: Fault, world: tuple[int, int], told: list[tuple[Severity, str]]) -> None:
    truth = Truth(fault, rules(*world)).live(1.6 * H)
    assert truth.told() == told
    assert len({fact.incident for fact in truth.pages()}) == sum(severity is PAGE for severity, _ in told), "nothing grows into a page"


@pytest.mark.parametrize("draw", range(3))
def test_one_sick_mailbox_pages_nobody(draw: int) -> None:
    """Whatever ails it, and whichever single mails fail elsewhere, far apart; through restarts. Nor is it over."""
    rng = random.Random(f"one {draw}")
    ill = rng.randint(1, 6)
    fault = sick(rng.choice((*HARD, Reason.MISSING, Reason.DEFERRED)), {ill: H * rng.uniform(0.1, 0.5)})
    for hour in (0.7, 1.2):
        since = hour * H + rng.uniform(0, 10 * M)
        fault = both(fault, blip(rng.choice(HARD), rng.randint(1, 6), since))
    truth = Truth(fault)
    for until in (0.6, 1.0, 1.3, 1.6):
        truth.live(until * H).restart()
    assert [str(fact.scope) for fact in truth.pages()] == []
    its = [fact.phase for fact in truth.play.said if fact.scope == Scope(ScopeKind.MAILBOX, seed(ill)) and fact.opening is not None]
    assert its and Phase.RESOLVED not in its


@pytest.mark.parametrize("draw", range(3))
def test_a_provider_pages_and_is_not_over_while_it_is_broken(draw: int) -> None:
    """Whatever single mailbox was sick before it, anywhere."""
    rng = random.Random(f"provider {draw}")
    broken, reason = rng.choice(((3, 6), (1, 4), (2, 5))), rng.choice(HARD)
    before = sick(rng.choice((reason, Reason.DEFERRED, Reason.MISSING)), {rng.randint(1, 6): B})
    truth = Truth(both(sick(reason, dict.fromkeys(broken, 40 * M)), before)).live(1.3 * H)
    page, *_ = truth.pages()
    assert 40 * M <= page.at.mono <= 55 * M and str(page.scope) in (f"provider:provider-{broken[0] % 3}", "all")
    assert not [fact for fact in truth.play.said if fact.incident == page.incident and fact.phase is Phase.RESOLVED]


@pytest.mark.parametrize("draw", range(6))
def test_what_breaks_everything_is_one_page(draw: int) -> None:
    """However fast each path and provider answers, and whoever is asked first."""
    rng = random.Random(f"all {draw}")
    reason, since = rng.choice(HARD), B + rng.uniform(0, 300)
    waits: dict[tuple[str, str], float] = {}

    def transit(route: Route) -> float:
        return waits.setdefault((route.path, str(number(route) % 3)), rng.choice((0.3, 2.0, 6.0, 12.0)))

    truth = Truth(lambda _, t: reason if t >= since else Reason.PASS, None, transit).live(40 * M)
    assert [str(fact.scope) for fact in truth.pages() if fact.phase is Phase.OPENED] == ["all"]


def test_a_total_outage_is_told_as_one_when_it_is_over() -> None:
    """And not as the part of it that is left when what recovery sent is counted in."""
    truth = Truth(lambda _, t: Reason.REJECTED if B <= t < 40 * M else Reason.PASS).live(1.5 * H)
    over = next(fact for fact in truth.play.said if fact.phase is Phase.RESOLVED)
    assert over.tallies and all(tally.bad == tally.sent for tally in over.tallies), over.tallies


# --- what is remembered of what is over --------------------------------------------------------------------------------


def many_short_ones(play: Play, t: float, times: int) -> float:
    """Incidents that come and go, more than an hour apart."""
    for _ in range(times):
        play.tell(WatchBlind(play.at(t), seed(1), BlindCause.TIMEOUT, "", ""))
        play.ask(t + 901)
        play.tell(WatchRestored(play.at(t + 1000), seed(1), 3))
        play.ask(t + 1001)
        play.ask(t + 1601)
        t += 1700 + H
    return t


def test_a_trip_of_long_ago_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "KEPT_RESOLVED", 5)
    play = Play()
    play.passes(0)
    play.tell(Tripped(play.at(10), seed(2), 1, "", ("our mail",)))
    play.ask(11)
    play.ask(10 + DAY + 20)
    many_short_ones(play, 10 + DAY + 100, 2 * 5)
    assert [fact.phase for fact in play.said if fact.symptom is Symptom.STRAY] == [Phase.OPENED, Phase.RESOLVED]


def test_one_that_was_open_for_long_is_remembered_when_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "KEPT_RESOLVED", 5)
    play = Play()
    play.passes(0)
    for t in (300, 600, 900):
        for route in play.layout.of_mailbox[seed(3)]:
            play.probe(route, t, Reason.SPAM)
            play.ask(t + 5, [route])
        play.ask(t + 200)
    (first,) = {state.id for state in play.world.incidents.open()}
    t = many_short_ones(play, 4_000, 5 + 1)
    play.tell(ResolveAsked(play.at(t), first, "ana", "known"))
    said = len(play.said)
    for later in (1, 2, 400, 800):
        play.ask(t + later, list(play.policy.routes))
    assert [(fact.incident, fact.phase) for fact in play.said[said:]] == [(first, Phase.RESOLVED)]
    assert first in play.world.incidents.known and len(play.world.incidents.known) == 5


def test_an_end_that_a_wrong_clock_dated_into_the_future_hides_nothing() -> None:
    play = SetBack()
    t = play.passes(0, 2)
    rejected(play, t)
    t = play.passes(t + 300)
    for _ in range(7):
        play.ask(t)
        t = play.passes(t)
    play.ask(t)
    assert [fact.phase for fact in play.said if fact.severity is PAGE][-1] is Phase.RESOLVED
    play.set_back(t)
    said = len(play.said)
    rejected(play, t)
    rejected(play, t + 300)
    opened: list[Transition] = [fact for fact in play.said[said:] if fact.phase is Phase.OPENED]
    assert [fact.severity for fact in opened] == [PAGE]


def test_what_a_person_ended_stays_so_when_the_clock_is_set_back() -> None:
    play = SetBack()
    t = play.passes(0, 2)
    rejected(play, t)
    (bad,) = {state.id for state in play.world.incidents.open()}
    play.tell(ResolveAsked(play.at(t + 70), bad, "ana", "known"))
    play.ask(t + 71)
    play.set_back(t + 80)
    said = len(play.said)
    for later in (81, 400):
        play.ask(t + later, list(play.policy.routes))
    assert play.said[said:] == []


def test_a_trip_pages_although_a_wrong_clock_dated_the_end_of_the_last_one() -> None:
    """The last one stays over."""
    play = SetBack()
    play.passes(0)
    play.tell(Tripped(play.at(10), seed(2), 1, "", ("our mail",)))
    assert play.ask(11) == [Phase.OPENED]
    play.tell(ResolveAsked(play.at(20), play.said[-1].incident, "ana", "known"))
    assert play.ask(21) == [Phase.RESOLVED]
    play.set_back(100)
    assert play.ask(101) == []
    play.tell(Tripped(play.at(200), seed(2), 2, "", ("our mail",)))
    assert play.ask(201) == [Phase.OPENED]


def rejected(play: Play, t: float) -> None:
    for turn in range(4):
        for route in play.policy.routes:
            play.probe(route, t + turn * 20, Reason.REJECTED)
        play.ask(t + turn * 20 + 5)
