"""Who dresses up as us, and who does not: tables, and that nothing that a sender writes breaks it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.rules.likeness import MAX_SHOWN, Sender, folded, likeness, read_sender, registrable

OURS = ("shop.example", "mail.gardenware.test")


def said(author: str, shown: str = "", *replies: str) -> str:
    return likeness(Sender(author, shown, replies), OURS)


@pytest.mark.parametrize(
    ("author", "how"),
    [
        ("sh0p.example", "is spelled to be taken for shop.example"),
        ("xn--shp-ted.example", "is spelled to be taken for shop.example"),
        ("shop.example.evil.test", "contains shop.example"),
        ("shop-example.com", "contains shop.example"),
        ("login.shop-example-refunds.test", "contains shop.example"),
        ("shopexample.com", "contains shop.example"),
        ("gardenware.com", "bears the name of mail.gardenware.test"),
        ("gardenware-refunds.test", "bears the name of mail.gardenware.test"),
        ("mygardenware.test", "bears the name of mail.gardenware.test"),
        ("gardenvvare.test", "is spelled to be taken for mail.gardenware.test"),
        ("gardenwarre.test", "is one letter off mail.gardenware.test"),
        ("gardnware.test", "is one letter off mail.gardenware.test"),
        ("gardenwaer.com", "is one letter off mail.gardenware.test"),
        ("gardemware.com", "is one letter off mail.gardenware.test"),
    ],
)
def test_a_domain_that_looks_like_ours(author: str, how: str) -> None:
    assert said(author) == f"its author domain {author} {how}"


@pytest.mark.parametrize(
    "author",
    [
        "shop.example", "a.shop.example", "gardenware.test", "refunds.gardenware.test", "othershop.example", "shopping.example",
        "shop.test", "myshop.example", "garden.test", "software.test", "example", "", ".", "xn--", "xn--zzzzzzzz99999.test",
    ],
)  # fmt: skip
def test_a_domain_that_does_not(author: str) -> None:
    assert said(author) == ""


@pytest.mark.parametrize(
    ("shown", "author", "how"),
    [
        ("shop.example", "evil.test", "its display name names shop.example, its author is at evil.test"),
        ("Support <refunds@SHOP.example>", "evil.test", "its display name names shop.example, its author is at evil.test"),
        ("Sh\u043ep.Example", "evil.test", "its display name names shop.example, its author is at evil.test"),
        ("Gardenware Refunds", "evil.test", "its display name is ours, its author is at evil.test"),
        ("Garden ware", "evil.test", "its display name is ours, its author is at evil.test"),
        ("Shop", "myshop.example", "its display name is ours, and its author domain myshop.example contains our name"),
        ("Shop", "evil.test", ""),
        ("Other", "myshop.example", ""),
        ("Toy Shop", "toys.test", ""),
        ("Gardenware", "gardenware.test", ""),
    ],
)
def test_our_name_beside_another_address(shown: str, author: str, how: str) -> None:
    assert said(author, shown) == how


@pytest.mark.parametrize(
    ("replies", "how"),
    [
        (("shop.example",), "answers go to shop.example, its author is at evil.test"),
        (("a.test", "b.shop.example"), "answers go to b.shop.example, its author is at evil.test"),
        (("shop-example.com",), "answers go to shop-example.com, which contains shop.example"),
        (("friends.test",), ""),
    ],
)
def test_answers_that_go_elsewhere(replies: tuple[str, ...], how: str) -> None:
    assert said("evil.test", "", *replies) == how


def test_without_domains_of_ours_nothing_looks_like_them() -> None:
    assert likeness(Sender("shop.example", "shop.example"), ()) == ""
    assert likeness(Sender("evil.test", "x"), ("", ".")) == ""


@pytest.mark.parametrize(
    ("domain", "bought"),
    [
        ("shop.example", "shop.example"), ("A.Shop.Example.", "shop.example"), ("a.shop.co.uk", "shop.co.uk"), ("shop.co.uk", "shop.co.uk"),
        ("shop.de", "shop.de"), ("a.shop.de", "shop.de"), ("a.b.example", "b.example"), ("com", "com"), ("", ""),
    ],
)  # fmt: skip
def test_registrable(domain: str, bought: str) -> None:
    assert registrable(domain) == bought


def test_what_is_read_of_a_sender() -> None:
    raw = (
        b'From: "Shop, \\"x\\" <a@shop.example>" <x@evil.test>\r\nReply-To: A <a@one.test>, b@two.test\r\n'
        b'To: "nobody@else.test" <Box+tag@Mailbox.Example>, plain@b.test,\r\n broken\r\nTo: second@c.test\r\n\r\nbody'
    )
    sender = read_sender(raw)
    assert (sender.author, sender.replies) == ("evil.test", ("one.test", "two.test"))
    assert "shop.example" in sender.shown
    assert {str(address) for address in sender.to} == {"box@mailbox.example", "plain@b.test"}
    assert read_sender(b"") == Sender()
    assert len(read_sender(b"From: " + b"x" * 50_000 + b" <a@b.test>\r\n\r\n").shown) <= MAX_SHOWN


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=300), st.text(max_size=60), st.text(st.sampled_from("xn--shop.example0\u043e"), max_size=40))
def test_whatever_a_sender_writes(raw: bytes, shown: str, author: str) -> None:
    for sender in (read_sender(b"From: " + raw), Sender(author, shown, (author,))):
        assert len(likeness(sender, OURS)) < 1_000
    assert folded(folded(shown)) == folded(folded(folded(shown)))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(st.sampled_from("abc."), min_size=1, max_size=20))
def test_what_is_below_one_of_ours_is_never_a_likeness(label: str) -> None:
    assert said(f"{label.strip('.')}.shop.example", "Shop", "evil.test") == ""
