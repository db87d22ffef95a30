"""What an audit is asked to do: flags, the file of domains and the configuration, made into one frozen order."""

from __future__ import annotations

import argparse
import ipaddress
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from monitor.cli import CONFIG_PLACES, UsageError, config_path
from monitor.cli.configured import policy_without_secrets
from monitor.model.address import AddressError, Domain
from monitor.model.checks import CheckId, Profile
from monitor.model.inspection import DomainPolicy, InspectPolicy
from monitor.model.policy import Policy
from monitor.rules.plain import one_line
from monitor.settings import parse_duration

MOST_DOMAINS = 5_000
MOST_BYTES = 4 * 1024 * 1024  # of the file of domains
MOST_FAULTS = 10  # of it that are named
LONGEST_TIMEOUT = 60.0  # seconds for one question

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Order:
    """`policy`: where there is a configuration. `egress`: the flags name the sending addresses."""

    domains: tuple[DomainPolicy, ...]
    inspect: InspectPolicy
    policy: Policy | None = None
    file: Path | None = None  # the configuration
    egress: bool = False
    only: frozenset[CheckId] = field(default_factory=frozenset)  # empty: all


def order_of(arguments: argparse.Namespace) -> Order:
    """Raises UsageError with one line for each fault."""
    named = _named(arguments)
    file = _configuration(arguments, bool(named))
    policy = policy_without_secrets(file) if file is not None else None
    inspect = _inspect(arguments, policy.inspect if policy is not None else InspectPolicy())
    if not named:
        if policy is None or not policy.inspect.domains:
            where = f"{file} names none (sending_domains, or inspect.domains)" if file else "there is no configuration"
            raise UsageError(f"no domain to audit: name one, or give --domains FILE; {where}")
        named = tuple(policy.inspect.domains)
    if len(named) > MOST_DOMAINS:
        raise UsageError(f"{len(named)} domains: more than {MOST_DOMAINS} in one audit; split them")
    flags = _domain_flags(arguments)
    known = inspect.domains
    domains = tuple(flags(known.get(name) or DomainPolicy(name)) for name in named)
    return Order(domains, inspect, policy, file, bool(arguments.egress), _only(arguments.only))


def _named(arguments: argparse.Namespace) -> tuple[str, ...]:
    names = [_each("DOMAIN", text, _domain) for text in arguments.domain]
    if arguments.domains:
        names += _listed(Path(arguments.domains))
    return tuple(dict.fromkeys(names))


def _listed(path: Path) -> list[str]:
    """One domain a line; empty lines, and what follows a #, are nothing."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"--domains {path}: {error.strerror or error}") from None
    if len(text) > MOST_BYTES:
        raise UsageError(f"--domains {path}: has more than {MOST_BYTES >> 20} MiB; split it")
    names, faults = [], []
    for number, line in enumerate(text.decode("utf-8-sig", "replace").splitlines(), 1):
        word = line.partition("#")[0].strip()
        if not word:
            continue
        try:
            names.append(_domain(word))
        except ValueError as error:
            faults.append(f"{path}:{number}: {one_line(str(error))}")
    if faults:
        more = [f"and {len(faults) - MOST_FAULTS} more lines that are no domains"] if len(faults) > MOST_FAULTS else []
        raise UsageError("\n".join([*faults[:MOST_FAULTS], *more]))
    if not names:
        raise UsageError(f"--domains {path}: holds no domain; write one on each line")
    return names


def _configuration(arguments: argparse.Namespace, dispensable: bool) -> Path | None:
    if arguments.config or os.environ.get("MAILCANARY_CONFIG") or not dispensable:
        try:
            return config_path(arguments.config)
        except UsageError as error:
            raise UsageError(f"{error}; or name a domain") from None
    return next((place for place in CONFIG_PLACES if place.exists()), None)


def _inspect(arguments: argparse.Namespace, inspect: InspectPolicy) -> InspectPolicy:
    """What flags say, they say instead of the configuration."""
    if arguments.resolver:
        inspect = replace(inspect, resolvers=tuple(dict.fromkeys(arguments.resolver)))
    if arguments.timeout:
        inspect = replace(inspect, timeout=_each("--timeout", arguments.timeout, _timeout))
    if arguments.dns_port is not None:
        inspect = replace(inspect, port=_port("--dns-port", arguments.dns_port))
    if arguments.smtp_port is not None:
        inspect = replace(inspect, smtp_port=_port("--smtp-port", arguments.smtp_port))
    return replace(
        inspect,
        transport=inspect.transport and not arguments.no_transport,
        private_addresses=inspect.private_addresses or arguments.private_addresses,
    )


def _domain_flags(arguments: argparse.Namespace) -> Callable[[DomainPolicy], DomainPolicy]:
    changes: dict[str, tuple[object, ...]] = {
        "egress": _all("--egress", arguments.egress, _address),
        "selectors": _all("--selector", arguments.selector, _selector),
        "retired": _all("--retired", arguments.retired, _selector),
        "envelope": _all("--mail-from", arguments.mail_from, _domain),
        "helo": _all("--helo", arguments.helo, _domain),
        "profiles": _all("--profile", arguments.profile, _profile),
    }
    given = {name: values for name, values in changes.items() if values}
    return lambda domain: replace(domain, **given)  # type: ignore[arg-type]  # each by its own parser above


def _all(flag: str, texts: Iterable[str] | None, parse: Callable[[str], T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(_each(flag, text, parse) for text in texts or ()))


def _each(flag: str, text: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise UsageError(f"{flag} {one_line(text)[:100]}: {one_line(str(error))[:300]}") from None


def _domain(text: str) -> str:
    try:
        name = Domain.parse(text).name
    except AddressError as error:
        mend = "" if text.isascii() else "; write it with A-labels (xn--...)"
        raise ValueError(f"{error}{mend}") from None
    if "." not in name:
        raise ValueError(f"{name!r} has no dot: write the whole domain, like shop.example")
    if name.replace(".", "").isdigit():
        raise ValueError(f"{name!r} is an address: write a domain; addresses that mail leaves from are given with --egress")
    return name


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("is no IP address; write one like 192.0.2.1 or 2001:db8::1, of a network each address") from None


def _selector(text: str) -> str:
    if "_domainkey" in text.lower():
        raise ValueError("write only what stands before ._domainkey")
    try:
        return Domain.parse(text).name
    except AddressError:
        raise ValueError("is no selector; write what stands in s= of the DKIM-Signature: letters, digits, - and _") from None


def _profile(text: str) -> Profile:
    if text.lower() not in list(Profile):
        raise ValueError(f"is no profile; write one of {', '.join(Profile)}")
    return Profile(text.lower())


def _timeout(text: str) -> float:
    seconds = parse_duration(text)
    if not 0 < seconds <= LONGEST_TIMEOUT:
        raise ValueError(f"write more than 0 and at most {LONGEST_TIMEOUT:.0f}s: it is for one question to the DNS")
    return seconds


def _port(flag: str, number: int) -> int:
    if not 1 <= number <= 65535:
        raise UsageError(f"{flag} {number}: there is no such port; write 1 to 65535")
    return number


def _only(text: str | None) -> frozenset[CheckId]:
    """Ids, or what ids begin with: `SPF-07,DKIM`."""
    if text is None:
        return frozenset()
    chosen: set[CheckId] = set()
    for word in filter(None, (part.strip().upper() for part in text.split(","))):
        found = {check for check in CheckId if check.value == word or check.value.startswith(f"{word}-")}
        if not found:
            families = sorted({check.value.partition("-")[0] for check in CheckId})
            raise UsageError(
                f"--only {one_line(word)[:40]}: no check has this id; write ids like SPF-07, or families: {', '.join(families)}"
            )
        chosen |= found
    if not chosen:
        raise UsageError("--only: names no check; write ids like SPF-07, or families like DKIM")
    return frozenset(chosen)
