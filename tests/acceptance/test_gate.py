"""The gate on a whole mail world: a shop that deploys, a relay and mailboxes that break, and what the gate says of each deploy.

Everything but the process is real: servers on loopback, the journal on disk, the stages as `mailcanary run` starts them.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from monitor.app import App, assembled
from monitor.edge.secret import SystemSecrets
from monitor.lab import Fault, Lab, LabSpec
from monitor.lab.configuration import configuration, write_configuration
from monitor.lab.faults import Scope
from monitor.model.facts import Attempted, DeployMarked, Entry, GateDecided, Judged
from monitor.model.gate import BUILT_IN, QUICK, Because, GatePolicy
from monitor.model.incident import DeployPhase
from monitor.model.verdict import Verdict
from monitor.rules.gate.request import GateAsk, GateRefused
from monitor.settings import load
from monitor.surface.gate.asking import begin, cancel, override
from tests.acceptance.conftest import PASSWORD

pytestmark = [pytest.mark.timeout(90)]

STRANGER = "never.bought@aurora.test"
PATIENT = dataclasses.replace(BUILT_IN[QUICK], timeout=40.0, settle=0.5)
HASTY = dataclasses.replace(PATIENT, timeout=6.0)


@dataclasses.dataclass
class Scene:
    lab: Lab
    app: App

    async def good(self) -> None:
        """Every route has passed."""
        await self.until(lambda: all(self.app.desk.world.route(route).habit.week for route in self.app.desk.policy.routes))

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not happened():
                await self.app.journal.wait(self.app.journal.last)

    async def deploy(self, version: str) -> None:
        await self.app.journal.append([DeployMarked(self.app.edges.clock.now(), f"d-{version}", DeployPhase.START, version=version)])
        self.lab.deploy(version)

    async def ask(self, deploy: str, policy: GatePolicy = PATIENT, version: str = "") -> GateDecided:
        """What the gate comes to."""
        state, _ = await begin(self.app.desk, GateAsk(deploy, policy, "ci", version=version))
        await self.until(lambda: state.decision is not None)
        assert state.decision is not None
        return state.decision


@contextlib.asynccontextmanager
async def scene(directory: Path, *, strangers: tuple[str, ...] = (), **changes: Any) -> AsyncIterator[Scene]:
    async with Lab(LabSpec(password=PASSWORD, strangers=strangers)) as lab:
        tree = configuration(lab.description.as_json(), directory / "secret", directory / "state", "plain")
        tree["schedule"] = {"every": "700ms", "jitter": "0%"}
        tree["deadlines"] = {"overdue_floor": "1s", "late": "2s", "missing": "3s", "give_up": "5s", "watch_until": "20s"}
        tree["gates"] = {"burst": 60}
        (directory / "key").write_text("a signing key of the acceptance suites")
        tree["signing"] = {"keys": [{"number": 1, "secret": {"file": str(directory / "key")}}]}
        tree |= changes
        policy = load(write_configuration(tree, directory, PASSWORD), SystemSecrets()).policy
        async with assembled(dataclasses.replace(policy, drain=1.0), exclusive=False) as app, app.running(schedule=True):
            here = Scene(lab, app)
            await here.good()
            yield here


# --- deploys of the shop ----------------------------------------------------------------------------------------------------


async def test_a_good_deploy_passes_and_says_what_it_could_not_see(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await here.deploy("v3")
        decision = await here.ask("d-v3")
        assert (decision.verdict, decision.because) == (Verdict.PASS, Because.CLEAN)
        assert {each.provider for each in decision.classes} == {"aurora", "borealis", "cumulus"}
        for each in decision.classes:
            assert each.good >= 10 and each.adverse == 0 and each.control_good > 0
            assert 0.2 < each.loss_upper < 0.3
        assert decision.unseen, "a pass of ten probes does not see small losses"
        again, began = await begin(here.app.desk, GateAsk("d-v3", PATIENT, "ci"))
        assert not began and again.decision == decision


@pytest.mark.parametrize(("version", "because"), [("v2", {Because.LOSSES}), ("v5", {Because.WRONG_AMOUNT}), ("v4", {Because.TRIPPED})])
async def test_a_bad_deploy_fails(tmp_path: Path, version: str, because: set[Because]) -> None:
    async with scene(tmp_path, strangers=(STRANGER,)) as here:
        await here.deploy(version)
        decision = await here.ask(f"d-{version}")
        assert decision.verdict is Verdict.FAIL and decision.because in because, decision.reason
        assert decision.evidence and (decision.example is None) is (decision.because is Because.TRIPPED), "a trip is no probe"
        assert "@" not in decision.reason
        repeated = await here.ask(f"d-{version}")
        assert repeated == decision, "a fail stays"


async def test_after_a_rollback_the_fixed_deploy_passes(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await here.deploy("v2")
        assert (await here.ask("d-v2")).verdict is Verdict.FAIL
        await here.deploy("v3")
        assert (await here.ask("d-v3")).verdict is Verdict.PASS


async def test_a_loss_that_no_holding_mailbox_shows_fails_at_the_deadline(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await here.deploy("v3")
        await here.lab.switch_on(Fault.ACCEPT_AND_DROP, Scope(path="shop"))
        began = here.app.edges.clock.now()
        decision = await here.ask("d-v3")
        assert (decision.verdict, decision.because) == (Verdict.FAIL, Because.LOSSES)
        guilty = next(tally for tally in decision.classes if tally.because is Because.LOSSES)  # the others may be told a moment later
        assert dict(guilty.reasons) == {"missing": guilty.adverse}
        assert decision.at.seconds_since(began) < PATIENT.timeout / 2, "by what is missing, not by the end of its time"


# --- what is not the deploy's fault ---------------------------------------------------------------------------------------------


async def test_a_version_that_never_served_is_inconclusive(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        decision = await here.ask("d-v9", HASTY, version="v9")
        assert (decision.verdict, decision.because) == (Verdict.INCONCLUSIVE, Because.UNOBSERVED)
        assert "v1" in decision.reason or any("v1" in line for line in decision.unseen)


async def test_what_was_broken_before_is_not_blamed_on_the_deploy(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await here.lab.switch_on(Fault.JUNK)
        since = here.app.journal.last
        bad: list[Entry] = []
        here.app.journal.fold_into(lambda entry: bad.append(entry) if _fails(entry) else None)
        await here.until(lambda: len(bad) >= 5 * len(here.app.desk.policy.routes))
        await here.deploy("v3")
        decision = await here.ask("d-v3", HASTY)
        assert (decision.verdict, decision.because) == (Verdict.INCONCLUSIVE, Because.BASELINE_BROKEN), decision.reason
        assert here.app.journal.last > since


def _fails(entry: Entry) -> bool:
    return isinstance(entry.fact, Judged) and entry.fact.verdict is Verdict.FAIL


async def test_one_provider_that_fails_on_every_path_is_not_blamed_on_the_deploy(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await here.deploy("v3")
        await here.lab.switch_on(Fault.JUNK, Scope(provider="borealis.test"))
        decision = await here.ask("d-v3", HASTY)
        assert (decision.verdict, decision.because) == (Verdict.INCONCLUSIVE, Because.BASELINE_BROKEN), decision.reason


async def test_a_provider_that_we_cannot_look_into_is_inconclusive(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await here.lab.switch_on(Fault.IMAP_DOWN, Scope(provider="cumulus.test"))
        boxes = [name for name, box in here.app.desk.policy.mailboxes.items() if box.provider == "cumulus"]
        await here.until(lambda: all(here.app.desk.world.mailbox(name).blind for name in boxes))
        await here.deploy("v3")
        decision = await here.ask("d-v3", HASTY)
        assert (decision.verdict, decision.because) == (Verdict.INCONCLUSIVE, Because.BLIND), decision.reason
        assert "cumulus" in decision.reason


async def test_a_relay_that_refuses_since_the_deploy_fails_at_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await here.deploy("v3")
        await here.lab.switch_on(Fault.REFUSE_MAIL_FROM)
        began = here.app.edges.clock.now()
        decision = await here.ask("d-v3")
        assert (decision.verdict, decision.because) == (Verdict.FAIL, Because.REFUSED), decision.reason
        assert decision.at.seconds_since(began) < 3.0, "before any deadline"


async def test_a_relay_that_refused_before_is_not_blamed_on_the_deploy(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await here.lab.switch_on(Fault.REFUSE_MAIL_FROM)
        bad: list[Entry] = []
        here.app.journal.fold_into(lambda entry: bad.append(entry) if _fails(entry) else None)
        await here.until(lambda: len(bad) >= 5 * len(here.app.desk.policy.routes))
        await here.deploy("v3")
        decision = await here.ask("d-v3", HASTY)
        assert decision.verdict is Verdict.INCONCLUSIVE, decision.reason


# --- people and loops -------------------------------------------------------------------------------------------------------------


async def test_an_inconclusive_gate_pools_the_evidence_of_its_attempts(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await here.deploy("v3")
        state, _ = await begin(here.app.desk, GateAsk("d-v3", PATIENT, "ci"))
        await here.until(lambda: sum(trial.reason is not None for trial in state.trials.values()) >= 10)
        await cancel(here.app.desk, state.id, "ana", "the pipeline was stopped")
        await here.until(lambda: state.decision is not None)
        assert state.decision is not None and state.decision.because is Because.CANCELLED
        known = len(state.trials)
        await asyncio.sleep(10.0)  # an attempt begins at most every ten seconds
        decision = await here.ask("d-v3")
        assert decision.verdict is Verdict.PASS and decision.attempt == 2
        assert len(state.trials) < known + 30, "what the first attempt saw counts"


async def test_a_person_lets_a_failed_deploy_pass_until_a_time(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await here.deploy("v2")
        decision = await here.ask("d-v2")
        assert decision.verdict is Verdict.FAIL
        state = here.app.desk.world.gates.known[decision.gate]
        await override(here.app.desk, decision.gate, "ana", "known, and refunds are off", 3600.0)
        now = here.app.edges.clock.now()
        assert state.overridden(now) is not None and state.decision == decision
        assert state.overridden(now.plus(3601.0)) is None


async def test_a_loop_of_deploys_stays_within_the_burst(tmp_path: Path) -> None:
    burst = 6
    async with scene(tmp_path, gates={"burst": burst, "window": "1m"}, schedule={"every": "1s", "jitter": "0%"}) as here:
        attempted: list[Entry] = []
        here.app.journal.fold_into(lambda entry: attempted.append(entry) if isinstance(entry.fact, Attempted) else None)
        for number in range(200):
            with contextlib.suppress(GateRefused):  # there are gates enough
                await begin(here.app.desk, GateAsk(f"loop-{number}", HASTY, "ci", version="v1"))
        gates = here.app.desk.world.gates
        await here.until(lambda: not gates.running())
        for name, box in here.app.desk.policy.mailboxes.items():
            probes = [t for state in gates.known.values() for t in state.trials.values() if t.route.mailbox == name and t.sent]
            assert len(probes) <= burst, box.name
        assert len(attempted) > 0
