"""Refunds and confirmations out of whatever a source shows, and what is to be made of how they differ.

`read` is the one way in: of files, databases, pushed batches, logs and mail alike. It never raises for what stands in them: a row that
cannot be taken becomes a fault with its line and its mend, and the good rows around it are kept.
"""

from __future__ import annotations

from monitor.rules.reconcile.known import Knowledge, Known
from monitor.rules.reconcile.reading import Reading, read

__all__ = ["Knowledge", "Known", "Reading", "read"]
