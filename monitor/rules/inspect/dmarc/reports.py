"""DMARC-08 and 09: where reports go, and whether they may."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.model.checks import CheckId, CheckResult, Gravity
from monitor.model.dns import Answer, RecordType, mx_of
from monitor.rules.inspect.dmarc.catalogue import CHECKS
from monitor.rules.inspect.dmarc.published import certain, mended
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.zonefile import shown, txt_line
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.dmarc import Record, ReportUri, Step, Walk, aligned, parse, report_uri
from monitor.rules.mailauth.dmarc.record import looks_like

_MOST_HOSTS = 10
_READ_BY_ALL = 2  # destinations that a reporter has to serve (RFC 9990)


def judge(scene: Scene, path: Walk) -> Iterator[CheckResult]:
    step = certain(path)
    for check in (CHECKS[CheckId.DMARC_08], CHECKS[CheckId.DMARC_09]):
        if isinstance(step, str):
            yield check.unknown(f"_dmarc.{path.domain}", step)
        elif step is None or step.record is None:
            yield check.skipped(f"_dmarc.{path.domain}", "there is no record")
        elif check.id is CheckId.DMARC_08:
            yield _aggregate(scene, path, step, step.record)
        else:
            yield from _consent(scene, step, step.record)


def hosts(record: Record | None) -> tuple[str, ...]:
    """The domains that aggregate reports are mailed to."""
    uris = [report_uri(uri) for uri in record.aggregate] if record else []
    return tuple(dict.fromkeys(uri.host for uri in uris if uri.mailto and not uri.fault))[:_MOST_HOSTS]


def _aggregate(scene: Scene, path: Walk, step: Step, record: Record) -> CheckResult:
    check = CHECKS[CheckId.DMARC_08]
    uris = [report_uri(uri) for uri in record.aggregate]
    text = shown(record.text)
    wanted = txt_line(step.name, mended(record, rua=f"mailto:dmarc-reports@{path.domain}"))
    if not uris:
        return check.warned(step.name, "there is no rua: nobody reports to you", text, "add rua=mailto:...", wanted)
    valid = [uri for uri in uris if not uri.fault]
    if not valid:
        repaired = mended(record)
        publish = txt_line(step.name, repaired) if "rua=" in repaired else wanted
        return check.failed(step.name, shown("; ".join(uri.fault for uri in uris)), text, "give it a valid mailto: address", publish)
    states = {host: _takes_mail(scene.lookup, host) for host in hosts(record)}
    if deaf := [host for host, takes in states.items() if takes is False]:
        gravity = Gravity.WARNING
        return check.failed(
            step.name, f"{', '.join(deaf)} takes no mail: no MX and no address, or a null MX", text, "report elsewhere", "", gravity
        )
    if unknown := [host for host, takes in states.items() if takes is None]:
        return check.unknown(step.name, f"whether {', '.join(unknown)} takes mail could not be found out")
    if odd := _oddities(uris):
        return check.warned(step.name, shown(odd), text, "tidy rua=", txt_line(step.name, mended(record)))
    return check.passed(step.name, f"reports go to {', '.join(states)}", text)


def _oddities(uris: list[ReportUri]) -> str:
    parts = [uri.fault for uri in uris if uri.fault]
    if len(uris) > _READ_BY_ALL:
        parts.append(f"{len(uris)} destinations: reporters need not serve more than {_READ_BY_ALL}")
    if any(uri.size for uri in uris):
        parts.append("a size limit (!10m), which is obsolete")
    return "; ".join(parts)


def _takes_mail(lookup: Lookup, host: str) -> bool | None:
    mx, addresses = lookup.ask(host, RecordType.MX), [lookup.ask(host, kind) for kind in (RecordType.A, RecordType.AAAA)]
    if mx.found:
        return any(mx_of(record)[1] != "." for record in mx.records)
    if mx.failed:
        return None
    if any(answer.found for answer in addresses):
        return True
    return None if any(answer.failed for answer in addresses) else False


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
