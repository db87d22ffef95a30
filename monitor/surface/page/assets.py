"""What the page needs beside its HTML, under names that change with the content: a browser may keep them for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STATIC = Path(__file__).with_name("static")
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
DIGEST = 12  # hex digits in a name


@dataclass(frozen=True, slots=True)
class Asset:
    name: str  # with the digest
    content_type: str
    body: bytes

    @property
    def etag(self) -> str:
        return self.name


def _read(file: Path) -> Asset:
    body = file.read_bytes()
    digest = hashlib.sha256(body).hexdigest()[:DIGEST]
    return Asset(f"{file.stem}.{digest}{file.suffix}", TYPES[file.suffix], body)


BY_FILE: Mapping[str, Asset] = {file.name: _read(file) for file in sorted(STATIC.iterdir()) if file.suffix in TYPES}
ASSETS: Mapping[str, Asset] = {asset.name: asset for asset in BY_FILE.values()}


def url(file: str) -> str:
    return f"/static/{BY_FILE[file].name}"
