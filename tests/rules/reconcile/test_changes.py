"""When a reconciliation is worth a fact."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.facts import Reconciled
from monitor.model.instant import Instant
from monitor.model.ledger import ClassStanding, DifferenceClass, Flow, Side, Standing, Volume
from monitor.rules.reconcile.changes import HEARTBEAT, is_news

NOW = Instant(1e9, 100.0, "one")
STANDING = Standing(10, 9, 9, 1, 0, tuple(map(ClassStanding, DifferenceClass)), 1e9, 1e9)
MOVED = replace(STANDING, refunds_until=1e9 + 10, refunds=12)
ONE = (ClassStanding(DifferenceClass.MISSING, 1, 1), *STANDING.classes[1:])
COLLAPSE = Volume(Flow.COLLAPSE, Side.CONFIRMATIONS, 1e9, 1e9 + 600, 0, 24.0, "refunds")


@pytest.mark.parametrize(
    ("standing", "volumes", "after", "news"),
    [
        pytest.param(STANDING, (), 9_000.0, False, id="nothing moves: nothing is said, however long"),
        pytest.param(MOVED, (), HEARTBEAT - 1, False, id="counts grow"),
        pytest.param(MOVED, (), HEARTBEAT, True, id="counts have grown for a minute"),
        pytest.param(MOVED, (), -9_000.0, True, id="the clock of another process was set back"),
        pytest.param(replace(STANDING, classes=ONE), (), 0.0, True, id="a difference"),
        pytest.param(replace(STANDING, classes=STANDING.classes[:2]), (), 0.0, False, id="a class without any, left out"),
        pytest.param(STANDING, (COLLAPSE,), 0.0, True, id="a volume"),
    ],
)
def test_it_is_news(standing: Standing, volumes: tuple[Volume, ...], after: float, news: bool) -> None:
    now = Instant(NOW.utc + after, NOW.mono + after, "two")
    assert is_news(Reconciled(NOW, STANDING), standing, volumes, now) is news


def test_the_first_one_is() -> None:
    assert is_news(None, Standing(), (), NOW)


def test_what_ends_is_news_and_what_goes_on_is_not() -> None:
    one = replace(STANDING, classes=ONE)
    settled = replace(STANDING, classes=(ClassStanding(DifferenceClass.MISSING, 0, 1), *STANDING.classes[1:]))
    assert is_news(Reconciled(NOW, one), settled, (), NOW)
    assert not is_news(Reconciled(NOW, one), one, (), NOW)
    later = replace(COLLAPSE, until=COLLAPSE.until + 300, expected=30.0)
    assert not is_news(Reconciled(NOW, STANDING, (COLLAPSE,)), STANDING, (later,), NOW)
    assert is_news(Reconciled(NOW, STANDING, (COLLAPSE,)), STANDING, (), NOW)
