"""Paths x mailboxes as a table: the last verdict of each route and the times of its latest arrivals."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from monitor.desk import Desk
from monitor.model.facts import Entry, Judged
from monitor.model.probe import Route
from monitor.model.verdict import Verdict
from monitor.surface.report import COLOURS

BARS = "▁▂▃▄▅▆▇█"
KEPT = 12
WIDTH = 34  # columns of one cell


class Matrix:
    """Remembers the transit times of the latest probes; `table` draws."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._times: dict[Route, deque[float | None]] = defaultdict(lambda: deque(maxlen=KEPT))

    def note(self, entry: Entry) -> None:
        if isinstance(entry.fact, Judged) and entry.fact.revision == 0:
            good = entry.fact.reason.verdict.exit_code == 0
            self._times[entry.fact.route].append(entry.fact.transit_seconds if good else None)

    def table(self) -> Table:
        policy, world = self._desk.policy, self._desk.world
        paths = list(policy.paths)
        table = matrix_table(paths)
        for name, box in policy.mailboxes.items():
            routes = [Route(path, name) for path in paths]
            if not any(route in policy.routes for route in routes):
                continue
            state = world.mailboxes.get(name)
            blind = state is None or state.blind is not None
            table.add_row(Text(f"{name} ({box.provider})", style="yellow" if blind else ""), *(self._cell(route) for route in routes))
        return table

    def _cell(self, route: Route) -> Text:
        state = self._desk.world.routes.get(str(route))
        last = state.last if state else None
        if last is None:
            return waiting()
        return cell(list(self._times[route]), last.verdict, last.reason.value, last.transit_seconds, str(last.mailbox or ""))


def matrix_table(paths: Sequence[str], width: int = WIDTH) -> Table:
    """Empty: a column for each path beside that of the mailboxes."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("mailbox", no_wrap=True)
    for path in paths:
        table.add_column(Text(f"via {path}"), no_wrap=True, min_width=width)
    return table


def waiting() -> Text:
    return Text("waiting", style="dim")


def cell(times: list[float | None], verdict: Verdict, reason: str, transit: float | None, seen_in: str = "") -> Text:
    """The sparkline, what the last probe showed, and how long it took; of one that did not pass, the mailbox that it was seen in."""
    text = Text(sparkline(times[-KEPT:]).ljust(KEPT) + " ", style="dim")
    text.append(reason, style=COLOURS[verdict])
    if transit is not None and verdict.exit_code == 0:
        text.append(f" {transit * 1000:.0f} ms", style="dim")
    elif seen_in:
        text.append(f" -> {seen_in}", style="dim")
    return text


def sparkline(times: list[float | None]) -> str:
    """One bar a probe, on a scale from nothing to the slowest; x is a probe that did not pass."""
    top = max((time for time in times if time is not None), default=0.0) or 1.0
    return "".join("x" if time is None else BARS[min(len(BARS) - 1, int(time / top * (len(BARS) - 1)))] for time in times)
