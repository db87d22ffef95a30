"""Prometheus metrics; this package is the only importer of prometheus_client."""

from monitor.surface.metrics.gauges import Vitals
from monitor.surface.metrics.labels import MANY_ROUTES, route_label
from monitor.surface.metrics.registry import Metrics

__all__ = ["MANY_ROUTES", "Metrics", "Vitals", "route_label"]
