"""What a check is, whatever it finds."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.model.checks import CheckId, CheckResult, Gravity, Status


@dataclass(frozen=True, slots=True)
class Check:
    """`title`: what is checked, in a few words; `why`: what happens to refund mail when it fails, in one or two sentences; `source`: where
    the criterion stands; `gravity`: of its failure."""

    id: CheckId
    title: str
    why: str
    source: str
    gravity: Gravity

    def passed(self, about: str, saw: str, record: str = "") -> CheckResult:
        return CheckResult(self.id, Status.PASS, about, Gravity.INFO, saw, record)

    def skipped(self, about: str, saw: str) -> CheckResult:
        """There is nothing to test."""
        return CheckResult(self.id, Status.SKIP, about, Gravity.INFO, saw)

    def noted(self, about: str, saw: str, record: str = "") -> CheckResult:
        """Worth knowing, no fault."""
        return CheckResult(self.id, Status.INFO, about, Gravity.INFO, saw, record)

    def warned(
        self, about: str, saw: str, record: str = "", mend: str = "", publish: str = "", gravity: Gravity = Gravity.WARNING
    ) -> CheckResult:
        return CheckResult(self.id, Status.WARN, about, gravity, saw, record, mend, publish)

    def failed(
        self, about: str, saw: str, record: str = "", mend: str = "", publish: str = "", gravity: Gravity | None = None
    ) -> CheckResult:
        return CheckResult(self.id, Status.FAIL, about, gravity or self.gravity, saw, record, mend, publish)

    def unknown(self, about: str, saw: str, mend: str = "") -> CheckResult:
        """It could not be tested: neither good nor bad, but as grave as its failure would be."""
        return CheckResult(self.id, Status.UNKNOWN, about, self.gravity, saw, mend=mend)
