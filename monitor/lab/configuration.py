"""A mailcanary configuration for a lab: what an engineer would write for these servers, with deadlines of seconds.

Written as JSON, which is YAML too. The one secret of the lab, its password, goes to a file beside it.
"""

from __future__ import annotations

import copy
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monitor.lab.books import NUMBER

Tree = dict[str, Any]

RAPID: Tree = {
    "schedule": {"every": "10s", "jitter": "0%"},
    "deadlines": {"overdue_floor": "1s", "late": "5s", "missing": "8s", "give_up": "12s", "watch_until": "30s"},
    "submission": {"attempt_timeout": "5s", "retry_backoff": "1s", "retry_for": "20s", "unreachable_for": "2s"},
    "budgets": {"per_path": 100_000, "per_mailbox": 100_000},
    "watch": {
        "sweep_after": "500ms",
        "poll_every": "10s",
        "idle_renew": "60s",
        "command_timeout": "5s",
        "reconnect_min": "100ms",
        "reconnect_max": "1s",
    },
}


def configuration(description: Mapping[str, Any], secret_file: Path, state_dir: Path, security: str = "starttls", port: int = 0) -> Tree:
    """The tree of a configuration with an app path, a bare SMTP path, every seed, the holding mailbox, and a tripwire for each stranger.

    `description` is LabDescription.as_json(); `security` plain, starttls or tls for SMTP and IMAP; `port` of our own HTTP surface.
    """
    secret = {"file": str(secret_file)}
    relay = description["relay"]
    trusted = {} if security == "plain" else {"ca_file": description["ca_file"]}
    bare: Tree = {
        "kind": "smtp",
        "host": relay["host"],
        "port": relay[security],
        "security": security,
        **trusted,
        "author": f"refunds@{description['shop_domain']}",
        "author_name": "Harbour & Pine",
        "envelope_sender": description["bounces"],
        "locales": ["en-GB", "de-DE"],
        "carriers": ["header", "message_id", "body", "refund_number"],
    }
    if relay["username"]:
        bare |= {"username": relay["username"], "password": secret}
    app: Tree = {
        "kind": "http",
        "url": description["shop_url"],
        "headers": {"Idempotency-Key": "{{ probe_id }}"},
        "body": {
            "synthetic": True,
            "refund": {
                "number": "{{ refund_number }}",
                "order": "{{ order_number }}",
                "amount": "{{ amount_value }}",
                "currency": "{{ currency }}",
            },
            "customer": {"name": "{{ customer_name }}", "email": "{{ recipient }}", "locale": "{{ locale }}"},
            "carriers": {"header": "{{ token }}", "marker": "{{ token }}"},
        },
        "refund_id": "/refund_id",
        "version": "header:X-App-Version",
        "locales": ["en-GB", "de-DE"],
        "carriers": ["header", "body", "refund_number"],
    }
    mailboxes: Tree = {}
    strangers = description["strangers"]
    for provider in description["providers"]:
        addresses = [account["address"] for account in provider["accounts"] if account["address"] not in description["customers"]]
        name = provider["domain"].partition(".")[0]
        for number, address in enumerate((address for address in addresses if address not in strangers), 1):
            mailboxes[f"{name}-{number}"] = _mailbox(provider, name, address, security, trusted, secret)
        for address in (address for address in addresses if address in strangers):
            tripwire = _mailbox(provider, name, address, security, trusted, secret) | {"role": "tripwire"}
            mailboxes[f"tripwire-{strangers.index(address) + 1}"] = tripwire
    mailboxes["holding"] = _mailbox(description["shop_mail"], "shop", description["holding"], security, trusted, secret) | {
        "role": "holding"
    }
    ours = {"sending_domains": [description["shop_domain"]]} if strangers else {}
    return {
        **copy.deepcopy(RAPID),
        **ours,
        **({"ledger": _ledger(Path(description["books"]), secret)} if description["books"] else {}),
        "inspect": {
            "every": "10s",
            "timeout": "2s",
            "resolvers": [f"{description['host']}:{description['dns_port']}"],
            "port": description["dns_port"],
            "private_addresses": True,
            "transport": False,  # the lab's providers have no port 25
        },
        "environment": "lab",
        "instance": "canary-1",
        "signing": {"keys": [{"number": 1, "secret": secret}]},
        "state_dir": str(state_dir),
        "listen": {"host": "127.0.0.1", "port": port or 9464},
        "paths": {"app": app, "bare-smtp": bare},
        "mailboxes": mailboxes,
    }


def _ledger(books: Path, secret: Tree) -> Tree:
    """The shop's own book of refunds beside the log of its relay."""
    return {
        "key": secret,
        "refunds": {"shop": {"kind": "files", "path": str(books / "refunds.jsonl"), "every": "500ms"}},
        "confirmations": {"relay-log": {"kind": "postfix", "path": str(books / "mail.log"), "number": NUMBER, "every": "500ms"}},
        "confirm_within": "4s",
        "refund_within": "3s",
        "every": "1s",
    }


def write_configuration(tree: Tree, directory: Path, password: str) -> Path:
    """Write tree and secret into `directory`; returns the configuration file."""
    (directory / "secret").write_text(password + "\n")
    (directory / "secret").chmod(0o600)
    path = directory / "mailcanary.yaml"
    path.write_text(json.dumps(tree, indent=2, ensure_ascii=False) + "\n")
    return path


def free_secret() -> str:
    """A password for a lab that is long enough to sign tokens too."""
    return secrets.token_hex(16)


def _mailbox(imap: Mapping[str, Any], provider: str, address: str, security: str, trusted: Tree, secret: Tree) -> Tree:
    return {
        "provider": provider,
        "address": address,
        "imap": {"host": imap["host"], "port": imap[security], "security": security, **trusted, "password": secret},
        "folders": {"spam": [imap["junk"]]},
        "authserv_ids": [imap["authserv_id"]],
    }
