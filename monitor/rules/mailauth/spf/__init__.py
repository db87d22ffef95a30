"""SPF (RFC 7208): what check_host() says, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv6Address, ip_address

from monitor.model.mail import AuthResult
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.spf.evaluate import Evaluator
from monitor.rules.mailauth.spf.flat import Flat, flatten
from monitor.rules.mailauth.spf.macro import Client
from monitor.rules.mailauth.spf.tree import Node, Survey

__all__ = ["Evaluation", "Flat", "Node", "check_host", "flatten"]


@dataclass(frozen=True)
class Evaluation:
    """`why`: one line; like the tree it quotes records, and is not masked. `spent`: the DNS terms that it reached, `voids` the void lookups
    that it met (those of the whole tree: `tree.voids`); `by_local`: it depends on the local part of the sender."""

    result: AuthResult
    why: str
    domain: str
    survey: Survey | None = field(default=None, repr=False, compare=False)
    spent: int = 0
    voids: int = 0
    explanation: str = ""  # of exp=, when it fails
    matched: str = ""  # the term that decided
    seconds: float = 0.0  # of the queries one after another, as a receiver without our parallelism spends at most
    by_local: bool = False

    @cached_property
    def tree(self) -> Node:
        """Drawn when somebody wants it: most only want the result, and a hostile tree is big."""
        return self.survey.tree(self.domain) if self.survey is not None else Node(self.domain, self.domain)

    @property
    def lookups(self) -> int:
        """The DNS terms of the whole tree, reached or not (section 4.6.4)."""
        return self.tree.lookups

    @cached_property
    def faults(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(node.fault for node in self.tree.walk() if node.fault))


def check_host(lookup: Lookup, address: str, domain: str, sender: str, helo: str, now: float, receiver: str = "unknown") -> Evaluation:
    """check_host() of section 4. While the lookup is not complete the result is provisional. `sender` without a local part is postmaster's;
    an address that is none gets `none`."""
    domain = domain.removesuffix(".")
    client = _client(address, domain, sender, helo, now, receiver)
    if client is None:
        return Evaluation(AuthResult.NONE, f"{address} is no IP address", domain)
    evaluator = Evaluator(lookup, client)
    verdict = evaluator.run(domain)
    explanation = evaluator.explain(verdict)
    survey = Survey(lookup, client, evaluator.reached, evaluator.asked)
    survey.ask_widely(domain)
    return Evaluation(
        verdict.result,
        verdict.why,
        domain,
        survey,
        evaluator.spent,
        evaluator.voids,
        explanation,
        verdict.matched,
        sum(evaluator.asked.values()),
        evaluator.by_local,
    )


def _client(address: str, domain: str, sender: str, helo: str, now: float, receiver: str) -> Client | None:
    try:
        client = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(client, IPv6Address) and client.ipv4_mapped is not None:
        client = client.ipv4_mapped
    local, at, sender_domain = sender.rpartition("@")
    if not at:
        local, sender_domain = "", sender
    return Client(client, local or "postmaster", sender_domain or domain, helo, receiver, now)
