"""Strays, and which of them tripped: so that a restart finds what its predecessor had no time to decide on, and nothing trips twice."""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.model.facts import Entry, Stray, Tripped

KEPT = 500  # strays, the latest; and as many trips


@dataclass(slots=True)
class Tripwires:
    """`lying`: strays that have not tripped, by their seqs. `tripped`: the seqs of those that have, by mailbox and digest: a mail that
    is read again, or lies there twice, trips once."""

    lying: dict[int, Stray] = field(default_factory=dict)
    tripped: dict[str, int] = field(default_factory=dict)

    def has_tripped(self, stray: Stray) -> bool:
        return _key(stray) in self.tripped

    def fold(self, entry: Entry) -> None:
        match entry.fact:
            case Stray() as stray if not self.has_tripped(stray):
                self.lying[entry.seq] = stray
                if len(self.lying) > KEPT:
                    del self.lying[next(iter(self.lying))]
            case Tripped() as fact if known := self.lying.pop(fact.stray, None):
                self.tripped[_key(known)] = fact.stray
                if len(self.tripped) > KEPT:
                    del self.tripped[next(iter(self.tripped))]
            case _:
                pass


def _key(stray: Stray) -> str:
    return f"{stray.mailbox} {stray.digest}"
