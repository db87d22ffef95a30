"""The whole house through a virtual day."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from monitor.model.facts import Accepted, Attempted, CleanedUp, Closed, Foreign, Judged, ProbePlanned, Sighted, Stray, WatchBlind
from monitor.model.verdict import Reason
from tests.stages.house import House, policy
from tests.stages.virtual import virtual

DAY = 86_400.0
BUDGET = {"per_path": 300}
STAGES = ("plan", "submit", "watch", "judge")


@virtual
async def test_a_healthy_day_of_six_mailboxes(tmp_path: Path) -> None:
    """As often as a day's budget allows."""
    house = House(policy(tmp_path, seeds=6, budgets=BUDGET))
    async with house.running(*STAGES):
        await house.sleep(DAY)
    planned = {fact.probe for fact in house.facts(ProbePlanned)}
    old = {fact.probe for fact in house.facts(ProbePlanned) if DAY - fact.at.mono > 10}
    assert 230 <= len(planned) <= 300, "the budget of the path"
    reasons = Counter(fact.reason for fact in house.facts(Judged))
    assert set(reasons) == {Reason.PASS} and old <= {fact.probe for fact in house.facts(Judged)}
    assert len(house.facts(Attempted)) == len(house.facts(Accepted)) == len(house.post.at)
    assert len(house.facts(Sighted)) == len(house.facts(Judged)), "each once"
    ended = {fact.probe for fact in house.facts(ProbePlanned) if DAY - fact.at.mono > 2_300}
    assert ended <= {fact.probe for fact in house.facts(Closed)}
    assert not house.facts(Stray) and not house.facts(Foreign) and not house.facts(WatchBlind)


@virtual
async def test_two_days_keep_the_mailboxes_clean_and_the_view_small(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=2, budgets=BUDGET))
    async with house.running(*STAGES):
        await house.sleep(DAY * 2)
    lying = [len(account.folders["INBOX"].messages) for account in house.accounts.values()]
    assert max(lying) <= 160, "a day's mail and no more"
    assert len(house.world.leftovers) <= sum(lying)
    assert len(house.facts(CleanedUp)) >= 200
    assert len(house.world.probes) < 40
