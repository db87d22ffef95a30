"""Is a stray really ours? Tables of strays, alignment, and what a hostile sender can write into the results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.facts import Stray
from monitor.model.instant import Instant
from monitor.model.mail import UNSAID, Authentication, AuthResult
from monitor.model.policy import MailboxPolicy, Policy, Role
from monitor.model.probe import MailboxName
from monitor.rules.mailauth.authres import aligned, authentication, vouching
from monitor.rules.reading import read
from monitor.rules.tripwire import is_ours, trips, unverifiable
from tests.stages.house import policy

PASS, FAIL, NONE, ABSENT = AuthResult.PASS, AuthResult.FAIL, AuthResult.NONE, AuthResult.ABSENT
WIRE = MailboxName("wire")
MX = "mx.mailbox.example"
STRAY = Stray(
    at=Instant(1_790_000_000.0, 5.0, "p"),
    mailbox=WIRE,
    folder="INBOX",
    digest="d",
    message_id="<m>",
    auth=Authentication(dkim=PASS, authserv_id=MX),
    why="why",
    author_domain="shop.example",
    amounts=("£49.90", "£1.00"),
    internaldate=1_790_000_010.0,
)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    made = policy(tmp_path_factory.mktemp("policy"), holding=True)
    return replace(made, sending_domains=("Shop.example.", "mail.other.example"))


def box(known: Policy, role: Role = Role.TRIPWIRE, trusted: tuple[str, ...] = (MX,)) -> MailboxPolicy:
    return replace(known.mailboxes[MailboxName("holding")], name=WIRE, role=role, authserv_ids=trusted)


def test_the_evidence(known: Policy) -> None:
    auth = Authentication(NONE, PASS, PASS, MX)
    assert trips(replace(STRAY, auth=auth), box(known), known) == (
        f"{MX} says spf=none, dkim=pass, dmarc=pass for shop.example",
        "it speaks of a refund and of £49.90, £1.00",
        "it lies in INBOX, arrived at 2026-09-21T14:13:30Z",
    )


@pytest.mark.parametrize("when", [None, float("inf"), float("nan"), 1e18, -1e18])
def test_a_receivers_odd_clock_is_no_fault(known: Policy, when: float | None) -> None:
    evidence = trips(replace(STRAY, internaldate=when, auth=Authentication(spf=PASS)), box(known), known)
    assert evidence is not None
    assert evidence[0] == "the receiver says spf=pass for shop.example"
    assert evidence[2] == "it lies in INBOX, seen at 2026-09-21T14:13:20.000Z"


@pytest.mark.parametrize(
    ("changes", "tripped"),
    [
        ({}, True),
        ({"auth": Authentication(spf=PASS)}, True),
        ({"auth": Authentication(dmarc=PASS)}, True),
        ({"auth": Authentication(spf=PASS, dkim=FAIL, dmarc=FAIL)}, True),
        ({"auth": UNSAID}, False),
        ({"auth": Authentication(AuthResult.SOFTFAIL, FAIL, FAIL, MX)}, False),
        ({"auth": Authentication(NONE, NONE, NONE, MX)}, False),
        ({"auth": Authentication(AuthResult.TEMPERROR, AuthResult.PERMERROR, AuthResult.NEUTRAL, MX)}, False),
        ({"author_domain": "refunds.shop.example"}, True),
        ({"author_domain": "SHOP.example"}, True),
        ({"author_domain": "mail.other.example"}, True),
        ({"author_domain": "other.example"}, False),
        ({"author_domain": "myshop.example"}, False),
        ({"author_domain": "shop.example.evil.example"}, False),
        ({"author_domain": ""}, False),
        ({"amounts": ()}, True),
    ],
)
def test_trips(known: Policy, changes: dict[str, Any], tripped: bool) -> None:
    assert (trips(replace(STRAY, **changes), box(known), known) is not None) is tripped


@pytest.mark.parametrize("role", [Role.SEED, Role.HOLDING])
def test_only_in_a_tripwire_mailbox(known: Policy, role: Role) -> None:
    assert trips(STRAY, box(known, role), known) is None
    assert not unverifiable("shop.example", box(known, role, ()), known)


def test_without_sending_domains_nothing_is_ours(known: Policy) -> None:
    nobody = replace(known, sending_domains=())
    assert trips(STRAY, box(known), nobody) is None
    assert not is_ours("", replace(known, sending_domains=("", ".")))


def test_unverifiable_needs_our_name_and_a_receiver_that_we_cannot_trust(known: Policy) -> None:
    assert unverifiable("shop.example", box(known, trusted=()), known)
    assert not unverifiable("shop.example", box(known), known)
    assert not unverifiable("elsewhere.example", box(known, trusted=()), known)


# ---- whose name the results speak of ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("shop.example", "shop.example", True),
        ("Mail.Shop.Example.", "shop.example", True),
        ("shop.example", "a.b.shop.example", True),
        ("myshop.example", "shop.example", False),
        ("a.shop.example", "b.shop.example", False),
        ("example", "shop.example", False),
        ("", "shop.example", False),
        ("", "", False),
        (".", "shop.example", False),
    ],
)
def test_aligned(one: str, other: str, same: bool) -> None:
    assert aligned(one, other) is same and aligned(other, one) is same


@pytest.mark.parametrize(
    ("headers", "spf", "dkim", "dmarc"),
    [
        pytest.param([], ABSENT, ABSENT, ABSENT, id="nothing"),
        pytest.param([f"{MX}; dkim=pass header.d=shop.example; dmarc=pass header.from=shop.example"], ABSENT, PASS, PASS, id="ours"),
        pytest.param([f"{MX}; dkim=pass header.d=evil.example; dkim=fail header.d=shop.example"], ABSENT, FAIL, ABSENT, id="theirs passes"),
        pytest.param([f"{MX}; dkim=fail header.d=mail.shop.example; dkim=pass header.d=shop.example"], ABSENT, PASS, ABSENT, id="any"),
        pytest.param([f"{MX}; dkim=pass header.i=user@shop.example"], ABSENT, PASS, ABSENT, id="header.i"),
        pytest.param([f"{MX}; dkim=pass header.i=@shop.example header.d=evil.example"], ABSENT, ABSENT, ABSENT, id="header.d wins"),
        pytest.param([f"{MX}; dkim=pass header.i=header.d=shop.example@evil.example"], ABSENT, ABSENT, ABSENT, id="d inside i"),
        pytest.param([f'{MX}; dkim=pass header.i="x header.d=shop.example"@evil.example'], ABSENT, ABSENT, ABSENT, id="d in a string"),
        pytest.param([f"{MX}; dkim=pass (header.d=shop.example) header.d=evil.example"], ABSENT, ABSENT, ABSENT, id="d in a comment"),
        pytest.param([f"{MX}; dkim=pass; spf=pass; dmarc=pass"], ABSENT, ABSENT, ABSENT, id="nobody named"),
        pytest.param([f"{MX}; spf=pass smtp.mailfrom=<b@bounce.shop.example>"], PASS, ABSENT, ABSENT, id="spf address"),
        pytest.param([f"{MX}; spf=pass smtp.mailfrom=shop.example"], PASS, ABSENT, ABSENT, id="spf domain"),
        pytest.param([f"{MX}; spf=pass smtp.helo=shop.example"], ABSENT, ABSENT, ABSENT, id="helo is not asked"),
        pytest.param(
            [f"{MX}; spf=pass smtp.mailfrom=smtp.mailfrom=a@shop.example@evil.example"], ABSENT, ABSENT, ABSENT, id="inside mailfrom"
        ),
        pytest.param([f"{MX}; spf=pass smtp.helo=smtp.mailfrom=shop.example"], ABSENT, ABSENT, ABSENT, id="inside helo"),
        pytest.param([f"{MX}; dmarc=pass header.from=evil.example"], ABSENT, ABSENT, ABSENT, id="another author"),
        pytest.param(
            [f"{MX}; dkim=pass header.d=evil.example", f"{MX}; dkim=pass header.d=shop.example"], ABSENT, ABSENT, ABSENT, id="topmost"
        ),
        pytest.param(
            [f"{MX}; spf=fail smtp.mailfrom=shop.example", f"{MX}; dkim=pass header.d=shop.example"], FAIL, PASS, ABSENT, id="adds"
        ),
        pytest.param(["evil.example; dkim=pass header.d=shop.example"], ABSENT, ABSENT, ABSENT, id="untrusted"),
    ],
)
def test_vouching(headers: list[str], spf: AuthResult, dkim: AuthResult, dmarc: AuthResult) -> None:
    found = vouching(headers, [MX], "shop.example")
    assert (found.spf, found.dkim, found.dmarc) == (spf, dkim, dmarc)
    assert found.authserv_id == (MX if headers and headers[0].startswith(MX) else "")


@given(st.lists(st.text(st.sampled_from('dkimspfpass=;."() @header.dmx.shop.example'), max_size=80), max_size=4))
def test_what_vouches_for_us_passed_for_somebody(texts: list[str]) -> None:
    headers = [f"{MX}; {text}" for text in texts]
    plain, ours = authentication(headers, [MX]), vouching(headers, [MX], "shop.example")
    if ours.dkim is PASS:
        assert plain.dkim is PASS
    assert vouching(headers, [], "shop.example") == UNSAID


# ---- refund-shaped ---------------------------------------------------------------------------------------------------


def shaped(body: str, subject: str = "hello") -> bool:
    return read(f"From: a@b.example\r\nSubject: {subject}\r\n\r\n{body}\r\n".encode()).refund_shaped


def test_money_must_stand_near_the_word() -> None:
    assert shaped("We refunded £5.00.")
    assert shaped("x " * 150 + "£5.00 " + "x " * 150 + "refund")
    assert not shaped("From £5.00! " + "words " * 100 + "See our refund policy.")
    assert shaped("From £5.00! " + "words " * 100, "Your refund"), "the subject speaks for the whole mail"
    assert not shaped("no money at all", "Your refund")


@pytest.mark.parametrize(
    "text",
    [
        "Vi har återbetalat 5,00 kr", "Beløbet er tilbagebetalt: 5,00 kr", "Refusjon 5,00 kr", "Hyvitys 5,00 €", "Zwrot 5,00 zł",
        "Částka 5,00 Kč byla vrácena", "Возврат 5,00 руб.", "Tutar ₺5,00 iade edildi", "¥500 返金", "¥5.00 退款", "₩5000 환불",
    ],
)  # fmt: skip
def test_in_many_languages(text: str) -> None:
    assert shaped(text)


def test_iade_is_a_word() -> None:
    assert not shaped("The Siade costs £5.00")


def test_many_words_are_bounded() -> None:
    text = "refund " * 50_000 + "£5.00"
    assert not shaped(text), "only the first places are looked at"


def test_the_corpus_has_both_kinds() -> None:
    folder = Path(__file__).parent.parent / "corpus" / "tripwire"
    assert all(len(list((folder / kind).glob("*.eml"))) >= 12 for kind in ("ours", "not_ours"))
