"""The dead-man switch that somebody else watches: ports.Heartbeat, in the manner of healthchecks (GET url, POST url/fail)."""

from __future__ import annotations

from monitor.edge.channels.exchange import Exchange, NotSent, Place, TlsSource
from monitor.edge.clock import SystemClock
from monitor.model.policy import HeartbeatPolicy
from monitor.ports import Secrets

LONGEST_DETAIL = 1_000  # characters


class HttpHeartbeat:
    def __init__(self, policy: HeartbeatPolicy, secrets: Secrets, tls: TlsSource) -> None:
        self._policy = policy
        self._exchange = Exchange(secrets, tls, SystemClock(), policy.ca_file)

    async def beat(self, well: bool, detail: str, deadline: float) -> str:
        """A GET says that a cycle was completed; a POST below /fail says why not. Empty when it was taken, else why not."""
        try:
            place = self._exchange.place(self._policy.url)
            if well:
                answer = await self._exchange.send("GET", place, {}, None, deadline)
            else:
                body = detail[:LONGEST_DETAIL].encode("utf-8", "replace")
                answer = await self._exchange.send("POST", _failed(place), {"content-type": "text/plain; charset=utf-8"}, body, deadline)
        except NotSent as failure:
            return f"{failure.outcome.detail}; {failure.outcome.mend}" if failure.outcome.mend else failure.outcome.detail
        if 200 <= answer.status < 300:
            return ""
        return f"{place.name} answered {answer}"

    async def close(self) -> None:
        await self._exchange.close()


def _failed(place: Place) -> Place:
    """`/fail` belongs to the path, before a query."""
    return Place(place.url.with_path(f"{place.url.raw_path.rstrip('/')}/fail", encoded=True, keep_query=True), place.name, place.hidden)
