"""DMARC-01 to 07: the record as it is published."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from monitor.model.checks import CheckId, CheckResult, Gravity, Profile
from monitor.model.dns import RecordType
from monitor.rules.inspect.dmarc.catalogue import CHECKS
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.zonefile import shown, txt_line
from monitor.rules.mailauth.dmarc import Record, Step, Walk, report_uri
from monitor.rules.mailauth.dmarc.record import POLICIES, REMOVED, looks_like, weaker

_VALUES = {"adkim": ("r", "s"), "aspf": ("r", "s"), "psd": ("y", "n"), "t": ("y", "n")}


def judge(scene: Scene, path: Walk) -> Iterator[CheckResult]:
    yield _discovered(path)
    yield from _one_record(scene, path)
    yield from _syntax(scene, path)
    for check in (CheckId.DMARC_04, CheckId.DMARC_05, CheckId.DMARC_06, CheckId.DMARC_07):
        step = certain(path)
        if isinstance(step, str):
            yield CHECKS[check].unknown(f"_dmarc.{path.domain}", step)
        elif step is None or step.record is None:
            yield CHECKS[check].skipped(f"_dmarc.{path.domain}", "there is no record")
        elif check is CheckId.DMARC_04:
            yield _policies(step, step.record)
        elif check is CheckId.DMARC_05:
            yield _strength(scene, path, step)
        elif check is CheckId.DMARC_06:
            yield _subdomains(path, step)
        else:
            yield _removed(step, step.record)


def certain(path: Walk) -> Step | str | None:
    """The step whose record applies; why that is not known; None when there is none."""
    step = path.policy
    if step is not None and step.domain == path.domain:
        return step
    return path.unknown or step


def mended(record: Record, **changed: str) -> str:
    """The record without its faults, and with these tags changed: what a person would publish instead."""
    tags = {"p": record.policy}
    if record.subdomain_policy:
        tags["sp"] = record.subdomain_policy
    if record.missing_policy:
        tags["np"] = record.missing_policy
    for name, values in _VALUES.items():
        value = (record.tag(name) or "").lower()
        if value in values:
            tags[name] = value
    for name, uris in (("rua", record.aggregate), ("ruf", record.forensic)):
        valid = [uri.partition("!")[0] for uri in uris if not report_uri(uri).fault]
        valid += [f"mailto:{uri}" for uri in uris if report_uri(uri).fault and not report_uri(f"mailto:{uri}").fault]
        if valid:
            tags[name] = ",".join(dict.fromkeys(valid))
    return "v=DMARC1; " + "; ".join(f"{name}={value}" for name, value in {**tags, **changed}.items() if value)


def _discovered(path: Walk) -> CheckResult:
    check, step = CHECKS[CheckId.DMARC_01], certain(path)
    suggested = txt_line(f"_dmarc.{path.domain}", f"v=DMARC1; p=none; rua=mailto:dmarc-reports@{path.domain}")
    if isinstance(step, str):
        return check.unknown(path.domain, f"the walk got no answer: {step}")
    if step is None or step.record is None:
        saw = f"no DMARC record at {', '.join(one.name for one in path.steps)}"
        if several := next((one for one in path.steps if one.several), None):
            saw = f"{len(several.records)} records at {several.name}, so that none counts"
        return check.failed(path.domain, saw, mend=f"publish one record at _dmarc.{path.domain}", publish=suggested)
    if step.record.fatal:
        return check.failed(
            path.domain,
            f"receivers treat the record at {step.name} as none: {shown(step.record.fatal)}",
            shown(step.record.text),
            "give it a valid p=",
            txt_line(step.name, mended(step.record)),
        )
    return check.passed(path.domain, f"the record at {step.name} applies", shown(step.record.text))


def own_steps(scene: Scene, path: Walk) -> list[Step]:
    """The names of the walk that belong to whoever owns the domain."""
    top = scene.suffixes.registrable(path.domain) or path.domain
    return [step for step in path.steps if step.domain == top or step.domain.endswith("." + top) or step.domain == path.domain]


def _one_record(scene: Scene, path: Walk) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.DMARC_02]
    misplaced = [name for name in (path.domain, f"_dmarc.{path.domain}.{path.domain}") if _stands_at(scene, name)]
    for step in own_steps(scene, path):
        others = [text for text in step.texts if text not in step.records and not _resembles(text)]
        if step.answer.failed:
            yield check.unknown(step.name, f"no answer: {step.answer.detail}")
        elif step.several:
            keep = f"keep one of the {len(step.records)} records and remove the others"
            yield check.failed(step.name, f"{len(step.records)} DMARC records: all of them are discarded", _all(step.records), keep)
        elif spf := [text for text in others if text.lower().startswith("v=spf1")]:
            yield check.failed(step.name, "an SPF record stands where the DMARC record belongs", _all(spf), f"move it to {step.domain}")
        elif others:
            yield check.warned(step.name, f"{len(others)} TXT records that are no DMARC records", _all(others), "remove them")
        elif misplaced and step.domain == path.domain:
            mend = f"move it to {step.name}" if not step.records else f"remove it; only the one at {step.name} is read"
            yield check.warned(step.name, f"a DMARC record stands at {misplaced[0]}, where nobody reads it", mend=mend)
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


def _syntax(scene: Scene, path: Walk) -> Iterator[CheckResult]:
    check, results = CHECKS[CheckId.DMARC_03], 0
    for step in own_steps(scene, path):
        resembling = [text for text in step.texts if _resembles(text)]
        if step.answer.failed:
            yield check.unknown(step.name, f"no answer: {step.answer.detail}")
        elif resembling and not step.records:
            yield check.failed(
                step.name,
                "the record does not begin with exactly v=DMARC1, so that it counts as none",
                _all(resembling),
                "begin it with v=DMARC1; in capitals",
            )
        elif step.record is None:
            continue
        elif step.record.faults:
            yield check.failed(
                step.name,
                shown("; ".join(step.record.faults)),
                shown(step.record.text),
                "correct it",
                txt_line(step.name, mended(step.record)),
            )
        elif step.record.warnings:
            yield check.warned(
                step.name, "; ".join(step.record.warnings), shown(step.record.text), "tidy it", txt_line(step.name, mended(step.record))
            )
        elif step.record.unknown_tags:
            yield check.noted(
                step.name, f"unknown tags, which are ignored: {shown(', '.join(step.record.unknown_tags))}", shown(step.record.text)
            )
        else:
            yield check.passed(step.name, "the record is well-formed", shown(step.record.text))
        results += 1
    if not results:
        yield check.skipped(f"_dmarc.{path.domain}", "there is no record")


def _policies(step: Step, record: Record) -> CheckResult:
    check = CHECKS[CheckId.DMARC_04]
    if not record.policies_at_fault:
        return check.passed(step.name, f"p={record.policy}", shown(record.text))
    saw, publish = shown("; ".join(record.policies_at_fault)), txt_line(step.name, mended(record))
    mend = f"set p= (and sp=, np= where given) to one of {', '.join(POLICIES)}"
    if record.fatal:
        return check.failed(step.name, f"{saw}; without a valid rua that is no record at all", shown(record.text), mend, publish)
    return check.warned(step.name, f"{saw}; receivers act as if there were p=none", shown(record.text), mend, publish)


def _strength(scene: Scene, path: Walk, step: Step) -> CheckResult:
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
    mend = "when the reports show that all of our mail passes, raise it to quarantine and then to reject"
    publish = txt_line(step.name, mended(found.record, p="quarantine", t=""))
    if protected:
        return check.failed(path.domain, f"{said}: anybody can send in this name", text, mend, publish)
    return check.warned(path.domain, f"{said}: enough for the mailbox providers, no protection", text, mend, publish)


def _subdomains(path: Walk, step: Step) -> CheckResult:
    check = CHECKS[CheckId.DMARC_06]
    top = path.at(path.organizational)
    if top is not None and path.unknown:
        return check.unknown(step.name, path.unknown)
    top = top or step
    record = top.record
    if record is None:
        return check.skipped(step.name, "there is no record")
    effective = record.subdomain_policy or record.policy
    missing = record.missing_policy or effective
    if weaker(effective, record.policy):
        saw = f"sp={effective} is weaker than p={record.policy}"
    elif record.missing_policy and weaker(missing, effective):
        saw = f"np={missing} is weaker than what applies to subdomains that exist ({effective})"
    elif not record.missing_policy and effective == "none":
        saw = "np is not given, and what applies instead is none: mail from names that do not exist is let through"
    else:
        return check.passed(top.name, f"subdomains: {effective}; such as do not exist: {missing}", shown(record.text))
    changed = {"np": "reject"} if effective == record.policy else {"sp": record.policy, "np": "reject"}
    return check.warned(top.name, saw, shown(record.text), "protect them too", txt_line(top.name, mended(record, **changed)))


def _removed(step: Step, record: Record) -> CheckResult:
    check = CHECKS[CheckId.DMARC_07]
    there = [name for name in REMOVED if record.tag(name) is not None]
    if not there:
        return check.passed(step.name, "none of pct, rf, ri", shown(record.text))
    partial = record.percentage < 100
    saw = f"{', '.join(there)}: removed from DMARC"
    if partial:
        saw += f"; receivers that still read pct={record.percentage} let the rest of forged mail through"
    return check.warned(
        step.name,
        saw,
        shown(record.text),
        "remove them; t=y says what pct=0 said",
        txt_line(step.name, mended(record)),
        Gravity.ERROR if partial else Gravity.WARNING,
    )
