"""What the latest probes of each route show."""

from __future__ import annotations

import pytest

from monitor.model.facts import Started, SubmitFault, Tripped, WatchBlind, WatchRestored
from monitor.model.mail import BlindCause, Field
from monitor.model.probe import ProbeId
from monitor.model.verdict import Reason
from monitor.views.evidence import KEPT_ENDED, KEPT_LOST, KEPT_TRIALS, Evidence
from tests.rules.incidents import Play, relay, rules
from tests.views.life import OTHER, OWN, Life, at, submitted

ROUTE = "app/gmail-1"


def evidence(life: Life) -> Evidence:
    return life.world.evidence


def test_a_trial_begins_with_its_first_attempt_and_stays_in_its_place() -> None:
    life = Life().attempt(3).defer(4, 60.0).attempt(64).accept(65)
    [trial] = evidence(life).trials(ROUTE)
    assert (trial.sent, trial.reason, trial.seq) == (at(3), None, 2)
    assert trial.shown_by == life.seqs["accepted"]


def test_when_the_first_of_what_was_sent_then_was_accepted() -> None:
    life = Life().attempt(3)
    assert evidence(life).accepted((ROUTE,), at(3)) is None
    life.accept(5)
    assert evidence(life).accepted((ROUTE, "app/unknown"), at(3)) == at(5)
    assert evidence(life).accepted((ROUTE,), at(4)) is None and evidence(life).accepted((), at(3)) is None


@pytest.mark.parametrize(("retry", "unreached"), [(2.0, True), (None, False)])
def test_nobody_to_talk_to_is_remembered_through_the_next_attempt(retry: float | None, unreached: bool) -> None:
    life = Life().attempt(0).err(1, SubmitFault.UNREACHABLE, retry_in=retry)
    assert evidence(life).trials(ROUTE)[0].unreached is unreached
    assert evidence(life.attempt(3)).trials(ROUTE)[0].unreached is unreached
    assert not evidence(life.accept(4)).trials(ROUTE)[0].unreached


@pytest.mark.parametrize("field", [Field.AMOUNT, Field.FOREIGN_AMOUNT])
def test_a_wrong_amount_is_remembered(field: Field) -> None:
    assert evidence(submitted().see(2, altered=(field,))).trials(ROUTE)[0].money
    assert not evidence(submitted().see(2, altered=(Field.CUSTOMER_NAME,))).trials(ROUTE)[0].money


def test_a_revision_changes_the_trial_in_place() -> None:
    play = Play(rules(2, 1))
    probe = play.probe(relay(1), 0, Reason.MISSING)
    play.probe(relay(1), 10)
    play.verdict(probe, Reason.LATE, 20)
    assert [trial.reason for trial in play.world.evidence.trials("relay/seed-1")] == [Reason.LATE, Reason.PASS]


def test_it_is_bounded_and_remembers_since_when_all_was_well() -> None:
    play = Play(rules(2, 1))
    for number in range(KEPT_TRIALS + 30):
        play.close(play.probe(relay(1), number * 60.0), number * 60.0 + 30)
    known = play.world.evidence.routes["relay/seed-1"]
    assert len(known.trials) == KEPT_TRIALS and known.steady == play.at(0)
    assert len(known.ended) == KEPT_TRIALS + 30
    play.probe(relay(1), 5_000, Reason.SPAM)
    for number in range(KEPT_TRIALS):
        play.probe(relay(1), 6_000 + number)
    assert known.steady is None
    for number in range(KEPT_LOST + KEPT_ENDED):
        play.close(play.probe(relay(1), 7_000 + number, Reason.MISSING), 7_000 + number)
    assert len(known.ended) == KEPT_ENDED and len(play.world.evidence.lost) == KEPT_LOST


@pytest.mark.parametrize(
    ("reason", "ended", "lost"),
    [(Reason.PASS, 1, 0), (Reason.MISSING, 1, 1), (Reason.MAILBOX_BLIND, 0, 0), (Reason.SUBMIT_UNKNOWN, 0, 0), (Reason.REJECTED, 0, 0)],
)
def test_a_loss_is_what_was_taken_and_never_seen(reason: Reason, ended: int, lost: int) -> None:
    play = Play(rules(2, 1))
    play.close(play.probe(relay(1), 0, reason), 10)
    assert (len(play.world.evidence.routes["relay/seed-1"].ended), len(play.world.evidence.lost)) == (ended, lost)


def test_blind_counts_from_its_beginning_and_anew_after_a_restart() -> None:
    blind = [WatchBlind(at(t), OWN, cause, "", "") for t, cause in ((5, BlindCause.CLOSED), (9, BlindCause.TIMEOUT))]
    life = Life().tell(*blind)
    assert evidence(life).blind == {OWN: at(5)}
    assert evidence(life.tell(Started(at(50), "1", "hash"))).blind == {OWN: at(50)}
    assert evidence(life.tell(WatchRestored(at(60), OWN, 3))).blind == {}
    assert evidence(life).restored == {OWN: at(60)}


def test_the_latest_trip_and_the_latest_probe_without_budget() -> None:
    life = Life().withhold(3).tell(Tripped(at(4), OTHER, 1, "", ()), Tripped(at(5), OTHER, 2, "", ()))
    assert evidence(life).tripped[OTHER].at == at(5)
    assert list(evidence(life).withheld) == ["app"]
    assert not evidence(life).trials(ROUTE), "it was never attempted"
    assert ProbeId("x") not in life.world.probes
