"""`mailcanary silence` and `incident unsilence`: what a person plans, and the one clear line where that cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitor.model.facts import Silenced, SilenceEnded, SilencePlanned
from monitor.model.incident import IncidentId, Phase, Scope, ScopeKind, SilenceId
from monitor.model.verdict import Symptom
from tests.cli.conftest import Outcome
from tests.cli.daemons import SECRETS, Served, served
from tests.ports import free_port
from tests.surface import happenings as so

Command = Callable[..., Outcome]
ADD = ("add", "--for", "2h", "--reason", "the relay moves", "--by", "ana")
ALL = (*ADD, "--scope", "all")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as site:
        yield site


@pytest.fixture
def silence(mailcanary: Command, daemon: Served) -> Command:
    return lambda *argv: mailcanary("silence", *argv, "--server", daemon.url)


def test_add_list_and_end(silence: Command, daemon: Served) -> None:
    assert silence("list").out == "no silence is planned\n"
    daemon.happen(so.opened(daemon.now))
    added = silence(*ADD, "--scope", "path:relay", "--scope", "mailbox:seed-1", "--symptom", "delivery_stalled")
    assert added.code == 0 and not added.err and added.out.count("\n") == 1
    assert added.out.startswith("SIL-1: path:relay, mailbox:seed-1 (delivery_stalled) silent from 20")
    assert "; it covers INC-1; what is still open then is told\n" in added.out
    planned = daemon.facts()[-1]
    assert isinstance(planned, SilencePlanned) and (planned.by, planned.reason) == ("ana", "the relay moves")
    assert planned.until - planned.begins == 7_200 and planned.symptoms == (Symptom.DELIVERY_STALLED,)
    assert planned.scopes == (Scope(ScopeKind.PATH, "relay"), Scope(ScopeKind.MAILBOX, "seed-1"))
    listed = silence("list").out
    assert listed.splitlines()[0].split() == ["id", "state", "from", "until", "by", "what", "why", "covers"]
    assert "SIL-1" in listed and "active" in listed and "INC-1" in listed and "the relay moves" in listed
    ended = silence("end", "1", "--by", "bob", "--reason", "done")
    assert (ended.code, ended.out) == (0, "SIL-1 is over; what it kept silent and is still open is told now\n")
    over = daemon.facts()[-1]
    assert isinstance(over, SilenceEnded) and (over.silence, over.by, over.reason) == ("SIL-1", "bob", "done")
    assert silence("list").out == "no silence is planned\n" and "over" in silence("list", "--all").out


def test_the_end_of_one_silence_is_not_the_end_of_another(silence: Command, daemon: Served) -> None:
    daemon.happen(so.opened(daemon.now), so.opened(daemon.now, IncidentId("INC-2"), symptom=Symptom.DUPLICATE))
    assert silence(*ALL).code == silence(*ADD, "--symptom", "delivery_stalled").code == 0
    over = "is over; what it kept silent and is still open is told now"
    assert silence("end", "1").out == f"SIL-1 {over}, but not INC-1: silenced otherwise\n"
    assert silence("end", "2").out == f"SIL-2 {over}\n"


def test_the_end_of_a_planned_silence_leaves_what_a_person_silenced_alone(silence: Command, mailcanary: Command, daemon: Served) -> None:
    daemon.happen(so.opened(daemon.now))
    alone = ("incident", "silence", "1", "--for", "1h", "--reason", "known", "--by", "ana", "--server", daemon.url)
    assert silence(*ALL).code == mailcanary(*alone).code == 0
    assert silence("end", "1").out.endswith("told now, but not INC-1: silenced otherwise\n")


def test_who_has_it_in_hand_is_not_told_at_the_end(silence: Command, mailcanary: Command, daemon: Served) -> None:
    third = IncidentId("INC-3")
    daemon.happen(so.opened(daemon.now), so.opened(daemon.now, IncidentId("INC-2")), so.opened(daemon.now, third))
    daemon.happen(so.notified(daemon.now, 3, incident=third))
    assert silence(*ALL).code == 0
    quiet = {"silent_until": daemon.now.utc + 7_200, "note": "SIL-1"}
    daemon.happen(*(so.transition(daemon.now, Phase.SILENCED, IncidentId(name), **quiet) for name in ("INC-1", "INC-2")))
    assert mailcanary("incident", "ack", "1", "--by", "ana", "--server", daemon.url).code == 0
    assert silence("end", "1").out.endswith(" is told now, but not INC-1: acknowledged\n")


def test_who_acknowledged_before_anybody_was_told_is_told_at_the_end(silence: Command, mailcanary: Command, daemon: Served) -> None:
    daemon.happen(so.opened(daemon.now))
    assert mailcanary("incident", "ack", "1", "--by", "ana", "--server", daemon.url).code == 0
    assert silence(*ALL).code == 0
    daemon.happen(so.transition(daemon.now, Phase.SILENCED, silent_until=daemon.now.utc + 7_200, note="SIL-1"))
    assert silence("end", "1").out.endswith(" is told now\n")


def test_a_window_that_never_begins(silence: Command, daemon: Served) -> None:
    daemon.happen(so.opened(daemon.now))
    assert silence(*ALL, "--from", daemon.now.plus(3_600).iso()).code == 0
    assert silence("end", "1").out == "SIL-1 is over; it never begins\n"


def test_an_incident_that_a_planned_silence_covers_is_not_heard_of(mailcanary: Command, daemon: Served) -> None:
    daemon.happen(so.opened(daemon.now))
    to = ("--server", daemon.url, "--by", "ana")
    assert mailcanary("incident", "silence", "1", "--for", "1h", "--reason", "known", *to).code == 0
    daemon.happen(so.transition(daemon.now, Phase.SILENCED, silent_until=daemon.now.utc + 7_200, note="SIL-1"))
    outcome = mailcanary("incident", "unsilence", "1", *to)
    assert (outcome.code, outcome.out) == (0, "INC-1 is not silenced by itself any more, but nobody is told: silenced by SIL-1\n")


def test_a_window_ahead_and_json(silence: Command, daemon: Served) -> None:
    begins = daemon.now.plus(3_600)
    added = silence(*ALL, "--from", begins.iso(), "--format", "json")
    (row,) = json.loads(added.out)["silences"]
    assert added.code == 0 and (row["id"], row["state"], row["begins"], row["scopes"]) == ("SIL-1", "planned", begins.iso(), ["all"])
    assert "everything" in silence("list").out and "everything silent from" in silence(*ALL).out
    assert silence("end", "2").code == 0
    assert json.loads(silence("list", "--format", "json").out)["schema"] == "mailcanary.silences/v1"
    assert silence("end", " sil-1 ").code == 0 and json.loads(silence("list", "--format", "json").out)["silences"] == []


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (ADD, "scopes: name what is to be silent"),
        (("add", "--for", "25h", "--reason", "r"), "at most 24h"),
        (("add", "--for", "soon", "--reason", "r"), "write how long"),
        (("add", "--for", "2h", "--reason", " "), "reason: "),
        (("add", "--for", "2h", "--reason", "r", "--scope", "path:relya"), "did you mean relay?"),
        (("add", "--for", "2h", "--reason", "r", "--scope", "relay"), "is no scope"),
        (("add", "--for", "2h", "--reason", "r", "--symptom", "spam"), "is no symptom"),
        (("add", "--for", "2h", "--reason", "r", "--scope", "all", "--from", "yesterday"), "write a time with its offset"),
        (("add", "--for", "2h", "--reason", "r", "--scope", "all", "--from", "2020-01-31T12:00:00Z"), "would be over already"),
        (("add", "--for", "2h", "--reason", "r", "--scope", "all", "--from", "2990-01-31T12:00:00Z"), "more than 30 days ahead"),
        (("end", "SIL-9"), "no silence SIL-9 is known; none is planned"),
        (("end", " "), "name a silence, e.g. SIL-3"),
    ],
)
def test_what_cannot_be_is_one_clear_line(silence: Command, daemon: Served, argv: tuple[str, ...], why: str) -> None:
    outcome = silence(*argv)
    assert outcome.code == 2 and not outcome.out and why in outcome.err and outcome.err.count("\n") == 1, outcome
    assert daemon.facts() == []


@pytest.mark.parametrize("argv", [(), ("add",), ("add", "--for", "2h"), ("add", "--reason", "r"), ("end",), ("lst",)])
def test_what_the_parser_refuses(silence: Command, argv: tuple[str, ...]) -> None:
    outcome = silence(*argv)
    assert outcome.code == 2 and not outcome.out and "usage: mailcanary silence" in outcome.err


def test_an_incident_is_heard_of_again(mailcanary: Command, daemon: Served) -> None:
    daemon.happen(so.opened(daemon.now))
    to = ("--server", daemon.url, "--by", "ana")
    refused = mailcanary("incident", "unsilence", "1", *to)
    assert refused.code == 2 and "nobody has silenced INC-1 by itself" in refused.err
    assert mailcanary("incident", "silence", "1", "--for", "1h", "--reason", "known", *to).code == 0
    outcome = mailcanary("incident", "unsilence", "1", *to)
    assert (outcome.code, outcome.out) == (0, "INC-1 is told again, as it is now\n")
    said = daemon.facts()[-1]
    assert isinstance(said, Silenced) and said.until == said.at.utc


def test_what_a_daemon_says_cannot_steer_a_terminal(silence: Command, daemon: Served) -> None:
    now = daemon.now
    daemon.happen(SilencePlanned(now, SilenceId("SIL-1"), "\x1b[31mann", so.HOSTILE, now.utc, now.utc + 600))
    assert "\x1b" not in silence("list").out and "<seed" not in silence("list").out


def test_nobody_answers(mailcanary: Command, tmp_path: Path) -> None:
    outcome = mailcanary("silence", "list", "--server", f"http://127.0.0.1:{free_port()}")
    assert outcome.code == 4 and not outcome.out and outcome.err.count("\n") == 1


def test_the_role_that_it_needs(mailcanary: Command, tmp_path: Path) -> None:
    with served(tmp_path, open_to="0.0.0.0") as site:
        file = tmp_path / "token"
        file.write_text(SECRETS["READ"])
        to = ("--server", site.url, "--token-file", str(file))
        assert mailcanary("silence", "list", *to).code == 0
        outcome = mailcanary("silence", *ALL, *to)
        assert outcome.code == 2 and "listen.tokens.oncall" in outcome.err
