"""The section `ledger:` -> its policy; and what in it contradicts itself."""

from __future__ import annotations

import hashlib
from types import MappingProxyType

from monitor.model.ledger import Side
from monitor.model.policy import FolderNames, LoginMethod, MailboxPolicy, Role, Security
from monitor.model.probe import MailboxName
from monitor.model.secret import SecretSource
from monitor.model.sources import (
    FileFormat,
    FilesSource,
    Layout,
    LedgerPages,
    LedgerPolicy,
    MailboxSource,
    Match,
    PostfixSource,
    PushSource,
    SourcePolicy,
    SqlSource,
)
from monitor.settings.addresses import loopback
from monitor.settings.faults import KeyPath
from monitor.settings.ledger_shape import (
    MOST_SOURCES,
    ConfirmationSourceShape,
    FilesShape,
    JournalMailboxShape,
    LedgerShape,
    PostfixShape,
    PushShape,
    SqlShape,
)
from monitor.settings.pointed import Pointed
from monitor.settings.report import Report

MIN_KEY_BYTES = 16
TEMPLATE_FILES = ("subject.txt", "message.txt")
_PUSHED_EVERY = 60.0  # seconds: what is pushed comes by itself; its watermark moves on
_JSONL = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
_IMAP_PORTS = {Security.TLS: 993, Security.STARTTLS: 143, Security.PLAIN: 143}


def ledger_policy(shape: LedgerShape, at: Pointed, report: Report) -> LedgerPolicy:
    """What the section points to is looked at now."""
    sources = [
        SourcePolicy(name, side, _via(one, at, ("ledger", side.value, name), report), getattr(one, "every", _PUSHED_EVERY), one.lag)
        for side, written in ((Side.REFUNDS, shape.refunds), (Side.CONFIRMATIONS, shape.confirmations))
        for name, one in written.items()
    ]
    return LedgerPolicy(
        match=shape.match,
        key=_key(shape, at, report),
        sources=MappingProxyType({source.name: source for source in sources}),
        confirm_within=shape.confirm_within,
        refund_within=shape.refund_within,
        every=shape.every,
        retention=shape.retention,
        pages=LedgerPages(shape.page.missing, shape.page.spurious, shape.page.mismatched, shape.page.duplicate),
        volume=shape.volume,
        copies=tuple(address.base for address in shape.copies),
    )


def check_ledger(shape: LedgerShape, report: Report) -> None:
    """Keys that contradict each other."""
    for name in sorted(set(shape.refunds) & set(shape.confirmations)):
        report.fault(("ledger", "confirmations", name), "is the name of a source of refunds too", "give each source a name of its own")
    if bool(shape.refunds) is not bool(shape.confirmations):
        there, missing = ("refunds", "confirmations") if shape.refunds else ("confirmations", "refunds")
        report.fault(("ledger", there), f"has nothing to be compared with: ledger.{missing} names no source", f"write {missing}: ...")
    if shape.refunds and shape.key is None:
        report.fault(("ledger",), "has no key", "write key: {file: secrets/ledger-key}; make one with: openssl rand -hex 32")
    if len(shape.refunds) + len(shape.confirmations) > MOST_SOURCES:
        report.fault(("ledger",), f"names more than {MOST_SOURCES} sources", "put what comes from one place into one")
    if shape.retention < 2 * max(shape.confirm_within, shape.refund_within):
        report.fault(("ledger", "retention"), "forgets refunds before they are judged", "make it longer than twice confirm_within")
    for side, written in (("refunds", shape.refunds), ("confirmations", shape.confirmations)):
        for name, one in written.items():
            _check_source(("ledger", side, name), one, shape, report)


def _check_source(at: KeyPath, shape: ConfirmationSourceShape, ledger: LedgerShape, report: Report) -> None:
    if isinstance(shape, JournalMailboxShape):
        if shape.number is None and shape.templates is None:
            report.fault(at, "says nothing about where the number stands", "write number: '...(...)...', or templates: DIRECTORY")
        if shape.number is not None and shape.templates is not None:
            report.fault((*at, "templates"), "stands beside number", "keep one of them")
        if shape.imap.security is Security.PLAIN and not loopback(shape.imap.host):
            report.fault((*at, "imap", "security"), "plain would show the password to the network", "write security: tls or starttls")
        token_program = shape.imap.password.source is SecretSource.COMMAND and shape.imap.login is not LoginMethod.XOAUTH2
        if token_program:
            what = "is printed by a program, which only an access token may be"
            report.fault((*at, "imap", "password"), what, "write {env: NAME} or {file: PATH}, or login: xoauth2 beside it")
    if isinstance(shape, FilesShape | SqlShape | PushShape):
        columns = [column.strip().lower() for column in shape.columns.values()]
        for field, column in shape.columns.items():
            if columns.count(column.strip().lower()) > 1:
                report.fault((*at, "columns", field), f"is read from {column}, as another field is", "give each field its own column")
        if at[1] == "refunds" and ledger.match is Match.ORDER and shape.columns.get("refund") and not shape.columns.get("order"):
            report.note((*at, "columns"), "names no order, by which refunds are matched here", "write order: ..., or match: refund")


def _via(
    shape: ConfirmationSourceShape, at: Pointed, path: KeyPath, report: Report
) -> FilesSource | SqlSource | PostfixSource | MailboxSource | PushSource:
    match shape:
        case FilesShape():
            written = shape.format or (FileFormat.JSONL if shape.path.lower().endswith(_JSONL) else FileFormat.CSV)
            return FilesSource(str(at.absolute(shape.path)), written, _layout(shape), shape.complete)
        case SqlShape():
            url = at.secret(shape.url, (*path, "url")) or shape.url
            return SqlSource(url, shape.query, shape.watermark, shape.start, shape.overlap, _layout(shape))
        case PostfixShape():
            return PostfixSource(str(at.absolute(shape.path)), shape.number, shape.within, shape.time_zone, shape.sender or "")
        case JournalMailboxShape():
            return _journal(shape, at, path, report)
        case PushShape():
            return PushSource(_layout(shape))


def _layout(shape: FilesShape | SqlShape | PushShape) -> Layout:
    return Layout(
        columns=MappingProxyType(dict(shape.columns)),
        delimiter=getattr(shape, "delimiter", None) or "",
        decimal=shape.decimal,
        minor_units=shape.minor_units,
        negative=shape.negative,
        currency=shape.currency or "",
        time_zone=shape.time_zone,
        time_format=shape.time_format or "",
        statuses=MappingProxyType({word.strip().lower(): status for word, status in shape.statuses.items()}),
    )


def _journal(shape: JournalMailboxShape, at: Pointed, path: KeyPath, report: Report) -> MailboxSource:
    imap = shape.imap
    mailbox = MailboxPolicy(
        name=MailboxName(str(path[-1])),
        role=Role.HOLDING,  # only looked at: nothing is submitted to it or removed from it
        provider="",
        address=shape.address,
        host=imap.host,
        port=imap.port or _IMAP_PORTS[imap.security],
        security=imap.security,
        ca_file=at.ca_file(imap.ca_file, (*path, "imap", "ca_file")),
        username=imap.username or str(shape.address),
        password=at.secret(imap.password, (*path, "imap", "password")) or imap.password,
        login=imap.login,
        folders=FolderNames(shape.folders.spam, shape.folders.tabs, shape.folders.ignore),
        authserv_ids=(),
        plus_tags=True,
        clean_up=False,
        clean_up_after=0.0,
        daily_budget=0,
    )
    return MailboxSource(
        mailbox=mailbox,
        number=shape.number or "",
        amount=shape.amount or "",
        decimal=shape.decimal,
        currency=shape.currency or "",
        resend=shape.resend or "",
        subject=shape.subject or "",
        template=_templates(shape.templates, at, (*path, "templates"), report) if shape.templates else "",
    )


def _templates(name: str, at: Pointed, path: KeyPath, report: Report) -> str:
    if not at.absolute(name).is_dir():
        report.fault(path, f"{at.absolute(name)} is no directory", f"it must hold {' and '.join(TEMPLATE_FILES)}")
        return ""
    return "\n".join(at.read(f"{name}/{file}", path) or "" for file in TEMPLATE_FILES)


def _key(shape: LedgerShape, at: Pointed, report: Report) -> bytes:
    """Of one length, whatever is written: BLAKE2 takes no more than 64 bytes."""
    if shape.key is None:
        return b""
    at.secret(shape.key, ("ledger", "key"))
    value = at.value(shape.key)
    if value is not None and len(value.encode()) < MIN_KEY_BYTES:
        report.fault(("ledger", "key"), f"is shorter than {MIN_KEY_BYTES} bytes", "make one with: openssl rand -hex 32")
    return hashlib.sha256(value.encode()).digest() if value else b""
