"""Mail servers, looked at from outside: SMTP with STARTTLS (RFC 3207), submission and IMAP with implicit TLS (RFC 8314)."""

from monitor.edge.transport.probe import MailServerProbe

__all__ = ["MailServerProbe"]
