"""Gates in the whole house, on virtual time: they ask, wait, share, decide once, and a restart changes none of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import monitor.stages.gate
from monitor.desk import DISK_WAIT
from monitor.model.facts import (
    Attempted,
    GateDecided,
    GateProbing,
    Judged,
    Paused,
    ProbePlanned,
    Resumed,
    Started,
    WatchBlind,
    WatchRestored,
)
from monitor.model.gate import BUILT_IN, DEEP, QUICK, STANDARD, Because, Control, GatePlan, GatePolicy, GateStep
from monitor.model.mail import BlindCause
from monitor.model.probe import Purpose, Route
from monitor.model.submission import Declined, Reply, Step
from monitor.model.verdict import Reason, Verdict
from monitor.ports import JournalUnwritable
from monitor.rules.gate import Standing
from monitor.rules.gate.request import GateAsk, GateRefused, Refusal
from monitor.stages.gate import LOST
from monitor.surface.gate.asking import LONGEST_OVERRIDE, NothingToOverride, begin, cancel, override
from monitor.views.gates import AHEAD, GateState
from tests.stages.house import RELAY, policy, seed
from tests.stages.shop import APP, QUICKLY, SLOW, SMALL, STAGES, ShopHouse, most_within, per_day, shop_policy
from tests.stages.virtual import MIDNIGHT, VirtualClock, virtual
from tests.stages.yard import Yard

REFUSED = Declined(Step.MAIL_FROM, Reply(550, "no", "5.7.1"))
HALF_A_MINUTE = {"missing": "30s", "late": "25s", "give_up": "60s", "watch_until": "90s"}


class Looks:
    """Counts the assessments; each takes so many seconds of CPU."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clock: VirtualClock | None = None, seconds: float = 0.0) -> None:
        self.count = 0
        real: Callable[..., Standing] = monitor.stages.gate.assess

        def counting(*arguments: object) -> Standing:
            self.count += 1
            if clock is not None:
                clock.starve(seconds)
            return real(*arguments)

        monkeypatch.setattr(monitor.stages.gate, "assess", counting)


class TestOneGate:
    @virtual
    async def test_a_good_deploy_passes(self, tmp_path: Path) -> None:
        house = ShopHouse(shop_policy(tmp_path))
        async with house.running(*STAGES):
            await house.watching()
            state = await house.ask()
            (decision,) = await house.decided(state.id)
        assert (decision.verdict, decision.because) == (Verdict.PASS, Because.CLEAN), decision.reason
        assert house.elapsed < 1 + 1 + SMALL.settle + 1, "transit, settle"
        assert {tally.provider: tally.good for tally in decision.classes} == {"provider-0": 4, "provider-1": 4, "provider-2": 4}
        assert len(house.facts(GateDecided)) == 1

    @virtual
    async def test_what_is_lost_fails_at_once_when_its_deadline_has_proven_it(self, tmp_path: Path) -> None:
        house = ShopHouse(shop_policy(tmp_path, deadlines=HALF_A_MINUTE))
        house.shop.transit = None
        async with house.running(*STAGES):
            await house.watching()
            state = await house.ask()
            (decision,) = await house.decided(state.id)
        lost = [fact.at.mono for fact in house.facts(Judged) if fact.verdict is Verdict.FAIL]
        assert decision.verdict is Verdict.FAIL and decision.at.mono - min(lost) < 0.001, "in the same moment"
        assert house.elapsed < 33

    @virtual
    async def test_a_refusal_fails_at_once(self, tmp_path: Path) -> None:
        house = ShopHouse(shop_policy(tmp_path, schedule={"every": "30s"}))
        async with house.running(*STAGES):
            house.shop.version = "v1"
            await house.sleep(120)  # what was usual
            house.shop.outcome = REFUSED
            began = house.elapsed
            state = await house.ask()
            (decision,) = await house.decided(state.id)
        assert (decision.verdict, decision.because) == (Verdict.FAIL, Because.REFUSED), decision.reason
        assert house.elapsed - began < 0.1

    @virtual
    async def test_its_probes_bear_its_name_and_its_deadline(self, tmp_path: Path) -> None:
        house = ShopHouse(shop_policy(tmp_path))
        async with house.running(*STAGES):
            await house.watching()
            state = await house.ask(of=replace(SMALL, deadline=10.0))
            await house.decided(state.id)
        probes = [fact for fact in house.facts(ProbePlanned) if fact.gate]
        assert probes == house.gate_probes(state.id) and {fact.purpose for fact in probes} == {Purpose.GATE}
        for fact in probes:
            limits = fact.deadlines
            assert limits.missing_after == 10 and limits.late_after <= 10 < limits.give_up_after < limits.watch_until <= 60
        assert {fact.deadlines.missing_after for fact in house.facts(ProbePlanned) if not fact.gate} == {480.0}

    @virtual
    async def test_only_what_the_version_under_test_served_counts(self, tmp_path: Path) -> None:
        """Of two instances behind the endpoint one is new."""
        house = ShopHouse(shop_policy(tmp_path, gates={"burst": 60}))
        house.shop.versions = ["v1", "v2"]
        async with house.running(*STAGES):
            await house.watching()
            state = await house.ask()
            (decision,) = await house.decided(state.id)
        assert decision.verdict is Verdict.PASS, decision.reason
        assert all(tally.good >= 4 and tally.control_good >= 4 for tally in decision.classes), "the others are made up for, as control"
        canary = {trial.probe for trial in state.trials.values() if trial.version == "v2"}
        assert sum(tally.good for tally in decision.classes) == len(canary)

    @virtual
    async def test_cancelled_it_ends_at_once_and_keeps_what_it_saw(self, tmp_path: Path) -> None:
        house = ShopHouse(shop_policy(tmp_path))
        house.shop.fate = lambda mail: None if mail.recipient.base.local == "seed1" else 1.0
        async with house.running(*STAGES):
            await house.watching()
            state = await house.ask()
            await house.sleep(3)
            await cancel(house.desk, state.id, "ana", "wrong button")
            await cancel(house.desk, state.id, "bob", "me too")
            (decision,) = await house.decided(state.id)
        assert decision.because is Because.CANCELLED and "ana" in decision.reason and len(state.trials) >= 12
        assert house.elapsed < 3.1


class TestWaiting:
    @virtual
    async def test_nothing_is_sent_before_the_watchers_have_spoken(self, tmp_path: Path) -> None:
        house = ShopHouse(shop_policy(tmp_path))

        async def slow(_: str) -> None:
            await asyncio.sleep(20)

        house.accounts[seed(1)].before = slow
        async with house.running(*STAGES):
            await house.sleep(0)
            state = await house.ask()
            await house.sleep(15)
            assert {route.mailbox for route, _ in house.gate_attempts()} == {seed(number) for number in range(2, 7)}
            house.accounts[seed(1)].before = None
            (decision,) = await house.decided(state.id)
        assert decision.verdict is Verdict.PASS
        spoken = {fact.mailbox: fact.at.mono for fact in reversed(house.facts(WatchRestored))}
        assert all(fact.at.mono >= spoken[route.mailbox] for route, fact in house.gate_attempts())

    @virtual
    async def test_nothing_is_sent_into_the_blind(self, tmp_path: Path) -> None:
        house = ShopHouse(shop_policy(tmp_path))
        await house.watched()
        for number in (1, 4):
            await house.blinded(seed(number))
        async with house.running("plan", "submit", "judge", "gate"):
            state = await house.ask()
            (decision,) = await house.decided(state.id)
        assert decision.because is Because.BLIND, decision.reason
        assert seed(1) not in {fact.route.mailbox for fact in house.gate_probes()}
        assert len(house.gate_probes()) > 0

    @virtual
    async def test_sight_comes_back_and_it_goes_on(self, tmp_path: Path) -> None:
        house = ShopHouse(shop_policy(tmp_path, seeds=3))
        async with house.running(*STAGES):
            await house.watching()
            await house.journal.append([WatchBlind(house.clock.now(), seed(1), BlindCause.TIMEOUT, "no answer", "")])
            state = await house.ask()
            await house.sleep(10)
            await house.journal.append([WatchRestored(house.clock.now(), seed(1), 3)])
            (decision,) = await house.decided(state.id)
        assert decision.verdict is Verdict.PASS, decision.reason

    @virtual
    async def test_paused_it_sends_nothing_and_ends_soon(self, tmp_path: Path) -> None:
        house = ShopHouse(shop_policy(tmp_path))
        async with house.running(*STAGES):
            await house.watching()
            await house.journal.append([Paused(house.clock.now(), "ana", "maintenance")])
            state = await house.ask()
            (decision,) = await house.decided(state.id)
        assert decision.because is Because.UNSUBMITTED and "ana" in decision.reason
        assert not house.gate_probes() and not house.facts(GateProbing) and 4 < house.elapsed < 10

    @virtual
    async def test_resumed_in_time_it_goes_on(self, tmp_path: Path) -> None:
        house = ShopHouse(shop_policy(tmp_path))
        async with house.running(*STAGES):
            await house.watching()
            await house.journal.append([Paused(house.clock.now(), "ana", "maintenance")])
            state = await house.ask()
            await house.sleep(3)
            await house.journal.append([Resumed(house.clock.now(), "ana")])
            (decision,) = await house.decided(state.id)
        assert decision.verdict is Verdict.PASS

    @virtual
    async def test_what_was_asked_for_and_not_planned_is_asked_for_again(self, tmp_path: Path) -> None:
        """A pause between the two: plan answers with silence."""
        house = ShopHouse(shop_policy(tmp_path))
        await house.watched()
        async with house.running("submit", "watch", "judge", "gate"):  # nobody plans
            state = await house.ask()
            await house.sleep(1)
            asked = house.facts(GateProbing)
            assert [fact.gate for fact in asked] == [state.id] and state.asked == len(asked[0].routes) > 0
            await house.sleep(LOST - 2)
            assert len(house.facts(GateProbing)) == 1, "asked once, for as long as it may still be planned"
            plan = asyncio.create_task(house.plan.run())
            (decision,) = await house.decided(state.id)
            plan.cancel()
        assert decision.verdict is Verdict.PASS and house.elapsed < LOST + 10

    @virtual
    async def test_an_attempt_that_is_over_by_then_gets_no_probes(self, tmp_path: Path) -> None:
        house = ShopHouse(shop_policy(tmp_path))
        await house.watched()
        async with house.running("plan", "judge", "gate"):
            await house.sleep(1)
            async with house.plan.still(1.0):
                state = await house.ask()
                await house.sleep(1)
                assert state.asked
                await cancel(house.desk, state.id, "ana", "enough")
                await house.decided(state.id)
            await house.sleep(1)
        assert not house.gate_probes()

    @virtual
    async def test_while_the_disk_is_full_nothing_is_decided_and_then_by_what_is_known_then(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks = Looks(monkeypatch)
        house = ShopHouse(shop_policy(tmp_path, deadlines=HALF_A_MINUTE))
        async with house.running(*STAGES):
            await house.watching()
            state = await house.ask()
            await house.sleep(1.5)
            full, real = True, house.journal.append

            async def refusing(facts: object, durable: bool = False) -> object:
                if full:
                    raise JournalUnwritable("no space left")
                return await real(facts, durable)  # type: ignore[arg-type]

            house.journal.append = refusing  # type: ignore[method-assign, assignment]
            await house.sleep(SMALL.timeout + 100)
            assert state.running and not house.facts(GateDecided) and not house.desk.writable
            assert looks.count < (SMALL.timeout + 100) / DISK_WAIT + 100, "it does not spin"
            full = False
            (decision,) = await house.decided(state.id)
        assert decision.at.mono >= SMALL.timeout + 100, "the decision is of the time when it was written"
        assert len(house.facts(GateDecided)) == 1 and house.desk.writable

    @virtual
    async def test_it_sleeps_while_nothing_happens(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        looks = Looks(monkeypatch)
        house = ShopHouse(shop_policy(tmp_path))
        house.shop.transit = None
        async with house.running(*STAGES):
            await house.watching()
            await house.sleep(100)
            assert looks.count == 0, "no gate, no look"
            state = await house.ask()
            await house.sleep(20)
            facts, looks.count = len(house.entries), 0
            await house.sleep(200)
            assert looks.count <= 200 / 1 + (len(house.entries) - facts), "no more often than the rule or a fact wakes it"
            await cancel(house.desk, state.id, "ana", "enough")
            await house.decided(state.id)
            looks.count = 0
            await house.sleep(1000)
        assert looks.count == 0

    @virtual
    async def test_a_flood_of_facts_leaves_half_of_the_time_to_others(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        house = ShopHouse(shop_policy(tmp_path))
        looks = Looks(monkeypatch, house.clock, 0.1)
        await house.watched()
        async with house.running("gate"):
            await house.ask()
            began = house.elapsed
            while house.elapsed < began + 60:
                await house.watched()
                await house.sleep(0.001)
            took = house.elapsed - began
        assert took / 0.1 * 0.4 < looks.count <= took / 0.1 * 0.5 + 2

    @virtual
    async def test_a_gate_that_begins_while_another_is_decided_is_not_overlooked(self, tmp_path: Path) -> None:
        """Although nothing else happens that would wake anybody."""
        house = ShopHouse(shop_policy(tmp_path))
        await house.watched()
        async with house.running("gate"):
            first = await house.ask("d1")
            real = house.journal.append
            second: list[GateState] = []

            async def meanwhile(facts: object, durable: bool = False) -> object:
                if any(isinstance(fact, GateDecided) for fact in facts):  # type: ignore[attr-defined]
                    house.journal.append = real  # type: ignore[method-assign]
                    second.append(await house.ask("d2"))
                return await real(facts, durable)  # type: ignore[arg-type]

            house.journal.append = meanwhile  # type: ignore[method-assign, assignment]
            await cancel(house.desk, first.id, "ana", "enough")
            await house.sleep(1)
        assert not first.running and second[0].asked > 0


class TestTakenBack:
    """A pass whose evidence turns bad."""

    @virtual
    async def test_while_it_is_fresh_it_is_a_fail_and_asked_again_it_says_so(self, tmp_path: Path) -> None:
        house = ShopHouse(shop_policy(tmp_path))
        async with house.running(*STAGES):
            await house.watching()
            state = await house.ask()
            (passed,) = await house.decided(state.id)
            assert passed.verdict is Verdict.PASS
            await house.sleep(5)
            await house.journal.append([spam(house, fact) for fact in house.facts(Judged) if fact.probe in state.trials])
            await house.sleep(5)
            taken = state.decision
            assert taken is not None and (taken.verdict, taken.attempt) == (Verdict.FAIL, passed.attempt)
            assert taken.because is Because.LOSSES and state.decisions == [taken]
            await house.sleep(60)
            assert (await house.ask()).decision == taken
        assert house.facts(GateDecided) == [passed, taken]

    @virtual
    async def test_not_by_one_that_the_plan_allows_but_nobody_relies_on_it_further(self, tmp_path: Path) -> None:
        of = replace(SMALL, plan=GatePlan((GateStep(4, 1),), 2))
        house = ShopHouse(shop_policy(tmp_path))
        async with house.running(*STAGES):
            await house.watching()
            state = await house.ask(of=of)
            await house.decided(state.id)
            await house.sleep(5)
            first = next(fact for fact in house.facts(Judged) if fact.probe in state.trials and fact.route.path == APP)
            await house.journal.append([spam(house, first)])
            await house.sleep(60)
            assert len(house.facts(GateDecided)) == 1 and state.request.attempt == 1
            await house.ask(of=of)
            (again,) = await house.decided(state.id)
        assert (again.attempt, again.verdict) == (2, Verdict.PASS)

    @virtual
    async def test_what_turns_bad_when_it_is_old_is_left_alone(self, tmp_path: Path) -> None:
        house = ShopHouse(shop_policy(tmp_path))
        async with house.running(*STAGES):
            await house.watching()
            state = await house.ask()
            await house.decided(state.id)
            await house.sleep(SMALL.fresh_for + 1)
            await house.journal.append([spam(house, fact) for fact in house.facts(Judged) if fact.probe in state.trials])
            await house.sleep(5)
        assert len(house.facts(GateDecided)) == 1


def spam(house: ShopHouse, fact: Judged) -> Judged:
    """What a probe by the application is found to be later; what came beside it stays as it was."""
    found = replace(fact, at=house.clock.now(), revision=fact.revision + 1)
    return replace(found, reason=Reason.SPAM, verdict=Verdict.FAIL) if fact.route.path == APP else found


class TestRestart:
    @virtual
    async def test_the_evidence_from_before_counts_and_nothing_is_sent_twice(self, tmp_path: Path) -> None:
        of = shop_policy(tmp_path, gates={"burst": 2})  # in several rounds
        house = ShopHouse(of)
        async with house.running(*STAGES):
            await house.watching()
            state = await house.ask()
            await house.sleep(30)
            assert state.running and state.trials
        sent = len(house.gate_attempts())
        again = await ShopHouse(of, house).restored()
        async with again.running(*STAGES):
            (decision,) = await again.decided(state.id)
        assert decision.verdict is Verdict.PASS, decision.reason
        assert sum(tally.good for tally in decision.classes) == 12
        canary = [route for route, _ in again.gate_attempts() if route.path == APP]
        assert len(canary) == 12 and len(again.gate_attempts()) > sent > 0
        assert len(again.facts(GateDecided)) == 1
        assert most_within([fact.at.utc for route, fact in again.gate_attempts() if route.mailbox == seed(1)], 60) <= 2

    @virtual
    async def test_an_attempt_whose_time_is_over_ends_at_once(self, tmp_path: Path) -> None:
        of = shop_policy(tmp_path)
        house = ShopHouse(of)
        async with house.running(*STAGES):
            await house.watching()
            state = await house.ask()
            house.shop.transit = None
            await house.sleep(0.5)
        await house.sleep(SMALL.timeout * 2)
        again = await ShopHouse(of, house).restored()
        began = again.elapsed
        async with again.running("gate"):
            (decision,) = await again.decided(state.id)
        assert decision.verdict is Verdict.INCONCLUSIVE and again.elapsed == began

    @virtual
    async def test_decided_before_it_is_not_decided_again(self, tmp_path: Path) -> None:
        of = shop_policy(tmp_path)
        house = ShopHouse(of)
        async with house.running(*STAGES):
            await house.watching()
            state = await house.ask()
            await house.decided(state.id)
        again = await ShopHouse(of, house).restored()
        async with again.running(*STAGES):
            await again.sleep(100)
        assert len(again.facts(GateDecided)) == 1 and len(again.gate_probes()) == len(house.gate_probes())

    @virtual
    async def test_asked_for_by_a_process_that_is_gone_is_asked_for_again_at_once(self, tmp_path: Path) -> None:
        of = shop_policy(tmp_path)
        house = ShopHouse(of)
        await house.watched()
        async with house.running("gate"):
            state = await house.ask()
            await house.sleep(0.1)
        assert state.asked and not house.gate_probes()
        again = await ShopHouse(of, house).restored()
        assert again.facts(Started) and not again.world.gates.known[state.id].asked
        async with again.running(*STAGES):
            (decision,) = await again.decided(state.id)
        assert decision.verdict is Verdict.PASS and again.elapsed < 10

    @pytest.mark.parametrize("step", [-86_400.0 * 2, -3_600.0, -5.0, 5.0, 3_600.0])
    def test_clocks_that_step_meanwhile(self, tmp_path: Path, step: float) -> None:
        """Whatever UTC does: it ends, once, and never passes without evidence."""

        @virtual
        async def run() -> None:
            of = shop_policy(tmp_path, gates={"burst": 2})
            house = ShopHouse(of)
            async with house.running(*STAGES):
                await house.watching()
                state = await house.ask()
                await house.sleep(30)
                house.clock.step(step)
                await house.sleep(5)
            again = await ShopHouse(of, house).restored()
            async with again.running(*STAGES):
                (decision,) = await again.decided(state.id, seconds=200_000)
                await again.sleep(10)
            assert len(again.facts(GateDecided)) == 1
            allowed = {Verdict.PASS} if -AHEAD <= step < SMALL.timeout else {Verdict.PASS, Verdict.INCONCLUSIVE}
            assert decision.verdict in allowed, decision.reason

        run()


class TestSharing:
    @virtual
    async def test_a_gate_of_hundreds_does_not_keep_a_quick_one_waiting(self, tmp_path: Path) -> None:
        house = ShopHouse(shop_policy(tmp_path))
        async with house.running(*STAGES):
            await house.watching()
            deep = await house.ask("big", BUILT_IN[DEEP])
            await house.sleep(125)
            began = house.elapsed
            quick = await house.ask("small", BUILT_IN[QUICK])
            (decision,) = await house.decided(quick.id)
        assert decision.verdict is Verdict.PASS
        assert house.elapsed - began <= 60 * 4 + 10, "it needs 6 probes to a mailbox, control included, and gets 3 of each minute's 6"
        assert deep.running and len(house.gate_probes(deep.id)) > 60

    @virtual
    async def test_what_there_was_no_room_for_goes_out_when_there_is(self, tmp_path: Path) -> None:
        house = ShopHouse(shop_policy(tmp_path, seeds=1, gates={"burst": 2, "window": "62500ms"}))
        async with house.running(*STAGES):
            await house.watching()
            state = await house.ask(of=replace(SMALL, control=Control.NONE))
            await house.decided(state.id)
        began = state.request.at.mono
        assert [round(fact.at.mono - began, 2) for fact in house.gate_probes()] == [0, 0, 62.5, 62.5], "at that moment"

    @virtual
    async def test_room_that_comes_free_one_probe_at_a_time_goes_round(self, tmp_path: Path) -> None:
        """Who is first in the list must not get all of it."""
        house = ShopHouse(shop_policy(tmp_path, seeds=1, gates={"burst": 4}))
        tiny = GatePolicy("tiny", GatePlan((GateStep(1, 0),), reject=1), control=Control.NONE)
        big = replace(BUILT_IN[STANDARD], control=Control.NONE, timeout=4_000.0)
        async with house.running(*STAGES):
            await house.watching()
            for number in range(4):  # a quarter of a minute apart
                await house.ask(f"tiny-{number}", tiny)
                await house.sleep(14)
            gates = [(await house.ask(f"big-{number}", big)).id for number in range(3)]
            await house.sleep(900)
        by_gate = Counter(fact.gate for fact in house.gate_probes())
        assert len({round(fact.at.mono, 1) for fact in house.gate_probes()}) > 40, "one at a time"
        assert sum(by_gate[gate] for gate in gates) >= 55
        assert max(by_gate[gate] for gate in gates) - min(by_gate[gate] for gate in gates) <= 1, by_gate

    @virtual
    async def test_twenty_at_once(self, tmp_path: Path) -> None:
        house = ShopHouse(shop_policy(tmp_path))
        async with house.running(*STAGES):
            await house.watching()
            gates = [(await house.ask(f"d{number}", replace(SMALL, timeout=3_600.0))).id for number in range(20)]
            await house.sleep(240)
            early = Counter(fact.gate for fact in house.gate_probes())
            decisions = await house.decided(*gates)
        assert {decision.verdict for decision in decisions} == {Verdict.PASS}
        assert len(house.facts(GateDecided)) == 20
        assert len(early) == 20 and max(early.values()) <= 3 * min(early.values()), early
        for number in range(1, 7):
            times = [fact.at.mono for route, fact in house.gate_attempts() if route.mailbox == seed(number)]
            assert most_within(times, 60) == 6

    @virtual
    async def test_a_pipeline_that_asks_in_a_loop_hurts_nobody(self, tmp_path: Path) -> None:
        """For twenty minutes around midnight, every second: one new deploy, and the same one again."""
        of = shop_policy(tmp_path, seeds=3, budgets={"per_path": 150, "per_mailbox": 60}, schedule={"every": "10m"})
        house = ShopHouse(of)
        house.clock.start = MIDNIGHT - 600
        refused: Counter[Refusal] = Counter()
        async with house.running(*STAGES):
            await house.watching()
            for second in range(1_200):
                for deploy in ("same", f"d{second}"):
                    try:
                        await house.ask(deploy)
                    except GateRefused as error:
                        refused[error.refusal] += 1
                await house.sleep(1)
        for number in range(1, 4):
            attempts = [fact for route, fact in house.gate_attempts() if route.mailbox == seed(number)]
            assert most_within([fact.at.mono for fact in attempts], 60) <= 6
            assert len(attempts) > 40 and max(per_day(attempts).values()) <= 30, "half of the mailbox's budget"
        on_app = [fact for route, fact in house.gate_attempts() if route.path == APP]
        assert max(per_day(on_app).values()) <= 75
        assert len(house.world.gates.known) <= 50
        scheduled = [fact.probe for fact in house.facts(ProbePlanned) if fact.purpose is Purpose.SCHEDULED]
        assert {fact.probe for fact in house.facts(Attempted)} >= set(scheduled) and len(scheduled) >= 6, "their budget is still there"
        assert max(state.request.attempt for state in house.world.gates.known.values()) <= 20
        assert refused.keys() <= {Refusal.CROWDED, Refusal.TOO_MANY}

    @virtual
    async def test_a_day_of_asking_leaves_the_scheduled_probes_their_budget(self, tmp_path: Path) -> None:
        of = shop_policy(tmp_path, seeds=3, budgets={"per_path": 300, "per_mailbox": 200}, schedule={"every": "30m"})
        house = ShopHouse(of)
        async with house.running(*STAGES):
            await house.watching()
            for number in range(86_400 // 300):
                try:
                    await house.ask(f"d{number}", replace(SMALL, control=Control.NONE))
                except GateRefused as error:
                    assert error.refusal is Refusal.CROWDED
                await house.sleep(300)
        scheduled = [fact.probe for fact in house.facts(ProbePlanned) if fact.purpose is Purpose.SCHEDULED]
        assert len(scheduled) >= 6 * 47 and {fact.probe for fact in house.facts(Attempted)} >= set(scheduled)
        for number in range(1, 4):
            attempts = [fact for route, fact in house.gate_attempts() if route.mailbox == seed(number)]
            assert most_within([fact.at.mono for fact in attempts], 60) <= 6 and max(per_day(attempts).values()) <= 100
        assert max(per_day([fact for route, fact in house.gate_attempts() if route.path == APP]).values()) == 150
        ends = Counter(fact.because for fact in house.facts(GateDecided))
        assert ends[Because.CLEAN] >= 12 and ends[Because.BUDGET] > 100, ends


class TestReload:
    @virtual
    async def test_it_goes_on_under_its_own_policy(self, tmp_path: Path) -> None:
        """Removed routes are not planned, and do not block what else there is."""
        of, fewer = shop_policy(tmp_path, gates={"burst": 2}), shop_policy(tmp_path, seeds=5, gates={"burst": 2})
        house = ShopHouse(of)
        async with house.running(*STAGES):
            await house.watching()
            state = await house.ask()
            await house.sleep(5)
            house.desk.policy = fewer
            (decision,) = await house.decided(state.id)
        assert decision.verdict is Verdict.PASS, decision.reason
        assert decision.attempt == 1 and state.request.policy == SMALL
        late = [fact.route for fact in house.gate_probes() if fact.at.mono > 5]
        assert late and seed(6) not in {route.mailbox for route in late}

    @virtual
    async def test_a_class_that_is_gone_is_no_pass(self, tmp_path: Path) -> None:
        of, fewer = shop_policy(tmp_path, seeds=3, gates={"burst": 3}), shop_policy(tmp_path, seeds=2, gates={"burst": 3})
        house = ShopHouse(of)
        async with house.running(*STAGES):
            await house.watching()
            state = await house.ask()
            await house.sleep(5)
            house.desk.policy = fewer
            (decision,) = await house.decided(state.id)
        assert decision.verdict is Verdict.INCONCLUSIVE and house.elapsed <= SMALL.timeout + 1
        assert Route(APP, seed(3)) in {fact.route for fact in house.gate_probes()}

    @virtual
    async def test_confirm_probes_are_planned_as_ever(self, tmp_path: Path) -> None:
        house = ShopHouse(shop_policy(tmp_path, schedule={"every": "2m"}, deadlines=HALF_A_MINUTE))
        async with house.running(*STAGES, "incident"):
            await house.watching()
            house.post.transit = None
            state = await house.ask()
            await house.sleep(600)
        confirm = [fact for fact in house.facts(ProbePlanned) if fact.purpose is Purpose.CONFIRM]
        assert confirm and not any(fact.gate for fact in confirm)
        assert {fact.route.path for fact in confirm} >= {RELAY} and not state.running


class TestTheWholeDaemon:
    """The composition root, with its own reload and its own end; the target is trusted, for it has a relay only."""

    TRUSTING = replace(SMALL, trust_target=True)

    async def ask(self, yard: Yard, deploy: str = "d2") -> GateState:
        state, _ = await begin(yard.app.desk, GateAsk(deploy, self.TRUSTING, "ci"))
        return state

    async def until_decided(self, yard: Yard, state: GateState) -> GateDecided:
        async with asyncio.timeout(4_000):
            while state.decision is None:
                await yard.journal.wait(yard.journal.last)
        return state.decision

    @virtual
    async def test_a_reload_in_the_middle(self, tmp_path: Path) -> None:
        """Another configuration, with another mailbox less, another burst, and the relay elsewhere."""
        changes = {**SLOW, "gates": {"burst": 2}}
        old = policy(tmp_path, seeds=4, **changes)
        new = policy(tmp_path, seeds=3, **{**SLOW, "gates": {"burst": 3}}, paths={RELAY: {"host": "other.test"}})
        yard = Yard(old)
        async with yard.running():
            await yard.until_watching()
            state = await self.ask(yard)
            await asyncio.sleep(5)
            assert state.running and await yard.app.reload(new) == ""
            decision = await self.until_decided(yard, state)
        assert decision.verdict is Verdict.PASS, decision.reason
        assert state.request.policy == self.TRUSTING and len(state.requests) == 1
        assert any(mail for post in yard.posts[1:] for mail in post.submissions), "the new relay was asked too"
        assert {trial.route.mailbox for trial in state.trials.values()} == {seed(number) for number in range(1, 5)}

    @pytest.mark.parametrize("slow", [3.0, 12.0], ids=["soon", "not in time"])
    def test_a_reload_replaces_a_watcher(self, tmp_path: Path, slow: float) -> None:
        """Nothing is submitted to its mailbox before the new one has spoken, although the one before had."""

        @virtual
        async def run() -> None:
            old = policy(tmp_path, seeds=3, **{**SLOW, "gates": {"burst": 2}})
            new = policy(tmp_path, seeds=3, **{**SLOW, "gates": {"burst": 2}}, mailboxes={seed(1): {"clean_up": False}})
            yard = Yard(old)
            async with yard.running():
                await yard.until_watching()
                state = await self.ask(yard)
                await asyncio.sleep(59)

                async def late(_: str) -> None:
                    await asyncio.sleep(slow)

                yard.account(seed(1)).before = late
                assert await yard.app.reload(new) == ""
                reloaded = yard.clock.now().mono
                await asyncio.sleep(slow * 0.9)
                yard.account(seed(1)).before = None
                decision = await self.until_decided(yard, state)
            assert decision.verdict is Verdict.PASS, decision.reason
            spoken = min(fact.at.mono for fact in yard.facts(WatchRestored) if fact.mailbox == seed(1) and fact.at.mono > reloaded)
            ours = {fact.probe for fact in yard.facts(ProbePlanned) if fact.route.mailbox == seed(1)}
            sent = [fact.at.mono for fact in yard.facts(Attempted) if fact.probe in ours and fact.at.mono > reloaded]
            assert sent and min(sent) >= spoken > reloaded + 1

        run()

    @virtual
    async def test_sigterm_in_the_middle(self, tmp_path: Path) -> None:
        yard = Yard(policy(tmp_path, seeds=3, **{**SLOW, "gates": {"burst": 2}}))
        async with yard.running():
            await yard.until_watching()
            state = await self.ask(yard)
            await asyncio.sleep(5)
        assert state.running and not yard.facts(GateDecided), "no verdict for the reason that we stopped"
        attempted = {fact.probe for fact in yard.facts(Attempted)}
        assert attempted and {fact.probe for fact in yard.facts(ProbePlanned)} == attempted, "nothing is left between plan and attempt"


class TestAsking:
    @virtual
    async def test_of_two_at_the_same_moment_one_begins_and_one_joins(self, tmp_path: Path) -> None:
        house = ShopHouse(shop_policy(tmp_path))
        real = house.journal.append

        async def slow(facts: object, durable: bool = False) -> object:
            await asyncio.sleep(0.1)
            return await real(facts, durable)  # type: ignore[arg-type]

        house.journal.append = slow  # type: ignore[method-assign, assignment]
        asked = [begin(house.desk, GateAsk("d2", SMALL, by)) for by in ("one", "two", "three")]
        answers = await asyncio.gather(*asked)
        assert [began for _, began in answers] == [True, False, False]
        (state,) = {id(state): state for state, _ in answers}.values()
        assert len(state.requests) == 1 and state.request.by == "one"
        assert (await begin(house.desk, GateAsk("d2", SMALL, "four")))[1] is False

    @virtual
    async def test_what_is_refused_leaves_no_fact(self, tmp_path: Path) -> None:
        house = ShopHouse(shop_policy(tmp_path))
        await house.ask()
        facts = len(house.entries)
        for deploy, of in (("d2", QUICKLY), ("d3", replace(SMALL, routes=("nowhere",))), ("d3", replace(SMALL, min_routes=99))):
            with pytest.raises(GateRefused):
                await house.ask(deploy, of)
        assert len(house.entries) == facts

    @virtual
    async def test_an_override_needs_a_person_a_reason_and_a_verdict_against(self, tmp_path: Path) -> None:
        house = ShopHouse(shop_policy(tmp_path))
        async with house.running(*STAGES):
            await house.watching()
            state = await house.ask()
            with pytest.raises(NothingToOverride, match="still running"):
                await override(house.desk, state.id, "ana", "known", 60)
            await cancel(house.desk, state.id, "ana", "enough")
            await house.decided(state.id)
            for by, reason, seconds in (("", "known", 60), ("ana", " ", 60), ("ana", "known", 0), ("ana", "known", -1)):
                with pytest.raises(NothingToOverride, match="who answers for it"):
                    await override(house.desk, state.id, by, reason, seconds)
            assert state.override is None
            await override(house.desk, state.id, "ana", "known", 10**9)
            assert state.override is not None and state.override.until == house.clock.now().utc + LONGEST_OVERRIDE
            passed = await house.ask("d3")
            await house.decided(passed.id)
            with pytest.raises(NothingToOverride, match="passed"):
                await override(house.desk, passed.id, "ana", "known", 60)
            await cancel(house.desk, passed.id, "ana", "too late")
        assert passed.cancelled is None and passed.decision is not None and passed.decision.verdict is Verdict.PASS
