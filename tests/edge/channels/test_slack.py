"""Slack: the message, that nobody's words do anything in it, its pace, and what its answers mean."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from monitor.edge.channels import Slack
from monitor.edge.channels.slack import message
from monitor.edge.tls import TlsContexts
from monitor.model.channels import SlackChannel
from monitor.model.instant import Instant
from monitor.model.notice import NotTold, Told
from monitor.model.secret import SecretRef, SecretSource
from tests.edge.channels.contract.receiver import BEGAN, TOKEN, Receiver, hang, notice, status
from tests.fakes.channel import StillClock
from tests.fakes.paths import StubSecrets

URL = SecretRef(SecretSource.ENV, "SLACK_URL")
OK = status(200, "ok")


class Clock(StillClock):
    """Sleeping costs no time; it is written down."""

    def __init__(self) -> None:
        super().__init__(BEGAN.utc)
        self.slept: list[float] = []

    def now(self) -> Instant:
        return super().now().plus(sum(self.slept))

    async def sleep(self, seconds: float) -> None:
        self.slept.append(max(0.0, seconds))


def slack(receiver: Receiver, clock: Clock) -> Slack:
    secrets = StubSecrets({URL.name: f"{receiver.base}/services/{TOKEN}"})
    return Slack(SlackChannel(URL), secrets, TlsContexts().get, clock)


def marked(said: dict[str, Any]) -> list[str]:
    """All that is read as markup."""
    texts = [block["text"] for block in said["blocks"] if "text" in block]
    texts += [element for block in said["blocks"] for element in block.get("elements", ())]
    assert all(text["verbatim"] is True for text in texts if text["type"] == "mrkdwn")
    return [said["text"], *(text["text"] for text in texts)]


def test_a_message() -> None:
    said = message(notice(lines=(("Broke", "no arrival"), ("Impact", "31 refunds"))))
    assert said["text"] == f"{notice().title}\n{notice().text}"
    assert (said["unfurl_links"], said["unfurl_media"]) == (False, False)
    assert said["blocks"] == [
        {"type": "header", "text": {"type": "plain_text", "text": notice().title, "emoji": False}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "*Broke:* no arrival\n*Impact:* 31 refunds", "verbatim": True}},
        {
            "type": "context",
            "elements": [
                {
                    "type": "mrkdwn",
                    "text": "<https://canary.test/v1/incidents/INC-12|Incident>  ·  <https://runbooks.test/delivery-missing|Runbook>",
                    "verbatim": True,
                }
            ],
        },
    ]


@pytest.mark.parametrize(
    "words",
    [
        "<!channel> all is well",
        "<!here|x>",
        "@here @channel @everyone",
        "<@U123> <#C1>",
        "<https://evil.test|click>",
        "&lt;!channel&gt;",
        "550 [reset](https://evil.test) ![p](https://evil.test/p.png) *bold* `code`",
    ],
)
def test_nobody_is_called_and_nothing_is_linked_by_what_a_peer_says(words: str) -> None:
    said = message(notice(title=f"it said {words}", text=words, lines=((words, words),), incident_url="", runbook_url=""))
    for text in marked(said):
        assert "<" not in text and ">" not in text
        assert "](" not in text and "*bold*" not in text and "`code`" not in text, "Mattermost reads Markdown"
        assert "@here" not in text and "@channel" not in text and "@everyone" not in text
        assert "&lt;!channel&gt;" not in text or words == "<!channel> all is well"  # that is what it looks like, and how it is written


def test_what_was_escaped_before_is_not_unescaped() -> None:
    assert "&amp;lt;!channel&amp;gt;" in str(message(notice(text="&lt;!channel&gt;"))["text"])


@pytest.mark.parametrize("url", ["https://x.test/a|b", "https://x.test/<b>", "https://x.test/a b", "javascript:alert(1)", "https://[x"])
def test_a_link_that_could_be_more_is_left_out(url: str) -> None:
    said = message(notice(incident_url=url, runbook_url=""))
    assert [block["type"] for block in said["blocks"]] == ["header", "section"]  # type: ignore[attr-defined]


async def test_one_message_a_second() -> None:
    async with Receiver(OK) as receiver:
        clock = Clock()
        channel = slack(receiver, clock)
        told = await asyncio.gather(*[channel.tell(notice(), 10.0) for _ in range(4)])
        await channel.close()
    assert all(isinstance(one, Told) for one in told) and len(receiver.requests) == 4
    assert sum(clock.slept) == pytest.approx(3.0)


async def test_nothing_is_sent_before_the_time_that_it_asks_for() -> None:
    async with Receiver(status(429, Retry_After="30")) as receiver:
        clock = Clock()
        channel = slack(receiver, clock)
        first = await channel.tell(notice(), 10.0)
        receiver.answer = OK
        second = await channel.tell(notice(), 10.0)
        assert len(receiver.requests) == 1
        clock.slept.append(30.0)
        third = await channel.tell(notice(), 10.0)
        await channel.close()
    assert isinstance(first, NotTold) and first.retry_after == 30.0
    assert isinstance(second, NotTold) and second.transient and second.retry_after == pytest.approx(30.0)
    assert isinstance(third, Told)


async def test_one_that_hangs_lets_the_next_go_on() -> None:
    """Only the turn is waited for, not the answer of the one before."""
    async with Receiver(hang) as receiver:
        channel = slack(receiver, Clock())
        hanging = asyncio.create_task(channel.tell(notice(), 20.0))
        async with asyncio.timeout(20.0):
            while not receiver.requests:
                await asyncio.sleep(0.01)
        receiver.answer = OK
        assert isinstance(await channel.tell(notice(), 20.0), Told)
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)
        await channel.close()


@pytest.mark.parametrize(
    ("code", "text", "transient", "mend"),
    [
        (404, "no_service", False, "new incoming webhook"),
        (404, "no_active_hooks", False, "switched off"),
        (404, "channel_not_found", False, "is gone"),
        (410, "channel_is_archived", False, "archived"),
        (403, "invalid_token", False, "anew"),
        (403, "action_prohibited", False, "administrator"),
        (400, "invalid_payload", False, "notify test"),
        (200, "", False, "incoming webhook"),
        (200, "invalid_payload", False, "incoming webhook"),
        (200, "okay", False, "incoming webhook"),
        (200, " ok\n", None, ""),
        (500, "rollup_error", True, ""),
    ],
)
async def test_answers(code: int, text: str, transient: bool | None, mend: str) -> None:
    async with Receiver(status(code, text)) as receiver:
        channel = slack(receiver, Clock())
        told = await channel.tell(notice(), 10.0)
        await channel.close()
    (got,) = receiver.requests
    assert got.path == f"/services/{TOKEN}" and json.loads(got.body)["blocks"]
    if transient is None:
        assert isinstance(told, Told)
    else:
        assert isinstance(told, NotTold) and told.transient is transient and mend in told.mend and TOKEN not in repr(told)
