"""What delivered probes taught about a domain's sending, as a document, and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from monitor.model.inspection import DomainPolicy, InspectPolicy, Selector, Subject
from monitor.rules.plain import one_line

Document = dict[str, Any]

MOST = 100  # of each kind


def bare(domain: DomainPolicy, inspect: InspectPolicy, now: float) -> Subject:
    """A domain of which nothing is known but what is declared. `now`: seconds since the epoch."""
    selectors = [*((name, False) for name in domain.selectors), *((name, True) for name in domain.retired)]
    return Subject(
        domain.domain,
        now,
        egress=domain.egress,
        declared=bool(domain.egress),
        envelope=domain.envelope,
        helo=domain.helo,
        selectors=tuple(Selector(domain.domain, name, retired) for name, retired in dict(selectors).items()),
        profiles=domain.profiles,
        recipients=domain.recipients,
        transport=inspect.transport,
        smtp_port=inspect.smtp_port,
        private_addresses=inspect.private_addresses,
    )


def learned_document(subject: Subject) -> Document:
    """Times are seconds since the epoch."""
    return {
        "egress": list(subject.egress[:MOST]),
        "declared": subject.declared,
        "observed": [{"address": address, "last_seen": seen} for address, seen in subject.observed[:MOST]],
        "watched_since": subject.watched_since,
        "envelope": list(subject.envelope[:MOST]),
        "helo": [one_line(name) for name in subject.helo[:MOST]],
        "selectors": [
            {"domain": one.domain, "name": one_line(one.name), "retired": one.retired, "last_seen": one.seen}
            for one in subject.selectors[:MOST]
        ],
    }


def with_learned(subject: Subject, document: Any) -> Subject:
    """What is declared stays; the rest is taken from the document of a daemon. Raises ValueError for one of another shape."""
    try:
        observed = tuple((str(row["address"]), float(row["last_seen"])) for row in document["observed"][:MOST])
        selectors = tuple(
            Selector(str(row["domain"]), str(row["name"]), bool(row["retired"]), _time(row["last_seen"]))
            for row in document["selectors"][:MOST]
        )
        egress = tuple(str(address) for address in document["egress"][:MOST])
        envelope, helo = (tuple(str(name) for name in document[key][:MOST]) for key in ("envelope", "helo"))
        return replace(
            subject,
            egress=subject.egress or egress,
            declared=subject.declared or bool(document["declared"]),
            observed=observed,
            watched_since=_time(document["watched_since"]),
            envelope=subject.envelope or envelope,
            helo=subject.helo or helo,
            selectors=_both(subject.selectors, selectors),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"what it has learned is in no shape that we know ({error!r})") from None


def _both(declared: tuple[Selector, ...], learned: tuple[Selector, ...]) -> tuple[Selector, ...]:
    """Those that are declared first, each with when it was last seen."""
    seen = {(one.domain, one.name): one.seen for one in learned}
    kept = tuple(replace(one, seen=seen.get((one.domain, one.name))) for one in declared)
    known = {(one.domain, one.name) for one in declared}
    return (*kept, *(one for one in learned if (one.domain, one.name) not in known))


def _time(value: object) -> float | None:
    return None if value is None else float(str(value))
