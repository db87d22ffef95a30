"""MSG-01: does delivered mail keep to the message format."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.model.checks import CheckId, CheckResult, Gravity
from monitor.model.inspection import SeenMail
from monitor.rules.inspect.check import Check
from monitor.rules.inspect.dkim_seen import NO_MAIL, bounded
from monitor.rules.inspect.scene import Scene
from monitor.rules.mailauth.form import BARE_LF_STORED
from monitor.rules.plain import plain

OFF = 300.0  # seconds that Date may differ from the submission

CHECKS: dict[CheckId, Check] = {
    CheckId.MSG_01: Check(
        CheckId.MSG_01,
        "delivered mail keeps to the message format",
        "Gmail and Yahoo reject or junk mail that breaks RFC 5322.",
        "RFC 5322, RFC 2045",
        Gravity.CRITICAL,
    )
}


def judge(scene: Scene) -> Iterator[CheckResult]:
    """One result for each route."""
    if not scene.subject.mails:
        yield CHECKS[CheckId.MSG_01].skipped(scene.subject.domain, NO_MAIL)
        return
    yield from bounded((_of_mail(mail) for mail in scene.subject.mails), CHECKS)


def _of_mail(mail: SeenMail) -> CheckResult:
    check, route = CHECKS[CheckId.MSG_01], plain(mail.route)
    faults = [fault for fault in mail.mail.faults if fault != BARE_LF_STORED]
    off = mail.mail.dated - mail.sent if mail.mail.dated is not None else 0.0
    if abs(off) > OFF:
        faults.append(f"Date is {abs(off):.0f} s {'after' if off > 0 else 'before'} the submission")
    if faults:
        return check.failed(
            route, plain("; ".join(faults))[:500], mend="let the application write the message by a mail library, as RFC 5322 wants it"
        )
    if mail.mail.header_cut:
        return check.unknown(route, "the header of the delivered mail was not read whole")
    if mail.mail.truncated:
        return check.unknown(route, "only the beginning of the mail was read; nothing is wrong with that")
    if BARE_LF_STORED in mail.mail.faults:
        return check.noted(route, BARE_LF_STORED)
    return check.passed(route, "Date, From, Message-ID and lines are as they must be")
