"""The house keeps its own rules: what is imported is declared and pinned, clocks stand in one place, names say something."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from monitor import __version__
from monitor.model.policy import SmtpPath
from monitor.model.secret import SecretRef
from monitor.settings import load, parse_duration

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
MODULES = sorted((ROOT / "monitor").rglob("*.py"))
TREES = {at.relative_to(ROOT).as_posix(): ast.parse(at.read_text(), at.name) for at in MODULES}

PART_OF = {"pydantic_core": "pydantic", "yarl": "aiohttp"}  # where the library's own documentation imports its errors and its URLs from
PROVIDED = packages_distributions()
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "manager", "handler", "processor", "service", "base", "misc"}
CLOCK = ("monitor/edge/clock.py", "monitor/lab/")
CLOCK_READS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
    ("time", "sleep"),
    ("asyncio", "sleep"),
}
LONG = 350


# ---- dependencies ----------------------------------------------------------------------------------------------------


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


RUNTIME = names(PROJECT["dependencies"])
DATA = {"tzdata"}  # read by the standard library
DRIVERS = {"psycopg", "pymysql"}  # loaded by SQLAlchemy, by the database that a URL names
EXTRAS = {extra: names(texts) for extra, texts in PROJECT["optional-dependencies"].items()}


def imported(tree: ast.Module) -> set[str]:
    """The top-level packages that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


def third_party(tree: ast.Module) -> set[str]:
    """The distributions behind them."""
    packages = imported(tree) - sys.stdlib_module_names - {"monitor"}
    return {canonicalize_name(PART_OF.get(package) or PROVIDED[package][0]) for package in packages}


def test_every_third_party_import_is_declared() -> None:
    product = RUNTIME | EXTRAS["uvloop"] | EXTRAS["sql"] | EXTRAS["apprise"]
    lab = product | EXTRAS["lab"]
    undeclared = {module: third_party(tree) - (lab if module.startswith("monitor/lab/") else product) for module, tree in TREES.items()}
    assert {module: names for module, names in undeclared.items() if names} == {}


def test_every_dependency_is_imported() -> None:
    used = set().union(*(third_party(tree) for tree in TREES.values()))
    assert (RUNTIME - DATA) | EXTRAS["lab"] | EXTRAS["uvloop"] | EXTRAS["apprise"] | (EXTRAS["sql"] - DRIVERS) <= used


def test_every_dependency_has_its_allowed_importers() -> None:
    contracts = [c for c in PYPROJECT["tool"]["importlinter"]["contracts"] if c["type"] == "protected"]
    guarded = {canonicalize_name(PART_OF.get(m) or PROVIDED[m][0]) for c in contracts for m in c["protected_modules"]}
    assert guarded == (RUNTIME - DATA) | EXTRAS["lab"] | EXTRAS["uvloop"] | EXTRAS["apprise"] | (EXTRAS["sql"] - DRIVERS)


def pins() -> dict[str, tuple[str, int]]:
    """name -> (version, number of hashes) of .ci/constraints.txt; fails on any other line."""
    found: dict[str, tuple[str, int]] = {}
    name = ""
    for number, line in enumerate((ROOT / ".ci" / "constraints.txt").read_text().splitlines(), 1):
        if pin := re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9a-z.]*)(?: ; [^/]+)? \\", line):
            name = pin[1]
            found[name] = (pin[2], 0)
        elif re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?", line):
            found[name] = (found[name][0], found[name][1] + 1)
        else:
            assert not line or line.startswith("#"), f".ci/constraints.txt:{number}: {line}"
    return found


def test_pins_name_no_registry_and_no_machine() -> None:
    text = (ROOT / ".ci" / "constraints.txt").read_text()
    for word in ("http:", "https:", "://", "index-url", "find-links", "trusted-host", "file:", "/home", "/root", "/opt", "/tmp"):
        assert word not in text


def test_every_pin_has_a_hash() -> None:
    assert [name for name, (_, hashes) in pins().items() if not hashes] == []


@pytest.mark.parametrize("text", [*PROJECT["dependencies"], *(t for texts in PROJECT["optional-dependencies"].values() for t in texts)])
def test_every_declared_dependency_is_pinned_within_its_bounds(text: str) -> None:
    requirement = Requirement(text)
    version, _ = pins()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version)


def test_the_build_needs_nothing_that_is_not_pinned() -> None:
    assert names(PYPROJECT["build-system"]["requires"]) | {"editables"} <= set(pins())


def test_one_version() -> None:
    assert PROJECT["version"] == __version__
    assert f"ARG VERSION={__version__}\n" in (ROOT / "Dockerfile").read_text()
    assert re.search(rf"^## \[({re.escape(__version__)}|Unreleased)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


# ---- code ------------------------------------------------------------------------------------------------------------


def clock_reads(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            if (name, node.attr) in CLOCK_READS:
                yield f"line {node.lineno}: {name}.{node.attr}"
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (node.module, alias.name) in CLOCK_READS:
                    yield f"line {node.lineno}: from {node.module} import {alias.name}"


def test_clocks_are_read_in_one_place() -> None:
    assert [f"{module} {read}" for module, tree in TREES.items() if not module.startswith(CLOCK) for read in clock_reads(tree)] == []


def test_the_search_for_clock_reads_finds_them() -> None:
    spoiled = "import time, asyncio, datetime\nfrom asyncio import sleep\ntime.time()\nasyncio.sleep(1)\ndatetime.datetime.now()\n"
    assert len(list(clock_reads(ast.parse(spoiled)))) == 4


def test_modules_and_classes_have_names_that_say_something() -> None:
    assert [module for module in TREES if Path(module).stem.lower() in SAYS_NOTHING] == []
    classes = [(module, node.name) for module, tree in TREES.items() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    assert [f"{module}: {name}" for module, name in classes if name.lower().strip("_") in SAYS_NOTHING] == []


def test_a_long_module_gives_its_reason() -> None:
    """By a sentence with "long" or "350" in its docstring."""
    long = {name: len(at.read_text().splitlines()) for name, at in zip(TREES, MODULES, strict=True)}
    reasonless = [f"{module}: {long[module]} lines" for module, tree in TREES.items() if long[module] > LONG and not gives_reason(tree)]
    assert reasonless == []


def gives_reason(tree: ast.Module) -> bool:
    return re.search(r"\blong\b|\blonger\b|\b350\b", ast.get_docstring(tree) or "") is not None


def test_every_module_says_what_it_is_for() -> None:
    assert [module for module, tree in TREES.items() if not ast.get_docstring(tree)] == []


# ---- suites, image, examples -----------------------------------------------------------------------------------------


def test_every_suite_has_a_budget() -> None:
    budgets = re.search(r"^BUDGETS = \{$(.*?)^\}$", (ROOT / ".ci" / "suites.py").read_text(), re.MULTILINE | re.DOTALL)
    assert budgets
    folders = {at.relative_to(ROOT / "tests").parts[0] for at in (ROOT / "tests").glob("*/**/test_*.py")}
    assert folders <= set(re.findall(r'"(\w+)":', budgets[1]))


def test_the_landing_check_is_a_sound_script() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert subprocess.run([shutil.which("bash") or "bash", "-n", script], check=False).returncode == 0
    assert "set -euo pipefail" in script.read_text()


DOCKERFILE = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text()).splitlines()


def test_the_daemon_carries_nothing_that_only_a_command_needs() -> None:
    """A sidecar's memory is somebody's bill; these libraries are a tenth of it."""
    only = {"rich", "dkim", "sqlalchemy", "apprise", "iso4217", "lab"}
    code = f"import sys, monitor.cli.run; print(sorted({only} & {{m.removeprefix('monitor.').partition('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


def test_the_image() -> None:
    """What tests/real/test_image.py cannot see where it is skipped."""
    assert "ARG BASE=python:3.11-slim" in DOCKERFILE
    assert [line.split()[1] for line in DOCKERFILE if line.startswith("FROM ")] == ["${BASE}", "${BASE}"]
    last = DOCKERFILE[DOCKERFILE.index("FROM ${BASE}") :]
    assert last.index("USER 10001:10001") < last.index('ENTRYPOINT ["mailcanary"]')
    assert not any(line.startswith(("RUN pip", "RUN apt", "ADD ")) or "pip install" in line for line in last)
    assert "VOLUME /var/lib/mailcanary" in last
    assert any(line.startswith("HEALTHCHECK ") and line.endswith('CMD ["mailcanary", "healthz"]') for line in last)
    assert any(re.fullmatch(r"COPY --from=build /src/sbom.json /src/LICENSE /usr/share/doc/mailcanary/", line) for line in last)


def test_the_image_is_built_of_pinned_files_and_without_the_network_when_they_are_there() -> None:
    first = "\n".join(DOCKERFILE[: DOCKERFILE.index("FROM ${BASE}")])
    assert "--require-hashes" in first and "its hash is not pinned" in first
    fetched, rest = first.split("ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheelhouse")
    assert "ls /wheelhouse/*.whl ||" in fetched and "/opt/tools/bin/pip download" not in rest
    assert "ARG EXTRAS=lab,uvloop\n" in first and '"mailcanary[${EXTRAS}]"' in rest
    tools = re.search(r"pip install --no-compile --upgrade ([a-z -]+)$", rest, re.MULTILINE)
    assert tools and set(tools[1].split()) <= EXTRAS["dev"] and set(tools[1].split()) <= set(pins())


def test_the_image_context_has_what_the_image_copies() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = [line.split()[1:-1] for line in DOCKERFILE if line.startswith("COPY ") and "--from" not in line]
    copied = {name.replace("[e]", "e") for names in copies for name in names}
    assert copied == allowed
    assert [name for name in allowed - {"build/wheelhouse"} if not (ROOT / name).exists()] == []


def test_the_compose_example_matches_the_compose_schema() -> None:
    at = ROOT / "config" / "docker-compose.yaml"
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", at],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_the_compose_example() -> None:
    composed = yaml.safe_load((ROOT / "config" / "docker-compose.yaml").read_text())
    (canary,) = composed["services"].values()
    assert canary["read_only"] and canary["user"] == "10001:10001" and canary["cap_drop"] == ["ALL"]
    assert canary["security_opt"] == ["no-new-privileges:true"] and canary["tmpfs"] == ["/tmp:size=8m,mode=1777"]
    assert parse_duration(canary["stop_grace_period"]) > 20, "the default of drain"
    assert canary["ports"] == ["127.0.0.1:9464:9464"]
    assert canary["healthcheck"]["test"] == ["CMD", "mailcanary", "healthz"]
    assert not any(re.search("password|secret|key|token|url", name, re.IGNORECASE) for name in canary["environment"])
    assert set(canary["secrets"]) == set(composed["secrets"])
    assert {volume.split(":")[0] for volume in canary["volumes"] if isinstance(volume, str)} == set(composed["volumes"])


KUBERNETES = [*yaml.safe_load_all((ROOT / "config" / "kubernetes.yaml").read_text())]
MANIFESTS: dict[str, Any] = {document["kind"]: document for document in KUBERNETES}
STATEFUL = MANIFESTS["StatefulSet"]["spec"]
POD = STATEFUL["template"]["spec"]


@pytest.mark.parametrize("version", ["1.29", kubernetes_validate.latest_version()])
def test_the_kubernetes_example_is_valid(version: str) -> None:
    """By the schemas of the oldest version that has native sidecars, and of the newest known one; unknown keys are refused."""
    for document in KUBERNETES:
        kubernetes_validate.validate(document, version, strict=True)


def test_the_kubernetes_example_is_a_native_sidecar() -> None:
    (sidecar,) = POD["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "http"}, (
        "never /readyz: a blind mailbox is no reason to restart"
    )
    assert all(not {"readinessProbe", "startupProbe"} & set(container) for container in (*POD["initContainers"], *POD["containers"]))
    assert STATEFUL["replicas"] == 1 and STATEFUL["podManagementPolicy"] == "Parallel"
    assert POD["automountServiceAccountToken"] is False
    assert POD["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert sidecar["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(sidecar["resources"]) == {"requests", "limits"} and "cpu" not in sidecar["resources"]["limits"]
    assert not any("secretKeyRef" in json.dumps(variable) for variable in sidecar["env"])
    volumes = {volume["name"] for volume in POD["volumes"]} | {claim["metadata"]["name"] for claim in STATEFUL["volumeClaimTemplates"]}
    assert {mount["name"] for mount in sidecar["volumeMounts"]} == volumes
    assert MANIFESTS["Service"]["metadata"]["name"] == STATEFUL["serviceName"]


def test_the_kubernetes_example_selects_the_canary_and_nothing_else() -> None:
    """No label that the shop's own Service would select; the same one in all four places."""
    own = {"app.kubernetes.io/name": "mailcanary"}
    assert STATEFUL["template"]["metadata"]["labels"] == STATEFUL["selector"]["matchLabels"] == own
    assert MANIFESTS["Service"]["spec"]["selector"] == own
    assert MANIFESTS["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == own


class AnySecret:
    """Every secret is there; those of URLs are one."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def read(self, ref: SecretRef) -> str:
        self.asked.add(ref.name)
        return "https://hooks.example.com/x" if ref.name.endswith("-url") else "0123456789abcdef0123456789abcdef"


def test_the_configuration_in_the_kubernetes_example_is_one(tmp_path: Path) -> None:
    at = tmp_path / "mailcanary.yaml"
    at.write_text(MANIFESTS["ConfigMap"]["data"]["mailcanary.yaml"])
    secrets = AnySecret()
    loaded = load(at, secrets)
    policy = loaded.policy
    assert loaded.notes == ()
    assert policy.state_dir == "/var/lib/mailcanary" and policy.listen.port == 9464
    assert POD["terminationGracePeriodSeconds"] > policy.drain
    (mounted,) = [volume["secret"]["items"] for volume in POD["volumes"] if volume["name"] == "secrets"]
    assert secrets.asked == {f"/run/secrets/mailcanary/{item['path']}" for item in mounted}
    assert all(item["key"] == item["path"] for item in mounted)
    outward = {out["port"] for rule in MANIFESTS["NetworkPolicy"]["spec"]["egress"] for out in rule["ports"]}
    smtp = {path.via.port for path in policy.paths.values() if isinstance(path.via, SmtpPath)}
    wanted = {53, 443, 9093} | smtp | {box.port for box in policy.mailboxes.values()}
    assert outward == wanted
    inward = [rule["ports"] for rule in MANIFESTS["NetworkPolicy"]["spec"]["ingress"]]
    assert inward == [[{"protocol": "TCP", "port": policy.listen.port}]]
