"""SPF-07 and 16: what a receiver makes of our addresses, and of a stranger's."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.model.checks import CheckId, CheckResult
from monitor.model.mail import AuthResult
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.spf.catalogue import CHECKS
from monitor.rules.inspect.spf.proposal import MOST_EGRESS
from monitor.rules.inspect.spf.sight import UNKNOWN_EGRESS, Sight
from monitor.rules.inspect.zonefile import shown

_PASS, _TEMPERROR = AuthResult.PASS, AuthResult.TEMPERROR


def judge(scene: Scene, names: tuple[Sight, ...]) -> Iterator[CheckResult]:
    for sight in names:
        if not sight.is_helo:
            yield from _authorised(sight)
            yield from _strangers(sight)
    yield from _helo(scene, names)


def _authorised(sight: Sight) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.SPF_07]
    if not sight.egress:
        yield check.skipped(sight.name, UNKNOWN_EGRESS)
        return
    evaluations = [(address, sight.evaluation(address)) for address in sight.egress]
    for address, evaluation in evaluations:
        about = f"{sight.name} from {address}"
        if evaluation.result is _PASS:
            yield check.passed(about, f"pass by {shown(evaluation.why)}", shown(sight.text))
        elif evaluation.result is _TEMPERROR:
            yield check.unknown(about, f"temperror: {shown(evaluation.why)}")
        elif evaluation.result is AuthResult.PERMERROR:
            saw = f"permerror: {shown(evaluation.why)}"
            mend = "Mend the record first: a permanent error authorises nobody."
            yield check.failed(about, saw, shown(sight.text), mend, sight.publish)
        else:
            saw = f"{evaluation.result.value}: {shown(evaluation.why)}"
            mend = "Publish the record with all sending addresses in it, before what refuses them."
            yield check.failed(about, saw, shown(sight.text), mend, sight.publish)


def _strangers(sight: Sight) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.SPF_07]
    for address in sight.strangers:
        about, evaluation = f"{sight.name} from {address} (a stranger)", sight.evaluation(address)
        if evaluation.result is _TEMPERROR:
            yield check.unknown(about, f"temperror: {shown(evaluation.why)}")
        elif evaluation.result is _PASS:
            mend = "Narrow the term that lets it in."
            yield check.failed(about, f"an address that nobody sends from passes by {shown(evaluation.why)}", shown(sight.text), mend)
        elif sight.texts and sight.egress:  # without the senders' addresses its refusal says nothing of them
            yield check.passed(about, f"{evaluation.result.value}: {shown(evaluation.why)}")


def _helo(scene: Scene, names: tuple[Sight, ...]) -> Iterator[CheckResult]:
    """SPF-16."""
    check, subject = CHECKS[CheckId.SPF_16], scene.subject
    if not subject.helo or not subject.egress:
        missing = "HELO names are not known: inspect.domains.NAME.helo, or a delivered mail" if not subject.helo else UNKNOWN_EGRESS
        yield check.skipped(subject.domain, missing)
        return
    for name in dict.fromkeys(subject.helo):
        evaluations = [(address, scene.spf(address, name, name)) for address in subject.egress[:MOST_EGRESS]]
        bad = [(address, each) for address, each in evaluations if each.result not in (_PASS, _TEMPERROR, AuthResult.NONE)]
        dark = next((each for _, each in evaluations if each.result is _TEMPERROR), None)
        if bad and any(each.result is _PASS for _, each in evaluations) and len(subject.helo) > 1:
            bad = []  # each address has its own name among several, and we do not know which
        if bad:
            address, worst = bad[0]
            saw = f"postmaster@{name} from {address}: {worst.result.value}: {shown(worst.why)}"
            publish = next((sight.publish for sight in names if sight.name == name), "")
            yield check.failed(name, saw, shown(worst.tree.record), "Authorise the address for its HELO name.", publish)
        elif dark is not None:
            yield check.unknown(name, shown(dark.why))
        else:
            yield check.passed(name, "pass or none from every sending address")
