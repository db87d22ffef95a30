"""The one record that all findings about a name propose: every mend in it at once, and evaluated before it is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Final

from monitor.model.dns import Answer, Outcome
from monitor.model.mail import AuthResult
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.zonefile import txt_line
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.spf import Evaluation, Node, check_host
from monitor.rules.mailauth.spf.evaluate import MOST_LOOKUPS, MOST_VOIDS
from monitor.rules.mailauth.spf.record import Kind, Record, Term, is_spf, parse

STRANGERS: Final = ("192.0.2.1", "2001:db8::1")  # documentation addresses (RFC 5737, 3849): nobody's mail comes from them
MOST_EGRESS: Final = 20
LONGEST_RECORD: Final = 450  # octets
LONGEST_ANSWER: Final = 512  # octets over UDP without EDNS

_NEUTRAL: Final = Term("?all", Kind.ALL, "?")  # what holds without a policy (RFC 7208 section 4.7)
_REFUSED: Final = (AuthResult.FAIL, AuthResult.SOFTFAIL, AuthResult.NEUTRAL)
_HEADER, _FIXED = 12, 12  # octets of a DNS message and of one record in it, its name compressed (RFC 1035 section 4.1)


@dataclass(frozen=True, slots=True)
class End:
    """What a record says of those whom nothing matches. `policy`: its `all`, or that of the redirect; empty: none. `varies`: the redirect
    that leads elsewhere for another client. `unknown`: why nobody can tell."""

    policy: str = ""
    varies: str = ""
    unknown: str = ""

    @property
    def good(self) -> bool:
        return bool(self.varies) or self.policy in ("-all", "~all")


def end_of(tree: Node) -> End:
    node, varies = tree, ""
    while node.record:
        record = parse(node.record)
        if record.policy is not None:
            return End(f"{record.policy.qualifier}all", varies)
        if record.redirect is None:
            return End("", varies)
        varies = varies or (record.redirect.text if set(record.redirect.macros) - {"d"} else "")
        redirect = next((child for child in node.children if child.kind == Kind.REDIRECT), None)
        if redirect is None:
            return End("", varies, f"{node.target}: more terms than one inspection looks at")
        node = redirect
    return End("", varies, missing(node))


def missing(node: Node) -> str:
    """Why a node of the tree is not known; empty when it is."""
    return node.unknown or (f"{node.term}: beyond the bounds of one inspection" if node.skipped else "")


def fixed_leaves(tree: Node) -> Iterator[Node]:
    """The terms that ask the same for everybody."""
    return (node for node in tree.walk() if node.kind in (Kind.A, Kind.MX) and "%" not in node.term)


def canonical(address: str) -> str:
    try:
        return str(ip_address(address))
    except ValueError:
        return address


def authorising(address: str) -> str:
    """The mechanism for one address: ip4:192.0.2.10."""
    return f"ip6:{canonical(address)}" if ":" in address else f"ip4:{canonical(address)}"


def strangers(scene: Scene) -> tuple[str, ...]:
    declared = {canonical(address) for address in scene.subject.egress}
    return tuple(address for address in STRANGERS if address not in declared)


def size_of(answer: Answer) -> int:
    """Octets of the answer that a receiver gets who asks without EDNS: no signatures, nothing beside the texts."""
    aliases = sum(_FIXED + len(name) + 2 for name in answer.chain)
    texts = sum(_FIXED + len(text) + max(1, -(-len(text) // 255)) for text in answer.records)
    return _HEADER + len(answer.question.name) + 2 + 4 + aliases + texts


def propose(scene: Scene, answer: Answer, is_helo: bool) -> str:
    """The line of the zone file that mends what stands at a name (`answer`: its texts). Empty where none can be made: a term that names a
    sender is faulty or leads nowhere, the name is an alias, our addresses are not known and the record would need them."""
    egress = scene.subject.egress
    if answer.failed or answer.chain or len(egress) > MOST_EGRESS or (is_helo and len(scene.subject.helo) != 1):
        return ""
    draft = _Draft(scene, answer)
    if len(draft.texts) == 1 and not _is_whole(scene.spf(STRANGERS[0], answer.question.name)):
        return ""
    words = draft.words()
    if words is None or not all(draft.stands(words, address) for address in STRANGERS):
        return ""
    lacking = [address for address in egress if not draft.passes(words, address)]
    words = [*map(authorising, lacking), *words]
    text = " ".join(("v=spf1", *words))
    changed = draft.texts != [text]
    return (
        txt_line(answer.question.name, text) if changed and draft.fits(words) and all(draft.passes(words, one) for one in lacking) else ""
    )


@dataclass(frozen=True, slots=True)
class _Draft:
    scene: Scene
    answer: Answer
    _known: dict[tuple[str, ...], Evaluation] = field(default_factory=dict)

    @property
    def texts(self) -> list[str]:
        return [text for text in self.answer.records if is_spf(text)]

    def words(self) -> list[str] | None:
        """What shall stay of the records, in one, with a policy; None where it cannot be known. Terms are dropped by their place: the same
        text may be dead in one and count in another."""
        records = [parse(text) for text in self.texts]
        known = bool(self.scene.subject.egress)
        if not (records or known):
            return None
        if not records:
            return ["-all" if self.scene.subject.declared else "~all"]
        live = [term for record in records for term in _live(record)]
        if len(records) > 1 and any(term.qualifier != "+" for term in live if term.kind is not Kind.ALL):
            return None  # what one of them refuses the other may authorise
        if len(records) == 1 and end_of(self.evaluated(_once(live), STRANGERS[0]).tree).good:
            return _once(live)
        ends = {term.qualifier for record in records for term in (record.policy or _NEUTRAL,)}
        if not (known or ends <= {"-", "~"}):
            return None
        return [*_once([_included(term) for term in live if term.kind is not Kind.ALL]), "-all" if ends == {"-"} else "~all"]

    def evaluated(self, words: list[str], address: str) -> Evaluation:
        """check_host() as if these words stood there."""
        key = (address, *words)
        if key not in self._known:
            lookup, name = self.scene.lookup, self.answer.question.name
            overlay = Lookup({**lookup.answers, self.answer.question: self._with(words)}, closed=lookup.closed)
            overlay.wanted = lookup.wanted
            self._known[key] = check_host(overlay, address, name, f"postmaster@{name}", name, self.scene.subject.now)
        return self._known[key]

    def _with(self, words: list[str]) -> Answer:
        others = [text for text in self.answer.records if not is_spf(text)]
        return replace(self.answer, outcome=Outcome.FOUND, records=(*others, " ".join(("v=spf1", *words))))

    def passes(self, words: list[str], address: str) -> bool:
        return self.evaluated(words, address).result is AuthResult.PASS

    def stands(self, words: list[str], stranger: str) -> bool:
        """Strangers do not pass, there is a policy, every branch is known and without fault, and the limits are kept. Addresses of ours in
        front of it change nothing of that."""
        evaluation = self.evaluated(words, stranger)
        if ":" in stranger and not any(":" in address for address in self.scene.subject.egress):
            return evaluation.result is not AuthResult.PASS  # names without IPv6 addresses are no fault where no mail leaves over IPv6
        tree = evaluation.tree
        if not _is_whole(evaluation) or evaluation.lookups > MOST_LOOKUPS or not end_of(tree).good:
            return False
        if sum(node.voids for node in fixed_leaves(tree)) > MOST_VOIDS:
            return False
        return evaluation.result in _REFUSED or stranger not in strangers(self.scene)

    def fits(self, words: list[str]) -> bool:
        """It is not too long, unless what stands there is already."""
        new, old = self._with(words), self.answer
        return all(size(new) <= most or size(old) > most for size, most in ((size_of, LONGEST_ANSWER), (longest_of, LONGEST_RECORD)))


def longest_of(answer: Answer) -> int:
    """Octets of the longest SPF record."""
    return max((len(text) for text in answer.records if is_spf(text)), default=0)


def _is_whole(evaluation: Evaluation) -> bool:
    """Every branch is known and without fault."""
    return not evaluation.faults and not any(missing(node) for node in evaluation.tree.walk())


def _live(record: Record) -> Iterator[Term]:
    dead = {id(term) for term in record.dead}
    return (term for term in record.terms if id(term) not in dead)


def _once(terms: list[Term]) -> list[str]:
    """The same term a second time matches nobody whom the first did not."""
    return list(dict.fromkeys(term.text for term in terms))


def _included(term: Term) -> Term:
    """A redirect as an include: whom its target authorises stays authorised, and the policy is our own (RFC 7208 section 6.1)."""
    return Term(f"include:{term.text.partition('=')[2]}", Kind.INCLUDE) if term.kind is Kind.REDIRECT else term
