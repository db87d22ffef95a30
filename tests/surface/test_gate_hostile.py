"""Whatever peers, mails and people write: no form of a gate says more than it may, breaks, grows, or becomes a command."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.cells import cell_len
from rich.console import Console

from monitor.model.facts import DeployMarked, Entry, Fact, GateDecided, GateOverridden, GateRequested
from monitor.model.gate import Because
from monitor.model.policy import Policy
from monitor.model.verdict import Reason
from monitor.surface.deploys import deploy_rows
from monitor.surface.gate import (
    argo_body,
    exit_code,
    final_line,
    gates_summary,
    github_commands,
    github_outputs,
    junit,
    print_explained,
    print_gate,
    summary_markdown,
    unanswered,
)
from monitor.surface.gate.lines import LONGEST_BODY, LONGEST_LINE
from monitor.surface.gate.safe import CUT, safe
from monitor.surface.gate.summary import LONGEST_SUMMARY
from monitor.surface.log import Log, LogFormat
from tests.surface import gate_stories as so
from tests.surface.gate_runner import Runner, outputs

VALIDATOR = jsonschema.Draft202012Validator(json.loads((Path(__file__).parents[2] / "config" / "gate.schema.json").read_text()))
TOKEN = "5f2c9a7e4b1d40c8a6e3"
PIECES = [
    "550 <seed+tag@box.test>: no such user",
    'x="seed+tag two"@box.test seed+tag%40box.test seed+tag@[192.0.2.1] bounce+seed+tag=a.test@böx.test',
    "##vso[task.complete result=Succeeded;]",
    "refund RF-87654321 of rf_87654321",
    "\nRF-87654321\x07rf87654321",
    "\x1b[2J\x1b[31mall is well\x1b[0m",
    "\u202e\u2028\x9b31m\x00\x07",
    "]]><failure/><![CDATA[",
    "<script>alert(1)</script><img src=x onerror=y>",
    "\n::error title=pwned::x",
    "::set-output name=verdict::pass",
    "::stop-commands::seed",
    "x ##[error]y ##[set-env name=a]b",
    "%0A::error::escaped %25",
    "\r\nverdict=pass\nverdict<<EOF\npass\nEOF\n",
    "[click](http://evil.test) ![i](http://evil.test/i.png) http://evil.test www.evil.test",
    "| a | b |\n| --- | --- |\n# heading\n* item `code` **bold**",
    "[bold red]markup[/] :smile:",
    "${{ secrets.TOKEN }} $(id) `id`",
    "\ufffe\uffff\U0001f600 猫",
    "\ud800",
    " ",
    "",
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=12), max_size=6).map("".join)
LONG = "a" * 1_000 + "<seed+tag@box.test> RF-87654321 ::error::x "


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return so.shop(tmp_path_factory.mktemp("policy"))


def history(story: so.Story, texts: Sequence[str], because: Because, excused: bool) -> None:
    """A gate in which every text that is not ours is one of these."""
    told = iter(texts)
    policy = so.replace(so.PLAIN, name=next(told), routes=(next(told),))
    story.asked(
        policy, by=next(told), service=next(told), version=next(told), sha=next(told), versions=(next(told), "v512"), deploy=next(told)
    )
    story.round(1, said=next(told))
    story.probe(so.canary("gmail-1"), Reason.MISSING, next(told), folder=next(told), mailbox=so.BOXES[0])
    story.probe(so.canary("gmail-1"), Reason.ALTERED, next(told), folder=next(told))
    story.refused(so.canary("outlook-1"), next(told))
    classes = (so.tally(next(told), because, reasons=((next(told), 2),)), so.tally("gmail", because), so.tally("outlook", None))
    story.decided(because, reason=next(told), classes=classes, unseen=(next(told),) * 30, example=so.example(next(told)))
    story.overridden(7_200.0 if excused else 0.01, by=next(told), reason=next(told))
    story.wait(1)


MOST_TEXTS = 22


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    texts=st.lists(TEXTS, min_size=MOST_TEXTS, max_size=MOST_TEXTS),
    because=st.sampled_from(Because),
    excused=st.booleans(),
)
@example(texts=["".join(PIECES)] * MOST_TEXTS, because=Because.LOSSES, excused=True)
@example(texts=[LONG * 50] * MOST_TEXTS, because=Because.LOSSES, excused=False)
def test_every_form_of_any_gate(rules: Policy, texts: Sequence[str], because: Because, excused: bool) -> None:
    story = so.Story(rules)
    lines = io.StringIO()
    log = Log(LogFormat.TEXT, "test", lambda: "now", lines)
    tell = story.tell

    def telling(*facts: Fact) -> None:
        tell(*facts)
        for fact in facts:
            if isinstance(fact, GateRequested | GateDecided | GateOverridden | DeployMarked):
                log.tell(Entry(1, "kind", fact))

    story.tell = telling  # type: ignore[method-assign]
    history(story, texts, because, excused)
    document = json.loads(json.dumps(story.document(), allow_nan=False))

    assert [error.message for error in VALIDATOR.iter_errors(document)] == []
    lists = [gates_summary(story.world.gates, story.now), {"deploys": deploy_rows(story.desk)}]
    for text in texts_of([document, *lists]):
        assert text.isprintable(), text
        assert_tells_nothing(text)
    assert len(json.dumps(document)) < 100_000
    assert_forms_hold(document)
    assert_tells_nothing(lines.getvalue())
    assert all(char.isprintable() or char == "\n" for char in lines.getvalue())
    assert (exit_code(document) == 0) is (excused or because is Because.CLEAN)


@settings(max_examples=20, deadline=None)
@given(text=TEXTS, environment=TEXTS, deploy=TEXTS)
def test_every_form_of_a_question_without_an_answer(text: str, environment: str, deploy: str) -> None:
    document = json.loads(json.dumps(unanswered(text, so.START, environment, deploy)))
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []
    assert_forms_hold(document)


def test_every_form_of_a_document_that_another_server_made(rules: Policy) -> None:
    """The forms are made from the document, which may not be ours: raw texts in it are masked and escaped too."""
    story = so.Story(rules)
    so.overridden(story)
    document = poisoned(json.loads(json.dumps(story.document())), "".join(PIECES[:-2]))
    assert_forms_hold(document, masks=True)


def assert_forms_hold(document: dict[str, Any], masks: bool = False) -> None:
    line = final_line(document)
    assert len(line) <= LONGEST_LINE + 200 and line.isprintable() and line.startswith(f"GATE {document['verdict'].upper()} ")
    assert len(json.dumps(argo_body(document)).encode()) <= LONGEST_BODY

    report = junit(document)
    suite = ElementTree.fromstring(report)[0]
    names = [case.get("name") for case in suite.findall("testcase")]
    assert len(names) == 1 + len(document["checks"]) == len(set(names)) and suite.findall(".//skipped") == []
    assert bool(suite.findall("testcase[1]/failure") or suite.findall("testcase[1]/error")) is (document["verdict"] != "pass")

    found = outputs(github_outputs(document))
    assert list(found) == ["verdict", "gate_id", "report_url", "reason"] and found["verdict"] == document["verdict"]

    commands = github_commands(document, TOKEN)
    runner = Runner().read(commands)
    allowed = {"error", "warning", "notice"} | ({"add-mask"} if masks else set())
    assert {command.name for command in runner.commands} <= allowed
    assert len(runner.of("error")) <= 1 and len([each for each in runner.commands if each.name != "add-mask"]) <= 10
    assert runner.log in ([], [""]) or (runner.log[0], runner.log[-2]) == (f"::stop-commands::{TOKEN}", f"::{TOKEN}::")

    summary = summary_markdown(document)
    assert len(summary.encode("utf-8", "strict")) <= LONGEST_SUMMARY
    tokens = list(flat(MarkdownIt("commonmark", {"html": True}).enable("table").parse(summary)))
    kinds = [token.type for token in tokens]
    assert not {"html_block", "html_inline", "image", "code_inline", "fence", "code_block", "em_open"} & set(kinds)
    links = {str(token.attrs["href"]) for token in tokens if token.type == "link_open"}
    assert links <= {f"https://canary.test/v1/gates/{so.GATE}", "https://docs.test/runbooks/gate-hold"}
    assert kinds.count("heading_open") == 1 and "&#58;//" not in MarkdownIt().render(summary)

    drawn = []
    for draw in (print_gate, print_explained):
        for width in (40, 100):
            paper = io.StringIO()
            draw(document, Console(file=paper, width=width))
            drawn.append(paper.getvalue())
            assert all(cell_len(row) <= width for row in paper.getvalue().split("\n"))
    told = "\n".join([*drawn, line])
    assert all(char.isprintable() or char == "\n" for char in told)
    assert Runner().read(told).commands == [], "a report in the log of a job is no command"
    for text in (told, report, summary, github_outputs(document), json.dumps(argo_body(document), ensure_ascii=False)):
        assert_tells_nothing(text)
    assert_tells_nothing(commands if not masks else "".join(each.data for each in runner.commands if each.name != "add-mask"))


def assert_tells_nothing(text: str) -> None:
    assert "seed+tag" not in text and "87654321" not in text and "\x1b" not in text


def poisoned(value: Any, text: str, key: str = "") -> Any:
    """Where a document of ours has words, this."""
    ours = ("schema", "id", "state", "verdict", "found", "because", "sequence", "route", "name", "class")
    if isinstance(value, dict):
        return {name: poisoned(each, text, name) for name, each in value.items()}
    if isinstance(value, list):
        return [poisoned(each, text, key) for each in value]
    timely = key.endswith("_at") or key in ("from", "to", "until", "last_good", "last_bad", "at")
    return text if isinstance(value, str) and key not in ours and not timely else value


def texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from texts_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts_of(each)
    elif isinstance(value, str):
        yield value


def flat(tokens: Any) -> Iterator[Any]:
    for token in tokens:
        yield token
        yield from flat(token.children or ())


# --- one text ---------------------------------------------------------------------------------------------------------------


@given(text=TEXTS | st.text(), most=st.integers(10, 400))
def test_safe_again_is_the_same(text: str, most: int) -> None:
    once = safe(text, most)
    assert safe(once, most) == once and len(once) <= most and once.isprintable()
    assert Runner().read(once).commands == []


@given(letters=st.integers(200, 240))
@example(letters=231)
def test_a_cut_before_the_masking_leaves_nothing_half_masked(letters: int) -> None:
    """What is masked shrinks, so that what stood at the cut is shown."""
    long = f"<{'a' * letters}@b> "
    shown = safe(long + long + "seed+tag@box.test RF-87654321 " + "." * 2_000, 60)
    assert shown.startswith("<***@b> <")
    assert_tells_nothing(shown)


@given(before=st.integers(0, 400), most=st.integers(10, 60))
def test_a_cut_through_an_address_or_a_number_leaves_none_of_it(before: int, most: int) -> None:
    assert_tells_nothing(safe("." * before + " seed+tag@box.test RF-87654321 " + "." * 2_000, most))
    assert_tells_nothing(safe("<a@b> " * before + "seed+tag@box.test RF-87654321 " + "." * 2_000, most))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("421 [2001:db8::1]: busy, try ::1", "421 [2001:db8::1]: busy, try ::1"),
        ("::error::x", ": :error::x"),
        ("a ##[error]b", "a # #[error]b"),
        ("##vso[task.complete result=Succeeded;]", "# #vso[task.complete result=Succeeded;]"),
        ("##teamcity[buildStatus]", "# #teamcity[buildStatus]"),
        ("one\ntwo\ttabbed", "one\\ntwo\\ttabbed"),
        ("x" * 400, "x" * 297 + CUT),
        (550, "550"),
    ],
)
def test_safe(text: object, shown: str) -> None:
    assert safe(text) == shown
