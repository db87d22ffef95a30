"""An incoming webhook of Slack: ports.Channel. Mattermost and others speak the same language.

What people and peers wrote is text there and nothing else: no markup, no link, no mention. Blocks, with `text` beside them for phones.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from monitor.edge.channels.exchange import Answer, Exchange, NotSent, Place, TlsSource, outcome
from monitor.edge.channels.layout import cut, is_link, lines_of
from monitor.model.channels import SlackChannel
from monitor.model.notice import Notice, NotTold, Telling, Told
from monitor.ports import Clock, Secrets

LONGEST_HEADER = 150
LONGEST_SECTION = 3_000
LONGEST_LINE = 500
LONGEST_TEXT = 2_500  # of the text beside the blocks: with them below LONGEST_MESSAGE, whatever is said
LONGEST_MESSAGE = 12_000  # characters of the whole document
MOST_BLOCKS = 50
SECTIONS = 2  # of lines
PACE = 1.0  # seconds between two messages to one webhook

# @here wakes everybody, whatever the receiver parses; the others are markup, to Slack or to Mattermost
_ESCAPED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {mark: f"{mark}\u200b" for mark in "@*_~`"}
_MENDS = {
    "no_service": "make a new incoming webhook and put its URL into the secret",
    "no_active_hooks": "the webhook is switched off over there: make a new one and put its URL into the secret",
    "invalid_token": "put the URL of the webhook into the secret anew",
    "channel_is_archived": "the channel there is archived: make a webhook for another one",
    "channel_not_found": "the channel there is gone: make a webhook for another one",
    "action_prohibited": "an administrator there forbids it: ask them",
    "posting_to_general_channel_denied": "an administrator there forbids it: make a webhook for another channel",
}


class Slack:
    def __init__(self, policy: SlackChannel, secrets: Secrets, tls: TlsSource, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._exchange = Exchange(secrets, tls, clock, policy.ca_file)
        self._turn = asyncio.Lock()
        self._next = 0.0  # monotonic: no message before

    async def tell(self, notice: Notice, deadline: float) -> Telling:
        body = json.dumps(message(notice), ensure_ascii=False).encode()
        began = self._clock.now().mono
        try:
            place = self._exchange.place(self._policy.url)
            async with asyncio.timeout(deadline), self._turn:
                pause = self._next - self._clock.now().mono
                if pause > deadline / 2:
                    return NotTold(f"{place.name} takes no message for {pause:.0f} s more", transient=True, retry_after=pause)
                await self._clock.sleep(pause)
                self._next = self._clock.now().mono + PACE
            left = max(0.0, deadline - (self._clock.now().mono - began))
            answer = await self._exchange.send("POST", place, {"content-type": "application/json"}, body, left)
        except NotSent as failure:
            return failure.outcome
        except TimeoutError:
            return NotTold("other messages to the same place were still waiting", transient=True, retry_after=PACE)
        if answer.status == 429 and answer.retry_after is not None:
            self._next = self._clock.now().mono + answer.retry_after
        return _outcome(answer, place)

    async def close(self) -> None:
        await self._exchange.close()


def _outcome(answer: Answer, place: Place) -> Telling:
    """Only `ok` says that it was taken: a page for people to log in is 200 too."""
    told = outcome(answer, place, f"the secret {place.name}")
    if isinstance(told, Told) and answer.text != "ok":
        detail = f"{place.name} answered {answer}, not ok"
        if not answer.whole:
            return NotTold(detail, transient=True)
        return NotTold(detail, transient=False, mend=f"check the secret {place.name}: it must be the URL of an incoming webhook")
    if isinstance(told, NotTold) and not told.transient:
        mend = next((mend for word, mend in _MENDS.items() if word in answer.text), told.mend)
        return NotTold(told.detail, transient=False, mend=mend)
    return told


def message(notice: Notice) -> dict[str, object]:
    """The message: title, lines and links as blocks."""
    head = {"type": "plain_text", "text": _text(notice.title, LONGEST_HEADER) or "mailcanary", "emoji": False}
    blocks: list[dict[str, object]] = [{"type": "header", "text": head}]
    blocks += [{"type": "section", "text": _marked(section)} for section in _sections(notice)]
    links = [f"<{url}|{name}>" for name, url in (("Incident", notice.incident_url), ("Runbook", notice.runbook_url)) if _is_plain_link(url)]
    if links:
        blocks.append({"type": "context", "elements": [_marked("  ·  ".join(links))]})
    beside = _text(f"{notice.title}\n{notice.text}", LONGEST_TEXT)
    said: dict[str, object] = {"text": beside, "blocks": blocks[:MOST_BLOCKS], "unfurl_links": False, "unfurl_media": False}
    while len(json.dumps(said, ensure_ascii=False).encode("utf-16-le")) // 2 >= LONGEST_MESSAGE and len(blocks) > 1:
        blocks.pop()  # only what JSON itself must escape can make it so long
        said["blocks"] = blocks
    return said


def _sections(notice: Notice) -> list[str]:
    """The lines, as many as there is room for, the first ones first."""
    sections: list[str] = [""]
    for name, words in lines_of(notice):
        line = f"*{_text(name, LONGEST_HEADER)}:* {_text(words, LONGEST_LINE)}"
        grown = f"{sections[-1]}\n{line}" if sections[-1] else line
        if len(grown.encode("utf-16-le")) // 2 <= LONGEST_SECTION:
            sections[-1] = grown
        elif len(sections) < SECTIONS:
            sections.append(line)
        else:
            break
    return [section for section in sections if section]


def _text(text: str, most: int) -> str:
    return cut(text.replace("](", "]\u200b("), most, lambda char: _ESCAPED.get(char, char))


def _marked(text: str) -> Mapping[str, object]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}  # verbatim: what looks like a link or a mention is none


def _is_plain_link(url: str) -> bool:
    return is_link(url) and len(url) <= LONGEST_LINE and not set(url) & set("<>|&")
