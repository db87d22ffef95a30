"""Makes gate-statistics.svg and the tables of docs/gate-statistics.md from the rules that decide.

Run `python -m docs.pictures.gate_statistics`. What can be said exactly is computed; times, and what a naive rule does, are simulated with a
fixed seed.
"""

from __future__ import annotations

import heapq
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))

from monitor.model.gate import BUILT_IN, DEEP, QUICK, STANDARD, GatePlan, GatePolicy, GatesPolicy, Sequential  # noqa: E402
from monitor.rules.gate.needs import CONTROL_LEAST  # noqa: E402
from monitor.rules.gate.sequence import boundaries, rule  # noqa: E402
from monitor.rules.gate.statistics import characteristic, coverage, endings, loss_upper  # noqa: E402

PAGE, PICTURE = HERE.parent / "gate-statistics.md", HERE / "gate-statistics.svg"
POLICIES = (QUICK, STANDARD, DEEP)
LOSSES = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
CLASSES = (1, 3, 5)
SEED = 20_240_229
MEDIAN, SPREAD = 6.0, 0.6  # seconds; mail takes a lognormal time
NAIVE = GatePlan(sequential=Sequential(0.005, 0.1, 0.01, 0.05, 120))
NAIVE_EVERY, NAIVE_DEADLINE = 5.0, 180.0  # seconds between two of its probes, and until a loss is proven
RUNS, DRAWN, TIMED = 500, 200, 11  # simulated deploys for a cell, for a point of the picture, for a time
MISSING = 480.0  # seconds, `deadlines.missing` where nothing else is configured
SLOW = 60.0  # seconds that the mail of the slowest pass takes
MAILBOXES = 2  # of a class, for the times
PACE = GatesPolicy()


@dataclass(frozen=True, slots=True)
class Sent:
    """One probe of a simulated deploy: when it was sent, when its fate is known, and that fate."""

    at: float
    known: float
    adverse: bool


def send(dice: Random, at: float, loss: float, deadline: float) -> Sent:
    """It arrives after a while, or its deadline proves that it does not."""
    transit = dice.lognormvariate(math.log(MEDIAN), SPREAD)
    lost = dice.random() < loss or transit > deadline
    return Sent(at, at + (deadline if lost else transit), lost)


def stream(dice: Random, loss: float) -> list[Sent]:
    """What both rules of the comparison look at."""
    return [send(dice, place * NAIVE_EVERY, loss, NAIVE_DEADLINE) for place in range(NAIVE.most)]


def naive(probes: Sequence[Sent]) -> bool:
    """Whether a sequential test that takes outcomes as they become known passes this deploy."""
    adverse = 0
    for seen, probe in enumerate(sorted(probes, key=lambda probe: probe.known), start=1):
        adverse += probe.adverse
        accept, reject = boundaries(NAIVE, seen)
        if adverse >= reject or adverse <= accept:
            return adverse < reject
    raise AssertionError("it is cut off")


def in_send_order(probes: Sequence[Sent]) -> bool:
    """Whether the gate's own rule passes it, asked again whenever the fate of a probe becomes known."""
    for now in sorted(probe.known for probe in probes):
        said = rule(NAIVE, [probe.adverse if probe.known <= now else None for probe in probes if probe.at <= now])
        if said.passed is not None:
            return said.passed
    raise AssertionError("it is cut off")


def naive_passes(loss: float, runs: int) -> float:
    dice = Random(f"{SEED} {loss}")  # noqa: S311
    return sum(naive(stream(dice, loss)) for _ in range(runs)) / runs


def seconds_to_decide(policy: GatePolicy, mailboxes: int, fate: Callable[[int, float], Sent]) -> tuple[bool, float]:
    """One class at the default pace, asking for what the rule needs beside the control arm's first probes; whether it passes, and when.
    `fate` of the n-th probe, sent at that second."""
    probes: list[Sent] = []
    bursts: list[list[float]] = [[0.0] * (CONTROL_LEAST // mailboxes) for _ in range(mailboxes)]
    ahead = [0.0]
    while True:
        now = heapq.heappop(ahead)
        said = rule(policy.plan, [probe.adverse if probe.known <= now else None for probe in probes])
        if said.passed is not None:
            return said.passed, now + (policy.settle if said.passed else 0.0)
        for burst in bursts:
            room = PACE.burst - sum(now - at < PACE.window for at in burst)
            for _ in range(min(room, said.needed - len(probes))):
                probes.append(fate(len(probes) + 1, now))
                burst.append(now)
                heapq.heappush(ahead, probes[-1].known)
        if len(probes) < said.needed:
            heapq.heappush(ahead, min(burst[-PACE.burst] for burst in bursts) + PACE.window)


def time_to_decide(name: str, loss: float) -> float:
    dice = Random(f"{SEED} {name} {loss}")  # noqa: S311

    def fate(_: int, at: float) -> Sent:
        return send(dice, at, loss, MISSING)

    return median(seconds_to_decide(BUILT_IN[name], MAILBOXES, fate)[1] for _ in range(TIMED))


def slowest_pass(name: str, mailboxes: int) -> float:
    """Each step's last probe is lost, as often as a pass allows, and what arrives takes SLOW."""
    lost = list(acceptances(BUILT_IN[name].plan))[:-1]

    def fate(number: int, at: float) -> Sent:
        return Sent(at, at + (MISSING if number in lost else SLOW), number in lost)

    passed, seconds = seconds_to_decide(BUILT_IN[name], mailboxes, fate)
    if not passed:
        raise AssertionError("it was made to pass")
    return seconds


def percent(share: float) -> str:
    """Never rounded to certainty: what can happen is not 0, what can fail is not 100."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    return f"{100 * share:.1f} %"


def plain(share: float) -> str:
    return f"{100 * share:g} %"


def span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 240 else f"{seconds / 60:.1f} min"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def passes() -> str:
    """How often a deploy of this true loss passes; the same loss everywhere."""
    rows = [
        [
            f"{name}, {count} class{'es' if count > 1 else ''}",
            *(percent(characteristic(BUILT_IN[name].plan, loss).passes ** count) for loss in LOSSES),
        ]
        for name in POLICIES
        for count in (1, 3)
    ]
    return table(["true loss", *map(plain, LOSSES)], rows)


def demands() -> str:
    """What a policy promises: good deploys blocked, bad ones caught."""
    rows = []
    for name in POLICIES:
        plan = BUILT_IN[name].plan
        blocked = [percent(1 - characteristic(plan, 0.005).passes ** count) for count in CLASSES]
        caught = [percent(characteristic(plan, loss).fails) for loss in (0.1, 0.2, 1.0)]
        rows.append([name, *blocked, *caught])
    return table(
        [
            "policy",
            *(f"0.5 % blocked, {count} class{'es' if count > 1 else ''}" for count in CLASSES),
            "10 % caught",
            "20 % caught",
            "total loss caught",
        ],
        rows,
    )


def costs() -> str:
    """Probes of one class, and the median time."""
    rows = []
    for name in POLICIES:
        plan = BUILT_IN[name].plan
        probes = [f"{characteristic(plan, loss).probes:.1f}" for loss in (0.005, 0.02, 0.1)]
        rows.append(
            [
                name,
                str(first(plan)),
                *probes,
                str(plan.most),
                *(span(time_to_decide(name, loss)) for loss in (0.0, 1.0)),
                span(slowest_pass(name, MAILBOXES)),
            ]
        )
    means = ("mean at 0.5 %", "mean at 2 %", "mean at 10 %")
    head = ["policy", "least to pass", *means, "most", "PASS, no loss", "FAIL, all lost", "slowest PASS"]
    return table(head, rows)


def allows() -> str:
    """What a pass leaves open."""
    rows = []
    for name in POLICIES:
        plan = BUILT_IN[name].plan
        ends = sorted({(probes, boundaries(plan, probes)[0]) for probes in acceptances(plan)})[:3]
        bounds = "; ".join(f"{adverse} of {probes}: {percent(loss_upper(probes, adverse))}" for probes, adverse in ends)
        least = min(coverage(plan, bound * (1 + 1e-9)) for bound in bounds_of_passes(plan))  # just above a bound it is least
        windows = math.ceil(first(plan) / (PACE.burst * MAILBOXES))
        rows.append([name, bounds, percent(least), str(windows), percent(0.9**windows)])
    return table(["policy", "lost, and the bound", "the bound holds in", "bursts of a pass", "passes, all lost a tenth of the time"], rows)


def compared() -> str:
    """The naive rule and ours, with the same two shares and the same errors."""
    losses = (0.005, 0.05, 0.1, 0.2, 0.5)
    rows = [
        ["outcomes as they come", *(percent(naive_passes(loss, RUNS)) for loss in losses)],
        ["in send order, all resolved", *(percent(characteristic(NAIVE, loss).passes) for loss in losses)],
    ]
    return table(["true loss", *map(plain, losses)], rows)


def first(plan: GatePlan) -> int:
    """Probes with which it passes at the earliest."""
    return next(acceptances(plan))


def bounds_of_passes(plan: GatePlan) -> set[float]:
    return {loss_upper(end.probes, end.adverse) for end in endings(plan, 0.05) if end.passed}


def acceptances(plan: GatePlan) -> Iterator[int]:
    """Where one adverse probe more is accepted than before."""
    best = -1
    for probes in range(1, plan.most + 1):
        accept = boundaries(plan, probes)[0]
        if accept > best:
            best = accept
            yield probes


# --- the picture -------------------------------------------------------------------------------------------------------

LEFT, TOP, WIDE, HIGH = 70, 50, 640, 300
LEAST, MOST = 0.001, 0.5  # of the axis of losses, logarithmic
CURVES = ((QUICK, "quick: 10 or 30 probes"), (STANDARD, "standard: 30, 60 or 90"), (DEEP, "deep: 65 to 300"))
STYLE = """
  .back { fill: #ffffff; } text { font: 13px sans-serif; fill: #24292f; } .title { font-weight: bold; font-size: 15px; }
  .grid { stroke: #d0d7de; } path { fill: none; stroke-width: 2.5; }
  .quick { stroke: #0969da; } .standard { stroke: #1a7f37; } .deep { stroke: #8250df; } .naive { stroke: #cf222e; stroke-dasharray: 7 4; }
  @media (prefers-color-scheme: dark) {
    .back { fill: #161b22; } text { fill: #e6edf3; } .grid { stroke: #3d444d; }
    .quick { stroke: #58a6ff; } .standard { stroke: #56d364; } .deep { stroke: #d2a8ff; } .naive { stroke: #ff7b72; }
  }"""


def place(loss: float, share: float) -> tuple[float, float]:
    return LEFT + WIDE * math.log(loss / LEAST) / math.log(MOST / LEAST), TOP + HIGH * (1 - share)


def curve(kind: str, points: Sequence[tuple[float, float]]) -> str:
    line = " L".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
    return f'<path class="{kind}" d="M{line}"/>'


def picture() -> str:
    """Pass probability of one class against the true loss."""
    fine = [LEAST * (MOST / LEAST) ** (step / 80) for step in range(81)]
    coarse = [LEAST * (MOST / LEAST) ** (step / 20) for step in range(21)]
    parts = [f'<rect class="back" width="{LEFT + WIDE + 30}" height="{TOP + HIGH + 130}" rx="8"/>']
    parts.append(
        f'<text class="title" x="{LEFT}" y="28">How often a deploy passes (one mailbox class), by the true share of lost mail</text>'
    )
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        _, y = place(LEAST, share)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{LEFT + WIDE}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{100 * share:.0f} %</text>')
    for loss in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5):
        x, _ = place(loss, 0)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{TOP + HIGH}"/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP + HIGH + 18}" text-anchor="middle">{plain(loss)}</text>')
    parts.append(f'<text x="{LEFT + WIDE / 2}" y="{TOP + HIGH + 40}" text-anchor="middle">true loss (logarithmic)</text>')
    for name, _ in CURVES:
        parts.append(curve(name, [(loss, characteristic(BUILT_IN[name].plan, loss).passes) for loss in fine]))
    parts.append(curve("naive", [(loss, naive_passes(loss, DRAWN)) for loss in coarse]))
    for row, (kind, label) in enumerate((*CURVES, ("naive", "naive: outcomes as they come"))):
        x, y = LEFT + (row % 2) * 300, TOP + HIGH + 68 + 26 * (row // 2)
        parts.append(f'<path class="{kind}" d="M{x},{y} L{x + 36},{y}"/><text x="{x + 46}" y="{y + 4}">{label}</text>')
    size = f'viewBox="0 0 {LEFT + WIDE + 30} {TOP + HIGH + 130}" width="{LEFT + WIDE + 30}" height="{TOP + HIGH + 130}"'
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n<style>{STYLE}\n</style>\n{body}\n</svg>\n'


# --- the page ----------------------------------------------------------------------------------------------------------

TABLES = {"passes": passes, "demands": demands, "costs": costs, "allows": allows, "compared": compared}


def page(text: str) -> str:
    """The page with its tables made anew, between `<!-- table: NAME -->` and `<!-- end -->`."""
    for name, made in TABLES.items():
        start = f"<!-- table: {name} -->"
        if text.count(start) != 1:
            raise ValueError(f"the page has no one place for the table {name}")
        before, _, rest = text.partition(start)
        text = f"{before}{start}\n{made()}\n<!-- end -->{rest.partition('<!-- end -->')[2]}"
    return text


def main() -> int:
    PICTURE.write_text(picture(), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
