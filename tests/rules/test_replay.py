"""A journal judged again: under the same policy nothing differs, under another one what it changes; what cannot be known is kept."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.model.facts import Acknowledged, Closed, Entry, Judged, Looked, Sighted, Transition
from monitor.model.incident import Phase
from monitor.model.mail import AuthResult, BlindCause, Placement
from monitor.model.policy import Demand, IncidentPolicy, Policy
from monitor.model.probe import Purpose, Route
from monitor.model.verdict import Reason
from monitor.ports import MailboxError
from monitor.rules.replay import MAX_CHANGES, Replay, Replayed, reasons
from tests.fakes.mailbox import FakeAccount
from tests.stages.house import RELAY, House, policy, seed
from tests.stages.virtual import virtual

BUDGET = {"per_path": 2000}
ALL = ("plan", "submit", "watch", "judge")
BOX = seed(1)


def replay(entries: list[Entry], under: Policy, since: float | None = None) -> Replayed:
    told = Replay(under, since)
    for entry in entries:
        told.take(entry)
    return told.end()


def with_deadlines(under: Policy, **changes: float) -> Policy:
    routes = {route: replace(own, deadlines=replace(own.deadlines, **changes)) for route, own in under.routes.items()}
    return replace(under, routes=routes)


def counts(told: Replayed, name: int = 1) -> dict[str, tuple[int, int]]:
    rows = reasons(told.routes[Route(RELAY, seed(name))])
    return {reason.value if reason else "open": (old, new) for reason, old, new in rows}


async def eventful(house: House, dice: random.Random, hours: int) -> None:
    """Half hours of good and bad luck: slow, lost, doubled, spam, misrouted, blind mailboxes, a stepped clock."""
    post = house.post
    lawful = post.into
    boxes = list(house.accounts.values())
    async with house.running(*ALL):
        for _ in range(hours * 2):
            luck = dice.randrange(7)
            post.transit = None if luck == 1 else dice.uniform(0.1, 200.0) if luck == 2 else 1.0
            post.into = lawful
            if luck == 3:
                post.into = lambda mail: (lawful(mail)[0], "Junk")
            elif luck == 4:
                post.into = lambda mail: (boxes[-1], "INBOX")
            elif luck == 5:
                post.into = lambda mail: (twice(lawful(mail)[0], mail.message), "INBOX")
            elif luck == 6:
                house.clock.step(dice.choice((-7.0, 40.0)))
            await house.sleep(1800.0)
        post.transit, post.into = 1.0, lawful
        await house.sleep(dice.uniform(10.0, 3000.0))


def twice(account: FakeAccount, raw: bytes) -> FakeAccount:
    """One copy now, the other as it comes."""
    account.deliver(raw, "INBOX")
    return account


# --- the same policy ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("luck", range(2))
def test_the_same_policy_makes_no_difference(tmp_path: Path, luck: int) -> None:
    @virtual
    async def days() -> None:
        house = House(policy(tmp_path, seeds=3, holding=True, budgets=BUDGET))
        await eventful(house, random.Random(luck), 3)
        heir = await House(house.policy, before=house).restored()  # killed, and started again
        await eventful(heir, random.Random(luck + 100), 1)
        found = {fact.reason for fact in heir.facts(Judged)}
        assert Reason.PASS in found and len(found) > 2, "the hours were eventful"
        result = replay(heir.entries, heir.policy)
        assert result.changed == result.kept == result.unknown == result.retimed == 0, result.changes
        assert result.probes > 40
        assert sum(tally.old.total() for tally in result.routes.values()) == result.probes
        assert all(tally.old == tally.new for tally in result.routes.values())

    days()


@virtual
async def test_a_journal_that_ends_while_probes_are_on_their_way(tmp_path: Path) -> None:
    house = await told(policy(tmp_path, seeds=2), transit=None, seconds=100.0)
    result = replay(house.entries, house.policy)
    assert (result.changed, result.kept, result.probes) == (0, 0, 2)
    assert counts(result) == {"open": (1, 1)}


@virtual
async def test_while_nobody_watched_silence_meant_nothing(tmp_path: Path) -> None:
    """Found by the first look of the next process, long after the deadlines; facts about other mailboxes came before it."""
    house = House(policy(tmp_path, seeds=2))
    house.post.transit = 30.0
    async with house.running("submit", "judge"):
        await house.watched()
        await house.probe(BOX)
        await house.sleep(10.0)
    await house.sleep(2100.0)
    heir = await House(house.policy, before=house).restored()
    await heir.blinded(seed(2))
    async with heir.running():
        await heir.sleep(60.0)
    assert [fact.reason for fact in heir.facts(Judged)] == [Reason.PASS]
    result = replay(heir.entries, heir.policy)
    assert (result.kept, result.changed, result.retimed) == (0, 0, 0)


# --- other deadlines ----------------------------------------------------------------------------------------------------


async def told(under: Policy, transit: float | None = 1.0, seconds: float = 4000.0) -> House:
    """A house that probes each of its seeds once, and is then watched for so long."""
    house = House(under)
    house.post.transit = transit
    async with house.running():
        await house.watched()
        await house.probe()
        await house.sleep(seconds)
    return house


@virtual
async def test_a_shorter_deadline_makes_it_late(tmp_path: Path) -> None:
    house = await told(policy(tmp_path), transit=70.0)
    result = replay(house.entries, with_deadlines(house.policy, late_after=30.0))
    assert counts(result) == {"pass": (1, 0), "late": (0, 1)}
    (change,) = result.changes
    assert (change.old.first, change.old.last, change.new.first, change.new.last) == (Reason.PASS, Reason.PASS, Reason.LATE, Reason.LATE)
    assert "(late after 30 s)" in change.new.explanation
    assert change.route == Route(RELAY, BOX)


@virtual
async def test_a_longer_deadline_forgives(tmp_path: Path) -> None:
    house = await told(policy(tmp_path), transit=200.0)
    assert counts(replay(house.entries, with_deadlines(house.policy, late_after=300.0))) == {"pass": (0, 1), "late": (1, 0)}


@virtual
async def test_a_shorter_deadline_for_missing_changes_the_first_verdict_and_not_the_last(tmp_path: Path) -> None:
    house = await told(policy(tmp_path), transit=300.0)
    result = replay(house.entries, with_deadlines(house.policy, missing_after=130.0))
    (change,) = result.changes
    assert (change.old.first, change.new.first) == (Reason.LATE, Reason.MISSING)
    assert change.old.last is change.new.last is Reason.LATE
    assert counts(result) == {"late": (1, 1)}


@virtual
async def test_absence_is_proven_by_recorded_looks_only(tmp_path: Path) -> None:
    """The record goes on until the probe was closed by the old policy; what a longer deadline would have shown is not known."""
    house = await told(policy(tmp_path), transit=None)
    result = replay(house.entries, with_deadlines(house.policy, missing_after=9000.0, give_up_after=10_000.0, watch_until=11_000.0))
    assert counts(result) == {"missing": (1, 0), "open": (0, 1)}
    assert replay(house.entries, with_deadlines(house.policy, missing_after=600.0)).changes == [], "a look after ten minutes is there"


@virtual
async def test_a_shorter_watch_hears_no_late_news(tmp_path: Path) -> None:
    house = await told(policy(tmp_path), transit=1200.0)
    assert counts(replay(house.entries, house.policy)) == {"late": (1, 1)}
    result = replay(house.entries, with_deadlines(house.policy, watch_until=600.0))
    assert counts(result) == {"late": (1, 0), "missing": (0, 1)}


@virtual
async def test_giving_up_sooner_is_blindness_sooner(tmp_path: Path) -> None:
    """Deadlines between the facts are met at their own instants."""
    under = policy(tmp_path)
    house = House(under)
    house.post.transit = None
    async with house.running("submit", "judge"):  # nobody watches
        await house.watched()
        await house.probe()
        await house.sleep(600.0)
        await house.watched()
    assert house.facts(Judged) == []
    result = replay(house.entries, with_deadlines(under, give_up_after=500.0))
    assert counts(result) == {"mailbox_blind": (0, 1), "open": (1, 0)}


@virtual
async def test_deadlines_of_a_one_shot_probe_stay(tmp_path: Path) -> None:
    house = await told(policy(tmp_path), transit=70.0)
    entries = [replace(e, fact=replace(e.fact, purpose=Purpose.CLI)) if e.kind == "probe_planned" else e for e in house.entries]  # type: ignore[type-var]
    assert replay(entries, with_deadlines(house.policy, late_after=30.0)).changed == 0


# --- other demands ------------------------------------------------------------------------------------------------------


def demanding(under: Policy, **demand: tuple[AuthResult, ...]) -> Policy:
    return replace(under, paths={RELAY: replace(under.paths[RELAY], demand=Demand(**demand))})


@virtual
async def test_a_demand_that_the_mail_does_not_meet(tmp_path: Path) -> None:
    house = await told(policy(tmp_path))
    result = replay(house.entries, demanding(house.policy, dkim=(AuthResult.PASS,)))
    assert counts(result) == {"pass": (1, 0), "unauthenticated": (0, 1)}


@virtual
async def test_a_demand_that_is_dropped(tmp_path: Path) -> None:
    house = await told(policy(tmp_path, paths={RELAY: {"require": {"spf": ["pass"]}}}, mailboxes={BOX: {"authserv_ids": ["mx.box.test"]}}))
    assert counts(replay(house.entries, demanding(house.policy))) == {"pass": (0, 1), "unauthenticated": (1, 0)}


# --- incidents ----------------------------------------------------------------------------------------------------------


def opened(result: Replayed) -> list[tuple[str, str, bool, bool]]:
    """(symptom, scope, as recorded, now)."""
    return [(it.symptom.value, str(it.scope), it.old is not None, it.new is not None) for it in result.incidents]


@virtual
async def test_incidents_open_again_when_they_did(tmp_path: Path) -> None:
    """Lost mail, healed, a mailbox that cannot be seen, with a person and a restart between."""
    house = House(policy(tmp_path, seeds=4, budgets=BUDGET))
    async with house.running(*ALL, "incident"):
        await house.sleep(600.0)
        house.post.transit = None
        await house.sleep(2400.0)
        (lost,) = house.world.incidents.open()
        await house.journal.append([Acknowledged(house.clock.now(), lost.id, "ann")])
        house.post.transit = 1.0
        await house.sleep(3600.0)
        house.accounts[BOX].fail(MailboxError(BlindCause.TIMEOUT, "no answer", ""))
        await house.sleep(1500.0)
    heir = await House(house.policy, before=house).restored()
    async with heir.running(*ALL, "incident"):
        await heir.sleep(1800.0)
    result = replay(heir.entries, heir.policy)
    recorded = [fact for fact in heir.facts(Transition) if fact.phase is Phase.OPENED]
    assert len(recorded) >= 2 and (result.changed, result.kept) == (0, 0)
    assert opened(result) == [(fact.symptom.value, str(fact.scope), True, True) for fact in recorded]
    assert all(abs(it.seconds_later or 0.0) <= 15.0 for it in result.incidents), "within a turn of the stage"
    later = replay(heir.entries, heir.policy, since=recorded[-1].at.utc - 60.0)
    assert len(later.incidents) == 1


@virtual
async def test_an_incident_that_would_have_opened_sooner_later_or_never(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=2, budgets=BUDGET))
    async with house.running(*ALL, "incident"):
        await house.sleep(600.0)
        house.accounts[BOX].fail(MailboxError(BlindCause.TIMEOUT, "no answer", ""))
        await house.sleep(2000.0)

    def under(blind_after: float) -> Replayed:
        return replay(house.entries, replace(house.policy, incidents=IncidentPolicy(blind_after=blind_after)))

    same, sooner, never = under(900.0), under(300.0), under(9000.0)
    assert opened(same) == opened(sooner) == [("mailbox_blind", "mailbox:seed-1", True, True)]
    assert opened(never) == [("mailbox_blind", "mailbox:seed-1", True, False)]
    assert sooner.incidents[0].seconds_later == pytest.approx(-600.0, abs=60.0)
    assert never.incidents[0].seconds_later is None


@virtual
async def test_an_incident_that_nobody_opened(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=4, budgets=BUDGET))
    async with house.running(*ALL, "incident"):
        house.post.transit = 100.0
        await house.sleep(3600.0)
    assert opened(replay(house.entries, house.policy)) == []
    told_now = opened(replay(house.entries, with_deadlines(house.policy, late_after=30.0)))
    assert [(symptom, old, new) for symptom, _, old, new in told_now] == [("delivery_late", False, True)]


# --- what cannot be told again ------------------------------------------------------------------------------------------


@virtual
async def test_verdicts_whose_evidence_is_gone_are_kept(tmp_path: Path) -> None:
    house = await told(policy(tmp_path), transit=None)
    retired = [entry for entry in house.entries if not isinstance(entry.fact, Looked)]
    result = replay(retired, with_deadlines(house.policy, missing_after=60.0))
    assert counts(result) == {"missing": (1, 1)} and (result.kept, result.changed) == (1, 0)


@virtual
async def test_verdicts_that_other_rules_gave_are_kept(tmp_path: Path) -> None:
    house = await told(policy(tmp_path), transit=70.0)
    other = [replace(e, fact=replace(e.fact, reason=Reason.SPAM)) if e.kind == "judged" else e for e in house.entries]  # type: ignore[type-var]
    result = replay(other, with_deadlines(house.policy, late_after=30.0))
    assert counts(result) == {"spam": (1, 1)} and (result.kept, result.changed) == (1, 0)


@virtual
async def test_a_first_verdict_that_came_at_another_moment_is_no_difference(tmp_path: Path) -> None:
    """Two commits so close to each other that the judge of that day saw both at once."""
    house = await told(policy(tmp_path), transit=300.0)
    entries = []
    for entry in house.entries:
        if isinstance(entry.fact, Sighted):
            spam = replace(entry.fact, placement=Placement.SPAM, folder="Junk", uid=99, header_digest="x", at=entry.fact.at.plus(-0.001))
            entries.append(Entry(entry.seq, entry.kind, spam))
            entries.append(replace(entry, seq=entry.seq, fact=replace(entry.fact, uid=98)))
        elif isinstance(entry.fact, Judged):
            entries.append(replace(entry, fact=replace(entry.fact, reason=Reason.DUPLICATE)))
        else:
            entries.append(entry)
    result = replay(entries, house.policy)
    assert counts(result) == {"duplicate": (1, 1)} and (result.kept, result.changed, result.retimed) == (0, 0, 1)


@virtual
async def test_facts_of_one_instant_are_judged_as_one(tmp_path: Path) -> None:
    """Two copies that one look found: the judge of that day saw both, and never the first alone."""
    house = await told(policy(tmp_path))
    entries = []
    for entry in house.entries:
        if isinstance(entry.fact, Sighted):
            entries.append(Entry(entry.seq, entry.kind, replace(entry.fact, uid=98, header_digest="x")))
        if isinstance(entry.fact, Judged):
            entry = replace(entry, fact=replace(entry.fact, reason=Reason.DUPLICATE))
        entries.append(entry)
    result = replay(entries, house.policy)
    assert counts(result) == {"duplicate": (1, 1)} and (result.kept, result.changed, result.retimed) == (0, 0, 0)


@virtual
async def test_routes_that_the_new_policy_does_not_have(tmp_path: Path) -> None:
    house = await told(policy(tmp_path, seeds=2), transit=70.0)
    under = with_deadlines(house.policy, late_after=30.0)
    gone = Route(RELAY, seed(2))
    result = replay(house.entries, replace(under, routes={r: p for r, p in under.routes.items() if r != gone}))
    assert (result.unknown, result.changed) == (1, 1)
    assert counts(result, 2) == {"pass": (1, 1)} and counts(result, 1) == {"pass": (1, 0), "late": (0, 1)}


@virtual
async def test_since_leaves_out_what_was_planned_before(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    async with house.running():
        await house.watched()
        await house.probe()
        await house.sleep(100.0)
        await house.probe()
        await house.sleep(100.0)
    assert replay(house.entries, house.policy).probes == 2
    assert replay(house.entries, house.policy, since=house.clock.start + 50.0).probes == 1


@virtual
async def test_other_amounts_and_facts_of_another_version_are_noted(tmp_path: Path) -> None:
    house = await told(policy(tmp_path))
    assert not replay(house.entries, house.policy).amounts_differ
    path = replace(house.policy.paths[RELAY], allowed_amounts=("£0.00",))
    result = replay([*house.entries, Entry(10**6, "unheard_of", None)], replace(house.policy, paths={RELAY: path}))
    assert result.amounts_differ and result.unread == 1 and result.changed == 0


@virtual
async def test_the_list_of_changes_is_bounded_and_all_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_CHANGES <= 10_000
    monkeypatch.setattr("monitor.rules.replay.MAX_CHANGES", 1)
    house = await told(policy(tmp_path, seeds=3), transit=70.0)
    result = replay(house.entries, with_deadlines(house.policy, late_after=30.0))
    assert (len(result.changes), result.changed) == (1, 3)


@virtual
async def test_nothing_stays_in_memory_of_a_probe_that_is_closed(tmp_path: Path) -> None:
    house = await told(policy(tmp_path, seeds=2))
    assert len(house.facts(Closed)) == 2
    told_again = Replay(house.policy)
    for entry in house.entries:
        told_again.take(entry)
    strands = (told_again._own, told_again._new)
    assert not told_again._plans and not told_again._recorded and not any(strand.courses or strand.world.probes for strand in strands)
