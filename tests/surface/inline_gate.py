"""config/gate.schema.json as components of config/openapi.yaml. `python -m tests.surface.inline_gate` writes them anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
OPENAPI = ROOT / "config" / "openapi.yaml"
MARK = "    # From here on: config/gate.schema.json, part by part.\n"


def components() -> dict[str, Any]:
    """The document is `Gate`, what it defines is `Gate.<name>`."""
    whole = json.loads((ROOT / "config" / "gate.schema.json").read_text())
    parts = {f"Gate.{name}": part for name, part in whole.pop("$defs").items()}
    gate = {key: value for key, value in whole.items() if key not in ("$schema", "$id")}
    return {name: _pointed(part) for name, part in {"Gate": gate, **parts}.items()}


def _pointed(node: Any) -> Any:
    if isinstance(node, list):
        return [_pointed(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: f"#/components/schemas/Gate.{value.removeprefix('#/$defs/')}" if key == "$ref" else _pointed(value)
        for key, value in node.items()
    }


class _Compact(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def written() -> str:
    text = yaml.dump(components(), Dumper=_Compact, sort_keys=False, width=130, allow_unicode=True, default_flow_style=None)
    return "".join(f"    {line}\n" for line in text.splitlines())


if __name__ == "__main__":
    before = OPENAPI.read_text().partition(MARK)[0]
    OPENAPI.write_text(before + MARK + written())
