"""The sending addresses: reverse DNS that leads back, and the name that the sender greets with (IP-01 to IP-05)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from monitor.model.checks import CheckId, CheckResult, Gravity
from monitor.model.dns import Answer, RecordType
from monitor.model.mail import AuthResult
from monitor.rules.inspect.check import Check
from monitor.rules.inspect.organization import ours
from monitor.rules.inspect.scene import Scene
from monitor.rules.mailauth.trace import canonical, is_public
from monitor.rules.plain import plain

MOST_ADDRESSES = 20
MOST_NAMES = 10  # of one address (RFC 7208 section 4.6.4, as receivers do for iprev)
MOST_HELOS = 20
_SHOWN = 5

_WHY_REVERSE = "Gmail, Yahoo, Outlook and Apple refuse or junk mail from an address without reverse DNS that leads back to it."

CHECKS = {
    check.id: check
    for check in (
        Check(CheckId.IP_01, "reverse DNS exists", _WHY_REVERSE, "Gmail 5.7.25, Yahoo, Outlook, Apple sender rules", Gravity.CRITICAL),
        Check(CheckId.IP_02, "reverse DNS leads back", _WHY_REVERSE, "RFC 8601 section 3 (iprev), Gmail 5.7.25", Gravity.CRITICAL),
        Check(
            CheckId.IP_03,
            "greets with its own name",
            "Receivers take a host for a zombie when its EHLO is no name, or a name that leads elsewhere.",
            "RFC 5321 section 4.1.1.1",
            Gravity.ERROR,
        ),
        Check(
            CheckId.IP_04,
            "reverse DNS is not that of a dial-up line",
            "Filters count a name that looks generated against the mail; Yahoo asks for one that does not look dynamic.",
            "Yahoo sender requirements",
            Gravity.WARNING,
        ),
        Check(
            CheckId.IP_05,
            "IPv6 sending meets the stricter rules",
            "Over IPv6 Gmail refuses what it only suspects over IPv4: reverse DNS, SPF and DKIM all have to be right.",
            "Gmail sender guidelines, IPv6",
            Gravity.CRITICAL,
        ),
    )
}
HOW_TO_GIVE = "sending addresses are not known: --egress, or inspect.domains.NAME.egress"

_NAME_FIRST = "give the address a name of its own, that the server greets with, and an address record that leads to it"

_DYNAMIC = frozenset({"dyn", "dynamic", "dynip", "dhcp", "pool", "cable", "dsl", "adsl", "vdsl", "ppp", "pppoe", "dial", "dialup"})
_NO_HOST = (".localdomain", ".local", ".lan", ".internal", ".home.arpa", ".invalid")


@dataclass(frozen=True, slots=True)
class Reverse:
    """What the DNS says of one address, both ways. `back`: the names that lead back to it; `astray`: those that do not; `open`: those of
    which nobody can tell."""

    address: str
    ptr: Answer
    names: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    astray: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    beside: int = 0  # names beyond MOST_NAMES


def judge(scene: Scene) -> Iterator[CheckResult]:
    known = addresses(scene)
    reverses = [look_up(scene, address) for address in known[:MOST_ADDRESSES]]
    if not known:
        for id_ in (CheckId.IP_01, CheckId.IP_02, CheckId.IP_04, CheckId.IP_05):
            yield CHECKS[id_].skipped(scene.subject.domain, HOW_TO_GIVE)
    for reverse in reverses:
        if _behind_nat(scene, reverse):
            yield from _private(scene, reverse)
            continue
        yield _exists(scene, reverse)
        yield _leads_back(scene, reverse)
        yield _generic(scene, reverse)
        if isinstance(ip_address(reverse.address), IPv6Address):
            yield _six(scene, reverse)
    if known and not any(isinstance(ip_address(address), IPv6Address) for address in known[:MOST_ADDRESSES]):
        yield CHECKS[CheckId.IP_05].skipped(scene.subject.domain, "no mail leaves over IPv6, as far as we know")
    if (more := len(known) - MOST_ADDRESSES) > 0:
        for id_ in (CheckId.IP_01, CheckId.IP_02, CheckId.IP_04, CheckId.IP_05):
            yield CHECKS[id_].noted("more sending addresses", f"{more} more were not looked at")
    yield from _greetings(scene, {reverse.address: reverse for reverse in reverses})


def addresses(scene: Scene) -> tuple[str, ...]:
    """The sending addresses, canonical: as declared or learned, else those that delivered mail came from."""
    given = scene.subject.egress or tuple(address for address, _ in scene.subject.observed)
    return tuple(dict.fromkeys(found for address in given if (found := canonical(address))))


def look_up(scene: Scene, address: str) -> Reverse:
    ptr = scene.lookup.ask(ip_address(address).reverse_pointer, RecordType.PTR)
    names = ptr.records if ptr.found else ()
    asked = names[:MOST_NAMES]
    kind = RecordType.A if isinstance(ip_address(address), IPv4Address) else RecordType.AAAA
    back, astray, unsure = [], [], []
    for name, answer in [(name, scene.lookup.ask(name, kind)) for name in asked]:
        if answer.failed:
            unsure.append(name)
        elif address in map(canonical, answer.records):
            back.append(name)
        else:
            astray.append(name)
    return Reverse(address, ptr, names, tuple(back), tuple(astray), tuple(unsure), len(names) - len(asked))


def _behind_nat(scene: Scene, reverse: Reverse) -> bool:
    return not is_public(reverse.address) and not (scene.subject.private_addresses and reverse.ptr.found)


def _private(scene: Scene, reverse: Reverse) -> Iterator[CheckResult]:
    """No public zone can speak of it. Where that is wanted there is nothing to test."""
    for id_ in (CheckId.IP_01, CheckId.IP_02, CheckId.IP_04) + ((CheckId.IP_05,) if ":" in reverse.address else ()):
        if scene.subject.private_addresses:
            yield CHECKS[id_].skipped(reverse.address, "a private address without reverse DNS, as it is wanted here")
        else:
            what = "a private address: receivers see another one"
            yield CHECKS[id_].unknown(reverse.address, what, mend="give the public address that mail leaves from")


def _exists(scene: Scene, reverse: Reverse) -> CheckResult:
    check = CHECKS[CheckId.IP_01]
    if reverse.ptr.failed:
        return check.unknown(reverse.address, _unanswered(reverse.ptr))
    if not reverse.names:
        what = "it has no reverse DNS (PTR) record"
        mend = "have the owner of the address publish the PTR record: the hosting provider, mostly in its console"
        publish = _pointer(scene, reverse)
        return check.failed(reverse.address, what, mend=mend if publish else f"{_NAME_FIRST}, then {mend}", publish=publish)
    return check.passed(reverse.address, f"its name is {_listed(reverse.names)}", _listed(reverse.names))


def _leads_back(scene: Scene, reverse: Reverse) -> CheckResult:
    check = CHECKS[CheckId.IP_02]
    about, record = reverse.address, _listed(reverse.names)
    if reverse.ptr.failed:
        return check.unknown(about, _unanswered(reverse.ptr))
    if not reverse.names:
        publish = _pointer(scene, reverse)
        mend = "publish the PTR record" if publish else f"{_NAME_FIRST}, then publish the PTR record"
        return check.failed(about, "without a PTR record nothing can lead back", mend=mend, publish=publish)
    extra = f"; {reverse.beside} more names are looked at by nobody" if reverse.beside else ""
    if reverse.back and reverse.astray:
        mend = "keep one PTR record: receivers that look only at the first name may meet one that leads elsewhere"
        what = f"{_listed(reverse.back)} leads back to it, {_listed(reverse.astray)} does not{extra}"
        return check.warned(about, what, record, mend)
    if reverse.back:
        return check.passed(about, f"{_listed(reverse.back)} leads back to it{extra}", record)
    if reverse.open:
        return check.unknown(about, f"the address of {_listed(reverse.open)} could not be asked for")
    kind = "AAAA" if ":" in about else "A"
    what = f"{_listed(reverse.astray)} does not lead back to it{extra}"
    mend = f"publish the {kind} record of the name, or have the PTR record name a host that has this address"
    alone = len(reverse.astray) == 1 and not any(reverse.astray[0] in other.names for other in _others(scene, about))
    publish = _address_line(scene, reverse.astray[0], about) if alone else ""
    return check.failed(about, what, record, mend, publish)


def _generic(scene: Scene, reverse: Reverse) -> CheckResult:
    check = CHECKS[CheckId.IP_04]
    if reverse.ptr.failed:
        return check.unknown(reverse.address, _unanswered(reverse.ptr))
    if not reverse.names:
        return check.skipped(reverse.address, "it has no reverse DNS")
    for name in reverse.names[:MOST_NAMES]:
        if why := looks_generated(name, reverse.address, scene.suffixes.registrable(name)):
            mend = "have the PTR record name the mail server, for example the name that it greets with"
            return check.warned(reverse.address, f"{plain(name)} {why}", plain(name), mend, _pointer(scene, reverse))
    return check.passed(reverse.address, f"{_listed(reverse.names)} looks like a server's name", _listed(reverse.names))


def looks_generated(name: str, address: str, registrable: str = "") -> str:
    """Why a reverse name looks like that of a line, not of a server; empty when it does not. The registrable domain is not looked at."""
    own = name.removesuffix(registrable).rstrip(".") if registrable else name
    words = set(re.split(r"[^a-z]+", own.lower()))
    if dynamic := sorted(words & _DYNAMIC):
        return f'has "{dynamic[0]}" in it'
    packed = re.sub(r"[^0-9a-f]", "", own.lower())
    known = ip_address(address)
    if isinstance(known, IPv6Address):
        nibbles = known.exploded.replace(":", "")
        return "has the address in it" if nibbles in packed or nibbles[::-1] in packed or nibbles[16:] in packed else ""
    octets = str(known).split(".")
    for order in (octets, octets[::-1]):
        if re.search(r"(?<![0-9])" + r"[-._x]".join("0{0,2}" + octet for octet in order) + r"(?![0-9])", own.lower()):
            return "has the address in it"
        if "".join(octet.zfill(3) for octet in order) in packed:
            return "has the address in it"
    return "has the address in it" if f"{int(known):08x}" in re.split(r"[^0-9a-f]+", own.lower()) else ""


def _six(scene: Scene, reverse: Reverse) -> CheckResult:
    check = CHECKS[CheckId.IP_05]
    about = reverse.address
    evaluations = [scene.spf(about, domain) for domain in scene.envelope[:_SHOWN]]
    bad = [f"SPF says {found.result.value} for {found.domain}" for found in evaluations if _refused(found.result)]
    dark = [f"SPF for {found.domain} cannot be told" for found in evaluations if found.result is AuthResult.TEMPERROR]
    if not reverse.ptr.failed and not reverse.back and not reverse.open:
        bad.insert(0, "no reverse name leads back to it")
    elif not reverse.back:
        dark.insert(0, "its reverse DNS cannot be told")
    verdicts = [mail.proof.dkim_result for mail in scene.subject.mails]
    if verdicts and AuthResult.PASS not in verdicts:
        (dark if AuthResult.TEMPERROR in verdicts else bad).append("no delivered mail has a valid DKIM signature")
    if bad:
        mend = "mend that, or let mail leave over IPv4 only until it is (Postfix: inet_protocols = ipv4)"
        return check.failed(about, "; ".join(bad), mend=mend)
    if dark:
        return check.unknown(about, "; ".join(dark))
    if not verdicts:
        return check.noted(about, "reverse DNS and SPF are right; no delivered mail was seen yet that shows DKIM")
    return check.passed(about, "reverse DNS leads back, SPF and DKIM pass")


def _refused(result: AuthResult) -> bool:
    return result not in (AuthResult.PASS, AuthResult.TEMPERROR)


def _greetings(scene: Scene, reverses: dict[str, Reverse]) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.IP_03]
    senders: dict[str, set[str]] = {name.lower().rstrip("."): set() for name in scene.subject.helo if name.strip(". ")}
    cut = 0
    for mail in scene.subject.mails:
        hop = mail.mail.border
        if hop is not None and hop.helo and is_public(hop.address):  # within a private network any name will do
            senders.setdefault(hop.helo, set()).add(hop.address)
        elif mail.mail.header_cut:
            cut += 1
    for helo, seen in list(senders.items())[:MOST_HELOS]:
        yield _greeting(scene, helo, sorted(seen) or list(reverses), reverses, bool(seen))
    if (more := len(senders) - MOST_HELOS) > 0:
        yield check.noted("more names in EHLO", f"{more} more were not looked at")
    if not senders and cut:
        yield check.unknown(scene.subject.domain, "the header of the delivered mail was not read up to the Received field that shows EHLO")
    elif not senders:
        how = "the name that the sender greets with is not known: --helo, inspect.domains.NAME.helo, or a delivered probe"
        yield check.skipped(scene.subject.domain, how)


def _greeting(scene: Scene, helo: str, senders: list[str], reverses: dict[str, Reverse], seen: bool) -> CheckResult:
    check = CHECKS[CheckId.IP_03]
    about = plain(helo)
    mend = "set the name of the mail server (Postfix: smtp_helo_name, Exim: helo_data) to its public host name"
    if fault := no_host_name(helo):
        return check.failed(about, f"EHLO {about}: {fault}", mend=mend)
    answers = [scene.lookup.ask(helo, kind) for kind in (RecordType.A, RecordType.AAAA)]
    own = [address for answer in answers if answer.found for address in map(canonical, answer.records)]
    dark = any(answer.failed for answer in answers)
    led = [address for address in senders if address in own]
    if not own and dark:
        return check.unknown(about, f"the address of {about} could not be asked for")
    if not own:
        target = _address_line(scene, helo, senders[0]) if len(senders) == 1 else ""
        return check.failed(about, f"{about} does not resolve", mend="publish its address record, or " + mend, publish=target)
    if senders and dark and not led:
        return check.unknown(about, f"one of the address records of {about} could not be asked for")
    record = ", ".join(own[:_SHOWN])
    if senders and not (len(led) == len(senders) if seen else led):
        astray = ", ".join(address for address in senders[:_SHOWN] if address not in own)
        return check.warned(about, f"{about} resolves, but not to the sending address {astray}", record, mend)
    reverse = [reverses.get(address) or look_up(scene, address) for address in led[:_SHOWN]]
    if any(found.ptr.failed for found in reverse):
        return check.unknown(about, "the reverse DNS of the sending address could not be asked for")
    if reverse and not any(helo in found.names for found in reverse):
        names = _listed(tuple(name for found in reverse for name in found.names)) or "nothing"
        return check.warned(about, f"{about} resolves to the sending address, but its reverse name is {names}", record, mend)
    return check.passed(about, f"{about} resolves to the sending address" if led else f"{about} resolves", record)


def no_host_name(helo: str) -> str:
    """Why a name in EHLO is no public host name; empty when it could be one."""
    if helo.startswith("[") or canonical(helo):
        return "an address literal, no name"
    if helo == "localhost" or helo.endswith((".localhost", *_NO_HOST)):
        return "a name that only the sender itself knows"
    if "." not in helo:
        return "no fully qualified name"
    if not re.fullmatch(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.){1,30}[a-z0-9-]{2,63}", helo):
        return "no valid host name"
    return ""


def _pointer(scene: Scene, reverse: Reverse) -> str:
    """To a name in EHLO that leads back to the address already; nothing where there is none."""
    if reverse.ptr.chain:
        return ""
    names = [helo.lower().rstrip(".") for helo in scene.subject.helo]
    kind = RecordType.AAAA if ":" in reverse.address else RecordType.A
    answers = {name: scene.lookup.ask(name, kind) for name in names[:MOST_HELOS] if not no_host_name(name)}
    for name, answer in answers.items():
        generated = looks_generated(name, reverse.address, scene.suffixes.registrable(name))
        if reverse.address in map(canonical, answer.records) and not generated:
            return f"{ip_address(reverse.address).reverse_pointer}. 3600 IN PTR {name}."
    return ""


def _others(scene: Scene, address: str) -> list[Reverse]:
    """The other sending addresses of the same kind."""
    alike = [other for other in addresses(scene)[:MOST_ADDRESSES] if other != address and (":" in other) == (":" in address)]
    return [look_up(scene, other) for other in alike]


def _address_line(scene: Scene, name: str, address: str) -> str:
    """Of a name of ours that has no such record yet, and is no alias."""
    there = scene.lookup.ask(name, RecordType.AAAA if ":" in address else RecordType.A)
    if no_host_name(name) or not there.void or there.chain or not ours(scene, name):
        return ""
    return f"{name}. 3600 IN {there.question.rtype.value} {address}"


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(plain(name) for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


def _unanswered(answer: Answer) -> str:
    return f"the DNS gave no answer: {plain(answer.detail or (answer.failure.value if answer.failure else 'failed'))}"
