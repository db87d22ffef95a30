"""Authentication-Results (RFC 8601), read tolerantly: what the receiver said of SPF, DKIM and DMARC.

Whose word counts. An entry of the trusted list is an authserv-id (`mx.google.com`), a pattern for a farm of hosts (`*.mail.yahoo.com`), or
`*`: the topmost header, whatever it calls itself, even nothing. Outlook names no authserv-id, so it needs `*`; that is safe only at a
receiver that adds such a header to every message, because senders can write the ones below.

Which word counts. For each method the topmost trusted header that reports it wins, so what a sender forged loses to what the receiver
put above; a lower trusted header only adds methods that no higher one reports (OpenDKIM and OpenDMARC write one header each; section 5
obliges the receiver to remove what strangers wrote in its name). Within a header: dkim is pass if any signature passes, else the first
one reported; spf is the result for smtp.mailfrom if there is one, else the first; dmarc is the first. Words from before RFC 8601 are
translated; a result that is no such word is not a report.

Whose name. A pass says only that *some* domain sent the mail. `vouching` asks about one domain, the author's: of each method only results
for an aligned domain count (RFC 9989: header.d, smtp.mailfrom, header.from), and one that names no domain counts for none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from monitor.model.mail import UNSAID, Authentication, AuthResult

MAX_HEADERS = 20
MAX_LENGTH = 16 * 1024
_MAX_RESULTS = 100
_MAX_COMMENT = 2000  # characters of a comment or a quoted string; a longer one counts as never closed

_COMMENT_MARK = re.compile(r"\\.|[()]", re.DOTALL)
_STRING_MARK = re.compile(r'\\.|"', re.DOTALL)
_RESULT = re.compile(r"\s*([A-Za-z][A-Za-z0-9_-]*)(?:\s*/\s*[0-9]+)?\s*=\s*([A-Za-z]+)\b(.*)", re.DOTALL)


def _property(name: str) -> re.Pattern[str]:
    # Only at the start of a word: header.i and smtp.mailfrom bear what the sender wrote, and a local part may contain header.d=.
    return re.compile(rf"(?<!\S){name}\s*=\s*([^\s;]*)", re.IGNORECASE)


_MAILFROM = _property(r"smtp\s*\.\s*mail(?:from)?")
_NAMES = {  # where a method names the domain that it speaks of, the best first
    "spf": (_MAILFROM,),
    "dkim": (_property(r"header\s*\.\s*d"), _property(r"header\s*\.\s*i")),
    "dmarc": (_property(r"header\s*\.\s*from"),),
}
_AUTHSERV_ID = re.compile(r"\s*(\"\"|[^\s=;]+)\s*(?:[0-9]+\s*)?\Z")
_SPELLED = {result.value: result for result in AuthResult if result is not AuthResult.ABSENT} | {
    "hardfail": AuthResult.FAIL,
    "bestguesspass": AuthResult.NONE,  # Outlook: there is no DMARC record, but there could be a good one
    "error": AuthResult.TEMPERROR,
    "unknown": AuthResult.PERMERROR,
}


@dataclass(frozen=True, slots=True)
class Header:
    """One header: who speaks (empty if it does not say) and (method, result, the rest of the clause) in order."""

    authserv_id: str
    results: tuple[tuple[str, AuthResult, str], ...]

    def of(self, method: str) -> AuthResult | None:
        reported = [(result, rest) for name, result, rest in self.results if name == method]
        if not reported:
            return None
        if method == "dkim" and any(result is AuthResult.PASS for result, _ in reported):
            return AuthResult.PASS
        if method == "spf":
            return next((result for result, rest in reported if _MAILFROM.search(rest)), reported[0][0])
        return reported[0][0]

    def about(self, method: str, domain: str) -> AuthResult | None:
        """What is said of this domain or one aligned with it: pass if anything passes, else the first; ABSENT if only of others."""
        reported = [(result, rest) for name, result, rest in self.results if name == method]
        if not reported:
            return None
        said = [result for result, rest in reported if aligned(_named(method, rest), domain)]
        return AuthResult.PASS if AuthResult.PASS in said else said[0] if said else AuthResult.ABSENT


def authentication(headers: Sequence[str], trusted: Sequence[str]) -> Authentication:
    """The results that the trusted headers report; `headers` are the values of Authentication-Results, topmost first."""
    believed = _believed(headers, trusted)
    if not believed:
        return UNSAID
    spf, dkim, dmarc = (_first(header.of(method) for header in believed) for method in ("spf", "dkim", "dmarc"))
    return Authentication(spf, dkim, dmarc, believed[0].authserv_id)


def vouching(headers: Sequence[str], trusted: Sequence[str], domain: str) -> Authentication:
    """The same, but only as far as the results speak of `domain`: a stranger's own signature is ABSENT here."""
    believed = _believed(headers, trusted)
    if not believed:
        return UNSAID
    spf, dkim, dmarc = (_first(header.about(method, domain) for header in believed) for method in ("spf", "dkim", "dmarc"))
    return Authentication(spf, dkim, dmarc, believed[0].authserv_id)


def aligned(one: str, other: str) -> bool:
    """Relaxed alignment (RFC 9989) without a list of public suffixes: the same domain, or one lies below the other. A name of one label
    is a registry's."""
    one, other = one.lower().rstrip("."), other.lower().rstrip(".")
    short, long = sorted((one, other), key=len)
    return "." in short and (short == long or long.endswith("." + short))


def parse(value: str) -> Header:
    """One header; whatever cannot be parsed is left out, the rest counts."""
    clauses = list(islice(_clauses(value[:MAX_LENGTH]), _MAX_RESULTS))
    named = None if not clauses or _RESULT.match(clauses[0][0]) else _AUTHSERV_ID.match(clauses[0][0])
    authserv_id = (clauses[0][1] if named[1] == '""' else named[1]) if named else ""
    results = []
    for clause, _ in clauses[1:] if named else clauses:
        parsed = _RESULT.match(clause)
        if parsed and (result := _SPELLED.get(parsed[2].lower())):
            results.append((parsed[1].lower(), result, parsed[3]))
    return Header(authserv_id, tuple(results))


def _believed(headers: Sequence[str], trusted: Sequence[str]) -> list[Header]:
    believed = []
    for position, value in enumerate(headers[:MAX_HEADERS]):
        header = parse(value)
        if any(_covers(entry.strip().lower().rstrip("."), header.authserv_id.lower().rstrip("."), position) for entry in trusted):
            believed.append(header)
    return believed


def _first(results: Iterable[AuthResult | None]) -> AuthResult:
    """The topmost header that reports the method has the word, also when what it says is about somebody else."""
    return next((result for result in results if result is not None), AuthResult.ABSENT)


def _named(method: str, rest: str) -> str:
    """The domain that a result speaks of; empty when it says none."""
    for pattern in _NAMES[method]:
        if found := pattern.search(rest):
            return found[1].strip("<>").rpartition("@")[2]
    return ""


def _covers(entry: str, authserv_id: str, position: int) -> bool:
    if entry == "*":
        return position == 0
    if entry.startswith("*."):
        return authserv_id.endswith(entry[1:]) and len(authserv_id) > len(entry) - 1
    return bool(authserv_id) and entry == authserv_id


def _clauses(value: str) -> Iterator[tuple[str, str]]:
    """(text, content of the first quoted string) of the clauses between semicolons.

    Comments, which nest, become a space, and quoted strings `""`, so that nothing inside them reads as a result. One that is never
    closed ends at the next semicolon: the clauses after it still count.
    """
    start = 0
    while start <= len(value):
        end, kept, quoted = _clause(value, start)
        yield kept, quoted
        start = end + 1


def _clause(value: str, start: int) -> tuple[int, str, str]:
    """(where the clause from `start` ends, its text, its first quoted string)."""
    kept: list[str] = []
    quoted = ""
    at = start
    while at < len(value) and value[at] != ";":
        if value[at] == "(":
            closed = _end_of_comment(value, at)
        elif value[at] == '"':
            closed = _end_of_string(value, at)
            if closed >= 0:
                kept.append('""')
                quoted = quoted or value[at + 1 : closed - 1]
        else:
            kept.append(value[at])
            at += 1
            continue
        if closed < 0:
            semicolon = value.find(";", at)
            return (semicolon if semicolon >= 0 else len(value)), "".join(kept), quoted
        kept.append(" ")
        at = closed
    return at, "".join(kept), quoted


def _end_of_comment(value: str, at: int) -> int:
    depth = 0
    for found in _COMMENT_MARK.finditer(value, at, at + _MAX_COMMENT):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth == 0:
            return found.end()
    return -1


def _end_of_string(value: str, at: int) -> int:
    for found in _STRING_MARK.finditer(value, at + 1, at + _MAX_COMMENT):
        if found[0] == '"':
            return found.end()
    return -1
