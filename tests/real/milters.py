"""Mail filters from Debian packages, on loopback ports, each with its files below one temporary directory.

with OpenDkim({"s1": ("shop.test", private_pem)}, selector="s1") as signer: Postfix(..., milters=(signer.port,))
with Rspamd(resolver_port) as verifier: Postfix(..., milters=(verifier.port,))      # writes Authentication-Results for mx.test
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

from tests.ports import free_port

HOST = "127.0.0.1"
WITHIN = 40.0
AUTHSERV_ID = "mx.box.test"

_SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_OPENDKIM = shutil.which("opendkim", path=_SBIN)
_RSPAMD = shutil.which("rspamd", path=_SBIN)

_SIGNER = """\
Mode s
Socket inet:{port}@127.0.0.1
KeyTable file:{base}/keys
SigningTable refile:{base}/signing
InternalHosts {base}/hosts
ExternalIgnoreList {base}/hosts
Canonicalization relaxed/relaxed
SignatureAlgorithm rsa-sha256
OversignHeaders From,Subject,Date,To
RequireSafeKeys no
MinimumKeyBits 512
Syslog no
PidFile {base}/pid
"""

_VERIFIER = """\
options {{
  filters = "spf,dkim";
  local_addrs = [];
  dns {{ nameserver = "master-slave:127.0.0.1:{resolver}:1"; timeout = 2s; retransmits = 2; }}
  tempdir = "{base}";
  pidfile = "{base}/pid";
  rundir = "{base}";
  control_socket = "{base}/control.sock mode=0600";
  max_lua_urls = 0;
}}
logging {{ type = "file"; filename = "{base}/log"; level = "info"; }}
worker "rspamd_proxy" {{
  bind_socket = "127.0.0.1:{port}";
  count = 1;
  milter = yes;
  timeout = 60s;
  upstream "local" {{ default = yes; self_scan = yes; }}
}}
actions {{ reject = 1000; add_header = 900; greylist = 800; }}
spf {{ enabled = true; check_local = true; check_authed = true; }}
dkim {{ enabled = true; check_local = true; check_authed = true; }}
dmarc {{ enabled = true; check_local = true; check_authed = true; }}
arc {{ enabled = false; }}
milter_headers {{
  enabled = true;
  use = ["authentication-results", "x-spamd-result"];
  skip_local = false; skip_authenticated = false;
  local_headers = ["authentication-results", "x-spamd-result"];
  authenticated_headers = ["authentication-results", "x-spamd-result"];
  routines {{ authentication-results {{ hostname = "{hostname}"; }} }}
}}
modules {{ path = "{lua}/plugins/spf.lua"; path = "{lua}/plugins/dmarc.lua"; path = "{lua}/plugins/milter_headers.lua"; }}
lua = "{rules}/rspamd.lua";
"""


def absent() -> str | None:
    """What is missing here; None when both can be used."""
    if _OPENDKIM is None:
        return "opendkim is not installed (apt-get install opendkim)"
    if _RSPAMD is None:
        return "rspamd is not installed (apt-get install rspamd)"
    return None


class _Daemon:
    """One process that listens on a port."""

    def __init__(self, prefix: str) -> None:
        self.base = Path(tempfile.mkdtemp(prefix=prefix))
        self.base.chmod(0o755)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.destroy()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.destroy()

    def start(self) -> None:
        with (self.base / "said").open("ab") as said:
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True, cwd=self.base
            )
        until = time.monotonic() + WITHIN
        while not _listens(self.port):
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self.command()[0]} does not listen:\n{self.said()[-3000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
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
            os.killpg(process.pid, signal.SIGKILL)

    def destroy(self) -> None:
        self.stop()
        shutil.rmtree(self.base, ignore_errors=True)

    def said(self) -> str:
        return "\n".join(at.read_text(errors="replace") for at in (self.base / "said", self.base / "log") if at.exists())


class OpenDkim(_Daemon):
    """Signs what passes through. `keys`: domain of the author -> (selector, private key in PEM)."""

    def __init__(self, keys: Mapping[str, tuple[str, str]]) -> None:
        super().__init__("mailcanary-opendkim-")
        (self.base / "hosts").write_text("127.0.0.0/8\n::1\n")
        (self.base / "conf").write_text(_SIGNER.format(base=self.base, port=self.port))
        for domain, (_, pem) in keys.items():
            at = self.base / f"{domain}.private"
            at.write_text(pem)
            at.chmod(0o600)
        table = [f"{domain} {domain}:{selector}:{self.base}/{domain}.private\n" for domain, (selector, _) in keys.items()]
        (self.base / "keys").write_text("".join(table))
        (self.base / "signing").write_text("".join(f"*@{domain} {domain}\n" for domain in keys))

    def command(self) -> list[str]:
        assert _OPENDKIM is not None
        return [_OPENDKIM, "-f", "-x", str(self.base / "conf")]


class Rspamd(_Daemon):
    """Verifies SPF, DKIM and DMARC with the resolver at this port, and says what it found in Authentication-Results."""

    def __init__(self, resolver: int) -> None:
        super().__init__("mailcanary-rspamd-")
        share = Path("/usr/share/rspamd")
        (self.base / "conf").write_text(
            _VERIFIER.format(base=self.base, port=self.port, resolver=resolver, hostname=AUTHSERV_ID, lua=share, rules=share / "rules")
        )
        shutil.chown(self.base, "_rspamd", "_rspamd")

    def command(self) -> list[str]:
        assert _RSPAMD is not None
        return [_RSPAMD, "-f", "-u", "_rspamd", "-g", "_rspamd", "-c", str(self.base / "conf")]


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
        return True
    return False
