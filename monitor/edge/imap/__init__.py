"""IMAP mailboxes over aioimaplib, the only place that imports it.

aioimaplib gives the protocol class, its tags and its quoting; the state machine that reads answers is ours, because the library's
own recurses, guesses and hangs (the 19 traps are named where each is closed). After any timeout, cancellation or surprise the
connection is dropped and never used again.
"""

from monitor.edge.imap.mailbox import ImapMailbox

__all__ = ["ImapMailbox"]
