"""Domains that send no mail, and say so."""

from __future__ import annotations

from monitor.model.dns import RecordType
from monitor.rules.inspect.scene import Scene

_NOBODY = "v=spf1 -all"


def parked(scene: Scene) -> bool | None:
    """Nothing shows that the domain sends, and its SPF record allows nobody. None: the record is not known."""
    subject = scene.subject
    if subject.egress or subject.observed or subject.envelope or subject.selectors or subject.mails:
        return False
    answer = scene.lookup.ask(subject.domain, RecordType.TXT)
    if answer.failed:
        return None
    return [" ".join(text.lower().split()) for text in answer.records if text.lower().startswith("v=spf1")] == [_NOBODY]
