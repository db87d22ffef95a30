"""MX: does mail to our domains, replies and bounces included, find a server that takes it. A bit longer than others: seven checks that
look at the same hosts, a few lines each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address

from monitor.model.checks import CheckId, CheckResult, Gravity
from monitor.model.dns import Answer, RecordType, mx_of
from monitor.model.transport import Endpoint, Reached, ServerKind, TransportSeen
from monitor.rules.inspect.authority import addresses_of, public, zone_of
from monitor.rules.inspect.check import Check
from monitor.rules.inspect.dmarc.reports import hosts as report_hosts
from monitor.rules.inspect.organization import same_organization
from monitor.rules.inspect.parked import parked
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.zonefile import shown

_MOST_DOMAINS = 10
_MOST_HOSTS = 10
_MOST_RESULTS = 20
_ROLES = ("abuse", "postmaster", "bounce", "bounces", "support", "service", "noreply", "no-reply")
_ALL = (
    Check(
        CheckId.MX_01,
        "MX hosts have addresses",
        "Receivers that cannot send anything back to a domain take it for forged; replies and bounces of refund mail are lost.",
        "RFC 5321 section 5.1",
        Gravity.CRITICAL,
    ),
    Check(
        CheckId.MX_02,
        "no null MX on a domain that sends",
        "A null MX says that the domain takes no mail: receivers may refuse mail that comes from it.",
        "RFC 7505",
        Gravity.CRITICAL,
    ),
    Check(
        CheckId.MX_03,
        "an MX names a host, once",
        "Many senders refuse an MX that is an address or an alias.",
        "RFC 2181 section 10.3",
        Gravity.ERROR,
    ),
    Check(
        CheckId.MX_04,
        "there is an MX, not only an address",
        "Without MX mail goes to whatever host has the domain's address, often a web server.",
        "RFC 5321 section 5.1",
        Gravity.WARNING,
    ),
    Check(
        CheckId.MX_05,
        "the MX hosts answer",
        "Bounces and replies to refund mail reach nobody.",
        "RFC 5321 section 3.1",
        Gravity.ERROR,
    ),
    Check(
        CheckId.MX_06,
        "all name servers know the same MX",
        "Depending on whom a sender asks, replies go to a server that was given up.",
        "RFC 1034 section 4.3.5",
        Gravity.WARNING,
    ),
    Check(
        CheckId.MX_07,
        "our own addresses take mail",
        "Customers answer refund mail, and Outlook wants that From and Reply-To can receive.",
        "RFC 2142, RFC 5321 section 4.5.1",
        Gravity.ERROR,
    ),
)
CHECKS = {check.id: check for check in _ALL}


@dataclass(frozen=True, slots=True)
class Host:
    """One MX host. `literal`: it is an address and no name."""

    name: str
    preference: int
    answers: tuple[Answer, Answer]
    literal: bool = False

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(address for answer in self.answers for address in answer.records)

    @property
    def unknown(self) -> str:
        """Why its addresses are not known; empty when they are, or when it has none."""
        failed = next((answer for answer in self.answers if answer.failed), None)
        return f"{failed.question}: {failed.detail}" if failed is not None and not self.addresses else ""


@dataclass(frozen=True, slots=True)
class Inbound:
    """Where mail to a domain goes. `hosts` without MX: the domain itself, when it has addresses (RFC 5321 section 5.1)."""

    domain: str
    mx: Answer
    hosts: tuple[Host, ...]
    sends: bool  # From or MAIL FROM: a fault here breaks refund mail
    parked: bool | None = False  # it sends nothing, and says so: a null MX is right

    @property
    def null(self) -> bool:
        return any(mx_of(record)[1] == "." for record in self.mx.records)

    @property
    def settled(self) -> bool:
        """It neither sends nor takes mail, and the null MX stands alone."""
        return self.parked is True and self.null and len(self.mx.records) == 1

    def publish(self, mx: str) -> str:
        """The line of a zone file; none where the domain is an alias, beside which nothing can stand."""
        return "" if self.mx.chain else f"{self.domain}. 3600 IN MX {mx}"


def judge(scene: Scene) -> Iterator[CheckResult]:
    """All of them in every world."""
    known = _inbound(scene)
    for domain in known:
        yield _resolves(domain, scene.subject.private_addresses)
        yield _null(domain)
        yield _named(scene, domain)
        yield _implicit(domain)
        if domain.sends:
            yield _same_everywhere(scene, domain)
    yield from _reached(scene, known)
    yield from _recipients(scene, known)


def _inbound(scene: Scene) -> tuple[Inbound, ...]:
    subject = scene.subject
    sending = dict.fromkeys((subject.domain, *subject.envelope))
    reports = [host for host in report_hosts(scene.policy(subject.domain).record) if same_organization(scene, host, subject.domain)]
    replies = [domain for seen in subject.mails for domain in seen.mail.reply_domains]
    domains = tuple(dict.fromkeys((*sending, *replies, *reports)))[:_MOST_DOMAINS]
    return tuple(
        replace(_one(scene, domain, domain in sending), parked=parked(scene) if domain == subject.domain else False) for domain in domains
    )


def _one(scene: Scene, domain: str, sends: bool) -> Inbound:
    mx = scene.lookup.ask(domain, RecordType.MX)
    own = addresses_of(scene.lookup, domain)  # with the MX, so that an implicit one takes no round of its own
    listed = sorted(dict.fromkeys(mx_of(record) for record in mx.records if mx_of(record)[1] != "."))[:_MOST_HOSTS]
    if not listed:
        implicit = mx.void and any(answer.found for answer in own)
        return Inbound(domain, mx, (Host(domain, 0, own),) if implicit or mx.void else (), sends)
    hosts = tuple(Host(name, rank, addresses_of(scene.lookup, name), _is_address(name)) for rank, name in listed)
    return Inbound(domain, mx, hosts, sends)


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _resolves(domain: Inbound, private: bool) -> CheckResult:
    check = CHECKS[CheckId.MX_01]
    if domain.mx.failed:
        return check.unknown(domain.domain, f"its MX: {domain.mx.detail}")
    if domain.null:
        return (check.passed if domain.settled else check.skipped)(domain.domain, "a null MX")
    broken = [_fault(host, private) for host in domain.hosts if _fault(host, private)]
    good = [host for host in domain.hosts if not host.unknown and not _fault(host, private)]
    unknown = next((host.unknown for host in domain.hosts if host.unknown), "")
    record = shown(" | ".join(domain.mx.records))
    worst = Gravity.CRITICAL if domain.sends else Gravity.WARNING
    if broken and good:
        gravity = Gravity.ERROR if domain.sends else Gravity.WARNING
        return check.failed(domain.domain, shown("; ".join(broken)), record, "give it an address or take it out of the MX", gravity=gravity)
    if unknown:
        return check.unknown(domain.domain, unknown)
    if broken:
        mend = f"publish an MX for {domain.domain} whose host has a public address"
        return check.failed(domain.domain, shown("; ".join(broken)), record, mend, gravity=worst)
    return check.passed(domain.domain, f"{', '.join(host.name for host in good)}: reachable addresses", record)


def _fault(host: Host, private: bool) -> str:
    """Why nobody outside can send there; empty when one can, and while it is not known."""
    if host.literal:
        return f"{host.name} is an address and no host name"
    if host.name == "localhost" or host.name.endswith(".localhost"):
        return f"{host.name} is the sender's own machine"
    if host.unknown:
        return ""
    if not host.addresses:
        return f"{host.name} has no address"
    hidden = [address for address in host.addresses if not public(address)]
    return f"{host.name} has the address {hidden[0]}, which nobody outside can reach" if hidden and not private else ""


def _null(domain: Inbound) -> CheckResult:
    check = CHECKS[CheckId.MX_02]
    if domain.mx.failed:
        return check.unknown(domain.domain, f"its MX: {domain.mx.detail}")
    if not domain.null:
        return check.passed(domain.domain, "no null MX")
    record = shown(" | ".join(domain.mx.records))
    if domain.settled and record == "0 .":
        return check.passed(domain.domain, "a null MX: it sends nothing and takes nothing", record)
    if domain.settled:
        saw = "a null MX whose preference is not 0"
        return check.warned(domain.domain, saw, record, "publish it with preference 0 (RFC 7505 section 3)", domain.publish("0 ."))
    if domain.parked is None:
        return check.unknown(domain.domain, "a null MX, and whether the domain sends is not known: its SPF record could not be asked for")
    gravity = Gravity.CRITICAL if domain.sends else Gravity.WARNING
    if len(domain.mx.records) > 1:
        return check.failed(domain.domain, "a null MX beside others", record, "remove the null MX (0 .)", gravity=gravity)
    saw = "a null MX: it takes no mail" + (", and yet mail is sent from it" if domain.sends else ", and yet reports are sent to it")
    return check.failed(domain.domain, saw, record, "publish an MX that takes replies and bounces", gravity=gravity)


def _named(scene: Scene, domain: Inbound) -> CheckResult:
    check = CHECKS[CheckId.MX_03]
    if domain.mx.failed:
        return check.unknown(domain.domain, f"its MX: {domain.mx.detail}")
    if not domain.mx.found or domain.null:
        return check.skipped(domain.domain, "it has no MX")
    aliases = {host.name: scene.lookup.ask(host.name, RecordType.CNAME) for host in domain.hosts}
    faults = [f"{host.name} is an address" for host in domain.hosts if host.literal]
    faults += [f"{name} is an alias (CNAME) of {answer.records[0]}" for name, answer in aliases.items() if answer.found]
    record = shown(" | ".join(domain.mx.records))
    if faults:
        return check.failed(domain.domain, shown("; ".join(faults)), record, "name the host that has the address itself")
    if failed := next((answer for answer in aliases.values() if answer.failed), None):
        return check.unknown(domain.domain, f"{failed.question}: {failed.detail}")
    names = [host.name for host in domain.hosts]
    if doubled := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        return check.warned(domain.domain, f"{', '.join(doubled)} stands there twice", record, "keep one of them")
    if trial := [name for name in names if name.endswith(".msv1.invalid")]:
        return check.warned(
            domain.domain, f"{trial[0]} proves ownership to Microsoft and takes no mail", record, "remove it when that is done"
        )
    return check.passed(domain.domain, f"{len(names)} host name{'s' if len(names) > 1 else ''}", record)


def _implicit(domain: Inbound) -> CheckResult:
    check = CHECKS[CheckId.MX_04]
    if domain.mx.failed:
        return check.unknown(domain.domain, f"its MX: {domain.mx.detail}")
    if domain.mx.found:
        return check.passed(domain.domain, "it has an MX", shown(" | ".join(domain.mx.records)))
    if unknown := next((host.unknown for host in domain.hosts if host.unknown), ""):
        return check.unknown(domain.domain, unknown)
    if not (addresses := [address for host in domain.hosts for address in host.addresses]):
        return check.skipped(domain.domain, "neither MX nor address")
    saw, mend = f"no MX, so that mail goes to {addresses[0]}", "publish an MX that names this host, or the one that shall take the mail"
    return check.warned(domain.domain, saw, mend=mend, publish=domain.publish(f"10 {domain.domain}."))


def _same_everywhere(scene: Scene, domain: Inbound) -> CheckResult:
    check = CHECKS[CheckId.MX_06]
    zone = zone_of(scene.lookup, domain.domain, scene.subject.private_addresses)
    if zone.unknown:
        return check.unknown(domain.domain, zone.unknown)
    said: dict[tuple[str, ...], str] = {}
    silent = []
    for server in zone.servers:
        reachable = [address for address in server.addresses if scene.subject.private_addresses or public(address)]
        answers = [scene.lookup.ask(domain.domain, RecordType.MX, address) for address in reachable]
        spoken = [answer for answer in answers if not answer.failed and answer.authoritative]
        said |= {tuple(sorted(answer.records)): server.name for answer in spoken if tuple(sorted(answer.records)) not in said}
        silent += [] if spoken else [server.name]
    if len(said) > 1:
        parts = [f"{name}: {' | '.join(records) or 'none'}" for records, name in said.items()]
        return check.warned(domain.domain, shown("; ".join(parts)), mend="see why they do not transfer the zone")
    if silent:
        return check.unknown(domain.domain, f"{', '.join(silent)} did not say")
    return check.passed(domain.domain, f"all {len(zone.servers)} name servers say the same")


def _endpoints(scene: Scene, domain: Inbound) -> tuple[Endpoint, ...]:
    recipients = tuple(address for address in scene.subject.recipients if address.rpartition("@")[2].lower() == domain.domain)
    return tuple(
        Endpoint(ServerKind.MX, host.name, scene.subject.smtp_port, address, recipients=recipients)
        for host in domain.hosts
        if not host.literal
        for address in host.addresses
        if scene.subject.private_addresses or public(address)
    )[:_MOST_RESULTS]


def _reached(scene: Scene, known: tuple[Inbound, ...]) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.MX_05]
    about = scene.subject.domain
    if not scene.subject.transport:
        yield check.skipped(about, "mail servers are not connected to")
        return
    endpoints = {str(endpoint): endpoint for domain in known if domain.sends for endpoint in _endpoints(scene, domain)}
    for named in list(endpoints)[:_MOST_RESULTS]:
        yield _answers(named, scene.lookup.look(endpoints[named]))
    if len(endpoints) > _MOST_RESULTS:
        yield check.noted("more", f"{len(endpoints) - _MOST_RESULTS} more addresses are not looked at")
    unknown = [domain.mx.detail for domain in known if domain.sends and domain.mx.failed]
    unknown += [host.unknown for domain in known if domain.sends for host in domain.hosts if host.unknown]
    if unknown:
        yield check.unknown(about, f"not all MX hosts are known: {unknown[0]}")
    elif not endpoints:
        yield check.skipped(about, "no MX host has an address that can be reached")


def _answers(named: str, seen: TransportSeen) -> CheckResult:
    check, reply = CHECKS[CheckId.MX_05], shown(seen.reply)
    if seen.reached in (Reached.ANSWERED, Reached.ENCRYPTED, Reached.AGAIN):
        return check.passed(named, "it greets and answers EHLO", reply)
    came = "no connection" if seen.reached is Reached.NOTHING else f"it only came to: {seen.reached.value}"
    saw = f"{came}: {shown(seen.failed)}"
    if seen.transient:
        return check.unknown(named, saw)
    return check.failed(named, saw, reply, "start the server, open port 25 to it, or take the address out of the DNS")


def _recipients(scene: Scene, known: tuple[Inbound, ...]) -> Iterator[CheckResult]:
    check, subject = CHECKS[CheckId.MX_07], scene.subject
    if not subject.recipients or not subject.transport:
        nobody = f"no addresses to try: inspect.domains.{subject.domain}.recipients"
        yield check.skipped(subject.domain, "mail servers are not connected to" if subject.recipients else nobody)
        return
    sending = {domain.domain: domain for domain in known}
    for name in dict.fromkeys(address.rpartition("@")[2].lower() for address in subject.recipients[:_MOST_RESULTS]):
        yield _taken(scene, sending.get(name) or _one(scene, name, sends=True))


def _taken(scene: Scene, domain: Inbound) -> CheckResult:
    check = CHECKS[CheckId.MX_07]
    looks = [scene.lookup.look(endpoint) for endpoint in _endpoints(scene, domain)]
    spoken = [seen for seen in looks if seen.reached in (Reached.ANSWERED, Reached.ENCRYPTED, Reached.AGAIN)]
    refused = {recipient: reply for seen in spoken for recipient, reply in seen.refused}
    deferred = {recipient: reply for seen in spoken for recipient, reply in seen.deferred}
    if refused:
        recipient, reply = next(iter(refused.items()))
        saw = f"{_masked(recipient)} is refused: {shown(reply)}"
        return check.failed(domain.domain, saw, mend="create the mailbox, or an alias for it")
    if not spoken:
        return check.unknown(domain.domain, domain.mx.detail or (looks[0].failed if looks else "no MX host could be reached"))
    if deferred:
        recipient, reply = next(iter(deferred.items()))
        return check.unknown(domain.domain, f"{_masked(recipient)} is deferred: {shown(reply)}")
    return check.passed(domain.domain, "all addresses that were tried are taken")


def _masked(recipient: str) -> str:
    """A role's address as it is; nobody's name."""
    local, _, domain = recipient.rpartition("@")
    return recipient if local.lower() in _ROLES else f"***@{domain}"
