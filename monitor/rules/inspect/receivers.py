"""What receivers wrote on delivered mail: whether their results can be trusted and read, and where their filters lean (AR-01, AR-02,
PLC-02)."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.model.checks import CheckId, CheckResult, Gravity
from monitor.model.inspection import SeenMail
from monitor.model.mail import UNSAID
from monitor.model.mailauth import Leaning
from monitor.rules.inspect.check import Check
from monitor.rules.inspect.scene import Scene
from monitor.rules.mailauth.receiver import word
from monitor.rules.plain import plain

MOST_MAILS = 20
_SHOWN = 5

CHECKS = {
    check.id: check
    for check in (
        Check(
            CheckId.AR_01,
            "the receiver's results come from a name that we trust",
            "Anyone can write Authentication-Results; without a trusted one the receiver's own verdict on refund mail stays unseen.",
            "RFC 8601 sections 5 and 7.1",
            Gravity.CRITICAL,
        ),
        Check(
            CheckId.AR_02,
            "the receiver's results can be read",
            "Results that cannot be read hide the verdict that decides where refund mail goes.",
            "RFC 8601 section 2.2",
            Gravity.ERROR,
        ),
        Check(
            CheckId.PLC_02,
            "filters do not lean towards spam",
            "The folder decides, but a filter that already leans towards spam puts the next refund mail there.",
            "header fields of Microsoft, Yahoo, SpamAssassin and rspamd",
            Gravity.WARNING,
        ),
    )
}
HOW_TO_SEE = "no delivered mail was seen yet: it is learned from probes"


def judge(scene: Scene) -> Iterator[CheckResult]:
    mails = {mail.route: mail for mail in scene.subject.mails}
    if not mails:
        for check in CHECKS.values():
            yield check.skipped(scene.subject.domain, HOW_TO_SEE)
    for mail in list(mails.values())[:MOST_MAILS]:
        yield _trusted(mail)
        yield _legible(mail)
        yield _leaning(mail)
    if (more := len(mails) - MOST_MAILS) > 0:
        for check in CHECKS.values():
            yield check.noted("more routes", f"mail of {more} more was not looked at")


def _trusted(seen: SeenMail) -> CheckResult:
    """Results by strangers only are our own blind spot more than a fault of the sender: an error, no page."""
    check = CHECKS[CheckId.AR_01]
    mail = seen.mail
    if mail.said != UNSAID:
        ignored = f"; ignored: {_named(mail.untrusted)}" if mail.untrusted else ""
        return check.passed(seen.route, f"results by {plain(mail.said.authserv_id) or 'the topmost header, which names nobody'}{ignored}")
    if (sealed := word(mail, seen.proof.arc)) != UNSAID:
        return check.passed(seen.route, f"results that {plain(sealed.authserv_id)} sealed into an ARC chain that holds")
    if mail.header_cut:
        return check.unknown(seen.route, "the header was not read to its end, and no trusted Authentication-Results stand in what was read")
    if not mail.untrusted:
        return check.skipped(seen.route, "the receiver writes no Authentication-Results")
    key = f"mailboxes.{seen.mailbox}.authserv_ids"
    mend = f"if one of them is what {seen.provider} writes itself, add it to {key}"
    if "" in mail.untrusted:
        mend += '; for a receiver that names nobody (Outlook) that is "*", the topmost header'
    what = f"results only by names that are not on our list, or below the receiver's own Received fields: {_named(mail.untrusted)}"
    return check.failed(seen.route, what, mend=mend, gravity=Gravity.ERROR)


def _legible(seen: SeenMail) -> CheckResult:
    check = CHECKS[CheckId.AR_02]
    mail = seen.mail
    if mail.unparsed:
        what = f"nothing could be read in {mail.unparsed} Authentication-Results"
        mend = "the reader has to learn it: add the header to tests/corpus_results, or report it"
        return check.warned(seen.route, what, mend=mend, gravity=Gravity.ERROR)
    if mail.said != UNSAID:
        said = mail.said
        return check.passed(seen.route, f"spf={said.spf.value} dkim={said.dkim.value} dmarc={said.dmarc.value}")
    if (sealed := word(mail, seen.proof.arc)) != UNSAID:
        return check.passed(seen.route, f"results that {plain(sealed.authserv_id)} sealed into an ARC chain that holds")
    if mail.header_cut:
        return check.unknown(seen.route, "the header was not read to its end, and no trusted Authentication-Results stand in what was read")
    return check.skipped(seen.route, "there are no trusted Authentication-Results to read")


def _leaning(seen: SeenMail) -> CheckResult:
    check = CHECKS[CheckId.PLC_02]
    hints = seen.mail.hints
    shown = "; ".join(f"{hint.source}: {hint.detail}" for hint in hints[:_SHOWN])
    if bad := [hint for hint in hints if hint.leaning is not Leaning.GOOD]:
        what = f"a filter of {seen.provider} leans towards {bad[0].leaning.value}: {bad[0].source}: {bad[0].detail}"
        mend = "read what the filter counts against the mail, and mend the authentication findings first"
        return check.warned(seen.route, what, shown, mend)
    if seen.mail.header_cut:
        return check.unknown(seen.route, "the header was not read to its end: filters may have written below")
    if not hints:
        return check.skipped(seen.route, "no filter wrote what it makes of the mail")
    return check.passed(seen.route, "no filter leans towards spam or bulk", shown)


def _named(ids: tuple[str, ...]) -> str:
    shown = ", ".join(plain(name) or "(one that names nobody)" for name in ids[:_SHOWN])
    return f"{shown} and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else shown
