"""Folding facts into the World."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.edge.journal.codec import decode_view, encode
from monitor.model.facts import (
    CleanedUp,
    ClockJumped,
    Entry,
    Fact,
    Foreign,
    ForeignKind,
    Judged,
    Paused,
    Reloaded,
    Resumed,
    Scanned,
    Started,
    Stray,
    WatchBlind,
    WatchRestored,
    WithdrawCause,
    Withdrawn,
)
from monitor.model.mail import UNSAID, BlindCause, Mark, Placement
from monitor.model.probe import PathName, ProbeId, Purpose, Route
from monitor.model.verdict import Reason, Verdict
from monitor.views.budget import utc_day
from monitor.views.probes import MAX_SIGHTINGS
from monitor.views.tripwires import Tripwires
from monitor.views.world import MAX_JUMPS, MAX_RECONFIGURED, World
from tests.views.life import HOLDING, OTHER, OWN, PATH, PROBE, ROUTE, Life, at, planned, sighted, submitted

MIDNIGHT = 12 * 3600.0
TODAY, TOMORROW, YESTERDAY = "2026-01-01", "2026-01-02", "2025-12-31"


def probe(number: int) -> ProbeId:
    return ProbeId(f"{number:012x}")


def fold(world: World, *facts: Fact) -> World:
    for fact in facts:
        world.fold(Entry(world.seq + 1, "kind", fact))
    return world


def attempt(world: World, number: int, seconds: float, route: Route = ROUTE, process: str = "first") -> None:
    life = Life(planned(seconds, probe(number), route))
    life.world = world
    life.tell(planned(seconds, probe(number), route)).attempt(seconds, process)


class TestBudget:
    def test_counts_first_attempts_per_path_and_mailbox(self) -> None:
        world = World()
        attempt(world, 1, 0)
        attempt(world, 2, 1, Route(PATH, OTHER))
        attempt(world, 3, 2, Route(PathName("smtp"), OWN))
        assert world.budget.spent(TODAY, PATH, OWN) == (2, 2)
        assert world.budget.spent(TODAY, PathName("smtp"), OTHER) == (1, 1)
        assert world.budget.spent(TODAY, PathName("other"), HOLDING) == (0, 0)

    def test_a_plan_costs_nothing_and_a_retry_costs_nothing_more(self) -> None:
        assert Life().world.budget.spent(TODAY, PATH, OWN) == (0, 0)
        life = Life().attempt(0).defer(1, 60).attempt(61).defer(62, 120).attempt(182)
        assert life.world.budget.spent(TODAY, PATH, OWN) == (1, 1)

    def test_starts_anew_at_midnight_utc(self) -> None:
        world = World()
        attempt(world, 1, MIDNIGHT - 0.5)
        assert world.budget.spent(TODAY, PATH, OWN) == (1, 1)
        assert world.budget.spent(TOMORROW, PATH, OWN) == (0, 0)
        attempt(world, 2, MIDNIGHT)
        assert world.budget.spent(TOMORROW, PATH, OWN) == (1, 1)

    def test_belongs_to_the_day_of_the_attempt_not_of_the_plan(self) -> None:
        life = Life(planned(MIDNIGHT - 1)).attempt(MIDNIGHT + 1)
        assert life.world.budget.spent(TOMORROW, PATH, OWN) == (1, 1)

    def test_a_clock_that_steps_back_over_midnight_gives_nothing_away(self) -> None:
        world = World()
        for number in range(5):
            attempt(world, number, MIDNIGHT + number)
        assert world.budget.spent(TODAY, PATH, OWN) == (5, 5)
        attempt(world, 9, MIDNIGHT - 60)
        assert world.budget.spent(TODAY, PATH, OWN) == (6, 6)
        assert world.budget.spent(TOMORROW, PATH, OWN) == (6, 6)

    def test_a_clock_that_was_years_ahead_does_not_withhold_the_budget_until_then(self) -> None:
        world = World()
        for number in range(5):
            attempt(world, number, 10 * 365 * 86_400.0)
        assert world.budget.spent(TODAY, PATH, OWN) == (0, 0)
        attempt(world, 9, 0)
        assert world.budget.spent(TODAY, PATH, OWN) == (1, 1)

    def test_nothing_attempted_yet(self) -> None:
        assert World().budget.spent(TODAY, PATH, OWN) == (0, 0)

    def test_days_are_utc(self) -> None:
        assert [utc_day(at(seconds)) for seconds in (-MIDNIGHT - 1, -MIDNIGHT, MIDNIGHT - 1, MIDNIGHT)] == [
            YESTERDAY,
            TODAY,
            TODAY,
            TOMORROW,
        ]


class TestPause:
    def test_pause_and_resume(self) -> None:
        world = World()
        assert world.paused is None
        paused = Paused(at(0), "ada", "provider asked")
        assert fold(world, paused).paused == paused
        again = Paused(at(1), "bob", "still")
        assert fold(world, again).paused == again
        assert fold(world, Resumed(at(2), "ada")).paused is None
        assert fold(world, Resumed(at(3), "ada")).paused is None

    def test_outlives_a_restart(self) -> None:
        world = fold(World(), Paused(at(0), "ada", ""), Started(at(1, "second"), "0.1", "hash"))
        assert world.paused is not None
        assert world.started is not None


class TestMailboxes:
    def test_blind_and_restored(self) -> None:
        blind = WatchBlind(at(1), OWN, BlindCause.TIMEOUT, "no answer", "")
        world = fold(World(), blind)
        assert (world.mailbox(OWN).blind, world.mailbox(OWN).stated) == (blind, at(1))
        assert world.mailbox(OTHER).blind is None
        fold(world, WatchRestored(at(2), OWN, 6))
        assert (world.mailbox(OWN).blind, world.mailbox(OWN).stated) == (None, at(2))

    def test_a_word_of_the_process_before_does_not_count(self) -> None:
        world = fold(World(), WatchRestored(at(2), OWN, 6))
        assert world.mailbox(OWN).known_to("first")
        assert not world.mailbox(OWN).known_to("second")
        assert not world.mailbox(OTHER).known_to("first")

    def test_marks_per_mailbox_and_folder(self) -> None:
        world = fold(
            World(),
            Scanned(at(0), OWN, "INBOX", Mark(1, 10)),
            Scanned(at(0), OWN, "Junk", Mark(7, 3)),
            Scanned(at(0), OTHER, "INBOX", Mark(9, 99)),
            Scanned(at(1), OWN, "INBOX", Mark(1, 12)),
        )
        assert world.mailbox(OWN).marks == {"INBOX": Mark(1, 12), "Junk": Mark(7, 3)}
        assert world.mailbox(OTHER).marks == {"INBOX": Mark(9, 99)}

    def test_a_look_is_evidence_only_for_what_is_hunted_there(self) -> None:
        life = submitted().look(5)
        assert life.state.unseen_look is not None
        assert life.state.unseen_look_seq == life.seqs["looked"]
        assert life.world.mailbox(OWN).last_look == life.state.unseen_look
        seen = submitted().look(5).see(6).look(7)
        assert seen.state.unseen_look is not None
        assert seen.state.unseen_look.began == at(5)
        assert Life().look(5).state.unseen_look is None
        assert submitted().look(5, mailbox=OTHER).state.unseen_look is None
        assert Life().attempt(0).refuse(1).look(5).state.unseen_look is None
        elsewhere = submitted().see(3, mailbox=OTHER).look(5)
        assert elsewhere.state.unseen_look is not None


class TestProbes:
    def test_an_attempt_awaits_its_outcome(self) -> None:
        life = Life()
        assert not life.state.awaiting_outcome
        assert life.attempt(0).state.awaiting_outcome
        assert not life.defer(1, 5).state.awaiting_outcome
        assert life.attempt(6).state.awaiting_outcome
        assert not life.lose_reply(7).state.awaiting_outcome
        assert life.state.taken

    def test_the_clocks_of_several_attempts(self) -> None:
        state = Life().attempt(0).defer(1, 5).attempt(6).accept(7).state
        assert (state.attempt, state.first_attempt, state.last_attempt) == (2, at(0), at(6))
        assert state.deferred is None
        assert state.taken

    def test_withdrawn_is_forgotten(self) -> None:
        life = Life()
        life.tell(Withdrawn(at(5), PROBE, WithdrawCause.STALE))
        assert life.world.probes == {}

    def test_a_second_copy_a_label_and_a_move(self) -> None:
        life = submitted().see(3)
        first = life.seqs["sighted"]
        life.see(4, uid=8)
        second = life.seqs["sighted"]
        life.see(90, "Junk", Placement.SPAM, supersedes=(first,))
        moved = life.seqs["sighted"]
        assert [(seen.seq, seen.fact.folder, seen.first.at) for seen in life.state.own()] == [
            (moved, "Junk", at(3)),
            (second, "INBOX", at(4)),
        ]
        life.see(95, "Archive", Placement.OTHER, supersedes=(moved,))
        assert [(seen.fact.folder, seen.first.folder, seen.first.at) for seen in life.state.own()] == [
            ("Archive", "INBOX", at(3)),
            ("INBOX", "INBOX", at(4)),
        ]

    def test_a_new_uidvalidity_renames_the_copies_of_that_folder_only(self) -> None:
        life = submitted().see(3).see(4, "Junk", Placement.SPAM).see(5, mailbox=OTHER).see(90, uidvalidity=2, uid=1)
        assert [(seen.fact.mailbox, seen.fact.folder, seen.fact.uidvalidity, seen.first.at) for seen in life.state.seen] == [
            (OWN, "INBOX", 2, at(3)),
            (OWN, "Junk", 1, at(4)),
            (OTHER, "INBOX", 1, at(5)),
        ]

    def test_a_flood_of_copies_is_bounded_per_mailbox(self) -> None:
        life = submitted().tell(*(sighted(3, mailbox=OTHER, uid=uid) for uid in range(100)))
        assert len(life.state.seen) == MAX_SIGHTINGS
        life.see(4)
        assert len(life.state.own()) == 1
        life.see(5, uidvalidity=2)
        assert [seen.fact.uidvalidity for seen in life.state.own()] == [2]

    def test_facts_about_an_unknown_probe_are_ignored(self) -> None:
        world = World()
        life = Life(planned(probe=probe(1)))
        life.world = world
        life.attempt(0).accept(1).see(3).dsn(4).close(5)
        assert world.probes == {}
        assert world.leftovers == []
        assert world.seq == 5
        assert world.budget.spent(TODAY, PATH, OWN) == (0, 0)

    def test_route_instants(self) -> None:
        life = submitted().see(3)
        verdict = Judged(at(4), PROBE, ROUTE, Purpose.SCHEDULED, 0, Verdict.PASS, Reason.PASS, "arrived", (1,))
        life.tell(verdict)
        route = life.world.route(ROUTE)
        assert (route.planned, route.submitted, route.sighted, route.judged, route.last) == (at(0), at(0), at(3), at(4), verdict)
        assert life.state.judged == verdict


class TestLeftovers:
    def test_copies_of_a_closed_probe_wait_for_clean_up(self) -> None:
        life = submitted().see(3).see(4, "Junk", Placement.SPAM).see(5, mailbox=HOLDING).close(2100)
        assert life.world.probes == {}
        assert [(x.mailbox, x.folder, x.uid, x.sighted) for x in life.world.leftovers] == [
            (OWN, "INBOX", 7, at(3)),
            (OWN, "Junk", 7, at(4)),
            (HOLDING, "INBOX", 7, at(5)),
        ]
        life.tell(CleanedUp(at(9000), PROBE, OWN, "Junk", 1, 7))
        assert [(x.mailbox, x.folder) for x in life.world.leftovers] == [(OWN, "INBOX"), (HOLDING, "INBOX")]

    def test_another_uidvalidity_is_another_message(self) -> None:
        life = submitted().see(3).close(2100)
        life.tell(CleanedUp(at(9000), PROBE, OWN, "INBOX", 2, 7))
        assert len(life.world.leftovers) == 1

    def test_a_superseded_copy_is_gone_and_no_leftover(self) -> None:
        life = submitted().see(3)
        life.see(90, "Junk", Placement.SPAM, supersedes=(life.seqs["sighted"],)).close(2100)
        assert [x.folder for x in life.world.leftovers] == ["Junk"]

    def test_both_copies_are_found_again_under_a_new_uidvalidity(self) -> None:
        life = submitted().see(3).see(4, uid=8).close(2100)
        life.see(3000, uidvalidity=2, uid=1).see(3000, uidvalidity=2, uid=2)
        assert [(x.uidvalidity, x.uid) for x in life.world.leftovers] == [(2, 1), (2, 2)]

    def test_a_flood_is_bounded_and_drops_the_oldest(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("monitor.views.world.MAX_LEFTOVERS", bound := 1000)
        world = World()
        copies = bound // MAX_SIGHTINGS + 2
        for number in range(copies):
            life = Life(planned(probe=probe(number)))
            life.world = world
            life.tell(planned(probe=probe(number))).attempt(0)
            life.tell(*(sighted(3, probe=probe(number), uid=uid) for uid in range(MAX_SIGHTINGS))).close(9)
        assert len(world.leftovers) == bound
        assert world.leftovers[-1].probe == probe(copies - 1)
        assert world.leftovers[0].probe != probe(0)


class TestOtherFacts:
    def test_unknown_kinds_are_skipped_and_counted_in_the_place(self) -> None:
        world = submitted().world
        before = replace(world)
        world.fold(Entry(world.seq + 1, "refund_seen", None))
        assert world == replace(before, seq=before.seq + 1)

    @pytest.mark.parametrize(
        "fact",
        [
            Stray(at(0), OWN, "INBOX", "digest", "<x@y>", UNSAID, "no token"),
            Foreign(at(0), OWN, "INBOX", ForeignKind.FORGED, "digest"),
        ],
        ids=["stray", "foreign"],
    )
    def test_strays_and_foreign_tokens_change_no_state(self, fact: Fact) -> None:
        world = fold(World(), fact)
        world.tripwires = Tripwires()
        assert world == World(seq=1)

    def test_jumps_are_kept_in_order_and_bounded(self) -> None:
        world = fold(World(), *(ClockJumped(at(number), number) for number in range(MAX_JUMPS + 25)))
        assert [jump.seconds for jump in world.jumps] == list(range(25, MAX_JUMPS + 25))


class TestConfiguration:
    def test_what_changed_is_kept_bounded_and_survives_a_snapshot(self) -> None:
        world = fold(World(), *(Reloaded(at(number), f"h{number}", (f"line {number}",)) for number in range(MAX_RECONFIGURED + 3)))
        assert [found.changes for found in world.reconfigured] == [(f"line {number}",) for number in range(3, MAX_RECONFIGURED + 3)]
        assert decode_view(encode(world), World) == world

    def test_a_start_is_a_change_only_with_another_configuration(self) -> None:
        world = fold(World(), Started(at(0), "1", "a"), Started(at(1), "2", "a"), Reloaded(at(2), "a", ()))
        assert world.reconfigured == []
        fold(world, Reloaded(at(3), "b", ("drain changed",)), Started(at(4), "2", "b"), Started(at(5), "2", "a"))
        assert [found.at for found in world.reconfigured] == [at(3), at(5)]
