"""Servers that answer for a gate: a right one, and one for each way in which a gate has been got wrong elsewhere."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from tests.pipelines.expectations import FLAGGER, Standing

Answer = Callable[[Standing], web.Response]

VERDICT = {Standing.PASSED: "pass", Standing.FAILED: "fail", Standing.RUNNING: "pending", Standing.HELD: "inconclusive"}


def body(standing: Standing) -> dict[str, object]:
    counts = {"sent": 20, "ok": 18, "lost": 2, "pending": 0}
    return {"verdict": VERDICT[standing], "reason": "gmail: 2 of 20 probes lost (fails at 2)", "gate": "gate-0123456789ab", **counts}


def as_json(content: object, status: int = 200) -> web.Response:
    return web.Response(status=status, text=json.dumps(content), content_type="application/json")


def as_text(content: str, status: int) -> web.Response:
    return web.Response(status=status, text=content)


def right_argo(standing: Standing) -> web.Response:
    if standing is Standing.UNKNOWN:
        return as_json({"error": "Not Found", "reason": "no gate for this deploy"}, 404)
    return as_json(body(standing))


def right_hook(kind: str) -> Answer:
    def answer(standing: Standing) -> web.Response:
        if standing is Standing.UNKNOWN:
            return as_text("no gate for this deploy", 404)
        said = getattr(FLAGGER[standing], kind)
        return as_text("ok" if said else "gmail: 2 of 20 probes lost (fails at 2)", 200 if said else 409)

    return answer


def event(_: Standing) -> web.Response:
    return as_text("ok", 200)


Site = dict[str, Answer]


def site(**changes: Answer) -> Site:
    right = {"argo": right_argo, "event": event, **{kind: right_hook(kind) for kind in ("rollout", "confirm", "rollback")}}
    return {**right, **changes}


def everywhere(answer: Answer) -> Site:
    return dict.fromkeys(site(), answer)


def changed(**changes: object) -> Answer:
    """The right body, except for these keys; None for a missing key."""

    def answer(standing: Standing) -> web.Response:
        if standing is Standing.UNKNOWN:
            return right_argo(standing)
        return as_json({**body(standing), **changes})

    return answer


def only_when(kind: str, *standings: Standing, status: int = 200) -> Answer:
    """A hook that, contrary to what is right, answers with this status when the gate stands so."""

    def answer(standing: Standing) -> web.Response:
        return as_text("no reason to think so", status) if standing in standings else right_hook(kind)(standing)

    return answer


def status_only(standing: Standing) -> web.Response:
    statuses = {Standing.PASSED: 200, Standing.RUNNING: 202, Standing.FAILED: 417, Standing.HELD: 425, Standing.UNKNOWN: 404}
    return as_json({}, statuses[standing])


def five_hundreds(standing: Standing) -> web.Response:
    return as_json(body(standing)) if standing is Standing.PASSED else as_json({"error": "no"}, 503)


def quoted(standing: Standing) -> web.Response:
    """A verdict to be found by reading: "pass" is in the text of every answer."""
    return as_json({"overall_status": f"did the gate pass? {standing.value}; the relay is down"})


def shouting(standing: Standing) -> web.Response:
    return right_argo(standing) if standing is Standing.UNKNOWN else as_json({**body(standing), "verdict": VERDICT[standing].upper()})


def optimistic(standing: Standing) -> web.Response:
    return as_json({**body(Standing.PASSED if standing in (Standing.HELD, Standing.UNKNOWN) else standing)})


def listed(standing: Standing) -> web.Response:
    return as_json([body(standing)] if standing is not Standing.UNKNOWN else [])


WRONG_FOR_ARGO: dict[str, Answer] = {
    "204 whatever the verdict": lambda _: web.Response(status=204),
    "a catch-all that says OK": lambda _: as_text("OK", 200),
    "a login page for everybody": lambda _: web.Response(text="<html>please sign in</html>", content_type="text/html"),
    "the verdict in the status alone": status_only,
    "503 unless it passed": five_hundreds,
    "the verdict in a sentence": quoted,
    "PASS instead of pass": shouting,
    "no evidence is a pass": optimistic,
    "a list": listed,
    "null for the verdict": changed(verdict=None),
    "null for the counts": changed(sent=None, ok=None),
    "no reason": changed(reason=""),
    "a reason of 2,000 characters": changed(reason="x" * 2_000),
    "numbers as text": changed(sent="20"),
    "one key more": changed(error=None),
    "another word": changed(verdict="green"),
}

WRONG_FOR_FLAGGER: dict[str, Site] = {
    "204 for yes": site(**{kind: only_when(kind, *Standing, status=204) for kind in ("rollout", "confirm", "rollback", "event")}),
    "503 for no": site(rollout=only_when("rollout", Standing.FAILED, status=503)),
    "429 for no": site(confirm=only_when("confirm", Standing.RUNNING, status=429)),
    "a catch-all that says OK": everywhere(event),
    "an empty no": site(rollout=lambda at: as_text("", 409) if at is Standing.FAILED else right_hook("rollout")(at)),
    "a page for no": site(rollout=lambda at: as_text("<html>no</html>", 409) if at is Standing.FAILED else right_hook("rollout")(at)),
    "confirms what is inconclusive": site(confirm=only_when("confirm", Standing.HELD)),
    "confirms what nobody asked for": site(confirm=only_when("confirm", Standing.UNKNOWN)),
    "confirms while it runs": site(confirm=only_when("confirm", Standing.RUNNING)),
    "goes on after a fail": site(rollout=only_when("rollout", Standing.FAILED)),
    "counts waiting as a failed check": site(rollout=only_when("rollout", Standing.RUNNING, status=409)),
    "rolls back while it runs": site(rollback=only_when("rollback", Standing.RUNNING)),
    "rolls back what is inconclusive": site(rollback=only_when("rollback", Standing.HELD)),
    "rolls back what nobody asked for": site(rollback=only_when("rollback", Standing.UNKNOWN)),
    "rolls back what passed": site(rollback=only_when("rollback", Standing.PASSED)),
    "never rolls back": site(rollback=lambda _: as_text("not today", 409)),
    "its own bug rolls back": site(rollback=lambda at: as_text("internal error", 200 if at is Standing.UNKNOWN else 409)),
    "no event taken": site(event=lambda _: as_text("no", 404)),
}


@contextlib.asynccontextmanager
async def serving(answers: Site) -> AsyncIterator[str]:
    """`deploy` and checksum are the name of a Standing; yields the URL."""

    async def by_deploy(request: web.Request) -> web.Response:
        return answers["argo"](Standing(request.match_info["deploy"]))

    async def hook(request: web.Request) -> web.Response:
        checksum = (await request.json())["checksum"]
        return answers[request.match_info["kind"]](Standing(checksum))

    app = web.Application()
    app.router.add_get("/v1/gates/by-deploy/{environment}/{deploy}/argo", by_deploy)
    app.router.add_post("/v1/flagger/{kind}", hook)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
