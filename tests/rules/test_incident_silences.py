"""Planned silences: what they cover, until when nobody is told, and what is told at their end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from monitor.model.channels import NotifyPolicy, WebhookChannel
from monitor.model.facts import (
    Acknowledged,
    DeployMarked,
    Entry,
    Fact,
    Notified,
    ResolveAsked,
    Silenced,
    SilenceEnded,
    SilencePlanned,
    Transition,
)
from monitor.model.incident import EVERYWHERE, THE_LEDGER, DeployPhase, IncidentId, Phase, Scope, ScopeKind, Severity, SilenceId, Tally
from monitor.model.instant import Instant
from monitor.model.notice import Call
from monitor.model.probe import Route
from monitor.model.verdict import Reason, Symptom
from monitor.rules.incident.layout import Layout
from monitor.rules.incident.silences import covers
from monitor.rules.notice import render
from monitor.rules.notify import duties, hushed, reminders
from monitor.views.incidents import KEPT_OVER, MOST_SILENCES, Incidents
from monitor.views.outbox import Outbox
from tests.rules.incidents import Play, app, relay, rules
from tests.stages.house import RELAY
from tests.stages.test_incident import APP
from tests.views.life import NOON

P = Phase
OPENED, GROWN, SILENCED, RESOLVED, ACKNOWLEDGED = P.OPENED, P.GROWN, P.SILENCED, P.RESOLVED, P.ACKNOWLEDGED
PATH = Scope(ScopeKind.PATH, RELAY)
ONE = SilenceId("SIL-1")
LONG = 3_600.0
TO = NotifyPolicy(channels={"hook": WebhookChannel("https://hook.test/", None)}, pages=("hook",), tickets=("hook",))


class Quiet(Play):
    """With people who plan silences, and one channel that takes what it is told at once."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[float, IncidentId, str]] = []  # when, of what, in which phase (held: at the end of a silence)

    def plan(self, t: float, begins: float, until: float, *scopes: Scope, symptoms: tuple[Symptom, ...] = (), by: str = "ana") -> SilenceId:
        silence = self.world.incidents.following_silence()
        self.tell(SilencePlanned(self.at(t), silence, by, "work on the relay", NOON + begins, NOON + until, scopes, symptoms))
        return silence

    def end(self, t: float, silence: SilenceId = ONE) -> None:
        self.tell(SilenceEnded(self.at(t), silence, "bob", "done early"))

    def fails(self, t: float, numbers: Sequence[int] = (1, 2, 4, 5), of: Callable[[int], Route] = relay) -> list[Phase]:
        """At these mailboxes of two providers within ten seconds: an incident of the path."""
        for number in numbers:
            self.probe(of(number), t + number, Reason.SPAM)
        said = self.ask(t + 9)
        for route in self.said[-1].confirm[-1:]:
            self.probe(route, t + 9)
        return [*said, *self.ask(t + 12)]

    def hear(self, t: float) -> list[str]:
        """What goes out at `t`; the channel takes it."""
        new = []
        while found := duties(self.world.outbox, TO, self.at(t)):
            for duty in found:
                item = duty.item
                new.append("still open" if item.held and item.fires else item.transition.phase.value)
                self.heard.append((t, item.transition.incident, new[-1]))
                self.tell(Notified(self.at(t), item.transition.incident, duty.channel, item.seq, 1, "ok"))
        return new

    def go(self, t: float) -> list[str]:
        """Time passes until `t`: what goes out then."""
        self.ask(t, ())
        return self.hear(t)

    @property
    def state(self) -> Transition:
        return self.world.incidents.known[IncidentId("INC-1")].last


# --- what is covered ------------------------------------------------------------------------------------------------------

ALL_OF_RELAY = tuple(str(relay(number)) for number in range(1, 7))
AT_ONE_PLACE = (str(relay(1)), str(relay(4)))  # provider-1
BOX = Scope(ScopeKind.MAILBOX, "seed-1")
SHOP, OUTLET = Scope(ScopeKind.DOMAIN, "shop.test"), Scope(ScopeKind.DOMAIN, "outlet.test")
PROVIDER = Scope(ScopeKind.PROVIDER, "provider-1")


@pytest.mark.parametrize(
    ("scopes", "scope", "routes", "covered"),
    [
        ((), PATH, ALL_OF_RELAY, True),
        ((), SHOP, (), True),
        ((EVERYWHERE,), THE_LEDGER, (), True),
        ((EVERYWHERE,), EVERYWHERE, ALL_OF_RELAY, True),
        ((PATH,), PATH, ALL_OF_RELAY, True),
        ((PATH,), PATH, (), True),
        ((PATH,), PROVIDER, AT_ONE_PLACE, True),  # all that fails there goes by this path
        ((PATH,), PROVIDER, (*AT_ONE_PLACE, str(app(1))), False),
        ((PATH,), BOX, (), False),  # blind: no route of the path alone
        ((PATH,), EVERYWHERE, ALL_OF_RELAY, True),
        ((PATH,), EVERYWHERE, (*ALL_OF_RELAY, str(app(1))), False),
        ((PROVIDER,), PROVIDER, AT_ONE_PLACE, True),
        ((PROVIDER,), BOX, (), True),  # the mailbox lies at the provider
        ((PROVIDER,), PATH, AT_ONE_PLACE, True),
        ((PROVIDER,), PATH, ALL_OF_RELAY, False),
        ((Scope(ScopeKind.PROVIDER, "provider-2"),), PATH, AT_ONE_PLACE, False),
        ((Scope(ScopeKind.PROVIDER, "provider-2"), PROVIDER), PATH, AT_ONE_PLACE, True),  # one of them holds it whole
        ((Scope(ScopeKind.PROVIDER, "provider-2"), PROVIDER), PATH, ALL_OF_RELAY, False),
        ((BOX,), BOX, (str(relay(1)), str(app(1))), True),
        ((BOX,), PROVIDER, AT_ONE_PLACE, False),
        ((BOX,), PROVIDER, (str(relay(1)),), True),
        ((PATH,), PATH, ("gone/seed-1",), True),  # by its name, though no route is configured any more
        ((PATH,), Scope(ScopeKind.PATH, "gone"), ("gone/seed-1",), False),
        ((SHOP,), SHOP, (), True),
        ((SHOP,), OUTLET, (), False),
        ((SHOP,), PATH, ALL_OF_RELAY, False),
        ((PATH,), SHOP, (), False),
        ((THE_LEDGER,), THE_LEDGER, (), True),
        ((THE_LEDGER,), SHOP, (), False),
        ((Scope(ScopeKind.DEPLOY, "d-1"),), Scope(ScopeKind.DEPLOY, "d-1"), (), True),
        ((Scope(ScopeKind.DEPLOY, "d-1"),), Scope(ScopeKind.DEPLOY, "d-2"), (), False),
    ],
)  # fmt: skip
def test_what_a_silence_covers(scopes: tuple[Scope, ...], scope: Scope, routes: tuple[str, ...], covered: bool) -> None:
    planned = SilencePlanned(Instant(0, 0, ""), ONE, "ana", "work", 0, 1, scopes)
    fact = Transition(
        Instant(0, 0, ""), IncidentId("INC-1"), OPENED, Symptom.SPAM_PLACEMENT, scope, Severity.PAGE, 1, Instant(0, 0, ""), routes
    )
    assert covers(Layout.of(rules()), planned, fact) is covered
    assert covers(Layout.of(rules()), replace(planned, symptoms=(Symptom.SPAM_PLACEMENT,)), fact) is covered
    assert not covers(Layout.of(rules()), replace(planned, symptoms=(Symptom.DUPLICATE, Symptom.AUTH)), fact)


# --- from beginning to end ------------------------------------------------------------------------------------------------


def test_what_opens_in_a_silence_is_told_at_its_end_and_named_at_once() -> None:
    play = Quiet()
    play.plan(0, 0, LONG, PATH)
    assert play.fails(10)[-2:] == [OPENED, SILENCED]
    opened, named = play.said[-2:]
    assert opened.silent_until == named.silent_until == NOON + LONG
    assert named.note == f"SIL-1 of ana until {play.at(LONG).iso()}" and named.by == "ana"
    assert play.hear(30) == [] and play.go(LONG - 0.1) == []
    assert play.go(LONG) == ["still open"]
    assert play.go(LONG + 1) == [] and play.said[-1] is named, "an end by the clock needs no decision"


def test_what_was_told_before_is_told_once_more_when_it_is_over() -> None:
    play = Quiet()
    play.fails(0)
    assert play.hear(13) == ["opened"]
    play.plan(20, 60, LONG, PATH)
    assert play.ask(21, ()) == [] and play.wake == pytest.approx(15.0, abs=0.1)
    assert play.ask(50, ()) == [] and play.wake == pytest.approx(10.0, abs=0.1), "asked again at the second of its beginning"
    assert play.ask(60, ()) == [SILENCED]
    assert play.go(LONG - 1) == [] and play.go(LONG) == ["still open"] and play.go(LONG + 60) == []


def test_a_silence_that_is_ended_early_lets_it_be_told_at_once() -> None:
    play = Quiet()
    play.plan(0, 0, LONG, PATH)
    play.fails(10)
    play.end(100)
    assert play.ask(100, ()) == [SILENCED]
    assert play.state.silent_until == 0.0 and "no longer silenced by SIL-1 of ana" in play.state.note and play.state.by == "bob"
    assert play.hear(100) == ["still open"] and play.go(LONG) == []


def test_one_that_never_began_silences_nothing() -> None:
    play = Quiet()
    play.plan(0, 100, LONG, PATH)
    play.end(50)
    assert OPENED in play.fails(200) and play.state.silent_until == 0.0
    assert play.hear(213) == ["opened"]


@pytest.mark.parametrize("begins", [60.0, LONG - 1, LONG])
def test_a_row_of_silences_has_one_end(begins: float) -> None:
    """The second begins before, or at the second, when the first ends."""
    play = Quiet()
    play.plan(0, 0, LONG, PATH)
    play.fails(10)
    play.plan(30, begins, 2 * LONG, EVERYWHERE, by="bob")
    assert play.ask(31, ()) == [SILENCED]
    assert play.state.silent_until == NOON + 2 * LONG and "SIL-2 of bob" in play.state.note and "SIL-1 of ana" in play.state.note
    assert play.go(LONG) == [] and play.go(2 * LONG) == ["still open"] and play.go(3 * LONG) == []


def test_with_a_second_between_two_it_is_told_in_between() -> None:
    play = Quiet()
    play.plan(0, 0, LONG, PATH)
    play.fails(10)
    play.plan(30, LONG + 5, 2 * LONG, PATH)
    assert play.go(31) == [] and play.go(LONG) == ["still open"]
    assert play.go(LONG + 5) == [] and play.state.phase is SILENCED and play.go(2 * LONG) == ["still open"]


def test_what_grows_beyond_what_is_silenced_is_told_at_once() -> None:
    """One mailbox by the path that is silent; then by the other path too."""
    play = Quiet()
    play.passes(0)
    play.plan(0, 0, 3 * LONG, PATH)
    for t in (310.0, 370.0):
        play.probe(relay(4), t, Reason.SPAM)
        play.ask(t + 9)
        for route in play.said[-1].confirm:
            play.probe(route, t + 9)
        play.ask(t + 12)
    assert play.state.scope == Scope(ScopeKind.MAILBOX, "seed-4") and play.state.silent_until and play.hear(400) == []
    play.probe(app(4), 800, Reason.SPAM)
    assert play.ask(810)[:1] == [GROWN] and play.hear(810) == ["grown"]
    assert play.go(3 * LONG) == [], "what waited for the end was told"


def test_of_a_person_and_a_plan_the_later_end_counts() -> None:
    play = Quiet()
    play.fails(0)
    play.hear(13)
    play.tell(Silenced(play.at(20), IncidentId("INC-1"), "ana", "known", NOON + LONG))
    play.plan(30, LONG, LONG + 600, PATH)
    assert play.ask(31, ()) == [SILENCED] and play.state.silent_until == NOON + LONG + 600, "the plan goes on where the person ends"
    assert play.go(LONG) == [] and play.go(LONG + 599) == [] and play.go(LONG + 600) == ["still open"] and play.go(3 * LONG) == []


def test_unsilencing_by_a_person_leaves_the_plan() -> None:
    play = Quiet()
    play.plan(0, 0, LONG, PATH)
    play.fails(10)
    play.tell(Silenced(play.at(30), IncidentId("INC-1"), "ana", "known", NOON + 2 * LONG))
    play.ask(31, ())
    assert play.go(LONG) == []
    play.tell(Silenced(play.at(LONG + 10), IncidentId("INC-1"), "ana", "not needed", NOON + LONG + 10))
    assert play.go(LONG + 11) == ["still open"] and play.go(2 * LONG) == []


def test_a_clock_that_steps_back_over_an_end_tells_nothing_twice() -> None:
    play = Quiet()
    play.plan(0, 0, LONG, PATH)
    play.fails(10)
    assert play.go(LONG) == ["still open"]
    back = Instant(NOON + LONG - 30, LONG + 5, play.process)
    play.at = lambda t: back.plus(t - LONG - 5)  # type: ignore[method-assign]
    assert play.go(LONG + 6) == [] and play.go(LONG + 60) == []


def test_everything_else_goes_on() -> None:
    """Suspicion, confirm probes, growth, recovery: only the telling waits."""
    loud, quiet = Quiet(), Quiet()
    quiet.plan(0, 0, 10 * LONG)
    for play in (loud, quiet):
        play.fails(10)
        play.fails(400, (1, 2, 3, 4, 5, 6))
        end = play.passes(800, 6)
        for t in range(800, int(end), 60):
            play.ask(float(t))
    phases = [[fact.phase for fact in play.said if fact.phase is not SILENCED] for play in (loud, quiet)]
    assert phases[0] == phases[1] and RESOLVED in phases[0]
    assert [*loud.hear(5_000)] != [] and quiet.hear(5_000) == []


def test_alertmanager_is_told_whose_silence_it_is_when_it_takes_the_notice_back() -> None:
    play = Quiet()
    play.fails(0)
    play.hear(13)
    play.plan(20, 20, LONG, PATH)
    play.ask(20, ())
    why = hushed(play.world.outbox, IncidentId("INC-1"), play.at(30))
    assert why == f"silenced by SIL-1 of ana until {play.at(LONG).iso()}"
    assert [each.hushed for each in reminders(play.world.outbox, "hook", {}, play.at(30))] == [why]
    play.go(LONG)
    assert hushed(play.world.outbox, IncidentId("INC-1"), play.at(LONG)) == ""
    assert [each.hushed for each in reminders(play.world.outbox, "hook", {}, play.at(LONG + 1))] == [""]


def test_what_a_person_has_in_hand_is_not_told_at_the_end() -> None:
    for when in (15.0, 200.0):  # before the silence, and in it
        play = Quiet()
        play.fails(0)
        play.hear(13)
        facts: list[tuple[float, Fact]] = [(when, Acknowledged(play.at(when), IncidentId("INC-1"), "ana"))]
        silence = SilencePlanned(play.at(20), ONE, "ana", "work", NOON + 20, NOON + LONG, (PATH,))
        for t, fact in sorted([*facts, (20.0, silence)], key=lambda pair: pair[0]):
            play.tell(fact)
            play.ask(t + 0.1, ())
        assert play.go(LONG) == [] and play.go(2 * LONG) == []


# --- the whole table ------------------------------------------------------------------------------------------------------

INC = IncidentId("INC-1")
BEGIN, END = 100.0, 200.0  # of the window
TOLD = ("opened", "grown", "resolved", "reopened")


class Table:
    """The outbox, told what the rule writes about one incident: every firing transition bears the end of the window that it falls into."""

    def __init__(self) -> None:
        self.outbox, self.seq, self.episode = Outbox(), 0, 1
        self.told: list[tuple[float, str]] = []
        self.is_open = False

    def fold(self, fact: Fact) -> None:
        self.seq += 1
        self.outbox.fold(Entry(self.seq, "", fact))

    def write(self, t: float, phase: Phase) -> None:
        at = Instant(NOON + t, t, "one")
        silent = NOON + END if BEGIN <= t < END and phase is not RESOLVED else 0.0
        fact = Transition(at, INC, phase, Symptom.STRAY, PATH, Severity.PAGE, self.episode, at, silent_until=silent)
        self.fold(fact)
        self.is_open = phase is not RESOLVED

    def hear(self, t: float) -> None:
        now = Instant(NOON + t, t, "one")
        while found := duties(self.outbox, TO, now):
            for duty in found:
                phase = duty.item.transition.phase.value
                self.told.append((t, f"still {phase}" if duty.item.held and duty.item.fires else phase))
                self.fold(Notified(now, INC, "hook", duty.item.seq, 1, "ok"))

    def live(self, steps: dict[float, str]) -> list[tuple[float, str]]:
        for t in sorted({*steps, BEGIN, END, 300.0}):
            if t == BEGIN and self.is_open:
                self.write(t, SILENCED)
                self.is_open = True
            match steps.get(t):
                case "opens":
                    self.write(t, OPENED)
                case "grows":
                    self.write(t, GROWN)
                case "resolves":
                    self.write(t, RESOLVED)
                case "reopens":
                    self.episode += 1
                    self.write(t, OPENED)
                case _:
                    pass
            self.hear(t)
        return self.told


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        # before, within, after the window: opens
        ({50: "opens"}, [(50, "opened"), (200, "still opened")]),
        ({150: "opens"}, [(200, "still opened")]),
        ({250: "opens"}, [(250, "opened")]),
        ({100: "opens"}, [(200, "still opened")]),
        ({200: "opens"}, [(200, "opened")]),
        # grows
        ({50: "opens", 60: "grows"}, [(50, "opened"), (60, "grown"), (200, "still grown")]),
        ({50: "opens", 150: "grows"}, [(50, "opened"), (200, "still grown")]),
        ({150: "opens", 160: "grows"}, [(200, "still grown")]),
        ({50: "opens", 250: "grows"}, [(50, "opened"), (200, "still opened"), (250, "grown")]),
        ({150: "opens", 160: "grows", 250: "grows"}, [(200, "still grown"), (250, "grown")]),
        # resolves: whoever heard is told, whoever did not is not
        ({50: "opens", 60: "resolves"}, [(50, "opened"), (60, "resolved")]),
        ({50: "opens", 150: "resolves"}, [(50, "opened"), (150, "resolved")]),
        ({150: "opens", 160: "resolves"}, []),
        ({150: "opens", 160: "grows", 170: "resolves"}, []),
        ({50: "opens", 250: "resolves"}, [(50, "opened"), (200, "still opened"), (250, "resolved")]),
        ({150: "opens", 250: "resolves"}, [(200, "still opened"), (250, "resolved")]),
        # resolves and reopens
        ({50: "opens", 60: "resolves", 70: "reopens"}, [(50, "opened"), (60, "resolved"), (70, "opened"), (200, "still opened")]),
        ({50: "opens", 60: "resolves", 150: "reopens"}, [(50, "opened"), (60, "resolved"), (200, "still opened")]),
        ({50: "opens", 150: "resolves", 160: "reopens"}, [(50, "opened"), (150, "resolved"), (200, "still opened")]),
        ({150: "opens", 160: "resolves", 170: "reopens"}, [(200, "still opened")]),
        ({150: "opens", 160: "resolves", 170: "reopens", 180: "resolves"}, []),
        ({150: "opens", 160: "resolves", 250: "reopens"}, [(250, "opened")]),
        ({50: "opens", 150: "resolves", 250: "reopens"}, [(50, "opened"), (150, "resolved"), (250, "opened")]),
        ({50: "opens", 150: "resolves", 160: "reopens", 250: "resolves"},
         [(50, "opened"), (150, "resolved"), (200, "still opened"), (250, "resolved")]),
    ],
)  # fmt: skip
def test_who_hears_what_and_when(steps: dict[float, str], told: list[tuple[float, str]]) -> None:
    assert Table().live(steps) == told


# --- growth ---------------------------------------------------------------------------------------------------------------


def outbox_with(*facts: Fact) -> list[int]:
    """The seqs of what is told, when these are folded one a second."""
    outbox = Outbox()
    for seq, fact in enumerate(facts, 1):
        outbox.fold(Entry(seq, "", fact))
    return [item.seq for item in outbox.items.values()]


def tallied(phase: Phase, *bad: tuple[str, str], severity: Severity = Severity.PAGE) -> Transition:
    at = Instant(NOON, 0, "one")
    tallies = (*(Tally(path, provider, 2, 4) for path, provider in bad), Tally("spare", "fine", 0, 4))
    return Transition(at, INC, phase, Symptom.SPAM_PLACEMENT, PATH, severity, 1, at, tallies=tallies)


ACK = Acknowledged(Instant(NOON, 0, "one"), INC, "ana")
NARROW = tallied(OPENED, ("app", "gmail"))


@pytest.mark.parametrize(
    ("grown", "told"),
    [
        (tallied(GROWN, ("app", "gmail")), False),  # more routes at the same place
        (tallied(GROWN, ("app", "gmail"), ("app", "outlook")), True),
        (tallied(GROWN, ("app", "gmail"), ("relay", "gmail")), True),
        (tallied(GROWN), False),
        (tallied(GROWN, ("spare", "fine")), True),  # it was counted before, and was good
    ],
)
def test_what_a_person_has_in_hand_is_told_again_where_it_is_wider(grown: Transition, told: bool) -> None:
    assert (3 in outbox_with(NARROW, ACK, grown)) is told
    assert 4 not in outbox_with(NARROW, ACK, grown, grown), "each width once"
    assert 2 in outbox_with(NARROW, grown), "nobody has it in hand"


def test_growth_in_severity_is_told_as_before() -> None:
    ticket = replace(NARROW, severity=Severity.TICKET)
    assert outbox_with(ticket, ACK, tallied(GROWN, ("app", "gmail"))) == [1, 3]


def test_a_page_that_waits_for_the_end_is_not_lost_when_the_silence_is_made_longer() -> None:
    """A ticket that somebody has in hand becomes a page in the silence."""
    ticket = replace(NARROW, severity=Severity.TICKET)
    rises = replace(tallied(GROWN, ("app", "gmail")), silent_until=NOON + 100)
    longer = replace(rises, phase=SILENCED, silent_until=NOON + 200, note="SIL-2 of ana until later")
    outbox = Outbox()
    for seq, fact in enumerate((ticket, Notified(ACK.at, INC, "hook", 1, 1, "ok"), ACK, rises, longer), 1):
        outbox.fold(Entry(seq, "", fact))
    waiting = [item for item in outbox.items.values() if item.held and not item.superseded]
    assert [(item.due.utc - NOON, item.transition.severity) for item in waiting] == [(200, Severity.PAGE)]


def test_what_grows_into_a_longer_silence_waits_for_its_end() -> None:
    first = replace(NARROW, silent_until=NOON + 100)
    outbox = Outbox()
    for seq, fact in enumerate((first, replace(tallied(GROWN, ("app", "gmail")), silent_until=NOON + 200)), 1):
        outbox.fold(Entry(seq, "", fact))
    assert [(item.due.utc - NOON, item.transition.phase) for item in outbox.items.values()] == [(200, GROWN)]


# --- bounds ---------------------------------------------------------------------------------------------------------------


def test_those_that_are_over_go_first_and_numbers_are_never_used_twice() -> None:
    incidents = Incidents()
    for number in range(KEPT_OVER + MOST_SILENCES + 50):
        at = Instant(NOON + 10.0 * number, 0.0, "one")
        fact = SilencePlanned(at, incidents.following_silence(), "ana", "work", at.utc, at.utc + (5.0 if number % 3 else 1e9))
        incidents.fold(Entry(number + 1, "silence_planned", fact))
    last = NOON + 10.0 * (KEPT_OVER + MOST_SILENCES + 50)
    over = [each for each in incidents.silences.values() if each.is_over(last)]
    assert len(over) <= KEPT_OVER + 1 and len(incidents.pending(last)) == (KEPT_OVER + MOST_SILENCES + 52) // 3
    assert incidents.following_silence() == f"SIL-{KEPT_OVER + MOST_SILENCES + 51}"


def test_whatever_is_planned_they_stay_within_bounds() -> None:
    incidents = Incidents()
    for number in range(500):
        at = Instant(NOON + number, 0.0, "one")
        incidents.fold(Entry(number + 1, "", SilencePlanned(at, SilenceId(f"SIL-{number + 1}"), "ana", "work", at.utc, at.utc + 1e9)))
    assert len(incidents.silences) == KEPT_OVER + MOST_SILENCES
    copy = incidents.copy()
    copy.fold(Entry(501, "", SilenceEnded(Instant(NOON + 501, 0.0, "one"), SilenceId("SIL-500"), "ana")))
    assert copy.silences != incidents.silences and copy.silence_number == incidents.silence_number


def test_an_end_that_comes_late_or_twice_changes_nothing() -> None:
    incidents = Incidents()
    at = Instant(NOON, 0.0, "one")
    incidents.fold(Entry(1, "", SilencePlanned(at, ONE, "ana", "work", NOON, NOON + 100)))
    incidents.fold(Entry(2, "", SilenceEnded(at.plus(50), ONE, "bob")))
    incidents.fold(Entry(3, "", SilenceEnded(at.plus(60), ONE, "cid")))
    incidents.fold(Entry(4, "", SilenceEnded(at.plus(60), SilenceId("SIL-9"), "cid")))
    assert incidents.silences[ONE].until == NOON + 50 and incidents.silences[ONE].ended is not None
    assert incidents.silences[ONE].ended.by == "bob"


# --- any history ----------------------------------------------------------------------------------------------------------

PLACES = (PATH, EVERYWHERE, Scope(ScopeKind.PATH, APP), PROVIDER)
HAPPENINGS = some.lists(
    some.tuples(
        some.sampled_from(["fail", "fail", "heal", "plan", "plan", "end", "ack", "close", "deploy"]),
        some.integers(0, 3),
        some.sampled_from([5.0, 60.0, 301.0, 900.0]),
    ),
    min_size=3,
    max_size=12,
)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(HAPPENINGS)
def test_nothing_goes_out_in_a_silence_and_what_is_open_at_its_end_is_told_once(happenings: list[tuple[str, int, float]]) -> None:
    play, t = Quiet(), 0.0
    for what, which, pause in happenings:
        match what:
            case "fail":
                play.fails(t, (1, 2, 4, 5) if which % 2 else (1, 4), relay if which < 2 else app)
                t += 15
            case "heal":
                for route in play.policy.routes:
                    play.probe(route, t)
            case "plan":
                play.plan(t, t + which * 100.0, t + which * 100.0 + 700.0, PLACES[which])
            case "end" if play.world.incidents.silences:
                play.end(t, list(play.world.incidents.silences)[which % len(play.world.incidents.silences)])
            case "ack" | "close":
                for state in play.world.incidents.open()[:1]:
                    said = Acknowledged if what == "ack" else ResolveAsked
                    play.tell(said(play.at(t), state.id, "ana", "mine"))
            case "deploy":
                play.tell(DeployMarked(play.at(t), f"d-{t}", DeployPhase.START))
            case _:
                pass
        for moment in _moments(play, t, t + pause):
            before = len(play.heard)
            play.go(moment)
            _check(play, play.heard[before:])
        t += pause
    for moment in _moments(play, t, t + 4_000):
        before = len(play.heard)
        play.go(moment)
        _check(play, play.heard[before:])
    for state in play.world.incidents.open():
        if state.acknowledged is None and state.parent is None:
            assert any(incident == state.id and what != "resolved" for _, incident, what in play.heard), "told at the end of the last"
    assert play.go(t + 5_000) == []


def _moments(play: Quiet, begin: float, end: float) -> list[float]:
    """When something may go out: the edges of the silences, and a round every quarter."""
    edges = {edge for each in play.world.incidents.silences.values() for edge in (each.fact.begins - NOON, each.until - NOON)}
    return sorted({begin, end, *(edge for edge in edges if begin < edge < end)})


def _check(play: Quiet, heard: list[tuple[float, IncidentId, str]]) -> None:
    """Of one moment: nothing that is silent, and of each incident one thing that fires at most."""
    firing = [(t, incident) for t, incident, what in heard if what != "resolved"]
    assert len(firing) == len(set(firing))
    for t, incident in firing:
        state = play.world.incidents.known[incident]
        now = play.at(t).utc
        active = [each.fact for each in play.world.incidents.silences.values() if each.is_active(now)]
        assert not any(covers(play.layout, planned, state.last) for planned in active), (t, incident, state.last)


# --- what a silence does not hide -----------------------------------------------------------------------------------------


def test_what_is_silent_speaks_for_no_other_symptom_of_the_same_fault() -> None:
    play = Quiet()
    play.plan(-60, -60, 7_200, symptoms=(Symptom.SMTP_REJECT,))
    for t, reason in ((0, Reason.REJECTED), (300, Reason.REJECTED), (900, Reason.MISSING), (1_200, Reason.MISSING)):
        for number in range(1, 7):
            play.probe(relay(number), t + number, reason)
            play.probe(app(number), t + number)
        play.ask(t + 10)
    assert [fact.parent for fact in play.opened()] == [None, None]
    assert play.hear(1_211) == ["opened"]


@pytest.mark.parametrize(("severity", "covered"), [(Severity.TICKET, True), (Severity.PAGE, False)])
def test_a_silence_of_late_mail_does_not_cover_mail_that_stays_away(severity: Severity, covered: bool) -> None:
    fact = replace(tallied(OPENED), symptom=Symptom.DELIVERY_LATE, severity=severity)
    planned = SilencePlanned(fact.at, ONE, "ana", "work", NOON, NOON + 100, (), (Symptom.DELIVERY_LATE,))
    assert covers(Layout.of(rules()), planned, fact) is covered
    title = render(fact, rules(), "k", Call.FIRE).title
    assert ("arriving late" in title) is covered and ("not arriving" in title) is not covered


def test_opened_and_flapping_at_once_are_one_notice() -> None:
    flapping = replace(NARROW, phase=P.FLAPPING)
    outbox = Outbox()
    for seq, fact in enumerate((NARROW, flapping), 1):
        outbox.fold(Entry(seq, "", fact))
    assert [item.seq for item in outbox.items.values() if not item.superseded] == [2]
