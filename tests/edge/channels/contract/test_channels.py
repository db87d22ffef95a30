"""The contract, run by every channel."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from monitor.edge.channels import Alertmanager, Apprise, Pagerduty, Slack, Webhook
from monitor.edge.tls import TlsContexts
from monitor.model.channels import AlertmanagerChannel, AppriseChannel, PagerdutyChannel, SlackChannel, WebhookChannel
from monitor.model.instant import Instant
from monitor.model.notice import NotTold, Told
from monitor.model.secret import SecretRef, SecretSource
from monitor.ports import Channel
from tests.edge.channels.contract.channel_contract import LONG, NOT_TOLD, NOW, ROWS, TOLD, ChannelContract, Make, but, ended, safe
from tests.edge.channels.contract.receiver import SECRET, TOKEN, Receiver, notice, status
from tests.edge.conftest import Authority
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


class TestPagerduty(ChannelContract):
    """202 and nothing else says that it was taken."""

    rows = ROWS | but(*(name for name in TOLD if name != "202"), told=False)
    yes = staticmethod(status(202, "{}"))

    @pytest.fixture
    def make(self, contexts: TlsContexts) -> Make:
        def build(base: str, ca_file: str | None) -> Channel:
            secrets = StubSecrets({AUTHORIZATION.name: TOKEN})
            return Pagerduty(PagerdutyChannel(AUTHORIZATION, base, ca_file), secrets, contexts.get, StillClock(NOW))

        return build

    @pytest.mark.parametrize(("code", "text"), [(202, '{"status": "success"}'), (400, '{"errors": ["routing_key is invalid"]}')])
    async def test_what_it_says_is_shown(self, make: Make, code: int, text: str) -> None:
        async with Receiver(status(code, text)) as receiver:
            channel = make(receiver.base, None)
            outcome = await channel.tell(notice(), LONG)
            await channel.close()
        assert isinstance(outcome, Told) is (code == 202) and text in repr(outcome)
        assert isinstance(outcome, Told) or "integration key" in outcome.mend


class QuickClock(StillClock):
    """Sleeping costs no time."""

    slept = 0.0

    def now(self) -> Instant:
        return super().now().plus(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept += max(0.0, seconds)


class TestSlack(ChannelContract):
    """`ok`, whole, and nothing else says that it was taken."""

    rows = (
        ROWS
        | but(*(name for name in TOLD if name != "200"), told=False)
        | but("200, huge body", "200, the body never ends", "200, reset in the body", told=False, transient=True)
    )

    @pytest.fixture
    def make(self, contexts: TlsContexts) -> Make:
        def build(base: str, ca_file: str | None) -> Channel:
            secrets = StubSecrets({URL.name: f"{base}/services/{TOKEN}/{TOKEN}x?key={SECRET}"})
            return Slack(SlackChannel(URL, ca_file), secrets, contexts.get, QuickClock(NOW))

        return build


# A thread that is ended may leave a socket to the garbage collector, which closes it and warns.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
class TestApprise(ChannelContract):
    """The library tells whether a notice was taken, and no more: what was not is tried again. It reads answers as its own HTTP does."""

    unreached = "was not reached"
    rows = (
        ROWS
        | but(*NOT_TOLD, transient=True, retry_after=None)
        | but("reset mid-answer", told=True)
        | but(
            "hangs past the deadline",
            "200, huge body",
            "200, the body never ends",
            "500, huge body",
            told=False,
            transient=True,
            deadline=0.5,
        )
        | but("200, reset in the body", told=False, transient=True)
    )

    @pytest.fixture
    async def make(self, monkeypatch: pytest.MonkeyPatch, loaded: None) -> AsyncIterator[Make]:
        built: list[Apprise] = []

        def build(base: str, ca_file: str | None) -> Channel:
            if ca_file is not None:
                monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca_file)
            url = base.replace("http", "json", 1)
            built.append(Apprise(AppriseChannel(URL), StubSecrets({URL.name: f"{url}/{TOKEN}?+X-Key={TOKEN}"})))
            return built[-1]

        yield build
        for channel in built:
            await ended(channel)

    async def test_no_http_address(self, make: Make) -> None:
        for url in ("receiver", "http://", "nowhere://receiver.test", "mailto://x:y@example.com", ""):
            channel = Apprise(AppriseChannel(URL), StubSecrets({URL.name: url and f"{url}/{TOKEN}"}))
            outcome = await channel.tell(notice(), LONG)
            assert isinstance(outcome, NotTold) and outcome.mend and not outcome.transient, outcome
            safe(outcome)

    async def test_a_certificate_that_proves_nothing(self, make: Make, authority: Authority, trusted: bool = False) -> None:
        async with Receiver(status(200), authority.server("elsewhere.test")) as receiver:
            outcome = await make(receiver.base, authority.ca_file if trusted else None).tell(notice(), LONG)
        assert isinstance(outcome, NotTold) and outcome.transient
        safe(outcome)
        assert not receiver.requests

    async def test_a_ca_file_that_is_gone(self, make: Make, authority: Authority) -> None:
        async with Receiver(status(200), authority.server()) as receiver:
            outcome = await make(receiver.base, "/nowhere/ca.pem").tell(notice(), LONG)
        assert isinstance(outcome, NotTold)
        safe(outcome)
