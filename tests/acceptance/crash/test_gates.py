"""SIGKILL before and after each fact of a gate, and at random while gates run: after a restart each is decided once, by all evidence."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.crash.gates_child import JUDGED, PROBES, STOPPED
from tests.acceptance.crash.hospital import Hospital, Kill, Patient, at_once
from tests.acceptance.crash.nursery import KILLED, Nursery

pytestmark = [pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[3]
FACTS = ("gate_requested", "gate_probing", "gate_decided", "gate_cancelled", "gate_overridden")
SEED = int(os.environ.get("MAILCANARY_CRASH_SEED", str(time.time_ns() % 1_000_000)))
AT_RANDOM = 8  # journals, each with two kills in a row


@pytest.fixture(scope="module")
def ward(hospital: Hospital, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """The hospital, with daemons that are asked for gates."""
    words = [sys.executable, "-m", "tests.acceptance.crash.gates_child"]
    running = Nursery(subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    yield Hospital(hospital.lab, running, tmp_path_factory.mktemp("gates"), hospital._rooms, hospital._lock, hospital._numbers)
    running.close()


def admit(ward: Hospital) -> Patient:
    """So paced that a gate asks more than once."""
    patient = ward.admit(["app"])
    for config in (patient.config, patient.last_config):
        tree = json.loads(config.read_text())
        tree["gates"] = {"burst": 2, "window": "1s"}
        config.write_text(json.dumps(tree))
    return patient


def faults(patient: Patient) -> Iterable[str]:
    """What is wrong with its gates; `account` looks after the probes."""
    rows = patient.rows()
    decided = [row.body for row in rows if row.kind == "gate_decided"]
    mine = {row.key for row in rows if row.kind == "probe_planned" and row.body["gate"] in {body["gate"] for body in of(decided, JUDGED)}}
    verdicts = {row.key: row.body["verdict"] for row in rows if row.kind == "judged" and row.key in mine}
    ends = sorted((body["deploy"], body["attempt"], body["verdict"], body["because"]) for body in decided)
    stopped = (STOPPED, 1, "inconclusive", "cancelled")
    if ends == [(JUDGED, 1, "fail", "losses"), stopped] and "fail" in verdicts.values():
        return  # the machine was so busy that a probe was late; account.py says whether that is true
    if ends != [(JUDGED, 1, "pass", "clean"), stopped]:
        yield f"decided {ends}: {[body['reason'] for body in decided]}"
        return
    kinds = Counter(row.kind for row in rows)
    if (kinds["gate_requested"], kinds["gate_cancelled"], kinds["gate_overridden"]) != (2, 1, 1):
        yield f"written: {kinds}"
    (tally,) = of(decided, JUDGED)[0]["classes"]
    passed = {key for key, verdict in verdicts.items() if verdict == "pass"}
    unknown = {row.key for row in rows if row.kind == "submit_unknown"}
    if tally["good"] < PROBES or tally["adverse"]:
        yield f"passed on {tally}"
    if len(passed - unknown) > PROBES:
        yield f"{len(passed)} good probes, {len(unknown)} of them interrupted, where {PROBES} are enough: evidence was forgotten"


def of(decided: list[dict[str, Any]], deploy: str) -> list[dict[str, Any]]:
    return [body for body in decided if body["deploy"] == deploy]


def recovered(ward: Hospital, patient: Patient) -> list[str]:
    return ward.recover(patient) or [f"{patient.lives}: {what}" for what in faults(patient)]


def test_at_every_fact_of_a_gate(ward: Hospital, capsys: pytest.CaptureFixture[str]) -> None:
    model = admit(ward)
    ward.plant([model])
    assert ward.live(model) == 0, model.last_words()
    assert list(faults(model)) == []
    written = Counter(
        kind for line in model.trace.read_text().splitlines() if line.startswith("commit") for kind in line.split()[2].split(",")
    )
    assert all(written[kind] for kind in FACTS) and written["gate_probing"] >= 2, written
    kills: list[Kill] = [(when, kind, n) for kind in FACTS for n in range(1, written[kind] + 1) for when in ("before", "after")]
    admitted = [(admit(ward), kill) for kill in kills]
    ward.plant([patient for patient, _ in admitted])
    placed: Counter[str] = Counter()

    def case(one: tuple[Patient, Kill]) -> list[str]:
        patient, kill = one
        status = ward.live(patient, kill)
        placed[f"{kill[0]} {kill[1]}"] += status == KILLED
        if status not in (KILLED, 0):  # a life may ask once less
            return [f"{kill}: ended with {status}: {patient.last_words()}"]
        return recovered(ward, patient)

    wrong = at_once(case, admitted)
    found, ends = ward.account([model, *(patient for patient, _ in admitted)])
    with capsys.disabled():
        print(f"\nkills around the facts of a gate: {dict(placed)}; {dict(ends)}")
    assert not wrong + found, "\n".join([*wrong, *found])
    assert all(placed[f"{when} {kind}"] for kind in FACTS for when in ("before", "after")), placed


def test_at_random(ward: Hospital, capsys: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(SEED)
    admitted = [(admit(ward), [(rng.randint(1, 80), rng.uniform(0.0, 0.3)) for _ in range(2)]) for _ in range(AT_RANDOM)]
    ward.plant([patient for patient, _ in admitted])

    def case(one: tuple[Patient, list[tuple[int, float]]]) -> list[str]:
        patient, lifetimes = one
        for lifetime in lifetimes:
            status = ward.live(patient, lifetime=lifetime)
            if status not in (KILLED, 0):
                return [f"{lifetime}: ended with {status}: {patient.last_words()}"]
        return recovered(ward, patient)

    wrong = at_once(case, admitted)
    found, ends = ward.account([patient for patient, _ in admitted])
    with capsys.disabled():
        print(f"\nrandom kills while gates run, MAILCANARY_CRASH_SEED={SEED}: {dict(ends)}")
    assert not wrong + found, "\n".join([f"seed {SEED}", *wrong, *found])
