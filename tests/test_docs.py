"""The documents against the code: links, files, metrics, commands and options that they mention must exist."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.cli import _parser
from monitor.edge.secret import SystemSecrets
from monitor.model.facts import Entry, Reconciled
from monitor.model.instant import Instant
from monitor.model.ledger import Side, SourceStanding, Standing
from monitor.model.sources import LedgerPolicy, PushSource, SourcePolicy
from monitor.settings import load
from monitor.surface.metrics import Metrics, Vitals
from monitor.views.world import World

ROOT = Path(__file__).parents[1]
DOCUMENTS = {at.relative_to(ROOT).as_posix(): at.read_text() for at in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]}
DECISIONS = {name: text for name, text in DOCUMENTS.items() if name.startswith("docs/decisions/")}
OURS = ("monitor/", "tests/", "config/", "docs/", "bench/", "grafana/", ".ci/")  # what begins like this is a path of this repository
FILES = re.compile(r"[\w.-]+\.(?:md|toml|yaml|json|txt)|Makefile|Dockerfile|LICENSE")

FENCE = re.compile(r"^( *)```[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
INDENTED = re.compile(r"^    .*$", re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?: \"[^\"]*\")?\)")


def prose(text: str) -> str:
    return FENCE.sub("", text)


def code(text: str) -> Iterator[str]:
    """Whatever is printed as code: fenced, indented, or inline."""
    yield from (block[1] for block in FENCE.findall(text))
    yield from INLINE.findall(prose(text))
    yield from INDENTED.findall(prose(text))


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(name: str, text: str) -> Iterator[str]:
    for target in LINK.findall(prose(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        at = (ROOT / name).parent / path if path else ROOT / name
        if not at.exists() or (anchor and anchor not in anchors(at.read_text())):
            yield target


def dead_paths(name: str, text: str) -> Iterator[str]:
    """Paths in backticks that begin like ours, and plain names of documents and settings files."""
    for found in INLINE.findall(prose(text)):
        path = re.sub(r":\d+$", "", found.split("::")[0].split(" ")[0])
        if path.startswith(OURS) and not set(path) & set("*<{$"):
            if not (ROOT / path).exists():
                yield found
        elif FILES.fullmatch(found) and not any((place / found).exists() for place in (ROOT, ROOT / "config", (ROOT / name).parent)):
            yield found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    assert list(dead_links(name, DOCUMENTS[name])) == []


USERS_OWN = {"mailcanary.yaml", "subject.txt", "message.txt", "message.html"}  # files that a user makes


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_are_mentioned_exist(name: str) -> None:
    assert [path for path in dead_paths(name, DOCUMENTS[name]) if path not in USERS_OWN] == []


# ---- metrics ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exposed() -> set[str]:
    """Every name on /metrics, and the family names that it belongs to."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in re.findall(r"\{env: (\w+)\}", (ROOT / "config" / "mailcanary.yaml").read_text()):
            patch.setenv(variable, "0123456789abcdef0123456789abcdef")
        policy = load(ROOT / "config" / "mailcanary.yaml", SystemSecrets()).policy
    world, standing = World(), SourceStanding("shop", Side.REFUNDS, 0.0, 0.0, 0.0, 0.0, 0.0)
    ledger = LedgerPolicy(sources={"shop": SourcePolicy("shop", Side.REFUNDS, PushSource(), 60.0, 0.0)})  # without one they are absent
    world.fold(Entry(1, "reconciled", Reconciled(Instant(0.0, 0.0, ""), Standing())))
    metrics = Metrics(replace(policy, ledger=ledger), world, Vitals())
    metrics.sources_read([standing])
    page = metrics.expose("")[0].decode()
    samples = set(re.findall(r"^(mailcanary_\w+)", page, re.MULTILINE)) | set(re.findall(r"^# TYPE (\w+)", page, re.MULTILINE))
    return samples | {name.removesuffix("_total") for name in samples}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_metrics_that_are_mentioned_exist(name: str, exposed: set[str]) -> None:
    mentioned = set(re.findall(r"\bmailcanary_[a-z][a-z_]*[a-z]\b(?!\*)", DOCUMENTS[name]))
    assert mentioned - exposed == set()


# ---- the first configuration -----------------------------------------------------------------------------------------


def test_what_the_readme_configures_can_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever copies it sees the page and the incidents: the only note is that nobody is paged yet."""
    (text,) = (textwrap.dedent(block[1]) for block in FENCE.findall(DOCUMENTS["README.md"]) if "state_dir:" in block[1])
    for variable in re.findall(r"\{env: (\w+)\}", text):
        monkeypatch.setenv(variable, "0123456789abcdef0123456789abcdef")
    (tmp_path / "mailcanary.yaml").write_text(text)
    assert [note.key for note in load(tmp_path / "mailcanary.yaml", SystemSecrets()).notes] == ["notify"]


# ---- commands --------------------------------------------------------------------------------------------------------


def commands() -> dict[str, set[str]]:
    """name -> its options, those of its own commands included, as the parser has them."""
    (subparsers,) = (action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction))
    return {name: set(options(sub)) for name, sub in subparsers.choices.items()}


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from options(sub)


def called(text: str) -> Iterator[tuple[str, list[str]]]:
    """(command, options) of every call of mailcanary in code; a pipe, a semicolon or a comment ends a call."""
    for block in code(text):
        for line in block.replace("\\\n", " ").splitlines():
            for call in re.finditer(r"(?:^|[\s/$])mailcanary ([a-z][a-z-]*)\b([^|;&#]*)", line):
                yield call[1], re.findall(r"(?<=\s)--[a-z][a-z-]*", call[2])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_and_options_that_are_mentioned_exist(name: str) -> None:
    known = commands()
    unknown = [command for command, _ in called(DOCUMENTS[name]) if command not in known]
    assert unknown == []
    assert [
        f"{command} {option}" for command, options in called(DOCUMENTS[name]) for option in options if option not in known[command]
    ] == []


def test_make_targets_that_are_mentioned_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    mentioned = {target for text in DOCUMENTS.values() for block in code(text) for target in re.findall(r"(?:^|\s)make ([a-z]+)\b", block)}
    assert mentioned <= targets


def test_the_changelog_names_every_command() -> None:
    assert {command for command, _ in called(DOCUMENTS["CHANGELOG.md"])} >= commands().keys()


# ---- decisions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DECISIONS)
def test_a_decision_is_short_and_whole(name: str) -> None:
    text = DECISIONS[name]
    assert len(text.splitlines()) <= 25
    assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
    assert text.startswith(f"# {int(Path(name).name[:4])}. ")


# ---- the checks themselves -------------------------------------------------------------------------------------------


def test_the_checks_find_what_is_wrong() -> None:
    text = "See [this](nowhere.md), [that](flow.md#no-such-heading), `monitor/nowhere.py`, `nothing.yaml` and `monitor/app.py`.\n"
    assert list(dead_links("docs/flow.md", text)) == ["nowhere.md", "flow.md#no-such-heading"]
    assert list(dead_paths("docs/flow.md", text)) == ["monitor/nowhere.py", "nothing.yaml"]
    calls = "Try `mailcanary probe --format json | jq`:\n\n```sh\n$ mailcanary frobnicate --now # --not-this\n```\n\nmailcanary is prose.\n"
    assert sorted(called(calls)) == [("frobnicate", ["--now"]), ("probe", ["--format"])]
