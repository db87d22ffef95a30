"""The runner of the suites: in CI nothing real is skipped without a word."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def suites(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("ci_suites", ROOT / ".ci" / "suites.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "ci_suites", made)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize(
    ("suite", "ci", "passed", "skipped", "good"),
    [
        ("real", "true", 40, 0, True),
        ("real", "true", 40, 1, False),
        ("real", "true", 0, 40, False),
        ("real", "", 40, 1, True),
        ("real", "", 0, 40, True),
        ("rules", "true", 40, 1, True),
        ("rules", "", 0, 40, False),
        ("real", "true", 0, 0, False),
    ],
)
def test_what_was_skipped(
    suites: ModuleType, monkeypatch: pytest.MonkeyPatch, suite: str, ci: str, passed: int, skipped: int, good: bool
) -> None:
    monkeypatch.setenv("CI", ci)
    assert (suites.trouble(suite, 0, passed, 0, skipped, -1.0) == "") is good


@pytest.mark.parametrize(("ci", "told"), [("true", "1 failed, 1 passed, 1 xfailed, 1 error"), ("", "1 passed, 2 skipped, 1 xfailed")])
def test_a_missing_server_fails_in_ci(tmp_path: Path, ci: str, told: str) -> None:
    (tmp_path / "conftest.py").write_text("from tests.real.conftest import pytest_runtest_makereport\n")
    (tmp_path / "test_some.py").write_text(
        "import pytest\n"
        "@pytest.mark.skipif(True, reason='no server')\ndef test_marked(): pass\n"
        "def test_says_so(): pytest.skip('no server')\n"
        "@pytest.mark.xfail\ndef test_expected(): assert False\n"
        "def test_good(): pass\n"
    )
    environment = {**os.environ, "CI": ci, "PYTHONPATH": str(ROOT)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rf",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert told in done.stdout, done.stdout + done.stderr
    assert ("nothing may be skipped in CI: Skipped: no server" in done.stdout) is bool(ci)
