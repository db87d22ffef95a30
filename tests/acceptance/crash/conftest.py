"""One lab and one nursery for the whole suite: a process start costs more than a life."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import LabProcess, lab_process
from tests.acceptance.crash.hospital import Hospital
from tests.acceptance.crash.nursery import Nursery, nursery

MAILBOXES = 240  # per provider; no two lives share one


@pytest.fixture(scope="session")
def crash_lab() -> Iterator[LabProcess]:
    with lab_process("--mailboxes", str(MAILBOXES)) as lab:
        yield lab


@pytest.fixture(scope="session")
def crash_nursery() -> Iterator[Nursery]:
    with nursery() as running:
        yield running


@pytest.fixture(scope="session")
def hospital(crash_lab: LabProcess, crash_nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    addresses = [[account["address"] for account in provider["accounts"]] for provider in crash_lab.description["providers"]]
    rooms: Iterator[tuple[str, ...]] = iter(list(zip(*addresses, strict=True)))
    return Hospital(crash_lab, crash_nursery, tmp_path_factory.mktemp("crash"), rooms, threading.Lock(), itertools.count(1))
