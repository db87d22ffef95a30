"""A real `mailcanary run` inspects the lab's zone and proves the probes that it delivers: silent while all is well, certain when a key is
gone, blind when the DNS does not answer. One story, for the order is the point."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from monitor.lab.control import LabClient
from monitor.lab.faults import Fault
from tests.acceptance.conftest import Daemon, LabProcess, lab_process, until
from tests.acceptance.ground import Ground, ground, stays

pytestmark = [pytest.mark.timeout(170)]

SEED = "seed1@cumulus.test"
GRAVE = ("critical", "error")


@dataclass
class Scene:
    """`domain`: the shop's."""

    ground: Ground
    daemon: Daemon
    domain: str

    @property
    def seen(self) -> list[dict[str, Any]]:
        return [row.body for row in self.ground.facts("zone_observed") if row.body["domain"] == self.domain]

    def steer(self, work: Callable[[LabClient], Awaitable[None]]) -> None:
        self.ground.lab.steer(work)

    def inspected(self, what: str, happened: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first inspection from now on of which that is true."""
        after = len(self.seen)
        until(lambda: any(happened(fact) for fact in self.seen[after:]), what, 60.0)
        return next(fact for fact in self.seen[after:] if happened(fact))


def grave(fact: dict[str, Any]) -> list[tuple[str, str, str]]:
    bad = [one for one in fact["results"] if one["status"] in ("fail", "warn") and one["gravity"] in GRAVE]
    return [(one["check"], one["about"], one["saw"]) for one in bad]


@pytest.fixture(scope="module")
def lab() -> Iterator[LabProcess]:
    with lab_process("--mailboxes", "1") as running:
        yield running


@pytest.fixture(scope="module")
def scene(lab: LabProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    place = ground(lab, tmp_path_factory.mktemp("inspection"), [SEED])
    place.tree["schedule"] = {"every": "2s", "jitter": "0%"}
    place.tree["inspect"] |= {"every": "3s", "timeout": "1s"}
    with place.running() as daemon:
        yield Scene(place, daemon, lab.description["shop_domain"])


def test_one_story(scene: Scene) -> None:
    proved = scene.ground.facts
    until(lambda: bool(proved("mail_proved")), "a delivered probe is proved", 60.0)
    proof = proved("mail_proved")[0].body["proof"]
    assert (proof["spf"], proof["dmarc"]["result"], [one["state"] for one in proof["dkim"]]) == ("pass", "pass", ["pass"])
    until(lambda: bool(scene.seen), "the zone is inspected")
    first = scene.seen[0]
    assert first["facets"] and not first["blind"] and first["failed"] == 0
    learned = [row.body for row in proved("zone_learned") if row.body["domain"] == scene.domain]
    assert learned[0]["facets"] == first["facets"]
    healthy = scene.inspected("an inspection after the first delivered probe", lambda fact: True)
    assert [found for fact in scene.seen for found in grave(fact)] == []
    assert not healthy["drifts"] and not scene.ground.facts("transition")
    (facet,) = [facet for fact in scene.seen for facet in fact["facets"] if facet["kind"] == "dkim"][:1]
    key = facet["name"]

    scene.steer(lambda client: client.set_records(key, "TXT"))
    broken = scene.inspected("the vanished key is seen", lambda fact: bool(fact["drifts"]))
    selector = key.partition(".")[0]
    assert [(one["name"], one["what"], one["gravity"]) for one in broken["drifts"]] == [
        (key, f"selector {selector}'s key record vanished", "critical")
    ]
    assert {check for check, about, _ in grave(broken) if about == key} >= {"DNS-14", "DKIM-K1"}

    scene.steer(lambda client: client.restore_records())
    healed = scene.inspected("the key is back", lambda fact: any(one["state"] == "reverted" for one in fact["drifts"]))
    assert not [found for found in grave(healed) if found[1] == key]

    scene.steer(lambda client: client.switch_on(Fault.DNS_DOWN))
    blind = scene.inspected("nobody answers", lambda fact: bool(fact["blind"]))
    assert "our resolvers do not answer" in blind["blind"] and not blind["results"]
    stays(lambda: any(not fact["blind"] for fact in scene.seen[-1:]), 3.0, "it stays blind, and nothing is called broken")
    assert scene.daemon.process.poll() is None
    assert scene.daemon.stop() == 0
    assert "Traceback" not in scene.ground.directory.joinpath("log").read_text()


def test_nothing_is_inspected_when_that_is_switched_off(lab: LabProcess, tmp_path: Path) -> None:
    place = ground(lab, tmp_path, ["seed1@borealis.test"])
    place.tree["inspect"] = {"enabled": False}
    with place.running() as daemon:
        until(lambda: len(place.judged()) >= 3, "probes go on")
        stays(lambda: bool(place.facts("zone_observed") or place.facts("mail_proved")), 8.0, "an inspection")
        assert daemon.stop() == 0
