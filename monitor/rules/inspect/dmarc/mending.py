"""The one record that all DMARC findings about a name propose: what stands there, with all mends applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from monitor.model.dns import Outcome, RecordType, mx_of
from monitor.model.mail import AuthResult
from monitor.rules.inspect.parked import parked
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.zonefile import txt_line
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth.dmarc import Record, Step, Walk, aligned, parse, report_uri, walk
from monitor.rules.mailauth.dmarc.record import POLICIES, REMOVED, looks_like, weaker

_VALUES = {"sp": POLICIES, "np": POLICIES, "adkim": ("r", "s"), "aspf": ("r", "s"), "psd": ("y", "n"), "t": ("y", "n")}
_MOST_DOMAINS = 20
_REFUSED = (AuthResult.FAIL, AuthResult.PERMERROR)


@dataclass(frozen=True, slots=True)
class Proposal:
    """`record` None: no whole record can be proposed. `target`: the name is a CNAME to there, and nothing can be published at it."""

    name: str
    record: Record | None
    target: str = ""

    def publish(self, gone: bool = True) -> str:
        """The line, when the finding is `gone` with it."""
        return txt_line(self.name, self.record.text) if self.record is not None and gone and not self.target else ""

    def mend(self, words: str) -> str:
        return f"{words}; {self.name} is a CNAME: the owner of {self.target} has to change it" if self.target else words


Proposals = Mapping[str, Proposal]


def certain(path: Walk) -> Step | str | None:
    """The step whose record applies; why that is not known; None when there is none."""
    step = path.policy
    if step is not None and step.domain == path.domain:
        return step
    return path.unknown or step


def own_steps(scene: Scene, path: Walk) -> list[Step]:
    """The names of the walk that belong to whoever owns the domain."""
    top = scene.suffixes.registrable(path.domain) or path.domain
    return [step for step in path.steps if step.domain == top or step.domain.endswith("." + top) or step.domain == path.domain]


def identifiers(scene: Scene) -> tuple[str, ...]:
    """The domains whose alignment matters."""
    signed = (selector.domain for selector in scene.subject.selectors if not selector.retired)
    return tuple(dict.fromkeys((scene.subject.domain, *scene.subject.envelope, *signed)))[:_MOST_DOMAINS]


def proposals(scene: Scene, path: Walk) -> Proposals:
    """By the domain that a record stands below; only domains of ours."""
    steps = {step.domain: step for domain in identifiers(scene) for step in own_steps(scene, walk(scene.lookup, domain))}
    parted = {step.domain for domain in identifiers(scene) if (step := parting(scene, domain)) is not None}
    return {domain: _proposal(scene, path, step, domain in parted) for domain, step in steps.items()}


def offered(offers: Proposals, step: Step) -> Proposal:
    """Nothing for a name that is not ours."""
    return offers.get(step.domain) or Proposal(step.name, None)


def parting(scene: Scene, domain: str) -> Step | None:
    """The name at which a change brings the tree walk and the public suffix list together again; None when they agree, or while there is
    nothing to compare."""
    steps, listed = walk(scene.lookup, domain), scene.suffixes.registrable(domain) or domain
    if steps.unknown or not steps.found or steps.organizational == listed:
        return None
    own = own_steps(scene, steps)
    stop = next((step for step in own if step.domain != listed and step.record is not None and step.record.suffix != "u"), None)
    return stop or next((step for step in own if step.domain == listed), None)


def unprotected(record: Record) -> str:
    """How subdomains are less protected than the domain itself; empty when they are not."""
    effective = record.subdomain_policy or record.policy
    missing = record.missing_policy or effective
    if weaker(effective, record.policy):
        return f"sp={effective} is weaker than p={record.policy}"
    if record.missing_policy and weaker(missing, effective):
        return f"np={missing} is weaker than what applies to subdomains that exist ({effective})"
    if not record.missing_policy and effective == "none":
        why = "np is not given" if record.tag("np") is None else f"np does not count ({record.policies_at_fault[0]})"
        return f"{why}, and what applies instead is none: mail from names that do not exist is let through"
    return ""


def takes_mail(lookup: Lookup, host: str) -> bool | None:
    mx, addresses = lookup.ask(host, RecordType.MX), [lookup.ask(host, kind) for kind in (RecordType.A, RecordType.AAAA)]
    if mx.found:
        return any(mx_of(record)[1] != "." for record in mx.records)
    if mx.failed:
        return None
    if any(answer.found for answer in addresses):
        return True
    return None if any(answer.failed for answer in addresses) else False


def reports_arrive(scene: Scene, step: Step, uris: tuple[str, ...]) -> bool:
    """At one of these destinations, of the record that stands at the step."""
    hosts = dict.fromkeys(uri.host for uri in map(report_uri, uris) if uri.mailto and not uri.fault)
    arrive = [_arrive(scene, step, host) for host in hosts]  # all are asked before any is judged
    return any(arrive)


def _arrive(scene: Scene, step: Step, host: str) -> bool:
    """The host takes mail, and belongs to the organization or says that it takes reports."""
    said = scene.lookup.ask(f"{step.domain}._report._dmarc.{host}", RecordType.TXT).records if host != step.domain else ()
    takes, own = takes_mail(scene.lookup, host), aligned(scene.lookup, step.domain, host)
    return takes is True and (own is True or any(map(looks_like, said)))


def _repaired(scene: Scene, step: Step, uris: tuple[str, ...]) -> str:
    """The destinations that are valid, without obsolete size limits; a lacking mailto: is put before, where the report then arrives."""
    valid = [uri.partition("!")[0] for uri in uris if not report_uri(uri).fault]
    lacking = [f"mailto:{uri}" for uri in uris if report_uri(uri).fault and not report_uri(f"mailto:{uri}").fault]
    return ",".join(dict.fromkeys([*valid, *(uri for uri in lacking if reports_arrive(scene, step, (uri,)))]))


def _proposal(scene: Scene, path: Walk, step: Step, parted: bool) -> Proposal:
    target = step.answer.chain[-1] if step.answer.chain else ""
    if step.answer.failed or step.several or (step.texts and step.record is None):
        return Proposal(step.name, None, target)
    old = step.record
    if old is not None and any(not fault.startswith("p=") for fault in old.policies_at_fault):
        return Proposal(step.name, None, target)  # which policy sp= or np= was meant to be only its owner knows
    tags = _new(scene, step) if old is None else _kept(scene, step, old)
    others = [(name, value) for name, value in old.tags if name not in tags and name not in ("v", *REMOVED)] if old is not None else []
    listed = scene.suffixes.registrable(step.domain)
    if old is not None and listed and (old.suffix == "y" or listed != step.domain):
        tags["psd"] = "n" if old.suffix == "y" and listed == step.domain else ""
    if parted and listed == step.domain:
        tags["psd"] = "n"
    if old is not None and step == path.policy:
        _raise(scene, path, step, tags)
    if old is not None and (parted or old.suffix == "y" or step == (path.at(path.organizational) or path.policy)):
        _protect(tags)
    return Proposal(step.name, _exact(old, [*((name, value) for name, value in tags.items() if value), *others]), target)


def _exact(old: Record | None, tags: list[tuple[str, str]]) -> Record | None:
    """The record of these tags, if receivers find nothing wrong with it and a zone file can hold it as it stands."""
    text = "v=DMARC1; " + "; ".join(f"{name}={value}" for name, value in tags)
    new = parse(text)
    cut = old is not None and any(fault.startswith("more than") for fault in old.faults)
    if new is None or cut or new.faults or new.warnings or new.fatal or not (text.isascii() and text.isprintable()):
        return None
    return new


def _new(scene: Scene, step: Step) -> dict[str, str]:
    """For a name without record: what applies there anyway, so that nothing becomes weaker or stricter."""
    applies = scene.policy(step.domain)
    if applies.record is not None:
        return {"p": applies.policy, "t": "y" if applies.record.testing else ""}
    if step.domain == scene.subject.domain and parked(scene):
        return {"p": "reject"}
    return {"p": "none", "np": "reject"}


def _kept(scene: Scene, step: Step, record: Record) -> dict[str, str]:
    """What is right in a record: the tags that we know, in their usual order."""
    tags = {"p": record.policy}
    for name, values in _VALUES.items():
        value = (record.tag(name) or "").lower()
        tags[name] = value if value in values else ""
    tags |= {name: _repaired(scene, step, uris) for name, uris in (("rua", record.aggregate), ("ruf", record.forensic))}
    tags["fo"] = "" if any(fault.startswith("fo=") for fault in record.faults) else record.tag("fo") or ""
    return tags


def _raise(scene: Scene, path: Walk, step: Step, tags: dict[str, str]) -> None:
    """A policy that protects the subject, where reports arrive that would tell of mail that it hits. What others have is not lowered."""
    found = scene.policy(path.domain)
    if found.record is None or found.unknown or found.applied != "none" or not reports_arrive(scene, step, tuple(tags["rua"].split(","))):
        return
    if any(mail.proof.dmarc.result in _REFUSED for mail in scene.subject.mails):
        return
    if step.domain == path.domain:
        tags["p"] = "quarantine" if tags["p"] == "none" else tags["p"]
        tags["t"] = ""
    else:
        missing = tags["np"] and scene.lookup.ask(path.domain, RecordType.SOA).outcome is Outcome.NXDOMAIN
        tags["np" if missing else "sp"] = "reject" if tags["t"] == "y" else "quarantine"


def _protect(tags: dict[str, str]) -> None:
    if tags["sp"] and weaker(tags["sp"], tags["p"]):
        tags["sp"], tags["np"] = tags["p"], "reject"
    effective = tags["sp"] or tags["p"]
    if weaker(tags["np"], effective) if tags["np"] else effective == "none":
        tags["np"] = "reject"
