"""The image, built and run for real: debootstrap makes a base, buildah builds on it without any network, runc runs it with the restrictions
of our examples. None of it needs a registry of images or a daemon; all of it needs root."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "image"  # what is made once: base systems and wheelhouses
PINS = ROOT / ".ci" / "constraints.txt"
TOOLS = ("debootstrap", "buildah", "runc", "unshare")
SUITE, PYTHON = "bookworm", (3, 11)  # the Debian of the base, and its Python
PATIENCE = 400.0  # for a download or a build; never a measure
QUICK = 60.0


def absent() -> str | None:
    """Why none of this can be done here; None when it can."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (apt-get install --no-install-recommends buildah debootstrap runc)"
    if os.geteuid() != 0:
        return "only root can build and run an image without a daemon"
    if sys.version_info[:2] != PYTHON:
        return f"the wheels of {'.'.join(map(str, PYTHON))} are wanted, and this is Python {sys.version_info[0]}.{sys.version_info[1]}"
    return None


def told(words: Sequence[str | Path], *, patience: float = QUICK, **more: Any) -> str:
    """Run a command to its good end; its stdout. What it said is in the failure."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=patience, check=False, **more)
    assert done.returncode == 0, f"{' '.join(map(str, words[:6]))} ... ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}"
    return done.stdout


def base_system() -> Path:
    """A tar of a small Debian with Python, made once."""
    tar = KEPT / f"base-{SUITE}.tar"
    if tar.exists():
        return tar
    KEPT.mkdir(parents=True, exist_ok=True)
    tree = KEPT / f"base-{SUITE}.{os.getpid()}"
    try:
        packages = "python3,python3-venv,ca-certificates"
        told(["debootstrap", "--variant=minbase", f"--include={packages}", SUITE, tree], patience=PATIENCE)
        shutil.rmtree(tree / "var" / "cache" / "apt", ignore_errors=True)
        told(["tar", "-C", tree, "-cf", f"{tar}.part", "."], patience=PATIENCE)
        Path(f"{tar}.part").rename(tar)
    finally:
        shutil.rmtree(tree, ignore_errors=True)
    return tar


def wheelhouse() -> Path:
    """Every pinned file, fetched once for these pins."""
    kept = KEPT / f"wheelhouse-{hashlib.sha256(PINS.read_bytes()).hexdigest()[:16]}"
    if not kept.exists():
        part = kept.with_suffix(f".{os.getpid()}")
        pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--require-hashes"]
        told([*pip, "--dest", part, "-r", PINS], patience=PATIENCE)
        part.rename(kept)
    return kept


def context(at: Path, wheels: Path) -> Path:
    """What a builder gets: exactly what .dockerignore lets through, a prepared wheelhouse, and a thing that must not get in."""
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        source = ROOT / line.removeprefix("!")
        if not line.startswith("!") or source == ROOT / "build" / "wheelhouse":
            continue
        target = at / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    for name in ("Dockerfile", ".dockerignore"):
        shutil.copy(ROOT / name, at / name)
    shutil.copytree(wheels, at / "build" / "wheelhouse", copy_function=os.link)
    return at


@dataclass
class Store:
    """Images of our own, away from those of this machine."""

    at: Path

    def buildah(self, *words: str | Path, patience: float = QUICK, offline: bool = False) -> str:
        own = ["buildah", "--root", self.at / "images", "--runroot", self.at / "running"]
        return told([*(["unshare", "--net"] if offline else []), *own, *words], patience=patience).strip()

    def load(self, tar: Path, name: str) -> None:
        container = self.buildah("from", "scratch")
        self.buildah("add", "--quiet", container, tar, "/", patience=PATIENCE)
        self.buildah("commit", "--quiet", "--rm", container, name, patience=PATIENCE)

    def build(self, at: Path, name: str, base: str) -> str:
        """As the Dockerfile says, without a network."""
        arguments = ["--isolation", "chroot", "--format", "docker", "--build-arg", f"BASE={base}", "--build-arg", "REVISION=of-a-test"]
        return self.buildah("build", *arguments, "--tag", name, at, patience=PATIENCE, offline=True)

    def config(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.buildah("inspect", "--type", "image", name))["Docker"]["config"]
        return found

    def mount(self, name: str) -> Path:
        """The root filesystem."""
        return Path(self.buildah("mount", self.buildah("from", name)))

    def clear(self) -> None:
        for words in (["umount", "--all"], ["rm", "--all"], ["rmi", "--all", "--force"]):
            self.buildah(*words, patience=PATIENCE)
        shutil.rmtree(self.at)


@dataclass
class Container:
    """One container of an image, restricted as in config/kubernetes.yaml: no root, no capability, a root filesystem that nobody can
    write, 8 MiB of /tmp. The network is the host's, where the lab is."""

    root: Path
    config: Mapping[str, Any]
    at: Path  # a directory for what runc needs
    uid: int = 10001
    gid: int = 10001
    volumes: Mapping[str, tuple[Path, str]] = field(default_factory=dict)  # where -> (what, ro or rw)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def _runc(self) -> list[str]:
        return ["runc", "--root", str(self.at / "runc")]

    @property
    def name(self) -> str:
        return f"mailcanary-test-{self.at.name}"

    def _write(self, words: Sequence[str]) -> None:
        (self.at / "bundle").mkdir(parents=True, exist_ok=True)
        volumes = [
            {"destination": where, "type": "bind", "source": str(what), "options": ["rbind", mode, "nosuid", "nodev"]}
            for where, (what, mode) in self.volumes.items()
        ]
        spec = {
            "ociVersion": "1.0.2",
            "process": {
                "terminal": False,
                "user": {"uid": self.uid, "gid": self.gid},
                "args": list(words),
                "env": [*self.config["Env"], *(f"{key}={value}" for key, value in self.environment.items())],
                "cwd": self.config["WorkingDir"],
                "capabilities": {kind: [] for kind in ("bounding", "effective", "permitted", "inheritable")},
                "noNewPrivileges": True,
            },
            "root": {"path": str(self.root), "readonly": True},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
                {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777", "size=8m"]},
                *volumes,
            ],
            "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")], "readonlyPaths": ["/proc/sys"]},
        }
        (self.at / "bundle" / "config.json").write_text(json.dumps(spec))

    def run(self, *words: str) -> str:
        """Run to the end: the entrypoint with these words; its stdout."""
        self._write([*self.config["Entrypoint"], *words])
        return told([*self._runc, "run", "--bundle", str(self.at / "bundle"), self.name])

    @contextmanager
    def running(self, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """As the image says by itself, entrypoint and command. What is left of it is killed."""
        self._write([*self.config["Entrypoint"], *self.config["Cmd"]])
        with log.open("wb") as output:
            words = [*self._runc, "run", "--bundle", str(self.at / "bundle"), self.name]
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
            try:
                yield process
            finally:
                subprocess.run([*self._runc, "delete", "--force", self.name], capture_output=True, timeout=QUICK, check=False)
                process.kill()
                process.wait(QUICK)

    def also(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A second process in the running container, as a health check is one."""
        user = [
            "--user",
            f"{self.uid}:{self.gid}",
            *(word for key, value in self.environment.items() for word in ("--env", f"{key}={value}")),
        ]
        return subprocess.run([*self._runc, "exec", *user, self.name, *words], capture_output=True, text=True, timeout=QUICK, check=False)

    def stop(self, number: signal.Signals) -> None:
        told([*self._runc, "kill", self.name, str(int(number))])
