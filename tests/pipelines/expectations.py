"""What Argo and Flagger must make of a gate that stands as it does: asked of ours, and of servers that are wrong on purpose.

Each function returns the complaints, none for a server that may be trusted.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.pipelines import argo, flagger

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "config" / "pipelines"
TOKEN = "the token of gate"
POLLS = 3  # instead of the template's 60: what happens when they are used up does not depend on their number
VERDICTS = ("pass", "fail", "pending", "inconclusive")
BODY = {"verdict": str, "reason": str, "gate": str, "sent": int, "ok": int, "lost": int, "pending": int}
LONGEST_REASON = 300
LARGEST_BODY = 1_024


class Standing(StrEnum):
    """How the gate of a deploy stands."""

    PASSED = "passed"
    FAILED = "failed"
    RUNNING = "running"
    HELD = "held"  # inconclusive
    UNKNOWN = "unknown"  # nobody asked for it


@dataclass(frozen=True, slots=True)
class Outcome:
    """What Flagger's hooks come to."""

    rollout: bool
    confirm: bool
    rollback: bool


ARGO = {
    Standing.PASSED: argo.Phase.SUCCESSFUL,
    Standing.FAILED: argo.Phase.FAILED,
    Standing.RUNNING: argo.Phase.INCONCLUSIVE,  # when the polls are used up
    Standing.HELD: argo.Phase.INCONCLUSIVE,
    Standing.UNKNOWN: argo.Phase.ERROR,
}
FLAGGER = {
    Standing.PASSED: Outcome(True, True, False),
    Standing.FAILED: Outcome(False, False, True),
    Standing.RUNNING: Outcome(True, False, False),
    Standing.HELD: Outcome(False, False, False),
}


def polling_only(template: dict[str, Any]) -> dict[str, Any]:
    """The shipped template without the metric that begins the gate, and with few polls."""
    cut = copy.deepcopy(template)
    cut["spec"]["metrics"] = [each for each in cut["spec"]["metrics"] if "interval" in each]
    assert len(cut["spec"]["metrics"]) == 1
    return cut


async def argo_complaints(server: str, deploy: Callable[[Standing], str], token: str = TOKEN) -> list[str]:
    template = polling_only(argo.load((EXAMPLES / "argo-web.yaml").read_text()))
    complaints = []
    for standing, expected in ARGO.items():
        args = {"environment": "test", "deploy": deploy(standing), "version": "v2", "token": token}
        run = argo.Run(template, args, server, count=POLLS, inconclusiveLimit=POLLS)
        phase = await run.finish()
        if phase is not expected:
            complaints.append(f"{standing}: {phase.value} instead of {expected.value}: {run.values[-1:]} {run.messages[-1:]}")
        if expected is not argo.Phase.ERROR:
            complaints += [f"{standing}: {fault}" for value in run.values[-1:] for fault in body_faults(value)]
    return complaints


def body_faults(value: str) -> list[str]:
    """R8: every key, typed, never null; and the reason stands in the measurement."""
    try:
        body = json.loads(value)
    except ValueError:
        return ["no JSON"]
    if not isinstance(body, dict) or set(body) != set(BODY):
        return [f"the keys are {sorted(body) if isinstance(body, dict) else body}"]
    faults = [f"{key} is {body[key]!r}" for key, kind in BODY.items() if type(body[key]) is not kind]
    if not faults and (body["verdict"] not in VERDICTS or not 0 < len(body["reason"]) <= LONGEST_REASON or not body["gate"]):
        faults.append(f"the verdict {body['verdict']!r} with the reason {body['reason']!r}")
    if len(value.encode()) > LARGEST_BODY:
        faults.append(f"{len(value)} bytes")
    return faults


async def flagger_complaints(server: str, canary: Callable[[Standing], flagger.Canary]) -> list[str]:
    """`canary`: a Canary with the shipped hooks whose gate stands so."""
    complaints = []
    for standing, expected in FLAGGER.items():
        subject = canary(standing)
        for kind in ("rollout", "confirm-promotion", "rollback"):
            wanted = getattr(expected, kind.partition("-")[0])
            complaints += [f"{standing}: {kind}: {fault}" for fault in await hook_faults(subject, kind, wanted)]
    stranger = canary(Standing.UNKNOWN)
    for kind in ("confirm-promotion", "rollback"):
        complaints += [f"unknown: {kind}: {fault}" for fault in await hook_faults(stranger, kind, False)]
    (event,) = (each for each in stranger.hooks if each.type == "event")
    try:
        await flagger.call(event, stranger.payload(event, {"eventMessage": "New revision detected! Scaling up", "eventType": "Normal"}))
    except flagger.HookFailed as error:
        complaints.append(f"event: {error}")
    return complaints


async def hook_faults(canary: flagger.Canary, kind: str, wanted: bool) -> list[str]:
    (hook,) = (each for each in canary.hooks if each.type == kind)
    try:
        await flagger.call(hook, canary.payload(hook))
    except flagger.HookFailed as error:
        said = str(error)
        if wanted:
            return [f"does not succeed: {said}"]
        if "giving up after" in said:
            return [f"the reason is lost: {said}"]
        if not said.strip() or "\n" in said.strip() or len(said) > LONGEST_REASON + 50 or said.lstrip().startswith(("<", "{")):
            return [f"no line for people: {said[:80]!r}"]
        return []
    return [] if wanted else ["succeeds"]
