"""mailcanary: the monitor beside a shop's refund mail."""

__version__ = "0.1.0"
