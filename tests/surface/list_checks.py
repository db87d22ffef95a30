"""The table of checks in docs/audit.md. `python -m tests.surface.list_checks` writes it anew."""

from __future__ import annotations

from pathlib import Path

from monitor.model.checks import CheckId
from monitor.rules.inspect import catalogue

PAGE = Path(__file__).parents[2] / "docs" / "audit.md"
BEGIN, END = "<!-- table: checks -->\n", "<!-- end -->\n"


def table() -> str:
    known = catalogue()
    rows = [
        f"| {check.value} | {known[check].title.replace('|', '/')} | {known[check].gravity.value} |\n"
        for check in CheckId
        if check in known
    ]
    return "| id | what | severity |\n| --- | --- | --- |\n" + "".join(rows)


def printed(text: str) -> str:
    return text.partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.partition(END)[2])
