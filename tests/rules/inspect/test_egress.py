"""The sending addresses: reverse DNS and the name in EHLO."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.checks import CheckId, CheckResult, Status
from monitor.model.dns import DnsFailure
from monitor.model.inspection import SeenMail, Subject
from monitor.model.mailauth import DeliveredMail, Hop, MailProof, SignatureProof, SignatureState
from monitor.rules.inspect.egress import CHECKS, MOST_ADDRESSES, MOST_NAMES, judge, looks_generated, no_host_name
from tests.rules.inspect.worlds import DOMAIN, NOW, Dns, Row, World, holds, statuses

FOUR, SIX = "192.0.2.10", "2001:db8::10"
FOUR_PTR = "10.2.0.192.in-addr.arpa PTR"
SIX_PTR = "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR"
GOOD = Dns(
    {
        FOUR_PTR: ["mta1.shop.test"],
        SIX_PTR: ["mta1.shop.test"],
        "mta1.shop.test A": [FOUR],
        "mta1.shop.test AAAA": [SIX],
        "shop.test TXT": [f"v=spf1 ip4:{FOUR} ip6:{SIX} -all"],
    }
)
SIGNED = MailProof(dkim=(SignatureProof(DOMAIN, "s1", "rsa-sha256", SignatureState.PASS),))
UNSIGNED = MailProof()
SUBJECT = Subject(DOMAIN, NOW, egress=(FOUR,), helo=("mta1.shop.test",))


def mail(helo: str = "mta1.shop.test", address: str = FOUR, proof: MailProof = SIGNED, header_cut: bool = False) -> SeenMail:
    hop = None if header_cut else Hop("mx.box.test", helo, "", address, "ESMTPS", True)
    return SeenMail("smtp->gmail", "gmail", "box", DeliveredMail(border=hop, header_cut=header_cut), proof, NOW - 60, NOW)


def world(dns: Dns = GOOD, **subject: object) -> World:
    return World(dns, replace(SUBJECT, **subject))  # type: ignore[arg-type]


def failing(key: str) -> Dns:
    return replace(GOOD, fails={key: DnsFailure.SERVFAIL})


SIX_SENDS = {"egress": (SIX,), "mails": (mail(address=SIX),)}
ROWS = {
    CheckId.IP_01: Row(world(), world(GOOD.but(**{FOUR_PTR: None})), world(failing(FOUR_PTR))),
    CheckId.IP_02: Row(world(), world(GOOD.but(**{"mta1.shop.test A": ["192.0.2.99"]})), world(failing("mta1.shop.test A"))),
    CheckId.IP_03: Row(world(), world(helo=("localhost",)), world(failing("mta1.shop.test *"))),
    CheckId.IP_04: Row(world(), world(GOOD.but(**{FOUR_PTR: ["192-0-2-10.pool.isp.test"]})), world(failing(FOUR_PTR))),
    CheckId.IP_05: Row(
        world(**SIX_SENDS),
        world(GOOD.but(**{"shop.test TXT": ["v=spf1 -all"]}), **SIX_SENDS),
        world(failing(SIX_PTR), **SIX_SENDS),
    ),
}


@pytest.mark.parametrize("check", ROWS)
def test_rows(check: CheckId) -> None:
    holds(ROWS[check], check, judge)


def one(results: tuple[CheckResult, ...], check: CheckId) -> CheckResult:
    found = [result for result in results if result.check is check]
    assert len(found) == 1, found
    return found[0]


def test_every_id_in_every_world() -> None:
    empty = World(Dns(), Subject(DOMAIN, NOW)).checked(judge)
    assert {result.check for result in empty} == set(CHECKS)
    assert {result.status for result in empty} == {Status.SKIP}
    assert "--egress" in one(empty, CheckId.IP_01).saw
    for row in ROWS.values():
        for each in (row.passing, row.failing, row.unknown):
            results = each.checked(judge)
            assert {result.check for result in results} == set(CHECKS)
            assert len({(result.check, result.about) for result in results}) == len(results)


def test_observed_addresses_stand_in_for_declared_ones() -> None:
    found = one(world(egress=(), observed=((FOUR, NOW), (FOUR.replace("10", "10"), NOW))).checked(judge), CheckId.IP_01)
    assert (found.status, found.about) == (Status.PASS, FOUR)


def test_what_to_publish() -> None:
    without = world(GOOD.but(**{FOUR_PTR: None})).checked(judge)
    assert one(without, CheckId.IP_01).publish == "10.2.0.192.in-addr.arpa. 3600 IN PTR mta1.shop.test."
    astray = world(GOOD.but(**{"mta1.shop.test A": None})).checked(judge)
    assert one(astray, CheckId.IP_02).publish == "mta1.shop.test. 3600 IN A 192.0.2.10"
    six = world(GOOD.but(**{"mta1.shop.test AAAA": None}), egress=(SIX,)).checked(judge)
    assert one(six, CheckId.IP_02).publish == "mta1.shop.test. 3600 IN AAAA 2001:db8::10"


@pytest.mark.parametrize(
    ("dns", "expected"),
    [
        pytest.param(GOOD.but(**{FOUR_PTR: ["a.shop.test", "mta1.shop.test"]}), Status.WARN, id="one of two leads back"),
        pytest.param(
            replace(GOOD.but(**{FOUR_PTR: ["a.shop.test", "mta1.shop.test"]}), fails={"a.shop.test A": DnsFailure.TIMEOUT}),
            Status.PASS,
            id="one leads back, the other is open",
        ),
        pytest.param(
            replace(GOOD.but(**{FOUR_PTR: ["a.shop.test", "b.shop.test"]}), fails={"a.shop.test A": DnsFailure.TIMEOUT}),
            Status.UNKNOWN,
            id="one is open, the other leads elsewhere",
        ),
        pytest.param(
            GOOD.but(**{FOUR_PTR: [*(f"a{n:02}.shop.test" for n in range(MOST_NAMES)), "mta1.shop.test"]}),
            Status.FAIL,
            id="only the eleventh leads back",
        ),
        pytest.param(
            GOOD.but(**{FOUR_PTR: [*(f"a{n:02}.shop.test" for n in range(MOST_NAMES - 1)), "mta1.shop.test"]}),
            Status.WARN,
            id="the tenth leads back",
        ),
        pytest.param(GOOD.but(**{FOUR_PTR: None}), Status.FAIL, id="no reverse DNS"),
        pytest.param(replace(GOOD, fails={FOUR_PTR: DnsFailure.BOGUS}), Status.UNKNOWN, id="bogus"),
    ],
)
def test_leads_back(dns: Dns, expected: Status) -> None:
    assert one(world(dns).checked(judge), CheckId.IP_02).status is expected


def test_ipv6_address_in_another_spelling_leads_back() -> None:
    dns = GOOD.but(**{"mta1.shop.test AAAA": ["2001:DB8:0::10"]})
    assert one(world(dns, egress=("2001:0db8::0010",)).checked(judge), CheckId.IP_02).status is Status.PASS


@pytest.mark.parametrize(
    ("subject", "dns", "expected"),
    [
        pytest.param({"helo": ("[192.0.2.10]",)}, GOOD, Status.FAIL, id="literal"),
        pytest.param({"helo": ("mta1",)}, GOOD, Status.FAIL, id="no domain"),
        pytest.param({"helo": ("mta1.localdomain",)}, GOOD, Status.FAIL, id="localdomain"),
        pytest.param({"helo": ("gone.shop.test",)}, GOOD, Status.FAIL, id="does not resolve"),
        pytest.param({"helo": ("Mta1.Shop.test.",)}, GOOD, Status.PASS, id="spelling"),
        pytest.param({"helo": ("www.shop.test",)}, GOOD.but(**{"www.shop.test A": ["192.0.2.80"]}), Status.WARN, id="leads elsewhere"),
        pytest.param({"helo": ("out.shop.test",)}, GOOD.but(**{"out.shop.test A": [FOUR]}), Status.WARN, id="is not the reverse name"),
        pytest.param({"helo": (), "mails": (mail(),)}, GOOD, Status.PASS, id="as seen in mail"),
        pytest.param({"helo": (), "mails": (mail("localhost"),)}, GOOD, Status.FAIL, id="localhost seen in mail"),
        pytest.param({"helo": (), "mails": (mail("localhost", "127.0.0.1"),)}, GOOD, Status.SKIP, id="localhost at home"),
        pytest.param({"helo": (), "mails": (mail(address="192.0.2.11"),)}, GOOD, Status.WARN, id="seen from another address"),
        pytest.param({"helo": (), "mails": (mail(), mail(address="192.0.2.11"))}, GOOD, Status.WARN, id="seen from two, leads to one"),
        pytest.param({"helo": (), "mails": (mail(header_cut=True),)}, GOOD, Status.UNKNOWN, id="header cut"),
        pytest.param({"helo": (), "mails": ()}, GOOD, Status.SKIP, id="nothing known"),
        pytest.param({"egress": ()}, GOOD, Status.PASS, id="resolves, sending addresses unknown"),
        pytest.param({"egress": (FOUR, "192.0.2.11")}, GOOD, Status.PASS, id="one of a pool"),
        pytest.param({}, failing("mta1.shop.test AAAA"), Status.PASS, id="A is enough"),
        pytest.param({}, failing("mta1.shop.test A"), Status.UNKNOWN, id="only AAAA answers"),
        pytest.param({}, failing(FOUR_PTR), Status.UNKNOWN, id="reverse DNS fails"),
    ],
)
def test_greeting(subject: dict[str, object], dns: Dns, expected: Status) -> None:
    assert one(world(dns, **subject).checked(judge), CheckId.IP_03).status is expected


@pytest.mark.parametrize(
    ("proof", "dns", "expected"),
    [
        pytest.param(SIGNED, GOOD, Status.PASS, id="all right"),
        pytest.param(UNSIGNED, GOOD, Status.FAIL, id="no signature"),
        pytest.param(
            replace(SIGNED, dkim=(replace(SIGNED.dkim[0], state=SignatureState.TEMPERROR),)), GOOD, Status.UNKNOWN, id="key not answered"
        ),
        pytest.param(SIGNED, GOOD.but(**{"mta1.shop.test AAAA": None}), Status.FAIL, id="does not lead back"),
        pytest.param(SIGNED, failing("shop.test TXT"), Status.UNKNOWN, id="SPF cannot be told"),
        pytest.param(None, GOOD, Status.INFO, id="no mail seen"),
    ],
)
def test_ipv6(proof: MailProof | None, dns: Dns, expected: Status) -> None:
    mails = (mail(address=SIX, proof=proof),) if proof else ()
    assert one(world(dns, egress=(SIX,), mails=mails).checked(judge), CheckId.IP_05).status is expected


@pytest.mark.parametrize(
    ("name", "address", "generated"),
    [
        ("mta1.shop.test", FOUR, False),
        ("mail.pool.test", FOUR, False),
        ("192-0-2-10.isp.test", FOUR, True),
        ("10.2.0.192.isp.test", FOUR, True),
        ("ip192.0.2.10.isp.test", FOUR, True),
        ("host-192-000-002-010.isp.test", FOUR, True),
        ("c000020a.isp.test", FOUR, True),
        ("x192000002010.isp.test", FOUR, True),
        ("1192-0-2-10.isp.test", FOUR, False),
        ("mail10.isp.test", FOUR, False),
        ("dyn7.isp.test", FOUR, True),
        ("client.adsl.isp.test", FOUR, True),
        ("dynamics.isp.test", FOUR, False),
        ("p20010db8000000000000000000000010.isp.test", SIX, True),
        ("2001-0db8-0000-0000-0000-0000-0000-0010.isp.test", SIX, True),
        ("mta1.shop.test", SIX, False),
    ],
)
def test_looks_generated(name: str, address: str, generated: bool) -> None:
    assert bool(looks_generated(name, address, ".".join(name.split(".")[-2:]))) is generated


@pytest.mark.parametrize("name", ["a.test", "mta-1.shop.test", "_x.shop.test", "xn--bcher-kva.test"])
def test_host_names(name: str) -> None:
    assert not no_host_name(name)


@pytest.mark.parametrize(
    "name", ["[192.0.2.1]", "192.0.2.1", "2001:db8::1", "localhost", "x", "a b.test", "a..test", "x.lan", "(.test", "é.test"]
)
def test_no_host_names(name: str) -> None:
    assert no_host_name(name)


def test_private_addresses() -> None:
    behind = world(egress=("10.0.0.5",)).checked(judge)
    assert statuses(behind, CheckId.IP_02) == {Status.UNKNOWN}
    wanted = world(egress=("10.0.0.5",), private_addresses=True).checked(judge)
    assert statuses(wanted, CheckId.IP_02) == {Status.SKIP}
    named = {"5.0.0.10.in-addr.arpa PTR": ["mta1.shop.test"], "mta1.shop.test A": ["10.0.0.5"]}
    assert statuses(world(GOOD.but(**named), egress=("10.0.0.5",), private_addresses=True).checked(judge), CheckId.IP_02) == {Status.PASS}


def test_bounded_and_hostile() -> None:
    many = tuple(f"192.0.2.{n}" for n in range(MOST_ADDRESSES + 5))
    results = world(egress=many).checked(judge)
    assert sum(result.check is CheckId.IP_01 for result in results) == MOST_ADDRESSES + 1
    assert "5 more" in [result for result in results if result.check is CheckId.IP_01][-1].saw
    evil = world(GOOD.but(**{FOUR_PTR: ["\x1b[2Jseed@box.test.isp.test"]}), mails=(mail("\x1b[2J" + "a" * 300),)).checked(judge)
    assert all(char.isprintable() for result in evil for char in result.saw + result.record + result.publish + result.about)
    assert not any("seed@" in result.saw + result.record for result in evil)
    assert World(Dns(), replace(SUBJECT, egress=("nonsense", ""))).checked(judge)


OTHER = "192.0.2.11"
BARE = GOOD.but(**{FOUR_PTR: None, "11.2.0.192.in-addr.arpa PTR": None})


def lines(where: World) -> set[str]:
    return {result.publish for result in where.checked(judge) if result.publish}


def test_a_pointer_is_published_only_for_a_name_that_leads_back() -> None:
    assert lines(world(BARE, egress=(FOUR, OTHER))) == {"10.2.0.192.in-addr.arpa. 3600 IN PTR mta1.shop.test."}
    assert lines(world(BARE, helo=())) == set()
    generated = BARE.but(**{"192-0-2-10.dyn.shop.test A": [FOUR]})
    assert lines(world(generated, helo=("192-0-2-10.dyn.shop.test",))) == set()
    [first, *_] = [one for one in world(BARE, helo=()).checked(judge) if one.check is CheckId.IP_01]
    assert "a name of its own" in first.mend


def test_two_addresses_with_one_unknown_name_get_words() -> None:
    nameless = BARE.but(**{"mta1.shop.test A": None, "mta1.shop.test AAAA": None})
    assert lines(world(nameless, egress=(FOUR, OTHER))) == set()
    assert lines(world(nameless)) == {f"mta1.shop.test. 3600 IN A {FOUR}"}


def test_an_address_record_of_others_is_not_replaced() -> None:
    assert lines(world(GOOD.but(**{"mta1.shop.test A": ["192.0.2.99"]}))) == set()
    foreign = GOOD.but(**{FOUR_PTR: ["host.isp.example"]})
    assert not [line for line in lines(world(foreign)) if line.startswith("host.isp.example")]
    alias = replace(GOOD.but(**{"mta1.shop.test A": None}), aliases={"mta1.shop.test": "gone.shop.test"})
    assert lines(world(alias)) == set()
