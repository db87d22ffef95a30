"""What the checks look at: the subject, the DNS as far as it is known, and what several of them need."""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.model.inspection import Subject
from monitor.ports import SuffixList
from monitor.rules.lookup import Lookup
from monitor.rules.mailauth import dmarc, spf


@dataclass(slots=True)
class Scene:
    """One pass of the checks over one domain. A check asks `lookup` and treats what is pending like what failed: its result is thrown away
    until nothing is pending any more."""

    subject: Subject
    lookup: Lookup
    suffixes: SuffixList
    _spf: dict[tuple[str, str, str], spf.Evaluation] = field(default_factory=dict)
    _policies: dict[str, dmarc.Discovery] = field(default_factory=dict)

    def spf(self, address: str, domain: str, helo: str = "") -> spf.Evaluation:
        """check_host() for `postmaster@domain` from this address; evaluated once."""
        key = (address, domain, helo)
        if key not in self._spf:
            self._spf[key] = spf.check_host(self.lookup, address, domain, f"postmaster@{domain}", helo or domain, self.subject.now)
        return self._spf[key]

    def policy(self, domain: str) -> dmarc.Discovery:
        """The DMARC policy that applies to this domain, by the tree walk."""
        if domain not in self._policies:
            self._policies[domain] = dmarc.discover(self.lookup, domain)
        return self._policies[domain]

    @property
    def envelope(self) -> tuple[str, ...]:
        """The domains of the envelope sender; the author domain where none is known."""
        return self.subject.envelope or (self.subject.domain,)
