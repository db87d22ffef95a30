"""Whether this process can still open anything: without file descriptors every peer looks unreachable."""

from __future__ import annotations

import errno
import os

_NONE_LEFT = frozenset({errno.EMFILE, errno.ENFILE})


def exhausted() -> bool:
    """No file descriptor is left, of ours (RLIMIT_NOFILE) or of the host's."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno in _NONE_LEFT
    return False
