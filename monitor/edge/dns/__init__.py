"""The DNS, asked (RFC 1035, 6891). dnspython reads what comes back; this package is its only importer outside the lab."""

from monitor.edge.dns.resolver import DnsResolver

__all__ = ["DnsResolver"]
