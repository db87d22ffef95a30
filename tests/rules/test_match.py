"""Whose message is this? One case a rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.facts import ForeignKind, Sighted
from monitor.model.instant import Instant
from monitor.model.mail import UNSAID, Authentication, AuthResult, Carrier, Placement
from monitor.model.probe import MailboxName, PathName, ProbeId, Route
from monitor.rules import token
from monitor.rules.compose import compose
from monitor.rules.match import Alien, Bounce, Context, Known, Match, Ours, RefundShaped, Unrelated, match
from monitor.rules.reading import read
from tests.corpus.world import (
    CLOSED,
    CONTEXT,
    ENVIRONMENT,
    EVERY_CARRIER,
    IDENTITY,
    INSTANCE,
    KEYS,
    OPEN,
    PLAN,
    ROUTE,
    STRANGE_KEYS,
    UNKNOWN,
)

HERE = MailboxName("gmail-1")
GOOD = PLAN.token
OTHER_PROBE = ProbeId("111111111111")
STRAY = "Subject: Your refund\nFrom: a@b.example\n{headers}\nYour refund of £5.00 {body}"


def minted(probe: ProbeId, environment: str = ENVIRONMENT, instance: str = INSTANCE, route: Route = ROUTE, strange: bool = False) -> str:
    return token.mint(STRANGE_KEYS if strange else KEYS, environment, instance, probe, route, 1)


def matched(headers: str = "", body: str = "", context: Context = CONTEXT) -> Match:
    return match(read(STRAY.format(headers=headers + "\n" if headers else "", body=body).encode()), HERE, context)


FORGED = minted(OPEN, strange=True)
NO_KEY_OF_OURS = "a" * 40
OTHER_INSTANCE, OTHER_ENVIRONMENT = minted(OPEN, instance="two"), minted(OPEN, environment="staging")


def test_our_own_message_bears_every_carrier() -> None:
    assert match(read(compose(PLAN, IDENTITY)), HERE, CONTEXT) == Ours(OPEN, EVERY_CARRIER, UNSAID)


def header(text: str) -> str:
    return f"X-Mailcanary-Token: {text}"


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        pytest.param(header(GOOD), "", Ours(OPEN, (Carrier.HEADER,)), id="header alone"),
        pytest.param("", GOOD, Ours(OPEN, (Carrier.BODY,)), id="body alone"),
        pytest.param(f"Message-ID: <{GOOD}@x>", "", Ours(OPEN, (Carrier.MESSAGE_ID,)), id="Message-ID alone"),
        pytest.param(f"To: s+{GOOD}@x", "", Ours(OPEN, (Carrier.PLUS_TAG,)), id="plus-tag alone"),
        pytest.param(
            header(GOOD), PLAN.story.refund_number, Ours(OPEN, (Carrier.HEADER, Carrier.REFUND_NUMBER)), id="number beside the header"
        ),
        pytest.param("", "APP-778899", Ours(OPEN, (Carrier.REFUND_NUMBER,)), id="app id alone"),
        pytest.param("", "APP-7788990", RefundShaped, id="app id within a longer one"),
        pytest.param(header(FORGED), "", Alien(ForeignKind.FORGED), id="forged header"),
        pytest.param("", FORGED, Alien(ForeignKind.FORGED), id="forged body"),
        pytest.param(header(FORGED), GOOD, Ours(OPEN, (Carrier.BODY,)), id="forged header, true body"),
        pytest.param(header(FORGED), "APP-778899", Ours(OPEN, (Carrier.REFUND_NUMBER,)), id="forged header, true app id"),
        pytest.param("", NO_KEY_OF_OURS, RefundShaped, id="forty letters in the body are no token"),
        pytest.param(header(NO_KEY_OF_OURS), "", Alien(ForeignKind.FORGED), id="forty letters in our header are"),
        pytest.param(header(OTHER_INSTANCE), "", Alien(ForeignKind.INSTANCE), id="other instance"),
        pytest.param(header(OTHER_ENVIRONMENT), "", Alien(ForeignKind.ENVIRONMENT), id="other environment"),
        pytest.param(header(minted(OPEN, "staging", "two")), "", Alien(ForeignKind.ENVIRONMENT), id="both"),
        pytest.param(header(OTHER_INSTANCE), GOOD, Alien(ForeignKind.INSTANCE), id="header beats body"),
        pytest.param(header(GOOD), OTHER_INSTANCE, Ours(OPEN, (Carrier.HEADER,)), id="header beats body, ours"),
        pytest.param(f"To: s+{OTHER_INSTANCE}@x\nMessage-ID: <{GOOD}@x>", "", Alien(ForeignKind.INSTANCE), id="plus-tag beats Message-ID"),
        pytest.param(f"Message-ID: <{OTHER_INSTANCE}@x>", GOOD, Alien(ForeignKind.INSTANCE), id="Message-ID beats body"),
        pytest.param(header(minted(UNKNOWN)), "", Alien(ForeignKind.UNKNOWN_PROBE), id="unknown probe"),
        pytest.param(
            header(minted(OPEN, route=Route(PathName("relay"), MailboxName("other")))),
            "",
            Alien(ForeignKind.UNKNOWN_PROBE),
            id="other route",
        ),
        pytest.param(header(minted(CLOSED)), "", Alien(ForeignKind.REPLAYED), id="closed probe"),
        pytest.param("", "", RefundShaped, id="no token at all"),
        pytest.param("", f"\n> {GOOD}", Unrelated("quotes or attaches a probe"), id="quoted"),
        pytest.param("Auto-Submitted: auto-replied", f"away {GOOD}", Unrelated("quotes or attaches a probe"), id="auto-reply"),
        pytest.param("Auto-Submitted: auto-replied", "APP-778899", RefundShaped, id="an app id in an auto-reply proves nothing"),
        pytest.param("Auto-Submitted: auto-replied", FORGED, RefundShaped, id="a forged token in an auto-reply hides nothing"),
    ],
)
def test_match(headers: str, body: str, expected: Match | type) -> None:
    found = matched(headers, body)
    if isinstance(expected, type):
        assert isinstance(found, expected)
    else:
        assert found == expected


def test_unrelated_mail() -> None:
    assert match(read(b"Subject: News\n\nNothing to pay"), HERE, CONTEXT) == Unrelated()
    assert match(read(b""), HERE, CONTEXT) == Unrelated()


def test_a_stray_says_why() -> None:
    found = matched()
    assert isinstance(found, RefundShaped)
    assert "gmail-1 holds refund mail of b.example" in found.why
    assert "£5.00" in found.why


@pytest.mark.parametrize(
    ("ids", "body", "expected"),
    [
        ({"A1": OPEN}, "A1", RefundShaped),  # too short to prove anything
        ({"REF-1": OPEN}, "REF-1", Ours),
        ({"REF-1": OPEN, "REF-1 B": OTHER_PROBE}, "REF-1 B", Ours),
        ({"GONE-1": UNKNOWN}, "GONE-1", RefundShaped),
        ({"DONE-1": CLOSED}, "DONE-1", RefundShaped),
    ],
)
def test_app_ids(ids: dict[str, ProbeId], body: str, expected: type) -> None:
    other = Known(replace(PLAN, probe=OTHER_PROBE), open=True)
    context = replace(CONTEXT, app_ids=ids, known=lambda probe: other if probe == OTHER_PROBE else CONTEXT.known(probe))
    found = matched(body=body, context=context)
    assert isinstance(found, expected)
    if "REF-1 B" in ids:
        assert isinstance(found, Ours) and found.probe == OTHER_PROBE, "the longest id decides"


# --- replays ---------------------------------------------------------------------------------------------------------

PASSED = Authentication(AuthResult.PASS, AuthResult.PASS, AuthResult.PASS, "mx.mailbox.example")
AR_PASS = "Authentication-Results: mx.mailbox.example; spf=pass smtp.mailfrom=x; dkim=pass header.d=x"
AR_FAIL = "Authentication-Results: mx.mailbox.example; spf=fail smtp.mailfrom=x; dkim=none"


def first_copy(auth: Authentication, message_id: str = "<first@x>", digest: str = "0" * 16) -> Sighted:
    now = Instant(0.0, 0.0, "p")
    return Sighted(now, OPEN, HERE, "INBOX", Placement.INBOX, 1, 1, None, message_id, digest, (Carrier.HEADER,), auth=auth)


@pytest.mark.parametrize(
    ("first", "headers", "replayed"),
    [
        pytest.param(first_copy(PASSED), AR_FAIL, True, id="other id, other text, no longer authenticated"),
        pytest.param(first_copy(PASSED), "", True, id="the receiver says nothing of it"),
        pytest.param(first_copy(PASSED), AR_PASS, False, id="authenticated as the first one was: a duplicate"),
        pytest.param(first_copy(UNSAID), AR_FAIL, False, id="the first one was not authenticated either"),
        pytest.param(first_copy(PASSED, message_id="<second@x>"), AR_FAIL, False, id="same Message-ID"),
        pytest.param(first_copy(replace(PASSED, spf=AuthResult.FAIL)), AR_FAIL, True, id="DKIM alone had passed"),
        pytest.param(None, AR_FAIL, False, id="the first copy itself"),
        pytest.param(first_copy(PASSED), AR_PASS.replace("mx.mailbox", "evil"), True, id="a pass that nobody we trust said"),
    ],
)
def test_replay(first: Sighted | None, headers: str, replayed: bool) -> None:
    known = Known(PLAN, open=True, first=first)
    context = replace(CONTEXT, known=lambda probe: known if probe == OPEN else None)
    lines = "\n".join(line for line in (headers, header(GOOD), "Message-ID: <second@x>") if line)
    found = matched(lines, context=context)
    assert found == (Alien(ForeignKind.REPLAYED)) if replayed else isinstance(found, Ours)


def test_a_second_copy_with_the_same_text_is_ours() -> None:
    raw = STRAY.format(headers=header(GOOD) + "\n", body="").encode()
    known = Known(PLAN, open=True, first=first_copy(PASSED, digest=read(raw).digest))
    context = replace(CONTEXT, known=lambda _: known)
    assert isinstance(match(read(raw), HERE, context), Ours)


def test_the_receivers_results_come_with_the_match() -> None:
    found = matched(f"{AR_PASS}\n{header(GOOD)}")
    assert isinstance(found, Ours)
    assert found.auth == Authentication(AuthResult.PASS, AuthResult.PASS, AuthResult.ABSENT, "mx.mailbox.example")


# --- bounces ---------------------------------------------------------------------------------------------------------


def bounce(returned: str = "", to: str = "bounce@x") -> Match:
    raw = (
        f"From: mailer-daemon@x\nTo: {to}\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\n"
        f"refund £5.00 {GOOD}\n--b\nContent-Type: message/delivery-status\n\nAction: failed\nStatus: 5.0.0\n\n"
        f"--b\nContent-Type: text/rfc822-headers\n\n{returned}\n--b--\n"
    )
    return match(read(raw.encode()), HERE, CONTEXT)


def test_bounces() -> None:
    by_token, by_tag = bounce(header(GOOD)), bounce(to=f"bounce+{OPEN}@x")
    for found in (by_token, by_tag):
        assert isinstance(found, Bounce)
        assert (found.probe, found.dsn.action, found.dsn.status) == (OPEN, "failed", "5.0.0")
    assert isinstance(bounce(header(minted(CLOSED))), Bounce), "a DSN may come days later"
    assert bounce(header(OTHER_ENVIRONMENT)) == Alien(ForeignKind.ENVIRONMENT)
    assert isinstance(bounce(), Unrelated), "refund-shaped text in a DSN is no stray"
    assert isinstance(bounce(header(FORGED)), Unrelated)
    assert isinstance(bounce(header(minted(UNKNOWN)), to=f"bounce+{UNKNOWN}@x"), Unrelated)
