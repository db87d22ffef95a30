"""What receivers wrote on delivered mail."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.checks import CheckId, Gravity, Status
from monitor.model.inspection import SeenMail, Subject
from monitor.model.mail import Authentication, AuthResult
from monitor.model.mailauth import DeliveredMail, Leaning, MailProof, PlacementHint
from monitor.rules.inspect.receivers import CHECKS, MOST_MAILS, judge
from tests.rules.inspect.worlds import DOMAIN, NOW, Dns, Row, World, holds

SAID = Authentication(AuthResult.PASS, AuthResult.PASS, AuthResult.PASS, "mx.box.test")
GOOD = PlacementHint("X-Spam-Flag", Leaning.GOOD, "NO")
SPAM = PlacementHint("X-Forefront-Antispam-Report", Leaning.SPAM, "SFV:SPM SCL:5")
BULK = PlacementHint("X-YahooFilteredBulk", Leaning.BULK, "192.0.2.10")
READ = DeliveredMail(said=SAID, hints=(GOOD,))


def world(*mails: DeliveredMail) -> World:
    seen = tuple(SeenMail(f"smtp->box{n}", "box", f"box{n}", mail, MailProof(), NOW - 60, NOW) for n, mail in enumerate(mails))
    return World(Dns(), Subject(DOMAIN, NOW, mails=seen))


CUT = DeliveredMail(header_cut=True, truncated=True)
ROWS = {
    CheckId.AR_01: Row(world(READ), world(DeliveredMail(untrusted=("evil.test",))), world(CUT)),
    CheckId.AR_02: Row(world(READ), world(replace(READ, unparsed=1)), world(CUT)),
    CheckId.PLC_02: Row(world(READ), world(replace(READ, hints=(GOOD, SPAM))), world(CUT)),
}


@pytest.mark.parametrize("check", ROWS)
def test_rows(check: CheckId) -> None:
    holds(ROWS[check], check, judge)


@pytest.mark.parametrize(
    ("mail", "expected"),
    [
        pytest.param(READ, ("pass", "pass", "pass"), id="good"),
        pytest.param(replace(READ, untrusted=("evil.test", "")), ("pass", "pass", "pass"), id="strangers beside the receiver"),
        pytest.param(DeliveredMail(), ("skip", "skip", "skip"), id="a receiver that writes nothing"),
        pytest.param(DeliveredMail(untrusted=("",)), ("fail", "skip", "skip"), id="Outlook, not trusted"),
        pytest.param(DeliveredMail(unparsed=1, untrusted=("x",)), ("fail", "warn", "skip"), id="illegible"),
        pytest.param(replace(READ, hints=(BULK,)), ("pass", "pass", "warn"), id="bulk"),
        pytest.param(replace(READ, header_cut=True), ("pass", "pass", "unknown"), id="cut below the results"),
        pytest.param(replace(READ, header_cut=True, hints=(SPAM,)), ("pass", "pass", "warn"), id="cut below the hints"),
        pytest.param(replace(READ, truncated=True), ("pass", "pass", "pass"), id="only the body is cut"),
    ],
)
def test_mail(mail: DeliveredMail, expected: tuple[str, str, str]) -> None:
    found = {result.check: result.status.value for result in world(mail).checked(judge)}
    assert tuple(found[check] for check in ROWS) == expected


def test_the_mend_names_the_setting() -> None:
    found = world(DeliveredMail(untrusted=("mx.box.test", ""))).checked(judge)[0]
    assert "mailboxes.box0.authserv_ids" in found.mend and '"*"' in found.mend and "mx.box.test" in found.saw
    assert found.gravity is Gravity.ERROR


def test_no_mail_is_nothing_to_test() -> None:
    results = world().checked(judge)
    assert {result.check for result in results} == set(CHECKS)
    assert {result.status for result in results} == {Status.SKIP}


def test_bounded_and_hostile() -> None:
    results = world(*[READ] * (MOST_MAILS + 3)).checked(judge)
    assert [result.saw for result in results if result.check is CheckId.AR_02][-1].startswith("mail of 3 more")
    assert len({(result.check, result.about) for result in results}) == len(results) == 3 * (MOST_MAILS + 1)
    evil = world(DeliveredMail(untrusted=("\x1b[2J", *(f"seed@{n}.test" for n in range(30))))).checked(judge)
    assert all(result.saw.isprintable() and len(result.saw) < 400 and "seed@" not in result.saw for result in evil)
