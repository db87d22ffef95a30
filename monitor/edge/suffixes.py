"""The public suffix list. publicsuffixlist holds it; this module is its only importer."""

from __future__ import annotations


class PublicSuffixes:
    """ports.SuffixList, from the list that the library ships. Loaded at the first question: it takes a tenth of a second."""

    def registrable(self, domain: str) -> str:
        raise NotImplementedError
