"""The examples of config/pipelines are what they say: valid for the tool that reads them, and every command in them is one of ours."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from monitor.cli import _parser
from monitor.model.gate import BUILT_IN
from monitor.model.policy import Access
from monitor.settings import parse_duration
from tests.pipelines import argo, commands, flagger
from tests.pipelines.expectations import EXAMPLES
from tests.pipelines.fields import HOOK_TYPES, document_faults

EXAMPLE_FILES = {path.name: path.read_text() for path in sorted(EXAMPLES.iterdir())}
DOCUMENTS = [
    (name, document) for name in ("argo-web.yaml", "argo-job.yaml", "flagger.yaml") for document in yaml.safe_load_all(EXAMPLE_FILES[name])
]
WORKFLOW: dict[str, Any] = yaml.safe_load(EXAMPLE_FILES["github.yaml"])
PIPELINE: dict[str, Any] = yaml.safe_load(EXAMPLE_FILES["gitlab.yaml"])
CANARY: dict[str, Any] = yaml.safe_load(EXAMPLE_FILES["flagger.yaml"])
WEB, JOB = (argo.load(EXAMPLE_FILES[f"argo-{kind}.yaml"]) for kind in ("web", "job"))
JENKINS = EXAMPLE_FILES["Jenkinsfile"]
VENDORED = {"github.yaml": ("vendor.github-workflows",), "gitlab.yaml": ("vendor.gitlab-ci", "--data-transform", "gitlab-ci")}


def test_nothing_else_is_shipped() -> None:
    assert set(EXAMPLE_FILES) == {"Jenkinsfile", "argo-job.yaml", "argo-web.yaml", "flagger.yaml", "github.yaml", "gitlab.yaml"}


# --- command lines ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", commands.everywhere())
def test_every_command_is_one_of_ours(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = commands.everywhere()[name]
    for words in lines:
        try:
            read = _parser().parse_args(words)
        except SystemExit:
            pytest.fail(f"{' '.join(words)}: {capsys.readouterr().err}")
        for flag in ("timeout", "advisory", "length", "deadline"):
            if getattr(read, flag, None):
                parse_duration(getattr(read, flag))
    if name not in ("argo-web.yaml", "flagger.yaml"):
        assert any(words[:2] == ["gate", "run"] for words in lines), "the example asks for a gate"


def test_a_command_that_is_none_of_ours_is_found() -> None:
    assert commands.in_text("  run: mailcanary gate run --deploy x \\\n     --junit f\n") == [
        ["gate", "run", "--deploy", "x", "--junit", "f"]
    ]
    assert commands.in_text("""      sh 'mailcanary deploy start --deploy "$A"'\n""") == [["deploy", "start", "--deploy", "$A"]]
    assert commands.in_text("""  script: 'mailcanary gate run --deploy "$A"'\n""") == [["gate", "run", "--deploy", "$A"]]
    assert commands.in_text("the prose of mailcanary gate run is no command\n") == []
    with pytest.raises(SystemExit):
        _parser().parse_args(["gate", "run", "--deploi", "x"])


def lasts(words: list[str]) -> float:
    """Seconds that a `gate run` may take: what it is told, or what its policy gives an attempt; and half a minute to hear of its end."""
    read = _parser().parse_args(words)
    return (parse_duration(read.timeout) if read.timeout else BUILT_IN[read.policy or "quick"].timeout) + 30


def test_markers_and_gate_name_the_same_deploy() -> None:
    """Otherwise the gate knows neither when the deploy began nor which version is under test."""
    for name in ("github.yaml", "gitlab.yaml", "Jenkinsfile"):
        lines = commands.everywhere()[name]
        assert {read.deploy for words in lines if (read := _parser().parse_args(words))} == {lines[0][lines[0].index("--deploy") + 1]}
        actions = [words[1] for words in lines if words[0] == "deploy"]
        assert actions[0] == "start" and set(actions) == {"start", "finish", "rollback"}
        for words in lines:
            if words[:2] == ["gate", "run"]:
                read = _parser().parse_args(words)
                assert read.junit and read.environment and (read.version or read.sha)


# --- GitHub and GitLab -----------------------------------------------------------------------------------------------


def vendored_says(name: str, text: str, directory: Path) -> subprocess.CompletedProcess[str]:
    file = directory / name
    file.write_text(text)
    schema, *more = VENDORED[name]
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *more, str(file)]
    return subprocess.run(words, capture_output=True, text=True, timeout=50, check=False)


@pytest.mark.parametrize("name", VENDORED)
def test_valid_for_its_own_schema(name: str, tmp_path: Path) -> None:
    said = vendored_says(name, EXAMPLE_FILES[name], tmp_path)
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("github.yaml", "timeout-minutes: 45", "timeout-minuts: 45"),
        ("gitlab.yaml", "allow_failure: { exit_codes: [3] }", "allow_failure: 3"),
    ],
)
def test_the_schema_would_find_a_slip(name: str, right: str, wrong: str, tmp_path: Path) -> None:
    assert right in EXAMPLE_FILES[name]
    assert vendored_says(name, EXAMPLE_FILES[name].replace(right, wrong), tmp_path).returncode == 1


def test_github_keeps_tokens_apart_and_lets_nothing_pass() -> None:
    (job,) = WORKFLOW["jobs"].values()
    steps = job["steps"]
    assert not any("continue-on-error" in each for each in (job, *steps)), "no step of it may be red and the job green"
    tokens = {step["env"]["MAILCANARY_TOKEN"]: step["run"] for step in steps if "env" in step}
    assert set(tokens) == {"${{ secrets.MAILCANARY_DEPLOY_TOKEN }}", "${{ secrets.MAILCANARY_GATE_TOKEN }}"}
    names = [step.get("id", step.get("name", "")) for step in steps]
    assert names.index("gate") < names.index("Promote") and "if" not in steps[names.index("Promote")], "promoted only after a pass"
    (gate,) = commands.in_text(steps[names.index("gate")]["run"])
    assert 60 * steps[names.index("gate")]["timeout-minutes"] > lasts(gate)
    assert WORKFLOW["concurrency"]["cancel-in-progress"] is False
    assert all("${{ github." not in step.get("run", "") for step in steps), "what others write does not go into a script"


def test_gitlab_decides_by_the_exit_code() -> None:
    gate, review = PIPELINE["refund-mail"], PIPELINE["refund-mail-review"]
    assert "allow_failure" not in gate and review["allow_failure"] == {"exit_codes": [3]}
    for job in (gate, review):
        assert job["artifacts"]["when"] == "always" and job["artifacts"]["reports"]["junit"].endswith(".xml")
        (line,) = commands.in_text("\n".join(job["script"]))
        read = _parser().parse_args(line)
        assert read.junit == job["artifacts"]["reports"]["junit"] and read.environment == job["environment"]["name"]
        assert parse_duration(job["timeout"]) > lasts(line), "the job must outlive the gate, or nobody writes the report"
    assert PIPELINE["promote"]["needs"] == ["refund-mail"]


# --- Jenkins ---------------------------------------------------------------------------------------------------------


def unbalanced(text: str) -> str:
    """The first bracket of a Groovy file that closes nothing or is never closed; comments and strings do not count."""
    bare = re.sub(r"""//[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*\"""", "", text)
    closing = {")": "(", "]": "[", "}": "{"}
    open_: list[str] = []
    for char in bare:
        if char in closing.values():
            open_.append(char)
        elif char in closing and (not open_ or open_.pop() != closing[char]):
            return char
    return open_[-1] if open_ else ""


def test_the_jenkinsfile_holds_together() -> None:
    assert unbalanced(JENKINS) == ""
    assert unbalanced(JENKINS.replace("script {", "script", 1)) and unbalanced(JENKINS[:-3])
    assert JENKINS.count("'") % 2 == 0
    stages = re.findall(r"stage\('([^']+)'\)", JENKINS)
    assert stages == ["Canary", "Refund mail", "Promote"]


def test_jenkins_lets_only_zero_pass() -> None:
    assert re.search(r"returnStatus: true,\s+script: 'mailcanary gate run ", JENKINS), "otherwise sh fails before junit reads the report"
    assert re.search(r"if \(rc == 3\) \{\s+unstable\([^\n]+\n\s+\} else if \(rc != 0\) \{\s+error\(", JENKINS)
    assert "allowEmptyResults" not in JENKINS and "catchError" not in JENKINS
    promote = JENKINS[JENKINS.index("stage('Promote')") :]
    assert "when { expression { currentBuild.currentResult == 'SUCCESS' } }" in promote, "UNSTABLE is no pass"


# --- Kubernetes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "document"), DOCUMENTS, ids=[f"{name}-{document['kind']}" for name, document in DOCUMENTS])
def test_every_field_is_one_of_its_kind(name: str, document: dict[str, Any]) -> None:
    assert document_faults(document) == []


@pytest.mark.parametrize(
    ("document", "where", "slip"),
    [
        (WEB, ("spec", "metrics", 1), "consecutiveSuccesLimit"),
        (WEB, ("spec", "metrics", 1, "provider", "web"), "timeout"),
        (WEB, ("spec", "args", 3, "valueFrom"), "secretRef"),
        (JOB, ("spec", "metrics", 0, "provider", "job"), "template"),
        (CANARY, ("spec", "analysis"), "treshold"),
        (CANARY, ("spec", "analysis", "webhooks", 0), "headers"),
    ],
)
def test_a_typing_slip_is_found(document: dict[str, Any], where: tuple[str | int, ...], slip: str) -> None:
    spoiled = copy.deepcopy(document)
    place: Any = spoiled
    for key in where:
        place = place[key]
    place[slip] = 1
    assert document_faults(spoiled) == ["".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in where) + f".{slip}: unknown"]


def test_a_missing_or_misshapen_field_is_found() -> None:
    spoiled = copy.deepcopy(CANARY)
    del spoiled["spec"]["targetRef"]
    spoiled["spec"]["analysis"]["threshold"] = "3"
    assert len(document_faults(spoiled)) == 2


@pytest.mark.parametrize("version", ["1.29", kubernetes_validate.latest_version()])
def test_what_kubernetes_reads_is_valid_for_it(version: str) -> None:
    """The job's spec as a Job, the rollout's pods as a Deployment, strictly: the custom kinds around them are checked above."""
    spec = JOB["spec"]["metrics"][0]["provider"]["job"]["spec"]
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "gate"}, "spec": spec}
    kubernetes_validate.validate(job, version, strict=True)
    rollout = argo.load(EXAMPLE_FILES["argo-web.yaml"], "Rollout")
    pods = {key: rollout["spec"][key] for key in ("replicas", "selector", "template")}
    kubernetes_validate.validate(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": pods}, version, strict=True
    )
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**job, "spec": {**spec, "backofLimit": 0}}, version, strict=True)


# --- what the limits must be -----------------------------------------------------------------------------------------


def test_the_web_template_cannot_promote_by_accident() -> None:
    begin, poll = WEB["spec"]["metrics"]
    expected = {
        "interval": "15s", "count": 60, "failureLimit": 0, "inconclusiveLimit": 60, "consecutiveSuccessLimit": 1,
        "consecutiveErrorLimit": 4,
        "successCondition": 'result.verdict == "pass"', "failureCondition": 'result.verdict == "fail"',
    }  # fmt: skip
    assert {key: poll[key] for key in expected} == expected
    assert argo.seconds(poll["initialDelay"]) > argo.seconds(f"{begin['provider']['web']['timeoutSeconds']}s"), "begin is through by then"
    assert begin["provider"]["web"]["method"] == "POST" and begin["failureLimit"] == 0
    assert "dryRun" not in WEB["spec"], "what is tried dry decides nothing"


def test_the_web_template_waits_as_long_as_the_policy_may_take() -> None:
    begin, poll = WEB["spec"]["metrics"]
    policy = BUILT_IN[begin["provider"]["web"]["jsonBody"]["policy"]]
    polls = argo.seconds(poll["initialDelay"]) + (poll["count"] - 1) * argo.seconds(poll["interval"])
    assert polls >= policy.timeout


def test_inline_and_never_in_the_background() -> None:
    canary = argo.load(EXAMPLE_FILES["argo-web.yaml"], "Rollout")["spec"]["strategy"]["canary"]
    assert "analysis" not in canary, "that would be background analysis: terminated without a verdict it is Successful"
    (step,) = (step["analysis"] for step in canary["steps"] if "analysis" in step)
    assert step["templates"] == [{"templateName": WEB["metadata"]["name"]}]
    given = {each["name"] for each in step["args"]}
    needed = {each["name"] for each in WEB["spec"]["args"] if "value" not in each and "valueFrom" not in each}
    assert given == needed
    assert canary["steps"][0] == {"setWeight": 10}, "the canary has traffic before the gate asks"


def test_the_job_has_one_try_and_an_end() -> None:
    (metric,) = JOB["spec"]["metrics"]
    spec = metric["provider"]["job"]["spec"]
    assert (metric["count"], metric["failureLimit"], spec["backoffLimit"]) == (1, 0, 0)
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert spec["activeDeadlineSeconds"] > lasts(commands.in_job()), "the command ends first, and says why"
    assert "secretKeyRef" in str(spec["template"]["spec"]["containers"][0]["env"]) and "token" not in " ".join(commands.in_job()).lower()


def test_flagger_has_each_hook_with_the_token_of_its_role() -> None:
    hooks = {each["type"]: each for each in CANARY["spec"]["analysis"]["webhooks"]}
    assert set(hooks) == {"rollout", "confirm-promotion", "rollback", "event"} <= set(HOOK_TYPES)
    roles = {"rollout": Access.GATE, "confirm-promotion": Access.GATE, "rollback": Access.ROLLBACK, "event": Access.DEPLOY}
    for kind, role in roles.items():
        path = kind.partition("-")[0]
        assert hooks[kind]["url"] == f"http://flagger:${{MAILCANARY_{role.name}_TOKEN}}@mailcanary.shop:9464/v1/flagger/{path}"
    waits = sum(
        (1 + each.get("retries", 0)) * flagger.seconds(each.get("timeout", "10s")) for kind, each in hooks.items() if kind != "event"
    )
    assert waits < flagger.seconds(CANARY["spec"]["analysis"]["interval"]), "the hooks of one tick fit into it"
    assert all(flagger.seconds(each.get("timeout", "10s")) < 10 or kind == "event" for kind, each in hooks.items())
    for kind in ("rollout", "confirm-promotion", "event"):
        assert hooks[kind]["metadata"]["version"] == "${VERSION}", "nothing else says which version is under test"
        assert not set(hooks[kind]["metadata"]) & set(flagger.OWN_METADATA), "Flagger would write its own over it"


@pytest.mark.parametrize("name", EXAMPLE_FILES)
def test_no_secret_is_written_down(name: str) -> None:
    text = EXAMPLE_FILES[name]
    assert not re.search(r"(?i)token\s*[:=]\s*['\"]?[A-Za-z0-9]{16,}", text)
    assert all(ord(char) < 128 for char in text) and max(map(len, text.splitlines())) <= 190
