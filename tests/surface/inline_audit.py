"""config/audit.schema.json as components of config/openapi.yaml. `python -m tests.surface.inline_audit` writes them anew."""

from __future__ import annotations

from typing import Any

from tests.surface import inline_gate

OPENAPI = inline_gate.OPENAPI
MARK = "    # From here to the gate: config/audit.schema.json, part by part.\n"


def components() -> dict[str, Any]:
    """The document is `Audit`, what it defines is `Audit.<name>`."""
    return inline_gate.components("audit.schema.json", "Audit")


if __name__ == "__main__":
    before, _, after = OPENAPI.read_text().partition(inline_gate.MARK)
    OPENAPI.write_text(before.partition(MARK)[0] + MARK + inline_gate.written(components()) + inline_gate.MARK + after)
