"""Checks that had nothing to test because nobody said what they need, and how to say it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from monitor.model.checks import CheckId, CheckResult, Status


@cache
def _beginning(*prefixes: str) -> frozenset[CheckId]:
    return frozenset(check for check in CheckId if check.value.startswith(prefixes))


@dataclass(frozen=True, slots=True)
class Need:
    """What all of these checks have to be told; it is known when any of them had something to test. `give`: the flag that tells it;
    `named`: what stands for the checks, where they are of many families."""

    checks: frozenset[CheckId]
    give: str = ""
    named: str = ""


NEEDS = (
    Need(_beginning("IP-") | {CheckId.SPF_07}, "--egress"),
    Need(_beginning("DKIM-K"), "--selector"),
    Need(
        _beginning("DKIM-M", "AR-") | {CheckId.SPF_15, CheckId.DMARC_10, CheckId.DMARC_11, CheckId.TLS_01, CheckId.MSG_01, CheckId.PLC_02},
        named="delivered mail",
    ),
)


def untested(results: Iterable[CheckResult]) -> tuple[CheckId, ...]:
    tested = {result.check for result in results if result.status is not Status.SKIP}
    lacking = frozenset[CheckId]().union(*(need.checks for need in NEEDS if not need.checks & tested))
    return tuple(check for check in CheckId if check in lacking)


def told(checks: Sequence[CheckId], among: Iterable[CheckId]) -> str:
    """`SPF-07, IP-*, DKIM-K*, delivered mail (give --egress, --selector)`. `among`: all that were to be tested; a family of which none was
    is one word."""
    lacking, rest = frozenset(checks), frozenset(among) - frozenset(checks)
    needs = [need for need in NEEDS if need.checks & lacking]
    words = dict.fromkeys(
        need.named or _word(check, lacking, rest) for need in needs for check in CheckId if check in need.checks & lacking
    )
    give = ", ".join(need.give for need in needs if need.give)
    return ", ".join(words) + (f" (give {give})" if give else "")


def _word(check: CheckId, lacking: frozenset[CheckId], rest: frozenset[CheckId]) -> str:
    family = check.value.rstrip("0123456789")
    whole = len(_beginning(family) & lacking) > 1 and not _beginning(family) & rest
    return f"{family}*" if whole else check.value
