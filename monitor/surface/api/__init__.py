"""The HTTP surface: /metrics, /livez and /readyz are open; /v1 needs a bearer token with the right role, unless bound to loopback."""

from monitor.surface.api.access import is_loopback
from monitor.surface.api.application import MAX_BODY, STALL, Api

__all__ = ["MAX_BODY", "STALL", "Api", "is_loopback"]
