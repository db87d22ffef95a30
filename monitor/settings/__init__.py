"""The configuration: one YAML file plus secrets from the environment or files, strict, made into frozen policies."""

from monitor.model.duration import parse_duration, print_duration
from monitor.settings.faults import Fault, SettingsError
from monitor.settings.loading import Loaded, load, load_gate_policy

__all__ = ["Fault", "Loaded", "SettingsError", "load", "load_gate_policy", "parse_duration", "print_duration"]
