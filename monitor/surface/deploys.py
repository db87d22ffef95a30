"""Deploys of the shop as people speak of them: the markers of one deploy put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.model.facts import DeployMarked
from monitor.rules.plain import plain


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


def deploy_row(deploy: Deploy) -> dict[str, object]:
    """As JSON: `phase` and `at` of the last marker, and every marker."""
    return {
        "deploy": plain(deploy.last.deploy),
        "phase": deploy.last.phase.value,
        "at": deploy.last.at.iso(),
        "service": plain(deploy.service),
        "version": plain(deploy.version),
        "sha": plain(deploy.sha),
        "markers": [{"phase": marker.phase.value, "at": marker.at.iso(), "by": plain(marker.by)} for marker in deploy.markers],
    }


def marker_row(marker: DeployMarked) -> dict[str, object]:
    """Schema `mailcanary.deploy/v1`: one marker."""
    return {
        "schema": "mailcanary.deploy/v1",
        "deploy": plain(marker.deploy),
        "phase": marker.phase.value,
        "at": marker.at.iso(),
        "service": plain(marker.service),
        "version": plain(marker.version),
        "sha": plain(marker.sha),
        "by": plain(marker.by),
    }
