"""The configuration as text with comments, its secrets in files of their own, and how both get to the disk: whole, or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from monitor.cli import UsageError
from monitor.cli.setup.answers import Answers, Relay, Seed, Server, Shop
from monitor.cli.setup.providers import provider_of
from monitor.cli.setup.trying import Learnt
from monitor.model.mail import AuthResult
from monitor.model.policy import LoginMethod
from monitor.model.probe import MailboxName

DRAFTED = "secrets"  # where a draft that is tried has its secrets
KEY, RELAY_PASSWORD, APP_AUTHORIZATION = "signing-key", "relay-password", "app-authorization"
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.@/+-]*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}  # text to us, not to every reader of YAML
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_COLUMN = 52  # where comments begin, if there is room


@dataclass(frozen=True, slots=True)
class Draft:
    """What is written: the text, and the secrets by file name."""

    text: str
    secrets: Mapping[str, str]


def draft(
    answers: Answers, servers: Mapping[MailboxName, Server], learnt: Mapping[MailboxName, Learnt] | None, key: str, directory: str
) -> Draft:
    """The configuration of these answers, secrets below `directory`. `learnt` None: to be tried with, so every carrier is on and
    the topmost Authentication-Results counts whoever wrote it."""
    lines = [
        "# Written by `mailcanary init`. Every other key, with its default, stands in config/mailcanary.yaml of the source.",
        "# Secrets are files; what is read from them is read again at each connection.",
        "",
        _line(0, "environment", answers.environment, "stands in every token: production and staging need two names"),
        _line(0, "instance", "canary-1", "another name for each daemon that shares these mailboxes"),
        "",
        "signing:",
        "  keys:",
        "    - number: 1",
        _line(6, "secret", _file(directory, KEY), "signs the tokens; made at random"),
        "",
        "paths:",
    ]
    kept = {KEY: key}
    if answers.relay is not None:
        lines += _relay(answers.relay, answers.ca_file, directory, trial=learnt is None)
        if answers.relay.user:
            kept[RELAY_PASSWORD] = answers.relay.password
    if answers.shop is not None:
        lines += _shop(answers.shop, answers.ca_file, directory)
        if answers.shop.authorization:
            kept[APP_AUTHORIZATION] = answers.shop.authorization
    lines += ["", "mailboxes:"]
    for seed in answers.seeds:
        name = MailboxName(seed.name)
        lines += _mailbox(seed, servers[name], answers.ca_file, directory, None if learnt is None else learnt.get(name, Learnt()))
        if seed.login is not LoginMethod.XOAUTH2:
            kept[f"{seed.name}-password"] = seed.password
    lines += [
        "",
        _line(0, "state_dir", "state", "the journal; beside this file"),
        "listen:",
        _line(2, "host", "127.0.0.1", "for other hosts 0.0.0.0, with tokens: (config/mailcanary.yaml)"),
    ]
    return Draft("\n".join(lines) + "\n", kept)


def _relay(relay: Relay, ca_file: str, directory: str, trial: bool) -> list[str]:
    server = relay.server
    lines = [
        "  relay:",
        _line(4, "kind", "smtp", "straight to the relay, past the shop"),
        _line(4, "host", server.host),
        *([_line(4, "port", server.port)] if server.port else []),
        _line(4, "security", server.security.value),
        *([_line(4, "ca_file", ca_file)] if ca_file else []),
    ]
    if relay.user:
        lines += [_line(4, "username", relay.user), _line(4, "password", _file(directory, RELAY_PASSWORD))]
    lines.append(_line(4, "author", str(relay.author), "the From address"))
    if trial:
        lines.append("    carriers: [header, plus_tag, message_id, body, refund_number]")
    return lines


def _shop(shop: Shop, ca_file: str, directory: str) -> list[str]:
    lines = [
        "  app:",
        _line(4, "kind", "http", "the shop itself: docs/app-contract.md says what it owes"),
        _line(4, "url", shop.url),
        *([_line(4, "ca_file", ca_file)] if ca_file and shop.url.startswith("https:") else []),
        "    headers:",
        '      Idempotency-Key: "{{ probe_id }}"',
        '      X-Mailcanary-Token: "{{ token }}"',
    ]
    if shop.authorization:
        lines.append(_line(6, "Authorization", _file(directory, APP_AUTHORIZATION)))
    return [
        *lines,
        "    body:                                           # JSON of the request; change it to what your endpoint reads",
        "      synthetic: true",
        "      refund:",
        '        number: "{{ refund_number }}"',
        '        order: "{{ order_number }}"',
        '        amount: "{{ amount_value }}"',
        '        currency: "{{ currency }}"',
        "      customer:",
        '        name: "{{ customer_name }}"',
        '        email: "{{ recipient }}"',
        '        locale: "{{ locale }}"',
        _line(4, "refund_id", "/refund_id", "JSON pointer to the shop's id of the refund in the answer"),
        _line(4, "version", "header:X-App-Version", "the release that served the probe"),
    ]


def _mailbox(seed: Seed, server: Server, ca_file: str, directory: str, learnt: Learnt | None) -> list[str]:
    oauth = seed.login is LoginMethod.XOAUTH2
    password = f"{{command: {json.dumps(seed.password, ensure_ascii=False)}}}" if oauth else _file(directory, f"{seed.name}-password")
    lines = [
        f"  {seed.name}:",
        _line(4, "provider", seed.provider, "failures are compared between providers"),
        _line(4, "address", str(seed.address)),
        "    imap:",
        _line(6, "host", server.host),
        *([_line(6, "port", server.port)] if server.port else []),
        *([_line(6, "security", server.security.value)] if server.security.value != "tls" else []),
        *([_line(6, "ca_file", ca_file)] if ca_file else []),
        *([_line(6, "login", seed.login.value, "the program prints an OAuth 2.0 access token")] if oauth else []),
        _line(6, "password", password),
    ]
    if seed.spam:
        lines.append(f"    folders: {{spam: [{json.dumps(seed.spam, ensure_ascii=False)}]}}")
    if learnt is None:
        return [*lines, '    authserv_ids: ["*"]']
    if not learnt.plus_tags:
        lines.append(_line(4, "plus_tags", False, "a probe to seed+tag@ did not arrive, one to seed@ did"))
    return [*lines, *_trusted(seed, server, learnt)]


def _trusted(seed: Seed, server: Server, learnt: Learnt) -> list[str]:
    """Whose Authentication-Results count: what the probe showed, or a pattern that is known to cover it."""
    provider = provider_of(seed.address, server.host) or provider_of(seed.address)
    known = provider.authserv_id if provider else ""
    learned = learnt.authserv_id
    if not learned and learnt.said is None and known:
        return [_trust(known, "as this provider is known to sign; no probe was looked at")]
    if not learned:
        why = "no probe was looked at" if learnt.said is None else "the probe that arrived bore no Authentication-Results"
        return [f"    # authserv_ids: {why}; without a name none are believed"]
    covers = known.startswith("*.") and learned.lower().endswith(known[1:])
    if learned == "*":
        return [_trust("*", "the topmost, which names nobody; wrong if your provider does not add one to every mail")]
    said = learnt.said
    assert said is not None  # noqa: S101 - somebody said it
    words = " ".join(
        f"{name}={value.value}"
        for name, value in (("spf", said.spf), ("dkim", said.dkim), ("dmarc", said.dmarc))
        if value is not AuthResult.ABSENT
    )
    return [_trust(known if covers else learned, f"who said {words or 'nothing of use'} of the probe; check that it is your provider")]


def _trust(name: str, comment: str) -> str:
    return _commented(f"    authserv_ids: [{_scalar(name)}]", comment)


def _file(directory: str, name: str) -> str:
    path = f"{directory}/{name}" if directory != "." else name
    return f"{{file: {path if _PLAIN.fullmatch(path) else json.dumps(path, ensure_ascii=False)}}}"


def _line(indent: int, key: str, value: str | int | bool, comment: str = "") -> str:
    written = value if isinstance(value, str) and value.startswith("{") else _scalar(value)
    return _commented(f"{' ' * indent}{key}: {written}", comment)


def _commented(line: str, comment: str) -> str:
    return f"{line:<{_COLUMN - 1}} # {comment}" if comment else line


def _scalar(value: str | int | bool) -> str:
    """A YAML scalar that reads back as this value; JSON's strings are YAML's (RFC 8259, YAML 1.2 section 5.7)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return value if plain else json.dumps(value, ensure_ascii=False)


# --- the disk ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """Where the configuration goes. `secrets` is relative to the file, as the file itself will have it."""

    file: Path
    secrets: str
    force: bool

    @property
    def directory(self) -> Path:
        return self.file.absolute().parent

    def check(self, names: Sequence[str] = (KEY,)) -> None:
        """Raises UsageError when something stands in the way, before anything is asked or sent."""
        if not self.directory.is_dir() or not os.access(self.directory, os.W_OK | os.X_OK):
            raise UsageError(f"--output {self.file}: {self.directory} is no directory that can be written to; make it, or name another")
        if self.file.is_dir():
            raise UsageError(f"--output {self.file}: is a directory; name a file in it")
        if not all(c.isprintable() for c in self.secrets) or not self.secrets.strip():
            raise UsageError("--secrets: name a directory in printable text")
        if self.force:
            return
        for there in (self.file, *(self.directory / self.secrets / name for name in names)):
            if there.exists():
                raise UsageError(f"{there} is there already; give --force to overwrite it, or name another with --output or --secrets")

    def key(self) -> str:
        """The signing key: the one that is there, for tokens in flight bear its signature, or a new one."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            text = (self.directory / self.secrets / KEY).read_text().strip()
            if len(text.encode()) >= 16:
                return text
        return secrets.token_hex(32)

    @contextlib.contextmanager
    def workshop(self) -> Iterator[Path]:
        """A directory (0700) beside the file, gone afterwards whatever happens: secrets are in it while they are tried."""
        at = Path(tempfile.mkdtemp(prefix=".mailcanary-init-", dir=self.directory))
        try:
            yield at
        finally:
            shutil.rmtree(at, ignore_errors=True)

    def put(self, draft: Draft) -> None:
        """Write secrets, then the configuration; each appears whole, and no signal comes between them."""
        place = self.directory / self.secrets
        if not place.is_dir():
            place.mkdir(mode=0o700, parents=True)
        with _undisturbed():
            for name, value in draft.secrets.items():
                _whole(place / name, f"{value}\n", 0o600)
            _whole(self.file.absolute(), draft.text, 0o644)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """A signal that comes meanwhile is heard afterwards. Not by a mask: it would hold for one thread only."""
    heard: list[int] = []
    before = {number: signal.signal(number, lambda caught, _frame: heard.append(caught)) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    if heard:
        signal.raise_signal(heard[0])


def _whole(goal: Path, text: str, mode: int) -> None:
    """The file appears with all of the text, or as it was."""
    staged = goal.with_name(f".{goal.name}.new")
    staged.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        staged.replace(goal)
    finally:
        staged.unlink(missing_ok=True)


def lay_out(draft: Draft, directory: Path) -> Path:
    """The draft below `directory`, to be tried with; returns its configuration file."""
    place = directory / DRAFTED
    place.mkdir(mode=0o700, exist_ok=True)
    for name, value in draft.secrets.items():
        _whole(place / name, f"{value}\n", 0o600)
    file = directory / "mailcanary.yaml"
    _whole(file, draft.text, 0o600)
    return file
