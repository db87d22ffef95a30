"""A real Postfix of its own on loopback ports, with configuration, queue, data and log below one temporary directory.

    with Postfix({"mail.test": lmtp_port}, chain, expired, sasl) as postfix:
        postfix.smtp, postfix.submission, postfix.submissions, postfix.expired    # TCP ports on 127.0.0.1
    postfix.border                                                            # smtp with STARTTLS
        postfix.treat("seed@mail.test", "REJECT not wanted")                      # any access(5) action, from the next RCPT TO on
        postfix.alias({"seed@mail.test": "other@mail.test"})                      # virtual(5), and a reload
        postfix.asked("seed@mail.test")                                           # who tried to mail it, and what was answered
        postfix.release(postfix.held("seed@mail.test"))                           # from the hold queue

Actions come from a policy server of ours (postconf(5) check_policy_service), asked at each RCPT TO: a fault is on or off at once, for one
account, and counts the attempts meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.ports import free_ports

HOST = "127.0.0.1"
PREFIX = "mailcanary-postfix-"
START_WITHIN = 20.0
STOP_WITHIN = 10.0
COMMAND_WITHIN = 30.0

_SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_POSTFIX = shutil.which("postfix", path=_SBIN)

_MAIN = """\
compatibility_level = 3.6
queue_directory = {base}/queue
data_directory = {base}/data
maillog_file = {base}/maillog
maillog_file_prefixes = {base}
myhostname = {hostname}
mydestination =
local_recipient_maps =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
disable_dns_lookups = yes
smtp_host_lookup = native
biff = no
recipient_delimiter = +
virtual_mailbox_domains = {domains}
virtual_mailbox_maps =
virtual_alias_maps = texthash:{base}/virtual
transport_maps = texthash:{base}/transport
# mail for a server that is down is tried again within seconds
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
lmtp_connect_timeout = 5s
smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:{policy}, permit_mynetworks, permit_sasl_authenticated, reject
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject
smtpd_policy_service_timeout = 10s
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 1000
smtpd_tls_chain_files = {chain}
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {sasl}
smtpd_milters = {milters}
non_smtpd_milters =
milter_default_action = tempfail
smtp_tls_security_level = may
smtp_body_checks = regexp:{base}/body_checks
"""

_WITH_AUTH = "-o smtpd_sasl_auth_enable=yes -o smtpd_relay_restrictions=permit_sasl_authenticated,reject"
_MASTER = f"""\
{{smtp}} inet n - n - - smtpd -o smtpd_tls_security_level=none
{{border}} inet n - n - - smtpd
{{submission}} inet n - n - - smtpd -o smtpd_tls_security_level=encrypt {_WITH_AUTH}
{{submissions}} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes {_WITH_AUTH}
{{expired}} inet n - n - - smtpd -o smtpd_tls_security_level=encrypt -o smtpd_tls_chain_files={{expired_chain}}
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
"""


def absent() -> str | None:
    """Why Postfix cannot be used here; None when it can."""
    if _POSTFIX is None:
        return "postfix is not installed (apt-get install postfix)"
    if os.geteuid() != 0:
        return "postfix needs root to change to its mail user"
    return None


@dataclass(frozen=True, slots=True)
class Asked:
    """One RCPT TO and our answer to it."""

    sender: str
    recipient: str
    action: str
    sasl_username: str = ""
    encryption: str = ""  # the TLS protocol

    @property
    def probe(self) -> str:
        """The variable part of the envelope sender."""
        return self.sender.partition("@")[0].partition("+")[2]


Action = str | Callable[[Asked, int], str]  # called with the request and how many of this very sender and recipient came before


class Postfix:
    """One mail system. All methods block briefly."""

    def __init__(
        self,
        domains: Mapping[str, int],
        chain: str,
        expired_chain: str,
        sasl: str,
        hops: Mapping[str, int] | None = None,
        milters: Sequence[int] = (),
        hostname: str = "",
        body_checks: str = "",
    ) -> None:
        """`domains`: domain -> LMTP port of who keeps its mailboxes; `hops`: domain -> SMTP port of the next hop, over TLS; `milters`:
        ports of filters that see all that comes in; `body_checks`: regexp_table(5), applied as mail goes out, after every filter."""
        _sweep()
        self.base = Path(tempfile.mkdtemp(prefix=PREFIX))
        self.base.chmod(0o755)  # the postfix user must be able to pass through
        (self.base / "owner").write_text(str(os.getpid()))
        self._policy = _PolicyServer()
        self.smtp, self.submission, self.submissions, self.expired, self.border = free_ports(5)
        self._process: subprocess.Popen[bytes] | None = None
        (self.base / "queue").mkdir()
        (self.base / "data").mkdir(mode=0o700)
        shutil.chown(self.base / "data", "postfix")
        (self.base / "virtual").touch()
        (self.base / "body_checks").write_text(body_checks)
        (self.base / "transport").write_text(
            "".join(f"{domain} lmtp:inet:{HOST}:{port}\n" for domain, port in domains.items())
            + "".join(f"{domain} smtp:[{HOST}]:{port}\n" for domain, port in (hops or {}).items())
        )
        (self.base / "main.cf").write_text(
            _MAIN.format(
                base=self.base,
                hostname=hostname or f"mx.{next(iter(domains))}",
                domains=", ".join([*domains, *(hops or {})]),
                policy=self._policy.port,
                chain=chain,
                sasl=sasl,
                milters=", ".join(f"inet:{HOST}:{port}" for port in milters),
            )
        )
        (self.base / "master.cf").write_text(
            _MASTER.format(
                smtp=f"{HOST}:{self.smtp}",
                border=f"{HOST}:{self.border}",
                submission=f"{HOST}:{self.submission}",
                submissions=f"{HOST}:{self.submissions}",
                expired=f"{HOST}:{self.expired}",
                expired_chain=expired_chain,
            )
        )

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.destroy()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.destroy()

    # --- life -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._call("postfix", "check")  # makes the queue directories
        master = Path(self._call("postconf", "-h", "daemon_directory").strip()) / "master"
        # -s: in the foreground, without the shell that `postfix start-fg` leaves in between
        self._process = subprocess.Popen(
            [str(master), "-c", str(self.base), "-s"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        until = time.monotonic() + START_WITHIN
        for port in (self.smtp, self.submission, self.expired):
            while not _greets(port):
                if self._process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"postfix does not answer on port {port}:\n{self.log()[-3000:]}")
                time.sleep(0.05)

    def destroy(self) -> None:
        """SIGTERM to the master, which takes its children with it; SIGKILL to the whole session when it does not end."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_WITHIN)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(STOP_WITHIN)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        self._policy.close()
        shutil.rmtree(self.base, ignore_errors=True)

    def log(self) -> str:
        try:
            return (self.base / "maillog").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    # --- faults -----------------------------------------------------------------------------------------------

    def treat(self, recipient: str, action: Action | None) -> None:
        """What becomes of mail to this account (plus-tags do not count): access(5), or None: nothing special."""
        self._policy.treat(recipient, action)

    def asked(self, recipient: str) -> list[Asked]:
        """Every RCPT TO of this account so far."""
        return self._policy.asked(recipient)

    def alias(self, table: Mapping[str, str]) -> None:
        """Replace the virtual alias table, as a deploy would, and reload."""
        fresh = self.base / "virtual.new"
        fresh.write_text("".join(f"{source} {target}\n" for source, target in table.items()))
        fresh.replace(self.base / "virtual")
        self._call("postfix", "reload")

    # --- queue ------------------------------------------------------------------------------------------------

    def held(self, recipient: str) -> dict[str, str]:
        """Queue id -> probe id of what is on hold for this account."""
        found = {}
        for line in self._call("postqueue", "-j").splitlines():
            mail: dict[str, Any] = json.loads(line)
            to = {_base(entry["address"]) for entry in mail["recipients"]}
            if mail["queue_name"] == "hold" and _base(recipient) in to:
                found[mail["queue_id"]] = Asked(mail["sender"], recipient, "").probe
        return found

    def release(self, queue_ids: Iterable[str]) -> None:
        """From hold to delivery, now."""
        for queue_id in queue_ids:
            self._call("postsuper", "-H", queue_id)
            self._call("postqueue", "-i", queue_id)

    def _call(self, command: str, *arguments: str) -> str:
        binary = shutil.which(command, path=_SBIN)
        assert binary is not None, command
        # MAIL_CONFIG: for the commands that these call
        done = subprocess.run(
            [binary, "-c", str(self.base), *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=COMMAND_WITHIN, check=False,
            env={**os.environ, "MAIL_CONFIG": str(self.base)},
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{command} {arguments}: {done.returncode} {done.stderr}\n{self.log()[-2000:]}")
        return done.stdout


class _PolicyServer:
    """Postfix's policy delegation protocol: name=value lines and an empty line; the answer is action=..."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._actions: dict[str, Action] = {}
        self._asked: list[Asked] = []
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                attributes: dict[str, str] = {}
                with contextlib.suppress(OSError, ValueError):
                    for line in self.rfile:
                        text = line.decode(errors="replace").rstrip("\n")
                        if text:
                            name, _, value = text.partition("=")
                            attributes[name] = value
                        else:
                            self.wfile.write(f"action={server.decide(attributes)}\n\n".encode())
                            attributes = {}

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server((HOST, 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="policy server", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def treat(self, recipient: str, action: Action | None) -> None:
        with self._lock:
            if action is None:
                self._actions.pop(_base(recipient), None)
            else:
                self._actions[_base(recipient)] = action

    def asked(self, recipient: str) -> list[Asked]:
        with self._lock:
            return [asked for asked in self._asked if _base(asked.recipient) == _base(recipient)]

    def decide(self, attributes: Mapping[str, str]) -> str:
        sender, recipient = attributes.get("sender", ""), attributes.get("recipient", "")
        user, protocol = attributes.get("sasl_username", ""), attributes.get("encryption_protocol", "")
        with self._lock:
            action = self._actions.get(_base(recipient), "DUNNO")
            before = sum(asked.sender == sender and asked.recipient == recipient for asked in self._asked)
            said = action if isinstance(action, str) else action(Asked(sender, recipient, "", user, protocol), before)
            self._asked.append(Asked(sender, recipient, said, user, protocol))
        return said


def _base(address: str) -> str:
    local, _, domain = address.lower().partition("@")
    return f"{local.partition('+')[0]}@{domain}"


def _greets(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1) as greeting:
        greeting.settimeout(5)
        answer = greeting.recv(64)
        with contextlib.suppress(OSError):
            greeting.sendall(b"QUIT\r\n")
            greeting.recv(64)
        return answer.startswith(b"220")
    return False


def _sweep() -> None:
    """End what a test run left behind that was killed: a master whose own directory names an owner that no longer lives."""
    for base in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, ValueError):
            owner = int((base / "owner").read_text())
            if Path(f"/proc/{owner}").exists():
                continue
            with contextlib.suppress(OSError, ValueError):
                master = int((base / "queue/pid/master.pid").read_text())
                if Path(f"/proc/{master}/cwd").readlink().is_relative_to(base):  # the pid was not given to somebody else since
                    os.kill(master, signal.SIGTERM)
            shutil.rmtree(base, ignore_errors=True)
