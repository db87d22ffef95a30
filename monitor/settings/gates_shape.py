"""The section `gates:` of the file, and a file that holds one gate policy."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from monitor.model.gate import DEEP, QUICK, STANDARD, Control
from monitor.settings.scalars import Choice, Flag, Name, Percent, RouteNameScalar, Span, Whole
from monitor.settings.section import Section, optional, required

MOST_PROBES = 1_000  # of one mailbox class

Probes = Annotated[int, Whole(1, MOST_PROBES)]
RouteName = Annotated[str, RouteNameScalar()]


class Like(StrEnum):
    """The built-in policies."""

    QUICK = QUICK
    STANDARD = STANDARD
    DEEP = DEEP


class StepShape(Section):
    """A look at what so many probes of a mailbox class showed."""

    probes: Probes = required("When so many probes of a mailbox class are resolved,", "10")
    accept: Annotated[int, Whole(0, MOST_PROBES - 1)] = optional("it passes with at most so many adverse ones.", 0)


class SequentialShape(Section):
    """Wald's sequential probability ratio test, for each mailbox class."""

    good: Annotated[float, Percent(50, 0.01)] = optional("A deploy with this share of adverse probes must not be blocked.", "0.5%")
    bad: Annotated[float, Percent(90, 0.01)] = optional("A deploy with this share of adverse probes must not pass.", "5%")
    false_fail: Annotated[float, Percent(20, 0.001)] = optional("How often the test may block a good one.", "1%")
    false_pass: Annotated[float, Percent(20, 0.001)] = optional("How often it may pass a bad one.", "5%")
    most: Probes = optional("Probes of one class at which it is cut off: then whichever is likelier.", 300)


class GatePolicyShape(Section):
    """A policy of gates. What is not written is as in the policy that it is like."""

    like: Annotated[Like, Choice(Like)] = optional("Built-in policy that it starts from: quick, standard or deep.", QUICK)
    steps: tuple[StepShape, ...] | None = optional("How many probes of a mailbox class decide, in growing steps; or sequential.", least=1)
    reject: Annotated[int, Whole(1, MOST_PROBES)] | None = optional("Adverse probes with which a class fails, at any step.")
    sequential: SequentialShape | None = optional("Instead of steps: as few probes as the evidence allows.")
    timeout: Annotated[float, Span("1s", "6h")] | None = optional("Of one attempt; then it is inconclusive.")
    deadline: Annotated[float, Span("100ms", "6h")] | None = optional("Proves absence, instead of deadlines.missing of the routes.")
    settle: Annotated[float, Span("0s", "10m")] | None = optional("After the last probe was seen: a second copy would show meanwhile.")
    fresh_for: Annotated[float, Span("0s", "7d")] | None = optional("Good evidence older than this before an attempt vouches for nothing.")
    min_routes: Annotated[int, Whole(1, 1_000)] | None = optional("Routes that must have resolved probes of the version under test.")
    routes: tuple[RouteName, ...] | None = optional("Only these: names of paths or mailboxes, or path/mailbox. Default: all.", least=1)
    trust_target: Flag | None = optional("true: what does not tell its version is the version under test.")
    control: Annotated[Control, Choice(Control)] | None = optional(
        "stable: it is compared with probes of other versions; none: with nothing."
    )
    overdue_fails: Flag | None = optional("true: overdue at two providers while the control arm arrives fails before the deadline.")


class GatesShape(Section):
    """What a release gate demands, and what gates may use of the mailboxes and the budgets."""

    policy: Name = optional("For a gate that names none: quick, standard, deep or one of policies.", QUICK)
    burst: Annotated[int, Whole(1, 200)] = optional("Gate probes to one mailbox within window, all gates together.", 6)
    window: Annotated[float, Span("1s", "1h")] = optional("See burst.", "60s")
    daily_share: Annotated[float, Percent(100, 1)] = optional("Of the daily budgets, for all gates together.", "50%")
    policies: dict[Name, GatePolicyShape] = optional("Policies of your own, by name. Default: none.", {})
