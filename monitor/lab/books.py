"""What the toy shop and its relay write down: refunds as lines of JSON, and mail as a Postfix would log it.

Real customers' refunds stand here, and synthetic ones never: those of probes are no money.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

from monitor.lab.shop_mail import Refund

NUMBER = r"<(rf_[0-9]+)\."  # where a Message-ID of the shop bears the number of its refund


class Books:
    """Two files below one directory, which is there: `refunds.jsonl` and `mail.log`."""

    def __init__(self, directory: Path) -> None:
        self.refunds = directory / "refunds.jsonl"
        self.log = directory / "mail.log"
        self.refunds.touch()
        self.log.touch()

    def refunded(self, number: str, refund: Refund) -> None:
        """Money has gone back to a customer."""
        row = {
            "refund": number,
            "amount": str(refund.amount),
            "currency": refund.currency,
            "at": datetime.now(UTC).isoformat(),
            "recipient": refund.email,
            "status": "processed",
        }
        with self.refunds.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def mailed(self, queue_id: str, message_id: str, mail_from: str, recipient: str, size: int) -> None:
        """One recipient of one message was handed on."""
        stamp = datetime.now(UTC).isoformat(timespec="microseconds")
        host = recipient.rpartition("@")[2]
        lines = (
            f"postfix/cleanup[201]: {queue_id}: message-id={message_id}",
            f"postfix/qmgr[202]: {queue_id}: from=<{mail_from}>, size={size}, nrcpt=1 (queue active)",
            f"postfix/smtp[203]: {queue_id}: to=<{recipient}>, relay=mx.{host}[127.0.0.1]:25, delay=0.1, delays=0/0/0/0.1, dsn=2.0.0, "
            "status=sent (250 2.0.0 ok)",
            f"postfix/qmgr[202]: {queue_id}: removed",
        )
        with self.log.open("a", encoding="utf-8") as file:
            file.writelines(f"{stamp} relay {line}\n" for line in lines)
