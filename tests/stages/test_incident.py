"""Incidents in the whole house, on virtual time: how soon they open, and when they end."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monitor.model.facts import Acknowledged, Fact, Judged, Paused, ResolveAsked, Resumed, Transition, Tripped
from monitor.model.incident import EVERYWHERE, Opening, Phase, Scope, ScopeKind, Severity
from monitor.model.instant import Instant
from monitor.model.mail import BlindCause
from monitor.model.policy import Policy
from monitor.model.probe import PathName, ProbeId, Purpose, Route
from monitor.model.submission import Declined, MailSubmission, Outcome, Postponed, Reply, Step, Taken, Unreached
from monitor.model.verdict import Reason, Symptom
from monitor.ports import MailboxError
from tests.stages.house import RELAY, House, policy, seed
from tests.stages.virtual import MIDNIGHT, virtual

APP = PathName("app")
STAGES = ("plan", "submit", "watch", "judge", "incident")
REFUSED = Declined(Step.RCPT_TO, Reply(550, "no", "5.7.1"))
DOWN = Unreached(Step.CONNECT, "connection refused")
WEEK = 7 * 86_400.0


def two_paths(tmp_path: Path, seeds: int = 6, **changes: Any) -> Policy:
    """`relay` and `app`, both to six seeds at three providers, all else by default."""
    paths = {APP: {"kind": "smtp", "host": "app.test", "author": "refunds@shop.test"}}
    return policy(tmp_path, seeds, paths=paths, **changes)


def week(of: Policy, transit: float = 2.0) -> list[Fact]:
    """A week of passes on every route, forty of them."""
    facts: list[Fact] = []
    for route in of.routes:
        for number in range(40):
            at = Instant(MIDNIGHT - WEEK * number / 45 - 60, -WEEK * number / 45 - 60, "first")
            probe, took = ProbeId(f"{number:012x}"), transit * (1 + number % 3 / 2)
            facts.append(Judged(at, probe, route, Purpose.SCHEDULED, 0, Reason.PASS.verdict, Reason.PASS, "", (), 0.1, took))
    return facts


def told(house: House, *phases: Phase) -> list[Transition]:
    wanted = phases or (Phase.OPENED, Phase.GROWN, Phase.FLAPPING, Phase.RESOLVED)
    return [fact for fact in house.facts(Transition) if fact.phase in wanted]


def pages(house: House) -> list[Transition]:
    return [fact for fact in told(house, Phase.OPENED) if fact.severity is Severity.PAGE]


async def opened(house: House, seconds: float = 3600.0) -> Transition:
    await house.until(lambda: told(house, Phase.OPENED), seconds)
    return told(house, Phase.OPENED)[0]


def one_of(box: int | None = None, provider: int | None = None) -> Callable[[MailSubmission], bool]:
    def matches(mail: MailSubmission) -> bool:
        number = int(mail.recipient.base.local.removeprefix("seed"))
        return number == box if provider is None else number % 3 == provider

    return matches


def losing(house: House, lost: Callable[[MailSubmission], bool]) -> None:
    """On every path."""
    for post in house.posts.values():
        post.fate = lambda mail: None if lost(mail) else 1.0


def judged(house: House, box: int) -> Judged:
    route = Route(RELAY, seed(box))
    return Judged(
        house.clock.now(), ProbeId(f"{box:012x}"), route, Purpose.SCHEDULED, 0, Reason.PASS.verdict, Reason.PASS, "", (), 0.1, 2.0
    )


def healed(house: House) -> None:
    for post in house.posts.values():
        post.fate, post.transit = None, 1.0
        post.outcomes.clear()


class TestTotalLoss:
    @pytest.mark.parametrize(("phase", "hours"), [*((phase, 0) for phase in range(10)), (10, 3), (11, 6)])
    def test_on_one_path_with_a_habit_pages_within_three_minutes(self, tmp_path: Path, phase: int, hours: int) -> None:
        """Whenever it begins: soon after the start, or when jitter has had hours to bring probes together."""

        @virtual
        async def run() -> None:
            rules = two_paths(tmp_path)
            house = House(rules, entropy=phase + 1)
            await house.journal.append(week(rules))
            async with house.running(*STAGES):
                await house.sleep(600 + hours * 3_600 + random.Random(phase).random() * 600)
                fault = house.elapsed
                house.posts[RELAY].transit = None
                fact = await opened(house)
                await house.sleep(900)
            took = fact.at.mono - fault
            assert took <= 180, f"{took:.0f} s after the fault"
            assert fact.at.mono - fact.since.mono <= 60, "of which the first half is waiting for a probe"
            assert (fact.scope, fact.severity, fact.opening) == (Scope(ScopeKind.PATH, RELAY), Severity.PAGE, Opening.STALLED)
            assert fact.symptom is Symptom.DELIVERY_STALLED
            assert fact.since.mono >= fault - 5
            assert fact.last_good is not None and fact.last_good.mono < fact.since.mono
            assert {tally.path for tally in fact.tallies} == {RELAY}
            assert fact.diagnosis is not None
            assert [told.phase for told in told(house)] == [Phase.OPENED, *[Phase.GROWN] * (len(told(house)) - 1)], "one page"
            assert set(told(house)[-1].routes) == {f"relay/{seed(number)}" for number in range(1, 7)}

        run()

    @pytest.mark.parametrize("phase", range(3))
    def test_without_history_pages_within_nine_minutes(self, tmp_path: Path, phase: int) -> None:
        @virtual
        async def run() -> None:
            house = House(two_paths(tmp_path), entropy=phase + 1)
            async with house.running(*STAGES):
                await house.sleep(400 + 70 * phase)
                fault = house.elapsed
                house.posts[APP].transit = None
                fact = await opened(house)
            assert fact.at.mono - fault <= 540
            assert fact.scope == Scope(ScopeKind.PATH, APP)

        run()

    @virtual
    async def test_on_all_paths_is_one_page_about_everything(self, tmp_path: Path) -> None:
        rules = two_paths(tmp_path)
        house = House(rules)
        await house.journal.append(week(rules))
        async with house.running(*STAGES):
            await house.sleep(700)
            fault = house.elapsed
            losing(house, lambda _: True)
            fact = await opened(house)
            await house.sleep(1_200)
        assert fact.at.mono - fault <= 180
        assert (fact.scope, fact.severity) == (EVERYWHERE, Severity.PAGE)
        assert len(told(house, Phase.OPENED)) == 1

    @pytest.mark.parametrize("phase", range(6))
    def test_the_only_path_is_told_after_twice_overdue(self, tmp_path: Path, phase: int) -> None:
        @virtual
        async def run() -> None:
            rules = policy(tmp_path, 6)
            house = House(rules, entropy=phase + 1)
            await house.journal.append(week(rules))
            async with house.running(*STAGES):
                await house.sleep(600 + 100 * phase)
                fault = house.elapsed
                house.post.transit = None
                fact = await opened(house)
            assert fact.at.mono - fault <= 180
            assert fact.scope == Scope(ScopeKind.PATH, RELAY)

        run()


class TestTheRelay:
    @pytest.mark.parametrize("outcome", [REFUSED, DOWN], ids=["refuses", "is unreachable"])
    @pytest.mark.parametrize("paths", [[RELAY], [RELAY, APP]], ids=["one path", "both"])
    def test_is_told_at_the_next_probe_and_fifteen_seconds(self, tmp_path: Path, outcome: Outcome, paths: list[PathName]) -> None:
        @virtual
        async def run() -> None:
            house = House(two_paths(tmp_path))
            async with house.running(*STAGES):
                await house.sleep(650)
                for path in paths:
                    house.posts[path].outcomes = {box.address.base: [outcome] for box in house.policy.mailboxes.values()}
                fault = house.elapsed
                fact = await opened(house)
                await house.sleep(700)
            first = min(at for path in paths for at in house.posts[path].at if at > fault)
            assert fact.at.mono - first <= 15
            assert fact.symptom is Symptom.SMTP_REJECT and fact.severity is Severity.PAGE
            assert fact.scope == (EVERYWHERE if len(paths) > 1 else Scope(ScopeKind.PATH, RELAY))
            assert len(told(house, Phase.OPENED)) == 1, "one fault, one page"

        run()

    @virtual
    async def test_that_defers_everything_is_told_before_it_gives_up(self, tmp_path: Path) -> None:
        rules = two_paths(tmp_path)
        house = House(rules)
        await house.journal.append(week(rules))
        async with house.running(*STAGES):
            await house.sleep(650)
            slow = Postponed(Step.RCPT_TO, Reply(451, "later", "4.3.0"))
            house.post.outcomes = {box.address.base: [slow] for box in rules.mailboxes.values()}
            fault = house.elapsed
            fact = await opened(house)
            await house.sleep(3_000)
        assert fact.at.mono - fault <= 180
        assert (fact.symptom, fact.scope) == (Symptom.SMTP_REJECT, Scope(ScopeKind.PATH, RELAY))
        assert len(told(house, Phase.OPENED)) == 1

    @virtual
    async def test_one_connection_that_failed_is_a_blip(self, tmp_path: Path) -> None:
        house = House(two_paths(tmp_path))
        async with house.running(*STAGES):
            await house.sleep(650)
            box = next(iter(house.policy.mailboxes.values()))
            house.post.outcomes = {box.address.base: [DOWN, Taken(Reply(250, "ok"))]}
            await house.sleep(900)
        assert [fact.phase for fact in house.facts(Transition)] == [Phase.SUSPECTED, Phase.CLEARED]


class TestOnePlace:
    @virtual
    async def test_a_provider_that_takes_nothing_for_a_quarter_of_an_hour_is_a_page(self, tmp_path: Path) -> None:
        rules = two_paths(tmp_path)
        house = House(rules)
        await house.journal.append(week(rules))
        async with house.running(*STAGES):
            await house.sleep(650)
            fault = house.elapsed
            losing(house, one_of(provider=1))
            fact = await opened(house, 7_200)
            await house.sleep(1_800)
        assert 900 <= fact.at.mono - fault <= 1_500
        assert (fact.scope, fact.severity, fact.opening) == (Scope(ScopeKind.PROVIDER, "provider-1"), Severity.PAGE, Opening.SUSTAINED)
        assert len(told(house, Phase.OPENED)) == 1

    @virtual
    async def test_a_provider_that_is_slow_for_ten_minutes_is_nothing(self, tmp_path: Path) -> None:
        rules = two_paths(tmp_path)
        house = House(rules)
        await house.journal.append(week(rules))
        async with house.running(*STAGES):
            await house.sleep(650)
            slow = one_of(provider=1)
            for post in house.posts.values():
                post.fate = lambda mail: 600.0 if slow(mail) else 1.0
            await house.sleep(600)
            healed(house)
            await house.sleep(3_600)
        assert not told(house)
        assert not house.world.incidents.suspicions(), "and it is forgotten"

    @virtual
    async def test_one_mailbox_is_a_ticket(self, tmp_path: Path) -> None:
        rules = two_paths(tmp_path)
        house = House(rules)
        await house.journal.append(week(rules))
        async with house.running(*STAGES):
            await house.sleep(650)
            losing(house, one_of(box=4))
            fact = await opened(house, 7_200)
            await house.sleep(1_800)
        assert (fact.scope, fact.severity) == (Scope(ScopeKind.MAILBOX, seed(4)), Severity.TICKET)
        assert len(told(house, Phase.OPENED)) == 1

    @virtual
    async def test_one_mailbox_into_spam_is_a_ticket_at_its_second_mail(self, tmp_path: Path) -> None:
        house = House(two_paths(tmp_path))
        async with house.running(*STAGES):
            await house.sleep(650)
            for post in house.posts.values():
                ordinary = post.into
                post.into = lambda mail, into=ordinary: (into(mail)[0], "Junk" if one_of(box=4)(mail) else "INBOX")  # type: ignore[misc]
            fault = house.elapsed
            fact = await opened(house)
        assert fact.at.mono - fault <= 600
        assert (fact.symptom, fact.scope.kind, fact.severity) == (Symptom.SPAM_PLACEMENT, ScopeKind.MAILBOX, Severity.TICKET)

    @virtual
    async def test_a_blind_mailbox_is_a_ticket_and_all_of_them_a_page(self, tmp_path: Path) -> None:
        house = House(two_paths(tmp_path))
        gone = MailboxError(BlindCause.AUTH_REFUSED, "no", "")
        async with house.running(*STAGES):
            await house.sleep(650)
            house.accounts[seed(2)].fail(gone)
            fault = house.elapsed
            fact = await opened(house)
            assert (fact.symptom, fact.scope, fact.severity) == (
                Symptom.MAILBOX_BLIND, Scope(ScopeKind.MAILBOX, seed(2)), Severity.TICKET
            )  # fmt: skip
            assert 900 <= fact.at.mono - fault <= 920
            for account in house.accounts.values():
                account.fail(gone)
            fault = house.elapsed
            await house.until(lambda: pages(house))
            page = pages(house)[0]
            assert 300 <= page.at.mono - fault <= 330
            assert page.scope == EVERYWHERE
            assert house.world.incidents.known[fact.incident].parent == page.incident
            await house.sleep(1_800)
            assert len(told(house, Phase.OPENED)) == 2
            assert all(state.is_open for state in house.world.incidents.known.values() if not state.is_suspicion)
            for account in house.accounts.values():
                account.heal()
            await house.until(lambda: len(told(house, Phase.RESOLVED)) == 2)
        assert all(fact.symptom is Symptom.MAILBOX_BLIND for fact in told(house, Phase.OPENED)), "nothing is called lost"


class TestAfterwards:
    @virtual
    async def test_it_resolves_by_fresh_good_evidence_and_opens_again_within_the_hour(self, tmp_path: Path) -> None:
        rules = two_paths(tmp_path)
        house = House(rules)
        await house.journal.append(week(rules))
        async with house.running(*STAGES):
            await house.sleep(650)
            house.post.transit = None
            fact = await opened(house)
            await house.sleep(900)
            healed(house)
            mended = house.elapsed
            await house.until(lambda: told(house, Phase.RESOLVED))
            ended = told(house, Phase.RESOLVED)[0]
            assert 600 <= ended.at.mono - mended <= 1_800
            assert ended.incident == fact.incident and ended.diagnosis == fact.diagnosis
            assert [f.phase for f in told(house, Phase.RECOVERING)] == [Phase.RECOVERING]
            house.post.transit = None
            await house.until(lambda: len(told(house, Phase.OPENED)) == 2)
        again = told(house, Phase.OPENED)[1]
        assert (again.incident, again.episode, again.scope) == (fact.incident, 2, fact.scope)

    @virtual
    async def test_what_comes_and_goes_flaps_and_takes_longer_to_recover(self, tmp_path: Path) -> None:
        rules = two_paths(tmp_path, 4, schedule={"every": "75s"}, budgets={"per_path": 100_000, "per_mailbox": 100_000})
        house = House(rules)
        await house.journal.append(week(rules))
        async with house.running(*STAGES):
            await house.sleep(60)
            for number in range(3):
                house.post.transit = None
                await house.until(lambda n=number: len(told(house, Phase.OPENED)) == n + 1)  # type: ignore[misc]
                healed(house)
                if number < 2:
                    await house.until(lambda n=number: len(told(house, Phase.RESOLVED)) == n + 1)  # type: ignore[misc]
            mended = house.elapsed
            await house.until(lambda: len(told(house, Phase.RESOLVED)) == 3)
        assert len(told(house, Phase.FLAPPING)) == 1
        assert 2_400 <= house.elapsed - mended <= 3_000
        assert {fact.incident for fact in told(house)} == {told(house)[0].incident}

    @virtual
    async def test_a_person_acknowledges_and_closes(self, tmp_path: Path) -> None:
        rules = two_paths(tmp_path)
        house = House(rules)
        await house.journal.append(week(rules))
        async with house.running(*STAGES):
            await house.sleep(650)
            house.post.transit = None
            fact = await opened(house)
            await house.journal.append([Acknowledged(house.clock.now(), fact.incident, "ana", "looking")])
            await house.sleep(1)
            heard = told(house, Phase.ACKNOWLEDGED)
            assert [(f.by, f.note) for f in heard] == [("ana", "looking")]
            await house.journal.append([ResolveAsked(house.clock.now(), fact.incident, "ana", "rolled back")])
            await house.sleep(1)
            ended = told(house, Phase.RESOLVED)
            assert [(f.by, f.note) for f in ended] == [("ana", "rolled back")]
            await house.until(lambda: len(told(house, Phase.OPENED)) == 2)
        again = told(house, Phase.OPENED)[1]
        assert (again.incident, again.episode) == (fact.incident, 2), "it was not over"
        assert again.since.mono > ended[0].at.mono, "and says so by new evidence only"

    @virtual
    async def test_a_person_is_heard_in_the_same_breath_as_a_verdict(self, tmp_path: Path) -> None:
        house = House(two_paths(tmp_path))
        async with house.running("incident"):
            await house.journal.append([Tripped(house.clock.now(), seed(1), 1, "shop.test", ())])
            fact = await opened(house)
            await house.journal.append([judged(house, 2), Acknowledged(house.clock.now(), fact.incident, "ana", "looking")])
            await house.sleep(1)
            assert len(told(house, Phase.ACKNOWLEDGED)) == 1
            await house.journal.append([judged(house, 3), ResolveAsked(house.clock.now(), fact.incident, "ana", "ours")])
            await house.sleep(1)
            assert len(told(house, Phase.RESOLVED)) == 1

    @virtual
    async def test_verdicts_do_not_put_off_what_time_decides(self, tmp_path: Path) -> None:
        house = House(two_paths(tmp_path))
        async with house.running("incident"):
            await house.journal.append([Tripped(house.clock.now(), seed(1), 1, "shop.test", ())])
            await opened(house)
            await house.sleep(86_340)
            for _ in range(12):
                await house.journal.append([judged(house, 2)])
                await house.sleep(10)
            assert len(told(house, Phase.RESOLVED)) == 1, "a day of quiet is over, and nothing but the clock says so"

    @virtual
    async def test_a_restart_in_the_middle_goes_on_where_it_was(self, tmp_path: Path) -> None:
        rules = two_paths(tmp_path)
        house = House(rules)
        await house.journal.append(week(rules))
        async with house.running(*STAGES):
            await house.sleep(650)
            house.post.transit = None
            await house.until(lambda: house.facts(Transition))
            assert house.facts(Transition)[0].phase is Phase.SUSPECTED
        after = await House(rules, before=house).restored()
        after.posts[RELAY].transit = None
        async with after.running(*STAGES):
            fact = await opened(after, 600)
            assert fact.incident == house.facts(Transition)[0].incident
            assert fact.severity is Severity.PAGE
        third = await House(rules, before=after).restored()
        before = len(third.facts(Transition))
        async with third.running(*STAGES):
            await third.sleep(3_600)
        assert [f.phase for f in third.facts(Transition)[before:]][-1] is Phase.RESOLVED
        assert len(told(third, Phase.OPENED)) == 1

    @virtual
    async def test_pausing_or_blindness_never_resolves(self, tmp_path: Path) -> None:
        rules = two_paths(tmp_path)
        house = House(rules)
        await house.journal.append(week(rules))
        async with house.running(*STAGES):
            await house.sleep(650)
            house.post.transit = None
            await opened(house)
            await house.journal.append([Paused(house.clock.now(), "ana", "maintenance")])
            healed(house)
            await house.sleep(7_200)
            assert not told(house, Phase.RESOLVED)
            await house.journal.append([Resumed(house.clock.now(), "ana")])
            await house.until(lambda: told(house, Phase.RESOLVED))

    @virtual
    async def test_a_host_that_slept_opens_nothing(self, tmp_path: Path) -> None:
        rules = two_paths(tmp_path)
        house = House(rules)
        await house.journal.append(week(rules))
        async with house.running(*STAGES):
            for _ in range(20):
                await house.sleep(100 + 13)
                house.clock.starve(1_800)
                await house.sleep(200)
                house.clock.step(3_600)
        assert not told(house)
