"""`mailcanary init`: asks for a relay and mailboxes, tries each, and writes a configuration that works.

Exit 0: written, and every trial was good. Otherwise the worst of the trials: 1 mail is broken, 3 a mailbox or our own login cannot be
used. Then nothing is written, unless the person at the terminal says so.
"""

from __future__ import annotations

import argparse
import dataclasses
import getpass
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.text import Text

from monitor.cli import UsageError, tell
from monitor.cli.run import run_loop
from monitor.cli.setup.answers import Answers, Server
from monitor.cli.setup.interview import Interview, Person
from monitor.cli.setup.trying import Probed, Trial, connect, probe
from monitor.cli.setup.writing import DRAFTED, Draft, Target, draft, lay_out
from monitor.edge.journal import JournalError
from monitor.edge.ownership import MailboxOwned, OwnershipError
from monitor.edge.secret import SystemSecrets
from monitor.model.policy import Policy
from monitor.model.probe import MailboxName
from monitor.model.verdict import Verdict, worst
from monitor.ports import JournalUnwritable
from monitor.rules.plain import plain
from monitor.settings import SettingsError, load
from monitor.surface.report import COLOURS

TRY, ANSWER, WRITE, QUIT = "t", "a", "w", "q"
_WORD = {Verdict.PASS: "ok  ", Verdict.FAIL: "FAIL", Verdict.INCONCLUSIVE: "????", Verdict.ERROR: "OURS"}


def call(arguments: argparse.Namespace) -> int:
    target = Target(Path(arguments.output), arguments.secrets, arguments.force)
    person = None if arguments.yes or not (sys.stdin.isatty() and sys.stderr.isatty()) else Terminal()
    try:
        with _stopping():
            return set_up(target, arguments, os.environ, person)
    except MailboxOwned as error:
        raise UsageError(f"{error}; nothing was sent and nothing was written") from None
    except (JournalError, JournalUnwritable, OwnershipError) as error:
        print(error, file=sys.stderr)
        return 4


def set_up(target: Target, arguments: argparse.Namespace, environ: Mapping[str, str], person: Person | None) -> int:
    """Ask, try, and write; again from the answers that failed, as long as the person wants to."""
    target.check()
    interview = Interview(arguments, environ, person)
    answers = interview.answers()
    key = target.key()
    while True:
        trials, servers, probed = _tried(target, answers, key, submit=not arguments.no_probe)
        verdict = worst([trial.verdict for trial in trials])
        choice = WRITE if verdict is Verdict.PASS else QUIT if person is None else _choice(person, verdict)
        if choice == WRITE:
            _write(target, draft(answers, servers, probed.learnt, key, target.secrets))
            _closing_words(target, answers, verdict, probed, submitted=not arguments.no_probe)
            return verdict.exit_code
        if choice == QUIT:
            print("nothing was written", file=sys.stderr)
            return verdict.exit_code
        if choice == ANSWER:
            answers = _answered_anew(interview, answers, trials)


def _tried(target: Target, answers: Answers, key: str, submit: bool) -> tuple[list[Trial], dict[MailboxName, Server], Probed]:
    """All trials of these answers; probes go out only when every connection is good."""
    servers = {MailboxName(seed.name): seed.servers for seed in answers.seeds}
    with target.workshop() as workshop, Lines() as lines:
        policy = _policy(workshop, draft(answers, {name: tried[0] for name, tried in servers.items()}, None, key, DRAFTED))
        trials, found = run_loop(connect(policy, servers, lines.show))
        if not submit or worst([trial.verdict for trial in trials]) is not Verdict.PASS:
            return trials, found, Probed()
        policy = _policy(workshop, draft(answers, found, None, key, DRAFTED))
        lines.doing("probing every route: up to a few minutes where something is wrong")
        probed = run_loop(probe(policy, lines.show))
    return [*trials, *probed.trials], found, probed


def _policy(workshop: Path, made: Draft) -> Policy:
    try:
        policy = load(lay_out(made, workshop), SystemSecrets()).policy
    except SettingsError as error:
        faults = "\n".join(f"{fault.key}: {fault.what}; {fault.mend}" for fault in error.faults)
        raise UsageError(f"{faults}\nnothing was sent and nothing was written") from None
    return dataclasses.replace(policy, instance=f"{policy.instance}-init")


def _write(target: Target, made: Draft) -> None:
    try:
        target.put(made)
        load(target.file, SystemSecrets())
    except OSError as error:
        raise UsageError(
            f"{error.filename or target.file}: {error.strerror}; mend it, or name another place with --output and --secrets"
        ) from None
    except SettingsError as error:
        raise RuntimeError(f"what was written does not load: {error}") from None


# --- the person -------------------------------------------------------------------------------------------------------


def _choice(person: Person, verdict: Verdict) -> str:
    person.say("not everything works" if verdict is Verdict.FAIL else "not everything could be seen to work")
    while True:
        answer = person.ask("[t]ry again, [a]nswer again, [w]rite it all the same, or [q]uit", TRY).strip().lower()[:1]
        if answer in (TRY, ANSWER, WRITE, QUIT):
            return answer


def _answered_anew(interview: Interview, answers: Answers, trials: list[Trial]) -> Answers:
    """Of what failed only; where a spam folder is all that lacks, only that."""
    failed = [trial for trial in trials if trial.verdict is not Verdict.PASS]
    answers = interview.again(answers, {trial.about for trial in failed if not trial.no_spam_folder})
    for trial in failed:
        if trial.no_spam_folder:
            answers = interview.spam_folder(answers, trial.about, trial.no_spam_folder)
    return answers


class Terminal:
    """Questions go to stderr: stdout is for the result."""

    def say(self, text: str) -> None:
        print(plain(text), file=sys.stderr)

    def ask(self, question: str, default: str) -> str:
        print(f"{question} [{default}]: " if default else f"{question}: ", end="", file=sys.stderr, flush=True)
        typed = sys.stdin.readline()
        if not typed:
            raise UsageError("the input ended before all was answered; nothing was written")
        return typed.strip() or default

    def ask_secret(self, question: str) -> str:
        try:
            return getpass.getpass(f"{question}: ", stream=sys.stderr)
        except EOFError:
            raise UsageError("the input ended before all was answered; nothing was written") from None


class Lines:
    """What is tried, as it goes, on stderr: a line for each trial; on a terminal also what is being waited for."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._waiting = self._console.status("connecting and logging in")

    def __enter__(self) -> Lines:
        if self._console.is_terminal:
            self._waiting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.stop()

    def doing(self, what: str) -> None:
        """Something long begins, which shows its own progress on a terminal."""
        self._waiting.stop()
        self._console.print(Text(what, style="dim"), soft_wrap=True)

    def show(self, trial: Trial) -> None:
        line = Text(f"{_WORD[trial.verdict]} ", style=COLOURS[trial.verdict]) + Text(plain(f"{trial.what}: {trial.detail}"))
        self._console.print(line, soft_wrap=True)


def _closing_words(target: Target, answers: Answers, verdict: Verdict, probed: Probed, submitted: bool) -> None:
    tell(f"wrote {target.file}, its secrets in {target.directory / target.secrets}")
    if not submitted:
        tell(f"nothing was submitted: `mailcanary probe -c {target.file}` sends one probe on every route")
    untagged = [name for name, learnt in probed.learnt.items() if not learnt.plus_tags]
    if untagged:
        tell(f"plus_tags: false for {', '.join(untagged)}: a probe to seed+tag@ did not arrive")
    if len({seed.provider for seed in answers.seeds}) < 2:
        tell("one provider only: its faults look like yours; add a mailbox elsewhere")
    tell(
        f"next: mailcanary run -c {target.file}; nobody is paged until notify: names a channel"
        if verdict is Verdict.PASS
        else "not everything works yet: mailcanary check-config --live says what"
    )


@contextmanager
def _stopping() -> Iterator[None]:
    """SIGTERM unwinds as Ctrl-C does, so that no secret stays behind: as an exception out of the middle of an event loop it would leave
    tasks that nobody ends."""
    came: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background: nobody would hear it
            raise SystemExit(128 + number)
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        if not came:
            raise
        raise SystemExit(128 + came[0]) from None
    finally:
        signal.signal(signal.SIGTERM, before)
