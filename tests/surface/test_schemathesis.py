"""The OpenAPI file against the real application on loopback: requests, right and wrong ones, that Schemathesis makes from the file.

Every answer must be one that the file lists, in the form that it says; nothing may be a fault of the server; without a token nothing opens.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from aiohttp import web
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import negative_data_rejection, positive_data_acceptance
from schemathesis.core.failures import FailureGroup
from schemathesis.core.parameters import ParameterLocation

from monitor.desk import Desk
from monitor.edge.clock import SystemClock
from monitor.edge.entropy import SystemEntropy
from monitor.edge.journal import MemoryJournal
from monitor.model.facts import GateDecided
from monitor.model.gate import BUILT_IN, GATE_VERDICT, Because, GatesPolicy
from monitor.model.policy import Access
from monitor.surface.api import Api
from monitor.surface.metrics import Metrics, Vitals
from monitor.views.world import World
from tests.fakes.ledger import FakeLedger
from tests.fakes.paths import StubSecrets
from tests.surface import books
from tests.surface import happenings as so
from tests.surface.premises import SECRETS, UNLIMITED
from tests.surface.test_deploy_api import GITHUB

ROOT = Path(__file__).parents[2]
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "config" / "openapi.yaml").read_text())
EXAMPLES = 12  # of each operation, beside those that cover its schema systematically
ROLE = re.compile(r"\(role (\w+)")
UNCHECKED = [positive_data_acceptance]  # what no schema says: that a text is printable, a time near now, a name known, a policy sound


@dataclass
class Served:
    desk: Desk
    loop: asyncio.AbstractEventLoop
    url: str = ""


@contextlib.contextmanager
def served(directory: Path, spoil: Callable[[web.Application], None] = lambda _: None) -> Iterator[Served]:
    """In a thread, behind tokens, with a past: an incident, a deploy, gates that are decided as they are asked for; and a ledger."""
    shop = replace(BUILT_IN["quick"], name="shop", trust_target=True)
    policy = replace(
        books.shop(directory, host="0.0.0.0"),
        gates=GatesPolicy(default="shop", policies={"shop": shop}),
        deploy_hooks={"github": GITHUB},
    )
    world = World()
    desk = Desk(MemoryJournal(world.fold), world, SystemClock(), SystemEntropy(), policy)
    api = Api(desk, Metrics(policy, world, Vitals()), StubSecrets(dict(SECRETS)), lambda: 0.0, lambda: True, UNLIMITED, FakeLedger())
    site = Served(desk, asyncio.new_event_loop())
    up, end = threading.Event(), asyncio.Event()

    async def serve() -> None:
        at = desk.clock.now()
        await desk.journal.append([so.opened(at), so.notified(at, 1), so.deployed(at)])
        deciding = asyncio.create_task(decide(desk))
        application = api.application()
        spoil(application)
        runner = web.AppRunner(application, access_log=None, handle_signals=False)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        up.set()
        await end.wait()
        deciding.cancel()
        await runner.cleanup()

    thread = threading.Thread(target=site.loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert up.wait(10)
        yield site
    finally:
        site.loop.call_soon_threadsafe(end.set)
        thread.join(10)
        site.loop.close()


async def decide(desk: Desk) -> None:
    """In turn pass and fail, at once."""
    while True:
        cursor = desk.world.seq
        for number, state in enumerate(desk.world.gates.running()):
            because = (Because.CLEAN, Because.LOSSES)[(number + desk.world.seq) % 2]
            request = state.request
            verdict = GATE_VERDICT[because]
            await desk.journal.append(
                [GateDecided(desk.clock.now(), state.id, request.deploy, request.attempt, verdict, because, because.value, (), ())]
            )
        await desk.journal.wait(max(cursor, desk.world.seq))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served")) as site:
        yield site


schema = schemathesis.openapi.from_dict(DOCUMENT).exclude(path="/v1/events")  # which goes on for an hour: test_events.py
SETTINGS = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def ask(case: schemathesis.Case, site: Served) -> None:
    header = case.meta.components.get(ParameterLocation.HEADER) if case.meta else None
    mended = header is not None and header.mode.is_negative  # a wrong or missing token, in whose place the right one is sent
    unchecked = [*UNCHECKED, negative_data_rejection] if mended else UNCHECKED
    case.call_and_validate(base_url=site.url, headers=token(case), excluded_checks=unchecked)


def token(case: schemathesis.Case) -> dict[str, str]:
    """Of the role that the operation's summary names."""
    found = ROLE.search(case.operation.definition.raw["summary"])
    return {"Authorization": f"Bearer {SECRETS[Access(found[1]).name]}"} if found else {}


@schema.parametrize()
@SETTINGS
def test_every_answer_is_one_that_the_file_lists(case: schemathesis.Case, site: Served) -> None:
    ask(case, site)


# ---- a server that is wrong is found out -----------------------------------------------------------------------------

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def breaks_down(_: web.Request, __: Handler) -> web.StreamResponse:
    return web.json_response({"error": "x", "reason": "x"}, status=500)


@web.middleware
async def says_what_is_not_listed(_: web.Request, __: Handler) -> web.StreamResponse:
    return web.json_response({"error": "x", "reason": "x"}, status=418)


@web.middleware
async def forgets_a_key(_: web.Request, __: Handler) -> web.StreamResponse:
    return web.json_response({"schema": "mailcanary.gates/v1", "environment": "test"})


@web.middleware
async def answers_in_another_form(_: web.Request, __: Handler) -> web.StreamResponse:
    return web.Response(text="all is well")


@web.middleware
async def asks_for_no_token(_: web.Request, __: Handler) -> web.StreamResponse:
    return web.json_response({"schema": "mailcanary.gates/v1", "environment": "test", "gates": []})


@pytest.mark.parametrize("fault", [breaks_down, says_what_is_not_listed, forgets_a_key, answers_in_another_form, asks_for_no_token])
def test_a_server_that_is_wrong_is_found_out(fault: Any, tmp_path: Path) -> None:
    with served(tmp_path, lambda application: application.middlewares.insert(0, fault)) as site:

        @SETTINGS
        @given(case=schema["/v1/gates"]["GET"].as_strategy())
        def asked(case: schemathesis.Case) -> None:
            ask(case, site)

        with pytest.raises(FailureGroup):
            asked()
