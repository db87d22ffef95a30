"""Another configuration while probes are in flight, on virtual time: no burst, no false verdict, nothing sent twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.model.facts import (
    Accepted,
    Attempted,
    Closed,
    Foreign,
    ForeignKind,
    Judged,
    Paused,
    ProbePlanned,
    Reloaded,
    ReloadRefused,
    Resumed,
    Sighted,
    Stray,
    SubmitError,
    WatchBlind,
    WatchRestored,
    Withdrawn,
)
from monitor.model.mail import BlindCause
from monitor.model.policy import Policy
from monitor.model.submission import Postponed, Reply, Step
from monitor.model.verdict import Reason
from monitor.ports import MailboxError
from tests.fakes.submitter import TAKEN
from tests.stages.house import RELAY, policy, seed
from tests.stages.virtual import virtual
from tests.stages.yard import Yard

ROOMY = {"per_path": 5000, "per_mailbox": 5000}
SLOW = {"schedule": {"every": "1h", "jitter": "0%"}, "budgets": ROOMY}
STEADY = {"schedule": {"every": "5m", "jitter": "0%"}, "budgets": ROOMY}
LATER = Postponed(Step.DATA, Reply(451, "try again later", "4.7.1"))
ENOUGH = 3000.0  # seconds after which every probe is closed


def planned(yard: Yard, number: int) -> list[float]:
    return [round(fact.at.mono, 1) for fact in yard.facts(ProbePlanned) if fact.route.mailbox == seed(number)]


def reasons(yard: Yard) -> set[Reason]:
    return {fact.reason for fact in yard.facts(Judged)}


def nothing_twice(yard: Yard) -> None:
    places = [(fact.probe, fact.mailbox, fact.folder, fact.uid) for fact in yard.facts(Sighted)]
    assert len(places) == len(set(places)), "a copy was read twice"
    attempts = [(fact.probe, fact.attempt) for fact in yard.facts(Attempted)]
    assert len(attempts) == len(set(attempts))
    assert not yard.facts(Stray) and not yard.facts(Foreign)
    for account in yard.accounts.values():
        assert len(account.sessions) <= 1, "one connection an account"


@virtual
async def test_an_added_mailbox_joins_without_disturbing_the_others(tmp_path: Path) -> None:
    two, four = policy(tmp_path, seeds=2, **STEADY), policy(tmp_path, seeds=4, **STEADY)
    yard = Yard(two)
    async with yard.running():
        await asyncio.sleep(1000)
        assert await yard.app.reload(four) == ""
        await asyncio.sleep(2000)
        assert yard.app.desk.policy is four
    (fact,) = yard.facts(Reloaded)
    assert fact.changes == ("mailbox seed-3 added", "mailbox seed-4 added") and fact.policy_hash == four.policy_hash
    for number in (1, 2):
        assert {round(later - earlier) for earlier, later in pairwise(planned(yard, number))} == {300}, "the rhythm of what stays"
    assert planned(yard, 3)[0] >= 1000 and planned(yard, 4)[0] - planned(yard, 3)[0] == pytest.approx(150, abs=6), "staggered"
    assert reasons(yard) == {Reason.PASS}
    nothing_twice(yard)


@virtual
async def test_a_shorter_interval_counts_from_now_and_is_no_burst(tmp_path: Path) -> None:
    slow, steady = policy(tmp_path, seeds=3, **SLOW), policy(tmp_path, seeds=3, **STEADY)
    yard = Yard(slow)
    async with yard.running():
        await asyncio.sleep(5000)
        before = len(yard.facts(ProbePlanned))
        assert await yard.app.reload(steady) == ""
        await asyncio.sleep(290)
        assert len(yard.facts(ProbePlanned)) - before <= 3
        await asyncio.sleep(1000)
    assert yard.facts(Reloaded)[0].changes == ("routes: 3 with another rhythm or other deadlines",)
    assert all(300 in {round(b - a) for a, b in pairwise(planned(yard, number))} for number in (1, 2, 3))


@virtual
async def test_a_removed_mailbox_is_watched_until_its_last_probe_is_closed(tmp_path: Path) -> None:
    two, one = policy(tmp_path, seeds=2, **SLOW), policy(tmp_path, seeds=1, **SLOW)
    yard = Yard(two)
    yard.posts[0].transit = 60.0
    async with yard.running():
        await yard.until_watching()
        probe = await yard.probe(seed(2))
        await asyncio.sleep(5)
        assert await yard.app.reload(one) == ""
        assert seed(2) in yard.app.desk.policy.mailboxes and seed(2) not in {route.mailbox for route in yard.app.desk.policy.routes}
        await asyncio.sleep(120)
        assert [fact.reason for fact in yard.facts(Judged, probe)] == [Reason.PASS]
        assert yard.account(seed(2)).sessions, "a second copy may still come"
        while not yard.facts(Closed, probe):
            await yard.journal.wait(yard.journal.last)
        await asyncio.sleep(3)
        assert not yard.account(seed(2)).sessions and yard.app.desk.policy is one
        assert seed(2) not in yard.app.edges.mailboxes
    assert all(at < 10 for at in planned(yard, 2))
    nothing_twice(yard)


@virtual
async def test_a_mailbox_removed_without_probes_goes_at_once(tmp_path: Path) -> None:
    two, one = policy(tmp_path, seeds=2, **SLOW), policy(tmp_path, seeds=1, **SLOW)
    yard = Yard(two)
    async with yard.running():
        await yard.until_watching()
        await asyncio.sleep(1700)  # of seed-2 nothing was planned yet
        assert await yard.app.reload(one) == ""
        assert not yard.account(seed(2)).sessions and yard.account(seed(1)).sessions
        assert yard.app.desk.policy is one


@virtual
async def test_what_waits_for_a_removed_route_is_never_sent(tmp_path: Path) -> None:
    two, one = policy(tmp_path, seeds=2, **SLOW), policy(tmp_path, seeds=1, **SLOW)
    yard = Yard(two, outcomes=[LATER])
    async with yard.running():
        await yard.until_watching()
        retried = await yard.probe(seed(2))
        await asyncio.sleep(1)
        await yard.journal.append([Paused(yard.clock.now(), "ann", "")])
        fresh = await yard.probe(seed(2))
        await asyncio.sleep(1)
        sent = sum(len(post.submissions) for post in yard.posts)
        assert await yard.app.reload(one) == ""
        await asyncio.sleep(1)
        await yard.journal.append([Resumed(yard.clock.now(), "ann")])
        await asyncio.sleep(ENOUGH)
    assert [fact.probe for fact in yard.facts(Withdrawn)] == [fresh]
    assert [fact.probe for fact in yard.facts(SubmitError)] == [retried]
    assert [fact.reason for fact in yard.facts(Judged, retried)] == [Reason.SUBMIT_MISCONFIGURED]
    to_two = [s for post in yard.posts for s in post.submissions if s.recipient.base == two.mailboxes[seed(2)].address.base]
    assert len(to_two) == 1 <= sent


@virtual
async def test_a_changed_path_ends_on_the_old_one_what_it_began(tmp_path: Path) -> None:
    old = policy(tmp_path, **SLOW)
    new = policy(tmp_path, **SLOW, paths={RELAY: {"host": "other.test"}})
    yard = Yard(old, outcomes=[LATER, TAKEN])
    first = yard.posts[0]
    async with yard.running():
        await yard.until_watching()
        await asyncio.sleep(1)
        retried = yard.facts(ProbePlanned)[0].probe  # deferred; its retry is due in a while
        first.took = 20.0
        running = await yard.probe(seed(1))
        await asyncio.sleep(1)
        assert first.under_way == 1
        assert await yard.app.reload(new) == ""
        assert yard.facts(Reloaded)[0].changes == ("path relay: host changed",)
        assert not first.closed
        after = await yard.probe(seed(1))
        while len(yard.facts(Judged)) < 3:
            await yard.journal.wait(yard.journal.last)
        assert first.closed, "nothing is under way on it any more"
        assert {fact.probe for fact in yard.facts(Accepted)} == {retried, running, after}
    assert len(first.submissions) == 3, "two probes, one of them twice"
    assert len(yard.posts[1].submissions) == 2, "deferred once by the new relay too"
    assert reasons(yard) == {Reason.PASS}


@virtual
async def test_a_path_that_stays_keeps_its_connections(tmp_path: Path) -> None:
    yard = Yard(policy(tmp_path, **SLOW))
    async with yard.running():
        await yard.until_watching()
        assert await yard.app.reload(policy(tmp_path, **SLOW, drain="7s")) == ""
        await asyncio.sleep(1)
        assert not yard.posts[0].closed and yard.app.edges.submitters[RELAY] is yard.posts[0]
        assert yard.facts(WatchRestored)[0].at.mono < 1 and len(yard.facts(WatchRestored)) == 1, "no watcher started anew"
    assert yard.facts(Reloaded)[0].changes == ("drain changed",)


@virtual
async def test_changed_watchers_start_anew_and_read_nothing_twice(tmp_path: Path) -> None:
    old = policy(tmp_path, seeds=3, **STEADY)
    yard = Yard(old)
    async with yard.running():
        for number in range(40):
            await asyncio.sleep(37)
            changed = policy(tmp_path, seeds=3, **STEADY, watch={"poll_every": f"{60 + number}s"})
            assert await yard.app.reload(changed) == ""
        await asyncio.sleep(10)
    assert {fact.changes for fact in yard.facts(Reloaded)} == {("watch.poll_every changed",)}
    assert reasons(yard) == {Reason.PASS}
    nothing_twice(yard)


@virtual
async def test_what_needs_a_restart_changes_nothing(tmp_path: Path) -> None:
    old = policy(tmp_path, **SLOW)
    yard = Yard(old)
    async with yard.running():
        await yard.until_watching()
        moved = policy(tmp_path, seeds=2, **SLOW, listen={"port": 1234})
        why = await yard.app.reload(moved)
        assert "listen.port" in why and "restart" in why
        assert yard.app.desk.policy is old and not yard.app.vitals.reload_ok
        assert [fact.why for fact in yard.facts(ReloadRefused)] == [why] and not yard.facts(Reloaded)
        assert await yard.app.reload(policy(tmp_path, seeds=2, **SLOW)) == ""
        assert yard.app.vitals.reload_ok


def keyed(tmp_path: Path, *numbers: int) -> Policy:
    keys = [{"number": number, "secret": {"env": "KEY"}} for number in numbers]
    made = policy(tmp_path, **SLOW, signing={"keys": keys})
    strong = tuple(replace(key, secret=b"%032d" % key.number) for key in made.keys.keys)
    return replace(made, keys=replace(made.keys, keys=strong))


@virtual
async def test_a_removed_key_verifies_what_it_signed_until_that_is_closed(tmp_path: Path) -> None:
    yard = Yard(keyed(tmp_path, 1))
    yard.posts[0].transit = 60.0
    async with yard.running():
        await yard.until_watching()
        probe = await yard.probe(seed(1))
        await asyncio.sleep(5)
        rotated = keyed(tmp_path, 2)
        assert await yard.app.reload(rotated) == ""
        assert [key.number for key in yard.app.desk.policy.keys.keys] == [2, 1], "the new one signs"
        again = keyed(tmp_path, 3)
        assert await yard.app.reload(again) == ""
        assert [key.number for key in yard.app.desk.policy.keys.keys] == [3, 1], "2 signed nothing"
        await asyncio.sleep(120)
        assert [fact.reason for fact in yard.facts(Judged, probe)] == [Reason.PASS]
        await asyncio.sleep(ENOUGH)
        assert yard.app.desk.policy.keys == again.keys
    assert yard.facts(Reloaded)[0].changes == ("signing keys: 1 added, 1 removed",)
    nothing_twice(yard)


@virtual
async def test_removed_and_added_again_at_once(tmp_path: Path) -> None:
    two, one = policy(tmp_path, seeds=2, **STEADY), policy(tmp_path, seeds=1, **STEADY)
    yard = Yard(two)
    yard.posts[0].transit = 30.0
    async with yard.running():
        await yard.until_watching()
        probe = await yard.probe(seed(2))
        await asyncio.sleep(5)
        for target in (one, two, one, two):
            assert await yard.app.reload(target) == ""
        assert yard.app.desk.policy is two
        await asyncio.sleep(200)
        assert [fact.reason for fact in yard.facts(Judged, probe)] == [Reason.PASS]
        await asyncio.sleep(ENOUGH)
        assert yard.account(seed(2)).sessions and max(planned(yard, 2)) > 2500
    assert reasons(yard) == {Reason.PASS}
    nothing_twice(yard)


@virtual
async def test_a_mailbox_that_comes_back_is_not_probed_before_its_watcher_spoke(tmp_path: Path) -> None:
    two, one = policy(tmp_path, seeds=2, **STEADY), policy(tmp_path, seeds=1, **STEADY)
    yard = Yard(two)
    async with yard.running():
        await yard.until_watching()
        assert await yard.app.reload(one) == ""
        await asyncio.sleep(3 * ENOUGH)
        hang = asyncio.Event()

        async def waits(_: str) -> None:
            await hang.wait()

        yard.account(seed(2)).before = waits
        assert await yard.app.reload(two) == ""
        back = yard.clock.now().mono
        await asyncio.sleep(500)
        assert not [at for at in planned(yard, 2) if at > back], "it was watching once, but nobody knows about now"
        hang.set()
        await asyncio.sleep(400)
        assert [at for at in planned(yard, 2) if at > back]
    assert reasons(yard) == {Reason.PASS}


def renamed(tmp_path: Path) -> Policy:
    made = policy(tmp_path, seeds=1, **STEADY)
    tree = {"provider": "x", "address": "seed1@box.test", "imap": {"host": "imap.test", "password": {"env": "PASSWORD"}}}
    other = policy(tmp_path, seeds=0, **STEADY, mailboxes={"renamed": tree})
    assert set(made.mailboxes) != set(other.mailboxes)
    return other


@virtual
async def test_a_new_name_for_an_account_waits_for_the_probes_of_the_old_one(tmp_path: Path) -> None:
    yard = Yard(policy(tmp_path, seeds=1, **STEADY))
    yard.posts[0].transit = 20.0
    async with yard.running():
        await yard.until_watching()
        await asyncio.sleep(5)
        assert await yard.app.reload(renamed(tmp_path)) == ""
        await asyncio.sleep(2 * ENOUGH)
    assert reasons(yard) == {Reason.PASS}, "never misrouted: both names mean one account"
    by_name = {fact.route.mailbox: fact.at.mono for fact in yard.facts(ProbePlanned)}
    assert by_name[seed(1)] < 10 and by_name["renamed"] > 2000  # type: ignore[index]
    assert {fact.kind for fact in yard.facts(Foreign)} <= {ForeignKind.REPLAYED}, "what the old name left is known as ours"
    assert not yard.facts(Stray)


@virtual
async def test_while_paused_and_while_blind(tmp_path: Path) -> None:
    two, three = policy(tmp_path, seeds=2, **STEADY), policy(tmp_path, seeds=3, **STEADY)
    yard = Yard(two)
    async with yard.running():
        await yard.until_watching()
        yard.account(seed(1)).fail(MailboxError(BlindCause.AUTH_REFUSED, "no"))
        await yard.journal.append([Paused(yard.clock.now(), "ann", "")])
        await asyncio.sleep(100)
        count = len(yard.facts(ProbePlanned))
        assert await yard.app.reload(three) == ""
        await asyncio.sleep(600)
        assert len(yard.facts(ProbePlanned)) == count, "paused stays paused"
        assert {fact.mailbox for fact in yard.facts(WatchBlind)} == {seed(1)}
        yard.account(seed(1)).heal()
        await yard.journal.append([Resumed(yard.clock.now(), "ann")])
        resumed = yard.clock.now().mono
        await asyncio.sleep(100)
        assert len(yard.facts(ProbePlanned)) - count <= 2, "no burst"
        await asyncio.sleep(700)
    assert all(any(at > resumed for at in planned(yard, number)) for number in (1, 2, 3))


@virtual
async def test_a_disk_that_takes_no_facts_takes_no_configuration(tmp_path: Path) -> None:
    old, new = policy(tmp_path, **STEADY), policy(tmp_path, seeds=2, **STEADY, watch={"poll_every": "50s"})
    yard = Yard(old)
    async with yard.running():
        await yard.until_watching()
        await asyncio.sleep(10)
        yard.journal.full = True
        why = await yard.app.reload(new)
        assert "no space left" in why and yard.app.desk.policy is old and not yard.app.vitals.reload_ok
        await asyncio.sleep(400)
        assert yard.account(seed(1)).sessions, "watching goes on"
        why = await yard.app.reload(new)
        assert "free disk space" in why
        yard.journal.full = False
        await asyncio.sleep(10)
        assert await yard.app.reload(new) == ""
        await asyncio.sleep(700)
    assert {fact.route.mailbox for fact in yard.facts(ProbePlanned)} == {seed(1), seed(2)}
    nothing_twice(yard)


@virtual
async def test_while_it_drains_nothing_is_reloaded_or_planned(tmp_path: Path) -> None:
    yard = Yard(policy(tmp_path, **STEADY, drain="400s"))
    first = yard.posts[0]
    async with yard.running():
        await yard.until_watching()
        first.took = 350.0
        await yard.probe(seed(1))
        await asyncio.sleep(1)
        asked: asyncio.Task[str] = asyncio.create_task(_later(yard, policy(tmp_path, seeds=2, **STEADY)))
        count = len(yard.facts(ProbePlanned))
    assert "stopping" in await asked
    assert len(yard.facts(ProbePlanned)) == count, "planning stopped first"
    assert yard.clock.now().mono > 300 and all(fact.at for fact in yard.facts(Accepted)) and not yard.facts(Reloaded)
    assert len(yard.facts(Accepted)) == len(yard.facts(Attempted)), "what ran has ended"


async def _later(yard: Yard, changed: Policy) -> str:
    await asyncio.sleep(20)
    return await yard.app.reload(changed)


@virtual
async def test_channels_and_heartbeat_are_replaced_and_the_old_ones_closed_later(tmp_path: Path) -> None:
    def told(url: str, beat: str) -> Policy:
        channel = {"kind": "webhook", "url": url, "secret": {"env": "KEY"}}
        changes: dict[str, Any] = {"notify": {"channels": {"hook": channel}, "pages": ["hook"]}, "heartbeat": {"url": beat, "every": "1m"}}
        return policy(tmp_path, **SLOW, **changes)

    yard = Yard(told("https://one.test/", "https://beat.test/1"))
    async with yard.running():
        await yard.until_watching()
        assert await yard.app.reload(told("https://two.test/", "https://beat.test/2")) == ""
        assert yard.facts(Reloaded)[0].changes == ("heartbeat changed", "channel hook: url changed")
        old, new = yard.pagers
        await asyncio.sleep(10)
        assert not old.closed, "a page may be under way"
        await asyncio.sleep(60)
        assert old.closed and not new.closed and yard.switches[0].closed and not yard.switches[1].closed
    assert new.closed and yard.switches[1].closed


BRISK = {
    "deadlines": {"late": "1m", "missing": "2m", "give_up": "3m", "watch_until": "5m"},
    "submission": {"attempt_timeout": "30s", "retry_for": "90s", "unreachable_for": "60s"},
}
LAYOUTS: list[dict[str, Any]] = [
    {"seeds": 1},
    {"seeds": 2},
    {"seeds": 3},
    {"seeds": 2, "holding": True},
    {"seeds": 3, "watch": {"poll_every": "45s"}},
    {"seeds": 2, "paths": {RELAY: {"host": "other.test"}}},
    {"seeds": 3, "schedule": {"every": "2m"}},
]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(LAYOUTS), st.floats(0.0, 400.0)), min_size=1, max_size=8), st.floats(0.1, 50.0))
def test_any_sequence_of_configurations(tmp_path: Path, steps: list[tuple[dict[str, Any], float]], transit: float) -> None:
    @virtual
    async def run() -> None:
        yard = Yard(policy(tmp_path, seeds=2, **STEADY, **BRISK), draw=None)
        yard.transit = yard.posts[0].transit = transit
        async with yard.running():
            for layout, seconds in steps:
                await asyncio.sleep(seconds)
                changes = {**STEADY, **BRISK, **layout, "schedule": {**STEADY["schedule"], **layout.get("schedule", {})}}
                assert await yard.app.reload(policy(tmp_path, **changes)) == ""
            await asyncio.sleep(600)
            configured = set(yard.app.desk.policy.mailboxes)
            assert configured == set(yard.app.edges.mailboxes) == set(yard.app.watch.watched)
        withdrawn = {fact.probe for fact in yard.facts(Withdrawn)}
        young = {fact.probe for fact in yard.facts(ProbePlanned) if yard.clock.now().mono - fact.at.mono < 120}
        judged = {fact.probe for fact in yard.facts(Judged)}
        assert judged | withdrawn | young >= {fact.probe for fact in yard.facts(ProbePlanned)}
        assert reasons(yard) <= {Reason.PASS}
        nothing_twice(yard)

    run()
