"""Runs lives, kills, restarts, and afterwards asks for the account."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from monitor.lab.control import LabClient
from tests.acceptance.conftest import LabProcess, Row, read_journal, tree_for, write_tree
from tests.acceptance.crash import account
from tests.acceptance.crash.nursery import Nursery

T = TypeVar("T")

AT_ONCE = 32  # cases under way: most of a life is waiting for deadlines
FOREIGN = (
    b"From: friend@elsewhere.test\r\nTo: you\r\nSubject: lunch?\r\nMessage-ID: <1@elsewhere.test>\r\n\r\nOn Friday?\r\n",
    b"From: shop@other.test\r\nTo: you\r\nSubject: Your refund\r\nMessage-ID: <2@other.test>\r\n\r\nWe refunded EUR 12.00 to you.\r\n",
)
# An attempt is over before its probe can be missing. Starved of CPU by other suites, lives still end truthfully: see account.py.
DEADLINES = {"overdue_floor": "100ms", "late": "2800ms", "missing": "3s", "give_up": "60s", "watch_until": "3200ms"}
ATTEMPTS = {"attempt_timeout": "2500ms", "retry_backoff": "300ms", "retry_for": "2500ms", "unreachable_for": "2s"}
_TOKEN = re.compile(r"x-mailcanary-token: *([a-z2-7]{40})", re.IGNORECASE)
_POST = re.compile(r"idempotency-key: ([0-9a-f]{12})", re.IGNORECASE)

Kill = tuple[str, str, int]


@dataclass
class Patient:
    """One state directory with its configuration and its mailboxes; lives follow one another."""

    directory: Path
    config: Path
    last_config: Path  # of the life that is to end by itself: plans nothing new
    addresses: tuple[str, ...]
    lives: list[str] = field(default_factory=list)

    @property
    def trace(self) -> Path:
        return self.directory / "trace"

    def sites(self) -> Counter[str]:
        return Counter(line.split(" ", 1)[0] for line in self.trace.read_text().splitlines())

    def rows(self) -> list[Row]:
        return read_journal(self.directory / "state")

    def posts(self) -> Counter[str]:
        """Requests to the application by idempotency key, which is the probe's id."""
        return Counter(_POST.findall(self.trace.read_text())) if self.trace.exists() else Counter()

    def last_words(self) -> str:
        log = Path(f"{self.trace}.log")
        return log.read_text()[-2000:] if log.exists() else ""


class Hospital:
    def __init__(
        self,
        lab: LabProcess,
        nursery: Nursery,
        directory: Path,
        rooms: Iterator[tuple[str, ...]],
        lock: threading.Lock,
        numbers: Iterator[int],
    ) -> None:
        self.lab = lab
        self.nursery = nursery
        self._directory = directory
        self._rooms = rooms
        self._lock = lock
        self._numbers = numbers
        self._spare: list[str] = []

    def admit(self, paths: Sequence[str], mailboxes: int = 1, every: str = "1h", security: str = "plain", **deadlines: str) -> Patient:
        """A new state directory, with mailboxes of its own."""
        with self._lock:
            number = next(self._numbers)
            if mailboxes == 1:
                if not self._spare:
                    self._spare = list(next(self._rooms))
                addresses: tuple[str, ...] = (self._spare.pop(),)
            else:
                addresses = next(self._rooms)[:mailboxes]
        directory = self._directory / f"{number:04}"
        directory.mkdir()
        tree = tree_for(self.lab.description, directory, addresses, paths, security=security)
        tree["instance"] = f"case-{number}"
        tree["deadlines"] = DEADLINES | deadlines
        tree["submission"] = ATTEMPTS
        tree["watch"] |= {"sweep_after": "300ms"}
        for box in tree["mailboxes"].values():
            box["clean_up_after"] = "0s"
        tree["schedule"] = {"every": "1h", "jitter": "0%"}
        tree["watch"]["poll_every"] = "500ms"  # no kill comes any more: let it clean up soon
        last = write_tree(tree, directory).rename(directory / "last.yaml")
        tree["schedule"] = {"every": every, "jitter": "0%"}
        tree["watch"]["poll_every"] = "3400ms"  # few looks: every write is a site
        return Patient(directory, write_tree(tree, directory), last, addresses)

    def plant(self, patients: Sequence[Patient]) -> None:
        """A stranger's mail, and one that the owner has marked for deletion, into every mailbox."""

        async def deliver(lab: LabClient) -> None:
            for address in [address for patient in patients for address in patient.addresses]:
                for number, raw in enumerate(FOREIGN):
                    await lab.deliver(address, raw, "INBOX", ("\\Deleted",) if number else ())

        self.lab.steer(deliver)

    def live(self, patient: Patient, kill: Kill | None = None, lifetime: tuple[int, float] | None = None, last: bool = False) -> int:
        status = self.nursery.live(patient.last_config if last else patient.config, patient.trace, kill, lifetime)
        patient.lives.append(f"{kill or lifetime or 'to the end'} -> {status}")
        return status

    def recover(self, patient: Patient) -> list[str]:
        """The last life, without a kill; what went wrong with it."""
        status = self.live(patient, last=True)
        return [] if status == 0 else [f"the daemon ended with {status} after the restart: {patient.last_words()}"]

    def account(self, patients: Sequence[Patient]) -> tuple[list[str], Counter[str]]:
        """All that is wrong with these patients, and how their probes ended."""
        book = account.accepted_by_token(self._book())
        wrong: list[str] = []
        ends: Counter[str] = Counter()
        for patient in patients:
            rows = patient.rows()
            found = account.faults(rows, book, patient.posts())
            found += self._left_behind(patient, account.came_too_late(rows, book))
            wrong += [f"{patient.directory.name} {patient.lives}: {what}" for what in found]
            ends.update(account.outcome(rows, row.key) for row in rows if row.kind == "probe_planned")
        return wrong, ends

    def _book(self) -> list[dict[str, Any]]:
        async def read(lab: LabClient) -> list[dict[str, Any]]:
            entries: list[dict[str, Any]] = []
            while page := (await lab.accepted(after=entries[-1]["number"] if entries else 0))["accepted"]:
                entries += page
            return entries

        return self.lab.steer(read)

    def _left_behind(self, patient: Patient, excused: set[str]) -> list[str]:
        """After the clean-up exactly the strangers' mail is left, flags and all."""

        async def look(lab: LabClient) -> list[dict[str, Any]]:
            return [await lab.mailbox(address) for address in patient.addresses]

        wrong = []
        for shown in self.lab.steer(look):
            strangers = []
            for name, folder in shown["folders"].items():
                for message in folder["messages"]:
                    if token := _TOKEN.search(message["header"]):
                        if token[1] not in excused:
                            wrong.append(f"{shown['address']}: a copy of probe {token[1]} is left in {name}")
                    else:
                        strangers.append((name, message["size"], "\\Deleted" in message["flags"]))
            if strangers != [("INBOX", len(raw), bool(number)) for number, raw in enumerate(FOREIGN)]:
                wrong.append(f"{shown['address']}: of the strangers' mail there is left: {strangers}")
        return wrong


def at_once(work: Callable[[T], list[str]], cases: Sequence[T]) -> list[str]:
    """Run the cases a few at a time; all that went wrong."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [what for found in pool.map(work, cases) for what in found]
