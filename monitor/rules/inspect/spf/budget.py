"""SPF-04, 05, 06, 10, 18, 20: what an evaluation costs, how wide it opens, and who does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Final

from monitor.model.checks import CheckId, CheckResult, Gravity
from monitor.model.dns import RecordType
from monitor.model.mail import AuthResult
from monitor.rules.inspect.spf.catalogue import CHECKS
from monitor.rules.inspect.spf.proposal import STRANGERS, authorising, fixed_leaves, missing
from monitor.rules.inspect.spf.sight import Sight
from monitor.rules.inspect.zonefile import shown
from monitor.rules.mailauth.spf import Evaluation, Node, flatten
from monitor.rules.mailauth.spf.evaluate import MOST_EXCHANGES, MOST_LOOKUPS, MOST_VOIDS, exchanges
from monitor.rules.mailauth.spf.record import Kind

_CLOSE: Final = 8  # DNS terms from which on it is warned
_SLOW, _TOO_SLOW = 5.0, 20.0  # seconds
_MOST_MENDS: Final = 5  # void terms for which it is said what to do
_PROVIDERS: Final = (  # whose networks are as broad as they are, and who let only their own customers' domains out
    "google.com",
    "outlook.com",
    "amazonses.com",
    "sendgrid.net",
    "mailgun.org",
    "mcsv.net",
    "mandrillapp.com",
    "yahoodns.net",
    "zoho.com",
    "zoho.eu",
    "icloud.com",
)


def judge(names: tuple[Sight, ...]) -> Iterator[CheckResult]:
    for sight in names:
        if sight.is_helo:
            continue
        if sight.record is None:
            for check in (CheckId.SPF_04, CheckId.SPF_05, CheckId.SPF_06, CheckId.SPF_10, CheckId.SPF_18, CheckId.SPF_20):
                yield sight.none(CHECKS[check])
            continue
        for rule in (_terms, _voids, _exchanges, _width, _time, _answers):
            yield from rule(sight)


def _terms(sight: Sight) -> Iterator[CheckResult]:
    check, count = CHECKS[CheckId.SPF_04], sight.tree.lookups
    branches = sorted((node for node in sight.tree.children if node.lookups), key=lambda node: -node.lookups)
    cost = ", ".join(f"{shown(node.term)} {node.lookups}" for node in branches[:12])
    saw = f"{count} DNS terms{': ' + cost if cost else ''}"
    if count > MOST_LOOKUPS:
        dearer = branches and all(node.lookups < branches[0].lookups for node in branches[1:])
        dearest = f": {shown(branches[0].term)} costs most" if dearer else ""
        mend = f"Bring it down to {MOST_LOOKUPS}{dearest}. Replace a and mx by ip4 and ip6, drop senders that are not used."
        yield check.failed(sight.name, saw, shown(sight.text), mend, sight.publish)
    elif sight.gap:
        yield check.unknown(sight.name, f"at least {saw}; {sight.gap}")
    elif count >= _CLOSE:
        yield check.warned(
            sight.name, f"{saw}; {MOST_LOOKUPS} are allowed", shown(sight.text), "Make room before the next sender is added."
        )
    else:
        yield check.passed(sight.name, saw, shown(sight.text))


def _voids(sight: Sight) -> Iterator[CheckResult]:
    """Those of the terms that ask the same for everybody, and those that our own addresses meet."""
    check = CHECKS[CheckId.SPF_05]
    own = max((sight.evaluation(address) for address in sight.egress), key=lambda evaluation: evaluation.voids, default=None)
    leaves = list(fixed_leaves(sight.tree))
    void = [node for node in leaves if node.voids]
    count = sum(node.voids for node in void)
    if own is not None and own.voids > count:
        count, void = own.voids, [node for node in fixed_leaves(own.tree) if node.voids]
    dark = sight.gap or next((shown(missing(node)) for node in leaves if missing(node)), "")
    void = list({node.term: node for node in void}.values())
    saw = f"{count} void lookups{': ' + ', '.join(shown(node.term) for node in void) if void else ''}"
    mend = " ".join(_filled(sight, node) for node in void[:_MOST_MENDS]) or "Take away the terms whose names have no records."
    if count > MOST_VOIDS:
        yield check.failed(sight.name, f"{saw}; {MOST_VOIDS} are allowed", shown(sight.text), mend, sight.publish)
    elif dark:
        yield check.unknown(sight.name, f"at least {saw}; {dark}")
    elif count:
        yield check.warned(sight.name, f"{saw}; {MOST_VOIDS} are allowed", shown(sight.text), mend)
    else:
        yield check.passed(sight.name, "no void lookups")


def _filled(sight: Sight, node: Node) -> str:
    """What to do about a void term. A host with addresses of the other family still sends."""
    lookup = sight.scene.lookup
    hosts = [node.target] if node.kind == Kind.A else exchanges(lookup.ask(node.target, RecordType.MX))[:MOST_EXCHANGES]
    answers = [lookup.ask(host, rtype) for host in hosts for rtype in (RecordType.A, RecordType.AAAA)]
    addresses = [authorising(text) for answer in answers for text in answer.records]
    if any(answer.failed for answer in answers):
        return f"Look which addresses {shown(node.term)} stands for, and name them."
    if not addresses:
        return f"Take away {shown(node.term)}: it names no address."
    return f"Replace {shown(node.term)} by {'the networks of its addresses' if '/' in node.term else shown(' '.join(addresses))}."


def _exchanges(sight: Sight) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.SPF_06]
    leaves = [node for node in sight.nodes if node.kind in (Kind.MX, Kind.PTR)]
    bad = [node for node in leaves if node.kind == Kind.MX and node.fault]
    for node in bad:
        yield check.failed(
            node.target, shown(node.fault), f"{node.domain}: {shown(node.term)}", f"Replace {shown(node.term)} by ip4 and ip6."
        )
    dark = next((node for node in leaves if node.kind == Kind.MX and missing(node)), None)
    if dark is not None:
        yield check.unknown(shown(dark.target), shown(missing(dark)))
    elif sight.gap:
        yield check.unknown(sight.name, sight.gap)
    elif not bad:
        yield check.passed(sight.name, f"mx and ptr terms, all within their limits: {len(leaves)}")


def _width(sight: Sight) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.SPF_10]
    flat = flatten(sight.scene.lookup, sight.name)
    huge, broad = [], []
    for text, source in flat.sources:
        network = ip_network(text)
        four = network.version == 4
        if network.prefixlen <= (8 if four else 16):
            huge.append((text, source))
        elif network.prefixlen < (16 if four else 32) and not _of_provider(source):
            broad.append((text, source))
    size = sum(ip_network(text).num_addresses for text in flat.networks if ":" not in text)
    saw = f"{size} IPv4 addresses in {len(flat.networks)} networks"
    mend = "Name the addresses that really send."
    for text, source in huge:
        yield check.failed(f"{shown(source)} {text}", f"{text} is far too broad; {saw}", text, mend, gravity=Gravity.ERROR)
    for text, source in broad:
        yield check.warned(f"{shown(source)} {text}", f"{text} is broad; {saw}", text, mend)
    if huge or broad:
        return
    yield check.unknown(sight.name, shown(flat.unknown)) if flat.unknown else check.passed(sight.name, saw)


def _of_provider(source: str) -> bool:
    return any(source == provider or source.endswith("." + provider) for provider in _PROVIDERS)


def _evaluations(sight: Sight) -> list[Evaluation]:
    return [sight.evaluation(address) for address in (*sight.egress, *(sight.strangers or STRANGERS[:1]))]


def _time(sight: Sight) -> Iterator[CheckResult]:
    check, evaluations = CHECKS[CheckId.SPF_18], _evaluations(sight)
    seconds = max(evaluation.seconds for evaluation in evaluations)
    broken = next((evaluation.why for evaluation in evaluations if evaluation.result is AuthResult.TEMPERROR), "")
    saw = f"{seconds:.1f} s when one name is asked after another"
    mend = "Use fewer terms, or included records with quicker name servers."
    if broken:
        yield check.unknown(sight.name, shown(broken))
    elif seconds > _TOO_SLOW:
        yield check.failed(sight.name, f"{saw}: receivers give up", shown(sight.text), mend)
    elif seconds > _SLOW:
        yield check.warned(sight.name, saw, shown(sight.text), mend)
    else:
        yield check.passed(sight.name, saw)


def _answers(sight: Sight) -> Iterator[CheckResult]:
    """SPF-20: a name that does not answer is unknown; one that only some of our resolvers could get an answer for is flaky."""
    check = CHECKS[CheckId.SPF_20]
    silent: dict[str, str] = {}
    flaky: dict[str, int] = {}
    for node in sight.nodes:
        if node.unknown:
            silent.setdefault(_source(sight, node), node.unknown)
        elif node.record:
            failed = sight.scene.lookup.ask(node.target, RecordType.TXT).resolvers_failed
            if failed:
                flaky[node.target] = failed
    for evaluation in _evaluations(sight):
        if evaluation.result is AuthResult.TEMPERROR and not silent:
            silent[sight.name] = evaluation.why
    for name, why in silent.items():
        yield check.unknown(
            shown(name), f"temporary error: {shown(why)}", "Look whether its name servers answer; receivers defer refund mail meanwhile."
        )
    for name, failed in flaky.items():
        saw = f"{failed} of our resolvers got no answer"
        yield check.warned(shown(name), saw, "", "Watch its name servers: where nobody answers, receivers defer refund mail.")
    if not silent and not flaky:
        yield check.passed(sight.name, "every name of the tree answers")


def _source(sight: Sight, node: Node) -> str:
    """The include target that is to blame: what stands in somebody else's record is theirs."""
    return node.target if node.kind in (Kind.INCLUDE, Kind.REDIRECT) or node.domain == sight.name else node.domain
