"""How deploys, and gates that failed, are drawn beside graphs."""

from __future__ import annotations

import html
import re

from monitor.model.deploy import Annotation
from monitor.model.facts import DeployMarked, GateDecided
from monitor.model.incident import DeployPhase
from monitor.model.verdict import Verdict
from monitor.rules.deploys import DID
from monitor.rules.plain import plain

LONGEST_PART = 300  # characters of what a pipeline or a peer said

_LINK = re.compile(r"https?://[A-Za-z0-9][^\s\"'<>\\]*")


def wanted(fact: object) -> bool:
    """Is this fact drawn?"""
    return isinstance(fact, DeployMarked) or (isinstance(fact, GateDecided) and fact.verdict is Verdict.FAIL)


def picture(fact: DeployMarked | GateDecided, environment: str) -> Annotation:
    """The text is HTML: what people and peers wrote in it is masked and escaped."""
    tags = ("deploy", "mailcanary", environment)
    match fact:
        case DeployMarked():
            return Annotation(fact.at, tags, _marker(fact))
        case GateDecided():
            text = f"refund mail broke: gate {_fit(fact.gate)} of deploy {_fit(fact.deploy)} failed: {_fit(fact.reason)}"
            return Annotation(fact.at, (*tags, "gate"), text)


def ends(marker: DeployMarked) -> bool:
    """Does it end what a start began?"""
    return marker.phase is not DeployPhase.START


def _marker(marker: DeployMarked) -> str:
    name = " ".join(_fit(part) for part in (marker.service, marker.version or marker.deploy) if part)
    by = f" by {_fit(marker.by)}" if marker.by else ""
    sha = f", {_fit(marker.sha)}" if marker.sha else ""
    url = plain(marker.url)
    link = f' <a href="{html.escape(url)}">pipeline</a>' if len(url) <= LONGEST_PART and _LINK.fullmatch(url) else ""
    return f"deploy {name}{by} {DID[marker.phase]}{sha}{link}"


def _fit(text: str) -> str:
    return html.escape(plain(text)[:LONGEST_PART])
