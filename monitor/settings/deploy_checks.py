"""What single values of `deploys:` cannot show: webhooks that tell nothing, or two things at once."""

from __future__ import annotations

from monitor.settings.addresses import unencrypted
from monitor.settings.deploys_shape import DeploysShape
from monitor.settings.report import Report

_PHASES = ("start", "finish", "rollback")


def check_deploys(deploys: DeploysShape, report: Report) -> None:
    for name, hook in deploys.webhooks.items():
        first: dict[str, str] = {}
        for key in _PHASES:
            for index, word in enumerate(getattr(hook, key)):
                other = first.setdefault(word.casefold(), key)
                if other != key:
                    at = ("deploys", "webhooks", name, key, index)
                    report.fault(at, f"stands under {other} too (case does not count): one value means one phase", "keep one of them")
        if not first:
            what = "tells no phase: no value of phase means a start, a finish or a rollback"
            report.fault(("deploys", "webhooks", name), what, "write start:, finish: or rollback:, like finish: [succeeded]")
    if deploys.grafana is not None and unencrypted(deploys.grafana.url):
        report.note(("deploys", "grafana", "url"), "sends the token unencrypted over a public network", "use https://")
