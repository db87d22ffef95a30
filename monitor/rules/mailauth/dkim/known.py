"""Keys whose private half everybody has."""

from __future__ import annotations

PUBLISHED = frozenset(  # Key.modulus
    {
        "1be2c2e898b8cb93583845439eb7b8df9d47527f9b77751cfcd96d91851f4efd",  # RFC 6376 appendix C; in many test suites and tutorials
        "faa7f1558c0345a1166a022f3c50feabe8105966d5d8010d3c8d29a462986a42",  # RFC 8463 appendix A.2, RSA
        "21fe31dfa154a261626bf854046fd2271b7bed4b6abe45aa58877ef47f9721b9",  # RFC 8463 appendix A.2 and RFC 8032 section 7.1, Ed25519
    }
)
