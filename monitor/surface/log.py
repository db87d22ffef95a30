"""Log lines: what a person wants to read of the facts. JSON, or text on a terminal. No address, no refund number, no secret."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import TextIO

from monitor.model.facts import (
    Baselined,
    ClockJumped,
    Deferred,
    DeployMarked,
    Doubted,
    Entry,
    Fact,
    Foreign,
    ForeignKind,
    GateCancelled,
    GateDecided,
    GateOverridden,
    GateRequested,
    Imitated,
    Judged,
    LedgerPurged,
    Noted,
    Notified,
    NotifyFailed,
    Paused,
    Reloaded,
    ReloadRefused,
    ResolveAsked,
    Resumed,
    Silenced,
    SilenceEnded,
    SilencePlanned,
    SourceBlind,
    SourceRestored,
    Started,
    Stray,
    SubmitError,
    SubmitUnknown,
    Transition,
    Tripped,
    Unasked,
    WatchBlind,
    WatchRestored,
    ZoneObserved,
)
from monitor.model.incident import DeployPhase, Phase, Severity
from monitor.model.instant import Instant
from monitor.model.verdict import Verdict
from monitor.rules.plain import plain
from monitor.surface.gate.safe import LONGEST_NAME, safe
from monitor.views.incidents import word_of
from monitor.views.ledger import STORE


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class Level(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


Line = tuple[Level, str, str, dict[str, str]]  # level, event, message, fields


class Log:
    """Writes one line per notable fact to `out`; `say` is for what is no fact."""

    def __init__(self, form: LogFormat, environment: str, now: Callable[[], str], out: TextIO = sys.stderr) -> None:
        self._form = form
        self._environment = environment
        self._now = now
        self._out = out

    def tell(self, entry: Entry) -> None:
        if entry.fact is not None and (line := describe(entry.fact)) is not None:
            self._write(entry.fact.at.iso(), line)

    def say(self, level: Level, event: str, message: str) -> None:
        self._write(self._now(), (level, event, message, {}))

    def _write(self, at: str, line: Line) -> None:
        level, event, message, fields = line
        message = plain(message)
        if self._form is LogFormat.JSON:
            record = {"ts": at, "level": level.value, "event": event, "msg": message, "service": "mailcanary"}
            text = json.dumps({**record, "environment": self._environment, **fields})
        else:
            text = f"{at} {level.value:<7} {message}"
        with contextlib.suppress(OSError, ValueError):  # a log that nobody takes any more (EPIPE, a full disk, closed) stops no watch
            print(text, file=self._out, flush=True)


def describe(fact: Fact) -> Line | None:
    """The line about a fact; None where it is routine."""
    match fact:
        case Judged():
            level = {Verdict.PASS: Level.INFO, Verdict.FAIL: Level.ERROR, Verdict.ERROR: Level.ERROR}.get(fact.verdict, Level.WARNING)
            revision = f" (revision {fact.revision})" if fact.revision else ""
            text = f"{fact.route}: {fact.verdict.value.upper()} {fact.reason.value}{revision}: {fact.explanation}"
            return level, "judged", text, {"route": str(fact.route), "probe_id": fact.probe, "result": fact.reason.value}
        case WatchBlind():
            text = f"{fact.mailbox}: blind, {fact.cause.value}: {fact.detail}" + (f"; {fact.mend}" if fact.mend else "")
            return Level.WARNING, "watch_blind", text, {"mailbox": fact.mailbox}
        case WatchRestored():
            return Level.INFO, "watch_restored", f"{fact.mailbox}: watching {fact.folders} folders", {"mailbox": fact.mailbox}
        case ZoneObserved() if fact.blind:
            return Level.WARNING, "zone_blind", f"{fact.domain}: nothing can be said about its DNS: {fact.blind}", {"domain": fact.domain}
        case Baselined():
            text = f"{fact.domain}: its zone was approved by {fact.by}{f': {fact.note}' if fact.note else ''}"
            return Level.INFO, "baselined", text, {"domain": fact.domain}
        case Deferred():
            again = f"again in {fact.retry_in:.0f} s" if fact.retry_in is not None else "giving up"
            return Level.INFO, "deferred", f"probe {fact.probe}: deferred ({fact.reply}), {again}", {"probe_id": fact.probe}
        case SubmitError():
            text = f"probe {fact.probe}: {fact.fault.value}: {fact.detail}" + (f"; {fact.mend}" if fact.mend else "")
            return Level.WARNING, "submit_error", text, {"probe_id": fact.probe}
        case SubmitUnknown():
            return Level.WARNING, "submit_unknown", f"probe {fact.probe}: {fact.detail}", {"probe_id": fact.probe}
        case Stray():
            return Level.WARNING, "stray", f"{fact.mailbox}: stray refund mail in {fact.folder!r}: {fact.why}", {"mailbox": fact.mailbox}
        case Foreign(kind=ForeignKind.ENVIRONMENT | ForeignKind.FORGED):
            text = f"{fact.mailbox}: a token of kind {fact.kind.value} in {fact.folder!r}"
            return Level.WARNING, "foreign", text, {"mailbox": fact.mailbox}
        case ClockJumped():
            return Level.WARNING, "clock_jumped", f"the clock stepped by {fact.seconds:+.1f} s", {}
        case Paused():
            return Level.WARNING, "paused", f"submission paused by {fact.by}: {fact.reason}", {}
        case Resumed():
            return Level.INFO, "resumed", f"submission resumed by {fact.by}", {}
        case Started():
            return Level.INFO, "started", f"mailcanary {fact.version} started", {}
        case Reloaded():
            changes = "; ".join(fact.changes) or "nothing changed"
            return Level.INFO, "reloaded", f"the configuration was reloaded: {changes}", {"policy_hash": fact.policy_hash}
        case ReloadRefused():
            return Level.ERROR, "reload_refused", f"the configuration was not reloaded, the one before is in force: {fact.why}", {}
        case DeployMarked():
            return Level.INFO, "deploy_marked", _deploy(fact), {"deploy_id": safe(fact.deploy, LONGEST_NAME), "phase": fact.phase.value}
        case Doubted():
            text = f"{fact.mailbox}: refund mail that claims to be of {fact.author_domain}: {'; '.join(fact.evidence)}"
            return Level.WARNING, "doubted", text, {"mailbox": fact.mailbox}
        case Imitated():
            more = f" (and {fact.more} before it)" if fact.more else ""
            text = f"{fact.mailbox}: refund mail that imitates ours{more}: {'; '.join(fact.evidence)}"
            return Level.WARNING, "imitated", text, {"mailbox": fact.mailbox}
        case Unasked():
            more = f" (and {fact.more} before it)" if fact.more else ""
            text = f"{fact.mailbox}: mail of {fact.author_domain or 'nobody'} in a tripwire{more}: its address is known outside"
            return Level.INFO, "unasked", text, {"mailbox": fact.mailbox}
        case Tripped():
            text = f"{fact.mailbox}: refund mail of {fact.author_domain} in a mailbox that must never get any: {'; '.join(fact.evidence)}"
            return Level.ERROR, "tripped", text, {"mailbox": fact.mailbox}
        case SourceBlind() | SourceRestored() | LedgerPurged():
            return _of_ledger(fact)
        case GateRequested() | GateDecided() | GateCancelled() | GateOverridden():
            return _of_gate(fact)
        case SilencePlanned() | SilenceEnded():
            return _of_silence(fact)
        case Transition() | Notified() | NotifyFailed() | Silenced() | ResolveAsked() | Noted():
            return _of_incident(fact)
        case _:
            return None


DID = {DeployPhase.START: "starts", DeployPhase.FINISH: "has finished", DeployPhase.ROLLBACK: "is rolled back"}


def _deploy(fact: DeployMarked) -> str:
    of = " ".join(safe(part, LONGEST_NAME) for part in (fact.service, fact.version) if part)
    by = f", says {safe(fact.by, LONGEST_NAME)}" if fact.by else ""
    return f"deploy {safe(fact.deploy, LONGEST_NAME)}{f' ({of})' if of else ''} {DID[fact.phase]}{by}"


def _of_ledger(fact: SourceBlind | SourceRestored | LedgerPurged) -> Line:
    match fact:
        case SourceBlind():
            text = f"{_source(fact.source)}: cannot be read: {fact.detail}" + (f"; {fact.mend}" if fact.mend else "")
            return Level.WARNING, "source_blind", text, {"source": fact.source}
        case SourceRestored():
            return Level.INFO, "source_restored", f"{_source(fact.source)}: is read again", {"source": fact.source}
        case LedgerPurged():
            gone = f"{fact.purged.refunds} refunds, {fact.purged.confirmations} confirmations, {fact.purged.differences} differences"
            what = "of one recipient" if fact.purge.recipient else "of before a day"
            return Level.INFO, "ledger_purged", f"the ledger store forgot what it had {what}, asked by {safe(fact.by)}: {gone}", {}


def _source(name: str) -> str:
    return "the ledger store" if name == STORE else f"source {name} of the ledger"


def _of_gate(fact: GateRequested | GateDecided | GateCancelled | GateOverridden) -> Line:
    fields = {"gate_id": str(fact.gate)}
    match fact:
        case GateRequested():
            of = " ".join(safe(part, LONGEST_NAME) for part in (fact.service, fact.version) if part)
            until = Instant(fact.advisory_until, 0.0, "").iso()
            advisory = f", advisory until {until}" if fact.advisory_until > fact.at.utc else ""
            text = f"{fact.gate}: attempt {fact.attempt} begins for deploy {safe(fact.deploy, LONGEST_NAME)}{f' ({of})' if of else ''}"
            text += f", policy {safe(fact.policy.name, LONGEST_NAME)}{advisory}, asked by {safe(fact.by, LONGEST_NAME) or 'nobody named'}"
            return Level.INFO, "gate_requested", text, {**fields, "deploy_id": safe(fact.deploy, LONGEST_NAME)}
        case GateDecided():
            level = {Verdict.PASS: Level.INFO, Verdict.FAIL: Level.ERROR, Verdict.ERROR: Level.ERROR}.get(fact.verdict, Level.WARNING)
            deploy = safe(fact.deploy, LONGEST_NAME)
            text = f"{fact.gate}: {fact.verdict.value.upper()} for deploy {deploy}, {fact.because.value}: {safe(fact.reason)}"
            return level, "gate_decided", text, {**fields, "deploy_id": deploy, "verdict": fact.verdict.value}
        case GateCancelled():
            return Level.INFO, "gate_cancelled", f"{fact.gate}: cancelled by {safe(fact.by, LONGEST_NAME)}: {safe(fact.reason)}", fields
        case GateOverridden():
            until = Instant(fact.until, 0.0, "").iso()
            text = f"{fact.gate}: passes by override of {safe(fact.by, LONGEST_NAME)} until {until}: {safe(fact.reason)}"
            return Level.WARNING, "gate_overridden", text, fields


def _of_incident(fact: Transition | Notified | NotifyFailed | Silenced | ResolveAsked | Noted) -> Line:
    fields = {"incident_id": str(fact.incident)}
    match fact:
        case Transition():
            return _transition(fact)
        case Notified():
            return Level.INFO, "notified", f"{fact.incident}: {fact.channel} took the notice on attempt {fact.attempt}", fields
        case NotifyFailed():
            what = "is given up" if fact.retry_in is None else f"did not take the notice, again in {fact.retry_in:.0f} s"
            text = f"{fact.incident}: {fact.channel} {what}: {fact.detail}" + (f"; {fact.mend}" if fact.mend else "")
            return Level.ERROR if fact.retry_in is None else Level.WARNING, "notify_failed", text, {**fields, "channel": fact.channel}
        case Silenced() if fact.until <= fact.at.utc:
            return Level.INFO, "unsilenced", f"{fact.incident}: no longer silenced, says {fact.by}: {fact.reason}", fields
        case Silenced():
            text = f"{fact.incident}: silenced by {fact.by} until {Instant(fact.until, 0.0, '').iso()}: {fact.reason}"
            return Level.WARNING, "silenced", text, fields
        case ResolveAsked():
            return Level.INFO, "resolve_asked", f"{fact.incident}: over, says {fact.by}: {fact.reason}", fields
        case Noted():
            return Level.INFO, "noted", f"{fact.incident}: {fact.by}: {fact.text}", fields


def _of_silence(fact: SilencePlanned | SilenceEnded) -> Line:
    fields = {"silence_id": str(fact.silence)}
    match fact:
        case SilencePlanned():
            what = " and ".join(", ".join(map(str, each)) for each in (fact.scopes, fact.symptoms) if each) or "everything"
            when = f"{Instant(fact.begins, 0.0, '').iso()} to {Instant(fact.until, 0.0, '').iso()}"
            return Level.WARNING, "silence_planned", f"{fact.silence}: {what} silenced by {fact.by}, {when}: {fact.reason}", fields
        case SilenceEnded():
            return Level.INFO, "silence_ended", f"{fact.silence}: ended by {fact.by}: {fact.reason}", fields


def _transition(fact: Transition) -> Line:
    """What pages is an error, what makes a ticket a warning; suspicions, recovery and what people did are information."""
    match fact.phase:
        case Phase.OPENED | Phase.GROWN | Phase.FLAPPING | Phase.RELAPSED:
            level = Level.ERROR if fact.severity is Severity.PAGE else Level.WARNING
        case Phase.SUSPECTED | Phase.CLEARED | Phase.ACKNOWLEDGED | Phase.RECOVERING | Phase.SILENCED | Phase.RESOLVED:
            level = Level.INFO
    told = "; ".join(part for part in (fact.diagnosis.summary if fact.diagnosis else "", fact.note) if part)
    by = f" by {fact.by}" if fact.by else ""
    text = f"{fact.incident} {word_of(fact)}{by} ({fact.severity.value}, {fact.symptom.value}, {fact.scope})" + (
        f": {told}" if told else ""
    )
    fields = {"incident_id": str(fact.incident), "phase": fact.phase.value, "severity": fact.severity.value, "symptom": fact.symptom.value}
    return level, "incident", text, fields
