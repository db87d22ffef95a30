"""config/audit.schema.json as components of config/openapi.yaml. `python -m tests.surface.inline_audit` writes them anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from tests.surface import inline_gate

ROOT = Path(__file__).parents[2]
OPENAPI = ROOT / "config" / "openapi.yaml"
MARK = "    # From here to the gate: config/audit.schema.json, part by part.\n"


def components() -> dict[str, Any]:
    """The document is `Audit`, what it defines is `Audit.<name>`."""
    whole = json.loads((ROOT / "config" / "audit.schema.json").read_text())
    parts = {f"Audit.{name}": part for name, part in whole.pop("$defs").items()}
    audit = {key: value for key, value in whole.items() if key not in ("$schema", "$id")}
    return {name: _pointed(part) for name, part in {"Audit": audit, **parts}.items()}


def _pointed(node: Any) -> Any:
    if isinstance(node, list):
        return [_pointed(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: f"#/components/schemas/Audit.{value.removeprefix('#/$defs/')}" if key == "$ref" else _pointed(value)
        for key, value in node.items()
    }


def written() -> str:
    text = yaml.dump(components(), Dumper=inline_gate._Compact, sort_keys=False, width=130, allow_unicode=True, default_flow_style=None)
    return "".join(f"    {line}\n" for line in text.splitlines())


if __name__ == "__main__":
    before, _, after = OPENAPI.read_text().partition(inline_gate.MARK)
    OPENAPI.write_text(before.partition(MARK)[0] + MARK + written() + inline_gate.MARK + after)
