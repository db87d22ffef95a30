"""What lies in tripwire mailboxes, in words: no probe shows it, and no pattern of probes explains it."""

from __future__ import annotations

from monitor.model.incident import Layer, Scope
from monitor.model.instant import Instant
from monitor.model.probe import MailboxName
from monitor.model.verdict import Symptom
from monitor.views.world import World

SYMPTOMS = frozenset({Symptom.IMITATION, Symptom.TRIPWIRE_LEAKED})  # those that are about somebody outside

_IMITATED = "see which links and addresses it names and report them; where DMARC of the domain in From is p=none, move to reject"
_LEAKED = "replace the address of {name} in mailboxes and at its provider; until then a trip there may be a person who typed it in"


def layer(symptom: Symptom) -> Layer:
    return Layer.AUTHENTICATION if symptom is Symptom.IMITATION else Layer.MAILBOX


def summary(scope: Scope, symptom: Symptom) -> str:
    if symptom is Symptom.IMITATION:
        return f"refund mail that pretends to be ours, and is not, came to mailbox {scope.name}: somebody outside"
    return f"strangers mail to tripwire mailbox {scope.name}, whose address nobody should know: it is no longer a secret"


def next_step(scope: Scope, symptom: Symptom) -> str:
    return _IMITATED if symptom is Symptom.IMITATION else _LEAKED.format(name=scope.name)


def against(symptom: Symptom) -> tuple[str, ...]:
    """Of an imitation nothing: whose it is not, has been shown."""
    return () if symptom is Symptom.IMITATION else ("a person may have typed the address in by mistake",)


def is_doubt(world: World, scope: Scope, since: Instant) -> bool:
    """What came since then to this tripwire claims to be ours, and none of it was proven to be."""
    name = MailboxName(scope.name)
    trip = world.evidence.tripped.get(name)
    return name in world.tripwires.doubts and (trip is None or trip.at.seconds_since(since) < 0)
