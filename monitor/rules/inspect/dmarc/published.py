"""DMARC-01 to 07: the record as it is published."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from monitor.model.checks import CheckId, CheckResult, Gravity, Profile
from monitor.model.dns import RecordType
from monitor.rules.inspect.dmarc.catalogue import CHECKS
from monitor.rules.inspect.dmarc.mending import Proposals, certain, offered, own_steps, reports_arrive, unprotected
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.zonefile import shown
from monitor.rules.mailauth.dmarc import Record, Step, Walk
from monitor.rules.mailauth.dmarc.record import POLICIES, REMOVED, looks_like, lowered


def judge(scene: Scene, path: Walk, offers: Proposals) -> Iterator[CheckResult]:
    yield _discovered(scene, path, offers)
    yield from _one_record(scene, path, offers)
    yield from _syntax(scene, path, offers)
    for check in (CheckId.DMARC_04, CheckId.DMARC_05, CheckId.DMARC_06, CheckId.DMARC_07):
        step = certain(path)
        if isinstance(step, str):
            yield CHECKS[check].unknown(f"_dmarc.{path.domain}", step)
        elif step is None or step.record is None:
            yield CHECKS[check].skipped(f"_dmarc.{path.domain}", "there is no record")
        elif check is CheckId.DMARC_04:
            yield _policies(step, step.record, offers)
        elif check is CheckId.DMARC_05:
            yield _strength(scene, path, step, offers)
        elif check is CheckId.DMARC_06:
            yield _subdomains(path, step, offers)
        else:
            yield _removed(step, step.record, offers)


def _discovered(scene: Scene, path: Walk, offers: Proposals) -> CheckResult:
    check, step = CHECKS[CheckId.DMARC_01], certain(path)
    if isinstance(step, str):
        return check.unknown(path.domain, f"the walk got no answer: {step}")
    if step is None or step.record is None:
        return _nothing(scene, path, offers)
    if step.record.fatal:
        offer = offered(offers, step)
        return check.failed(
            path.domain,
            f"receivers treat the record at {step.name} as none: {shown(step.record.fatal)}",
            shown(step.record.text),
            offer.mend("give it a valid p="),
            offer.publish(),
        )
    return check.passed(path.domain, f"the record at {step.name} applies", shown(step.record.text))


def _nothing(scene: Scene, path: Walk, offers: Proposals) -> CheckResult:
    check = CHECKS[CheckId.DMARC_01]
    if several := next((one for one in path.steps if one.several), None):
        saw = f"{len(several.records)} records at {several.name}, so that none counts"
        return check.failed(path.domain, saw, mend=offered(offers, several).mend("keep one of them"))
    saw = f"no DMARC record at {', '.join(one.name for one in path.steps)}"
    top = own_steps(scene, path)[-1]
    offer = offered(offers, top)
    if top.texts:
        return check.failed(path.domain, saw, mend=offer.mend(f"put one DMARC record in the place of what stands at {top.name}"))
    mend = f"publish one record at {top.name}, then create a mailbox for the reports and add it as rua=mailto:"
    return check.failed(path.domain, saw, mend=offer.mend(mend), publish=offer.publish())


def _one_record(scene: Scene, path: Walk, offers: Proposals) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.DMARC_02]
    misplaced = [name for name in (path.domain, f"_dmarc.{path.domain}.{path.domain}") if _stands_at(scene, name)]
    for step in own_steps(scene, path):
        others = [text for text in step.texts if text not in step.records and not _resembles(text)]
        spf = [text for text in others if text.lower().startswith("v=spf1")]
        mend = offered(offers, step).mend
        if step.answer.failed:
            yield check.unknown(step.name, f"no answer: {step.answer.detail}")
        elif step.several:
            keep = mend(f"keep one of the {len(step.records)} records and remove the others")
            yield check.failed(step.name, f"{len(step.records)} DMARC records: all of them are discarded", _all(step.records), keep)
        elif spf and (path.policy is None or path.policy.domain == step.domain):
            yield check.failed(
                step.name, "an SPF record stands where the DMARC record belongs", _all(spf), mend(f"move it to {step.domain}")
            )
        elif others:
            yield check.warned(step.name, f"{len(others)} TXT records that are no DMARC records", _all(others), mend("remove them"))
        elif misplaced and step.domain == path.domain:
            where = f"move it to {step.name}" if not step.records else f"remove it; only the one at {step.name} is read"
            yield check.warned(step.name, f"a DMARC record stands at {misplaced[0]}, where nobody reads it", mend=where)
        elif step.records:
            yield check.passed(step.name, "one record", _all(step.records))
        elif step.domain == path.domain:
            yield check.skipped(step.name, "there is no record")


def _stands_at(scene: Scene, name: str) -> bool:
    return any(looks_like(text) for text in scene.lookup.ask(name, RecordType.TXT).records)


def _resembles(text: str) -> bool:
    """Meant as a DMARC record, though it is none."""
    return not looks_like(text) and "dmarc1" in text[:40].lower()


def _all(texts: tuple[str, ...] | list[str]) -> str:
    return shown(" | ".join(texts[:5]))


def _syntax(scene: Scene, path: Walk, offers: Proposals) -> Iterator[CheckResult]:
    check, results = CHECKS[CheckId.DMARC_03], 0
    for step in own_steps(scene, path):
        resembling, offer = [text for text in step.texts if _resembles(text)], offered(offers, step)
        if step.answer.failed:
            yield check.unknown(step.name, f"no answer: {step.answer.detail}")
        elif resembling and not step.records:
            saw = "the record does not begin with exactly v=DMARC1, so that it counts as none"
            yield check.failed(step.name, saw, _all(resembling), offer.mend("begin it with v=DMARC1; in capitals"))
        elif step.record is None:
            continue
        elif step.record.faults:
            saw, text = shown("; ".join(step.record.faults)), shown(step.record.text)
            yield check.failed(step.name, saw, text, offer.mend("correct it"), offer.publish())
        elif step.record.warnings:
            text = shown(step.record.text)
            yield check.warned(step.name, "; ".join(step.record.warnings), text, offer.mend("tidy it"), offer.publish())
        elif step.record.unknown_tags:
            yield check.noted(
                step.name, f"unknown tags, which are ignored: {shown(', '.join(step.record.unknown_tags))}", shown(step.record.text)
            )
        else:
            yield check.passed(step.name, "the record is well-formed", shown(step.record.text))
        results += 1
    if not results:
        yield check.skipped(f"_dmarc.{path.domain}", "there is no record")


def _policies(step: Step, record: Record, offers: Proposals) -> CheckResult:
    check, offer = CHECKS[CheckId.DMARC_04], offered(offers, step)
    if not record.policies_at_fault:
        return check.passed(step.name, f"p={record.policy}", shown(record.text))
    saw, text = shown("; ".join(record.policies_at_fault)), shown(record.text)
    mend = offer.mend(f"set p= (and sp=, np= where given) to one of {', '.join(POLICIES)}")
    if record.fatal:
        return check.failed(step.name, f"{saw}; without a valid rua that is no record at all", text, mend, offer.publish())
    return check.warned(step.name, f"{saw}; receivers act as if there were p=none", text, mend, offer.publish())


def _strength(scene: Scene, path: Walk, step: Step, offers: Proposals) -> CheckResult:
    protected = Profile.PROTECTED in scene.subject.profiles
    check = replace(CHECKS[CheckId.DMARC_05], gravity=Gravity.ERROR) if protected else CHECKS[CheckId.DMARC_05]
    found = scene.policy(path.domain)
    if found.record is None:
        return check.skipped(path.domain, "there is no record that counts")
    if found.unknown and step.domain != path.domain:
        return check.unknown(path.domain, found.unknown)
    text = shown(found.record.text)
    said = f"the policy is {found.applied}" + (" (t=y lowers it by one)" if found.applied != found.policy else "")
    if found.applied != "none":
        return check.passed(path.domain, said, text)
    offer = offered(offers, step)
    raised = offer.record is not None and reports_arrive(scene, step, offer.record.aggregate)
    raised = raised and offer.record is not None and _protects(offer.record, step.domain == path.domain)
    mend = "when the reports show that all of our mail passes, raise it to quarantine and then to reject"
    if not raised:
        mend = "see that reports reach a mailbox (rua=) and that delivered mail passes; " + mend
    if protected:
        return check.failed(path.domain, f"{said}: anybody can send in this name", text, offer.mend(mend), offer.publish(raised))
    saw = f"{said}: enough for the mailbox providers, no protection"
    return check.warned(path.domain, saw, text, offer.mend(mend), offer.publish(raised))


def _protects(record: Record, own: bool) -> bool:
    """Of each policy that may apply: is it more than none."""
    below = record.subdomain_policy or record.policy
    policies = (record.policy,) if own else (below, record.missing_policy or below)
    return all((lowered(policy) if record.testing else policy) != "none" for policy in policies)


def _subdomains(path: Walk, step: Step, offers: Proposals) -> CheckResult:
    check = CHECKS[CheckId.DMARC_06]
    top = path.at(path.organizational)
    if top is not None and path.unknown:
        return check.unknown(step.name, path.unknown)
    top = top or step
    record = top.record
    if record is None:
        return check.skipped(step.name, "there is no record")
    if saw := unprotected(record):
        offer = offered(offers, top)
        gone = offer.record is not None and not unprotected(offer.record)
        return check.warned(top.name, shown(saw), shown(record.text), offer.mend("protect them too"), offer.publish(gone))
    effective = record.subdomain_policy or record.policy
    missing = record.missing_policy or effective
    return check.passed(top.name, f"subdomains: {effective}; such as do not exist: {missing}", shown(record.text))


def _removed(step: Step, record: Record, offers: Proposals) -> CheckResult:
    check, offer = CHECKS[CheckId.DMARC_07], offered(offers, step)
    there = [name for name in REMOVED if record.tag(name) is not None]
    if not there:
        return check.passed(step.name, "none of pct, rf, ri", shown(record.text))
    partial = record.percentage < 100
    saw = f"{', '.join(there)}: removed from DMARC"
    if partial:
        saw += f"; receivers that still read pct={record.percentage} let the rest of forged mail through"
    mend = offer.mend("remove them; t=y says what pct=0 said")
    gravity = Gravity.ERROR if partial else Gravity.WARNING
    return check.warned(step.name, saw, shown(record.text), mend, offer.publish(), gravity)
