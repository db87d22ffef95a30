"""What an inspection is about: what the configuration declares, and what delivered probes showed."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence

from monitor.model.facts import Delivered, Entry
from monitor.model.inspection import DomainPolicy, SeenMail, Selector, Subject
from monitor.model.policy import MailboxPolicy, PathPolicy, Policy, Role, Security, SmtpPath
from monitor.model.transport import Endpoint, ServerKind
from monitor.rules.inspect.facets import related
from monitor.views.zones import DomainState, Learned, Zones

FRESH_FOR = 14 * 86_400.0  # seconds for which what delivered mail showed last is taken for how the domain sends, while no other comes
BESIDE = 2 * 86_400.0  # seconds for which what newer mail does not show is in use all the same: several may take turns
KEPT = 7 * 86_400.0  # seconds for which mail on its way may bear what is not in use any more
MAIL_FOR = 3 * 86_400.0  # seconds for which a delivered mail is judged again
MOST_ENDPOINTS = 20
MOST_MAILS = 100
_AT_HOME = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("fc00::/7", "fe80::/10", "::1/128"),
    )
)

_SUBMISSION = {Security.TLS: ServerKind.SUBMISSIONS, Security.STARTTLS: ServerKind.SUBMISSION}
_IMAP = {Security.TLS: ServerKind.IMAPS, Security.STARTTLS: ServerKind.IMAP}

Seen = dict[str, float]  # name -> when it was last seen
Way = tuple[Learned, Learned]  # of one author domain: all that was seen of how it sends, and what the latest mail of each path shows


def subject_of(declared: DomainPolicy, policy: Policy, zones: Zones, now: float) -> Subject:
    """`now`: seconds since the epoch."""
    inspect, state = policy.inspect, zones.domains.get(declared.domain) or DomainState()
    ways = _of_domain(declared.domain, policy, zones)

    def addresses(one: Learned) -> Seen:
        return _addresses(one, inspect.private_addresses)

    egress = declared.egress or _used(ways, addresses, now)
    seen = _together(addresses(one) for one, _ in ways)
    return Subject(
        domain=declared.domain,
        now=now,
        egress=egress,
        declared=bool(declared.egress),
        observed=tuple((address, at) for address, at in sorted(seen.items()) if address in egress or now - at <= KEPT),
        watched_since=min((one.since for one, _ in ways), default=None),
        envelope=declared.envelope or _used(ways, lambda one: _names(one.envelope), now),
        helo=declared.helo or _used(ways, lambda one: _names(one.helo), now),
        selectors=_selectors(declared, ways, now),
        profiles=declared.profiles,
        mails=_mails(declared.domain, policy, zones, now),
        keys=state.last.keys if state.last else (),
        endpoints=_endpoints(declared.domain, policy) if inspect.transport else (),
        recipients=declared.recipients,
        transport=inspect.transport,
        smtp_port=inspect.smtp_port,
        private_addresses=inspect.private_addresses,
        baseline=state.baseline,
        approved=state.approved.at.utc if state.approved else None,
        facets=state.last.facets if state.last else (),
        drifts=tuple(state.drifts),
    )


def domain_of(author: str, policy: Policy) -> str:
    """The inspected domain that an author domain belongs to: itself, else the nearest above it; empty: none."""
    name = author
    while name:
        if name in policy.inspect.domains:
            return name
        name = name.partition(".")[2]
    return ""


def _of_domain(domain: str, policy: Policy, zones: Zones) -> tuple[Way, ...]:
    latest = _latest(policy, zones)
    known = sorted(zones.learned.items())
    return tuple((one, latest.get(author, Learned())) for author, one in known if domain_of(author, policy) == domain)


def _latest(policy: Policy, zones: Zones) -> Mapping[str, Learned]:
    """What the latest mail of each path that is configured shows, by author domain."""
    mails: dict[tuple[str, tuple[str, ...]], Delivered] = {}
    for _, fact in zones.delivered.values():
        place = (fact.route.path, fact.mail.author_domains[:1])
        if fact.route.path in policy.paths and (place not in mails or fact.at.utc > mails[place].at.utc):
            mails[place] = fact
    shown = Zones()
    for fact in mails.values():
        shown.fold(Entry(0, "", fact))
    return shown.learned


def _addresses(one: Learned, private: bool) -> Seen:
    """IP addresses as canonical text. One that cannot be routed is not the one that receivers see."""
    found: Seen = {}
    for text, at in one.addresses.items():
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if private or not any(address.version == home.version and address in home for home in _AT_HOME):
            found[str(address)] = max(at, found.get(str(address), 0.0))
    return found


def _names(seen: Mapping[str, float]) -> Seen:
    return _together({name.lower().rstrip("."): at} for name, at in seen.items())


def _signers(one: Learned, domain: str) -> Seen:
    return {text: at for text, at in one.selectors.items() if related(text.partition(" ")[2], domain)}


def _together(seen: Iterable[Seen]) -> Seen:
    found: Seen = {}
    for one in seen:
        found |= {name: max(at, found.get(name, 0.0)) for name, at in one.items()}
    return found


def _used(ways: Sequence[Way], kind: Callable[[Learned], Seen], now: float) -> tuple[str, ...]:
    """What counts as in use: what the latest mail of a path shows, and what was seen not long before the latest of its kind. A domain of
    which no mail comes for some days uses what it used then."""
    found: set[str] = set()
    for one, latest in ways:
        seen, shown = kind(one), kind(latest)
        newest = max(seen.values(), default=0.0)
        found |= {name for name, at in seen.items() if now - at <= FRESH_FOR and (newest - at <= BESIDE or name in shown)}
    return tuple(sorted(found))


def _selectors(declared: DomainPolicy, ways: Sequence[Way], now: float) -> tuple[Selector, ...]:
    """Those that newer mail no longer bears are retired, until no mail on its way can need them."""

    def kind(one: Learned) -> Seen:
        return _signers(one, declared.domain)

    in_use = {_place(text) for text in _used(ways, kind, now)}
    seen = {_place(text): at for text, at in _together(kind(one) for one, _ in ways).items()}
    names = {
        **{(declared.domain, name): False for name in declared.selectors},
        **{(declared.domain, name): True for name in declared.retired},
    }
    for place, at in sorted(seen.items()):
        if place not in names and (place in in_use or now - at <= KEPT):
            names[place] = place not in in_use
    return tuple(Selector(domain, name, retired, seen.get((domain, name))) for (domain, name), retired in names.items())


def _place(text: str) -> tuple[str, str]:
    name, _, domain = text.partition(" ")
    return domain, name


def _mails(domain: str, policy: Policy, zones: Zones, now: float) -> tuple[SeenMail, ...]:
    found = []
    for route, one in sorted(zones.mails.items()):
        fact, box = one.delivered, policy.mailboxes.get(one.delivered.route.mailbox)
        authors = {domain_of(author, policy) for author in fact.mail.author_domains}
        if box is None or fact.route.path not in policy.paths or now - fact.at.utc > MAIL_FOR:
            continue
        if domain in authors or (not authors and domain in _domains_of(policy.paths[fact.route.path], policy)):
            found.append(SeenMail(route, box.provider, box.name, fact.mail, one.proved.proof, one.proved.sent, fact.at.utc))
    return tuple(found[:MOST_MAILS])


def _domains_of(path: PathPolicy, policy: Policy) -> tuple[str, ...]:
    """The inspected domains that mail of the path is from: of a shop's own path any of the sending domains."""
    authors = (path.via.identity.author.domain.name,) if isinstance(path.via, SmtpPath) else policy.sending_domains
    return tuple(filter(None, (domain_of(author, policy) for author in authors)))


def domains_of_path(path: PathPolicy, policy: Policy) -> tuple[str, ...]:
    """As _domains_of; of a path that says nothing of its author, all inspected domains."""
    return _domains_of(path, policy) or tuple(policy.inspect.domains)


def _endpoints(domain: str, policy: Policy) -> tuple[Endpoint, ...]:
    """The services that probes of this domain use: submission, and the mailboxes' IMAP."""
    paths = {name: path for name, path in policy.paths.items() if domain in _domains_of(path, policy)}
    boxes = {route.mailbox for route in policy.routes if route.path in paths}
    services = [one for path in paths.values() if isinstance(path.via, SmtpPath) and (one := _submission(path.via))]
    services += [one for name, box in policy.mailboxes.items() if name in boxes and box.role is Role.SEED and (one := _imap(box))]
    return tuple(dict.fromkeys(services))[:MOST_ENDPOINTS]


def _submission(via: SmtpPath) -> Endpoint | None:
    kind = _SUBMISSION.get(via.security)
    return Endpoint(kind, via.host, via.port, ca_file=via.ca_file) if kind else None


def _imap(box: MailboxPolicy) -> Endpoint | None:
    kind = _IMAP.get(box.security)
    return Endpoint(kind, box.host, box.port, ca_file=box.ca_file) if kind else None
