"""Paths x mailboxes as a table: the last verdict of each route and the times of its latest arrivals."""

from __future__ import annotations

from collections import defaultdict, deque

from rich.table import Table
from rich.text import Text

from monitor.desk import Desk
from monitor.model.facts import Entry, Judged
from monitor.model.probe import Route
from monitor.surface.report import COLOURS

BARS = "▁▂▃▄▅▆▇█"
KEPT = 12


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
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
        table.add_column("mailbox", no_wrap=True)
        paths = list(policy.paths)
        for path in paths:
            table.add_column(f"via {path}", no_wrap=True, min_width=34)
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
            return Text("waiting", style="dim")
        cell = Text(sparkline(list(self._times[route])).ljust(KEPT) + " ", style="dim")
        cell.append(last.reason.value, style=COLOURS[last.verdict])
        if last.transit_seconds is not None and last.verdict.exit_code == 0:
            cell.append(f" {last.transit_seconds * 1000:.0f} ms", style="dim")
        elif last.mailbox is not None:
            cell.append(f" -> {last.mailbox}", style="dim")
        return cell


def sparkline(times: list[float | None]) -> str:
    """One bar a probe, on a scale from nothing to the slowest; x is a probe that did not pass."""
    top = max((time for time in times if time is not None), default=0.0) or 1.0
    return "".join("x" if time is None else BARS[min(len(BARS) - 1, int(time / top * (len(BARS) - 1)))] for time in times)
