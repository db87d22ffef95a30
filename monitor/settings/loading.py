"""File -> policy: read, validate, cross-check, look up secrets; every fault of the file in one go."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from monitor.model.gate import BUILT_IN, GatePolicy
from monitor.model.policy import Policy
from monitor.ports import Secrets
from monitor.settings.checks import check
from monitor.settings.document import MAX_BYTES, Document, DocumentError, read
from monitor.settings.explain import explain
from monitor.settings.faults import Fault, KeyPath, SettingsError, show
from monitor.settings.gate_policies import check_policy, gate_policy
from monitor.settings.gates_shape import GatePolicyShape
from monitor.settings.policies import Maker
from monitor.settings.report import Report
from monitor.settings.shape import Settings

_BY_NAME = {"paths", "mailboxes", "routes"}
_FILLER: dict[str, Any] = {
    "environment": "unknown",
    "instance": "unknown",
    "signing": {"keys": [{"number": 1, "secret": {"env": "UNKNOWN"}}]},
    "paths": {},
    "mailboxes": {},
}
_CUSTOM = "custom"  # the policy of a file whose own name cannot be one


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration without faults."""

    policy: Policy
    notes: tuple[Fault, ...]  # allowed, but probably not meant
    file: str
    document: Document

    def locate(self, key_path: KeyPath) -> str:
        """`config.yaml:11`: where the key stands, or the nearest one above it."""
        return f"{self.file}:{self.document.place(key_path).line}"

    def fault(self, key_path: KeyPath, what: str, mend: str) -> Fault:
        """For a fault that is found elsewhere (a template without its token) but lies in this file."""
        return Fault(self.locate(key_path), show(key_path), what, mend)


def load(path: Path, secrets: Secrets) -> Loaded:
    """Read the configuration; raises SettingsError with all its faults and nothing else."""
    file = str(path)
    document, report = _opened(path, "name it with --config; config/mailcanary.yaml is an example")
    settings, broken = _validate(document.data, report)
    routes = check(settings, document.data, broken, report)
    policy = Maker(settings, path.absolute().parent, secrets, report).policy(routes, broken)
    if report.faults:
        raise SettingsError(report.faults)
    return Loaded(policy, report.notes, file, document)


def load_gate_policy(path: Path) -> GatePolicy:
    """A file that holds one gate policy, as below gates.policies.NAME; its name is the file's. Raises SettingsError."""
    document, report = _opened(path, "name the file of a gate policy; gates.policies of config/mailcanary.yaml shows one")
    try:
        shape = GatePolicyShape.model_validate(document.data)
    except ValidationError as error:
        for at, what, mend in explain(error, document.data, GatePolicyShape):
            report.fault(at, what, mend)
    else:
        check_policy((), shape, report)
    if report.faults:
        raise SettingsError(report.faults)
    name = path.stem.lower()
    return gate_policy(name if re.fullmatch("[a-z0-9][a-z0-9-]{0,31}", name) and name not in BUILT_IN else _CUSTOM, shape)


def _opened(path: Path, mend: str) -> tuple[Document, Report]:
    """The document, and the report that knows its double keys; `mend` for a file that is not there. Raises SettingsError."""
    file = str(path)
    try:
        document = read(_bytes(path, mend))
    except DocumentError as error:
        where = f"{file}:{error.place.line}:{error.place.column}" if error.place else file
        raise SettingsError([Fault(where, "", error.what, error.mend)]) from None
    report = Report(file, document)
    for twice in document.twice:
        report.fault(twice.path, f"stands twice, first on line {twice.first.line}", "keep one of them", twice.place)
    return document, report


def _bytes(path: Path, mend: str) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise DocumentError("no such file", mend) from None
    except IsADirectoryError:
        raise DocumentError("is a directory", "name the YAML file in it") from None
    except OSError as error:
        raise DocumentError(f"cannot be read ({error.strerror})", "mend its name or permissions") from None
    except ValueError:  # a NUL in the name
        raise DocumentError("is no file name", "name the YAML file") from None


def _validate(data: dict[str, Any], report: Report) -> tuple[Settings, frozenset[KeyPath]]:
    """The settings; when there are faults, of what is left without the parts that have them, which are returned too."""
    try:
        return Settings.model_validate(data), frozenset()
    except ValidationError as error:
        broken: set[KeyPath] = set()
        for path, what, mend in explain(error, data):
            report.fault(path, what, mend)
            broken.add(path[:2] if path[0] in _BY_NAME else path[:1])
    return Settings.model_validate(_without(data, broken)), frozenset(broken)


def _without(data: dict[str, Any], broken: set[KeyPath]) -> dict[str, Any]:
    rest = {key: value for key, value in data.items() if (key,) not in broken}
    for part in ("paths", "mailboxes"):
        if part in rest:
            rest[part] = {name: value for name, value in rest[part].items() if (part, name) not in broken}
    if "routes" in rest:
        rest["routes"] = [entry for index, entry in enumerate(rest["routes"]) if ("routes", index) not in broken] or None
    return {**_FILLER, **rest}
