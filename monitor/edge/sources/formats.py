"""Which cutter a file needs, by what the source says and by how the file begins. Pure."""

from __future__ import annotations

from monitor.edge.sources.cutting import Cutter, LogCutter, Uncuttable
from monitor.edge.sources.encoding import UTF8, as_utf8, encoding_of
from monitor.edge.sources.objects import object_cutter
from monitor.edge.sources.tables import table_cutter
from monitor.model.ledger import Lines, RowFault, Table
from monitor.model.sources import FileFormat, FilesSource, PostfixSource

_PACKED = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")  # ZIP, and OLE of older Excel
_MEND = "save it as CSV UTF-8"
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
    _must_be_text(head)
    match source.format:
        case FileFormat.CSV:
            return table_cutter(head, source.layout.delimiter, final)
        case FileFormat.JSONL:
            return object_cutter(head)


def _must_be_text(head: bytes) -> None:
    """Raises Uncuttable. A NUL counts in the first line only: further down it is the fault of its row."""
    if head.startswith(_PACKED):
        raise Uncuttable(RowFault(0, "is an Excel workbook or another packed file", _MEND))
    if encoding_of(head)[0] == UTF8 and b"\0" in head.partition(b"\n")[0]:
        raise Uncuttable(RowFault(0, "is UTF-16 without a byte order mark, or no text", _MEND))


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
