"""What an IMAP session believes about the folder that it has open, and the news since its last look."""

from dataclasses import dataclass, field

from monitor.lab.imap_answers import flag_list
from monitor.lab.store import Folder, StoredMessage


class Refused(Exception):
    """The tagged answer is NO, with this text (response codes: RFC 5530)."""


@dataclass(slots=True, eq=False)
class Selected:
    """A session's view of the folder that it has open: sequence numbers are places in `known`."""

    folder: Folder
    read_only: bool
    uidvalidity: int
    known: list[StoredMessage] = field(default_factory=list)
    change: int = -1
    expunges: int = 0
    flag_change: int = 0

    @property
    def stale(self) -> bool:
        """Whether UIDVALIDITY changed under the session, which then has to end."""
        return self.uidvalidity != self.folder.uidvalidity

    def news(self, *, may_expunge: bool) -> bytes:
        """Untagged lines for what changed since the last look; EXPUNGE only where RFC 3501 section 7.4.1 allows."""
        folder = self.folder
        if self.change == folder.change:
            return b""
        if self.expunges != folder.expunges and not may_expunge:
            return b""
        lines: list[bytes] = []
        if self.expunges != folder.expunges:
            kept = {id(message) for message in folder.messages}
            for number in range(len(self.known), 0, -1):
                if id(self.known[number - 1]) not in kept:
                    del self.known[number - 1]
                    lines.append(b"* %d EXPUNGE\r\n" % number)
        fresh = folder.messages[len(self.known) :]
        if folder.flag_change > self.flag_change:
            lines.extend(
                b"* %d FETCH (UID %d FLAGS %s)\r\n" % (number, message.uid, flag_list(message.flags))
                for number, message in enumerate(self.known, start=1)
                if message.modseq > self.flag_change
            )
        if fresh:
            self.known.extend(fresh)
            lines.append(b"* %d EXISTS\r\n" % len(self.known))
        self.change, self.expunges, self.flag_change = folder.change, folder.expunges, folder.flag_change
        return b"".join(lines)
