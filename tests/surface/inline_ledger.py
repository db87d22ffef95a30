"""config/ledger.schema.json as components of config/openapi.yaml. `python -m tests.surface.inline_ledger` writes them anew."""

from __future__ import annotations

from typing import Any

from tests.surface import inline_audit, inline_gate

OPENAPI = inline_gate.OPENAPI
MARK = "    # From here to the audit: config/ledger.schema.json, part by part.\n"


def components() -> dict[str, Any]:
    """The document is `Ledger`, what it defines is `Ledger.<name>`."""
    return inline_gate.components("ledger.schema.json", "Ledger")


if __name__ == "__main__":
    before, _, after = OPENAPI.read_text().partition(inline_audit.MARK)
    OPENAPI.write_text(before.partition(MARK)[0] + MARK + inline_gate.written(components()) + inline_audit.MARK + after)
