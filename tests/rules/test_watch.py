"""When a mailbox is looked at again, and what may be deleted."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.model.address import Address
from monitor.model.facts import SubmitFault
from monitor.model.mail import Placement
from monitor.model.policy import FolderNames, LoginMethod, MailboxPolicy, Role, Security, WatchPolicy
from monitor.model.probe import MailboxName, ProbeId
from monitor.model.secret import SecretRef, SecretSource
from monitor.rules import watch
from monitor.rules.watch import CLEAN_UP_STEP, Hunt
from monitor.views.world import Leftover
from tests.views.life import DEADLINES, OTHER, OWN, Life, at, sighted, submitted

POLICY = WatchPolicy(
    sweep_after=5.0,
    poll_every=300.0,
    idle_renew=240.0,
    command_timeout=30.0,
    reconnect_min=1.0,
    reconnect_max=120.0,
)
MAILBOX = MailboxPolicy(
    name=OWN,
    role=Role.SEED,
    provider="gmail",
    address=Address.parse("canary@seed.example"),
    host="imap.seed.example",
    port=993,
    security=Security.TLS,
    ca_file=None,
    username="canary",
    password=SecretRef(SecretSource.ENV, "IMAP_PASSWORD"),
    login=LoginMethod.LOGIN,
    folders=FolderNames(),
    authserv_ids=("mx.seed.example",),
    plus_tags=True,
    clean_up=True,
    clean_up_after=3600.0,
    daily_budget=300,
)
FRESH = Hunt(since=at(0), proofs=(at(300),))  # attempted at 0, not seen
SEEN = Hunt(since=at(2), proofs=(), settled=True)


@pytest.mark.parametrize(
    ("hunts", "last_round", "hunger", "now", "wait"),
    [
        pytest.param([], None, 0, 0, 0.0, id="never looked: now"),
        pytest.param([FRESH], None, 0, 0, 0.0, id="never looked, hunting: now"),
        pytest.param([], 0, 0, 10, 290.0, id="no hunt: the safety net"),
        pytest.param([], 0, 7, 310, -10.0, id="the safety net is overdue"),
        pytest.param([FRESH], -20, 0, 1, 4.0, id="just attempted: sweep_after"),
        pytest.param([FRESH], 2, 0, 3, 2.0, id="a round before sweep_after does not count as the sweep"),
        pytest.param([FRESH], 4.9, 0, 5, 0.9, id="the sweep keeps a fifth of its length from the round before"),
        pytest.param([FRESH], 5, 1, 6, 6.5, id="unseen once: 1.5 times the pause"),
        pytest.param([FRESH], 12.5, 2, 13, 10.75, id="unseen twice"),
        pytest.param([FRESH], 100, 15, 110, 65.0, id="a quarter of the safety net at most"),
        pytest.param([FRESH], 280, 15, 290, 10.0, id="proof is due sooner than the pause ends"),
        pytest.param([FRESH], 295, 15, 300, 0.0, id="proof is due at missing_at at once"),
        pytest.param([FRESH], 299.9, 15, 301, 0.0, id="a look just before missing_at proves nothing: at once"),
        pytest.param([FRESH], 300, 15, 301, 74.0, id="proven: only a late arrival is waited for"),
        pytest.param([SEEN], 1, 0, 2, 5.0, id="just seen: once for a second copy, sweep_after"),
        pytest.param([SEEN], 3, 0, 3.5, 4.5, id="just seen: once more, sweep_after the last round, so that many probes share it"),
        pytest.param([SEEN], 7, 0, 8, 299.0, id="seen and swept: the safety net"),
        pytest.param([SEEN, FRESH], 8, 1, 9, 6.5, id="the hungriest decides"),
        pytest.param([Hunt(at(0), (at(500),)), FRESH], 299, 15, 300, 0.0, id="the soonest proof decides"),
    ],
)
def test_until_next_round(hunts: list[Hunt], last_round: float | None, hunger: int, now: float, wait: float) -> None:
    last = None if last_round is None else at(last_round)
    assert watch.until_next_round(hunts, last, hunger, POLICY, at(now)) == pytest.approx(wait)


def test_a_safety_net_tighter_than_the_sweep_still_sweeps() -> None:
    tight = replace(POLICY, poll_every=8.0)
    assert watch.until_next_round([FRESH], at(50), 20, tight, at(51)) == pytest.approx(4.0)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 5000), st.floats(0, 5000), st.booleans()), max_size=5),
    st.floats(0, 5000),
    st.integers(0, 10_000),
    st.floats(0, 5000),
)
def test_never_longer_than_the_safety_net(hunts: list[tuple[float, float, bool]], last: float, hunger: int, later: float) -> None:
    told = [Hunt(at(since), (at(since + proof),), settled) for since, proof, settled in hunts]
    assert watch.until_next_round(told, at(last), hunger, POLICY, at(last + later)) <= POLICY.poll_every - later + 1e-6


class TestHunt:
    def test_nothing_attempted(self) -> None:
        assert watch.hunt(Life().state) is None

    def test_under_way(self) -> None:
        assert watch.hunt(Life().attempt(0).state) == Hunt(at(0), (at(60), at(300)))
        assert watch.hunt(submitted().state) == Hunt(at(0), (at(60), at(300)))

    def test_refused(self) -> None:
        assert watch.hunt(Life().attempt(0).refuse(1).state) is None

    def test_reply_lost(self) -> None:
        assert watch.hunt(Life().attempt(0).lose_reply(1).state) == Hunt(at(0), (at(60), at(300)))

    def test_greylisted_counts_from_the_attempt_that_was_taken(self) -> None:
        assert watch.hunt(Life().attempt(0).defer(1, 99).attempt(100).accept(101).state) == Hunt(at(100), (at(60), at(400)))

    def test_no_connection_yet(self) -> None:
        state = Life().attempt(0).err(1, SubmitFault.UNREACHABLE, retry_in=5).attempt(6).accept(7).state
        assert watch.hunt(state) == Hunt(at(6), (at(60), at(306)))

    def test_seen(self) -> None:
        assert watch.hunt(submitted().see(3).state) == Hunt(at(3), (), settled=True)
        assert watch.hunt(submitted().see(3).see(9, "Junk", Placement.SPAM).state) == Hunt(at(9), (), settled=True)

    def test_moved_counts_anew_even_if_a_second_copy_stands_after_it(self) -> None:
        life = submitted().see(3)
        first = life.seqs["sighted"]
        life.see(9, uid=8).see(20, "Junk", Placement.SPAM, supersedes=(first,))
        assert watch.hunt(life.state) == Hunt(at(20), (), settled=True)

    def test_seen_in_a_mailbox_that_is_not_its_own(self) -> None:
        assert watch.hunt(submitted().see(3, mailbox=OTHER).state) == Hunt(at(0), (at(60), at(300)))


class Watched:
    """A mailbox on virtual time: the watcher's loop without its I/O."""

    def __init__(self, policy: WatchPolicy = POLICY) -> None:
        self.policy = policy
        self.rounds: list[float] = []
        self.hunger = 0

    def run(self, lives: list[Life], until: float) -> None:
        now = self.rounds[-1] if self.rounds else 0.0
        while now < until:
            hunts = [hunt for life in lives if (state := life.world.probes.get(life.probe)) and (hunt := watch.hunt(state))]
            last = at(self.rounds[-1]) if self.rounds else None
            wait = watch.until_next_round(hunts, last, self.hunger, self.policy, at(now))
            if wait <= 0:
                self.rounds.append(now)
                self.hunger = self.hunger + 1 if any(not hunt.settled for hunt in hunts) else 0
                for life in lives:
                    life.look(now, lasted=0.0)
                now += 0.05
            else:
                now += min(wait, self.policy.idle_renew)


class TestFrequency:
    def test_a_lost_probe_is_looked_for_soon_proven_missing_at_once_and_never_in_a_frenzy(self) -> None:
        watched, life = Watched(), submitted()
        watched.run([life], DEADLINES.watch_until)
        swept = [now for now in watched.rounds if now >= POLICY.sweep_after]
        assert swept[0] == pytest.approx(5.0, abs=0.1)
        assert any(300.0 <= now <= 300.1 for now in watched.rounds)
        ruling = life.ruling(301)
        assert ruling
        assert ruling.reason.value == "missing"
        assert len(watched.rounds) < 40
        gaps = [later - earlier for earlier, later in pairwise(swept)]
        assert max(gaps) <= POLICY.poll_every / 4 + 0.2

    def test_a_day_with_one_lost_probe(self) -> None:
        """Afterwards the safety net alone: 288 rounds a day."""
        watched, life = Watched(), submitted()
        watched.run([life], DEADLINES.watch_until)
        life.close(DEADLINES.watch_until)
        watched.run([life], 86_400.0)
        assert 280 < len(watched.rounds) < 288 + 40

    def test_a_probe_that_is_seen_costs_two_rounds(self) -> None:
        watched, life = Watched(), submitted()
        watched.run([life], 4.0)
        life.see(4.0)
        before = len(watched.rounds)
        watched.run([life], 299.0)
        assert len(watched.rounds) - before <= 2

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.sets(st.integers(0, 23), max_size=12),
        st.sampled_from([2.0, 5.0, 30.0, 400.0]),
        st.sampled_from([30.0, 300.0, 900.0]),
    )
    def test_any_hours_with_lost_probes(self, lost: set[int], sweep: float, poll: float) -> None:
        """Two hours, a probe every five minutes, some of them lost: bounded, and every loss is proven."""
        policy = replace(POLICY, sweep_after=sweep, poll_every=poll)
        watched, lives = Watched(policy), []
        for number in range(24):
            start = number * 300.0
            life = Life()
            life.tell(replace(life.state.plan, at=at(start)))
            lives.append(life.attempt(start).accept(start + 0.5))
            watched.run(lives, start + 1.0)
            if number not in lost:
                life.see(start + 1.0, unseen=watched.rounds[-1])
            watched.run(lives, start + 300.0)
            for old in lives[: max(0, number - 6)]:
                if old.probe in old.world.probes:
                    old.close(start)
        pause = max(sweep, poll / 4)
        assert len(watched.rounds) <= 24 * (2 + 3) + 24 * 8 + 7200 / min(pause, poll) * 1.5
        for number in lost:
            life = lives[number]
            seconds = number * 300.0 + 301.0
            if seconds < 24 * 300.0 and life.probe in life.world.probes:
                ruling = life.ruling(seconds)
                assert ruling
                assert ruling.reason.value == "missing"


class TestReconnect:
    def test_doubles_up_to_the_bound(self) -> None:
        waits = [watch.reconnect_wait(POLICY, failures, 1.0) for failures in range(9)]
        assert waits == [1, 2, 4, 8, 16, 32, 64, 120, 120]

    @settings(deadline=None)
    @given(st.integers(0, 1_000_000), st.floats(0.5, 1.0))
    def test_bounded(self, failures: int, draw: float) -> None:
        wait = watch.reconnect_wait(POLICY, failures, draw)
        assert POLICY.reconnect_min / 2 <= wait <= POLICY.reconnect_max


def leftover(sight: float, mailbox: MailboxName = OWN, uid: int = 1) -> Leftover:
    return Leftover(ProbeId("0123456789ab"), mailbox, "INBOX", 1, uid, "header-1", at(sight))


class TestAged:
    @pytest.mark.parametrize(
        ("copy", "now", "deleted"),
        [
            pytest.param(leftover(0), 3599, False, id="too young"),
            pytest.param(leftover(0), 3600, True, id="aged"),
            pytest.param(leftover(0, OTHER), 9999, False, id="another mailbox's"),
            pytest.param(leftover(9000), 0, False, id="a clock that stepped back ages nothing"),
        ],
    )
    def test_table(self, copy: Leftover, now: float, deleted: bool) -> None:
        assert watch.aged([copy], MAILBOX, at(now)) == ([copy] if deleted else [])

    def test_in_bounded_steps(self) -> None:
        copies = [leftover(0, uid=uid) for uid in range(200)]
        assert watch.aged(copies, MAILBOX, at(9999)) == copies[:CLEAN_UP_STEP]


def test_superseding_names_the_copies_that_are_gone() -> None:
    fact = sighted(3)
    assert watch.superseding(fact, (4, 5)) == replace(fact, supersedes=(4, 5))
