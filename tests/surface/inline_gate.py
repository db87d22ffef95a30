"""config/gate.schema.json as components of config/openapi.yaml. `python -m tests.surface.inline_gate` writes them anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
OPENAPI = ROOT / "config" / "openapi.yaml"
MARK = "    # From here on: config/gate.schema.json, part by part.\n"


def components(schema: str = "gate.schema.json", name: str = "Gate") -> dict[str, Any]:
    """The document is `Gate`, what it defines is `Gate.<name>`; another schema likewise."""
    whole = json.loads((ROOT / "config" / schema).read_text())
    parts = {f"{name}.{key}": part for key, part in whole.pop("$defs").items()}
    document = {key: value for key, value in whole.items() if key not in ("$schema", "$id")}
    return {key: _pointed(part, name) for key, part in {name: document, **parts}.items()}


def _pointed(node: Any, name: str) -> Any:
    if isinstance(node, list):
        return [_pointed(each, name) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: f"#/components/schemas/{name}.{value.removeprefix('#/$defs/')}" if key == "$ref" else _pointed(value, name)
        for key, value in node.items()
    }


class _Compact(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def written(parts: dict[str, Any]) -> str:
    text = yaml.dump(parts, Dumper=_Compact, sort_keys=False, width=130, allow_unicode=True, default_flow_style=None)
    return "".join(f"    {line}\n" for line in text.splitlines())


if __name__ == "__main__":
    before = OPENAPI.read_text().partition(MARK)[0]
    OPENAPI.write_text(before + MARK + written(components()))
