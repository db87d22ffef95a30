"""The journal: an append-only table of facts, owned by one process."""

from monitor.edge.journal.memory import MemoryJournal
from monitor.edge.journal.place import JournalError
from monitor.edge.journal.sqlite import SqliteJournal

__all__ = ["JournalError", "MemoryJournal", "SqliteJournal"]
