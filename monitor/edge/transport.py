"""Mail servers, looked at from outside: SMTP with STARTTLS (RFC 3207), submission and IMAP with implicit TLS (RFC 8314)."""
