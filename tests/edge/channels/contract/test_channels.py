"""The contract, run by every channel."""

from __future__ import annotations

import pytest

from monitor.edge.channels import Alertmanager, Webhook
from monitor.edge.tls import TlsContexts
from monitor.model.policy import AlertmanagerChannel, WebhookChannel
from monitor.model.secret import SecretRef, SecretSource
from monitor.ports import Channel
from tests.edge.channels.contract.channel_contract import NOW, ChannelContract, Make
from tests.edge.channels.contract.receiver import SECRET, TOKEN
from tests.fakes.channel import StillClock
from tests.fakes.paths import StubSecrets

SIGNING = SecretRef(SecretSource.ENV, "SIGNING")
URL = SecretRef(SecretSource.ENV, "HOOK_URL")
AUTHORIZATION = SecretRef(SecretSource.ENV, "AUTHORIZATION")


class TestWebhook(ChannelContract):
    @pytest.fixture
    def make(self, contexts: TlsContexts) -> Make:
        def build(base: str, ca_file: str | None) -> Channel:
            secrets = StubSecrets({SIGNING.name: SECRET})
            return Webhook(WebhookChannel(f"{base}/hooks", SIGNING, ca_file), secrets, contexts.get, StillClock(NOW))

        return build


class TestWebhookWithASecretUrl(ChannelContract):
    @pytest.fixture
    def make(self, contexts: TlsContexts) -> Make:
        def build(base: str, ca_file: str | None) -> Channel:
            secrets = StubSecrets({SIGNING.name: SECRET, URL.name: f"{base}/hooks/{TOKEN}?key={TOKEN}"})
            return Webhook(WebhookChannel(URL, SIGNING, ca_file), secrets, contexts.get, StillClock(NOW))

        return build


class TestAlertmanager(ChannelContract):
    @pytest.fixture
    def make(self, contexts: TlsContexts) -> Make:
        def build(base: str, ca_file: str | None) -> Channel:
            secrets = StubSecrets({AUTHORIZATION.name: f"Bearer {TOKEN}"})
            return Alertmanager(AlertmanagerChannel((base,), AUTHORIZATION, ca_file), secrets, contexts.get, StillClock(NOW))

        return build
