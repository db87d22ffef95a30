"""`mailcanary incident report`: the report of a daemon's incident in every form, on stdout or in a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from monitor.model.incident import IncidentId
from tests.cli.conftest import Outcome
from tests.cli.daemons import SECRETS, Served, served
from tests.ports import free_port
from tests.surface import happenings as so

Command = Callable[..., Outcome]
SCHEMA: dict[str, Any] = json.loads((Path(__file__).parents[2] / "config" / "incident-report.schema.json").read_text())


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as site:
        yield site


@pytest.fixture
def report(mailcanary: Command, daemon: Served) -> Command:
    return lambda *argv: mailcanary("incident", "report", *argv, "--server", daemon.url)


def test_forms(report: Command, daemon: Served) -> None:
    daemon.happen(so.opened(daemon.now))
    text = report("INC-1")
    assert (text.code, text.err) == (0, "") and text.out.startswith("# Incident report INC-1: Refund confirmations overdue")
    assert "**Still open.**" in text.out and "Next step: roll back checkout-api v512" in text.out
    assert report("1", "--format", "md").out.startswith("# Incident report INC-1")
    assert report("inc-1", "--format", "html").out.startswith("<!DOCTYPE html>")
    document = json.loads(report("INC-1", "--format", "json").out)
    jsonschema.validate(document, SCHEMA)
    daemon.happen(so.resolved(daemon.now))
    assert "Still open" not in report("INC-1").out and json.loads(report("INC-1", "--format", "json").out)["still_open"] is False


@pytest.mark.parametrize("form", ["md", "html", "json"])
def test_into_a_file(report: Command, daemon: Served, tmp_path: Path, form: str) -> None:
    daemon.happen(so.opened(daemon.now), so.resolved(daemon.now))
    file = tmp_path / f"report.{form}"
    file.write_text("old")
    outcome = report("INC-1", "--format", form, "--output", file)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "") and "INC-1" in file.read_text()


def test_a_file_that_takes_nothing(report: Command, daemon: Served, tmp_path: Path) -> None:
    daemon.happen(so.opened(daemon.now))
    outcome = report("INC-1", "--output", tmp_path / "nowhere" / "report.md")
    assert outcome.code == 2 and "No such file" in outcome.line and not outcome.out


def test_of_what_is_not_known_or_only_suspected(report: Command, daemon: Served) -> None:
    assert "there is none" in report("INC-1").line
    daemon.happen(
        *(so.opened(daemon.now, IncidentId(f"INC-{number}")) for number in range(1, 20)), so.suspected(daemon.now, IncidentId("INC-20"))
    )
    missing = report("INC-300")
    assert missing.code == 2 and "there are INC-20, INC-19, INC-18" in missing.line
    assert missing.line.endswith("and 10 more")
    suspected = report("20")
    assert (
        suspected.code == 2 and "INC-20 is only suspected" in suspected.line and "when its confirm probes have opened it" in suspected.line
    )


def test_the_nearest_are_named_first(report: Command, daemon: Served) -> None:
    daemon.happen(*(so.opened(daemon.now, IncidentId(f"INC-{number}")) for number in (1, 2, 30, 31)))
    assert "there are INC-2, INC-1, INC-30, INC-31" in report("INC-5").line
    assert "there are INC-31, INC-30, INC-2, INC-1" in report("what").line


def test_wrong_calls(report: Command, mailcanary: Command) -> None:
    assert report("INC-1", "--format", "text").code == 2 and report(" ").code == 2
    assert mailcanary("incident", "report").code == 2
    assert mailcanary("incident", "report", "1", "--server", f"http://127.0.0.1:{free_port()}").code == 4


def test_whoever_may_read_may_have_it(mailcanary: Command, tmp_path: Path) -> None:
    with served(tmp_path, "0.0.0.0") as site:
        site.happen(so.opened(site.now))
        refused = mailcanary("incident", "report", "1", "--server", site.url)
        assert refused.code == 2 and "--token-file" in refused.line
        token = tmp_path / "token"
        token.write_text(SECRETS["READ"])
        assert mailcanary("incident", "report", "1", "--server", site.url, "--token-file", token).code == 0
