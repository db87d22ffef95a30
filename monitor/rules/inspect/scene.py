"""What the checks look at: the subject, the DNS as far as it is known, and what several of them need."""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.model.inspection import Drift, Subject
from monitor.ports import SuffixList
from monitor.rules.inspect.drift import drift
from monitor.rules.inspect.facets import Observation, observe
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
    _observation: Observation | None = None

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
    def observation(self) -> Observation:
        """The facets of the zone; observed once."""
        if self._observation is None:
            self._observation = observe(self.subject, self.lookup)
        return self._observation

    @property
    def drifts(self) -> tuple[Drift, ...]:
        """The differences between the zone and its baseline."""
        return drift(self.subject.baseline, self.observation, self.subject, self.subject.drifts, self.subject.now)

    @property
    def envelope(self) -> tuple[str, ...]:
        """The domains of the envelope sender; the author domain where none is known."""
        return self.subject.envelope or (self.subject.domain,)
