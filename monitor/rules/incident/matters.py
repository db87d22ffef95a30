"""What may change incidents beside verdicts: after such a fact the rule is asked."""

from __future__ import annotations

from monitor.model.facts import (
    Acknowledged,
    Doubted,
    GateDecided,
    GateOverridden,
    Imitated,
    InspectionAsked,
    LedgerPurged,
    MailProved,
    Reconciled,
    ResolveAsked,
    SourceBlind,
    SourceRestored,
    Stray,
    Tripped,
    Unasked,
    WatchBlind,
    WatchRestored,
    Withheld,
    ZoneObserved,
)

MATTERS = (
    Acknowledged,
    ResolveAsked,
    Tripped,
    Doubted,
    Imitated,
    Stray,
    Unasked,
    WatchBlind,
    WatchRestored,
    Withheld,
    GateDecided,
    GateOverridden,
    ZoneObserved,
    MailProved,
    InspectionAsked,
    Reconciled,
    SourceBlind,
    SourceRestored,
    LedgerPurged,
)
