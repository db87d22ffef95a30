"""The results of a domain as people read them: those of one check together, what to do once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from monitor.model.checks import Profile
from monitor.surface.audit.document import LONGEST_TEXT, Document
from monitor.surface.gate.safe import safe

BAD = ("fail", "warn")
SUSPECT = ("critical", "error")
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
    """`2 critical, 1 warning; 4 could not be seen`."""
    if domain["fault"]:
        return f"a fault of our own: {domain['fault']}"
    if domain["blind"]:
        return f"cannot see: {domain['blind']}"
    counted = domain["counts"]
    parts = [
        _many(counted[key], key, "s" if key in ("error", "warning") else "") for key in ("critical", "error", "warning") if counted[key]
    ]
    unseen = f"; {counted['unknown']} could not be seen" if counted["unknown"] else ""
    gone = "" if domain["exists"] else "the domain does not exist; "
    tested = any(counted[key] for key in ("pass", "info"))
    return gone + (", ".join(parts) or ("nothing wrong was found" if tested else "nothing could be tested")) + unseen


def _many(count: int, word: str, ending: str) -> str:
    return f"{count} {word}{ending if count != 1 else ''}"


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
    """`AUDIT FAIL 3 domains: 1 fail, 2 pass; 2 critical, 1 warning`."""
    counted, domains = document["counts"], document["domains"]
    verdicts = [row["verdict"] for row in domains]
    if document["wanted"] == 1 and len(domains) == 1:
        who = f"{safe(domains[0]['domain'])}: {safe(tally(domains[0]), LONGEST_TEXT)}"
    else:
        each = ", ".join(f"{verdicts.count(word)} {word}" for word in ("fail", "inconclusive", "pass") if word in verdicts)
        bad = ", ".join(f"{counted[word]} {word}" for word in ("critical", "error", "warning") if counted.get(word))
        who = f"{len(domains)} of {document['wanted']} domains" if len(domains) < document["wanted"] else f"{len(domains)} domains"
        who += f": {each}" if each else ""
        who += f"; {bad}" if bad else ""
    return f"AUDIT {document['verdict'].upper()} {who}"
