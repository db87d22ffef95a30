"""Which cutter a file needs, by what the source says and by how the file begins. Pure."""

from __future__ import annotations

from monitor.edge.sources.cutting import Cutter, LogCutter
from monitor.edge.sources.encoding import as_utf8, encoding_of
from monitor.edge.sources.objects import object_cutter
from monitor.edge.sources.tables import table_cutter
from monitor.model.ledger import Lines, Table
from monitor.model.sources import FileFormat, FilesSource, PostfixSource

_BY_NAME = {
    ".csv": FileFormat.CSV,
    ".tsv": FileFormat.CSV,
    ".jsonl": FileFormat.JSONL,
    ".ndjson": FileFormat.JSONL,
    ".json": FileFormat.JSONL,
}


def cutter_for(source: FilesSource | PostfixSource, head: bytes, final: bool) -> Cutter | None:
    """`head`: its first bytes, CHUNK of them where there are so many. None: they do not say yet. Raises Uncuttable."""
    if isinstance(source, PostfixSource):
        return LogCutter()
    match source.format:
        case FileFormat.CSV:
            return table_cutter(head, source.layout.delimiter, final)
        case FileFormat.JSONL:
            return object_cutter(head)


def nothing(source: FilesSource | PostfixSource) -> Table | Lines:
    return Lines(()) if isinstance(source, PostfixSource) else Table((), (), ())


def format_of(name: str, head: bytes) -> FileFormat:
    """By the end of the name, else by the first character: no CSV header begins with a brace or a bracket."""
    name = name.lower().removesuffix(".gz")
    for end, known in _BY_NAME.items():
        if name.endswith(end):
            return known
    codec, mark = encoding_of(head)
    return FileFormat.JSONL if as_utf8(head[mark:], codec).lstrip()[:1] in (b"{", b"[") else FileFormat.CSV
