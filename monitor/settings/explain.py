"""pydantic's errors -> what is wrong and how to mend it, in our words."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from monitor.settings.document import NOTHING
from monitor.settings.faults import KeyPath
from monitor.settings.scalars import NO_VALUE_MEND, closest
from monitor.settings.section import Section
from monitor.settings.shape import Settings

_OF_KINDS: dict[KeyPath, str] = {  # mappings whose members have a `kind`, which pydantic puts into their place
    ("paths",): "kind: smtp, kind: http or kind: command",
    ("notify", "channels"): "kind: webhook, kind: alertmanager, kind: pagerduty, kind: slack or kind: apprise",
    ("ledger", "refunds"): "kind: files, kind: sql or kind: push",
    ("ledger", "confirmations"): "kind: mailbox, kind: postfix, kind: files, kind: sql or kind: push",
}
_LISTED = 16  # keys named in a mend at most


def explain(error: ValidationError, data: Mapping[str, Any], root: type[Section] = Settings) -> Iterator[tuple[KeyPath, str, str]]:
    """(path, what, mend) for each error of a file whose whole is `root`."""
    errors = error.errors(include_url=False, include_input=True)
    unknown = [_path("", one["loc"]) for one in errors if one["type"] == "extra_forbidden"]
    misspelt = {(*path[:-1], _guess(path, data, root)) for path in unknown}
    for one in errors:
        path = _path(one["type"], one["loc"])
        if one["type"] == "missing" and path in misspelt:
            continue  # it is there, under another name
        if one["type"] == "too_short" and one["input"]:
            continue  # pydantic counts the good members only
        if one["type"] == "setting":
            path += one["ctx"]["below"]
        what, mend = _words(one["type"], one.get("ctx", {}), one["msg"], path, one["input"], data, root)
        yield path, what, mend


def _path(kind: str, loc: tuple[str | int, ...]) -> KeyPath:
    """Without what is pydantic's own: the kind of a path and the mark of a bad key."""
    parts = list(loc)
    if kind == "setting" and loc[-1] == "[key]":
        parts.pop()
    for above in _OF_KINDS:
        if tuple(parts[: len(above)]) == above and len(parts) > len(above) + 1:
            del parts[len(above) + 1]
    return tuple(parts)


def _words(
    kind: str, context: Mapping[str, Any], message: str, path: KeyPath, value: object, data: Mapping[str, Any], root: type[Section]
) -> tuple[str, str]:
    if value is NOTHING and kind not in {"extra_forbidden", "setting"}:
        return "has no value", NO_VALUE_MEND
    match kind:
        case "setting":
            return str(context["what"]), str(context["mend"])
        case "extra_forbidden":
            return "unknown key", _unknown(path, data, root)
        case "missing":
            return "is missing", f"write {path[-1]}: {_example(path, data, root)}"
        case "union_tag_not_found" if not isinstance(value, dict):
            return f"is {_kind_of(value)} where a mapping is wanted", "write `key: value` lines below it"
        case "union_tag_not_found":
            return "kind is missing", f"write {_kinds(path)}"
        case "union_tag_invalid" | "literal_error":
            return "kind is not one of the known words", f"write {_kinds(path)}"
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"is {_kind_of(value)} where a mapping is wanted", "write `key: value` lines below it"
        case "tuple_type":
            return f"is {_kind_of(value)} where a list is wanted", "write [one, two]"
        case "too_short":
            return "is empty", "write at least one or remove the key"
        case _:  # pydantic's message names the rule, not the value
            return f"is refused: {message}", "see config/mailcanary.schema.json"


def _kinds(path: KeyPath) -> str:
    return next(words for above, words in _OF_KINDS.items() if path[: len(above)] == above)


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    return "text" if isinstance(value, str) else "a list" if isinstance(value, list) else "a mapping"


def _guess(path: KeyPath, data: Mapping[str, Any], root: type[Section]) -> str | None:
    """The key that was probably meant."""
    section = _section(path[:-1], data, root)
    return closest(str(path[-1]), section.model_fields) if section else None


def _unknown(path: KeyPath, data: Mapping[str, Any], root: type[Section]) -> str:
    key = str(path[-1])
    section = _section(path[:-1], data, root)
    if key == "<<":
        return "merge keys are not read; write the keys out or alias a whole value"
    if section is None:
        return "remove it"
    near = _guess(path, data, root)
    if near:
        return f"did you mean {near}?"
    for name, info in section.model_fields.items():
        below = _model(info.annotation)
        if below is not None and key in below.model_fields:
            return f"write it under {name}:"
    if key in root.model_fields:
        return "write it at the top level"
    return "remove it; known here: " + ", ".join(list(section.model_fields)[:_LISTED])


def _example(path: KeyPath, data: Mapping[str, Any], root: type[Section]) -> str:
    section = _section(path[:-1], data, root)
    info = section.model_fields.get(str(path[-1])) if section else None
    extra = info.json_schema_extra if info else None
    return str(extra.get("x-example", "...")) if isinstance(extra, dict) else "..."


def _section(path: KeyPath, data: Mapping[str, Any], root: type[Section]) -> type[Section] | None:
    """The model of the mapping at this path."""
    section: type[Section] | None = root
    value: Any = data
    members: Any = None  # the type of what a dict or list holds, when the last part of the path named one
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            value = None
        if members is not None:
            annotation, members = members, None
        elif section is not None and part in section.model_fields:
            annotation = section.model_fields[str(part)].annotation
        else:
            return None
        section = _model(annotation, value)
        members = None if section else _members(annotation)
    return section


def _strip(annotation: Any) -> Iterator[Any]:
    """The alternatives of an annotation, without Annotated and None."""
    if get_origin(annotation) is Annotated:
        yield from _strip(get_args(annotation)[0])
    elif get_origin(annotation) in {Union, types.UnionType}:
        for alternative in get_args(annotation):
            yield from _strip(alternative)
    elif annotation is not type(None):
        yield annotation


def _model(annotation: Any, value: object = None) -> type[Section] | None:
    """The section that the annotation stands for; of several, the one of the value's `kind`."""
    models = [one for one in _strip(annotation) if isinstance(one, type) and issubclass(one, BaseModel)]
    if len(models) > 1 and isinstance(value, Mapping):
        models = [one for one in models if value.get("kind") in get_args(one.model_fields["kind"].annotation)]
    return models[0] if len(models) == 1 and issubclass(models[0], Section) else None


def _members(annotation: Any) -> Any:
    for one in _strip(annotation):
        if get_origin(one) is dict:
            return get_args(one)[1]
        if get_origin(one) is tuple:
            return get_args(one)[0]
    return None
