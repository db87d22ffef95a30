"""SPF-01, 02, 03, 09, 11, 12, 13, 14, 17, 19: what stands in the zone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from monitor.model.checks import CheckId, CheckResult, Gravity
from monitor.model.dns import Outcome, RecordType
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.spf.catalogue import CHECKS
from monitor.rules.inspect.spf.proposal import LONGEST_ANSWER, LONGEST_RECORD, canonical, end_of, longest_of, missing, size_of
from monitor.rules.inspect.spf.sight import Sight
from monitor.rules.inspect.zonefile import shown, txt_line
from monitor.rules.mailauth.spf import Node
from monitor.rules.mailauth.spf.evaluate import exchanges
from monitor.rules.mailauth.spf.record import Kind, Malformed, is_sender_id, is_spf, macro_string

_MOST_HOSTS: Final = 5


def judge(scene: Scene, names: tuple[Sight, ...]) -> Iterator[CheckResult]:
    for sight in names:
        yield _exists(sight)
        yield from _one(sight)
        if sight.is_helo:
            yield from _size(sight)
            continue
        for rule in (_syntax, _policy, _pointers, _targets, _size, _dead, _macros):
            yield from rule(sight)
    yield from _silent(scene, names)


def _exists(sight: Sight) -> CheckResult:
    check = CHECKS[CheckId.SPF_01]
    if sight.dark:
        unknown = check.unknown(sight.name, sight.dark)
        return replace(unknown, gravity=Gravity.WARNING) if sight.is_helo else unknown
    sender_id = next((text for text in sight.answer.records if is_sender_id(text)), "")
    if sight.texts:
        if sender_id:
            return check.warned(
                sight.name,
                "a record of Sender ID beside SPF",
                shown(sender_id),
                "Take the spf2.0 record away: nobody evaluates it any more.",
            )
        return check.passed(sight.name, "there is an SPF record", shown(sight.text))
    near = next((text for text in sight.answer.records if "spf" in text[:12].lower()), "")
    saw = f"no TXT record that is SPF{': ' + shown(near) + ' is none' if near else ''}"
    if sight.is_helo:
        mend = "Publish a record for the HELO name too, with the addresses that use it."
        return check.warned(sight.name, saw, shown(near), _at_alias(sight) or mend, sight.publish)
    mend = "Publish one TXT record that begins with v=spf1 and names every sending address."
    return check.failed(sight.name, saw, shown(near), _at_alias(sight) or mend, sight.publish)


def _at_alias(sight: Sight) -> str:
    """What to do where nothing can stand beside a CNAME (RFC 1034 section 3.6.2)."""
    if not sight.answer.chain:
        return ""
    end = shown(sight.answer.chain[-1])
    return f"{shown(sight.name)} is a CNAME: its owner has to publish the record at {end}, or the CNAME gives way to records of its own."


def _one(sight: Sight) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.SPF_02]
    if not sight.texts:
        yield sight.none(check)
    elif len(sight.texts) > 1:
        yield check.failed(
            sight.name,
            f"{len(sight.texts)} SPF records",
            shown(" | ".join(sight.texts)),
            "Merge them into one and take the others away.",
            sight.publish,
            Gravity.WARNING if sight.is_helo else None,
        )
    else:
        yield check.passed(sight.name, "one SPF record", shown(sight.text))


def _syntax(sight: Sight) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.SPF_03]
    if sight.record is None:
        yield sight.none(check)
        return
    faulty = [(name, record) for name, record in sight.records() if record.fault]
    for name, record in faulty:
        faults = [term.fault for term in record.terms if term.fault]
        owner = f"The owner of {shown(name)} has to mend it; until then take the include away: "
        mend = "Mend every term of these, and keep the senders that it names: " if name == sight.name else owner
        yield check.failed(name, shown("; ".join(faults)), shown(record.text), mend + shown("; ".join(faults)))
    if faulty:
        return
    yield check.unknown(sight.name, sight.gap) if sight.gap else check.passed(sight.name, "no fault in the whole tree", shown(sight.text))


def _policy(sight: Sight) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.SPF_09]
    if sight.record is None:
        yield sight.none(check)
        return
    end, record = end_of(sight.tree), shown(sight.text)
    mend = "End the record with ~all or -all, when every sender is in it."
    if end.unknown:
        yield check.unknown(sight.name, shown(end.unknown))
    elif end.varies:
        yield check.noted(sight.name, f"the policy is that of {shown(end.varies)}, which depends on the client", record)
    elif end.policy == "-all":
        yield check.passed(sight.name, "-all", record)
    elif end.policy == "~all":
        yield check.noted(sight.name, "~all: strangers only softfail. -all is stricter, once all senders are in the record", record)
    elif end.policy == "+all":
        mend = "Replace +all: it authorises the whole Internet."
        yield check.failed(sight.name, "+all: everybody passes", record, mend, sight.publish, Gravity.CRITICAL)
    elif end.policy == "?all":
        yield check.failed(sight.name, "?all: no policy for strangers", record, mend, sight.publish)
    else:
        saw = "neither all nor a redirect that ends with it: neutral"
        yield check.failed(sight.name, saw, record, mend, sight.publish)


def _pointers(sight: Sight) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.SPF_11]
    if sight.record is None:
        yield sight.none(check)
        return
    found = False
    for name, record in sight.records():
        if any(term.kind is Kind.PTR for term in record.terms):
            found = True
            own = "Replace ptr by the addresses that send through it: look whose reverse DNS is below this domain."
            mend = own if name == sight.name else f"Ask the owner of {shown(name)}, or include another record."
            yield check.warned(shown(name), "ptr", shown(record.text), mend)
    if not found:
        yield check.unknown(sight.name, sight.gap) if sight.gap else check.passed(sight.name, "no ptr in the whole tree")


def _targets(sight: Sight) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.SPF_12]
    if sight.record is None:
        yield sight.none(check)
        return
    nodes = [node for node in sight.nodes if node.kind in (Kind.INCLUDE, Kind.REDIRECT) and node.target and "%" not in node.term]
    times: dict[str, int] = {}
    good = True
    for node in nodes:
        times[node.target] = times.get(node.target, 0) + 1
        if why := missing(node):
            good = False
            yield check.unknown(shown(node.target), shown(why))
        elif node.fault and not node.record:
            good = False
            yield check.failed(
                shown(node.target),
                _broken(sight, node),
                shown(f"{node.domain}: {node.term}"),
                f"Take {shown(node.term)} out of {shown(node.domain)}.",
            )
    for target, count in times.items():
        if count > 1:
            good = False
            yield check.warned(shown(target), f"included {count} times", shown(sight.text), "Once is enough: each costs a DNS term.")
    if good:
        yield check.passed(sight.name, f"include and redirect targets with one record each: {len(nodes)}")


def _broken(sight: Sight, node: Node) -> str:
    answer = sight.scene.lookup.ask(node.target, RecordType.TXT)
    if answer.outcome is Outcome.NXDOMAIN:
        return f"{shown(node.target)} does not exist: a permanent error, and whoever registers it may send in this domain's name"
    return shown(node.fault)


def _size(sight: Sight) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.SPF_13]
    if not sight.texts:
        yield sight.none(check)
        return
    longest, size = longest_of(sight.answer), size_of(sight.answer)
    mend = "Shorten it: take away what no longer sends, or move networks into an included record."
    if longest > LONGEST_RECORD:
        yield check.warned(sight.name, f"{longest} octets; more than {LONGEST_RECORD} may not fit into one answer", shown(sight.text), mend)
    elif size > LONGEST_ANSWER:
        saw = f"all TXT records together make an answer of {size} octets: it does not fit into UDP without EDNS"
        yield check.warned(sight.name, saw, shown(sight.text), "Move other TXT records to names of their own.")
    else:
        yield check.passed(sight.name, f"{longest} octets", shown(sight.text))


def _dead(sight: Sight) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.SPF_14]
    if sight.record is None:
        yield sight.none(check)
        return
    obsolete = sight.scene.lookup.ask(sight.name, RecordType.SPF)
    dead = [term.text for term in sight.record.dead]
    if dead:
        yield check.warned(
            sight.name,
            f"never evaluated: {shown(' '.join(dead))}",
            shown(sight.text),
            "Move before all what shall count, and take the rest away.",
            sight.publish,
        )
    elif obsolete.found:
        yield check.warned(
            sight.name, "a record of type 99 (SPF)", shown(obsolete.records[0]), "Take the type 99 record away: only TXT counts."
        )
    elif obsolete.failed:
        yield check.unknown(sight.name, shown(f"{obsolete.question}: {obsolete.detail}"))
    else:
        yield check.passed(sight.name, "every term counts", shown(sight.text))


def _macros(sight: Sight) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.SPF_19]
    if sight.record is None:
        yield sight.none(check)
        return
    slow = [(name, term.text) for name, record in sight.records() for term in record.terms if "p" in term.macros]
    for name, text in slow:
        yield check.warned(
            name, f"{shown(text)} uses %{{p}}", shown(text), "Use %{i} or %{d} instead: %{p} needs the client's reverse DNS."
        )
    if slow:
        return
    if sight.gap:
        yield check.unknown(sight.name, sight.gap)
    elif mute := _mute(sight):
        yield check.noted(sight.name, mute, shown(sight.text))
    else:
        yield check.passed(sight.name, "no %{p}")


def _mute(sight: Sight) -> str:
    """Why the explanation cannot be given; it never affects the result (section 6.2)."""
    exp = sight.record.exp if sight.record is not None else None
    if exp is None or exp.macros:
        return ""
    name = "".join(str(part) for part in exp.spec).removesuffix(".")
    answer = sight.scene.lookup.ask(name, RecordType.TXT)
    if len(answer.records) != 1:
        return f"{shown(exp.text)} gives no explanation: {answer.detail or f'{len(answer.records)} TXT records'}"
    try:
        macro_string(answer.records[0], explaining=True)
    except Malformed as error:
        return f"{shown(exp.text)} gives no explanation: {shown(str(error))}"
    return ""


def _silent(scene: Scene, names: tuple[Sight, ...]) -> Iterator[CheckResult]:
    """SPF-17: the MX hosts of our own that send nothing."""
    check = CHECKS[CheckId.SPF_17]
    domain = scene.subject.domain
    answer = scene.lookup.ask(domain, RecordType.MX)
    if answer.failed:
        yield check.unknown(domain, f"{answer.question}: {answer.detail}")
        return
    sending = {sight.name for sight in names}
    own = scene.suffixes.registrable(domain)
    hosts = [host for host in dict.fromkeys(exchanges(answer)) if host not in sending and own and scene.suffixes.registrable(host) == own]
    if not hosts:
        yield check.skipped(domain, "no MX host of its own that does not send")
    asked = [(host, scene.lookup.ask(host, RecordType.TXT)) for host in hosts[:_MOST_HOSTS]]
    for host, texts in asked:
        records = [text for text in texts.records if is_spf(text)]
        if texts.failed:
            yield check.unknown(host, f"{texts.question}: {texts.detail}")
        elif records == ["v=spf1 -all"]:
            yield check.passed(host, "sends nothing, and says so", records[0])
        elif records:
            yield check.noted(host, "has a record of its own", shown(records[0]))
        else:
            mend = "If it never is an envelope sender or HELO name, say so; if it is one, name its addresses."
            publish = txt_line(host, "v=spf1 -all") if not texts.chain and _never_sends(scene, host) else ""
            yield check.warned(host, "no SPF record", "", mend, publish, Gravity.INFO)


def _never_sends(scene: Scene, host: str) -> bool:
    """It is known where mail leaves from, and that this is not there."""
    answers = [scene.lookup.ask(host, rtype) for rtype in (RecordType.A, RecordType.AAAA)]
    egress = {canonical(address) for address in scene.subject.egress}
    here = {canonical(text) for answer in answers for text in answer.records}
    return bool(egress) and not any(answer.failed for answer in answers) and not egress & here
