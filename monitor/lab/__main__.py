"""`python -m monitor.lab`: the lab in its own process. One JSON line on stdout says where it is; SIGTERM ends it."""

import argparse
import asyncio
import json
import os
import signal
import sys
from asyncio import sslproto

from monitor.lab.world import Lab, LabSpec


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m monitor.lab", description=__doc__)
    parser.add_argument("--mailboxes", type=int, default=2, help="seed mailboxes per provider (1 to 1000)")
    parser.add_argument("--announcement-delay", type=float, default=0.0, help="seconds from delivery to the IDLE push")
    parser.add_argument("--smtp-auth", metavar="USER:PASSWORD", help="demand AUTH at the relay")
    parser.add_argument("--account", action="append", default=[], metavar="ADDRESS", help="a further mailbox")
    parser.add_argument("--stranger", action="append", default=[], metavar="ADDRESS", help="a mailbox that only v4 of the shop mails")
    parser.add_argument("--stdin", action="store_true", help="end also when stdin ends, so that no orphan stays")
    return parser


async def _run(spec: LabSpec, *, watch_stdin: bool) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)

    def end_at_eof() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            ended.set()

    async with Lab(spec) as lab:
        if watch_stdin:
            loop.add_reader(sys.stdin.fileno(), end_at_eof)
        print(json.dumps(lab.description.as_json()), flush=True)  # noqa: T201 - the one line that is our result
        await ended.wait()
        if watch_stdin:
            loop.remove_reader(sys.stdin.fileno())


def main() -> None:
    """Parse, run."""
    parser = _parser()
    arguments = parser.parse_args()
    # asyncio preallocates 256 KiB of read buffer per TLS connection; thousands of idle ones live in this process.
    sslproto.SSLProtocol.max_size = 16 * 1024
    user, colon, password = (arguments.smtp_auth or "").partition(":")
    try:
        spec = LabSpec(
            mailboxes_per_provider=arguments.mailboxes,
            announcement_delay=arguments.announcement_delay,
            smtp_credentials=(user, password) if colon else None,
            extra_accounts=tuple(arguments.account),
            strangers=tuple(arguments.stranger),
        )
    except ValueError as error:
        parser.error(str(error))
    asyncio.run(_run(spec, watch_stdin=arguments.stdin))


if __name__ == "__main__":
    main()
