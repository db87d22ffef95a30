"""DMARC-12, 13 and 16: which domain the organization is, by whom it is asked."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.model.checks import CheckId, CheckResult, Gravity
from monitor.model.dns import DnsFailure
from monitor.rules.inspect.dmarc.catalogue import CHECKS
from monitor.rules.inspect.dmarc.published import certain, mended, own_steps
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.zonefile import shown, txt_line
from monitor.rules.mailauth.dmarc import Walk, walk

_MOST_DOMAINS = 20


def judge(scene: Scene, path: Walk) -> Iterator[CheckResult]:
    yield from _drifts(scene, path)
    yield from _suffix(scene, path)
    yield _answered(path)


def _drifts(scene: Scene, path: Walk) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.DMARC_12]
    for domain in _identifiers(scene):
        steps = walk(scene.lookup, domain)
        listed = scene.suffixes.registrable(domain) or domain
        if steps.unknown:
            yield check.unknown(domain, steps.unknown)
        elif not steps.found:
            yield check.skipped(domain, "there is no DMARC record on the way up")
        elif steps.organizational == listed:
            yield check.passed(domain, f"the organizational domain is {listed} either way")
        else:
            record = (steps.at(listed) or steps.found[-1]).record
            publish = txt_line(f"_dmarc.{listed}", mended(record, psd="n")) if record else ""
            yield check.warned(
                domain,
                f"receivers that walk the tree (RFC 9989) see {steps.organizational} as its organizational domain, "
                f"those with a public suffix list (RFC 7489) see {listed}",
                mend=f"publish a record with psd=n at {listed}, so that both agree",
                publish=publish,
            )


def _identifiers(scene: Scene) -> tuple[str, ...]:
    """The domains whose alignment matters."""
    signed = (selector.domain for selector in scene.subject.selectors if not selector.retired)
    return tuple(dict.fromkeys((scene.subject.domain, *scene.subject.envelope, *signed)))[:_MOST_DOMAINS]


def _suffix(scene: Scene, path: Walk) -> Iterator[CheckResult]:
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
                "remove psd=y",
                txt_line(one.name, mended(one.record, psd="n")),
            )
        elif one.record is not None:
            yield check.warned(
                one.name,
                f"psd=n makes {one.domain} an organization of its own within {scene.suffixes.registrable(one.domain)}",
                shown(one.record.text),
                "remove psd=n, unless that is meant",
                txt_line(one.name, mended(one.record, psd="")),
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
    if bogus := next((step for step in path.steps if step.answer.failure is DnsFailure.BOGUS), None):
        return check.failed(
            path.domain,
            f"{bogus.name} is bogus: receivers that validate DNSSEC cannot read the policy, and give no verdict",
            mend="repair the signatures of the zone (DNS-08)",
            gravity=Gravity.ERROR,
        )
    if path.unknown:
        return check.unknown(path.domain, f"no answer, so no verdict: {path.unknown}")
    return check.passed(path.domain, f"all {len(path.steps)} names answered")
