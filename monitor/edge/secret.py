"""Reads secrets where the configuration says that they are: the environment or a file."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from monitor.model.policy import SecretRef, SecretSource
from monitor.ports import SecretError

MAX_BYTES = 64 * 1024


class SystemSecrets:
    """ports.Secrets. Reads anew at each call: a rotated secret needs no restart. No error carries any part of a value."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def read(self, ref: SecretRef) -> str:
        text = self._from_environment(ref) if ref.source is SecretSource.ENV else _from_file(ref)
        text = _without_newline(text)
        if not text:
            raise SecretError(f"secret {ref} is empty; put the value there")
        return text

    def _from_environment(self, ref: SecretRef) -> str:
        value = self._environ.get(ref.name)
        if value is None:
            raise SecretError(f"secret {ref}: the environment variable {ref.name} is not set; set it for the mailcanary process")
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise SecretError(f"secret {ref}: the value is not UTF-8 text; set it as plain text")
        return value


def _from_file(ref: SecretRef) -> str:
    try:
        data = _bytes_of(Path(ref.name), ref)
    except OSError as error:
        raise SecretError(
            f"secret {ref}: cannot read the file: {error.strerror or type(error).__name__}; mount it and let uid {os.getuid()} read it"
        ) from None
    except ValueError:  # a NUL in the path
        raise SecretError(f"secret {ref}: this is no file name; mend it") from None
    if len(data) > MAX_BYTES:
        raise SecretError(f"secret {ref}: the file is larger than {MAX_BYTES} bytes; is it the right one?")
    try:
        return data.decode()
    except UnicodeDecodeError:  # "from None": the exception holds the bytes
        raise SecretError(f"secret {ref}: the file is not UTF-8 text; write it as plain text") from None


def _bytes_of(path: Path, ref: SecretRef) -> bytes:
    # O_NONBLOCK: a FIFO without a writer must not hang the event loop. Symbolic links are followed: Kubernetes mounts secrets so.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise SecretError(f"secret {ref} is no regular file; name a file, it is read again at each connection")
        return file.read(MAX_BYTES + 1)


def _without_newline(text: str) -> str:
    """Without the one newline that editors and `echo` add."""
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
