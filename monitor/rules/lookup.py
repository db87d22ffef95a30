"""Rules that need the DNS ask here, and never wait: what is not known yet is answered as pending and noted as wanted. Whoever drives the
rule fetches what is wanted, all at once, and asks the rule again; when nothing more is wanted, its result counts, and the same answers
give the same result for ever."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.model.dns import Answer, DnsFailure, Outcome, Question, RecordType, Snapshot
from monitor.model.transport import Endpoint, Reached, TransportSeen

_OVER = "one inspection has its bounds, in number and in time, and they are reached"


class Lookup:
    """`closed`: nothing more will be fetched; what is not there has failed."""

    def __init__(self, answers: Snapshot, seen: Mapping[Endpoint, TransportSeen] | None = None, *, closed: bool = False) -> None:
        self.answers = answers
        self.seen = seen or {}
        self.closed = closed
        self.wanted: dict[Question, None] = {}
        self.unseen: dict[Endpoint, None] = {}

    @property
    def complete(self) -> bool:
        return not self.wanted and not self.unseen

    def ask(self, name: str, rtype: RecordType, server: str = "", *, tcp: bool = False) -> Answer:
        """The answer, or a pending one. A name that no DNS message can carry is answered NXDOMAIN without asking."""
        question = Question(name.rstrip(".").lower() or ".", rtype, server, tcp)
        if (known := self.answers.get(question)) is not None:
            return known
        if not _fits(question.name):
            return Answer(question, Outcome.NXDOMAIN, detail="no valid name (RFC 1035 section 2.3.4)")
        if self.closed:
            return Answer(
                question,
                Outcome.FAILED,
                failure=DnsFailure.TOO_MUCH,
                detail=f"not asked: {_OVER}",
            )
        self.wanted[question] = None
        return Answer(question, Outcome.FAILED, failure=DnsFailure.PENDING, detail="not asked yet")

    def look(self, endpoint: Endpoint) -> TransportSeen:
        """What a mail server shows, or a pending look."""
        if (known := self.seen.get(endpoint)) is not None:
            return known
        if self.closed:
            return TransportSeen(endpoint, Reached.NOTHING, f"not looked at: {_OVER}", transient=True)
        self.unseen[endpoint] = None
        return TransportSeen(endpoint, Reached.NOTHING, "not looked at yet", transient=True, pending=True)


def _fits(name: str) -> bool:
    if name == ".":
        return True
    return len(name) <= 253 and all(0 < len(label) <= 63 for label in name.split("."))
