"""`mailcanary demo`: the whole play once, and plays that go wrong."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE

import pytest

from tests.cli.broken_demo import PATIENCE

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(150)

PLAY = (  # deploy, phase, and what is live from then on; a rollback bears the name of what is taken back
    ("checkout-v2", "start", "v2"),
    ("checkout-v2", "rollback", "v1"),
    ("checkout-v3", "start", "v3"),
    ("checkout-v3", "finish", "v3"),
    ("checkout-v4", "start", "v4"),
    ("checkout-v4", "rollback", "v3"),
)


def test_the_demo_plays_its_acts(process: Callable[..., subprocess.Popen[str]]) -> None:
    out, err = process("demo").communicate(timeout=110)
    assert "Traceback" not in err, err
    acts = [
        "act 1: the shop runs v1",
        "act 2: deploy v2",
        "$ mailcanary gate run",
        "GATE FAIL gate-",
        "exit code 1",
        "act 3: rollback to v1",
        "act 4: only",
        "[RESOLVED][lab] Refund",
        "act 5: v3 mends the line",
        "GATE PASS gate-",
        "exit code 0",
        "healed",
        "act 6: deploy v4",
        "GATE FAIL gate-",
        "act 7: what has that done to real customers",
        "$ mailcanary ledger status",
        "$ mailcanary ledger show --kind missing",
        "lost and bogus confirmations, found, counted and named",
    ]
    place = 0
    for act in acts:
        place = out.find(act, place)
        assert place >= 0, (act, out)
    assert out.find("act 2") < out.find("[PAGE][lab] Refund") < out.find("act 3"), "the phone does not wait for the pipeline"
    assert out[out.find("act 6") :].count("[PAGE]") == 1, "one job is one page, whatever it sets off"
    misrouted = "every app route is misrouted, found in `holding`, while bare SMTP stays green"
    paged, over = "on-call is paged, over a channel that is not e-mail", "on-call is told that it is over"
    refused, let_through = "the pipeline asks its gate, which says no", "the gate lets v3 pass, and says what it could not see"
    tripped, at_once = "the tripwire pages on-call", "the pipeline asks its gate, which says no at once"
    listed = "reconciliation lists the lost ones of act 2 and the bogus ones of act 6, and no other"
    for seen in ("every route passes", refused, paged, misrouted, "every route passes again", over, let_through, tripped, at_once, listed):
        assert re.search(rf"seen after \d+\.\d s: {seen}", out), seen
    assert "misrouted, arrived in INBOX of mailbox holding" in out and "\x1b" not in out
    for line in ("Deploy:   checkout v2 by ana", "Next:     1) roll back checkout v2", "Runbook:  docs/runbooks/misrouted.md"):
        assert line in out, line
    assert not re.search(r"bare-smtp/\S+: (?!pass)", out), "the relay never broke"


@pytest.mark.parametrize("act", [1, 2, 4, 7])
def test_an_act_that_does_not_happen_is_exit_1(act: int) -> None:
    """In a process group of its own, which ends with the test whatever becomes of the play."""
    words = [sys.executable, "-m", "tests.cli.broken_demo", str(act)]
    with subprocess.Popen(words, cwd=ROOT, stdout=PIPE, stderr=PIPE, text=True, start_new_session=True) as running:
        try:
            out, err = running.communicate(timeout=110)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == 1 and f"NOT SEEN within {PATIENCE[act]:.0f} s" in out, (out, err)
    seen = {1: 0, 2: 1, 4: 5, 7: 9}[act]  # act 2 has three promises, act 6 two
    assert out.count("seen after") == seen and f"act {act + 1}" not in out
    played = PLAY[: {1: 0, 2: 1, 4: 2, 7: 6}[act]]
    assert json.loads(err.splitlines()[-1]) == [list(each) for each in played]


@pytest.mark.parametrize(("number", "ignored"), [(signal.SIGTERM, signal.SIGINT), (signal.SIGHUP, None), (signal.SIGINT, None)])
def test_ended_it_leaves_nothing(
    process: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    ignored: signal.Signals | None,
) -> None:
    """`ignored`: as a shell starts what runs in the background."""
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    before = signal.signal(ignored, signal.SIG_IGN) if ignored else None
    try:
        running = process("demo", stderr=subprocess.STDOUT)
    finally:
        if ignored:
            signal.signal(ignored, before)
    assert running.stdout is not None
    said = [next(line for line in running.stdout if "act 1" in line)]
    assert _worlds(place) == ["mailcanary-demo", "mailcanary-lab"]
    running.send_signal(number)
    said.append(running.communicate(timeout=60)[0])
    assert running.returncode == 128 + number and "Traceback" not in said[1], said
    assert _worlds(place) == []


def _worlds(place: Path) -> list[str]:
    """What demos have there; whose mailboxes are whose stands beside it, and stays."""
    return sorted(name for found in place.iterdir() if (name := found.name.rpartition("-")[0]) != "mailcanary")
