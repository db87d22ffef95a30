"""File -> policy: read, validate, cross-check, look up secrets; every fault of the file in one go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from monitor.model.policy import Policy
from monitor.ports import Secrets
from monitor.settings.checks import check
from monitor.settings.document import MAX_BYTES, Document, DocumentError, read
from monitor.settings.explain import explain
from monitor.settings.faults import Fault, KeyPath, SettingsError, show
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
    try:
        document = read(_bytes(path))
    except DocumentError as error:
        where = f"{file}:{error.place.line}:{error.place.column}" if error.place else file
        raise SettingsError([Fault(where, "", error.what, error.mend)]) from None
    report = Report(file, document)
    for twice in document.twice:
        report.fault(twice.path, f"stands twice, first on line {twice.first.line}", "keep one of them", twice.place)
    settings, broken = _validate(document.data, report)
    routes = check(settings, document.data, broken, report)
    policy = Maker(settings, path.absolute().parent, secrets, report).policy(routes, broken)
    if report.faults:
        raise SettingsError(report.faults)
    return Loaded(policy, report.notes, file, document)


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise DocumentError("no such file", "name it with --config; config/mailcanary.yaml is an example") from None
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
