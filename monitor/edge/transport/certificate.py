"""The certificate that a server shows, and whether we trust its chain."""

from __future__ import annotations

import ssl
from enum import Enum, auto

from monitor.edge.reply import clean
from monitor.edge.tls import TlsContexts
from monitor.model.transport import Certificate

MAX_NAMES = 100
MAX_ISSUER = 200
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which ssl does not name
_OUT_OF_TIME = frozenset({9, 10})  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED


class Strictness(Enum):
    """How the chain is checked in a handshake. The name never is: that is a fact of its own."""

    FULL = auto()
    TIMELESS = auto()  # all but the dates: an expired certificate of a good chain is expired and nothing else
    NONE = auto()


class Verifiers:
    """Client contexts of their own, since those of the other edges must go on checking names."""

    def __init__(self) -> None:
        self._contexts = {strictness: TlsContexts() for strictness in (Strictness.FULL, Strictness.TIMELESS)}
        self._blind: ssl.SSLContext | None = None

    def context(self, strictness: Strictness, ca_file: str | None) -> ssl.SSLContext:
        """Raises TlsFileError."""
        if strictness is Strictness.NONE:
            if self._blind is None:
                self._blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                self._blind.check_hostname = False
                self._blind.verify_mode = ssl.CERT_NONE
            return self._blind
        context = self._contexts[strictness].get(ca_file)
        context.check_hostname = False
        if strictness is Strictness.TIMELESS:
            context.verify_flags |= _NO_CHECK_TIME
        return context


def next_try(strictness: Strictness, error: ssl.SSLCertVerificationError) -> Strictness:
    """After a chain was refused: only for its dates, or for more."""
    return Strictness.TIMELESS if strictness is Strictness.FULL and error.verify_code in _OUT_OF_TIME else Strictness.NONE


def certificate(der: bytes, strictness: Strictness, why: str, now: float) -> Certificate | None:
    """What stands in a certificate that was shown in a handshake of this strictness, and `why` the stricter ones refused it. None for
    one that cannot be read. `now`: seconds since the epoch."""
    from cryptography import x509  # noqa: PLC0415 - not before the first certificate: it takes a while

    try:
        read = x509.load_der_x509_certificate(der)
        issuer = clean(read.issuer.rfc4514_string(), limit=MAX_ISSUER)
        before, after = read.not_valid_before_utc.timestamp(), read.not_valid_after_utc.timestamp()
        self_signed = read.issuer == read.subject
        names: tuple[str, ...] = ()
        try:
            alternatives = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            names = tuple(sorted({name.lower() for name in alternatives.get_values_for_type(x509.DNSName)}))[:MAX_NAMES]
        except x509.ExtensionNotFound:
            pass
    except Exception:  # what a peer sends provokes more in the library than it names: InvalidVersion is no ValueError
        return None
    in_time = before <= now <= after
    trusted = strictness is Strictness.FULL or (strictness is Strictness.TIMELESS and not in_time)
    return Certificate(names, before, after, issuer, self_signed, trusted, "" if trusted else clean(why))
