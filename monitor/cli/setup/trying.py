"""Everything that was answered is tried with the pieces that the daemon uses: connect and log in, then one probe on every route."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from monitor.app import App, assembled, build_edges
from monitor.cli.check_config import PARALLEL, told
from monitor.cli.probe import OneShot
from monitor.cli.setup.answers import Server
from monitor.cli.setup.interview import VARIABLE
from monitor.model.mail import UNSAID, Authentication, BlindCause, Folder, Placement
from monitor.model.policy import MailboxPolicy, PathPolicy, Policy
from monitor.model.probe import MailboxName, Route
from monitor.model.submission import Misconfigured, Taken
from monitor.model.verdict import Reason, Verdict
from monitor.ports import Mailbox, MailboxError, Submitter
from monitor.rules import placement, plan
from monitor.views.probes import ProbeState, Seen

TAGGED_WITHIN = 60.0  # seconds until a probe to seed+token@ counts as missing
WITHIN = 120.0  # the same without the tag
SWEEP_AFTER = 2.0  # a person waits: look through all folders sooner than the daemon does
IDLE_FOR = 1.0
CLOCK_TOLERANCE = 2.0  # INTERNALDATE has whole seconds, and a mail takes some
_NOT_THERE = (BlindCause.UNREACHABLE, BlindCause.TIMEOUT, BlindCause.TLS)
_PORTS_OF = {"tls": 993, "starttls": 143, "plain": 143}
_AUTHSERV_ID = re.compile(r"[A-Za-z0-9._-]{1,253}")
# what a provider that refuses or loses plus-tags looks like
_OF_A_TAG = frozenset({Reason.REJECTED, Reason.BOUNCED, Reason.MISSING, Reason.MISROUTED, Reason.MAILBOX_BLIND})


@dataclass(frozen=True, slots=True)
class Trial:
    """What was tried: `relay`, `app`, a mailbox or a route; `about` names what must be answered anew when it failed."""

    about: str
    what: str
    verdict: Verdict
    detail: str
    no_spam_folder: str = ""  # the folders that there are, if that is what failed


Show = Callable[[Trial], None]


@dataclass(frozen=True, slots=True)
class Learnt:
    """What the probes showed of one mailbox. `said` None: nothing arrived, so nothing is known."""

    plus_tags: bool = True
    said: Authentication | None = None

    @property
    def authserv_id(self) -> str:
        """Who spoke in the topmost Authentication-Results; `*`: somebody without a name; empty: nobody."""
        if self.said is None or self.said == UNSAID:
            return ""
        if not self.said.authserv_id:
            return "*"
        return self.said.authserv_id if _AUTHSERV_ID.fullmatch(self.said.authserv_id) else ""


@dataclass(slots=True)
class Probed:
    trials: list[Trial] = field(default_factory=list)
    learnt: dict[MailboxName, Learnt] = field(default_factory=dict)


# --- connections ------------------------------------------------------------------------------------------------------


async def connect(
    policy: Policy, servers: Mapping[MailboxName, Sequence[Server]], show: Show
) -> tuple[list[Trial], dict[MailboxName, Server]]:
    """Reach every path and log in to every mailbox, several at a time; the trials, and the server that answered for each mailbox."""
    gate = asyncio.Semaphore(PARALLEL)
    edges = build_edges(policy)
    async with asyncio.TaskGroup() as tasks:
        paths = [tasks.create_task(_reach(policy.paths[name], way, gate, show)) for name, way in edges.submitters.items()]
        boxes = {name: tasks.create_task(_log_in(policy, box, servers[name], gate, show)) for name, box in policy.mailboxes.items()}
    found = {name: task.result() for name, task in boxes.items()}
    return [*(task.result() for task in paths), *(trial for trial, _ in found.values())], {
        name: server for name, (_, server) in found.items()
    }


async def _reach(path: PathPolicy, submitter: Submitter, gate: asyncio.Semaphore, show: Show) -> Trial:
    async with gate:
        try:
            outcome = await submitter.reach(path.attempt_timeout)
        finally:
            await submitter.close()
    match outcome:
        case Taken():
            verdict = Verdict.PASS
        case Misconfigured():
            verdict = Verdict.INCONCLUSIVE
        case _:
            verdict = Verdict.FAIL
    trial = Trial(path.name, f"path {path.name}", verdict, told(outcome))
    show(trial)
    return trial


async def _log_in(
    policy: Policy, box: MailboxPolicy, servers: Sequence[Server], gate: asyncio.Semaphore, show: Show
) -> tuple[Trial, Server]:
    """By the first server that is there; when none is, the trial tells of the first."""
    trials = []
    async with gate:
        for server in servers:
            there = replace(box, host=server.host, port=server.port or _PORTS_OF[server.security.value], security=server.security)
            mailbox = build_edges(replace(policy, paths={}, mailboxes={box.name: there})).mailboxes[box.name]
            trial, absent = await _open(there, mailbox)
            if not absent:
                show(trial)
                return trial, server
            trials.append(trial)
    first = trials[0]
    if len(trials) > 1:
        tried = ", ".join(server.host for server in servers)
        first = replace(first, detail=f"no IMAP server found (tried {tried}); name it with --imap HOST. The first: {first.detail}")
    show(first)
    return first, servers[0]


async def _open(box: MailboxPolicy, mailbox: Mailbox) -> tuple[Trial, bool]:
    """(what came of it, there is no server)."""
    what = f"mailbox {box.name}"
    try:
        folders = await mailbox.open()
        layout = placement.layout(folders, box.folders)
        if not layout.has_spam:
            names = ", ".join(repr(folder.name) for folder in folders[:20])
            mend = f"make one named Junk there, or name it in ${VARIABLE}MAILBOX_1_SPAM (1: the first mailbox)"
            return Trial(box.name, what, Verdict.INCONCLUSIVE, f"no spam folder among {names}; {mend}", no_spam_folder=names), False
        await mailbox.idle(IDLE_FOR)
    except MailboxError as error:
        detail = f"{error.cause.value}: {error.detail}" + (f"; {error.mend}" if error.mend else "")
        return Trial(box.name, what, Verdict.INCONCLUSIVE, detail), error.cause in _NOT_THERE
    finally:
        await mailbox.close()
    spam = next(folder.name for folder, where in layout.places if where is Placement.SPAM)
    return Trial(
        box.name, what, Verdict.PASS, f"{box.host}: logged in, {len(layout.places)} folders, spam is {spam!r}, waiting for news works"
    ), False


# --- probes -----------------------------------------------------------------------------------------------------------


async def probe(policy: Policy, show: Show) -> Probed:
    """One probe on every route, to seed+token@ first; where that does not arrive, once more without the tag."""
    result = Probed()
    states, blind = await _round(policy, dict.fromkeys(policy.routes, TAGGED_WITHIN))
    tagged = {route: state for route, state in states.items() if state.judged is not None and state.judged.reason in _OF_A_TAG}
    untagged: set[MailboxName] = set()
    if tagged:
        boxes = {name: replace(box, plus_tags=False) for name, box in policy.mailboxes.items()}
        second, more = await _round(replace(policy, mailboxes=boxes), dict.fromkeys(tagged, WITHIN))
        untagged = {route.mailbox for route, state in second.items() if state.own()}
        states, blind = {**states, **second}, {**blind, **more}
    for route in policy.routes:
        state = states.get(route)
        trial = _verdict(route, state) if state is not None else Trial(route.mailbox, str(route), Verdict.INCONCLUSIVE, blind[route])
        show(trial)
        result.trials.append(trial)
        copy = state.own()[0] if state is not None and state.own() else None
        known = result.learnt.get(route.mailbox)
        if copy is not None and (known is None or known.said is None):
            result.learnt[route.mailbox] = Learnt(route.mailbox not in untagged, copy.fact.auth)
    return result


async def _round(policy: Policy, within: Mapping[Route, float]) -> tuple[dict[Route, ProbeState], dict[Route, str]]:
    """(the probes of these routes, to their end; why the other routes could not be probed). What arrived is taken away again."""
    routes = {
        route: replace(policy.routes[route], deadlines=plan.proven_by(seconds, policy.routes[route].deadlines))
        for route, seconds in within.items()
    }
    eager = replace(policy, routes=routes, watch=replace(policy.watch, sweep_after=min(policy.watch.sweep_after, SWEEP_AFTER)))
    async with assembled(eager, exclusive=True) as app:
        shot = OneShot(app)
        async with app.running(schedule=False):
            await shot.run()
    await _tidy(app, shot.states)
    blind = {}
    for route in shot.blind:
        why = app.desk.world.mailbox(route.mailbox).blind
        blind[route] = f"nothing was sent: {why.cause.value}: {why.detail}; {why.mend}" if why else "nothing was sent"
    return {state.plan.route: state for state in shot.states}, blind


async def _tidy(app: App, states: Sequence[ProbeState]) -> None:
    """Delete our probes, which have been judged: the daemon to come would meet them as another instance's. What cannot be deleted stays."""
    lying: dict[MailboxName, list[Seen]] = {}
    for state in states:
        for seen in state.own():
            lying.setdefault(seen.fact.mailbox, []).append(seen)
    mailboxes = build_edges(app.desk.policy).mailboxes
    for name, copies in lying.items():
        with suppress(MailboxError):
            await _delete(mailboxes[name], copies)
        await mailboxes[name].close()


async def _delete(mailbox: Mailbox, copies: Sequence[Seen]) -> None:
    folders: dict[str, Folder] = {folder.name: folder for folder in await mailbox.open()}
    for seen in copies:
        if folder := folders.get(seen.fact.folder):
            await mailbox.remove(folder, seen.fact.uidvalidity, [seen.fact.uid])


def _verdict(route: Route, state: ProbeState) -> Trial:
    judged = state.judged
    if judged is None:
        return Trial(route.mailbox, f"probe {route}", Verdict.INCONCLUSIVE, "no verdict")
    about = (
        route.path
        if judged.reason in (Reason.REJECTED, Reason.DEFERRED, Reason.SUBMIT_UNREACHABLE, Reason.SUBMIT_MISCONFIGURED)
        else route.mailbox
    )
    said = [judged.explanation if judged.verdict is Verdict.PASS else f"{judged.reason.value}: {judged.explanation}", *judged.notes]
    if copies := state.own():
        said.append(clock(copies[0], state))
    return Trial(about, f"probe {route}", judged.verdict, "; ".join(said))


def clock(copy: Seen, state: ProbeState) -> str:
    """The server's clock (INTERNALDATE) beside ours."""
    stamped, attempt = copy.first.internaldate, state.first_attempt
    if stamped is None or attempt is None:
        return "its clock is not known"
    ahead, behind = stamped - copy.first.at.utc, attempt.utc - stamped
    if max(ahead, behind) <= CLOCK_TOLERANCE:
        return "its clock agrees with ours"
    return f"its clock is {ahead:.0f} s ahead of ours" if ahead > behind else f"its clock is {behind:.0f} s behind ours"
