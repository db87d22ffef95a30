"""The bytes of one file, plain or gzip (RFC 1952)."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable
from pathlib import Path

from monitor.edge.reply import clean
from monitor.edge.sources.places import HEAD

STEP = 256 * 1024  # bytes that are unpacked at a time
_MAGIC = b"\x1f\x8b"


class Opened:
    """An open file. `ends`: the last read came to its end, or as far as can be; `broken_off`: it is packed, and its end is not there yet;
    `damage`: it is packed, and why it cannot be unpacked any further."""

    def __init__(self, path: str) -> None:
        """Raises OSError."""
        self._file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - closed by close(); a buffer would hide what was written anew
        self.packed = self.head().startswith(_MAGIC)
        self.ends = self.broken_off = False
        self.damage = ""
        self._unpacker: gzip.GzipFile | None = None
        self._at = -1

    def head(self) -> bytes:
        """Its first bytes as they are now; HEAD of them where there are so many."""
        return os.pread(self._file.fileno(), HEAD, 0)

    def before(self, offset: int) -> bytes:
        """What stands before it on the disk; HEAD bytes where there are so many."""
        start = max(0, offset - HEAD)
        return os.pread(self._file.fileno(), offset - start, start)

    def standing(self) -> tuple[int, int]:
        """(size, when its content was last changed in nanoseconds since the epoch), as it lies on the disk."""
        seen = os.fstat(self._file.fileno())
        return seen.st_size, seen.st_mtime_ns

    def seek(self, offset: int, goes_on: Callable[[], bool]) -> bool:
        """False: time is up before it was reached; ask again. A packed file has to be unpacked up to there."""
        if self._at < 0 or offset < self._at:
            self._rewind()
        if not self.packed:
            self._file.seek(offset)
            self._at = offset
        self.ends, self.broken_off, self.damage = False, False, ""
        while self._at < offset and not self.ends:
            self._some(min(STEP, offset - self._at))
            if not goes_on():
                return self._at >= offset
        return True

    def read(self, size: int) -> bytes:
        """`size` bytes; fewer at the end. Raises OSError."""
        data = bytearray()
        while len(data) < size and not self.ends:
            data += self._some(min(STEP, size - len(data)))
        return bytes(data)

    def read_so_far(self) -> int:
        """Of the file as it lies on the disk, in bytes."""
        return self._file.tell()

    def close(self) -> None:
        if self._unpacker:
            self._unpacker.close()
        self._file.close()

    def _rewind(self) -> None:
        self._file.seek(0)
        self._unpacker = gzip.GzipFile(fileobj=self._file) if self.packed else None
        self._at = 0

    def _some(self, size: int) -> bytes:
        try:
            data = self._unpacker.read1(size) if self._unpacker else self._file.read(size)
        except EOFError:
            self.ends = self.broken_off = True
            self._at = -1
            return b""
        except (gzip.BadGzipFile, zlib.error) as error:
            self.ends, self.damage = True, clean(str(error))
            self._at = -1
            return b""
        self.ends = not data
        self._at += len(data)
        return data
