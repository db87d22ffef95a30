"""An audit as JSON documents, schema mailcanary.audit/v1 (config/audit.schema.json): every key always there, additive changes only.

All forms are drawn from them. What a zone says is on one line, bounded and without control characters before it comes in here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from monitor.model.checks import CheckId, CheckResult, Gravity, ProviderAnswer, Status
from monitor.model.inspection import Drift, Subject
from monitor.model.verdict import Verdict, worst
from monitor.rules.plain import one_line, plain

if TYPE_CHECKING:  # the daemon has this on its way up, and the checks bring cryptography with them
    from monitor.rules.inspect.check import Check
    from monitor.rules.mailauth.spf import Node

Document = dict[str, Any]
Catalogue: TypeAlias = "Mapping[CheckId, Check]"

SCHEMA = "mailcanary.audit/v1"
MOST_RESULTS = 2_000  # of one domain
MOST_NODES = 300  # of one SPF tree
MOST_DEEP = 12  # include behind include
LONGEST_TEXT = 600
LONGEST_RECORD = 1_000
LONGEST_PUBLISH = 4_000  # cut, a record would be another one: longer ones are left out
CUT = "..."
_COMMAND = re.compile(r"##(?=[\w.-]{0,40}\[)")  # some runners obey ##[name] and ##vso[name] anywhere in a line
_ORDER = (Status.FAIL, Status.WARN, Status.UNKNOWN, Status.INFO, Status.PASS, Status.SKIP)
_GRAVITIES = (Gravity.CRITICAL, Gravity.ERROR, Gravity.WARNING, Gravity.INFO)
_TALLIED = ("critical", "error", "warning", "info", "unknown", "grave_unknown", "pass", "skip")
_GRAVE = (Gravity.CRITICAL, Gravity.ERROR)


class Origin(StrEnum):
    """Where the sending addresses came from."""

    FLAGS = "flags"
    CONFIGURATION = "configuration"
    DAEMON = "daemon"
    JOURNAL = "journal"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Audited:
    """One domain, as an inspection saw it. `at`: seconds since the epoch; `blind`: why nothing can be said of it at all; `gone`: its name
    does not exist; `whence`: more on the origin, e.g. the journal's path; `unheard`: why a daemon that was named told nothing;
    `only`: these checks were chosen, empty: all."""

    subject: Subject
    results: tuple[CheckResult, ...] = ()
    answers: tuple[ProviderAnswer, ...] = ()
    drifts: tuple[Drift, ...] = ()
    tree: Node | None = None
    at: float = 0.0
    seconds: float = 0.0
    asked: int = 0
    failed: int = 0
    blind: str = ""
    gone: bool = False
    origin: Origin = Origin.UNKNOWN
    whence: str = ""
    unheard: str = ""
    only: frozenset[CheckId] = frozenset()
    fault: str = ""  # of ours: a check broke
    trace: str = field(default="", compare=False, repr=False)


def audit_document(
    domains: Sequence[Document],
    *,
    at: float,
    seconds: float,
    resolvers: Sequence[str],
    strict: bool,
    wanted: int,
    notes: Sequence[str] = (),
    blind: str = "",
) -> Document:
    """Of one run. `wanted`: how many domains were asked for; fewer are there when it was interrupted, or `blind`: no resolver answers."""
    rows = sorted(domains, key=lambda row: str(row["domain"]))
    verdicts = [Verdict(row["verdict"]) for row in rows]
    if len(rows) < wanted:
        verdicts.append(Verdict.INCONCLUSIVE)
    return {
        "schema": SCHEMA,
        "verdict": worst(verdicts).value if verdicts else Verdict.INCONCLUSIVE.value,
        "strict": strict,
        "at": iso(at),
        "seconds": round(seconds, 3),
        "resolvers": list(resolvers),
        "wanted": wanted,
        "blind": shown(blind),
        "counts": _summed(_TALLIED, (row["counts"] for row in rows)),
        "questions": _summed(("asked", "failed"), (row["questions"] for row in rows)),
        "notes": [shown(note) for note in notes],
        "domains": rows,
    }


def domain_document(audited: Audited, catalogue: Catalogue, strict: bool = False, whole: bool = True) -> Document:
    """Without `whole` what passed, and what had nothing to test, is counted and not listed."""
    subject, results = audited.subject, _chosen(audited)
    listed = [result for result in ordered(results) if whole or result.is_finding]
    return {
        "domain": shown(subject.domain),
        "verdict": _verdict(audited, strict).value,
        "blind": shown(audited.blind),
        "fault": shown(audited.fault),
        "unheard": shown(audited.unheard),
        "exists": not audited.gone,
        "at": iso(audited.at),
        "seconds": round(audited.seconds, 3),
        "questions": {"asked": audited.asked, "failed": audited.failed},
        "answers": [_answer(answer) for answer in audited.answers if not audited.only],
        "counts": counts(results),
        "untested": _untested(audited),
        "egress": {
            "addresses": [shown(address) for address in subject.egress],
            "from": audited.origin.value,
            "detail": shown(audited.whence),
        },
        "selectors": [
            {"name": shown(selector.name), "domain": shown(selector.domain), "retired": selector.retired} for selector in subject.selectors
        ],
        "results": [_result(result, catalogue.get(result.check)) for result in listed[:MOST_RESULTS]],
        "spf": tree_document(audited.tree) if audited.tree is not None else None,
        "drifts": [drift_document(drift) for drift in audited.drifts],
    }


def _chosen(audited: Audited) -> tuple[CheckResult, ...]:
    return tuple(result for result in audited.results if not audited.only or result.check in audited.only)


def _untested(audited: Audited) -> Document:
    from monitor.rules.inspect.untested import told, untested  # noqa: PLC0415 - the checks, as above

    chosen = audited.only or frozenset(CheckId)
    checks = [check for check in untested(audited.results) if check in chosen] if audited.results else []
    return {"checks": [check.value for check in checks], "line": told(checks, chosen)}


def _verdict(audited: Audited, strict: bool) -> Verdict:
    if audited.fault:
        return Verdict.ERROR
    if audited.blind:
        return Verdict.INCONCLUSIVE
    verdict = verdict_of(_chosen(audited), strict)
    return Verdict.INCONCLUSIVE if audited.unheard and verdict is Verdict.PASS else verdict


def verdict_of(results: Iterable[CheckResult], strict: bool = False) -> Verdict:
    """A critical or error check that failed or warned fails, such an unknown is inconclusive; warnings fail when `strict`. Nothing tested
    is no pass."""
    verdict = Verdict.INCONCLUSIVE
    unknown = False
    for result in results:
        grave = result.gravity in _GRAVE
        if result.is_bad and (grave or (strict and result.gravity is Gravity.WARNING)):
            return Verdict.FAIL
        unknown = unknown or (grave and result.status is Status.UNKNOWN)
        if result.status not in (Status.UNKNOWN, Status.SKIP):
            verdict = Verdict.PASS
    return Verdict.INCONCLUSIVE if unknown else verdict


def ordered(results: Sequence[CheckResult]) -> list[CheckResult]:
    """Worst first; what belongs to one check stays together, in the order in which it was found."""
    first: dict[tuple[Status, Gravity, CheckId], int] = {}
    for at, result in enumerate(results):
        first.setdefault((result.status, result.gravity, result.check), at)
    return sorted(results, key=lambda each: (*_rank(each), first[each.status, each.gravity, each.check]))


def _rank(result: CheckResult) -> tuple[int, int]:
    """A grave warning comes before a light failure: findings by gravity, then the rest by status."""
    gravity = _GRAVITIES.index(result.gravity)
    return (0, gravity * 2 + (result.status is Status.WARN)) if result.is_bad else (_ORDER.index(result.status), gravity)


def counts(results: Iterable[CheckResult]) -> Document:
    """What failed or warned, by severity; unknowns, and those of them that make a verdict inconclusive; the rest."""
    tally = dict.fromkeys(_TALLIED, 0)
    for result in results:
        match result.status:
            case Status.FAIL | Status.WARN:
                tally[result.gravity.value] += 1
            case Status.UNKNOWN:
                tally["unknown"] += 1
                tally["grave_unknown"] += result.gravity in _GRAVE
            case Status.INFO | Status.PASS | Status.SKIP:
                tally[result.status.value] += 1
    return tally


def _summed(keys: Sequence[str], rows: Iterable[Mapping[str, int]]) -> Document:
    total = dict.fromkeys(keys, 0)
    for row in rows:
        for key in keys:
            total[key] += row[key]
    return total


def _answer(answer: ProviderAnswer) -> Document:
    from monitor.rules.inspect.profiles import NAMES, line  # noqa: PLC0415 - the checks, as above

    return {
        "profile": answer.profile.value,
        "name": NAMES[answer.profile],
        "passed": answer.passed,
        "asked": answer.asked,
        "blocked_by": [check.value for check in answer.blocked_by],
        "unknown": [check.value for check in answer.unknown],
        "untested": [check.value for check in answer.untested],
        "line": line(answer),
    }


def _result(result: CheckResult, check: Check | None) -> Document:
    """`publish` is exact or not there: unmasked, and no command to a pipeline."""
    publish = one_line(result.publish)
    bad = result.is_finding
    return {
        "id": result.check.value,
        "title": shown(check.title) if check else "",
        "status": result.status.value,
        "severity": result.gravity.value,
        "about": shown(result.about),
        "saw": shown(result.saw),
        "record": shown(result.record, LONGEST_RECORD),
        "why": shown(check.why) if check and bad else "",
        "mend": shown(result.mend),
        "publish": publish if len(publish) <= LONGEST_PUBLISH and not _COMMAND.search(publish) else "",
        "source": shown(check.source) if check else "",
    }


def tree_document(tree: Node) -> Document:
    """Bounded: of what is left out, `hidden` says how many terms it has. The costs are those of the whole."""
    left = MOST_NODES

    def drawn(node: Node, deep: int) -> Document:
        nonlocal left
        left -= 1
        below: list[Document] = []
        for child in node.children:
            if left <= 0 or deep >= MOST_DEEP:
                break
            below.append(drawn(child, deep + 1))
        return {
            "term": shown(node.term),
            "domain": shown(node.domain),
            "lookups": node.lookups,
            "voids": node.voids,
            "result": shown(node.result),
            "fault": shown(node.fault),
            "record": shown(node.record, LONGEST_RECORD),
            "hidden": len(node.children) - len(below),
            "children": below,
        }

    return drawn(tree, 0)


def drift_document(drift: Drift) -> Document:
    return {
        "kind": drift.kind.value,
        "name": shown(drift.name),
        "before": shown(drift.before, LONGEST_RECORD),
        "after": shown(drift.after, LONGEST_RECORD),
        "severity": drift.gravity.value,
        "what": shown(drift.what),
        "state": drift.state.value,
        "first_seen": iso(drift.first_seen),
        "until": iso(drift.until),
        "old_ttl": drift.old_ttl,
    }


def shown(text: str, most: int = LONGEST_TEXT) -> str:
    """Masked, on one line, bounded, no command to a pipeline; again it is the same."""
    safe = _COMMAND.sub("# #", plain(text[: 4 * most]))
    return safe if len(text) <= 4 * most and len(safe) <= most else safe[: most - len(CUT)] + CUT


def iso(utc: float) -> str:
    """`2026-11-22T12:00:00Z`."""
    return datetime.fromtimestamp(utc, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
