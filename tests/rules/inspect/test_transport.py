"""TLS of our sending, of the MX hosts and of our own services."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from monitor.model.checks import CheckId, CheckResult, Gravity, Status
from monitor.model.dns import DnsFailure
from monitor.model.inspection import SeenMail, Subject
from monitor.model.mailauth import DeliveredMail, Hop, MailProof
from monitor.model.transport import Certificate, Endpoint, Reached, ServerKind, TransportSeen
from monitor.rules.inspect import mx
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.transport import CHECKS, MOST_HOSTS, judge, names_host
from monitor.rules.lookup import Lookup
from tests.rules.inspect.worlds import DOMAIN, NOW, Dns, Row, World, holds, statuses

DAY = 86_400.0
DNS = Dns({"shop.test MX": ["10 mx1.shop.test"], "mx1.shop.test A": ["192.0.2.25"], "mx1.shop.test AAAA": ["2001:db8::25"]})
CERT = Certificate(("mx1.shop.test", "*.mail.shop.test"), NOW - 10 * DAY, NOW + 60 * DAY, "Example CA", self_signed=False, trusted=True)
MX = Endpoint(ServerKind.MX, "mx1.shop.test", 25, "192.0.2.25")
SEEN = TransportSeen(MX, Reached.AGAIN, offers_tls=True, version="TLSv1.3", certificate=CERT, injected=False, at=NOW)
DARK = TransportSeen(MX, Reached.NOTHING, "timed out", transient=True, at=NOW)
HOP = Hop("mx.box.test", "mta1.shop.test", "", "192.0.2.10", "ESMTPS", True)
SUBMISSIONS = Endpoint(ServerKind.SUBMISSIONS, "out.mail.shop.test", 465)
SUBMISSION = Endpoint(ServerKind.SUBMISSION, "out.mail.shop.test", 587)
OWN = replace(SEEN, endpoint=SUBMISSIONS, offers_tls=None)


def mail(hop: Hop | None) -> SeenMail:
    return SeenMail("smtp->box", "box", "box", DeliveredMail(border=hop), MailProof(), NOW - 60, NOW)


def world(seen: TransportSeen = SEEN, *, dns: Dns = DNS, **subject: object) -> World:
    servers = {"192.0.2.25": seen, "2001:db8::25": seen, "out.mail.shop.test": seen}
    return World(dns, replace(Subject(DOMAIN, NOW), **subject), servers)  # type: ignore[arg-type]


def with_cert(**changes: object) -> TransportSeen:
    return replace(SEEN, certificate=replace(CERT, **changes))  # type: ignore[arg-type]


ROWS = {
    CheckId.TLS_01: Row(
        world(mails=(mail(HOP),)), world(mails=(mail(replace(HOP, tls=False, protocol="ESMTP")),)), world(mails=(mail(None),))
    ),
    CheckId.TLS_02: Row(world(), world(replace(SEEN, offers_tls=False, reached=Reached.ANSWERED, certificate=None)), world(DARK)),
    CheckId.TLS_04: Row(world(), world(with_cert(trusted=False, self_signed=True)), world(DARK)),
    CheckId.TLS_05: Row(world(), world(with_cert(not_after=NOW - 1)), world(DARK)),
    CheckId.TLS_06: Row(world(), world(with_cert(names=("mx2.shop.test",))), world(DARK)),
    CheckId.TLS_09: Row(
        world(OWN, endpoints=(SUBMISSIONS,)),
        world(replace(OWN, plain_auth=("PLAIN", "LOGIN"), offers_tls=True), endpoints=(SUBMISSION,)),
        world(DARK, endpoints=(SUBMISSIONS,)),
    ),
}


@pytest.mark.parametrize("check", ROWS)
def test_rows(check: CheckId) -> None:
    holds(ROWS[check], check, judge)


def about(results: tuple[CheckResult, ...], check: CheckId, thing: str) -> CheckResult:
    found = [result for result in results if result.check is check and result.about == thing]
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("hop", "expected"),
    [
        pytest.param(HOP, Status.PASS, id="TLS"),
        pytest.param(replace(HOP, tls=None), Status.UNKNOWN, id="it does not say"),
        pytest.param(replace(HOP, tls=False), Status.FAIL, id="in clear"),
        pytest.param(replace(HOP, tls=False, address="10.0.0.5"), Status.SKIP, id="in clear at home"),
        pytest.param(replace(HOP, address="10.0.0.5"), Status.PASS, id="TLS at home"),
        pytest.param(None, Status.UNKNOWN, id="no trace"),
    ],
)
def test_sending(hop: Hop | None, expected: Status) -> None:
    assert about(world(mails=(mail(hop),)).checked(judge), CheckId.TLS_01, "smtp->box").status is expected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(SEEN, Status.PASS, id="good"),
        pytest.param(replace(SEEN, reached=Reached.ENCRYPTED), Status.PASS, id="EHLO was not repeated"),
        pytest.param(replace(SEEN, injected=True), Status.FAIL, id="injection"),
        pytest.param(replace(SEEN, injected=None), Status.PASS, id="injection not tried"),
        pytest.param(replace(SEEN, reached=Reached.ANSWERED, failed="handshake failure"), Status.FAIL, id="handshake fails"),
        pytest.param(replace(SEEN, reached=Reached.ENCRYPTED, failed="closed"), Status.FAIL, id="dead after the handshake"),
        pytest.param(replace(SEEN, reached=Reached.ANSWERED, failed="timed out", transient=True), Status.UNKNOWN, id="handshake times out"),
        pytest.param(DARK, Status.UNKNOWN, id="not reached"),
        pytest.param(TransportSeen(MX, Reached.CONNECTED, "421 later", transient=True), Status.UNKNOWN, id="greylisted"),
    ],
)
def test_starttls(seen: TransportSeen, expected: Status) -> None:
    assert about(world(seen).checked(judge), CheckId.TLS_02, "mx1.shop.test").status is expected


@pytest.mark.parametrize(
    ("left", "expected", "gravity"),
    [
        (22, Status.PASS, Gravity.INFO),
        (20, Status.WARN, Gravity.WARNING),
        (6, Status.FAIL, Gravity.ERROR),
        (-0.1, Status.FAIL, Gravity.CRITICAL),
    ],
)
def test_expiry(left: float, expected: Status, gravity: Gravity) -> None:
    found = about(world(with_cert(not_after=NOW + left * DAY)).checked(judge), CheckId.TLS_05, "mx1.shop.test")
    assert (found.status, found.gravity) == (expected, gravity)


def test_not_yet_valid() -> None:
    found = about(world(with_cert(not_before=NOW + DAY)).checked(judge), CheckId.TLS_05, "mx1.shop.test")
    assert (found.status, found.gravity) == (Status.FAIL, Gravity.CRITICAL)


def test_an_untrusted_chain_is_graver_at_our_own_service() -> None:
    seen = with_cert(trusted=False, why_untrusted="unable to get local issuer certificate")
    results = world(seen, endpoints=(SUBMISSIONS,)).checked(judge)
    assert about(results, CheckId.TLS_04, "mx1.shop.test").status is Status.WARN
    assert about(results, CheckId.TLS_04, str(SUBMISSIONS)).status is Status.FAIL


@pytest.mark.parametrize(
    ("names", "host", "expected"),
    [
        (("mx1.shop.test",), "mx1.shop.test", True),
        (("MX1.Shop.Test.",), "mx1.shop.test", True),
        (("*.shop.test",), "mx1.shop.test", True),
        (("*.shop.test",), "shop.test", False),
        (("*.shop.test",), "a.mx1.shop.test", False),
        (("*.test",), "shop.test", False),
        (("*",), "shop.test", False),
        (("mx*.shop.test",), "mx1.shop.test", False),
        (("a.*.test",), "a.shop.test", False),
        (("*.shop.test",), "evilshop.test", False),
        ((), "mx1.shop.test", False),
    ],
)
def test_names_host(names: tuple[str, ...], host: str, expected: bool) -> None:
    assert names_host(names, host) is expected


def test_one_address_that_is_not_reached_says_nothing_while_another_is() -> None:
    both = replace(world(), servers={"192.0.2.25": SEEN, "2001:db8::25": DARK}).checked(judge)
    assert statuses(both, CheckId.TLS_02) == {Status.PASS}
    bare = replace(SEEN, offers_tls=False, reached=Reached.ANSWERED, certificate=None)
    mixed = replace(world(), servers={"192.0.2.25": SEEN, "2001:db8::25": bare}).checked(judge)
    assert statuses(mixed, CheckId.TLS_02) == {Status.FAIL}


@pytest.mark.parametrize(
    ("dns", "expected"),
    [
        pytest.param(Dns({"shop.test MX": ["0 ."]}), Status.SKIP, id="null MX"),
        pytest.param(Dns({"shop.test A": ["192.0.2.25"]}), Status.PASS, id="implicit MX"),
        pytest.param(Dns({"shop.test MX": ["10 gone.shop.test"]}), Status.SKIP, id="MX without an address"),
        pytest.param(replace(DNS, fails={"shop.test MX": DnsFailure.SERVFAIL}), Status.UNKNOWN, id="MX not answered"),
        pytest.param(replace(DNS, fails={"mx1.shop.test *": DnsFailure.TIMEOUT}), Status.UNKNOWN, id="address not answered"),
    ],
)
def test_exchanges(dns: Dns, expected: Status) -> None:
    assert statuses(world(dns=dns).checked(judge), CheckId.TLS_02) == {expected}


def test_all_envelope_domains() -> None:
    dns = DNS.but(**{"bounce.test MX": ["10 mx.bounce.test"], "mx.bounce.test A": ["192.0.2.25"]})
    results = world(dns=dns, envelope=("bounce.test",)).checked(judge)
    assert {result.about for result in results if result.check is CheckId.TLS_06} == {"mx1.shop.test", "mx.bounce.test"}


def test_each_server_is_connected_to_once() -> None:
    """The looks are those of MX-05 and MX-07."""
    dns = DNS.but(**{"bounce.test MX": ["10 mx1.shop.test", "20 mx.bounce.test"], "mx.bounce.test A": ["192.0.2.26"]})
    each = world(dns=dns, envelope=("bounce.test",), recipients=("postmaster@shop.test", "abuse@bounce.test"))
    ours = each.asked(lambda lookup: looked(judge, each, lookup))
    assert {str(endpoint) for endpoint in ours} == {
        "mx1.shop.test:25 [192.0.2.25]",
        "mx1.shop.test:25 [2001:db8::25]",
        "mx.bounce.test:25 [192.0.2.26]",
    }
    assert ours <= each.asked(lambda lookup: looked(mx.judge, each, lookup))


def looked(family: Callable[[Scene], Iterator[CheckResult]], each: World, lookup: Lookup) -> set[Endpoint]:
    tuple(family(Scene(each.subject, lookup, each)))
    return set(lookup.seen)


def test_a_private_mx_is_not_connected_to() -> None:
    dns = DNS.but(**{"mx1.shop.test A": ["10.0.0.25"], "mx1.shop.test AAAA": None})
    assert statuses(world(dns=dns).checked(judge), CheckId.TLS_02) == {Status.SKIP}
    lab = replace(world(dns=dns, private_addresses=True), servers={"10.0.0.25": SEEN})
    assert statuses(lab.checked(judge), CheckId.TLS_02) == {Status.PASS}


@pytest.mark.parametrize(
    ("endpoint", "seen", "expected"),
    [
        pytest.param(SUBMISSIONS, OWN, Status.PASS, id="implicit TLS"),
        pytest.param(SUBMISSION, replace(OWN, offers_tls=True), Status.INFO, id="STARTTLS"),
        pytest.param(SUBMISSION, replace(OWN, offers_tls=False, reached=Reached.ANSWERED, certificate=None), Status.FAIL, id="no TLS"),
        pytest.param(SUBMISSION, replace(OWN, offers_tls=True, injected=True), Status.FAIL, id="injection"),
        pytest.param(SUBMISSION, replace(DARK, plain_auth=("LOGIN",)), Status.FAIL, id="a password in clear"),
    ],
)
def test_services(endpoint: Endpoint, seen: TransportSeen, expected: Status) -> None:
    assert about(world(seen, endpoints=(endpoint,)).checked(judge), CheckId.TLS_09, str(endpoint)).status is expected


def test_a_service_configured_by_address_has_no_name_to_check() -> None:
    endpoint = Endpoint(ServerKind.IMAPS, "192.0.2.25", 993)
    assert about(world(endpoints=(endpoint,)).checked(judge), CheckId.TLS_06, str(endpoint)).status is Status.SKIP


def test_every_id_in_every_world() -> None:
    for each in (world(transport=False), World(Dns(), Subject(DOMAIN, NOW)), *(row.unknown for row in ROWS.values())):
        results = each.checked(judge)
        assert {result.check for result in results} == set(CHECKS)
        assert len({(result.check, result.about) for result in results}) == len(results)
    assert {result.status for result in world(transport=False).checked(judge)} == {Status.SKIP}


def test_bounded_and_hostile() -> None:
    dns = Dns({"shop.test MX": [f"10 mx{n}.shop.test" for n in range(30)], **{f"mx{n}.shop.test A": ["192.0.2.25"] for n in range(30)}})
    results = [result for result in world(dns=dns).checked(judge) if result.check is CheckId.TLS_02]
    assert len(results) == MOST_HOSTS + 1 and "20 more" in results[-1].saw
    evil = with_cert(names=("\x1b[2J", "seed@box.test"), issuer="\x1b[2J", trusted=False, why_untrusted="\r\nseed@box.test")
    assert all((result.saw + result.record).isprintable() and "seed@" not in result.saw for result in world(evil).checked(judge))
