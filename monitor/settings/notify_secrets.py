"""What the secrets of channels must look like; nothing of them is repeated."""

from __future__ import annotations

import importlib.util
import re

from monitor.model.channels import MAILING
from monitor.model.secret import SecretRef
from monitor.settings.faults import KeyPath
from monitor.settings.notify_shape import AppriseShape, PagerdutyShape
from monitor.settings.pointed import Pointed
from monitor.settings.report import Report

INSTALL = "pip install 'mailcanary[apprise]'"

_KEY = re.compile(r"[A-Za-z0-9]{32}")
_SCHEME = re.compile(r"([A-Za-z0-9]{1,30})://\S")


def routing_key(shape: PagerdutyShape, pointed: Pointed, at: KeyPath, report: Report) -> SecretRef:
    ref = pointed.secret(shape.routing_key, at) or shape.routing_key
    value = pointed.value(shape.routing_key)
    if value and not _KEY.fullmatch(value):
        mend = "copy the integration key of an Events API v2 integration"
        report.fault(at, f"secret {ref} is no routing key: it has not 32 letters and digits", mend)
    elif value and shape.changes and value.startswith("R"):
        mend = "use the integration key of a service, or remove changes:"
        report.fault(at, f"secret {ref} is the key of a ruleset, which takes no change events", mend)
    return ref


def apprise_url(shape: AppriseShape, pointed: Pointed, at: KeyPath, report: Report) -> SecretRef:
    if importlib.util.find_spec("apprise") is None:
        report.fault((*at, "kind"), "apprise is not installed", INSTALL)
    ref = pointed.secret(shape.url, (*at, "url")) or shape.url
    value = pointed.value(shape.url)
    found = _SCHEME.match(value.strip()) if value else None
    if value and found is None:
        report.fault((*at, "url"), f"secret {ref} is no URL", "write one as apprise reads it, like ntfys://host/topic")
    elif found is not None and found[1].lower() in MAILING:
        mend = "name a place that is told without e-mail, which may be what is broken"
        report.fault((*at, "url"), f"secret {ref} would send e-mail", mend)
    return ref
