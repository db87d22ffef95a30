"""Is a stray really ours? Tables of strays, alignment, our own proof, and what a hostile sender can write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.address import Address
from monitor.model.facts import Entry, Imitated, Stray, Unasked
from monitor.model.instant import Instant
from monitor.model.mail import UNSAID, Authentication, AuthResult
from monitor.model.mailauth import DeliveredMail, DmarcProof, MailProof, Signature, SignatureProof, SignatureState
from monitor.model.policy import MailboxPolicy, Policy, Role
from monitor.model.probe import MailboxName
from monitor.rules.mailauth.authres import aligned, authentication, vouching
from monitor.rules.reading import read
from monitor.rules.tripwire import (
    Own,
    Ruled,
    Ruling,
    has_signed_to,
    is_hopeless,
    is_ours,
    is_unasked,
    judged,
    known_outside,
    leaked,
    unverifiable,
)
from monitor.views.tripwires import KEPT_CAME, KEPT_DOMAINS, Tripwires
from tests.stages.house import policy

PASS, FAIL, NONE, ABSENT, TEMPERROR = AuthResult.PASS, AuthResult.FAIL, AuthResult.NONE, AuthResult.ABSENT, AuthResult.TEMPERROR
S, R = SignatureState, Ruling
WIRE = MailboxName("wire")
MX = "mx.mailbox.example"
AT = Instant(1_790_000_000.0, 5.0, "p")
STRAY = Stray(
    at=AT,
    mailbox=WIRE,
    folder="INBOX",
    digest="d",
    message_id="<m>",
    auth=Authentication(dkim=PASS, authserv_id=MX),
    why="why",
    author_domain="shop.example",
    amounts=("£49.90", "£1.00"),
    internaldate=1_790_000_010.0,
    addressed=True,
    to_signed=True,
)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    made = policy(tmp_path_factory.mktemp("policy"), holding=True)
    return replace(made, sending_domains=("Shop.example.", "mail.other.example"))


def box(known: Policy, role: Role = Role.TRIPWIRE, trusted: tuple[str, ...] = (MX,)) -> MailboxPolicy:
    return replace(
        known.mailboxes[MailboxName("holding")], name=WIRE, role=role, authserv_ids=trusted, provider="postbox", host="imap.post.test"
    )


def alone(stray: Stray, mailbox: MailboxPolicy, known: Policy) -> Ruled:
    """By the receiver's word alone."""
    return judged(stray, mailbox, known, None, provable=False)


# ---- the receiver's word ----------------------------------------------------------------------------------------------


def test_the_evidence(known: Policy) -> None:
    auth = Authentication(NONE, PASS, PASS, MX)
    assert alone(replace(STRAY, auth=auth), box(known), known) == Ruled(
        R.OURS,
        (
            f"{MX} says spf=none, dkim=pass, dmarc=pass for shop.example",
            "it speaks of a refund and of £49.90, £1.00",
            "it lies in INBOX, arrived at 2026-09-21T14:13:30Z",
        ),
    )


@pytest.mark.parametrize("when", [None, float("inf"), float("nan"), 1e18, -1e18])
def test_a_receivers_odd_clock_is_no_fault(known: Policy, when: float | None) -> None:
    evidence = alone(replace(STRAY, internaldate=when, auth=Authentication(spf=PASS)), box(known), known).evidence
    assert evidence[0] == "the receiver says spf=pass for shop.example"
    assert evidence[2] == "it lies in INBOX, seen at 2026-09-21T14:13:20.000Z"


@pytest.mark.parametrize(
    ("changes", "ruling"),
    [
        ({}, R.OURS),
        ({"auth": Authentication(spf=PASS)}, R.OURS),
        ({"auth": Authentication(dmarc=PASS)}, R.OURS),
        ({"auth": Authentication(spf=PASS, dkim=FAIL, dmarc=FAIL)}, R.OURS),
        ({"auth": UNSAID}, R.DOUBT),
        ({"auth": Authentication(authserv_id=MX)}, R.DOUBT),
        ({"auth": Authentication(AuthResult.SOFTFAIL, FAIL, FAIL, MX)}, R.IMITATION),
        ({"auth": Authentication(NONE, NONE, NONE, MX)}, R.IMITATION),
        ({"auth": Authentication(dkim=NONE, authserv_id=MX)}, R.IMITATION),
        ({"auth": Authentication(spf=FAIL, authserv_id=MX)}, R.DOUBT),
        ({"auth": Authentication(dkim=AuthResult.PERMERROR, dmarc=FAIL, authserv_id=MX)}, R.IMITATION),
        ({"auth": Authentication(dkim=TEMPERROR, dmarc=NONE, authserv_id=MX)}, R.DOUBT),
        ({"auth": Authentication(TEMPERROR, AuthResult.PERMERROR, AuthResult.NEUTRAL, MX)}, R.DOUBT),
        ({"author_domain": "refunds.shop.example"}, R.OURS),
        ({"author_domain": "SHOP.example"}, R.OURS),
        ({"author_domain": "mail.other.example"}, R.OURS),
        ({"author_domain": "other.example"}, R.NOTHING),
        ({"author_domain": "myshop.example"}, R.NOTHING),
        ({"author_domain": "shop.example.evil.example"}, R.NOTHING),
        ({"author_domain": "evil.example", "likeness": "it looks like ours"}, R.IMITATION),
        ({"author_domain": ""}, R.NOTHING),
        ({"amounts": ()}, R.OURS),
        ({"addressed": False}, R.DOUBT),
        ({"addressed": None, "to_signed": None}, R.DOUBT),
        ({"to_signed": False}, R.DOUBT),
        ({"to_signed": None}, R.DOUBT),
        ({"to_signed": False, "auth": Authentication(FAIL, PASS, PASS, MX)}, R.DOUBT),
        ({"to_signed": False, "auth": Authentication(dmarc=PASS)}, R.DOUBT),
        ({"to_signed": False, "auth": Authentication(spf=PASS, dkim=PASS)}, R.OURS),
        ({"addressed": False, "auth": Authentication(spf=PASS, dkim=PASS)}, R.OURS),
    ],
)
def test_by_the_receivers_word(known: Policy, changes: dict[str, Any], ruling: Ruling) -> None:
    assert alone(replace(STRAY, **changes), box(known), known).ruling is ruling


@pytest.mark.parametrize("role", [Role.SEED, Role.HOLDING])
def test_only_in_a_tripwire_mailbox(known: Policy, role: Role) -> None:
    assert alone(STRAY, box(known, role), known).ruling is R.NOTHING
    assert alone(replace(STRAY, author_domain="x.test", likeness="l"), box(known, role), known).ruling is R.NOTHING
    assert not unverifiable("shop.example", box(known, role, ()), known)
    assert not is_unasked("evil.test", box(known, role), known)


def test_without_sending_domains_nothing_is_ours(known: Policy) -> None:
    nobody = replace(known, sending_domains=())
    assert alone(STRAY, box(known), nobody).ruling is R.NOTHING
    assert not is_ours("", replace(known, sending_domains=("", ".")))


def test_unverifiable_needs_our_name_a_receiver_that_we_cannot_trust_and_nobody_to_ask(known: Policy) -> None:
    assert unverifiable("shop.example", box(known, trusted=()), known)
    assert not unverifiable("shop.example", box(known), known)
    assert not unverifiable("elsewhere.example", box(known, trusted=()), known)
    inspecting = replace(known, inspect=replace(known.inspect, enabled=True, domains={"shop.example": None}))  # type: ignore[dict-item]
    assert not unverifiable("shop.example", box(known, trusted=()), inspecting)


# ---- our own proof ------------------------------------------------------------------------------------------------------

SIGNED = Signature("shop.example", "s1", "ed25519-sha256", headers=("from", "to", "subject"))
CLAIM = DeliveredMail(author_domains=("shop.example",), fields=(("to", 1),), signatures=(SIGNED,))
CLAIMED = replace(STRAY, auth=UNSAID, claim=CLAIM, addressed=True)


def counted(mail: DeliveredMail) -> DeliveredMail:
    """With the number of its signatures among its fields."""
    return replace(mail, fields=(*mail.fields, ("dkim-signature", len(mail.signatures))))


def proof(state: SignatureState = S.PASS, spf: AuthResult = ABSENT, spf_domain: str = "", address: str = "", **more: Any) -> MailProof:
    domain = more.pop("domain", "shop.example")
    return MailProof(spf, spf_domain, address, "", (SignatureProof(domain, "s1", "ed25519-sha256", state),), **more)


UNSIGNED = replace(CLAIMED, claim=replace(CLAIM, signatures=()))
BARE = replace(proof(), dkim=())
ANOTHERS = replace(CLAIMED, claim=replace(CLAIM, signatures=(replace(SIGNED, domain="evil.test"),)))
TO_NOT_SIGNED = replace(CLAIMED, claim=replace(CLAIM, signatures=(replace(SIGNED, headers=("from",)),)))
TWO_TO = replace(CLAIMED, claim=replace(CLAIM, fields=(("to", 2),)))
ELSEWHERE = replace(CLAIMED, addressed=False)
DENIED = replace(CLAIMED, auth=Authentication(FAIL, FAIL, FAIL, MX))
VOUCHED = replace(ELSEWHERE, auth=Authentication(dkim=PASS, authserv_id=MX))
US, THEM = "shop.example", "evil.test"


@pytest.mark.parametrize(
    ("stray", "own", "ruling"),
    [
        pytest.param(CLAIMED, proof(), R.OURS, id="signed"),
        pytest.param(DENIED, proof(), R.OURS, id="signed, the receiver denies"),
        pytest.param(CLAIMED, proof(spf=FAIL, spf_domain=THEM), R.OURS, id="signed, through a stranger, to us"),
        pytest.param(ELSEWHERE, proof(spf=FAIL, spf_domain=US), R.DOUBT, id="replayed"),
        pytest.param(ELSEWHERE, proof(spf=PASS, spf_domain=THEM), R.DOUBT, id="replayed from a host with SPF of its own"),
        pytest.param(ELSEWHERE, proof(spf=PASS, spf_domain=US), R.OURS, id="to another, from our server"),
        pytest.param(ELSEWHERE, proof(), R.DOUBT, id="to another, sender not known"),
        pytest.param(ELSEWHERE, proof(spf=TEMPERROR, spf_domain=US), R.UNPROVEN, id="to another, SPF does not answer"),
        pytest.param(ELSEWHERE, proof(spf=TEMPERROR, spf_domain=THEM), R.DOUBT, id="SPF of others may fail as it likes"),
        pytest.param(TO_NOT_SIGNED, proof(), R.DOUBT, id="anybody can have written that To"),
        pytest.param(TWO_TO, proof(), R.DOUBT, id="another To on top"),
        pytest.param(VOUCHED, proof(S.HEADER_ALTERED), R.DOUBT, id="the receiver vouches for a replay"),
        pytest.param(VOUCHED, proof(S.NO_KEY, PASS, US), R.OURS, id="it vouches, and our server sent it"),
        pytest.param(CLAIMED, proof(S.TEMPERROR), R.UNPROVEN, id="the key does not answer"),
        pytest.param(DENIED, proof(S.TEMPERROR), R.UNPROVEN, id="it does not answer, the receiver denies"),
        pytest.param(CLAIMED, proof(S.UNREAD), R.DOUBT, id="too big to be verified"),
        pytest.param(CLAIMED, proof(S.HEADER_ALTERED, FAIL, US), R.IMITATION, id="forged signature"),
        pytest.param(CLAIMED, proof(S.HEADER_ALTERED, NONE, THEM), R.IMITATION, id="forged signature, their envelope"),
        pytest.param(CLAIMED, proof(S.HEADER_ALTERED, ABSENT, THEM), R.IMITATION, id="their envelope, address not known"),
        pytest.param(CLAIMED, proof(S.HEADER_ALTERED), R.DOUBT, id="forged or broken, sender not known"),
        pytest.param(CLAIMED, proof(S.HEADER_ALTERED, PASS, US), R.DOUBT, id="our server, broken signature"),
        pytest.param(CLAIMED, proof(S.BODY_ALTERED, FAIL, US), R.DOUBT, id="our header, another body"),
        pytest.param(CLAIMED, proof(S.NO_KEY, FAIL, US), R.DOUBT, id="our selector lost its key"),
        pytest.param(CLAIMED, proof(S.REVOKED, FAIL, US), R.DOUBT, id="our selector was revoked"),
        pytest.param(CLAIMED, proof(S.KEY_UNUSABLE, FAIL, US), R.DOUBT, id="our key is broken"),
        pytest.param(CLAIMED, proof(S.EXPIRED, FAIL, US), R.IMITATION, id="expired"),
        pytest.param(CLAIMED, proof(S.HEADER_ALTERED, FAIL, US, "192.0.2.9"), R.DOUBT, id="from an address of ours"),
        pytest.param(UNSIGNED, replace(BARE, spf=PASS, spf_domain=US), R.DOUBT, id="SPF alone never trips"),
        pytest.param(UNSIGNED, replace(BARE, spf=FAIL, spf_domain=US), R.IMITATION, id="unsigned, SPF fails"),
        pytest.param(UNSIGNED, replace(BARE, spf=AuthResult.PERMERROR, spf_domain=US), R.DOUBT, id="our SPF record is broken"),
        pytest.param(UNSIGNED, replace(BARE, spf=TEMPERROR, spf_domain=US), R.UNPROVEN, id="unsigned, SPF does not answer"),
        pytest.param(UNSIGNED, BARE, R.DOUBT, id="nothing is known"),
        pytest.param(ANOTHERS, proof(spf=PASS, spf_domain=THEM, domain=THEM), R.IMITATION, id="another's signature verifies"),
        pytest.param(
            replace(ANOTHERS, claim=replace(CLAIM, signatures=(replace(SIGNED, domain="sister.test"),))),
            proof(domain="sister.test", dmarc=DmarcProof(PASS, dkim_aligned=True)), R.OURS, id="aligned by its organization",
        ),
        pytest.param(
            replace(CLAIMED, claim=replace(CLAIM, header_cut=True)), proof(S.HEADER_ALTERED, FAIL, US), R.DOUBT, id="header cut",
        ),
        pytest.param(
            replace(CLAIMED, claim=replace(CLAIM, signatures_ignored=3)), proof(S.HEADER_ALTERED, FAIL, US), R.DOUBT, id="more signatures",
        ),
    ],
)  # fmt: skip
def test_by_our_own_proof(known: Policy, stray: Stray, own: MailProof, ruling: Ruling) -> None:
    tried = Own(own, keys=frozenset({("shop.example", "s1")}), addresses=frozenset({"192.0.2.9"}))
    assert judged(stray, box(known), known, tried, provable=True).ruling is ruling
    final = judged(stray, box(known), known, replace(tried, final=True), provable=True)
    expected = ruling if ruling is not R.UNPROVEN else R.IMITATION if stray is DENIED else R.DOUBT
    assert final.ruling is expected and len(final.evidence) == 3


def test_a_selector_that_we_never_used_may_lack_its_key(known: Policy) -> None:
    own = Own(proof(S.NO_KEY, FAIL, US))
    assert judged(CLAIMED, box(known), known, own, provable=True).ruling is R.IMITATION


def test_of_two_signatures_the_one_that_verifies_must_have_seen_the_to(known: Policy) -> None:
    """The bogus one beside it says of itself that it covers To."""
    two = replace(CLAIMED, claim=replace(CLAIM, signatures=(SIGNED, replace(SIGNED, headers=("from",)))))
    states = tuple(SignatureProof(US, "s1", "ed25519-sha256", state) for state in (S.HEADER_ALTERED, S.PASS))
    ruled = judged(two, box(known), known, Own(replace(proof(), dkim=states), final=True), provable=True)
    assert ruled.ruling is R.DOUBT
    assert two.claim is not None
    vouched = replace(two, auth=Authentication(dkim=PASS, authserv_id=MX), to_signed=has_signed_to(counted(two.claim), US, known))
    assert alone(vouched, box(known), known).ruling is R.DOUBT, "nor does the receiver say which of them it means"


@pytest.mark.parametrize(
    ("changes", "signed"),
    [
        ({}, True),
        ({"signatures": ()}, True),  # the receiver's own words then rest on nothing that a To could be added to
        ({"signatures": (SIGNED, replace(SIGNED, domain=THEM, headers=("from",)))}, True),
        ({"signatures": (SIGNED, replace(SIGNED, domain="shop.example", headers=("from",)))}, False),
        ({"signatures": (SIGNED, replace(SIGNED, domain="sister.shop.example", headers=("from",)))}, False),
        ({"signatures": (replace(SIGNED, domain="mail.other.example", headers=("from",)),)}, False),
        ({"signatures_ignored": 1}, False),
        ({"header_cut": True}, False),
        ({"fields": (("to", 0), ("dkim-signature", 1))}, False),
        ({"fields": (("to", 2), ("dkim-signature", 1))}, False),
        ({"fields": (("to", 2), ("dkim-signature", 1)), "signatures": (replace(SIGNED, headers=("from", "to", "to")),)}, False),
        ({"fields": (("to", 1), ("dkim-signature", 2))}, False),
        ({"fields": ()}, False),
    ],
)
def test_a_to_that_nobody_added(known: Policy, changes: dict[str, Any], signed: bool) -> None:
    mail = counted(replace(CLAIM, signatures=changes.get("signatures", CLAIM.signatures)))
    assert has_signed_to(replace(mail, **changes), "a.shop.example", known) is signed


def test_a_signature_of_a_sister_domain_speaks_for_us_too(known: Policy) -> None:
    """As in DMARC's relaxed alignment."""
    sister = counted(replace(CLAIM, signatures=(replace(SIGNED, domain="news.other.example", headers=("from",)),)))
    assert not is_ours("news.other.example", known)
    assert not has_signed_to(sister, "mail.other.example", known)
    assert has_signed_to(sister, "shop.example", known), "but not for another organization"


@pytest.mark.parametrize(
    ("changes", "mail", "hopeless"),
    [
        ({"auth": UNSAID}, UNSIGNED.claim, True),
        ({"auth": Authentication(FAIL, FAIL, FAIL, MX)}, UNSIGNED.claim, True),
        ({"auth": UNSAID}, CLAIM, False),
        ({"auth": UNSAID}, ANOTHERS.claim, False),
        ({"auth": UNSAID}, replace(CLAIM, signatures=(), header_cut=True), False),
        ({"auth": Authentication(spf=PASS)}, UNSIGNED.claim, False),
        ({"auth": Authentication(dkim=PASS)}, UNSIGNED.claim, False),
        ({"auth": Authentication(dmarc=PASS)}, UNSIGNED.claim, False),
        ({"author_domain": THEM}, CLAIM, True),
    ],
)
def test_what_nothing_can_make_ours(known: Policy, changes: dict[str, Any], mail: DeliveredMail, hopeless: bool) -> None:
    stray = replace(STRAY, **changes)
    assert is_hopeless(stray, known, mail) is hopeless
    if hopeless:
        proofs = tuple(SignatureProof(one.domain, "s1", "rsa-sha256", S.PASS) for one in mail.signatures)
        own = Own(MailProof(PASS, US, "192.0.2.1", "", proofs, DmarcProof(PASS, spf_aligned=True)), final=True)
        assert judged(replace(stray, claim=mail), box(known), known, own, provable=True).ruling is not R.OURS


def test_who_says_what(known: Policy) -> None:
    def first(stray: Stray, own: MailProof) -> str:
        return judged(stray, box(known), known, Own(own, final=True), provable=True).evidence[0]

    assert first(CLAIMED, proof()) == (
        "our own check of the DKIM signature: pass, d=shop.example, s=s1; the receiver said nothing that we trust"
    )
    assert first(DENIED, proof()).endswith(f"; {MX} says spf=fail, dkim=fail, dmarc=fail for shop.example")
    assert first(CLAIMED, proof(S.NO_KEY, FAIL, THEM)) == (
        "it names shop.example as its author, but its signature (d=shop.example, s=s1) does not verify: no_key, SPF of evil.test is fail; "
        "the receiver said nothing that we trust"
    )
    assert "SPF of shop.example allows its sender, but it bears no signature of ours" in first(
        UNSIGNED, replace(BARE, spf=PASS, spf_domain=US)
    )
    assert "it may be an old mail of ours that was sent on" in first(ELSEWHERE, proof())


def test_a_proof_is_asked_for_only_where_it_can_be_had(known: Policy) -> None:
    assert judged(CLAIMED, box(known), known, None, provable=True).ruling is R.UNPROVEN
    assert judged(VOUCHED, box(known), known, None, provable=True).ruling is R.UNPROVEN, "did our server send it?"
    assert judged(replace(CLAIMED, claim=None), box(known), known, None, provable=True).ruling is R.DOUBT
    assert judged(STRAY, box(known), known, None, provable=True).ruling is R.OURS, "the receiver has said enough"


RESULTS, STATES = st.sampled_from(list(AuthResult)), st.sampled_from(list(SignatureState))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    st.builds(Authentication, RESULTS, RESULTS, RESULTS, st.sampled_from(["", MX])),
    st.lists(st.tuples(st.sampled_from([US, "a.shop.example", THEM]), STATES, st.booleans()), max_size=3),
    RESULTS, st.sampled_from(["", US, THEM]), st.booleans(), st.booleans(),
)  # fmt: skip
def test_what_pages_has_a_witness_that_nobody_forges(
    known: Policy,
    auth: Authentication,
    signatures: list[tuple[str, SignatureState, bool]],
    spf: AuthResult,
    envelope: str,
    addressed: bool,
    final: bool,
) -> None:
    made = tuple(Signature(domain, "s", "rsa-sha256", headers=("from", "to") if to else ("from",)) for domain, _, to in signatures)
    stray = replace(CLAIMED, auth=auth, addressed=addressed, claim=replace(CLAIM, signatures=made))
    stray = replace(stray, to_signed=has_signed_to(counted(replace(CLAIM, signatures=made)), US, known))
    proofs = tuple(SignatureProof(domain, "s", "rsa-sha256", state) for domain, state, _ in signatures)
    ruled = judged(stray, box(known), known, Own(MailProof(spf, envelope, "192.0.2.1", "", proofs), final), provable=True)
    vouched = PASS in (auth.spf, auth.dkim, auth.dmarc)
    verified = any(state is S.PASS and domain != THEM for domain, state, _ in signatures)
    sent = auth.spf is PASS or (spf is PASS and envelope == US)
    if ruled.ruling is R.OURS:
        assert (vouched or verified) and (sent or addressed)
        assert sent or stray.to_signed or any(to and state is S.PASS and domain != THEM for domain, state, to in signatures)
    if ruled.ruling is R.IMITATION:
        assert not vouched and not verified and not (spf is PASS and envelope == US)
    assert ruled.ruling is not R.NOTHING and not (final and ruled.ruling is R.UNPROVEN)


# ---- who knows the address ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("author", "provider", "unasked"),
    [
        ("evil.test", "gmail", True), ("", "gmail", True), ("shop.example", "gmail", False), ("a.shop.example", "gmail", False),
        ("accounts.google.com", "gmail", False), ("gmail.com", "Gmail", False), ("microsoft.com", "gmail", True),
        ("microsoft.com", "outlook", False), ("post.test", "x", False), ("mail.post.test", "x", False), ("store.test", "x", False),
        ("hello.mymail.test", "mymail", False), ("mymail.evil.test", "mymail", True),
    ],
)  # fmt: skip
def test_whose_mail_nobody_asked_for(known: Policy, author: str, provider: str, unasked: bool) -> None:
    """The address is at store.test, the server is imap.post.test."""
    mailbox = replace(box(known), provider=provider, address=Address.parse("trap@store.test"))
    assert is_unasked(author, mailbox, known) is unasked


def outside(*mails: tuple[float, str, str]) -> Tripwires:
    view = Tripwires()
    for seq, (t, domain, digest) in enumerate(mails, 1):
        view.fold(Entry(seq, "unasked", Unasked(AT.plus(t), WIRE, "INBOX", digest, domain, more=2)))
    return view


def test_a_leak_names_its_domains(known: Policy) -> None:
    view = outside(*((float(n), f"d{n % 6}.test", f"x{n}") for n in range(12)))
    leak = leaked(view, box(known), known, AT.plus(20))
    assert leak is not None
    assert leak.shows == (
        "12 mails of 6 author domains within a week: d0.test, d1.test, d2.test, d3.test and 2 more; 24 more were only counted"
    )
    assert (leak.since, leak.latest, len(leak.seqs)) == (AT, AT.plus(11), 12)
    assert leaked(view, box(known), known, AT.plus(20), AT.plus(11)) is None, "a person was told of all that"
    assert leaked(view, replace(box(known), name=MailboxName("other")), known, AT) is None


def test_what_is_kept_of_it_is_bounded(known: Policy) -> None:
    view = outside(*((float(n), f"d{n % 50}.test", f"x{n}") for n in range(1_000)))
    kept = view.outside[WIRE].domains
    assert len(kept) == KEPT_DOMAINS and view.knows(WIRE, "d49.test", "x999") and not view.knows(WIRE, "d0.test", "x0")
    few = outside(*((float(n), f"d{n % 3}.test", f"x{n}") for n in range(100))).outside[WIRE].domains
    assert [len(mails) for mails in few.values()] == [KEPT_CAME] * 3


def test_a_trip_knows_since_when_strangers_know_the_address(known: Policy) -> None:
    view = outside((0.0, "a.test", "1"), (1.0, "b.test", "2"), (2.0, "b.test", "3"))
    assert "known outside since 2026-09-21T14:13:20.000Z" in known_outside(view, box(known), known, AT.plus(3))
    assert known_outside(Tripwires(), box(known), known, AT) == ""
    view.fold(Entry(9, "imitated", Imitated(AT.plus(-60), WIRE, 1, "x", ())))
    assert "known outside since 2026-09-21T14:12:20.000Z" in known_outside(view, box(known), known, AT.plus(3))


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
