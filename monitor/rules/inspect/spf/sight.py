"""What the SPF checks look at: each name that sends, its record, and the trees below it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from monitor.model.checks import CheckResult
from monitor.model.dns import Answer, RecordType
from monitor.rules.inspect.check import Check
from monitor.rules.inspect.scene import Scene
from monitor.rules.inspect.spf.proposal import MOST_EGRESS, STRANGERS, missing, propose, strangers
from monitor.rules.inspect.zonefile import shown
from monitor.rules.mailauth.spf import Evaluation, Node
from monitor.rules.mailauth.spf.record import Kind, Record, is_spf, parse

UNKNOWN_EGRESS: Final = "sending addresses are not known: --egress, or inspect.domains.NAME.egress"
MOST_NAMES: Final = 10  # sending names that are looked at


@dataclass(frozen=True)
class Sight:
    """One name that stands in MAIL FROM or HELO."""

    scene: Scene
    name: str
    is_helo: bool = False

    @cached_property
    def answer(self) -> Answer:
        return self.scene.lookup.ask(self.name, RecordType.TXT)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        return tuple(text for text in self.answer.records if is_spf(text))

    @property
    def dark(self) -> str:
        """Why nothing can be said of the name; empty when something can."""
        return shown(f"{self.answer.question}: {self.answer.detail}") if self.answer.failed else ""

    def none(self, check: Check) -> CheckResult:
        """The result where there is no record to look at."""
        if self.dark:
            return check.unknown(self.name, self.dark)
        return check.skipped(self.name, f"{len(self.texts)} SPF records" if self.texts else "no SPF record")

    @cached_property
    def record(self) -> Record | None:
        return parse(self.texts[0]) if len(self.texts) == 1 else None

    @property
    def text(self) -> str:
        return self.texts[0] if self.texts else ""

    @cached_property
    def egress(self) -> tuple[str, ...]:
        return self.scene.subject.egress[:MOST_EGRESS]

    @cached_property
    def strangers(self) -> tuple[str, ...]:
        return strangers(self.scene)

    @cached_property
    def publish(self) -> str:
        """The line that mends all that can be mended here; what every finding about the name proposes."""
        return propose(self.scene, self.answer, self.is_helo)

    def evaluation(self, address: str) -> Evaluation:
        return self.scene.spf(address, self.name)

    @cached_property
    def tree(self) -> Node:
        """As an IPv4 client makes it; the records in it do not depend on who asks, unless by macros."""
        return self.evaluation(STRANGERS[0]).tree

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        return tuple(self.tree.walk())

    @property
    def gap(self) -> str:
        """Why the tree is not known to its end; empty when it is."""
        records = (node for node in self.nodes if node.kind in ("", Kind.INCLUDE, Kind.REDIRECT))
        return next((shown(missing(node)) for node in records if missing(node)), "")

    def records(self) -> Iterator[tuple[str, Record]]:
        """Every record of the tree once, with the name that it stands at."""
        seen = set()
        for node in self.nodes:
            if node.record and node.target not in seen:
                seen.add(node.target)
                yield node.target, parse(node.record)


def sights(scene: Scene) -> tuple[Sight, ...]:
    """The envelope domains, then the HELO names that are none of them."""
    names = [Sight(scene, name) for name in scene.envelope[:MOST_NAMES]]
    taken = {sight.name for sight in names}
    helo = [Sight(scene, name, True) for name in dict.fromkeys(scene.subject.helo) if name not in taken]
    return (*names, *helo[:MOST_NAMES])
