"""What a receiver of our own gets: the document, the signature, and the same key at each attempt."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path

import jsonschema
import pytest

from monitor.edge.channels import Webhook
from monitor.edge.channels.webhook import document
from monitor.edge.tls import TlsContexts
from monitor.model.channels import WebhookChannel
from monitor.model.notice import Call, NotTold, Telling, Told
from monitor.model.secret import SecretRef, SecretSource
from tests.edge.channels.contract.receiver import BEGAN, SECRET, TOKEN, Receiver, echo, notice, status
from tests.fakes.channel import StillClock
from tests.fakes.paths import StubSecrets

SCHEMA = json.loads((Path(__file__).parents[3] / "config" / "notice.schema.json").read_text())
SIGNING = SecretRef(SecretSource.ENV, "SIGNING")
URL = SecretRef(SecretSource.FILE, "/run/secrets/hook")


async def tell(receiver: Receiver, secret: str | None, call: Call = Call.FIRE, **values: str) -> Telling:
    secrets = StubSecrets({**({SIGNING.name: secret} if secret is not None else {}), **values})
    url = URL if URL.name in values else f"{receiver.base}/hooks"
    channel = Webhook(
        WebhookChannel(url, SIGNING if secret is not None else None), secrets, TlsContexts().get, StillClock(BEGAN.utc + 61.9)
    )
    try:
        return await channel.tell(notice(call), 10.0)
    finally:
        await channel.close()


@pytest.mark.parametrize(
    ("secret", "key"),
    [("plain text, as it is", b"plain text, as it is"), (SECRET, b"secret-key-of-the-receiver"), ("käse", "käse".encode())],
)
async def test_a_receiver_can_verify_the_signature(secret: str, key: bytes) -> None:
    async with Receiver(status(200)) as receiver:
        assert isinstance(await tell(receiver, secret), Told)
    (got,) = receiver.requests
    assert (got.method, got.path) == ("POST", "/hooks")
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    version, _, given = got.headers["webhook-signature"].partition(",")
    assert version == "v1"
    assert base64.b64decode(given) == hmac.digest(key, signed, hashlib.sha256)
    assert got.headers["webhook-id"] == got.headers["idempotency-key"] == notice().key
    assert got.headers["webhook-timestamp"] == str(int(BEGAN.utc + 61.9))
    assert got.headers["content-type"] == "application/json"


async def test_without_a_secret_it_is_not_signed() -> None:
    async with Receiver(status(200)) as receiver:
        assert isinstance(await tell(receiver, None), Told)
    assert "webhook-signature" not in receiver.requests[0].headers


@pytest.mark.parametrize("call", Call)
async def test_the_document_is_what_the_schema_says(call: Call) -> None:
    async with Receiver(status(200)) as receiver:
        await tell(receiver, SECRET, call)
    got = json.loads(receiver.requests[0].body)
    jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(got)
    assert got == document(notice(call))
    assert got["call"] == call.value and got["title"] == notice().title and got["began"] == "2026-09-21T14:13:20.250Z"
    assert got["ended"] == ("2026-09-21T14:23:20.250Z" if call is Call.RESOLVE else None)


def test_the_schema_is_strict_and_names_every_field() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["additionalProperties"] is False
    assert set(SCHEMA["required"]) == set(SCHEMA["properties"]) == set(document(notice()))
    for broken in ({"severity": "sev1"}, {"call": "trigger"}, {"schema": "mailcanary.notice/v2"}, {"began": 5}, {"extra": ""}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document(notice()) | broken, SCHEMA)


async def test_a_secret_that_is_missing_or_broken_can_be_mended_while_we_run() -> None:
    async with Receiver(status(200)) as receiver:
        channel = Webhook(WebhookChannel(f"{receiver.base}/", SIGNING), secrets := StubSecrets({}), TlsContexts().get, StillClock(0.0))
        for value in (None, "whsec_not base64!"):
            if value is not None:
                secrets.values[SIGNING.name] = value
            outcome = await channel.tell(notice(), 10.0)
            assert isinstance(outcome, NotTold) and outcome.transient and outcome.mend
            assert "{env: SIGNING}" in outcome.detail and "not base64" not in repr(outcome)
        secrets.values[SIGNING.name] = SECRET
        assert isinstance(await channel.tell(notice(), 10.0), Told)
        await channel.close()
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("code", [200, 400, 503])
async def test_nothing_of_a_secret_url_is_shown(code: int) -> None:
    async with Receiver(echo(code)) as receiver:
        url = f"{receiver.base}/services/{TOKEN}/b%20c?key={TOKEN}#{TOKEN}"
        outcome = await tell(receiver, SECRET, **{URL.name: url})
    assert len(receiver.requests) == 1
    shown = repr(outcome)
    for piece in (TOKEN, "services", "b%20c", "b c", str(receiver.port), "127.0.0.1"):
        assert piece not in shown
    assert code == 200 or "{file: /run/secrets/hook}" in shown


async def test_the_secret_url_of_a_receiver_that_is_away_is_not_shown() -> None:
    async with Receiver(status(200)) as receiver:
        await receiver.away()
        outcome = await tell(receiver, SECRET, **{URL.name: f"{receiver.base}/{TOKEN}"})
    assert isinstance(outcome, NotTold) and outcome.transient
    assert TOKEN not in repr(outcome) and str(receiver.port) not in repr(outcome)


async def test_a_half_secret_at_the_end_of_a_cut_answer_is_not_shown() -> None:
    async with Receiver(status(500, " " * 4_090 + TOKEN * 400)) as receiver:
        outcome = await tell(receiver, SECRET, **{URL.name: f"{receiver.base}/{TOKEN}"})
    assert isinstance(outcome, NotTold)
    assert TOKEN[:4] not in outcome.detail
