"""Which names belong to the same organization as the inspected domain."""

from __future__ import annotations

from monitor.rules.inspect.scene import Scene
from monitor.rules.mailauth import authres, dmarc


def same_organization(scene: Scene, one: str, other: str) -> bool | None:
    """By the tree walk (RFC 9989 section 4.10.2); where no DMARC record says anything, by the public suffix list. None: not known."""
    found = dmarc.aligned(scene.lookup, one, other)
    if found is not False or any(dmarc.walk(scene.lookup, domain).found for domain in (one, other)):
        return found
    listed = scene.suffixes.registrable(one)
    return bool(listed) and listed == scene.suffixes.registrable(other)


def ours(scene: Scene, domain: str) -> bool:
    """The inspected domain, one above or below it, or one of its organization; also while that cannot be told."""
    return authres.aligned(domain, scene.subject.domain) or same_organization(scene, domain, scene.subject.domain) is not False
