"""Validated settings -> frozen policies. Reads what they point to: secrets, CA files, templates."""

from __future__ import annotations

from collections.abc import Set
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from monitor.model.policy import (
    Access,
    Demand,
    FolderNames,
    HttpPath,
    KeyRing,
    ListenPolicy,
    Locale,
    MailboxPolicy,
    MailIdentity,
    PathPolicy,
    Policy,
    RetentionPolicy,
    Role,
    RoutePolicy,
    SecretRef,
    SecretSource,
    Security,
    SigningKey,
    SmtpPath,
    Templates,
    WatchPolicy,
)
from monitor.model.probe import MailboxName, PathName, Route
from monitor.ports import SecretError, Secrets
from monitor.settings.digest import digest
from monitor.settings.faults import KeyPath
from monitor.settings.mail_shape import HttpShape, LocaleShape, MailboxShape, SmtpShape
from monitor.settings.report import Report
from monitor.settings.routes import PlannedRoute, path_budget
from monitor.settings.scalars import duration
from monitor.settings.shape import Settings

MIN_KEY_BYTES = 16
MAX_FILE = 1 << 20
BUILT_IN = files("monitor").joinpath("rules", "templates")  # package data; no import of monitor.rules
TEMPLATE_FILES = ("subject.txt", "message.txt", "message.html")
_RETRY_FOR = duration("35m") or 0.0
_SMTP_PORTS = {Security.TLS: 465, Security.STARTTLS: 587, Security.PLAIN: 25}
_IMAP_PORTS = {Security.TLS: 993, Security.STARTTLS: 143, Security.PLAIN: 143}


class Maker:
    """Makes the policy of one file; faults go to the report."""

    def __init__(self, settings: Settings, base: Path, secrets: Secrets, report: Report) -> None:
        self._settings = settings
        self._base = base
        self._secrets = secrets
        self._report = report
        self._values: dict[SecretRef, str | SecretError] = {}

    def policy(self, routes: tuple[PlannedRoute, ...], broken: Set[KeyPath]) -> Policy:
        settings = self._settings
        keys = () if ("signing",) in broken else tuple(self._keys())
        paths = {PathName(name): self._path(PathName(name), routes) for name in settings.paths}
        boxes = {MailboxName(name): self._mailbox(MailboxName(name), box) for name, box in settings.mailboxes.items()}
        made: dict[Route, RoutePolicy] = {}
        for one in routes:
            short = digest(paths[one.route.path], boxes[one.route.mailbox], one.deadlines)
            made[one.route] = RoutePolicy(one.route, one.every, one.jitter, one.deadlines, short)
        tokens = {role: self._secret(getattr(settings.listen.tokens, role.value), ("listen", "tokens", role.value)) for role in Access}
        listen = ListenPolicy(settings.listen.host, settings.listen.port, {role: ref for role, ref in tokens.items() if ref})
        watch = WatchPolicy(**{key: getattr(settings.watch, key) for key in type(settings.watch).model_fields})
        retention = RetentionPolicy(settings.retention.passes, settings.retention.failures, settings.retention.max_size)
        state_dir = str(self._absolute(settings.state_dir))
        whole = digest(
            settings.environment, settings.instance, keys, state_dir, listen, paths, boxes, made, watch, retention, settings.drain
        )
        return Policy(
            environment=settings.environment,
            instance=settings.instance,
            keys=KeyRing(keys),
            state_dir=state_dir,
            listen=listen,
            paths=MappingProxyType(paths),
            mailboxes=MappingProxyType(boxes),
            routes=MappingProxyType(made),
            watch=watch,
            retention=retention,
            drain=settings.drain,
            policy_hash=whole,
        )

    def _keys(self) -> list[SigningKey]:
        made = []
        for index, key in enumerate(self._settings.signing.keys):
            at: KeyPath = ("signing", "keys", index, "secret")
            self._secret(key.secret, at)
            value = self._values[self._resolve(key.secret)]
            if isinstance(value, str) and len(value.encode()) < MIN_KEY_BYTES:
                self._report.fault(at, f"the signing key is shorter than {MIN_KEY_BYTES} bytes", "make one with: openssl rand -hex 32")
            if isinstance(value, str):
                made.append(SigningKey(key.number, value.encode()))
        return made

    def _path(self, name: PathName, routes: tuple[PlannedRoute, ...]) -> PathPolicy:
        shape, general, at = self._settings.paths[name], self._settings.submission, ("paths", name)
        watched = min((route.deadlines.watch_until for route in routes if route.route.path == name), default=_RETRY_FOR)
        retry_for = _first(shape.retry_for, general.retry_for, min(_RETRY_FOR, watched))
        return PathPolicy(
            name=name,
            via=self._smtp(shape, at) if isinstance(shape, SmtpShape) else self._http(shape, at),
            carriers=tuple(dict.fromkeys(shape.carriers)),
            locales=tuple(_locale(locale) for locale in shape.locales),
            allowed_amounts=shape.allowed_amounts,
            demand=Demand(shape.require.spf, shape.require.dkim, shape.require.dmarc),
            attempt_timeout=_first(shape.attempt_timeout, general.attempt_timeout),
            retry_backoff=_first(shape.retry_backoff, general.retry_backoff),
            retry_for=retry_for,
            unreachable_for=_first(shape.unreachable_for, general.unreachable_for),
            daily_budget=path_budget(self._settings, name),
        )

    def _smtp(self, shape: SmtpShape, at: KeyPath) -> SmtpPath:
        identity = MailIdentity(shape.author, shape.author_name, shape.envelope_sender or shape.author, self._templates(shape, at))
        return SmtpPath(
            host=shape.host,
            port=shape.port or _SMTP_PORTS[shape.security],
            security=shape.security,
            ca_file=self._ca_file(shape.ca_file, (*at, "ca_file")),
            username=shape.username,
            password=self._secret(shape.password, (*at, "password")),
            identity=identity,
            helo=shape.helo,
        )

    def _http(self, shape: HttpShape, at: KeyPath) -> HttpPath:
        headers: dict[str, str | SecretRef] = {}
        for name, value in shape.headers.items():
            ref = self._secret(value, (*at, "headers", name)) if isinstance(value, SecretRef) else None
            headers[name] = ref or value
        return HttpPath(
            url=shape.url,
            method=shape.method,
            headers=MappingProxyType(headers),
            body=shape.body,
            expected_status=shape.expect_status,
            ca_file=self._ca_file(shape.ca_file, (*at, "ca_file")),
            refund_id=shape.refund_id,
            version=shape.version,
            sends_number=shape.sends_number,
        )

    def _mailbox(self, name: MailboxName, shape: MailboxShape) -> MailboxPolicy:
        at: KeyPath = ("mailboxes", name, "imap")
        self._secret(shape.imap.password, (*at, "password"))
        return MailboxPolicy(
            name=name,
            role=shape.role,
            provider=shape.provider,
            address=shape.address,
            host=shape.imap.host,
            port=shape.imap.port or _IMAP_PORTS[shape.imap.security],
            security=shape.imap.security,
            ca_file=self._ca_file(shape.imap.ca_file, (*at, "ca_file")),
            username=shape.imap.username or str(shape.address),
            password=self._resolve(shape.imap.password),
            login=shape.imap.login,
            folders=FolderNames(shape.folders.spam, shape.folders.tabs, shape.folders.ignore),
            authserv_ids=shape.authserv_ids,
            plus_tags=shape.plus_tags,
            clean_up=shape.role is Role.SEED if shape.clean_up is None else shape.clean_up,
            clean_up_after=shape.clean_up_after,
            daily_budget=shape.daily_budget or self._settings.budgets.per_mailbox,
        )

    def _absolute(self, name: str) -> Path:
        """A path in the file is relative to the file."""
        return self._base / name

    def _resolve(self, ref: SecretRef) -> SecretRef:
        return SecretRef(ref.source, str(self._absolute(ref.name))) if ref.source is SecretSource.FILE else ref

    def _secret(self, ref: SecretRef | None, at: KeyPath) -> SecretRef | None:
        """The reference with its file resolved, after a look whether there is a usable value."""
        if ref is None:
            return None
        ref = self._resolve(ref)
        if ref not in self._values:
            try:
                self._values[ref] = self._secrets.read(ref)
            except SecretError as error:
                self._values[ref] = error
        value = self._values[ref]
        if isinstance(value, SecretError):
            what, _, mend = str(value).partition("; ")
            self._report.fault(at, what, mend)
        elif not value:
            self._report.fault(at, f"secret {ref} is empty", "put the value there")
        elif any(ord(c) < 32 or ord(c) == 127 for c in value):
            self._report.fault(at, f"secret {ref} holds a line break or control character", "store one line of text")
        return ref

    def _read(self, name: str, at: KeyPath) -> str | None:
        """The text of a file that the configuration names."""
        file = self._absolute(name)
        try:
            with file.open("rb") as stream:
                blob = stream.read(MAX_FILE + 1)
            if len(blob) > MAX_FILE:
                self._report.fault(at, f"{file} is larger than {MAX_FILE >> 20} MiB", "is this the right file?")
                return None
            return blob.decode("utf-8-sig")
        except OSError as error:
            self._report.fault(at, f"{file} cannot be read ({error.strerror})", "mend the name; it is relative to this file")
        except UnicodeDecodeError:
            self._report.fault(at, f"{file} is not UTF-8", "save it as UTF-8")
        return None

    def _ca_file(self, name: str | None, at: KeyPath) -> str | None:
        if name is None:
            return None
        text = self._read(name, at)
        if text is not None and "-----BEGIN CERTIFICATE-----" not in text:
            self._report.fault(at, f"{self._absolute(name)} holds no PEM certificate", "name a file with -----BEGIN CERTIFICATE-----")
        return str(self._absolute(name))

    def _templates(self, shape: SmtpShape, at: KeyPath) -> Templates:
        name = shape.templates
        if name is None:
            return self._built_in(at)
        key = (*at, "templates")
        if not self._absolute(name).is_dir():
            self._report.fault(key, f"{self._absolute(name)} is no directory", f"it must hold {', '.join(TEMPLATE_FILES)}")
            return Templates("", "", "")
        subject, text, html = (self._read(f"{name}/{file}", key) or "" for file in TEMPLATE_FILES)
        return Templates(subject, text, html, origin=str(self._absolute(name)))

    def _built_in(self, at: KeyPath) -> Templates:
        try:
            return Templates(*[BUILT_IN.joinpath(name).read_text(encoding="utf-8") for name in TEMPLATE_FILES])
        except OSError:
            self._report.fault(at, "the built-in templates are not installed", "install mailcanary again, or write templates: DIRECTORY")
            return Templates("", "", "")


def _first(*values: float | None) -> float:
    """The first that is written."""
    return next(value for value in values if value is not None)


def _locale(shape: LocaleShape) -> Locale:
    return Locale(shape.tag, shape.currency, shape.amount, shape.grouping, shape.decimal)
