"""What is known of recipients and numbers before a record is read: whose they are, and which are probes."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from monitor.model.address import MAX_DOMAIN, Address
from monitor.model.ledger import HASHED
from monitor.model.policy import KeyRing, Policy, Role
from monitor.model.sources import MailboxSource, Match
from monitor.rules import token
from monitor.views.ledger import LedgerView

MIN_NUMBER = 6  # characters of a probe's number that is looked for behind a prefix
_BOUNDS = frozenset("-_/#:. ")  # between a prefix and a number


def hashed(key: bytes, address: str) -> bytes:
    """The keyed hash of a recipient (BLAKE2b, RFC 7693). Case, the spelling of the domain (A-labels, a dot at its end) and a display name
    before <the address> make no difference; plus-tags do. Empty for an empty address. What is no address that we could send to is hashed
    as it stands: two records may still agree on it."""
    return _digest(_hasher(key), address)


def _hasher(key: bytes) -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=HASHED, key=key)


def _digest(hasher: hashlib.blake2b, address: str) -> bytes:
    """A copy of the keyed hasher is half the work of a new one."""
    canonical = _canonical(address)
    if not canonical:
        return b""
    own = hasher.copy()
    own.update(canonical.encode("utf-8", "surrogatepass"))
    return own.digest()


def mark_of(key: bytes, match: Match) -> str:
    """Records that were made under another mark cannot be compared: another key makes other hashes, another match other keys."""
    return f"{hashlib.blake2b(b'ledger', digest_size=8, key=key).hexdigest()} {match.value}"


def _canonical(address: str) -> str:
    text = address.strip()
    if text.endswith(">"):
        text = text[text.rfind("<") + 1 : -1].strip() or text
    if not text.isascii():
        return _spelt(text)
    return text.lower().rstrip(".") if "@" in text else text.lower()


def _spelt(text: str) -> str:
    """What is not ASCII, in one spelling of the several that mean the same (RFC 5891, section 5.3; RFC 6532, section 3.1)."""
    local, at, domain = unicodedata.normalize("NFC", text).lower().rpartition("@")
    if domain and len(domain) <= MAX_DOMAIN and not domain.isascii():
        try:
            domain = domain.encode("idna").decode("ascii")
        except UnicodeError:  # no name that DNS knows: it stays as it is
            domain = domain.rstrip(".")
    return f"{local}{at}{domain.rstrip('.') if at else domain}"


@dataclass(frozen=True, slots=True)
class Known:
    """Made once of a policy. Probes are dropped on both sides by the same two marks: a recipient that is one of our seeds, and a refund
    number that a probe of ours bears, behind a prefix of the shop's or not; a token that one of our keys signed is such a number too,
    whichever instance it is of."""

    key: bytes
    match: Match
    seeds: frozenset[Address] = frozenset()  # base addresses
    holding: frozenset[Address] = frozenset()
    journals: frozenset[Address] = frozenset()  # they get a copy of what somebody else is told
    providers: Mapping[str, str] = field(default_factory=dict)  # domain -> name of the mailbox provider
    keys: KeyRing | None = None  # of tokens, which may be refund numbers
    numbers: frozenset[str] = frozenset()  # refund numbers and application ids of probes
    _seeds: frozenset[str] = field(init=False, repr=False, compare=False)
    _holding: frozenset[str] = field(init=False, repr=False, compare=False)
    _journals: frozenset[str] = field(init=False, repr=False, compare=False)
    _hasher: hashlib.blake2b = field(init=False, repr=False, compare=False)
    _lengths: tuple[int, ...] = field(init=False, repr=False, compare=False)  # of the numbers that may stand behind a prefix

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hasher", _hasher(self.key))
        object.__setattr__(self, "_seeds", _texts(self.seeds))
        object.__setattr__(self, "_holding", _texts(self.holding))
        object.__setattr__(self, "_journals", _texts(self.journals))
        object.__setattr__(self, "_lengths", tuple(sorted({len(number) for number in self.numbers if len(number) >= MIN_NUMBER})))

    @classmethod
    def of(cls, policy: Policy, numbers: frozenset[str] = frozenset()) -> Known:
        """A holding mailbox is never one for copies: a mail that lands there was held."""
        boxes = policy.mailboxes.values()
        holding = frozenset(box.address.base for box in boxes if box.role is Role.HOLDING)
        vias = [source.via for source in policy.ledger.sources.values()]
        journals = frozenset(via.mailbox.address.base for via in vias if isinstance(via, MailboxSource))
        return cls(
            key=policy.ledger.key,
            match=policy.ledger.match,
            seeds=frozenset(box.address.base for box in boxes if box.role is Role.SEED),
            holding=holding,
            journals=journals.union(policy.ledger.copies) - holding,
            providers={box.address.domain.name: box.provider for box in boxes if box.role is Role.SEED},
            keys=policy.keys,
            numbers=numbers,
        )

    def recipient(self, address: str) -> bytes:
        return _digest(self._hasher, address)

    def provider(self, address: str) -> str:
        return self.providers.get(_canonical(address).rpartition("@")[2], "") if self.providers else ""

    def is_probe(self, number: str, address: str) -> bool:
        if number in self.numbers or (address and self._seeds and _base(address) in self._seeds):
            return True
        if len(number) <= MIN_NUMBER or not (self._lengths or self.keys is not None):
            return False
        return self._is_prefixed(number) or self._is_token(number)

    def is_holding(self, address: str) -> bool:
        return bool(self._holding) and _base(address) in self._holding

    def is_journal(self, address: str) -> bool:
        return bool(self._journals) and _base(address) in self._journals

    def _is_prefixed(self, number: str) -> bool:
        return any(number[-size:] in self.numbers and number[-size - 1 : -size] in _BOUNDS for size in self._lengths if size < len(number))

    def _is_token(self, number: str) -> bool:
        if self.keys is None or len(number) < token.LENGTH:
            return False
        ends = (number[-token.LENGTH :], number[: token.LENGTH])
        return any(token.verify(self.keys, "", "", shape) is not None for shape in (*token.find(number), *ends))


@dataclass(slots=True)
class Knowledge:
    """What is known, made anew only when the policy is another one, or there are new probes."""

    _made: tuple[Policy, int, Known] | None = None

    def now(self, policy: Policy, view: LedgerView) -> Known:
        if self._made is None or self._made[0] is not policy or self._made[1] != view.numbered:
            self._made = (policy, view.numbered, Known.of(policy, frozenset(view.numbers)))
        return self._made[2]


def _base(address: str) -> str:
    """The canonical address without its plus-tag: the key by which seeds are compared."""
    text = _canonical(address)
    plus = text.find("+")
    return text if plus < 0 else text[:plus] + text[text.rfind("@") :] if "@" in text[plus:] else text


def _texts(addresses: Iterable[Address]) -> frozenset[str]:
    return frozenset(str(address.base) for address in addresses)
