"""The image: built without a network, run as nobody in particular on a root filesystem that nobody can write, against the lab."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from monitor import __version__
from tests.acceptance.conftest import lab_process, read_journal, tree_for, write_tree
from tests.ports import free_port
from tests.real import image as real
from tests.real.image import ROOT, Container, Store

pytestmark = [pytest.mark.skipif(real.absent() is not None, reason=f"image: {real.absent()}"), pytest.mark.timeout(600)]

BASE, NAME = "localhost/base", "localhost/mailcanary"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS_AT_MOST = 130  # MiB on top of the base


@dataclass(frozen=True)
class Built:
    """The image, its configuration, and its root filesystem, mounted."""

    store: Store
    config: dict[str, Any]
    root: Path

    def container(self, at: Path, **more: Any) -> Container:
        return Container(self.root, self.config, at, **more)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    made = Store(tmp_path_factory.mktemp("store"))
    made.load(real.base_system(), BASE)
    yield made
    made.clear()


@pytest.fixture(scope="module")
def built(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Built:
    at = real.context(tmp_path_factory.mktemp("context"), real.wheelhouse())
    store.build(at, NAME, BASE)
    return Built(store, store.config(NAME), store.mount(NAME))


def until(done: Callable[[], object], what: Callable[[], str]) -> None:
    """Wait for what must happen."""
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end, what()
        time.sleep(0.1)


def test_what_it_says_of_itself(built: Built) -> None:
    config = built.config
    assert (config["User"], config["WorkingDir"], config["StopSignal"]) == ("10001:10001", "/var/lib/mailcanary", "SIGTERM")
    assert (config["Entrypoint"], config["Cmd"], config["Healthcheck"]["Test"]) == (
        ["mailcanary"],
        ["run"],
        ["CMD", "mailcanary", "healthz"],
    )
    assert set(config["Volumes"]) == {"/var/lib/mailcanary"} and set(config["ExposedPorts"]) == {"9464/tcp"}
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
    assert labels["version"] == __version__ and labels["revision"] == "of-a-test" and labels["base.name"] == BASE
    assert labels["licenses"] == PROJECT["license"] and labels["title"] == PROJECT["name"]


def test_its_version_and_its_size(built: Built, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert built.container(tmp_path).run("--version").strip() == f"mailcanary {__version__}"
    whole, ours = (int(real.told(["du", "-sm", "-x", at]).split()[0]) for at in (built.root, built.root / "opt"))
    with capsys.disabled():
        print(f"\nimage: {whole} MiB, of which {ours} MiB on top of its Debian and Python")
    assert 0 < ours <= OURS_AT_MOST


def test_nothing_is_in_it_that_only_its_making_needs(built: Built) -> None:
    assert not any((built.root / name).exists() for name in ("src", "wheelhouse", "opt/tools", "opt/mailcanary/bin/pip"))
    (packages,) = (built.root / "opt" / "mailcanary" / "lib").glob("python3.*/site-packages")
    present = {re.split(r"-\d", at.name)[0] for at in packages.glob("*.dist-info")}
    assert "mailcanary" in present and not present & {"pip", "setuptools", "pytest", "mypy", "hypothesis", "cyclonedx_bom", "hatchling"}
    assert not (packages / "tests").exists()
    theirs = [at for at in (built.root / "opt").rglob("*") if not at.is_symlink() and (at.stat().st_uid != 0 or at.stat().st_mode & 0o022)]
    assert theirs == [], "whoever runs it must not be able to change it"
    state = (built.root / "var/lib/mailcanary").stat()
    assert (state.st_uid, state.st_gid, state.st_mode & 0o777) == (10001, 10001, 0o700)


def test_its_bill_of_materials(built: Built) -> None:
    """Valid by the standard's own schema, complete by what is installed, and with a licence for everything."""
    text = (built.root / "usr/share/doc/mailcanary/sbom.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    root = bill["metadata"]["component"]
    assert (root["name"], root["version"], root["licenses"][0]["license"]["id"]) == ("mailcanary", __version__, PROJECT["license"])
    listed = {canonicalize_name(part["name"]): part["version"] for part in bill["components"]}
    (packages,) = (built.root / "opt" / "mailcanary" / "lib").glob("python3.*/site-packages")
    installed = {found.name: found.version for found in distributions(path=[str(packages)])}
    assert listed | {"mailcanary": __version__} == {canonicalize_name(name): version for name, version in installed.items()}
    extras = PROJECT["optional-dependencies"]
    declared = {Requirement(text) for text in (*PROJECT["dependencies"], *extras["lab"], *extras["uvloop"])}
    assert all(wanted.specifier.contains(listed[canonicalize_name(wanted.name)]) for wanted in declared)
    assert [part["name"] for part in bill["components"] if not part.get("licenses")] == []
    assert "aioimaplib" in listed and (built.root / "usr/share/doc/mailcanary/LICENSE").read_text() == (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize(("uid", "gid"), [(10001, 10001), (1_000_730_000, 0)], ids=["its own user", "any user"])
def test_it_runs(built: Built, tmp_path: Path, uid: int, gid: int) -> None:
    """Probes arrive, its health check is content, the root filesystem cannot be written, and SIGTERM ends it with 0."""
    config, state, log = tmp_path / "etc", tmp_path / "state", tmp_path / "log"
    config.mkdir()
    state.mkdir(mode=0o700)
    shutil.chown(state, uid, gid)
    with lab_process() as lab:
        address = lab.description["providers"][0]["accounts"][0]["address"]
        tree = tree_for(lab.description, config, [address], ["bare-smtp"])
        tree["schedule"] = {"every": "2s", "jitter": "0%"}
        port = free_port()  # the container has the network of the host, and its 9464 may be taken
        tree["listen"] = {"host": "127.0.0.1", "port": port}
        tree = json.loads(json.dumps(tree).replace(str(config), "/etc/mailcanary"))
        tree["state_dir"] = "/var/lib/mailcanary"
        write_tree(tree, config)
        for at in config.iterdir():
            shutil.chown(at, uid, gid)
            at.chmod(0o400)
        volumes = {"/etc/mailcanary": (config, "ro"), "/var/lib/mailcanary": (state, "rw")}
        named = {"MAILCANARY_CONFIG": "/etc/mailcanary/mailcanary.yaml"}
        container = built.container(tmp_path, uid=uid, gid=gid, volumes=volumes, environment=named)
        with container.running(log) as process:

            def judged() -> list[str]:
                assert process.poll() is None, log.read_text()[-3000:]
                return [row.body["reason"] for row in read_journal(state) if row.kind == "judged"]

            until(lambda: len(judged()) >= 2, lambda: f"two verdicts: {log.read_text()[-3000:]}")
            health = container.also(*built.config["Healthcheck"]["Test"][1:], "--server", f"http://127.0.0.1:{port}")
            assert health.returncode == 0, health.stderr
            write = container.also(
                "sh",
                "-c",
                "id -u; touch /opt/mailcanary/x /etc/x /var/lib/mailcanary/x; touch /var/lib/mailcanary/y && rm /var/lib/mailcanary/[xy]",
            )
            assert write.stdout.split() == [str(uid)] and write.stderr.count("Read-only file system") == 2 and write.returncode == 0
            container.stop(signal.SIGTERM)
            assert process.wait(30) == 0, log.read_text()[-3000:]
        assert set(judged_at_the_end(state)) == {"pass"}
        said = log.read_text()
        assert "Traceback" not in said and "signing key of the acceptance" not in said
    assert {at.stat().st_uid for at in state.iterdir()} == {uid}


def judged_at_the_end(state: Path) -> list[str]:
    return [row.body["reason"] for row in read_journal(state) if row.kind == "judged"]


def test_a_stranger_has_no_state(built: Built, tmp_path: Path) -> None:
    """Another uid can start it, but not write into the directory of 10001: one line says so."""
    container = built.container(tmp_path, uid=12345, gid=12345)
    assert container.run("--version").strip() == f"mailcanary {__version__}"
    config = tmp_path / "etc"
    config.mkdir()
    with lab_process() as lab:
        tree = tree_for(lab.description, config, [lab.description["providers"][0]["accounts"][0]["address"]], ["bare-smtp"])
        tree = json.loads(json.dumps(tree).replace(str(config), "/etc/mailcanary")) | {"state_dir": "/var/lib/mailcanary"}
        write_tree(tree, config)
        for at in config.iterdir():
            shutil.chown(at, 12345)
        named = {"MAILCANARY_CONFIG": "/etc/mailcanary/mailcanary.yaml"}
        container = built.container(tmp_path, uid=12345, gid=0, volumes={"/etc/mailcanary": (config, "ro")}, environment=named)
        with container.running(tmp_path / "log") as process:
            assert process.wait(30) == 4
    said = (tmp_path / "log").read_text()
    assert "/var/lib/mailcanary" in said and "Traceback" not in said


def test_without_a_configuration_it_says_so(built: Built, tmp_path: Path) -> None:
    container = built.container(tmp_path)
    with container.running(tmp_path / "log") as process:
        assert process.wait(30) == 2
    assert "mailcanary.yaml" in (tmp_path / "log").read_text() and "Traceback" not in (tmp_path / "log").read_text()


def test_a_wheel_that_is_not_pinned_is_refused(store: Store, tmp_path: Path) -> None:
    at = real.context(tmp_path / "context", real.wheelhouse())
    wheel = next((at / "build" / "wheelhouse").glob("aiohttp-*.whl"))
    content = wheel.read_bytes()
    wheel.unlink()  # a link to the one that is kept
    wheel.write_bytes(content + b"\0")
    with pytest.raises(AssertionError, match=r"aiohttp-[^ ]*: its hash is not pinned"):
        store.build(at, "localhost/spoiled", BASE)


def test_the_dockerfile_is_sound() -> None:
    hadolint = Path(shutil.which("hadolint") or ROOT / ".venv" / "bin" / "hadolint")
    done = subprocess.run([hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")
