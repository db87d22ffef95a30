"""Text that a peer or a person had a hand in, made fit for every form of a gate: masked, escaped, bounded, and no command to a pipeline."""

from __future__ import annotations

import re

from monitor.rules.plain import plain

LONGEST_NAME = 100
LONGEST_DEPLOY = 400  # as long as one may be: people look it up by what they read
LONGEST_REASON = 300
LONGEST_TEXT = 300
CUT = "..."
# A runner obeys `::name args::` where a line begins with it, and lines are wrapped; the older `##[name]`, and
# `##vso[name]` and its like of other runners, anywhere in a line.
_COMMAND = re.compile(r"::(?=[A-Za-z][\w-]*(?: [^\n]*?)?::)|##(?=[\w.-]{0,40}\[)")
_NUMBER = re.compile(r"(?<![^\W_])rf[-_]?\d[\d_-]{3,}", re.I)  # while what stands before it is not escaped, and part of a word, yet
_BROKEN = re.compile(r"[^\s<>()\[\],;:]*\Z")  # what stood before a cut may be half of an address or of a refund number


def safe(text: object, most: int = LONGEST_TEXT) -> str:
    """At most `most` characters of one line. Safe again gives the same."""
    whole = str(text)
    if len(whole) > 8 * most:
        whole = _BROKEN.sub("", whole[: 8 * most]) + CUT
    shown = _COMMAND.sub(lambda found: " ".join(found.group()), plain(_NUMBER.sub("RF-***", whole)))
    return shown if len(shown) <= most else shown[: most - len(CUT)].rstrip() + CUT
