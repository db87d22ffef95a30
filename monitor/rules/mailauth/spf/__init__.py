"""SPF (RFC 7208): what check_host() says, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from monitor.model.mail import AuthResult
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.spf.evaluate import Evaluator
from monitor.rules.mailauth.spf.flat import Flat, flatten
from monitor.rules.mailauth.spf.macro import Client
from monitor.rules.mailauth.spf.tree import Node, Survey

__all__ = ["Evaluation", "Flat", "Node", "check_host", "flatten"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`why`: one line; like the tree it quotes records, and is not masked. `lookups` counts the DNS terms of the whole tree,
    reached or not (section 4.6.4); `spent` those that it reached, `voids` the void lookups that it met (those of the whole tree:
    `tree.voids`)."""

    result: AuthResult
    why: str
    domain: str
    tree: Node
    lookups: int = 0
    spent: int = 0
    voids: int = 0
    explanation: str = ""  # of exp=, when it fails
    matched: str = ""  # the term that decided
    seconds: float = 0.0  # of the queries one after another, as a receiver without our parallelism spends at most
    faults: tuple[str, ...] = field(default_factory=tuple)


def check_host(lookup: Lookup, address: str, domain: str, sender: str, helo: str, now: float, receiver: str = "unknown") -> Evaluation:
    """check_host() of section 4. While the lookup is not complete the result is provisional. `sender` without a local part is postmaster's;
    an address that is none gets `none`."""
    domain = domain.removesuffix(".")
    client = _client(address, domain, sender, helo, now, receiver)
    if client is None:
        return Evaluation(AuthResult.NONE, f"{address} is no IP address", domain, Node(domain, domain))
    evaluator = Evaluator(lookup, client)
    verdict = evaluator.run(domain)
    explanation = evaluator.explain(verdict)
    tree = Survey(lookup, client, evaluator.reached, evaluator.asked).tree(domain)
    return Evaluation(
        verdict.result,
        verdict.why,
        domain,
        tree,
        tree.lookups,
        evaluator.spent,
        evaluator.voids,
        explanation,
        verdict.matched,
        sum(evaluator.asked.values()),
        tuple(dict.fromkeys(node.fault for node in tree.walk() if node.fault)),
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
