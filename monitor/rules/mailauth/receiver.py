"""What the receiver wrote on top of a message: its results, its Received fields, its filters' fields.

Trust (RFC 8601 sections 5 and 7.1): Authentication-Results count only from an authserv-id on the allow list, and only above the first
Received field that the receiver did not write itself; what stands below, the sender could have written. Milters insert below the Received
field of their own server, so the border's own field does not end the trusted part; the next one does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.model.mail import UNSAID, Authentication
from monitor.model.mailauth import ArcProof, ArcSet, ArcState, DeliveredMail, Hop, PlacementHint
from monitor.rules.mailauth.authres import MAX_HEADERS, Said, aligned, arc_results, of_header, said
from monitor.rules.mailauth.hints import placement_hints
from monitor.rules.mailauth.trace import MAX_HOPS, border, own_hops, parse_received


@dataclass(frozen=True, slots=True)
class Receiver:
    """`hops` topmost first, at most MAX_HOPS; `border`: where the receiver took it from outside (trace.border)."""

    said: Said
    hops: tuple[Hop, ...]
    border: Hop | None
    hints: tuple[PlacementHint, ...]


def read_receiver(fields: Sequence[tuple[str, str]], trusted: Sequence[str]) -> Receiver:
    """`fields`: (name in lower case, unfolded value) of the header, topmost first; `trusted`: authserv-ids. Never raises; bounded."""
    received = [(at, value) for at, (name, value) in enumerate(fields) if name == "received"][:MAX_HOPS]
    hops = tuple(parse_received(value) for _, value in received)
    own = own_hops(hops)
    end = received[own][0] if own < len(received) else len(fields)
    results = [(at, value) for at, (name, value) in enumerate(fields) if name == "authentication-results"][:MAX_HEADERS]
    spoken = said([value for at, value in results if at < end], trusted)
    below = said([value for at, value in results if at >= end], ())
    everything = Said(
        spoken.auth, spoken.address, spoken.envelope, tuple(dict.fromkeys((*spoken.untrusted, *below.untrusted))), spoken.unparsed
    )
    return Receiver(everything, hops, border(hops, spoken.address), placement_hints(fields))


def arc_said(sets: Sequence[ArcSet], trusted: Sequence[str]) -> Authentication:
    """What the newest ARC set says, when its authserv-id stands on the allow list by name and its seal is of that name's own domain:
    anybody can seal a set that speaks in another's name (RFC 8617 section 9)."""
    if not sets:
        return UNSAID
    newest = sets[-1]
    _, header = arc_results(newest.results)
    listed = [entry for entry in trusted if entry.strip() != "*"]
    return of_header(header, listed) if aligned(header.authserv_id, newest.seal.domain) else UNSAID


def word(mail: DeliveredMail, arc: ArcProof) -> Authentication:
    """The receiver's word: its Authentication-Results, else what it sealed into an ARC chain that holds."""
    return mail.arc_said if mail.said == UNSAID and arc.state is ArcState.PASS else mail.said
