"""What a daemon knows of its domains, as documents: the latest inspection of each, and what was learned beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from monitor.desk import Desk
from monitor.model.checks import CheckResult, Gravity, Profile, ProviderAnswer, Status
from monitor.model.facts import ZoneObserved
from monitor.model.inspection import DomainPolicy, Facet, Subject
from monitor.model.verdict import Verdict
from monitor.surface.audit.document import (
    Audited,
    Catalogue,
    Document,
    Origin,
    counts,
    domain_document,
    iso,
    shown,
    verdict_of,
)
from monitor.surface.audit.learned import learned_document
from monitor.surface.audit.proofs import proof_documents
from monitor.views.zones import DomainState

LIST, ONE = "mailcanary.domains/v1", "mailcanary.domain/v1"

Answers = Callable[[Sequence[CheckResult], Sequence[Profile]], Sequence[ProviderAnswer]]


@dataclass(frozen=True, slots=True)
class Known:
    """The rules that a document of an observation needs: which checks there are, and how providers answer."""

    catalogue: Catalogue
    answers: Answers
    line: Callable[[ProviderAnswer], str]


def digest(facets: Sequence[Facet]) -> str:
    """What is approved when an observation becomes the baseline. Not the TTLs: a resolver counts them down."""
    rows = sorted((facet.kind.value, facet.name, facet.value) for facet in facets)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:32]


def results_of(fact: ZoneObserved) -> tuple[CheckResult, ...]:
    """With those that passed, of which only the ids are kept."""
    passed = (CheckResult(check, Status.PASS, fact.domain, Gravity.INFO, "passed") for check in fact.passed)
    return (*fact.results, *passed)


def domain_row(name: str, state: DomainState | None, profiles: Sequence[Profile], known: Known) -> Document:
    """One line of the list. Without an inspection the verdict is inconclusive."""
    last = state.last if state is not None else None
    results = results_of(last) if last is not None else ()
    return {
        "domain": shown(name),
        "verdict": (verdict_of(results) if last is not None else Verdict.INCONCLUSIVE).value,
        "inspected_at": last.at.iso() if last is not None else None,
        "blind": shown(state.blind_why) if state is not None and state.blind is not None else "",
        "answers": [known.line(answer) for answer in known.answers(results, profiles)] if last is not None else [],
        "counts": counts(results),
        "drifts": sum(drift.stands for drift in state.drifts) if state is not None else 0,
        "asked": state is not None and state.asked is not None,
    }


def domain_summary(name: str, state: DomainState | None) -> Document:
    """For the status: what needs no rules to be told."""
    last = state.last if state is not None else None
    counted = counts(results_of(last) if last is not None else ())
    return {
        "domain": shown(name),
        "verdict": (verdict_of(results_of(last)) if last is not None else Verdict.INCONCLUSIVE).value,
        "inspected_at": last.at.iso() if last is not None else None,
        "blind": shown(state.blind_why) if state is not None and state.blind is not None else "",
        "critical": counted["critical"],
        "error": counted["error"],
        "warning": counted["warning"],
        "unknown": counted["unknown"],
    }


def domain_story(environment: str, subject: Subject, state: DomainState | None, known: Known) -> Document:
    """All that is known of one domain: its document as an audit has it, what is learned, and the baseline."""
    last = state.last if state is not None else None
    results = results_of(last) if last is not None else ()
    never = "" if last is not None else "it was not inspected yet"
    audited = Audited(
        subject,
        results,
        tuple(known.answers(results, subject.profiles)) if last is not None else (),
        tuple(state.drifts) if state is not None else (),
        at=last.at.utc if last is not None else subject.now,
        asked=last.asked if last is not None else 0,
        failed=last.failed if last is not None else 0,
        origin=_origin(subject),
    )
    document = domain_document(audited if last is not None else replace(audited, blind=never), known.catalogue)
    blind = state.blind if state is not None else None
    return {
        "schema": ONE,
        "environment": environment,
        "inspected_at": last.at.iso() if last is not None else None,
        "blind_since": blind.iso() if blind is not None else None,
        "blind_why": shown(state.blind_why) if state is not None else "",
        "asked": state is not None and state.asked is not None,
        "digest": digest(last.facets) if last is not None else "",
        "baseline": _baseline(state),
        "learned": learned_document(subject),
        "mails": proof_documents(subject.mails),
        "audit": document,
    }


def _origin(subject: Subject) -> Origin:
    if not subject.egress:
        return Origin.UNKNOWN
    return Origin.CONFIGURATION if subject.declared else Origin.DAEMON


def _baseline(state: DomainState | None) -> Document:
    """`approved_by` null: nobody approved it, it is what was seen first."""
    approved = state.approved if state is not None else None
    facets = state.baseline if state is not None else ()
    return {
        "digest": digest(facets) if facets else "",
        "facets": [
            {"kind": facet.kind.value, "name": shown(facet.name), "value": shown(facet.value), "ttl": facet.ttl} for facet in facets[:500]
        ],
        "approved_by": shown(approved.by) if approved is not None else None,
        "approved_at": approved.at.iso() if approved is not None else None,
        "note": shown(approved.note) if approved is not None else "",
    }


def domains_document(environment: str, at: float, rows: Mapping[str, Document]) -> Document:
    return {"schema": LIST, "environment": environment, "at": iso(at), "domains": [rows[name] for name in sorted(rows)]}


def subject_now(desk: Desk, name: str) -> Subject:
    """What is declared and learned of this domain."""
    from monitor.rules.inspect.subject import subject_of  # noqa: PLC0415

    declared = desk.policy.inspect.domains.get(name) or DomainPolicy(name)
    return subject_of(declared, desk.policy, desk.world.zones, desk.clock.now().utc)


def known_checks() -> Known:
    """The rules as they are. Importing them takes a while, which is not the start's."""
    from monitor.rules.inspect import catalogue  # noqa: PLC0415
    from monitor.rules.inspect.profiles import answers, line  # noqa: PLC0415

    return Known(catalogue(), answers, line)
