"""DKIM-M*: the signatures that delivered mail bears."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.model.checks import CheckId, CheckResult, Gravity
from monitor.model.inspection import SeenMail
from monitor.model.mail import AuthResult
from monitor.model.mailauth import Signature, SignatureState
from monitor.rules.inspect.check import Check
from monitor.rules.inspect.dkim_seen import NO_MAIL, Signed, bounded, signed, worst
from monitor.rules.inspect.organization import ours, same_organization
from monitor.rules.inspect.routes import together
from monitor.rules.inspect.scene import Scene
from monitor.rules.mailauth import dkim
from monitor.rules.mailauth.receiver import word
from monitor.rules.plain import plain

DAY = 86_400
QUEUED = 5 * DAY  # seconds that mail may wait in a queue (RFC 5321 section 4.5.4.1)
SKEW = 300

_GOOD_ALGORITHMS = ("rsa-sha256", "ed25519-sha256")
_MUST_COVER = ("from", "subject", "date")
_SHOULD_COVER = (
    "to",
    "message-id",
    "mime-version",
    "content-type",
    "reply-to",
    "list-unsubscribe",
    "list-unsubscribe-post",
)
_OVERSIGNED = ("from", "subject", "date", "to")
_SINGLE = ("from", "subject", "date", "to", "message-id")
_ALTERED = (SignatureState.BODY_ALTERED, SignatureState.HEADER_ALTERED)

CHECKS: dict[CheckId, Check] = {
    check.id: check
    for check in (
        Check(
            CheckId.DKIM_M1,
            "delivered mail is signed by the author domain",
            "Only a signature of the author's own domain counts for DMARC.",
            "RFC 9989 section 4.4.1",
            Gravity.CRITICAL,
        ),
        Check(
            CheckId.DKIM_M2,
            "the signature verifies on the delivered copy",
            "What fails here fails at the receiver: refund mail loses DKIM, and with forwarding also DMARC.",
            "RFC 6376 section 6, RFC 8601",
            Gravity.CRITICAL,
        ),
        Check(
            CheckId.DKIM_M3,
            "the signature algorithm is accepted",
            "Receivers must not accept rsa-sha1, and know no others than rsa-sha256 and ed25519-sha256.",
            "RFC 8301 section 3.1",
            Gravity.CRITICAL,
        ),
        Check(
            CheckId.DKIM_M4,
            "the signature covers what a reader sees",
            "A header field that is not signed can be replaced without anybody noticing.",
            "RFC 6376 section 5.4.1, RFC 8058 section 3",
            Gravity.CRITICAL,
        ),
        Check(
            CheckId.DKIM_M5,
            "important fields are over-signed",
            "A second From or Subject can be put on top of a signed message, which still verifies and shows the wrong sender.",
            "RFC 6376 section 8.15",
            Gravity.WARNING,
        ),
        Check(
            CheckId.DKIM_M6,
            "the whole body is signed",
            "With l= anybody can append text to a refund mail, and it still verifies.",
            "RFC 6376 section 8.2",
            Gravity.ERROR,
        ),
        Check(
            CheckId.DKIM_M7,
            "the signature lives long enough",
            "Greylisting and queues hold mail for hours or days; a signature that expires meanwhile fails.",
            "RFC 6376 section 3.5",
            Gravity.ERROR,
        ),
        Check(CheckId.DKIM_M8, "i= lies in d=", "A signature whose i= lies elsewhere is invalid.", "RFC 6376 section 3.5", Gravity.ERROR),
        Check(
            CheckId.DKIM_M9,
            "the key can be fetched the usual way",
            "Receivers know one query method: dns/txt.",
            "RFC 6376 section 3.5",
            Gravity.ERROR,
        ),
        Check(
            CheckId.DKIM_M10,
            "canonicalization is relaxed",
            "Relays fold lines and trim spaces; simple canonicalization does not survive that.",
            "RFC 6376 section 3.4",
            Gravity.WARNING,
        ),
        Check(
            CheckId.DKIM_M11,
            "there are not too many signatures",
            "Receivers look at the first few only; ours may not be among them.",
            "practice of receivers",
            Gravity.INFO,
        ),
        Check(
            CheckId.DKIM_M12,
            "header fields that must be single are",
            "Gmail and Yahoo reject mail with two From, Subject, Date, To or Message-ID fields.",
            "RFC 5322 section 3.6",
            Gravity.CRITICAL,
        ),
        Check(
            CheckId.DKIM_M13,
            "the recipients are signed",
            "A signed message whose To is not signed can be mailed to millions in your name.",
            "practice of receivers",
            Gravity.INFO,
        ),
    )
}
_OF_FIELDS = tuple(check for check in CHECKS if check not in (CheckId.DKIM_M1, CheckId.DKIM_M2, CheckId.DKIM_M11, CheckId.DKIM_M12))


def judge(scene: Scene) -> Iterator[CheckResult]:
    """All DKIM-M results of one domain."""
    if not scene.subject.mails:
        yield from (check.skipped(scene.subject.domain, NO_MAIL) for check in CHECKS.values())
        return
    found = worst(result for mail in scene.subject.mails for result in _of_mail(scene, mail))
    yield from bounded(together(found, {plain(mail.route) for mail in scene.subject.mails}), CHECKS)


def _of_mail(scene: Scene, mail: SeenMail) -> Iterator[CheckResult]:
    route = plain(mail.route)
    if mail.mail.header_cut:
        yield from (check.unknown(route, "the header of the delivered mail was not read whole") for check in CHECKS.values())
        return
    yield _aligned(scene, mail, route)
    yield _many(mail, route)
    yield _single(mail, route)
    signatures = _relevant(scene, mail)
    if not signatures:
        yield CHECKS[CheckId.DKIM_M2].skipped(route, "the mail is not signed")
        yield from (CHECKS[check].skipped(route, "the mail is not signed") for check in _OF_FIELDS)
        return
    yield _verifies(mail, route, signatures)
    counts = dict(mail.mail.fields)
    for signature, _ in signatures:
        yield from _of_signature(signature, mail, counts)


def _relevant(scene: Scene, mail: SeenMail) -> tuple[Signed, ...]:
    """Our own signatures; where there are none, all: a sending service's own signature beside ours is no matter of ours."""
    everything = signed(mail)
    return tuple(one for one in everything if ours(scene, one[0].domain)) or everything


def _of_signature(signature: Signature, mail: SeenMail, counts: dict[str, int]) -> Iterator[CheckResult]:
    named = signature.domain and signature.selector
    about = plain(dkim.key_name(signature.domain, signature.selector) if named else mail.route)
    yield _algorithm(signature, about)
    yield _coverage(signature, about, counts)
    yield _over(signature, about, counts)
    yield _length(signature, about)
    yield _times(signature, about, mail)
    yield _identity(signature, about)
    yield _queries(signature, about)
    yield _form(signature, about)
    yield _recipients(signature, about, counts)


def _aligned(scene: Scene, mail: SeenMail, route: str) -> CheckResult:
    check = CHECKS[CheckId.DKIM_M1]
    author = next(iter(mail.mail.author_domains), "")
    if not author:
        return check.failed(route, "From names no domain that a signature could be aligned with", mend="put one address into From")
    domains = list(dict.fromkeys(signature.domain for signature in mail.mail.signatures if signature.domain))
    related = {domain: same_organization(scene, domain, author) for domain in domains}
    if good := next((domain for domain in domains if related[domain]), ""):
        return check.passed(route, f"signed by {plain(good)}")
    if unsure := next((domain for domain in domains if related[domain] is None), ""):
        return check.unknown(route, f"whether {plain(unsure)} and {plain(author)} are one organization cannot be told"[:300])
    mend = f"sign with d={author} at the last system of yours that handles the mail"
    if not domains:
        return check.failed(route, "the delivered mail bears no DKIM signature", mend=mend)
    return check.failed(route, f"signed by {plain(', '.join(domains[:5]))}, but not by {plain(author)}", mend=mend)


def _verifies(mail: SeenMail, route: str, signatures: tuple[Signed, ...]) -> CheckResult:
    check, said = CHECKS[CheckId.DKIM_M2], word(mail.mail, mail.proof.arc).dkim
    proofs = [proof for _, proof in signatures]
    good = [proof for proof in proofs if proof.state is SignatureState.PASS]
    broken = [proof for proof in proofs if proof.state is not SignatureState.PASS and not proof.state.unknown]
    if good:
        name = plain(dkim.key_name(good[0].domain, good[0].selector))
        if good[0].testing and said is AuthResult.NEUTRAL:
            why = f"{name} is marked as a test (t=y), and the receiver treats the mail as unsigned"
            return check.warned(route, why, mend="take t=y out of the key record")
        if said not in (AuthResult.PASS, AuthResult.ABSENT):
            return check.warned(
                route,
                f"{name} verifies here, but the receiver says dkim={said.value}: it sees other DNS answers, or did at another time",
                mend="compare what the authoritative servers answer for the key record",
            )
        if broken:
            other = plain(f"{dkim.key_name(broken[0].domain, broken[0].selector)}: {broken[0].why}")
            return check.warned(route, f"{name} verifies, but not {other}"[:300], mend="mend that signature or stop making it")
        return check.passed(route, f"{name} verifies")
    if not broken or any(proof.state.unknown for proof in proofs):
        dark = next(proof for proof in proofs if proof.state.unknown)
        return check.unknown(route, plain(f"{dkim.key_name(dark.domain, dark.selector)}: {dark.why}")[:300])
    first = broken[0]
    saw = plain(f"{dkim.key_name(first.domain, first.selector)}: {first.why}")[:300]
    # A signature that still verifies shows that nothing changed behind the check: then the pass was that one's, and not ours.
    if said is AuthResult.PASS and first.state in _ALTERED and mail.proof.dkim_result is not AuthResult.PASS:
        return check.noted(route, f"the receiver says dkim=pass; the mail was modified after its check: {saw}")
    return check.failed(route, saw, mend=_MENDS.get(first.state, "look at the signer's log, and at what changes the mail behind it"))


_MENDS = {
    SignatureState.NO_KEY: "publish the key record of this selector",
    SignatureState.REVOKED: "sign with another selector, or publish the key again",
    SignatureState.KEY_UNUSABLE: "mend the key record",
    SignatureState.WEAK: "sign with rsa-sha256 and a key of 2048 bits",
    SignatureState.BODY_ALTERED: "sign at the last system of yours that handles the mail; something behind the signer changes the body",
    SignatureState.HEADER_ALTERED: "check that the signer uses the published key, and that nothing behind it rewrites header fields",
    SignatureState.EXPIRED: "give the signature no x=, or one beyond 5 days",
    SignatureState.MALFORMED: "mend the configuration of the signer",
}


def _algorithm(signature: Signature, about: str) -> CheckResult:
    check, algorithm = CHECKS[CheckId.DKIM_M3], plain(signature.algorithm or "nothing")
    if signature.algorithm in _GOOD_ALGORITHMS:
        return check.passed(about, algorithm)
    return check.failed(about, f"a= says {algorithm}", mend="sign with rsa-sha256")


def _coverage(signature: Signature, about: str, counts: dict[str, int]) -> CheckResult:
    check = CHECKS[CheckId.DKIM_M4]
    grave = [name for name in _MUST_COVER if counts.get(name) and name not in signature.headers]
    light = [name for name in _SHOULD_COVER if counts.get(name) and name not in signature.headers]
    mend = f"add {', '.join(grave + light)} to the signed header fields"
    if grave:
        return check.failed(about, f"h= does not cover {', '.join(grave)}", mend=mend)
    if light:
        return check.warned(about, f"h= does not cover {', '.join(light)}", mend=mend)
    return check.passed(about, "h= covers all that matters")


def _over(signature: Signature, about: str, counts: dict[str, int]) -> CheckResult:
    check = CHECKS[CheckId.DKIM_M5]
    once = [name for name in _OVERSIGNED if signature.headers.count(name) <= counts.get(name, 0)]
    if "from" in once:
        return check.warned(
            about, f"not over-signed: {', '.join(once)}", mend="list From, Subject, Date and To once more in h= than they stand there"
        )
    if once:
        return check.noted(about, f"From is over-signed, not so {', '.join(once)}")
    return check.passed(about, "From, Subject, Date and To are over-signed")


def _length(signature: Signature, about: str) -> CheckResult:
    check, mend = CHECKS[CheckId.DKIM_M6], "sign without l="
    if signature.length is None:
        return check.passed(about, "no l=")
    if signature.length < signature.body_length:
        return check.failed(about, f"l={signature.length} leaves the rest of {signature.body_length} octets unsigned", mend=mend)
    return check.warned(about, f"l={signature.length}: text can be appended", mend=mend)


def _times(signature: Signature, about: str, mail: SeenMail) -> CheckResult:
    check, mend = CHECKS[CheckId.DKIM_M7], "give the signature no x=, or one that is 7 days after t="
    signed_at, expires = signature.signed_at, signature.expires
    if expires is not None:
        if expires <= mail.seen:
            return check.failed(about, "the signature had expired when the mail was seen", mend=mend)
        begins = signed_at if signed_at is not None else int(mail.sent)
        if expires - begins < QUEUED:
            return check.warned(
                about,
                f"the signature lives {max(0, expires - begins) / 3600:.1f} h; mail may wait in queues for 5 days",
                mend=mend,
                gravity=Gravity.ERROR if expires - begins < DAY else Gravity.WARNING,
            )
    if signed_at is not None and signed_at > mail.seen + SKEW:
        return check.warned(about, f"t= lies {signed_at - mail.seen:.0f} s in the future", mend="mend the clock of the signer")
    return check.passed(about, "no x=" if expires is None else "x= is far enough away")


def _identity(signature: Signature, about: str) -> CheckResult:
    check, below = CHECKS[CheckId.DKIM_M8], signature.identity.rpartition("@")[2]
    if below == signature.domain or below.endswith(f".{signature.domain}"):
        return check.passed(about, "i= lies in d=")
    return check.failed(about, f"i= is of {plain(below)}", mend="leave i= out, or put d= into it")


def _queries(signature: Signature, about: str) -> CheckResult:
    check = CHECKS[CheckId.DKIM_M9]
    if "dns/txt" in signature.queries:
        return check.passed(about, "dns/txt")
    return check.failed(about, f"q= says {plain(':'.join(signature.queries))[:100]}", mend="leave q= out")


def _form(signature: Signature, about: str) -> CheckResult:
    check = CHECKS[CheckId.DKIM_M10]
    if signature.canonicalization == "relaxed/relaxed":
        return check.passed(about, signature.canonicalization)
    return check.warned(about, f"c={signature.canonicalization}", mend="sign with relaxed/relaxed")


def _recipients(signature: Signature, about: str, counts: dict[str, int]) -> CheckResult:
    check = CHECKS[CheckId.DKIM_M13]
    open_ones = [name for name in ("to", "cc") if name not in signature.headers and (name == "to" or counts.get(name))]
    if open_ones:
        return check.warned(about, f"not signed: {', '.join(open_ones)}", mend="add them to the signed header fields", gravity=Gravity.INFO)
    return check.passed(about, "the recipients are signed")


def _many(mail: SeenMail, route: str) -> CheckResult:
    check, ignored, count = CHECKS[CheckId.DKIM_M11], mail.mail.signatures_ignored, len(mail.mail.signatures)
    if ignored:
        return check.warned(route, f"{count + ignored} signatures; the last {ignored} were not looked at", gravity=Gravity.INFO)
    return check.passed(route, f"{count} signature{'' if count == 1 else 's'}")


def _single(mail: SeenMail, route: str) -> CheckResult:
    check = CHECKS[CheckId.DKIM_M12]
    doubled = [f"{name} {count} times" for name, count in mail.mail.fields if name in _SINGLE and count > 1]
    if doubled:
        return check.failed(route, f"there is {', '.join(doubled)}", mend="let one system only set these fields")
    return check.passed(route, "every one of them stands there once at most")
