"""The nursery of child.py from the test's side: hand in a job, get how its daemon ended. Callable from many threads."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

DEADLINE = 60.0  # of a life that should end by itself; generous, nothing is measured by it
KILLED = -9


class Nursery:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[int]] = {}
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._listen, name="nursery")
        self._reader.start()

    def live(self, config: Path, trace: Path, kill: tuple[str, str, int] | None = None, lifetime: tuple[int, float] | None = None) -> int:
        """One life of the daemon; returns its exit code, negative for the signal that ended it."""
        ended: Future[int] = Future()
        job: dict[str, Any] = {"config": str(config), "log": f"{trace}.log", "trace": str(trace), "kill": kill, "lifetime": lifetime}
        with self._lock:
            number = next(self._numbers)
            self._waiting[number] = ended
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps({"id": number, "deadline": DEADLINE, **job}).encode() + b"\n")
            self._process.stdin.flush()
        return ended.result(DEADLINE * 2)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            self._waiting.pop(answer["id"]).set_result(answer["status"])
        for ended in self._waiting.values():
            ended.set_exception(RuntimeError("the nursery ended"))

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._reader.join(10)
        self._process.stdout.close()


@contextlib.contextmanager
def nursery() -> Iterator[Nursery]:
    script = Path(__file__).with_name("child.py")
    process = subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    running = Nursery(process)
    try:
        yield running
    finally:
        running.close()
