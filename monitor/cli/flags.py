"""The options of single commands that have many. Imports nothing: `mailcanary --help` reads it."""

from __future__ import annotations

import argparse


def of_audit(audit: argparse.ArgumentParser) -> None:
    audit.add_argument("domain", nargs="*", metavar="DOMAIN", help="a sending domain (default: those of the configuration)")
    audit.add_argument("--domains", metavar="FILE", help="domains, one on each line; # begins a remark")
    _of_sending(audit)
    _of_resolving(audit)
    audit.add_argument(
        "--format", choices=("text", "json", "junit", "markdown"), default="text", help="what stdout is (default: %(default)s)"
    )
    for form in ("json", "junit", "markdown"):
        audit.add_argument(f"--{form}", metavar="FILE", help=f"write the {form} report there, too")
    audit.add_argument("--strict", action="store_true", help="warnings fail, too")
    audit.add_argument("--only", metavar="IDS", help="only these checks, e.g. SPF-07,DKIM; without the answers of providers")
    audit.add_argument("--all", action="store_true", help="show what passed, too")
    audit.add_argument(
        "--server",
        metavar="URL",
        help="learn from this daemon, which must answer (default: $MAILCANARY_SERVER, or that of the configuration)",
    )
    audit.add_argument(
        "--approve",
        nargs="?",
        const="",
        metavar="DIGEST",
        help="what the daemon observed last is right: make it the baseline; shows the change and asks, or takes the digests that it told",
    )
    audit.add_argument("--note", help="with --approve: why, for whoever looks at it later")
    audit.add_argument("--by", metavar="NAME", help="with --approve: who (default: $USER)")


def _of_sending(audit: argparse.ArgumentParser) -> None:
    """What is left out is taken from the configuration, or learned from delivered probes."""
    for flag, metavar, text in (
        ("--egress", "IP", "an address that mail leaves from"),
        ("--selector", "NAME", "a DKIM selector in use"),
        ("--retired", "NAME", "a selector that no longer signs"),
        ("--mail-from", "DOMAIN", "a domain of the envelope sender"),
        ("--helo", "NAME", "a name given in EHLO"),
        ("--profile", "NAME", "whose demands count: gmail, yahoo, outlook, apple, protected"),
    ):
        audit.add_argument(flag, action="append", metavar=metavar, help=f"{text} (may be repeated)")


def _of_resolving(audit: argparse.ArgumentParser) -> None:
    audit.add_argument("--resolver", action="append", metavar="ADDR[:PORT]", help="a DNS server to ask (default: the system's)")
    audit.add_argument("--timeout", metavar="TIME", help="of one question to the DNS, all resolvers together (default: 5s)")
    audit.add_argument("--dns-port", type=int, metavar="N", help="port of authoritative DNS servers; only a lab has another")
    audit.add_argument("--no-transport", action="store_true", help="connect to no mail server")
    audit.add_argument("--smtp-port", type=int, metavar="N", help="port of MX hosts; only a lab has another")
    audit.add_argument("--private-addresses", action="store_true", help="private and loopback addresses are no fault")


def of_gate_policy(run: argparse.ArgumentParser) -> None:
    run.add_argument("--policy", metavar="NAME|FILE", help="quick, standard, deep, of gates.policies, or a file (default: gates.policy)")
    run.add_argument("--routes", metavar="A,B", help="only these: names of paths, mailboxes or path/mailbox")
    run.add_argument("--probes", metavar="N", type=int, help="so many of a class pass, none adverse; with one, twice as many")
    run.add_argument("--min-routes", metavar="N", type=int, help="routes that must have shown something")
    run.add_argument("--deadline", metavar="TIME", help="prove absence after this time instead of deadlines.missing, e.g. 180s")
    run.add_argument("--control", choices=("stable", "none"), help="compare with what other versions served, or with nothing")
    run.add_argument("--trust-target", action="store_true", help="what does not tell its version is the version under test")
    until = run.add_mutually_exclusive_group()
    until.add_argument(
        "--advisory-until", metavar="TIME", help="block nothing until then, at most 24h ahead (ISO 8601); every output says it"
    )
    until.add_argument("--advisory", metavar="TIME", help="block nothing for so long, e.g. 2h; at most 24h")
    run.add_argument("--no-notify", action="store_true", help="open no ticket when it does not pass")


def of_waiting(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "--timeout",
        metavar="TIME",
        help="wait so long for the decision, then say pending and exit 3 (default: the policy's, which ends an attempt)",
    )
    run.add_argument(
        "--on-inconclusive",
        choices=("block", "hold"),
        default="block",
        help="exit 3 at once, or ask again with pooled evidence until --timeout, without it for twice the policy's (default: %(default)s)",
    )
    run.add_argument("--no-wait", action="store_true", help="only begin: exit 0 while it runs, by the verdict when it is decided already")
