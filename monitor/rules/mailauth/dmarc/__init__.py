"""DMARC (RFC 9989, and RFC 7489 as a shadow): whose policy applies to a domain, and does a message meet it."""

from __future__ import annotations

from monitor.rules.mailauth.dmarc.discover import Discovery, Step, Walk, discover, organizational, shadow_discover, walk
from monitor.rules.mailauth.dmarc.record import Record, ReportUri, parse, report_uri
from monitor.rules.mailauth.dmarc.verdict import Identifiers, aligned, evaluate, shadow_evaluate

__all__ = [
    "Discovery",
    "Identifiers",
    "Record",
    "ReportUri",
    "Step",
    "Walk",
    "aligned",
    "discover",
    "evaluate",
    "organizational",
    "parse",
    "report_uri",
    "shadow_discover",
    "shadow_evaluate",
    "walk",
]
