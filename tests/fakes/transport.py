"""A TransportProbe that is a dictionary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from monitor.model.transport import Endpoint, Reached, TransportSeen


@dataclass
class FakeTransport:
    """`servers`: what is seen, by the address, else by the host; all others refuse the connection."""

    servers: dict[str, TransportSeen] = field(default_factory=dict)
    looked: list[Endpoint] = field(default_factory=list)

    async def look(self, endpoints: Sequence[Endpoint], deadline: float) -> Mapping[Endpoint, TransportSeen]:
        self.looked += endpoints
        return {endpoint: self._seen(endpoint) for endpoint in endpoints}

    def _seen(self, endpoint: Endpoint) -> TransportSeen:
        known = self.servers.get(endpoint.address) or self.servers.get(endpoint.host)
        return replace(known, endpoint=endpoint) if known else TransportSeen(endpoint, Reached.NOTHING, "the connection is refused")
