"""Seeds, policies, secrets and submissions as the edge tests need them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.model.address import Address, SeedList
from monitor.model.mail import Carrier
from monitor.model.policy import Demand, HttpPath, Locale, MailIdentity, PathPolicy, Security, SmtpPath, Templates
from monitor.model.probe import PathName, ProbeId
from monitor.model.secret import SecretRef, SecretSource
from monitor.model.submission import AppSubmission, MailSubmission
from monitor.ports import SecretError

SEED = Address.parse("Seed@inbox.test")
STRANGER = Address.parse("customer@inbox.test")
SEEDS = SeedList.of([SEED])
MESSAGE = b"Subject: your refund\r\nMessage-ID: <1@shop.test>\r\n\r\nHello,\r\n.dotted\r\n"

PASSWORD_REF = SecretRef(SecretSource.ENV, "RELAY_PASSWORD")
PASSWORD = "correct horse battery"


@dataclass
class StubSecrets:
    values: dict[str, str] = field(default_factory=lambda: {PASSWORD_REF.name: PASSWORD})
    reads: int = 0

    def read(self, ref: SecretRef) -> str:
        self.reads += 1
        if ref.name not in self.values:
            raise SecretError(f"secret {ref} is not set; set it")
        return self.values[ref.name]


def mail(recipient: Address = SEED, message: bytes = MESSAGE) -> MailSubmission:
    return MailSubmission(
        probe=ProbeId("0123456789ab"),
        envelope_sender=Address.parse("refunds+0123456789ab@shop.test"),
        recipient=recipient,
        message_id="<1@shop.test>",
        message=message,
    )


def request(recipient: Address = SEED) -> AppSubmission:
    return AppSubmission(
        probe=ProbeId("0123456789ab"),
        recipient=recipient,
        headers=(("Content-Type", "application/json"), ("Idempotency-Key", "0123456789ab")),
        body=b'{"synthetic": true}',
    )


def _policy(via: SmtpPath | HttpPath) -> PathPolicy:
    return PathPolicy(
        name=PathName("path"),
        via=via,
        carriers=(Carrier.HEADER,),
        locales=(Locale("en-GB", "GBP", "£{amount}"),),
        allowed_amounts=(),
        demand=Demand(),
        attempt_timeout=10,
        retry_backoff=1,
        retry_for=10,
        unreachable_for=10,
        daily_budget=10,
    )


def smtp_policy(
    port: int,
    security: Security = Security.PLAIN,
    ca_file: str | None = None,
    username: str | None = None,
    password: SecretRef | None = PASSWORD_REF,
    host: str = "127.0.0.1",
    helo: str | None = "probe.shop.test",
) -> PathPolicy:
    identity = MailIdentity(
        author=Address.parse("refunds@shop.test"),
        author_name="Shop",
        envelope_sender=Address.parse("refunds@shop.test"),
        templates=Templates("", "", ""),
    )
    return _policy(SmtpPath(host, port, security, ca_file, username, password, identity, helo))


def http_policy(
    url: str,
    method: str = "POST",
    headers: Mapping[str, str | SecretRef] | None = None,
    ca_file: str | None = None,
    expected_status: tuple[int, ...] = (200, 202),
    refund_id: str | None = "/refund/id",
    version: str | None = "/version",
) -> PathPolicy:
    return _policy(
        HttpPath(
            url=url,
            method=method,
            headers={} if headers is None else headers,
            body={},
            expected_status=expected_status,
            ca_file=ca_file,
            refund_id=refund_id,
            version=version,
            sends_number=False,
        )
    )
