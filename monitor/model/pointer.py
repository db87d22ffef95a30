"""JSON pointers (RFC 6901): how a configuration names a place in a document that others write."""

from __future__ import annotations

import re

_INDEX = re.compile(r"0|[1-9][0-9]{0,5}")


def text_at(document: object, pointer: str) -> str:
    """The text or number at this place, as it is; "" where there is none, or something else."""
    if pointer and not pointer.startswith("/"):
        return ""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and key in document:
            document = document[key]
        elif isinstance(document, list) and _INDEX.fullmatch(key) and int(key) < len(document):
            document = document[int(key)]
        else:
            return ""
    if isinstance(document, bool) or not isinstance(document, str | int | float):
        return ""
    return str(document)
