"""A real BIND: an authoritative server, and a validating resolver in front of it.

    with Bind({"shop.test": zone_text, ...}, signed=("safe.test",)) as bind:
        bind.port, bind.resolver                  # ports on 127.0.0.1; the authoritative one is on ::1 too, and lame there
        bind.publish("shop.test", other_text)     # serial and reload are seen to; returns when it is served
        bind.stop("resolver"); bind.start("resolver")

Zone texts have no SOA: that, NS and glue come from here. A zone is delegated by the zone above it when that is served here too; one whose
text says `; lame` is delegated to ::1 as well, where this BIND refuses. A zone of `signed` is signed with a key that its parent vouches
for, or that the resolver trusts where the parent is not signed; `spoil` signs it with another one, so that it is bogus.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.query
import dns.rdatatype

HOST = "127.0.0.1"
LAME = "::1"  # named listens only where an interface says so: on loopback that is 127.0.0.1 and ::1
WITHIN = 20.0

_SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_NAMED = shutil.which("named", path=_SBIN)
_SIGN = shutil.which("dnssec-signzone", path=_SBIN)
_DS = shutil.which("dnssec-dsfromkey", path=_SBIN)
_KEYGEN = shutil.which("dnssec-keygen", path=_SBIN)

_COMMON = """\
options {{
  directory "{base}";
  pid-file "{base}/{name}.pid";
  session-keyfile none;
  listen-on port {port} {{ {addresses} }};
  listen-on-v6 port {port} {{ {six} }};
  minimal-responses {minimal};
  {options}
}};
controls {{ }};
logging {{ channel out {{ file "{base}/{name}.log"; severity info; }}; category default {{ out; }}; }};
"""


def absent() -> str | None:
    """Why BIND cannot be used here; None when it can."""
    if _NAMED is None or _SIGN is None or _KEYGEN is None:
        return "bind is not installed (apt-get install bind9 bind9-utils)"
    return None


class Bind:
    """Two processes. All methods block briefly."""

    def __init__(self, zones: Mapping[str, str], signed: Iterable[str] = (), ttl: int = 3600) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="mailcanary-bind-"))
        self.base.chmod(0o755)
        self.port, self.resolver = _free_ports(2)
        self._ttl = ttl
        self._texts = dict(zones)
        self._signed = frozenset(signed)
        self._spoilt: set[str] = set()
        self._serial = int(time.time())
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            keys = {zone: self._key(zone) for zone in sorted(self._signed)}
            self._anchors = {zone: key for zone, key in keys.items() if zone.partition(".")[2] not in keys}
            for zone in self._texts:
                self._write(zone)
            self._configure()
            self.start("authority")
            self.start("resolver")
        except BaseException:
            self.destroy()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.destroy()

    # --- life -------------------------------------------------------------------------------------------------

    def start(self, which: str) -> None:
        """`authority` or `resolver`."""
        assert _NAMED is not None
        process = subprocess.Popen(
            [_NAMED, "-f", "-c", str(self.base / f"{which}.conf"), "-n", "1", "-U", "1"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self._processes[which] = process
        port = self.port if which == "authority" else self.resolver
        until = time.monotonic() + WITHIN
        while not _answers(port, next(iter(self._texts))):
            if process.poll() is not None or time.monotonic() > until:
                said = process.stderr.read().decode(errors="replace") if process.poll() is not None and process.stderr else ""
                raise RuntimeError(f"named ({which}) does not answer: {said}\n{self.log(which)[-3000:]}")
            time.sleep(0.05)

    def stop(self, which: str) -> None:
        process = self._processes.pop(which, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(WITHIN)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(WITHIN)
        if process.stderr is not None:
            process.stderr.close()

    def destroy(self) -> None:
        for which in tuple(self._processes):
            self.stop(which)
        shutil.rmtree(self.base, ignore_errors=True)

    def log(self, which: str) -> str:
        try:
            return (self.base / f"{which}.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    # --- zones ------------------------------------------------------------------------------------------------

    def publish(self, zone: str, text: str) -> None:
        """Another content of a zone; returns when the authoritative server serves it and the resolver has forgotten the old one."""
        self._texts[zone] = text
        self._write(zone)
        self._processes["authority"].send_signal(signal.SIGHUP)
        until = time.monotonic() + WITHIN
        while _serial(self.port, zone) != self._serial:
            assert time.monotonic() < until, f"{zone} is not served anew:\n{self.log('authority')[-3000:]}"
            time.sleep(0.02)
        self.forget()

    def forget(self) -> None:
        """The resolver begins with an empty cache."""
        self.stop("resolver")
        self.start("resolver")

    def spoil(self, zone: str, spoilt: bool = True) -> None:
        """Sign with a key that the resolver does not trust: bogus; or well again."""
        (self._spoilt.add if spoilt else self._spoilt.discard)(zone)
        self.publish(zone, self._texts[zone])

    def _write(self, zone: str) -> None:
        self._serial += 1
        text = self._texts[zone]
        servers = "@ NS ns1\nns1 A 127.0.0.1\n" + ("@ NS ns2\nns2 AAAA ::1\n" if self._is_lame(zone) else "")
        head = f"$TTL {self._ttl}\n@ SOA ns1 hostmaster {self._serial} 14400 3600 1209600 300\n{servers}"
        children = [child for child in self._texts if child != zone and child.endswith("." + zone)]
        cuts = "".join(_cut(child, self._is_lame(child)) for child in children)
        if zone in self._signed:
            cuts += "".join(self._ds(child) for child in children if child in self._signed)
        at = self.base / f"{zone}.zone"
        at.write_text(head + cuts + text)
        if zone in self._signed:
            self._sign(zone, at)

    def _is_lame(self, zone: str) -> bool:
        return "; lame" in self._texts[zone]

    def _key(self, zone: str) -> str:
        """A fresh combined signing key; returns its DNSKEY data."""
        assert _KEYGEN is not None
        done = subprocess.run(
            [_KEYGEN, "-q", "-K", str(self.base), "-a", "ECDSAP256SHA256", "-f", "KSK", "-n", "ZONE", zone],
            capture_output=True, text=True, timeout=WITHIN, check=True,
        )  # fmt: skip
        name = done.stdout.strip()
        return next(line for line in (self.base / f"{name}.key").read_text().splitlines() if not line.startswith(";")).split("DNSKEY ")[1]

    def _ds(self, zone: str) -> str:
        """Of the first key: one that the zone is signed with later is not vouched for."""
        assert _DS is not None
        first = min(self.base.glob(f"K{zone}.+*.key"), key=lambda key: key.stat().st_mtime_ns)
        return subprocess.run([_DS, "-2", str(first)], capture_output=True, text=True, timeout=WITHIN, check=True).stdout

    def _sign(self, zone: str, at: Path) -> None:
        assert _SIGN is not None
        if zone in self._spoilt:
            self._key(zone)  # the newest of the zone signs
        keys = sorted(self.base.glob(f"K{zone}.+*.key"), key=lambda key: key.stat().st_mtime_ns)
        key = keys[-1] if zone in self._spoilt else keys[0]
        with at.open("a") as more:
            more.write(f"\n$INCLUDE {key}\n")
        subprocess.run(
            [_SIGN, "-z", "-P", "-o", zone, "-K", str(self.base), "-f", f"{at}.signed", str(at), str(key.with_suffix(""))],
            capture_output=True, timeout=WITHIN, check=True, cwd=self.base,
        )  # fmt: skip

    def _configure(self) -> None:
        zones = "".join(
            f'zone "{zone}" {{ type primary; file "{self.base}/{zone}.zone{".signed" if zone in self._signed else ""}"; }};\n'
            for zone in self._texts
        )
        # the lame view refuses; neither asks the real root for its servers
        views = f"""view served {{ match-destinations {{ {HOST}; }}; {zones} }};
view lame {{ match-clients {{ any; }}; zone "." {{ type hint; file "/dev/null"; }}; }};
"""
        conf = _COMMON.format(
            base=self.base,
            name="authority",
            port=self.port,
            addresses=f"{HOST};",
            six=f"{LAME};",
            minimal="no",
            options="recursion no; allow-transfer { none; }; notify no; dnssec-validation no;",
        )
        (self.base / "authority.conf").write_text(conf + views)
        forwards = "".join(
            f'zone "{zone}" {{ type forward; forward only; forwarders {{ {HOST} port {self.port}; }}; }};\n' for zone in self._texts
        )
        anchors = "".join(_anchor(zone, key) for zone, key in self._anchors.items())
        options = "recursion yes; dnssec-validation yes; empty-zones-enable no; qname-minimization off; max-cache-ttl 3600;"
        (self.base / "root.zone").write_text(
            "$TTL 60\n. SOA ns. root. 1 60 60 60 60\n. NS ns.\nns. A 127.0.0.1\n" + "".join(_cut(zone, False) for zone in self._texts)
        )
        forwards += f'zone "." {{ type primary; file "{self.base}/root.zone"; }};\n'  # or it would ask the real one
        conf = _COMMON.format(
            base=self.base, name="resolver", port=self.resolver, addresses=f"{HOST};", six="none;", minimal="no", options=options
        )
        (self.base / "resolver.conf").write_text(conf + f"trust-anchors {{ {anchors} }};\n" * bool(anchors) + forwards)


def _cut(child: str, lame: bool) -> str:
    cut = f"{child}. NS ns1.{child}.\nns1.{child}. A {HOST}\n"
    return cut + (f"{child}. NS ns2.{child}.\nns2.{child}. AAAA {LAME}\n" if lame else "")


def _anchor(zone: str, key: str) -> str:
    flags, protocol, algorithm, data = key.split(" ", 3)
    return f'{zone}. static-key {flags} {protocol} {algorithm} "{data.replace(" ", "")}";'


def _answers(port: int, name: str) -> bool:
    return _serial(port, name) >= 0


def _serial(port: int, zone: str) -> int:
    with contextlib.suppress(OSError, dns.exception.DNSException):
        answer = dns.query.udp(dns.message.make_query(zone, dns.rdatatype.SOA), HOST, timeout=2, port=port)
        for rrset in answer.answer:
            if rrset.rdtype == dns.rdatatype.SOA:
                return int(rrset[0].serial)  # type: ignore[attr-defined]
    return -1


def _free_ports(count: int) -> list[int]:
    """Free over UDP and TCP on all the addresses; below those that the kernel gives to outgoing connections."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(10_000, 32_000)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for family, address in ((socket.AF_INET, HOST), (socket.AF_INET6, LAME)):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    stack.enter_context(socket.socket(family, kind)).bind((address, port))
            found.append(port)
    return found
