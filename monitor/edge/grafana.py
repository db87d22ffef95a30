"""Grafana's annotations: ports.Annotator, over its HTTP API (POST and PATCH /api/annotations; a service account token as bearer)."""

from __future__ import annotations

import json
import re

from monitor.edge.channels.exchange import Exchange, NotSent, TlsSource, outcome
from monitor.edge.clock import SystemClock
from monitor.model.deploy import Annotation, Drawn, GrafanaPolicy
from monitor.model.instant import Instant
from monitor.model.notice import NotTold, Told
from monitor.ports import Secrets

ANNOTATIONS = "api/annotations"
LONGEST_TEXT = 1_000  # characters
LONGEST_TAG = 100  # characters of one tag; Grafana keeps a hundred and cuts the rest
MOST_TAGS = 10

_NUMBER = re.compile(r'"id"\s*:\s*([1-9][0-9]{0,17})\b')


class Grafana:
    """Organisation-wide annotations, which dashboards find by their tags. A request whose answer was lost may have been taken: who asks
    again may draw twice."""

    def __init__(self, policy: GrafanaPolicy, secrets: Secrets, tls: TlsSource) -> None:
        self._policy = policy
        self._exchange = Exchange(secrets, tls, SystemClock(), policy.ca_file)

    async def draw(self, annotation: Annotation, deadline: float) -> Drawn | NotTold:
        body: dict[str, object] = {
            "time": _milliseconds(annotation.at),
            "tags": [tag[:LONGEST_TAG] for tag in annotation.tags[:MOST_TAGS]],
            "text": annotation.text[:LONGEST_TEXT],
        }
        if annotation.ended is not None:
            body["timeEnd"] = max(_milliseconds(annotation.at), _milliseconds(annotation.ended))
        answer = await self._ask("POST", ANNOTATIONS, body, deadline)
        if isinstance(answer, NotTold):
            return answer
        found = _NUMBER.search(answer)
        if found is None:
            return NotTold(f"{self._policy.url} answered 200 without the number of an annotation", False, "check url: is Grafana there?")
        return Drawn(int(found[1]))

    async def stretch(self, number: int, ended: Instant, text: str, deadline: float) -> Drawn | NotTold:
        body: dict[str, object] = {"timeEnd": _milliseconds(ended), "text": text[:LONGEST_TEXT]}
        answer = await self._ask("PATCH", f"{ANNOTATIONS}/{number}", body, deadline)
        return answer if isinstance(answer, NotTold) else Drawn(number)

    async def close(self) -> None:
        await self._exchange.close()

    async def _ask(self, method: str, path: str, body: dict[str, object], deadline: float) -> str | NotTold:
        """The beginning of the answer, or why there is none."""
        ref = self._policy.token
        try:
            token = self._exchange.secret(ref)
            headers = {"authorization": f"Bearer {token}", "content-type": "application/json", "accept": "application/json"}
            place = self._exchange.place(f"{self._policy.url}/{path}")
            answer = await self._exchange.send(method, place, headers, json.dumps(body).encode(), deadline, (token,))
        except NotSent as failure:
            return failure.outcome
        told = outcome(answer, place, f"the secret {ref}")
        if isinstance(told, Told):
            return answer.text
        if answer.status == 404 and method == "PATCH":
            return NotTold(told.detail, transient=False, mend="the annotation was deleted there")
        return told


def _milliseconds(at: Instant) -> int:
    return round(at.utc * 1000)
