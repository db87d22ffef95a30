"""DMARC-12, 13 and 16: which domain the organization is, by whom it is asked."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.model.checks import CheckId, CheckResult
from monitor.rules.inspect.dmarc.catalogue import CHECKS
from monitor.rules.inspect.dmarc.mending import Proposals, certain, identifiers, offered, own_steps, parting
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.zonefile import shown
from monitor.rules.mailauth.dmarc import Walk, walk


def judge(scene: Scene, path: Walk, offers: Proposals) -> Iterator[CheckResult]:
    yield from _drifts(scene, offers)
    yield from _suffix(scene, path, offers)
    yield _answered(path)


def _drifts(scene: Scene, offers: Proposals) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.DMARC_12]
    for domain in identifiers(scene):
        steps = walk(scene.lookup, domain)
        listed = scene.suffixes.registrable(domain) or domain
        if steps.unknown:
            yield check.unknown(domain, steps.unknown)
        elif not steps.found:
            yield check.skipped(domain, "there is no DMARC record on the way up")
        elif steps.organizational == listed:
            yield check.passed(domain, f"the organizational domain is {listed} either way")
        else:
            saw = (
                f"receivers that walk the tree (RFC 9989) see {steps.organizational} as its organizational domain, "
                f"those with a public suffix list (RFC 7489) see {listed}"
            )
            yield check.warned(domain, saw, mend=_together(scene, offers, domain, listed), publish=_line(scene, offers, domain, listed))


def _together(scene: Scene, offers: Proposals, domain: str, listed: str) -> str:
    step = parting(scene, domain)
    if step is None or step.domain == listed:
        words = f"publish a record with psd=n at {listed}, so that both agree"
        return offered(offers, step).mend(words) if step is not None else words
    return offered(offers, step).mend(f"remove psd= at {step.name}, and publish a record with psd=n at {listed}, so that both agree")


def _line(scene: Scene, offers: Proposals, domain: str, listed: str) -> str:
    """Only where this one line brings them together."""
    step = parting(scene, domain)
    if step is None:
        return ""
    top = walk(scene.lookup, listed).at(listed)
    agrees = top is not None and top.record is not None and top.record.suffix != "y"
    return offered(offers, step).publish(step.domain == listed or agrees)


def _suffix(scene: Scene, path: Walk, offers: Proposals) -> Iterator[CheckResult]:
    check, step = CHECKS[CheckId.DMARC_13], certain(path)
    about = f"_dmarc.{path.domain}"
    if isinstance(step, str):
        yield check.unknown(about, step)
        return
    if step is None:
        yield check.skipped(about, "there is no record")
        return
    wrong = [one for one in own_steps(scene, path) if one.record is not None and _misplaced(scene, one.domain, one.record.suffix)]
    for one in wrong:
        if one.record is not None and one.record.suffix == "y":
            yield check.failed(
                one.name,
                f"psd=y, but {one.domain} is no public suffix: nothing below it is aligned with it",
                shown(one.record.text),
                offered(offers, one).mend("remove psd=y"),
                offered(offers, one).publish(),
            )
        elif one.record is not None:
            yield check.warned(
                one.name,
                f"psd=n makes {one.domain} an organization of its own within {scene.suffixes.registrable(one.domain)}",
                shown(one.record.text),
                offered(offers, one).mend("remove psd=n, unless that is meant"),
                offered(offers, one).publish(),
            )
    if not wrong:
        text = shown(step.record.text) if step.record else ""
        said = step.record.suffix if step.record else "u"
        yield check.passed(about, f"psd={said} at {step.name}" if said != "u" else "psd is not given: the tree walk decides", text)


def _misplaced(scene: Scene, domain: str, suffix: str) -> bool:
    listed = scene.suffixes.registrable(domain)
    return (suffix == "y" and bool(listed)) or (suffix == "n" and bool(listed) and listed != domain)


def _answered(path: Walk) -> CheckResult:
    check = CHECKS[CheckId.DMARC_16]
    if path.unknown:
        return check.unknown(path.domain, f"no answer, so no verdict: {path.unknown}")
    if patchy := [step for step in path.steps if step.answer.resolvers_failed]:
        saw = f"{patchy[0].name}: {patchy[0].answer.resolvers_failed} of our resolvers gave no answer"
        return check.warned(path.domain, saw, mend="see whether the servers of the zone answer everybody (DNS-02)")
    return check.passed(path.domain, f"all {len(path.steps)} names answered")
