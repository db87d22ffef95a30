"""A real Dovecot 2.3 on loopback high ports, with its own configuration, users and mail below one temporary directory.

with Dovecot({"seed@box.test": "secret"}, tls=(cert_file, key_file)) as dovecot:
    dovecot.imap, dovecot.imaps, dovecot.lmtp        # TCP ports on 127.0.0.1
    dovecot.add_user("other@box.test", "secret")     # at any time
    dovecot.sieve("seed@box.test", 'require "fileinto"; fileinto "Junk";')
    dovecot.stop(); dovecot.start()                  # same ports, same mail
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.ports import free_ports

HOST = "127.0.0.1"
MAIL_UID = 15_000  # Dovecot touches no mail as root; the number needs no account
START_WITHIN = 15.0

_BINARY = shutil.which("dovecot") or shutil.which("dovecot", path="/usr/sbin:/usr/local/sbin")
_DOVEADM = shutil.which("doveadm", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

_CONF = """\
base_dir = {base}/run
state_dir = {base}/state
instance_name = mailcanary-{name}
log_path = {base}/dovecot.log
protocols = imap{lmtp_protocol}
listen = 127.0.0.1
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
auth_username_format = %Lu
mail_location = {mail_format}:~/mail
mail_uid = {uid}
mail_gid = {uid}
first_valid_uid = {uid}
first_valid_gid = {uid}
mail_max_userip_connections = 5000
mail_fsync = never
default_process_limit = {processes}
default_client_limit = 20000
ssl = {ssl}
{ssl_files}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%Lu {base}/users/%Lu
}}
userdb {{
  driver = static
  args = uid={uid} gid={uid} home={base}/home/%Lu
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Junk {{
    auto = create
    special_use = \\Junk
  }}
  mailbox Archive {{
    auto = create
    special_use = \\Archive
  }}
  mailbox Trash {{
    auto = create
    special_use = \\Trash
  }}
}}
service imap-login {{
  service_count = 0
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  unix_listener {base}/auth-client {{
    mode = 0666
  }}
}}
protocol lmtp {{
  mail_plugins = {lmtp_plugins}
  postmaster_address = postmaster@box.test
}}
lda_mailbox_autocreate = yes
plugin {{
  sieve = file:~/sieve;active=~/active.sieve
}}
{extra}
"""


def absent() -> str | None:
    """Why Dovecot cannot be used here; None when it can."""
    if _BINARY is None or _DOVEADM is None:
        return "dovecot is not installed (apt-get install dovecot-imapd dovecot-lmtpd dovecot-sieve)"
    if os.geteuid() != 0:
        return "dovecot needs root to change to its mail user"
    version = subprocess.run([_BINARY, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    if not version.startswith("2.3"):
        return f"the configuration here is for dovecot 2.3, installed is {version or 'unknown'}"
    return None


def has_lmtp() -> bool:
    return Path("/usr/lib/dovecot/lmtp").exists() or Path("/usr/libexec/dovecot/lmtp").exists()


def has_sieve() -> bool:
    return any(Path(at).exists() for at in ("/usr/lib/dovecot/modules/lib90_sieve_plugin.so", "/usr/lib64/dovecot/lib90_sieve_plugin.so"))


class Dovecot:
    """One server. All methods block briefly: call them in a thread where a loop must go on."""

    def __init__(
        self,
        users: Mapping[str, str],
        tls: tuple[str, str] | None = None,
        mail_format: str = "maildir",
        extra: str = "",
        processes: int = 200,
    ) -> None:
        self.base = Path(
            tempfile.mkdtemp(prefix="dovecot-")
        )  # not pytest's: the mail user must be able to pass through, and paths stay short
        self.base.chmod(0o755)
        self.imap, self.imaps, self.lmtp = free_ports(3)
        self._process: subprocess.Popen[bytes] | None = None
        (self.base / "home").mkdir()
        os.chown(self.base / "home", MAIL_UID, MAIL_UID)
        (self.base / "users").mkdir()
        (self.base / "state").mkdir()
        for user, password in users.items():
            self.add_user(user, password)
        self.conf = self.base / "dovecot.conf"
        self.conf.write_text(
            _CONF.format(
                base=self.base,
                name=self.base.name,
                imap=self.imap,
                imaps=self.imaps if tls else 0,
                lmtp=self.lmtp if has_lmtp() else 0,
                lmtp_protocol=" lmtp" if has_lmtp() else "",
                lmtp_plugins="sieve" if has_sieve() else "",
                mail_format=mail_format,
                uid=MAIL_UID,
                ssl="yes" if tls else "no",
                ssl_files=f"ssl_cert = <{tls[0]}\nssl_key = <{tls[1]}" if tls else "",
                extra=extra,
                processes=processes,
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
        assert _BINARY is not None and self._process is None
        self._process = subprocess.Popen(
            [_BINARY, "-F", "-c", str(self.conf)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
        until = time.monotonic() + START_WITHIN
        while True:
            if self._process.poll() is not None:
                assert self._process.stderr is not None
                said = self._process.stderr.read().decode(errors="replace")
                self.stop()
                raise RuntimeError(f"dovecot did not start: {said}\n{self.log()[-2000:]}")
            with contextlib.suppress(OSError), socket.create_connection((HOST, self.imap), 1) as greeting:
                greeting.settimeout(2)
                if greeting.recv(4) == b"* OK":
                    return
            if time.monotonic() > until:
                self.stop()
                raise RuntimeError(f"dovecot answers nothing on port {self.imap}:\n{self.log()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """SIGTERM to the master, then to its sessions, which would otherwise live on for 10 s; SIGKILL when it does not end."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        if process.stderr is not None:
            process.stderr.close()

    def destroy(self) -> None:
        self.stop()
        shutil.rmtree(self.base, ignore_errors=True)

    def log(self) -> str:
        try:
            return (self.base / "dovecot.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    # --- accounts ---------------------------------------------------------------------------------------------

    def add_user(self, user: str, password: str) -> None:
        # A file per user: Dovecot looks at a shared one at most once a second and would not see a new user at once.
        (self.base / "users" / user.lower()).write_text(f"{user.lower()}:{{PLAIN}}{password}:::::\n")

    def home(self, user: str) -> Path:
        home = self.base / "home" / user.lower()
        if not home.exists():
            home.mkdir(mode=0o700)
            os.chown(home, MAIL_UID, MAIL_UID)
        return home

    def sieve(self, user: str, script: str | None) -> None:
        """The active Sieve script of the user (Pigeonhole compiles it at the next delivery); None: none."""
        at = self.home(user) / "active.sieve"
        at.unlink(missing_ok=True)
        if script is not None:
            at.write_text(script)
            os.chown(at, MAIL_UID, MAIL_UID)

    def doveadm(self, *arguments: str, stdin: bytes = b"") -> str:
        assert _DOVEADM is not None
        done = subprocess.run([_DOVEADM, "-c", str(self.conf), *arguments], input=stdin, capture_output=True, timeout=20, check=False)
        if done.returncode:
            raise RuntimeError(f"doveadm {arguments}: {done.returncode} {done.stderr.decode(errors='replace')}")
        return done.stdout.decode(errors="replace")
