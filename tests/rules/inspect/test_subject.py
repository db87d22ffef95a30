"""What an inspection is about: declared, or learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monitor.model.facts import Delivered, Entry, Fact, MailProved, ZoneObserved
from monitor.model.inspection import Cause, Facet, FacetKind, KeyAge, Selector, Subject
from monitor.model.instant import Instant
from monitor.model.mailauth import DeliveredMail, Hop, MailProof, Signature
from monitor.model.policy import Policy
from monitor.model.probe import MailboxName, PathName, ProbeId, Route
from monitor.model.transport import Endpoint, ServerKind
from monitor.rules.inspect.subject import FRESH_FOR, MAIL_FOR, domain_of, domains_of_path, subject_of
from monitor.views.zones import Zones
from tests.stages.house import RELAY, policy, seed

NOW = 2_000_000.0
DAY = 86_400.0
SHOP = "shop.test"
MAIL = DeliveredMail(
    author_domains=(SHOP,),
    envelope_domain="bounce.shop.test",
    border=Hop(address="192.0.2.10", helo="Mail.shop.test."),
    signatures=(Signature("shop.test", "s1", "rsa-sha256"), Signature("esp.test", "e1", "rsa-sha256")),
)


def ago(seconds: float) -> Instant:
    return Instant(NOW - seconds, 0.0, "one")


def known(directory: Path, **inspect: Any) -> Policy:
    return policy(directory, seeds=2, inspect={"enabled": True, **inspect})


def folded(*facts: Fact) -> Zones:
    zones = Zones()
    for seq, fact in enumerate(facts, 1):
        zones.fold(Entry(seq, "", fact))
    return zones


def delivered(seconds: float = 10.0, mail: DeliveredMail = MAIL, route: Route = Route(RELAY, seed(1))) -> list[Fact]:  # noqa: B008
    seq = 1
    return [
        Delivered(ago(seconds), ProbeId("p"), route, route.mailbox, mail),
        MailProved(ago(seconds), ProbeId("p"), route, seq, MailProof(), NOW - 20),
    ]


def made(policy: Policy, *facts: Fact, domain: str = SHOP) -> Subject:
    return subject_of(policy.inspect.domains[domain], policy, folded(*facts), NOW)


def test_nothing_is_known_yet(tmp_path: Path) -> None:
    subject = made(known(tmp_path))
    assert (subject.domain, subject.now, subject.egress, subject.declared, subject.selectors) == (SHOP, NOW, (), False, ())
    assert (subject.mails, subject.keys, subject.baseline, subject.approved, subject.watched_since) == ((), (), (), None, None)


def test_learned(tmp_path: Path) -> None:
    subject = made(known(tmp_path), *delivered())
    assert (subject.egress, subject.declared, subject.observed) == (("192.0.2.10",), False, (("192.0.2.10", NOW - 10),))
    assert (subject.envelope, subject.helo, subject.watched_since) == (("bounce.shop.test",), ("mail.shop.test",), NOW - 10)
    assert subject.selectors == (Selector(SHOP, "s1", False, NOW - 10),), "an ESP's own signature is none of ours"
    (mail,) = subject.mails
    assert (mail.route, mail.provider, mail.mailbox, mail.sent, mail.seen) == ("relay/seed-1", "provider-1", "seed-1", NOW - 20, NOW - 10)


def test_declared_wins_and_what_was_seen_is_still_told(tmp_path: Path) -> None:
    domains = {SHOP: {"egress": ["198.51.100.1"], "selectors": ["s9"], "retired": ["s1"], "envelope": ["b.test"], "helo": ["h.test"]}}
    subject = made(known(tmp_path, domains=domains), *delivered())
    assert (subject.egress, subject.declared, subject.observed) == (("198.51.100.1",), True, (("192.0.2.10", NOW - 10),))
    assert (subject.envelope, subject.helo) == (("b.test",), ("h.test",))
    assert subject.selectors == (Selector(SHOP, "s9"), Selector(SHOP, "s1", True, NOW - 10))


@pytest.mark.parametrize("address", ["10.1.2.3", "127.0.0.1", "192.168.0.9", "fd00::1", "no address", ""])
def test_an_address_that_receivers_cannot_see_is_not_learned(tmp_path: Path, address: str) -> None:
    mail = replace(MAIL, border=Hop(address=address))
    assert made(known(tmp_path), *delivered(mail=mail)).egress == ()
    private = known(tmp_path, private_addresses=True)
    assert made(private, *delivered(mail=mail)).egress == ((address,) if address[:1] in "1f" and address else ())


def test_what_was_long_not_seen_is_no_way_to_send_any_more(tmp_path: Path) -> None:
    subject = made(known(tmp_path), *delivered(FRESH_FOR + 1))
    assert (subject.egress, subject.envelope, subject.helo, subject.selectors, subject.mails) == ((), (), (), (), ())
    assert subject.watched_since is not None
    assert made(known(tmp_path), *delivered(MAIL_FOR - 1)).mails and not made(known(tmp_path), *delivered(MAIL_FOR + 1)).mails


def test_mail_of_a_subdomain_belongs_to_the_nearest_inspected_domain(tmp_path: Path) -> None:
    both = known(tmp_path, domains={SHOP: {}, "eu.shop.test": {}, "other.test": {}})
    mail = replace(MAIL, author_domains=("refunds.eu.shop.test",))
    assert domain_of("refunds.eu.shop.test", both) == "eu.shop.test" and domain_of("a.shop.test", both) == SHOP
    assert domain_of("myshop.test", both) == "" == domain_of("", both)
    assert (
        made(both, *delivered(mail=mail), domain="eu.shop.test").egress and made(both, *delivered(mail=mail), domain="eu.shop.test").mails
    )
    assert not made(both, *delivered(mail=mail)).egress and not made(both, *delivered(mail=mail)).mails


def test_a_mail_of_what_is_configured_no_more_is_not_judged(tmp_path: Path) -> None:
    gone = Route(PathName("old"), seed(1)), Route(RELAY, MailboxName("old"))
    assert all(not made(known(tmp_path), *delivered(route=route)).mails for route in gone)


def test_a_mail_without_an_author_is_its_paths(tmp_path: Path) -> None:
    mail = replace(MAIL, author_domains=())
    assert made(known(tmp_path), *delivered(mail=mail)).mails
    assert not made(known(tmp_path, domains={"other.test": {}}), *delivered(mail=mail), domain="other.test").mails


def test_services_of_ours(tmp_path: Path) -> None:
    subject = made(known(tmp_path))
    assert subject.endpoints == (Endpoint(ServerKind.SUBMISSION, "relay.test", 587), Endpoint(ServerKind.IMAPS, "imap.test", 993))
    assert made(known(tmp_path, transport=False)).endpoints == ()
    assert made(known(tmp_path, domains={"other.test": {}}), domain="other.test").endpoints == ()


def test_domains_of_a_path(tmp_path: Path) -> None:
    told = known(tmp_path, domains={"other.test": {}})
    assert domains_of_path(told.paths[RELAY], told) == (SHOP,)
    stranger = replace(told, inspect=replace(told.inspect, domains={"other.test": told.inspect.domains["other.test"]}))
    assert domains_of_path(stranger.paths[RELAY], stranger) == ("other.test",)


def test_what_the_inspection_before_left(tmp_path: Path) -> None:
    facet, age = Facet(FacetKind.MX, SHOP, "x"), KeyAge(SHOP, "s1", "aa", 5.0)
    fact = ZoneObserved(ago(5), SHOP, Cause.SCHEDULE, (), (), (facet,), keys=(age,), learned=True)
    subject = made(known(tmp_path), fact)
    assert (subject.baseline, subject.facets, subject.keys, subject.drifts, subject.approved) == ((facet,), (facet,), (age,), (), None)


# --- what newer mail no longer shows -----------------------------------------------------------------------------------------


def sent_with(selector: str, address: str, days: float, route: Route = Route(RELAY, seed(1)), helo: str = "mail.shop.test") -> list[Fact]:  # noqa: B008
    mail = replace(MAIL, border=Hop(address=address, helo=helo), signatures=(Signature(SHOP, selector, "rsa-sha256"),))
    return delivered(days * DAY, mail, route)


OLD, NEW = ("s1", "192.0.2.10"), ("s2", "192.0.2.11")


@pytest.mark.parametrize(
    ("old", "new", "egress", "observed", "selectors"),
    [
        (1.9, 0.0, {OLD[1], NEW[1]}, {OLD[1], NEW[1]}, {"s1": False, "s2": False}),  # they take turns
        (2.1, 0.0, {NEW[1]}, {OLD[1], NEW[1]}, {"s1": True, "s2": False}),
        (6.9, 0.0, {NEW[1]}, {OLD[1], NEW[1]}, {"s1": True, "s2": False}),
        (7.1, 0.0, {NEW[1]}, {NEW[1]}, {"s2": False}),
        (9.0, 8.0, {OLD[1], NEW[1]}, {OLD[1], NEW[1]}, {"s1": False, "s2": False}),  # no mail for a week: as it was then
        (13.0, 9.0, {NEW[1]}, {NEW[1]}, {"s2": False}),
    ],
)
def test_a_rotation_or_a_move(
    tmp_path: Path, old: float, new: float, egress: set[str], observed: set[str], selectors: dict[str, bool]
) -> None:
    subject = made(known(tmp_path), *sent_with(*OLD, old, helo="old.shop.test"), *sent_with(*NEW, new))
    assert (set(subject.egress), {address for address, _ in subject.observed}) == (egress, observed)
    assert {one.name: one.retired for one in subject.selectors} == selectors
    assert set(subject.helo) == ({"old.shop.test", "mail.shop.test"} if OLD[1] in egress else {"mail.shop.test"})


def test_a_path_that_rests_keeps_what_its_latest_mail_showed(tmp_path: Path) -> None:
    resting = sent_with(*OLD, 8.0, Route(PathName("app"), seed(1)))
    both = known(tmp_path)
    both = replace(both, paths={**both.paths, PathName("app"): both.paths[RELAY]})
    assert set(made(both, *resting, *sent_with(*NEW, 0.0)).egress) == {OLD[1], NEW[1]}
    assert {one.name: one.retired for one in made(both, *resting, *sent_with(*NEW, 0.0)).selectors} == {"s1": False, "s2": False}
    assert made(known(tmp_path), *resting, *sent_with(*NEW, 0.0)).egress == (NEW[1],), "a path that is gone rests no more"


def test_an_author_domain_that_sends_nothing_now_is_not_measured_by_another(tmp_path: Path) -> None:
    both = known(tmp_path, domains={SHOP: {}})
    quiet = replace(MAIL, author_domains=("eu.shop.test",), border=Hop(address=OLD[1]))
    assert set(made(both, *delivered(5 * DAY, quiet), *sent_with(*NEW, 0.0)).egress) == {OLD[1], NEW[1]}


def test_what_is_declared_is_known_however_long_it_was_not_seen(tmp_path: Path) -> None:
    told = known(tmp_path, domains={SHOP: {"egress": [NEW[1], OLD[1]]}})
    assert {address for address, _ in made(told, *sent_with(*OLD, 40.0), *sent_with(*NEW, 0.0)).observed} == {OLD[1], NEW[1]}
    moved = known(tmp_path, domains={SHOP: {"egress": [NEW[1]]}})
    assert {address for address, _ in made(moved, *sent_with(*OLD, 8.0), *sent_with(*NEW, 0.0)).observed} == {NEW[1]}
