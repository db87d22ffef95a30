"""What a database server's error means for who reads from it: whether it may pass, and the mend. Pure; knows no library."""

from __future__ import annotations

import re
from dataclasses import dataclass

from monitor.edge.reply import clean, shapes

MAX_WORDS = 300

_QUERY = "mend the query; try it by hand with the same account"
_RIGHTS = "GRANT SELECT on the tables of the query to this account"
_LOGIN = "mend user and password in the secret of the url; it is read at each connection"
_WAIT = "it is asked again; look at the server"
_SLOW = "make the query quicker: an index on the watermark column, a smaller overlap"
_LOCKED = "somebody holds a lock on the table; it is asked again"
_READS = "the query must only read: write one SELECT"

# by the beginning of the SQLSTATE (PostgreSQL, appendix A): (transient, mend)
_SQLSTATES: dict[str, tuple[bool, str]] = {
    "25006": (False, _READS),
    "28": (False, _LOGIN),
    "3D": (False, "mend the database's name in the secret of the url"),
    "42501": (False, _RIGHTS),
    "42": (False, _QUERY),
    "22": (False, "a value does not fit: mend the query's casts, or start: of the source"),
    "57014": (True, _SLOW),
    "55P03": (True, _LOCKED),
    "0A": (False, _QUERY),
}
# MySQL and MariaDB, error numbers
_NUMBERS: dict[int, tuple[bool, str]] = {
    1044: (False, _RIGHTS),
    1045: (False, _LOGIN),
    1698: (False, _LOGIN),
    1049: (False, "mend the database's name in the secret of the url"),
    1054: (False, _QUERY),
    1064: (False, _QUERY),
    1142: (False, _RIGHTS),
    1143: (False, _RIGHTS),
    1146: (False, _QUERY),
    1292: (False, "a value does not fit: mend the query's casts, or start: of the source"),
    1290: (False, _READS),
    1792: (False, _READS),
    1205: (True, _LOCKED),
    1969: (True, _SLOW),
    3024: (True, _SLOW),
}
# what has no number: SQLite, and PostgreSQL before the login
_WORDS: tuple[tuple[str, bool, str], ...] = (
    ("authentication failed", False, _LOGIN),
    ("no password supplied", False, _LOGIN),
    ("no pg_hba.conf entry", False, "let this host and account in, in pg_hba.conf"),
    ("certificate verify failed", False, "name the right CA in the url: sslrootcert"),
    ("root certificate file", False, "name the right CA in the url: sslrootcert"),
    ("attempt to write a readonly database", False, _READS),
    ("database is locked", True, _LOCKED),
    ("interrupted", True, _SLOW),
    ("unable to open database file", True, "mend the path in the secret of the url, and let the file and its directory be read"),
    ("file is not a database", False, "mend the path in the secret of the url: it names no SQLite file"),
    ("malformed", False, "check the file with PRAGMA integrity_check"),
    ("no such", False, _QUERY),
    ("syntax error", False, _QUERY),
    ("incomplete input", False, _QUERY),
    ("unrecognized token", False, _QUERY),
)
# whose words hold values of rows: bad values (SQLSTATE class 22) and broken constraints (23)
_VALUE_STATES = ("22", "23")
_VALUE_NUMBERS = frozenset({1062, 1264, 1265, 1292, 1366, 1367, 1411, 1525, 1690})
_VALUE_KINDS = frozenset({"DataError", "IntegrityError"})  # PEP 249
_VALUE_WORDS = "could not decode"  # SQLite
_VALUES = re.compile(r"([\"'`(\u00bb\u00ab\u201e\u201c\u2018])(?:.*([\"'`)\u00bb\u00ab\u201c\u201d\u2019])|.*)")
_UNKNOWN_DATABASE = re.compile(r'database "[^"]*" does not exist')
_ADDRESS = re.compile(r"[^\s@<>\"'()]{1,200}@(?=[^\s@<>\"'()])")


@dataclass(frozen=True, slots=True)
class Meaning:
    detail: str  # what the server said, on one line, without secrets, addresses and values of rows
    transient: bool
    mend: str


def meaning(error: BaseException, hidden: tuple[str, ...]) -> Meaning:
    """Of a driver's error. `hidden`: what must not be repeated. Of several lines the first is shown: the others repeat the query."""
    number, text = _parts(error)
    first = next((line for line in text.splitlines() if line.strip()), "") or type(error).__name__
    if _holds_values(error, number, text):
        first = _VALUES.sub(lambda found: f"{found[1]}***{found[2] or ''}", first, count=1)
    shown = _ADDRESS.sub("***@", clean(first, shapes(*hidden), MAX_WORDS))
    transient, mend = _judged(str(getattr(error, "sqlstate", None) or ""), number, text)
    return Meaning(shown, transient, mend)


def _holds_values(error: BaseException, number: int, text: str) -> bool:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    state = str(getattr(error, "sqlstate", None) or "")
    return bool(
        state.startswith(_VALUE_STATES) or number in _VALUE_NUMBERS or kinds & _VALUE_KINDS or text.lower().startswith(_VALUE_WORDS)
    )


def _parts(error: BaseException) -> tuple[int, str]:
    """The number and the words: MySQL's drivers give both as arguments."""
    match error.args:
        case (int() as number, str() as text, *_):
            return number, text
        case _:
            return 0, str(error)


def _judged(sqlstate: str, number: int, text: str) -> tuple[bool, str]:
    if number:  # a driver of MySQL gives a SQLSTATE too, a coarser one
        return _NUMBERS.get(number, (True, _WAIT))
    for length in (5, 2):
        if found := _SQLSTATES.get(sqlstate[:length]):
            return found
    if _UNKNOWN_DATABASE.search(text):
        return False, "mend the database's name in the secret of the url"
    low = text.lower()
    return next(((transient, mend) for words, transient, mend in _WORDS if words in low), (True, _WAIT))
