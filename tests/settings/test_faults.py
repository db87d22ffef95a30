"""One bad file a fault, with the exact line that the engineer sees."""
# ruff: noqa: E501

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.settings import SettingsError, load
from tests.settings.conftest import ENVIRON, GOOD, FakeSecrets, changed

AUTHOR = "    author: refunds@example.com\n"
GMAIL = "      password: {env: GMAIL}\n"
HOST = "    host: smtp.example.com\n"
HTTP = """\
  app:
    kind: http
    url: https://shop.example.com/refunds
"""
COMMAND = """\
  job:
    kind: command
    command: [sh, -c, "exit 0"]
"""
MAILBOXES = "mailboxes:\n"
KEY = "    - {number: 1, secret: {env: KEY}}\n"


def _path(extra: str) -> str:
    return changed((AUTHOR, AUTHOR + extra))


def _box(extra: str) -> str:
    return changed((GMAIL, GMAIL + extra))


def _http(extra: str) -> str:
    return changed((MAILBOXES, HTTP + extra + MAILBOXES))


def _command(extra: str) -> str:
    return changed((MAILBOXES, COMMAND + extra + MAILBOXES))


def _tripwire(extra: str) -> str:
    return changed(("    provider: fastmail\n", "    provider: fastmail\n    role: tripwire\n" + extra))


def _notify(extra: str) -> str:
    """Two channels, and what stands beside them from line 28 on."""
    hooks = "".join(f"    {name}: {{kind: webhook, url: 'https://hooks.example.com/x'}}\n" for name in ("oncall", "chat"))
    return changed(("", f"notify:\n  channels:\n{hooks}{extra}"))


def _end(extra: str) -> str:
    return changed(("", extra))


WORDS_SECRET = "move the secret out of this file and write {env: NAME} or {file: PATH}"
NO_VALUE = "has no value; give it one, or remove the key to get the default"
RANGE = "is out of bounds; write"

ONE_FAULT = {
    # --- keys
    "unknown key": (_path("    hots: x\n"), "config.yaml:11: paths.relay.hots: unknown key; did you mean host?"),
    "unknown key without a near one": (
        _box("  zzz: 1\n"),
        "config.yaml:18: mailboxes.zzz: is a number where a mapping is wanted; write `key: value` lines below it",
    ),
    "unknown key lists the known": (
        changed(("    - {number: 1,", "    - {number: 1, zzz: 1,")),
        "config.yaml:5: signing.keys.0.zzz: unknown key; remove it; known here: number, secret",
    ),
    "key of a section below": (
        _path("mailboxes.x: 1\n").replace("mailboxes.x: 1", "every: 5m"),
        "config.yaml:11: every: unknown key; write it under schedule:",
    ),
    "key of the level above": (_end("schedule:\n  drain: 5s\n"), "config.yaml:25: schedule.drain: unknown key; write it at the top level"),
    "key beside its section": (_box("    port: 993\n"), "config.yaml:18: mailboxes.gmail-1.port: unknown key; write it under imap:"),
    "merge key": (
        _path("    <<: {helo: x}\n"),
        "config.yaml:11: paths.relay.<<: unknown key; merge keys are not read; write the keys out or alias a whole value",
    ),
    "missing key": (
        changed((AUTHOR, "")),
        "config.yaml:7: paths.relay.author: is missing; write author: refunds@example.com",
    ),
    "missing key, misspelt": (
        changed((GMAIL, "      passwrd: {env: GMAIL}\n")),
        "config.yaml:17: mailboxes.gmail-1.imap.passwrd: unknown key; did you mean password?",
    ),
    "missing at the top": (changed(("instance: canary-1\n", "")), "config.yaml:1: instance: is missing; write instance: canary-1"),
    "duplicate key": (_path(HOST), "config.yaml:11: paths.relay.host: stands twice, first on line 9; keep one of them"),
    "duplicate key at the top": (_end("environment: x\n"), "config.yaml:24: environment: stands twice, first on line 1; keep one of them"),
    "duplicate key in braces": (
        changed(("{number: 1,", "{number: 1, number: 2,")),
        "config.yaml:5: signing.keys.0.number: stands twice, first on line 5; keep one of them",
    ),
    "no value": (_path("    helo:\n"), f"config.yaml:11: paths.relay.helo: {NO_VALUE}"),
    "no value: null": (_path("    password: null\n"), f"config.yaml:11: paths.relay.password: {NO_VALUE}"),
    "no value: section": (_end("schedule:\n"), f"config.yaml:24: schedule: {NO_VALUE}"),
    "no value: list": (_end("routes:\n"), f"config.yaml:24: routes: {NO_VALUE}"),
    "no value: member of a list": (_path("    locales:\n    -\n"), f"config.yaml:12: paths.relay.locales.0: {NO_VALUE}"),
    "text for a mapping": (
        _end("watch: often\n"),
        "config.yaml:24: watch: is text where a mapping is wanted; write `key: value` lines below it",
    ),
    "list for a mapping": (
        changed(("    imap:\n      host: imap.gmail.com\n" + GMAIL, "    imap: [imap.gmail.com]\n")),
        "config.yaml:15: mailboxes.gmail-1.imap: is a list where a mapping is wanted; write `key: value` lines below it",
    ),
    "text for a list": (
        _path("    carriers: header\n"),
        "config.yaml:11: paths.relay.carriers: is text where a list is wanted; write [one, two]",
    ),
    "mapping for a list": (
        _path("    carriers: {header: true}\n"),
        "config.yaml:11: paths.relay.carriers: is a mapping where a list is wanted; write [one, two]",
    ),
    "empty list": (_path("    carriers: []\n"), "config.yaml:11: paths.relay.carriers: is empty; write at least one or remove the key"),
    "kind missing": (
        changed(("    kind: smtp\n", "")),
        "config.yaml:7: paths.relay: kind is missing; write kind: smtp, kind: http or kind: command",
    ),
    "kind unknown": (
        changed(("kind: smtp", "kind: uucp")),
        "config.yaml:7: paths.relay: kind is not one of the known words; write kind: smtp, kind: http or kind: command",
    ),
    "path no mapping": (
        changed((HOST + AUTHOR, ""), ("  relay:\n    kind: smtp\n", "  relay: smtp.example.com\n")),
        "config.yaml:7: paths.relay: is text where a mapping is wanted; write `key: value` lines below it",
    ),
    # --- YAML 1.1
    "no": (
        _box("    plus_tags: no\n"),
        "config.yaml:18: mailboxes.gmail-1.plus_tags: is neither true nor false; write true or false (yes, no, on and off are plain text here)",
    ),
    "True": (
        _box("    clean_up: True\n"),
        "config.yaml:18: mailboxes.gmail-1.clean_up: is neither true nor false; write true or false (yes, no, on and off are plain text here)",
    ),
    "sexagesimal port": (
        _path("    port: 22:22\n"),
        "config.yaml:11: paths.relay.port: is no whole number; write digits only, 1 to 65535, without quotes",
    ),
    "exponent": (
        _end("budgets: {per_path: 1e3}\n"),
        "config.yaml:24: budgets.per_path: is no whole number; write digits only, 1 to 1000000, without quotes",
    ),
    "octal": (
        _path("    port: 0587\n"),
        "config.yaml:11: paths.relay.port: is no whole number; write digits only, 1 to 65535, without quotes",
    ),
    "quoted number": (
        _path('    port: "587"\n'),
        "config.yaml:11: paths.relay.port: is no whole number; write digits only, 1 to 65535, without quotes",
    ),
    "sexagesimal duration": (_end("drain: 12:30:00\n"), "config.yaml:24: drain: is no length of time; write 90s, 5m, 1h30m or 2d"),
    "number for text": (
        _path("    username: 12345\n"),
        'config.yaml:11: paths.relay.username: is a number where text is wanted; write it in quotes: "..."',
    ),
    "boolean for a name": (
        changed(("provider: gmail", "provider: true")),
        "config.yaml:13: mailboxes.gmail-1.provider: is a boolean where a name is wanted; write a name of a-z, 0-9 and - (in quotes if it is a number)",
    ),
    "date in a body": (
        _http("    body: {refund: {day: 2026-11-22}}\n"),
        "config.yaml:14: paths.app.body.refund.day: may be text, number, date or boolean; put text in quotes, or write true, false, null, 12 or 1.5",
    ),
    "yes in a body": (
        _http("    body:\n      flags:\n      - 1\n      - yes\n"),
        "config.yaml:17: paths.app.body.flags.1: may be text, number, date or boolean; put text in quotes, or write true, false, null, 12 or 1.5",
    ),
    # --- single values
    "bare number": (_end("drain: 90\n"), "config.yaml:24: drain: is a length of time without a unit; write 90s"),
    "bare fraction": (_end("drain: 0.5\n"), "config.yaml:24: drain: is no length of time; write 90s, 5m, 1h30m or 2d"),
    "units out of order": (_end("drain: 30s1m\n"), "config.yaml:24: drain: is no length of time; write 90s, 5m, 1h30m or 2d"),
    "too long": (_end("watch: {idle_renew: 30m}\n"), f"config.yaml:24: watch.idle_renew: {RANGE} 100ms to 29m"),
    "too short": (_path("    attempt_timeout: 10ms\n"), f"config.yaml:11: paths.relay.attempt_timeout: {RANGE} 100ms to 10m"),
    "boolean for a number": (
        changed(("number: 1", "number: true")),
        "config.yaml:5: signing.keys.0.number: is no whole number; write digits only, 1 to 255, without quotes",
    ),
    "share": (_end("schedule: {jitter: 0.1}\n"), "config.yaml:24: schedule.jitter: is no percentage; write 10%"),
    "share too large": (_end("schedule: {jitter: 60%}\n"), f"config.yaml:24: schedule.jitter: {RANGE} 0% to 50%"),
    "size": (_end("retention: {max_size: 512MB}\n"), "config.yaml:24: retention.max_size: is no size; write 512MiB or 2GiB"),
    "port": (_path("    port: 0\n"), f"config.yaml:11: paths.relay.port: {RANGE} a number from 1 to 65535"),
    "key number": (changed(("number: 1", "number: 256")), f"config.yaml:5: signing.keys.0.number: {RANGE} a number from 1 to 255"),
    "budget": (_path("    daily_budget: 0\n"), f"config.yaml:11: paths.relay.daily_budget: {RANGE} a number from 1 to 1000000"),
    "environment": (
        changed(("production", "Prod_1")),
        "config.yaml:1: environment: is no name; use 1 to 32 of a-z, 0-9 and -, not beginning with -",
    ),
    "instance": (
        changed(("canary-1", "c" * 33)),
        "config.yaml:2: instance: is no name; use 1 to 32 of a-z, 0-9 and -, not beginning with -",
    ),
    "path name": (
        changed(("  relay:", "  my relay:")),
        "config.yaml:7: paths.my relay: is no name; use 1 to 32 of a-z, 0-9 and -, not beginning with -",
    ),
    "address without @": (
        changed(("refunds@example.com", "refunds")),
        "config.yaml:10: paths.relay.author: is no mail address: it has no @; write local@domain",
    ),
    "address with a bad domain": (
        changed(("a@gmail.com", "a@g mail.com")),
        "config.yaml:14: mailboxes.gmail-1.address: is no mail address: the domain is bad; write local@domain; the domain in ASCII (xn--...), without spaces",
    ),
    "address with a bad local part": (
        changed(("a@gmail.com", "a..b@gmail.com")),
        "config.yaml:14: mailboxes.gmail-1.address: is no mail address: the local part is bad; write at most 64 letters, digits, dots and signs before the @",
    ),
    "address injection": (
        changed(("a@gmail.com", '"a@gmail.com\\r\\nRCPT TO:<x@y>"')),
        "config.yaml:14: mailboxes.gmail-1.address: is no mail address: the domain is bad; write local@domain; the domain in ASCII (xn--...), without spaces",
    ),
    "host with port": (
        changed(("smtp.example.com", "smtp.example.com:25")),
        "config.yaml:9: paths.relay.host: holds a port; write host and port as two keys",
    ),
    "host as URL": (
        changed(("smtp.example.com", "smtp://smtp.example.com")),
        "config.yaml:9: paths.relay.host: is a URL where a host name is wanted; write the host name alone",
    ),
    "host": (
        changed(("smtp.example.com", "smtp..com")),
        "config.yaml:9: paths.relay.host: is no host name; write a name like mail.example.com, in ASCII (xn--...), or an IP address",
    ),
    "word": (
        _path("    security: startls\n"),
        "config.yaml:11: paths.relay.security: is not one of the known words; did you mean starttls? (known: tls, starttls, plain)",
    ),
    "word without a near one": (
        _path("    security: yes\n"),
        "config.yaml:11: paths.relay.security: is not one of the known words; write one of tls, starttls, plain",
    ),
    "carrier": (
        _path("    carriers: [header, boddy]\n"),
        "config.yaml:11: paths.relay.carriers.1: is not one of the known words; did you mean body? (known: header, plus_tag, message_id, body, refund_number)",
    ),
    "locale": (
        _path("    locales: [en-gb]\n"),
        "config.yaml:11: paths.relay.locales.0: is no locale known by name; did you mean en-GB? write one of en-GB, en-US, de-DE, or {tag, currency, amount, grouping, decimal}",
    ),
    "locale without {amount}": (
        _path('    locales: [{tag: fr-CH, currency: CHF, amount: "CHF"}]\n'),
        'config.yaml:11: paths.relay.locales.0.amount: does not say where the digits stand; write {amount} once, like "£{amount}"',
    ),
    "locale with one mark for two": (
        _path('    locales: [{tag: fr-CH, currency: CHF, amount: "{amount}", grouping: "."}]\n'),
        "config.yaml:11: paths.relay.locales.0: grouping and decimal are the same mark; write two different ones",
    ),
    "control character": (
        _path('    username: "a\\nb"\n'),
        "config.yaml:11: paths.relay.username: holds a line break or control character; write one line of printable text",
    ),
    "URL": (
        _http("").replace("https://shop", "ftp://shop"),
        "config.yaml:13: paths.app.url: is no URL; write https://host/path or http://host/path",
    ),
    "URL with a password": (
        _http("").replace("https://shop", "https://u:pw@shop"),
        "config.yaml:13: paths.app.url: holds a user name or password; write `headers: {Authorization: {env: NAME}}`",
    ),
    "JSON pointer": (_http("    refund_id: refund.id\n"), "config.yaml:14: paths.app.refund_id: is no JSON pointer; write /refund/id"),
    "version": (
        _http("    version: X-Release\n"),
        "config.yaml:14: paths.app.version: is no JSON pointer; write /refund/id or header:X-Release",
    ),
    "method": (_http("    method: GET\n"), "config.yaml:14: paths.app.method: is no method for this; write POST, PUT or PATCH"),
    "header name": (
        _http("    headers: {'X A': b}\n"),
        "config.yaml:14: paths.app.headers.X A: is no header name; write a name like X-Request-Source",
    ),
    # --- secrets
    "secret written out": (
        _path("    username: u\n    password: hunter2\n"),
        f"config.yaml:12: paths.relay.password: is written out here; {WORDS_SECRET}",
    ),
    "secret as a set": (
        _path("    username: u\n    password: {hunter2}\n"),
        "config.yaml:12: paths.relay.password: is no reference to a secret; write {env: NAME} or {file: PATH}",
    ),
    "secret from two places": (
        _path("    username: u\n    password: {env: A, file: b}\n"),
        "config.yaml:12: paths.relay.password: is no reference to a secret; write {env: NAME} or {file: PATH}",
    ),
    "secret by a bad name": (
        _path("    username: u\n    password: {env: my password}\n"),
        "config.yaml:12: paths.relay.password: names no environment variable; write {env: NAME}; letters, digits and _",
    ),
    "secret not set": (
        changed(("{env: GMAIL}", "{env: GMIAL}")),
        "config.yaml:17: mailboxes.gmail-1.imap.password: environment variable GMIAL is not set; set it",
    ),
    "token not set": (
        _end("listen: {tokens: {read: {env: T}}}\n"),
        "config.yaml:24: listen.tokens.read: environment variable T is not set; set it",
    ),
    "token written out": (
        _end("listen: {tokens: {read: hunter2}}\n"),
        f"config.yaml:24: listen.tokens.read: is written out here; {WORDS_SECRET}",
    ),
    "credential in a header": (
        _http("    headers: {Authorization: Bearer hunter2}\n"),
        f"config.yaml:14: paths.app.headers.Authorization: is written out here; {WORDS_SECRET}",
    ),
    "header secret not set": (
        _http("    headers: {Authorization: {env: SHOP}}\n"),
        "config.yaml:14: paths.app.headers.Authorization: environment variable SHOP is not set; set it",
    ),
    # --- keys that contradict each other
    "late before overdue": (
        _end("deadlines:\n  late: 10s\n"),
        "config.yaml:25: deadlines.late: late (10s) is not after overdue_floor (20s); write overdue_floor < late",
    ),
    "late before overdue, the other key": (
        _end("deadlines:\n  overdue_floor: 3m\n"),
        "config.yaml:25: deadlines.overdue_floor: late (2m) is not after overdue_floor (3m); write overdue_floor < late",
    ),
    "missing before late": (
        _end("deadlines:\n  missing: 1m30s\n"),
        "config.yaml:25: deadlines.missing: missing (1m30s) is not after late (2m); write late < missing",
    ),
    "give up before missing": (
        _end("deadlines:\n  give_up: 8m\n"),
        "config.yaml:25: deadlines.give_up: give_up (8m) is not after missing (8m); write missing < give_up",
    ),
    "watched too short": (
        _end("submission: {retry_for: 1m}\ndeadlines:\n  watch_until: 7m\n"),
        "config.yaml:26: deadlines.watch_until: watch_until (7m) is before missing (8m); write missing <= watch_until, or remove watch_until",
    ),
    "deadlines of a route": (
        _end("routes:\n- path: relay\n  mailbox: gmail-1\n  deadlines:\n    late: 9m\n"),
        "config.yaml:28: routes.0.deadlines.late: missing (8m) is not after late (9m); write late < missing",
    ),
    "retry shorter than an attempt": (
        _end("submission: {retry_backoff: 1s, retry_for: 10s}\n"),
        "config.yaml:24: submission.retry_for: retry_for (10s) is over before attempt_timeout (30s); make retry_for longer than attempt_timeout; 0s for no retry",
    ),
    "attempt longer than the retries": (
        _path("    retry_for: 2m\n    attempt_timeout: 5m\n"),
        "config.yaml:11: paths.relay.retry_for: retry_for (2m) is over before attempt_timeout (5m); make retry_for longer than attempt_timeout; 0s for no retry",
    ),
    "retry after the watch": (
        _end("submission: {retry_for: 2h}\n"),
        "config.yaml:24: submission.retry_for: retry_for (2h) goes on after watch_until (38m); make retry_for shorter or watch_until longer",
    ),
    "reconnect": (
        _end("watch: {reconnect_min: 10s, reconnect_max: 5s}\n"),
        "config.yaml:24: watch.reconnect_max: is shorter than reconnect_min; write reconnect_min <= reconnect_max",
    ),
    "sweep": (
        _end("watch: {sweep_after: 10m}\n"),
        "config.yaml:24: watch.sweep_after: looks through the folders only after missing (8m); make it much shorter than missing",
    ),
    "password in the clear, SMTP": (
        _path("    security: plain\n    username: u\n    password: {env: GMAIL}\n"),
        "config.yaml:11: paths.relay.security: plain would show the password to the network; write security: starttls or tls, or remove username",
    ),
    "password in the clear, IMAP": (
        _box("      security: plain\n"),
        "config.yaml:18: mailboxes.gmail-1.imap.security: plain would show the password to the network; write security: tls or starttls",
    ),
    "username alone": (
        _path("    username: u\n"),
        "config.yaml:11: paths.relay.username: has no password beside it; write password: {env: NAME}",
    ),
    "password alone": (
        _path("    password: {env: GMAIL}\n"),
        "config.yaml:11: paths.relay.password: has no username beside it; write username: ...",
    ),
    "envelope sender with a tag": (
        _path("    envelope_sender: b+x@example.com\n"),
        "config.yaml:11: paths.relay.envelope_sender: is the envelope sender and has a plus-tag, where the probe id goes; remove the + and what follows up to the @",
    ),
    "envelope sender too long": (
        _path(f"    envelope_sender: {'b' * 52}@example.com\n"),
        "config.yaml:11: paths.relay.envelope_sender: is the envelope sender and too long to take +<probe id>; write an envelope_sender: of at most 51 characters before the @",
    ),
    "number from the shop": (
        _http("    sends_number: true\n"),
        "config.yaml:14: paths.app.sends_number: needs the application's refund id from the reply; write refund_id: /path/in/the/reply",
    ),
    "same address": (
        changed(("b@fastmail.com", "A+x@GMAIL.com")),
        "config.yaml:20: mailboxes.fast-1.address: is the address of mailbox gmail-1 too (line 14; plus-tags and case do not count); give each mailbox an account of its own",
    ),
    "route to an unknown path": (
        _end("routes:\n- {path: rely, mailbox: gmail-1}\n"),
        "config.yaml:25: routes.0.path: no path is called rely; did you mean relay?",
    ),
    "route to an unknown mailbox": (
        _end("routes:\n- {path: relay, mailbox: zzz}\n"),
        "config.yaml:25: routes.0.mailbox: no mailbox is called zzz; known: gmail-1, fast-1",
    ),
    "route to no seed": (
        changed(
            ("    provider: gmail\n", "    provider: gmail\n    role: holding\n"), ("", "routes:\n- {path: relay, mailbox: gmail-1}\n")
        ),
        "config.yaml:26: routes.0.mailbox: gmail-1 is a holding mailbox: a recipient that is no seed; name a mailbox with role: seed",
    ),
    "route twice": (
        _end("routes:\n- {path: relay, mailbox: gmail-1}\n- {path: relay, mailbox: gmail-1}\n"),
        "config.yaml:26: routes.1: route relay/gmail-1 stands on line 25 already; keep one of them",
    ),
    "only carrier lost": (
        changed((AUTHOR, AUTHOR + "    carriers: [plus_tag]\n"), (GMAIL, GMAIL + "    plus_tags: false\n")),
        "config.yaml:11: paths.relay.carriers: mailbox gmail-1 has plus_tags: false, and plus_tag is the only carrier; add a carrier, or list routes: without this mailbox",
    ),
    "demand without trust": (
        changed((AUTHOR, AUTHOR + "    require: {dkim: [pass]}\n"), (GMAIL, GMAIL + "    authserv_ids: [mx.google.com]\n")),
        "config.yaml:20: mailboxes.fast-1: path relay requires dkim, but nobody's Authentication-Results are trusted here; write authserv_ids: [mx.google.com], the first word of that header",
    ),
    "key numbers": (
        changed((KEY, KEY + KEY)),
        "config.yaml:6: signing.keys.1.number: is the number of another key too (line 5); give each key its own number",
    ),
    "no path": (
        changed(("  relay:\n    kind: smtp\n" + HOST + AUTHOR, ""), ("paths:", "paths: {}")),
        "config.yaml:6: paths: names no path; write one of kind smtp, http or command; see config/mailcanary.yaml",
    ),
    "no seed": (
        changed(
            ("    provider: gmail\n", "    provider: gmail\n    role: holding\n"),
            ("    provider: fastmail\n", "    provider: x\n    role: holding\n"),
        ),
        "config.yaml:11: mailboxes: names no seed mailbox; write one with role: seed; see config/mailcanary.yaml",
    ),
    # --- a program instead of a request
    "command, no program": (
        _command("").replace('[sh, -c, "exit 0"]', "[]"),
        "config.yaml:13: paths.job.command: is empty; write at least one or remove the key",
    ),
    "command in one line of text": (
        _command("").replace('[sh, -c, "exit 0"]', "sh -c exit"),
        "config.yaml:13: paths.job.command: is text where a list is wanted; write [one, two]",
    ),
    "command missing": (
        _command("").replace('    command: [sh, -c, "exit 0"]\n', ""),
        "config.yaml:11: paths.job.command: is missing; write command: [bin/refund, --synthetic]",
    ),
    "command, number for an argument": (
        _command("").replace('"exit 0"', "7"),
        'config.yaml:13: paths.job.command.2: is a number where text is wanted; write it in quotes: "..."',
    ),
    "command not in PATH": (
        _command("").replace("[sh,", "[no-such-program,"),
        "config.yaml:13: paths.job.command.0: is no program in PATH; mend its name or its permissions; one with a / is relative to this file",
    ),
    "command that cannot be run": (
        _command("").replace("[sh,", "[./config.yaml,"),
        "config.yaml:13: paths.job.command.0: is no program that can be run; mend its name or its permissions; one with a / is relative to this file",
    ),
    "variable name": (
        _command("    environment: {A-B: x}\n"),
        "config.yaml:14: paths.job.environment.A-B: is no name of an environment variable; use letters, digits and _",
    ),
    "credential in a variable": (
        _command("    environment: {SHOP_API_KEY: hunter2}\n"),
        f"config.yaml:14: paths.job.environment.SHOP_API_KEY: is written out here; {WORDS_SECRET}",
    ),
    "variable not set": (
        _command("    environment: {SHOP: {env: SHOP}}\n"),
        "config.yaml:14: paths.job.environment.SHOP: environment variable SHOP is not set; set it",
    ),
    "yes in an input": (
        _command("    input: {synthetic: yes}\n"),
        "config.yaml:14: paths.job.input.synthetic: may be text, number, date or boolean; put text in quotes, or write true, false, null, 12 or 1.5",
    ),
    "version of a command in a header": (
        _command("    version: header:X-Release\n"),
        "config.yaml:14: paths.job.version: is no JSON pointer; write /refund/id",
    ),
    "number from the shop, command": (
        _command("    sends_number: true\n"),
        "config.yaml:14: paths.job.sends_number: needs the application's refund id from the reply; write refund_id: /path/in/the/reply",
    ),
    "CA file of a command": (
        _command("    ca_file: ca.pem\n"),
        "config.yaml:14: paths.job.ca_file: unknown key; remove it; known here: locales, allowed_amounts, require, attempt_timeout, retry_backoff, retry_for, unreachable_for, daily_budget, kind, command, environment, input, refund_id, version, sends_number, carriers",
    ),
    # --- access tokens
    "login of a relay": (
        _path("    login: xoauth\n"),
        "config.yaml:11: paths.relay.login: is not one of the known words; did you mean xoauth2? (known: password, xoauth2)",
    ),
    "login of a mailbox": (
        _box("      login: oauth\n"),
        "config.yaml:18: mailboxes.gmail-1.imap.login: is not one of the known words; did you mean xoauth2? (known: login, plain, xoauth2)",
    ),
    "token missing": (
        _path("    login: xoauth2\n"),
        "config.yaml:11: paths.relay.login: has no access token; write username: and password: {file: PATH} or {command: PROGRAM}",
    ),
    "command for a password, SMTP": (
        _path("    username: u\n    password: {command: sh -c token}\n"),
        "config.yaml:12: paths.relay.password: is printed by a program, which only an access token may be; write {env: NAME} or {file: PATH}, or login: xoauth2 beside it",
    ),
    "command for a password, IMAP": (
        changed(("{env: GMAIL}", "{command: sh -c token}")),
        "config.yaml:17: mailboxes.gmail-1.imap.password: is printed by a program, which only an access token may be; write {env: NAME} or {file: PATH}, or login: xoauth2 beside it",
    ),
    "command for another secret": (
        _end("listen: {tokens: {read: {command: sh -c token}}}\n"),
        "config.yaml:24: listen.tokens.read: is printed by a program, which only the password beside login: xoauth2 may be; write {env: NAME} or {file: PATH}",
    ),
    "command without a word": (
        _box("      login: xoauth2\n").replace("{env: GMAIL}", '{command: "  "}'),
        'config.yaml:17: mailboxes.gmail-1.imap.password: names no program; write {command: "program argument argument"} in one line',
    ),
    "command with half a quote": (
        _box("      login: xoauth2\n").replace("{env: GMAIL}", "{command: sh -c 'hunter2}"),
        'config.yaml:17: mailboxes.gmail-1.imap.password: names no program; write {command: "program argument argument"} in one line',
    ),
    "command as a list": (
        _box("      login: xoauth2\n").replace("{env: GMAIL}", "{command: [sh, -c]}"),
        'config.yaml:17: mailboxes.gmail-1.imap.password: names no program; write {command: "program argument argument"} in one line',
    ),
    "token program not in PATH": (
        _box("      login: xoauth2\n").replace("{env: GMAIL}", "{command: no-such-program x}"),
        "config.yaml:17: mailboxes.gmail-1.imap.password: is no program in PATH; mend its name or its permissions; one with a / is relative to this file",
    ),
    # --- a signature of our own
    "signing domain of another": (
        _path("    dkim: {domain: example.org, selector: s, key: {file: config.yaml}} # -----BEGIN PRIVATE KEY-----\n"),
        "config.yaml:11: paths.relay.dkim.domain: does not stand for the author's domain example.com: DMARC would not count the signature; write the author's domain or one above it, or remove the key",
    ),
    "signing domain below the author's": (
        _path("    dkim: {domain: mail.example.com, selector: s, key: {file: config.yaml}} # -----BEGIN PRIVATE KEY-----\n"),
        "config.yaml:11: paths.relay.dkim.domain: does not stand for the author's domain example.com: DMARC would not count the signature; write the author's domain or one above it, or remove the key",
    ),
    "signing domain that only ends alike": (
        _path("    dkim: {domain: ample.com, selector: s, key: {file: config.yaml}} # -----BEGIN PRIVATE KEY-----\n"),
        "config.yaml:11: paths.relay.dkim.domain: does not stand for the author's domain example.com: DMARC would not count the signature; write the author's domain or one above it, or remove the key",
    ),
    "signing domain at the top": (
        _path("    dkim: {domain: com, selector: s, key: {file: config.yaml}}\n"),
        "config.yaml:11: paths.relay.dkim.domain: is a top-level domain; write a name like example.com",
    ),
    "selector with its domain": (
        _path("    dkim: {selector: s._domainkey.example com, key: {file: config.yaml}}\n"),
        "config.yaml:11: paths.relay.dkim.selector: is no selector; write the name before ._domainkey",
    ),
    "selector missing": (
        _path("    dkim: {key: {file: config.yaml}}\n"),
        "config.yaml:11: paths.relay.dkim.selector: is missing; write selector: canary",
    ),
    "signing key from the environment": (
        _path("    dkim: {selector: s, key: {env: KEY}}\n"),
        "config.yaml:11: paths.relay.dkim.key: is in no file; write {file: PATH}; it has more than one line",
    ),
    "signing key missing": (
        _path("    dkim: {selector: s, key: {file: dkim.pem}}\n"),
        "config.yaml:11: paths.relay.dkim.key: {here}/dkim.pem cannot be read (No such file or directory); mend the name; it is relative to this file",
    ),
    "signing key in another form": (
        _path("    dkim: {selector: s, key: {file: config.yaml}}\n"),
        "config.yaml:11: paths.relay.dkim.key: {here}/config.yaml holds no PEM private key; make one with: openssl genrsa -out dkim.pem 2048",
    ),
    "signing key encrypted": (
        _path("    dkim: {selector: s, key: {file: config.yaml}} # -----BEGIN ENCRYPTED PRIVATE KEY-----\n"),
        "config.yaml:11: paths.relay.dkim.key: {here}/config.yaml is encrypted; take the passphrase off: openssl rsa -in old.pem -out dkim.pem",
    ),
    # --- tripwires
    "tripwire cleaned up": (
        _tripwire("    clean_up: true\n"),
        "config.yaml:21: mailboxes.fast-1.clean_up: is for a mailbox that probes go to; nothing is ever sent to a tripwire or deleted from it; remove it",
    ),
    "tripwire cleaned up later": (
        _tripwire("    clean_up_after: 1h\n"),
        "config.yaml:21: mailboxes.fast-1.clean_up_after: is for a mailbox that probes go to; nothing is ever sent to a tripwire or deleted from it; remove it",
    ),
    "tripwire with a budget": (
        _tripwire("    daily_budget: 5\n"),
        "config.yaml:21: mailboxes.fast-1.daily_budget: is for a mailbox that probes go to; nothing is ever sent to a tripwire or deleted from it; remove it",
    ),
    "route to a tripwire": (
        _tripwire("") + "routes:\n- {path: relay, mailbox: gmail-1}\n- {path: relay, mailbox: fast-1}\n",
        "config.yaml:27: routes.1.mailbox: fast-1 is a tripwire mailbox: a recipient that is no seed; name a mailbox with role: seed",
    ),
    "tripwire without a domain of ours": (
        _tripwire("").replace("  relay:\n    kind: smtp\n" + HOST + AUTHOR, HTTP),
        "config.yaml:1: sending_domains: is missing: mailbox fast-1 is a tripwire, and no smtp path tells which domains the shop mails from; write sending_domains: [example.com]",
    ),
    "no sending domain": (_end("sending_domains: []\n"), "config.yaml:24: sending_domains: is empty; write at least one or remove the key"),
    "address for a sending domain": (
        _end("sending_domains: [refunds@example.com]\n"),
        "config.yaml:24: sending_domains.0: is no domain; write a name like example.com, in ASCII (xn--...), without @",
    ),
    # --- incidents
    "recovery without a pass": (
        _end("incidents: {recover_passes: 0}\n"),
        f"config.yaml:24: incidents.recover_passes: {RANGE} a number from 1 to 100",
    ),
    "blind at once": (_end("incidents: {blind_after: 0s}\n"), f"config.yaml:24: incidents.blind_after: {RANGE} 100ms to 30d"),
    "key of incidents elsewhere": (
        _end("notify: {reopen_within: 1h}\n"),
        "config.yaml:24: notify.reopen_within: unknown key; remove it; known here: channels, routes, pages, tickets, fallback, fallback_after, give_up_after, public_url, runbooks_url",
    ),
    # --- who is told
    "channel kind missing": (
        _end("notify: {channels: {chat: {url: 'https://x.example.com'}}}\n"),
        "config.yaml:24: notify.channels.chat: kind is missing; write kind: webhook, kind: alertmanager, kind: pagerduty, kind: slack or kind: apprise",
    ),
    "channel by e-mail": (
        _end("notify:\n  channels:\n    chat: {kind: email}\n"),
        "config.yaml:26: notify.channels.chat: kind is not one of the known words; write kind: webhook, kind: alertmanager, kind: pagerduty, kind: slack or kind: apprise",
    ),
    "channel key": (
        _end("notify:\n  channels:\n    chat:\n      kind: webhook\n      urls: [x]\n      url: 'https://x.example.com'\n"),
        "config.yaml:28: notify.channels.chat.urls: unknown key; did you mean url?",
    ),
    "channel without a URL": (
        _end("notify:\n  channels:\n    chat: {kind: webhook}\n"),
        "config.yaml:26: notify.channels.chat.url: is missing; write url: https://hooks.example.com/mailcanary",
    ),
    "channel name": (
        _end("notify: {channels: {On Call: {kind: webhook, url: 'https://x.example.com'}}}\n"),
        "config.yaml:24: notify.channels.On Call: is no name; use 1 to 32 of a-z, 0-9 and -, not beginning with -",
    ),
    "channel URL": (
        _end("notify: {channels: {chat: {kind: webhook, url: x.example.com}}}\n"),
        "config.yaml:24: notify.channels.chat.url: is no URL; write https://host/path or http://host/path",
    ),
    "channel URL with a password": (
        _end("notify: {channels: {chat: {kind: webhook, url: 'https://u:pw@x.example.com'}}}\n"),
        "config.yaml:24: notify.channels.chat.url: holds a user name or password; write url: {env: NAME} or {file: PATH}, a secret that holds the whole URL without name and password",
    ),
    "channel URL that is no secret": (
        _end("notify: {channels: {chat: {kind: webhook, url: {env: KEY}}}}\n"),
        "config.yaml:24: notify.channels.chat.url: secret {env: KEY} is no URL; write https://host/path or http://host/path",
    ),
    "channel URL not set": (
        _end("notify: {channels: {chat: {kind: webhook, url: {env: HOOK}}}}\n"),
        "config.yaml:24: notify.channels.chat.url: environment variable HOOK is not set; set it",
    ),
    "channel secret written out": (
        _end("notify: {channels: {chat: {kind: webhook, url: 'https://x.example.com', secret: hunter2}}}\n"),
        f"config.yaml:24: notify.channels.chat.secret: is written out here; {WORDS_SECRET}",
    ),
    "channel CA file": (
        _end("notify: {channels: {chat: {kind: webhook, url: 'https://x.example.com', ca_file: config.yaml}}}\n"),
        "config.yaml:24: notify.channels.chat.ca_file: {here}/config.yaml holds no PEM certificate; name a file with -----BEGIN CERTIFICATE-----",
    ),
    "no Alertmanager": (
        _end("notify: {channels: {am: {kind: alertmanager, urls: []}}}\n"),
        "config.yaml:24: notify.channels.am.urls: is empty; write at least one or remove the key",
    ),
    "Alertmanager with a password": (
        _end("notify: {channels: {am: {kind: alertmanager, urls: ['http://u:pw@am:9093']}}}\n"),
        "config.yaml:24: notify.channels.am.urls.0: holds a user name or password; write authorization: {env: NAME}, a secret with the whole header",
    ),
    "Alertmanager authorization written out": (
        _end("notify: {channels: {am: {kind: alertmanager, urls: ['http://am:9093'], authorization: Basic hunter2}}}\n"),
        f"config.yaml:24: notify.channels.am.authorization: is written out here; {WORDS_SECRET}",
    ),
    "page to nobody we know": (
        _notify("  pages: [oncal]\n"),
        "config.yaml:28: notify.pages.0: no channel is called oncal; did you mean oncall?",
    ),
    "ticket to nobody we know": (
        _notify("  tickets: [zzz]\n"),
        "config.yaml:28: notify.tickets.0: no channel is called zzz; known: oncall, chat",
    ),
    "fallback to nobody we know": (
        _notify("  fallback: [x9]\n"),
        "config.yaml:28: notify.fallback.0: no channel is called x9; known: oncall, chat",
    ),
    "page twice": (_notify("  pages: [oncall, oncall]\n"), "config.yaml:28: notify.pages.1: oncall stands there twice; keep one of them"),
    "fallback to those who know": (
        _notify("  pages: [oncall]\n  fallback: [chat, oncall]\n"),
        "config.yaml:29: notify.fallback.1: oncall is told of pages at once already; take it out of pages: or of fallback:",
    ),
    "fallback alone": (
        _notify("  fallback: [oncall, chat]\n"),
        "config.yaml:28: notify.fallback: has nobody before it: no channel is told of pages first; name another channel in pages:, or remove fallback:",
    ),
    "given up before the fallback": (
        _notify("  give_up_after: 1m\n"),
        "config.yaml:28: notify.give_up_after: give_up_after (1m) is not after fallback_after (2m); write fallback_after < give_up_after",
    ),
    "fallback after giving up": (
        _notify("  fallback_after: 2d\n"),
        "config.yaml:28: notify.fallback_after: give_up_after (1d) is not after fallback_after (2d); write fallback_after < give_up_after",
    ),
    "public URL": (
        _notify("  public_url: example.com\n"),
        "config.yaml:28: notify.public_url: is no URL; write https://host/path or http://host/path",
    ),
    "runbooks": (
        _notify("  runbooks_url: docs/runbooks\n"),
        "config.yaml:28: notify.runbooks_url: is no URL; write https://host/path or http://host/path",
    ),
    # --- the heartbeat
    "heartbeat without a URL": (
        _end("heartbeat: {every: 1m}\n"),
        "config.yaml:24: heartbeat.url: is missing; write url: https://heartbeat.example.com/canary-1",
    ),
    "heartbeat as text": (
        _end("heartbeat: https://heartbeat.example.com\n"),
        "config.yaml:24: heartbeat: is text where a mapping is wanted; write `key: value` lines below it",
    ),
    "heartbeat URL that is no secret": (
        _end("heartbeat: {url: {env: KEY}}\n"),
        "config.yaml:24: heartbeat.url: secret {env: KEY} is no URL; write https://host/path or http://host/path",
    ),
    "heartbeat too often": (
        _end("heartbeat: {url: 'https://x.example.com', every: 10ms}\n"),
        f"config.yaml:24: heartbeat.every: {RANGE} 100ms to 1d",
    ),
    "heartbeat CA file": (
        _end("heartbeat: {url: 'https://x.example.com', ca_file: x}\n"),
        "config.yaml:24: heartbeat.ca_file: {here}/x cannot be read (No such file or directory); mend the name; it is relative to this file",
    ),
    # --- files
    "CA file missing": (
        _path("    ca_file: ca.pem\n"),
        "config.yaml:11: paths.relay.ca_file: {here}/ca.pem cannot be read (No such file or directory); mend the name; it is relative to this file",
    ),
    "CA file without a certificate": (
        _box("      ca_file: config.yaml\n"),
        "config.yaml:18: mailboxes.gmail-1.imap.ca_file: {here}/config.yaml holds no PEM certificate; name a file with -----BEGIN CERTIFICATE-----",
    ),
    "templates missing": (
        _path("    templates: mails\n"),
        "config.yaml:11: paths.relay.templates: {here}/mails is no directory; it must hold subject.txt, message.txt, message.html",
    ),
}


def test_the_base_has_no_fault(faults):
    assert faults(GOOD) == []


@pytest.mark.parametrize("name", ONE_FAULT)
def test_one_fault(name, faults, tmp_path):
    text, line = ONE_FAULT[name]
    assert faults(text) == [line.replace("{here}", str(tmp_path))]


SYNTAX = {
    "empty": ("", "config.yaml:1:1: is empty; start from config/mailcanary.yaml"),
    "only comments": ("# nothing\n", "config.yaml:1:1: is empty; start from config/mailcanary.yaml"),
    "null": ("\n~\n", "config.yaml:1:1: is empty; start from config/mailcanary.yaml"),
    "a list": ("- a\n", "config.yaml:1:1: is no mapping; write `key: value` lines; start from config/mailcanary.yaml"),
    "text": ("\nhello\n", "config.yaml:2:1: is no mapping; write `key: value` lines; start from config/mailcanary.yaml"),
    "not UTF-8": (b"a: b\nc: caf\xe9\n", "config.yaml:2:1: is not UTF-8; save the file as UTF-8"),
    "UTF-16": ("a: b".encode("utf-16"), "config.yaml:1:1: is not UTF-8; save the file as UTF-8"),
    "NUL": (b"a: b\nc: \0\n", "config.yaml:2:4: holds a control character; remove it; only printable text, line ends and spaces"),
    "tab": ("a:\n\tb: c\n", "config.yaml:2:1: YAML: a tab stands where only spaces may; indent with spaces"),
    "bracket": (
        "a: [b\nc: d\n",
        "config.yaml:2:2: YAML: expected ',' or ']', but got ':'; check the line above too: indents, quotes and brackets",
    ),
    "colon": (
        "a: b: c\n",
        "config.yaml:1:5: YAML: mapping values are not allowed here; put text that holds `: ` in quotes, and check the indents",
    ),
    "character": (
        "a: @b\n",
        "config.yaml:1:4: YAML: found character '@' that cannot start any token; put text that begins with this character in quotes",
    ),
    "quote": ('a: "b\n', "config.yaml:2:1: YAML: found unexpected end of stream; check the line above too: indents, quotes and brackets"),
    "tag": (
        "a: !!python/object:os.system b\n",
        "config.yaml:1:4: has a YAML tag (!...); remove the tag, or put text that begins with ! in quotes",
    ),
    "password like a tag": (
        "a: !hunter2\n",
        "config.yaml:1:4: has a YAML tag (!...); remove the tag, or put text that begins with ! in quotes",
    ),
    "password like a tag handle": (
        "a: !hunter2!x y\n",
        "config.yaml:1:4: has a YAML tag (!...); remove the tag, or put text that begins with ! in quotes",
    ),
    "password like an alias": (
        "a: *hunter2\n",
        "config.yaml:1:4: has an alias (*...) without an anchor before it; put text that begins with * in quotes",
    ),
    "alias of itself": (
        "a: &x [*x]\n",
        "config.yaml:1:8: has an alias (*...) without an anchor before it; put text that begins with * in quotes",
    ),
    "key in braces": ("a: {{ amount }}\n", 'config.yaml:1:5: has a mapping or list for a key; put a Jinja value in quotes: "{{ amount }}"'),
    "two documents": ("a: b\n---\nc: d\n", "config.yaml:2:1: is a second document in one file; remove the `---` line and what follows"),
    "escape beyond Unicode": ('a: "\\UFFFFFFFF"\n', "config.yaml:1:1: is no YAML; check the escapes in double quotes"),
    "half a surrogate pair": ('a: "\\ud83d"\n', "config.yaml:1:4: holds half a surrogate pair; write the character itself"),
    "deep": ("a: " + "[" * 30, "config.yaml:1:27: is nested deeper than 24 levels; is this the right file?"),
    "many values": ("a: [" + "b," * 100_001 + "]", "config.yaml:1:199999: holds more than 100000 values; is this the right file?"),
    "large": ("#" * (1 << 20) + "\n", "config.yaml: is larger than 1 MiB; is this the right file?"),
    "billion laughs": (
        "a: &a [l,l,l,l,l,l,l,l,l,l]\n"
        + "".join(f"{y}: &{y} [{','.join(['*' + x] * 10)}]\n" for x, y in zip("abcdefg", "bcdefgh", strict=True)),
        "config.yaml:5:4: grows by its aliases beyond 100000 values or 24 levels; write the values out",
    ),
    "deep by aliases": (
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 40)),
        "config.yaml:24:6: grows by its aliases beyond 100000 values or 24 levels; write the values out",
    ),
}


@pytest.mark.parametrize("name", SYNTAX)
def test_no_document(name, faults):
    text, line = SYNTAX[name]
    assert faults(text) == [line]


def test_all_faults_at_once_in_file_order(faults):
    text = changed(
        ("{number: 1, secret: {env: KEY}}", "{number: 1, secret: {env: SHORT}}"),
        ("smtp.example.com", "smtp example"),
        ("a@gmail.com", "a"),
        ("{env: FAST}", "{env: NOPE}"),
        (
            "",
            "deadlines: {late: 9m}\nevery: 5m\nroutes: [{path: relay, mailbox: gmail-1}, {path: relai, mailbox: fast-1}]\nenvironment: x\n",
        ),
    )
    keys = [line.split(": ")[1] for line in faults(text, {**ENVIRON, "SHORT": "0123456789abcde"})]
    assert keys == [
        "signing.keys.0.secret",
        "paths.relay.host",
        "mailboxes.gmail-1.address",
        "mailboxes.fast-1.imap.password",
        "deadlines.late",
        "every",
        "routes.1.path",
        "environment",
    ]


def test_a_broken_part_accuses_nobody_else(faults):
    """A mailbox with a fault is still a mailbox: no second fault says that it is unknown or that there is no seed."""
    text = changed(("a@gmail.com", "a"), ("b@fastmail.com", "b"), ("", "routes: [{path: relay, mailbox: gmail-1}]\n"))
    assert [line.split(": ")[1] for line in faults(text)] == ["mailboxes.gmail-1.address", "mailboxes.fast-1.address"]
    assert [line.split(": ")[1] for line in faults(changed(("smtp.example.com", "x y"), ("", "routes: 5\n")))] == [
        "paths.relay.host",
        "routes",
    ]
    assert [line.split(": ")[1] for line in faults(changed(("", "deadlines: {late: 5}\nwatch: {sweep_after: 20m}\n")))] == [
        "deadlines.late"
    ]


def test_broken_routes_are_not_taken_for_none(faults):
    """Without its only route, the mailbox that loses the only carrier must not come in by default."""
    text = changed((AUTHOR, AUTHOR + "    carriers: [plus_tag]\n"), (GMAIL, GMAIL + "    plus_tags: false\n"))
    assert len(faults(text)) == 1
    assert [line.split(": ")[1] for line in faults(text + "routes: [{path: relay, mailbox: fast-1, evry: 5m}]\n")] == ["routes.0.evry"]


def test_signing_key_is_long_enough(faults):
    short = {**ENVIRON, "KEY": "0123456789abcde"}
    assert faults(GOOD, short) == [
        "config.yaml:5: signing.keys.0.secret: the signing key is shorter than 16 bytes; make one with: openssl rand -hex 32"
    ]
    assert faults(GOOD, {**ENVIRON, "KEY": "é" * 8}) == []


def test_secret_value_that_cannot_be_one(faults):
    at = "config.yaml:17: mailboxes.gmail-1.imap.password: secret {env: GMAIL}"
    assert faults(GOOD, {**ENVIRON, "GMAIL": ""}) == [f"{at} is empty; put the value there"]
    assert faults(GOOD, {**ENVIRON, "GMAIL": "a\r\nb"}) == [f"{at} holds a line break or control character; store one line of text"]


def test_templates_each_file_is_named(faults, tmp_path):
    (tmp_path / "mails").mkdir()
    (tmp_path / "mails" / "subject.txt").write_text("x")
    (tmp_path / "mails" / "message.txt").write_bytes(b"\xff")
    lines = faults(_path("    templates: mails\n"))
    assert lines == [
        f"config.yaml:11: paths.relay.templates: {tmp_path}/mails/message.txt is not UTF-8; save it as UTF-8",
        f"config.yaml:11: paths.relay.templates: {tmp_path}/mails/message.html cannot be read (No such file or directory); "
        "mend the name; it is relative to this file",
    ]


def test_no_file_at_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    for name, line in {
        "none.yaml": "none.yaml: no such file; name it with --config; config/mailcanary.yaml is an example",
        "folder": "folder: is a directory; name the YAML file in it",
        "a\0b": "a?b: is no file name; name the YAML file",
        "x" * 300: f"{'x' * 300}: cannot be read (File name too long); mend its name or permissions",
    }.items():
        with pytest.raises(SettingsError) as caught:
            load(Path(name), FakeSecrets({}))
        assert str(caught.value) == line
