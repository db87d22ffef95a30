"""The results of a domain as people read them: those of one check together, what to do once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from monitor.model.checks import CheckId, Profile
from monitor.surface.audit.document import LONGEST_TEXT, Document
from monitor.surface.gate.safe import safe

BAD = ("fail", "warn")
SUSPECT = ("critical", "error")
COUNTED = ("critical", "error", "warning", "info")
_ORDER = ("fail", "error", "inconclusive", "pass")


@dataclass(slots=True)
class Group:
    """Results of one check with one status and severity, worst groups first as the document has them."""

    id: str
    title: str
    status: str
    severity: str
    why: str
    source: str
    rows: list[Document] = field(default_factory=list)

    @property
    def mends(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row["mend"] for row in self.rows if row["mend"]))

    @property
    def publishes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row["publish"] for row in self.rows if row["publish"]))


def groups(domain: Document, statuses: tuple[str, ...]) -> list[Group]:
    found: dict[tuple[str, str, str], Group] = {}
    for row in domain["results"]:
        if row["status"] in statuses:
            key = (row["id"], row["status"], row["severity"])
            if key not in found:
                found[key] = Group(row["id"], row["title"], row["status"], row["severity"], row["why"], row["source"])
            found[key].rows.append(row)
    return list(found.values())


def tally(domain: Document) -> str:
    """`2 critical, 1 warning; 4 could not be seen; not tested: SPF-07, IP-* (give --egress)`."""
    if domain["fault"]:
        return f"a fault of our own: {domain['fault']}"
    if domain["blind"]:
        return f"cannot see: {domain['blind']}"
    counted = domain["counts"]
    tested = any(counted[key] for key in ("pass", "info"))
    infos = "" if any(counted[key] for key in ("critical", "error", "warning")) else "nothing wrong was found"
    parts = [part for part in (infos if tested else "", _counted(counted)) if part]
    unseen = f"; {counted['unknown']} could not be seen" if counted["unknown"] else ""
    gone = "" if domain["exists"] else "the domain does not exist; "
    unheard = f"; nothing could be learned: {domain['unheard']}" if domain["unheard"] else ""
    return gone + (", ".join(parts) or "nothing could be tested") + unseen + _untested(domain["untested"]["line"]) + unheard


def _counted(counts: Document) -> str:
    """`2 critical, 1 error, 3 infos`."""
    return ", ".join(f"{counts[key]} {key}{'s' if key != 'critical' and counts[key] != 1 else ''}" for key in COUNTED if counts[key])


def _untested(line: str) -> str:
    return f"; not tested: {line}" if line else ""


def whence(domain: Document) -> str:
    """Where the sending addresses came from."""
    egress = domain["egress"]
    addresses = ", ".join(egress["addresses"])
    detail = f" ({egress['detail']})" if egress["detail"] else ""
    match egress["from"]:
        case "flags":
            return f"{addresses}, from the command line"
        case "configuration":
            return f"{addresses}, from the configuration{detail}"
        case "daemon" | "journal":
            return f"{addresses}, learned from delivered probes{detail}"
        case _:
            return f"not known: give them with --egress, or as inspect.domains.NAME.egress{detail}"


def standing(drifts: Sequence[Document]) -> list[Document]:
    return [drift for drift in drifts if drift["state"] in ("propagating", "standing")]


def providers(domains: Sequence[Document]) -> list[str]:
    """Those that any domain has an answer of."""
    there = {answer["profile"]: str(answer["name"]) for domain in domains for answer in domain["answers"]}
    return [there[profile] for profile in Profile if profile in there]


def worst_first(domains: Sequence[Document]) -> list[Document]:
    return sorted(domains, key=lambda domain: _ORDER.index(domain["verdict"]))


def lines_of_answers(domain: Document) -> Iterator[tuple[Document, str]]:
    """Each provider's answer and its style."""
    for answer in domain["answers"]:
        yield answer, "bold red" if answer["blocked_by"] else "yellow" if answer["unknown"] else "green"


def final_line(document: Document) -> str:
    """`AUDIT FAIL 3 domains: 1 fail, 2 pass; 2 critical, 1 warning; not tested: IP-* (give --egress)`."""
    counted, domains = document["counts"], document["domains"]
    verdicts = [row["verdict"] for row in domains]
    if document["wanted"] == 1 and len(domains) == 1:
        who = f"{safe(domains[0]['domain'])}: {safe(tally(domains[0]), LONGEST_TEXT)}"
    else:
        each = ", ".join(f"{verdicts.count(word)} {word}" for word in _ORDER if word in verdicts)
        bad = _counted(counted)
        who = f"{len(domains)} of {document['wanted']} domains" if len(domains) < document["wanted"] else f"{len(domains)} domains"
        who += f": {each}" if each else ""
        who += (f"; {bad}" if bad else "") + _untested(_untested_anywhere(domains))
    return f"AUDIT {document['verdict'].upper()} {who}"


def _untested_anywhere(domains: Sequence[Document]) -> str:
    from monitor.rules.inspect.untested import told  # noqa: PLC0415 - the checks bring cryptography with them

    lacking = {check for domain in domains for check in domain["untested"]["checks"]}
    return told([check for check in CheckId if check.value in lacking], CheckId)
