"""The section `inspect:` -> its policy."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from monitor.model.inspection import MOST_DOMAINS, DomainPolicy, InspectPolicy
from monitor.settings.inspect_shape import InspectedDomainShape, InspectShape


def inspect_policy(shape: InspectShape, sending: Sequence[str]) -> InspectPolicy:
    """Inspected are the sending domains and those that the section names."""
    written = {domain.name: one for domain, one in shape.domains.items()}
    names = tuple(dict.fromkeys((*written, *sending)))[:MOST_DOMAINS]
    return InspectPolicy(
        enabled=shape.enabled,
        every=shape.every,
        resolvers=tuple(dict.fromkeys(shape.resolvers)),
        timeout=shape.timeout,
        port=shape.port,
        transport=shape.transport,
        smtp_port=shape.smtp_port,
        private_addresses=shape.private_addresses,
        domains=MappingProxyType({name: _domain(name, written.get(name) or InspectedDomainShape()) for name in names}),
    )


def _domain(name: str, shape: InspectedDomainShape) -> DomainPolicy:
    def once(values: Sequence[object]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(str(value) for value in values))

    return DomainPolicy(
        name,
        egress=once(shape.egress),
        selectors=once(shape.selectors),
        retired=once(shape.retired),
        envelope=once(shape.envelope),
        helo=once(shape.helo),
        profiles=tuple(dict.fromkeys(shape.profiles)),
        recipients=once(shape.recipients),
    )
