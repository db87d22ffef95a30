"""DMARC-08 and 09: where reports go, and whether they may."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.model.checks import CheckId, CheckResult, Gravity
from monitor.model.dns import Answer, RecordType
from monitor.rules.inspect.dmarc.catalogue import CHECKS
from monitor.rules.inspect.dmarc.mending import Proposals, certain, offered, takes_mail
from monitor.rules.inspect.parked import parked
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.zonefile import shown, txt_line
from monitor.rules.mailauth.dmarc import Record, ReportUri, Step, Walk, aligned, parse, report_uri
from monitor.rules.mailauth.dmarc.record import looks_like

_MOST_HOSTS = 10
_READ_BY_ALL = 2  # destinations that a reporter has to serve (RFC 9990)


def judge(scene: Scene, path: Walk, offers: Proposals) -> Iterator[CheckResult]:
    step = certain(path)
    for check in (CHECKS[CheckId.DMARC_08], CHECKS[CheckId.DMARC_09]):
        if isinstance(step, str):
            yield check.unknown(f"_dmarc.{path.domain}", step)
        elif step is None or step.record is None:
            yield check.skipped(f"_dmarc.{path.domain}", "there is no record")
        elif check.id is CheckId.DMARC_08:
            yield _aggregate(scene, step, step.record, offers)
        else:
            yield from _consent(scene, step, step.record)


def hosts(record: Record | None) -> tuple[str, ...]:
    """The domains that aggregate reports are mailed to."""
    uris = [report_uri(uri) for uri in record.aggregate] if record else []
    return tuple(dict.fromkeys(uri.host for uri in uris if uri.mailto and not uri.fault))[:_MOST_HOSTS]


def _aggregate(scene: Scene, step: Step, record: Record, offers: Proposals) -> CheckResult:
    check, offer = CHECKS[CheckId.DMARC_08], offered(offers, step)
    uris, text = [report_uri(uri) for uri in record.aggregate], shown(record.text)
    if not uris:
        saw = "there is no rua: nobody reports to you"
        if parked(scene):
            return check.noted(step.name, f"{saw}; the domain sends nothing", text)
        return check.warned(step.name, saw, text, offer.mend("create a mailbox for the reports, and add it as rua=mailto:"))
    after = [report_uri(uri) for uri in offer.record.aggregate] if offer.record else []
    publish = offer.publish(bool(after) and not _oddities(after) and all(takes_mail(scene.lookup, uri.host) for uri in after))
    if all(uri.fault for uri in uris):
        mend = offer.mend("give it a valid mailto: address, of a mailbox that exists")
        return check.failed(step.name, shown("; ".join(uri.fault for uri in uris)), text, mend, publish)
    states = {host: takes_mail(scene.lookup, host) for host in hosts(record)}
    if deaf := [host for host, takes in states.items() if takes is False]:
        saw = f"{', '.join(deaf)} takes no mail: no MX and no address, or a null MX"
        return check.failed(step.name, saw, text, offer.mend("report elsewhere"), "", Gravity.WARNING)
    if unknown := [host for host, takes in states.items() if takes is None]:
        return check.unknown(step.name, f"whether {', '.join(unknown)} takes mail could not be found out")
    if odd := _oddities(uris):
        few = "" if publish else f" and keep {_READ_BY_ALL} destinations"
        return check.warned(step.name, shown(odd), text, offer.mend(f"tidy rua={few}"), publish)
    return check.passed(step.name, f"reports go to {', '.join(states)}", text)


def _oddities(uris: list[ReportUri]) -> str:
    parts = [uri.fault for uri in uris if uri.fault]
    if len(uris) > _READ_BY_ALL:
        parts.append(f"{len(uris)} destinations: reporters need not serve more than {_READ_BY_ALL}")
    if any(uri.size for uri in uris):
        parts.append("a size limit (!10m), which is obsolete")
    return "; ".join(parts)


def _consent(scene: Scene, step: Step, record: Record) -> Iterator[CheckResult]:
    check = CHECKS[CheckId.DMARC_09]
    uris = [report_uri(uri) for uri in (*record.aggregate, *record.forensic)]
    named = tuple(dict.fromkeys(uri.host for uri in uris if uri.mailto and not uri.fault))
    if not named:
        yield check.skipped(step.name, "reports go nowhere")
        return
    foreign = False
    for host in named[:_MOST_HOSTS]:
        name = f"{step.domain}._report._dmarc.{host}"
        answer = scene.lookup.ask(name, RecordType.TXT) if host != step.domain else None
        own = aligned(scene.lookup, step.domain, host)
        if own or answer is None:
            continue
        foreign = True
        if own is None:
            yield check.unknown(name, f"whether {host} belongs to the organization of {step.domain} could not be found out")
        else:
            yield _agreed(name, host, answer)
    if not foreign:
        yield check.passed(step.name, "all reports stay within the organization")


def _agreed(name: str, host: str, answer: Answer) -> CheckResult:
    check = CHECKS[CheckId.DMARC_09]
    publish, mend = txt_line(name, "v=DMARC1"), f"whoever runs {host} has to publish this, or reports have to go elsewhere"
    if answer.chain:
        publish, mend = "", f"the owner of {answer.chain[-1]} has to publish v=DMARC1 there, or reports have to go elsewhere"
    if answer.failed:
        return check.unknown(name, f"no answer: {answer.detail}")
    records = [text for text in answer.records if looks_like(text)]
    if not records:
        return check.failed(
            name, f"{host} does not say that it takes reports: they are lost", shown(" | ".join(answer.records)), mend, publish
        )
    text = shown(" | ".join(records))
    diverted = [uri.host for one in records if (found := parse(one)) for uri in map(report_uri, found.aggregate) if uri.host != host]
    if diverted:
        return check.warned(name, f"its rua points to another host ({shown(', '.join(diverted))}), which is ignored", text, mend, publish)
    if len(records) > 1:
        return check.warned(name, f"{len(records)} records, of which some reporters accept only one", text, "keep one", publish)
    return check.passed(name, f"{host} takes reports", text)
