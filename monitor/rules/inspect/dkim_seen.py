"""The DKIM keys and signatures that an inspection looks at: declared selectors, and what delivered mail bears."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from monitor.model.checks import CheckId, CheckResult, Status
from monitor.model.dns import Answer, RecordType
from monitor.model.inspection import SeenMail
from monitor.model.mailauth import Signature, SignatureProof
from monitor.rules.inspect.check import Check
from monitor.rules.inspect.organization import ours
from monitor.rules.inspect.scene import Scene
from monitor.rules.mailauth import dkim
from monitor.rules.mailauth.dkim import Key

MOST_RESULTS = 20  # of one check
MOST_KEYS = 50  # that are asked for
NO_SELECTOR = "no DKIM selector is known yet: --selector, or inspect.domains.{}.selectors; delivered probes name them too"
NO_MAIL = "no delivered mail has been seen yet"

_BADNESS = {Status.SKIP: 0, Status.PASS: 1, Status.INFO: 2, Status.UNKNOWN: 3, Status.WARN: 4, Status.FAIL: 5}

Signed = tuple[Signature, SignatureProof]


@dataclass(frozen=True, slots=True)
class KeyAt:
    """One selector, what stands there, and the signatures that were made with it."""

    domain: str
    selector: str
    answer: Answer
    keys: tuple[Key, ...]
    signatures: tuple[Signature, ...]
    number: int = 0  # of the key that counts: the only one when the zone is right
    retired: bool = False
    seen: float | None = None  # when a delivered mail last bore it
    ours: bool = True  # of the inspected domain, or below it, or declared: not a third party's second signature

    @property
    def name(self) -> str:
        return dkim.key_name(self.domain, self.selector)

    @property
    def key(self) -> Key | None:
        return self.keys[self.number] if self.keys else None

    @property
    def record(self) -> str:
        """As it stands, where there is one."""
        return self.answer.records[self.number] if self.answer.records else ""

    @property
    def grave(self) -> bool:
        """Mail of ours depends on it."""
        return self.ours and not self.retired


def keys_of(scene: Scene) -> list[KeyAt]:
    """All keys in question, those in use first. All are asked for at once."""
    subject = scene.subject
    used: dict[tuple[str, str], list[Signature]] = {}
    seen: dict[tuple[str, str], float] = {}
    for mail in subject.mails:
        for signature in mail.mail.signatures:
            if signature.domain and signature.selector:
                place = (signature.domain, signature.selector)
                used.setdefault(place, []).append(signature)
                seen[place] = max(seen.get(place, 0.0), mail.seen)
    declared = {(one.domain, one.name): one for one in subject.selectors}
    found = []
    for place in list(dict.fromkeys((*used, *declared)))[:MOST_KEYS]:
        domain, selector = place
        answer = scene.lookup.ask(dkim.key_name(domain, selector), RecordType.TXT)
        known = declared.get(place)
        retired = known is not None and known.retired and place not in used
        moments = [moment for moment in (seen.get(place), known.seen if known else None) if moment is not None]
        keys = tuple(dkim.read_key(text) for text in answer.records)
        found.append(
            KeyAt(
                domain=domain,
                selector=selector,
                answer=answer,
                keys=keys,
                signatures=tuple(used.get(place, ())),
                number=_number(keys, used.get(place, [])),
                retired=retired,
                seen=max(moments, default=None),
                ours=known is not None or ours(scene, domain),
            )
        )
    return sorted(found, key=lambda one: (one.retired, not one.ours))


def _number(keys: tuple[Key, ...], signatures: list[Signature]) -> int:
    """Of several keys the one that mail was signed with, else the first that can be read."""
    if len(keys) < 2:
        return 0
    made = (dkim.made_with(signature, keys) for signature in signatures[-1:])  # the latest; each try costs an RSA operation
    readable = (number for number, key in enumerate(keys) if key.digest and not key.fault)
    return next((number for number in (*made, *readable) if number is not None), 0)


def signed(mail: SeenMail) -> tuple[Signed, ...]:
    """The signatures of a delivered mail with what became of them."""
    return tuple(zip(mail.mail.signatures, mail.proof.dkim, strict=False))


def bounded(results: Iterable[CheckResult], checks: Mapping[CheckId, Check]) -> Iterator[CheckResult]:
    """Each (check, about) once, at most MOST_RESULTS of a check, then one that says how many more there are."""
    counts: dict[CheckId, int] = {}
    told: set[tuple[CheckId, str]] = set()
    for result in results:
        if (result.check, result.about) in told:
            continue
        told.add((result.check, result.about))
        counts[result.check] = counts.get(result.check, 0) + 1
        if counts[result.check] <= MOST_RESULTS:
            yield result
    for check, count in counts.items():
        if count > MOST_RESULTS:
            yield checks[check].noted("more", f"{count - MOST_RESULTS} more are not shown")


def worst(results: Iterable[CheckResult]) -> Iterator[CheckResult]:
    """Of several results of one check about one thing the worst, in the order of the first ones."""
    kept: dict[tuple[CheckId, str], CheckResult] = {}
    for result in results:
        known = kept.get((result.check, result.about))
        if known is None or _BADNESS[result.status] > _BADNESS[known.status]:
            kept[result.check, result.about] = result
    yield from kept.values()


def zone_line(name: str, text: str, ttl: int = 3600) -> str:
    """A TXT record as a line of a zone file; strings have at most 255 octets."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    strings = [escaped[at : at + 250] for at in range(0, len(escaped), 250)] or [""]
    return f"{name}. {ttl} IN TXT " + " ".join(f'"{string}"' for string in strings)
