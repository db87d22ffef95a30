"""Two values of one facet -> how bad the change is, in plain words. Loss and weakening are critical, additions are warnings until somebody
approves them, strengthening is only told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from monitor.model.checks import Gravity
from monitor.model.inspection import Facet, FacetKind, Subject
from monitor.rules.inspect.facets import holds, unpack
from monitor.rules.inspect.firsthand import UNSEEN
from monitor.rules.mailauth.dmarc.record import POLICIES, report_uri
from monitor.rules.plain import plain

_SPF_POLICIES = ("+all", "?all", "~all", "-all")  # from weak to strong
_GRAVITIES = (Gravity.INFO, Gravity.WARNING, Gravity.ERROR, Gravity.CRITICAL)
_LONGEST = 200

Change = tuple[Gravity, str]
Parts = dict[str, tuple[str, ...]]


def difference(before: Facet, after: Facet, subject: Subject) -> Change | None:
    """The worst of what changed, and what; None when both mean the same."""
    if before.value == after.value:
        return None
    old, new = unpack(before.value), unpack(after.value)
    match after.kind:
        case FacetKind.SPF:
            changes = _spf(after.name, old, new, subject)
        case FacetKind.DKIM:
            changes = _of_retired(_dkim(after.name, old, new)) if _is_retired(after.name, subject) else _dkim(after.name, old, new)
        case FacetKind.DMARC:
            changes = _dmarc(after.name, old, new)
        case FacetKind.MX:
            changes = _mx(after.name, old, new)
        case FacetKind.NS:
            changes = _ns(after.name, old, new)
        case FacetKind.DS:
            changes = _ds(after.name, old, new)
        case FacetKind.SOA:
            changes = _set("the SOA record", after.name, old, new, Gravity.INFO)
        case FacetKind.PTR:
            changes = _set("the PTR record", after.name, old, new, Gravity.WARNING)
        case FacetKind.ADDRESS:
            changes = _set("the address", after.name, old, new, Gravity.WARNING)
        case never:
            assert_never(never)
    found = sorted(changes, key=lambda change: -_GRAVITIES.index(change[0]))
    if not found:
        return Gravity.WARNING, f"{_of(after)} changed"
    return found[0][0], _short("; ".join(dict.fromkeys(what for _, what in found)))


def adds(after: Facet) -> Change:
    """Something of which the baseline knows nothing."""
    return Gravity.WARNING, f"{_of(after)} is new"


def _of(facet: Facet) -> str:
    if facet.kind is FacetKind.DKIM:
        return f"selector {facet.name.partition('._domainkey')[0]}'s key record"
    return f"{facet.kind.value.upper()} of {facet.name}"


def _spf(name: str, old: Parts, new: Parts, subject: Subject) -> Iterator[Change]:
    if not new:
        yield Gravity.CRITICAL, f"the SPF record of {name} vanished"
        return
    if not old:
        yield Gravity.WARNING, f"the SPF record of {name} is new"
    hidden = any(term[0] not in "-~?" for term in new.get("opaque", ()))  # macros, exists, ptr: what they let in cannot be listed
    if not _ends_elsewhere(new):
        yield from _rank(f"the policy of the SPF record of {name}", _word(old, "policy"), _word(new, "policy"), _SPF_POLICIES)
    networks = new.get("networks", ())
    lost = [address for address in subject.egress if holds(old.get("networks", ()), address) and not holds(networks, address)]
    for address in lost:
        if hidden:
            yield Gravity.WARNING, f"{address} is not listed in SPF of {name} any more, and may pass by what cannot be listed: see SPF-07"
        else:
            yield Gravity.CRITICAL, f"{address} is no longer authorised by SPF of {name}"
    added = [term for term in new.get("terms", ()) if term not in old.get("terms", ())]
    gone = [term for term in old.get("terms", ()) if term not in new.get("terms", ())]
    if added and old:
        yield Gravity.WARNING, f"the SPF record of {name} has {_listed(added)} besides"
    if gone:
        known = bool(subject.egress) and not lost
        yield (Gravity.INFO if known else Gravity.WARNING), f"the SPF record of {name} has no {_listed(gone)} any more"
    if not added and not gone and old.get("networks") != new.get("networks"):
        what = "; ours stay authorised" if subject.egress and not lost else ""
        yield (Gravity.INFO if subject.egress else Gravity.WARNING), f"the networks behind the SPF record of {name} changed{what}"


def _ends_elsewhere(record: Parts) -> bool:
    """Its policy is that of a redirect whose target depends on the mail."""
    redirects = [any(term.lower().startswith("redirect=") for term in record.get(part, ())) for part in ("terms", "opaque")]
    return all(redirects) and _word(record, "policy") == "?all"


def _is_retired(name: str, subject: Subject) -> bool:
    return any(known.retired and f"{known.name}._domainkey.{known.domain}" == name for known in subject.selectors)


def _of_retired(changes: Iterator[Change]) -> Iterator[Change]:
    """Revoking is the right way to retire a key; what is added is new all the same."""
    for gravity, what in changes:
        yield (gravity if gravity is Gravity.WARNING else Gravity.INFO), what


def _dkim(name: str, old: Parts, new: Parts) -> Iterator[Change]:
    selector = name.partition("._domainkey")[0]
    if not new:
        yield Gravity.CRITICAL, f"selector {selector}'s key record vanished"
        return
    if not old:
        yield Gravity.WARNING, f"selector {selector}'s key record is new"
        return
    if UNSEEN in new and UNSEEN not in old:
        yield Gravity.WARNING, f"selector {selector}'s key record is at the servers of its zone, and our resolver does not find it"
    elif UNSEEN in old and UNSEEN not in new:
        yield Gravity.INFO, f"selector {selector}'s key record is found by our resolver again"
    for state, what in (("revoked", "was revoked"), ("unusable", "is no longer a valid key")):
        if state in new.get("state", ()) and state not in old.get("state", ()):
            yield Gravity.CRITICAL, f"selector {selector}'s key {what}"
    bits, before = int(_word(new, "bits") or 0), int(_word(old, "bits") or 0)
    if bits and before and _word(old, "k") == _word(new, "k") and bits != before:
        yield _up(bits > before), f"selector {selector}'s key {'grew' if bits > before else 'shrank'} from {before} to {bits} bits"
    elif _word(old, "p") and _word(new, "p") and _word(old, "p") != _word(new, "p"):
        yield Gravity.WARNING, f"selector {selector} has another key"
    yield from _flags(selector, set(old.get("t", ())), set(new.get("t", ())))
    if old.get("h", ()) != new.get("h", ()) or old.get("s", ()) != new.get("s", ()):
        yield Gravity.WARNING, f"selector {selector}'s key is restricted otherwise (h=, s=)"
    if len(new.get("more", ())) > len(old.get("more", ())):
        yield Gravity.CRITICAL, f"selector {selector} has several key records"


def _flags(selector: str, old: set[str], new: set[str]) -> Iterator[Change]:
    if "y" in new ^ old:
        yield _up("y" in old), f"selector {selector}'s key {'left' if 'y' in old else 'was put into'} test mode (t=y)"
    if "s" in new ^ old:
        yield (Gravity.INFO if "s" in old else Gravity.WARNING), f"selector {selector}'s key {'no longer has' if 's' in old else 'has'} t=s"


def _dmarc(name: str, old: Parts, new: Parts) -> Iterator[Change]:
    if not new:
        yield Gravity.CRITICAL, f"the DMARC record of {name} vanished"
        return
    if not old:
        yield Gravity.INFO, f"{name} has a DMARC record now: p={_word(new, 'p')}"
        return
    yield from _rank(f"the policy of {name}", _word(old, "p"), _word(new, "p"), POLICIES)
    for tag, what in (("sp", "for subdomains"), ("np", "for subdomains that do not exist")):
        if (_word(old, tag), _word(new, tag)) != (_word(old, "p"), _word(new, "p")):  # it does not just follow p
            yield from _rank(f"the policy of {name} {what}", _word(old, tag), _word(new, tag), POLICIES)
    if old.get("t") != new.get("t"):
        yield _up(not new.get("t")), f"{name} {'was put into' if new.get('t') else 'left'} test mode (t=y)"
    share, before = int(_word(new, "pct") or 100), int(_word(old, "pct") or 100)
    if share != before:
        yield _up(share > before), f"pct of {name} changed from {before} to {share}"
    for tag in ("adkim", "aspf"):
        if _word(old, tag) != _word(new, tag):
            strict = _word(new, tag) == "s"
            yield (Gravity.INFO if strict else Gravity.WARNING), f"{tag} of {name} is {'strict' if strict else 'relaxed'} now"
    yield from _reports(name, old.get("rua", ()), new.get("rua", ()))
    if old.get("ruf") != new.get("ruf"):
        yield Gravity.WARNING, f"ruf of {name} changed"
    if _word(old, "at") != _word(new, "at"):
        domain = name.removeprefix("_dmarc.")
        yield Gravity.WARNING, f"the record that applies to {domain} stands at _dmarc.{_word(new, 'at') or domain} now"


def _reports(name: str, old: Sequence[str], new: Sequence[str]) -> Iterator[Change]:
    before, after = ({_destination(uri) for uri in uris if not report_uri(uri).fault} for uris in (old, new))
    if gone := sorted(before - after):
        yield Gravity.CRITICAL, f"aggregate reports of {name} no longer go to {_listed(gone)}"
    added = sorted(after - set(map(_destination, old)))  # one that was meant before, and at fault, is mended
    if added:
        yield Gravity.WARNING, f"aggregate reports of {name} go to {_listed(added)} too"
    if old != new and not gone and not added:
        yield Gravity.INFO, f"rua of {name} is spelled otherwise"


def _destination(uri: str) -> str:
    """Whom it means: with or without `mailto:` and the obsolete size limit, and domains have no case (RFC 1035 section 2.3.3)."""
    address = uri.partition("!")[0]
    scheme, colon, rest = address.partition(":")
    if colon and scheme.lower() != "mailto":
        return f"{scheme.lower()}:{rest}"
    local, at, domain = (rest if colon else address).rpartition("@")
    return f"mailto:{local}{at}{domain.lower()}"


def _mx(name: str, old: Parts, new: Parts) -> Iterator[Change]:
    before, after = old.get("records", ()), new.get("records", ())
    if not after:
        yield Gravity.CRITICAL, f"the MX records of {name} vanished"
        return
    if "0 ." in after and "0 ." not in before:
        yield Gravity.CRITICAL, f"{name} takes no mail any more (null MX)"
        return
    hosts, known = ({record.partition(" ")[2] for record in records} for records in (after, before))
    if known and not hosts & known:
        yield Gravity.CRITICAL, f"all MX of {name} were replaced: {_listed(sorted(hosts))} instead of {_listed(sorted(known))}"
        return
    if hosts - known:
        yield Gravity.WARNING, f"{_listed(sorted(hosts - known))} is a new MX of {name}"
    if known - hosts:
        yield Gravity.WARNING, f"{_listed(sorted(known - hosts))} is no MX of {name} any more"
    if hosts == known:
        yield Gravity.INFO, f"the preferences of the MX of {name} changed"


def _ns(name: str, old: Parts, new: Parts) -> Iterator[Change]:
    before, after = set(old.get("records", ())), set(new.get("records", ()))
    if before and not after:
        yield Gravity.CRITICAL, f"the NS records of {name} vanished"
    elif before and not before & after:
        yield Gravity.CRITICAL, f"all name servers of {name} were replaced: {_listed(sorted(after))} instead of {_listed(sorted(before))}"
    else:
        yield from _set("the name servers", name, old, new, Gravity.WARNING)


def _ds(name: str, old: Parts, new: Parts) -> Iterator[Change]:
    if not new:
        yield Gravity.CRITICAL, f"the DS records of {name} vanished: the zone is not secured by DNSSEC any more"
    elif not old:
        yield Gravity.INFO, f"the zone {name} is secured by DNSSEC now"
    else:
        yield Gravity.WARNING, f"the DS records of {name} changed"


def _set(what: str, name: str, old: Parts, new: Parts, gravity: Gravity) -> Iterator[Change]:
    before, after = old.get("records", ()), new.get("records", ())
    if not after:
        yield Gravity.CRITICAL, f"{what} of {name} vanished"
    elif not before:
        yield gravity, f"{what} of {name} is new: {_listed(after)}"
    else:
        yield gravity, f"{what} of {name} changed from {_listed(before)} to {_listed(after)}"


def _rank(what: str, old: str, new: str, order: Sequence[str]) -> Iterator[Change]:
    if old == new or old not in order or new not in order:
        return
    stronger = order.index(new) > order.index(old)
    yield _up(stronger), f"{what} was {'strengthened' if stronger else 'weakened'} from {old} to {new}"


def _up(better: bool) -> Gravity:
    return Gravity.INFO if better else Gravity.CRITICAL


def _word(parts: Parts, name: str) -> str:
    return parts.get(name, ("",))[0]


def _listed(items: Sequence[str]) -> str:
    more = f" and {len(items) - 3} more" if len(items) > 3 else ""
    return plain(", ".join(items[:3])) + more


def _short(text: str) -> str:
    return text if len(text) <= 3 * _LONGEST else text[: 3 * _LONGEST - 3] + "..."
