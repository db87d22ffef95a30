"""What single values cannot show: keys that contradict each other. `broken` are the parts of the file that have faults already;
nothing is said that may only follow from those."""

from __future__ import annotations

from collections.abc import Mapping, Set
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from monitor.model.address import AddressError
from monitor.model.duration import print_duration
from monitor.model.mail import AuthResult, Carrier
from monitor.model.policy import LoginMethod, Role, Security
from monitor.model.probe import Deadlines
from monitor.model.secret import SecretRef, SecretSource
from monitor.settings.addresses import loopback
from monitor.settings.deploy_checks import check_deploys
from monitor.settings.faults import KeyPath
from monitor.settings.gate_policies import check_gates
from monitor.settings.http_values import must_be_hidden, must_be_secret
from monitor.settings.inspect_checks import check_inspect
from monitor.settings.ledger_policies import check_ledger
from monitor.settings.mail_shape import CommandShape, HttpShape, MailboxShape, SmtpLogin, SmtpShape
from monitor.settings.notify_checks import check_heartbeat, check_notify
from monitor.settings.report import Report
from monitor.settings.routes import PlannedRoute, deadlines, mailbox_budget, path_budget, planned
from monitor.settings.scalars import closest
from monitor.settings.shape import Settings

_DAY = 86_400.0
_PROBE_ID = "0" * 12
_MOVE_IT = "move the secret out of this file and write {env: NAME} or {file: PATH}"


def check(settings: Settings, data: Mapping[str, Any], broken: Set[KeyPath], report: Report) -> tuple[PlannedRoute, ...]:
    """Add the faults and notes to the report; returns the routes."""
    for name, path in settings.paths.items():
        match path:
            case SmtpShape():
                _smtp(("paths", name), path, report)
            case HttpShape():
                _http(("paths", name), path, report)
            case CommandShape():
                _command(("paths", name), path, report)
    for name, box in settings.mailboxes.items():
        _mailbox(("mailboxes", name), box, report)
    _same_address(settings, report)
    _presence(settings, broken, report)
    _named(settings, data, report)
    if ("signing",) not in broken:
        _key_numbers(settings, report)
    unknown = settings.routes is None and any(path[0] == "routes" for path in broken)
    routes = () if unknown else planned(settings)
    if ("deadlines",) not in broken:
        _deadlines(deadlines(settings), None, report)
        for route in routes:
            if route.at is not None:
                _deadlines(route.deadlines, route.at, report)
    _submission(settings, routes, broken, report)
    _watch(settings, routes, broken, report)
    _plus_tags(settings, routes, report)
    _trust(settings, routes, report)
    if ("sending_domains",) not in broken:
        _sending_domains(settings, broken, report)
    if ("notify",) not in broken:
        check_notify(settings.notify, report)
    check_heartbeat(settings.heartbeat, report)
    check_deploys(settings.deploys, report)
    if ("inspect",) not in broken:
        check_inspect(settings.inspect, data.get("inspect") or {}, report)
    if ("ledger",) not in broken:
        check_ledger(settings.ledger, report)
    if not broken:
        check_gates(settings, routes, report)
    if not broken:
        _rollback_token(settings, report)
        _notes(settings, routes, report)
    return routes


def _smtp(at: KeyPath, path: SmtpShape, report: Report) -> None:
    if path.username is not None and path.password is None:
        report.fault((*at, "username"), "has no password beside it", "write password: {env: NAME}")
    if path.password is not None and path.username is None:
        report.fault((*at, "password"), "has no username beside it", "write username: ...")
    if path.login is SmtpLogin.XOAUTH2 and path.username is None and path.password is None:
        report.fault((*at, "login"), "has no access token", "write username: and password: {file: PATH} or {command: PROGRAM}")
    _only_a_token(at, path.password, path.login is SmtpLogin.XOAUTH2, report)
    if path.dkim is not None and path.dkim.domain is not None:
        author, signing = path.author.domain.name, path.dkim.domain.name
        if author != signing and not author.endswith(f".{signing}"):
            what = f"does not stand for the author's domain {author}: DMARC would not count the signature"
            report.fault((*at, "dkim", "domain"), what, "write the author's domain or one above it, or remove the key")
    if path.security is Security.PLAIN and path.username is not None and not loopback(path.host):
        report.fault(
            (*at, "security"), "plain would show the password to the network", "write security: starttls or tls, or remove username"
        )
    sender, key = (path.envelope_sender, "envelope_sender") if path.envelope_sender else (path.author, "author")
    if "+" in sender.local:
        mend = "write envelope_sender: without a +" if key == "author" else "remove the + and what follows up to the @"
        report.fault((*at, key), "is the envelope sender and has a plus-tag, where the probe id goes", mend)
        return
    try:
        sender.tagged(_PROBE_ID)
    except AddressError:
        report.fault(
            (*at, key),
            "is the envelope sender and too long to take +<probe id>",
            "write an envelope_sender: of at most 51 characters before the @",
        )


def _only_a_token(at: KeyPath, password: SecretRef | None, xoauth2: bool, report: Report) -> None:
    if password is not None and password.source is SecretSource.COMMAND and not xoauth2:
        what = "is printed by a program, which only an access token may be"
        report.fault((*at, "password"), what, "write {env: NAME} or {file: PATH}, or login: xoauth2 beside it")


def _http(at: KeyPath, path: HttpShape, report: Report) -> None:
    for name, value in path.headers.items():
        if must_be_secret(name) and not isinstance(value, SecretRef):
            report.fault((*at, "headers", name), "is written out here", _MOVE_IT)
        elif isinstance(value, SecretRef) and path.url.startswith("http:") and not loopback(urlsplit(path.url).hostname):
            report.note((*at, "url"), f"sends the secret header {name} unencrypted", "use https:// unless the network is yours alone")
    _number(at, path, report)


def _command(at: KeyPath, path: CommandShape, report: Report) -> None:
    for name, value in path.environment.items():
        if must_be_hidden(name) and not isinstance(value, SecretRef):
            report.fault((*at, "environment", name), "is written out here", _MOVE_IT)
    _number(at, path, report)


def _number(at: KeyPath, path: HttpShape | CommandShape, report: Report) -> None:
    if path.sends_number and path.refund_id is None:
        report.fault((*at, "sends_number"), "needs the application's refund id from the reply", "write refund_id: /path/in/the/reply")


def _mailbox(at: KeyPath, box: MailboxShape, report: Report) -> None:
    if box.imap.security is Security.PLAIN and not loopback(box.imap.host):
        report.fault((*at, "imap", "security"), "plain would show the password to the network", "write security: tls or starttls")
    _only_a_token((*at, "imap"), box.imap.password, box.imap.login is LoginMethod.XOAUTH2, report)
    if box.role is not Role.TRIPWIRE:
        return
    for key in ("clean_up", "clean_up_after", "daily_budget"):
        if key in box.model_fields_set and getattr(box, key) is not False:
            what = "is for a mailbox that probes go to; nothing is ever sent to a tripwire or deleted from it"
            report.fault((*at, key), what, "remove it")
    if not box.authserv_ids:
        what = "is a tripwire without authserv_ids: nobody's Authentication-Results are trusted, only our own check of a signature tells"
        report.note(at, what, "write authserv_ids: [mx.google.com], the first word of that header")


def _sending_domains(settings: Settings, broken: Set[KeyPath], report: Report) -> None:
    """A tripwire needs to know what mail of ours looks like."""
    unknown = any(path[:1] == ("paths",) for path in broken) or any(isinstance(path, SmtpShape) for path in settings.paths.values())
    tripwire = next((name for name, box in settings.mailboxes.items() if box.role is Role.TRIPWIRE), None)
    if settings.sending_domains is None and tripwire is not None and not unknown:
        what = f"is missing: mailbox {tripwire} is a tripwire, and no smtp path tells which domains the shop mails from"
        report.fault(("sending_domains",), what, "write sending_domains: [example.com]")


def _same_address(settings: Settings, report: Report) -> None:
    first: dict[str, str] = {}
    for name, box in settings.mailboxes.items():
        other = first.setdefault(str(box.address.base), name)
        if other != name:
            line = report.line(("mailboxes", other, "address"))
            report.fault(
                ("mailboxes", name, "address"),
                f"is the address of mailbox {other} too (line {line}; plus-tags and case do not count)",
                "give each mailbox an account of its own",
            )


def _presence(settings: Settings, broken: Set[KeyPath], report: Report) -> None:
    paths_broken = any(path[:1] == ("paths",) for path in broken)
    boxes_broken = any(path[:1] == ("mailboxes",) for path in broken)
    if not settings.paths and not paths_broken:
        report.fault(("paths",), "names no path", "write one of kind smtp, http or command; see config/mailcanary.yaml")
    if not any(box.role is Role.SEED for box in settings.mailboxes.values()) and not boxes_broken:
        report.fault(("mailboxes",), "names no seed mailbox", "write one with role: seed; see config/mailcanary.yaml")


def _named(settings: Settings, data: Mapping[str, Any], report: Report) -> None:
    """Routes name paths and seed mailboxes that exist, each pair once."""
    seen: dict[tuple[str, str], int] = {}
    for index, entry in enumerate(settings.routes or ()):
        at: KeyPath = ("routes", index)
        for key, wanted in (("path", entry.path), ("mailbox", entry.mailbox)):
            listed = data.get("paths" if key == "path" else "mailboxes")
            known = list(listed) if isinstance(listed, dict) else [wanted]
            if wanted not in known:
                near = closest(wanted, known)
                mend = f"did you mean {near}?" if near else f"known: {', '.join(known[:16]) or 'none'}"
                report.fault((*at, key), f"no {key} is called {wanted}", mend)
        box = settings.mailboxes.get(entry.mailbox)
        if box is not None and box.role is not Role.SEED:
            report.fault(
                (*at, "mailbox"),
                f"{entry.mailbox} is a {box.role.value} mailbox: a recipient that is no seed",
                "name a mailbox with role: seed",
            )
        first = seen.setdefault((entry.path, entry.mailbox), index)
        if first != index:
            report.fault(
                at, f"route {entry.path}/{entry.mailbox} stands on line {report.line(('routes', first))} already", "keep one of them"
            )


def _key_numbers(settings: Settings, report: Report) -> None:
    first: dict[int, int] = {}
    for index, key in enumerate(settings.signing.keys):
        other = first.setdefault(key.number, index)
        if other != index:
            line = report.line(("signing", "keys", other, "number"))
            report.fault(
                ("signing", "keys", index, "number"), f"is the number of another key too (line {line})", "give each key its own number"
            )


def _deadlines(limits: Deadlines, at: KeyPath | None, report: Report) -> None:
    """overdue_floor < late < missing < give_up, missing <= watch_until."""
    ladder = (("overdue_floor", limits.overdue_floor), ("late", limits.late_after), ("missing", limits.missing_after))
    steps = [*pairwise(ladder), (ladder[2], ("give_up", limits.give_up_after))]
    for (low, earlier), (high, later) in steps:
        if later <= earlier:
            what = f"{high} ({print_duration(later)}) is not after {low} ({print_duration(earlier)})"
            report.fault(_of_two(high, low, at, report), what, f"write {low} < {high}")
    if limits.watch_until < limits.missing_after:
        what = f"watch_until ({print_duration(limits.watch_until)}) is before missing ({print_duration(limits.missing_after)})"
        report.fault(_of_two("watch_until", "missing", at, report), what, "write missing <= watch_until, or remove watch_until")


def _of_two(one: str, other: str, at: KeyPath | None, report: Report) -> KeyPath:
    """Of two deadlines that contradict each other, the one that is written; the entry of a route goes first."""
    own = (*at, "deadlines") if at else ("deadlines",)
    candidates = [(*section, key) for section in (own, ("deadlines",)) for key in (one, other)]
    return next((path for path in candidates if report.written(path)), ("deadlines", one))


def _submission(settings: Settings, routes: tuple[PlannedRoute, ...], broken: Set[KeyPath], report: Report) -> None:
    for name, path in settings.paths.items():
        general = settings.submission
        written = [key for key in ("retry_for", "attempt_timeout", "retry_backoff") if getattr(path, key) is not None]
        if ("submission",) in broken:
            continue
        at: KeyPath = ("paths", name, written[0]) if written else ("submission", "retry_for")
        retry_for = general.retry_for if path.retry_for is None else path.retry_for
        if retry_for is None:
            continue
        for key in ("attempt_timeout", "retry_backoff"):
            value = getattr(general, key) if getattr(path, key) is None else getattr(path, key)
            if 0 < retry_for < value:
                what = f"retry_for ({print_duration(retry_for)}) is over before {key} ({print_duration(value)})"
                report.fault(at, what, f"make retry_for longer than {key}; 0s for no retry")
        ends = [route.deadlines.watch_until for route in routes if route.route.path == name]
        if ends and retry_for > min(ends) and ("deadlines",) not in broken:
            what = f"retry_for ({print_duration(retry_for)}) goes on after watch_until ({print_duration(min(ends))})"
            report.fault(at, what, "make retry_for shorter or watch_until longer")


def _watch(settings: Settings, routes: tuple[PlannedRoute, ...], broken: Set[KeyPath], report: Report) -> None:
    if ("watch",) in broken:
        return
    watch = settings.watch
    if watch.reconnect_max < watch.reconnect_min:
        report.fault(("watch", "reconnect_max"), "is shorter than reconnect_min", "write reconnect_min <= reconnect_max")
    earliest = min((route.deadlines.missing_after for route in routes), default=None)
    if earliest is not None and watch.sweep_after >= earliest and ("deadlines",) not in broken:
        what = f"looks through the folders only after missing ({print_duration(earliest)})"
        report.fault(("watch", "sweep_after"), what, "make it much shorter than missing")


def _plus_tags(settings: Settings, routes: tuple[PlannedRoute, ...], report: Report) -> None:
    for route in routes:
        path, box = settings.paths[route.route.path], settings.mailboxes[route.route.mailbox]
        if Carrier.PLUS_TAG not in path.carriers or box.plus_tags:
            continue
        at: KeyPath = ("paths", route.route.path, "carriers")
        what = f"mailbox {route.route.mailbox} has plus_tags: false"
        if set(path.carriers) == {Carrier.PLUS_TAG}:
            report.fault(at, f"{what}, and plus_tag is the only carrier", "add a carrier, or list routes: without this mailbox")
        else:
            report.note(at, f"{what}; there the carrier plus_tag is not used", "the other carriers stand in")


def _trust(settings: Settings, routes: tuple[PlannedRoute, ...], report: Report) -> None:
    """A demand on authentication results needs somebody whose results we trust."""
    blamed = set()
    for route in routes:
        demand = settings.paths[route.route.path].require
        box: MailboxShape = settings.mailboxes[route.route.mailbox]
        wanted = [key for key in ("spf", "dkim", "dmarc") if getattr(demand, key) and AuthResult.ABSENT not in getattr(demand, key)]
        if wanted and not box.authserv_ids and route.route.mailbox not in blamed:
            blamed.add(route.route.mailbox)
            what = f"path {route.route.path} requires {wanted[0]}, but nobody's Authentication-Results are trusted here"
            report.fault(("mailboxes", route.route.mailbox), what, "write authserv_ids: [mx.google.com], the first word of that header")


def _rollback_token(settings: Settings, report: Report) -> None:
    """Whoever holds another role's token must not be able to roll back."""
    tokens = settings.listen.tokens
    for role in type(tokens).model_fields:
        if role != "rollback" and tokens.rollback is not None and getattr(tokens, role) == tokens.rollback:
            report.fault(("listen", "tokens", "rollback"), f"is the token of {role} too", "give the rollback hook a token of its own")


def _notes(settings: Settings, routes: tuple[PlannedRoute, ...], report: Report) -> None:
    """Allowed, but probably not meant."""
    tokens = settings.listen.tokens
    if not loopback(settings.listen.host) and not tokens.model_fields_set:
        report.note(("listen",), "has no tokens and is no loopback address: /v1 stays closed", "write tokens:, or host: 127.0.0.1")
    for name in settings.paths:
        load = sum(_DAY / route.every for route in routes if route.route.path == name)
        budget = next((path_budget(settings, route.route.path) for route in routes if route.route.path == name), None)
        _over(("paths", name), load, budget, report)
    for name in settings.mailboxes:
        load = sum(_DAY / route.every for route in routes if route.route.mailbox == name)
        budget = next((mailbox_budget(settings, route.route) for route in routes if route.route.mailbox == name), None)
        _over(("mailboxes", name), load, budget, report)


def _over(at: KeyPath, load: float, budget: int | None, report: Report) -> None:
    if budget is None:
        if at[0] == "paths":
            report.note(at, "no route uses it", "add it to routes: or remove it")
    elif load > budget:
        report.note(at, f"is due {load:.0f} probes a day but may have {budget}", "write a longer every:, or a daily_budget: that fits")
