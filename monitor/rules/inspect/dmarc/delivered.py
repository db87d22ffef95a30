"""DMARC-10 and 11: what became of delivered mail."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.model.checks import CheckId, CheckResult
from monitor.model.inspection import SeenMail
from monitor.model.mail import AuthResult
from monitor.rules.inspect.dmarc.catalogue import CHECKS
from monitor.rules.inspect.routes import together
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.zonefile import shown
from monitor.rules.mailauth.receiver import word

_MOST = 20
_NO_PASS = (AuthResult.FAIL, AuthResult.PERMERROR)
_UNSURE = (AuthResult.TEMPERROR, AuthResult.ABSENT)


def judge(scene: Scene) -> Iterator[CheckResult]:
    mails = {mail.route: mail for mail in scene.subject.mails}
    for check, judged in ((CHECKS[CheckId.DMARC_10], _passes), (CHECKS[CheckId.DMARC_11], _agrees)):
        if not mails:
            yield check.skipped(scene.subject.domain, "no delivered mail has been seen yet")
        results = list(together(map(judged, mails.values()), mails))
        yield from results[:_MOST]
        if (more := len(results) - _MOST) > 0:
            yield check.noted("more", f"{more} more are not shown")


def _passes(seen: SeenMail) -> CheckResult:
    check, proof = CHECKS[CheckId.DMARC_10], seen.proof
    dmarc, why = proof.dmarc, shown(proof.dmarc.why)
    if dmarc.result in _UNSURE:
        return check.unknown(seen.route, why or "it could not be verified")
    if dmarc.result is AuthResult.NONE:
        return check.skipped(seen.route, why or "no DMARC record applies")
    if dmarc.result is not AuthResult.PASS:
        mend = f"sign with a domain of {dmarc.organizational}, or send from an envelope domain of it that passes SPF"
        if dmarc.result is AuthResult.PERMERROR:
            mend = "let From name exactly one address"
        return check.failed(seen.route, f"dmarc={dmarc.result.value}: {why}", mend=mend)
    if dmarc.spf_aligned and dmarc.dkim_aligned:
        return check.passed(seen.route, why)
    if not dmarc.spf_aligned and proof.spf in _UNSURE:
        return check.passed(seen.route, f"{why}; SPF is not known")
    if not dmarc.dkim_aligned and any(one.state.unknown for one in proof.dkim):
        return check.passed(seen.route, f"{why}; not every signature could be verified")
    lacks = "DKIM" if dmarc.spf_aligned else "SPF"
    return check.warned(seen.route, f"{why}, but {lacks} is not: one fault breaks it", mend=f"align {lacks} as well")


def _agrees(seen: SeenMail) -> CheckResult:
    check, said = CHECKS[CheckId.DMARC_11], word(seen.mail, seen.proof.arc).dmarc
    ours, shadow = seen.proof.dmarc, seen.proof.shadow
    if said is AuthResult.ABSENT:
        if seen.mail.header_cut:
            return check.unknown(seen.route, "the header was not read whole")
        return check.skipped(seen.route, f"{seen.provider} says nothing of DMARC that we trust")
    if said is AuthResult.TEMPERROR:
        return check.unknown(seen.route, f"{seen.provider} could not tell either (temperror)")
    if ours.result in _UNSURE:
        return check.unknown(seen.route, f"{seen.provider} says {said.value}; we cannot tell: {shown(ours.why)}")
    if _same(said, ours.result):
        return check.passed(seen.route, f"{seen.provider} and we say {said.value}")
    if _same(said, shadow.result):
        return check.passed(
            seen.route, f"{seen.provider} says {said.value}, as the public suffix list has it; the tree walk says {ours.result.value}"
        )
    return check.warned(
        seen.route,
        f"{seen.provider} says {said.value}, we say {ours.result.value}: {shown(ours.why)} "
        f"(policy of {ours.policy_domain or 'nobody'}, organization {ours.organizational or 'not known'})",
        mend="see whether the zone answers the same everywhere, and whether the mail was altered on its way",
    )


def _same(said: AuthResult, ours: AuthResult) -> bool:
    return said is ours or (said in _NO_PASS and ours in _NO_PASS)
