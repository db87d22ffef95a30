"""The lab as one thing: builds the stores and servers, wires them on loopback, and describes them to others."""

import asyncio
import contextlib
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme

from monitor.lab.books import Books
from monitor.lab.control import control_application
from monitor.lab.dns import DnsServer, Trouble, default_zones
from monitor.lab.faults import Fault, FaultBoard, FaultState, Scope
from monitor.lab.imap import ImapServer
from monitor.lab.providers import DEFAULT_PROVIDERS, SHOP, Provider
from monitor.lab.receiver import RELAY_HOST, Receiver
from monitor.lab.relay import Relay
from monitor.lab.shop import PATHS as SHOP_PATHS
from monitor.lab.shop import Shop, Version, serve_http
from monitor.lab.signing import SELECTOR, key_record
from monitor.lab.smtp import SmtpServer
from monitor.lab.store import Account, MailStore, UnknownMailbox

MAX_MAILBOXES = 1_000  # per provider
MOST_NAMED = 10  # of what there is, in one refusal
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class LabSpec:
    """What to build. extra_accounts are further addresses, in the domain of a provider or of the shop; so are the strangers, people who
    never bought anything: version v4 of the shop mails them refund confirmations all the same. customers
    have accounts too, and are nobody's seeds. books: a directory in which the shop and its
    relay write down what they did."""

    mailboxes_per_provider: int = 2
    providers: tuple[Provider, ...] = DEFAULT_PROVIDERS
    password: str = "lab password"
    smtp_credentials: tuple[str, str] | None = None
    announcement_delay: float = 0.0
    sending_domains: tuple[str, ...] = (SHOP.domain,)
    extra_accounts: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    customers: tuple[str, ...] = ()
    books: Path | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.mailboxes_per_provider <= MAX_MAILBOXES:
            raise ValueError(f"mailboxes_per_provider must be between 1 and {MAX_MAILBOXES}")
        if not 0 <= self.announcement_delay <= 60:
            raise ValueError("announcement_delay must be between 0 and 60 seconds")
        for address in (*self.extra_accounts, *self.strangers, *self.customers):
            self.host_of(address)

    def host_of(self, address: str) -> Provider:
        """The provider in whose domain an address lies; ValueError when there is none."""
        domain = address.rpartition("@")[2].lower()
        for provider in (*self.providers, SHOP):
            if domain in (provider.domain, *provider.extra_domains):
                return provider
        raise ValueError(f"no provider of the lab hosts {address}")


@dataclass(frozen=True, slots=True)
class ImapDescription:
    """One IMAP service with its accounts."""

    domain: str
    host: str
    plain: int
    starttls: int
    tls: int
    authserv_id: str
    special_use: bool
    junk: str
    folders: tuple[str, ...]
    accounts: tuple[dict[str, str], ...]


@dataclass(frozen=True, slots=True)
class RelayDescription:
    """The SMTP relay."""

    host: str
    plain: int
    starttls: int
    tls: int
    username: str | None
    password: str | None


@dataclass(frozen=True, slots=True)
class LabDescription:
    """Where everything is; `providers` are those with seed mailboxes, `shop_mail` hosts holding and bounces. `strangers` are addresses
    that must never get refund mail; they have accounts at the providers too."""

    host: str
    ca_file: str
    relay: RelayDescription
    providers: tuple[ImapDescription, ...]
    shop_mail: ImapDescription
    holding: str
    bounces: str
    shop_domain: str
    shop_url: str
    control_url: str
    dns_port: int
    strangers: tuple[str, ...] = ()
    customers: tuple[str, ...] = ()
    books: str = ""  # a directory; empty: nothing is written down

    def as_json(self) -> dict[str, Any]:
        """As one JSON-ready object."""
        return asdict(self)


class Lab:
    """`async with Lab(LabSpec()) as lab:` — everything is up inside the block, and gone after it."""

    def __init__(self, spec: LabSpec | None = None) -> None:
        self.spec = spec or LabSpec()
        self.faults = FaultBoard()
        self.store = MailStore()
        self.dns = DnsServer()
        self.holding = f"holding@store.{SHOP.domain}"
        self.bounces = f"bounces@{SHOP.domain}"
        self._open_accounts()
        books = Books(self.spec.books) if self.spec.books is not None else None
        self.relay = Relay(self.store, self.faults, self.spec.sending_domains, Receiver(self.dns), books)
        self.shop = Shop(self.relay, self.faults, SHOP.domain, self.holding, self.spec.strangers, books)
        self.faults.subscribe(self._on_fault_switched)
        self._exit = contextlib.AsyncExitStack()

    def _open_accounts(self) -> None:
        for provider in self.spec.providers:
            for number in range(1, self.spec.mailboxes_per_provider + 1):
                self.store.add_account(f"seed{number}@{provider.domain}", self.spec.password, provider)
        self.store.add_account(self.holding, self.spec.password, SHOP)
        self.store.add_account(self.bounces, self.spec.password, SHOP)
        for address in (*self.spec.extra_accounts, *self.spec.strangers, *self.spec.customers):
            self.store.add_account(address, self.spec.password, self.spec.host_of(address))

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="mailcanary-lab-"))
            ca_file = Path(directory) / "ca.pem"
            tls = _server_context(ca_file)
            self.imap = {
                provider.domain: ImapServer(provider, self.store, self.faults, tls, self.spec.announcement_delay)
                for provider in (*self.spec.providers, SHOP)
            }
            self.smtp = SmtpServer(self.relay, self.faults, tls, self.spec.smtp_credentials)
            for imap in self.imap.values():
                stack.push_async_callback(imap.close)
                await imap.start()
            stack.push_async_callback(self.smtp.close)
            await self.smtp.start()
            stack.push_async_callback(self.dns.close)
            await self.dns.start()
            stack.callback(self.relay.close)
            stack.push_async_callback(self.shop.close)
            domains = tuple(provider.domain for provider in self.spec.providers)
            for origin, text in default_zones(domains, self._sending_domains, RELAY_HOST, key_record()).items():
                self.dns.set_zone(origin, text)
            shop_port = await stack.enter_async_context(serve_http(self.shop.application()))
            control_port = await stack.enter_async_context(serve_http(control_application(self)))
            self.description = self._describe(str(ca_file), shop_port, control_port)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._exit.aclose()
        await asyncio.sleep(0)  # transports that were just aborted report their end in the next turn

    async def switch_on(self, fault: Fault, scope: Scope | None = None, **params: Any) -> None:
        """Switch a fault on; when this returns, it is in force. ValueError for a scope that names what is not there."""
        self.faults.switch_on(FaultState(fault, self._placed(scope or Scope()), **params))
        await self._apply_faults()

    async def switch_off(self, fault: Fault, scope: Scope | None = None) -> None:
        """Switch a fault off, in one scope or in all."""
        self.faults.switch_off(fault, self._placed(scope) if scope is not None else None)
        await self._apply_faults()

    async def clear_faults(self) -> None:
        """Switch everything off."""
        self.faults.clear()
        await self._apply_faults()

    def _placed(self, scope: Scope) -> Scope:
        """As the servers ask: a provider may be named by its domain or by its first label, a mailbox by any address of its account."""
        provider, mailbox, path = scope.provider, scope.mailbox, scope.path
        domains = list(self.imap)
        if provider is not None:
            named = str(provider).lower()
            provider = next((domain for domain in domains if named in (domain, domain.partition(".")[0])), None)
            if provider is None:
                raise _absent("provider", scope.provider, domains)
        if mailbox is not None:
            try:
                mailbox = self.store.resolve(str(mailbox)).address
            except UnknownMailbox:
                raise _absent("mailbox", mailbox, list(self.store.accounts)) from None
        if path is not None and path not in (paths := [*SHOP_PATHS, "smtp", *self.smtp.listeners]):
            raise _absent("path", path, paths)
        return Scope(provider, mailbox, path)

    def deploy(self, version: str) -> None:
        """Put a version of the shop live; ValueError for one that does not exist."""
        self.shop.deploy(Version(version))

    async def _apply_faults(self) -> None:
        down, broken = self.faults.find(Fault.DNS_DOWN), self.faults.find(Fault.DNS_SERVFAIL)
        self.dns.trouble = Trouble.DROP if down else Trouble.SERVFAIL if broken else None
        for server in self.imap.values():
            await server.apply_faults()
        await self.smtp.apply_faults()

    @property
    def _sending_domains(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((SHOP.domain, *self.spec.sending_domains)))

    def _on_fault_switched(self, fault: Fault) -> None:
        """UIDVALIDITY_CHANGE is an event, not a state: do it, and switch it off."""
        if fault is Fault.KEY_GONE:
            self._publish_keys(gone=self.faults.find(fault) is not None)
        if fault is not Fault.UIDVALIDITY_CHANGE:
            return
        states = [state for state in self.faults.active if state.fault is fault]
        for state in states:
            for account in self.store.accounts.values():
                if state.scope.covers(account.provider.domain, account.address, ()):
                    self.store.renew_uidvalidity(account.folder(state.folder or "INBOX") or account.folders["INBOX"])
            self.faults.switch_off(fault, state.scope)

    def _publish_keys(self, *, gone: bool) -> None:
        for domain in self._sending_domains:
            name = f"{SELECTOR}._domainkey.{domain}"
            if gone:
                self.dns.drop_record(name, "TXT")
            else:
                self.dns.restore_records(name)

    def _describe(self, ca_file: str, shop_port: int, control_port: int) -> LabDescription:
        smtp = {name: listener.port for name, listener in self.smtp.listeners.items()}
        user, password = self.spec.smtp_credentials or (None, None)
        return LabDescription(
            host=HOST,
            ca_file=ca_file,
            relay=RelayDescription(HOST, smtp["plain"], smtp["starttls"], smtp["tls"], user, password),
            providers=tuple(self._describe_imap(provider) for provider in self.spec.providers),
            shop_mail=self._describe_imap(SHOP),
            holding=self.holding,
            bounces=self.bounces,
            shop_domain=SHOP.domain,
            shop_url=f"http://{HOST}:{shop_port}/internal/refunds",
            control_url=f"http://{HOST}:{control_port}",
            dns_port=self.dns.port,
            strangers=tuple(address.lower() for address in self.spec.strangers),
            customers=tuple(address.lower() for address in self.spec.customers),
            books=str(self.spec.books or ""),
        )

    def _describe_imap(self, provider: Provider) -> ImapDescription:
        ports: Mapping[str, int] = {name: at.port for name, at in self.imap[provider.domain].listeners.items()}
        mine: list[Account] = [account for account in self.store.accounts.values() if account.provider is provider]
        return ImapDescription(
            domain=provider.domain,
            host=HOST,
            plain=ports["plain"],
            starttls=ports["starttls"],
            tls=ports["tls"],
            authserv_id=provider.authserv_id,
            special_use=provider.special_use,
            junk=provider.junk,
            folders=tuple(spec.name for spec in provider.folders if "\\Noselect" not in spec.attributes),
            accounts=tuple({"address": account.address, "password": account.password} for account in mine),
        )


def _absent(what: str, named: object, there: list[str]) -> ValueError:
    more = f" and {len(there) - MOST_NAMED} more" if len(there) > MOST_NAMED else ""
    return ValueError(f"the lab has no {what} {named!r}; there are: {', '.join(there[:MOST_NAMED])}{more}")


def _server_context(ca_file: Path) -> ssl.SSLContext:
    """One shared context of a throw-away authority (each context costs some 30 ms and 0.8 MB)."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, "localhost").configure_cert(context)
    return context
