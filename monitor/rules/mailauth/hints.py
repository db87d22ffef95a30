"""What spam filters wrote into the header of a delivered message. It corroborates the folder and never overrides it: senders can write
such fields too. Of each field the topmost counts; a value that leans nowhere gives no hint."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from monitor.model.mailauth import Leaning, PlacementHint
from monitor.rules.plain import plain

MAX_HINTS = 20
MAX_LENGTH = 4 * 1024  # characters of one field that are read
_MAX_DETAIL = 120

_GOOD_VERDICTS = frozenset({"NSPM", "SKN", "SKA", "SKI", "SKQ", "SFE"})  # X-Forefront-Antispam-Report, SFV
_BAD_VERDICTS = frozenset({"SPM", "SKS", "SKB", "BLK"})
_BAD_CATEGORIES = frozenset({"SPM", "HSPM", "OSPM", "PHSH", "HPHISH", "HPHSH", "SPOOF", "DIMP", "UIMP", "GIMP", "MALW", "AMP"})
_SPAM_SCL = 5  # Microsoft: 5 and 6 are spam, 8 and 9 surely
_BULK_BCL = 7
_QUIET_BCL = 3
_SPAM_STARS = 5  # SpamAssassin's required_score as it comes
_ADD_HEADER = 6.0  # rspamd's score for spam as it comes
_NUMBER = re.compile(r"\s*(-?[0-9]{1,3})(?![0-9])")
_SPAMD_RESULT = re.compile(r"[^:;\[\]]{0,80}:\s*(True|False)\s*\[\s*(-?[0-9]{1,4}(?:\.[0-9]{1,4})?)\s*/", re.IGNORECASE)
_SPAMMY_ACTIONS = frozenset({"add header", "rewrite subject", "soft reject", "reject", "quarantine"})

Reading = tuple[Leaning, str] | None


def placement_hints(fields: Sequence[tuple[str, str]]) -> tuple[PlacementHint, ...]:
    """`fields`: (name in lower case, unfolded value), topmost first."""
    found: dict[str, PlacementHint] = {}
    seen: set[str] = set()
    for name, value in fields:
        if name not in _READERS or name in seen:
            continue
        seen.add(name)
        label, reader = _READERS[name]
        if (read := reader(value[:MAX_LENGTH])) is not None:
            found[name] = PlacementHint(label, read[0], plain(read[1].strip()[:_MAX_DETAIL]))
        if len(found) >= MAX_HINTS:
            break
    return tuple(found.values())


def _forefront(value: str) -> Reading:
    tags = _tags(value)
    verdict, category, level = tags.get("SFV", "").upper(), tags.get("CAT", "").upper(), _number(tags.get("SCL", ""))
    shown = " ".join(f"{name}:{tags[name]}" for name in ("SFV", "SCL", "CAT") if tags.get(name))
    if verdict in _BAD_VERDICTS or category in _BAD_CATEGORIES or (level is not None and level >= _SPAM_SCL):
        return Leaning.SPAM, shown
    if category == "BULK":
        return Leaning.BULK, shown
    if verdict in _GOOD_VERDICTS or category == "NONE" or (level is not None and level <= 1):
        return Leaning.GOOD, shown
    return None


def _microsoft(value: str) -> Reading:
    level = _number(_tags(value).get("BCL", ""))
    if level is None or _QUIET_BCL < level < _BULK_BCL:
        return None
    return (Leaning.BULK if level >= _BULK_BCL else Leaning.GOOD), f"BCL:{level}"


def _confidence(value: str) -> Reading:
    level = _number(value)
    if level is None or 1 < level < _SPAM_SCL:
        return None
    return (Leaning.SPAM if level >= _SPAM_SCL else Leaning.GOOD), f"SCL:{level}"


def _filtered_bulk(value: str) -> Reading:
    return (Leaning.BULK, value) if value.strip() and value.strip().lower() not in ("no", "false", "0") else None


def _yes_or_no(value: str) -> Reading:
    word = re.match(r"\s*([A-Za-z]*)", value)
    match word[1].lower() if word else "":
        case "yes" | "true" | "spam":
            return Leaning.SPAM, value
        case "no" | "false" | "ham":
            return Leaning.GOOD, value
        case _:
            return None


def _stars(value: str) -> Reading:
    stars = len(value.strip()) - len(value.strip().lstrip("*+"))
    return (Leaning.SPAM, f"{stars} stars") if stars >= _SPAM_STARS else None


def _rspamd_result(value: str) -> Reading:
    found = _SPAMD_RESULT.match(value)
    if found is None:
        return None
    if found[1].lower() == "true":
        return Leaning.SPAM, found[0] + " ...]"
    return (Leaning.GOOD, found[0] + " ...]") if float(found[2]) < _ADD_HEADER else None


def _rspamd_action(value: str) -> Reading:
    action = value.strip().lower()
    if action in _SPAMMY_ACTIONS:
        return Leaning.SPAM, action
    return (Leaning.GOOD, action) if action in ("no action", "greylist") else None


def _gmx(value: str) -> Reading:
    level = _number(value)
    if level is None:
        return None
    return (Leaning.SPAM if level > 0 else Leaning.GOOD), value


def _gmx_results(value: str) -> Reading:
    word = value.partition(":")[0].strip().lower()
    if word == "junk":
        return Leaning.SPAM, word
    return (Leaning.GOOD, word) if word == "notjunk" else None


def _tags(value: str) -> Mapping[str, str]:
    """`NAME:value` between semicolons; the first of a name counts."""
    tags: dict[str, str] = {}
    for part in value.split(";", 100)[:100]:
        name, colon, text = part.partition(":")
        if colon:
            tags.setdefault(name.strip().upper(), text.strip())
    return tags


def _number(text: str) -> int | None:
    found = _NUMBER.match(text)
    return int(found[1]) if found else None


_READERS: Mapping[str, tuple[str, Callable[[str], Reading]]] = {
    "x-forefront-antispam-report": ("X-Forefront-Antispam-Report", _forefront),
    "x-microsoft-antispam": ("X-Microsoft-Antispam", _microsoft),
    "x-ms-exchange-organization-scl": ("X-MS-Exchange-Organization-SCL", _confidence),
    "x-yahoofilteredbulk": ("X-YahooFilteredBulk", _filtered_bulk),
    "x-spam-flag": ("X-Spam-Flag", _yes_or_no),
    "x-spam-status": ("X-Spam-Status", _yes_or_no),
    "x-spam-level": ("X-Spam-Level", _stars),
    "x-spam": ("X-Spam", _yes_or_no),
    "x-spamd-result": ("X-Spamd-Result", _rspamd_result),
    "x-rspamd-action": ("X-Rspamd-Action", _rspamd_action),
    "x-gmx-antispam": ("X-GMX-Antispam", _gmx),
    "x-ui-filterresults": ("X-UI-Filterresults", _gmx_results),
}
