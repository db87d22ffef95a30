"""A DMARC record (RFC 9989 sections 4.7 and 4.8, and what RFC 7489 had besides)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

POLICIES = ("none", "quarantine", "reject")  # from weak to strong
REMOVED = ("pct", "rf", "ri")  # RFC 9989 appendix A.6
_KNOWN = frozenset(("v", "p", "sp", "np", "adkim", "aspf", "fo", "psd", "rua", "ruf", "t", *REMOVED))
_CHOICES: Mapping[str, tuple[str, ...]] = {"adkim": ("r", "s"), "aspf": ("r", "s"), "psd": ("y", "n", "u"), "t": ("y", "n")}
_WSP = " \t"
_MOST_TAGS = 100
_MOST_URIS = 50
_LONGEST = 65_535  # octets of a TXT record

_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
_SIZE = re.compile(r"[0-9]{1,20}[kmgt]?", re.IGNORECASE)
_LOCAL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,254}")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}")


@dataclass(frozen=True, slots=True)
class Record:
    """`tags` as they stand, in order; the others as they are understood. All that is wrong is in plain words: `faults` break the syntax,
    `warnings` are legal, `policies_at_fault` say which of p, sp and np is missing or not valid."""

    text: str
    tags: tuple[tuple[str, str], ...]
    policy: str = "none"  # p=
    subdomain_policy: str = ""  # sp=; empty: not given
    missing_policy: str = ""  # np=
    strict_dkim: bool = False  # adkim=s
    strict_spf: bool = False  # aspf=s
    suffix: str = "u"  # psd=: y, n, u
    testing: bool = False  # t=y
    percentage: int = 100  # pct=, of RFC 7489
    aggregate: tuple[str, ...] = ()  # rua=
    forensic: tuple[str, ...] = ()  # ruf=
    faults: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    policies_at_fault: tuple[str, ...] = ()
    fatal: str = ""  # why receivers treat the domain as if it had no record (section 4.10.1)

    @property
    def unknown_tags(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.tags if name not in _KNOWN)

    def tag(self, name: str) -> str | None:
        """The value of the first tag of this name."""
        return next((value for known, value in self.tags if known == name), None)


@dataclass(frozen=True, slots=True)
class ReportUri:
    """One destination of rua= or ruf=. `fault`: why nobody can send there; empty when one can."""

    text: str
    address: str = ""  # of mailto:
    host: str = ""  # its domain, or the host of another scheme
    mailto: bool = False
    size: str = ""  # the obsolete !10m
    fault: str = ""


def looks_like(text: str) -> bool:
    """Begins with a v tag that names this version of DMARC exactly: only then does it count as a record at all."""
    head = text[:_LONGEST].lstrip(_WSP).partition(";")[0]
    name, equals, value = head.partition("=")
    return bool(equals) and name.rstrip(_WSP).lower() == "v" and value.strip(_WSP) == "DMARC1"


def parse(text: str) -> Record | None:
    """The record; None when it is none. Never raises; time grows with the length only."""
    if not looks_like(text):
        return None
    tags, faults = _split(text[:_LONGEST])
    first = dict(reversed(tags))  # of a doubled tag the first counts
    warnings = list(_oddities(text, tags))
    aggregate, forensic = _uris(first.get("rua", "")), _uris(first.get("ruf", ""))
    usable = any(not report_uri(uri).fault for uri in aggregate)
    policies, at_fault = _policies(first)
    faults += _bad_choices(first)
    percentage = _percentage(first, faults)
    doubtful = bool(at_fault)
    return Record(
        text=text,
        tags=tuple(tags),
        policy=policies["p"] if not doubtful else "none",
        subdomain_policy=policies["sp"] if not doubtful else "",
        missing_policy=policies["np"] if not doubtful else "",
        strict_dkim=first.get("adkim", "").lower() == "s",
        strict_spf=first.get("aspf", "").lower() == "s",
        suffix=_choice(first, "psd", "u"),
        testing=first.get("t", "").lower() == "y",
        percentage=percentage,
        aggregate=aggregate,
        forensic=forensic,
        faults=tuple(faults),
        warnings=tuple(warnings),
        policies_at_fault=tuple(at_fault),
        fatal=f"{at_fault[0]}, and there is no valid rua" if doubtful and not usable else "",
    )


def report_uri(text: str) -> ReportUri:
    """One URI of rua= or ruf= (RFC 3986, 6068)."""
    scheme, colon, rest = text.partition(":")
    if not colon or not _SCHEME.fullmatch(scheme):
        wants = ' (it lacks "mailto:")' if "@" in text else ""
        return ReportUri(text, fault=f"{text!r} is no URI{wants}")
    target, _, size = rest.partition("!")
    if scheme.lower() != "mailto":
        host = target.removeprefix("//").partition("/")[0].lower()
        return ReportUri(text, host=host, fault=f"{scheme.lower()}: is a scheme that nobody reports to")
    target = target.partition("?")[0]
    local, _, domain = target.rpartition("@")
    domain = domain.lower().rstrip(".")
    fault = ""
    if not _LOCAL.fullmatch(local) or not _is_domain(domain):
        fault = f"{target!r} is no valid address"
    elif size and not _SIZE.fullmatch(size):
        fault = f"{text!r} has a size limit that is none"
    return ReportUri(text, target, domain, mailto=True, size=size, fault=fault)


def weaker(one: str, other: str) -> bool:
    return POLICIES.index(one) < POLICIES.index(other)


def lowered(policy: str) -> str:
    """One step weaker (t=y, section 4.7)."""
    return POLICIES[max(0, POLICIES.index(policy) - 1)]


def _split(text: str) -> tuple[list[tuple[str, str]], list[str]]:
    tags: list[tuple[str, str]] = []
    faults: list[str] = []
    parts = text.split(";", _MOST_TAGS)
    if len(parts) > _MOST_TAGS:
        faults.append(f"more than {_MOST_TAGS} tags")
        del parts[_MOST_TAGS:]
    seen: set[str] = set()
    for part in parts:
        bare = part.strip(_WSP)
        if not bare:
            continue
        name, equals, value = bare.partition("=")
        name = name.rstrip(_WSP).lower()
        if not equals or not _NAME.fullmatch(name):
            faults.append(f"{bare[:60]!r} is no tag (name=value)")
            continue
        if name in seen and name in _KNOWN:
            faults.append(f"{name}= stands there twice")
        seen.add(name)
        tags.append((name, value.strip(_WSP)))
    return tags, faults


def _oddities(text: str, tags: list[tuple[str, str]]) -> Iterator[str]:
    if text[:1] in _WSP and text:
        yield "the record begins with white space, which strict readers refuse"
    names = [name for name, _ in tags]
    if "p" in names and names[1] != "p":
        yield "p= is not the second tag, as readers of RFC 7489 want it"
    if any(not part.strip(_WSP) for part in text.split(";")[:-1]):
        yield "there is an empty tag (;;)"


def _policies(first: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    at_fault = [] if "p" in first else ["p= is missing"]
    policies = {"p": "none", "sp": "", "np": ""}
    for name in policies:
        if name not in first:
            continue
        if first[name].lower() in POLICIES:
            policies[name] = first[name].lower()
        else:
            at_fault.append(f"{name}={first[name][:40]} is none of none, quarantine, reject")
    return policies, at_fault


def _bad_choices(first: Mapping[str, str]) -> list[str]:
    bad = [
        f"{name}={first[name][:40]} is none of {', '.join(choices)}"
        for name, choices in _CHOICES.items()
        if name in first and first[name].lower() not in choices
    ]
    if "fo" in first and any(option.strip(_WSP).lower() not in ("0", "1", "d", "s") for option in first["fo"].split(":")):
        bad.append(f"fo={first['fo'][:40]} is no list of 0, 1, d, s")
    return bad


def _choice(first: Mapping[str, str], name: str, default: str) -> str:
    value = first.get(name, default).lower()
    return value if value in _CHOICES[name] else default


def _percentage(first: Mapping[str, str], faults: list[str]) -> int:
    if "pct" not in first:
        return 100
    text = first["pct"]
    if text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 100:
        return int(text)
    faults.append(f"pct={text[:40]} is no number from 0 to 100")
    return 100


def _uris(value: str) -> tuple[str, ...]:
    parts = (part.strip(_WSP) for part in value.split(",", _MOST_URIS)[:_MOST_URIS])
    return tuple(part for part in parts if part)


def _is_domain(domain: str) -> bool:
    labels = domain.split(".")
    return len(labels) > 1 and len(domain) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
