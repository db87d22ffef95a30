"""SIGKILL at every commit and every network write of a probe's life, and at random instants; the account is asked for after a restart.

The daemons run in processes of their own, against a lab in another one. What a probe's life is made of is found out by living one.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter

import pytest

from monitor.lab.faults import Fault, Scope
from tests.acceptance.crash.hospital import Hospital, Kill, Patient, at_once
from tests.acceptance.crash.nursery import KILLED

pytestmark = [pytest.mark.timeout(400)]

RANDOM_KILLS = int(os.environ.get("MAILCANARY_CRASH_KILLS", "60"))
SEED = int(os.environ.get("MAILCANARY_CRASH_SEED", str(time.time_ns() % 1_000_000)))
KILLS_A_PATIENT = 4
BUSY = 5  # lives that probe six routes at a time: the lab must keep up, or nothing but its slowness is measured
TRIES = 3
SPARE = 1  # lives differ: so many sites beyond those of the first one are tried as well


def sweep(hospital: Hospital, path: str, kinds: tuple[str, ...]) -> tuple[Counter[str], Counter[str]]:
    """Kill one life at each site; returns the kills placed and how the probes ended, after asserting the account."""
    model = hospital.admit([path])
    hospital.plant([model])
    assert hospital.live(model) == 0, model.last_words()
    sites = model.sites()
    assert all(sites[kind] for kind in kinds), f"the hooks see no {kinds}: {sites}"
    kills = [(when, kind, number) for kind in kinds for number in range(1, sites[kind] + SPARE + 1) for when in ("before", "after")]
    patients: list[Patient] = [model]
    placed: Counter[str] = Counter()
    for _ in range(TRIES):  # a busy machine may take a shorter way through a life; then the site is tried again
        admitted = [(hospital.admit([path]), kill) for kill in kills]
        patients += [patient for patient, _ in admitted]
        hospital.plant([patient for patient, _ in admitted])
        missed: list[Kill] = []

        def case(one: tuple[Patient, Kill], missed: list[Kill] = missed) -> list[str]:
            patient, kill = one
            status = hospital.live(patient, kill)
            if status == KILLED:
                placed[f"{kill[0]} {kill[1]}"] += 1
            elif status != 0:
                return [f"{kill}: ended with {status} instead of being killed: {patient.last_words()}"]
            elif kill[2] <= sites[kill[1]]:
                missed.append(kill)
            return hospital.recover(patient)

        wrong = at_once(case, admitted)
        assert not wrong, "\n".join(wrong)
        kills = missed
    found, ends = hospital.account(patients)
    assert not found, "\n".join(found)
    assert len(kills) <= sites.total() / 10, f"never reached: {kills}"
    return placed, ends


def tell(capsys: pytest.CaptureFixture[str], what: str, *counts: Counter[str]) -> None:
    with capsys.disabled():
        print(f"\n{what}: " + "; ".join(", ".join(f"{count} {name}" for name, count in sorted(c.items())) for c in counts))


def test_smtp_path(hospital: Hospital, capsys: pytest.CaptureFixture[str]) -> None:
    placed, ends = sweep(hospital, "bare-smtp", ("commit", "smtp", "imap"))
    tell(capsys, "kills in the life of a probe, smtp path", placed, ends)
    assert ends["pass"] and ends["submit_unknown"] and ends["pass, reply lost"]


def test_http_path(hospital: Hospital, capsys: pytest.CaptureFixture[str]) -> None:
    placed, ends = sweep(hospital, "app", ("commit", "http", "imap"))
    tell(capsys, "kills in the life of a probe, http path", placed, ends)
    assert ends["pass"] and ends["submit_unknown"] and ends["pass, reply lost"]


def test_second_attempt(hospital: Hospital, capsys: pytest.CaptureFixture[str]) -> None:
    """Greylisted: the first attempt is deferred, the second one taken."""
    hospital.lab.steer(lambda lab: lab.switch_on(Fault.GREYLIST, Scope(path="smtp"), seconds=0.2))
    try:
        placed, ends = sweep(hospital, "bare-smtp", ("commit", "smtp"))
    finally:
        hospital.lab.steer(lambda lab: lab.clear_faults())
    tell(capsys, "kills in the life of a greylisted probe", placed, ends)
    assert ends["pass"] and ends["submit_unknown"]


def test_down_for_longer_than_every_deadline(hospital: Hospital) -> None:
    """The daemon is back when give_up and watch_until are long over: first it looks, then it judges and closes."""
    kills: list[Kill] = [("after", "attempted", 1), ("before", "smtp", 5), ("after", "smtp", 5), ("after", "accepted", 1)]
    admitted = [(hospital.admit(["bare-smtp"], give_up="3100ms"), kill) for kill in kills]
    hospital.plant([patient for patient, _ in admitted])

    def case(one: tuple[Patient, Kill]) -> list[str]:
        patient, kill = one
        status = hospital.live(patient, kill)
        time.sleep(3.5)
        return ([] if status == KILLED else [f"{kill}: not killed but {status}"]) + hospital.recover(patient)

    wrong = at_once(case, admitted)
    found, ends = hospital.account([patient for patient, _ in admitted])
    assert not wrong + found, "\n".join([*wrong, *found])
    assert not ends.keys() - {"pass", "pass, reply lost", "submit_unknown"}, ends


def test_a_verdict_revised_after_a_restart(hospital: Hospital) -> None:
    """Judged missing, killed, and the mail arrives while nobody looks: the next revision of the same probe, not another first verdict."""
    patient = hospital.admit(["bare-smtp"], watch_until="5s")
    hospital.plant([patient])
    scope = Scope(mailbox=patient.addresses[0])
    hospital.lab.steer(lambda lab: lab.switch_on(Fault.HOLD_QUEUE, scope))
    assert hospital.live(patient, ("after", "judged", 1)) == KILLED
    hospital.lab.steer(lambda lab: lab.switch_off(Fault.HOLD_QUEUE, scope))
    assert hospital.recover(patient) == []
    judged = [row.body for row in patient.rows() if row.kind == "judged" and row.body["purpose"] == "scheduled"]  # and not to confirm
    assert [(body["revision"], body["reason"]) for body in judged] == [(0, "missing"), (1, "late")]


def test_random_instants(hospital: Hospital, capsys: pytest.CaptureFixture[str]) -> None:
    """Several probes in flight on six routes; each journal survives some kills in a row, in the recovery from the one before too."""
    rng = random.Random(SEED)
    count = -(-RANDOM_KILLS // KILLS_A_PATIENT)
    admitted = []
    for _ in range(count):
        patient = hospital.admit(["app", "bare-smtp"], mailboxes=3, every="1500ms", security=rng.choice(("plain", "starttls", "tls")))
        admitted.append((patient, [(rng.randint(1, 150), rng.uniform(0.0, 0.2)) for _ in range(KILLS_A_PATIENT)]))
    hospital.plant([patient for patient, _ in admitted])
    busy = threading.Semaphore(BUSY)

    def case(one: tuple[Patient, list[tuple[int, float]]]) -> list[str]:
        patient, lifetimes = one
        for lifetime in lifetimes:
            with busy:
                status = hospital.live(patient, lifetime=lifetime)
            if status != KILLED:
                return [f"{lifetime}: ended with {status} instead of being killed: {patient.last_words()}"]
        return hospital.recover(patient)

    wrong = at_once(case, admitted)
    found, ends = hospital.account([patient for patient, _ in admitted])
    tell(capsys, f"{count * KILLS_A_PATIENT} random kills, MAILCANARY_CRASH_SEED={SEED}", ends)
    assert not wrong + found, "\n".join([f"seed {SEED}", *wrong, *found])
    assert ends["pass"] > count
