"""`mailcanary demo`: the whole play once, and plays that go wrong."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from monitor.cli import demo
from monitor.edge.daemon import Daemon
from monitor.lab import Lab
from monitor.lab.books import Books
from tests.cli.conftest import Outcome

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


@pytest.mark.parametrize("act", [1, 2, 3, 4, 5, 6, 7])
def test_an_act_that_does_not_happen_is_exit_1(mailcanary: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, act: int) -> None:
    """More rounds than there is time for; a deploy that deploys nothing; a rollback that does not roll back; an incident that goes
    on; a fix that mends nothing; a job that mails nobody; a ledger in which one refund is not."""
    deploy, post = Lab.deploy, Daemon.post
    marked: list[tuple[str, str]] = []
    live: list[str] = []

    def mark(daemon: Daemon, path: str, body: Mapping[str, Any], *timeout: float) -> dict[str, object]:
        assert path != "/v1/deploys" or body["deploy"] == f"checkout-{body['version']}"
        if path == "/v1/deploys":
            marked.append((body["deploy"], body["phase"]))
        return post(daemon, path, body, *timeout)

    def half(lab: Lab, version: str) -> None:
        live.append(version)
        if act >= 4 or (act == 3 and version == "v2"):
            deploy(lab, {("v3", 5): "v2", ("v4", 6): "v3"}.get((version, act), version))

    monkeypatch.setattr(demo, "ACT_DEADLINE", {1: 1.0, 2: 5.0, 3: 8.0, 4: 8.0, 5: 8.0, 6: 10.0, 7: 10.0}[act])
    monkeypatch.setattr(demo, "SETTLED", "1h" if act == 4 else "1s" if act >= 5 else "3s")
    if act == 7:
        monkeypatch.setattr(Books, "refunded", lambda *_: None)
    monkeypatch.setattr(demo, "HEALTHY", 1 if act > 1 else 1000)
    monkeypatch.setattr(demo, "ROUND", 1.0)
    monkeypatch.setattr(Lab, "deploy", half)
    monkeypatch.setattr(Daemon, "post", mark)
    outcome = mailcanary("demo")
    assert outcome.code == 1 and f"NOT SEEN within {demo.ACT_DEADLINE:.0f} s" in outcome.out, outcome
    seen = {1: 0, 2: 1, 3: 4, 4: 5, 5: 6, 6: 7, 7: 9}[act]  # act 2 has three promises, act 6 two
    assert outcome.out.count("seen after") == seen and f"act {act + 1}" not in outcome.out
    played = PLAY[: {1: 0, 2: 1, 3: 2, 4: 2, 5: 3, 6: 5, 7: 6}[act]]
    assert [(*each, version) for each, version in zip(marked, live, strict=True)] == list(played)
