"""YAML text -> plain values with places. A small, strict part of YAML 1.2: no tags, no merge keys, and of plain scalars only
`true`, `false`, `null`, `~`, decimal whole numbers and `1.5` are anything but text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from monitor.settings.faults import KeyPath

TAG, TAG_MEND = "has a YAML tag (!...)", "remove the tag, or put text that begins with ! in quotes"
MAX_BYTES = 1 << 20
MAX_DEPTH = 24
MAX_NODES = 100_000  # after the aliases are expanded

_INT = re.compile(r"-?(0|[1-9][0-9]{0,17})\Z")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]{0,14})\.[0-9]{1,12}\Z")


class Nothing:
    """A key without a value; it may mean the default or nothing, so it is refused wherever it is not JSON's null."""


NOTHING = Nothing()


class Plain(str):
    """Text that was written without quotes; another YAML reader may take it for something else."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Line and column, from 1."""

    line: int
    column: int


class DocumentError(Exception):
    """The text is no document that we read; there is no more to say about it."""

    def __init__(self, what: str, mend: str, place: Place | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend
        self.place = place


@dataclass(frozen=True, slots=True)
class Twice:
    """A key that stands twice in one mapping."""

    path: KeyPath
    place: Place
    first: Place


@dataclass(slots=True)
class Document:
    """The values, and where each key stands."""

    data: dict[str, Any]
    places: dict[KeyPath, Place]
    twice: tuple[Twice, ...] = ()

    def place(self, path: KeyPath) -> Place:
        """Where the key stands, or the nearest one above it."""
        while path not in self.places:
            path = path[:-1]
        return self.places[path]


@dataclass(slots=True)
class _Node:
    """A value; `weight` counts its nodes and `height` its levels, aliases expanded."""

    place: Place
    value: Any  # a scalar, list[_Node], or dict[str, tuple[Place, _Node]]
    weight: int = 1
    height: int = 1


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read."""

    node: _Node
    path: KeyPath
    anchor: str | None
    key: tuple[str, Place] | None = None  # of a mapping: read, its value is next
    first: dict[str, Place] = field(default_factory=dict)

    def next_path(self) -> KeyPath:
        if isinstance(self.node.value, list):
            return (*self.path, len(self.node.value))
        return (*self.path, self.key[0]) if self.key else self.path


def read(blob: bytes) -> Document:
    """Parse; raises DocumentError for anything that stops the reading. A key that stands twice does not."""
    if len(blob) > MAX_BYTES:
        raise DocumentError(f"is larger than {MAX_BYTES >> 20} MiB", "is this the right file?")
    try:
        text = blob.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = blob.count(b"\n", 0, error.start) + 1
        raise DocumentError("is not UTF-8", "save the file as UTF-8", Place(line, 1)) from None
    composer = _Composer()
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            composer.take(event)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(before.count("\n") + 1, error.position - before.rfind("\n"))
        raise DocumentError("holds a control character", "remove it; only printable text, line ends and spaces", place) from None
    except yaml.MarkedYAMLError as error:
        raise _syntax(error) from None
    except (yaml.YAMLError, ValueError, OverflowError):  # PyYAML lets the last two escape for escapes above U+10FFFF
        raise DocumentError("is no YAML", "check the escapes in double quotes", composer.last) from None
    root = composer.root
    if root is None or root.value is NOTHING:
        raise DocumentError("is empty", "start from config/mailcanary.yaml", Place(1, 1))
    if not isinstance(root.value, dict):
        raise DocumentError("is no mapping", "write `key: value` lines; start from config/mailcanary.yaml", root.place)
    places: dict[KeyPath, Place] = {}
    data = _expand(root, (), Place(1, 1), places)
    return Document(data, places, tuple(composer.twice))


def _expand(node: _Node, path: KeyPath, place: Place, places: dict[KeyPath, Place]) -> Any:
    places[path] = place
    if isinstance(node.value, dict):
        return {key: _expand(child, (*path, key), where, places) for key, (where, child) in node.value.items()}
    if isinstance(node.value, list):
        return [_expand(child, (*path, i), child.place, places) for i, child in enumerate(node.value)]
    return node.value


def scalar(text: str, plain: bool) -> Any:
    """The value of a scalar; all that is not written in exactly one way stays text."""
    if not plain:
        return text
    if text in {"", "~", "null"}:
        return NOTHING
    if text in {"true", "false"}:
        return text == "true"
    if _INT.match(text):
        return int(text)
    if _FLOAT.match(text):
        return float(text)
    return Plain(text)


class _Composer:
    """Events -> nodes, without recursion and within the bounds."""

    def __init__(self) -> None:
        self.root: _Node | None = None
        self.twice: list[Twice] = []
        self.last = Place(1, 1)
        self._open: list[_Open] = []
        self._anchors: dict[str, _Node] = {}
        self._nodes = 0
        self._steps: dict[type[yaml.Event], Callable[[Any], None]] = {
            yaml.DocumentStartEvent: self._document,
            yaml.AliasEvent: self._alias,
            yaml.ScalarEvent: self._scalar,
            yaml.SequenceStartEvent: lambda event: self._start(event, []),
            yaml.MappingStartEvent: lambda event: self._start(event, {}),
            yaml.SequenceEndEvent: lambda _event: self._end(),
            yaml.MappingEndEvent: lambda _event: self._end(),
        }

    def take(self, event: yaml.Event) -> None:
        mark = event.start_mark
        if mark is not None:
            self.last = Place(mark.line + 1, mark.column + 1)
        step = self._steps.get(type(event))
        if step is not None:
            step(event)

    def _refuse(self, what: str, mend: str) -> NoReturn:
        raise DocumentError(what, mend, self.last)

    def _document(self, _event: yaml.Event) -> None:
        if self.root is not None:
            self._refuse("is a second document in one file", "remove the `---` line and what follows")

    def _node(self, event: Any, value: Any) -> _Node:
        if event.tag is not None:
            self._refuse(TAG, TAG_MEND)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._refuse(f"holds more than {MAX_NODES} values", "is this the right file?")
        return _Node(self.last, value)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if any("\ud800" <= c <= "\udfff" for c in event.value):
            self._refuse("holds half a surrogate pair", "write the character itself")
        top = self._open[-1] if self._open else None
        if top is not None and isinstance(top.node.value, dict) and top.key is None:
            self._node(event, None)
            if event.anchor is not None:
                self._refuse("has an anchor (&...) on a key", "put the anchor on the value, or text that begins with & in quotes")
            top.key = (event.value, self.last)
            return
        plain = event.style is None
        node = self._node(event, scalar(event.value, plain))
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        self._place(node)

    def _start(self, event: Any, value: Any) -> None:
        node = self._node(event, value)
        if len(self._open) >= MAX_DEPTH:
            self._refuse(f"is nested deeper than {MAX_DEPTH} levels", "is this the right file?")
        path: KeyPath = ()
        if self._open:
            if self._open[-1].key is None and isinstance(self._open[-1].node.value, dict):
                self._refuse("has a mapping or list for a key", 'put a Jinja value in quotes: "{{ amount }}"')
            path = self._open[-1].next_path()
        self._open.append(_Open(node, path, event.anchor))

    def _end(self) -> None:
        done = self._open.pop()
        children = done.node.value if isinstance(done.node.value, list) else [child for _, child in done.node.value.values()]
        done.node.weight = 1 + sum(child.weight for child in children)
        done.node.height = 1 + max((child.height for child in children), default=0)
        if done.node.weight > MAX_NODES or done.node.height > MAX_DEPTH:
            self.last = done.node.place
            self._refuse(f"grows by its aliases beyond {MAX_NODES} values or {MAX_DEPTH} levels", "write the values out")
        if done.anchor is not None:
            self._anchors[done.anchor] = done.node
        self._place(done.node)

    def _alias(self, event: yaml.AliasEvent) -> None:
        node = self._anchors.get(event.anchor or "")
        if node is None:
            self._refuse("has an alias (*...) without an anchor before it", "put text that begins with * in quotes")
        if self._open and self._open[-1].key is None and isinstance(self._open[-1].node.value, dict):
            self._refuse("has an alias (*...) for a key", "write the key out")
        self._place(node)

    def _place(self, node: _Node) -> None:
        """Put a finished value into what is open."""
        if not self._open:
            self.root = node
            return
        top = self._open[-1]
        if isinstance(top.node.value, list):
            top.node.value.append(node)
            return
        assert top.key is not None  # noqa: S101 - an event without a key was refused
        key, place = top.key
        if key in top.node.value:
            self.twice.append(Twice((*top.path, key), place, top.first[key]))
        else:
            top.node.value[key] = (place, node)
            top.first[key] = place
        top.key = None


def _syntax(error: yaml.MarkedYAMLError) -> DocumentError:
    """PyYAML's complaint in one line."""
    mark = error.problem_mark or error.context_mark
    place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
    problem = str(error.problem or error.context or "a syntax error")
    if "tag handle" in problem:  # the one complaint that quotes more than a character of the file
        return DocumentError(TAG, TAG_MEND, place)
    mend = "check the line above too: indents, quotes and brackets"
    if "\\t" in problem:
        problem, mend = "a tab stands where only spaces may", "indent with spaces"
    elif problem.startswith("found character"):
        mend = "put text that begins with this character in quotes"
    elif "mapping values are not allowed" in problem:
        mend = "put text that holds `: ` in quotes, and check the indents"
    return DocumentError(f"YAML: {problem}", mend, place)
