"""Which files a pattern finds, and how long it may look."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monitor.edge.sources import finding
from monitor.ports import SourceError


def always() -> bool:
    return True


def names(directory: Path, pattern: str) -> list[str]:
    return sorted(str(Path(found.path).relative_to(directory)) for found in finding.find(str(directory / pattern), always))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a.csv", "b.txt", ".hidden.csv", "x/a.csv", "x/y/a.csv", "x/y/z.csv", ".h/a.csv", "o[1]/a.csv"):
        at = tmp_path / name
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", ["a.csv", "b.txt"]),
        ("a.csv", ["a.csv"]),
        ("*.csv", ["a.csv"]),
        ("[!a].*", ["b.txt"]),
        (".*.csv", [".hidden.csv"]),
        ("*/a.csv", ["o[1]/a.csv", "x/a.csv"]),
        ("?/y/*", ["x/y/a.csv", "x/y/z.csv"]),
        ("o[[]1]/*", ["o[1]/a.csv"]),
        (".h/*", [".h/a.csv"]),
        ("**", ["a.csv", "b.txt", "o[1]/a.csv", "x/a.csv", "x/y/a.csv", "x/y/z.csv"]),
        ("**/a.csv", ["a.csv", "o[1]/a.csv", "x/a.csv", "x/y/a.csv"]),
        ("x/**/y/**/z.csv", ["x/y/z.csv"]),
        ("**/y/*", ["x/y/a.csv", "x/y/z.csv"]),
    ],
)
def test_patterns(tree: Path, pattern: str, found: list[str]) -> None:
    assert names(tree, pattern) == found


def test_two_stars_follow_no_link_to_a_directory(tree: Path) -> None:
    for name in ("loop", "x/loop", "x/y/loop"):
        (tree / name).symlink_to(tree)
    (tree / "linked.csv").symlink_to(tree / "b.txt")
    assert names(tree, "**/*.csv") == ["a.csv", "linked.csv", "o[1]/a.csv", "x/a.csv", "x/y/a.csv", "x/y/z.csv"]
    assert names(tree, "loop/*.csv") == ["loop/a.csv", "loop/linked.csv"], "a link that is named is followed"
    (tree / "self").symlink_to(tree / "self")
    assert names(tree, "*/y/z.csv") == ["x/y/z.csv"]


def test_any_depth_is_gone_down(tmp_path: Path) -> None:
    top, below = tmp_path / "d", tmp_path / "below"
    for _ in range(1_200):  # from within: a path has a longest length
        if top.exists():
            top.rename(below)
        top.mkdir()
        if below.exists():
            below.rename(top / "d")
    try:
        (top / "a.csv").write_text("")
        assert names(tmp_path, "**/*.csv") == ["d/a.csv"]
    finally:  # what removes directories as a tree does so by recursion
        (top / "a.csv").unlink()
        while (top / "d").exists():
            (top / "d").rename(below)
            top.rmdir()
            below.rename(top)


def test_what_is_looked_at_is_bounded(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "MOST_ENTRIES", 5)
    with pytest.raises(SourceError, match="more than 5 names") as caught:
        finding.find(str(tree / "**/none"), always)
    assert not caught.value.transient


@pytest.mark.parametrize("asked", [0, 1, 5])
def test_it_ends_when_its_time_is_over(tree: Path, asked: int) -> None:
    left = iter([True] * asked)
    with pytest.raises(TimeoutError):
        finding.find(str(tree / "**/*.csv"), lambda: next(left, False))


def test_its_time_is_looked_at_for_each_name_and_each_file_found(tree: Path) -> None:
    def asked(pattern: str) -> int:
        turns: list[None] = []
        finding.find(str(tree / pattern), lambda: turns.append(None) is None)
        return len(turns)

    assert asked("**/*.csv") - asked("**/b.txt") == 5 - 1, "the same names, and 5 files instead of one"


def test_a_directory_below_that_may_not_be_entered_is_passed_over(tree: Path) -> None:
    (tree / "x").chmod(0)
    for above in (tree, *tree.parents[:2]):
        above.chmod(0o755)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65_534)
    try:
        assert names(tree, "**/a.csv") == ["a.csv", "o[1]/a.csv"]
    finally:
        if root:
            os.seteuid(0)
        (tree / "x").chmod(0o755)
