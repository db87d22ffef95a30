"""What single values of `inspect:` cannot show: a domain that stands twice, a selector that is in use and retired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.model.inspection import MOST_DOMAINS
from monitor.settings.inspect_shape import InspectShape
from monitor.settings.report import Report


def check_inspect(inspect: InspectShape, written: Mapping[str, Any], report: Report) -> None:
    """`written`: the section as it stands in the file."""
    if len(inspect.domains) > MOST_DOMAINS:
        report.fault(("inspect", "domains"), f"names more than {MOST_DOMAINS} domains", "let another instance inspect the rest")
    first: dict[str, str] = {}
    for name in written.get("domains") or {}:
        other = first.setdefault(name.strip().lower().rstrip("."), name)
        if other != name:
            report.fault(("inspect", "domains", name), f"is {other} once more (case and a final dot do not count)", "keep one of them")
    for domain, shape in inspect.domains.items():
        name = first.get(domain.name, domain.name)
        for index, selector in enumerate(shape.retired):
            if selector in shape.selectors:
                report.fault(("inspect", "domains", name, "retired", index), "stands under selectors too", "keep it in one of them")
