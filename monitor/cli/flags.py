"""The options of single commands that have many. Imports nothing: `mailcanary --help` reads it."""

from __future__ import annotations

import argparse

SECURITY = ("tls", "starttls", "plain")


def of_init(init: argparse.ArgumentParser) -> None:
    init.add_argument("--output", default="mailcanary.yaml", metavar="FILE", help="what to write (default: %(default)s)")
    init.add_argument("--force", action="store_true", help="overwrite FILE")
    init.add_argument("--yes", action="store_true", help="never ask: answers come from options and MAILCANARY_INIT_*")
    init.add_argument("--environment", metavar="NAME", help="which of the shop's environments, e.g. production")
    init.add_argument("--relay", metavar="HOST[:PORT]", help="the relay that refund mail is submitted to")
    init.add_argument("--relay-security", choices=SECURITY, help="how the relay is spoken to")
    init.add_argument("--relay-user", metavar="NAME", help="whom the relay knows us as")
    init.add_argument("--author", metavar="ADDRESS", help="the author address of refund mail")
    init.add_argument("--app-url", metavar="URL", help="the shop's endpoint for synthetic refunds")
    init.add_argument("--mailbox", action="append", metavar="ADDRESS", help="a seed mailbox (may be repeated)")
    init.add_argument("--imap", action="append", metavar="HOST[:PORT]", help="its IMAP server, in the order of --mailbox (may be repeated)")
    init.add_argument("--imap-security", action="append", choices=SECURITY, help="how that is spoken to (may be repeated)")
    init.add_argument("--ca-file", metavar="FILE", help="certificates to trust besides the system's")
    init.add_argument("--secrets", default="secrets", metavar="DIR", help="where passwords and keys are put (default: %(default)s)")
    init.add_argument("--no-probe", action="store_true", help="submit nothing while trying")


def of_probe(probe: argparse.ArgumentParser) -> None:
    probe.add_argument("--path", action="append", metavar="NAME", help="only this path (may be repeated)")
    probe.add_argument("--mailbox", action="append", metavar="NAME", help="only this mailbox (may be repeated)")
    probe.add_argument("--deadline", metavar="TIME", help="prove absence after this time instead of deadlines.missing, e.g. 90s")
    probe.add_argument("--state-dir", metavar="DIR", help="where one-shot probes keep their journal (default: below $XDG_STATE_HOME)")


def of_deployed(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--service", default="", metavar="NAME", help="what is deployed, e.g. checkout-api")
    sub.add_argument("--version", default="", metavar="VERSION", help="which version runs afterwards")
    sub.add_argument("--sha", default="", metavar="SHA", help="its commit")


def of_words(
    ack: argparse.ArgumentParser,
    silence: argparse.ArgumentParser,
    unsilence: argparse.ArgumentParser,
    resolve: argparse.ArgumentParser,
    note: argparse.ArgumentParser,
) -> None:
    """What a person may say of an incident."""
    ack.add_argument("--text", default="", help="what you are doing")
    silence.add_argument("--for", required=True, dest="length", metavar="TIME", help="for how long, e.g. 2h; at most 24h")
    for sub in (silence, resolve):
        sub.add_argument("--reason", required=True, help="why, for whoever reads the timeline")
    unsilence.add_argument("--reason", default="", help="why, for whoever reads the timeline")
    note.add_argument("text", help="the line")


def of_silences(listed: argparse.ArgumentParser, ended: argparse.ArgumentParser) -> None:
    listed.add_argument("--all", action="store_true", help="the latest that are over, too")
    ended.add_argument("silence", metavar="ID", help="its id, e.g. SIL-3")
    ended.add_argument("--reason", default="", help="why")


def of_silence(planned: argparse.ArgumentParser) -> None:
    planned.add_argument("--for", required=True, dest="length", metavar="TIME", help="for how long, e.g. 2h; at most 24h")
    planned.add_argument(
        "--from", default="", dest="begins", metavar="TIME", help="when it begins, as ISO 8601 (default: now); at most 30 days ahead"
    )
    planned.add_argument(
        "--scope",
        action="append",
        metavar="SCOPE",
        help="path:NAME, provider:NAME, mailbox:NAME, domain:NAME, deploy:ID, ledger or all (may be repeated; or name a --symptom)",
    )
    planned.add_argument("--symptom", action="append", metavar="NAME", help="e.g. spam_placement (may be repeated; default: all)")
    planned.add_argument("--reason", required=True, help="why, for whoever wonders at the quiet")


def of_status(status: argparse.ArgumentParser) -> None:
    text = "draw it again and again until q (exit 0) or Ctrl-C (exit 130); a line for each change where stdout is no terminal, or json"
    status.add_argument("--watch", action="store_true", help=text)


def of_incident_report(report: argparse.ArgumentParser) -> None:
    report.add_argument("--format", choices=("md", "html", "json"), default="md", help="what is written (default: %(default)s)")
    report.add_argument("--output", metavar="FILE", help="write it there, whole or not at all (default: stdout)")


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


def of_rows(sub: argparse.ArgumentParser) -> None:
    """How the rows of a file are to be read."""
    sub.add_argument("--columns", action="append", metavar="FIELD=COLUMN,…", help="our field = their column, where names differ")
    sub.add_argument("--delimiter", metavar="CHAR", help="between the fields of CSV, or `tab` (default: found out from the header)")
    sub.add_argument("--decimal", choices=(".", ","), default=".", help="before the cents (default: %(default)s)")
    sub.add_argument("--minor-units", action="store_true", help="amounts are whole numbers of the smallest unit: 1250 is 12.50")
    sub.add_argument("--negative", action="store_true", help="refunds are written as negative amounts")
    sub.add_argument("--currency", metavar="CODE", help="where rows name none, e.g. EUR")
    sub.add_argument(
        "--time-zone", default="UTC", metavar="ZONE", help="of times that bear none, e.g. Europe/Berlin (default: %(default)s)"
    )
    sub.add_argument(
        "--time-format", metavar="FORMAT", help="of strptime, e.g. %%d.%%m.%%Y (default: ISO 8601, or seconds since the epoch)"
    )
    sub.add_argument("--statuses", action="append", metavar="WORD=MEANING,…", help="their words for processed, reversed or ignored")


def of_comparison(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("refunds", nargs="?", metavar="REFUNDS", help="CSV or JSONL, also packed with gzip; - is the standard input")
    sub.add_argument("confirmations", nargs="?", metavar="CONFIRMATIONS", help="likewise")
    of_rows(sub)
    sub.add_argument("--refund-columns", action="append", metavar="FIELD=COLUMN,…", help="as --columns, of the refunds only")
    sub.add_argument("--confirmation-columns", action="append", metavar="FIELD=COLUMN,…", help="as --columns, of the confirmations only")
    for side in ("refund", "confirmation"):
        text = f"as the flag of that name, of the {side}s only: decimal=, or minor_units=true (may be repeated)"
        sub.add_argument(f"--{side}-option", action="append", metavar="OPTION=VALUE", help=text)
    sub.add_argument("--match", choices=("refund", "order"), help="by which number (default: refund, or that of --config)")
    sub.add_argument("--confirm-within", metavar="TIME", help="from a refund until its confirmation must be there (default: 1h)")
    sub.add_argument("--refund-within", metavar="TIME", help="from a confirmation until its refund must be there (default: 15m)")
    sub.add_argument("--as-of", metavar="TIME", help="what happened until then is all in the files (default: the newest row of either)")
    sub.add_argument("--format", choices=("text", "csv", "json"), default="text", help="what stdout is (default: %(default)s)")
    sub.add_argument("--output", metavar="FILE", help="write all differences there, as CSV or JSON by its name")


def of_differences(sub: argparse.ArgumentParser) -> None:
    kinds = ("missing", "spurious", "amount", "currency", "recipient", "duplicate", "mismatched")
    sub.add_argument("--kind", action="append", choices=kinds, help="only these (may be repeated)")
    sub.add_argument("--since", metavar="TIME", help="found since then, as ISO 8601")
    sub.add_argument("--incident", metavar="ID", help="only what this incident is about")
    sub.add_argument("--all", action="store_true", help="those that are settled, too")
    sub.add_argument("--format", choices=("text", "csv", "json"), default="text", help="what stdout is (default: %(default)s)")


def of_purge(sub: argparse.ArgumentParser) -> None:
    which = sub.add_mutually_exclusive_group(required=True)
    which.add_argument("--before", metavar="TIME", help="what is older, as ISO 8601; open differences stay")
    which.add_argument("--recipient", metavar="-", help="one person, whose address stands on the standard input")
    sub.add_argument("--yes", action="store_true", help="do not ask")


def of_import(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("file", metavar="FILE", help="CSV or JSONL, also packed with gzip; - is the standard input")
    side = sub.add_mutually_exclusive_group(required=True)
    side.add_argument("--refunds", action="store_true", help="the rows are refunds")
    side.add_argument("--confirmations", action="store_true", help="the rows are confirmations")
    sub.add_argument("--source", metavar="NAME", help="which source of kind push it is for, where there are several")
    sub.add_argument("--columns", action="append", metavar="FIELD=COLUMN,…", help="our field = their column, where names differ")
    sub.add_argument("--delimiter", metavar="CHAR", help="between the fields of CSV, or `tab` (default: found out from the header)")


def of_notify_log(log: argparse.ArgumentParser) -> None:
    log.add_argument("--incident", default="", metavar="ID", help="only of this one, e.g. INC-12")
    log.add_argument("--channel", default="", metavar="NAME", help="only by this channel")
    log.add_argument("--limit", default="100", metavar="NUMBER", help="so many rows at most, 1 to 1000 (default: %(default)s)")
