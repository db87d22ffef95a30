"""Validated settings -> frozen policies."""

from __future__ import annotations

from collections.abc import Mapping, Set
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from monitor.model.channels import (
    AlertmanagerChannel,
    AppriseChannel,
    Channel,
    NotifyPolicy,
    NotifyRoute,
    PagerdutyChannel,
    SlackChannel,
    WebhookChannel,
)
from monitor.model.deploy import DeployHook, GrafanaPolicy
from monitor.model.duration import duration
from monitor.model.incident import ScopeKind
from monitor.model.policy import (
    Access,
    CommandPath,
    Demand,
    DkimKey,
    FolderNames,
    HeartbeatPolicy,
    HttpPath,
    IncidentPolicy,
    KeyRing,
    ListenPolicy,
    Locale,
    LoginMethod,
    MailboxPolicy,
    MailIdentity,
    PathPolicy,
    Policy,
    RetentionPolicy,
    Role,
    RoutePolicy,
    Security,
    SigningKey,
    SmtpPath,
    Templates,
    WatchPolicy,
)
from monitor.model.probe import MailboxName, PathName, Route
from monitor.model.secret import SecretRef
from monitor.ports import Secrets
from monitor.settings.digest import digest
from monitor.settings.faults import KeyPath
from monitor.settings.gate_policies import gates_policy
from monitor.settings.inspect_policies import inspect_policy
from monitor.settings.ledger_policies import ledger_policy
from monitor.settings.mail_shape import CommandShape, HttpShape, LocaleShape, MailboxShape, PathShape, SmtpLogin, SmtpShape
from monitor.settings.notify_checks import told
from monitor.settings.notify_routes import check_scopes
from monitor.settings.notify_secrets import apprise_url, routing_key
from monitor.settings.notify_shape import AlertmanagerShape, AppriseShape, ChannelShape, PagerdutyShape, SlackShape, WebhookShape
from monitor.settings.pointed import Pointed
from monitor.settings.report import Report
from monitor.settings.routes import PlannedRoute, path_budget
from monitor.settings.shape import Settings

MIN_KEY_BYTES = 16
BUILT_IN = files("monitor").joinpath("rules", "templates")  # package data; no import of monitor.rules
TEMPLATE_FILES = ("subject.txt", "message.txt", "message.html")
_RETRY_FOR = duration("35m") or 0.0
_SMTP_PORTS = {Security.TLS: 465, Security.STARTTLS: 587, Security.PLAIN: 25}
_IMAP_PORTS = {Security.TLS: 993, Security.STARTTLS: 143, Security.PLAIN: 143}


class Maker:
    """Makes the policy of one file; faults go to the report."""

    def __init__(self, settings: Settings, base: Path, secrets: Secrets, report: Report) -> None:
        self._settings = settings
        self._report = report
        self._at = Pointed(base, secrets, report)

    def policy(self, routes: tuple[PlannedRoute, ...], broken: Set[KeyPath]) -> Policy:
        settings = self._settings
        keys = () if ("signing",) in broken else tuple(self._keys())
        paths = {PathName(name): self._path(PathName(name), routes) for name in settings.paths}
        boxes = {MailboxName(name): self._mailbox(MailboxName(name), box) for name, box in settings.mailboxes.items()}
        made: dict[Route, RoutePolicy] = {}
        for one in routes:
            short = digest(paths[one.route.path], boxes[one.route.mailbox], one.deadlines)
            made[one.route] = RoutePolicy(one.route, one.every, one.jitter, one.deadlines, short)
        tokens = {role: self._at.secret(getattr(settings.listen.tokens, role.value), ("listen", "tokens", role.value)) for role in Access}
        listen = ListenPolicy(settings.listen.host, settings.listen.port, {role: ref for role, ref in tokens.items() if ref})
        watch = WatchPolicy(**{key: getattr(settings.watch, key) for key in type(settings.watch).model_fields})
        retention = RetentionPolicy(settings.retention.passes, settings.retention.failures, settings.retention.max_size)
        state_dir = str(self._at.absolute(settings.state_dir))
        incidents = IncidentPolicy(**{key: getattr(settings.incidents, key) for key in type(settings.incidents).model_fields})
        notify, heartbeat, domains = self._notify(), self._heartbeat(), self._sending_domains()
        gates, hooks, grafana = gates_policy(settings.gates), self._deploy_hooks(), self._grafana()
        inspect = inspect_policy(settings.inspect, domains)
        ledger = ledger_policy(settings.ledger, self._at, self._report)
        sections = (listen, paths, boxes, made, watch, retention, settings.drain, domains, incidents, notify, heartbeat)
        whole = digest(settings.environment, settings.instance, keys, state_dir, *sections, gates, hooks, grafana, inspect, ledger)
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
            sending_domains=domains,
            incidents=incidents,
            notify=notify,
            heartbeat=heartbeat,
            gates=gates,
            deploy_hooks=MappingProxyType(hooks),
            grafana=grafana,
            inspect=inspect,
            ledger=ledger,
        )

    def _keys(self) -> list[SigningKey]:
        made = []
        for index, key in enumerate(self._settings.signing.keys):
            at: KeyPath = ("signing", "keys", index, "secret")
            self._at.secret(key.secret, at)
            value = self._at.value(key.secret)
            if value is not None and len(value.encode()) < MIN_KEY_BYTES:
                self._report.fault(at, f"the signing key is shorter than {MIN_KEY_BYTES} bytes", "make one with: openssl rand -hex 32")
            if value is not None:
                made.append(SigningKey(key.number, value.encode()))
        return made

    def _path(self, name: PathName, routes: tuple[PlannedRoute, ...]) -> PathPolicy:
        shape, general, at = self._settings.paths[name], self._settings.submission, ("paths", name)
        watched = min((route.deadlines.watch_until for route in routes if route.route.path == name), default=_RETRY_FOR)
        retry_for = _first(shape.retry_for, general.retry_for, min(_RETRY_FOR, watched))
        return PathPolicy(
            name=name,
            via=self._via(shape, at),
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

    def _via(self, shape: PathShape, at: KeyPath) -> SmtpPath | HttpPath | CommandPath:
        match shape:
            case SmtpShape():
                return self._smtp(shape, at)
            case HttpShape():
                return self._http(shape, at)
            case CommandShape():
                return self._command(shape, at)

    def _smtp(self, shape: SmtpShape, at: KeyPath) -> SmtpPath:
        identity = MailIdentity(shape.author, shape.author_name, shape.envelope_sender or shape.author, self._templates(shape, at))
        return SmtpPath(
            host=shape.host,
            port=shape.port or _SMTP_PORTS[shape.security],
            security=shape.security,
            ca_file=self._at.ca_file(shape.ca_file, (*at, "ca_file")),
            username=shape.username,
            password=self._at.secret(shape.password, (*at, "password")),
            identity=identity,
            helo=shape.helo,
            login=LoginMethod.XOAUTH2 if shape.login is SmtpLogin.XOAUTH2 else LoginMethod.PLAIN,
            dkim=self._dkim(shape, (*at, "dkim", "key")),
        )

    def _dkim(self, shape: SmtpShape, at: KeyPath) -> DkimKey | None:
        if shape.dkim is None:
            return None
        domain = shape.dkim.domain or shape.author.domain
        return DkimKey(domain.name, shape.dkim.selector, self._at.key(shape.dkim.key, at))

    def _http(self, shape: HttpShape, at: KeyPath) -> HttpPath:
        return HttpPath(
            url=shape.url,
            method=shape.method,
            headers=self._texts(shape.headers, (*at, "headers")),
            body=shape.body,
            expected_status=shape.expect_status,
            ca_file=self._at.ca_file(shape.ca_file, (*at, "ca_file")),
            refund_id=shape.refund_id,
            version=shape.version,
            sends_number=shape.sends_number,
        )

    def _command(self, shape: CommandShape, at: KeyPath) -> CommandPath:
        program, *arguments = shape.command
        return CommandPath(
            argv=(self._at.program(program, (*at, "command", 0)), *arguments),
            environment=self._texts(shape.environment, (*at, "environment")),
            input=shape.input,
            refund_id=shape.refund_id,
            version=shape.version,
            sends_number=shape.sends_number,
        )

    def _texts(self, values: Mapping[str, str | SecretRef], at: KeyPath) -> Mapping[str, str | SecretRef]:
        """Values that are text or a secret."""
        made: dict[str, str | SecretRef] = {}
        for name, value in values.items():
            ref = self._at.secret(value, (*at, name)) if isinstance(value, SecretRef) else None
            made[name] = ref or value
        return MappingProxyType(made)

    def _mailbox(self, name: MailboxName, shape: MailboxShape) -> MailboxPolicy:
        at: KeyPath = ("mailboxes", name, "imap")
        budget = shape.daily_budget or self._settings.budgets.per_mailbox
        return MailboxPolicy(
            name=name,
            role=shape.role,
            provider=shape.provider,
            address=shape.address,
            host=shape.imap.host,
            port=shape.imap.port or _IMAP_PORTS[shape.imap.security],
            security=shape.imap.security,
            ca_file=self._at.ca_file(shape.imap.ca_file, (*at, "ca_file")),
            username=shape.imap.username or str(shape.address),
            password=self._at.secret(shape.imap.password, (*at, "password")) or shape.imap.password,
            login=shape.imap.login,
            folders=FolderNames(shape.folders.spam, shape.folders.tabs, shape.folders.ignore),
            authserv_ids=shape.authserv_ids,
            plus_tags=shape.plus_tags,
            clean_up=shape.role is Role.SEED if shape.clean_up is None else shape.clean_up,
            clean_up_after=shape.clean_up_after,
            daily_budget=0 if shape.role is Role.TRIPWIRE else budget,
        )

    def _sending_domains(self) -> tuple[str, ...]:
        """Each once, in the order of the file."""
        paths = self._settings.paths.values()
        domains = self._settings.sending_domains or [path.author.domain for path in paths if isinstance(path, SmtpShape)]
        return tuple(dict.fromkeys(domain.name for domain in domains))

    def _notify(self) -> NotifyPolicy:
        shape = self._settings.notify
        pages, tickets = told(shape)
        channels = {name: self._channel(channel, ("notify", "channels", name)) for name, channel in shape.channels.items()}
        check_scopes(shape.routes, self._names(), self._report)
        return NotifyPolicy(
            channels=MappingProxyType(channels),
            pages=pages,
            tickets=tickets,
            fallback=shape.fallback,
            fallback_after=shape.fallback_after,
            give_up_after=shape.give_up_after,
            public_url=(shape.public_url or "").rstrip("/"),
            runbooks_url=(shape.runbooks_url or NotifyPolicy().runbooks_url).rstrip("/"),
            routes=tuple(NotifyRoute(route.channels, route.symptoms, route.severity, route.scopes) for route in shape.routes),
        )

    def _names(self) -> dict[ScopeKind, list[str]]:
        """Of the kinds of scopes whose names this file settles."""
        settings = self._settings
        return {
            ScopeKind.PATH: list(settings.paths),
            ScopeKind.MAILBOX: list(settings.mailboxes),
            ScopeKind.PROVIDER: list(dict.fromkeys(box.provider for box in settings.mailboxes.values())),
            ScopeKind.DOMAIN: list(self._sending_domains()),
        }

    def _channel(self, shape: ChannelShape, at: KeyPath) -> Channel:
        ca_file = None if isinstance(shape, AppriseShape) else self._at.ca_file(shape.ca_file, (*at, "ca_file"))
        match shape:
            case WebhookShape():
                return WebhookChannel(self._at.url(shape.url, (*at, "url")), self._at.secret(shape.secret, (*at, "secret")), ca_file)
            case AlertmanagerShape():
                urls = tuple(dict.fromkeys(url.rstrip("/") for url in shape.urls))
                authorization = self._at.secret(shape.authorization, (*at, "authorization"))
                return AlertmanagerChannel(urls, authorization, ca_file, shape.resend_every)
            case PagerdutyShape():
                key = routing_key(shape, self._at, (*at, "routing_key"), self._report)
                return PagerdutyChannel(key, shape.url.rstrip("/"), ca_file, shape.changes)
            case SlackShape():
                return SlackChannel(self._hidden_url(shape.url, (*at, "url")), ca_file)
            case AppriseShape():
                return AppriseChannel(apprise_url(shape, self._at, at, self._report))

    def _hidden_url(self, ref: SecretRef, at: KeyPath) -> SecretRef:
        url = self._at.url(ref, at)
        return url if isinstance(url, SecretRef) else ref

    def _heartbeat(self) -> HeartbeatPolicy | None:
        shape = self._settings.heartbeat
        if shape is None:
            return None
        url = self._at.url(shape.url, ("heartbeat", "url"))
        return HeartbeatPolicy(url, shape.every, self._at.ca_file(shape.ca_file, ("heartbeat", "ca_file")))

    def _deploy_hooks(self) -> dict[str, DeployHook]:
        return {
            name: DeployHook(
                name=name,
                deploy=hook.deploy,
                phase=hook.phase,
                starts=hook.start,
                finishes=hook.finish,
                rolls_back=hook.rollback,
                **{key: getattr(hook, key) or "" for key in ("service", "version", "sha", "by", "at", "url")},
            )
            for name, hook in self._settings.deploys.webhooks.items()
        }

    def _grafana(self) -> GrafanaPolicy | None:
        shape, at = self._settings.deploys.grafana, ("deploys", "grafana")
        if shape is None:
            return None
        token = self._at.secret(shape.token, (*at, "token")) or shape.token
        return GrafanaPolicy(shape.url.rstrip("/"), token, self._at.ca_file(shape.ca_file, (*at, "ca_file")))

    def _templates(self, shape: SmtpShape, at: KeyPath) -> Templates:
        name = shape.templates
        if name is None:
            return self._built_in(at)
        key = (*at, "templates")
        if not self._at.absolute(name).is_dir():
            self._report.fault(key, f"{self._at.absolute(name)} is no directory", f"it must hold {', '.join(TEMPLATE_FILES)}")
            return Templates("", "", "")
        subject, text, html = (self._at.read(f"{name}/{file}", key) or "" for file in TEMPLATE_FILES)
        return Templates(subject, text, html, origin=str(self._at.absolute(name)))

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
