"""The shop's own query: whether it is one that reads, and how its parameters are spelled."""

from __future__ import annotations

import re
from dataclasses import dataclass

# what is no code: literals, quoted names, comments
_QUIET = re.compile(r"""'(?:[^']|'')*'|"[^"]*"|`[^`]*`|--[^\n]*|/\*.*?\*/""", re.DOTALL)
_PARAMETER = re.compile(r"(?<![:\w\\]):(?!:)([A-Za-z_]\w*)")
_COLON = re.compile(r"(?<!\\):")
_CAST = re.compile(r"(?<![:\w\\]):(watermark|limit)(?=::)")
_READS = re.compile(r"[\s(]*(?:select|with)\b", re.IGNORECASE)
_BOUNDED = re.compile(
    r"\b(?:limit\s+\d[\d\s,]*(?:offset\s+\d+\s*)?|fetch\s+(?:first|next)\s+(?:\d+\s+)?rows?\s+\w+(?:\s+ties)?)\s*\Z", re.IGNORECASE
)
_KNOWN = frozenset({"watermark", "limit"})


@dataclass(frozen=True, slots=True)
class Query:
    """One SELECT. `text` is for SQLAlchemy: colons that begin no parameter are escaped. `limited`: it takes :limit."""

    text: str
    limited: bool


class QueryError(Exception):
    """A query that is not to be asked."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(f"{what}; {mend}")
        self.what = what
        self.mend = mend


def prepare(written: str) -> Query:
    """Raises QueryError for what is not one SELECT with :watermark, or would hold rows back without our knowing."""
    text = written.strip().rstrip("; \t\r\n")
    code = _QUIET.sub(" ", text)
    if not _READS.match(code):
        raise QueryError("the query is no SELECT", "write one query that begins with SELECT or WITH; it must only read")
    if ";" in code:
        raise QueryError("the query has several statements", "write one SELECT")
    named = set(_PARAMETER.findall(code))
    if "watermark" not in named:
        raise QueryError("the query lacks :watermark", "add WHERE updated_at >= :watermark ORDER BY updated_at")
    if unknown := sorted(named - _KNOWN):
        raise QueryError(
            f"the query has the parameter :{unknown[0]}", "only :watermark and :limit are known; write \\: for a colon that is none"
        )
    if _BOUNDED.search(code):
        raise QueryError(
            "the query takes a fixed number of rows, so nobody knows whether it shows all", "write LIMIT :limit, or leave it out"
        )
    return Query(_spelled(text), "limit" in named)


def _spelled(text: str) -> str:
    """SQLAlchemy looks for parameters in literals and comments too, and knows none that a cast (::) follows."""
    parts: list[str] = []
    done = 0
    for quiet in _QUIET.finditer(text):
        parts += [_CAST.sub(r":\1 ", text[done : quiet.start()]), _COLON.sub(r"\\:", quiet[0])]
        done = quiet.end()
    return "".join([*parts, _CAST.sub(r":\1 ", text[done:])])
