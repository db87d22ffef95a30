"""DMARC: the record, its reports, and what it makes of delivered mail."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.model.checks import CheckResult
from monitor.rules.inspect.dmarc import delivered, organization, published, reports
from monitor.rules.inspect.dmarc.catalogue import CHECKS
from monitor.rules.inspect.dmarc.mending import proposals
from monitor.rules.inspect.scene import Scene
from monitor.rules.mailauth import dmarc

__all__ = ["CHECKS", "judge"]


def judge(scene: Scene) -> Iterator[CheckResult]:
    """All of them in every world."""
    path = dmarc.walk(scene.lookup, scene.subject.domain)
    offers = proposals(scene, path)
    yield from published.judge(scene, path, offers)
    yield from reports.judge(scene, path, offers)
    yield from organization.judge(scene, path, offers)
    yield from delivered.judge(scene)
