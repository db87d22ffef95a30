"""The HTTP surface: /metrics, /livez and /readyz are open; /v1 needs a bearer token with the right role, unless bound to loopback."""

from monitor.surface.api.access import is_loopback
from monitor.surface.api.application import MAX_BODY, STALL, Api
from monitor.surface.api.connections import BACKLOG, Connections

__all__ = ["BACKLOG", "MAX_BODY", "STALL", "Api", "Connections", "is_loopback"]
