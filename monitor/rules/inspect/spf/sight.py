"""What the SPF checks look at: each name that sends, its record, and the trees below it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from typing import Final

from monitor.model.checks import CheckResult
from monitor.model.dns import Answer, RecordType
from monitor.rules.inspect.check import Check
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.zonefile import shown, txt_line
from monitor.rules.mailauth.spf import Evaluation, Node
from monitor.rules.mailauth.spf.record import Kind, Record, Term, is_spf, parse

STRANGERS: Final = ("192.0.2.1", "2001:db8::1")  # documentation addresses (RFC 5737, 3849): nobody's mail comes from them
UNKNOWN_EGRESS: Final = "sending addresses are not known: --egress, or inspect.domains.NAME.egress"
MOST_NAMES: Final = 10  # sending names that are looked at
MOST_EGRESS: Final = 20


@dataclass(frozen=True)
class Sight:
    """One name that stands in MAIL FROM or HELO."""

    scene: Scene
    name: str
    is_helo: bool = False

    @cached_property
    def answer(self) -> Answer:
        return self.scene.lookup.ask(self.name, RecordType.TXT)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        return tuple(text for text in self.answer.records if is_spf(text))

    @property
    def dark(self) -> str:
        """Why nothing can be said of the name; empty when something can."""
        return shown(f"{self.answer.question}: {self.answer.detail}") if self.answer.failed else ""

    def none(self, check: Check) -> CheckResult:
        """The result where there is no record to look at."""
        if self.dark:
            return check.unknown(self.name, self.dark)
        return check.skipped(self.name, f"{len(self.texts)} SPF records" if self.texts else "no SPF record")

    @cached_property
    def record(self) -> Record | None:
        return parse(self.texts[0]) if len(self.texts) == 1 else None

    @property
    def text(self) -> str:
        return self.texts[0] if self.texts else ""

    @cached_property
    def egress(self) -> tuple[str, ...]:
        return self.scene.subject.egress[:MOST_EGRESS]

    @cached_property
    def strangers(self) -> tuple[str, ...]:
        declared = {_canonical(address) for address in self.scene.subject.egress}
        return tuple(address for address in STRANGERS if address not in declared)

    def evaluation(self, address: str) -> Evaluation:
        return self.scene.spf(address, self.name)

    @cached_property
    def tree(self) -> Node:
        """As an IPv4 client makes it; the records in it do not depend on who asks, unless by macros."""
        return self.evaluation(STRANGERS[0]).tree

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        return tuple(self.tree.walk())

    @property
    def gap(self) -> str:
        """Why the tree is not known to its end; empty when it is."""
        records = (node for node in self.nodes if node.kind in ("", Kind.INCLUDE, Kind.REDIRECT))
        return next((missing(node) for node in records if missing(node)), "")

    def records(self) -> Iterator[tuple[str, Record]]:
        """Every record of the tree once, with the name that it stands at."""
        seen = set()
        for node in self.nodes:
            if node.record and node.target not in seen:
                seen.add(node.target)
                yield node.target, parse(node.record)


def sights(scene: Scene) -> tuple[Sight, ...]:
    """The envelope domains, then the HELO names that are none of them."""
    names = [Sight(scene, name) for name in scene.envelope[:MOST_NAMES]]
    taken = {sight.name for sight in names}
    helo = [Sight(scene, name, True) for name in dict.fromkeys(scene.subject.helo) if name not in taken]
    return (*names, *helo[:MOST_NAMES])


def missing(node: Node) -> str:
    """Why a node of the tree is not known, fit to be shown; empty when it is."""
    return shown(node.unknown or (f"{node.term}: beyond the bounds of one inspection" if node.skipped else ""))


def _canonical(address: str) -> str:
    try:
        return str(ip_address(address))
    except ValueError:
        return address


def authorising(address: str) -> str:
    """The mechanism for one address: ip4:192.0.2.10."""
    return f"ip6:{_canonical(address)}" if ":" in address else f"ip4:{_canonical(address)}"


def published(name: str, words: list[str]) -> str:
    """The line of a zone file for a record of these words."""
    return txt_line(name, " ".join(["v=spf1", *dict.fromkeys(words)]))


def with_addresses(sight: Sight, addresses: tuple[str, ...]) -> str:
    """The record of a name with these addresses in it, before all; a new one where there is none; empty where it is too broken to mend."""
    missing = [authorising(address) for address in addresses]
    if not sight.texts:
        return published(sight.name, [*missing, "-all"])
    if sight.record is None or sight.record.fault:
        return ""
    terms = sight.record.terms
    words = [term.text for term in terms]
    at = next((index for index, term in enumerate(terms) if term.kind in (Kind.ALL, Kind.REDIRECT)), len(words))
    refused = {word for word in words if word[:1] in "-~?" and word[1:].lower() in missing}
    kept = [word for word in words[:at] if word not in refused]
    return published(sight.name, [*kept, *missing, *words[at:]])


def with_policy(sight: Sight, policy: str) -> str:
    """The record of a name that ends with this policy."""
    if sight.record is None or sight.record.fault:
        return ""
    return published(sight.name, [*(term.text for term in sight.record.terms if not _ends(term)), policy])


def merged(sight: Sight) -> str:
    """Several records as one: all their mechanisms, and of their policies the weakest that is none for everybody."""
    terms = [term for text in sight.texts for term in parse(text).terms]
    words = [f"include:{term.text[9:]}" if term.kind is Kind.REDIRECT else term.text for term in terms if _is_kept(term)]
    policies = {term.qualifier for term in terms if term.kind is Kind.ALL}
    policy = "-all" if "-" in policies and "~" not in policies else "~all"
    return published(sight.name, [*words, policy])


def _is_kept(term: Term) -> bool:
    return term.kind not in (Kind.ALL, Kind.FAULTY, Kind.EXP)


def _ends(term: Term) -> bool:
    return term.kind in (Kind.ALL, Kind.REDIRECT)
