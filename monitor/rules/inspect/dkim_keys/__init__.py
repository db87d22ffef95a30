"""DKIM-K*: the key records, at declared selectors and at those that delivered mail names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from monitor.model.checks import CheckId, CheckResult, Gravity
from monitor.model.dns import Outcome
from monitor.model.inspection import Selector
from monitor.rules.inspect.dkim_keys.catalogue import CHECKS
from monitor.rules.inspect.dkim_seen import NO_SELECTOR, KeyAt, bounded, keys_of, signed, zone_line
from monitor.rules.inspect.firsthand import Presence, key_record
from monitor.rules.inspect.scene import Scene
from monitor.rules.mailauth import dkim
from monitor.rules.mailauth.dkim.known import PUBLISHED
from monitor.rules.plain import plain

__all__ = ["CHECKS", "judge"]

DAY = 86_400.0
LONGEST_CHAIN = 8
TESTING_DAYS = 7
STALE_DAYS = 180
OLD_DAYS = 365
_PUBLISH = "publish the public half of the key that the mail system signs with, or take the selector out of use"
KEPT_DAYS = 7  # that a retired key stays after the last signature


def judge(scene: Scene) -> Iterator[CheckResult]:
    """All DKIM-K results of one domain."""
    found = keys_of(scene)
    if not found:
        domain = scene.subject.domain
        yield from (check.skipped(domain, NO_SELECTOR.format(domain)) for check in CHECKS.values())
        return
    yield from bounded(_all(scene, found), CHECKS)


def _all(scene: Scene, found: list[KeyAt]) -> Iterator[CheckResult]:
    for at in found:
        said = _said(scene, at)
        yield _exists(at, said)
        yield _delegated(at)
        if at.key is None:
            yield from _untested(scene, at, said)
            continue
        record = plain(at.record)[:500]
        yield _syntax(at, at.key, record)
        yield _revoked(at, at.key, record)
        yield _strength(at, at.key, record)
        yield _testing(scene, at, at.key, record)
        yield _strict(at, at.key, record)
        yield _restricted(at, at.key, record)
        yield _single(at)
        yield _age(scene, at, at.key)
        yield _known(at, at.key, found)
    yield _companion(scene, found)


def _said(scene: Scene, at: KeyAt) -> Presence:
    """Only servers of ours are asked."""
    if not at.grave:
        return Presence.SAID
    return key_record(scene.subject, scene.lookup, Selector(at.domain, at.selector)).presence


def _bad(check: CheckId, at: KeyAt, saw: str, record: str = "", mend: str = "", publish: str = "") -> CheckResult:
    """A failure where our mail depends on the key, else a warning."""
    if at.grave:
        return CHECKS[check].failed(at.name, saw, record, mend, publish)
    whose = "retired" if at.retired else "of a third party"
    return CHECKS[check].warned(at.name, f"{saw} (the key is {whose})", record, mend, publish)


def _untested(scene: Scene, at: KeyAt, said: Presence) -> Iterator[CheckResult]:
    for check in (2, 3, 4, 6, 7, 8, 9, 11, 12):
        one = CHECKS[CheckId(f"DKIM-K{check}")]
        if at.answer.failed:
            yield one.unknown(at.name, _failed(at))
        elif at.retired and check == 11:
            yield _retired_too_early(scene, at)
        elif at.retired and check == 3:
            yield one.passed(at.name, "retired, and its key record is gone")
        else:
            yield one.skipped(
                at.name, "our resolver does not find the key record yet" if said is Presence.UNSEEN else "there is no key record"
            )


def _failed(at: KeyAt) -> str:
    return f"the key record could not be asked for: {plain(at.answer.detail) or at.answer.failure}"[:300]


def _exists(at: KeyAt, said: Presence) -> CheckResult:
    check = CHECKS[CheckId.DKIM_K1]
    if said is Presence.UNSEEN:
        saw = (
            "our resolver does not find the key record, and a server of the zone has it: a cache may hold for an hour that it is not there"
        )
        return check.unknown(at.name, saw)
    if said is Presence.VANISHED:
        saw = "the servers of the zone have it no more; our resolver holds a copy still"
        return check.failed(at.name, saw, plain(at.record)[:500], _PUBLISH)
    match at.answer.outcome:
        case Outcome.FOUND:
            return check.passed(at.name, f"there is a key record, TTL {at.answer.ttl}", plain(at.record)[:500])
        case Outcome.FAILED:
            return check.unknown(at.name, _failed(at))
        case Outcome.NXDOMAIN | Outcome.NODATA:
            if at.retired:
                return check.passed(at.name, "retired, and gone as it should be")
            saw = "the name does not exist" if at.answer.outcome is Outcome.NXDOMAIN else "the name has no TXT record"
            used = " though delivered mail is signed with it" if at.signatures else ""
            mend = _PUBLISH
            if at.answer.chain:
                mend = f"the selector is a CNAME: the owner of {plain(at.answer.chain[-1])} has to publish the key there"
            return _bad(CheckId.DKIM_K1, at, saw + used, mend=mend)


def _syntax(at: KeyAt, key: dkim.Key, record: str) -> CheckResult:
    if key.fault and not key.digest:
        mend = 'publish it as "v=DKIM1; k=rsa; p=BASE64", v= first and every tag once'
        return _bad(CheckId.DKIM_K2, at, key.fault, record, mend)
    return CHECKS[CheckId.DKIM_K2].passed(at.name, "the record keeps to the syntax")


def _revoked(at: KeyAt, key: dkim.Key, record: str) -> CheckResult:
    check = CHECKS[CheckId.DKIM_K3]
    if not key.revoked:
        return check.passed(at.name, "retired, and not revoked yet" if at.retired else "the key is not revoked")
    if at.retired:
        return check.passed(at.name, "retired and revoked, as it should be")
    return _bad(CheckId.DKIM_K3, at, "p= is empty: the key is revoked", record, "sign with another selector, or publish the key again")


def _strength(at: KeyAt, key: dkim.Key, record: str) -> CheckResult:
    check = CHECKS[CheckId.DKIM_K4]
    mend = "make an RSA key of 2048 bits at a new selector, publish it, sign with it, and revoke this one a week later"
    if not key.digest:
        return check.skipped(at.name, "the record bears no key")
    if key.fault:
        return _bad(CheckId.DKIM_K4, at, key.fault, record, mend)
    if key.kind == "ed25519":
        return check.passed(at.name, "Ed25519")
    if key.bits < 1024:
        return _bad(CheckId.DKIM_K4, at, f"RSA with {key.bits} bits: receivers must not accept it", record, mend)
    if key.bits < 2048:
        return check.warned(at.name, f"RSA with {key.bits} bits; 2048 are recommended", record, mend)
    if key.bits > 4096:
        return check.warned(at.name, f"RSA with {key.bits} bits: some receivers verify no more than 4096", record, mend)
    return check.passed(at.name, f"RSA with {key.bits} bits")


def _testing(scene: Scene, at: KeyAt, key: dkim.Key, record: str) -> CheckResult:
    check = CHECKS[CheckId.DKIM_K6]
    if not key.testing:
        return check.passed(at.name, "no t=y")
    since = next((age.testing_since for age in scene.subject.keys if (age.domain, age.selector) == (at.domain, at.selector)), None)
    days = (scene.subject.now - since) / DAY if since is not None else 0.0
    saw = "t=y: the domain says that it only tests DKIM" + (f", for {days:.0f} days now" if days >= 1 else "")
    grave = days > TESTING_DAYS and at.grave
    mend = "publish the record without y in t="
    if at.answer.chain:
        mend = f"the selector is a CNAME: the owner of {plain(at.answer.chain[-1])} has to take y out of t="
    publish = "" if at.answer.chain else _untested_line(at, key)
    return check.warned(at.name, saw, record, mend, publish, Gravity.ERROR if grave else Gravity.WARNING)


def _untested_line(at: KeyAt, key: dkim.Key) -> str:
    """Nothing where the record cannot be given exactly, or would not mend it."""
    text = _without_testing(at.record)
    exact = text.isascii() and text.isprintable() and dkim.read_key(text) == replace(key, testing=False)
    return zone_line(at.name, text) if exact else ""


def _without_testing(record: str) -> str:
    kept = []
    for tag in record.split(";"):
        name, _, value = tag.partition("=")
        if name.strip() == "t":
            flags = [flag.strip() for flag in value.split(":") if flag.strip().lower() != "y"]
            if not flags:
                continue
            tag = f" t={':'.join(flags)}"
        kept.append(tag)
    return ";".join(kept)


def _strict(at: KeyAt, key: dkim.Key, record: str) -> CheckResult:
    check = CHECKS[CheckId.DKIM_K7]
    if not key.strict:
        return check.passed(at.name, "no t=s")
    if not at.signatures:
        return check.skipped(at.name, "t=s, and no delivered mail that is signed with it has been seen yet")
    loose = next((one for one in at.signatures if one.identity.rpartition("@")[2].lower() != one.domain), None)
    if loose is None:
        return check.passed(at.name, "t=s, and i= is exactly d=")
    saw = f"t=s, but delivered mail has i={plain(loose.identity)}"
    return _bad(CheckId.DKIM_K7, at, saw, record, "take s out of t=, or let the signer put d= into i=")


def _restricted(at: KeyAt, key: dkim.Key, record: str) -> CheckResult:
    if not key.for_mail:
        return _bad(CheckId.DKIM_K8, at, "s= is not for mail", record, "publish the record without s=, or with s=email")
    if key.hashes and "sha256" not in key.hashes:
        return _bad(CheckId.DKIM_K8, at, "h= does not allow sha256", record, "publish the record without h=, or with h=sha256")
    other = next((one.algorithm for one in at.signatures if not one.algorithm.startswith(f"{key.kind}-")), "")
    if other and key.digest:
        return _bad(
            CheckId.DKIM_K8, at, f"the key is {key.kind}, delivered mail is signed with {plain(other)}", record, "publish the signer's key"
        )
    return CHECKS[CheckId.DKIM_K8].passed(at.name, "nothing in the record forbids its use for mail")


def _single(at: KeyAt) -> CheckResult:
    if (count := len(at.answer.records)) > 1:
        records = plain(" | ".join(at.answer.records))[:500]
        return _bad(CheckId.DKIM_K9, at, f"{count} TXT records stand at the selector", records, "keep the one that the signer uses")
    return CHECKS[CheckId.DKIM_K9].passed(at.name, "one record")


def _delegated(at: KeyAt) -> CheckResult:
    check = CHECKS[CheckId.DKIM_K10]
    chain = " -> ".join(at.answer.chain[: LONGEST_CHAIN + 1])
    if at.answer.failed:
        return check.unknown(at.name, _failed(at))
    if not at.answer.chain:
        return check.passed(at.name, "the selector is not delegated")
    if at.answer.void and not at.retired:
        saw = f"the CNAME leads to a name without a key: {plain(chain)}"
        return _bad(CheckId.DKIM_K10, at, saw, mend="let the sending service publish the key at the target, or take the CNAME away")
    if at.answer.void:
        return check.warned(at.name, f"retired, but a CNAME still leads nowhere: {plain(chain)}", mend="take the CNAME away")
    if len(at.answer.chain) > LONGEST_CHAIN:
        return _bad(
            CheckId.DKIM_K10, at, f"{len(at.answer.chain)} CNAMEs in a row: {plain(chain)}", mend="point the selector at the key itself"
        )
    return check.passed(at.name, f"delegated: {plain(chain)}")


def _age(scene: Scene, at: KeyAt, key: dkim.Key) -> CheckResult:
    check = CHECKS[CheckId.DKIM_K11]
    if at.retired:
        return _retired_too_early(scene, at) if key.revoked else check.passed(at.name, "retired, and still there for mail on its way")
    ages = [age for age in scene.subject.keys if (age.domain, age.selector, age.key) == (at.domain, at.selector, key.digest)]
    if not ages:
        return check.passed(at.name, "the key is new to us")
    days = (scene.subject.now - ages[0].first_seen) / DAY
    mend = "make a key at a new selector, publish it, sign with it, and keep this one for 7 days after the last signature"
    if days > OLD_DAYS:
        return check.warned(at.name, f"the same key for {days:.0f} days", mend=mend, gravity=Gravity.ERROR if at.grave else Gravity.WARNING)
    if days > STALE_DAYS:
        return check.warned(at.name, f"the same key for {days:.0f} days", mend=mend)
    return check.passed(at.name, f"the key is known for {days:.0f} days")


def _retired_too_early(scene: Scene, at: KeyAt) -> CheckResult:
    check = CHECKS[CheckId.DKIM_K11]
    days = (scene.subject.now - at.seen) / DAY if at.seen is not None else KEPT_DAYS
    if days < KEPT_DAYS:
        saw = f"the key is gone {max(0.0, days):.1f} days after the last signature that was seen"
        return check.warned(at.name, saw, mend="keep the record of a retired selector for 7 days: mail in queues still needs it")
    return check.passed(at.name, "retired, and long unused")


def _known(at: KeyAt, key: dkim.Key, found: list[KeyAt]) -> CheckResult:
    check = CHECKS[CheckId.DKIM_K12]
    if key.modulus in PUBLISHED:
        return check.failed(
            at.name, "the private half of this key is printed in a standard or shipped with software", mend="make a key of your own"
        )
    others = sorted(
        {one.domain for one in found if one.domain != at.domain and key.modulus and any(k.modulus == key.modulus for k in one.keys)}
    )
    if others:
        return check.noted(at.name, f"the same key serves {plain(', '.join(others[:5]))}")
    return check.passed(at.name, "no key that everybody has")


def _companion(scene: Scene, found: list[KeyAt]) -> CheckResult:
    """DKIM-K5: by what delivered mail bears; without any, by the keys."""
    check, domain = CHECKS[CheckId.DKIM_K5], scene.subject.domain
    mend = "sign with an RSA key too, beside Ed25519"
    passes = [{proof.algorithm for _, proof in signed(mail) if proof.state.value == "pass"} for mail in scene.subject.mails]
    alone = [mail.route for mail, good in zip(scene.subject.mails, passes, strict=True) if good and not any(map(_is_rsa, good))]
    if alone:
        return check.warned(domain, f"only Ed25519 verifies on {plain(alone[0])}", mend=mend, gravity=Gravity.ERROR)
    if any(
        not good and any(proof.state.unknown for _, proof in signed(mail)) for mail, good in zip(scene.subject.mails, passes, strict=True)
    ):
        return check.unknown(domain, "the signatures of a delivered mail could not be verified")
    if any(passes):
        return check.passed(domain, "an RSA signature verifies")
    live = [at for at in found if at.grave]
    kinds = {key.kind for at in live for key in at.keys if key.digest}
    if "rsa" in kinds:
        return check.passed(domain, "there is an RSA key")
    if any(at.answer.failed for at in live):
        return check.unknown(domain, "not all key records could be asked for")
    if "ed25519" in kinds:
        return check.warned(domain, "only Ed25519 keys are published", mend=mend, gravity=Gravity.ERROR)
    return check.skipped(domain, "there is no key in use")


def _is_rsa(algorithm: str) -> bool:
    return algorithm.startswith("rsa-")
