"""Prometheus Alertmanager, API v2: ports.Channel.

Labels are the identity of an alert there: another annotation pages nobody, another label is another alert. So each notice that must be
heard has a label of its own (`notice`, its number within the episode), and the POST that brings it takes back the one before. An episode
that was reopened is another `incident` (INC-12.2), or a silence over there could swallow it. Alerts are kept in memory and expire:
whoever uses this channel tells every open incident again, every resend_every seconds, with an unchanged notice.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta

from monitor.edge.channels.exchange import Exchange, NotSent, TlsSource, outcome
from monitor.edge.channels.layout import is_link, utc
from monitor.model.channels import AlertmanagerChannel
from monitor.model.incident import Severity
from monitor.model.notice import Call, Notice, NotTold, Telling, Told
from monitor.ports import Clock, Secrets

ALERTS = "api/v2/alerts"
LIVES = 4  # an alert that is not told again expires after so many reminders
TEST_LIVES = 60.0  # seconds
KEPT = 500  # incidents whose labels are remembered

Labels = tuple[tuple[str, str], ...]


class Alertmanager:
    """One Alertmanager, or one cluster of them: each member is told, and one that takes it is enough."""

    def __init__(self, policy: AlertmanagerChannel, secrets: Secrets, tls: TlsSource, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._exchange = Exchange(secrets, tls, clock, policy.ca_file)
        self._fired: OrderedDict[str, set[Labels]] = OrderedDict()  # label `incident` -> what may be firing there

    async def tell(self, notice: Notice, deadline: float) -> Telling:
        labels = _labels(notice)
        known = self._remembered(labels["incident"])
        alerts = self._alerts(notice, labels, known)
        if notice.call is Call.FIRE:
            known.add(_identity(labels))  # before the answer: one that is lost may have been taken
        body = json.dumps(alerts).encode()
        outcomes = await asyncio.gather(*[self._post(url, body, deadline) for url in self._policy.urls])
        if took := [result for result in outcomes if isinstance(result, Told)]:
            if notice.call is Call.FIRE:
                known -= _before(labels, known)
            return took[0] if len(took) == len(outcomes) else Told(f"{took[0].receipt} ({len(took)} of {len(outcomes)} members)")
        refused = [result for result in outcomes if isinstance(result, NotTold)]
        return next((result for result in refused if result.transient), refused[0])

    async def close(self) -> None:
        await self._exchange.close()

    async def _post(self, url: str, body: bytes, deadline: float) -> Telling:
        ref = self._policy.authorization
        try:
            secret = "" if ref is None else self._exchange.secret(ref)
            headers = {"content-type": "application/json"} | ({"authorization": secret} if ref is not None else {})
            place = self._exchange.place(f"{url.rstrip('/')}/{ALERTS}")
            answer = await self._exchange.send("POST", place, headers, body, deadline, (secret, secret.rpartition(" ")[2]))
        except NotSent as failure:
            return failure.outcome
        if answer.status in (400, 422):
            mend = "this Alertmanager cannot read our alerts, or only some of them: see what it says; it must speak API v2 (0.16 or later)"
            return NotTold(f"{place.name} answered {answer}", transient=False, mend=mend)
        return outcome(answer, place, f"the secret {ref}" if ref is not None else "authorization of this channel")

    def _alerts(self, notice: Notice, labels: Mapping[str, str], known: set[Labels]) -> list[dict[str, object]]:
        """One POST for one incident: a refusal then concerns nobody else's alert."""
        now = self._clock.now().when
        began = min(notice.began.when, now)
        match notice.call:
            case Call.TEST:
                return [_alert(notice, labels, began, now + timedelta(seconds=TEST_LIVES))]
            case Call.FIRE:
                firing = _alert(notice, labels, began, now + timedelta(seconds=LIVES * self._policy.resend_every))
                return [firing, *[_alert(notice, dict(old), began, now) for old in sorted(_before(labels, known))]]
            case Call.RESOLVE:
                ended = min(notice.ended.when, now) if notice.ended else now
                return [_alert(notice, dict(old), began, ended) for old in sorted(known or _guessed(labels))]

    def _remembered(self, incident: str) -> set[Labels]:
        known = self._fired.setdefault(incident, set())
        self._fired.move_to_end(incident)
        if len(self._fired) > KEPT:
            self._fired.popitem(last=False)
        return known


def _labels(notice: Notice) -> dict[str, str]:
    return {
        "alertname": "MailcanaryTest" if notice.call is Call.TEST else "MailcanaryIncident",
        "service": "mailcanary",
        "environment": notice.environment,
        "symptom": notice.symptom.value,
        "scope": notice.scope,
        "severity": Severity.TICKET.value if notice.call is Call.TEST else notice.severity.value,
        "incident": f"{notice.incident}.{notice.episode}" if notice.episode > 1 else notice.incident,
        "notice": _number(notice.key),
    }


def _number(key: str) -> str:
    """The number of the notice within its episode: the last part but one of the key (INC-12-1-3-1a2b3c4d)."""
    parts = key.rsplit("-", 2)
    return parts[1] if len(parts) == 3 and parts[1].isdecimal() else "1"


def _before(labels: Mapping[str, str], known: set[Labels]) -> set[Labels]:
    """The notices before this one. Not those after it: a reminder of an older one may cross a newer one whose answer was lost."""
    return {old for old in known if int(dict(old)["notice"]) < int(labels["notice"])}


def _guessed(labels: Mapping[str, str]) -> set[Labels]:
    """What was firing before this process began, when it has not been told again since: this notice or the one before it. A wrong guess
    is an alert that nobody has seen, and what is not guessed expires by itself."""
    numbers = {labels["notice"], str(max(1, int(labels["notice"]) - 1))}
    return {_identity({**labels, "notice": number, "severity": severity.value}) for severity in Severity for number in numbers}


def _identity(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted(labels.items()))


def _alert(notice: Notice, labels: Mapping[str, str], began: datetime, ends: datetime) -> dict[str, object]:
    """Always with startsAt: without it Alertmanager would take endsAt for it, and "since when" would lie in the future."""
    annotations = {
        "summary": notice.title,
        "description": notice.text,
        "runbook_url": notice.runbook_url,
        "incident_url": notice.incident_url,
        "dedup_key": notice.dedup_key,
    }
    alert: dict[str, object] = {
        "labels": dict(labels),
        "annotations": {name: text for name, text in annotations.items() if text},
        "startsAt": utc(min(began, ends)),
        "endsAt": utc(ends),
    }
    if is_link(notice.incident_url):  # anything else is answered with 422, and nothing is stored
        alert["generatorURL"] = notice.incident_url
    return alert
