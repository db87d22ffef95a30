"""How deploys are graded beside the beginning of an incident."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.facts import DeployMarked, Entry
from monitor.model.incident import DeployPhase, Link
from monitor.model.instant import Instant
from monitor.rules.deploys import MOST, NEAR, candidates, worded
from monitor.surface.deploys import latest
from monitor.views.incidents import KEPT_DEPLOYS, Incidents
from tests.views.life import at

START, FINISH, ROLLBACK = DeployPhase.START, DeployPhase.FINISH, DeployPhase.ROLLBACK


def marker(seconds: float, phase: DeployPhase = FINISH, deploy: str = "d-1", **fields: str) -> DeployMarked:
    return DeployMarked(at(seconds), deploy, phase, **{"service": "checkout", "version": "v512", "by": "ana"} | fields)


@pytest.mark.parametrize(
    ("deploys", "last_good", "control_good", "expected"),
    [
        ((), at(-10), True, ()),
        ((marker(-221),), at(-300), True, ((Link.BRACKETED, FINISH, 221.0),)),
        ((marker(-221),), at(-100), True, ((Link.NEAR, FINISH, 221.0),)),  # mail was good after it
        ((marker(-221),), at(-300), False, ((Link.NEAR, FINISH, 221.0),)),  # the control arm broke too
        ((marker(-221),), None, True, ((Link.NEAR, FINISH, 221.0),)),
        ((marker(-NEAR),), at(-10), True, ((Link.NEAR, FINISH, NEAR),)),
        ((marker(-NEAR - 1),), at(-10), True, ()),
        ((marker(-NEAR - 1),), at(-NEAR - 2), True, ((Link.BRACKETED, FINISH, NEAR + 1),)),  # nobody looked for two hours
        ((marker(1),), at(-10), True, ()),  # it came afterwards
        ((marker(0),), at(-10), True, ((Link.BRACKETED, FINISH, 0.0),)),
        ((marker(-60, START), marker(-30)), at(-90), True, ((Link.BRACKETED, FINISH, 30.0),)),  # one deploy, from its end
        ((marker(-60, START), marker(30)), at(-90), True, ((Link.BRACKETED, START, 60.0),)),  # it was still running
        ((marker(-60), marker(-20, ROLLBACK)), None, True, ((Link.NEAR, ROLLBACK, 20.0), (Link.NEAR, FINISH, 60.0))),
        (
            (marker(-20, deploy="late"), marker(-60, deploy="early")),
            at(-40),
            True,
            ((Link.BRACKETED, FINISH, 20.0), (Link.NEAR, FINISH, 60.0)),
        ),
        (
            (marker(-20, deploy="young"), marker(-9000, deploy="old")),
            at(-10_000),
            True,
            ((Link.BRACKETED, FINISH, 20.0), (Link.BRACKETED, FINISH, 9000.0)),
        ),
    ],
)  # fmt: skip
def test_grades(
    deploys: tuple[DeployMarked, ...],
    last_good: Instant | None,
    control_good: bool,
    expected: tuple[tuple[Link, DeployPhase, float], ...],
) -> None:
    found = candidates(deploys, at(0), last_good, control_good)
    assert tuple((c.link, c.phase, c.seconds_after) for c in found) == expected


def test_bracketed_comes_before_what_is_merely_nearer() -> None:
    deploys = (marker(-300, deploy="bracketed"), marker(-10, START, deploy="second"))
    found = candidates(deploys, at(0), at(-400), control_good=True)
    assert [c.link for c in found] == [Link.BRACKETED, Link.BRACKETED]
    found = candidates((*deploys, marker(-500, deploy="before the last good")), at(0), at(-400), control_good=True)
    assert [c.deploy for c in found] == ["second", "bracketed", "before the last good"]


def test_a_pipeline_need_not_say_twice_what_it_deploys() -> None:
    (found,) = candidates((marker(-30, START, service="shop"), marker(-20, service="", version="", by="")), at(0), None, control_good=False)
    assert (found.phase, found.service, found.version) == (DeployPhase.FINISH, "shop", marker(-30).version)


def test_two_services_of_one_release_are_two_candidates() -> None:
    found = candidates((marker(-20, service="mailer"), marker(-30)), at(0), None, control_good=False)
    assert [c.service for c in found] == ["mailer", "checkout"]


@given(
    st.lists(st.tuples(st.floats(-20_000, 20_000), st.sampled_from(DeployPhase), st.sampled_from("abcdefghij")), max_size=60),
    st.none() | st.floats(-20_000, 0),
    st.booleans(),
)
def test_bounded_graded_and_best_first(rows: list[tuple[float, DeployPhase, str]], last_good: float | None, control_good: bool) -> None:
    deploys = [marker(seconds, phase, deploy) for seconds, phase, deploy in rows]
    found = candidates(deploys, at(0), None if last_good is None else at(last_good), control_good)
    assert len(found) <= MOST
    assert all(c.seconds_after >= 0 for c in found)
    assert all(c.link is not Link.NEAR or c.seconds_after <= NEAR for c in found)
    assert all(
        c.link is not Link.BRACKETED or (control_good and last_good is not None and c.at.seconds_since(at(last_good)) >= 0) for c in found
    )
    assert list(found) == sorted(found, key=lambda c: (c.link is not Link.BRACKETED, c.seconds_after))


@pytest.mark.parametrize(
    ("deploy", "words"),
    [
        (marker(-221), "checkout v512 by ana finished 11:56:19Z; began 3m41s after (near)"),
        (marker(-42, START), "checkout v512 by ana started 11:59:18Z, still running; began 42.0 s after (near)"),
        (marker(-42, ROLLBACK, version="", by=""), "checkout d-1 was rolled back 11:59:18Z; began 42.0 s after (near)"),
    ],
)
def test_words_say_when_and_never_why(deploy: DeployMarked, words: str) -> None:
    (found,) = candidates((deploy,), at(0), None, control_good=False)
    assert worded(found) == words
    assert "caus" not in words


# ---- markers that are told late --------------------------------------------------------------------------------------


def told(*markers: DeployMarked) -> list[DeployMarked]:
    incidents = Incidents()
    for seq, each in enumerate(markers, start=1):
        incidents.fold(Entry(seq, "deploy_marked", each))
    return incidents.deploys


def test_a_marker_that_is_told_late_stands_where_it_belongs() -> None:
    old, late, new = marker(-300, deploy="old"), marker(-200, deploy="late", source="webhook:ship", url="https://ci.test/7"), marker(-100)
    assert told(old, new, late) == told(late, new, old) == [old, late, new]
    assert latest(told(old, new, late)) == latest([new]), "the latest deploy is the one that happened last"
    (first, *_) = candidates(told(old, new, late), at(-150), at(-250), control_good=True)
    assert (first.deploy, first.link) == ("late", Link.BRACKETED)


def test_markers_of_one_moment_keep_their_order() -> None:
    start, finish = marker(-10, START), marker(-10)
    assert told(start, finish) == [start, finish]


def test_another_process_is_compared_by_utc() -> None:
    before = DeployMarked(Instant(at(-50).utc, 1e6, "another"), "before", FINISH)
    after = marker(-40)
    assert told(after, before) == [before, after]


def test_the_oldest_are_forgotten() -> None:
    markers = [marker(-float(number), deploy=f"d-{number}") for number in range(KEPT_DEPLOYS + 20)]
    assert told(*markers) == list(reversed(markers[:KEPT_DEPLOYS]))


@given(st.lists(st.floats(-20_000, 0), max_size=30))
def test_always_in_order_whatever_comes_first(seconds: list[float]) -> None:
    found = [each.at.utc for each in told(*[marker(at_, deploy=str(number)) for number, at_ in enumerate(seconds)])]
    assert found == sorted(found) and len(found) == len(seconds)


def test_what_was_rolled_back_since_is_not_said_to_be_running_still() -> None:
    (found,) = candidates((marker(-60, START), marker(30, ROLLBACK)), at(0), None, control_good=False)
    assert found.taken_back == at(30)
    assert (
        worded(found)
        == f"checkout v512 by ana started {at(-60).when:%H:%M:%S}Z, rolled back {at(30).when:%H:%M:%S}Z; began 60.0 s after (near)"
    )
    (running,) = candidates((marker(-60, START), marker(30, ROLLBACK, deploy="d-2")), at(0), None, control_good=False)
    assert running.taken_back is None and "still running" in worded(running)
