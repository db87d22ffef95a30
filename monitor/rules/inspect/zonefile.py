"""Records as they are shown, and as lines of a zone file to publish (RFC 1035 section 5.1)."""

from __future__ import annotations

from monitor.rules.plain import one_line, plain

_LONGEST_STRING = 255  # octets of one character-string
_MOST_SHOWN = 500


def txt_line(name: str, text: str, ttl: int = 3600) -> str:
    """`_dmarc.shop.test. 3600 IN TXT "v=DMARC1; p=none"`; a long text in several strings, which readers join without a space."""
    escaped = [text[at : at + _LONGEST_STRING].replace("\\", "\\\\").replace('"', '\\"') for at in range(0, len(text), _LONGEST_STRING)]
    return f"{name}. {ttl} IN TXT " + " ".join(f'"{one_line(part)}"' for part in escaped or [""])


def shown(record: str) -> str:
    """A record as a report shows it: bounded, masked, on one line."""
    return plain(record[:_MOST_SHOWN]) + ("…" if len(record) > _MOST_SHOWN else "")
