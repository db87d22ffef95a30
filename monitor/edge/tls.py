"""TLS client contexts: one per CA file, shared by all connections (making one costs 22-33 ms and 0.8 MB)."""

from __future__ import annotations

import asyncio.sslproto
import ssl
from pathlib import Path

_READ_BUFFER = 16 * 1024  # the largest TLS record (RFC 8446 section 5.1)


def _lower_read_buffer() -> None:
    """asyncio preallocates SSLProtocol.max_size (256 KiB) for each TLS connection; 1,000 mailboxes would pay 256 MiB for nothing.
    An undocumented class attribute of 3.11 to 3.13: where it is missing, nothing is changed and memory is all that is lost."""
    protocol = getattr(asyncio.sslproto, "SSLProtocol", None)
    size = getattr(protocol, "max_size", None)
    if protocol is not None and isinstance(size, int) and size > _READ_BUFFER:
        protocol.max_size = _READ_BUFFER


_lower_read_buffer()


class TlsFileError(Exception):
    """A CA file cannot be used. Not transient."""

    def __init__(self, detail: str, mend: str) -> None:
        super().__init__(f"{detail}; {mend}")
        self.detail = detail
        self.mend = mend


class TlsContexts:
    """Client contexts that verify certificate and name, TLS 1.2 at least. A CA file that was replaced is read again."""

    __slots__ = ("_contexts",)

    def __init__(self) -> None:
        self._contexts: dict[str | None, tuple[tuple[int, ...], ssl.SSLContext]] = {}

    def get(self, ca_file: str | None) -> ssl.SSLContext:
        """The context that trusts `ca_file`, or the system's CAs; raises TlsFileError."""
        version = () if ca_file is None else _version(ca_file)
        kept = self._contexts.get(ca_file)
        if kept is not None and kept[0] == version:
            return kept[1]
        context = _make(ca_file)
        self._contexts[ca_file] = (version, context)
        return context


def _version(ca_file: str) -> tuple[int, ...]:
    try:
        stat = Path(ca_file).stat()
    except (OSError, ValueError) as error:
        raise _unreadable(ca_file, error) from error
    return (stat.st_ino, stat.st_size, stat.st_mtime_ns)


def _make(ca_file: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca_file)
    except ssl.SSLError as error:  # before OSError: it is one
        raise TlsFileError(
            f"CA file {ca_file} holds no usable PEM certificate ({error.reason or error})",
            "ca_file must name a PEM file with the CA certificates to trust (-----BEGIN CERTIFICATE-----)",
        ) from error
    except (OSError, ValueError) as error:
        raise _unreadable(str(ca_file), error) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _unreadable(ca_file: str, error: Exception) -> TlsFileError:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return TlsFileError(f"CA file {ca_file} cannot be read: {why}", "correct ca_file, or make the file readable for this user")
