"""How deploys are graded beside the beginning of an incident."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.facts import DeployMarked, Entry
from monitor.model.incident import DeployPhase, Link
from monitor.model.instant import Instant
from monitor.model.notice import Call
from monitor.model.verdict import Reason
from monitor.rules.deploys import MOST, NEAR, SLOWEST, TOGETHER, candidates, worded
from monitor.rules.notice import render
from monitor.surface.deploys import latest
from monitor.views.incidents import KEPT_DEPLOYS, Incidents
from tests.rules.incidents import Play, app, relay
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
        ((marker(-60, START), marker(-20, ROLLBACK)), None, True, ((Link.NEAR, ROLLBACK, 20.0),)),  # it runs no more
        ((marker(-60, START), marker(-20, ROLLBACK, service="", version="")), None, True, ((Link.NEAR, ROLLBACK, 20.0),)),
        (
            (marker(-60, START), marker(-40, ROLLBACK), marker(-20, START)),  # and again
            None,
            True,
            ((Link.NEAR, START, 20.0), (Link.NEAR, ROLLBACK, 40.0)),
        ),
        (
            (marker(-60, START), marker(-50, START, service="mailer"), marker(-20, ROLLBACK, service="mailer")),
            None,
            True,
            ((Link.NEAR, ROLLBACK, 20.0), (Link.NEAR, START, 60.0)),  # of two services one
        ),
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
    assert all(c.seconds_after >= (-TOGETHER if c.phase is START else 0) for c in found)
    assert all(c.link is not Link.NEAR or c.seconds_after <= NEAR for c in found)
    assert all(
        c.link is not Link.BRACKETED or (control_good and last_good is not None and c.at.seconds_since(at(last_good)) >= 0) for c in found
    )
    assert list(found) == sorted(found, key=lambda c: (c.link is not Link.BRACKETED, abs(c.seconds_after)))


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


def test_of_two_services_one_is_rolled_back() -> None:
    both = (marker(-60, START), marker(-50, START, service="mailer"), marker(30, ROLLBACK, service="mailer"), marker(40, ROLLBACK))
    found = {c.service: c.taken_back for c in candidates(both, at(0), None, control_good=False)}
    assert found == {"mailer": at(30), "checkout": at(40)}


# ---- a marker is written a moment before or after the thing itself ---------------------------------------------------


@pytest.mark.parametrize(
    ("deploy", "last_good", "accepted", "link"),
    [
        (marker(0.005, START), -300, None, Link.NEAR),
        (marker(0.005, START), -300, 0.004, Link.NEAR),  # the mail was taken before it
        (marker(0.005, START), -300, 0.2, Link.BRACKETED),
        (marker(0.005, START), None, 0.2, Link.NEAR),
        (marker(TOGETHER, START), -300, None, Link.NEAR),
        (marker(TOGETHER + 0.1, START), -300, None, None),
        (marker(TOGETHER + 0.1, START), -300, 0.2, None),
        (marker(20, START), -300, 20, Link.BRACKETED),
        (marker(20, START), -300, 19.9, None),
        (marker(SLOWEST, START), -300, 1200, Link.BRACKETED),
        (marker(SLOWEST + 1, START), -300, 1200, None),  # what was put off for long began before it was taken
        (marker(0.005, FINISH), -300, 0.2, None),
        (marker(0.005, ROLLBACK), -300, 0.2, None),
    ],
)  # fmt: skip
def test_a_start_that_is_marked_a_moment_late(
    deploy: DeployMarked, last_good: float | None, accepted: float | None, link: Link | None
) -> None:
    good, taken = (None if seconds is None else at(seconds) for seconds in (last_good, accepted))
    assert [c.link for c in candidates((deploy,), at(0), good, True, taken)] == ([link] if link else [])
    assert Link.BRACKETED not in [c.link for c in candidates((deploy,), at(0), good, False, taken)]


def test_what_began_with_it_is_told_so() -> None:
    (found,) = candidates((marker(0.005, START), marker(9, ROLLBACK)), at(0), at(-300), control_good=True)
    assert worded(found) == "checkout v512 by ana started 12:00:00Z, rolled back 12:00:09Z; began at about the same time as it (near)"
    (alone,) = candidates((marker(0.005, START),), at(0), at(-300), control_good=True)
    assert worded(alone) == "checkout v512 by ana started 12:00:00Z, still running; began at about the same time as it (near)"


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.floats(-10, 90), st.floats(0, 1), st.none() | st.floats(0, 90), st.floats(0, 30))
def test_what_stands_beside_it_later_stands_beside_it_earlier_too(late: float, share: float, accepted: float | None, more: float) -> None:
    taken = None if accepted is None else at(accepted)
    found = candidates((marker(late, START),), at(0), at(-300), True, taken)
    assert all(c.at.seconds_since(at(0)) <= max(TOGETHER, min(SLOWEST, accepted or 0.0)) + 1e-6 for c in found)
    if found:
        earlier = candidates((marker(late * share, START),), at(0), at(-300), True, taken)
        assert earlier and (earlier[0].link is Link.BRACKETED or found[0].link is Link.NEAR)
        if taken is not None:
            assert candidates((marker(late, START),), at(0), at(-300), True, taken.plus(more))


# ---- as it is known today --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("later", "words"),
    [
        ((), "started 11:59:18Z, still running; began 42.0 s after (near)"),
        ((marker(30),), "started 11:59:18Z, finished 12:00:30Z; began 42.0 s after (near)"),
        ((marker(9, ROLLBACK),), "started 11:59:18Z, rolled back 12:00:09Z; began 42.0 s after (near)"),
        ((marker(9, ROLLBACK, service=""),), "started 11:59:18Z, rolled back 12:00:09Z; began 42.0 s after (near)"),
        ((marker(9, ROLLBACK, service="mailer"),), "started 11:59:18Z, still running; began 42.0 s after (near)"),
        ((marker(9, ROLLBACK, deploy="d-2"),), "started 11:59:18Z, still running; began 42.0 s after (near)"),
        ((marker(30), marker(60, ROLLBACK)), "started 11:59:18Z, rolled back 12:01:00Z; began 42.0 s after (near)"),
    ],
)
def test_what_was_marked_since_is_said(later: tuple[DeployMarked, ...], words: str) -> None:
    start = marker(-42, START)
    (then,) = candidates((start,), at(0), None, control_good=False)
    assert worded(then, (start, *later)) == f"checkout v512 by ana {words}"


def test_what_was_told_of_it_outlives_its_markers() -> None:
    (found,) = candidates((marker(-60, START), marker(30, ROLLBACK)), at(0), None, control_good=False)
    assert "rolled back 12:00:30Z" in worded(found, ())


# ---- in an incident --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("taken", "link"), [(0.1, Link.BRACKETED), (0.004, Link.NEAR)])
def test_an_incident_whose_first_bad_probe_was_sent_a_moment_before_the_marker(taken: float, link: Link) -> None:
    play = Play()
    began = play.passes(0, 3)
    first = play.send(app(1), began)
    play.accept(first, began + taken)
    play.tell(DeployMarked(play.at(began + 0.005), "d-1", START, "checkout", "v512"))
    play.probe(relay(1), began + 1)
    play.verdict(first, Reason.ALTERED, began + 2, money=True)
    play.ask(began + 3)
    fact = play.opened()[-1]
    (deploy,) = fact.deploys
    assert (deploy.deploy, deploy.link, round(deploy.seconds_after, 3)) == ("d-1", link, -0.005)
    title = render(fact, play.policy, "key", Call.FIRE).title
    assert "; began at about the same time as checkout v512 (since" in title and "caus" not in title
