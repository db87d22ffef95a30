"""The runbooks: none is missing, all are alike, and every command that a document shows is one that the parser takes.

That links lead somewhere and that metrics exist is shown for all documents at once, in test_docs.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from monitor.cli import _parser
from monitor.model.facts import Transition
from monitor.model.incident import (
    Confidence,
    DeployCandidate,
    DeployPhase,
    Diagnosis,
    IncidentId,
    Layer,
    Link,
    Opening,
    Phase,
    Scope,
    ScopeKind,
    Severity,
    Tally,
)
from monitor.model.notice import Call
from monitor.model.verdict import Symptom
from monitor.rules.heading import TITLES
from monitor.rules.notice import render
from tests.stages import house
from tests.views.life import at

ROOT = Path(__file__).parents[1]
RUNBOOKS = ROOT / "docs" / "runbooks"
INDEX = (RUNBOOKS / "README.md").read_text()
PAGES = {page.stem: page.read_text() for page in sorted(RUNBOOKS.glob("*.md")) if page.name != "README.md"}
DOCUMENTS = {at.relative_to(ROOT).as_posix(): at.read_text() for at in [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]}
ON_CALL = {f"docs/runbooks/{name}.md": text for name, text in PAGES.items()} | {"docs/runbooks/README.md": INDEX}
ON_CALL["docs/on-call.md"] = DOCUMENTS["docs/on-call.md"]

SECTIONS = (
    "What it means",
    "Is it real?",
    "Who is affected",
    "First five minutes",
    "Where to look",
    "It is over when",
    "Refunds afterwards",
    "Whom to wake",
)
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^ {4,}(?=\S).*$", re.MULTILINE)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def page_of(symptom: Symptom) -> str:
    return symptom.value.replace("_", "-")


def alerts() -> Iterator[tuple[str, str]]:
    """(alert, its runbook) of all the rules that we ship."""
    for file in sorted((ROOT / "config" / "prometheus").glob("*.rules.yaml")):
        for group in yaml.safe_load(file.read_text())["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    yield rule["alert"], rule["annotations"]["runbook_url"].rsplit("/", 1)[1]


ALERTS = sorted(set(alerts()))
OF_SYMPTOMS = {page_of(symptom) for symptom in Symptom}


# ---- none is missing, none is left over ------------------------------------------------------------------------------


@pytest.mark.parametrize("symptom", Symptom)
def test_every_symptom_has_its_page(symptom: Symptom) -> None:
    page = PAGES[page_of(symptom)]
    assert page.startswith(f"# {TITLES[symptom]}\n\nSymptom `{symptom.value}`. All of them: [README.md](README.md).\n")
    assert f"\n| `{symptom.value}` | {TITLES[symptom]} | [{page_of(symptom)}.md]({page_of(symptom)}.md) |\n" in INDEX


@pytest.mark.parametrize(("alert", "page"), ALERTS)
def test_every_alert_has_its_page(alert: str, page: str) -> None:
    assert page in PAGES
    assert f"\n| `{alert}` | [{page}.md]({page}.md) |\n" in INDEX
    if page not in OF_SYMPTOMS:
        assert f"`{alert}`" in PAGES[page].split("\n## ")[0]


def test_no_page_is_left_over() -> None:
    assert PAGES.keys() == OF_SYMPTOMS | {page for _, page in ALERTS}


def test_the_index_names_nothing_else() -> None:
    assert set(re.findall(r"^\| `(Mailcanary\w+)` \|", INDEX, re.MULTILINE)) == {alert for alert, _ in ALERTS}
    assert set(re.findall(r"^\| `([a-z_]+)` \|", INDEX, re.MULTILINE)) == {symptom.value for symptom in Symptom}


# ---- all are alike ---------------------------------------------------------------------------------------------------


def sections(page: str) -> dict[str, str]:
    found = re.split(r"^## (.+)\n", page, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_the_same_sections_in_the_same_order(name: str) -> None:
    assert re.findall(r"^## (.+)$", PAGES[name], re.MULTILINE) == list(SECTIONS)
    assert all(text.strip() for text in sections(PAGES[name]).values())


@pytest.mark.parametrize("name", PAGES)
def test_the_first_five_minutes_are_numbered_and_have_commands(name: str) -> None:
    first = sections(PAGES[name])["First five minutes"]
    steps = [int(number) for number in re.findall(r"^(\d+)\. ", first, re.MULTILINE)]
    assert steps == list(range(1, len(steps) + 1))
    assert 3 <= len(steps) <= 6  # for a tired person
    assert list(calls(first)) != []
    if name in OF_SYMPTOMS:
        assert "mailcanary incident show INC-12" in first
    if name != "monitor-down":  # there is no page to look at then
        assert "`/`" in sections(PAGES[name])["Where to look"]


# ---- the words on them exist -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ON_CALL)
def test_alerts_that_are_mentioned_exist(name: str) -> None:
    of_notices = {"MailcanaryIncident", "MailcanaryTest"}  # by these names Alertmanager knows what is pushed
    assert set(re.findall(r"\bMailcanary[A-Z]\w+", ON_CALL[name])) <= {alert for alert, _ in ALERTS} | of_notices


@functools.cache
def keys() -> frozenset[str]:
    """Every key of the configuration, as a dotted path; names that the user gives are left out."""
    document = json.loads((ROOT / "config" / "mailcanary.schema.json").read_text())

    def walk(node: object, path: tuple[str, ...], seen: tuple[str, ...]) -> Iterator[str]:
        if isinstance(node, list):
            for each in node:
                yield from walk(each, path, seen)
        if not isinstance(node, dict):
            return
        reference = node.get("$ref")
        if isinstance(reference, str) and reference not in seen:
            yield from walk(document["$defs"][reference.rsplit("/", 1)[1]], path, (*seen, reference))
        for name, child in node.get("properties", {}).items():
            yield ".".join((*path, name))
            yield from walk(child, (*path, name), seen)
        for inner in ("additionalProperties", "items", "anyOf", "oneOf", "allOf"):
            yield from walk(node.get(inner), path, seen)
        for inner in node.get("patternProperties", {}).values():
            yield from walk(inner, path, seen)

    return frozenset(walk(document, (), ()))


def unknown_keys(text: str) -> list[str]:
    """Dotted names in backticks that begin, or end, like a key of ours, and are none."""
    tops = {key.partition(".")[0] for key in keys()} | {"folders"}
    found = [name for name in INLINE.findall(FENCE.sub("", text)) if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", name)]
    return [
        name
        for name in found
        if name.partition(".")[0] in tops and not any(key == name or key.endswith(f".{name}") for key in keys()) and not _is_file(name)
    ]


def _is_file(name: str) -> bool:
    return name.endswith((".yaml", ".md", ".json", ".csv", ".py", ".example"))


@pytest.mark.parametrize("name", ON_CALL)
def test_keys_of_the_configuration_that_are_mentioned_exist(name: str) -> None:
    assert unknown_keys(ON_CALL[name]) == []


def panels() -> dict[str, set[str]]:
    """Dashboard -> the titles of its panels and rows."""
    found = {}
    for file in sorted((ROOT / "grafana" / "dashboards").glob("*.json")):
        board = json.loads(file.read_text())
        found[board["title"].removeprefix("mailcanary: ")] = {panel["title"] for panel in board["panels"]}
    return found


@pytest.mark.parametrize("name", PAGES)
def test_dashboards_and_panels_that_are_named_exist(name: str) -> None:
    known, shown = panels(), " ".join(sections(PAGES[name])["Where to look"].split())
    for board, rest in re.findall(r"Grafana, dashboard \*([^*]+)\*: (.*?)(?= \* [A-Z]|$)", shown):
        assert board in known
        assert set(re.findall(r"\*([^*]+)\*", rest)) - known[board] == set()
        assert "*" in rest


# ---- the notice that on-call learns to read --------------------------------------------------------------------------

DEPLOYED = DeployCandidate("512", DeployPhase.FINISH, "checkout", "v512", "ana", at(-91), 221.0, Link.BRACKETED)
OPENED = Transition(
    at=at(660),
    incident=IncidentId("INC-42"),
    phase=Phase.OPENED,
    symptom=Symptom.DELIVERY_MISSING,
    scope=Scope(ScopeKind.PATH, "app"),
    severity=Severity.PAGE,
    episode=1,
    since=at(130),
    routes=("app/gmail-1", "app/gmail-2", "app/outlook-1"),
    opening=Opening.CONFIRMED,
    last_good=at(-118),
    tallies=(Tally("app", "gmail", 6, 8), Tally("app", "outlook", 2, 2)),
    diagnosis=Diagnosis(
        layer=Layer.APPLICATION,
        summary="mail of app does not arrive at gmail, outlook, while that of relay is fine: the application",
        shows=("app fails: gmail 6/8, outlook 2/2", "relay arrives: gmail 4/4, outlook 4/4"),
        next_step="roll back checkout v512, then watch the next probes of app",
        confidence=Confidence.HIGH,
    ),
    deploys=(DEPLOYED,),
)


def test_the_notice_that_is_explained_is_as_the_renderer_writes_it(tmp_path: Path) -> None:
    loaded = house.policy(tmp_path)
    urls = replace(loaded.notify, public_url="https://canary.shop.example", runbooks_url="https://runbooks.shop.example")
    notice = render(OPENED, replace(loaded, environment="prod", notify=urls), "INC-42-1-1", Call.FIRE)
    (shown,) = re.findall(r"^```text\n(.*?)^```", DOCUMENTS["docs/on-call.md"], re.MULTILINE | re.DOTALL)
    assert shown == f"{notice.title}\n{notice.text}\n"
    section = sections(DOCUMENTS["docs/on-call.md"])["The first line, word by word"]
    rest = notice.title
    for words in re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE):
        assert words in rest
        rest = rest.replace(words, "", 1)
    assert re.fullmatch(r"[ :;()]*", rest)  # every word of it is explained


# ---- every command is one that the parser takes ----------------------------------------------------------------------


def calls(text: str) -> Iterator[list[str]]:
    """The arguments of every call of mailcanary in a block of code: what a shell would hand over. Comments, pipes, redirections and
    a prompt are none of them; what stands behind `--` in a call of kubectl is."""
    blocks = [
        re.sub(r"^ +", "", body, flags=re.MULTILINE) for _, language, body in FENCE.findall(text) if language in ("", "sh", "console")
    ]
    blocks += [line.strip() for line in INDENTED.findall(FENCE.sub("", text))]
    for block in blocks:
        for line in block.replace("\\\n", " ").splitlines():
            yield from _called(line)


def _called(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&<>")
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:
        return  # no line of a shell: prose, or a drawing
    call: list[str] | None = None
    for before, word in zip(["", *words], words, strict=False):
        if set(word) <= set("|;&<>"):
            if call is not None:
                yield call
            call = None
        elif call is not None:
            call.append(word)
        elif re.fullmatch(r"(.*/)?mailcanary", word) and (before in ("", "$", "--") or set(before) & set("=|;&")):
            call = []
    if call:
        yield call


def complaint(call: list[str]) -> str:
    """What the parser has against it; empty: nothing."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            _parser().parse_args(call)
        except SystemExit as end:
            return "" if end.code in (0, None) else said.getvalue().strip().splitlines()[-1]
    return ""


def _is_prompted(call: list[str]) -> bool:
    """Words of ours after the name, as in the output of a command: `mailcanary 0.1.0 is ready`."""
    return bool(call) and re.fullmatch(r"-{1,2}[a-z][a-z-]*|[a-z][a-z-]*", call[0]) is not None


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_in_code_is_one_that_the_parser_takes(name: str) -> None:
    assert [
        f"mailcanary {shlex.join(call)}: {what}" for call in calls(DOCUMENTS[name]) if _is_prompted(call) and (what := complaint(call))
    ] == []


def actions() -> dict[tuple[str, ...], argparse.ArgumentParser]:
    """Every command, and every action of one."""
    found: dict[tuple[str, ...], argparse.ArgumentParser] = {}

    def walk(parser: argparse.ArgumentParser, path: tuple[str, ...]) -> None:
        found[path] = parser
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, sub in action.choices.items():
                    walk(sub, (*path, name))

    walk(_parser(), ())
    return found


def unknown_actions(text: str) -> list[str]:
    """Commands in running text whose action does not exist; what else stands there may be left out, or stand for something."""
    known, wrong = actions(), []
    for code in INLINE.findall(FENCE.sub("", text)):
        words = code.split()
        if words[:1] != ["mailcanary"] or len(words) < 2 or not re.fullmatch(r"[a-z][a-z-]*", words[1]):
            continue
        if (words[1],) not in known:
            wrong.append(code)
        elif any(path[:1] == (words[1],) and len(path) == 2 for path in known) and len(words) > 2 and re.fullmatch(r"[a-z|-]+", words[2]):
            wrong += [code for action in words[2].split("|") if (words[1], action) not in known and not action.startswith("-")]
    return wrong


@pytest.mark.parametrize("name", ON_CALL)
def test_every_command_in_text_that_has_options_is_one_that_the_parser_takes(name: str) -> None:
    """Where people copy from. Without options it may be the name of a command only."""
    said = [code for code in INLINE.findall(FENCE.sub("", ON_CALL[name])) if re.match(r"mailcanary [a-z]", code)]
    whole = [call for code in said if " --" in code or "INC-" in code for call in _called(code)]
    assert [f"mailcanary {shlex.join(call)}: {what}" for call in whole if (what := complaint(call))] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_in_text_exists(name: str) -> None:
    assert unknown_actions(DOCUMENTS[name]) == []


def test_symptoms_and_scopes_of_silences_that_are_shown_exist() -> None:
    shown = [call for text in DOCUMENTS.values() for call in calls(text) if call[:2] == ["silence", "add"]]
    named = {call[place + 1] for call in shown for place, word in enumerate(call) if word == "--symptom"}
    scopes = {call[place + 1].partition(":")[0] for call in shown for place, word in enumerate(call) if word == "--scope"}
    assert shown != []
    assert named <= {symptom.value for symptom in Symptom}
    assert scopes <= {"path", "provider", "mailbox", "domain", "ledger", "all", "deploy"}
    assert all({"--for", "--reason"} <= set(call) and {"--scope", "--symptom"} & set(call) for call in shown)


# ---- the checks themselves -------------------------------------------------------------------------------------------


def test_the_checks_find_what_is_wrong() -> None:
    text = (
        "Try `mailcanary incident frobnicate` or `mailcanary incident ack|burn`, `notify.nothing` and `folders.spam`.\n\n"
        '1. First:\n\n   ```sh\n   $ mailcanary incident ack INC-12 --text "a | b" # mine\n'
        "   mailcanary incident silence INC-12\n   kubectl exec x -c y -- mailcanary ledger show --kind nonsense > /tmp/x\n   ```\n"
    )
    assert unknown_actions(text) == ["mailcanary incident frobnicate", "mailcanary incident ack|burn"]
    assert unknown_keys(text) == ["notify.nothing"]
    assert [call[:2] for call in calls(text)] == [["incident", "ack"], ["incident", "silence"], ["ledger", "show"]]
    wrong = [complaint(call) for call in calls(text)]
    assert wrong[0] == ""
    assert "--for" in wrong[1]
    assert "nonsense" in wrong[2]
