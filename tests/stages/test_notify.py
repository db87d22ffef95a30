"""notify on virtual time: who hears of what, when, in which order, and what a restart, a silence or a full disk does to it."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.model.channels import AlertmanagerChannel, NotifyPolicy
from monitor.model.facts import Acknowledged, Notified, NotifyFailed, Reloaded
from monitor.model.incident import IncidentId, Phase, Scope, ScopeKind, Severity
from monitor.model.instant import Instant
from monitor.model.notice import Call, NotTold
from monitor.model.verdict import Symptom
from monitor.stages.notify import AT_ONCE, ATTEMPT
from monitor.surface.deliveries import deliveries
from monitor.views import outbox
from tests.fakes.channel import DOWN, REFUSED, TAKEN, FakeChannel
from tests.stages.office import HOOK, ONE, TWO, Office
from tests.stages.virtual import virtual


async def settle(seconds: float = 0.1) -> None:
    await asyncio.sleep(seconds)


# --- who hears of what ------------------------------------------------------------------------------------------------


@virtual
async def test_opened_grown_flapping_and_resolved_are_told_in_order_under_keys_of_their_own(tmp_path: Path) -> None:
    hook = FakeChannel()
    office = Office(tmp_path, {"hook": hook})
    async with office.open():
        for phase in (Phase.SUSPECTED, Phase.OPENED, Phase.GROWN, Phase.RECOVERING, Phase.RELAPSED, Phase.FLAPPING, Phase.RESOLVED):
            await office.tell(phase)
            await settle()
    assert [notice.call for notice in hook.taken] == [Call.FIRE] * 3 + [Call.RESOLVE]
    assert [notice.key.rsplit("-", 1)[0] for notice in hook.taken] == ["INC-1-1-1", "INC-1-1-2", "INC-1-1-3", "INC-1-1-4"]
    assert len({notice.dedup_key for notice in hook.taken}) == 1
    told = office.facts(Notified)
    assert [(fact.about, fact.channel, fact.attempt) for fact in told] == [(2, "hook", 1), (4, "hook", 1), (8, "hook", 1), (10, "hook", 1)]
    assert office.journal.fsynced == told, "what is told must not be forgotten when the power fails"


@virtual
async def test_a_suspicion_that_cleared_and_a_resolve_of_what_nobody_heard_are_not_told(tmp_path: Path) -> None:
    hook = FakeChannel()
    office = Office(tmp_path, {"hook": hook})
    async with office.open():
        await office.tell(Phase.SUSPECTED)
        await office.tell(Phase.CLEARED)
        await office.tell(Phase.RESOLVED, TWO)
        await settle()
    assert hook.heard == []


@virtual
async def test_severity_chooses_the_channels_and_a_resolve_goes_to_all_who_heard(tmp_path: Path) -> None:
    pager, desk = FakeChannel(), FakeChannel()
    office = Office(tmp_path, {"pager": pager, "desk": desk}, pages=("pager",), tickets=("desk",))
    async with office.open():
        await office.tell(Phase.OPENED, severity=Severity.TICKET)
        await settle()
        assert (len(pager.taken), len(desk.taken)) == (0, 1)
        await office.tell(Phase.GROWN)
        await settle()
        assert (len(pager.taken), len(desk.taken)) == (1, 1)
        await office.tell(Phase.RESOLVED)
        await office.tell(Phase.OPENED, TWO)
        await office.tell(Phase.RESOLVED, TWO)
        await settle()
    assert [(call, incident) for _, call, incident in pager.calls()] == [
        (Call.FIRE, ONE), (Call.RESOLVE, ONE), (Call.FIRE, TWO), (Call.RESOLVE, TWO)
    ]  # fmt: skip
    assert [(call, incident) for _, call, incident in desk.calls()] == [(Call.FIRE, ONE), (Call.RESOLVE, ONE)]


@virtual
async def test_what_is_acknowledged_is_told_again_only_when_it_becomes_more_severe(tmp_path: Path) -> None:
    hook = FakeChannel()
    office = Office(tmp_path, {"hook": hook})
    async with office.open():
        await office.tell(Phase.OPENED, severity=Severity.TICKET)
        await office.journal.append([Acknowledged(office.now(), ONE, "ana")])
        await office.tell(Phase.GROWN, severity=Severity.TICKET)
        await office.tell(Phase.FLAPPING, severity=Severity.TICKET)
        await settle()
        assert len(hook.taken) == 1
        await office.tell(Phase.GROWN)
        await office.tell(Phase.GROWN)
        await settle()
        assert [notice.severity for notice in hook.taken] == [Severity.TICKET, Severity.PAGE]
        await office.tell(Phase.RESOLVED)
        await office.tell(Phase.OPENED, episode=2)
        await office.tell(Phase.GROWN, episode=2)
        await settle()
    assert [(notice.call, notice.episode) for notice in hook.taken[2:]] == [(Call.RESOLVE, 1), (Call.FIRE, 2), (Call.FIRE, 2)]


@virtual
async def test_of_a_part_of_another_incident_only_the_end_is_told_to_those_who_heard_its_beginning(tmp_path: Path) -> None:
    hook = FakeChannel()
    office = Office(tmp_path, {"hook": hook})
    async with office.open():
        await office.tell(Phase.OPENED)
        await office.tell(Phase.GROWN, parent=TWO)
        await office.tell(Phase.OPENED, IncidentId("INC-3"), parent=TWO)
        await office.tell(Phase.RESOLVED, IncidentId("INC-3"), parent=TWO)
        await office.tell(Phase.RESOLVED, parent=TWO)
        await settle()
    assert [(call, incident) for _, call, incident in hook.calls()] == [(Call.FIRE, ONE), (Call.RESOLVE, ONE)]


# --- refusals -----------------------------------------------------------------------------------------------------------


@virtual
async def test_tries_again_after_growing_waits_under_the_same_key(tmp_path: Path) -> None:
    hook = FakeChannel(*[DOWN] * 9, TAKEN)
    office = Office(tmp_path, {"hook": hook})
    async with office.open():
        await office.tell(Phase.OPENED)
        await settle(600)
    waits = [later.at - earlier.at for earlier, later in zip(hook.heard, hook.heard[1:], strict=False)]
    assert waits == pytest.approx([1.5, 3.0, 6.0, 12.0, 24.0, 45.0, 45.0, 45.0, 45.0])
    assert len({heard.notice.key for heard in hook.heard}) == 1
    failures = office.facts(NotifyFailed)
    assert [failure.attempt for failure in failures] == [1, 7], "the first, then at growing intervals"
    assert [fact.attempt for fact in office.facts(Notified)] == [10]


@virtual
async def test_a_pause_that_the_peer_asks_for_is_kept_within_a_bound(tmp_path: Path) -> None:
    hook = FakeChannel(NotTold("429", True, retry_after=120.0), NotTold("429", True, retry_after=86_400.0), TAKEN)
    office = Office(tmp_path, {"hook": hook})
    async with office.open():
        await office.tell(Phase.OPENED)
        await settle(2_000)
    assert [heard.at - hook.heard[0].at for heard in hook.heard] == [0.0, 120.0, 1_020.0]


@virtual
async def test_a_permanent_refusal_is_given_up_at_once_and_goes_to_the_fallback(tmp_path: Path) -> None:
    hook, spare = FakeChannel(REFUSED), FakeChannel()
    office = Office(tmp_path, {"hook": hook, "spare": spare}, pages=("hook",), tickets=("hook",), fallback=("spare",))
    async with office.open():
        await office.tell(Phase.OPENED)
        await settle(1)
        hook.answer_from_now_on(TAKEN)
        await office.tell(Phase.RESOLVED)
        await settle(1)
    (failure,) = office.facts(NotifyFailed)
    assert (failure.channel, failure.retry_in, failure.mend) == ("hook", None, "check the secret")
    assert len(hook.heard) == 1, "who never heard that it began does not hear that it is over"
    assert [notice.call for notice in spare.taken] == [Call.FIRE, Call.RESOLVE]
    assert spare.heard[0].at < 0.1


@virtual
async def test_the_fallback_hears_of_a_page_that_is_not_taken_for_fallback_after_and_not_of_a_ticket(tmp_path: Path) -> None:
    hook, spare = FakeChannel(DOWN), FakeChannel()
    office = Office(tmp_path, {"hook": hook, "spare": spare}, pages=("hook",), tickets=("hook",), fallback=("spare",), fallback_after=90.0)
    async with office.open():
        await office.tell(Phase.OPENED)
        await office.tell(Phase.OPENED, TWO, Severity.TICKET)
        await settle(600)
        assert spare.calls() == [(90.0, Call.FIRE, ONE)]
        await office.tell(Phase.RESOLVED)
        hook.answer_from_now_on(TAKEN)
        await settle(100)
    assert [call for _, call, _ in spare.calls()] == [Call.FIRE, Call.RESOLVE]
    assert [(call, incident) for _, call, incident in hook.calls() if incident == ONE] == [(Call.FIRE, ONE), (Call.RESOLVE, ONE)]


@virtual
async def test_given_up_after_give_up_after(tmp_path: Path) -> None:
    hook = FakeChannel(DOWN)
    office = Office(tmp_path, {"hook": hook}, give_up_after=3_600.0)
    async with office.open():
        await office.tell(Phase.OPENED)
        await settle(7_200)
        tried = len(hook.heard)
        await settle(7_200)
    assert len(hook.heard) == tried
    assert 3_600 <= hook.heard[-1].at < 3_700
    assert office.facts(NotifyFailed)[-1].retry_in is None
    assert len(office.facts(NotifyFailed)) <= 9


@virtual
async def test_failures_of_a_whole_day_are_few_facts(tmp_path: Path) -> None:
    office = Office(tmp_path, {"hook": FakeChannel(DOWN)})
    async with office.open():
        await office.tell(Phase.OPENED)
        await settle(86_000)
    assert 20 <= len(office.facts(NotifyFailed)) <= 35


@virtual
async def test_a_slow_channel_delays_no_other_and_a_bad_incident_no_other(tmp_path: Path) -> None:
    slow, quick = FakeChannel(takes=60.0), FakeChannel()
    office = Office(tmp_path, {"slow": slow, "quick": quick})
    async with office.open():
        for number in range(20):
            await office.tell(Phase.OPENED, IncidentId(f"INC-{number}"), scope=Scope(ScopeKind.PATH, f"app-{number}"))
        await settle(1)
        assert len(quick.taken) == 20
        assert slow.heard == [] and slow.under_way == AT_ONCE
        await settle(ATTEMPT)
    assert slow.most_under_way == AT_ONCE


@virtual
async def test_a_resolve_never_overtakes_its_page(tmp_path: Path) -> None:
    hook = FakeChannel(DOWN, DOWN, DOWN, TAKEN)
    office = Office(tmp_path, {"hook": hook})
    async with office.open():
        await office.tell(Phase.OPENED)
        await office.tell(Phase.GROWN)
        await office.tell(Phase.RESOLVED)
        await office.tell(Phase.OPENED, episode=2)
        await settle(60)
    assert [(notice.call, notice.episode) for notice in hook.taken] == [(Call.FIRE, 1), (Call.FIRE, 1), (Call.RESOLVE, 1), (Call.FIRE, 2)]


@virtual
@pytest.mark.parametrize("back", [10.0, 30.0, 50.0, 200.0])
async def test_the_end_of_one_incident_never_closes_the_next_under_its_key(tmp_path: Path, back: float) -> None:
    """The channel is down over the end of the first and the beginning of the second; a crash changes nothing."""
    hook = FakeChannel()
    office = Office(tmp_path, {"hook": hook})
    async with office.open():
        await office.tell(Phase.OPENED)
        await settle(10)
        hook.answer_from_now_on(DOWN)
        await office.tell(Phase.RESOLVED)
        await settle(3_700)
        await office.tell(Phase.OPENED, TWO)
        await settle(back)
    office = Office(tmp_path, {"hook": hook}, office)
    async with office.open():
        await settle(back)
        hook.answer_from_now_on(TAKEN)
        await settle(100)
    assert [(call, incident) for _, call, incident in hook.calls()] == [(Call.FIRE, ONE), (Call.RESOLVE, ONE), (Call.FIRE, TWO)]
    assert len({notice.dedup_key for notice in hook.taken}) == 1
    assert {row["state"] for row in deliveries(office.desk)["notifications"]} == {"told"}  # type: ignore[attr-defined]


@virtual
async def test_an_end_that_came_too_late_for_its_key_is_told_no_more_and_the_log_says_so(tmp_path: Path) -> None:
    """A journal in which the next incident was told first."""
    hook = FakeChannel()
    before, office = Office(tmp_path, {}), Office(tmp_path, {"hook": hook})
    first = await before.tell(Phase.OPENED)
    over = await before.tell(Phase.RESOLVED)
    second = await before.tell(Phase.OPENED, TWO)
    down = NotifyFailed(before.now(), ONE, "hook", over.seq, 1, "503", "", 60.0)
    taken = [Notified(before.now(), incident, "hook", seq, 1, "ok") for incident, seq in ((ONE, first.seq), (TWO, second.seq))]
    await before.journal.append([down, *taken])
    office.before = before
    async with office.open():
        await settle(100)
        assert hook.heard == []
        states = [(row["of"], row["incident"], row["state"]) for row in deliveries(office.desk)["notifications"]]  # type: ignore[attr-defined]
    assert states == [("opened", TWO, "told"), ("resolved", ONE, "superseded"), ("opened", ONE, "told")]


# --- silences -----------------------------------------------------------------------------------------------------------


@virtual
async def test_what_is_still_open_when_its_silence_ends_is_told_at_once_under_another_key(tmp_path: Path) -> None:
    hook = FakeChannel()
    office = Office(tmp_path, {"hook": hook})
    async with office.open():
        await office.tell(Phase.OPENED)
        await settle(10)
        silenced = office.now()
        await office.silence(3_600)
        await office.tell(Phase.GROWN, note="three routes")
        await settle(3_599)
        assert len(hook.taken) == 1
        await settle(10_000)
    assert [notice.call for notice in hook.taken] == [Call.FIRE, Call.FIRE]
    assert hook.heard[1].at == pytest.approx(silenced.mono + 3_600, abs=0.01)
    assert len({notice.key for notice in hook.taken}) == 2
    assert "Still open" in hook.taken[1].title and "three routes" in hook.taken[1].text


@virtual
async def test_what_was_resolved_in_silence_is_closed_for_those_who_heard_and_not_told_again(tmp_path: Path) -> None:
    hook = FakeChannel()
    office = Office(tmp_path, {"hook": hook})
    async with office.open():
        await office.tell(Phase.OPENED)
        await settle(10)
        await office.silence(3_600)
        await office.tell(Phase.RESOLVED)
        await settle(10_000)
    assert [notice.call for notice in hook.taken] == [Call.FIRE, Call.RESOLVE]


@virtual
async def test_opened_again_in_silence_is_told_at_its_end_after_the_resolve(tmp_path: Path) -> None:
    hook = FakeChannel()
    office = Office(tmp_path, {"hook": hook})
    async with office.open():
        await office.tell(Phase.OPENED)
        await settle(10)
        await office.silence(3_600)
        await office.tell(Phase.RESOLVED)
        await settle(600)
        await office.tell(Phase.OPENED, episode=2)
        await settle(10_000)
    assert [(notice.call, notice.episode) for notice in hook.taken] == [(Call.FIRE, 1), (Call.RESOLVE, 1), (Call.FIRE, 2)]
    assert hook.heard[2].at == pytest.approx(3_610, abs=0.2)


@virtual
async def test_a_page_that_nobody_took_before_the_silence_is_told_once_at_its_end(tmp_path: Path) -> None:
    hook = FakeChannel(DOWN)
    office = Office(tmp_path, {"hook": hook})
    async with office.open():
        await office.tell(Phase.OPENED)
        await settle(10)
        await office.silence(600)
        await settle(60)
        hook.answer_from_now_on(TAKEN)
        await settle(500)
        assert hook.taken == []
        await settle(600)
    assert [notice.call for notice in hook.taken] == [Call.FIRE]


@virtual
async def test_a_longer_silence_replaces_the_first_and_a_step_of_utc_ends_it(tmp_path: Path) -> None:
    hook = FakeChannel()
    office = Office(tmp_path, {"hook": hook})
    async with office.open():
        await office.tell(Phase.OPENED)
        await settle(10)
        await office.silence(600)
        await office.silence(7_200)
        await settle(3_000)
        assert len(hook.taken) == 1
        office.clock.step(4_300)
        await settle(61)
    assert len(hook.taken) == 2


@virtual
async def test_a_clock_that_was_set_back_delays_no_page(tmp_path: Path) -> None:
    hook = FakeChannel()
    office = Office(tmp_path, {"hook": hook})
    hook.takes = 5.0
    async with office.open():
        await office.tell(Phase.OPENED)
        office.clock.step(-7_200)
        await office.tell(Phase.GROWN)
        await settle(11)
    assert len(hook.taken) == 2


# --- restarts -----------------------------------------------------------------------------------------------------------


@virtual
async def test_a_restart_keeps_the_promises_and_the_keys(tmp_path: Path) -> None:
    down, well = FakeChannel(DOWN), FakeChannel()
    first = Office(tmp_path, {"down": down, "well": well})
    async with first.open():
        await first.tell(Phase.OPENED)
        await first.tell(Phase.GROWN)
        await settle(30)
    down.answer_from_now_on(TAKEN)
    second = Office(tmp_path, {"down": down, "well": well}, first)
    async with second.open():
        await settle(1)
    assert len(well.taken) == 2, "nothing is told twice"
    assert [notice.key for notice in down.taken] == [notice.key for notice in well.taken]
    assert [fact.attempt > 1 for fact in second.facts(Notified) if fact.channel == "down"] == [True, False]


@virtual
async def test_told_but_not_written_down_is_told_again_under_the_same_key(tmp_path: Path) -> None:
    hook = FakeChannel()
    first = Office(tmp_path, {"hook": hook})
    async with first.open():
        await first.tell(Phase.OPENED)
        first.journal.full = True
        await settle(3)
        assert len(hook.taken) == 1
    second = Office(tmp_path, {"hook": hook}, first)
    async with second.open():
        await settle(1)
    third = Office(tmp_path, {"hook": hook}, second)
    async with third.open():
        await settle(1)
    assert len(hook.taken) == 2 and len({notice.key for notice in hook.taken}) == 1


@virtual
async def test_a_silence_ends_in_the_next_process(tmp_path: Path) -> None:
    hook = FakeChannel()
    first = Office(tmp_path, {"hook": hook})
    async with first.open():
        await first.tell(Phase.OPENED)
        await settle(1)
        await first.silence(600)
        await settle(1)
    second = Office(tmp_path, {"hook": hook}, first)
    async with second.open():
        await settle(590)
        assert len(hook.taken) == 1
        await settle(20)
    assert len(hook.taken) == 2


@virtual
async def test_instances_and_lost_journals_do_not_share_keys(tmp_path: Path) -> None:
    keys = []
    for instance, start in (("one", 0.0), ("two", 0.0), ("one", 10.0)):
        hook = FakeChannel()
        office = Office(tmp_path, {"hook": hook})
        office.desk.policy = replace(office.policy, instance=instance)
        office.clock.step(start)
        async with office.open():
            await office.tell(Phase.OPENED, at=Instant(1e9 + start, 0.0, "x"))
            await settle(1)
        keys += [notice.key for notice in hook.taken]
    assert len(set(keys)) == 3


@virtual
async def test_other_channels_after_a_reload(tmp_path: Path) -> None:
    old, new = FakeChannel(DOWN), FakeChannel()
    fakes = {"old": old}
    office = Office(tmp_path, fakes)
    async with office.open():
        await office.tell(Phase.OPENED)
        await settle(1)
        notify = NotifyPolicy({"new": HOOK}, ("new",), ("new",))
        office.desk.policy = replace(office.policy, notify=notify)
        fakes["new"] = new
        del fakes["old"]
        await office.journal.append([Reloaded(office.now(), "", ())])
        await settle(1)
        tried = len(old.heard)
        await settle(100)
    assert len(new.taken) == 1 and len(old.heard) <= tried + 1


@virtual
async def test_what_a_reload_may_have_mended_is_tried_at_once(tmp_path: Path) -> None:
    hook = FakeChannel(NotTold("429", True, retry_after=900.0), TAKEN)
    office = Office(tmp_path, {"hook": hook})
    async with office.open():
        await office.tell(Phase.OPENED)
        await settle(10)
        assert hook.taken == []
        await office.journal.append([Reloaded(office.now(), "", ())])
        await settle(1)
        assert len(hook.taken) == 1


@virtual
async def test_nothing_is_kept_for_incidents_of_which_nobody_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "KEPT_STANDINGS", 20)
    hook = FakeChannel()
    office = Office(tmp_path, {"hook": hook})
    async with office.open():
        for number in range(60):
            await office.tell(Phase.OPENED, IncidentId(f"INC-{number}"))
            await office.tell(Phase.RESOLVED, IncidentId(f"INC-{number}"))
            await settle(1)
        await settle(120)
        assert len(hook.taken) == 120
        assert len(office.stage._turns) <= 20 and len(office.stage._said) <= 20
        assert office.stage._running == {}


# --- channels that forget ------------------------------------------------------------------------------------------------


def forgetful(directory: Path, am: FakeChannel, before: Office | None = None) -> Office:
    via = {"am": AlertmanagerChannel(("http://am.test",), None, resend_every=60.0)}
    return Office(directory, {"am": am}, before, channels=via)


@virtual
async def test_an_open_incident_is_told_again_every_resend_every_also_after_a_restart_and_its_end_for_five_minutes(tmp_path: Path) -> None:
    am = FakeChannel()
    office = forgetful(tmp_path, am)
    async with office.open():
        await settle(30)
        await office.tell(Phase.OPENED)
        await settle(300)
    assert [heard.at for heard in am.heard] == pytest.approx([30, 60, 120, 180, 240, 300], abs=0.01)
    second = forgetful(tmp_path, am, office)
    async with second.open():
        await settle(90)
        assert [heard.at for heard in am.heard[6:]] == pytest.approx([330, 390], abs=1), "at once after the start"
        await second.tell(Phase.RESOLVED)
        await settle(1_000)
    assert len({heard.notice.key for heard in am.heard[:8]}) == 1
    over = am.heard[8:]
    assert {heard.notice.call for heard in over} == {Call.RESOLVE} and len(over) == 6
    assert len(office.facts(Notified)) == 1 and len(second.facts(Notified)) == 2, "reminders are no facts"


@virtual
async def test_a_reminder_repeats_the_latest_words_and_waits_for_its_turn(tmp_path: Path) -> None:
    am = FakeChannel(takes=9.0)
    office = forgetful(tmp_path, am)
    async with office.open():
        await settle(1)
        await office.tell(Phase.OPENED)
        await settle(57)
        await office.tell(Phase.GROWN)
        await settle(200)
    numbers = [int(heard.notice.key.split("-")[3]) for heard in am.heard]
    assert numbers == sorted(numbers) and numbers[-1] == 2
    assert am.most_under_way == 1


@virtual
async def test_a_silence_takes_the_alert_back_once_and_says_so(tmp_path: Path) -> None:
    am = FakeChannel()
    office = forgetful(tmp_path, am)
    async with office.open():
        await office.tell(Phase.OPENED)
        await settle(10)
        await office.silence(600)
        await settle(500)
        assert [heard.notice.call for heard in am.heard] == [Call.FIRE, Call.RESOLVE]
        assert am.heard[1].notice.title.startswith("[not over: silenced until 2026-")
        await settle(300)
    fired = [heard.notice.key for heard in am.heard if heard.notice.call is Call.FIRE]
    assert len(fired) >= 3 and len(set(fired)) == 2


@virtual
async def test_what_a_person_has_in_hand_is_shown_again_after_a_planned_silence(tmp_path: Path) -> None:
    """Under the same key: it is no news."""
    am = FakeChannel()
    office = forgetful(tmp_path, am)
    async with office.open():
        await office.tell(Phase.OPENED)
        await office.journal.append([Acknowledged(office.now(), ONE, "ana")])
        await settle(10)
        await office.tell(Phase.SILENCED, silent_until=office.now().utc + 600, note="SIL-1 of bob")
        await settle(590)
        assert [heard.notice.call for heard in am.heard] == [Call.FIRE, Call.RESOLVE]
        await settle(290)
    assert [heard.notice.call for heard in am.heard[2:]] == [Call.FIRE] * 4
    assert len({heard.notice.key for heard in am.heard}) == 1


@virtual
async def test_that_reminders_fail_and_that_they_work_again_are_facts(tmp_path: Path) -> None:
    am = FakeChannel()
    office = forgetful(tmp_path, am)
    async with office.open():
        await office.tell(Phase.OPENED)
        await settle(70)
        am.answer_from_now_on(DOWN)
        await settle(600)
        assert [fact.attempt for fact in office.facts(NotifyFailed)] == [0]
        assert office.world.outbox.channels["am"].failing_since is not None
        am.answer_from_now_on(TAKEN)
        await settle(600)
    assert len(office.facts(NotifyFailed)) == 1 and len(office.facts(Notified)) == 2
    assert office.world.outbox.channels["am"].failing_since is None


@virtual
async def test_what_was_told_on_a_full_disk_does_not_expire(tmp_path: Path) -> None:
    am = FakeChannel()
    office = forgetful(tmp_path, am)
    async with office.open():
        await office.tell(Phase.OPENED)
        office.journal.full = True
        await settle(600)
        incidents = [heard for heard in am.heard if heard.notice.incident == ONE]
        assert len(incidents) >= 10 and max(b.at - a.at for a, b in itertools.pairwise(incidents)) <= 61
        office.journal.full = False
        await settle(10)
    assert len(office.facts(Notified)) == 1


@virtual
async def test_a_silence_that_comes_while_a_page_waits_for_its_turn_is_kept(tmp_path: Path) -> None:
    am = FakeChannel(takes=9.0)
    office = forgetful(tmp_path, am)
    async with office.open():
        await settle(1)
        await office.tell(Phase.OPENED)
        await settle(60)
        await office.tell(Phase.GROWN)  # a reminder is under way
        await settle(1)
        await office.silence(600)
        await settle(500)
    assert [heard.notice.key.split("-")[3] for heard in am.heard if heard.notice.call is Call.FIRE] == ["1", "1"]
    assert am.heard[-1].notice.call is Call.RESOLVE


# --- without a journal -------------------------------------------------------------------------------------------------


@virtual
async def test_a_journal_that_cannot_be_written_is_told_from_memory_and_so_is_its_mending(tmp_path: Path) -> None:
    pager, ticket = FakeChannel(DOWN, TAKEN), FakeChannel()
    office = Office(tmp_path, {"pager": pager, "ticket": ticket}, pages=("pager",), tickets=("ticket",))
    async with office.open():
        office.journal.full = True
        office.desk.writable = False
        await settle(9)
        assert pager.heard == []
        await settle(600)
        assert [(heard.notice.call, heard.notice.symptom) for heard in pager.heard] == [(Call.FIRE, Symptom.MONITOR)] * 2
        assert pager.heard[0].at <= 20 and "cannot write its journal" in pager.taken[0].title
        office.journal.full, office.desk.writable = False, True
        await settle(60)
        assert [notice.call for notice in pager.taken] == [Call.FIRE, Call.RESOLVE]
        assert pager.taken[0].incident == pager.taken[1].incident
        office.desk.writable = False
        await settle(60)
    assert [notice.call for notice in pager.taken] == [Call.FIRE, Call.RESOLVE, Call.FIRE]
    assert len({notice.key for notice in pager.taken}) == 3
    assert ticket.heard == [] and office.entries == []


@virtual
async def test_a_disk_that_is_full_for_a_moment_pages_nobody(tmp_path: Path) -> None:
    pager = FakeChannel()
    office = Office(tmp_path, {"pager": pager})
    async with office.open():
        for _ in range(20):
            office.desk.writable = False
            await settle(6)
            office.desk.writable = True
            await settle(6)
    assert pager.heard == []


@virtual
async def test_from_memory_the_fallback_hears_when_nobody_else_takes_it_and_who_forgets_is_reminded(tmp_path: Path) -> None:
    am, spare = FakeChannel(DOWN), FakeChannel()
    via = {"am": AlertmanagerChannel(("http://am.test",), None), "spare": HOOK}
    office = Office(tmp_path, {"am": am, "spare": spare}, channels=via, pages=("am",), tickets=(), fallback=("spare",))
    async with office.open():
        office.desk.writable = False
        await settle(100)
        assert spare.heard == []
        await settle(100)
        assert len(spare.taken) == 1
        am.answer_from_now_on(TAKEN)
        await settle(300)
    assert len(am.taken) >= 4 and len({notice.key for notice in am.taken}) == 1
    assert len(spare.taken) == 1


@virtual
async def test_a_full_disk_does_not_stop_the_attempts(tmp_path: Path) -> None:
    hook = FakeChannel(DOWN, DOWN, DOWN, TAKEN)
    office = Office(tmp_path, {"hook": hook})
    async with office.open():
        await office.tell(Phase.OPENED)
        office.journal.full = True
        await settle(30)
        assert [notice.symptom for notice in hook.taken] == [Symptom.DELIVERY_MISSING, Symptom.MONITOR]
        office.journal.full = False
        await settle(30)
    assert len(office.facts(Notified)) == 1 and not office.facts(NotifyFailed)[1:]
