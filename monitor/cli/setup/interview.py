"""What init must know: from options, from MAILCANARY_INIT_* variables, or from the person at the terminal, in this order."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from monitor.cli import UsageError
from monitor.cli.setup.answers import (
    Answers,
    Relay,
    Seed,
    Server,
    Shop,
    parse_command,
    parse_name,
    parse_security,
    parse_server,
    parse_server_or_none,
    parse_url,
    shown,
    usual_security,
)
from monitor.cli.setup.providers import guesses, name_for, provider_of
from monitor.model.address import Address
from monitor.model.policy import LoginMethod, Security

T = TypeVar("T")

VARIABLE = "MAILCANARY_INIT_"
MAX_MAILBOXES = 20


class Person(Protocol):
    """Who sits at the terminal."""

    def say(self, text: str) -> None: ...

    def ask(self, question: str, default: str) -> str:
        """The answer, or the default for an empty one."""
        ...

    def ask_secret(self, question: str) -> str:
        """As typed, never echoed; empty for nothing."""
        ...


class Interview:
    """`person` is None where nobody can be asked: then everything must have been given. Raises UsageError, saying which option lacks."""

    def __init__(self, arguments: argparse.Namespace, environ: Mapping[str, str], person: Person | None) -> None:
        self._arguments = arguments
        self._environ = environ
        self._person = person

    def answers(self) -> Answers:
        if self._person is None and (lacking := self._lacking()):
            raise UsageError("\n".join(f"{what} is missing; nothing was tried and nothing was written" for what in lacking))
        relay, shop = self._ways()
        ca_file = self._given("CA_FILE", self._arguments.ca_file)
        seeds = [self._seed(number, address) for number, address in enumerate(self._addresses(), 1)]
        return Answers(
            environment=self._text(
                "--environment", "ENVIRONMENT", "which environment of the shop", "production", self._arguments.environment, parse_name
            ),
            relay=relay,
            shop=shop,
            seeds=_named(seeds),
            ca_file=str(Path(ca_file).absolute()) if ca_file else "",  # given from here, read from beside the configuration
        )

    def again(self, answers: Answers, failed: set[str]) -> Answers:
        """The same, with what failed asked anew: `relay`, `shop`, or the name of a mailbox. The old answers are the defaults."""
        relay, shop = answers.relay, answers.shop
        if relay is not None and "relay" in failed:
            relay = self._relay(relay)
        if shop is not None and "app" in failed:
            shop = self._shop(shop)
        seeds = [
            self._seed(number, str(seed.address), seed) if seed.name in failed else seed for number, seed in enumerate(answers.seeds, 1)
        ]
        return replace(answers, relay=relay, shop=shop, seeds=_named(seeds))

    def spam_folder(self, answers: Answers, name: str, folders: str) -> Answers:
        """The person names the spam folder of this mailbox."""
        assert self._person is not None  # noqa: S101 - nobody else can answer
        self._person.say(f"{name} has the folders {folders}")
        chosen = self._person.ask(f"which of them is the spam folder of {name}", "")
        return replace(answers, seeds=tuple(replace(seed, spam=chosen) if seed.name == name else seed for seed in answers.seeds))

    # --- what is asked ------------------------------------------------------------------------------------------------

    def _ways(self) -> tuple[Relay | None, Shop | None]:
        """The ways of submission; there must be one."""
        given_shop = self._given("APP_URL", self._arguments.app_url)
        relay = None
        if self._given("RELAY", self._arguments.relay) or (self._person is not None and not given_shop):
            relay = self._relay(None)
        if given_shop or relay is None:
            return relay, self._shop(None)
        return relay, None

    def _relay(self, old: Relay | None) -> Relay | None:
        words = self._arguments
        before = shown(old.server) if old else ""
        optional = " (host:port; empty: probe through the shop's endpoint only)" if old is None else " (host:port)"
        named = self._text(
            "--relay", "RELAY", f"relay that takes refund mail{optional}", before, words.relay, parse_server_or_none, again=old is not None
        )
        if named is None:
            return None
        host, port = named
        usual = {465: "tls", 25: "plain"}.get(port or 587, "starttls")
        security = self._text(
            "--relay-security", "RELAY_SECURITY", "tls, starttls or plain", old.server.security.value if old else usual,
            words.relay_security, parse_security, again=old is not None,
        )  # fmt: skip
        user = self._text(
            "--relay-user",
            "RELAY_USER",
            "user name there (empty: no login)",
            old.user if old else "",
            words.relay_user,
            str.strip,
            again=old is not None,
        )
        password = self._secret("RELAY_PASSWORD", f"password of {user}", old.password if old else "") if user else ""
        likely = f"refunds@{host.partition('.')[2]}" if host.count(".") > 1 and not host[0].isdigit() else ""
        author = self._text(
            "--author", "AUTHOR", "author address of refund mail", str(old.author) if old else likely, words.author, Address.parse,
            again=old is not None,
        )  # fmt: skip
        return Relay(Server(host, port, security), user, password, author)

    def _shop(self, old: Shop | None) -> Shop:
        url = self._text(
            "--app-url", "APP_URL", "URL of the shop's endpoint for synthetic refunds", old.url if old else "",
            self._arguments.app_url, parse_url,
            again=old is not None,
        )  # fmt: skip
        return Shop(
            url, self._secret("APP_AUTHORIZATION", "its Authorization header (empty: none)", old.authorization if old else "", need=False)
        )

    def _addresses(self) -> list[str]:
        given = self._mailboxes()
        if self._person is None or given:
            return given
        first = self._asked("address of the first seed mailbox", "", Address.parse)
        second = self._asked(
            "address of the second, at another provider (empty: none)", "", lambda text: Address.parse(text) if text else None
        )
        return [str(address) for address in (first, second) if address is not None]

    def _seed(self, number: int, text: str, old: Seed | None = None) -> Seed:
        again = old is not None
        address = self._text(
            "--mailbox", "MAILBOXES", f"address of mailbox {number}", text, None if again else text, Address.parse, again=again
        )
        servers = self._servers(number, address, old)
        provider = provider_of(address, servers[0].host)
        login = provider.login if provider else LoginMethod.LOGIN
        if provider and provider.note and self._person is not None:
            self._person.say(f"{provider.name}: {provider.note}")
        before = old.password if old else ""
        if login is LoginMethod.XOAUTH2:
            variable = f"MAILBOX_{number}_TOKEN_COMMAND"
            password = self._secret(variable, f"program that prints an access token for {address} (command line)", before)
            password = _checked(f"${VARIABLE}{variable}", password, parse_command, show=False)
        else:
            password = self._secret(f"MAILBOX_{number}_PASSWORD", f"password for {address}", before)
        return Seed(
            name=old.name if old else "",
            provider=provider.name if provider else name_for(address.domain),
            address=address,
            servers=servers,
            login=login,
            password=password,
            spam=self._given(f"MAILBOX_{number}_SPAM", old.spam if old else None),
        )

    def _servers(self, number: int, address: Address, old: Seed | None) -> tuple[Server, ...]:
        security = _nth(self._list("IMAP_SECURITY", self._arguments.imap_security), number)
        given = _nth(self._list("IMAP", self._arguments.imap), number)
        if old is not None:
            host, port = self._asked(f"IMAP server of {address} (host:port)", shown(old.servers[0]), parse_server)
            return (Server(host, port, old.servers[0].security if port == old.servers[0].port else usual_security(port)),)
        if given:
            host, port = _checked("--imap", given, parse_server)
            return (Server(host, port, _checked("--imap-security", security, parse_security) if security else usual_security(port)),)
        provider = provider_of(address)
        hosts = (provider.host,) if provider else guesses(address.domain)
        return tuple(
            Server(host, None, _checked("--imap-security", security, parse_security) if security else Security.TLS) for host in hosts
        )

    # --- how it is asked ----------------------------------------------------------------------------------------------

    def _lacking(self) -> list[str]:
        """Options without which nothing can be tried."""
        lacking = []
        relay, shop = self._given("RELAY", self._arguments.relay), self._given("APP_URL", self._arguments.app_url)
        if not relay and not shop:
            lacking.append("--relay HOST[:PORT] (or --app-url URL)")
        if relay and not self._given("AUTHOR", self._arguments.author):
            lacking.append("--author ADDRESS")
        if relay and self._given("RELAY_USER", self._arguments.relay_user) and not self._given("RELAY_PASSWORD", None):
            lacking.append(f"${VARIABLE}RELAY_PASSWORD")
        mailboxes = self._mailboxes()
        if not mailboxes:
            lacking.append("--mailbox ADDRESS")
        for number, address in enumerate(mailboxes, 1):
            provider = provider_of(_checked("--mailbox", address, Address.parse), self._host(number))
            kind = "TOKEN_COMMAND" if provider and provider.login is LoginMethod.XOAUTH2 else "PASSWORD"
            if not self._given(f"MAILBOX_{number}_{kind}", None):
                lacking.append(f"${VARIABLE}MAILBOX_{number}_{kind}")
        return lacking

    def _mailboxes(self) -> list[str]:
        given = self._list("MAILBOXES", self._arguments.mailbox)
        if len(given) > MAX_MAILBOXES:
            raise UsageError(f"--mailbox: {len(given)} of them; begin with at most {MAX_MAILBOXES}")
        return given

    def _host(self, number: int) -> str:
        given = _nth(self._list("IMAP", self._arguments.imap), number)
        return _checked("--imap", given, parse_server)[0] if given else ""

    def _given(self, variable: str, option: str | None) -> str:
        return (option or self._environ.get(VARIABLE + variable, "")).strip()

    def _list(self, variable: str, option: list[str] | None) -> list[str]:
        return option or re.findall(r"[^,\s]+", self._given(variable, None))

    def _text(
        self,
        option: str,
        variable: str,
        question: str,
        default: str,
        given: str | None,
        parse: Callable[[str], T],
        *,
        again: bool = False,
    ) -> T:
        """`again`: what was given did not work; the person is asked, with it as the default."""
        value = self._given(variable, given)
        if value and not again:
            return _checked(option, value, parse)
        if self._person is None:
            return _checked(option, default, parse)
        return self._asked(question, default, parse)

    def _asked(self, question: str, default: str, parse: Callable[[str], T]) -> T:
        person = self._person
        assert person is not None  # noqa: S101 - the callers looked
        while True:
            try:
                return parse(person.ask(question, default))
            except ValueError as error:
                person.say(f"{error}; again, please")

    def _secret(self, variable: str, question: str, old: str, *, need: bool = True) -> str:
        if not old and (given := self._environ.get(VARIABLE + variable, "")):
            return given
        if self._person is None:
            return ""
        typed = self._person.ask_secret(question + (" (empty: as before)" if old else "")) or old
        while need and not typed:
            typed = self._person.ask_secret(f"{question}, please")
        return typed


def _named(seeds: list[Seed]) -> tuple[Seed, ...]:
    """gmail-1, gmail-2, fastmail-1: numbered by provider."""
    counts: Counter[str] = Counter()
    named = []
    for seed in seeds:
        counts[seed.provider] += 1
        named.append(replace(seed, name=f"{seed.provider}-{counts[seed.provider]}"))
    if len({seed.address.base for seed in seeds}) < len(seeds):
        raise UsageError("--mailbox: one address stands twice; give each mailbox once")
    return tuple(named)


def _nth(given: list[str], number: int) -> str:
    """The one for mailbox `number`; a single one is for all."""
    if len(given) == 1:
        return given[0]
    return given[number - 1] if number <= len(given) else ""


def _checked(option: str, value: str, parse: Callable[[str], T], *, show: bool = True) -> T:
    try:
        return parse(value)
    except ValueError as error:
        raise UsageError(f"{option} {value!r}: {error}" if show else f"{option}: {error}") from None
