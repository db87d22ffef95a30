"""A signed POST, as Standard Webhooks asks: ports.Channel for any receiver of one's own (docs/notifications.md)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json

from monitor.edge.channels.exchange import Exchange, NotSent, TlsSource, outcome
from monitor.model.channels import WebhookChannel
from monitor.model.notice import Notice, Telling
from monitor.model.secret import SecretRef
from monitor.ports import Clock, Secrets

SCHEMA = "mailcanary.notice/v1"
ENCODED = "whsec_"


class Webhook:
    def __init__(self, policy: WebhookChannel, secrets: Secrets, tls: TlsSource, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._exchange = Exchange(secrets, tls, clock, policy.ca_file)

    async def tell(self, notice: Notice, deadline: float) -> Telling:
        policy = self._policy
        body = json.dumps(document(notice)).encode()
        headers = {
            "content-type": "application/json",
            "idempotency-key": notice.key,
            "webhook-id": notice.key,
            "webhook-timestamp": str(int(self._clock.now().utc)),
        }
        try:
            secret = "" if policy.secret is None else self._exchange.secret(policy.secret)
            if policy.secret is not None:
                headers["webhook-signature"] = signature(_key(secret, policy.secret), notice.key, headers["webhook-timestamp"], body)
            place = self._exchange.place(policy.url)
            answer = await self._exchange.send("POST", place, headers, body, deadline, (secret, secret.removeprefix(ENCODED)))
        except NotSent as failure:
            return failure.outcome
        return outcome(answer, place, f"the secret {policy.secret}, and that the receiver knows it" if policy.secret else "")

    async def close(self) -> None:
        await self._exchange.close()


def document(notice: Notice) -> dict[str, object]:
    """The notice as it goes out: config/notice.schema.json."""
    return {
        "schema": SCHEMA,
        "key": notice.key,
        "dedup_key": notice.dedup_key,
        "call": notice.call.value,
        "incident": notice.incident,
        "episode": notice.episode,
        "severity": notice.severity.value,
        "symptom": notice.symptom.value,
        "scope": notice.scope,
        "environment": notice.environment,
        "title": notice.title,
        "text": notice.text,
        "began": notice.began.iso(),
        "ended": notice.ended.iso() if notice.ended else None,
        "incident_url": notice.incident_url,
        "runbook_url": notice.runbook_url,
    }


def signature(key: bytes, identifier: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over id, time and body, joined by full stops."""
    signed = b".".join((identifier.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _key(secret: str, ref: SecretRef) -> bytes:
    if not secret.startswith(ENCODED):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(ENCODED), validate=True)
    except (binascii.Error, ValueError):
        raise NotSent(f"secret {ref}: what follows {ENCODED} is no base64", "copy the secret anew") from None
