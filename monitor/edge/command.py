"""Submission through a program of the shop's (docs/app-contract.md), run once per probe."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import Mapping

from monitor.edge import program
from monitor.edge.program import MAX_OUT, Ran
from monitor.edge.reply import at_pointer, clean, json_document, shapes
from monitor.edge.secret import fetch
from monitor.model.address import SeedList
from monitor.model.policy import CommandPath, PathPolicy
from monitor.model.secret import SecretRef
from monitor.model.submission import (
    CommandSubmission,
    Declined,
    Misconfigured,
    Outcome,
    Postponed,
    Reply,
    Step,
    Submission,
    Taken,
    Unanswered,
    Unreached,
)
from monitor.ports import SecretError, Secrets

CONCURRENT = 4  # programs at a time

# sysexits.h; 126 and 127 are what shells and env say of a program that they cannot run
_TRY_LATER = os.EX_TEMPFAIL
_NOT_THERE = os.EX_UNAVAILABLE
_OURS = frozenset({os.EX_USAGE, os.EX_CONFIG, 126, 127})
_PASSES = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ETXTBSY})


class _Ended(Exception):
    """The attempt has its outcome."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(type(outcome).__name__)
        self.outcome = outcome


class CommandSubmitter:
    """ports.Submitter for one program. Its environment is PATH and what the configuration gives it, secrets read at each run."""

    def __init__(self, policy: PathPolicy, seeds: SeedList, secrets: Secrets, environ: Mapping[str, str] | None = None) -> None:
        if not isinstance(policy.via, CommandPath):
            raise TypeError(f"path {policy.name} is no command path")
        self._via = policy.via
        self._seeds = seeds
        self._secrets = secrets
        self._path = (os.environ if environ is None else environ).get("PATH", os.defpath)
        self._slots = asyncio.Semaphore(CONCURRENT)

    async def submit(self, submission: Submission, deadline: float) -> Outcome:
        if not isinstance(submission, CommandSubmission):
            raise TypeError("a command path takes input for a program")
        self._seeds.admit(submission.recipient)
        loop = asyncio.get_running_loop()
        end = loop.time() + deadline
        late = Unreached(Step.CONNECT, f"the program was not started within {deadline:g} s")
        try:
            async with asyncio.timeout_at(end):
                await self._slots.acquire()
        except TimeoutError:
            return late
        try:
            async with asyncio.timeout_at(end):
                environment, hidden = await self._environment()
            ran = await program.run(self._via.argv, environment, submission.body, end - loop.time())
        except _Ended as ended:
            return ended.outcome
        except TimeoutError:
            return late
        except (OSError, ValueError) as failure:
            return self._not_started(failure)
        finally:
            self._slots.release()
        return self._outcome(ran, hidden, deadline)

    async def reach(self, deadline: float) -> Outcome:
        """Is there such a program, and are its secrets readable? It is not run: we know of no harmless way (docs/app-contract.md)."""
        try:
            async with asyncio.timeout(deadline):
                environment, _ = await self._environment()
        except _Ended as ended:
            return ended.outcome
        except TimeoutError:
            return Unreached(Step.CONNECT, f"its secrets were not read within {deadline:g} s")
        try:
            found = shutil.which(self._via.argv[0], path=environment["PATH"])
        except ValueError:  # a NUL
            found = None
        if found is None:
            return self._missing("is no program that we may run")
        return Taken(Reply(200, clean(f"{found} can be run; no refund was asked for")))

    async def close(self) -> None:
        """Nothing is kept between two runs."""

    async def _environment(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """(all that the program gets, what must not show when it echoes it)."""
        environment = {"PATH": self._path}
        secrets = []
        for name, value in self._via.environment.items():
            if isinstance(value, SecretRef):
                try:
                    environment[name] = await fetch(self._secrets, value)
                except SecretError as error:
                    raise _Ended(Misconfigured(Step.AUTH, clean(str(error)), f"make the secret {value} readable")) from None
                secrets.append(environment[name])
            else:
                environment[name] = value
            if "\0" in environment[name]:  # checked here because the system's own complaint may quote the value
                raise _Ended(Misconfigured(Step.CONNECT, f"environment variable {name} contains NUL", f"mend {name} in environment"))
        return environment, shapes(*secrets)

    def _not_started(self, failure: OSError | ValueError) -> Outcome:
        if isinstance(failure, OSError) and failure.errno in _PASSES:
            return Unreached(Step.CONNECT, clean(f"cannot start {self._via.argv[0]}: {failure.strerror}"))
        why = failure.strerror if isinstance(failure, OSError) else "a NUL in it"
        return self._missing(f"cannot be started: {why}")

    def _missing(self, why: str) -> Misconfigured:
        mend = "let command of this path begin with a program that exists, is executable, and whose interpreter exists"
        return Misconfigured(Step.CONNECT, clean(f"{self._via.argv[0]} {why}"), mend)

    def _outcome(self, ran: Ran, hidden: tuple[str, ...], deadline: float) -> Outcome:
        if ran.code is None:
            return Unanswered(Step.REQUEST, f"the program did not end within {deadline:g} s and was killed")
        said = clean(ran.last_words, hidden) or "it says nothing on stderr"
        if ran.code < 0:
            return Unanswered(Step.REQUEST, f"the program was killed by signal {-ran.code}: {said}")
        reply, detail = Reply(ran.code, f"(exit code) {said}"), f"exit code {ran.code}: {said}"
        match ran.code:
            case os.EX_OK:
                return self._taken(ran, hidden)
            case code if code == _TRY_LATER:
                return Postponed(Step.REQUEST, reply)
            case code if code == _NOT_THERE:
                return Unreached(Step.CONNECT, detail)
            case code if code in _OURS:
                secrets = ", ".join(str(value) for value in self._via.environment.values() if isinstance(value, SecretRef))
                mend = f"check command, input and environment of this path{f', and the secret {secrets}' if secrets else ''}"
                return Misconfigured(Step.REQUEST, detail, mend)
            case _:
                return Declined(Step.REQUEST, reply)

    def _taken(self, ran: Ran, hidden: tuple[str, ...]) -> Taken:
        via = self._via
        document = None if ran.out_cut else json_document(ran.out)
        refund, version = (at_pointer(document, place) if place is not None else "" for place in (via.refund_id, via.version))
        notes = [
            f"[no {what} at {place} of the answer]"
            for what, place, found in (("refund id", via.refund_id, refund), ("served version", via.version, version))
            if place is not None and not found
        ]
        text = f"[stdout is longer than {MAX_OUT} bytes and was not read]" if ran.out_cut else ran.out.decode("utf-8", "replace")
        return Taken(
            reply=Reply(200, clean(" ".join([*notes, text]), hidden) or "exit code 0"),
            app_refund_id=clean(refund, hidden),
            served_version=clean(version, hidden),
        )
