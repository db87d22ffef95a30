"""How a row is to be mended, in the words of the command: rules name keys of the configuration, which a comparison of two files has not."""

from __future__ import annotations

import re
import shlex

from monitor.cli.ledger.order import OPTIONS

_KEY = re.compile(r"`([a-z_]+): ?([^`]*)`")
_PAIR = re.compile(r"('(?:[^']|'')*'|[^,:{}']+): *('(?:[^']|'')*'|[^,}]+)")
_SEVERAL = frozenset({"columns", "statuses"})


def as_flags(mend: str, columns: str, option: str = "") -> str:
    """set `decimal: ","` -> give --decimal ,; `columns`: the flag that names them. `option`: the flag that sets one of OPTIONS for one of
    two files, where what is right for the one may be wrong for the other."""
    told = _KEY.sub(lambda found: _flag(found[1], found[2], columns, option), mend)
    return told if told == mend else re.sub(r"\bset (?=--)", "give ", told)


def _flag(key: str, value: str, columns: str, option: str) -> str:
    if option and key in OPTIONS:
        said = value.strip('"') or "VALUE"
        return f"{option} {key.replace('_', '-')}={shlex.quote(said)}"
    flag = columns if key == "columns" else f"--{key.replace('_', '-')}"
    if value in ("", "true"):
        return flag
    text = value.strip('"')
    if key in _SEVERAL:
        text = ",".join(f"{_bare(name)}={_bare(of)}" for name, of in _PAIR.findall(value))
    return f"{flag} {shlex.quote(text)}"


def _bare(written: str) -> str:
    """Without the quotes of YAML."""
    text = written.strip()
    return text[1:-1].replace("''", "'") if text.startswith("'") else text
