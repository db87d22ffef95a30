"""What becomes of a probe when something is wrong with the mail: the whole daemon in one process with the lab, real sockets, one table.

Every case has a mailbox of its own, and nearly all run at the same time. Faults that know no mailbox come first, one after the other.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from monitor.app import App, assembled
from monitor.edge.secret import SystemSecrets
from monitor.lab import Fault, Lab, LabSpec, Scope
from monitor.lab.configuration import RAPID, configuration, write_configuration
from monitor.lab.providers import AURORA, DEFAULT_PROVIDERS
from monitor.model.facts import Accepted, Attempted, Entry, Fact, Judged, Paused, ProbePlanned, Resumed, Stray, WatchBlind, WatchRestored
from monitor.model.mail import BlindCause
from monitor.model.policy import Policy
from monitor.model.probe import MailboxName, PathName, ProbeId, Purpose, Route
from monitor.model.verdict import Reason
from monitor.settings import SettingsError, load

PASSWORD = "a lab password, long enough to sign"
LATE, MISSING, GIVE_UP, WATCH = 8, 14, 18, 26
SPECIAL = ("down", "locked", "hang", "bye", "nopush", "malformed")  # providers whose IMAP server has the fault
PER_PROVIDER = 26
WITHIN = 60.0  # on a machine that is busy; usually less than 45

pytestmark = pytest.mark.timeout(150)


@dataclass(frozen=True)
class Case:
    """`verdicts` are all that the probe ever gets, revision 0 first; `words` stand in the first explanation, `notes` among its notes."""

    name: str
    path: str
    verdicts: tuple[Reason, ...]
    fault: Fault | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    provider: str = ""  # a special one
    attempts: int = 1
    then: Callable[[Run, Case], Awaitable[None]] | None = None  # after the first verdict
    place: str = ""  # the mailbox in which it was seen, if not its own
    anything: bool = False  # a second copy or a late verdict is right, too

    @property
    def key(self) -> str:
        return f"{self.name} via {self.path}"


@dataclass
class Run:
    """The running daemon and what each case came to."""

    app: App
    lab: Lab
    rooms: dict[str, MailboxName] = field(default_factory=dict)
    probes: dict[str, list[ProbeId]] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    while_paused: int = -1

    def address(self, case: Case) -> str:
        return str(self.app.desk.policy.mailboxes[self.rooms[case.key]].address)

    def facts(self, kind: type[Fact], probe: ProbeId) -> list[Any]:
        return [entry.fact for entry in self.entries if isinstance(entry.fact, kind) and getattr(entry.fact, "probe", None) == probe]

    def of_mailbox(self, kind: type[Fact], case: Case) -> list[Any]:
        found = [entry.fact for entry in self.entries if isinstance(entry.fact, kind)]
        return [fact for fact in found if fact.mailbox == self.rooms[case.key]]

    async def until(self, happened: Callable[[], object]) -> None:
        while not happened():
            await self.app.journal.wait(self.app.journal.last)

    async def plan(self, case: Case) -> ProbeId:
        route = Route(PathName(case.path), self.rooms[case.key])
        (probe,) = await self.app.plan.plan_now([route], Purpose.SCHEDULED)
        self.probes.setdefault(case.key, []).append(probe)
        return probe

    async def play(self, case: Case) -> None:
        """Switch on, plan, wait for every verdict that is to come."""
        scope = Scope(provider=f"{case.provider}.test") if case.provider else Scope(mailbox=self.address(case), path=_arm(case))
        if case.fault is not None:
            await self.lab.switch_on(case.fault, scope, **case.params)
        if case.fault is Fault.IMAP_AUTH_REFUSED:  # which ends no session that is logged in
            await self.lab.switch_on(Fault.IMAP_DOWN, scope)
            await self.until(lambda: self.of_mailbox(WatchBlind, case))
            await self.lab.switch_off(Fault.IMAP_DOWN, scope)
            await self.until(lambda: self.of_mailbox(WatchBlind, case)[-1].cause is BlindCause.AUTH_REFUSED)
        if case.fault is Fault.IMAP_DOWN:
            await self.until(lambda: self.of_mailbox(WatchBlind, case))
        probe = await self.plan(case)
        await self.until(lambda: self.facts(Judged, probe))
        if case.then is not None:
            await case.then(self, case)
        await self.until(lambda: case.anything or len(self.facts(Judged, probe)) >= len(case.verdicts))


def _arm(case: Case) -> str | None:
    if case.fault in (Fault.UIDVALIDITY_CHANGE, Fault.IMAP_AUTH_REFUSED):
        return None
    return "shop" if case.path == "app" else "smtp"


async def again(run: Run, case: Case) -> None:
    second = await run.plan(case)
    await run.until(lambda: run.facts(Judged, second))


async def renumber(run: Run, case: Case) -> None:
    await run.lab.switch_on(Fault.UIDVALIDITY_CHANGE, Scope(mailbox=run.address(case)))


async def release(run: Run, case: Case) -> None:
    assert case.fault is not None
    scope = Scope(provider=f"{case.provider}.test") if case.provider else Scope(mailbox=run.address(case), path=_arm(case))
    await run.lab.switch_off(case.fault, scope)
    if case.provider:
        blind = len(run.of_mailbox(WatchBlind, case))
        assert blind
        await run.until(lambda: run.app.desk.world.mailbox(run.rooms[case.key]).blind is None)


def both(name: str, *verdicts: Reason, **rest: Any) -> list[Case]:
    return [Case(name, "bare", verdicts, **rest), Case(name, "app", verdicts, **rest)]


R = Reason
ALONE = [
    Case("relay unreachable", "second", (R.SUBMIT_UNREACHABLE,), Fault.REFUSE_CONNECT, words=("127.0.0.1:",), attempts=2),
    Case("credentials refused", "second", (R.SUBMIT_MISCONFIGURED,), Fault.AUTH_REFUSED, words=("535",)),
    Case("sender refused", "second", (R.REJECTED,), Fault.REFUSE_MAIL_FROM, words=("553 5.7.1", "not owned by user", "MAIL FROM")),
    Case("sender refused", "app", (R.REJECTED,), Fault.REFUSE_MAIL_FROM, words=("502", "553 5.7.1", "to the request")),
]
DEPLOYS = [
    Case("deploy v2", "app", (R.MISROUTED,), words=("of mailbox holding", "and not in"), place="holding"),
    Case("deploy v5", "app", (R.ALTERED,), words=("amount", "not as submitted")),
]
TOGETHER = [
    *both("healthy", R.PASS, words=("arrived in INBOX", "after it was accepted")),
    Case("recipient refused", "bare", (R.REJECTED,), Fault.REFUSE, words=("554 5.7.1", "access denied", "RCPT TO")),
    Case("recipient refused", "app", (R.REJECTED,), Fault.REFUSE, words=("502", "554 5.7.1", "access denied", "to the request")),
    Case("greylisted", "bare", (R.PASS,), Fault.GREYLIST, {"seconds": 0.5}, ("arrived in INBOX",), ("accepted on attempt 2",), attempts=2),
    Case("greylisted", "app", (R.PASS,), Fault.GREYLIST, {"seconds": 0.5}, ("arrived in INBOX",)),
    Case("greylisted for ever", "bare", (R.DEFERRED,), Fault.GREYLIST, {"seconds": 3600.0}, ("gave up", "450 4.2.0"), attempts=3),
    Case("greylisted for ever", "app", (R.MISSING,), Fault.GREYLIST, {"seconds": 3600.0}, ("accepted (202", "in none of")),
    Case("application unreachable", "dead-app", (R.SUBMIT_UNREACHABLE,), words=("cannot connect",), attempts=2),
    *both("accepted and dropped", R.MISSING, fault=Fault.ACCEPT_AND_DROP, words=("accepted (2", "in none of", "folders")),
    *both("late", R.LATE, fault=Fault.DELAY, params={"seconds": 11.0}, words=("s after the first attempt", f"late after {LATE} s")),
    *both("missing, then it comes", R.MISSING, R.LATE, fault=Fault.DELAY, params={"seconds": GIVE_UP + 1.0}, words=("in none of",)),
    *both("held, then released", R.MISSING, R.LATE, fault=Fault.HOLD_QUEUE, words=("in none of",), then=release),
    *both("junk", R.SPAM, fault=Fault.JUNK, words=("in the spam folder",)),
    *both("another folder", R.MISFILED, fault=Fault.OTHER_FOLDER, words=("in another folder", "'Archiv")),
    *both("misrouted to another seed", R.MISROUTED, fault=Fault.MISROUTE, words=("INBOX of mailbox stranger",), place="stranger"),
    *both("duplicated", R.DUPLICATE, fault=Fault.DUPLICATE, words=("arrived 2 times",), anything=True),
    *both("amount altered", R.ALTERED, fault=Fault.ALTER_AMOUNT, words=("the amount not as submitted", "another amount of money")),
    Case("carriers stripped", "bare", (R.PASS,), Fault.STRIP_HEADER_CARRIERS, notes=("lost on the way: header, message_id",)),
    Case("carriers stripped", "app", (R.PASS,), Fault.STRIP_HEADER_CARRIERS, notes=("lost on the way: header",)),
    Case("unauthenticated", "strict", (R.UNAUTHENTICATED,), Fault.AUTHENTICATION_FAIL, words=("says spf=softfail dkim=fail dmarc=fail",)),
    *both("unauthenticated, not demanded", R.PASS, fault=Fault.AUTHENTICATION_FAIL),
    Case("authenticated as demanded", "strict", (R.PASS,)),
    *both("bounced", R.BOUNCED, fault=Fault.CLONE_BOUNCE, words=("failed (5.1.1)", "550 5.1.1 mailbox unavailable")),
    Case("reply lost", "bare", (R.PASS,), Fault.DROP_AFTER_DATA, words=("although the reply to the submission was lost",)),
    Case("reply and message lost", "bare", (R.SUBMIT_UNKNOWN,), Fault.DROP_AFTER_DATA_LOST, words=("in none of", "folders")),
    *both("renumbered", R.PASS, then=renumber),
    Case("budget used up", "tiny", (R.PASS,), then=again),
    Case("IMAP down", "bare", (R.MAILBOX_BLIND, R.PASS), Fault.IMAP_DOWN, words=("unreachable",), provider="down", then=release),
    Case("IMAP locked", "bare", (R.MAILBOX_BLIND, R.PASS), Fault.IMAP_AUTH_REFUSED, {}, ("auth_refused",), provider="locked", then=release),
    Case("IMAP hangs", "bare", (R.MAILBOX_BLIND, R.PASS), Fault.IMAP_HANG, words=("timeout",), provider="hang", then=release),
    Case("IMAP says BYE", "bare", (R.PASS,), Fault.IMAP_BYE, provider="bye"),
    Case("IMAP does not push", "bare", (R.PASS,), Fault.IMAP_NO_PUSH, provider="nopush"),
    Case("IMAP is malformed", "bare", (R.PASS,), Fault.IMAP_MALFORMED, provider="malformed"),
]  # fmt: skip
PAUSED = Case("paused, then resumed", "bare", (R.PASS,))
CASES = [PAUSED, *ALONE, *DEPLOYS, *TOGETHER]


def policy_for(lab: Lab, directory: Path, rooms: dict[str, MailboxName]) -> Policy:
    """A configuration for these cases; fills `rooms`."""
    described = lab.description.as_json()
    plain = configuration(described, directory / "secret", directory / "state", "plain")
    tree = configuration(described, directory / "secret", directory / "state", "starttls")
    tree |= {
        "deadlines": {
            "overdue_floor": "1s",
            "late": f"{LATE}s",
            "missing": f"{MISSING}s",
            "give_up": f"{GIVE_UP}s",
            "watch_until": f"{WATCH}s",
        }
    }
    tree["watch"] = RAPID["watch"] | {"poll_every": "4s", "command_timeout": "4s"}
    tree["schedule"] = {"every": "1h", "jitter": "0%"}
    tree["submission"] = {"attempt_timeout": "4s", "retry_backoff": "1s", "retry_for": "6s", "unreachable_for": "2s"}
    boxes: dict[str, Any] = plain["mailboxes"]
    free = iter([name for name in boxes if name != "holding" and not name.startswith(SPECIAL)])
    wanted = {"stranger": boxes[next(free)], "holding": boxes["holding"]}
    wanted["bounces"] = boxes["holding"] | {"address": lab.bounces}
    for case in CASES:
        name = f"{case.provider}-1" if case.provider else next(free)
        rooms[case.key] = MailboxName(name)
        wanted[name] = boxes[name]
    bare, app = tree["paths"]["bare-smtp"], tree["paths"]["app"]
    second = {**bare, "port": lab.description.relay.tls, "security": "tls"}
    strict = {**bare, "require": {"spf": ["pass"], "dkim": ["pass"], "dmarc": ["pass"]}}
    tree["paths"] = {
        "bare": bare, "app": app, "second": second, "strict": strict, "tiny": {**bare, "daily_budget": 1},
        "dead-app": {**app, "url": "http://127.0.0.1:1/internal/refunds"},
    }  # fmt: skip
    tree["mailboxes"] = wanted
    tree["routes"] = [{"path": case.path, "mailbox": rooms[case.key]} for case in CASES]
    return load(write_configuration(tree, directory, PASSWORD), SystemSecrets()).policy


async def play_all(directory: Path) -> Run:
    special = tuple(replace(AURORA, domain=f"{name}.test") for name in SPECIAL)
    spec = LabSpec(PER_PROVIDER, (*DEFAULT_PROVIDERS, *special), PASSWORD, smtp_credentials=("canary", PASSWORD))
    async with Lab(spec) as lab:
        rooms: dict[str, MailboxName] = {}
        policy = policy_for(lab, directory, rooms)
        async with assembled(policy, exclusive=False) as app:
            run = Run(app, lab, rooms)
            app.journal.fold_into(run.entries.append)
            async with app.running(schedule=False):
                await app.plan.when_ready(policy.mailboxes)
                await one_after_the_other(run)
                stranger = str(policy.mailboxes[MailboxName("stranger")].address)
                async with asyncio.TaskGroup() as tasks:
                    for case in TOGETHER:
                        if case.fault is Fault.MISROUTE:
                            case = replace(case, params={"to": stranger})
                        tasks.create_task(run.play(case), name=case.key)
                await run.until(lambda: not app.desk.world.probes)  # every watch has ended: no revision is still to come
        return run


async def bounded(directory: Path) -> Run:
    """Never without an end; what did not come is named."""
    playing = asyncio.create_task(play_all(directory))
    done, _ = await asyncio.wait((playing,), timeout=WITHIN)
    if not done:
        open_cases = sorted(task.get_name() for task in asyncio.all_tasks() if " via " in task.get_name())
        playing.cancel()
        raise TimeoutError(f"not within {WITHIN:g} s: {open_cases}")
    return playing.result()


async def one_after_the_other(run: Run) -> None:
    clock = run.app.desk.clock
    await run.app.journal.append([Paused(clock.now(), "ann", "")])
    waiting = await run.plan(PAUSED)
    await clock.sleep(0.5)
    run.while_paused = len(run.facts(Attempted, waiting)) + run.lab.relay.recipients_accepted
    await run.app.journal.append([Resumed(clock.now(), "ann")])
    for case in ALONE:
        assert case.fault is not None
        scope = Scope(path="shop" if case.path == "app" else "tls")
        await run.lab.switch_on(case.fault, scope)
        probe = await run.plan(case)
        await run.until(lambda probe=probe: run.facts(Judged, probe))  # type: ignore[misc]
        await run.lab.switch_off(case.fault, scope)
    for case in DEPLOYS:
        run.lab.deploy(case.name.removeprefix("deploy "))
        probe = await run.plan(case)
        await run.until(lambda probe=probe: run.facts(Accepted, probe))  # type: ignore[misc]
    run.lab.deploy("v1")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return asyncio.run(bounded(tmp_path_factory.mktemp("verdicts")))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.key)
def test_verdict(run: Run, case: Case) -> None:
    probe = run.probes[case.key][0]
    judged: list[Judged] = run.facts(Judged, probe)
    reasons = tuple(fact.reason for fact in judged)
    told = [(fact.reason.value, fact.explanation, fact.notes) for fact in judged]
    if case.anything:
        assert reasons in (case.verdicts, (Reason.PASS, *case.verdicts)), told
    else:
        assert reasons == case.verdicts, told
    assert [fact.revision for fact in judged] == list(range(len(judged)))
    assert all(fact.verdict is fact.reason.verdict and fact.evidence for fact in judged)
    decisive = judged[-1] if case.anything else judged[0]
    for word in case.words:
        assert word in decisive.explanation
    for note in case.notes:
        assert any(note in told for told in decisive.notes), decisive.notes
    if case.place:
        assert decisive.mailbox == case.place and decisive.folder == "INBOX"
    elif decisive.mailbox is not None:
        assert decisive.mailbox == run.rooms[case.key]
    assert len(run.facts(Attempted, probe)) >= case.attempts
    assert case.attempts > 1 or len(run.facts(Attempted, probe)) == 1


def test_no_case_left_a_stray_and_every_one_is_closed(run: Run) -> None:
    assert [entry.fact for entry in run.entries if isinstance(entry.fact, Stray)] == []
    assert len({fact.fact.probe for fact in run.entries if isinstance(fact.fact, ProbePlanned)}) == len(CASES) + 1


def test_paused_means_that_nothing_at_all_is_submitted(run: Run) -> None:
    assert run.while_paused == 0


def test_beyond_the_budget_nothing_is_submitted(run: Run) -> None:
    case = next(case for case in CASES if case.path == "tiny")
    first, second = run.probes[case.key]
    (judged,) = run.facts(Judged, second)
    assert judged.reason is Reason.BUDGET_EXHAUSTED and "path's budget of 1" in judged.explanation
    assert run.facts(Attempted, first) and not run.facts(Attempted, second)
    mine = [
        entry
        for entry in run.lab.relay.accepted
        if entry.recipient.split("+")[0] == run.address(case).split("@")[0] or entry.recipient == run.address(case)
    ]
    assert len(mine) == 1, "counted at the relay"


def test_the_relay_was_asked_once_for_each_message(run: Run) -> None:
    """No retry after a lost reply, whatever else went wrong."""
    for name in ("reply lost", "reply and message lost"):
        case = next(case for case in CASES if case.name == name)
        assert sum(entry.recipient == run.address(case) for entry in run.lab.relay.accepted) <= 1


@pytest.mark.parametrize("name", ["IMAP down", "IMAP locked", "IMAP hangs"])
def test_blind_mailboxes_were_said_to_be_blind_and_then_restored(run: Run, name: str) -> None:
    case = next(case for case in CASES if case.name == name)
    blind, restored = run.of_mailbox(WatchBlind, case), run.of_mailbox(WatchRestored, case)
    assert blind and len(restored) == 2
    assert restored[0].at.mono < blind[0].at.mono < restored[1].at.mono
    late = run.facts(Judged, run.probes[case.key][0])[1]
    assert any("no look at this folder separates" in note for note in late.notes), "blindness is no lateness"


def test_served_versions_are_stored(run: Run) -> None:
    versions = {
        case.name: run.facts(Judged, run.probes[case.key][0])[0].served_version for case in [*DEPLOYS, *TOGETHER] if case.path == "app"
    }
    assert versions["deploy v2"] == "v2" and versions["deploy v5"] == "v5" and versions["healthy"] == "v1"


def test_a_route_to_a_mailbox_that_is_no_seed_cannot_be_built(tmp_path: Path) -> None:
    secret = {"file": str(tmp_path / "secret")}
    tree = {
        "environment": "lab", "instance": "one", "signing": {"keys": [{"number": 1, "secret": secret}]},
        "paths": {"bare": {"kind": "smtp", "host": "127.0.0.1", "author": "refunds@shop.test"}},
        "mailboxes": {
            name: {"provider": "x", "address": f"{name}@box.test", "imap": {"host": "imap.test", "password": secret}}
            for name in ("seed", "store")
        },
    }  # fmt: skip
    tree["mailboxes"]["store"]["role"] = "holding"  # type: ignore[index]
    good = load(write_configuration(copy.deepcopy(tree), tmp_path, PASSWORD), SystemSecrets()).policy
    assert [route.mailbox for route in good.routes] == ["seed"] and len(good.seeds.addresses) == 1
    for mailbox in ("store", "nobody"):
        tree["routes"] = [{"path": "bare", "mailbox": mailbox}]  # type: ignore[assignment]
        with pytest.raises(SettingsError, match=mailbox):
            load(write_configuration(copy.deepcopy(tree), tmp_path, PASSWORD), SystemSecrets())
