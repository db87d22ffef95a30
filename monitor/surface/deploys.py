"""Deploys of the shop as people speak of them: the markers of one deploy put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitor.desk import Desk
from monitor.model.facts import DeployMarked
from monitor.surface.gate import gates_of
from monitor.surface.gate.safe import LONGEST_DEPLOY, LONGEST_NAME, safe


@dataclass(frozen=True, slots=True)
class Deploy:
    """The markers of one deploy, in the order in which they came; at least one. What a later one leaves out, an earlier one said."""

    markers: tuple[DeployMarked, ...]

    @property
    def last(self) -> DeployMarked:
        return self.markers[-1]

    @property
    def version(self) -> str:
        return next((marker.version for marker in reversed(self.markers) if marker.version), "")

    @property
    def sha(self) -> str:
        return next((marker.sha for marker in reversed(self.markers) if marker.sha), "")

    @property
    def service(self) -> str:
        return next((marker.service for marker in reversed(self.markers) if marker.service), "")


def deploys(markers: Sequence[DeployMarked]) -> list[Deploy]:
    """The one with the latest marker first."""
    found: dict[str, list[DeployMarked]] = {}
    for marker in markers:
        found[marker.deploy] = [*found.pop(marker.deploy, ()), marker]
    return [Deploy(tuple(of)) for of in reversed(found.values())]


def latest(markers: Sequence[DeployMarked]) -> Deploy | None:
    return next(iter(deploys(markers)), None)


def deploy_rows(desk: Desk) -> list[dict[str, object]]:
    """All that are known, the one with the latest marker first, each with its gates."""
    now, gates = desk.clock.now(), desk.world.gates
    return [deploy_row(deploy, gates_of(gates, deploy.last.deploy, now)) for deploy in deploys(desk.world.incidents.deploys)]


def deploy_row(deploy: Deploy, gates: Sequence[Mapping[str, object]] = ()) -> dict[str, object]:
    """As JSON: `phase` and `at` of the last marker, every marker, and what its gates say, the latest first."""
    return {
        "deploy": safe(deploy.last.deploy, LONGEST_DEPLOY),
        "phase": deploy.last.phase.value,
        "at": deploy.last.at.iso(),
        "service": safe(deploy.service, LONGEST_NAME),
        "version": safe(deploy.version, LONGEST_NAME),
        "sha": safe(deploy.sha, LONGEST_NAME),
        "markers": [{"phase": marker.phase.value, "at": marker.at.iso(), "by": safe(marker.by, LONGEST_NAME)} for marker in deploy.markers],
        "gates": [{key: gate[key] for key in ("id", "policy", "verdict", "found", "reason", "override", "advisory")} for gate in gates],
    }


def marker_row(marker: DeployMarked) -> dict[str, object]:
    """Schema `mailcanary.deploy/v1`: one marker."""
    return {
        "schema": "mailcanary.deploy/v1",
        "deploy": safe(marker.deploy, LONGEST_DEPLOY),
        "phase": marker.phase.value,
        "at": marker.at.iso(),
        "service": safe(marker.service, LONGEST_NAME),
        "version": safe(marker.version, LONGEST_NAME),
        "sha": safe(marker.sha, LONGEST_NAME),
        "by": safe(marker.by, LONGEST_NAME),
    }
