"""The whole tree of SPF records below a domain, reached or not, with what each branch costs.

It is also the speculation: whatever the tree asks for is fetched together with what the evaluation needs, so that a tree of depth d takes
about d + 1 rounds. What only the tree asks for is bounded, spends nothing, and has no say in the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from monitor.model.dns import Answer, Question, RecordType
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.spf.evaluate import MOST_EXCHANGES, MOST_POINTERS, UNKNOWN_NAME, Place, exchanges, selected, well_formed
from monitor.rules.mailauth.spf.macro import Client, expand_name
from monitor.rules.mailauth.spf.record import Kind, Record, Term, parse

MOST_RECORDS: Final = 25  # names asked for TXT that the evaluation did not ask for
MOST_NAMES: Final = 35  # and for other types
MOST_NODES: Final = 1_500
_NOWHERE: Final = ("nowhere",)  # the place of what no evaluation reached
_DEEPEST: Final = 11  # no evaluation comes deeper: each level is a DNS term


@dataclass(frozen=True, slots=True)
class Node:
    """One term, or the record at the root, with what it cost. `lookups` and `voids` are those of the whole branch."""

    term: str  # as it stands in the record; the domain at the root
    domain: str  # whose record it stands in
    lookups: int = 0
    voids: int = 0
    result: str = ""  # match, no match, or what a nested evaluation said; empty: this evaluation did not reach it
    fault: str = ""  # why it is no valid term, or why it could not be evaluated
    record: str = ""  # the SPF record found: at the root, at an include and at a redirect
    children: tuple[Node, ...] = ()
    kind: str = ""  # of the term: include, a, ...; empty at the root
    target: str = ""  # the name that it asks for, macros expanded
    unknown: str = ""  # why the DNS could not tell
    skipped: bool = False  # beyond our bounds: nobody looked

    def walk(self) -> Iterator[Node]:
        """This node and all below it, from the top."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))


@dataclass(slots=True)
class _Branch:
    record: str = ""
    fault: str = ""
    unknown: str = ""
    skipped: bool = False
    lookups: int = 0
    voids: int = 0
    children: tuple[Node, ...] = ()


class Survey:
    """`reached` and `asked` are those of the evaluation that went before."""

    def __init__(self, lookup: Lookup, client: Client, reached: Mapping[Place, str], asked: Mapping[Question, float]) -> None:
        self.lookup = lookup
        self.client = client
        self.reached = reached
        self.asked = asked
        self._forward = RecordType.A if client.bits == 32 else RecordType.AAAA
        self._records: set[Question] = set()  # that only the tree asks for
        self._names: set[Question] = set()
        self._nodes = 0

    def tree(self, domain: str) -> Node:
        branch = self._branch(domain, (), ())
        return Node(
            domain, domain, branch.lookups, branch.voids, "", branch.fault, branch.record, branch.children, "", domain, branch.unknown
        )

    def _branch(self, domain: str, path: tuple[str, ...], place: Place) -> _Branch:
        if not well_formed(domain):
            return _Branch(fault=f"{domain or 'an empty name'} is no domain name")
        if domain.lower() in path:
            return _Branch(fault=f"leads back to {domain}")
        answer = self._known(domain, RecordType.TXT) if len(path) < _DEEPEST else None
        if answer is None:
            return _Branch(skipped=True)
        if answer.failed:
            return _Branch(unknown=f"{answer.question}: {answer.detail}")
        texts = selected(answer)
        if len(texts) != 1:
            return _Branch(fault=f"{domain} has {len(texts)} SPF records" if texts else f"{domain} has no SPF record")
        return self._terms(parse(texts[0]), domain, (*path, domain.lower()), place)

    def _terms(self, record: Record, domain: str, path: tuple[str, ...], place: Place) -> _Branch:
        if (place, 0) in self.reached or self._nodes + len(record.terms) > MOST_NODES:
            return self._each_term(record, domain, path, place)
        self._nodes += len(record.terms)
        children = [*_untouched(record.text, domain)]
        lookups = voids = 0
        for at in record.asking_at:
            node = children[at] = self._node(record.terms[at], domain, path, _NOWHERE)
            lookups += node.lookups
            voids += node.voids
        return _Branch(record.text, record.fault, lookups=lookups, voids=voids, children=tuple(children))

    def _each_term(self, record: Record, domain: str, path: tuple[str, ...], place: Place) -> _Branch:
        children = []
        number = 0
        lookups = voids = 0
        counted = len(record.mechanisms)
        for term in record.terms:
            here: Place = None  # of what is never evaluated
            if term.kind is Kind.REDIRECT and term is record.redirect:
                here = (place, -1)
            elif number < counted and term is record.mechanisms[number]:
                here = (place, number)
                number += 1
            self._nodes += 1
            if self._nodes > MOST_NODES:
                break
            node = self._node(term, domain, path, here)
            lookups += node.lookups
            voids += node.voids
            children.append(node)
        return _Branch(record.text, record.fault, lookups=lookups, voids=voids, children=tuple(children))

    def _node(self, term: Term, domain: str, path: tuple[str, ...], place: Place) -> Node:
        kind, result = term.kind, self.reached.get(place, "")
        if place is None or kind in (Kind.ALL, Kind.IP4, Kind.IP6):
            return _still(term.text, domain, result, term.fault, kind.value)
        target = self._target(term, domain)
        if kind in (Kind.INCLUDE, Kind.REDIRECT):
            below = self._branch(target, path, place)
            return Node(
                term.text,
                domain,
                1 + below.lookups,
                below.voids,
                result,
                below.fault,
                below.record,
                below.children,
                kind.value,
                target,
                below.unknown,
                below.skipped,
            )
        return self._leaf(term, domain, target, result)

    def _leaf(self, term: Term, domain: str, target: str, result: str) -> Node:
        """a, mx, exists, ptr."""
        answers: list[Answer | None]
        fault = ""
        match term.kind:
            case Kind.A:
                answers = [self._known(target, self._forward)]
            case Kind.EXISTS:
                answers = [self._known(target, RecordType.A)]
            case Kind.MX:
                answers = [self._known(target, RecordType.MX)]
                if answers[0] is not None and (count := len(answers[0].records)) > MOST_EXCHANGES:
                    fault = f"{target} has {count} exchanges, {MOST_EXCHANGES} are allowed"
                elif answers[0] is not None:
                    answers += [self._known(host, self._forward) for host in exchanges(answers[0])]
            case _:
                answers = self._pointers()
        known = [answer for answer in answers if answer is not None]
        failed = next((f"{answer.question}: {answer.detail}" for answer in known if answer.failed), "")
        voids = sum(answer.void for answer in known)
        skipped = len(known) < len(answers)
        unknown = "" if term.kind is Kind.PTR else failed  # an error there is no match, and no error (section 5.5)
        return Node(term.text, domain, 1, voids, result, fault, kind=term.kind.value, target=target, unknown=unknown, skipped=skipped)

    def _pointers(self) -> list[Answer | None]:
        pointers = self._known(self.client.reverse_name, RecordType.PTR)
        names = pointers.records[:MOST_POINTERS] if pointers is not None else ()
        return [pointers, *(self._known(name, self._forward) for name in names)]

    def _validated_name(self, domain: str) -> str:
        """%{p}, as far as it is needed to know what to ask for: the first name that is the domain or below it, else any."""
        pointers = self._want(self.client.reverse_name, RecordType.PTR)
        if pointers is None:
            return UNKNOWN_NAME
        forward = [self._want(name, self._forward) for name in pointers.records[:MOST_POINTERS]]
        good = [
            name.lower().rstrip(".")
            for name, answer in zip(pointers.records, forward, strict=False)
            if answer is not None and str(self.client.address) in answer.records
        ]
        return next((name for name in good if name == domain or name.endswith("." + domain)), next(iter(good), UNKNOWN_NAME))

    def ask_widely(self, domain: str) -> None:
        """Asks breadth first, so that in every pass the same names are within the bounds, and the records before the names in them."""
        domains = {domain: 0}
        names: dict[tuple[str, RecordType], None] = {}
        for name in (queue := [domain]):
            answer = self._want(name, RecordType.TXT) if well_formed(name) else None
            texts = selected(answer) if answer is not None else []
            if len(texts) != 1 or domains[name] >= _DEEPEST:
                continue
            record = parse(texts[0])
            for term in record.asking:
                if term.kind in (Kind.INCLUDE, Kind.REDIRECT):
                    target = self._target(term, name).lower()
                    if target not in domains and len(domains) <= MOST_RECORDS:
                        domains[target] = domains[name] + 1
                        queue.append(target)
                elif (rtype := self._asks_for(term)) and len(names) <= MOST_NAMES:
                    names[(self.client.reverse_name if rtype is RecordType.PTR else self._target(term, name)), rtype] = None
        found = [(rtype, self._want(name, rtype)) for name, rtype in names]
        for rtype, answer in found:
            if answer is not None and rtype in (RecordType.MX, RecordType.PTR):
                hosts = exchanges(answer) if rtype is RecordType.MX else answer.records[:MOST_POINTERS]
                for host in hosts if len(hosts) <= MOST_EXCHANGES else ():
                    self._want(host, self._forward)

    def _asks_for(self, term: Term) -> RecordType | None:
        match term.kind:
            case Kind.A:
                return self._forward
            case Kind.MX:
                return RecordType.MX
            case Kind.EXISTS:
                return RecordType.A
            case Kind.PTR:
                return RecordType.PTR
            case _:
                return None

    def _target(self, term: Term, domain: str) -> str:
        return expand_name(term.spec, domain, self.client, lambda: self._validated_name(domain)) if term.spec else domain

    def _want(self, name: str, rtype: RecordType) -> Answer | None:
        """An answer; None beyond the bounds. What the evaluation asked for costs nothing here."""
        question = _question(name, rtype)
        extra, most = (self._records, MOST_RECORDS) if rtype is RecordType.TXT else (self._names, MOST_NAMES)
        if question not in self.asked and question not in extra:
            if len(extra) >= most:
                return None
            extra.add(question)
        return self.lookup.ask(name, rtype)

    def _known(self, name: str, rtype: RecordType) -> Answer | None:
        """An answer that somebody wanted."""
        question = _question(name, rtype)
        wanted = question in self.asked or question in (self._records if rtype is RecordType.TXT else self._names)
        return self.lookup.ask(name, rtype) if wanted else None


@lru_cache(maxsize=4096)
def _still(text: str, domain: str, result: str, fault: str, kind: str) -> Node:
    """A term that asks nothing."""
    return Node(text, domain, 0, 0, result, fault, kind=kind)


@lru_cache(maxsize=256)
def _untouched(text: str, domain: str) -> tuple[Node, ...]:
    """The terms of a record that no evaluation reached, as if they asked nothing: true of most terms of most included records."""
    return tuple(_still(term.text, domain, "", term.fault, term.kind.value) for term in parse(text).terms)


def _question(name: str, rtype: RecordType) -> Question:
    return Question(name.rstrip(".").lower() or ".", rtype)
