"""TLS: of our sending, of the MX hosts, and of our own submission and IMAP services (TLS-01, 02, 04, 05, 06, 09)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from monitor.model.checks import CheckId, CheckResult, Gravity, Status
from monitor.model.dns import RecordType, mx_of
from monitor.model.inspection import SeenMail
from monitor.model.transport import Certificate, Endpoint, Reached, ServerKind, TransportSeen
from monitor.rules.inspect.check import Check
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.zonefile import shown
from monitor.rules.mailauth.trace import canonical, is_public
from monitor.rules.plain import plain

MOST_MAILS = 20
MOST_HOSTS = 10
MOST_ADDRESSES = 4  # of one MX host
MOST_ENDPOINTS = 20
DAY = 86_400.0
WARN_DAYS, FAIL_DAYS = 21, 7

CHECKS = {
    check.id: check
    for check in (
        Check(
            CheckId.TLS_01,
            "mail is sent over TLS",
            "Gmail refuses mail from bulk senders that comes without TLS, and marks the rest as not encrypted.",
            "Gmail 5.7.29, RFC 3848",
            Gravity.CRITICAL,
        ),
        Check(
            CheckId.TLS_02,
            "the MX offers STARTTLS",
            "Replies and bounces cross the net in clear, or not at all where the sender insists on TLS; commands can be injected.",
            "RFC 3207",
            Gravity.CRITICAL,
        ),
        Check(
            CheckId.TLS_04,
            "the certificate chain is trusted",
            "Senders that verify (MTA-STS, DANE-TA, mail clients) refuse a chain that leads to no trusted root.",
            "RFC 5280, RFC 8461 section 4.2",
            Gravity.ERROR,
        ),
        Check(
            CheckId.TLS_05,
            "the certificate is valid today",
            "With an expired certificate clients and verifying senders stop at once.",
            "RFC 5280 section 4.1.2.5",
            Gravity.CRITICAL,
        ),
        Check(
            CheckId.TLS_06,
            "the certificate bears the host's name",
            "Clients and verifying senders refuse a certificate for another name.",
            "RFC 7817, RFC 9525, RFC 8461 section 4.1",
            Gravity.ERROR,
        ),
        Check(
            CheckId.TLS_09,
            "submission and IMAP never show a password in clear",
            "Whoever reads the line reads the password with which refund mail is submitted.",
            "RFC 8314 section 3",
            Gravity.CRITICAL,
        ),
    )
}
_OF_MX = (CheckId.TLS_02, CheckId.TLS_04, CheckId.TLS_05, CheckId.TLS_06)
_OF_CERTIFICATE = (CheckId.TLS_04, CheckId.TLS_05, CheckId.TLS_06)
_ORDER = tuple(Reached)
_WORST = (Status.FAIL, Status.WARN, Status.PASS, Status.INFO, Status.UNKNOWN, Status.SKIP)  # of several addresses of one host


def judge(scene: Scene) -> Iterator[CheckResult]:
    yield from _sending(scene)
    if not scene.subject.transport:
        for id_ in _OF_MX:
            yield CHECKS[id_].skipped(scene.subject.domain, "mail servers are not looked at: inspect.transport, or --no-transport")
    else:
        yield from _exchanges(scene)
    yield from _services(scene)


def names_host(names: Sequence[str], host: str) -> bool:
    """One of the names of a certificate is this host's: equal, or with a wildcard as the whole left-most label, which stands for exactly
    one label (RFC 9525 section 6.3)."""
    host = host.lower().rstrip(".")
    below = host.partition(".")[2]
    for name in names:
        name = name.lower().rstrip(".")
        if name == host or (name.startswith("*.") and "." in name[2:] and name[2:] == below):
            return True
    return False


def _sending(scene: Scene) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.TLS_01]
    mails = {mail.route: mail for mail in scene.subject.mails}
    if not mails:
        yield check.skipped(scene.subject.domain, "no delivered mail was seen yet: it is learned from probes")
    for mail in list(mails.values())[:MOST_MAILS]:
        yield _sent(mail)
    if (more := len(mails) - MOST_MAILS) > 0:
        yield check.noted("more routes", f"mail of {more} more was not looked at")


def _sent(seen: SeenMail) -> CheckResult:
    check = CHECKS[CheckId.TLS_01]
    hop = seen.mail.border
    if hop is None:
        why = "the header was not read to its end" if seen.mail.header_cut else "no Received field names the client's address"
        return check.unknown(seen.route, f"how the receiver took the mail is not known: {why}")
    where = f"{plain(hop.by) or seen.provider} took it from {hop.address}"
    if hop.tls:
        return check.passed(seen.route, f"{where} over TLS ({plain(hop.protocol)})")
    if hop.tls is None:
        return check.unknown(seen.route, f"{where}, and does not say how")
    if not is_public(hop.address):
        return check.skipped(seen.route, f"{where} without TLS, within a private network")
    mend = (
        "let the sending server use TLS wherever it is offered (Postfix: smtp_tls_security_level = may; Exim: hosts_try_* of the transport)"
    )
    return check.failed(seen.route, f"{where} without TLS ({plain(hop.protocol)})", mend=mend)


# --- the MX hosts ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Host:
    """An MX host with all that its addresses show."""

    name: str
    seen: tuple[TransportSeen, ...]
    dark: str = ""  # why it has no addresses that we know of


def _exchanges(scene: Scene) -> Iterator[CheckResult]:
    domains = tuple(dict.fromkeys((scene.subject.domain, *scene.envelope)))[:MOST_HOSTS]
    names: dict[str, str] = {}  # host -> the domain that it takes mail for
    dark: list[str] = []
    for domain, answer in [(domain, scene.lookup.ask(domain, RecordType.MX)) for domain in domains]:
        if answer.failed:
            dark.append(domain)
        found = [mx_of(record)[1] for record in answer.records] if answer.found else [domain] if answer.void else []
        names |= {host: domain for host in found if host != "." and not canonical(host)}
    hosts = [host for name, domain in list(names.items())[:MOST_HOSTS] if (host := _host(scene, name, domain)) is not None]
    for id_ in _OF_MX:
        for domain in dark:
            yield CHECKS[id_].unknown(domain, "its MX could not be asked for")
        for host in hosts:
            if host.name not in dark:
                yield _of_host(CHECKS[id_], host, scene.subject.now)
        if (more := len(names) - MOST_HOSTS) > 0:
            yield CHECKS[id_].noted("more MX hosts", f"{more} more were not looked at")
        if not hosts and not dark:
            yield CHECKS[id_].skipped(scene.subject.domain, "there is no MX host with an address that can be reached")


def _host(scene: Scene, name: str, domain: str) -> _Host | None:
    """None: it has no address to connect to, which is MX-01's matter. The looks are those of MX-05 and MX-07, word for word, so that each
    server is connected to once."""
    answers = [scene.lookup.ask(name, kind) for kind in (RecordType.A, RecordType.AAAA)]
    addresses = [address for answer in answers if answer.found for address in answer.records[:MOST_ADDRESSES]]
    reachable = [address for address in addresses if scene.subject.private_addresses or is_public(address)]
    if not reachable:
        return _Host(name, (), "its address could not be asked for") if any(answer.failed for answer in answers) else None
    recipients = tuple(address for address in scene.subject.recipients if address.rpartition("@")[2].lower() == domain)
    port = scene.subject.smtp_port
    return _Host(
        name, tuple(scene.lookup.look(Endpoint(ServerKind.MX, name, port, address, recipients=recipients)) for address in reachable)
    )


def _of_host(check: Check, host: _Host, now: float) -> CheckResult:
    """The worst of what its addresses show; one that cannot be reached says nothing while another can."""
    if not host.seen:
        return check.unknown(host.name, host.dark)
    if check.id is CheckId.TLS_02:
        found = [_starttls(check, host.name, seen) for seen in host.seen]
    else:
        found = [_certified(check, host.name, seen, now) for seen in host.seen]
    return min(found, key=lambda result: _WORST.index(result.status))


def _starttls(check: Check, about: str, seen: TransportSeen) -> CheckResult:
    mend = "give the MX a certificate and switch STARTTLS on (Postfix: smtpd_tls_security_level = may)"
    at = seen.endpoint.address or str(seen.endpoint)
    if seen.injected:
        what = f"{at}: a command sent before TLS was obeyed inside it"
        return check.failed(about, what, mend="update the mail server: it must drop what it has read when STARTTLS comes (CVE-2011-0411)")
    if seen.offers_tls is False:
        return check.failed(about, f"{at} does not offer STARTTLS", record=shown(seen.reply), mend=mend)
    if _got(seen, Reached.AGAIN) or (_got(seen, Reached.ENCRYPTED) and not seen.failed):
        return check.passed(about, f"{at} offers STARTTLS and keeps the promise ({plain(seen.version) or 'TLS'})")
    if seen.offers_tls and not seen.transient:
        return check.failed(about, f"{at} offers STARTTLS, but it fails: {shown(seen.failed)}", record=shown(seen.reply), mend=mend)
    return check.unknown(about, f"{at} could not be looked at: {shown(seen.failed) or 'it gave no answer'}")


# --- our own services ------------------------------------------------------------------------------------------------


def _services(scene: Scene) -> Iterator[CheckResult]:
    endpoints = tuple(dict.fromkeys(scene.subject.endpoints))
    if not endpoints:
        yield CHECKS[CheckId.TLS_09].skipped(scene.subject.domain, "no submission or IMAP service of ours is known")
    for seen in [scene.lookup.look(endpoint) for endpoint in endpoints[:MOST_ENDPOINTS]]:
        yield _service(str(seen.endpoint), seen)
        for id_ in _OF_CERTIFICATE:
            yield _certified(CHECKS[id_], str(seen.endpoint), seen, scene.subject.now)
    if (more := len(endpoints) - MOST_ENDPOINTS) > 0:
        for id_ in (CheckId.TLS_09, *_OF_CERTIFICATE):
            yield CHECKS[id_].noted("our services", f"{more} more were not looked at")


def _service(about: str, seen: TransportSeen) -> CheckResult:
    check = CHECKS[CheckId.TLS_09]
    if seen.injected:
        mend = "update the server: it must drop what it has read when STARTTLS comes (CVE-2011-0411)"
        return check.failed(about, "a command sent before TLS was obeyed inside it", mend=mend)
    if seen.plain_auth:
        offered = plain(" ".join(seen.plain_auth[:8]))
        mend = "offer AUTH and LOGIN only inside TLS (Postfix: smtpd_tls_auth_only = yes; Dovecot: disable_plaintext_auth = yes)"
        return check.failed(about, f"it offers {offered} before TLS", record=offered, mend=mend)
    if seen.offers_tls is False:
        return check.failed(about, "it offers no TLS at all", record=shown(seen.reply), mend="switch TLS on, best on port 465 or 993")
    if not _got(seen, Reached.ENCRYPTED):
        return check.unknown(about, f"it could not be looked at: {shown(seen.failed) or 'it gave no answer'}")
    if seen.endpoint.kind in (ServerKind.SUBMISSIONS, ServerKind.IMAPS):
        return check.passed(about, f"TLS from the first byte ({plain(seen.version) or 'TLS'})")
    return check.noted(about, "STARTTLS, and no password before it; TLS from the first byte (465, 993) is preferred")


# --- certificates ----------------------------------------------------------------------------------------------------


def _certified(check: Check, about: str, seen: TransportSeen, now: float) -> CheckResult:
    certificate = seen.certificate
    if certificate is None and seen.offers_tls is False:
        return check.skipped(about, "it offers no TLS")
    if certificate is None:
        return check.unknown(about, f"its certificate was not seen: {shown(seen.failed) or 'no TLS session came about'}")
    judged: dict[CheckId, Callable[[], CheckResult]] = {
        CheckId.TLS_04: lambda: _chain(check, about, seen, certificate),
        CheckId.TLS_05: lambda: _validity(check, about, certificate, now),
        CheckId.TLS_06: lambda: _naming(check, about, seen, certificate),
    }
    return judged[check.id]()


def _chain(check: Check, about: str, seen: TransportSeen, certificate: Certificate) -> CheckResult:
    """An MX is used without verification by most senders: there it is a warning."""
    if certificate.trusted:
        return check.passed(about, f"issued by {shown(certificate.issuer)}")
    why = "it is self-signed" if certificate.self_signed else shown(certificate.why_untrusted) or "no path leads to a trusted root"
    mend = "get a certificate of a public authority, and serve it with all intermediate certificates (fullchain.pem)"
    if seen.endpoint.kind is ServerKind.MX:
        return check.warned(about, f"the certificate is not trusted: {why}", shown(certificate.issuer), mend)
    return check.failed(about, f"the certificate is not trusted: {why}", shown(certificate.issuer), mend)


def _validity(check: Check, about: str, certificate: Certificate, now: float) -> CheckResult:
    left = (certificate.not_after - now) / DAY
    until = f"{datetime.fromtimestamp(certificate.not_after, UTC):%Y-%m-%d %H:%M} UTC"
    mend = "renew the certificate, and have the server load it"
    if certificate.not_before > now:
        begins = f"{datetime.fromtimestamp(certificate.not_before, UTC):%Y-%m-%d %H:%M} UTC"
        return check.failed(about, f"not valid before {begins}", mend="put the old one back until then")
    if left <= 0:
        return check.failed(about, f"it has expired on {until}", mend=mend)
    if left < FAIL_DAYS:
        return check.failed(about, f"it expires on {until}", mend=mend, gravity=Gravity.ERROR)
    if left < WARN_DAYS:
        return check.warned(about, f"it expires on {until}", mend=mend)
    return check.passed(about, f"valid until {until}")


def _naming(check: Check, about: str, seen: TransportSeen, certificate: Certificate) -> CheckResult:
    host = seen.endpoint.host
    names = shown(", ".join(certificate.names[:8])) or "no name at all"
    if canonical(host):
        return check.skipped(about, "it is configured by address, and certificates bear names")
    if names_host(certificate.names, host):
        return check.passed(about, f"it bears {host}", names)
    return check.failed(about, f"it is for {names}, not for {host}", names, f"get a certificate with {host} in subjectAltName")


def _got(seen: TransportSeen, reached: Reached) -> bool:
    return _ORDER.index(seen.reached) >= _ORDER.index(reached)
