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

What else is said: `said` adds the client's address and the envelope's domain as the trusted headers name them. Where they stand among the
Received fields matters too (section 5); that is known to receiver.py, which passes on only the headers that stand high enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from monitor.model.mail import UNSAID, Authentication, AuthResult
from monitor.rules.mailauth.trace import canonical

MAX_HEADERS = 20
MAX_LENGTH = 16 * 1024
_MAX_RESULTS = 100
_MAX_NAME = 255
_SPEAKS_OF_CLIENT = ("spf", "iprev", "arc", "sender-id", "x-iprev")
_MAX_COMMENT = 2000  # characters of a comment or a quoted string; a longer one counts as never closed

_COMMENT_MARK = re.compile(r"\\.|[()]", re.DOTALL)
_STRING_MARK = re.compile(r'\\.|"', re.DOTALL)
_RESULT = re.compile(r"\s*([A-Za-z][A-Za-z0-9_-]*)(?:\s*/\s*[0-9]+)?\s*=\s*([A-Za-z_]+)\b(.*)", re.DOTALL)


def _property(name: str) -> re.Pattern[str]:
    # Only at the start of a word: header.i and smtp.mailfrom bear what the sender wrote, and a local part may contain header.d=.
    return re.compile(rf"(?<!\S){name}\s*=\s*([^\s;]*)", re.IGNORECASE)


_MAILFROM = _property(r"smtp\s*\.\s*mail(?:from)?")
_NAMES = {  # where a method names the domain that it speaks of, the best first
    "spf": (_MAILFROM,),
    "dkim": (_property(r"header\s*\.\s*d"), _property(r"header\s*\.\s*i")),
    "dmarc": (_property(r"header\s*\.\s*from"),),
}
_ADDRESS = tuple(
    map(_property, (r"policy\s*\.\s*iprev", r"smtp\s*\.\s*remote-ip", r"(?:(?:smtp|policy)\s*\.\s*)?client-ip", r"smtp\s*\.\s*ip"))
)
_ADDRESS_IN_WORDS = re.compile(  # the receiver's own words; only in comments
    r"\bdesignates? ([^\s()]{2,45}) as permitted|(?<!\S)([^\s()]{2,45}) is neither permitted|\bsender ip is ([^\s()]{2,45})"
    r"|\bclient-ip=([^\s();]{2,45})|\b(?:ip|host)[:=]? ?\[([^\s()\]]{2,45})\]",
    re.IGNORECASE,
)
_ENVELOPE_IN_WORDS = re.compile(r"\benvelope-from=([^\s();]{1,320})", re.IGNORECASE)
_INSTANCE = re.compile(r"\s*i\s*=\s*([0-9]{1,3})\s*(?:;|\Z)", re.IGNORECASE)
_AUTHSERV_ID = re.compile(r"\s*(\"\"|[^\s=;]+)(?:\s+|\Z)(?:[0-9]+(?:\s+|\Z))?(.*)", re.DOTALL)
_SPELLED = {result.value: result for result in AuthResult if result is not AuthResult.ABSENT} | {
    "hardfail": AuthResult.FAIL,
    "bestguesspass": AuthResult.NONE,  # Outlook: there is no DMARC record, but there could be a good one
    "test": AuthResult.NEUTRAL,  # Outlook: verified, but the key is marked as a test (RFC 6376 section 3.6.1: as if unsigned)
    "timeout": AuthResult.TEMPERROR,
    "error": AuthResult.TEMPERROR,
    "temp_fail": AuthResult.TEMPERROR,  # Yahoo
    "perm_fail": AuthResult.PERMERROR,
    "invalid": AuthResult.PERMERROR,
    "unknown": AuthResult.PERMERROR,
}


@dataclass(frozen=True, slots=True)
class Header:
    """One header: who speaks (empty if it does not say) and (method, result, the rest of the clause) in order; `remarks`: the comments in
    the clause of each result, `quotes`: its quoted strings, which stand as `""` in the rest. `legible`: it has at least one report, of
    whatever method, or says `none`."""

    authserv_id: str
    results: tuple[tuple[str, AuthResult, str], ...]
    remarks: tuple[str, ...] = ()
    quotes: tuple[tuple[str, ...], ...] = ()
    legible: bool = True

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


@dataclass(frozen=True, slots=True)
class Said:
    """All that the Authentication-Results of one message say. `address`: the client's, canonical; `envelope`: the domain of smtp.mailfrom;
    both empty when no trusted header names them. `untrusted`: the authserv-ids (empty: none named) of headers that we do not trust."""

    auth: Authentication = UNSAID
    address: str = ""
    envelope: str = ""
    untrusted: tuple[str, ...] = ()
    unparsed: int = 0  # headers of which nothing could be read


def said(results: Sequence[str], trusted: Sequence[str]) -> Said:
    """`results`: the values of Authentication-Results that stand high enough to be the receiver's, topmost first."""
    headers = [parse(value) for value in results[:MAX_HEADERS]]
    believed = [header for position, header in enumerate(headers) if _is_trusted(header, position, trusted)]
    strangers = [header.authserv_id[:_MAX_NAME] for position, header in enumerate(headers) if not _is_trusted(header, position, trusted)]
    return Said(
        _together(believed) if believed else UNSAID,
        next((address for header in believed if (address := _client_address(header))), ""),
        next((domain for header in believed if (domain := _envelope(header))), ""),
        tuple(dict.fromkeys(strangers)),
        sum(not header.legible for header in headers),
    )


def arc_results(value: str) -> tuple[int, Header]:
    """(instance, the results) of an ARC-Authentication-Results (RFC 8617 section 4.1.1); instance 0 where it has none."""
    value = value[:MAX_LENGTH]
    leading = _INSTANCE.match(value)
    return (int(leading[1]), parse(value[leading.end() :])) if leading else (0, parse(value))


def _together(believed: Sequence[Header]) -> Authentication:
    spf, dkim, dmarc = (_first(header.of(method) for header in believed) for method in ("spf", "dkim", "dmarc"))
    return Authentication(spf, dkim, dmarc, believed[0].authserv_id)


def of_header(header: Header, trusted: Sequence[str]) -> Authentication:
    """What one header says, if it is trusted."""
    if not _is_trusted(header, 0, trusted):
        return UNSAID
    return _together([header])


def authentication(headers: Sequence[str], trusted: Sequence[str]) -> Authentication:
    """The results that the trusted headers report; `headers` are the values of Authentication-Results, topmost first."""
    return said(headers, trusted).auth


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
    authserv_id = _authserv_id(clauses)
    results, remarks, quotes, legible = [], [], [], False
    for clause in clauses:
        parsed = _RESULT.match(clause.text)
        legible = legible or parsed is not None or clause.text.strip().lower() == "none"
        if parsed and (result := _SPELLED.get(parsed[2].lower())):
            results.append((parsed[1].lower(), result, parsed[3]))
            remarks.append(clause.remark)
            quotes.append(tuple(clause.quotes))
    return Header(authserv_id, tuple(results), tuple(remarks), tuple(quotes), legible)


def _authserv_id(clauses: list[_Clause]) -> str:
    """Takes it out of the first clause; what follows it without a semicolon (`host from=shop.example; dkim=pass`) stays. Empty when the
    first clause is a result already."""
    if not clauses or _RESULT.match(clauses[0].text) or not (named := _AUTHSERV_ID.match(clauses[0].text)):
        return ""
    quoted = clauses[0].quotes.pop(0) if named[1] == '""' else ""
    clauses[0].text = named[2]
    return quoted or named[1].strip('"')


def _believed(headers: Sequence[str], trusted: Sequence[str]) -> list[Header]:
    believed = []
    for position, value in enumerate(headers[:MAX_HEADERS]):
        header = parse(value)
        if _is_trusted(header, position, trusted):
            believed.append(header)
    return believed


def _is_trusted(header: Header, position: int, trusted: Sequence[str]) -> bool:
    return any(_covers(entry.strip().lower().rstrip("."), header.authserv_id.lower().rstrip("."), position) for entry in trusted)


def _client_address(header: Header) -> str:
    """A property before words; of words the last, because what the sender wrote (its address) stands before the receiver's."""
    for (method, _, rest), remark, quotes in zip(header.results, header.remarks, header.quotes, strict=True):
        if method not in _SPEAKS_OF_CLIENT:
            continue
        for pattern in _ADDRESS:
            if address := canonical(_value(pattern, rest, quotes)):
                return address
        for words in reversed(list(_ADDRESS_IN_WORDS.finditer(remark))):
            if address := canonical(next(group for group in words.groups() if group)):
                return address
    return ""


def _envelope(header: Header) -> str:
    for (method, _, rest), remark, quotes in zip(header.results, header.remarks, header.quotes, strict=True):
        if method != "spf":
            continue
        in_words = _ENVELOPE_IN_WORDS.search(remark)
        if named := _value(_MAILFROM, rest, quotes) or (in_words[1] if in_words else ""):
            return named.strip("<>\"'").rpartition("@")[2].lower().rstrip(".")[:_MAX_NAME]
    return ""


def _value(pattern: re.Pattern[str], rest: str, quotes: Sequence[str]) -> str:
    """The value of a property, also where it is a quoted string."""
    found = pattern.search(rest)
    if found is None:
        return ""
    if found[1] != '""':
        return found[1]
    position = rest.count('""', 0, found.start(1))
    return quotes[position] if position < len(quotes) else ""


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


@dataclass(slots=True)
class _Clause:
    """`remark`: its comments, as they stand; `quotes`: the contents of its quoted strings, which are `""` in `text`."""

    text: str
    remark: str
    quotes: list[str]


def _clauses(value: str) -> Iterator[_Clause]:
    """The clauses between semicolons.

    Comments, which nest, become a space, and quoted strings `""`, so that nothing inside them reads as a result. One that is never
    closed ends at the next semicolon: the clauses after it still count.
    """
    start = 0
    while start <= len(value):
        end, clause = _clause(value, start)
        yield clause
        start = end + 1


def _clause(value: str, start: int) -> tuple[int, _Clause]:
    """(where the clause from `start` ends, the clause)."""
    kept: list[str] = []
    remarks: list[str] = []
    quotes: list[str] = []
    at = start
    while at < len(value) and value[at] != ";":
        if value[at] == "(":
            closed = _end_of_comment(value, at)
            if closed >= 0:
                kept.append(" ")
                remarks.append(value[at + 1 : closed - 1])
        elif value[at] == '"':
            closed = _end_of_string(value, at)
            if closed >= 0:
                kept.append('""')
                quotes.append(value[at + 1 : closed - 1])
        else:
            kept.append(value[at])
            at += 1
            continue
        if closed < 0:
            semicolon = value.find(";", at)
            return (semicolon if semicolon >= 0 else len(value)), _Clause("".join(kept), " ".join(remarks), quotes)
        at = closed
    return at, _Clause("".join(kept), " ".join(remarks), quotes)


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
