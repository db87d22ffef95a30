"""The JSON Schema of the configuration, made from the models."""

from __future__ import annotations

import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from monitor.settings.shape import Settings


class _Published(GenerateJsonSchema):
    """An absent key is absent; `null` is never written."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        return {**super().dict_schema(schema), "propertyNames": self.generate_inner(schema["keys_schema"])}

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def json_schema() -> str:
    """As text, ready for config/mailcanary.schema.json."""
    generated = Settings.model_json_schema(schema_generator=_Published)
    _clean(generated)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "mailcanary.yaml"}
    return json.dumps({**head, **{k: v for k, v in generated.items() if k != "title"}}, indent=2, ensure_ascii=False) + "\n"


def _clean(node: Any) -> None:
    """Titles repeat the key; an example of a required key is one of JSON Schema's `examples` only if it is YAML, so it goes."""
    if isinstance(node, dict):
        node.pop("x-example", None)
        if isinstance(node.get("title"), str):
            del node["title"]
        for value in node.values():
            _clean(value)
    elif isinstance(node, list):
        for value in node:
            _clean(value)
