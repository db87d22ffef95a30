"""PagerDuty, Events API v2: ports.Channel for alerts, ports.Annotator for deploys (change events, which notify nobody).

A trigger whose dedup key has an open alert is written down there and rings nobody: that is what becomes of what has only grown. So what
must ring has a key of its own: a ticket that becomes a page, and what is still open after a silence. After a resolve a trigger is another
alert. A resolve without an open alert is dropped there: the end of an incident goes to every key that may be open.
"""

from __future__ import annotations

import asyncio
import hashlib
import html
import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace

from monitor.edge.channels.exchange import Answer, Exchange, NotSent, Place, TlsSource, outcome
from monitor.edge.channels.layout import cut, fit, is_link, key_of, lines_of, utc
from monitor.model.channels import PagerdutyChannel
from monitor.model.deploy import Annotation, Drawn
from monitor.model.incident import Severity
from monitor.model.instant import Instant
from monitor.model.notice import Call, Notice, NotTold, Telling, Told
from monitor.ports import Clock, Secrets

ENQUEUE = "v2/enqueue"
CHANGE = "v2/change/enqueue"
LONGEST_SUMMARY = 1_024
LONGEST_FIELD = 255  # of source, component, group and class
LONGEST_DETAIL = 1_000  # with as many lines as a notice may have, far below the 512 KB of a body
CLIENT = "mailcanary"
GATE = "gate"  # the tag of what is no deploy
PAGES = "/page"  # how the keys of pages go on
LONGEST_STEM = 220  # characters of a key, with room for that
KEPT = 500  # incidents whose keys are remembered
KEPT_KEYS = 8  # of one incident; each silence that it outlives is one more
OF_RULESETS = "R"  # how routing keys begin that take no change events

_SEVERITIES = {Severity.PAGE: "critical", Severity.TICKET: "warning"}
_TAG = re.compile(r"<[^>]*>")
_LINK = re.compile(r'<a href="([^"]*)">')


class _Events:
    """What both kinds of events share: one key, one place."""

    def __init__(self, policy: PagerdutyChannel, secrets: Secrets, tls: TlsSource, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._exchange = Exchange(secrets, tls, clock, policy.ca_file)

    async def close(self) -> None:
        await self._exchange.close()

    async def _enqueue(self, path: str, key: str, event: Mapping[str, object], deadline: float) -> Telling:
        body = json.dumps({"routing_key": key, **event}, ensure_ascii=False).encode()
        try:
            place = self._exchange.place(f"{self._policy.url.rstrip('/')}/{path}")
            answer = await self._exchange.send("POST", place, {"content-type": "application/json"}, body, deadline, (key,))
        except NotSent as failure:
            return failure.outcome
        return self._outcome(answer, place)

    def _outcome(self, answer: Answer, place: Place) -> Telling:
        """202 alone says that it was taken; what says 400 will never be."""
        detail = f"{place.name} answered {answer}"
        if 200 <= answer.status < 300 and answer.status != 202:
            return NotTold(detail, transient=False, mend="check url: PagerDuty answers 202, something else stands there")
        if answer.status == 400:
            mend = f"check the secret {self._policy.routing_key}: it must be the integration key of an Events API v2 integration"
            return NotTold(detail, transient=False, mend=mend)
        return outcome(answer, place, f"the secret {self._policy.routing_key}")


class Pagerduty(_Events):
    def __init__(self, policy: PagerdutyChannel, secrets: Secrets, tls: TlsSource, clock: Clock) -> None:
        super().__init__(policy, secrets, tls, clock)
        self._rang: OrderedDict[str, list[str]] = OrderedDict()  # dedup key of the notice -> keys that may be open, the latest last

    async def tell(self, notice: Notice, deadline: float) -> Telling:
        try:
            key = self._exchange.secret(self._policy.routing_key)
        except NotSent as failure:
            return failure.outcome
        if notice.call is not Call.RESOLVE:
            return await self._enqueue(ENQUEUE, key, event(notice, self._alert(notice)), deadline)
        ends = [self._enqueue(ENQUEUE, key, event(notice, alert), deadline) for alert in self._open(notice)]
        outcomes = await asyncio.gather(*ends)
        refused = [outcome for outcome in outcomes if isinstance(outcome, NotTold)]
        if not refused:
            self._rang.pop(key_of(notice), None)
            return outcomes[0]
        return next((outcome for outcome in refused if outcome.transient), refused[0])

    def _alert(self, notice: Notice) -> str:
        """Remembered before the answer: one that is lost may have been taken."""
        alert = alert_of(notice)
        if notice.call is Call.TEST:
            return alert
        known = self._rang.setdefault(key_of(notice), [])
        self._rang.move_to_end(key_of(notice))
        if len(self._rang) > KEPT:
            self._rang.popitem(last=False)
        same = [] if notice.again else [key for key in known if _is_page(key, notice) is (notice.severity is Severity.PAGE)]
        alert = same[-1] if same else alert
        known[:] = [*(key for key in known if key != alert), alert][-KEPT_KEYS:]
        return alert

    def _open(self, notice: Notice) -> list[str]:
        """What this process has triggered, and what one before it may have: the plain ones, and the notice before this one."""
        guessed = [alert_of(replace(notice, severity=severity, again=False)) for severity in Severity]
        guessed += [f"{key}/after-{max(1, _number(notice) - 1)}" for key in guessed]
        return list(dict.fromkeys([*self._rang.get(key_of(notice), ()), *guessed]))


class PagerdutyChanges(_Events):
    """Deploys as change events: each start and each end is one; nothing there can be stretched afterwards."""

    async def draw(self, annotation: Annotation, deadline: float) -> Drawn | NotTold:
        if GATE in annotation.tags:
            return Drawn(0)  # a gate that failed changes nothing; people hear of it by its incident
        return await self._change(annotation.at, annotation.text, annotation.tags[-1], deadline)

    async def stretch(self, number: int, ended: Instant, text: str, deadline: float) -> Drawn | NotTold:
        return await self._change(ended, text, "", deadline)

    async def _change(self, at: Instant, text: str, environment: str, deadline: float) -> Drawn | NotTold:
        ref = self._policy.routing_key
        try:
            key = self._exchange.secret(ref)
        except NotSent as failure:
            return failure.outcome
        if key.startswith(OF_RULESETS):
            mend = "use the integration key of a service, or take changes: true away"
            return NotTold(f"secret {ref} is the key of a ruleset, which takes no change events", transient=False, mend=mend)
        told = await self._enqueue(CHANGE, key, change(at, text, environment), deadline)
        return Drawn(0) if isinstance(told, Told) else told


def event(notice: Notice, alert: str) -> dict[str, object]:
    """The event without its routing key. A resolve needs nothing but the alert that it closes."""
    if notice.call is Call.RESOLVE:
        return {"event_action": "resolve", "dedup_key": alert}
    details = {cut(name, LONGEST_FIELD): cut(words, LONGEST_DETAIL) for name, words in lines_of(notice)}
    said: dict[str, object] = {
        "event_action": "trigger",
        "dedup_key": alert,
        "client": CLIENT,
        "payload": {
            "summary": cut(notice.title, LONGEST_SUMMARY),
            "source": cut(f"{CLIENT} {notice.environment}", LONGEST_FIELD),
            "severity": "info" if notice.call is Call.TEST else _SEVERITIES[notice.severity],
            "timestamp": utc(notice.began.when),
            "component": cut(notice.scope, LONGEST_FIELD),
            "group": cut(notice.environment, LONGEST_FIELD),
            "class": notice.symptom.value,
            "custom_details": {**details, "incident": cut(notice.incident, LONGEST_FIELD), "episode": notice.episode},
        },
        "links": [
            {"href": href, "text": text}
            for href, text in ((notice.runbook_url, "Runbook"), (notice.incident_url, "Incident"))
            if is_link(href)
        ],
    }
    if is_link(notice.incident_url):
        said["client_url"] = notice.incident_url
    return said


def alert_of(notice: Notice) -> str:
    """Its dedup key there. What is told after a silence is known by its number within the episode, which a retry keeps."""
    if notice.call is Call.TEST:
        return key_of(notice)
    page = PAGES if notice.severity is Severity.PAGE else ""
    return f"{_short(notice)}{page}{f'/after-{_number(notice)}' if notice.again else ''}"


def _short(notice: Notice) -> str:
    """With room for what follows."""
    key = key_of(notice)
    if len(key.encode("utf-16-le")) <= 2 * LONGEST_STEM:
        return key
    return f"{cut(key, LONGEST_STEM - 17)}~{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _is_page(alert: str, notice: Notice) -> bool:
    return alert.removeprefix(_short(notice)).startswith(PAGES)


def _number(notice: Notice) -> int:
    """The number of the notice within its episode: the last part but one of the key (INC-12-1-3-1a2b3c4d)."""
    parts = notice.key.rsplit("-", 2)
    return int(parts[1]) if len(parts) == 3 and parts[1].isdecimal() else 1


def change(at: Instant, text: str, environment: str) -> dict[str, object]:
    """A change event. `text` is HTML in which what people wrote is escaped (model.deploy.Annotation): the tags are our own."""
    summary = html.unescape(_TAG.sub("", text)).strip()
    payload: dict[str, object] = {
        "summary": cut(summary or "deploy", LONGEST_SUMMARY),
        "source": CLIENT,
        "timestamp": utc(at.when),
    }
    if environment:
        payload["custom_details"] = {"environment": cut(fit(environment), LONGEST_FIELD)}
    links = [{"href": href, "text": "Pipeline"} for href in map(html.unescape, _LINK.findall(text)) if is_link(href)]
    return {"payload": payload, "links": links}
