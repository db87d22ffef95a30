"""What users of other gates and alerts complained about, replayed against ours. The docstring is the complaint, and where it was made."""

from __future__ import annotations

import copy
import io
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import junitparser
import pytest
import yaml
from rich.console import Console

from monitor.desk import Desk
from monitor.edge.channels.alertmanager import LIVES
from monitor.edge.entropy import SystemEntropy
from monitor.edge.journal import MemoryJournal
from monitor.model.facts import GateOverridden, Transition, Tripped, WatchBlind
from monitor.model.gate import BUILT_IN, GATE_VERDICT, Because
from monitor.model.incident import Phase, Severity
from monitor.model.mail import BlindCause
from monitor.model.notice import Call
from monitor.model.policy import Access
from monitor.model.probe import MailboxName
from monitor.model.verdict import Reason, Symptom, Verdict
from monitor.rules.gate.request import GateAsk
from monitor.rules.incident import Layout, decide
from monitor.rules.notice import dedup_key, render
from monitor.surface.gate import (
    argo_body,
    exit_code,
    final_line,
    gate_document,
    github_outputs,
    junit,
    print_explained,
    print_gate,
    summary_markdown,
)
from monitor.surface.gate.asking import begin, override
from monitor.surface.metrics import Metrics, Vitals
from tests.pipelines import argo
from tests.pipelines.expectations import BODY, ROOT, Standing, argo_complaints, body_faults, polling_only
from tests.pipelines.stand import BECAUSE, ENVIRONMENT, TOKENS, Stand, populate, standing
from tests.pipelines.test_argo import JOB, WEB, changed
from tests.pipelines.world import outputs
from tests.rules import incidents
from tests.rules.gates import APP, BOXES, GMAIL, SMALL, Play, app, bare
from tests.rules.incidents import relay
from tests.stages.virtual import VirtualClock

QUICK = BUILT_IN["quick"]
RULES = {
    rule["alert"]: rule
    for name in ("alerts.rules.yaml", "symptoms.rules.yaml")
    for group in yaml.safe_load((ROOT / "config" / "prometheus" / name).read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
SCHEMA = json.loads((ROOT / "config" / "gate.schema.json").read_text())
BACK = {Because.CLEAN: "pass", Because.LOSSES: "fail", Because.TOO_FEW: "inconclusive", Because.OWN_FAULT: "error"}


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    async with standing(tmp_path) as stand:
        yield stand


class Stopped(VirtualClock):
    """Shows the time that a story has reached."""

    def __init__(self, play: Play, t: float) -> None:
        self._at = play.at(t)

    def now(self) -> Any:
        return self._at


def shown(play: Play, t: float) -> dict[str, Any]:
    """The document of the gate that is told, as it stands at `t`."""
    desk = Desk(MemoryJournal(play.world.fold), play.world, Stopped(play, t), SystemEntropy(), play.policy)
    return dict(gate_document(desk, play.state))


async def document(stand: Stand, because: Because | None, deploy: str = "d", **changes: Any) -> dict[str, Any]:
    state = await stand.gate(deploy, because, **changes)
    return dict(gate_document(stand.desk, state))


def drawn(draw: Any, content: Mapping[str, Any]) -> str:
    paper = io.StringIO()
    draw(content, Console(width=200, color_system=None, file=paper))
    return paper.getvalue()


async def argo_says(stand: Stand, deploy: str, template: dict[str, Any] | None = None, **changes: Any) -> argo.Phase:
    args = {"environment": ENVIRONMENT, "deploy": deploy, "version": "v2", "token": TOKENS[Access.GATE]}
    return await argo.Run(template or polling_only(WEB), args, stand.url, **changes).finish()


def test_r01_no_data_is_no_success() -> None:
    """No data counted as success: keptn#1081, #9146, kayenta#700, DataDog/documentation#30731, flagger#1011. "Zero probes is a failure"."""
    for policy in (*BUILT_IN.values(), SMALL):
        nothing = Play(policy)
        assert nothing.look(policy.timeout - 1).decided is None
        ended = nothing.ends(policy.timeout)
        assert ended.verdict is Verdict.INCONCLUSIVE and ended.verdict.exit_code == 3
    few = Play(QUICK)
    few.good(9, 1)
    assert few.look(30).decided is None, "nine of ten"
    assert few.ends(QUICK.timeout).verdict is Verdict.INCONCLUSIVE
    stops = Play(QUICK, BOXES)
    stops.good(10, 1, GMAIL)
    assert stops.ends(QUICK.timeout).verdict is Verdict.INCONCLUSIVE, "one class has shown nothing"
    pending = Play(QUICK)
    pending.good(9, 1)
    pending.take(app("gmail-1"), 2)
    assert pending.look(10).decided is None, "nine seen, and the one that is not counts too"


async def test_r02_an_unknown_word_is_inconclusive(stand: Stand) -> None:
    """keptn#9146, datadog's "treat 5xx as success": what a client does not understand it takes for good."""
    known = await document(stand, Because.CLEAN)
    for word in ("PASS", "green", "", "passed", "None"):
        other = {**known, "verdict": word}
        assert exit_code(other) == 3 and final_line(other).startswith("GATE INCONCLUSIVE ")
        assert argo_body(other)["verdict"] == "inconclusive"
        assert junitparser.JUnitXml.fromstring(junit(other).encode()).errors


async def test_r03_a_verdict_says_from_when_it_is_and_old_evidence_does_not_pass(stand: Stand) -> None:
    """A probe that stopped left all green for 30 minutes (quill-router#412); a gate blocked on a verdict 31 minutes old (soleur#8016)."""
    play = Play(SMALL)
    play.good(3, 1)
    passed = play.ends(10)
    content = shown(play, 10)
    assert passed.verdict is Verdict.PASS
    assert content["observed"] == {"from": play.at(1).iso(), "to": play.at(2).iso()}, content["observed"]
    old = SMALL.fresh_for + 60
    play.request(old)
    standing_ = play.look(old + 1)
    assert standing_.decided is None and standing_.needs, "an hour later the probes of before vouch for nothing: others are asked for"
    assert play.ends(old + SMALL.timeout + 1).verdict is Verdict.INCONCLUSIVE
    other = Play(SMALL)
    other.good(30, 1, version="v1")
    assert other.ends(SMALL.timeout).because is Because.UNOBSERVED, "what another version served is no evidence for this one"
    state = await stand.gate("d")
    await stand.decide(state, Because.CLEAN, at=stand.desk.clock.now().plus(-QUICK.fresh_for - 1))
    _, began = await begin(stand.desk, GateAsk("d", QUICK, "ci", version="v2"))
    assert began and gate_document(stand.desk, state)["verdict"] == "pending", "a pass of then is no pass of now"


async def test_r04_one_field_to_read_and_none_to_search(stand: Stand) -> None:
    """A deploy script searched for `overall_status` and found "down" (quill-router#412)."""
    state = await stand.gate("d")
    await stand.decide(state, Because.LOSSES, reason="did it pass? pass: ok, GATE PASS, verdict=pass")
    content = dict(gate_document(stand.desk, state))
    assert content["verdict"] == "fail" and exit_code(content) == 1
    assert final_line(content).split()[:2] == ["GATE", "FAIL"] and "\n" not in final_line(content)
    assert outputs(github_outputs(content))["verdict"] == "fail"
    assert await argo_says(stand, "d") is argo.Phase.FAILED
    for because in BECAUSE.values():
        assert set(content) == set(await document(stand, because, because.value)), "the same keys, whatever the verdict"


async def test_r05_four_verdicts_stay_apart_everywhere(stand: Stand) -> None:
    """Inconclusive ended as promoted: argo-rollouts#3850, #1329, #943, #2158; all measurements Error, yet Successful: #4479."""
    forms = set()
    for because, word in BACK.items():
        content = await document(stand, because, word)
        assert content["verdict"] == content["found"] == word
        report = junitparser.JUnitXml.fromstring(junit(content).encode())
        assert not report.skipped, "a skipped case is shown green"
        (whole,) = (case for suite in report for case in suite if case.name == "verdict")
        kinds = {"pass": [], "fail": [junitparser.Failure], "inconclusive": [junitparser.Error], "error": [junitparser.Error]}
        assert [type(each) for each in whole.result] == kinds[word]
        heard = outputs(github_outputs(content))["verdict"]
        forms.add((exit_code(content), final_line(content).split()[1], heard))
        if word == "error":
            assert argo_body(content)["verdict"] == "inconclusive", "Argo pauses for a person"
    assert forms == {(0, "PASS", "pass"), (1, "FAIL", "fail"), (3, "INCONCLUSIVE", "inconclusive"), (4, "ERROR", "error")}


async def test_r06_the_shipped_templates_set_the_limits(stand: Stand) -> None:
    """The defaults promote or abort what is not decided: argo-rollouts#1329, #943, #4393, and a Job's six retries."""
    await populate(stand)
    running = Standing.RUNNING.value
    naive = copy.deepcopy(polling_only(WEB))
    metric = naive["spec"]["metrics"][0]
    for key in ("inconclusiveLimit", "failureCondition", "consecutiveSuccessLimit"):
        del metric[key]
    assert await argo_says(stand, running, naive, count=3) is argo.Phase.FAILED, "without failureCondition pending is a failure"
    metric["failureCondition"] = polling_only(WEB)["spec"]["metrics"][0]["failureCondition"]
    assert await argo_says(stand, running, naive, count=3) is argo.Phase.INCONCLUSIVE, "paused at the first pending"
    metric["inconclusiveLimit"] = 60
    assert await argo_says(stand, running, naive, count=3) is argo.Phase.SUCCESSFUL, "the count runs out: promoted"
    assert await argo_says(stand, running) is argo.Phase.INCONCLUSIVE

    async def fails(_: argo.Tree) -> int:
        return 1

    args = {"environment": "e", "deploy": "d", "version": "v"}
    assert await argo.Run(changed(JOB, {"failureLimit": 1}), args, containers=fails).finish() is argo.Phase.SUCCESSFUL
    assert await argo.Run(JOB, args, containers=fails).finish() is argo.Phase.FAILED


async def test_r07_the_cases_of_before_are_replayed(stand: Stand) -> None:
    """argo-rollouts#3850, #1329 and #943 (inconclusive, terminated), #3562 (an image that cannot be pulled), #4479 (errors only)."""
    await populate(stand)
    assert await argo_complaints(stand.url, lambda at: at.value, TOKENS[Access.GATE]) == []
    args = {"environment": ENVIRONMENT, "deploy": "d", "version": "v2", "token": "wrong"}
    errors_only = argo.Run(WEB, args, stand.url)
    assert await errors_only.finish() is argo.Phase.ERROR and errors_only.rollout is argo.Rollout.ABORTED

    async def never_starts(_: argo.Tree) -> None:
        return None

    assert await argo.Run(JOB, args, containers=never_starts).finish() is argo.Phase.FAILED
    canary = argo.load((ROOT / "config" / "pipelines" / "argo-web.yaml").read_text(), "Rollout")["spec"]["strategy"]["canary"]
    assert "analysis" not in canary, "inline, where nothing terminates it"


async def test_r08_every_key_is_there_and_typed(stand: Stand) -> None:
    """An empty result aborts with "reflect: slice index out of range" (argo-rollouts#1466), where a pause was wanted (#1905)."""
    assert set(BODY) == {"verdict", "reason", "gate", "sent", "ok", "lost", "pending"}
    for because in (None, *Because):
        content = await document(stand, because, str(because))
        jsonschema.validate(content, SCHEMA)
        assert body_faults(json.dumps(argo_body(content))) == [], because


def test_r09_the_reason_has_numbers_the_limit_and_an_example() -> None:
    """ "failed (1) > failureLimit (0)" explains nothing: argo-rollouts#404, #3008, #3957, #1591; kayenta#733, #521."""
    play = Play(QUICK)
    play.good(4, 1)
    play.probe(bare("gmail-1"), 1)
    lost = [play.probe(app(box), 2, Reason.MISSING, after=480) for box in GMAIL]
    decided = play.ends(490)
    assert decided.verdict is Verdict.FAIL
    assert re.search(r"gmail: 2 of 6 probes .*fails at 2", decided.reason), decided.reason
    assert "control 0 of 1" in decided.reason and lost[0] in decided.reason and play.at(2).iso()[11:19] in decided.reason
    assert decided.example is not None and decided.example.probe == lost[0] and decided.evidence
    content = shown(play, 490)
    explained = drawn(print_explained, content)
    assert lost[0] in explained and "xx" in content["classes"][0]["sequence"] and "gmail" in explained
    assert content["next_step"].startswith("roll back d-2")


def test_r10_a_clean_control_arm_makes_no_ratio() -> None:
    """A baseline without errors and a canary with some: Pass, for a ratio with zero is none (spinnaker#5622, kayenta#799)."""
    play = Play(QUICK, baseline=(5, 0))
    for number in range(6):
        play.probe(bare(GMAIL[number % 2]), 1)
    play.good(4, 1)
    for box in GMAIL:
        play.probe(app(box), 2, Reason.REJECTED)
    decided = play.ends(10)
    (tally,) = decided.classes
    assert decided.verdict is Verdict.FAIL and (tally.control_bad, tally.adverse) == (0, 2)
    assert 0 < (shown(play, 10)["stats"]["p_value"] or 0) < 1, "an exact test stands beside it, and decides nothing"
    alone = Play(replace(QUICK, name="alone"), paths=(APP,))
    alone.good(3, 1)
    for box in GMAIL:
        alone.probe(app(box), 2, Reason.REJECTED)
    assert alone.ends(10).verdict is Verdict.FAIL, "a cap of its own, with nothing to compare with"


async def test_r11_a_retry_adds_evidence_and_erases_none(stand: Stand) -> None:
    """Run again until it is green: cynative#158, karaoke-gen#988; only failures were kept: ol-infrastructure#5972."""
    play = Play(SMALL)
    play.probe(app("gmail-1"), 1, Reason.MISSING)
    play.good(1, 1)
    assert play.ends(SMALL.timeout).verdict is Verdict.INCONCLUSIVE
    play.request(700)
    play.good(3, 701)
    assert play.look(710).decided is None, "one was lost in the first attempt, so three good ones are not enough"
    play.probe(app("gmail-2"), 720, Reason.MISSING)
    failed = play.ends(730)
    assert failed.verdict is Verdict.FAIL and failed.classes[0].adverse == 2, "pooled"
    content = shown(play, 730)
    assert [(row["attempt"], row["verdict"]) for row in content["attempts"]] == [(1, "inconclusive"), (2, "fail")]
    state = await stand.gate("d", Because.LOSSES)
    _, began = await begin(stand.desk, GateAsk("d", QUICK, "ci", version="v2"))
    assert not began and gate_document(stand.desk, state)["verdict"] == "fail", "a fail is for good"
    assert "mailcanary_gate_flips_total" in Metrics(play.policy, play.world, Vitals()).expose("", play.at(730))[0].decode()


def test_r12_what_is_broken_in_both_arms_is_not_the_deploys() -> None:
    """A canary flaked and paged though the baseline flaked too (karaoke-gen#988, ol-infrastructure#5972)."""
    play = Play(SMALL, baseline=(0, 5))
    for box in GMAIL:
        play.probe(bare(box), 1, Reason.MISSING)
        play.probe(app(box), 1, Reason.MISSING)
    decided = play.ends(10)
    assert (decided.verdict, decided.because) == (Verdict.INCONCLUSIVE, Because.BASELINE_BROKEN)
    only = Play(SMALL, baseline=(5, 0))
    for box in GMAIL:
        only.probe(bare(box), 1)
        only.probe(app(box), 1, Reason.MISSING)
    assert only.ends(10).verdict is Verdict.FAIL, "and with a good control arm it is"


def told_of(play: Play, t: float) -> list[Transition]:
    """What people hear of gates at `t`, by our own channels."""
    decision = decide(play.world, Layout.of(play.policy), play.policy, play.at(t))
    return [fact for fact in decision.transitions if fact.symptom is Symptom.GATE_HOLD]


def test_r13_a_gate_ends_and_who_waits_is_told() -> None:
    """Waits for ever, no rollback: flagger#738, #1450, #1801; no alert when a hook fails: #1663."""
    for policy in BUILT_IN.values():
        assert 0 < policy.timeout <= 7_200
        assert Play(policy).look(policy.timeout).decided is not None, "whatever is seen"
    for reason, verdict in ((Reason.MISSING, Verdict.FAIL), (Reason.MAILBOX_BLIND, Verdict.INCONCLUSIVE)):
        play = Play(SMALL, baseline=(5, 0))
        for box in GMAIL:
            play.probe(app(box), 1, reason)
        assert play.ends(SMALL.timeout).verdict is verdict
        (ticket,) = told_of(play, SMALL.timeout + 1)
        assert (ticket.phase, ticket.severity) == (Phase.OPENED, Severity.TICKET)
        assert "d-2" in str(ticket.scope)
        notice = render(ticket, play.policy, "key", Call.FIRE)
        assert "mailcanary gate explain" in notice.text and "d-2" in notice.title + notice.text
        play.tell(ticket)
        assert told_of(play, SMALL.timeout + 2) == [], "once"
    quiet = Play(SMALL)
    quiet.state.requests[0] = replace(quiet.state.request, notify=False)
    quiet.ends(SMALL.timeout)
    assert told_of(quiet, SMALL.timeout + 1) == [], "--no-notify"
    assert "mailcanary_gate" in RULES["MailcanaryGateHolding"]["expr"], "and a second witness, when one runs or holds for long"


def test_r14_a_few_probes_are_no_ratio() -> None:
    """Low traffic breaks ratios: flagger#1035, #1098, #1501."""
    for policy in BUILT_IN.values():
        play = Play(policy)
        needs = play.look(1).needs
        assert sum(route.path == APP for route in needs) >= min(10, policy.plan.most), "it brings its own traffic"
    one = Play(QUICK)
    one.good(1, 1)
    one.probe(app("gmail-1"), 2, Reason.MISSING)
    assert one.look(10).decided is None, "half of two probes lost is no verdict yet"
    ratios = {name: rule["expr"] for name, rule in RULES.items() if "ratio_rate" in rule["expr"]}
    assert ratios
    for name, expression in ratios.items():
        assert re.search(r"\band\b", expression) and re.search(r"increase\(.*\) *\) *>= *[3-9]", expression), name


async def test_r15_an_override_ends_and_stands_in_every_output(stand: Stand) -> None:
    """A gate that somebody had silenced stayed green for ten days (devantler-tech/platform#2972)."""
    state = await stand.gate("d", Because.LOSSES)
    await override(stand.desk, state.id, "ann", "junk at one provider", 10 * 86_400.0)
    assert state.override is not None and state.override.until <= stand.desk.clock.now().utc + 86_400
    content = dict(gate_document(stand.desk, state))
    assert (content["verdict"], content["found"]) == ("pass", "fail")
    jsonschema.validate(content, SCHEMA)
    until = content["override"]["until"]
    forms = {
        "line": final_line(content),
        "json": json.dumps(content["override"]),
        "junit": junit(content),
        "summary": summary_markdown(content),
        "outputs": github_outputs(content),
        "report": drawn(print_gate, content),
        "explained": drawn(print_explained, content),
        "argo": str(argo_body(content)["reason"]),
    }
    for name, text in forms.items():
        for said in ("ann", "junk at one provider", until):
            assert said in text, f"{name}: {text}"
    page = Metrics(stand.desk.policy, stand.desk.world, Vitals()).expose("", stand.desk.clock.now())[0].decode()
    assert re.search(r'mailcanary_gate_overrides_active\{environment="test"\} 1\.0', page)
    assert RULES["MailcanaryGateOverrideActive"]["labels"]["severity"] == "ticket"
    now = stand.desk.clock.now()
    await stand.desk.journal.append([GateOverridden(now, state.id, "ann", "over", now.utc - 1)])
    assert dict(gate_document(stand.desk, state))["verdict"] == "fail", "at its end the gate holds again"

    advised = await stand.gate("advisory", Because.LOSSES, advisory_until=stand.desk.clock.now().utc + 3_600)
    content = dict(gate_document(stand.desk, advised))
    assert content["verdict"] == "pass" and content["found"] == "fail"
    assert all("advisory until" in text for text in (final_line(content), junit(content), str(argo_body(content)["reason"])))
    lapsed = await stand.gate("lapsed", Because.LOSSES, advisory_until=stand.desk.clock.now().utc - 1)
    assert dict(gate_document(stand.desk, lapsed))["verdict"] == "fail"


async def test_r16_the_default_is_no_success(stand: Stand) -> None:
    """The metric said 1 though IMAP had never connected (kmille/smtp_exporter#3)."""
    begun = await document(stand, None, "begun")
    assert begun["verdict"] == "pending" and exit_code(begun) == 3
    assert await argo_says(stand, "begun", count=2, inconclusiveLimit=2) is argo.Phase.INCONCLUSIVE
    play = Play(SMALL)
    play.take(app("gmail-1"), 1)
    play.good(2, 2)
    assert play.look(5).decided is None, "accepted by the relay is not delivered"
    blind = Play(SMALL)
    blind.tell(*(WatchBlind(blind.at(0), MailboxName(name), BlindCause.AUTH_REFUSED, "no", "renew") for name in GMAIL))
    assert blind.ends(SMALL.timeout).verdict is Verdict.INCONCLUSIVE
    ours = Play(SMALL)
    ours.all(4, 1, Reason.INTERNAL)
    assert ours.ends(SMALL.timeout).verdict in (Verdict.INCONCLUSIVE, Verdict.ERROR), "our own errors are not the deploy's"
    assert {verdict for because, verdict in GATE_VERDICT.items() if because is not Because.CLEAN} == set(Verdict) - {Verdict.PASS}
    page = Metrics(stand.desk.policy, stand.desk.world, Vitals()).expose("", stand.desk.clock.now())[0].decode()
    assert "mailcanary_monitor_errors_total{" in page, "own errors are counted apart"
    assert all(line.endswith(" 0.0") for line in page.splitlines() if line.startswith("mailcanary_probe_results_total{")), "all begins at 0"


def test_r17_silence_resolves_nothing() -> None:
    """An alert resolved because its source fell silent: alertmanager#2264, #2312, prometheus#17482; endsAt too short: grafana#38419."""
    play = incidents.Play()
    for minutes, number in ((0, 1), (1, 2), (2, 3), (5, 1), (6, 2)):
        play.probe(relay(number), 60.0 * minutes, Reason.SPAM)
        play.ask(60.0 * minutes + 3)
    opened = [state for state in play.world.incidents.known.values() if state.resolved_at is None and state.opened is not None]
    assert opened
    for hours in range(1, 30):
        assert Phase.RESOLVED not in play.ask(3_600.0 * hours), "no probe for a day: stale, and open"
    assert LIVES == 4
    absent = RULES["MailcanaryMonitorDown"]
    assert "absent" in absent["expr"] and absent["labels"]["severity"] == "page" and RULES["MailcanaryNoFreshResults"]
    assert all("keep_firing_for" in rule for name, rule in RULES.items() if name != "MailcanaryWatchdog")


def test_r18_one_incident_for_one_fault_and_growth_is_told() -> None:
    """One key for everything hid new alerts: alertmanager#1587, #2874, kibana#76908."""
    keys = {dedup_key("prod", symptom, scope) for symptom in Symptom for scope in ("path:app", "all", "deploy:d-1")}
    assert len(keys) == 3 * len(Symptom) and all(len(key) <= 255 for key in keys)
    play = Play(SMALL)
    play.ends(SMALL.timeout)
    (first,) = told_of(play, SMALL.timeout + 1)
    play.tell(first)
    play.request(700)
    for box in GMAIL:
        play.probe(app(box), 701, Reason.MISSING)
    assert play.ends(710).verdict is Verdict.FAIL
    (grown,) = told_of(play, 711)
    assert (grown.phase, grown.incident) == (Phase.GROWN, first.incident), "inconclusive became fail: the same incident, and told again"


@pytest.mark.parametrize("name", RULES)
def test_r19_an_alert_says_what_to_do(name: str) -> None:
    """An alert that says nothing (PagerDuty's alerting principles: a concise title, why it matters, steps or a runbook)."""
    if name == "MailcanaryWatchdog":
        return
    notes = RULES[name]["annotations"]
    assert {"summary", "description", "runbook_url", "dashboard"} <= set(notes)
    page = notes["runbook_url"].rsplit("/", 1)[1]
    assert (ROOT / "docs" / "runbooks" / f"{page}.md").exists()
    assert len(notes["summary"]) <= 120


def test_r19_a_held_gate_says_what_to_do() -> None:
    """The same of what we send ourselves: what broke, since when, the deploy, the next step, the runbook."""
    play = Play(SMALL, baseline=(5, 0))
    play.policy = replace(play.policy, notify=replace(play.policy.notify, runbooks_url="https://runbooks.test"))
    play.tell(Tripped(play.at(2), MailboxName("trap"), 1, "shop.test", ()))
    play.ends(5)
    (ticket,) = told_of(play, 6)
    notice = render(ticket, play.policy, "key", Call.FIRE)
    assert len(notice.title) + len(notice.text) <= 1_024
    assert "tripwire" in notice.text and "d-2" in notice.title
    assert "/gate-hold" in notice.text and "mailcanary gate explain" in notice.text and "began 65.0 s after" in notice.text
