"""One table of what can become of a mail on real servers, gone through by both `mailcanary probe` and `mailcanary run`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.real.canary import HASTY, HOST, Tree
from tests.real.dovecot import Dovecot
from tests.real.postfix import Action, Asked, Postfix

DOMAIN = "mail.test"  # mailboxes that are always there
FRAIL = "frail.test"  # those of the server that goes down
AUTHSERV = f"mx.{DOMAIN}"
PASSWORD = "seed-password"
USER = f"shop@{DOMAIN}"  # who may submit with AUTH
ODD_FOLDER = "Rückläufer & Rest"


@dataclass(frozen=True, slots=True)
class World:
    """The servers of one test run."""

    postfix: Postfix
    dovecot: Dovecot
    frail: Dovecot
    ca_file: str
    password_file: str
    wrong_file: str
    closed_port: int


@dataclass(frozen=True, slots=True)
class Case:
    """What is done to the mail, and what has to be said of it. `says` must all stand in the explanation."""

    name: str
    result: str
    says: tuple[str, ...] = ()
    path: str = "relay"
    action: Action | None = None
    sieve: str = ""
    folders: tuple[str, ...] = ()  # that are there before
    alias: str = ""  # mailbox whose account gets the mail instead
    deadlines: Mapping[str, str] = field(default_factory=dict)
    imap: Mapping[str, Any] = field(default_factory=dict)
    row: Mapping[str, Any] = field(default_factory=dict)  # further keys of the report of `probe`
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        inconclusive = ("mailbox_blind", "submit_misconfigured")
        return "pass" if self.result == "pass" else "inconclusive" if self.result in inconclusive else "fail"


def greylist(_: Asked, before: int) -> str:
    """RFC 6647: the first attempt of a triplet is put off."""
    return "DUNNO" if before else "450 4.7.1 Greylisted, come again"


def vouch(dkim: str) -> str:
    """What a receiving relay writes of the mail's authentication (RFC 8601)."""
    return f"PREPEND Authentication-Results: {AUTHSERV}; spf=pass smtp.mailfrom={DOMAIN}; dkim={dkim} header.d={DOMAIN}; dmarc=pass"


FILE_INTO = 'require ["fileinto", "mailbox"]; fileinto {}"{}";'

HEALTHY = (
    Case(
        "vouched",  # plain SMTP; implicit TLS and LOGIN
        "pass",
        ("arrived in INBOX",),
        action=vouch("pass"),
        row={"authentication": {"spf": "pass", "dkim": "pass", "dmarc": "pass", "authserv_id": AUTHSERV}},
    ),
    Case("secured", "pass", ("arrived in INBOX",), path="submission", imap={"security": "starttls", "login": "plain"}),
    Case("wrapped", "pass", ("arrived in INBOX",), path="submissions", imap={"security": "plain"}),
    Case(
        "greylisted",
        "pass",
        ("arrived in INBOX",),
        action=greylist,
        row={"attempts": 2, "copies": 1},
        notes=("accepted on attempt 2",),
    ),
)

ILL = (
    Case(
        "rejected",
        "rejected",
        ("554 5.7.1", "The shop is not wanted here", "at RCPT TO"),
        action="REJECT The shop is not wanted here",
        row={"attempts": 1, "reply": None, "seen_in": None, "copies": 0},
    ),
    Case(
        "deferred",
        "deferred",
        ("gave up after", "attempts", "450 4.3.2", "Too busy for you"),
        path="impatient",
        action="450 4.3.2 Too busy for you",
        row={"seen_in": None},
    ),
    Case("held", "missing", ("250 2.0.0", "queued as", "in none of 3 folders"), action="HOLD for inspection", deadlines=HASTY),
    Case("discarded", "missing", ("250 2.0.0", "queued as", "in none of 3 folders"), action="DISCARD", deadlines=HASTY),
    Case(
        "parked",  # one line of the alias table: all mail to a temporary store
        "misrouted",
        ("arrived in INBOX of mailbox store", "not in parked"),
        alias="store",
        row={"seen_in": "store", "folder": "INBOX"},
    ),
    Case(
        "astray",
        "misrouted",
        ("arrived in INBOX of mailbox neighbour", "not in astray"),
        alias="neighbour",
        row={"seen_in": "neighbour", "folder": "INBOX"},
    ),
    Case(
        "junked",
        "spam",
        ("arrived in the spam folder", "Junk"),
        sieve=FILE_INTO.format("", "Junk"),
        row={"seen_in": "junked", "folder": "Junk", "placement": "spam"},
    ),
    Case(
        "filed",
        "misfiled",
        ("arrived in another folder", ODD_FOLDER),
        sieve=FILE_INTO.format("", ODD_FOLDER),
        folders=(ODD_FOLDER,),
        row={"seen_in": "filed", "folder": ODD_FOLDER, "placement": "other"},
    ),
    Case(
        "sorted",  # by a rule that makes its folder at the first mail, long after the watcher has listed them
        "misfiled",
        ("arrived in another folder", "Refunds"),
        sieve=FILE_INTO.format(":create ", "Refunds"),
        row={"seen_in": "sorted", "folder": "Refunds", "placement": "other"},
    ),
    Case("twice", "duplicate", ("arrived 2 times", "INBOX"), action=lambda asked, _: f"BCC {_copy(asked)}", row={"copies": 2}),
    Case(
        "doubted",
        "unauthenticated",
        (AUTHSERV, "dkim=fail"),
        path="strict",
        action=vouch("fail"),
        row={"seen_in": "doubted", "folder": "INBOX"},
    ),
    Case(
        "bounced",
        "bounced",
        ("delivery status notification says failed", "5.1.1", "User doesn't exist"),
        alias="closed",  # an account that Dovecot does not know: Postfix takes the mail and is refused by LMTP
        row={"seen_in": None, "attempts": 1},
    ),
    Case("nobody", "submit_unreachable", ("refused",), path="nowhere", row={"seen_in": None, "reply": None}),
    Case("stale", "submit_unreachable", ("certificate has expired",), path="expired", row={"seen_in": None, "reply": None}),
    Case("bare", "submit_unreachable", ("offers no STARTTLS",), path="naked", row={"seen_in": None, "reply": None}),
    Case("barred", "submit_misconfigured", ("535 5.7.8", "check the username"), path="barred", row={"attempts": 1, "reply": None}),
)

UNSEEN = (
    Case("locked", "mailbox_blind", ("auth_refused", "AUTHENTICATIONFAILED", "check the username, the secret"), imap={"wrong": True}),
    # the same server; for this name it has another certificate
    Case("expired", "mailbox_blind", ("tls", "certificate has expired"), imap={"host": "localhost"}),
)


def account(mailbox: str, who: str) -> str:
    """`probe` and `run` have accounts of their own."""
    return f"{mailbox}-{who}@{DOMAIN}"


def furnish(world: World, cases: tuple[Case, ...], who: str) -> None:
    """Accounts and faults of these cases, and the mailboxes where mail goes astray."""
    for name in ("store", "neighbour", "bounces"):
        world.dovecot.add_user(account(name, who), PASSWORD)
    for case in cases:
        address = account(case.name, who)
        world.dovecot.add_user(address, PASSWORD)
        if case.sieve:
            world.dovecot.sieve(address, case.sieve)
        for folder in case.folders:
            world.dovecot.doveadm("mailbox", "create", "-u", address, folder)
        world.postfix.treat(address, case.action)


def aliases(cases: tuple[Case, ...], *who: str) -> dict[str, str]:
    return {account(case.name, one): account(case.alias, one) for case in cases if case.alias for one in who}


def paths(world: World, who: str) -> Tree:
    """All the ways to the relay. The envelope sender is a mailbox of ours, so that delivery status notifications come home."""
    postfix = world.postfix
    common: Tree = {
        "kind": "smtp",
        "host": HOST,
        "author": f"refunds@{DOMAIN}",
        "envelope_sender": account("bounces", who),
        "locales": ["en-GB", "de-DE"],
    }
    plain = {"security": "plain", "port": postfix.smtp}
    trusting = {"ca_file": world.ca_file}
    login = {"username": USER, "password": {"file": world.password_file}}
    tagged = ["header", "plus_tag", "message_id", "body", "refund_number"]
    return {
        "relay": common | plain,
        "submission": common | trusting | login | {"security": "starttls", "port": postfix.submission, "carriers": tagged},
        "submissions": common | trusting | login | {"security": "tls", "port": postfix.submissions},
        "impatient": common | plain | {"retry_for": "2s", "attempt_timeout": "2s"},
        "once": common | plain | {"retry_for": "0s"},
        "strict": common | plain | {"require": {"dkim": ["pass"]}},
        "naked": common | trusting | plain | {"security": "starttls"},
        "barred": common
        | trusting
        | {"security": "starttls", "port": postfix.submission, "username": USER, "password": {"file": world.wrong_file}},
        "nowhere": common | plain | {"port": world.closed_port},
        "expired": common | trusting | {"security": "starttls", "port": postfix.expired},
    }


def mailbox(world: World, name: str, who: str, imap: Mapping[str, Any] | None = None, domain: str = DOMAIN, **more: Any) -> Tree:
    server = world.frail if domain == FRAIL else world.dovecot
    wanted = dict(imap or {})
    password = world.wrong_file if wanted.pop("wrong", False) else world.password_file
    security = wanted.get("security", "tls")
    how: Tree = {"host": HOST, "port": server.imaps if security == "tls" else server.imap, "security": security, **wanted}
    if security != "plain":
        how["ca_file"] = world.ca_file
    return {
        "provider": domain.partition(".")[0],
        "address": account(name, who).replace(DOMAIN, domain),
        "imap": how | {"password": {"file": password}},
        "authserv_ids": [AUTHSERV],
        **more,
    }


def mailboxes(world: World, cases: tuple[Case, ...], who: str) -> Tree:
    """The mailboxes of the cases, and those where their mail may turn up."""
    strays: Tree = {
        "store": mailbox(world, "store", who, role="holding"),
        "bounces": mailbox(world, "bounces", who, role="holding"),
        "neighbour": mailbox(world, "neighbour", who),
    }
    return strays | {case.name: mailbox(world, case.name, who, case.imap) for case in cases}


def routes(cases: tuple[Case, ...]) -> list[Tree]:
    return [{"path": case.path, "mailbox": case.name, **({"deadlines": dict(case.deadlines)} if case.deadlines else {})} for case in cases]


def _copy(asked: Asked) -> str:
    local, _, domain = asked.recipient.partition("@")
    return f"{local.partition('+')[0]}+copy@{domain}"
