"""What receivers and the DNS say of our authentication: parsers and verdicts, pure."""
