"""DNS-08: DNSSEC, as our validating resolver sees it."""

from __future__ import annotations

from monitor.model.checks import CheckId, CheckResult, Gravity
from monitor.model.dns import Answer, DnsFailure, RecordType
from monitor.rules.inspect.authority import Zone
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.zone.catalogue import CHECKS

_DAY = 86_400.0
_SOON = 3 * _DAY
_BRIEF = 7 * _DAY  # signatures made on the fly live for a day or so, and are always near their end
_LEFT = 0.25  # of such a life
_OLD_ALGORITHMS = {"1": "RSAMD5", "3": "DSA", "5": "RSASHA1", "6": "DSA-NSEC3-SHA1", "7": "RSASHA1-NSEC3-SHA1"}
_SHA1_DIGEST = "1"


def judge(scene: Scene, zone: Zone, domains: tuple[str, ...]) -> CheckResult:
    check, ask = CHECKS[CheckId.DNS_08], scene.lookup.ask
    ds, keys = ask(zone.name, RecordType.DS), ask(zone.name, RecordType.DNSKEY)
    mail = [ask(zone.name, RecordType.SOA)]
    for domain in domains:
        mail += [ask(domain, RecordType.MX), ask(domain, RecordType.TXT), ask(f"_dmarc.{domain}", RecordType.TXT)]
    answers = [ds, keys, *mail]
    if bogus := next((answer for answer in answers if answer.failure is DnsFailure.BOGUS), None):
        if ds.void and not bogus.chain:  # resolvers that remember a SERVFAIL, and not for who wants it unchecked, look like this too
            saw = f"{bogus.question}: {bogus.detail}; and yet the parent has no DS, so that nothing here can be bogus"
            return check.unknown(zone.name, saw, "see why our resolver refuses it: inspect.resolvers")
        return check.failed(
            zone.name, f"{bogus.question} is bogus: {bogus.detail}", mend="sign the zone again, or take the DS out of the parent"
        )
    if failed := next((answer for answer in answers if answer.failed), None):
        return check.unknown(zone.name, f"{failed.question}: {failed.detail}")
    if not ds.found:
        return check.noted(zone.name, "not signed: nobody can tell forged answers from ours")
    record = "; ".join(ds.records)
    if not keys.found:
        return check.failed(
            zone.name, "the parent has a DS, and the zone has no DNSKEY", record, "publish the keys, or take the DS out of the parent"
        )
    if not all(answer.authentic for answer in (ds, mail[0])):
        return check.unknown(zone.name, "it is signed, but our resolver does not validate", "ask a validating resolver: inspect.resolvers")
    return _expiry(scene, zone, mail, record) or _strength(zone, ds) or check.passed(zone.name, "signed, and the chain is valid", record)


def _expiry(scene: Scene, zone: Zone, answers: list[Answer], record: str) -> CheckResult | None:
    found = [(_ending(answer, scene.subject.now), answer.signed_until) for answer in answers if answer.signed_until > 0]
    soon = [(gravity is not Gravity.CRITICAL, until, gravity) for gravity, until in found if gravity is not None]
    if not soon:
        return None
    _, until, gravity = min(soon)
    left = until - scene.subject.now
    saw = f"its signatures end in {left / 3600:.0f} hours" if left > 0 else "its signatures have ended"
    return CHECKS[CheckId.DNS_08].failed(zone.name, saw, record, "let the signer run again, and see why it stopped", gravity=gravity)


def _ending(answer: Answer, now: float) -> Gravity | None:
    """How grave it is that the signatures of an answer end so soon; None when they do not."""
    left, life = answer.signed_until - now, answer.signed_until - answer.signed_from
    if life < _BRIEF:
        return Gravity.CRITICAL if left <= 0 else Gravity.ERROR if left < life * _LEFT else None
    return Gravity.CRITICAL if left < _DAY else Gravity.ERROR if left < _SOON else None


def _strength(zone: Zone, ds: Answer) -> CheckResult | None:
    for record in ds.records:
        fields = record.split()
        if len(fields) < 3:
            continue
        if fields[1] in _OLD_ALGORITHMS:
            saw = f"algorithm {fields[1]} ({_OLD_ALGORITHMS[fields[1]]}) is not to be used any more"
            return CHECKS[CheckId.DNS_08].warned(zone.name, saw, record, "roll over to algorithm 13 (ECDSA P-256)")
        if fields[2] == _SHA1_DIGEST and len(ds.records) == 1:
            return CHECKS[CheckId.DNS_08].warned(
                zone.name, "its only DS has a SHA-1 digest", record, "publish a DS of digest type 2 in the parent"
            )
    return None
