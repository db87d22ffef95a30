"""Reading the configuration for a command: every fault on a line of its own, with its place and its mend."""

from __future__ import annotations

import argparse

from monitor.cli import UsageError, config_path
from monitor.edge.secret import SystemSecrets
from monitor.model.policy import Policy
from monitor.rules import rehearse
from monitor.settings import SettingsError, load


def policy_of(arguments: argparse.Namespace) -> Policy:
    """The policy of --config, templates tried out. Raises UsageError with one line per fault."""
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
    return loaded.policy
