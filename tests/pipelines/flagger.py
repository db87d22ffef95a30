"""A double of Flagger: its webhook client, and as much of its control loop as decides when which hook is called and what follows.

What it imitates, in fluxcd/flagger (file, function, commit that was read):

* `pkg/controller/webhook.go` (as of the version with retries; before it a2e864d1): callWebhook posts JSON, 10 s unless timeout says
  otherwise; **a status above 202 is a failure, 204 too**; the error is the body. CallWebhook: name, namespace, phase, checksum, buildId,
  type, ... and metadata, in which Flagger's own keys (timestamp, phase, lastAppliedSpec, ...) win over those of the Canary. There is no
  way to give a header (issue 1192), so a token can only come as user information of the URL, which Go's `net/http` (client.go, send)
  turns into basic authentication.
* hashicorp/go-retryablehttp, client.go, Do and DefaultRetryPolicy: no connection, 429 and 5xx except 501 are tried again, and then the
  error is "giving up after N attempt(s)": **the body is lost**, even when no retry is configured.
* `pkg/controller/scheduler_hooks.go` (as of the version that waits for promotion; before it a2e864d1): confirm hooks hold and show no
  body; a rollback hook that succeeds rolls back; event hooks change nothing.
* `pkg/controller/scheduler.go`, 00168954, advanceCanary: the order of the hooks; a failed pre-rollout or rollout hook adds one to
  failedChecks; at the threshold it rolls back; checkCanaryStatus (confirm-rollout before the first step); runCanary (confirm-promotion
  at the last weight).
* `pkg/controller/events.go`, c0515fc6, sendEventToWebhook: every event goes to the event hooks, after the fact; failures are logged.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import aiohttp
from yarl import URL

OWN_METADATA = ("timestamp", "phase", "failedChecks", "canaryWeight", "iterations", "lastBuildId", "lastAppliedSpec", "lastPromotedSpec")

Tree = dict[str, Any]


class Phase(StrEnum):
    INITIALIZED = "Initialized"
    WAITING = "Waiting"
    PROGRESSING = "Progressing"
    WAITING_PROMOTION = "WaitingPromotion"
    PROMOTING = "Promoting"
    FINALISING = "Finalising"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"

    @property
    def over(self) -> bool:
        return self in (Phase.SUCCEEDED, Phase.FAILED)


class HookFailed(Exception):
    """What Flagger knows of a hook that did not succeed: one text."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One entry of spec.analysis.webhooks."""

    type: str
    name: str
    url: str
    timeout: float = 10.0  # seconds
    retries: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, tree: Tree, server: str = "") -> Hook:
        url = tree["url"]
        if server:
            there = URL(server)
            url = str(URL(url).with_host(str(there.host)).with_port(there.port))
        return cls(
            type=tree.get("type", "rollout"),
            name=tree["name"],
            url=url,
            timeout=seconds(tree.get("timeout", "10s")),
            retries=tree.get("retries", 0),
            metadata=tree.get("metadata", {}),
        )


async def call(hook: Hook, payload: Tree) -> str:
    """callWebhook over retryablehttp; returns the body. Raises HookFailed."""
    url = URL(hook.url)
    headers = {"Content-Type": "application/json"}
    if url.user is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
        url = url.with_user(None)
    why = ""
    for _ in range(1 + hook.retries):  # the waits between are left out
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=hook.timeout)) as session,
                session.post(url, data=json.dumps(payload), headers=headers) as answer,
            ):
                body = await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            why = f": {type(error).__name__}"
            continue
        if answer.status == 429 or (answer.status >= 500 and answer.status != 501):
            why = ""
            continue
        if answer.status > 202:
            raise HookFailed(body)
        return body
    raise HookFailed(f"POST {url} giving up after {1 + hook.retries} attempt(s){why}")


class Canary:
    """One Canary object and the controller that advances it. `events` is what `kubectl describe` shows."""

    def __init__(self, tree: Tree, server: str = "", checksum: str = "7b9d5f6c8", url: Callable[[str], str] = str) -> None:
        analysis = tree["spec"]["analysis"]
        self.name, self.namespace, self.checksum = tree["metadata"]["name"], tree["metadata"]["namespace"], checksum
        self.hooks = [Hook.of(each | {"url": url(each["url"])}, server) for each in analysis["webhooks"]]
        self.threshold, self.max_weight, self.step_weight = analysis["threshold"], analysis["maxWeight"], analysis["stepWeight"]
        self.phase, self.weight, self.failed_checks = Phase.INITIALIZED, 0, 0
        self.events: list[str] = []

    async def advance(self) -> Phase:
        """One tick of the analysis interval: advanceCanary."""
        if self.phase.over:
            return self.phase
        if self.phase in (Phase.INITIALIZED, Phase.WAITING):
            await self._begin()
        elif self.phase in (Phase.PROGRESSING, Phase.WAITING_PROMOTION) and await self._any("rollback"):
            await self._record("Rolling back {} manual webhook invoked")
            await self._roll_back()
        elif self.phase is Phase.PROMOTING:
            self.phase = Phase.FINALISING
        elif self.phase is Phase.FINALISING:
            self.phase = Phase.SUCCEEDED
            await self._record("Promotion completed! Scaling down {}")
        elif self.failed_checks >= self.threshold:
            await self._record(f"Rolling back {{}} failed checks threshold reached {self.failed_checks}")
            await self._roll_back()
        else:
            await self._check()
        return self.phase

    async def finish(self, ticks: int, between: Callable[[], Any] | None = None) -> Phase:
        """At most so many ticks; Flagger itself would wait for ever."""
        for _ in range(ticks):
            if (await self.advance()).over:
                break
            if between is not None:
                await between()
        return self.phase

    async def _begin(self) -> None:
        """checkCanaryStatus."""
        if not await self._all("confirm-rollout", "waiting for approval", quiet=True):
            self.phase = Phase.WAITING
            return
        self.phase = Phase.PROGRESSING
        await self._record("New revision detected! Scaling up {}")

    async def _check(self) -> None:
        kind = "pre-rollout" if self.weight == 0 else "rollout"
        if not await self._all(kind, "external check"):
            self.failed_checks += 1
            return
        if not await self._all("confirm-traffic-increase", "waiting for traffic increase approval", quiet=True):
            return
        if self.weight < self.max_weight:
            self.weight = min(100, self.weight + self.step_weight)
            await self._record(f"Advance {{}} canary weight {self.weight}")
        elif await self._all("confirm-promotion", "waiting for promotion approval", quiet=True):
            self.phase = Phase.PROMOTING
            await self._record("Copying {} template spec")
        else:
            self.phase = Phase.WAITING_PROMOTION

    async def _roll_back(self) -> None:
        self.phase, self.weight = Phase.FAILED, 0
        await self._record("Canary failed! Scaling down {}")

    async def _all(self, kind: str, what: str, quiet: bool = False) -> bool:
        for hook in (each for each in self.hooks if each.type == kind):
            try:
                await call(hook, self.payload(hook))
            except HookFailed as error:
                await self._record(f"Halt {{}} advancement {what} {hook.name}" + ("" if quiet else f" failed {error}"))
                return False
        return True

    async def _any(self, kind: str) -> bool:
        for hook in (each for each in self.hooks if each.type == kind):
            try:
                await call(hook, self.payload(hook))
            except HookFailed:
                continue
            return True
        return False

    async def _record(self, text: str) -> None:
        text = text.replace("{}", f"{self.name}.{self.namespace}", 1)
        self.events.append(text)
        for hook in (each for each in self.hooks if each.type == "event"):
            try:
                await call(hook, self.payload(hook, {"eventMessage": text, "eventType": "Normal"}))
            except HookFailed as error:
                self.events.append(f"error sending event to webhook: {error}")

    def payload(self, hook: Hook, event: Mapping[str, str] | None = None) -> Tree:
        own = dict.fromkeys(OWN_METADATA, "") | {
            "timestamp": str(int(time.time() * 1_000)),
            "phase": self.phase.value,
            "failedChecks": str(self.failed_checks),
            "canaryWeight": str(self.weight),
            "iterations": "0",
        }
        return {
            "name": self.name,
            "namespace": self.namespace,
            "phase": self.phase.value,
            "checksum": self.checksum,
            "buildId": "",
            "type": hook.type,
            "failedChecks": self.failed_checks,
            "canaryWeight": self.weight,
            "iterations": 0,
            "remainingTime": 0,
            "metadata": {**hook.metadata, **own, **(event or {})},
        }


def seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+)(ms|s|m)", text)
    assert found is not None, f"no duration: {text}"
    return float(found[1]) * {"ms": 0.001, "s": 1.0, "m": 60.0}[found[2]]
