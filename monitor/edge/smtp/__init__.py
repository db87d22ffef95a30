"""Submission to a relay (RFC 6409, 5321) over aiosmtplib; this package is its only importer.

The library gives us the connection and the parsing of replies. The dialogue is ours, because three things must be exact: the step at
which something went wrong, whether the end of the message can have reached the relay, and that no reply is ever taken for the answer
to another command. Hence: the library's own timeouts are off, one deadline governs an attempt, and a connection that saw a timeout, a
cancellation or a surprise is never used again.
"""

from monitor.edge.smtp.submitter import Limits, SmtpSubmitter

__all__ = ["Limits", "SmtpSubmitter"]
