"""Runs the test suites in three lanes, each suite within a time budget, and prints one table and one closing line.

Three lanes that take about as long: what computes, what starts the daemon and its commands, and real servers. The last two wait half of
their time, so that two cores are enough. What a suite prints is shown when it is done.

A suite is a folder of tests/, `house` the files directly in it, and `hostile` what is marked so anywhere: parsers of hostile text have one
bound on their time in all. Non-zero when a test fails, when a suite is over its budget, or when it executes no test: a suite that silently
runs nothing is how a green build lies. Only `real` may be skipped whole, and only outside CI: there, none of it may be skipped.

    python .ci/suites.py [SUITE ...]          BUDGET_FACTOR=3 python .ci/suites.py
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"

# seconds on two slow cores, the start of a cold interpreter beside another lane included; what fails fastest and says most comes first
BUDGETS = {
    "house": 120,
    "hostile": 60,
    "rules": 350,
    "model": 40,
    "views": 40,
    "settings": 120,
    "stages": 420,
    "surface": 300,
    "grafana": 40,
    "edge": 400,
    "lab": 60,
    "acceptance": 1000,
    "cli": 700,
    "matrix": 300,
    "pipelines": 120,
    "real": 1400,
}
# the others are in a lane of their own
LANES = (("acceptance", "cli", "pipelines"), ("model", "views", "settings", "grafana", "lab", "real"))
UNPLANNED = 60  # the budget of a folder that is not listed yet
GIVE_UP = 1.5  # a suite that takes this many budgets is stopped
SHOWN_AGAIN = 25  # last lines of a suite in trouble, below the table: many a log is only shown from its end
MARK = "pytest.mark.hostile"
MAY_BE_SKIPPED = ("real",)  # needs root and Debian packages


RUNNING: list[subprocess.Popen[bytes]] = []
INTERRUPTED = threading.Event()


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one suite. `trouble`: why it does not count as passed, beside failed tests."""

    suite: str
    passed: int
    failed: int
    skipped: int
    seconds: float
    budget: float
    trouble: str = ""
    said: str = ""  # its last lines

    @property
    def good(self) -> bool:
        return not self.failed and not self.trouble


def main(names: list[str]) -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of a script, and inherited; tests press Ctrl-C
    known = suites()
    if unknown := [name for name in names if name not in known]:
        print(f"no such suite: {', '.join(unknown)} (there are: {', '.join(known)})", file=sys.stderr)
        return 2
    factor = float(os.environ.get("BUDGET_FACTOR", "1"))
    wanted = names or known
    others = tuple(name for name in wanted if not any(name in lane for lane in LANES))
    lanes = [[name for name in wanted if name in lane] for lane in (others, *LANES)]
    with ThreadPoolExecutor(len(lanes)) as pool:
        done = [pool.submit(drive, lane, factor) for lane in lanes]
        try:
            by_name = {result.suite: result for future in done for result in future.result()}
        except KeyboardInterrupt:
            INTERRUPTED.set()
            for running in RUNNING[:]:
                stop(running)
            raise
    results = [by_name[name] for name in wanted]
    for r in results:
        if not r.good:
            print(f"--- {r.suite}, its end once more\n{r.said}")
    print()
    print(f"{'suite':<12}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}{'budget':>8}")
    for r in results:
        print(f"{r.suite:<12}{r.passed:>8}{r.failed:>8}{r.skipped:>9}{r.seconds:>9.1f}{r.budget:>8.0f}  {r.trouble}".rstrip())
    print(f"{'all':<45}{sum(r.seconds for r in results):>5.1f}{sum(r.budget for r in results):>8.0f}")
    failed = sum(r.failed for r in results) + sum(1 for r in results if r.trouble)
    print(f"{sum(r.passed for r in results)} passed, {failed} failed, {sum(r.skipped for r in results)} skipped", flush=True)
    return 0 if all(r.good for r in results) else 1


def suites() -> list[str]:
    """The listed ones, then any other folder that holds tests."""
    found = {at.relative_to(TESTS).parts[0] for at in TESTS.glob("*/**/test_*.py")}
    return [*BUDGETS, *sorted(found - BUDGETS.keys())]


def drive(lane: list[str], factor: float) -> list[Result]:
    return [run(name, BUDGETS.get(name, UNPLANNED) * factor) for name in lane if not INTERRUPTED.is_set()]


def run(suite: str, budget: float) -> Result:
    where, files = place(suite)
    if not files:
        return Result(suite, 0, 0, 0, 0.0, budget, f"holds no test file (in {', '.join(map(str, where)) or TESTS})")
    marked = ["-m", "hostile" if suite == "hostile" else "not hostile"]
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-rs", *marked, "-o", "junit_family=xunit1", f"--junitxml={report}", *map(str, where)]
        began = time.monotonic()
        print(f"... {suite}: at most {budget:.0f} s", flush=True)
        said = Path(scratch) / "said"
        with said.open("wb") as out:
            pytest = subprocess.Popen(command, cwd=TESTS.parent, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
            RUNNING.append(pytest)
            try:
                code = pytest.wait(budget * GIVE_UP)
            except subprocess.TimeoutExpired:
                stop(pytest, faulthandler=True)
                stopped = f"STOPPED: not done after {GIVE_UP:g} budgets"
                return Result(suite, 0, 0, 0, time.monotonic() - began, budget, stopped, show(suite, said))
            finally:
                RUNNING.remove(pytest)
        seconds = time.monotonic() - began
        end = show(suite, said)
        passed, failed, skipped = count(report)
    return Result(suite, passed, failed, skipped, seconds, budget, trouble(suite, code, passed, failed, skipped, seconds - budget), end)


def place(suite: str) -> tuple[list[Path], list[Path]]:
    """(what pytest is given, the test files in it)."""
    if suite == "house":
        files = sorted(TESTS.glob("test_*.py"))
        return files, files
    if suite == "hostile":
        files = [at for at in sorted(TESTS.glob("*/**/test_*.py")) if MARK in at.read_text()]
        return files, files
    return [TESTS / suite], sorted((TESTS / suite).glob("**/test_*.py"))


def show(suite: str, said: Path) -> str:
    """Prints what pytest said; returns the end of it."""
    text = said.read_text(errors="replace")
    print(f"--- {suite}\n{text}", flush=True)
    return "\n".join(text.splitlines()[-SHOWN_AGAIN:])


def stop(pytest: subprocess.Popen[bytes], *, faulthandler: bool = False) -> None:
    """By interrupts, so that fixtures take down the servers that they started: the first one may be taken by the command under test. By
    force when that does not help, and then `faulthandler` says where every thread stands."""
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGABRT if faulthandler else signal.SIGKILL, signal.SIGKILL):
        pytest.send_signal(number)
        try:
            pytest.wait(15)
        except subprocess.TimeoutExpired:
            continue
        return
    pytest.wait()


def count(report: Path) -> tuple[int, int, int]:
    """(passed, failed or broken, skipped) from pytest's JUnit file; zeros when it wrote none."""
    if not report.exists():
        return 0, 0, 0
    root = ET.parse(report).getroot()  # noqa: S314 - our own pytest wrote it
    total, failed, skipped = 0, 0, 0
    for suite in root.iter("testsuite"):
        total += int(suite.get("tests", "0"))
        failed += int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
        skipped += int(suite.get("skipped", "0"))
    return max(0, total - failed - skipped), failed, skipped


def trouble(suite: str, code: int, passed: int, failed: int, skipped: int, over: float) -> str:
    if not passed and not failed:
        if not skipped:
            return f"executed no test (pytest ended with {code})"
        if suite not in MAY_BE_SKIPPED or os.environ.get("CI"):
            return "every test was skipped, see above why"
        return ""
    if skipped and suite in MAY_BE_SKIPPED and os.environ.get("CI"):
        return f"{skipped} were skipped, see above why: a server is missing"
    if over > 0:
        return f"OVER BUDGET by {over:.1f} s"
    if code and not failed:
        return f"pytest ended with {code}"
    return ""


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
