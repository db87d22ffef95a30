"""Reading the configuration for a command: every fault on a line of its own, with its place and its mend."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from monitor.cli import UsageError, config_path, remark
from monitor.edge.secret import SystemSecrets
from monitor.model.policy import Policy
from monitor.model.secret import SecretRef
from monitor.ports import SecretError
from monitor.rules import rehearse
from monitor.settings import SettingsError, load

_UNREAD = "0" * 32  # stands for a secret that is not at hand


class _Dispensable:
    """Secrets that need not be there: the command signs nothing and logs in nowhere."""

    def read(self, ref: SecretRef) -> str:
        try:
            return SystemSecrets().read(ref)
        except SecretError:
            return _UNREAD


def policy_without_secrets(file: Path) -> Policy:
    """For a command that runs where the passwords are not. Raises UsageError with one line per fault."""
    try:
        return load(file, _Dispensable()).policy
    except SettingsError as error:
        raise UsageError(str(error)) from None


def own_state(policy: Policy, what: str) -> Path:
    """Where a command that runs the stages by itself keeps its journal."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "mailcanary" / f"{what}-{policy.environment}"


def noted(note: str) -> None:
    remark(f"note: {note}")


def policy_of(arguments: argparse.Namespace, tell: Callable[[str], None] = noted, paging: bool = True) -> Policy:
    """The policy of --config, templates tried out; `tell` hears of what is allowed but probably not meant. Raises UsageError with one line
    per fault. Without `paging`: what is said of channels does not matter to this command."""
    try:
        loaded = load(config_path(arguments.config), SystemSecrets())
    except SettingsError as error:
        raise UsageError(str(error)) from None
    faults = [
        loaded.fault(("paths", name, *fault.key), fault.what, fault.mend)
        for name, path in loaded.policy.paths.items()
        for fault in rehearse.rehearse(path)
    ]
    if faults:
        raise UsageError(str(SettingsError(faults)))
    for note in loaded.notes:
        if paging or not note.key.startswith("notify"):
            tell(str(note))
    return loaded.policy
