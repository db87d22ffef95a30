"""The inspection stage on virtual time: when it looks, what it writes down, and what it makes of a silent resolver."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from monitor.edge.dns import DnsResolver
from monitor.edge.transport import MailServerProbe
from monitor.model.checks import CheckId, Gravity, Status
from monitor.model.dns import Answer, DnsFailure, Outcome, Question
from monitor.model.facts import Baselined, Delivered, DeployMarked, Fact, InspectionAsked, MailProved, ZoneLearned, ZoneObserved
from monitor.model.incident import DeployPhase
from monitor.model.inspection import Cause, DriftState
from monitor.model.mail import AuthResult
from monitor.model.mailauth import DeliveredMail, Hop, SignatureState
from monitor.model.policy import Policy
from monitor.model.probe import ProbeId, Route
from monitor.rules import reload
from monitor.rules.mailauth.delivered import read_proof
from monitor.stages import inspecting
from monitor.stages.inspect import PROBES_FIRST, Inspect
from monitor.wiring import build_edges, kept_edges
from tests.rules.dkim.signing import sign
from tests.rules.inspect.worlds import Dns, World
from tests.rules.inspect.zones import GOOD, THERE, says
from tests.stages.house import RELAY, House, policy, seed
from tests.stages.virtual import virtual

S1 = "s1._domainkey.shop.test"
ROUTE = Route(RELAY, seed(1))
FIRST = PROBES_FIRST + 5.0
INSPECT = {
    "enabled": True,
    "transport": False,
    "resolvers": ["192.0.2.53"],
    "domains": {"shop.test": {"egress": ["192.0.2.10"], "selectors": ["s1"]}},
}


class World53:
    """ports.Resolver over a table that tests change; `silent`: nobody answers; `delay` seconds for each round."""

    def __init__(self, dns: Dns = GOOD) -> None:
        self.dns = dns
        self.silent = False
        self.delay = 0.2
        self.rounds = 0
        self.under_way = self.most_under_way = 0
        self.bug = False

    async def resolve(self, questions: Sequence[Question], deadline: float) -> Mapping[Question, Answer]:
        self.rounds += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(min(self.delay, deadline))
        finally:
            self.under_way -= 1
        if self.bug:
            raise KeyError("a bug")
        if self.silent:
            return {q: Answer(q, Outcome.FAILED, failure=DnsFailure.TIMEOUT, resolver="192.0.2.53", resolvers_failed=1) for q in questions}
        return {question: self._answer(question) for question in questions}

    def _answer(self, question: Question) -> Answer:
        if question.name == ".":
            return Answer(question, Outcome.FOUND, ("a.root.test",), 3600)
        return self.dns.answer(question)

    async def close(self) -> None:
        return None


class Site:
    """A house with an inspection stage and nothing else."""

    def __init__(self, directory: Path, **inspect: Any) -> None:
        self.house = House(policy(directory, inspect={**INSPECT, **inspect}), draw=0.5)
        self.dns = World53()
        self.stage = Inspect(self.house.desk, self.dns, None, World())

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.stage.run(), name="inspect")
            yield
            task.cancel()

    async def append(self, *facts: Fact) -> None:
        await self.house.journal.append(facts)

    @property
    def seen(self) -> list[ZoneObserved]:
        return self.house.facts(ZoneObserved)

    @property
    def rhythm(self) -> list[tuple[float, Cause]]:
        return [(round(fact.at.mono), fact.cause) for fact in self.seen]

    async def observed(self, count: int, seconds: float = 7200.0) -> ZoneObserved:
        await self.house.until(lambda: len(self.seen) >= count, seconds)
        return self.seen[count - 1]

    def marker(self, phase: DeployPhase = DeployPhase.START) -> DeployMarked:
        return DeployMarked(self.house.clock.now(), "d1", phase)

    def delivered(self, mail: DeliveredMail, probe: str = "p1") -> Delivered:
        return Delivered(self.house.clock.now(), ProbeId(probe), ROUTE, seed(1), mail)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_it_is_loaded_already() -> None:
    """Or the first test would wait for a thread, outside of virtual time."""
    assert inspecting.AT_ONCE == 8


@virtual
async def test_on_schedule(site: Site) -> None:
    async with site.running():
        await site.observed(1)
        first = site.seen[0]
        assert (first.cause, first.domain, first.blind) == (Cause.START, "shop.test", "")
        assert [fact.facets for fact in site.house.facts(ZoneLearned)] == [first.facets]
        assert FIRST <= first.at.mono < FIRST + 10
        await site.observed(2)
        rest = [fact for fact in site.seen if fact.cause is Cause.SCHEDULE]
        await site.observed(5)
        times = [fact.at.mono for fact in site.seen if fact.cause is Cause.SCHEDULE]
        assert rest is not None and all(780 <= later - sooner <= 1000 for sooner, later in pairwise(times))


@virtual
async def test_what_stays_the_same_is_not_written_again(site: Site) -> None:
    async with site.running():
        await site.observed(5)
        last = site.seen[-1]
        assert last.same and not last.facets and not last.results
        state = site.house.world.zones.domains["shop.test"]
        assert state.last is not None and state.last.facets == site.seen[0].facets and state.last.at == last.at
        assert state.last.results and state.baseline == site.seen[0].facets
        before = len(site.seen)
        await site.house.sleep(13 * 3600)
        assert 1 <= sum(not fact.same for fact in site.seen[before:]) <= 2, "spelled out again now and then"


@virtual
async def test_a_vanished_key_is_seen_twice_and_confirmed(site: Site) -> None:
    async with site.running():
        await site.observed(3)
        site.dns.dns = GOOD.but(**{f"{S1} TXT": None})
        count = len(site.seen)
        broken = await site.observed(count + 1)
        assert [(one.name, one.what, one.state) for one in broken.drifts] == [
            (S1, "selector s1's key record vanished", DriftState.PROPAGATING)
        ]
        state = site.house.world.zones.domains["shop.test"].findings[f"DNS-14 {S1}"]
        assert state.confirmed is None and state.result.gravity is Gravity.CRITICAL
        second = await site.observed(count + 2)
        assert second.cause is Cause.CONFIRM and 60 <= second.at.seconds_since(broken.at) <= 65
        findings = site.house.world.zones.domains["shop.test"].findings
        assert findings[f"DNS-14 {S1}"].confirmed == second.at == findings[f"DKIM-K1 {S1}"].confirmed
        count = len(site.seen)
        await site.house.sleep(3600)
        assert len(site.seen) - count <= 5, "what is confirmed is looked at on schedule"
        site.dns.dns = GOOD
        await site.house.until(lambda: any(one.state is DriftState.REVERTED for one in site.seen[-1].drifts))
        healed = site.seen[-1]
        again = await site.observed(len(site.seen) + 1)
        assert again.cause is Cause.CONFIRM and again.at.seconds_since(healed.at) <= 65, "the end is looked at twice too"


@virtual
async def test_a_key_that_only_our_resolver_does_not_find_is_broken_after_an_hour(site: Site) -> None:
    """Two looks at one cached answer confirm nothing."""
    site.dns.dns = THERE
    async with site.running():
        await site.observed(3)
        site.dns.dns, count = says(THERE.but(**{f"{S1} TXT": None}), ns1=THERE, ns2=THERE), len(site.seen)
        first = await site.observed(count + 1)
        await site.house.sleep(3_500)
        assert len(site.seen) > count + 3
        findings = site.house.world.zones.domains["shop.test"].findings
        assert [findings[f"{check} {S1}"].result.status for check in ("DNS-14", "DKIM-K1")] == [Status.WARN, Status.UNKNOWN]
        await site.house.until(lambda: _confirmed(site))
        assert 3_600 <= site.seen[-1].at.seconds_since(first.at) <= 3_600 + 900 + 200


@virtual
async def test_a_key_that_a_cache_still_holds_is_confirmed_as_gone(site: Site) -> None:
    site.dns.dns = THERE
    async with site.running():
        await site.observed(3)
        gone = THERE.but(**{f"{S1} TXT": None})
        site.dns.dns, count = says(THERE, ns1=gone, ns2=gone), len(site.seen)
        first = await site.observed(count + 1)
        await site.observed(count + 2)
        assert _confirmed(site) and 60 <= site.seen[-1].at.seconds_since(first.at) <= 65


def _confirmed(site: Site) -> bool:
    """Somebody is told that the key is gone."""
    findings = site.house.world.zones.domains["shop.test"].findings
    found = [findings[key] for key in (f"DNS-14 {S1}", f"DKIM-K1 {S1}") if key in findings]
    return len(found) == 2 and all(one.confirmed and one.result.status is Status.FAIL for one in found)


@virtual
async def test_a_deploy_does_not_put_the_second_look_off(site: Site) -> None:
    """It comes too soon after the first to confirm what that found."""
    async with site.running():
        await site.observed(3)
        site.dns.dns = GOOD.but(**{f"{S1} TXT": None})
        broken = await site.observed(len(site.seen) + 1)
        await site.house.sleep(5)
        await site.append(site.marker())
        findings = site.house.world.zones.domains["shop.test"].findings
        await site.house.until(lambda: findings[f"DNS-14 {S1}"].confirmed is not None)
        confirmed = findings[f"DNS-14 {S1}"].confirmed
        assert confirmed is not None and confirmed.seconds_since(broken.at) <= 100


@virtual
async def test_a_deploy_is_inspected_at_once_and_not_more_often_than_allowed(site: Site) -> None:
    async with site.running():
        await site.observed(3)
        await site.house.sleep(100)
        count, now = len(site.seen), site.house.clock.now()
        for phase in (DeployPhase.START, DeployPhase.FINISH, DeployPhase.START):
            await site.append(site.marker(phase))
        first = await site.observed(count + 1)
        assert first.cause is Cause.DEPLOY and first.at.seconds_since(now) < 10
        await site.append(site.marker(DeployPhase.FINISH))
        second = await site.observed(count + 2)
        assert second.cause is Cause.DEPLOY and 30 <= second.at.seconds_since(first.at) < 40


@virtual
async def test_a_cause_during_an_inspection_is_one_more(site: Site) -> None:
    site.dns.delay = 2.0
    async with site.running():
        await site.house.sleep(FIRST + 1)
        assert site.dns.under_way == 1 and not site.seen
        await site.append(site.marker(), site.marker(DeployPhase.FINISH))
        await site.observed(2)
        assert [fact.cause for fact in site.seen] == [Cause.START, Cause.DEPLOY]


@virtual
async def test_asked_for(site: Site) -> None:
    async with site.running():
        await site.observed(3)
        await site.house.sleep(100)
        count = len(site.seen)
        await site.append(
            InspectionAsked(site.house.clock.now(), "other.test", "ann"), InspectionAsked(site.house.clock.now(), "shop.test", "ann")
        )
        assert site.house.world.zones.domain("shop.test").asked is not None
        assert (await site.observed(count + 1, 30.0)).cause is Cause.ASKED
        assert site.house.world.zones.domain("shop.test").asked is None


@virtual
async def test_a_silent_resolver_is_blind_and_breaks_nothing(site: Site) -> None:
    async with site.running():
        await site.observed(3)
        state = site.house.world.zones.domains["shop.test"]
        before = dict(state.findings)
        site.dns.silent = True
        count = len(site.seen)
        blind = await site.observed(count + 1)
        assert "our resolvers do not answer" in blind.blind and "timeout of 192.0.2.53" in blind.blind and not blind.results
        assert state.blind == blind.at and state.findings == before
        await site.observed(count + 5)
        times = [fact.at.mono for fact in site.seen[count:]]
        waits = [round(later - sooner, -1) for sooner, later in pairwise(times)]
        assert waits == sorted(waits) and 60 <= waits[0] <= 130 and waits[-1] <= 1000, waits
        site.dns.silent = False
        await site.observed(len(site.seen) + 1)
        assert state.blind is None and site.seen[-1].same


@virtual
async def test_a_zone_that_answers_nothing_for_long_counts_as_broken(site: Site) -> None:
    """Its servers fail while the root answers: unknown at first, a failure after three looks over a quarter of an hour."""
    async with site.running():
        await site.observed(3)
        fails = {f"{name} *": DnsFailure.SERVFAIL for name in ("_dmarc.shop.test",)}

        def one_resolver(answer: Answer) -> Answer:
            return replace(answer, resolvers_failed=1)

        site.dns.dns = replace(GOOD, fails=fails, changed=one_resolver)
        key = "DMARC-01 shop.test"
        findings = site.house.world.zones.domains["shop.test"]
        await site.house.until(lambda: key in findings.findings)
        since = findings.findings[key].since
        assert findings.findings[key].result.status is Status.UNKNOWN
        await site.house.until(lambda: findings.findings[key].result.status is Status.FAIL, 4 * 3600)
        state = findings.findings[key]
        assert state.since == since and state.hardened and state.confirmed is not None and state.seen >= 3
        assert state.latest.seconds_since(since) >= 900 and "could not be tested" in state.result.saw
        assert findings.findings["DMARC-16 shop.test"].result.status is Status.UNKNOWN, "what is no fault of the zone's never hardens"
        site.dns.dns = GOOD
        await site.house.until(lambda: key not in findings.findings)


@virtual
async def test_a_delivered_mail_is_proved_and_learned_from(tmp_path: Path) -> None:
    site = Site(tmp_path, domains={})
    mail = DeliveredMail(
        author_domains=("shop.test",),
        envelope_domain="shop.test",
        envelope_said=True,
        border=Hop(address="192.0.2.10", helo="mail.shop.test"),
    )
    async with site.running():
        await site.observed(1)
        assert site.house.world.zones.domains["shop.test"].last is not None
        await site.append(site.delivered(mail))
        await site.house.until(lambda: site.house.facts(MailProved))
        (fact,) = site.house.facts(MailProved)
        assert fact.proof.spf is AuthResult.PASS and fact.proof.spf_address == "192.0.2.10" and fact.delivered == 3
        await site.house.until(lambda: any(facet.name == "192.0.2.10" for fact in site.seen for facet in fact.facets))
        told = next(fact for fact in site.seen if any(facet.name == "192.0.2.10" for facet in fact.facets))
        assert not told.drifts and [facet.name for facet in site.house.facts(ZoneLearned)[-1].facets][-1] == "192.0.2.10"
        zones = site.house.world.zones
        assert zones.learned["shop.test"].addresses.keys() == {"192.0.2.10"} and zones.mails[str(ROUTE)].proved == fact


@virtual
@pytest.mark.parametrize(("came", "expired"), [(-7_000.0, False), (None, True)])
async def test_a_signature_is_judged_as_of_when_its_mail_came(tmp_path: Path, came: float | None, expired: bool) -> None:
    """Where its receiver wrote that down: it may be seen long after, when it was held up or nobody looked."""
    site = Site(tmp_path, domains={})
    now = site.house.clock.now().utc
    raw = sign(forced={"t": f"{now - 7_200:.0f}", "x": f"{now - 3_600:.0f}"})
    border = Hop(address="192.0.2.10", at=None if came is None else now + came)
    async with site.running():
        await site.observed(1)
        await site.append(site.delivered(replace(read_proof(raw, False, ()), border=border)))
        await site.house.until(lambda: site.house.facts(MailProved))
        (fact,) = site.house.facts(MailProved)
        assert (fact.proof.dkim[0].state is SignatureState.EXPIRED) is expired


@virtual
async def test_a_mail_that_fails_authentication_lets_us_look_at_once(site: Site) -> None:
    mail = DeliveredMail(author_domains=("shop.test",), envelope_domain="evil.test", envelope_said=True, border=Hop(address="203.0.113.9"))
    async with site.running():
        await site.observed(3)
        await site.house.sleep(100)
        count, now = len(site.seen), site.house.clock.now()
        await site.append(site.delivered(mail))
        fact = await site.observed(count + 1)
        assert fact.cause is Cause.AUTHENTICATION and fact.at.seconds_since(now) < 10


@virtual
async def test_only_the_latest_mail_of_a_route_is_proved_when_we_lag(site: Site) -> None:
    site.dns.delay = 5.0
    mail = DeliveredMail(author_domains=("shop.test",), envelope_domain="shop.test", envelope_said=True, border=Hop(address="192.0.2.10"))
    async with site.running():
        await site.observed(1)
        for number in range(50):
            await site.append(site.delivered(mail, f"p{number}"))
        await site.house.until(lambda: any(fact.probe == "p49" for fact in site.house.facts(MailProved)))
        assert len(site.house.facts(MailProved)) <= 2


@virtual
async def test_a_mail_that_the_process_before_left_is_proved(site: Site) -> None:
    mail = DeliveredMail(author_domains=("shop.test",), envelope_domain="shop.test", envelope_said=True, border=Hop(address="192.0.2.10"))
    await site.append(site.delivered(mail))
    async with site.running():
        await site.house.until(lambda: site.house.facts(MailProved), 60.0)


@virtual
async def test_a_bug_in_a_check_ends_nothing(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.dns.bug = True
    mail = DeliveredMail(author_domains=("shop.test",), envelope_domain="shop.test", envelope_said=True, border=Hop(address="192.0.2.10"))
    async with site.running():
        await site.append(site.delivered(mail))
        fact = await site.observed(2)
        assert "fault of our own" in fact.blind and "KeyError" in fact.blind
        site.dns.bug = False
        await site.house.until(lambda: not site.seen[-1].blind)
    assert "the inspection of shop.test failed" in caplog.text


@virtual
async def test_many_domains_are_staggered_and_few_at_once(tmp_path: Path) -> None:
    site = Site(tmp_path, domains={f"d{number}.test": {} for number in range(40)})
    site.dns.delay = 10.0
    async with site.running():
        await site.house.until(lambda: len({fact.domain for fact in site.seen}) == 41)
        assert site.dns.most_under_way == inspecting.AT_ONCE
        assert site.house.elapsed < 600


@virtual
async def test_reload(site: Site, tmp_path: Path) -> None:
    async with site.running():
        await site.observed(3)
        site.stage.reload(site.dns, None, World())
        count = len(site.seen)
        await site.house.sleep(30)
        assert len(site.seen) == count, "the same configuration changes nothing"
        site.house.desk.policy = policy(tmp_path, inspect={**INSPECT, "domains": {"shop.test": {}, "other.test": {}}})
        site.stage.reload(site.dns, None, World())
        await site.house.until(lambda: any(fact.domain == "other.test" for fact in site.seen), 60.0)
        site.house.desk.policy = policy(tmp_path, inspect={"enabled": False})
        site.stage.reload(None, None, None)
        await site.house.sleep(1)
        count, rounds = len(site.seen), site.dns.rounds
        await site.house.sleep(7200)
        assert (len(site.seen), site.dns.rounds) == (count, rounds), "nothing is inspected any more"
        site.house.desk.policy = policy(tmp_path, inspect=INSPECT)
        site.stage.reload(site.dns, None, World())
        await site.observed(count + 1, 60.0)


@virtual
async def test_a_full_disk_is_waited_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from monitor.ports import JournalUnwritable

    append, full = site.house.journal.append, [True]

    async def refusing(facts: Sequence[Fact], durable: bool = False) -> Any:
        if full[0]:
            raise JournalUnwritable("full")
        return await append(facts, durable)

    monkeypatch.setattr(site.house.journal, "append", refusing)
    async with site.running():
        await site.house.sleep(100)
        assert not site.seen and site.house.desk.refused
        full[0] = False
        await site.observed(1, 60.0)


@virtual
async def test_approval_moves_the_baseline(site: Site) -> None:
    async with site.running():
        await site.observed(3)
        site.dns.dns = GOOD.but(**{"_dmarc.shop.test TXT": ["v=DMARC1; p=none; rua=mailto:d@shop.test"]})
        state = site.house.world.zones.domains["shop.test"]
        await site.house.until(lambda: state.drifts)
        assert state.last is not None
        await site.append(Baselined(site.house.clock.now(), "shop.test", "ann", state.last.facets))
        assert [one.state for one in state.drifts] == [DriftState.APPROVED]
        count = len(site.seen)
        await site.observed(count + 1)
        assert not any(result.check is CheckId.DNS_14 for result in state.last.results)
        assert [one.state for one in state.drifts] == [DriftState.APPROVED]


@virtual
async def test_checks_that_cannot_be_loaded_yet_are_loaded_later(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """No descriptor is left: probes go on, and inspections begin when there is one."""
    known = sys.modules.pop(inspecting.__name__)
    failures = [OSError(24, "Too many open files"), ImportError("libssl.so: cannot open shared object file: Too many open files")]

    async def load(_work: object, name: str) -> None:
        if failures:
            raise failures.pop(0)
        sys.modules[name] = known

    monkeypatch.setattr(asyncio, "to_thread", load)  # a thread knows nothing of virtual time
    try:
        async with site.running():
            await site.observed(1)
    finally:
        sys.modules[inspecting.__name__] = known
    assert not failures


def test_edges_are_kept_while_they_mean_the_same(tmp_path: Path) -> None:
    def made(**inspect: Any) -> Policy:
        return policy(tmp_path, inspect={"enabled": True, "resolvers": ["192.0.2.53"], **inspect})

    old = made()
    edges = build_edges(old)
    assert isinstance(edges.resolver, DnsResolver) and isinstance(edges.transport, MailServerProbe) and edges.suffixes is not None

    def after(new: Policy) -> tuple[bool, bool, bool]:
        kept = kept_edges(old, old.mailboxes, edges, new, build_edges(new, edges))
        return kept.resolver is edges.resolver, kept.transport is edges.transport, kept.suffixes is edges.suffixes

    assert after(made(every="1h", domains={"other.test": {}})) == (True, True, True)
    assert after(made(resolvers=["192.0.2.54"])) == (False, False, True) == after(made(timeout="1s"))
    off = build_edges(policy(tmp_path), edges)
    assert (off.resolver, off.transport) == (None, None)
    assert kept_edges(old, old.mailboxes, edges, policy(tmp_path), off).resolver is None
    assert build_edges(made(transport=False)).transport is None


def test_a_reload_tells_what_changed(tmp_path: Path) -> None:
    old = policy(tmp_path, inspect={"enabled": True})
    new = policy(tmp_path, inspect={"enabled": True, "every": "1h", "domains": {"shop.test": {"selectors": ["s1"]}, "other.test": {}}})
    assert reload.changes(old, new) == (
        "inspect.every changed",
        "inspected domain other.test added",
        "inspected domain shop.test: selectors changed",
    )
